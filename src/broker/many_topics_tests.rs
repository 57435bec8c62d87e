//! Requests about very many topics and resources are read, carried out, taken over and answered in parts:
//! counted in steps of work.

use super::testing::Rig;
use super::{ConnectionId, Input, work};
use crate::storage::device::disk::Disk;
use crate::storage::device::sim_disk::SimDisk;
use crate::types::ErrorCode;
use crate::wire::api_keys::ApiKey;
use crate::wire::header::decode_response;
use crate::wire::kafka::alter_configs_request as alter;
use crate::wire::kafka::alter_configs_response::AlterConfigsResponse;
use crate::wire::kafka::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use crate::wire::kafka::create_partitions_response::CreatePartitionsResponse;
use crate::wire::kafka::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use crate::wire::kafka::create_topics_response::CreateTopicsResponse;
use crate::wire::kafka::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use crate::wire::kafka::delete_topics_response::DeleteTopicsResponse;
use crate::wire::kafka::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use crate::wire::kafka::describe_configs_response::DescribeConfigsResponse;
use crate::wire::kafka::describe_topic_partitions_request as describe;
use crate::wire::kafka::describe_topic_partitions_response::DescribeTopicPartitionsResponse;
use crate::wire::kafka::incremental_alter_configs_request as incremental;
use crate::wire::kafka::incremental_alter_configs_response::IncrementalAlterConfigsResponse;
use crate::wire::kafka::list_config_resources_request::ListConfigResourcesRequest;
use crate::wire::kafka::list_config_resources_response::ListConfigResourcesResponse;
use crate::wire::kafka::metadata_request::{MetadataRequest, MetadataRequestTopic};
use crate::wire::kafka::metadata_response::MetadataResponse;
use crate::wire::{Reader, WireError, Writer};

const TOPICS: usize = 10_000;
const MEMORY: usize = 1 << 30;

fn rig() -> Rig {
    Rig::with_controller(&Disk::Sim(SimDisk::new(1)), MEMORY, 64 << 20)
}

fn names() -> Vec<String> {
    (0..TOPICS).map(|number| format!("topic.{number}")).collect()
}

impl Rig {
    /// Asks something about so many topics or resources, each of which takes a step at least; what
    /// `read` finds.
    fn ask_of_many<T>(
        &mut self,
        connection: ConnectionId,
        api: (ApiKey, i16),
        count: usize,
        body: impl FnOnce(&mut Writer) -> Result<(), WireError>,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, WireError>,
    ) -> T {
        let before = self.inputs;
        let found = self.ask(connection, api, body, read);
        let inputs = self.inputs - before;
        self.check_bound(&format!("{} in {inputs} inputs", api.0));
        let parts = count / (work::INPUT + work::PIECE) as usize;
        assert!(inputs > parts, "{}: {inputs} inputs", api.0);
        found
    }

    fn check_bound(&self, what: &str) {
        let most = self.broker.steps_most();
        println!("{what}: {most} steps");
        assert!(most <= work::BOUND, "{what}: one input took {most} steps");
    }
}

fn create(names: &[String]) -> CreateTopicsRequest<'_> {
    let topic = |name| CreatableTopic {
        name,
        num_partitions: 1,
        replication_factor: 1,
        ..CreatableTopic::default()
    };
    let topics = names.iter().map(|name| topic(name)).collect();
    CreateTopicsRequest { topics, ..CreateTopicsRequest::default() }
}

fn created(r: &mut Reader<'_>) -> Result<Vec<i16>, WireError> {
    let answer = CreateTopicsResponse::decode(r, 7)?;
    Ok(answer.topics.iter().map(|it| it.error_code).collect())
}

#[test]
fn very_many_topics_are_created_shown_changed_and_deleted_in_parts() {
    let mut rig = rig();
    let connection = rig.connect();
    let names = names();
    let request = create(&names);
    let api = (ApiKey::CREATE_TOPICS, 7);
    let codes = rig.ask_of_many(connection, api, TOPICS, |w| request.encode(w, 7), created);
    assert_eq!(codes, vec![0; TOPICS]);

    let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
    let all = |r: &mut Reader<'_>| {
        let answer = MetadataResponse::decode(r, 12)?;
        assert!(answer.topics.iter().all(|it| it.error_code == 0 && it.partitions.len() == 1));
        Ok(answer.topics.len())
    };
    let api = (ApiKey::METADATA, 12);
    let shown = rig.ask_of_many(connection, api, TOPICS, |w| request.encode(w, 12), all);
    assert_eq!(shown, TOPICS);
    let topic = |name| MetadataRequestTopic { name: Some(name), ..MetadataRequestTopic::default() };
    let topics = Some(names.iter().map(|it| topic(it)).collect());
    let request = MetadataRequest { topics, ..MetadataRequest::default() };
    let shown = rig.ask_of_many(connection, api, TOPICS, |w| request.encode(w, 12), all);
    assert_eq!(shown, TOPICS);

    let topics = names.iter().map(|name| describe::TopicRequest { name }).collect();
    let request = describe::DescribeTopicPartitionsRequest {
        topics,
        response_partition_limit: 2_000,
        cursor: None,
    };
    let api = (ApiKey::DESCRIBE_TOPIC_PARTITIONS, 0);
    let shown = rig.ask_of_many(
        connection,
        api,
        TOPICS,
        |w| request.encode(w, 0),
        |r| {
            let answer = DescribeTopicPartitionsResponse::decode(r, 0)?;
            assert!(answer.topics.iter().all(|it| it.error_code == 0 && it.partitions.len() == 1));
            Ok(answer.topics.len())
        },
    );
    assert_eq!(shown, 2_000);

    let request = ListConfigResourcesRequest { resource_types: vec![2] };
    let api = (ApiKey::LIST_CONFIG_RESOURCES, 1);
    let shown = rig.ask_of_many(
        connection,
        api,
        TOPICS,
        |w| request.encode(w, 1),
        |r| Ok(ListConfigResourcesResponse::decode(r, 1)?.config_resources.len()),
    );
    assert_eq!(shown, TOPICS);

    let resource = |name| DescribeConfigsResource {
        resource_type: 2,
        resource_name: name,
        configuration_keys: Some(vec!["retention.ms"]),
    };
    let resources = names.iter().map(|it| resource(it)).collect();
    let request = DescribeConfigsRequest { resources, ..DescribeConfigsRequest::default() };
    let api = (ApiKey::DESCRIBE_CONFIGS, 4);
    let shown = rig.ask_of_many(
        connection,
        api,
        TOPICS,
        |w| request.encode(w, 4),
        |r| {
            let answer = DescribeConfigsResponse::decode(r, 4)?;
            assert!(answer.results.iter().all(|it| it.error_code == 0 && it.configs.len() == 1));
            Ok(answer.results.len())
        },
    );
    assert_eq!(shown, TOPICS);

    let resource = |name| incremental::AlterConfigsResource {
        resource_type: 2,
        resource_name: name,
        configs: vec![incremental::AlterableConfig {
            name: "retention.ms",
            config_operation: 0,
            value: Some("5000"),
        }],
    };
    let resources = names.iter().map(|it| resource(it)).collect();
    let request = incremental::IncrementalAlterConfigsRequest { resources, validate_only: false };
    let api = (ApiKey::INCREMENTAL_ALTER_CONFIGS, 1);
    let codes = rig.ask_of_many(
        connection,
        api,
        TOPICS,
        |w| request.encode(w, 1),
        |r| {
            let answer = IncrementalAlterConfigsResponse::decode(r, 1)?;
            Ok(answer.responses.iter().map(|it| it.error_code).collect::<Vec<_>>())
        },
    );
    assert_eq!(codes, vec![0; TOPICS]);
    let retention = |rig: &Rig| {
        let image = rig.broker.image();
        image.topics().filter(|it| it.config.retention_ms == 5_000).count()
    };
    assert_eq!(retention(&rig), TOPICS);

    let resource = |name| alter::AlterConfigsResource {
        resource_type: 2,
        resource_name: name,
        configs: vec![],
    };
    let resources = names.iter().map(|it| resource(it)).collect();
    let request = alter::AlterConfigsRequest { resources, validate_only: false };
    let api = (ApiKey::ALTER_CONFIGS, 2);
    let codes = rig.ask_of_many(
        connection,
        api,
        TOPICS,
        |w| request.encode(w, 2),
        |r| {
            let answer = AlterConfigsResponse::decode(r, 2)?;
            Ok(answer.responses.iter().map(|it| it.error_code).collect::<Vec<_>>())
        },
    );
    assert_eq!(codes, vec![0; TOPICS]);
    assert_eq!(retention(&rig), 0);

    let resource = |name| alter::AlterConfigsResource {
        resource_type: 4,
        resource_name: name,
        configs: vec![alter::AlterableConfig { name: "log.retention.ms", value: Some("5000") }],
    };
    let request =
        alter::AlterConfigsRequest { resources: vec![resource("")], validate_only: false };
    let codes = rig.ask_of_many(
        connection,
        api,
        TOPICS,
        |w| request.encode(w, 2),
        |r| {
            let answer = AlterConfigsResponse::decode(r, 2)?;
            Ok(answer.responses.iter().map(|it| it.error_code).collect::<Vec<_>>())
        },
    );
    assert_eq!(codes, [0]);
    assert_eq!(retention(&rig), TOPICS);

    let topic = |name| CreatePartitionsTopic { name, count: 2, assignments: None };
    let topics = names.iter().map(|it| topic(it)).collect();
    let request = CreatePartitionsRequest { topics, ..CreatePartitionsRequest::default() };
    let api = (ApiKey::CREATE_PARTITIONS, 3);
    let codes = rig.ask_of_many(
        connection,
        api,
        TOPICS,
        |w| request.encode(w, 3),
        |r| {
            let answer = CreatePartitionsResponse::decode(r, 3)?;
            Ok(answer.results.iter().map(|it| it.error_code).collect::<Vec<_>>())
        },
    );
    assert_eq!(codes, vec![0; TOPICS]);
    assert_eq!(rig.broker.image().partition_count(), 2 * TOPICS);

    let topic = |name| DeleteTopicState { name: Some(name), ..DeleteTopicState::default() };
    let topics = names.iter().map(|it| topic(it)).collect();
    let request = DeleteTopicsRequest { topics, ..DeleteTopicsRequest::default() };
    let api = (ApiKey::DELETE_TOPICS, 6);
    let codes = rig.ask_of_many(
        connection,
        api,
        TOPICS,
        |w| request.encode(w, 6),
        |r| {
            let answer = DeleteTopicsResponse::decode(r, 6)?;
            Ok(answer.responses.iter().map(|it| it.error_code).collect::<Vec<_>>())
        },
    );
    assert_eq!(codes, vec![0; TOPICS]);
    assert_eq!(rig.broker.image().topics().len(), 0);
    for now_ms in (0..120_000).step_by(1_000) {
        rig.now_ms = now_ms;
        rig.handle(Input::Timeout);
        rig.settle();
    }
    rig.check_bound("the end of deleted topics");
    assert_eq!(rig.broker.image().deleting().len(), 0);
}

#[test]
fn topics_of_very_many_partitions_are_created_grown_and_deleted_in_parts() {
    let mut rig = rig();
    let connection = rig.connect();
    let names = ["wide".to_owned()];
    let mut request = create(&names);
    request.topics[0].num_partitions = 10_000;
    let api = (ApiKey::CREATE_TOPICS, 7);
    let codes = rig.ask_of_many(connection, api, 10_000, |w| request.encode(w, 7), created);
    assert_eq!(codes, [0]);
    let topics = vec![CreatePartitionsTopic { name: "wide", count: 20_000, assignments: None }];
    let request = CreatePartitionsRequest { topics, ..CreatePartitionsRequest::default() };
    let api = (ApiKey::CREATE_PARTITIONS, 3);
    let codes = rig.ask_of_many(
        connection,
        api,
        10_000,
        |w| request.encode(w, 3),
        |r| {
            let answer = CreatePartitionsResponse::decode(r, 3)?;
            Ok(answer.results.iter().map(|it| it.error_code).collect::<Vec<_>>())
        },
    );
    assert_eq!(codes, [0]);
    assert_eq!(rig.broker.image().partition_count(), 20_000);
    let request =
        DeleteTopicsRequest { topic_names: vec!["wide"], ..DeleteTopicsRequest::default() };
    let api = (ApiKey::DELETE_TOPICS, 5);
    let codes = rig.ask_of_many(
        connection,
        api,
        20_000,
        |w| request.encode(w, 5),
        |r| {
            let answer = DeleteTopicsResponse::decode(r, 5)?;
            Ok(answer.responses.iter().map(|it| it.error_code).collect::<Vec<_>>())
        },
    );
    assert_eq!(codes, [0]);
}

/// Topics that a client asks for come into being by that.
#[test]
fn very_many_topics_are_created_by_asking_for_them_in_parts() {
    let mut rig = rig();
    let connection = rig.connect();
    let names = names();
    let topic = |name| MetadataRequestTopic { name: Some(name), ..MetadataRequestTopic::default() };
    let topics = Some(names.iter().map(|it| topic(it)).collect());
    let request =
        MetadataRequest { topics, allow_auto_topic_creation: true, ..MetadataRequest::default() };
    let api = (ApiKey::METADATA, 12);
    let codes = rig.ask_of_many(
        connection,
        api,
        TOPICS,
        |w| request.encode(w, 12),
        |r| {
            let answer = MetadataResponse::decode(r, 12)?;
            Ok(answer.topics.iter().map(|it| it.error_code).collect::<Vec<_>>())
        },
    );
    assert_eq!(codes, vec![0; TOPICS]);
}

#[test]
fn settings_of_very_many_new_topics_are_taken_in_parts() {
    let mut rig = rig();
    let connection = rig.connect();
    let names = names();
    let mut request = create(&names);
    for topic in &mut request.topics {
        topic.configs.push(CreatableTopicConfig { name: "retention.ms", value: Some("5000") });
    }
    let api = (ApiKey::CREATE_TOPICS, 7);
    let codes = rig.ask_of_many(connection, api, TOPICS, |w| request.encode(w, 7), created);
    assert_eq!(codes, vec![0; TOPICS]);
}

/// While a large change goes on, others are served, and a change of somebody else comes behind it.
#[test]
fn a_large_change_holds_up_other_changes_alone() {
    let mut rig = rig();
    let [large, same, other] = [(); 3].map(|()| rig.connect());
    let names = names();
    let api = (ApiKey::CREATE_TOPICS, 7);
    rig.send(large, api, |w| create(&names).encode(w, 7));
    rig.send(same, api, |w| create(&names[TOPICS - 1..]).encode(w, 7));
    let request = MetadataRequest { topics: Some(Vec::new()), ..MetadataRequest::default() };
    let (mut asked, mut answered_before, mut is_created) = (0, 0, false);
    for step in 0.. {
        if step % 3 == 0 && asked < 20 {
            asked += 1;
            rig.send(other, (ApiKey::METADATA, 12), |w| request.encode(w, 12));
        }
        rig.handle(Input::Continue);
        is_created |= !rig.outgoing(large).is_empty();
        let answered = !rig.outgoing(other).is_empty();
        answered_before += usize::from(answered && !is_created);
        rig.disk_and_turn();
        if !rig.broker.has_work() {
            break;
        }
    }
    rig.settle();
    is_created |= !rig.received(large).is_empty();
    assert!(is_created && answered_before > 1, "{answered_before} answers meanwhile");
    let answer = rig.received(same);
    let mut r = Reader::new(&answer[4..]);
    decode_response(ApiKey::CREATE_TOPICS, 7, &mut r).unwrap();
    assert_eq!(created(&mut r).unwrap(), [ErrorCode::TOPIC_ALREADY_EXISTS.0]);
}

/// The power goes in the middle of a large change: a part of its topics may be there, each with all of
/// its partitions.
#[test]
fn a_crash_in_a_large_change_leaves_whole_topics() {
    let sim = SimDisk::new(1);
    let disk = Disk::Sim(sim.clone());
    let mut rig = Rig::with_controller(&disk, MEMORY, 64 << 20);
    let connection = rig.connect();
    let names = names();
    let names = &names[..TOPICS / 2];
    let mut request = create(names);
    request.topics.iter_mut().for_each(|it| it.num_partitions = 2);
    sim.set_fuel(Some(6));
    rig.send(connection, (ApiKey::CREATE_TOPICS, 7), |w| request.encode(w, 7));
    rig.settle();
    assert!(sim.is_off() && rig.received(connection).is_empty(), "it is not answered");
    drop(rig);
    sim.restart();
    let rig = Rig::with_controller(&disk, MEMORY, 64 << 20);
    let image = rig.broker.image();
    let found = image.topics().len();
    println!("{found} topics");
    assert!((1..names.len()).contains(&found), "{found} topics");
    assert!(image.topics().all(|it| it.partitions.len() == 2));
}
