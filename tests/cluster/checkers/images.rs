//! Images of the metadata of one index are the same at every node. In all of them an epoch of a partition has one leader,
//! epochs never fall, whoever leads is in sync, and whoever is in sync or eligible is a replica.

use klamm::controller::{Image, Partition};
use klamm::types::TopicId;
use std::collections::BTreeMap;

type Shown = Vec<(TopicId, std::sync::Arc<[Partition]>)>;

/// See the module.
#[derive(Default)]
pub struct Images {
    /// By index: what was shown.
    shown: BTreeMap<u64, Shown>,
    /// By partition and leader epoch: who leads.
    leaders: BTreeMap<(TopicId, usize, i32), i32>,
}

impl Images {
    /// Who leads a partition, and in which epoch, as the newest image of any node has it.
    pub fn leader(&self, topic: TopicId, partition: i32) -> Option<(i32, i32)> {
        let (_, shown) = self.shown.last_key_value()?;
        let (_, partitions) = shown.iter().find(|it| it.0 == topic)?;
        partitions.get(partition as usize).map(|it| (it.leader, it.leader_epoch))
    }

    /// A node has applied this.
    pub fn look(&mut self, image: &Image) {
        let shown: Shown = image.topics().map(|it| (it.id, it.partitions.clone())).collect();
        if let Some(known) = self.shown.get(&image.index) {
            assert_eq!(*known, shown, "two images of index {}", image.index);
            return;
        }
        let before = self.shown.range(..image.index).next_back().map(|it| it.1);
        for (topic, partitions) in &shown {
            let of_topic = |it: &&(TopicId, std::sync::Arc<[Partition]>)| it.0 == *topic;
            let before = before.and_then(|it| it.iter().find(of_topic)).map(|it| &it.1);
            for (number, it) in partitions.iter().enumerate() {
                let mut trusted = it.isr.iter().chain(&*it.elr);
                assert!(trusted.all(|id| it.replicas.contains(id)), "{number}: {it:?}");
                assert!(it.leader == -1 || it.isr.contains(&it.leader), "{number}: {it:?}");
                if let Some(before) = before.and_then(|it| it.get(number)) {
                    assert!(it.leader_epoch >= before.leader_epoch, "{before:?} {it:?}");
                    assert!(it.partition_epoch >= before.partition_epoch, "{before:?} {it:?}");
                }
                let key = (*topic, number, it.leader_epoch);
                let led = *self.leaders.entry(key).or_insert(it.leader);
                assert_eq!(led, it.leader, "two leaders in one epoch: {number}: {it:?}");
            }
        }
        self.shown.insert(image.index, shown);
    }
}
