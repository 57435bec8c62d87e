//! `ShareAcknowledgeRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareAcknowledgeRequest<'a> {
    /// In every version, default null.
    pub group_id: Option<&'a str>,
    /// In every version.
    pub member_id: Option<&'a str>,
    /// In every version.
    pub share_session_epoch: i32,
    /// In version 2.
    pub is_renew_ack: bool,
    /// In every version.
    pub topics: Vec<AcknowledgeTopic>,
}

impl Default for ShareAcknowledgeRequest<'_> {
    fn default() -> Self {
        Self {
            group_id: None,
            member_id: Some(""),
            share_session_epoch: 0,
            is_renew_ack: false,
            topics: Vec::new(),
        }
    }
}

impl<'a> ShareAcknowledgeRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::SHARE_ACKNOWLEDGE;
    /// The first version.
    pub const MIN_VERSION: i16 = 1;
    /// The last version.
    pub const MAX_VERSION: i16 = 2;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let group_id = r.nullable_string(flexible)?;
        let member_id = r.nullable_string(flexible)?;
        let share_session_epoch = r.i32()?;
        let is_renew_ack = if version >= 2 { r.bool()? } else { false };
        let topics = r.array(flexible, AcknowledgeTopic::MIN_BYTES, |r| {
            AcknowledgeTopic::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, member_id, share_session_epoch, is_renew_ack, topics })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.nullable_string(self.group_id, flexible)?;
        w.nullable_string(self.member_id, flexible)?;
        w.i32(self.share_session_epoch);
        if version >= 2 {
            w.bool(self.is_renew_ack);
        } else {
            check_absent(!self.is_renew_ack, "is_renew_ack")?;
        }
        w.array(&self.topics, flexible, |w, x| x.encode(w, version))?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }

    /// Reads one as [`decode`](Self::decode) does; pauses after each element.
    pub async fn decode_in_parts(
        r: &mut Reader<'a>,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let group_id = r.nullable_string(flexible)?;
        let member_id = r.nullable_string(flexible)?;
        let share_session_epoch = r.i32()?;
        let is_renew_ack = if version >= 2 { r.bool()? } else { false };
        let topics = match r.open_array(flexible, AcknowledgeTopic::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(AcknowledgeTopic::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, member_id, share_session_epoch, is_renew_ack, topics })
    }
}

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AcknowledgeTopic {
    /// In every version.
    pub topic_id: TopicId,
    /// In every version.
    pub partitions: Vec<AcknowledgePartition>,
}

impl AcknowledgeTopic {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 18;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic_id = r.uuid()?;
        let partitions = r.array(flexible, AcknowledgePartition::MIN_BYTES, |r| {
            AcknowledgePartition::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic_id, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.uuid(self.topic_id);
        w.array(&self.partitions, flexible, |w, x| x.encode(w, version))?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }

    /// Reads one as [`decode`](Self::decode) does; pauses after each element.
    pub async fn decode_in_parts(
        r: &mut Reader<'_>,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<Self, WireError> {
        let flexible = true;
        let topic_id = r.uuid()?;
        let partitions = match r.open_array(flexible, AcknowledgePartition::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(AcknowledgePartition::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic_id, partitions })
    }
}

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AcknowledgePartition {
    /// In every version.
    pub partition_index: i32,
    /// In every version.
    pub acknowledgement_batches: Vec<AcknowledgementBatch>,
}

impl AcknowledgePartition {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let partition_index = r.i32()?;
        let acknowledgement_batches = r.array(flexible, AcknowledgementBatch::MIN_BYTES, |r| {
            AcknowledgementBatch::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { partition_index, acknowledgement_batches })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.partition_index);
        w.array(&self.acknowledgement_batches, flexible, |w, x| x.encode(w, version))?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }

    /// Reads one as [`decode`](Self::decode) does; pauses after each element.
    pub async fn decode_in_parts(
        r: &mut Reader<'_>,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<Self, WireError> {
        let flexible = true;
        let partition_index = r.i32()?;
        let acknowledgement_batches = match r
            .open_array(flexible, AcknowledgementBatch::MIN_BYTES)?
        {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(AcknowledgementBatch::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { partition_index, acknowledgement_batches })
    }
}

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AcknowledgementBatch {
    /// In every version.
    pub first_offset: i64,
    /// In every version.
    pub last_offset: i64,
    /// In every version.
    pub acknowledge_types: Vec<i8>,
}

impl AcknowledgementBatch {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 18;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let first_offset = r.i64()?;
        let last_offset = r.i64()?;
        let acknowledge_types = r.array(flexible, 1, |r| r.i8())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { first_offset, last_offset, acknowledge_types })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i64(self.first_offset);
        w.i64(self.last_offset);
        w.array(&self.acknowledge_types, flexible, |w, x| {
            w.i8(*x);
            Ok(())
        })?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }

    /// Reads one as [`decode`](Self::decode) does; pauses after each element.
    pub async fn decode_in_parts(
        r: &mut Reader<'_>,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<Self, WireError> {
        let flexible = true;
        let first_offset = r.i64()?;
        let last_offset = r.i64()?;
        let acknowledge_types = match r.open_array(flexible, 1)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(r.i8()?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { first_offset, last_offset, acknowledge_types })
    }
}
