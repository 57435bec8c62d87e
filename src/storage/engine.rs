//! The storage engine of one shard: synchronous, pure, never waits.
//!
//! The shard hands in appends and completions, and carries out the [`Submission`]s that come out.
//! A *turn* gathers everything appended since the last one, over all logs, into one journal block,
//! which is written and synced in one submission; its acknowledgements come out when it and every
//! block before it are synced. A *round* (see `round`) brings pending frames into segments.
//!
//! An append is copied once, from the receive buffer into the block. Pending frames are slices of
//! blocks, and are read from there.

use super::block::{self, Journal, Kind, Place};
use super::buffer::{Budget, Filling};
use super::cache::Cache;
use super::frame::{self, FrameFields, FrameHeader, MAX_FRAME};
use super::io::{Completion, FilePath, Op, Submission};
use super::journal::{self, Ring, Room};
use super::log::{Log, LogConfig, LogOffsets, Pending};
use super::plan::BlockPlan;
use super::prepare::Preparing;
use super::reads::Reads;
use super::removal::Removal;
use super::round::Round;
use crate::types::TopicPartition;
use bytes::Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use zerocopy::IntoBytes;

/// Of so many journal blocks one is written and synced by two operations, so that the time of each
/// is seen; so is one that acknowledges something as soon as it is written.
pub const APART: u64 = 64;

/// Of a block's bytes at most this part is copied forward, one frame at least.
const COPIES_SHARE: usize = 8;

/// An open log in its shard's engine. Void after `Done` of its `drop_log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

impl Slot {
    /// The slot of that index.
    pub const fn from_index(index: u32) -> Self {
        Self(index)
    }
    /// Its index: small, dense, used again after a drop.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One record batch to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// Offset of its first record: the log's end.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// Largest timestamp, ms.
    pub max_timestamp: i64,
    /// Set where the broker's clock (ms) replaces the records' timestamps.
    pub log_append_time: Option<i64>,
    /// The batch as it came; base offset and epoch are set in the copy.
    pub batch: Bytes,
    /// Comes back in [`Event::Done`].
    pub token: u64,
}

/// What the engine tells its shard.
#[derive(Debug)]
pub enum Event {
    /// The acknowledged end of a log moved here.
    Durable {
        /// The log.
        slot: Slot,
        /// Offset after the last acknowledged record.
        end: i64,
    },
    /// What was asked for under this token is durable. Follows the `Durable` of its log.
    Done {
        /// The asker's.
        token: u64,
        /// When its block was made, written and synced.
        moments: Moments,
    },
    /// Retention moved the start of a log, durably.
    LogStart {
        /// The log.
        slot: Slot,
        /// The first offset that can be read.
        offset: i64,
    },
    /// A dropped log's files are gone.
    Dropped {
        /// Whose files.
        tp: TopicPartition,
    },
    /// A write or sync failed: the process must end, and not try again.
    Fatal {
        /// One line.
        message: String,
    },
}

/// Figures about an engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineStats {
    /// Open logs.
    pub logs: usize,
    /// Bytes of the journal that no checkpoint covers.
    pub journal_used: u64,
    /// Bytes that the journal may use.
    pub journal_limit: u64,
    /// Bytes of the journal's files, those that wait to be used again included.
    pub journal_size: u64,
    /// Bytes of frames in no segment yet.
    pub pending_bytes: u64,
    /// Bytes handed in and not yet in a block.
    pub staged_bytes: u64,
    /// Bytes of verified chunks in memory.
    pub cache_bytes: u64,
    /// Blocks written.
    pub blocks: u64,
    /// Bytes of record batches appended.
    pub appended_bytes: u64,
    /// Bytes written to the journal, copies included.
    pub journal_bytes: u64,
    /// Bytes of frames copied forward in the journal.
    pub copied_bytes: u64,
    /// Bytes written to segments and indexes.
    pub segment_bytes: u64,
    /// Bytes of checkpoints written.
    pub checkpoint_bytes: u64,
    /// Write-back rounds finished.
    pub rounds: u64,
    /// Files that could not be removed, at each attempt.
    pub failed_removals: u64,
}

/// What an engine is made with.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Whose journal.
    pub journal: Journal,
    /// Bytes of the disk that the journal may use.
    pub journal_limit: u64,
    /// Bytes of verified chunks to keep in memory.
    pub cache_limit: usize,
    /// What buffers are charged to.
    pub budget: Arc<Budget>,
    /// A partition with less than this pending is copied forward rather than placed.
    pub small_bytes: usize,
    /// A log without appends for this long is placed, whatever it has pending, ms.
    pub idle_ms: i64,
    /// No block is larger, unless a single batch is; copies forward add an eighth at most.
    pub max_block: usize,
}

#[derive(Debug)]
enum Staged {
    Append {
        slot: Slot,
        append: Append,
    },
    Control {
        slot: Slot,
        tp: TopicPartition,
        kind: Kind,
        offset: i64,
        body: Vec<u8>,
        answer: Answer,
    },
}

/// Who waits for a control entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Token(u64),
    Retention,
}

/// What a block acknowledges.
#[derive(Debug, Default)]
pub(super) struct Acks {
    /// Log, its end with this block, and whether it is acknowledged when written.
    ends: Vec<(Slot, i64, bool)>,
    /// In the order of its entries.
    given: Vec<Given>,
    /// The last staged item in it.
    ticket: u64,
    relaxed_told: bool,
    moments: Moments,
}

/// Moments of a journal block, in the units of [`Engine::at`]. The engine only hands them back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    /// The turn that made it.
    pub built: u64,
    /// The disk has said that it is written.
    pub written: u64,
    /// The disk has said that it is synced.
    pub synced: u64,
}

/// Somebody waits for an entry.
#[derive(Debug)]
enum Given {
    Append { token: u64, relaxed: bool },
    Control { slot: Slot, tp: TopicPartition, kind: Kind, offset: i64, answer: Answer },
}

/// Why an operation was submitted.
#[derive(Debug)]
pub(super) enum Purpose {
    BlockWrite(u64),
    BlockSync(u64),
    Prepare,
    /// Number of the chunk, and the file.
    Round(u32, FilePath),
    Unlink(usize, FilePath),
}

/// See the module.
#[derive(Debug)]
pub struct Engine {
    pub(super) options: EngineOptions,
    pub(super) logs: Vec<Option<Log>>,
    pub(super) by_tp: BTreeMap<TopicPartition, Slot>,
    pub(super) free: Vec<u32>,
    staged: VecDeque<(u64, Staged)>,
    /// Frames to copy forward: log and base offset.
    copies: VecDeque<(Slot, i64)>,
    /// The last block that holds copies.
    copied_in: u64,
    staged_bytes: usize,
    /// Number of the last item that [`Engine::stage`] took.
    pub(super) last_staged: u64,
    /// Number of the last item, copies included. An entry's LSN is that of its first item; so what was done to
    /// the logs before a checkpoint's state was taken has LSNs up to this, what is done later has not.
    pub(super) last_ticket: u64,
    /// Every staged item up to this is durable.
    pub(super) durable_ticket: u64,
    /// Every staged item up to this stands in a block.
    last_planned: u64,
    pub(super) ring: Ring<Acks>,
    pub(super) preparing: Option<Preparing>,
    pub(super) need_room: Option<u64>,
    last_block_checksum: u32,
    /// The last block holds something, and no later one says that it was synced.
    unmarked: bool,
    /// An idle shard's journal is to be closed.
    marker_due: bool,
    /// The next block's sequence at the last tick.
    sequence_at_tick: u64,
    /// Segments made in this life.
    segments_made: u32,
    /// Logs opened in this run.
    logs_opened: u64,
    pub(super) cache: Cache,
    pub(super) reads: Reads,
    pub(super) round: Option<Round>,
    submissions: Vec<Submission>,
    next_id: u64,
    purposes: BTreeMap<u64, Purpose>,
    pub(super) removals: Vec<Removal>,
    pub(super) events: Vec<Event>,
    pub(super) zeros: Option<Bytes>,
    pub(super) pending_bytes: u64,
    pub(super) last_round_ms: i64,
    pub(super) shutting_down: bool,
    pub(super) checkpoint_due: bool,
    /// A log is idle and has frames pending.
    pub(super) idle_due: bool,
    /// Something happened that the next turn looks at.
    look: bool,
    moment: u64,
    disk_full: bool,
    /// Bytes that may be appended until the next verdict on the disk's space.
    allowance: u64,
    failed: bool,
    pub(super) stats: EngineStats,
}

impl Engine {
    /// An engine without logs, whose journal goes on in `ring`. Recovery makes it.
    pub(super) fn new(options: EngineOptions, last_lsn: u64, last_block_checksum: u32) -> Self {
        Self {
            logs: Vec::new(),
            by_tp: BTreeMap::new(),
            free: Vec::new(),
            staged: VecDeque::new(),
            copies: VecDeque::new(),
            copied_in: 0,
            last_staged: last_lsn,
            staged_bytes: 0,
            last_ticket: last_lsn,
            durable_ticket: last_lsn,
            last_planned: last_lsn,
            ring: Ring::new(options.journal_limit),
            preparing: None,
            need_room: None,
            last_block_checksum,
            unmarked: false,
            marker_due: false,
            sequence_at_tick: 0,
            segments_made: 0,
            logs_opened: 0,
            cache: Cache::new(options.cache_limit),
            reads: Reads::default(),
            round: None,
            submissions: Vec::new(),
            next_id: 1,
            purposes: BTreeMap::new(),
            removals: Vec::new(),
            events: Vec::new(),
            zeros: None,
            pending_bytes: 0,
            last_round_ms: 0,
            shutting_down: false,
            checkpoint_due: false,
            idle_due: false,
            look: true,
            moment: 0,
            disk_full: false,
            allowance: u64::MAX,
            failed: false,
            stats: EngineStats::default(),
            options,
        }
    }

    pub(super) fn adopt_file(
        &mut self,
        path: FilePath,
        size: u64,
        blocks: Option<(u64, u64)>,
        position: u64,
    ) {
        self.ring.adopt(path, size, blocks, position);
    }

    pub(super) fn insert(&mut self, mut log: Log) -> Slot {
        let tp = log.tp;
        self.logs_opened += 1;
        log.id = self.logs_opened;
        self.pending_bytes += log.pending_bytes as u64;
        let slot = if let Some(index) = self.free.pop() {
            self.logs[index as usize] = Some(log);
            Slot(index)
        } else {
            self.logs.push(Some(log));
            Slot(self.logs.len() as u32 - 1)
        };
        let before = self.by_tp.insert(tp, slot);
        assert!(before.is_none(), "a log is opened once");
        slot
    }

    /// A generation that no segment had before.
    pub(super) fn next_generation(&mut self) -> u64 {
        self.segments_made += 1;
        self.options.journal.life << 32 | u64::from(self.segments_made)
    }

    /// Every open log.
    pub fn logs(&self) -> Vec<(Slot, TopicPartition)> {
        self.by_tp.iter().map(|(tp, slot)| (*slot, *tp)).collect()
    }

    /// What the partition's core is restored from; empty for a log that never had one. Given once.
    pub fn recovered_state(&mut self, slot: Slot) -> Vec<u8> {
        std::mem::take(&mut self.log_mut(slot).state)
    }

    /// Opens an empty log. One that is open already is a bug of the caller; one that was dropped may
    /// come back at once.
    pub fn create(&mut self, tp: TopicPartition, config: &LogConfig, now_ms: i64) -> Slot {
        let mut log = Log::new(tp, config.clone());
        log.last_append = now_ms;
        self.insert(log)
    }

    /// The log of a partition, unless it was dropped.
    pub fn find(&self, tp: TopicPartition) -> Option<Slot> {
        self.by_tp.get(&tp).copied()
    }

    /// Sets what a log is to be treated by from now on.
    pub fn configure(&mut self, slot: Slot, config: &LogConfig) {
        self.log_mut(slot).config = config.clone();
    }

    /// The offsets of a log.
    pub fn offsets(&self, slot: Slot) -> LogOffsets {
        self.log(slot).offsets()
    }

    pub(super) fn log(&self, slot: Slot) -> &Log {
        self.logs[slot.index()].as_ref().expect("the slot is open")
    }

    pub(super) fn log_mut(&mut self, slot: Slot) -> &mut Log {
        self.logs[slot.index()].as_mut().expect("the slot is open")
    }

    /// Appends a batch at the end of a log; durable when its token comes back. Its order within the
    /// log is that of the calls.
    pub fn append(&mut self, slot: Slot, append: Append) {
        let log = self.log_mut(slot);
        assert_eq!(append.base_offset, log.end, "a batch starts where the log ends");
        assert!(append.last_offset >= append.base_offset && !log.dropped);
        log.end = append.last_offset + 1;
        self.staged_bytes += append.batch.len();
        self.allowance = self.allowance.saturating_sub((append.batch.len() + frame::HEADER) as u64);
        self.stage(Staged::Append { slot, append });
    }

    fn stage(&mut self, item: Staged) {
        self.last_ticket += 1;
        self.last_staged = self.last_ticket;
        self.staged.push_back((self.last_ticket, item));
    }

    pub(super) fn stage_control(
        &mut self,
        slot: Slot,
        kind: Kind,
        offset: i64,
        body: Vec<u8>,
        answer: Answer,
    ) {
        let tp = self.log(slot).tp;
        self.stage(Staged::Control { slot, tp, kind, offset, body, answer });
    }

    /// Moves the first offset that can be read. At or below the present one nothing changes, but
    /// the token still comes back, in order.
    pub fn set_log_start(&mut self, slot: Slot, offset: i64, token: u64) {
        self.move_start(slot, offset, Answer::Token(token));
    }

    fn move_start(&mut self, slot: Slot, offset: i64, answer: Answer) {
        let log = self.log_mut(slot);
        assert!(offset <= log.acked, "only what is acknowledged is deleted");
        log.start = log.start.max(offset);
        let (tp, start) = (log.tp, log.start);
        let body = block::control_body(tp, start);
        self.stage_control(slot, Kind::LogStart, start, body.as_bytes().to_vec(), answer);
    }

    /// Deletes a log. `Done` comes when that is durable, `Dropped` when its files are gone.
    pub fn drop_log(&mut self, slot: Slot, token: u64) {
        let log = self.log_mut(slot);
        assert!(!log.dropped, "dropped once");
        log.dropped = true;
        let tp = log.tp;
        self.by_tp.remove(&tp);
        let body = block::control_body(tp, 0).as_bytes().to_vec();
        self.stage_control(slot, Kind::Drop, 0, body, Answer::Token(token));
    }

    /// Whether a further append is welcome: otherwise its connection waits.
    pub fn admits(&self) -> bool {
        let staged = self.staged_bytes as u64;
        let quiet = staged == 0 && self.ring.in_flight() == 0;
        let room = self.ring.used() + staged < self.ring.limit() / 8 * 7;
        let memory = self.options.budget.left() > self.options.budget.limit() / 16;
        !self.failed && (quiet || (room && memory && staged < 4 * self.options.max_block as u64))
    }

    /// Bytes handed in that no block holds yet.
    pub fn staged_bytes(&self) -> usize {
        self.staged_bytes
    }

    /// Whether a turn has something to do: a block to write, or a decision to look at after a
    /// completion or a tick.
    pub fn wants_turn(&self) -> bool {
        self.look || (self.has_work() && self.may_write() && self.need_room.is_none())
    }

    fn has_work(&self) -> bool {
        !self.staged.is_empty() || !self.copies.is_empty()
    }

    /// One block in flight lets others gather for the next; a second one goes along only when it is
    /// large, so that its sync costs little beside its bytes.
    fn may_write(&self) -> bool {
        match self.ring.in_flight() {
            0 => true,
            n => n < journal::MAX_IN_FLIGHT && self.staged_bytes >= self.options.max_block / 8,
        }
    }

    /// Writes what was staged, and starts a round when one is due. `snapshot` gives the state of a
    /// log's partition core as of its log end.
    pub fn turn(&mut self, now_ms: i64, snapshot: &mut dyn FnMut(Slot) -> Vec<u8>) {
        self.look = false;
        if self.failed {
            return;
        }
        while self.has_work() && self.may_write() {
            if !self.write_block(now_ms) {
                break;
            }
        }
        if std::mem::take(&mut self.marker_due) && self.nothing_staged() {
            self.write_marker();
        }
        self.prepare_journal();
        if self.shutting_down {
            self.start_removals(now_ms);
        }
        if self.round_is_due() {
            self.start_round(now_ms, snapshot);
        }
    }

    /// What the time is, in units of the caller's: for [`Moments`] and nothing else.
    pub fn at(&mut self, moment: u64) {
        self.moment = moment;
    }

    /// What the next checkpoint says of the journal: synced up to there, in so many files.
    pub(super) fn journal_proof(&self) -> (u64, u32) {
        (self.ring.durable_through(), self.ring.files())
    }

    /// Whether blocks wait for room in the journal.
    pub(super) fn starved(&self) -> bool {
        self.need_room.is_some()
    }

    pub(super) fn reclaimable(&self) -> Option<u64> {
        self.ring.reclaimable()
    }

    pub(super) fn journal_use(&self) -> (u64, u64) {
        (self.ring.used(), self.ring.limit())
    }

    pub(super) fn replay_from_after(&self, sequence: u64) -> u64 {
        self.ring.replay_from_after(sequence)
    }

    pub(super) fn reclaim(&mut self, sequence: u64) {
        self.ring.reclaim(sequence);
        self.need_room = None;
    }

    fn write_block(&mut self, now_ms: i64) -> bool {
        let mut plan = BlockPlan::default();
        for (_, item) in &self.staged {
            let fits = match item {
                Staged::Append { slot, append } => {
                    let log = self.logs[slot.index()].as_mut().expect("the slot is open");
                    plan.add_append(*slot, append, &mut log.open_frame, self.options.max_block)
                }
                Staged::Control { slot, body, .. } => {
                    if let Some(log) = self.logs[slot.index()].as_mut() {
                        log.open_frame = 0;
                    }
                    plan.add_control(body.len(), self.options.max_block)
                }
            };
            if !fits {
                break;
            }
        }
        for slot in plan.slots() {
            if let Some(log) = self.logs[slot.index()].as_mut() {
                log.open_frame = 0;
            }
        }
        let copies = self.plan_copies(&mut plan);
        if plan.entries() == 0 {
            // All that was to be copied is gone.
            self.copies.drain(..copies);
            self.round_journal_moved(now_ms);
            return false;
        }
        let len = plan.block_len();
        let Some(room) = self.ring.room(len as u64) else {
            self.need_room = Some(len as u64);
            return false;
        };
        self.need_room = None;
        // A clean start replays nothing: whatever still goes to the journal must be checkpointed.
        self.checkpoint_due |= self.shutting_down;
        let items: Vec<_> = self.staged.drain(..plan.items()).collect();
        let copies: Vec<_> = self.copies.drain(..copies).collect();
        if !copies.is_empty() {
            self.copied_in = self.ring.next_sequence();
        }
        let (bytes, acks) = self.fill_block(now_ms, &plan, items, copies, len);
        self.unmarked = true;
        self.submit_block(room, bytes, acks);
        true
    }

    /// Adds frames to copy forward: behind what is new, and no more than a bounded share of a block,
    /// so that no acknowledgement waits long for them; at least one, so that they come to their end.
    /// How many of those that wait are dealt with.
    fn plan_copies(&self, plan: &mut BlockPlan) -> usize {
        let share = self.options.max_block / COPIES_SHARE;
        let (mut taken, mut bytes) = (0, 0);
        for (slot, base) in &self.copies {
            if bytes > 0 && bytes >= share {
                break;
            }
            if let Some(frame) = self.frame_to_copy(*slot, *base) {
                bytes += frame.len();
                plan.add_copy(frame);
            }
            taken += 1;
        }
        taken
    }

    /// A frame that is to be copied forward, unless it is gone. A copy behind its log's `Drop` would
    /// bring the log back.
    fn frame_to_copy(&self, slot: Slot, base: i64) -> Option<&Bytes> {
        let log = self.logs[slot.index()].as_ref().filter(|log| !log.dropped)?;
        log.pending_at(base).map(|p| &p.frame)
    }

    fn submit_block(&mut self, room: Room, bytes: Bytes, acks: Acks) {
        let len = bytes.len() as u64;
        self.stats.blocks += 1;
        self.stats.journal_bytes += len;
        let relaxed = acks.ends.iter().any(|(_, _, relaxed)| *relaxed);
        let sequence = self.ring.push(len, acks);
        let id = self.id(Purpose::BlockWrite(sequence));
        let sync_id = self.id(Purpose::BlockSync(sequence));
        let apart = relaxed || sequence.is_multiple_of(APART);
        let (path, pos) = (room.path, room.position);
        let op = Op::WriteSync { path, pos, data: bytes, sync_id, apart };
        self.submissions.push(Submission { id, op });
    }

    /// Closes the journal of a shard that has gone idle with a block that holds nothing, and says
    /// that all before it is synced: otherwise nothing told the last block from a torn one. One is
    /// enough until something is written again, so an idle shard stays idle. Where there is no room,
    /// a round is to come, and its checkpoint says the same.
    fn write_marker(&mut self) {
        let len = block::block_len(0, 0);
        let Some(room) = self.ring.room(len as u64) else { return };
        let mut out = Filling::new(len, &self.options.budget);
        out.push_zeros(len);
        let bytes = self.seal_block(out, 0);
        let acks = Acks { ticket: self.last_planned, moments: self.moments(), ..Acks::default() };
        self.unmarked = false;
        self.submit_block(room, bytes, acks);
    }

    fn moments(&self) -> Moments {
        Moments { built: self.moment, ..Moments::default() }
    }

    fn seal_block(&mut self, block: Filling, entries: usize) -> Bytes {
        let mut whole = block.finish();
        let place = Place {
            sequence: self.ring.next_sequence(),
            durable_through: self.ring.durable_through(),
            previous_checksum: self.last_block_checksum,
        };
        self.last_block_checksum = block::seal(&mut whole, self.options.journal, place, entries);
        whole.freeze()
    }

    /// Lays out the block, and makes its frames pending.
    fn fill_block(
        &mut self,
        now_ms: i64,
        plan: &BlockPlan,
        items: Vec<(u64, Staged)>,
        copies: Vec<(Slot, i64)>,
        len: usize,
    ) -> (Bytes, Acks) {
        // A block of copies alone says nothing new of what was staged.
        let ticket = items.last().map_or(self.last_planned, |i| i.0);
        self.last_planned = ticket;
        let mut acks = Acks { ticket, moments: self.moments(), ..Acks::default() };
        let mut out = Filling::new(len, &self.options.budget);
        out.push_zeros(block::HEADER + plan.entries() * block::ENTRY);
        let mut table = Vec::with_capacity(plan.entries() * block::ENTRY);
        let mut frames: Vec<(Slot, usize, FrameHeader, bool)> = Vec::new();
        let sequence = self.ring.next_sequence();
        for entry in plan.iter() {
            let lsn = items[entry.first].0;
            match &items[entry.first].1 {
                Staged::Append { slot, append } => {
                    let slot = *slot;
                    let at = out.len();
                    out.push_zeros(frame::HEADER);
                    let mut fields = FrameFields {
                        tp: self.log(slot).tp,
                        leader_epoch: append.leader_epoch,
                        base_offset: append.base_offset,
                        last_offset: append.last_offset,
                        max_timestamp: i64::MIN,
                        append_time: now_ms,
                        batch_count: 0,
                        previous_checksum: self.log(slot).last_checksum,
                    };
                    for item in plan.batches(entry) {
                        let Staged::Append { append, .. } = &items[item].1 else {
                            unreachable!("a frame gathers appends");
                        };
                        let from = out.len();
                        out.push(&append.batch);
                        let batch = &mut out.filled()[from..];
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
                        self.stats.appended_bytes += append.batch.len() as u64;
                    }
                    let header = FrameHeader::seal(&fields, &out.filled()[at + frame::HEADER..]);
                    out.filled()[at..at + frame::HEADER].copy_from_slice(header.as_bytes());
                    table.extend_from_slice(block::append_entry(lsn, &header, 0).as_bytes());
                    let log = self.log_mut(slot);
                    log.last_checksum = header.header_checksum();
                    let relaxed = log.config.relaxed();
                    acks.ends.push((slot, fields.last_offset + 1, relaxed));
                    for item in plan.batches(entry) {
                        if let Staged::Append { append, .. } = &items[item].1 {
                            acks.given.push(Given::Append { token: append.token, relaxed });
                        }
                    }
                    frames.push((slot, at, header, false));
                }
                Staged::Control { slot, tp, kind, offset, body, answer } => {
                    let line = block::control_line(lsn, *kind, body);
                    table.extend_from_slice(line.as_bytes());
                    out.push(body);
                    let (slot, tp, kind, offset, answer) = (*slot, *tp, *kind, *offset, *answer);
                    acks.given.push(Given::Control { slot, tp, kind, offset, answer });
                }
            }
        }
        for (slot, base) in copies {
            let Some(frame) = self.frame_to_copy(slot, base) else { continue };
            let header = FrameHeader::view(frame).expect("pending frames are whole");
            let at = out.len();
            out.push(frame);
            self.last_ticket += 1;
            let line = block::append_entry(self.last_ticket, &header, block::COPIED);
            table.extend_from_slice(line.as_bytes());
            self.stats.copied_bytes += header.frame_len() as u64;
            frames.push((slot, at, header, true));
        }
        out.filled()[block::HEADER..block::HEADER + table.len()].copy_from_slice(&table);
        let bytes = self.seal_block(out, plan.entries());
        for (slot, at, header, copied) in frames {
            let frame = bytes.slice(at..at + header.frame_len());
            let (base, last) = (header.base_offset(), header.last_offset());
            let pending = Pending { frame, sequence, base, last };
            let len = header.frame_len();
            let log = self.log_mut(slot);
            if copied {
                let i = log.pending.binary_search_by_key(&base, |p| p.base);
                log.pending[i.expect("planned in this turn")] = pending;
            } else {
                log.pending.push_back(pending);
                log.pending_bytes += len;
                log.last_append = now_ms;
                self.pending_bytes += len as u64;
            }
        }
        (bytes, acks)
    }

    pub(super) fn stage_copy(&mut self, slot: Slot, base: i64) {
        self.copies.push_back((slot, base));
    }

    pub(super) fn id(&mut self, purpose: Purpose) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.purposes.insert(id, purpose);
        id
    }

    pub(super) fn submit(&mut self, purpose: Purpose, op: Op) {
        let id = self.id(purpose);
        self.submissions.push(Submission { id, op });
    }

    /// What to carry out, in order. To be asked after every call that may have made some.
    pub fn take_submissions(&mut self) -> Vec<Submission> {
        std::mem::take(&mut self.submissions)
    }

    /// Takes in that a submission ended. Events go to `out`.
    pub fn complete(&mut self, now_ms: i64, completion: Completion, out: &mut Vec<Event>) {
        self.look = true;
        let purpose = self.purposes.remove(&completion.id).expect("completions answer submissions");
        if let Err(error) = &completion.result
            && !matches!(purpose, Purpose::Unlink(..))
        {
            if !self.failed {
                self.failed = true;
                let path = match &purpose {
                    Purpose::BlockWrite(sequence) | Purpose::BlockSync(sequence) => {
                        self.ring.file_of(*sequence)
                    }
                    Purpose::Prepare => self.preparing.as_ref().map(|p| p.path().clone()),
                    Purpose::Round(_, path) | Purpose::Unlink(_, path) => Some(path.clone()),
                };
                let path = path.unwrap_or_else(|| journal::DIR.into());
                out.push(Event::Fatal { message: format!("writing {path} failed: {error}") });
            }
            return;
        }
        if self.failed {
            return;
        }
        match purpose {
            Purpose::BlockWrite(sequence) => {
                if let Some(acks) = self.ring.written(sequence) {
                    acks.moments.written = self.moment;
                }
                self.tell_relaxed();
            }
            Purpose::BlockSync(sequence) => {
                for mut block in self.ring.synced(sequence) {
                    block.acks.moments.synced = self.moment;
                    self.acknowledge(now_ms, block.acks);
                }
                self.round_journal_moved(now_ms);
            }
            Purpose::Prepare => self.prepare_step(),
            Purpose::Round(tag, _) => self.round_step(now_ms, tag),
            Purpose::Unlink(removal, path) => {
                self.removal_step(now_ms, removal, path, completion.result.is_ok());
            }
        }
        out.append(&mut self.events);
    }

    fn tell_relaxed(&mut self) {
        for block in self.ring.written_prefix() {
            if std::mem::replace(&mut block.acks.relaxed_told, true) {
                continue;
            }
            for &(slot, end, relaxed) in &block.acks.ends {
                if let (true, Some(log)) = (relaxed, self.logs[slot.index()].as_mut()) {
                    log.acked = log.acked.max(end);
                    self.events.push(Event::Durable { slot, end });
                }
            }
            for given in &block.acks.given {
                if let Given::Append { token, relaxed: true } = *given {
                    self.events.push(Event::Done { token, moments: block.acks.moments });
                }
            }
        }
    }

    fn acknowledge(&mut self, now_ms: i64, acks: Acks) {
        self.durable_ticket = acks.ticket;
        for (slot, end, relaxed) in acks.ends {
            if relaxed && acks.relaxed_told {
                continue;
            }
            let log = self.log_mut(slot);
            if !log.dropped {
                log.acked = log.acked.max(end);
                self.events.push(Event::Durable { slot, end });
            }
        }
        for given in acks.given {
            let (slot, tp, kind, offset, answer) = match given {
                Given::Append { relaxed: true, .. } if acks.relaxed_told => continue,
                Given::Append { token, .. } => {
                    self.events.push(Event::Done { token, moments: acks.moments });
                    continue;
                }
                Given::Control { slot, tp, kind, offset, answer } => {
                    (slot, tp, kind, offset, answer)
                }
            };
            match kind {
                Kind::Drop => {
                    self.log_mut(slot).drop_durable = true;
                    self.finish_drop(now_ms, slot);
                }
                Kind::LogStart => {
                    let log = self.log_mut(slot);
                    log.durable_start = log.durable_start.max(offset);
                    self.trim(now_ms, slot, tp);
                }
                // What is left of a segment may lie below the log start.
                Kind::Truncate => self.trim(now_ms, slot, tp),
                Kind::Append => {}
            }
            match answer {
                Answer::Token(token) => {
                    self.events.push(Event::Done { token, moments: acks.moments });
                }
                Answer::Retention => {
                    if self.find(tp) == Some(slot) {
                        self.events.push(Event::LogStart { slot, offset });
                    }
                }
            }
        }
    }

    /// Retention, deletions whose time has come. To be called about once a second.
    pub fn tick(&mut self, now_ms: i64) {
        if self.failed {
            return;
        }
        for index in 0..self.logs.len() {
            let slot = Slot(index as u32);
            let due = self.logs[index]
                .as_ref()
                .filter(|log| !log.dropped && !log.segments.is_empty())
                .and_then(|log| log.retention(now_ms));
            if let Some(offset) = due {
                self.move_start(slot, offset, Answer::Retention);
            }
        }
        self.start_removals(now_ms);
        self.look = true;
        let next = self.ring.next_sequence();
        self.marker_due = self.unmarked && next == self.sequence_at_tick && !self.shutting_down;
        self.sequence_at_tick = next;
        self.idle_due = self.pending_bytes > 0
            && now_ms - self.last_round_ms >= self.options.idle_ms
            && self.logs.iter().flatten().any(|log| self.is_idle(log, now_ms));
        let spare = self.options.budget.left();
        if spare < self.options.budget.limit() / 8 {
            self.cache.shrink(self.cache.bytes() / 2);
        }
    }

    /// Events that came up outside [`Engine::complete`].
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Takes over the verdict on the disk's space: whether it is full, and how many bytes of batches
    /// may be appended until the next verdict.
    pub fn set_disk_full(&mut self, full: bool, allowance: u64) {
        self.disk_full = full;
        self.allowance = allowance;
    }

    /// Appends must be refused: the journal may not take more than the segments can place.
    pub fn disk_is_full(&self) -> bool {
        self.disk_full || self.allowance == 0
    }

    /// From now on everything is written back, however small.
    pub fn begin_shutdown(&mut self, now_ms: i64) {
        self.shutting_down = true;
        self.look = true;
        self.checkpoint_due = true;
        self.start_removals(now_ms);
    }

    /// After [`Engine::begin_shutdown`]: nothing is pending, and the checkpoint says so.
    pub fn is_drained(&self) -> bool {
        self.shutting_down
            && !self.checkpoint_due
            && self.removals.iter().all(Removal::is_gone)
            && !self.has_work()
            && self.round.is_none()
            && self.purposes.is_empty()
            && self.pending_bytes == 0
    }

    pub(super) fn nothing_staged(&self) -> bool {
        !self.has_work() && self.ring.in_flight() == 0
    }

    /// Whether everything up to this staged item is durable, and every copy.
    pub(super) fn journaled(&self, ticket: u64) -> bool {
        self.durable_ticket >= ticket
            && self.copies.is_empty()
            && self.ring.durable_through() >= self.copied_in
    }

    /// Figures for `/metrics`.
    pub fn stats(&self) -> EngineStats {
        EngineStats {
            logs: self.by_tp.len(),
            journal_used: self.ring.used(),
            journal_limit: self.ring.limit(),
            journal_size: self.ring.size(),
            pending_bytes: self.pending_bytes,
            staged_bytes: self.staged_bytes as u64,
            cache_bytes: self.cache.bytes() as u64,
            ..self.stats
        }
    }

    /// Asserts what must always hold; for tests and the simulator.
    pub fn invariants(&self) {
        for log in self.logs.iter().flatten() {
            log.invariants();
        }
        let pending: usize = self.logs.iter().flatten().map(|l| l.pending_bytes).sum();
        assert_eq!(pending as u64, self.pending_bytes);
    }
}

const _: () = assert!(MAX_FRAME >= 1 << 16);
