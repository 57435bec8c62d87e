//! What runs beside the broker may see of it.

use super::figures::ProcessFigures;
use super::state::Shard;
use crate::broker::{Broker, CountGroups, Figures, GroupFigures, ShardFigures};
use crate::storage::arena::Arena;
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// Topics and partitions that are counted in one go.
const LOOKS_A_PIECE: usize = 5_000;

/// The running broker, seen from shard 0.
pub struct View(Rc<Shard>);

impl View {
    pub(super) fn new(shard: Rc<Shard>) -> Self {
        Self(shard)
    }

    /// Whether clients are to be sent here: see [`Broker::is_ready`].
    pub fn ready(&self) -> bool {
        self.0.look(Broker::is_ready)
    }

    /// Figures of the process. Pauses for others while it counts topics.
    pub async fn process(&self) -> ProcessFigures {
        let (image, common) = (self.0.look(Broker::image), &self.0.common);
        let budget = common.disk.budget();
        let mut partitions = 0;
        let (mut led, mut under_replicated, mut under_min_isr, mut offline) = (0, 0, 0, 0);
        let mut looks = 0;
        for topic in image.topics() {
            looks += 1 + topic.partitions.len();
            partitions += topic.partitions.len() as u64;
            let min = usize::try_from(topic.config.min_insync_replicas).unwrap_or(0);
            for it in &*topic.partitions {
                offline += u64::from(it.leader < 0);
                if it.leader == image.node_id {
                    led += 1;
                    under_replicated += u64::from(it.isr.len() < it.replicas.len());
                    under_min_isr += u64::from(it.isr.len() < it.min_in_sync(min));
                }
            }
            if looks >= LOOKS_A_PIECE {
                looks = 0;
                self.0.a_pause().await;
            }
        }
        ProcessFigures {
            accepted: common.counters.accepted.load(Ordering::Relaxed),
            panics: common.counters.panics.load(Ordering::Relaxed),
            memory_used: budget.used() as u64,
            memory_limit: budget.limit() as u64,
            arena: budget.arena().map(Arena::figures).unwrap_or_default(),
            topics: image.topics().len() as u64,
            partitions,
            led,
            under_replicated,
            under_min_isr,
            offline,
            is_controller: image.controller_id == image.node_id,
        }
    }

    /// Figures of each shard, as of now.
    pub async fn shards(&self) -> Vec<ShardFigures> {
        let calls: Vec<_> =
            (0..self.0.common.shards).map(|shard| self.0.call(shard, Figures)).collect();
        let mut all = Vec::with_capacity(calls.len());
        for call in calls {
            if let Some(figures) = call.await {
                all.push(*figures);
            }
        }
        all
    }

    /// Every group with what it has committed and its lag, in no particular order. Asks all shards;
    /// they pause for others on the way.
    pub async fn groups(&self) -> Vec<GroupFigures> {
        let calls: Vec<_> =
            (0..self.0.common.shards).map(|it| self.0.call(it, CountGroups)).collect();
        let mut groups = Vec::new();
        for call in calls {
            if let Some(mut more) = call.await {
                groups.append(&mut more);
            }
        }
        groups
    }
}
