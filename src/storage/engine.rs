//! The storage engine of one shard: synchronous, pure, never waits.
//!
//! The shard hands in appends and completions, and carries out the [`Submission`]s that come out.
//! A *turn* gathers everything appended since the last one, over all logs, into one journal block,
//! which is written and synced in one submission; its acknowledgements come out when it and every
//! block before it are synced. A *round* (see `round`) brings pending frames into segments.
//!
//! An append is copied once, from the receive buffer into the block. Pending frames are slices of
//! blocks, and are read from there.

use super::block::{self, Kind};
use super::cache::Cache;
use super::frame::{self, MAX_FRAME};
pub use super::interface::{Append, EngineOptions, EngineStats, Event, Moments, Slot};
use super::io::{Completion, FilePath, Submission};
use super::journal;
use super::log::{Log, LogConfig, LogOffsets};
use super::logs::Logs;
use super::outgoing::{Outgoing, Purpose};
use super::reads::Reads;
use super::removal::Removals;
use super::round::Round;
pub use super::writer::APART;
use super::writer::{Acks, Given, JournalWriter, Waits};
use crate::types::TopicPartition;
use zerocopy::IntoBytes;

/// The parts of an engine, put together: each has its own state and knows only the logs; what has to
/// happen in several of them happens here.
#[derive(Debug)]
pub struct Engine {
    pub(super) options: EngineOptions,
    pub(super) logs: Logs,
    pub(super) journal: JournalWriter,
    pub(super) reads: Reads,
    pub(super) removals: Removals,
    pub(super) round: Option<Round>,
    pub(super) out: Outgoing,
    pub(super) events: Vec<Event>,
    /// Segments made in this life.
    pub(super) segments_made: u32,
    pub(super) last_round_ms: i64,
    pub(super) shutting_down: bool,
    pub(super) checkpoint_due: bool,
    /// A log is idle and has frames pending.
    pub(super) idle_due: bool,
    /// Something happened that the next turn looks at.
    look: bool,
    disk_full: bool,
    /// Bytes that may be appended until the next verdict on the disk's space.
    allowance: u64,
    failed: bool,
    pub(super) stats: EngineStats,
}

impl Engine {
    /// An engine without logs. Recovery makes it.
    pub(super) fn new(options: EngineOptions, last_lsn: u64, last_block_checksum: u32) -> Self {
        Self {
            logs: Logs::default(),
            journal: JournalWriter::new(&options, last_lsn, last_block_checksum),
            reads: Reads::new(Cache::new(options.cache_start, options.cache_limit)),
            removals: Removals::default(),
            round: None,
            out: Outgoing::default(),
            events: Vec::new(),
            segments_made: 0,
            last_round_ms: 0,
            shutting_down: false,
            checkpoint_due: false,
            idle_due: false,
            look: true,
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
        self.journal.adopt(path, size, blocks, position);
    }

    pub(super) fn insert(&mut self, log: Log) -> Slot {
        self.logs.insert(log)
    }

    /// Every open log.
    pub fn logs(&self) -> Vec<(Slot, TopicPartition)> {
        self.logs.named().collect()
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

    pub(super) fn log(&self, slot: Slot) -> &Log {
        self.logs.log(slot)
    }

    pub(super) fn log_mut(&mut self, slot: Slot) -> &mut Log {
        self.logs.log_mut(slot)
    }

    /// Appends a batch at the end of a log; durable when its token comes back. Its order within the
    /// log is that of the calls.
    pub fn append(&mut self, slot: Slot, append: Append) {
        let log = self.log_mut(slot);
        assert_eq!(append.base_offset, log.end, "a batch starts where the log ends");
        assert!(append.last_offset >= append.base_offset && !log.dropped);
        log.end = append.last_offset + 1;
        self.allowance = self.allowance.saturating_sub((append.batch.len() + frame::HEADER) as u64);
        self.journal.stage_append(slot, append);
    }

    pub(super) fn stage_control(
        &mut self,
        slot: Slot,
        kind: Kind,
        offset: i64,
        body: Vec<u8>,
        waits: Waits,
    ) {
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

    /// Whether a further append is welcome: otherwise its connection waits.
    pub fn admits(&self) -> bool {
        let memory = self.options.budget.left() > self.options.budget.limit() / 16;
        !self.failed && self.journal.admits(memory)
    }

    /// Bytes handed in that no block holds yet.
    pub fn staged_bytes(&self) -> usize {
        self.journal.staged_bytes()
    }

    /// Whether a turn has something to do: a block to write, or a decision to look at after a
    /// completion or a tick.
    pub fn wants_turn(&self) -> bool {
        self.look || self.journal.wants_block()
    }

    /// Writes what was staged, and starts a round when one is due. `snapshot` gives the state of a
    /// log's partition core as of its log end.
    pub fn turn(&mut self, now_ms: i64, snapshot: &mut dyn FnMut(Slot) -> Vec<u8>) {
        self.look = false;
        if self.failed {
            return;
        }
        self.make_room();
        // A clean start replays nothing: whatever still goes to the journal must be checkpointed.
        let wrote = self.journal.write(now_ms, &mut self.logs, &mut self.out);
        self.checkpoint_due |= wrote && self.shutting_down;
        // What was to be copied may be gone, and the round has waited for nothing else.
        self.round_journal_moved(now_ms);
        let frees = self.round.as_ref().is_some_and(|round| !round.waits_for_journal());
        self.journal.prepare(frees, &mut self.out);
        if self.shutting_down {
            self.start_removals(now_ms);
        }
        if self.round_is_due() {
            self.start_round(now_ms, snapshot);
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

    /// Takes in that a submission ended. Events go to `out`.
    pub fn complete(&mut self, now_ms: i64, completion: Completion, out: &mut Vec<Event>) {
        self.look = true;
        let purpose = self.out.answered(completion.id);
        if let Err(error) = &completion.result
            && !matches!(purpose, Purpose::Removal(..))
        {
            if !self.failed {
                self.failed = true;
                let path = match &purpose {
                    Purpose::BlockWrite(sequence) | Purpose::BlockSync(sequence) => {
                        self.journal.file_of(Some(*sequence))
                    }
                    Purpose::Prepare => self.journal.file_of(None),
                    Purpose::Round(_, path) | Purpose::Removal(_, path) => Some(path.clone()),
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
                self.round_journal_moved(now_ms);
            }
            Purpose::Prepare => self.journal.prepare_step(&mut self.out),
            Purpose::Round(tag, _) => self.round_step(now_ms, tag),
            Purpose::Removal(number, path) => {
                let done = if completion.result.is_ok() { Ok(path) } else { Err(path) };
                let stopping = self.shutting_down;
                let Self { removals, out, events, .. } = self;
                removals.step(now_ms, number, done, stopping, out, events);
            }
        }
        out.append(&mut self.events);
    }

    fn tell_relaxed(&mut self) {
        for acks in self.journal.relaxed() {
            for &(slot, end, relaxed) in &acks.ends {
                if let (true, Some(log)) = (relaxed, self.logs.get_mut(slot)) {
                    log.acked = log.acked.max(end);
                    self.events.push(Event::Durable { slot, end });
                }
            }
            for given in &acks.given {
                if let Given::Append { token, relaxed: true } = *given {
                    self.events.push(Event::Done { token, moments: acks.moments });
                }
            }
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
                self.events.push(Event::Durable { slot, end });
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
                // What is left of a segment may lie below the log start.
                Kind::Truncate => self.trim(now_ms, slot, tp),
                Kind::Append => {}
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

    /// Retention, deletions whose time has come. To be called about once a second.
    pub fn tick(&mut self, now_ms: i64) {
        if self.failed {
            return;
        }
        for slot in self.logs.slots() {
            let log = self.logs.get(slot).filter(|log| !log.dropped && !log.segments.is_empty());
            let due = log.and_then(|log| log.retention(now_ms));
            if let Some(offset) = due {
                self.move_start(slot, offset, Waits::Retention);
            }
        }
        self.start_removals(now_ms);
        self.look = true;
        self.journal.tick(self.shutting_down);
        self.idle_due = self.logs.pending_bytes() > 0
            && now_ms - self.last_round_ms >= self.options.idle_ms
            && self.logs.iter().any(|(_, log)| self.is_idle(log, now_ms));
        self.make_room();
    }

    /// Takes from the cache what memory is short of: an eighth of it is to be free, so that appends and
    /// fetches do not wait for memory that nobody needs. One look at a number where that is so.
    pub(super) fn make_room(&mut self) {
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
            && self.removals.is_empty()
            && !self.journal.has_work()
            && self.round.is_none()
            && self.out.is_idle()
            && self.logs.pending_bytes() == 0
    }

    pub(super) fn start_removals(&mut self, now_ms: i64) {
        let Self { removals, out, events, .. } = self;
        removals.start(now_ms, self.stats.rounds, self.shutting_down, out, events);
    }

    /// Figures for `/metrics`.
    pub fn stats(&self) -> EngineStats {
        let counters = self.journal.counters();
        let (journal_used, journal_limit) = self.journal.usage();
        EngineStats {
            logs: self.logs.count(),
            journal_used,
            journal_limit,
            journal_size: self.journal.size(),
            pending_bytes: self.logs.pending_bytes(),
            staged_bytes: self.journal.staged_bytes() as u64,
            cache_bytes: self.reads.cache_bytes() as u64,
            blocks: counters.blocks,
            appended_bytes: counters.appended_bytes,
            journal_bytes: counters.journal_bytes,
            copied_bytes: counters.copied_bytes,
            failed_removals: self.removals.failures(),
            ..self.stats
        }
    }

    /// Asserts what must always hold; for tests and the simulator.
    pub fn invariants(&self) {
        self.logs.invariants();
    }
}

const _: () = assert!(MAX_FRAME >= 1 << 16);
