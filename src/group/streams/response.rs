//! What a streams group answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::member::{Endpoint, StreamsMetadata};
use super::tasks::Tasks;
use super::topology::{self, Configured, InternalTopic, Topology};
use crate::types::ErrorCode;

/// What a member is told of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It runs an older topology than the group.
    StaleTopology,
    /// Something is wrong with topics.
    Topics(topology::Status),
    /// Somebody wants all to shut down.
    ShutdownApplication,
    /// Tasks are assigned later.
    AssignmentDelayed,
}

impl Status {
    /// As answers have it.
    pub const fn code(self) -> i8 {
        match self {
            Self::StaleTopology => 0,
            Self::Topics(topology::Status::MissingSourceTopics) => 1,
            Self::Topics(topology::Status::IncorrectlyPartitionedTopics) => 2,
            Self::Topics(topology::Status::MissingInternalTopics) => 3,
            Self::ShutdownApplication => 4,
            Self::AssignmentDelayed => 5,
        }
    }
}

/// Partitions whose state can be asked for at an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointPartitions {
    /// Of active tasks, by topic.
    pub active: BTreeMap<Arc<str>, Vec<i32>>,
    /// Of standby tasks, by topic.
    pub standby: BTreeMap<Arc<str>, Vec<i32>>,
}

/// Answer to `StreamsGroupHeartbeat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsHeartbeaten {
    /// What went wrong.
    pub error: ErrorCode,
    /// A sentence about the error.
    pub error_message: Option<String>,
    /// The member; empty with an error.
    pub member_id: String,
    /// Its epoch.
    pub member_epoch: i32,
    /// How long it may wait with the next heartbeat.
    pub heartbeat_interval_ms: i32,
    /// What it is told of the group, each with Kafka's words.
    pub statuses: Vec<(Status, String)>,
    /// What it is to have, where that has changed or the member does not know it.
    pub tasks: Option<Tasks>,
    /// The epoch of endpoints.
    pub endpoint_epoch: i32,
    /// Where states can be asked for; `None` where the member knows that epoch. Members of one instance are one: clients keep
    /// one entry for each endpoint, where Kafka 4.3 gives one for each member, so that they forget some.
    pub endpoints: Option<BTreeMap<Endpoint, EndpointPartitions>>,
    /// Internal topics that are missing, and are to be created.
    pub to_create: BTreeMap<Arc<str>, InternalTopic>,
}

impl StreamsHeartbeaten {
    /// A refusal.
    pub const fn refused(error: ErrorCode, error_message: Option<String>) -> Self {
        Self {
            error,
            error_message,
            member_id: String::new(),
            member_epoch: 0,
            heartbeat_interval_ms: 0,
            statuses: Vec::new(),
            tasks: None,
            endpoint_epoch: 0,
            endpoints: None,
            to_create: BTreeMap::new(),
        }
    }
}

/// What the members of a group run, as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DescribedTopology {
    /// Nothing is known of its topics yet.
    Declared(Arc<Topology>),
    /// With its topics.
    Configured(Configured),
}

/// Answer to `StreamsGroupDescribe` of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsDescribed {
    /// `GROUP_ID_NOT_FOUND` when there is no such streams group.
    pub error: ErrorCode,
    /// A sentence about the error.
    pub error_message: Option<String>,
    /// The group.
    pub group_id: String,
    /// Name of its state.
    pub state: &'static str,
    /// Its epoch.
    pub epoch: i32,
    /// The epoch of the targets.
    pub target_epoch: i32,
    /// What its members run; `None` with an error.
    pub topology: Option<DescribedTopology>,
    /// Its members.
    pub members: Vec<StreamsDescribedMember>,
}

impl StreamsDescribed {
    /// A group that cannot be described.
    pub const fn refused(group_id: String, error: ErrorCode, message: Option<String>) -> Self {
        Self {
            error,
            error_message: message,
            group_id,
            state: "",
            epoch: 0,
            target_epoch: 0,
            topology: None,
            members: Vec::new(),
        }
    }
}

/// A member, as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamsDescribedMember {
    /// Its id.
    pub member_id: String,
    /// Its epoch.
    pub member_epoch: i32,
    /// `group.instance.id`.
    pub instance_id: Option<String>,
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Address that it joined from.
    pub client_host: String,
    /// What else it says of itself.
    pub streams: StreamsMetadata,
    /// What it has.
    pub assigned: Tasks,
    /// What it is to have.
    pub target: Tasks,
}
