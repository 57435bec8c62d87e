//! DescribeGroups: state and members of groups.

use super::Response;
use super::decode;
use super::metadata_change::OPERATIONS_OMITTED;
use super::response::begin;
use crate::group::{Describe, Described};
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::describe_groups_request::DescribeGroupsRequest;
use crate::wire::kafka::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};

/// Bits of the operations on a group that a client may carry out, where nothing is forbidden: read,
/// delete, describe, describe and alter configs.
pub(super) const GROUP_OPERATIONS: i32 = 0b1101_0100_1000;

/// What is asked for.
#[derive(Debug)]
pub struct Plan {
    /// The groups, in the order of the request.
    pub groups: Vec<Describe>,
    operations: bool,
}

/// Reads a request.
pub fn plan(body: &[u8], version: i16) -> Result<Plan, WireError> {
    let request = decode(body, |r| DescribeGroupsRequest::decode(r, version))?;
    let groups = request.groups.iter().map(|it| Describe { group_id: (*it).to_owned() });
    Ok(Plan { groups: groups.collect(), operations: request.include_authorized_operations })
}

impl Plan {
    /// The answer, with what the coordinators said, in the order of the request. Pauses after each group
    /// and each of its members.
    pub async fn response(
        &self,
        header: &RequestHeader<'_>,
        described: Vec<Described>,
        pause: impl AsyncFn(),
    ) -> Result<Response, WireError> {
        let version = header.version;
        let flexible = version >= 5;
        let mut w = begin(header);
        DescribeGroupsResponse::default().encode(&mut w, version)?;
        let tail = w.open_array(described.len(), flexible, flexible.into())?;
        for it in described {
            // Older clients know a group that does not exist by its state.
            let unknown = version < 6 && it.error == ErrorCode::GROUP_ID_NOT_FOUND;
            let error = if unknown { ErrorCode::NONE } else { it.error };
            let shown = self.operations && !error.is_err();
            let group = DescribedGroup {
                error_code: error.0,
                error_message: if version >= 6 { it.error_message.as_deref() } else { None },
                group_id: &it.group_id,
                group_state: it.state,
                protocol_type: &it.protocol_type,
                protocol_data: &it.protocol_data,
                members: Vec::new(),
                authorized_operations: if shown { GROUP_OPERATIONS } else { OPERATIONS_OMITTED },
            };
            group.encode(&mut w, version)?;
            let behind = 4 * usize::from(version >= 3) + usize::from(flexible);
            let after_members = w.open_array(it.members.len(), flexible, behind)?;
            for member in it.members {
                let member = DescribedGroupMember {
                    member_id: &member.member_id,
                    group_instance_id: member.group_instance_id.as_deref(),
                    client_id: &member.client_id,
                    client_host: &member.client_host,
                    member_metadata: &member.metadata,
                    member_assignment: &member.assignment,
                };
                member.encode(&mut w, version)?;
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
    use crate::broker::api::testing::{body_of, encode, header};
    use crate::group::DescribedMember;
    use crate::wire::api_keys::ApiKey;
    use futures_lite::future::block_on;

    #[test]
    fn every_version_both_ways() {
        for version in 0..=6 {
            let request = DescribeGroupsRequest {
                groups: vec!["g", "none"],
                include_authorized_operations: version >= 3,
            };
            let body = encode(|w| request.encode(w, version));
            let plan = plan(&body, version).unwrap();
            let ids: Vec<_> = plan.groups.iter().map(|it| &*it.group_id).collect();
            assert_eq!(ids, ["g", "none"]);
            let found = Described {
                error: ErrorCode::NONE,
                error_message: None,
                group_id: "g".into(),
                state: "Stable",
                protocol_type: "consumer".into(),
                protocol_data: "range".into(),
                members: vec![DescribedMember {
                    member_id: "m".into(),
                    group_instance_id: (version >= 4).then(|| "static".into()),
                    client_id: "c".into(),
                    client_host: "/h".into(),
                    metadata: bytes::Bytes::from_static(b"a"),
                    assignment: bytes::Bytes::from_static(b"b"),
                }],
            };
            let why = Some("Group none not found.".to_owned());
            let gone = Described::refused("none", ErrorCode::GROUP_ID_NOT_FOUND, why);
            let header = header(ApiKey::DESCRIBE_GROUPS, version);
            let answer = plan.response(&header, vec![found, gone], async || {});
            let sent = block_on(answer).unwrap();
            body_of(&sent, ApiKey::DESCRIBE_GROUPS, version, |r| {
                let it = DescribeGroupsResponse::decode(r, version)?;
                let member = &it.groups[0].members[0];
                assert_eq!((member.client_id, member.client_host), ("c", "/h"));
                assert_eq!(
                    (member.member_metadata, member.member_assignment),
                    (&b"a"[..], &b"b"[..])
                );
                assert_eq!(member.group_instance_id, (version >= 4).then_some("static"));
                let allowed = if version >= 3 { GROUP_OPERATIONS } else { OPERATIONS_OMITTED };
                assert_eq!(it.groups[0].authorized_operations, allowed);
                let gone = &it.groups[1];
                assert_eq!(gone.group_state, "Dead");
                assert_eq!(gone.error_code, if version >= 6 { 69 } else { 0 });
                assert_eq!(gone.error_message.is_some(), version >= 6);
                Ok(())
            });
        }
    }
}
