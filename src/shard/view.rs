//! What runs beside the broker may see of it.

use super::figures::{ProcessFigures, ShardFigures};
use super::state::{Phase, Shard};
use std::rc::Rc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// The running broker, seen from shard 0. Figures of the other shards are up to a second old.
pub struct View(Rc<Shard>);

impl View {
    pub(super) fn new(shard: Rc<Shard>) -> Self {
        Self(shard)
    }

    /// Whether requests are served: not any more while the broker drains.
    pub fn ready(&self) -> bool {
        self.0.phase.get() == Phase::Serving
    }

    /// Figures of the process.
    pub fn process(&self) -> ProcessFigures {
        let (image, common) = (self.0.image(), &self.0.common);
        let budget = common.disk.budget();
        ProcessFigures {
            accepted: common.counters.accepted.load(Ordering::Relaxed),
            panics: common.counters.panics.load(Ordering::Relaxed),
            memory_used: budget.used() as u64,
            memory_limit: budget.limit() as u64,
            topics: image.topics().count() as u64,
            partitions: image.topics().map(|t| t.partitions.len() as u64).sum(),
        }
    }

    /// Figures of each shard.
    pub fn shards(&self) -> Vec<ShardFigures> {
        self.0.publish_figures();
        let each = self.0.common.figures.iter();
        each.map(|it| *it.lock().unwrap_or_else(PoisonError::into_inner)).collect()
    }
}
