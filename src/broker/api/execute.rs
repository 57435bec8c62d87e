//! Requests that change metadata, carried out.
//!
//! These run on the controller's shard, one after the other. What they check, they check against the
//! controller's draft, so that two requests that follow each other quickly see each other; the response
//! leaves when every shard has applied the change, so that the next request on any connection sees it.

use super::describe_quorum::QuorumView;
use super::metadata_change::Handled;
use super::{
    add_raft_voter, alter_configs, alter_partition_reassignments, create_partitions, create_topics,
    delete_topics, describe_quorum, elect_leaders, incremental_alter_configs,
    list_partition_reassignments, remove_raft_voter, table, unregister_broker, update_features,
};
use crate::controller::Image;
use crate::types::TopicId;
use crate::wire::primitives::WireError;

/// Carries out a request that changes metadata, of which `draft` is the last, or the quorum: the records are to be
/// proposed before the next request is carried out. `new_id` gives ids that were never given before. An
/// error is the client's: its request cannot be read. Pauses as the handlers do.
pub async fn execute(
    draft: &Image,
    quorum: &QuorumView,
    api: table::Controller,
    version: i16,
    body: &[u8],
    new_id: &mut dyn FnMut() -> TopicId,
    pause: &impl AsyncFn(),
) -> Result<Handled, WireError> {
    match api {
        table::Controller::CreateTopics => {
            create_topics::handle(body, version, draft, new_id, pause).await
        }
        table::Controller::DeleteTopics => delete_topics::handle(body, version, draft, pause).await,
        table::Controller::CreatePartitions => {
            create_partitions::handle(body, version, draft, pause).await
        }
        table::Controller::AlterConfigs => alter_configs::handle(body, version, draft, pause).await,
        table::Controller::IncrementalAlterConfigs => {
            incremental_alter_configs::handle(body, version, draft, pause).await
        }
        table::Controller::ElectLeaders => elect_leaders::handle(body, version, draft, pause).await,
        table::Controller::AlterPartitionReassignments => {
            alter_partition_reassignments::handle(body, version, draft, pause).await
        }
        table::Controller::ListPartitionReassignments => {
            let answer = list_partition_reassignments::handle(body, version, draft, pause).await?;
            Ok(Handled::new(answer, Vec::new()))
        }
        table::Controller::DescribeQuorum => {
            let answer = describe_quorum::handle(body, version, draft, quorum)?;
            Ok(Handled::new(answer, Vec::new()))
        }
        table::Controller::UnregisterBroker => {
            unregister_broker::handle(body, version, draft, pause).await
        }
        table::Controller::UpdateFeatures => {
            update_features::handle(body, version, draft, pause).await
        }
        table::Controller::AddRaftVoter => add_raft_voter::handle(body, version, draft, quorum),
        table::Controller::RemoveRaftVoter => {
            remove_raft_voter::handle(body, version, draft, quorum)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::Body;
    use crate::broker::api::testing::{decode, encode, ids};
    use crate::controller::{Controller, OpenOptions};
    use crate::storage::device::disk::Disk;
    use crate::storage::device::sim_disk::SimDisk;
    use crate::types::ErrorCode;
    use crate::wire::kafka::create_topics_request::{CreatableTopic, CreateTopicsRequest};
    use crate::wire::kafka::create_topics_response::CreateTopicsResponse;
    use crate::wire::kafka::delete_topics_request::DeleteTopicsRequest;
    use futures_lite::future::block_on;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    /// The response, and the index that has what it speaks of, where anything changes.
    struct Outcome {
        response: Body,
        wait_for: Option<u64>,
    }

    fn run(
        controller: &mut Controller,
        api: table::Controller,
        version: i16,
        body: &[u8],
        new_id: &mut dyn FnMut() -> TopicId,
    ) -> Result<Outcome, WireError> {
        let draft = controller.draft();
        let quorum = &QuorumView::default();
        let handled = execute(draft, quorum, api, version, body, new_id, &async || {});
        let Handled { response, records, .. } = block_on(handled)?;
        let wait_for = (!records.is_empty()).then(|| controller.propose(&records));
        Ok(Outcome { response, wait_for })
    }

    fn auto_create(
        controller: &mut Controller,
        names: &[String],
        new_id: &mut dyn FnMut() -> TopicId,
    ) -> Option<u64> {
        let draft = controller.draft();
        let records = block_on(create_topics::auto_create(names, draft, new_id, &async || {}));
        (!records.is_empty()).then(|| controller.propose(&records))
    }

    fn open(disk: &Disk, node_id: i32) -> (Controller, Arc<Image>) {
        let options = OpenOptions {
            cluster_id: "cluster".into(),
            node_id,
            host: "host".into(),
            port: 9092,
            peer_host: String::new(),
            peer_port: 0,
            rack: None,
            incarnation: 1,
            directory: 0,
            fixed: Arc::default(),
            shards: 1,
            voters: BTreeSet::new(),
            joins: false,
            log_bytes_max: crate::controller::LOG_BYTES_MAX,
            seed: 1,
        };
        Controller::open(disk, &options).unwrap()
    }

    fn create(name: &str) -> Vec<u8> {
        let topic = CreatableTopic {
            name,
            num_partitions: 1,
            replication_factor: 1,
            ..CreatableTopic::default()
        };
        let topics = vec![topic];
        encode(|w| CreateTopicsRequest { topics, ..Default::default() }.encode(w, 7))
    }

    fn persist(controller: &mut Controller, disk: &Disk) {
        while let Some(persist) = controller.ready() {
            for op in persist.ops {
                disk.run(op).unwrap();
            }
            controller.persisted(persist.ticket);
        }
    }

    #[test]
    fn requests_see_each_other_before_anyone_else_sees_them() {
        let disk = Disk::Sim(SimDisk::new(1));
        let (mut controller, before) = open(&disk, 0);
        let mut new_id = ids();
        let mut execute = |controller: &mut Controller, key, version, body: &[u8]| {
            run(controller, key, version, body, &mut new_id).unwrap()
        };
        let other_ids = || {
            let mut ids = ids();
            move || TopicId([ids().0[0] + 100; 16])
        };
        let code = |outcome: &Outcome| {
            decode(&outcome.response, |r| CreateTopicsResponse::decode(r, 7)).topics[0].error_code
        };
        let first = execute(&mut controller, table::Controller::CreateTopics, 7, &create("a"));
        let second = execute(&mut controller, table::Controller::CreateTopics, 7, &create("a"));
        assert_eq!(code(&first), 0);
        assert_eq!(code(&second), ErrorCode::TOPIC_ALREADY_EXISTS.0);
        assert_eq!(second.wait_for, None);
        assert_eq!(controller.image(), before, "nothing is durable yet");

        let request = DeleteTopicsRequest { topic_names: vec!["a"], ..Default::default() };
        let body = encode(|w| request.encode(w, 5));
        let deleted = execute(&mut controller, table::Controller::DeleteTopics, 5, &body);
        let again = execute(&mut controller, table::Controller::CreateTopics, 7, &create("a"));
        assert_eq!(code(&again), 0);
        let made = auto_create(&mut controller, &["a".into(), "b".into()], &mut other_ids());
        assert!(first.wait_for < deleted.wait_for);
        assert!(deleted.wait_for < again.wait_for && again.wait_for < made);
        assert_eq!(auto_create(&mut controller, &["a".into(), "b".into()], &mut other_ids()), None);

        persist(&mut controller, &disk);
        let image = controller.image();
        assert_eq!(Some(image.index), made);
        let names: Vec<&str> = image.topics().map(|it| &*it.name).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(image.deleting().len(), 1);
        // Node 0 is a node like any other, although Raft has no voter 0.
        assert_eq!(image.topic("a").unwrap().partitions[0].leader, 0);
    }

    #[test]
    fn what_cannot_be_read_is_the_clients_error() {
        let (mut controller, _) = open(&Disk::Sim(SimDisk::new(1)), 1);
        let index = controller.draft().index;
        let whole = create("a");
        for cut in 0..whole.len() {
            let result =
                run(&mut controller, table::Controller::CreateTopics, 7, &whole[..cut], &mut ids());
            assert!(result.is_err(), "{cut}");
        }
        assert_eq!(controller.draft().index, index);
    }
}
