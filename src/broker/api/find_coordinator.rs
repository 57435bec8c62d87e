//! FindCoordinator (KIP-699 for several keys at once): which broker looks after a group, a transactional id,
//! or the state of a share-partition.

use super::Body;
use super::decode;
use super::share_fetch::disabled;
use crate::controller::{Broker, Image};
use crate::types::topic_name::{GROUP_STATE, SHARE_STATE, TRANSACTION_STATE};
use crate::types::{ErrorCode, TopicId, TopicPartition};
use crate::wire::WireError;
use crate::wire::kafka::find_coordinator_request::FindCoordinatorRequest;
use crate::wire::kafka::find_coordinator_response::{Coordinator, FindCoordinatorResponse};

/// Kafka's number for groups.
const GROUP: i8 = 0;
/// Kafka's number for transactional ids.
const TRANSACTION: i8 = 1;
/// Kafka's number for share-partitions.
const SHARE: i8 = 2;

/// An answer, and what it lacks.
#[derive(Debug)]
pub struct CoordinatorAnswer {
    /// Body of the response.
    pub response: Body,
    /// The topic of their state is needed and not there. As with
    /// [`metadata`](super::metadata::MetadataAnswer::create), the shard has it created and answers again.
    pub create: Option<&'static str>,
}

/// Where the state of a group is: its partition of `__consumer_offsets`, if the topic is there.
pub fn partition_of(group_id: &str, image: &Image) -> Option<TopicPartition> {
    partition_in(GROUP_STATE, group_id, image)
}

/// Where the state of a transactional id is: its partition of `__transaction_state`, if the topic is there.
pub fn transaction_partition_of(transactional_id: &str, image: &Image) -> Option<TopicPartition> {
    partition_in(TRANSACTION_STATE, transactional_id, image)
}

/// Where the state of a share-partition is: its partition of `__share_group_state`, if the topic is there.
pub fn share_partition_of(
    group_id: &str,
    topic: TopicId,
    partition: i32,
    image: &Image,
) -> Option<TopicPartition> {
    partition_in(SHARE_STATE, &format!("{group_id}:{topic}:{partition}"), image)
}

/// Whether a key names a share-partition: group, topic id and partition number, with colons between.
fn is_share_key(key: &str) -> bool {
    let mut parts = key.rsplitn(3, ':');
    let partition = parts.next().is_some_and(|it| it.parse::<i32>().is_ok_and(|it| it >= 0));
    let topic = parts.next().is_some_and(|it| it.len() == 22);
    partition && topic && parts.next().is_some_and(|it| !it.trim().is_empty())
}

fn partition_in(topic: &str, key: &str, image: &Image) -> Option<TopicPartition> {
    let topic = image.topic(topic)?;
    let partition = partition_among(key, topic.partitions.len());
    Some(TopicPartition { topic: topic.id, partition })
}

/// Kafka's choice among so many partitions: the hash of Java's strings, and its absolute value,
/// where that of the least number is 0.
fn partition_among(key: &str, partitions: usize) -> i32 {
    let hash = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(unit.into());
    let hash = key.encode_utf16().fold(0i32, hash);
    hash.checked_abs().unwrap_or(0) % (partitions.max(1) as i32)
}

/// Answers a request, in any version.
pub fn handle(body: &[u8], version: i16, image: &Image) -> Result<CoordinatorAnswer, WireError> {
    let request = decode(body, |r| FindCoordinatorRequest::decode(r, version))?;
    let mut create = None;
    let mut find = |key: &str| {
        let topic = match request.key_type {
            GROUP => GROUP_STATE,
            TRANSACTION => TRANSACTION_STATE,
            SHARE if disabled(image).is_none() && is_share_key(key) => SHARE_STATE,
            _ => return Err(ErrorCode::INVALID_REQUEST),
        };
        coordinator_of(topic, key, image).ok_or_else(|| {
            if image.topic(topic).is_none() {
                create = Some(topic);
            }
            ErrorCode::COORDINATOR_NOT_AVAILABLE
        })
    };
    let response = if version >= 4 {
        let each = request.coordinator_keys.iter();
        FindCoordinatorResponse {
            coordinators: each.map(|it| found(it, find(it))).collect(),
            ..Default::default()
        }
    } else {
        let found = found("", find(request.key));
        FindCoordinatorResponse {
            error_code: found.error_code,
            error_message: if version >= 1 { found.error_message } else { None },
            node_id: found.node_id,
            host: found.host,
            port: found.port,
            ..Default::default()
        }
    };
    let response = Body::new(|w| response.encode(w, version))?;
    Ok(CoordinatorAnswer { response, create })
}

fn coordinator_of<'a>(topic: &str, key: &str, image: &'a Image) -> Option<&'a Broker> {
    let partition = partition_in(topic, key, image)?.partition;
    let partitions = &image.topic(topic)?.partitions;
    image.broker(partitions.get(partition as usize)?.leader).map(|it| &**it).filter(|it| !it.fenced)
}

fn found<'a>(key: &'a str, result: Result<&'a Broker, ErrorCode>) -> Coordinator<'a> {
    match result {
        Ok(broker) => Coordinator {
            key,
            node_id: broker.id,
            host: &broker.host,
            port: broker.port.into(),
            error_code: ErrorCode::NONE.0,
            error_message: None,
        },
        Err(error) => Coordinator {
            key,
            node_id: -1,
            host: "",
            port: -1,
            error_code: error.0,
            error_message: Some(error.message()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::create_topics::auto_create;
    use crate::broker::api::testing::{decode, encode, ids, image};
    use crate::controller::Record;
    use futures_lite::future::block_on;

    fn with_topic() -> Image {
        let (mut image, mut ids) = (image(), ids());
        let (names, before) = ([GROUP_STATE.to_owned()], image.clone());
        for record in block_on(auto_create(&names, &before, &mut ids, &async || {})) {
            image.apply(&record);
        }
        image
    }

    /// Hashes are those of Java.
    #[test]
    fn chooses_as_java_does() {
        for (group, hash) in
            [("", 0), ("a", 97), ("test-group", 627_841_412_i64), ("größe \u{1f600}", 175_604_178)]
        {
            assert_eq!(
                i64::from(partition_among(group, 1_000_000_007)),
                hash.abs() % 1_000_000_007,
                "{group}"
            );
        }
        // The least number has no absolute value.
        assert_eq!(partition_among("polygenelubricants", 50), 0);
        assert_eq!(partition_of("g", &image()), None);
        let tp = partition_of("g", &with_topic()).unwrap();
        assert_eq!(tp.partition, 103 % 50);
    }

    #[test]
    fn every_version_finds_this_broker() {
        for version in 0..=6 {
            let mut request = FindCoordinatorRequest::default();
            if version >= 4 {
                request.coordinator_keys = vec!["a", "b"];
            } else {
                request.key = "a";
            }
            let body = encode(|w| request.encode(w, version));
            let missing = handle(&body, version, &image()).unwrap();
            assert_eq!(missing.create, Some(GROUP_STATE));
            let response =
                decode(&missing.response, |r| FindCoordinatorResponse::decode(r, version));
            let code = if version >= 4 {
                response.coordinators[1].error_code
            } else {
                response.error_code
            };
            assert_eq!(code, ErrorCode::COORDINATOR_NOT_AVAILABLE.0);

            let answer = handle(&body, version, &with_topic()).unwrap();
            assert_eq!(answer.create, None);
            let response =
                decode(&answer.response, |r| FindCoordinatorResponse::decode(r, version));
            let all = if version >= 4 {
                let keys: Vec<_> = response.coordinators.iter().map(|it| it.key).collect();
                assert_eq!(keys, ["a", "b"]);
                response.coordinators
            } else {
                let (node_id, host, port) = (response.node_id, response.host, response.port);
                let error_code = response.error_code;
                vec![Coordinator { node_id, host, port, error_code, ..Default::default() }]
            };
            for it in all {
                assert_eq!((it.node_id, it.host, it.port, it.error_code), (1, "host", 9092, 0));
            }
        }
    }

    #[test]
    fn the_topic_of_transactions_is_created_when_it_is_needed() {
        let request = FindCoordinatorRequest {
            key_type: TRANSACTION,
            coordinator_keys: vec!["a"],
            ..Default::default()
        };
        let body = encode(|w| request.encode(w, 6));
        let answer = handle(&body, 6, &with_topic()).unwrap();
        assert_eq!(answer.create, Some(TRANSACTION_STATE));
        let response = decode(&answer.response, |r| FindCoordinatorResponse::decode(r, 6));
        let code = response.coordinators[0].error_code;
        assert_eq!(code, ErrorCode::COORDINATOR_NOT_AVAILABLE.0);
    }

    #[test]
    fn share_partitions_have_coordinators_by_group_topic_and_partition() {
        let mut image = with_topic();
        image.apply(&Record::FeatureLevelSet { name: "share.version".into(), level: 1 });
        let key = format!("a:b:{}:3", TopicId([7; 16]));
        let request = |key| FindCoordinatorRequest {
            key_type: SHARE,
            coordinator_keys: vec![key],
            ..Default::default()
        };
        let body = encode(|w| request(&*key).encode(w, 6));
        assert_eq!(handle(&body, 6, &image).unwrap().create, Some(SHARE_STATE));
        for key in ["a", "a:b:3", "a:AAAAAAAAAAAAAAAAAAAAAA:-1", ":AAAAAAAAAAAAAAAAAAAAAA:1"] {
            let body = encode(|w| request(key).encode(w, 6));
            let answer = handle(&body, 6, &image).unwrap();
            let response = decode(&answer.response, |r| FindCoordinatorResponse::decode(r, 6));
            let code = ErrorCode::INVALID_REQUEST.0;
            assert_eq!((response.coordinators[0].error_code, answer.create), (code, None), "{key}");
        }
        image.apply(&Record::FeatureLevelSet { name: "share.version".into(), level: 0 });
        let body = encode(|w| request(&*key).encode(w, 6));
        assert_eq!(handle(&body, 6, &image).unwrap().create, None);
    }

    #[test]
    fn other_coordinators_are_not_here() {
        for (key_type, code) in [(2, ErrorCode::INVALID_REQUEST), (77, ErrorCode::INVALID_REQUEST)]
        {
            let request = FindCoordinatorRequest {
                key_type,
                coordinator_keys: vec!["a"],
                ..Default::default()
            };
            let body = encode(|w| request.encode(w, 6));
            let answer = handle(&body, 6, &image()).unwrap();
            assert_eq!(answer.create, None);
            let response = decode(&answer.response, |r| FindCoordinatorResponse::decode(r, 6));
            let it = &response.coordinators[0];
            assert_eq!((it.error_code, it.node_id, it.port), (code.0, -1, -1));
        }
    }
}
