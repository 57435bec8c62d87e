//! Reading a log: pending frames and cached chunks at once, the rest by reads of the disk.
//!
//! Nobody reads the disk for one reader. What is not in memory is *wanted*: a read of it is under way,
//! or waits for its turn, and its ticket is given to all that want it, who ask again when it has ended.
//! `span` says what one read brings, `flights` which are under way and who waits, `ahead` how far is
//! read ahead of readers that go on where they were, `brought` what is sound of what came, `cache` what stays in memory. It knows the logs,
//! whose pending frames and indexes it reads, and nothing of how they came there. `cut` finds what a
//! truncation has to know of the segment that it falls into. `frames` reads for followers.
//!
//! *What must not happen*: that a read which ends after its log was cut, dropped or moved on brings back
//! what is gone. Whatever changes a log says so (`Reads::forget`, `Reads::forget_from`): reads that
//! are under way are void from then on, and nothing of them is kept.

mod ahead;
mod brought;
pub mod cache;
mod cut;
mod flights;
mod frames;
mod ghosts;
mod span;

pub use super::interface::{ReadError, Ticket};
use crate::storage::buffer::{ALIGN, Budget, align_up};
use crate::storage::device::io::Op;
use crate::storage::device::outgoing::{Outgoing, Purpose};
use crate::storage::format::index::Index;
use crate::storage::format::segment::{self, Segment, Slices, Want};
use crate::storage::interface::{EngineOptions, Slot};
use crate::storage::log::Log;
use crate::storage::logs::Logs;
use ahead::{Ahead, Limits};
use brought::{Brought, Hole};
use bytes::Bytes;
use cache::{Cache, Chunk};
use flights::{Flight, Flights, Waiter, What};
pub use frames::ReadFrames;
use span::Span;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// A read ahead, and one for a reader that goes on where it was, brings about so much: large enough that
/// it costs the disk little more than its bytes, and small enough that a write does not wait long for it.
const SEQUENTIAL_READ: usize = 512 << 10;
/// A read elsewhere.
const RANDOM_READ: usize = 128 << 10;
/// Linux's error of a sector that cannot be read.
const EIO: i32 = 5;
/// An index file is read in one go up to this; what lies behind is found by reading frames.
const MAX_INDEX_READ: usize = 16 << 20;
/// All that is read ahead takes no more than this part of the memory. As much again is for what readers
/// leave behind that do not come back.
const AHEAD_SHARE: usize = 16;

/// What a read gives.
#[derive(Debug)]
pub enum Read {
    /// Whole record batches, back to back; none where nothing is wanted below `upto`.
    Ready {
        /// Slices of record batches.
        slices: Vec<Bytes>,
        /// Their bytes.
        bytes: usize,
        /// Offset after the last record in them. Where there are none, the offset up to which there is
        /// nothing.
        next: i64,
    },
    /// The disk is read first. Ask again after [`Event::Filled`](super::engine::Event::Filled) with this ticket, unless that
    /// says that the read failed: that is the answer then, and asking again reads the disk again.
    Wait(Ticket),
}

/// A read that somebody waits for has ended.
#[derive(Debug)]
pub(in crate::storage) struct Filled {
    pub ticket: Ticket,
    pub result: Result<(), ReadError>,
}

/// What is in memory of segments, and reads of the disk.
#[derive(Debug)]
pub(in crate::storage) struct Reads {
    budget: Arc<Budget>,
    cache: Cache,
    flights: Flights,
    ahead: Ahead,
    /// Frames that were longer than the read: log, position, bytes needed from there.
    longer: BTreeMap<(Slot, u64), usize>,
    /// Segments, by log and generation, of which the disk could not read a part: no more than a chunk of them is read at a
    /// time, so that what can be read is.
    rough: BTreeSet<(Slot, u64)>,
    /// Bytes that the disk was asked for.
    read_bytes: u64,
    /// Part of them: before a reader had come.
    ahead_bytes: u64,
    /// Logs whose bytes are not what was written, and why.
    damaged: Vec<(Slot, String)>,
}

impl Reads {
    /// Nothing in memory, and none under way.
    pub fn new(options: &EngineOptions) -> Self {
        let all = options.budget.limit() / AHEAD_SHARE;
        Self {
            budget: options.budget.clone(),
            cache: Cache::new(options.cache_start, options.cache_limit, 2 * all),
            flights: Flights::default(),
            ahead: Ahead::new(Limits { window: options.read_ahead, all }),
            longer: BTreeMap::new(),
            rough: BTreeSet::new(),
            read_bytes: 0,
            ahead_bytes: 0,
            damaged: Vec::new(),
        }
    }

    /// Logs that reads have found to be damaged since this was asked last, and why.
    pub fn take_damaged(&mut self) -> Vec<(Slot, String)> {
        std::mem::take(&mut self.damaged)
    }

    /// Forgets all of a log: what reads that are still to end bring is void.
    pub fn forget(&mut self, slot: Slot) {
        self.cache.forget(slot, i64::MAX, i64::MIN);
        self.forget_reads(slot);
    }

    /// Forgets what reaches `offset` or beyond, and what reads that are still to end bring.
    pub fn forget_from(&mut self, slot: Slot, offset: i64) {
        self.cache.forget(slot, i64::MIN, offset);
        self.forget_reads(slot);
    }

    /// Forgets chunks that lie below `offset`.
    pub fn forget_below(&mut self, slot: Slot, offset: i64) {
        self.cache.forget(slot, offset, i64::MAX);
    }

    /// Other segments have taken the place of those below `offset`: forgets what lies there, and what
    /// reads that are still to end bring.
    pub fn replaced(&mut self, slot: Slot, offset: i64) {
        self.forget_below(slot, offset);
        self.forget_reads(slot);
    }

    fn forget_reads(&mut self, slot: Slot) {
        self.flights.forget(slot);
        self.ahead.forget(slot);
        self.longer.retain(|(s, _), _| *s != slot);
        self.rough.retain(|(s, _)| *s != slot);
    }

    /// Takes a chunk that was just written.
    pub fn keep(&mut self, slot: Slot, first: i64, chunk: Chunk) {
        self.cache.insert(slot, first, chunk, |bytes| self.budget.spare(bytes));
    }

    /// The chunk in memory that holds `offset`.
    pub fn chunk_with(&mut self, slot: Slot, offset: i64) -> Option<&Chunk> {
        self.cache.floor(slot, offset).filter(|chunk| chunk.next > offset)
    }

    /// See [`Cache::set_beside_writers`].
    pub fn set_beside_writers(&mut self, beside_writers: bool) {
        self.cache.set_beside_writers(beside_writers);
    }

    /// Bytes of memory that chunks keep.
    pub fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Bytes that the disk was asked for, and those of them that were read ahead.
    pub fn read_bytes(&self) -> (u64, u64) {
        (self.read_bytes, self.ahead_bytes)
    }

    /// Gives so many bytes of the chunks' memory back, or all but a few.
    pub fn give_back(&mut self, bytes: usize) {
        self.cache.shrink(self.cache.bytes().saturating_sub(bytes));
    }

    /// Asserts what must always hold.
    pub fn invariants(&self) {
        self.cache.invariants();
        self.flights.invariants();
        self.ahead.invariants();
    }

    /// Reads whole batches from the one that holds `from`, with base offsets below `upto`, up to
    /// `max_bytes`; the first one comes whole whatever its size where `at_least_one`. Fewer than
    /// there are may come: what is in memory first.
    pub fn read(
        &mut self,
        logs: &Logs,
        slot: Slot,
        from: i64,
        upto: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Read, ReadError> {
        let log = logs.log(slot);
        if from < log.start || from > log.end {
            return Err(ReadError::OutOfRange);
        }
        let (placed_end, mut at) = (log.placed_end, from);
        let mut out = Slices::default();
        while !out.full && at < upto && at < placed_end {
            let want = Want { from: at, upto, max_bytes, at_least_one };
            let chunk = self.chunk_with(slot, at);
            let Some(chunk) = chunk else {
                if out.bytes > 0 {
                    break;
                }
                return self.want(logs, slot, at, true).map(Read::Wait);
            };
            let (bytes, position, next) = (chunk.bytes.clone(), chunk.position, chunk.next);
            let before = out.bytes;
            out.take_chunk(&bytes, position, &want);
            if out.bytes > before {
                self.cache
                    .taken(slot, at, out.next.unwrap_or(next), |bytes| self.budget.spare(bytes));
            }
            at = next;
        }
        if at >= placed_end {
            let want = Want { from: at, upto, max_bytes, at_least_one };
            let first = log.pending.partition_point(|p| p.last < at);
            for pending in log.pending.iter().skip(first) {
                if out.full {
                    break;
                }
                out.take_frame(&pending.header(), &pending.frame, &want);
            }
        }
        // Compaction may have left nothing from there up to the end of what was wanted.
        let nothing = if out.full { from } else { from.max(upto.min(log.end)) };
        let next = out.next.unwrap_or(nothing);
        if from < placed_end && next > from {
            self.ahead.moved(slot, from, next);
        }
        Ok(Read::Ready { slices: out.slices, bytes: out.bytes, next })
    }

    /// A read of the disk that brings `at` closer, for somebody who waits for it. `reader`: who is to
    /// be told apart from others by where it reads.
    fn want(
        &mut self,
        logs: &Logs,
        slot: Slot,
        at: i64,
        reader: bool,
    ) -> Result<Ticket, ReadError> {
        let under_way = self.flights.with(slot, at);
        let sequential = reader && self.ahead.missed(slot, at, under_way.is_some());
        if let Some((flight, _)) = under_way {
            return Ok(self.flights.wait(flight, at));
        }
        let log = logs.log(slot);
        let Some(segment) = log.segment_with(at) else {
            return Err(ReadError::Storage(format!("no segment holds offset {at}")));
        };
        if let Some(len) = segment.index_to_load(at) {
            return Ok(self.want_index(slot, segment, len));
        }
        let meta = &segment.meta;
        let mut from = None;
        let mut len = if sequential { SEQUENTIAL_READ } else { RANDOM_READ };
        if let Some(chunk) = self.cache.floor(slot, at)
            && chunk.segment == meta.base
        {
            from = Some((chunk.end(), chunk.next));
            if chunk.next == at {
                len = SEQUENTIAL_READ;
            }
        }
        if self.rough.contains(&(slot, meta.generation)) {
            len = 1;
        }
        let mut span = Span::of(segment, at, len, from);
        if span.start >= meta.length {
            return Err(ReadError::Storage(format!("segment {} ends before {at}", meta.base)));
        }
        if let Some(needed) = self.longer.get(&(slot, span.start))
            && span.len() < *needed
        {
            let end = align_up(span.start as usize + needed) as u64;
            span = Span { end: end.min(meta.length), next: None, ..span };
        }
        let again = self.cache.missed(slot, at);
        let what = What::Frames { span, again };
        Ok(self.flights.want(Flight::new(slot, (meta.base, meta.generation), what), at))
    }

    /// A read of a segment's index, for somebody who waits for it.
    fn want_index(&mut self, slot: Slot, segment: &Segment, len: usize) -> Ticket {
        let meta = &segment.meta;
        if let Some(flight) = self.flights.with_index(slot, meta.base) {
            return self.flights.wait(flight, meta.base);
        }
        let what = What::Index(len.min(MAX_INDEX_READ));
        self.flights.want(Flight::new(slot, (meta.base, meta.generation), what), meta.base)
    }

    /// Begins reads, as many as may be under way with `limit` bytes: those that somebody waits for, then
    /// what is read ahead, as long as memory is not short. Those that nothing is to be read for any more
    /// have ended as they come.
    pub fn begin(
        &mut self,
        logs: &Logs,
        limit: usize,
        out: &mut Outgoing,
        mut ended: impl FnMut(Filled),
    ) {
        while let Some((ticket, flight)) = self.flights.next(limit) {
            if flight.void {
                self.ended_without(ticket).into_iter().for_each(&mut ended);
            } else {
                self.submit(logs, ticket, &flight, out);
            }
        }
        if !self.flights.nobody_waits() {
            return;
        }
        while let Some((id, slot, at, room)) = self.ahead.next() {
            let budget = &self.budget;
            let spare = budget.left().saturating_sub(budget.limit() / 8);
            match self.plan(logs, slot, at, room.min(spare)) {
                Planned::There { next, bytes } => self.ahead.add_piece(id, next, bytes),
                Planned::Nothing => self.ahead.leave(id),
                Planned::Read { flight, next, bytes } => {
                    if !self.flights.may_begin(bytes, limit) {
                        return;
                    }
                    let ticket = self.flights.begin(flight);
                    self.ahead_bytes += bytes as u64;
                    match next {
                        Some(next) => self.ahead.add_piece(id, next, bytes),
                        None => self.ahead.leave(id),
                    }
                    self.submit(logs, ticket, &flight, out);
                }
            }
        }
    }

    /// What is to be read ahead of a reader from `at` on, `room` bytes at most.
    fn plan(&mut self, logs: &Logs, slot: Slot, at: i64, room: usize) -> Planned {
        let Some(log) = logs.get(slot).filter(|log| at < log.placed_end) else {
            return Planned::Nothing;
        };
        if let Some(chunk) = self.chunk_with(slot, at) {
            return Planned::There { next: chunk.next, bytes: chunk.bytes.len() };
        }
        if let Some((_, next)) = self.flights.with(slot, at) {
            return next.map_or(Planned::Nothing, |next| Planned::There { next, bytes: 0 });
        }
        let Some(segment) = log.segment_with(at) else { return Planned::Nothing };
        let of = (segment.meta.base, segment.meta.generation);
        if let Some(len) = segment.index_to_load(at) {
            let bytes = len.min(MAX_INDEX_READ);
            if bytes > room || self.flights.with_index(slot, of.0).is_some() {
                return Planned::Nothing;
            }
            return Planned::Read {
                flight: Flight::new(slot, of, What::Index(bytes)),
                next: None,
                bytes,
            };
        }
        if self.rough.contains(&(slot, of.1)) {
            return Planned::Nothing;
        }
        let span = Span::of(segment, at, SEQUENTIAL_READ.min(room), None);
        let bytes = span.len();
        match span.next.filter(|next| *next > at) {
            // A chunk that is larger than the window is left to the reader.
            Some(_) if bytes > room => Planned::Nothing,
            Some(next) => {
                let again = self.cache.missed(slot, at);
                let flight = Flight::new(slot, of, What::Frames { span, again });
                Planned::Read { flight, next: Some(next), bytes }
            }
            None => Planned::Nothing,
        }
    }

    fn submit(&mut self, logs: &Logs, ticket: Ticket, flight: &Flight, out: &mut Outgoing) {
        let log = logs.log(flight.slot);
        let (base, generation) = (flight.segment, flight.generation);
        let (path, pos, len) = match flight.what {
            What::Index(len) => (segment::index_path_of(log.tp, base, generation), 0, len),
            What::Frames { span, .. } => {
                let (pos, len) = aligned(&span);
                (segment::path_of(log.tp, base, generation), pos, len)
            }
        };
        self.read_bytes += len as u64;
        out.submit(Purpose::Read(ticket), Op::Read { path, pos, len });
    }

    /// Takes in what a read brought: verifies it and keeps what is sound, for those who wait. What came for a log
    /// that was truncated or dropped meanwhile is thrown away.
    ///
    /// A result is [`ReadError::Storage`] where the read failed, or what was wanted of it does not match its
    /// checksums: whoever wants that gives up with this error. Asking
    /// again would read the same again, for ever. Of what was read ahead nobody hears an error: the
    /// reader finds nothing in memory when it comes, and has it read again.
    pub fn ended(
        &mut self,
        logs: &mut Logs,
        ticket: Ticket,
        result: io::Result<Bytes>,
    ) -> Vec<Filled> {
        let Some((flight, waiters)) = self.flights.ended(ticket) else { return Vec::new() };
        let holes = if flight.void { Vec::new() } else { self.take_in(logs, &flight, result) };
        for hole in holes.iter().filter(|it| it.damaged) {
            self.damaged.push((flight.slot, hole.why.clone()));
        }
        let result = |at: i64| match holes.iter().find(|it| it.offsets.contains(&at)) {
            Some(hole) => Err(ReadError::Storage(hole.why.clone())),
            None => Ok(()),
        };
        let filled = |(at, ticket): Waiter| Filled { ticket, result: result(at) };
        waiters.into_iter().map(filled).collect()
    }

    /// A read has ended as it came, and nothing was read.
    fn ended_without(&mut self, ticket: Ticket) -> Vec<Filled> {
        let waiters = self.flights.ended(ticket).map(|it| it.1).unwrap_or_default();
        waiters.into_iter().map(|(_, ticket)| Filled { ticket, result: Ok(()) }).collect()
    }

    /// Keeps what is sound of it. What is not.
    fn take_in(
        &mut self,
        logs: &mut Logs,
        flight: &Flight,
        result: io::Result<Bytes>,
    ) -> Vec<Hole> {
        let slot = flight.slot;
        let Some(log) = logs.get_mut(slot) else { return Vec::new() };
        let tp = log.tp;
        let interval = log.config.index_interval_bytes;
        let segment = log
            .segments
            .iter_mut()
            .find(|s| s.meta.base == flight.segment && s.meta.generation == flight.generation);
        // Retention may have taken it meanwhile.
        let Some(segment) = segment else { return Vec::new() };
        let (span, again) = match flight.what {
            What::Frames { span, again } => (span, again),
            What::Index(asked) => {
                let there = segment.whole_index_to_load().unwrap_or(0);
                if asked < there.min(MAX_INDEX_READ) {
                    // It has grown since: half of it would be taken for all.
                    return Vec::new();
                }
                // A bad or missing index is no error: frames are found by reading on from what is
                // known.
                let bytes = result.unwrap_or_default();
                let mut loaded = Index::decode(&bytes, interval);
                let end = segment.tail.first_base().unwrap_or(segment.meta.next);
                loaded.cut(end, segment.meta.max_timestamp);
                segment.loaded = Some(Box::new(loaded));
                self.ahead.look_at(slot);
                return Vec::new();
            }
        };
        let bytes = match result {
            Ok(bytes) => bytes,
            Err(error) => {
                let why = format!("{}: {error}", segment.path(tp));
                // A sector that cannot be read may be of another chunk: each is read alone from now on.
                let unread = error.raw_os_error() == Some(EIO);
                let offsets = match unread && self.rough.insert((slot, flight.generation)) {
                    true => span.base..span.base,
                    false if unread => span.base..span.next.unwrap_or(segment.meta.next),
                    false => i64::MIN..i64::MAX,
                };
                return vec![Hole { offsets, why, damaged: is_damage(&error) }];
            }
        };
        let (pos, _) = aligned(&span);
        let brought = Brought::of(tp, segment, &span, &bytes, pos);
        match brought.longer {
            Some(needed) => self.longer.insert((slot, span.start), needed),
            None => self.longer.remove(&(slot, span.start)),
        };
        for run in brought.runs {
            let position = pos + run.bytes.start as u64;
            let frames = bytes.slice(run.bytes);
            let chunk = Chunk::new(flight.segment, position, run.next, frames, bytes.len());
            let spare = |bytes| self.budget.spare(bytes);
            self.cache.insert(slot, run.first, chunk.unread(again), spare);
        }
        brought.holes
    }

    /// A read that makes [`Engine::offset_hint_for_time`](super::engine::Engine::offset_hint_for_time) sharper; `None` where nothing does.
    pub fn index_for_time(&mut self, log: &Log, slot: Slot, timestamp: i64) -> Option<Ticket> {
        let found = log.segments.iter().position(|s| s.meta.max_timestamp >= timestamp)?;
        self.whole_index(log, slot, found)
    }

    /// A read of a segment's index, if it is not in memory.
    fn whole_index(&mut self, log: &Log, slot: Slot, segment: usize) -> Option<Ticket> {
        let segment = &log.segments[segment];
        let len = segment.whole_index_to_load()?;
        Some(self.want_index(slot, segment, len))
    }
}

/// Whether an error of a read says that what was written is not there any more: the sector cannot be read, or the file
/// is gone. Others say nothing of it, as where there is no memory.
pub(in crate::storage) fn is_damage(error: &io::Error) -> bool {
    error.raw_os_error() == Some(EIO)
        || matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
}

/// What is to be read ahead of a reader.
enum Planned {
    /// Nothing, now.
    Nothing,
    /// Nothing: up to the offset `next` it is there, or on its way.
    There { next: i64, bytes: usize },
    /// This, which brings what is there up to `next`; an index brings nothing.
    Read { flight: Flight, next: Option<i64>, bytes: usize },
}

/// Where a read of a span begins, and how long it is.
fn aligned(span: &Span) -> (u64, usize) {
    let pos = span.start / ALIGN as u64 * ALIGN as u64;
    (pos, (span.end - pos) as usize)
}
