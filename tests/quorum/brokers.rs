//! The members as brokers: they register, send heartbeats, and hold replicas of one topic, whose leaders take records
//! and say who is in sync. What a log holds is a number of records; who follows an epoch has first cut off what its
//! leader did not begin with.
//!
//! Held at every step: an epoch of a partition has one leader; epochs never fall; who is in sync is a replica; who
//! begins to lead has everything that was committed in epochs before its own. Held at the end: whatever can have a leader has one.

use crate::node::Node;
use futures_lite::future::block_on;
use klamm::controller::{
    Broker, Controller, Decision, Heartbeat, Image, IsrChange, IsrRequest, NewPartition, Partition,
    Propose, Record, Registration, Sessions, alter_isr, imbalanced, on_fence, on_lead, on_register,
    on_shutdown, on_space, on_unfence,
};
use klamm::types::TopicId;
use klamm::types::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};

const TOPIC: TopicId = TopicId([255; 16]);
const PARTITIONS: usize = 3;
/// A broker that is silent for so long is fenced, ms.
const SESSION_MS: u64 = 150;
const HEARTBEAT_MS: u64 = 30;
/// Who has no space or has it again changes so often, ms.
const FULL_MS: u64 = 200;

async fn no_pause() {}

/// What was seen, to be compared and counted.
#[derive(Debug, Default, PartialEq)]
pub struct Histories {
    /// Who leads, by partition and leader epoch.
    leaders: BTreeMap<(usize, i32), i32>,
    /// Partitions as an image of some index has them.
    images: BTreeMap<u64, Vec<Partition>>,
    /// Records that were committed, by partition and the leader epoch that committed the last of them.
    committed: [BTreeMap<i32, u64>; PARTITIONS],
    pub elections: usize,
    pub fences: usize,
    /// Data directories that were lost.
    pub wiped: usize,
    /// Brokers that had no space.
    pub filled: usize,
}

impl Histories {
    pub fn committed(&self) -> usize {
        let most = |it: &BTreeMap<i32, u64>| it.values().copied().max().unwrap_or(0) as usize;
        self.committed.iter().map(most).sum()
    }
}

/// What one broker has of one partition.
#[derive(Clone, Default)]
struct Replica {
    /// Records in its log.
    end: u64,
    /// The last epoch that it led or followed, which its log tells after a start too, and where that began.
    epoch: Option<i32>,
    began: u64,
    /// Of a leader: what all who are in sync had at some time of this epoch.
    watermark: u64,
    /// Of a leader: who has followed this epoch, its process, and how far it was.
    heard: BTreeMap<i32, (u64, u64)>,
    /// What it has proposed to be in sync besides those who are, since this partition epoch.
    proposed: (i32, BTreeSet<i32>),
}

/// See the module.
pub struct Brokers {
    /// The process of each node: its incarnation.
    incarnations: Vec<u64>,
    /// Its data directory; the metadata are in another one.
    directories: Vec<u128>,
    registered: Vec<bool>,
    next_beat: Vec<u64>,
    stops: Vec<bool>,
    /// Its disk has no space, as it says.
    full: Vec<bool>,
    /// Of each node that leads the quorum: the term, and the sessions.
    sessions: Vec<Option<(u64, Sessions)>>,
    replicas: Vec<[Replica; PARTITIONS]>,
    /// Wishes for another ISR on their way: when they come, the node that led the quorum, and what it is asked.
    wishes: Vec<(u64, usize, IsrRequest)>,
    /// As the topic's settings say.
    min_in_sync: usize,
    /// As the leaders of partitions read them, whose own settings may ask for less.
    min_of_leaders: usize,
    pub seen: Histories,
}

/// Nothing is left half done: whatever can have a leader has one.
pub fn check_settled(image: &Image) {
    for it in partitions(image) {
        let mut candidates = it.isr.iter().chain(&*it.elr).filter(|id| image.is_alive(**id));
        assert!(it.leader != -1 || candidates.next().is_none(), "nobody leads {it:?}");
        assert!(it.leader == -1 || image.is_unfenced(it.leader), "{it:?} is led by nobody");
        assert!(it.isr.iter().all(|id| image.is_unfenced(*id)), "{it:?}");
        let could_lead = it.isr.iter().any(|id| image.can_lead(*id));
        assert!(!image.lacks_space(it.leader) || !could_lead, "{it:?} is led without space");
    }
}

fn partitions(image: &Image) -> &[Partition] {
    image.topic_by_id(TOPIC).map_or(&[], |it| &it.partitions)
}

/// Who sees what: the image of a node, where its process runs at this moment.
fn image_of(node: &Node, now: u64) -> Option<std::sync::Arc<Image>> {
    let controller = node.controller.as_ref().filter(|_| node.away_until <= now)?;
    Some(controller.image())
}

impl Brokers {
    pub fn new(count: usize, rng: &mut Rng) -> Self {
        let min_in_sync = 1 + rng.index(2);
        Self {
            incarnations: vec![0; count],
            directories: (1..=count as u128).collect(),
            registered: vec![false; count],
            next_beat: vec![0; count],
            stops: vec![false; count],
            full: vec![false; count],
            sessions: (0..count).map(|_| None).collect(),
            replicas: vec![Default::default(); count],
            wishes: Vec::new(),
            min_in_sync,
            min_of_leaders: 1 + rng.index(min_in_sync),
            seen: Histories::default(),
        }
    }

    /// A process begins, now and then with an empty data directory while things are rough.
    pub fn started(&mut self, at: usize, rng: &mut Rng, rough: bool) {
        self.incarnations[at] = rng.bits();
        if rough && rng.one_in(12) {
            self.directories[at] = u128::from(self.incarnations[at]);
            self.replicas[at] = Default::default();
            self.seen.wiped += 1;
        }
        self.registered[at] = false;
        self.stops[at] = false;
        self.sessions[at] = None;
        for it in &mut self.replicas[at] {
            it.proposed = (-1, BTreeSet::new());
            it.heard.clear();
        }
    }

    /// A millisecond for one node; `reaches` says whether it can talk to another. While nothing is rough, nobody
    /// stops by itself.
    pub fn step(
        &mut self,
        at: usize,
        now: u64,
        nodes: &mut [Node],
        rng: &mut Rng,
        (rough, reaches): (bool, &dyn Fn(usize, usize) -> bool),
    ) {
        self.control(at, now, nodes);
        self.answer(at, now, nodes);
        if now >= self.next_beat[at] {
            self.next_beat[at] = now + HEARTBEAT_MS;
            self.stops[at] = rough && (self.stops[at] || rng.one_in(100)) && !rng.one_in(10);
            // One after the other, and two at a time.
            self.full[at] = rough && (now / FULL_MS + 2 * at as u64) % 5 < 2;
            self.beat(at, now, nodes, reaches);
        }
        self.look(at, now, nodes);
        self.replicate(at, now, nodes, rng, reaches);
    }

    /// What the node does that leads the quorum.
    fn control(&mut self, at: usize, now: u64, nodes: &mut [Node]) {
        let Some(controller) = nodes[at].leader(now) else {
            self.sessions[at] = None;
            return;
        };
        let term = controller.term();
        if self.sessions[at].as_ref().is_none_or(|it| it.0 != term) {
            let mut sessions = Sessions::new(SESSION_MS);
            sessions.lead(now, controller.draft());
            self.sessions[at] = Some((term, sessions));
            let decision = block_on(on_lead(controller.draft(), &no_pause));
            propose(controller, &decision);
        }
        let (_, sessions) = self.sessions[at].as_ref().expect("just made");
        if controller.draft().topic_by_id(TOPIC).is_none() {
            if controller.draft().alive().count() >= 3 {
                let replicas: Vec<i32> = controller.draft().alive().map(|it| it.id).collect();
                let rotated = |by: usize| {
                    let turn = replicas.iter().cycle().skip(by).take(3).copied();
                    NewPartition::new(turn.collect::<Vec<_>>())
                };
                let min = self.min_in_sync.to_string();
                controller.propose(&[Record::TopicCreated {
                    id: TOPIC,
                    name: "replicated".to_owned(),
                    partitions: (0..PARTITIONS).map(rotated).collect(),
                    settings: vec![("min.insync.replicas".to_owned(), min)],
                }]);
            }
            return;
        }
        for broker in sessions.expired(now, controller.draft()) {
            let decision = block_on(on_fence(controller.draft(), broker, &no_pause));
            propose(controller, &decision);
            self.seen.fences += 1;
        }
        if now.is_multiple_of(500) {
            let decision = block_on(imbalanced(controller.draft(), &BTreeSet::new(), 2, &no_pause));
            propose(controller, &decision);
        }
    }

    /// What leaders of partitions ask, in any order.
    fn answer(&mut self, at: usize, now: u64, nodes: &mut [Node]) {
        let due = |it: &mut (u64, usize, IsrRequest)| it.0 <= now && it.1 == at;
        for (_, _, request) in self.wishes.extract_if(.., due).collect::<Vec<_>>() {
            let Some(controller) = nodes[at].leader(now) else { return };
            let (decision, _) = block_on(alter_isr(controller.draft(), &request, &no_pause));
            propose(controller, &decision);
        }
    }

    /// A broker registers, or says that it is there, to the controller that it knows.
    fn beat(
        &mut self,
        at: usize,
        now: u64,
        nodes: &mut [Node],
        reaches: &dyn Fn(usize, usize) -> bool,
    ) {
        let Some(image) = image_of(&nodes[at], now) else { return };
        let Ok(to) = usize::try_from(image.controller_id) else { return };
        if to != at && !(reaches(at, to) && reaches(to, at)) {
            return;
        }
        let Some((term, mut sessions)) = self.sessions[to].take() else { return };
        let Some(controller) = nodes[to].leader(now) else { return };
        let (broker, incarnation) = (at as i32, self.incarnations[at]);
        if self.registered[at] {
            let heartbeat = Heartbeat {
                broker,
                incarnation,
                applied: image.index,
                wants_fence: false,
                wants_shutdown: self.stops[at],
                lacks_space: self.full[at],
            };
            let (reply, next) = sessions.heartbeat(now, controller.draft(), &heartbeat);
            self.registered[at] = !reply.error.is_err();
            let draft = controller.draft();
            let decision = match next {
                Some(Propose::Unfence) => block_on(on_unfence(draft, broker, &no_pause)),
                Some(Propose::Fence) => block_on(on_fence(draft, broker, &no_pause)),
                Some(Propose::ShutDown) => block_on(on_shutdown(draft, broker, &no_pause)),
                Some(Propose::Space { lacks }) => {
                    self.seen.filled += usize::from(lacks);
                    block_on(on_space(draft, broker, lacks, &no_pause))
                }
                None => Decision::default(),
            };
            propose(controller, &decision);
            if next == Some(Propose::ShutDown) {
                sessions.shutdown_begun(broker, controller.draft().index);
            }
        } else {
            let it = Registration {
                id: broker,
                incarnation,
                directory: self.directories[at],
                ..Registration::default()
            };
            let may = sessions.may_register(now, controller.draft(), "cluster", &it);
            if may.is_err() {
                self.sessions[to] = Some((term, sessions));
                return;
            }
            let decision = block_on(on_register(controller.draft(), &it, &no_pause));
            propose(controller, &decision);
            sessions.registered(now, broker, incarnation, controller.draft().index);
            self.registered[at] = true;
        }
        self.sessions[to] = Some((term, sessions));
    }

    /// Looks at the image of a node.
    fn look(&mut self, at: usize, now: u64, nodes: &[Node]) {
        let Some(image) = image_of(&nodes[at], now) else { return };
        let shown = partitions(&image);
        let known = self.seen.images.entry(image.index).or_insert_with(|| shown.to_vec());
        assert_eq!(known, shown, "two images of index {}", image.index);
        let before = self.seen.images.range(..image.index).next_back();
        for (number, it) in shown.iter().enumerate() {
            assert!(it.isr.iter().all(|id| it.replicas.contains(id)), "{it:?}");
            assert!(it.leader == -1 || it.isr.contains(&it.leader), "{it:?}");
            if let Some(before) = before.and_then(|it| it.1.get(number)) {
                assert!(it.leader_epoch >= before.leader_epoch, "{before:?} {it:?}");
                assert!(it.partition_epoch >= before.partition_epoch, "{before:?} {it:?}");
            }
            let led = self.seen.leaders.insert((number, it.leader_epoch), it.leader);
            if let Some(led) = led {
                assert_eq!(led, it.leader, "two leaders in one epoch: {it:?}");
            } else if it.leader != -1 {
                self.seen.elections += 1;
                // One that has lost its log, and has not said so yet, does not lead.
                let process = image.broker(it.leader).map(|it| it.incarnation);
                if process != Some(self.incarnations[it.leader as usize]) {
                    continue;
                }
                let has = self.replicas[it.leader as usize][number].end;
                // A later leader may have committed more before anybody has looked at this image.
                let before = self.seen.committed[number].range(..it.leader_epoch);
                let committed = before.map(|it| *it.1).max().unwrap_or(0);
                assert!(has >= committed, "{it:?} has {has} of {committed} records");
            }
        }
    }

    /// A node leads and follows, as its own image says.
    fn replicate(
        &mut self,
        at: usize,
        now: u64,
        nodes: &mut [Node],
        rng: &mut Rng,
        reaches: &dyn Fn(usize, usize) -> bool,
    ) {
        let Some(image) = image_of(&nodes[at], now) else { return };
        let ours = |it: Option<&std::sync::Arc<Broker>>| {
            it.is_some_and(|it| it.incarnation == self.incarnations[at])
        };
        // What a process before led it does not lead.
        if !ours(image.broker(at as i32)) {
            return;
        }
        for number in 0..partitions(&image).len() {
            let it = &partitions(&image)[number];
            if !it.replicas.contains(&(at as i32)) {
                continue;
            }
            if it.leader == at as i32 {
                self.lead(at, now, nodes, rng, number, it, reaches);
            } else if it.leader != -1 {
                let leader = it.leader as usize;
                let meets = reaches(at, leader) && reaches(leader, at);
                // A process takes its time until it follows.
                let heard = self.replicas[leader][number].heard.get(&(at as i32));
                let known = heard.is_some_and(|it| it.0 == self.incarnations[at]);
                let each = if known { 3 } else { 50 };
                if meets && nodes[leader].away_until <= now && rng.one_in(each) {
                    self.follow(at, leader, number, it.leader_epoch, rng);
                }
            }
        }
    }

    fn follow(&mut self, at: usize, leader: usize, number: usize, epoch: i32, rng: &mut Rng) {
        let from = self.replicas[leader][number].clone();
        if from.epoch != Some(epoch) {
            return;
        }
        let it = &mut self.replicas[at][number];
        if it.epoch != Some(epoch) {
            it.epoch = Some(epoch);
            it.end = it.end.min(from.began);
        } else if rng.chance(80) {
            it.end = from.end;
        } else {
            it.end = from.end.min(it.end + 1);
        }
        let end = it.end;
        self.replicas[leader][number].heard.insert(at as i32, (self.incarnations[at], end));
    }

    #[expect(clippy::too_many_arguments, reason = "what a leader sees")]
    fn lead(
        &mut self,
        at: usize,
        now: u64,
        nodes: &[Node],
        rng: &mut Rng,
        number: usize,
        it: &Partition,
        reaches: &dyn Fn(usize, usize) -> bool,
    ) {
        let epoch = Some(it.leader_epoch);
        let ours = &mut self.replicas[at][number];
        if ours.epoch != epoch {
            (ours.epoch, ours.began, ours.watermark) = (epoch, ours.end, 0);
            ours.heard.clear();
        }
        if ours.proposed.0 != it.partition_epoch {
            ours.proposed = (it.partition_epoch, BTreeSet::new());
        }
        ours.end += u64::from(rng.one_in(4));
        let own = (self.incarnations[at], ours.end);
        ours.heard.insert(at as i32, own);
        let heard = ours.heard.clone();
        let end = |id: &i32| heard.get(id).map_or(0, |it| it.1);
        let proposed = &self.replicas[at][number].proposed.1;
        let all_have = it.isr.iter().chain(proposed).map(end).min().unwrap_or(0);
        let mut watermark = self.replicas[at][number].watermark;
        if it.isr.len() >= it.min_in_sync(self.min_of_leaders) {
            watermark = watermark.max(all_have);
            self.replicas[at][number].watermark = watermark;
            let committed = self.seen.committed[number].entry(it.leader_epoch).or_insert(0);
            *committed = watermark.max(*committed);
        }
        if !rng.one_in(40) {
            return;
        }
        // Those who have caught up are to be in sync, and some who have not are not any more.
        let began = self.replicas[at][number].began;
        let Some(image) = image_of(&nodes[at], now) else { return };
        let mut isr = Vec::new();
        for id in it.replicas.iter().copied() {
            let Some((incarnation, end)) = heard.get(&id).copied() else { continue };
            let joins = end >= watermark.max(began) || it.isr.contains(&id);
            if id == at as i32 || joins && !rng.one_in(6) {
                isr.push((id, incarnation));
            }
        }
        let Ok(to) = usize::try_from(image.controller_id) else { return };
        if to != at && !(reaches(at, to) && reaches(to, at)) {
            return;
        }
        let change = IsrChange {
            topic: TOPIC,
            partition: number as i32,
            leader_epoch: it.leader_epoch,
            partition_epoch: it.partition_epoch,
            isr: isr.clone(),
        };
        let (broker, incarnation) = (at as i32, self.incarnations[at]);
        let request = IsrRequest { broker, incarnation, partitions: vec![change] };
        // It may take effect, whatever is heard of it.
        let nodes = isr.iter().map(|it| it.0);
        self.replicas[at][number].proposed.1.extend(nodes);
        let late = if rng.one_in(10) { 400 } else { 3 };
        self.wishes.push((now + rng.between(1, late), to, request));
    }
}

fn propose(controller: &mut Controller, decision: &Decision) {
    for record in &decision.records {
        // Each on its own: a leader that is gone may leave the first of them.
        controller.propose(std::slice::from_ref(record));
    }
    controller.draft().invariants();
}
