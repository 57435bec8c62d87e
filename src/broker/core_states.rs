//! The states of partitions, as storage wants them.

use super::part::Part;
use crate::replica::{AbortedTransaction, ProducerMemory};
use crate::storage::engine::{AbortedSpan, Slot, States};
use crate::types::Table;

/// The cores of partitions, for a checkpoint.
pub(super) struct Cores<'a> {
    /// The partitions.
    pub parts: &'a mut Table<Part>,
    /// What their producers are charged to.
    pub memory: &'a mut ProducerMemory,
    /// Bytes of their states.
    pub taken: usize,
}

impl States for Cores<'_> {
    fn begin(&mut self, slot: Slot, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        // A log whose topic has gone has no partition.
        let part = self.parts.get_mut(slot.index());
        let is_last = part.is_none_or(|part| part.core.begin_snapshot(out));
        self.taken += out.len() - before;
        is_last
    }

    fn go_on(&mut self, slot: Slot, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        let part = self.parts.get_mut(slot.index()).expect("it goes with its log");
        let is_last = part.core.go_on_with_snapshot(out);
        self.taken += out.len() - before;
        is_last
    }

    fn stable(&mut self, slot: Slot) -> i64 {
        self.parts.get(slot.index()).map_or(0, |part| part.core.last_stable())
    }

    fn is_last_of_producer(&mut self, slot: Slot, producer_id: i64, last_offset: i64) -> bool {
        let part = self.parts.get(slot.index());
        part.is_some_and(|part| part.core.producers().last_offset(producer_id) == Some(last_offset))
    }

    fn is_known_by_marker(&mut self, slot: Slot, producer_id: i64, epoch: i16) -> bool {
        let part = self.parts.get(slot.index());
        part.is_some_and(|part| part.core.producers().is_known_by_marker(producer_id, epoch))
    }

    fn aborted(&mut self, slot: Slot) -> Vec<AbortedSpan> {
        let all = self.parts.get(slot.index()).map(|it| it.core.aborted_in(0, i64::MAX));
        let span = |it: AbortedTransaction| {
            let AbortedTransaction { producer_id, first, last, .. } = it;
            AbortedSpan { producer_id, first, last }
        };
        all.into_iter().flatten().map(span).collect()
    }

    fn forget_aborted(&mut self, slot: Slot, gone: &[(i64, i64)]) {
        if let Some(part) = self.parts.get_mut(slot.index()).filter(|_| !gone.is_empty()) {
            let before = part.core.producers().charged_bytes();
            part.core.forget_aborted(gone);
            self.memory.change(before, part.core.producers().charged_bytes());
        }
    }
}
