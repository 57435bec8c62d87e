//! The transaction coordinators of one shard, one for each partition of `__transaction_state` that it owns,
//! and who waits for them.

use super::calls::AskTransaction;
use super::coordinating::{Asked, InOrder, Phase};
use super::wait::Condition;
use crate::transaction::{Coordinator, Effect, Memory, Settings};
use crate::types::{BrokerConfigs, TopicPartition};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// A coordinator.
pub struct Placed {
    /// Itself.
    pub core: Coordinator,
    /// The epoch in which its partition is led: that of its markers.
    pub epoch: i32,
    /// Its own number: what one has under way may end when another has taken its place.
    pub made: u64,
    /// How far it is.
    pub phase: Phase,
}

/// See the module.
pub struct TransactionCoordinators {
    /// The coordinators.
    pub all: RefCell<BTreeMap<TopicPartition, Placed>>,
    /// The epoch in which each one's partition is led.
    pub epochs: RefCell<BTreeMap<TopicPartition, i32>>,
    /// Requests that they have taken.
    pub asked: Asked<AskTransaction>,
    /// What they want: the partition, the coordinator's own number.
    pub effects: InOrder<(TopicPartition, u64, Effect)>,
    /// What the timer waits for.
    pub armed_ms: Cell<i64>,
    /// Wakes the timer, for an earlier time.
    pub rearm: Condition,
    /// Bytes of a log that are read at once when it is loaded.
    pub load_bytes: usize,
    /// What transactional ids take.
    pub memory: Memory,
    settings: Settings,
    made: Cell<u64>,
}

impl TransactionCoordinators {
    /// None yet.
    pub fn new(configs: &BrokerConfigs, hash_seed: u64) -> Self {
        let kafkas = Settings::default();
        let number = |name: &str| configs.number(name);
        let load_bytes = number("transaction.state.log.load.buffer.size").unwrap_or(5 << 20);
        Self {
            all: RefCell::default(),
            epochs: RefCell::default(),
            asked: Asked::default(),
            effects: InOrder::default(),
            armed_ms: Cell::new(i64::MAX),
            rearm: Condition::default(),
            load_bytes: usize::try_from(load_bytes).unwrap_or(5 << 20),
            memory: Memory::default(),
            settings: Settings {
                max_timeout_ms: number("transaction.max.timeout.ms")
                    .map_or(kafkas.max_timeout_ms, |it| it as i32),
                expiration_ms: number("transactional.id.expiration.ms")
                    .unwrap_or(kafkas.expiration_ms),
                hash_seed,
                ..kafkas
            },
            made: Cell::new(0),
        }
    }

    /// A coordinator that is to be loaded.
    pub fn make(&self, epoch: i32) -> Placed {
        let made = self.made.get() + 1;
        self.made.set(made);
        let core = self.core();
        Placed { core, epoch, made, phase: Phase::Loading }
    }

    /// The same, from the beginning.
    pub fn core(&self) -> Coordinator {
        Coordinator::new(self.settings.clone(), self.memory.clone())
    }

    /// Forgets all who wait.
    pub fn clear(&self) {
        self.asked.clear();
        self.effects.clear();
        self.all.borrow_mut().clear();
        self.epochs.borrow_mut().clear();
    }

    /// When the time of one of them comes, by the monotonic clock, ms.
    pub fn next_deadline(&self) -> Option<i64> {
        let all = self.all.borrow();
        let serving = all.values().filter(|it| it.phase == Phase::Serving);
        serving.filter_map(|it| it.core.next_deadline()).min()
    }
}
