//! `TxnOffsetCommitRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 5.
#[derive(Clone, Debug, PartialEq)]
pub struct TxnOffsetCommitRequest<'a> {
    /// In every version.
    pub transactional_id: &'a str,
    /// In every version.
    pub group_id: &'a str,
    /// In every version.
    pub producer_id: i64,
    /// In every version.
    pub producer_epoch: i16,
    /// From version 3, default -1.
    pub generation_id: i32,
    /// From version 3.
    pub member_id: &'a str,
    /// From version 3, default null.
    pub group_instance_id: Option<&'a str>,
    /// In every version.
    pub topics: Vec<TxnOffsetCommitRequestTopic<'a>>,
}

impl Default for TxnOffsetCommitRequest<'_> {
    fn default() -> Self {
        Self {
            transactional_id: "",
            group_id: "",
            producer_id: 0,
            producer_epoch: 0,
            generation_id: -1,
            member_id: "",
            group_instance_id: None,
            topics: Vec::new(),
        }
    }
}

impl<'a> TxnOffsetCommitRequest<'a> {
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
        let transactional_id = r.string(flexible)?;
        let group_id = r.string(flexible)?;
        let producer_id = r.i64()?;
        let producer_epoch = r.i16()?;
        let generation_id = if version >= 3 { r.i32()? } else { -1 };
        let member_id = if version >= 3 { r.string(flexible)? } else { "" };
        let group_instance_id = if version >= 3 { r.nullable_string(flexible)? } else { None };
        let topics = r.array(flexible, TxnOffsetCommitRequestTopic::MIN_BYTES, |r| {
            TxnOffsetCommitRequestTopic::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            transactional_id,
            group_id,
            producer_id,
            producer_epoch,
            generation_id,
            member_id,
            group_instance_id,
            topics,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 3;
        w.string(self.transactional_id, flexible)?;
        w.string(self.group_id, flexible)?;
        w.i64(self.producer_id);
        w.i16(self.producer_epoch);
        if version >= 3 {
            w.i32(self.generation_id);
        } else {
            check_absent(self.generation_id == -1, "generation_id")?;
        }
        if version >= 3 {
            w.string(self.member_id, flexible)?;
        } else {
            check_absent(self.member_id == "", "member_id")?;
        }
        if version >= 3 {
            w.nullable_string(self.group_instance_id, flexible)?;
        } else {
            check_absent(self.group_instance_id.is_none(), "group_instance_id")?;
        }
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
        let flexible = version >= 3;
        let transactional_id = r.string(flexible)?;
        let group_id = r.string(flexible)?;
        let producer_id = r.i64()?;
        let producer_epoch = r.i16()?;
        let generation_id = if version >= 3 { r.i32()? } else { -1 };
        let member_id = if version >= 3 { r.string(flexible)? } else { "" };
        let group_instance_id = if version >= 3 { r.nullable_string(flexible)? } else { None };
        let topics = match r.open_array(flexible, TxnOffsetCommitRequestTopic::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(
                        TxnOffsetCommitRequestTopic::decode_in_parts(r, version, pause).await?,
                    );
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
            transactional_id,
            group_id,
            producer_id,
            producer_epoch,
            generation_id,
            member_id,
            group_instance_id,
            topics,
        })
    }
}

/// In versions 0 to 5.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TxnOffsetCommitRequestTopic<'a> {
    /// In every version.
    pub name: &'a str,
    /// In every version.
    pub partitions: Vec<TxnOffsetCommitRequestPartition<'a>>,
}

impl<'a> TxnOffsetCommitRequestTopic<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 3;
        let name = r.string(flexible)?;
        let partitions = r.array(flexible, TxnOffsetCommitRequestPartition::MIN_BYTES, |r| {
            TxnOffsetCommitRequestPartition::decode(r, version)
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

    /// Reads one as [`decode`](Self::decode) does; pauses after each element.
    pub async fn decode_in_parts(
        r: &mut Reader<'a>,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<Self, WireError> {
        let flexible = version >= 3;
        let name = r.string(flexible)?;
        let partitions =
            match r.open_array(flexible, TxnOffsetCommitRequestPartition::MIN_BYTES)? {
                None => None,
                Some((count, mut values)) => {
                    for _ in 0..count {
                        values.push(TxnOffsetCommitRequestPartition::decode(r, version)?);
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

/// In versions 0 to 5.
#[derive(Clone, Debug, PartialEq)]
pub struct TxnOffsetCommitRequestPartition<'a> {
    /// In every version.
    pub partition_index: i32,
    /// In every version.
    pub committed_offset: i64,
    /// From version 2, default -1, ignorable.
    pub committed_leader_epoch: i32,
    /// In every version.
    pub committed_metadata: Option<&'a str>,
}

impl Default for TxnOffsetCommitRequestPartition<'_> {
    fn default() -> Self {
        Self {
            partition_index: 0,
            committed_offset: 0,
            committed_leader_epoch: -1,
            committed_metadata: Some(""),
        }
    }
}

impl<'a> TxnOffsetCommitRequestPartition<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 14;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 3;
        let partition_index = r.i32()?;
        let committed_offset = r.i64()?;
        let committed_leader_epoch = if version >= 2 { r.i32()? } else { -1 };
        let committed_metadata = r.nullable_string(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { partition_index, committed_offset, committed_leader_epoch, committed_metadata })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 3;
        w.i32(self.partition_index);
        w.i64(self.committed_offset);
        if version >= 2 {
            w.i32(self.committed_leader_epoch);
        }
        w.nullable_string(self.committed_metadata, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
