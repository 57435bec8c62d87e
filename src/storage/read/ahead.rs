//! Readers that go on where they were, and how far is read ahead of each.
//!
//! A reader is told by where it goes on: a read that begins where an earlier one ended is the same
//! reader's. Nothing is read ahead of one that was seen once. Its window grows when it has to wait for
//! the disk, so one that is slower than the disk keeps a small one; it shrinks when what was read ahead
//! has left the memory before the reader came. All windows together have a limit, and grow no
//! further while memory is short.

use crate::storage::interface::Slot;
use slab::Slab;
use std::collections::{BTreeMap, VecDeque};

/// A window begins with this.
const FIRST: usize = 512 << 10;
/// Readers that are told apart. Of more, those that have not read for longest are forgotten.
const READERS: usize = 4096;

/// How much may be read ahead.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes of one reader.
    pub window: usize,
    /// Bytes of all of them.
    pub all: usize,
}

/// Something that is in memory or under way ahead of a reader.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Offset after its last record.
    next: i64,
    bytes: usize,
}

#[derive(Debug)]
struct Reader {
    slot: Slot,
    /// Where it goes on.
    at: i64,
    /// It has read something: when it comes again, it is where it was.
    moved: bool,
    window: usize,
    /// What is ahead, in order.
    pieces: VecDeque<Piece>,
    bytes: usize,
    /// It is in `hungry`.
    listed: bool,
    stamp: u64,
}

impl Reader {
    /// Offset after all that is ahead.
    fn end(&self) -> i64 {
        self.pieces.back().map_or(self.at, |it| it.next)
    }
}

/// A name of a reader; void when it is forgotten.
pub(super) type ReaderId = (usize, u64);

/// See the module.
#[derive(Debug)]
pub(super) struct Ahead {
    limits: Limits,
    readers: Slab<(u64, Reader)>,
    by_place: BTreeMap<(Slot, i64), usize>,
    by_stamp: BTreeMap<u64, usize>,
    /// Those whose windows may have room, and void names.
    hungry: VecDeque<ReaderId>,
    stamp: u64,
    made: u64,
    /// Bytes ahead of all readers.
    bytes: usize,
}

impl Ahead {
    /// Without readers.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            readers: Slab::new(),
            by_place: BTreeMap::new(),
            by_stamp: BTreeMap::new(),
            hungry: VecDeque::new(),
            stamp: 0,
            made: 0,
            bytes: 0,
        }
    }

    /// A reader wants what is at `at`, and that is not in memory. `under_way`: it is being read. Whether
    /// it is a reader that goes on where it was.
    pub fn missed(&mut self, slot: Slot, at: i64, under_way: bool) -> bool {
        let Some(&key) = self.by_place.get(&(slot, at)) else {
            self.add(slot, at);
            return false;
        };
        self.touch(key);
        let limit = self.limits.window.min(self.limits.all);
        let (_, reader) = &mut self.readers[key];
        if !reader.moved {
            return false;
        }
        if !under_way && reader.end() > at {
            // It was read for nothing.
            self.bytes -= std::mem::take(&mut reader.bytes);
            reader.pieces.clear();
            reader.window /= 2;
        } else {
            reader.window = (reader.window * 2).max(FIRST).min(limit);
        }
        self.list(key);
        true
    }

    /// A reader that was at `from` has read up to `next`.
    pub fn moved(&mut self, slot: Slot, from: i64, next: i64) {
        let Some(key) = self.by_place.remove(&(slot, from)) else { return };
        if let Some(&other) = self.by_place.get(&(slot, next))
            && other != key
        {
            // Two in step are one.
            self.remove(other);
        }
        self.by_place.insert((slot, next), key);
        self.touch(key);
        let (_, reader) = &mut self.readers[key];
        if std::mem::replace(&mut reader.moved, true) && reader.window == 0 {
            reader.window = FIRST.min(self.limits.window).min(self.limits.all);
        }
        reader.at = next;
        while let Some(first) = reader.pieces.front().copied().filter(|it| it.next <= next) {
            reader.pieces.pop_front();
            reader.bytes -= first.bytes;
            self.bytes -= first.bytes;
        }
        self.list(key);
    }

    /// The next reader whose window has room, how much, and from which offset on; it is to be answered
    /// with [`add_piece`](Self::add_piece), or with [`leave`](Self::leave).
    pub fn next(&mut self) -> Option<(ReaderId, Slot, i64, usize)> {
        while let Some(&id) = self.hungry.front() {
            if let Some(reader) = self.get(id) {
                let left = self.limits.all.saturating_sub(self.bytes);
                let room = reader.window.saturating_sub(reader.bytes).min(left);
                if room > 0 {
                    return Some((id, reader.slot, reader.end(), room));
                }
            }
            self.leave(id);
        }
        None
    }

    /// What is ahead of a reader reaches up to `next`, by so many bytes more. Others come first now.
    pub fn add_piece(&mut self, id: ReaderId, next: i64, bytes: usize) {
        let Some((made, reader)) = self.readers.get_mut(id.0) else { return };
        if *made == id.1 {
            debug_assert!(next > reader.end());
            reader.pieces.push_back(Piece { next, bytes });
            reader.bytes += bytes;
            self.bytes += bytes;
        }
        if self.hungry.front() == Some(&id) {
            self.hungry.rotate_left(1);
        }
    }

    /// Nothing more can be read ahead of this one, the first in the list, before it reads.
    pub fn leave(&mut self, id: ReaderId) {
        debug_assert_eq!(self.hungry.front(), Some(&id));
        self.hungry.pop_front();
        if let Some((made, reader)) = self.readers.get_mut(id.0)
            && *made == id.1
        {
            reader.listed = false;
        }
    }

    /// More can be read ahead of readers of this log than could before.
    pub fn look_at(&mut self, slot: Slot) {
        for key in self.of_log(slot) {
            self.list(key);
        }
    }

    /// Forgets the readers of a log.
    pub fn forget(&mut self, slot: Slot) {
        for key in self.of_log(slot) {
            self.remove(key);
        }
    }

    /// Bytes that are ahead of readers.
    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn of_log(&self, slot: Slot) -> Vec<usize> {
        let range = (slot, i64::MIN)..=(slot, i64::MAX);
        self.by_place.range(range).map(|(_, key)| *key).collect()
    }

    fn get(&self, (key, made): ReaderId) -> Option<&Reader> {
        self.readers.get(key).filter(|it| it.0 == made).map(|(_, reader)| reader)
    }

    fn add(&mut self, slot: Slot, at: i64) {
        if self.readers.len() >= READERS
            && let Some((_, &oldest)) = self.by_stamp.first_key_value()
        {
            self.remove(oldest);
        }
        (self.made, self.stamp) = (self.made + 1, self.stamp + 1);
        let reader = Reader {
            slot,
            at,
            moved: false,
            window: 0,
            pieces: VecDeque::new(),
            bytes: 0,
            listed: false,
            stamp: self.stamp,
        };
        let key = self.readers.insert((self.made, reader));
        self.by_place.insert((slot, at), key);
        self.by_stamp.insert(self.stamp, key);
    }

    fn remove(&mut self, key: usize) {
        let (_, reader) = self.readers.remove(key);
        self.bytes -= reader.bytes;
        self.by_stamp.remove(&reader.stamp);
        if self.by_place.get(&(reader.slot, reader.at)) == Some(&key) {
            self.by_place.remove(&(reader.slot, reader.at));
        }
    }

    fn touch(&mut self, key: usize) {
        let (_, reader) = &mut self.readers[key];
        self.by_stamp.remove(&reader.stamp);
        self.stamp += 1;
        reader.stamp = self.stamp;
        self.by_stamp.insert(self.stamp, key);
    }

    fn list(&mut self, key: usize) {
        let (made, reader) = &mut self.readers[key];
        if reader.bytes < reader.window && !std::mem::replace(&mut reader.listed, true) {
            self.hungry.push_back((key, *made));
        }
    }

    /// Asserts what must always hold.
    pub fn invariants(&self) {
        let readers = || self.readers.iter().map(|(key, (_, reader))| (key, reader));
        assert_eq!(readers().map(|(_, it)| it.bytes).sum::<usize>(), self.bytes);
        assert_eq!(
            (self.by_place.len(), self.by_stamp.len()),
            (self.readers.len(), self.readers.len())
        );
        for (key, reader) in readers() {
            assert_eq!(self.by_place.get(&(reader.slot, reader.at)), Some(&key));
            assert_eq!(reader.pieces.iter().map(|it| it.bytes).sum::<usize>(), reader.bytes);
            assert!(reader.pieces.front().is_none_or(|it| it.next > reader.at));
            assert!(reader.pieces.iter().is_sorted_by(|a, b| a.next < b.next));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Slot = Slot::from_index(1);
    const OTHER: Slot = Slot::from_index(2);
    const MIB: usize = 1 << 20;

    fn ahead() -> Ahead {
        Ahead::new(Limits { window: 4 * MIB, all: 6 * MIB })
    }

    /// Reads ahead of everybody, ten records and so many bytes at a time.
    fn fill(ahead: &mut Ahead, bytes: usize) -> Vec<(Slot, i64)> {
        let mut planned = Vec::new();
        while let Some((id, slot, from, _)) = ahead.next() {
            planned.push((slot, from));
            ahead.add_piece(id, from + 10, bytes);
            ahead.invariants();
        }
        planned
    }

    #[test]
    fn nothing_is_read_ahead_of_who_was_seen_once() {
        let mut ahead = ahead();
        for at in [0, 500, 70, 910] {
            assert!(!ahead.missed(SLOT, at, false));
            ahead.moved(SLOT, at, at + 10);
            assert_eq!(fill(&mut ahead, MIB), []);
        }
        // It comes back.
        ahead.moved(SLOT, 80, 90);
        assert_eq!(fill(&mut ahead, MIB / 4), [(SLOT, 90), (SLOT, 100)]);
    }

    #[test]
    fn a_window_grows_while_its_reader_waits_and_not_beyond_the_limit() {
        let mut ahead = ahead();
        let (mut at, mut bytes) = (0, Vec::new());
        for _ in 0..6 {
            ahead.missed(SLOT, at, true);
            fill(&mut ahead, MIB / 4);
            bytes.push(ahead.bytes() / (MIB / 4));
            ahead.moved(SLOT, at, at + 10);
            at += 10;
        }
        assert_eq!(bytes, [0, 2, 4, 8, 16, 16]);
        // It does not wait any more: the window stays, and moves along.
        for _ in 0..5 {
            let planned = fill(&mut ahead, MIB / 4);
            assert_eq!((planned, ahead.bytes()), (vec![(SLOT, at + 150)], 4 * MIB));
            ahead.moved(SLOT, at, at + 10);
            at += 10;
        }
    }

    #[test]
    fn a_window_shrinks_when_it_was_read_for_nothing() {
        let mut ahead = ahead();
        let mut at = 0;
        for _ in 0..6 {
            ahead.missed(SLOT, at, true);
            fill(&mut ahead, MIB / 4);
            ahead.moved(SLOT, at, at + 10);
            at += 10;
        }
        for expected in [2 * MIB, MIB, MIB / 2] {
            assert!(ahead.missed(SLOT, at, false), "it has left the memory");
            assert_eq!(ahead.bytes(), 0);
            fill(&mut ahead, MIB / 4);
            assert_eq!(ahead.bytes(), expected);
        }
    }

    #[test]
    fn readers_share_what_there_is_in_turn() {
        let mut ahead = ahead();
        for slot in [SLOT, OTHER] {
            for at in 0..6 {
                ahead.missed(slot, at * 10, true);
                ahead.moved(slot, at * 10, at * 10 + 10);
            }
        }
        let planned = fill(&mut ahead, MIB);
        let turns = [(SLOT, 60), (OTHER, 60), (SLOT, 70), (OTHER, 70), (SLOT, 80), (OTHER, 80)];
        assert_eq!(planned, turns, "6 MiB in all");
        // What one has read is there for the other.
        ahead.moved(SLOT, 60, 90);
        ahead.moved(OTHER, 60, 61);
        assert_eq!(ahead.bytes(), 3 * MIB);
        assert_eq!(fill(&mut ahead, MIB), [(SLOT, 90), (OTHER, 90), (SLOT, 100)]);
        ahead.forget(SLOT);
        assert_eq!(ahead.bytes(), 4 * MIB);
        assert_eq!(fill(&mut ahead, MIB), []);
        ahead.invariants();
    }

    #[test]
    fn two_in_step_are_one_and_the_oldest_go() {
        let mut ahead = ahead();
        ahead.missed(SLOT, 0, false);
        ahead.missed(SLOT, 5, false);
        ahead.moved(SLOT, 0, 20);
        ahead.moved(SLOT, 5, 20);
        ahead.invariants();
        assert_eq!(ahead.readers.len(), 1);
        for at in 0..READERS as i64 {
            ahead.missed(OTHER, at, false);
        }
        ahead.invariants();
        assert_eq!(ahead.readers.len(), READERS);
        assert!(!ahead.by_place.contains_key(&(SLOT, 20)), "it has not read for longest");
    }
}
