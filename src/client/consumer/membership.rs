//! One member of a consumer group, classic protocol, without its connection.
//!
//! [`Membership::step`] says what is to be done next; whoever does it tells the result with the
//! method that the step names. A member finds its coordinator, joins, syncs (as leader after it has
//! assigned), then sends heartbeats until one says that the group rebalances. Time is an argument.

use super::assignor::{Assignor, GroupMember, PartitionCounts};
use super::subscription::{
    PROTOCOL_TYPE, Partitions, Subscription, decode_assignment, encode_assignment,
};
use crate::client::ClientError;
use crate::types::ErrorCode;
use crate::wire::kafka::heartbeat_request::HeartbeatRequest;
use crate::wire::kafka::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use crate::wire::kafka::join_group_response::JoinGroupResponse;
use crate::wire::kafka::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use crate::wire::kafka::sync_group_response::SyncGroupResponse;
use std::collections::{BTreeMap, BTreeSet};

/// Settings of a group's member, with the defaults of Kafka's consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSettings {
    /// `group.id`.
    pub group_id: String,
    /// `group.instance.id`: a static member, which may come back without a rebalance (KIP-345).
    pub instance_id: Option<String>,
    /// `session.timeout.ms`.
    pub session_timeout_ms: i32,
    /// `max.poll.interval.ms`: how long the others wait for this one to join again.
    pub rebalance_timeout_ms: i32,
    /// `heartbeat.interval.ms`.
    pub heartbeat_interval_ms: i64,
    /// `partition.assignment.strategy`, the preferred first.
    pub assignors: Vec<Assignor>,
    /// `client.rack`.
    pub rack: Option<String>,
}

impl GroupSettings {
    /// A dynamic member of `group_id`.
    pub fn new(group_id: &str) -> Self {
        Self {
            group_id: group_id.to_owned(),
            instance_id: None,
            session_timeout_ms: 45_000,
            rebalance_timeout_ms: 300_000,
            heartbeat_interval_ms: 3_000,
            assignors: vec![Assignor::Range, Assignor::CooperativeSticky],
            rack: None,
        }
    }

    /// Members keep partitions while the group rebalances: only if every assignor can do that.
    pub fn is_cooperative(&self) -> bool {
        self.assignors.iter().all(|a| a.is_cooperative())
    }
}

/// The next thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask a broker for the coordinator; then [`Membership::coordinator_found`] or
    /// [`Membership::coordinator_not_found`].
    FindCoordinator,
    /// The member is about to join: [`Membership::prepared`] with what it keeps.
    Prepare(Release),
    /// Send [`Membership::join_request`]; its answer goes to [`Membership::joined`].
    Join,
    /// Find out how many partitions these topics have; then [`Membership::assign`].
    CountPartitions(BTreeSet<String>),
    /// Send [`Membership::sync_request`]; its answer goes to [`Membership::synced`].
    Sync,
    /// Send [`Membership::heartbeat_request`]; its answer goes to [`Membership::heartbeat_answered`].
    Heartbeat,
    /// Nothing to do before this time, in milliseconds.
    Wait(i64),
}

/// What happens to the member's partitions before it joins again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Commit, then give up all: the eager protocol.
    All,
    /// Commit and keep them: the cooperative protocol.
    Nothing,
    /// They are gone: others have them already, so there is nothing to commit.
    Lost,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// `prepared`: partitions are released as the protocol wants it.
    Unjoined {
        prepared: bool,
    },
    JoinSent,
    /// The leader, before it has assigned.
    Leading {
        members: Vec<GroupMember>,
        assignor: Assignor,
    },
    SyncReady,
    SyncSent,
    Stable,
}

/// One member of a group.
#[derive(Clone, Debug)]
pub struct Membership {
    settings: GroupSettings,
    topics: Vec<String>,
    member_id: String,
    generation: i32,
    protocol: String,
    coordinator: Option<i32>,
    phase: Phase,
    /// What the member keeps, or has.
    owned: Partitions,
    lost: bool,
    is_leader: bool,
    /// As leader: what the assignment was made from.
    counts: PartitionCounts,
    /// As leader: the group's topics.
    group_topics: BTreeSet<String>,
    /// The leader's assignments by member, encoded.
    assignments: Vec<(String, Vec<u8>)>,
    not_before_ms: i64,
    failures: u32,
    heartbeat_sent: bool,
    next_heartbeat_ms: i64,
    session_ends_ms: i64,
    reason: &'static str,
}

const FIRST_BACKOFF_MS: i64 = 100;
const LONGEST_BACKOFF_MS: i64 = 1_000;
/// JoinGroup is answered when all members are there; the client waits a little longer than the broker.
pub const JOIN_GRACE_MS: i64 = 5_000;

impl Membership {
    /// A member that has not joined yet.
    pub fn new(settings: GroupSettings, topics: Vec<String>) -> Self {
        Self {
            settings,
            topics,
            member_id: String::new(),
            generation: -1,
            protocol: String::new(),
            coordinator: None,
            phase: Phase::Unjoined { prepared: false },
            owned: Partitions::new(),
            lost: false,
            is_leader: false,
            counts: PartitionCounts::new(),
            group_topics: BTreeSet::new(),
            assignments: Vec::new(),
            not_before_ms: 0,
            failures: 0,
            heartbeat_sent: false,
            next_heartbeat_ms: 0,
            session_ends_ms: i64::MAX,
            reason: "",
        }
    }

    /// The settings.
    pub fn settings(&self) -> &GroupSettings {
        &self.settings
    }

    /// Member id and generation: ("", -1) outside a group.
    pub fn identity(&self) -> (&str, i32) {
        (&self.member_id, self.generation)
    }

    /// Node id of the coordinator.
    pub fn coordinator(&self) -> Option<i32> {
        self.coordinator
    }

    /// Whether the group is stable and this is one of its members.
    pub fn is_stable(&self) -> bool {
        self.phase == Phase::Stable
    }

    /// The next step.
    pub fn step(&mut self, now_ms: i64) -> Step {
        if self.phase == Phase::Stable && now_ms >= self.session_ends_ms {
            // The coordinator has not answered for a session: it has given the partitions away.
            self.coordinator = None;
            self.out_of_group(true);
        }
        match &self.phase {
            Phase::Unjoined { prepared: false } if self.lost => Step::Prepare(Release::Lost),
            _ if now_ms < self.not_before_ms => Step::Wait(self.not_before_ms),
            _ if self.coordinator.is_none() => Step::FindCoordinator,
            Phase::Unjoined { prepared: false } => {
                let keeps = self.settings.is_cooperative();
                Step::Prepare(if keeps { Release::Nothing } else { Release::All })
            }
            Phase::Unjoined { prepared: true } => Step::Join,
            Phase::Leading { .. } => Step::CountPartitions(self.group_topics.clone()),
            Phase::SyncReady => Step::Sync,
            Phase::JoinSent | Phase::SyncSent => Step::Wait(i64::MAX),
            Phase::Stable => {
                if !self.heartbeat_sent && now_ms >= self.next_heartbeat_ms {
                    return Step::Heartbeat;
                }
                let next = if self.heartbeat_sent { i64::MAX } else { self.next_heartbeat_ms };
                Step::Wait(next.min(self.session_ends_ms))
            }
        }
    }

    /// The coordinator was found.
    pub fn coordinator_found(&mut self, node: i32) {
        self.coordinator = Some(node);
        self.failures = 0;
    }

    /// No broker coordinates the group at the moment; asked again later.
    pub fn coordinator_not_found(&mut self, now_ms: i64) {
        self.back_off(now_ms);
    }

    /// The connection to the coordinator is gone. The member stays one, until its session is over.
    pub fn coordinator_lost(&mut self, now_ms: i64) {
        self.coordinator = None;
        self.heartbeat_sent = false;
        self.back_off(now_ms);
        if self.phase != Phase::Stable {
            self.phase = Phase::Unjoined { prepared: self.is_prepared() };
        }
    }

    fn is_prepared(&self) -> bool {
        !matches!(self.phase, Phase::Stable | Phase::Unjoined { prepared: false })
    }

    /// Partitions are released as [`Step::Prepare`] said; these are kept.
    pub fn prepared(&mut self, owned: Partitions) {
        self.owned = owned;
        self.lost = false;
        if matches!(self.phase, Phase::Unjoined { .. }) {
            self.phase = Phase::Unjoined { prepared: true };
        }
    }

    /// Changes the subscription; the member joins again.
    pub fn subscribe(&mut self, topics: Vec<String>) {
        if self.topics != topics {
            self.topics = topics;
            self.rejoin("the subscription has changed");
        }
    }

    /// The topics that it subscribes to.
    pub fn topics(&self) -> &[String] {
        &self.topics
    }

    /// The topics that this member has to watch: as leader all of the group's.
    pub fn watched_topics(&self) -> BTreeSet<String> {
        let own = self.topics.iter().cloned();
        own.chain(self.group_topics.iter().cloned()).collect()
    }

    /// Takes new metadata: the numbers of partitions by topic. A leader whose topics came, went or grew
    /// makes the group rebalance.
    pub fn partitions_counted(&mut self, counts: &PartitionCounts) {
        if self.is_leader && self.phase == Phase::Stable && *counts != self.counts {
            self.rejoin("the partitions of the group's topics have changed");
        }
    }

    /// Joins again as soon as possible, with the member id that it has.
    pub fn rejoin(&mut self, reason: &'static str) {
        if self.phase == Phase::Stable {
            self.phase = Phase::Unjoined { prepared: false };
            self.heartbeat_sent = false;
            self.reason = reason;
        } else if matches!(self.phase, Phase::Unjoined { .. }) {
            self.reason = reason;
        }
    }

    /// Gives the JoinGroup request to `send`, which says whether it left.
    pub fn join_request<T>(
        &mut self,
        version: i16,
        send: impl FnOnce(&JoinGroupRequest<'_>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let bad = |why| ClientError::BadRequest { api: "JoinGroup".to_owned(), why };
        let mut metadata = Vec::new();
        for assignor in &self.settings.assignors {
            let user_data = assignor.user_data(&self.owned, self.generation).map_err(bad)?;
            let subscription = Subscription {
                topics: self.topics.clone(),
                user_data,
                owned: self.owned.clone(),
                generation: self.generation,
                rack: self.settings.rack.clone(),
            };
            metadata.push((assignor.name(), subscription.encode().map_err(bad)?));
        }
        let request = JoinGroupRequest {
            group_id: &self.settings.group_id,
            session_timeout_ms: self.settings.session_timeout_ms,
            rebalance_timeout_ms: self.settings.rebalance_timeout_ms,
            member_id: &self.member_id,
            group_instance_id: self.settings.instance_id.as_deref().filter(|_| version >= 5),
            protocol_type: PROTOCOL_TYPE,
            protocols: metadata
                .iter()
                .map(|(name, metadata)| JoinGroupRequestProtocol { name, metadata })
                .collect(),
            reason: Some(self.reason).filter(|r| version >= 8 && !r.is_empty()),
        };
        let sent = send(&request)?;
        self.phase = Phase::JoinSent;
        Ok(sent)
    }

    /// The answer to JoinGroup.
    ///
    /// # Errors
    /// What no further attempt can change.
    pub fn joined(
        &mut self,
        now_ms: i64,
        response: &JoinGroupResponse<'_>,
    ) -> Result<(), ClientError> {
        if self.phase != Phase::JoinSent {
            return Ok(());
        }
        self.phase = Phase::Unjoined { prepared: true };
        let code = ErrorCode(response.error_code);
        match code {
            ErrorCode::NONE => {}
            ErrorCode::MEMBER_ID_REQUIRED => {
                response.member_id.clone_into(&mut self.member_id);
                return Ok(());
            }
            _ => return self.refused(now_ms, code, "joining"),
        }
        self.failures = 0;
        response.member_id.clone_into(&mut self.member_id);
        self.generation = response.generation_id;
        response.protocol_name.unwrap_or_default().clone_into(&mut self.protocol);
        self.is_leader = response.leader == response.member_id;
        self.reason = "";
        self.assignments.clear();
        self.group_topics.clear();
        if !self.is_leader {
            self.phase = Phase::SyncReady;
            return Ok(());
        }
        let members = response
            .members
            .iter()
            .map(|m| {
                let subscription = Subscription::decode(m.metadata)
                    .map_err(|why| ClientError::BadResponse { api: "JoinGroup".to_owned(), why })?;
                let instance_id = m.group_instance_id.map(str::to_owned);
                Ok(GroupMember { id: m.member_id.to_owned(), instance_id, subscription })
            })
            .collect::<Result<Vec<_>, ClientError>>()?;
        for member in &members {
            self.group_topics.extend(member.subscription.topics.iter().cloned());
        }
        let chosen = Assignor::from_name(&self.protocol);
        match chosen.filter(|a| self.settings.assignors.contains(a)) {
            // A static leader that came back: the assignment stands (KIP-814).
            _ if response.skip_assignment => self.phase = Phase::SyncReady,
            Some(assignor) => self.phase = Phase::Leading { members, assignor },
            None => {
                return Err(ClientError::Refused {
                    what: format!("joining group '{}'", self.settings.group_id),
                    code: ErrorCode::INCONSISTENT_GROUP_PROTOCOL,
                    message: Some(format!("the coordinator chose '{}'", self.protocol)),
                });
            }
        }
        Ok(())
    }

    /// As leader: assigns, now that the topics' sizes are known. Topics that do not exist are not in
    /// `counts`.
    pub fn assign(&mut self, counts: PartitionCounts) -> Result<(), ClientError> {
        let Phase::Leading { members, assignor } = &self.phase else { return Ok(()) };
        let assignments = assignor.assign(members, &counts);
        self.assignments = assignments
            .into_iter()
            .map(|(id, partitions)| Ok((id, encode_assignment(&partitions)?)))
            .collect::<Result<_, _>>()
            .map_err(|why| ClientError::BadRequest { api: "SyncGroup".to_owned(), why })?;
        self.counts = counts;
        self.phase = Phase::SyncReady;
        Ok(())
    }

    /// Gives the SyncGroup request to `send`.
    pub fn sync_request<T>(
        &mut self,
        version: i16,
        send: impl FnOnce(&SyncGroupRequest<'_>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let request = SyncGroupRequest {
            group_id: &self.settings.group_id,
            generation_id: self.generation,
            member_id: &self.member_id,
            group_instance_id: self.settings.instance_id.as_deref().filter(|_| version >= 3),
            protocol_type: Some(PROTOCOL_TYPE).filter(|_| version >= 5),
            protocol_name: Some(self.protocol.as_str()).filter(|_| version >= 5),
            assignments: self
                .assignments
                .iter()
                .map(|(member_id, assignment)| SyncGroupRequestAssignment { member_id, assignment })
                .collect(),
        };
        let sent = send(&request)?;
        self.phase = Phase::SyncSent;
        Ok(sent)
    }

    /// The answer to SyncGroup: what this member reads from now on, if it is one.
    pub fn synced(
        &mut self,
        now_ms: i64,
        response: &SyncGroupResponse<'_>,
    ) -> Result<Option<Partitions>, ClientError> {
        if self.phase != Phase::SyncSent {
            return Ok(None);
        }
        self.phase = Phase::Unjoined { prepared: true };
        let code = ErrorCode(response.error_code);
        if code.is_err() {
            self.refused(now_ms, code, "syncing")?;
            return Ok(None);
        }
        let assigned = decode_assignment(response.assignment)
            .map_err(|why| ClientError::BadResponse { api: "SyncGroup".to_owned(), why })?;
        self.phase = Phase::Stable;
        self.failures = 0;
        self.heartbeat_sent = false;
        self.next_heartbeat_ms = now_ms + self.settings.heartbeat_interval_ms;
        self.session_ends_ms = now_ms + i64::from(self.settings.session_timeout_ms);
        let gives_up = self.owned.iter().any(|(topic, numbers)| {
            let kept = assigned.get(topic);
            numbers.iter().any(|n| kept.is_none_or(|kept| !kept.contains(n)))
        });
        self.owned.clone_from(&assigned);
        if gives_up {
            // Cooperative: others wait for what this one lets go of.
            self.rejoin("partitions were revoked");
        }
        Ok(Some(assigned))
    }

    /// Gives the Heartbeat request to `send`.
    pub fn heartbeat_request<T>(
        &mut self,
        version: i16,
        send: impl FnOnce(&HeartbeatRequest<'_>) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        let request = HeartbeatRequest {
            group_id: &self.settings.group_id,
            generation_id: self.generation,
            member_id: &self.member_id,
            group_instance_id: self.settings.instance_id.as_deref().filter(|_| version >= 3),
        };
        let sent = send(&request)?;
        self.heartbeat_sent = true;
        Ok(sent)
    }

    /// The answer to a Heartbeat that was sent at `sent_ms` in `generation`.
    pub fn heartbeat_answered(
        &mut self,
        now_ms: i64,
        generation: i32,
        code: ErrorCode,
    ) -> Result<(), ClientError> {
        if self.phase != Phase::Stable || generation != self.generation {
            return Ok(());
        }
        self.heartbeat_sent = false;
        self.next_heartbeat_ms = now_ms + self.settings.heartbeat_interval_ms;
        match code {
            ErrorCode::NONE => {
                self.session_ends_ms = now_ms + i64::from(self.settings.session_timeout_ms);
                Ok(())
            }
            ErrorCode::REBALANCE_IN_PROGRESS => {
                // The heartbeat counts all the same.
                self.rejoin("the group is rebalancing");
                Ok(())
            }
            _ => self.refused(now_ms, code, "heartbeats"),
        }
    }

    /// The answer to an OffsetCommit of this member had this error.
    ///
    /// # Errors
    /// What no further attempt can change: about the member, not about the offsets.
    pub fn commit_refused(&mut self, now_ms: i64, code: ErrorCode) -> Result<(), ClientError> {
        match code {
            ErrorCode::REBALANCE_IN_PROGRESS => {
                self.rejoin("the group is rebalancing");
                Ok(())
            }
            ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::FENCED_INSTANCE_ID
            | ErrorCode::NOT_COORDINATOR
            | ErrorCode::COORDINATOR_NOT_AVAILABLE => self.refused(now_ms, code, "a commit"),
            _ => Ok(()),
        }
    }

    fn refused(&mut self, now_ms: i64, code: ErrorCode, what: &str) -> Result<(), ClientError> {
        match code {
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS => self.back_off(now_ms),
            ErrorCode::NOT_COORDINATOR
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::REQUEST_TIMED_OUT => self.coordinator_lost(now_ms),
            ErrorCode::REBALANCE_IN_PROGRESS => {
                self.reason = "the group is rebalancing";
                self.back_off(now_ms);
            }
            ErrorCode::UNKNOWN_MEMBER_ID => {
                self.member_id.clear();
                self.out_of_group(true);
            }
            ErrorCode::ILLEGAL_GENERATION => self.out_of_group(true),
            _ => {
                return Err(ClientError::Refused {
                    what: format!("{what} in group '{}'", self.settings.group_id),
                    code,
                    message: None,
                });
            }
        }
        Ok(())
    }

    /// No member any more; what it had is others' if it had anything.
    fn out_of_group(&mut self, lost: bool) {
        self.generation = -1;
        self.heartbeat_sent = false;
        self.lost = lost && !self.owned.is_empty();
        self.session_ends_ms = i64::MAX;
        self.phase = Phase::Unjoined { prepared: self.is_prepared() && !self.lost };
    }

    fn back_off(&mut self, now_ms: i64) {
        let wait = (FIRST_BACKOFF_MS << self.failures.min(5)).min(LONGEST_BACKOFF_MS);
        self.failures += 1;
        self.not_before_ms = now_ms + wait;
    }

    /// The leader's assignments, for tests and tools: member id and encoded assignment.
    pub fn assignments(&self) -> BTreeMap<&str, &[u8]> {
        self.assignments.iter().map(|(id, bytes)| (id.as_str(), bytes.as_slice())).collect()
    }
}

#[cfg(test)]
mod tests;
