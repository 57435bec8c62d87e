//! Moments that tasks of a broker wait for, by its monotonic clock.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// When, ms, and a number that keeps equal moments apart, in the order in which they were asked for.
type Key = (i64, u64);

/// Timers of one broker. A clone is the same timers.
#[derive(Clone, Default)]
pub struct Timers {
    queue: Rc<RefCell<BTreeMap<Key, Waker>>>,
    next: Rc<Cell<u64>>,
    now_ms: Rc<Cell<i64>>,
}

/// A moment that is waited for; dropped, it is not waited for any more.
pub struct Sleep {
    timers: Timers,
    until_ms: i64,
    key: Option<Key>,
}

impl Timers {
    /// Waits until this moment, ms.
    pub fn sleep_until(&self, until_ms: i64) -> Sleep {
        Sleep { timers: self.clone(), until_ms, key: None }
    }

    /// The first moment that somebody waits for.
    pub fn next_deadline(&self) -> Option<i64> {
        self.queue.borrow().first_key_value().map(|(key, _)| key.0)
    }

    /// The time, ms. Wakes who has waited for it.
    pub fn advance(&self, now_ms: i64) {
        self.now_ms.set(now_ms);
        loop {
            let mut queue = self.queue.borrow_mut();
            let Some(first) = queue.first_entry().filter(|it| it.key().0 <= now_ms) else { break };
            let waker = first.remove();
            drop(queue);
            waker.wake();
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.timers.now_ms.get() >= self.until_ms {
            return Poll::Ready(());
        }
        let key = self.key.unwrap_or_else(|| {
            let number = self.timers.next.get();
            self.timers.next.set(number + 1);
            (self.until_ms, number)
        });
        self.key = Some(key);
        self.timers.queue.borrow_mut().insert(key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.timers.queue.borrow_mut().remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn moments_come_in_order_and_dropped_ones_not_at_all() {
        let timers = Timers::default();
        timers.advance(100);
        let (mut early, mut late) = (timers.sleep_until(150), timers.sleep_until(200));
        assert!(block_on(poll_once(timers.sleep_until(100))).is_some());
        assert!(block_on(poll_once(&mut late)).is_none());
        assert!(block_on(poll_once(&mut early)).is_none());
        assert_eq!(timers.next_deadline(), Some(150));
        timers.advance(160);
        assert!(block_on(poll_once(&mut early)).is_some());
        assert_eq!(timers.next_deadline(), Some(200));
        drop(late);
        assert_eq!(timers.next_deadline(), None);
    }
}
