//! Room for the bytes of requests.

use crate::broker::wait::Event;
use std::cell::Cell;
use std::rc::Rc;

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
