//! At which epoch a member was told of each of its partitions (KIP-1251).

use std::borrow::Borrow;
use std::collections::BTreeMap;

use super::partitions::Numbers;
use crate::group::entry::ENTRY;
use crate::types::TopicId;

/// Partition and epoch by topic: ascending, for all partitions that a member has, or is to give up. An offset that it has
/// read before it heard of a later epoch may be committed with any epoch since this one: nobody else had the partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssignedSince<K = TopicId>(BTreeMap<K, Vec<(i32, i32)>>);

impl<K: Ord + Clone> AssignedSince<K> {
    /// These partitions: each since `epoch_of` says.
    pub fn new(sets: [&Numbers<K>; 2], mut epoch_of: impl FnMut(&K, i32) -> i32) -> Self {
        let mut topics: BTreeMap<K, Vec<(i32, i32)>> = BTreeMap::new();
        for (topic, numbers) in sets.into_iter().flatten() {
            let since = numbers.iter().map(|it| (*it, epoch_of(topic, *it)));
            topics.entry(topic.clone()).or_default().extend(since);
        }
        topics.values_mut().for_each(|it| it.sort_unstable());
        Self(topics)
    }

    /// The epoch at which the member was told of this partition; `None` where it is not its own.
    pub fn get<Q>(&self, topic: &Q, partition: i32) -> Option<i32>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        let of_topic = self.0.get(topic)?;
        let at = of_topic.binary_search_by_key(&partition, |(number, _)| *number).ok()?;
        Some(of_topic[at].1)
    }

    /// What is said of these, of which all are known.
    pub fn of(&self, set: &Numbers<K>) -> Self {
        Self::new([set, &Numbers::new()], |topic, partition| {
            self.get(topic, partition).unwrap_or_default()
        })
    }

    /// Memory that it takes, bytes.
    pub fn bytes(&self) -> usize {
        self.0.values().map(|it| ENTRY + size_of::<(K, Vec<i32>)>() + 8 * it.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::consumer::partitions::Partitions;

    #[test]
    fn each_partition_has_its_epoch() {
        let topic = |number| TopicId([number; 16]);
        let assigned = Partitions::from([(topic(1), vec![0, 2]), (topic(2), vec![7])]);
        let revoking = Partitions::from([(topic(1), vec![1])]);
        let since = AssignedSince::new([&assigned, &revoking], |_, number| 10 + number);
        let all = [(1, 0, Some(10)), (1, 1, Some(11)), (1, 2, Some(12)), (2, 7, Some(17))];
        for (id, number, epoch) in all.into_iter().chain([(1, 3, None), (3, 0, None)]) {
            assert_eq!(since.get(&topic(id), number), epoch);
        }
    }
}
