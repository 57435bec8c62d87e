//! What a shard's journal is written with: items staged in their order, and the blocks that they
//! become. It knows the logs, whose frames it makes, and nothing of segments, rounds or readers.

use super::plan::{BlockPlan, PlanEntry};
use super::runs::{self, PlannedRun, PlannedRuns};
use super::{BlockSpace, InFlight, JournalFiles};
use crate::storage::buffer::{AlignedBuf, Budget, Filling};
use crate::storage::device::io::{FilePath, Op, Submission};
use crate::storage::device::outgoing::{Outgoing, Purpose};
use crate::storage::format::block::{self, Journal, Kind, Place, Run};
use crate::storage::format::block_writer::{BlockWriter, FrameWriter};
use crate::storage::format::frame::{FrameFields, FrameHeader};
use crate::storage::format::segment::{Grown, padded};
use crate::storage::format::whole_frame::Frame;
use crate::storage::interface::{Append, EngineOptions, Moments, Slot};
use crate::storage::journal;
use crate::storage::log::{Log, Pending};
use crate::storage::logs::Logs;
use crate::types::TopicPartition;
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;

/// Of so many journal blocks one is written and synced by two operations, so that the time of each
/// is seen; so is one that acknowledges something as soon as it is written.
pub const APART: u64 = 64;

/// A block is small with so many bytes of what was staged.
const SMALL_BLOCK: usize = 64 << 10;
/// So many blocks are in flight at most when a small one goes, and when a large one goes.
const MAX_SMALL_IN_FLIGHT: usize = 4;
const MAX_LARGE_IN_FLIGHT: usize = 2;

/// Of a block's bytes at most this part is copied forward, one frame at least.
const COPIES_SHARE: usize = 8;

#[derive(Debug)]
enum Staged {
    Append { slot: Slot, append: Append },
    Frame(Box<StagedFrame>),
    Control { slot: Slot, tp: TopicPartition, kind: Kind, offset: i64, body: Vec<u8>, waits: Waits },
}

/// A leader's frame.
#[derive(Debug)]
struct StagedFrame {
    slot: Slot,
    frame: Frame,
    token: u64,
}

/// A frame of a block that is being laid out.
struct Laid {
    slot: Slot,
    /// Where it starts in the block, and its length.
    at: usize,
    len: usize,
    base: i64,
    last: i64,
    is_copy: bool,
    /// For followers, too.
    ships: bool,
}

impl Laid {
    #[inline]
    fn new(slot: Slot, at: usize, header: &FrameHeader) -> Self {
        let (base, last) = (header.base_offset(), header.last_offset());
        Self { slot, at, len: header.frame_len(), base, last, is_copy: false, ships: false }
    }
}

/// Staged items with their tickets.
type Items = Vec<(u64, Staged)>;

/// What one block is made of.
#[derive(Clone, Copy)]
struct Turn<'a> {
    now_ms: i64,
    plan: &'a BlockPlan,
    items: &'a Items,
}

/// A run that is to be written.
struct MadeRun {
    slot: Slot,
    path: FilePath,
    run: Run,
    data: Bytes,
}

/// Who waits for a control entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::storage) enum Waits {
    Token(u64),
    Retention,
}

/// What a block acknowledges.
#[derive(Debug, Default)]
pub(in crate::storage) struct Acks {
    /// Log, its end with this block, and whether it is acknowledged when written.
    pub ends: Vec<(Slot, i64, bool)>,
    /// In the order of its entries.
    pub given: Vec<Given>,
    /// The last staged item in it.
    ticket: u64,
    pub relaxed_told: bool,
    pub moments: Moments,
}

/// Somebody waits for an entry.
#[derive(Debug)]
pub(in crate::storage) enum Given {
    Append { token: u64, relaxed: bool },
    Control { slot: Slot, tp: TopicPartition, kind: Kind, offset: i64, waits: Waits },
}

/// Bytes and blocks since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::storage) struct Counters {
    pub blocks: u64,
    pub appended_bytes: u64,
    pub journal_bytes: u64,
    pub copied_bytes: u64,
    pub direct_bytes: u64,
}

/// A file for the journal: written with zeros and synced, with its directory, before it joins.
#[derive(Debug)]
struct Preparing {
    path: FilePath,
    size: u64,
    stage: PrepareStage,
}

#[derive(Debug, Clone, Copy)]
enum PrepareStage {
    Create,
    Zero(u64),
    SyncPart(u64),
    Sync,
    SyncDir,
}

/// See the module.
#[derive(Debug)]
pub(in crate::storage) struct JournalWriter {
    journal: Journal,
    budget: Arc<Budget>,
    max_block: usize,
    direct_bytes: usize,
    staged: VecDeque<(u64, Staged)>,
    staged_bytes: usize,
    /// Something of what is staged is of a replicated log.
    staged_replicated: bool,
    /// Frames of replicated logs that were made and not taken yet.
    made: Vec<(Slot, Frame)>,
    /// Logs that want a new segment for runs.
    want_segment: Vec<Slot>,
    /// Frames to copy forward: log and base offset.
    copies: VecDeque<(Slot, i64)>,
    /// The last block that holds copies.
    copied_in: u64,
    /// Items staged up to this say why some frames were not copied: their log was dropped or truncated.
    not_copied_for: u64,
    /// Number of the last item that was staged.
    last_staged: u64,
    /// Number of the last item, copies included. An entry's LSN is that of its first item; so what
    /// was done to the logs before a checkpoint's state was taken has LSNs up to this, what is done
    /// later has not.
    last_ticket: u64,
    /// Every staged item up to this stands in a block.
    last_planned: u64,
    /// Every staged item up to this is durable.
    durable_ticket: u64,
    files: JournalFiles<Acks>,
    /// Bytes of a block that found no room.
    need_room: Option<u64>,
    preparing: Option<Preparing>,
    zeros: Option<Bytes>,
    last_block_checksum: u32,
    /// The last block holds something, and no later one says that it was synced.
    unmarked: bool,
    /// An idle shard's journal is to be closed.
    marker_due: bool,
    /// The next block's sequence at the last tick.
    sequence_at_tick: u64,
    moment: u64,
    counters: Counters,
}

impl JournalWriter {
    /// A journal without files, which goes on behind these.
    pub fn new(options: &EngineOptions, last_lsn: u64, last_block_checksum: u32) -> Self {
        Self {
            journal: options.journal,
            budget: options.budget.clone(),
            max_block: options.max_block,
            direct_bytes: options.direct_bytes,
            made: Vec::new(),
            want_segment: Vec::new(),
            staged: VecDeque::new(),
            staged_bytes: 0,
            staged_replicated: false,
            copies: VecDeque::new(),
            copied_in: 0,
            not_copied_for: 0,
            last_staged: last_lsn,
            last_ticket: last_lsn,
            last_planned: last_lsn,
            durable_ticket: last_lsn,
            files: JournalFiles::new(options.journal_start, options.journal_limit),
            need_room: None,
            preparing: None,
            zeros: None,
            last_block_checksum,
            unmarked: false,
            marker_due: false,
            sequence_at_tick: 0,
            moment: 0,
            counters: Counters::default(),
        }
    }

    /// Takes a file that recovery wrote; see [`JournalFiles::adopt`].
    pub fn adopt(&mut self, path: FilePath, size: u64, blocks: Option<(u64, u64)>, position: u64) {
        self.files.adopt(path, size, blocks, position);
    }

    #[inline]
    fn stage(&mut self, item: Staged) {
        self.last_ticket += 1;
        self.last_staged = self.last_ticket;
        self.staged.push_back((self.last_ticket, item));
    }

    /// Takes a batch for the next block; whether its log is `replicated`.
    #[inline]
    pub fn stage_append(&mut self, slot: Slot, append: Append, replicated: bool) {
        self.staged_bytes += append.batch.len();
        self.staged_replicated |= replicated;
        self.stage(Staged::Append { slot, append });
    }

    /// Takes a leader's frame for the next block.
    pub fn stage_frame(&mut self, slot: Slot, frame: Frame, token: u64) {
        self.staged_bytes += frame.payload().len();
        self.staged_replicated = true;
        self.stage(Staged::Frame(Box::new(StagedFrame { slot, frame, token })));
    }

    /// Frames of replicated logs that were made since the last call, each log's in its order.
    pub fn take_frames(&mut self) -> Vec<(Slot, Frame)> {
        std::mem::take(&mut self.made)
    }

    /// Takes a control entry for the next block.
    pub fn stage_control(
        &mut self,
        (slot, tp): (Slot, TopicPartition),
        kind: Kind,
        offset: i64,
        body: Vec<u8>,
        waits: Waits,
    ) {
        self.stage(Staged::Control { slot, tp, kind, offset, body, waits });
    }

    /// Takes a frame that is to be copied to the journal's head.
    pub fn stage_copy(&mut self, slot: Slot, base: i64) {
        self.copies.push_back((slot, base));
    }

    /// The last item that was staged, and the last LSN that was given out.
    pub fn last_tickets(&self) -> (u64, u64) {
        (self.last_staged, self.last_ticket)
    }

    /// Bytes handed in that no block holds yet.
    pub fn staged_bytes(&self) -> usize {
        self.staged_bytes
    }

    /// What the time is; see [`Moments`].
    pub fn at(&mut self, moment: u64) {
        self.moment = moment;
    }

    /// Whether more may be staged, as far as the journal is concerned, of whose frames so many bytes are
    /// `pending`, where that matters. They become fewer with each chunk that is written back, while the journal's files
    /// become free one at a time: so what is appended faster than it can be written back waits for
    /// a chunk, and not for a file.
    pub fn admits(&self, memory: bool, pending: Option<u64>) -> bool {
        let staged = self.staged_bytes as u64;
        let quiet = staged == 0 && self.files.in_flight() == 0;
        let limit = self.files.limit();
        let room = self.files.used() + staged < limit / 8 * 7
            && pending.is_none_or(|pending| pending + staged < limit / 8 * 5);
        quiet || (room && memory && staged < 4 * self.max_block as u64)
    }

    /// Whether something waits to be written.
    pub fn has_work(&self) -> bool {
        !self.staged.is_empty() || !self.copies.is_empty()
    }

    /// Whether nothing waits, and nothing is on its way.
    pub fn is_quiet(&self) -> bool {
        !self.has_work() && self.files.in_flight() == 0
    }

    /// Whether a block can be written now.
    pub fn wants_block(&self) -> bool {
        self.has_work() && self.may_write() && self.need_room.is_none()
    }

    fn may_write(&self) -> bool {
        let staged = (!self.staged.is_empty()).then_some(self.staged_bytes);
        self.files.in_flight() < most_in_flight(staged, self.staged_replicated, self.max_block)
    }

    /// Writes what was staged, as far as it may; whether it wrote anything.
    pub fn write(&mut self, now_ms: i64, logs: &mut Logs, out: &mut Outgoing) -> bool {
        let mut wrote = false;
        while self.has_work() && self.may_write() && self.write_block(now_ms, logs, out) {
            wrote = true;
        }
        if std::mem::take(&mut self.marker_due) && self.is_quiet() {
            self.write_marker(out);
        }
        wrote
    }

    fn write_block(&mut self, now_ms: i64, logs: &mut Logs, out: &mut Outgoing) -> bool {
        let mut plan = BlockPlan::default();
        for (_, item) in &self.staged {
            let fits = match item {
                Staged::Append { slot, append } => {
                    let log = logs.log_mut(*slot);
                    plan.add_append(*slot, append, &mut log.open_frame, self.max_block)
                }
                Staged::Frame(staged) => {
                    logs.log_mut(staged.slot).open_frame = 0;
                    plan.add_frame(staged.slot, staged.frame.len(), self.max_block)
                }
                Staged::Control { slot, body, .. } => {
                    if let Some(log) = logs.get_mut(*slot) {
                        log.open_frame = 0;
                    }
                    plan.add_control(body.len(), self.max_block)
                }
            };
            if !fits {
                break;
            }
        }
        for slot in plan.slots() {
            if let Some(log) = logs.get_mut(slot) {
                log.open_frame = 0;
            }
        }
        let copies = self.plan_copies(logs, &mut plan);
        let runs = runs::choose(&mut plan, logs, self.direct_bytes, now_ms);
        if plan.entries() == 0 {
            // All that was to be copied is gone.
            self.copies.drain(..copies);
            return false;
        }
        let len = plan.block_len();
        let Some(room) = self.files.room(len as u64) else {
            self.need_room = Some(len as u64);
            return false;
        };
        self.need_room = None;
        let items: Items = self.staged.drain(..plan.items()).collect();
        self.staged_replicated &= !self.staged.is_empty();
        let copies: Vec<_> = self.copies.drain(..copies).collect();
        if !copies.is_empty() {
            self.copied_in = self.files.next_sequence();
        }
        let turn = Turn { now_ms, plan: &plan, items: &items };
        let (bytes, acks, made) = self.fill_block(turn, logs, &runs, copies, len);
        self.unmarked = true;
        self.want_segment.extend(runs.want_segment);
        let sequence = self.submit_block(room, bytes, made.len(), acks, out);
        for MadeRun { slot, path, run, data } in made {
            let id = out.id(Purpose::RunWrite(path.clone()));
            let sync_id = out.id(Purpose::RunSync(sequence, slot, run.first, path.clone()));
            let op = Op::WriteSync { path, pos: run.position, data, sync_id, apart: false };
            out.push(Submission { id, op });
        }
        true
    }

    /// Adds frames to copy forward: behind what is new, and no more than a bounded share of a block,
    /// so that no acknowledgement waits long for them; at least one, so that they come to their end.
    /// How many of those that wait are dealt with.
    fn plan_copies(&mut self, logs: &Logs, plan: &mut BlockPlan) -> usize {
        let share = self.max_block / COPIES_SHARE;
        let (mut taken, mut bytes) = (0, 0);
        for (slot, base) in &self.copies {
            if bytes > 0 && bytes >= share {
                break;
            }
            if let Some(frame) = frame_to_copy(logs, *slot, *base) {
                bytes += frame.len();
                plan.add_copy(frame);
            } else {
                self.not_copied_for = self.last_staged;
            }
            taken += 1;
        }
        taken
    }

    fn submit_block(
        &mut self,
        room: BlockSpace,
        bytes: Bytes,
        runs: usize,
        acks: Acks,
        out: &mut Outgoing,
    ) -> u64 {
        let len = bytes.len() as u64;
        self.counters.blocks += 1;
        self.counters.journal_bytes += len;
        let relaxed = acks.ends.iter().any(|(_, _, relaxed)| *relaxed);
        let sequence = self.files.push(len, runs, acks);
        let id = out.id(Purpose::BlockWrite(sequence));
        let sync_id = out.id(Purpose::BlockSync(sequence));
        let apart = relaxed || sequence.is_multiple_of(APART);
        let (path, pos) = (room.path, room.position);
        let op = Op::WriteSync { path, pos, data: bytes, sync_id, apart };
        out.push(Submission { id, op });
        sequence
    }

    /// Closes the journal of a shard that has gone idle with a block that holds nothing, and says
    /// that all before it is synced: otherwise nothing told the last block from a torn one. One is
    /// enough until something is written again, so an idle shard stays idle. Where there is no room,
    /// a round is to come, and its checkpoint says the same.
    fn write_marker(&mut self, out: &mut Outgoing) {
        let len = block::block_len(0, 0);
        let Some(room) = self.files.room(len as u64) else { return };
        let bytes = self.seal_block(BlockWriter::new(0, len, &self.budget));
        let acks = Acks { ticket: self.last_planned, moments: self.moments(), ..Acks::default() };
        self.unmarked = false;
        self.submit_block(room, bytes, 0, acks, out);
    }

    fn moments(&self) -> Moments {
        Moments { built: self.moment, ..Moments::default() }
    }

    fn seal_block(&mut self, block: BlockWriter) -> Bytes {
        let place = Place {
            sequence: self.files.next_sequence(),
            durable_through: self.files.durable_through(),
            previous_checksum: self.last_block_checksum,
        };
        let (bytes, checksum) = block.seal(self.journal, place);
        self.last_block_checksum = checksum;
        bytes
    }

    /// Lays out the block, makes its frames pending, and its runs.
    fn fill_block(
        &mut self,
        turn: Turn<'_>,
        logs: &mut Logs,
        runs: &PlannedRuns,
        copies: Vec<(Slot, i64)>,
        len: usize,
    ) -> (Bytes, Acks, Vec<MadeRun>) {
        // A block of copies alone says nothing new of what was staged.
        let ticket = turn.items.last().map_or(self.last_planned, |i| i.0);
        self.last_planned = ticket;
        let entries = turn.plan.entries();
        let mut acks = Acks { ticket, moments: self.moments(), ..Acks::default() };
        acks.given.reserve(turn.items.len());
        acks.ends.reserve(entries);
        let mut out = BlockWriter::new(entries, len, &self.budget);
        let mut frames: Vec<Laid> = Vec::with_capacity(entries);
        let mut made: Vec<MadeRun> = Vec::new();
        let sequence = self.files.next_sequence();
        for entry in turn.plan.iter() {
            let lsn = turn.items[entry.first].0;
            match &turn.items[entry.first].1 {
                Staged::Append { .. } | Staged::Frame(_) => {
                    let slot = entry.slot.expect("it is a log's");
                    let planned = runs.runs.get(&slot).map_or(&[][..], |planned| planned);
                    let log = logs.log_mut(slot);
                    // All of a log's runs are made at its first entry.
                    if !planned.is_empty() && made.iter().all(|run| run.slot != slot) {
                        for run in log.direct.take_unsaid() {
                            out.control(lsn, Kind::Placed, &block::placed_body(log.tp, &run));
                        }
                        let mut covered = log.direct.covered().0;
                        for planned in planned {
                            let run = self.make_run(turn, (slot, log), covered, planned, &mut acks);
                            covered += planned.pending;
                            out.control(lsn, Kind::Placed, &block::placed_body(log.tp, &run.run));
                            made.push(run);
                        }
                    }
                    if !planned.iter().any(PlannedRun::is_new) {
                        let (at, header) =
                            self.lay_frame(turn, log, entry, out.bodies(), &mut acks);
                        out.frame_made(lsn, &header);
                        let ships = log.replicated;
                        frames.push(Laid { ships, ..Laid::new(slot, at, &header) });
                    }
                }
                Staged::Control { slot, tp, kind, offset, body, waits } => {
                    out.control(lsn, *kind, body);
                    let (slot, tp, kind, offset, waits) = (*slot, *tp, *kind, *offset, *waits);
                    acks.given.push(Given::Control { slot, tp, kind, offset, waits });
                }
            }
        }
        for (slot, base) in copies {
            let Some(frame) = frame_to_copy(logs, slot, base) else { continue };
            let header = FrameHeader::view(frame).expect("pending frames are whole");
            self.last_ticket += 1;
            let at = out.frame(self.last_ticket, &header, frame, block::COPIED);
            self.counters.copied_bytes += header.frame_len() as u64;
            frames.push(Laid { is_copy: true, ..Laid::new(slot, at, &header) });
        }
        let bytes = self.seal_block(out);
        for Laid { slot, at, len, base, last, is_copy, ships } in frames {
            let frame = bytes.slice(at..at + len);
            if ships {
                let header = FrameHeader::view(&frame).expect("it was laid there");
                self.made.push((slot, Frame::of(header, &frame)));
            }
            let pending = Pending { frame, sequence, base, last };
            if is_copy {
                let log = logs.log_mut(slot);
                let i = log.pending.binary_search_by_key(&base, |p| p.base);
                log.pending[i.expect("planned in this turn")] = pending;
            } else {
                logs.push_pending(slot, pending);
            }
        }
        (bytes, acks, made)
    }

    /// Lays the frame of an entry behind what is in `out`; where it starts there, and its header.
    #[inline]
    fn lay_frame(
        &mut self,
        turn: Turn<'_>,
        log: &mut Log,
        entry: &PlanEntry,
        out: &mut Filling,
        acks: &mut Acks,
    ) -> (usize, FrameHeader) {
        match &turn.items[entry.first].1 {
            Staged::Frame(staged) => self.take_over_frame(turn, log, staged, out, acks),
            _ => self.make_frame(turn, log, entry, out, acks),
        }
    }

    /// Lays a leader's frame behind what is in `out`, as it is.
    fn take_over_frame(
        &mut self,
        turn: Turn<'_>,
        log: &mut Log,
        StagedFrame { slot, frame, token }: &StagedFrame,
        out: &mut Filling,
        acks: &mut Acks,
    ) -> (usize, FrameHeader) {
        let at = out.len();
        out.push(frame.header_bytes());
        out.push(frame.payload());
        self.staged_bytes -= frame.payload().len();
        self.counters.appended_bytes += frame.payload().len() as u64;
        log.made(frame.header());
        log.last_append = turn.now_ms;
        let relaxed = log.config.relaxed();
        acks.given.push(Given::Append { token: *token, relaxed });
        acks.ends.push((*slot, frame.next_offset(), relaxed));
        (at, *frame.header())
    }

    /// Makes the frame of an entry behind what is in `out`; where it starts there, and its header.
    #[inline]
    fn make_frame(
        &mut self,
        turn: Turn<'_>,
        log: &mut Log,
        entry: &PlanEntry,
        out: &mut Filling,
        acks: &mut Acks,
    ) -> (usize, FrameHeader) {
        let append = append_of(turn.items, entry.first);
        let mut fields = FrameFields {
            tp: log.tp,
            leader_epoch: append.leader_epoch,
            base_offset: append.base_offset,
            last_offset: append.last_offset,
            max_timestamp: i64::MIN,
            append_time: turn.now_ms,
            batch_count: 0,
            previous_checksum: log.last_checksum,
        };
        let relaxed = log.config.relaxed();
        let mut frame = FrameWriter::new(out);
        let at = frame.at();
        for item in turn.plan.batches(entry) {
            let append = append_of(turn.items, item);
            assert_eq!(append.leader_epoch, fields.leader_epoch, "a frame lies in one epoch");
            let batch = frame.batch(&append.batch);
            crate::wire::records::set_offset_and_epoch(
                batch,
                append.base_offset,
                append.leader_epoch,
            );
            if let Some(now) = append.log_append_time {
                crate::wire::records::set_log_append_time(batch, now);
            }
            fields.last_offset = append.last_offset;
            fields.max_timestamp = fields.max_timestamp.max(append.max_timestamp);
            fields.batch_count += 1;
            self.staged_bytes -= append.batch.len();
            self.counters.appended_bytes += append.batch.len() as u64;
            acks.given.push(Given::Append { token: append.token, relaxed });
        }
        let header = frame.end(&fields);
        log.made(&header);
        log.last_append = turn.now_ms;
        let slot = entry.slot.expect("it is a log's");
        acks.ends.push((slot, fields.last_offset + 1, relaxed));
        (at, header)
    }

    /// Makes a run: pending frames behind the first `covered`, then those of entries.
    fn make_run(
        &mut self,
        turn: Turn<'_>,
        (slot, log): (Slot, &mut Log),
        covered: usize,
        planned: &PlannedRun,
        acks: &mut Acks,
    ) -> MadeRun {
        let mut out = Filling::new(padded(planned.bytes), &self.budget);
        let mut headers = Vec::with_capacity(planned.pending + planned.entries.len());
        let (mut covers_bytes, mut new) = (0, Vec::new());
        for pending in log.pending.iter().skip(covered).take(planned.pending) {
            out.push(&pending.frame);
            covers_bytes += pending.frame.len();
            headers.push(pending.header());
        }
        for index in &planned.entries {
            let entry = turn.plan.entry(*index);
            let (at, header) = self.lay_frame(turn, log, entry, &mut out, acks);
            headers.push(header);
            if log.replicated {
                new.push((at, header));
            }
        }
        debug_assert_eq!(out.len(), planned.bytes);
        let data = out.finish().freeze();
        for (at, header) in new {
            let frame = Frame::of(header, &data.slice(at..at + header.frame_len()));
            self.made.push((slot, frame));
        }
        let (segment, _) = log.open_end().expect("it has space in the open segment");
        let grown = Grown::of(headers.iter().copied(), data.len() as u64);
        let run = Run {
            first: grown.base,
            next: grown.next,
            segment: segment.meta.base,
            generation: segment.meta.generation,
            position: planned.position,
            length: planned.bytes,
            checksum: headers.last().map_or(0, FrameHeader::header_checksum),
        };
        let path = segment.path(log.tp);
        self.counters.direct_bytes += data.len() as u64;
        let covers = (planned.pending, covers_bytes);
        let chain = headers.last().map_or(0, FrameHeader::chain_checksum);
        log.direct.push((run, chain), grown, data.clone(), covers);
        MadeRun { slot, path, run, data }
    }

    /// Takes in that a block is written.
    pub fn written(&mut self, sequence: u64) {
        if let Some(acks) = self.files.written(sequence) {
            acks.moments.written = self.moment;
        }
    }

    /// What is written and acknowledged at that, and was not told yet.
    pub fn relaxed(&mut self) -> impl Iterator<Item = &Acks> {
        self.files.written_prefix().filter_map(|block| {
            let told = std::mem::replace(&mut block.acks.relaxed_told, true);
            (!told).then_some(&block.acks)
        })
    }

    /// Takes in that a block is synced: the blocks that are durable with it, in order.
    pub fn synced(&mut self, sequence: u64) -> Vec<InFlight<Acks>> {
        let durable = self.files.synced(sequence);
        self.durable(durable)
    }

    /// Takes in that a run that a block names is durable; returns as [`JournalWriter::synced`] does.
    pub fn run_synced(&mut self, sequence: u64) -> Vec<InFlight<Acks>> {
        let durable = self.files.run_synced(sequence);
        self.durable(durable)
    }

    fn durable(&mut self, mut durable: Vec<InFlight<Acks>>) -> Vec<InFlight<Acks>> {
        for block in &mut durable {
            block.acks.moments.synced = self.moment;
            self.durable_ticket = block.acks.ticket;
        }
        durable
    }

    /// Logs that want a new segment for runs. Given once.
    pub fn take_segments_wanted(&mut self) -> Vec<Slot> {
        std::mem::take(&mut self.want_segment)
    }

    /// Whether everything up to this staged item is durable, and every copy, or what took its frame away:
    /// until then the frames behind it are not without it.
    pub fn journaled(&self, ticket: u64) -> bool {
        self.durable_ticket >= ticket.max(self.not_copied_for)
            && self.copies.is_empty()
            && self.files.durable_through() >= self.copied_in
    }

    /// Looks once a second whether the shard has gone idle, and whether it is pressed for room.
    pub fn tick(&mut self, stopping: bool) {
        self.files.tick();
        let next = self.files.next_sequence();
        self.marker_due = self.unmarked && next == self.sequence_at_tick && !stopping;
        self.sequence_at_tick = next;
    }

    /// What a checkpoint says of the journal: synced up to there, in so many files.
    pub fn proof(&self) -> (u64, u32) {
        (self.files.durable_through(), self.files.files())
    }

    /// Whether blocks wait for room.
    pub fn starved(&self) -> bool {
        self.need_room.is_some()
    }

    /// See [`JournalFiles::reclaimable`].
    pub fn reclaimable(&self, bytes: u64) -> Option<(u64, u64)> {
        self.files.reclaimable(bytes)
    }

    /// Blocks on their way to the disk.
    pub fn blocks_in_flight(&self) -> usize {
        self.files.in_flight()
    }

    /// Bytes in use, and bytes that may be now.
    pub fn usage(&self) -> (u64, u64) {
        (self.files.used(), self.files.limit())
    }

    /// See [`JournalFiles::grow_for`].
    pub fn grow_for(&mut self, logs: usize) {
        self.files.grow_for(logs);
    }

    /// Bytes of all its files.
    pub fn size(&self) -> u64 {
        self.files.size()
    }

    /// See [`JournalFiles::replay_from_after`].
    pub fn replay_from_after(&self, sequence: u64) -> u64 {
        self.files.replay_from_after(sequence)
    }

    /// Frees what a durable checkpoint covers.
    pub fn reclaim(&mut self, sequence: u64) {
        self.files.reclaim(sequence);
        self.need_room = None;
    }

    /// Bytes and blocks since the start.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The file that a block of it goes to, or the one that is being prepared.
    pub fn file_of(&self, block: Option<u64>) -> Option<FilePath> {
        match block {
            Some(sequence) => self.files.file_of(sequence),
            None => self.preparing.as_ref().map(|p| p.path.clone()),
        }
    }

    /// Begins a further file where one is needed. `frees`: placement is going to free one without
    /// waiting for blocks.
    pub fn prepare(&mut self, frees: bool, out: &mut Outgoing) {
        // A block that found no room waits for placement to free a file, unless that itself waits
        // for blocks, or none will come.
        let must = self.need_room.filter(|needed| {
            *needed > journal::MAX_FILE
                || self.files.size() + needed <= self.files.limit()
                || !frees
        });
        if self.preparing.is_none()
            && let Some((path, size, _)) =
                self.files.prepare(must).or_else(|| self.files.prepare(None))
        {
            self.preparing =
                Some(Preparing { path: path.clone(), size, stage: PrepareStage::Create });
            out.submit(Purpose::Prepare, Op::Create { path });
        }
    }

    /// Takes in that the last operation on the file that is being prepared ended.
    pub fn prepare_step(&mut self, out: &mut Outgoing) {
        // Written in small pieces, few of them at a time unsynced: blocks do not wait for much.
        const PIECE: u64 = 256 << 10;
        const UNSYNCED: u64 = 4 << 20;
        let preparing = self.preparing.as_mut().expect("a file is being prepared");
        let (path, size) = (preparing.path.clone(), preparing.size);
        let next = match preparing.stage {
            PrepareStage::Create => PrepareStage::Zero(0),
            PrepareStage::Zero(done) if done + PIECE < size => {
                let done = done + PIECE;
                let all = done.is_multiple_of(UNSYNCED);
                if all { PrepareStage::SyncPart(done) } else { PrepareStage::Zero(done) }
            }
            PrepareStage::SyncPart(done) => PrepareStage::Zero(done),
            PrepareStage::Zero(_) => PrepareStage::Sync,
            PrepareStage::Sync => PrepareStage::SyncDir,
            PrepareStage::SyncDir => {
                self.preparing = None;
                self.files.prepared(path);
                self.need_room = None;
                self.zeros = None;
                return;
            }
        };
        preparing.stage = next;
        let op = match next {
            PrepareStage::Zero(pos) => {
                let budget = &self.budget;
                let zeros = self
                    .zeros
                    .get_or_insert_with(|| AlignedBuf::zeroed(PIECE as usize, budget).freeze());
                let data = zeros.slice(..PIECE.min(size - pos) as usize);
                Op::Write { path, pos, data }
            }
            PrepareStage::Sync | PrepareStage::SyncPart(_) => Op::Sync { path },
            _ => Op::SyncDir { path: journal::DIR.into() },
        };
        out.submit(Purpose::Prepare, op);
    }
}

/// How many blocks may be in flight, the next one included, which has so many bytes of what was `staged`, if anything was.
/// A small one goes beside others, since its sync goes beside theirs, and its senders would wait for two; a large one, since
/// its sync costs little beside its bytes. What is between gathers until it is large or nothing is in flight; so do copies
/// alone, and what is of replicated logs: each of its blocks costs messages between brokers.
fn most_in_flight(staged: Option<usize>, replicated: bool, max_block: usize) -> usize {
    match staged {
        Some(..=SMALL_BLOCK) if !replicated => MAX_SMALL_IN_FLIGHT,
        Some(bytes) if bytes >= max_block / 8 => MAX_LARGE_IN_FLIGHT,
        _ => 1,
    }
}

fn append_of(items: &Items, item: usize) -> &Append {
    match &items[item].1 {
        Staged::Append { append, .. } => append,
        _ => unreachable!("a frame gathers appends"),
    }
}

/// A frame that is to be copied forward, unless it is gone. A copy behind its log's `Drop` would
/// bring the log back.
fn frame_to_copy(logs: &Logs, slot: Slot, base: i64) -> Option<&Bytes> {
    let log = logs.get(slot).filter(|log| !log.dropped)?;
    log.pending_at(base).map(|p| &p.frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_blocks_go_beside_others_and_what_is_between_gathers() {
        let most = |bytes, replicated| most_in_flight(Some(bytes), replicated, 4 << 20);
        assert_eq!([0, 1, 64 << 10].map(|bytes| most(bytes, false)), [4; 3]);
        assert_eq!([0, 1, 64 << 10].map(|bytes| most(bytes, true)), [1; 3]);
        for replicated in [false, true] {
            assert_eq!([(64 << 10) + 1, (512 << 10) - 1].map(|it| most(it, replicated)), [1; 2]);
            assert_eq!([512 << 10, 16 << 20].map(|it| most(it, replicated)), [2; 2]);
            assert_eq!(most_in_flight(None, replicated, 4 << 20), 1, "nobody waits for copies");
        }
    }
}
