//! `TxnOffsetCommitResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 5.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TxnOffsetCommitResponse<'a> {
    /// In every version.
    pub throttle_time_ms: i32,
    /// In every version.
    pub topics: Vec<TxnOffsetCommitResponseTopic<'a>>,
}

impl<'a> TxnOffsetCommitResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::TXN_OFFSET_COMMIT;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 5;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        let throttle_time_ms = r.i32()?;
        let topics = r.array(flexible, TxnOffsetCommitResponseTopic::MIN_BYTES, |r| {
            TxnOffsetCommitResponseTopic::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, topics })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        w.i32(self.throttle_time_ms);
        w.array(&self.topics, flexible, |w, x| x.encode(w, version))?;
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
        let flexible = version >= 3;
        w.i32(self.throttle_time_ms);
        let values = Some(&self.topics[..]);
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

/// In versions 0 to 5.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TxnOffsetCommitResponseTopic<'a> {
    /// In every version.
    pub name: &'a str,
    /// In every version.
    pub partitions: Vec<TxnOffsetCommitResponsePartition>,
}

impl<'a> TxnOffsetCommitResponseTopic<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 3;
        let name = r.string(flexible)?;
        let partitions = r.array(flexible, TxnOffsetCommitResponsePartition::MIN_BYTES, |r| {
            TxnOffsetCommitResponsePartition::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 3;
        w.string(self.name, flexible)?;
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
        let flexible = version >= 3;
        w.string(self.name, flexible)?;
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

/// In versions 0 to 5.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TxnOffsetCommitResponsePartition {
    /// In every version.
    pub partition_index: i32,
    /// In every version.
    pub error_code: i16,
}

impl TxnOffsetCommitResponsePartition {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 3;
        let partition_index = r.i32()?;
        let error_code = r.i16()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { partition_index, error_code })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 3;
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
