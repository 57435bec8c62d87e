//! What members of a consumer group are told, one story after the other.

use std::collections::BTreeSet;

use super::partitions::{self, Partitions};
use super::request::{ConsumerDescribe, ConsumerHeartbeat};
use super::response::{ConsumerDescribed, ConsumerHeartbeaten};
use crate::group::consumer_protocol::read_assignment;
use crate::group::context::{CoordinatorSettings, MigrationPolicy};
use crate::group::effect::Ticket;
use crate::group::request::{Commit, FetchOffsets, GroupRequest, Heartbeat, Join, List};
use crate::group::response::{GroupResponse, Joined, Listed};
use crate::group::testing::{Bench, GROUP, consumer, offset, static_consumer};
use crate::group::transaction::TransactionProducer;
use crate::types::{ErrorCode, GroupConfig};

const HEARTBEAT_MS: i64 = 5_000;

/// A consumer that does what it is told at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) instance: Option<String>,
    pub(super) epoch: i32,
    pub(super) topics: Vec<String>,
    pub(super) regex: Option<String>,
    pub(super) owned: Partitions,
}

impl Client {
    pub(super) fn new(id: &str) -> Self {
        Self { id: id.to_owned(), topics: vec!["t".to_owned()], ..Self::default() }
    }

    /// A heartbeat that says everything.
    pub(super) fn full(&self) -> ConsumerHeartbeat {
        ConsumerHeartbeat {
            rebalance_timeout_ms: 60_000,
            topics: Some(self.topics.clone()),
            regex: self.regex.clone(),
            owned: Some(self.owned.clone()),
            ..self.short()
        }
    }

    /// A heartbeat that says nothing new.
    pub(super) fn short(&self) -> ConsumerHeartbeat {
        ConsumerHeartbeat {
            group_id: GROUP.to_owned(),
            member_id: self.id.clone(),
            requires_member_id: true,
            member_epoch: self.epoch,
            instance_id: self.instance.clone(),
            client_id: "client".to_owned(),
            client_host: "/127.0.0.1".to_owned(),
            ..ConsumerHeartbeat::default()
        }
    }

    pub(super) fn hears(&mut self, it: &ConsumerHeartbeaten) {
        assert_eq!(it.error, ErrorCode::NONE, "{}: {:?}", self.id, it.error_message);
        self.epoch = it.member_epoch;
        if let Some(assignment) = &it.assignment {
            self.owned = assignment.clone();
        }
    }

    pub(super) fn numbers(&self) -> Vec<i32> {
        self.owned.values().flatten().copied().collect()
    }
}

impl Bench {
    pub(super) fn beat(&mut self, beat: ConsumerHeartbeat) -> ConsumerHeartbeaten {
        let ticket = self.ask(GroupRequest::ConsumerHeartbeat(Box::new(beat)));
        self.beaten(ticket).expect("an answer")
    }

    pub(super) fn beaten(&mut self, ticket: Ticket) -> Option<ConsumerHeartbeaten> {
        match self.answer(ticket)? {
            GroupResponse::ConsumerHeartbeat(it) => Some(it),
            other => panic!("{other:?}"),
        }
    }

    /// All say what they have, until each has what it is to have.
    pub(super) fn converge(&mut self, clients: &mut [&mut Client]) {
        for _ in 0..8 {
            for client in clients.iter_mut() {
                let it = self.beat(client.full());
                client.hears(&it);
            }
            let all: Vec<_> = clients.iter().flat_map(|it| partitions::iter(&it.owned)).collect();
            let distinct: BTreeSet<_> = all.iter().copied().collect();
            assert_eq!(all.len(), distinct.len(), "two have the same partition");
        }
        assert_eq!(self.about().state, "Stable");
    }

    pub(super) fn about(&mut self) -> ConsumerDescribed {
        let group_id = GROUP.to_owned();
        let ticket = self.ask(GroupRequest::ConsumerDescribe(ConsumerDescribe { group_id }));
        match self.answer(ticket) {
            Some(GroupResponse::ConsumerDescribe(it)) => it,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn error(&mut self, beat: ConsumerHeartbeat) -> ErrorCode {
        self.beat(beat).error
    }

    /// What the log says, loaded anew, is what the coordinator says.
    pub(super) fn check_log(&mut self) {
        let state = |bench: &Self| {
            let mut records = bench.coordinator.live_state();
            records.sort_by(|a, b| a.key.cmp(&b.key));
            records
        };
        let (before, live) = (state(self), self.coordinator.live_bytes());
        let bytes = |it: &crate::group::records::Record| {
            (it.key.len() + it.value.as_ref().map_or(0, Vec::len)) as u64
        };
        assert_eq!(live, before.iter().map(bytes).sum::<u64>(), "live bytes");
        self.restart();
        assert_eq!(state(self), before);
    }
}

pub(super) fn with_topic(partitions: i32) -> Bench {
    let mut bench = Bench::default();
    bench.set_topic("t", partitions);
    bench
}

#[test]
fn a_member_gets_all_and_shares_when_another_comes() {
    let mut bench = with_topic(4);
    let (mut a, mut b) = (Client::new("a"), Client::new("b"));
    let told = bench.beat(a.full());
    a.hears(&told);
    assert_eq!((told.member_epoch, told.heartbeat_interval_ms), (1, 5_000));
    assert_eq!(a.numbers(), [0, 1, 2, 3]);
    // Nothing new: nothing is said, and nothing is written.
    let (records, told) = (bench.log.len(), bench.beat(a.short()));
    assert_eq!((told.assignment, bench.log.len()), (None, records));
    // The other gets nothing until the first has given something up.
    let told = bench.beat(b.full());
    b.hears(&told);
    assert_eq!((told.member_epoch, b.numbers()), (2, vec![]));
    assert_eq!(bench.about().state, "Reconciling");
    let told = bench.beat(a.short());
    assert_eq!(told.member_epoch, 1, "it stays in its epoch until it has given up what it must");
    let kept = told.assignment.expect("something to give up");
    assert_eq!(partitions::count(&kept), 2);
    assert_eq!(bench.beat(b.short()).assignment, None);
    // It has not said yet that it has.
    assert_eq!(bench.beat(a.short()).member_epoch, 1);
    a.owned = kept;
    let told = bench.beat(ConsumerHeartbeat { owned: Some(a.owned.clone()), ..a.short() });
    assert_eq!(told.member_epoch, 2);
    a.epoch = 2;
    let told = bench.beat(b.short());
    b.hears(&told);
    assert_eq!(b.numbers().len(), 2);
    assert!(!partitions::meet(&a.owned, &b.owned));
    let about = bench.about();
    assert_eq!((about.state, about.epoch, about.target_epoch), ("Stable", 2, 2));
    assert_eq!((about.assignor.as_str(), about.members.len()), ("uniform", 2));
    assert_eq!(about.members[0].assigned, about.members[0].target);
    bench.check_log();
    bench.converge(&mut [&mut a, &mut b]);
}

#[test]
fn a_request_is_checked() {
    let mut bench = with_topic(1);
    let client = Client::new("a");
    let full = || client.full();
    let refused = [
        ConsumerHeartbeat { group_id: " ".to_owned(), ..full() },
        ConsumerHeartbeat { member_id: String::new(), ..full() },
        ConsumerHeartbeat { member_epoch: -3, ..full() },
        ConsumerHeartbeat { member_epoch: -2, ..full() },
        ConsumerHeartbeat { rebalance_timeout_ms: -1, ..full() },
        ConsumerHeartbeat { topics: None, ..full() },
        ConsumerHeartbeat { owned: None, ..full() },
        ConsumerHeartbeat { instance_id: Some(String::new()), ..full() },
        ConsumerHeartbeat { rack_id: Some(" ".to_owned()), ..full() },
    ];
    for beat in refused {
        let it = bench.beat(beat.clone());
        assert_eq!(it.error, ErrorCode::INVALID_REQUEST, "{beat:?}");
        assert!(it.error_message.is_some());
    }
    let odd = ConsumerHeartbeat { server_assignor: Some("odd".to_owned()), ..full() };
    let it = bench.beat(odd);
    assert_eq!(it.error, ErrorCode::UNSUPPORTED_ASSIGNOR);
    let why = "ServerAssignor odd is not supported. Supported assignors: uniform, range.";
    assert_eq!(it.error_message.as_deref(), Some(why));
    let odd = ConsumerHeartbeat { regex: Some("(".to_owned()), ..full() };
    assert_eq!(bench.error(odd), ErrorCode::INVALID_REGULAR_EXPRESSION);
    let stranger = Client { epoch: 1, ..client.clone() };
    assert_eq!(bench.error(stranger.short()), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(bench.about().error, ErrorCode::GROUP_ID_NOT_FOUND);
    assert!(bench.log.is_empty() && bench.list(List::default()).is_empty());
    // Version 0 gives ids out.
    let id = ConsumerHeartbeat {
        member_id: String::new(),
        requires_member_id: false,
        fresh_member_id: "fresh".to_owned(),
        ..full()
    };
    assert_eq!(bench.beat(id).member_id.as_deref(), Some("fresh"));
    assert_eq!(bench.error(stranger.short()), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn epochs_are_fenced_and_lost_answers_are_told_again() {
    let mut bench = with_topic(2);
    let (mut a, mut b) = (Client::new("a"), Client::new("b"));
    // The answer to the first is lost.
    bench.beat(a.full());
    let told = bench.beat(a.full());
    a.hears(&told);
    assert_eq!((a.epoch, a.numbers().len()), (1, 2));
    bench.converge(&mut [&mut a, &mut b]);
    let older = Client { epoch: a.epoch - 1, ..a.clone() };
    // It comes with the epoch before, and with nothing that is not its own.
    assert_eq!(bench.error(older.full()), ErrorCode::NONE);
    let stolen = Client { owned: b.owned.clone(), ..older.clone() };
    assert_eq!(bench.error(stolen.full()), ErrorCode::FENCED_MEMBER_EPOCH);
    assert_eq!(bench.error(older.short()), ErrorCode::FENCED_MEMBER_EPOCH);
    let newer = Client { epoch: a.epoch + 1, ..a.clone() };
    let it = bench.beat(newer.full());
    assert_eq!(it.error, ErrorCode::FENCED_MEMBER_EPOCH);
    assert!(it.error_message.unwrap().contains("greater member epoch (3)"));
    // Whoever is fenced begins anew, and is let in again although it is known still.
    let had = a.owned.clone();
    a.epoch = 0;
    a.owned = Partitions::new();
    let told = bench.beat(a.full());
    a.hears(&told);
    assert_eq!(a.owned, had);
    bench.converge(&mut [&mut a, &mut b]);
    bench.check_log();
}

#[test]
fn whoever_begins_anew_has_given_everything_up() {
    let mut bench = with_topic(4);
    let (mut a, mut b) = (Client::new("a"), Client::new("b"));
    let told = bench.beat(a.full());
    a.hears(&told);
    let told = bench.beat(b.full());
    b.hears(&told);
    bench.beat(a.short());
    // Called to give up two, it was fenced by its own doing, and joins again with nothing.
    a.epoch = 0;
    a.owned = Partitions::new();
    let told = bench.beat(a.full());
    a.hears(&told);
    assert_eq!((a.epoch, a.numbers().len()), (2, 2));
    bench.converge(&mut [&mut a, &mut b]);
}

#[test]
fn members_that_leave_or_are_silent_go() {
    let mut bench = with_topic(3);
    let (mut a, mut b, mut c) = (Client::new("a"), Client::new("b"), Client::new("c"));
    bench.converge(&mut [&mut a, &mut b, &mut c]);
    let epoch = bench.about().epoch;
    let leaving = Client { epoch: -1, ..c.clone() };
    let it = bench.beat(leaving.short());
    assert_eq!((it.error, it.member_epoch, it.assignment), (ErrorCode::NONE, -1, None));
    assert_eq!((bench.about().epoch, bench.about().state), (epoch + 1, "Assigning"));
    assert_eq!(bench.error(leaving.short()), ErrorCode::UNKNOWN_MEMBER_ID);
    bench.converge(&mut [&mut a, &mut b]);
    assert_eq!(bench.about().epoch, epoch + 1, "one change, one epoch");
    for _ in 0..9 {
        bench.pass_ms(HEARTBEAT_MS);
        let told = bench.beat(a.short());
        a.hears(&told);
    }
    assert_eq!(bench.error(b.short()), ErrorCode::UNKNOWN_MEMBER_ID);
    bench.converge(&mut [&mut a]);
    assert_eq!(a.numbers(), [0, 1, 2]);
    bench.pass_ms(45_000);
    let about = bench.about();
    assert_eq!((about.state, about.members.len()), ("Empty", 0));
    bench.check_log();
    assert_eq!(bench.delete_group(), ErrorCode::NONE);
    assert_eq!(bench.about().error, ErrorCode::GROUP_ID_NOT_FOUND);
    assert!(bench.coordinator.live_state().is_empty());
    assert_eq!(bench.coordinator.live_bytes(), 0);
}

#[test]
fn whoever_does_not_give_up_in_time_is_fenced() {
    let mut bench = with_topic(2);
    let (mut a, mut b) = (Client::new("a"), Client::new("b"));
    let told = bench.beat(a.full());
    a.hears(&told);
    let told = bench.beat(b.full());
    b.hears(&told);
    for _ in 0..12 {
        // It says that it is there, and keeps what it has.
        assert_eq!(bench.error(a.full()), ErrorCode::NONE);
        let told = bench.beat(b.short());
        b.hears(&told);
        assert!(b.owned.is_empty() || bench.about().members.len() == 1);
        bench.pass_ms(HEARTBEAT_MS);
    }
    assert_eq!(bench.error(a.short()), ErrorCode::UNKNOWN_MEMBER_ID);
    bench.converge(&mut [&mut b]);
    assert_eq!(b.numbers(), [0, 1]);
}

#[test]
fn what_was_never_asked_of_a_member_is_not_waited_for() {
    let mut bench = with_topic(2);
    let mut a = Client::new("a");
    bench.converge(&mut [&mut a]);
    bench.slow = true;
    let other = Client { topics: vec!["u".to_owned()], ..a.clone() };
    let ticket = bench.ask(GroupRequest::ConsumerHeartbeat(Box::new(other.full())));
    bench.written(Err(ErrorCode::NOT_ENOUGH_REPLICAS));
    let error = bench.beaten(ticket).map(|it| it.error);
    assert_eq!(error, Some(ErrorCode::COORDINATOR_NOT_AVAILABLE));
    bench.slow = false;
    for _ in 0..20 {
        assert_eq!(bench.error(a.short()), ErrorCode::NONE);
        bench.pass_ms(HEARTBEAT_MS);
    }
}

#[test]
fn a_static_member_that_is_away_has_nothing_to_give_up() {
    let mut bench = with_topic(2);
    let mut a = Client { instance: Some("i".into()), ..Client::new("a") };
    let mut b = Client::new("b");
    bench.converge(&mut [&mut a]);
    let told = bench.beat(b.full());
    b.hears(&told);
    let hasty = ConsumerHeartbeat { rebalance_timeout_ms: 10_000, ..a.full() };
    assert_eq!(bench.beat(hasty).assignment.map(|it| partitions::count(&it)), Some(1));
    let away = Client { epoch: -2, ..a.clone() };
    assert_eq!(bench.error(away.short()), ErrorCode::NONE);
    for restarts in [false, true] {
        for _ in 0..4 {
            bench.pass_ms(HEARTBEAT_MS);
            let told = bench.beat(b.short());
            b.hears(&told);
        }
        assert_eq!(bench.about().members.len(), 2, "its session goes on");
        if !restarts {
            bench.check_log();
        }
    }
    let mut again = Client { instance: Some("i".into()), ..Client::new("a2") };
    bench.converge(&mut [&mut again, &mut b]);
    assert_eq!((again.numbers().len(), b.numbers().len()), (1, 1));
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let mut bench = with_topic(4);
    let (mut a, mut b) = (Client::new("a"), Client::new("b"));
    let told = bench.beat(a.full());
    a.hears(&told);
    let told = bench.beat(b.full());
    b.hears(&told);
    bench.beat(a.short());
    bench.check_log();
    // It is still to give up two, and has its time for that anew.
    for _ in 0..11 {
        bench.pass_ms(HEARTBEAT_MS);
        let told = bench.beat(b.short());
        b.hears(&told);
        assert_eq!(bench.error(a.short()), ErrorCode::NONE);
    }
    bench.pass_ms(HEARTBEAT_MS);
    assert_eq!(bench.error(a.short()), ErrorCode::UNKNOWN_MEMBER_ID);
    bench.converge(&mut [&mut b]);
}

#[test]
fn topics_that_change_make_a_new_epoch() {
    let mut bench = with_topic(2);
    let mut a = Client { topics: vec!["t".into(), "u".into()], ..Client::new("a") };
    bench.converge(&mut [&mut a]);
    assert_eq!((a.epoch, a.numbers().len()), (1, 2));
    bench.set_topic("other", 5);
    bench.converge(&mut [&mut a]);
    assert_eq!(a.epoch, 1, "nobody wants that topic");
    bench.set_topic("t", 3);
    bench.converge(&mut [&mut a]);
    assert_eq!((a.epoch, a.numbers().len()), (2, 3));
    bench.set_topic("u", 1);
    bench.converge(&mut [&mut a]);
    assert_eq!((a.epoch, a.numbers().len()), (3, 4));
    bench.set_topic("t", 0);
    bench.converge(&mut [&mut a]);
    assert_eq!((a.epoch, a.numbers().len()), (4, 1));
    // One of the same name is another topic.
    bench.set_topic("t", 3);
    bench.converge(&mut [&mut a]);
    assert_eq!((a.epoch, a.numbers().len()), (5, 4));
    bench.check_log();
    bench.converge(&mut [&mut a]);
    assert_eq!(a.epoch, 5, "after a restart, the topics are what they were");
}

#[test]
fn a_static_member_takes_its_former_place() {
    let mut bench = with_topic(4);
    let mut a = Client { instance: Some("i".into()), ..Client::new("a") };
    let mut b = Client::new("b");
    bench.converge(&mut [&mut a, &mut b]);
    let (had, epoch) = (a.owned.clone(), bench.about().epoch);
    let mut again = Client { instance: Some("i".into()), ..Client::new("a2") };
    // Its former self has not gone.
    assert_eq!(bench.error(again.full()), ErrorCode::UNRELEASED_INSTANCE_ID);
    let away = Client { epoch: -2, ..a.clone() };
    let told = bench.beat(away.short());
    assert_eq!((told.error, told.member_epoch), (ErrorCode::NONE, -2));
    assert_eq!(bench.about().epoch, epoch, "nobody else gets what it had");
    bench.check_log();
    let told = bench.beat(again.full());
    again.hears(&told);
    assert_eq!((&again.owned, bench.about().epoch), (&had, epoch));
    assert_eq!(bench.error(a.short()), ErrorCode::FENCED_INSTANCE_ID);
    let stranger = Client { instance: Some("j".into()), ..a.clone() };
    assert_eq!(bench.error(stranger.short()), ErrorCode::UNKNOWN_MEMBER_ID);
    bench.converge(&mut [&mut again, &mut b]);
    // Away for too long.
    let away = Client { epoch: -2, ..again.clone() };
    bench.beat(away.short());
    for _ in 0..9 {
        bench.pass_ms(HEARTBEAT_MS);
        let told = bench.beat(b.short());
        b.hears(&told);
    }
    bench.converge(&mut [&mut b]);
    assert_eq!(b.numbers().len(), 4);
    bench.check_log();
}

#[test]
fn a_regular_expression_is_resolved_by_the_coordinator() {
    let mut bench = Bench::default();
    for (name, partitions) in [("a1", 1), ("a2", 2), ("b1", 4)] {
        bench.set_topic(name, partitions);
    }
    let mut a = Client { topics: vec![], regex: Some("a.".into()), ..Client::new("a") };
    bench.converge(&mut [&mut a]);
    assert_eq!((a.epoch, a.numbers().len()), (1, 3));
    // A topic that comes is seen with a heartbeat, but not sooner than ten seconds after the last look.
    bench.set_topic("a3", 1);
    let told = bench.beat(a.short());
    assert_eq!(told.assignment, None);
    bench.pass_ms(10_000);
    bench.converge(&mut [&mut a]);
    assert_eq!((a.epoch, a.numbers().len()), (2, 4));
    bench.check_log();
    let mut b = Client { topics: vec!["b1".into()], regex: Some("a.".into()), ..Client::new("b") };
    bench.converge(&mut [&mut a, &mut b]);
    assert_eq!(a.numbers().len() + b.numbers().len(), 8);
    assert_eq!(bench.about().members[1].regex.as_deref(), Some("a."));
    // It wants nothing any more: what it had by the expression is another's.
    b.topics.clear();
    b.regex = Some(String::new());
    bench.converge(&mut [&mut b, &mut a]);
    assert_eq!((a.numbers().len(), b.numbers().len()), (4, 0));
    a.regex = Some(String::new());
    bench.converge(&mut [&mut a, &mut b]);
    assert_eq!((a.numbers().len(), b.numbers().len()), (0, 0));
    let kinds: BTreeSet<u8> = bench.coordinator.live_state().iter().map(|it| it.key[1]).collect();
    assert!(!kinds.contains(&16), "an expression that nobody has is gone from the log");
    bench.check_log();
}

#[test]
fn a_write_that_fails_changes_nothing() {
    let mut bench = with_topic(2);
    let (mut a, b) = (Client::new("a"), Client::new("b"));
    bench.slow = true;
    let ticket = bench.ask(GroupRequest::ConsumerHeartbeat(Box::new(a.full())));
    assert_eq!(bench.beaten(ticket), None, "it is not durable");
    bench.written(Err(ErrorCode::NOT_ENOUGH_REPLICAS));
    let told = bench.beaten(ticket).expect("an answer");
    assert_eq!(told.error, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    assert!(bench.list(List::default()).is_empty());
    bench.slow = false;
    bench.converge(&mut [&mut a]);
    let state = bench.coordinator.live_state();
    bench.slow = true;
    let ticket = bench.ask(GroupRequest::ConsumerHeartbeat(Box::new(b.full())));
    bench.written(Err(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert_eq!(bench.beaten(ticket).map(|it| it.error), Some(ErrorCode::NOT_COORDINATOR));
    assert_eq!(bench.coordinator.live_state(), state);
    let leaving = Client { epoch: -1, ..a.clone() };
    let ticket = bench.ask(GroupRequest::ConsumerHeartbeat(Box::new(leaving.short())));
    bench.written(Err(ErrorCode::NOT_ENOUGH_REPLICAS));
    let error = bench.beaten(ticket).map(|it| it.error);
    assert_eq!(error, Some(ErrorCode::COORDINATOR_NOT_AVAILABLE));
    assert_eq!(bench.coordinator.live_state(), state);
    bench.slow = false;
    // It is a member still, for a whole session.
    bench.pass_ms(44_000);
    assert_eq!(bench.error(a.short()), ErrorCode::NONE);
    bench.check_log();
}

pub(super) fn committed(client: &Client, epoch: i32) -> Commit {
    Commit {
        generation_id: epoch,
        member_id: client.id.clone(),
        knows_group_id_not_found: true,
        ..offset("t", 7)
    }
}

#[test]
fn offsets_belong_to_members_at_their_epoch() {
    let mut bench = with_topic(2);
    let mut a = Client::new("a");
    bench.converge(&mut [&mut a]);
    assert_eq!(bench.commit_error(committed(&a, a.epoch)), ErrorCode::NONE);
    assert_eq!(bench.commit_error(committed(&a, 0)), ErrorCode::STALE_MEMBER_EPOCH);
    let stranger = Client::new("b");
    assert_eq!(bench.commit_error(committed(&stranger, 1)), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bench.commit_error(offset("t", 7)), ErrorCode::UNKNOWN_MEMBER_ID);
    let old = Commit { knows_group_id_not_found: false, ..committed(&a, a.epoch) };
    assert_eq!(bench.commit_error(old), ErrorCode::UNSUPPORTED_VERSION);
    let mut fetch = |id: Option<&str>, epoch| {
        let (group_id, member_id) = (GROUP.to_owned(), id.map(str::to_owned));
        let ticket = bench.ask(GroupRequest::FetchOffsets(FetchOffsets {
            group_id,
            member_id,
            member_epoch: epoch,
            ..FetchOffsets::default()
        }));
        match bench.answer(ticket) {
            Some(GroupResponse::FetchOffsets(it)) => (it.error, it.topics.len()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fetch(None, -1), (ErrorCode::NONE, 1));
    assert_eq!(fetch(Some("a"), a.epoch), (ErrorCode::NONE, 1));
    assert_eq!(fetch(Some("a"), 9), (ErrorCode::STALE_MEMBER_EPOCH, 0));
    assert_eq!(fetch(Some("b"), 1), (ErrorCode::UNKNOWN_MEMBER_ID, 0));
    assert_eq!(bench.delete_offset("t"), ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
    assert_eq!(bench.delete_group(), ErrorCode::NON_EMPTY_GROUP);
    a.epoch = -1;
    bench.beat(a.short());
    assert_eq!(bench.commit_error(offset("t", 8)), ErrorCode::NONE, "nobody is left to object");
    assert_eq!(bench.delete_offset("t"), ErrorCode::NONE);
}

/// KIP-1251.
#[test]
fn offsets_of_an_earlier_epoch_count_where_nobody_else_had_the_partition() {
    let mut bench = with_topic(2);
    let (mut a, mut b) = (Client::new("a"), Client::new("b"));
    bench.converge(&mut [&mut a]);
    let (before, topic) = (a.epoch, *a.owned.keys().next().expect("a topic"));
    let commit = |client: &Client, epoch, partition| {
        let mut commit = committed(client, epoch);
        commit.topics[0].topic_id = topic;
        commit.topics[0].partitions[0].partition = partition;
        commit
    };
    let told = bench.beat(b.full());
    b.hears(&told);
    let told = bench.beat(a.full());
    assert_eq!(told.assignment.as_ref().map(partitions::count), Some(1));
    let kept = told.assignment.iter().flat_map(partitions::iter).next().expect("one").1;
    let gone = 1 - kept;
    for partition in [kept, gone] {
        let error = bench.commit_error(commit(&a, before, partition));
        assert_eq!(error, ErrorCode::NONE, "it has not given it up");
    }
    a.hears(&told);
    bench.converge(&mut [&mut a, &mut b]);
    assert!(a.epoch > before);
    for restarted in [false, true] {
        assert_eq!(bench.commit_error(commit(&a, before, kept)), ErrorCode::NONE);
        assert_eq!(
            bench.commit_error(commit(&a, a.epoch + 1, kept)),
            ErrorCode::STALE_MEMBER_EPOCH
        );
        assert_eq!(bench.commit_error(commit(&a, before, gone)), ErrorCode::STALE_MEMBER_EPOCH);
        assert_eq!(bench.commit_error(commit(&b, before, gone)), ErrorCode::STALE_MEMBER_EPOCH);
        if !restarted {
            bench.check_log();
        }
    }
    // In a transaction its program may vouch for them, and names no member.
    let producer = Some(TransactionProducer { id: 1, epoch: 0, markers: None });
    let of_nobody = Commit { producer, ..offset("t", 7) };
    assert_eq!(bench.commit_error(of_nobody.clone()), ErrorCode::NONE);
    let of_stranger = Commit { member_id: "c".to_owned(), ..of_nobody };
    assert_eq!(bench.commit_error(of_stranger), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_group_is_listed_by_type_and_state() {
    let mut bench = with_topic(1);
    let mut a = Client::new("a");
    bench.converge(&mut [&mut a]);
    let all = bench.list(List::default());
    let group = Listed {
        group_id: GROUP.to_owned(),
        protocol_type: "consumer".to_owned(),
        state: "Stable",
        group_type: "consumer",
    };
    assert_eq!(all, [group]);
    let list = |states: &[&str], types: &[&str]| List {
        states: states.iter().map(|it| (*it).to_owned()).collect(),
        types: types.iter().map(|it| (*it).to_owned()).collect(),
    };
    assert_eq!(bench.list(list(&["stable"], &["Consumer"])).len(), 1);
    assert_eq!(bench.list(list(&["Empty"], &[])).len(), 0);
    assert_eq!(bench.list(list(&[], &["classic"])).len(), 0);
    let described = bench.describe();
    assert_eq!(described.error, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(described.error_message.as_deref(), Some("Group group is not a classic group."));
}

#[test]
fn sessions_and_heartbeats_are_the_groups_own() {
    let mut bench = with_topic(1);
    bench.topics.config = GroupConfig {
        consumer_session_timeout_ms: Some(50_000),
        consumer_heartbeat_interval_ms: Some(10_000),
        ..GroupConfig::default()
    };
    bench.set_topic("t", 1);
    let mut a = Client::new("a");
    let told = bench.beat(a.full());
    a.hears(&told);
    assert_eq!(told.heartbeat_interval_ms, 10_000);
    bench.pass_ms(49_999);
    assert_eq!(bench.about().members.len(), 1);
    bench.pass_ms(1);
    assert_eq!(bench.about().members.len(), 0);
}

#[test]
fn a_group_has_its_size() {
    let settings = CoordinatorSettings { consumer_group_max_size: 1, ..Default::default() };
    let mut bench = Bench::new(settings);
    bench.set_topic("t", 1);
    let (mut a, b) = (Client::new("a"), Client::new("b"));
    bench.converge(&mut [&mut a]);
    assert_eq!(bench.error(b.full()), ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(bench.error(a.full()), ErrorCode::NONE);
}

#[test]
fn the_assignor_is_the_one_that_most_want() {
    let mut bench = with_topic(2);
    let client = |id: &str, assignor: &str| {
        let beat = Client::new(id).full();
        ConsumerHeartbeat { server_assignor: Some(assignor.to_owned()), ..beat }
    };
    bench.beat(client("a", "range"));
    assert_eq!(bench.about().assignor, "range");
    bench.beat(client("b", "uniform"));
    bench.beat(client("c", "uniform"));
    assert_eq!(bench.about().assignor, "uniform");
}

// ---- What a log may look like after a compaction, or when it ends too soon ----

#[test]
fn any_part_of_a_log_can_be_loaded() {
    let mut bench = with_topic(4);
    let (mut a, mut b) = (Client::new("a"), Client::new("b"));
    bench.converge(&mut [&mut a, &mut b]);
    let leaving = Client { epoch: -1, ..b.clone() };
    bench.beat(leaving.short());
    bench.converge(&mut [&mut a]);
    let leaving = Client { epoch: -1, ..a.clone() };
    bench.beat(leaving.short());
    assert_eq!(bench.delete_group(), ErrorCode::NONE);
    let whole = bench.log.clone();
    for end in 0..=whole.len() {
        // The rest was never written.
        bench.log = whole[..end].to_vec();
        bench.restart();
        let mut c = Client::new("c");
        let told = bench.beat(c.full());
        c.hears(&told);
        bench.pass_ms(60_000);
        c = Client::new("c");
        bench.converge(&mut [&mut c]);
        assert_eq!(c.numbers().len(), 4, "cut at {end}");
        bench.check_log();
        // The beginning was compacted: values that were overwritten, and tombstones, are gone.
        bench.log = whole[end..].to_vec();
        bench.restart();
        assert!(bench.list(List::default()).is_empty(), "begun at {end}");
        // A tombstone of its siblings was compacted before it was.
        bench.log = whole.clone();
        if end < whole.len() {
            bench.log.remove(end);
        }
        bench.restart();
        let mut c = Client::new("c");
        for _ in 0..2 {
            bench.pass_ms(60_000);
            c = Client::new("c");
            let told = bench.beat(c.full());
            c.hears(&told);
        }
        bench.converge(&mut [&mut c]);
        assert_eq!(c.numbers().len(), 4, "without {end}");
    }
}

// ---- Members of the classic protocol ----

/// A classic consumer of the topic `t`.
fn classic(id: &str) -> Join {
    Join { session_timeout_ms: 10_000, rebalance_timeout_ms: 60_000, ..consumer(id) }
}

impl Bench {
    pub(super) fn rejoin(&mut self, joined: &Joined) -> Joined {
        let join = Join { member_id: joined.member_id.clone(), ..classic("x") };
        let ticket = self.join(join);
        self.joined(ticket).expect("a consumer group answers at once")
    }

    /// What a classic member has, after a sync.
    fn fetched(&mut self, joined: &Joined) -> Result<Vec<i32>, ErrorCode> {
        let ticket = self.sync(joined, &[]);
        let synced = self.synced(ticket).expect("an answer");
        if synced.error.is_err() {
            return Err(synced.error);
        }
        let assigned = read_assignment(&synced.assignment).expect("it is whole");
        Ok(assigned.into_iter().flat_map(|it| it.1).collect())
    }

    /// Classic members, stable, with assignments as consumers write them.
    pub(super) fn classic_group(&mut self, ids: &[&str], numbers: &[&[i32]]) -> Vec<Joined> {
        let joined = self.stable(ids.iter().map(|it| classic(it)).collect());
        // The leader assigns anew, this time in the format of consumers.
        let leader = joined.iter().position(|it| it.leader == it.member_id).unwrap_or(0);
        let again = Join { member_id: joined[leader].member_id.clone(), ..classic(ids[leader]) };
        let ticket = self.join(again);
        let others: Vec<_> = joined
            .iter()
            .zip(ids)
            .enumerate()
            .filter(|(index, _)| *index != leader)
            .map(|(index, (it, id))| {
                let join = Join { member_id: it.member_id.clone(), ..classic(id) };
                (index, self.join(join))
            })
            .collect();
        let mut joined = joined;
        joined[leader] = self.joined(ticket).expect("all have joined");
        for (index, ticket) in others {
            joined[index] = self.joined(ticket).expect("all have joined");
        }
        let assignments: Vec<_> = joined
            .iter()
            .zip(numbers)
            .map(|(it, numbers)| crate::group::request::Assignment {
                member_id: it.member_id.clone(),
                assignment: crate::group::consumer_protocol::write_assignment(
                    1,
                    &vec![("t", numbers.to_vec())],
                )
                .expect("it is short")
                .into(),
            })
            .collect();
        for it in &joined {
            let leads = it.leader == it.member_id;
            self.ask(GroupRequest::Sync(crate::group::request::Sync {
                group_id: GROUP.to_owned(),
                generation_id: it.generation_id,
                member_id: it.member_id.clone(),
                assignments: if leads { assignments.clone() } else { Vec::new() },
                ..crate::group::request::Sync::default()
            }));
        }
        assert_eq!(self.state(), "Stable");
        joined
    }

    pub(super) fn classic_beat(&mut self, joined: &Joined) -> ErrorCode {
        let ticket = self.ask(GroupRequest::Heartbeat(Heartbeat {
            group_id: GROUP.to_owned(),
            generation_id: joined.generation_id,
            member_id: joined.member_id.clone(),
            group_instance_id: None,
        }));
        self.heartbeaten(ticket).expect("an answer")
    }
}

#[test]
fn a_classic_group_becomes_one_of_consumers_and_one_of_classic_members_again() {
    let mut bench = with_topic(4);
    let joined = bench.classic_group(&["x", "y"], &[&[0, 1], &[2, 3]]);
    let mut a = Client::new("a");
    let told = bench.beat(a.full());
    a.hears(&told);
    assert!(a.owned.is_empty(), "the others have everything still");
    let about = bench.about();
    assert_eq!((about.members.len(), about.state), (3, "Reconciling"));
    assert_eq!(about.members.iter().filter(|it| it.classic).count(), 2);
    bench.check_log();
    // Each is called, joins, gives up, joins again.
    let mut joined = joined;
    for it in &mut joined {
        assert_eq!(bench.classic_beat(it), ErrorCode::REBALANCE_IN_PROGRESS);
        assert_eq!(bench.fetched(it), Err(ErrorCode::REBALANCE_IN_PROGRESS));
        // What it has is not said here: it has given up all.
        *it = bench.rejoin(it);
        assert_eq!((it.error, it.leader.as_str()), (ErrorCode::NONE, ""));
    }
    for _ in 0..4 {
        let told = bench.beat(a.full());
        a.hears(&told);
        for it in &mut joined {
            if bench.classic_beat(it) == ErrorCode::REBALANCE_IN_PROGRESS {
                *it = bench.rejoin(it);
            }
        }
    }
    let mut all = a.numbers();
    for it in &joined {
        assert_eq!(bench.classic_beat(it), ErrorCode::NONE);
        let numbers = bench.fetched(it).expect("it is in step");
        assert!(!numbers.is_empty());
        all.extend(numbers);
    }
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
    let stale = Joined { generation_id: 1, ..joined[0].clone() };
    assert_eq!(bench.classic_beat(&stale), ErrorCode::ILLEGAL_GENERATION);
    let commit =
        Commit { generation_id: 1, member_id: joined[0].member_id.clone(), ..offset("t", 1) };
    assert_eq!(bench.commit_error(commit), ErrorCode::ILLEGAL_GENERATION);
    // The last of the new protocol goes.
    let leaving = Client { epoch: -1, ..a.clone() };
    assert_eq!(bench.error(leaving.short()), ErrorCode::NONE);
    let listed = bench.list(List::default());
    assert_eq!((listed[0].group_type, listed[0].state), ("classic", "PreparingRebalance"));
    assert_eq!(bench.describe().members.len(), 2);
    assert_eq!(bench.classic_beat(&joined[0]), ErrorCode::REBALANCE_IN_PROGRESS);
    bench.check_log();
}

#[test]
fn classic_members_of_a_consumer_group_that_leave_or_are_silent_go() {
    let mut bench = with_topic(2);
    let mut a = Client::new("a");
    bench.converge(&mut [&mut a]);
    let join = Join { requires_known_member_id: true, ..classic("x") };
    let ticket = bench.join(join.clone());
    let told = bench.joined(ticket).expect("an answer");
    assert_eq!(told.error, ErrorCode::MEMBER_ID_REQUIRED);
    let ticket = bench.join(Join { member_id: told.member_id.clone(), ..join });
    let joined = bench.joined(ticket).expect("an answer");
    assert_eq!((joined.error, joined.protocol_name.as_deref()), (ErrorCode::NONE, Some("range")));
    let odd = Join { protocols: vec![], ..classic("z") };
    let ticket = bench.join(odd);
    let refused = bench.joined(ticket).expect("an answer").error;
    assert_eq!(refused, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let left = bench.leave(&[(&joined.member_id, None), ("a", None), ("nobody", None)]);
    let errors: Vec<_> = left.members.iter().map(|it| it.error).collect();
    let unknown = ErrorCode::UNKNOWN_MEMBER_ID;
    assert_eq!(errors, [ErrorCode::NONE, unknown, unknown]);
    bench.converge(&mut [&mut a]);
    assert_eq!(a.numbers(), [0, 1]);
    // One that does not fetch its assignment goes too, after its session.
    let ticket = bench.join(classic("y"));
    assert_eq!(bench.joined(ticket).expect("an answer").error, ErrorCode::NONE);
    bench.pass_ms(10_000);
    assert_eq!(bench.about().members.len(), 1);
    bench.check_log();
}

#[test]
fn a_classic_member_that_replaces_one_with_a_regular_expression_has_none() {
    let mut bench = with_topic(1);
    bench.set_topic("u", 3);
    let instance = Some("i".to_owned());
    let mut a = Client { instance, topics: vec![], regex: Some("t|u".into()), ..Client::new("a") };
    let mut b = Client::new("b");
    bench.converge(&mut [&mut a, &mut b]);
    let ticket = bench.join(static_consumer("i", "x"));
    let joined = bench.joined(ticket).expect("an answer");
    assert_eq!(joined.error, ErrorCode::NONE);
    let about = bench.about();
    let it = about.members.iter().find(|it| it.member_id == "x").expect("it is there");
    assert_eq!((it.regex.as_deref(), it.topics.as_slice()), (None, &["t".to_owned()][..]));
    assert_eq!(bench.error(a.short()), ErrorCode::FENCED_INSTANCE_ID);
    let kinds: BTreeSet<u8> = bench.coordinator.live_state().iter().map(|it| it.key[1]).collect();
    assert!(!kinds.contains(&16));
    bench.check_log();
}

#[test]
fn a_policy_forbids_a_change_of_protocol() {
    let policy = MigrationPolicy::Downgrade;
    let settings = CoordinatorSettings { consumer_migration_policy: policy, ..Default::default() };
    let mut bench = Bench::new(settings);
    bench.set_topic("t", 2);
    let joined = bench.classic_group(&["x"], &[&[0, 1]]);
    let it = bench.beat(Client::new("a").full());
    assert_eq!(it.error, ErrorCode::GROUP_ID_NOT_FOUND);
    assert!(it.error_message.unwrap().contains("the online upgrade is disabled"));
    assert_eq!(bench.classic_beat(&joined[0]), ErrorCode::NONE);
    // A group without members changes all the same.
    bench.leave(&[(&joined[0].member_id, None)]);
    let mut a = Client::new("a");
    bench.converge(&mut [&mut a]);
    bench.check_log();
    a.epoch = -1;
    bench.beat(a.short());
    let ticket = bench.join(classic("y"));
    bench.pass_ms(3_000);
    let joined = bench.joined(ticket).expect("the delay is over");
    assert_eq!((joined.error, joined.leader), (ErrorCode::NONE, joined.member_id));
    bench.check_log();
}

#[test]
fn what_is_done_with_many_members_is_done_in_parts() {
    let mut bench = with_topic(40);
    bench.coordinator.pause_after(3);
    let mut clients: Vec<_> = (0..20).map(|it| Client::new(&format!("m{it:02}"))).collect();
    let mut all: Vec<_> = clients.iter_mut().collect();
    bench.converge(&mut all);
    assert!(clients.iter().all(|it| it.numbers().len() == 2));
    bench.check_log();
    bench.pass_ms(50_000);
    assert_eq!(bench.about().state, "Empty");
}
