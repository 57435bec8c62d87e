//! One group: its state, and the rebalances that it goes through.
//!
//! ```text
//!           join                 all have joined, or time is up
//!   Empty ───────► PreparingRebalance ───────► CompletingRebalance
//!     ▲                 │      ▲                  │        │ the leader's assignment
//!     └─────────────────┘      └──────────────────┴─ Stable◄┘ is durable
//!       nobody is left           somebody joins, leaves, dies
//! ```
//!
//! A group that has nothing is *vacant*: it does not exist, but for requests that wait in its queue.

use std::sync::Arc;

use bytes::Bytes;

use super::consumer::change::Change;
use super::consumer::protocol::Protocol;
use super::consumer::state::{ConsumerGroup, Shown};
use super::consumer_protocol;
use super::context::Cx;
use super::effect::{Effect, Ticket};
use super::members::Members;
use super::memory::ENTRY;
use super::offsets::Offsets;
use super::pending::Pending;
use super::queue::{PendingJoiners, Queue, Queued};
use super::records::Record;
use super::request::GroupRequest;
use super::response::GroupResponse;
use super::staged::StagedOffsets;
use super::subscription::Subscription;
use super::transaction::TransactionProducer;
use super::walk::Task;

/// Where a group is between two generations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No members.
    Empty,
    /// Members join.
    PreparingRebalance,
    /// All have joined; the leader makes the assignment.
    CompletingRebalance,
    /// All have, or can fetch, their assignment.
    Stable,
}

impl State {
    /// Kafka's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// The wait for more members when a group begins: `group.initial.rebalance.delay.ms`, and again as
/// often as somebody joined meanwhile, up to the rebalance timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InitialDelay {
    pub(super) delay_ms: i64,
    pub(super) remaining_ms: i64,
    pub(super) newcomers: bool,
}

/// A group.
#[derive(Debug)]
pub struct Group {
    pub(super) id: Arc<str>,
    pub(super) state: State,
    /// When it came into its state; -1 where an old record did not say.
    pub(super) state_timestamp_ms: i64,
    /// The same by the clock that offsets expire by.
    pub(super) since_ms: i64,
    pub(super) generation_id: i32,
    pub(super) protocol_type: Option<String>,
    pub(super) protocol_name: Option<String>,
    pub(super) leader: Option<String>,
    pub(super) members: Members,
    /// Ids given out with `MEMBER_ID_REQUIRED`, and until when they can be used.
    pub(super) pending_joiners: PendingJoiners,
    /// The initial rebalance's delay.
    pub(super) initial: Option<InitialDelay>,
    /// End of the join phase, or of the wait for `SyncGroup`.
    pub(super) phase_deadline_ms: Option<i64>,
    /// What it is as a group of consumers (KIP-848); it has no other members then.
    pub(super) consumer: Option<Box<ConsumerGroup>>,
    /// Bytes of its records that are counted among those of all.
    pub(super) counted_live: u64,
    pub(super) offsets: Offsets,
    /// What open transactions have committed.
    pub(super) staged: StagedOffsets,
    /// Which topics the members want, for a look for expired offsets that is under way.
    pub(super) wanted: Option<Subscription>,
    /// The value of the group's last durable record. Not derived from the members: those of a
    /// rebalance under way are not durable.
    pub(super) durable: Option<Bytes>,
    /// The write that has to be durable before anything else happens.
    pub(super) pending: Option<Box<Pending>>,
    /// Bytes of the records of that write.
    pub(super) pending_bytes: usize,
    pub(super) queue: Queue,
    /// Nothing has to be done before. May be earlier than the first deadline: sessions are renewed
    /// often, and looking for the first is a walk over all members.
    wake_ms: i64,
    /// The entry in the coordinator's schedule.
    pub(super) scheduled_ms: Option<i64>,
}

impl Group {
    /// A vacant group.
    pub fn new(id: Arc<str>) -> Self {
        Self {
            id,
            state: State::Empty,
            state_timestamp_ms: -1,
            since_ms: -1,
            generation_id: 0,
            protocol_type: None,
            protocol_name: None,
            leader: None,
            members: Members::default(),
            pending_joiners: PendingJoiners::default(),
            initial: None,
            phase_deadline_ms: None,
            consumer: None,
            counted_live: 0,
            offsets: Offsets::default(),
            staged: StagedOffsets::default(),
            wanted: None,
            durable: None,
            pending: None,
            pending_bytes: 0,
            queue: Queue::default(),
            wake_ms: i64::MAX,
            scheduled_ms: None,
        }
    }

    /// Whether the group does not exist.
    pub fn is_vacant(&self) -> bool {
        self.consumer.is_none() && self.is_nothing_else()
    }

    /// Nothing but a consumer group is known of it.
    fn is_nothing_else(&self) -> bool {
        self.state == State::Empty
            && self.durable.is_none()
            && self.offsets.is_empty()
            && self.staged.is_empty()
            && self.pending_joiners.is_empty()
    }

    /// Whether lists and metrics show it. One whose first write is pending is not there yet.
    pub fn is_shown(&self) -> bool {
        self.shown_consumer().is_some() || !self.is_nothing_else()
    }

    /// What they show of the consumer group, if it is one for them.
    pub fn shown_consumer(&self) -> Option<Shown> {
        self.consumer.as_deref().and_then(ConsumerGroup::shown)
    }

    /// Whether it can be forgotten.
    pub fn is_gone(&self) -> bool {
        self.is_vacant() && self.pending.is_none() && self.queue.is_empty()
    }

    /// Memory that it takes, bytes.
    pub fn bytes(&self) -> usize {
        self.fixed_bytes()
            + self.consumer.as_ref().map_or(0, |it| it.bytes())
            + self.members.bytes()
            + self.pending_joiners.bytes()
            + self.offsets.bytes()
            + self.staged.bytes()
            + self.queue.bytes()
    }

    /// The same, counted anew.
    #[cfg(test)]
    pub fn counted_bytes(&self) -> usize {
        self.fixed_bytes()
            + self.consumer.as_ref().map_or(0, |it| it.counted_bytes())
            + self.members.counted_bytes()
            + self.pending_joiners.counted_bytes()
            + self.offsets.counted_bytes()
            + self.staged.counted_bytes()
            + self.queue.counted_bytes()
    }

    fn fixed_bytes(&self) -> usize {
        let durable = self.durable.as_ref().map_or(0, Bytes::len);
        let wanted = self.wanted.as_ref().map_or(0, Subscription::bytes);
        size_of::<Self>() + 3 * ENTRY + self.id.len() + durable + wanted + self.pending_bytes
    }

    /// Whether something is done with its members one by one, and is not at its end.
    pub fn is_walking(&self) -> bool {
        matches!(self.pending.as_deref(), Some(Pending::Walk(_)))
    }

    /// Kafka's name of its state.
    pub fn state_name(&self) -> &'static str {
        self.shown_consumer().map_or(self.state.name(), |it| it.state)
    }

    /// Its protocol type; empty for a group that only holds offsets. As it is shown.
    pub fn protocol_type_name(&self) -> &str {
        match self.shown_consumer().and(self.consumer.as_deref()) {
            Some(it) => it.protocol().name(),
            None => self.protocol_type.as_deref().unwrap_or_default(),
        }
    }

    /// How many members it has.
    pub fn member_count(&self) -> usize {
        self.consumer.as_deref().map_or(self.members.len(), ConsumerGroup::len)
    }

    /// How many members it has, as it is shown.
    pub fn shown_members(&self) -> usize {
        self.shown_consumer().map_or(self.members.len(), |it| it.members)
    }

    /// Its generation, or its epoch, as it is shown.
    pub fn shown_epoch(&self) -> i32 {
        self.shown_consumer().map_or(self.generation_id, |it| it.epoch)
    }

    /// The records of the consumer group are as many bytes as they are.
    pub fn count_live(&mut self, live_bytes: &mut u64) {
        let now = self.consumer.as_deref().map_or(0, ConsumerGroup::record_bytes);
        *live_bytes = *live_bytes + now - self.counted_live;
        self.counted_live = now;
    }

    /// A record of a consumer group, or of one that was, is loaded.
    pub fn load_change(&mut self, protocol: Protocol, change: Option<Change>, there: bool) {
        if let Some(change) = change {
            let new = || Box::new(ConsumerGroup::of(protocol));
            let group = self.consumer.get_or_insert_with(new);
            // Tombstones of a group that had the name before may come late.
            if there {
                group.set_protocol(protocol);
            }
            group.apply(change);
            if group.is_vacant() {
                self.consumer = None;
            }
        }
    }

    /// Whether its members are consumers.
    pub fn is_consumer(&self) -> bool {
        self.protocol_type.as_deref() == Some(consumer_protocol::PROTOCOL_TYPE)
    }

    pub(super) fn enter(&mut self, cx: &Cx<'_>, state: State) {
        self.state = state;
        self.state_timestamp_ms = cx.now.wall_ms;
        self.since_ms = cx.clock_ms;
    }

    /// Appends records; the group does nothing else until they are durable.
    pub(super) fn write(&mut self, cx: &mut Cx<'_>, pending: Pending, records: Vec<Record>) {
        self.write_as(cx, pending, records, None);
    }

    /// The same, as part of a producer's transaction.
    pub(super) fn write_as(
        &mut self,
        cx: &mut Cx<'_>,
        pending: Pending,
        records: Vec<Record>,
        producer: Option<TransactionProducer>,
    ) {
        debug_assert!(self.pending.is_none(), "one write at a time");
        debug_assert!(!records.is_empty(), "a write of nothing");
        self.pending = Some(Box::new(pending));
        let value = |it: &Record| it.value.as_ref().map_or(0, Vec::len);
        self.pending_bytes = records.iter().map(|it| ENTRY + it.key.len() + value(it)).sum();
        let write = cx.writes.begin(cx.key);
        cx.out.push(Effect::Append { write, records, producer });
    }

    // Requests.

    /// Takes a request, in its turn.
    ///
    /// A heartbeat that waits for a write keeps its member alive: nobody is taken for dead while a
    /// write is pending, and what waits is done before it is looked who was silent.
    pub fn take(&mut self, cx: &mut Cx<'_>, ticket: Ticket, request: GroupRequest) {
        self.enqueue(cx, Queued::GroupRequest(ticket, Box::new(request)));
    }

    /// Does something in its turn.
    pub fn enqueue(&mut self, cx: &mut Cx<'_>, item: Queued) {
        if self.pending.is_none() && self.queue.is_empty() {
            self.handle(cx, item);
        } else {
            self.queue.push_back(item);
        }
    }

    /// Does what waits and what is due, until a write is pending.
    pub fn go_on(&mut self, cx: &mut Cx<'_>) {
        loop {
            if self.pending.is_none() && self.is_vacant() {
                self.forget();
            }
            if self.pending.is_some() {
                break;
            }
            if cx.left == 0 && !self.queue.is_empty() {
                // The rest has its turn after other groups.
                self.walk(cx, Task::Queue);
                break;
            }
            match self.queue.pop_front() {
                Some(item) => self.handle(cx, item),
                None => break,
            }
            cx.take(1);
        }
        while self.pending.is_none() && self.wake_ms <= cx.now.monotonic_ms {
            self.expire(cx);
        }
    }

    /// Goes on with what is done member by member, or with a long commit, as many steps as are at hand.
    /// `write` is the number that stands for it.
    pub fn go_on_with_long(&mut self, cx: &mut Cx<'_>, write: u64) {
        match self.pending.take().map(|it| *it) {
            Some(Pending::Walk(walk)) => {
                self.pending_bytes = 0;
                cx.writes.end(write);
                self.go_on_walking(cx, walk);
            }
            pending => {
                self.pending = pending.map(Box::new);
                self.go_on_with_commit(cx, write);
            }
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, item: Queued) {
        let (ticket, request) = match item {
            Queued::TopicDeleted(topic, topic_id) => {
                return self.topic_deleted(cx, &topic, topic_id);
            }
            Queued::GroupRequest(ticket, request) => (ticket, request),
        };
        if let Some(error) = self.refusal_of_kind(&request) {
            return cx.reply(ticket, GroupResponse::refused(&request, error));
        }
        match *request {
            GroupRequest::ShareHeartbeat(it) => self.share_heartbeat(cx, ticket, *it),
            GroupRequest::ShareDescribe(_) => self.share_describe(cx, ticket),
            GroupRequest::ListShareTopics(it) => self.list_share_topics(cx, ticket, it.begins),
            GroupRequest::ShareInitialized(it) => self.share_initialized(cx, ticket, *it),
            GroupRequest::StreamsHeartbeat(it) => self.streams_heartbeat(cx, ticket, it),
            GroupRequest::StreamsDescribe(_) => self.streams_describe(cx, ticket),
            GroupRequest::ConsumerHeartbeat(it) => self.consumer_heartbeat(cx, ticket, *it),
            GroupRequest::ConsumerDescribe(_) => self.consumer_describe(cx, ticket),
            GroupRequest::Join(it) if self.consumer.is_some() => self.classic_join(cx, ticket, it),
            GroupRequest::Sync(it) if self.consumer.is_some() => self.classic_sync(cx, ticket, &it),
            GroupRequest::Heartbeat(it) if self.consumer.is_some() => {
                self.classic_heartbeat(cx, ticket, &it);
            }
            GroupRequest::Leave(it) if self.has_consumers() => {
                self.classic_leave(cx, ticket, it);
            }
            GroupRequest::Join(it) => self.join(cx, ticket, it),
            GroupRequest::Sync(it) => self.sync(cx, ticket, it),
            GroupRequest::Heartbeat(it) => self.heartbeat(cx, ticket, &it),
            GroupRequest::Leave(it) => self.leave(cx, ticket, it),
            GroupRequest::Commit(it) => self.commit(cx, ticket, it),
            GroupRequest::FetchOffsets(it) => {
                let fetched = self.fetch_offsets(cx.topics, it);
                cx.reply(ticket, GroupResponse::FetchOffsets(fetched));
            }
            GroupRequest::DeleteOffsets(it) => self.delete_offsets(cx, ticket, it),
            GroupRequest::DeleteGroup(_) => self.delete(cx, ticket),
            GroupRequest::Describe(_) => self.describe(cx, ticket),
        }
    }

    // Deadlines.

    pub(super) fn wake_by(&mut self, at_ms: i64) {
        self.wake_ms = self.wake_ms.min(at_ms);
    }

    /// Nothing has to be done before that time.
    pub(super) const fn set_wake(&mut self, at_ms: i64) {
        self.wake_ms = at_ms;
    }

    /// When it has something to do by time; never before a pending write is answered.
    pub fn wake_ms(&self) -> Option<i64> {
        (self.pending.is_none() && self.wake_ms != i64::MAX).then_some(self.wake_ms)
    }

    /// Starts a member's session anew.
    pub(super) fn renew(&mut self, cx: &Cx<'_>, member_id: &str) {
        let at_ms = self.members.renew(member_id, cx.now.monotonic_ms);
        self.wake_by(at_ms);
    }

    /// Starts the sessions of all members.
    pub fn start(&mut self, cx: &mut Cx<'_>) {
        // A log that ends in the middle of a change of protocol may say both.
        if self.durable.is_some() && self.consumer.is_some() {
            if self.members.is_empty() {
                self.set_durable(cx.live_bytes, None);
            } else {
                self.consumer = None;
            }
        }
        if self.consumer.is_some() {
            self.walk(cx, Task::ConsumerStart);
        } else if !self.members.is_empty() {
            self.walk(cx, Task::Start { rebalances: false });
        }
    }

    /// All sessions have started.
    pub(super) fn started(&mut self, cx: &mut Cx<'_>, rebalances: bool) {
        let max = usize::try_from(cx.settings.group_max_size).unwrap_or(usize::MAX);
        if rebalances || self.members.len() > max {
            self.prepare_rebalance(cx);
        }
    }

    /// Does what is due.
    pub fn expire(&mut self, cx: &mut Cx<'_>) {
        if self.pending.is_none() && self.consumer.is_some() {
            self.expire_consumers(cx);
        } else if self.pending.is_none() {
            let at_ms = cx.now.monotonic_ms;
            self.walk(cx, Task::Expire { at_ms, next_ms: i64::MAX, removed: false });
        }
    }

    /// Members that were silent at that time are gone, if any were `removed`; the next has time until
    /// `next_ms`.
    pub(super) fn expired(&mut self, cx: &mut Cx<'_>, at_ms: i64, next_ms: i64, removed: bool) {
        let joiners_expired = self.pending_joiners.expire(at_ms);
        // What follows may change when something is due: that is looked up anew.
        self.wake_ms = at_ms;
        if removed || joiners_expired {
            self.members_removed(cx, true);
        } else if self.phase_deadline_ms.is_some_and(|until_ms| until_ms <= at_ms) {
            self.phase_over(cx);
        } else {
            let joiner = self.pending_joiners.next_deadline_ms();
            let phase = self.phase_deadline_ms.unwrap_or(i64::MAX);
            self.wake_ms = next_ms.min(joiner).min(phase);
        }
    }

    fn phase_over(&mut self, cx: &mut Cx<'_>) {
        match self.state {
            State::PreparingRebalance => match &mut self.initial {
                Some(it) if it.newcomers && it.remaining_ms > 0 => {
                    let passed_ms = it.delay_ms;
                    it.newcomers = false;
                    it.delay_ms = passed_ms.min(it.remaining_ms).max(1);
                    it.remaining_ms = (it.remaining_ms - passed_ms).max(0);
                    self.phase_deadline_ms = Some(cx.now.monotonic_ms + it.delay_ms);
                }
                _ => self.complete_join(cx),
            },
            State::CompletingRebalance | State::Stable => {
                self.phase_deadline_ms = None;
                if self.members.owing_sync() > 0 {
                    self.walk(cx, Task::RemoveOwing);
                }
            }
            State::Empty => self.phase_deadline_ms = None,
        }
    }

    pub(super) fn set_phase_deadline(&mut self, at_ms: i64) {
        self.phase_deadline_ms = Some(at_ms);
        self.wake_by(at_ms);
    }
}
