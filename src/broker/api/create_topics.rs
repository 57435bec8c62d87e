//! `CreateTopics`: topics with placement by the controller or by hand.

use super::config_resource::{check_topic, check_value_size};
use super::decode_in_parts;
use super::metadata_change::{
    Failure, Handled, PARTITIONS_MAX, check_assignment, code_and_message, count, place,
};
use crate::controller::{Image, NewPartition, Placer, Record};
use crate::types::config_def::Rule;
use crate::types::config_table::{TOPIC_CONFIGS, topic_config};
use crate::types::topic_name::{
    CLUSTER_METADATA, GROUP_STATE, SHARE_STATE, TRANSACTION_STATE, check_topic_name, is_internal,
};
use crate::types::{ErrorCode, TopicConfig, TopicId};
use crate::wire::kafka::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use crate::wire::kafka::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use crate::wire::primitives::{WireError, Writer};
use std::collections::{BTreeMap, BTreeSet};

/// The first version whose answers show configurations, and whose arrays are compact.
const SHOWS_CONFIGS_FROM: i16 = 5;

/// A topic that can be created.
struct Plan {
    id: TopicId,
    partitions: Vec<NewPartition>,
    settings: BTreeMap<String, String>,
}

/// Answers a request, in any version. Pauses after each topic, and after each of its partitions that is
/// placed by hand and each of its settings.
pub async fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    new_id: &mut dyn FnMut() -> TopicId,
    pause: &impl AsyncFn(),
) -> Result<Handled, WireError> {
    let read = decode_in_parts(body, async |r| {
        CreateTopicsRequest::decode_in_parts(r, version, pause).await
    });
    let request = read.await?;
    let mut counts = count(request.topics.iter().map(|topic| topic.name), pause).await;
    let mut total = 0;
    for topic in &request.topics {
        total += partition_count(topic, image);
        pause().await;
    }
    let mut w = Writer::with_capacity(256);
    CreateTopicsResponse::default().encode(&mut w, version)?;
    let flexible = version >= SHOWS_CONFIGS_FROM;
    let tail = w.open_array(counts.len(), flexible, flexible.into())?;
    let mut shown = ShownConfigs::default();
    let (mut created, mut placer) = (BTreeSet::new(), Placer::new(image));
    let mut records = Vec::new();
    for topic in &request.topics {
        pause().await;
        // What comes again is answered already.
        let Some(count) = counts.remove(topic.name) else { continue };
        let result = if count > 1 {
            Err(Failure::new(ErrorCode::INVALID_REQUEST, "Duplicate topic name."))
        } else if total > PARTITIONS_MAX {
            Err(too_many())
        } else {
            plan(topic, image, &created, &mut placer, new_id, pause).await
        };
        put_result(&mut w, version, topic.name, &result, &mut shown, image, pause).await?;
        let Ok(Plan { id, partitions, settings }) = result else { continue };
        created.insert(topic.name.replace('.', "_"));
        if !request.validate_only {
            let (name, settings) = (topic.name.to_owned(), settings.into_iter().collect());
            records.push(Record::TopicCreated { id, name, partitions, settings });
        }
    }
    w.raw(&tail);
    Ok(Handled::new(w.into(), records))
}

/// Writes what has become of one topic.
async fn put_result(
    w: &mut Writer,
    version: i16,
    name: &str,
    result: &Result<Plan, Failure>,
    shown: &mut ShownConfigs,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<(), WireError> {
    let (error_code, error_message) = code_and_message(result);
    let mut answer = CreatableTopicResult {
        name,
        error_code,
        error_message,
        configs: Some(Vec::new()),
        ..CreatableTopicResult::default()
    };
    let Ok(plan) = result else { return answer.encode(w, version) };
    answer.topic_id = plan.id;
    answer.num_partitions = plan.partitions.len() as i32;
    answer.replication_factor = plan.partitions[0].replicas.len() as i16;
    answer.encode(w, version)?;
    if version >= SHOWS_CONFIGS_FROM {
        // Behind them are the tagged fields, of which there are none.
        let tail = w.open_array(TOPIC_CONFIGS.len(), true, 1)?;
        w.raw(shown.of(&plan.settings, version, image, pause).await?);
        w.raw(&tail);
    }
    Ok(())
}

/// The configurations of the last topic that was shown, as they are written: most topics of a request
/// have the same settings.
#[derive(Default)]
struct ShownConfigs(Option<(BTreeMap<String, String>, Vec<u8>)>);

impl ShownConfigs {
    /// Those of a topic with these settings. Pauses after each that is not written yet.
    async fn of(
        &mut self,
        settings: &BTreeMap<String, String>,
        version: i16,
        image: &Image,
        pause: &impl AsyncFn(),
    ) -> Result<&[u8], WireError> {
        let last = match self.0.take().filter(|(of, _)| of == settings) {
            Some(last) => last,
            None => {
                let mut w = Writer::with_capacity(2_048);
                for it in TopicConfig::describe(settings, &image.broker_configs) {
                    let config = CreatableTopicConfigs {
                        name: it.def.name,
                        value: it.value.as_deref(),
                        read_only: false,
                        config_source: it.source as i8,
                        is_sensitive: false,
                    };
                    config.encode(&mut w, version)?;
                    pause().await;
                }
                (settings.clone(), w.into_vec())
            }
        };
        Ok(&self.0.insert(last).1)
    }
}

pub(super) fn too_many() -> Failure {
    let message = "Excessively large number of partitions per request.";
    Failure::new(ErrorCode::POLICY_VIOLATION, message)
}

fn default_partitions(image: &Image) -> usize {
    image.broker_configs.number("num.partitions").map_or(1, |it| it.max(1) as usize)
}

fn partition_count(topic: &CreatableTopic<'_>, image: &Image) -> usize {
    if !topic.assignments.is_empty() {
        topic.assignments.len()
    } else if topic.num_partitions == -1 {
        default_partitions(image)
    } else {
        topic.num_partitions.max(0) as usize
    }
}

/// Pauses as [`handle`] does.
async fn plan(
    topic: &CreatableTopic<'_>,
    image: &Image,
    created: &BTreeSet<String>,
    placer: &mut Placer<'_>,
    new_id: &mut dyn FnMut() -> TopicId,
    pause: &impl AsyncFn(),
) -> Result<Plan, Failure> {
    check_new_name(topic.name, image, created)?;
    let (mut nulls, mut settings) = (Vec::new(), BTreeMap::new());
    for it in &topic.configs {
        match it.value {
            Some(value) => _ = settings.insert(it.name.to_owned(), value.to_owned()),
            None => nulls.push(it.name),
        }
        pause().await;
    }
    if !nulls.is_empty() {
        let message = format!("Null value not supported for topic configs: {}", nulls.join(","));
        return Err(Failure::new(ErrorCode::INVALID_CONFIG, message));
    }
    for value in settings.values() {
        check_value_size(value)?;
        pause().await;
    }
    check_topic(topic.name, &mut settings)?;
    let id = new_id();
    let partitions = partitions(topic, id, image, placer, pause).await?;
    Ok(Plan { id, partitions, settings })
}

fn check_new_name(name: &str, image: &Image, created: &BTreeSet<String>) -> Result<(), Failure> {
    if name == CLUSTER_METADATA {
        let message = format!("Creation of internal topic {CLUSTER_METADATA} is prohibited.");
        return Err(Failure::new(ErrorCode::INVALID_REQUEST, message));
    }
    if image.topic(name).is_some() {
        let message = format!("Topic '{name}' already exists.");
        return Err(Failure::new(ErrorCode::TOPIC_ALREADY_EXISTS, message));
    }
    check_topic_name(name)
        .map_err(|message| Failure::new(ErrorCode::INVALID_TOPIC_EXCEPTION, message))?;
    if let Some(other) = image.collides_with(name) {
        let message = format!("Topic '{name}' collides with existing topic: {other}");
        return Err(Failure::new(ErrorCode::INVALID_TOPIC_EXCEPTION, message));
    }
    if created.contains(&name.replace('.', "_")) {
        let message = format!("Topic '{name}' collides with another topic of this request");
        return Err(Failure::new(ErrorCode::INVALID_TOPIC_EXCEPTION, message));
    }
    Ok(())
}

async fn partitions(
    topic: &CreatableTopic<'_>,
    id: TopicId,
    image: &Image,
    placer: &mut Placer<'_>,
    pause: &impl AsyncFn(),
) -> Result<Vec<NewPartition>, Failure> {
    if topic.assignments.is_empty() {
        if topic.replication_factor < -1 || topic.replication_factor == 0 {
            return Err(Failure::new(
                ErrorCode::INVALID_REPLICATION_FACTOR,
                "Replication factor must be larger than 0, or -1 to use the default value.",
            ));
        }
        if topic.num_partitions < -1 || topic.num_partitions == 0 {
            return Err(Failure::new(
                ErrorCode::INVALID_PARTITIONS,
                "Number of partitions was set to an invalid non-positive value.",
            ));
        }
        let factor = match topic.replication_factor {
            -1 => image.broker_configs.number("default.replication.factor").unwrap_or(1) as usize,
            factor => factor as usize,
        };
        return place(placer, id, &[], partition_count(topic, image), factor, pause).await;
    }
    let refuse = |what: &str| {
        let message =
            format!("A manual partition assignment was specified, but {what} was not set to -1.");
        Err(Failure::new(ErrorCode::INVALID_REQUEST, message))
    };
    if topic.replication_factor != -1 {
        return refuse("replication factor");
    }
    if topic.num_partitions != -1 {
        return refuse("numPartitions");
    }
    let mut assigned = BTreeMap::new();
    let mut expected = None;
    for assignment in &topic.assignments {
        let index = assignment.partition_index;
        if assigned.contains_key(&index) {
            return Err(Failure::new(
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                format!("Found multiple manual partition assignments for partition {index}"),
            ));
        }
        let partition =
            check_assignment(image, index, &assignment.broker_ids, expected, pause).await?;
        expected = Some(partition.replicas.len());
        assigned.insert(index, partition);
    }
    if !assigned.keys().copied().eq(0..assigned.len() as i32) {
        return Err(Failure::new(
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            "partitions should be a consecutive 0-based integer sequence",
        ));
    }
    Ok(assigned.into_values().collect())
}

/// The records that create topics with the broker's defaults, without those that exist by now or cannot
/// be. Of the internal topics only that of the groups' state. For a Metadata request that names them; it is
/// answered when they are there. Pauses after each.
pub async fn auto_create(
    names: &[String],
    image: &Image,
    new_id: &mut dyn FnMut() -> TopicId,
    pause: &impl AsyncFn(),
) -> Vec<Record> {
    let (mut created, mut placer) = (BTreeSet::new(), Placer::new(image));
    let mut records = Vec::new();
    let mut total = 0;
    for name in names {
        pause().await;
        if let Some(of) = STATES.iter().find(|it| it.topic == name) {
            match coordinators_state(of, image, &mut placer, new_id, pause).await {
                Ok(record) if created.insert(name.clone()) => records.extend(record),
                Ok(_) => {}
                Err(why) => tracing::error!("cannot create {name}: {}", why.message),
            }
            continue;
        }
        let topic = CreatableTopic {
            name,
            num_partitions: -1,
            replication_factor: -1,
            ..CreatableTopic::default()
        };
        total += partition_count(&topic, image);
        if is_internal(name) || total > PARTITIONS_MAX {
            continue;
        }
        let plan = plan(&topic, image, &created, &mut placer, new_id, pause).await;
        let Ok(plan) = plan else { continue };
        created.insert(name.replace('.', "_"));
        records.push(Record::TopicCreated {
            id: plan.id,
            name: name.clone(),
            partitions: plan.partitions,
            settings: Vec::new(),
        });
    }
    records
}

/// A topic of a coordinator's state, and the broker's settings of it.
struct StateTopic {
    topic: &'static str,
    partitions: &'static str,
    replicas: &'static str,
    segment_bytes: &'static str,
    min_isr: Option<&'static str>,
    /// Its coordinator says which records can go; otherwise it is compacted.
    is_pruned: bool,
}

const STATES: [StateTopic; 3] = [
    StateTopic {
        topic: GROUP_STATE,
        partitions: "offsets.topic.num.partitions",
        replicas: "offsets.topic.replication.factor",
        segment_bytes: "offsets.topic.segment.bytes",
        min_isr: None,
        is_pruned: false,
    },
    StateTopic {
        topic: TRANSACTION_STATE,
        partitions: "transaction.state.log.num.partitions",
        replicas: "transaction.state.log.replication.factor",
        segment_bytes: "transaction.state.log.segment.bytes",
        min_isr: Some("transaction.state.log.min.isr"),
        is_pruned: false,
    },
    StateTopic {
        topic: SHARE_STATE,
        partitions: "share.coordinator.state.topic.num.partitions",
        replicas: "share.coordinator.state.topic.replication.factor",
        segment_bytes: "share.coordinator.state.topic.segment.bytes",
        min_isr: Some("share.coordinator.state.topic.min.isr"),
        is_pruned: true,
    },
];

/// The record that creates the topic of a coordinator's state as the broker's settings say, unless it is
/// there; the failure is that of a CreateTopics request for it.
async fn coordinators_state(
    of: &StateTopic,
    image: &Image,
    placer: &mut Placer<'_>,
    new_id: &mut dyn FnMut() -> TopicId,
    pause: &impl AsyncFn(),
) -> Result<Option<Record>, Failure> {
    if image.topic(of.topic).is_some() {
        return Ok(None);
    }
    let number = |name: &str, least: i64| image.broker_configs.number(name).unwrap_or(1).max(least);
    // A segment is never smaller; the broker's setting may be.
    let least = topic_config("segment.bytes").and_then(|it| match it.rule {
        Rule::AtLeast(least) => Some(least),
        _ => None,
    });
    let segment_bytes = number(of.segment_bytes, least.unwrap_or(1)).to_string();
    // A cluster that grows raises it later.
    let alive = image.alive().count().max(1) as i64;
    let replicas = number(of.replicas, 1).min(alive);
    let config = |name, value| CreatableTopicConfig { name, value: Some(value) };
    let min_isr = of.min_isr.map(|it| number(it, 1).to_string());
    let mut configs = vec![
        config("cleanup.policy", if of.is_pruned { "delete" } else { "compact" }),
        config("compression.type", "producer"),
        config("segment.bytes", &segment_bytes),
    ];
    if of.is_pruned {
        configs.extend([config("retention.ms", "-1"), config("retention.bytes", "-1")]);
    }
    if let Some(min_isr) = &min_isr {
        configs.push(config("min.insync.replicas", min_isr));
        configs.push(config("unclean.leader.election.enable", "false"));
    }
    let topic = CreatableTopic {
        name: of.topic,
        num_partitions: number(of.partitions, 1) as i32,
        replication_factor: replicas as i16,
        configs,
        ..CreatableTopic::default()
    };
    if partition_count(&topic, image) > PARTITIONS_MAX {
        return Err(too_many());
    }
    let plan = plan(&topic, image, &BTreeSet::new(), placer, new_id, pause).await?;
    Ok(Some(Record::TopicCreated {
        id: plan.id,
        name: of.topic.to_owned(),
        partitions: plan.partitions,
        settings: plan.settings.into_iter().collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::Body;
    use crate::broker::api::testing::{decode, encode, ids, image};
    use crate::types::config_def::Source;
    use crate::wire::kafka::create_topics_request::CreatableReplicaAssignment;
    use futures_lite::future::block_on;

    fn auto_create(
        names: &[String],
        image: &Image,
        new_id: &mut dyn FnMut() -> TopicId,
    ) -> Vec<Record> {
        block_on(super::auto_create(names, image, new_id, &async || {}))
    }

    fn topic(name: &str) -> CreatableTopic<'_> {
        CreatableTopic {
            name,
            num_partitions: 2,
            replication_factor: 1,
            ..CreatableTopic::default()
        }
    }

    fn by_hand<'a>(name: &'a str, partitions: &[(i32, &[i32])]) -> CreatableTopic<'a> {
        let assignments = partitions
            .iter()
            .map(|(index, brokers)| CreatableReplicaAssignment {
                partition_index: *index,
                broker_ids: brokers.to_vec(),
            })
            .collect();
        CreatableTopic {
            name,
            num_partitions: -1,
            replication_factor: -1,
            assignments,
            ..topic("")
        }
    }

    fn with<'a>(name: &'a str, key: &'a str, value: Option<&'a str>) -> CreatableTopic<'a> {
        let configs = vec![CreatableTopicConfig { name: key, value }];
        CreatableTopic { configs, ..topic(name) }
    }

    fn run(
        topics: Vec<CreatableTopic<'_>>,
        validate_only: bool,
        version: i16,
    ) -> (Body, Vec<Record>) {
        let request = CreateTopicsRequest { topics, timeout_ms: 1000, validate_only };
        let body = encode(|w| request.encode(w, version));
        let mut ids = ids();
        let image = image();
        let handled = handle(&body, version, &image, &mut ids, &async || {});
        let handled = block_on(handled).unwrap();
        (handled.response, handled.records)
    }

    #[test]
    fn creates_with_defaults_and_says_so() {
        for version in 2..=7 {
            let (response, records) = run(
                vec![
                    CreatableTopic { num_partitions: -1, replication_factor: -1, ..topic("new") },
                    with("set", "retention.ms", Some("5000")),
                ],
                false,
                version,
            );
            let response = decode(&response, |r| CreateTopicsResponse::decode(r, version));
            assert_eq!(records.len(), 2);
            let Record::TopicCreated { id, partitions, settings, .. } = &records[1] else {
                panic!("{records:?}")
            };
            assert_eq!((partitions.len(), &*partitions[0].replicas), (2, &[1][..]));
            assert_eq!(*settings, [("retention.ms".to_owned(), "5000".to_owned())]);
            let result = &response.topics[1];
            assert_eq!((result.name, result.error_code), ("set", 0));
            if version >= 7 {
                assert_eq!(result.topic_id, *id);
            }
            if version >= 5 {
                assert_eq!((result.num_partitions, result.replication_factor), (2, 1));
                let configs = result.configs.as_ref().unwrap();
                let find = |name| configs.iter().find(|it| it.name == name).unwrap();
                assert_eq!(find("retention.ms").value, Some("5000"));
                assert_eq!(find("retention.ms").config_source, Source::Topic as i8);
                assert_eq!(find("flush.messages").value, Some("1"));
                assert_eq!(find("flush.messages").config_source, Source::Default as i8);
                // The image's brokers have num.partitions=3.
                assert_eq!(response.topics[0].num_partitions, 3);
            }
        }
    }

    #[test]
    fn only_validates_when_told_to() {
        let (response, records) = run(vec![topic("new"), topic("exists")], true, 7);
        let response = decode(&response, |r| CreateTopicsResponse::decode(r, 7));
        assert!(records.is_empty());
        let codes: Vec<i16> = response.topics.iter().map(|it| it.error_code).collect();
        assert_eq!(codes, [0, ErrorCode::TOPIC_ALREADY_EXISTS.0]);
    }

    #[test]
    fn refuses_with_kafkas_codes() {
        let long = "x".repeat(250);
        for (bad, code, part) in [
            (topic("exists"), ErrorCode::TOPIC_ALREADY_EXISTS, "Topic 'exists' already exists."),
            (topic(""), ErrorCode::INVALID_TOPIC_EXCEPTION, "empty string"),
            (topic(".."), ErrorCode::INVALID_TOPIC_EXCEPTION, "'..' is not allowed"),
            (topic("a b"), ErrorCode::INVALID_TOPIC_EXCEPTION, "other than ASCII"),
            (topic(&long), ErrorCode::INVALID_TOPIC_EXCEPTION, "longer than"),
            (
                topic("dotted_name"),
                ErrorCode::INVALID_TOPIC_EXCEPTION,
                "collides with existing topic: dotted.name",
            ),
            (topic("dotted.name"), ErrorCode::TOPIC_ALREADY_EXISTS, "already exists"),
            (topic("__cluster_metadata"), ErrorCode::INVALID_REQUEST, "prohibited"),
            (
                CreatableTopic { replication_factor: 3, ..topic("a") },
                ErrorCode::INVALID_REPLICATION_FACTOR,
                "only 1 broker(s) are registered",
            ),
            (
                CreatableTopic { replication_factor: 0, ..topic("a") },
                ErrorCode::INVALID_REPLICATION_FACTOR,
                "larger than 0",
            ),
            (
                CreatableTopic { replication_factor: -2, ..topic("a") },
                ErrorCode::INVALID_REPLICATION_FACTOR,
                "larger than 0",
            ),
            (
                CreatableTopic { num_partitions: 0, ..topic("a") },
                ErrorCode::INVALID_PARTITIONS,
                "non-positive",
            ),
            (
                CreatableTopic { num_partitions: -2, ..topic("a") },
                ErrorCode::INVALID_PARTITIONS,
                "non-positive",
            ),
            (
                CreatableTopic { num_partitions: 10_001, ..topic("a") },
                ErrorCode::POLICY_VIOLATION,
                "Excessively",
            ),
            (
                CreatableTopic { num_partitions: i32::MAX, ..topic("a") },
                ErrorCode::POLICY_VIOLATION,
                "Excessively",
            ),
            (
                CreatableTopic { num_partitions: 1, ..by_hand("a", &[(0, &[1])]) },
                ErrorCode::INVALID_REQUEST,
                "numPartitions was not set to -1",
            ),
            (
                CreatableTopic { replication_factor: 1, ..by_hand("a", &[(0, &[1])]) },
                ErrorCode::INVALID_REQUEST,
                "replication factor was not set to -1",
            ),
            (
                by_hand("a", &[(0, &[1]), (2, &[1])]),
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                "consecutive 0-based",
            ),
            (
                by_hand("a", &[(0, &[1]), (0, &[1])]),
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                "multiple manual",
            ),
            (
                by_hand("a", &[(0, &[9])]),
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                "broker 9, but no such",
            ),
            (
                by_hand("a", &[(0, &[-1])]),
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                "broker -1, but no such",
            ),
            (
                by_hand("a", &[(0, &[1, 1])]),
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                "more than once",
            ),
            (
                by_hand("a", &[(0, &[])]),
                ErrorCode::INVALID_REPLICA_ASSIGNMENT,
                "empty replica list",
            ),
            (
                with("a", "retention.ms", Some("x")),
                ErrorCode::INVALID_CONFIG,
                "Not a number of type LONG",
            ),
            (
                with("a", "nope", Some("x")),
                ErrorCode::INVALID_CONFIG,
                "Unknown topic config name: nope",
            ),
            (
                with("a", "retention.ms", None),
                ErrorCode::INVALID_CONFIG,
                "Null value not supported for topic configs: retention.ms",
            ),
            (
                with("a", "preallocate", Some("true")),
                ErrorCode::INVALID_CONFIG,
                "supports only the default",
            ),
        ] {
            let name = bad.name;
            let (response, records) = run(vec![bad], false, 7);
            let response = decode(&response, |r| CreateTopicsResponse::decode(r, 7));
            let result = &response.topics[0];
            assert_eq!((result.name, ErrorCode(result.error_code)), (name, code), "{part}");
            let message = result.error_message.unwrap();
            assert!(message.contains(part), "{message}");
            assert!(records.is_empty());
        }
    }

    #[test]
    fn names_that_come_twice_are_refused_and_the_rest_is_created() {
        let topics =
            vec![topic("twice"), topic("once"), topic("twice"), topic("a.b"), topic("a_b")];
        let (response, records) = run(topics, false, 4);
        let response = decode(&response, |r| CreateTopicsResponse::decode(r, 4));
        let results: Vec<_> = response.topics.iter().map(|it| (it.name, it.error_code)).collect();
        let refused = ErrorCode::INVALID_TOPIC_EXCEPTION.0;
        let twice = ErrorCode::INVALID_REQUEST.0;
        assert_eq!(results, [("twice", twice), ("once", 0), ("a.b", 0), ("a_b", refused)]);
        assert_eq!(records.len(), 2);
    }

    #[test]
    fn assignments_by_hand_are_kept() {
        let (_, records) = run(vec![by_hand("a", &[(1, &[1]), (0, &[1])])], false, 2);
        let Record::TopicCreated { partitions, .. } = &records[0] else { panic!("{records:?}") };
        assert_eq!(partitions.len(), 2);
    }

    #[test]
    fn auto_creation_leaves_out_what_cannot_be() {
        let names = ["new", "exists", "a b", "dotted_name", "new2"];
        let names = names.map(str::to_owned);
        let records = auto_create(&names, &image(), &mut ids());
        let created: Vec<&str> = records
            .iter()
            .map(|it| match it {
                Record::TopicCreated { name, partitions, .. } => {
                    assert_eq!(partitions.len(), 3);
                    name.as_str()
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(created, ["new", "new2"]);
    }
    #[test]
    fn the_topic_of_share_groups_is_pruned_by_its_coordinator() {
        let records = auto_create(&[SHARE_STATE.to_owned()], &image(), &mut ids());
        let [Record::TopicCreated { name, partitions, settings, .. }] = &records[..] else {
            panic!("{records:?}")
        };
        assert_eq!((name.as_str(), partitions.len()), (SHARE_STATE, 50));
        let settings: Vec<_> = settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let expected = [
            ("cleanup.policy", "delete"),
            ("compression.type", "producer"),
            ("min.insync.replicas", "2"),
            ("retention.bytes", "-1"),
            ("retention.ms", "-1"),
            ("segment.bytes", "104857600"),
            ("unclean.leader.election.enable", "false"),
        ];
        assert_eq!(settings, expected);
    }

    #[test]
    fn the_topic_of_groups_is_made_as_the_broker_says() {
        let names = [GROUP_STATE, "new", GROUP_STATE].map(str::to_owned);
        let records = auto_create(&names, &image(), &mut ids());
        let Record::TopicCreated { name, partitions, settings, .. } = &records[0] else {
            panic!("{records:?}")
        };
        assert_eq!((records.len(), name.as_str(), partitions.len()), (2, GROUP_STATE, 50));
        let settings: Vec<_> = settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        let expected = [
            ("cleanup.policy", "compact"),
            ("compression.type", "producer"),
            ("segment.bytes", "104857600"),
        ];
        assert_eq!(settings, expected);

        let mut made = image();
        made.apply(&records[0]);
        assert_eq!(auto_create(&names[..1], &made, &mut ids()), []);

        let fixed = [
            ("offsets.topic.num.partitions", "7"),
            ("offsets.topic.segment.bytes", "5"),
            ("offsets.topic.replication.factor", "1"),
        ];
        let with = |fixed: &[(&str, &str)]| {
            let fixed = fixed.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let mut image = Image::new("cluster", 1, std::sync::Arc::new(fixed));
            let (host, rack) = ("host".into(), None);
            image.apply(&Record::BrokerStarted { broker: 1, host, port: 9092, rack });
            image
        };
        let records = auto_create(&names[..1], &with(&fixed), &mut ids());
        let Record::TopicCreated { partitions, settings, .. } = &records[0] else {
            panic!("{records:?}")
        };
        assert_eq!((partitions.len(), settings[2].1.as_str()), (7, "1048576"));
        // As many replicas as there are brokers, and no more than are asked for.
        for (asked, brokers, expected) in [("3", 1, 1), ("3", 2, 2), ("3", 5, 3), ("2", 3, 2)] {
            let mut image = with(&[("offsets.topic.replication.factor", asked)]);
            for broker in 2..=brokers {
                let (host, rack) = ("host".into(), None);
                image.apply(&Record::BrokerStarted { broker, host, port: 9092, rack });
            }
            let records = auto_create(&names[..1], &image, &mut ids());
            let Record::TopicCreated { partitions, .. } = &records[0] else {
                panic!("{records:?}")
            };
            assert!(partitions.iter().all(|it| it.replicas.len() == expected), "{partitions:?}");
        }
    }

    #[test]
    fn an_internal_topic_made_by_hand_is_compacted() {
        for (policy, code) in [(None, 0), (Some("compact"), 0), (Some("delete"), 40)] {
            let mut asked = topic(GROUP_STATE);
            asked.configs.extend(
                policy.map(|it| CreatableTopicConfig { name: "cleanup.policy", value: Some(it) }),
            );
            let (response, records) = run(vec![asked], false, 7);
            let response = decode(&response, |r| CreateTopicsResponse::decode(r, 7));
            assert_eq!(response.topics[0].error_code, code);
            let compact = ("cleanup.policy".to_owned(), "compact".to_owned());
            let as_it_comes = ("compression.type".to_owned(), "producer".to_owned());
            match records.first() {
                Some(Record::TopicCreated { settings, .. }) => {
                    assert_eq!(*settings, [compact, as_it_comes]);
                }
                Some(other) => panic!("{other:?}"),
                None => assert_ne!(code, 0),
            }
        }
    }
}
