//! Which shards own what a request names.

use super::calls::ShardId;
use crate::types::TopicPartition;

/// Groups requests by the shard that owns their partition.
pub fn by_owner<T>(
    items: Vec<T>,
    shards: usize,
    tp: impl Fn(&T) -> TopicPartition,
) -> Vec<(ShardId, Vec<T>)> {
    if shards == 1 {
        return if items.is_empty() { Vec::new() } else { vec![(0, items)] };
    }
    let mut groups = ByOwner::new(shards, items.len());
    for item in items {
        groups.push(tp(&item), item);
    }
    groups.groups
}

/// Requests by the shard that owns their partition, each owner's in their order.
pub struct ByOwner<T> {
    /// Owners that are asked for something.
    pub groups: Vec<(ShardId, Vec<T>)>,
    shards: usize,
    /// How many the first of an owner makes room for: vectors that grow are copied.
    room: usize,
}

impl<T> ByOwner<T> {
    /// For so many items in all.
    pub fn new(shards: usize, count: usize) -> Self {
        // A little more than an even share.
        Self { groups: Vec::new(), shards, room: count / shards + count / 16 }
    }

    /// Adds one that is about this partition.
    pub fn push(&mut self, tp: TopicPartition, item: T) {
        let owner = if self.shards == 1 { 0 } else { tp.shard(self.shards) };
        if let Some((_, group)) = self.groups.iter_mut().find(|(it, _)| *it == owner) {
            return group.push(item);
        }
        let mut group = Vec::with_capacity(self.room);
        group.push(item);
        self.groups.push((owner, group));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TopicId;

    #[test]
    fn groups_keep_the_order_of_each_owner() {
        let tp = |partition| TopicPartition { topic: TopicId([3; 16]), partition };
        let items: Vec<i32> = (0..10).collect();
        let groups = by_owner(items, 3, |i| tp(*i));
        assert_eq!(groups.iter().map(|(_, group)| group.len()).sum::<usize>(), 10);
        for (owner, group) in &groups {
            assert!(group.is_sorted() && group.iter().all(|i| tp(*i).shard(3) == *owner));
        }
        assert_eq!(by_owner(vec![1, 2], 1, |i| tp(*i)), [(0, vec![1, 2])]);
        assert!(by_owner(Vec::<i32>::new(), 1, |i| tp(*i)).is_empty());
    }
}
