//! What the handlers of requests that change metadata share.
//!
//! They check a request against an image, which nobody changes meanwhile, and pause after each topic,
//! resource or setting that they look at.

use super::Body;
use crate::controller::{Image, Members, NewPartition, Partition, Placer, Record, Refusal};
use crate::types::{ErrorCode, TopicId};
use crate::wire::primitives::{WireError, Writer};
use std::collections::{BTreeMap, BTreeSet};

/// Most partitions that one request may create.
pub const PARTITIONS_MAX: usize = 10_000;

/// Why one topic or resource of a request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Kafka's code.
    pub code: ErrorCode,
    /// One sentence.
    pub message: String,
}

impl Failure {
    /// A failure with its own words.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Code and message for a response: no error is 0 and null; no words are null.
pub fn code_and_message<T>(result: &Result<T, Failure>) -> (i16, Option<&str>) {
    match result {
        Ok(_) => (ErrorCode::NONE.0, None),
        Err(Failure { code, message }) => (code.0, Some(&**message).filter(|it| !it.is_empty())),
    }
}

/// As [`code_and_message`], of what the controller refuses.
pub(super) fn code_and_words(result: &Result<(), Refusal>) -> (i16, Option<&str>) {
    match result {
        Ok(()) => (ErrorCode::NONE.0, None),
        Err((code, words)) => (code.0, Some(&**words)),
    }
}

/// What a handler makes of a request: the response, and the changes that it speaks of.
#[derive(Debug)]
pub struct Handled {
    /// Body of the response.
    pub response: Body,
    /// To be proposed in this order. Each may take effect without those that follow.
    pub records: Vec<Record>,
    /// Who is to belong to the metadata quorum, where that is to change.
    pub members: Option<Members>,
}

impl Handled {
    /// The response, and the records.
    pub(super) fn new(response: Body, records: Vec<Record>) -> Self {
        Self { response, records, members: None }
    }

    /// The records, and the response that `encode` writes, in parts.
    pub(super) async fn in_parts(
        records: Vec<Record>,
        encode: impl AsyncFnOnce(&mut Writer) -> Result<(), WireError>,
    ) -> Result<Self, WireError> {
        Ok(Self::new(Body::in_parts(encode).await?, records))
    }
}

/// Where `count` more partitions of the topic with this id go, beside those that it has. Pauses after each.
pub(super) async fn place(
    placer: &mut Placer<'_>,
    id: TopicId,
    existing: &[Partition],
    count: usize,
    factor: usize,
    pause: &impl AsyncFn(),
) -> Result<Vec<NewPartition>, Failure> {
    placer
        .place(id, existing, count, factor, pause)
        .await
        .map_err(|e| Failure::new(ErrorCode::INVALID_REPLICATION_FACTOR, e.to_string()))
}

/// Checks replicas that a client assigned by hand to the partition with this number, as many as `expected` if that is
/// known. Those that are not alive begin out of sync; one must be.
///
/// Pauses after each of them.
pub(super) async fn check_assignment(
    image: &Image,
    index: i32,
    brokers: &[i32],
    expected: Option<usize>,
    pause: &impl AsyncFn(),
) -> Result<NewPartition, Failure> {
    let refuse = |why: String| {
        let message = format!("The manual partition assignment includes {why}");
        Err(Failure::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message))
    };
    if brokers.is_empty() {
        return refuse("an empty replica list.".to_owned());
    }
    // Of what is wrong the broker with the lowest id is told, as by Kafka, which sorts them.
    let (mut known, mut wrong) = (BTreeSet::new(), None);
    for broker in brokers.iter().copied() {
        if image.broker(broker).is_none() || !known.insert(broker) {
            wrong = Some(wrong.map_or(broker, |it: i32| it.min(broker)));
        }
        pause().await;
    }
    if let Some(broker) = wrong {
        return refuse(if known.contains(&broker) {
            format!("the broker {broker} more than once.")
        } else {
            format!("broker {broker}, but no such broker is registered.")
        });
    }
    if let Some(expected) = expected.filter(|expected| *expected != brokers.len()) {
        return refuse(format!(
            "a partition with {} replica(s), but this is not consistent with previous partitions, \
             which have {expected} replica(s).",
            brokers.len()
        ));
    }
    let isr = image.first_in_sync(brokers);
    if isr.is_empty() {
        let message = format!(
            "All brokers specified in the manual partition assignment for partition {index} are \
             fenced or in controlled shutdown."
        );
        return Err(Failure::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
    }
    Ok(NewPartition { replicas: brokers.into(), isr: isr.into() })
}

/// How often each key comes; what a request names twice is refused once. Pauses after each.
pub(super) async fn count<K: Ord>(
    keys: impl Iterator<Item = K>,
    pause: &impl AsyncFn(),
) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
        pause().await;
    }
    counts
}

/// Bits of the operations on a topic that a client may carry out, where nothing is forbidden: read,
/// write, create, delete, alter, describe, describe and alter configs.
pub const TOPIC_OPERATIONS: i32 = 0b1101_1111_1000;

/// The same for the cluster: create, alter, describe, cluster action, describe and alter configs,
/// idempotent write.
pub const CLUSTER_OPERATIONS: i32 = 0b1_1111_1010_0000;

/// Stands for operations that were not asked for.
pub const OPERATIONS_OMITTED: i32 = i32::MIN;
