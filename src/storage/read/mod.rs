//! Reading a log: pending frames and cached chunks at once, cold segments by a read of the disk.
//!
//! It knows the logs, whose pending frames and indexes it reads, and nothing of how they came there.
//! `cut` finds what a truncation has to know of the segment that it falls into.

pub mod cache;
mod cut;
mod ghosts;

use crate::storage::buffer::{ALIGN, align_up};
use crate::storage::device::io::FilePath;
use crate::storage::format::frame::{self, Step};
use crate::storage::format::index::Index;
use crate::storage::format::segment::{Slices, Want};
use crate::storage::interface::Slot;
use crate::storage::log::Log;
use crate::storage::logs::Logs;
use bytes::Bytes;
use cache::{Cache, Chunk};
use std::collections::BTreeMap;
use std::io;

/// A cold read of a reader that goes on where it was.
const SEQUENTIAL_READ: usize = 1 << 20;
/// A cold read elsewhere.
const RANDOM_READ: usize = 128 << 10;
/// An index file is read in one go up to this; what lies behind is found by reading frames.
const MAX_INDEX_READ: usize = 16 << 20;

/// What a read gives.
#[derive(Debug)]
pub enum Read {
    /// Whole record batches, back to back; none where nothing is wanted below `upto`.
    Ready {
        /// Slices of record batches.
        slices: Vec<Bytes>,
        /// Their bytes.
        bytes: usize,
        /// Offset after the last record in them; the offset asked for where there are none.
        next: i64,
    },
    /// Carry this read out, hand the result to [`Engine::filled`](super::engine::Engine::filled), and ask again; unless `filled`
    /// says that the read failed: that is the answer then, and asking again reads the disk again.
    Need(ColdRead),
}

/// A read of the disk that is needed first.
#[derive(Clone, Debug)]
pub struct ColdRead {
    /// To hand in with the result.
    pub ticket: u64,
    /// The file.
    pub path: FilePath,
    /// Aligned position.
    pub pos: u64,
    /// Aligned length; the file may end before.
    pub len: usize,
}

/// Why nothing can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Below the log start or beyond the log end.
    #[error("the offset is out of range")]
    OutOfRange,
    /// The disk failed, or what it gave does not match its checksums. Others are not affected.
    #[error("{0}")]
    Storage(String),
}

#[derive(Debug)]
struct Context {
    slot: Slot,
    segment: i64,
    generation: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    Index,
    Frames { start: u64, pos: u64, len: usize },
}

/// What is in memory of segments, and cold reads under way.
#[derive(Debug)]
pub(in crate::storage) struct Reads {
    cache: Cache,
    tickets: BTreeMap<u64, Context>,
    next_ticket: u64,
    /// Frames that were longer than the read: log, position, bytes needed from there.
    longer: BTreeMap<(Slot, u64), usize>,
}

impl Reads {
    /// None under way, with this cache.
    pub fn new(cache: Cache) -> Self {
        Self { cache, tickets: BTreeMap::new(), next_ticket: 0, longer: BTreeMap::new() }
    }

    /// Forgets all of a log: results of reads that are still to come are void.
    pub fn forget(&mut self, slot: Slot) {
        self.cache.forget(slot, i64::MAX, i64::MIN);
        self.forget_reads(slot);
    }

    /// Forgets what reaches `offset` or beyond, and the results of reads that are still to come.
    pub fn forget_from(&mut self, slot: Slot, offset: i64) {
        self.cache.forget(slot, i64::MIN, offset);
        self.forget_reads(slot);
    }

    /// Forgets chunks that lie below `offset`.
    pub fn forget_below(&mut self, slot: Slot, offset: i64) {
        self.cache.forget(slot, offset, i64::MAX);
    }

    fn forget_reads(&mut self, slot: Slot) {
        self.tickets.retain(|_, c| c.slot != slot);
        self.longer.retain(|(s, _), _| *s != slot);
    }

    /// Takes a chunk that was just written.
    pub fn keep(&mut self, slot: Slot, first: i64, chunk: Chunk) {
        self.cache.insert(slot, first, chunk);
    }

    /// The chunk in memory that holds `offset`.
    pub fn chunk_with(&mut self, slot: Slot, offset: i64) -> Option<&Chunk> {
        self.cache.floor(slot, offset).filter(|chunk| chunk.next > offset)
    }

    /// Bytes of memory that chunks keep.
    pub fn cache_bytes(&self) -> usize {
        self.cache.bytes()
    }

    /// Gives so many bytes of the chunks' memory back, or all but a few.
    pub fn give_back(&mut self, bytes: usize) {
        self.cache.shrink(self.cache.bytes().saturating_sub(bytes));
    }

    fn ticket(&mut self, context: Context) -> u64 {
        self.next_ticket += 1;
        self.tickets.insert(self.next_ticket, context);
        self.next_ticket
    }
}

impl Reads {
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
                return self.cold(logs, slot, at).map(Read::Need);
            };
            let (bytes, position, next) = (chunk.bytes.clone(), chunk.position, chunk.next);
            out.take_chunk(&bytes, position, &want);
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
        let next = out.next.unwrap_or(from);
        Ok(Read::Ready { slices: out.slices, bytes: out.bytes, next })
    }

    /// The read of the disk that brings `at` closer.
    fn cold(&mut self, logs: &Logs, slot: Slot, at: i64) -> Result<ColdRead, ReadError> {
        let log = logs.log(slot);
        let found = log.segments.partition_point(|s| s.meta.next <= at);
        let Some(segment) = log.segments.get(found) else {
            return Err(ReadError::Storage(format!("no segment holds offset {at}")));
        };
        let meta = &segment.meta;
        if let Some(len) = segment.index_to_load(at) {
            let path = segment.index_path(log.tp);
            let context = Context {
                slot,
                segment: meta.base,
                generation: meta.generation,
                what: What::Index,
            };
            let ticket = self.ticket(context);
            return Ok(ColdRead { ticket, path, pos: 0, len: len.min(MAX_INDEX_READ) });
        }
        self.cache.missed(slot, at);
        let mut start = segment.position_of(at);
        let mut len = RANDOM_READ;
        if let Some(chunk) = self.cache.floor(slot, at)
            && chunk.segment == meta.base
            && chunk.end() > start
        {
            start = chunk.end();
            if chunk.next == at {
                len = SEQUENTIAL_READ;
            }
        }
        if start >= meta.length {
            return Err(ReadError::Storage(format!("segment {} ends before {at}", meta.base)));
        }
        if let Some(needed) = self.longer.get(&(slot, start)) {
            len = len.max(*needed);
        }
        let pos = start / ALIGN as u64 * ALIGN as u64;
        let rest = (meta.length - pos) as usize;
        let len = align_up(len + (start - pos) as usize).min(rest);
        let what = What::Frames { start, pos, len };
        let context = Context { slot, segment: meta.base, generation: meta.generation, what };
        let path = segment.path(log.tp);
        let ticket = self.ticket(context);
        Ok(ColdRead { ticket, path, pos, len })
    }

    /// Takes in what a cold read brought: verifies it and keeps it for the next `read`. The result
    /// for a log that was truncated or dropped meanwhile is thrown away.
    ///
    /// # Errors
    /// [`ReadError::Storage`] where the read failed, or brought what does not match its checksums.
    /// Nothing is kept of that: whoever asked for the read gives up with this error. Asking again
    /// would read the same again, for ever.
    pub fn filled(
        &mut self,
        logs: &mut Logs,
        ticket: u64,
        result: io::Result<Bytes>,
    ) -> Result<(), ReadError> {
        let Some(context) = self.tickets.remove(&ticket) else { return Ok(()) };
        let slot = context.slot;
        let Some(log) = logs.get_mut(slot) else { return Ok(()) };
        let tp = log.tp;
        let interval = log.config.index_interval_bytes;
        let segment = log
            .segments
            .iter_mut()
            .find(|s| s.meta.base == context.segment && s.meta.generation == context.generation);
        let Some(segment) = segment else { return Ok(()) };
        let path = segment.path(tp);
        let (start, pos, len) = match context.what {
            What::Frames { start, pos, len } => (start, pos, len),
            What::Index => {
                // A bad or missing index is no error: frames are found by reading on from what is
                // known.
                let bytes = result.unwrap_or_default();
                let mut loaded = Index::decode(&bytes, interval);
                let end = segment.tail.first_base().unwrap_or(segment.meta.next);
                loaded.cut(end, segment.meta.max_timestamp);
                segment.loaded = Some(Box::new(loaded));
                return Ok(());
            }
        };
        let bytes = result.map_err(|e| ReadError::Storage(format!("{path}: {e}")))?;
        if bytes.len() < len {
            return Err(ReadError::Storage(format!("{path} is shorter than {}", pos + len as u64)));
        }
        let skip = (start - pos) as usize;
        let bad = |at: usize, why: String| {
            ReadError::Storage(format!("{path} at byte {}: {why}", pos + at as u64))
        };
        let (mut first, mut next, mut end, mut needed) = (None, 0, skip, 2 * len);
        for step in frame::walk(&bytes, pos, skip) {
            match step {
                Step::Frame { at, header } => {
                    if header.tp() != tp || header.last_offset() < header.base_offset() {
                        return Err(bad(at, format!("a frame of another log, {:?}", header.tp())));
                    }
                    if header.base_offset() >= segment.meta.next {
                        break;
                    }
                    if first.is_none() {
                        first = Some(header.base_offset());
                    }
                    next = header.last_offset() + 1;
                    end = at + header.frame_len();
                }
                Step::Cut { at, needed: whole } => {
                    needed = whole + at - skip;
                    break;
                }
                Step::Bad { at, error } => {
                    if first.is_none() {
                        return Err(bad(at, error.to_string()));
                    }
                    break;
                }
            }
        }
        let Some(first) = first else {
            if pos + len as u64 >= segment.meta.length {
                return Err(bad(skip, "a frame is missing".into()));
            }
            self.longer.insert((slot, start), needed);
            return Ok(());
        };
        self.longer.remove(&(slot, start));
        let chunk = Chunk::new(context.segment, start, next, bytes.slice(skip..end), bytes.len());
        self.cache.insert(slot, first, chunk);
        Ok(())
    }

    /// A read that makes [`Engine::offset_hint_for_time`](super::engine::Engine::offset_hint_for_time) sharper; `None` where nothing does.
    pub fn index_for_time(&mut self, log: &Log, slot: Slot, timestamp: i64) -> Option<ColdRead> {
        let found = log.segments.iter().position(|s| s.meta.max_timestamp >= timestamp)?;
        self.whole_index(log, slot, found)
    }

    /// A read of a segment's index, if it is not in memory.
    fn whole_index(&mut self, log: &Log, slot: Slot, segment: usize) -> Option<ColdRead> {
        let segment = &log.segments[segment];
        let len = segment.whole_index_to_load()?;
        let (segment_base, generation) = (segment.meta.base, segment.meta.generation);
        let path = segment.index_path(log.tp);
        let context = Context { slot, segment: segment_base, generation, what: What::Index };
        let ticket = self.ticket(context);
        Some(ColdRead { ticket, path, pos: 0, len: len.min(MAX_INDEX_READ) })
    }
}
