//! `ShareFetchRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareFetchRequest<'a> {
    /// In every version, default null.
    pub group_id: Option<&'a str>,
    /// In every version.
    pub member_id: Option<&'a str>,
    /// In every version.
    pub share_session_epoch: i32,
    /// In every version.
    pub max_wait_ms: i32,
    /// In every version.
    pub min_bytes: i32,
    /// In every version, default 2147483647.
    pub max_bytes: i32,
    /// In every version.
    pub max_records: i32,
    /// In every version.
    pub batch_size: i32,
    /// In version 2, ignorable.
    pub share_acquire_mode: i8,
    /// In version 2.
    pub is_renew_ack: bool,
    /// In every version.
    pub topics: Vec<FetchTopic>,
    /// In every version.
    pub forgotten_topics_data: Vec<ForgottenTopic>,
}

impl Default for ShareFetchRequest<'_> {
    fn default() -> Self {
        Self {
            group_id: None,
            member_id: Some(""),
            share_session_epoch: 0,
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: 2147483647,
            max_records: 0,
            batch_size: 0,
            share_acquire_mode: 0,
            is_renew_ack: false,
            topics: Vec::new(),
            forgotten_topics_data: Vec::new(),
        }
    }
}

impl<'a> ShareFetchRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::SHARE_FETCH;
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
        let max_wait_ms = r.i32()?;
        let min_bytes = r.i32()?;
        let max_bytes = r.i32()?;
        let max_records = r.i32()?;
        let batch_size = r.i32()?;
        let share_acquire_mode = if version >= 2 { r.i8()? } else { 0 };
        let is_renew_ack = if version >= 2 { r.bool()? } else { false };
        let topics =
            r.array(flexible, FetchTopic::MIN_BYTES, |r| FetchTopic::decode(r, version))?;
        let forgotten_topics_data =
            r.array(flexible, ForgottenTopic::MIN_BYTES, |r| ForgottenTopic::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            group_id,
            member_id,
            share_session_epoch,
            max_wait_ms,
            min_bytes,
            max_bytes,
            max_records,
            batch_size,
            share_acquire_mode,
            is_renew_ack,
            topics,
            forgotten_topics_data,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.nullable_string(self.group_id, flexible)?;
        w.nullable_string(self.member_id, flexible)?;
        w.i32(self.share_session_epoch);
        w.i32(self.max_wait_ms);
        w.i32(self.min_bytes);
        w.i32(self.max_bytes);
        w.i32(self.max_records);
        w.i32(self.batch_size);
        if version >= 2 {
            w.i8(self.share_acquire_mode);
        }
        if version >= 2 {
            w.bool(self.is_renew_ack);
        } else {
            check_absent(!self.is_renew_ack, "is_renew_ack")?;
        }
        w.array(&self.topics, flexible, |w, x| x.encode(w, version))?;
        w.array(&self.forgotten_topics_data, flexible, |w, x| x.encode(w, version))?;
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
        let max_wait_ms = r.i32()?;
        let min_bytes = r.i32()?;
        let max_bytes = r.i32()?;
        let max_records = r.i32()?;
        let batch_size = r.i32()?;
        let share_acquire_mode = if version >= 2 { r.i8()? } else { 0 };
        let is_renew_ack = if version >= 2 { r.bool()? } else { false };
        let topics = match r.open_array(flexible, FetchTopic::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(FetchTopic::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        let forgotten_topics_data = match r.open_array(flexible, ForgottenTopic::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(ForgottenTopic::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            group_id,
            member_id,
            share_session_epoch,
            max_wait_ms,
            min_bytes,
            max_bytes,
            max_records,
            batch_size,
            share_acquire_mode,
            is_renew_ack,
            topics,
            forgotten_topics_data,
        })
    }
}

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FetchTopic {
    /// In every version.
    pub topic_id: TopicId,
    /// In every version.
    pub partitions: Vec<FetchPartition>,
}

impl FetchTopic {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 18;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic_id = r.uuid()?;
        let partitions =
            r.array(flexible, FetchPartition::MIN_BYTES, |r| FetchPartition::decode(r, version))?;
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
        let partitions = match r.open_array(flexible, FetchPartition::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(FetchPartition::decode_in_parts(r, version, pause).await?);
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
pub struct FetchPartition {
    /// In every version.
    pub partition_index: i32,
    /// In every version.
    pub acknowledgement_batches: Vec<AcknowledgementBatch>,
}

impl FetchPartition {
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

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ForgottenTopic {
    /// In every version.
    pub topic_id: TopicId,
    /// In every version.
    pub partitions: Vec<i32>,
}

impl ForgottenTopic {
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

    /// Reads one as [`decode`](Self::decode) does; pauses after each element.
    pub async fn decode_in_parts(
        r: &mut Reader<'_>,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<Self, WireError> {
        let flexible = true;
        let topic_id = r.uuid()?;
        let partitions = match r.open_array(flexible, 4)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(r.i32()?);
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
