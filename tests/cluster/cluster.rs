//! Nodes, the network, clients and the clock: what happens next is chosen by the seed.

use crate::admin::Admin;
use crate::checkers::Counts;
use crate::checkers::images::Images;
use crate::checkers::log::Log;
use crate::checkers::offsets::Offsets;
use crate::checkers::share::Share;
use crate::checkers::tasks::Owned;
use crate::checkers::topics::Topics;
use crate::checkers::transactions::Transactions;
use crate::client::{Client, Cx, Facts, Role, Seen, TOPIC};
use crate::committed_reader::CommittedReader;
use crate::member::Member;
use crate::network::{self, Network};
use crate::node::{self, Node, take_frame};
use crate::plan::{Plan, Planned};
use crate::producer::Producer;
use crate::reader::Reader;
use crate::rot::Rot;
use crate::session::{Asked, Session};
use crate::share_member::ShareMember;
use crate::streams_member::StreamsMember;
use crate::transactor::Transactor;
use klamm::broker::PeerInput;
use klamm::client::Reply;
use klamm::storage::device::sim_disk::Rng;
use klamm::types::{Now, TopicId, TopicPartition};
use klamm::wire::kafka::metadata_request::{MetadataRequest, MetadataRequestTopic};
use klamm::wire::peer::{PREAMBLE, Preamble};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The wall clock when the monotonic one is 0, ms.
const WALL_MS: i64 = 1_700_000_000_000;
/// When nothing fails any more, everything is at rest after so much time at most, ms.
const PATIENCE_MS: i64 = 60_000;
/// Steps of one seed, at most: whoever goes on for ever shows up here.
const STEPS_MAX: u64 = 6_000_000;
/// Of so many events that may happen one does, and one more, before all are looked at again.
const EVENTS_A_STEP: usize = 2;
/// Nodes of a cluster, at most.
pub const NODES_MAX: usize = 8;

#[derive(Clone, Copy, Debug)]
enum Event {
    Node(usize, node::Event),
    Net(network::Event),
    Act(usize),
    Answer(usize, i32),
}

/// See the module.
pub struct Cluster {
    pub(super) rng: Rng,
    pub(super) nodes: Vec<Node>,
    pub(super) net: Network,
    pub(super) clients: Vec<Client>,
    pub facts: Facts,
    pub(super) settings: BTreeMap<String, String>,
    pub(super) now_ms: i64,
    /// When the topic was there, ms.
    pub(super) begun_ms: i64,
    /// What fails yet.
    pub(super) faults: VecDeque<Planned>,
    controller: i32,
    /// Node, when it is to start.
    pub(super) starts: BTreeMap<usize, i64>,
    pub(super) heal_ms: i64,
    /// By node: when its disk has space again.
    pub(super) fills: [i64; NODES_MAX],
    /// By node: how long it is gone when its disk has failed, and when it was stopped.
    pub(super) down_ms: [i64; NODES_MAX],
    pub(super) stopped: [i64; NODES_MAX],
    /// Of the disk that comes in place of a lost one.
    pub(super) disk_seed: u64,
    /// Bytes that are to flip.
    pub(super) rots: Vec<Rot>,
    /// By partition: the node whose replica rots.
    pub(super) rotten: BTreeMap<TopicPartition, usize>,
    /// By node: operations of its disk that had failed when its process began.
    pub(super) faults_hit: [u64; NODES_MAX],
    /// By node: the index of the image that was looked at.
    looked: [u64; NODES_MAX],
    /// The memory of what may happen next.
    events: Vec<Event>,
    steps: u64,
    trace: u64,
    told: bool,
}

impl Cluster {
    /// Of the plan's faults only those in `keep`, by their place in it, where it is given.
    pub fn new(seed: u64, keep: Option<&BTreeSet<usize>>, told: bool) -> Self {
        let mut plan = Plan::of(seed);
        if let Some(keep) = keep {
            let mut at = 0..;
            plan.faults.retain(|_| at.next().is_some_and(|it| keep.contains(&it)));
        }
        Self::with(plan, seed, told)
    }

    /// One that does what the plan says; the rest is up to the seed.
    pub fn with(plan: Plan, seed: u64, told: bool) -> Self {
        let mut rng = Rng::new(seed);
        let mut nodes: Vec<Node> = (1..=plan.nodes).map(|id| Node::new(id, rng.bits())).collect();
        for (node, skew) in nodes.iter_mut().zip(&plan.skews) {
            node.skew_ms = *skew;
            node.reads_disk = plan.rots;
        }
        let mut roles: Vec<Box<dyn Role>> = vec![Box::new(Admin::default())];
        roles.extend((0..plan.producers).map(|it| Box::new(Producer::new(it)) as Box<dyn Role>));
        roles.extend(
            (0..plan.members).map(|it| Box::new(Member::new(it, plan.consumers)) as Box<dyn Role>),
        );
        let transactor = |it| Box::new(Transactor::new(it, plan.own_epochs)) as Box<dyn Role>;
        roles.extend((0..plan.transactors).map(transactor));
        if plan.transactors > 0 {
            roles.push(Box::new(CommittedReader::default()));
        }
        roles.extend((0..plan.sharers).map(|it| Box::new(ShareMember::new(it)) as Box<dyn Role>));
        roles.extend((0..plan.threads).map(|it| Box::new(StreamsMember::new(it)) as Box<dyn Role>));
        roles.push(Box::new(Reader::default()));
        let mut settings = vec![
            ("replica.lag.time.max.ms", plan.lag_ms.to_string()),
            ("log.dirs", "/sim".to_owned()),
            ("listeners", "PLAINTEXT://sim:9092".to_owned()),
            ("connections.max.idle.ms", "-1".to_owned()),
            ("offsets.topic.num.partitions", "2".to_owned()),
            ("transaction.state.log.num.partitions", "2".to_owned()),
            ("group.initial.rebalance.delay.ms", "50".to_owned()),
            ("log.retention.check.interval.ms", "500".to_owned()),
            // The group's offsets, too, are to outlive a disk.
            ("min.insync.replicas", if plan.replaces { "2" } else { "1" }.to_owned()),
        ];
        settings.extend(group_settings(&plan));
        let faults = plan.faults.clone().into();
        let facts = Facts {
            counts: Counts::default(),
            log: Log::new(plan.retention_ms),
            offsets: Offsets::default(),
            images: Images::default(),
            topics: Topics::default(),
            transactions: Transactions::default(),
            producer_ids: BTreeSet::new(),
            topic_id: TopicId::ZERO,
            created: false,
            partitions: plan.partitions,
            seen: BTreeMap::new(),
            directories: BTreeMap::new(),
            calm: false,
            quiet: false,
            pass: 0,
            rotate: false,
            replaced: None,
            shares: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            shares_begin: false,
            share: Share::new(plan.lock_ms, plan.deliveries),
            tasks: Owned::default(),
            plan,
        };
        Self {
            rng,
            nodes,
            net: Network::default(),
            clients: roles.into_iter().map(Client::new).collect(),
            facts,
            settings: settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            now_ms: 1,
            begun_ms: 0,
            faults,
            controller: -1,
            starts: BTreeMap::new(),
            heal_ms: 0,
            fills: [0; NODES_MAX],
            down_ms: [0; NODES_MAX],
            stopped: [0; NODES_MAX],
            disk_seed: 0,
            rots: Vec::new(),
            rotten: BTreeMap::new(),
            faults_hit: [0; NODES_MAX],
            looked: [0; NODES_MAX],
            events: Vec::new(),
            steps: 0,
            trace: 0,
            told,
        }
    }

    /// A hash of all that happened.
    pub fn trace(&self) -> u64 {
        self.nodes.iter().fold(self.trace, |hash, it| hash.rotate_left(7) ^ it.disk.trace_hash())
    }

    pub(super) fn note(&self, line: impl FnOnce() -> String) {
        if self.told {
            println!("{} {}", self.now_ms, line());
        }
    }

    /// The time at a node.
    pub(super) fn now_of(&self, at: usize) -> Now {
        let wall_ms = WALL_MS + self.now_ms + self.nodes[at].skew_ms;
        Now { wall_ms, monotonic_ms: self.now_ms }
    }

    /// A whole run.
    pub fn run(&mut self) {
        self.begin();
        self.go_on(self.facts.plan.rough_ms);
        self.settle();
    }

    /// Starts everything.
    pub fn begin(&mut self) {
        self.note(|| format!("{:#?}", self.facts.plan));
        for at in 0..self.nodes.len() {
            self.start(at);
        }
        self.until(PATIENCE_MS, "a topic", |it| it.facts.created);
        self.begun_ms = self.now_ms;
    }

    /// Runs for so long, ms, while things fail as planned.
    pub fn go_on(&mut self, ms: i64) {
        let until = self.now_ms + ms;
        while self.now_ms < until {
            self.meddle();
            self.step();
        }
    }

    /// Runs for so long, ms; the longest time meanwhile in which some partition had producers and no acknowledgement, ms.
    pub fn longest_without(&mut self, ms: i64) -> i64 {
        let (until, mut longest) = (self.now_ms + ms, 0);
        let mut last: BTreeMap<i32, (u64, i64)> = BTreeMap::new();
        while self.now_ms < until {
            self.meddle();
            self.step();
            let now_ms = self.now_ms;
            for (partition, count) in &self.facts.acknowledged {
                let (before, at_ms) = last.entry(*partition).or_insert((*count, now_ms));
                longest = longest.max(now_ms - *at_ms);
                if *before != *count {
                    (*before, *at_ms) = (*count, now_ms);
                }
            }
        }
        longest
    }

    /// The node that leads the quorum, as clients were told last.
    pub fn controller(&self) -> i32 {
        self.controller
    }

    /// Whether a process of this node runs.
    pub fn runs(&self, at: usize) -> bool {
        self.nodes[at].life.is_some() && !self.nodes[at].is_going()
    }

    /// Everything comes to rest when nothing fails any more.
    pub fn settle(&mut self) {
        self.note(|| "---- calm".to_owned());
        self.facts.calm = true;
        self.heal();
        let begun = self.now_ms;
        let all_done = |it: &Self| it.clients.iter().all(|client| client.role.is_done(&it.facts));
        let reader = self.clients.len() - 1;
        self.until(PATIENCE_MS, "all clients answered", |it| {
            it.clients[..reader].iter().all(|client| client.role.is_done(&it.facts))
        });
        (self.facts.quiet, self.facts.pass) = (true, 1);
        self.until(PATIENCE_MS, "all read, all replicas in sync", |it| {
            all_done(it) && it.facts.is_whole()
        });
        self.facts.transactions.whole();
        self.facts.counts.settle_ms_max = (self.now_ms - begun) as u64;
        if self.facts.plan.rolls {
            self.roll();
        }
        if self.facts.plan.rotates {
            for _ in 1..self.facts.plan.replicas {
                self.facts.rotate = true;
                self.until(PATIENCE_MS, "other leaders", |it| !it.facts.rotate);
                self.facts.pass += 1;
                self.until(PATIENCE_MS, "all read of other leaders", |it| {
                    all_done(it) && it.facts.is_whole()
                });
            }
        }
        for at in 0..self.nodes.len() {
            let now = self.now_of(at);
            let (damaged, repaired) = self.nodes[at].damage(now);
            self.facts.counts.damaged += damaged;
            self.facts.counts.repaired += repaired;
        }
        self.facts.counts.used_up = self.facts.share.used_up();
        self.facts.counts.steps_max = self.steps;
        for at in 0..self.nodes.len() {
            let now = self.now_of(at);
            assert_eq!(self.nodes[at].panics(now), 0, "node {} has caught panics", at + 1);
        }
    }

    /// Every node is stopped and started once, one after the other.
    fn roll(&mut self) {
        for at in 0..self.nodes.len() {
            self.note(|| format!("---- node {} is stopped", at + 1));
            let (now, stops) = (self.now_of(at), self.facts.counts.stops);
            self.stopped[at] = 0;
            self.nodes[at].begin_stop(now, &mut self.net);
            self.until(PATIENCE_MS, "a stop", |it| it.facts.counts.stops > stops);
            self.until(PATIENCE_MS, "all replicas in sync", |it| it.facts.is_whole());
        }
    }

    /// Runs on, in whatever is the case now, until this holds.
    fn until(&mut self, patience_ms: i64, what: &str, holds: impl Fn(&Self) -> bool) {
        let until = self.now_ms + patience_ms;
        let mut looked_ms = -1;
        loop {
            // It costs more than a step.
            if looked_ms != self.now_ms {
                looked_ms = self.now_ms;
                if holds(self) {
                    return;
                }
            }
            if self.now_ms >= until {
                let waiting = self.clients.iter().filter(|it| !it.role.is_done(&self.facts));
                let waits: Vec<String> = waiting.map(|it| it.role.waits()).collect();
                panic!(
                    "never {what}: {:?}, controller {}, {waits:?}",
                    self.facts.seen, self.controller
                );
            }
            self.step();
        }
    }

    // ---- Steps ----

    fn step(&mut self) {
        self.steps += 1;
        assert!(self.steps < STEPS_MAX, "it goes on for ever");
        self.look_after_nodes();
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        for (at, node) in self.nodes.iter().enumerate() {
            node.events(self.now_of(at), &mut |it| events.push(Event::Node(at, it)));
        }
        self.net.events(self.now_ms, &mut |it| events.push(Event::Net(it)));
        for (at, client) in self.clients.iter().enumerate() {
            if client.next_ms <= self.now_ms {
                events.push(Event::Act(at));
            }
        }
        for (at, client) in self.clients.iter().enumerate() {
            for (id, session) in &client.sessions {
                if self.nodes[*id as usize - 1].has_answer(session.at) {
                    events.push(Event::Answer(at, *id));
                }
            }
        }
        if events.is_empty() || self.rng.chance(1) {
            self.advance(events.is_empty());
            self.events = events;
            return;
        }
        self.trace = self.trace.rotate_left(5) ^ self.now_ms as u64 ^ events.len() as u64;
        // Looking at all costs more than letting one happen: some happen for one look.
        for _ in 0..=events.len() / EVENTS_A_STEP {
            let event = events.swap_remove(self.rng.index(events.len()));
            self.happens(event);
        }
        self.events = events;
        self.take_closed();
    }

    /// Lets an event happen, unless what happened since the look has taken it away.
    fn happens(&mut self, event: Event) {
        match event {
            Event::Node(at, event) => {
                let now = self.now_of(at);
                let Self { rng, net, nodes, .. } = self;
                nodes[at].run(event, now, rng, net);
                self.look(at);
            }
            Event::Net(event) => self.run_net(event),
            Event::Act(client) => self.act(client),
            Event::Answer(client, node) => self.answer(client, node),
        }
    }

    /// Looks at the metadata of a node, where they are others.
    fn look(&mut self, at: usize) {
        let Some(life) = &self.nodes[at].life else { return };
        let image = life.brokers[0].image();
        if self.looked[at] != image.index {
            self.looked[at] = image.index;
            self.facts.images.look(&image);
        }
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
        let fault = self.faults.front().map_or(i64::MAX, |it| it.at_ms + self.begun_ms);
        let next = nodes.min(clients).min(starts).min(heal).min(fault);
        let next = next.min(self.net.next_deadline());
        self.now_ms = next.clamp(self.now_ms + 1, self.now_ms + 500);
    }

    fn run_net(&mut self, event: network::Event) {
        match event {
            network::Event::Connect(id) => {
                let waits = |it: &&mut network::Wire| !it.connected && !it.gone[0];
                let Some(wire) = self.net.wires.get_mut(&id).filter(waits) else { return };
                let (dialler, to) = (wire.dialler, wire.to);
                let alive = self.net.is_alive(to);
                let now = self.now_of(dialler.0 as usize - 1);
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
                let end = self.net.end(id, side);
                let Some(end) = end.filter(|_| self.net.wires[&id].flush[side]) else { return };
                let most = if self.rng.chance(30) {
                    self.rng.between(1, 3_000) as usize
                } else {
                    usize::MAX
                };
                let now = self.now_of(end.0 as usize - 1);
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
                if let Some(end) = self.net.end(id, side) {
                    let now = self.now_of(end.0 as usize - 1);
                    let node = &mut self.nodes[end.0 as usize - 1];
                    let input = PeerInput::Failed { refused: false };
                    node.peer_input(end, input, now, &mut self.net);
                }
            }
        }
    }

    fn arrive(&mut self, id: u64, side: usize) {
        let Some(wire) = self.net.wires.get_mut(&id).filter(|it| !it.gone[side]) else { return };
        let node_id = if side == 0 { wire.dialler.0 } else { wire.to };
        let wall_ms = WALL_MS + self.now_ms + self.nodes[node_id as usize - 1].skew_ms;
        let now = Now { wall_ms, monotonic_ms: self.now_ms };
        let node = &mut self.nodes[node_id as usize - 1];
        if node.frozen_until_ms > self.now_ms {
            return;
        }
        let bytes = if side == 0 { &mut wire.back } else { &mut wire.forth };
        if bytes.is_empty() {
            return;
        }
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
            let Some(life) = self.nodes[at].life.as_mut().filter(|it| !it.closed.is_empty()) else {
                continue;
            };
            let (closed, id) = (std::mem::take(&mut life.closed), self.nodes[at].id);
            for (socket, client) in closed {
                if self.clients[client].sessions.get(&id).is_some_and(|it| it.at == socket) {
                    self.lose(client, id);
                }
            }
        }
    }

    /// A session is gone.
    pub(super) fn lose(&mut self, client: usize, node: i32) {
        let now = self.now_ms;
        let it = &mut self.clients[client];
        let Some(session) = it.sessions.remove(&node) else { return };
        it.stale = true;
        session.asked.iter().for_each(|asked| it.role.lost(node, asked, now));
        it.role.closed(&mut self.facts, node, now);
    }

    /// Lets a client play its part.
    fn play(
        &mut self,
        client: usize,
        part: impl FnOnce(&mut dyn Role, &mut Cx<'_>, &mut BTreeMap<i32, Session>),
    ) {
        let Self { rng, facts, clients, nodes, now_ms, .. } = self;
        let Client { role, sessions, leaders, stale, .. } = &mut clients[client];
        let (now_ms, wall_ms) = (*now_ms, WALL_MS + *now_ms);
        let mut cx = Cx { rng, now_ms, wall_ms, facts, nodes, leaders, stale };
        part(role.as_mut(), &mut cx, sessions);
    }

    fn act(&mut self, client: usize) {
        let pause = self.rng.between(5, 60) as i64;
        self.clients[client].next_ms = self.now_ms + pause;
        // Now and then a client gives a session up.
        let sessions: Vec<i32> = self.clients[client].sessions.keys().copied().collect();
        if !self.facts.calm && !sessions.is_empty() && self.rng.chance(1) {
            let node = sessions[self.rng.index(sessions.len())];
            let at = self.clients[client].sessions[&node].at;
            let now = self.now_of(node as usize - 1);
            self.nodes[node as usize - 1].leave(at, now, &mut self.net);
            self.lose(client, node);
        }
        let to = self.rng.index(self.nodes.len());
        let (id, now) = (self.nodes[to].id, self.now_of(to));
        if !self.clients[client].sessions.contains_key(&id)
            && let Some(at) = self.nodes[to].connect(client, now, &mut self.rng)
        {
            self.clients[client].sessions.insert(id, Session::new(at));
        }
        let ids: Vec<i32> = self.clients[client].sessions.keys().copied().collect();
        // Any of them is asked for metadata: what the first one knows may be old.
        let turn = ids.get(self.now_ms as usize % ids.len().max(1)).copied();
        for id in ids {
            let it = &mut self.clients[client];
            let session = it.sessions.get_mut(&id).expect("just seen");
            if session.ready {
                let due = it.asked_ms + 100 <= self.now_ms && self.facts.created;
                if turn == Some(id) && due && (it.stale || self.rng.chance(3)) {
                    it.asked_ms = self.now_ms;
                    it.stale = false;
                    let name = Some(it.role.topic());
                    let topic = MetadataRequestTopic { name, ..Default::default() };
                    let topics = Some(vec![topic]);
                    session.send(
                        &MetadataRequest { topics, ..MetadataRequest::default() },
                        Asked::Metadata,
                    );
                }
                self.play(client, |role, cx, sessions| {
                    role.act(cx, id, sessions.get_mut(&id).expect("just seen"));
                });
            }
            let session = self.clients[client].sessions.get_mut(&id).expect("just seen");
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
        if let Asked::Metadata = asked {
            return self.learn(client, &reply);
        }
        self.play(client, |role, cx, _| role.answered(cx, node, &asked, &reply));
    }

    /// Metadata have come.
    fn learn(&mut self, client: usize, reply: &Reply) {
        let response = reply.read::<MetadataRequest<'_>>().expect("an answer");
        let counts = &mut self.facts.counts;
        if response.controller_id >= 0 && response.controller_id != self.controller {
            counts.controllers += u64::from(self.controller >= 0);
            self.controller = response.controller_id;
        }
        let Some(topic) = response.topics.first().filter(|it| it.error_code == 0) else { return };
        let of_all = topic.name == Some(TOPIC);
        if of_all {
            self.facts.topic_id = topic.topic_id;
        }
        let it = &mut self.clients[client];
        for partition in &topic.partitions {
            let (number, leader) = (partition.partition_index, partition.leader_id);
            let known = it.leaders.entry(number).or_insert((-1, -1));
            if partition.leader_epoch < known.1 {
                continue;
            }
            *known = (leader, partition.leader_epoch);
            if !of_all {
                continue;
            }
            let now = Seen {
                leader,
                epoch: partition.leader_epoch,
                replicas: partition.replica_nodes.clone(),
                isr: partition.isr_nodes.clone(),
            };
            let before = self.facts.seen.get(&number);
            if before.is_some_and(|it| it.epoch > now.epoch) {
                continue;
            }
            counts.leaders += u64::from(before.is_some_and(|it| it.leader != leader));
            self.facts.seen.insert(number, now);
        }
        it.stale = it.leaders.values().any(|it| it.0 < 0);
    }
}

/// What brokers are told of the groups of a plan: everything is quick.
fn group_settings(plan: &Plan) -> Vec<(&'static str, String)> {
    let mut all = Vec::new();
    if plan.sharers > 0 {
        all.extend([
            ("group.share.min.record.lock.duration.ms", "1000".to_owned()),
            ("group.share.record.lock.duration.ms", plan.lock_ms.to_string()),
            ("group.share.delivery.count.limit", plan.deliveries.to_string()),
            ("group.share.min.session.timeout.ms", "6000".to_owned()),
            ("group.share.session.timeout.ms", "6000".to_owned()),
            ("share.coordinator.state.topic.num.partitions", "2".to_owned()),
            ("share.coordinator.state.topic.prune.interval.ms", "2000".to_owned()),
            ("share.coordinator.snapshot.update.records.per.snapshot", "7".to_owned()),
        ]);
    }
    if plan.threads > 0 {
        all.extend([
            ("group.streams.min.session.timeout.ms", "6000".to_owned()),
            ("group.streams.session.timeout.ms", "6000".to_owned()),
            ("group.streams.initial.rebalance.delay.ms", "50".to_owned()),
            ("group.streams.assignment.interval.ms", "100".to_owned()),
        ]);
    }
    all
}
