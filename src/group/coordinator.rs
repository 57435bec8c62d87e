//! All groups of one partition of `__consumer_offsets`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use slab::Slab;

use super::cluster::Cluster;
use super::consumer;
use super::context::{CoordinatorSettings, Cx};
use super::effect::{Effect, Ticket};
use super::expiry::RetentionClock;
use super::loading::Loading;
use super::memory::{Memory, added_bytes, request_bytes};
use super::offsets::{Around, Offset, Seeded, Topics};
use super::pending::Writes;
use super::queue::Queued;
use super::records::{Key, OffsetValue, Record, RecordError, group_record};
use super::request::{Describe, GroupRequest, List};
use super::response::{Described, GroupResponse, Listed};
use super::state::Group;
use super::streams::state::topology_bytes;
use super::topic_index::TopicIndex;
use crate::types::{ErrorCode, Now, TopicId};

/// A group, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupFigures<'a> {
    /// The group.
    pub group_id: &'a str,
    /// Name of its state.
    pub state: &'static str,
    /// Its protocol type; empty for a group that only holds offsets.
    pub protocol_type: &'a str,
    /// Members it has.
    pub members: usize,
    /// Its generation.
    pub generation_id: i32,
    /// Offsets it has committed.
    pub offsets: usize,
}

/// A committed offset, for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetFigures<'a> {
    /// The group.
    pub group_id: &'a str,
    /// The topic's name.
    pub topic: &'a Arc<str>,
    /// The id that the topic had; zero where it was not known.
    pub topic_id: TopicId,
    /// Partition number.
    pub partition: i32,
    /// The next offset that the group will read.
    pub offset: i64,
}

/// What [`Coordinator::look`] comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// A group.
    Group(GroupFigures<'a>),
    /// An offset of the group that was shown last.
    Offset(OffsetFigures<'a>),
}

/// The look for expired offsets goes round all groups, a part at a time.
#[derive(Debug)]
struct Sweep {
    /// When it goes on; `None` before the start.
    next_ms: Option<i64>,
    /// The next group's place.
    next_key: usize,
    /// The last of its offsets that was looked at, where the rest follows.
    last: Option<(TopicIndex, i32)>,
    /// The sweep has begun with that group.
    begun: bool,
    /// Until when the sweep waits for what that group does, ms.
    until_ms: i64,
}

/// A part of a sweep ends after this many offsets and groups: a quarter of a millisecond or less.
const SWEEP_PART: usize = 1_024;
/// A part of a tick ends after this many groups and members whose time has come.
const TICK_PART: usize = 256;
/// A group does no more than so many steps in one go; the rest follows.
const AT_ONCE: usize = 512;
/// A sweep that has begun with a group waits so long for what the group writes, ms.
const SWEEP_WAIT_MS: i64 = 1_000;

/// All groups of one partition of `__consumer_offsets`.
#[derive(Debug)]
pub struct Coordinator {
    settings: CoordinatorSettings,
    pub(super) topics: Topics,
    /// In boxes: groups are large, and a slab that grows moves what it holds.
    pub(super) groups: Slab<Box<Group>>,
    by_id: HashMap<Arc<str>, usize, Seeded>,
    /// When each group has something to do by time.
    schedule: BTreeSet<(i64, usize)>,
    pub(super) writes: Writes,
    /// The groups of which each producer's open transaction has committed offsets, by place.
    pub(super) staging: BTreeMap<i64, BTreeSet<usize>>,
    /// A group whose record is not loaded to its end.
    loading: Option<(usize, Loading)>,
    pub(super) live_bytes: u64,
    sweep: Sweep,
    pub(super) clock: RetentionClock,
    /// What the groups take.
    pub(super) groups_bytes: usize,
    /// What the owner holds for them.
    held_bytes: usize,
    /// What was told to `memory`.
    charged: usize,
    memory: Memory,
    cluster: Cluster,
    /// See [`AT_ONCE`].
    at_once: usize,
    pub(super) steps: u64,
}

/// How far a walk over all groups and their offsets has come.
#[derive(Debug, Default)]
pub struct StateCursor {
    /// The group's place.
    pub(super) key: usize,
    /// The group itself was passed.
    pub(super) begun: bool,
    /// How far its records as a consumer group were passed.
    consumer: consumer::state::Cursor,
    /// The last of its offsets that was passed.
    pub(super) last: Option<(TopicIndex, i32)>,
}

impl StateCursor {
    /// Goes on to the next place.
    pub(super) fn next_place(&mut self) {
        *self = Self { key: self.key + 1, ..Self::default() };
    }

    /// Passes so many of the group's offsets at most, which begin behind the last that was passed; how
    /// many there were.
    fn pass<T>(
        &mut self,
        offsets: impl Iterator<Item = (TopicIndex, i32, T)>,
        room: usize,
        mut see: impl FnMut(TopicIndex, i32, T),
    ) -> usize {
        let mut passed = 0;
        for (topic, partition, offset) in offsets.take(room) {
            see(topic, partition, offset);
            self.last = Some((topic, partition));
            passed += 1;
        }
        passed
    }
}

/// How far [`Coordinator::start_part`] has come.
#[derive(Debug)]
pub struct Start {
    cursor: StateCursor,
    /// Nothing was committed later than this, whatever its stamp says.
    latest_ms: Option<i64>,
}

/// A topic that is gone, and how far [`Coordinator::topic_deleted_part`] has come with it.
#[derive(Debug, Default)]
pub struct GoneTopic {
    name: Arc<str>,
    id: TopicId,
    /// The place from which groups with offsets of it have not heard of it.
    from: usize,
    /// Places of the groups with writes pending that have not; none before the first part.
    pending: Option<Vec<usize>>,
}

impl GoneTopic {
    /// This one.
    pub fn new(name: &str, id: TopicId) -> Self {
        Self { name: name.into(), id, from: 0, pending: None }
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.memory.change(self.charged, 0);
    }
}

impl Coordinator {
    /// No groups.
    pub fn new(settings: CoordinatorSettings) -> Self {
        Self {
            topics: Topics::new(settings.hash_seed),
            groups: Slab::new(),
            by_id: HashMap::with_hasher(Seeded(settings.hash_seed)),
            schedule: BTreeSet::new(),
            writes: Writes::default(),
            staging: BTreeMap::new(),
            loading: None,
            live_bytes: 0,
            sweep: Sweep { next_ms: None, next_key: 0, last: None, begun: false, until_ms: 0 },
            clock: RetentionClock::default(),
            groups_bytes: 0,
            held_bytes: 0,
            charged: 0,
            memory: Memory::default(),
            cluster: Cluster::default(),
            at_once: AT_ONCE,
            steps: 0,
            settings,
        }
    }

    /// Groups do no more than so many steps in one go.
    #[cfg(test)]
    pub(super) fn pause_after(&mut self, steps: usize) {
        self.at_once = steps;
    }

    /// Steps of all that was done here: groups, members, offsets and requests that were looked at.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Charges what the groups take to `memory`, and keeps to its limit.
    #[must_use]
    pub fn with_memory(mut self, memory: Memory) -> Self {
        self.memory = memory;
        self
    }

    /// Looks at these metadata.
    #[must_use]
    pub fn with_cluster(mut self, cluster: Cluster) -> Self {
        self.cluster = cluster;
        self
    }

    /// Memory that the groups take, bytes: members, offsets, what waits.
    pub const fn memory_bytes(&self) -> usize {
        self.groups_bytes + self.topics.bytes() + self.held_bytes
    }

    /// The same, counted anew.
    #[cfg(test)]
    pub(super) fn counted_bytes(&self) -> usize {
        let groups: usize = self.groups.iter().map(|(_, it)| it.counted_bytes()).sum();
        groups + self.topics.counted_bytes() + self.held_bytes
    }

    pub(super) fn charge(&mut self) {
        let bytes = self.memory_bytes();
        self.memory.change(self.charged, bytes);
        self.charged = bytes;
    }

    /// The owner keeps a request back, or hands in one that it has kept.
    pub fn hold(&mut self, request: &GroupRequest, held: bool) {
        let bytes = request_bytes(request);
        self.held_bytes = if held { self.held_bytes + bytes } else { self.held_bytes - bytes };
        self.charge();
    }

    /// Whether there is no memory for what a request would add: it is to be refused with
    /// `COORDINATOR_NOT_AVAILABLE`. Clients take that for something that passes, look for the
    /// coordinator again and repeat the request, whatever it was; `GROUP_MAX_SIZE_REACHED`, which
    /// speaks of one group, ends a consumer. What adds nothing, or takes something away, is always
    /// served, and members may repeat what they have said.
    pub fn is_too_much(&self, request: &GroupRequest) -> bool {
        let group = || self.by_id.get(request.group_id()).map(|&key| &self.groups[key]);
        let old = |id: &str| group().map_or(0, |it| it.members.bytes_of(id));
        let replaced = match request {
            GroupRequest::Join(it) => {
                let instance = it.group_instance_id.as_deref();
                let id = group().and_then(|of| of.members.of_instance(instance?));
                old(id.unwrap_or(&it.member_id))
            }
            // A leader's assignment takes the place of the last.
            GroupRequest::Sync(it) if it.assignments.is_empty() => return false,
            GroupRequest::Sync(_) => group().map_or(0, |it| it.members.bytes()),
            GroupRequest::Commit(_) => 0,
            GroupRequest::ConsumerHeartbeat(it) if it.member_epoch < 0 => return false,
            GroupRequest::ConsumerHeartbeat(it) => {
                let of = group().and_then(|of| of.consumer.as_deref()?.member(&it.member_id));
                of.map_or(0, consumer::member::Member::bytes)
            }
            GroupRequest::StreamsHeartbeat(it) if it.member_epoch < 0 => return false,
            GroupRequest::StreamsHeartbeat(it) => {
                let of = group().and_then(|of| of.consumer.as_deref());
                let member = of.and_then(|of| of.member(&it.member_id));
                let topology = of.and_then(|of| of.streams()?.topology());
                member.map_or(0, consumer::member::Member::bytes)
                    + topology.map_or(0, |it| topology_bytes(it))
            }
            _ => return false,
        };
        let bytes = added_bytes(request);
        if bytes <= replaced || !self.memory.is_exceeded_by(bytes - replaced) {
            return false;
        }
        if let GroupRequest::Commit(commit) = request
            && group().is_some_and(|it| it.only_replaces(&self.topics, commit))
        {
            return false;
        }
        self.memory.count_refused();
        true
    }

    /// Other settings from now on; the seed stays.
    pub fn configure(&mut self, settings: CoordinatorSettings) {
        self.settings = settings;
    }

    /// Applies one record of the log, oldest first, before [`Coordinator::start`]. Records of kinds
    /// that only newer versions of Kafka write are skipped.
    pub fn replay(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp_ms: i64,
    ) -> Result<(), RecordError> {
        self.begin_replay(key, value, timestamp_ms)?;
        while self.go_on_replaying(usize::MAX)? > 0 {}
        Ok(())
    }

    /// The same, but for the members of a group: those are for
    /// [`go_on_replaying`](Self::go_on_replaying), before the next record.
    pub fn begin_replay(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        _timestamp_ms: i64,
    ) -> Result<(), RecordError> {
        let key_bytes = key.map_or(0, <[u8]>::len);
        match Key::read(key.ok_or(RecordError::NoKey)?)? {
            Key::Offset { group, topic, partition } => {
                let value = value.map(OffsetValue::read).transpose()?;
                if value.is_none() && !self.by_id.contains_key(group) {
                    return Ok(());
                }
                let key = self.place(group);
                let group = &mut self.groups[key];
                let before = group.bytes();
                let (topics, live_bytes) = (&mut self.topics, &mut self.live_bytes);
                let mut around = Around { topics, live_bytes, group: &group.id, key };
                if let Some(value) = value {
                    self.clock.saw(value.commit_timestamp_ms);
                    let offset = Offset::new(value, value.commit_timestamp_ms);
                    group.staged.supersede(topic, partition);
                    group.offsets.insert(&mut around, topic, partition, offset);
                } else if let Some(index) = around.topics.find(topic) {
                    group.offsets.remove(&mut around, index, partition);
                }
                self.groups_bytes = self.groups_bytes + group.bytes() - before;
                self.drop_if_gone(key);
            }
            Key::Group { group } => {
                if value.is_some() || self.by_id.contains_key(group) {
                    let key = self.place(group);
                    let group = &mut self.groups[key];
                    let before = group.bytes();
                    let loading = group.load(&mut self.live_bytes, value);
                    self.groups_bytes = self.groups_bytes + group.bytes() - before;
                    self.clock.saw(group.state_timestamp_ms);
                    match loading {
                        Ok(loading) => self.loading = Some((key, loading)),
                        Err(error) => {
                            self.drop_if_gone(key);
                            return Err(error);
                        }
                    }
                }
            }
            Key::Consumer { kind, group, part } => {
                let known = self.by_id.get(group).map(|&key| &self.groups[key]);
                if value.is_some() || known.is_some_and(|it| it.consumer.is_some()) {
                    let (protocol, change) =
                        consumer::encoding::read(kind, part, key_bytes, value)?;
                    let key = self.place(group);
                    let group = &mut self.groups[key];
                    let before = group.bytes();
                    group.load_change(protocol, change, value.is_some());
                    group.count_live(&mut self.live_bytes);
                    self.groups_bytes = self.groups_bytes + group.bytes() - before;
                    self.drop_if_gone(key);
                }
            }
            Key::Other(_) => {}
        }
        self.charge();
        Ok(())
    }

    /// Goes on with the record of a group, about so many members; of how many, 0 at its end.
    pub fn go_on_replaying(&mut self, steps: usize) -> Result<usize, RecordError> {
        let Some((key, mut loading)) = self.loading.take() else { return Ok(0) };
        let group = &mut self.groups[key];
        let before = group.bytes();
        let taken = group.go_on_loading(&mut loading, steps);
        self.groups_bytes = self.groups_bytes + group.bytes() - before;
        if matches!(taken, Ok(1..)) {
            self.loading = Some((key, loading));
        } else {
            self.drop_if_gone(key);
        }
        self.charge();
        taken
    }

    /// Loading is over: groups start, with [`start_part`](Self::start_part). Until that has come to
    /// its end, no request may be handed in.
    pub fn begin_start(&mut self, now: Now) -> Start {
        Start { cursor: StateCursor::default(), latest_ms: self.clock.start(now) }
    }

    /// Starts some groups, in about so many steps (groups, members and offsets): sessions of the
    /// members found run from now. `see` is shown the topic of each offset, by name and id; the id is
    /// zero where it is not known. The steps that it took; 0 when all have started.
    pub fn start_part(
        &mut self,
        now: Now,
        start: &mut Start,
        steps: usize,
        see: &mut dyn FnMut(&str, TopicId),
        out: &mut Vec<Effect>,
    ) -> usize {
        let Start { cursor, latest_ms } = start;
        let (mut taken, mut counted) = (0, 0);
        while cursor.key < self.groups.capacity() && taken < steps {
            taken += 1;
            if let Some(group) = self.groups.get_mut(cursor.key)
                && !std::mem::replace(&mut cursor.begun, true)
            {
                latest_ms.iter().for_each(|ms| group.not_after(*ms));
                let members = self.with_group(now, cursor.key, out, Group::start);
                (taken, counted) = (taken + members, counted + members);
            }
            if let Some(group) = self.groups.get_mut(cursor.key) {
                let room = steps.saturating_sub(taken).max(1);
                let offsets = group.offsets.after_mut(cursor.last);
                let passed = cursor.pass(offsets, room, |topic, _, offset| {
                    latest_ms.iter().for_each(|ms| offset.not_after(*ms));
                    see(self.topics.name(topic), offset.value().topic_id);
                });
                taken += passed;
                if passed == room {
                    break;
                }
            }
            cursor.next_place();
        }
        if taken == 0 && self.sweep.next_ms.is_none() {
            self.sweep.next_ms = Some(now.monotonic_ms + self.sweep_interval_ms());
        }
        self.steps += (taken - counted) as u64;
        taken
    }

    /// Starts all groups at once.
    pub fn start(&mut self, now: Now, out: &mut Vec<Effect>) {
        let mut start = self.begin_start(now);
        while self.start_part(now, &mut start, usize::MAX, &mut |_, _| (), out) > 0 {}
    }

    fn sweep_interval_ms(&self) -> i64 {
        self.settings.offsets_retention_check_interval_ms.max(1)
    }

    /// The place of a group, new or not.
    pub(super) fn place(&mut self, id: &str) -> usize {
        if let Some(&key) = self.by_id.get(id) {
            return key;
        }
        let id = Arc::<str>::from(id);
        let group = Box::new(Group::new(Arc::clone(&id)));
        self.groups_bytes += group.bytes();
        let key = self.groups.insert(group);
        self.by_id.insert(id, key);
        key
    }

    pub(super) fn drop_if_gone(&mut self, key: usize) {
        let group = &self.groups[key];
        if group.is_gone() {
            debug_assert!(group.members.is_empty(), "members of a group that is gone");
            if let Some(at_ms) = group.scheduled_ms {
                self.schedule.remove(&(at_ms, key));
            }
            self.groups_bytes -= group.bytes();
            self.by_id.remove(&group.id);
            self.groups.remove(key);
        }
    }

    /// Lets a group do something, then whatever waits in its queue and is due, until it has a
    /// write pending or nothing left to do. How many steps that took, of those that it counts: not more
    /// than are at once, or a little.
    fn with_group(
        &mut self,
        now: Now,
        key: usize,
        out: &mut Vec<Effect>,
        act: impl FnOnce(&mut Group, &mut Cx<'_>),
    ) -> usize {
        let mut cx = Cx {
            now,
            clock_ms: self.clock.now_ms(now),
            settings: &self.settings,
            cluster: &self.cluster,
            topics: &mut self.topics,
            live_bytes: &mut self.live_bytes,
            writes: &mut self.writes,
            staging: &mut self.staging,
            out,
            key,
            left: self.at_once,
            taken: 0,
        };
        let group = &mut self.groups[key];
        let before = group.bytes();
        act(group, &mut cx);
        group.go_on(&mut cx);
        group.count_live(cx.live_bytes);
        let taken = cx.taken;
        self.steps += 1 + taken as u64;
        self.groups_bytes = self.groups_bytes + group.bytes() - before;
        let wake_ms = group.wake_ms();
        if group.scheduled_ms != wake_ms {
            if let Some(at_ms) = group.scheduled_ms {
                self.schedule.remove(&(at_ms, key));
            }
            if let Some(at_ms) = wake_ms {
                self.schedule.insert((at_ms, key));
            }
            group.scheduled_ms = wake_ms;
        }
        self.drop_if_gone(key);
        self.charge();
        taken
    }

    /// Lists groups, about so many from the place `from` on; the steps that it took, 0 at the end.
    /// Others may work between two parts: what comes or goes meanwhile may be missed.
    pub fn list_part(
        &self,
        filter: &List,
        from: &mut usize,
        steps: usize,
        listed: &mut Vec<Listed>,
    ) -> usize {
        let upto = self.groups.capacity().min(from.saturating_add(steps));
        let places = *from..upto;
        let taken = places.len();
        let groups = places.filter_map(|key| self.groups.get(key));
        listed.extend(groups.filter_map(|group| group.listed(filter)));
        *from = upto.max(*from);
        taken
    }

    /// Takes a request. Its answer is in `out` now or after a later call; that of
    /// [`GroupRequest::Describe`] is there now.
    ///
    /// Here and elsewhere, deadlines are measured by the monotonic clock of `now`, and what is kept
    /// with offsets and groups is stamped with the wall's.
    pub fn request(
        &mut self,
        now: Now,
        ticket: Ticket,
        request: GroupRequest,
        out: &mut Vec<Effect>,
    ) {
        match request {
            request if self.is_answered_at_once(&request) => {
                let described = self.describe(request.group_id());
                out.push(Effect::Reply { ticket, response: GroupResponse::Describe(described) });
            }
            request if self.is_too_much(&request) => {
                let error = ErrorCode::COORDINATOR_NOT_AVAILABLE;
                out.push(Effect::Reply {
                    ticket,
                    response: GroupResponse::refused(&request, error),
                });
            }
            request => {
                let key = self.place(request.group_id());
                self.with_group(now, key, out, |group, cx| group.take(cx, ticket, request));
            }
        }
    }

    /// Whether a request changes nothing and has its answer at once, whatever the group waits for: a
    /// description of few members.
    pub fn is_answered_at_once(&self, request: &GroupRequest) -> bool {
        let GroupRequest::Describe(Describe { group_id }) = request else { return false };
        let group = self.by_id.get(group_id.as_str()).map(|&key| &self.groups[key]);
        group.is_none_or(|it| !it.is_walking() && it.members.len() <= self.at_once)
    }

    fn describe(&mut self, group_id: &str) -> Described {
        let group = self.by_id.get(group_id).map(|&key| &self.groups[key]);
        let described = match group.filter(|it| !it.is_vacant()) {
            Some(group) => group.described(),
            None => Described::not_found(group_id),
        };
        self.steps += 1 + described.members.len() as u64;
        described
    }

    /// An [`Effect::Append`] is durable, or none of its records will ever be: the error is that of
    /// the append.
    pub fn written(
        &mut self,
        now: Now,
        write: u64,
        result: Result<(), ErrorCode>,
        out: &mut Vec<Effect>,
    ) {
        if let Some(end) = self.writes.take_end(write) {
            return self.end_written(end, result, out);
        }
        let Some(key) = self.writes.end(write) else {
            debug_assert!(false, "write {write} is answered, but was not asked for");
            return;
        };
        self.with_group(now, key, out, |group, cx| group.written(cx, result));
    }

    /// Goes on with a commit of very many offsets, or with very many members, about so many steps; how many
    /// it took, 0 where there is nothing to go on with.
    pub fn go_on_with_long(&mut self, now: Now, steps: usize, out: &mut Vec<Effect>) -> usize {
        let Some((write, key)) = self.writes.next_long() else { return 0 };
        let taken = self.with_group(now, key, out, |group, cx| {
            cx.left = steps;
            group.go_on_with_long(cx, write);
        });
        taken.max(1)
    }

    /// Whether [`go_on_with_long`](Self::go_on_with_long) has something to do.
    pub fn has_long(&self) -> bool {
        self.writes.has_long()
    }

    /// Does what is due, or a part of it: the steps that it took, of groups and offsets. There is
    /// more where [`next_deadline`](Self::next_deadline) is not later than now.
    pub fn tick(&mut self, now: Now, out: &mut Vec<Effect>) -> usize {
        let now_ms = now.monotonic_ms;
        let mut taken = 0;
        // After a start, sessions of all that have gone meanwhile end at the same time.
        while let Some(&(at_ms, key)) = self.schedule.first()
            && at_ms <= now_ms
        {
            if taken >= TICK_PART {
                return taken;
            }
            taken += 1 + self.with_group(now, key, out, Group::expire);
        }
        if self.sweep.next_ms.is_some_and(|at_ms| at_ms <= now_ms) {
            taken += self.sweep_part(now, out);
        }
        taken
    }

    /// Looks for expired offsets. A group with a write pending has its turn in the next sweep, unless
    /// some of its offsets were looked at already: the rest follows soon.
    fn sweep_part(&mut self, now: Now, out: &mut Vec<Effect>) -> usize {
        let now_ms = now.monotonic_ms;
        let mut seen = 0;
        while self.sweep.next_key < self.groups.capacity() {
            if seen >= SWEEP_PART {
                self.sweep.next_ms = Some(now_ms + 1);
                return seen;
            }
            let key = self.sweep.next_key;
            seen += 1;
            let pending = self.groups.get(key).map(|it| it.pending.is_some());
            if pending == Some(true) && self.sweep.begun && now_ms < self.sweep.until_ms {
                self.sweep.next_ms = Some(now_ms + 1);
                return seen;
            }
            if pending == Some(false) {
                let room = SWEEP_PART.saturating_sub(seen).max(1);
                let (mut last, mut looks) = (self.sweep.last, None);
                seen += self.with_group(now, key, out, |group, cx| {
                    looks = group.expire_offsets(cx, &mut last, room);
                    cx.take(looks.unwrap_or(0));
                });
                if looks.is_none_or(|it| it == room) {
                    self.sweep.last = last;
                    self.sweep.begun = true;
                    self.sweep.until_ms = now_ms + SWEEP_WAIT_MS;
                    continue;
                }
            }
            self.sweep.last = None;
            self.sweep.begun = false;
            self.sweep.next_key += 1;
        }
        self.sweep.next_key = 0;
        self.sweep.next_ms = Some(now_ms + self.sweep_interval_ms());
        seen
    }

    /// When [`Coordinator::tick`] has something to do; `None` while nothing is to be done by time.
    pub fn next_deadline(&self) -> Option<i64> {
        let sweep_ms = if self.groups.is_empty() { None } else { self.sweep.next_ms };
        let group_ms = self.schedule.first().map(|&(at_ms, _)| at_ms);
        // Not an iterator over both: at opt-level 3 that became 1,400 instructions, each bit of its padding by itself.
        match (sweep_ms, group_ms) {
            (Some(sweep_ms), Some(group_ms)) => Some(sweep_ms.min(group_ms)),
            (sweep_ms, group_ms) => sweep_ms.or(group_ms),
        }
    }

    /// A topic is gone: so are its offsets. Offsets of a topic of the same name with another id
    /// stay.
    pub fn topic_deleted(
        &mut self,
        now: Now,
        topic: &str,
        topic_id: TopicId,
        out: &mut Vec<Effect>,
    ) {
        let mut gone = GoneTopic::new(topic, topic_id);
        while self.topic_deleted_part(now, &mut gone, usize::MAX, out) > 0 {}
    }

    /// The same for about so many of the groups concerned; for how many, 0 at the end.
    pub fn topic_deleted_part(
        &mut self,
        now: Now,
        gone: &mut GoneTopic,
        groups: usize,
        out: &mut Vec<Effect>,
    ) -> usize {
        let GoneTopic { name, id, from, pending } = gone;
        // A commit that is pending, or waits, may be of this topic: its offset goes too.
        let pending = pending.get_or_insert_with(|| self.writes.groups().collect());
        let index = self.topics.find(name);
        let with_offsets = index.into_iter().flat_map(|it| self.topics.groups_from(it, *from));
        let mut keys: BTreeSet<usize> = with_offsets.take(groups).collect();
        *from = keys.last().map_or(*from, |last| last + 1);
        let rest = pending.len().saturating_sub(groups - keys.len());
        keys.extend(pending.drain(rest..));
        let taken = keys.len();
        for key in keys {
            // One that had a write pending may be gone meanwhile.
            if self.groups.contains(key) {
                self.with_group(now, key, out, |group, cx| {
                    group.enqueue(cx, Queued::TopicDeleted(Arc::clone(name), *id));
                });
            }
        }
        taken
    }

    /// Whether an [`Effect::Append`] has not been answered yet.
    pub fn has_pending_writes(&self) -> bool {
        !self.writes.is_empty()
    }

    /// Bytes of keys and values of the whole state.
    pub const fn live_bytes(&self) -> u64 {
        self.live_bytes
    }

    /// The next records of the whole state, of so many bytes together or one more; none at the end.
    /// All of them, replayed into a new coordinator, make this one. Between the first call and the
    /// last, nothing may be asked but descriptions.
    ///
    /// # Panics
    /// While writes are pending: those are older in the log than the records given here, and newer
    /// in meaning.
    pub fn live_records(&self, cursor: &mut StateCursor, bytes: usize) -> Vec<Record> {
        assert!(!self.has_pending_writes(), "the state is asked for while it changes");
        let (mut records, mut len) = (Vec::new(), 0);
        let mut push = |record: Record| {
            len += record.key.len() + record.value.as_ref().map_or(0, Vec::len);
            records.push(record);
            len < bytes
        };
        while cursor.key < self.groups.capacity() {
            if let Some(group) = self.groups.get(cursor.key) {
                if let Some(value) = &group.durable
                    && !std::mem::replace(&mut cursor.begun, true)
                    && !push(group_record(&group.id, Some(value)))
                {
                    return records;
                }
                if let Some(consumer) = group.consumer.as_deref() {
                    while let Some(mut change) = consumer.next_change(&mut cursor.consumer) {
                        let protocol = consumer.protocol();
                        let record = consumer::encoding::record(protocol, &group.id, &mut change);
                        // What was written once can be written again.
                        if record.is_ok_and(|record| !push(record)) {
                            return records;
                        }
                    }
                }
                for (topic, partition, offset) in group.offsets.after(cursor.last) {
                    cursor.last = Some((topic, partition));
                    let topic = self.topics.name(topic);
                    if !push(offset.value().record(&group.id, topic, partition)) {
                        return records;
                    }
                }
            }
            cursor.next_place();
        }
        records
    }

    /// The whole state at once.
    pub fn live_state(&self) -> Vec<Record> {
        self.live_records(&mut StateCursor::default(), usize::MAX)
    }

    /// Shows groups, each before its offsets, in about so many steps from where `cursor` stands; the
    /// steps that it took, 0 at the end. Others may work between two parts: what comes or goes
    /// meanwhile may be missed, or be shown in part.
    pub fn look(
        &self,
        cursor: &mut StateCursor,
        steps: usize,
        see: &mut dyn FnMut(Seen<'_>),
    ) -> usize {
        let mut taken = 0;
        while cursor.key < self.groups.capacity() && taken < steps {
            taken += 1;
            if let Some(group) = self.groups.get(cursor.key).filter(|it| it.is_shown()) {
                if !std::mem::replace(&mut cursor.begun, true) {
                    see(Seen::Group(GroupFigures {
                        group_id: &group.id,
                        state: group.state_name(),
                        protocol_type: group.protocol_type_name(),
                        members: group.shown_members(),
                        generation_id: group.shown_epoch(),
                        offsets: group.offsets.len(),
                    }));
                }
                let room = steps.saturating_sub(taken).max(1);
                let offsets = group.offsets.after(cursor.last);
                let passed = cursor.pass(offsets, room, |topic, partition, offset| {
                    see(Seen::Offset(OffsetFigures {
                        group_id: &group.id,
                        topic: self.topics.shared_name(topic),
                        topic_id: offset.value().topic_id,
                        partition,
                        offset: offset.value().offset,
                    }));
                });
                taken += passed;
                if passed == room {
                    break;
                }
            }
            cursor.next_place();
        }
        taken
    }
}
