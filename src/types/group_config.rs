//! Settings of one group (KIP-848), typed, and what stands behind each of them.

use super::config_def::{ConfigDef, Source, split_list};
use super::config_table::group_config;
use super::share_reset::ShareReset;
use super::topic_config::{BrokerConfigs, Described, broker_synonyms, canonical};
use std::collections::BTreeMap;

/// The settings that a group has of its own; the broker's hold where there is none. A value beyond the broker's
/// bounds, which may have changed since it was set, is the bound, as in Kafka since 4.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupConfig {
    /// `consumer.session.timeout.ms`.
    pub consumer_session_timeout_ms: Option<i32>,
    /// `consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval_ms: Option<i32>,
    /// `consumer.assignment.interval.ms`.
    pub consumer_assignment_interval_ms: Option<i32>,
    /// `share.session.timeout.ms`.
    pub share_session_timeout_ms: Option<i32>,
    /// `share.heartbeat.interval.ms`.
    pub share_heartbeat_interval_ms: Option<i32>,
    /// `streams.session.timeout.ms`.
    pub streams_session_timeout_ms: Option<i32>,
    /// `streams.heartbeat.interval.ms`.
    pub streams_heartbeat_interval_ms: Option<i32>,
    /// `streams.assignment.interval.ms`.
    pub streams_assignment_interval_ms: Option<i32>,
    /// `streams.initial.rebalance.delay.ms`.
    pub streams_initial_rebalance_delay_ms: Option<i32>,
    /// `streams.num.standby.replicas`.
    pub streams_standby_replicas: Option<i32>,
}

/// What holds of records that are delivered to a share group: its own setting, or else the broker's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShareConfig {
    /// `share.auto.offset.reset`.
    pub reset: ShareReset,
    /// `share.isolation.level` is `read_committed`.
    pub committed: bool,
    /// `share.record.lock.duration.ms`.
    pub lock_ms: i32,
    /// `share.delivery.count.limit`.
    pub delivery_limit: i16,
    /// `share.partition.max.record.locks`.
    pub locks: usize,
    /// `share.renew.acknowledge.enable`.
    pub renews: bool,
}

impl Default for ShareConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        Self {
            reset: ShareReset::Latest,
            committed: false,
            lock_ms: 30_000,
            delivery_limit: 5,
            locks: 2_000,
            renews: true,
        }
    }
}

impl ShareConfig {
    /// Reads what is set of a group, else of the broker.
    pub fn effective(overrides: &BTreeMap<String, String>, broker: &BrokerConfigs) -> Self {
        let in_force = |name: &str| {
            let own = bounded(name, overrides, broker);
            own.or_else(|| broker.number(synonym(name)).and_then(|it| it.try_into().ok()))
        };
        let text = |name: &str| overrides.get(name).map(|it| it.trim());
        let kafkas = Self::default();
        Self {
            reset: text("share.auto.offset.reset")
                .and_then(ShareReset::read)
                .unwrap_or(kafkas.reset),
            committed: text("share.isolation.level") == Some("read_committed"),
            lock_ms: in_force(SHARE_LOCK).unwrap_or(kafkas.lock_ms),
            delivery_limit: in_force(SHARE_DELIVERIES)
                .and_then(|it| it.try_into().ok())
                .unwrap_or(kafkas.delivery_limit),
            locks: in_force(SHARE_LOCKS).and_then(|it| it.try_into().ok()).unwrap_or(kafkas.locks),
            renews: text("share.renew.acknowledge.enable") != Some("false"),
        }
    }
}

const ASSIGNORS: &str = "group.consumer.assignors";
const SESSION: &str = "consumer.session.timeout.ms";
const HEARTBEAT: &str = "consumer.heartbeat.interval.ms";
const ASSIGNMENT: &str = "consumer.assignment.interval.ms";
const SHARE_SESSION: &str = "share.session.timeout.ms";
const SHARE_HEARTBEAT: &str = "share.heartbeat.interval.ms";
const SHARE_LOCK: &str = "share.record.lock.duration.ms";
const SHARE_DELIVERIES: &str = "share.delivery.count.limit";
const SHARE_LOCKS: &str = "share.partition.max.record.locks";
const STREAMS_SESSION: &str = "streams.session.timeout.ms";
const STREAMS_HEARTBEAT: &str = "streams.heartbeat.interval.ms";
const STREAMS_ASSIGNMENT: &str = "streams.assignment.interval.ms";
const STREAMS_DELAY: &str = "streams.initial.rebalance.delay.ms";
const STREAMS_STANDBYS: &str = "streams.num.standby.replicas";

/// Each setting of a group that has bounds, and the settings of the broker that give them; empty for none.
const BOUNDS: [(&str, &str, &str); 12] = [
    (
        HEARTBEAT,
        "group.consumer.min.heartbeat.interval.ms",
        "group.consumer.max.heartbeat.interval.ms",
    ),
    (SESSION, "group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms"),
    (
        ASSIGNMENT,
        "group.consumer.min.assignment.interval.ms",
        "group.consumer.max.assignment.interval.ms",
    ),
    (
        SHARE_DELIVERIES,
        "group.share.min.delivery.count.limit",
        "group.share.max.delivery.count.limit",
    ),
    (
        SHARE_HEARTBEAT,
        "group.share.min.heartbeat.interval.ms",
        "group.share.max.heartbeat.interval.ms",
    ),
    (
        SHARE_LOCKS,
        "group.share.min.partition.max.record.locks",
        "group.share.max.partition.max.record.locks",
    ),
    (
        SHARE_LOCK,
        "group.share.min.record.lock.duration.ms",
        "group.share.max.record.lock.duration.ms",
    ),
    (SHARE_SESSION, "group.share.min.session.timeout.ms", "group.share.max.session.timeout.ms"),
    (
        STREAMS_HEARTBEAT,
        "group.streams.min.heartbeat.interval.ms",
        "group.streams.max.heartbeat.interval.ms",
    ),
    (
        STREAMS_SESSION,
        "group.streams.min.session.timeout.ms",
        "group.streams.max.session.timeout.ms",
    ),
    (STREAMS_STANDBYS, "", "group.streams.max.standby.replicas"),
    (
        STREAMS_ASSIGNMENT,
        "group.streams.min.assignment.interval.ms",
        "group.streams.max.assignment.interval.ms",
    ),
];

/// Times between heartbeats, and after how long a member that is not heard is removed.
const PAIRS: [(&str, &str); 3] =
    [(SESSION, HEARTBEAT), (SHARE_SESSION, SHARE_HEARTBEAT), (STREAMS_SESSION, STREAMS_HEARTBEAT)];

/// What Kafka 4.3 lets be set of groups, and has no effect here: when assignments of share groups are computed, and in
/// which thread those of all are.
const WITHOUT_EFFECT: [&str; 4] =
    ["share.assign", "streams.assignor.", "errors.deadletterqueue.", "consumer.assignor."];

impl GroupConfig {
    /// Reads the settings of a group.
    pub fn effective(overrides: &BTreeMap<String, String>, broker: &BrokerConfigs) -> Self {
        if overrides.is_empty() {
            return Self::default();
        }
        let bounded = |name: &str| bounded(name, overrides, broker);
        Self {
            consumer_session_timeout_ms: bounded(SESSION),
            consumer_heartbeat_interval_ms: bounded(HEARTBEAT),
            consumer_assignment_interval_ms: bounded(ASSIGNMENT),
            share_session_timeout_ms: bounded(SHARE_SESSION),
            share_heartbeat_interval_ms: bounded(SHARE_HEARTBEAT),
            streams_session_timeout_ms: bounded(STREAMS_SESSION),
            streams_heartbeat_interval_ms: bounded(STREAMS_HEARTBEAT),
            streams_assignment_interval_ms: bounded(STREAMS_ASSIGNMENT),
            streams_initial_rebalance_delay_ms: bounded(STREAMS_DELAY),
            streams_standby_replicas: bounded(STREAMS_STANDBYS),
        }
    }

    /// Checks the settings of a group: each known, valid, honoured, within the broker's bounds. The error is
    /// Kafka's message for `INVALID_CONFIG`.
    pub fn check(
        overrides: &BTreeMap<String, String>,
        broker: &BrokerConfigs,
    ) -> Result<(), String> {
        if let Some(name) = overrides.keys().find(|name| group_config(name).is_none()) {
            if WITHOUT_EFFECT.iter().any(|it| name.starts_with(it)) {
                return Err(format!("This broker does not support the group config {name}"));
            }
            return Err(format!("Unknown group config name: {name}"));
        }
        for (name, value) in overrides {
            group_config(name).expect("looked up above").check(value)?;
        }
        for (name, min, max) in BOUNDS {
            let Some(value) = parsed(name, overrides) else { continue };
            let (least, most) = bounds(name, broker);
            if value < least {
                return Err(format!("{name} must be greater than or equal to {min}"));
            }
            if value > most {
                return Err(format!("{name} must be less than or equal to {max}"));
            }
        }
        let in_force =
            |name: &str| parsed(name, overrides).or_else(|| broker.number(synonym(name)));
        for (session, heartbeat) in PAIRS {
            let touched = [session, heartbeat].iter().any(|it| overrides.contains_key(*it));
            if touched && in_force(session) <= in_force(heartbeat) {
                return Err(format!("{session} must be greater than {heartbeat}"));
            }
        }
        Ok(())
    }

    /// Checks the broker's own settings of groups against each other, as Kafka does at its start. The error is
    /// Kafka's message.
    pub fn check_broker(broker: &BrokerConfigs) -> Result<(), String> {
        let number = |name: &str| broker.number(name).unwrap_or_default();
        for (name, min, max) in BOUNDS {
            let default = synonym(name);
            for (upper, lower) in [(max, min), (default, min)] {
                if !lower.is_empty() && number(upper) < number(lower) {
                    return Err(format!("{upper} must be greater than or equal to {lower}"));
                }
            }
            if number(default) > number(max) {
                return Err(format!("{default} must be less than or equal to {max}"));
            }
        }
        if broker.text(ASSIGNORS).is_none_or(|it| split_list(it).is_empty()) {
            return Err(format!("{ASSIGNORS} must name at least one assignor"));
        }
        for (session, heartbeat) in PAIRS.map(|it| (synonym(it.0), synonym(it.1))) {
            if number(session) <= number(heartbeat) {
                return Err(format!("{heartbeat} must be less than {session}"));
            }
        }
        Ok(())
    }
}

/// One of the configurations of a group.
pub fn describe_of_group(
    def: &'static ConfigDef,
    overrides: &BTreeMap<String, String>,
    broker: &BrokerConfigs,
) -> Described {
    let own =
        overrides.get(def.name).map(|value| (def.name, value.clone(), Source::Group)).into_iter();
    // Kafka names the default itself where the broker has no configuration that stands behind it.
    let default = (def.name, def.default.unwrap_or_default().to_owned(), Source::Default);
    let default = def.synonyms.is_empty().then_some(default);
    let broker = broker_synonyms(synonym(def.name), broker);
    let synonyms: Vec<_> = own.chain(broker).chain(default).collect();
    let (value, source) = synonyms
        .first()
        .map_or((def.default.unwrap_or_default(), Source::Default), |it| (it.1.as_str(), it.2));
    let value = Some(canonical(def, value));
    Described { def, value, source, synonyms }
}

/// The broker's configuration that a group's falls back to.
fn synonym(name: &str) -> &'static str {
    group_config(name).and_then(|it| it.synonyms.first()).map_or("", |it| it.name)
}

fn parsed(name: &str, overrides: &BTreeMap<String, String>) -> Option<i64> {
    overrides.get(name)?.trim().parse().ok()
}

/// What is set of a group, within the broker's bounds.
fn bounded(
    name: &str,
    overrides: &BTreeMap<String, String>,
    broker: &BrokerConfigs,
) -> Option<i32> {
    let value = parsed(name, overrides)?;
    let (least, most) = bounds(name, broker);
    i32::try_from(value.min(most).max(least)).ok()
}

fn bounds(name: &str, broker: &BrokerConfigs) -> (i64, i64) {
    let found = BOUNDS.iter().find(|it| it.0 == name);
    let number = |it: &str| broker.number(it);
    // Without a bound of the broker's, the setting's own rule is what holds.
    let least = found.and_then(|it| number(it.1)).unwrap_or(0);
    (least, found.and_then(|it| number(it.2)).unwrap_or(i32::MAX.into()).max(least))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn broker(fixed: &[(&str, &str)]) -> BrokerConfigs {
        BrokerConfigs { fixed: Arc::new(map(fixed)), ..BrokerConfigs::default() }
    }

    #[test]
    fn settings_are_checked_against_the_brokers() {
        let check = |own: &[(&str, &str)]| GroupConfig::check(&map(own), &broker(&[]));
        check(&[]).unwrap();
        check(&[(SESSION, "60000"), (HEARTBEAT, "15000"), (ASSIGNMENT, "0")]).unwrap();
        check(&[(STREAMS_STANDBYS, "0"), (STREAMS_DELAY, "0"), (STREAMS_ASSIGNMENT, "0")]).unwrap();
        for (own, words) in [
            (
                (SESSION, "44999"),
                "consumer.session.timeout.ms must be greater than or equal to \
                 group.consumer.min.session.timeout.ms",
            ),
            (
                (SESSION, "60001"),
                "consumer.session.timeout.ms must be less than or equal to \
                 group.consumer.max.session.timeout.ms",
            ),
            (
                (HEARTBEAT, "4999"),
                "consumer.heartbeat.interval.ms must be greater than or equal to \
                 group.consumer.min.heartbeat.interval.ms",
            ),
            (
                (HEARTBEAT, "x"),
                "Invalid value x for configuration consumer.heartbeat.interval.ms: Not a number of type INT",
            ),
            ((HEARTBEAT, "0"), "Value must be at least 1"),
            (("nope", "1"), "Unknown group config name: nope"),
            (
                ("share.assignment.interval.ms", "1"),
                "does not support the group config share.assignment.interval.ms",
            ),
            (("streams.assignor.offload.enable", "true"), "does not support"),
            (
                (STREAMS_STANDBYS, "3"),
                "streams.num.standby.replicas must be less than or equal to \
                 group.streams.max.standby.replicas",
            ),
            ((STREAMS_DELAY, "-1"), "Value must be at least 0"),
            (("consumer.assignor.offload.enable", "true"), "does not support"),
            ((ASSIGNMENT, "-1"), "Value must be at least 0"),
            (
                (ASSIGNMENT, "15001"),
                "consumer.assignment.interval.ms must be less than or equal to \
                 group.consumer.max.assignment.interval.ms",
            ),
        ] {
            let message = check(&[own]).unwrap_err();
            assert!(message.contains(words), "{message}");
        }
        let wide = broker(&[("group.consumer.min.session.timeout.ms", "1000")]);
        GroupConfig::check(&map(&[(SESSION, "5001")]), &wide).unwrap();
        let message = GroupConfig::check(&map(&[(SESSION, "5000")]), &wide).unwrap_err();
        assert_eq!(message, format!("{SESSION} must be greater than {HEARTBEAT}"));
    }

    #[test]
    fn values_are_kept_within_bounds_that_changed() {
        let own = map(&[(SESSION, "60000"), (HEARTBEAT, "5000")]);
        let config = GroupConfig::effective(&own, &broker(&[]));
        assert_eq!(config.consumer_session_timeout_ms, Some(60_000));
        let narrow = broker(&[
            ("group.consumer.max.session.timeout.ms", "50000"),
            ("group.consumer.min.heartbeat.interval.ms", "6000"),
        ]);
        let config = GroupConfig::effective(&own, &narrow);
        assert_eq!(config.consumer_session_timeout_ms, Some(50_000));
        assert_eq!(config.consumer_heartbeat_interval_ms, Some(6_000));
        assert_eq!(GroupConfig::effective(&map(&[]), &narrow), GroupConfig::default());
    }

    #[test]
    fn descriptions_list_what_stands_behind() {
        let broker = broker(&[("group.consumer.session.timeout.ms", "46000")]);
        let shown = |own: &[(&str, &str)], name: &str| {
            let it = describe_of_group(group_config(name).unwrap(), &map(own), &broker);
            (it.value.unwrap(), it.source, it.synonyms)
        };
        let fixed = ("group.consumer.session.timeout.ms", "46000".to_owned(), Source::Static);
        let default = ("group.consumer.session.timeout.ms", "45000".to_owned(), Source::Default);
        assert_eq!(
            shown(&[], SESSION),
            ("46000".to_owned(), Source::Static, vec![fixed.clone(), default.clone()])
        );
        let own = (SESSION, "50000".to_owned(), Source::Group);
        assert_eq!(
            shown(&[(SESSION, "50000")], SESSION),
            ("50000".to_owned(), Source::Group, vec![own, fixed, default])
        );
        assert_eq!(shown(&[], HEARTBEAT).0, "5000");
        // Nothing of the broker's stands behind this one.
        let reset = "share.auto.offset.reset";
        let default = (reset, "latest".to_owned(), Source::Default);
        let shown_default = ("latest".to_owned(), Source::Default, vec![default.clone()]);
        assert_eq!(shown(&[], reset), shown_default);
        let own = (reset, "earliest".to_owned(), Source::Group);
        let of_group = ("earliest".to_owned(), Source::Group, vec![own, default]);
        assert_eq!(shown(&[(reset, "earliest")], reset), of_group);
    }

    #[test]
    fn bounds_of_the_broker_must_fit_each_other() {
        GroupConfig::check_broker(&broker(&[])).unwrap();
        for (name, value, words) in [
            (
                "group.consumer.min.session.timeout.ms",
                "60001",
                "group.consumer.max.session.timeout.ms must be greater than or equal to \
                 group.consumer.min.session.timeout.ms",
            ),
            (
                "group.consumer.heartbeat.interval.ms",
                "16000",
                "group.consumer.heartbeat.interval.ms must be less than or equal to \
                 group.consumer.max.heartbeat.interval.ms",
            ),
            (
                "group.consumer.session.timeout.ms",
                "44000",
                "group.consumer.session.timeout.ms must be greater than or equal to \
                 group.consumer.min.session.timeout.ms",
            ),
        ] {
            assert_eq!(GroupConfig::check_broker(&broker(&[(name, value)])).unwrap_err(), words);
        }
        let none = GroupConfig::check_broker(&broker(&[("group.consumer.assignors", "")]));
        assert!(none.unwrap_err().contains("at least one assignor"));
        let equal = broker(&[
            ("group.consumer.max.heartbeat.interval.ms", "45000"),
            ("group.consumer.heartbeat.interval.ms", "45000"),
        ]);
        let message = GroupConfig::check_broker(&equal).unwrap_err();
        assert!(message.contains("must be less than group.consumer.session"), "{message}");
    }
}
