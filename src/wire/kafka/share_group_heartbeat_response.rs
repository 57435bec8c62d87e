//! `ShareGroupHeartbeatResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 1 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ShareGroupHeartbeatResponse<'a> {
    /// In every version.
    pub throttle_time_ms: i32,
    /// In every version.
    pub error_code: i16,
    /// In every version, default null.
    pub error_message: Option<&'a str>,
    /// In every version, default null.
    pub member_id: Option<&'a str>,
    /// In every version.
    pub member_epoch: i32,
    /// In every version.
    pub heartbeat_interval_ms: i32,
    /// In every version, default null.
    pub assignment: Option<Assignment>,
}

impl<'a> ShareGroupHeartbeatResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::SHARE_GROUP_HEARTBEAT;
    /// The first version.
    pub const MIN_VERSION: i16 = 1;
    /// The last version.
    pub const MAX_VERSION: i16 = 1;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let throttle_time_ms = r.i32()?;
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        let member_id = r.nullable_string(flexible)?;
        let member_epoch = r.i32()?;
        let heartbeat_interval_ms = r.i32()?;
        let assignment = r.nullable_struct(|r| Assignment::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            throttle_time_ms,
            error_code,
            error_message,
            member_id,
            member_epoch,
            heartbeat_interval_ms,
            assignment,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        w.nullable_string(self.member_id, flexible)?;
        w.i32(self.member_epoch);
        w.i32(self.heartbeat_interval_ms);
        w.nullable_struct(self.assignment.as_ref(), |w, x| x.encode(w, version))?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 1 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Assignment {
    /// In every version.
    pub topic_partitions: Vec<TopicPartitions>,
}

impl Assignment {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 2;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic_partitions =
            r.array(flexible, TopicPartitions::MIN_BYTES, |r| TopicPartitions::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic_partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.array(&self.topic_partitions, flexible, |w, x| x.encode(w, version))?;
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
        let values = Some(&self.topic_partitions[..]);
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

/// In versions 1 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TopicPartitions {
    /// In every version.
    pub topic_id: TopicId,
    /// In every version.
    pub partitions: Vec<i32>,
}

impl TopicPartitions {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 18;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic_id = r.uuid()?;
        let partitions = r.array(flexible, 4, |r| r.i32())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic_id, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.uuid(self.topic_id);
        w.array(&self.partitions, flexible, |w, x| {
            w.i32(*x);
            Ok(())
        })?;
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
        w.uuid(self.topic_id);
        let values = Some(&self.partitions[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            w.i32(*x);
            pause().await;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
