//! ListOffsets (KIP-79, KIP-734).

use super::Response;
use super::data::{OffsetAnswer, OffsetQuery};
use super::decode_in_parts;
use super::partitions::{by_topic, held, led};
use crate::controller::Image;
use crate::types::ErrorCode;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use crate::wire::kafka::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use crate::wire::{WireError, Writer};
use std::collections::HashSet;

/// The end: the high watermark, or the last stable offset for `read_committed`.
pub const LATEST: i64 = -1;
/// The log start.
pub const EARLIEST: i64 = -2;
/// The record with the largest timestamp; from version 7 (KIP-734).
pub const MAX_TIMESTAMP: i64 = -3;
/// The start of what this broker holds; from version 8 (KIP-405). Here all of the log.
pub const EARLIEST_LOCAL: i64 = -4;
/// The end of what remote storage holds; from version 9 (KIP-1005). Here nothing.
pub const LATEST_TIERED: i64 = -5;
/// The start of what remote storage is to hold yet; from version 11 (KIP-1023). Here nothing.
pub const EARLIEST_PENDING_UPLOAD: i64 = -6;

/// The replica id of a consumer that asks a replica for what it has itself, whoever leads.
const DEBUGGING_CONSUMER: i32 = -2;

/// The first version that knows a special timestamp; none yet knows those below the last.
fn first_version(timestamp: i64) -> i16 {
    match timestamp {
        MAX_TIMESTAMP => 7,
        EARLIEST_LOCAL => 8,
        LATEST_TIERED => 9,
        EARLIEST_PENDING_UPLOAD => 11,
        i64::MIN..EARLIEST_PENDING_UPLOAD => i16::MAX,
        _ => 0,
    }
}

async fn read<'a>(
    body: &'a [u8],
    version: i16,
    pause: &impl AsyncFn(),
) -> Result<ListOffsetsRequest<'a>, WireError> {
    decode_in_parts(body, async |r| ListOffsetsRequest::decode_in_parts(r, version, pause).await)
        .await
}

/// Reads a request: an answer for each partition as far as there is one already, and what the
/// owners of the others are to be asked.
///
/// Pauses after each partition.
pub async fn plan(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<(Vec<OffsetAnswer>, Vec<OffsetQuery>), WireError> {
    let request = read(body, version, pause).await?;
    let count = request.topics.iter().map(|it| it.partitions.len()).sum();
    let mut answers = Vec::with_capacity(count);
    let mut queries = Vec::with_capacity(count);
    let (mut seen, mut twice) = (HashSet::with_capacity(count), HashSet::new());
    for topic in &request.topics {
        for it in &topic.partitions {
            if !seen.insert((topic.name, it.partition_index)) {
                twice.insert((topic.name, it.partition_index));
            }
            pause().await;
        }
    }
    let of_replica = request.replica_id == DEBUGGING_CONSUMER;
    let find = if of_replica { held } else { led };
    for topic in &request.topics {
        let known = image.topic(topic.name);
        for it in &topic.partitions {
            let index = answers.len() as u32;
            let error = match find(image, known, it.partition_index) {
                _ if twice.contains(&(topic.name, it.partition_index)) => {
                    ErrorCode::INVALID_REQUEST
                }
                _ if version < first_version(it.timestamp) => ErrorCode::UNSUPPORTED_VERSION,
                Ok(tp) => {
                    queries.push(OffsetQuery {
                        index,
                        tp,
                        timestamp: it.timestamp,
                        current_leader_epoch: it.current_leader_epoch,
                        committed: request.isolation_level == 1,
                        of_replica,
                    });
                    ErrorCode::NONE
                }
                Err(error) => error,
            };
            answers.push(OffsetAnswer::failed(index, error));
            pause().await;
        }
    }
    Ok((answers, queries))
}

/// The answer to the request in `body`.
///
/// Pauses after each partition.
pub async fn response(
    header: &RequestHeader<'_>,
    body: &[u8],
    answers: &[OffsetAnswer],
    pause: &impl AsyncFn(),
) -> Result<Response, WireError> {
    let version = header.version;
    let request = read(body, version, pause).await?;
    let topics = by_topic(
        &request.topics,
        answers,
        |topic| &topic.partitions,
        |asked, answer| ListOffsetsPartitionResponse {
            partition_index: asked.partition_index,
            error_code: answer.error.0,
            timestamp: answer.timestamp,
            offset: answer.offset,
            leader_epoch: if version >= 4 { answer.leader_epoch } else { -1 },
        },
        |topic, partitions| ListOffsetsTopicResponse { name: topic.name, partitions },
        pause,
    );
    let topics = topics.await;
    let response = ListOffsetsResponse { throttle_time_ms: 0, topics };
    Response::in_parts(header, async |w| response.encode_in_parts(w, version, pause).await).await
}

/// The version in which brokers ask each other.
pub const BETWEEN_BROKERS: i16 = 10;

/// The body of a request of this broker to another one: where a partition ends for readers.
pub fn end_request(topic: &str, partition_index: i32) -> Result<Vec<u8>, WireError> {
    let one = ListOffsetsPartition { partition_index, current_leader_epoch: -1, timestamp: LATEST };
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic { name: topic, partitions: vec![one] }],
        ..Default::default()
    };
    let mut w = Writer::new();
    request.encode(&mut w, BETWEEN_BROKERS)?;
    Ok(w.into_vec())
}

/// What the answer to that says; nothing where it does not say it.
pub fn end_answered(body: &[u8]) -> Option<i64> {
    let response = super::decode(body, |r| ListOffsetsResponse::decode(r, BETWEEN_BROKERS)).ok()?;
    let it = response.topics.first()?.partitions.first()?;
    (it.error_code == 0).then_some(it.offset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{NewPartition, Record};
    use crate::types::TopicId;
    use crate::wire::Writer;
    use futures_lite::future::block_on;
    use std::sync::Arc;

    #[test]
    fn refuses_what_the_version_does_not_know_and_what_is_asked_twice() {
        let mut image = Image::new("c", 1, Arc::default());
        let replicas: Arc<[i32]> = [1].into();
        image.apply(&Record::TopicCreated {
            id: TopicId([7; 16]),
            name: "t".into(),
            partitions: vec![NewPartition::new(replicas); 3],
            settings: Vec::new(),
        });
        let ask = |partition_index, timestamp| ListOffsetsPartition {
            partition_index,
            timestamp,
            ..ListOffsetsPartition::default()
        };
        let partitions =
            vec![ask(0, MAX_TIMESTAMP), ask(1, LATEST), ask(2, 5), ask(2, 6), ask(9, LATEST)];
        let request = ListOffsetsRequest {
            topics: vec![ListOffsetsTopic { name: "t", partitions }],
            ..ListOffsetsRequest::default()
        };
        let mut w = Writer::new();
        request.encode(&mut w, 6).unwrap();
        let (answers, queries) = block_on(plan(w.as_slice(), 6, &image, &async || {})).unwrap();
        let errors: Vec<_> = answers.iter().map(|it| it.error).collect();
        assert_eq!(
            errors,
            [
                ErrorCode::UNSUPPORTED_VERSION,
                ErrorCode::NONE,
                ErrorCode::INVALID_REQUEST,
                ErrorCode::INVALID_REQUEST,
                ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
            ]
        );
        assert_eq!(queries.iter().map(|it| it.index).collect::<Vec<_>>(), [1]);
    }
}
