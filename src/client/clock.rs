//! The wall clock. It may be set at any moment: it gives stamps and names, and never a deadline, for
//! which there is [`Instant`](std::time::Instant).

use jiff::Timestamp;

/// Milliseconds since 1970, as Kafka's timestamps.
pub fn wall_ms() -> i64 {
    Timestamp::now().as_millisecond()
}
