//! Sets of partitions, by topic.

use crate::group::assignor::Assignment;
use crate::group::entry::ENTRY;
use crate::types::TopicId;

/// Numbers of partitions by topic: ascending, none twice; no topic without any.
pub type Partitions = Assignment;

/// The set of these, in any order.
pub fn collect(topics: impl IntoIterator<Item = (TopicId, Vec<i32>)>) -> Partitions {
    let mut set = Partitions::new();
    for (topic, numbers) in topics {
        set.entry(topic).or_default().extend(numbers);
    }
    set.retain(|_, numbers| {
        numbers.sort_unstable();
        numbers.dedup();
        !numbers.is_empty()
    });
    set
}

/// Whether one partition is in the set.
pub fn contains(set: &Partitions, topic: TopicId, partition: i32) -> bool {
    set.get(&topic).is_some_and(|it| it.binary_search(&partition).is_ok())
}

/// Whether all of `part` are in `whole`.
pub fn is_subset(part: &Partitions, whole: &Partitions) -> bool {
    part.iter().all(|(topic, numbers)| numbers.iter().all(|it| contains(whole, *topic, *it)))
}

/// Whether the sets have one in common.
pub fn meet(one: &Partitions, other: &Partitions) -> bool {
    one.iter().any(|(topic, numbers)| numbers.iter().any(|it| contains(other, *topic, *it)))
}

/// How many.
pub fn count(set: &Partitions) -> usize {
    set.values().map(Vec::len).sum()
}

/// Memory that the set takes, bytes.
pub fn bytes(set: &Partitions) -> usize {
    set.values().map(|it| ENTRY + size_of::<(TopicId, Vec<i32>)>() + 4 * it.len()).sum()
}

/// Each partition.
pub fn iter(set: &Partitions) -> impl Iterator<Item = (TopicId, i32)> {
    set.iter().flat_map(|(topic, numbers)| numbers.iter().map(|it| (*topic, *it)))
}
