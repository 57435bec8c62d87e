//! `CreatePartitions`: adds partitions to topics.

use super::create_topics::too_many;
use super::decode_in_parts;
use super::metadata_change::{
    Failure, Handled, PARTITIONS_MAX, check_assignment, code_and_message, count, place,
};
use crate::controller::{Image, NewPartition, Placer, Record};
use crate::types::topic_name::is_internal;
use crate::types::{ErrorCode, TopicId};
use crate::wire::kafka::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use crate::wire::kafka::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use crate::wire::primitives::WireError;

/// Answers a request, in any version. Pauses after each topic, and after each of its partitions that is
/// placed by hand.
pub async fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Handled, WireError> {
    let read = decode_in_parts(body, async |r| {
        CreatePartitionsRequest::decode_in_parts(r, version, pause).await
    });
    let request = read.await?;
    let mut counts = count(request.topics.iter().map(|topic| topic.name), pause).await;
    let (mut total, mut placer) = (0, Placer::new(image));
    let mut results = Vec::with_capacity(counts.len());
    let mut records = Vec::new();
    for topic in &request.topics {
        pause().await;
        // What comes again is answered already.
        let Some(count) = counts.remove(topic.name) else { continue };
        let result = if count > 1 {
            Err(Failure::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name."))
        } else {
            plan(topic, image, &mut placer, &mut total, pause).await
        };
        results.push((
            topic.name,
            result.map(|(id, partitions)| {
                if !request.validate_only {
                    records.push(Record::PartitionsAdded { id, partitions });
                }
            }),
        ));
    }
    let mut answers = Vec::with_capacity(results.len());
    for (name, result) in &results {
        let (error_code, error_message) = code_and_message(result);
        answers.push(CreatePartitionsTopicResult { name, error_code, error_message });
        pause().await;
    }
    let response = CreatePartitionsResponse { throttle_time_ms: 0, results: answers };
    Handled::in_parts(records, async |w| response.encode_in_parts(w, version, pause).await).await
}

/// Pauses as [`handle`] does.
async fn plan(
    topic: &CreatePartitionsTopic<'_>,
    image: &Image,
    placer: &mut Placer<'_>,
    total: &mut usize,
    pause: &impl AsyncFn(),
) -> Result<(TopicId, Vec<NewPartition>), Failure> {
    let found = image
        .topic(topic.name)
        .ok_or_else(|| Failure::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ""))?;
    if is_internal(topic.name) {
        // Kafka allows it, and then looks for groups in partitions that do not know them.
        let message = "A group's state is in the partition that its id and their number say.";
        return Err(Failure::new(ErrorCode::INVALID_PARTITIONS, message));
    }
    let current = found.partitions.len();
    let wanted = usize::try_from(topic.count).unwrap_or_default();
    if wanted <= current {
        let message = if topic.count == current as i32 {
            format!("Topic already has {current} partition(s).")
        } else {
            format!(
                "The topic {} currently has {current} partition(s); {} would not be an increase.",
                topic.name, topic.count
            )
        };
        return Err(Failure::new(ErrorCode::INVALID_PARTITIONS, message));
    }
    let added = wanted - current;
    if *total + added > PARTITIONS_MAX {
        return Err(too_many());
    }
    let factor = found.partitions[0].replicas.len();
    let partitions = match &topic.assignments {
        None => place(placer, found.id, &found.partitions, added, factor, pause).await?,
        Some(assignments) if assignments.len() != added => {
            let message = format!(
                "Attempted to add {added} additional partition(s), but only {} assignment(s) were \
                 specified.",
                assignments.len()
            );
            return Err(Failure::new(ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
        }
        Some(assignments) => {
            let mut partitions = Vec::with_capacity(added);
            for (it, index) in assignments.iter().zip(current as i32..) {
                let (brokers, factor) = (&it.broker_ids, Some(factor));
                partitions.push(check_assignment(image, index, brokers, factor, pause).await?);
            }
            partitions
        }
    };
    *total += added;
    Ok((found.id, partitions))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{decode, encode, id, image};
    use crate::wire::kafka::create_partitions_request::CreatePartitionsAssignment;
    use futures_lite::future::block_on;

    fn add<'a>(
        name: &'a str,
        count: i32,
        assigned: Option<&[&[i32]]>,
    ) -> CreatePartitionsTopic<'a> {
        let assignment = |it: &&[i32]| CreatePartitionsAssignment { broker_ids: it.to_vec() };
        let assignments = assigned.map(|it| it.iter().map(assignment).collect());
        CreatePartitionsTopic { name, count, assignments }
    }

    fn run(
        topics: Vec<CreatePartitionsTopic<'_>>,
        validate_only: bool,
        version: i16,
    ) -> (Vec<(String, ErrorCode, String)>, Vec<Record>) {
        let request = CreatePartitionsRequest { topics, timeout_ms: 1, validate_only };
        let body = encode(|w| request.encode(w, version));
        let handled = block_on(handle(&body, version, &image(), &async || {})).unwrap();
        let response = decode(&handled.response, |r| CreatePartitionsResponse::decode(r, version));
        let message = |it: Option<&str>| it.unwrap_or_default().to_owned();
        let results = response
            .results
            .iter()
            .map(|it| (it.name.to_owned(), ErrorCode(it.error_code), message(it.error_message)))
            .collect();
        (results, handled.records)
    }

    #[test]
    fn adds_partitions_in_every_version() {
        for version in 0..=3 {
            let asked = || vec![add("exists", 4, None), add("dotted.name", 6, Some(&[&[1]]))];
            let (results, records) = run(asked(), false, version);
            assert!(results.iter().all(|it| it.1 == ErrorCode::NONE && it.2.is_empty()));
            let one = NewPartition::new([1]);
            assert_eq!(
                records,
                [
                    Record::PartitionsAdded { id: id(1), partitions: vec![one.clone(); 2] },
                    Record::PartitionsAdded { id: id(2), partitions: vec![one] },
                ]
            );
            assert!(run(asked(), true, version).1.is_empty());
        }
    }

    #[test]
    fn refuses_with_kafkas_codes_and_words() {
        for (topic, code, words) in [
            (
                add("exists", 2, None),
                ErrorCode::INVALID_PARTITIONS,
                "Topic already has 2 partition(s).",
            ),
            (
                add("exists", 0, None),
                ErrorCode::INVALID_PARTITIONS,
                "The topic exists currently has 2 partition(s); 0 would not be an increase.",
            ),
            (
                add("exists", -1, None),
                ErrorCode::INVALID_PARTITIONS,
                "The topic exists currently has 2 partition(s); -1 would not be an increase.",
            ),
            (add("nope", 2, None), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ""),
            (
                add("exists", 4, Some(&[&[1]])),
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
            ),
            (
                add("exists", 3, Some(&[&[9]])),
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                "includes broker 9, but no such broker is registered.",
            ),
            (
                add("exists", 3, Some(&[&[1, 1]])),
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                "more than once.",
            ),
            (
                add("exists", 3, Some(&[&[]])),
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                "empty replica list.",
            ),
            (add("exists", i32::MAX, None), ErrorCode::POLICY_VIOLATION, "Excessively"),
        ] {
            let (results, records) = run(vec![topic], false, 3);
            assert_eq!(results[0].1, code);
            assert!(results[0].2.contains(words), "{}", results[0].2);
            assert!(records.is_empty());
        }
        let twice = vec![add("exists", 3, None), add("exists", 4, None)];
        let (results, records) = run(twice, false, 3);
        assert_eq!((results.len(), results[0].1), (1, ErrorCode::INVALID_REQUEST));
        assert!(records.is_empty());
    }
}
