//! `StreamsGroupHeartbeatRequest`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamsGroupHeartbeatRequest<'a> {
    /// In every version.
    pub group_id: &'a str,
    /// In every version.
    pub member_id: &'a str,
    /// In every version.
    pub member_epoch: i32,
    /// In every version.
    pub endpoint_information_epoch: i32,
    /// In every version, default null.
    pub instance_id: Option<&'a str>,
    /// In every version, default null.
    pub rack_id: Option<&'a str>,
    /// In every version, default -1.
    pub rebalance_timeout_ms: i32,
    /// In every version, default null.
    pub topology: Option<Topology<'a>>,
    /// In every version, default null.
    pub active_tasks: Option<Vec<TaskIds<'a>>>,
    /// In every version, default null.
    pub standby_tasks: Option<Vec<TaskIds<'a>>>,
    /// In every version, default null.
    pub warmup_tasks: Option<Vec<TaskIds<'a>>>,
    /// In every version, default null.
    pub process_id: Option<&'a str>,
    /// In every version, default null.
    pub user_endpoint: Option<Endpoint<'a>>,
    /// In every version, default null.
    pub client_tags: Option<Vec<KeyValue<'a>>>,
    /// In every version, default null.
    pub task_offsets: Option<Vec<TaskOffset<'a>>>,
    /// In every version, default null.
    pub task_end_offsets: Option<Vec<TaskOffset<'a>>>,
    /// In every version.
    pub shutdown_application: bool,
}

impl Default for StreamsGroupHeartbeatRequest<'_> {
    fn default() -> Self {
        Self {
            group_id: "",
            member_id: "",
            member_epoch: 0,
            endpoint_information_epoch: 0,
            instance_id: None,
            rack_id: None,
            rebalance_timeout_ms: -1,
            topology: None,
            active_tasks: None,
            standby_tasks: None,
            warmup_tasks: None,
            process_id: None,
            user_endpoint: None,
            client_tags: None,
            task_offsets: None,
            task_end_offsets: None,
            shutdown_application: false,
        }
    }
}

impl<'a> StreamsGroupHeartbeatRequest<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::STREAMS_GROUP_HEARTBEAT;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 0;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let group_id = r.string(flexible)?;
        let member_id = r.string(flexible)?;
        let member_epoch = r.i32()?;
        let endpoint_information_epoch = r.i32()?;
        let instance_id = r.nullable_string(flexible)?;
        let rack_id = r.nullable_string(flexible)?;
        let rebalance_timeout_ms = r.i32()?;
        let topology = r.nullable_struct(|r| Topology::decode(r, version))?;
        let active_tasks =
            r.nullable_array(flexible, TaskIds::MIN_BYTES, |r| TaskIds::decode(r, version))?;
        let standby_tasks =
            r.nullable_array(flexible, TaskIds::MIN_BYTES, |r| TaskIds::decode(r, version))?;
        let warmup_tasks =
            r.nullable_array(flexible, TaskIds::MIN_BYTES, |r| TaskIds::decode(r, version))?;
        let process_id = r.nullable_string(flexible)?;
        let user_endpoint = r.nullable_struct(|r| Endpoint::decode(r, version))?;
        let client_tags =
            r.nullable_array(flexible, KeyValue::MIN_BYTES, |r| KeyValue::decode(r, version))?;
        let task_offsets =
            r.nullable_array(flexible, TaskOffset::MIN_BYTES, |r| TaskOffset::decode(r, version))?;
        let task_end_offsets =
            r.nullable_array(flexible, TaskOffset::MIN_BYTES, |r| TaskOffset::decode(r, version))?;
        let shutdown_application = r.bool()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            group_id,
            member_id,
            member_epoch,
            endpoint_information_epoch,
            instance_id,
            rack_id,
            rebalance_timeout_ms,
            topology,
            active_tasks,
            standby_tasks,
            warmup_tasks,
            process_id,
            user_endpoint,
            client_tags,
            task_offsets,
            task_end_offsets,
            shutdown_application,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.string(self.group_id, flexible)?;
        w.string(self.member_id, flexible)?;
        w.i32(self.member_epoch);
        w.i32(self.endpoint_information_epoch);
        w.nullable_string(self.instance_id, flexible)?;
        w.nullable_string(self.rack_id, flexible)?;
        w.i32(self.rebalance_timeout_ms);
        w.nullable_struct(self.topology.as_ref(), |w, x| x.encode(w, version))?;
        w.nullable_array(self.active_tasks.as_deref(), flexible, |w, x| x.encode(w, version))?;
        w.nullable_array(self.standby_tasks.as_deref(), flexible, |w, x| x.encode(w, version))?;
        w.nullable_array(self.warmup_tasks.as_deref(), flexible, |w, x| x.encode(w, version))?;
        w.nullable_string(self.process_id, flexible)?;
        w.nullable_struct(self.user_endpoint.as_ref(), |w, x| x.encode(w, version))?;
        w.nullable_array(self.client_tags.as_deref(), flexible, |w, x| x.encode(w, version))?;
        w.nullable_array(self.task_offsets.as_deref(), flexible, |w, x| x.encode(w, version))?;
        w.nullable_array(self.task_end_offsets.as_deref(), flexible, |w, x| x.encode(w, version))?;
        w.bool(self.shutdown_application);
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
        let endpoint_information_epoch = r.i32()?;
        let instance_id = r.nullable_string(flexible)?;
        let rack_id = r.nullable_string(flexible)?;
        let rebalance_timeout_ms = r.i32()?;
        let topology = r.nullable_struct(|r| Topology::decode(r, version))?;
        let active_tasks = match r.open_array(flexible, TaskIds::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(TaskIds::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        };
        let standby_tasks = match r.open_array(flexible, TaskIds::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(TaskIds::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        };
        let warmup_tasks = match r.open_array(flexible, TaskIds::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(TaskIds::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        };
        let process_id = r.nullable_string(flexible)?;
        let user_endpoint = r.nullable_struct(|r| Endpoint::decode(r, version))?;
        let client_tags = match r.open_array(flexible, KeyValue::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(KeyValue::decode(r, version)?);
                    pause().await;
                }
                Some(values)
            }
        };
        let task_offsets = match r.open_array(flexible, TaskOffset::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(TaskOffset::decode(r, version)?);
                    pause().await;
                }
                Some(values)
            }
        };
        let task_end_offsets = match r.open_array(flexible, TaskOffset::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(TaskOffset::decode(r, version)?);
                    pause().await;
                }
                Some(values)
            }
        };
        let shutdown_application = r.bool()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            group_id,
            member_id,
            member_epoch,
            endpoint_information_epoch,
            instance_id,
            rack_id,
            rebalance_timeout_ms,
            topology,
            active_tasks,
            standby_tasks,
            warmup_tasks,
            process_id,
            user_endpoint,
            client_tags,
            task_offsets,
            task_end_offsets,
            shutdown_application,
        })
    }
}

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Topology<'a> {
    /// In every version.
    pub epoch: i32,
    /// In every version.
    pub subtopologies: Vec<Subtopology<'a>>,
}

impl<'a> Topology<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let epoch = r.i32()?;
        let subtopologies =
            r.array(flexible, Subtopology::MIN_BYTES, |r| Subtopology::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { epoch, subtopologies })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.epoch);
        w.array(&self.subtopologies, flexible, |w, x| x.encode(w, version))?;
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
        let epoch = r.i32()?;
        let subtopologies = match r.open_array(flexible, Subtopology::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(Subtopology::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { epoch, subtopologies })
    }
}

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Subtopology<'a> {
    /// In every version.
    pub subtopology_id: &'a str,
    /// In every version.
    pub source_topics: Vec<&'a str>,
    /// In every version.
    pub source_topic_regex: Vec<&'a str>,
    /// In every version.
    pub state_changelog_topics: Vec<TopicInfo<'a>>,
    /// In every version.
    pub repartition_sink_topics: Vec<&'a str>,
    /// In every version.
    pub repartition_source_topics: Vec<TopicInfo<'a>>,
    /// In every version.
    pub copartition_groups: Vec<CopartitionGroup>,
}

impl<'a> Subtopology<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 8;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let subtopology_id = r.string(flexible)?;
        let source_topics =
            r.array(flexible, if flexible { 1 } else { 2 }, |r| r.string(flexible))?;
        let source_topic_regex =
            r.array(flexible, if flexible { 1 } else { 2 }, |r| r.string(flexible))?;
        let state_changelog_topics =
            r.array(flexible, TopicInfo::MIN_BYTES, |r| TopicInfo::decode(r, version))?;
        let repartition_sink_topics =
            r.array(flexible, if flexible { 1 } else { 2 }, |r| r.string(flexible))?;
        let repartition_source_topics =
            r.array(flexible, TopicInfo::MIN_BYTES, |r| TopicInfo::decode(r, version))?;
        let copartition_groups = r.array(flexible, CopartitionGroup::MIN_BYTES, |r| {
            CopartitionGroup::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            subtopology_id,
            source_topics,
            source_topic_regex,
            state_changelog_topics,
            repartition_sink_topics,
            repartition_source_topics,
            copartition_groups,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.subtopology_id, flexible)?;
        w.array(&self.source_topics, flexible, |w, x| w.string(x, flexible))?;
        w.array(&self.source_topic_regex, flexible, |w, x| w.string(x, flexible))?;
        w.array(&self.state_changelog_topics, flexible, |w, x| x.encode(w, version))?;
        w.array(&self.repartition_sink_topics, flexible, |w, x| w.string(x, flexible))?;
        w.array(&self.repartition_source_topics, flexible, |w, x| x.encode(w, version))?;
        w.array(&self.copartition_groups, flexible, |w, x| x.encode(w, version))?;
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
        let subtopology_id = r.string(flexible)?;
        let source_topics = match r.open_array(flexible, if flexible { 1 } else { 2 })? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(r.string(flexible)?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        let source_topic_regex = match r.open_array(flexible, if flexible { 1 } else { 2 })? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(r.string(flexible)?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        let state_changelog_topics = match r.open_array(flexible, TopicInfo::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(TopicInfo::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        let repartition_sink_topics = match r.open_array(flexible, if flexible { 1 } else { 2 })? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(r.string(flexible)?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        let repartition_source_topics = match r.open_array(flexible, TopicInfo::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(TopicInfo::decode_in_parts(r, version, pause).await?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        let copartition_groups = match r.open_array(flexible, CopartitionGroup::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(CopartitionGroup::decode_in_parts(r, version, pause).await?);
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
            subtopology_id,
            source_topics,
            source_topic_regex,
            state_changelog_topics,
            repartition_sink_topics,
            repartition_source_topics,
            copartition_groups,
        })
    }
}

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TopicInfo<'a> {
    /// In every version.
    pub name: &'a str,
    /// In every version.
    pub partitions: i32,
    /// In every version.
    pub replication_factor: i16,
    /// In every version.
    pub topic_configs: Vec<KeyValue<'a>>,
}

impl<'a> TopicInfo<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 9;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let name = r.string(flexible)?;
        let partitions = r.i32()?;
        let replication_factor = r.i16()?;
        let topic_configs =
            r.array(flexible, KeyValue::MIN_BYTES, |r| KeyValue::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, partitions, replication_factor, topic_configs })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.name, flexible)?;
        w.i32(self.partitions);
        w.i16(self.replication_factor);
        w.array(&self.topic_configs, flexible, |w, x| x.encode(w, version))?;
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
        let name = r.string(flexible)?;
        let partitions = r.i32()?;
        let replication_factor = r.i16()?;
        let topic_configs = match r.open_array(flexible, KeyValue::MIN_BYTES)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(KeyValue::decode(r, version)?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { name, partitions, replication_factor, topic_configs })
    }
}

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct KeyValue<'a> {
    /// In every version.
    pub key: &'a str,
    /// In every version.
    pub value: &'a str,
}

impl<'a> KeyValue<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let key = r.string(flexible)?;
        let value = r.string(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { key, value })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.key, flexible)?;
        w.string(self.value, flexible)?;
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct CopartitionGroup {
    /// In every version.
    pub source_topics: Vec<i16>,
    /// In every version.
    pub source_topic_regex: Vec<i16>,
    /// In every version.
    pub repartition_source_topics: Vec<i16>,
}

impl CopartitionGroup {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 4;

    /// Reads one.
    pub fn decode(r: &mut Reader<'_>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let source_topics = r.array(flexible, 2, |r| r.i16())?;
        let source_topic_regex = r.array(flexible, 2, |r| r.i16())?;
        let repartition_source_topics = r.array(flexible, 2, |r| r.i16())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { source_topics, source_topic_regex, repartition_source_topics })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.array(&self.source_topics, flexible, |w, x| {
            w.i16(*x);
            Ok(())
        })?;
        w.array(&self.source_topic_regex, flexible, |w, x| {
            w.i16(*x);
            Ok(())
        })?;
        w.array(&self.repartition_source_topics, flexible, |w, x| {
            w.i16(*x);
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
        let source_topics = match r.open_array(flexible, 2)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(r.i16()?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        let source_topic_regex = match r.open_array(flexible, 2)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(r.i16()?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        let repartition_source_topics = match r.open_array(flexible, 2)? {
            None => None,
            Some((count, mut values)) => {
                for _ in 0..count {
                    values.push(r.i16()?);
                    pause().await;
                }
                Some(values)
            }
        }
        .ok_or(WireError::Null)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { source_topics, source_topic_regex, repartition_source_topics })
    }
}

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TaskIds<'a> {
    /// In every version.
    pub subtopology_id: &'a str,
    /// In every version.
    pub partitions: Vec<i32>,
}

impl<'a> TaskIds<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let subtopology_id = r.string(flexible)?;
        let partitions = r.array(flexible, 4, |r| r.i32())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { subtopology_id, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.subtopology_id, flexible)?;
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
        let flexible = true;
        let subtopology_id = r.string(flexible)?;
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
        Ok(Self { subtopology_id, partitions })
    }
}

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Endpoint<'a> {
    /// In every version.
    pub host: &'a str,
    /// In every version.
    pub port: u16,
}

impl<'a> Endpoint<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 4;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let host = r.string(flexible)?;
        let port = r.u16()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { host, port })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.host, flexible)?;
        w.u16(self.port);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct TaskOffset<'a> {
    /// In every version.
    pub subtopology_id: &'a str,
    /// In every version.
    pub partition: i32,
    /// In every version.
    pub offset: i64,
}

impl<'a> TaskOffset<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 14;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let subtopology_id = r.string(flexible)?;
        let partition = r.i32()?;
        let offset = r.i64()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { subtopology_id, partition, offset })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.subtopology_id, flexible)?;
        w.i32(self.partition);
        w.i64(self.offset);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}
