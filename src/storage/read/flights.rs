//! Reads of the disk that are under way, and those that wait for their turn.
//!
//! There are few at once, whatever readers want: what is written waits behind what the disk is reading,
//! and a disk that is busy gives no more bytes when more is asked of it. Who waits for a read comes
//! before what is read ahead. One read serves all that want what it brings.

use super::span::Span;
use crate::storage::interface::{Slot, Ticket};
use std::collections::{BTreeMap, VecDeque};

/// What a read brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// The index of the segment, of so many bytes.
    Index(usize),
    /// Frames. `again`: they were in memory not long ago.
    Frames { span: Span, again: bool },
}

/// One read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flight {
    pub slot: Slot,
    /// Base offset of the segment.
    pub segment: i64,
    pub generation: u64,
    pub what: What,
    /// What it brings is not to be kept: its log is not any more what it was.
    pub void: bool,
    started: bool,
}

impl Flight {
    /// A read of a segment.
    pub fn new(slot: Slot, (segment, generation): (i64, u64), what: What) -> Self {
        Self { slot, segment, generation, what, void: false, started: false }
    }

    /// What it takes of what may be under way at once.
    fn bytes(&self) -> usize {
        match self.what {
            What::Index(bytes) => bytes,
            What::Frames { span, .. } => span.len(),
        }
    }

    fn key(&self) -> (Slot, i64, bool) {
        match self.what {
            What::Index(_) => (self.slot, self.segment, true),
            What::Frames { span, .. } => (self.slot, span.first, false),
        }
    }
}

/// Who waits for a read: the offset that they want, and what they are told by. Who wants the same waits together, since what
/// a read brings may be what one wants, and not what another does.
pub(super) type Waiter = (i64, Ticket);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Flights {
    all: BTreeMap<Ticket, Flight>,
    /// By read.
    waiters: BTreeMap<Ticket, Vec<Waiter>>,
    /// Those that are not void, by log and first offset; indexes by their segment's.
    by_key: BTreeMap<(Slot, i64, bool), Ticket>,
    /// Those that have not begun, in the order in which they are to.
    queue: VecDeque<Ticket>,
    last: u64,
    /// Bytes of those that have begun.
    bytes: usize,
}

impl Flights {
    /// Whether one more of `bytes` may begin, where `limit` bytes may be under way; a first one may
    /// always.
    pub fn may_begin(&self, bytes: usize, limit: usize) -> bool {
        self.bytes == 0 || self.bytes + bytes <= limit
    }

    /// Whether none waits for its turn.
    pub fn nobody_waits(&self) -> bool {
        self.queue.is_empty()
    }

    /// Adds one that somebody waits for who wants `at`, at the end of the queue. What they are told by.
    pub fn want(&mut self, flight: Flight, at: i64) -> Ticket {
        let ticket = self.insert(flight);
        self.queue.push_back(ticket);
        self.wait(ticket, at)
    }

    /// Adds one that begins at once.
    pub fn begin(&mut self, flight: Flight) -> Ticket {
        self.bytes += flight.bytes();
        self.insert(Flight { started: true, ..flight })
    }

    fn new_ticket(&mut self) -> Ticket {
        self.last += 1;
        Ticket::new(self.last)
    }

    fn insert(&mut self, flight: Flight) -> Ticket {
        let ticket = self.new_ticket();
        self.by_key.insert(flight.key(), ticket);
        self.all.insert(ticket, flight);
        ticket
    }

    /// The next one of the queue, which begins, if it may with `limit` bytes under way. A void one does
    /// not begin, and is to be [ended](Self::ended) at once.
    pub fn next(&mut self, limit: usize) -> Option<(Ticket, Flight)> {
        let ticket = *self.queue.front()?;
        let flight = self.all.get(&ticket)?;
        if flight.void {
            self.queue.pop_front();
            return Some((ticket, *flight));
        }
        if !self.may_begin(flight.bytes(), limit) {
            return None;
        }
        let flight = self.all.get_mut(&ticket)?;
        flight.started = true;
        self.bytes += flight.bytes();
        self.queue.pop_front();
        Some((ticket, *flight))
    }

    /// Takes out one that has ended, with those who wait for it.
    pub fn ended(&mut self, ticket: Ticket) -> Option<(Flight, Vec<Waiter>)> {
        let flight = self.all.remove(&ticket)?;
        if flight.started {
            self.bytes -= flight.bytes();
        }
        if self.by_key.get(&flight.key()) == Some(&ticket) {
            self.by_key.remove(&flight.key());
        }
        Some((flight, self.waiters.remove(&ticket).unwrap_or_default()))
    }

    /// Somebody waits for this one who wants `at`. What they are told by.
    pub fn wait(&mut self, flight: Ticket, at: i64) -> Ticket {
        let waiters = self.waiters.get(&flight);
        let waits = waiters.and_then(|all| all.iter().find(|it| it.0 == at));
        if let Some((_, ticket)) = waits {
            return *ticket;
        }
        let ticket = self.new_ticket();
        self.waiters.entry(flight).or_default().push((at, ticket));
        ticket
    }

    /// The one that brings the frame with this offset, and the offset after its last record, where
    /// that is known.
    pub fn with(&self, slot: Slot, offset: i64) -> Option<(Ticket, Option<i64>)> {
        let range = (slot, i64::MIN, false)..=(slot, offset, false);
        let of_frames = self.by_key.range(range).rev().find(|((.., index), _)| !index);
        let (&(_, first, _), ticket) = of_frames?;
        let What::Frames { span, .. } = self.all.get(ticket)?.what else { return None };
        let holds = span.next.map_or(first == offset, |next| offset < next);
        holds.then_some((*ticket, span.next))
    }

    /// The one that brings a segment's index.
    pub fn with_index(&self, slot: Slot, segment: i64) -> Option<Ticket> {
        self.by_key.get(&(slot, segment, true)).copied()
    }

    /// What reads of a log bring is not to be kept.
    pub fn forget(&mut self, slot: Slot) {
        let range = (slot, i64::MIN, false)..=(slot, i64::MAX, true);
        let of_log: Vec<_> = self.by_key.range(range).map(|(key, it)| (*key, *it)).collect();
        for (key, ticket) in of_log {
            self.by_key.remove(&key);
            if let Some(flight) = self.all.get_mut(&ticket) {
                flight.void = true;
            }
        }
    }

    /// Asserts what must always hold.
    pub fn invariants(&self) {
        let started = self.all.values().filter(|it| it.started);
        assert_eq!(started.map(Flight::bytes).sum::<usize>(), self.bytes);
        let waits = self.all.values().filter(|it| !it.started).count();
        assert_eq!(waits, self.queue.len(), "one that has not begun waits for its turn");
        assert!(self.queue.is_empty() || self.bytes > 0, "nothing is read, and somebody waits");
        assert!(self.waiters.keys().all(|it| self.all.contains_key(it)), "they wait for nothing");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Slot = Slot::from_index(3);

    fn frames(first: i64, next: Option<i64>, bytes: u64) -> Flight {
        let span = Span { start: 8192, end: 8192 + bytes, first, base: first, next };
        Flight::new(SLOT, (0, 1), What::Frames { span, again: false })
    }

    #[test]
    fn few_at_once_and_one_always() {
        let mut flights = Flights::default();
        let told = flights.want(frames(0, Some(10), 1000), 5);
        flights.want(frames(10, Some(20), 60), 10);
        flights.want(frames(20, None, 60), 20);
        let first = |it: Option<(Ticket, Flight)>| it.map(|it| (it.0, it.1.key().1));
        let (large, _) = first(flights.next(100)).expect("larger than what may be");
        assert_eq!(flights.next(100), None);
        assert_eq!(flights.ended(large).map(|it| it.1), Some(vec![(5, told)]));
        let Some((a, 10)) = first(flights.next(100)) else { panic!("in order") };
        assert_eq!(flights.next(100), None);
        assert!(flights.may_begin(40, 100) && !flights.may_begin(41, 100));
        let ahead = flights.begin(frames(50, Some(60), 40));
        assert_eq!(flights.ended(ahead).map(|it| it.1), Some(Vec::new()), "nobody waits");
        let Some((b, 20)) = first(flights.next(120)) else { panic!("in order") };
        flights.invariants();
        flights.ended(a);
        flights.ended(b);
        assert_eq!((flights.bytes, flights.ended(b)), (0, None));
    }

    #[test]
    fn one_read_serves_all_that_want_what_it_brings() {
        let mut flights = Flights::default();
        let a = flights.begin(frames(10, Some(20), 1));
        let b = flights.begin(frames(30, None, 1));
        let index = flights.begin(Flight::new(SLOT, (15, 1), What::Index(4096)));
        let with = |flights: &Flights, offset| flights.with(SLOT, offset);
        assert_eq!(with(&flights, 9), None);
        assert_eq!(with(&flights, 10), Some((a, Some(20))));
        assert_eq!(with(&flights, 19), Some((a, Some(20))), "past the index's own");
        assert_eq!(with(&flights, 20), None);
        assert_eq!((with(&flights, 30), with(&flights, 31)), (Some((b, None)), None));
        assert_eq!(flights.with_index(SLOT, 15), Some(index));
        assert_eq!(flights.with_index(SLOT, 10), None);
        let (told, other) = (flights.wait(a, 12), flights.wait(a, 17));
        assert_eq!(flights.wait(a, 12), told, "who wants the same waits together");
        flights.invariants();
        assert_eq!(flights.ended(a).map(|it| it.1), Some(vec![(12, told), (17, other)]));
        assert_eq!(with(&flights, 10), None);
    }

    #[test]
    fn a_void_read_ends_and_gives_its_room_back() {
        let mut flights = Flights::default();
        let under_way = flights.begin(frames(10, Some(20), 500));
        flights.want(frames(20, Some(30), 500), 20);
        let (queued, _) = flights.with(SLOT, 20).expect("it waits for its turn");
        flights.forget(SLOT);
        assert_eq!(flights.with(SLOT, 10), None);
        flights.want(frames(10, Some(20), 500), 10);
        let (again, _) = flights.with(SLOT, 10).expect("it waits for its turn");
        assert!(again != under_way);
        let (ticket, flight) = flights.next(500).expect("a void one does not wait");
        assert!(ticket == queued && flight.void);
        assert_eq!(flights.ended(ticket).map(|it| it.1.len()), Some(1));
        assert_eq!(flights.next(500), None, "the disk still reads for nobody");
        assert!(flights.ended(under_way).is_some_and(|it| it.0.void));
        assert_eq!(flights.with(SLOT, 10), Some((again, Some(20))));
        assert_eq!(flights.next(500).map(|it| it.0), Some(again));
        flights.invariants();
    }
}
