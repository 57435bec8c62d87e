//! Three brokers, the network between them, and what is checked.

use crate::controller::{Controller, Image};
use crate::node::{Frame, Node};
use klamm::replica::{AppendOutcome, Common, FollowerEnd, IsrChange, Leading, Patience};
use klamm::types::{ErrorCode, Now, Rng};
use klamm::wire::records::BatchHeader;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

const NODES: [i32; 3] = [1, 2, 3];
const LAG_MAX_MS: i64 = 100;
const PRODUCERS: u64 = 3;

/// What happened in a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub acknowledged: u64,
    pub leaders: u64,
    pub crashes: u64,
    pub wipes: u64,
    pub truncations: u64,
    pub anew: u64,
    pub shrinks: u64,
    pub joins: u64,
    pub late: u64,
    pub refused: u64,
}

impl Seen {
    pub fn all(&self) -> [u64; 10] {
        [
            self.acknowledged,
            self.leaders,
            self.crashes,
            self.wipes,
            self.truncations,
            self.anew,
            self.shrinks,
            self.joins,
            self.late,
            self.refused,
        ]
    }

    pub fn add(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.leaders += other.leaders;
        self.crashes += other.crashes;
        self.wipes += other.wipes;
        self.truncations += other.truncations;
        self.anew += other.anew;
        self.shrinks += other.shrinks;
        self.joins += other.joins;
        self.late += other.late;
        self.refused += other.refused;
    }
}

#[derive(Clone, Debug)]
enum Message {
    Subscribe { epoch: i32, told: FollowerEnd, last_epoch: i32 },
    Answer(i32, Common),
    Frame(i32, Rc<Frame>),
    Watermark { epoch: i32, watermark: i64, start: i64 },
    Durable(FollowerEnd),
}

/// One way of a connection.
struct Pipe {
    connection: u64,
    from: i32,
    to: i32,
    messages: VecDeque<Message>,
    is_broken: bool,
    /// Nothing of it arrives before, ms.
    held_ms: i64,
}

/// A message between a leader and the controller.
enum Asked {
    Proposal { from: i32, incarnation: i64, change: IsrChange },
    Refused { to: i32, incarnation: i64, error: ErrorCode, change: IsrChange },
}

pub struct Cluster {
    rng: Rng,
    nodes: Vec<Node>,
    controller: Controller,
    pipes: Vec<Pipe>,
    asked: Vec<Asked>,
    now_ms: i64,
    min_insync: usize,
    deletes: bool,
    next_connection: u64,
    next_frame: u64,
    /// By producer: epoch and next sequence of the last that was acknowledged or not.
    producers: BTreeMap<u64, (i16, i32)>,
    /// The log below every watermark, frame by frame: its number, and where it begins and ends.
    committed: Vec<(u64, i64, i64)>,
    /// The newest epoch in which a watermark has moved.
    committed_in: i32,
    /// Of these nobody has an answer: node, its incarnation, epoch, and the end.
    waiting: Vec<(i32, i64, i32, i64, u64)>,
    pub seen: Seen,
}

impl Cluster {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let min_insync = rng.between(1, 3) as usize;
        let deletes = rng.chance(30);
        let mut cluster = Self {
            rng,
            nodes: NODES.map(Node::new).into(),
            controller: Controller::new(&NODES),
            pipes: Vec::new(),
            asked: Vec::new(),
            now_ms: 1_000,
            min_insync,
            deletes,
            next_connection: 0,
            next_frame: 0,
            producers: BTreeMap::new(),
            committed: Vec::new(),
            committed_in: -1,
            waiting: Vec::new(),
            seen: Seen::default(),
        };
        NODES.iter().for_each(|node| cluster.start(*node));
        cluster
    }

    fn node(&mut self, id: i32) -> &mut Node {
        &mut self.nodes[id as usize - 1]
    }

    fn any(&mut self) -> i32 {
        NODES[self.rng.index(NODES.len())]
    }

    pub fn run(&mut self) {
        let steps = self.rng.between(100, 500);
        for _ in 0..steps {
            self.step();
            self.check();
        }
        self.rest();
    }

    fn step(&mut self) {
        self.now_ms += self.rng.below(4) as i64;
        match self.rng.below(100) {
            0..=13 => self.produce(),
            14..=54 => {
                for _ in 0..self.rng.between(1, 4) {
                    self.deliver();
                }
            }
            55..=69 => {
                let id = self.any();
                self.sync(id, false);
            }
            70..=77 => {
                let id = self.any();
                self.hear_image(id, false);
            }
            78..=83 => self.propose(),
            84..=88 => self.ask(),
            89 => {
                let id = self.any();
                if self.node(id).is_up && self.rng.chance(70) {
                    self.crash(id);
                    if self.rng.chance(30) {
                        self.start(id);
                    }
                }
            }
            90..=91 => {
                let id = self.any();
                if !self.node(id).is_up {
                    if self.rng.chance(50) {
                        self.fence(id);
                    }
                    self.start(id);
                }
            }
            92 => {
                let id = self.any();
                if !self.node(id).is_up || self.rng.chance(20) {
                    self.fence(id);
                }
                let id = self.any();
                if self.node(id).is_up {
                    self.controller.unfence(id, &mut self.rng);
                }
            }
            93 => {
                if self.rng.chance(40) {
                    self.controller.move_leader(&mut self.rng);
                }
            }
            94 => self.break_one(),
            95 => {
                let id = self.any();
                if self.node(id).is_up {
                    self.node(id).take_checkpoint();
                }
            }
            96 => self.now_ms += [50, 150, 1_100][self.rng.index(3)],
            97 if self.deletes => self.delete(),
            _ => {
                let id = self.any();
                self.push(id, 3);
            }
        }
    }

    fn start(&mut self, id: i32) {
        let is_wiped = self.node(id).is_wiped;
        let (incarnation, image) = self.controller.register(id, is_wiped, &mut self.rng);
        self.node(id).start(incarnation, image);
        if self.rng.chance(50) {
            self.hear_image(id, true);
        }
    }

    /// One good copy is always left in sync.
    fn fence(&mut self, id: i32) {
        let intact = |node: i32| !self.nodes[node as usize - 1].is_wiped;
        if self.controller.may_wipe(id, intact) {
            self.controller.fence(id, &mut self.rng);
        }
    }

    fn crash(&mut self, id: i32) {
        self.seen.crashes += 1;
        if self.rng.chance(40) {
            // The last that it said is on its way.
            self.sync(id, true);
        }
        self.node(id).crash();
        let intact = |node: i32| !self.nodes[node as usize - 1].is_wiped;
        if self.rng.chance(25) && self.controller.may_wipe(id, intact) {
            self.seen.wipes += 1;
            self.node(id).wipe();
            // It may not become the only one in sync any more: nothing could be done about that.
            self.asked.retain(|it| !matches!(it, Asked::Proposal { from, .. } if *from == id));
        }
        // What it has sent may still arrive, and what was sent to it does not.
        self.pipes.retain(|pipe| pipe.to != id);
        let held_ms = self.held_ms();
        for pipe in self.pipes.iter_mut().filter(|pipe| pipe.from == id) {
            (pipe.is_broken, pipe.held_ms) = (true, held_ms);
        }
    }

    /// A client appends a batch or two to whoever thinks that it leads.
    fn produce(&mut self) {
        let leaders: Vec<i32> =
            self.nodes.iter().filter(|it| it.is_up && it.core.leads()).map(|it| it.id).collect();
        if leaders.is_empty() {
            return;
        }
        let id = leaders[self.rng.index(leaders.len())];
        if self.node(id).core.not_enough_replicas() {
            return;
        }
        self.next_frame += 1;
        let number = self.next_frame;
        let mut batches = Vec::new();
        for _ in 0..self.rng.between(1, 3) {
            let mut batch = BatchHeader {
                base_offset: 0,
                batch_length: 100,
                partition_leader_epoch: -1,
                magic: 2,
                crc: number as u32,
                attributes: 0,
                last_offset_delta: self.rng.below(4) as i32,
                base_timestamp: 0,
                max_timestamp: number as i64,
                producer_id: -1,
                producer_epoch: -1,
                base_sequence: -1,
                record_count: 0,
                marker: None,
            };
            batch.record_count = batch.last_offset_delta + 1;
            if self.rng.chance(70) {
                let producer = self.rng.below(PRODUCERS);
                let known = self.producers.entry(producer).or_insert((0, 0));
                // After an error, which is what a lost leader is, a producer may go on in a new epoch.
                if self.rng.chance(20) {
                    *known = (known.0 + 1, 0);
                }
                (batch.producer_id, batch.producer_epoch) = (producer as i64, known.0);
                batch.base_sequence = known.1;
                known.1 += batch.record_count;
            }
            let now = Now { wall_ms: self.now_ms, monotonic_ms: 0 };
            let node = &mut self.nodes[id as usize - 1];
            let epoch = node.core.leader_epoch();
            let taken = node.core.append(now, &batch, &mut node.memory);
            match taken {
                Ok(AppendOutcome::Accept { base_offset, .. }) => {
                    (batch.base_offset, batch.partition_leader_epoch) = (base_offset, epoch);
                    batches.push(batch);
                }
                // It does not know what the producer was told by another one: a new epoch.
                Ok(AppendOutcome::Duplicate { .. }) | Err(_) => {
                    let known = self.producers.get_mut(&(batch.producer_id as u64)).expect("one");
                    *known = (known.0 + 1, 0);
                }
            }
        }
        if batches.is_empty() {
            return;
        }
        let node = self.node(id);
        let epoch = node.core.leader_epoch();
        let frame = Rc::new(Frame { number, epoch, batches });
        let (incarnation, end) = (node.incarnation, frame.next());
        node.append(frame);
        node.check_state();
        self.waiting.push((id, incarnation, epoch, end, number));
        if self.rng.chance(70) {
            self.push(id, 10);
        }
    }

    /// Sends some frames, durable or not, to the followers of a node, and its watermark.
    fn push(&mut self, id: i32, most: usize) {
        let node = self.node(id);
        if !node.is_up || !node.core.leads() {
            return;
        }
        let (epoch, watermark) = (node.core.leader_epoch(), node.core.high_watermark());
        let start = node.core.log_start();
        let (mut out, mut lost) = (Vec::new(), Vec::new());
        let mut streams = std::mem::take(&mut node.streams);
        for (_, connection, next) in &mut streams {
            let first = node.log.partition_point(|frame| frame.base() < *next);
            for frame in node.log[first..].iter().take(most) {
                if frame.base() != *next {
                    // Deleted meanwhile: it is to subscribe again.
                    lost.push(*connection);
                    break;
                }
                *next = frame.next();
                out.push((*connection, Message::Frame(epoch, frame.clone())));
            }
            out.push((*connection, Message::Watermark { epoch, watermark, start }));
        }
        streams.retain(|it| !lost.contains(&it.1));
        node.streams = streams;
        lost.into_iter().for_each(|connection| self.close(connection));
        for (connection, message) in out {
            self.send(id, connection, message);
        }
    }

    fn send(&mut self, from: i32, connection: u64, message: Message) {
        let pipe = self
            .pipes
            .iter_mut()
            .find(|it| it.from == from && it.connection == connection && !it.is_broken);
        if let Some(pipe) = pipe {
            pipe.messages.push_back(message);
        }
    }

    fn connect(&mut self, from: i32, to: i32) -> u64 {
        self.next_connection += 1;
        let connection = self.next_connection;
        for (from, to) in [(from, to), (to, from)] {
            let messages = VecDeque::new();
            let (is_broken, held_ms) = (false, 0);
            self.pipes.push(Pipe { connection, from, to, messages, is_broken, held_ms });
        }
        connection
    }

    fn close(&mut self, connection: u64) {
        for pipe in self.pipes.iter_mut().filter(|it| it.connection == connection) {
            pipe.is_broken = true;
        }
    }

    /// A connection breaks: what is under way arrives later, or a part of it.
    fn break_one(&mut self) {
        if self.pipes.is_empty() {
            return;
        }
        let at = self.rng.index(self.pipes.len());
        let (connection, held_ms) = (self.pipes[at].connection, self.held_ms());
        for pipe in self.pipes.iter_mut().filter(|it| it.connection == connection) {
            pipe.is_broken = true;
            let left = self.rng.index(pipe.messages.len() + 1);
            pipe.messages.truncate(left);
            pipe.held_ms = held_ms;
        }
    }

    /// Until when what is under way is held up on a connection that broke, ms.
    fn held_ms(&mut self) -> i64 {
        let most = [1, 300, 3_000][self.rng.index(3)];
        self.now_ms + self.rng.below(most) as i64
    }

    /// One message arrives: the first of some connection.
    fn deliver(&mut self) {
        self.pipes.retain(|it| !(it.is_broken && it.messages.is_empty()));
        let arrives = |pipe: &Pipe| !pipe.messages.is_empty() && pipe.held_ms <= self.now_ms;
        let full: Vec<usize> =
            (0..self.pipes.len()).filter(|at| arrives(&self.pipes[*at])).collect();
        if full.is_empty() {
            return;
        }
        let pipe = &mut self.pipes[full[self.rng.index(full.len())]];
        let message = pipe.messages.pop_front().expect("it is not empty");
        let (from, to, connection, late) = (pipe.from, pipe.to, pipe.connection, pipe.is_broken);
        self.seen.late += u64::from(late);
        if self.node(to).is_up {
            self.receive(from, to, connection, message);
        }
    }

    fn receive(&mut self, from: i32, to: i32, connection: u64, message: Message) {
        let now_ms = self.now_ms;
        match message {
            Message::Subscribe { epoch, told, last_epoch } => {
                let node = self.node(to);
                if !node.core.leads() || node.core.leader_epoch() != epoch {
                    // It is to come again.
                    return self.close(connection);
                }
                let common = node.core.find_common(last_epoch, told.end);
                // What a connection before had under way counts for nothing.
                let is_newest = node.streams.iter().all(|it| it.0 != from || it.1 <= connection);
                if common == Common::GoOn && is_newest {
                    node.streams.retain(|it| it.0 != from);
                    node.streams.push((from, connection, told.end));
                    node.core.subscribed(&told, now_ms);
                }
                let watermark = node.core.high_watermark();
                let start = node.core.log_start();
                self.send(to, connection, Message::Watermark { epoch, watermark, start });
                self.send(to, connection, Message::Answer(epoch, common));
                self.watermark_moved(to);
            }
            Message::Durable(told) => {
                self.node(to).core.durable_at(&told, now_ms);
                self.watermark_moved(to);
            }
            Message::Answer(epoch, common) => self.answered(to, connection, epoch, common),
            Message::Frame(epoch, frame) => self.take_frame(to, connection, epoch, frame),
            Message::Watermark { epoch, watermark, start } => {
                let node = self.node(to);
                node.core.watermark(epoch, watermark);
                if node.core.has_joined(epoch)
                    && let Some(start) = node.core.follows_start(start)
                {
                    node.set_start(start);
                }
                self.watermark_moved(to);
            }
        }
    }

    fn answered(&mut self, to: i32, connection: u64, epoch: i32, common: Common) {
        let node = self.node(to);
        if node.subscribed != Some((connection, epoch)) || node.core.leader_epoch() != epoch {
            return;
        }
        match common {
            Common::GoOn => return node.core.joins(epoch),
            Common::TruncateTo { epoch: floor, end } => {
                let cut = node.core.diverges(floor, end);
                let cut = cut.unwrap_or_else(|why| panic!("node {to}: {why}"));
                assert!(cut < node.end(), "node {to}: {common:?} cuts nothing");
                node.truncate(cut);
                self.seen.truncations += 1;
            }
            Common::BehindLogStart(start) => {
                node.restart_at(start);
                self.seen.anew += 1;
            }
        }
        self.subscribe(to, Some(connection));
    }

    fn take_frame(&mut self, to: i32, connection: u64, epoch: i32, frame: Rc<Frame>) {
        let node = self.node(to);
        if !node.core.has_joined(epoch) {
            return;
        }
        if frame.base() != node.end() {
            // One that it has, from a connection before; or one is missing.
            if node.subscribed == Some((connection, epoch)) && frame.base() > node.end() {
                node.subscribed = None;
            }
            return;
        }
        let fits = node.core.check_frame_epoch(frame.epoch).is_ok();
        assert!(fits, "node {to}: a frame of epoch {} in {epoch}", frame.epoch);
        let (batches, next) = (frame.batches.iter().copied(), frame.next());
        node.core.take_frame(0, batches, next, &mut node.memory);
        node.append(frame);
        node.check_state();
    }

    /// Says where its log ends, if all of it is durable.
    fn subscribe(&mut self, id: i32, connection: Option<u64>) {
        let node = self.node(id);
        let epoch = node.core.leader_epoch();
        let Some(leader) = node.core.leader().filter(|_| node.durable == node.end()) else {
            return;
        };
        let told = FollowerEnd {
            node: id,
            incarnation: node.incarnation,
            leader_epoch: epoch,
            end: node.end(),
        };
        let last_epoch = node.core.last_epoch();
        let connection = match connection {
            Some(connection) => connection,
            None if !self.node(leader).is_up => return,
            None => self.connect(id, leader),
        };
        self.node(id).subscribed = Some((connection, epoch));
        self.send(id, connection, Message::Subscribe { epoch, told, last_epoch });
    }

    /// Some of what a node has appended is durable.
    fn sync(&mut self, id: i32, all: bool) {
        let most = self.rng.index(4);
        let node = self.node(id);
        if !node.is_up {
            return;
        }
        let waits: Vec<i64> =
            node.log.iter().map(|it| it.next()).filter(|end| *end > node.durable).collect();
        let end = if all { waits.last() } else { waits.get(most.min(waits.len().max(1) - 1)) };
        if let Some(end) = end {
            node.becomes_durable(*end);
        }
        let epoch = node.core.leader_epoch();
        let joined = node.core.has_joined(epoch);
        if let Some((connection, of)) = node.subscribed.filter(|it| it.1 == epoch && joined) {
            let (incarnation, end) = (node.incarnation, node.durable);
            let told = FollowerEnd { node: id, incarnation, leader_epoch: of, end };
            self.send(id, connection, Message::Durable(told));
        }
        self.watermark_moved(id);
        self.reconnect(id);
    }

    /// Subscribes where it follows and has no connection that holds.
    fn reconnect(&mut self, id: i32) {
        let node = self.node(id);
        if !node.is_up || node.core.leader().is_none() {
            return;
        }
        let epoch = node.core.leader_epoch();
        let subscribed = node.subscribed.filter(|it| it.1 == epoch);
        let holds = subscribed.is_some_and(|(connection, _)| {
            self.pipes.iter().any(|it| it.connection == connection && !it.is_broken && it.to == id)
                && self
                    .pipes
                    .iter()
                    .any(|it| it.connection == connection && !it.is_broken && it.from == id)
        });
        if !holds {
            self.subscribe(id, None);
        }
    }

    /// A node hears of a later image, not always of the latest.
    fn hear_image(&mut self, id: i32, latest: bool) {
        let last = self.controller.images.len() - 1;
        let first = self.nodes[id as usize - 1].image;
        if !self.nodes[id as usize - 1].is_up || first > last {
            return;
        }
        let number = if latest { last } else { first + self.rng.index(last - first + 1) };
        self.node(id).image = number + 1;
        self.apply_image(id, number);
    }

    fn apply_image(&mut self, id: i32, number: usize) {
        let (now_ms, min_insync) = (self.now_ms, self.min_insync);
        let Image { leader, leader_epoch, partition_epoch, isr } =
            self.controller.images[number].clone();
        let node = self.node(id);
        let before = node.core.leader_epoch();
        if leader == id {
            let to = Leading {
                node: id,
                epoch: leader_epoch,
                partition_epoch,
                replicas: &NODES,
                isr: &isr,
                min_insync,
                now_ms,
            };
            node.core.lead(&to);
            if leader_epoch > before {
                node.streams.clear();
                self.seen.leaders += 1;
                self.check_leader(id);
            }
        } else if leader >= 0 {
            node.core.follow(leader_epoch, leader, 0);
            if leader_epoch > before {
                node.streams.clear();
                node.subscribed = None;
            }
        }
        let node = self.node(id);
        assert_eq!(node.core.log_end(), node.end());
        self.watermark_moved(id);
        self.reconnect(id);
    }

    /// Every leader asks for the ISR that it wants.
    fn propose(&mut self) {
        for id in NODES {
            let now_ms = self.now_ms;
            // Those that it takes for fenced.
            let fenced = NODES.map(|_| self.rng.chance(10));
            // And for those without space: who is waited for less long, and who not at all.
            let full = NODES.into_iter().filter(|_| self.rng.chance(10));
            let full: BTreeMap<i32, i64> =
                full.map(|id| (id, i64::from(id % 2) * LAG_MAX_MS / 2)).collect();
            let node = self.node(id);
            if !node.is_up {
                continue;
            }
            let patience = Patience { lag_max_ms: LAG_MAX_MS, without_space: &full };
            let deadline = node.core.isr_deadline_ms(patience);
            let may_join = |other: i32| !fenced[other as usize - 1];
            let (change, moved) = node.core.isr_change(now_ms, patience, may_join);
            let incarnation = node.incarnation;
            if moved {
                self.watermark_moved(id);
            }
            if let Some(change) = change {
                assert!(deadline.is_some_and(|at| at <= now_ms), "{deadline:?} at {now_ms}");
                self.asked.push(Asked::Proposal { from: id, incarnation, change });
            }
        }
    }

    /// One message between a leader and the controller arrives, or is lost.
    fn ask(&mut self) {
        if self.asked.is_empty() {
            return;
        }
        let at = self.rng.index(self.asked.len());
        let asked = self.asked.swap_remove(at);
        let is_lost = self.rng.chance(15);
        self.answer(asked, is_lost);
    }

    fn answer(&mut self, asked: Asked, is_lost: bool) {
        match asked {
            Asked::Proposal { .. } if is_lost => {}
            Asked::Proposal { from, incarnation, change } => {
                let before = self.controller.image().isr.len();
                let error = self.controller.propose(from, &change);
                let after = self.controller.image().isr.len();
                self.seen.shrinks += u64::from(after < before);
                self.seen.joins += u64::from(after > before);
                if error != ErrorCode::NONE {
                    self.seen.refused += 1;
                    self.asked.push(Asked::Refused { to: from, incarnation, error, change });
                }
            }
            Asked::Refused { to, incarnation, error, change } => {
                let now_ms = self.now_ms;
                let node = self.node(to);
                let is_same = node.incarnation == incarnation
                    && node.core.leader_epoch() == change.leader_epoch;
                if node.is_up && is_same && !is_lost {
                    node.core.isr_refused(&change, error, now_ms);
                    self.watermark_moved(to);
                }
            }
        }
    }

    /// The leader deletes some of what is committed.
    fn delete(&mut self) {
        let id = self.any();
        let to = self.rng.below(100);
        let node = self.node(id);
        if !node.is_up || !node.core.leads() {
            return;
        }
        let ends = node.log.iter().map(|it| it.next());
        let ends: Vec<i64> = ends.filter(|end| *end <= node.core.high_watermark()).collect();
        if let Some(start) = ends.get(ends.len() * to as usize / 100) {
            node.set_start(*start);
        }
    }

    /// What is below the watermark of a node is the same everywhere; and what waited for it is
    /// acknowledged.
    fn watermark_moved(&mut self, id: i32) {
        let node = &mut self.nodes[id as usize - 1];
        let (watermark, epoch) = (node.core.high_watermark(), node.core.leader_epoch());
        assert!(watermark <= node.durable, "node {id}: {watermark} is not durable");
        if node.core.leads() {
            assert!(node.led.0 != epoch || node.led.1 <= watermark, "node {id}: it fell");
            node.led = (epoch, watermark);
        }
        let below: Vec<_> =
            node.log.iter().filter(|frame| frame.next() <= watermark).cloned().collect();
        let (leads, incarnation) = (node.core.leads(), node.incarnation);
        for frame in below {
            let named = (frame.number, frame.base(), frame.next());
            let at = self.committed.partition_point(|it| it.2 <= named.1);
            match self.committed.get(at) {
                Some(known) => assert_eq!(*known, named, "node {id}: another frame is committed"),
                None => {
                    let end = self.committed.last().map_or(0, |it| it.2);
                    assert_eq!(named.1, end, "node {id}: committed behind a gap");
                    self.committed.push(named);
                    self.committed_in = self.committed_in.max(epoch);
                }
            }
        }
        let (committed, seen) = (&self.committed, &mut self.seen);
        self.waiting.retain(|(leader, of, in_epoch, end, number)| {
            let waits = leads && (*leader, *of, *in_epoch) == (id, incarnation, epoch);
            if !waits || *end > watermark {
                return true;
            }
            assert!(committed.iter().any(|it| it.0 == *number), "acknowledged and not committed");
            seen.acknowledged += 1;
            false
        });
    }

    /// A new leader has all that is committed.
    fn check_leader(&mut self, id: i32) {
        let committed = self.committed.last().map_or(0, |it| it.2);
        let committed_in = self.committed_in;
        let node = self.node(id);
        if node.core.leader_epoch() < committed_in {
            // It hears late that it led once.
            return;
        }
        assert!(
            node.end() >= committed,
            "node {id} leads up to {}, {committed} is committed",
            node.end()
        );
        self.check_log(id, committed);
    }

    fn check_log(&self, id: i32, end: i64) {
        let node = &self.nodes[id as usize - 1];
        let frames: BTreeMap<i64, u64> =
            node.log.iter().map(|frame| (frame.base(), frame.number)).collect();
        for (number, base, next) in self.committed.iter().filter(|it| it.1 >= node.start) {
            if *next <= end {
                assert_eq!(frames.get(base), Some(number), "node {id} at offset {base}");
            }
        }
    }

    /// Every member of the ISR has, durably, all that is committed.
    fn check(&mut self) {
        let committed = self.committed.last().map_or(0, |it| it.2);
        for id in self.controller.image().isr.clone() {
            let node = &self.nodes[id as usize - 1];
            assert!(NODES.contains(&id));
            if node.is_wiped {
                continue;
            }
            let durable = node.durable;
            assert!(durable >= committed, "node {id} has {durable} of {committed} and is in sync");
            self.check_log(id, durable);
        }
    }

    fn shown(&self) -> String {
        let shown = |it: &Node| {
            let core = &it.core;
            let (id, end, durable, watermark) =
                (it.id, it.end(), it.durable, core.high_watermark());
            let (epoch, joined) = (core.leader_epoch(), core.has_joined(core.leader_epoch()));
            let (leader, streams, subscribed) = (core.leader(), &it.streams, it.subscribed);
            format!(
                "node {id} of {leader:?} in {epoch}: {watermark}, {durable}, {end}, joined {joined}, \
                 {subscribed:?}, {streams:?}\n"
            )
        };
        self.nodes.iter().map(shown).collect()
    }

    /// Nothing fails any more: all becomes equal.
    fn rest(&mut self) {
        for id in NODES {
            if !self.node(id).is_up {
                self.start(id);
            }
            self.controller.unfence(id, &mut self.rng);
        }
        self.pipes.iter_mut().for_each(|it| (it.is_broken, it.held_ms) = (true, 0));
        for round in 0.. {
            assert!(round < 200, "never at rest: {:?}\n{}", self.controller.image(), self.shown());
            self.now_ms += 50;
            for id in NODES {
                self.hear_image(id, true);
                self.push(id, 100);
                self.sync(id, true);
            }
            self.propose();
            for asked in std::mem::take(&mut self.asked) {
                self.answer(asked, false);
            }
            while self.pipes.iter().any(|it| !it.messages.is_empty()) {
                self.deliver();
                self.check();
            }
            if round == 5 {
                self.produce();
            }
            let image = self.controller.image();
            let heard = self.nodes.iter().all(|it| it.image == self.controller.images.len());
            let settled = |it: &Node| {
                let end = self.nodes[0].end();
                it.end() == end && it.core.high_watermark() == end && it.durable == end
            };
            if round > 10 && heard && image.isr.len() == 3 && self.nodes.iter().all(settled) {
                break;
            }
        }
        let end = self.nodes[0].end();
        let last: Vec<u64> =
            self.nodes.iter().filter_map(|it| Some(it.log.last()?.number)).collect();
        assert!(last.windows(2).all(|two| two[0] == two[1]));
        for id in NODES {
            self.check_log(id, end);
            let node = self.node(id);
            node.check_state();
            assert!(node.core.latest_is_known() || !node.core.leads());
        }
    }
}
