//! `DescribeTopicPartitionsResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct DescribeTopicPartitionsResponse<'a> {
    /// In every version, ignorable.
    pub throttle_time_ms: i32,
    /// In every version.
    pub topics: Vec<DescribeTopicPartitionsResponseTopic<'a>>,
    /// In every version, default null.
    pub next_cursor: Option<Cursor<'a>>,
}

impl<'a> DescribeTopicPartitionsResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::DESCRIBE_TOPIC_PARTITIONS;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 0;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let throttle_time_ms = r.i32()?;
        let topics = r.array(flexible, DescribeTopicPartitionsResponseTopic::MIN_BYTES, |r| {
            DescribeTopicPartitionsResponseTopic::decode(r, version)
        })?;
        let next_cursor = r.nullable_struct(|r| Cursor::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, topics, next_cursor })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.i32(self.throttle_time_ms);
        w.array(&self.topics, flexible, |w, x| x.encode(w, version))?;
        w.nullable_struct(self.next_cursor.as_ref(), |w, x| x.encode(w, version))?;
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
        w.nullable_struct(self.next_cursor.as_ref(), |w, x| x.encode(w, version))?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeTopicPartitionsResponseTopic<'a> {
    /// In every version.
    pub error_code: i16,
    /// In every version.
    pub name: Option<&'a str>,
    /// In every version, ignorable.
    pub topic_id: TopicId,
    /// In every version, ignorable.
    pub is_internal: bool,
    /// In every version.
    pub partitions: Vec<DescribeTopicPartitionsResponsePartition>,
    /// In every version, default -2147483648.
    pub topic_authorized_operations: i32,
}

impl Default for DescribeTopicPartitionsResponseTopic<'_> {
    fn default() -> Self {
        Self {
            error_code: 0,
            name: Some(""),
            topic_id: TopicId::ZERO,
            is_internal: false,
            partitions: Vec::new(),
            topic_authorized_operations: -2147483648,
        }
    }
}

impl<'a> DescribeTopicPartitionsResponseTopic<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 26;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let error_code = r.i16()?;
        let name = r.nullable_string(flexible)?;
        let topic_id = r.uuid()?;
        let is_internal = r.bool()?;
        let partitions =
            r.array(flexible, DescribeTopicPartitionsResponsePartition::MIN_BYTES, |r| {
                DescribeTopicPartitionsResponsePartition::decode(r, version)
            })?;
        let topic_authorized_operations = r.i32()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            error_code,
            name,
            topic_id,
            is_internal,
            partitions,
            topic_authorized_operations,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.error_code(self.error_code);
        w.nullable_string(self.name, flexible)?;
        w.uuid(self.topic_id);
        w.bool(self.is_internal);
        w.array(&self.partitions, flexible, |w, x| x.encode(w, version))?;
        w.i32(self.topic_authorized_operations);
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
        w.nullable_string(self.name, flexible)?;
        w.uuid(self.topic_id);
        w.bool(self.is_internal);
        let values = Some(&self.partitions[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        w.i32(self.topic_authorized_operations);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribeTopicPartitionsResponsePartition {
    /// In every version.
    pub error_code: i16,
    /// In every version.
    pub partition_index: i32,
    /// In every version.
    pub leader_id: i32,
    /// In every version, default -1, ignorable.
    pub leader_epoch: i32,
    /// In every version.
    pub replica_nodes: Vec<i32>,
    /// In every version.
    pub isr_nodes: Vec<i32>,
    /// In every version, default null.
    pub eligible_leader_replicas: Option<Vec<i32>>,
    /// In every version, default null.
    pub last_known_elr: Option<Vec<i32>>,
    /// In every version, ignorable.
    pub offline_replicas: Vec<i32>,
}

impl Default for DescribeTopicPartitionsResponsePartition {
    fn default() -> Self {
        Self {
            error_code: 0,
            partition_index: 0,
            leader_id: 0,
            leader_epoch: -1,
            replica_nodes: Vec::new(),
            isr_nodes: Vec::new(),
            eligible_leader_replicas: None,
            last_known_elr: None,
            offline_replicas: Vec::new(),
        }
    }
}

impl DescribeTopicPartitionsResponsePartition {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 20;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let error_code = r.i16()?;
        let partition_index = r.i32()?;
        let leader_id = r.i32()?;
        let leader_epoch = r.i32()?;
        let replica_nodes = r.array(flexible, 4, |r| r.i32())?;
        let isr_nodes = r.array(flexible, 4, |r| r.i32())?;
        let eligible_leader_replicas = r.nullable_array(flexible, 4, |r| r.i32())?;
        let last_known_elr = r.nullable_array(flexible, 4, |r| r.i32())?;
        let offline_replicas = r.array(flexible, 4, |r| r.i32())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            error_code,
            partition_index,
            leader_id,
            leader_epoch,
            replica_nodes,
            isr_nodes,
            eligible_leader_replicas,
            last_known_elr,
            offline_replicas,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.error_code(self.error_code);
        w.i32(self.partition_index);
        w.i32(self.leader_id);
        w.i32(self.leader_epoch);
        w.array(&self.replica_nodes, flexible, |w, x| {
            w.i32(*x);
            Ok(())
        })?;
        w.array(&self.isr_nodes, flexible, |w, x| {
            w.i32(*x);
            Ok(())
        })?;
        w.nullable_array(self.eligible_leader_replicas.as_deref(), flexible, |w, x| {
            w.i32(*x);
            Ok(())
        })?;
        w.nullable_array(self.last_known_elr.as_deref(), flexible, |w, x| {
            w.i32(*x);
            Ok(())
        })?;
        w.array(&self.offline_replicas, flexible, |w, x| {
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
        w.error_code(self.error_code);
        w.i32(self.partition_index);
        w.i32(self.leader_id);
        w.i32(self.leader_epoch);
        let values = Some(&self.replica_nodes[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            w.i32(*x);
            pause().await;
        }
        let values = Some(&self.isr_nodes[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            w.i32(*x);
            pause().await;
        }
        let values = self.eligible_leader_replicas.as_deref();
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            w.i32(*x);
            pause().await;
        }
        let values = self.last_known_elr.as_deref();
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            w.i32(*x);
            pause().await;
        }
        let values = Some(&self.offline_replicas[..]);
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

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Cursor<'a> {
    /// In every version.
    pub topic_name: &'a str,
    /// In every version.
    pub partition_index: i32,
}

impl<'a> Cursor<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic_name = r.string(flexible)?;
        let partition_index = r.i32()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic_name, partition_index })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.topic_name, flexible)?;
        w.i32(self.partition_index);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
