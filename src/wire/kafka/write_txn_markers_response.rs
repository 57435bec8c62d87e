//! `WriteTxnMarkersResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct WriteTxnMarkersResponse<'a> {
    /// In every version.
    pub markers: Vec<WritableTxnMarkerResult<'a>>,
}

impl<'a> WriteTxnMarkersResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::WRITE_TXN_MARKERS;
    /// The first version.
    pub const MIN_VERSION: i16 = 1;
    /// The last version.
    pub const MAX_VERSION: i16 = 2;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let markers = r.array(flexible, WritableTxnMarkerResult::MIN_BYTES, |r| {
            WritableTxnMarkerResult::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { markers })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.array(&self.markers, flexible, |w, x| x.encode(w, version))?;
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
        let values = Some(&self.markers[..]);
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

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct WritableTxnMarkerResult<'a> {
    /// In every version.
    pub producer_id: i64,
    /// In every version.
    pub topics: Vec<WritableTxnMarkerTopicResult<'a>>,
}

impl<'a> WritableTxnMarkerResult<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 10;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let producer_id = r.i64()?;
        let topics = r.array(flexible, WritableTxnMarkerTopicResult::MIN_BYTES, |r| {
            WritableTxnMarkerTopicResult::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { producer_id, topics })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i64(self.producer_id);
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
        let flexible = true;
        w.i64(self.producer_id);
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

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct WritableTxnMarkerTopicResult<'a> {
    /// In every version.
    pub name: &'a str,
    /// In every version.
    pub partitions: Vec<WritableTxnMarkerPartitionResult>,
}

impl<'a> WritableTxnMarkerTopicResult<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let name = r.string(flexible)?;
        let partitions = r.array(flexible, WritableTxnMarkerPartitionResult::MIN_BYTES, |r| {
            WritableTxnMarkerPartitionResult::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
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
        let flexible = true;
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

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct WritableTxnMarkerPartitionResult {
    /// In every version.
    pub partition_index: i32,
    /// In every version.
    pub error_code: i16,
}

impl WritableTxnMarkerPartitionResult {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 7;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let partition_index = r.i32()?;
        let error_code = r.i16()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { partition_index, error_code })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
