//! Bytes ↔ values: Kafka's messages and record batches. No sockets.

pub mod records;
