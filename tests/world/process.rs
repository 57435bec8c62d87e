//! One life of a broker: its shards, the ways between them, and their disk.

use crate::connection::Connection;
use crate::ending::Ending;
use crate::operations;
use bytes::{Buf, Bytes};
use futures_lite::future::block_on;
use klamm::broker::{
    Admission, Bounds, Broker, Clock, ConnectionId, Figures, Input, Logs, Message, Output, Parts,
    work,
};
use klamm::controller::{Controller, LOG_BYTES_MAX, OpenOptions as MetaOptions};
use klamm::replica;
use klamm::storage::arena::Arena;
use klamm::storage::buffer::Budget;
use klamm::storage::device::disk::Disk;
use klamm::storage::device::sim_disk::{OpKind, Rng, SimDisk};
use klamm::storage::recovery::identity::{Expected, Identity};
use klamm::storage::recovery::{self, LastLife, OpenOptions, TopicState, mark_clean};
use klamm::types::Now;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

/// The memory of all runs: what one leaves in it, the next one finds there.
static ARENA: LazyLock<Arc<Arena>> =
    LazyLock::new(|| Arena::reserve(1 << 30, 3).expect("address space"));

/// A connection: its shard, and a number that no other has.
pub type At = (usize, u64);

/// What may happen next on a connection.
#[derive(Clone, Copy, Debug)]
pub enum Io {
    /// The broker reads.
    In(At),
    /// The broker sends.
    Out(At),
    /// The broker notices that the client has left.
    Gone(At),
    /// An answer reaches the client.
    Answer(At),
}

/// What a life is made with.
#[derive(Clone, Debug)]
pub struct Sizes {
    pub shards: usize,
    pub journal_bytes: u64,
    pub cache_bytes: usize,
    pub read_ahead: usize,
    pub reads_at_once: usize,
    pub small_bytes: usize,
    pub idle_ms: i64,
    pub logs_a_step: usize,
    pub max_block: usize,
    pub memory: usize,
    pub strict: bool,
}

impl Sizes {
    pub fn random(rng: &mut Rng) -> Self {
        Self {
            shards: rng.between(1, 3) as usize,
            journal_bytes: (64 << 10) << rng.below(5),
            cache_bytes: [0, 16 << 10, 1 << 20, 16 << 20][rng.index(4)],
            read_ahead: [0, 20 << 10, 4 << 20][rng.index(3)],
            reads_at_once: (4 << 10) << rng.below(9),
            small_bytes: 512 << rng.below(7),
            idle_ms: 10 << rng.below(10),
            logs_a_step: 1 << rng.below(9),
            max_block: (8 << 10) << rng.below(7),
            memory: [2 << 20, 8 << 20, 64 << 20][rng.index(3)],
            strict: rng.chance(50),
        }
    }
}

/// Settings of the broker's configuration file.
pub fn broker_settings(offsets_partitions: u64) -> BTreeMap<String, String> {
    [
        ("offsets.topic.num.partitions", offsets_partitions.to_string()),
        ("group.initial.rebalance.delay.ms", "50".to_owned()),
        ("offsets.retention.check.interval.ms", "86400000".to_owned()),
        ("log.dirs", "/sim".to_owned()),
        ("listeners", "PLAINTEXT://sim:9092".to_owned()),
        ("connections.max.idle.ms", "-1".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

/// The space of the disk.
#[derive(Clone, Copy, Debug)]
pub struct Volume {
    /// Bytes of the file system.
    pub total: u64,
    /// Bytes that others have taken.
    pub others: u64,
    /// Bytes of the reserve file.
    pub reserve: u64,
}

/// See the module.
pub struct Process {
    pub brokers: Vec<Broker>,
    pub ways: BTreeMap<(usize, usize), VecDeque<Message>>,
    connections: BTreeMap<At, Connection>,
    /// Numbers of open connections, by shard and name.
    numbers: BTreeMap<(usize, ConnectionId), u64>,
    pub budget: Arc<Budget>,
    pub fatal: Option<(i32, String)>,
    /// Connections that the broker has closed.
    pub refused: Vec<At>,
    /// Outputs of the `handle` that gave most.
    pub outputs_max: usize,
    disk: SimDisk,
    volume: Rc<Cell<Volume>>,
    identity: Identity,
    /// A broker that has ended could not remove all files that nothing needs.
    files_left: bool,
    clock: Rc<Cell<u64>>,
    next_connection: u64,
    ending: Ending,
}

/// Opens everything, as `shard::start` does.
pub fn open(
    disk: &SimDisk,
    sizes: &Sizes,
    settings: &BTreeMap<String, String>,
    volume: Rc<Cell<Volume>>,
    now: Now,
    rng: &mut Rng,
) -> Result<Process, String> {
    let budget = Budget::of_arena(sizes.memory, ARENA.clone());
    disk.charge_reads_to(budget.clone());
    let sim = Disk::Sim(disk.clone());
    let expected = Expected { cluster_id: None, node_id: 1, random: [7; 32] };
    let identity = Identity::open(&sim, &expected).map_err(|e| e.to_string())?;
    let fold: recovery::Fold<'_> = &|state, start, end, batches| {
        replica::fold(state, start, end, batches)
            .map_err(|e| recovery::StateError::Damaged(e.to_string()))
    };
    let last = LastLife::read(&sim, &identity, fold).map_err(|e| e.to_string())?;
    let (controller, image) = Controller::open(
        &sim,
        &MetaOptions {
            cluster_id: identity.cluster_id.clone(),
            node_id: 1,
            host: "sim".to_owned(),
            port: 9092,
            peer_host: String::new(),
            peer_port: 0,
            rack: None,
            incarnation: 1,
            directory: u128::from_be_bytes(identity.directory_id),
            fixed: Arc::new(settings.clone()),
            shards: sizes.shards,
            voters: BTreeSet::new(),
            joins: false,
            log_bytes_max: LOG_BYTES_MAX,
            seed: 1,
        },
    )
    .map_err(|e| e.to_string())?;
    let options = OpenOptions {
        cache_start: sizes.cache_bytes / 4,
        cache_bytes: sizes.cache_bytes.min(sizes.memory / 2),
        read_ahead: sizes.read_ahead,
        reads_at_once: sizes.reads_at_once,
        small_bytes: sizes.small_bytes,
        idle_ms: sizes.idle_ms,
        logs_a_step: sizes.logs_a_step,
        piece_bytes: sizes.max_block,
        max_block: sizes.max_block,
        compaction_bytes: (512 << 10) * sizes.shards,
        ..OpenOptions::usual(
            sizes.shards as u16,
            budget.clone(),
            sizes.journal_bytes * sizes.shards as u64,
        )
    };
    let topic_state = |id| {
        if image.topic_by_id(id).is_some() {
            TopicState::Live
        } else if image.is_deleting(id) {
            TopicState::Deleting
        } else {
            TopicState::Unknown
        }
    };
    let (engines, report) = recovery::begin(last, &sim, &identity, &options, &topic_state)
        .map_err(|e| e.to_string())?;
    assert!(report.orphans.is_empty(), "data without metadata: {:?}", report.orphans);
    let clock = Rc::new(Cell::new(now.monotonic_ms as u64 * 1_000_000));
    let mut controller = Some(controller);
    let mut brokers = Vec::new();
    let admission = Admission::default();
    for (id, engine) in engines.into_iter().enumerate() {
        let logs =
            Logs::open(engine, &image, (id, sizes.shards), 1).expect("logs that recovery made");
        let parts = Parts {
            id,
            shards: sizes.shards,
            strict: sizes.strict,
            data: "/sim".to_owned(),
            image: image.clone(),
            logs,
            budget: budget.clone(),
            controller: controller.take(),
            seed: rng.bits(),
            clock: Clock::Virtual(clock.clone()),
            admission: admission.clone(),
            bounds: Bounds { request_bytes: 64 << 20, connections: 1000 },
            slow_ns: u64::MAX,
            node: Arc::default(),
        };
        brokers.push(Broker::new(parts, now));
    }
    let mut ways = BTreeMap::new();
    for from in 0..sizes.shards {
        for to in (0..sizes.shards).filter(|to| *to != from) {
            ways.insert((from, to), VecDeque::new());
        }
    }
    let mut process = Process {
        brokers,
        ways,
        connections: BTreeMap::new(),
        numbers: BTreeMap::new(),
        budget,
        fatal: None,
        refused: Vec::new(),
        outputs_max: 0,
        disk: disk.clone(),
        volume,
        identity,
        files_left: false,
        clock,
        next_connection: 0,
        ending: Ending::No,
    };
    for shard in 0..sizes.shards {
        process.carry_out(shard, now);
    }
    Ok(process)
}

impl Process {
    pub fn shards(&self) -> usize {
        self.brokers.len()
    }

    /// Hands an input in, and carries out what comes of it.
    pub fn handle(&mut self, shard: usize, now: Now, input: Input) {
        self.clock.set(self.clock.get() + 1000);
        self.brokers[shard].handle(now, input);
        let steps = self.brokers[shard].steps_most();
        assert!(steps <= work::BOUND, "one input took {steps} steps of work");
        self.carry_out(shard, now);
    }

    fn carry_out(&mut self, shard: usize, now: Now) {
        let mut count = 0;
        while let Some(output) = self.brokers[shard].poll() {
            count += 1;
            match output {
                Output::Message { to, message } => {
                    assert_ne!(to, shard, "a message to itself");
                    self.ways.get_mut(&(shard, to)).expect("a way").push_back(message);
                }
                Output::Disk(submission) => operations::submit(&self.disk, shard, submission),
                Output::Resume(connection) => {
                    if let Some(it) = self.named(shard, connection) {
                        it.may_read = true;
                    }
                }
                Output::Flush(connection) => {
                    if let Some(it) = self.named(shard, connection) {
                        it.flush = true;
                    }
                }
                Output::Closed { connection, admitted } => {
                    drop(admitted);
                    let number = self.numbers.remove(&(shard, connection)).expect("closed once");
                    let at = (shard, number);
                    let it = self.connections.remove(&at).expect("it was open");
                    if !it.left {
                        self.refused.push(at);
                    }
                }
                Output::Dial { .. } | Output::FlushPeer(_) | Output::ClosePeer(_) => {
                    unreachable!("this node is alone")
                }
                Output::LookAtSpace => {
                    let Volume { total, others, reserve } = self.volume.get();
                    let free = total.saturating_sub(self.disk.used() + others + reserve);
                    let pending = |(at, it): (usize, &Broker)| {
                        if at == shard { 0 } else { it.pending() }
                    };
                    let pending_elsewhere = self.brokers.iter().enumerate().map(pending).sum();
                    self.brokers[shard]
                        .handle(now, Input::Space { free, total, pending_elsewhere });
                }
                Output::Reserve(bytes) => {
                    let mut volume = self.volume.get();
                    volume.reserve = bytes;
                    self.volume.set(volume);
                    self.disk.set_capacity(volume.total.saturating_sub(volume.others + bytes));
                }
                Output::LetIn => {}
                Output::Ended { files_left } => self.files_left |= files_left,
                Output::Fatal { exit_code, message } => {
                    assert_ne!(exit_code, 70, "{message}");
                    self.fatal.get_or_insert((exit_code, message));
                }
            }
        }
        self.outputs_max = self.outputs_max.max(count);
    }

    /// Completes one operation of the disk, of those that `may`.
    pub fn complete(&mut self, now: Now, rng: &mut Rng, may: impl Fn(OpKind) -> bool) {
        if let Some((shard, done)) = operations::complete(&self.disk, rng, may) {
            self.handle(shard, now, Input::Completed(done));
        }
    }

    /// Delivers the oldest message of one way.
    pub fn deliver(&mut self, now: Now, from: usize, to: usize) {
        let Some(message) = self.ways.get_mut(&(from, to)).and_then(VecDeque::pop_front) else {
            return;
        };
        self.handle(to, now, Input::Message { from, message });
    }

    // ---- Connections ----

    fn named(&mut self, shard: usize, connection: ConnectionId) -> Option<&mut Connection> {
        let number = self.numbers.get(&(shard, connection))?;
        self.connections.get_mut(&(shard, *number))
    }

    /// A client connects. An `orderly` one never resets its connection.
    pub fn connect(&mut self, now: Now, client: usize, shard: usize, orderly: bool) -> At {
        let peer = SocketAddr::from(([10, 0, 0, 1], 1024 + client as u16));
        let id = self.brokers[shard].accept(now, peer).expect("fewer connections than the limit");
        self.next_connection += 1;
        let at = (shard, self.next_connection);
        self.numbers.insert((shard, id), at.1);
        self.connections.insert(at, Connection::new(client, id, orderly));
        self.carry_out(shard, now);
        at
    }

    /// A client has sent these frames, each with its length before it.
    pub fn arrived(&mut self, at: At, frames: Vec<Bytes>) {
        if let Some(it) = self.connections.get_mut(&at) {
            frames.iter().for_each(|frame| it.sent.extend_from_slice(frame));
        }
    }

    /// A client leaves. What it has sent may still begin, unless it `drops` that.
    pub fn leave(&mut self, at: At, drops: bool) {
        if let Some(it) = self.connections.get_mut(&at) {
            it.left = true;
            if drops {
                it.sent.clear();
            }
        }
    }

    /// Whether anything of this client goes on.
    pub fn knows(&self, client: usize) -> bool {
        self.connections.values().any(|it| it.client == client)
    }

    /// What may happen next.
    pub fn io(&self, events: &mut Vec<Io>) {
        for (at, it) in &self.connections {
            if it.may_read && !it.sent.is_empty() && !it.told {
                events.push(Io::In(*at));
            }
            if it.flush {
                events.push(Io::Out(*at));
            }
            if it.has_answer() && !it.left {
                events.push(Io::Answer(*at));
            }
            if it.left && !it.told && (it.sent.is_empty() || !it.orderly) {
                events.push(Io::Gone(*at));
            }
        }
    }

    /// Lets it happen, but for answers.
    pub fn run_io(&mut self, now: Now, io: Io, rng: &mut Rng) {
        match io {
            Io::In(at) => self.read(now, at, rng),
            Io::Out(at) => self.send(now, at, rng),
            Io::Gone(at) => {
                let Some(it) = self.connections.get_mut(&at) else { return };
                it.told = true;
                let input = if it.orderly || it.sent.is_empty() && rng.chance(50) {
                    Input::HungUp(it.id)
                } else {
                    Input::Failed(it.id)
                };
                self.handle(at.0, now, input);
            }
            Io::Answer(_) => {}
        }
    }

    /// The broker reads what has arrived, in pieces of any size.
    fn read(&mut self, now: Now, at: At, rng: &mut Rng) {
        let Some(it) = self.connections.get_mut(&at) else { return };
        let (connection, all) = (it.id, it.sent.len());
        let piece = if rng.chance(60) { all } else { rng.between(1, all as u64) as usize };
        let read = self.brokers[at.0].buffer(connection, |into| into.put(&it.sent[..piece]));
        match read {
            None => {
                it.may_read = false;
                // Looking may have let a request begin.
                self.handle(at.0, now, Input::Continue);
            }
            Some(bytes) => {
                it.sent.advance(bytes);
                let empty = it.sent.is_empty();
                self.handle(at.0, now, Input::Received { connection, bytes });
                if empty {
                    self.handle(at.0, now, Input::Blocked(connection));
                }
            }
        }
    }

    /// The network takes some of what the broker has to send, or none.
    fn send(&mut self, now: Now, at: At, rng: &mut Rng) {
        let Some(it) = self.connections.get_mut(&at) else { return };
        let (connection, most) = (it.id, [0, 100, usize::MAX][rng.index(3)]);
        let taken = self.brokers[at.0].outgoing(connection, |parts| {
            let mut taken = Vec::new();
            for part in parts {
                let room = most.saturating_sub(taken.len()).min(part.len());
                taken.extend_from_slice(&part[..room]);
            }
            taken
        });
        it.received.extend_from_slice(&taken);
        it.flush = self.brokers[at.0].sent(now, connection, taken.len());
        self.carry_out(at.0, now);
    }

    /// The next answer on a connection, and whose it is.
    pub fn take_answer(&mut self, at: At) -> Option<(usize, Vec<u8>)> {
        let it = self.connections.get_mut(&at)?;
        Some((it.client, it.take_answer()?))
    }

    // ---- The end ----

    /// Begins the clean end, as a signal does.
    pub fn begin_end(&mut self, now: Now) {
        self.ending.begin(&mut self.brokers, now);
        self.carry_out(0, now);
    }

    /// Goes on with the clean end; true when everything is written back.
    pub fn advance_end(&mut self, now: Now) -> bool {
        let ended = self.ending.advance(&mut self.brokers, now);
        self.carry_out(0, now);
        ended
    }

    /// The last thing that a run writes.
    pub fn mark_clean(&self) -> Result<(), String> {
        mark_clean(&Disk::Sim(self.disk.clone()), &self.identity, self.files_left)
            .map_err(|e| e.to_string())
    }

    /// Connections that were closed because memory was short.
    pub fn closed_for_memory(&mut self, now: Now) -> u64 {
        let mut closed = 0;
        for shard in 0..self.shards() {
            let figures = block_on(self.brokers[shard].call(now, shard, Figures));
            closed += figures.map_or(0, |it| it.connections.closed_for_memory);
        }
        closed
    }

    /// Passes of compaction in this life.
    pub fn compactions(&mut self, now: Now) -> u64 {
        let mut passes = 0;
        for shard in 0..self.shards() {
            let figures = block_on(self.brokers[shard].call(now, shard, Figures));
            passes += figures.map_or(0, |it| it.engine.compaction_passes);
        }
        passes
    }

    /// Panics that the brokers have caught: none is expected.
    pub fn panics(&mut self, now: Now) -> u64 {
        let mut panics = 0;
        for shard in 0..self.shards() {
            let figures = block_on(self.brokers[shard].call(now, shard, Figures));
            panics += figures.map_or(1, |it| it.panics);
        }
        panics
    }
}
