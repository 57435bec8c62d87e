//! Topics that hold the state of coordinators get more replicas as brokers join: what a cluster of one has made must not
//! depend on one broker for ever.

use super::changes::Decision;
use super::image::{Image, Topic};
use super::placement::Loads;
use super::reassignment::{self, Reassignment};
use crate::types::TopicPartition;
use crate::types::topic_name::INTERNAL;

/// So many partitions are raised at a time: what they have is copied while clients are served.
const AT_ONCE: usize = 10;

/// Begins to add replicas to partitions of internal topics that have fewer than their setting says, and than there are
/// brokers that are alive. Which brokers, is chosen as for new partitions; the replica that is preferred as leader becomes one
/// that leads least of the topic. Pauses after each partition. `seed` orders brokers that are equal.
pub async fn raise_internal(image: &Image, seed: u64, pause: &impl AsyncFn()) -> Decision {
    let alive = image.alive().count();
    let mut wanted = Vec::new();
    for (name, setting) in INTERNAL {
        let Some(topic) = image.topic(name) else { continue };
        let factor = image.broker_configs.number(setting).unwrap_or(3);
        let target = usize::try_from(factor).unwrap_or(1).min(alive);
        raise(image, topic, target, seed, &mut wanted, pause).await;
    }
    let asked = wanted.iter().map(|(topic, partition, replicas)| Reassignment {
        topic,
        partition: *partition,
        replicas: Some(replicas),
    });
    reassignment::reassign(image, asked, true, pause).await.0
}

async fn raise<'a>(
    image: &'a Image,
    topic: &'a Topic,
    target: usize,
    seed: u64,
    into: &mut Vec<(&'a str, i32, Vec<i32>)>,
    pause: &impl AsyncFn(),
) {
    let lacks = |it: &&super::Partition| it.replicas.len() < target && !it.is_reassigned();
    if !topic.partitions.iter().any(|it| lacks(&it)) {
        return;
    }
    let under_way = topic.partitions.iter().filter(|it| it.is_reassigned()).count();
    let (mut loads, mut planned) = (Loads::new(image, topic.id, seed), image.planned());
    for (number, it) in topic.partitions.iter().enumerate() {
        loads.count(number, &it.replicas);
    }
    let due = topic.partitions.iter().enumerate().filter(|(_, it)| lacks(it));
    for (number, it) in due.take(AT_ONCE.saturating_sub(under_way)) {
        loads.forget(number, &it.replicas);
        let before = it.replicas.to_vec();
        let mut replicas = loads.extend(before, number, target, &planned, pause).await;
        let added = &replicas[it.replicas.len()..];
        planned.add_followers(TopicPartition { topic: topic.id, partition: number as i32 }, added);
        if let Some(at) = loads.leads_least(&replicas) {
            replicas[..=at].rotate_right(1);
        }
        loads.count(number, &replicas);
        into.push((&topic.name, number as i32, replicas));
        pause().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{NewPartition, Record, Registration};
    use crate::types::TopicId;
    use crate::types::topic_name::GROUP_STATE;
    use futures_lite::future::block_on;
    use std::sync::Arc;

    /// Brokers 1 to 4, of which the first `alive` are; 25 partitions of the groups' state and of another topic, all on
    /// broker 1.
    fn image(alive: i32) -> Image {
        let mut image = Image::new("cluster", 1, Arc::default());
        for id in 1..=4 {
            image.apply(&Record::BrokerRegistered(Registration { id, ..Registration::default() }));
            if id <= alive {
                image.apply(&Record::BrokerUnfenced { broker: id });
            }
        }
        for (id, name) in [(1, GROUP_STATE), (2, "orders")] {
            image.apply(&Record::TopicCreated {
                id: TopicId([id; 16]),
                name: name.to_owned(),
                partitions: vec![NewPartition::new([1]); 25],
                settings: Vec::new(),
            });
        }
        image
    }

    fn apply(image: &mut Image, decision: &Decision) -> usize {
        decision.records.iter().for_each(|it| image.apply(it));
        image.invariants();
        let changed = |it: &Record| match it {
            Record::PartitionsChanged { changes, .. } => changes.len(),
            other => panic!("{other:?}"),
        };
        decision.records.iter().map(changed).sum()
    }

    /// Those that are added have caught up.
    fn settle(image: &mut Image) {
        let topic = image.topic(GROUP_STATE).unwrap().clone();
        let caught_up = topic.partitions.iter().enumerate().filter(|(_, it)| it.is_reassigned());
        let partitions = caught_up.map(|(number, it)| crate::controller::IsrChange {
            topic: topic.id,
            partition: number as i32,
            leader_epoch: it.leader_epoch,
            partition_epoch: it.partition_epoch,
            isr: it.replicas.iter().map(|id| (*id, 0)).collect(),
        });
        let request = crate::controller::IsrRequest {
            broker: 1,
            incarnation: 0,
            partitions: partitions.collect(),
        };
        let decided = block_on(crate::controller::alter_isr(image, &request, &async || {}));
        assert!(decided.1.iter().all(Result::is_ok), "{:?}", decided.1);
        decided.0.records.iter().for_each(|it| image.apply(it));
    }

    fn raise(image: &Image) -> Decision {
        block_on(raise_internal(image, 7, &async || {}))
    }

    #[test]
    fn replicas_are_added_in_steps_until_there_are_three() {
        assert_eq!(raise(&image(1)), Decision::default(), "there is nobody else");
        let mut image = image(4);
        for expected in [10, 10, 5, 0] {
            let decision = raise(&image);
            assert_eq!(apply(&mut image, &decision), expected);
            assert_eq!(
                apply(&mut image.clone(), &raise(&image)),
                0,
                "ten are under way, or all done"
            );
            settle(&mut image);
        }
        let topic = image.topic(GROUP_STATE).unwrap();
        let (mut leads, mut holds) = ([0; 5], [0; 5]);
        for it in topic.partitions.iter() {
            assert!(it.replicas.len() == 3 && !it.is_reassigned(), "{it:?}");
            leads[it.replicas[0] as usize] += 1;
            it.replicas.iter().for_each(|id| holds[*id as usize] += 1);
        }
        assert!(leads[1..].iter().all(|it| (5..=8).contains(it)), "{leads:?}");
        assert!(holds[2..].iter().all(|it| (15..=19).contains(it)), "{holds:?}");
        assert_eq!(image.topic("orders").unwrap().partitions[0].replicas.len(), 1);
    }

    #[test]
    fn no_more_than_are_alive_and_than_is_wished_for() {
        let mut two = image(2);
        let decision = raise(&two);
        apply(&mut two, &decision);
        assert_eq!(two.topic(GROUP_STATE).unwrap().partitions[0].replicas.len(), 2);
        let mut one = image(4);
        let one_each = ("offsets.topic.replication.factor".to_owned(), "1".to_owned());
        Arc::make_mut(&mut one.broker_configs).fixed = Arc::new([one_each].into());
        assert_eq!(raise(&one), Decision::default());
    }
}
