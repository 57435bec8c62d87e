//! `ProduceResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 3 to 13.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct ProduceResponse<'a> {
    /// In every version.
    pub responses: Vec<TopicProduceResponse<'a>>,
    /// In every version, ignorable.
    pub throttle_time_ms: i32,
    /// From version 10, tag 0.
    pub node_endpoints: Vec<NodeEndpoint<'a>>,
}

impl<'a> ProduceResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::PRODUCE;
    /// The first version.
    pub const MIN_VERSION: i16 = 3;
    /// The last version.
    pub const MAX_VERSION: i16 = 13;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 9;
        let responses = r.array(flexible, TopicProduceResponse::MIN_BYTES, |r| {
            TopicProduceResponse::decode(r, version)
        })?;
        let throttle_time_ms = r.i32()?;
        let mut node_endpoints = Vec::new();
        if flexible {
            r.tagged_fields(|tag, r| {
                match tag {
                    0 if version >= 10 => {
                        node_endpoints = r.array(flexible, NodeEndpoint::MIN_BYTES, |r| {
                            NodeEndpoint::decode(r, version)
                        })?
                    }
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(Self { responses, throttle_time_ms, node_endpoints })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = version >= 9;
        w.array(&self.responses, flexible, |w, x| x.encode(w, version))?;
        w.i32(self.throttle_time_ms);
        if !(version >= 10) {
            check_absent(self.node_endpoints.is_empty(), "node_endpoints")?;
        }
        if flexible {
            let set_0 = version >= 10 && !(self.node_endpoints.is_empty());
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
        let flexible = version >= 9;
        let values = Some(&self.responses[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        w.i32(self.throttle_time_ms);
        if !(version >= 10) {
            check_absent(self.node_endpoints.is_empty(), "node_endpoints")?;
        }
        if flexible {
            let set_0 = version >= 10 && !(self.node_endpoints.is_empty());
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

/// In versions 3 to 13.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TopicProduceResponse<'a> {
    /// In versions 3 to 12, ignorable.
    pub name: &'a str,
    /// In version 13, ignorable.
    pub topic_id: TopicId,
    /// In every version.
    pub partition_responses: Vec<PartitionProduceResponse<'a>>,
}

impl<'a> TopicProduceResponse<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 9;
        let name = if version <= 12 { r.string(flexible)? } else { "" };
        let topic_id = if version >= 13 { r.uuid()? } else { TopicId::ZERO };
        let partition_responses = r.array(flexible, PartitionProduceResponse::MIN_BYTES, |r| {
            PartitionProduceResponse::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, topic_id, partition_responses })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 9;
        if version <= 12 {
            w.string(self.name, flexible)?;
        }
        if version >= 13 {
            w.uuid(self.topic_id);
        }
        w.array(&self.partition_responses, flexible, |w, x| x.encode(w, version))?;
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
        if version <= 12 {
            w.string(self.name, flexible)?;
        }
        if version >= 13 {
            w.uuid(self.topic_id);
        }
        let values = Some(&self.partition_responses[..]);
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

/// In versions 3 to 13.
#[derive(Clone, Debug, PartialEq)]
pub struct PartitionProduceResponse<'a> {
    /// In every version.
    pub index: i32,
    /// In every version.
    pub error_code: i16,
    /// In every version.
    pub base_offset: i64,
    /// In every version, default -1, ignorable.
    pub log_append_time_ms: i64,
    /// From version 5, default -1, ignorable.
    pub log_start_offset: i64,
    /// From version 8, ignorable.
    pub record_errors: Vec<BatchIndexAndErrorMessage<'a>>,
    /// From version 8, default null, ignorable.
    pub error_message: Option<&'a str>,
    /// From version 10, tag 0.
    pub current_leader: LeaderIdAndEpoch,
}

impl Default for PartitionProduceResponse<'_> {
    fn default() -> Self {
        Self {
            index: 0,
            error_code: 0,
            base_offset: 0,
            log_append_time_ms: -1,
            log_start_offset: -1,
            record_errors: Vec::new(),
            error_message: None,
            current_leader: LeaderIdAndEpoch::default(),
        }
    }
}

impl<'a> PartitionProduceResponse<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 22;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 9;
        let index = r.i32()?;
        let error_code = r.i16()?;
        let base_offset = r.i64()?;
        let log_append_time_ms = r.i64()?;
        let log_start_offset = if version >= 5 { r.i64()? } else { -1 };
        let record_errors = if version >= 8 {
            r.array(flexible, BatchIndexAndErrorMessage::MIN_BYTES, |r| {
                BatchIndexAndErrorMessage::decode(r, version)
            })?
        } else {
            Vec::new()
        };
        let error_message = if version >= 8 { r.nullable_string(flexible)? } else { None };
        let mut current_leader = LeaderIdAndEpoch::default();
        if flexible {
            r.tagged_fields(|tag, r| {
                match tag {
                    0 if version >= 10 => current_leader = LeaderIdAndEpoch::decode(r, version)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?;
        }
        Ok(Self {
            index,
            error_code,
            base_offset,
            log_append_time_ms,
            log_start_offset,
            record_errors,
            error_message,
            current_leader,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 9;
        w.i32(self.index);
        w.error_code(self.error_code);
        w.i64(self.base_offset);
        w.i64(self.log_append_time_ms);
        if version >= 5 {
            w.i64(self.log_start_offset);
        }
        if version >= 8 {
            w.array(&self.record_errors, flexible, |w, x| x.encode(w, version))?;
        }
        if version >= 8 {
            w.nullable_string(self.error_message, flexible)?;
        }
        if !(version >= 10) {
            check_absent(self.current_leader == LeaderIdAndEpoch::default(), "current_leader")?;
        }
        if flexible {
            let set_0 = version >= 10 && !(self.current_leader == LeaderIdAndEpoch::default());
            w.varint(u32::from(set_0));
            if set_0 {
                w.tagged_field(0, |w| {
                    self.current_leader.encode(w, version)?;
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
        let flexible = version >= 9;
        w.i32(self.index);
        w.error_code(self.error_code);
        w.i64(self.base_offset);
        w.i64(self.log_append_time_ms);
        if version >= 5 {
            w.i64(self.log_start_offset);
        }
        if version >= 8 {
            let values = Some(&self.record_errors[..]);
            w.array_len(values.map(<[_]>::len), flexible)?;
            for x in values.unwrap_or_default() {
                x.encode(w, version)?;
                pause().await;
            }
        }
        if version >= 8 {
            w.nullable_string(self.error_message, flexible)?;
        }
        if !(version >= 10) {
            check_absent(self.current_leader == LeaderIdAndEpoch::default(), "current_leader")?;
        }
        if flexible {
            let set_0 = version >= 10 && !(self.current_leader == LeaderIdAndEpoch::default());
            w.varint(u32::from(set_0));
            if set_0 {
                w.tagged_field(0, |w| {
                    self.current_leader.encode(w, version)?;
                    Ok(())
                })?;
            }
        }
        Ok(())
    }
}

/// In versions 8 to 13.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct BatchIndexAndErrorMessage<'a> {
    /// In every version.
    pub batch_index: i32,
    /// In every version, default null.
    pub batch_index_error_message: Option<&'a str>,
}

impl<'a> BatchIndexAndErrorMessage<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = version >= 9;
        let batch_index = r.i32()?;
        let batch_index_error_message = r.nullable_string(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { batch_index, batch_index_error_message })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = version >= 9;
        w.i32(self.batch_index);
        w.nullable_string(self.batch_index_error_message, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 10 to 13.
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

/// In versions 10 to 13.
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
