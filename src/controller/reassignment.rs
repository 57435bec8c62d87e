//! Reassigning replicas (KIP-455): to others, or back. It ends when those that are added are in sync.

use super::changes::{Changes, Decision};
use super::elections::Refusal;
use super::image::{Image, Topic};
use super::partition::Partition;
use super::partition_change::{Builder, Change};
use crate::types::ErrorCode;
use std::collections::BTreeSet;

/// What a partition is to become.
#[derive(Clone, Copy, Debug)]
pub struct Reassignment<'a> {
    /// Name of the topic.
    pub topic: &'a str,
    /// Number of the partition.
    pub partition: i32,
    /// The replicas, the preferred leader first; `None` cancels what is under way.
    pub replicas: Option<&'a [i32]>,
}

/// Begins or cancels reassignments. The records, and a result for each that is asked for. Pauses after each.
pub async fn reassign(
    image: &Image,
    asked: impl Iterator<Item = Reassignment<'_>>,
    allow_factor_change: bool,
    pause: &impl AsyncFn(),
) -> (Decision, Vec<Result<(), Refusal>>) {
    let (mut changes, mut results) = (Changes::default(), Vec::new());
    let mut seen = BTreeSet::new();
    for it in asked {
        pause().await;
        let result = find(image, &it).and_then(|(topic, partition)| {
            if !seen.insert((topic.id, it.partition)) {
                let message = "A partition is reassigned once in a request.";
                return Err((ErrorCode::INVALID_REQUEST, message.into()));
            }
            let change = match it.replicas {
                Some(target) => begin(image, topic, partition, target, allow_factor_change)?,
                None => cancel(image, topic, partition, it.partition)?,
            };
            if let Some(change) = change {
                changes.add(topic, it.partition, change);
            }
            Ok(())
        });
        results.push(result);
    }
    (changes.finish(), results)
}

fn find<'a>(
    image: &'a Image,
    it: &Reassignment<'_>,
) -> Result<(&'a Topic, &'a Partition), Refusal> {
    let unknown = |what: String| (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, what.into());
    let name = it.topic;
    let topic = image
        .topic(name)
        .ok_or_else(|| unknown(format!("Unable to find a topic named {name}.")))?;
    let partition = topic
        .partition(it.partition)
        .ok_or_else(|| unknown(format!("Unable to find partition {name}:{}.", it.partition)))?;
    Ok((topic, partition))
}

fn check(image: &Image, target: &[i32]) -> Result<(), Refusal> {
    let refuse = |why: String| {
        let message = format!("The manual partition assignment includes {why}");
        Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, message.into()))
    };
    if target.is_empty() {
        return refuse("an empty replica list.".to_owned());
    }
    let mut sorted = target.to_vec();
    sorted.sort_unstable();
    for (at, broker) in sorted.iter().enumerate() {
        if image.broker(*broker).is_none() {
            return refuse(format!("broker {broker}, but no such broker is registered."));
        }
        if at > 0 && sorted[at - 1] == *broker {
            return refuse(format!("the broker {broker} more than once."));
        }
    }
    Ok(())
}

fn without(all: &[i32], some: &[i32]) -> Vec<i32> {
    all.iter().copied().filter(|it| !some.contains(it)).collect()
}

fn begin(
    image: &Image,
    topic: &Topic,
    partition: &Partition,
    target: &[i32],
    allow_factor_change: bool,
) -> Result<Option<Change>, Refusal> {
    check(image, target)?;
    // What an earlier reassignment adds was not there before it.
    let original = without(&partition.replicas, &partition.adding);
    let factor = without(&partition.replicas, &partition.removing).len();
    if !allow_factor_change && target.len() != factor {
        let message = format!(
            "The replication factor is changed from {factor} to {}, which the request does not allow.",
            target.len()
        );
        return Err((ErrorCode::INVALID_REPLICATION_FACTOR, message.into()));
    }
    let mut removing = without(&original, target);
    let given_up = without(&without(&partition.replicas, &original), target);
    let in_sync = |it: &i32| partition.isr.contains(it);
    // Where only those have everything that an earlier reassignment would have added, they go last.
    if partition.leader != -1 && !original.iter().chain(target).any(in_sync) {
        removing.extend(given_up);
    }
    let replicas = [target, &removing[..]].concat();
    let adding = without(target, &original);
    Ok(Builder::new(image, topic, partition).reassign(replicas, adding, removing).build())
}

fn cancel(
    image: &Image,
    topic: &Topic,
    partition: &Partition,
    index: i32,
) -> Result<Option<Change>, Refusal> {
    if !partition.is_reassigned() {
        let code = ErrorCode::NO_REASSIGNMENT_IN_PROGRESS;
        return Err((code, "No partition reassignment is in progress.".into()));
    }
    let original = without(&partition.replicas, &partition.adding);
    let change =
        Builder::new(image, topic, partition).reassign(original, Vec::new(), Vec::new()).build();
    if change.as_ref().is_some_and(|it| partition.leader != -1 && it.fields.leader == Some(-1)) {
        let message = format!(
            "Unable to revert partition assignment for {}:{index} because it would require an \
             unclean leader election.",
            topic.name
        );
        return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, message.into()));
    }
    Ok(change)
}
