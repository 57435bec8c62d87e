//! One life of a broker: its shards, the ways between them, and their disk.

use crate::connection::Connection;
use bytes::Bytes;
use futures_lite::future::{block_on, poll_once};
use klamm::broker::wait::Receiver;
use klamm::broker::{
    Arrived, Begun, Broker, Clock, Close, ConnectionId, Drain, Figures, Input, Logs, Message,
    Output, Parts, Phase,
};
use klamm::controller::{Controller, OpenOptions as MetaOptions};
use klamm::replica;
use klamm::storage::buffer::Budget;
use klamm::storage::disk::Disk;
use klamm::storage::identity::{Expected, Identity};
use klamm::storage::io::{Completion, Op, Submission};
use klamm::storage::recovery::{self, OpenOptions, TopicState, mark_clean};
use klamm::storage::sim_disk::{Rng, SimDisk};
use klamm::types::Now;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

/// Bits of a submission's id that are the broker's own; above them is the shard, and the highest says
/// who within the broker asked.
const ID_BITS: u32 = 48;
const OWN_OP: u64 = 1 << 63;

/// A connection: its shard, and a number that no other has.
pub type At = (usize, u64);

/// What may happen next on a connection.
#[derive(Clone, Copy, Debug)]
pub enum Io {
    /// The broker reads.
    In(At),
    /// The broker sends.
    #[allow(dead_code, reason = "whole answers leave at once while requests begin whole")]
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
    pub small_bytes: usize,
    pub idle_ms: i64,
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
            small_bytes: 512 << rng.below(7),
            idle_ms: 10 << rng.below(10),
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
    pub budget: Arc<Budget>,
    pub fatal: Option<(i32, String)>,
    /// Connections that the broker has closed.
    pub refused: Vec<At>,
    /// Outputs of the `handle` that gave most.
    pub outputs_max: usize,
    pub drained: Vec<bool>,
    disk: SimDisk,
    volume: Rc<Cell<Volume>>,
    identity: Identity,
    clock: Rc<Cell<u64>>,
    next_connection: u64,
    going: Going,
}

/// How far the clean end is.
enum Going {
    No,
    Draining(Vec<Receiver<()>>),
    Closing(Vec<Receiver<()>>),
    Gone,
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
    let budget = Budget::new(sizes.memory);
    let sim = Disk::Sim(disk.clone());
    let expected = Expected { cluster_id: None, node_id: 1, random: [7; 32] };
    let identity = Identity::open(&sim, &expected).map_err(|e| e.to_string())?;
    let (controller, image) = Controller::open(
        &sim,
        &MetaOptions {
            cluster_id: identity.cluster_id.clone(),
            node_id: 1,
            host: "sim".to_owned(),
            port: 9092,
            rack: None,
            fixed: Arc::new(settings.clone()),
            shards: sizes.shards,
        },
    )
    .map_err(|e| e.to_string())?;
    let options = OpenOptions {
        cache_bytes: sizes.cache_bytes.min(sizes.memory / 2),
        small_bytes: sizes.small_bytes,
        idle_ms: sizes.idle_ms,
        max_block: sizes.max_block,
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
    let damaged = RefCell::new(None);
    let (engines, report) =
        recovery::open(&sim, &identity, &options, &topic_state, &|state, start, end, batches| {
            replica::fold(state, start, end, batches).unwrap_or_else(|e| {
                *damaged.borrow_mut() = Some(e.to_string());
                Vec::new()
            })
        })
        .map_err(|e| e.to_string())?;
    assert!(damaged.borrow().is_none(), "damaged: {damaged:?}");
    assert!(report.orphans.is_empty(), "data without metadata: {:?}", report.orphans);
    let clock = Rc::new(Cell::new(now.monotonic_ms as u64 * 1_000_000));
    let mut controller = Some(controller);
    let mut brokers = Vec::new();
    for (id, engine) in engines.into_iter().enumerate() {
        let logs = Logs::open(engine, &image, id, sizes.shards).expect("logs that recovery made");
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
        drained: vec![false; brokers.len()],
        brokers,
        ways,
        connections: BTreeMap::new(),
        budget,
        fatal: None,
        refused: Vec::new(),
        outputs_max: 0,
        disk: disk.clone(),
        volume,
        identity,
        clock,
        next_connection: 0,
        going: Going::No,
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
                Output::Disk(submission) => self.submit(shard, submission),
                Output::Answer { connection, number, response, .. } => {
                    if let Some(it) = self.connections.get_mut(&(shard, connection.0)) {
                        let answer = response.map(|response| {
                            let mut whole = response.head.to_vec();
                            response.rest.iter().for_each(|part| whole.extend_from_slice(part));
                            whole
                        });
                        it.answer(number, answer);
                        self.forget((shard, connection.0));
                    }
                }
                Output::Release { .. } => {}
                Output::Refuse { connection, why } => {
                    assert!(why.contains("wants no answer failed"), "{why}");
                    if self.connections.remove(&(shard, connection.0)).is_some() {
                        self.refused.push((shard, connection.0));
                        self.brokers[shard].handle(now, Input::Closed(connection));
                    }
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
                Output::Draining => {
                    let mine = self.connections.iter_mut().filter(|((it, _), _)| *it == shard);
                    mine.for_each(|(_, it)| it.drop_waiting());
                }
                Output::Drained => self.drained[shard] = true,
                Output::Closed => {}
                Output::Fatal { exit_code, message } => {
                    assert_ne!(exit_code, 70, "{message}");
                    self.fatal.get_or_insert((exit_code, message));
                }
            }
        }
        self.outputs_max = self.outputs_max.max(count);
    }

    fn submit(&self, shard: usize, Submission { id, op }: Submission) {
        let tag = |id: u64| {
            assert!((id & !OWN_OP) < 1 << ID_BITS, "ids of operations count from 0");
            (shard as u64) << ID_BITS | id
        };
        let op = match op {
            Op::WriteSync { path, pos, data, sync_id, apart } => {
                Op::WriteSync { path, pos, data, sync_id: tag(sync_id), apart }
            }
            other => other,
        };
        self.disk.submit(Submission { id: tag(id), op });
    }

    /// Completes one operation of the disk.
    pub fn complete(&mut self, now: Now, rng: &mut Rng) {
        let Some(done) = self.disk.complete_next(rng) else { return };
        let shard = ((done.id & !OWN_OP) >> ID_BITS) as usize;
        let id = done.id & (OWN_OP | ((1 << ID_BITS) - 1));
        self.handle(shard, now, Input::Completed(Completion { id, result: done.result }));
    }

    /// Delivers the oldest message of one way.
    pub fn deliver(&mut self, now: Now, from: usize, to: usize) {
        let Some(message) = self.ways.get_mut(&(from, to)).and_then(VecDeque::pop_front) else {
            return;
        };
        self.handle(to, now, Input::Message { from, message });
    }

    // ---- Connections ----

    pub fn connect(&mut self, _: Now, client: usize, shard: usize, _: bool) -> At {
        self.next_connection += 1;
        let at = (shard, self.next_connection);
        self.connections.insert(at, Connection::new(client));
        at
    }

    /// A client has sent these frames, each with its length before it.
    pub fn arrived(&mut self, at: At, frames: Vec<Bytes>) {
        if let Some(it) = self.connections.get_mut(&at)
            && self.brokers[at.0].phase() == Phase::Serving
        {
            it.arrived(frames.into_iter().map(|frame| frame.slice(4..)));
        }
    }

    /// A client leaves. What it has sent may still begin, unless it `drops` that.
    pub fn leave(&mut self, at: At, drops: bool) {
        if let Some(it) = self.connections.get_mut(&at) {
            it.left = true;
            if drops {
                it.drop_waiting();
            }
        }
    }

    /// Whether anything of this client goes on.
    pub fn knows(&self, client: usize) -> bool {
        self.connections.values().any(|it| it.client == client)
    }

    /// What may happen next.
    pub fn io(&self, events: &mut Vec<Io>) {
        for (at, connection) in &self.connections {
            if connection.can_begin() {
                events.push(Io::In(*at));
            }
            if connection.has_answer() && !connection.left {
                events.push(Io::Answer(*at));
            }
            if connection.left && !connection.told {
                events.push(Io::Gone(*at));
            }
        }
    }

    /// Lets it happen, but for answers.
    pub fn run_io(&mut self, now: Now, io: Io, _: &mut Rng) {
        match io {
            Io::In(at) => {
                let next = self.connections.get_mut(&at).and_then(Connection::begin);
                let Some((number, frame)) = next else { return };
                let connection = ConnectionId(at.1);
                let begun = Begun { connection, number, received: self.clock.get() };
                let host: Rc<str> = "10.0.0.1".into();
                self.handle(at.0, now, Input::Request(Arrived { begun, frame, host }));
            }
            Io::Gone(at) => {
                if let Some(it) = self.connections.get_mut(&at) {
                    it.told = true;
                    it.drop_waiting();
                }
                self.handle(at.0, now, Input::Closed(ConnectionId(at.1)));
                self.forget(at);
            }
            Io::Out(_) | Io::Answer(_) => {}
        }
    }

    /// The next answer on a connection, and whose it is.
    pub fn take_answer(&mut self, at: At) -> Option<(usize, Vec<u8>)> {
        let it = self.connections.get_mut(&at)?;
        Some((it.client, it.take_answer()?))
    }

    /// Forgets a connection on which nothing goes on any more.
    fn forget(&mut self, at: At) {
        if self.connections.get(&at).is_some_and(Connection::is_over) {
            self.connections.remove(&at);
        }
    }

    // ---- The end ----

    /// Begins the clean end, as a signal does.
    pub fn begin_end(&mut self, now: Now) {
        let calls = (0..self.shards()).map(|it| self.brokers[0].call(now, it, Drain)).collect();
        self.going = Going::Draining(calls);
        self.carry_out(0, now);
    }

    /// Goes on with the clean end; true when everything is written back.
    pub fn advance_end(&mut self, now: Now) -> bool {
        let all_done = |calls: &mut Vec<Receiver<()>>| {
            calls.retain_mut(|call| block_on(poll_once(call)).is_none());
            calls.is_empty()
        };
        match &mut self.going {
            Going::No => false,
            Going::Draining(calls) => {
                if all_done(calls) {
                    assert!(self.drained.iter().all(|it| *it) || self.shards() > 1);
                    let calls =
                        (0..self.shards()).map(|it| self.brokers[0].call(now, it, Close)).collect();
                    self.going = Going::Closing(calls);
                    self.carry_out(0, now);
                }
                false
            }
            Going::Closing(calls) => {
                if all_done(calls) {
                    self.going = Going::Gone;
                }
                false
            }
            Going::Gone => self.brokers.iter().all(|it| it.phase() == Phase::Closed),
        }
    }

    /// The last thing that a run writes.
    pub fn mark_clean(&self) -> Result<(), String> {
        mark_clean(&Disk::Sim(self.disk.clone()), &self.identity).map_err(|e| e.to_string())
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
