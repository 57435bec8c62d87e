//! Bytes ↔ values: Kafka's messages and record batches. No sockets.

pub mod api_keys;
pub mod header;
pub mod kafka;
pub mod peer;
pub mod primitives;
pub mod records;
pub mod tally;

pub use primitives::{Reader, WireError, Writer};
pub use tally::Tally;
