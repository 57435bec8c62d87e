//! `ShareAcknowledgeResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ShareAcknowledgeResponse<'a> {
    /// In every version.
    pub throttle_time_ms: i32,
    /// In every version.
    pub error_code: i16,
    /// In every version, default null.
    pub error_message: Option<&'a str>,
    /// In version 2, ignorable.
    pub acquisition_lock_timeout_ms: i32,
    /// In every version.
    pub responses: Vec<ShareAcknowledgeTopicResponse<'a>>,
    /// In every version.
    pub node_endpoints: Vec<NodeEndpoint<'a>>,
}

impl<'a> ShareAcknowledgeResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::SHARE_ACKNOWLEDGE;
    /// The first version.
    pub const MIN_VERSION: i16 = 1;
    /// The last version.
    pub const MAX_VERSION: i16 = 2;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let throttle_time_ms = r.i32()?;
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        let acquisition_lock_timeout_ms = if version >= 2 { r.i32()? } else { 0 };
        let responses = r.array(flexible, ShareAcknowledgeTopicResponse::MIN_BYTES, |r| {
            ShareAcknowledgeTopicResponse::decode(r, version)
        })?;
        let node_endpoints =
            r.array(flexible, NodeEndpoint::MIN_BYTES, |r| NodeEndpoint::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            throttle_time_ms,
            error_code,
            error_message,
            acquisition_lock_timeout_ms,
            responses,
            node_endpoints,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        if version >= 2 {
            w.i32(self.acquisition_lock_timeout_ms);
        }
        w.array(&self.responses, flexible, |w, x| x.encode(w, version))?;
        w.array(&self.node_endpoints, flexible, |w, x| x.encode(w, version))?;
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
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        if version >= 2 {
            w.i32(self.acquisition_lock_timeout_ms);
        }
        let values = Some(&self.responses[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        let values = Some(&self.node_endpoints[..]);
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

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ShareAcknowledgeTopicResponse<'a> {
    /// In every version.
    pub topic_id: TopicId,
    /// In every version.
    pub partitions: Vec<PartitionData<'a>>,
}

impl<'a> ShareAcknowledgeTopicResponse<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 18;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic_id = r.uuid()?;
        let partitions =
            r.array(flexible, PartitionData::MIN_BYTES, |r| PartitionData::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic_id, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.uuid(self.topic_id);
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
        w.uuid(self.topic_id);
        let values = Some(&self.partitions[..]);
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

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct PartitionData<'a> {
    /// In every version.
    pub partition_index: i32,
    /// In every version.
    pub error_code: i16,
    /// In every version, default null.
    pub error_message: Option<&'a str>,
    /// In every version.
    pub current_leader: LeaderIdAndEpoch,
}

impl<'a> PartitionData<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 17;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let partition_index = r.i32()?;
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        let current_leader = LeaderIdAndEpoch::decode(r, version)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { partition_index, error_code, error_message, current_leader })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.partition_index);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        self.current_leader.encode(w, version)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 1 to 2.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct LeaderIdAndEpoch {
    /// In every version.
    pub leader_id: i32,
    /// In every version.
    pub leader_epoch: i32,
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

/// In versions 1 to 2.
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
