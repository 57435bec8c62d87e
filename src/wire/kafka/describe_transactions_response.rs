//! `DescribeTransactionsResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DescribeTransactionsResponse<'a> {
    /// In every version, ignorable.
    pub throttle_time_ms: i32,
    /// In every version.
    pub transaction_states: Vec<TransactionState<'a>>,
}

impl<'a> DescribeTransactionsResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::DESCRIBE_TRANSACTIONS;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 0;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let throttle_time_ms = r.i32()?;
        let transaction_states = r.array(flexible, TransactionState::MIN_BYTES, |r| {
            TransactionState::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, transaction_states })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.i32(self.throttle_time_ms);
        w.array(&self.transaction_states, flexible, |w, x| x.encode(w, version))?;
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
        let values = Some(&self.transaction_states[..]);
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
pub struct TransactionState<'a> {
    /// In every version.
    pub error_code: i16,
    /// In every version.
    pub transactional_id: &'a str,
    /// In every version.
    pub transaction_state: &'a str,
    /// In every version.
    pub transaction_timeout_ms: i32,
    /// In every version.
    pub transaction_start_time_ms: i64,
    /// In every version.
    pub producer_id: i64,
    /// In every version.
    pub producer_epoch: i16,
    /// In every version.
    pub topics: Vec<TopicData<'a>>,
}

impl<'a> TransactionState<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 28;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let error_code = r.i16()?;
        let transactional_id = r.string(flexible)?;
        let transaction_state = r.string(flexible)?;
        let transaction_timeout_ms = r.i32()?;
        let transaction_start_time_ms = r.i64()?;
        let producer_id = r.i64()?;
        let producer_epoch = r.i16()?;
        let topics = r.array(flexible, TopicData::MIN_BYTES, |r| TopicData::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            error_code,
            transactional_id,
            transaction_state,
            transaction_timeout_ms,
            transaction_start_time_ms,
            producer_id,
            producer_epoch,
            topics,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.error_code(self.error_code);
        w.string(self.transactional_id, flexible)?;
        w.string(self.transaction_state, flexible)?;
        w.i32(self.transaction_timeout_ms);
        w.i64(self.transaction_start_time_ms);
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
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
        w.error_code(self.error_code);
        w.string(self.transactional_id, flexible)?;
        w.string(self.transaction_state, flexible)?;
        w.i32(self.transaction_timeout_ms);
        w.i64(self.transaction_start_time_ms);
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
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
pub struct TopicData<'a> {
    /// In every version.
    pub topic: &'a str,
    /// In every version.
    pub partitions: Vec<i32>,
}

impl<'a> TopicData<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic = r.string(flexible)?;
        let partitions = r.array(flexible, 4, |r| r.i32())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.topic, flexible)?;
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
        w.string(self.topic, flexible)?;
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
