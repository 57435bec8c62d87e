//! Which brokers hold a partition, and are to (KIP-455).

use super::{TIMEOUT_MS, by_topic};
use crate::client::{ClientError, Cluster, To, check_code};
use crate::wire::kafka::alter_partition_reassignments_request::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use crate::wire::kafka::list_partition_reassignments_request::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};
use std::collections::BTreeMap;

/// A reassignment that is under way. Node ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reassignment {
    /// All that hold the partition now, those that are added and removed among them.
    pub replicas: Vec<i32>,
    /// Those that are added.
    pub adding: Vec<i32>,
    /// Those that are removed.
    pub removing: Vec<i32>,
}

/// The replicas that a partition is to have, the preferred leader first; `None` cancels what is under way.
pub type NewReassignment = ((String, i32), Option<Vec<i32>>);

/// What came of each partition.
pub type ReassignmentResults = BTreeMap<(String, i32), Result<(), ClientError>>;

impl Cluster {
    /// The reassignments that are under way, of all partitions or of some.
    pub fn reassignments(
        &mut self,
        partitions: Option<&[(String, i32)]>,
    ) -> Result<BTreeMap<(String, i32), Reassignment>, ClientError> {
        let topics = partitions.map(|all| {
            let topics = by_topic(all).into_iter();
            topics
                .map(|(name, partition_indexes)| ListPartitionReassignmentsTopics {
                    name,
                    partition_indexes,
                })
                .collect()
        });
        let request = ListPartitionReassignmentsRequest { timeout_ms: TIMEOUT_MS, topics };
        self.ask(To::Controller, &request, |reply| {
            let response = reply.read::<ListPartitionReassignmentsRequest<'_>>()?;
            let what = || "listing reassignments".to_owned();
            check_code(response.error_code, what, response.error_message)?;
            let mut found = BTreeMap::new();
            for topic in &response.topics {
                for it in &topic.partitions {
                    let reassignment = Reassignment {
                        replicas: it.replicas.clone(),
                        adding: it.adding_replicas.clone(),
                        removing: it.removing_replicas.clone(),
                    };
                    found.insert((topic.name.to_owned(), it.partition_index), reassignment);
                }
            }
            Ok(found)
        })
    }

    /// Begins, changes or cancels reassignments. Where the number of replicas may not change, that is refused, by a
    /// broker that knows of it (Kafka 4.1, KIP-860).
    pub fn reassign(
        &mut self,
        wanted: &[NewReassignment],
        allow_replication_factor_change: bool,
    ) -> Result<ReassignmentResults, ClientError> {
        let mut topics: BTreeMap<&str, Vec<ReassignablePartition>> = BTreeMap::new();
        for ((topic, partition_index), replicas) in wanted {
            topics.entry(topic).or_default().push(ReassignablePartition {
                partition_index: *partition_index,
                replicas: replicas.clone(),
            });
        }
        let topics = topics.into_iter();
        let request = AlterPartitionReassignmentsRequest {
            timeout_ms: TIMEOUT_MS,
            allow_replication_factor_change,
            topics: topics
                .map(|(name, partitions)| ReassignableTopic { name, partitions })
                .collect(),
        };
        self.command(To::Controller, &request, |reply| {
            let response = reply.read::<AlterPartitionReassignmentsRequest<'_>>()?;
            let what = || "reassigning partitions".to_owned();
            check_code(response.error_code, what, response.error_message)?;
            let mut results = ReassignmentResults::new();
            for topic in &response.responses {
                for it in &topic.partitions {
                    let what = || format!("partition {} of '{}'", it.partition_index, topic.name);
                    let result = check_code(it.error_code, what, it.error_message);
                    results.insert((topic.name.to_owned(), it.partition_index), result);
                }
            }
            Ok(results)
        })
    }
}
