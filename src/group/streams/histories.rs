//! Random histories of members of a streams group, against members that know nothing of how a coordinator works.
//!
//! Members join, stay, give up tasks late or never, leave, fall silent and come back; answers are lost; topics come, go and
//! grow; standbys are wanted or not; what is done in parts pauses; writes are slow or fail; the broker dies, with what was
//! durable then. Always:
//!
//! - no task is active at two members, none is twice in one process, and what a member has that the coordinator counts as one
//!   is its own in these books;
//! - what the log holds is what the coordinator would write of itself, and each prefix of it loads;
//! - when members behave and time goes on, each has its target, and together they have everything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::member::{Role, count};
use super::request::StreamsHeartbeat;
use super::response::StreamsHeartbeaten;
use super::tasks::Tasks;
use super::tests::beat;
use super::topology::{Subtopology, TopicInfo, Topology};
use crate::group::consumer::partitions;
use crate::group::consumer::state::ConsumerGroup;
use crate::group::context::CoordinatorSettings;
use crate::group::coordinator::Coordinator;
use crate::group::effect::Ticket;
use crate::group::request::GroupRequest;
use crate::group::response::GroupResponse;
use crate::group::testing::Bench;
use crate::types::{ErrorCode, GroupConfig, Rng};

/// A thread of Kafka Streams, as KIP-1071 has it.
#[derive(Debug, Default)]
struct Naive {
    process_id: String,
    epoch: i32,
    owned: Tasks,
    /// What it was told to have, and has not done yet.
    told: Option<Tasks>,
    waits: Option<Ticket>,
    /// The answer that it waits for is lost.
    loses: bool,
    paused_until_ms: i64,
}

impl Naive {
    fn beat(&self, id: &str, topology: &Arc<Topology>) -> StreamsHeartbeat {
        let mut beat = StreamsHeartbeat { owned: Some(self.owned.clone()), ..beat(id, self.epoch) };
        if self.epoch == 0 {
            beat.rebalance_timeout_ms = 20_000;
            beat.topology = Some(Arc::clone(topology));
            beat.process_id = Some(self.process_id.clone());
        }
        beat
    }

    fn hears(&mut self, it: &StreamsHeartbeaten) {
        match it.error {
            ErrorCode::NONE => {
                self.epoch = it.member_epoch;
                self.told = it.tasks.clone().or(self.told.take());
            }
            ErrorCode::UNKNOWN_MEMBER_ID
            | ErrorCode::FENCED_MEMBER_EPOCH
            | ErrorCode::GROUP_ID_NOT_FOUND
            // It has tasks that the topology has no more, since a topic was made anew with fewer partitions.
            | ErrorCode::INVALID_REQUEST => {
                (self.epoch, self.owned, self.told) = (0, Tasks::default(), None);
            }
            ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::UNKNOWN_SERVER_ERROR => {}
            other => panic!("{other:?}: {:?}", it.error_message),
        }
    }
}

struct World {
    seed: u64,
    random: Rng,
    bench: Bench,
    topology: Arc<Topology>,
    members: BTreeMap<String, Naive>,
    next_id: usize,
    failing: bool,
    /// Heartbeats of members that have ended.
    ended: BTreeSet<Ticket>,
    most_tasks: usize,
}

fn topology() -> Topology {
    let info = |name: &str| TopicInfo { name: name.into(), ..TopicInfo::default() };
    let first = Subtopology {
        id: "0".into(),
        source_topics: vec!["in".into()],
        repartition_sink_topics: vec!["again".into()],
        ..Subtopology::default()
    };
    let second = Subtopology {
        id: "1".into(),
        repartition_source_topics: vec![info("again")],
        state_changelog_topics: vec![info("changes")],
        ..Subtopology::default()
    };
    Topology { epoch: 0, subtopologies: vec![first, second] }
}

fn group_of(coordinator: &Coordinator) -> Option<&ConsumerGroup> {
    coordinator.groups.iter().find_map(|(_, it)| it.consumer.as_deref())
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Rng::new(seed);
        let mut bench = Bench::new(CoordinatorSettings {
            streams_initial_rebalance_delay_ms: [0, 3_000][random.index(2)],
            streams_assignment_interval_ms: [0, 1_000][random.index(2)],
            ..CoordinatorSettings::default()
        });
        bench.pauses = true;
        let mut world = Self {
            seed,
            random,
            bench,
            topology: Arc::new(topology()),
            members: BTreeMap::new(),
            next_id: 0,
            failing: false,
            ended: BTreeSet::new(),
            most_tasks: 0,
        };
        world.set_topics(3);
        world.pause_often();
        world
    }

    fn pause_often(&mut self) {
        if self.seed % 3 > 0 {
            self.bench.coordinator.pause_after((self.seed % 3) as usize * 3);
        }
    }

    fn set_topics(&mut self, partitions: i32) {
        for name in ["in", "again", "changes"] {
            self.bench.set_topic(name, partitions);
        }
    }

    fn add_member(&mut self) {
        let id = format!("m{}", self.next_id);
        self.next_id += 1;
        let process_id = format!("p{}", self.random.index(3));
        self.members.insert(id, Naive { process_id, ..Naive::default() });
    }

    fn some_member(&mut self) -> Option<String> {
        let at = self.random.index(self.members.len().max(1));
        self.members.keys().nth(at).cloned()
    }

    fn ask(&mut self, id: &str) {
        let Some(member) = self.members.get(id) else { return };
        if member.waits.is_some() || member.paused_until_ms > self.bench.now_ms {
            return;
        }
        let beat = member.beat(id, &self.topology);
        let ticket = self.bench.ask(GroupRequest::StreamsHeartbeat(Box::new(beat)));
        let loses = self.random.one_in(12);
        if let Some(it) = self.members.get_mut(id) {
            (it.waits, it.loses) = (Some(ticket), loses);
        }
    }

    /// Members hear what was answered.
    fn hear(&mut self) {
        for it in self.members.values_mut() {
            let Some(answer) = it.waits.and_then(|ticket| self.bench.answer(ticket)) else {
                continue;
            };
            let GroupResponse::StreamsHeartbeat(answer) = answer else { panic!("{answer:?}") };
            it.waits = None;
            if it.loses {
                it.told = None;
            } else {
                it.hears(&answer);
            }
        }
        self.ended.retain(|ticket| self.bench.answer(*ticket).is_none());
    }

    fn act(&mut self) {
        match self.random.index(20) {
            0 if self.members.len() < 5 => self.add_member(),
            1 => {
                if let Some(id) = self.some_member().filter(|_| self.members.len() > 1)
                    && let Some(it) = self.members.remove(&id)
                {
                    self.ended.extend(it.waits);
                    let leave = GroupRequest::StreamsHeartbeat(Box::new(beat(&id, -1)));
                    if it.epoch > 0 && self.random.one_in(2) {
                        let ticket = self.bench.ask(leave);
                        self.ended.insert(ticket);
                    }
                }
            }
            2 => {
                let until_ms = self.bench.now_ms + 60_000;
                if let Some(it) = self.some_member().and_then(|it| self.members.get_mut(&it)) {
                    it.paused_until_ms = until_ms;
                }
            }
            3 => {
                let partitions = 1 + self.random.index(5) as i32;
                self.set_topics(partitions);
            }
            4 => {
                let name = ["in", "again", "changes"][self.random.index(3)];
                let partitions = self.random.index(4) as i32;
                self.bench.set_topic(name, partitions);
            }
            5 => {
                let standbys = self.random.index(3) as i32;
                self.bench.topics.config = GroupConfig {
                    streams_standby_replicas: Some(standbys),
                    ..GroupConfig::default()
                };
                self.set_topics(3);
            }
            6 => self.bench.slow = !self.bench.slow,
            7 => self.failing = !self.failing,
            8 if self.random.one_in(4) => {
                for it in self.members.values_mut() {
                    it.waits = None;
                    it.told = None;
                }
                self.ended.clear();
                self.bench.restart();
                self.pause_often();
            }
            9 => {
                let ms = self.random.index(6_000) as i64;
                self.bench.pass_ms(ms);
            }
            10..=12 => {
                if let Some(it) = self.some_member().and_then(|it| self.members.get_mut(&it))
                    // One that has just said what it has takes nothing before it is answered.
                    && it.waits.is_none()
                    && let Some(told) = it.told.take()
                {
                    it.owned = told;
                }
            }
            _ => {
                if let Some(id) = self.some_member() {
                    self.ask(&id);
                }
            }
        }
        let steps = 1 + self.random.index(5);
        self.bench.go_on(steps);
        if !self.bench.writes.is_empty() && self.random.one_in(2) {
            let failed = self.failing && self.random.one_in(3);
            self.bench.written(if failed { Err(ErrorCode::NOT_ENOUGH_REPLICAS) } else { Ok(()) });
        }
        self.hear();
        self.check();
    }

    fn check(&mut self) {
        let Some(group) = group_of(&self.bench.coordinator) else { return };
        let (mut active, mut in_process) = (BTreeMap::new(), BTreeMap::new());
        for (id, member) in group.members_after(None) {
            let Some(tasks) = member.current.tasks.as_deref() else { continue };
            let process_id = member.metadata.streams.as_ref().map(|it| it.process_id.clone());
            for (set, role) in [&tasks.assigned, &tasks.revoking]
                .into_iter()
                .flat_map(|set| Role::ALL.map(|role| (set, role)))
            {
                for task in partitions::iter(role.of(set)) {
                    if role == Role::Active
                        && let Some(other) = active.insert(task.clone(), id)
                    {
                        panic!("seed {}: {task:?} is of {other} and of {id}", self.seed);
                    }
                    let place = (process_id.clone(), task);
                    if let Some(other) = in_process.insert(place.clone(), (id, role)) {
                        panic!(
                            "seed {}: {place:?} is of {other:?} and of {id} as {role:?}",
                            self.seed
                        );
                    }
                }
            }
            let Some(naive) = self.members.get(id).filter(|it| it.epoch > 0) else { continue };
            for role in Role::ALL {
                let mut all = role.of(&tasks.assigned).clone();
                partitions::add(&mut all, role.of(&tasks.revoking).clone());
                assert!(
                    partitions::is_subset(role.of(&naive.owned), &all),
                    "seed {}: {id} has what is not its own: {naive:?}, {tasks:?}",
                    self.seed
                );
            }
        }
        self.most_tasks = self.most_tasks.max(active.len());
    }

    /// What the log holds is what the coordinator would write.
    fn check_log(&self) {
        let mut loaded = Coordinator::new(CoordinatorSettings::default());
        for record in &self.bench.log {
            let value = record.value.as_deref();
            loaded.replay(Some(&record.key), value, self.bench.now_ms).expect("own records");
        }
        let sorted = |coordinator: &Coordinator| {
            let records = coordinator.live_state().into_iter().map(|it| (it.key, it.value));
            records.collect::<BTreeMap<_, _>>()
        };
        assert_eq!(sorted(&loaded), sorted(&self.bench.coordinator), "seed {}", self.seed);
    }

    /// All behave, until nothing changes any more.
    fn settle(&mut self) {
        (self.failing, self.bench.slow, self.bench.pauses) = (false, false, false);
        while self.bench.coordinator.has_long() || !self.bench.writes.is_empty() {
            while self.bench.go_on(usize::MAX) > 0 {}
            if !self.bench.writes.is_empty() {
                self.bench.written(Ok(()));
            }
        }
        self.hear();
        self.set_topics(4);
        if self.members.is_empty() {
            self.add_member();
        }
        for _ in 0..40 {
            for id in self.members.keys().cloned().collect::<Vec<_>>() {
                if let Some(it) = self.members.get_mut(&id) {
                    it.paused_until_ms = 0;
                    it.owned = it.told.take().unwrap_or(std::mem::take(&mut it.owned));
                }
                self.ask(&id);
                if let Some(it) = self.members.get_mut(&id) {
                    it.loses = false;
                }
                self.hear();
                self.check();
            }
            self.bench.pass_ms(2_000);
        }
        let group = group_of(&self.bench.coordinator).expect("a group");
        assert_eq!(group.state_name(), "Stable", "seed {}", self.seed);
        let mut active = 0;
        for (id, member) in group.members_after(None) {
            let tasks = member.current.tasks.as_deref().map(|it| &it.assigned);
            let target = group.streams().and_then(|it| it.target(id)).map(|it| &**it);
            assert_eq!(tasks, target, "seed {}: {id}", self.seed);
            assert_eq!(
                self.members.get(id).map(|it| &it.owned),
                target,
                "seed {}: {id}",
                self.seed
            );
            active += target.map_or(0, |it| partitions::count(&it.active));
        }
        assert_eq!(active, 8, "seed {}: each task has a member", self.seed);
    }
}

#[test]
fn histories() {
    let (mut tasks, mut standbys) = (0, 0);
    for seed in 0..400 {
        let mut world = World::new(seed);
        world.add_member();
        for _ in 0..250 {
            world.act();
        }
        world.settle();
        world.check_log();
        tasks += world.most_tasks;
        standbys += world.members.values().map(|it| count(&it.owned)).sum::<usize>() - 8;
        if seed % 40 == 0 {
            let log = std::mem::take(&mut world.bench.log);
            for len in (0..=log.len()).step_by(7) {
                world.bench.log = log[..len].to_vec();
                world.bench.restart();
            }
        }
    }
    assert!(tasks > 1_000 && standbys > 100, "{tasks} tasks, {standbys} standbys");
}
