//! What a consumer group answers.

use super::partitions::Partitions;
use crate::group::share::topics::Uninitialized;
use crate::types::{ErrorCode, TopicId};

/// A refusal: the error, and a sentence about it.
pub type Refusal = (ErrorCode, String);

/// Answer to `ConsumerGroupHeartbeat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerHeartbeaten {
    /// What went wrong.
    pub error: ErrorCode,
    /// A sentence about the error.
    pub error_message: Option<String>,
    /// The member; `None` with an error.
    pub member_id: Option<String>,
    /// Its epoch.
    pub member_epoch: i32,
    /// How long it may wait with the next heartbeat.
    pub heartbeat_interval_ms: i32,
    /// What it is to have, where that has changed or the member does not know it.
    pub assignment: Option<Partitions>,
    /// Of a share group: partitions that its members want, and of which there are no states yet.
    pub uninitialized: Vec<Uninitialized>,
}

impl ConsumerHeartbeaten {
    /// A refusal.
    pub const fn refused(error: ErrorCode, error_message: Option<String>) -> Self {
        Self {
            error,
            error_message,
            member_id: None,
            member_epoch: 0,
            heartbeat_interval_ms: 0,
            assignment: None,
            uninitialized: Vec::new(),
        }
    }
}

/// Answer to `ConsumerGroupDescribe` of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerDescribed {
    /// `GROUP_ID_NOT_FOUND` when there is no such consumer group.
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
    /// The assignor.
    pub assignor: String,
    /// Its members.
    pub members: Vec<ConsumerDescribedMember>,
}

impl ConsumerDescribed {
    /// A group that cannot be described.
    pub const fn refused(group_id: String, error: ErrorCode, message: Option<String>) -> Self {
        Self {
            error,
            error_message: message,
            group_id,
            state: "",
            epoch: 0,
            target_epoch: 0,
            assignor: String::new(),
            members: Vec::new(),
        }
    }
}

/// Partitions of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedTopic {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// The partitions.
    pub partitions: Vec<i32>,
}

/// A member, as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerDescribedMember {
    /// Its id.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// Its epoch.
    pub member_epoch: i32,
    /// `client.id`.
    pub client_id: String,
    /// Address that it joined from.
    pub client_host: String,
    /// Topics that it names.
    pub topics: Vec<String>,
    /// Its regular expression.
    pub regex: Option<String>,
    /// What it has.
    pub assigned: Vec<DescribedTopic>,
    /// What it is to have.
    pub target: Vec<DescribedTopic>,
    /// It speaks the classic protocol.
    pub classic: bool,
}
