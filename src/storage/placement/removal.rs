//! Giving up what is not needed any more: pending frames and segments below the log start, dropped
//! logs, and their files when their time has come.

use crate::storage::device::io::{FilePath, Op};
use crate::storage::device::outgoing::{Outgoing, Purpose};
use crate::storage::engine::Engine;
use crate::storage::format::segment::{self, Segment};
use crate::storage::interface::{Event, Slot};
use crate::storage::log::Log;
use crate::types::TopicPartition;
use std::collections::BTreeMap;

/// When a file that could not be removed is tried again.
const TRY_AGAIN_MS: i64 = 10_000;

/// Files that go when their time has come.
#[derive(Debug)]
struct Removal {
    due_ms: i64,
    files: Vec<FilePath>,
    /// Of which log, by [`Log::id`]: another one may have its name by now.
    log: u64,
    tp: TopicPartition,
    /// With them goes the last that was left of its log.
    whole: bool,
    outstanding: usize,
    /// One of its operations failed in this attempt.
    failed: bool,
    /// Files of an earlier attempt are gone, perhaps not durably.
    sync: bool,
    stage: Stage,
    /// Rounds that must have finished first.
    held_for: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Waits,
    Unlinks,
    /// Without this a power cut could bring files back that nothing knows any more.
    SyncsDir,
}

/// When files may go.
#[derive(Clone, Copy, Debug)]
pub(in crate::storage) enum When {
    /// At this time, ms.
    At(i64),
    /// When so many rounds have finished.
    AfterRounds(u64),
}

/// All removals that are not finished.
#[derive(Debug, Default)]
pub(in crate::storage) struct Removals {
    waiting: BTreeMap<usize, Removal>,
    /// Of each log, by [`Log::id`], those that are not its last.
    partial: BTreeMap<u64, u32>,
    last_number: usize,
    failures: u64,
}

impl Removals {
    /// Whether every file is gone, durably.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Operations that failed so far.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    /// Takes segments of a log whose files are to go.
    pub fn add(&mut self, log: u64, tp: TopicPartition, segments: &[Segment], when: When) {
        if segments.is_empty() {
            return;
        }
        let (due_ms, held_for) = match when {
            When::At(due_ms) => (due_ms, 0),
            When::AfterRounds(rounds) => (0, rounds),
        };
        let files = files_of(tp, segments);
        self.insert(Removal { held_for, ..Removal::new(log, tp, files, due_ms) });
    }

    /// Takes all that is left of a log that was dropped durably.
    pub fn add_whole(&mut self, log: &Log, now_ms: i64) {
        let mut files = files_of(log.tp, &log.segments);
        // What waited for its time goes along. What a checkpoint was to forget first, too: the
        // durable `Drop` says more than a checkpoint.
        if self.partial.contains_key(&log.id) {
            for removal in self.waiting.values_mut().filter(|r| r.log == log.id) {
                files.append(&mut removal.files);
                (removal.due_ms, removal.held_for) = (now_ms, 0);
            }
        }
        let delay = if files.is_empty() { 0 } else { log.config.file_delete_delay_ms };
        let removal = Removal::new(log.id, log.tp, files, now_ms + delay);
        self.insert(Removal { whole: true, ..removal });
    }

    fn insert(&mut self, removal: Removal) {
        self.last_number += 1;
        if !removal.whole {
            *self.partial.entry(removal.log).or_default() += 1;
        }
        self.waiting.insert(self.last_number, removal);
    }

    /// Begins those whose time has come, after `rounds` rounds.
    pub fn start(
        &mut self,
        now_ms: i64,
        rounds: u64,
        stopping: bool,
        out: &mut Outgoing,
        events: &mut Vec<Event>,
    ) {
        let due = |r: &Removal| {
            r.stage == Stage::Waits && r.held_for <= rounds && (r.due_ms <= now_ms || stopping)
        };
        let numbers: Vec<_> =
            self.waiting.iter().filter(|(_, r)| due(r)).map(|(number, _)| *number).collect();
        for number in numbers {
            // The last of a log goes after everything else of it: then nothing is left.
            let removal = &self.waiting[&number];
            if removal.whole && self.partial.contains_key(&removal.log) {
                continue;
            }
            let removal = self.waiting.get_mut(&number).expect("just listed");
            let files = std::mem::take(&mut removal.files);
            removal.outstanding = files.len();
            // Where there are no files there is nothing to sync.
            let nothing = files.is_empty() && !removal.sync;
            removal.stage = if nothing { Stage::SyncsDir } else { Stage::Unlinks };
            if files.is_empty() {
                self.go_on(number, out, events);
            }
            for path in files {
                out.submit(Purpose::Removal(number, path.clone()), Op::Unlink { path });
            }
        }
    }

    /// Takes in that an operation of a removal ended, well or not. A file that could not be removed
    /// is tried again later; in a stop it is left to the sweep of a start.
    pub fn step(
        &mut self,
        now_ms: i64,
        number: usize,
        done: Result<FilePath, FilePath>,
        stopping: bool,
        out: &mut Outgoing,
        events: &mut Vec<Event>,
    ) {
        let removal = self.waiting.get_mut(&number).expect("it waits for this operation");
        removal.outstanding -= 1;
        if let Err(path) = done {
            self.failures += 1;
            removal.failed = true;
            if removal.stage == Stage::Unlinks {
                removal.files.push(path);
            }
        }
        if removal.outstanding > 0 {
            return;
        }
        if removal.failed && !stopping {
            removal.failed = false;
            removal.sync = true;
            removal.stage = Stage::Waits;
            removal.due_ms = now_ms + TRY_AGAIN_MS;
            return;
        }
        self.go_on(number, out, events);
    }

    fn go_on(&mut self, number: usize, out: &mut Outgoing, events: &mut Vec<Event>) {
        let removal = self.waiting.get_mut(&number).expect("it is under way");
        if removal.stage == Stage::Unlinks {
            removal.stage = Stage::SyncsDir;
            removal.outstanding = 1;
            let path = segment::dir_of(removal.tp);
            out.submit(Purpose::Removal(number, path.clone()), Op::SyncDir { path });
            return;
        }
        let removal = self.waiting.remove(&number).expect("it is under way");
        if let Some(left) = self.partial.get_mut(&removal.log).filter(|_| !removal.whole) {
            *left -= 1;
            if *left == 0 {
                self.partial.remove(&removal.log);
            }
        }
        if removal.whole {
            events.push(Event::Dropped { tp: removal.tp });
        }
    }
}

impl Removal {
    fn new(log: u64, tp: TopicPartition, files: Vec<FilePath>, due_ms: i64) -> Self {
        Self {
            due_ms,
            files,
            log,
            tp,
            whole: false,
            outstanding: 0,
            failed: false,
            sync: false,
            stage: Stage::Waits,
            held_for: 0,
        }
    }
}

/// The index file may be there from before a crash though nothing knows of it.
fn files_of(tp: TopicPartition, segments: &[Segment]) -> Vec<FilePath> {
    segments.iter().flat_map(|s| [s.path(tp), s.index_path(tp)]).collect()
}

impl Engine {
    /// Gives up what lies below the log start. Called when that is durable.
    pub(in crate::storage) fn trim(&mut self, now_ms: i64, slot: Slot, tp: TopicPartition) {
        let Some(log) = self.logs.get_mut(slot).filter(|l| l.tp == tp) else { return };
        let before = log.pending_bytes;
        let gone = log.trim();
        let (freed, start) = (before - log.pending_bytes, log.durable_start);
        let (id, due_ms) = (log.id, now_ms + log.config.file_delete_delay_ms);
        self.logs.uncount_pending(freed);
        if !gone.is_empty() {
            self.reads.forget_below(slot, start);
            self.removals.add(id, tp, &gone, When::At(due_ms));
        }
    }

    /// Lets go of a dropped log when its entry is durable and no round holds on to it.
    pub(in crate::storage) fn finish_drop(&mut self, now_ms: i64, slot: Slot) {
        let log = self.logs.log(slot);
        if !log.drop_durable || log.busy {
            return;
        }
        let log = self.logs.remove(slot);
        self.reads.forget(slot);
        self.removals.add_whole(&log, now_ms);
        self.start_removals(now_ms);
    }
}
