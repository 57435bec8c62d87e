//! What clients make a shard keep beside records and requests: idempotent producers, consumer groups
//! and fetch sessions. All of it is charged to the memory budget of the process as it grows and
//! shrinks. None that lives is forgotten for want of memory: new ones are refused, each kind when its
//! share is used up, groups and sessions when the budget is short, too.

use crate::storage::buffer::Budget;
use std::cell::Cell;
use std::sync::Arc;

/// One part in so many of the budget is left to what has no other memory: answers and appends.
const SPARE: usize = 32;

/// Memory of one kind, charged to the budget until this goes.
pub struct Charge {
    budget: Arc<Budget>,
    share: usize,
    bytes: Cell<usize>,
}

impl Charge {
    /// A kind that takes no more than `share` bytes by what is new.
    pub fn new(budget: &Arc<Budget>, share: usize) -> Self {
        Self { budget: budget.clone(), share, bytes: Cell::new(0) }
    }

    /// It takes so many bytes now; how many it may take, by what is new.
    pub fn set(&self, bytes: usize) -> usize {
        let before = self.bytes.replace(bytes);
        if bytes > before {
            self.budget.charge(bytes - before);
        } else if bytes < before {
            self.budget.release(before - bytes);
        }
        let left = self.budget.left().saturating_sub(self.budget.limit() / SPARE);
        self.share.min(bytes.saturating_add(left))
    }

    /// Bytes that it takes at most, by what is new, however much the budget has left.
    pub fn share(&self) -> usize {
        self.share
    }

    /// Bytes that are charged.
    pub fn bytes(&self) -> usize {
        self.bytes.get()
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.release(self.bytes.get());
    }
}
