//! ShareGroupDescribe (KIP-932): state, epochs and members of share groups.

use super::Response;
use super::decode;
use super::metadata_change::OPERATIONS_OMITTED;
use super::response::begin;
use super::share_fetch::disabled;
use crate::controller::Image;
use crate::group::{ConsumerDescribe, ConsumerDescribed, ConsumerDescribedMember};
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::share_group_describe_request::ShareGroupDescribeRequest;
use crate::wire::kafka::share_group_describe_response::{
    Assignment, DescribedGroup, Member, ShareGroupDescribeResponse, TopicPartitions,
};

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
    let request = decode(body, |r| ShareGroupDescribeRequest::decode(r, version))?;
    let groups = request.group_ids.iter().map(|it| ConsumerDescribe { group_id: (*it).to_owned() });
    Ok(Plan {
        groups: groups.collect(),
        refused: disabled(image),
        operations: request.include_authorized_operations,
    })
}

fn member(it: &ConsumerDescribedMember) -> Member<'_> {
    let assigned = it.assigned.iter().map(|it| TopicPartitions {
        topic_id: it.id,
        topic_name: &it.name,
        partitions: it.partitions.clone(),
    });
    Member {
        member_id: &it.member_id,
        rack_id: it.rack_id.as_deref(),
        member_epoch: it.member_epoch,
        client_id: &it.client_id,
        client_host: &it.client_host,
        subscribed_topic_names: it.topics.iter().map(String::as_str).collect(),
        assignment: Assignment { topic_partitions: assigned.collect() },
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
        ShareGroupDescribeResponse::default().encode(&mut w, version)?;
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
    use crate::group::DescribedTopic;
    use crate::types::TopicId;
    use crate::wire::api_keys::ApiKey;
    use futures_lite::future::block_on;

    #[test]
    fn both_ways() {
        let request = ShareGroupDescribeRequest {
            group_ids: vec!["g", "none"],
            include_authorized_operations: true,
        };
        let body = encode(|w| request.encode(w, 1));
        let plan = plan(&body, 1, &image()).unwrap();
        let topic =
            DescribedTopic { id: TopicId([1; 16]), name: "t".to_owned(), partitions: vec![0, 1] };
        let found = ConsumerDescribed {
            state: "Stable",
            epoch: 4,
            target_epoch: 3,
            assignor: "simple".to_owned(),
            members: vec![ConsumerDescribedMember {
                member_id: "m".to_owned(),
                instance_id: None,
                rack_id: Some("r".to_owned()),
                member_epoch: 3,
                client_id: "c".to_owned(),
                client_host: "/h".to_owned(),
                topics: vec!["t".to_owned()],
                regex: None,
                assigned: vec![topic],
                target: Vec::new(),
                classic: false,
            }],
            ..ConsumerDescribed::refused("g".to_owned(), ErrorCode::NONE, None)
        };
        let why = Some("Group none not found.".into());
        let gone =
            ConsumerDescribed::refused("none".to_owned(), ErrorCode::GROUP_ID_NOT_FOUND, why);
        let header = header(ApiKey::SHARE_GROUP_DESCRIBE, 1);
        let sent = block_on(plan.response(&header, vec![found, gone], async || {})).unwrap();
        body_of(&sent, ApiKey::SHARE_GROUP_DESCRIBE, 1, |r| {
            let it = ShareGroupDescribeResponse::decode(r, 1)?;
            let group = &it.groups[0];
            assert_eq!((group.group_state, group.assignor_name), ("Stable", "simple"));
            assert_eq!(group.members[0].assignment.topic_partitions[0].partitions, [0, 1]);
            assert_eq!((it.groups[1].error_code, it.groups[1].group_id), (69, "none"));
            Ok(())
        });
    }
}
