//! Batches that were compressed anew for their topics, until the journal has taken them.
//!
//! A request's own bytes are charged to the room of connections. These are not part of it, and may have many times
//! as many bytes: a topic may want what came compressed without compression. So they are charged to the memory budget,
//! and a shard has so many bytes of them at most, and one batch more. When there are as many, a request hands what
//! it has made to the owners before it makes another one, and waits until some are written. Who waits has handed over
//! all that it has made, so what is there is written without it, and goes.

use super::charges::Charge;
use super::wait::Condition;
use crate::storage::buffer::Budget;
use bytes::Bytes;
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// See the module.
pub struct Recompressed {
    budget: Arc<Budget>,
    held: Arc<AtomicUsize>,
    limit: usize,
    is_waited: Cell<bool>,
    changed: Condition,
}

/// A batch that is charged until its last slice goes, wherever that is.
struct Held {
    batch: Vec<u8>,
    budget: Arc<Budget>,
    all: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.batch
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let bytes = self.batch.capacity();
        self.budget.release(bytes);
        self.all.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Recompressed {
    /// At most `limit` bytes, and a batch, charged to `budget`.
    pub fn new(budget: &Arc<Budget>, limit: usize) -> Self {
        Self {
            budget: budget.clone(),
            held: Arc::default(),
            limit,
            is_waited: Cell::new(false),
            changed: Condition::default(),
        }
    }

    /// Takes care of a batch.
    pub fn keep(&self, batch: Vec<u8>) -> Bytes {
        let bytes = batch.capacity();
        self.budget.charge(bytes);
        self.held.fetch_add(bytes, Ordering::Relaxed);
        let (budget, all) = (self.budget.clone(), self.held.clone());
        Bytes::from_owner(Held { batch, budget, all })
    }

    /// Bytes that there may be more.
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.held.load(Ordering::Relaxed))
    }

    /// Whether no other batch may be made now.
    pub fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// Waits until it is not [full](Self::is_full).
    pub async fn until_there_is_room(&self) {
        self.changed
            .until(|| {
                let full = self.is_full();
                self.is_waited.set(self.is_waited.get() || full);
                !full
            })
            .await;
    }

    /// Appends have ended, so that there may be room.
    pub fn look(&self) {
        if self.is_waited.get() && !self.is_full() {
            self.is_waited.set(false);
            self.changed.notify();
        }
    }

    /// The memory of a batch in the making.
    pub fn making(&self) -> Charge {
        Charge::new(&self.budget, usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn who_waits_goes_on_when_the_last_slice_is_gone() {
        let budget = Budget::new(1 << 20);
        let batches = Recompressed::new(&budget, 100);
        let first = batches.keep(vec![7; 60]);
        assert_eq!((batches.room(), budget.used()), (40, 60));
        let second = batches.keep(vec![8; 60]);
        assert!(batches.is_full());
        let mut waits = Box::pin(batches.until_there_is_room());
        assert!(block_on(poll_once(&mut waits)).is_none());
        let slice = first.slice(2..5);
        drop(first);
        batches.look();
        assert!(block_on(poll_once(&mut waits)).is_none());
        std::thread::spawn(move || drop(slice)).join().unwrap();
        batches.look();
        assert!(block_on(poll_once(&mut waits)).is_some());
        assert_eq!((&second[..2], batches.room(), budget.used()), (&[8, 8][..], 40, 60));
    }
}
