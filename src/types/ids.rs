//! Identities.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use std::fmt;

/// A topic's id (KIP-516): 16 bytes that are never used again. Shown as Kafka shows it, in URL-safe
/// base64 without padding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TopicId(pub [u8; 16]);

impl TopicId {
    /// "No topic id" on the wire.
    pub const ZERO: Self = Self([0; 16]);

    /// 32 lower-case hexadecimal digits: the form in file names.
    pub fn hex(self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// Reads [`TopicId::hex`].
    pub fn from_hex(text: &str) -> Option<Self> {
        HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()?.try_into().ok().map(Self)
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64URL_NOPAD.encode(&self.0))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One partition of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's id, never its name: a name can be created again.
    pub topic: TopicId,
    /// Partition number from 0.
    pub partition: i32,
}

impl TopicPartition {
    /// The shard that owns it, of `shards`: partitions of a topic go round the shards, from a place
    /// that depends on the topic.
    pub fn shard(self, shards: usize) -> usize {
        (crc32c::crc32c(&self.topic.0) as usize + self.partition as usize) % shards.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_ids_as_kafka_does() {
        // Uuid.ONE_UUID of org.apache.kafka.common.Uuid.
        let one = TopicId([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(one.to_string(), "AAAAAAAAAAAAAAAAAAAAAQ");
        assert_eq!(TopicId([0xff; 16]).to_string(), "_____________________w");
        assert_eq!(TopicId::from_hex(&one.hex()), Some(one));
        assert_eq!(TopicId::from_hex("zz"), None);
    }
}
