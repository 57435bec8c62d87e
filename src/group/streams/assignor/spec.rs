//! What the assignor is asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::group::streams::tasks::Tasks;
use crate::group::streams::topology::ConfiguredSubtopology;

/// The subtopologies whose tasks are assigned, by id.
pub type Subtopologies = Arc<BTreeMap<Arc<str>, ConfiguredSubtopology>>;

/// A member, as the assignor sees it.
#[derive(Clone, Copy, Debug)]
pub struct MemberSpec<'a> {
    /// Its id, which no other member has.
    pub id: &'a str,
    /// The process that it is a thread of, one of some: these share a disk, so one copy of a task's state is enough.
    pub process_id: &'a str,
    /// Its target assignment so far.
    pub assigned: &'a Arc<Tasks>,
}
