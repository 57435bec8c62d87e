//! Waiting within one broker: no atomics, no locks.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

enum State<T> {
    Empty(Option<Waker>),
    Full(T),
    /// The sender is gone, or the value was taken.
    Closed,
}

/// The end of a [`oneshot`] that gives the value.
pub struct Sender<T>(Rc<RefCell<State<T>>>);

/// The end of a [`oneshot`] that waits: `None` where the sender went without a word.
pub struct Receiver<T>(Rc<RefCell<State<T>>>);

/// One value from one task to another.
pub fn oneshot<T>() -> (Sender<T>, Receiver<T>) {
    let state = Rc::new(RefCell::new(State::Empty(None)));
    (Sender(state.clone()), Receiver(state))
}

impl<T> Sender<T> {
    /// Gives the value.
    pub fn send(self, value: T) {
        self.set(State::Full(value));
    }

    fn set(&self, next: State<T>) {
        let before = std::mem::replace(&mut *self.0.borrow_mut(), next);
        if let State::Empty(Some(waker)) = before {
            waker.wake();
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if matches!(*self.0.borrow(), State::Empty(_)) {
            self.set(State::Closed);
        }
    }
}

impl<T> Future for Receiver<T> {
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = self.0.borrow_mut();
        if let State::Empty(waker) = &mut *state {
            *waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        match std::mem::replace(&mut *state, State::Closed) {
            State::Full(value) => Poll::Ready(Some(value)),
            _ => Poll::Ready(None),
        }
    }
}

/// Wakes those that wait for a condition, which they check themselves.
#[derive(Default)]
pub struct Condition {
    wakers: RefCell<Vec<Waker>>,
}

impl Condition {
    /// Wakes all that wait now.
    pub fn notify(&self) {
        let wakers = std::mem::take(&mut *self.wakers.borrow_mut());
        for waker in wakers {
            waker.wake();
        }
    }

    /// Waits for the next [`notify`](Self::notify); or for less, where the task is woken by something else.
    pub async fn until_notified(&self) {
        let mut is_later = false;
        self.until(|| std::mem::replace(&mut is_later, true)).await;
    }

    /// Waits until `holds`; it is checked at once and after each [`notify`](Self::notify).
    pub async fn until(&self, mut holds: impl FnMut() -> bool) {
        poll_fn(|cx| {
            if holds() {
                return Poll::Ready(());
            }
            // One task often asks again; that it is among the last is enough to keep the list short.
            let mut wakers = self.wakers.borrow_mut();
            if !wakers.iter().rev().take(4).any(|it| it.will_wake(cx.waker())) {
                wakers.push(cx.waker().clone());
            }
            drop(wakers);
            Poll::Pending
        })
        .await;
    }
}

/// Lets in one at a time, in the order in which they came.
#[derive(Default)]
pub struct Gate {
    taken: Cell<bool>,
    waiting: RefCell<VecDeque<Sender<()>>>,
}

/// Whoever holds it is the one that was let in.
pub struct Pass<'a>(&'a Gate);

impl Gate {
    /// Waits for its turn.
    pub async fn enter(&self) -> Pass<'_> {
        if self.taken.replace(true) {
            let (turn, comes) = oneshot();
            self.waiting.borrow_mut().push_back(turn);
            comes.await;
        }
        Pass(self)
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let next = self.0.waiting.borrow_mut().pop_front();
        match next {
            Some(next) => next.send(()),
            None => self.0.taken.set(false),
        }
    }
}

/// A condition that comes true once and stays so.
#[derive(Default)]
pub struct Flag {
    set: Cell<bool>,
    event: Condition,
}

impl Flag {
    /// It is true from now on.
    pub fn raise(&self) {
        self.set.set(true);
        self.event.notify();
    }

    /// Not any more: for a flag that is waited for again and again.
    pub fn lower(&self) {
        self.set.set(false);
    }

    /// Whether it is true.
    pub fn is_raised(&self) -> bool {
        self.set.get()
    }

    /// Waits until it is.
    pub async fn raised(&self) {
        self.event.until(|| self.set.get()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn a_value_crosses_once() {
        let (tx, mut rx) = oneshot();
        assert!(block_on(poll_once(&mut rx)).is_none());
        tx.send(5);
        assert_eq!(block_on(&mut rx), Some(5));
        let (tx, rx) = oneshot::<u8>();
        drop(tx);
        assert_eq!(block_on(rx), None);
    }

    #[test]
    fn a_gate_lets_in_one_at_a_time_in_order() {
        let gate = Gate::default();
        let first = block_on(gate.enter());
        let (mut second, mut third) = (Box::pin(gate.enter()), Box::pin(gate.enter()));
        assert!(block_on(poll_once(&mut second)).is_none());
        assert!(block_on(poll_once(&mut third)).is_none());
        drop(first);
        assert!(block_on(poll_once(&mut third)).is_none());
        let pass = block_on(poll_once(&mut second)).expect("its turn");
        assert!(block_on(poll_once(&mut third)).is_none());
        drop(pass);
        drop(block_on(poll_once(&mut third)).expect("its turn"));
        assert!(block_on(poll_once(Box::pin(gate.enter()))).is_some());
    }

    #[test]
    fn a_flag_wakes_who_waits_for_it() {
        let flag = Flag::default();
        let mut waits = Box::pin(flag.raised());
        assert!(block_on(poll_once(&mut waits)).is_none());
        flag.raise();
        block_on(waits);
        assert!(flag.is_raised());
        flag.lower();
        assert!(block_on(poll_once(Box::pin(flag.raised()))).is_none());
    }
}
