//! Write-back: brings pending frames into segments, so that the journal's space can be used again.
//!
//! A round goes through fixed stages; a stage begins when every operation of the one before it has
//! completed. The order is what makes it safe:
//!
//! 1. *Capture*: which frames are placed, the state of every log, the last LSN.
//! 2. Chunks of whole frames are written behind what the segments hold, then index blocks.
//! 3. Every file written and every directory that got a name is synced.
//! 4. Everything handed in before the capture is durable in the journal; so are the frames that were
//!    copied forward. A checkpoint must not know of a producer's batch that the journal could lose.
//! 5. The checkpoint is written beside the old one, synced, renamed over it; its directory is synced.
//! 6. Only now are the journal files that it covers free, and files that it no longer names removed.
//!
//! Logs with little pending are copied forward to the journal's head instead, up to a quarter of
//! what the round frees: ten thousand nearly idle partitions do not cost ten thousand small writes.
//! After a few copies, or when it has been idle for long, a log is placed whatever its size.

use crate::storage::buffer::{AlignedBuf, Filling};
use crate::storage::device::io::{FilePath, Op};
use crate::storage::device::outgoing::Purpose;
use crate::storage::engine::Engine;
use crate::storage::format::checkpoint::{self, Checkpoint, LogRecord, encode_tail};
use crate::storage::format::segment::{self, Grown, Segment, padded};
use crate::storage::interface::Slot;
use crate::storage::log::Log;
use crate::storage::read::cache::Chunk;
use bytes::Bytes;
use std::collections::{BTreeSet, VecDeque};

/// Frames are gathered into chunks up to about this many bytes.
const CHUNK: usize = 1 << 20;
/// Bytes of chunk writes in flight: enough to keep a disk busy, and few enough that a journal block
/// does not wait behind them for long.
const WRITES_IN_FLIGHT: usize = 4 << 20;
/// Operations in flight, besides writes of chunks.
const OPS_IN_FLIGHT: usize = 64;
/// A log is placed rather than copied forward once more.
const MAX_COPIES: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    MakeDirs,
    Create,
    Write,
    CreateIndexes,
    WriteIndexes,
    Sync,
    SyncDirs,
    Journal,
    CheckpointCreate,
    CheckpointWrite,
    CheckpointSync,
    CheckpointRename,
    CheckpointSyncDir,
}

/// A chunk to be written.
#[derive(Debug)]
struct Job {
    slot: Slot,
    frames: usize,
    bytes: usize,
    segment: i64,
    position: u64,
    path: FilePath,
    /// Index of the first job of the same log.
    first_of_log: usize,
    data: Option<Bytes>,
    done: bool,
    applied: bool,
}

/// A block of an index file: the file, where in it, the block.
type IndexWrite = (FilePath, u64, Vec<u8>);

/// A round under way.
#[derive(Debug)]
pub(in crate::storage) struct Round {
    stage: Stage,
    outstanding: usize,
    /// The journal up to this block is free in the end.
    target: u64,
    ticket: u64,
    checkpoint: Checkpoint,
    /// Log of each of the checkpoint's records.
    slots: Vec<Slot>,
    jobs: Vec<Job>,
    next_job: usize,
    bytes_in_flight: usize,
    new_topic_dirs: BTreeSet<FilePath>,
    creates: Vec<FilePath>,
    index_writes: Vec<IndexWrite>,
    syncs: Vec<FilePath>,
    /// What of the stage is still to be submitted.
    ops: VecDeque<Op>,
    dirs: BTreeSet<FilePath>,
}

impl Round {
    /// Whether it cannot go on before blocks are written.
    pub fn waits_for_journal(&self) -> bool {
        self.stage == Stage::Journal
    }
}

impl Engine {
    pub(in crate::storage) fn round_is_due(&self) -> bool {
        if self.round.is_some() {
            return false;
        }
        if self.shutting_down {
            return self.checkpoint_due && self.journal.is_quiet();
        }
        let (used, limit) = self.journal.usage();
        let full = used >= limit / 2 || self.journal.starved();
        (full && self.journal.reclaimable().is_some()) || self.idle_due
    }

    /// Whether a log had no appends for long and still has frames pending.
    pub(in crate::storage) fn is_idle(&self, log: &Log, now_ms: i64) -> bool {
        !log.pending.is_empty() && now_ms - log.last_append >= self.options.idle_ms
    }

    pub(in crate::storage) fn start_round(
        &mut self,
        now_ms: i64,
        snapshot: &mut dyn FnMut(Slot) -> Vec<u8>,
    ) {
        // Whole files only, when shutting down too: replay begins at the start of a file, and a
        // later block may still follow in the active one.
        let target = self.journal.reclaimable().unwrap_or(0);
        let (place, copy) = self.choose(now_ms, target);
        let mut round = Round {
            stage: Stage::MakeDirs,
            outstanding: 0,
            target,
            ticket: 0,
            checkpoint: Checkpoint {
                applied_lsn: self.journal.last_tickets().1,
                replay_from: self.journal.replay_from_after(target),
                durable_through: 0,
                journal_files: 0,
                logs: Vec::new(),
            },
            slots: Vec::new(),
            jobs: Vec::new(),
            next_job: 0,
            bytes_in_flight: 0,
            new_topic_dirs: BTreeSet::new(),
            creates: Vec::new(),
            index_writes: Vec::new(),
            syncs: Vec::new(),
            ops: VecDeque::new(),
            dirs: BTreeSet::new(),
        };
        for (slot, log) in self.logs.iter().filter(|(_, log)| !log.dropped) {
            let state = snapshot(slot);
            if log.is_untouched() && state.is_empty() {
                continue;
            }
            round.checkpoint.logs.push(record_of(log, state));
            round.slots.push(slot);
        }
        for slot in copy {
            let log = self.logs.log_mut(slot);
            log.copies = log.copies.saturating_add(1);
            let old = log.pending.iter().filter(|p| p.sequence <= target);
            let bases: Vec<_> = old.map(|p| p.base).collect();
            for base in bases {
                self.journal.stage_copy(slot, base);
            }
        }
        round.ticket = self.journal.last_tickets().0;
        for slot in place {
            self.plan_log(slot, &mut round);
        }
        self.last_round_ms = now_ms;
        self.checkpoint_due = false;
        self.idle_due = false;
        self.round = Some(round);
        self.enter(Stage::MakeDirs);
        self.advance_round(now_ms);
    }

    /// Logs to place and logs to copy forward.
    fn choose(&self, now_ms: i64, target: u64) -> (Vec<Slot>, Vec<Slot>) {
        let (mut place, mut copy) = (Vec::new(), Vec::new());
        let mut copy_bytes = 0;
        let pending = |log: &Log| !log.dropped && !log.pending.is_empty();
        for (slot, log) in self.logs.iter().filter(|(_, log)| pending(log)) {
            // Any of them: a copy of the oldest stands in a later block than those after it.
            let needed = log.pending.iter().any(|p| p.sequence <= target);
            if self.shutting_down
                || log.pending_bytes >= self.options.small_bytes
                || self.is_idle(log, now_ms)
                || (needed && log.copies >= MAX_COPIES)
            {
                place.push(slot);
            } else if needed {
                copy.push(slot);
                copy_bytes += log.pending_bytes as u64;
            }
        }
        // Copies take room in the journal: the largest are placed until few enough are left.
        copy.sort_by_key(|slot| self.logs.log(*slot).pending_bytes);
        let budget = self.journal.usage().0 / 4;
        while copy_bytes > budget
            && let Some(slot) = copy.pop()
        {
            copy_bytes -= self.log(slot).pending_bytes as u64;
            place.push(slot);
        }
        (place, copy)
    }

    /// Cuts a log's pending frames into chunks, and opens the segments that they go to.
    fn plan_log(&mut self, slot: Slot, round: &mut Round) {
        let Self { logs, options, segments_made, .. } = self;
        let log = logs.log_mut(slot);
        log.busy = true;
        log.copies = 0;
        let tp = log.tp;
        let roll_after_ms = log.config.roll_after_ms(tp);
        let first_of_log = round.jobs.len();
        let open = log.segments.last().filter(|s| !s.meta.sealed && s.meta.next == log.placed_end);
        let mut end = open.map(|s| (s.meta.base, s.meta.length, s.meta.first_append, s.path(tp)));
        let mut synced = false;
        let mut new_segments = Vec::new();
        let mut at = 0;
        while at < log.pending.len() {
            let first = log.pending[at].header();
            let rolls = end.as_ref().is_none_or(|(_, length, first_append, _)| {
                let full = length + padded(log.pending[at].frame.len()) as u64;
                (*length > 0 && full > log.config.segment_bytes)
                    || first.append_time() - first_append >= roll_after_ms
            });
            if rolls {
                let interval = log.config.index_interval_bytes;
                *segments_made += 1;
                // No segment had it before.
                let generation = options.journal.life << 32 | u64::from(*segments_made);
                let (base, append_time) = (first.base_offset(), first.append_time());
                let segment = Segment::new(base, generation, append_time, interval);
                let path = segment.path(tp);
                if log.segments.is_empty() && new_segments.is_empty() {
                    round.new_topic_dirs.insert(segment::dir_of(tp));
                }
                round.dirs.insert(segment::dir_of(tp));
                round.creates.push(path.clone());
                end = Some((base, 0, append_time, path));
                new_segments.push(segment);
                synced = false;
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
            if !synced {
                round.syncs.push(path.clone());
                synced = true;
            }
            round.jobs.push(Job {
                slot,
                frames,
                bytes,
                segment: *base,
                position: *length,
                path: path.clone(),
                first_of_log,
                data: None,
                done: false,
                applied: false,
            });
            *length += padded(bytes) as u64;
            at += frames;
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
    }

    /// Emits the operations of a stage.
    fn enter(&mut self, stage: Stage) {
        let mut round = self.round.take().expect("a round is under way");
        round.stage = stage;
        let journal = self.options.journal;
        let checkpoint_path = checkpoint::path_of(journal.life, journal.shard);
        let temporary = checkpoint::temporary_path_of(journal.life, journal.shard);
        let mut ops = VecDeque::new();
        match stage {
            Stage::MakeDirs => {
                ops.extend(round.new_topic_dirs.iter().map(|p| Op::MakeDir { path: p.clone() }));
                if !round.new_topic_dirs.is_empty() {
                    round.dirs.insert(segment::DIR.into());
                }
            }
            Stage::Create => {
                ops.extend(round.creates.drain(..).map(|path| Op::Create { path }));
            }
            Stage::Write => self.submit_writes(&mut round),
            Stage::CreateIndexes => {
                let (creates, writes) = self.index_blocks(&mut round);
                ops.extend(creates.into_iter().map(|path| Op::Create { path }));
                round.index_writes = writes;
            }
            Stage::WriteIndexes => {
                let writes = std::mem::take(&mut round.index_writes);
                round.syncs.extend(writes.iter().map(|w| w.0.clone()));
                let budget = &self.options.budget;
                ops.extend(writes.into_iter().map(|(path, pos, block)| {
                    let data = AlignedBuf::copy_of(&block, budget).freeze();
                    Op::Write { path, pos, data }
                }));
                round.syncs.sort_unstable();
                round.syncs.dedup();
            }
            Stage::Sync => {
                ops.extend(round.syncs.drain(..).map(|path| Op::Sync { path }));
            }
            Stage::SyncDirs => {
                let dirs = std::mem::take(&mut round.dirs);
                ops.extend(dirs.into_iter().map(|path| Op::SyncDir { path }));
            }
            Stage::Journal => self.describe_placed(&mut round),
            Stage::CheckpointCreate => ops.push_back(Op::Create { path: temporary }),
            Stage::CheckpointWrite => {
                (round.checkpoint.durable_through, round.checkpoint.journal_files) =
                    self.journal.proof();
                let budget = &self.options.budget;
                let data = round.checkpoint.encode(journal.directory_id, budget).freeze();
                self.stats.checkpoint_bytes += data.len() as u64;
                round.checkpoint.logs = Vec::new();
                ops.push_back(Op::Write { path: temporary, pos: 0, data });
            }
            Stage::CheckpointSync => ops.push_back(Op::Sync { path: temporary }),
            Stage::CheckpointRename => {
                ops.push_back(Op::Rename { from: temporary, to: checkpoint_path });
            }
            Stage::CheckpointSyncDir => {
                ops.push_back(Op::SyncDir { path: checkpoint::DIR.into() });
            }
        }
        round.ops = ops;
        self.round = Some(round);
        self.submit_ops();
    }

    /// Submits what the stage has left, as far as so much may be in flight.
    fn submit_ops(&mut self) {
        while let Some(round) = &mut self.round
            && round.outstanding < OPS_IN_FLIGHT
            && let Some(op) = round.ops.pop_front()
        {
            round.outstanding += 1;
            self.out.submit(Purpose::Round(u32::MAX, op.path().clone()), op);
        }
    }

    fn submit_writes(&mut self, round: &mut Round) {
        while round.bytes_in_flight < WRITES_IN_FLIGHT && round.next_job < round.jobs.len() {
            let index = round.next_job;
            round.next_job += 1;
            let before: usize = round.jobs[round.jobs[index].first_of_log..index]
                .iter()
                .filter(|j| !j.applied)
                .map(|j| j.frames)
                .sum();
            let job = &mut round.jobs[index];
            let log = self.logs.log(job.slot);
            let mut chunk = Filling::new(padded(job.bytes), &self.options.budget);
            for pending in log.pending.iter().skip(before).take(job.frames) {
                chunk.push(&pending.frame);
            }
            debug_assert_eq!(chunk.len(), job.bytes);
            let data = chunk.finish().freeze();
            self.stats.segment_bytes += data.len() as u64;
            job.data = Some(data.clone());
            round.bytes_in_flight += data.len();
            round.outstanding += 1;
            let op = Op::Write { path: job.path.clone(), pos: job.position, data };
            self.out.submit(Purpose::Round(index as u32, job.path.clone()), op);
        }
    }

    /// Full blocks of the indexes of segments that grew: files to create, blocks to write.
    fn index_blocks(&mut self, round: &mut Round) -> (Vec<FilePath>, Vec<IndexWrite>) {
        let (mut creates, mut writes) = (Vec::new(), Vec::new());
        let slots: BTreeSet<_> = round.jobs.iter().map(|j| j.slot).collect();
        for slot in slots {
            let Some(log) = self.logs.get_mut(slot) else { continue };
            let tp = log.tp;
            for segment in &mut log.segments {
                let path = segment.index_path(tp);
                while let Some((position, block)) = segment.index_block(segment.meta.sealed) {
                    if position == 0 {
                        creates.push(path.clone());
                        round.dirs.insert(segment::dir_of(tp));
                    }
                    self.stats.segment_bytes += block.len() as u64;
                    writes.push((path.clone(), position, block));
                }
            }
        }
        (creates, writes)
    }

    /// Puts what was placed into the checkpoint's records.
    fn describe_placed(&self, round: &mut Round) {
        let placed: BTreeSet<_> = round.jobs.iter().map(|j| j.slot).collect();
        for (record, slot) in round.checkpoint.logs.iter_mut().zip(&round.slots) {
            if placed.contains(slot) {
                let log = self.logs.log(*slot);
                record.placed_end = log.placed_end;
                record.placed_checksum = log.placed_checksum;
                record.segments = describe(&log.segments);
            }
        }
    }

    /// Takes in that an operation of the round completed.
    pub(in crate::storage) fn round_step(&mut self, now_ms: i64, tag: u32) {
        let round = self.round.as_mut().expect("a round is under way");
        round.outstanding -= 1;
        if let Some(job) = round.jobs.get_mut(tag as usize) {
            job.done = true;
            round.bytes_in_flight -= padded(job.bytes);
            let from = job.first_of_log;
            self.apply_jobs(from);
        }
        self.advance_round(now_ms);
    }

    /// Frames of written chunks leave the pending ones, in order, and are read from the cache.
    fn apply_jobs(&mut self, from: usize) {
        let round = self.round.as_mut().expect("a round is under way");
        let of_log = |j: &Job| j.first_of_log == from;
        for job in round.jobs[from..].iter_mut().take_while(|j| of_log(j)).skip_while(|j| j.applied)
        {
            if !job.done {
                break;
            }
            job.applied = true;
            let log = self.logs.log_mut(job.slot);
            let first = log.pending.front().map_or(0, |p| p.base);
            let mut grown = Grown {
                base: first,
                next: first,
                bytes: padded(job.bytes) as u64,
                max_timestamp: i64::MIN,
                max_timestamp_base: first,
                last_append: 0,
            };
            for pending in log.pending.drain(..job.frames) {
                let header = pending.header();
                if header.max_timestamp() > grown.max_timestamp {
                    grown.max_timestamp = header.max_timestamp();
                    grown.max_timestamp_base = pending.base;
                }
                grown.next = pending.last + 1;
                grown.last_append = header.append_time();
                log.placed_checksum = header.header_checksum();
            }
            log.pending_bytes -= job.bytes;
            log.placed_end = grown.next;
            let segment = log.segments.iter_mut().find(|s| s.meta.base == job.segment);
            segment.expect("segments of busy logs stay").grow(&grown);
            self.logs.uncount_pending(job.bytes);
            let data = job.data.take().expect("a written chunk has its bytes");
            let held = data.len();
            let chunk = Chunk::new(job.segment, job.position, grown.next, data, held);
            self.reads.keep(job.slot, first, chunk);
        }
    }

    /// Blocks became durable: the round may wait for that.
    pub(in crate::storage) fn round_journal_moved(&mut self, now_ms: i64) {
        if self.round.as_ref().is_some_and(Round::waits_for_journal) {
            self.advance_round(now_ms);
        }
    }

    fn advance_round(&mut self, now_ms: i64) {
        while let Some(round) = &mut self.round {
            if round.stage == Stage::Write && round.next_job < round.jobs.len() {
                let mut round = self.round.take().expect("a round is under way");
                self.submit_writes(&mut round);
                self.round = Some(round);
                return;
            }
            if !round.ops.is_empty() {
                self.submit_ops();
                return;
            }
            if round.outstanding > 0 {
                return;
            }
            let ticket = round.ticket;
            let journaled = self.journal.journaled(ticket);
            let Some(round) = &self.round else { return };
            let next = match round.stage {
                Stage::MakeDirs => Stage::Create,
                Stage::Create => Stage::Write,
                Stage::Write => Stage::CreateIndexes,
                Stage::CreateIndexes => Stage::WriteIndexes,
                Stage::WriteIndexes => Stage::Sync,
                Stage::Sync => Stage::SyncDirs,
                Stage::SyncDirs => Stage::Journal,
                Stage::Journal if !journaled => return,
                Stage::Journal => Stage::CheckpointCreate,
                Stage::CheckpointCreate => Stage::CheckpointWrite,
                Stage::CheckpointWrite => Stage::CheckpointSync,
                Stage::CheckpointSync => Stage::CheckpointRename,
                Stage::CheckpointRename => Stage::CheckpointSyncDir,
                Stage::CheckpointSyncDir => {
                    self.finish_round(now_ms);
                    return;
                }
            };
            self.enter(next);
        }
    }

    fn finish_round(&mut self, now_ms: i64) {
        let round = self.round.take().expect("a round is under way");
        self.journal.reclaim(round.target);
        self.stats.rounds += 1;
        for job in round.jobs.iter().filter(|j| j.applied) {
            if let Some(log) = self.logs.get_mut(job.slot) {
                log.busy = false;
            }
        }
        let slots: BTreeSet<_> = round.jobs.iter().map(|j| j.slot).collect();
        for slot in slots {
            if let Some(log) = self.logs.get(slot) {
                let (tp, dropped) = (log.tp, log.dropped);
                self.trim(now_ms, slot, tp);
                if dropped {
                    self.finish_drop(now_ms, slot);
                }
            }
        }
        self.start_removals(now_ms);
    }
}

fn record_of(log: &Log, state: Vec<u8>) -> LogRecord {
    LogRecord {
        tp: log.tp,
        start: log.start,
        state_end: log.end,
        placed_end: log.placed_end,
        placed_checksum: log.placed_checksum,
        segments: describe(&log.segments),
        state,
    }
}

fn describe(segments: &[Segment]) -> Vec<(segment::Meta, Vec<u8>)> {
    segments.iter().map(|s| (s.meta.clone(), encode_tail(&s.tail))).collect()
}
