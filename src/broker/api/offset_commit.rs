//! OffsetCommit: a group's next offsets, with topic ids from version 10.

use super::Response;
use super::decode_in_parts;
use crate::controller::{Image, Topic};
use crate::group::{Commit, CommitOffset, CommitTopic, Committed};
use crate::types::{ErrorCode, TopicId};
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::offset_commit_request::OffsetCommitRequest;
use crate::wire::kafka::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use std::sync::Arc;

/// The first version that names topics by their ids.
const TOPIC_IDS_FROM: i16 = 10;
/// The first version whose members can be told `GROUP_ID_NOT_FOUND`.
const GROUP_ID_NOT_FOUND_FROM: i16 = 9;

/// A topic of the answer.
#[derive(Debug)]
struct Answered {
    name: String,
    id: TopicId,
    /// Partition, and its error; `None` where the coordinator is asked.
    partitions: Vec<(i32, Option<ErrorCode>)>,
}

/// What became of a request.
#[derive(Debug)]
pub struct Plan {
    /// What the coordinator is to be asked, unless nothing is left to ask.
    pub commit: Option<Commit>,
    topics: Vec<Answered>,
}

/// The partition of that number.
pub(super) fn has_partition(topic: &Arc<Topic>, number: i32) -> bool {
    usize::try_from(number).is_ok_and(|it| it < topic.partitions.len())
}

/// Reads a request. What does not exist is answered without the coordinator, as Kafka does.
///
/// Pauses after each partition.
pub async fn plan(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Plan, WireError> {
    let request = decode_in_parts(body, async |r| {
        OffsetCommitRequest::decode_in_parts(r, version, pause).await
    })
    .await?;
    let mut asked = Vec::new();
    let mut topics = Vec::with_capacity(request.topics.len());
    for topic in &request.topics {
        let (known, unknown) = if version >= TOPIC_IDS_FROM {
            (image.topic_by_id(topic.topic_id), ErrorCode::UNKNOWN_TOPIC_ID)
        } else {
            (image.topic(topic.name), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
        };
        let count = topic.partitions.len();
        let mut offsets = Vec::with_capacity(if known.is_some() { count } else { 0 });
        let mut partitions = Vec::with_capacity(count);
        for it in &topic.partitions {
            let error = match known {
                None => Some(unknown),
                Some(known) if !has_partition(known, it.partition_index) => {
                    Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
                }
                Some(_) => {
                    offsets.push(CommitOffset {
                        partition: it.partition_index,
                        offset: it.committed_offset,
                        leader_epoch: it.committed_leader_epoch,
                        metadata: it.committed_metadata.map(str::to_owned),
                    });
                    None
                }
            };
            partitions.push((it.partition_index, error));
            pause().await;
        }
        topics.push(Answered { name: topic.name.to_owned(), id: topic.topic_id, partitions });
        if let Some(known) = known.filter(|_| !offsets.is_empty()) {
            let name = known.name.to_string();
            asked.push(CommitTopic { name, topic_id: known.id, partitions: offsets });
        }
        pause().await;
    }
    let commit = (!asked.is_empty()).then(|| Commit {
        group_id: request.group_id.to_owned(),
        generation_id: request.generation_id_or_member_epoch,
        member_id: request.member_id.to_owned(),
        group_instance_id: request.group_instance_id.map(str::to_owned),
        retention_ms: request.retention_time_ms,
        knows_group_id_not_found: version >= GROUP_ID_NOT_FOUND_FROM,
        topics: asked,
        producer: None,
    });
    Ok(Plan { commit, topics })
}

impl Plan {
    /// The answer, with what the coordinator said of [`commit`](Self::commit). Pauses after each
    /// partition.
    pub async fn response(
        &self,
        header: &RequestHeader<'_>,
        committed: Option<&Committed>,
        pause: &impl AsyncFn(),
    ) -> Result<Response, WireError> {
        let version = header.version;
        let all = committed.map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |it| it.error);
        let said = committed.into_iter().flat_map(|it| &it.topics).flat_map(|it| &it.partitions);
        let mut said = said.map(|it| if it.error.is_err() { it.error } else { all });
        let mut topics = Vec::with_capacity(self.topics.len());
        for topic in &self.topics {
            let mut partitions = Vec::with_capacity(topic.partitions.len());
            for &(partition_index, error) in &topic.partitions {
                let error_code = error.unwrap_or_else(|| said.next().unwrap_or(all)).0;
                partitions.push(OffsetCommitResponsePartition { partition_index, error_code });
                pause().await;
            }
            topics.push(OffsetCommitResponseTopic {
                name: &topic.name,
                topic_id: topic.id,
                partitions,
            });
            pause().await;
        }
        let response = OffsetCommitResponse { throttle_time_ms: 0, topics };
        Response::in_parts(header, async |w| response.encode_in_parts(w, version, pause).await)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{NO_PAUSE, body_of, encode, header, id, image};
    use crate::group::{CommittedTopic, PartitionResult};
    use crate::wire::api_keys::ApiKey;
    use crate::wire::kafka::offset_commit_request::{
        OffsetCommitRequestPartition, OffsetCommitRequestTopic,
    };
    use futures_lite::future::block_on;

    fn topic(version: i16, name: &'static str, number: u8) -> OffsetCommitRequestTopic<'static> {
        let partition = |partition_index| OffsetCommitRequestPartition {
            partition_index,
            committed_offset: 7,
            committed_leader_epoch: if version >= 6 { 2 } else { -1 },
            committed_metadata: Some("m"),
        };
        OffsetCommitRequestTopic {
            name: if version < 10 { name } else { "" },
            topic_id: if version < 10 { TopicId::ZERO } else { id(number) },
            partitions: vec![partition(2), partition(1), partition(-1)],
        }
    }

    fn request(version: i16) -> OffsetCommitRequest<'static> {
        OffsetCommitRequest {
            group_id: "g",
            generation_id_or_member_epoch: 4,
            member_id: "a",
            group_instance_id: (version >= 7).then_some("static"),
            retention_time_ms: if version <= 4 { 1000 } else { -1 },
            topics: vec![
                topic(version, "none", 9),
                topic(version, "exists", 1),
                topic(version, "dotted.name", 2),
            ],
        }
    }

    #[test]
    fn asks_for_what_exists_and_answers_the_rest() {
        for version in 2..=10 {
            let body = encode(|w| request(version).encode(w, version));
            let plan = block_on(plan(&body, version, &image(), &NO_PAUSE)).unwrap();
            let commit = plan.commit.as_ref().unwrap();
            assert_eq!((commit.generation_id, &*commit.member_id), (4, "a"));
            assert_eq!(commit.retention_ms, if version <= 4 { 1000 } else { -1 });
            assert_eq!(commit.group_instance_id.is_some(), version >= 7);
            assert_eq!(commit.knows_group_id_not_found, version >= 9);
            let asked: Vec<_> = commit
                .topics
                .iter()
                .map(|it| {
                    let numbers: Vec<_> = it.partitions.iter().map(|it| it.partition).collect();
                    (&*it.name, it.topic_id, numbers)
                })
                .collect();
            assert_eq!(asked, [("exists", id(1), vec![1]), ("dotted.name", id(2), vec![2, 1])]);
            let offset = &commit.topics[0].partitions[0];
            assert_eq!((offset.offset, offset.metadata.as_deref()), (7, Some("m")));
            assert_eq!(offset.leader_epoch, if version >= 6 { 2 } else { -1 });

            let results = |errors: &[ErrorCode]| CommittedTopic {
                name: String::new(),
                topic_id: TopicId::ZERO,
                partitions: errors
                    .iter()
                    .map(|&error| PartitionResult { partition: 0, error })
                    .collect(),
            };
            let (none, large) = (ErrorCode::NONE, ErrorCode::OFFSET_METADATA_TOO_LARGE);
            let topics = vec![results(&[none]), results(&[none, large])];
            let committed = Committed { error: none, topics };
            let header = header(ApiKey::OFFSET_COMMIT, version);
            let sent = plan.response(&header, Some(&committed), &NO_PAUSE);
            let sent = block_on(sent).unwrap();
            body_of(&sent, ApiKey::OFFSET_COMMIT, version, |r| {
                let it = OffsetCommitResponse::decode(r, version)?;
                let codes: Vec<Vec<i16>> = it
                    .topics
                    .iter()
                    .map(|it| it.partitions.iter().map(|it| it.error_code).collect())
                    .collect();
                let unknown = if version < 10 { 3 } else { 100 };
                assert_eq!(codes, [vec![unknown; 3], vec![3, 0, 3], vec![0, 12, 3]]);
                let numbers = it.topics[2].partitions.iter().map(|it| it.partition_index);
                assert_eq!(numbers.collect::<Vec<_>>(), [2, 1, -1]);
                assert_eq!(it.topics[1].name, if version < 10 { "exists" } else { "" });
                assert_eq!(it.topics[1].topic_id, if version < 10 { TopicId::ZERO } else { id(1) });
                Ok(())
            });
        }
    }

    #[test]
    fn nothing_that_exists_is_no_question() {
        let request = OffsetCommitRequest { topics: vec![topic(9, "none", 9)], ..request(9) };
        let body = encode(|w| request.encode(w, 9));
        let plan = block_on(plan(&body, 9, &image(), &NO_PAUSE)).unwrap();
        assert_eq!(plan.commit, None);
        let header = header(ApiKey::OFFSET_COMMIT, 9);
        let sent = block_on(plan.response(&header, None, &NO_PAUSE)).unwrap();
        body_of(&sent, ApiKey::OFFSET_COMMIT, 9, |r| {
            let it = OffsetCommitResponse::decode(r, 9)?;
            assert!(it.topics[0].partitions.iter().all(|it| it.error_code == 3));
            Ok(())
        });
    }
}
