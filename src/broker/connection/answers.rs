//! The requests of one connection that have begun, and their answers, in the order of the requests.
//!
//! # Order
//!
//! Kafka's protocol promises that requests of one connection take effect one after the other. A client
//! that sends Produce and ListOffsets together is told the end behind what it produced. Only
//! Produce requests in a row overlap here: each partition takes its batches in the order in which they come,
//! and nobody can tell the rest apart, since answers leave in order. Everything else begins alone, and so
//! does a Produce whose batches are still being checked: its appends are not in order yet.

use super::room::Charge;
use crate::broker::api::Response;
use crate::metrics::Stages;
use crate::wire::api_keys::ApiKey;
use std::collections::VecDeque;

/// A request that has begun.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// What it asks for.
    pub api: ApiKey,
    /// When the kernel handed over the last of it, in ticks of the shard's clock.
    pub received: u64,
}

/// How long an answer took so far.
#[derive(Clone, Copy, Debug)]
pub struct Traced {
    /// Of every stage up to the last but one.
    pub stages: Stages,
    /// Since when it waits to be sent, in ticks of the shard's clock.
    pub queued: u64,
}

/// An answer that may leave.
#[derive(Debug)]
pub(super) struct Answer {
    pub asked: Asked,
    pub response: Response,
    /// Where its time went, if that was watched.
    pub traced: Option<Traced>,
}

enum State {
    /// Under way.
    Begun(Asked),
    /// Under way, and nothing will be sent (`acks=0`).
    Silent(Asked),
    /// Nothing is sent where there is none.
    Done(Option<Answer>),
}

struct Slot {
    state: State,
    /// Under way, and nothing begins beside it.
    alone: bool,
    charge: Charge,
}

/// See the module.
#[derive(Default)]
pub(super) struct Answers {
    /// Number of the first slot.
    first: u64,
    slots: VecDeque<Slot>,
    /// Requests under way, `others` of them alone, `silent` of them without an answer.
    unfinished: usize,
    others: usize,
    silent: usize,
    /// Bytes of answers that wait for one before them.
    waiting: usize,
    /// What the requests hold of the room.
    held: usize,
}

impl Answers {
    /// Whether a request of this API may begin beside those that are under way.
    pub fn allow(&self, api: ApiKey) -> bool {
        if api == ApiKey::PRODUCE { self.others == 0 } else { self.unfinished == 0 }
    }

    /// A request begins; its number.
    pub fn begin(&mut self, asked: Asked, charge: Charge) -> u64 {
        debug_assert!(self.allow(asked.api), "a request that may not begin yet");
        let alone = asked.api != ApiKey::PRODUCE;
        self.slots.push_back(Slot { state: State::Begun(asked), alone, charge });
        self.unfinished += 1;
        self.others += usize::from(alone);
        self.held += charge.bytes;
        self.first + self.slots.len() as u64 - 1
    }

    fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        let index = number.checked_sub(self.first)?;
        self.slots.get_mut(usize::try_from(index).ok()?)
    }

    /// Whether something may begin beside a Produce that is under way.
    pub fn set_alone(&mut self, number: u64, alone: bool) {
        let Some(slot) = self.slot(number) else { return };
        if matches!(slot.state, State::Done(_)) {
            return;
        }
        let before = std::mem::replace(&mut slot.alone, alone);
        self.others = self.others + usize::from(alone) - usize::from(before);
    }

    /// The request will get no answer, and does not count as in flight.
    pub fn silence(&mut self, number: u64) {
        let Some(slot) = self.slot(number) else { return };
        if let State::Begun(asked) = slot.state {
            slot.state = State::Silent(asked);
            self.silent += 1;
        }
    }

    /// The request needs its bytes no more: what they were charged.
    pub fn release(&mut self, number: u64) -> Charge {
        let Some(slot) = self.slot(number) else { return Charge::NONE };
        let charge = std::mem::replace(&mut slot.charge, Charge::NONE);
        self.held -= charge.bytes;
        charge
    }

    /// The request has taken effect, and this is its answer.
    pub fn answer(&mut self, number: u64, response: Option<Response>, traced: Option<Traced>) {
        let Some(slot) = self.slot(number) else { return };
        let (asked, silent) = match slot.state {
            State::Begun(asked) => (asked, false),
            State::Silent(asked) => (asked, true),
            State::Done(_) => return,
        };
        let alone = std::mem::replace(&mut slot.alone, false);
        let bytes = response.as_ref().map_or(0, Response::len);
        slot.state = State::Done(response.map(|response| Answer { asked, response, traced }));
        self.unfinished -= 1;
        self.others -= usize::from(alone);
        self.silent -= usize::from(silent);
        self.waiting += bytes;
    }

    /// The next answer that may leave.
    pub fn next(&mut self) -> Option<Answer> {
        while let Some(Slot { state: State::Done(_), .. }) = self.slots.front() {
            self.first += 1;
            let slot = self.slots.pop_front()?;
            debug_assert_eq!(slot.charge.bytes, 0, "given back when it was answered");
            if let State::Done(Some(answer)) = slot.state {
                self.waiting -= answer.response.len();
                return Some(answer);
            }
        }
        if self.slots.is_empty() && self.slots.capacity() > 8 {
            self.slots = VecDeque::new();
        }
        None
    }

    /// Requests that are not answered.
    pub fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// Requests whose answers were not taken with [`next`](Self::next), without silent ones.
    pub fn in_flight(&self) -> usize {
        self.slots.len() - self.silent
    }

    /// Whether there are no requests at all.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Bytes of answers that wait for one before them.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// Bytes of the room that the requests hold.
    pub fn held(&self) -> usize {
        self.held
    }

    /// The connection is closed: answers go nowhere. What requests hold stays known.
    pub fn abandon(&mut self) {
        for slot in &mut self.slots {
            if let State::Done(answer) = &mut slot.state {
                *answer = None;
            }
        }
        self.waiting = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::room::Lane;
    use super::*;
    use crate::wire::Tally;

    fn response(text: &'static str) -> Response {
        Response::of(text.into(), Vec::new(), Tally::default())
    }

    fn begin(answers: &mut Answers, api: ApiKey) -> u64 {
        answers.begin(Asked { api, received: 0 }, Charge::NONE)
    }

    fn sent(answers: &mut Answers) -> Vec<bytes::Bytes> {
        std::iter::from_fn(|| answers.next()).map(|it| it.response.head).collect()
    }

    #[test]
    fn answers_leave_in_the_order_of_requests() {
        let mut answers = Answers::default();
        let numbers: Vec<u64> = (0..4).map(|_| begin(&mut answers, ApiKey::PRODUCE)).collect();
        answers.answer(numbers[1], Some(response("b")), None);
        answers.answer(numbers[2], None, None);
        assert!(sent(&mut answers).is_empty());
        assert_eq!(answers.waiting(), 1);
        answers.answer(numbers[0], Some(response("a")), None);
        assert_eq!(sent(&mut answers), ["a", "b"]);
        assert_eq!((answers.unfinished(), answers.in_flight(), answers.waiting()), (1, 1, 0));
        answers.answer(numbers[3], Some(response("d")), None);
        answers.answer(numbers[3], Some(response("again")), None);
        assert_eq!(sent(&mut answers), ["d"]);
        assert!(answers.is_empty());
        let next = begin(&mut answers, ApiKey::PRODUCE);
        answers.answer(next, Some(response("e")), None);
        answers.answer(numbers[0], Some(response("late")), None);
        assert_eq!(sent(&mut answers), ["e"]);
    }

    #[test]
    fn only_a_run_of_produce_overlaps() {
        let mut answers = Answers::default();
        let (produce, other) = (ApiKey::PRODUCE, ApiKey::LIST_OFFSETS);
        assert!(answers.allow(produce) && answers.allow(other));
        let first = begin(&mut answers, produce);
        let second = begin(&mut answers, produce);
        assert!(answers.allow(produce) && !answers.allow(other));
        answers.answer(second, Some(response("b")), None);
        assert!(!answers.allow(other), "the first one has not taken effect");
        answers.answer(first, Some(response("a")), None);
        assert!(answers.allow(other), "that the answers have not left makes no difference");
        let alone = begin(&mut answers, other);
        assert!(!answers.allow(produce) && !answers.allow(other));
        answers.answer(alone, Some(response("c")), None);
        assert!(answers.allow(produce));
    }

    #[test]
    fn nothing_overtakes_a_produce_that_is_being_checked() {
        let mut answers = Answers::default();
        let (produce, other) = (ApiKey::PRODUCE, ApiKey::LIST_OFFSETS);
        let first = begin(&mut answers, produce);
        let second = begin(&mut answers, produce);
        answers.set_alone(second, true);
        assert!(!answers.allow(produce) && !answers.allow(other));
        answers.answer(first, Some(response("a")), None);
        assert!(!answers.allow(produce));
        answers.set_alone(second, false);
        assert!(answers.allow(produce) && !answers.allow(other));
        // One that is refused while it is being checked.
        answers.set_alone(second, true);
        answers.answer(second, None, None);
        answers.set_alone(second, false);
        assert!(answers.allow(produce) && answers.allow(other));
    }

    #[test]
    fn what_gets_no_answer_is_not_in_flight_and_holds_up_the_next_all_the_same() {
        let mut answers = Answers::default();
        let first = begin(&mut answers, ApiKey::PRODUCE);
        answers.silence(first);
        assert_eq!((answers.in_flight(), answers.unfinished()), (0, 1));
        assert!(!answers.allow(ApiKey::FETCH));
        answers.answer(first, None, None);
        assert!(answers.allow(ApiKey::FETCH));
        assert!(answers.next().is_none() && answers.is_empty());
    }

    #[test]
    fn bytes_are_given_back_once() {
        let mut answers = Answers::default();
        let charge = Charge { lane: Lane::Large, bytes: 7 };
        let number = answers.begin(Asked { api: ApiKey::FETCH, received: 0 }, charge);
        assert_eq!(answers.held(), 7);
        assert_eq!(answers.release(number), charge);
        assert_eq!((answers.release(number), answers.held()), (Charge::NONE, 0));
        assert_eq!(answers.release(99), Charge::NONE);
    }
}
