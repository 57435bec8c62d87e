//! `DescribeProducersResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DescribeProducersResponse<'a> {
    /// In every version, ignorable.
    pub throttle_time_ms: i32,
    /// In every version.
    pub topics: Vec<TopicResponse<'a>>,
}

impl<'a> DescribeProducersResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::DESCRIBE_PRODUCERS;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 0;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let throttle_time_ms = r.i32()?;
        let topics =
            r.array(flexible, TopicResponse::MIN_BYTES, |r| TopicResponse::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, topics })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
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
        let flexible = true;
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

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TopicResponse<'a> {
    /// In every version.
    pub name: &'a str,
    /// In every version.
    pub partitions: Vec<PartitionResponse<'a>>,
}

impl<'a> TopicResponse<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let name = r.string(flexible)?;
        let partitions = r.array(flexible, PartitionResponse::MIN_BYTES, |r| {
            PartitionResponse::decode(r, version)
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
pub struct PartitionResponse<'a> {
    /// In every version.
    pub partition_index: i32,
    /// In every version.
    pub error_code: i16,
    /// In every version, default null, ignorable.
    pub error_message: Option<&'a str>,
    /// In every version.
    pub active_producers: Vec<ProducerState>,
}

impl<'a> PartitionResponse<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 9;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let partition_index = r.i32()?;
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        let active_producers =
            r.array(flexible, ProducerState::MIN_BYTES, |r| ProducerState::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { partition_index, error_code, error_message, active_producers })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        w.array(&self.active_producers, flexible, |w, x| x.encode(w, version))?;
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
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        let values = Some(&self.active_producers[..]);
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
#[derive(Clone, Debug, PartialEq)]
pub struct ProducerState {
    /// In every version.
    pub producer_id: i64,
    /// In every version.
    pub producer_epoch: i32,
    /// In every version, default -1.
    pub last_sequence: i32,
    /// In every version, default -1.
    pub last_timestamp: i64,
    /// In every version.
    pub coordinator_epoch: i32,
    /// In every version, default -1.
    pub current_txn_start_offset: i64,
}

impl Default for ProducerState {
    fn default() -> Self {
        Self {
            producer_id: 0,
            producer_epoch: 0,
            last_sequence: -1,
            last_timestamp: -1,
            coordinator_epoch: 0,
            current_txn_start_offset: -1,
        }
    }
}

impl ProducerState {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 37;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let producer_id = r.i64()?;
        let producer_epoch = r.i32()?;
        let last_sequence = r.i32()?;
        let last_timestamp = r.i64()?;
        let coordinator_epoch = r.i32()?;
        let current_txn_start_offset = r.i64()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            producer_id,
            producer_epoch,
            last_sequence,
            last_timestamp,
            coordinator_epoch,
            current_txn_start_offset,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i64(self.producer_id);
        w.i32(self.producer_epoch);
        w.i32(self.last_sequence);
        w.i64(self.last_timestamp);
        w.i32(self.coordinator_epoch);
        w.i64(self.current_txn_start_offset);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
