//! `FetchRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 4 to 18.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchRequest<'a> {
    /// From version 12, tag 0, default null, ignorable.
    pub cluster_id: Option<&'a str>,
    /// In versions 4 to 14, default -1.
    pub replica_id: i32,
    /// From version 15, tag 1.
    pub replica_state: ReplicaState,
    /// In every version.
    pub max_wait_ms: i32,
    /// In every version.
    pub min_bytes: i32,
    /// In every version, default 2147483647, ignorable.
    pub max_bytes: i32,
    /// In every version, ignorable.
    pub isolation_level: i8,
    /// From version 7, ignorable.
    pub session_id: i32,
    /// From version 7, default -1, ignorable.
    pub session_epoch: i32,
    /// In every version.
    pub topics: Vec<FetchTopic<'a>>,
    /// From version 7.
    pub forgotten_topics_data: Vec<ForgottenTopic<'a>>,
    /// From version 11, ignorable.
    pub rack_id: &'a str,
}

impl Default for FetchRequest<'_> {
    fn default() -> Self {
        Self {
            cluster_id: None,
            replica_id: -1,
            replica_state: ReplicaState::default(),
            max_wait_ms: 0,
            min_bytes: 0,
            max_bytes: 2147483647,
            isolation_level: 0,
            session_id: 0,
            session_epoch: -1,
            topics: Vec::new(),
            forgotten_topics_data: Vec::new(),
            rack_id: "",
        }
    }
}

impl<'a> FetchRequest<'a> {
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
        let replica_id = if version <= 14 { r.i32()? } else { -1 };
        let max_wait_ms = r.i32()?;
        let min_bytes = r.i32()?;
        let max_bytes = r.i32()?;
        let isolation_level = r.i8()?;
        let session_id = if version >= 7 { r.i32()? } else { 0 };
        let session_epoch = if version >= 7 { r.i32()? } else { -1 };
        let topics =
            r.array(flexible, FetchTopic::MIN_BYTES, |r| FetchTopic::decode(r, version))?;
        let forgotten_topics_data = if version >= 7 {
            r.array(flexible, ForgottenTopic::MIN_BYTES, |r| ForgottenTopic::decode(r, version))?
        } else {
            Vec::new()
        };
        let rack_id = if version >= 11 { r.string(flexible)? } else { "" };
        let mut cluster_id = None;
        let mut replica_state = ReplicaState::default();
        if flexible {
            r.tagged_fields(|tag, r| {
                match tag {
                    0 => cluster_id = r.nullable_string(flexible)?,
                    1 if version >= 15 => replica_state = ReplicaState::decode(r, version)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(Self {
            cluster_id,
            replica_id,
            replica_state,
            max_wait_ms,
            min_bytes,
            max_bytes,
            isolation_level,
            session_id,
            session_epoch,
            topics,
            forgotten_topics_data,
            rack_id,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 12;
        if version <= 14 {
            w.i32(self.replica_id);
        } else {
            check_absent(self.replica_id == -1, "replica_id")?;
        }
        w.i32(self.max_wait_ms);
        w.i32(self.min_bytes);
        w.i32(self.max_bytes);
        w.i8(self.isolation_level);
        if version >= 7 {
            w.i32(self.session_id);
        }
        if version >= 7 {
            w.i32(self.session_epoch);
        }
        w.array(&self.topics, flexible, |w, x| x.encode(w, version))?;
        if version >= 7 {
            w.array(&self.forgotten_topics_data, flexible, |w, x| x.encode(w, version))?;
        } else {
            check_absent(self.forgotten_topics_data.is_empty(), "forgotten_topics_data")?;
        }
        if version >= 11 {
            w.string(self.rack_id, flexible)?;
        }
        if !(version >= 15) {
            check_absent(self.replica_state == ReplicaState::default(), "replica_state")?;
        }
        if flexible {
            let set_0 = !(self.cluster_id.is_none());
            let set_1 = version >= 15 && !(self.replica_state == ReplicaState::default());
            w.varint(u32::from(set_0) + u32::from(set_1));
            if set_0 {
                w.tagged_field(0, |w| {
                    w.nullable_string(self.cluster_id, flexible)?;
                    Ok(())
                })?;
            }
            if set_1 {
                w.tagged_field(1, |w| {
                    self.replica_state.encode(w, version)?;
                    Ok(())
                })?;
            }
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
        let flexible = version >= 12;
        let replica_id = if version <= 14 { r.i32()? } else { -1 };
        let max_wait_ms = r.i32()?;
        let min_bytes = r.i32()?;
        let max_bytes = r.i32()?;
        let isolation_level = r.i8()?;
        let session_id = if version >= 7 { r.i32()? } else { 0 };
        let session_epoch = if version >= 7 { r.i32()? } else { -1 };
        let topics = match r.open_array(flexible, FetchTopic::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(FetchTopic::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        let forgotten_topics_data = if version >= 7 {
            match r.open_array(flexible, ForgottenTopic::MIN_BYTES)? {
                None => None,
                Some((count, mut values)) => {
                    for _ in 0..count {
                        values.push(ForgottenTopic::decode_in_parts(r, version, pause).await?);
                        pause().await;
                    }
                    Some(values)
                }
            }
            .ok_or(WireError::Null)?
        } else {
            Vec::new()
        };
        let rack_id = if version >= 11 { r.string(flexible)? } else { "" };
        let mut cluster_id = None;
        let mut replica_state = ReplicaState::default();
        if flexible {
            r.tagged_fields(|tag, r| {
                match tag {
                    0 => cluster_id = r.nullable_string(flexible)?,
                    1 if version >= 15 => replica_state = ReplicaState::decode(r, version)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(Self {
            cluster_id,
            replica_id,
            replica_state,
            max_wait_ms,
            min_bytes,
            max_bytes,
            isolation_level,
            session_id,
            session_epoch,
            topics,
            forgotten_topics_data,
            rack_id,
        })
    }
}

/// In versions 15 to 18.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaState {
    /// In every version, default -1.
    pub replica_id: i32,
    /// In every version, default -1.
    pub replica_epoch: i64,
}

impl Default for ReplicaState {
    fn default() -> Self {
        Self { replica_id: -1, replica_epoch: -1 }
    }
}

impl ReplicaState {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 13;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let replica_id = r.i32()?;
        let replica_epoch = r.i64()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { replica_id, replica_epoch })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.replica_id);
        w.i64(self.replica_epoch);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 4 to 18.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FetchTopic<'a> {
    /// In versions 4 to 12, ignorable.
    pub topic: &'a str,
    /// From version 13, ignorable.
    pub topic_id: TopicId,
    /// In every version.
    pub partitions: Vec<FetchPartition>,
}

impl<'a> FetchTopic<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 12;
        let topic = if version <= 12 { r.string(flexible)? } else { "" };
        let topic_id = if version >= 13 { r.uuid()? } else { TopicId::ZERO };
        let partitions =
            r.array(flexible, FetchPartition::MIN_BYTES, |r| FetchPartition::decode(r, version))?;
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

    /// Reads one as [`decode`](Self::decode) does; pauses after each element.
    pub async fn decode_in_parts(
        r: &mut Reader<'a>,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<Self, WireError> {
        let flexible = version >= 12;
        let topic = if version <= 12 { r.string(flexible)? } else { "" };
        let topic_id = if version >= 13 { r.uuid()? } else { TopicId::ZERO };
        let partitions = match r.open_array(flexible, FetchPartition::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(FetchPartition::decode(r, version)?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic, topic_id, partitions })
    }
}

/// In versions 4 to 18.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchPartition {
    /// In every version.
    pub partition: i32,
    /// From version 9, default -1, ignorable.
    pub current_leader_epoch: i32,
    /// In every version.
    pub fetch_offset: i64,
    /// From version 12, default -1.
    pub last_fetched_epoch: i32,
    /// From version 5, default -1, ignorable.
    pub log_start_offset: i64,
    /// In every version.
    pub partition_max_bytes: i32,
    /// From version 17, tag 0, ignorable.
    pub replica_directory_id: TopicId,
    /// In version 18, tag 1, default 9223372036854775807, ignorable.
    pub high_watermark: i64,
}

impl Default for FetchPartition {
    fn default() -> Self {
        Self {
            partition: 0,
            current_leader_epoch: -1,
            fetch_offset: 0,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            partition_max_bytes: 0,
            replica_directory_id: TopicId::ZERO,
            high_watermark: 9223372036854775807,
        }
    }
}

impl FetchPartition {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 16;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 12;
        let partition = r.i32()?;
        let current_leader_epoch = if version >= 9 { r.i32()? } else { -1 };
        let fetch_offset = r.i64()?;
        let last_fetched_epoch = if version >= 12 { r.i32()? } else { -1 };
        let log_start_offset = if version >= 5 { r.i64()? } else { -1 };
        let partition_max_bytes = r.i32()?;
        let mut replica_directory_id = TopicId::ZERO;
        let mut high_watermark = 9223372036854775807;
        if flexible {
            r.tagged_fields(|tag, r| {
                match tag {
                    0 if version >= 17 => replica_directory_id = r.uuid()?,
                    1 if version >= 18 => high_watermark = r.i64()?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(Self {
            partition,
            current_leader_epoch,
            fetch_offset,
            last_fetched_epoch,
            log_start_offset,
            partition_max_bytes,
            replica_directory_id,
            high_watermark,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 12;
        w.i32(self.partition);
        if version >= 9 {
            w.i32(self.current_leader_epoch);
        }
        w.i64(self.fetch_offset);
        if version >= 12 {
            w.i32(self.last_fetched_epoch);
        } else {
            check_absent(self.last_fetched_epoch == -1, "last_fetched_epoch")?;
        }
        if version >= 5 {
            w.i64(self.log_start_offset);
        }
        w.i32(self.partition_max_bytes);
        if flexible {
            let set_0 = version >= 17 && !(self.replica_directory_id == TopicId::ZERO);
            let set_1 = version >= 18 && !(self.high_watermark == 9223372036854775807);
            w.varint(u32::from(set_0) + u32::from(set_1));
            if set_0 {
                w.tagged_field(0, |w| {
                    w.uuid(self.replica_directory_id);
                    Ok(())
                })?;
            }
            if set_1 {
                w.tagged_field(1, |w| {
                    w.i64(self.high_watermark);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

/// In versions 7 to 18.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ForgottenTopic<'a> {
    /// In versions 7 to 12, ignorable.
    pub topic: &'a str,
    /// From version 13, ignorable.
    pub topic_id: TopicId,
    /// In every version.
    pub partitions: Vec<i32>,
}

impl<'a> ForgottenTopic<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 12;
        let topic = if version <= 12 { r.string(flexible)? } else { "" };
        let topic_id = if version >= 13 { r.uuid()? } else { TopicId::ZERO };
        let partitions = r.array(flexible, 4, |r| r.i32())?;
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
        let flexible = version >= 12;
        let topic = if version <= 12 { r.string(flexible)? } else { "" };
        let topic_id = if version >= 13 { r.uuid()? } else { TopicId::ZERO };
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
        Ok(Self { topic, topic_id, partitions })
    }
}
