//! Placement: what becomes of records after the journal has them.
//!
//! Now and then a *pass* goes through the logs that have frames in the oldest files of the journal. It brings them into segments,
//! some logs at a time (`write_back`) and at a pace (`pacing`), and in the end writes a checkpoint (`checkpointing`); only then
//! are the journal files that it covers used again. The order is what makes it safe: a checkpoint
//! names only what a finished write-back has synced.
//!
//! Logs with little pending are copied forward to the journal's head instead, up to a quarter of what
//! is in use of it: ten thousand nearly idle partitions do not cost ten thousand small writes. After a
//! few copies, or when it has been idle for long, a log is placed whatever its size; so is one that is compacted and has had
//! something in the journal alone for as long as a segment may stay open.
//!
//! It knows the logs, and looks at the journal; what it wants of the engine's other parts comes out as
//! an `Effect`. Files go by `removal`, when a durable checkpoint or the journal says
//! that nothing needs them; some are kept for segments to come (`recycling`, `renewal`).

pub(super) mod around;
mod checkpointing;
mod job;
mod ops;
mod pacing;
pub(super) mod recycling;
pub(super) mod removal;
pub(super) mod renewal;
mod write_back;

use super::device::outgoing::Outgoing;
use super::interface::{EngineOptions, Slot, States};
use super::journal::writer::JournalWriter;
use super::log::Log;
use super::logs::Logs;
use around::{Around, Effect, Written};
use checkpointing::Checkpointing;
use job::Job;
use pacing::Pace;
use recycling::Recycled;
use std::collections::VecDeque;
use write_back::WriteBack;

/// A log is placed rather than copied forward once more.
const MAX_COPIES: u8 = 3;
/// A pass begins when so many bytes of runs were written since the last.
const RUNS_BETWEEN: u64 = 512 << 20;
/// Files whose removal waits for a checkpoint get one after this time.
const REMOVALS_WAIT_MS: i64 = 5_000;
/// While memory is short, a pass begins so long after the last one at the latest.
const SHORT_MS: i64 = 1_000;
/// A pass begins when this part of the journal's limit is in use, and so many bytes more for each open
/// log, half of the limit at most: what is pending stands in memory, and is written in chunks that are
/// the larger the longer it waits.
const DUE_SHARE: u64 = 8;
const DUE_BYTES_A_LOG: u64 = 32 << 10;
/// The part of the journal's limit that a pass frees, unless there is a reason to free all: the less,
/// the steadier is what goes to the disk.
const PASS_SHARE: u64 = 8;
/// For each open log a pass frees so many bytes at least: it ends with a checkpoint of all of them.
const PASS_BYTES_A_LOG: u64 = 16 << 10;
/// Logs that a pass looks at in one turn, and a tick in search of idle ones.
const LOOKS: usize = 1024;

/// A pass under way.
#[derive(Debug)]
struct Pass {
    /// The journal up to this block is free in the end.
    target: u64,
    /// Logs to look at.
    logs: VecDeque<Slot>,
    /// Those that somebody holds on to, to be looked at again.
    held: VecDeque<Slot>,
    /// Bytes that may still be copied forward.
    copy_bytes: u64,
    /// Every log is placed: memory is short, and frames leave it in no other way.
    all: bool,
}

impl Pass {
    /// Whether a checkpoint may be taken, when all logs were looked at: every block that it covers is
    /// durable, and so the runs that those name are in their segments.
    fn may_end(&self, journal: &JournalWriter) -> bool {
        journal.proof().0 >= self.target
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Placement {
    options: EngineOptions,
    pass: Option<Pass>,
    job: Option<Job>,
    effects: Vec<Effect>,
    /// Logs that were written back since the last checkpoint was begun.
    placed: Vec<Slot>,
    /// Segments made in this life.
    segments_made: u32,
    last_pass_ms: i64,
    /// A checkpoint is to be written whatever the journal holds.
    due: bool,
    /// A log is idle and has something to be looked after.
    idle_due: bool,
    /// Somebody let go of a log.
    released: bool,
    /// Bytes of runs that had been made when the last pass began.
    runs_before: u64,
    /// The next of the pending logs that a tick looks at.
    next_look: usize,
    written: Written,
    pace: Pace,
    /// Files for segments to come.
    pub recycled: Recycled,
}

impl Placement {
    /// Nothing under way.
    pub fn new(options: &EngineOptions) -> Self {
        Self {
            options: options.clone(),
            pass: None,
            job: None,
            effects: Vec::new(),
            placed: Vec::new(),
            segments_made: 0,
            last_pass_ms: 0,
            due: false,
            idle_due: false,
            released: false,
            runs_before: 0,
            next_look: 0,
            written: Written::default(),
            pace: Pace::default(),
            recycled: Recycled::new(options.journal, options.recycle_bytes),
        }
    }

    /// Asks for a checkpoint, whatever the journal holds.
    pub fn want_checkpoint(&mut self) {
        self.due = true;
    }

    /// Somebody let go of a log that a pass may wait for.
    pub fn released(&mut self) {
        self.released = true;
    }

    /// Whether nothing is under way, and nothing was asked for.
    pub fn is_quiet(&self) -> bool {
        self.pass.is_none() && !self.due
    }

    /// Whether it goes on in the next turn without waiting for anything.
    pub fn wants_turn(&self, journal: &JournalWriter) -> bool {
        match &self.job {
            None => self.pass.as_ref().is_some_and(|pass| {
                !pass.logs.is_empty()
                    || if pass.held.is_empty() { pass.may_end(journal) } else { self.released }
            }),
            Some(Job::Checkpoint(job)) => job.captures(),
            Some(Job::WriteBack(_)) => false,
        }
    }

    /// Whether a journal file is going to be free without further blocks being written.
    pub fn frees_by_itself(&self) -> bool {
        match &self.job {
            Some(Job::Checkpoint(job)) => !job.waits_for_journal(),
            _ => self.pass.is_some(),
        }
    }

    /// The first number of checkpoints at which one that was begun from now on is durable.
    pub fn checkpoints_until_covered(&self) -> u64 {
        let begun = matches!(self.job, Some(Job::Checkpoint(_)));
        self.written.checkpoints + 1 + u64::from(begun)
    }

    /// A generation that no segment had before.
    pub fn new_generation(&mut self) -> u64 {
        next_generation(self.options.journal.life, &mut self.segments_made)
    }

    /// Bytes written, and checkpoints.
    pub fn written(&self) -> Written {
        self.written
    }

    /// What it wants of others, in order. To be asked for after every call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Looks whether some log is idle or has aged, and has something to be looked after, a bounded number of logs
    /// at a time; or whether files wait for a checkpoint (`removals_wait`).
    pub fn tick(&mut self, now_ms: i64, logs: &Logs, removals_wait: bool) {
        let since = now_ms - self.last_pass_ms;
        self.idle_due |= removals_wait && since >= self.options.idle_ms.min(REMOVALS_WAIT_MS);
        let waited = since >= self.options.idle_ms;
        let pending = logs.pending();
        if !waited || pending.is_empty() {
            return;
        }
        // A sixteenth at least: all are looked at in a small part of the time that makes one idle.
        let looks = LOOKS.max(pending.len() / 16).min(pending.len());
        for _ in 0..looks {
            self.next_look = (self.next_look + 1) % pending.len();
            let log = logs.get(pending[self.next_look]);
            if log.is_some_and(|it| is_idle(&self.options, it, now_ms) || has_aged(it, now_ms)) {
                self.idle_due = true;
                return;
            }
        }
    }

    /// Begins a pass where one is due, and goes on with it: one bounded step.
    pub fn turn(
        &mut self,
        now_ms: i64,
        stopping: bool,
        logs: &mut Logs,
        journal: &JournalWriter,
        out: &mut Outgoing,
        states: &mut dyn States,
    ) {
        let short = self.memory_is_short(now_ms, logs);
        self.pace.pressed = stopping || self.pass.as_ref().map_or(short, |pass| pass.all);
        if self.pass.is_none() && self.is_due(stopping, short, logs.slots(), journal) {
            // Whole files only, when stopping too: replay begins at the start of a file, and a
            // later block may still follow in the active one.
            let whole = stopping || short || self.idle_due || self.due;
            let (_, limit) = journal.usage();
            let part = (limit / PASS_SHARE).max(u64::from(logs.slots()) * PASS_BYTES_A_LOG);
            let bytes = if whole { u64::MAX } else { part.min(limit / 4) };
            let (target, bytes) = journal.reclaimable(bytes).unwrap_or((0, 0));
            self.pass = Some(Pass {
                target,
                logs: logs.take_pending(),
                held: VecDeque::new(),
                copy_bytes: bytes / 4,
                all: short,
            });
            self.last_pass_ms = now_ms;
            self.pace.begin(journal, self.written.segment_bytes);
            self.runs_before = journal.counters().direct_bytes;
            (self.due, self.idle_due) = (false, false);
        }
        let Some(mut pass) = self.pass.take() else { return };
        if self.job.is_none() && pass.logs.is_empty() && std::mem::take(&mut self.released) {
            pass.logs = std::mem::take(&mut pass.held);
        }
        if self.job.is_none() {
            self.job = if pass.logs.is_empty() {
                if !(pass.held.is_empty() && pass.may_end(journal)) {
                    self.pass = Some(pass);
                    return;
                }
                // Not in the turn that looked at the last logs: the journal must know of the frames
                // that are to be copied before it is asked whether they are durable.
                let around = self.around(logs, journal, out);
                Some(Job::Checkpoint(Checkpointing::new(pass.target, &around)))
            } else {
                let job = self.next_write_back(now_ms, stopping, &mut pass, logs, journal, out);
                job.map(Job::WriteBack)
            };
        }
        self.pass = Some(pass);
        if let Some(Job::Checkpoint(mut job)) =
            self.job.take_if(|j| matches!(j, Job::Checkpoint(_)))
        {
            if job.captures() {
                job.capture(&self.around(logs, journal, out), states);
            }
            self.job = Some(Job::Checkpoint(job));
        }
        self.advance(logs, journal, out);
    }

    fn around<'a>(
        &'a mut self,
        logs: &'a mut Logs,
        journal: &'a JournalWriter,
        out: &'a mut Outgoing,
    ) -> Around<'a> {
        let Self { options, effects, written, pace, .. } = self;
        Around { logs, journal, out, options, effects, written, pace: *pace }
    }

    /// Whether frames that are pending are to make room in memory: so that nobody waits for it until
    /// their logs are idle. A clock that is set back does not hold it up.
    fn memory_is_short(&self, now_ms: i64, logs: &Logs) -> bool {
        let budget = &self.options.budget;
        budget.left() < budget.limit() / 16
            && !logs.pending().is_empty()
            && !(0..SHORT_MS).contains(&(now_ms - self.last_pass_ms))
    }

    fn is_due(&self, stopping: bool, short: bool, slots: u32, journal: &JournalWriter) -> bool {
        if stopping {
            return self.due && journal.is_quiet();
        }
        let (used, limit) = journal.usage();
        let due = (limit / DUE_SHARE + u64::from(slots) * DUE_BYTES_A_LOG).min(limit / 2);
        let full = used >= due || journal.starved();
        // What went past the journal since the last checkpoint is read by the next start.
        let runs = journal.counters().direct_bytes - self.runs_before;
        let much = runs >= RUNS_BETWEEN.min(4 * limit);
        (full && journal.reclaimable(1).is_some()) || self.idle_due || much || short
    }

    /// The next logs of a pass that are placed, if any of those that were looked at are.
    fn next_write_back(
        &mut self,
        now_ms: i64,
        stopping: bool,
        pass: &mut Pass,
        logs: &mut Logs,
        journal: &JournalWriter,
        out: &mut Outgoing,
    ) -> Option<WriteBack> {
        let hurries = self.pace.in_flight(journal, self.written.segment_bytes) > 1;
        let mut job = WriteBack::new(hurries);
        for _ in 0..LOOKS {
            if job.is_full(self.options.logs_a_step) {
                break;
            }
            let Some(slot) = pass.logs.pop_front() else { break };
            logs.looked_at(slot);
            let Some(log) = logs.get_mut(slot).filter(|log| !log.dropped) else { continue };
            let idle = stopping || is_idle(&self.options, log, now_ms);
            let unfinished = log.has_unfinished(idle);
            if log.busy || !(log.pending.is_empty() || log.direct.is_empty()) {
                // Runs in flight bring pending frames along, or come before them.
                if stopping || log.pending.iter().any(|p| p.sequence <= pass.target) {
                    pass.held.push_back(slot);
                } else {
                    logs.list(slot);
                }
                continue;
            }
            if log.pending.is_empty() && !unfinished {
                logs.keep_pending(slot);
                continue;
            }
            let much = log.pending_bytes >= self.options.small_bytes;
            let all = idle || pass.all || has_aged(log, now_ms);
            let place = all || log.pending.is_empty();
            // Any of them: a copy of the oldest stands in a later block than those after it.
            let needed = !place && log.pending.iter().any(|p| p.sequence <= pass.target);
            let bytes = log.pending_bytes as u64;
            let copies = !much && log.copies < MAX_COPIES && bytes <= pass.copy_bytes;
            if place || needed && !copies {
                log.copies = 0;
                let life = self.options.journal.life;
                let mut made = self.segments_made;
                let mut generation = || next_generation(life, &mut made);
                let Self { options, effects, written, recycled, pace, .. } = self;
                let pace = *pace;
                let mut around = Around { logs, journal, out, options, effects, written, pace };
                let until = if all { u64::MAX } else { pass.target };
                let taken = job.take((slot, idle), until, &mut around, recycled, &mut generation);
                self.segments_made = made;
                if !taken {
                    pass.logs.push_front(slot);
                }
            } else {
                if needed {
                    log.copies += 1;
                    pass.copy_bytes -= bytes;
                    let old = log.pending.iter().filter(|p| p.sequence <= pass.target);
                    self.effects.extend(old.map(|p| Effect::Copy(slot, p.base)));
                }
                logs.keep_pending(slot);
            }
        }
        if job.is_empty() {
            return None;
        }
        job.enter(&mut self.around(logs, journal, out));
        Some(job)
    }

    /// Takes in that one of its operations ended: the write of that chunk, or another one.
    pub fn ended(
        &mut self,
        chunk: Option<u32>,
        logs: &mut Logs,
        journal: &JournalWriter,
        out: &mut Outgoing,
    ) {
        let mut job = self.job.take().expect("a job waits for its operations");
        job.ended(chunk, &mut self.around(logs, journal, out));
        self.job = Some(job);
        self.advance(logs, journal, out);
    }

    /// Goes on with the job; blocks may have become durable, for which a checkpoint waits.
    pub fn advance(&mut self, logs: &mut Logs, journal: &JournalWriter, out: &mut Outgoing) {
        let Some(mut job) = self.job.take() else { return };
        if !job.advance(&mut self.around(logs, journal, out)) {
            self.job = Some(job);
            return;
        }
        match job {
            Job::WriteBack(job) => self.placed.extend(job.slots()),
            Job::Checkpoint(_) => {
                self.pass = None;
                for slot in std::mem::take(&mut self.placed) {
                    if let Some(log) = logs.get_mut(slot) {
                        log.direct.checkpointed();
                    }
                }
            }
        }
    }
}

/// A generation that no segment had before.
fn next_generation(life: u64, made: &mut u32) -> u64 {
    *made += 1;
    life << 32 | u64::from(*made)
}

/// Whether a log had no appends for long and still has frames pending, or space that it does not use.
fn is_idle(options: &EngineOptions, log: &Log, now_ms: i64) -> bool {
    now_ms - log.last_append >= options.idle_ms
        && (!log.pending.is_empty() || log.has_unfinished(true))
}

/// Whether a log that is compacted has a frame in the journal alone for longer than one may stay in an open segment:
/// what is in no segment is not compacted.
fn has_aged(log: &Log, now_ms: i64) -> bool {
    log.config.compaction.is_some()
        && log.pending.front().is_some_and(|oldest| {
            let age = now_ms.saturating_sub(oldest.header().append_time());
            age >= log.config.roll_after_ms(log.tp)
        })
}
