//! What the coordinators of a shard have in common: how far each is, who waits for them, and what they want.

use super::calls::Call;
use super::reply_to::ReplyTo;
use crate::types::{ErrorCode, TopicPartition};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};

/// How far a coordinator is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Its log is read.
    Loading,
    /// It answers.
    Serving,
    /// Its log cannot be read.
    Broken,
}

impl Phase {
    /// The error of requests, unless it answers.
    pub fn refusal(self) -> Option<ErrorCode> {
        match self {
            Self::Loading => Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
            Self::Serving => None,
            Self::Broken => Some(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        }
    }
}

/// Requests that coordinators have taken, by ticket: the coordinator's partition, and who asks.
pub struct Asked<C: Call> {
    waiting: RefCell<HashMap<u64, (TopicPartition, ReplyTo<C>)>>,
    next: Cell<u64>,
}

impl<C: Call> Default for Asked<C> {
    fn default() -> Self {
        Self { waiting: RefCell::default(), next: Cell::new(1) }
    }
}

impl<C: Call> Asked<C> {
    /// One more; its ticket.
    pub fn take(&self, tp: TopicPartition, to: ReplyTo<C>) -> u64 {
        let ticket = self.next.get();
        self.next.set(ticket + 1);
        self.waiting.borrow_mut().insert(ticket, (tp, to));
        ticket
    }

    /// Answers one, unless it was answered already.
    pub fn answer(&self, ticket: u64, reply: C::Reply) {
        let waiting = self.waiting.borrow_mut().remove(&ticket);
        if let Some((_, to)) = waiting {
            to.reply(reply);
        }
    }

    /// Answers those of a coordinator that is no more, in their order.
    pub fn refuse(&self, tp: TopicPartition, reply: impl Fn() -> C::Reply) {
        let mut waiting = self.waiting.borrow_mut();
        let mut refused: Vec<_> = waiting.extract_if(|_, it| it.0 == tp).collect();
        drop(waiting);
        refused.sort_unstable_by_key(|(ticket, _)| *ticket);
        for (_, (_, to)) in refused {
            to.reply(reply());
        }
    }

    /// Forgets them all, which tells those who ask that they were given up.
    pub fn clear(&self) {
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        drop(waiting);
    }
}

/// What coordinators want, carried out in order: what that leads to at once comes after it.
pub struct InOrder<T> {
    queue: RefCell<VecDeque<T>>,
    /// The queue is being carried out.
    acting: Cell<bool>,
}

impl<T> Default for InOrder<T> {
    fn default() -> Self {
        Self { queue: RefCell::default(), acting: Cell::new(false) }
    }
}

impl<T> InOrder<T> {
    /// Carries out these, and what comes meanwhile; false where they are left to who is carrying out others.
    pub fn carry_out(&self, wanted: impl IntoIterator<Item = T>, mut each: impl FnMut(T)) -> bool {
        self.queue.borrow_mut().extend(wanted);
        if self.acting.replace(true) {
            return false;
        }
        loop {
            let next = self.queue.borrow_mut().pop_front();
            let Some(next) = next else { break };
            each(next);
        }
        self.acting.set(false);
        true
    }

    /// Forgets what was not carried out.
    pub fn clear(&self) {
        self.queue.borrow_mut().clear();
    }
}
