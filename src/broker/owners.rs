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
    let mut groups: Vec<(ShardId, Vec<T>)> = Vec::new();
    for item in items {
        let owner = tp(&item).shard(shards);
        match groups.iter_mut().find(|(it, _)| *it == owner) {
            Some((_, group)) => group.push(item),
            None => groups.push((owner, vec![item])),
        }
    }
    groups
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
