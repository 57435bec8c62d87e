//! Who has tasks, by their numbers.

use std::collections::BTreeMap;

/// No member.
const NOBODY: u32 = u32::MAX;

/// Where tasks are active, and who has standbys of them.
#[derive(Debug, Default)]
pub struct Owners {
    active: Vec<u32>,
    /// In the order in which they got them.
    standby: BTreeMap<u32, Vec<u32>>,
}

impl Owners {
    /// So many more tasks.
    pub fn add(&mut self, count: u32) {
        self.active.resize(self.active.len() + count as usize, NOBODY);
    }

    /// How many tasks there are.
    pub fn count(&self) -> usize {
        self.active.len()
    }

    /// Where a task is active.
    pub fn active(&self, task: u32) -> Option<u32> {
        Some(self.active[task as usize]).filter(|it| *it != NOBODY)
    }

    /// A task is active at this member.
    pub fn set_active(&mut self, task: u32, member: u32) {
        self.active[task as usize] = member;
    }

    /// Who has standbys of a task.
    pub fn standbys(&self, task: u32) -> &[u32] {
        self.standby.get(&task).map_or(&[], |it| it)
    }

    /// A member has a standby of a task.
    pub fn add_standby(&mut self, task: u32, member: u32) {
        self.standby.entry(task).or_default().push(member);
    }

    /// About so much memory is taken, bytes.
    pub fn bytes(&self) -> usize {
        self.active.len() * 4 + self.standby.len() * 80
    }
}
