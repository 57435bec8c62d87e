//! What configurations belong to, and how they change.

use super::metadata_change::{Failure, count};
use crate::controller::{Image, Record, on_settings};
use crate::types::config_def::{ConfigDef, Kind, split_list};
use crate::types::config_table::{broker_config, group_config, topic_config};
use crate::types::topic_name::{SHARE_STATE, check_topic_name, is_internal};
use crate::types::{ErrorCode, GroupConfig, TopicConfig};
use std::collections::{BTreeMap, BTreeSet};

/// Kafka's number for topics.
pub const TOPIC: i8 = 2;
/// Kafka's number for brokers.
pub const BROKER: i8 = 4;
/// Kafka's number for the log levels of brokers.
pub const BROKER_LOGGER: i8 = 8;
/// Kafka's number for subscriptions to the metrics of clients.
pub const CLIENT_METRICS: i8 = 16;
/// Kafka's number for groups.
pub const GROUP: i8 = 32;

/// One change to one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'a> {
    /// The value becomes this.
    Set(&'a str),
    /// No value of its own any more.
    Delete,
    /// These parts are added to a list.
    Append(&'a str),
    /// These parts are removed from a list.
    Subtract(&'a str),
}

/// What checking the settings of a resource costs beside those that change, in steps of work: it is looked
/// up, its settings are copied, compared, and each checked.
const ALTER_STEPS: usize = 4;

fn invalid(message: impl Into<String>) -> Failure {
    Failure::new(ErrorCode::INVALID_REQUEST, message)
}

/// A resource that has no configurations here.
pub fn unsupported(resource_type: i8) -> Failure {
    let name = match resource_type {
        BROKER_LOGGER => "BROKER_LOGGER",
        CLIENT_METRICS => "CLIENT_METRICS",
        other => return invalid(format!("Unknown resource type {other}")),
    };
    invalid(format!("Unsupported resource type: {name}"))
}

/// The broker whose settings change, `None` for all. Clients send what is for one broker to that one; here, at the
/// controller, it may be any that has registered.
fn altered_broker(name: &str, image: &Image) -> Result<Option<i32>, Failure> {
    if name.is_empty() {
        return Ok(None);
    }
    let id: i32 = name
        .parse()
        .map_err(|_| invalid(format!("Node id must be an integer, but it is: {name}")))?;
    if id != image.node_id && image.broker(id).is_none() {
        let own = image.node_id;
        return Err(invalid(format!("Unexpected broker id, expected {own}, but received {name}")));
    }
    Ok(Some(id))
}

/// Changes of the settings of one resource, by key.
pub type Changes<'a> = Vec<(&'a str, Change<'a>)>;

/// Changes settings of resources, each with its type, its name and what is asked of it: how that ended
/// for each, in their order, and the records that say so, none where the request is only tried.
///
/// Pauses after each resource and each change.
pub async fn alter_all(
    asked: Vec<(i8, &str, Result<Changes<'_>, Failure>)>,
    replace: bool,
    validate_only: bool,
    image: &Image,
    pause: &impl AsyncFn(),
) -> (Vec<Result<(), Failure>>, Vec<Record>) {
    let counts = count(asked.iter().map(|(kind, name, _)| (*kind, *name)), pause).await;
    let (mut results, mut records) = (Vec::with_capacity(asked.len()), Vec::new());
    for (kind, name, changes) in asked {
        for _ in 0..ALTER_STEPS {
            pause().await;
        }
        let record = match changes {
            _ if counts[&(kind, name)] > 1 => {
                Err(invalid("Each resource must appear at most once."))
            }
            Ok(changes) => alter(kind, name, &changes, replace, image, pause).await,
            Err(failure) => Err(failure),
        };
        results.push(record.map(|record| records.extend(record)));
    }
    if validate_only {
        records.clear();
    }
    let mut following = Vec::new();
    for record in &records {
        following.extend(what_follows(image, record, pause).await);
    }
    records.extend(following);
    (results, records)
}

/// What settings of a topic have to do with who leads its partitions.
async fn what_follows(image: &Image, record: &Record, pause: &impl AsyncFn()) -> Vec<Record> {
    let elects =
        |name: &str| name == "min.insync.replicas" || name == "unclean.leader.election.enable";
    match record {
        Record::TopicConfigSet { id, settings } if settings.iter().any(|it| elects(&it.0)) => {
            let mut after = image.clone();
            after.apply(record);
            on_settings(&after, *id, pause).await.records
        }
        _ => Vec::new(),
    }
}

/// The record that changes the settings of a resource; `None` if nothing changes. `replace` removes
/// every setting that is not mentioned. Pauses after each change.
async fn alter(
    resource_type: i8,
    name: &str,
    changes: &[(&str, Change<'_>)],
    replace: bool,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Option<Record>, Failure> {
    let mut seen = BTreeSet::new();
    for (key, _) in changes {
        if !seen.insert(*key) {
            return Err(invalid("Error due to duplicate config keys"));
        }
        pause().await;
    }
    match resource_type {
        TOPIC => {
            if name.is_empty() {
                return Err(invalid("Default topic resources are not allowed."));
            }
            check_topic_name(name)
                .map_err(|message| Failure::new(ErrorCode::INVALID_TOPIC_EXCEPTION, message))?;
            let topic = image.topic(name);
            let old = topic.map(|it| (*it.overrides).clone()).unwrap_or_default();
            let mut new = changed(&old, changes, replace, topic_config, pause).await?;
            check_topic(name, &mut new)?;
            let topic = topic.ok_or_else(|| {
                let message = format!("The topic '{name}' does not exist.");
                Failure::new(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, message)
            })?;
            let settings = difference(&old, &new);
            let record = Record::TopicConfigSet { id: topic.id, settings };
            Ok((old != new).then_some(record))
        }
        BROKER => {
            let broker = altered_broker(name, image)?;
            let old = image.dynamic_settings(broker);
            let new = changed(&old, changes, replace, broker_config, pause).await?;
            check_broker(&new)?;
            let settings = difference(&old, &new);
            Ok((old != new).then_some(Record::BrokerConfigSet { broker, settings }))
        }
        GROUP => {
            if name.is_empty() {
                return Err(invalid("Default group resources are not allowed."));
            }
            let old = image.group_overrides(name).cloned().unwrap_or_default();
            let new = changed(&old, changes, replace, group_config, pause).await?;
            GroupConfig::check(&new, &image.broker_configs)
                .map_err(|message| Failure::new(ErrorCode::INVALID_CONFIG, message))?;
            let (group, settings) = (name.to_owned(), difference(&old, &new));
            Ok((old != new).then_some(Record::GroupConfigSet { group, settings }))
        }
        other => Err(unsupported(other)),
    }
}

/// Settings of a topic: each known, valid, honoured. Adds what an internal topic always has.
pub(super) fn check_topic(
    name: &str,
    settings: &mut BTreeMap<String, String>,
) -> Result<(), Failure> {
    let checked = if is_internal(name) {
        let always: &[(&str, &str)] = if name == SHARE_STATE {
            &[("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")]
        } else {
            &[("cleanup.policy", "compact")]
        };
        for (name, value) in always.iter().chain(&[("compression.type", "producer")]) {
            settings.entry((*name).to_owned()).or_insert_with(|| (*value).to_owned());
        }
        TopicConfig::check_internal(name, settings)
    } else {
        TopicConfig::check(settings)
    };
    checked.map_err(|message| Failure::new(ErrorCode::INVALID_CONFIG, message))
}

/// Dynamic settings of a broker: each known, changeable, valid, honoured.
fn check_broker(settings: &BTreeMap<String, String>) -> Result<(), Failure> {
    let mut fixed = Vec::new();
    for name in settings.keys() {
        match broker_config(name) {
            // Kafka stores and ignores what it does not know.
            None => {
                let message = format!("Unknown broker config name: {name}");
                return Err(Failure::new(ErrorCode::INVALID_CONFIG, message));
            }
            Some(def) if !def.dynamic => fixed.push(name.as_str()),
            Some(_) => {}
        }
    }
    if !fixed.is_empty() {
        let message = format!("Cannot update these configs dynamically: [{}]", fixed.join(", "));
        return Err(invalid(message));
    }
    for (name, value) in settings {
        let Some(def) = broker_config(name) else { continue };
        def.parse(value).map_err(invalid)?;
        def.check(value).map_err(|message| Failure::new(ErrorCode::INVALID_CONFIG, message))?;
    }
    Ok(())
}

/// A value may be so long, in UTF-16 code units, as Kafka counts: longer ones do not fit into its records.
const VALUE_LEN_MAX: usize = 32_767;

/// Refuses a value that is too long.
pub(super) fn check_value_size(value: &str) -> Result<(), Failure> {
    // It never has more code units than bytes.
    if value.len() <= VALUE_LEN_MAX || value.encode_utf16().nth(VALUE_LEN_MAX).is_none() {
        return Ok(());
    }
    let message = format!(
        "The configuration value cannot be added because it exceeds the maximum value size of \
         {VALUE_LEN_MAX} bytes."
    );
    Err(Failure::new(ErrorCode::INVALID_CONFIG, message))
}

/// The settings, of which `def_of` has the definitions, after the changes. Pauses after each of them.
async fn changed(
    old: &BTreeMap<String, String>,
    changes: &[(&str, Change<'_>)],
    replace: bool,
    def_of: fn(&str) -> Option<&'static ConfigDef>,
    pause: &impl AsyncFn(),
) -> Result<BTreeMap<String, String>, Failure> {
    let mut new = if replace { BTreeMap::new() } else { old.clone() };
    for (key, change) in changes {
        pause().await;
        if let Change::Set(value) | Change::Append(value) | Change::Subtract(value) = change {
            check_value_size(value)?;
        }
        let parts = || {
            let value = old.get(*key).map(String::as_str).or_else(|| def_of(key)?.default);
            split_list(value.unwrap_or_default()).into_iter().map(str::to_owned)
        };
        let list_only = |what: &str| {
            if def_of(key).is_some_and(|it| it.kind == Kind::List) {
                return Ok(());
            }
            let message = format!("Can't {what} to key {key} because its type is not LIST.");
            Err(Failure::new(ErrorCode::INVALID_CONFIG, message))
        };
        match change {
            Change::Set(value) => new.insert((*key).to_owned(), (*value).to_owned()),
            Change::Delete => new.remove(*key),
            Change::Append(value) => {
                list_only("APPEND")?;
                let mut parts: Vec<String> = parts().collect();
                let mut known: BTreeSet<String> = parts.iter().cloned().collect();
                for part in split_list(value) {
                    if known.insert(part.to_owned()) {
                        parts.push(part.to_owned());
                    }
                }
                let joined = parts.join(",");
                check_value_size(&joined)?;
                new.insert((*key).to_owned(), joined)
            }
            Change::Subtract(value) => {
                list_only("SUBTRACT")?;
                let gone: BTreeSet<&str> = split_list(value).into_iter().collect();
                let parts: Vec<String> = parts().filter(|it| !gone.contains(it.as_str())).collect();
                new.insert((*key).to_owned(), parts.join(","))
            }
        };
    }
    Ok(new)
}

fn difference(
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Vec<(String, Option<String>)> {
    let removed = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), None));
    let set = new
        .iter()
        .filter(|(key, value)| old.get(*key) != Some(*value))
        .map(|(key, value)| (key.clone(), Some(value.clone())));
    removed.chain(set).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{cluster, id, image};
    use futures_lite::future::block_on;

    fn alter(
        resource_type: i8,
        name: &str,
        changes: &[(&str, Change<'_>)],
        replace: bool,
        image: &Image,
    ) -> Result<Option<Record>, Failure> {
        block_on(super::alter(resource_type, name, changes, replace, image, &async || {}))
    }

    type Settings<'a> = &'a [(&'a str, Option<&'a str>)];

    fn topic_set(settings: Settings<'_>) -> Record {
        let own = |it: &(&str, Option<&str>)| (it.0.to_owned(), it.1.map(str::to_owned));
        let settings = settings.iter().map(own).collect();
        Record::TopicConfigSet { id: id(1), settings }
    }

    fn topic(changes: &[(&str, Change<'_>)], replace: bool) -> Result<Option<Record>, Failure> {
        alter(TOPIC, "exists", changes, replace, &image())
    }

    fn refused(
        resource_type: i8,
        name: &str,
        changes: &[(&str, Change<'_>)],
    ) -> (ErrorCode, String) {
        let failure = alter(resource_type, name, changes, false, &image()).unwrap_err();
        (failure.code, failure.message)
    }

    /// The controller is not the broker that it is asked to change.
    #[test]
    fn a_controller_changes_any_broker() {
        let image = cluster(3);
        let changes = [("leader.replication.throttled.rate", Change::Set("5000"))];
        let record = alter(BROKER, "3", &changes, false, &image).unwrap();
        let settings = vec![("leader.replication.throttled.rate".into(), Some("5000".into()))];
        assert_eq!(record, Some(Record::BrokerConfigSet { broker: Some(3), settings }));
        assert!(alter(BROKER, "4", &changes, false, &image).is_err());
        let settings = vec![("log.retention.ms".to_owned(), Some("5".to_owned()))];
        let expected = Record::BrokerConfigSet { broker: Some(3), settings };
        let changes = [("log.retention.ms", Change::Set("5"))];
        assert_eq!(alter(BROKER, "3", &changes, false, &image), Ok(Some(expected)));
    }

    #[test]
    fn topics_change_by_difference() {
        use Change::{Append, Delete, Set, Subtract};
        assert_eq!(
            topic(&[("segment.bytes", Set("2097152"))], false),
            Ok(Some(topic_set(&[("segment.bytes", Some("2097152"))])))
        );
        assert_eq!(
            topic(&[("segment.bytes", Set("2097152"))], true),
            Ok(Some(topic_set(&[("retention.ms", None), ("segment.bytes", Some("2097152"))])))
        );
        assert_eq!(topic(&[("retention.ms", Set("5000"))], false), Ok(None));
        assert_eq!(
            topic(&[("retention.ms", Delete)], false),
            Ok(Some(topic_set(&[("retention.ms", None)])))
        );
        assert_eq!(topic(&[("nope", Delete)], false), Ok(None));
        assert_eq!(topic(&[], true), Ok(Some(topic_set(&[("retention.ms", None)]))));
        assert_eq!(
            topic(&[("cleanup.policy", Append("delete"))], false),
            Ok(Some(topic_set(&[("cleanup.policy", Some("delete"))])))
        );
        assert_eq!(
            topic(&[("cleanup.policy", Append("compact"))], false),
            Ok(Some(topic_set(&[("cleanup.policy", Some("delete,compact"))])))
        );
        assert_eq!(
            topic(&[("cleanup.policy", Subtract("compact"))], false),
            Ok(Some(topic_set(&[("cleanup.policy", Some("delete"))])))
        );
    }

    #[test]
    fn topics_are_refused_with_kafkas_codes() {
        use Change::{Append, Set, Subtract};
        let set = [("retention.ms", Set("1"))];
        for (name, code, words) in [
            ("", ErrorCode::INVALID_REQUEST, "Default topic resources are not allowed."),
            ("a b", ErrorCode::INVALID_TOPIC_EXCEPTION, "other than ASCII"),
            ("zz", ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "The topic 'zz' does not exist."),
        ] {
            let (found, message) = refused(TOPIC, name, &set);
            assert_eq!(found, code);
            assert!(message.contains(words), "{message}");
        }
        for (key, change, words) in [
            (
                "retention.ms",
                Append("1"),
                "Can't APPEND to key retention.ms because its type is not LIST.",
            ),
            ("nope", Subtract("1"), "Can't SUBTRACT to key nope because its type is not LIST."),
            ("nope", Set("1"), "Unknown topic config name: nope"),
            ("retention.ms", Set("x"), "Not a number of type LONG"),
            ("cleanup.policy", Append("tidy"), "String must be one of: compact, delete"),
            ("preallocate", Set("true"), "supports only the default: false"),
        ] {
            let (code, message) = refused(TOPIC, "exists", &[(key, change)]);
            assert_eq!(code, ErrorCode::INVALID_CONFIG, "{message}");
            assert!(message.contains(words), "{message}");
        }
        let twice = [("retention.ms", Set("1")), ("retention.ms", Set("2"))];
        let (code, message) = refused(TOPIC, "exists", &twice);
        assert_eq!(
            (code, message.as_str()),
            (ErrorCode::INVALID_REQUEST, "Error due to duplicate config keys")
        );
    }

    /// As by Kafka; and so the time that a list takes is bounded.
    #[test]
    fn values_that_are_too_long_are_refused() {
        use Change::{Append, Set, Subtract};
        let long = "12345,".repeat(20_000);
        let key = "leader.replication.throttled.replicas";
        for change in [Set(&long), Append(&long), Subtract(&long)] {
            let (code, message) = refused(TOPIC, "exists", &[(key, change)]);
            assert_eq!(code, ErrorCode::INVALID_CONFIG);
            assert!(
                message.ends_with("exceeds the maximum value size of 32767 bytes."),
                "{message}"
            );
        }
        assert_eq!(check_value_size(&"é".repeat(VALUE_LEN_MAX)), Ok(()));
        assert!(check_value_size(&"é".repeat(VALUE_LEN_MAX + 1)).is_err());
    }

    #[test]
    fn brokers_change_what_is_dynamic_and_honoured() {
        use Change::{Delete, Set};
        let image = image();
        let set = |name, key, value| alter(BROKER, name, &[(key, Set(value))], false, &image);
        for (name, broker) in [("1", Some(1)), ("", None)] {
            let settings = vec![("log.retention.ms".to_owned(), Some("7000".to_owned()))];
            let expected = Record::BrokerConfigSet { broker, settings };
            assert_eq!(set(name, "log.retention.ms", "7000"), Ok(Some(expected)));
        }
        assert_eq!(alter(BROKER, "1", &[("num.partitions", Delete)], false, &image), Ok(None));
        for (name, key, value, code, words) in [
            (
                "1",
                "num.partitions",
                "3",
                ErrorCode::INVALID_REQUEST,
                "Cannot update these configs dynamically: [num.partitions]",
            ),
            (
                "1",
                "log.segment.bytes",
                "10",
                ErrorCode::INVALID_REQUEST,
                "must be at least 1048576",
            ),
            ("1", "log.retention.ms", "x", ErrorCode::INVALID_REQUEST, "Not a number"),
            ("", "log.preallocate", "true", ErrorCode::INVALID_CONFIG, "supports only the default"),
            ("1", "nope", "1", ErrorCode::INVALID_CONFIG, "Unknown broker config name: nope"),
            ("2", "log.retention.ms", "1", ErrorCode::INVALID_REQUEST, "Unexpected broker id"),
            (
                "x",
                "log.retention.ms",
                "1",
                ErrorCode::INVALID_REQUEST,
                "Node id must be an integer",
            ),
        ] {
            let failure = set(name, key, value).unwrap_err();
            assert_eq!(failure.code, code, "{}", failure.message);
            assert!(failure.message.contains(words), "{}", failure.message);
        }
    }

    #[test]
    fn groups_change_what_is_within_the_brokers_bounds() {
        use Change::{Append, Delete, Set};
        let mut image = image();
        let key = "consumer.session.timeout.ms";
        let record = |value: Option<&str>| Record::GroupConfigSet {
            group: "g".to_owned(),
            settings: vec![(key.to_owned(), value.map(str::to_owned))],
        };
        let set = alter(GROUP, "g", &[(key, Set("50000"))], false, &image);
        assert_eq!(set, Ok(Some(record(Some("50000")))));
        image.apply(&record(Some("50000")));
        assert_eq!(image.group_config("g").consumer_session_timeout_ms, Some(50_000));
        assert_eq!(image.group_config("h"), GroupConfig::default());
        assert_eq!(alter(GROUP, "g", &[(key, Set("50000"))], false, &image), Ok(None));
        assert_eq!(alter(GROUP, "g", &[(key, Delete)], false, &image), Ok(Some(record(None))));
        assert_eq!(alter(GROUP, "g", &[], true, &image), Ok(Some(record(None))));
        image.apply(&record(None));
        assert_eq!(image.groups_with_settings().count(), 0);
        for (name, key, change, code, words) in [
            ("", key, Set("50000"), ErrorCode::INVALID_REQUEST, "Default group resources"),
            (
                "g",
                key,
                Set("1"),
                ErrorCode::INVALID_CONFIG,
                "must be greater than or equal to group",
            ),
            ("g", key, Set("x"), ErrorCode::INVALID_CONFIG, "Not a number of type INT"),
            ("g", key, Append("1"), ErrorCode::INVALID_CONFIG, "because its type is not LIST"),
            ("g", "nope", Set("1"), ErrorCode::INVALID_CONFIG, "Unknown group config name: nope"),
            (
                "g",
                "share.assignment.interval.ms",
                Set("50000"),
                ErrorCode::INVALID_CONFIG,
                "does not support the group config share.assignment.interval.ms",
            ),
        ] {
            let (found, message) = refused(GROUP, name, &[(key, change)]);
            assert_eq!(found, code, "{message}");
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn other_resources_are_refused() {
        for resource_type in [0, BROKER_LOGGER, CLIENT_METRICS, 99] {
            let (code, message) = refused(resource_type, "x", &[("a", Change::Set("1"))]);
            assert_eq!(code, ErrorCode::INVALID_REQUEST);
            assert!(message.contains(" resource type"), "{message}");
        }
    }
}
