//! Random and damaged requests to every handler of metadata: none panics, and every answer that is
//! given can be read in its version.

use super::acls::{self, Acls};
use super::describe_quorum::QuorumView;
use super::testing::{encode, image};
use super::{
    Body, add_raft_voter, alter_configs, alter_partition_reassignments, create_partitions,
    create_topics, delete_topics, describe_cluster, describe_configs, describe_quorum,
    describe_topic_partitions, elect_leaders, incremental_alter_configs, list_config_resources,
    list_partition_reassignments, metadata, remove_raft_voter, unregister_broker,
};
use crate::controller::{Image, QuorumState};
use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::kafka as k;
use crate::wire::primitives::{Reader, WireError};
use futures_lite::future::block_on;
use proptest::prelude::*;

/// Every API here, with its versions.
const APIS: [(ApiKey, i16, i16); 20] = [
    (ApiKey::METADATA, 0, 13),
    (ApiKey::CREATE_TOPICS, 2, 7),
    (ApiKey::DELETE_TOPICS, 1, 6),
    (ApiKey::DESCRIBE_CONFIGS, 1, 4),
    (ApiKey::ALTER_CONFIGS, 0, 2),
    (ApiKey::CREATE_PARTITIONS, 0, 3),
    (ApiKey::INCREMENTAL_ALTER_CONFIGS, 0, 1),
    (ApiKey::DESCRIBE_CLUSTER, 0, 2),
    (ApiKey::LIST_CONFIG_RESOURCES, 0, 1),
    (ApiKey::DESCRIBE_TOPIC_PARTITIONS, 0, 0),
    (ApiKey::ELECT_LEADERS, 0, 2),
    (ApiKey::ALTER_PARTITION_REASSIGNMENTS, 0, 1),
    (ApiKey::LIST_PARTITION_REASSIGNMENTS, 0, 0),
    (ApiKey::DESCRIBE_QUORUM, 0, 2),
    (ApiKey::UNREGISTER_BROKER, 0, 0),
    (ApiKey::ADD_RAFT_VOTER, 0, 1),
    (ApiKey::REMOVE_RAFT_VOTER, 0, 0),
    (ApiKey::DESCRIBE_ACLS, 1, 3),
    (ApiKey::CREATE_ACLS, 1, 3),
    (ApiKey::DELETE_ACLS, 1, 3),
];

fn answer(key: ApiKey, version: i16, body: &[u8]) -> Result<Body, WireError> {
    block_on(answer_in_parts(key, version, body, &image(), &async || {}))
}

async fn answer_in_parts(
    key: ApiKey,
    version: i16,
    body: &[u8],
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Body, WireError> {
    let handled = match key {
        ApiKey::METADATA => {
            let answer = metadata::handle(body, version, image, pause).await;
            return answer.map(|it| it.response);
        }
        ApiKey::DESCRIBE_CONFIGS => {
            return describe_configs::handle(body, version, image, pause).await;
        }
        ApiKey::DESCRIBE_CLUSTER => return describe_cluster::handle(body, version, image),
        ApiKey::DESCRIBE_ACLS => return acls::handle(Acls::Describe, body, version, pause).await,
        ApiKey::CREATE_ACLS => return acls::handle(Acls::Create, body, version, pause).await,
        ApiKey::DELETE_ACLS => return acls::handle(Acls::Delete, body, version, pause).await,
        ApiKey::LIST_CONFIG_RESOURCES => {
            return list_config_resources::handle(body, version, image, pause).await;
        }
        ApiKey::DESCRIBE_TOPIC_PARTITIONS => {
            return describe_topic_partitions::handle(body, version, image, pause).await;
        }
        ApiKey::CREATE_TOPICS => {
            create_topics::handle(body, version, image, &mut ids_without_end(), pause).await
        }
        ApiKey::DELETE_TOPICS => delete_topics::handle(body, version, image, pause).await,
        ApiKey::ALTER_CONFIGS => alter_configs::handle(body, version, image, pause).await,
        ApiKey::CREATE_PARTITIONS => create_partitions::handle(body, version, image, pause).await,
        ApiKey::LIST_PARTITION_REASSIGNMENTS => {
            return list_partition_reassignments::handle(body, version, image, pause).await;
        }
        ApiKey::DESCRIBE_QUORUM => {
            let state = Some(QuorumState::default());
            let quorum = QuorumView { state, ..QuorumView::default() };
            return describe_quorum::handle(body, version, image, &quorum);
        }
        ApiKey::ELECT_LEADERS => elect_leaders::handle(body, version, image, pause).await,
        ApiKey::ALTER_PARTITION_REASSIGNMENTS => {
            alter_partition_reassignments::handle(body, version, image, pause).await
        }
        ApiKey::UNREGISTER_BROKER => unregister_broker::handle(body, version, image, pause).await,
        ApiKey::ADD_RAFT_VOTER => {
            add_raft_voter::handle(body, version, image, &QuorumView::default())
        }
        ApiKey::REMOVE_RAFT_VOTER => {
            remove_raft_voter::handle(body, version, image, &QuorumView::default())
        }
        _ => incremental_alter_configs::handle(body, version, image, pause).await,
    };
    handled.map(|it| it.response)
}

fn ids_without_end() -> impl FnMut() -> TopicId {
    let mut next = 0u128;
    move || {
        next += 1;
        TopicId(next.to_be_bytes())
    }
}

/// Reads an answer to its end.
fn read(key: ApiKey, version: i16, answer: &[u8]) {
    let r = &mut Reader::new(answer);
    let read = match key {
        ApiKey::METADATA => k::metadata_response::MetadataResponse::decode(r, version).map(drop),
        ApiKey::CREATE_TOPICS => {
            k::create_topics_response::CreateTopicsResponse::decode(r, version).map(drop)
        }
        ApiKey::DELETE_TOPICS => {
            k::delete_topics_response::DeleteTopicsResponse::decode(r, version).map(drop)
        }
        ApiKey::DESCRIBE_CONFIGS => {
            k::describe_configs_response::DescribeConfigsResponse::decode(r, version).map(drop)
        }
        ApiKey::ALTER_CONFIGS => {
            k::alter_configs_response::AlterConfigsResponse::decode(r, version).map(drop)
        }
        ApiKey::CREATE_PARTITIONS => {
            k::create_partitions_response::CreatePartitionsResponse::decode(r, version).map(drop)
        }
        ApiKey::INCREMENTAL_ALTER_CONFIGS => {
            use k::incremental_alter_configs_response::IncrementalAlterConfigsResponse;
            IncrementalAlterConfigsResponse::decode(r, version).map(drop)
        }
        ApiKey::DESCRIBE_ACLS => {
            k::describe_acls_response::DescribeAclsResponse::decode(r, version).map(drop)
        }
        ApiKey::CREATE_ACLS => {
            k::create_acls_response::CreateAclsResponse::decode(r, version).map(drop)
        }
        ApiKey::DELETE_ACLS => {
            k::delete_acls_response::DeleteAclsResponse::decode(r, version).map(drop)
        }
        ApiKey::DESCRIBE_CLUSTER => {
            k::describe_cluster_response::DescribeClusterResponse::decode(r, version).map(drop)
        }
        ApiKey::LIST_CONFIG_RESOURCES => {
            use k::list_config_resources_response::ListConfigResourcesResponse;
            ListConfigResourcesResponse::decode(r, version).map(drop)
        }
        ApiKey::ELECT_LEADERS => {
            k::elect_leaders_response::ElectLeadersResponse::decode(r, version).map(drop)
        }
        ApiKey::ALTER_PARTITION_REASSIGNMENTS => {
            k::alter_partition_reassignments_response::AlterPartitionReassignmentsResponse::decode(
                r, version,
            )
            .map(drop)
        }
        ApiKey::LIST_PARTITION_REASSIGNMENTS => {
            k::list_partition_reassignments_response::ListPartitionReassignmentsResponse::decode(
                r, version,
            )
            .map(drop)
        }
        ApiKey::DESCRIBE_QUORUM => {
            k::describe_quorum_response::DescribeQuorumResponse::decode(r, version).map(drop)
        }
        ApiKey::UNREGISTER_BROKER => {
            k::unregister_broker_response::UnregisterBrokerResponse::decode(r, version).map(drop)
        }
        ApiKey::ADD_RAFT_VOTER => {
            k::add_raft_voter_response::AddRaftVoterResponse::decode(r, version).map(drop)
        }
        ApiKey::REMOVE_RAFT_VOTER => {
            k::remove_raft_voter_response::RemoveRaftVoterResponse::decode(r, version).map(drop)
        }
        _ => {
            use k::describe_topic_partitions_response::DescribeTopicPartitionsResponse;
            DescribeTopicPartitionsResponse::decode(r, version).map(drop)
        }
    };
    read.unwrap_or_else(|error| panic!("{key:?} v{version}: {error}"));
    assert_eq!(r.remaining(), 0, "{key:?} v{version}");
}

fn both(key: ApiKey, version: i16, body: &[u8]) {
    if let Ok(answer) = answer(key, version, body) {
        read(key, version, &answer);
    }
}

/// A request of many parts, for the mutations to begin with.
fn rich(key: ApiKey, version: i16) -> Vec<u8> {
    use k::create_topics_request::{
        CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
    };
    use k::incremental_alter_configs_request as incremental;
    match key {
        ApiKey::CREATE_TOPICS => {
            let configs = vec![CreatableTopicConfig { name: "segment.ms", value: Some("100") }];
            let assignment = CreatableReplicaAssignment { partition_index: 0, broker_ids: vec![1] };
            let topic = |name, assignments: Vec<_>| CreatableTopic {
                name,
                num_partitions: -1,
                replication_factor: -1,
                assignments,
                configs: configs.clone(),
            };
            let topics = vec![topic("a", vec![]), topic("b", vec![assignment])];
            let request = CreateTopicsRequest { topics, ..Default::default() };
            encode(|w| request.encode(w, version))
        }
        ApiKey::INCREMENTAL_ALTER_CONFIGS => {
            let config = |name, config_operation, value| incremental::AlterableConfig {
                name,
                config_operation,
                value: Some(value),
            };
            let resource = |resource_type, resource_name, configs| {
                incremental::AlterConfigsResource { resource_type, resource_name, configs }
            };
            let resources = vec![
                resource(2, "exists", vec![config("retention.ms", 0, "77")]),
                resource(2, "dotted.name", vec![config("cleanup.policy", 2, "delete")]),
                resource(4, "1", vec![config("log.retention.ms", 0, "77")]),
            ];
            let request =
                incremental::IncrementalAlterConfigsRequest { resources, validate_only: false };
            encode(|w| request.encode(w, version))
        }
        ApiKey::METADATA => {
            let topic = k::metadata_request::MetadataRequestTopic {
                name: Some("exists"),
                ..Default::default()
            };
            let request = k::metadata_request::MetadataRequest {
                topics: Some(vec![topic.clone(), topic]),
                ..Default::default()
            };
            encode(|w| request.encode(w, version))
        }
        _ => vec![0, 0, 0, 2, 2, 0, 6, b'e', b'x', b'i', b's', b't', b's', 0, 0, 0, 1, 0, 0, 0, 0],
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_bytes(body in prop::collection::vec(any::<u8>(), 0..120)) {
        for (key, min, max) in APIS {
            for version in min..=max {
                both(key, version, &body);
            }
        }
    }

    #[test]
    fn damaged_requests(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), cut in any::<prop::sample::Index>()) {
        for (key, min, max) in APIS {
            for version in min..=max {
                let mut body = rich(key, version);
                for (at, value) in &changes {
                    let at = at.index(body.len());
                    body[at] = *value;
                }
                both(key, version, &body);
                body.truncate(cut.index(body.len()));
                both(key, version, &body);
            }
        }
    }
}

#[test]
fn versions_that_kafka_does_not_have_are_errors() {
    for (key, min, max) in APIS {
        for version in [min - 1, max + 1, i16::MIN, i16::MAX] {
            assert!(answer(key, version, &rich(key, max)).is_err(), "{key:?} v{version}");
        }
    }
}
