//! `DescribeShareGroupOffsetsResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DescribeShareGroupOffsetsResponse<'a> {
    /// In every version.
    pub throttle_time_ms: i32,
    /// In every version.
    pub groups: Vec<DescribeShareGroupOffsetsResponseGroup<'a>>,
}

impl<'a> DescribeShareGroupOffsetsResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::DESCRIBE_SHARE_GROUP_OFFSETS;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 1;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let throttle_time_ms = r.i32()?;
        let groups = r.array(flexible, DescribeShareGroupOffsetsResponseGroup::MIN_BYTES, |r| {
            DescribeShareGroupOffsetsResponseGroup::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, groups })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.i32(self.throttle_time_ms);
        w.array(&self.groups, flexible, |w, x| x.encode(w, version))?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }

    /// Writes it as [`encode`](Self::encode) does; pauses after each element.
    pub async fn encode_in_parts(
        &self,
        w: &mut Writer,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.i32(self.throttle_time_ms);
        let values = Some(&self.groups[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DescribeShareGroupOffsetsResponseGroup<'a> {
    /// In every version.
    pub group_id: &'a str,
    /// In every version.
    pub topics: Vec<DescribeShareGroupOffsetsResponseTopic<'a>>,
    /// In every version.
    pub error_code: i16,
    /// In every version, default null.
    pub error_message: Option<&'a str>,
}

impl<'a> DescribeShareGroupOffsetsResponseGroup<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let group_id = r.string(flexible)?;
        let topics = r.array(flexible, DescribeShareGroupOffsetsResponseTopic::MIN_BYTES, |r| {
            DescribeShareGroupOffsetsResponseTopic::decode(r, version)
        })?;
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, topics, error_code, error_message })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.group_id, flexible)?;
        w.array(&self.topics, flexible, |w, x| x.encode(w, version))?;
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }

    /// Writes it as [`encode`](Self::encode) does; pauses after each element.
    pub async fn encode_in_parts(
        &self,
        w: &mut Writer,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.group_id, flexible)?;
        let values = Some(&self.topics[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DescribeShareGroupOffsetsResponseTopic<'a> {
    /// In every version.
    pub topic_name: &'a str,
    /// In every version.
    pub topic_id: TopicId,
    /// In every version.
    pub partitions: Vec<DescribeShareGroupOffsetsResponsePartition<'a>>,
}

impl<'a> DescribeShareGroupOffsetsResponseTopic<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 19;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic_name = r.string(flexible)?;
        let topic_id = r.uuid()?;
        let partitions =
            r.array(flexible, DescribeShareGroupOffsetsResponsePartition::MIN_BYTES, |r| {
                DescribeShareGroupOffsetsResponsePartition::decode(r, version)
            })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic_name, topic_id, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.topic_name, flexible)?;
        w.uuid(self.topic_id);
        w.array(&self.partitions, flexible, |w, x| x.encode(w, version))?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }

    /// Writes it as [`encode`](Self::encode) does; pauses after each element.
    pub async fn encode_in_parts(
        &self,
        w: &mut Writer,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.topic_name, flexible)?;
        w.uuid(self.topic_id);
        let values = Some(&self.partitions[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode(w, version)?;
            pause().await;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeShareGroupOffsetsResponsePartition<'a> {
    /// In every version.
    pub partition_index: i32,
    /// In every version.
    pub start_offset: i64,
    /// In every version.
    pub leader_epoch: i32,
    /// In version 1, default -1, ignorable.
    pub lag: i64,
    /// In every version.
    pub error_code: i16,
    /// In every version, default null.
    pub error_message: Option<&'a str>,
}

impl Default for DescribeShareGroupOffsetsResponsePartition<'_> {
    fn default() -> Self {
        Self {
            partition_index: 0,
            start_offset: 0,
            leader_epoch: 0,
            lag: -1,
            error_code: 0,
            error_message: None,
        }
    }
}

impl<'a> DescribeShareGroupOffsetsResponsePartition<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 20;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let partition_index = r.i32()?;
        let start_offset = r.i64()?;
        let leader_epoch = r.i32()?;
        let lag = if version >= 1 { r.i64()? } else { -1 };
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { partition_index, start_offset, leader_epoch, lag, error_code, error_message })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.partition_index);
        w.i64(self.start_offset);
        w.i32(self.leader_epoch);
        if version >= 1 {
            w.i64(self.lag);
        }
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
