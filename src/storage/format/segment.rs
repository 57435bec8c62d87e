//! A segment: one append-only file of frames.
//!
//! Written in chunks: whole frames, padded with zeros to a multiple of 4096, so that no block of a
//! segment is ever written twice. Rejected: copying partial tail blocks forward in the journal; padding costs at most 4095 bytes for each chunk (chunks are 64 KiB and more but
//! for idle partitions), and in return a block of a segment is never rewritten and the frame that
//! straddles it never has two homes.

use super::frame::{FrameHeader, HEADER};
use super::index::{self, Index};
use crate::storage::buffer::{ALIGN, align_up};
use crate::storage::device::io::{FilePath, Op};
use crate::types::TopicPartition;
use bytes::Bytes;

/// Directory of all topics.
pub const DIR: &str = "topics";

/// What is known of a segment without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Offset of its first record, part of its name.
    pub base: i64,
    /// Part of its name, and never used twice for a partition: the life in the upper half, a count
    /// of its shard's in the lower. So no file has the name of one that is still to be unlinked,
    /// after a truncation, or where a partition was dropped and came back under the same id.
    pub generation: u64,
    /// Bytes of whole chunks.
    pub length: u64,
    /// Offset after its last valid record. Frames at or beyond it, left by a truncation, are void.
    pub next: i64,
    /// Largest timestamp in it, ms; -1 in an empty one.
    pub max_timestamp: i64,
    /// Base offset of the frame that holds it.
    pub max_timestamp_base: i64,
    /// The leader's clock at its first append, ms.
    pub first_append: i64,
    /// The leader's clock at its last append, ms.
    pub last_append: i64,
    /// Nothing is appended any more.
    pub sealed: bool,
    /// Whole index blocks in its `.idx` file.
    pub index_blocks: u32,
}

impl Meta {
    /// Whether it was made for what comes, and nothing has.
    pub fn awaits_its_first(&self) -> bool {
        !self.sealed && self.length == 0
    }
}

/// What a truncation leaves of the segment that it falls into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Base offset of the segment.
    pub segment: i64,
    /// Bytes of it that hold what is left, up to a multiple of 4096.
    pub length: u64,
    /// Largest timestamp of what is left, ms.
    pub max_timestamp: i64,
    /// An offset from which reading on finds it.
    pub max_timestamp_base: i64,
    /// The leader's clock at the last append that is left, ms.
    pub last_append: i64,
    /// Header checksum of the last frame that is left.
    pub checksum: u32,
}

/// A segment and what of its index is in memory.
#[derive(Debug)]
pub struct Segment {
    /// What is known of it.
    pub meta: Meta,
    /// Index entries of the blocks in the file, once loaded.
    pub loaded: Option<Box<Index>>,
    /// Index entries that no block in the file holds yet.
    pub tail: Index,
    /// Bytes of the file that were written before it became this segment's, in this life.
    pub prewritten: u64,
    /// Bytes of the file that an earlier life left, which may have space behind what counts.
    pub left: u64,
    /// Bytes of the file at a truncation that is not durable: what it cut off is needed until it is.
    pub held: u64,
}

impl Segment {
    /// A segment that a checkpoint describes.
    pub fn known(meta: Meta, tail: Index) -> Self {
        Self { meta, loaded: None, tail, prewritten: 0, left: 0, held: 0 }
    }

    /// A new, empty segment.
    pub fn new(base: i64, generation: u64, first_append: i64, interval: u32) -> Self {
        let meta = Meta {
            base,
            generation,
            length: 0,
            next: base,
            max_timestamp: -1,
            max_timestamp_base: base,
            first_append,
            last_append: first_append,
            sealed: false,
            index_blocks: 0,
        };
        let tail = Index::new(interval);
        Self { meta, loaded: None, tail, prewritten: 0, left: 0, held: 0 }
    }

    /// Whether it was made for what comes, and nothing has.
    pub fn awaits_its_first(&self) -> bool {
        self.meta.awaits_its_first()
    }

    /// Bytes of the index file to load before `at` can be found, if that is needed.
    pub fn index_to_load(&self, at: i64) -> Option<usize> {
        let in_tail = self.tail.first_base().is_some_and(|base| base <= at);
        self.whole_index_to_load().filter(|_| !in_tail)
    }

    /// Bytes of the index file, if it is not loaded.
    pub fn whole_index_to_load(&self) -> Option<usize> {
        let unloaded = self.loaded.is_none() && self.meta.index_blocks > 0;
        unloaded.then_some(self.meta.index_blocks as usize * ALIGN)
    }

    /// The last entry in memory at or below `offset`.
    pub fn entry_at(&self, offset: i64) -> Option<index::Entry> {
        let before = |index: &Index| index.before(|it| it.base_offset <= offset);
        before(&self.tail).or_else(|| before(self.loaded.as_deref()?))
    }

    /// The last entry in memory at or before a position.
    pub fn last_entry(&self, position: u64) -> Option<index::Entry> {
        let before = |index: &Index| index.before(|it| it.position <= position);
        before(&self.tail).or_else(|| before(self.loaded.as_deref()?))
    }

    /// The first entry in memory behind a position.
    pub fn next_entry(&self, position: u64) -> Option<index::Entry> {
        let after = |index: &Index| index.after(|it| it.position <= position);
        self.loaded.as_deref().and_then(after).or_else(|| after(&self.tail))
    }

    /// An offset to start reading at to find the first record at or after a time (ms).
    pub fn offset_before_time(&self, timestamp: i64) -> i64 {
        let known = match &self.loaded {
            Some(loaded) => loaded.find_time(timestamp).or_else(|| self.tail.find_time(timestamp)),
            None if self.meta.index_blocks == 0 => self.tail.find_time(timestamp),
            None => None,
        };
        known.unwrap_or(self.meta.base)
    }

    /// Takes in that a chunk of whole frames was written at its end.
    pub fn grow(&mut self, chunk: &Grown) {
        let meta = &mut self.meta;
        if chunk.max_timestamp > meta.max_timestamp {
            meta.max_timestamp = chunk.max_timestamp;
            meta.max_timestamp_base = chunk.max_timestamp_base;
        }
        self.tail.push(chunk.base, meta.max_timestamp, meta.length);
        meta.length += chunk.bytes;
        meta.next = chunk.next;
        meta.last_append = chunk.last_append;
    }

    /// Takes in that everything from `offset` on is gone; `cut` where that lies within this segment.
    /// Nothing is appended to it any more.
    pub fn truncate(&mut self, offset: i64, cut: Option<&Cut>) {
        let file = self.prewritten.max(self.left).max(self.meta.length);
        (self.prewritten, self.left, self.held) = (0, 0, self.held.max(file));
        let meta = &mut self.meta;
        meta.sealed = true;
        if let Some(cut) = cut.filter(|cut| cut.segment == meta.base) {
            meta.length = cut.length;
            meta.max_timestamp = cut.max_timestamp;
            meta.max_timestamp_base = cut.max_timestamp_base;
            meta.last_append = cut.last_append;
        }
        meta.next = meta.next.min(offset);
        self.tail.cut(meta.next, meta.max_timestamp);
        if let Some(loaded) = &mut self.loaded {
            loaded.cut(meta.next, meta.max_timestamp);
        }
    }

    /// Takes in that its truncations are durable: the space of what they cut off can be given back.
    pub fn truncated_durably(&mut self) {
        self.left = self.left.max(std::mem::take(&mut self.held));
    }

    /// Whether every entry of its index is in memory.
    pub fn index_is_whole(&self) -> bool {
        let loaded = self.loaded.as_ref().map_or(0, |loaded| loaded.blocks());
        loaded == self.meta.index_blocks
    }

    /// The last entry below `offset`, and the largest timestamp before it. `None` where there is
    /// none, or not all of the index is known.
    pub fn entry_before(&self, offset: i64) -> Option<(index::Entry, i64)> {
        if !self.index_is_whole() {
            return None;
        }
        let loaded = self.loaded.as_ref().map_or(&[][..], |loaded| loaded.entries());
        let entries = || loaded.iter().chain(self.tail.entries());
        let at = entries().take_while(|e| e.base_offset < offset).count().checked_sub(1)?;
        let before = at.checked_sub(1).and_then(|at| entries().nth(at));
        Some((*entries().nth(at)?, before.map_or(-1, |e| e.max_timestamp)))
    }

    /// Whether [`Segment::index_block`] has one, or space can be given back.
    pub fn is_unfinished(&self, stopping: bool) -> bool {
        let ends = self.meta.sealed || stopping;
        self.tail.has_block(self.meta.sealed)
            || (ends && self.prewritten.max(self.left) > self.meta.length)
    }

    /// The operation that gives back the space that it will not use, if it has some.
    pub fn release(&mut self, tp: TopicPartition) -> Option<Op> {
        let pos = self.meta.length;
        let end = std::mem::take(&mut self.prewritten).max(std::mem::take(&mut self.left));
        (end > pos).then(|| Op::Release { path: self.path(tp), pos, len: end - pos })
    }

    /// Bytes of its file that were written, for another segment to use.
    pub fn recyclable(&self) -> u64 {
        // What an earlier life has left behind its length may be holes.
        if self.left > self.meta.length { 0 } else { self.prewritten.max(self.meta.length) }
    }

    /// A block for its index file and where it goes, when enough entries are there; `all` takes
    /// what there is.
    pub fn index_block(&mut self, all: bool) -> Option<(u64, Vec<u8>)> {
        let (entries, block) = self.tail.take_block(all)?;
        let position = u64::from(self.meta.index_blocks) * ALIGN as u64;
        if let Some(loaded) = &mut self.loaded {
            loaded.extend(entries);
        } else if self.meta.index_blocks == 0 {
            let mut loaded = Index::new(0);
            loaded.extend(entries);
            self.loaded = Some(Box::new(loaded));
        }
        self.meta.index_blocks += 1;
        Some((position, block))
    }

    /// Its file.
    pub fn path(&self, tp: TopicPartition) -> FilePath {
        path_of(tp, self.meta.base, self.meta.generation)
    }

    /// Its index file.
    pub fn index_path(&self, tp: TopicPartition) -> FilePath {
        index_path_of(tp, self.meta.base, self.meta.generation)
    }
}

/// A chunk that was written.
#[derive(Clone, Copy, Debug)]
pub struct Grown {
    /// Offset of its first record.
    pub base: i64,
    /// Offset after its last record.
    pub next: i64,
    /// Bytes in the file, padding included.
    pub bytes: u64,
    /// Largest timestamp in it, ms.
    pub max_timestamp: i64,
    /// Base offset of the frame that holds it.
    pub max_timestamp_base: i64,
    /// The leader's clock at the append of the last one, ms.
    pub last_append: i64,
}

impl Grown {
    /// A chunk of these frames, of which there is one at least; `bytes` with its padding.
    pub fn of(frames: impl Iterator<Item = FrameHeader>, bytes: u64) -> Self {
        let none = Self {
            base: i64::MAX,
            next: 0,
            bytes,
            max_timestamp: i64::MIN,
            max_timestamp_base: 0,
            last_append: 0,
        };
        frames.fold(none, |mut grown, header| {
            grown.base = grown.base.min(header.base_offset());
            // The first one of equals, as Kafka has it.
            if header.max_timestamp() > grown.max_timestamp {
                grown.max_timestamp = header.max_timestamp();
                grown.max_timestamp_base = header.base_offset();
            }
            grown.next = header.last_offset() + 1;
            grown.last_append = header.append_time();
            grown
        })
    }
}

/// The file of a segment.
pub fn path_of(tp: TopicPartition, base: i64, generation: u64) -> FilePath {
    file_path(tp, base, generation, "log")
}

fn file_path(tp: TopicPartition, base: i64, generation: u64, extension: &str) -> FilePath {
    format!("{}/{:08}-{base:020}-{generation:08x}.{extension}", dir_of(tp), tp.partition).into()
}

/// The index file of a segment.
pub fn index_path_of(tp: TopicPartition, base: i64, generation: u64) -> FilePath {
    file_path(tp, base, generation, "idx")
}

/// The directory of a partition's topic.
pub fn dir_of(tp: TopicPartition) -> FilePath {
    format!("{DIR}/{}", tp.topic.hex()).into()
}

/// Reads a segment's or index's file name back: partition, base offset, generation, extension.
pub fn parse_name(name: &str) -> Option<(i32, i64, u64, &str)> {
    let (stem, extension) = name.split_once('.')?;
    let mut parts = stem.split('-');
    let partition = parts.next()?.parse().ok()?;
    let base = parts.next()?.parse().ok()?;
    let generation = u64::from_str_radix(parts.next()?, 16).ok()?;
    parts.next().is_none().then_some((partition, base, generation, extension))
}

/// Bytes that a chunk of `frames` bytes takes in the file.
pub const fn padded(frames: usize) -> usize {
    align_up(frames)
}

/// What a reader wants of a log.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    /// The first batch holds this offset.
    pub from: i64,
    /// Batches with a base offset at or beyond this are left out.
    pub upto: i64,
    /// Bytes, at most; a first batch that is larger comes whole where `at_least_one`.
    pub max_bytes: usize,
    /// See `max_bytes`.
    pub at_least_one: bool,
}

/// Collects slices of whole batches.
#[derive(Debug, Default)]
pub struct Slices {
    /// Slices of record batches, in offset order.
    pub slices: Vec<Bytes>,
    /// Their bytes.
    pub bytes: usize,
    /// Offset after the last record taken; `None` where nothing was.
    pub next: Option<i64>,
    /// Nothing more fits.
    pub full: bool,
}

impl Slices {
    /// Takes what is wanted of the frames in `chunk`, which starts at a frame; padding is skipped.
    /// `position` is the chunk's in its segment.
    pub fn take_chunk(&mut self, chunk: &Bytes, position: u64, want: &Want) {
        let skew = position as usize % ALIGN;
        let mut at = 0;
        while at < chunk.len() && !self.full {
            // Chunks in memory were verified when they were made.
            match FrameHeader::view(&chunk[at..]) {
                Some(header) => {
                    let end = at + header.frame_len();
                    self.take_frame(&header, &chunk.slice(at..end), want);
                    at = end;
                }
                None => at = align_up(skew + at + 1) - skew,
            }
        }
    }

    /// Takes what is wanted of one frame, `frame` with its header.
    pub fn take_frame(&mut self, header: &FrameHeader, frame: &Bytes, want: &Want) {
        if self.full || header.last_offset() < want.from {
            return;
        }
        if header.base_offset() >= want.upto {
            self.full = true;
            return;
        }
        let payload = frame.len() - HEADER;
        let whole = header.base_offset() >= want.from
            && header.last_offset() < want.upto
            && self.bytes + payload <= want.max_bytes;
        if whole {
            self.push(frame.slice(HEADER..), header.last_offset() + 1);
            return;
        }
        // From the batch that holds `from`, up to the limits.
        let records = &frame[HEADER..];
        let (mut at, mut start, mut next) = (0, None, 0);
        while let Some(batch) = Batch::at(&records[at..]) {
            if batch.last >= want.from {
                let taken = at - start.unwrap_or(at);
                let fits = self.bytes + taken + batch.len <= want.max_bytes;
                let first = self.bytes == 0 && taken == 0 && want.at_least_one;
                if batch.base >= want.upto || !(fits || first) {
                    self.full = true;
                    break;
                }
                start.get_or_insert(at);
                next = batch.last + 1;
            }
            at += batch.len;
        }
        if let Some(start) = start {
            self.push(frame.slice(HEADER + start..HEADER + at), next);
        }
    }

    fn push(&mut self, slice: Bytes, next: i64) {
        self.bytes += slice.len();
        self.slices.push(slice);
        self.next = Some(next);
    }
}

/// The fields of a record batch (v2) that placing and slicing need.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Base offset.
    pub base: i64,
    /// Last offset.
    pub last: i64,
    /// Bytes, header included.
    pub len: usize,
}

impl Batch {
    /// The whole batch at the start of `bytes`.
    pub fn at(bytes: &[u8]) -> Option<Self> {
        let base = i64::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
        let length = i32::from_be_bytes(bytes.get(8..12)?.try_into().ok()?);
        let delta = i32::from_be_bytes(bytes.get(23..27)?.try_into().ok()?);
        let len = 12 + usize::try_from(length).ok()?;
        (len <= bytes.len()).then_some(Self { base, last: base + i64::from(delta), len })
    }
}
