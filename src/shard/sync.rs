//! Waiting within one shard: no atomics, no locks.

use std::cell::{Cell, RefCell};
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
pub struct Event {
    wakers: RefCell<Vec<Waker>>,
}

impl Event {
    /// Wakes all that wait now.
    pub fn notify(&self) {
        let wakers = std::mem::take(&mut *self.wakers.borrow_mut());
        for waker in wakers {
            waker.wake();
        }
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

/// Bytes of requests that a shard holds at once.
pub struct Room {
    used: Cell<usize>,
    limit: usize,
    freed: Event,
}

impl Room {
    /// Room for `limit` bytes.
    pub fn new(limit: usize) -> Rc<Self> {
        Rc::new(Self { used: Cell::new(0), limit, freed: Event::default() })
    }

    /// Bytes that are taken.
    pub fn used(&self) -> usize {
        self.used.get()
    }

    /// Takes `bytes`, waiting until they fit. What is larger than everything waits until it is
    /// alone: it is let in then, or it would wait for ever.
    pub async fn take(self: &Rc<Self>, bytes: usize) -> Charge {
        self.freed.until(|| admits(self.used.get(), self.limit, bytes)).await;
        self.used.set(self.used.get() + bytes);
        Charge { room: self.clone(), bytes }
    }
}

/// Whether a request of `bytes` may come in while `used` of `limit` bytes are taken.
fn admits(used: usize, limit: usize, bytes: usize) -> bool {
    used == 0 || used.saturating_add(bytes) <= limit
}

/// Bytes taken from a [`Room`] until this is dropped.
pub struct Charge {
    room: Rc<Room>,
    bytes: usize,
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.room.used.set(self.room.used.get() - self.bytes);
        self.room.freed.notify();
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
    fn a_request_waits_until_it_fits() {
        assert!(admits(0, 10, 100) && admits(4, 10, 6) && !admits(4, 10, 7));
        assert!(!admits(1, 10, usize::MAX));
        let room = Room::new(10);
        let first = block_on(room.take(100));
        let mut second = Box::pin(room.take(3));
        assert!(block_on(poll_once(&mut second)).is_none());
        drop(first);
        let second = block_on(second);
        assert_eq!(room.used(), 3);
        drop(second);
        assert_eq!(room.used(), 0);
    }
}
