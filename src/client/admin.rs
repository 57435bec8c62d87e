//! What administrators ask of a cluster: topics, configurations, offsets, directories.
//!
//! Each function sends its requests and waits for the answers. An error that may pass is met with
//! another attempt, as [`Cluster::call`] does; a topic that does not exist is an answer.

use super::protocol::ApiRequest;
use super::{ClientError, Cluster, Reply, To, check_code};
use crate::types::{ErrorCode, TopicId};
use crate::wire::kafka as k;
use std::collections::BTreeMap;

use k::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use k::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use k::delete_records_request::{DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic};
use k::delete_topics_request::DeleteTopicsRequest;
use k::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use k::describe_log_dirs_request::DescribeLogDirsRequest;
use k::describe_topic_partitions_request::{self as topics, DescribeTopicPartitionsRequest};
use k::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use k::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};

/// How long a broker may take for a change, in milliseconds.
const TIMEOUT_MS: i32 = 30_000;

/// What configurations belong to; the numbers are those of Kafka's `ConfigResource.Type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resource {
    /// A topic by name.
    Topic(String),
    /// A broker by node id; `None` is the default of all brokers.
    Broker(Option<i32>),
}

impl Resource {
    fn kind(&self) -> i8 {
        match self {
            Self::Topic(_) => 2,
            Self::Broker(_) => 4,
        }
    }

    fn name(&self) -> String {
        match self {
            Self::Topic(name) => name.clone(),
            Self::Broker(id) => id.map(|id| id.to_string()).unwrap_or_default(),
        }
    }

    /// A broker's own configuration is asked of that broker.
    fn to(&self) -> To {
        match self {
            Self::Broker(Some(id)) => To::Node(*id),
            _ => To::Controller,
        }
    }
}

/// One configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigEntry {
    /// Name.
    pub name: String,
    /// Value; `None` where it has none, or is kept secret.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: ConfigSource,
    /// Cannot be changed while the broker runs.
    pub read_only: bool,
    /// The value is kept secret.
    pub sensitive: bool,
    /// The settings that could give the value, the strongest first; the first one does.
    pub synonyms: Vec<ConfigSynonym>,
}

/// A name under which a configuration can be set, and what is set there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigSynonym {
    /// Name.
    pub name: String,
    /// Value.
    pub value: Option<String>,
    /// Where it is set.
    pub source: ConfigSource,
}

/// Kafka's `ConfigSource`, by its number on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigSource(pub i8);

impl ConfigSource {
    /// A default of the broker's code.
    pub const DEFAULT: Self = Self(5);
    /// Set when the broker was started.
    pub const STATIC_BROKER: Self = Self(4);

    /// Kafka's name.
    pub fn name(self) -> &'static str {
        match self.0 {
            1 => "DYNAMIC_TOPIC_CONFIG",
            2 => "DYNAMIC_BROKER_CONFIG",
            3 => "DYNAMIC_DEFAULT_BROKER_CONFIG",
            4 => "STATIC_BROKER_CONFIG",
            5 => "DEFAULT_CONFIG",
            6 => "DYNAMIC_BROKER_LOGGER_CONFIG",
            7 => "DYNAMIC_CLIENT_METRICS_CONFIG",
            8 => "DYNAMIC_GROUP_CONFIG",
            _ => "UNKNOWN",
        }
    }

    /// Set for this resource itself, while the broker runs.
    pub fn is_own(self, resource: &Resource) -> bool {
        match resource {
            Resource::Topic(_) => self.0 == 1,
            Resource::Broker(Some(_)) => self.0 == 2,
            Resource::Broker(None) => self.0 == 3,
        }
    }
}

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

/// Bytes of a partition in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDirPartition {
    /// The topic's name.
    pub topic: String,
    /// Number of the partition.
    pub partition: i32,
    /// Bytes.
    pub size: i64,
    /// Offsets behind the high watermark.
    pub offset_lag: i64,
    /// Whether it is being moved to another directory.
    pub is_future: bool,
}

/// A directory of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogDir {
    /// Its path.
    pub path: String,
    /// The error of the directory.
    pub error: Option<ErrorCode>,
    /// Its partitions.
    pub partitions: Vec<LogDirPartition>,
}

impl Cluster {
    /// As [`Cluster::call`], but that a topic is unknown is an answer, not a reason to ask again.
    fn ask<R: ApiRequest, T>(
        &mut self,
        to: To,
        request: &R,
        read: impl Fn(&Reply) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        self.call(to, request, |reply| match read(reply) {
            Err(e) if e.code() == Some(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION) => Ok(Err(e)),
            other => other.map(Ok),
        })?
    }

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

    /// All configurations of a resource, by name.
    pub fn describe_configs(
        &mut self,
        resource: &Resource,
    ) -> Result<Vec<ConfigEntry>, ClientError> {
        let name = resource.name();
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: resource.kind(),
                resource_name: &name,
                configuration_keys: None,
            }],
            include_synonyms: true,
            include_documentation: false,
        };
        let mut entries = self.ask(resource.to(), &request, |reply| {
            let response = reply.read::<DescribeConfigsRequest<'_>>()?;
            let result = first(&response.results)?;
            let what = || format!("configuration of {}", resource.shown());
            check_code(result.error_code, what, result.error_message)?;
            let owned = |text: Option<&str>| text.map(str::to_owned);
            let entries = result.configs.iter().map(|c| ConfigEntry {
                name: c.name.to_owned(),
                value: owned(c.value),
                source: ConfigSource(c.config_source),
                read_only: c.read_only,
                sensitive: c.is_sensitive,
                synonyms: c
                    .synonyms
                    .iter()
                    .map(|s| ConfigSynonym {
                        name: s.name.to_owned(),
                        value: owned(s.value),
                        source: ConfigSource(s.source),
                    })
                    .collect(),
            });
            Ok(entries.collect::<Vec<_>>())
        })?;
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// Sets configurations of a resource, and takes those without a value back to their defaults.
    pub fn alter_configs(
        &mut self,
        resource: &Resource,
        changes: &[(String, Option<String>)],
    ) -> Result<(), ClientError> {
        /// `AlterConfigOp.OpType` of Kafka.
        const SET: i8 = 0;
        const DELETE: i8 = 1;
        let configs = changes.iter().map(|(name, value)| AlterableConfig {
            name,
            config_operation: if value.is_some() { SET } else { DELETE },
            value: value.as_deref(),
        });
        let name = resource.name();
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: resource.kind(),
                resource_name: &name,
                configs: configs.collect(),
            }],
            validate_only: false,
        };
        self.ask(resource.to(), &request, |reply| {
            let response = reply.read::<IncrementalAlterConfigsRequest<'_>>()?;
            let result = first(&response.responses)?;
            check_code(result.error_code, || resource.shown(), result.error_message)
        })
    }

    /// The offset of each of `partitions`, topic and number, for `timestamp`, which may be one of
    /// Kafka's special ones (-1 latest, -2 earliest, …); -1 where there is none. A partition's error
    /// is its own. The metadata must know the topics.
    pub fn offsets_for(
        &mut self,
        partitions: &[(String, i32)],
        timestamp: i64,
    ) -> Result<Vec<Result<i64, ClientError>>, ClientError> {
        let mut found: BTreeMap<(String, i32), Result<i64, ClientError>> = BTreeMap::new();
        for (leader, topics) in self.by_leader(partitions, &mut found) {
            let topics = topics.iter().map(|(name, numbers)| ListOffsetsTopic {
                name,
                partitions: numbers
                    .iter()
                    .map(|&partition_index| ListOffsetsPartition {
                        partition_index,
                        timestamp,
                        ..ListOffsetsPartition::default()
                    })
                    .collect(),
            });
            let request = ListOffsetsRequest {
                replica_id: -1,
                topics: topics.collect(),
                timeout_ms: TIMEOUT_MS,
                ..ListOffsetsRequest::default()
            };
            let answers = self.call(To::Node(leader), &request, |reply| {
                let response = reply.read::<ListOffsetsRequest<'_>>()?;
                let mut all = Vec::new();
                for topic in &response.topics {
                    for p in &topic.partitions {
                        let what =
                            || format!("partition {} of '{}'", p.partition_index, topic.name);
                        let offset = check_code(p.error_code, what, None).map(|()| p.offset);
                        all.push(((topic.name.to_owned(), p.partition_index), offset));
                    }
                }
                Ok(all)
            })?;
            found.extend(answers);
        }
        Ok(in_order(partitions, &mut found))
    }

    /// Deletes the records before an offset of each partition, topic, number and offset, -1 for the
    /// high watermark; gives the new first offset of each. The metadata must know the topics.
    pub fn delete_records(
        &mut self,
        records: &[(String, i32, i64)],
    ) -> Result<Vec<Result<i64, ClientError>>, ClientError> {
        let partitions: Vec<_> = records.iter().map(|(topic, p, _)| (topic.clone(), *p)).collect();
        let offset_of: BTreeMap<_, _> =
            records.iter().map(|(topic, p, offset)| ((topic.as_str(), *p), *offset)).collect();
        let mut found: BTreeMap<(String, i32), Result<i64, ClientError>> = BTreeMap::new();
        for (leader, topics) in self.by_leader(&partitions, &mut found) {
            let topics = topics.iter().map(|(name, numbers)| DeleteRecordsTopic {
                name,
                partitions: numbers
                    .iter()
                    .map(|&partition_index| DeleteRecordsPartition {
                        partition_index,
                        offset: offset_of[&(name.as_str(), partition_index)],
                    })
                    .collect(),
            });
            let request = DeleteRecordsRequest { topics: topics.collect(), timeout_ms: TIMEOUT_MS };
            let answers = self.call(To::Node(leader), &request, |reply| {
                let response = reply.read::<DeleteRecordsRequest<'_>>()?;
                let mut all = Vec::new();
                for topic in &response.topics {
                    for p in &topic.partitions {
                        let what =
                            || format!("partition {} of '{}'", p.partition_index, topic.name);
                        let low = check_code(p.error_code, what, None).map(|()| p.low_watermark);
                        all.push(((topic.name.to_owned(), p.partition_index), low));
                    }
                }
                Ok(all)
            })?;
            found.extend(answers);
        }
        Ok(in_order(&partitions, &mut found))
    }

    /// Sorts partitions by who leads them; those that nobody leads go to `failed`.
    fn by_leader(
        &self,
        partitions: &[(String, i32)],
        failed: &mut BTreeMap<(String, i32), Result<i64, ClientError>>,
    ) -> BTreeMap<i32, BTreeMap<String, Vec<i32>>> {
        let mut by_leader: BTreeMap<i32, BTreeMap<String, Vec<i32>>> = BTreeMap::new();
        for (topic, partition) in partitions {
            match self.metadata().leader(topic, *partition) {
                Ok(leader) => by_leader
                    .entry(leader)
                    .or_default()
                    .entry(topic.clone())
                    .or_default()
                    .push(*partition),
                Err(e) => drop(failed.insert((topic.clone(), *partition), Err(e))),
            }
        }
        by_leader
    }

    /// The directories of a broker.
    pub fn log_dirs(&mut self, node: i32) -> Result<Vec<LogDir>, ClientError> {
        let request = DescribeLogDirsRequest { topics: None };
        self.ask(To::Node(node), &request, |reply| {
            let response = reply.read::<DescribeLogDirsRequest<'_>>()?;
            check_code(response.error_code, || format!("directories of broker {node}"), None)?;
            let dirs = response.results.iter().map(|dir| LogDir {
                path: dir.log_dir.to_owned(),
                error: Some(ErrorCode(dir.error_code)).filter(|code| code.is_err()),
                partitions: dir
                    .topics
                    .iter()
                    .flat_map(|topic| {
                        topic.partitions.iter().map(|p| LogDirPartition {
                            topic: topic.name.to_owned(),
                            partition: p.partition_index,
                            size: p.partition_size,
                            offset_lag: p.offset_lag,
                            is_future: p.is_future_key,
                        })
                    })
                    .collect(),
            });
            Ok(dirs.collect())
        })
    }
}

impl Resource {
    /// What was asked, in a few words, for errors.
    fn shown(&self) -> String {
        match self {
            Self::Topic(name) => format!("topic '{name}'"),
            Self::Broker(Some(id)) => format!("broker {id}"),
            Self::Broker(None) => "the default of all brokers".to_owned(),
        }
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

/// The results in the order of the questions.
fn in_order(
    partitions: &[(String, i32)],
    found: &mut BTreeMap<(String, i32), Result<i64, ClientError>>,
) -> Vec<Result<i64, ClientError>> {
    partitions.iter().map(|key| found.remove(key).unwrap_or_else(|| Err(nothing_said()))).collect()
}

/// The one result that a request about one thing gets.
fn first<T>(results: &[T]) -> Result<&T, ClientError> {
    results.first().ok_or_else(nothing_said)
}

fn nothing_said() -> ClientError {
    ClientError::Refused {
        what: "the broker's answer says nothing of it".to_owned(),
        code: ErrorCode::UNKNOWN_SERVER_ERROR,
        message: None,
    }
}
