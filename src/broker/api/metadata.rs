//! `Metadata`: brokers, and topics by name, by id, or all of them.

use super::Body;
use super::metadata_change::{CLUSTER_OPERATIONS, OPERATIONS_OMITTED, TOPIC_OPERATIONS};
use super::request::decode_start_in_parts;
use crate::controller::{Image, Partition, Topic};
use crate::types::topic_name::{check_topic_name, is_internal};
use crate::types::{ErrorCode, TopicId};
use crate::wire::kafka::metadata_request::{MetadataRequest, MetadataRequestTopic};
use crate::wire::kafka::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use crate::wire::primitives::{WireError, Writer};
use std::collections::BTreeSet;

/// The first version whose arrays are compact.
const FLEXIBLE_FROM: i16 = 9;

/// An answer, and what it lacks.
#[derive(Debug)]
pub struct MetadataAnswer {
    /// Body of the response.
    pub response: Body,
    /// Topics that the client allows to be created by asking for them, and that are not there. The
    /// shard lets [`auto_create`](super::create_topics::auto_create) create them, waits for its image to
    /// have them, and answers the request again; what is still not there then cannot be created.
    pub create: Vec<String>,
}

/// Answers a request, in any version. Pauses after each topic and each partition.
pub async fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<MetadataAnswer, WireError> {
    // librdkafka 2.12 has bytes behind a request for all topics, of version 13.
    let read = decode_start_in_parts(body, async |r| {
        MetadataRequest::decode_in_parts(r, version, pause).await
    });
    let request = read.await?;
    let mut found = Vec::new();
    let operations = if request.include_topic_authorized_operations {
        TOPIC_OPERATIONS
    } else {
        OPERATIONS_OMITTED
    };
    let mut create = Vec::new();
    let asked = match &request.topics {
        // Version 0 has no null.
        Some(topics) if topics.is_empty() && version == 0 => None,
        topics => topics.as_ref(),
    };
    let mut ids = BTreeSet::new();
    for topic in asked.into_iter().flatten() {
        if is_invalid(topic, version) {
            let response = refuse(asked.into_iter().flatten(), version, pause).await?;
            return Ok(MetadataAnswer { response, create });
        }
        if topic.topic_id != TopicId::ZERO {
            ids.insert(topic.topic_id);
        }
        pause().await;
    }
    match asked {
        None => {
            for topic in image.topics() {
                found.push(Found::Topic(topic));
                pause().await;
            }
        }
        Some(_) if !ids.is_empty() => {
            for id in ids {
                found.push(match image.topic_by_id(id) {
                    Some(topic) => Found::Topic(topic),
                    None => Found::Failed(failed(ErrorCode::UNKNOWN_TOPIC_ID, None, id)),
                });
                pause().await;
            }
        }
        Some(topics) => {
            let may_create = request.allow_auto_topic_creation
                && image.broker_configs.is_on("auto.create.topics.enable");
            let mut seen = BTreeSet::new();
            for name in topics.iter().filter_map(|it| it.name) {
                pause().await;
                if !seen.insert(name) {
                    continue;
                }
                let fail = |error| {
                    Found::Failed(MetadataResponseTopic {
                        topic_authorized_operations: operations,
                        ..failed(error, Some(name), TopicId::ZERO)
                    })
                };
                found.push(if let Some(topic) = image.topic(name) {
                    Found::Topic(topic)
                } else if check_topic_name(name).is_err() {
                    fail(ErrorCode::INVALID_TOPIC_EXCEPTION)
                } else {
                    if may_create {
                        create.push(name.to_owned());
                    }
                    fail(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
                });
            }
        }
    }
    let include = request.include_cluster_authorized_operations;
    let response = MetadataResponse {
        throttle_time_ms: 0,
        brokers: brokers(image),
        cluster_id: Some(&image.cluster_id),
        controller_id: image.controller_id,
        topics: Vec::new(),
        cluster_authorized_operations: if include {
            CLUSTER_OPERATIONS
        } else {
            OPERATIONS_OMITTED
        },
        error_code: ErrorCode::NONE.0,
    };
    let mut w = Writer::with_capacity(256);
    response.encode(&mut w, version)?;
    let flexible = version >= FLEXIBLE_FROM;
    let behind = 4 * usize::from((8..=10).contains(&version))
        + 2 * usize::from(version >= 13)
        + usize::from(flexible);
    let tail = w.open_array(found.len(), flexible, behind)?;
    for it in found {
        match it {
            Found::Topic(topic) => {
                put_topic(&mut w, version, topic, operations, image, pause).await?;
            }
            Found::Failed(topic) => topic.encode(&mut w, version)?,
        }
        pause().await;
    }
    w.raw(&tail);
    Ok(MetadataAnswer { response: w.into(), create })
}

fn brokers(image: &Image) -> Vec<MetadataResponseBroker<'_>> {
    let there = image.brokers().filter(|it| !it.fenced);
    let brokers = there.map(|it| MetadataResponseBroker {
        node_id: it.id,
        host: &it.host,
        port: it.port.into(),
        rack: it.rack.as_deref(),
    });
    brokers.collect()
}

/// A topic of the answer.
enum Found<'a> {
    Topic(&'a Topic),
    Failed(MetadataResponseTopic<'a>),
}

async fn put_topic(
    w: &mut Writer,
    version: i16,
    topic: &Topic,
    operations: i32,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<(), WireError> {
    let without = MetadataResponseTopic {
        error_code: ErrorCode::NONE.0,
        name: Some(&topic.name),
        topic_id: topic.id,
        is_internal: is_internal(&topic.name),
        partitions: Vec::new(),
        topic_authorized_operations: operations,
    };
    without.encode(w, version)?;
    let flexible = version >= FLEXIBLE_FROM;
    let behind = 4 * usize::from(version >= 8) + usize::from(flexible);
    let tail = w.open_array(topic.partitions.len(), flexible, behind)?;
    for (it, index) in topic.partitions.iter().zip(0..) {
        partition(it, index, version, image).encode(w, version)?;
        pause().await;
    }
    w.raw(&tail);
    Ok(())
}

fn failed(error: ErrorCode, name: Option<&str>, topic_id: TopicId) -> MetadataResponseTopic<'_> {
    MetadataResponseTopic {
        error_code: error.0,
        name,
        topic_id,
        is_internal: name.is_some_and(is_internal),
        ..MetadataResponseTopic::default()
    }
}

/// Versions 10 and 11 have ids and cannot ask by them; a topic has a name or an id.
fn is_invalid(topic: &MetadataRequestTopic<'_>, version: i16) -> bool {
    if version < 12 {
        topic.name.is_none() || topic.topic_id != TopicId::ZERO
    } else {
        topic.name.is_none() && topic.topic_id == TopicId::ZERO
    }
}

async fn refuse<'a>(
    topics: impl Iterator<Item = &'a MetadataRequestTopic<'a>>,
    version: i16,
    pause: &impl AsyncFn(),
) -> Result<Body, WireError> {
    let mut response = MetadataResponse::default();
    for it in topics {
        let name = Some(it.name.unwrap_or_default());
        response.topics.push(failed(ErrorCode::INVALID_REQUEST, name, it.topic_id));
        pause().await;
    }
    Body::in_parts(async |w| response.encode_in_parts(w, version, pause).await).await
}

/// The first version shows only brokers that are there, and says where some are not.
fn partition(it: &Partition, index: i32, version: i16, image: &Image) -> MetadataResponsePartition {
    let there = |all: &[i32]| -> Vec<i32> {
        all.iter().copied().filter(|id| version > 0 || image.is_unfenced(*id)).collect()
    };
    let mut error = leader_error(it, image);
    let (replica_nodes, isr_nodes) = (there(&it.replicas), there(&it.isr));
    if error == ErrorCode::NONE && replica_nodes.len() < it.replicas.len() {
        error = ErrorCode::REPLICA_NOT_AVAILABLE;
    }
    MetadataResponsePartition {
        error_code: error.0,
        partition_index: index,
        leader_id: leader(it, image),
        leader_epoch: it.leader_epoch,
        replica_nodes,
        isr_nodes,
        offline_replicas: offline(it, image),
    }
}

/// The leader, as far as it is there.
pub(super) fn leader(it: &Partition, image: &Image) -> i32 {
    if image.is_unfenced(it.leader) { it.leader } else { -1 }
}

/// Replicas on brokers that are not there.
pub(super) fn offline(it: &Partition, image: &Image) -> Vec<i32> {
    it.replicas.iter().copied().filter(|id| !image.is_unfenced(*id)).collect()
}

/// What stands against asking a partition's leader.
pub(super) fn leader_error(it: &Partition, image: &Image) -> ErrorCode {
    if image.is_unfenced(it.leader) { ErrorCode::NONE } else { ErrorCode::LEADER_NOT_AVAILABLE }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{cluster, decode, encode, id, image};
    use crate::controller::Record;
    use futures_lite::future::block_on;
    use std::collections::BTreeMap;
    use std::sync::Arc;

    #[test]
    fn who_is_fenced_is_not_there() {
        let mut image = cluster(3);
        image.apply(&Record::BrokerFenced { broker: 2 });
        let ask = |image: &Image, version: i16| {
            let request =
                MetadataRequest { topics: Some(vec![named("three")]), ..Default::default() };
            let body = encode(|w| request.encode(w, version));
            let response = answer(&body, version, image).response;
            let response = decode(&response, |r| MetadataResponse::decode(r, version));
            let brokers: Vec<i32> = response.brokers.iter().map(|it| it.node_id).collect();
            (brokers, response.topics[0].partitions[0].clone())
        };
        let (brokers, it) = ask(&image, 0);
        assert_eq!(brokers, [1, 3]);
        assert_eq!(it.error_code, ErrorCode::REPLICA_NOT_AVAILABLE.0);
        assert_eq!((it.leader_id, it.replica_nodes, it.isr_nodes), (1, vec![1, 3], vec![1, 3]));
        let (brokers, it) = ask(&image, 13);
        assert_eq!((brokers, it.error_code), (vec![1, 3], 0));
        assert_eq!((it.replica_nodes, it.offline_replicas), (vec![1, 2, 3], vec![2]));

        image.apply(&Record::BrokerShuttingDown { broker: 3 });
        assert_eq!(ask(&image, 13).0, [1, 3], "it serves until it is gone");
        image.apply(&Record::BrokerFenced { broker: 1 });
        let (_, it) = ask(&image, 13);
        assert_eq!((it.error_code, it.leader_id), (ErrorCode::LEADER_NOT_AVAILABLE.0, -1));
    }

    fn named(name: &str) -> MetadataRequestTopic<'_> {
        MetadataRequestTopic { name: Some(name), ..MetadataRequestTopic::default() }
    }

    fn answer(body: &[u8], version: i16, image: &Image) -> MetadataAnswer {
        block_on(handle(body, version, image, &async || {})).unwrap()
    }

    fn run(request: &MetadataRequest<'_>, version: i16) -> MetadataAnswer {
        answer(&encode(|w| request.encode(w, version)), version, &image())
    }

    fn read(answer: &MetadataAnswer, version: i16) -> MetadataResponse<'_> {
        decode(&answer.response, |r| MetadataResponse::decode(r, version))
    }

    fn ask(topics: Option<Vec<MetadataRequestTopic<'_>>>) -> MetadataRequest<'_> {
        MetadataRequest { topics, ..MetadataRequest::default() }
    }

    #[test]
    fn all_topics_and_none_in_every_version() {
        for version in 0..=13 {
            let all = if version == 0 { Some(vec![]) } else { None };
            let answer = run(&ask(all), version);
            let response = read(&answer, version);
            let names: Vec<_> = response.topics.iter().filter_map(|it| it.name).collect();
            assert_eq!(names, ["dotted.name", "exists"]);
            let broker = &response.brokers[0];
            assert_eq!((broker.node_id, broker.host, broker.port), (1, "host", 9092));
            let topic = &response.topics[1];
            assert_eq!((topic.error_code, topic.partitions.len()), (0, 2));
            let partition = &topic.partitions[1];
            assert_eq!((partition.partition_index, partition.leader_id), (1, 1));
            assert_eq!(
                (&partition.replica_nodes[..], &partition.isr_nodes[..]),
                (&[1][..], &[1][..])
            );
            assert_eq!(topic.topic_authorized_operations, i32::MIN);
            assert!(answer.create.is_empty());
            if version >= 1 {
                assert_eq!(response.controller_id, 1);
                assert!(read(&run(&ask(Some(vec![])), version), version).topics.is_empty());
            }
            if version >= 2 {
                assert_eq!(response.cluster_id, Some("cluster"));
            }
            if version >= 7 {
                assert_eq!(partition.leader_epoch, 0);
            }
            if version >= 10 {
                assert_eq!(topic.topic_id, id(1));
            }
        }
    }

    #[test]
    fn unknown_names_are_to_be_created_if_allowed() {
        for version in 0..=13 {
            let names =
                ["new", "exists", "a b", "new", "__transaction_state", "__consumer_offsets"];
            let mut request = ask(Some(names.map(named).to_vec()));
            let answer = run(&request, version);
            let response = read(&answer, version);
            let found: Vec<_> = response
                .topics
                .iter()
                .map(|it| (it.name.unwrap(), ErrorCode(it.error_code)))
                .collect();
            assert_eq!(
                found,
                [
                    ("new", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                    ("exists", ErrorCode::NONE),
                    ("a b", ErrorCode::INVALID_TOPIC_EXCEPTION),
                    ("__transaction_state", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                    ("__consumer_offsets", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
                ]
            );
            assert_eq!(answer.create, ["new", "__transaction_state", "__consumer_offsets"]);
            if version >= 1 {
                assert!(response.topics[3].is_internal);
            }
            if version >= 4 {
                request.allow_auto_topic_creation = false;
                assert!(run(&request, version).create.is_empty());
            }
        }
        let off = BTreeMap::from([("auto.create.topics.enable".to_owned(), "false".to_owned())]);
        let image = Image::new("cluster", 1, Arc::new(off));
        let request = ask(Some(vec![named("new")]));
        let answer = answer(&encode(|w| request.encode(w, 9)), 9, &image);
        assert!(answer.create.is_empty());
    }

    #[test]
    fn topics_by_id() {
        let by_id = |topic_id| MetadataRequestTopic { topic_id, name: None };
        for version in 12..=13 {
            let answer = run(&ask(Some(vec![by_id(id(1)), by_id(id(9))])), version);
            let response = read(&answer, version);
            let found: Vec<_> = response
                .topics
                .iter()
                .map(|it| (it.name, it.topic_id, ErrorCode(it.error_code)))
                .collect();
            assert_eq!(
                found,
                [
                    (Some("exists"), id(1), ErrorCode::NONE),
                    (None, id(9), ErrorCode::UNKNOWN_TOPIC_ID),
                ]
            );
            assert!(answer.create.is_empty());
        }
        for version in 10..=11 {
            let answer = run(&ask(Some(vec![by_id(id(1))])), version);
            let response = read(&answer, version);
            assert_eq!(response.topics[0].error_code, ErrorCode::INVALID_REQUEST.0);
            assert!(response.brokers.is_empty(), "as Kafka answers what it refuses");
        }
    }

    #[test]
    fn operations_are_given_when_asked_for() {
        for version in 8..=13 {
            let mut request = ask(None);
            request.include_topic_authorized_operations = true;
            request.include_cluster_authorized_operations = version <= 10;
            let answer = run(&request, version);
            let response = read(&answer, version);
            assert_eq!(response.topics[0].topic_authorized_operations, 3576);
            if version <= 10 {
                assert_eq!(response.cluster_authorized_operations, 8096);
            }
        }
    }
}
