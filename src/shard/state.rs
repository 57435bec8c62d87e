//! One shard: everything that its thread owns, and the loop that carries out what the engine asks
//! for.

use super::admin::Admin;
use super::connection::Connection;
use super::figures::ShardFigures;
use super::groups::Groups;
use super::logs::{Logs, Outbox, Progress, ReplyTo};
use super::pulse::Pulse;
use super::router::{Message, Notice, Reply, Request, Trace, Way};
use super::sync::{Event, Receiver, Room, Sender, oneshot};
use crate::broker::api::data::{ReadRequest, ReadResult};
use crate::broker::api::describe_log_dirs::Volume;
use crate::broker::api::fetch_session::Sessions;
use crate::controller::Image;
use crate::metrics::{SAMPLED, Stage, Stages, Traffic};
use crate::storage::disk::RealDisk;
use crate::storage::engine::Moments;
use crate::storage::io::{Completion, Op, Submission};
use crate::storage::reads::ColdRead;
use crate::storage::ring::{Asker, Ring};
use crate::storage::space::{RESERVE, Space, Verdict, judge};
use crate::types::Now;
use crate::wire::api_keys::ApiKey;
use bytes::Bytes;
use futures_lite::FutureExt;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Lines about slow requests in a second, of one shard.
const SLOW_LINES: u32 = 10;

/// Partitions and producers that are looked at in a second for producers that are to be forgotten:
/// a millisecond or less, and a hundred thousand partitions in a minute.
const EXPIRY_LOOKS: usize = 2_048;

/// Groups may take this part of the memory of storage: their members, what they have committed, and
/// requests that wait.
const GROUPS_SHARE: usize = 8;

/// Figures of the whole process.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections accepted.
    pub accepted: AtomicU64,
    /// Connections that a panic closed.
    pub panics: AtomicU64,
}

/// What all shards know from the start.
pub struct Common {
    /// Shards of the process.
    pub shards: usize,
    /// Walk compressed batches record by record.
    pub strict: bool,
    /// The data directory.
    pub disk: RealDisk,
    /// Produce requests that take this long are logged, ns.
    pub slow_ns: u64,
    /// Figures.
    pub counters: Counters,
    /// By shard: whether it goes on.
    pub pulses: Arc<[Pulse]>,
    /// By shard: bytes that are to be placed on the disk yet, as of its last tick.
    pub pending: Vec<AtomicU64>,
}

/// How far a shard is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// It serves.
    Serving,
    /// It finishes what is under way.
    Draining,
    /// It writes everything back.
    Closing,
}

/// What is done with an answer.
type Then = Box<dyn FnOnce(Reply)>;

/// A fetch that waits for more.
#[derive(Default)]
pub struct Wait {
    /// There is more.
    pub fired: Cell<bool>,
    /// Wakes the fetch.
    pub event: Event,
}

/// See the module.
pub struct Shard {
    /// Its number.
    pub id: usize,
    /// What all shards know.
    pub common: Arc<Common>,
    image: RefCell<Arc<Image>>,
    logs: RefCell<Logs>,
    ring: RefCell<Ring>,
    dirty: Cell<bool>,
    work: Event,
    ways: Vec<Option<Rc<Way>>>,
    calls: RefCell<Slab<Then>>,
    reads: RefCell<HashMap<u64, Sender<io::Result<Bytes>>>>,
    waits: RefCell<HashMap<u64, Rc<Wait>>>,
    next_wait: Cell<u64>,
    /// Coordinators of groups.
    pub groups: Groups,
    /// Fetch sessions.
    pub sessions: RefCell<Sessions>,
    /// Bytes of requests.
    pub room: Rc<Room>,
    /// Bytes of large requests beyond their first piece.
    pub large_room: Rc<Room>,
    /// Open connections.
    pub connections: RefCell<Slab<Rc<Connection>>>,
    flushes: RefCell<Vec<Rc<Connection>>>,
    flush: Event,
    /// The disk was full at the last look.
    told_full: Cell<bool>,
    /// Batches of new producers that were refused until the last look.
    told_refused: Cell<u64>,
    /// How far it is on its way out.
    pub phase: Cell<Phase>,
    /// Something has happened since this was looked at.
    pub active: Cell<bool>,
    /// Wakes those that wait for the phase, or for requests to end.
    pub changed: Event,
    /// The controller, on shard 0.
    pub admin: Option<Admin>,
    /// Producer ids taken from the controller: the next, and how many are left.
    pub producer_ids: Cell<(i64, i32)>,
    /// What was received and answered.
    pub traffic: RefCell<Traffic>,
    clock: quanta::Clock,
    mark: Cell<u64>,
    /// The second that slow requests are logged in, and how many were.
    slow: Cell<(i64, u32)>,
}

/// What a shard is made of.
pub struct Parts {
    /// Its number.
    pub id: usize,
    /// What all shards know.
    pub common: Arc<Common>,
    /// The metadata.
    pub image: Arc<Image>,
    /// Its partitions.
    pub logs: Logs,
    /// Its files.
    pub ring: Ring,
    /// The ways to the others.
    pub ways: Vec<Option<Rc<Way>>>,
    /// Bytes of requests that it may hold.
    pub request_bytes: usize,
    /// The controller, on shard 0.
    pub admin: Option<Admin>,
}

/// The time, ms since 1970.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |it| it.as_millis() as i64)
}

/// The time by both clocks.
pub fn now() -> Now {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let monotonic_ms = BEGUN.get_or_init(Instant::now).elapsed().as_millis() as i64;
    Now { wall_ms: now_ms(), monotonic_ms }
}

/// Processor time that this thread has used, ns.
fn thread_cpu_ns() -> u64 {
    // SAFETY: all zeros is a valid `timespec`.
    let mut time: libc::timespec = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel writes one `timespec`. Every Linux has this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Ends the process with this exit code, and says why.
pub fn end(exit_code: i32, message: &str) -> ! {
    tracing::error!("{message}");
    eprintln!("klamm: {message}");
    std::process::exit(exit_code);
}

/// Ends the process: what is on disk is not known any more, and the next start finds out.
pub fn fatal(message: &str) -> ! {
    end(74, message)
}

impl Shard {
    /// A shard, not yet running.
    pub fn new(parts: Parts) -> Rc<Self> {
        let Parts { id, common, image, logs, ring, ways, request_bytes, admin } = parts;
        let slots = image.broker_configs.number("max.incremental.fetch.session.cache.slots");
        let per_shard = usize::try_from(slots.unwrap_or(1000)).unwrap_or(0) / common.shards;
        let group_bytes = common.disk.budget().limit() / common.shards / GROUPS_SHARE;
        let seed = uuid::Uuid::new_v4().as_u64_pair().0;
        Rc::new(Self {
            id,
            sessions: RefCell::new(Sessions::new(per_shard.max(1), id, common.shards, seed)),
            groups: Groups::new(&image.broker_configs, group_bytes),
            common,
            image: RefCell::new(image),
            logs: RefCell::new(logs),
            ring: RefCell::new(ring),
            dirty: Cell::new(true),
            work: Event::default(),
            ways,
            calls: RefCell::default(),
            reads: RefCell::default(),
            waits: RefCell::default(),
            next_wait: Cell::new(1),
            room: Room::new(request_bytes / 2),
            large_room: Room::new(request_bytes / 2),
            connections: RefCell::default(),
            flushes: RefCell::default(),
            flush: Event::default(),
            told_full: Cell::new(false),
            told_refused: Cell::new(0),
            phase: Cell::new(Phase::Serving),
            active: Cell::new(true),
            changed: Event::default(),
            admin,
            producer_ids: Cell::new((0, 0)),
            traffic: RefCell::default(),
            clock: quanta::Clock::new(),
            mark: Cell::new(0),
            slow: Cell::new((0, 0)),
        })
    }

    /// The processor's clock, in ticks that all shards share: cheaper than to ask the kernel for the
    /// time. Only differences mean something, see [`ns`](Self::ns).
    pub fn ticks(&self) -> u64 {
        let now = self.clock.raw();
        self.mark.set(now);
        now
    }

    /// What [`ticks`](Self::ticks) gave last.
    pub fn mark(&self) -> u64 {
        self.mark.get()
    }

    /// From one moment in ticks to a later one, ns; 0 where it is not later.
    pub fn ns(&self, from: u64, to: u64) -> u64 {
        if to <= from { 0 } else { self.clock.delta_as_nanos(from, to) }
    }

    /// Enters what an append's owner has seen of it.
    pub fn trace(&self, trace: &Trace, stages: &mut Stages) {
        let Moments { built, written, synced } = trace.moments;
        stages.set(Stage::Route, self.ns(trace.routed, trace.arrived));
        stages.set(Stage::Turn, self.ns(trace.arrived, built));
        stages.set(Stage::Journal, self.ns(built, synced));
        if written < synced {
            stages.set(Stage::Write, self.ns(built, written));
            stages.set(Stage::Sync, self.ns(written, synced));
        }
    }

    /// Logs a slow request: a few of them each second, so that a slow disk is not kept busy with it.
    pub fn tell_slow(&self, peer: &str, api: ApiKey, ns: u64, stages: &Stages) {
        let second = now_ms() / 1000;
        let (since, told) = self.slow.get();
        let told = if since == second { told } else { 0 };
        self.slow.set((second, told + 1));
        if told < SLOW_LINES {
            tracing::warn!(shard = self.id, peer, %api, ms = ns / 1_000_000, "slow, µs: {stages}");
        }
    }

    /// The metadata as this shard has applied it.
    pub fn image(&self) -> Arc<Image> {
        self.image.borrow().clone()
    }

    /// Takes over metadata: opens what is new, drops what is gone. `before` is none at the start.
    pub fn apply(self: &Rc<Self>, before: Option<Arc<Image>>, image: &Arc<Image>) {
        let before = before.unwrap_or_else(|| {
            Arc::new(Image::new(&image.cluster_id, image.node_id, Arc::default()))
        });
        let mut out = Outbox::default();
        self.logs.borrow_mut().apply(&before, image, now_ms(), &mut out);
        *self.image.borrow_mut() = image.clone();
        self.send_out(out);
        self.apply_groups(&before, image);
        self.kick();
    }

    // ---- Files ----

    /// There may be something to write.
    pub fn kick(&self) {
        self.dirty.set(true);
        self.work.notify();
    }

    /// Runs the engine when there is work: tasks that are ready before it add to the same block.
    pub async fn run_engine(self: Rc<Self>) {
        loop {
            self.work.until(|| self.dirty.replace(false)).await;
            self.pump();
        }
    }

    /// Runs the engine when something has completed.
    pub async fn run_completions(self: Rc<Self>) {
        struct Fd(i32);
        impl std::os::fd::AsRawFd for Fd {
            fn as_raw_fd(&self) -> i32 {
                self.0
            }
        }
        let fd = self.ring.borrow().event();
        let event = match glommio::io::PollableFd::new(Fd(fd)) {
            Ok(event) => event,
            Err(e) => fatal(&format!("cannot wait for the disk: {e}")),
        };
        loop {
            if let Err(e) = event.readable().await {
                fatal(&format!("cannot wait for the disk: {e}"));
            }
            self.pump();
        }
    }

    /// Takes what has completed, tells who waited, and hands the kernel what comes next.
    pub fn pump(self: &Rc<Self>) {
        let mut completed = Vec::new();
        loop {
            if let Err(e) = self.ring.borrow_mut().reap(&mut completed) {
                fatal(&format!("the disk's ring failed: {e}"));
            }
            let progressed = !completed.is_empty();
            let mut out = Outbox::default();
            let time = now();
            let now = time.wall_ms;
            let submissions = {
                let mut events = Vec::new();
                let mut logs = self.logs.borrow_mut();
                logs.engine.at(self.ticks());
                for (asker, completion) in completed.drain(..) {
                    match asker {
                        Asker::Engine => logs.engine.complete(now, completion, &mut events),
                        Asker::Controller | Asker::Read => self.answer_read(completion),
                    }
                }
                events.append(&mut logs.engine.take_events());
                for event in events {
                    logs.event(event, &mut out);
                }
                logs.retry(time, &mut out);
                if logs.engine.wants_turn() {
                    logs.turn(now);
                }
                for event in logs.engine.take_events() {
                    logs.event(event, &mut out);
                }
                logs.engine.take_submissions()
            };
            let idle = submissions.is_empty() && !progressed;
            let mut ring = self.ring.borrow_mut();
            for submission in submissions {
                ring.submit(Asker::Engine, submission);
            }
            if let Err(e) = ring.flush() {
                fatal(&format!("the disk's ring failed: {e}"));
            }
            drop(ring);
            self.send_out(out);
            if idle {
                break;
            }
            if progressed {
                // The rest after the others' turn: with a fast disk something always has completed.
                self.kick();
                break;
            }
        }
        self.flush_all();
        if self.phase.get() != Phase::Serving {
            self.changed.notify();
        }
    }

    fn answer_read(&self, completion: Completion) {
        let sender = self.reads.borrow_mut().remove(&completion.id);
        if let Some(sender) = sender {
            sender.send(completion.result);
        }
    }

    /// Runs one operation for somebody other than the engine.
    pub async fn run_op(self: &Rc<Self>, op: Op) -> io::Result<Bytes> {
        let (tx, rx) = oneshot();
        let id = self.next_wait.get();
        self.next_wait.set(id + 1);
        self.reads.borrow_mut().insert(id, tx);
        let submitted = {
            let mut ring = self.ring.borrow_mut();
            ring.submit(Asker::Read, Submission { id, op });
            ring.flush()
        };
        if let Err(e) = submitted {
            fatal(&format!("the disk's ring failed: {e}"));
        }
        // What needs no kernel is complete already, and raises no event.
        self.kick();
        rx.await.unwrap_or_else(|| Err(io::ErrorKind::Interrupted.into()))
    }

    /// Reads for the engine, and hands it what came.
    pub async fn fill(self: &Rc<Self>, cold: ColdRead) {
        let ColdRead { ticket, path, pos, len } = cold;
        let result = self.run_op(Op::Read { path, pos, len }).await;
        if let Err(e) = self.logs.borrow_mut().engine.filled(ticket, result) {
            tracing::error!("cannot read: {e}");
        }
        self.kick();
    }

    /// The partitions, for a moment.
    pub fn with_logs<T>(&self, f: impl FnOnce(&mut Logs) -> T) -> T {
        f(&mut self.logs.borrow_mut())
    }

    // ---- Messages ----

    fn send_out(self: &Rc<Self>, out: Outbox) {
        if let Some(message) = out.fatal {
            fatal(&message);
        }
        for (number, (to, reply)) in out.replies.into_iter().enumerate() {
            if let Reply::Appended(_, trace) = &reply
                && trace.moments.synced > 0
                && number.is_multiple_of(SAMPLED)
            {
                let mut stages = Stages::default();
                self.trace(trace, &mut stages);
                let mut traffic = self.traffic.borrow_mut();
                traffic.stages(&[Stage::Turn, Stage::Journal], &stages);
                if stages.get(Stage::Sync) > 0 {
                    traffic.stages(&[Stage::Write, Stage::Sync], &stages);
                }
            }
            self.reply(to, reply);
        }
        for (shard, notice) in out.notices {
            self.tell(shard, notice);
        }
    }

    /// Answers.
    pub fn reply(&self, to: ReplyTo, reply: Reply) {
        match to {
            ReplyTo::Local(then) => then(reply),
            ReplyTo::Remote(shard, call) => self.send(shard, Message::Reply { call, reply }),
        }
    }

    fn send(&self, shard: usize, message: Message) {
        if let Some(way) = &self.ways[shard] {
            way.send(message);
        }
    }

    /// Tells a shard, this one too.
    pub fn tell(self: &Rc<Self>, shard: usize, notice: Notice) {
        if shard == self.id {
            self.notice(self.id, notice);
        } else {
            self.send(shard, Message::Notice(notice));
        }
    }

    /// Asks a shard, this one too: `then` gets the answer. What is asked of this shard starts before
    /// this returns.
    pub fn ask(
        self: &Rc<Self>,
        shard: usize,
        request: Request,
        then: impl FnOnce(Reply) + 'static,
    ) {
        if shard == self.id {
            self.serve(request, ReplyTo::Local(Box::new(then)));
        } else {
            let call = self.calls.borrow_mut().insert(Box::new(then)) as u64;
            self.send(shard, Message::Request { call, request });
        }
    }

    /// Asks a shard, this one too. The answer may be waited for.
    pub fn call(self: &Rc<Self>, shard: usize, request: Request) -> Receiver<Reply> {
        let (tx, rx) = oneshot();
        self.ask(shard, request, move |reply| tx.send(reply));
        rx
    }

    /// Takes a message.
    pub fn message(self: &Rc<Self>, from: usize, message: Message) {
        self.active.set(true);
        match message {
            Message::Request { call, request } => {
                self.serve(request, ReplyTo::Remote(from, call));
            }
            Message::Reply { call, reply } => {
                let then = self.calls.borrow_mut().try_remove(call as usize);
                if let Some(then) = then {
                    then(reply);
                }
            }
            Message::Notice(notice) => self.notice(from, notice),
        }
    }

    fn notice(self: &Rc<Self>, from: usize, notice: Notice) {
        match notice {
            Notice::Advanced(id) => {
                let wait = self.waits.borrow().get(&id).cloned();
                if let Some(wait) = wait {
                    wait.fired.set(true);
                    wait.event.notify();
                }
            }
            Notice::Forget(id) => self.logs.borrow_mut().forget(from, id),
            Notice::Dropped(topic) => {
                if let Some(admin) = &self.admin {
                    admin.topic_dropped(topic, from);
                }
            }
        }
    }

    fn serve(self: &Rc<Self>, request: Request, to: ReplyTo) {
        match request {
            Request::Append(appends) => {
                if self.logs.borrow().engine.disk_is_full() {
                    self.look_at_space();
                }
                let mut out = Outbox::default();
                let arrived = self.mark.get();
                self.logs.borrow_mut().append(appends, arrived, to, now(), &mut out);
                self.send_out(out);
                self.kick();
            }
            Request::Read { reads, max_bytes, waiter } => {
                let asker = match to {
                    ReplyTo::Local(_) => self.id,
                    ReplyTo::Remote(shard, _) => shard,
                };
                let shard = self.clone();
                self.start(async move {
                    let results = shard.read_all(&reads, max_bytes).await;
                    let noted = waiter.is_some_and(|(id, need)| {
                        shard.subscribe(asker, id, need, &reads, &results)
                    });
                    shard.reply(to, Reply::Read(results, noted));
                });
            }
            Request::Offsets(queries) => {
                let shard = self.clone();
                self.start(async move {
                    let mut answers = Vec::with_capacity(queries.len());
                    for query in &queries {
                        answers.push(super::offsets::find(&shard, query).await);
                    }
                    shard.reply(to, Reply::Offsets(answers));
                });
            }
            Request::EpochEnds(queries) => {
                let answers = {
                    let mut logs = self.logs.borrow_mut();
                    queries.iter().map(|it| logs.epoch_end(it)).collect()
                };
                self.reply(to, Reply::EpochEnds(answers));
            }
            Request::Trim(trims) => {
                let mut out = Outbox::default();
                self.logs.borrow_mut().trim(&trims, to, &mut out);
                self.send_out(out);
                self.kick();
            }
            Request::Sizes => {
                let sizes = self.logs.borrow().sizes();
                self.reply(to, Reply::Sizes(sizes));
            }
            Request::Group(tp, request) => self.ask_group(tp, request, to),
            Request::ListGroups(list) => {
                let listed = self.list_groups(&list);
                self.reply(to, Reply::Groups(listed));
            }
            Request::GroupFigures => {
                let shard = self.clone();
                self.start(async move {
                    let figures = shard.group_figures().await;
                    shard.reply(to, Reply::GroupFigures(figures));
                });
            }
            Request::Ends(partitions) => {
                let logs = self.logs.borrow();
                let ends = partitions.iter().map(|tp| logs.visible_end(*tp, false)).collect();
                drop(logs);
                self.reply(to, Reply::Ends(ends));
            }
            Request::Figures => {
                let figures = Box::new(self.figures());
                self.reply(to, Reply::Figures(figures));
            }
            Request::Apply(image) => {
                let before = self.image();
                self.apply(Some(before), &image);
                self.reply(to, Reply::Done);
            }
            Request::Admin { .. } | Request::AutoCreate(_) | Request::ProducerIds => {
                match &self.admin {
                    Some(admin) => admin.serve(self, request, to),
                    None => unreachable!("only shard 0 is asked"),
                }
            }
            Request::Drain => {
                let shard = self.clone();
                self.start(async move {
                    shard.drain().await;
                    shard.reply(to, Reply::Done);
                });
            }
            Request::Close => {
                let shard = self.clone();
                self.start(async move {
                    shard.close().await;
                    shard.reply(to, Reply::Done);
                    shard.phase.set(Phase::Closing);
                    shard.changed.notify();
                });
            }
        }
    }

    // ---- Reading ----

    /// Reads partitions of this shard, at most so many bytes together, unless the first batch is
    /// larger.
    pub async fn read_all(
        self: &Rc<Self>,
        reads: &[ReadRequest],
        max_bytes: usize,
    ) -> Vec<ReadResult> {
        let mut results = Vec::with_capacity(reads.len());
        let mut total = 0;
        for it in reads {
            let result = loop {
                let room = max_bytes.saturating_sub(total);
                let progress = self.logs.borrow_mut().read(it, room, total == 0);
                match progress {
                    Progress::Done(result) => break result,
                    Progress::Cold(cold) => self.fill(cold).await,
                }
            };
            total += result.bytes;
            results.push(result);
        }
        results
    }

    /// Notes who waits for more than `results`, unless there is more already.
    fn subscribe(
        self: &Rc<Self>,
        asker: usize,
        id: u64,
        need: usize,
        reads: &[ReadRequest],
        results: &[ReadResult],
    ) -> bool {
        let total: usize = results.iter().map(|it| it.counted).sum();
        if total >= need || results.iter().any(|it| it.error.is_err()) {
            return false;
        }
        let mut logs = self.logs.borrow_mut();
        // A cold read took time: what was appended meanwhile is not in the results.
        let moved = reads.iter().zip(results).any(|(read, result)| {
            let seen = if read.committed { result.last_stable } else { result.high_watermark };
            logs.visible_end(read.tp, read.committed) != Some(seen)
        });
        if moved {
            drop(logs);
            self.tell(asker, Notice::Advanced(id));
            return true;
        }
        logs.subscribe(asker, id, need - total, reads);
        true
    }

    /// A number for a fetch that waits, and what it waits on.
    pub fn new_wait(&self) -> (u64, Rc<Wait>) {
        let id = self.next_wait.get();
        self.next_wait.set(id + 1);
        let wait = Rc::new(Wait::default());
        self.waits.borrow_mut().insert(id, wait.clone());
        (id, wait)
    }

    /// The fetch does not wait any more.
    pub fn end_wait(&self, id: u64) {
        self.waits.borrow_mut().remove(&id);
    }

    // ---- Tasks ----

    /// Runs a task as far as it goes at once, and the rest later.
    pub fn start(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        let shard = self.clone();
        let mut task = Box::pin(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                shard.count_panic();
            }
        });
        let first = futures_lite::future::block_on(futures_lite::future::poll_once(&mut task));
        if first.is_none() {
            glommio::spawn_local(task).detach();
        }
    }

    /// Runs a task that the shard cannot do without: where it panics, the process ends.
    pub fn spawn_vital(what: &'static str, task: impl Future<Output = ()> + 'static) {
        glommio::spawn_local(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!("a bug in {what} ends the process");
                std::process::exit(70);
            }
        })
        .detach();
    }

    /// Counts a panic that was caught.
    pub fn count_panic(&self) {
        self.common.counters.panics.fetch_add(1, Ordering::Relaxed);
    }

    /// Sends what a connection has ready, soon.
    pub fn flush_later(&self, connection: &Rc<Connection>) {
        let mut flushes = self.flushes.borrow_mut();
        flushes.push(connection.clone());
        if flushes.len() == 1 {
            drop(flushes);
            self.flush.notify();
        }
    }

    /// Sends what connections have ready.
    pub fn flush_all(self: &Rc<Self>) {
        let flushes = std::mem::take(&mut *self.flushes.borrow_mut());
        for connection in flushes {
            connection.flush(self);
        }
    }

    /// Sends what nobody else has sent.
    pub async fn run_flushes(self: Rc<Self>) {
        loop {
            self.flush.until(|| !self.flushes.borrow().is_empty()).await;
            self.flush_all();
        }
    }

    /// Once a second: retention, silent connections, space on the disk.
    pub async fn run_ticks(self: Rc<Self>) {
        loop {
            glommio::timer::sleep(std::time::Duration::from_secs(1)).await;
            let time = now();
            let now = time.wall_ms;
            self.look_at_space();
            {
                let mut logs = self.logs.borrow_mut();
                logs.engine.tick(now);
                let expiration =
                    self.image.borrow().broker_configs.number("producer.id.expiration.ms");
                let expiration = expiration.unwrap_or(86_400_000);
                logs.expire_producers(time.monotonic_ms, expiration, EXPIRY_LOOKS);
                let refused = logs.producers().refused();
                if refused > self.told_refused.replace(refused) {
                    let bytes = logs.producers().used();
                    tracing::warn!(
                        shard = self.id,
                        refused,
                        bytes,
                        "new idempotent producers are refused: their memory is used up"
                    );
                }
            }
            self.pump();
            let idle = self.image.borrow().broker_configs.number("connections.max.idle.ms");
            let idle = idle.unwrap_or(600_000);
            for (_, connection) in self.connections.borrow().iter() {
                connection.check_timeouts(now, idle);
            }
        }
    }

    /// Tells the engine what the space on the disk allows. Once a second, and when what was allowed
    /// is used up: a fast producer fills a small disk in less.
    pub fn look_at_space(&self) {
        let verdict = self.judge_space();
        let engine = &mut self.logs.borrow_mut().engine;
        if verdict.full && !self.told_full.replace(verdict.full) {
            tracing::error!(shard = self.id, "the disk is full: produce requests are refused");
        }
        self.told_full.set(verdict.full);
        // Shards look at different times, and none knows what another has taken since.
        let share = verdict.allowance / (2 * self.common.shards as u64);
        engine.set_disk_full(verdict.full, share);
    }

    /// What the space on the disk allows; keeps the reserve file as it is to be.
    fn judge_space(&self) -> Verdict {
        let (was, stats) = {
            let logs = self.logs.borrow();
            (self.told_full.get(), logs.engine.stats())
        };
        let growth = stats.journal_limit.saturating_sub(stats.journal_used);
        let mine = stats.pending_bytes + stats.staged_bytes + growth;
        self.common.pending[self.id].store(mine, Ordering::Relaxed);
        let Ok((free, total)) = self.common.disk.space() else {
            // Nothing is known: as before, for a second more.
            return Verdict { full: was, allowance: u64::MAX, reserve: 0 };
        };
        let pending = self.common.pending.iter().map(|it| it.load(Ordering::Relaxed)).sum();
        let verdict = judge(Space { free, total, pending, journal_growth: 0 }, was);
        if self.id == 0 {
            self.common.disk.set_reserve(RESERVE, verdict.reserve);
        }
        verdict
    }

    /// This shard's figures.
    fn figures(&self) -> ShardFigures {
        let logs = self.logs.borrow();
        ShardFigures {
            engine: logs.engine.stats(),
            connections: self.connections.borrow().len() as u64,
            request_bytes: (self.room.used() + self.large_room.used()) as u64,
            disk_full: logs.engine.disk_is_full(),
            cpu_ns: thread_cpu_ns(),
            missed_beats: self.common.pulses[self.id].missed(),
            traffic: self.traffic.borrow().clone(),
        }
    }

    /// The data directory and its volume.
    pub fn volume(&self) -> Volume {
        let (usable, total) = self.common.disk.space().unwrap_or_default();
        Volume { path: self.common.disk.root().display().to_string(), total, usable }
    }

    // ---- The way out ----

    /// Stops reading requests, and returns when those under way are answered.
    async fn drain(self: &Rc<Self>) {
        self.phase.set(Phase::Draining);
        self.changed.notify();
        for wait in self.waits.borrow().values() {
            wait.fired.set(true);
            wait.event.notify();
        }
        self.drain_groups();
        for (_, connection) in self.connections.borrow().iter() {
            connection.wake_reader();
        }
        let quiet = async {
            self.changed
                .until(|| {
                    self.connections.borrow().iter().all(|(_, it)| it.is_quiet())
                        && self.logs.borrow().is_quiet()
                })
                .await;
        };
        // A client that does not read its answers does not hold up the end.
        let patience = glommio::timer::sleep(std::time::Duration::from_secs(10));
        quiet.or(patience).await;
        for (_, connection) in self.connections.borrow().iter() {
            connection.close();
        }
    }

    /// Writes everything back.
    async fn close(self: &Rc<Self>) {
        self.logs.borrow_mut().engine.begin_shutdown(now_ms());
        loop {
            self.pump();
            if self.logs.borrow().engine.is_drained() && self.ring.borrow().is_idle() {
                break;
            }
            glommio::timer::sleep(std::time::Duration::from_millis(2)).await;
        }
    }
}
