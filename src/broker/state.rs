//! What one shard of a broker holds, and how its parts reach each other.
//!
//! Shared by the broker and its tasks, all on one thread: nothing is borrowed across an await.

use super::asks::Asks;
use super::begun::Begun;
use super::calls::{
    AppendBatches, Figures, FindEnds, FindEpochEnds, ShardId, Sizes, Then, Trace, Trim,
};
use super::charges::Charge;
use super::clock::Clock;
use super::connection::{ConnectionEvent, ConnectionId, Connections, Line, Traced, Why};
use super::coordinators::Coordinators;
use super::figures::{ControllerFigures, Readings, ReplicationFigures, ShardFigures};
use super::fills::Fills;
use super::links::{Links, Me};
use super::logs::{Logs, Outbox};
use super::metadata_owner::MetadataOwner;
use super::node::Node;
use super::output::{Output, Outputs};
use super::parts::{Bounds, Parts};
use super::read_errors::ReadErrors;
use super::recompressed::Recompressed;
use super::replication::feeds::Feeds;
use super::replication::logs::Cut;
use super::replication::streams::Streams;
use super::reply_to::ReplyTo;
use super::share::coordinators::ShareCoordinators;
use super::share::placed::PlacedShares;
use super::share::sessions::ShareSessions;
use super::standing::{LET_IN_MS, Standing};
use super::tasks::{Step, Tasks, yield_now};
use super::timers::Timers;
use super::transaction_coordinators::TransactionCoordinators;
use super::wait::{Condition, Gate, Sender, oneshot};
use super::waits::Waits;
use super::work::{self, Work};
use crate::broker::api::Response;
use crate::broker::api::data::TrimRequest;
use crate::broker::api::fetch_session::Sessions;
use crate::controller::Image;
use crate::metrics::{RequestStage, SAMPLED, Stages, Traffic};
use crate::storage::buffer::Budget;
use crate::storage::device::io::{Completion, Op, Submission};
use crate::storage::engine::Moments;
use crate::types::{Now, Rng, TopicPartition, exit};
use bytes::Bytes;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

/// Ids of operations that the broker asks for itself, beside its engine, have this bit.
const OWN_OP: u64 = 1 << 63;
/// Partitions and producers that are looked at in a second for producers that are to be forgotten:
/// a millisecond or less, and a hundred thousand partitions in a minute.
const EXPIRY_LOOKS: usize = 2_048;
/// Idempotent producers may take this part of the memory of storage: of 3 GiB on 4 shards 48 MiB each,
/// a quarter of a million producers and partitions that they write to.
const PRODUCERS_SHARE: usize = 16;
/// Groups may take this part of the memory of storage: their members, what they have committed, and
/// requests that wait.
const GROUPS_SHARE: usize = 8;
/// Fetch sessions may take this part of the memory of storage.
const SESSIONS_SHARE: usize = 32;
/// Batches that were compressed anew may take this part of the memory of storage.
const RECOMPRESSED_SHARE: usize = 16;
/// One part in so many of the memory budget is to be left.
const BUDGET_SHARE_SPARE: usize = 32;
/// Partitions of which records are deleted in one go.
const TRIMS: usize = work::PIECE as usize;
/// Steps of tasks in the course of one input; the rest follows with
/// [`Input::Continue`](super::Input::Continue).
const STEPS_MAX: usize = 256;

/// How far a broker is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It serves.
    Serving,
    /// It finishes what is under way.
    Draining,
    /// It writes everything back.
    Closing,
    /// Everything is written back.
    Closed,
}

/// See the module.
pub struct State {
    pub(super) id: ShardId,
    pub(super) shards: usize,
    /// Walk compressed batches record by record.
    pub(super) strict: bool,
    /// The data directory, as it is shown to clients.
    pub(super) data: String,
    now: Cell<Now>,
    clock: Clock,
    /// What [`State::ticks`] gave last.
    mark: Cell<u64>,
    pub(super) random: RefCell<Rng>,
    pub(super) image: RefCell<Arc<Image>>,
    /// The metadata that are being taken over.
    pub(super) coming: RefCell<Option<Arc<Image>>>,
    /// Wakes who waits for newer metadata on this shard.
    pub(super) changed_image: Condition,
    pub(super) logs: RefCell<Logs>,
    pub(super) budget: Arc<Budget>,
    /// There is something for the engine's next turn.
    dirty: Cell<bool>,
    ops: RefCell<HashMap<u64, Sender<io::Result<Bytes>>>>,
    /// Who waits for reads of the engine.
    pub(super) fills: RefCell<Fills>,
    /// What the log was told of reads that failed.
    pub(super) read_errors: RefCell<ReadErrors>,
    next_op: Cell<u64>,
    pub(super) calls: RefCell<Slab<Then>>,
    pub(super) outputs: Outputs,
    pub(super) connections: RefCell<Connections>,
    /// What connections are bounded by besides settings.
    pub(super) bounds: Bounds,
    /// Produce requests that take this long are logged, ns.
    pub(super) slow_ns: u64,
    /// The second that slow requests are logged in, and how many were.
    pub(super) slow: Cell<(i64, u32)>,
    pub(super) waits: Waits,
    pub(super) groups: Coordinators,
    pub(super) transactions: TransactionCoordinators,
    /// What share coordinators keep.
    pub(super) share_states: ShareCoordinators,
    /// Share-partitions that are led here.
    pub(super) shares: PlacedShares,
    pub(super) share_sessions: RefCell<ShareSessions<ConnectionId>>,
    /// Calls of this shard to itself that read for members of share groups.
    pub(super) share_calls: Cell<u64>,
    /// Memory that share groups took at the last tick, bytes.
    share_bytes: Cell<usize>,
    /// Groups for which something is being created, see [`create`](super::creating::create).
    pub(super) creating: RefCell<BTreeSet<String>>,
    pub(super) sessions: RefCell<Sessions>,
    /// Memory of idempotent producers, of groups, and of fetch sessions.
    charges: [Charge; 3],
    /// The controller, on shard 0.
    pub(super) metadata: Option<MetadataOwner>,
    /// This broker in its cluster.
    pub(super) node: Arc<Node>,
    /// How it stands with the controller.
    pub(super) standing: Standing,
    /// Clients may connect; until when that waits for the controller, ms.
    pub(super) lets_in: Cell<bool>,
    pub(super) lets_in_by_ms: i64,
    /// Connections to other brokers.
    pub(super) links: RefCell<Links>,
    /// What is followed.
    pub(super) streams: RefCell<Streams>,
    /// Logs that are to be cut to what their leaders have.
    pub(super) cuts: RefCell<BTreeMap<TopicPartition, Cut>>,
    /// Wakes who keeps streams going.
    pub(super) changed_streams: Condition,
    /// Who follows what is led here.
    pub(super) feeds: RefCell<Feeds>,
    /// Partitions of which a replica may join those in sync.
    pub(super) isr_due: RefCell<BTreeSet<TopicPartition>>,
    /// Wakes who proposes them.
    pub(super) changed_isr: Condition,
    /// Wakes who has damaged logs mended.
    pub(super) changed_damage: Condition,
    /// Wakes who looks whether appends are refused for want of space.
    pub(super) changed_space: Condition,
    /// What other nodes' controllers were asked.
    pub(super) asks: RefCell<Asks>,
    /// Wakes who waits for another leader of the quorum, or a link to it.
    pub(super) changed_quorum: Condition,
    /// Producer ids taken from the controller: the next, and how many are left.
    pub(super) producer_ids: Cell<(i64, i32)>,
    pub(super) traffic: RefCell<Traffic>,
    pub(super) readings: Cell<Readings>,
    pub(super) replication: RefCell<ReplicationFigures>,
    panics: Cell<u64>,
    tasks: Tasks,
    pub(super) timers: Timers,
    /// How much the input at hand has cost.
    pub(super) work: Work,
    /// One batch that decompresses to much is checked at a time, or one compressed anew: each has a
    /// decompressor, which may hold many MiB.
    pub(super) checks: Gate,
    /// Batches that were compressed anew.
    pub(super) recompressed: Recompressed,
    /// One large request is read or answered at a time.
    pub(super) large: Gate,
    /// Requests that have begun and are not answered.
    pub(super) open_requests: Cell<usize>,
    pub(super) phase: Cell<Phase>,
    /// Wakes those that wait for the phase, or for requests to end.
    pub(super) changed: Condition,
    /// The disk was full at the last look.
    pub(super) told_full: Cell<bool>,
    pub(super) space: Cell<Option<(u64, u64)>>,
    next_tick_ms: Cell<i64>,
    /// Batches of new producers that were refused until the last look.
    told_refused: Cell<u64>,
    /// A panic has left logs or metadata half changed.
    poisoned: Cell<bool>,
}

fn tell(line: &Line) {
    tracing::warn!(peer = %line.peer, "{}", line.text);
}

/// Notes a panic in the middle of a change that others build on.
struct Vital<'a>(&'a Cell<bool>);

impl Drop for Vital<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.set(true);
        }
    }
}

impl State {
    pub(super) fn new(parts: Parts, now: Now) -> Rc<Self> {
        let Parts { id, shards, strict, data, image, logs, budget, .. } = parts;
        let Parts { controller, seed, clock, admission, bounds, slow_ns, node, .. } = parts;
        let me = Me {
            cluster_id: image.cluster_id.to_string(),
            node: image.node_id,
            incarnation: node.incarnation,
            shards: shards as u16,
            shard: id as u16,
            secret: node.secret.clone(),
            seed,
        };
        let leads = controller.as_ref().is_some_and(crate::controller::Controller::leads);
        let recompressed = Recompressed::new(&budget, budget.limit() / shards / RECOMPRESSED_SHARE);
        let charge = |share| Charge::new(&budget, budget.limit() / shards / share);
        let charges = [PRODUCERS_SHARE, GROUPS_SHARE, SESSIONS_SHARE].map(charge);
        let mut random = Rng::new(seed);
        let slots = image.broker_configs.number("max.incremental.fetch.session.cache.slots");
        let per_shard = usize::try_from(slots.unwrap_or(1000)).unwrap_or(0) / shards;
        let sessions = image.broker_configs.number("group.share.max.share.sessions");
        let share_sessions = usize::try_from(sessions.unwrap_or(2000)).unwrap_or(0);
        let share_sessions = share_sessions.div_ceil(shards);
        let hash_seed = random.bits();
        let settings = bounds.settings(&image.broker_configs);
        let memory = budget.beside(bounds.request_bytes);
        let connections = Connections::new(settings, admission, memory);
        let timers = Timers::default();
        timers.advance(now.monotonic_ms);
        let state = Rc::new(Self {
            id,
            shards,
            strict,
            data,
            now: Cell::new(now),
            clock,
            mark: Cell::new(0),
            groups: Coordinators::new(&image.broker_configs, hash_seed),
            transactions: TransactionCoordinators::new(&image.broker_configs, hash_seed),
            share_states: ShareCoordinators::new(&image.broker_configs),
            shares: PlacedShares::default(),
            share_sessions: RefCell::new(ShareSessions::new(id, share_sessions.max(1))),
            share_calls: Cell::new(0),
            share_bytes: Cell::new(0),
            creating: RefCell::default(),
            charges,
            sessions: RefCell::new(Sessions::new(per_shard.max(1), id, shards, random.bits())),
            random: RefCell::new(random),
            image: RefCell::new(image),
            coming: RefCell::default(),
            changed_image: Condition::default(),
            logs: RefCell::new(logs),
            budget,
            dirty: Cell::new(true),
            ops: RefCell::default(),
            fills: RefCell::default(),
            read_errors: RefCell::default(),
            next_op: Cell::new(OWN_OP),
            calls: RefCell::default(),
            outputs: Outputs::default(),
            connections: RefCell::new(connections),
            bounds,
            slow_ns,
            slow: Cell::new((0, 0)),
            waits: Waits::default(),
            metadata: controller.map(MetadataOwner::new),
            standing: if leads { Standing::of_its_own() } else { Standing::default() },
            lets_in: Cell::new(false),
            lets_in_by_ms: now.monotonic_ms + LET_IN_MS,
            links: RefCell::new(Links::new(me)),
            node,
            streams: RefCell::default(),
            cuts: RefCell::default(),
            changed_streams: Condition::default(),
            feeds: RefCell::default(),
            isr_due: RefCell::default(),
            changed_isr: Condition::default(),
            changed_damage: Condition::default(),
            changed_space: Condition::default(),
            asks: RefCell::default(),
            changed_quorum: Condition::default(),
            producer_ids: Cell::new((0, 0)),
            traffic: RefCell::default(),
            readings: Cell::default(),
            replication: RefCell::default(),
            panics: Cell::new(0),
            tasks: Tasks::default(),
            timers,
            work: Work::default(),
            checks: Gate::default(),
            recompressed,
            large: Gate::default(),
            open_requests: Cell::new(0),
            phase: Cell::new(Phase::Serving),
            changed: Condition::default(),
            told_full: Cell::new(false),
            space: Cell::new(None),
            next_tick_ms: Cell::new(now.monotonic_ms),
            told_refused: Cell::new(0),
            poisoned: Cell::new(false),
        });
        state.replication.borrow_mut().damaged = state.logs.borrow().damaged.len() as u64;
        state.account();
        state
    }

    // ---- Time ----

    pub(super) fn enter(&self, now: Now) {
        self.now.set(now);
        self.work.begin();
        self.timers.advance(now.monotonic_ms);
    }

    /// The time, as of the input that is handled.
    pub(super) fn now(&self) -> Now {
        self.now.get()
    }

    pub(super) fn wall_ms(&self) -> i64 {
        self.now.get().wall_ms
    }

    pub(super) fn monotonic_ms(&self) -> i64 {
        self.now.get().monotonic_ms
    }

    /// Reads the clock of stages.
    pub(super) fn ticks(&self) -> u64 {
        let now = self.clock.ticks();
        self.mark.set(now);
        now
    }

    /// Reads the clock of stages, and leaves the mark where it is.
    pub(super) fn clock_ticks(&self) -> u64 {
        self.clock.ticks()
    }

    /// The shard has done nothing else since then, in ticks.
    pub(super) fn held_since(&self, begun: u64) {
        let ns = self.ns(begun, self.clock.ticks());
        self.traffic.borrow_mut().holds.record(ns);
    }

    /// What [`ticks`](Self::ticks) gave last.
    pub(super) fn mark(&self) -> u64 {
        self.mark.get()
    }

    /// From one moment in ticks to a later one, ns; 0 where it is not later.
    pub(super) fn ns(&self, from: u64, to: u64) -> u64 {
        self.clock.ns(from, to)
    }

    /// When this shard has something to do of itself, by the monotonic clock, ms.
    pub(super) fn next_deadline(&self) -> i64 {
        let timers = self.timers.next_deadline().unwrap_or(i64::MAX);
        let connections = self.connections.borrow().next_deadline().unwrap_or(i64::MAX);
        let links = self.links.borrow().next_deadline().unwrap_or(i64::MAX);
        timers.min(connections).min(links).min(self.next_tick_ms.get())
    }

    /// Once a second: retention, expiry, a look at the disk's space.
    pub(super) fn tick(self: &Rc<Self>) {
        let now = self.now();
        let due = self.links.borrow().next_deadline();
        if due.is_some_and(|at| at <= now.monotonic_ms) {
            self.links.borrow_mut().timeout(now.monotonic_ms);
        }
        let mut connections = self.connections.borrow_mut();
        if connections.next_deadline().is_some_and(|at| at <= now.monotonic_ms) {
            connections.timeout(now.monotonic_ms);
        }
        if now.monotonic_ms < self.next_tick_ms.get() {
            return;
        }
        // What clients do not take of their answers pins memory that everybody reads through.
        let spare = self.budget.limit() / BUDGET_SHARE_SPARE;
        if let short @ 1.. = spare.saturating_sub(self.budget.left()) {
            connections.relieve(now.monotonic_ms, short);
        }
        drop(connections);
        self.next_tick_ms.set(now.monotonic_ms + 1000);
        let share_bytes =
            self.share_states.bytes() + self.shares.bytes() + self.share_sessions.borrow().bytes();
        self.share_bytes.set(share_bytes);
        self.recompressed.look();
        self.let_clients_in_late();
        self.outputs.push(Output::LookAtSpace);
        let expiration = self.image.borrow().broker_configs.number("producer.id.expiration.ms");
        let expiration = expiration.unwrap_or(86_400_000);
        let mut out = Outbox::default();
        let (refused, bytes) = self.change_logs(|logs| {
            logs.refuse_late(now.monotonic_ms, &mut out);
            logs.engine.tick(now.wall_ms);
            logs.expire_producers(now.monotonic_ms, expiration, EXPIRY_LOOKS);
            (logs.producers().refused(), logs.producers().used())
        });
        self.send_out(out);
        if refused > self.told_refused.replace(refused) {
            tracing::warn!(
                shard = self.id,
                refused,
                bytes,
                "new idempotent producers are refused: their memory is used up"
            );
        }
        self.kick();
    }

    // ---- Tasks ----

    /// Runs a task as far as it goes at once, and the rest later. A panic ends it and nothing else:
    /// who waits for it hears of that through what it owned.
    pub(super) fn start(&self, task: impl Future<Output = ()> + 'static) {
        // One that begins within another does not use up the steps of that one.
        let before = self.work.resume(0);
        self.note(self.tasks.start(task));
        self.work.resume(before);
    }

    /// Whether tasks can go on, or requests begin.
    pub(super) fn has_work(&self) -> bool {
        self.tasks.has_ready() || self.connections.borrow().has_requests()
    }

    fn note(&self, step: Step) {
        if step == Step::Panicked {
            self.panicked();
        }
    }

    /// Does what may panic without harm to others. `None` where it did.
    pub(super) fn contain<T>(&self, f: impl FnOnce() -> T) -> Option<T> {
        let result = catch_unwind(AssertUnwindSafe(f)).ok();
        if result.is_none() {
            self.panicked();
        }
        result
    }

    /// Counts a panic that was caught, and ends the process where it has left something behind.
    pub(super) fn panicked(&self) {
        self.panics.set(self.panics.get() + 1);
        if self.poisoned.get() {
            self.fatal(exit::BUG, "a bug has left logs or metadata half changed".to_owned());
        }
    }

    pub(super) fn fatal(&self, exit_code: i32, message: String) {
        self.outputs.push(Output::Fatal { exit_code, message });
    }

    /// A point at which a long task lets others run, now and then. One step.
    pub(super) async fn pause(&self) {
        self.work.add(1);
        if self.work.is_piece() {
            yield_now().await;
        }
    }

    /// Waits, ms.
    pub(super) async fn sleep(&self, ms: i64) {
        self.timers.sleep_until(self.monotonic_ms().saturating_add(ms)).await;
    }

    /// Drops all tasks and all that is under way, without a word to anybody.
    pub(super) fn clear(&self) {
        self.tasks.clear();
        let calls = std::mem::take(&mut *self.calls.borrow_mut());
        drop(calls);
        let fills = std::mem::take(&mut *self.fills.borrow_mut());
        drop(fills);
        let tasks = self.logs.borrow_mut().take_tasks();
        drop(tasks);
        self.groups.clear();
        self.transactions.clear();
        self.share_states.clear();
        self.shares.clear();
        while self.outputs.pop().is_some() {}
    }

    // ---- Logs ----

    /// Changes partitions or what their engine holds. A panic in the middle ends the process: the
    /// cores and the engine may disagree then, and the next start reads what is on disk.
    pub(super) fn change_logs<T>(&self, f: impl FnOnce(&mut Logs) -> T) -> T {
        let _vital = Vital(&self.poisoned);
        f(&mut self.logs.borrow_mut())
    }

    /// Changes the metadata that is not on disk yet. As [`change_logs`](Self::change_logs).
    pub(super) fn vital<T>(&self, f: impl FnOnce() -> T) -> T {
        let _vital = Vital(&self.poisoned);
        f()
    }

    /// Looks at partitions, or reads them: what changes is what the engine keeps in memory of the
    /// disk.
    pub(super) fn read_logs<T>(&self, f: impl FnOnce(&mut Logs) -> T) -> T {
        f(&mut self.logs.borrow_mut())
    }

    /// There may be something to write.
    pub(super) fn kick(&self) {
        self.dirty.set(true);
    }

    /// Whether the engine has something to do once the inputs at hand are handed in.
    pub(super) fn wants_turn(&self) -> bool {
        self.dirty.get()
    }

    /// Writes what was appended, over all partitions, as one block; the next steps of write-back.
    pub(super) fn turn(self: &Rc<Self>) {
        self.dirty.set(false);
        let (time, ticks) = (self.now(), self.mark());
        let now = time.wall_ms;
        let mut out = Outbox::default();
        let submissions = self.change_logs(|logs| {
            logs.engine.at(ticks);
            self.work.add(logs.take_events(&mut out));
            let (retried, more) = logs.retry(time, &mut out);
            self.work.add(retried as u64);
            if logs.engine.wants_turn() {
                self.work.add(work::captured(logs.turn(now)));
            }
            self.work.add(logs.take_events(&mut out));
            // What goes step by step goes on at once: nothing else may come that would have it go on.
            if logs.free_some() || more || logs.engine.wants_turn() {
                self.kick();
            }
            logs.engine.take_submissions()
        });
        self.work.add(submissions.len() as u64);
        for submission in submissions {
            self.outputs.push(Output::Disk(submission));
        }
        self.send_out(out);
        if self.node.peer.is_some() {
            // Followers get what was made while it is being written here.
            self.feed_frames();
            // Who has fallen behind by that, and has granted bytes, will perhaps not grant any before it gets more.
            self.catch_up();
            self.flush_feeds();
            self.grant();
        }
        self.note_progress();
    }

    /// An operation on a file has ended.
    pub(super) fn completed(self: &Rc<Self>, completion: Completion) {
        if completion.id & OWN_OP != 0 {
            let sender = self.ops.borrow_mut().remove(&completion.id);
            if let Some(sender) = sender {
                sender.send(completion.result);
            }
            return;
        }
        let (now, ticks) = (self.wall_ms(), self.mark());
        let mut out = Outbox::default();
        // What was read is verified.
        self.work.add(work::bytes(completion.result.as_ref().map_or(0, Bytes::len)));
        self.change_logs(|logs| {
            let mut events = Vec::new();
            logs.engine.at(ticks);
            logs.engine.complete(now, completion, &mut events);
            self.work.add(events.len() as u64);
            for event in events {
                logs.event(event, &mut out);
            }
        });
        self.look_at_shortage();
        self.send_out(out);
        self.kick();
    }

    /// Runs one operation on a file for somebody other than the engine.
    pub(super) async fn run_op(&self, op: Op) -> io::Result<Bytes> {
        let (tx, rx) = oneshot();
        let id = self.next_op.get();
        self.next_op.set(id + 1);
        self.ops.borrow_mut().insert(id, tx);
        self.outputs.push(Output::Disk(Submission { id, op }));
        rx.await.unwrap_or_else(|| Err(io::ErrorKind::Interrupted.into()))
    }

    pub(super) fn send_out(self: &Rc<Self>, out: Outbox) {
        let Outbox { appended, trimmed, notices, filled, fatal, roles, .. } = out;
        let Outbox { durable, moved, truncatable, cut, verifications, .. } = out;
        let Outbox { damaged, mended, repaired, .. } = out;
        if let Some(message) = fatal {
            self.fatal(exit::IO, message);
        }
        let mut committed = 0;
        for (number, (to, mut reply)) in appended.into_iter().enumerate() {
            if reply.trace.replicated {
                // All of them were waited for by one event: one look at the clock does.
                if committed == 0 {
                    committed = self.clock_ticks();
                }
                reply.trace.committed = committed;
            }
            if reply.trace.moments.synced > 0 && number.is_multiple_of(SAMPLED) {
                let mut stages = Stages::default();
                self.trace(&reply.trace, &mut stages);
                let mut traffic = self.traffic.borrow_mut();
                traffic.stages(&[RequestStage::Turn, RequestStage::Journal], &stages);
                if reply.trace.replicated {
                    traffic.stages(&[RequestStage::Replicate], &stages);
                }
                if stages.get(RequestStage::Sync) > 0 {
                    traffic.stages(&[RequestStage::Write, RequestStage::Sync], &stages);
                }
            }
            to.reply(reply);
        }
        for (to, reply) in trimmed {
            to.reply(reply);
        }
        for (shard, notice) in notices {
            self.tell(shard, notice);
        }
        for (ticket, result) in filled {
            self.filled(ticket, result);
        }
        if !(roles.is_empty() && durable.is_empty() && moved.is_empty()) {
            self.replicate(roles, durable, moved);
        }
        for tp in truncatable {
            self.go_on_cutting(tp);
        }
        for tp in cut {
            self.cut_ended(tp);
        }
        for it in verifications {
            self.verify(it);
        }
        if !damaged.is_empty() {
            self.found_damaged(damaged);
        }
        if !mended.is_empty() {
            self.mended(mended);
        }
        if !repaired.is_empty() {
            self.repaired(repaired);
        }
    }

    /// Enters what an append's owner has seen of it.
    pub(super) fn trace(&self, trace: &Trace, stages: &mut Stages) {
        let Moments { built, written, synced } = trace.moments;
        stages.set(RequestStage::Route, self.ns(trace.routed, trace.arrived));
        stages.set(RequestStage::Turn, self.ns(trace.arrived, built));
        stages.set(RequestStage::Journal, self.ns(built, synced));
        if written < synced {
            stages.set(RequestStage::Write, self.ns(built, written));
            stages.set(RequestStage::Sync, self.ns(written, synced));
        }
        if trace.replicated {
            stages.set(RequestStage::Replicate, self.ns(synced, trace.committed));
        }
    }

    // ---- Calls ----

    pub(super) fn serve_append(
        self: &Rc<Self>,
        call: AppendBatches,
        _: ShardId,
        to: ReplyTo<AppendBatches>,
    ) {
        let (arrived, now) = (self.mark(), self.now());
        let mut out = Outbox::default();
        self.work.add(call.batches.len() as u64);
        let full = self.change_logs(|logs| {
            logs.append(call, arrived, to, now, &mut out);
            logs.engine.disk_is_full()
        });
        if full {
            self.changed_space.notify();
            // What was allowed may be used up, and space be there: it is kept until that is known.
            self.outputs.push(Output::LookAtSpace);
        }
        self.send_out(out);
        self.kick();
    }

    pub(super) fn serve_find_epoch_ends(
        self: &Rc<Self>,
        call: FindEpochEnds,
        _: ShardId,
        to: ReplyTo<FindEpochEnds>,
    ) {
        let state = self.clone();
        self.start(async move {
            let mut answers = Vec::with_capacity(call.0.len());
            for it in &call.0 {
                answers.push(state.read_logs(|logs| logs.epoch_end(it)));
                state.pause().await;
            }
            to.reply(answers);
        });
    }

    pub(super) fn serve_trim(self: &Rc<Self>, call: Trim, _: ShardId, to: ReplyTo<Trim>) {
        if call.0.len() <= TRIMS {
            return self.trim(&call.0, to);
        }
        let state = self.clone();
        self.start(async move {
            let mut parts = Vec::with_capacity(call.0.len() / TRIMS + 1);
            for part in call.0.chunks(TRIMS) {
                let (to, trimmed) = ReplyTo::task();
                state.trim(part, to);
                parts.push(trimmed);
                state.pause().await;
            }
            let mut results = Vec::with_capacity(call.0.len());
            for part in parts {
                // Without the answer to one, the call is given up.
                let Some(part) = part.await else { return };
                results.extend(part);
                state.pause().await;
            }
            to.reply(results);
        });
    }

    fn trim(self: &Rc<Self>, trims: &[TrimRequest], to: ReplyTo<Trim>) {
        let mut out = Outbox::default();
        self.work.add(trims.len() as u64);
        self.change_logs(|logs| logs.trim(trims, to, &mut out));
        self.send_out(out);
        self.kick();
    }

    pub(super) fn serve_sizes(self: &Rc<Self>, _: Sizes, _: ShardId, to: ReplyTo<Sizes>) {
        let state = self.clone();
        self.start(async move {
            let (mut sizes, mut after) = (Vec::new(), None);
            loop {
                let before = sizes.len();
                after = state.read_logs(|logs| logs.sizes(after, &mut sizes));
                state.work.add((sizes.len() - before) as u64);
                if after.is_none() {
                    break;
                }
                state.pause().await;
            }
            to.reply(sizes);
        });
    }

    pub(super) fn serve_find_ends(
        self: &Rc<Self>,
        call: FindEnds,
        _: ShardId,
        to: ReplyTo<FindEnds>,
    ) {
        self.work.add(call.0.len() as u64);
        to.reply(
            self.read_logs(|logs| call.0.iter().map(|tp| logs.visible_end(*tp, false)).collect()),
        );
    }

    pub(super) fn serve_figures(self: &Rc<Self>, _: Figures, _: ShardId, to: ReplyTo<Figures>) {
        to.reply(Box::new(self.figures()));
    }

    fn figures(&self) -> ShardFigures {
        let logs = self.logs.borrow();
        let [producers, groups, sessions] = &self.charges;
        ShardFigures {
            producer_bytes: producers.bytes() as u64,
            producers_refused: logs.producers().refused(),
            group_bytes: groups.bytes() as u64,
            group_requests_refused: self.groups.memory.refused(),
            session_bytes: sessions.bytes() as u64,
            sessions_refused: self.sessions.borrow().refused(),
            engine: logs.engine.stats(),
            disk_full: logs.engine.disk_is_full(),
            connections: self.connections.borrow().stats(),
            readings: self.readings.get(),
            panics: self.panics.get(),
            steps: self.work.total(),
            steps_most: self.work.most(),
            traffic: self.traffic.borrow().clone(),
            peers_refused: self.links.borrow().refused(),
            replication: self.replication.borrow().clone(),
            controller: self.metadata.as_ref().map(|it| ControllerFigures {
                term: it.controller.borrow().term(),
                committed: it.controller.borrow().committed(),
                applied: it.applied.get(),
                ..it.figures.borrow().clone()
            }),
        }
    }

    // ---- Connections ----

    /// A request has taken effect; `None` sends nothing.
    pub(super) fn answer(&self, begun: Begun, response: Option<Response>, traced: Option<Traced>) {
        let Begun { connection, number, .. } = begun;
        let now = self.monotonic_ms();
        self.connections.borrow_mut().answered(now, connection, number, response, traced);
        self.request_ended();
    }

    /// A request has no answer, since the client has sent what none has: its connection is closed,
    /// with one line in the log.
    pub(super) fn refuse(&self, begun: Begun, text: &str) {
        self.end(begun, Why::Request, text);
    }

    /// A request has no answer by a bug of ours: as [`refuse`](Self::refuse).
    pub(super) fn give_up(&self, begun: Begun, text: &str) {
        self.end(begun, Why::Bug, text);
    }

    fn end(&self, begun: Begun, why: Why, text: &str) {
        let Begun { connection, number, .. } = begun;
        let now = self.monotonic_ms();
        let mut connections = self.connections.borrow_mut();
        connections.refuse(now, connection, why, text);
        connections.answered(now, connection, number, None, None);
        drop(connections);
        self.request_ended();
    }

    /// Nothing of this request's bytes is needed any more.
    pub(super) fn release(&self, begun: Begun) {
        self.connections.borrow_mut().release(begun.connection, begun.number);
    }

    /// Whether requests of its connection may begin beside this Produce.
    pub(super) fn set_alone(&self, begun: Begun, alone: bool) {
        let mut connections = self.connections.borrow_mut();
        connections.set_alone(begun.connection, begun.number, alone);
    }

    /// A request will get no answer.
    pub(super) fn silence(&self, begun: Begun) {
        self.connections.borrow_mut().silence(begun.connection, begun.number);
    }

    /// The client's address without its port.
    pub(super) fn host(&self, connection: ConnectionId) -> String {
        let peer = self.connections.borrow().peer(connection);
        peer.map_or_else(|| "unknown".to_owned(), |it| it.ip().to_string())
    }

    /// Begins requests that may begin, and runs tasks that can go on, in turns; then tells what
    /// connections want.
    pub(super) fn run(self: &Rc<Self>) {
        self.run_tasks();
        self.account();
    }

    /// Charges what producers, groups and fetch sessions take, and tells how much they may.
    fn account(&self) {
        let [producers, groups, sessions] = &self.charges;
        let (mut logs, memory) = (self.logs.borrow_mut(), &self.groups.memory);
        // By their share alone: where one batch of a producer is refused and the next is taken, since
        // memory came free in between, the first can never follow.
        producers.set(logs.producers().used());
        logs.limit_producers(producers.share());
        // What share groups take was looked up with the last tick.
        let share_bytes = self.share_bytes.get();
        memory.set_limit(groups.set(memory.used() + share_bytes).saturating_sub(share_bytes));
        self.transactions.memory.set_limit(producers.share());
        let mut all = self.sessions.borrow_mut();
        let limit = sessions.set(all.bytes());
        all.set_bytes_max(limit);
    }

    fn run_tasks(self: &Rc<Self>) {
        for _ in 0..STEPS_MAX {
            if self.work.is_enough() {
                break;
            }
            let arrived = self.connections.borrow_mut().next_request();
            if let Some(arrived) = &arrived {
                self.request(arrived);
            }
            self.work.resume(0);
            let step = self.tasks.run_one();
            if let Some(step) = step {
                self.note(step);
            } else if arrived.is_none() {
                break;
            }
        }
        loop {
            let event = self.connections.borrow_mut().poll();
            let Some(event) = event else { break };
            match event {
                ConnectionEvent::Resume(connection) => {
                    self.outputs.push(Output::Resume(connection));
                }
                ConnectionEvent::Flush(connection) => self.outputs.push(Output::Flush(connection)),
                ConnectionEvent::Closed { connection, line, admitted } => {
                    self.waits.closed(connection);
                    self.share_connection_closed(connection);
                    self.outputs.push(Output::Closed { connection, admitted });
                    line.inspect(tell);
                }
                ConnectionEvent::Line(line) => tell(&line),
            }
        }
        self.take_link_events();
    }

    fn request_ended(&self) {
        self.open_requests.set(self.open_requests.get().saturating_sub(1));
        self.note_progress();
    }

    /// Wakes who waits for the end of what is under way.
    fn note_progress(&self) {
        if self.phase.get() != Phase::Serving {
            self.changed.notify();
        }
    }
}
