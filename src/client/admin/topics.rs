//! Topics: creating, growing, deleting, describing.

use super::{TIMEOUT_MS, first};
use crate::client::{ClientError, Cluster, To, check_code};
use crate::types::TopicId;
use crate::wire::kafka as k;
use crate::wire::kafka::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use crate::wire::kafka::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use crate::wire::kafka::delete_topics_request::DeleteTopicsRequest;
use crate::wire::kafka::describe_topic_partitions_request::{
    self as topics, DescribeTopicPartitionsRequest,
};
use std::collections::BTreeMap;

/// A partition as administrators see it. Node ids, the preferred leader first among `replicas`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionState {
    /// Number.
    pub partition: i32,
    /// The leader; -1 for none.
    pub leader: i32,
    /// Replicas.
    pub replicas: Vec<i32>,
    /// Those in sync.
    pub isr: Vec<i32>,
    /// Eligible leaders out of sync (KIP-966); `None` where the broker does not say.
    pub elr: Option<Vec<i32>>,
    /// Eligible leaders that were in sync last (KIP-966); `None` where the broker does not say.
    pub last_known_elr: Option<Vec<i32>>,
}

/// A topic as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicState {
    /// Name.
    pub name: String,
    /// Id; zero where the broker does not say.
    pub id: TopicId,
    /// Partitions in order.
    pub partitions: Vec<PartitionState>,
}

/// A topic to be created; what is `None` is the broker's to decide.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Name.
    pub name: String,
    /// Number of partitions.
    pub partitions: Option<i32>,
    /// Number of replicas.
    pub replication_factor: Option<i16>,
    /// Node ids of the replicas of each partition; if not empty, the numbers above are not sent.
    pub assignments: Vec<Vec<i32>>,
    /// Configurations by name.
    pub configs: Vec<(String, String)>,
}

impl Cluster {
    /// Creates a topic.
    pub fn create_topic(&mut self, topic: &NewTopic) -> Result<(), ClientError> {
        let assigned = !topic.assignments.is_empty();
        let assignments = (0..).zip(&topic.assignments).map(|(partition_index, ids)| {
            CreatableReplicaAssignment { partition_index, broker_ids: ids.clone() }
        });
        let configs = topic
            .configs
            .iter()
            .map(|(name, value)| CreatableTopicConfig { name, value: Some(value) });
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: &topic.name,
                num_partitions: topic.partitions.filter(|_| !assigned).unwrap_or(-1),
                replication_factor: topic.replication_factor.filter(|_| !assigned).unwrap_or(-1),
                assignments: assignments.collect(),
                configs: configs.collect(),
            }],
            timeout_ms: TIMEOUT_MS,
            validate_only: false,
        };
        self.ask(To::Controller, &request, |reply| {
            let response = reply.read::<CreateTopicsRequest<'_>>()?;
            let result = first(&response.topics)?;
            let what = || format!("topic '{}'", topic.name);
            check_code(result.error_code, what, result.error_message)
        })
    }

    /// Raises the number of partitions of a topic to `count`; `assignments` are the node ids of the
    /// replicas of each new one, or empty.
    pub fn create_partitions(
        &mut self,
        topic: &str,
        count: i32,
        assignments: &[Vec<i32>],
    ) -> Result<(), ClientError> {
        let assignments = (!assignments.is_empty()).then(|| {
            let assignment =
                |ids: &Vec<i32>| CreatePartitionsAssignment { broker_ids: ids.clone() };
            assignments.iter().map(assignment).collect()
        });
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic { name: topic, count, assignments }],
            timeout_ms: TIMEOUT_MS,
            validate_only: false,
        };
        self.ask(To::Controller, &request, |reply| {
            let response = reply.read::<CreatePartitionsRequest<'_>>()?;
            let result = first(&response.results)?;
            check_code(result.error_code, || format!("topic '{topic}'"), result.error_message)
        })
    }

    /// Deletes topics; the first error ends it.
    pub fn delete_topics(&mut self, names: &[String]) -> Result<(), ClientError> {
        let request = DeleteTopicsRequest {
            topic_names: names.iter().map(String::as_str).collect(),
            timeout_ms: TIMEOUT_MS,
            ..DeleteTopicsRequest::default()
        };
        self.ask(To::Controller, &request, |reply| {
            let response = reply.read::<DeleteTopicsRequest<'_>>()?;
            response.responses.iter().try_for_each(|topic| {
                let what = || format!("topic '{}'", topic.name.unwrap_or_default());
                check_code(topic.error_code, what, topic.error_message)
            })
        })
    }

    /// Describes topics that exist, in the order of `names`. Brokers before Kafka 3.7 do not say who
    /// is eligible to lead.
    pub fn describe_topics(&mut self, names: &[String]) -> Result<Vec<TopicState>, ClientError> {
        let mut found: BTreeMap<String, TopicState> = BTreeMap::new();
        let mut cursor: Option<(String, i32)> = None;
        loop {
            let request = DescribeTopicPartitionsRequest {
                topics: names.iter().map(|name| topics::TopicRequest { name }).collect(),
                response_partition_limit: 2000,
                cursor: cursor.as_ref().map(|(topic_name, partition_index)| topics::Cursor {
                    topic_name,
                    partition_index: *partition_index,
                }),
            };
            let answer = self.ask(To::Any, &request, |reply| {
                let response = reply.read::<DescribeTopicPartitionsRequest<'_>>()?;
                let topics = response.topics.iter().map(topic_state);
                let next = response.next_cursor.as_ref();
                let next = next.map(|c| (c.topic_name.to_owned(), c.partition_index));
                Ok((topics.collect::<Result<Vec<_>, _>>()?, next))
            });
            let (states, next) = match answer {
                Ok(answer) => answer,
                Err(ClientError::Unsupported { .. }) => return self.describe_by_metadata(names),
                Err(e) => return Err(e),
            };
            for state in states {
                match found.entry(state.name.clone()) {
                    std::collections::btree_map::Entry::Vacant(slot) => drop(slot.insert(state)),
                    std::collections::btree_map::Entry::Occupied(mut slot) => {
                        slot.get_mut().partitions.extend(state.partitions);
                    }
                }
            }
            // A cursor that stands still would ask for ever.
            if next.is_none() || next == cursor {
                break;
            }
            cursor = next;
        }
        let mut states: Vec<_> = names.iter().filter_map(|name| found.remove(name)).collect();
        states.iter_mut().for_each(|t| t.partitions.sort_by_key(|p| p.partition));
        Ok(states)
    }

    fn describe_by_metadata(&mut self, names: &[String]) -> Result<Vec<TopicState>, ClientError> {
        let asked: Vec<&str> = names.iter().map(String::as_str).collect();
        self.refresh(Some(&asked), false)?;
        names
            .iter()
            .map(|name| {
                let topic = self.metadata().topic(name)?;
                let partitions = topic.partitions.iter().map(|(&partition, p)| PartitionState {
                    partition,
                    leader: p.leader,
                    replicas: p.replicas.clone(),
                    isr: p.isr.clone(),
                    ..PartitionState::default()
                });
                let partitions = partitions.collect();
                Ok(TopicState { name: name.clone(), id: topic.id, partitions })
            })
            .collect()
    }
}

fn topic_state(
    topic: &k::describe_topic_partitions_response::DescribeTopicPartitionsResponseTopic<'_>,
) -> Result<TopicState, ClientError> {
    let name = topic.name.unwrap_or_default().to_owned();
    check_code(topic.error_code, || format!("topic '{name}'"), None)?;
    let partitions = topic.partitions.iter().map(|p| PartitionState {
        partition: p.partition_index,
        leader: p.leader_id,
        replicas: p.replica_nodes.clone(),
        isr: p.isr_nodes.clone(),
        // Where a broker has nothing to say here, Kafka's client shows an empty list.
        elr: Some(p.eligible_leader_replicas.clone().unwrap_or_default()),
        last_known_elr: Some(p.last_known_elr.clone().unwrap_or_default()),
    });
    Ok(TopicState { partitions: partitions.collect(), name, id: topic.topic_id })
}
