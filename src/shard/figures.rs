//! What the broker says of itself, for the admin port.

use crate::metrics::Traffic;
use crate::storage::engine::EngineStats;
use crate::types::TopicId;

/// What one shard says of itself.
#[derive(Clone, Debug, Default)]
pub struct ShardFigures {
    /// Its storage.
    pub engine: EngineStats,
    /// Open connections.
    pub connections: u64,
    /// Bytes of requests in memory.
    pub request_bytes: u64,
    /// The disk counts as full.
    pub disk_full: bool,
    /// How often it slept with work to do, or one task took long, and it was signalled.
    pub missed_beats: u64,
    /// Processor time of its thread, ns.
    pub cpu_ns: u64,
    /// What it has received and answered.
    pub traffic: Traffic,
}

/// What the process says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessFigures {
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Connections closed by a panic.
    pub panics: u64,
    /// Bytes charged to the memory budget.
    pub memory_used: u64,
    /// The memory budget, bytes.
    pub memory_limit: u64,
    /// Topics.
    pub topics: u64,
    /// Partitions.
    pub partitions: u64,
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
    pub topic: String,
    /// Its id; zero where the commit had none.
    pub topic_id: TopicId,
    /// Partition number.
    pub partition: i32,
    /// The next offset that the group will read.
    pub offset: i64,
    /// How far the high watermark is beyond it, records; `None` where there is no such partition.
    pub lag: Option<i64>,
}
