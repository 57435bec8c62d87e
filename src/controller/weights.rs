//! How much each shard of each broker has to do, by the partitions that the metadata place there.

use super::partition::Partition;
use crate::types::{TopicId, TopicPartition};
use imbl::OrdMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// For each broker that is registered, a weight for each of its shards: one for each replica, and one more where that is
/// the preferred leader.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Weights(OrdMap<i32, Arc<[u32]>>);

/// What a replica weighs, by its place among the replicas of its partition.
fn weight(place: usize) -> u32 {
    1 + u32::from(place == 0)
}

impl Weights {
    /// The weights of a broker's shards.
    pub fn of(&self, broker: i32) -> &[u32] {
        self.0.get(&broker).map_or(&[], |it| it)
    }

    /// A broker has so many shards now, at least one; what `topics` have of it is counted anew where that is another
    /// number than before.
    pub fn register<'a>(
        &mut self,
        broker: i32,
        shards: u16,
        topics: impl Iterator<Item = (TopicId, &'a [Partition])>,
    ) {
        let shards = usize::from(shards.max(1));
        if self.of(broker).len() == shards {
            return;
        }
        self.0.insert(broker, vec![0; shards].into());
        for (id, partitions) in topics {
            let of_broker = |it: &i32| *it == broker;
            self.change(id, partitions.iter().enumerate(), of_broker, u32::saturating_add);
        }
    }

    /// A broker is not registered any more.
    pub fn unregister(&mut self, broker: i32) {
        self.0.remove(&broker);
    }

    /// Partitions of a topic come, by number.
    pub fn add<'a>(
        &mut self,
        id: TopicId,
        partitions: impl Iterator<Item = (usize, &'a Partition)>,
    ) {
        self.change(id, partitions, |_| true, u32::saturating_add);
    }

    /// Partitions of a topic go, by number.
    pub fn take<'a>(
        &mut self,
        id: TopicId,
        partitions: impl Iterator<Item = (usize, &'a Partition)>,
    ) {
        self.change(id, partitions, |_| true, u32::saturating_sub);
    }

    fn change<'a>(
        &mut self,
        id: TopicId,
        partitions: impl Iterator<Item = (usize, &'a Partition)>,
        of: impl Fn(&i32) -> bool,
        apply: fn(u32, u32) -> u32,
    ) {
        let mut changed: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
        for (number, it) in partitions {
            let tp = TopicPartition { topic: id, partition: number as i32 };
            for (place, broker) in it.replicas.iter().enumerate().filter(|it| of(it.1)) {
                let shards = changed.entry(*broker).or_insert_with(|| self.of(*broker).to_vec());
                let at = tp.shard(shards.len());
                if let Some(shard) = shards.get_mut(at) {
                    *shard = apply(*shard, weight(place));
                }
            }
        }
        for (broker, shards) in changed {
            if !shards.is_empty() {
                self.0.insert(broker, shards.into());
            }
        }
    }
}

/// The same, for what is being decided and is not in the image yet.
pub(super) struct Planned(BTreeMap<i32, Vec<u32>>);

impl Planned {
    pub fn new<'a>(brokers: impl Iterator<Item = (i32, &'a [u32])>) -> Self {
        Self(brokers.map(|(id, shards)| (id, shards.to_vec())).collect())
    }

    /// The weight of the shard that would have this partition.
    pub fn of(&self, broker: i32, tp: TopicPartition) -> u32 {
        let shards = self.0.get(&broker);
        shards.and_then(|it| it.get(tp.shard(it.len()))).copied().unwrap_or(0)
    }

    /// These hold this partition from now on, the first of them as its preferred leader.
    pub fn add(&mut self, tp: TopicPartition, replicas: &[i32]) {
        for (place, broker) in replicas.iter().enumerate() {
            self.add_one(tp, *broker, weight(place));
        }
    }

    /// These hold it, too.
    pub fn add_followers(&mut self, tp: TopicPartition, replicas: &[i32]) {
        for broker in replicas {
            self.add_one(tp, *broker, weight(1));
        }
    }

    fn add_one(&mut self, tp: TopicPartition, broker: i32, weight: u32) {
        let Some(shards) = self.0.get_mut(&broker) else { return };
        let at = tp.shard(shards.len());
        if let Some(shard) = shards.get_mut(at) {
            *shard += weight;
        }
    }
}
