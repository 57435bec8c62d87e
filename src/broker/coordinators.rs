//! The group coordinators of one shard, one for each partition of `__consumer_offsets` that it owns, and
//! who waits for them.

use super::calls::AskGroup;
use super::coordinating::InOrder;
use super::group_log::{Action, Bounds, GroupLog};
use super::reply_to::ReplyTo;
use super::wait::Condition;
use crate::group::assignor::Assignor;
use crate::group::{self, CoordinatorSettings, GroupResponse, MigrationPolicy, Ticket};
use crate::types::config_def::split_list;
use crate::types::{BrokerConfigs, ErrorCode, TopicPartition};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A request that waits for its answer.
pub struct PendingRequest {
    /// Who asks.
    pub to: ReplyTo<AskGroup>,
    /// The coordinator's partition.
    pub tp: TopicPartition,
    /// It may wait for other members, for as long as they like.
    pub on_others: bool,
    /// The answer where there is no coordinator any more.
    pub refused: GroupResponse,
}

/// The coordinator's partition, and who is told how it went.
pub type WaitingEnd = (TopicPartition, Box<dyn FnOnce(ErrorCode)>);

/// See the module.
pub struct Coordinators {
    /// The coordinators with their logs.
    pub logs: RefCell<BTreeMap<TopicPartition, GroupLog>>,
    /// The epoch in which each one's partition is led.
    pub epochs: RefCell<BTreeMap<TopicPartition, i32>>,
    /// Requests that they have taken.
    pub waiting: RefCell<HashMap<Ticket, PendingRequest>>,
    /// Who waits for the ends of transactions, by ticket.
    pub ends: RefCell<BTreeMap<Ticket, WaitingEnd>>,
    /// The ticket of the next request.
    pub next_ticket: Cell<Ticket>,
    /// What they want.
    pub actions: InOrder<(TopicPartition, Action)>,
    /// Coordinators whose long commits are gone on with.
    pub going_on: RefCell<BTreeSet<TopicPartition>>,
    /// What the timer waits for.
    pub armed_ms: Cell<i64>,
    /// Wakes the timer, for an earlier time.
    pub rearm: Condition,
    settings: CoordinatorSettings,
    /// Bytes of a log that are read at once when it is loaded.
    pub load_bytes: usize,
    bounds: Bounds,
    /// What groups take.
    pub memory: group::Memory,
    /// The metadata, as groups see them.
    pub cluster: group::Cluster,
    /// Coordinators made so far.
    made: Cell<u64>,
}

fn settings_of(configs: &BrokerConfigs, hash_seed: u64) -> CoordinatorSettings {
    let kafkas = CoordinatorSettings::default();
    let number = |name: &str| configs.number(name);
    let int = |name: &str, default: i32| number(name).map_or(default, |it| it as i32);
    CoordinatorSettings {
        group_min_session_timeout_ms: int(
            "group.min.session.timeout.ms",
            kafkas.group_min_session_timeout_ms,
        ),
        group_max_session_timeout_ms: int(
            "group.max.session.timeout.ms",
            kafkas.group_max_session_timeout_ms,
        ),
        group_initial_rebalance_delay_ms: int(
            "group.initial.rebalance.delay.ms",
            kafkas.group_initial_rebalance_delay_ms,
        ),
        group_max_size: int("group.max.size", kafkas.group_max_size),
        consumer_session_timeout_ms: int(
            "group.consumer.session.timeout.ms",
            kafkas.consumer_session_timeout_ms,
        ),
        consumer_heartbeat_interval_ms: int(
            "group.consumer.heartbeat.interval.ms",
            kafkas.consumer_heartbeat_interval_ms,
        ),
        consumer_assignment_interval_ms: int(
            "group.consumer.assignment.interval.ms",
            kafkas.consumer_assignment_interval_ms,
        ),
        consumer_group_max_size: int("group.consumer.max.size", kafkas.consumer_group_max_size),
        share_session_timeout_ms: int(
            "group.share.session.timeout.ms",
            kafkas.share_session_timeout_ms,
        ),
        share_heartbeat_interval_ms: int(
            "group.share.heartbeat.interval.ms",
            kafkas.share_heartbeat_interval_ms,
        ),
        share_group_max_size: int("group.share.max.size", kafkas.share_group_max_size),
        streams_session_timeout_ms: int(
            "group.streams.session.timeout.ms",
            kafkas.streams_session_timeout_ms,
        ),
        streams_heartbeat_interval_ms: int(
            "group.streams.heartbeat.interval.ms",
            kafkas.streams_heartbeat_interval_ms,
        ),
        streams_assignment_interval_ms: int(
            "group.streams.assignment.interval.ms",
            kafkas.streams_assignment_interval_ms,
        ),
        streams_initial_rebalance_delay_ms: int(
            "group.streams.initial.rebalance.delay.ms",
            kafkas.streams_initial_rebalance_delay_ms,
        ),
        streams_standby_replicas: int(
            "group.streams.num.standby.replicas",
            kafkas.streams_standby_replicas,
        ),
        streams_group_max_size: int("group.streams.max.size", kafkas.streams_group_max_size),
        consumer_assignors: assignors_of(configs).unwrap_or(kafkas.consumer_assignors),
        consumer_regex_refresh_interval_ms: int(
            "group.consumer.regex.refresh.interval.ms",
            kafkas.consumer_regex_refresh_interval_ms,
        ),
        consumer_migration_policy: configs
            .text("group.consumer.migration.policy")
            .and_then(MigrationPolicy::by_name)
            .unwrap_or_default(),
        offsets_retention_ms: number("offsets.retention.minutes")
            .map_or(kafkas.offsets_retention_ms, |it| it.saturating_mul(60_000)),
        offsets_retention_check_interval_ms: number("offsets.retention.check.interval.ms")
            .unwrap_or(kafkas.offsets_retention_check_interval_ms),
        offset_metadata_max_bytes: int(
            "offset.metadata.max.bytes",
            kafkas.offset_metadata_max_bytes,
        ),
        hash_seed,
    }
}

/// `group.consumer.assignors`: names, or names of Kafka's classes.
fn assignors_of(configs: &BrokerConfigs) -> Option<Vec<Assignor>> {
    let names = split_list(configs.text("group.consumer.assignors")?);
    let known: Vec<_> = names.into_iter().filter_map(Assignor::by_config).collect();
    (!known.is_empty()).then_some(known)
}

impl Coordinators {
    /// No groups yet.
    pub fn new(configs: &BrokerConfigs, hash_seed: u64) -> Self {
        let load_bytes = configs.number("offsets.load.buffer.size").unwrap_or(5 << 20);
        Self {
            logs: RefCell::default(),
            epochs: RefCell::default(),
            waiting: RefCell::default(),
            ends: RefCell::default(),
            next_ticket: Cell::new(1),
            actions: InOrder::default(),
            going_on: RefCell::default(),
            armed_ms: Cell::new(i64::MAX),
            rearm: Condition::default(),
            settings: settings_of(configs, hash_seed),
            load_bytes: usize::try_from(load_bytes).unwrap_or(5 << 20),
            bounds: Bounds::default(),
            memory: group::Memory::default(),
            cluster: group::Cluster::default(),
            made: Cell::new(0),
        }
    }

    /// A log to be loaded. No two count their appends alike: what one has under way may end when
    /// another has taken its place.
    pub fn make_log(&self) -> GroupLog {
        let made = self.made.get();
        self.made.set(made + 1);
        self.new_log(made << 32)
    }

    /// A log to be loaded that numbers its appends from `first_append` on.
    pub fn new_log(&self, first_append: u64) -> GroupLog {
        let (memory, cluster) = (self.memory.clone(), self.cluster.clone());
        GroupLog::new(self.settings.clone(), self.bounds, memory, cluster, first_append)
    }

    /// Forgets all who wait.
    pub fn clear(&self) {
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        drop(waiting);
        self.ends.borrow_mut().clear();
        self.logs.borrow_mut().clear();
        self.epochs.borrow_mut().clear();
    }

    /// When the time of one of them comes, by the monotonic clock, ms.
    pub fn next_deadline(&self) -> Option<i64> {
        self.logs.borrow().values().filter_map(GroupLog::next_deadline).min()
    }
}
