//! Identities.

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
        use fmt::Write;
        self.0.iter().fold(String::with_capacity(32), |mut s, b| {
            write!(s, "{b:02x}").expect("writing to a String cannot fail");
            s
        })
    }

    /// Reads [`TopicId::hex`].
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 32 || !text.is_ascii() {
            return None;
        }
        let mut id = [0; 16];
        for (i, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).ok()?;
        }
        Some(Self(id))
    }
}

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let bits = u128::from_be_bytes(self.0);
        for i in 0..22 {
            // 21 digits of six bits, then the last two bits, padded with zeros.
            let digit = if i < 21 { bits >> (122 - 6 * i) } else { bits << 4 } & 63;
            write!(f, "{}", DIGITS[digit as usize] as char)?;
        }
        Ok(())
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
