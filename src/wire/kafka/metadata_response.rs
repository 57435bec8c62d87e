//! `MetadataResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_null, check_version};

/// In versions 0 to 13.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataResponse<'a> {
    /// From version 3, ignorable.
    pub throttle_time_ms: i32,
    /// In every version.
    pub brokers: Vec<MetadataResponseBroker<'a>>,
    /// From version 2, default null, ignorable.
    pub cluster_id: Option<&'a str>,
    /// From version 1, default -1, ignorable.
    pub controller_id: i32,
    /// In every version.
    pub topics: Vec<MetadataResponseTopic<'a>>,
    /// In versions 8 to 10, default -2147483648.
    pub cluster_authorized_operations: i32,
    /// In version 13, ignorable.
    pub error_code: i16,
}

impl Default for MetadataResponse<'_> {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            brokers: Vec::new(),
            cluster_id: None,
            controller_id: -1,
            topics: Vec::new(),
            cluster_authorized_operations: -2147483648,
            error_code: 0,
        }
    }
}

impl<'a> MetadataResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::METADATA;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 13;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 9;
        let throttle_time_ms = if version >= 3 { r.i32()? } else { 0 };
        let brokers = r.array(flexible, MetadataResponseBroker::MIN_BYTES, |r| {
            MetadataResponseBroker::decode(r, version)
        })?;
        let cluster_id = if version >= 2 { r.nullable_string(flexible)? } else { None };
        let controller_id = if version >= 1 { r.i32()? } else { -1 };
        let topics = r.array(flexible, MetadataResponseTopic::MIN_BYTES, |r| {
            MetadataResponseTopic::decode(r, version)
        })?;
        let cluster_authorized_operations =
            if (8..=10).contains(&version) { r.i32()? } else { -2147483648 };
        let error_code = if version >= 13 { r.i16()? } else { 0 };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            throttle_time_ms,
            brokers,
            cluster_id,
            controller_id,
            topics,
            cluster_authorized_operations,
            error_code,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 9;
        if version >= 3 {
            w.i32(self.throttle_time_ms);
        }
        w.array(&self.brokers, flexible, |w, x| x.encode(w, version))?;
        if version >= 2 {
            w.nullable_string(self.cluster_id, flexible)?;
        }
        if version >= 1 {
            w.i32(self.controller_id);
        }
        w.array(&self.topics, flexible, |w, x| x.encode(w, version))?;
        if (8..=10).contains(&version) {
            w.i32(self.cluster_authorized_operations);
        } else {
            check_absent(
                self.cluster_authorized_operations == -2147483648,
                "cluster_authorized_operations",
            )?;
        }
        if version >= 13 {
            w.error_code(self.error_code);
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
        let flexible = version >= 9;
        if version >= 3 {
            w.i32(self.throttle_time_ms);
        }
        let values = Some(&self.brokers[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode(w, version)?;
            pause().await;
        }
        if version >= 2 {
            w.nullable_string(self.cluster_id, flexible)?;
        }
        if version >= 1 {
            w.i32(self.controller_id);
        }
        let values = Some(&self.topics[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        if (8..=10).contains(&version) {
            w.i32(self.cluster_authorized_operations);
        } else {
            check_absent(
                self.cluster_authorized_operations == -2147483648,
                "cluster_authorized_operations",
            )?;
        }
        if version >= 13 {
            w.error_code(self.error_code);
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 13.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct MetadataResponseBroker<'a> {
    /// In every version.
    pub node_id: i32,
    /// In every version.
    pub host: &'a str,
    /// In every version.
    pub port: i32,
    /// From version 1, default null, ignorable.
    pub rack: Option<&'a str>,
}

impl<'a> MetadataResponseBroker<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 10;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 9;
        let node_id = r.i32()?;
        let host = r.string(flexible)?;
        let port = r.i32()?;
        let rack = if version >= 1 { r.nullable_string(flexible)? } else { None };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { node_id, host, port, rack })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 9;
        w.i32(self.node_id);
        w.string(self.host, flexible)?;
        w.i32(self.port);
        if version >= 1 {
            w.nullable_string(self.rack, flexible)?;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 13.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataResponseTopic<'a> {
    /// In every version.
    pub error_code: i16,
    /// In every version, nullable from version 12.
    pub name: Option<&'a str>,
    /// From version 10, ignorable.
    pub topic_id: TopicId,
    /// From version 1, ignorable.
    pub is_internal: bool,
    /// In every version.
    pub partitions: Vec<MetadataResponsePartition>,
    /// From version 8, default -2147483648.
    pub topic_authorized_operations: i32,
}

impl Default for MetadataResponseTopic<'_> {
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

impl<'a> MetadataResponseTopic<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 8;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 9;
        let error_code = r.i16()?;
        let name = check_null(r.nullable_string(flexible)?, version >= 12)?;
        let topic_id = if version >= 10 { r.uuid()? } else { TopicId::ZERO };
        let is_internal = if version >= 1 { r.bool()? } else { false };
        let partitions = r.array(flexible, MetadataResponsePartition::MIN_BYTES, |r| {
            MetadataResponsePartition::decode(r, version)
        })?;
        let topic_authorized_operations = if version >= 8 { r.i32()? } else { -2147483648 };
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
        let flexible = version >= 9;
        w.error_code(self.error_code);
        check_null(self.name.as_ref(), version >= 12)?;
        w.nullable_string(self.name, flexible)?;
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        if version >= 1 {
            w.bool(self.is_internal);
        }
        w.array(&self.partitions, flexible, |w, x| x.encode(w, version))?;
        if version >= 8 {
            w.i32(self.topic_authorized_operations);
        } else {
            check_absent(
                self.topic_authorized_operations == -2147483648,
                "topic_authorized_operations",
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
        let flexible = version >= 9;
        w.error_code(self.error_code);
        check_null(self.name.as_ref(), version >= 12)?;
        w.nullable_string(self.name, flexible)?;
        if version >= 10 {
            w.uuid(self.topic_id);
        }
        if version >= 1 {
            w.bool(self.is_internal);
        }
        let values = Some(&self.partitions[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        if version >= 8 {
            w.i32(self.topic_authorized_operations);
        } else {
            check_absent(
                self.topic_authorized_operations == -2147483648,
                "topic_authorized_operations",
            )?;
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 13.
#[derive(Clone, Debug, PartialEq)]
pub struct MetadataResponsePartition {
    /// In every version.
    pub error_code: i16,
    /// In every version.
    pub partition_index: i32,
    /// In every version.
    pub leader_id: i32,
    /// From version 7, default -1, ignorable.
    pub leader_epoch: i32,
    /// In every version.
    pub replica_nodes: Vec<i32>,
    /// In every version.
    pub isr_nodes: Vec<i32>,
    /// From version 5, ignorable.
    pub offline_replicas: Vec<i32>,
}

impl Default for MetadataResponsePartition {
    fn default() -> Self {
        Self {
            error_code: 0,
            partition_index: 0,
            leader_id: 0,
            leader_epoch: -1,
            replica_nodes: Vec::new(),
            isr_nodes: Vec::new(),
            offline_replicas: Vec::new(),
        }
    }
}

impl MetadataResponsePartition {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 18;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 9;
        let error_code = r.i16()?;
        let partition_index = r.i32()?;
        let leader_id = r.i32()?;
        let leader_epoch = if version >= 7 { r.i32()? } else { -1 };
        let replica_nodes = r.array(flexible, 4, |r| r.i32())?;
        let isr_nodes = r.array(flexible, 4, |r| r.i32())?;
        let offline_replicas =
            if version >= 5 { r.array(flexible, 4, |r| r.i32())? } else { Vec::new() };
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
            offline_replicas,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 9;
        w.error_code(self.error_code);
        w.i32(self.partition_index);
        w.i32(self.leader_id);
        if version >= 7 {
            w.i32(self.leader_epoch);
        }
        w.array(&self.replica_nodes, flexible, |w, x| {
            w.i32(*x);
            Ok(())
        })?;
        w.array(&self.isr_nodes, flexible, |w, x| {
            w.i32(*x);
            Ok(())
        })?;
        if version >= 5 {
            w.array(&self.offline_replicas, flexible, |w, x| {
                w.i32(*x);
                Ok(())
            })?;
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
        let flexible = version >= 9;
        w.error_code(self.error_code);
        w.i32(self.partition_index);
        w.i32(self.leader_id);
        if version >= 7 {
            w.i32(self.leader_epoch);
        }
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
        if version >= 5 {
            let values = Some(&self.offline_replicas[..]);
            w.array_len(values.map(<[_]>::len), flexible)?;
            for x in values.unwrap_or_default() {
                w.i32(*x);
                pause().await;
            }
        }
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
