//! Several controllers over simulated disks and a simulated network: messages that are late, lost or cut off one way,
//! members that stop, lose power or a disk, and a quorum whose members change. One seed decides it all.
//!
//! Held at every step: a term has one leader; images of the same index are the same everywhere; what was
//! acknowledged is in every later image. Held at the end, when nothing fails any more: within a bounded time
//! one member leads, takes what is proposed, and all have the same image.

use super::core::Controller;
use super::members::Members;
use super::message::Message;
use super::open::OpenOptions;
use super::quorum::{Persist, Ticket};
use super::record::{NewPartition, Record};
use super::tests::Model;
use crate::storage::device::disk::Disk;
use crate::storage::device::io::Op;
use crate::storage::device::sim_disk::{Fault, SimDisk};
use crate::types::TopicId;
use crate::types::rng::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

const SEEDS: u64 = 300;
/// A member's tick, give or take a fifth, ms.
const TICK_MS: u64 = 10;
/// How long things fail, and how long it may take until all is well again, ms.
const ROUGH_MS: u64 = 4_000;
const CALM_MS: u64 = 4_000;
/// So small that a log is often replaced, and that one who was away needs a snapshot.
const LOG_BYTES: u64 = 20_000;

/// A write on its way: the operations that are left, and when the next of them ends.
struct Writing {
    ops: VecDeque<Op>,
    ticket: Ticket,
    at: u64,
}

struct Node {
    id: i32,
    disk: SimDisk,
    controller: Option<Controller>,
    writing: Option<Writing>,
    tick_ms: u64,
    next_tick: u64,
    /// It does nothing before.
    paused_until: u64,
    /// It does not start before.
    down_until: u64,
    image_index: u64,
    /// What it proposed as a leader of this term and is not acknowledged: index, number of the topic.
    proposed: Vec<(u64, u64, u32)>,
}

struct Letter {
    at: u64,
    to: usize,
    from: usize,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Seen {
    leaders: BTreeMap<u64, i32>,
    images: BTreeMap<u64, Model>,
    /// Topics that were acknowledged, with the index of the image in which they were.
    acknowledged: Vec<(u64, u32)>,
    snapshots: usize,
    changes: usize,
    lost: usize,
}

struct Cluster {
    rng: Rng,
    now: u64,
    nodes: Vec<Node>,
    voters: BTreeSet<i32>,
    letters: Vec<Letter>,
    /// Nothing goes from the one to the other.
    cut: BTreeSet<(usize, usize)>,
    rough: bool,
    next: u32,
    seen: Seen,
}

fn topic_id(number: u32) -> TopicId {
    let mut id = [0; 16];
    id[12..].copy_from_slice(&number.to_be_bytes());
    TopicId(id)
}

fn topic(number: u32, long: bool) -> Record {
    let value = "x".repeat(if long { 4_000 } else { 10 });
    Record::TopicCreated {
        id: topic_id(number),
        name: format!("topic-{number}"),
        partitions: vec![NewPartition { replicas: Arc::new([1]) }],
        settings: vec![("nonsense".to_owned(), value)],
    }
}

impl Node {
    fn start(&mut self, voters: &BTreeSet<i32>, seed: u64) {
        let options = OpenOptions {
            cluster_id: "cluster".into(),
            node_id: self.id,
            host: "host".into(),
            port: 9092,
            rack: None,
            fixed: Arc::default(),
            shards: 1,
            voters: voters.clone(),
            seed,
        };
        let disk = Disk::Sim(self.disk.clone());
        match Controller::open_with(&disk, &options, LOG_BYTES) {
            Ok((controller, image)) => {
                self.image_index = image.index;
                self.controller = Some(controller);
            }
            Err(super::open::MetaError::Io { .. }) => self.stop(),
            Err(error) => panic!("a crash looks like damage: {error}"),
        }
    }

    /// The process is gone, and its disk has power again.
    fn stop(&mut self) {
        self.controller = None;
        self.writing = None;
        self.proposed.clear();
        self.disk.restart();
    }
}

impl Cluster {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let count = 3 + rng.below(3) as i32;
        let voters: BTreeSet<i32> = (0..if rng.chance(50) { 3 } else { count }).collect();
        let node = |id: i32| Node {
            id,
            disk: SimDisk::new(seed.wrapping_mul(31).wrapping_add(id as u64)),
            controller: None,
            writing: None,
            tick_ms: TICK_MS,
            next_tick: 0,
            paused_until: 0,
            down_until: 0,
            image_index: 0,
            proposed: Vec::new(),
        };
        let mut nodes: Vec<Node> = (0..count).map(node).collect();
        for it in &mut nodes {
            it.tick_ms = rng.between(TICK_MS * 4 / 5, TICK_MS * 6 / 5);
        }
        Self {
            rng,
            now: 0,
            nodes,
            voters,
            letters: Vec::new(),
            cut: BTreeSet::new(),
            rough: true,
            next: 0,
            seen: Seen::default(),
        }
    }

    fn run(&mut self) {
        while self.now < ROUGH_MS {
            self.step();
            self.trouble();
        }
        self.rough = false;
        self.cut.clear();
        for node in &mut self.nodes {
            node.disk.set_fault(None);
            node.disk.set_fuel(None);
            (node.paused_until, node.down_until) = (0, 0);
        }
        let end = self.now + CALM_MS;
        let mut last = None;
        loop {
            assert!(self.now < end, "no agreement in {CALM_MS} ms: {}", self.standing());
            self.step();
            last = last.filter(|number| self.is_acknowledged(*number) || self.is_proposed(*number));
            let Some(number) = last else {
                last = self.propose();
                continue;
            };
            if self.is_acknowledged(number) && self.agrees() {
                break;
            }
        }
    }

    /// A millisecond.
    fn step(&mut self) {
        self.now += 1;
        for at in 0..self.nodes.len() {
            let seed = self.rng.bits();
            let node = &mut self.nodes[at];
            if self.now < node.paused_until || self.now < node.down_until {
                continue;
            }
            if node.controller.is_none() {
                node.start(&self.voters, seed);
                let id = node.id;
                // Whoever was connected to its earlier life hears that this is over.
                for other in self.nodes.iter_mut().filter(|it| it.id != id) {
                    if let Some(controller) = &mut other.controller {
                        controller.unreachable(id);
                    }
                }
            }
            let node = &mut self.nodes[at];
            if node.controller.is_some() && self.now >= node.next_tick {
                node.next_tick = self.now + node.tick_ms;
                node.controller.as_mut().unwrap().tick();
            }
            self.deliver(at);
            self.write(at);
            self.look(at);
        }
    }

    fn deliver(&mut self, to: usize) {
        let mut at = 0;
        while at < self.letters.len() {
            if self.letters[at].to != to || self.letters[at].at > self.now {
                at += 1;
                continue;
            }
            let letter = self.letters.remove(at);
            let is_cut = self.cut.contains(&(letter.from, letter.to));
            let Some(controller) = self.nodes[to].controller.as_mut().filter(|_| !is_cut) else {
                self.lose(&letter);
                continue;
            };
            let message = Message::decode(&letter.bytes).expect("what was encoded");
            controller.step(message).expect("no disk has lost what it had synced");
        }
        let Node { id, controller: Some(controller), .. } = &mut self.nodes[to] else { return };
        let mut letters = Vec::new();
        while let Some(message) = controller.poll_message() {
            assert_eq!(message.from(), *id);
            self.seen.snapshots += usize::from(message.is_snapshot());
            letters.push((message.to() as usize, message.encode()));
        }
        for (receiver, bytes) in letters {
            let late = if self.rough && self.rng.chance(2) { 200 } else { 3 };
            let at = self.now + self.rng.between(1, late);
            self.letters.push(Letter { at, to: receiver, from: to, bytes });
        }
    }

    /// A connection is broken: the sender hears of it.
    fn lose(&mut self, letter: &Letter) {
        self.seen.lost += 1;
        let to = self.nodes[letter.to].id;
        if let Some(controller) = &mut self.nodes[letter.from].controller {
            controller.unreachable(to);
        }
    }

    /// The disk goes on by one operation, or gets something to do.
    fn write(&mut self, at: usize) {
        let stall = if self.rough && self.rng.one_in(2_000) { 300 } else { 0 };
        let next = self.now + self.rng.below(3) + stall;
        let node = &mut self.nodes[at];
        let Some(controller) = &mut node.controller else { return };
        let Some(mut writing) = node.writing.take() else {
            if let Some(Persist { ops, ticket }) = controller.ready() {
                node.writing = Some(Writing { ops: ops.into(), ticket, at: next });
            }
            return;
        };
        if writing.at > self.now {
            node.writing = Some(writing);
        } else if let Some(op) = writing.ops.pop_front() {
            match node.disk.run(op) {
                Ok(_) => node.writing = Some(Writing { at: next, ..writing }),
                // The process ends, as it does where a write of metadata fails.
                Err(_) => node.stop(),
            }
        } else {
            controller.persisted(writing.ticket);
        }
    }

    /// What must hold at all times.
    fn look(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        let Some(controller) = &mut node.controller else { return };
        if controller.leads() {
            let leader = *self.seen.leaders.entry(controller.term()).or_insert(node.id);
            assert_eq!(leader, node.id, "two leaders in term {}", controller.term());
        }
        let term = controller.leads().then(|| controller.term());
        node.proposed.retain(|it| Some(it.0) == term);
        let Some(image) = controller.take_image() else { return };
        assert!(image.index >= node.image_index, "an image of the past");
        node.image_index = image.index;
        let model = Model::of(&image);
        let same = self.seen.images.entry(image.index).or_insert_with(|| model.clone());
        assert_eq!(*same, model, "two images of index {}", image.index);
        for (_, number) in self.seen.acknowledged.iter().filter(|it| it.0 <= image.index) {
            assert!(image.topic_by_id(topic_id(*number)).is_some(), "topic {number} is lost");
        }
        let done: Vec<_> = node.proposed.extract_if(.., |it| it.1 <= image.index).collect();
        for (_, _, number) in done {
            assert!(image.topic_by_id(topic_id(number)).is_some(), "topic {number} was not made");
            self.seen.acknowledged.push((image.index, number));
        }
    }

    /// Has whoever leads create a topic; its number.
    fn propose(&mut self) -> Option<u32> {
        let long = self.rng.chance(10);
        let node = self.nodes.iter_mut().find(|it| {
            let leads = it.controller.as_ref().is_some_and(Controller::leads);
            leads && it.paused_until <= self.now && it.down_until <= self.now
        })?;
        let controller = node.controller.as_mut()?;
        self.next += 1;
        let index = controller.propose(&[topic(self.next, long)]);
        assert!(controller.draft().topic_by_id(topic_id(self.next)).is_some());
        node.proposed.push((controller.term(), index, self.next));
        Some(self.next)
    }

    fn is_proposed(&self, number: u32) -> bool {
        self.nodes.iter().flat_map(|it| &it.proposed).any(|it| it.2 == number)
    }

    fn is_acknowledged(&self, number: u32) -> bool {
        self.seen.acknowledged.iter().any(|it| it.1 == number)
    }

    /// All members of the quorum, as its leader has them, have the same image.
    fn agrees(&self) -> bool {
        let mut leaders =
            self.nodes.iter().filter_map(|it| it.controller.as_ref()).filter(|it| it.leads());
        let Some(leader) = leaders.next() else { return false };
        let (image, members) = (leader.image(), leader.members().nodes());
        let same = |id: &i32| {
            let controller = self.nodes[*id as usize].controller.as_ref();
            controller.is_some_and(|it| it.image().index == image.index)
        };
        members.iter().all(same)
    }

    fn standing(&self) -> String {
        let stand = |it: &Node| match &it.controller {
            None => format!("{}: down", it.id),
            Some(c) => format!(
                "{}: term {}, leads {}, leader {}, image {}, {:?}",
                it.id,
                c.term(),
                c.leads(),
                c.image().controller_id,
                c.image().index,
                c.members(),
            ),
        };
        self.nodes.iter().map(stand).collect::<Vec<_>>().join("\n")
    }

    /// Something goes wrong, or somebody wants something.
    fn trouble(&mut self) {
        if self.rng.one_in(20) {
            self.propose();
        }
        if self.rng.one_in(400) {
            self.change_members();
        }
        if !self.rng.one_in(80) {
            return;
        }
        let (at, other) = (self.rng.index(self.nodes.len()), self.rng.index(self.nodes.len()));
        let long = self.now + self.rng.between(10, 800);
        match self.rng.below(9) {
            0 => drop(self.cut.insert((at, other))),
            1 => self.cut.extend([(at, other), (other, at)]),
            2 => {
                let all = 0..self.nodes.len();
                self.cut.extend(all.flat_map(|it| [(at, it), (it, at)]));
            }
            3 | 4 => self.cut.clear(),
            5 => self.nodes[at].paused_until = long,
            6 => {
                let fault = Fault {
                    kind: None,
                    prefix: "meta".to_owned(),
                    skip: self.rng.below(10),
                    count: 1,
                };
                self.nodes[at].disk.set_fault(Some(fault));
            }
            7 => {
                self.nodes[at].disk.power_cut();
                self.nodes[at].stop();
                self.nodes[at].down_until = long;
            }
            _ => {
                self.nodes[at].disk.process_crash();
                self.nodes[at].stop();
                self.nodes[at].down_until = long;
            }
        }
    }

    /// An operator has members join, leave or get a vote.
    fn change_members(&mut self) {
        let count = self.nodes.len() as i32;
        let Some(node) = self.nodes.iter_mut().find(|it| {
            it.controller.as_ref().is_some_and(Controller::leads) && it.paused_until <= self.now
        }) else {
            return;
        };
        let mut to = Members::default();
        for id in 0..count {
            match self.rng.below(4) {
                0 => drop(to.learners.insert(id)),
                1 => {}
                _ => drop(to.voters.insert(id)),
            }
        }
        let controller = node.controller.as_mut().expect("it leads");
        if self.rng.chance(20) {
            controller.hand_over(self.rng.below(count as u64) as i32);
        } else if to.voters.len() > 1 && controller.change_members(&to).is_ok() {
            self.seen.changes += 1;
        }
    }
}

fn run(seed: u64) -> Seen {
    let mut cluster = Cluster::new(seed);
    cluster.run();
    cluster.seen
}

#[test]
fn nothing_that_a_quorum_has_acknowledged_is_lost_and_it_comes_to_rest() {
    let from = std::env::var("KLAMM_QUORUM_FROM").map_or(0, |it| it.parse().expect("a number"));
    let count =
        std::env::var("KLAMM_QUORUM_SEEDS").map_or(SEEDS, |it| it.parse().expect("a number"));
    let (mut elections, mut snapshots, mut changes, mut acknowledged, mut lost) = (0, 0, 0, 0, 0);
    for seed in from..from + count {
        let result = std::panic::catch_unwind(|| run(seed));
        let seen = result.unwrap_or_else(|_| panic!("seed {seed} failed"));
        elections += seen.leaders.len();
        snapshots += seen.snapshots;
        changes += seen.changes;
        acknowledged += seen.acknowledged.len();
        lost += seen.lost;
    }
    println!(
        "{acknowledged} acknowledged, {elections} elections, {snapshots} snapshots, {changes} changes of members, {lost} messages lost"
    );
    for it in [elections, snapshots, changes, acknowledged, lost] {
        assert!(it as u64 >= count, "a run in which nothing happens shows nothing");
    }
}

#[test]
fn a_seed_replays_exactly() {
    let once = || {
        let seen = run(11);
        (seen.leaders, seen.images, seen.acknowledged, seen.lost)
    };
    assert_eq!(once(), once());
}
