//! Nodes, the network, clients and the clock: what happens next is chosen by the seed.

use crate::history::History;
use crate::network::{self, Network};
use crate::node::{self, Node, take_frame};
use crate::producer::Producer;
use crate::reader::Reader;
use crate::session::{Asked, Session};
use klamm::broker::PeerInput;
use klamm::client::Reply;
use klamm::storage::device::sim_disk::Rng;
use klamm::types::{ErrorCode, Now, TopicId};
use klamm::wire::kafka::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use klamm::wire::kafka::metadata_request::{MetadataRequest, MetadataRequestTopic};
use klamm::wire::peer::{PREAMBLE, Preamble};
use std::collections::{BTreeMap, BTreeSet};

const TOPIC: &str = "t";
/// When nothing fails any more, everything is at rest after so much time at most, ms.
const PATIENCE_MS: i64 = 60_000;
/// Steps of one seed, at most: whoever goes on for ever shows up here.
const STEPS_MAX: u64 = 3_000_000;

/// What a client sees.
pub struct Cx<'a> {
    pub rng: &'a mut Rng,
    pub now_ms: i64,
    pub history: &'a mut History,
    pub producer_ids: &'a mut BTreeSet<i64>,
    pub topic: &'a str,
    pub topic_id: TopicId,
    pub partitions: i32,
    /// By partition: the leader, and its epoch.
    pub leaders: &'a BTreeMap<i32, (i32, i32)>,
    /// Nothing new is begun.
    pub calm: bool,
    /// Nothing fails any more, and all producers are done.
    pub quiet: bool,
    /// The leaders may be others.
    pub stale: &'a mut bool,
}

enum Role {
    Admin,
    Producer(Producer),
    Reader(Reader),
}

struct Client {
    role: Role,
    sessions: BTreeMap<i32, Session>,
    /// By partition: the leader, and its epoch. Who is behind says what was; it is not believed (KIP-320).
    leaders: BTreeMap<i32, (i32, i32)>,
    stale: bool,
    asked_ms: i64,
    next_ms: i64,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Node(usize, node::Event),
    Net(network::Event),
    Act(usize),
    Answer(usize, i32),
}

/// See the module.
pub struct Cluster {
    rng: Rng,
    nodes: Vec<Node>,
    net: Network,
    clients: Vec<Client>,
    pub history: History,
    settings: BTreeMap<String, String>,
    now_ms: i64,
    partitions: i32,
    replicas: i16,
    min_insync: i32,
    created: bool,
    topic_id: TopicId,
    producer_ids: BTreeSet<i64>,
    calm: bool,
    quiet: bool,
    /// What metadata said last: leader, ISR by partition; the controller.
    seen: BTreeMap<i32, (i32, usize)>,
    controller: i32,
    /// Node, when it is to start.
    starts: BTreeMap<usize, i64>,
    heal_ms: i64,
    steps: u64,
    trace: u64,
    told: bool,
}

impl Cluster {
    pub fn new(seed: u64, told: bool) -> Self {
        let mut rng = Rng::new(seed);
        let count = if rng.chance(80) { 3 } else { 5 };
        let nodes: Vec<Node> = (1..=count).map(|id| Node::new(id, rng.bits())).collect();
        let mut clients = vec![Role::Admin];
        let producers = rng.between(1, 3) as u32;
        clients.extend((0..producers).map(|it| Role::Producer(Producer::new(it))));
        clients.push(Role::Reader(Reader::default()));
        let lag = [500, 3_000, 30_000][rng.index(3)];
        let settings = [
            ("replica.lag.time.max.ms", lag.to_string()),
            ("log.dirs", "/sim".to_owned()),
            ("listeners", "PLAINTEXT://sim:9092".to_owned()),
            ("connections.max.idle.ms", "-1".to_owned()),
        ];
        let replicas = rng.between(2, 3) as i16;
        Self {
            partitions: rng.between(1, 4) as i32,
            replicas,
            min_insync: rng.between(1, replicas as u64) as i32,
            rng,
            nodes,
            net: Network::default(),
            clients: clients.into_iter().map(Client::new).collect(),
            history: History::default(),
            settings: settings.map(|(name, value)| (name.to_owned(), value)).into(),
            now_ms: 1,
            created: false,
            topic_id: TopicId::ZERO,
            producer_ids: BTreeSet::new(),
            calm: false,
            quiet: false,
            seen: BTreeMap::new(),
            controller: -1,
            starts: BTreeMap::new(),
            heal_ms: 0,
            steps: 0,
            trace: 0,
            told,
        }
    }

    /// A hash of all that happened.
    pub fn trace(&self) -> u64 {
        self.nodes.iter().fold(self.trace, |hash, it| hash.rotate_left(7) ^ it.disk.trace_hash())
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if self.told {
            println!("{} {}", self.now_ms, line());
        }
    }

    fn now(&self) -> Now {
        Now { wall_ms: 1_700_000_000_000 + self.now_ms, monotonic_ms: self.now_ms }
    }

    /// A whole run.
    pub fn run(&mut self) {
        for at in 0..self.nodes.len() {
            self.start(at);
        }
        self.until(PATIENCE_MS, "a topic", |it| it.created);
        let until = self.now_ms + self.rng.between(5_000, 30_000) as i64;
        while self.now_ms < until {
            self.meddle();
            self.step();
        }
        self.settle();
    }

    /// Everything comes to rest when nothing fails any more.
    fn settle(&mut self) {
        self.note(|| "---- calm".to_owned());
        self.calm = true;
        self.net.heal();
        for at in 0..self.nodes.len() {
            (self.nodes[at].frozen_until_ms, self.nodes[at].stalled_until_ms) = (0, 0);
            if self.nodes[at].life.is_none() {
                self.start(at);
            }
        }
        let begun = self.now_ms;
        self.until(PATIENCE_MS, "all producers answered", |it| {
            let done = |client: &Client| match &client.role {
                Role::Producer(producer) => producer.is_done(),
                _ => true,
            };
            it.clients.iter().all(done)
        });
        self.quiet = true;
        self.until(PATIENCE_MS, "all read, all replicas in sync", |it| {
            let read = it.clients.iter().all(|client| match &client.role {
                Role::Reader(reader) => reader.is_done(it.partitions),
                _ => true,
            });
            let whole =
                it.seen.values().all(|(leader, isr)| *leader >= 0 && *isr == it.replicas as usize);
            read && whole && it.seen.len() == it.partitions as usize
        });
        let took = (self.now_ms - begun) as u64;
        self.history.counts.settle_ms_max = took;
        self.history.counts.steps_max = self.steps;
    }

    /// Runs on, in whatever is the case now, until this holds.
    fn until(&mut self, patience_ms: i64, what: &str, holds: impl Fn(&Self) -> bool) {
        let until = self.now_ms + patience_ms;
        while !holds(self) {
            if self.now_ms >= until {
                let waits: Vec<String> = self
                    .clients
                    .iter()
                    .filter_map(|it| match &it.role {
                        Role::Reader(reader) => Some(reader.waits()),
                        _ => None,
                    })
                    .collect();
                panic!("never {what}: {:?}, controller {}, {waits:?}", self.seen, self.controller);
            }
            self.step();
        }
    }

    // ---- Faults ----

    fn start(&mut self, at: usize) {
        self.starts.remove(&at);
        let (now, nodes) = (self.now(), self.nodes.len() as i32);
        let Self { rng, net, settings, .. } = self;
        let result = self.nodes[at].start(nodes, settings, now, rng, net);
        if let Err(e) = result {
            panic!("node {} does not start: {e}", at + 1);
        }
        self.note(|| format!("---- node {} starts", at + 1));
    }

    fn crash(&mut self, at: usize, power: bool) {
        self.note(|| format!("---- node {} ends, power: {power}", at + 1));
        let id = self.nodes[at].id;
        self.nodes[at].crash(power, &mut self.net);
        for client in 0..self.clients.len() {
            self.lose(client, id);
        }
        let counts = &mut self.history.counts;
        *(if power { &mut counts.power_cuts } else { &mut counts.kills }) += 1;
        let after = [0, 200, 1_000, 5_000, 9_000][self.rng.index(5)];
        self.starts.insert(at, self.now_ms + after);
    }

    fn meddle(&mut self) {
        let due: Vec<usize> =
            self.starts.iter().filter(|(_, at)| **at <= self.now_ms).map(|it| *it.0).collect();
        for at in due {
            self.start(at);
        }
        if self.heal_ms > 0 && self.heal_ms <= self.now_ms {
            self.heal_ms = 0;
            self.net.heal();
            self.note(|| "---- the network is whole".to_owned());
        }
        let at = self.rng.index(self.nodes.len());
        match self.rng.below(60_000) {
            0..=7 if self.nodes[at].life.is_some() => {
                let power = self.rng.chance(50);
                self.crash(at, power);
            }
            // The power of all is cut at once.
            8 if self.rng.chance(30) => {
                for at in 0..self.nodes.len() {
                    if self.nodes[at].life.is_some() {
                        self.crash(at, true);
                    }
                }
            }
            9..=14 => {
                let ms = [50, 500, 2_000, 6_000][self.rng.index(4)];
                self.nodes[at].frozen_until_ms = self.now_ms + ms;
                self.history.counts.freezes += 1;
                self.note(|| format!("---- node {} stands still for {ms} ms", at + 1));
            }
            15..=22 => {
                let one_way = self.rng.chance(40);
                let id = self.nodes[at].id;
                for other in 1..=self.nodes.len() as i32 {
                    if other == id || self.rng.chance(25) {
                        continue;
                    }
                    self.net.cut(id, other);
                    if !one_way {
                        self.net.cut(other, id);
                    }
                }
                self.history.counts.cuts += 1;
                self.heal_ms = self.now_ms + self.rng.between(100, 9_000) as i64;
                self.note(|| format!("---- node {id} is cut off, one way: {one_way}"));
            }
            23..=34 => self.net.break_one(&mut self.rng),
            35..=60 => {
                let ms = [5, 20, 100, 1_000][self.rng.index(4)];
                self.nodes[at].stalled_until_ms = self.now_ms + ms;
            }
            _ => {}
        }
        for at in 0..self.nodes.len() {
            let fatal = self.nodes[at].life.as_ref().and_then(|it| it.fatal.clone());
            if let Some(why) = fatal {
                panic!("node {} gives up: {why}", at + 1);
            }
        }
    }

    // ---- Steps ----

    fn step(&mut self) {
        self.steps += 1;
        assert!(self.steps < STEPS_MAX, "it goes on for ever");
        let now = self.now();
        let mut events = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let mut of_node = Vec::new();
            node.events(now, &mut of_node);
            events.extend(of_node.into_iter().map(|it| Event::Node(at, it)));
        }
        let mut of_net = Vec::new();
        self.net.events(self.now_ms, &mut of_net);
        events.extend(of_net.into_iter().map(Event::Net));
        for (at, client) in self.clients.iter().enumerate() {
            if client.next_ms <= self.now_ms {
                events.push(Event::Act(at));
            }
        }
        for at in 0..self.clients.len() {
            let ids: Vec<(i32, node::At)> =
                self.clients[at].sessions.iter().map(|(id, it)| (*id, it.at)).collect();
            for (id, socket) in ids {
                let has = self.nodes[id as usize - 1].socket(socket).is_some_and(|it| {
                    let len = it.to_client.first_chunk().map(|it| u32::from_be_bytes(*it) as usize);
                    len.is_some_and(|len| it.to_client.len() >= len + 4)
                });
                if has {
                    events.push(Event::Answer(at, id));
                }
            }
        }
        if events.is_empty() || self.rng.chance(1) {
            return self.advance(events.is_empty());
        }
        let event = events[self.rng.index(events.len())];
        self.trace = self.trace.rotate_left(5) ^ self.now_ms as u64 ^ events.len() as u64;
        match event {
            Event::Node(at, event) => {
                let Self { rng, net, nodes, .. } = self;
                nodes[at].run(event, now, rng, net);
            }
            Event::Net(event) => self.run_net(event),
            Event::Act(client) => self.act(client),
            Event::Answer(client, node) => self.answer(client, node),
        }
        self.take_closed();
    }

    /// Time passes: to what is due next where nothing else is to be done.
    fn advance(&mut self, idle: bool) {
        if !idle {
            self.now_ms += 1;
            return;
        }
        let nodes = self.nodes.iter().map(Node::next_deadline).min().unwrap_or(i64::MAX);
        let clients = self.clients.iter().map(|it| it.next_ms).min().unwrap_or(i64::MAX);
        let starts = self.starts.values().copied().min().unwrap_or(i64::MAX);
        let heal = if self.heal_ms > 0 { self.heal_ms } else { i64::MAX };
        let next = nodes.min(clients).min(starts).min(heal).min(self.net.next_deadline());
        self.now_ms = next.clamp(self.now_ms + 1, self.now_ms + 500);
    }

    fn run_net(&mut self, event: network::Event) {
        let now = self.now();
        match event {
            network::Event::Connect(id) => {
                let Some(wire) = self.net.wires.get_mut(&id) else { return };
                let (dialler, to) = (wire.dialler, wire.to);
                let alive = self.net.is_alive(to);
                let node = &mut self.nodes[dialler.0 as usize - 1];
                if alive {
                    self.net.wires.get_mut(&id).expect("just seen").connected = true;
                    node.peer_input(dialler, PeerInput::Connected, now, &mut self.net);
                } else {
                    let input = PeerInput::Failed { refused: true };
                    node.peer_input(dialler, input, now, &mut self.net);
                }
            }
            network::Event::Send(id, side) => {
                let wire = &self.net.wires[&id];
                let Some(end) = (if side == 0 { Some(wire.dialler) } else { wire.taker }) else {
                    return;
                };
                let most = if self.rng.chance(30) {
                    self.rng.between(1, 3_000) as usize
                } else {
                    usize::MAX
                };
                let node = &mut self.nodes[end.0 as usize - 1];
                if node.frozen_until_ms > self.now_ms {
                    return;
                }
                self.net.wires.get_mut(&id).expect("just seen").flush[side] = false;
                let (bytes, more) = node.peer_outgoing(end, most, now, &mut self.net);
                if let Some(wire) = self.net.wires.get_mut(&id) {
                    wire.flush[side] |= more;
                    (if side == 0 { &mut wire.forth } else { &mut wire.back }).extend(bytes);
                }
            }
            network::Event::Arrive(id, side) => self.arrive(id, side),
            network::Event::Notice(id, side) => {
                let wire = &self.net.wires[&id];
                let end = if side == 0 { Some(wire.dialler) } else { wire.taker };
                if let Some(end) = end {
                    let node = &mut self.nodes[end.0 as usize - 1];
                    let input = PeerInput::Failed { refused: false };
                    node.peer_input(end, input, now, &mut self.net);
                }
            }
        }
    }

    fn arrive(&mut self, id: u64, side: usize) {
        let now = self.now();
        let wire = self.net.wires.get_mut(&id).expect("just seen");
        let node_id = if side == 0 { wire.dialler.0 } else { wire.to };
        let node = &mut self.nodes[node_id as usize - 1];
        if node.frozen_until_ms > self.now_ms {
            return;
        }
        let bytes = if side == 0 { &mut wire.back } else { &mut wire.forth };
        if side == 1 && wire.taker.is_none() {
            if bytes.len() < PREAMBLE {
                return;
            }
            let rest = bytes.split_off(PREAMBLE);
            let preamble = std::mem::replace(bytes, rest);
            let preamble = Preamble::decode(preamble.first_chunk().expect("whole"));
            let preamble = preamble.expect("a preamble of ours");
            match node.accept_peer(preamble, now, &mut self.net) {
                Some((shard, link)) => self.net.taken(id, (node_id, shard, link)),
                None => {
                    // It means a shard that is not there any more.
                    if let Some(wire) = self.net.wires.get_mut(&id) {
                        wire.gone[1] = true;
                        wire.forth.clear();
                    }
                }
            }
            return;
        }
        let n = if self.rng.chance(30) {
            self.rng.between(1, bytes.len() as u64) as usize
        } else {
            bytes.len()
        };
        let rest = bytes.split_off(n);
        let come = std::mem::replace(bytes, rest);
        let end = if side == 0 { Some(wire.dialler) } else { wire.taker };
        if let Some(end) = end {
            node.peer_received(end, &come, now, &mut self.net);
        }
    }

    // ---- Clients ----

    fn take_closed(&mut self) {
        for at in 0..self.nodes.len() {
            let closed = self.nodes[at].life.as_mut().map(|it| std::mem::take(&mut it.closed));
            let id = self.nodes[at].id;
            for (socket, client) in closed.into_iter().flatten() {
                if self.clients[client].sessions.get(&id).is_some_and(|it| it.at == socket) {
                    self.lose(client, id);
                }
            }
        }
    }

    /// A session is gone.
    fn lose(&mut self, client: usize, node: i32) {
        let now = self.now_ms;
        let it = &mut self.clients[client];
        let Some(session) = it.sessions.remove(&node) else { return };
        it.stale = true;
        for asked in session.asked {
            match &mut it.role {
                Role::Producer(producer) => producer.lost(&asked, now),
                Role::Reader(reader) => reader.lost(&asked, now),
                Role::Admin => {}
            }
        }
    }

    fn act(&mut self, client: usize) {
        let now = self.now();
        let pause = self.rng.between(2, 40) as i64;
        self.clients[client].next_ms = self.now_ms + pause;
        // Now and then a client gives a session up.
        let sessions: Vec<i32> = self.clients[client].sessions.keys().copied().collect();
        if !self.calm && !sessions.is_empty() && self.rng.chance(1) {
            let node = sessions[self.rng.index(sessions.len())];
            let at = self.clients[client].sessions[&node].at;
            self.nodes[node as usize - 1].leave(at, now, &mut self.net);
            self.lose(client, node);
        }
        let to = self.rng.index(self.nodes.len());
        let id = self.nodes[to].id;
        if !self.clients[client].sessions.contains_key(&id)
            && let Some(at) = self.nodes[to].connect(client, now, &mut self.rng)
        {
            self.clients[client].sessions.insert(id, Session::new(at));
        }
        let Self { rng, history, producer_ids, clients, .. } = self;
        let it = &mut clients[client];
        let ids: Vec<i32> = it.sessions.keys().copied().collect();
        for id in ids {
            let session = it.sessions.get_mut(&id).expect("just seen");
            if session.ready {
                if (it.stale || rng.chance(3)) && it.asked_ms + 100 <= self.now_ms && self.created {
                    it.asked_ms = self.now_ms;
                    it.stale = false;
                    let topic = MetadataRequestTopic { name: Some(TOPIC), ..Default::default() };
                    let topics = Some(vec![topic]);
                    session.send(
                        &MetadataRequest { topics, ..MetadataRequest::default() },
                        Asked::Metadata,
                    );
                }
                let mut cx = Cx {
                    rng,
                    now_ms: self.now_ms,
                    history,
                    producer_ids,
                    topic: TOPIC,
                    topic_id: self.topic_id,
                    partitions: self.partitions,
                    leaders: &it.leaders,
                    calm: self.calm,
                    quiet: self.quiet,
                    stale: &mut it.stale,
                };
                match &mut it.role {
                    Role::Admin if !self.created && it.asked_ms + 500 <= self.now_ms => {
                        it.asked_ms = self.now_ms;
                        let value = self.min_insync.to_string();
                        let config = CreatableTopicConfig {
                            name: "min.insync.replicas",
                            value: Some(&value),
                        };
                        let topic = CreatableTopic {
                            name: TOPIC,
                            num_partitions: self.partitions,
                            replication_factor: self.replicas,
                            configs: vec![config],
                            ..CreatableTopic::default()
                        };
                        let request = CreateTopicsRequest {
                            topics: vec![topic],
                            timeout_ms: 10_000,
                            ..CreateTopicsRequest::default()
                        };
                        session.send(&request, Asked::CreateTopic);
                    }
                    Role::Admin => {}
                    Role::Producer(producer) => producer.act(&mut cx, id, session),
                    Role::Reader(reader) => reader.act(&mut cx, id, session),
                }
            }
            let (at, out) = (session.at, std::mem::take(&mut session.out));
            if let Some(socket) = self.nodes[id as usize - 1].socket(at) {
                for frame in out {
                    socket.to_broker.extend_from_slice(&frame);
                }
            }
        }
    }

    fn answer(&mut self, client: usize, node: i32) {
        let Some(session) = self.clients[client].sessions.get_mut(&node) else { return };
        let Some(socket) = self.nodes[node as usize - 1].socket(session.at) else { return };
        let Some(frame) = take_frame(&mut socket.to_client) else { return };
        let Some((asked, reply)) = session.receive(&frame) else { return };
        match asked {
            Asked::Metadata => self.learn(client, &reply),
            Asked::CreateTopic => {
                let response = reply.read::<CreateTopicsRequest<'_>>().expect("an answer");
                let error = ErrorCode(response.topics[0].error_code);
                // The brokers may not have registered yet.
                self.created |= matches!(error, ErrorCode::NONE | ErrorCode::TOPIC_ALREADY_EXISTS);
            }
            asked => {
                let Self { rng, history, producer_ids, clients, .. } = self;
                let it = &mut clients[client];
                let mut cx = Cx {
                    rng,
                    now_ms: self.now_ms,
                    history,
                    producer_ids,
                    topic: TOPIC,
                    topic_id: self.topic_id,
                    partitions: self.partitions,
                    leaders: &it.leaders,
                    calm: self.calm,
                    quiet: self.quiet,
                    stale: &mut it.stale,
                };
                match &mut it.role {
                    Role::Producer(producer) => producer.answered(&mut cx, &asked, &reply),
                    Role::Reader(reader) => reader.answered(&mut cx, &asked, &reply),
                    Role::Admin => {}
                }
            }
        }
    }

    /// Metadata have come.
    fn learn(&mut self, client: usize, reply: &Reply) {
        let response = reply.read::<MetadataRequest<'_>>().expect("an answer");
        if response.controller_id >= 0 && response.controller_id != self.controller {
            self.history.counts.controllers += u64::from(self.controller >= 0);
            self.controller = response.controller_id;
        }
        let Some(topic) = response.topics.first().filter(|it| it.error_code == 0) else { return };
        self.topic_id = topic.topic_id;
        let it = &mut self.clients[client];
        for partition in &topic.partitions {
            let (number, leader) = (partition.partition_index, partition.leader_id);
            let known = it.leaders.entry(number).or_insert((-1, -1));
            if partition.leader_epoch < known.1 {
                continue;
            }
            *known = (leader, partition.leader_epoch);
            let isr = partition.isr_nodes.len();
            let before = self.seen.insert(number, (leader, isr));
            self.history.counts.leaders += u64::from(before.is_some_and(|it| it.0 != leader));
        }
        it.stale = it.leaders.values().any(|it| it.0 < 0);
    }
}

impl Client {
    fn new(role: Role) -> Self {
        Self {
            role,
            sessions: BTreeMap::new(),
            leaders: BTreeMap::new(),
            stale: true,
            asked_ms: -1_000,
            next_ms: 0,
        }
    }
}
