//! What requests that name partitions by topic have in common.

use crate::controller::{Image, Partition, Topic};
use crate::types::{ErrorCode, TopicPartition};
use std::sync::Arc;

/// A partition of a topic, if there is one and it is here by this condition.
fn find(
    topic: Option<&Arc<Topic>>,
    partition: i32,
    is_here: impl FnOnce(&Partition) -> bool,
) -> Result<TopicPartition, ErrorCode> {
    let found = topic.and_then(|topic| Some((topic.id, topic.partition(partition)?)));
    match found {
        None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        Some((topic, it)) if is_here(it) => Ok(TopicPartition { topic, partition }),
        Some(_) => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
    }
}

/// A partition of a topic, if there is one and this broker leads it.
///
/// # Errors
/// `UNKNOWN_TOPIC_OR_PARTITION`, `NOT_LEADER_OR_FOLLOWER`.
pub fn led(
    image: &Image,
    topic: Option<&Arc<Topic>>,
    partition: i32,
) -> Result<TopicPartition, ErrorCode> {
    find(topic, partition, |it| it.leader == image.node_id)
}

/// A partition of a topic, if there is one of which this broker has a replica.
///
/// # Errors
/// `UNKNOWN_TOPIC_OR_PARTITION`, `NOT_LEADER_OR_FOLLOWER`.
pub fn held(
    image: &Image,
    topic: Option<&Arc<Topic>>,
    partition: i32,
) -> Result<TopicPartition, ErrorCode> {
    let me = image.node_id;
    find(topic, partition, |it| it.leader == me || it.replicas.contains(&me))
}

/// Answers by topic and partition, as they were asked for. `answers` has one for each partition of the
/// request, in its order. Pauses after each.
pub async fn by_topic<'a, T, P: 'a, A, R, S>(
    topics: &'a [T],
    answers: &[A],
    partitions: impl Fn(&'a T) -> &'a [P],
    partition: impl Fn(&'a P, &A) -> R,
    topic: impl Fn(&'a T, Vec<R>) -> S,
    pause: &impl AsyncFn(),
) -> Vec<S> {
    let mut answers = answers.iter();
    let mut all = Vec::with_capacity(topics.len());
    for it in topics {
        let asked = partitions(it);
        let mut answered = Vec::with_capacity(asked.len());
        for (asked, answer) in asked.iter().zip(&mut answers) {
            answered.push(partition(asked, answer));
            pause().await;
        }
        all.push(topic(it, answered));
        pause().await;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{NewPartition, Record};
    use crate::types::TopicId;
    use futures_lite::future::block_on;

    #[test]
    fn finds_partitions_that_this_broker_leads() {
        let mut image = Image::new("c", 1, Arc::default());
        let id = TopicId([7; 16]);
        let partitions = [1, 2].map(|it| NewPartition::new([it])).to_vec();
        let name = "t".into();
        image.apply(&Record::TopicCreated { id, name, partitions, settings: Vec::new() });
        let found = |name, partition| led(&image, image.topic(name), partition);
        assert_eq!(found("t", 0), Ok(TopicPartition { topic: id, partition: 0 }));
        assert_eq!(found("t", 1), Err(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        assert_eq!(held(&image, image.topic("t"), 1), Err(ErrorCode::NOT_LEADER_OR_FOLLOWER));
        for (name, partition) in [("t", 2), ("t", -1), ("u", 0)] {
            assert_eq!(found(name, partition), Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
        }
    }

    #[test]
    fn answers_stand_where_they_were_asked_for() {
        let asked = [("a", vec![3, 1]), ("b", vec![]), ("c", vec![1])];
        let told = by_topic(
            &asked,
            &["x", "y", "z"],
            |it| &it.1,
            |partition, answer| (*partition, *answer),
            |it, partitions| (it.0, partitions),
            &async || {},
        );
        let told = block_on(told);
        assert_eq!(told, [("a", vec![(3, "x"), (1, "y")]), ("b", vec![]), ("c", vec![(1, "z")])]);
    }
}
