//! LeaveGroup: members go; one, or from version 3 (KIP-345) several.

use super::Response;
use super::decode_in_parts;
use crate::group::{Leave, Leaving, Left};
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::leave_group_request::LeaveGroupRequest;
use crate::wire::kafka::leave_group_response::{LeaveGroupResponse, MemberResponse};

/// Reads a request. Pauses after each member.
pub async fn plan(body: &[u8], version: i16, pause: &impl AsyncFn()) -> Result<Leave, WireError> {
    let request = decode_in_parts(body, async |r| {
        LeaveGroupRequest::decode_in_parts(r, version, pause).await
    })
    .await?;
    let mut members = Vec::with_capacity(request.members.len().max(1));
    if version < 3 {
        members.push(Leaving { member_id: request.member_id.to_owned(), group_instance_id: None });
    }
    for it in &request.members {
        let group_instance_id = it.group_instance_id.map(str::to_owned);
        members.push(Leaving { member_id: it.member_id.to_owned(), group_instance_id });
        pause().await;
    }
    Ok(Leave { group_id: request.group_id.to_owned(), members })
}

/// The answer. Pauses after each member.
pub async fn response(
    header: &RequestHeader<'_>,
    left: &Left,
    pause: &impl AsyncFn(),
) -> Result<Response, WireError> {
    let version = header.version;
    let mut error_code = left.error.0;
    let mut members = Vec::new();
    if version >= 3 {
        members.reserve_exact(left.members.len());
        for it in &left.members {
            members.push(MemberResponse {
                member_id: &it.member_id,
                group_instance_id: it.group_instance_id.as_deref(),
                error_code: it.error.0,
            });
            pause().await;
        }
    } else if error_code == 0 {
        // The only member's error is that of the request.
        error_code = left.members.first().map_or(0, |it| it.error.0);
    }
    let response = LeaveGroupResponse { throttle_time_ms: 0, error_code, members };
    Response::in_parts(header, async |w| response.encode_in_parts(w, version, pause).await).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{NO_PAUSE, body_of, encode, header};
    use crate::group::LeftMember;
    use crate::types::ErrorCode;
    use crate::wire::api_keys::ApiKey;
    use crate::wire::kafka::leave_group_request::MemberIdentity;
    use futures_lite::future::block_on;

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
            let leave = block_on(plan(&body, version, &NO_PAUSE)).unwrap();
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
            let header = header(ApiKey::LEAVE_GROUP, version);
            let sent = block_on(response(&header, &left, &NO_PAUSE)).unwrap();
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
            let sent = block_on(response(&header, &refused, &NO_PAUSE)).unwrap();
            body_of(&sent, ApiKey::LEAVE_GROUP, version, |r| {
                assert_eq!(LeaveGroupResponse::decode(r, version)?.error_code, 16);
                Ok(())
            });
        }
    }
}
