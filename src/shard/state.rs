//! One shard's thread: its broker, and what carries out what the broker asks for. Decides nothing.

use super::connection::Connection;
use super::pulse::Pulse;
use super::router::Way;
use super::transport::Transport;
use crate::broker::wait::{Event, Receiver};
use crate::broker::{Broker, Call, ConnectionId, Input, Output, Phase, Readings, ShardId};
use crate::storage::device::disk::RealDisk;
use crate::storage::device::io::Completion;
use crate::storage::device::uring::{Asker, Ring};
use crate::storage::space::RESERVE;
use crate::types::{Now, exit};
use futures_lite::FutureExt;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// At the end, answers that clients do not take are waited for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// The line that says why the process ends is waited for so long: whoever reads stderr may have stalled.
const LAST_WORDS: Duration = Duration::from_secs(1);

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
    /// Where the monotonic clock of all shards begins.
    pub begun: Instant,
}

impl Common {
    /// Looks at both clocks.
    pub fn now(&self) -> Now {
        Now { wall_ms: now_ms(), monotonic_ms: self.begun.elapsed().as_millis() as i64 }
    }
}

/// See the module.
pub struct Shard {
    /// Its number.
    pub id: ShardId,
    /// What all shards know.
    pub common: Arc<Common>,
    broker: RefCell<Broker>,
    ring: RefCell<Ring>,
    ways: Vec<Option<Rc<Way>>>,
    /// Wakes the loop that gives the broker its turns.
    work: Event,
    /// Wakes the loop that gives the broker its time.
    rearm: Event,
    /// What the timer waits for, ms.
    armed_ms: Cell<i64>,
    carrying_out: Cell<bool>,
    /// Open connections.
    pub connections: RefCell<HashMap<ConnectionId, Rc<Connection>>>,
    flushes: RefCell<Vec<Rc<Connection>>>,
    flush: Event,
    /// Something has happened since this was looked at.
    pub active: Cell<bool>,
    /// Wakes those that wait for the phase, or for requests to end.
    pub changed: Event,
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
        ways: Vec<Option<Rc<Way>>>,
    ) -> Rc<Self> {
        Rc::new(Self {
            id,
            common,
            broker: RefCell::new(broker),
            ring: RefCell::new(ring),
            ways,
            work: Event::default(),
            rearm: Event::default(),
            armed_ms: Cell::new(i64::MAX),
            carrying_out: Cell::new(false),
            connections: RefCell::default(),
            flushes: RefCell::default(),
            flush: Event::default(),
            active: Cell::new(true),
            changed: Event::default(),
        })
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
        self.active.set(true);
        self.broker.borrow_mut().handle(self.common.now(), input);
        self.carry_out();
    }

    /// The kernel has taken so many bytes of a connection. True where more is to be sent.
    pub fn sent(self: &Rc<Self>, connection: ConnectionId, bytes: usize) -> bool {
        let more = self.broker.borrow_mut().sent(self.common.now(), connection, bytes);
        self.carry_out();
        more
    }

    /// Takes a client, unless there are too many.
    pub fn accept(
        self: &Rc<Self>,
        peer: SocketAddr,
        transport: Transport,
    ) -> Option<Rc<Connection>> {
        let accepted = self.broker.borrow_mut().accept(self.common.now(), peer);
        let accepted = match accepted {
            Ok(id) => {
                let connection = Connection::new(id, transport);
                self.connections.borrow_mut().insert(id, connection.clone());
                Some(connection)
            }
            Err(refused) => {
                if let Some(line) = refused.line {
                    tracing::warn!(peer = %line.peer, "{}", line.text);
                }
                None
            }
        };
        self.carry_out();
        accepted
    }

    /// Asks a shard, this one too, from beside the requests.
    pub fn call<C: Call>(self: &Rc<Self>, shard: ShardId, call: C) -> Receiver<C::Reply> {
        let receiver = self.broker.borrow_mut().call(self.common.now(), shard, call);
        self.carry_out();
        receiver
    }

    /// Carries out what the broker wants, in order. True where operations on files were submitted.
    fn carry_out(self: &Rc<Self>) -> bool {
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
                        way.send(message);
                    }
                }
                Output::Disk(submission) => {
                    submitted = true;
                    self.ring.borrow_mut().submit(Asker::Engine, submission);
                }
                Output::Resume(connection) => {
                    if let Some(it) = self.connections.borrow().get(&connection) {
                        it.resume();
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
                Output::LookAtSpace => self.look_at_space(),
                Output::Reserve(bytes) => self.common.disk.set_reserve(RESERVE, bytes),
                Output::Ended => self.changed.notify(),
                Output::Fatal { exit_code, message } => end_process(exit_code, &message),
            }
        }
        self.carrying_out.set(false);
        if submitted && let Err(e) = self.ring.borrow_mut().flush() {
            fatal(&format!("the disk's ring failed: {e}"));
        }
        let broker = self.broker.borrow();
        let deadline = broker.next_deadline();
        if submitted || broker.wants_turn() || broker.has_work() {
            self.work.notify();
        }
        if deadline < self.armed_ms.get() {
            self.armed_ms.set(deadline);
            self.rearm.notify();
        }
        submitted
    }

    /// Gives the broker its turns: tasks that are ready before it add to the same block.
    pub async fn run_turns(self: Rc<Self>) {
        loop {
            self.work.until(|| self.look(|it| it.wants_turn() || it.has_work())).await;
            if self.look(Broker::has_work) {
                self.input(Input::Continue);
            }
            self.pump();
            glommio::yield_if_needed().await;
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

    /// Gives the broker its time.
    pub async fn run_timer(self: Rc<Self>) {
        loop {
            let deadline = self.look(Broker::next_deadline);
            self.armed_ms.set(deadline);
            let left = deadline.saturating_sub(self.common.now().monotonic_ms);
            if left > 0 {
                let earlier = self.rearm.until(|| self.armed_ms.get() < deadline);
                // Not even a month: a timer of thousands of years is no timer.
                let left = Duration::from_millis(left.min(1 << 31) as u64);
                earlier.or(glommio::timer::sleep(left)).await;
                continue;
            }
            self.input(Input::Timeout);
            glommio::yield_if_needed().await;
        }
    }

    /// Once a second: what the broker is told of this thread.
    pub async fn run_ticks(self: Rc<Self>) {
        loop {
            glommio::timer::sleep(Duration::from_secs(1)).await;
            let readings = Readings {
                cpu_ns: thread_cpu_ns(),
                missed_beats: self.common.pulses[self.id].missed(),
            };
            let active = self.active.get();
            self.input(Input::Readings(readings));
            self.active.set(active);
        }
    }

    /// Takes what has completed, tells who waited, and hands the kernel what comes next.
    pub fn pump(self: &Rc<Self>) {
        let mut completed: Vec<(Asker, Completion)> = Vec::new();
        loop {
            if let Err(e) = self.ring.borrow_mut().reap(&mut completed) {
                fatal(&format!("the disk's ring failed: {e}"));
            }
            let progressed = !completed.is_empty();
            let now = self.common.now();
            {
                let mut broker = self.broker.borrow_mut();
                for (_, completion) in completed.drain(..) {
                    broker.handle(now, Input::Completed(completion));
                }
                broker.handle(now, Input::Turn);
            }
            // The rest after the others' turn: with a fast disk something always has completed.
            if !self.carry_out() || progressed {
                break;
            }
        }
        self.flush_all();
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

    // ---- Connections ----

    /// Sends what a connection has ready, soon.
    fn flush_later(&self, connection: Rc<Connection>) {
        let mut flushes = self.flushes.borrow_mut();
        flushes.push(connection);
        if flushes.len() == 1 {
            drop(flushes);
            self.flush.notify();
        }
    }

    /// Sends what connections have ready.
    fn flush_all(self: &Rc<Self>) {
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

    /// Waits until everything is written back and connections are closed.
    pub async fn ended(self: &Rc<Self>) {
        self.changed.until(|| self.phase() == Phase::Closed).await;
        self.flush_all();
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

    /// Counts a panic that was caught.
    pub fn count_panic(&self) {
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
