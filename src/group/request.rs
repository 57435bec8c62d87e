//! What a coordinator is asked, independent of versions. Absent fields of old versions have the
//! defaults of Kafka's message definitions.
//!
//! The coordinator keeps the [`Bytes`] that a join or a sync brings: they should not be slices of a
//! larger buffer.

use super::consumer::request::{ConsumerDescribe, ConsumerHeartbeat};
use super::share::request::{ListShareTopics, ShareHeartbeat, ShareInitialized};
use super::streams::request::{StreamsDescribe, StreamsHeartbeat};
use super::topic_index::TopicIndex;
use super::transaction::TransactionProducer;
use bytes::Bytes;

use crate::types::TopicId;

/// A commit of more offsets is taken some at a time.
pub const LONG_COMMIT: usize = 512;

/// One request of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRequest {
    /// `JoinGroup`.
    Join(Join),
    /// `SyncGroup`.
    Sync(Sync),
    /// `Heartbeat`.
    Heartbeat(Heartbeat),
    /// `LeaveGroup`.
    Leave(Leave),
    /// `OffsetCommit`.
    Commit(Commit),
    /// `OffsetFetch` of one group.
    FetchOffsets(FetchOffsets),
    /// `OffsetDelete`.
    DeleteOffsets(DeleteOffsets),
    /// `DescribeGroups` of one group. Where it has few members, it is answered out of turn.
    Describe(Describe),
    /// `DeleteGroups` of one group.
    DeleteGroup(DeleteGroup),
    /// `ConsumerGroupHeartbeat`.
    ConsumerHeartbeat(Box<ConsumerHeartbeat>),
    /// `ConsumerGroupDescribe` of one group.
    ConsumerDescribe(ConsumerDescribe),
    /// `ShareGroupHeartbeat`.
    ShareHeartbeat(Box<ShareHeartbeat>),
    /// `ShareGroupDescribe` of one group.
    ShareDescribe(ConsumerDescribe),
    /// Which states the share coordinator has of a share group.
    ListShareTopics(ListShareTopics),
    /// The share coordinator has other states of a share group.
    ShareInitialized(Box<ShareInitialized>),
    /// `StreamsGroupHeartbeat`.
    StreamsHeartbeat(Box<StreamsHeartbeat>),
    /// `StreamsGroupDescribe` of one group.
    StreamsDescribe(StreamsDescribe),
}

/// `JoinGroup`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Join {
    /// The group.
    pub group_id: String,
    /// How long the member may stay silent.
    pub session_timeout_ms: i32,
    /// How long the member may take to rejoin; negative (version 0 has no such field) is the
    /// session timeout.
    pub rebalance_timeout_ms: i32,
    /// The member's id; empty for a new member.
    pub member_id: String,
    /// `group.instance.id` of a static member (KIP-345).
    pub group_instance_id: Option<String>,
    /// Class of protocols: `consumer`, `connect`, …
    pub protocol_type: String,
    /// Assignors, the one it likes best first.
    pub protocols: Vec<Protocol>,
    /// Why it joins, for the log (KIP-800).
    pub reason: Option<String>,
    /// `client.id` of the request's header.
    pub client_id: String,
    /// Address that the request came from, as Kafka shows it: `/127.0.0.1`.
    pub client_host: String,
    /// The id to give if a new one is needed: `client_id`, or `group_instance_id` where there is
    /// one, `-`, and a random UUID.
    pub fresh_member_id: String,
    /// A new dynamic member has to join a second time, with the id it was given (version 4+,
    /// KIP-394).
    pub requires_known_member_id: bool,
    /// The leader can be told to keep the assignment (version 9+, KIP-814).
    pub supports_skip_assignment: bool,
}

/// An assignor that a member can work with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protocol {
    /// Its name: `range`, `cooperative-sticky`, …
    pub name: String,
    /// The member's subscription, in the protocol's format.
    pub metadata: Bytes,
}

/// `SyncGroup`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sync {
    /// The group.
    pub group_id: String,
    /// The generation that the member joined.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<String>,
    /// What the member takes for the group's protocol type; must match where present (version 5+).
    pub protocol_type: Option<String>,
    /// What the member takes for the group's protocol; must match where present (version 5+).
    pub protocol_name: Option<String>,
    /// The leader's assignments; empty from followers.
    pub assignments: Vec<Assignment>,
}

/// One member's part of the leader's decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// Whose.
    pub member_id: String,
    /// What, in the protocol's format.
    pub assignment: Bytes,
}

/// `Heartbeat`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// The group.
    pub group_id: String,
    /// The member's generation.
    pub generation_id: i32,
    /// The member.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<String>,
}

/// `LeaveGroup`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leave {
    /// The group.
    pub group_id: String,
    /// Who leaves: one before version 3, several since.
    pub members: Vec<Leaving>,
}

/// A member that leaves, or is made to leave by an administrator.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaving {
    /// The member; may be empty where the instance is named.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<String>,
}

/// `OffsetCommit`, of topics and partitions that exist: others are answered before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The group.
    pub group_id: String,
    /// The member's generation; negative for a consumer that takes no part in the group.
    pub generation_id: i32,
    /// The member; empty for a consumer that takes no part in the group.
    pub member_id: String,
    /// `group.instance.id` of a static member.
    pub group_instance_id: Option<String>,
    /// How long to keep the offsets (versions 2–4); -1 for `offsets.retention.minutes`.
    pub retention_ms: i64,
    /// A member of a group that does not exist is told so (version 9+), instead of
    /// `ILLEGAL_GENERATION`.
    pub knows_group_id_not_found: bool,
    /// The offsets.
    pub topics: Vec<CommitTopic>,
    /// They are part of a transaction of this producer (`TxnOffsetCommit`).
    pub producer: Option<TransactionProducer>,
}

impl Commit {
    /// How many offsets it has.
    pub fn offsets(&self) -> usize {
        self.topics.iter().map(|it| it.partitions.len()).sum()
    }

    /// Whether it has very many.
    pub fn is_long(&self) -> bool {
        self.offsets() > LONG_COMMIT
    }

    /// Whether it is taken some offsets at a time: a long one that is not part of a transaction.
    pub fn is_taken_in_parts(&self) -> bool {
        self.is_long() && self.producer.is_none()
    }
}

/// The offsets of one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitTopic {
    /// The topic's name.
    pub name: String,
    /// The id that the topic has now; zero where it is not known.
    pub topic_id: TopicId,
    /// The offsets.
    pub partitions: Vec<CommitOffset>,
}

/// One offset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommitOffset {
    /// Partition number.
    pub partition: i32,
    /// The next offset that the group will read.
    pub offset: i64,
    /// Leader epoch of the record before it; -1 where the consumer does not know.
    pub leader_epoch: i32,
    /// What the client wants to keep with it.
    pub metadata: Option<String>,
}

/// `OffsetFetch` of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchOffsets {
    /// The group.
    pub group_id: String,
    /// The member, where it says so (version 9+). Classic groups do not check it.
    pub member_id: Option<String>,
    /// The member's epoch (version 9+). Classic groups do not check it.
    pub member_epoch: i32,
    /// Which offsets; `None` for all, as many of them as are given in one go.
    pub topics: Option<Vec<FetchTopic>>,
    /// Of all, those behind this one: the answer's [`FetchedOffsets::next`].
    ///
    /// [`FetchedOffsets::next`]: super::FetchedOffsets::next
    pub after: Option<OffsetPlace>,
    /// Offsets that a transaction may still change are an error.
    pub require_stable: bool,
}

/// An offset of a group, in the order in which all are given. One that is there from the first part to
/// the last is given once; what is committed in between may be in it or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetPlace(pub(super) TopicIndex, pub(super) i32);

/// Partitions of one topic whose offsets are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FetchTopic {
    /// The topic's name.
    pub name: String,
    /// The id that the topic has now; zero where it is not known. Offsets that were committed for a
    /// topic of this name with another id are not found.
    pub topic_id: TopicId,
    /// Partition numbers.
    pub partitions: Vec<i32>,
}

/// Partitions of one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicPartitions {
    /// The topic's name.
    pub name: String,
    /// Partition numbers.
    pub partitions: Vec<i32>,
}

/// `OffsetDelete`, of topics and partitions that exist: others are answered before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOffsets {
    /// The group.
    pub group_id: String,
    /// Whose offsets.
    pub topics: Vec<TopicPartitions>,
}

/// `ListGroups`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Names of states, in any case; empty for all.
    pub states: Vec<String>,
    /// Names of group types, in any case; empty for all. All groups here are `classic`.
    pub types: Vec<String>,
}

/// `DescribeGroups` of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Describe {
    /// The group.
    pub group_id: String,
}

/// `DeleteGroups` of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteGroup {
    /// The group.
    pub group_id: String,
}

impl Default for Commit {
    fn default() -> Self {
        Self {
            group_id: String::new(),
            generation_id: -1,
            member_id: String::new(),
            group_instance_id: None,
            retention_ms: -1,
            knows_group_id_not_found: false,
            topics: Vec::new(),
            producer: None,
        }
    }
}

impl Default for FetchOffsets {
    fn default() -> Self {
        Self {
            group_id: String::new(),
            member_id: None,
            member_epoch: -1,
            topics: None,
            after: None,
            require_stable: false,
        }
    }
}

impl GroupRequest {
    /// The group that is asked.
    pub fn group_id(&self) -> &str {
        match self {
            Self::Join(it) => &it.group_id,
            Self::Sync(it) => &it.group_id,
            Self::Heartbeat(it) => &it.group_id,
            Self::Leave(it) => &it.group_id,
            Self::Commit(it) => &it.group_id,
            Self::FetchOffsets(it) => &it.group_id,
            Self::DeleteOffsets(it) => &it.group_id,
            Self::Describe(it) => &it.group_id,
            Self::DeleteGroup(it) => &it.group_id,
            Self::ConsumerHeartbeat(it) => &it.group_id,
            Self::ConsumerDescribe(it) | Self::ShareDescribe(it) => &it.group_id,
            Self::ShareHeartbeat(it) => &it.group_id,
            Self::ListShareTopics(it) => &it.group_id,
            Self::ShareInitialized(it) => &it.group_id,
            Self::StreamsHeartbeat(it) => &it.group_id,
            Self::StreamsDescribe(it) => &it.group_id,
        }
    }
}
