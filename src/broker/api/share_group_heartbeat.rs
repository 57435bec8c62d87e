//! ShareGroupHeartbeat (KIP-932): a member of a share group joins, stays or leaves, and hears what it is to read.

use super::Response;
use super::decode_in_parts;
use super::join_group::Caller;
use super::share_fetch::disabled;
use crate::controller::Image;
use crate::group::{ConsumerHeartbeaten, ShareHeartbeat};
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::share_group_heartbeat_request::ShareGroupHeartbeatRequest;
use crate::wire::kafka::share_group_heartbeat_response::{
    Assignment, ShareGroupHeartbeatResponse, TopicPartitions,
};

/// Reads a request; the refusal where the cluster does not have share groups. Pauses after each element.
pub async fn plan(
    body: &[u8],
    version: i16,
    caller: Caller<'_>,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Result<ShareHeartbeat, ConsumerHeartbeaten>, WireError> {
    let request = decode_in_parts(body, async |r| {
        ShareGroupHeartbeatRequest::decode_in_parts(r, version, pause).await
    })
    .await?;
    if let Some(error) = disabled(image) {
        return Ok(Err(ConsumerHeartbeaten::refused(error, None)));
    }
    let mut topics = request.subscribed_topic_names.is_some().then(Vec::new);
    for it in request.subscribed_topic_names.iter().flatten() {
        topics.get_or_insert_default().push((*it).to_owned());
        pause().await;
    }
    Ok(Ok(ShareHeartbeat {
        group_id: request.group_id.to_owned(),
        member_id: request.member_id.to_owned(),
        member_epoch: request.member_epoch,
        rack_id: request.rack_id.map(str::to_owned),
        topics,
        client_id: caller.client_id.to_owned(),
        client_host: format!("/{}", caller.host),
    }))
}

/// The answer.
pub fn response(
    header: &RequestHeader<'_>,
    it: ConsumerHeartbeaten,
) -> Result<Response, WireError> {
    let topic = |(topic_id, partitions)| TopicPartitions { topic_id, partitions };
    let response = ShareGroupHeartbeatResponse {
        throttle_time_ms: 0,
        error_code: it.error.0,
        error_message: it.error_message.as_deref(),
        member_id: it.member_id.as_deref(),
        member_epoch: it.member_epoch,
        heartbeat_interval_ms: it.heartbeat_interval_ms,
        assignment: it
            .assignment
            .map(|set| Assignment { topic_partitions: set.into_iter().map(topic).collect() }),
    };
    Response::new(header, |w| response.encode(w, header.version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{NO_PAUSE, body_of, encode, header, image};
    use crate::controller::Record;
    use crate::types::{ErrorCode, TopicId};
    use crate::wire::api_keys::ApiKey;
    use futures_lite::future::block_on;

    #[test]
    fn both_ways() {
        let mut image = image();
        image.apply(&Record::FeatureLevelSet { name: "share.version".into(), level: 1 });
        let request = ShareGroupHeartbeatRequest {
            group_id: "g",
            member_id: "m",
            member_epoch: 0,
            rack_id: Some("r"),
            subscribed_topic_names: Some(vec!["t"]),
        };
        let body = encode(|w| request.encode(w, 1));
        let caller = Caller { client_id: "c", host: "127.0.0.1", uuid: "" };
        let read = block_on(plan(&body, 1, caller, &image, &NO_PAUSE)).unwrap();
        let expected = ShareHeartbeat {
            group_id: "g".to_owned(),
            member_id: "m".to_owned(),
            member_epoch: 0,
            rack_id: Some("r".to_owned()),
            topics: Some(vec!["t".to_owned()]),
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
        };
        assert_eq!(read, Ok(expected));
        let topic = TopicId([1; 16]);
        let answer = ConsumerHeartbeaten {
            member_id: Some("m".to_owned()),
            member_epoch: 2,
            heartbeat_interval_ms: 5_000,
            assignment: Some([(topic, vec![0, 1])].into()),
            ..ConsumerHeartbeaten::refused(ErrorCode::NONE, None)
        };
        let sent = response(&header(ApiKey::SHARE_GROUP_HEARTBEAT, 1), answer).unwrap();
        body_of(&sent, ApiKey::SHARE_GROUP_HEARTBEAT, 1, |r| {
            let it = ShareGroupHeartbeatResponse::decode(r, 1)?;
            assert_eq!((it.member_id, it.member_epoch), (Some("m"), 2));
            let assigned = it.assignment.unwrap();
            assert_eq!(assigned.topic_partitions[0].partitions, [0, 1]);
            Ok(())
        });
    }

    #[test]
    fn a_cluster_without_share_groups_says_so() {
        let mut image = image();
        image.apply(&Record::FeatureLevelSet { name: "share.version".into(), level: 0 });
        let body = encode(|w| ShareGroupHeartbeatRequest::default().encode(w, 1));
        let caller = Caller { client_id: "c", host: "h", uuid: "" };
        let refused = block_on(plan(&body, 1, caller, &image, &NO_PAUSE)).unwrap();
        assert_eq!(refused.map_err(|it| it.error), Err(ErrorCode::UNSUPPORTED_VERSION));
    }
}
