//! What a coordinator answers, independent of versions.

use bytes::Bytes;

use super::consumer::response::{ConsumerDescribed, ConsumerHeartbeaten};
use super::request::{DeleteOffsets, GroupRequest, LONG_COMMIT, Leave, OffsetPlace};
use super::share::response::ListedShareTopics;
use super::streams::response::{StreamsDescribed, StreamsHeartbeaten};
use crate::types::{ErrorCode, TopicId};

/// The answer to a [`GroupRequest`] of the same kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupResponse {
    /// To [`GroupRequest::Join`].
    Join(Joined),
    /// To [`GroupRequest::Sync`].
    Sync(Synced),
    /// To [`GroupRequest::Heartbeat`].
    Heartbeat(Heartbeaten),
    /// To [`GroupRequest::Leave`].
    Leave(Left),
    /// To [`GroupRequest::Commit`].
    Commit(Committed),
    /// To [`GroupRequest::FetchOffsets`].
    FetchOffsets(FetchedOffsets),
    /// To [`GroupRequest::DeleteOffsets`].
    DeleteOffsets(DeletedOffsets),
    /// To [`GroupRequest::Describe`].
    Describe(Described),
    /// To [`GroupRequest::DeleteGroup`].
    DeleteGroup(DeletedGroup),
    /// To [`GroupRequest::ConsumerHeartbeat`].
    ConsumerHeartbeat(ConsumerHeartbeaten),
    /// To [`GroupRequest::ListShareTopics`] and [`GroupRequest::ShareInitialized`].
    ListShareTopics(ListedShareTopics),
    /// To [`GroupRequest::ConsumerDescribe`].
    ConsumerDescribe(ConsumerDescribed),
    /// To [`GroupRequest::StreamsHeartbeat`].
    StreamsHeartbeat(Box<StreamsHeartbeaten>),
    /// To [`GroupRequest::StreamsDescribe`].
    StreamsDescribe(Box<StreamsDescribed>),
}

/// Answer to `JoinGroup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// What went wrong.
    pub error: ErrorCode,
    /// The new generation; -1 with an error.
    pub generation_id: i32,
    /// The group's protocol type; `None` with an error.
    pub protocol_type: Option<String>,
    /// The protocol that the members chose; `None` with an error.
    pub protocol_name: Option<String>,
    /// The leader's member id; empty with an error.
    pub leader: String,
    /// The leader has nothing to assign (KIP-814).
    pub skip_assignment: bool,
    /// The member's id; with `MEMBER_ID_REQUIRED`, the one to join with.
    pub member_id: String,
    /// All members, for the leader; empty for followers.
    pub members: Vec<JoinMember>,
}

/// A member, as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinMember {
    /// Its id.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<String>,
    /// Its metadata for the protocol chosen.
    pub metadata: Bytes,
}

/// Answer to `SyncGroup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synced {
    /// What went wrong.
    pub error: ErrorCode,
    /// The group's protocol type; `None` with an error.
    pub protocol_type: Option<String>,
    /// The group's protocol; `None` with an error.
    pub protocol_name: Option<String>,
    /// The member's assignment; empty with an error.
    pub assignment: Bytes,
}

/// Answer to `Heartbeat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeaten {
    /// What went wrong.
    pub error: ErrorCode,
}

/// Answer to `LeaveGroup`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// What went wrong with the request as a whole. Before version 3, the answer is this or the
    /// error of the only member.
    pub error: ErrorCode,
    /// The members of the request, in its order; empty when `error` is set.
    pub members: Vec<LeftMember>,
}

/// What became of one member that was to leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftMember {
    /// As in the request.
    pub member_id: String,
    /// As in the request.
    pub group_instance_id: Option<String>,
    /// What went wrong.
    pub error: ErrorCode,
}

/// Answer to `OffsetCommit`: topics and partitions in the order of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The result of every partition that has no error of its own.
    pub error: ErrorCode,
    /// The topics; none where all partitions have the same result.
    pub topics: Vec<CommittedTopic>,
}

/// Results of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedTopic {
    /// As in the request.
    pub name: String,
    /// As in the request; zero in the answer to `OffsetDelete`.
    pub topic_id: TopicId,
    /// The partitions.
    pub partitions: Vec<PartitionResult>,
}

/// Result of one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionResult {
    /// Partition number.
    pub partition: i32,
    /// What went wrong.
    pub error: ErrorCode,
}

/// Answer to `OffsetFetch` of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffsets {
    /// What went wrong with the group.
    pub error: ErrorCode,
    /// The topics of the request, in its order; or all that have offsets, by name. A topic that was
    /// recreated is there once for each id that has offsets.
    pub topics: Vec<FetchedTopic>,
    /// Where to go on, when all offsets were asked for and these are not all.
    pub next: Option<OffsetPlace>,
}

/// Offsets of one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTopic {
    /// The topic's name.
    pub name: String,
    /// As in the request; where all topics were asked for, the id that the commit came with, which
    /// is zero where it was not known.
    pub topic_id: TopicId,
    /// The partitions.
    pub partitions: Vec<FetchedOffset>,
}

/// The offset of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedOffset {
    /// Partition number.
    pub partition: i32,
    /// The offset; -1 when there is none.
    pub offset: i64,
    /// Leader epoch of the record before it; -1 when it is not known.
    pub leader_epoch: i32,
    /// What the client gave with it.
    pub metadata: String,
    /// What went wrong.
    pub error: ErrorCode,
}

/// Answer to `OffsetDelete`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedOffsets {
    /// What went wrong with the request as a whole.
    pub error: ErrorCode,
    /// The partitions of the request, in its order; empty when `error` is set.
    pub topics: Vec<CommittedTopic>,
}

/// A group, in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The group.
    pub group_id: String,
    /// Its protocol type; empty for a group that only holds offsets.
    pub protocol_type: String,
    /// Name of its state: `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Stable`; `Empty`, `Assigning`,
    /// `Reconciling`, `Stable` of one of consumers; also `NotReady` of one of Kafka Streams.
    pub state: &'static str,
    /// `classic`, `consumer`, `share` or `streams`.
    pub group_type: &'static str,
}

/// Answer to `DescribeGroups` of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// `GROUP_ID_NOT_FOUND` when there is no such group. Before version 6 the answer is then a
    /// group in the state `Dead`, without error.
    pub error: ErrorCode,
    /// A sentence about the error.
    pub error_message: Option<String>,
    /// The group.
    pub group_id: String,
    /// Name of its state; `Dead` when there is no such group.
    pub state: &'static str,
    /// Its protocol type.
    pub protocol_type: String,
    /// Its protocol; empty during a rebalance.
    pub protocol_data: String,
    /// Its members.
    pub members: Vec<DescribedMember>,
}

/// A member, as an administrator sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedMember {
    /// Its id.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<String>,
    /// `client.id` that it joined with.
    pub client_id: String,
    /// Address that it joined from.
    pub client_host: String,
    /// Its metadata for the group's protocol; empty unless the group is stable.
    pub metadata: Bytes,
    /// Its assignment; empty unless the group is stable.
    pub assignment: Bytes,
}

/// Answer to `DeleteGroups` of one group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeletedGroup {
    /// What went wrong.
    pub error: ErrorCode,
}

impl Joined {
    /// A refusal.
    pub fn refused(member_id: impl Into<String>, error: ErrorCode) -> Self {
        Self {
            error,
            generation_id: -1,
            protocol_type: None,
            protocol_name: None,
            leader: String::new(),
            skip_assignment: false,
            member_id: member_id.into(),
            members: Vec::new(),
        }
    }
}

impl Synced {
    /// A refusal.
    pub fn refused(error: ErrorCode) -> Self {
        Self { error, protocol_type: None, protocol_name: None, assignment: Bytes::new() }
    }
}

impl Left {
    /// A refusal of the request as a whole: Kafka gives every member that error too.
    pub fn refused(_request: &Leave, error: ErrorCode) -> Self {
        Self { error, members: Vec::new() }
    }
}

impl Committed {
    /// Gives every partition that had no error this one.
    pub fn fail(&mut self, error: ErrorCode) {
        self.error = error;
    }

    /// The same result for every partition.
    pub fn all(error: ErrorCode) -> Self {
        Self { error, topics: Vec::new() }
    }

    /// The result of a partition, by the places of its topic and of itself in the request.
    pub fn error_of(&self, topic: usize, partition: usize) -> ErrorCode {
        let own = self.topics.get(topic).map(|it| it.partitions[partition].error);
        own.filter(|it| it.is_err()).unwrap_or(self.error)
    }
}

impl GroupResponse {
    /// How many partitions are in it; 0 where they were put together in parts, as members always are.
    pub fn len(&self) -> usize {
        match self {
            Self::FetchOffsets(it) => it.topics.iter().map(|it| it.partitions.len()).sum(),
            Self::Commit(it) => {
                let count = it.topics.iter().map(|it| it.partitions.len()).sum();
                if count > LONG_COMMIT { 0 } else { count }
            }
            Self::DeleteOffsets(it) => it.topics.iter().map(|it| it.partitions.len()).sum(),
            Self::Join(_)
            | Self::Describe(_)
            | Self::Leave(_)
            | Self::Sync(_)
            | Self::Heartbeat(_)
            | Self::ConsumerHeartbeat(_)
            | Self::ConsumerDescribe(_)
            | Self::ListShareTopics(_)
            | Self::StreamsHeartbeat(_)
            | Self::StreamsDescribe(_)
            | Self::DeleteGroup(_) => 0,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FetchedOffsets {
    /// A refusal.
    pub const fn refused(error: ErrorCode) -> Self {
        Self { error, topics: Vec::new(), next: None }
    }
}

impl DeletedOffsets {
    /// A refusal of the request as a whole.
    pub const fn refused(_request: &DeleteOffsets, error: ErrorCode) -> Self {
        Self { error, topics: Vec::new() }
    }
}

impl Described {
    /// There is no such group.
    pub fn not_found(group_id: &str) -> Self {
        let message = format!("Group {group_id} not found.");
        Self::refused(group_id, ErrorCode::GROUP_ID_NOT_FOUND, Some(message))
    }

    /// A group that cannot be described.
    pub fn refused(group_id: impl Into<String>, error: ErrorCode, message: Option<String>) -> Self {
        Self {
            error,
            error_message: message,
            group_id: group_id.into(),
            state: "Dead",
            protocol_type: String::new(),
            protocol_data: String::new(),
            members: Vec::new(),
        }
    }
}

impl GroupResponse {
    /// The refusal of any request: for the owner of a coordinator that is loading, or is not here.
    pub fn refused(request: &GroupRequest, error: ErrorCode) -> Self {
        match request {
            GroupRequest::Join(it) => Self::Join(Joined::refused(it.member_id.clone(), error)),
            GroupRequest::Sync(_) => Self::Sync(Synced::refused(error)),
            GroupRequest::Heartbeat(_) => Self::Heartbeat(Heartbeaten { error }),
            GroupRequest::Leave(it) => Self::Leave(Left::refused(it, error)),
            GroupRequest::Commit(_) => Self::Commit(Committed::all(error)),
            GroupRequest::FetchOffsets(_) => Self::FetchOffsets(FetchedOffsets::refused(error)),
            GroupRequest::DeleteOffsets(it) => {
                Self::DeleteOffsets(DeletedOffsets::refused(it, error))
            }
            GroupRequest::Describe(it) => {
                Self::Describe(Described::refused(it.group_id.clone(), error, None))
            }
            GroupRequest::DeleteGroup(_) => Self::DeleteGroup(DeletedGroup { error }),
            GroupRequest::ConsumerHeartbeat(_) | GroupRequest::ShareHeartbeat(_) => {
                Self::ConsumerHeartbeat(ConsumerHeartbeaten::refused(error, None))
            }
            GroupRequest::ConsumerDescribe(it) | GroupRequest::ShareDescribe(it) => {
                Self::ConsumerDescribe(ConsumerDescribed::refused(it.group_id.clone(), error, None))
            }
            GroupRequest::ListShareTopics(_) | GroupRequest::ShareInitialized(_) => {
                Self::ListShareTopics(ListedShareTopics::refused(error))
            }
            GroupRequest::StreamsHeartbeat(_) => {
                Self::StreamsHeartbeat(Box::new(StreamsHeartbeaten::refused(error, None)))
            }
            GroupRequest::StreamsDescribe(it) => {
                let refused = StreamsDescribed::refused(it.group_id.clone(), error, None);
                Self::StreamsDescribe(Box::new(refused))
            }
        }
    }
}
