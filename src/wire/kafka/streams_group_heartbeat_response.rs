//! `StreamsGroupHeartbeatResponse`.
// @generated from schemas/kafka by tests/generate.rs: do not edit.

use crate::wire::api_keys::ApiKey;
use crate::wire::primitives::{Reader, WireError, Writer, check_version};

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamsGroupHeartbeatResponse<'a> {
    /// In every version.
    pub throttle_time_ms: i32,
    /// In every version.
    pub error_code: i16,
    /// In every version, default null.
    pub error_message: Option<&'a str>,
    /// In every version.
    pub member_id: &'a str,
    /// In every version.
    pub member_epoch: i32,
    /// In every version.
    pub heartbeat_interval_ms: i32,
    /// In every version.
    pub acceptable_recovery_lag: i32,
    /// In every version.
    pub task_offset_interval_ms: i32,
    /// In every version.
    pub status: Option<Vec<Status<'a>>>,
    /// In every version, default null.
    pub active_tasks: Option<Vec<TaskIds<'a>>>,
    /// In every version, default null.
    pub standby_tasks: Option<Vec<TaskIds<'a>>>,
    /// In every version, default null.
    pub warmup_tasks: Option<Vec<TaskIds<'a>>>,
    /// In every version.
    pub endpoint_information_epoch: i32,
    /// In every version, default null.
    pub partitions_by_user_endpoint: Option<Vec<EndpointToPartitions<'a>>>,
}

impl Default for StreamsGroupHeartbeatResponse<'_> {
    fn default() -> Self {
        Self {
            throttle_time_ms: 0,
            error_code: 0,
            error_message: None,
            member_id: "",
            member_epoch: 0,
            heartbeat_interval_ms: 0,
            acceptable_recovery_lag: 0,
            task_offset_interval_ms: 0,
            status: Some(Vec::new()),
            active_tasks: None,
            standby_tasks: None,
            warmup_tasks: None,
            endpoint_information_epoch: 0,
            partitions_by_user_endpoint: None,
        }
    }
}

impl<'a> StreamsGroupHeartbeatResponse<'a> {
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
        let throttle_time_ms = r.i32()?;
        let error_code = r.i16()?;
        let error_message = r.nullable_string(flexible)?;
        let member_id = r.string(flexible)?;
        let member_epoch = r.i32()?;
        let heartbeat_interval_ms = r.i32()?;
        let acceptable_recovery_lag = r.i32()?;
        let task_offset_interval_ms = r.i32()?;
        let status =
            r.nullable_array(flexible, Status::MIN_BYTES, |r| Status::decode(r, version))?;
        let active_tasks =
            r.nullable_array(flexible, TaskIds::MIN_BYTES, |r| TaskIds::decode(r, version))?;
        let standby_tasks =
            r.nullable_array(flexible, TaskIds::MIN_BYTES, |r| TaskIds::decode(r, version))?;
        let warmup_tasks =
            r.nullable_array(flexible, TaskIds::MIN_BYTES, |r| TaskIds::decode(r, version))?;
        let endpoint_information_epoch = r.i32()?;
        let partitions_by_user_endpoint =
            r.nullable_array(flexible, EndpointToPartitions::MIN_BYTES, |r| {
                EndpointToPartitions::decode(r, version)
            })?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self {
            throttle_time_ms,
            error_code,
            error_message,
            member_id,
            member_epoch,
            heartbeat_interval_ms,
            acceptable_recovery_lag,
            task_offset_interval_ms,
            status,
            active_tasks,
            standby_tasks,
            warmup_tasks,
            endpoint_information_epoch,
            partitions_by_user_endpoint,
        })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        w.string(self.member_id, flexible)?;
        w.i32(self.member_epoch);
        w.i32(self.heartbeat_interval_ms);
        w.i32(self.acceptable_recovery_lag);
        w.i32(self.task_offset_interval_ms);
        w.nullable_array(self.status.as_deref(), flexible, |w, x| x.encode(w, version))?;
        w.nullable_array(self.active_tasks.as_deref(), flexible, |w, x| x.encode(w, version))?;
        w.nullable_array(self.standby_tasks.as_deref(), flexible, |w, x| x.encode(w, version))?;
        w.nullable_array(self.warmup_tasks.as_deref(), flexible, |w, x| x.encode(w, version))?;
        w.i32(self.endpoint_information_epoch);
        w.nullable_array(self.partitions_by_user_endpoint.as_deref(), flexible, |w, x| {
            x.encode(w, version)
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
        check_version(version, Self::MIN_VERSION, Self::MAX_VERSION)?;
        let flexible = true;
        w.i32(self.throttle_time_ms);
        w.error_code(self.error_code);
        w.nullable_string(self.error_message, flexible)?;
        w.string(self.member_id, flexible)?;
        w.i32(self.member_epoch);
        w.i32(self.heartbeat_interval_ms);
        w.i32(self.acceptable_recovery_lag);
        w.i32(self.task_offset_interval_ms);
        let values = self.status.as_deref();
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode(w, version)?;
            pause().await;
        }
        let values = self.active_tasks.as_deref();
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        let values = self.standby_tasks.as_deref();
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        let values = self.warmup_tasks.as_deref();
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        w.i32(self.endpoint_information_epoch);
        let values = self.partitions_by_user_endpoint.as_deref();
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
pub struct Status<'a> {
    /// In every version.
    pub status_code: i8,
    /// In every version.
    pub status_detail: &'a str,
}

impl<'a> Status<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let status_code = r.i8()?;
        let status_detail = r.string(flexible)?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { status_code, status_detail })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.i8(self.status_code);
        w.string(self.status_detail, flexible)?;
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

/// In versions 0 to 0.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct EndpointToPartitions<'a> {
    /// In every version.
    pub user_endpoint: Endpoint<'a>,
    /// In every version.
    pub active_partitions: Vec<TopicPartition<'a>>,
    /// In every version.
    pub standby_partitions: Vec<TopicPartition<'a>>,
}

impl<'a> EndpointToPartitions<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 7;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let user_endpoint = Endpoint::decode(r, version)?;
        let active_partitions =
            r.array(flexible, TopicPartition::MIN_BYTES, |r| TopicPartition::decode(r, version))?;
        let standby_partitions =
            r.array(flexible, TopicPartition::MIN_BYTES, |r| TopicPartition::decode(r, version))?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { user_endpoint, active_partitions, standby_partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        self.user_endpoint.encode(w, version)?;
        w.array(&self.active_partitions, flexible, |w, x| x.encode(w, version))?;
        w.array(&self.standby_partitions, flexible, |w, x| x.encode(w, version))?;
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
        self.user_endpoint.encode(w, version)?;
        let values = Some(&self.active_partitions[..]);
        w.array_len(values.map(<[_]>::len), flexible)?;
        for x in values.unwrap_or_default() {
            x.encode_in_parts(w, version, pause).await?;
            pause().await;
        }
        let values = Some(&self.standby_partitions[..]);
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
pub struct TopicPartition<'a> {
    /// In every version.
    pub topic: &'a str,
    /// In every version.
    pub partitions: Vec<i32>,
}

impl<'a> TopicPartition<'a> {
    /// The least bytes that one takes, in any version.
    pub const MIN_BYTES: usize = 3;

    /// Reads one.
    pub fn decode(r: &mut Reader<'a>, version: i16) -> Result<Self, WireError> {
        let flexible = true;
        let topic = r.string(flexible)?;
        let partitions = r.array(flexible, 4, |r| r.i32())?;
        if flexible {
            r.skip_tagged_fields()?;
        }
        Ok(Self { topic, partitions })
    }

    /// Writes it; fails when a field is set that this version has no place for.
    pub fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        let flexible = true;
        w.string(self.topic, flexible)?;
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
        w.string(self.topic, flexible)?;
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
