//! SyncGroup: the leader brings the assignments of a generation, and each member gets its own.

use super::Response;
use super::decode_in_parts;
use crate::group::{Assignment, Sync, Synced};
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::sync_group_request::SyncGroupRequest;
use crate::wire::kafka::sync_group_response::SyncGroupResponse;
use bytes::Bytes;

/// Reads a request, or says why it is refused without asking the coordinator. Pauses after each member.
pub async fn plan(
    body: &[u8],
    version: i16,
    pause: &impl AsyncFn(),
) -> Result<Result<Sync, Synced>, WireError> {
    let request =
        decode_in_parts(body, async |r| SyncGroupRequest::decode_in_parts(r, version, pause).await)
            .await?;
    if version >= 5 && (request.protocol_type.is_none() || request.protocol_name.is_none()) {
        return Ok(Err(Synced::refused(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)));
    }
    let owned = |it: Option<&str>| it.map(str::to_owned);
    let mut assignments = Vec::with_capacity(request.assignments.len());
    for it in &request.assignments {
        let assignment = Bytes::copy_from_slice(it.assignment);
        assignments.push(Assignment { member_id: it.member_id.to_owned(), assignment });
        pause().await;
    }
    Ok(Ok(Sync {
        group_id: request.group_id.to_owned(),
        generation_id: request.generation_id,
        member_id: request.member_id.to_owned(),
        group_instance_id: owned(request.group_instance_id),
        protocol_type: owned(request.protocol_type),
        protocol_name: owned(request.protocol_name),
        assignments,
    }))
}

/// The answer.
pub fn response(header: &RequestHeader<'_>, synced: &Synced) -> Result<Response, WireError> {
    let response = SyncGroupResponse {
        throttle_time_ms: 0,
        error_code: synced.error.0,
        protocol_type: synced.protocol_type.as_deref(),
        protocol_name: synced.protocol_name.as_deref(),
        assignment: &synced.assignment,
    };
    Response::new(header, |w| response.encode(w, header.version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{NO_PAUSE, body_of, encode, header};
    use crate::wire::api_keys::ApiKey;
    use crate::wire::kafka::sync_group_request::SyncGroupRequestAssignment;
    use futures_lite::future::block_on;

    fn request(version: i16) -> SyncGroupRequest<'static> {
        SyncGroupRequest {
            group_id: "g",
            generation_id: 4,
            member_id: "a",
            group_instance_id: (version >= 3).then_some("static"),
            protocol_type: (version >= 5).then_some("consumer"),
            protocol_name: (version >= 5).then_some("range"),
            assignments: vec![SyncGroupRequestAssignment { member_id: "a", assignment: b"x" }],
        }
    }

    #[test]
    fn every_version_both_ways() {
        for version in 0..=5 {
            let body = encode(|w| request(version).encode(w, version));
            let sync = block_on(plan(&body, version, &NO_PAUSE)).unwrap().unwrap();
            assert_eq!((sync.generation_id, &*sync.member_id), (4, "a"));
            assert_eq!(sync.protocol_name.is_some(), version >= 5);
            assert_eq!(sync.group_instance_id.is_some(), version >= 3);
            assert_eq!(&*sync.assignments[0].assignment, b"x");

            let synced = Synced {
                error: ErrorCode::NONE,
                protocol_type: Some("consumer".into()),
                protocol_name: Some("range".into()),
                assignment: Bytes::from_static(b"mine"),
            };
            let sent = response(&header(ApiKey::SYNC_GROUP, version), &synced).unwrap();
            body_of(&sent, ApiKey::SYNC_GROUP, version, |r| {
                let it = SyncGroupResponse::decode(r, version)?;
                assert_eq!((it.error_code, it.assignment), (0, &b"mine"[..]));
                assert_eq!(it.protocol_type, (version >= 5).then_some("consumer"));
                Ok(())
            });
        }
    }

    #[test]
    fn from_version_5_the_protocol_is_named() {
        for unnamed in [
            SyncGroupRequest { protocol_type: None, ..request(5) },
            SyncGroupRequest { protocol_name: None, ..request(5) },
        ] {
            let body = encode(|w| unnamed.encode(w, 5));
            let refused = block_on(plan(&body, 5, &NO_PAUSE)).unwrap().unwrap_err();
            assert_eq!(refused.error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
    }
}
