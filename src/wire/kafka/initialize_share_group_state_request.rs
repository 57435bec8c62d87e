//! `InitializeShareGroupStateRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct InitializeShareGroupStateRequest<'a> {
    /// In every version.
    pub group_id: &'a str,
    /// In every version.
    pub topics: Vec<InitializeStateData>,
}

impl<'a> InitializeShareGroupStateRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::INITIALIZE_SHARE_GROUP_STATE;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 0;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let group_id = r.string(flexible)?;
        let topics = r.array(flexible, InitializeStateData::MIN_BYTES, |r| {
            InitializeStateData::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, topics })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.string(self.group_id, flexible)?;
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
        let group_id = r.string(flexible)?;
        let topics = match r.open_array(flexible, InitializeStateData::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(InitializeStateData::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { group_id, topics })
    }
}

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct InitializeStateData {
    /// In every version.
    pub topic_id: TopicId,
    /// In every version.
    pub partitions: Vec<PartitionData>,
}

impl InitializeStateData {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 18;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic_id = r.uuid()?;
        let partitions =
            r.array(flexible, PartitionData::MIN_BYTES, |r| PartitionData::decode(r, version))?;
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
        let partitions = match r.open_array(flexible, PartitionData::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(PartitionData::decode(r, version)?);
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

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct PartitionData {
    /// In every version.
    pub partition: i32,
    /// In every version.
    pub state_epoch: i32,
    /// In every version.
    pub start_offset: i64,
}

impl PartitionData {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 17;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let partition = r.i32()?;
        let state_epoch = r.i32()?;
        let start_offset = r.i64()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { partition, state_epoch, start_offset })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.partition);
        w.i32(self.state_epoch);
        w.i64(self.start_offset);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
