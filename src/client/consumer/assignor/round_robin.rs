//! `roundrobin`.

use super::{GroupMember, PartitionCounts, give, nothing};
use crate::client::consumer::subscription::Partitions;
use std::collections::BTreeMap;

/// All partitions of all topics in order, each to the next member that subscribes to its topic.
pub fn assign(members: &[&GroupMember], counts: &PartitionCounts) -> BTreeMap<String, Partitions> {
    let mut all = nothing(members);
    let mut turn = 0;
    for (topic, &count) in counts {
        if !members.iter().any(|m| m.subscription.topics.contains(topic)) {
            continue;
        }
        for partition in 0..count {
            while !members[turn % members.len()].subscription.topics.contains(topic) {
                turn += 1;
            }
            give(&mut all, &members[turn % members.len()].id, topic, [partition]);
            turn += 1;
        }
    }
    all
}
