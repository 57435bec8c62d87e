//! A consumer that follows the protocol as its documents say, and no more: for histories.

use bytes::Bytes;

use super::effect::Ticket;
use super::request::{Assignment, GroupRequest, Heartbeat, Join, Protocol, Sync};
use super::response::{Joined, Synced};
use super::testing::subscription;
use crate::types::ErrorCode;

/// Partitions that the consumers of a group share.
pub const PARTITIONS: u8 = 4;

/// Where a consumer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not in the group, or called to join again.
    Out,
    /// Its join waits.
    Joining(Ticket),
    /// It has joined, and will sync.
    Joined(Box<Joined>),
    /// Its sync waits.
    Syncing(Ticket),
    /// It has its assignment.
    Member,
    /// It has ended, or another took its place.
    Gone,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Consumer {
    pub group_id: String,
    /// Number of this incarnation, in no other one's names.
    pub serial: u32,
    pub instance_id: Option<String>,
    /// Gives up partitions one rebalance before others get them.
    pub cooperative: bool,
    /// Its version asks for an id first.
    pub asks_for_id: bool,
    pub member_id: String,
    pub generation_id: i32,
    pub owned: Vec<u8>,
    pub phase: Phase,
    pub next_heartbeat_ms: i64,
    /// The last time that a heartbeat of its current generation was answered without error.
    pub alive_ms: i64,
    pub heartbeat: Option<Ticket>,
    /// Does nothing until then.
    pub paused_until_ms: i64,
}

pub const SESSION_MS: i32 = 10_000;
pub const REBALANCE_MS: i32 = 30_000;
pub const HEARTBEAT_MS: i64 = 3_000;

impl Consumer {
    /// Who owns what it owns: its successor under the same instance owns the same.
    pub fn identity(&self) -> String {
        match &self.instance_id {
            Some(instance_id) => format!("instance {instance_id}"),
            None => self.member_id.clone(),
        }
    }

    /// What it sends next, if anything; the world puts the ticket where it belongs.
    pub fn next_request(&self, now_ms: i64, fresh: u32) -> Option<GroupRequest> {
        if now_ms < self.paused_until_ms {
            return None;
        }
        match &self.phase {
            Phase::Out => Some(GroupRequest::Join(self.join(fresh))),
            Phase::Joined(joined) => Some(GroupRequest::Sync(self.sync(joined))),
            Phase::Member if self.heartbeat.is_none() && now_ms >= self.next_heartbeat_ms => {
                Some(GroupRequest::Heartbeat(Heartbeat {
                    group_id: self.group_id.clone(),
                    generation_id: self.generation_id,
                    member_id: self.member_id.clone(),
                    group_instance_id: self.instance_id.clone(),
                }))
            }
            _ => None,
        }
    }

    fn join(&self, fresh: u32) -> Join {
        let mut metadata = subscription(&["t"]).to_vec();
        if self.cooperative {
            metadata.extend(&self.owned);
        }
        let name = self.instance_id.clone().unwrap_or_else(|| format!("c{}", self.serial));
        Join {
            group_id: self.group_id.clone(),
            session_timeout_ms: SESSION_MS,
            rebalance_timeout_ms: REBALANCE_MS,
            member_id: self.member_id.clone(),
            group_instance_id: self.instance_id.clone(),
            protocol_type: "consumer".to_owned(),
            protocols: vec![Protocol { name: "naive".to_owned(), metadata: metadata.into() }],
            client_id: name.clone(),
            client_host: "/127.0.0.1".to_owned(),
            fresh_member_id: format!("{name}-{fresh}"),
            requires_known_member_id: self.asks_for_id,
            supports_skip_assignment: self.asks_for_id,
            ..Join::default()
        }
    }

    fn sync(&self, joined: &Joined) -> Sync {
        let leads = joined.leader == joined.member_id && !joined.skip_assignment;
        Sync {
            group_id: self.group_id.clone(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            group_instance_id: self.instance_id.clone(),
            protocol_type: joined.protocol_type.clone(),
            protocol_name: joined.protocol_name.clone(),
            assignments: if leads { assign(joined) } else { Vec::new() },
        }
    }

    pub fn on_joined(&mut self, joined: Joined) {
        match joined.error {
            ErrorCode::NONE => {
                self.member_id.clone_from(&joined.member_id);
                self.generation_id = joined.generation_id;
                self.phase = Phase::Joined(Box::new(joined));
            }
            ErrorCode::MEMBER_ID_REQUIRED => {
                self.member_id = joined.member_id;
                self.phase = Phase::Out;
            }
            error => self.on_error(error),
        }
    }

    /// Gives whether it has an assignment now.
    pub fn on_synced(&mut self, synced: &Synced, now_ms: i64) -> bool {
        if synced.error.is_err() {
            self.on_error(synced.error);
            return false;
        }
        let assigned = synced.assignment.to_vec();
        let gives_up = self.owned.iter().any(|it| !assigned.contains(it));
        self.owned = assigned;
        self.alive_ms = now_ms;
        self.next_heartbeat_ms = now_ms + HEARTBEAT_MS;
        // What a cooperative consumer has given up is for others, in the next generation.
        self.phase = if self.cooperative && gives_up { Phase::Out } else { Phase::Member };
        true
    }

    /// A heartbeat was sent with the generation and the id that are current still, or not.
    pub fn on_heartbeat(&mut self, error: ErrorCode, now_ms: i64) {
        self.next_heartbeat_ms = now_ms + HEARTBEAT_MS;
        if error.is_err() {
            self.on_error(error);
        } else {
            self.alive_ms = now_ms;
        }
    }

    pub fn on_error(&mut self, error: ErrorCode) {
        self.phase = match error {
            ErrorCode::FENCED_INSTANCE_ID => Phase::Gone,
            ErrorCode::UNKNOWN_MEMBER_ID => {
                self.member_id = String::new();
                self.owned.clear();
                Phase::Out
            }
            _ => Phase::Out,
        };
        if !self.cooperative {
            self.owned.clear();
        }
    }

    /// The connection broke: whatever waits is lost.
    pub fn on_disconnect(&mut self) {
        self.heartbeat = None;
        if matches!(self.phase, Phase::Joining(_) | Phase::Syncing(_)) {
            self.phase = Phase::Out;
        }
    }
}

/// Partitions go round the members. One that another member still owns waits for the next
/// generation.
fn assign(joined: &Joined) -> Vec<Assignment> {
    let plain = subscription(&["t"]).len();
    let owned = |metadata: &Bytes| metadata[plain..].to_vec();
    let mut assignments: Vec<(String, Vec<u8>)> =
        joined.members.iter().map(|it| (it.member_id.clone(), Vec::new())).collect();
    for partition in 0..PARTITIONS {
        let place = usize::from(partition) % joined.members.len();
        let mut others = joined.members.iter().enumerate().filter(|(i, _)| *i != place);
        if !others.any(|(_, it)| owned(&it.metadata).contains(&partition)) {
            assignments[place].1.push(partition);
        }
    }
    let assignment = |(member_id, partitions): (String, Vec<u8>)| Assignment {
        member_id,
        assignment: partitions.into(),
    };
    assignments.into_iter().map(assignment).collect()
}
