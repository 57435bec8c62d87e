//! Verified chunks of segments in memory: what was just written back, and what cold reads brought.
//!
//! A chunk is a run of whole frames of one segment. Eviction is second chance over a queue: a hit
//! sets a mark, the hand clears it once before it evicts. Rejected: strict LRU, which moves an entry
//! at each hit, while tail reads hit the same few chunks all the time.
//!
//! It begins small and grows when a read of the disk brings what a larger one would still have held: a
//! broker that nobody reads from old offsets touches no memory for them.

use super::ghosts::Ghosts;
use crate::storage::interface::Slot;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// Chunks that stay whatever the limit.
const FEW: usize = 4;
/// How many times what was missed the cache grows.
const GROWTH: usize = 4;

/// A run of whole, verified frames.
#[derive(Debug)]
pub struct Chunk {
    /// Base offset of the segment.
    pub segment: i64,
    /// Position of `bytes[0]` in the segment, a frame boundary.
    pub position: u64,
    /// Offset after its last record.
    pub next: i64,
    /// Frames back to back, with the padding between them.
    pub bytes: Bytes,
    /// Bytes of memory that it keeps: more than its own where it is a part of what was read.
    held: usize,
    marked: bool,
}

impl Chunk {
    /// A chunk of `segment` that ends before offset `next`, in a buffer of `held` bytes.
    pub fn new(segment: i64, position: u64, next: i64, bytes: Bytes, held: usize) -> Self {
        Self { segment, position, next, bytes, held, marked: false }
    }

    /// Position in the segment behind its last frame.
    pub fn end(&self) -> u64 {
        self.position + self.bytes.len() as u64
    }
}

/// Chunks by log and first offset.
#[derive(Debug)]
pub struct Cache {
    chunks: BTreeMap<(Slot, i64), Chunk>,
    queue: VecDeque<(Slot, i64)>,
    bytes: usize,
    /// What it may have now.
    target: usize,
    /// What it may grow to.
    limit: usize,
    ghosts: Ghosts,
}

impl Cache {
    /// A cache of up to `target` bytes, which may grow to `limit` bytes.
    pub fn new(target: usize, limit: usize) -> Self {
        Self {
            chunks: BTreeMap::new(),
            queue: VecDeque::new(),
            bytes: 0,
            target: target.min(limit),
            limit,
            ghosts: Ghosts::default(),
        }
    }

    /// The disk is to be read for `offset`: grows if a larger cache would still have had it.
    pub fn missed(&mut self, slot: Slot, offset: i64) {
        if let Some(held) = self.ghosts.hit(slot, offset) {
            self.target = self.limit.min(self.target + GROWTH * held);
        }
    }

    /// Bytes of memory that all chunks keep.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a chunk whose first offset is `first`; one that is there already stays.
    pub fn insert(&mut self, slot: Slot, first: i64, chunk: Chunk) {
        let key = (slot, first);
        if let Some(old) = self.chunks.get(&key) {
            if old.next >= chunk.next {
                return;
            }
            self.remove(key);
        }
        self.bytes += chunk.held;
        self.chunks.insert(key, chunk);
        self.queue.push_back(key);
        self.shrink(self.target);
    }

    /// Evicts until at most `limit` bytes or a few chunks are left: what a cold read brought must
    /// stay until its reader has come back for it.
    pub fn shrink(&mut self, limit: usize) {
        while self.bytes > limit && self.chunks.len() > FEW {
            let Some(key) = self.queue.pop_front() else { return };
            match self.chunks.get_mut(&key) {
                Some(chunk) if chunk.marked => {
                    chunk.marked = false;
                    self.queue.push_back(key);
                }
                Some(chunk) => {
                    let (next, held) = (chunk.next, chunk.held);
                    self.remove(key);
                    self.ghosts.add(key, next, held, self.limit - self.target);
                }
                None => {}
            }
        }
    }

    fn remove(&mut self, key: (Slot, i64)) {
        if let Some(chunk) = self.chunks.remove(&key) {
            self.bytes -= chunk.held;
        }
        // The queue may still name the key; `shrink` passes over names without a chunk, so they are
        // swept here when they outnumber the chunks.
        if self.queue.len() > 2 * self.chunks.len() + 16 {
            let chunks = &self.chunks;
            self.queue.retain(|k| chunks.contains_key(k));
        }
    }

    /// The chunk with the greatest first offset at or below `offset`.
    pub fn floor(&mut self, slot: Slot, offset: i64) -> Option<&Chunk> {
        let range = (slot, i64::MIN)..=(slot, offset);
        let (_, chunk) = self.chunks.range_mut(range).next_back()?;
        if chunk.next > offset {
            chunk.marked = true;
        }
        Some(chunk)
    }

    /// Drops the chunks of a log that reach `from` or beyond, or all below `below`.
    pub fn forget(&mut self, slot: Slot, below: i64, from: i64) {
        let range = (slot, i64::MIN)..=(slot, i64::MAX);
        let gone: Vec<_> = self
            .chunks
            .range(range)
            .filter(|(_, c)| c.next <= below || c.next > from)
            .map(|(k, _)| *k)
            .collect();
        for key in gone {
            self.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(next: i64, len: usize) -> Chunk {
        Chunk::new(0, 0, next, Bytes::from(vec![0; len]), len)
    }

    #[test]
    fn what_is_read_outlives_what_is_not() {
        let mut cache = Cache::new(500, 500);
        let slot = Slot::from_index(1);
        for first in [0, 10, 20, 30, 40] {
            cache.insert(slot, first, chunk(first + 10, 100));
        }
        assert!(cache.floor(slot, 5).is_some_and(|c| c.next == 10));
        cache.insert(slot, 50, chunk(60, 100));
        assert_eq!(cache.bytes(), 500);
        assert!(cache.floor(slot, 9).is_some_and(|c| c.next == 10), "was read");
        assert!(cache.floor(slot, 19).is_some_and(|c| c.next == 10), "10..20 went");
        cache.forget(slot, 10, 35);
        assert_eq!(cache.bytes(), 100, "only 20..30 is left");
        cache.shrink(0);
        assert_eq!(cache.bytes(), 100, "a few stay");
    }

    #[test]
    fn it_grows_by_what_a_larger_one_would_have_held() {
        let mut cache = Cache::new(500, 2_000);
        let slot = Slot::from_index(1);
        let fill = |cache: &mut Cache, firsts: std::ops::Range<i64>| {
            for first in firsts.step_by(10) {
                cache.insert(slot, first, chunk(first + 10, 100));
            }
        };
        fill(&mut cache, 0..200);
        assert_eq!(cache.bytes(), 500, "nothing was missed");
        cache.missed(slot, 500);
        fill(&mut cache, 200..300);
        assert_eq!(cache.bytes(), 500, "it was never there");
        cache.missed(slot, 0);
        fill(&mut cache, 300..400);
        assert_eq!(cache.bytes(), 500, "the largest would not have it any more");
        cache.missed(slot, 333);
        fill(&mut cache, 400..600);
        assert_eq!(cache.bytes(), 900);
        for missed in (400..510).step_by(10) {
            cache.missed(slot, missed);
        }
        fill(&mut cache, 600..900);
        assert_eq!(cache.bytes(), 2_000, "the limit");
    }
}
