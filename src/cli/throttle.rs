//! Throttles of replicas that are moved, as Kafka has them (KIP-73): topics name the replicas, brokers have the rate.

use super::balance::{Assignment, Partition};
use crate::client::admin::{Reassignment, Resource};
use crate::client::{ClientError, Cluster};
use std::collections::{BTreeMap, BTreeSet};

const LEADER_REPLICAS: &str = "leader.replication.throttled.replicas";
const FOLLOWER_REPLICAS: &str = "follower.replication.throttled.replicas";
const LEADER_RATE: &str = "leader.replication.throttled.rate";
const FOLLOWER_RATE: &str = "follower.replication.throttled.rate";
const DIRECTORY_RATE: &str = "replica.alter.log.dirs.io.max.bytes.per.second";

/// Who sends a partition, and who receives it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Move {
    /// Those that have it.
    pub sources: BTreeSet<i32>,
    /// Those that are to get it.
    pub destinations: BTreeSet<i32>,
}

/// All that moves: what is under way, and what begins. What is under way has the sources that it had.
pub fn moves(
    under_way: &BTreeMap<Partition, Reassignment>,
    proposed: &Assignment,
    current: &Assignment,
) -> BTreeMap<Partition, Move> {
    let mut moves: BTreeMap<Partition, Move> = under_way
        .iter()
        .map(|(at, it)| {
            let destinations: BTreeSet<i32> = it.adding.iter().copied().collect();
            let all = it.replicas.iter().copied();
            let sources = all.filter(|id| !destinations.contains(id)).collect();
            (at.clone(), Move { sources, destinations })
        })
        .collect();
    for (at, replicas) in proposed {
        let sources = match moves.remove(at) {
            Some(it) => it.sources,
            None => current.get(at).into_iter().flatten().copied().collect(),
        };
        let destinations = replicas.iter().copied().filter(|id| !sources.contains(id)).collect();
        moves.insert(at.clone(), Move { sources, destinations });
    }
    moves
}

/// Names the replicas that are moved in their topics, then says the rate, bytes a second, on all brokers concerned.
pub fn set(
    cluster: &mut Cluster,
    moves: &BTreeMap<Partition, Move>,
    rate: i64,
) -> Result<(), ClientError> {
    type Sets = (BTreeSet<String>, BTreeSet<String>);
    let mut topics: BTreeMap<&str, Sets> = BTreeMap::new();
    let mut brokers = BTreeSet::new();
    for ((topic, partition), it) in moves {
        let (leaders, followers) = topics.entry(topic).or_default();
        leaders.extend(it.sources.iter().map(|id| format!("{partition}:{id}")));
        followers.extend(it.destinations.iter().map(|id| format!("{partition}:{id}")));
        brokers.extend(it.sources.iter().chain(&it.destinations));
    }
    let list = |all: BTreeSet<String>| Some(all.into_iter().collect::<Vec<_>>().join(","));
    for (topic, (leaders, followers)) in topics {
        let changes = [
            (LEADER_REPLICAS.to_owned(), list(leaders)),
            (FOLLOWER_REPLICAS.to_owned(), list(followers)),
        ];
        cluster.alter_configs(&Resource::Topic(topic.to_owned()), &changes)?;
    }
    for id in brokers {
        let changes =
            [LEADER_RATE, FOLLOWER_RATE].map(|it| (it.to_owned(), Some(rate.to_string())));
        cluster.alter_configs(&Resource::Broker(Some(id)), &changes)?;
    }
    Ok(())
}

/// Takes the rates of brokers away.
pub fn clear_brokers(cluster: &mut Cluster, brokers: &BTreeSet<i32>) -> Result<(), ClientError> {
    brokers.iter().try_for_each(|id| {
        let changes = [LEADER_RATE, FOLLOWER_RATE, DIRECTORY_RATE].map(|it| (it.to_owned(), None));
        cluster.alter_configs(&Resource::Broker(Some(*id)), &changes)
    })
}

/// Takes the lists of topics away.
pub fn clear_topics(cluster: &mut Cluster, topics: &BTreeSet<&str>) -> Result<(), ClientError> {
    topics.iter().try_for_each(|topic| {
        let changes = [LEADER_REPLICAS, FOLLOWER_REPLICAS].map(|it| (it.to_owned(), None));
        cluster.alter_configs(&Resource::Topic((*topic).to_owned()), &changes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_sends_what_is_under_way_sends_what_is_changed() {
        let at = |partition| ("a".to_owned(), partition);
        let under_way = BTreeMap::from([(
            at(0),
            Reassignment { replicas: vec![3, 1, 2], adding: vec![3], removing: vec![1, 2] },
        )]);
        let proposed = Assignment::from([(at(0), vec![4, 1]), (at(1), vec![1, 5])]);
        let current = Assignment::from([(at(0), vec![3, 1, 2]), (at(1), vec![1, 2])]);
        let moves = moves(&under_way, &proposed, &current);
        let of = |sources: [i32; 2], destination| Move {
            sources: sources.into(),
            destinations: [destination].into(),
        };
        assert_eq!(moves[&at(0)], of([1, 2], 4));
        assert_eq!(moves[&at(1)], of([1, 2], 5));
    }
}
