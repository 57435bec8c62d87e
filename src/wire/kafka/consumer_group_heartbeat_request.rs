//! `ConsumerGroupHeartbeatRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_absent, check_version};

/// In versions 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerGroupHeartbeatRequest<'a> {
    /// In every version.
    pub group_id: &'a str,
    /// In every version.
    pub member_id: &'a str,
    /// In every version.
    pub member_epoch: i32,
    /// In every version, default null.
    pub instance_id: Option<&'a str>,
    /// In every version, default null.
    pub rack_id: Option<&'a str>,
    /// In every version, default -1.
    pub rebalance_timeout_ms: i32,
    /// In every version, default null.
    pub subscribed_topic_names: Option<Vec<&'a str>>,
    /// In version 1, default null.
    pub subscribed_topic_regex: Option<&'a str>,
    /// In every version, default null.
    pub server_assignor: Option<&'a str>,
    /// In every version, default null.
    pub topic_partitions: Option<Vec<TopicPartitions>>,
}

impl Default for ConsumerGroupHeartbeatRequest<'_> {
    fn default() -> Self {
        Self {
            group_id: "",
            member_id: "",
            member_epoch: 0,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: -1,
            subscribed_topic_names: None,
            subscribed_topic_regex: None,
            server_assignor: None,
            topic_partitions: None,
        }
    }
}

impl<'a> ConsumerGroupHeartbeatRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::CONSUMER_GROUP_HEARTBEAT;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 1;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let group_id = r.string(flexible)?;
        let member_id = r.string(flexible)?;
        let member_epoch = r.i32()?;
        let instance_id = r.nullable_string(flexible)?;
        let rack_id = r.nullable_string(flexible)?;
        let rebalance_timeout_ms = r.i32()?;
        let subscribed_topic_names =
            r.nullable_array(flexible, if flexible { 1 } else { 2 }, |r| r.string(flexible))?;
        let subscribed_topic_regex = if version >= 1 { r.nullable_string(flexible)? } else { None };
        let server_assignor = r.nullable_string(flexible)?;
        let topic_partitions = r.nullable_array(flexible, TopicPartitions::MIN_BYTES, |r| {
            TopicPartitions::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            group_id,
            member_id,
            member_epoch,
            instance_id,
            rack_id,
            rebalance_timeout_ms,
            subscribed_topic_names,
            subscribed_topic_regex,
            server_assignor,
            topic_partitions,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.string(self.group_id, flexible)?;
        w.string(self.member_id, flexible)?;
        w.i32(self.member_epoch);
        w.nullable_string(self.instance_id, flexible)?;
        w.nullable_string(self.rack_id, flexible)?;
        w.i32(self.rebalance_timeout_ms);
        w.nullable_array(self.subscribed_topic_names.as_deref(), flexible, |w, x| {
            w.string(x, flexible)
        })?;
        if version >= 1 {
            w.nullable_string(self.subscribed_topic_regex, flexible)?;
        } else {
            check_absent(self.subscribed_topic_regex.is_none(), "subscribed_topic_regex")?;
        }
        w.nullable_string(self.server_assignor, flexible)?;
        w.nullable_array(self.topic_partitions.as_deref(), flexible, |w, x| x.encode(w, version))?;
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
        let flexible = true;
        let group_id = r.string(flexible)?;
        let member_id = r.string(flexible)?;
        let member_epoch = r.i32()?;
        let instance_id = r.nullable_string(flexible)?;
        let rack_id = r.nullable_string(flexible)?;
        let rebalance_timeout_ms = r.i32()?;
        let subscribed_topic_names = match r.open_array(flexible, if flexible { 1 } else { 2 })? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(r.string(flexible)?);
                    pause().await;
                }
                Some(values)
            }
        };
        let subscribed_topic_regex = if version >= 1 { r.nullable_string(flexible)? } else { None };
        let server_assignor = r.nullable_string(flexible)?;
        let topic_partitions = match r.open_array(flexible, TopicPartitions::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(TopicPartitions::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        };
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            group_id,
            member_id,
            member_epoch,
            instance_id,
            rack_id,
            rebalance_timeout_ms,
            subscribed_topic_names,
            subscribed_topic_regex,
            server_assignor,
            topic_partitions,
        })
    }
}

/// In versions 0 to 1.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TopicPartitions {
    /// In every version.
    pub topic_id: TopicId,
    /// In every version.
    pub partitions: Vec<i32>,
}

impl TopicPartitions {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 18;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic_id = r.uuid()?;
        let partitions = r.array(flexible, 4, |r| r.i32())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic_id, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.uuid(self.topic_id);
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
        r: &mut Reader<'_>,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<Self, WireError> {
        let flexible = true;
        let topic_id = r.uuid()?;
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
        Ok(Self { topic_id, partitions })
    }
}
