//! ConsumerGroupDescribe (KIP-848): state, epochs and members of consumer groups.

use super::Response;
use super::consumer_group_heartbeat::disabled;
use super::decode;
use super::metadata_change::OPERATIONS_OMITTED;
use super::response::begin;
use crate::controller::Image;
use crate::group::{ConsumerDescribe, ConsumerDescribed, ConsumerDescribedMember, DescribedTopic};
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::consumer_group_describe_request::ConsumerGroupDescribeRequest;
use crate::wire::kafka::consumer_group_describe_response::{
    Assignment, ConsumerGroupDescribeResponse, DescribedGroup, Member, TopicPartitions,
};

/// `MemberType` of members of the classic and of the new protocol.
const CLASSIC: i8 = 0;
const CONSUMER: i8 = 1;

/// What is asked for.
#[derive(Debug)]
pub struct Plan {
    /// The groups, in the order of the request.
    pub groups: Vec<ConsumerDescribe>,
    /// The answer for each of them, where nobody is asked.
    pub refused: Option<ErrorCode>,
    operations: bool,
}

/// Reads a request.
pub fn plan(body: &[u8], version: i16, image: &Image) -> Result<Plan, WireError> {
    let request = decode(body, |r| ConsumerGroupDescribeRequest::decode(r, version))?;
    let groups = request.group_ids.iter().map(|it| ConsumerDescribe { group_id: (*it).to_owned() });
    Ok(Plan {
        groups: groups.collect(),
        refused: disabled(image),
        operations: request.include_authorized_operations,
    })
}

fn topic(it: &DescribedTopic) -> TopicPartitions<'_> {
    let partitions = it.partitions.clone();
    TopicPartitions { topic_id: it.id, topic_name: &it.name, partitions }
}

fn assignment(topics: &[DescribedTopic]) -> Assignment<'_> {
    Assignment { topic_partitions: topics.iter().map(topic).collect() }
}

fn member(it: &ConsumerDescribedMember) -> Member<'_> {
    Member {
        member_id: &it.member_id,
        instance_id: it.instance_id.as_deref(),
        rack_id: it.rack_id.as_deref(),
        member_epoch: it.member_epoch,
        client_id: &it.client_id,
        client_host: &it.client_host,
        subscribed_topic_names: it.topics.iter().map(String::as_str).collect(),
        subscribed_topic_regex: it.regex.as_deref(),
        assignment: assignment(&it.assigned),
        target_assignment: assignment(&it.target),
        member_type: if it.classic { CLASSIC } else { CONSUMER },
    }
}

impl Plan {
    /// The answer, with what the coordinators said, in the order of the request. Pauses after each group
    /// and each of its members.
    pub async fn response(
        &self,
        header: &RequestHeader<'_>,
        described: Vec<ConsumerDescribed>,
        pause: impl AsyncFn(),
    ) -> Result<Response, WireError> {
        let version = header.version;
        let mut w = begin(header);
        ConsumerGroupDescribeResponse::default().encode(&mut w, version)?;
        let tail = w.open_array(described.len(), true, 1)?;
        for it in described {
            let shown = self.operations && !it.error.is_err();
            let operations = super::describe_groups::GROUP_OPERATIONS;
            let group = DescribedGroup {
                error_code: it.error.0,
                error_message: it.error_message.as_deref(),
                group_id: &it.group_id,
                group_state: it.state,
                group_epoch: it.epoch,
                assignment_epoch: it.target_epoch,
                assignor_name: &it.assignor,
                members: Vec::new(),
                authorized_operations: if shown { operations } else { OPERATIONS_OMITTED },
            };
            group.encode(&mut w, version)?;
            // Behind the members: operations and no tagged field.
            let after_members = w.open_array(it.members.len(), true, 5)?;
            for it in &it.members {
                member(it).encode(&mut w, version)?;
                pause().await;
            }
            w.raw(&after_members);
            pause().await;
        }
        w.raw(&tail);
        Ok(Response::from_writer(w))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{body_of, encode, header, image};
    use crate::types::TopicId;
    use crate::wire::api_keys::ApiKey;
    use futures_lite::future::block_on;

    #[test]
    fn every_version_both_ways() {
        for version in 0..=1 {
            let request = ConsumerGroupDescribeRequest {
                group_ids: vec!["g", "none"],
                include_authorized_operations: true,
            };
            let body = encode(|w| request.encode(w, version));
            let plan = plan(&body, version, &image()).unwrap();
            let ids: Vec<_> = plan.groups.iter().map(|it| &*it.group_id).collect();
            assert_eq!(ids, ["g", "none"]);
            let topic = |partitions| DescribedTopic {
                id: TopicId([1; 16]),
                name: "t".to_owned(),
                partitions,
            };
            let found = ConsumerDescribed {
                state: "Stable",
                epoch: 4,
                target_epoch: 3,
                assignor: "uniform".to_owned(),
                members: vec![ConsumerDescribedMember {
                    member_id: "m".to_owned(),
                    instance_id: None,
                    rack_id: Some("r".to_owned()),
                    member_epoch: 3,
                    client_id: "c".to_owned(),
                    client_host: "/h".to_owned(),
                    topics: vec!["t".to_owned()],
                    regex: Some("a.*".to_owned()),
                    assigned: vec![topic(vec![0])],
                    target: vec![topic(vec![0, 1])],
                    classic: true,
                }],
                ..ConsumerDescribed::refused("g".to_owned(), ErrorCode::NONE, None)
            };
            let (error, why) =
                (ErrorCode::GROUP_ID_NOT_FOUND, Some("Group none not found.".into()));
            let gone = ConsumerDescribed::refused("none".to_owned(), error, why);
            let header = header(ApiKey::CONSUMER_GROUP_DESCRIBE, version);
            let answer = plan.response(&header, vec![found, gone], async || {});
            let sent = block_on(answer).unwrap();
            body_of(&sent, ApiKey::CONSUMER_GROUP_DESCRIBE, version, |r| {
                let it = ConsumerGroupDescribeResponse::decode(r, version)?;
                let group = &it.groups[0];
                assert_eq!((group.group_epoch, group.assignment_epoch), (4, 3));
                assert_eq!(
                    group.authorized_operations,
                    super::super::describe_groups::GROUP_OPERATIONS
                );
                let member = &group.members[0];
                assert_eq!(member.assignment.topic_partitions[0].partitions, [0]);
                assert_eq!(member.target_assignment.topic_partitions[0].partitions, [0, 1]);
                assert_eq!(member.member_type, if version >= 1 { CLASSIC } else { -1 });
                assert_eq!((it.groups[1].error_code, it.groups[1].group_id), (69, "none"));
                assert_eq!(it.groups[1].authorized_operations, OPERATIONS_OMITTED);
                Ok(())
            });
        }
    }
}
