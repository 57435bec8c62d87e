//! `AddPartitionsToTxnResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 5.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AddPartitionsToTxnResponse<'a> {
    /// In every version, ignorable.
    pub throttle_time_ms: i32,
    /// From version 4, ignorable.
    pub error_code: i16,
    /// From version 4.
    pub results_by_transaction: Vec<AddPartitionsToTxnResult<'a>>,
    /// In versions 0 to 3.
    pub results_by_topic_v3_and_below: Vec<AddPartitionsToTxnTopicResult<'a>>,
}

impl<'a> AddPartitionsToTxnResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::ADD_PARTITIONS_TO_TXN;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 5;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        let throttle_time_ms = r.i32()?;
        let error_code = if version >= 4 { r.i16()? } else { 0 };
        let results_by_transaction = if version >= 4 {
            r.array(flexible, AddPartitionsToTxnResult::MIN_BYTES, |r| {
                AddPartitionsToTxnResult::decode(r, version)
            })?
        } else {
            Vec::new()
        };
        let results_by_topic_v3_and_below = if version <= 3 {
            r.array(flexible, AddPartitionsToTxnTopicResult::MIN_BYTES, |r| {
                AddPartitionsToTxnTopicResult::decode(r, version)
            })?
        } else {
            Vec::new()
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            throttle_time_ms,
            error_code,
            results_by_transaction,
            results_by_topic_v3_and_below,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        w.i32(self.throttle_time_ms);
        if version >= 4 {
            w.error_code(self.error_code);
        }
        if version >= 4 {
            w.array(&self.results_by_transaction, flexible, |w, x| x.encode(w, version))?;
        } else {
            check_absent(self.results_by_transaction.is_empty(), "results_by_transaction")?;
        }
        if version <= 3 {
            w.array(&self.results_by_topic_v3_and_below, flexible, |w, x| x.encode(w, version))?;
        } else {
            check_absent(
                self.results_by_topic_v3_and_below.is_empty(),
                "results_by_topic_v3_and_below",
            )?;
        }
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
        if version >= 4 {
            w.error_code(self.error_code);
        }
        if version >= 4 {
            let values = Some(&self.results_by_transaction[..]);
            w.array_len(values.map(<[_]>::len), flexible)?;
            for x in values.unwrap_or_default() {
                x.encode_in_parts(w, version, pause).await?;
                pause().await;
            }
        } else {
            check_absent(self.results_by_transaction.is_empty(), "results_by_transaction")?;
        }
        if version <= 3 {
            let values = Some(&self.results_by_topic_v3_and_below[..]);
            w.array_len(values.map(<[_]>::len), flexible)?;
            for x in values.unwrap_or_default() {
                x.encode_in_parts(w, version, pause).await?;
                pause().await;
            }
        } else {
            check_absent(
                self.results_by_topic_v3_and_below.is_empty(),
                "results_by_topic_v3_and_below",
            )?;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 4 to 5.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AddPartitionsToTxnResult<'a> {
    /// In every version.
    pub transactional_id: &'a str,
    /// In every version.
    pub topic_results: Vec<AddPartitionsToTxnTopicResult<'a>>,
}

impl<'a> AddPartitionsToTxnResult<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let transactional_id = r.string(flexible)?;
        let topic_results = r.array(flexible, AddPartitionsToTxnTopicResult::MIN_BYTES, |r| {
            AddPartitionsToTxnTopicResult::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { transactional_id, topic_results })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.transactional_id, flexible)?;
        w.array(&self.topic_results, flexible, |w, x| x.encode(w, version))?;
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
        w.string(self.transactional_id, flexible)?;
        let values = Some(&self.topic_results[..]);
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
pub struct AddPartitionsToTxnTopicResult<'a> {
    /// In every version.
    pub name: &'a str,
    /// In every version.
    pub results_by_partition: Vec<AddPartitionsToTxnPartitionResult>,
}

impl<'a> AddPartitionsToTxnTopicResult<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 3;
        let name = r.string(flexible)?;
        let results_by_partition =
            r.array(flexible, AddPartitionsToTxnPartitionResult::MIN_BYTES, |r| {
                AddPartitionsToTxnPartitionResult::decode(r, version)
            })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, results_by_partition })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 3;
        w.string(self.name, flexible)?;
        w.array(&self.results_by_partition, flexible, |w, x| x.encode(w, version))?;
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
        let values = Some(&self.results_by_partition[..]);
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
pub struct AddPartitionsToTxnPartitionResult {
    /// In every version.
    pub partition_index: i32,
    /// In every version.
    pub partition_error_code: i16,
}

impl AddPartitionsToTxnPartitionResult {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 3;
        let partition_index = r.i32()?;
        let partition_error_code = r.i16()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { partition_index, partition_error_code })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 3;
        w.i32(self.partition_index);
        w.i16(self.partition_error_code);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
