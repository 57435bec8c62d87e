//! Administrators: each owns some topics, and knows exactly what it must be told of them.

use super::{EARLIEST, LATEST, list_offsets, offset_listed, some_log};
use crate::checkers::Facts;
use crate::checkers::records::Floor;
use crate::checkers::topics::Presence;
use crate::client::{Asked, Cx, Link, Role};
use klamm::client::Reply;
use klamm::types::ErrorCode;
use klamm::wire::kafka::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use klamm::wire::kafka::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use klamm::wire::kafka::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use klamm::wire::kafka::delete_topics_request::DeleteTopicsRequest;
use klamm::wire::kafka::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use klamm::wire::kafka::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use klamm::wire::kafka::metadata_request::{MetadataRequest, MetadataRequestTopic};

/// A topic, as a config resource.
const TOPIC: i8 = 2;
/// Settings that are changed, and between which values.
const SETTINGS: [(&str, u64, u64); 5] = [
    ("segment.ms", 200, 60_000),
    ("segment.bytes", 1 << 20, 8 << 20),
    ("file.delete.delay.ms", 0, 2000),
    ("max.message.bytes", 1 << 20, 4 << 20),
    RETENTION_MS,
];
/// The last of them, for topics that lose records by time alone: never less than at their creation, so that
/// nothing goes sooner than is checked.
const RETENTION_MS: (&str, u64, u64) = ("retention.ms", 3000, 10_000);

pub struct Admin {
    number: usize,
    /// The topics that it owns.
    owned: Vec<usize>,
    /// Settings of each, at its creation.
    settings: Vec<Vec<(&'static str, String)>>,
    deletes_records: bool,
    next_ms: i64,
}

impl Admin {
    pub fn new(
        number: usize,
        owned: Vec<usize>,
        settings: Vec<Vec<(&'static str, String)>>,
        deletes_records: bool,
    ) -> Self {
        Self { number, owned, settings, deletes_records, next_ms: 0 }
    }

    fn create(&self, cx: &mut Cx<'_>, link: &mut Link, at: usize) {
        let topic = self.owned[at];
        let partitions = cx.rng.between(1, 4) as i32;
        let name = cx.facts.topics.0[topic].name.clone();
        let configs = self.settings[at]
            .iter()
            .map(|(name, value)| CreatableTopicConfig { name, value: Some(value) });
        let request = CreateTopicsRequest {
            topics: vec![CreatableTopic {
                name: &name,
                num_partitions: partitions,
                replication_factor: 1,
                assignments: Vec::new(),
                configs: configs.collect(),
            }],
            timeout_ms: 30_000,
            validate_only: false,
        };
        cx.facts.topics.changing(topic);
        cx.facts.topics.0[topic].settings.clear();
        cx.facts.counts.topics += 1;
        link.send(cx, &request, Asked::CreateTopic { topic });
    }

    fn delete(cx: &mut Cx<'_>, link: &mut Link, topic: usize) {
        let name = cx.facts.topics.0[topic].name.clone();
        let request = DeleteTopicsRequest {
            topic_names: vec![&name],
            timeout_ms: 30_000,
            ..DeleteTopicsRequest::default()
        };
        cx.facts.topics.changing(topic);
        link.send(cx, &request, Asked::DeleteTopic { topic });
    }

    fn add_partitions(cx: &mut Cx<'_>, link: &mut Link, topic: usize) {
        let it = &mut cx.facts.topics.0[topic];
        let count = it.partitions_asked.max(it.partitions) + 1;
        it.partitions_asked = count;
        let name = it.name.clone();
        let request = CreatePartitionsRequest {
            topics: vec![CreatePartitionsTopic { name: &name, count, assignments: None }],
            timeout_ms: 30_000,
            validate_only: false,
        };
        link.send(cx, &request, Asked::CreatePartitions { topic, count });
    }

    fn alter(cx: &mut Cx<'_>, link: &mut Link, topic: usize) {
        let it = &cx.facts.topics.0[topic];
        let kinds = SETTINGS.len() - usize::from(it.retention_ms.is_none());
        let (setting, least, most) = SETTINGS[cx.rng.index(kinds)];
        // Without its own, a topic keeps records for a week.
        let set = setting == RETENTION_MS.0 || !cx.rng.chance(25);
        let value = set.then(|| cx.rng.between(least, most).to_string());
        let name = cx.facts.topics.0[topic].name.clone();
        let request = IncrementalAlterConfigsRequest {
            resources: vec![AlterConfigsResource {
                resource_type: TOPIC,
                resource_name: &name,
                configs: vec![AlterableConfig {
                    name: setting,
                    config_operation: i8::from(value.is_none()),
                    value: value.as_deref(),
                }],
            }],
            validate_only: false,
        };
        cx.facts.topics.0[topic].settings.remove(setting);
        link.send(cx, &request, Asked::AlterConfig { topic, name: setting, value: value.clone() });
    }

    fn describe(cx: &mut Cx<'_>, link: &mut Link, topic: usize) {
        let name = cx.facts.topics.0[topic].name.clone();
        let setting = SETTINGS[cx.rng.index(SETTINGS.len())].0;
        let request = DescribeConfigsRequest {
            resources: vec![DescribeConfigsResource {
                resource_type: TOPIC,
                resource_name: &name,
                configuration_keys: Some(vec![setting]),
            }],
            ..DescribeConfigsRequest::default()
        };
        link.send(cx, &request, Asked::DescribeConfig { topic, name: setting });
    }

    fn metadata(cx: &mut Cx<'_>, link: &mut Link, topic: usize) {
        let name = cx.facts.topics.0[topic].name.clone();
        let request = MetadataRequest {
            topics: Some(vec![MetadataRequestTopic {
                name: Some(&name),
                ..MetadataRequestTopic::default()
            }]),
            allow_auto_topic_creation: false,
            ..MetadataRequest::default()
        };
        let stamp = cx.facts.topics.stamp(topic);
        link.send(cx, &request, Asked::Metadata { topic, stamp });
    }

    /// Deletes records of some log, and asks where it starts.
    fn delete_records(cx: &mut Cx<'_>, link: &mut Link) {
        let Some(key) = some_log(cx) else { return };
        let floor = cx.facts.records.floor(key);
        let all = cx.rng.chance(20);
        let reach = (floor.end - floor.start).max(0) as u64;
        let offset = if all { -1 } else { floor.start + cx.rng.below(reach + 1) as i64 };
        let name = cx.facts.topics.0[key.topic].name.clone();
        let stamp = cx.facts.topics.stamp(key.topic);
        let request = DeleteRecordsRequest {
            topics: vec![DeleteRecordsTopic {
                name: &name,
                partitions: vec![DeleteRecordsPartition { partition_index: key.partition, offset }],
            }],
            timeout_ms: 30_000,
        };
        let number = cx.facts.records.deleting(key, offset);
        link.send(cx, &request, Asked::DeleteRecords { key, stamp, number });
        if cx.rng.chance(60) {
            let time = if cx.rng.chance(70) { EARLIEST } else { LATEST };
            list_offsets(cx, link, key, time);
        }
    }

    fn records_deleted(cx: &mut Cx<'_>, link: &mut Link, asked: &Asked, reply: &Reply) {
        let Asked::DeleteRecords { key, stamp, number } = *asked else { return };
        let response = reply.read::<DeleteRecordsRequest<'_>>().expect("an answer");
        let answer = &response.topics[0].partitions[0];
        if !cx.facts.topics.holds(stamp) {
            return;
        }
        match ErrorCode(answer.error_code) {
            ErrorCode::NONE => {
                cx.facts.counts.deletes += 1;
                cx.facts.records.deleted(key, number, answer.low_watermark);
                link.raise(key, Floor { end: 0, start: answer.low_watermark });
            }
            // Others, or retention, have deleted more meanwhile.
            ErrorCode::OFFSET_OUT_OF_RANGE => {
                cx.facts.records.not_deleted(key, number);
            }
            ErrorCode::POLICY_VIOLATION if cx.facts.topics.0[key.topic].compacted => {
                cx.facts.records.not_deleted(key, number);
            }
            error => panic!("{key:?}: delete records: {error}"),
        }
    }

    fn metadata_read(cx: &mut Cx<'_>, topic: usize, reply: &Reply) {
        let response = reply.read::<MetadataRequest<'_>>().expect("an answer");
        let found = &response.topics[0];
        let it = &cx.facts.topics.0[topic];
        let (before, partitions, id) = (it.presence, it.partitions, it.id);
        match ErrorCode(found.error_code) {
            ErrorCode::NONE => {
                let count = found.partitions.len() as i32;
                assert!(before != Presence::Absent, "{} is there, and was deleted", it.name);
                if before == Presence::Present {
                    assert_eq!(found.topic_id, id, "{} is another topic", it.name);
                    assert!(
                        count >= partitions && count <= it.partitions_asked.max(partitions),
                        "{} has {count} partitions, and had {partitions}",
                        it.name
                    );
                }
                cx.facts.topics.is_there(topic, found.topic_id, count);
            }
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
                assert!(before != Presence::Present, "{} is not there", it.name);
                cx.facts.topics.is_gone(topic);
            }
            error => panic!("{}: metadata: {error}", it.name),
        }
    }
}

impl Role for Admin {
    fn act(&mut self, cx: &mut Cx<'_>, link: &mut Link) {
        if !link.sent.is_empty() || cx.now.monotonic_ms < self.next_ms {
            return;
        }
        self.next_ms = cx.now.monotonic_ms + cx.rng.between(1, 60) as i64;
        if let Some(until) = cx.silence() {
            self.next_ms = until;
            return;
        }
        // First of all: what is not known.
        let unsure = |topic: &usize| cx.facts.topics.0[*topic].presence == Presence::Unsure;
        if let Some(topic) = self.owned.iter().copied().find(unsure) {
            Self::metadata(cx, link, topic);
            return;
        }
        if cx.calm {
            return;
        }
        for _ in 0..cx.rng.between(1, 3) {
            let at = cx.rng.index(self.owned.len());
            let topic = self.owned[at];
            let it = &cx.facts.topics.0[topic];
            let (presence, volatile, partitions) = (it.presence, it.volatile, it.partitions);
            match presence {
                // A change is on its way: how it ended is told behind it.
                Presence::Unsure => {}
                Presence::Absent => self.create(cx, link, at),
                Presence::Present => match cx.rng.below(100) {
                    0..=14 if volatile => Self::delete(cx, link, topic),
                    15..=24 if partitions < 7 => Self::add_partitions(cx, link, topic),
                    25..=44 => Self::alter(cx, link, topic),
                    45..=75 if self.deletes_records => Self::delete_records(cx, link),
                    _ => {}
                },
            }
            if cx.rng.chance(60) {
                if cx.rng.chance(50) {
                    Self::metadata(cx, link, topic);
                } else if cx.facts.topics.0[topic].presence == Presence::Present {
                    Self::describe(cx, link, topic);
                }
            }
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, link: &mut Link, asked: Asked, reply: Option<&Reply>) {
        let reply = reply.expect("an answer");
        match asked {
            Asked::CreateTopic { topic } => {
                let response = reply.read::<CreateTopicsRequest<'_>>().expect("an answer");
                let created = &response.topics[0];
                assert_eq!(
                    ErrorCode(created.error_code),
                    ErrorCode::NONE,
                    "create {}",
                    created.name
                );
                if !cx.facts.topics.0[topic].gone.is_empty() {
                    cx.facts.counts.recreated += 1;
                }
                cx.facts.topics.is_there(topic, created.topic_id, created.num_partitions);
                cx.facts.topics.0[topic].partitions_asked = created.num_partitions;
            }
            Asked::DeleteTopic { topic } => {
                let response = reply.read::<DeleteTopicsRequest<'_>>().expect("an answer");
                let error = ErrorCode(response.responses[0].error_code);
                assert_eq!(error, ErrorCode::NONE, "delete {:?}", response.responses[0].name);
                cx.facts.topics.is_gone(topic);
            }
            Asked::CreatePartitions { topic, count } => {
                let response = reply.read::<CreatePartitionsRequest<'_>>().expect("an answer");
                let result = &response.results[0];
                let it = &mut cx.facts.topics.0[topic];
                match ErrorCode(result.error_code) {
                    ErrorCode::NONE => it.partitions = it.partitions.max(count),
                    // An earlier request, whose answer was lost, had added more.
                    ErrorCode::INVALID_PARTITIONS => {}
                    error => panic!("partitions of {}: {error}", result.name),
                }
            }
            Asked::AlterConfig { topic, name, value } => {
                let response =
                    reply.read::<IncrementalAlterConfigsRequest<'_>>().expect("an answer");
                let error = ErrorCode(response.responses[0].error_code);
                assert_eq!(error, ErrorCode::NONE, "alter {}", response.responses[0].resource_name);
                cx.facts.topics.0[topic].settings.insert(name, value);
            }
            Asked::DescribeConfig { topic, name } => {
                let response = reply.read::<DescribeConfigsRequest<'_>>().expect("an answer");
                let result = &response.results[0];
                let it = &cx.facts.topics.0[topic];
                assert_eq!(ErrorCode(result.error_code), ErrorCode::NONE, "describe {}", it.name);
                let set = result.configs.iter().find(|it| it.name == name && it.config_source == 1);
                if let Some(known) = it.settings.get(name) {
                    let found = set.and_then(|it| it.value);
                    assert_eq!(found, known.as_deref(), "{name} of {}", it.name);
                }
            }
            // What the owner has sent behind the question may have changed it since.
            Asked::Metadata { topic, stamp } => {
                if cx.facts.topics.is_last_word(stamp) {
                    Self::metadata_read(cx, topic, reply);
                }
            }
            Asked::DeleteRecords { .. } => Self::records_deleted(cx, link, &asked, reply),
            Asked::ListOffsets { .. } => drop(offset_listed(cx, link, &asked, reply)),
            _ => unreachable!("an administrator asks nothing else"),
        }
    }

    fn lost(&mut self, _: &mut Cx<'_>, _: Asked) {}

    fn disconnected(&mut self, cx: &mut Cx<'_>) {
        // What was on its way may still take effect, until the process ends.
        for topic in &self.owned {
            cx.facts.topics.0[*topic].settings.clear();
        }
    }

    fn is_done(&self, facts: &Facts) -> bool {
        !self.owned.iter().any(|it| facts.topics.0[*it].presence == Presence::Unsure)
    }

    fn wake_ms(&self) -> i64 {
        self.next_ms
    }

    fn waits_for_itself(&self) -> bool {
        true
    }

    fn name(&self) -> String {
        format!("admin-{}", self.number)
    }
}
