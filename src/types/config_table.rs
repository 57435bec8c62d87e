//! Every topic configuration of Kafka 4.3, and the broker configurations that this broker reports.
//!
//! Names, types, bounds and defaults are those that Kafka 4.3.1 reports, with two exceptions that
//! follow from syncing before each acknowledgement: `flush.messages` and its broker synonym
//! `log.flush.interval.messages` default to 1.

use super::config_def::Support::{DefaultOnly, Derived, Honoured};
use super::config_def::{ConfigDef, Kind, Rule, Support, Synonym};

const MAX_LONG: &str = "9223372036854775807";
const MIB: i64 = 1024 * 1024;
const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
const COMPRESSION: Rule =
    Rule::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]);
const CLEANUP: Rule = Rule::OneOf(&["compact", "delete"]);
const TIMESTAMP_TYPE: Rule = Rule::OneOf(&["CreateTime", "LogAppendTime"]);

const fn same(name: &'static str) -> Synonym {
    Synonym { name, factor: 1 }
}

const fn times(name: &'static str, factor: i64) -> Synonym {
    Synonym { name, factor }
}

const fn topic(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    rule: Rule,
    support: Support,
    synonyms: &'static [Synonym],
    doc: &'static str,
) -> ConfigDef {
    ConfigDef { name, kind, default: Some(default), rule, support, dynamic: true, synonyms, doc }
}

const fn broker(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    rule: Rule,
    support: Support,
    dynamic: bool,
    doc: &'static str,
) -> ConfigDef {
    ConfigDef { name, kind, default, rule, support, dynamic, synonyms: &[], doc }
}

/// The topic's configuration of this name.
pub fn topic_config(name: &str) -> Option<&'static ConfigDef> {
    TOPIC_CONFIGS.binary_search_by(|def| def.name.cmp(name)).ok().map(|i| &TOPIC_CONFIGS[i])
}

/// The broker's configuration of this name.
pub fn broker_config(name: &str) -> Option<&'static ConfigDef> {
    BROKER_CONFIGS.binary_search_by(|def| def.name.cmp(name)).ok().map(|i| &BROKER_CONFIGS[i])
}

/// All topic configurations, by name.
#[rustfmt::skip]
pub static TOPIC_CONFIGS: &[ConfigDef] = &[
    topic("cleanup.policy", Kind::List, "delete", CLEANUP, DefaultOnly,
        &[same("log.cleanup.policy")],
        "What becomes of old records: 'delete' removes them by retention."),
    topic("compression.gzip.level", Kind::Int, "-1", Rule::GzipLevel, DefaultOnly,
        &[same("compression.gzip.level")],
        "Level of gzip where compression.type is gzip."),
    topic("compression.lz4.level", Kind::Int, "9", Rule::Between(1, 17), DefaultOnly,
        &[same("compression.lz4.level")],
        "Level of lz4 where compression.type is lz4."),
    topic("compression.type", Kind::String, "producer", COMPRESSION, DefaultOnly,
        &[same("compression.type")],
        "How batches are stored: 'producer' keeps each one as its producer compressed it."),
    topic("compression.zstd.level", Kind::Int, "3", Rule::Between(-131_072, 22), DefaultOnly,
        &[same("compression.zstd.level")],
        "Level of zstd where compression.type is zstd."),
    topic("delete.retention.ms", Kind::Long, "86400000", Rule::AtLeast(0), DefaultOnly,
        &[same("log.cleaner.delete.retention.ms")],
        "How long a compacted topic keeps tombstones."),
    topic("file.delete.delay.ms", Kind::Long, "60000", Rule::AtLeast(0), Honoured,
        &[same("log.segment.delete.delay.ms")],
        "How long a removed segment's file stays before it is deleted."),
    topic("flush.messages", Kind::Long, "1", Rule::AtLeast(1), Honoured,
        &[same("log.flush.interval.messages")],
        "Records after which the log is synced. 1 syncs before each acknowledgement."),
    topic("flush.ms", Kind::Long, MAX_LONG, Rule::AtLeast(0), Honoured,
        &[same("log.flush.interval.ms"), same("log.flush.scheduler.interval.ms")],
        "Time after which the log is synced, where flush.messages lets records wait."),
    topic("follower.replication.throttled.replicas", Kind::List, "", Rule::ThrottledReplicas,
        DefaultOnly, &[],
        "Replicas whose followers are throttled."),
    topic("index.interval.bytes", Kind::Int, "4096", Rule::AtLeast(0), Honoured,
        &[same("log.index.interval.bytes")],
        "Bytes of log between two entries of the offset index."),
    topic("leader.replication.throttled.replicas", Kind::List, "", Rule::ThrottledReplicas,
        DefaultOnly, &[],
        "Replicas whose leaders are throttled."),
    topic("local.retention.bytes", Kind::Long, "-2", Rule::AtLeast(-2), DefaultOnly,
        &[same("log.local.retention.bytes")],
        "Bytes kept locally of a tiered partition; -2 follows retention.bytes."),
    topic("local.retention.ms", Kind::Long, "-2", Rule::AtLeast(-2), DefaultOnly,
        &[same("log.local.retention.ms")],
        "Time for which a tiered segment is kept locally; -2 follows retention.ms."),
    topic("max.compaction.lag.ms", Kind::Long, MAX_LONG, Rule::AtLeast(1), DefaultOnly,
        &[same("log.cleaner.max.compaction.lag.ms")],
        "Longest time for which a record of a compacted topic escapes compaction."),
    topic("max.message.bytes", Kind::Int, "1048588", Rule::AtLeast(0), Honoured,
        &[same("message.max.bytes")],
        "Largest record batch, compressed as it comes."),
    topic("message.timestamp.after.max.ms", Kind::Long, "3600000", Rule::AtLeast(0), Honoured,
        &[same("log.message.timestamp.after.max.ms")],
        "How far a record's timestamp may lie ahead of the broker's clock."),
    topic("message.timestamp.before.max.ms", Kind::Long, MAX_LONG, Rule::AtLeast(0), Honoured,
        &[same("log.message.timestamp.before.max.ms")],
        "How far a record's timestamp may lie behind the broker's clock."),
    topic("message.timestamp.type", Kind::String, "CreateTime", TIMESTAMP_TYPE, Honoured,
        &[same("log.message.timestamp.type")],
        "Whose clock stamps records: the producer's (CreateTime) or the broker's (LogAppendTime)."),
    topic("min.cleanable.dirty.ratio", Kind::Double, "0.5", Rule::Between(0, 1), DefaultOnly,
        &[same("log.cleaner.min.cleanable.ratio")],
        "Share of a compacted log that must be dirty before it is compacted."),
    topic("min.compaction.lag.ms", Kind::Long, "0", Rule::AtLeast(0), DefaultOnly,
        &[same("log.cleaner.min.compaction.lag.ms")],
        "Shortest time for which a record of a compacted topic escapes compaction."),
    topic("min.insync.replicas", Kind::Int, "1", Rule::AtLeast(1), Honoured,
        &[same("min.insync.replicas")],
        "In-sync replicas that a producer with acks=all needs."),
    topic("preallocate", Kind::Boolean, "false", Rule::Any, DefaultOnly,
        &[same("log.preallocate")],
        "Whether a segment's file takes its full size at once."),
    topic("remote.log.copy.disable", Kind::Boolean, "false", Rule::Any, DefaultOnly, &[],
        "Whether a tiered topic stops copying to the remote tier."),
    topic("remote.log.delete.on.disable", Kind::Boolean, "false", Rule::Any, DefaultOnly, &[],
        "Whether a topic's remote data goes when its tiering is switched off."),
    topic("remote.storage.enable", Kind::Boolean, "false", Rule::Any, DefaultOnly, &[],
        "Whether the topic is tiered."),
    topic("retention.bytes", Kind::Long, "-1", Rule::Any, Honoured,
        &[same("log.retention.bytes")],
        "Bytes that a partition keeps; -1 is no limit."),
    topic("retention.ms", Kind::Long, "604800000", Rule::AtLeast(-1), Honoured,
        &[same("log.retention.ms"), times("log.retention.minutes", MINUTE_MS),
            times("log.retention.hours", HOUR_MS)],
        "Time for which records are kept; -1 is no limit."),
    topic("segment.bytes", Kind::Int, "1073741824", Rule::AtLeast(MIB), Honoured,
        &[same("log.segment.bytes")],
        "Size at which a new segment is begun."),
    topic("segment.index.bytes", Kind::Int, "10485760", Rule::AtLeast(4), DefaultOnly,
        &[same("log.index.size.max.bytes")],
        "Largest size of an offset index."),
    topic("segment.jitter.ms", Kind::Long, "0", Rule::AtLeast(0), Honoured,
        &[same("log.roll.jitter.ms"), times("log.roll.jitter.hours", HOUR_MS)],
        "Random time by which a segment is begun sooner than segment.ms says."),
    topic("segment.ms", Kind::Long, "604800000", Rule::AtLeast(1), Honoured,
        &[same("log.roll.ms"), times("log.roll.hours", HOUR_MS)],
        "Age at which a new segment is begun, full or not."),
    topic("unclean.leader.election.enable", Kind::Boolean, "false", Rule::Any, DefaultOnly,
        &[same("unclean.leader.election.enable")],
        "Whether a replica that is not in sync may lead, at the cost of records."),
];

/// The broker configurations that are reported, by name. What is absent has no effect here and is
/// refused.
#[rustfmt::skip]
pub static BROKER_CONFIGS: &[ConfigDef] = &[
    broker("advertised.listeners", Kind::List, None, Rule::Any, Derived, false,
        "Address that clients are told to connect to."),
    broker("auto.create.topics.enable", Kind::Boolean, Some("true"), Rule::Any, Honoured, false,
        "Whether asking for the metadata of an unknown topic creates it."),
    broker("broker.id", Kind::Int, Some("-1"), Rule::Any, Derived, false,
        "Same as node.id."),
    broker("broker.rack", Kind::String, None, Rule::Any, Honoured, false,
        "Rack of this broker."),
    broker("compression.gzip.level", Kind::Int, Some("-1"), Rule::GzipLevel, DefaultOnly, true,
        "Default of compression.gzip.level of topics."),
    broker("compression.lz4.level", Kind::Int, Some("9"), Rule::Between(1, 17), DefaultOnly, true,
        "Default of compression.lz4.level of topics."),
    broker("compression.type", Kind::String, Some("producer"), COMPRESSION, DefaultOnly, true,
        "Default of compression.type of topics."),
    broker("compression.zstd.level", Kind::Int, Some("3"), Rule::Between(-131_072, 22),
        DefaultOnly, true,
        "Default of compression.zstd.level of topics."),
    broker("connections.max.idle.ms", Kind::Long, Some("600000"), Rule::Any, Honoured, false,
        "Time after which an idle connection is closed."),
    broker("default.replication.factor", Kind::Int, Some("1"), Rule::AtLeast(1), DefaultOnly, false,
        "Replicas of a topic that does not say."),
    broker("delete.topic.enable", Kind::Boolean, Some("true"), Rule::Any, Honoured, false,
        "Whether topics can be deleted."),
    broker("fetch.max.bytes", Kind::Int, Some("57671680"), Rule::AtLeast(1024), Honoured, false,
        "Most bytes that one fetch returns."),
    broker("listeners", Kind::List, Some("PLAINTEXT://:9092"), Rule::Any, Derived, false,
        "Addresses that the broker listens on."),
    broker("log.cleaner.delete.retention.ms", Kind::Long, Some("86400000"), Rule::AtLeast(0),
        DefaultOnly, true,
        "Default of delete.retention.ms of topics."),
    broker("log.cleaner.max.compaction.lag.ms", Kind::Long, Some(MAX_LONG), Rule::AtLeast(1),
        DefaultOnly, true,
        "Default of max.compaction.lag.ms of topics."),
    broker("log.cleaner.min.cleanable.ratio", Kind::Double, Some("0.5"), Rule::Between(0, 1),
        DefaultOnly, true,
        "Default of min.cleanable.dirty.ratio of topics."),
    broker("log.cleaner.min.compaction.lag.ms", Kind::Long, Some("0"), Rule::AtLeast(0),
        DefaultOnly, true,
        "Default of min.compaction.lag.ms of topics."),
    broker("log.cleanup.policy", Kind::List, Some("delete"), CLEANUP, DefaultOnly, true,
        "Default of cleanup.policy of topics."),
    broker("log.dirs", Kind::List, None, Rule::Any, Derived, false,
        "The data directory."),
    broker("log.flush.interval.messages", Kind::Long, Some("1"), Rule::AtLeast(1), Honoured, true,
        "Default of flush.messages of topics."),
    broker("log.flush.interval.ms", Kind::Long, None, Rule::AtLeast(0), Honoured, true,
        "Default of flush.ms of topics."),
    broker("log.flush.scheduler.interval.ms", Kind::Long, Some(MAX_LONG), Rule::Any, Honoured,
        false,
        "Default of flush.ms of topics where log.flush.interval.ms is not set."),
    broker("log.index.interval.bytes", Kind::Int, Some("4096"), Rule::AtLeast(0), Honoured, true,
        "Default of index.interval.bytes of topics."),
    broker("log.index.size.max.bytes", Kind::Int, Some("10485760"), Rule::AtLeast(4), DefaultOnly,
        true,
        "Default of segment.index.bytes of topics."),
    broker("log.local.retention.bytes", Kind::Long, Some("-2"), Rule::AtLeast(-2), DefaultOnly,
        true,
        "Default of local.retention.bytes of topics."),
    broker("log.local.retention.ms", Kind::Long, Some("-2"), Rule::AtLeast(-2), DefaultOnly, true,
        "Default of local.retention.ms of topics."),
    broker("log.message.timestamp.after.max.ms", Kind::Long, Some("3600000"), Rule::AtLeast(0),
        Honoured, true,
        "Default of message.timestamp.after.max.ms of topics."),
    broker("log.message.timestamp.before.max.ms", Kind::Long, Some(MAX_LONG), Rule::AtLeast(0),
        Honoured, true,
        "Default of message.timestamp.before.max.ms of topics."),
    broker("log.message.timestamp.type", Kind::String, Some("CreateTime"), TIMESTAMP_TYPE,
        Honoured, true,
        "Default of message.timestamp.type of topics."),
    broker("log.preallocate", Kind::Boolean, Some("false"), Rule::Any, DefaultOnly, true,
        "Default of preallocate of topics."),
    broker("log.retention.bytes", Kind::Long, Some("-1"), Rule::Any, Honoured, true,
        "Default of retention.bytes of topics."),
    broker("log.retention.hours", Kind::Int, Some("168"), Rule::Any, Honoured, false,
        "Default of retention.ms of topics, in hours."),
    broker("log.retention.minutes", Kind::Int, None, Rule::Any, Honoured, false,
        "Default of retention.ms of topics, in minutes; beats log.retention.hours."),
    broker("log.retention.ms", Kind::Long, None, Rule::AtLeast(-1), Honoured, true,
        "Default of retention.ms of topics; beats log.retention.minutes."),
    broker("log.roll.hours", Kind::Int, Some("168"), Rule::AtLeast(1), Honoured, false,
        "Default of segment.ms of topics, in hours."),
    broker("log.roll.jitter.hours", Kind::Int, Some("0"), Rule::AtLeast(0), Honoured, false,
        "Default of segment.jitter.ms of topics, in hours."),
    broker("log.roll.jitter.ms", Kind::Long, None, Rule::AtLeast(0), Honoured, true,
        "Default of segment.jitter.ms of topics; beats log.roll.jitter.hours."),
    broker("log.roll.ms", Kind::Long, None, Rule::AtLeast(1), Honoured, true,
        "Default of segment.ms of topics; beats log.roll.hours."),
    broker("log.segment.bytes", Kind::Int, Some("1073741824"), Rule::AtLeast(MIB), Honoured, true,
        "Default of segment.bytes of topics."),
    broker("log.segment.delete.delay.ms", Kind::Long, Some("60000"), Rule::AtLeast(0), Honoured,
        true,
        "Default of file.delete.delay.ms of topics."),
    broker("max.incremental.fetch.session.cache.slots", Kind::Int, Some("1000"), Rule::AtLeast(0),
        Honoured, false,
        "Fetch sessions that are kept."),
    broker("max.request.partition.size.limit", Kind::Int, Some("2000"), Rule::AtLeast(1), Honoured,
        false,
        "Most partitions in one answer to DescribeTopicPartitions."),
    broker("message.max.bytes", Kind::Int, Some("1048588"), Rule::AtLeast(0), Honoured, true,
        "Default of max.message.bytes of topics."),
    broker("min.insync.replicas", Kind::Int, Some("1"), Rule::AtLeast(1), Honoured, true,
        "Default of min.insync.replicas of topics."),
    broker("node.id", Kind::Int, None, Rule::AtLeast(0), Derived, false,
        "Number of this broker in its cluster."),
    broker("num.partitions", Kind::Int, Some("1"), Rule::AtLeast(1), Honoured, false,
        "Partitions of a topic that does not say."),
    broker("producer.id.expiration.ms", Kind::Int, Some("86400000"), Rule::AtLeast(1), Honoured,
        true,
        "Time after which the state of a silent idempotent producer is forgotten."),
    broker("socket.request.max.bytes", Kind::Int, Some("104857600"), Rule::AtLeast(1), Honoured,
        false,
        "Largest request."),
    broker("unclean.leader.election.enable", Kind::Boolean, Some("false"), Rule::Any, DefaultOnly,
        true,
        "Default of unclean.leader.election.enable of topics."),
];
