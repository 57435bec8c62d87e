//! A hash of the topics that a group subscribes to: another one, when they have changed, gives the group another epoch.

use std::collections::VecDeque;

use super::state::ConsumerGroup;
use crate::group::cluster::{ClusterView, TopicView};

/// FNV-1a, 64 bits: the same in all versions.
fn fnv(bytes: impl IntoIterator<Item = u8>, from: u64) -> u64 {
    bytes
        .into_iter()
        .fold(from, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// Each bit changes half of the others (MurmurHash3's last step): the hashes of topics are added up, and what
/// differs by the last byte alone must not cancel out.
const fn mixed(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

/// Of a topic: its name, its id, and how many partitions it has. To be added to those of others.
pub fn topic_hash(topic: TopicView<'_>) -> u64 {
    mixed(unmixed(topic))
}

fn unmixed(topic: TopicView<'_>) -> u64 {
    let hash = fnv(topic.name.bytes(), 0xcbf2_9ce4_8422_2325);
    let hash = fnv(topic.id.0, hash);
    fnv(topic.partitions.to_be_bytes(), hash)
}

/// Of the racks of a partition. Where there are none, it is what it was.
fn rack_hash(partition: i32, racks: &[&str], from: u64) -> u64 {
    if racks.is_empty() {
        return from;
    }
    racks.iter().fold(fnv(partition.to_be_bytes(), from), |hash, rack| {
        fnv(rack.bytes(), fnv((rack.len() as u32).to_be_bytes(), hash))
    })
}

/// A topic whose partitions are looked at for their racks.
#[derive(Debug)]
struct Racks {
    name: String,
    /// The hash so far.
    hash: u64,
    /// The next partition, and how many there are.
    partitions: std::ops::Range<i32>,
}

/// How far the topics that are subscribed to are hashed, as Kafka's `Utils.computeGroupHash` has it: names, ids,
/// partitions, and the racks of each partition's replicas. The hash itself is another.
#[derive(Debug, Default)]
pub struct Hashing {
    sum: u64,
    /// The regular expression whose topics are hashed; `None` for topics that are named.
    pattern: Option<String>,
    /// The last topic.
    last: Option<String>,
    /// All topics have been seen.
    seen: bool,
    /// Topics whose racks are not hashed yet.
    racks: VecDeque<Racks>,
}

impl Hashing {
    /// Goes on for about so many steps, topics or partitions; how many. Fewer are the last. Each topic is shown to `see`
    /// when it is come by.
    pub fn step(
        &mut self,
        group: &ConsumerGroup,
        view: &dyn ClusterView,
        room: usize,
        mut see: impl FnMut(&str),
    ) -> usize {
        let mut steps = 0;
        while steps < room {
            let left = room - steps;
            if let Some(topic) = self.racks.front_mut() {
                for partition in topic.partitions.by_ref().take(left) {
                    let racks = view.racks(&topic.name, partition);
                    topic.hash = rack_hash(partition, &racks, topic.hash);
                    steps += 1;
                }
                if topic.partitions.is_empty() {
                    self.sum = self.sum.wrapping_add(mixed(topic.hash));
                    self.racks.pop_front();
                }
            } else if self.seen {
                break;
            } else {
                let (has_racks, racks, sum) = (view.has_racks(), &mut self.racks, &mut self.sum);
                let taken =
                    group.subscribed_after(&mut self.pattern, &mut self.last, left, |name| {
                        see(name);
                        let Some(topic) = view.topic(name) else { return };
                        let hash = unmixed(topic);
                        if has_racks {
                            let partitions = 0..topic.partitions;
                            racks.push_back(Racks { name: name.to_owned(), hash, partitions });
                        } else {
                            *sum = sum.wrapping_add(mixed(hash));
                        }
                    });
                self.seen = taken < left;
                steps += taken;
            }
        }
        steps
    }

    /// The hash, once all steps were taken.
    pub const fn sum(&self) -> i64 {
        self.sum as i64
    }
}
