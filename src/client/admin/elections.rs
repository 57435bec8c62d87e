//! Elections of leaders that an operator asks for (KIP-183, KIP-460).

use super::{TIMEOUT_MS, by_topic};
use crate::client::{ClientError, Cluster, To, check_code};
use crate::wire::kafka::elect_leaders_request::{ElectLeadersRequest, TopicPartitions};
use std::collections::BTreeMap;

/// Kafka's `ElectionType`, by its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElectionType {
    /// The first replica leads, where it is in sync.
    Preferred = 0,
    /// Somebody leads where nobody does, in sync or not.
    Unclean = 1,
}

/// What came of each partition.
pub type ElectionResults = BTreeMap<(String, i32), Result<(), ClientError>>;

impl Cluster {
    /// Has leaders elected, of all partitions where none are named: then only those that needed an election are told
    /// of.
    pub fn elect_leaders(
        &mut self,
        election_type: ElectionType,
        partitions: Option<&[(String, i32)]>,
    ) -> Result<ElectionResults, ClientError> {
        let topic_partitions = partitions.map(|all| {
            let topics = by_topic(all).into_iter();
            topics.map(|(topic, partitions)| TopicPartitions { topic, partitions }).collect()
        });
        let request = ElectLeadersRequest {
            election_type: election_type as i8,
            topic_partitions,
            timeout_ms: TIMEOUT_MS,
        };
        self.command(To::Controller, &request, |reply| {
            let response = reply.read::<ElectLeadersRequest<'_>>()?;
            check_code(response.error_code, || "electing leaders".to_owned(), None)?;
            let mut results = ElectionResults::new();
            for topic in &response.replica_election_results {
                for it in &topic.partition_result {
                    let what = || format!("partition {} of '{}'", it.partition_id, topic.topic);
                    let result = check_code(it.error_code, what, it.error_message);
                    results.insert((topic.topic.to_owned(), it.partition_id), result);
                }
            }
            Ok(results)
        })
    }
}
