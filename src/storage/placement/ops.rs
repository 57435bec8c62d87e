//! The operations of one stage of a job.

use crate::storage::device::io::Op;
use crate::storage::device::outgoing::{Outgoing, Purpose};
use std::collections::VecDeque;

/// Operations in flight at once.
const IN_FLIGHT: usize = 64;

/// Operations that may be carried out in any order, a bounded number at once. A stage ends when all
/// of its operations have ended.
#[derive(Debug, Default)]
pub(super) struct Ops {
    waiting: VecDeque<Op>,
    in_flight: usize,
}

impl Ops {
    /// Adds operations.
    pub fn extend(&mut self, ops: impl IntoIterator<Item = Op>) {
        self.waiting.extend(ops);
    }

    /// Submits what may be in flight.
    pub fn submit(&mut self, out: &mut Outgoing) {
        while self.in_flight < IN_FLIGHT
            && let Some(op) = self.waiting.pop_front()
        {
            self.in_flight += 1;
            out.submit(Purpose::Placement(None, op.path().clone()), op);
        }
    }

    /// Takes in that one of them ended.
    pub fn ended(&mut self) {
        self.in_flight -= 1;
    }

    /// Whether all have ended.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.in_flight == 0
    }
}
