//! A member of a consumer group.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::assigned_since::AssignedSince;
use super::partitions::{self, Partitions};
use crate::group::entry::ENTRY;
use crate::group::request::Protocol;
use crate::group::streams::member::{OwnedTasks, StreamsMetadata};

/// A static member that is away for a while has this epoch (KIP-848).
pub const LEFT_STATIC_EPOCH: i32 = -2;
/// A member that leaves for good says this epoch.
pub const LEAVE_EPOCH: i32 = -1;

/// Where a member is on its way to its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemberState {
    /// It is told all of its target, and has nothing to give up.
    #[default]
    Stable,
    /// It has not said yet that it gave up what it is to give up.
    UnrevokedPartitions,
    /// It waits for partitions that others have not given up.
    UnreleasedPartitions,
    /// A state of a newer version of Kafka.
    Unknown,
}

impl MemberState {
    /// As a record has it.
    pub const fn code(self) -> i8 {
        match self {
            Self::Stable => 0,
            Self::UnrevokedPartitions => 1,
            Self::UnreleasedPartitions => 2,
            Self::Unknown => 127,
        }
    }

    /// As a record has it.
    pub const fn of_code(code: i8) -> Self {
        match code {
            0 => Self::Stable,
            1 => Self::UnrevokedPartitions,
            2 => Self::UnreleasedPartitions,
            _ => Self::Unknown,
        }
    }
}

/// What a member says that speaks the classic protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassicMetadata {
    /// How long it may stay silent.
    pub session_timeout_ms: i32,
    /// Assignors that it knows, with its subscription; one at least.
    pub protocols: Vec<Protocol>,
}

/// What a member says of itself (`ConsumerGroupMemberMetadataValue`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberMetadata {
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.rack`.
    pub rack_id: Option<String>,
    /// `client.id`.
    pub client_id: String,
    /// Address that it joined from.
    pub client_host: String,
    /// Topics that it names.
    pub topics: Rc<BTreeSet<String>>,
    /// A regular expression for topics; empty is as good as none.
    pub regex: Option<String>,
    /// How long it may take to give up partitions.
    pub rebalance_timeout_ms: i32,
    /// The assignor that it wants.
    pub server_assignor: Option<String>,
    /// It speaks the classic protocol.
    pub classic: Option<ClassicMetadata>,
    /// It is of a streams group.
    pub streams: Option<Box<StreamsMetadata>>,
}

impl MemberMetadata {
    /// Its regular expression, if it has one that stands for anything.
    pub fn pattern(&self) -> Option<&str> {
        self.regex.as_deref().filter(|it| !it.is_empty())
    }

    /// Memory that it takes, bytes. Names of topics are shared, and are not counted here.
    pub fn bytes(&self) -> usize {
        let text = |it: &Option<String>| it.as_ref().map_or(0, String::len);
        let protocol = |it: &Protocol| ENTRY + it.name.len() + it.metadata.len();
        size_of::<Self>()
            + 2 * text(&self.instance_id)
            + text(&self.rack_id)
            + self.client_id.len()
            + self.client_host.len()
            + text(&self.regex)
            + text(&self.server_assignor)
            + self.classic.iter().flat_map(|it| &it.protocols).map(protocol).sum::<usize>()
            + self.streams.as_ref().map_or(0, |it| it.bytes())
    }
}

/// What a member was told, and what it still has to do (`ConsumerGroupCurrentMemberAssignmentValue`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Current {
    /// Its epoch: -2 while a static member is away.
    pub epoch: i32,
    /// The one before: an answer with the last may have been lost.
    pub previous_epoch: i32,
    /// Where it is.
    pub state: MemberState,
    /// Partitions that it has, or was told to have.
    pub assigned: Partitions,
    /// Partitions that it is to give up, and may still have.
    pub revoking: Partitions,
    /// Since when it has each of both.
    pub since: AssignedSince,
    /// The same of a member of a streams group, which has tasks.
    pub tasks: Option<Box<OwnedTasks>>,
}

impl Current {
    /// Whether it has come to a target of that epoch.
    pub fn is_reconciled_to(&self, epoch: i32) -> bool {
        self.state == MemberState::Stable && self.epoch == epoch
    }

    /// Memory that it takes, bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + partitions::bytes(&self.assigned)
            + partitions::bytes(&self.revoking)
            + self.since.bytes()
            + self.tasks.as_ref().map_or(0, |it| it.bytes())
    }
}

/// When something is over for a member, by the monotonic clock, ms. Not kept in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deadlines {
    /// It is taken for dead.
    pub session: Option<i64>,
    /// It has not given up its partitions.
    pub revocation: Option<i64>,
    /// One of the classic protocol has not joined again.
    pub rejoin: Option<i64>,
    /// One of the classic protocol has not fetched its assignment.
    pub sync: Option<i64>,
}

impl Deadlines {
    /// The first of them.
    pub fn first_ms(&self) -> i64 {
        let all = [self.session, self.revocation, self.rejoin, self.sync];
        all.into_iter().flatten().min().unwrap_or(i64::MAX)
    }
}

/// A member.
#[derive(Clone, Debug, Default)]
pub struct Member {
    /// What it says of itself.
    pub metadata: MemberMetadata,
    /// What it was told.
    pub current: Current,
    /// When something is over for it.
    pub deadlines: Deadlines,
}

impl Member {
    /// Whether it speaks the classic protocol.
    pub const fn is_classic(&self) -> bool {
        self.metadata.classic.is_some()
    }

    /// Memory that it takes, bytes; names of topics that only it has included.
    pub fn bytes(&self) -> usize {
        let topics: usize = self.metadata.topics.iter().map(|it| ENTRY + it.len()).sum();
        self.metadata.bytes() + self.current.bytes() + topics
    }

    /// When its time is over for what a rebalance asks of it, if that begins now.
    pub fn rebalance_until_ms(&self, now_ms: i64) -> i64 {
        now_ms + i64::from(self.metadata.rebalance_timeout_ms).max(1)
    }

    /// Gives it its time anew where it is to give up partitions, and takes that back where it is not: what it was told may
    /// have been taken back, and a static member that is away owns nothing that others wait for.
    pub fn watch_revocation(&mut self, now_ms: i64) -> Option<i64> {
        let is_asked = self.current.state == MemberState::UnrevokedPartitions
            && self.current.epoch != LEFT_STATIC_EPOCH
            && !self.is_classic();
        self.deadlines.revocation = is_asked.then(|| self.rebalance_until_ms(now_ms));
        self.deadlines.revocation
    }

    /// Starts its session anew, of so many milliseconds unless it has chosen another time itself.
    pub fn renew(&mut self, now_ms: i64, session_timeout_ms: i32) -> i64 {
        let own = self.metadata.classic.as_ref().map(|it| it.session_timeout_ms);
        let at_ms = now_ms + i64::from(own.unwrap_or(session_timeout_ms)).max(1);
        self.deadlines.session = Some(at_ms);
        at_ms
    }
}
