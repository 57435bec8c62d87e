//! `range`.

use super::{GroupMember, PartitionCounts, give, nothing};
use crate::client::consumer::subscription::Partitions;
use std::collections::BTreeMap;

/// Topic by topic: the members that subscribe to it, in order, get runs of its partitions, the first
/// ones one more where it does not come out even.
pub fn assign(members: &[&GroupMember], counts: &PartitionCounts) -> BTreeMap<String, Partitions> {
    let mut all = nothing(members);
    for (topic, &count) in counts {
        let readers: Vec<_> =
            members.iter().filter(|m| m.subscription.topics.contains(topic)).collect();
        if readers.is_empty() || count <= 0 {
            continue;
        }
        let each = count / readers.len() as i32;
        let more = count % readers.len() as i32;
        let mut next = 0;
        for (i, member) in readers.iter().enumerate() {
            let len = each + i32::from((i as i32) < more);
            if len > 0 {
                give(&mut all, &member.id, topic, next..next + len);
            }
            next += len;
        }
    }
    all
}
