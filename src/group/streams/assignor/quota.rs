//! How many tasks a member may keep.

/// What is left to be shared by those who have not had their part.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quota {
    tasks: usize,
    members: usize,
    each: usize,
}

impl Quota {
    /// So many tasks for so many members.
    pub fn new(tasks: usize, members: usize) -> Self {
        Self { tasks, members, each: share(tasks, members) }
    }

    /// A member that has so many tasks may keep one more.
    pub fn has_room(&self, tasks: usize) -> bool {
        tasks < self.each
    }

    /// A member was given a task and has so many now. Where that is its part, the others share the rest: the larger parts
    /// are had by those who come first.
    pub fn given(&mut self, tasks: usize) {
        if tasks == self.each {
            *self = Self::new(self.tasks.saturating_sub(tasks), self.members.saturating_sub(1));
        }
    }
}

fn share(tasks: usize, members: usize) -> usize {
    if members == 0 { 0 } else { tasks.div_ceil(members) }
}
