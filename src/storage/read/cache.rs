//! Verified chunks of segments in memory: what was just written back, and what reads of the disk brought.
//!
//! A chunk is whole frames of one segment, one behind the other. There are three kinds, each a queue of its own:
//!
//! - *Kept*: what was just written back, since who follows the log reads it next; and what proved to
//!   be read more than once. Eviction is second chance: a hit sets a mark, the hand clears it once
//!   before it evicts. Rejected: strict LRU, which moves an entry at each hit, while tail reads hit the
//!   same few chunks all the time.
//! - *Unread*: what the disk brought and its reader has not taken whole. They have a room of their own,
//!   beside that of the others, and go last when memory is short: the disk would have to bring them again.
//! - *Read*: what a reader has taken whole. They go first, before anything that is kept: a scan of old
//!   data leaves the end of the logs in memory, where it is (2Q: Johnson, Shasha, "2Q: A Low Overhead
//!   High Performance Buffer Management Replacement Algorithm", VLDB 1994). One that is read once more
//!   is kept from then on, and so is one that comes from the disk soon after it has left.
//!
//! It begins small and grows when a read of the disk brings what a larger one would still have held: a
//! broker that nobody reads from old offsets touches no memory for them. Where the disk was read for the same
//! before, it grows at once. Where not, the first reader of what was written long ago, it grows only into memory
//! that is touched and that nobody needs: it is not known that there will be a second one, and the first does not
//! wait for pages that the kernel has to find and clear. Nor do writers: beside them it never grows at once.

use super::ghosts::{Ghost, Ghosts};
use crate::storage::interface::Slot;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};

/// Chunks that stay whatever the limit, of those that are unread and of the others, while memory is not
/// short: what a reader waits for must be there when it comes.
const FEW: usize = 4;
/// How many times what was missed the cache grows.
const GROWTH: usize = 4;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Kept,
    Unread,
    Read,
}

/// Whole, verified frames, one behind the other.
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
    kind: Kind,
    /// The disk was read for it.
    was_read: bool,
    marked: bool,
    /// Offset after the last record that was taken of it, where it is not kept.
    taken: i64,
    /// It is to be kept when it was taken whole.
    again: bool,
}

impl Chunk {
    /// A chunk of `segment` that ends before offset `next`, in a buffer of `held` bytes; to be kept.
    pub fn new(segment: i64, position: u64, next: i64, bytes: Bytes, held: usize) -> Self {
        let (kind, was_read, marked) = (Kind::Kept, false, false);
        let (taken, again) = (i64::MIN, false);
        Self { segment, position, next, bytes, held, kind, was_read, marked, taken, again }
    }

    /// The same, for a reader that is to come. `again`: it was in memory not long ago.
    #[must_use]
    pub fn unread(self, again: bool) -> Self {
        Self { kind: Kind::Unread, was_read: true, again, ..self }
    }

    /// Position in the segment behind its last frame.
    pub fn end(&self) -> u64 {
        self.position + self.bytes.len() as u64
    }
}

type Key = (Slot, i64);

/// Chunks by log and first offset.
#[derive(Debug)]
pub struct Cache {
    chunks: BTreeMap<Key, Chunk>,
    /// By kind, oldest first. A name whose chunk is gone, or of another kind, is passed over.
    queues: [VecDeque<Key>; 3],
    bytes: usize,
    /// Part of `bytes`: what is unread, and how many chunks that is.
    unread: usize,
    unread_chunks: usize,
    /// What kept and read may take, if memory can be spared for them.
    target: usize,
    /// What they have grown to. At most `target`, at least the `start` below.
    grown: usize,
    start: usize,
    /// What that may grow to.
    limit: usize,
    /// What is unread may take.
    unread_limit: usize,
    /// Somebody writes to the same shard.
    beside_writers: bool,
    ghosts: Ghosts,
}

impl Cache {
    /// A cache of up to `target` bytes, which may grow to `limit` bytes, and of `unread` bytes beside
    /// them that no reader has taken yet.
    pub fn new(target: usize, limit: usize, unread: usize) -> Self {
        Self {
            chunks: BTreeMap::new(),
            queues: Default::default(),
            bytes: 0,
            unread: 0,
            unread_chunks: 0,
            target: target.min(limit),
            grown: target.min(limit),
            start: target.min(limit),
            limit,
            unread_limit: unread,
            beside_writers: false,
            ghosts: Ghosts::default(),
        }
    }

    /// The disk is to be read for `offset`: grows if a larger cache would still have had it, which is
    /// what it says.
    pub fn missed(&mut self, slot: Slot, offset: i64) -> bool {
        let Some(ghost) = self.ghosts.hit(slot, offset) else { return false };
        let growth = GROWTH * ghost.held;
        self.target = self.limit.min(self.target + growth);
        if ghost.was_read && !self.beside_writers {
            self.grown = self.target.min(self.grown + growth);
        }
        true
    }

    /// Whether somebody writes to the same shard, who is not to wait for memory that only the cache wants: neither
    /// for what it may take from now on, nor for what it was to take before the writer came.
    pub fn set_beside_writers(&mut self, beside_writers: bool) {
        if beside_writers && !self.beside_writers {
            self.keep_what_is_held();
        }
        self.beside_writers = beside_writers;
    }

    /// Bytes of memory that all chunks keep.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a chunk whose first offset is `first`; one that is there already stays. `spare` says whether so
    /// many bytes more may stay.
    pub fn insert(
        &mut self,
        slot: Slot,
        first: i64,
        chunk: Chunk,
        spare: impl FnOnce(usize) -> bool,
    ) {
        let key = (slot, first);
        if let Some(old) = self.chunks.get(&key) {
            if old.next >= chunk.next {
                return;
            }
            self.remove(key);
        }
        self.bytes += chunk.held;
        if chunk.kind == Kind::Unread {
            self.unread += chunk.held;
            self.unread_chunks += 1;
        }
        self.queues[chunk.kind as usize].push_back(key);
        self.chunks.insert(key, chunk);
        while self.unread > self.unread_limit && self.evict(Kind::Unread, FEW) {}
        self.settle(spare);
    }

    /// Grows if it may, and evicts what is too much.
    fn settle(&mut self, spare: impl FnOnce(usize) -> bool) {
        let now = self.bytes - self.unread;
        let wanted = now.min(self.target);
        if wanted > self.grown && spare(wanted - self.grown) {
            self.grown = wanted;
        }
        self.shrink_to(self.grown);
    }

    /// Evicts until at most `bytes` bytes are left, because memory is short: what nobody waits for to the
    /// last chunk, then what is unread but for the newest, whose reader is told of it now. Chunks that stayed
    /// whatever they take could be all of the memory, and a reader waits for memory before it reads.
    pub fn shrink(&mut self, bytes: usize) {
        let others = bytes.saturating_sub(self.unread);
        while self.bytes - self.unread > others
            && (self.evict(Kind::Read, 0) || self.evict(Kind::Kept, 0))
        {}
        while self.bytes > bytes && self.evict(Kind::Unread, 1) {}
        self.keep_what_is_held();
    }

    /// Takes no memory beyond what chunks take now before it has asked for it again.
    fn keep_what_is_held(&mut self) {
        self.grown = self.grown.min(self.bytes - self.unread).max(self.start);
    }

    /// Evicts until what is not unread has at most `bytes` bytes.
    fn shrink_to(&mut self, bytes: usize) {
        while self.bytes - self.unread > bytes
            && (self.evict(Kind::Read, FEW) || self.evict(Kind::Kept, FEW))
        {}
    }

    /// Evicts the oldest of a kind. False where there is none, or only `few` chunks are left, of those that are
    /// unread or of the others.
    fn evict(&mut self, kind: Kind, few: usize) -> bool {
        let others = self.chunks.len() - self.unread_chunks;
        let chunks = if kind == Kind::Unread { self.unread_chunks } else { others };
        while chunks > few
            && let Some(key) = self.queues[kind as usize].pop_front()
        {
            let Some(chunk) = self.chunks.get_mut(&key).filter(|it| it.kind == kind) else {
                continue;
            };
            if std::mem::take(&mut chunk.marked) {
                self.queues[kind as usize].push_back(key);
                continue;
            }
            let ghost = Ghost { next: chunk.next, held: chunk.held, was_read: chunk.was_read };
            self.remove(key);
            // What nobody has read does not say that the cache is too small.
            if kind != Kind::Unread {
                self.ghosts.add(key, ghost, self.limit - self.grown);
            }
            return true;
        }
        false
    }

    fn remove(&mut self, key: Key) {
        if let Some(chunk) = self.chunks.remove(&key) {
            self.bytes -= chunk.held;
            if chunk.kind == Kind::Unread {
                self.unread -= chunk.held;
                self.unread_chunks -= 1;
            }
        }
        self.sweep();
    }

    /// Names of chunks that are not there go when they outnumber the chunks.
    fn sweep(&mut self) {
        if self.queues.iter().map(VecDeque::len).sum::<usize>() > 2 * self.chunks.len() + 16 {
            let chunks = &self.chunks;
            for (queue, kind) in self.queues.iter_mut().zip([Kind::Kept, Kind::Unread, Kind::Read])
            {
                queue.retain(|key| chunks.get(key).is_some_and(|it| it.kind == kind));
            }
        }
    }

    /// The chunk with the greatest first offset at or below `offset`.
    pub fn floor(&mut self, slot: Slot, offset: i64) -> Option<&Chunk> {
        let range = (slot, i64::MIN)..=(slot, offset);
        let (_, chunk) = self.chunks.range_mut(range).next_back()?;
        if chunk.next > offset && chunk.kind == Kind::Kept {
            chunk.marked = true;
        }
        Some(chunk)
    }

    /// Records from `from` up to `next` were taken of the chunk that holds `from`. `spare` as for
    /// [`insert`](Self::insert).
    pub fn taken(&mut self, slot: Slot, from: i64, next: i64, spare: impl FnOnce(usize) -> bool) {
        let range = (slot, i64::MIN)..=(slot, from);
        let Some((&key, chunk)) = self.chunks.range_mut(range).next_back() else { return };
        let before = chunk.kind;
        let again = from < chunk.taken;
        chunk.taken = chunk.taken.max(next);
        chunk.kind = match before {
            Kind::Kept => return,
            _ if again => Kind::Kept,
            _ if chunk.taken < chunk.next => before,
            _ if chunk.again => Kind::Kept,
            _ => Kind::Read,
        };
        if chunk.kind != before {
            if before == Kind::Unread {
                self.unread -= chunk.held;
                self.unread_chunks -= 1;
            }
            self.queues[chunk.kind as usize].push_back(key);
            self.sweep();
            self.settle(spare);
        }
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

    /// Asserts what must always hold.
    pub fn invariants(&self) {
        let held = |it: &Chunk| it.held;
        assert_eq!(self.chunks.values().map(held).sum::<usize>(), self.bytes);
        let unread = self.chunks.values().filter(|it| it.kind == Kind::Unread);
        assert_eq!(unread.clone().map(held).sum::<usize>(), self.unread);
        assert_eq!(unread.count(), self.unread_chunks);
        let named = |kind: Kind| self.queues[kind as usize].iter().map(move |key| (*key, kind));
        let named: BTreeMap<_, _> = [Kind::Kept, Kind::Unread, Kind::Read]
            .into_iter()
            .flat_map(named)
            .filter(|(key, kind)| self.chunks.get(key).is_some_and(|it| it.kind == *kind))
            .collect();
        assert_eq!(named.len(), self.chunks.len(), "each is in the queue of its kind");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Slot = Slot::from_index(1);

    fn chunk(next: i64, len: usize) -> Chunk {
        Chunk::new(0, 0, next, Bytes::from(vec![0; len]), len)
    }

    fn holds(cache: &mut Cache, offset: i64) -> bool {
        cache.invariants();
        let range = (SLOT, i64::MIN)..=(SLOT, offset);
        cache.chunks.range(range).next_back().is_some_and(|(_, it)| it.next > offset)
    }

    #[test]
    fn what_is_read_outlives_what_is_not() {
        let mut cache = Cache::new(500, 500, 0);
        for first in [0, 10, 20, 30, 40] {
            cache.insert(SLOT, first, chunk(first + 10, 100), |_| true);
        }
        assert!(cache.floor(SLOT, 5).is_some_and(|c| c.next == 10));
        cache.insert(SLOT, 50, chunk(60, 100), |_| true);
        assert_eq!(cache.bytes(), 500);
        assert!(cache.floor(SLOT, 9).is_some_and(|c| c.next == 10), "was read");
        assert!(cache.floor(SLOT, 19).is_some_and(|c| c.next == 10), "10..20 went");
        cache.forget(SLOT, 10, 35);
        assert_eq!(cache.bytes(), 100, "only 20..30 is left");
        cache.shrink(0);
        assert_eq!(cache.bytes(), 0, "nobody waits for it");
        cache.invariants();
    }

    #[test]
    fn it_grows_by_what_a_larger_one_would_have_held() {
        let mut cache = Cache::new(500, 2_000, 0);
        let fill = |cache: &mut Cache, firsts: std::ops::Range<i64>| {
            for first in firsts.step_by(10) {
                cache.insert(SLOT, first, chunk(first + 10, 100), |_| true);
            }
        };
        fill(&mut cache, 0..200);
        assert_eq!(cache.bytes(), 500, "nothing was missed");
        assert!(!cache.missed(SLOT, 500));
        fill(&mut cache, 200..300);
        assert_eq!(cache.bytes(), 500, "it was never there");
        assert!(!cache.missed(SLOT, 0));
        fill(&mut cache, 300..400);
        assert_eq!(cache.bytes(), 500, "the largest would not have it any more");
        assert!(cache.missed(SLOT, 333));
        fill(&mut cache, 400..600);
        assert_eq!(cache.bytes(), 900);
        for missed in (400..510).step_by(10) {
            cache.missed(SLOT, missed);
        }
        fill(&mut cache, 600..900);
        assert_eq!(cache.bytes(), 2_000, "the limit");
    }

    #[test]
    fn it_grows_only_into_memory_that_is_spare() {
        let mut cache = Cache::new(500, 2_000, 0);
        let fill = |cache: &mut Cache, firsts: std::ops::Range<i64>, ready: bool| {
            for first in firsts.step_by(10) {
                cache.insert(SLOT, first, chunk(first + 10, 100), |_| ready);
            }
        };
        fill(&mut cache, 0..100, true);
        for missed in (0..50).step_by(10) {
            assert!(cache.missed(SLOT, missed));
        }
        fill(&mut cache, 100..200, false);
        assert_eq!(cache.bytes(), 500);
        assert!(!cache.missed(SLOT, 195), "it is there");
        fill(&mut cache, 200..230, true);
        assert_eq!(cache.bytes(), 800);
        fill(&mut cache, 230..300, false);
        assert_eq!(cache.bytes(), 800, "what it has it keeps");
        // The disk was read for the same before.
        cache.insert(SLOT, 900, chunk(910, 100).unread(false), |_| false);
        cache.taken(SLOT, 900, 910, |_| false);
        fill(&mut cache, 300..310, false);
        assert_eq!(cache.bytes(), 800);
        cache.set_beside_writers(true);
        assert!(cache.missed(SLOT, 900));
        fill(&mut cache, 310..320, false);
        assert_eq!(cache.bytes(), 800);
        cache.insert(SLOT, 910, chunk(920, 100).unread(false), |_| false);
        cache.taken(SLOT, 910, 920, |_| false);
        fill(&mut cache, 320..330, false);
        cache.set_beside_writers(false);
        assert!(cache.missed(SLOT, 910));
        fill(&mut cache, 330..350, false);
        assert_eq!(cache.bytes(), 1_000);
        // A writer comes, and goes.
        cache.set_beside_writers(true);
        fill(&mut cache, 350..400, false);
        assert_eq!(cache.bytes(), 1_000, "it was to grow to 1,200");
        cache.set_beside_writers(false);
        cache.shrink(300);
        fill(&mut cache, 300..400, false);
        assert_eq!(cache.bytes(), 500, "what it began with it takes");
        fill(&mut cache, 400..600, true);
        assert_eq!(cache.bytes(), 2_000);
    }

    /// A reader takes what the disk brings, in two bites each.
    fn scan(cache: &mut Cache, firsts: std::ops::Range<i64>) {
        for first in firsts.step_by(10) {
            cache.insert(SLOT, first, chunk(first + 10, 100).unread(false), |_| true);
            assert!(holds(cache, first));
            cache.taken(SLOT, first, first + 4, |_| true);
            assert!(holds(cache, first), "half of it is still to be read");
            cache.taken(SLOT, first + 4, first + 10, |_| true);
        }
    }

    #[test]
    fn a_scan_does_not_push_out_what_is_kept() {
        let mut cache = Cache::new(500, 500, 200);
        for first in (1000..1040).step_by(10) {
            cache.insert(SLOT, first, chunk(first + 10, 100), |_| true);
        }
        scan(&mut cache, 0..1000);
        assert!((1000..1040).all(|offset| holds(&mut cache, offset)));
        assert!(holds(&mut cache, 995) && !holds(&mut cache, 985), "what is free serves for it");
        // What is written back meanwhile takes the place of what was read.
        cache.insert(SLOT, 1040, chunk(1050, 100), |_| true);
        assert!((1000..1050).all(|offset| holds(&mut cache, offset)) && !holds(&mut cache, 995));
    }

    #[test]
    fn what_is_read_twice_is_kept() {
        let mut cache = Cache::new(500, 5_000, 200);
        scan(&mut cache, 0..50);
        cache.taken(SLOT, 10, 20, |_| true);
        scan(&mut cache, 50..500);
        assert!(holds(&mut cache, 15) && !holds(&mut cache, 5) && !holds(&mut cache, 25));
        // A larger one would have had it: it makes room for both.
        assert!(cache.missed(SLOT, 255));
        scan(&mut cache, 500..600);
        assert_eq!(cache.bytes(), 900);
    }

    #[test]
    fn what_no_reader_has_taken_goes_last_and_has_a_limit() {
        let mut cache = Cache::new(2_000, 2_000, 1_000);
        for first in (0..200).step_by(10) {
            cache.insert(SLOT, first, chunk(first + 10, 100).unread(false), |_| true);
        }
        assert_eq!(cache.bytes(), 1_000, "the oldest went");
        assert!(!holds(&mut cache, 95) && holds(&mut cache, 105));
        assert!(!cache.missed(SLOT, 5), "and say nothing of how large it should be");
        for first in (1000..1200).step_by(10) {
            cache.insert(SLOT, first, chunk(first + 10, 100), |_| true);
        }
        assert_eq!(cache.bytes(), 3_000);
        cache.shrink(1_600);
        assert!((100..200).all(|offset| holds(&mut cache, offset)));
        assert!(holds(&mut cache, 1145) && !holds(&mut cache, 1135));
        cache.shrink(200);
        assert_eq!(cache.bytes(), 200);
        assert!((180..200).all(|offset| holds(&mut cache, offset)));
        cache.shrink(0);
        assert_eq!(cache.bytes(), 100, "the newest stays");
        assert!(holds(&mut cache, 195));
    }

    #[test]
    fn the_newest_that_a_reader_waits_for_stays_whatever_else_there_is() {
        let mut cache = Cache::new(0, 0, 0);
        for first in (1000..1050).step_by(10) {
            cache.insert(SLOT, first, chunk(first + 10, 100), |_| true);
        }
        for first in (0..100).step_by(10) {
            cache.insert(SLOT, first, chunk(first + 10, 100).unread(false), |_| true);
            assert!(holds(&mut cache, first));
        }
    }

    #[test]
    fn what_was_in_memory_not_long_ago_is_kept_when_it_was_taken() {
        let mut cache = Cache::new(500, 500, 200);
        cache.insert(SLOT, 1000, chunk(1010, 100).unread(true), |_| true);
        cache.taken(SLOT, 1000, 1010, |_| true);
        scan(&mut cache, 0..500);
        assert!(holds(&mut cache, 1005));
    }
}
