//! `ReadShareGroupStateResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ReadShareGroupStateResponse<'a> {
    /// In every version.
    pub results: Vec<ReadStateResult<'a>>,
}

impl<'a> ReadShareGroupStateResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::READ_SHARE_GROUP_STATE;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 0;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let results =
            r.array(flexible, ReadStateResult::MIN_BYTES, |r| ReadStateResult::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { results })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.array(&self.results, flexible, |w, x| x.encode(w, version))?;
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
        let values = Some(&self.results[..]);
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

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ReadStateResult<'a> {
    /// In every version.
    pub topic_id: TopicId,
    /// In every version.
    pub partitions: Vec<PartitionResult<'a>>,
}

impl<'a> ReadStateResult<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 18;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic_id = r.uuid()?;
        let partitions =
            r.array(flexible, PartitionResult::MIN_BYTES, |r| PartitionResult::decode(r, version))?;
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
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct PartitionResult<'a> {
    /// In every version.
    pub partition: i32,
    /// In every version.
    pub error_code: i16,
    /// In every version, default null.
    pub error_message: Option<&'a str>,
    /// In every version.
    pub state_epoch: i32,
    /// In every version.
    pub start_offset: i64,
    /// In every version.
    pub state_batches: Vec<StateBatch>,
}

impl<'a> PartitionResult<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 21;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let partition = r.i32()?;
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        let state_epoch = r.i32()?;
        let start_offset = r.i64()?;
        let state_batches =
            r.array(flexible, StateBatch::MIN_BYTES, |r| StateBatch::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { partition, error_code, error_message, state_epoch, start_offset, state_batches })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.partition);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        w.i32(self.state_epoch);
        w.i64(self.start_offset);
        w.array(&self.state_batches, flexible, |w, x| x.encode(w, version))?;
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
        w.i32(self.partition);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        w.i32(self.state_epoch);
        w.i64(self.start_offset);
        let values = Some(&self.state_batches[..]);
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

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct StateBatch {
    /// In every version.
    pub first_offset: i64,
    /// In every version.
    pub last_offset: i64,
    /// In every version.
    pub delivery_state: i8,
    /// In every version.
    pub delivery_count: i16,
}

impl StateBatch {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 20;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let first_offset = r.i64()?;
        let last_offset = r.i64()?;
        let delivery_state = r.i8()?;
        let delivery_count = r.i16()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { first_offset, last_offset, delivery_state, delivery_count })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i64(self.first_offset);
        w.i64(self.last_offset);
        w.i8(self.delivery_state);
        w.i16(self.delivery_count);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
