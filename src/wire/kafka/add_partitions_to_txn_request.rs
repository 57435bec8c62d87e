//! `AddPartitionsToTxnRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 5.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AddPartitionsToTxnRequest<'a> {
    /// From version 4.
    pub transactions: Vec<AddPartitionsToTxnTransaction<'a>>,
    /// In versions 0 to 3.
    pub v3_and_below_transactional_id: &'a str,
    /// In versions 0 to 3.
    pub v3_and_below_producer_id: i64,
    /// In versions 0 to 3.
    pub v3_and_below_producer_epoch: i16,
    /// In versions 0 to 3.
    pub v3_and_below_topics: Vec<AddPartitionsToTxnTopic<'a>>,
}

impl<'a> AddPartitionsToTxnRequest<'a> {
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
        let transactions = if version >= 4 {
            r.array(flexible, AddPartitionsToTxnTransaction::MIN_BYTES, |r| {
                AddPartitionsToTxnTransaction::decode(r, version)
            })?
        } else {
            Vec::new()
        };
        let v3_and_below_transactional_id = if version <= 3 { r.string(flexible)? } else { "" };
        let v3_and_below_producer_id = if version <= 3 { r.i64()? } else { 0 };
        let v3_and_below_producer_epoch = if version <= 3 { r.i16()? } else { 0 };
        let v3_and_below_topics = if version <= 3 {
            r.array(flexible, AddPartitionsToTxnTopic::MIN_BYTES, |r| {
                AddPartitionsToTxnTopic::decode(r, version)
            })?
        } else {
            Vec::new()
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            transactions,
            v3_and_below_transactional_id,
            v3_and_below_producer_id,
            v3_and_below_producer_epoch,
            v3_and_below_topics,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        if version >= 4 {
            w.array(&self.transactions, flexible, |w, x| x.encode(w, version))?;
        } else {
            check_absent(self.transactions.is_empty(), "transactions")?;
        }
        if version <= 3 {
            w.string(self.v3_and_below_transactional_id, flexible)?;
        } else {
            check_absent(
                self.v3_and_below_transactional_id == "",
                "v3_and_below_transactional_id",
            )?;
        }
        if version <= 3 {
            w.i64(self.v3_and_below_producer_id);
        } else {
            check_absent(self.v3_and_below_producer_id == 0, "v3_and_below_producer_id")?;
        }
        if version <= 3 {
            w.i16(self.v3_and_below_producer_epoch);
        } else {
            check_absent(self.v3_and_below_producer_epoch == 0, "v3_and_below_producer_epoch")?;
        }
        if version <= 3 {
            w.array(&self.v3_and_below_topics, flexible, |w, x| x.encode(w, version))?;
        } else {
            check_absent(self.v3_and_below_topics.is_empty(), "v3_and_below_topics")?;
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
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        let transactions = if version >= 4 {
            match r.open_array(flexible, AddPartitionsToTxnTransaction::MIN_BYTES)? {
                None => None,
                Some((count, mut values)) => {
                    for _ in 0..count {
                        values.push(
                            AddPartitionsToTxnTransaction::decode_in_parts(r, version, pause)
                                .await?,
                        );
                        pause().await;
                    }
                    Some(values)
                }
            }
            .ok_or(WireError::Null)?
        } else {
            Vec::new()
        };
        let v3_and_below_transactional_id = if version <= 3 { r.string(flexible)? } else { "" };
        let v3_and_below_producer_id = if version <= 3 { r.i64()? } else { 0 };
        let v3_and_below_producer_epoch = if version <= 3 { r.i16()? } else { 0 };
        let v3_and_below_topics = if version <= 3 {
            match r.open_array(flexible, AddPartitionsToTxnTopic::MIN_BYTES)? {
                None => None,
                Some((count, mut values)) => {
                    for _ in 0..count {
                        values.push(
                            AddPartitionsToTxnTopic::decode_in_parts(r, version, pause).await?,
                        );
                        pause().await;
                    }
                    Some(values)
                }
            }
            .ok_or(WireError::Null)?
        } else {
            Vec::new()
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            transactions,
            v3_and_below_transactional_id,
            v3_and_below_producer_id,
            v3_and_below_producer_epoch,
            v3_and_below_topics,
        })
    }
}

/// In versions 4 to 5.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AddPartitionsToTxnTransaction<'a> {
    /// In every version.
    pub transactional_id: &'a str,
    /// In every version.
    pub producer_id: i64,
    /// In every version.
    pub producer_epoch: i16,
    /// In every version.
    pub verify_only: bool,
    /// In every version.
    pub topics: Vec<AddPartitionsToTxnTopic<'a>>,
}

impl<'a> AddPartitionsToTxnTransaction<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 14;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let transactional_id = r.string(flexible)?;
        let producer_id = r.i64()?;
        let producer_epoch = r.i16()?;
        let verify_only = r.bool()?;
        let topics = r.array(flexible, AddPartitionsToTxnTopic::MIN_BYTES, |r| {
            AddPartitionsToTxnTopic::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { transactional_id, producer_id, producer_epoch, verify_only, topics })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.transactional_id, flexible)?;
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        w.bool(self.verify_only);
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
        let flexible = true;
        let transactional_id = r.string(flexible)?;
        let producer_id = r.i64()?;
        let producer_epoch = r.i16()?;
        let verify_only = r.bool()?;
        let topics = match r.open_array(flexible, AddPartitionsToTxnTopic::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(AddPartitionsToTxnTopic::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { transactional_id, producer_id, producer_epoch, verify_only, topics })
    }
}

/// In versions 0 to 5.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AddPartitionsToTxnTopic<'a> {
    /// In every version.
    pub name: &'a str,
    /// In every version.
    pub partitions: Vec<i32>,
}

impl<'a> AddPartitionsToTxnTopic<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 3;
        let name = r.string(flexible)?;
        let partitions = r.array(flexible, 4, |r| r.i32())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 3;
        w.string(self.name, flexible)?;
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
        r: &mut Reader<'a>,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<Self, WireError> {
        let flexible = version >= 3;
        let name = r.string(flexible)?;
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
        Ok(Self { name, partitions })
    }
}
