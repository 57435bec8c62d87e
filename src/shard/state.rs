//! One shard's thread: its broker, and what carries out what the broker asks for. Decides nothing.

use super::bell::Bell;
use super::bind;
use super::connection::Connection;
use super::listener::Listener;
use super::pace::{self, Next, Pace};
use super::peer_socket::{Dialled, PeerSocket, Pending, Resolved};
use super::pulse::Pulse;
use super::rounds::Rounds;
use super::router::{Ends, Inbox, Letter, Way};
use super::writes::Writes;
use crate::broker::wait::{Condition, Receiver};
use crate::broker::{Broker, ConnectionId, Input, LinkId, Output, Phase, Readings, Serve, ShardId};
use crate::storage::device::disk::RealDisk;
use crate::storage::device::io::{Completion, Op, Submission};
use crate::storage::device::uring::{Asker, Interest, Ring};
use crate::storage::space::RESERVE;
use crate::types::{Now, exit};
use futures_lite::FutureExt;
use glommio::io::PollableFd;
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::net::TcpListener;
use std::os::fd::{BorrowedFd, RawFd};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// At the end, answers that clients do not take are waited for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// The line that says why the process ends is waited for so long: whoever reads stderr may have stalled.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Messages of one other shard that are taken in one go.
const MESSAGES: usize = 256;

/// In development builds a step of a turn that takes longer is logged.
const LONG: Duration = Duration::from_millis(10);

/// Keys of the ring that are no connection's.
const BELL: u64 = 0;
pub(super) const LISTENER: u64 = 1;
pub(super) const PEER_LISTENER: u64 = 2;
pub(super) const FIRST_CONNECTION: u64 = 3;

/// What the ring watches for a shard.
pub(super) enum Watched {
    /// A client's connection.
    Client(Rc<Connection>),
    /// A connection to or from another broker.
    Peer(Rc<PeerSocket>),
    /// One that is being connected.
    Dialled(Rc<Dialled>),
    /// One that has not said which shard it means.
    Pending(Rc<Pending>),
}

impl Watched {
    pub(super) fn event(&self) -> BorrowedFd<'_> {
        match self {
            Self::Client(it) => it.event(),
            Self::Peer(it) => it.event(),
            Self::Dialled(it) => it.event(),
            Self::Pending(it) => it.event(),
        }
    }
}

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
    /// The data directory.
    pub disk: RealDisk,
    /// Figures.
    pub counters: Counters,
    /// By shard: whether it goes on.
    pub pulses: Arc<[Pulse]>,
    /// By shard: bytes that are to be placed on the disk yet, as of its last look.
    pub pending: Vec<AtomicU64>,
    /// A shard that has ended could not remove all files that nothing needs.
    pub files_left: AtomicBool,
    /// Where the monotonic clock of all shards begins.
    pub begun: Instant,
}

impl Common {
    /// Looks at both clocks.
    pub fn now(&self) -> Now {
        Now { wall_ms: now_ms(), monotonic_ms: self.begun.elapsed().as_millis() as i64 }
    }
}

#[derive(Default)]
pub(super) struct Lists {
    completed: Vec<(Asker, Completion)>,
    seen: Vec<u64>,
}

/// See the module.
pub struct Shard {
    /// Its number.
    pub id: ShardId,
    /// What all shards know.
    pub common: Arc<Common>,
    broker: RefCell<Broker>,
    pub(super) ring: RefCell<Ring>,
    pub(super) ways: Vec<Option<Way>>,
    inboxes: Vec<Option<Inbox>>,
    pub(super) bell: Arc<Bell>,
    writes: RefCell<Writes>,
    carrying_out: Cell<bool>,
    /// Open connections.
    pub connections: RefCell<HashMap<ConnectionId, Rc<Connection>>>,
    /// Those that the ring watches, and for what.
    pub(super) watched: RefCell<Slab<(Watched, Interest)>>,
    /// Connections to and from other brokers.
    pub(super) peers: RefCell<HashMap<LinkId, Rc<PeerSocket>>>,
    /// There may be something to read.
    pub(super) peer_reads: RefCell<VecDeque<Rc<PeerSocket>>>,
    /// They are to hear something.
    pub(super) peer_flushes: RefCell<VecDeque<LinkId>>,
    /// On shard 0: where other brokers connect to.
    pub(super) peer_listener: RefCell<Option<TcpListener>>,
    /// Those who have not said yet which shard they mean.
    pub(super) pending_peers: RefCell<Vec<Rc<Pending>>>,
    /// Names that were asked for.
    pub(super) resolved: (mpsc::Sender<Resolved>, mpsc::Receiver<Resolved>),
    /// There may be something to read.
    pub(super) reads: RefCell<VecDeque<Rc<Connection>>>,
    /// Answers are ready.
    pub(super) flushes: RefCell<VecDeque<Rc<Connection>>>,
    /// Of answers that are ready a piece has left.
    pub(super) rests: RefCell<VecDeque<Rc<Connection>>>,
    /// Lists that a turn fills and empties, kept for the next one.
    pub(super) lists: RefCell<Lists>,
    pub(super) listener: RefCell<Option<Listener>>,
    /// Where clients will connect, until they may.
    doors: RefCell<Option<TcpListener>>,
    /// Accepting goes on at this time, ms; somebody waits where that is over.
    pub(super) accept_ms: Cell<i64>,
    /// The next tick, ms.
    tick_ms: Cell<i64>,
    /// The earliest alarm that the ring has, ms.
    alarm_ms: Cell<i64>,
    /// Something was handed in beside the loop, which is woken if it is parked.
    handed: Cell<bool>,
    work: Condition,
    /// Wakes those that wait for a pause of the loop.
    paused: Condition,
    pauses: Cell<u64>,
    pausing: Cell<usize>,
    /// Wakes those that wait for the phase, or for requests to end.
    pub changed: Condition,
}

/// The time, ms since 1970.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |it| it.as_millis() as i64)
}

/// Processor time that this thread has used, ns.
fn thread_cpu_ns() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Ends the process: what is on disk is not known any more, and the next start finds out.
pub fn fatal(message: &str) -> ! {
    end_process(exit::IO, message)
}

/// Ends the process with this exit code, and says why.
pub fn end_process(exit_code: i32, message: &str) -> ! {
    tracing::error!("{message}");
    let line = format!("klamm: {message}");
    within(LAST_WORDS, move || eprintln!("{line}"));
    std::process::exit(exit_code);
}

/// Does what may block, on a thread of its own, and waits for so long; whether it was done then.
fn within(patience: Duration, what: impl FnOnce() + Send + 'static) -> bool {
    let (tx, rx) = std::sync::mpsc::channel();
    let done = std::thread::Builder::new().spawn(move || {
        what();
        let _ = tx.send(());
    });
    done.is_ok() && rx.recv_timeout(patience).is_ok()
}

fn begin_to_listen(socket: &TcpListener) {
    if let Err(e) = bind::listen(socket) {
        let address = socket.local_addr().map_or_else(|_| String::new(), |it| it.to_string());
        fatal(&format!("cannot listen on {address}: {e}"));
    }
}

async fn patience() {
    glommio::timer::sleep(PATIENCE).await;
}

impl Shard {
    /// A shard, not yet running.
    pub fn new(
        id: ShardId,
        common: Arc<Common>,
        broker: Broker,
        ring: Ring,
        ends: Ends,
    ) -> Rc<Self> {
        let Ends { to, from, bell } = ends;
        let shard = Rc::new(Self {
            id,
            common,
            broker: RefCell::new(broker),
            ring: RefCell::new(ring),
            ways: to,
            inboxes: from,
            bell,
            writes: RefCell::default(),
            carrying_out: Cell::new(false),
            connections: RefCell::default(),
            watched: RefCell::default(),
            peers: RefCell::default(),
            peer_reads: RefCell::default(),
            peer_flushes: RefCell::default(),
            peer_listener: RefCell::default(),
            pending_peers: RefCell::default(),
            resolved: mpsc::channel(),
            reads: RefCell::default(),
            flushes: RefCell::default(),
            rests: RefCell::default(),
            lists: RefCell::default(),
            listener: RefCell::default(),
            doors: RefCell::default(),
            accept_ms: Cell::new(i64::MAX),
            tick_ms: Cell::new(0),
            alarm_ms: Cell::new(i64::MAX),
            handed: Cell::new(false),
            work: Condition::default(),
            paused: Condition::default(),
            pauses: Cell::new(0),
            pausing: Cell::new(0),
            changed: Condition::default(),
        });
        shard.ring.borrow_mut().watch(shard.bell.event(), Interest::Read, BELL);
        shard
    }

    /// Accepts clients here as soon as the broker lets them in, until the shard drains.
    pub fn listen_when_let_in(self: &Rc<Self>, socket: TcpListener) {
        if self.look(Broker::lets_wait) {
            begin_to_listen(&socket);
        }
        *self.doors.borrow_mut() = Some(socket);
        self.carry_out();
    }

    fn let_in(&self) {
        let Some(socket) = self.doors.take() else { return };
        if self.phase() != Phase::Serving {
            return;
        }
        begin_to_listen(&socket);
        if self.id == 0 {
            let address = socket.local_addr().ok().map(tracing::field::display);
            let ms = self.common.begun.elapsed().as_millis() as u64;
            tracing::info!(address, shards = self.common.shards, ms, "serving");
        }
        let listener = Listener::new(socket);
        self.ring.borrow_mut().watch(listener.event(), Interest::Read, LISTENER);
        *self.listener.borrow_mut() = Some(listener);
    }

    /// Readable when there is something for the shard to do.
    pub fn event(&self) -> RawFd {
        self.ring.borrow().event()
    }

    /// How far the broker is on its way out.
    pub fn phase(&self) -> Phase {
        self.broker.borrow().phase()
    }

    /// Looks at the broker.
    pub fn look<T>(&self, f: impl FnOnce(&Broker) -> T) -> T {
        f(&self.broker.borrow())
    }

    /// Reads from, or writes to, the buffers of the broker.
    pub fn with_broker<T>(&self, f: impl FnOnce(&mut Broker) -> T) -> T {
        f(&mut self.broker.borrow_mut())
    }

    // ---- The broker ----

    /// Hands an input to the broker, and carries out what it wants.
    pub fn input(self: &Rc<Self>, input: Input) {
        self.broker.borrow_mut().handle(self.common.now(), input);
        self.carry_out();
    }

    /// Asks a shard, this one too, from beside the requests.
    pub fn call<C: Serve>(self: &Rc<Self>, shard: ShardId, call: C) -> Receiver<C::Reply> {
        let receiver = self.broker.borrow_mut().call(self.common.now(), shard, call);
        self.carry_out();
        self.hand();
        receiver
    }

    /// Carries out what the broker wants, in order. True where operations on files were submitted.
    pub(super) fn carry_out(self: &Rc<Self>) -> bool {
        // What is carried out may hand in inputs: their outputs come after those that are there.
        if self.carrying_out.replace(true) {
            return false;
        }
        let mut submitted = false;
        loop {
            let next = self.broker.borrow_mut().poll();
            let Some(output) = next else { break };
            match output {
                Output::Message { to, message } => {
                    if let Some(way) = &self.ways[to] {
                        way.send(Letter::Message(message));
                    }
                }
                Output::Disk(submission) => {
                    submitted = true;
                    self.submit(submission);
                }
                Output::Resume(connection) => {
                    if let Some(it) = self.connections.borrow().get(&connection) {
                        self.resume(it);
                    }
                }
                Output::Flush(connection) => {
                    let found = self.connections.borrow().get(&connection).cloned();
                    if let Some(connection) = found {
                        self.flush_later(connection);
                    }
                }
                Output::Closed { connection, admitted } => {
                    let found = self.connections.borrow_mut().remove(&connection);
                    if let Some(connection) = found {
                        connection.close(Some(admitted));
                    }
                    self.changed.notify();
                }
                Output::Dial { link, host, port } => self.dial(link, &host, port),
                Output::FlushPeer(link) => self.flush_peer_later(link),
                Output::ClosePeer(link) => self.close_peer(link),
                Output::LetIn => self.let_in(),
                Output::LookAtSpace => self.look_at_space(),
                Output::Reserve(bytes) => self.common.disk.set_reserve(RESERVE, bytes),
                Output::Ended { files_left } => {
                    self.common.files_left.fetch_or(files_left, Ordering::Relaxed);
                    self.changed.notify();
                }
                Output::Fatal { exit_code, message } => end_process(exit_code, &message),
            }
        }
        self.carrying_out.set(false);
        if submitted && let Err(e) = self.ring.borrow_mut().flush() {
            fatal(&format!("the disk's ring failed: {e}"));
        }
        submitted
    }

    fn submit(&self, submission: Submission) {
        if let Op::WriteSync { data, sync_id, .. } = &submission.op {
            self.writes.borrow_mut().begins(*sync_id, data.len(), self.now_ns());
        }
        self.ring.borrow_mut().submit(Asker::Engine, submission);
    }

    fn now_ns(&self) -> u64 {
        self.common.begun.elapsed().as_nanos() as u64
    }

    // ---- The loop ----

    /// Does what there is to do, for ever.
    pub async fn run(self: Rc<Self>) {
        let event = PollableFd::new(self.event())
            .unwrap_or_else(|e| fatal(&format!("cannot wait for the disk: {e}")));
        let rounds = Rounds::new().unwrap_or_else(|e| fatal(&format!("cannot wait: {e}")));
        let pulse = &self.common.pulses[self.id];
        let mut pace = Pace::default();
        loop {
            pulse.beat();
            let happened = self.turn();
            let state = self.state(happened);
            match pace.next(state) {
                Next::Turn => {}
                Next::LookOut(until) => self.look_out(until),
                Next::Sleep(most) => self.sleep(Duration::from_nanos(most)),
                Next::Round => {
                    self.pause();
                    if let Err(e) = rounds.round().await {
                        fatal(&format!("cannot wait: {e}"));
                    }
                    pace.rounded(self.now_ns());
                }
                Next::Park => {
                    self.pause();
                    self.wake_at(state.deadline);
                    self.bell.lie_down();
                    if !self.has_mail() {
                        pulse.park();
                        let readable = async {
                            if let Err(e) = event.readable().await {
                                fatal(&format!("cannot wait for the disk: {e}"));
                            }
                        };
                        readable.or(self.work.until(|| self.handed.get())).await;
                        self.handed.set(false);
                        pulse.wake();
                    }
                    self.bell.get_up();
                    pace.rounded(self.now_ns());
                }
            }
        }
    }

    /// One pass over what has happened; whether anything had.
    fn turn(self: &Rc<Self>) -> bool {
        let begun = Instant::now();
        let mut completed = std::mem::take(&mut self.lists.borrow_mut().completed);
        if let Err(e) = self.ring.borrow_mut().reap(&mut completed) {
            fatal(&format!("the disk's ring failed: {e}"));
        }
        let mut happened = !completed.is_empty();
        if happened {
            self.step("completions of the disk", || {
                let (now, now_ns) = (self.common.now(), self.now_ns());
                let mut broker = self.broker.borrow_mut();
                let mut writes = self.writes.borrow_mut();
                for (_, completion) in completed.drain(..) {
                    writes.ends(completion.id, now_ns);
                    broker.handle(now, Input::Completed(completion));
                }
            });
            self.carry_out();
        }
        self.lists.borrow_mut().completed = completed;
        happened |= self.take_seen();
        happened |= self.step("messages of shards", || self.take_messages());
        happened |= self.step("messages of brokers", || self.read_peers());
        happened |= self.step("requests of clients", || self.read_some(begun));
        let now_ms = self.common.now().monotonic_ms;
        if self.phase() != Phase::Serving {
            self.listener.take();
        }
        if self.accept_ms.get() <= now_ms {
            happened = true;
            self.step("new connections", || self.accept_some());
        }
        if self.look(Broker::next_deadline) <= now_ms {
            happened = true;
            self.step("what was due", || self.input(Input::Timeout));
        }
        if self.look(Broker::has_work) {
            happened = true;
            self.step("work in pieces", || self.input(Input::Continue));
        }
        if self.look(Broker::wants_turn) {
            self.step("the storage", || self.input(Input::Turn));
        }
        self.tick(now_ms);
        self.step("messages to brokers", || self.flush_peers());
        self.step("answers", || self.flush_some());
        happened
    }

    /// In development builds, a step that takes long is logged with its name.
    fn step<T>(&self, what: &str, step: impl FnOnce() -> T) -> T {
        if !cfg!(debug_assertions) {
            return step();
        }
        let begun = Instant::now();
        let value = step();
        let took = begun.elapsed();
        if took > LONG {
            tracing::warn!(shard = self.id, ms = took.as_millis() as u64, "{what} held the shard");
        }
        value
    }

    fn state(&self, happened: bool) -> pace::State {
        let mut backlog = false;
        for way in self.ways.iter().flatten() {
            backlog |= way.send_waiting();
        }
        let broker = self.broker.borrow();
        let deadline_ms = broker.next_deadline().min(self.tick_ms.get()).min(self.accept_ms.get());
        pace::State {
            now: self.now_ns(),
            happened,
            more: broker.wants_turn()
                || broker.has_work()
                || !self.reads.borrow().is_empty()
                || !self.flushes.borrow().is_empty()
                || !self.rests.borrow().is_empty()
                || !self.peer_reads.borrow().is_empty()
                || !self.peer_flushes.borrow().is_empty(),
            others: self.pausing.get() > 0,
            backlog,
            look_out_until: self.writes.borrow().look_out_until(),
            deadline: u64::try_from(deadline_ms).unwrap_or(0).saturating_mul(1_000_000),
        }
    }

    /// Looks at the ring and at messages without a pause.
    fn look_out(&self, until_ns: u64) {
        let mut ring = self.ring.borrow_mut();
        if let Err(e) = ring.flush() {
            fatal(&format!("the disk's ring failed: {e}"));
        }
        while !ring.has_completions() && !self.has_mail() && self.now_ns() < until_ns {
            std::hint::spin_loop();
        }
    }

    /// Sleeps in the ring.
    fn sleep(&self, most: Duration) {
        self.bell.lie_down();
        if !self.has_mail()
            && let Err(e) = self.ring.borrow_mut().sleep(most)
        {
            fatal(&format!("the disk's ring failed: {e}"));
        }
        self.bell.get_up();
    }

    fn has_mail(&self) -> bool {
        self.inboxes.iter().flatten().any(Inbox::has_some)
    }

    /// Has the ring wake the shard at this time, ns.
    fn wake_at(&self, deadline_ns: u64) {
        let mut ring = self.ring.borrow_mut();
        let now = self.now_ns();
        if self.alarm_ms.get().saturating_mul(1_000_000) <= now as i64 {
            self.alarm_ms.set(i64::MAX);
        }
        let deadline_ms = i64::try_from(deadline_ns.div_ceil(1_000_000)).unwrap_or(i64::MAX);
        let result = if deadline_ms < self.alarm_ms.get() {
            self.alarm_ms.set(deadline_ms);
            ring.alarm(Duration::from_nanos(deadline_ns.saturating_sub(now)))
        } else {
            ring.flush()
        };
        if let Err(e) = result {
            fatal(&format!("the disk's ring failed: {e}"));
        }
    }

    /// Sends what the ring has seen to where it belongs.
    fn take_seen(self: &Rc<Self>) -> bool {
        let mut seen = std::mem::take(&mut self.lists.borrow_mut().seen);
        seen.extend(self.ring.borrow_mut().seen());
        let any = !seen.is_empty();
        for key in seen.drain(..) {
            match key {
                BELL => {
                    self.bell.still();
                    self.ring.borrow_mut().watch(self.bell.event(), Interest::Read, BELL);
                    self.take_resolved();
                }
                LISTENER => self.accept_ms.set(0),
                PEER_LISTENER => self.accept_peers(),
                key => {
                    let key = (key - FIRST_CONNECTION) as usize;
                    let (watched, interest) = self.watched.borrow_mut().remove(key);
                    match watched {
                        Watched::Client(connection) => self.ready(connection, interest),
                        Watched::Peer(peer) => self.peer_ready(peer, interest),
                        Watched::Dialled(dialled) => self.dialled(dialled),
                        Watched::Pending(pending) => self.preamble(pending),
                    }
                }
            }
        }
        self.lists.borrow_mut().seen = seen;
        any
    }

    fn take_messages(self: &Rc<Self>) -> bool {
        let mut any = false;
        for (from, inbox) in self.inboxes.iter().enumerate() {
            let Some(inbox) = inbox else { continue };
            for _ in 0..MESSAGES {
                let Some(letter) = inbox.take() else { break };
                any = true;
                match letter {
                    Letter::Message(message) => self.input(Input::Message { from, message }),
                    Letter::Peer(handed) => self.take_peer(handed),
                }
            }
        }
        any
    }

    /// Once a second: what the broker is told of this thread.
    fn tick(self: &Rc<Self>, now_ms: i64) {
        if now_ms < self.tick_ms.get() {
            return;
        }
        self.tick_ms.set(now_ms + 1_000);
        let stalls = self.common.pulses[self.id].stalls();
        let readings = Readings {
            cpu_ns: thread_cpu_ns(),
            missed_beats: stalls.missed,
            held: stalls.held,
            blocked: stalls.blocked,
            displaced: stalls.displaced,
        };
        self.input(Input::Readings(readings));
    }

    /// Waits until the loop has come round: for tasks of the runtime that have much to do.
    pub async fn a_pause(&self) {
        let before = self.pauses.get();
        self.pausing.set(self.pausing.get() + 1);
        self.hand();
        self.paused.until(|| self.pauses.get() != before).await;
        self.pausing.set(self.pausing.get() - 1);
    }

    /// Has the loop come round, where it is parked.
    fn hand(&self) {
        self.handed.set(true);
        self.work.notify();
    }

    /// The runtime's tasks have a go.
    fn pause(&self) {
        self.pauses.set(self.pauses.get() + 1);
        self.paused.notify();
    }

    fn look_at_space(self: &Rc<Self>) {
        let mine = self.look(Broker::pending);
        self.common.pending[self.id].store(mine, Ordering::Relaxed);
        // An error says nothing: things stay as they are for a second more.
        let Ok((free, total)) = self.common.disk.space() else { return };
        let all: u64 = self.common.pending.iter().map(|it| it.load(Ordering::Relaxed)).sum();
        let pending_elsewhere = all.saturating_sub(mine);
        let input = Input::Space { free, total, pending_elsewhere };
        self.broker.borrow_mut().handle(self.common.now(), input);
    }

    /// Waits until everything is written back and connections are closed.
    pub async fn ended(self: &Rc<Self>) {
        self.changed.until(|| self.phase() == Phase::Closed).await;
        self.hand();
        let quiet = self.changed.until(|| self.connections.borrow().is_empty());
        // A client that does not read its answers does not hold up the end.
        quiet.or(patience()).await;
        for connection in self.connections.borrow().values() {
            connection.close(None);
        }
    }

    // ---- Tasks ----

    /// Runs a task that the shard cannot do without: where it panics, the process ends.
    pub fn spawn_vital(what: &'static str, task: impl Future<Output = ()> + 'static) {
        glommio::spawn_local(async move {
            if AssertUnwindSafe(task).catch_unwind().await.is_err() {
                tracing::error!("a bug in {what} ends the process");
                std::process::exit(exit::BUG);
            }
        })
        .detach();
    }

    /// A panic of one connection's step was caught.
    pub fn caught_panic(&self) {
        // It may have come from what was being carried out; the rest goes on with the next input.
        self.carrying_out.set(false);
        self.common.counters.panics.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_stalled_is_not_waited_for() {
        let (release, stalled) = std::sync::mpsc::channel::<()>();
        assert!(!within(Duration::from_millis(1), move || {
            let _ = stalled.recv();
        }));
        drop(release);
        assert!(within(Duration::from_mins(1), || ()));
    }
}
