//! The job that writes a checkpoint.
//!
//! The logs are captured a few at a time, and a log's state in pieces where it is large, so that no
//! step is long; each of them with the LSN up to which what was done to it is included. What is said
//! of a log is all of the moment at which its capture began. Then the job waits until everything handed in before is
//! durable in the journal, and so are the frames that were copied forward: a checkpoint must not know
//! of a producer's batch that the journal could lose. It is written beside the old one, synced, and
//! renamed over it; its directory is synced. Only then is the journal that it covers free.

use super::around::{Around, Effect};
use super::ops::Ops;
use crate::storage::device::io::Op;
use crate::storage::format::checkpoint::{self, Encoder, Head, LogRecord};
use crate::storage::interface::{Slot, States};
use crate::storage::log::Log;

/// A step of the capture ends when so many bytes were captured.
const BYTES: usize = 64 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckpointStage {
    Capture,
    Journal,
    Create,
    Write,
    Sync,
    Rename,
    SyncDir,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Checkpointing {
    stage: CheckpointStage,
    ops: Ops,
    /// The journal up to this block is covered.
    target: u64,
    /// LSN before which everything done to a log that has no record is included.
    applied_lsn: u64,
    /// The last item that was staged before the last capture.
    ticket: u64,
    next_slot: u32,
    /// The log whose state is captured in part, and its own number.
    open: Option<(Slot, u64)>,
    records: Option<Encoder>,
}

impl Checkpointing {
    /// A checkpoint that covers the journal up to block `target`.
    pub fn new(target: u64, around: &Around<'_>) -> Self {
        Self {
            stage: CheckpointStage::Capture,
            ops: Ops::default(),
            target,
            applied_lsn: around.journal.last_tickets().1,
            ticket: 0,
            next_slot: 0,
            open: None,
            records: Some(Encoder::new(&around.options.budget)),
        }
    }

    /// Whether logs are still to be captured.
    pub fn captures(&self) -> bool {
        self.stage == CheckpointStage::Capture
    }

    /// Whether it cannot go on before blocks are written.
    pub fn waits_for_journal(&self) -> bool {
        self.stage == CheckpointStage::Journal
    }

    /// Captures some logs, or a part of one.
    pub fn capture(&mut self, around: &Around<'_>, states: &mut dyn States) {
        let (staged, applied_lsn) = around.journal.last_tickets();
        self.ticket = staged;
        let records = self.records.as_mut().expect("it is not written before all are captured");
        let until = records.len() + BYTES;
        let mut state = Vec::new();
        for _ in 0..around.options.logs_a_step {
            state.clear();
            let there = |slot| around.logs.get(slot).filter(|log| !log.dropped);
            if let Some((slot, id)) = self.open.take() {
                if there(slot).is_none_or(|log| log.id != id) {
                    // Nobody has the rest of its state. It is as with a log that is dropped before its
                    // turn comes: replay finds the drop, and whatever came in its place, in the journal.
                    records.give_up();
                    continue;
                }
                let is_last = states.go_on(slot, &mut state);
                records.state(&state);
                if is_last {
                    records.end();
                } else {
                    self.open = Some((slot, id));
                }
            } else if self.next_slot == around.logs.slots() {
                self.stage = CheckpointStage::Journal;
                return;
            } else {
                let slot = Slot::from_index(self.next_slot);
                self.next_slot += 1;
                let Some(log) = there(slot) else { continue };
                let is_last = states.begin(slot, &mut state);
                if log.is_untouched() && state.is_empty() {
                    continue;
                }
                records.begin(&record_of(log, applied_lsn, std::mem::take(&mut state)));
                if is_last {
                    records.end();
                } else {
                    self.open = Some((slot, log.id));
                }
            }
            if records.len() >= until {
                return;
            }
        }
    }

    /// Takes in that one of its operations ended.
    pub fn ended(&mut self) {
        self.ops.ended();
    }

    /// Goes on as far as it can; whether it is done.
    pub fn advance(&mut self, around: &mut Around<'_>) -> bool {
        let journal = around.options.journal;
        let path = checkpoint::path_of(journal.life, journal.shard);
        let temporary = checkpoint::temporary_path_of(journal.life, journal.shard);
        loop {
            self.ops.submit(around.out);
            if !self.ops.is_done() {
                return false;
            }
            let (next, op) = match self.stage {
                CheckpointStage::Capture => return false,
                CheckpointStage::Journal if !around.journal.journaled(self.ticket) => return false,
                CheckpointStage::Journal => {
                    (CheckpointStage::Create, Op::Create { path: temporary.clone() })
                }
                CheckpointStage::Create => {
                    let (durable_through, journal_files) = around.journal.proof();
                    let head = Head {
                        applied_lsn: self.applied_lsn,
                        replay_from: around.journal.replay_from_after(self.target),
                        durable_through,
                        journal_files,
                    };
                    let records = self.records.take().expect("it is written once");
                    for (pos, data) in records.finish(head, journal.directory_id) {
                        around.written.checkpoint_bytes += data.len() as u64;
                        self.ops.extend([Op::Write { path: temporary.clone(), pos, data }]);
                    }
                    self.stage = CheckpointStage::Write;
                    continue;
                }
                CheckpointStage::Write => {
                    (CheckpointStage::Sync, Op::Sync { path: temporary.clone() })
                }
                CheckpointStage::Sync => {
                    let (from, to) = (temporary.clone(), path.clone());
                    (CheckpointStage::Rename, Op::Rename { from, to })
                }
                CheckpointStage::Rename => {
                    (CheckpointStage::SyncDir, Op::SyncDir { path: checkpoint::DIR.into() })
                }
                CheckpointStage::SyncDir => {
                    around.written.checkpoints += 1;
                    around.effects.push(Effect::Covered(self.target));
                    return true;
                }
            };
            self.stage = next;
            self.ops.extend([op]);
        }
    }
}

fn record_of(log: &Log, applied_lsn: u64, state: Vec<u8>) -> LogRecord {
    LogRecord {
        tp: log.tp,
        applied_lsn,
        start: log.start,
        state_end: log.end,
        placed_end: log.placed_end,
        cleaned_end: log.cleaned_end,
        placed_checksum: log.placed_checksum,
        segments: log.segments.iter().map(checkpoint::describe).collect(),
        state,
    }
}
