//! Settings of a topic, typed, and what stands behind each of them.

use super::compression::{Codec, Compression};
use super::config_def::{ConfigDef, Source, split_list};
use super::config_table::{BROKER_CONFIGS, TOPIC_CONFIGS, broker_config, topic_config};
use super::throttled_replicas::ThrottledReplicas;
use super::topic_name::SHARE_STATE;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The effective settings of one topic; names and units are Kafka's.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
    /// `compact` is in `cleanup.policy`: of each key the last record is kept.
    pub compacted: bool,
    /// `delete` is in `cleanup.policy`: otherwise retention does not apply.
    pub deletes: bool,
    /// `min.cleanable.dirty.ratio`.
    pub min_cleanable_dirty_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_compaction_lag_ms: i64,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `retention.ms`; -1 keeps for ever.
    pub retention_ms: i64,
    /// `retention.bytes` of each partition; -1 is no limit.
    pub retention_bytes: i64,
    /// `segment.bytes`.
    pub segment_bytes: u64,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `segment.jitter.ms`.
    pub segment_jitter_ms: i64,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: i64,
    /// `max.message.bytes`: the largest batch, compressed as it comes.
    pub max_message_bytes: u32,
    /// `flush.messages`: 1 syncs before each acknowledgement, which is the default.
    pub flush_messages: i64,
    /// `flush.ms`.
    pub flush_ms: i64,
    /// `compression.type` with its level: how batches are stored; `None` for `producer`, as they come.
    pub codec: Option<Codec>,
    /// `message.timestamp.type` is `LogAppendTime`.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `min.insync.replicas`.
    pub min_insync_replicas: i32,
    /// `unclean.leader.election.enable`: where nobody has everything, anybody may lead.
    pub unclean_leader_election: bool,
    /// `leader.replication.throttled.replicas`.
    pub leader_throttled: ThrottledReplicas,
    /// `follower.replication.throttled.replicas`.
    pub follower_throttled: ThrottledReplicas,
}

impl Default for TopicConfig {
    /// The settings of a topic and a broker on which nobody set anything.
    fn default() -> Self {
        Self::effective(&BTreeMap::new(), &BrokerConfigs::default())
    }
}

/// What was set on a broker, by where it was set. A value in `broker` beats one in `cluster`, which
/// beats one in `fixed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerConfigs {
    /// At the start, in the configuration file.
    pub fixed: Arc<BTreeMap<String, String>>,
    /// While brokers ran, for all of them.
    pub cluster: BTreeMap<String, String>,
    /// While it ran, for this broker.
    pub broker: BTreeMap<String, String>,
}

impl BrokerConfigs {
    /// The value in force and where it comes from; `None` where nobody set one.
    pub fn set(&self, name: &str) -> Option<(&str, Source)> {
        self.layers().find_map(|(map, source)| Some((map.get(name)?.as_str(), source)))
    }

    fn layers(&self) -> impl Iterator<Item = (&BTreeMap<String, String>, Source)> {
        [
            (&self.broker, Source::Broker),
            (&self.cluster, Source::Cluster),
            (&*self.fixed, Source::Static),
        ]
        .into_iter()
    }

    /// The value of a broker configuration, as text; `None` is null or an unknown name.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.set(name).map(|(value, _)| value).or_else(|| broker_config(name)?.default)
    }

    /// The value of a numeric broker configuration; `None` where it is null.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }

    /// Whether a boolean broker configuration is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.text(name).is_some_and(|value| value.trim().eq_ignore_ascii_case("true"))
    }

    /// Checks settings given at the start: each known, valid and honoured. The error is one sentence
    /// that names the setting.
    pub fn check_static(settings: &BTreeMap<String, String>) -> Result<(), String> {
        for (name, value) in settings {
            let def = broker_config(name).ok_or_else(|| {
                let hint = closest(name).map(|it| format!("; did you mean {it}?"));
                format!("Unknown broker config name: {name}{}", hint.unwrap_or_default())
            })?;
            def.check(value)?;
        }
        Ok(())
    }
}

/// The broker configuration whose name is most like `name`, if one is like it at all.
fn closest(name: &str) -> Option<&'static str> {
    let distance = |other: &str| {
        let (a, b) = (name.as_bytes(), other.as_bytes());
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for (j, y) in b.iter().enumerate() {
                let change = diagonal + usize::from(x != y);
                diagonal = row[j + 1];
                row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
            }
        }
        row[b.len()]
    };
    let (found, best) =
        BROKER_CONFIGS.iter().map(|def| (def.name, distance(def.name))).min_by_key(|it| it.1)?;
    (best <= name.len().max(6) / 3).then_some(found)
}

/// One configuration as `DescribeConfigs` shows it.
#[derive(Clone, Debug)]
pub struct Described {
    /// Which.
    pub def: &'static ConfigDef,
    /// Canonical value; `None` is null.
    pub value: Option<String>,
    /// Where it comes from.
    pub source: Source,
    /// Every value that is set for it or for what it falls back to, the strongest first.
    pub synonyms: Vec<(&'static str, String, Source)>,
}

// The ratio was checked, and is a number. With this, what shares a configuration or a topic is known to be equal at
// a glance (`Arc`'s `PartialEq`).
impl Eq for TopicConfig {}

impl TopicConfig {
    /// What holds for a topic with these overrides on a broker with these settings. Values were
    /// checked when they were set; one that is not valid any more counts as not set.
    pub fn effective(overrides: &BTreeMap<String, String>, broker: &BrokerConfigs) -> Self {
        let text = |name: &str| -> Cow<'_, str> {
            let def = topic_config(name).expect("a name in the table");
            resolve(def, overrides, broker).0.into()
        };
        let number = |name: &str| -> i64 {
            text(name).parse().expect("values of the table and checked values are numbers")
        };
        let policy = text("cleanup.policy");
        let policy = split_list(&policy);
        let ratio = text("min.cleanable.dirty.ratio");
        let level = |compression| match compression {
            Compression::Gzip => number("compression.gzip.level") as i32,
            Compression::Lz4 => number("compression.lz4.level") as i32,
            Compression::Zstd => number("compression.zstd.level") as i32,
            Compression::None | Compression::Snappy => Codec::of(compression).level,
        };
        let compression = Compression::of_topic(&text("compression.type"));
        Self {
            codec: compression.map(|it| Codec { compression: it, level: level(it) }),
            compacted: policy.contains(&"compact"),
            deletes: policy.contains(&"delete"),
            min_cleanable_dirty_ratio: ratio.parse().expect("a value that was checked"),
            min_compaction_lag_ms: number("min.compaction.lag.ms"),
            max_compaction_lag_ms: number("max.compaction.lag.ms"),
            delete_retention_ms: number("delete.retention.ms"),
            retention_ms: number("retention.ms"),
            retention_bytes: number("retention.bytes"),
            segment_bytes: number("segment.bytes") as u64,
            segment_ms: number("segment.ms"),
            segment_jitter_ms: number("segment.jitter.ms"),
            index_interval_bytes: number("index.interval.bytes") as u32,
            file_delete_delay_ms: number("file.delete.delay.ms"),
            max_message_bytes: number("max.message.bytes") as u32,
            flush_messages: number("flush.messages"),
            flush_ms: number("flush.ms"),
            log_append_time: text("message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: number("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: number("message.timestamp.after.max.ms"),
            min_insync_replicas: number("min.insync.replicas") as i32,
            unclean_leader_election: text("unclean.leader.election.enable") == "true",
            leader_throttled: ThrottledReplicas::of(&text("leader.replication.throttled.replicas")),
            follower_throttled: ThrottledReplicas::of(&text(
                "follower.replication.throttled.replicas",
            )),
        }
    }

    /// Checks a topic's overrides: each known, valid and honoured. The error is Kafka's message for
    /// `INVALID_CONFIG`.
    pub fn check(overrides: &BTreeMap<String, String>) -> Result<(), String> {
        if let Some(name) = overrides.keys().find(|name| topic_config(name).is_none()) {
            return Err(format!("Unknown topic config name: {name}"));
        }
        for (name, value) in overrides {
            topic_config(name).expect("looked up above").check(value)?;
        }
        let config = Self::effective(overrides, &BrokerConfigs::default());
        let (least, most) = (config.min_compaction_lag_ms, config.max_compaction_lag_ms);
        if least > most {
            return Err(format!(
                "conflict topic config setting min.compaction.lag.ms ({least}) > \
                 max.compaction.lag.ms ({most})"
            ));
        }
        Ok(())
    }

    /// As [`check`](Self::check), for the topic of this name, which holds the state of a coordinator: it is compacted,
    /// which its coordinator sees to, and nothing else; of share groups, what is redundant is deleted, which its
    /// coordinator sees to, and nothing else. Its batches stay as the coordinator makes them.
    pub fn check_internal(name: &str, overrides: &BTreeMap<String, String>) -> Result<(), String> {
        const POLICY: &str = "cleanup.policy";
        const TYPE: &str = "compression.type";
        let mut others = overrides.clone();
        if let Some(value) = overrides.get(TYPE)
            && topic_config(TYPE).expect("a name in the table").parse(value)? != "producer"
        {
            return Err(format!(
                "Invalid value {value} for configuration {TYPE}: This broker supports only producer \
                 for internal topics"
            ));
        }
        let policy = others.remove(POLICY).unwrap_or_default();
        Self::check(&others)?;
        let def = topic_config(POLICY).expect("a name in the table");
        let is_pruned = name == SHARE_STATE;
        let only = if is_pruned { "delete" } else { "compact" };
        if def.parse(&policy)? != only {
            return Err(format!(
                "Invalid value {policy} for configuration {POLICY}: This broker supports only \
                 {only} for internal topics"
            ));
        }
        for name in ["retention.ms", "retention.bytes"].into_iter().filter(|_| is_pruned) {
            let value = others.get(name).map_or("", |it| it.trim());
            if value != "-1" {
                return Err(format!(
                    "Invalid value {value} for configuration {name}: This broker supports only -1 for \
                     {SHARE_STATE}"
                ));
            }
        }
        Ok(())
    }

    /// Every configuration of a topic, by name. As in Kafka, a value that only a weaker name of the
    /// broker's sets, such as `log.retention.hours`, is shown as a default.
    pub fn describe(
        overrides: &BTreeMap<String, String>,
        broker: &BrokerConfigs,
    ) -> impl Iterator<Item = Described> {
        TOPIC_CONFIGS.iter().map(|def| describe_of_topic(def, overrides, broker))
    }
}

/// One of the configurations of a topic, as [`TopicConfig::describe`] shows it.
pub fn describe_of_topic(
    def: &'static ConfigDef,
    overrides: &BTreeMap<String, String>,
    broker: &BrokerConfigs,
) -> Described {
    let (value, _) = resolve(def, overrides, broker);
    let own =
        overrides.get(def.name).map(|value| (def.name, value.clone(), Source::Topic)).into_iter();
    let first = def.synonyms.first().map_or("", |s| s.name);
    let synonyms: Vec<_> = own.chain(broker_synonyms(first, broker)).collect();
    let source = synonyms.first().map_or(Source::Default, |(.., source)| *source);
    Described { def, value: Some(value), source, synonyms }
}

/// One of the configurations of a broker.
pub fn describe_of_broker(def: &'static ConfigDef, broker: &BrokerConfigs) -> Described {
    let (value, source) = match broker.set(def.name) {
        Some((value, source)) => (Some(canonical(def, value)), source),
        None => (def.default.map(str::to_owned), Source::Default),
    };
    let synonyms = broker_synonyms(def.name, broker).collect();
    Described { def, value, source, synonyms }
}

/// What stands behind a broker's configuration, as Kafka 4.3.1 lists it (`ConfigHelper`): of the names
/// that mean the same, such as `log.retention.ms` and `log.retention.hours`, all dynamic values, then
/// all static ones, then all defaults; without those before the first of the name itself.
pub(super) fn broker_synonyms<'a>(
    name: &'static str,
    broker: &'a BrokerConfigs,
) -> impl Iterator<Item = (&'static str, String, Source)> + 'a {
    let means_the_same =
        TOPIC_CONFIGS.iter().map(|it| it.synonyms).find(|it| it.iter().any(|s| s.name == name));
    let names: Vec<&'static str> =
        means_the_same.map_or_else(|| vec![name], |all| all.iter().map(|s| s.name).collect());
    let defaults: Vec<_> = names
        .iter()
        .filter_map(|it| Some((*it, broker_config(it)?.default?.to_owned(), Source::Default)))
        .collect();
    let set = broker.layers().flat_map(move |(map, source)| {
        let set = names.iter().filter_map(|it| Some((*it, map.get(*it)?.clone(), source)));
        set.collect::<Vec<_>>()
    });
    set.chain(defaults).skip_while(move |(it, ..)| *it != name)
}

/// A value as it is shown.
pub(super) fn canonical(def: &ConfigDef, raw: &str) -> String {
    def.parse(raw).map_or_else(|_| raw.trim().to_owned(), Cow::into_owned)
}

/// The canonical value of a topic's configuration and where it comes from.
fn resolve(
    def: &ConfigDef,
    overrides: &BTreeMap<String, String>,
    broker: &BrokerConfigs,
) -> (String, Source) {
    let own = overrides.get(def.name).and_then(|raw| def.parse(raw).ok());
    if let Some(value) = own {
        return (value.into_owned(), Source::Topic);
    }
    for synonym in def.synonyms {
        let Some((raw, source)) = broker.set(synonym.name) else { continue };
        if synonym.factor == 1 {
            if let Ok(value) = def.parse(raw) {
                return (value.into_owned(), source);
            }
        } else if let Ok(units) = raw.trim().parse::<i64>() {
            // Kafka takes every negative number of minutes or hours for "no limit".
            let value = if units < 0 { -1 } else { units.saturating_mul(synonym.factor) };
            return (value.to_string(), source);
        }
    }
    (def.default.unwrap_or_default().to_owned(), Source::Default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::config_def::Support;
    use crate::types::config_table::GROUP_CONFIGS;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn refusal(name: &str, value: &str) -> String {
        TopicConfig::check(&map(&[(name, value)])).expect_err(name)
    }

    #[test]
    fn tables_are_sorted_and_their_defaults_valid() {
        for table in [TOPIC_CONFIGS, GROUP_CONFIGS, BROKER_CONFIGS] {
            assert!(table.is_sorted_by(|a, b| a.name < b.name));
            for def in table {
                let Some(default) = def.default else { continue };
                assert_eq!(def.parse(default).as_deref(), Ok(default), "{}", def.name);
                if def.support != Support::Derived {
                    def.check(default).unwrap();
                }
            }
        }
        for def in TOPIC_CONFIGS.iter().chain(GROUP_CONFIGS) {
            for synonym in def.synonyms {
                let broker = broker_config(synonym.name).expect(synonym.name);
                assert_eq!(broker.support, def.support, "{}", def.name);
            }
        }
    }

    #[test]
    fn defaults_are_kafkas_but_for_the_flush() {
        let config = TopicConfig::default();
        assert_eq!(config.retention_ms, 7 * 24 * 3_600_000);
        assert_eq!(config.retention_bytes, -1);
        assert_eq!(config.segment_bytes, 1 << 30);
        assert_eq!(config.segment_ms, 7 * 24 * 3_600_000);
        assert_eq!(config.max_message_bytes, 1_048_588);
        assert_eq!((config.flush_messages, config.flush_ms), (1, i64::MAX));
        assert!(!config.log_append_time);
        assert_eq!(config.timestamp_after_max_ms, 3_600_000);
        assert_eq!(config.timestamp_before_max_ms, i64::MAX);
    }

    /// The messages are those of Kafka 4.3.1.
    #[test]
    fn refuses_with_kafkas_words() {
        let invalid = "for configuration";
        for (name, value, want) in [
            (
                "retention.ms",
                "x",
                format!("Invalid value x {invalid} retention.ms: Not a number of type LONG"),
            ),
            (
                "retention.ms",
                "",
                format!("Invalid value  {invalid} retention.ms: Not a number of type LONG"),
            ),
            (
                "retention.ms",
                "-2",
                format!("Invalid value -2 {invalid} retention.ms: Value must be at least -1"),
            ),
            (
                "segment.bytes",
                "10",
                format!("Invalid value 10 {invalid} segment.bytes: Value must be at least 1048576"),
            ),
            (
                "segment.bytes",
                "99999999999",
                format!(
                    "Invalid value 99999999999 {invalid} segment.bytes: Not a number of type INT"
                ),
            ),
            (
                "cleanup.policy",
                "foo",
                format!(
                    "Invalid value foo {invalid} cleanup.policy: String must be one of: compact, delete"
                ),
            ),
            (
                "compression.type",
                "foo",
                format!(
                    "Invalid value foo {invalid} compression.type: String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"
                ),
            ),
            (
                "preallocate",
                "maybe",
                format!(
                    "Invalid value maybe {invalid} preallocate: Expected value to be either true or false"
                ),
            ),
            (
                "min.cleanable.dirty.ratio",
                "2",
                format!(
                    "Invalid value 2.0 {invalid} min.cleanable.dirty.ratio: Value must be no more than 1"
                ),
            ),
            (
                "min.cleanable.dirty.ratio",
                "x",
                format!(
                    "Invalid value x {invalid} min.cleanable.dirty.ratio: Not a number of type DOUBLE"
                ),
            ),
            (
                "compression.gzip.level",
                "0",
                format!(
                    "Invalid value 0 {invalid} compression.gzip.level: Value must be between 1 and 9 or equal to -1"
                ),
            ),
            (
                "compression.zstd.level",
                "1000",
                format!(
                    "Invalid value 1000 {invalid} compression.zstd.level: Value must be no more than 22"
                ),
            ),
            (
                "leader.replication.throttled.replicas",
                "a",
                format!(
                    "Invalid value [a] {invalid} leader.replication.throttled.replicas: leader.replication.throttled.replicas must be the literal '*' or a list of replicas in the following format: [partitionId]:[brokerId],[partitionId]:[brokerId],..."
                ),
            ),
            ("nope", "1", "Unknown topic config name: nope".to_owned()),
            (
                "message.format.version",
                "2.0",
                "Unknown topic config name: message.format.version".to_owned(),
            ),
        ] {
            assert_eq!(refusal(name, value), want);
        }
        assert!(
            TopicConfig::check(&map(&[("retention.ms", " 5 "), ("retention.bytes", "-5")])).is_ok()
        );
    }

    #[test]
    fn refuses_what_it_would_ignore() {
        for (name, value) in [("preallocate", "true"), ("remote.storage.enable", "true")] {
            assert!(refusal(name, value).contains("supports only the default"), "{name}={value}");
        }
        let same = [
            ("cleanup.policy", "delete,delete"),
            ("compression.type", "producer"),
            ("leader.replication.throttled.replicas", ""),
            ("preallocate", " FALSE "),
        ];
        TopicConfig::check(&map(&same)).unwrap();
    }

    #[test]
    fn cleanup_policies_are_what_they_say() {
        for (policy, compacted, deletes) in [
            ("delete", false, true),
            ("compact", true, false),
            (" compact , delete ", true, true),
            ("delete,compact", true, true),
            ("", false, false),
        ] {
            let settings =
                map(&[("cleanup.policy", policy), ("min.cleanable.dirty.ratio", "0.25")]);
            TopicConfig::check(&settings).unwrap();
            let config = TopicConfig::effective(&settings, &BrokerConfigs::default());
            assert_eq!((config.compacted, config.deletes), (compacted, deletes), "{policy}");
            assert_eq!(config.min_cleanable_dirty_ratio.to_bits(), 0.25_f64.to_bits());
        }
        let lags = [("min.compaction.lag.ms", "10"), ("max.compaction.lag.ms", "9")];
        let conflict = TopicConfig::check(&map(&lags)).unwrap_err();
        assert!(conflict.contains("min.compaction.lag.ms (10) > max.compaction.lag.ms (9)"));
        let broker = BrokerConfigs {
            cluster: map(&[
                ("log.cleanup.policy", "compact"),
                ("log.cleaner.min.compaction.lag.ms", "7"),
                ("log.cleaner.delete.retention.ms", "8"),
            ]),
            ..BrokerConfigs::default()
        };
        let config = TopicConfig::effective(&BTreeMap::new(), &broker);
        assert!(config.compacted && !config.deletes);
        assert_eq!((config.min_compaction_lag_ms, config.delete_retention_ms), (7, 8));
    }

    #[test]
    fn codecs_are_what_the_topic_or_the_broker_says() {
        let codec = |topic: &[(&str, &str)], broker: &[(&str, &str)]| {
            TopicConfig::check(&map(topic)).unwrap();
            let broker = BrokerConfigs { cluster: map(broker), ..BrokerConfigs::default() };
            TopicConfig::effective(&map(topic), &broker).codec
        };
        let of = |compression, level| Some(Codec { compression, level });
        assert_eq!(codec(&[], &[]), None);
        assert_eq!(codec(&[("compression.gzip.level", "9")], &[]), None);
        assert_eq!(codec(&[("compression.type", "uncompressed")], &[]), of(Compression::None, 0));
        assert_eq!(codec(&[("compression.type", "snappy")], &[]), of(Compression::Snappy, 0));
        for (name, level, own, least, most) in [
            ("gzip", -1, "compression.gzip.level", 1, 9),
            ("lz4", 9, "compression.lz4.level", 1, 17),
            ("zstd", 3, "compression.zstd.level", -131_072, 22),
        ] {
            let compression = Compression::from_name(name).unwrap();
            let set = ("compression.type", name);
            assert_eq!(codec(&[set], &[]), of(compression, level));
            assert_eq!(codec(&[set], &[]), Some(Codec::of(compression)));
            for bound in [least, most] {
                let text = bound.to_string();
                assert_eq!(codec(&[set, (own, &text)], &[]), of(compression, bound));
                assert_eq!(codec(&[set], &[(own, &text)]), of(compression, bound));
                assert_eq!(codec(&[], &[set, (own, &text)]), of(compression, bound));
            }
            for wrong in [least - 1, most + 1, if name == "gzip" { 0 } else { most + 2 }] {
                refusal(own, &wrong.to_string());
            }
        }
        // The topic's own word counts more.
        assert_eq!(
            codec(&[("compression.type", "producer")], &[("compression.type", "gzip")]),
            None
        );
    }

    #[test]
    fn the_state_of_share_groups_is_pruned_and_nothing_else() {
        let right =
            [("cleanup.policy", "delete"), ("retention.ms", "-1"), ("retention.bytes", "-1")];
        TopicConfig::check_internal(SHARE_STATE, &map(&right)).unwrap();
        for (name, value) in [
            ("cleanup.policy", "compact"),
            ("cleanup.policy", "compact,delete"),
            ("retention.ms", "1"),
            ("retention.bytes", "1000"),
        ] {
            let mut wrong = map(&right);
            wrong.insert(name.to_owned(), value.to_owned());
            TopicConfig::check_internal(SHARE_STATE, &wrong).expect_err(name);
        }
    }

    #[test]
    fn internal_topics_are_compacted_and_nothing_else() {
        TopicConfig::check_internal("__consumer_offsets", &map(&[("cleanup.policy", "compact")]))
            .unwrap();
        let more = [("cleanup.policy", " compact "), ("retention.ms", "5")];
        TopicConfig::check_internal("__consumer_offsets", &map(&more)).unwrap();
        let config = TopicConfig::effective(&map(&more), &BrokerConfigs::default());
        assert!(config.compacted && !TopicConfig::default().compacted);
        for wrong in ["delete", "compact,delete", "", "x"] {
            let settings = map(&[("cleanup.policy", wrong)]);
            TopicConfig::check_internal("__consumer_offsets", &settings).expect_err(wrong);
        }
        let with = |value| map(&[("cleanup.policy", "compact"), ("compression.type", value)]);
        TopicConfig::check_internal("__consumer_offsets", &with(" producer ")).unwrap();
        for wrong in ["uncompressed", "zstd", "x"] {
            TopicConfig::check_internal("__consumer_offsets", &with(wrong)).expect_err(wrong);
        }
        let other = map(&[("cleanup.policy", "compact"), ("preallocate", "true")]);
        TopicConfig::check_internal("__consumer_offsets", &other).unwrap_err();
    }

    #[test]
    fn broker_settings_stand_behind_topics() {
        let mut broker = BrokerConfigs {
            fixed: Arc::new(map(&[("log.retention.hours", "2"), ("log.segment.bytes", "2097152")])),
            ..BrokerConfigs::default()
        };
        let none = BTreeMap::new();
        assert_eq!(TopicConfig::effective(&none, &broker).retention_ms, 7_200_000);
        assert_eq!(TopicConfig::effective(&none, &broker).segment_bytes, 2_097_152);
        broker.cluster = map(&[("log.retention.ms", "5000")]);
        assert_eq!(TopicConfig::effective(&none, &broker).retention_ms, 5000);
        broker.broker = map(&[("log.retention.ms", "6000")]);
        assert_eq!(TopicConfig::effective(&none, &broker).retention_ms, 6000);
        let own = map(&[("retention.ms", "7000")]);
        assert_eq!(TopicConfig::effective(&own, &broker).retention_ms, 7000);

        let shown = TopicConfig::describe(&own, &broker)
            .find(|it| it.def.name == "retention.ms")
            .map(|it| (it.value, it.source, it.synonyms));
        let synonyms = vec![
            ("retention.ms", "7000".to_owned(), Source::Topic),
            ("log.retention.ms", "6000".to_owned(), Source::Broker),
            ("log.retention.ms", "5000".to_owned(), Source::Cluster),
            ("log.retention.hours", "2".to_owned(), Source::Static),
            ("log.retention.hours", "168".to_owned(), Source::Default),
        ];
        assert_eq!(shown, Some((Some("7000".to_owned()), Source::Topic, synonyms.clone())));
        let shown = |name: &str| {
            let found = BROKER_CONFIGS
                .iter()
                .map(|it| describe_of_broker(it, &broker))
                .find(|it| it.def.name == name);
            found.map(|it| it.synonyms).unwrap_or_default()
        };
        assert_eq!(shown("log.retention.ms"), synonyms[1..]);
        assert_eq!(shown("log.retention.hours"), synonyms[3..]);
        assert_eq!(shown("log.retention.minutes"), []);

        // `kafka-topics --describe` lists what is no default: with the stock server.properties that
        // is segment.bytes, not the retention that log.retention.hours gives.
        let stock = BrokerConfigs { fixed: broker.fixed.clone(), ..BrokerConfigs::default() };
        let shown = |name: &str| {
            let found = TopicConfig::describe(&none, &stock).find(|it| it.def.name == name);
            found.map(|it| (it.value.unwrap_or_default(), it.source, it.synonyms.len()))
        };
        assert_eq!(shown("retention.ms"), Some(("7200000".to_owned(), Source::Default, 0)));
        assert_eq!(shown("segment.bytes"), Some(("2097152".to_owned(), Source::Static, 2)));

        broker.fixed = Arc::new(map(&[("log.retention.hours", "-1")]));
        broker.cluster.clear();
        broker.broker.clear();
        assert_eq!(TopicConfig::effective(&none, &broker).retention_ms, -1);
    }

    /// As Apache Kafka 4.3.1 shows them.
    #[test]
    fn dynamic_times_of_a_broker_list_the_names_behind_them() {
        let dynamic =
            [("log.retention.ms", "7"), ("log.roll.ms", "8"), ("log.flush.interval.ms", "9")];
        let broker = BrokerConfigs { broker: map(&dynamic), ..BrokerConfigs::default() };
        let of_broker = |name: &str| {
            let found = BROKER_CONFIGS
                .iter()
                .map(|it| describe_of_broker(it, &broker))
                .find(|it| it.def.name == name);
            found.map(|it| it.synonyms).unwrap_or_default()
        };
        let of_topic = |name: &str| {
            let own = map(&[]);
            let mut all = TopicConfig::describe(&own, &broker);
            all.find(|it| it.def.name == name).map(|it| it.synonyms).unwrap_or_default()
        };
        for (name, value, weaker, default, topic) in [
            ("log.retention.ms", "7", "log.retention.hours", "168", "retention.ms"),
            ("log.roll.ms", "8", "log.roll.hours", "168", "segment.ms"),
            (
                "log.flush.interval.ms",
                "9",
                "log.flush.scheduler.interval.ms",
                "9223372036854775807",
                "flush.ms",
            ),
        ] {
            let expected = [
                (name, value.to_owned(), Source::Broker),
                (weaker, default.to_owned(), Source::Default),
            ];
            assert_eq!(of_broker(name), expected);
            assert_eq!(of_topic(topic), expected);
            assert_eq!(of_broker(weaker), expected[1..]);
        }
        assert_eq!(of_broker("log.retention.minutes"), []);
        assert_eq!(of_broker("log.roll.jitter.ms"), []);
    }

    #[test]
    fn static_settings_are_checked_with_a_suggestion() {
        let check = |name, value| BrokerConfigs::check_static(&map(&[(name, value)]));
        check("num.partitions", "3").unwrap();
        assert_eq!(
            check("num.partition", "3").unwrap_err(),
            "Unknown broker config name: num.partition; did you mean num.partitions?"
        );
        assert_eq!(
            check("zookeeper.connect", "x").unwrap_err(),
            "Unknown broker config name: zookeeper.connect"
        );
        assert!(check("num.partitions", "0").unwrap_err().contains("at least 1"));
        check("default.replication.factor", "3").unwrap();
        assert!(check("log.preallocate", "true").unwrap_err().contains("only the default: false"));
        assert!(check("node.id", "1").is_err());
    }
}
