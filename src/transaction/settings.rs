//! Broker configurations that transactions depend on.

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `transaction.max.timeout.ms`.
    pub max_timeout_ms: i32,
    /// `transactional.id.expiration.ms`: ids without a transaction are forgotten so long after their last.
    pub expiration_ms: i64,
    /// How long a request waits for the end of a transaction that is about to end, ms.
    pub wait_ms: i64,
    /// Any number that clients cannot guess: ids are hashed with it.
    pub hash_seed: u64,
}

impl Default for Settings {
    /// Kafka's defaults; the seed is 0.
    fn default() -> Self {
        Self {
            max_timeout_ms: 900_000,
            expiration_ms: 7 * 24 * 3_600_000,
            wait_ms: 250,
            hash_seed: 0,
        }
    }
}
