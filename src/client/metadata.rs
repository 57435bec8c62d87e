//! The client's copy of the cluster's metadata.

use super::ClientError;
use crate::types::{ErrorCode, TopicId};
use crate::wire::kafka::metadata_response::{MetadataResponse, MetadataResponseTopic};
use std::collections::BTreeMap;

/// A broker's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerInfo {
    /// Host that it advertises.
    pub host: String,
    /// Port that it advertises.
    pub port: i32,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMeta {
    /// Node id of the leader; -1 for none.
    pub leader: i32,
    /// The leader's epoch; -1 where the broker does not say.
    pub leader_epoch: i32,
    /// Node ids of the replicas, the preferred leader first.
    pub replicas: Vec<i32>,
    /// Node ids of the replicas that are in sync.
    pub isr: Vec<i32>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMeta {
    /// Its id; zero where the broker does not say.
    pub id: TopicId,
    /// Whether it is an internal topic.
    pub internal: bool,
    /// Its partitions by number.
    pub partitions: BTreeMap<i32, PartitionMeta>,
}

/// The cluster as the last answers described it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Brokers by node id.
    pub brokers: BTreeMap<i32, BrokerInfo>,
    /// Node id of the controller; -1 for none.
    pub controller: i32,
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// Topics by name.
    pub topics: BTreeMap<String, TopicMeta>,
    /// Topics that were asked for, with the error that the broker gave instead of a description.
    errors: BTreeMap<String, ErrorCode>,
}

impl Metadata {
    /// Takes an answer. What it says of a topic replaces what was known; topics that it does not
    /// name stay. A partition's leader of an older epoch than the known one is not believed: that
    /// answer came from a broker that is behind (KIP-320).
    pub fn update(&mut self, response: &MetadataResponse<'_>) {
        self.brokers = response
            .brokers
            .iter()
            .map(|b| (b.node_id, BrokerInfo { host: b.host.to_owned(), port: b.port }))
            .collect();
        self.controller = response.controller_id;
        self.cluster_id = response.cluster_id.map(str::to_owned);
        for topic in &response.topics {
            let Some(name) = topic.name else { continue };
            let code = ErrorCode(topic.error_code);
            self.errors.remove(name);
            if code.is_err() {
                self.errors.insert(name.to_owned(), code);
            }
            if code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
                self.topics.remove(name);
            }
            if !code.is_err() {
                let known = self.topics.remove(name).filter(|t| t.id == topic.topic_id);
                self.topics.insert(name.to_owned(), describe(topic, known.as_ref()));
            }
        }
    }

    /// A broker that does not lead a partition has said who does (KIP-951); `endpoints` has where that is. Whether
    /// that is news: another leader, of a later epoch than was known.
    pub fn leader_is(
        &mut self,
        topic: &str,
        partition: i32,
        (leader, epoch): (i32, i32),
        endpoints: impl Iterator<Item = (i32, BrokerInfo)>,
    ) -> bool {
        let known = self.topics.get_mut(topic).and_then(|it| it.partitions.get_mut(&partition));
        let Some(known) = known.filter(|it| leader >= 0 && epoch > it.leader_epoch) else {
            return false;
        };
        self.brokers.extend(endpoints.filter(|(id, _)| *id == leader));
        if !self.brokers.contains_key(&leader) {
            return false;
        }
        (known.leader, known.leader_epoch) = (leader, epoch);
        true
    }

    /// What is known of a topic.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`], or what the broker said when it was asked.
    pub fn topic(&self, name: &str) -> Result<&TopicMeta, ClientError> {
        match self.errors.get(name) {
            Some(&ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => {
                Err(ClientError::UnknownTopic(name.to_owned()))
            }
            Some(&code) => {
                Err(ClientError::Refused { what: format!("topic '{name}'"), code, message: None })
            }
            None => self.topics.get(name).ok_or_else(|| ClientError::UnknownTopic(name.to_owned())),
        }
    }

    /// Node id of the leader of a partition.
    pub fn leader(&self, topic: &str, partition: i32) -> Result<i32, ClientError> {
        let partitions = &self.topic(topic)?.partitions;
        let Some(meta) = partitions.get(&partition) else {
            let last = partitions.keys().next_back().copied().unwrap_or(-1);
            return Err(ClientError::UnknownPartition { topic: topic.to_owned(), partition, last });
        };
        if meta.leader < 0 {
            return Err(ClientError::NoLeader { topic: topic.to_owned(), partition });
        }
        Ok(meta.leader)
    }
}

fn describe(topic: &MetadataResponseTopic<'_>, known: Option<&TopicMeta>) -> TopicMeta {
    let partitions = topic.partitions.iter().map(|p| {
        let known = known.and_then(|t| t.partitions.get(&p.partition_index));
        let meta = match known {
            Some(known) if known.leader_epoch > p.leader_epoch && p.leader_epoch >= 0 => {
                known.clone()
            }
            _ => PartitionMeta {
                leader: p.leader_id,
                leader_epoch: p.leader_epoch,
                replicas: p.replica_nodes.clone(),
                isr: p.isr_nodes.clone(),
            },
        };
        (p.partition_index, meta)
    });
    TopicMeta { id: topic.topic_id, internal: topic.is_internal, partitions: partitions.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::kafka::metadata_response::{
        MetadataResponseBroker, MetadataResponsePartition,
    };

    fn response(id: u8, error: ErrorCode, leaders: &[(i32, i32)]) -> MetadataResponse<'static> {
        let partitions = leaders
            .iter()
            .enumerate()
            .map(|(i, &(leader_id, leader_epoch))| MetadataResponsePartition {
                partition_index: i as i32,
                leader_id,
                leader_epoch,
                ..MetadataResponsePartition::default()
            })
            .collect();
        MetadataResponse {
            brokers: vec![MetadataResponseBroker {
                node_id: 3,
                host: "h",
                port: 9,
                ..MetadataResponseBroker::default()
            }],
            topics: vec![MetadataResponseTopic {
                name: Some("t"),
                topic_id: TopicId([id; 16]),
                error_code: error.0,
                partitions,
                ..MetadataResponseTopic::default()
            }],
            ..MetadataResponse::default()
        }
    }

    #[test]
    fn finds_leaders() {
        let mut m = Metadata::default();
        assert_eq!(m.leader("t", 0), Err(ClientError::UnknownTopic("t".to_owned())));
        m.update(&response(1, ErrorCode::NONE, &[(3, 1), (-1, 2)]));
        assert_eq!(m.leader("t", 0), Ok(3));
        assert!(matches!(m.leader("t", 1), Err(ClientError::NoLeader { .. })));
        assert!(matches!(m.leader("t", 2), Err(ClientError::UnknownPartition { last: 1, .. })));
        assert_eq!(m.brokers[&3].port, 9);
    }

    #[test]
    fn whoever_led_says_who_leads_now() {
        let mut m = Metadata::default();
        let at = |id: i32| [(id, BrokerInfo { host: "new".to_owned(), port: 5 })].into_iter();
        assert!(!m.leader_is("t", 0, (4, 6), at(4)), "nothing is known of the topic");
        m.update(&response(1, ErrorCode::NONE, &[(3, 5)]));
        assert!(!m.leader_is("t", 0, (4, 5), at(4)), "that is not news");
        assert!(!m.leader_is("t", 0, (-1, 6), at(4)), "nobody leads");
        assert!(!m.leader_is("t", 0, (4, 6), at(7)), "nobody knows where that is");
        assert_eq!(m.leader("t", 0), Ok(3));
        assert!(m.leader_is("t", 0, (4, 6), at(4)));
        assert_eq!((m.leader("t", 0), m.brokers[&4].port), (Ok(4), 5));
        // Of a broker that is known the address may be left out, and who is behind does not bring the old one back.
        assert!(m.leader_is("t", 0, (3, 7), std::iter::empty()));
        m.update(&response(1, ErrorCode::NONE, &[(4, 6)]));
        assert_eq!(m.leader("t", 0), Ok(3));
    }

    #[test]
    fn an_answer_from_a_broker_that_is_behind_is_not_believed() {
        let mut m = Metadata::default();
        m.update(&response(1, ErrorCode::NONE, &[(3, 5)]));
        m.update(&response(1, ErrorCode::NONE, &[(4, 4)]));
        assert_eq!(m.leader("t", 0), Ok(3));
        m.update(&response(1, ErrorCode::NONE, &[(4, 6)]));
        assert_eq!(m.leader("t", 0), Ok(4));
        // Created again: epochs start over.
        m.update(&response(2, ErrorCode::NONE, &[(5, 0)]));
        assert_eq!(m.leader("t", 0), Ok(5));
    }

    #[test]
    fn errors_are_kept_until_they_pass() {
        let mut m = Metadata::default();
        m.update(&response(1, ErrorCode::NONE, &[(3, 5)]));
        m.update(&response(0, ErrorCode::LEADER_NOT_AVAILABLE, &[]));
        assert_eq!(
            m.topic("t").expect_err("not now").code(),
            Some(ErrorCode::LEADER_NOT_AVAILABLE)
        );
        m.update(&response(1, ErrorCode::NONE, &[(3, 5)]));
        assert_eq!(m.leader("t", 0), Ok(3));
        m.update(&response(0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, &[]));
        assert_eq!(m.leader("t", 0), Err(ClientError::UnknownTopic("t".to_owned())));
    }
}
