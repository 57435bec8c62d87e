//! The job that brings pending frames of some logs into segments.
//!
//! It goes through fixed stages; a stage begins when every operation of the one before has ended:
//! chunks of whole frames are written behind what the segments hold, then index blocks, then every
//! file written and every directory that got a name is synced. Only what a finished job wrote may be
//! named by a checkpoint.

use super::around::{Around, Effect};
use super::ops::Ops;
use super::pacing;
use super::recycling::{self, Recycled};
use crate::storage::buffer::{AlignedBuf, Filling};
use crate::storage::device::io::{FilePath, Op};
use crate::storage::device::outgoing::Purpose;
use crate::storage::format::block::Run;
use crate::storage::format::segment::{self, Grown, Segment, padded};
use crate::storage::interface::Slot;
use crate::storage::read::cache::Chunk;
use bytes::Bytes;
use std::collections::BTreeSet;

/// Frames are gathered into chunks up to about this many bytes.
const CHUNK: usize = 1 << 20;
/// A job takes logs until it has so many frames.
const FRAMES: usize = 4096;
/// Or so many bytes, where it is in a hurry: the fewer jobs, the fewer syncs.
const MANY_BYTES: usize = 64 << 20;
/// Where it is not: as long as a job lasts, nothing goes past the journal into its logs.
const FEW_BYTES: usize = 8 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteBackStage {
    MakeDirs,
    Create,
    Write,
    CreateIndexes,
    WriteIndexes,
    Sync,
    SyncDirs,
}

/// A chunk to be written.
#[derive(Debug)]
struct Planned {
    slot: Slot,
    frames: usize,
    bytes: usize,
    segment: i64,
    position: u64,
    path: FilePath,
    /// Index of the first chunk of the same log.
    first_of_log: usize,
    data: Option<Bytes>,
    /// Bytes of each write of it but the last.
    write: usize,
    /// Bytes of it that were submitted, and writes that have not ended.
    submitted: usize,
    in_flight: usize,
    applied: bool,
}

impl Planned {
    fn is_done(&self) -> bool {
        self.submitted == padded(self.bytes) && self.in_flight == 0
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct WriteBack {
    stage: WriteBackStage,
    ops: Ops,
    /// Logs, and whether nothing more is expected of them for a while.
    slots: Vec<(Slot, bool)>,
    frames: usize,
    bytes: usize,
    bytes_max: usize,
    chunks: Vec<Planned>,
    next_chunk: usize,
    /// Bytes of the writes in flight.
    bytes_in_flight: usize,
    new_topic_dirs: BTreeSet<FilePath>,
    /// New files, or recycled ones.
    creates: Vec<Op>,
    index_writes: Vec<(FilePath, u64, Vec<u8>)>,
    syncs: BTreeSet<FilePath>,
    dirs: BTreeSet<FilePath>,
}

impl WriteBack {
    /// A job without logs.
    pub fn new(hurries: bool) -> Self {
        Self {
            stage: WriteBackStage::MakeDirs,
            ops: Ops::default(),
            slots: Vec::new(),
            frames: 0,
            bytes: 0,
            bytes_max: if hurries { MANY_BYTES } else { FEW_BYTES },
            chunks: Vec::new(),
            next_chunk: 0,
            bytes_in_flight: 0,
            new_topic_dirs: BTreeSet::new(),
            creates: Vec::new(),
            index_writes: Vec::new(),
            syncs: BTreeSet::new(),
            dirs: BTreeSet::new(),
        }
    }

    /// Its logs.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + '_ {
        self.slots.iter().map(|(slot, _)| *slot)
    }

    /// Whether it has no logs.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Whether it takes no more.
    pub fn is_full(&self, logs: usize) -> bool {
        self.slots.len() >= logs || self.has_enough()
    }

    fn has_enough(&self) -> bool {
        self.frames >= FRAMES || self.bytes >= self.bytes_max
    }

    /// Takes a log, whose index and space are looked after: cuts its pending frames into chunks, and opens the segments that they go to. All
    /// that the journal has in blocks up to `until`, and what fills the last chunk; at most as much as a job may have; whether that was all
    /// of them. `idle`: space is not kept for more. `generation` makes one that no segment had before.
    pub fn take(
        &mut self,
        (slot, idle): (Slot, bool),
        until: u64,
        around: &mut Around<'_>,
        recycled: &mut Recycled,
        generation: &mut dyn FnMut() -> u64,
    ) -> bool {
        let log = around.logs.log_mut(slot);
        log.busy = true;
        self.slots.push((slot, idle));
        let tp = log.tp;
        let roll_after_ms = log.config.roll_after_ms(tp);
        let first_of_log = self.chunks.len();
        let open = log.segments.last().filter(|s| !s.meta.sealed && s.meta.next == log.placed_end);
        let mut end = open.map(|s| (s.meta.base, s.meta.length, s.meta.first_append, s.path(tp)));
        let mut new_segments = Vec::new();
        // A copy of the oldest stands in a later block than those after it.
        let wanted = log.pending.iter().rposition(|p| p.sequence <= until).map_or(0, |i| i + 1);
        let mut at = 0;
        while at < wanted && (at == 0 || !self.has_enough()) {
            let first = log.pending[at].header();
            let rolls = end.as_ref().is_none_or(|(_, length, first_append, _)| {
                let full = length + padded(log.pending[at].frame.len()) as u64;
                (*length > 0 && full > log.config.segment_bytes)
                    || first.append_time() - first_append >= roll_after_ms
            });
            if rolls {
                let interval = log.config.index_interval_bytes;
                let (base, append_time) = (first.base_offset(), first.append_time());
                let mut segment = Segment::new(base, generation(), append_time, interval);
                let path = segment.path(tp);
                if log.segments.is_empty() && new_segments.is_empty() {
                    self.new_topic_dirs.insert(segment::dir_of(tp));
                }
                self.dirs.insert(segment::dir_of(tp));
                // What comes next may go there past the journal.
                let large = log.pending[at].frame.len() >= around.options.direct_bytes;
                let whole = log.config.segment_bytes;
                self.creates.push(match large.then(|| recycled.take(whole)).flatten() {
                    Some((from, bytes)) => {
                        segment.prewritten = bytes;
                        self.dirs.insert(recycling::DIR.into());
                        Op::Rename { from, to: path.clone() }
                    }
                    None => Op::Create { path: path.clone() },
                });
                end = Some((base, 0, append_time, path));
                new_segments.push(segment);
            }
            let (base, length, first_append, path) = end.as_mut().expect("a segment is open");
            let (mut frames, mut bytes) = (0, 0);
            while let Some(next) = log.pending.get(at + frames) {
                let more = bytes + next.frame.len();
                let over = *length + padded(more) as u64 > log.config.segment_bytes;
                let old = next.header().append_time() - *first_append >= roll_after_ms;
                if frames > 0 && (bytes >= CHUNK || over || old) {
                    break;
                }
                bytes = more;
                frames += 1;
            }
            self.syncs.insert(path.clone());
            self.chunks.push(Planned {
                slot,
                frames,
                bytes,
                segment: *base,
                position: *length,
                path: path.clone(),
                first_of_log,
                data: None,
                write: 0,
                submitted: 0,
                in_flight: 0,
                applied: false,
            });
            *length += padded(bytes) as u64;
            at += frames;
            self.frames += frames;
            self.bytes += bytes;
        }
        if !new_segments.is_empty()
            && let Some(old) = log.segments.last_mut()
        {
            old.meta.sealed = true;
        }
        let last = new_segments.len().saturating_sub(1);
        for (i, segment) in new_segments.iter_mut().enumerate() {
            segment.meta.sealed = i < last;
        }
        log.segments.extend(new_segments);
        at >= wanted
    }

    /// Goes on as far as it can; whether it is done.
    pub fn advance(&mut self, around: &mut Around<'_>) -> bool {
        loop {
            self.ops.submit(around.out);
            if self.stage == WriteBackStage::Write {
                self.submit_writes(around);
                if self.next_chunk < self.chunks.len() || self.bytes_in_flight > 0 {
                    return false;
                }
            }
            if !self.ops.is_done() {
                return false;
            }
            self.stage = match self.stage {
                WriteBackStage::MakeDirs => WriteBackStage::Create,
                WriteBackStage::Create => WriteBackStage::Write,
                WriteBackStage::Write => WriteBackStage::CreateIndexes,
                WriteBackStage::CreateIndexes => WriteBackStage::WriteIndexes,
                WriteBackStage::WriteIndexes => WriteBackStage::Sync,
                WriteBackStage::Sync => WriteBackStage::SyncDirs,
                WriteBackStage::SyncDirs => {
                    for (slot, _) in &self.slots {
                        around.logs.log_mut(*slot).busy = false;
                        around.logs.keep_pending(*slot);
                        around.effects.push(Effect::Released(*slot));
                    }
                    return true;
                }
            };
            self.enter(around);
        }
    }

    /// Adds the operations of the stage that was entered.
    pub fn enter(&mut self, around: &mut Around<'_>) {
        match self.stage {
            WriteBackStage::MakeDirs => {
                if !self.new_topic_dirs.is_empty() {
                    self.dirs.insert(segment::DIR.into());
                }
                let dirs = std::mem::take(&mut self.new_topic_dirs);
                self.ops.extend(dirs.into_iter().map(|path| Op::MakeDir { path }));
            }
            WriteBackStage::Create => {
                self.ops.extend(self.creates.drain(..));
            }
            WriteBackStage::Write => {}
            WriteBackStage::CreateIndexes => self.plan_index_blocks(around),
            WriteBackStage::WriteIndexes => {
                let budget = &around.options.budget;
                for (path, pos, block) in std::mem::take(&mut self.index_writes) {
                    self.syncs.insert(path.clone());
                    let data = AlignedBuf::copy_of(&block, budget).freeze();
                    self.ops.extend([Op::Write { path, pos, data }]);
                }
            }
            WriteBackStage::Sync => {
                let files = std::mem::take(&mut self.syncs);
                self.ops.extend(files.into_iter().map(|path| Op::Sync { path }));
            }
            WriteBackStage::SyncDirs => {
                let dirs = std::mem::take(&mut self.dirs);
                self.ops.extend(dirs.into_iter().map(|path| Op::SyncDir { path }));
            }
        }
    }

    fn submit_writes(&mut self, around: &mut Around<'_>) {
        let (pieces, piece) = (
            around.pace.in_flight(around.journal, around.written.segment_bytes),
            around.options.piece_bytes,
        );
        while self.bytes_in_flight < pieces * piece && self.next_chunk < self.chunks.len() {
            let index = self.next_chunk;
            if self.chunks[index].data.is_none() {
                let data = self.gather(index, around);
                around.written.segment_bytes += data.len() as u64;
                self.chunks[index].data = Some(data);
                self.chunks[index].write = pacing::together(pieces) * piece;
            }
            let planned = &mut self.chunks[index];
            let data = planned.data.as_ref().expect("just gathered");
            let from = planned.submitted;
            let data = data.slice(from..data.len().min(from + planned.write));
            planned.submitted += data.len();
            planned.in_flight += 1;
            self.bytes_in_flight += planned.write;
            if planned.submitted == padded(planned.bytes) {
                self.next_chunk += 1;
            }
            let (path, pos) = (planned.path.clone(), planned.position + from as u64);
            let op = Op::Write { path: path.clone(), pos, data };
            around.out.submit(Purpose::Placement(Some(index as u32), path), op);
        }
    }

    /// The frames of a chunk, padded.
    fn gather(&self, index: usize, around: &Around<'_>) -> Bytes {
        let planned = &self.chunks[index];
        let before = &self.chunks[planned.first_of_log..index];
        let before: usize = before.iter().filter(|c| !c.applied).map(|c| c.frames).sum();
        let log = around.logs.log(planned.slot);
        let mut chunk = Filling::new(padded(planned.bytes), &around.options.budget);
        for pending in log.pending.iter().skip(before).take(planned.frames) {
            chunk.push(&pending.frame);
        }
        debug_assert_eq!(chunk.len(), planned.bytes);
        chunk.finish().freeze()
    }

    /// Full blocks of the indexes of segments that grew, files to create for them; space that ended
    /// segments do not use.
    fn plan_index_blocks(&mut self, around: &mut Around<'_>) {
        for (slot, idle) in &self.slots {
            let log = around.logs.log_mut(*slot);
            let (tp, from) = (log.tp, log.unfinished_segments());
            let in_flight = log.direct.end().map(|(_, generation, _)| generation);
            for segment in &mut log.segments[from..] {
                let ends = segment.meta.sealed || *idle;
                if ends && in_flight != Some(segment.meta.generation) {
                    self.ops.extend(segment.release(tp));
                }
                let path = segment.index_path(tp);
                while let Some((position, block)) = segment.index_block(segment.meta.sealed) {
                    if position == 0 {
                        self.ops.extend([Op::Create { path: path.clone() }]);
                        self.dirs.insert(segment::dir_of(tp));
                    }
                    around.written.segment_bytes += block.len() as u64;
                    self.index_writes.push((path.clone(), position, block));
                }
            }
        }
    }

    /// Takes in that an operation ended: a write of that chunk, or another one.
    pub fn ended(&mut self, chunk: Option<u32>, around: &mut Around<'_>) {
        let Some(index) = chunk else { return self.ops.ended() };
        let planned = &mut self.chunks[index as usize];
        planned.in_flight -= 1;
        self.bytes_in_flight -= planned.write;
        self.apply_chunks(self.chunks[index as usize].first_of_log, around);
    }

    /// Frames of written chunks leave the pending ones, in order, and are read from the cache.
    fn apply_chunks(&mut self, from: usize, around: &mut Around<'_>) {
        let of_log = |c: &Planned| c.first_of_log == from;
        let chunks = self.chunks[from..].iter_mut().take_while(|c| of_log(c));
        for planned in chunks.skip_while(|c| c.applied) {
            if !planned.is_done() {
                break;
            }
            planned.applied = true;
            let log = around.logs.log_mut(planned.slot);
            let (mut checksum, mut chain) = (0, log.placed_checksum);
            let frames = log.pending.drain(..planned.frames).map(|pending| pending.header());
            let frames = frames.inspect(|header| {
                (checksum, chain) = (header.header_checksum(), header.chain_checksum());
            });
            let grown = Grown::of(frames, padded(planned.bytes) as u64);
            log.placed_checksum = chain;
            log.pending_bytes -= planned.bytes;
            log.placed_end = grown.next;
            let segment = log.segments.iter_mut().rfind(|s| s.meta.base == planned.segment);
            let segment = segment.expect("segments of busy logs stay");
            segment.grow(&grown);
            log.direct.placed(Run {
                first: grown.base,
                next: grown.next,
                segment: planned.segment,
                generation: segment.meta.generation,
                position: planned.position,
                length: planned.bytes,
                checksum,
            });
            around.logs.uncount_pending(planned.bytes);
            let data = planned.data.take().expect("a written chunk has its bytes");
            let held = data.len();
            let chunk = Chunk::new(planned.segment, planned.position, grown.next, data, held);
            around.effects.push(Effect::Chunk(planned.slot, grown.base, chunk));
        }
    }
}
