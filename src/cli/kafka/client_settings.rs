//! Kafka's producer and consumer properties as settings of the client.
//!
//! Names that mean nothing here are left alone, as Kafka's clients leave them; values that make no
//! sense are refused in Kafka's words.

use super::ToolError;
use super::properties::Properties;
use crate::client::consumer::{Assignor, ConsumerSettings, GroupSettings, OffsetReset};
use crate::client::producer::ProducerSettings;
use crate::wire::records::Compression;
use std::str::FromStr;

fn bad(name: &str, value: &str, why: &str) -> ToolError {
    ToolError::Failed(format!("Invalid value {value} for configuration {name}: {why}"))
}

fn number<T: FromStr + PartialOrd + Copy + std::fmt::Display>(
    properties: &Properties,
    name: &str,
    min: T,
    kind: &str,
    into: &mut T,
) -> Result<(), ToolError> {
    let Some(text) = properties.get(name) else { return Ok(()) };
    let value: T = text
        .trim()
        .parse()
        .map_err(|_| bad(name, text, &format!("Not a number of type {kind}")))?;
    if value < min {
        return Err(bad(name, text, &format!("Value must be at least {min}")));
    }
    *into = value;
    Ok(())
}

fn long(p: &Properties, name: &str, min: i64, into: &mut i64) -> Result<(), ToolError> {
    number(p, name, min, "LONG", into)
}

fn int(p: &Properties, name: &str, min: i32, into: &mut i32) -> Result<(), ToolError> {
    number(p, name, min, "INT", into)
}

/// An INT that is a number of bytes here.
fn bytes(p: &Properties, name: &str, min: i32, into: &mut usize) -> Result<(), ToolError> {
    let mut value = i32::try_from(*into).unwrap_or(i32::MAX);
    int(p, name, min, &mut value)?;
    if p.contains_key(name) {
        *into = value.max(0) as usize;
    }
    Ok(())
}

fn boolean(p: &Properties, name: &str, into: &mut bool) -> Result<(), ToolError> {
    let Some(text) = p.get(name) else { return Ok(()) };
    *into = match text.trim().to_ascii_lowercase().as_str() {
        "true" => true,
        "false" => false,
        _ => return Err(bad(name, text, "Expected value to be either true or false")),
    };
    Ok(())
}

/// Settings of a producer.
pub fn producer(p: &Properties) -> Result<ProducerSettings, ToolError> {
    let mut s = ProducerSettings::default();
    if let Some(acks) = p.get("acks") {
        s.acks = match acks.as_str() {
            "all" | "-1" => -1,
            "1" => 1,
            "0" => 0,
            _ => return Err(bad("acks", acks, "String must be one of: all, -1, 0, 1")),
        };
    }
    if let Some(name) = p.get("compression.type") {
        s.compression = Compression::from_name(name).ok_or_else(|| {
            bad("compression.type", name, "String must be one of: none, gzip, snappy, lz4, zstd")
        })?;
    }
    bytes(p, "batch.size", 0, &mut s.batch_bytes)?;
    bytes(p, "max.request.size", 0, &mut s.request_bytes)?;
    long(p, "linger.ms", 0, &mut s.linger_ms)?;
    let mut buffer = s.buffer_bytes as i64;
    long(p, "buffer.memory", 0, &mut buffer)?;
    s.buffer_bytes = buffer as usize;
    let mut in_flight = s.in_flight as i32;
    int(p, "max.in.flight.requests.per.connection", 1, &mut in_flight)?;
    s.in_flight = in_flight as usize;
    let mut retries = s.retries as i32;
    int(p, "retries", 0, &mut retries)?;
    s.retries = retries as u32;
    long(p, "retry.backoff.ms", 0, &mut s.retry_backoff_ms)?;
    long(p, "request.timeout.ms", 0, &mut s.request_timeout_ms)?;
    long(p, "delivery.timeout.ms", 0, &mut s.delivery_timeout_ms)?;
    long(p, "max.block.ms", 0, &mut s.max_block_ms)?;
    long(p, "metadata.max.age.ms", 0, &mut s.metadata_max_age_ms)?;
    // Idempotence is on unless something rules it out; asked for in so many words, that is an error.
    let asked = p.contains_key("enable.idempotence");
    boolean(p, "enable.idempotence", &mut s.idempotent)?;
    let ruled_out = if s.acks != -1 {
        Some(
            "Must set acks to all in order to use the idempotent producer. Otherwise we cannot \
              guarantee idempotence.",
        )
    } else if s.retries == 0 {
        Some("Must set retries to non-zero when using the idempotent producer.")
    } else if s.in_flight > 5 {
        Some(
            "Must set max.in.flight.requests.per.connection to at most 5 to use the idempotent \
              producer.",
        )
    } else {
        None
    };
    match ruled_out {
        Some(why) if asked && s.idempotent => return Err(ToolError::failed(why)),
        Some(_) => s.idempotent = false,
        None => {}
    }
    if p.get("transactional.id").is_some_and(|id| !id.is_empty()) {
        return Err(ToolError::failed(
            "transactional.id: this producer has no transactions; remove the property",
        ));
    }
    Ok(s)
}

/// Settings of a consumer; `group.id` makes it one of a group.
pub fn consumer(p: &Properties) -> Result<ConsumerSettings, ToolError> {
    let mut s = ConsumerSettings::default();
    if let Some(text) = p.get("auto.offset.reset") {
        s.offset_reset = offset_reset(text)?;
    }
    boolean(p, "enable.auto.commit", &mut s.auto_commit)?;
    long(p, "auto.commit.interval.ms", 0, &mut s.auto_commit_interval_ms)?;
    if let Some(level) = p.get("isolation.level") {
        s.read_committed = match level.as_str() {
            "read_committed" => true,
            "read_uncommitted" => false,
            _ => {
                let why = "String must be one of: read_committed, read_uncommitted";
                return Err(bad("isolation.level", level, why));
            }
        };
    }
    int(p, "fetch.min.bytes", 0, &mut s.fetch_min_bytes)?;
    int(p, "fetch.max.bytes", 0, &mut s.fetch_max_bytes)?;
    int(p, "fetch.max.wait.ms", 0, &mut s.fetch_max_wait_ms)?;
    int(p, "max.partition.fetch.bytes", 0, &mut s.partition_fetch_bytes)?;
    boolean(p, "check.crcs", &mut s.check_crcs)?;
    boolean(p, "allow.auto.create.topics", &mut s.auto_create_topics)?;
    boolean(p, "exclude.internal.topics", &mut s.exclude_internal)?;
    long(p, "metadata.max.age.ms", 0, &mut s.metadata_max_age_ms)?;
    long(p, "request.timeout.ms", 0, &mut s.request_timeout_ms)?;
    match p.get("group.protocol").map(|g| g.to_ascii_lowercase()) {
        None => {}
        Some(name) if name == "classic" => {}
        Some(name) if name == "consumer" => {
            return Err(ToolError::failed(
                "group.protocol=consumer: this consumer has the classic protocol only; remove the \
                 property",
            ));
        }
        Some(name) => {
            let why = "String must be one of (case insensitive): CLASSIC, CONSUMER";
            return Err(bad("group.protocol", &name, why));
        }
    }
    if let Some(id) = p.get("group.id") {
        s.group = Some(group(p, id)?);
    }
    Ok(s)
}

fn group(p: &Properties, id: &str) -> Result<GroupSettings, ToolError> {
    let mut g = GroupSettings::new(id);
    g.instance_id = p.get("group.instance.id").cloned();
    if g.instance_id.as_deref() == Some("") {
        return Err(bad("group.instance.id", "", "String must be non-empty"));
    }
    int(p, "session.timeout.ms", 1, &mut g.session_timeout_ms)?;
    int(p, "max.poll.interval.ms", 1, &mut g.rebalance_timeout_ms)?;
    long(p, "heartbeat.interval.ms", 1, &mut g.heartbeat_interval_ms)?;
    if g.heartbeat_interval_ms >= i64::from(g.session_timeout_ms) {
        return Err(ToolError::failed("Heartbeat must be set lower than the session timeout"));
    }
    g.rack = p.get("client.rack").filter(|r| !r.is_empty()).cloned();
    if let Some(list) = p.get("partition.assignment.strategy") {
        g.assignors = list
            .split(',')
            .map(str::trim)
            .map(|name| {
                Assignor::from_name(name).ok_or_else(|| {
                    ToolError::Failed(format!(
                        "partition.assignment.strategy={name}: use RangeAssignor, \
                         RoundRobinAssignor, StickyAssignor or CooperativeStickyAssignor of \
                         org.apache.kafka.clients.consumer"
                    ))
                })
            })
            .collect::<Result<_, _>>()?;
    }
    Ok(g)
}

fn offset_reset(text: &str) -> Result<OffsetReset, ToolError> {
    match text.to_ascii_lowercase().as_str() {
        "earliest" => Ok(OffsetReset::Earliest),
        "latest" => Ok(OffsetReset::Latest),
        "none" => Ok(OffsetReset::None),
        lower => lower
            .strip_prefix("by_duration:")
            .and_then(|d| super::time::duration_ms(d).ok())
            .map(OffsetReset::ByDuration)
            .ok_or_else(|| {
                let why = "the value must be either 'earliest', 'latest', 'none' or of the format \
                           'by_duration:<PnDTnHnMn.nS.>'";
                bad("auto.offset.reset", text, why)
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::properties::pairs;
    use super::*;

    fn message<T: std::fmt::Debug>(result: Result<T, ToolError>) -> String {
        match result.expect_err("refused") {
            ToolError::Failed(text) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn producers_are_idempotent_unless_something_speaks_against_it() {
        let idempotent =
            |words: &[&str]| producer(&pairs(words.iter().copied())).map(|s| s.idempotent);
        assert_eq!(idempotent(&[]), Ok(true));
        assert_eq!(idempotent(&["acks=1"]), Ok(false));
        assert_eq!(idempotent(&["retries=0"]), Ok(false));
        assert_eq!(idempotent(&["max.in.flight.requests.per.connection=6"]), Ok(false));
        assert!(
            message(idempotent(&["enable.idempotence=true", "acks=1"])).contains("acks to all")
        );
        let e = message(producer(&pairs(["acks=7"])));
        assert_eq!(
            e,
            "Invalid value 7 for configuration acks: String must be one of: all, -1, 0, 1"
        );
        let e = message(producer(&pairs(["batch.size=x"])));
        assert_eq!(e, "Invalid value x for configuration batch.size: Not a number of type INT");
        assert!(message(producer(&pairs(["linger.ms=-1"]))).contains("at least 0"));
        let s = producer(&pairs(["compression.type=zstd", "batch.size=5", "other=1"])).expect("ok");
        assert_eq!((s.compression, s.batch_bytes), (Compression::Zstd, 5));
    }

    #[test]
    fn consumers_of_a_group_have_a_group() {
        assert_eq!(consumer(&pairs([])).expect("ok"), ConsumerSettings::default());
        let s = consumer(&pairs([
            "group.id=g",
            "auto.offset.reset=by_duration:PT1M",
            "partition.assignment.strategy=org.apache.kafka.clients.consumer.StickyAssignor",
        ]));
        let s = s.expect("ok");
        assert_eq!(s.offset_reset, OffsetReset::ByDuration(60_000));
        assert_eq!(s.group.expect("a group").assignors, [Assignor::Sticky]);
        assert!(message(consumer(&pairs(["auto.offset.reset=x"]))).contains("'earliest'"));
        assert!(message(consumer(&pairs(["group.protocol=consumer"]))).contains("classic"));
        let slow = ["group.id=g", "heartbeat.interval.ms=9", "session.timeout.ms=9"];
        assert!(message(consumer(&pairs(slow))).contains("lower than"));
    }
}
