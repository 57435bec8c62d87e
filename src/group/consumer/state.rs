//! The state of a consumer group: what its records make.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::rc::Rc;
use std::sync::Arc;

use super::change::{AssignedBy, Change, Epoch, Kept, Resolved, TargetEpoch};
use super::encoding;
use super::member::{Current, Member, MemberMetadata, MemberState};
use super::partitions::{self, Partitions};
use super::protocol::Protocol;
use crate::group::entry::ENTRY;
use crate::group::members::less;
use crate::group::records::Record;
use crate::group::share::topics::{self, ShareTopics};
use crate::group::streams::state::StreamsState;
use crate::types::TopicId;

/// About the bytes of a topic's name in a set.
const NAME: usize = 64;

/// A member as it is kept.
#[derive(Debug, Default)]
struct Slot {
    member: Member,
    /// Bytes of the record with its metadata; 0 where there is none, and so no member.
    metadata_bytes: u64,
    /// Bytes of the record of what it was told; 0 where there is none.
    current_bytes: u64,
}

impl Slot {
    fn bytes(&self, id: &str) -> usize {
        ENTRY
            + size_of::<Self>()
            + id.len()
            + self.member.metadata.bytes()
            + self.member.current.bytes()
    }
}

/// A regular expression that members have, or had.
#[derive(Debug, Default)]
struct Pattern {
    /// How many members have it.
    users: usize,
    resolved: Option<Kept<Resolved>>,
    /// The topics' version at which it was resolved; not in the log.
    resolved_at: Option<u64>,
}

/// A regular expression that members have.
#[derive(Clone, Copy, Debug)]
pub struct PatternView<'a> {
    /// Its text.
    pub text: &'a str,
    /// What it stands for, as far as it is known.
    pub resolved: Option<&'a Resolved>,
    /// The topics' version at which it was resolved.
    pub resolved_at: Option<u64>,
}

impl Pattern {
    /// Whether members want the topic by it.
    fn matches(&self, topic: &str) -> bool {
        self.users > 0 && self.resolved.as_ref().is_some_and(|it| it.value.topics.contains(topic))
    }

    fn bytes(&self, pattern: &str) -> usize {
        let topics = self.resolved.as_ref().map_or(0, |it| it.value.topics.len());
        ENTRY + size_of::<Self>() + pattern.len() + topics * (ENTRY + NAME)
    }
}

/// What lists and metrics show of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Kafka's name of its state.
    pub state: &'static str,
    /// How many members it has.
    pub members: usize,
    /// Its epoch.
    pub epoch: i32,
    /// Nothing of it is in the log.
    vacant: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub struct ConsumerGroup {
    /// Whose members they are.
    protocol: Protocol,
    epoch: Option<Kept<Epoch>>,
    target_epoch: Option<Kept<TargetEpoch>>,
    targets: BTreeMap<String, Kept<Arc<Partitions>>>,
    members: BTreeMap<String, Slot>,
    /// Topics that the share coordinator has states of.
    share_topics: Option<Kept<Arc<ShareTopics>>>,
    /// What only a streams group has.
    streams: Option<Box<StreamsState>>,
    /// Bytes of all records.
    record_bytes: u64,
    /// Memory of what grows, bytes.
    bytes: usize,

    // What follows is derived from the above.
    /// Ids of static members, by instance.
    instances: BTreeMap<String, String>,
    /// Sets of topics that members name, and how many each.
    sets: BTreeMap<Rc<BTreeSet<String>>, usize>,
    /// Topics that members name, and in how many of those sets.
    named: BTreeMap<String, usize>,
    patterns: BTreeMap<String, Pattern>,
    /// Assignors that members want, and how many each.
    assignors: BTreeMap<String, usize>,
    /// Members of the classic protocol.
    classic: usize,
    /// Classic protocols, and how many members know each.
    protocols: BTreeMap<String, usize>,
    /// Partitions that members have or may have, and how many members each: one, but while a log is loaded.
    owners: BTreeMap<(TopicId, i32), usize>,
    /// Members in the state `Stable`, by epoch.
    stable_at: BTreeMap<i32, usize>,

    // What follows is not in the log.
    /// What it was before a change that is not durable yet.
    before: Option<Shown>,
    /// The topics' version at which the hash was made last.
    pub hashed_at: Option<u64>,
    /// Regular expressions are not resolved again before, ms.
    pub resolve_from_ms: i64,
    /// They are resolved again from this time on even if no topic has changed, ms.
    pub resolve_by_ms: i64,
}

/// Bytes of a record; 0 where there is none.
fn record_bytes<T>(kept: Option<&Kept<T>>) -> u64 {
    kept.map_or(0, |it| it.record_bytes)
}

/// One more; whether it is the first.
fn more<K: Ord + Clone>(counts: &mut BTreeMap<K, usize>, key: &K) -> bool {
    let count = counts.entry(key.clone()).or_default();
    *count += 1;
    *count == 1
}

impl ConsumerGroup {
    /// A group of this protocol.
    pub fn of(protocol: Protocol) -> Self {
        let mut group = Self::default();
        group.set_protocol(protocol);
        group
    }

    // ---- What there is ----

    /// Whose members they are.
    pub const fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Its records say that it is of this protocol.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
        if protocol == Protocol::Streams {
            self.streams.get_or_insert_default();
        }
    }

    /// Whether members share partitions.
    pub fn is_share(&self) -> bool {
        self.protocol == Protocol::Share
    }

    /// Whether members have tasks of a topology.
    pub fn is_streams(&self) -> bool {
        self.protocol == Protocol::Streams
    }

    /// What only a streams group has.
    pub fn streams(&self) -> Option<&StreamsState> {
        self.streams.as_deref().filter(|_| self.is_streams())
    }

    /// The same, for what is not in the log.
    pub fn streams_mut(&mut self) -> Option<&mut StreamsState> {
        let is_streams = self.is_streams();
        self.streams.as_deref_mut().filter(|_| is_streams)
    }

    /// What tasks are assigned by.
    pub fn assigned_by(&self) -> Option<&Arc<AssignedBy>> {
        self.epoch.as_ref()?.value.streams.as_ref()
    }

    /// Whether the topics of a streams group's topology were all there.
    fn is_validated(&self) -> bool {
        let topology = self.streams().and_then(StreamsState::topology).map(|it| it.epoch);
        let validated = self.assigned_by().map(|it| it.validated_topology_epoch);
        topology.is_some() && topology == validated
    }

    /// The topics that the share coordinator has states of.
    pub fn share_topics(&self) -> Arc<ShareTopics> {
        self.share_topics.as_ref().map(|it| it.value.clone()).unwrap_or_default()
    }

    /// The epoch of groups that nothing is known of: streams groups begin with 1, so that a member is never told 0, with which it
    /// joins.
    fn initial_epoch(&self) -> i32 {
        i32::from(self.is_streams())
    }

    /// The group's epoch; that of nothing before the first.
    pub fn epoch(&self) -> i32 {
        self.epoch.as_ref().map_or(self.initial_epoch(), |it| it.value.number)
    }

    /// The epoch that comes next. Epochs count from 1, and stay where they cannot grow. A log that ends in the
    /// middle of a write may hold targets of a later epoch than the group's.
    pub fn next_epoch(&self) -> i32 {
        self.epoch().max(self.target_epoch()).saturating_add(1)
    }

    /// The hash of the topics that are subscribed to.
    pub fn metadata_hash(&self) -> i64 {
        self.epoch.as_ref().map_or(0, |it| it.value.metadata_hash)
    }

    /// The epoch of the targets.
    pub fn target_epoch(&self) -> i32 {
        self.target_epoch.as_ref().map_or(self.initial_epoch(), |it| it.value.epoch)
    }

    /// When the targets were computed, by the wall's clock, ms; 0 where that is not known.
    pub fn target_timestamp_ms(&self) -> i64 {
        self.target_epoch.as_ref().map_or(0, |it| it.value.timestamp_ms)
    }

    /// The target of a member.
    pub fn target(&self, id: &str) -> Option<&Arc<Partitions>> {
        self.targets.get(id).map(|it| &it.value)
    }

    /// Ids of members whose targets are kept, from behind `after` on.
    pub fn targets_after(&self, after: Option<&str>) -> impl Iterator<Item = &str> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.targets.range::<str, _>((from, Bound::Unbounded));
        rest.map(|(id, _)| id.as_str())
    }

    /// How many members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// No members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Nothing of it is in the log.
    pub fn is_vacant(&self) -> bool {
        self.record_bytes == 0 && self.members.is_empty()
    }

    /// A member.
    pub fn member(&self, id: &str) -> Option<&Member> {
        self.members.get(id).map(|it| &it.member)
    }

    /// A member, for its deadlines.
    pub fn member_mut(&mut self, id: &str) -> Option<&mut Member> {
        self.members.get_mut(id).map(|it| &mut it.member)
    }

    /// All members from behind `after` on, by id.
    pub fn members_after(&self, after: Option<&str>) -> impl Iterator<Item = (&str, &Member)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.members.range::<str, _>((from, Bound::Unbounded));
        rest.map(|(id, it)| (id.as_str(), &it.member))
    }

    /// Visits so many members at most, by id, from behind `last`, which is moved on; how many there were.
    /// Where they are fewer than `room`, all have been visited.
    pub fn visit(
        &self,
        last: &mut Option<String>,
        room: usize,
        mut see: impl FnMut(&str, &Member),
    ) -> usize {
        let (mut taken, mut reached) = (0, None);
        for (id, member) in self.members_after(last.as_deref()).take(room) {
            see(id, member);
            taken += 1;
            reached = Some(id);
        }
        if let Some(id) = reached.filter(|_| taken == room) {
            *last = Some(id.to_owned());
        }
        taken
    }

    /// The id of a static member.
    pub fn of_instance(&self, instance_id: &str) -> Option<&str> {
        self.instances.get(instance_id).map(String::as_str)
    }

    /// Members of the classic protocol.
    pub const fn classic_len(&self) -> usize {
        self.classic
    }

    /// Whether all members of the classic protocol know this one.
    pub fn is_known_to_classic(&self, protocol: &str) -> bool {
        self.protocols.get(protocol).copied().unwrap_or(0) == self.classic
    }

    /// Whether a member has a partition, or may have it still.
    pub fn is_owned(&self, topic: TopicId, partition: i32) -> bool {
        self.owners.contains_key(&(topic, partition))
    }

    /// The assignor that most members want; of equals, the first by name.
    pub fn preferred_assignor(&self) -> Option<&str> {
        let most = self.assignors.iter().rev().max_by_key(|(_, count)| **count);
        most.map(|(name, _)| name.as_str())
    }

    /// Regular expressions that members have.
    pub fn patterns(&self) -> impl Iterator<Item = PatternView<'_>> {
        let used = self.patterns.iter().filter(|(_, it)| it.users > 0);
        used.map(|(text, it)| PatternView {
            text,
            resolved: it.resolved.as_ref().map(|it| &it.value),
            resolved_at: it.resolved_at,
        })
    }

    /// A regular expression was resolved at that version of the topics.
    pub fn note_resolved(&mut self, pattern: &str, topics_version: u64) {
        if let Some(it) = self.patterns.get_mut(pattern) {
            it.resolved_at = Some(topics_version);
        }
    }

    /// Regular expressions that no member has, and that are in the log.
    pub fn unused_patterns(&self) -> impl Iterator<Item = &str> {
        self.patterns.iter().filter(|(_, it)| it.users == 0).map(|(text, _)| text.as_str())
    }

    /// What a regular expression stands for, as far as it is known.
    pub fn resolved(&self, pattern: &str) -> Option<&Resolved> {
        self.patterns.get(pattern)?.resolved.as_ref().map(|it| &it.value)
    }

    /// Nothing is known any more of which metadata topics were looked up in.
    pub fn forget_versions(&mut self) {
        self.hashed_at = None;
        self.resolve_from_ms = i64::MIN;
        self.resolve_by_ms = i64::MIN;
        self.patterns.values_mut().for_each(|it| it.resolved_at = None);
    }

    /// Shows so many topics that members want, each once, behind `last` of those that are named or, where
    /// it is given, of those that the `pattern` stands for; both are moved on. How many steps it took: fewer
    /// are the last.
    pub fn subscribed_after(
        &self,
        pattern: &mut Option<String>,
        last: &mut Option<String>,
        room: usize,
        mut see: impl FnMut(&str),
    ) -> usize {
        let after = |last: &Option<String>| last.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let mut taken = 0;
        let mut used = self.patterns.iter().filter(|(_, it)| it.users > 0).peekable();
        match &*pattern {
            None => {
                let mut seen = None;
                for (name, _) in self.named.range((after(last), Bound::Unbounded)).take(room) {
                    see(name);
                    taken += 1;
                    seen = Some(name);
                }
                if taken == room {
                    *last = seen.cloned().or(last.take());
                    return taken;
                }
                *last = None;
            }
            Some(pattern) => while used.next_if(|(text, _)| *text < pattern).is_some() {},
        }
        for (text, it) in used {
            let before = {
                let below = (Bound::Unbounded, Bound::Excluded(text.as_str()));
                self.patterns.range::<str, _>(below)
            };
            let topics = it.resolved.iter().flat_map(|it| {
                let from = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
                it.value.topics.range::<str, _>((from, Bound::Unbounded))
            });
            let mut seen = None;
            for topic in topics.take(room - taken) {
                let known = self.named.contains_key(&**topic)
                    || before.clone().any(|(_, it)| it.matches(topic));
                if !known {
                    see(topic);
                }
                taken += 1;
                seen = Some(topic);
            }
            *pattern = Some(text.clone());
            if taken == room {
                *last = seen.map(|it| it.as_ref().to_owned()).or(last.take());
                return taken;
            }
            *last = None;
        }
        taken
    }

    /// Whether a member wants the topic.
    pub fn is_subscribed(&self, topic: &str) -> bool {
        let read = self.streams().is_some_and(|it| it.reader_of(topic).is_some());
        self.named.contains_key(topic)
            || self.patterns.values().any(|it| it.matches(topic))
            || (read && !self.is_empty())
    }

    /// Kafka's name of its state.
    pub fn state_name(&self) -> &'static str {
        if self.is_empty() {
            "Empty"
        } else if self.is_share() {
            "Stable"
        } else if self.is_streams() && !self.is_validated() {
            "NotReady"
        } else if self.epoch() > self.target_epoch() {
            "Assigning"
        } else if self.stable_at.get(&self.target_epoch()) == Some(&self.len()) {
            "Stable"
        } else {
            "Reconciling"
        }
    }

    /// What others see of it: what is durable. `None` where nothing is.
    pub fn shown(&self) -> Option<Shown> {
        Some(self.before.unwrap_or_else(|| self.shown_now())).filter(|it| !it.vacant)
    }

    fn shown_now(&self) -> Shown {
        let (state, members, epoch) = (self.state_name(), self.len(), self.epoch());
        Shown { state, members, epoch, vacant: self.is_vacant() }
    }

    /// Others see it as it is now, whatever changes, until [`show_changes`](Self::show_changes).
    pub fn hide_changes(&mut self) {
        if self.before.is_none() {
            self.before = Some(self.shown_now());
        }
    }

    /// What has changed is durable, or was taken back.
    pub const fn show_changes(&mut self) {
        self.before = None;
    }

    /// Bytes of all records.
    pub const fn record_bytes(&self) -> u64 {
        self.record_bytes
    }

    /// Memory that it takes, bytes.
    pub fn bytes(&self) -> usize {
        let streams = self.streams.as_deref().map_or(0, StreamsState::bytes);
        size_of::<Self>() + self.bytes + streams
    }

    /// The same, counted anew.
    #[cfg(test)]
    pub fn counted_bytes(&self) -> usize {
        let members: usize = self.members.iter().map(|(id, it)| it.bytes(id)).sum();
        let targets: usize = self.targets.iter().map(|(id, it)| target_bytes(id, &it.value)).sum();
        let patterns: usize = self.patterns.iter().map(|(text, it)| it.bytes(text)).sum();
        let sets: usize = self.sets.keys().map(|it| set_bytes(it)).sum();
        let shared = self.share_topics.as_ref().map_or(0, |it| topics::bytes(&it.value));
        let owners = self.owners.len() * ENTRY;
        let streams = self.streams.as_deref().map_or(0, StreamsState::counted_bytes);
        size_of::<Self>() + members + targets + patterns + sets + owners + shared + streams
    }

    // ---- Changes ----

    /// Changes something; what takes the change back.
    pub fn apply(&mut self, change: Change) -> Change {
        match change {
            Change::Epoch(new) => {
                let old = std::mem::replace(&mut self.epoch, new);
                self.recount(record_bytes(old.as_ref()), record_bytes(self.epoch.as_ref()));
                Change::Epoch(old)
            }
            Change::TargetEpoch(new) => {
                let old = std::mem::replace(&mut self.target_epoch, new);
                let new = record_bytes(self.target_epoch.as_ref());
                self.recount(record_bytes(old.as_ref()), new);
                Change::TargetEpoch(old)
            }
            Change::Target(id, new) => {
                let new_bytes = record_bytes(new.as_ref());
                let old = match new {
                    Some(new) => {
                        self.bytes += target_bytes(&id, &new.value);
                        self.targets.insert(id.clone(), new)
                    }
                    None => self.targets.remove(&id),
                };
                if let Some(old) = &old {
                    self.bytes -= target_bytes(&id, &old.value);
                }
                self.recount(record_bytes(old.as_ref()), new_bytes);
                Change::Target(id, old)
            }
            Change::Regex(pattern, new) => self.apply_regex(pattern, new),
            Change::Metadata(id, new) => self.apply_metadata(id, new),
            Change::Current(id, new) => self.apply_current(id, new),
            Change::ShareTopics(new) => {
                let old = std::mem::replace(&mut self.share_topics, new);
                let bytes = |it: &Option<Kept<Arc<ShareTopics>>>| {
                    it.as_ref().map_or(0, |it| topics::bytes(&it.value))
                };
                self.bytes = self.bytes + bytes(&self.share_topics) - bytes(&old);
                let new = record_bytes(self.share_topics.as_ref());
                self.recount(record_bytes(old.as_ref()), new);
                Change::ShareTopics(old)
            }
            Change::Topology(new) => {
                let new_bytes = record_bytes(new.as_ref());
                let old = self.streams.get_or_insert_default().set_topology(new);
                self.recount(record_bytes(old.as_ref()), new_bytes);
                Change::Topology(old)
            }
            Change::Tasks(id, new) => {
                let new_bytes = record_bytes(new.as_ref());
                let old = self.streams.get_or_insert_default().set_target(&id, new);
                self.recount(record_bytes(old.as_ref()), new_bytes);
                Change::Tasks(id, old)
            }
        }
    }

    const fn recount(&mut self, old: u64, new: u64) {
        self.record_bytes = self.record_bytes + new - old;
    }

    fn apply_regex(&mut self, text: String, new: Option<Kept<Resolved>>) -> Change {
        let new_bytes = record_bytes(new.as_ref());
        let mut pattern = self.take_pattern(&text);
        let old = std::mem::replace(&mut pattern.resolved, new);
        self.recount(record_bytes(old.as_ref()), new_bytes);
        self.put_pattern(&text, pattern);
        Change::Regex(text, old)
    }

    fn take_pattern(&mut self, text: &str) -> Pattern {
        let Some(pattern) = self.patterns.remove(text) else { return Pattern::default() };
        self.bytes -= pattern.bytes(text);
        pattern
    }

    fn put_pattern(&mut self, text: &str, pattern: Pattern) {
        if pattern.users > 0 || pattern.resolved.is_some() {
            self.bytes += pattern.bytes(text);
            self.patterns.insert(text.to_owned(), pattern);
        }
    }

    /// A member's place, out of its map.
    fn take_slot(&mut self, id: &str) -> Slot {
        let Some(slot) = self.members.remove(id) else { return Slot::default() };
        self.bytes -= slot.bytes(id);
        if slot.member.current.state == MemberState::Stable {
            less(&mut self.stable_at, &slot.member.current.epoch);
        }
        slot
    }

    /// Back into its map, unless nothing is known of it any more.
    fn put_slot(&mut self, id: &str, slot: Slot) {
        if slot.metadata_bytes == 0 && slot.current_bytes == 0 {
            return;
        }
        self.bytes += slot.bytes(id);
        if slot.member.current.state == MemberState::Stable {
            more(&mut self.stable_at, &slot.member.current.epoch);
        }
        self.members.insert(id.to_owned(), slot);
    }

    fn apply_metadata(&mut self, id: String, new: Option<Kept<Box<MemberMetadata>>>) -> Change {
        let mut slot = self.take_slot(&id);
        let old_bytes = slot.metadata_bytes;
        let new_bytes = record_bytes(new.as_ref());
        let old = std::mem::take(&mut slot.member.metadata);
        if old_bytes > 0 {
            self.discount_metadata(&id, &old);
        }
        let mut metadata = new.map(|it| *it.value).unwrap_or_default();
        if new_bytes > 0 {
            self.count_metadata(&id, &mut metadata);
        }
        slot.member.metadata = metadata;
        slot.metadata_bytes = new_bytes;
        self.put_slot(&id, slot);
        self.recount(old_bytes, new_bytes);
        let old = Kept { value: Box::new(old), record_bytes: old_bytes };
        Change::Metadata(id, (old_bytes > 0).then_some(old))
    }

    fn count_metadata(&mut self, id: &str, metadata: &mut MemberMetadata) {
        if let Some((shared, _)) = self.sets.get_key_value(&metadata.topics) {
            metadata.topics = Rc::clone(shared);
        }
        if more(&mut self.sets, &metadata.topics) {
            self.bytes += set_bytes(&metadata.topics);
            for topic in metadata.topics.iter() {
                more(&mut self.named, topic);
            }
        }
        if let Some(instance_id) = &metadata.instance_id {
            self.instances.insert(instance_id.clone(), id.to_owned());
        }
        if let Some(pattern) = metadata.pattern() {
            let mut it = self.take_pattern(pattern);
            it.users += 1;
            self.put_pattern(pattern, it);
        }
        if let Some(assignor) = &metadata.server_assignor {
            more(&mut self.assignors, assignor);
        }
        if let Some(classic) = &metadata.classic {
            self.classic += 1;
            for it in &classic.protocols {
                more(&mut self.protocols, &it.name);
            }
        }
    }

    fn discount_metadata(&mut self, id: &str, metadata: &MemberMetadata) {
        if less(&mut self.sets, &metadata.topics) {
            self.bytes -= set_bytes(&metadata.topics);
            for topic in metadata.topics.iter() {
                less(&mut self.named, topic);
            }
        }
        if let Some(instance_id) = &metadata.instance_id
            && self.of_instance(instance_id) == Some(id)
        {
            self.instances.remove(instance_id);
        }
        if let Some(pattern) = metadata.pattern() {
            let mut it = self.take_pattern(pattern);
            it.users = it.users.saturating_sub(1);
            self.put_pattern(pattern, it);
        }
        if let Some(assignor) = &metadata.server_assignor {
            less(&mut self.assignors, assignor);
        }
        if let Some(classic) = &metadata.classic {
            self.classic -= 1;
            for it in &classic.protocols {
                less(&mut self.protocols, &it.name);
            }
        }
    }

    fn apply_current(&mut self, id: String, new: Option<Kept<Current>>) -> Change {
        let mut slot = self.take_slot(&id);
        let old_bytes = slot.current_bytes;
        let new_bytes = record_bytes(new.as_ref());
        let current = new.map(|it| it.value).unwrap_or_default();
        let old = std::mem::replace(&mut slot.member.current, current);
        for set in [&old.assigned, &old.revoking] {
            for place in partitions::iter(set) {
                if less(&mut self.owners, &place) {
                    self.bytes -= ENTRY;
                }
            }
        }
        for set in [&slot.member.current.assigned, &slot.member.current.revoking] {
            for place in partitions::iter(set) {
                if more(&mut self.owners, &place) {
                    self.bytes += ENTRY;
                }
            }
        }
        if let Some(streams) = self.streams.as_deref_mut() {
            let now = slot.member.current.tasks.as_deref();
            streams.owners.change(&id, old.tasks.as_deref(), now);
        }
        slot.current_bytes = new_bytes;
        self.put_slot(&id, slot);
        self.recount(old_bytes, new_bytes);
        let old = Kept { value: old, record_bytes: old_bytes };
        Change::Current(id, (old_bytes > 0).then_some(old))
    }

    // ---- Loading ----

    /// What is known of somebody who is no member: a compaction had taken some of its tombstones, and not
    /// what they were for. It is forgotten.
    pub fn forget_lost(&mut self, id: &str) {
        if self.members.get(id).is_some_and(|it| it.metadata_bytes == 0) {
            self.apply(Change::Current(id.to_owned(), None));
        }
    }

    /// Tombstones of all of its records.
    pub fn tombstones(&self, group_id: &str) -> Vec<Record> {
        let (mut cursor, mut all) = (Cursor::default(), Vec::new());
        while let Some(change) = self.next_change(&mut cursor) {
            let mut gone = match change {
                Change::Epoch(_) => Change::Epoch(None),
                Change::Metadata(id, _) => Change::Metadata(id, None),
                Change::TargetEpoch(_) => Change::TargetEpoch(None),
                Change::Target(id, _) => Change::Target(id, None),
                Change::Current(id, _) => Change::Current(id, None),
                Change::Regex(pattern, _) => Change::Regex(pattern, None),
                Change::ShareTopics(_) => Change::ShareTopics(None),
                Change::Topology(_) => Change::Topology(None),
                Change::Tasks(id, _) => Change::Tasks(id, None),
            };
            // A key that was written once can be written again.
            all.extend(encoding::record(self.protocol, group_id, &mut gone).ok());
        }
        // The group's own goes last: targets of an epoch that is not there would be taken for new ones.
        if self.epoch.is_some() {
            all.rotate_left(1);
        }
        all
    }

    /// What its records are now, from behind a place on: see [`Cursor`].
    pub fn next_change(&self, cursor: &mut Cursor) -> Option<Change> {
        loop {
            let found = match &*cursor {
                Cursor::Begin => {
                    *cursor = Cursor::Metadata(None);
                    self.epoch.clone().map(|it| Change::Epoch(Some(it)))
                }
                Cursor::Metadata(after) => match next(&self.members, after.as_deref()) {
                    Some((id, slot)) => {
                        *cursor = Cursor::Metadata(Some(id.clone()));
                        let value = Box::new(slot.member.metadata.clone());
                        let record_bytes = slot.metadata_bytes;
                        (record_bytes > 0).then(|| {
                            Change::Metadata(id.clone(), Some(Kept { value, record_bytes }))
                        })
                    }
                    None => {
                        *cursor = Cursor::Regex(None);
                        None
                    }
                },
                Cursor::Regex(after) => match next(&self.patterns, after.as_deref()) {
                    Some((text, pattern)) => {
                        *cursor = Cursor::Regex(Some(text.clone()));
                        let resolved = pattern.resolved.clone();
                        resolved.map(|it| Change::Regex(text.clone(), Some(it)))
                    }
                    None => {
                        *cursor = Cursor::Target(None);
                        None
                    }
                },
                Cursor::Target(after) => match next(&self.targets, after.as_deref()) {
                    Some((id, target)) => {
                        *cursor = Cursor::Target(Some(id.clone()));
                        Some(Change::Target(id.clone(), Some(target.clone())))
                    }
                    None => {
                        *cursor = Cursor::Tasks(None);
                        self.target_epoch.clone().map(|it| Change::TargetEpoch(Some(it)))
                    }
                },
                Cursor::Tasks(after) => {
                    let streams = self.streams.as_deref();
                    let next = streams.and_then(|it| it.targets_after(after.as_deref()).next());
                    match next {
                        Some((id, target)) => {
                            *cursor = Cursor::Tasks(Some(id.clone()));
                            Some(Change::Tasks(id.clone(), Some(target.clone())))
                        }
                        None => {
                            *cursor = Cursor::Current(None);
                            let topology = streams.and_then(StreamsState::kept_topology).cloned();
                            topology.map(|it| Change::Topology(Some(it)))
                        }
                    }
                }
                Cursor::Current(after) => match next(&self.members, after.as_deref()) {
                    Some((id, slot)) => {
                        *cursor = Cursor::Current(Some(id.clone()));
                        let value = slot.member.current.clone();
                        let record_bytes = slot.current_bytes;
                        (record_bytes > 0).then(|| {
                            Change::Current(id.clone(), Some(Kept { value, record_bytes }))
                        })
                    }
                    None => {
                        *cursor = Cursor::End;
                        self.share_topics.clone().map(|it| Change::ShareTopics(Some(it)))
                    }
                },
                Cursor::End => return None,
            };
            if found.is_some() {
                return found;
            }
        }
    }
}

/// How far a walk over the records of a group has come: behind the key that it names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cursor {
    /// At the first.
    #[default]
    Begin,
    /// At what members say of themselves.
    Metadata(Option<String>),
    /// At regular expressions.
    Regex(Option<String>),
    /// At targets.
    Target(Option<String>),
    /// At targets of a streams group.
    Tasks(Option<String>),
    /// At what members were told.
    Current(Option<String>),
    /// Behind the last one.
    End,
}

fn next<'a, T>(map: &'a BTreeMap<String, T>, after: Option<&str>) -> Option<(&'a String, &'a T)> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    map.range::<str, _>((from, Bound::Unbounded)).next()
}

fn target_bytes(id: &str, target: &Partitions) -> usize {
    ENTRY + id.len() + size_of::<Kept<Arc<Partitions>>>() + partitions::bytes(target)
}

fn set_bytes(set: &BTreeSet<String>) -> usize {
    ENTRY + set.iter().map(|it| 2 * ENTRY + 2 * it.len()).sum::<usize>()
}
