//! The members of a group, and what is counted about them.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::effect::Ticket;
use super::memory::ENTRY;
use super::request::{Join, Protocol};
use crate::types::ErrorCode;

/// A member that has joined. One that was only told its id is no member yet.
#[derive(Clone, Debug)]
pub struct Member {
    /// `group.instance.id` of a static member.
    pub instance_id: Option<String>,
    /// `client.id` that it joined with.
    pub client_id: String,
    /// Address that it joined from.
    pub client_host: String,
    /// How long it may stay silent.
    pub session_timeout_ms: i32,
    /// How long it may take to rejoin.
    pub rebalance_timeout_ms: i32,
    /// Assignors, the one it likes best first; no name twice.
    pub protocols: Vec<Protocol>,
    /// Its assignment in the last generation that is durable.
    pub assignment: Bytes,
    /// It has not been told of any generation.
    pub is_new: bool,
    /// When it is taken for dead, unless it waits for an answer.
    pub session_deadline_ms: i64,
    /// Its `JoinGroup` that waits. Set through [`Members`], which counts.
    join: Option<Ticket>,
    /// Its `SyncGroup` that waits.
    sync: Option<Ticket>,
    /// It was told of the generation, and has not sent `SyncGroup`.
    owes_sync: bool,
}

impl Member {
    /// A member that the log holds.
    pub fn loaded(
        instance_id: Option<String>,
        client: (String, String),
        session_timeout_ms: i32,
        rebalance_timeout_ms: i32,
        protocol: Protocol,
        assignment: Bytes,
    ) -> Self {
        Self {
            instance_id,
            client_id: client.0,
            client_host: client.1,
            session_timeout_ms,
            rebalance_timeout_ms,
            protocols: vec![protocol],
            assignment,
            is_new: false,
            session_deadline_ms: i64::MAX,
            join: None,
            sync: None,
            owes_sync: false,
        }
    }

    /// A new member.
    pub fn joining(join: &Join) -> Self {
        let mut member = Self {
            instance_id: join.group_instance_id.clone(),
            client_id: join.client_id.clone(),
            client_host: join.client_host.clone(),
            session_timeout_ms: 0,
            rebalance_timeout_ms: 0,
            protocols: Vec::new(),
            assignment: Bytes::new(),
            is_new: true,
            session_deadline_ms: i64::MAX,
            join: None,
            sync: None,
            owes_sync: false,
        };
        member.adopt(join);
        member
    }

    /// Takes over what a join says about protocols and timeouts.
    fn adopt(&mut self, join: &Join) {
        self.session_timeout_ms = join.session_timeout_ms;
        self.rebalance_timeout_ms = rebalance_timeout_ms(join);
        self.protocols = distinct(&join.protocols);
    }

    /// The member that takes this one's place under a new id (KIP-345). Nothing waits for it yet.
    pub fn replaced_by(&self, join: &Join) -> Self {
        let mut member = Self::joining(join);
        member.assignment = self.assignment.clone();
        // It is known: its instance was here before. So it may wait longer than a session.
        member.is_new = false;
        member
    }

    /// Memory that it takes under this id, bytes.
    fn bytes(&self, id: &str) -> usize {
        let protocols = self.protocols.iter();
        size_of::<Self>()
            + 2 * (ENTRY + id.len() + self.instance_id.as_ref().map_or(0, String::len))
            + self.client_id.len()
            + self.client_host.len()
            + protocols.map(|it| ENTRY + 2 * it.name.len() + it.metadata.len()).sum::<usize>()
            + self.assignment.len()
    }

    /// Whether a join would change nothing that the leader sees.
    pub fn matches(&self, join: &Join) -> bool {
        self.protocols == distinct(&join.protocols)
    }

    /// Its metadata for a protocol; empty where it does not know the protocol.
    pub fn metadata(&self, protocol: &str) -> Bytes {
        let found = self.protocols.iter().find(|it| it.name == protocol);
        found.map(|it| it.metadata.clone()).unwrap_or_default()
    }

    /// Whether its `JoinGroup` waits for the others.
    pub const fn is_joining(&self) -> bool {
        self.join.is_some()
    }

    /// Whether it counts as alive although it is silent: its request waits here. A new member cannot
    /// send heartbeats while it waits for its id, and may have gone away, so it has a deadline all
    /// the same.
    pub const fn is_excused(&self) -> bool {
        !self.is_new && (self.join.is_some() || self.sync.is_some())
    }

    /// Starts its session anew.
    pub fn renew(&mut self, now_ms: i64) {
        self.session_deadline_ms = now_ms + i64::from(self.session_timeout_ms).max(1);
    }
}

/// The rebalance timeout of a join: version 0 has none, and means the session timeout.
fn rebalance_timeout_ms(join: &Join) -> i32 {
    if join.rebalance_timeout_ms < 0 { join.session_timeout_ms } else { join.rebalance_timeout_ms }
}

/// The protocols without those whose name came before.
fn distinct(protocols: &[Protocol]) -> Vec<Protocol> {
    let mut seen = BTreeSet::new();
    protocols.iter().filter(|it| seen.insert(it.name.as_str())).cloned().collect()
}

/// The protocol that most members like best, of those that all of them know. Of equals, the first
/// by name.
pub fn choose_protocol<'a>(members: impl Iterator<Item = &'a Member> + Clone) -> Option<&'a str> {
    let mut known = BTreeMap::<&str, usize>::new();
    let mut count = 0;
    for member in members.clone() {
        count += 1;
        member.protocols.iter().for_each(|it| *known.entry(&it.name).or_default() += 1);
    }
    known.retain(|_, members| *members == count);
    let mut votes = BTreeMap::<&str, usize>::new();
    for member in members {
        let vote = member.protocols.iter().find(|it| known.contains_key(it.name.as_str()));
        if let Some(vote) = vote {
            *votes.entry(&vote.name).or_default() += 1;
        }
    }
    // Of equals, `max_by_key` takes the last.
    votes.into_iter().rev().max_by_key(|(_, votes)| *votes).map(|(name, _)| name)
}

/// The members of a group.
#[derive(Debug, Default)]
pub struct Members {
    map: BTreeMap<String, Member>,
    by_instance: BTreeMap<String, String>,
    /// How many members know a protocol.
    known: BTreeMap<String, usize>,
    joining: usize,
    owing_sync: usize,
    bytes: usize,
}

impl Members {
    /// Memory that they take, bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same, counted anew.
    #[cfg(test)]
    pub fn counted_bytes(&self) -> usize {
        self.map.iter().map(|(id, it)| it.bytes(id)).sum()
    }

    /// Memory that one of them takes, bytes; 0 where there is no such member.
    pub fn bytes_of(&self, id: &str) -> usize {
        self.get(id).map_or(0, |it| it.bytes(id))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// How many wait for the others to join.
    pub const fn joining(&self) -> usize {
        self.joining
    }

    /// How many were told of the generation and have not sent `SyncGroup`.
    pub const fn owing_sync(&self) -> usize {
        self.owing_sync
    }

    /// A member.
    pub fn get(&self, id: &str) -> Option<&Member> {
        self.map.get(id)
    }

    /// Whether there is such a member.
    pub fn contains(&self, id: &str) -> bool {
        self.map.contains_key(id)
    }

    /// All, by id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Member)> + Clone {
        self.map.iter().map(|(id, member)| (id.as_str(), member))
    }

    /// All ids for which `condition` holds.
    pub fn ids(&self, condition: impl Fn(&Member) -> bool) -> Vec<String> {
        self.iter().filter(|(_, it)| condition(it)).map(|(id, _)| id.to_owned()).collect()
    }

    /// The id of a static member.
    pub fn of_instance(&self, instance_id: &str) -> Option<&str> {
        self.by_instance.get(instance_id).map(String::as_str)
    }

    /// Whether a request comes from a member: `UNKNOWN_MEMBER_ID`, or `FENCED_INSTANCE_ID` when
    /// another one has taken its place.
    pub fn check(&self, id: &str, instance_id: Option<&str>) -> Result<(), ErrorCode> {
        if let Some(instance_id) = instance_id {
            match self.of_instance(instance_id) {
                None => return Err(ErrorCode::UNKNOWN_MEMBER_ID),
                Some(current) if current != id => return Err(ErrorCode::FENCED_INSTANCE_ID),
                Some(_) => {}
            }
        }
        if self.contains(id) { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) }
    }

    /// The longest rebalance timeout, at least one millisecond.
    pub fn rebalance_timeout_ms(&self) -> i64 {
        let longest = self.map.values().map(|it| it.rebalance_timeout_ms).max();
        i64::from(longest.unwrap_or_default()).max(1)
    }

    /// Whether one of `protocols` is known to all members.
    pub fn share(&self, protocols: &[Protocol]) -> bool {
        protocols.iter().any(|it| self.known.get(&it.name).copied().unwrap_or(0) == self.len())
    }

    /// Adds a member; its id and its instance are new here.
    pub fn add(&mut self, id: String, member: Member) {
        self.count_protocols(&member, true);
        if let Some(instance_id) = &member.instance_id {
            self.by_instance.insert(instance_id.clone(), id.clone());
        }
        self.joining += usize::from(member.join.is_some());
        self.owing_sync += usize::from(member.owes_sync);
        self.bytes += member.bytes(&id);
        let old = self.map.insert(id, member);
        debug_assert!(old.is_none(), "a member is added twice");
    }

    /// Removes a member. Its requests that wait are for the caller to answer.
    pub fn remove(&mut self, id: &str) -> Option<Removed> {
        let member = self.map.remove(id)?;
        self.bytes -= member.bytes(id);
        self.count_protocols(&member, false);
        self.joining -= usize::from(member.join.is_some());
        self.owing_sync -= usize::from(member.owes_sync);
        if let Some(instance_id) = &member.instance_id {
            self.by_instance.remove(instance_id);
        }
        Some(Removed { join: member.join, sync: member.sync })
    }

    fn count_protocols(&mut self, member: &Member, more: bool) {
        for protocol in &member.protocols {
            if more {
                *self.known.entry(protocol.name.clone()).or_default() += 1;
            } else if let Some(count) = self.known.get_mut(&protocol.name) {
                *count -= 1;
                if *count == 0 {
                    self.known.remove(&protocol.name);
                }
            }
        }
    }

    /// Takes over protocols and timeouts of a join, and lets it wait. Gives back the join that
    /// waited before.
    pub fn rejoin(&mut self, id: &str, join: &Join, ticket: Ticket) -> Option<Ticket> {
        let mut member = self.map.remove(id)?;
        self.count_protocols(&member, false);
        self.bytes -= member.bytes(id);
        member.adopt(join);
        self.bytes += member.bytes(id);
        self.count_protocols(&member, true);
        self.map.insert(id.to_owned(), member);
        self.wait_for_join(id, ticket)
    }

    /// Lets a join wait. Gives back the one that waited before.
    pub fn wait_for_join(&mut self, id: &str, ticket: Ticket) -> Option<Ticket> {
        let member = self.map.get_mut(id)?;
        let old = member.join.replace(ticket);
        self.joining += usize::from(old.is_none());
        old
    }

    /// The join that waits; it does no longer.
    pub fn take_join(&mut self, id: &str) -> Option<Ticket> {
        let ticket = self.map.get_mut(id)?.join.take();
        self.joining -= usize::from(ticket.is_some());
        ticket
    }

    /// Lets a sync wait. Gives back the one that waited before.
    pub fn wait_for_sync(&mut self, id: &str, ticket: Ticket) -> Option<Ticket> {
        self.map.get_mut(id)?.sync.replace(ticket)
    }

    /// The sync that waits; it does no longer.
    pub fn take_sync(&mut self, id: &str) -> Option<Ticket> {
        self.map.get_mut(id)?.sync.take()
    }

    /// The member was told of a generation: it should send `SyncGroup`.
    pub fn told(&mut self, id: &str) {
        if let Some(member) = self.map.get_mut(id) {
            member.is_new = false;
            self.owing_sync += usize::from(!member.owes_sync);
            member.owes_sync = true;
        }
    }

    /// The member has sent `SyncGroup`.
    pub fn synced(&mut self, id: &str) {
        if let Some(member) = self.map.get_mut(id) {
            self.owing_sync -= usize::from(member.owes_sync);
            member.owes_sync = false;
        }
    }

    /// Nobody owes a `SyncGroup` any more.
    pub fn forgive_syncs(&mut self) {
        self.owing_sync = 0;
        self.map.values_mut().for_each(|it| it.owes_sync = false);
    }

    /// Ids of those that owe a `SyncGroup`.
    pub fn owing(&self) -> Vec<String> {
        self.ids(|it| it.owes_sync)
    }

    /// Sets when a member is taken for dead.
    pub fn set_session_deadline(&mut self, id: &str, at_ms: i64) {
        if let Some(member) = self.map.get_mut(id) {
            member.session_deadline_ms = at_ms;
        }
    }

    /// Starts a member's session anew; gives its end.
    pub fn renew(&mut self, id: &str, now_ms: i64) -> i64 {
        self.map.get_mut(id).map_or(i64::MAX, |member| {
            member.renew(now_ms);
            member.session_deadline_ms
        })
    }

    /// Sets every member's assignment; empty where there is none.
    pub fn assign(&mut self, mut assignments: BTreeMap<String, Bytes>) {
        for (id, member) in &mut self.map {
            self.bytes -= member.assignment.len();
            member.assignment = assignments.remove(id).unwrap_or_default();
            self.bytes += member.assignment.len();
        }
    }

    /// When the first member is taken for dead.
    pub fn next_deadline_ms(&self) -> i64 {
        let alive = self.map.values().filter(|it| !it.is_excused());
        alive.map(|it| it.session_deadline_ms).min().unwrap_or(i64::MAX)
    }
}

/// The requests of a member that is gone.
#[derive(Debug)]
pub struct Removed {
    /// Its `JoinGroup`.
    pub join: Option<Ticket>,
    /// Its `SyncGroup`.
    pub sync: Option<Ticket>,
}
