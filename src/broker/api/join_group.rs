//! JoinGroup: a member takes part in a group's next generation.

use super::Response;
use super::decode_in_parts;
use crate::group::{Join, Joined, Protocol};
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::join_group_request::JoinGroupRequest;
use crate::wire::kafka::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use bytes::Bytes;

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// `client.id` of the request's header.
    pub client_id: &'a str,
    /// Its address, without the port.
    pub host: &'a str,
    /// A random UUID, for a new member's id.
    pub uuid: &'a str,
}

/// Reads a request. Pauses after each protocol.
pub async fn plan(
    body: &[u8],
    version: i16,
    caller: Caller<'_>,
    pause: &impl AsyncFn(),
) -> Result<Join, WireError> {
    let request =
        decode_in_parts(body, async |r| JoinGroupRequest::decode_in_parts(r, version, pause).await)
            .await?;
    let owned = |it: Option<&str>| it.map(str::to_owned);
    let mut protocols = Vec::with_capacity(request.protocols.len());
    for it in &request.protocols {
        let metadata = Bytes::copy_from_slice(it.metadata);
        protocols.push(Protocol { name: it.name.to_owned(), metadata });
        pause().await;
    }
    let begins = request.group_instance_id.unwrap_or(caller.client_id);
    Ok(Join {
        group_id: request.group_id.to_owned(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        member_id: request.member_id.to_owned(),
        group_instance_id: owned(request.group_instance_id),
        protocol_type: request.protocol_type.to_owned(),
        protocols,
        reason: owned(request.reason),
        client_id: caller.client_id.to_owned(),
        client_host: format!("/{}", caller.host),
        fresh_member_id: format!("{begins}-{}", caller.uuid),
        requires_known_member_id: version >= 4,
        supports_skip_assignment: version >= 9,
    })
}

/// The answer. Pauses after each member.
pub async fn response(
    header: &RequestHeader<'_>,
    joined: &Joined,
    pause: &impl AsyncFn(),
) -> Result<Response, WireError> {
    let version = header.version;
    let mut members = Vec::with_capacity(joined.members.len());
    for it in &joined.members {
        members.push(JoinGroupResponseMember {
            member_id: &it.member_id,
            group_instance_id: it.group_instance_id.as_deref(),
            metadata: &it.metadata,
        });
        pause().await;
    }
    let protocol_name = joined.protocol_name.as_deref();
    let response = JoinGroupResponse {
        throttle_time_ms: 0,
        error_code: joined.error.0,
        generation_id: joined.generation_id,
        protocol_type: joined.protocol_type.as_deref(),
        // Null is for version 7 and later.
        protocol_name: if version >= 7 { protocol_name } else { protocol_name.or(Some("")) },
        leader: &joined.leader,
        // A member of an older version was never told so.
        skip_assignment: version >= 9 && joined.skip_assignment,
        member_id: &joined.member_id,
        members,
    };
    Response::in_parts(header, async |w| response.encode_in_parts(w, version, pause).await).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{NO_PAUSE, body_of, encode, header};
    use crate::group::JoinMember;
    use crate::types::ErrorCode;
    use crate::wire::api_keys::ApiKey;
    use crate::wire::kafka::join_group_request::JoinGroupRequestProtocol;
    use futures_lite::future::block_on;

    const CALLER: Caller<'_> = Caller { client_id: "me", host: "10.0.0.1", uuid: "1-2" };

    #[test]
    fn reads_every_version() {
        for version in 0..=9 {
            let request = JoinGroupRequest {
                group_id: "g",
                session_timeout_ms: 6000,
                rebalance_timeout_ms: if version >= 1 { 9000 } else { -1 },
                member_id: "",
                group_instance_id: (version >= 5).then_some("static"),
                protocol_type: "consumer",
                protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: b"m" }],
                reason: (version >= 8).then_some("why"),
            };
            let body = encode(|w| request.encode(w, version));
            let join = block_on(plan(&body, version, CALLER, &NO_PAUSE)).unwrap();
            let begins = if version >= 5 { "static" } else { "me" };
            assert_eq!(join.fresh_member_id, format!("{begins}-1-2"));
            assert_eq!(join.client_host, "/10.0.0.1");
            assert_eq!(join.rebalance_timeout_ms, request.rebalance_timeout_ms);
            assert_eq!(join.group_instance_id.as_deref(), request.group_instance_id);
            assert_eq!(join.requires_known_member_id, version >= 4);
            assert_eq!(join.supports_skip_assignment, version == 9);
            let range = Protocol { name: "range".into(), metadata: Bytes::from_static(b"m") };
            assert_eq!(join.protocols, [range]);
            let cut = &body[..body.len() - 1];
            assert!(block_on(plan(cut, version, CALLER, &NO_PAUSE)).is_err());
        }
    }

    #[test]
    fn writes_every_version() {
        for version in 0..=9 {
            let joined = Joined {
                error: ErrorCode::NONE,
                generation_id: 3,
                protocol_type: Some("consumer".into()),
                protocol_name: Some("range".into()),
                leader: "a".into(),
                skip_assignment: true,
                member_id: "a".into(),
                members: vec![JoinMember {
                    member_id: "a".into(),
                    group_instance_id: (version >= 5).then(|| "static".into()),
                    metadata: Bytes::from_static(b"m"),
                }],
            };
            let header = header(ApiKey::JOIN_GROUP, version);
            let sent = block_on(response(&header, &joined, &NO_PAUSE)).unwrap();
            body_of(&sent, ApiKey::JOIN_GROUP, version, |r| {
                let it = JoinGroupResponse::decode(r, version)?;
                assert_eq!((it.error_code, it.generation_id), (0, 3));
                assert_eq!((it.protocol_name, it.leader, it.member_id), (Some("range"), "a", "a"));
                assert_eq!(it.skip_assignment, version == 9);
                assert_eq!(it.members[0].metadata, b"m");
                Ok(())
            });
            let refused = Joined::refused("b", ErrorCode::UNKNOWN_MEMBER_ID);
            let sent = block_on(response(&header, &refused, &NO_PAUSE)).unwrap();
            body_of(&sent, ApiKey::JOIN_GROUP, version, |r| {
                let it = JoinGroupResponse::decode(r, version)?;
                assert_eq!((it.error_code, it.member_id, it.generation_id), (25, "b", -1));
                assert_eq!(it.protocol_name, (version < 7).then_some(""));
                Ok(())
            });
        }
    }
}
