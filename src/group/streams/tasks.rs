//! The tasks of a streams group. A task is a subtopology and a partition: it reads this partition of each of the
//! subtopology's source topics.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Partitions by the id of their subtopology, both ascending. A subtopology without any is not in it.
pub type TaskIds = BTreeMap<Arc<str>, Vec<i32>>;

/// The tasks of a member, by what it does with them. No task is in two of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tasks {
    /// It processes these; each task of the group has one member that does.
    pub active: TaskIds,
    /// It keeps copies of their state, to take them over soon.
    pub standby: TaskIds,
    /// It builds up their state, and has them as active ones when it has caught up. Kafka 4.3's assignor gives none.
    pub warmup: TaskIds,
}

impl Tasks {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.active.is_empty() && self.standby.is_empty() && self.warmup.is_empty()
    }
}
