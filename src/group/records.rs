//! The records of `__consumer_offsets`, in Kafka's own format: a key and a value, each a version
//! (INT16) and a message of that version.
//!
//! The version of a key is its kind: 0 and 1 are offsets (0 is what Kafka 0.8.2 wrote), 2 is a classic
//! group, 3 to 8 and 16 are of consumer groups, 10 to 15 of share groups, 17 and 19 to 23 of streams groups; 4, topics and their partitions, was written
//! before Kafka 4.1 and is not looked at. Others belong to protocols that are not served here. Written are the versions that
//! Kafka 4.3 writes; all older ones are read.

use bytes::Bytes;

use crate::types::TopicId;
use crate::wire::primitives::{Reader, WireError, Writer};

const OFFSET_KEY_OLDEST: i16 = 0;
const OFFSET_KEY: i16 = 1;
const GROUP_KEY: i16 = 2;
/// `ConsumerGroupMetadataKey`.
pub const EPOCH_KEY: i16 = 3;
/// `ConsumerGroupMemberMetadataKey`.
pub const MEMBER_KEY: i16 = 5;
/// `ConsumerGroupTargetAssignmentMetadataKey`.
pub const TARGET_EPOCH_KEY: i16 = 6;
/// `ConsumerGroupTargetAssignmentMemberKey`.
pub const TARGET_KEY: i16 = 7;
/// `ConsumerGroupCurrentMemberAssignmentKey`.
pub const CURRENT_KEY: i16 = 8;
/// `ShareGroupMemberMetadataKey`.
pub const SHARE_MEMBER_KEY: i16 = 10;
/// `ShareGroupMetadataKey`.
pub const SHARE_EPOCH_KEY: i16 = 11;
/// `ShareGroupTargetAssignmentMetadataKey`.
pub const SHARE_TARGET_EPOCH_KEY: i16 = 12;
/// `ShareGroupTargetAssignmentMemberKey`.
pub const SHARE_TARGET_KEY: i16 = 13;
/// `ShareGroupCurrentMemberAssignmentKey`.
pub const SHARE_CURRENT_KEY: i16 = 14;
/// `ShareGroupStatePartitionMetadataKey`.
pub const SHARE_STATES_KEY: i16 = 15;
/// `ConsumerGroupRegularExpressionKey`.
pub const REGEX_KEY: i16 = 16;
/// `StreamsGroupMetadataKey`.
pub const STREAMS_EPOCH_KEY: i16 = 17;
/// `StreamsGroupMemberMetadataKey`.
pub const STREAMS_MEMBER_KEY: i16 = 19;
/// `StreamsGroupTargetAssignmentMetadataKey`.
pub const STREAMS_TARGET_EPOCH_KEY: i16 = 20;
/// `StreamsGroupTargetAssignmentMemberKey`.
pub const STREAMS_TARGET_KEY: i16 = 21;
/// `StreamsGroupCurrentMemberAssignmentKey`.
pub const STREAMS_CURRENT_KEY: i16 = 22;
/// `StreamsGroupTopologyKey`.
pub const STREAMS_TOPOLOGY_KEY: i16 = 23;

/// The last version of `OffsetCommitValue`; the first with a topic id and tagged fields.
const OFFSET_VALUE: i16 = 4;
/// The only version with an expiry of its own, and so the one for offsets that have one.
const OFFSET_VALUE_WITH_EXPIRY: i16 = 1;
/// The tag of `OffsetCommitValue`'s topic id.
const TOPIC_ID_TAG: u32 = 0;

/// What Kafka 4.3 writes. Version 4 differs by tagged fields alone, of which there are none.
const GROUP_VALUE: i16 = 3;
const GROUP_VALUE_MAX: i16 = 4;

/// A record to append, or one that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// `OffsetCommitKey` or `GroupMetadataKey`, after its version.
    pub key: Vec<u8>,
    /// `OffsetCommitValue` or `GroupMetadataValue`, after its version; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// Why a record of `__consumer_offsets` cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// A record of a coordinator always has a key.
    #[error("a record without key")]
    NoKey,
    /// The key does not follow its format.
    #[error("the key is damaged: {0}")]
    Key(WireError),
    /// The value does not follow its format.
    #[error("the value is damaged: {0}")]
    Value(WireError),
}

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key<'a> {
    /// `OffsetCommitKey`.
    Offset {
        /// The group.
        group: &'a str,
        /// The topic's name.
        topic: &'a str,
        /// Partition number.
        partition: i32,
    },
    /// `GroupMetadataKey`.
    Group {
        /// The group.
        group: &'a str,
    },
    /// A key of a consumer, share or streams group: see [`consumer::encoding`](super::consumer::encoding).
    Consumer {
        /// Its kind.
        kind: i16,
        /// The group.
        group: &'a str,
        /// A member, or a regular expression; empty for what is of the whole group.
        part: &'a str,
    },
    /// A kind that this version does not know.
    Other(i16),
}

/// `OffsetCommitValue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetValue<'a> {
    /// The next offset that the group will read.
    pub offset: i64,
    /// Leader epoch of the record before it; -1 where it is not known.
    pub leader_epoch: i32,
    /// What the client wanted to keep.
    pub metadata: &'a str,
    /// When it was committed.
    pub commit_timestamp_ms: i64,
    /// When it expires, whatever the group does; -1 for `offsets.retention.minutes`.
    pub expire_timestamp_ms: i64,
    /// The topic's id; zero where it is not known.
    pub topic_id: TopicId,
}

/// `GroupMetadataValue`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupValue<'a> {
    /// Class of protocols; empty for none.
    pub protocol_type: &'a str,
    /// The generation.
    pub generation_id: i32,
    /// The protocol; `None` for a group without members.
    pub protocol: Option<&'a str>,
    /// The leader's member id.
    pub leader: Option<&'a str>,
    /// When the group came into its state; -1 where it is not known.
    pub state_timestamp_ms: i64,
    /// The members.
    pub members: Vec<MemberValue<'a>>,
}

/// A member in `GroupMetadataValue`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberValue<'a> {
    /// Its id.
    pub member_id: &'a str,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<&'a str>,
    /// `client.id` that it joined with.
    pub client_id: &'a str,
    /// Address that it joined from.
    pub client_host: &'a str,
    /// How long it may take to rejoin; -1 where it is not known.
    pub rebalance_timeout_ms: i32,
    /// How long it may stay silent.
    pub session_timeout_ms: i32,
    /// Its metadata for the group's protocol.
    pub subscription: &'a [u8],
    /// Its assignment.
    pub assignment: &'a [u8],
}

/// Whether a key of this kind is of a share group.
pub const fn is_of_share_group(kind: i16) -> bool {
    matches!(kind, SHARE_MEMBER_KEY..=SHARE_STATES_KEY)
}

/// Whether a key of this kind is of a streams group.
pub const fn is_of_streams_group(kind: i16) -> bool {
    matches!(kind, STREAMS_EPOCH_KEY | STREAMS_MEMBER_KEY..=STREAMS_TOPOLOGY_KEY)
}

impl<'a> Key<'a> {
    /// Reads a key.
    pub fn read(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let mut r = Reader::new(bytes);
        let mut read = || match r.i16()? {
            OFFSET_KEY_OLDEST | OFFSET_KEY => Ok(Self::Offset {
                group: r.string(false)?,
                topic: r.string(false)?,
                partition: r.i32()?,
            }),
            GROUP_KEY => Ok(Self::Group { group: r.string(false)? }),
            kind @ (EPOCH_KEY
            | TARGET_EPOCH_KEY
            | SHARE_EPOCH_KEY
            | SHARE_TARGET_EPOCH_KEY
            | SHARE_STATES_KEY
            | STREAMS_EPOCH_KEY
            | STREAMS_TARGET_EPOCH_KEY
            | STREAMS_TOPOLOGY_KEY) => {
                Ok(Self::Consumer { kind, group: r.string(false)?, part: "" })
            }
            kind @ (MEMBER_KEY | TARGET_KEY | CURRENT_KEY | REGEX_KEY | SHARE_MEMBER_KEY
            | SHARE_TARGET_KEY | SHARE_CURRENT_KEY | STREAMS_MEMBER_KEY
            | STREAMS_TARGET_KEY | STREAMS_CURRENT_KEY) => {
                Ok(Self::Consumer { kind, group: r.string(false)?, part: r.string(false)? })
            }
            kind => Ok(Self::Other(kind)),
        };
        read().map_err(RecordError::Key)
    }
}

impl<'a> OffsetValue<'a> {
    /// Reads a value of any version.
    pub fn read(bytes: &'a [u8]) -> Result<Self, RecordError> {
        Self::decode(&mut Reader::new(bytes)).map_err(RecordError::Value)
    }

    fn decode(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let version = r.i16()?;
        if !(0..=OFFSET_VALUE).contains(&version) {
            return Err(WireError::UnsupportedVersion(version));
        }
        let flexible = version >= 4;
        let offset = r.i64()?;
        let leader_epoch = if version >= 3 { r.i32()? } else { -1 };
        let metadata = r.string(flexible)?;
        let commit_timestamp_ms = r.i64()?;
        let expire_timestamp_ms = if version == OFFSET_VALUE_WITH_EXPIRY { r.i64()? } else { -1 };
        let mut topic_id = TopicId::default();
        if flexible {
            r.tagged_fields(|tag, r| {
                if tag == TOPIC_ID_TAG {
                    topic_id = r.uuid()?;
                }
                Ok(tag == TOPIC_ID_TAG)
            })?;
        }
        Ok(Self {
            offset,
            leader_epoch,
            metadata,
            commit_timestamp_ms,
            expire_timestamp_ms,
            topic_id,
        })
    }

    fn write(&self, w: &mut Writer) -> Result<(), WireError> {
        let version =
            if self.expire_timestamp_ms < 0 { OFFSET_VALUE } else { OFFSET_VALUE_WITH_EXPIRY };
        let flexible = version >= 4;
        w.i16(version);
        w.i64(self.offset);
        if version >= 3 {
            w.i32(self.leader_epoch);
        }
        w.string(self.metadata, flexible)?;
        w.i64(self.commit_timestamp_ms);
        if version == OFFSET_VALUE_WITH_EXPIRY {
            w.i64(self.expire_timestamp_ms);
        }
        if flexible {
            if self.topic_id == TopicId::default() {
                w.varint(0);
            } else {
                w.varint(1);
                w.tagged_field(TOPIC_ID_TAG, |w| {
                    w.uuid(self.topic_id);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// The record of this offset.
    ///
    /// # Panics
    /// When a string is longer than Kafka's strings may be: requests cannot bring such.
    pub fn record(&self, group: &str, topic: &str, partition: i32) -> Record {
        let mut w = Writer::with_capacity(48 + self.metadata.len());
        self.write(&mut w).expect("strings of requests are short enough");
        Record { key: offset_key(group, topic, partition), value: Some(w.into_vec()) }
    }

    /// Bytes of key and value of this offset's record.
    pub fn record_bytes(&self, group: &str, topic: &str) -> u64 {
        let value = if self.expire_timestamp_ms < 0 {
            let id = if self.topic_id == TopicId::default() { 0 } else { 18 };
            let len = if self.metadata.len() < 127 {
                1
            } else {
                2 + usize::from(self.metadata.len() >= 16_383)
            };
            23 + len + id
        } else {
            28
        };
        (10 + group.len() + topic.len() + value + self.metadata.len()) as u64
    }
}

/// The tombstone of an offset.
pub fn offset_tombstone(group: &str, topic: &str, partition: i32) -> Record {
    Record { key: offset_key(group, topic, partition), value: None }
}

fn offset_key(group: &str, topic: &str, partition: i32) -> Vec<u8> {
    let mut w = Writer::with_capacity(10 + group.len() + topic.len());
    w.i16(OFFSET_KEY);
    w.string(group, false).expect("strings of requests are short enough");
    w.string(topic, false).expect("names of topics are short enough");
    w.i32(partition);
    w.into_vec()
}

impl<'a> GroupValue<'a> {
    /// Reads a value of any version up to its members, and says where those are.
    pub fn read_head(bytes: &'a [u8]) -> Result<(Self, MembersLeft), RecordError> {
        Self::decode_head(bytes).map_err(RecordError::Value)
    }

    fn decode_head(bytes: &'a [u8]) -> Result<(Self, MembersLeft), WireError> {
        let mut r = Reader::new(bytes);
        let version = r.i16()?;
        if !(0..=GROUP_VALUE_MAX).contains(&version) {
            return Err(WireError::UnsupportedVersion(version));
        }
        let flexible = version >= 4;
        let value = Self {
            protocol_type: r.string(flexible)?,
            generation_id: r.i32()?,
            protocol: r.nullable_string(flexible)?,
            leader: r.nullable_string(flexible)?,
            state_timestamp_ms: if version >= 2 { r.i64()? } else { -1 },
            members: Vec::new(),
        };
        let count = r.array_len(flexible, 9)?.ok_or(WireError::Null)?;
        Ok((value, MembersLeft { at: bytes.len() - r.remaining(), count, version }))
    }

    /// Reads a value of any version.
    #[cfg(test)]
    pub fn read(bytes: &'a [u8]) -> Result<Self, RecordError> {
        let (mut value, mut left) = Self::read_head(bytes)?;
        while let Some(member) = left.next(bytes)? {
            value.members.push(member);
        }
        Ok(value)
    }

    /// The value's bytes.
    pub fn write(&self) -> Result<Vec<u8>, WireError> {
        let data: usize = self
            .members
            .iter()
            .map(|it| 150 + it.member_id.len() + it.subscription.len() + it.assignment.len())
            .sum();
        let mut w = self.begin(self.members.len(), data)?;
        self.members.iter().try_for_each(|it| it.write(&mut w))?;
        Ok(w.into_vec())
    }

    /// The value up to its members, of whom so many are to follow, in about so many bytes.
    pub fn begin(&self, members: usize, bytes: usize) -> Result<Writer, WireError> {
        let mut w = Writer::with_capacity(64 + bytes);
        w.i16(GROUP_VALUE);
        w.string(self.protocol_type, false)?;
        w.i32(self.generation_id);
        w.nullable_string(self.protocol, false)?;
        w.nullable_string(self.leader, false)?;
        w.i64(self.state_timestamp_ms);
        w.array_len(Some(members), false)?;
        Ok(w)
    }
}

/// Those members of a [`GroupValue`] that are not read yet.
#[derive(Clone, Copy, Debug)]
pub struct MembersLeft {
    /// Where the next one begins.
    at: usize,
    count: usize,
    version: i16,
}

impl MembersLeft {
    /// The next one of the value whose `bytes` these are; `None` at the end.
    pub fn next<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<MemberValue<'a>>, RecordError> {
        self.decode(bytes).map_err(RecordError::Value)
    }

    fn decode<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<MemberValue<'a>>, WireError> {
        let mut r = Reader::new(&bytes[self.at..]);
        if self.count == 0 {
            if self.version >= 4 {
                r.skip_tagged_fields()?;
            }
            return Ok(None);
        }
        let member = MemberValue::decode(&mut r, self.version)?;
        self.count -= 1;
        self.at = bytes.len() - r.remaining();
        Ok(Some(member))
    }
}

impl<'a> MemberValue<'a> {
    fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 4;
        let value = Self {
            member_id: r.string(flexible)?,
            group_instance_id: if version >= 3 { r.nullable_string(flexible)? } else { None },
            client_id: r.string(flexible)?,
            client_host: r.string(flexible)?,
            rebalance_timeout_ms: if version >= 1 { r.i32()? } else { -1 },
            session_timeout_ms: r.i32()?,
            subscription: r.bytes(flexible)?,
            assignment: r.bytes(flexible)?,
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(value)
    }

    /// Writes it behind the value's beginning.
    pub fn write(&self, w: &mut Writer) -> Result<(), WireError> {
        w.string(self.member_id, false)?;
        w.nullable_string(self.group_instance_id, false)?;
        w.string(self.client_id, false)?;
        w.string(self.client_host, false)?;
        w.i32(self.rebalance_timeout_ms);
        w.i32(self.session_timeout_ms);
        w.bytes(self.subscription, false)?;
        w.bytes(self.assignment, false)
    }
}

/// The record of a group; `None` is its tombstone.
pub fn group_record(group: &str, value: Option<&Bytes>) -> Record {
    let mut w = Writer::with_capacity(4 + group.len());
    w.i16(GROUP_KEY);
    w.string(group, false).expect("strings of requests are short enough");
    Record { key: w.into_vec(), value: value.map(|bytes| bytes.to_vec()) }
}

/// Bytes of key and value of a group's record.
pub fn group_record_bytes(group: &str, value: &Bytes) -> u64 {
    (4 + group.len() + value.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    // Written by Kafka 4.3.1's own classes (`org.apache.kafka.coordinator.group.generated`).
    const OFFSET_KEY_BYTES: &str = "000100036772700007746f7069632d6100000007";
    const GROUP_KEY_BYTES: &str = "00020003677270";
    const OFFSET_VALUES: [&str; 5] = [
        "00000000011f71fb04cb00016d0000018bcfe56800",
        "00010000011f71fb04cb00016d0000018bcfe568000000018bcfe56be8",
        "00020000011f71fb04cb00016d0000018bcfe56800",
        "00030000011f71fb04cb0000000500016d0000018bcfe56800",
        "00040000011f71fb04cb00000005026d0000018bcfe5680000",
    ];
    const OFFSET_VALUE_WITH_ID: &str =
        "00040000011f71fb04cb00000005026d0000018bcfe5680001001000000000000000010000000000000002";
    const GROUP_VALUES: [&str; 5] = [
        "00000008636f6e73756d657200000003000572616e676500026d310000000200026d31000163000a2f3132372e302e302e310000271000000002010200000001\
         0300026d3200016300022f68000027100000000000000000",
        "00010008636f6e73756d657200000003000572616e676500026d310000000200026d31000163000a2f3132372e302e302e310000ea60000027100000000201020000\
         00010300026d3200016300022f680000ea60000027100000000000000000",
        "00020008636f6e73756d657200000003000572616e676500026d310000018bcfe568000000000200026d31000163000a2f3132372e302e302e310000ea6000002710\
         000000020102000000010300026d3200016300022f680000ea60000027100000000000000000",
        "00030008636f6e73756d657200000003000572616e676500026d310000018bcfe568000000000200026d3100026931000163000a2f3132372e302e302e310000ea60\
         00002710000000020102000000010300026d32ffff00016300022f680000ea60000027100000000000000000",
        "000409636f6e73756d6572000000030672616e6765036d310000018bcfe5680003036d3103693102630b2f3132372e302e302e310000ea600000271003010202\
         0300036d32000263032f680000ea600000271001010000",
    ];
    const EMPTY_GROUP_VALUE: &str =
        "00030008636f6e73756d657200000004ffffffff0000018bcfe5680000000000";

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        let digit = |byte: u8| (byte as char).to_digit(16).unwrap() as u8;
        digits.chunks(2).map(|it| digit(it[0]) << 4 | digit(it[1])).collect()
    }

    fn offset_value() -> OffsetValue<'static> {
        OffsetValue {
            offset: 1_234_567_890_123,
            leader_epoch: 5,
            metadata: "m",
            commit_timestamp_ms: 1_700_000_000_000,
            expire_timestamp_ms: -1,
            topic_id: TopicId::default(),
        }
    }

    fn topic_id() -> TopicId {
        TopicId([0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2])
    }

    fn group_value() -> GroupValue<'static> {
        let member = MemberValue {
            member_id: "m1",
            group_instance_id: Some("i1"),
            client_id: "c",
            client_host: "/127.0.0.1",
            rebalance_timeout_ms: 60_000,
            session_timeout_ms: 10_000,
            subscription: &[1, 2],
            assignment: &[3],
        };
        let other = MemberValue {
            member_id: "m2",
            group_instance_id: None,
            client_host: "/h",
            subscription: &[],
            assignment: &[],
            ..member
        };
        GroupValue {
            protocol_type: "consumer",
            generation_id: 3,
            protocol: Some("range"),
            leader: Some("m1"),
            state_timestamp_ms: 1_700_000_000_000,
            members: vec![member, other],
        }
    }

    #[test]
    fn writes_what_kafka_writes() {
        let with_id = OffsetValue { topic_id: topic_id(), ..offset_value() };
        let with_expiry = OffsetValue {
            leader_epoch: -1,
            expire_timestamp_ms: 1_700_000_001_000,
            ..offset_value()
        };
        for (value, bytes) in [
            (offset_value(), OFFSET_VALUES[4]),
            (with_id, OFFSET_VALUE_WITH_ID),
            (with_expiry, OFFSET_VALUES[1]),
        ] {
            let record = value.record("grp", "topic-a", 7);
            assert_eq!(record.key, hex(OFFSET_KEY_BYTES));
            assert_eq!(record.value, Some(hex(bytes)));
        }
        assert_eq!(offset_tombstone("grp", "topic-a", 7).key, hex(OFFSET_KEY_BYTES));
        assert_eq!(offset_tombstone("grp", "topic-a", 7).value, None);
        assert_eq!(group_value().write(), Ok(hex(GROUP_VALUES[3])));
        let empty = GroupValue {
            generation_id: 4,
            protocol: None,
            leader: None,
            members: Vec::new(),
            ..group_value()
        };
        assert_eq!(empty.write(), Ok(hex(EMPTY_GROUP_VALUE)));
        assert_eq!(group_record("grp", None).key, hex(GROUP_KEY_BYTES));
    }

    #[test]
    fn reads_every_version_that_kafka_wrote() {
        let key = hex(OFFSET_KEY_BYTES);
        let offset = Key::Offset { group: "grp", topic: "topic-a", partition: 7 };
        assert_eq!(Key::read(&key), Ok(offset));
        let mut oldest = key.clone();
        oldest[1] = 0;
        assert_eq!(Key::read(&oldest), Ok(offset));
        assert_eq!(Key::read(&hex(GROUP_KEY_BYTES)), Ok(Key::Group { group: "grp" }));
        assert_eq!(Key::read(&[0, 9, 1, 2, 3]), Ok(Key::Other(9)));
        for (version, bytes) in OFFSET_VALUES.iter().enumerate() {
            let mut value = offset_value();
            if version < 3 {
                value.leader_epoch = -1;
            }
            if version == 1 {
                value.expire_timestamp_ms = 1_700_000_001_000;
            }
            assert_eq!(OffsetValue::read(&hex(bytes)), Ok(value), "version {version}");
        }
        let with_id = OffsetValue { topic_id: topic_id(), ..offset_value() };
        assert_eq!(OffsetValue::read(&hex(OFFSET_VALUE_WITH_ID)), Ok(with_id));
        for (version, bytes) in GROUP_VALUES.iter().enumerate() {
            let mut value = group_value();
            if version < 3 {
                value.members[0].group_instance_id = None;
            }
            if version < 2 {
                value.state_timestamp_ms = -1;
            }
            if version < 1 {
                value.members.iter_mut().for_each(|it| it.rebalance_timeout_ms = -1);
            }
            assert_eq!(GroupValue::read(&hex(bytes)), Ok(value), "version {version}");
        }
    }

    #[test]
    fn knows_the_size_of_an_offsets_record() {
        for len in [0, 1, 126, 127, 128, 16_382, 16_383, 16_384, 30_000] {
            let metadata = "x".repeat(len);
            for (expire_timestamp_ms, topic_id) in
                [(-1, TopicId::default()), (-1, topic_id()), (5, TopicId::default())]
            {
                let value = OffsetValue {
                    metadata: &metadata,
                    expire_timestamp_ms,
                    topic_id,
                    ..offset_value()
                };
                let record = value.record("grp", "topic-a", 7);
                let bytes = record.key.len() + record.value.unwrap().len();
                assert_eq!(value.record_bytes("grp", "topic-a"), bytes as u64, "{len}");
            }
        }
    }

    #[test]
    fn damaged_records_are_errors() {
        let texts = OFFSET_VALUES.iter().chain([&OFFSET_VALUE_WITH_ID]).chain(&GROUP_VALUES);
        for text in texts {
            let whole = hex(text);
            for cut in 0..whole.len() {
                let part = &whole[..cut];
                let _ = (OffsetValue::read(part), GroupValue::read(part));
            }
            // Any byte may be anything: no panic, and no more memory than the bytes are worth.
            for at in 0..whole.len() {
                for byte in [0, 0x7f, 0x80, 0xff] {
                    let mut damaged = whole.clone();
                    damaged[at] = byte;
                    let _ = (OffsetValue::read(&damaged), GroupValue::read(&damaged));
                    let _ = Key::read(&damaged);
                }
            }
        }
        for cut in 0..hex(GROUP_VALUES[3]).len() {
            assert!(GroupValue::read(&hex(GROUP_VALUES[3])[..cut]).is_err(), "{cut}");
        }
        for cut in 0..hex(OFFSET_VALUES[4]).len() {
            assert!(OffsetValue::read(&hex(OFFSET_VALUES[4])[..cut]).is_err(), "{cut}");
        }
        for version in [5, -1_i16] {
            let bytes = version.to_be_bytes();
            let error = RecordError::Value(WireError::UnsupportedVersion(version));
            assert_eq!(OffsetValue::read(&bytes), Err(error.clone()));
            assert_eq!(GroupValue::read(&bytes), Err(error));
        }
    }
}
