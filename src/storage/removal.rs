//! Giving up what is not needed any more: pending frames and segments below the log start, dropped
//! logs, and their files when their time has come.

use super::engine::{Engine, Event, Purpose, Slot};
use super::io::{FilePath, Op};
use super::segment::{self, Segment};
use crate::types::TopicPartition;

/// When a file that could not be removed is tried again.
const TRY_AGAIN_MS: i64 = 10_000;

/// Files that go when their time has come.
#[derive(Debug)]
pub(super) struct Removal {
    due_ms: i64,
    files: Vec<FilePath>,
    /// Of which log, by [`Log::id`](super::log::Log::id): another one may have its name by now.
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
    Gone,
}

impl Engine {
    /// Gives up what lies below the log start. Called when that is durable.
    pub(super) fn trim(&mut self, now_ms: i64, slot: Slot, tp: TopicPartition) {
        let Some(log) = self.logs[slot.index()].as_mut().filter(|l| l.tp == tp) else { return };
        let before = log.pending_bytes;
        let gone = log.trim();
        let (freed, start) = (before - log.pending_bytes, log.durable_start);
        let (id, delay) = (log.id, log.config.file_delete_delay_ms);
        self.pending_bytes -= freed as u64;
        if !gone.is_empty() {
            self.cache.forget(slot, start, i64::MAX);
            self.remove_segments(id, tp, gone, Some(now_ms + delay));
        }
    }

    /// Lets go of a dropped log when its entry is durable and no round holds on to it.
    pub(super) fn finish_drop(&mut self, now_ms: i64, slot: Slot) {
        let log = self.log(slot);
        if !log.drop_durable || log.busy {
            return;
        }
        let log = self.logs[slot.index()].take().expect("the slot is open");
        self.free.push(slot.index() as u32);
        self.pending_bytes -= log.pending_bytes as u64;
        self.cache.forget(slot, i64::MAX, i64::MIN);
        self.reads.forget(slot);
        let mut files = files_of(log.tp, &log.segments);
        // What waited for its time goes along. What a checkpoint was to forget first, too: the
        // durable `Drop` says more than a checkpoint.
        for removal in self.removals.iter_mut().filter(|r| r.log == log.id && !r.whole) {
            files.append(&mut removal.files);
            (removal.due_ms, removal.held_for) = (now_ms, 0);
        }
        let due_ms =
            if files.is_empty() { now_ms } else { now_ms + log.config.file_delete_delay_ms };
        self.removals.push(Removal {
            due_ms,
            files,
            log: log.id,
            tp: log.tp,
            whole: true,
            outstanding: 0,
            failed: false,
            sync: false,
            stage: Stage::Waits,
            held_for: 0,
        });
        self.start_removals(now_ms);
    }

    pub(super) fn remove_segments(
        &mut self,
        log: u64,
        tp: TopicPartition,
        segments: Vec<Segment>,
        due_ms: Option<i64>,
    ) {
        if segments.is_empty() {
            return;
        }
        // What a truncation voids goes when a checkpoint that was begun after it is durable.
        let next_round = self.stats.rounds + 1 + u64::from(self.round.is_some());
        self.removals.push(Removal {
            due_ms: due_ms.unwrap_or(0),
            files: files_of(tp, &segments),
            log,
            tp,
            whole: false,
            outstanding: 0,
            failed: false,
            sync: false,
            stage: Stage::Waits,
            held_for: if due_ms.is_some() { 0 } else { next_round },
        });
    }

    pub(super) fn start_removals(&mut self, now_ms: i64) {
        let mut i = 0;
        while i < self.removals.len() {
            if self.may_remove(&self.removals[i], now_ms) {
                self.start_removal(i);
            }
            i += 1;
        }
    }

    fn may_remove(&self, removal: &Removal, now_ms: i64) -> bool {
        // The last of a log goes after everything else of it: then nothing is left.
        let others = |r: &Removal| r.log == removal.log && !r.whole && r.stage != Stage::Gone;
        removal.stage == Stage::Waits
            && removal.held_for <= self.stats.rounds
            && (removal.due_ms <= now_ms || self.shutting_down)
            && !(removal.whole && self.removals.iter().any(others))
    }

    fn start_removal(&mut self, index: usize) {
        let removal = &mut self.removals[index];
        let files = std::mem::take(&mut removal.files);
        removal.outstanding = files.len();
        // Where there are no files there is nothing to sync.
        let nothing = files.is_empty() && !removal.sync;
        removal.stage = if nothing { Stage::SyncsDir } else { Stage::Unlinks };
        if files.is_empty() {
            self.removal_goes_on(index);
        }
        for path in files {
            self.submit(Purpose::Unlink(index, path.clone()), Op::Unlink { path });
        }
    }

    /// Takes in that one of its operations ended. A file that could not be removed is tried again
    /// later; in a stop it is left to the sweep of a start.
    pub(super) fn removal_step(&mut self, now_ms: i64, index: usize, path: FilePath, done: bool) {
        let stopping = self.shutting_down;
        let removal = &mut self.removals[index];
        removal.outstanding -= 1;
        if !done {
            self.stats.failed_removals += 1;
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
            removal.stage = Stage::Waits;
            removal.due_ms = now_ms + TRY_AGAIN_MS;
            removal.sync = true;
            return;
        }
        self.removal_goes_on(index);
    }

    fn removal_goes_on(&mut self, index: usize) {
        let removal = &mut self.removals[index];
        if removal.stage == Stage::Unlinks {
            removal.stage = Stage::SyncsDir;
            removal.outstanding = 1;
            let path = segment::dir_of(removal.tp);
            self.submit(Purpose::Unlink(index, path.clone()), Op::SyncDir { path });
            return;
        }
        removal.stage = Stage::Gone;
        if removal.whole {
            let tp = removal.tp;
            self.events.push(Event::Dropped { tp });
        }
        // Indexes name removals in flight, so finished ones go from the back only.
        while self.removals.last().is_some_and(Removal::is_gone) {
            self.removals.pop();
        }
    }
}

impl Removal {
    /// Its files are gone, durably.
    pub fn is_gone(&self) -> bool {
        self.stage == Stage::Gone
    }
}

/// The index file may be there from before a crash though nothing knows of it.
fn files_of(tp: TopicPartition, segments: &[Segment]) -> Vec<FilePath> {
    segments.iter().flat_map(|s| [s.path(tp), s.index_path(tp)]).collect()
}
