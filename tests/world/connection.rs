//! The broker's side of one connection: which request may begin, and which answer may leave.
//!
//! What cannot be told apart may overlap, a run of Produce requests; everything else begins when all
//! before it on the connection is answered.

use bytes::Bytes;
use std::collections::VecDeque;

enum Slot {
    Pending { produce: bool },
    Ready(Option<Vec<u8>>),
}

/// See the module.
pub struct Connection {
    /// Whose it is.
    pub client: usize,
    waiting: VecDeque<Bytes>,
    begun: VecDeque<Slot>,
    /// Number of the first of `begun`.
    first: u64,
    answers: VecDeque<Vec<u8>>,
    /// The client has left.
    pub left: bool,
    /// The broker has noticed.
    pub told: bool,
}

fn is_produce(frame: &Bytes) -> bool {
    frame.starts_with(&[0, 0])
}

impl Connection {
    pub fn new(client: usize) -> Self {
        Self {
            client,
            waiting: VecDeque::new(),
            begun: VecDeque::new(),
            first: 0,
            answers: VecDeque::new(),
            left: false,
            told: false,
        }
    }

    /// Frames have arrived, without their lengths.
    pub fn arrived(&mut self, frames: impl IntoIterator<Item = Bytes>) {
        self.waiting.extend(frames);
    }

    /// Whether the next request may begin.
    pub fn can_begin(&self) -> bool {
        let Some(next) = self.waiting.front() else { return false };
        let holds_up = |slot: &Slot| match slot {
            Slot::Pending { produce } => !(*produce && is_produce(next)),
            Slot::Ready(_) => false,
        };
        !self.begun.iter().any(holds_up)
    }

    /// The request that begins, with its number.
    pub fn begin(&mut self) -> Option<(u64, Bytes)> {
        let frame = self.waiting.pop_front()?;
        self.begun.push_back(Slot::Pending { produce: is_produce(&frame) });
        Some((self.first + self.begun.len() as u64 - 1, frame))
    }

    /// A request is answered; none sends nothing.
    pub fn answer(&mut self, number: u64, answer: Option<Vec<u8>>) {
        let slot = number.checked_sub(self.first).and_then(|at| self.begun.get_mut(at as usize));
        let slot = slot.unwrap_or_else(|| panic!("request {number} was answered before"));
        assert!(matches!(slot, Slot::Pending { .. }), "request {number} is answered twice");
        *slot = Slot::Ready(answer);
        while let Some(Slot::Ready(_)) = self.begun.front() {
            self.first += 1;
            if let Some(Slot::Ready(Some(answer))) = self.begun.pop_front() {
                self.answers.push_back(answer);
            }
        }
    }

    /// Whether an answer may leave.
    pub fn has_answer(&self) -> bool {
        !self.answers.is_empty()
    }

    /// The next answer, with its length before it.
    pub fn take_answer(&mut self) -> Option<Vec<u8>> {
        self.answers.pop_front()
    }

    /// Nothing of it goes on any more.
    pub fn is_over(&self) -> bool {
        let pending = |slot: &Slot| matches!(slot, Slot::Pending { .. });
        self.told && self.waiting.is_empty() && !self.begun.iter().any(pending)
    }

    /// Nothing more is read.
    pub fn drop_waiting(&mut self) {
        self.waiting.clear();
    }
}
