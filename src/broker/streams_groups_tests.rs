//! What a member of a streams group hears of internal topics, of a broker of one shard, over its connection.

use super::ConnectionId;
use super::testing::Rig;
use crate::storage::device::disk::Disk;
use crate::storage::device::sim_disk::SimDisk;
use crate::types::ErrorCode;
use crate::wire::api_keys::ApiKey;
use crate::wire::kafka as k;
use crate::wire::kafka::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use crate::wire::kafka::metadata_request::MetadataRequest;
use crate::wire::kafka::streams_group_heartbeat_request as wire;
use std::collections::BTreeMap;

const HEARTBEAT: (ApiKey, i16) = (ApiKey::STREAMS_GROUP_HEARTBEAT, 0);

/// A broker with a topic `in` of two partitions, and a coordinator.
fn rig() -> (Rig, ConnectionId) {
    let disk = Disk::Sim(SimDisk::new(1));
    let mut rig = Rig::with_controller(&disk, 64 << 20, 1 << 20);
    let connection = rig.connect();
    let topic = CreatableTopic {
        name: "in",
        num_partitions: 2,
        replication_factor: 1,
        ..Default::default()
    };
    let request = CreateTopicsRequest { topics: vec![topic], ..Default::default() };
    rig.ask(
        connection,
        (ApiKey::CREATE_TOPICS, 7),
        |w| request.encode(w, 7),
        |r| k::create_topics_response::CreateTopicsResponse::decode(r, 7).map(drop),
    );
    let request = k::find_coordinator_request::FindCoordinatorRequest {
        coordinator_keys: vec!["g"],
        ..Default::default()
    };
    rig.ask(
        connection,
        (ApiKey::FIND_COORDINATOR, 4),
        |w| request.encode(w, 4),
        |r| k::find_coordinator_response::FindCoordinatorResponse::decode(r, 4).map(drop),
    );
    (rig, connection)
}

/// Reads `in`, and keeps a state in `changes`, with this setting, of so many replicas.
fn join(
    setting: (&'static str, &'static str),
    replicas: i16,
) -> wire::StreamsGroupHeartbeatRequest<'static> {
    let changelog = wire::TopicInfo {
        name: "changes",
        partitions: 0,
        replication_factor: replicas,
        topic_configs: vec![wire::KeyValue { key: setting.0, value: setting.1 }],
    };
    let subtopology = wire::Subtopology {
        subtopology_id: "0",
        source_topics: vec!["in"],
        state_changelog_topics: vec![changelog],
        ..Default::default()
    };
    wire::StreamsGroupHeartbeatRequest {
        group_id: "g",
        member_id: "m",
        rebalance_timeout_ms: 60_000,
        topology: Some(wire::Topology { epoch: 0, subtopologies: vec![subtopology] }),
        active_tasks: Some(Vec::new()),
        standby_tasks: Some(Vec::new()),
        warmup_tasks: Some(Vec::new()),
        process_id: Some("p"),
        ..Default::default()
    }
}

/// What a member is told: its epoch, the statuses, and how many active tasks it has.
type Told = (i32, Vec<(i8, String)>, Option<usize>);

fn beat(
    rig: &mut Rig,
    connection: ConnectionId,
    it: &wire::StreamsGroupHeartbeatRequest<'_>,
) -> Told {
    rig.ask(
        connection,
        HEARTBEAT,
        |w| it.encode(w, 0),
        |r| {
            use k::streams_group_heartbeat_response::StreamsGroupHeartbeatResponse;
            let it = StreamsGroupHeartbeatResponse::decode(r, 0)?;
            assert_eq!(ErrorCode(it.error_code), ErrorCode::NONE, "{:?}", it.error_message);
            let statuses = it.status.iter().flatten();
            let statuses =
                statuses.map(|it| (it.status_code, it.status_detail.to_owned())).collect();
            let tasks = it.active_tasks.map(|it| it.iter().map(|it| it.partitions.len()).sum());
            Ok((it.member_epoch, statuses, tasks))
        },
    )
}

/// Topics by name, with how many partitions each has.
fn topics(rig: &mut Rig, connection: ConnectionId) -> BTreeMap<String, usize> {
    let request = MetadataRequest { topics: None, ..Default::default() };
    rig.ask(
        connection,
        (ApiKey::METADATA, 12),
        |w| request.encode(w, 12),
        |r| {
            let it = k::metadata_response::MetadataResponse::decode(r, 12)?;
            let topics = it.topics.iter();
            Ok(topics.map(|it| (it.name.unwrap_or("").to_owned(), it.partitions.len())).collect())
        },
    )
}

#[test]
fn internal_topics_are_created_before_the_answer() {
    let (mut rig, connection) = rig();
    let told = beat(&mut rig, connection, &join(("cleanup.policy", "compact"), 0));
    assert_eq!(
        (told.0, told.1.iter().map(|it| it.0).collect::<Vec<_>>()),
        (1, vec![5]),
        "it waits for others"
    );
    assert_eq!(topics(&mut rig, connection).get("changes"), Some(&2));
    rig.now_ms = 4_000;
    let next = wire::StreamsGroupHeartbeatRequest {
        group_id: "g",
        member_id: "m",
        member_epoch: 1,
        ..Default::default()
    };
    let (_, statuses, tasks) = beat(&mut rig, connection, &next);
    assert_eq!((statuses, tasks), (Vec::new(), Some(2)));
}

#[test]
fn what_cannot_be_created_is_told() {
    for (setting, replicas, why) in [
        (("no.such.setting", "1"), 0, "Unknown topic config name: no.such.setting"),
        (("cleanup.policy", "compact"), 3, "replication factor"),
    ] {
        let (mut rig, connection) = rig();
        let (_, statuses, _) = beat(&mut rig, connection, &join(setting, replicas));
        let missing = statuses.iter().find(|it| it.0 == 3).expect("topics are missing");
        let words = "Internal topics are missing: changes; Creation failed: changes (";
        assert!(missing.1.starts_with(words), "{}", missing.1);
        assert!(missing.1.to_lowercase().contains(&why.to_lowercase()), "{}", missing.1);
        assert_eq!(topics(&mut rig, connection).get("changes"), None);
    }
}
