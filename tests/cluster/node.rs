//! One node: its disk, which outlives its processes, and the process that runs, if one does.

use crate::ending::Ending;
use crate::network::{Ends, Network};
use crate::operations;
use bytes::{Buf, Bytes, BytesMut};
use futures_lite::future::block_on;
use klamm::broker::calls::FindEnds;
use klamm::broker::{
    Admission, Bounds, Broker, Clock, ConnectionId, Figures, Input, LinkId, Logs, Message,
    Node as Member, Output, Parts, PeerInput, is_elsewhere,
};
use klamm::controller::{Controller, LOG_BYTES_MAX, OpenOptions as MetaOptions};
use klamm::replica;
use klamm::storage::arena::Arena;
use klamm::storage::buffer::Budget;
use klamm::storage::device::disk::Disk;
use klamm::storage::device::sim_disk::{Rng, SimDisk};
use klamm::storage::recovery::identity::{Expected, Identity};
use klamm::storage::recovery::{self, LastLife, OpenOptions, StateError, TopicState, mark_clean};
use klamm::types::{Now, TopicId, TopicPartition};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

/// The memory of all runs: what one leaves in it, the next one finds there.
static ARENA: LazyLock<Arc<Arena>> =
    LazyLock::new(|| Arena::reserve(1 << 30, 3).expect("address space"));

const MEMORY: usize = 32 << 20;
/// Bytes of a disk.
pub const DISK: u64 = 1 << 30;

/// A client's connection.
pub struct Socket {
    pub client: usize,
    id: ConnectionId,
    pub to_broker: BytesMut,
    pub to_client: BytesMut,
    may_read: bool,
    flush: bool,
}

/// A client's connection to a node: its shard, and a number that no other has.
pub type At = (usize, u64);

/// See the module.
pub struct Node {
    pub id: i32,
    pub disk: SimDisk,
    pub life: Option<Life>,
    /// It stands still until then, ms.
    pub frozen_until_ms: i64,
    /// Its disk completes nothing until then, ms.
    pub stalled_until_ms: i64,
    /// Bytes that its disk has.
    capacity: u64,
    /// Its disk has failed or was full since its process has begun: that may end it.
    pub suspect: bool,
    /// How far its wall clock is off, ms.
    pub skew_ms: i64,
    /// Little of what is on its disk stays in memory.
    pub reads_disk: bool,
    /// The id of its data directory.
    pub directory: u128,
    /// Its first disk is lost: it joins with another one.
    joins: bool,
    /// How its metadata were opened last.
    opened: Option<MetaOptions>,
}

/// A process.
pub struct Life {
    pub brokers: Vec<Broker>,
    ways: BTreeMap<(usize, usize), VecDeque<Message>>,
    sockets: BTreeMap<At, Socket>,
    numbers: BTreeMap<(usize, ConnectionId), u64>,
    next_socket: u64,
    clock: Rc<Cell<u64>>,
    /// Shards at which clients may connect.
    let_in: BTreeSet<usize>,
    pub fatal: Option<(i32, String)>,
    ending: Ending,
    identity: Identity,
    /// It could not remove all files that nothing needs.
    files_left: bool,
    /// Connections that the broker has closed, with their clients.
    pub closed: Vec<(At, usize)>,
}

/// What may happen next at a node.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    Deliver(usize, usize),
    Complete,
    Turn(usize),
    Continue(usize),
    Timeout(usize),
    Read(At),
    Send(At),
}

pub fn name_of(id: i32) -> String {
    format!("node{id}")
}

pub fn id_of(host: &str) -> i32 {
    host.strip_prefix("node").and_then(|it| it.parse().ok()).expect("the name of a node")
}

impl Node {
    pub fn new(id: i32, seed: u64) -> Self {
        Self {
            id,
            disk: SimDisk::new(seed),
            life: None,
            frozen_until_ms: 0,
            stalled_until_ms: 0,
            capacity: DISK,
            suspect: false,
            skew_ms: 0,
            reads_disk: false,
            directory: 0,
            joins: false,
            opened: None,
        }
    }

    /// Its disk is lost, and an empty one is there.
    pub fn lose_disk(&mut self, seed: u64) {
        (self.disk, self.joins) = (SimDisk::new(seed), true);
        self.set_free(None);
    }

    /// The disk has so many bytes free, or all that it ever had.
    pub fn set_free(&mut self, free: Option<u64>) {
        self.capacity = free.map_or(DISK, |it| (self.disk.used() + it).min(DISK));
        self.disk.set_capacity(self.capacity);
        self.suspect |= free.is_some();
    }

    /// Opens everything, as `shard::start` does. Of the nodes up to `voters` the quorum consists when it begins.
    pub fn start(
        &mut self,
        (voters, shards_max): (i32, u64),
        settings: &BTreeMap<String, String>,
        now: Now,
        rng: &mut Rng,
        net: &mut Network,
    ) -> Result<(), String> {
        self.suspect = self.capacity < DISK;
        let shards = rng.between(1, shards_max) as usize;
        let budget = Budget::of_arena(MEMORY, ARENA.clone());
        self.disk.charge_reads_to(budget.clone());
        let sim = Disk::Sim(self.disk.clone());
        let mut random = [self.id as u8; 32];
        random[..8].copy_from_slice(&rng.bits().to_le_bytes());
        let cluster_id = Some("sim".to_owned());
        let expected = Expected { cluster_id, node_id: self.id, random };
        let identity = Identity::open(&sim, &expected).map_err(|e| e.to_string())?;
        let fold: recovery::Fold<'_> = &|state, start, end, batches| {
            replica::fold(state, start, end, batches)
                .map_err(|e| StateError::Damaged(e.to_string()))
        };
        let mut last = LastLife::read(&sim, &identity, fold).map_err(|e| e.to_string())?;
        let incarnation = rng.bits();
        let directory = u128::from_be_bytes(identity.directory_id);
        self.directory = directory;
        let host = name_of(self.id);
        let metadata = MetaOptions {
            cluster_id: identity.cluster_id.clone(),
            node_id: self.id,
            host: host.clone(),
            port: 9092,
            peer_host: host.clone(),
            peer_port: 9292,
            rack: None,
            incarnation,
            directory,
            fixed: Arc::new(settings.clone()),
            shards,
            voters: (1..=voters).collect(),
            joins: self.joins || self.id > voters,
            // Some replace their log often.
            log_bytes_max: if rng.chance(50) { 32 << 10 } else { LOG_BYTES_MAX },
            seed: rng.bits(),
        };
        self.opened = Some(metadata.clone());
        let (controller, image) = Controller::open(&sim, &metadata).map_err(|e| e.to_string())?;
        let small = 4 << 10 << rng.below(3);
        let options = OpenOptions {
            cache_start: if self.reads_disk { 16 << 10 } else { 1 << 20 },
            cache_bytes: if self.reads_disk { 16 << 10 } else { 4 << 20 },
            small_bytes: small,
            max_block: (32 << 10) << rng.below(3),
            idle_ms: 10 << rng.below(8),
            ..OpenOptions::usual(shards as u16, budget.clone(), (512 << 10) * shards as u64)
        };
        let whole = controller.with_every_topic();
        let topic_state = |id| {
            if whole.topic_by_id(id).is_some() {
                TopicState::Live
            } else if image.is_deleting(id) {
                TopicState::Deleting
            } else {
                TopicState::Unknown
            }
        };
        last.repairable(|tp| is_elsewhere(&whole, tp));
        let (engines, report) = recovery::begin(last, &sim, &identity, &options, &topic_state)
            .map_err(|e| e.to_string())?;
        assert!(report.orphans.is_empty(), "data without metadata: {:?}", report.orphans);
        let clock = Rc::new(Cell::new(now.monotonic_ms as u64 * 1_000_000));
        let known = (1..=voters).filter(|id| *id != self.id);
        let known = known.map(|id| (id, (name_of(id), 9292))).collect();
        let held = report.damaged.into_iter().filter(|it| it.state_lost);
        let member = Arc::new(Member {
            incarnation,
            directory,
            kafka: (host.clone(), 9092),
            peer: Some((host, 9292)),
            rack: None,
            known,
            secret: None,
            window: (1 << 10) << (2 * rng.below(6)),
            damaged: held.map(|it| it.tp).collect(),
            throttles: Arc::default(),
        });
        let (mut controller, mut brokers) = (Some(controller), Vec::new());
        let admission = Admission::default();
        for (id, engine) in engines.into_iter().enumerate() {
            let logs = Logs::open(engine, &whole, (id, shards), incarnation)
                .expect("logs that recovery made");
            let parts = Parts {
                id,
                shards,
                strict: false,
                data: "/sim".to_owned(),
                image: image.clone(),
                logs,
                budget: budget.clone(),
                controller: controller.take(),
                seed: rng.bits(),
                clock: Clock::Virtual(clock.clone()),
                admission: admission.clone(),
                bounds: Bounds { request_bytes: 16 << 20, connections: 1_000 },
                slow_ns: u64::MAX,
                node: member.clone(),
            };
            brokers.push(Broker::new(parts, now));
        }
        let pairs = (0..shards).flat_map(|from| (0..shards).map(move |to| (from, to)));
        self.life = Some(Life {
            brokers,
            ways: pairs.filter(|(from, to)| from != to).map(|it| (it, VecDeque::new())).collect(),
            sockets: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next_socket: 0,
            clock,
            fatal: None,
            let_in: BTreeSet::new(),
            ending: Ending::No,
            identity,
            files_left: false,
            closed: Vec::new(),
        });
        net.started(self.id);
        for shard in 0..shards {
            self.carry_out(shard, now, net);
        }
        Ok(())
    }

    /// Whether others have all that was committed of a partition, by the metadata that a start would find here; it is down. A node that
    /// cannot know that does not start with a damaged log.
    pub fn knows_it_elsewhere(&self, tp: TopicPartition) -> bool {
        let Some(metadata) = &self.opened else { return false };
        let copy = SimDisk::new(0);
        copy.restore(self.disk.snapshot());
        let opened = Controller::open(&Disk::Sim(copy), metadata);
        opened.is_ok_and(|(controller, _)| is_elsewhere(&controller.with_every_topic(), tp))
    }

    /// The process ends in the middle of whatever goes on.
    pub fn crash(&mut self, power: bool, net: &mut Network) {
        net.ended(self.id);
        self.life = None;
        if power {
            self.disk.power_cut();
        } else {
            self.disk.process_crash();
        }
        self.disk.restart();
        (self.frozen_until_ms, self.stalled_until_ms) = (0, 0);
    }

    fn handle(&mut self, shard: usize, now: Now, input: Input, net: &mut Network) {
        let Some(life) = &mut self.life else { return };
        let _span = tracing::info_span!("node", id = self.id).entered();
        life.clock.set(life.clock.get() + 1_000);
        life.brokers[shard].handle(now, input);
        self.carry_out(shard, now, net);
    }

    fn carry_out(&mut self, shard: usize, now: Now, net: &mut Network) {
        let Some(life) = &mut self.life else { return };
        while let Some(output) = life.brokers[shard].poll() {
            match output {
                Output::Message { to, message } => {
                    life.ways.get_mut(&(shard, to)).expect("a way").push_back(message);
                }
                Output::Disk(submission) => operations::submit(&self.disk, shard, submission),
                Output::Resume(connection) => {
                    if let Some(it) = life.named(shard, connection) {
                        it.may_read = true;
                    }
                }
                Output::Flush(connection) => {
                    if let Some(it) = life.named(shard, connection) {
                        it.flush = true;
                    }
                }
                Output::Closed { connection, admitted } => {
                    drop(admitted);
                    let number = life.numbers.remove(&(shard, connection)).expect("closed once");
                    let at = (shard, number);
                    if let Some(it) = life.sockets.remove(&at) {
                        life.closed.push((at, it.client));
                    }
                }
                Output::Dial { link, host, .. } => net.dial((self.id, shard, link), id_of(&host)),
                Output::FlushPeer(link) => net.flush((self.id, shard, link)),
                Output::ClosePeer(link) => net.close((self.id, shard, link)),
                Output::LookAtSpace => {
                    let free = self.capacity - self.disk.used().min(self.capacity);
                    let input = Input::Space { free, total: DISK, pending_elsewhere: 0 };
                    life.brokers[shard].handle(now, input);
                }
                Output::LetIn => {
                    life.let_in.insert(shard);
                }
                Output::Reserve(_) => {}
                Output::Ended { files_left } => life.files_left |= files_left,
                Output::Fatal { exit_code, message } => {
                    life.fatal.get_or_insert((exit_code, message));
                }
            }
        }
    }

    /// What may happen next.
    pub fn events(&self, now: Now, out: &mut impl FnMut(Event)) {
        let Some(life) = self.life.as_ref().filter(|_| self.frozen_until_ms <= now.monotonic_ms)
        else {
            return;
        };
        for ((from, to), way) in &life.ways {
            if !way.is_empty() {
                out(Event::Deliver(*from, *to));
            }
        }
        if self.disk.in_flight() > 0 && self.stalled_until_ms <= now.monotonic_ms {
            out(Event::Complete);
        }
        for (shard, broker) in life.brokers.iter().enumerate() {
            if broker.wants_turn() {
                out(Event::Turn(shard));
            }
            if broker.has_work() {
                out(Event::Continue(shard));
            }
            if broker.next_deadline() <= now.monotonic_ms {
                out(Event::Timeout(shard));
            }
        }
        for (at, it) in &life.sockets {
            if it.may_read && !it.to_broker.is_empty() {
                out(Event::Read(*at));
            }
            if it.flush {
                out(Event::Send(*at));
            }
        }
    }

    /// When something is due at this node, ms.
    pub fn next_deadline(&self) -> i64 {
        let of = |life: &Life| life.brokers.iter().map(Broker::next_deadline).min();
        let due = self.life.as_ref().and_then(of).unwrap_or(i64::MAX);
        let stalled = self.disk.in_flight() > 0 && self.stalled_until_ms > 0;
        let disk = if stalled { self.stalled_until_ms } else { i64::MAX };
        due.min(disk).max(self.frozen_until_ms)
    }

    /// Lets it happen.
    pub fn run(&mut self, event: Event, now: Now, rng: &mut Rng, net: &mut Network) {
        let Some(life) = &mut self.life else { return };
        match event {
            Event::Deliver(from, to) => {
                let message = life.ways.get_mut(&(from, to)).and_then(VecDeque::pop_front);
                if let Some(message) = message {
                    self.handle(to, now, Input::Message { from, message }, net);
                }
            }
            Event::Complete => {
                if let Some((shard, done)) = operations::complete(&self.disk, rng, |_| true) {
                    self.handle(shard, now, Input::Completed(done), net);
                }
            }
            Event::Turn(shard) => self.handle(shard, now, Input::Turn, net),
            Event::Continue(shard) => self.handle(shard, now, Input::Continue, net),
            Event::Timeout(shard) => self.handle(shard, now, Input::Timeout, net),
            Event::Read(at) => {
                let Some(it) = life.sockets.get_mut(&at).filter(|it| !it.to_broker.is_empty())
                else {
                    return;
                };
                let connection = it.id;
                let read =
                    life.brokers[at.0].buffer(connection, |into| into.put(&it.to_broker[..]));
                match read {
                    None => {
                        it.may_read = false;
                        self.handle(at.0, now, Input::Continue, net);
                    }
                    Some(bytes) => {
                        it.to_broker.advance(bytes);
                        self.handle(at.0, now, Input::Received { connection, bytes }, net);
                    }
                }
            }
            Event::Send(at) => {
                let Some(it) = life.sockets.get_mut(&at).filter(|it| it.flush) else { return };
                let connection = it.id;
                let before = it.to_client.len();
                life.brokers[at.0].outgoing(connection, |parts| {
                    parts.for_each(|part| it.to_client.extend_from_slice(part));
                });
                let taken = it.to_client.len() - before;
                it.flush = life.brokers[at.0].sent(now, connection, taken);
                self.carry_out(at.0, now, net);
            }
        }
    }

    // ---- The end ----

    /// Begins the clean end, as a signal does. False where it has begun already.
    pub fn begin_stop(&mut self, now: Now, net: &mut Network) {
        if let Some(life) = self.life.as_mut().filter(|it| matches!(it.ending, Ending::No)) {
            life.ending.begin(&mut life.brokers, now);
            self.carry_out(0, now, net);
        }
    }

    /// Goes on with the clean end; true when the process has ended.
    pub fn advance_stop(&mut self, now: Now, net: &mut Network) -> bool {
        let Some(life) = &mut self.life else { return false };
        if !life.ending.advance(&mut life.brokers, now) {
            self.carry_out(0, now, net);
            return false;
        }
        // Where that fails, the next start takes this for a crash.
        let _ = mark_clean(&Disk::Sim(self.disk.clone()), &life.identity, life.files_left);
        self.crash(false, net);
        true
    }

    /// Whether it is on its way out.
    pub fn is_going(&self) -> bool {
        self.life.as_ref().is_some_and(|it| !matches!(it.ending, Ending::No))
    }

    /// Up to where a partition is committed, as far as this node knows.
    pub fn visible_end(&mut self, tp: TopicPartition, now: Now) -> Option<i64> {
        let life = self.life.as_mut()?;
        let shard = tp.shard(life.brokers.len());
        let ends = block_on(life.brokers[shard].call(now, shard, FindEnds(vec![tp])))?;
        *ends.first()?
    }

    /// Logs that were found to be damaged since its start, and those that are whole again.
    pub fn damage(&mut self, now: Now) -> (u64, u64) {
        let Some(life) = &mut self.life else { return (0, 0) };
        let (mut damaged, mut repaired) = (0, 0);
        for (shard, broker) in life.brokers.iter_mut().enumerate() {
            if let Some(it) = block_on(broker.call(now, shard, Figures)) {
                damaged += it.replication.damaged;
                repaired += it.replication.repaired;
            }
        }
        (damaged, repaired)
    }

    /// The epoch in which it leads a partition, where all of its shards know of the same one; and how often it has read states
    /// of share groups.
    pub fn leads(&self, topic: TopicId, partition: i32) -> Option<(i32, u64)> {
        let life = self.life.as_ref()?;
        let tp = TopicPartition { topic, partition };
        let of = |it: &Broker| it.image().partition(tp).map(|it| (it.leader, it.leader_epoch));
        let mut all = life.brokers.iter().map(of);
        let first = all.next()??;
        let loads = life.brokers.iter().map(Broker::share_loads).sum();
        (first.0 == self.id && all.all(|it| it == Some(first))).then_some((first.1, loads))
    }

    /// Panics that the brokers have caught: none is expected.
    pub fn panics(&mut self, now: Now) -> u64 {
        let Some(life) = &mut self.life else { return 0 };
        let mut panics = 0;
        for (shard, broker) in life.brokers.iter_mut().enumerate() {
            let figures = block_on(broker.call(now, shard, Figures));
            panics += figures.map_or(1, |it| it.panics);
        }
        panics
    }

    // ---- Clients ----

    pub fn connect(&mut self, client: usize, now: Now, rng: &mut Rng) -> Option<At> {
        let life = self.life.as_mut()?;
        let shard = rng.index(life.brokers.len());
        if !life.let_in.contains(&shard) {
            return None;
        }
        let peer = SocketAddr::from(([10, 0, 0, 1], 1024 + client as u16));
        let id = life.brokers[shard].accept(now, peer).ok()?;
        life.next_socket += 1;
        let at = (shard, life.next_socket);
        life.numbers.insert((shard, id), at.1);
        let socket = Socket {
            client,
            id,
            to_broker: BytesMut::new(),
            to_client: BytesMut::new(),
            may_read: true,
            flush: false,
        };
        life.sockets.insert(at, socket);
        Some(at)
    }

    pub fn socket(&mut self, at: At) -> Option<&mut Socket> {
        self.life.as_mut()?.sockets.get_mut(&at)
    }

    /// Whether a whole answer is there for a client.
    pub fn has_answer(&self, at: At) -> bool {
        let socket = self.life.as_ref().and_then(|it| it.sockets.get(&at));
        socket.is_some_and(|it| {
            let len = it.to_client.first_chunk().map(|it| u32::from_be_bytes(*it) as usize);
            len.is_some_and(|len| it.to_client.len() >= len + 4)
        })
    }

    /// A client leaves.
    pub fn leave(&mut self, at: At, now: Now, net: &mut Network) {
        let Some(life) = &mut self.life else { return };
        if let Some(it) = life.sockets.get(&at) {
            let input = Input::Failed(it.id);
            self.handle(at.0, now, input, net);
        }
    }

    // ---- Peers ----

    /// What a peer is to hear: up to so many bytes of it.
    pub fn peer_outgoing(
        &mut self,
        (_, shard, link): Ends,
        most: usize,
        now: Now,
        net: &mut Network,
    ) -> (Vec<u8>, bool) {
        let Some(life) = &mut self.life else { return (Vec::new(), false) };
        let mut taken = Vec::new();
        life.brokers[shard].peer_outgoing(link, |parts| {
            for part in parts {
                let room = most - taken.len();
                taken.extend_from_slice(&part[..part.len().min(room)]);
            }
        });
        let more = life.brokers[shard].peer_sent(now, link, taken.len());
        self.carry_out(shard, now, net);
        (taken, more)
    }

    /// A peer has sent these.
    pub fn peer_received(
        &mut self,
        (_, shard, link): Ends,
        bytes: &[u8],
        now: Now,
        net: &mut Network,
    ) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let Some(life) = &mut self.life else { return };
            let put = life.brokers[shard].peer_buffer(link, |into| {
                let n = into.len().min(rest.len());
                for (to, from) in into.iter_mut().zip(&rest[..n]) {
                    to.write(*from);
                }
                n
            });
            let Some(n) = put else { return };
            rest = &rest[n..];
            self.handle(shard, now, Input::Peer(link, PeerInput::Received(n)), net);
        }
    }

    /// Something has happened to a link.
    pub fn peer_input(&mut self, ends: Ends, input: PeerInput, now: Now, net: &mut Network) {
        self.handle(ends.1, now, Input::Peer(ends.2, input), net);
    }

    /// A peer has dialled.
    pub fn accept_peer(
        &mut self,
        preamble: klamm::wire::peer::Preamble,
        now: Now,
        net: &mut Network,
    ) -> Option<(usize, LinkId)> {
        let life = self.life.as_mut()?;
        let shard = usize::from(preamble.shard);
        let link = life.brokers.get_mut(shard)?.accept_peer(now, "peer", preamble)?;
        self.carry_out(shard, now, net);
        Some((shard, link))
    }
}

impl Life {
    fn named(&mut self, shard: usize, connection: ConnectionId) -> Option<&mut Socket> {
        let number = self.numbers.get(&(shard, connection))?;
        self.sockets.get_mut(&(shard, *number))
    }
}

/// The next whole frame of what a client has received, without the length before it.
pub fn take_frame(bytes: &mut BytesMut) -> Option<Bytes> {
    let len = u32::from_be_bytes(*bytes.first_chunk()?) as usize;
    (bytes.len() >= len + 4).then(|| {
        bytes.advance(4);
        bytes.split_to(len).freeze()
    })
}
