//! The open logs of a shard.

use super::interface::Slot;
use super::log::Log;
use crate::types::TopicPartition;
use std::collections::BTreeMap;

/// Logs by slot and by name. One that was dropped has its slot until nothing needs it any more, but
/// no name.
#[derive(Debug, Default)]
pub(super) struct Logs {
    open: Vec<Option<Log>>,
    by_tp: BTreeMap<TopicPartition, Slot>,
    free: Vec<u32>,
    /// Logs opened in this run.
    opened: u64,
    pending_bytes: u64,
}

impl Logs {
    /// Takes a log, whose name no other one has.
    pub fn insert(&mut self, mut log: Log) -> Slot {
        self.opened += 1;
        log.id = self.opened;
        self.pending_bytes += log.pending_bytes as u64;
        let tp = log.tp;
        let slot = if let Some(index) = self.free.pop() {
            self.open[index as usize] = Some(log);
            Slot::from_index(index)
        } else {
            self.open.push(Some(log));
            Slot::from_index(self.open.len() as u32 - 1)
        };
        let before = self.by_tp.insert(tp, slot);
        assert!(before.is_none(), "a log is opened once");
        slot
    }

    /// Takes a dropped log's name away: it may be given to another one at once.
    pub fn forget_name(&mut self, tp: TopicPartition) {
        self.by_tp.remove(&tp);
    }

    /// Lets go of a dropped log.
    pub fn remove(&mut self, slot: Slot) -> Log {
        let log = self.open[slot.index()].take().expect("the slot is open");
        self.free.push(slot.index() as u32);
        self.pending_bytes -= log.pending_bytes as u64;
        log
    }

    /// The log of a slot, if it is open.
    pub fn get(&self, slot: Slot) -> Option<&Log> {
        self.open.get(slot.index())?.as_ref()
    }

    /// The log of a slot, if it is open.
    pub fn get_mut(&mut self, slot: Slot) -> Option<&mut Log> {
        self.open.get_mut(slot.index())?.as_mut()
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

    /// How many logs have a name.
    pub fn count(&self) -> usize {
        self.by_tp.len()
    }

    /// Every log, dropped ones included, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (Slot, &Log)> {
        let slots = self.open.iter().enumerate();
        slots.filter_map(|(i, log)| Some((Slot::from_index(i as u32), log.as_ref()?)))
    }

    /// Slots that are or were in use.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        (0..self.open.len() as u32).map(Slot::from_index)
    }

    /// Bytes of frames in no segment yet, all logs together.
    pub fn pending_bytes(&self) -> u64 {
        self.pending_bytes
    }

    /// So many bytes more are pending in some log.
    pub fn count_pending(&mut self, bytes: usize) {
        self.pending_bytes += bytes as u64;
    }

    /// So many bytes less are pending in some log.
    pub fn uncount_pending(&mut self, bytes: usize) {
        self.pending_bytes -= bytes as u64;
    }

    /// Asserts what must always hold.
    pub fn invariants(&self) {
        let logs = || self.open.iter().flatten();
        logs().for_each(Log::invariants);
        let pending: usize = logs().map(|log| log.pending_bytes).sum();
        assert_eq!(pending as u64, self.pending_bytes);
    }
}
