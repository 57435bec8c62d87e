//! Random histories: producers, zombies among them, a coordinator that crashes, partitions, and messages that are
//! late, lost or twice there. In the end every transaction is whole in all its partitions, as its producer was
//! told, and none is open.

use super::*;
use crate::types::{ErrorCode, Now, Rng};
use std::collections::{BTreeMap, VecDeque};

const PARTITIONS: i32 = 4;
const IDS: usize = 3;
const TIMEOUT_MS: i32 = 5_000;

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Committed,
    Aborted,
}

/// A partition, as the replica of the broker has it, by a look at all that was ever written.
#[derive(Default)]
struct Log {
    /// Producer id, number of the transaction, fate.
    records: Vec<(i64, u64, Fate)>,
    /// By producer: its epoch, the coordinator's, markers so far.
    producers: BTreeMap<i64, (i16, i32, u64)>,
    /// By producer with an open transaction: its epoch.
    open: BTreeMap<i64, i16>,
}

impl Log {
    fn markers(&self, id: i64) -> u64 {
        self.producers.get(&id).map_or(0, |it| it.2)
    }

    fn append(&mut self, producer: Producer, number: u64) {
        let known = self.producers.entry(producer.id).or_insert((producer.epoch, -1, 0));
        if producer.epoch < known.0 {
            return;
        }
        known.0 = producer.epoch;
        self.open.insert(producer.id, producer.epoch);
        self.records.push((producer.id, number, Fate::Open));
    }

    fn mark(&mut self, markers: &Markers, coordinator: i32) {
        let (id, epoch) = (markers.producer_id, markers.producer_epoch);
        let known = self.producers.entry(id).or_insert((epoch, -1, 0));
        if epoch < known.0 || coordinator < known.1 {
            return;
        }
        let is_open = self.open.contains_key(&id);
        if epoch == known.0 && markers.version >= 2 && is_open {
            return;
        }
        *known = (epoch, coordinator, known.2 + 1);
        self.open.remove(&id);
        let fate = if markers.commits { Fate::Committed } else { Fate::Aborted };
        for it in self.records.iter_mut().filter(|it| it.0 == id && it.2 == Fate::Open) {
            it.2 = fate;
        }
    }
}

/// What an instance of a producer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    Begins,
    Idle,
    /// A transaction, by its number.
    Writes(u64),
    /// It commits, or aborts.
    Ends(u64, bool),
    /// It was fenced, or has failed.
    Dead,
}

struct Instance {
    id: usize,
    producer: Producer,
    doing: Doing,
    /// What it waits for.
    waits: Option<Ticket>,
    /// Partitions that it may write to, by the older protocol.
    added: Vec<i32>,
}

/// Why something is asked.
enum Asked {
    Of(usize),
    /// A batch for that partition, and the markers that had come then.
    Batch(usize, i32, u64),
}

struct World {
    rng: Rng,
    version: i16,
    now_ms: i64,
    core: Coordinator,
    coordinator: i32,
    log: Vec<Record>,
    writes: VecDeque<(u64, Record)>,
    /// On their way: markers, the coordinator's epoch, to which partition.
    markers: Vec<(Markers, i32, i32)>,
    partitions: Vec<Log>,
    instances: Vec<Instance>,
    asked: BTreeMap<Ticket, Asked>,
    last_ticket: Ticket,
    last_id: i64,
    last_number: u64,
    /// What producers were told, by transaction: it is committed.
    told: BTreeMap<u64, bool>,
    crashes: u32,
}

fn settings() -> Settings {
    Settings { expiration_ms: 60_000, ..Settings::default() }
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let version = if rng.chance(50) { 2 } else { 0 };
        Self {
            rng,
            version,
            now_ms: 1_000,
            core: Coordinator::new(settings(), Memory::default()),
            coordinator: 1,
            log: Vec::new(),
            writes: VecDeque::new(),
            markers: Vec::new(),
            partitions: (0..PARTITIONS).map(|_| Log::default()).collect(),
            instances: Vec::new(),
            asked: BTreeMap::new(),
            last_ticket: 0,
            last_id: 0,
            last_number: 0,
            told: BTreeMap::new(),
            crashes: 0,
        }
    }

    fn now(&self) -> Now {
        Now::at(self.now_ms)
    }

    fn take(&mut self, out: Vec<Effect>) {
        for effect in out {
            match effect {
                Effect::Append { write, record } => self.writes.push_back((write, record)),
                Effect::Markers(markers) => {
                    for (_, partition) in markers.partitions.clone() {
                        self.markers.push((markers.clone(), self.coordinator, partition));
                    }
                }
                Effect::Reply { ticket, response } => self.answered(ticket, response),
            }
        }
    }

    fn request(&mut self, asked: Asked, request: Request) -> Ticket {
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.asked.insert(ticket, asked);
        let mut out = Vec::new();
        self.core.request(self.now(), ticket, request, &mut out);
        self.take(out);
        ticket
    }

    fn answered(&mut self, ticket: Ticket, response: Response) {
        let Some(asked) = self.asked.remove(&ticket) else { return };
        match asked {
            Asked::Batch(at, partition, markers) => {
                let it = &self.instances[at];
                let (producer, doing) = (it.producer, it.doing);
                let is_part = match &response {
                    Response::Done(error) => *error == ErrorCode::NONE,
                    Response::Verified(errors) => errors[0] == ErrorCode::NONE,
                    other => panic!("{other:?}"),
                };
                let log = &mut self.partitions[partition as usize];
                let fresh = markers == log.markers(producer.id);
                if let (Doing::Writes(number), true, true) = (doing, is_part, fresh) {
                    log.append(producer, number);
                }
                self.instances[at].waits = None;
            }
            Asked::Of(at) => {
                let it = &mut self.instances[at];
                it.waits = None;
                let concurrent = Response::Done(ErrorCode::CONCURRENT_TRANSACTIONS);
                match (it.doing, response) {
                    // It is gone.
                    (Doing::Dead, _) => {}
                    (_, response) if response == concurrent => {}
                    (_, Response::Done(ErrorCode::COORDINATOR_NOT_AVAILABLE)) => {}
                    (Doing::Begins, Response::Producer(producer)) => {
                        (it.producer, it.doing) = (producer, Doing::Idle);
                    }
                    (Doing::Writes(_), Response::Done(ErrorCode::NONE)) => {
                        it.added = (0..PARTITIONS).collect();
                    }
                    (Doing::Ends(number, commits), Response::Producer(producer)) => {
                        (it.producer, it.doing) = (producer, Doing::Idle);
                        self.told.insert(number, commits);
                    }
                    (Doing::Ends(number, commits), Response::Done(ErrorCode::NONE)) => {
                        it.doing = Doing::Idle;
                        self.told.insert(number, commits);
                    }
                    (_, Response::Done(_)) => it.doing = Doing::Dead,
                    (doing, other) => panic!("{doing:?}: {other:?}"),
                }
            }
        }
    }

    fn fresh(&mut self) -> Option<i64> {
        self.last_id += 1;
        Some(self.last_id)
    }

    /// An instance does its next step.
    fn act(&mut self, at: usize) {
        let Instance { id, producer, doing, waits, .. } = self.instances[at];
        if waits.is_some() {
            return;
        }
        let transactional_id = format!("t{id}");
        let version = self.version;
        let (ticket, fresh_id) = match doing {
            Doing::Dead => return,
            Doing::Idle => {
                self.last_number += 1;
                let it = &mut self.instances[at];
                (it.doing, it.added) = (Doing::Writes(self.last_number), Vec::new());
                return;
            }
            Doing::Begins => {
                let fresh_id = self.fresh();
                let expected = None;
                let timeout_ms = TIMEOUT_MS;
                let init = InitProducer { transactional_id, timeout_ms, expected, fresh_id };
                (self.request(Asked::Of(at), Request::Init(init)), fresh_id)
            }
            Doing::Writes(number) => {
                if self.rng.chance(25) {
                    let commits = self.rng.chance(60);
                    // What has written nothing anywhere cannot be committed.
                    let any =
                        self.partitions.iter().any(|it| it.records.iter().any(|r| r.1 == number));
                    if any {
                        self.instances[at].doing = Doing::Ends(number, commits);
                    }
                    return;
                }
                let partition = self.rng.index(PARTITIONS as usize) as i32;
                let verify_only = version < 2;
                let partitions = vec![("p".into(), partition)];
                let add =
                    AddPartitions { transactional_id, producer, partitions, verify_only, version };
                if version < 2 && self.instances[at].added.is_empty() {
                    let partitions = (0..PARTITIONS).map(|it| ("p".into(), it)).collect();
                    let add = AddPartitions { partitions, verify_only: false, ..add };
                    (self.request(Asked::Of(at), Request::Add(add)), None)
                } else {
                    let log = &mut self.partitions[partition as usize];
                    if log.open.get(&producer.id) == Some(&producer.epoch) {
                        return log.append(producer, number);
                    }
                    let markers = log.markers(producer.id);
                    let asked = Asked::Batch(at, partition, markers);
                    (self.request(asked, Request::Add(add)), None)
                }
            }
            Doing::Ends(_, commits) => {
                let fresh_id = self.fresh();
                let end = End { transactional_id, producer, commits, version, fresh_id };
                (self.request(Asked::Of(at), Request::End(end)), fresh_id)
            }
        };
        let _ = fresh_id;
        if self.asked.contains_key(&ticket) {
            self.instances[at].waits = Some(ticket);
        }
    }

    fn write(&mut self) {
        let Some((write, record)) = self.writes.pop_front() else { return };
        let mut out = Vec::new();
        // Seldom one fails.
        let result = if self.rng.chance(3) { Err(ErrorCode::NOT_ENOUGH_REPLICAS) } else { Ok(()) };
        if result.is_ok() {
            self.log.push(record);
        }
        self.core.written(self.now(), write, result, &mut out);
        self.take(out);
    }

    fn deliver(&mut self) {
        if self.markers.is_empty() {
            return;
        }
        let at = self.rng.index(self.markers.len());
        // With epochs of their own, markers may come twice, and late.
        let twice = self.version >= 2 && self.rng.chance(30);
        let (markers, coordinator, partition) =
            if twice { self.markers[at].clone() } else { self.markers.swap_remove(at) };
        self.partitions[partition as usize].mark(&markers, coordinator);
        if coordinator == self.coordinator {
            let mut out = Vec::new();
            self.core.marked(self.now(), markers.number, &("p".into(), partition), &mut out);
            self.take(out);
        }
    }

    /// Another coordinator takes over: of what was not committed, what comes first may be there.
    fn crash(&mut self) {
        self.crashes += 1;
        let kept = self.rng.index(self.writes.len() + 1);
        let kept: Vec<_> = self.writes.drain(..kept).map(|it| it.1).collect();
        self.log.extend(kept);
        self.writes.clear();
        self.asked.clear();
        self.coordinator += 1;
        for it in &mut self.instances {
            it.waits = None;
        }
        if self.version < 2 {
            self.markers.clear();
        }
        self.core = Coordinator::new(settings(), Memory::default());
        for it in &self.log {
            self.core.replay(Some(&it.key), it.value.as_deref()).unwrap();
        }
        let mut out = Vec::new();
        while self.core.start_part(self.now(), 2, &mut out) > 0 {}
        self.take(out);
    }

    fn pass(&mut self, ms: i64) {
        self.now_ms += ms;
        let mut out = Vec::new();
        self.core.tick(self.now(), &mut out);
        self.take(out);
    }

    fn step(&mut self) {
        match self.rng.below(100) {
            0..=3 if self.instances.len() < 12 => {
                let id = self.rng.index(IDS);
                let (producer, doing) = (Producer { id: -1, epoch: -1 }, Doing::Begins);
                self.instances.push(Instance { id, producer, doing, waits: None, added: vec![] });
            }
            0..=49 if !self.instances.is_empty() => {
                let at = self.rng.index(self.instances.len());
                self.act(at);
            }
            50..=69 => self.write(),
            70..=84 => self.deliver(),
            85..=96 => {
                let ms = self.rng.between(1, 400) as i64;
                self.pass(ms);
            }
            97 => self.crash(),
            _ => {}
        }
    }

    /// Nothing fails any more, and nobody begins anything: all comes to an end.
    fn settle(&mut self) {
        for _ in 0..600 {
            for it in &mut self.instances {
                if !matches!(it.doing, Doing::Ends(..)) {
                    it.doing = Doing::Dead;
                }
            }
            for at in 0..self.instances.len() {
                self.act(at);
            }
            self.write();
            for _ in 0..self.markers.len() {
                self.deliver();
            }
            self.pass(20);
        }
    }

    fn check(&self, seed: u64) -> usize {
        let mut fates = BTreeMap::<u64, Fate>::new();
        for (at, log) in self.partitions.iter().enumerate() {
            assert!(
                log.open.is_empty(),
                "seed {seed}: {at} has an open transaction: {:?}",
                log.open
            );
            for (_, number, fate) in &log.records {
                assert_ne!(*fate, Fate::Open, "seed {seed}");
                let known = *fates.entry(*number).or_insert(*fate);
                assert_eq!(known, *fate, "seed {seed}: transaction {number} is torn");
            }
        }
        for (number, commits) in &self.told {
            let expected = if *commits { Fate::Committed } else { Fate::Aborted };
            if let Some(fate) = fates.get(number) {
                assert_eq!(*fate, expected, "seed {seed}: what was told of transaction {number}");
            }
        }
        fates.values().filter(|it| **it == Fate::Committed).count()
    }
}

#[test]
fn transactions_are_whole_and_as_their_producers_were_told() {
    let (mut committed, mut crashes) = (0, 0);
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..world.rng.between(100, 1_500) {
            world.step();
        }
        world.settle();
        committed += world.check(seed);
        crashes += world.crashes;
    }
    assert!(committed > 500 && crashes > 500, "{committed} committed, {crashes} crashes");
}
