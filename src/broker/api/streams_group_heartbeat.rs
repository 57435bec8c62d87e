//! StreamsGroupHeartbeat (KIP-1071): a member of a streams group joins, stays or leaves, and hears of its tasks.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Response;
use super::decode_in_parts;
use super::join_group::Caller;
use super::response::begin;
use crate::controller::Image;
use crate::group::streams::tasks::{TaskIds, Tasks};
use crate::group::streams::topology::{
    CopartitionGroup, Subtopology, TopicInfo as Topic, Topology, Validating,
};
use crate::group::{Endpoint, StreamsHeartbeat, StreamsHeartbeaten};
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::streams_group_heartbeat_request as wire;
use crate::wire::kafka::streams_group_heartbeat_response::{
    Endpoint as At, EndpointToPartitions, Status, StreamsGroupHeartbeatResponse, TaskIds as Told,
    TopicPartition,
};

/// The refusal of a cluster that does not have streams groups: `streams.version` is 0.
pub fn disabled(image: &Image) -> Option<ErrorCode> {
    (image.feature_level("streams.version") < 1).then_some(ErrorCode::UNSUPPORTED_VERSION)
}

fn names(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|it| Arc::from(*it)).collect()
}

async fn topics(topics: &[wire::TopicInfo<'_>], pause: &impl AsyncFn()) -> Vec<Topic> {
    let mut read = Vec::with_capacity(topics.len());
    for it in topics {
        let configs = it.topic_configs.iter().map(|it| (it.key.into(), it.value.into()));
        read.push(Topic {
            name: it.name.into(),
            partitions: it.partitions,
            replication_factor: it.replication_factor,
            configs: configs.collect(),
        });
        pause().await;
    }
    read
}

async fn topology(declared: &wire::Topology<'_>, pause: &impl AsyncFn()) -> Topology {
    let mut subtopologies = Vec::with_capacity(declared.subtopologies.len());
    for it in &declared.subtopologies {
        let group = |it: &wire::CopartitionGroup| CopartitionGroup {
            source_topics: it.source_topics.clone(),
            source_topic_regex: it.source_topic_regex.clone(),
            repartition_source_topics: it.repartition_source_topics.clone(),
        };
        subtopologies.push(Subtopology {
            id: it.subtopology_id.into(),
            source_topics: names(&it.source_topics),
            source_topic_regex: names(&it.source_topic_regex),
            repartition_sink_topics: names(&it.repartition_sink_topics),
            repartition_source_topics: topics(&it.repartition_source_topics, pause).await,
            state_changelog_topics: topics(&it.state_changelog_topics, pause).await,
            copartition_groups: it.copartition_groups.iter().map(group).collect(),
        });
        pause().await;
    }
    Topology { epoch: declared.epoch, subtopologies }
}

async fn tasks(ids: &[wire::TaskIds<'_>], pause: &impl AsyncFn()) -> TaskIds {
    let mut set = TaskIds::new();
    for it in ids.iter().filter(|it| !it.partitions.is_empty()) {
        let numbers = set.entry(it.subtopology_id.into()).or_default();
        numbers.extend(&it.partitions);
        pause().await;
    }
    for numbers in set.values_mut() {
        numbers.sort_unstable();
        numbers.dedup();
        pause().await;
    }
    set
}

/// What Kafka 4.3 does not support yet, or what does not fit together.
fn refusal(request: &wire::StreamsGroupHeartbeatRequest<'_>) -> Option<(ErrorCode, String)> {
    let all = [&request.active_tasks, &request.standby_tasks, &request.warmup_tasks];
    let given = all.iter().filter(|it| it.is_some()).count();
    let why = if request.task_offsets.is_some() {
        "TaskOffsets are not supported yet."
    } else if request.task_end_offsets.is_some() {
        "TaskEndOffsets are not supported yet."
    } else if request.warmup_tasks.as_ref().is_some_and(|it| !it.is_empty()) {
        "WarmupTasks are not supported yet."
    } else if (1..3).contains(&given) {
        "If one task-type is non-null, all must be non-null."
    } else {
        return None;
    };
    Some((ErrorCode::INVALID_REQUEST, why.to_owned()))
}

/// Reads a request; the refusal where the cluster does not have streams groups. Pauses after each element.
pub async fn plan(
    body: &[u8],
    version: i16,
    caller: Caller<'_>,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Result<StreamsHeartbeat, Box<StreamsHeartbeaten>>, WireError> {
    let request = decode_in_parts(body, async |r| {
        wire::StreamsGroupHeartbeatRequest::decode_in_parts(r, version, pause).await
    })
    .await?;
    if let Some(error) = disabled(image) {
        return Ok(Err(Box::new(StreamsHeartbeaten::refused(error, None))));
    }
    let mut declared = None;
    if let Some(it) = &request.topology {
        let it = topology(it, pause).await;
        let mut validating = Validating::default();
        let valid = loop {
            match validating.step(&it, &mut 1) {
                Some(valid) => break valid,
                None => pause().await,
            }
        };
        if let Err(error) = valid {
            let why = Some(error.message().to_owned());
            return Ok(Err(Box::new(StreamsHeartbeaten::refused(error.code(), why))));
        }
        declared = Some(Arc::new(it));
    }
    let owned = match (&request.active_tasks, &request.standby_tasks, &request.warmup_tasks) {
        (Some(active), Some(standby), Some(warmup)) => Some(Tasks {
            active: tasks(active, pause).await,
            standby: tasks(standby, pause).await,
            warmup: tasks(warmup, pause).await,
        }),
        _ => None,
    };
    let tags = request.client_tags.as_ref().map(|tags| {
        let tags = tags.iter().map(|it| (it.key.to_owned(), it.value.to_owned()));
        tags.collect::<BTreeMap<_, _>>().into_iter().collect()
    });
    let endpoint = request.user_endpoint.as_ref();
    Ok(Ok(StreamsHeartbeat {
        group_id: request.group_id.to_owned(),
        member_id: request.member_id.to_owned(),
        member_epoch: request.member_epoch,
        endpoint_epoch: request.endpoint_information_epoch,
        instance_id: request.instance_id.map(str::to_owned),
        rack_id: request.rack_id.map(str::to_owned),
        rebalance_timeout_ms: request.rebalance_timeout_ms,
        topology: declared,
        owned,
        process_id: request.process_id.map(str::to_owned),
        endpoint: endpoint.map(|it| Endpoint { host: it.host.to_owned(), port: it.port }),
        client_tags: tags,
        shutdown: request.shutdown_application,
        refused: refusal(&request),
        client_id: caller.client_id.to_owned(),
        client_host: format!("/{}", caller.host),
    }))
}

fn told(ids: &TaskIds) -> Vec<Told<'_>> {
    ids.iter()
        .map(|(id, numbers)| Told { subtopology_id: id, partitions: numbers.clone() })
        .collect()
}

fn partitions(topics: &BTreeMap<Arc<str>, Vec<i32>>) -> Vec<TopicPartition<'_>> {
    topics
        .iter()
        .map(|(topic, numbers)| TopicPartition { topic, partitions: numbers.clone() })
        .collect()
}

/// The answer. Pauses after each element.
pub async fn response(
    header: &RequestHeader<'_>,
    it: &StreamsHeartbeaten,
    pause: &impl AsyncFn(),
) -> Result<Response, WireError> {
    let tasks = it.tasks.as_ref();
    let mut endpoints = it.endpoints.is_some().then(Vec::new);
    for (endpoint, it) in it.endpoints.iter().flatten() {
        endpoints.get_or_insert_default().push(EndpointToPartitions {
            user_endpoint: At { host: &endpoint.host, port: endpoint.port },
            active_partitions: partitions(&it.active),
            standby_partitions: partitions(&it.standby),
        });
        pause().await;
    }
    let statuses = it.statuses.iter();
    let statuses = statuses.map(|(it, why)| Status { status_code: it.code(), status_detail: why });
    let response = StreamsGroupHeartbeatResponse {
        throttle_time_ms: 0,
        error_code: it.error.0,
        error_message: it.error_message.as_deref(),
        member_id: &it.member_id,
        member_epoch: it.member_epoch,
        heartbeat_interval_ms: it.heartbeat_interval_ms,
        // Of warm-up tasks, of which there are none.
        acceptable_recovery_lag: 0,
        task_offset_interval_ms: 0,
        status: Some(statuses.collect()),
        active_tasks: tasks.map(|it| told(&it.active)),
        standby_tasks: tasks.map(|it| told(&it.standby)),
        warmup_tasks: tasks.map(|it| told(&it.warmup)),
        endpoint_information_epoch: it.endpoint_epoch,
        partitions_by_user_endpoint: endpoints,
    };
    let mut w = begin(header);
    response.encode_in_parts(&mut w, header.version, pause).await?;
    Ok(Response::from_writer(w))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{NO_PAUSE, body_of, encode, header, image};
    use crate::controller::Record;
    use crate::group::{EndpointPartitions, Status as GroupStatus};
    use crate::wire::api_keys::ApiKey;
    use futures_lite::future::block_on;

    const CALLER: Caller<'_> = Caller { client_id: "c", host: "127.0.0.1", uuid: "" };

    fn read(
        request: &wire::StreamsGroupHeartbeatRequest<'_>,
        image: &Image,
    ) -> Result<StreamsHeartbeat, Box<StreamsHeartbeaten>> {
        let body = encode(|w| request.encode(w, 0));
        block_on(plan(&body, 0, CALLER, image, &NO_PAUSE)).unwrap()
    }

    fn subtopology() -> wire::Subtopology<'static> {
        let topic = |name, partitions| wire::TopicInfo {
            name,
            partitions,
            replication_factor: 2,
            topic_configs: vec![wire::KeyValue { key: "k", value: "v" }],
        };
        wire::Subtopology {
            subtopology_id: "0",
            source_topics: vec!["a"],
            repartition_sink_topics: vec!["s"],
            repartition_source_topics: vec![topic("r", 4)],
            state_changelog_topics: vec![topic("cl", 0)],
            copartition_groups: vec![wire::CopartitionGroup {
                source_topics: vec![0],
                repartition_source_topics: vec![0],
                ..wire::CopartitionGroup::default()
            }],
            ..wire::Subtopology::default()
        }
    }

    fn request() -> wire::StreamsGroupHeartbeatRequest<'static> {
        let pair = |key, value| wire::KeyValue { key, value };
        wire::StreamsGroupHeartbeatRequest {
            group_id: "g",
            member_id: "m",
            endpoint_information_epoch: -1,
            rebalance_timeout_ms: 5,
            topology: Some(wire::Topology { epoch: 3, subtopologies: vec![subtopology()] }),
            active_tasks: Some(vec![wire::TaskIds { subtopology_id: "0", partitions: vec![2, 0] }]),
            standby_tasks: Some(Vec::new()),
            warmup_tasks: Some(Vec::new()),
            process_id: Some("p"),
            user_endpoint: Some(wire::Endpoint { host: "e", port: 65_535 }),
            client_tags: Some(vec![pair("b", "2"), pair("a", "1")]),
            shutdown_application: true,
            ..wire::StreamsGroupHeartbeatRequest::default()
        }
    }

    #[test]
    fn a_request_is_read() {
        let topic = |name: &str, partitions| Topic {
            name: name.into(),
            partitions,
            replication_factor: 2,
            configs: [("k".into(), "v".into())].into(),
        };
        let topology = Topology {
            epoch: 3,
            subtopologies: vec![Subtopology {
                id: "0".into(),
                source_topics: vec!["a".into()],
                source_topic_regex: Vec::new(),
                repartition_sink_topics: vec!["s".into()],
                repartition_source_topics: vec![topic("r", 4)],
                state_changelog_topics: vec![topic("cl", 0)],
                copartition_groups: vec![CopartitionGroup {
                    source_topics: vec![0],
                    source_topic_regex: Vec::new(),
                    repartition_source_topics: vec![0],
                }],
            }],
        };
        let active = TaskIds::from([("0".into(), vec![0, 2])]);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let expected = StreamsHeartbeat {
            group_id: "g".to_owned(),
            member_id: "m".to_owned(),
            endpoint_epoch: -1,
            rebalance_timeout_ms: 5,
            topology: Some(Arc::new(topology)),
            owned: Some(Tasks { active, ..Tasks::default() }),
            process_id: Some("p".to_owned()),
            endpoint: Some(Endpoint { host: "e".to_owned(), port: 65_535 }),
            client_tags: Some(vec![pair("a", "1"), pair("b", "2")]),
            shutdown: true,
            client_id: "c".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            ..StreamsHeartbeat::default()
        };
        assert_eq!(read(&request(), &image()), Ok(expected));
    }

    #[test]
    fn what_is_wrong_is_said() {
        let refused = |request: wire::StreamsGroupHeartbeatRequest<'_>| {
            let read = read(&request, &image());
            read.map_or_else(
                |it| (it.error, it.error_message),
                |it| {
                    let (error, why) = it.refused.expect("it is wrong");
                    (error, Some(why))
                },
            )
        };
        let offsets = Some(Vec::new());
        let task = || Some(vec![wire::TaskIds { subtopology_id: "0", partitions: vec![0] }]);
        for (it, why) in [
            (
                wire::StreamsGroupHeartbeatRequest { task_offsets: offsets.clone(), ..request() },
                "TaskOffsets are not supported yet.",
            ),
            (
                wire::StreamsGroupHeartbeatRequest { task_end_offsets: offsets, ..request() },
                "TaskEndOffsets are not supported yet.",
            ),
            (
                wire::StreamsGroupHeartbeatRequest { warmup_tasks: task(), ..request() },
                "WarmupTasks are not supported yet.",
            ),
            (
                wire::StreamsGroupHeartbeatRequest { standby_tasks: None, ..request() },
                "If one task-type is non-null, all must be non-null.",
            ),
        ] {
            assert_eq!(refused(it), (ErrorCode::INVALID_REQUEST, Some(why.to_owned())));
        }
        let mut odd = subtopology();
        odd.state_changelog_topics[0].partitions = 1;
        let topology = Some(wire::Topology { epoch: 0, subtopologies: vec![odd] });
        let (error, _) = refused(wire::StreamsGroupHeartbeatRequest { topology, ..request() });
        assert_eq!(error, ErrorCode::STREAMS_INVALID_TOPOLOGY);
        let mut image = image();
        image.apply(&Record::FeatureLevelSet { name: "streams.version".into(), level: 0 });
        let off = read(&request(), &image).map_err(|it| it.error);
        assert_eq!(off, Err(ErrorCode::UNSUPPORTED_VERSION));
    }

    #[test]
    fn an_answer_is_written() {
        let active = TaskIds::from([("0".into(), vec![0, 2])]);
        let answer = StreamsHeartbeaten {
            member_id: "m".to_owned(),
            member_epoch: 2,
            heartbeat_interval_ms: 5_000,
            statuses: vec![(GroupStatus::AssignmentDelayed, "later".to_owned())],
            tasks: Some(Tasks { active, ..Tasks::default() }),
            endpoint_epoch: 7,
            endpoints: Some(BTreeMap::from([(
                Endpoint { host: "e".to_owned(), port: 1 },
                EndpointPartitions {
                    active: [("a".into(), vec![0])].into(),
                    standby: BTreeMap::new(),
                },
            )])),
            ..StreamsHeartbeaten::refused(ErrorCode::NONE, None)
        };
        let header = header(ApiKey::STREAMS_GROUP_HEARTBEAT, 0);
        let sent = block_on(response(&header, &answer, &NO_PAUSE)).unwrap();
        body_of(&sent, ApiKey::STREAMS_GROUP_HEARTBEAT, 0, |r| {
            let it = StreamsGroupHeartbeatResponse::decode(r, 0)?;
            assert_eq!((it.member_id, it.member_epoch, it.endpoint_information_epoch), ("m", 2, 7));
            let status = &it.status.unwrap()[0];
            assert_eq!((status.status_code, status.status_detail), (5, "later"));
            assert_eq!(it.active_tasks.unwrap()[0].partitions, [0, 2]);
            assert_eq!(it.standby_tasks.map(|it| it.len()), Some(0));
            let endpoints = it.partitions_by_user_endpoint.unwrap();
            assert_eq!(endpoints[0].active_partitions[0].topic, "a");
            Ok(())
        });
    }
}
