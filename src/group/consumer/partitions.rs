//! Sets of partitions, by topic; and of tasks, by subtopology.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use crate::group::assignor::Assignment;
use crate::group::entry::ENTRY;

/// Numbers of partitions by topic: ascending, none twice; no topic without any.
pub type Partitions = Assignment;

/// The same by anything.
pub type Numbers<K> = BTreeMap<K, Vec<i32>>;

/// The set of these, in any order.
pub fn collect<K: Ord>(topics: impl IntoIterator<Item = (K, Vec<i32>)>) -> Numbers<K> {
    let mut set = Numbers::new();
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

/// Adds what is not there.
pub fn add<K: Ord>(set: &mut Numbers<K>, more: Numbers<K>) {
    for (topic, numbers) in more {
        let all = set.entry(topic).or_default();
        all.extend(numbers);
        all.sort_unstable();
        all.dedup();
    }
}

/// Whether one partition is in the set.
pub fn contains<K, Q>(set: &Numbers<K>, topic: &Q, partition: i32) -> bool
where
    K: Ord + Borrow<Q>,
    Q: Ord + ?Sized,
{
    set.get(topic).is_some_and(|it| it.binary_search(&partition).is_ok())
}

/// Whether all of `part` are in `whole`.
pub fn is_subset<K: Ord>(part: &Numbers<K>, whole: &Numbers<K>) -> bool {
    part.iter().all(|(topic, numbers)| numbers.iter().all(|it| contains(whole, topic, *it)))
}

/// Whether the sets have one in common.
pub fn meet<K: Ord>(one: &Numbers<K>, other: &Numbers<K>) -> bool {
    one.iter().any(|(topic, numbers)| numbers.iter().any(|it| contains(other, topic, *it)))
}

/// How many.
pub fn count<K>(set: &Numbers<K>) -> usize {
    set.values().map(Vec::len).sum()
}

/// Memory that the set takes, bytes.
pub fn bytes<K>(set: &Numbers<K>) -> usize {
    set.values().map(|it| ENTRY + size_of::<(K, Vec<i32>)>() + 4 * it.len()).sum()
}

/// Each partition.
pub fn iter<K: Clone>(set: &Numbers<K>) -> impl Iterator<Item = (K, i32)> {
    set.iter().flat_map(|(topic, numbers)| numbers.iter().map(|it| (topic.clone(), *it)))
}
