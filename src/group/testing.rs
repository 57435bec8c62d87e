//! A coordinator with a clock, a log and callers, for tests.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::rc::Rc;

use bytes::Bytes;

use super::cluster::{Cluster, ClusterView, TopicView};
use super::context::CoordinatorSettings;
use super::coordinator::Coordinator;
use super::effect::{Effect, Ticket};
use super::records::Record;
use super::request::{
    Assignment, Commit, CommitOffset, CommitTopic, DeleteGroup, DeleteOffsets, Describe,
    FetchOffsets, FetchTopic, GroupRequest, Heartbeat, Join, Leave, Leaving, List, Protocol, Sync,
    TopicPartitions,
};
use super::response::{
    Committed, Described, FetchedOffsets, FetchedTopic, GroupResponse, Joined, Left, Listed, Synced,
};
use crate::types::{ErrorCode, GroupConfig, Now, TopicId};

/// The group of all tests that need one.
pub const GROUP: &str = "group";

/// The topics of a test, by name.
#[derive(Clone, Debug, Default)]
pub struct TestCluster {
    pub topics: BTreeMap<String, (TopicId, i32)>,
    /// Racks of the replicas of partitions, sorted; of those that are not named there are none.
    pub racks: BTreeMap<(String, i32), Vec<String>>,
    pub config: GroupConfig,
}

impl TestCluster {
    /// A topic has so many partitions from now on; none deletes it. One that is new gets this id.
    pub fn set(&mut self, name: &str, partitions: i32, new_id: u64) {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&new_id.to_be_bytes());
        self.topics.entry(name.to_owned()).or_insert((TopicId(id), 0)).1 = partitions;
        if partitions == 0 {
            self.topics.remove(name);
        }
    }

    fn view<'a>((name, (id, partitions)): (&'a String, &'a (TopicId, i32))) -> TopicView<'a> {
        TopicView { name, id: *id, partitions: *partitions }
    }
}

impl ClusterView for TestCluster {
    fn topic(&self, name: &str) -> Option<TopicView<'_>> {
        self.topics.get_key_value(name).map(Self::view)
    }

    fn topic_by_id(&self, id: TopicId) -> Option<TopicView<'_>> {
        self.topics.iter().find(|it| it.1.0 == id).map(Self::view)
    }

    fn names_after<'a>(&'a self, last: Option<&str>) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        Box::new(self.topics.range::<str, _>((from, Bound::Unbounded)).map(|it| it.0.as_str()))
    }

    fn has_racks(&self) -> bool {
        !self.racks.is_empty()
    }

    fn racks(&self, topic: &str, partition: i32) -> Vec<&str> {
        let racks = self.racks.get(&(topic.to_owned(), partition));
        racks.into_iter().flatten().map(String::as_str).collect()
    }

    fn group_config(&self, _: &str) -> GroupConfig {
        self.config
    }
}

/// See the module.
pub struct Bench {
    pub coordinator: Coordinator,
    pub settings: CoordinatorSettings,
    pub cluster: Cluster,
    pub topics: TestCluster,
    pub now_ms: i64,
    /// So much is the wall's clock ahead.
    pub ahead_ms: i64,
    /// What is durable, and when it became so.
    pub log: Vec<Record>,
    /// Writes that wait, while `slow`.
    pub writes: VecDeque<(u64, Vec<Record>)>,
    /// Writes wait until the test lets them become durable.
    pub slow: bool,
    /// Long commits are gone on with only as the test says.
    pub pauses: bool,
    /// Steps of the tick that took most.
    pub tick_steps_max: usize,
    next_ticket: Ticket,
    answers: BTreeMap<Ticket, GroupResponse>,
}

impl Default for Bench {
    /// Consumer groups do not wait with their assignments.
    fn default() -> Self {
        let settings = CoordinatorSettings {
            consumer_assignment_interval_ms: 0,
            ..CoordinatorSettings::default()
        };
        Self::new(settings)
    }
}

impl Bench {
    pub fn new(settings: CoordinatorSettings) -> Self {
        let cluster = Cluster::default();
        let coordinator = Coordinator::new(settings.clone()).with_cluster(cluster.clone());
        let mut bench = Self {
            coordinator,
            settings,
            cluster,
            topics: TestCluster::default(),
            now_ms: 1_000_000,
            ahead_ms: 0,
            log: Vec::new(),
            writes: VecDeque::new(),
            slow: false,
            pauses: false,
            tick_steps_max: 0,
            next_ticket: 1,
            answers: BTreeMap::new(),
        };
        bench.coordinator.start(bench.now(), &mut Vec::new());
        bench
    }

    /// The time by both clocks.
    pub fn now(&self) -> Now {
        Now { wall_ms: self.now_ms + self.ahead_ms, monotonic_ms: self.now_ms }
    }

    /// Carries effects out.
    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Reply { ticket, response } => {
                    let old = self.answers.insert(ticket, response);
                    assert!(old.is_none(), "ticket {ticket} is answered twice");
                }
                Effect::End { .. } | Effect::Ended { .. } => panic!("no transaction"),
                Effect::Append { write, records, .. } => {
                    assert!(!records.is_empty());
                    self.writes.push_back((write, records));
                }
            }
        }
        while !self.pauses && self.go_on(usize::MAX) > 0 {}
        let coordinator = &self.coordinator;
        assert_eq!(coordinator.memory_bytes(), coordinator.counted_bytes(), "bytes in memory");
        if !self.slow {
            while !self.writes.is_empty() {
                self.written(Ok(()));
            }
        }
    }

    /// Goes on with long commits; the steps that it took.
    pub fn go_on(&mut self, steps: usize) -> usize {
        let mut out = Vec::new();
        let taken = self.coordinator.go_on_with_long(self.now(), steps, &mut out);
        if !out.is_empty() {
            self.carry_out(out);
        }
        taken
    }

    /// The oldest write is answered.
    pub fn written(&mut self, result: Result<(), ErrorCode>) {
        let (write, records) = self.writes.pop_front().expect("a write");
        if result.is_ok() {
            self.log.extend(records);
        }
        let mut out = Vec::new();
        self.coordinator.written(self.now(), write, result, &mut out);
        self.carry_out(out);
    }

    pub fn ask(&mut self, request: GroupRequest) -> Ticket {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let mut out = Vec::new();
        self.coordinator.request(self.now(), ticket, request, &mut out);
        self.carry_out(out);
        ticket
    }

    /// The answer, if it has come. It comes once.
    pub fn answer(&mut self, ticket: Ticket) -> Option<GroupResponse> {
        self.answers.remove(&ticket)
    }

    /// Lets time pass, with a tick at each deadline.
    pub fn pass_ms(&mut self, ms: i64) {
        let end_ms = self.now_ms + ms;
        while let Some(at_ms) = self.coordinator.next_deadline().filter(|it| *it <= end_ms) {
            self.now_ms = self.now_ms.max(at_ms);
            self.tick();
        }
        self.now_ms = end_ms;
    }

    pub fn tick(&mut self) {
        let mut out = Vec::new();
        let steps = self.coordinator.tick(self.now(), &mut out);
        self.tick_steps_max = self.tick_steps_max.max(steps);
        self.carry_out(out);
        let next = self.coordinator.next_deadline();
        assert!(next.is_none_or(|it| it > self.now_ms), "{next:?} is over at {}", self.now_ms);
    }

    /// Loses everything but the log.
    pub fn restart(&mut self) {
        self.writes.clear();
        let coordinator = Coordinator::new(self.settings.clone());
        self.coordinator = coordinator.with_cluster(self.cluster.clone());
        for record in &self.log {
            let value = record.value.as_deref();
            self.coordinator.replay(Some(&record.key), value, self.now_ms).expect("own records");
        }
        let mut out = Vec::new();
        self.coordinator.start(self.now(), &mut out);
        self.carry_out(out);
    }

    /// A topic has so many partitions from now on; none deletes it.
    pub fn set_topic(&mut self, name: &str, partitions: i32) {
        self.topics.set(name, partitions, self.next_ticket);
        self.next_ticket += 1;
        self.cluster.show(Rc::new(self.topics.clone()), true);
    }

    // Requests and their answers.

    pub fn join(&mut self, join: Join) -> Ticket {
        self.ask(GroupRequest::Join(join))
    }

    pub fn joined(&mut self, ticket: Ticket) -> Option<Joined> {
        match self.answer(ticket)? {
            GroupResponse::Join(joined) => Some(joined),
            other => panic!("{other:?}"),
        }
    }

    pub fn sync(&mut self, joined: &Joined, assignments: &[(&str, &str)]) -> Ticket {
        let assignments = assignments
            .iter()
            .map(|(id, it)| Assignment {
                member_id: (*id).to_owned(),
                assignment: Bytes::copy_from_slice(it.as_bytes()),
            })
            .collect();
        self.ask(GroupRequest::Sync(Sync {
            group_id: GROUP.to_owned(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            assignments,
            ..Sync::default()
        }))
    }

    pub fn synced(&mut self, ticket: Ticket) -> Option<Synced> {
        match self.answer(ticket)? {
            GroupResponse::Sync(synced) => Some(synced),
            other => panic!("{other:?}"),
        }
    }

    pub fn heartbeat(&mut self, member_id: &str, generation_id: i32) -> ErrorCode {
        let ticket = self.heartbeat_later(member_id, generation_id);
        self.heartbeaten(ticket).expect("an answer")
    }

    pub fn heartbeat_later(&mut self, member_id: &str, generation_id: i32) -> Ticket {
        self.ask(GroupRequest::Heartbeat(Heartbeat {
            group_id: GROUP.to_owned(),
            generation_id,
            member_id: member_id.to_owned(),
            group_instance_id: None,
        }))
    }

    pub fn heartbeaten(&mut self, ticket: Ticket) -> Option<ErrorCode> {
        match self.answer(ticket)? {
            GroupResponse::Heartbeat(it) => Some(it.error),
            other => panic!("{other:?}"),
        }
    }

    pub fn leave(&mut self, members: &[(&str, Option<&str>)]) -> Left {
        let members = members
            .iter()
            .map(|(id, instance_id)| Leaving {
                member_id: (*id).to_owned(),
                group_instance_id: instance_id.map(str::to_owned),
            })
            .collect();
        let ticket = self.ask(GroupRequest::Leave(Leave { group_id: GROUP.to_owned(), members }));
        match self.answer(ticket) {
            Some(GroupResponse::Leave(left)) => left,
            other => panic!("{other:?}"),
        }
    }

    pub fn commit(&mut self, commit: Commit) -> Ticket {
        self.ask(GroupRequest::Commit(commit))
    }

    pub fn committed(&mut self, ticket: Ticket) -> Option<Committed> {
        match self.answer(ticket)? {
            GroupResponse::Commit(committed) => Some(committed),
            other => panic!("{other:?}"),
        }
    }

    /// The only result of a commit.
    pub fn commit_error(&mut self, commit: Commit) -> ErrorCode {
        let ticket = self.commit(commit);
        self.committed(ticket).expect("an answer").error_of(0, 0)
    }

    pub fn fetch(&mut self, topics: Option<&[(&str, &[i32])]>) -> FetchedOffsets {
        let topics = topics.map(|it| {
            let wanted = it.iter().map(|(name, partitions)| FetchTopic {
                name: (*name).to_owned(),
                topic_id: TopicId::default(),
                partitions: partitions.to_vec(),
            });
            wanted.collect()
        });
        let group_id = GROUP.to_owned();
        let mut request = FetchOffsets { group_id, topics, ..Default::default() };
        let mut all = FetchedOffsets::refused(ErrorCode::NONE);
        loop {
            let ticket = self.ask(GroupRequest::FetchOffsets(request.clone()));
            let fetched = match self.answer(ticket) {
                Some(GroupResponse::FetchOffsets(fetched)) => fetched,
                other => panic!("{other:?}"),
            };
            all.error = fetched.error;
            for topic in fetched.topics {
                let same =
                    |it: &FetchedTopic| (&it.name, it.topic_id) == (&topic.name, topic.topic_id);
                match all.topics.iter_mut().find(|it| same(it)) {
                    Some(it) => it.partitions.extend(topic.partitions),
                    None => all.topics.push(topic),
                }
            }
            if fetched.next.is_none() {
                return all;
            }
            request.after = fetched.next;
        }
    }

    /// The committed offset of partition 0.
    pub fn offset(&mut self, topic: &str) -> i64 {
        self.fetch(Some(&[(topic, &[0])])).topics[0].partitions[0].offset
    }

    /// The error of the request, or that of the only partition.
    pub fn delete_offset(&mut self, topic: &str) -> ErrorCode {
        let ticket = self.ask(GroupRequest::DeleteOffsets(DeleteOffsets {
            group_id: GROUP.to_owned(),
            topics: vec![TopicPartitions { name: topic.to_owned(), partitions: vec![0] }],
        }));
        match self.answer(ticket) {
            Some(GroupResponse::DeleteOffsets(it)) if it.error.is_err() => it.error,
            Some(GroupResponse::DeleteOffsets(it)) => it.topics[0].partitions[0].error,
            other => panic!("{other:?}"),
        }
    }

    pub fn delete_group(&mut self) -> ErrorCode {
        let request = DeleteGroup { group_id: GROUP.to_owned() };
        let ticket = self.ask(GroupRequest::DeleteGroup(request));
        match self.answer(ticket) {
            Some(GroupResponse::DeleteGroup(it)) => it.error,
            other => panic!("{other:?}"),
        }
    }

    pub fn describe(&mut self) -> Described {
        let ticket = self.ask(GroupRequest::Describe(Describe { group_id: GROUP.to_owned() }));
        match self.answer(ticket) {
            Some(GroupResponse::Describe(described)) => described,
            other => panic!("{other:?}"),
        }
    }

    pub fn state(&mut self) -> &'static str {
        self.describe().state
    }

    pub fn list(&mut self, filter: List) -> Vec<Listed> {
        let (mut listed, mut from) = (Vec::new(), 0);
        // One place at a time.
        while self.coordinator.list_part(&filter, &mut from, 1, &mut listed) > 0 {}
        listed.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        listed
    }

    // Whole stories.

    /// Dynamic members join an empty group one after the other, the first leads; each is assigned
    /// its number. Gives their ids; the generation is the group's first.
    pub fn stable(&mut self, joins: Vec<Join>) -> Vec<Joined> {
        let tickets: Vec<Ticket> = joins.into_iter().map(|it| self.join(it)).collect();
        for _ in 0..60 {
            if !self.answers.contains_key(&tickets[0]) {
                self.pass_ms(1_000);
            }
        }
        let joined: Vec<Joined> =
            tickets.iter().map(|it| self.joined(*it).expect("the delay is over")).collect();
        self.assign(&joined);
        joined
    }

    /// The leader assigns its number to each member, all others sync before it.
    pub fn assign(&mut self, joined: &[Joined]) {
        let numbers: Vec<String> = (0..joined.len()).map(|it| it.to_string()).collect();
        let assignments: Vec<(&str, &str)> = joined
            .iter()
            .zip(&numbers)
            .map(|(it, n)| (it.member_id.as_str(), n.as_str()))
            .collect();
        let (leaders, followers): (Vec<_>, Vec<_>) =
            joined.iter().partition(|it| it.leader == it.member_id);
        assert_eq!(leaders.len(), 1);
        let mut tickets: Vec<Ticket> = followers.iter().map(|it| self.sync(it, &[])).collect();
        tickets.push(self.sync(leaders[0], &assignments));
        for ticket in tickets {
            assert_eq!(self.synced(ticket).expect("an answer").error, ErrorCode::NONE);
        }
        assert_eq!(self.state(), "Stable");
    }
}

/// A join of a new consumer that wants a topic `t`, with sessions of ten seconds and rebalances of a
/// minute, of a version that needs no known id.
pub fn consumer(name: &str) -> Join {
    Join {
        group_id: GROUP.to_owned(),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 60_000,
        protocol_type: "consumer".to_owned(),
        protocols: vec![protocol("range", &["t"])],
        client_id: name.to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        fresh_member_id: format!("{name}-1"),
        ..Join::default()
    }
}

/// The same, of a static member.
pub fn static_consumer(instance_id: &str, fresh_member_id: &str) -> Join {
    Join {
        group_instance_id: Some(instance_id.to_owned()),
        fresh_member_id: fresh_member_id.to_owned(),
        ..consumer("client")
    }
}

/// A consumer's subscription, version 1.
pub fn subscription(topics: &[&str]) -> Bytes {
    let mut bytes = vec![0, 1];
    bytes.extend((topics.len() as i32).to_be_bytes());
    for topic in topics {
        bytes.extend((topic.len() as i16).to_be_bytes());
        bytes.extend(topic.as_bytes());
    }
    bytes.extend((-1_i32).to_be_bytes());
    bytes.extend(0_i32.to_be_bytes());
    bytes.into()
}

pub fn protocol(name: &str, topics: &[&str]) -> Protocol {
    Protocol { name: name.to_owned(), metadata: subscription(topics) }
}

/// A commit for partition 0 of a topic, of a consumer that takes no part in the group.
pub fn offset(topic: &str, offset: i64) -> Commit {
    Commit {
        group_id: GROUP.to_owned(),
        topics: vec![CommitTopic {
            name: topic.to_owned(),
            topic_id: TopicId::default(),
            partitions: vec![CommitOffset {
                partition: 0,
                offset,
                leader_epoch: -1,
                metadata: None,
            }],
        }],
        ..Commit::default()
    }
}

/// The same, of a member.
pub fn member_offset(joined: &Joined, topic: &str, next: i64) -> Commit {
    Commit {
        generation_id: joined.generation_id,
        member_id: joined.member_id.clone(),
        ..offset(topic, next)
    }
}
