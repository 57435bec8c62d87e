//! One partition of a shard.

use crate::controller::Topic;
use crate::replica::Partition;
use crate::types::TopicConfig;
use std::collections::VecDeque;
use std::sync::Arc;

/// One partition of which this shard has a replica.
pub(super) struct Part {
    pub(super) core: Partition,
    pub(super) config: Arc<TopicConfig>,
    /// Where readers of committed records stopped when they were last told.
    pub(super) stable: i64,
    /// Appends, and frames of a leader, that are not committed yet: the end of each, and its bytes.
    pub(super) unacked: VecDeque<(i64, u32)>,
    /// Keys of `Logs::waiters`.
    pub(super) waiters: Vec<usize>,
    /// Appends that are answered when they are committed, in order.
    pub(super) awaiting: VecDeque<Awaiting>,
    /// Appends that were sent before and whose original is not durable yet: its last offset, and
    /// the key in `Logs::tasks`; or not committed, where they are answered then.
    pub(super) duplicates: Vec<(i64, usize, bool)>,
}

/// An append that is answered when it is committed.
pub(super) struct Awaiting {
    /// Offset after its last record.
    pub(super) end: i64,
    /// The key in `Logs::tasks`, and the place in its results.
    pub(super) key: usize,
    pub(super) at: usize,
    /// It is refused at this time, ms.
    pub(super) until_ms: i64,
}

impl Part {
    pub(super) fn new(core: Partition, topic: &Topic) -> Self {
        Self {
            core,
            config: topic.config.clone(),
            stable: 0,
            unacked: VecDeque::new(),
            waiters: Vec::new(),
            awaiting: VecDeque::new(),
            duplicates: Vec::new(),
        }
    }
}
