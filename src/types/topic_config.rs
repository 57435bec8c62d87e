//! Settings of a topic, typed.

/// The effective settings of one topic; names and units are Kafka's.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicConfig {
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
    /// `message.timestamp.type` is `LogAppendTime`.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`.
    pub timestamp_after_max_ms: i64,
    /// `min.insync.replicas`.
    pub min_insync_replicas: i32,
}
