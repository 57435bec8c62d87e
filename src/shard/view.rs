//! What runs beside the broker may see of it.

use super::figures::ProcessFigures;
use super::state::Shard;
use crate::broker::{
    Broker, CountGroups, Figures, FindEnds, GroupFigures, OffsetFigures, Phase, ShardFigures,
};
use crate::storage::arena::Arena;
use crate::types::TopicPartition;
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// The running broker, seen from shard 0.
pub struct View(Rc<Shard>);

impl View {
    pub(super) fn new(shard: Rc<Shard>) -> Self {
        Self(shard)
    }

    /// Whether requests are served: not any more while the broker drains.
    pub fn ready(&self) -> bool {
        self.0.phase() == Phase::Serving
    }

    /// Figures of the process.
    pub fn process(&self) -> ProcessFigures {
        let (image, common) = (self.0.look(Broker::image), &self.0.common);
        let budget = common.disk.budget();
        ProcessFigures {
            accepted: common.counters.accepted.load(Ordering::Relaxed),
            panics: common.counters.panics.load(Ordering::Relaxed),
            memory_used: budget.used() as u64,
            memory_limit: budget.limit() as u64,
            arena: budget.arena().map(Arena::figures).unwrap_or_default(),
            topics: image.topics().count() as u64,
            partitions: image.topics().map(|t| t.partitions.len() as u64).sum(),
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

    /// Every group with what it has committed and its lag, by group id. Asks all shards; they pause
    /// for others on the way.
    pub async fn groups(&self) -> Vec<GroupFigures> {
        let shard = &self.0;
        let shards = shard.common.shards;
        let calls: Vec<_> = (0..shards).map(|it| shard.call(it, CountGroups)).collect();
        let mut groups = Vec::new();
        for call in calls {
            if let Some(more) = call.await {
                groups.extend(more);
            }
        }
        groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        let image = shard.look(Broker::image);
        let mut asked: Vec<(Vec<TopicPartition>, Vec<&mut OffsetFigures>)> = Vec::new();
        asked.resize_with(shards, Default::default);
        for it in groups.iter_mut().flat_map(|it| &mut it.offsets) {
            let topic = image.topic_by_id(it.topic_id).or_else(|| image.topic(&it.topic));
            let Some(topic) = topic else { continue };
            let tp = TopicPartition { topic: topic.id, partition: it.partition };
            let (partitions, figures) = &mut asked[tp.shard(shards)];
            partitions.push(tp);
            figures.push(it);
        }
        for (owner, (partitions, figures)) in asked.into_iter().enumerate() {
            let call = shard.call(owner, FindEnds(partitions));
            if let Some(ends) = call.await {
                for (it, end) in figures.into_iter().zip(ends) {
                    it.lag = end.map(|end| (end - it.offset).max(0));
                }
            }
        }
        groups
    }
}
