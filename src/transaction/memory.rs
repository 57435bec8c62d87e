//! What transactional ids take in memory, and how much they may.

use std::cell::Cell;
use std::rc::Rc;

/// What the transactional ids of several coordinators, those of one shard, take together.
#[derive(Clone, Debug)]
pub struct Memory {
    used: Rc<Cell<usize>>,
    limit: Rc<Cell<usize>>,
}

impl Default for Memory {
    /// Without a limit.
    fn default() -> Self {
        Self { used: Rc::default(), limit: Rc::new(Cell::new(usize::MAX)) }
    }
}

impl Memory {
    /// At most so many bytes from now on; what is there stays.
    pub fn set_limit(&self, limit: usize) {
        self.limit.set(limit);
    }

    /// Whether nothing more is to be taken.
    pub(super) fn is_used_up(&self) -> bool {
        self.used.get() >= self.limit.get()
    }

    /// One of those who share this takes `now` bytes instead of `before`.
    pub(super) fn change(&self, before: usize, now: usize) {
        self.used.set(self.used.get() + now - before);
    }
}
