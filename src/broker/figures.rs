//! What the broker says of itself, for the HTTP port.

use super::connection::Stats;
use crate::metrics::Traffic;
use crate::storage::engine::EngineStats;
use crate::types::TopicId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the runtime counts for its shard.
#[derive(Clone, Copy, Debug, Default)]
pub struct Readings {
    /// Processor time of the shard's thread, ns.
    pub cpu_ns: u64,
    /// How often it slept with work to do, and was signalled.
    pub missed_beats: u64,
    /// How often it did not come round for 50 ms: a task took that long,
    pub held: u64,
    /// a system call did,
    pub blocked: u64,
    /// or others had its processor.
    pub displaced: u64,
}

/// What one shard says of itself.
#[derive(Clone, Debug, Default)]
pub struct ShardFigures {
    /// Its storage.
    pub engine: EngineStats,
    /// The disk counts as full.
    pub disk_full: bool,
    /// Its connections.
    pub connections: Stats,
    /// What the runtime counts, as of its last look.
    pub readings: Readings,
    /// Panics that ended a request.
    pub panics: u64,
    /// Bytes of idempotent producers.
    pub producer_bytes: u64,
    /// Batches of new producers that were refused for want of memory.
    pub producers_refused: u64,
    /// Bytes of consumer groups: members, offsets, requests that wait.
    pub group_bytes: u64,
    /// Requests of groups that were refused for want of memory.
    pub group_requests_refused: u64,
    /// Bytes of fetch sessions.
    pub session_bytes: u64,
    /// Fetch sessions that were not begun for want of memory.
    pub sessions_refused: u64,
    /// Steps of work of all inputs.
    pub steps: u64,
    /// Steps of the input that cost most.
    pub steps_most: u64,
    /// What it has received and answered.
    pub traffic: Traffic,
    /// Brokers, or who says so, that were refused on the port for brokers, and that have refused this one.
    pub peers_refused: u64,
    /// What it leads and follows.
    pub replication: ReplicationFigures,
    /// The metadata quorum and its controller, on shard 0.
    pub controller: Option<ControllerFigures>,
}

/// How far a follower is behind, in the partition where that is most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplicaLag {
    /// Records.
    pub records: u64,
    /// Bytes: so many records, as large as those of the log are on average.
    pub bytes: u64,
    /// Since it was at the log's end, ms.
    pub ms: u64,
}

impl ReplicaLag {
    /// The larger of both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            records: self.records.max(other.records),
            bytes: self.bytes.max(other.bytes),
            ms: self.ms.max(other.ms),
        }
    }
}

/// What a shard says of what it leads and follows.
#[derive(Clone, Debug, Default)]
pub struct ReplicationFigures {
    /// ISRs that have become smaller, as this leader wished.
    pub isr_shrinks: u64,
    /// ISRs that have become larger.
    pub isr_expands: u64,
    /// Logs that were cut to what their leaders have.
    pub truncations: u64,
    /// Offsets that were cut off.
    pub truncated_offsets: u64,
    /// Logs that were found to be damaged, those of the start included.
    pub damaged: u64,
    /// Damaged logs that were copied anew, and are in sync again.
    pub repaired: u64,
    /// By node that follows, as of the last look at all partitions.
    pub lag: BTreeMap<i32, ReplicaLag>,
}

/// What a node says of the metadata quorum; what was decided, since its start while it led.
#[derive(Clone, Debug, Default)]
pub struct ControllerFigures {
    /// Raft's term.
    pub term: u64,
    /// The last entry that a majority has.
    pub committed: u64,
    /// The last entry that every shard has applied.
    pub applied: u64,
    /// Leaders that were elected, by reason.
    pub elections: BTreeMap<&'static str, u64>,
    /// Those of them that were not in sync.
    pub unclean: u64,
    /// Partitions that have lost their leader, and had nobody else.
    pub leaderless: u64,
    /// Brokers that were fenced, since nobody heard them.
    pub fenced: u64,
}

/// What one group says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupFigures {
    /// Its id.
    pub group_id: String,
    /// Name of its state.
    pub state: &'static str,
    /// Members that it has.
    pub members: u64,
    /// What it has committed, in no particular order.
    pub offsets: Vec<OffsetFigures>,
}

/// What a group has committed of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetFigures {
    /// The topic's name.
    pub topic: Arc<str>,
    /// Its id; zero where the commit had none.
    pub topic_id: TopicId,
    /// Partition number.
    pub partition: i32,
    /// The next offset that the group will read.
    pub offset: i64,
    /// How far the high watermark is beyond it, records; `None` where there is no such partition.
    pub lag: Option<i64>,
}
