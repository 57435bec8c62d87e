//! `WriteTxnMarkersRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct WriteTxnMarkersRequest<'a> {
    /// In every version.
    pub markers: Vec<WritableTxnMarker<'a>>,
}

impl<'a> WriteTxnMarkersRequest<'a> {
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
        let markers = r.array(flexible, WritableTxnMarker::MIN_BYTES, |r| {
            WritableTxnMarker::decode(r, version)
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

    /// Reads one as [`decode`](Self::decode) does; pauses after each element.
    pub async fn decode_in_parts(
        r: &mut Reader<'a>,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let markers = match r.open_array(flexible, WritableTxnMarker::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(WritableTxnMarker::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { markers })
    }
}

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct WritableTxnMarker<'a> {
    /// In every version.
    pub producer_id: i64,
    /// In every version.
    pub producer_epoch: i16,
    /// In every version.
    pub transaction_result: bool,
    /// In every version.
    pub topics: Vec<WritableTxnMarkerTopic<'a>>,
    /// In every version.
    pub coordinator_epoch: i32,
    /// In version 2, ignorable.
    pub transaction_version: i8,
}

impl<'a> WritableTxnMarker<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 17;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let producer_id = r.i64()?;
        let producer_epoch = r.i16()?;
        let transaction_result = r.bool()?;
        let topics = r.array(flexible, WritableTxnMarkerTopic::MIN_BYTES, |r| {
            WritableTxnMarkerTopic::decode(r, version)
        })?;
        let coordinator_epoch = r.i32()?;
        let transaction_version = if version >= 2 { r.i8()? } else { 0 };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            producer_id,
            producer_epoch,
            transaction_result,
            topics,
            coordinator_epoch,
            transaction_version,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        w.bool(self.transaction_result);
        w.array(&self.topics, flexible, |w, x| x.encode(w, version))?;
        w.i32(self.coordinator_epoch);
        if version >= 2 {
            w.i8(self.transaction_version);
        }
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
        let flexible = true;
        let producer_id = r.i64()?;
        let producer_epoch = r.i16()?;
        let transaction_result = r.bool()?;
        let topics = match r.open_array(flexible, WritableTxnMarkerTopic::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(WritableTxnMarkerTopic::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        let coordinator_epoch = r.i32()?;
        let transaction_version = if version >= 2 { r.i8()? } else { 0 };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            producer_id,
            producer_epoch,
            transaction_result,
            topics,
            coordinator_epoch,
            transaction_version,
        })
    }
}

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct WritableTxnMarkerTopic<'a> {
    /// In every version.
    pub name: &'a str,
    /// In every version.
    pub partition_indexes: Vec<i32>,
}

impl<'a> WritableTxnMarkerTopic<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let name = r.string(flexible)?;
        let partition_indexes = r.array(flexible, 4, |r| r.i32())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, partition_indexes })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.name, flexible)?;
        w.array(&self.partition_indexes, flexible, |w, x| {
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
        r: &mut Reader<'a>,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<Self, WireError> {
        let flexible = true;
        let name = r.string(flexible)?;
        let partition_indexes = match r.open_array(flexible, 4)? {
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
        Ok(Self { name, partition_indexes })
    }
}
