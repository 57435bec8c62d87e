//! All groups of one partition of `__consumer_offsets`.

use super::records::{Record, RecordError};
use super::request::Request;
use super::response::Response;
use crate::types::{ErrorCode, TopicId};

/// The owner's number for a request that waits for its answer.
pub type Ticket = u64;

/// Broker configurations that groups depend on, and a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `group.min.session.timeout.ms`.
    pub group_min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`.
    pub group_max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`.
    pub group_initial_rebalance_delay_ms: i32,
    /// `group.max.size`.
    pub group_max_size: i32,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`.
    pub offsets_retention_check_interval_ms: i64,
    /// `offset.metadata.max.bytes`.
    pub offset_metadata_max_bytes: i32,
    /// Any number that clients cannot guess: names of groups are hashed with it.
    pub hash_seed: u64,
}

impl Default for Settings {
    /// Kafka's defaults; the seed is 0.
    fn default() -> Self {
        Self {
            group_min_session_timeout_ms: 6_000,
            group_max_session_timeout_ms: 1_800_000,
            group_initial_rebalance_delay_ms: 3_000,
            group_max_size: i32::MAX,
            offsets_retention_ms: 7 * 24 * 3_600_000,
            offsets_retention_check_interval_ms: 600_000,
            offset_metadata_max_bytes: 4_096,
            hash_seed: 0,
        }
    }
}

/// What the owner has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer a request. Every ticket is answered exactly once.
    Reply {
        /// Which request.
        ticket: Ticket,
        /// The answer.
        response: Response,
    },
    /// Append records, in one batch if they fit, and call [`Coordinator::written`] when all of them
    /// are durable, or none will be. The order of appends is the order of these effects.
    Append {
        /// Number to name the write by.
        write: u64,
        /// What to append; at least one record.
        records: Vec<Record>,
    },
}

/// A group, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupFigures<'a> {
    /// The group.
    pub group_id: &'a str,
    /// Name of its state.
    pub state: &'static str,
    /// Its protocol type; empty for a group that only holds offsets.
    pub protocol_type: &'a str,
    /// Members it has.
    pub members: usize,
    /// Its generation.
    pub generation_id: i32,
    /// Offsets it has committed.
    pub offsets: usize,
}

/// A committed offset, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetFigures<'a> {
    /// The group.
    pub group_id: &'a str,
    /// The topic's name.
    pub topic: &'a str,
    /// The id that the topic had; zero where it was not known.
    pub topic_id: TopicId,
    /// Partition number.
    pub partition: i32,
    /// The next offset that the group will read.
    pub offset: i64,
}

/// All groups of one partition of `__consumer_offsets`.
#[derive(Debug)]
pub struct Coordinator {
    settings: Settings,
}

impl Coordinator {
    /// No groups.
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }

    /// Other settings from now on.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// Applies one record of the log, oldest first, before [`Coordinator::start`]. Records of kinds
    /// that only newer versions of Kafka write are skipped.
    pub fn replay(
        &mut self,
        key: Option<&[u8]>,
        _value: Option<&[u8]>,
        _timestamp_ms: i64,
    ) -> Result<(), RecordError> {
        key.map(|_| ()).ok_or(RecordError::NoKey)
    }

    /// Loading is over: sessions of the members found run from now.
    pub fn start(&mut self, _now_ms: i64, _out: &mut Vec<Effect>) {}

    /// Takes a request. Its answer is in `out` now or after a later call.
    pub fn request(
        &mut self,
        _now_ms: i64,
        ticket: Ticket,
        request: Request,
        out: &mut Vec<Effect>,
    ) {
        let response = Response::refused(&request, ErrorCode::COORDINATOR_NOT_AVAILABLE);
        out.push(Effect::Reply { ticket, response });
    }

    /// An [`Effect::Append`] is durable, or failed with the code of the append. Writes are answered
    /// in the order in which they were asked for.
    pub fn written(
        &mut self,
        _now_ms: i64,
        _write: u64,
        _result: Result<(), ErrorCode>,
        _out: &mut Vec<Effect>,
    ) {
    }

    /// Does everything whose time has come.
    pub fn tick(&mut self, _now_ms: i64, _out: &mut Vec<Effect>) {}

    /// When [`Coordinator::tick`] has something to do; `None` while nothing is to be done by time.
    pub const fn next_deadline(&self) -> Option<i64> {
        None
    }

    /// A topic is gone: so are its offsets. Offsets of a topic of the same name with another id
    /// stay.
    pub fn topic_deleted(
        &mut self,
        _now_ms: i64,
        _topic: &str,
        _topic_id: TopicId,
        _out: &mut Vec<Effect>,
    ) {
    }

    /// Whether an [`Effect::Append`] has not been answered yet.
    pub const fn has_pending_writes(&self) -> bool {
        false
    }

    /// Bytes of keys and values that [`Coordinator::live_state`] would give.
    pub const fn live_bytes(&self) -> u64 {
        0
    }

    /// The whole state as records: replayed into a new coordinator, they make this one.
    ///
    /// # Panics
    /// While writes are pending: those are older in the log than the records given here, and newer
    /// in meaning.
    pub fn live_state(&self) -> Vec<Record> {
        assert!(!self.has_pending_writes(), "the state is asked for while it changes");
        Vec::new()
    }

    /// The groups, in no particular order.
    pub fn groups(&self) -> impl Iterator<Item = GroupFigures<'_>> {
        std::iter::empty()
    }

    /// All committed offsets, in no particular order.
    pub fn offsets(&self) -> impl Iterator<Item = OffsetFigures<'_>> {
        std::iter::empty()
    }

    /// Names and ids of the topics that have committed offsets, to compare with the topics that
    /// exist after loading: call [`Coordinator::topic_deleted`] for the others.
    pub fn topics(&self) -> impl Iterator<Item = (&str, TopicId)> {
        std::iter::empty()
    }
}
