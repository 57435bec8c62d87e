//! `FetchResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 4 to 18.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FetchResponse<'a> {
    /// In every version, ignorable.
    pub throttle_time_ms: i32,
    /// From version 7, ignorable.
    pub error_code: i16,
    /// From version 7.
    pub session_id: i32,
    /// In every version.
    pub responses: Vec<FetchableTopicResponse<'a>>,
    /// From version 16, tag 0.
    pub node_endpoints: Vec<NodeEndpoint<'a>>,
}

impl<'a> FetchResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::FETCH;
    /// The first version.
    pub const MIN_VERSION: i16 = 4;
    /// The last version.
    pub const MAX_VERSION: i16 = 18;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 12;
        let throttle_time_ms = r.i32()?;
        let error_code = if version >= 7 { r.i16()? } else { 0 };
        let session_id = if version >= 7 { r.i32()? } else { 0 };
        let responses = r.array(flexible, FetchableTopicResponse::MIN_BYTES, |r| {
            FetchableTopicResponse::decode(r, version)
        })?;
        let mut node_endpoints = Vec::new();
        if flexible {
            r.tagged_fields(|tag, r| {
                match tag {
                    0 if version >= 16 => {
                        node_endpoints = r.array(flexible, NodeEndpoint::MIN_BYTES, |r| {
                            NodeEndpoint::decode(r, version)
                        })?
                    }
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(Self { throttle_time_ms, error_code, session_id, responses, node_endpoints })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 12;
        w.i32(self.throttle_time_ms);
        if version >= 7 {
            w.error_code(self.error_code);
        }
        if version >= 7 {
            w.i32(self.session_id);
        } else {
            check_absent(self.session_id == 0, "session_id")?;
        }
        w.array(&self.responses, flexible, |w, x| x.encode(w, version))?;
        if !(version >= 16) {
            check_absent(self.node_endpoints.is_empty(), "node_endpoints")?;
        }
        if flexible {
            let set_0 = version >= 16 && !(self.node_endpoints.is_empty());
            w.varint(u32::from(set_0));
            if set_0 {
                w.tagged_field(0, |w| {
                    w.array(&self.node_endpoints, flexible, |w, x| x.encode(w, version))?;
                    Ok(())
                })?;
            }
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
        let flexible = version >= 12;
        w.i32(self.throttle_time_ms);
        if version >= 7 {
            w.error_code(self.error_code);
        }
        if version >= 7 {
            w.i32(self.session_id);
        } else {
            check_absent(self.session_id == 0, "session_id")?;
        }
        let values = Some(&self.responses[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        if !(version >= 16) {
            check_absent(self.node_endpoints.is_empty(), "node_endpoints")?;
        }
        if flexible {
            let set_0 = version >= 16 && !(self.node_endpoints.is_empty());
            w.varint(u32::from(set_0));
            if set_0 {
                w.tagged_field(0, |w| {
                    w.array(&self.node_endpoints, flexible, |w, x| x.encode(w, version))?;
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

/// In versions 4 to 18.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FetchableTopicResponse<'a> {
    /// In versions 4 to 12, ignorable.
    pub topic: &'a str,
    /// From version 13, ignorable.
    pub topic_id: TopicId,
    /// In every version.
    pub partitions: Vec<PartitionData<'a>>,
}

impl<'a> FetchableTopicResponse<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 12;
        let topic = if version <= 12 { r.string(flexible)? } else { "" };
        let topic_id = if version >= 13 { r.uuid()? } else { TopicId::ZERO };
        let partitions =
            r.array(flexible, PartitionData::MIN_BYTES, |r| PartitionData::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic, topic_id, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 12;
        if version <= 12 {
            w.string(self.topic, flexible)?;
        }
        if version >= 13 {
            w.uuid(self.topic_id);
        }
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
        let flexible = version >= 12;
        if version <= 12 {
            w.string(self.topic, flexible)?;
        }
        if version >= 13 {
            w.uuid(self.topic_id);
        }
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

/// In versions 4 to 18.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionData<'a> {
    /// In every version.
    pub partition_index: i32,
    /// In every version.
    pub error_code: i16,
    /// In every version.
    pub high_watermark: i64,
    /// In every version, default -1, ignorable.
    pub last_stable_offset: i64,
    /// From version 5, default -1, ignorable.
    pub log_start_offset: i64,
    /// From version 12, tag 0.
    pub diverging_epoch: EpochEndOffset,
    /// From version 12, tag 1.
    pub current_leader: LeaderIdAndEpoch,
    /// From version 12, tag 2.
    pub snapshot_id: SnapshotId,
    /// In every version, ignorable.
    pub aborted_transactions: Option<Vec<AbortedTransaction>>,
    /// From version 11, default -1.
    pub preferred_read_replica: i32,
    /// In every version.
    pub records: Option<&'a [u8]>,
}

impl Default for PartitionData<'_> {
    fn default() -> Self {
        Self {
            partition_index: 0,
            error_code: 0,
            high_watermark: 0,
            last_stable_offset: -1,
            log_start_offset: -1,
            diverging_epoch: EpochEndOffset::default(),
            current_leader: LeaderIdAndEpoch::default(),
            snapshot_id: SnapshotId::default(),
            aborted_transactions: Some(Vec::new()),
            preferred_read_replica: -1,
            records: None,
        }
    }
}

impl<'a> PartitionData<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 30;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 12;
        let partition_index = r.i32()?;
        let error_code = r.i16()?;
        let high_watermark = r.i64()?;
        let last_stable_offset = r.i64()?;
        let log_start_offset = if version >= 5 { r.i64()? } else { -1 };
        let aborted_transactions =
            r.nullable_array(flexible, AbortedTransaction::MIN_BYTES, |r| {
                AbortedTransaction::decode(r, version)
            })?;
        let preferred_read_replica = if version >= 11 { r.i32()? } else { -1 };
        let records = r.nullable_bytes(flexible)?;
        let mut diverging_epoch = EpochEndOffset::default();
        let mut current_leader = LeaderIdAndEpoch::default();
        let mut snapshot_id = SnapshotId::default();
        if flexible {
            r.tagged_fields(|tag, r| {
                match tag {
                    0 => diverging_epoch = EpochEndOffset::decode(r, version)?,
                    1 => current_leader = LeaderIdAndEpoch::decode(r, version)?,
                    2 => snapshot_id = SnapshotId::decode(r, version)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(Self {
            partition_index,
            error_code,
            high_watermark,
            last_stable_offset,
            log_start_offset,
            diverging_epoch,
            current_leader,
            snapshot_id,
            aborted_transactions,
            preferred_read_replica,
            records,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 12;
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        w.i64(self.high_watermark);
        w.i64(self.last_stable_offset);
        if version >= 5 {
            w.i64(self.log_start_offset);
        }
        w.nullable_array(self.aborted_transactions.as_deref(), flexible, |w, x| {
            x.encode(w, version)
        })?;
        if version >= 11 {
            w.i32(self.preferred_read_replica);
        } else {
            check_absent(self.preferred_read_replica == -1, "preferred_read_replica")?;
        }
        w.nullable_bytes(self.records, flexible)?;
        if !(version >= 12) {
            check_absent(self.diverging_epoch == EpochEndOffset::default(), "diverging_epoch")?;
        }
        if !(version >= 12) {
            check_absent(self.current_leader == LeaderIdAndEpoch::default(), "current_leader")?;
        }
        if !(version >= 12) {
            check_absent(self.snapshot_id == SnapshotId::default(), "snapshot_id")?;
        }
        if flexible {
            let set_0 = !(self.diverging_epoch == EpochEndOffset::default());
            let set_1 = !(self.current_leader == LeaderIdAndEpoch::default());
            let set_2 = !(self.snapshot_id == SnapshotId::default());
            w.varint(u32::from(set_0) + u32::from(set_1) + u32::from(set_2));
            if set_0 {
                w.tagged_field(0, |w| {
                    self.diverging_epoch.encode(w, version)?;
                    Ok(())
                })?;
            }
            if set_1 {
                w.tagged_field(1, |w| {
                    self.current_leader.encode(w, version)?;
                    Ok(())
                })?;
            }
            if set_2 {
                w.tagged_field(2, |w| {
                    self.snapshot_id.encode(w, version)?;
                    Ok(())
                })?;
            }
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
        let flexible = version >= 12;
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        w.i64(self.high_watermark);
        w.i64(self.last_stable_offset);
        if version >= 5 {
            w.i64(self.log_start_offset);
        }
        let values = self.aborted_transactions.as_deref();
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode(w, version)?;
            pause().await;
        }
        if version >= 11 {
            w.i32(self.preferred_read_replica);
        } else {
            check_absent(self.preferred_read_replica == -1, "preferred_read_replica")?;
        }
        w.nullable_bytes(self.records, flexible)?;
        if !(version >= 12) {
            check_absent(self.diverging_epoch == EpochEndOffset::default(), "diverging_epoch")?;
        }
        if !(version >= 12) {
            check_absent(self.current_leader == LeaderIdAndEpoch::default(), "current_leader")?;
        }
        if !(version >= 12) {
            check_absent(self.snapshot_id == SnapshotId::default(), "snapshot_id")?;
        }
        if flexible {
            let set_0 = !(self.diverging_epoch == EpochEndOffset::default());
            let set_1 = !(self.current_leader == LeaderIdAndEpoch::default());
            let set_2 = !(self.snapshot_id == SnapshotId::default());
            w.varint(u32::from(set_0) + u32::from(set_1) + u32::from(set_2));
            if set_0 {
                w.tagged_field(0, |w| {
                    self.diverging_epoch.encode(w, version)?;
                    Ok(())
                })?;
            }
            if set_1 {
                w.tagged_field(1, |w| {
                    self.current_leader.encode(w, version)?;
                    Ok(())
                })?;
            }
            if set_2 {
                w.tagged_field(2, |w| {
                    self.snapshot_id.encode(w, version)?;
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

/// In versions 12 to 18.
#[derive(Clone, Debug, PartialEq)]
pub struct EpochEndOffset {
    /// In every version, default -1.
    pub epoch: i32,
    /// In every version, default -1.
    pub end_offset: i64,
}

impl Default for EpochEndOffset {
    fn default() -> Self {
        Self { epoch: -1, end_offset: -1 }
    }
}

impl EpochEndOffset {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 13;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let epoch = r.i32()?;
        let end_offset = r.i64()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { epoch, end_offset })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.epoch);
        w.i64(self.end_offset);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 12 to 18.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaderIdAndEpoch {
    /// In every version, default -1.
    pub leader_id: i32,
    /// In every version, default -1.
    pub leader_epoch: i32,
}

impl Default for LeaderIdAndEpoch {
    fn default() -> Self {
        Self { leader_id: -1, leader_epoch: -1 }
    }
}

impl LeaderIdAndEpoch {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 9;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let leader_id = r.i32()?;
        let leader_epoch = r.i32()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { leader_id, leader_epoch })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.leader_id);
        w.i32(self.leader_epoch);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 12 to 18.
#[derive(Clone, Debug, PartialEq)]
pub struct SnapshotId {
    /// In every version, default -1.
    pub end_offset: i64,
    /// In every version, default -1.
    pub epoch: i32,
}

impl Default for SnapshotId {
    fn default() -> Self {
        Self { end_offset: -1, epoch: -1 }
    }
}

impl SnapshotId {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 13;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let end_offset = r.i64()?;
        let epoch = r.i32()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { end_offset, epoch })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i64(self.end_offset);
        w.i32(self.epoch);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 4 to 18.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct AbortedTransaction {
    /// In every version.
    pub producer_id: i64,
    /// In every version.
    pub first_offset: i64,
}

impl AbortedTransaction {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 16;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 12;
        let producer_id = r.i64()?;
        let first_offset = r.i64()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { producer_id, first_offset })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 12;
        w.i64(self.producer_id);
        w.i64(self.first_offset);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 16 to 18.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct NodeEndpoint<'a> {
    /// In every version.
    pub node_id: i32,
    /// In every version.
    pub host: &'a str,
    /// In every version.
    pub port: i32,
    /// In every version, default null.
    pub rack: Option<&'a str>,
}

impl<'a> NodeEndpoint<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 11;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let node_id = r.i32()?;
        let host = r.string(flexible)?;
        let port = r.i32()?;
        let rack = r.nullable_string(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { node_id, host, port, rack })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.node_id);
        w.string(self.host, flexible)?;
        w.i32(self.port);
        w.nullable_string(self.rack, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
