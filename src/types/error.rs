//! Kafka's error codes.

/// A Kafka error code as it stands on the wire (`org.apache.kafka.common.protocol.Errors`).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub i16);
