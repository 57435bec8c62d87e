//! What a larger cache would still hold: names of evicted chunks, without their bytes.
//!
//! A read of the disk that asks for one of them is what the cache is too small for (the ghost lists of
//! ARC: Megiddo, Modha, "ARC: A Self-Tuning, Low Overhead Replacement Cache", FAST 2003).

use crate::storage::interface::Slot;
use std::collections::{BTreeMap, VecDeque};

/// Names kept whatever the bytes: some MB of them.
const MOST: usize = 1 << 16;

/// A chunk that was evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ghost {
    /// Offset after its last record.
    pub next: i64,
    /// Bytes of memory that it took.
    pub held: usize,
    /// The disk was read for it.
    pub was_read: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Ghosts {
    by_offset: BTreeMap<(Slot, i64), Ghost>,
    /// In the order of their eviction. A name without a ghost was hit, and is passed over.
    queue: VecDeque<(Slot, i64)>,
    bytes: usize,
}

impl Ghosts {
    /// Remembers a chunk, and the latest ones before it up to `limit` bytes.
    pub fn add(&mut self, key: (Slot, i64), ghost: Ghost, limit: usize) {
        self.bytes += ghost.held;
        if let Some(old) = self.by_offset.insert(key, ghost) {
            self.bytes -= old.held;
        }
        self.queue.push_back(key);
        while self.bytes > limit || self.queue.len() > MOST {
            let Some(oldest) = self.queue.pop_front() else { return };
            self.remove(oldest);
        }
    }

    fn remove(&mut self, key: (Slot, i64)) -> Option<Ghost> {
        let ghost = self.by_offset.remove(&key)?;
        self.bytes -= ghost.held;
        Some(ghost)
    }

    /// Takes the ghost that held `offset`.
    pub fn hit(&mut self, slot: Slot, offset: i64) -> Option<Ghost> {
        let range = (slot, i64::MIN)..=(slot, offset);
        let (key, ghost) = self.by_offset.range(range).next_back()?;
        let key = *key;
        if ghost.next > offset { self.remove(key) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_remembered_and_each_is_hit_once() {
        let (mut ghosts, slot, other) =
            (Ghosts::default(), Slot::from_index(1), Slot::from_index(2));
        let ghost = |next, held| Ghost { next, held, was_read: false };
        for first in [0, 10, 20, 30] {
            ghosts.add((slot, first), ghost(first + 5, 100), 300);
        }
        assert_eq!(ghosts.hit(slot, 3), None, "the oldest is forgotten");
        assert_eq!(ghosts.hit(slot, 16), None, "between two");
        assert_eq!(ghosts.hit(other, 12), None, "another log");
        assert_eq!(ghosts.hit(slot, 14), Some(ghost(15, 100)));
        assert_eq!(ghosts.hit(slot, 14), None);
        ghosts.add((slot, 40), ghost(45, 250), 300);
        assert_eq!(ghosts.hit(slot, 30), None);
        assert_eq!(ghosts.hit(slot, 40), Some(ghost(45, 250)));
        assert_eq!(ghosts.bytes, 0);
    }
}
