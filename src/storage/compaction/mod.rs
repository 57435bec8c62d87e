//! Compaction: of each key the last record stays (`cleanup.policy=compact`).
//!
//! A *pass* goes through the sealed segments of one log, up to the first that may not be touched
//! (`choice`): first for the last offset of each key of what no pass has seen (`offset_map`), then for
//! all records, batch by batch (`cleaner`, by the rules of `rules`), from the old segments (`source`)
//! into new ones (`output`). Some segments at a time get one in their place (`pass`). One pass is under
//! way at once, in steps beside everything else.
//!
//! *What a crash must find.* A new segment is written and synced, with its index and its name, before
//! it takes the place of others in memory. A checkpoint that is begun later names it; one that was
//! begun before names the old ones. So their files go only when a checkpoint that was begun after the
//! replacement is durable, as after a truncation. What a start finds that no checkpoint names it removes.
//! The old segments are replaced in the order of their offsets, and a checkpoint has all of a log of one
//! moment: so no record is gone while an older one of its key is back. How far a log was compacted stands
//! in the checkpoint too, and moves when all of a pass was replaced.
//!
//! *Readers* have slices of memory. What is in memory of the old segments, and reads that are under way,
//! are forgotten when they are replaced. An offset whose record is gone is found by the frame that
//! covers it: see `output`.
//!
//! *What it must not touch*: what is not committed (`States::stable`), what jobs of placement and runs
//! write to, and the last segment. Truncations are above all that.

mod choice;
mod cleaner;
mod offset_map;
mod output;
mod pass;
mod rules;
mod source;
mod sweep;

use super::buffer::Budget;
use super::device::io::Op;
use super::device::outgoing::{Outgoing, Purpose};
use super::format::segment::Segment;
use super::interface::{Slot, States};
use super::log::Log;
use super::logs::Logs;
use super::read::is_damage;
use bytes::Bytes;
use choice::Cleanable;
use pass::{Flights, Pass, Task, Wants};
use source::Source;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

/// Bytes that are looked at in one turn: some tens of microseconds.
const STEP: usize = 64 << 10;
/// As many in each millisecond while the journal is written to: a tenth of the shard's time or so.
const EACH_MS: usize = 256 << 10;
/// Logs that are due, looked at to find the one that comes first.
const LOOKS: usize = 64;
/// With less room for keys than this none begins.
const MAP_BYTES_MIN: usize = 256 << 10;
/// After a pass for which the disk had no space, time until the next, ms.
const PAUSE_MS: i64 = 60_000;

/// What a turn led to.
#[derive(Debug)]
pub(super) enum Effect {
    /// These segments of the log, all below this offset, were replaced.
    Replaced(Slot, Vec<Segment>, i64),
    /// The log's segment in the making is not needed: its files are to go.
    GivenUp(Slot, Box<Segment>),
    /// Nothing is under way for this log any more.
    Released(Slot),
    /// The log cannot be compacted: why.
    Uncleanable(Slot, String),
    /// What the disk has of the log is not what was written: why.
    Damaged(Slot, String),
}

/// Figures of all passes of this life.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    /// Passes that came to their end.
    pub passes: u64,
    /// Those of them that had no room for all keys.
    pub cut_short: u64,
    /// Bytes of segments read.
    pub read_bytes: u64,
    /// Bytes of segments and indexes written.
    pub written_bytes: u64,
    /// Logs that cannot be compacted until the next start.
    pub uncleanable: u64,
    /// The largest share that no pass has seen of a log that can be compacted, when all were last looked
    /// at.
    pub max_dirty_ratio: f64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Compactions {
    budget: Arc<Budget>,
    map_bytes: usize,
    due: BTreeSet<Slot>,
    pass: Option<Pass>,
    /// Operations of the pass that are under way.
    flights: Flights,
    /// One ended with this.
    failure: Option<Failure>,
    /// The pass ends as soon as none is under way.
    ending: bool,
    /// The pass waits until a job lets go of its log, or an operation ends.
    waits: bool,
    stopping: bool,
    /// What is left of the bytes of this millisecond.
    left: usize,
    last_ms: i64,
    /// None begins before.
    not_before_ms: i64,
    figures: Figures,
    /// The largest share so far, of this round of looks.
    dirty_ratio: f64,
}

#[derive(Debug)]
enum Failure {
    /// The disk has no space.
    Space,
    /// It could not be read; whether what was written is not there any more.
    Read(String, bool),
}

impl Compactions {
    /// None. The keys of a pass may take `map_bytes`.
    pub fn new(budget: &Arc<Budget>, map_bytes: usize) -> Self {
        Self {
            budget: budget.clone(),
            map_bytes,
            due: BTreeSet::new(),
            pass: None,
            flights: Flights::default(),
            failure: None,
            ending: false,
            waits: false,
            stopping: false,
            left: 0,
            last_ms: i64::MIN,
            not_before_ms: i64::MIN,
            figures: Figures::default(),
            dirty_ratio: 0.0,
        }
    }

    /// Figures.
    pub fn figures(&self) -> Figures {
        self.figures
    }

    /// Whether a pass through this log is under way.
    pub fn holds(&self, slot: Slot) -> bool {
        self.pass.as_ref().is_some_and(|pass| pass.task().slot == slot)
    }

    /// Whether no pass is under way.
    pub fn is_idle(&self) -> bool {
        self.pass.is_none()
    }

    /// The pass ends with the next turn, and no other one begins.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Whether it goes on in the next turn without waiting for anything. `writing`: the journal is
    /// written to.
    pub fn wants_turn(&self, writing: bool) -> bool {
        let ends = self.ending || self.stopping || self.failure.is_some();
        match &self.pass {
            None => false,
            Some(_) if ends => !self.flights.any(),
            Some(_) => !self.waits && (!writing || self.left > 0),
        }
    }

    /// Looks at a log, one of all, each in its turn.
    pub fn look(&mut self, slot: Slot, log: &Log, now_ms: i64) {
        let Some(config) = log.config.compaction else { return };
        let cleanable = Cleanable::of(log, i64::MAX, now_ms);
        if let Some(it) = cleanable {
            self.dirty_ratio = self.dirty_ratio.max(it.dirty_ratio);
        }
        if cleanable.is_some_and(|it| it.is_due(config)) && !self.holds(slot) {
            self.due.insert(slot);
        }
    }

    /// All logs were looked at.
    pub fn looked_at_all(&mut self) {
        self.figures.max_dirty_ratio = std::mem::take(&mut self.dirty_ratio);
    }

    /// Takes in that its operation ended; of a failure that ends nothing but the pass.
    pub fn ended(&mut self, result: io::Result<Bytes>, reads: bool) {
        let flight = if reads { &mut self.flights.reads } else { &mut self.flights.writes };
        (*flight, self.waits) = (false, false);
        let Some(pass) = &mut self.pass else { return };
        match result {
            Ok(bytes) if reads => pass.arrived(bytes),
            Ok(_) => {}
            Err(error) if reads => {
                self.failure = Some(Failure::Read(error.to_string(), is_damage(&error)));
            }
            Err(_) => self.failure = Some(Failure::Space),
        }
    }

    /// Begins a pass where one is due, and goes on with it: one bounded step. None begins where the disk
    /// is `full`.
    #[expect(clippy::too_many_arguments, reason = "each part of the engine on its own")]
    pub fn turn(
        &mut self,
        now_ms: i64,
        writing: bool,
        full: bool,
        logs: &mut Logs,
        out: &mut Outgoing,
        states: &mut dyn States,
        generation: &mut dyn FnMut() -> u64,
        effects: &mut Vec<Effect>,
    ) {
        if now_ms != self.last_ms || !writing {
            (self.left, self.last_ms) = (if writing { EACH_MS } else { STEP }, now_ms);
        }
        if self.pass.is_none() && !full && !self.stopping && now_ms >= self.not_before_ms {
            self.begin(now_ms, logs, states);
        }
        let Some(pass) = &mut self.pass else { return };
        let task = pass.task();
        let slot = task.slot;
        let id = task.log;
        let log = logs.get_mut(slot).filter(|log| log.id == id && !log.dropped);
        let log = log.filter(|log| log.config.compaction.is_some() && pass.is_sound(log));
        let (Some(log), false) = (log, self.stopping || self.ending) else {
            return self.give_up(effects);
        };
        if let Some(failure) = self.failure.take() {
            match failure {
                Failure::Space => self.not_before_ms = now_ms + PAUSE_MS,
                Failure::Read(why, damaged) => {
                    self.uncleanable(slot, log, why, damaged, effects);
                }
            }
            return self.give_up(effects);
        }
        self.waits = false;
        let budget = self.left.min(STEP);
        let mut rest = budget;
        let wants = pass.step(&mut rest, self.flights, writing, states, generation);
        self.left -= budget - rest;
        match wants {
            Wants::Time => {}
            Wants::Completion => self.waits = true,
            Wants::Op(op) => {
                let reads = matches!(op, Op::Read { .. });
                let flights = &mut self.flights;
                *(if reads { &mut flights.reads } else { &mut flights.writes }) = true;
                out.submit(Purpose::Compaction(reads, op.path().clone()), op);
            }
            // Jobs know segments by their place.
            Wants::Replace if log.busy => self.waits = true,
            Wants::Replace => {
                self.figures.written_bytes += pass.written_bytes();
                match pass.replace(log) {
                    Some(gone) => {
                        states.forget_aborted(slot, &pass.take_ended());
                        let below = gone.last().map_or(0, |segment| segment.meta.next);
                        effects.push(Effect::Replaced(slot, gone, below));
                    }
                    None => self.give_up(effects),
                }
            }
            Wants::Done(upto, cut_short) => {
                log.cleaned_end = log.cleaned_end.max(upto);
                self.figures.passes += 1;
                self.figures.cut_short += u64::from(cut_short);
                if cut_short {
                    self.due.insert(slot);
                }
                self.give_up(effects);
            }
            Wants::Fail(why) => {
                let damaged = pass.found_damage();
                self.uncleanable(slot, log, why, damaged, effects);
                self.give_up(effects);
            }
        }
    }

    /// A log that could not be compacted has begun anew.
    pub fn cleanable_again(&mut self) {
        self.figures.uncleanable = self.figures.uncleanable.saturating_sub(1);
    }

    fn uncleanable(
        &mut self,
        slot: Slot,
        log: &mut Log,
        why: String,
        damaged: bool,
        effects: &mut Vec<Effect>,
    ) {
        log.uncleanable = true;
        self.figures.uncleanable += 1;
        effects.push(Effect::Uncleanable(slot, why.clone()));
        effects.extend(damaged.then_some(Effect::Damaged(slot, why)));
    }

    /// The pass is over, as soon as nothing of it is under way.
    fn give_up(&mut self, effects: &mut Vec<Effect>) {
        self.ending = true;
        let Some(pass) = self.pass.take_if(|_| !self.flights.any()) else { return };
        let slot = pass.task().slot;
        self.figures.read_bytes += pass.read_bytes();
        (self.failure, self.ending, self.waits) = (None, false, false);
        if let Some(segment) = pass.into_unfinished() {
            effects.push(Effect::GivenUp(slot, Box::new(segment)));
        }
        effects.push(Effect::Released(slot));
    }

    /// Begins with the log that comes first, of those that are due.
    fn begin(&mut self, now_ms: i64, logs: &Logs, states: &mut dyn States) {
        if self.due.is_empty() {
            return;
        }
        let spare = self.budget.left().saturating_sub(self.budget.limit() / 8) / 2;
        let map_bytes = self.map_bytes.min(spare);
        if map_bytes < MAP_BYTES_MIN {
            return;
        }
        let looks: Vec<Slot> = self.due.iter().take(LOOKS).copied().collect();
        let mut best: Option<(Slot, Cleanable)> = None;
        for slot in looks {
            let found = logs.get(slot).and_then(|log| {
                let found = Cleanable::of(log, states.stable(slot), now_ms)?;
                found.is_due(log.config.compaction?).then_some(found)
            });
            match found {
                None => _ = self.due.remove(&slot),
                Some(found) if best.as_ref().is_none_or(|(_, it)| found.precedes(it)) => {
                    best = Some((slot, found));
                }
                Some(_) => {}
            }
        }
        let Some((slot, found)) = best else { return };
        self.due.remove(&slot);
        let log = logs.log(slot);
        let Some(config) = log.config.compaction else { return };
        let task = Task {
            slot,
            log: log.id,
            tp: log.tp,
            sources: log.segments[..found.segments].iter().map(Source::of).collect(),
            first_dirty: found.first_dirty,
            now_ms,
            delete_retention_ms: config.delete_retention_ms,
            segment_bytes: log.config.segment_bytes,
            index_interval_bytes: log.config.index_interval_bytes,
            map_bytes,
            aborted: states.aborted(slot),
        };
        self.pass = Some(Pass::new(task, &self.budget));
    }
}
