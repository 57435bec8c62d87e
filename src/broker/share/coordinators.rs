//! The share coordinators of one shard, one for each partition of `__share_group_state` that it owns, and who waits for
//! them.

use crate::broker::calls::AskShareState;
use crate::broker::coordinating::{Asked, InOrder, Phase};
use crate::share::{Coordinator, Effect, Settings};
use crate::types::{BrokerConfigs, TopicPartition};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

/// A coordinator.
pub struct PlacedCoordinator {
    /// Itself.
    pub core: Coordinator,
    /// Its own number: what one has under way may end when another has taken its place.
    pub made: u64,
    /// How far it is.
    pub phase: Phase,
    /// Where its log ended when it was looked for states that are not written.
    pub looked_at: i64,
}

/// See the module.
pub struct ShareCoordinators {
    /// The coordinators.
    pub all: RefCell<BTreeMap<TopicPartition, PlacedCoordinator>>,
    /// The epoch in which each one's partition is led.
    pub epochs: RefCell<BTreeMap<TopicPartition, i32>>,
    /// Requests that they have taken.
    pub asked: Asked<AskShareState>,
    /// What they want: the partition, the coordinator's own number.
    pub effects: InOrder<(TopicPartition, u64, Effect)>,
    /// Bytes of a log that are read at once when it is loaded.
    pub load_bytes: usize,
    /// Records that nobody needs are deleted so often, ms.
    pub prune_ms: i64,
    /// States that are not written are written once more so often, ms.
    pub cold_ms: i64,
    settings: Settings,
    made: Cell<u64>,
}

impl ShareCoordinators {
    /// None yet.
    pub fn new(configs: &BrokerConfigs) -> Self {
        let number = |name: &str, default: i64| configs.number(name).unwrap_or(default);
        let load_bytes = number("share.coordinator.load.buffer.size", 5 << 20);
        let kafkas = Settings::default();
        let updates = number(
            "share.coordinator.snapshot.update.records.per.snapshot",
            kafkas.updates_per_snapshot.into(),
        );
        Self {
            all: RefCell::default(),
            epochs: RefCell::default(),
            asked: Asked::default(),
            effects: InOrder::default(),
            load_bytes: usize::try_from(load_bytes).unwrap_or(5 << 20),
            prune_ms: number("share.coordinator.state.topic.prune.interval.ms", 300_000),
            cold_ms: number("share.coordinator.cold.partition.snapshot.interval.ms", 300_000),
            settings: Settings {
                updates_per_snapshot: u32::try_from(updates).unwrap_or(kafkas.updates_per_snapshot),
            },
            made: Cell::new(0),
        }
    }

    /// A coordinator that is to be loaded.
    pub fn make(&self) -> PlacedCoordinator {
        let made = self.made.get() + 1;
        self.made.set(made);
        PlacedCoordinator { core: self.core(), made, phase: Phase::Loading, looked_at: 0 }
    }

    /// The same, from the beginning.
    pub fn core(&self) -> Coordinator {
        Coordinator::new(self.settings)
    }

    /// Forgets all who wait.
    pub fn clear(&self) {
        self.asked.clear();
        self.effects.clear();
        self.all.borrow_mut().clear();
        self.epochs.borrow_mut().clear();
    }

    /// Memory that they take, bytes.
    pub fn bytes(&self) -> usize {
        self.all.borrow().values().map(|it| it.core.bytes()).sum()
    }
}
