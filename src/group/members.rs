//! The members of a group, and what is counted about them.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

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

    /// Whether it is taken for dead by now.
    pub const fn is_silent(&self, now_ms: i64) -> bool {
        !self.is_excused() && self.session_deadline_ms <= now_ms
    }

    /// Whether it was told of the generation and has not sent `SyncGroup`.
    pub const fn owes_sync(&self) -> bool {
        self.owes_sync
    }

    /// Starts its session anew.
    pub fn renew(&mut self, now_ms: i64) {
        self.session_deadline_ms = now_ms + i64::from(self.session_timeout_ms).max(1);
    }

    /// The join that waits; it does no longer.
    pub const fn take_join(&mut self) -> Option<Ticket> {
        self.join.take()
    }

    /// The sync that waits; it does no longer.
    pub const fn take_sync(&mut self) -> Option<Ticket> {
        self.sync.take()
    }

    /// It was told of a generation: it should send `SyncGroup`.
    pub const fn told(&mut self) {
        self.is_new = false;
        self.owes_sync = true;
    }

    /// It owes no `SyncGroup` any more.
    pub const fn forgive_sync(&mut self) {
        self.owes_sync = false;
    }
}

/// The rebalance timeout of a join: version 0 has none, and means the session timeout.
pub(super) fn rebalance_timeout_ms(join: &Join) -> i32 {
    if join.rebalance_timeout_ms < 0 { join.session_timeout_ms } else { join.rebalance_timeout_ms }
}

/// The protocols without those whose name came before.
fn distinct(protocols: &[Protocol]) -> Vec<Protocol> {
    let mut seen = BTreeSet::new();
    protocols.iter().filter(|it| seen.insert(it.name.as_str())).cloned().collect()
}

/// Of protocols with their votes, the one with most. Of equals, the first by name.
pub fn winner(votes: BTreeMap<String, usize>) -> Option<String> {
    // Of equals, `max_by_key` takes the last.
    votes.into_iter().rev().max_by_key(|(_, votes)| *votes).map(|(name, _)| name)
}

/// How many members wait, and for what.
#[derive(Debug, Default)]
struct Counts {
    joining: usize,
    syncing: usize,
    owing_sync: usize,
}

impl Counts {
    fn add(&mut self, member: &Member) {
        self.joining += usize::from(member.join.is_some());
        self.syncing += usize::from(member.sync.is_some());
        self.owing_sync += usize::from(member.owes_sync);
    }

    fn take_away(&mut self, member: &Member) {
        self.joining -= usize::from(member.join.is_some());
        self.syncing -= usize::from(member.sync.is_some());
        self.owing_sync -= usize::from(member.owes_sync);
    }
}

/// The members of a group.
#[derive(Debug, Default)]
pub struct Members {
    map: BTreeMap<String, Member>,
    by_instance: BTreeMap<String, String>,
    /// How many members know a protocol.
    known: BTreeMap<String, usize>,
    /// How many members have a rebalance timeout, by its length in ms.
    timeouts: BTreeMap<i32, usize>,
    counts: Counts,
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
        self.counts.joining
    }

    /// How many wait for their assignment.
    pub const fn syncing(&self) -> usize {
        self.counts.syncing
    }

    /// How many were told of the generation and have not sent `SyncGroup`.
    pub const fn owing_sync(&self) -> usize {
        self.counts.owing_sync
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
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Member)> {
        self.map.iter().map(|(id, member)| (id.as_str(), member))
    }

    /// The first, by id.
    pub fn first(&self) -> Option<(&str, &Member)> {
        self.map.first_key_value().map(|(id, member)| (id.as_str(), member))
    }

    /// Visits so many members at most, by id, from behind `last`, which is moved on; how many there were.
    /// Where they are fewer than `room`, all have been visited.
    pub fn visit(
        &mut self,
        last: &mut Option<String>,
        room: usize,
        mut see: impl FnMut(&str, &mut Member),
    ) -> usize {
        let from = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let (mut taken, mut reached) = (0, None);
        for (id, member) in self.map.range_mut::<str, _>((from, Bound::Unbounded)).take(room) {
            self.counts.take_away(member);
            self.bytes -= member.assignment.len();
            see(id, member);
            self.bytes += member.assignment.len();
            self.counts.add(member);
            taken += 1;
            reached = Some(id);
        }
        if let Some(id) = reached.filter(|_| taken == room) {
            *last = Some(id.clone());
        }
        taken
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
        let longest = self.timeouts.last_key_value().map_or(0, |(ms, _)| *ms);
        i64::from(longest).max(1)
    }

    /// The protocols that all members know, with 0 votes each; with the second in the place of
    /// the first, where there are two.
    pub fn candidates(&self, replaced: Option<(&Member, &Member)>) -> BTreeMap<String, usize> {
        let knows = |it: &Member, name: &str| it.protocols.iter().any(|it| it.name == name);
        let by_all = |name: &str| {
            let count = self.known.get(name).copied().unwrap_or(0);
            match replaced {
                Some((old, new)) => {
                    let others = count - usize::from(knows(old, name));
                    others + usize::from(knows(new, name)) == self.len()
                }
                None => count == self.len(),
            }
        };
        // What all know, this one knows.
        let one = replaced.map(|(_, new)| new).or_else(|| self.map.values().next());
        let protocols = one.into_iter().flat_map(|it| &it.protocols);
        protocols.filter(|it| by_all(&it.name)).map(|it| (it.name.clone(), 0)).collect()
    }

    /// Whether one of `protocols` is known to all members.
    pub fn share(&self, protocols: &[Protocol]) -> bool {
        protocols.iter().any(|it| self.known.get(&it.name).copied().unwrap_or(0) == self.len())
    }

    /// Adds a member; its id and its instance are new here.
    pub fn add(&mut self, id: String, member: Member) {
        if let Some(instance_id) = &member.instance_id {
            self.by_instance.insert(instance_id.clone(), id.clone());
        }
        self.count(&id, &member);
        let old = self.map.insert(id, member);
        debug_assert!(old.is_none(), "a member is added twice");
    }

    /// Removes a member. Its requests that wait are for the caller to answer.
    pub fn remove(&mut self, id: &str) -> Option<Removed> {
        let member = self.map.remove(id)?;
        self.discount(id, &member);
        if let Some(instance_id) = &member.instance_id {
            self.by_instance.remove(instance_id);
        }
        Some(Removed { join: member.join, sync: member.sync })
    }

    /// All of them, by id.
    pub fn into_members(self) -> impl Iterator<Item = (String, Member)> {
        self.map.into_iter()
    }

    /// Removes the first member, by id, for whom nothing waits.
    pub fn remove_first(&mut self) {
        if let Some(id) = self.first().map(|(id, _)| id.to_owned()) {
            self.remove(&id);
        }
    }

    fn count(&mut self, id: &str, member: &Member) {
        self.bytes += member.bytes(id);
        self.counts.add(member);
        *self.timeouts.entry(member.rebalance_timeout_ms).or_default() += 1;
        for protocol in &member.protocols {
            *self.known.entry(protocol.name.clone()).or_default() += 1;
        }
    }

    fn discount(&mut self, id: &str, member: &Member) {
        self.bytes -= member.bytes(id);
        self.counts.take_away(member);
        less(&mut self.timeouts, &member.rebalance_timeout_ms);
        for protocol in &member.protocols {
            less(&mut self.known, protocol.name.as_str());
        }
    }

    /// Takes over protocols and timeouts of a join, and lets it wait. Gives back the join that
    /// waited before.
    pub fn rejoin(&mut self, id: &str, join: &Join, ticket: Ticket) -> Option<Ticket> {
        let mut member = self.map.remove(id)?;
        self.discount(id, &member);
        member.adopt(join);
        self.count(id, &member);
        self.map.insert(id.to_owned(), member);
        self.wait_for_join(id, ticket)
    }

    /// Lets a join wait. Gives back the one that waited before.
    pub fn wait_for_join(&mut self, id: &str, ticket: Ticket) -> Option<Ticket> {
        let member = self.map.get_mut(id)?;
        let old = member.join.replace(ticket);
        self.counts.joining += usize::from(old.is_none());
        old
    }

    /// Lets a sync wait. Gives back the one that waited before.
    pub fn wait_for_sync(&mut self, id: &str, ticket: Ticket) -> Option<Ticket> {
        let old = self.map.get_mut(id)?.sync.replace(ticket);
        self.counts.syncing += usize::from(old.is_none());
        old
    }

    /// The member has sent `SyncGroup`.
    pub fn synced(&mut self, id: &str) {
        if let Some(member) = self.map.get_mut(id) {
            self.counts.owing_sync -= usize::from(member.owes_sync);
            member.owes_sync = false;
        }
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
}

/// One less of these; whether it was the last.
pub(super) fn less<K: Ord + Borrow<Q>, Q: Ord + ?Sized>(
    counts: &mut BTreeMap<K, usize>,
    key: &Q,
) -> bool {
    let Some(count) = counts.get_mut(key) else { return false };
    *count -= 1;
    let none = *count == 0;
    if none {
        counts.remove(key);
    }
    none
}

/// The requests of a member that is gone.
#[derive(Debug)]
pub struct Removed {
    /// Its `JoinGroup`.
    pub join: Option<Ticket>,
    /// Its `SyncGroup`.
    pub sync: Option<Ticket>,
}
