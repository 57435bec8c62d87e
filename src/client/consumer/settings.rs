//! What a consumer is told, with the names and defaults of Kafka's.

use super::membership::GroupSettings;

/// Where a partition begins that has no committed offset, or none that is valid
/// (`auto.offset.reset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the first record that there is.
    Earliest,
    /// Behind the last one.
    Latest,
    /// At the first record of the last so many milliseconds (KIP-1106).
    ByDuration(i64),
    /// Nowhere: it is an error.
    None,
}

/// Settings of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// The group; none for a consumer that only reads the partitions it is told, and commits nothing.
    pub group: Option<GroupSettings>,
    /// `auto.offset.reset`.
    pub offset_reset: OffsetReset,
    /// `enable.auto.commit`.
    pub auto_commit: bool,
    /// `auto.commit.interval.ms`.
    pub auto_commit_interval_ms: i64,
    /// `isolation.level=read_committed`.
    pub read_committed: bool,
    /// `fetch.min.bytes`.
    pub fetch_min_bytes: i32,
    /// `fetch.max.bytes`.
    pub fetch_max_bytes: i32,
    /// `fetch.max.wait.ms`.
    pub fetch_max_wait_ms: i32,
    /// `max.partition.fetch.bytes`.
    pub partition_fetch_bytes: i32,
    /// `check.crcs`.
    pub check_crcs: bool,
    /// `metadata.max.age.ms`.
    pub metadata_max_age_ms: i64,
    /// `allow.auto.create.topics`.
    pub auto_create_topics: bool,
    /// `request.timeout.ms`.
    pub request_timeout_ms: i64,
    /// `exclude.internal.topics`: a pattern does not match them.
    pub exclude_internal: bool,
}

impl Default for ConsumerSettings {
    fn default() -> Self {
        Self {
            group: None,
            offset_reset: OffsetReset::Latest,
            auto_commit: true,
            auto_commit_interval_ms: 5_000,
            read_committed: false,
            fetch_min_bytes: 1,
            fetch_max_bytes: 50 << 20,
            fetch_max_wait_ms: 500,
            partition_fetch_bytes: 1 << 20,
            check_crcs: true,
            metadata_max_age_ms: 300_000,
            auto_create_topics: true,
            request_timeout_ms: 30_000,
            exclude_internal: true,
        }
    }
}
