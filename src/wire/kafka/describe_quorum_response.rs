//! `DescribeQuorumResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeQuorumResponse<'a> {
    /// In every version.
    pub error_code: i16,
    /// In version 2, ignorable.
    pub error_message: Option<&'a str>,
    /// In every version.
    pub topics: Vec<TopicData<'a>>,
    /// In version 2.
    pub nodes: Vec<Node<'a>>,
}

impl Default for DescribeQuorumResponse<'_> {
    fn default() -> Self {
        Self { error_code: 0, error_message: Some(""), topics: Vec::new(), nodes: Vec::new() }
    }
}

impl<'a> DescribeQuorumResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::DESCRIBE_QUORUM;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 2;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let error_code = r.i16()?;
        let error_message = if version >= 2 { r.nullable_string(flexible)? } else { Some("") };
        let topics = r.array(flexible, TopicData::MIN_BYTES, |r| TopicData::decode(r, version))?;
        let nodes = if version >= 2 {
            r.array(flexible, Node::MIN_BYTES, |r| Node::decode(r, version))?
        } else {
            Vec::new()
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { error_code, error_message, topics, nodes })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.error_code(self.error_code);
        if version >= 2 {
            w.nullable_string(self.error_message, flexible)?;
        }
        w.array(&self.topics, flexible, |w, x| x.encode(w, version))?;
        if version >= 2 {
            w.array(&self.nodes, flexible, |w, x| x.encode(w, version))?;
        } else {
            check_absent(self.nodes.is_empty(), "nodes")?;
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
        let flexible = true;
        w.error_code(self.error_code);
        if version >= 2 {
            w.nullable_string(self.error_message, flexible)?;
        }
        let values = Some(&self.topics[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        if version >= 2 {
            let values = Some(&self.nodes[..]);
            w.array_len(values.map(<[_]>::len), flexible)?;
            for x in values.unwrap_or_default() {
                x.encode_in_parts(w, version, pause).await?;
                pause().await;
            }
        } else {
            check_absent(self.nodes.is_empty(), "nodes")?;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TopicData<'a> {
    /// In every version.
    pub topic_name: &'a str,
    /// In every version.
    pub partitions: Vec<PartitionData<'a>>,
}

impl<'a> TopicData<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic_name = r.string(flexible)?;
        let partitions =
            r.array(flexible, PartitionData::MIN_BYTES, |r| PartitionData::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic_name, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.topic_name, flexible)?;
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
        w.string(self.topic_name, flexible)?;
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

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionData<'a> {
    /// In every version.
    pub partition_index: i32,
    /// In every version.
    pub error_code: i16,
    /// In version 2, ignorable.
    pub error_message: Option<&'a str>,
    /// In every version.
    pub leader_id: i32,
    /// In every version.
    pub leader_epoch: i32,
    /// In every version.
    pub high_watermark: i64,
    /// In every version.
    pub current_voters: Vec<ReplicaState>,
    /// In every version.
    pub observers: Vec<ReplicaState>,
}

impl Default for PartitionData<'_> {
    fn default() -> Self {
        Self {
            partition_index: 0,
            error_code: 0,
            error_message: Some(""),
            leader_id: 0,
            leader_epoch: 0,
            high_watermark: 0,
            current_voters: Vec::new(),
            observers: Vec::new(),
        }
    }
}

impl<'a> PartitionData<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 25;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let partition_index = r.i32()?;
        let error_code = r.i16()?;
        let error_message = if version >= 2 { r.nullable_string(flexible)? } else { Some("") };
        let leader_id = r.i32()?;
        let leader_epoch = r.i32()?;
        let high_watermark = r.i64()?;
        let current_voters =
            r.array(flexible, ReplicaState::MIN_BYTES, |r| ReplicaState::decode(r, version))?;
        let observers =
            r.array(flexible, ReplicaState::MIN_BYTES, |r| ReplicaState::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            partition_index,
            error_code,
            error_message,
            leader_id,
            leader_epoch,
            high_watermark,
            current_voters,
            observers,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        if version >= 2 {
            w.nullable_string(self.error_message, flexible)?;
        }
        w.i32(self.leader_id);
        w.i32(self.leader_epoch);
        w.i64(self.high_watermark);
        w.array(&self.current_voters, flexible, |w, x| x.encode(w, version))?;
        w.array(&self.observers, flexible, |w, x| x.encode(w, version))?;
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
        if version >= 2 {
            w.nullable_string(self.error_message, flexible)?;
        }
        w.i32(self.leader_id);
        w.i32(self.leader_epoch);
        w.i64(self.high_watermark);
        let values = Some(&self.current_voters[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode(w, version)?;
            pause().await;
        }
        let values = Some(&self.observers[..]);
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

/// In versions 0 to 2.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaState {
    /// In every version.
    pub replica_id: i32,
    /// In version 2.
    pub replica_directory_id: TopicId,
    /// In every version.
    pub log_end_offset: i64,
    /// From version 1, default -1.
    pub last_fetch_timestamp: i64,
    /// From version 1, default -1.
    pub last_caught_up_timestamp: i64,
}

impl Default for ReplicaState {
    fn default() -> Self {
        Self {
            replica_id: 0,
            replica_directory_id: TopicId::ZERO,
            log_end_offset: 0,
            last_fetch_timestamp: -1,
            last_caught_up_timestamp: -1,
        }
    }
}

impl ReplicaState {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 13;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let replica_id = r.i32()?;
        let replica_directory_id = if version >= 2 { r.uuid()? } else { TopicId::ZERO };
        let log_end_offset = r.i64()?;
        let last_fetch_timestamp = if version >= 1 { r.i64()? } else { -1 };
        let last_caught_up_timestamp = if version >= 1 { r.i64()? } else { -1 };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            replica_id,
            replica_directory_id,
            log_end_offset,
            last_fetch_timestamp,
            last_caught_up_timestamp,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.replica_id);
        if version >= 2 {
            w.uuid(self.replica_directory_id);
        } else {
            check_absent(self.replica_directory_id == TopicId::ZERO, "replica_directory_id")?;
        }
        w.i64(self.log_end_offset);
        if version >= 1 {
            w.i64(self.last_fetch_timestamp);
        } else {
            check_absent(self.last_fetch_timestamp == -1, "last_fetch_timestamp")?;
        }
        if version >= 1 {
            w.i64(self.last_caught_up_timestamp);
        } else {
            check_absent(self.last_caught_up_timestamp == -1, "last_caught_up_timestamp")?;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 2 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Node<'a> {
    /// In every version.
    pub node_id: i32,
    /// In every version.
    pub listeners: Vec<Listener<'a>>,
}

impl<'a> Node<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let node_id = r.i32()?;
        let listeners = r.array(flexible, Listener::MIN_BYTES, |r| Listener::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { node_id, listeners })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.node_id);
        w.array(&self.listeners, flexible, |w, x| x.encode(w, version))?;
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
        w.i32(self.node_id);
        let values = Some(&self.listeners[..]);
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

/// In versions 2 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Listener<'a> {
    /// In every version.
    pub name: &'a str,
    /// In every version.
    pub host: &'a str,
    /// In every version.
    pub port: u16,
}

impl<'a> Listener<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 5;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let name = r.string(flexible)?;
        let host = r.string(flexible)?;
        let port = r.u16()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, host, port })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.name, flexible)?;
        w.string(self.host, flexible)?;
        w.u16(self.port);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
