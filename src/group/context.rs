//! What a group needs to know and may change while it does something.

use super::assignor::Assignor;
use super::cluster::Cluster;
use super::effect::{Effect, Ticket};
use super::offsets::{Around, Topics};
use super::pending::Writes;
use super::response::GroupResponse;
use crate::types::Now;
use std::collections::{BTreeMap, BTreeSet};

/// Which groups with members change their protocol (`group.consumer.migration.policy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MigrationPolicy {
    /// In both directions.
    #[default]
    Bidirectional,
    /// Classic groups become consumer groups.
    Upgrade,
    /// Consumer groups become classic groups.
    Downgrade,
    /// None.
    Disabled,
}

impl MigrationPolicy {
    /// Reads Kafka's name, in any case.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "bidirectional" => Self::Bidirectional,
            "upgrade" => Self::Upgrade,
            "downgrade" => Self::Downgrade,
            "disabled" => Self::Disabled,
            _ => return None,
        })
    }

    /// Classic groups become consumer groups.
    pub const fn upgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Upgrade)
    }

    /// Consumer groups become classic groups.
    pub const fn downgrades(self) -> bool {
        matches!(self, Self::Bidirectional | Self::Downgrade)
    }
}

/// Broker configurations that groups depend on, and a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorSettings {
    /// `group.min.session.timeout.ms`.
    pub group_min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub group_max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub group_initial_rebalance_delay_ms: i32,
    /// `group.max.size`.
    pub group_max_size: i32,
    /// `group.consumer.session.timeout.ms`.
    pub consumer_session_timeout_ms: i32,
    /// `group.consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval_ms: i32,
    /// `group.consumer.assignment.interval.ms`.
    pub consumer_assignment_interval_ms: i32,
    /// `group.consumer.max.size`.
    pub consumer_group_max_size: i32,
    /// `group.share.session.timeout.ms`.
    pub share_session_timeout_ms: i32,
    /// `group.share.heartbeat.interval.ms`.
    pub share_heartbeat_interval_ms: i32,
    /// `group.share.max.size`.
    pub share_group_max_size: i32,
    /// `group.streams.session.timeout.ms`.
    pub streams_session_timeout_ms: i32,
    /// `group.streams.heartbeat.interval.ms`.
    pub streams_heartbeat_interval_ms: i32,
    /// `group.streams.assignment.interval.ms`.
    pub streams_assignment_interval_ms: i32,
    /// `group.streams.initial.rebalance.delay.ms`.
    pub streams_initial_rebalance_delay_ms: i32,
    /// `group.streams.num.standby.replicas`.
    pub streams_standby_replicas: i32,
    /// `group.streams.max.size`.
    pub streams_group_max_size: i32,
    /// `group.consumer.assignors`: the first is for members that name none.
    pub consumer_assignors: Vec<Assignor>,
    /// `group.consumer.regex.refresh.interval.ms`.
    pub consumer_regex_refresh_interval_ms: i32,
    /// `group.consumer.migration.policy`.
    pub consumer_migration_policy: MigrationPolicy,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: i64,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_max_bytes: i32,
    /// Any number that clients cannot guess: names of groups are hashed with it.
    pub hash_seed: u64,
}

impl Default for CoordinatorSettings {
    /// Kafka's defaults; the seed is 0.
    fn default() -> Self {
        Self {
            group_min_session_timeout_ms: 6_000,
            group_max_session_timeout_ms: 1_800_000,
            group_initial_rebalance_delay_ms: 3_000,
            group_max_size: i32::MAX,
            consumer_session_timeout_ms: 45_000,
            consumer_heartbeat_interval_ms: 5_000,
            consumer_assignment_interval_ms: 1_000,
            consumer_group_max_size: i32::MAX,
            share_session_timeout_ms: 45_000,
            share_heartbeat_interval_ms: 5_000,
            share_group_max_size: 200,
            streams_session_timeout_ms: 45_000,
            streams_heartbeat_interval_ms: 5_000,
            streams_assignment_interval_ms: 1_000,
            streams_initial_rebalance_delay_ms: 3_000,
            streams_standby_replicas: 0,
            streams_group_max_size: i32::MAX,
            consumer_assignors: Assignor::ALL.to_vec(),
            consumer_regex_refresh_interval_ms: 600_000,
            consumer_migration_policy: MigrationPolicy::Bidirectional,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            offsets_retention_check_interval_ms: 600_000,
            offset_metadata_max_bytes: 4_096,
            hash_seed: 0,
        }
    }
}

/// What a group needs to know and may change while it does something.
pub struct Cx<'a> {
    pub(super) now: Now,
    /// The time by which offsets grow old: see [`RetentionClock`](super::expiry::RetentionClock).
    pub(super) clock_ms: i64,
    pub(super) settings: &'a CoordinatorSettings,
    pub(super) cluster: &'a Cluster,
    pub(super) topics: &'a mut Topics,
    pub(super) live_bytes: &'a mut u64,
    pub(super) writes: &'a mut Writes,
    pub(super) out: &'a mut Vec<Effect>,
    /// The groups of which each producer's open transaction has committed offsets.
    pub(super) staging: &'a mut BTreeMap<i64, BTreeSet<usize>>,
    /// The group's place.
    pub(super) key: usize,
    /// Steps that may still be taken: members, offsets, requests. What there is more to do follows later.
    pub(super) left: usize,
    /// Steps that were taken.
    pub(super) taken: usize,
}

impl Cx<'_> {
    /// What changes with the offsets of the group, whose name this is.
    pub(super) fn of<'b>(&'b mut self, group: &'b str) -> Around<'b> {
        Around { topics: self.topics, live_bytes: self.live_bytes, group, key: self.key }
    }

    /// So many steps were taken.
    pub(super) const fn take(&mut self, steps: usize) {
        self.left = self.left.saturating_sub(steps);
        self.taken += steps;
    }

    pub(super) fn reply(&mut self, ticket: Ticket, response: GroupResponse) {
        self.out.push(Effect::Reply { ticket, response });
    }
}
