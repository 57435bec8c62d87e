//! Heartbeat: a member of a group says that it is there, and hears whether to rejoin.

use super::Response;
use super::decode;
use crate::group::{Heartbeat, Heartbeaten};
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::heartbeat_request::HeartbeatRequest;
use crate::wire::kafka::heartbeat_response::HeartbeatResponse;

/// Reads a request.
pub fn plan(body: &[u8], version: i16) -> Result<Heartbeat, WireError> {
    let request = decode(body, |r| HeartbeatRequest::decode(r, version))?;
    Ok(Heartbeat {
        group_id: request.group_id.to_owned(),
        generation_id: request.generation_id,
        member_id: request.member_id.to_owned(),
        group_instance_id: request.group_instance_id.map(str::to_owned),
    })
}

/// The answer.
pub fn response(header: &RequestHeader<'_>, answer: Heartbeaten) -> Result<Response, WireError> {
    let response = HeartbeatResponse { throttle_time_ms: 0, error_code: answer.error.0 };
    Response::new(header, |w| response.encode(w, header.version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{body_of, encode, header};
    use crate::types::ErrorCode;
    use crate::wire::api_keys::ApiKey;

    #[test]
    fn every_version_both_ways() {
        for version in 0..=4 {
            let request = HeartbeatRequest {
                group_id: "g",
                generation_id: 4,
                member_id: "a",
                group_instance_id: (version >= 3).then_some("static"),
            };
            let body = encode(|w| request.encode(w, version));
            let beat = plan(&body, version).unwrap();
            assert_eq!((&*beat.group_id, beat.generation_id, &*beat.member_id), ("g", 4, "a"));
            assert_eq!(beat.group_instance_id.is_some(), version >= 3);
            let answer = Heartbeaten { error: ErrorCode::REBALANCE_IN_PROGRESS };
            let sent = response(&header(ApiKey::HEARTBEAT, version), answer).unwrap();
            body_of(&sent, ApiKey::HEARTBEAT, version, |r| {
                assert_eq!(HeartbeatResponse::decode(r, version)?.error_code, 27);
                Ok(())
            });
        }
    }
}
