//! The share-partitions that a shard leads.

use crate::broker::wait::{Condition, Gate};
use crate::share::SharePartition;
use crate::types::{ErrorCode, TopicPartition};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// One share group's way through a partition that is led here.
pub struct PlacedShare {
    /// The group.
    pub group: Arc<str>,
    /// The partition.
    pub tp: TopicPartition,
    /// The epoch in which it is led.
    pub leader_epoch: i32,
    /// What is in flight; `None` before it is loaded.
    pub core: RefCell<Option<SharePartition>>,
    /// The epoch of what was loaded.
    pub state_epoch: Cell<i32>,
    /// It is no more, since another leads, or what is kept could not be written: whoever asks next gets one that is loaded
    /// anew.
    pub ended: Cell<Option<ErrorCode>>,
    /// Wakes who waits for it to be loaded, to be written, or to end.
    pub changed: Condition,
    /// So many [`changes`](SharePartition::changes) are kept.
    pub written: Cell<u64>,
    /// A write is under way.
    pub writing: Cell<bool>,
    /// A timer runs for its locks.
    pub timing: Cell<bool>,
    /// One reads for it at a time: what two would read would be the same.
    pub reads: Gate,
    /// Share sessions that read it.
    pub holders: RefCell<BTreeSet<Arc<str>>>,
    /// Fetches of this shard that wait for records to become available again.
    pub waiters: RefCell<BTreeSet<u64>>,
}

impl PlacedShare {
    /// One that is to be loaded.
    pub fn new(group: Arc<str>, tp: TopicPartition, leader_epoch: i32) -> Self {
        Self {
            group,
            tp,
            leader_epoch,
            core: RefCell::default(),
            state_epoch: Cell::new(0),
            ended: Cell::new(None),
            changed: Condition::default(),
            written: Cell::new(0),
            writing: Cell::new(false),
            timing: Cell::new(false),
            reads: Gate::default(),
            holders: RefCell::default(),
            waiters: RefCell::default(),
        }
    }

    /// Does something with what is in flight; nothing where it is not loaded, or has ended.
    pub fn with<T>(&self, f: impl FnOnce(&mut SharePartition) -> T) -> Option<T> {
        if self.ended.get().is_some() {
            return None;
        }
        self.core.borrow_mut().as_mut().map(f)
    }

    /// Whether it is loaded and all of it is kept.
    pub fn is_kept(&self) -> bool {
        self.with(|core| core.changes()).is_none_or(|it| self.written.get() >= it)
    }
}

/// The partition, and the group.
type PlaceKey = (TopicPartition, Arc<str>);

/// All of a shard.
#[derive(Default)]
pub struct PlacedShares {
    all: RefCell<BTreeMap<PlaceKey, Rc<PlacedShare>>>,
    /// How often one was loaded.
    pub loads: Cell<u64>,
}

impl PlacedShares {
    /// That of a group and a partition.
    pub fn get(&self, group: &Arc<str>, tp: TopicPartition) -> Option<Rc<PlacedShare>> {
        self.all.borrow().get(&(tp, group.clone())).cloned()
    }

    /// Enters one, in the place of any other.
    pub fn insert(&self, placed: Rc<PlacedShare>) {
        let key = (placed.tp, placed.group.clone());
        self.all.borrow_mut().insert(key, placed);
    }

    /// Takes one out, unless another is in its place.
    pub fn remove(&self, placed: &Rc<PlacedShare>) {
        let key = (placed.tp, placed.group.clone());
        let mut all = self.all.borrow_mut();
        if all.get(&key).is_some_and(|it| Rc::ptr_eq(it, placed)) {
            all.remove(&key);
        }
    }

    /// Those of a partition.
    pub fn of(&self, tp: TopicPartition) -> Vec<Rc<PlacedShare>> {
        let all = self.all.borrow();
        let from = (tp, Arc::from(""));
        all.range(from..).take_while(|(it, _)| it.0 == tp).map(|(_, it)| it.clone()).collect()
    }

    /// Partitions that some group reads.
    pub fn partitions(&self) -> BTreeSet<TopicPartition> {
        self.all.borrow().keys().map(|it| it.0).collect()
    }

    /// Memory that they take, bytes.
    pub fn bytes(&self) -> usize {
        let of = |it: &Rc<PlacedShare>| {
            let runs = it.core.borrow().as_ref().map_or(0, SharePartition::runs);
            512 + 96 * runs + 64 * it.holders.borrow().len()
        };
        self.all.borrow().values().map(of).sum()
    }

    /// Forgets all.
    pub fn clear(&self) {
        let all = std::mem::take(&mut *self.all.borrow_mut());
        drop(all);
    }
}
