//! DescribeShareGroupOffsets, AlterShareGroupOffsets, DeleteShareGroupOffsets (KIP-932): where share groups begin.

use super::share_fetch::message;
use super::{Response, decode};
use crate::types::{ErrorCode, TopicId};
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::alter_share_group_offsets_request::AlterShareGroupOffsetsRequest;
use crate::wire::kafka::alter_share_group_offsets_response as altered;
use crate::wire::kafka::delete_share_group_offsets_request::DeleteShareGroupOffsetsRequest;
use crate::wire::kafka::delete_share_group_offsets_response as deleted;
use crate::wire::kafka::describe_share_group_offsets_request::{
    DescribeShareGroupOffsetsRequest, DescribeShareGroupOffsetsRequestGroup,
};
use crate::wire::kafka::describe_share_group_offsets_response as described;

/// A group to describe, and of which topics which partitions; all where nothing is named.
pub type Describe = (String, Option<Vec<(String, Vec<i32>)>>);

/// Reads a `DescribeShareGroupOffsets`.
pub fn plan_describe(body: &[u8], version: i16) -> Result<Vec<Describe>, WireError> {
    let request = decode(body, |r| DescribeShareGroupOffsetsRequest::decode(r, version))?;
    let group = |it: &DescribeShareGroupOffsetsRequestGroup<'_>| {
        let topics = it.topics.as_ref().map(|topics| {
            topics.iter().map(|it| (it.topic_name.to_owned(), it.partitions.clone())).collect()
        });
        (it.group_id.to_owned(), topics)
    };
    Ok(request.groups.iter().map(group).collect())
}

/// Where a group is in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// Partition number.
    pub partition: i32,
    /// Nothing below is delivered any more; -1 where the start was not chosen yet.
    pub start: i64,
    /// The epoch of the last leader that is known.
    pub leader_epoch: i32,
    /// Records that are not delivered yet; -1 where that is not known.
    pub lag: i64,
    /// What went wrong.
    pub error: ErrorCode,
}

impl Offset {
    /// It is not known.
    pub const fn failed(partition: i32, error: ErrorCode) -> Self {
        Self { partition, start: -1, leader_epoch: 0, lag: -1, error }
    }
}

/// A topic of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfTopic<T> {
    /// Its name.
    pub name: String,
    /// Its id; zero where there is no such topic.
    pub id: TopicId,
    /// What there is to say.
    pub partitions: T,
}

/// A group of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The group.
    pub group: String,
    /// What went wrong.
    pub error: ErrorCode,
    /// Its topics.
    pub topics: Vec<OfTopic<Vec<Offset>>>,
}

/// The answer to a `DescribeShareGroupOffsets`.
pub fn describe_response(
    header: &RequestHeader<'_>,
    groups: &[Described],
) -> Result<Response, WireError> {
    let partition = |it: &Offset| described::DescribeShareGroupOffsetsResponsePartition {
        partition_index: it.partition,
        start_offset: it.start,
        leader_epoch: it.leader_epoch,
        lag: it.lag,
        error_code: it.error.0,
        error_message: message(it.error),
    };
    let groups = groups.iter().map(|it| described::DescribeShareGroupOffsetsResponseGroup {
        group_id: &it.group,
        topics: it
            .topics
            .iter()
            .map(|it| described::DescribeShareGroupOffsetsResponseTopic {
                topic_name: &it.name,
                topic_id: it.id,
                partitions: it.partitions.iter().map(partition).collect(),
            })
            .collect(),
        error_code: it.error.0,
        error_message: message(it.error),
    });
    let response = described::DescribeShareGroupOffsetsResponse {
        throttle_time_ms: 0,
        groups: groups.collect(),
    };
    Response::new(header, |w| response.encode(w, header.version))
}

/// A group, and where it is to begin: by topic, partitions and offsets.
pub type Alter = (String, Vec<(String, Vec<(i32, i64)>)>);

/// Reads an `AlterShareGroupOffsets`.
pub fn plan_alter(body: &[u8], version: i16) -> Result<Alter, WireError> {
    let request = decode(body, |r| AlterShareGroupOffsetsRequest::decode(r, version))?;
    let topics = request.topics.iter().map(|it| {
        let partitions = it.partitions.iter().map(|it| (it.partition_index, it.start_offset));
        (it.topic_name.to_owned(), partitions.collect())
    });
    Ok((request.group_id.to_owned(), topics.collect()))
}

/// The answer to an `AlterShareGroupOffsets`: by partition, what went wrong.
pub fn alter_response(
    header: &RequestHeader<'_>,
    error: ErrorCode,
    topics: &[OfTopic<Vec<(i32, ErrorCode)>>],
) -> Result<Response, WireError> {
    let partition = |(partition_index, error): &(i32, ErrorCode)| {
        altered::AlterShareGroupOffsetsResponsePartition {
            partition_index: *partition_index,
            error_code: error.0,
            error_message: message(*error),
        }
    };
    let responses = topics.iter().map(|it| altered::AlterShareGroupOffsetsResponseTopic {
        topic_name: &it.name,
        topic_id: it.id,
        partitions: it.partitions.iter().map(partition).collect(),
    });
    let response = altered::AlterShareGroupOffsetsResponse {
        throttle_time_ms: 0,
        error_code: error.0,
        error_message: message(error),
        responses: responses.collect(),
    };
    Response::new(header, |w| response.encode(w, header.version))
}

/// Reads a `DeleteShareGroupOffsets`: a group and topics.
pub fn plan_delete(body: &[u8], version: i16) -> Result<(String, Vec<String>), WireError> {
    let request = decode(body, |r| DeleteShareGroupOffsetsRequest::decode(r, version))?;
    let topics = request.topics.iter().map(|it| it.topic_name.to_owned());
    Ok((request.group_id.to_owned(), topics.collect()))
}

/// The answer to a `DeleteShareGroupOffsets`: by topic, what went wrong.
pub fn delete_response(
    header: &RequestHeader<'_>,
    error: ErrorCode,
    topics: &[OfTopic<ErrorCode>],
) -> Result<Response, WireError> {
    let responses = topics.iter().map(|it| deleted::DeleteShareGroupOffsetsResponseTopic {
        topic_name: &it.name,
        topic_id: it.id,
        error_code: it.partitions.0,
        error_message: message(it.partitions),
    });
    let response = deleted::DeleteShareGroupOffsetsResponse {
        throttle_time_ms: 0,
        error_code: error.0,
        error_message: message(error),
        responses: responses.collect(),
    };
    Response::new(header, |w| response.encode(w, header.version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{body_of, encode, header};
    use crate::wire::api_keys::ApiKey;
    use crate::wire::kafka::alter_share_group_offsets_request as alter;
    use crate::wire::kafka::delete_share_group_offsets_request as delete;
    use crate::wire::kafka::describe_share_group_offsets_request as describe;

    const ID: TopicId = TopicId([3; 16]);

    #[test]
    fn describe_both_ways() {
        for version in 0..=1 {
            let topic = describe::DescribeShareGroupOffsetsRequestTopic {
                topic_name: "t",
                partitions: vec![0, 2],
            };
            let group = |group_id, topics| describe::DescribeShareGroupOffsetsRequestGroup {
                group_id,
                topics,
            };
            let groups = vec![group("g", Some(vec![topic])), group("all", None)];
            let request = DescribeShareGroupOffsetsRequest { groups };
            let body = encode(|w| request.encode(w, version));
            let read = plan_describe(&body, version).unwrap();
            let named = Some(vec![("t".to_owned(), vec![0, 2])]);
            assert_eq!(read, [("g".to_owned(), named), ("all".to_owned(), None)]);
            let offset =
                Offset { partition: 2, start: 5, leader_epoch: 1, lag: 7, error: ErrorCode::NONE };
            let topics = vec![OfTopic { name: "t".to_owned(), id: ID, partitions: vec![offset] }];
            let group = "g".to_owned();
            let answer = [Described { group, error: ErrorCode::NONE, topics }];
            let header = header(ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS, version);
            let sent = describe_response(&header, &answer).unwrap();
            body_of(&sent, ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS, version, |r| {
                let it = described::DescribeShareGroupOffsetsResponse::decode(r, version)?;
                let it = &it.groups[0].topics[0].partitions[0];
                let lag = if version >= 1 { 7 } else { -1 };
                assert_eq!((it.start_offset, it.lag), (5, lag));
                Ok(())
            });
        }
    }

    #[test]
    fn alter_and_delete_both_ways() {
        let partition =
            alter::AlterShareGroupOffsetsRequestPartition { partition_index: 1, start_offset: 9 };
        let topics = vec![alter::AlterShareGroupOffsetsRequestTopic {
            topic_name: "t",
            partitions: vec![partition],
        }];
        let request = AlterShareGroupOffsetsRequest { group_id: "g", topics };
        let read = plan_alter(&encode(|w| request.encode(w, 0)), 0).unwrap();
        assert_eq!(read, ("g".to_owned(), vec![("t".to_owned(), vec![(1, 9)])]));
        let partitions = vec![(1, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)];
        let topics = [OfTopic { name: "t".to_owned(), id: ID, partitions }];
        let sent =
            alter_response(&header(ApiKey::ALTER_SHARE_GROUP_OFFSETS, 0), ErrorCode::NONE, &topics);
        body_of(&sent.unwrap(), ApiKey::ALTER_SHARE_GROUP_OFFSETS, 0, |r| {
            let it = altered::AlterShareGroupOffsetsResponse::decode(r, 0)?;
            assert_eq!(it.responses[0].partitions[0].error_code, 3);
            Ok(())
        });
        let topics = vec![delete::DeleteShareGroupOffsetsRequestTopic { topic_name: "t" }];
        let request = DeleteShareGroupOffsetsRequest { group_id: "g", topics };
        let read = plan_delete(&encode(|w| request.encode(w, 0)), 0).unwrap();
        assert_eq!(read, ("g".to_owned(), vec!["t".to_owned()]));
        let topics = [OfTopic { name: "t".to_owned(), id: ID, partitions: ErrorCode::NONE }];
        let header = header(ApiKey::DELETE_SHARE_GROUP_OFFSETS, 0);
        let sent = delete_response(&header, ErrorCode::NON_EMPTY_GROUP, &topics).unwrap();
        body_of(&sent, ApiKey::DELETE_SHARE_GROUP_OFFSETS, 0, |r| {
            let it = deleted::DeleteShareGroupOffsetsResponse::decode(r, 0)?;
            assert_eq!((it.error_code, it.responses[0].error_code), (68, 0));
            Ok(())
        });
    }
}
