//! What becomes of batches that waited for what their transaction's coordinator says.

use super::api::data::Appended;
use super::held_appends::{HeldAppend, Verification, verification};
use super::logs::{Logs, Outbox, Task};
use crate::types::{ErrorCode, Now};

impl Logs {
    /// The coordinator has answered: what waited is appended, or refused.
    pub fn verified(&mut self, asked: &Verification, error: ErrorCode, now: Now, out: &mut Outbox) {
        let Verification { tp, producer, .. } = asked;
        let mut queue = self.held.take(*tp, producer.id);
        while let Some(held) = queue.pop_front() {
            let index = held.append.index;
            let Some(slot) = self.find(*tp) else {
                let gone = Appended::failed(index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
                self.answer_held(&held, gone, out);
                continue;
            };
            let core = &self.part(slot).core;
            let is_open = core.is_in_transaction(producer.id, held.append.header.producer_epoch);
            let is_meant = held.append.header.producer_epoch == producer.epoch;
            if is_meant && error.is_err() {
                self.answer_held(&held, Appended::failed(index, error), out);
                continue;
            }
            let is_fresh = asked.markers == core.markers_of(producer.id);
            if !(is_open || is_meant && is_fresh) {
                // It is asked once more: a marker came, or this is of another epoch.
                let again = verification(core, &held.append);
                queue.push_front(held);
                self.held.put_back(*tp, producer.id, queue);
                out.verifications.extend(again);
                return;
            }
            let HeldAppend { append, key, at, committed_by_ms } = held;
            let (result, waits) =
                self.append_verified(append, slot, (key, at), committed_by_ms, now);
            self.answer_at((key, at), result, waits, out);
        }
    }

    /// A batch that was held is not appended.
    pub(super) fn answer_held(&mut self, held: &HeldAppend, result: Appended, out: &mut Outbox) {
        self.answer_at((held.key, held.at), result, 0, out);
    }

    /// How it went with a batch that was held, and for how many things more its request waits.
    fn answer_at(
        &mut self,
        (key, at): (usize, usize),
        result: Appended,
        waits: usize,
        out: &mut Outbox,
    ) {
        if let Some(Task::Append { left, results, .. }) = self.tasks.get_mut(key)
            && let Some(place) = results.get_mut(at)
        {
            *left += waits;
            *place = result;
        }
        self.appended(key, out);
    }
}
