//! `StreamsGroupDescribeResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct StreamsGroupDescribeResponse<'a> {
    /// In every version.
    pub throttle_time_ms: i32,
    /// In every version.
    pub groups: Vec<DescribedGroup<'a>>,
}

impl<'a> StreamsGroupDescribeResponse<'a> {
    /// The API key.
    pub const KEY: ApiKey = ApiKey::STREAMS_GROUP_DESCRIBE;
    /// The first version.
    pub const MIN_VERSION: i16 = 0;
    /// The last version.
    pub const MAX_VERSION: i16 = 0;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        let throttle_time_ms = r.i32()?;
        let groups =
            r.array(flexible, DescribedGroup::MIN_BYTES, |r| DescribedGroup::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { throttle_time_ms, groups })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.i32(self.throttle_time_ms);
        w.array(&self.groups, flexible, |w, x| x.encode(w, version))?;
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
        let values = Some(&self.groups[..]);
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

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedGroup<'a> {
    /// In every version.
    pub error_code: i16,
    /// In every version, default null.
    pub error_message: Option<&'a str>,
    /// In every version.
    pub group_id: &'a str,
    /// In every version.
    pub group_state: &'a str,
    /// In every version.
    pub group_epoch: i32,
    /// In every version.
    pub assignment_epoch: i32,
    /// In every version, default null.
    pub topology: Option<Topology<'a>>,
    /// In every version.
    pub members: Vec<Member<'a>>,
    /// In every version, default -2147483648.
    pub authorized_operations: i32,
}

impl Default for DescribedGroup<'_> {
    fn default() -> Self {
        Self {
            error_code: 0,
            error_message: None,
            group_id: "",
            group_state: "",
            group_epoch: 0,
            assignment_epoch: 0,
            topology: None,
            members: Vec::new(),
            authorized_operations: -2147483648,
        }
    }
}

impl<'a> DescribedGroup<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 20;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        let group_id = r.string(flexible)?;
        let group_state = r.string(flexible)?;
        let group_epoch = r.i32()?;
        let assignment_epoch = r.i32()?;
        let topology = r.nullable_struct(|r| Topology::decode(r, version))?;
        let members = r.array(flexible, Member::MIN_BYTES, |r| Member::decode(r, version))?;
        let authorized_operations = r.i32()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            error_code,
            error_message,
            group_id,
            group_state,
            group_epoch,
            assignment_epoch,
            topology,
            members,
            authorized_operations,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        w.string(self.group_id, flexible)?;
        w.string(self.group_state, flexible)?;
        w.i32(self.group_epoch);
        w.i32(self.assignment_epoch);
        w.nullable_struct(self.topology.as_ref(), |w, x| x.encode(w, version))?;
        w.array(&self.members, flexible, |w, x| x.encode(w, version))?;
        w.i32(self.authorized_operations);
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
        w.nullable_string(self.error_message, flexible)?;
        w.string(self.group_id, flexible)?;
        w.string(self.group_state, flexible)?;
        w.i32(self.group_epoch);
        w.i32(self.assignment_epoch);
        w.nullable_struct(self.topology.as_ref(), |w, x| x.encode(w, version))?;
        let values = Some(&self.members[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        w.i32(self.authorized_operations);
        if flexible {
            w.varint(0);
        }
        Ok(())
    }
}

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Topology<'a> {
    /// In every version.
    pub epoch: i32,
    /// In every version, default null.
    pub subtopologies: Option<Vec<Subtopology<'a>>>,
}

impl<'a> Topology<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let epoch = r.i32()?;
        let subtopologies = r.nullable_array(flexible, Subtopology::MIN_BYTES, |r| {
            Subtopology::decode(r, version)
        })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { epoch, subtopologies })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i32(self.epoch);
        w.nullable_array(self.subtopologies.as_deref(), flexible, |w, x| x.encode(w, version))?;
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
        w.i32(self.epoch);
        let values = self.subtopologies.as_deref();
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

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Subtopology<'a> {
    /// In every version.
    pub subtopology_id: &'a str,
    /// In every version.
    pub source_topics: Vec<&'a str>,
    /// In every version.
    pub repartition_sink_topics: Vec<&'a str>,
    /// In every version.
    pub state_changelog_topics: Vec<TopicInfo<'a>>,
    /// In every version.
    pub repartition_source_topics: Vec<TopicInfo<'a>>,
}

impl<'a> Subtopology<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 6;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let subtopology_id = r.string(flexible)?;
        let source_topics =
            r.array(flexible, if flexible { 1 } else { 2 }, |r| r.string(flexible))?;
        let repartition_sink_topics =
            r.array(flexible, if flexible { 1 } else { 2 }, |r| r.string(flexible))?;
        let state_changelog_topics =
            r.array(flexible, TopicInfo::MIN_BYTES, |r| TopicInfo::decode(r, version))?;
        let repartition_source_topics =
            r.array(flexible, TopicInfo::MIN_BYTES, |r| TopicInfo::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            subtopology_id,
            source_topics,
            repartition_sink_topics,
            state_changelog_topics,
            repartition_source_topics,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.subtopology_id, flexible)?;
        w.array(&self.source_topics, flexible, |w, x| w.string(x, flexible))?;
        w.array(&self.repartition_sink_topics, flexible, |w, x| w.string(x, flexible))?;
        w.array(&self.state_changelog_topics, flexible, |w, x| x.encode(w, version))?;
        w.array(&self.repartition_source_topics, flexible, |w, x| x.encode(w, version))?;
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
        w.string(self.subtopology_id, flexible)?;
        let values = Some(&self.source_topics[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            w.string(x, flexible)?;
            pause().await;
        }
        let values = Some(&self.repartition_sink_topics[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            w.string(x, flexible)?;
            pause().await;
        }
        let values = Some(&self.state_changelog_topics[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        let values = Some(&self.repartition_source_topics[..]);
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

    /// Writes it as [`encode`](Self::encode) does; pauses after each element.
    pub async fn encode_in_parts(
        &self,
        w: &mut Writer,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.name, flexible)?;
        w.i32(self.partitions);
        w.i16(self.replication_factor);
        let values = Some(&self.topic_configs[..]);
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
pub struct Member<'a> {
    /// In every version.
    pub member_id: &'a str,
    /// In every version.
    pub member_epoch: i32,
    /// In every version, default null.
    pub instance_id: Option<&'a str>,
    /// In every version, default null.
    pub rack_id: Option<&'a str>,
    /// In every version.
    pub client_id: &'a str,
    /// In every version.
    pub client_host: &'a str,
    /// In every version.
    pub topology_epoch: i32,
    /// In every version.
    pub process_id: &'a str,
    /// In every version, default null.
    pub user_endpoint: Option<Endpoint<'a>>,
    /// In every version.
    pub client_tags: Vec<KeyValue<'a>>,
    /// In every version.
    pub task_offsets: Vec<TaskOffset<'a>>,
    /// In every version.
    pub task_end_offsets: Vec<TaskOffset<'a>>,
    /// In every version.
    pub assignment: Assignment<'a>,
    /// In every version.
    pub target_assignment: Assignment<'a>,
    /// In every version.
    pub is_classic: bool,
}

impl<'a> Member<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 28;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let member_id = r.string(flexible)?;
        let member_epoch = r.i32()?;
        let instance_id = r.nullable_string(flexible)?;
        let rack_id = r.nullable_string(flexible)?;
        let client_id = r.string(flexible)?;
        let client_host = r.string(flexible)?;
        let topology_epoch = r.i32()?;
        let process_id = r.string(flexible)?;
        let user_endpoint = r.nullable_struct(|r| Endpoint::decode(r, version))?;
        let client_tags =
            r.array(flexible, KeyValue::MIN_BYTES, |r| KeyValue::decode(r, version))?;
        let task_offsets =
            r.array(flexible, TaskOffset::MIN_BYTES, |r| TaskOffset::decode(r, version))?;
        let task_end_offsets =
            r.array(flexible, TaskOffset::MIN_BYTES, |r| TaskOffset::decode(r, version))?;
        let assignment = Assignment::decode(r, version)?;
        let target_assignment = Assignment::decode(r, version)?;
        let is_classic = r.bool()?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            member_id,
            member_epoch,
            instance_id,
            rack_id,
            client_id,
            client_host,
            topology_epoch,
            process_id,
            user_endpoint,
            client_tags,
            task_offsets,
            task_end_offsets,
            assignment,
            target_assignment,
            is_classic,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.member_id, flexible)?;
        w.i32(self.member_epoch);
        w.nullable_string(self.instance_id, flexible)?;
        w.nullable_string(self.rack_id, flexible)?;
        w.string(self.client_id, flexible)?;
        w.string(self.client_host, flexible)?;
        w.i32(self.topology_epoch);
        w.string(self.process_id, flexible)?;
        w.nullable_struct(self.user_endpoint.as_ref(), |w, x| x.encode(w, version))?;
        w.array(&self.client_tags, flexible, |w, x| x.encode(w, version))?;
        w.array(&self.task_offsets, flexible, |w, x| x.encode(w, version))?;
        w.array(&self.task_end_offsets, flexible, |w, x| x.encode(w, version))?;
        self.assignment.encode(w, version)?;
        self.target_assignment.encode(w, version)?;
        w.bool(self.is_classic);
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
        w.string(self.member_id, flexible)?;
        w.i32(self.member_epoch);
        w.nullable_string(self.instance_id, flexible)?;
        w.nullable_string(self.rack_id, flexible)?;
        w.string(self.client_id, flexible)?;
        w.string(self.client_host, flexible)?;
        w.i32(self.topology_epoch);
        w.string(self.process_id, flexible)?;
        w.nullable_struct(self.user_endpoint.as_ref(), |w, x| x.encode(w, version))?;
        let values = Some(&self.client_tags[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode(w, version)?;
            pause().await;
        }
        let values = Some(&self.task_offsets[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode(w, version)?;
            pause().await;
        }
        let values = Some(&self.task_end_offsets[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode(w, version)?;
            pause().await;
        }
        self.assignment.encode(w, version)?;
        self.target_assignment.encode(w, version)?;
        w.bool(self.is_classic);
        if flexible {
            w.varint(0);
        }
        Ok(())
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

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Assignment<'a> {
    /// In every version.
    pub active_tasks: Vec<TaskIds<'a>>,
    /// In every version.
    pub standby_tasks: Vec<TaskIds<'a>>,
    /// In every version.
    pub warmup_tasks: Vec<TaskIds<'a>>,
}

impl<'a> Assignment<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 4;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let active_tasks =
            r.array(flexible, TaskIds::MIN_BYTES, |r| TaskIds::decode(r, version))?;
        let standby_tasks =
            r.array(flexible, TaskIds::MIN_BYTES, |r| TaskIds::decode(r, version))?;
        let warmup_tasks =
            r.array(flexible, TaskIds::MIN_BYTES, |r| TaskIds::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { active_tasks, standby_tasks, warmup_tasks })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.array(&self.active_tasks, flexible, |w, x| x.encode(w, version))?;
        w.array(&self.standby_tasks, flexible, |w, x| x.encode(w, version))?;
        w.array(&self.warmup_tasks, flexible, |w, x| x.encode(w, version))?;
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
        let values = Some(&self.active_tasks[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        let values = Some(&self.standby_tasks[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        let values = Some(&self.warmup_tasks[..]);
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

    /// Writes it as [`encode`](Self::encode) does; pauses after each element.
    pub async fn encode_in_parts(
        &self,
        w: &mut Writer,
        version: i16,
        pause: &impl AsyncFn(),
    ) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.subtopology_id, flexible)?;
        let values = Some(&self.partitions[..]);
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
