//! Random histories of members of a consumer group, against a model that knows nothing of how a coordinator
//! works.
//!
//! Members join, stay, give up partitions late or never, change what they want, leave for a while or for good, fall
//! silent and come back; answers are lost; topics come, go and grow; what is done in parts pauses; writes are slow or
//! fail; the broker dies, with what was durable then. Always:
//!
//! - no partition has two owners: none by the coordinator's books, and what a member has that the
//!   coordinator counts as one is its own in these books;
//! - what the log holds is what the coordinator would write of itself;
//! - each ticket is answered once, and no deadline stays in the past;
//! - when members behave and time goes on, each has its target, and together they have everything.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::member::MemberState;
use super::naive_member::{HEARTBEAT_MS, NaiveMember};
use super::partitions::{self, Partitions};
use super::state::ConsumerGroup;
use crate::group::cluster::Cluster;
use crate::group::context::CoordinatorSettings;
use crate::group::coordinator::Coordinator;
use crate::group::effect::{Effect, Ticket};
use crate::group::records::Record;
use crate::group::request::GroupRequest;
use crate::group::response::GroupResponse;
use crate::group::testing::TestCluster;
use crate::types::{ErrorCode, Now, Rng, TopicId};

const GROUP: &str = "g";
const NAMES: [&str; 4] = ["ta", "tb", "ua", "ub"];

struct World {
    seed: u64,
    step: usize,
    random: Rng,
    now_ms: i64,
    coordinator: Coordinator,
    cluster: Cluster,
    topics: TestCluster,
    log: Vec<Record>,
    writes: VecDeque<(u64, Vec<Record>)>,
    slow: bool,
    failing: bool,
    next_id: u64,
    members: BTreeMap<u64, NaiveMember>,
    waiting: BTreeMap<Ticket, u64>,
    /// Tickets whose answers nobody hears.
    lost: BTreeSet<Ticket>,
    stable_seen: usize,
}

fn group_of(coordinator: &Coordinator) -> Option<&ConsumerGroup> {
    coordinator.groups.iter().find_map(|(_, it)| it.consumer.as_deref())
}

impl World {
    fn new(seed: u64) -> Self {
        let cluster = Cluster::default();
        let mut world = Self {
            seed,
            step: 0,
            random: Rng::new(seed),
            now_ms: 1_700_000_000_000,
            coordinator: Coordinator::new(CoordinatorSettings::default()),
            cluster,
            topics: TestCluster::default(),
            log: Vec::new(),
            writes: VecDeque::new(),
            slow: false,
            failing: false,
            next_id: 1,
            members: BTreeMap::new(),
            waiting: BTreeMap::new(),
            lost: BTreeSet::new(),
            stable_seen: 0,
        };
        world.restart();
        for name in NAMES {
            world.set_topic(name, 4);
        }
        for _ in 0..=world.random.index(3) {
            world.add_member();
        }
        world
    }

    fn fail(&self, what: &str) -> ! {
        panic!("seed {}, step {}, at {}: {what}", self.seed, self.step, self.now_ms);
    }

    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    // ---- What the broker does ----

    fn restart(&mut self) {
        self.writes.clear();
        for id in std::mem::take(&mut self.waiting).into_values() {
            if let Some(it) = self.members.get_mut(&id) {
                it.waits = None;
                it.full = true;
                it.told = None;
            }
        }
        let mut settings = CoordinatorSettings::default();
        if self.seed % 2 == 0 {
            settings.consumer_assignment_interval_ms = 0;
        }
        let mut coordinator = Coordinator::new(settings).with_cluster(self.cluster.clone());
        if self.seed % 3 > 0 {
            coordinator.pause_after((self.seed % 3) as usize * 2);
        }
        for record in &self.log {
            let value = record.value.as_deref();
            coordinator.replay(Some(&record.key), value, self.now_ms).expect("own records");
        }
        self.coordinator = coordinator;
        let mut out = Vec::new();
        self.coordinator.start(Now::at(self.now_ms), &mut out);
        self.carry_out(out);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        self.carry_out_these(effects);
        while !self.slow && (self.coordinator.has_long() || !self.writes.is_empty()) {
            self.go_on();
            self.answer_write();
        }
    }

    fn carry_out_these(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::End { .. } | Effect::Ended { .. } => panic!("no transaction"),
                Effect::Append { write, records, .. } => self.writes.push_back((write, records)),
                Effect::Reply { ticket, response } => {
                    let Some(id) = self.waiting.remove(&ticket) else {
                        self.fail(&format!("{ticket} does not wait: {response:?}"))
                    };
                    let GroupResponse::ConsumerHeartbeat(it) = response else {
                        self.fail("another answer")
                    };
                    let lost = self.lost.remove(&ticket);
                    let Some(member) = self.members.get_mut(&id) else { continue };
                    if member.waits == Some(ticket) {
                        member.waits = None;
                        if lost {
                            member.full = true;
                            member.told = None;
                        } else if !member.gone {
                            member.hears(&it);
                        }
                    }
                }
            }
        }
    }

    fn go_on(&mut self) {
        let steps = 1 + self.random.index(6);
        let mut out = Vec::new();
        self.coordinator.go_on_with_long(Now::at(self.now_ms), steps, &mut out);
        self.carry_out_these(out);
    }

    fn answer_write(&mut self) {
        let Some((write, records)) = self.writes.pop_front() else { return };
        let failed = self.failing && self.random.one_in(3);
        let errors = [ErrorCode::NOT_ENOUGH_REPLICAS, ErrorCode::MESSAGE_TOO_LARGE];
        let result = if failed { Err(errors[self.random.index(2)]) } else { Ok(()) };
        if !failed {
            self.log.extend(records);
        }
        let mut out = Vec::new();
        self.coordinator.written(Now::at(self.now_ms), write, result, &mut out);
        self.carry_out_these(out);
    }

    fn pass_ms(&mut self, ms: i64) {
        let end_ms = self.now_ms + ms;
        while let Some(at_ms) = self.coordinator.next_deadline().filter(|it| *it <= end_ms) {
            self.now_ms = self.now_ms.max(at_ms);
            let mut out = Vec::new();
            self.coordinator.tick(Now::at(self.now_ms), &mut out);
            self.carry_out(out);
        }
        self.now_ms = end_ms;
    }

    // ---- What members do ----

    fn add_member(&mut self) {
        let id = self.take_id();
        let instance = self.random.one_in(4).then(|| format!("i{}", self.random.index(2)));
        let topics = self.some_topics();
        let mut member = NaiveMember::new(format!("m{id}"), instance, topics);
        if self.random.one_in(4) {
            member.regex = Some("u.".to_owned());
        }
        self.members.insert(id, member);
    }

    fn some_topics(&mut self) -> Vec<String> {
        let mut topics: Vec<String> = Vec::new();
        for name in NAMES {
            if self.random.chance(60) {
                topics.push(name.to_owned());
            }
        }
        topics
    }

    fn set_topic(&mut self, name: &str, partitions: i32) {
        let id = self.take_id();
        self.topics.set(name, partitions, id);
        self.cluster.show(Rc::new(self.topics.clone()), true);
    }

    fn beat(&mut self, id: u64, lost: bool) {
        let Some(member) = self.members.get(&id) else { return };
        if member.gone || member.waits.is_some() || member.paused_until_ms > self.now_ms {
            return;
        }
        let request = member.beat(GROUP);
        self.send(id, request, lost);
    }

    fn send(&mut self, id: u64, request: super::request::ConsumerHeartbeat, lost: bool) {
        let ticket = self.take_id();
        self.waiting.insert(ticket, id);
        if lost {
            self.lost.insert(ticket);
        }
        if let Some(member) = self.members.get_mut(&id) {
            member.waits = Some(ticket);
            member.next_ms = self.now_ms + HEARTBEAT_MS;
        }
        let request = GroupRequest::ConsumerHeartbeat(Box::new(request));
        let mut out = Vec::new();
        self.coordinator.request(Now::at(self.now_ms), ticket, request, &mut out);
        self.carry_out(out);
    }

    fn one(&mut self) -> Option<u64> {
        let ids: Vec<u64> = self.members.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[self.random.index(ids.len())])
    }

    fn leave(&mut self, id: u64) {
        let Some(member) = self.members.get_mut(&id) else { return };
        if member.gone || member.waits.is_some() || member.epoch == 0 {
            return;
        }
        let stays = member.instance.is_some() && self.random.one_in(2);
        member.gone = true;
        member.owned = Partitions::new();
        let epoch = if stays { -2 } else { -1 };
        let (instance, topics) = (member.instance.clone(), member.topics.clone());
        let mut request = member.beat(GROUP);
        (request.member_epoch, request.owned) = (epoch, None);
        (request.topics, request.regex) = (None, None);
        let lost = self.random.one_in(8);
        self.send(id, request, lost);
        if stays {
            // It comes back under another id.
            let again = self.take_id();
            let mut member = NaiveMember::new(format!("m{again}"), instance, topics);
            member.paused_until_ms = self.now_ms + self.random.below(60_000) as i64;
            self.members.insert(again, member);
        }
    }

    fn act(&mut self) {
        self.step += 1;
        match self.random.index(26) {
            0 if self.members.len() < 7 => self.add_member(),
            1 => {
                if let Some(id) = self.one() {
                    self.leave(id);
                }
            }
            2 => {
                if let Some(id) = self.one() {
                    let ms = self.random.below(120_000) as i64;
                    self.members.get_mut(&id).expect("one of them").paused_until_ms =
                        self.now_ms + ms;
                }
            }
            3 => {
                let topics = self.some_topics();
                let regex = self.random.one_in(2).then(|| "t.|u.".to_owned());
                let one = self.one().and_then(|id| self.members.get_mut(&id));
                if let Some(it) = one.filter(|it| it.waits.is_none()) {
                    (it.topics, it.regex, it.full) = (topics, regex, true);
                }
            }
            4 => {
                let name = NAMES[self.random.index(4)];
                let now = self.topics.topics.get(name).map_or(0, |it| it.1);
                let to = if self.random.one_in(4) { 0 } else { now + 1 };
                self.set_topic(name, to.min(9));
            }
            5 => self.slow = !self.slow,
            6 => self.failing = !self.failing,
            7 if self.random.one_in(3) => self.restart(),
            8 => {
                let ms = 1 + self.random.below(40_000) as i64;
                self.pass_ms(ms);
            }
            9 => {
                let ms = 1 + self.random.below(3_000) as i64;
                self.pass_ms(ms);
            }
            10..=12 => self.go_on(),
            13..=15 => self.answer_write(),
            16..=17 => {
                // Its program is slow to give up what it should.
                if let Some(it) = self.one().and_then(|id| self.members.get_mut(&id)) {
                    it.do_as_told();
                }
            }
            _ => {
                if let Some(id) = self.one() {
                    let lost = self.random.one_in(10);
                    self.beat(id, lost);
                    if self.random.one_in(2)
                        && let Some(it) = self.members.get_mut(&id)
                    {
                        it.do_as_told();
                    }
                }
            }
        }
        self.check();
    }

    // ---- What must hold ----

    fn check(&self) {
        let bytes = (self.coordinator.memory_bytes(), self.coordinator.counted_bytes());
        if bytes.0 != bytes.1 {
            self.fail(&format!("memory and its count: {bytes:?}"));
        }
        if let Some(group) = group_of(&self.coordinator) {
            let mut owners = BTreeMap::new();
            for (id, member) in group.members_after(None) {
                let current = &member.current;
                let all = [&current.assigned, &current.revoking];
                for place in all.into_iter().flat_map(partitions::iter) {
                    if let Some(other) = owners.insert(place, id) {
                        self.fail(&format!("{place:?} is of {other} and of {id}"));
                    }
                }
            }
            for member in self.members.values().filter(|it| !it.gone) {
                let Some(known) = group.member(&member.id) else { continue };
                let mut all = known.current.assigned.clone();
                for (topic, numbers) in &known.current.revoking {
                    all.entry(*topic).or_default().extend(numbers);
                }
                let all = partitions::collect(all);
                if !member.has_only(&all) {
                    self.fail(&format!("{member:?} has what is not its own: {known:?}"));
                }
            }
        }
        if !self.coordinator.has_pending_writes() {
            let mut held = BTreeMap::new();
            for record in &self.log {
                match &record.value {
                    Some(value) => held.insert(&record.key, value),
                    None => held.remove(&record.key),
                };
            }
            let live = self.coordinator.live_state();
            let live: BTreeMap<_, _> =
                live.iter().filter_map(|it| Some((&it.key, it.value.as_ref()?))).collect();
            if held != live {
                self.fail(&format!("the log holds {held:?}, not {live:?}"));
            }
        }
    }

    /// All behave: in the end each has its target, and together they have all.
    fn settle(&mut self) {
        (self.slow, self.failing) = (false, false);
        while self.coordinator.has_long() || !self.writes.is_empty() {
            self.go_on();
            self.answer_write();
        }
        for member in self.members.values_mut() {
            member.paused_until_ms = 0;
        }
        let mut ids: Vec<u64> = self.members.keys().copied().collect();
        // One of an instance alone: the others would wait for it for ever.
        let mut seen = BTreeSet::new();
        ids.reverse();
        for id in &ids {
            let member = self.members.get_mut(id).expect("one of them");
            if !member.gone && member.instance.as_ref().is_some_and(|it| !seen.insert(it.clone())) {
                member.gone = true;
                member.owned = Partitions::new();
            }
        }
        for _ in 0..30 {
            for id in &ids {
                self.beat(*id, false);
                if let Some(it) = self.members.get_mut(id) {
                    it.do_as_told();
                }
                self.check();
            }
            self.pass_ms(HEARTBEAT_MS);
        }
        let alive: Vec<&NaiveMember> = self.members.values().filter(|it| !it.gone).collect();
        let Some(group) = group_of(&self.coordinator) else {
            if alive.is_empty() {
                return;
            }
            self.fail("there is no group")
        };
        if group.len() != alive.len() {
            self.fail(&format!("{} members, not {}", group.len(), alive.len()));
        }
        let mut all = BTreeSet::new();
        for member in &alive {
            let Some(known) = group.member(&member.id) else { self.fail("a member is missing") };
            let current = &known.current;
            let is_there = current.state == MemberState::Stable
                && current.epoch == group.target_epoch()
                && group.target(&member.id).is_none_or(|it| **it == current.assigned)
                && member.owned == current.assigned;
            if !is_there {
                self.fail(&format!("{member:?} has not come to its target: {known:?}"));
            }
            all.extend(partitions::iter(&member.owned));
        }
        let wanted = |name: &str| {
            alive.iter().any(|it| {
                let regex = it.regex.as_deref().unwrap_or_default();
                it.topics.iter().any(|it| it == name)
                    || (regex == "u." && name.starts_with('u'))
                    || regex == "t.|u."
            })
        };
        let topics = self.topics.topics.iter().filter(|(name, _)| wanted(name));
        let expected: BTreeSet<(TopicId, i32)> =
            topics.flat_map(|(_, it)| (0..it.1).map(|n| (it.0, n))).collect();
        if all != expected {
            self.fail(&format!("they have {all:?}, not {expected:?}"));
        }
        self.stable_seen += 1;
    }
}

#[test]
fn members_converge_and_no_partition_has_two_owners() {
    let mut stable = 0;
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..4 {
            for _ in 0..60 {
                world.act();
            }
            world.settle();
        }
        stable += world.stable_seen;
    }
    assert!(stable > 600, "histories in which nothing happens: {stable}");
}
