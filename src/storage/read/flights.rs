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
    /// Somebody waits for it.
    pub wanted: bool,
    /// What it brings is not to be kept: its log is not any more what it was.
    pub void: bool,
    started: bool,
}

impl Flight {
    /// A read of a segment that nobody waits for yet.
    pub fn new(slot: Slot, (segment, generation): (i64, u64), what: What) -> Self {
        Self { slot, segment, generation, what, wanted: false, void: false, started: false }
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

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Flights {
    all: BTreeMap<Ticket, Flight>,
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

    /// Adds one that somebody waits for, at the end of the queue.
    pub fn want(&mut self, flight: Flight) -> Ticket {
        let ticket = self.insert(Flight { wanted: true, ..flight });
        self.queue.push_back(ticket);
        ticket
    }

    /// Adds one that begins at once.
    pub fn begin(&mut self, flight: Flight) -> Ticket {
        self.bytes += flight.bytes();
        self.insert(Flight { started: true, ..flight })
    }

    fn insert(&mut self, flight: Flight) -> Ticket {
        self.last += 1;
        let ticket = Ticket::new(self.last);
        self.by_key.insert(flight.key(), ticket);
        self.all.insert(ticket, flight);
        ticket
    }

    /// The next one of the queue, which begins, if it may with `limit` bytes under way. A void one does
    /// not begin: it has [ended](Self::ended) as it comes.
    pub fn next(&mut self, limit: usize) -> Option<(Ticket, Flight)> {
        let ticket = *self.queue.front()?;
        let flight = self.all.get(&ticket)?;
        if flight.void {
            self.queue.pop_front();
            return self.all.remove(&ticket).map(|it| (ticket, it));
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

    /// Takes out one that has ended.
    pub fn ended(&mut self, ticket: Ticket) -> Option<Flight> {
        let flight = self.all.remove(&ticket)?;
        if flight.started {
            self.bytes -= flight.bytes();
        }
        if self.by_key.get(&flight.key()) == Some(&ticket) {
            self.by_key.remove(&flight.key());
        }
        Some(flight)
    }

    /// Somebody waits for this one.
    pub fn wait(&mut self, ticket: Ticket) {
        if let Some(flight) = self.all.get_mut(&ticket) {
            flight.wanted = true;
        }
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: Slot = Slot::from_index(3);

    fn frames(first: i64, next: Option<i64>, bytes: u64) -> Flight {
        let span = Span { start: 8192, end: 8192 + bytes, first, next };
        Flight::new(SLOT, (0, 1), What::Frames { span, again: false })
    }

    #[test]
    fn few_at_once_and_one_always() {
        let mut flights = Flights::default();
        let large = flights.want(frames(0, Some(10), 1000));
        let (a, b) = (flights.want(frames(10, Some(20), 60)), flights.want(frames(20, None, 60)));
        assert_eq!(flights.next(100).map(|it| it.0), Some(large), "larger than what may be");
        assert_eq!(flights.next(100), None);
        assert!(flights.ended(large).is_some_and(|it| it.wanted));
        assert_eq!(flights.next(100).map(|it| it.0), Some(a));
        assert_eq!(flights.next(100), None);
        assert!(flights.may_begin(40, 100) && !flights.may_begin(41, 100));
        let ahead = flights.begin(frames(50, Some(60), 40));
        assert!(flights.ended(ahead).is_some_and(|it| !it.wanted));
        assert_eq!(flights.next(120).map(|it| it.0), Some(b));
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
        flights.wait(a);
        assert!(flights.ended(a).is_some_and(|it| it.wanted));
        assert_eq!(with(&flights, 10), None);
    }

    #[test]
    fn a_void_read_ends_and_gives_its_room_back() {
        let mut flights = Flights::default();
        let under_way = flights.begin(frames(10, Some(20), 500));
        let queued = flights.want(frames(20, Some(30), 500));
        flights.forget(SLOT);
        assert_eq!(flights.with(SLOT, 10), None);
        let again = flights.want(frames(10, Some(20), 500));
        assert_eq!(flights.with(SLOT, 10), Some((again, Some(20))));
        let (ticket, flight) = flights.next(500).expect("a void one does not wait");
        assert!(ticket == queued && flight.void);
        assert_eq!(flights.next(500), None, "the disk still reads for nobody");
        assert!(flights.ended(under_way).is_some_and(|it| it.void));
        assert_eq!(flights.with(SLOT, 10), Some((again, Some(20))));
        assert_eq!(flights.next(500).map(|it| it.0), Some(again));
        flights.invariants();
    }
}
