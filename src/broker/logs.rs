//! The partitions of one shard: their cores, the engine that keeps their records, and who waits for
//! what. Synchronous: what is to be told to others comes out as [`Outbox`].

use super::calls::{AppendBatches, AppendReply, Notice, ShardId, Trace, Trim};
use super::core_states::Cores;
use super::image_changes::Change;
use super::part::{Awaiting, Part};
use super::reply_to::ReplyTo;
use super::work;
use crate::broker::api::data::{
    AppendRequest, Appended, EpochAnswer, EpochQuery, LogSize, ReadRequest, ReadResult,
    TrimRequest, Trimmed,
};
use crate::broker::api::delete_records::new_start;
use crate::broker::deferred::{self, DeferredAppends};
use crate::broker::held_appends::{HeldAppend, HeldAppends, Verification};
use crate::broker::links::Target;
use crate::controller::{Image, Topic};
use crate::replica::{AppendOutcome, Partition, ProducerMemory, Producers};
use crate::storage::engine::{Append, Engine, Event, Moments, Slot};
use crate::storage::log::LogConfig;
use crate::storage::read::{Read, ReadError, Ticket};
use crate::types::topic_name::GROUP_STATE;
use crate::types::{ErrorCode, Now, Table, TopicId, TopicPartition};
use slab::Slab;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

/// What is to be told when the borrow of [`Logs`] is over.
#[derive(Default)]
pub struct Outbox {
    /// Answers to appends.
    pub appended: Vec<(ReplyTo<AppendBatches>, AppendReply)>,
    /// Answers to deletions of records.
    pub trimmed: Vec<(ReplyTo<Trim>, Vec<Trimmed>)>,
    /// Notices, by shard.
    pub notices: Vec<(ShardId, Notice)>,
    /// Reads of the disk that have ended.
    pub filled: Vec<(Ticket, Result<(), ReadError>)>,
    /// What partitions of this shard are from now on.
    pub roles: Vec<RoleChange>,
    /// Partitions that are followed, and how far they are durable.
    pub durable: Vec<(TopicPartition, i64)>,
    /// Logs whose high watermark has moved, or their start.
    pub moved: Vec<Slot>,
    /// Logs that may be truncated now.
    pub truncatable: Vec<TopicPartition>,
    /// Logs that were truncated, durably.
    pub cut: Vec<TopicPartition>,
    /// Logs that are damaged, and why.
    pub damaged: Vec<(TopicPartition, Box<str>)>,
    /// Damaged logs whose mending has come a step further.
    pub mended: Vec<TopicPartition>,
    /// Logs that were damaged, and that have all again that their leaders have.
    pub repaired: Vec<TopicPartition>,
    /// Coordinators that are to be asked before transactions begin in partitions.
    pub verifications: Vec<Verification>,
    /// The process must end: why.
    pub fatal: Option<String>,
}

/// What a partition is to this shard from now on.
#[derive(Clone, Copy, Debug)]
pub enum RoleChange {
    /// It is led here, in this epoch.
    Leads {
        /// Which partition.
        tp: TopicPartition,
        /// Its log.
        slot: Slot,
        /// In which epoch.
        epoch: i32,
    },
    /// It is led there.
    Follows {
        /// Which partition.
        tp: TopicPartition,
        /// Its log.
        slot: Slot,
        /// The leader's shard; `None` where nobody leads, or the leader is not known.
        target: Option<Target>,
        /// In which epoch.
        epoch: i32,
    },
    /// It is not here any more.
    Gone {
        /// Which partition.
        tp: TopicPartition,
        /// Its log.
        slot: Slot,
    },
}

/// So many producers of partitions that are gone are freed in one go.
const FREED_A_STEP: usize = work::PIECE as usize;
/// So many batches that had to wait are appended in one go, and those of one call more.
const RETRIED_A_STEP: usize = work::INPUT as usize;
/// So many logs are asked for their size in one go.
const SIZES_A_STEP: usize = work::PIECE as usize;

/// What the engine's tokens stand for.
pub enum Task {
    /// Batches of one request.
    Append {
        /// Those that are not durable yet.
        left: usize,
        /// How each ended, or will have.
        results: Vec<Appended>,
        /// When what happened.
        trace: Trace,
        /// Who waits; nobody any more where all of them were refused before they were durable.
        reply: Option<ReplyTo<AppendBatches>>,
    },
    /// Records to delete.
    Trim {
        /// Partitions of which it is not durable yet.
        left: usize,
        /// By partition.
        results: Vec<Trimmed>,
        /// Their new log starts.
        slots: Vec<(Slot, i64)>,
        /// Who waits.
        reply: ReplyTo<Trim>,
    },
    /// A log to drop.
    Drop,
    /// A log that was truncated.
    Cut(TopicPartition),
    /// A log whose start follows that of its leader.
    Start(Slot, i64),
}

struct Waiter {
    shard: usize,
    id: u64,
    need: usize,
    /// It waits for committed records.
    committed: bool,
    /// Partitions that have it among their waiters.
    slots: Vec<Slot>,
    /// It does not wait any more, and is taken from its partitions some at a time.
    is_over: bool,
}

/// What is known of one read.
pub enum Progress {
    /// It is done.
    Done(ReadResult),
    /// The disk is read first: the read with this ticket.
    Wait(Ticket),
}

/// See the module.
pub struct Logs {
    /// The engine.
    pub engine: Engine,
    pub(super) parts: Table<Part>,
    pub(super) tasks: Slab<Task>,
    waiters: Slab<Waiter>,
    waiter_keys: HashMap<(usize, u64), usize>,
    /// Keys of waiters that are over, and that partitions still have.
    leaving: Vec<usize>,
    /// Appends for which there is no room now, in order.
    deferred: DeferredAppends,
    /// Batches that begin a transaction, until its coordinator was asked.
    pub(super) held: HeldAppends,
    /// Deleted topics, and how many of their logs are not gone yet.
    pub(super) dropping: HashMap<TopicId, usize>,
    /// What idempotent producers take.
    pub(super) producers: ProducerMemory,
    /// Where the look for silent producers goes on: the partition's place, and the producer's id.
    next_producer: (usize, i64),
    /// Producers of partitions that are gone, until they are freed.
    pub(super) left_behind: Vec<Producers>,
    pub(super) shard: usize,
    pub(super) shards: usize,
    /// This start of the broker.
    pub(super) incarnation: u64,
    /// Logs that are damaged, with the leader epoch in which that was found: what this replica has said of itself up to
    /// then is not true any more.
    pub(super) damaged: BTreeMap<TopicPartition, i32>,
    /// By a time, ms: logs of which an append is refused then that is not committed.
    pub(super) deadlines: BTreeMap<i64, BTreeSet<Slot>>,
}

/// The log of groups is their coordinator's, who rewrites it: see [`group_log`](super::group_log).
pub(super) fn log_config(topic: &Topic) -> LogConfig {
    let mut config = LogConfig::from(&*topic.config);
    config.compaction = config.compaction.filter(|_| *topic.name != *GROUP_STATE);
    config
}

impl Logs {
    /// The partitions that `engine` recovered, all of them: a checkpoint has the states of those that are here.
    /// `topics` are all that the metadata log knows, also what is not known to be committed yet. What each partition
    /// is, leader or follower, the first image says that is taken over. `incarnation` is that of this start of the
    /// broker, which leads only when it has registered.
    pub fn open(
        mut engine: Engine,
        topics: &Image,
        (shard, shards): (usize, usize),
        incarnation: u64,
    ) -> Result<Self, String> {
        let mut parts = Table::default();
        // All that were there go on, whatever the limit is now.
        let mut producers = ProducerMemory::new(usize::MAX);
        let mut damaged = BTreeMap::new();
        for (slot, tp) in engine.logs() {
            if engine.damage(slot).is_some() {
                damaged.insert(tp, -1);
            }
            let Some(topic) = topics.topic_by_id(tp.topic) else { continue };
            let part = restore(&mut engine, slot, tp, topic)?;
            producers.hold(part.core.producers().charged_bytes());
            place(&mut parts, slot, part);
        }
        Ok(Self {
            engine,
            parts,
            tasks: Slab::new(),
            waiters: Slab::new(),
            waiter_keys: HashMap::new(),
            leaving: Vec::new(),
            deferred: DeferredAppends::default(),
            held: HeldAppends::default(),
            dropping: HashMap::new(),
            producers,
            next_producer: (0, 0),
            left_behind: Vec::new(),
            shard,
            shards,
            incarnation,
            damaged,
            deadlines: BTreeMap::new(),
        })
    }

    /// Takes over one change of the metadata, of all that `changes` gives, in their order. What that cost,
    /// in steps of work.
    pub fn change(
        &mut self,
        change: &Change<'_>,
        image: &Image,
        now: Now,
        out: &mut Outbox,
    ) -> u64 {
        match *change {
            Change::There(topic, partition) => {
                return self.open_partition(topic, partition, image, now, out);
            }
            Change::Gone(tp) => return self.drop_partition(tp, out),
            Change::Going(id) => *self.dropping.entry(id).or_default() += 1,
            Change::AllGone(id) => self.one_dropped(id, out),
            Change::Deleting(id) if self.dropping.contains_key(&id) => {}
            Change::Deleting(id) => out.notices.push((0, Notice::Dropped(id))),
        }
        1
    }

    /// One thing less is left of a deleted topic. It is among the deleted ones until every shard has
    /// told that nothing of it is left.
    fn one_dropped(&mut self, topic: TopicId, out: &mut Outbox) {
        if let Some(left) = self.dropping.get_mut(&topic) {
            *left -= 1;
            if *left == 0 {
                self.dropping.remove(&topic);
                out.notices.push((0, Notice::Dropped(topic)));
            }
        }
    }

    pub(super) fn find(&self, tp: TopicPartition) -> Option<Slot> {
        let slot = self.engine.find(tp)?;
        self.parts.get(slot.index()).map(|_| slot)
    }

    pub(super) fn part(&mut self, slot: Slot) -> &mut Part {
        self.parts.get_mut(slot.index()).expect("an open partition")
    }

    /// Appends, or keeps the batches until there is room, in memory or on the disk. They `arrived`
    /// then, in ticks.
    pub fn append(
        &mut self,
        call: AppendBatches,
        arrived: u64,
        reply: ReplyTo<AppendBatches>,
        now: Now,
        out: &mut Outbox,
    ) {
        let room = self.has_room(&call) && !self.engine.disk_is_full();
        if room && !self.deferred.hold_back(&call) {
            self.append_now(call, arrived, reply, now, out);
        } else {
            self.deferred.push((call, arrived, reply));
        }
    }

    /// Appends some of what had to wait, as far as there is room now; refuses it where the disk is full.
    /// To be called only when the disk's space was looked at since [`append`](Self::append). How many
    /// batches it were, and whether there may be more.
    pub fn retry(&mut self, now: Now, out: &mut Outbox) -> (usize, bool) {
        let mut done = 0;
        while let Some(first) = self.deferred.first()
            && (self.has_room(first) || self.engine.disk_is_full())
        {
            if done >= RETRIED_A_STEP {
                return (done, true);
            }
            done += first.batches.len().max(1);
            let Some((call, arrived, reply)) = self.deferred.pop() else { break };
            if self.engine.disk_is_full() {
                let full =
                    |it: &AppendRequest| Appended::failed(it.index, ErrorCode::KAFKA_STORAGE_ERROR);
                let results = call.batches.iter().map(full).collect();
                out.appended.push((reply, AppendReply { results, trace: Trace::default() }));
            } else {
                self.append_now(call, arrived, reply, now, out);
            }
        }
        (done, false)
    }

    fn has_room(&self, call: &AppendBatches) -> bool {
        self.engine.admits(deferred::is_small(call))
    }

    fn append_now(
        &mut self,
        AppendBatches { batches, routed, committed_by_ms }: AppendBatches,
        arrived: u64,
        reply: ReplyTo<AppendBatches>,
        now: Now,
        out: &mut Outbox,
    ) {
        let results = Vec::with_capacity(batches.len());
        let trace = Trace { routed, arrived, ..Trace::default() };
        // One more is left until all are started.
        let key = self.tasks.insert(Task::Append { left: 1, results, trace, reply: Some(reply) });
        for (at, batch) in batches.into_iter().enumerate() {
            let (result, waits) = self.append_one(batch, (key, at), committed_by_ms, now, out);
            let Task::Append { left, results, .. } = &mut self.tasks[key] else {
                unreachable!("just inserted")
            };
            results.push(result);
            *left += waits;
        }
        self.appended(key, out);
    }

    /// What to answer, and for how many things that waits: that it is durable, that it is committed.
    fn append_one(
        &mut self,
        append: AppendRequest,
        (key, at): (usize, usize),
        committed_by_ms: Option<i64>,
        now: Now,
        out: &mut Outbox,
    ) -> (Appended, usize) {
        let AppendRequest { index, tp, .. } = append;
        let Some(slot) = self.find(tp) else {
            return (Appended::failed(index, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), 0);
        };
        let part = self.parts.get_mut(slot.index()).expect("found");
        if !part.core.leads() {
            return (Appended::failed(index, ErrorCode::NOT_LEADER_OR_FOLLOWER), 0);
        }
        if committed_by_ms.is_some() && part.core.not_enough_replicas() {
            return (Appended::failed(index, ErrorCode::NOT_ENOUGH_REPLICAS), 0);
        }
        if append.transaction.is_some() && self.held.holds(&part.core, &append) {
            let held = HeldAppend { append, key, at, committed_by_ms };
            out.verifications.extend(self.held.push(&part.core, held));
            return (Appended::failed(index, ErrorCode::NONE), 1);
        }
        self.append_verified(append, slot, (key, at), committed_by_ms, now)
    }

    /// As [`append_one`](Self::append_one), of a batch that may be appended to a partition that is led here.
    pub(super) fn append_verified(
        &mut self,
        append: AppendRequest,
        slot: Slot,
        (key, at): (usize, usize),
        committed_by_ms: Option<i64>,
        now: Now,
    ) -> (Appended, usize) {
        let AppendRequest { index, batch, header, own_epoch, markers, .. } = append;
        let part = self.parts.get_mut(slot.index()).expect("it was looked up");
        if markers.is_some_and(|it| it != part.core.markers_of(header.producer_id)) {
            return (Appended::failed(index, ErrorCode::INVALID_TXN_STATE), 0);
        }
        let answer = |base_offset, log_append_time_ms, log_start_offset| Appended {
            index,
            error: ErrorCode::NONE,
            base_offset,
            log_append_time_ms,
            log_start_offset,
        };
        let start = part.core.log_start();
        // What coordinators append was made by somebody who does not know the topic's settings.
        let header =
            if part.config.log_append_time { header.with_log_append_time() } else { header };
        // The only replica has committed what is durable.
        let committed_by_ms = committed_by_ms.filter(|_| part.core.is_followed());
        let memory = &mut self.producers;
        let outcome = match header.marker {
            None => part.core.append(now, &header, memory),
            Some(marker) => part.core.append_marker(now, &header, marker, own_epoch, memory),
        };
        match outcome {
            Err(error) => (Appended::failed(index, error), 0),
            Ok(AppendOutcome::Duplicate { base_offset, last_offset, log_append_time_ms }) => {
                let time = if part.config.log_append_time { log_append_time_ms } else { -1 };
                let committed = committed_by_ms.is_some();
                let end =
                    if committed { part.core.high_watermark() } else { part.core.durable_end() };
                let waits = last_offset >= end;
                if waits {
                    part.duplicates.push((last_offset, key, committed));
                }
                (answer(base_offset, time, start), usize::from(waits))
            }
            Ok(AppendOutcome::Accept { base_offset, last_offset, log_append_time_ms }) => {
                part.unacked.push_back((last_offset + 1, batch.len() as u32));
                let mut waits = 1;
                if let Some(until_ms) = committed_by_ms {
                    waits += 1;
                    if until_ms < i64::MAX {
                        // Those of one second together.
                        let second = (until_ms / 1_000 + 1) * 1_000;
                        self.deadlines.entry(second).or_default().insert(slot);
                    }
                    part.awaiting.push_back(Awaiting { end: last_offset + 1, key, at, until_ms });
                }
                self.engine.append(
                    slot,
                    Append {
                        base_offset,
                        last_offset,
                        leader_epoch: part.core.leader_epoch(),
                        max_timestamp: log_append_time_ms.unwrap_or(header.max_timestamp),
                        log_append_time: log_append_time_ms,
                        batch,
                        token: key as u64,
                    },
                );
                (answer(base_offset, log_append_time_ms.unwrap_or(-1), start), waits)
            }
        }
    }

    /// One of the appends of a request is durable, or failed.
    pub(super) fn appended(&mut self, key: usize, out: &mut Outbox) {
        let Some(Task::Append { left, .. }) = self.tasks.get_mut(key) else { return };
        *left -= 1;
        if *left == 0
            && let Task::Append { results, trace, reply: Some(reply), .. } = self.tasks.remove(key)
        {
            out.appended.push((reply, AppendReply { results, trace }));
        }
    }

    /// Deletes records.
    pub fn trim(&mut self, trims: &[TrimRequest], reply: ReplyTo<Trim>, out: &mut Outbox) {
        let key = self.tasks.insert(Task::Trim {
            left: 1,
            results: Vec::new(),
            slots: Vec::new(),
            reply,
        });
        for it in trims {
            let mut result = Trimmed { index: it.index, error: ErrorCode::NONE, low_watermark: -1 };
            let mut started = None;
            match self.find(it.tp) {
                None => result.error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
                Some(slot) if !self.part(slot).core.leads() => {
                    result.error = ErrorCode::NOT_LEADER_OR_FOLLOWER;
                }
                Some(slot) => {
                    let core = &self.part(slot).core;
                    match new_start(it.offset, core.log_start(), core.high_watermark()) {
                        Err(error) => result.error = error,
                        Ok(offset) => {
                            result.low_watermark = offset;
                            if offset > core.log_start() {
                                self.engine.set_log_start(slot, offset, key as u64);
                                started = Some((slot, offset));
                            }
                        }
                    }
                }
            }
            let Task::Trim { left, results, slots, .. } = &mut self.tasks[key] else {
                unreachable!("just inserted")
            };
            results.push(result);
            *left += usize::from(started.is_some());
            slots.extend(started);
        }
        self.done(key, Moments::default(), out);
    }

    /// Something under this token is durable.
    fn done(&mut self, key: usize, moments: Moments, out: &mut Outbox) {
        match self.tasks.get_mut(key) {
            Some(Task::Append { trace, .. }) => {
                trace.moments = moments;
                self.appended(key, out);
            }
            Some(Task::Trim { left, .. }) => {
                *left -= 1;
                if *left == 0
                    && let Task::Trim { results, slots, reply, .. } = self.tasks.remove(key)
                {
                    for (slot, offset) in slots {
                        if self.advance_log_start(slot, offset) {
                            out.moved.push(slot);
                        }
                    }
                    out.trimmed.push((reply, results));
                }
            }
            Some(Task::Drop) => {
                self.tasks.remove(key);
            }
            Some(Task::Cut(tp)) => {
                out.cut.push(*tp);
                self.tasks.remove(key);
            }
            Some(Task::Start(slot, offset)) => {
                let (slot, offset) = (*slot, *offset);
                self.tasks.remove(key);
                self.advance_log_start(slot, offset);
            }
            None => {}
        }
    }

    /// A log starts later; whether there is such a log.
    fn advance_log_start(&mut self, slot: Slot, offset: i64) -> bool {
        let Some(part) = self.parts.get_mut(slot.index()) else { return false };
        let before = part.core.producers().charged_bytes();
        part.core.advance_log_start(offset);
        self.producers.change(before, part.core.producers().charged_bytes());
        true
    }

    /// Takes what the engine says between its completions; how many events.
    pub fn take_events(&mut self, out: &mut Outbox) -> u64 {
        let events = self.engine.take_events();
        let count = events.len() as u64;
        for event in events {
            self.event(event, out);
        }
        count
    }

    /// Takes what the engine says.
    pub fn event(&mut self, event: Event, out: &mut Outbox) {
        match event {
            Event::Durable { slot, end } => self.durable(slot, end, out),
            Event::Done { token, moments } => self.done(token as usize, moments, out),
            Event::LogStart { slot, offset } => {
                if self.advance_log_start(slot, offset) {
                    out.moved.push(slot);
                }
            }
            Event::Truncatable { slot } => out.truncatable.extend(self.engine.name(slot)),
            Event::Dropped { tp } => self.one_dropped(tp.topic, out),
            Event::Uncleanable { tp, message } => {
                tracing::error!(topic = %tp.topic, partition = tp.partition, "cannot compact: {message}");
            }
            Event::Damaged { slot, message } => {
                if let Some(tp) = self.engine.name(slot) {
                    let epoch =
                        self.parts.get(slot.index()).map_or(-1, |it| it.core.leader_epoch());
                    self.damaged.insert(tp, epoch);
                    out.damaged.push((tp, message));
                }
            }
            Event::Mended { slot } => {
                if let Some(tp) = self.engine.name(slot) {
                    if self.engine.damage(slot).is_none() {
                        self.damaged.remove(&tp);
                    }
                    out.mended.push(tp);
                }
            }
            Event::Filled { ticket, result } => out.filled.push((ticket, result)),
            Event::Fatal { message } => out.fatal = Some(message),
        }
    }

    fn durable(&mut self, slot: Slot, end: i64, out: &mut Outbox) {
        let Some(part) = self.parts.get_mut(slot.index()) else { return };
        let moved = part.core.durable(end);
        if !part.core.leads() {
            out.durable.extend(self.engine.name(slot).map(|tp| (tp, end)));
        }
        let part = self.parts.get_mut(slot.index()).expect("just seen");
        let durable = part.core.durable_end();
        let of = |it: &mut (i64, usize, bool)| !it.2 && it.0 < durable;
        let originals: Vec<usize> = part.duplicates.extract_if(.., of).map(|it| it.1).collect();
        if moved {
            self.watermark_moved(slot, out);
        }
        for key in originals {
            self.appended(key, out);
        }
    }

    /// Whoever waits for a partition's high watermark is told that it has moved.
    pub(super) fn watermark_moved(&mut self, slot: Slot, out: &mut Outbox) {
        let Some(part) = self.parts.get_mut(slot.index()) else { return };
        let end = part.core.high_watermark();
        // Where this is the only replica, retention goes by what is durable: see `committed`.
        if part.core.is_followed() || !part.core.leads() {
            self.engine.set_committed(slot, end);
        }
        let stable = part.core.last_stable();
        let before = std::mem::replace(&mut part.stable, stable);
        // Where a transaction ends, much may become readable that was appended long before.
        let (stays, jumps) = (stable == before, part.core.has_transactions());
        let mut bytes = 0;
        while let Some(&(at, len)) = part.unacked.front()
            && at <= end
        {
            part.unacked.pop_front();
            bytes += len as usize;
        }
        if part.unacked.is_empty() && part.unacked.capacity() > 16 {
            part.unacked = VecDeque::new();
        }
        let mut done = Vec::new();
        let followed = part.core.is_followed();
        while let Some(first) = part.awaiting.front()
            && first.end <= end
        {
            done.push(first.key);
            part.awaiting.pop_front();
        }
        if followed {
            let of = |it: &mut (i64, usize, bool)| it.2 && it.0 < end;
            done.extend(part.duplicates.extract_if(.., of).map(|it| it.1));
            out.moved.push(slot);
        }
        if !part.waiters.is_empty() {
            for key in part.waiters.clone() {
                let waiter = &mut self.waiters[key];
                if waiter.is_over || (waiter.committed && stays) {
                    continue;
                }
                let all = waiter.committed && jumps;
                waiter.need = if all { 0 } else { waiter.need.saturating_sub(bytes) };
                if waiter.need == 0 {
                    self.fire(key, out);
                }
            }
        }
        for key in done {
            if followed && let Some(Task::Append { trace, .. }) = self.tasks.get_mut(key) {
                trace.replicated = true;
            }
            self.appended(key, out);
        }
    }

    /// Tells a waiter, and forgets it.
    pub(super) fn fire(&mut self, key: usize, out: &mut Outbox) {
        if let Some((shard, id)) = self.end_wait(key) {
            out.notices.push((shard, Notice::Advanced(id)));
        }
    }

    /// A waiter is over: who it was, unless it was over before. Its key stays in use until no partition
    /// has it any more.
    fn end_wait(&mut self, key: usize) -> Option<(usize, u64)> {
        let waiter = self.waiters.get_mut(key).filter(|it| !it.is_over)?;
        waiter.is_over = true;
        let named = (waiter.shard, waiter.id);
        self.waiter_keys.remove(&named);
        if !self.take_from_partitions(key) {
            self.leaving.push(key);
        }
        Some(named)
    }

    /// Takes a waiter that is over from some of its partitions; true when none has it any more.
    fn take_from_partitions(&mut self, key: usize) -> bool {
        let slots = &mut self.waiters[key].slots;
        for slot in slots.drain(slots.len().saturating_sub(FREED_A_STEP)..) {
            if let Some(part) = self.parts.get_mut(slot.index()) {
                part.waiters.retain(|it| *it != key);
                if part.waiters.is_empty() {
                    part.waiters = Vec::new();
                }
            }
        }
        let is_last = slots.is_empty();
        if is_last {
            self.waiters.remove(key);
        }
        is_last
    }

    /// A waiter does not wait any more. Whether [`free_some`](Self::free_some) is to go on with it.
    pub fn forget(&mut self, shard: usize, id: u64) -> bool {
        if let Some(key) = self.waiter_keys.get(&(shard, id)) {
            self.end_wait(*key);
        }
        !self.leaving.is_empty()
    }

    /// Notes who waits for `need` more bytes of partitions that [`wait_on`](Self::wait_on) adds.
    pub fn begin_wait(&mut self, shard: usize, id: u64, need: usize, partitions: usize) -> usize {
        let slots = Vec::with_capacity(partitions);
        let key = self.waiters.insert(Waiter {
            shard,
            id,
            need,
            committed: false,
            slots,
            is_over: false,
        });
        self.waiter_keys.insert((shard, id), key);
        key
    }

    /// From now on, the waiter hears of appends to this partition too, where it is there: where the
    /// partition ends now for readers, which no append has missed that comes later. `None` where the
    /// waiter was told already.
    pub fn wait_on(
        &mut self,
        key: usize,
        waiter: (usize, u64),
        tp: TopicPartition,
        committed: bool,
    ) -> Option<Option<i64>> {
        let Self { waiters, parts, .. } = self;
        let is_same = |it: &&mut Waiter| (it.shard, it.id) == waiter && !it.is_over;
        let waiter = waiters.get_mut(key).filter(is_same)?;
        let Some(slot) = self.engine.find(tp) else { return Some(None) };
        let Some(part) = parts.get_mut(slot.index()) else { return Some(None) };
        waiter.committed = committed;
        // A request may name a partition twice.
        if part.waiters.last() != Some(&key) {
            part.waiters.push(key);
            waiter.slots.push(slot);
        }
        let core = &part.core;
        Some(Some(if committed { core.last_stable() } else { core.high_watermark() }))
    }

    /// Where a partition ends for readers, as things are now: nothing was missed since a read if it
    /// still says the same.
    pub fn visible_end(&self, tp: TopicPartition, committed: bool) -> Option<i64> {
        let slot = self.find(tp)?;
        let core = &self.parts.get(slot.index())?.core;
        Some(if committed { core.last_stable() } else { core.high_watermark() })
    }

    /// Reads one partition, as far as it goes without the disk.
    pub fn read(&mut self, it: &ReadRequest, room: usize, first: bool) -> Progress {
        let failed = |error| Progress::Done(ReadResult::failed(it.index, error));
        let Some(slot) = self.find(it.tp) else {
            return failed(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        };
        let core = &self.part(slot).core;
        let follows = it.from_followers && core.leader().is_some();
        if !core.leads() && !follows {
            return failed(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        let epoch = core.leader_epoch();
        let (high_watermark, last_stable, log_start) =
            (core.high_watermark(), core.last_stable(), core.log_start());
        let result = |slices, bytes, counted, aborted| {
            Progress::Done(ReadResult {
                index: it.index,
                error: ErrorCode::NONE,
                high_watermark,
                last_stable,
                log_start,
                leader_epoch: epoch,
                preferred: -1,
                is_ahead: false,
                slices,
                bytes,
                counted,
                aborted,
            })
        };
        if let Err(error) = core.check_fetch_epoch(it.current_leader_epoch) {
            return failed(error);
        }
        // What a follower does not have yet may exist all the same.
        let is_ahead = it.offset > core.log_end();
        if it.offset < log_start || is_ahead && core.leads() {
            // Kafka tells nothing else with this error but the log start.
            let mut refused = ReadResult::failed(it.index, ErrorCode::OFFSET_OUT_OF_RANGE);
            refused.log_start = log_start;
            return Progress::Done(refused);
        }
        if is_ahead {
            let failed = ReadResult::failed(it.index, ErrorCode::NONE);
            let ends = ReadResult { high_watermark, last_stable, log_start, ..failed };
            return Progress::Done(ReadResult { is_ahead, ..ends });
        }
        if let Some(preferred) = core.read_replica(&it.nearer, it.offset) {
            let failed = ReadResult::failed(it.index, ErrorCode::NONE);
            let ends = ReadResult { high_watermark, last_stable, log_start, ..failed };
            return Progress::Done(ReadResult { preferred, ..ends });
        }
        let upto = if it.committed { last_stable } else { high_watermark };
        let max_bytes = it.max_bytes.min(room);
        if it.offset >= upto || (max_bytes == 0 && !first) {
            return result(Vec::new(), 0, 0, Vec::new());
        }
        match self.engine.read(slot, it.offset, upto, max_bytes, first) {
            Ok(Read::Ready { slices, bytes, next }) => {
                // Kafka cuts a batch to fill a limit exactly; whole batches fill it as far as they
                // can. A client that waits for as much as the limit must not wait for the rest.
                let counted = if next < upto { bytes.max(max_bytes) } else { bytes };
                let core = &self.part(slot).core;
                let aborted =
                    if it.committed { core.aborted_in(it.offset, next) } else { Vec::new() };
                result(slices, bytes, counted, aborted)
            }
            Ok(Read::Wait(ticket)) => Progress::Wait(ticket),
            Err(ReadError::OutOfRange) => failed(ErrorCode::OFFSET_OUT_OF_RANGE),
            Err(ReadError::Storage(why)) => {
                tracing::error!(topic = %it.tp.topic, partition = it.tp.partition, "cannot read: {why}");
                failed(ErrorCode::KAFKA_STORAGE_ERROR)
            }
        }
    }

    /// Where an epoch ends.
    pub fn epoch_end(&mut self, it: &EpochQuery) -> EpochAnswer {
        let answer =
            |error, (epoch, end_offset)| EpochAnswer { index: it.index, error, epoch, end_offset };
        let Some(slot) = self.find(it.tp) else {
            return answer(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, (-1, -1));
        };
        let core = &self.part(slot).core;
        match core.check_fetch_epoch(it.current_leader_epoch) {
            Err(error) => answer(error, (-1, -1)),
            Ok(()) if !core.leads() => answer(ErrorCode::NOT_LEADER_OR_FOLLOWER, (-1, -1)),
            Ok(()) => answer(ErrorCode::NONE, core.end_offset_for_epoch(it.epoch)),
        }
    }

    /// The core of a partition, and its slot.
    pub fn core(&self, tp: TopicPartition) -> Option<(Slot, &Partition)> {
        let slot = self.find(tp)?;
        Some((slot, &self.parts.get(slot.index())?.core))
    }

    /// How large the logs behind this one are, of as many as are looked at in one go. The last of them,
    /// or nothing where there are no more.
    pub fn sizes(
        &self,
        after: Option<TopicPartition>,
        out: &mut Vec<LogSize>,
    ) -> Option<TopicPartition> {
        let mut last = None;
        for (slot, tp) in self.engine.logs_after(after).take(SIZES_A_STEP) {
            last = Some(tp);
            if self.parts.get(slot.index()).is_some() {
                out.push(LogSize { tp, bytes: self.engine.offsets(slot).bytes });
            }
        }
        last
    }

    /// Lets the engine write what was appended, and go on with placement. Bytes of cores' states that
    /// a checkpoint took.
    pub fn turn(&mut self, now_ms: i64) -> usize {
        let Self { engine, parts, producers, .. } = self;
        let mut cores = Cores { parts, memory: producers, taken: 0 };
        engine.turn(now_ms, &mut cores);
        cores.taken
    }

    /// Producers may take so many bytes; those that are there may take more.
    pub fn limit_producers(&mut self, bytes: usize) {
        self.producers.set_limit(bytes);
    }

    /// What producers take, and how many were refused.
    pub fn producers(&self) -> &ProducerMemory {
        &self.producers
    }

    /// Forgets producers that have been silent for so long, by the monotonic clock. Goes on where
    /// the last call ended, and looks at no more than so many partitions and producers.
    pub fn expire_producers(&mut self, now_ms: i64, expiration_ms: i64, mut looks: usize) {
        let (mut place, mut from) = self.next_producer;
        // Once round at most.
        for _ in 0..=self.parts.len() {
            if looks == 0 {
                break;
            }
            looks -= 1;
            let mut next = None;
            if let Some(part) = self.parts.get_mut(place)
                && !part.core.producers().is_empty()
            {
                let before = part.core.producers().len().min(looks);
                let memory = &mut self.producers;
                next = part.core.expire_producers(now_ms, expiration_ms, from, looks, memory);
                looks -= before;
            }
            match next {
                Some(id) => from = id,
                None => (place, from) = (place + 1, 0),
            }
            if place >= self.parts.len() {
                place = 0;
            }
        }
        self.next_producer = (place, from);
    }

    /// Frees some producers of partitions that are gone, and takes waiters that are over from some of
    /// their partitions; whether there are more.
    pub fn free_some(&mut self) -> bool {
        if let Some(key) = self.leaving.pop()
            && !self.take_from_partitions(key)
        {
            self.leaving.push(key);
        }
        if self.left_behind.last_mut().is_some_and(|it| !it.free_some(FREED_A_STEP)) {
            self.left_behind.pop();
        }
        !self.left_behind.is_empty() || !self.leaving.is_empty()
    }

    /// Takes out all that is under way: nobody is to hear of it.
    pub fn take_tasks(&mut self) -> (Slab<Task>, DeferredAppends) {
        (std::mem::take(&mut self.tasks), std::mem::take(&mut self.deferred))
    }

    /// Nothing is under way for anybody.
    pub fn is_quiet(&self) -> bool {
        self.tasks.is_empty() && self.deferred.is_empty()
    }
}

/// How far retention may go: the only replica has committed what is durable.
pub(super) fn committed(core: &Partition) -> i64 {
    if core.leads() && !core.is_followed() { i64::MAX } else { core.high_watermark() }
}

/// The partition of a log that recovery found.
pub(super) fn restore(
    engine: &mut Engine,
    slot: Slot,
    tp: TopicPartition,
    topic: &Topic,
) -> Result<Part, String> {
    let snapshot = engine.recovered_state(slot);
    let offsets = engine.offsets(slot);
    let core = Partition::restore(&snapshot, offsets.start, offsets.end, -1)
        .map_err(|e| format!("{}-{}: {e}", topic.name, tp.partition))?;
    engine.configure(slot, &log_config(topic));
    engine.set_committed(slot, committed(&core));
    Ok(Part::new(core, topic))
}

pub(super) fn place(parts: &mut Table<Part>, slot: Slot, part: Part) {
    let before = parts.insert(slot.index(), part);
    debug_assert!(before.is_none(), "a slot holds one partition");
}
