//! ConsumerGroupHeartbeat (KIP-848): a member of a consumer group joins, stays or leaves, and hears what it is to have.

use super::Response;
use super::decode_in_parts;
use super::join_group::Caller;
use crate::controller::Image;
use crate::group::{ConsumerHeartbeat, ConsumerHeartbeaten, partitions};
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::consumer_group_heartbeat_request::ConsumerGroupHeartbeatRequest;
use crate::wire::kafka::consumer_group_heartbeat_response::{
    Assignment, ConsumerGroupHeartbeatResponse, TopicPartitions,
};

/// The first version whose members choose their ids themselves (KIP-1082).
const OWN_IDS_FROM: i16 = 1;

/// The refusal of a cluster that does not have the protocol: `group.version` is 0.
pub(super) fn disabled(image: &Image) -> Option<ErrorCode> {
    (image.feature_level("group.version") < 1).then_some(ErrorCode::UNSUPPORTED_VERSION)
}

/// Reads a request; the refusal where the cluster does not have the protocol. Pauses after each element.
pub async fn plan(
    body: &[u8],
    version: i16,
    caller: Caller<'_>,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Result<ConsumerHeartbeat, ConsumerHeartbeaten>, WireError> {
    let request = decode_in_parts(body, async |r| {
        ConsumerGroupHeartbeatRequest::decode_in_parts(r, version, pause).await
    })
    .await?;
    if let Some(error) = disabled(image) {
        return Ok(Err(ConsumerHeartbeaten::refused(error, None)));
    }
    let owned = |it: Option<&str>| it.map(str::to_owned);
    let mut topics = request.subscribed_topic_names.is_some().then(Vec::new);
    for it in request.subscribed_topic_names.iter().flatten() {
        topics.get_or_insert_default().push((*it).to_owned());
        pause().await;
    }
    let has = request.topic_partitions;
    let has =
        has.map(|it| partitions::collect(it.into_iter().map(|it| (it.topic_id, it.partitions))));
    Ok(Ok(ConsumerHeartbeat {
        group_id: request.group_id.to_owned(),
        member_id: request.member_id.to_owned(),
        fresh_member_id: caller.uuid.to_owned(),
        requires_member_id: version >= OWN_IDS_FROM,
        member_epoch: request.member_epoch,
        instance_id: owned(request.instance_id),
        rack_id: owned(request.rack_id),
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        topics,
        regex: owned(request.subscribed_topic_regex),
        server_assignor: owned(request.server_assignor),
        owned: has,
        client_id: caller.client_id.to_owned(),
        client_host: format!("/{}", caller.host),
    }))
}

/// The answer.
pub fn response(
    header: &RequestHeader<'_>,
    it: ConsumerHeartbeaten,
) -> Result<Response, WireError> {
    let assignment = it.assignment.map(|set| Assignment {
        topic_partitions: set
            .into_iter()
            .map(|(topic_id, partitions)| TopicPartitions { topic_id, partitions })
            .collect(),
    });
    let response = ConsumerGroupHeartbeatResponse {
        throttle_time_ms: 0,
        error_code: it.error.0,
        error_message: it.error_message.as_deref(),
        member_id: it.member_id.as_deref(),
        member_epoch: it.member_epoch,
        heartbeat_interval_ms: it.heartbeat_interval_ms,
        assignment,
    };
    Response::new(header, |w| response.encode(w, header.version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{NO_PAUSE, body_of, encode, header, image};
    use crate::controller::Record;
    use crate::types::TopicId;
    use crate::wire::api_keys::ApiKey;
    use crate::wire::kafka::consumer_group_heartbeat_request as wire;
    use futures_lite::future::block_on;

    const TOPIC: TopicId = TopicId([1; 16]);

    #[test]
    fn every_version_both_ways() {
        let mut image = image();
        image.apply(&Record::FeatureLevelSet { name: "group.version".into(), level: 1 });
        for version in 0..=1 {
            let request = ConsumerGroupHeartbeatRequest {
                group_id: "g",
                member_id: "m",
                member_epoch: 3,
                instance_id: Some("i"),
                rack_id: None,
                rebalance_timeout_ms: 5,
                subscribed_topic_names: Some(vec!["t"]),
                subscribed_topic_regex: (version >= 1).then_some("a.*"),
                server_assignor: Some("range"),
                topic_partitions: Some(vec![wire::TopicPartitions {
                    topic_id: TOPIC,
                    partitions: vec![2, 1],
                }]),
            };
            let body = encode(|w| request.encode(w, version));
            let caller = Caller { client_id: "c", host: "h", uuid: "u" };
            let plan =
                |image: &Image| block_on(plan(&body, version, caller, image, &NO_PAUSE)).unwrap();
            let read = plan(&image).unwrap();
            assert_eq!((&*read.group_id, &*read.member_id, read.member_epoch), ("g", "m", 3));
            assert_eq!(read.topics, Some(vec!["t".to_owned()]));
            assert_eq!(read.regex.is_some(), version >= 1);
            assert_eq!(read.requires_member_id, version >= 1);
            assert_eq!(read.owned.as_ref().unwrap()[&TOPIC], [1, 2]);
            assert_eq!((&*read.client_id, &*read.client_host), ("c", "/h"));
            let mut off = image.clone();
            off.apply(&Record::FeatureLevelSet { name: "group.version".into(), level: 0 });
            assert_eq!(plan(&off).unwrap_err().error, ErrorCode::UNSUPPORTED_VERSION);

            let answer = ConsumerHeartbeaten {
                member_id: Some("m".to_owned()),
                member_epoch: 4,
                heartbeat_interval_ms: 5_000,
                assignment: read.owned,
                ..ConsumerHeartbeaten::refused(ErrorCode::NONE, None)
            };
            let header = header(ApiKey::CONSUMER_GROUP_HEARTBEAT, version);
            let sent = response(&header, answer).unwrap();
            body_of(&sent, ApiKey::CONSUMER_GROUP_HEARTBEAT, version, |r| {
                let it = ConsumerGroupHeartbeatResponse::decode(r, version)?;
                assert_eq!((it.member_id, it.member_epoch), (Some("m"), 4));
                let told = it.assignment.unwrap().topic_partitions;
                assert_eq!((told[0].topic_id, &told[0].partitions[..]), (TOPIC, &[1, 2][..]));
                Ok(())
            });
        }
    }
}
