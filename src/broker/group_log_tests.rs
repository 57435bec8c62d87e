//! A log of groups in a world where appends end late or fail, and the power goes at any step.

use super::group_log::{Action, Bounds, GroupLog, Place};
use crate::controller::Image;
use crate::group::{
    Cluster, Commit, CommitOffset, CommitTopic, CoordinatorSettings, FetchOffsets, FetchTopic,
    GroupRequest, GroupResponse, Heartbeat, Join, List, Memory, Record, Ticket,
};
use crate::types::{ErrorCode, Now, Rng, TopicId};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

const GROUPS: u64 = 3;
const PARTITIONS: u64 = 4;
const SMALL: Bounds = Bounds { bytes_min: 2_000, live_times: 2, chunk_bytes: 300, pause_ms: 50 };

/// Group and partition.
type Key = (u64, u64);

struct World {
    log: GroupLog,
    /// What the disk has, from `start` on. The records at its end may not be durable yet.
    records: VecDeque<Record>,
    start: i64,
    /// Appends under way: number, records, and whether it is to fail.
    appends: VecDeque<(u64, Vec<Record>, bool)>,
    trim: Option<i64>,
    now_ms: i64,
    next: i64,
    tickets: BTreeMap<Ticket, (Key, i64)>,
    /// The last offset that was acknowledged.
    acknowledged: BTreeMap<Key, i64>,
    trims: u32,
    longest: usize,
}

fn image() -> Image {
    Image::new("c", 1, Arc::default())
}

fn bytes(records: &[Record]) -> u64 {
    records.iter().map(|it| (it.key.len() + it.value.as_ref().map_or(0, Vec::len)) as u64).sum()
}

fn commit((group, partition): Key, offset: i64) -> GroupRequest {
    let partition = CommitOffset { partition: partition as i32, offset, ..Default::default() };
    let topic = CommitTopic { name: "t".into(), partitions: vec![partition], ..Default::default() };
    let group_id = format!("g{group}");
    GroupRequest::Commit(Commit { group_id, topics: vec![topic], ..Default::default() })
}

impl World {
    fn new(bounds: Bounds) -> Self {
        let mut world = Self {
            log: GroupLog::new(
                CoordinatorSettings::default(),
                bounds,
                Memory::default(),
                Cluster::default(),
                0,
            ),
            records: VecDeque::new(),
            start: 0,
            appends: VecDeque::new(),
            trim: None,
            now_ms: 1_000_000,
            next: 0,
            tickets: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            trims: 0,
            longest: 0,
        };
        world.load(bounds);
        world
    }

    fn load(&mut self, bounds: Bounds) {
        self.log = GroupLog::new(
            CoordinatorSettings::default(),
            bounds,
            Memory::default(),
            Cluster::default(),
            0,
        );
        for it in &self.records {
            self.log.load(Some(&it.key), it.value.as_deref(), self.now_ms).unwrap();
            self.log.loaded_batch(bytes(std::slice::from_ref(it)));
        }
        let mut out = Vec::new();
        let now = Now::at(self.now_ms);
        while self.log.loaded(now, &image(), 3, &mut out) > 0 {}
        self.take(out, false);
    }

    fn take(&mut self, actions: Vec<Action>, fail: bool) {
        for action in actions {
            match action {
                Action::Reply { ticket, response } => {
                    let Some((key, offset)) = self.tickets.remove(&ticket) else { continue };
                    let GroupResponse::Commit(it) = response else { panic!("{response:?}") };
                    if it.error_of(0, 0) == ErrorCode::NONE {
                        assert!(self.acknowledged.insert(key, offset) < Some(offset));
                    }
                }
                Action::AppendMarker { .. } | Action::Ended { .. } => panic!("no transaction"),
                Action::Append { append, records, .. } => {
                    if !fail {
                        self.records.extend(records.iter().cloned());
                    }
                    self.appends.push_back((append, records, fail));
                }
                Action::Trim { offset } => {
                    assert_eq!(self.trim, None);
                    assert!(self.appends.is_empty(), "the start moves when the state is durable");
                    self.trim = Some(offset);
                }
            }
        }
        self.longest = self.longest.max(self.records.len());
    }

    fn end(&self) -> i64 {
        self.start + self.records.len() as i64
    }

    fn send(&mut self, key: Key, fail: bool) {
        self.next += 1;
        let ticket = self.next as Ticket;
        self.tickets.insert(ticket, (key, self.next));
        let mut out = Vec::new();
        self.log.request(Now::at(self.now_ms), ticket, commit(key, self.next), &mut out);
        self.take(out, fail);
    }

    /// The oldest append ends.
    fn append_ends(&mut self, fail: bool) {
        let Some((append, records, failed)) = self.appends.pop_front() else { return };
        let later: usize = self.appends.iter().filter(|it| !it.2).map(|it| it.1.len()).sum();
        let base_offset = self.end() - (later + records.len()) as i64;
        let place = Place { base_offset, bytes: bytes(&records) };
        let result = if failed { Err(ErrorCode::KAFKA_STORAGE_ERROR) } else { Ok(place) };
        let mut out = Vec::new();
        self.log.appended(Now::at(self.now_ms), append, result, &mut out);
        self.take(out, fail);
    }

    fn cut_below(&mut self, offset: i64) {
        let offset = if offset == -1 { self.end() } else { offset };
        assert!(self.start <= offset && offset <= self.end());
        self.records.drain(..(offset - self.start) as usize);
        self.start = offset;
    }

    fn trim_ends(&mut self, fail: bool) {
        let Some(offset) = self.trim.take() else { return };
        let mut result = Err(ErrorCode::KAFKA_STORAGE_ERROR);
        if !fail {
            self.cut_below(offset);
            self.trims += 1;
            result = Ok(());
        }
        let mut out = Vec::new();
        self.log.trimmed(Now::at(self.now_ms), result, &mut out);
        self.take(out, false);
    }

    /// The power goes: of what is not durable, some may be there.
    fn crash(&mut self, random: &mut Rng, bounds: Bounds) {
        let open: usize = self.appends.iter().filter(|it| !it.2).map(|it| it.1.len()).sum();
        let lost = random.below(open as u64 + 1) as usize;
        self.records.truncate(self.records.len() - lost);
        if let Some(offset) = self.trim.take()
            && random.below(2) == 0
        {
            self.cut_below(offset);
        }
        self.appends.clear();
        self.tickets.clear();
        self.load(bounds);
    }

    /// What the coordinator knows is not older than what was acknowledged.
    fn check(&mut self) {
        // What was too long is rewritten first.
        while !self.appends.is_empty() || self.trim.is_some() {
            self.append_ends(false);
            self.trim_ends(false);
        }
        for (key, told) in self.acknowledged.clone() {
            let topic = FetchTopic {
                name: "t".into(),
                topic_id: TopicId::ZERO,
                partitions: vec![key.1 as i32],
            };
            let group_id = format!("g{}", key.0);
            let fetch = FetchOffsets { group_id, topics: Some(vec![topic]), ..Default::default() };
            let mut out = Vec::new();
            self.log.request(
                Now::at(self.now_ms),
                Ticket::MAX,
                GroupRequest::FetchOffsets(fetch),
                &mut out,
            );
            let found = out.into_iter().find_map(|it| match it {
                Action::Reply { response: GroupResponse::FetchOffsets(it), .. } => {
                    Some(it.topics[0].partitions[0].offset)
                }
                _ => None,
            });
            let found = found.expect("a loaded coordinator answers at once");
            assert!(found >= told && found <= self.next, "{key:?}: {found}, told {told}");
        }
    }
}

fn history(seed: u64, steps: u64, bounds: Bounds) -> World {
    let mut random = Rng::new(seed);
    let mut world = World::new(bounds);
    for _ in 0..steps {
        world.now_ms += 1;
        match random.below(100) {
            0..40 => {
                let key = (random.below(GROUPS), random.below(PARTITIONS));
                let fail = random.below(20) == 0;
                world.send(key, fail);
            }
            40..85 => {
                let fail = random.below(30) == 0;
                world.append_ends(fail);
            }
            85..95 => {
                let fail = random.below(10) == 0;
                world.trim_ends(fail);
            }
            95 => {
                let mut out = Vec::new();
                world.log.tick(Now::at(world.now_ms), &mut out);
                world.take(out, false);
            }
            96..98 => {}
            _ => {
                world.crash(&mut random, bounds);
                world.check();
            }
        }
    }
    world.crash(&mut random, bounds);
    world.check();
    world
}

#[test]
fn no_commit_is_lost_wherever_a_rewrite_ends() {
    let (mut trims, mut longest) = (0, 0);
    for seed in 0..300 {
        let world = history(seed, 600, SMALL);
        trims += world.trims;
        longest = longest.max(world.longest);
    }
    assert!(trims > 300, "{trims} rewrites");
    assert!(longest < 400, "a log of {longest} records was not rewritten");
}

#[test]
fn a_rewrite_holds_requests_and_answers_all_of_them() {
    let mut world = World::new(SMALL);
    while world.trim.is_none() {
        world.send((0, 0), false);
        world.append_ends(false);
        assert!(world.next < 1000, "no rewrite");
    }
    let acknowledged = world.acknowledged.clone();
    for partition in 0..PARTITIONS {
        world.send((1, partition), false);
    }
    assert_eq!((world.appends.len(), &world.acknowledged), (0, &acknowledged));
    assert_eq!(world.log.next_deadline(), None, "nobody is expired who cannot be heard");
    world.trim_ends(false);
    while !world.appends.is_empty() {
        world.append_ends(false);
    }
    assert!(world.tickets.is_empty());
    assert_eq!(world.acknowledged.len(), 1 + PARTITIONS as usize);
    let mut listed = Vec::new();
    world.log.list(&List::default(), &mut 0, usize::MAX, &mut listed).unwrap();
    assert_eq!(listed.len(), 2);
}

#[test]
fn the_end_stops_a_rewrite_and_answers_what_it_held() {
    let mut world = World::new(SMALL);
    while world.appends.len() < 2 {
        let next = world.next as u64;
        world.send((next % GROUPS, next % PARTITIONS), false);
        if world.appends.len() == 1 {
            world.append_ends(false);
        }
        assert!(world.next < 1000, "no rewrite");
    }
    world.send((1, 99), false);
    let mut out = Vec::new();
    world.log.stop_rewriting(Now::at(world.now_ms), &mut out);
    world.take(out, false);
    while !world.appends.is_empty() {
        world.append_ends(false);
    }
    assert!(world.trim.is_none() && world.tickets.is_empty());
    assert!(world.acknowledged.contains_key(&(1, 99)));
}

#[test]
fn a_small_log_is_left_alone() {
    let bounds = Bounds { bytes_min: u64::MAX, ..SMALL };
    let world = history(7, 2000, bounds);
    assert_eq!((world.trims, world.start), (0, 0));
}

#[test]
fn a_log_of_much_state_is_left_alone() {
    let bounds = Bounds { bytes_min: 0, live_times: 1_000_000, ..SMALL };
    let mut world = World::new(bounds);
    for n in 0..500 {
        world.send((n % GROUPS, n % PARTITIONS), false);
        world.append_ends(false);
    }
    assert!(world.trim.is_none() && world.log.coordinator().live_bytes() > 0);
}

#[test]
fn an_append_that_is_refused_at_once_overtakes_nobody() {
    let mut world = World::new(SMALL);
    world.send((0, 0), false);
    world.send((1, 0), true);
    // The second ends first.
    let (append, _, failed) = world.appends.pop_back().unwrap();
    assert!(failed);
    let mut out = Vec::new();
    let refused = Err(ErrorCode::KAFKA_STORAGE_ERROR);
    world.log.appended(Now::at(world.now_ms), append, refused, &mut out);
    assert_eq!(out, [], "the coordinator hears of writes in their order");
    world.append_ends(false);
    assert!(world.tickets.is_empty());
    assert_eq!(world.acknowledged.keys().copied().collect::<Vec<_>>(), [(0, 0)]);
}

#[test]
fn who_comes_too_early_is_told_so() {
    let mut log = GroupLog::new(
        CoordinatorSettings::default(),
        Bounds::default(),
        Memory::default(),
        Cluster::default(),
        0,
    );
    let ask = |log: &mut GroupLog, request: GroupRequest| {
        let mut out = Vec::new();
        log.request(Now::at(1), 5, request, &mut out);
        match out.remove(0) {
            Action::Reply { ticket: 5, response } => response,
            other => panic!("{other:?}"),
        }
    };
    let join = || GroupRequest::Join(Join { group_id: "g".into(), ..Default::default() });
    let beat = || GroupRequest::Heartbeat(Heartbeat { group_id: "g".into(), ..Default::default() });
    let GroupResponse::Join(it) = ask(&mut log, join()) else { panic!("in kind") };
    assert_eq!(it.error, ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    let GroupResponse::Heartbeat(it) = ask(&mut log, beat()) else { panic!("in kind") };
    assert_eq!(it.error, ErrorCode::NONE);
    let loading = Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS);
    assert_eq!(log.list(&List::default(), &mut 0, 1, &mut Vec::new()), loading);
    log.broken();
    let GroupResponse::Heartbeat(it) = ask(&mut log, beat()) else { panic!("in kind") };
    assert_eq!(it.error, ErrorCode::COORDINATOR_NOT_AVAILABLE);
}
