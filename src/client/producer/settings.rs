//! What a producer is told, with the names and defaults of Kafka's.

use crate::wire::records::Compression;

/// Settings of a producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducerSettings {
    /// `acks`: -1 every in-sync replica, 1 the leader, 0 nobody.
    pub acks: i16,
    /// `enable.idempotence`: records arrive once and in order also when requests are sent again.
    /// Needs `acks` -1.
    pub idempotent: bool,
    /// `batch.size`, in bytes before compression; a larger record has a batch of its own.
    pub batch_bytes: usize,
    /// `linger.ms`: how long a batch waits for more.
    pub linger_ms: i64,
    /// `buffer.memory`: what may wait, in bytes, before [`send`](super::Producer::send) waits.
    pub buffer_bytes: usize,
    /// `max.request.size`, in bytes.
    pub request_bytes: usize,
    /// `max.in.flight.requests.per.connection`; five at most where idempotent.
    pub in_flight: usize,
    /// `retries`.
    pub retries: u32,
    /// `retry.backoff.ms`.
    pub retry_backoff_ms: i64,
    /// `delivery.timeout.ms`: from `send` to the last attempt.
    pub delivery_timeout_ms: i64,
    /// `request.timeout.ms`.
    pub request_timeout_ms: i64,
    /// `max.block.ms`: how long `send` waits for a topic or for room.
    pub max_block_ms: i64,
    /// `metadata.max.age.ms`.
    pub metadata_max_age_ms: i64,
    /// `compression.type`.
    pub compression: Compression,
}

impl Default for ProducerSettings {
    fn default() -> Self {
        Self {
            acks: -1,
            idempotent: true,
            batch_bytes: 16_384,
            linger_ms: 5,
            buffer_bytes: 32 << 20,
            request_bytes: 1 << 20,
            in_flight: 5,
            retries: i32::MAX as u32,
            retry_backoff_ms: 100,
            delivery_timeout_ms: 120_000,
            request_timeout_ms: 30_000,
            max_block_ms: 60_000,
            metadata_max_age_ms: 300_000,
            compression: Compression::None,
        }
    }
}
