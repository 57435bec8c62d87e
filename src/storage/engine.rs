//! The storage engine of one shard: synchronous, pure, never waits.
//!
//! The shard hands in appends and completions, and carries out the [`Submission`]s that come out.
//! A *turn* gathers everything appended since the last one, over all logs, into one journal block,
//! which is written and synced in one submission; its acknowledgements come out when it and every
//! block before it are synced. Placement goes on behind that.
//!
//! An append is copied once, from the receive buffer into the block. Pending frames are slices of
//! blocks, and are read from there.

use super::compaction::{Compactions, Effect as Compacted};
use super::damage::Marks;
use super::device::io::{Completion, FilePath, Submission, is_want_of_space};
use super::device::outgoing::{Outgoing, Purpose};
use super::format::block::{self, Kind};
use super::format::frame::{self, MAX_FRAME};
use super::format::segment::Segment;
use super::format::whole_frame::Frame;
pub use super::interface::{
    AbortedSpan, Append, EngineOptions, EngineStats, Event, FrameRefused, Moments, Slot, States,
    Tail,
};
use super::journal;
pub use super::journal::writer::APART;
use super::journal::writer::{Acks, Given, JournalWriter, Waits};
use super::log::{Log, LogConfig, LogOffsets};
use super::logs::Logs;
use super::placement::Placement;
use super::placement::around::Effect;
use super::placement::removal::{Moment, Removals, When};
use super::placement::renewal::{Ended, Renewals};
use super::read::cache::Chunk;
use super::read::{Filled, Read, ReadError, ReadFrames, Reads, Ticket};
use crate::types::TopicPartition;
use bytes::Bytes;
use std::collections::BTreeSet;
use std::io;
use zerocopy::IntoBytes;

/// Logs whose retention one tick looks at, at least.
const RETENTION_LOOKS: u32 = 512;
/// Logs whose files that are set aside go in one look at a full disk.
const ASIDE_A_LOOK: usize = 64;
/// The journal is written to for so long after a block was made, ms.
const WRITING_MS: i64 = 50;

/// The parts of an engine, put together: each has its own state and knows only the logs; what has to
/// happen in several of them happens here.
#[derive(Debug)]
pub struct Engine {
    pub(super) options: EngineOptions,
    pub(super) logs: Logs,
    journal: JournalWriter,
    pub(super) placement: Placement,
    reads: Reads,
    pub(super) removals: Removals,
    renewals: Renewals,
    compactions: Compactions,
    pub(super) marks: Marks,
    /// Logs with files that are set aside.
    pub(super) aside: BTreeSet<Slot>,
    pub(super) out: Outgoing,
    pub(super) events: Vec<Event>,
    shutting_down: bool,
    /// The next slot whose retention is looked at.
    next_retention: u32,
    /// Something happened that the next turn looks at.
    look: bool,
    pub(super) disk_full: bool,
    /// Bytes that may be appended until the next verdict on the disk's space.
    allowance: u64,
    failed: bool,
    /// When the last block was made, ms; what the time was last.
    last_block_ms: i64,
    now_ms: i64,
}

impl Engine {
    /// An engine without logs. Recovery makes it.
    pub(super) fn new(options: EngineOptions, last_lsn: u64, last_block_checksum: u32) -> Self {
        Self {
            logs: Logs::default(),
            journal: JournalWriter::new(&options, last_lsn, last_block_checksum),
            placement: Placement::new(&options),
            reads: Reads::new(&options),
            removals: Removals::new(4 * options.piece_bytes as u64),
            renewals: Renewals::default(),
            compactions: Compactions::new(&options.budget, options.compaction_bytes),
            marks: Marks::default(),
            aside: BTreeSet::new(),
            out: Outgoing::default(),
            events: Vec::new(),
            shutting_down: false,
            next_retention: 0,
            look: true,
            disk_full: false,
            allowance: u64::MAX,
            failed: false,
            last_block_ms: i64::MIN,
            now_ms: 0,
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
        self.journal.adopt(path, size, blocks, position);
    }

    pub(super) fn insert(&mut self, log: Log) -> Slot {
        self.logs.insert(log)
    }

    /// Every open log.
    pub fn logs(&self) -> Vec<(Slot, TopicPartition)> {
        self.logs.named().collect()
    }

    /// Every open log behind this one, by name.
    pub fn logs_after(
        &self,
        last: Option<TopicPartition>,
    ) -> impl Iterator<Item = (Slot, TopicPartition)> + '_ {
        self.logs.named_after(last)
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

    /// Whose log it is; `None` where it is gone.
    pub fn name(&self, slot: Slot) -> Option<TopicPartition> {
        self.logs.get(slot).filter(|log| !log.dropped).map(|log| log.tp)
    }

    /// The log of a partition, unless it was dropped.
    pub fn find(&self, tp: TopicPartition) -> Option<Slot> {
        self.logs.find(tp)
    }

    /// Sets what a log is to be treated by from now on.
    pub fn configure(&mut self, slot: Slot, config: &LogConfig) {
        self.log_mut(slot).config = config.clone();
    }

    /// The offsets of a log.
    pub fn offsets(&self, slot: Slot) -> LogOffsets {
        self.log(slot).offsets()
    }

    /// Offset after the last record of a log that compaction has looked at.
    pub fn cleaned_end(&self, slot: Slot) -> i64 {
        self.log(slot).cleaned_end
    }

    /// Bytes of space behind what a log's segments hold that are given back when they end.
    pub fn reserved(&self, slot: Slot) -> u64 {
        let spare = |s: &Segment| s.prewritten.max(s.left).saturating_sub(s.meta.length);
        self.log(slot).segments.iter().map(spare).sum()
    }

    fn log(&self, slot: Slot) -> &Log {
        self.logs.log(slot)
    }

    fn log_mut(&mut self, slot: Slot) -> &mut Log {
        self.logs.log_mut(slot)
    }

    /// Appends a batch at the end of a log; durable when its token comes back. Its order within the
    /// log is that of the calls.
    pub fn append(&mut self, slot: Slot, append: Append) {
        let log = self.log_mut(slot);
        assert_eq!(append.base_offset, log.end, "a batch starts where the log ends");
        assert!(append.last_offset >= append.base_offset && !log.dropped);
        log.end = append.last_offset + 1;
        log.last_epoch = append.leader_epoch;
        let replicated = log.replicated;
        self.allowance = self.allowance.saturating_sub((append.batch.len() + frame::HEADER) as u64);
        self.journal.stage_append(slot, append, replicated);
    }

    /// Appends a frame of the log's leader, as it is; durable when its token comes back. Its order
    /// within the log is that of the calls.
    ///
    /// # Errors
    /// It does not continue the log: [`FrameRefused`]. A log that has begun anew takes one in which a
    /// batch reaches back below its start.
    pub fn append_frame(
        &mut self,
        slot: Slot,
        frame: Frame,
        token: u64,
    ) -> Result<(), FrameRefused> {
        let log = self.log_mut(slot);
        assert!(!log.dropped);
        log.take_over(&frame)?;
        self.allowance = self.allowance.saturating_sub(frame.len() as u64);
        self.journal.stage_frame(slot, frame, token);
        Ok(())
    }

    /// Whether the frames of a log are given out for its followers: [`Engine::take_frames`].
    pub fn set_replicated(&mut self, slot: Slot, replicated: bool) {
        self.log_mut(slot).replicated = replicated;
    }

    /// Retention deletes nothing of a log from this offset on, since it is not known to be committed. Without others
    /// all is that is durable.
    pub fn set_committed(&mut self, slot: Slot, offset: i64) {
        self.log_mut(slot).committed = offset;
    }

    /// The frames of replicated logs that turns have made since the last call, each log's in its order,
    /// before their write has completed. Their payloads are slices of what is written, and keep its memory.
    pub fn take_frames(&mut self) -> Vec<(Slot, Frame)> {
        self.journal.take_frames()
    }

    /// How a log ends.
    pub fn tail(&self, slot: Slot) -> Tail {
        self.log(slot).tail()
    }

    /// Whole frames from the one that holds `from` on, with base offsets below `upto`, up to `max_bytes`, and
    /// one at least: for a follower. All that turns have made is there, durable or not, so that what
    /// [`Engine::take_frames`] gives later continues it. The first one begins at `from`: see
    /// [`ReadFrames`].
    ///
    /// # Errors
    /// [`ReadError::OutOfRange`] below the log start or beyond the log end.
    pub fn read_frames(
        &mut self,
        slot: Slot,
        from: i64,
        upto: i64,
        max_bytes: usize,
    ) -> Result<ReadFrames, ReadError> {
        let read = self.reads.read_frames(&self.logs, slot, from, upto, max_bytes);
        self.begin_reads();
        read
    }

    fn stage_control(&mut self, slot: Slot, kind: Kind, offset: i64, body: Vec<u8>, waits: Waits) {
        let tp = self.log(slot).tp;
        self.journal.stage_control((slot, tp), kind, offset, body, waits);
    }

    /// Moves the first offset that can be read. At or below the present one nothing changes, but
    /// the token still comes back, in order.
    pub fn set_log_start(&mut self, slot: Slot, offset: i64, token: u64) {
        self.move_start(slot, offset, Waits::Token(token));
    }

    fn move_start(&mut self, slot: Slot, offset: i64, waits: Waits) {
        let log = self.log_mut(slot);
        assert!(offset <= log.acked, "only what is acknowledged is deleted");
        log.start = log.start.max(offset);
        let (tp, start) = (log.tp, log.start);
        let body = block::control_body(tp, start);
        self.stage_control(slot, Kind::LogStart, start, body.as_bytes().to_vec(), waits);
    }

    /// Deletes a log. `Done` comes when that is durable, `Dropped` when its files are gone.
    pub fn drop_log(&mut self, slot: Slot, token: u64) {
        let log = self.log_mut(slot);
        assert!(!log.dropped, "dropped once");
        log.dropped = true;
        let tp = log.tp;
        self.logs.forget_name(tp);
        let body = block::control_body(tp, 0).as_bytes().to_vec();
        self.stage_control(slot, Kind::Drop, 0, body, Waits::Token(token));
    }

    /// Whether a further append is welcome: otherwise it waits. A `small` one does not wait for what is
    /// to be written back, as long as there is room for it.
    pub fn admits(&self, small: bool) -> bool {
        let memory = self.options.budget.left() > self.options.budget.limit() / 16;
        !self.failed && self.journal.admits(memory, (!small).then(|| self.logs.pending_bytes()))
    }

    /// Bytes handed in that no block holds yet.
    pub fn staged_bytes(&self) -> usize {
        self.journal.staged_bytes()
    }

    /// Whether a turn has something to do: a block to write, or a decision to look at after a
    /// completion or a tick.
    pub fn wants_turn(&self) -> bool {
        !self.failed
            && (self.look
                || self.journal.wants_block()
                || self.placement.wants_turn(&self.journal)
                || self.compactions.wants_turn(self.is_writing()))
    }

    /// Writes what was staged, and goes on with placement, for which `states` has the logs' states.
    pub fn turn(&mut self, now_ms: i64, states: &mut dyn States) {
        self.look = false;
        if self.failed {
            return;
        }
        self.make_room();
        let wrote = self.journal.write(now_ms, &mut self.logs, &mut self.out);
        self.now_ms = now_ms;
        if wrote {
            self.last_block_ms = now_ms;
        }
        if wrote && self.shutting_down {
            // A clean start replays nothing: what still goes to the journal must be checkpointed.
            self.placement.want_checkpoint();
        }
        for slot in self.journal.take_segments_wanted() {
            let Self { renewals, placement, logs, out, .. } = self;
            renewals.want(now_ms, slot, logs, placement, out);
        }
        // What was to be copied may be gone, and the checkpoint has waited for nothing else.
        self.placement_advances(now_ms);
        let Self { placement, logs, journal, out, .. } = self;
        placement.turn(now_ms, self.shutting_down, logs, journal, out, states);
        self.take_effects(now_ms);
        self.compact(now_ms, states);
        self.journal.grow_for(self.logs.pending().len());
        // Last, since placement may wait for the journal from here on.
        self.journal.prepare(self.placement.frees_by_itself(), &mut self.out);
    }

    /// Goes on with compaction: one bounded step.
    fn compact(&mut self, now_ms: i64, states: &mut dyn States) {
        let (writing, full) = (self.is_writing(), self.disk_is_full());
        let mut effects = Vec::new();
        let Self { compactions, placement, logs, out, .. } = self;
        let mut generation = || placement.new_generation();
        compactions.turn(now_ms, writing, full, logs, out, states, &mut generation, &mut effects);
        for effect in effects {
            match effect {
                Compacted::Replaced(slot, gone, below) => {
                    let log = self.logs.log(slot);
                    let due_ms = now_ms + log.config.file_delete_delay_ms;
                    // A start takes them for the log's until a checkpoint names the new one.
                    let checkpoints = self.placement.checkpoints_until_covered();
                    let when = When::AfterCheckpoints(checkpoints, due_ms);
                    self.reads.replaced(slot, below);
                    self.removals.add(log.id, log.tp, &gone, when);
                }
                Compacted::GivenUp(slot, segment) => {
                    let log = self.logs.log(slot);
                    self.removals.add(log.id, log.tp, &[*segment], When::At(now_ms));
                }
                Compacted::Released(slot) => {
                    if self.logs.log(slot).dropped {
                        self.finish_drop(now_ms, slot);
                    }
                    self.start_removals(now_ms);
                }
                Compacted::Uncleanable(slot, message) => {
                    let tp = self.logs.log(slot).tp;
                    self.events.push(Event::Uncleanable { tp, message: message.into() });
                }
                Compacted::Damaged(slot, why) => self.found_damage(slot, &why),
            }
        }
    }

    fn placement_advances(&mut self, now_ms: i64) {
        let Self { placement, logs, journal, out, .. } = self;
        placement.advance(logs, journal, out);
        self.take_effects(now_ms);
    }

    /// Does what placement wants of the other parts.
    fn take_effects(&mut self, now_ms: i64) {
        for effect in self.placement.take_effects() {
            match effect {
                Effect::Chunk(slot, first, chunk) => {
                    let checkpoints = self.placement.checkpoints_until_covered();
                    self.log_mut(slot).direct.checkpoints = checkpoints;
                    self.reads.keep(slot, first, chunk);
                }
                Effect::Copy(slot, base) => self.journal.stage_copy(slot, base),
                Effect::Released(slot) => self.released(now_ms, slot),
                Effect::Covered(sequence) => {
                    self.journal.reclaim(sequence);
                    self.start_removals(now_ms);
                }
            }
        }
    }

    /// What the time is, in units of the caller's: for [`Moments`] and nothing else.
    pub fn at(&mut self, moment: u64) {
        self.journal.at(moment);
    }

    /// What to carry out, in order. To be asked after every call that may have made some.
    pub fn take_submissions(&mut self) -> Vec<Submission> {
        self.out.take()
    }

    /// Whether there is something to carry out.
    pub fn has_submissions(&self) -> bool {
        self.out.has_submissions()
    }

    /// Takes in that a submission ended. Events go to `out`.
    pub fn complete(&mut self, now_ms: i64, completion: Completion, out: &mut Vec<Event>) {
        // A stop does not wait for space: the next start finds in the journal what could not be placed.
        let Completion { id, result } = &completion;
        let Some(purpose) = self.out.answered(*id, result, !self.shutting_down) else { return };
        if let Purpose::Read(ticket) = purpose {
            return self.filled(now_ms, ticket, completion.result, out);
        }
        self.look = true;
        let harmless = |error: &io::Error| match &purpose {
            Purpose::Removal(..) | Purpose::Compaction(true, _) => true,
            Purpose::Renewal(..) | Purpose::Compaction(false, _) | Purpose::Mark(_) => {
                is_want_of_space(error)
            }
            _ => false,
        };
        if let Err(error) = &completion.result
            && !harmless(error)
        {
            if !self.failed {
                self.failed = true;
                let path = match &purpose {
                    Purpose::RunWrite(path)
                    | Purpose::RunSync(_, _, _, path)
                    | Purpose::Renewal(_, path)
                    | Purpose::Compaction(_, path)
                    | Purpose::Placement(_, path)
                    | Purpose::Mark(path)
                    | Purpose::Removal(_, path) => Some(path.clone()),
                    Purpose::BlockWrite(sequence) | Purpose::BlockSync(sequence) => {
                        self.journal.file_of(Some(*sequence))
                    }
                    Purpose::Prepare | Purpose::Read(_) => self.journal.file_of(None),
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
                self.journal.written(sequence);
                self.tell_relaxed();
            }
            Purpose::BlockSync(sequence) => {
                for block in self.journal.synced(sequence) {
                    self.acknowledge(now_ms, block.acks);
                }
                self.placement_advances(now_ms);
            }
            Purpose::RunWrite(_) | Purpose::Read(_) => {}
            Purpose::RunSync(sequence, slot, first, _) => {
                self.run_written(now_ms, slot, first);
                for block in self.journal.run_synced(sequence) {
                    self.acknowledge(now_ms, block.acks);
                }
                self.placement_advances(now_ms);
            }
            Purpose::Renewal(number, _) => {
                let result = completion.result.map(drop);
                let Self { renewals, logs, out, .. } = self;
                if let Some(Ended { slot, without }) = renewals.step(number, result, logs, out) {
                    // What is not used of it is given back some time.
                    self.logs.list(slot);
                    if let Some((segment, file)) = without {
                        let (id, tp) = (self.log(slot).id, self.log(slot).tp);
                        self.removals.add_surplus(vec![(file, 0)], now_ms);
                        self.removals.add(id, tp, &[*segment], When::At(now_ms));
                    }
                    self.released(now_ms, slot);
                }
            }
            Purpose::Prepare => self.journal.prepare_step(&mut self.out),
            Purpose::Mark(_) => self.mark_ended(completion.result.is_ok()),
            Purpose::Compaction(reads, _) => self.compactions.ended(completion.result, reads),
            Purpose::Placement(chunk, _) => {
                let Self { placement, logs, journal, out, .. } = self;
                placement.ended(chunk, logs, journal, out);
                self.take_effects(now_ms);
            }
            Purpose::Removal(number, path) => {
                let done = if completion.result.is_ok() { Ok(path) } else { Err(path) };
                let moment = self.moment(now_ms);
                let Self { removals, placement, out, events, .. } = self;
                removals.step(moment, number, done, &mut placement.recycled, out, events);
            }
        }
        out.append(&mut self.events);
    }

    /// Nobody holds on to a log for a purpose any more: what waited for that goes on.
    fn released(&mut self, now_ms: i64, slot: Slot) {
        self.placement.released();
        let log = self.log(slot);
        let (tp, dropped) = (log.tp, log.dropped);
        self.trim(now_ms, slot, tp);
        if dropped {
            return self.finish_drop(now_ms, slot);
        }
        self.tell_truncatable(slot);
    }

    /// Tells whoever waits for it that a log may be truncated now.
    fn tell_truncatable(&mut self, slot: Slot) {
        let Some(log) = self.logs.get_mut(slot) else { return };
        if log.awaited && log.can_truncate() {
            log.awaited = false;
            self.events.push(Event::Truncatable { slot });
        }
    }

    /// Takes in that a run stands durably in its segment: from now on it is read from there.
    fn run_written(&mut self, now_ms: i64, slot: Slot, first: i64) {
        let checkpoints = self.placement.checkpoints_until_covered();
        let log = self.log_mut(slot);
        log.direct.written(first);
        log.direct.checkpoints = checkpoints;
        while let Some(run) = self.logs.take_run(slot) {
            let (data, at) = (run.data, run.run);
            let held = data.len();
            let chunk = Chunk::new(at.segment, at.position, at.next, data, held);
            self.reads.keep(slot, at.first, chunk);
        }
        self.placement.released();
        if self.log(slot).direct.is_empty() {
            self.released(now_ms, slot);
        }
    }

    fn tell_relaxed(&mut self) {
        let mut awaited = Vec::new();
        for acks in self.journal.relaxed() {
            for &(slot, end, relaxed) in &acks.ends {
                if let (true, Some(log)) = (relaxed, self.logs.get_mut(slot)) {
                    log.acked = log.acked.max(end);
                    self.events.push(Event::Durable { slot, end });
                    awaited.extend(log.awaited.then_some(slot));
                }
            }
            for given in &acks.given {
                if let Given::Append { token, relaxed: true } = *given {
                    self.events.push(Event::Done { token, moments: acks.moments });
                }
            }
        }
        for slot in awaited {
            self.tell_truncatable(slot);
        }
    }

    fn acknowledge(&mut self, now_ms: i64, acks: Acks) {
        for (slot, end, relaxed) in acks.ends {
            if relaxed && acks.relaxed_told {
                continue;
            }
            let log = self.log_mut(slot);
            if !log.dropped {
                log.acked = log.acked.max(end);
                let awaited = log.awaited;
                self.events.push(Event::Durable { slot, end });
                if awaited {
                    self.tell_truncatable(slot);
                }
            }
        }
        for given in acks.given {
            let (slot, tp, kind, offset, waits) = match given {
                Given::Append { relaxed: true, .. } if acks.relaxed_told => continue,
                Given::Append { token, .. } => {
                    self.events.push(Event::Done { token, moments: acks.moments });
                    continue;
                }
                Given::Control { slot, tp, kind, offset, waits } => (slot, tp, kind, offset, waits),
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
                Kind::Restart | Kind::Truncate => {
                    if let Some(log) = self.logs.get_mut(slot).filter(|log| log.tp == tp) {
                        log.truncated_durably();
                        if kind == Kind::Restart {
                            log.durable_start = log.durable_start.max(offset);
                        }
                        self.logs.list(slot);
                        if kind == Kind::Restart {
                            self.has_begun_anew(slot);
                        }
                    }
                    // What is left of a segment may lie below the log start.
                    self.trim(now_ms, slot, tp);
                }
                Kind::Append | Kind::Placed => {}
            }
            match waits {
                Waits::Token(token) => {
                    self.events.push(Event::Done { token, moments: acks.moments });
                }
                Waits::Retention => {
                    if self.find(tp) == Some(slot) {
                        self.events.push(Event::LogStart { slot, offset });
                    }
                }
            }
        }
    }

    /// Retention, deletions whose time has come. To be called about once a second: a part of the
    /// logs is looked at each time, all of them within half a minute.
    pub fn tick(&mut self, now_ms: i64) {
        if self.failed {
            return;
        }
        let slots = self.logs.slots();
        for _ in 0..slots.min(RETENTION_LOOKS.max(slots / 32)) {
            self.next_retention = (self.next_retention + 1) % slots;
            if self.next_retention == 0 {
                self.compactions.looked_at_all();
            }
            let slot = Slot::from_index(self.next_retention);
            let log = self.logs.get(slot).filter(|log| !log.dropped && !log.segments.is_empty());
            if let Some(log) = log {
                self.compactions.look(slot, log, now_ms);
            }
            let due = log.and_then(|log| log.retention(now_ms));
            if let Some(offset) = due {
                self.move_start(slot, offset, Waits::Retention);
            }
        }
        self.start_removals(now_ms);
        self.out.try_again();
        self.marks.tick(&mut self.out);
        self.look = true;
        self.journal.tick(self.shutting_down);
        self.placement.tick(now_ms, &self.logs, self.removals.wait_for_checkpoint());
        self.make_room();
    }

    /// Lets go of recycled files that are too many by now.
    fn shed(&mut self, now_ms: i64) {
        let taken = self.placement.written().segment_bytes + self.journal.counters().direct_bytes;
        let none = self.disk_full || self.shutting_down;
        let recycled = &mut self.placement.recycled;
        recycled.note(now_ms, taken, if none { 0 } else { self.allowance / 4 });
        self.removals.add_surplus(recycled.surplus(), now_ms);
    }

    /// Takes from the cache what memory is short of: an eighth of it is to be free, so that appends and
    /// fetches do not wait for memory that nobody needs. One look at a number where that is so.
    fn make_room(&mut self) {
        let budget = &self.options.budget;
        if let short @ 1.. = (budget.limit() / 8).saturating_sub(budget.left()) {
            self.reads.give_back(short);
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
        if full {
            // Some at each look.
            let some: Vec<Slot> = self.aside.iter().take(ASIDE_A_LOOK).copied().collect();
            for slot in some {
                self.remove_aside(slot);
            }
        }
    }

    /// Appends must be refused: the journal may not take more than the segments can place.
    pub fn disk_is_full(&self) -> bool {
        self.disk_full || self.allowance == 0 || self.out.wants_space()
    }

    /// From now on everything is written back, however small.
    pub fn begin_shutdown(&mut self, now_ms: i64) {
        self.shutting_down = true;
        self.compactions.stop();
        self.out.try_again();
        self.look = true;
        self.placement.want_checkpoint();
        self.start_removals(now_ms);
    }

    /// After [`Engine::begin_shutdown`]: nothing is pending, and the checkpoint says so.
    pub fn is_drained(&self) -> bool {
        self.shutting_down
            && self.placement.is_quiet()
            && self.removals.is_empty()
            && self.renewals.is_empty()
            && self.compactions.is_idle()
            && self.marks.is_idle()
            && !self.journal.has_work()
            && self.out.is_idle()
            && self.logs.pending_bytes() == 0
    }

    pub(super) fn files_may_come_back(&mut self) {
        self.removals.some_may_come_back();
    }

    /// Files that could not be removed in the stop, or may come back: the next start is to look for them.
    pub fn left_files(&self) -> bool {
        self.removals.has_left_files()
    }

    fn moment(&self, now_ms: i64) -> Moment {
        let checkpoints = self.placement.written().checkpoints;
        Moment { now_ms, checkpoints, stopping: self.shutting_down, full: self.disk_full }
    }

    fn start_removals(&mut self, now_ms: i64) {
        self.shed(now_ms);
        let moment = self.moment(now_ms);
        let Self { removals, placement, out, events, .. } = self;
        removals.start(moment, &mut placement.recycled, out, events);
    }

    /// Gives up what lies below the log start. Called when that is durable.
    fn trim(&mut self, now_ms: i64, slot: Slot, tp: TopicPartition) {
        let Some(log) = self.logs.get_mut(slot).filter(|l| l.tp == tp) else { return };
        let before = log.pending_bytes;
        let gone = log.trim();
        let (freed, start) = (before - log.pending_bytes, log.durable_start);
        let (id, due_ms) = (log.id, now_ms + log.config.file_delete_delay_ms);
        // A start reads the state that runs make from their segments, as long as no checkpoint has it.
        let when = When::AfterCheckpoints(log.direct.checkpoints, due_ms);
        self.logs.uncount_pending(freed);
        if !gone.is_empty() {
            self.reads.forget_below(slot, start);
            self.removals.add(id, tp, &gone, when);
        }
    }

    /// Lets go of a dropped log when its entry is durable and no job holds on to it.
    fn finish_drop(&mut self, now_ms: i64, slot: Slot) {
        let log = self.logs.log(slot);
        if !log.drop_durable || log.is_held() || self.compactions.holds(slot) {
            return;
        }
        self.drop_repair(slot, now_ms);
        let log = self.logs.remove(slot);
        self.reads.forget(slot);
        self.removals.add_whole(&log, now_ms);
        self.start_removals(now_ms);
    }

    /// Reads whole batches from the one that holds `from`, with base offsets below `upto`, up to
    /// `max_bytes`; the first one comes whole whatever its size where `at_least_one`. Fewer than
    /// there are may come: what is in memory first.
    pub fn read(
        &mut self,
        slot: Slot,
        from: i64,
        upto: i64,
        max_bytes: usize,
        at_least_one: bool,
    ) -> Result<Read, ReadError> {
        let read = self.reads.read(&self.logs, slot, from, upto, max_bytes, at_least_one);
        self.begin_reads();
        read
    }

    /// Takes in what a read brought. Its failure ends nothing but itself.
    fn filled(
        &mut self,
        now_ms: i64,
        ticket: Ticket,
        result: io::Result<Bytes>,
        out: &mut Vec<Event>,
    ) {
        self.now_ms = now_ms;
        // Before it is there: its reader comes back for it.
        self.make_room();
        let filled = self.reads.ended(&mut self.logs, ticket, result);
        out.extend(
            filled.into_iter().map(|it| Event::Filled { ticket: it.ticket, result: it.result }),
        );
        for (slot, why) in self.reads.take_damaged() {
            self.found_damage(slot, &why);
        }
        self.begin_reads();
        out.append(&mut self.events);
    }

    /// Lets reads of the disk begin. While the journal is written to, one at a time: a write waits
    /// behind what the disk is reading.
    fn begin_reads(&mut self) {
        let writing = self.is_writing();
        let at_once = if writing { 0 } else { self.options.reads_at_once };
        let Self { reads, logs, out, events, .. } = self;
        reads.set_beside_writers(writing);
        reads.begin(logs, at_once, out, |Filled { ticket, result }| {
            events.push(Event::Filled { ticket, result });
        });
    }

    /// Whether the journal is written to.
    fn is_writing(&self) -> bool {
        (0..WRITING_MS).contains(&(self.now_ms.saturating_sub(self.last_block_ms)))
    }

    /// A read that makes [`Engine::offset_hint_for_time`] sharper: see [`Event::Filled`]. `None` where
    /// nothing does.
    pub fn index_for_time(&mut self, slot: Slot, timestamp: i64) -> Option<Ticket> {
        let ticket = self.reads.index_for_time(self.logs.log(slot), slot, timestamp);
        self.begin_reads();
        ticket
    }

    /// See [`Log::offset_hint_for_time`].
    pub fn offset_hint_for_time(&self, slot: Slot, timestamp: i64) -> i64 {
        self.log(slot).offset_hint_for_time(timestamp)
    }

    /// See [`Log::max_timestamp`].
    pub fn max_timestamp(&self, slot: Slot, upto: i64) -> Option<(i64, i64)> {
        self.log(slot).max_timestamp(upto)
    }

    /// Whether [`Engine::truncate`] may be called now.
    pub fn can_truncate(&self, slot: Slot) -> bool {
        self.log(slot).can_truncate()
    }

    /// Whether [`Engine::truncate`] may be called now. If not, [`Event::Truncatable`] comes when it may: when
    /// all that was appended is acknowledged, and no job holds on to the log. It is to be made use of
    /// before the next turn, in which another job may begin.
    pub fn await_truncation(&mut self, slot: Slot) -> bool {
        let log = self.log_mut(slot);
        let may = log.can_truncate();
        log.awaited = !may;
        may
    }

    /// A read that a truncation at `offset` needs first: see [`Event::Filled`]. To be asked for again
    /// until nothing is missing.
    ///
    /// # Errors
    /// [`ReadError::Storage`] where the frames before the cut cannot be found: nothing was changed.
    pub fn before_truncate(
        &mut self,
        slot: Slot,
        offset: i64,
    ) -> Result<Option<Ticket>, ReadError> {
        let needed = self.reads.before_truncate(&mut self.logs, slot, offset);
        self.begin_reads();
        needed
    }

    /// Removes everything from `offset` on, a frame boundary at or above the log start. What is
    /// appended next starts there, in a new segment file. `state` is the partition core's as it is
    /// after the truncation: a start gives it back. [`Engine::before_truncate`] must have said that
    /// nothing is missing.
    pub fn truncate(&mut self, slot: Slot, offset: i64, state: &[u8], token: u64) {
        let log = self.log_mut(slot);
        let (tp, id) = (log.tp, log.id);
        let gone = log.truncate(offset);
        self.logs.uncount_pending(gone.freed);
        self.reads.forget_from(slot, offset);
        // They go when a checkpoint that was begun after this is durable.
        let when = When::AfterCheckpoints(self.placement.checkpoints_until_covered(), i64::MIN);
        self.removals.add(id, tp, &gone.gone, when);
        let body = block::truncate_body(tp, offset, gone.cut.as_ref(), state);
        self.stage_control(slot, Kind::Truncate, offset, body, Waits::Token(token));
    }

    /// Gives up all that a log has: it begins anew at `offset`, at or above its start, where its leader's
    /// log begins. Only when [`Engine::can_truncate`] says that it may. `state` is the partition core's as it
    /// is after that: a start gives it back.
    ///
    /// One entry of the journal says it, so a crash finds the log as it was or empty. Its files go as
    /// those of a truncation do: when a checkpoint that was begun later is durable. Those of a damaged log are set aside.
    pub fn restart_at(&mut self, slot: Slot, offset: i64, state: &[u8], token: u64) {
        let log = self.log_mut(slot);
        let (tp, id) = (log.tp, log.id);
        if log.uncleanable {
            self.compactions.cleanable_again();
        }
        let gone = self.log_mut(slot).restart(offset);
        self.logs.uncount_pending(gone.freed);
        self.reads.forget(slot);
        let when = When::AfterCheckpoints(self.placement.checkpoints_until_covered(), i64::MIN);
        if !self.set_aside(slot, &gone.gone) {
            self.removals.add(id, tp, &gone.gone, when);
        }
        let body = block::truncate_body(tp, offset, None, state);
        self.stage_control(slot, Kind::Restart, offset, body, Waits::Token(token));
    }

    /// Figures for `/metrics`.
    pub fn stats(&self) -> EngineStats {
        let counters = self.journal.counters();
        let (journal_used, _) = self.journal.usage();
        let written = self.placement.written();
        let compaction = self.compactions.figures();
        EngineStats {
            logs: self.logs.count(),
            journal_used,
            journal_limit: self.options.journal_limit,
            journal_size: self.journal.size(),
            pending_bytes: self.logs.pending_bytes(),
            staged_bytes: self.journal.staged_bytes() as u64,
            cache_bytes: self.reads.cache_bytes() as u64,
            read_bytes: self.reads.read_bytes().0,
            ahead_bytes: self.reads.read_bytes().1,
            blocks: counters.blocks,
            appended_bytes: counters.appended_bytes,
            journal_bytes: counters.journal_bytes,
            copied_bytes: counters.copied_bytes,
            direct_bytes: counters.direct_bytes,
            segment_bytes: written.segment_bytes,
            checkpoint_bytes: written.checkpoint_bytes,
            recycled_bytes: self.placement.recycled.bytes(),
            rounds: written.checkpoints,
            failed_removals: self.removals.failures(),
            compaction_passes: compaction.passes,
            compaction_cut_short: compaction.cut_short,
            compaction_read_bytes: compaction.read_bytes,
            compaction_written_bytes: compaction.written_bytes,
            uncleanable: compaction.uncleanable,
            max_dirty_ratio: compaction.max_dirty_ratio,
        }
    }

    /// Asserts what must always hold; for tests and the simulator.
    pub fn invariants(&self) {
        self.logs.invariants();
        self.reads.invariants();
    }
}

const _: () = assert!(MAX_FRAME >= 1 << 16);
