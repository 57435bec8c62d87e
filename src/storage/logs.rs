//! The open logs of a shard.

use super::direct::DirectRun;
use super::interface::Slot;
use super::log::{Log, Pending};
use crate::types::{Table, TopicPartition};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// Logs by slot and by name. One that was dropped has its slot until nothing needs it any more, but
/// no name.
#[derive(Debug, Default)]
pub(super) struct Logs {
    open: Table<Log>,
    by_tp: BTreeMap<TopicPartition, Slot>,
    free: Vec<u32>,
    /// Logs opened in this life.
    opened: u64,
    pending_bytes: u64,
    /// Every log that has frames pending, runs since the last pass, or space to give back, and perhaps
    /// others: none is searched for among all.
    pending: Vec<Slot>,
}

impl Logs {
    /// Takes a log, whose name no other one has.
    pub fn insert(&mut self, mut log: Log) -> Slot {
        self.opened += 1;
        log.id = self.opened;
        self.pending_bytes += log.pending_bytes as u64;
        let tp = log.tp;
        let slot = Slot::from_index(self.free.pop().unwrap_or(self.open.len() as u32));
        self.open.insert(slot.index(), log);
        let before = self.by_tp.insert(tp, slot);
        assert!(before.is_none(), "a log is opened once");
        self.keep_pending(slot);
        slot
    }

    /// Takes a dropped log's name away: it may be given to another one at once.
    pub fn forget_name(&mut self, tp: TopicPartition) {
        self.by_tp.remove(&tp);
    }

    /// Lets go of a dropped log.
    pub fn remove(&mut self, slot: Slot) -> Log {
        let log = self.open.take(slot.index()).expect("the slot is open");
        self.free.push(slot.index() as u32);
        self.pending_bytes -= log.pending_bytes as u64;
        if log.listed && self.pending.len() > 2 * self.open.len() {
            let open = &self.open;
            self.pending.retain(|slot| open.get(slot.index()).is_some());
        }
        log
    }

    /// The log of a slot, if it is open.
    pub fn get(&self, slot: Slot) -> Option<&Log> {
        self.open.get(slot.index())
    }

    /// The log of a slot, if it is open.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut Log> {
        self.open.get_mut(slot.index())
    }

    /// The log of an open slot.
    pub fn log(&self, slot: Slot) -> &Log {
        self.get(slot).expect("the slot is open")
    }

    /// The log of an open slot.
    pub fn log_mut(&mut self, slot: Slot) -> &mut Log {
        self.get_mut(slot).expect("the slot is open")
    }

    /// The log of a partition, unless it was dropped.
    pub fn find(&self, tp: TopicPartition) -> Option<Slot> {
        self.by_tp.get(&tp).copied()
    }

    /// Every log that has a name, by name.
    pub fn named(&self) -> impl Iterator<Item = (Slot, TopicPartition)> + '_ {
        self.by_tp.iter().map(|(tp, slot)| (*slot, *tp))
    }

    /// Those of them behind this one.
    pub fn named_after(
        &self,
        last: Option<TopicPartition>,
    ) -> impl Iterator<Item = (Slot, TopicPartition)> + '_ {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        self.by_tp.range((from, Bound::Unbounded)).map(|(tp, slot)| (*slot, *tp))
    }

    /// How many logs have a name.
    pub fn count(&self) -> usize {
        self.by_tp.len()
    }

    /// Slots that are or were in use: all below this one.
    pub fn slots(&self) -> u32 {
        self.open.len() as u32
    }

    /// Logs that may have frames pending.
    pub fn pending(&self) -> &[Slot] {
        &self.pending
    }

    /// Takes the list of logs that may have frames pending. Each is to be handed to
    /// [`Logs::looked_at`]; then it is listed again when something is appended to it.
    pub fn take_pending(&mut self) -> VecDeque<Slot> {
        std::mem::take(&mut self.pending).into()
    }

    /// A log of [`Logs::take_pending`] is being looked at.
    pub fn looked_at(&mut self, slot: Slot) {
        if let Some(log) = self.get_mut(slot) {
            log.listed = false;
        }
    }

    /// A log whose frames may stay pending is listed again, and one that has space which it will give
    /// back when it is idle.
    pub fn keep_pending(&mut self, slot: Slot) {
        let log = self.log(slot);
        if !log.pending.is_empty() || log.has_unfinished(true) {
            self.list(slot);
        }
    }

    /// Lists a log for the next pass.
    pub fn list(&mut self, slot: Slot) {
        let log = self.log_mut(slot);
        if !log.listed {
            log.listed = true;
            self.pending.push(slot);
        }
    }

    /// Adds a frame to the pending ones of its log.
    #[inline]
    pub fn push_pending(&mut self, slot: Slot, frame: Pending) {
        let len = frame.frame.len();
        self.pending_bytes += len as u64;
        let log = self.log_mut(slot);
        log.pending_bytes += len;
        log.pending.push_back(frame);
        if !log.listed {
            log.listed = true;
            self.pending.push(slot);
        }
    }

    /// Takes the next run of a log that is durable in its segment, after all before it: the segment
    /// grows by it, and frames that were pending are not any more.
    pub fn take_run(&mut self, slot: Slot) -> Option<DirectRun> {
        let log = self.log_mut(slot);
        let run = log.direct.pop_written()?;
        log.pending.drain(..run.covers);
        log.pending_bytes -= run.covers_bytes;
        log.placed_end = run.run.next;
        log.placed_checksum = run.chain;
        let segment = log.segments.iter_mut().rfind(|s| s.meta.generation == run.run.generation);
        segment.expect("segments with runs in flight stay").grow(&run.grown);
        self.pending_bytes -= run.covers_bytes as u64;
        // Its index is to be written now and then.
        self.list(slot);
        Some(run)
    }

    /// Bytes of frames in no segment yet, all logs together.
    pub fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    /// So many bytes less are pending in some log.
    pub fn uncount_pending(&mut self, bytes: usize) {
        self.pending_bytes -= bytes as u64;
    }

    /// Asserts what must always hold.
    pub fn invariants(&self) {
        let logs = || self.open.values();
        logs().for_each(Log::invariants);
        let pending: usize = logs().map(|log| log.pending_bytes).sum();
        assert_eq!(pending as u64, self.pending_bytes);
    }
}
