//! The answers of one connection, in the order of its requests. Pure.

use crate::api::Response;
use std::collections::VecDeque;

/// What became of a request.
enum Slot {
    Pending,
    /// Nothing is sent where there is none (`acks=0`).
    Ready(Option<Response>),
}

/// Requests that were read and whose answers have not left yet.
#[derive(Default)]
pub struct Answers {
    /// Number of the first slot.
    first: u64,
    slots: VecDeque<Slot>,
    pending: usize,
}

impl Answers {
    /// A request was read; its number.
    pub fn open(&mut self) -> u64 {
        self.slots.push_back(Slot::Pending);
        self.pending += 1;
        self.first + self.slots.len() as u64 - 1
    }

    /// A request is answered. True if something can leave now that could not before.
    pub fn answer(&mut self, number: u64, response: Option<Response>) -> bool {
        let Some(index) = number.checked_sub(self.first) else { return false };
        let Some(slot) = self.slots.get_mut(index as usize) else { return false };
        if matches!(slot, Slot::Ready(_)) {
            return false;
        }
        *slot = Slot::Ready(response);
        self.pending -= 1;
        index == 0
    }

    /// The next answer that may leave.
    pub fn next(&mut self) -> Option<Response> {
        while matches!(self.slots.front(), Some(Slot::Ready(_))) {
            self.first += 1;
            if let Some(Slot::Ready(Some(response))) = self.slots.pop_front() {
                return Some(response);
            }
        }
        if self.slots.is_empty() && self.slots.capacity() > 8 {
            self.slots = VecDeque::new();
        }
        None
    }

    /// Requests that are not answered.
    pub fn pending(&self) -> usize {
        self.pending
    }

    /// Requests whose answers have not been taken with [`next`](Self::next).
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(text: &'static str) -> Response {
        Response { head: text.into(), rest: Vec::new() }
    }

    fn sent(answers: &mut Answers) -> Vec<bytes::Bytes> {
        std::iter::from_fn(|| answers.next()).map(|it| it.head).collect()
    }

    #[test]
    fn answers_leave_in_the_order_of_requests() {
        let mut answers = Answers::default();
        let numbers: Vec<u64> = (0..4).map(|_| answers.open()).collect();
        assert!(!answers.answer(numbers[1], Some(response("b"))));
        assert!(!answers.answer(numbers[2], None));
        assert!(sent(&mut answers).is_empty());
        assert!(answers.answer(numbers[0], Some(response("a"))));
        assert_eq!(sent(&mut answers), ["a", "b"]);
        assert_eq!((answers.pending(), answers.len()), (1, 1));
        assert!(answers.answer(numbers[3], Some(response("d"))));
        assert!(!answers.answer(numbers[3], Some(response("again"))));
        assert_eq!(sent(&mut answers), ["d"]);
        assert!(answers.is_empty());
        let next = answers.open();
        assert!(answers.answer(next, Some(response("e"))));
        assert!(!answers.answer(numbers[0], Some(response("late"))));
        assert_eq!(sent(&mut answers), ["e"]);
    }
}
