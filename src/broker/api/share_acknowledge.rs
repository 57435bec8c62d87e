//! ShareAcknowledge (KIP-932): what a member of a share group says of records that it has.

use super::endpoints::endpoints;
use super::share_fetch::{Said, acknowledge_acks, disabled, leader, message};
use super::{Response, decode_in_parts};
use crate::controller::Image;
use crate::types::{ErrorCode, TopicPartition};
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::share_acknowledge_request::ShareAcknowledgeRequest;
use crate::wire::kafka::share_acknowledge_response::{
    LeaderIdAndEpoch, NodeEndpoint, PartitionData, ShareAcknowledgeResponse,
    ShareAcknowledgeTopicResponse,
};
use std::sync::Arc;

/// A request that is under way.
#[derive(Debug)]
pub struct Plan {
    /// An error for the whole answer.
    pub error: ErrorCode,
    /// The group.
    pub group: Arc<str>,
    /// The member.
    pub member: Arc<str>,
    /// The session's epoch.
    pub epoch: i32,
    /// What the member says of records.
    pub said: Vec<Said>,
}

/// Reads a request. Pauses after each partition.
pub async fn plan(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Plan, WireError> {
    let request = decode_in_parts(body, async |r| {
        ShareAcknowledgeRequest::decode_in_parts(r, version, pause).await
    })
    .await?;
    let named = |it: Option<&str>| Arc::<str>::from(it.unwrap_or_default());
    let (group, member) = (named(request.group_id), named(request.member_id));
    let mut said = Vec::new();
    for topic in &request.topics {
        for it in &topic.partitions {
            if it.acknowledgement_batches.is_empty() {
                // Nothing is said of it, and nothing is answered.
                continue;
            }
            let tp = TopicPartition { topic: topic.topic_id, partition: it.partition_index };
            said.push((tp, acknowledge_acks(&it.acknowledgement_batches, request.is_renew_ack)));
            pause().await;
        }
    }
    let is_nameless = group.is_empty() || member.is_empty();
    let error = disabled(image).unwrap_or(if is_nameless {
        ErrorCode::INVALID_REQUEST
    } else {
        ErrorCode::NONE
    });
    Ok(Plan { error, group, member, epoch: request.share_session_epoch, said })
}

/// The answer: by partition, what went wrong. Partitions of a topic in a row are one entry.
pub fn response(
    header: &RequestHeader<'_>,
    error: ErrorCode,
    lock_ms: i32,
    answers: &[(TopicPartition, ErrorCode)],
    image: &Image,
) -> Result<Response, WireError> {
    let partition = |(tp, error): &(TopicPartition, ErrorCode)| {
        let (leader_id, leader_epoch) = leader(image, *tp, *error);
        PartitionData {
            partition_index: tp.partition,
            error_code: error.0,
            error_message: message(*error),
            current_leader: LeaderIdAndEpoch { leader_id, leader_epoch },
        }
    };
    let runs = answers.chunk_by(|a, b| a.0.topic == b.0.topic);
    let responses = runs.map(|run| ShareAcknowledgeTopicResponse {
        topic_id: run[0].0.topic,
        partitions: run.iter().map(partition).collect(),
    });
    let moved = answers.iter().any(|it| it.1 == ErrorCode::NOT_LEADER_OR_FOLLOWER);
    let node_endpoints = endpoints(image, moved).map(|it| NodeEndpoint {
        node_id: it.id,
        host: &it.host,
        port: it.port.into(),
        rack: it.rack.as_deref(),
    });
    let response = ShareAcknowledgeResponse {
        throttle_time_ms: 0,
        error_code: error.0,
        error_message: message(error),
        acquisition_lock_timeout_ms: lock_ms,
        responses: responses.collect(),
        node_endpoints: node_endpoints.collect(),
    };
    Response::new(header, |w| response.encode(w, header.version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{NO_PAUSE, body_of, encode, header, image};
    use crate::controller::Record;
    use crate::types::TopicId;
    use crate::wire::api_keys::ApiKey;
    use crate::wire::kafka::share_acknowledge_request::{
        AcknowledgePartition, AcknowledgeTopic, AcknowledgementBatch,
    };
    use futures_lite::future::block_on;

    #[test]
    fn every_version_both_ways() {
        let mut image = image();
        image.apply(&Record::FeatureLevelSet { name: "share.version".into(), level: 1 });
        let topic = TopicId([7; 16]);
        for version in 1..=2 {
            let batch = |types| AcknowledgementBatch {
                first_offset: 3,
                last_offset: 4,
                acknowledge_types: types,
            };
            let of = |partition_index, types| AcknowledgePartition {
                partition_index,
                acknowledgement_batches: vec![batch(types)],
            };
            let silent =
                AcknowledgePartition { partition_index: 2, acknowledgement_batches: Vec::new() };
            let request = ShareAcknowledgeRequest {
                group_id: Some("g"),
                member_id: Some("m"),
                share_session_epoch: 5,
                topics: vec![AcknowledgeTopic {
                    topic_id: topic,
                    partitions: vec![of(0, vec![1, 2]), silent, of(1, vec![4])],
                }],
                ..Default::default()
            };
            let body = encode(|w| request.encode(w, version));
            let plan = block_on(plan(&body, version, &image, &NO_PAUSE)).unwrap();
            assert_eq!((plan.error, plan.epoch, plan.said.len()), (ErrorCode::NONE, 5, 2));
            assert!(plan.said[0].1.is_ok());
            // It does not say that it renews.
            assert_eq!(plan.said[1].1, Err(ErrorCode::INVALID_REQUEST));
            let tp = |partition| TopicPartition { topic, partition };
            let answers = [(tp(0), ErrorCode::NONE), (tp(1), ErrorCode::NOT_LEADER_OR_FOLLOWER)];
            let header = header(ApiKey::SHARE_ACKNOWLEDGE, version);
            let sent = response(&header, ErrorCode::NONE, 15_000, &answers, &image).unwrap();
            body_of(&sent, ApiKey::SHARE_ACKNOWLEDGE, version, |r| {
                let it = ShareAcknowledgeResponse::decode(r, version)?;
                let lock_ms = if version >= 2 { 15_000 } else { 0 };
                assert_eq!(it.acquisition_lock_timeout_ms, lock_ms);
                let codes = it.responses[0].partitions.iter().map(|it| it.error_code);
                assert_eq!(codes.collect::<Vec<_>>(), [0, 6]);
                assert_eq!(it.node_endpoints.len(), 1);
                Ok(())
            });
        }
    }
}
