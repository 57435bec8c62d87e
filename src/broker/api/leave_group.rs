//! LeaveGroup: members go; one, or from version 3 (KIP-345) several.

use super::Response;
use super::decode;
use crate::group::{Leave, Leaving, Left};
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::leave_group_request::LeaveGroupRequest;
use crate::wire::kafka::leave_group_response::{LeaveGroupResponse, MemberResponse};

/// Reads a request.
pub fn plan(body: &[u8], version: i16) -> Result<Leave, WireError> {
    let request = decode(body, |r| LeaveGroupRequest::decode(r, version))?;
    let members = if version >= 3 {
        let each = request.members.iter().map(|it| Leaving {
            member_id: it.member_id.to_owned(),
            group_instance_id: it.group_instance_id.map(str::to_owned),
        });
        each.collect()
    } else {
        vec![Leaving { member_id: request.member_id.to_owned(), group_instance_id: None }]
    };
    Ok(Leave { group_id: request.group_id.to_owned(), members })
}

/// The answer.
pub fn response(header: &RequestHeader<'_>, left: &Left) -> Result<Response, WireError> {
    let version = header.version;
    let mut error_code = left.error.0;
    let mut members = Vec::new();
    if version >= 3 {
        members.extend(left.members.iter().map(|it| MemberResponse {
            member_id: &it.member_id,
            group_instance_id: it.group_instance_id.as_deref(),
            error_code: it.error.0,
        }));
    } else if error_code == 0 {
        // The only member's error is that of the request.
        error_code = left.members.first().map_or(0, |it| it.error.0);
    }
    let response = LeaveGroupResponse { throttle_time_ms: 0, error_code, members };
    Response::new(header, |w| response.encode(w, version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{body_of, encode, header};
    use crate::group::LeftMember;
    use crate::types::ErrorCode;
    use crate::wire::api_keys::ApiKey;
    use crate::wire::kafka::leave_group_request::MemberIdentity;

    #[test]
    fn every_version_both_ways() {
        for version in 0..=5 {
            let mut request = LeaveGroupRequest { group_id: "g", ..Default::default() };
            if version >= 3 {
                let member = |member_id| MemberIdentity { member_id, ..Default::default() };
                request.members = vec![member("a"), member("b")];
            } else {
                request.member_id = "a";
            }
            let body = encode(|w| request.encode(w, version));
            let leave = plan(&body, version).unwrap();
            assert_eq!(leave.members.len(), if version >= 3 { 2 } else { 1 });
            assert_eq!(leave.members[0].member_id, "a");

            let member = |member_id: &str, error| LeftMember {
                member_id: member_id.into(),
                group_instance_id: None,
                error,
            };
            let left = Left {
                error: ErrorCode::NONE,
                members: vec![
                    member("a", ErrorCode::UNKNOWN_MEMBER_ID),
                    member("b", ErrorCode::NONE),
                ],
            };
            let sent = response(&header(ApiKey::LEAVE_GROUP, version), &left).unwrap();
            body_of(&sent, ApiKey::LEAVE_GROUP, version, |r| {
                let it = LeaveGroupResponse::decode(r, version)?;
                let errors: Vec<_> =
                    it.members.iter().map(|m| (m.member_id, m.error_code)).collect();
                if version >= 3 {
                    assert_eq!((it.error_code, &errors[..]), (0, &[("a", 25), ("b", 0)][..]));
                } else {
                    assert_eq!(it.error_code, 25);
                }
                Ok(())
            });
            let refused = Left::refused(&leave, ErrorCode::NOT_COORDINATOR);
            let sent = response(&header(ApiKey::LEAVE_GROUP, version), &refused).unwrap();
            body_of(&sent, ApiKey::LEAVE_GROUP, version, |r| {
                assert_eq!(LeaveGroupResponse::decode(r, version)?.error_code, 16);
                Ok(())
            });
        }
    }
}
