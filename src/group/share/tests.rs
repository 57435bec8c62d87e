//! What members of a share group are told, one story after the other.

use super::request::{ListShareTopics, ShareHeartbeat, ShareInitialized};
use super::response::ListedShareTopics;
use super::topics::{ShareTopic, ShareTopics, Uninitialized};
use crate::group::consumer::partitions::Partitions;
use crate::group::consumer::request::{ConsumerDescribe, ConsumerHeartbeat};
use crate::group::consumer::response::{ConsumerDescribed, ConsumerHeartbeaten};
use crate::group::context::CoordinatorSettings;
use crate::group::request::{
    Commit, DeleteGroup, Describe, FetchOffsets, FetchTopic, GroupRequest, Leave, Leaving, List,
};
use crate::group::response::GroupResponse;
use crate::group::testing::{Bench, GROUP};
use crate::types::{ErrorCode, GroupConfig, TopicId};

impl Bench {
    fn share_beat(&mut self, beat: ShareHeartbeat) -> ConsumerHeartbeaten {
        let ticket = self.ask(GroupRequest::ShareHeartbeat(Box::new(beat)));
        match self.answer(ticket) {
            Some(GroupResponse::ConsumerHeartbeat(it)) => it,
            other => panic!("{other:?}"),
        }
    }

    fn begin_states(&mut self, wanted: &[Uninitialized]) -> ListedShareTopics {
        let topic = |it: &Uninitialized| {
            (it.id, ShareTopic { name: it.name.clone(), partitions: it.partitions })
        };
        let topics: ShareTopics = wanted.iter().map(topic).collect();
        self.share_initialized(false, topics)
    }

    fn share_initialized(&mut self, begins: bool, topics: ShareTopics) -> ListedShareTopics {
        let request = ShareInitialized { group_id: GROUP.to_owned(), begins, topics };
        let ticket = self.ask(GroupRequest::ShareInitialized(Box::new(request)));
        match self.answer(ticket) {
            Some(GroupResponse::ListShareTopics(it)) => it,
            other => panic!("{other:?}"),
        }
    }

    fn share_topics(&mut self) -> ListedShareTopics {
        self.listed(false)
    }

    fn listed(&mut self, begins: bool) -> ListedShareTopics {
        let request = ListShareTopics { group_id: GROUP.to_owned(), begins };
        let ticket = self.ask(GroupRequest::ListShareTopics(request));
        match self.answer(ticket) {
            Some(GroupResponse::ListShareTopics(it)) => it,
            other => panic!("{other:?}"),
        }
    }

    fn about_share(&mut self) -> ConsumerDescribed {
        let group_id = GROUP.to_owned();
        let ticket = self.ask(GroupRequest::ShareDescribe(ConsumerDescribe { group_id }));
        match self.answer(ticket) {
            Some(GroupResponse::ConsumerDescribe(it)) => it,
            other => panic!("{other:?}"),
        }
    }
}

fn join(id: &str) -> ShareHeartbeat {
    ShareHeartbeat { topics: Some(vec!["t".to_owned()]), ..beat(id, 0) }
}

fn beat(id: &str, member_epoch: i32) -> ShareHeartbeat {
    ShareHeartbeat {
        group_id: GROUP.to_owned(),
        member_id: id.to_owned(),
        member_epoch,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        ..ShareHeartbeat::default()
    }
}

fn with_topic(partitions: i32) -> Bench {
    let mut bench = Bench::default();
    bench.set_topic("t", partitions);
    bench
}

fn numbers(assignment: Option<&Partitions>) -> Option<Vec<i32>> {
    assignment.map(|it| it.values().flatten().copied().collect())
}

/// The member joins, and its partitions get states.
fn joined(bench: &mut Bench, id: &str) -> ConsumerHeartbeaten {
    let first = bench.share_beat(join(id));
    assert_eq!(first.error, ErrorCode::NONE, "{:?}", first.error_message);
    if first.uninitialized.is_empty() {
        return first;
    }
    bench.begin_states(&first.uninitialized);
    bench.share_beat(beat(id, first.member_epoch))
}

#[test]
fn partitions_are_assigned_when_they_have_states() {
    let mut bench = with_topic(2);
    let first = bench.share_beat(join("a"));
    assert_eq!((first.error, first.member_epoch), (ErrorCode::NONE, 1));
    assert_eq!(numbers(first.assignment.as_ref()), Some(vec![]));
    let wanted: Vec<_> = first.uninitialized.iter().map(|it| (it.from, it.partitions)).collect();
    assert_eq!(wanted, [(0, 2)]);
    // Nothing came of it: the next heartbeat says so again.
    bench.begin_states(&[]);
    let again = bench.share_beat(beat("a", 1));
    assert_eq!((again.uninitialized.len(), again.assignment), (1, None));
    let begun = bench.begin_states(&first.uninitialized);
    assert_eq!((begun.members, begun.topics.len()), (1, 1));
    let told = bench.share_beat(beat("a", 1));
    assert_eq!((told.member_epoch, numbers(told.assignment.as_ref())), (2, Some(vec![0, 1])));
    assert!(told.uninitialized.is_empty());
    // The topic grows.
    bench.set_topic("t", 3);
    let more = bench.share_beat(beat("a", 2));
    let wanted: Vec<_> = more.uninitialized.iter().map(|it| (it.from, it.partitions)).collect();
    assert_eq!(wanted, [(2, 3)]);
    bench.begin_states(&more.uninitialized);
    let told = bench.share_beat(beat("a", more.member_epoch));
    assert_eq!(numbers(told.assignment.as_ref()), Some(vec![0, 1, 2]));
}

#[test]
fn states_of_which_nothing_was_written_are_asked_for_again() {
    let mut bench = with_topic(2);
    let told = joined(&mut bench, "a");
    bench.set_topic("t", 3);
    let more = bench.share_beat(beat("a", told.member_epoch));
    assert_eq!(more.uninitialized.len(), 1);
    // Nothing has come of it yet, or ever will: it is lost.
    assert_eq!(bench.share_beat(beat("a", 2)).uninitialized, more.uninitialized);
    bench.slow = true;
    let topics = [(more.uninitialized[0].id, ShareTopic { name: "t".to_owned(), partitions: 3 })];
    let request =
        ShareInitialized { group_id: GROUP.to_owned(), begins: false, topics: topics.into() };
    let ticket = bench.ask(GroupRequest::ShareInitialized(Box::new(request)));
    bench.written(Err(ErrorCode::NOT_ENOUGH_REPLICAS));
    let refused = ListedShareTopics::refused(ErrorCode::COORDINATOR_NOT_AVAILABLE);
    assert_eq!(bench.answer(ticket), Some(GroupResponse::ListShareTopics(refused)));
    bench.slow = false;
    assert_eq!(bench.share_beat(beat("a", 2)).uninitialized, more.uninitialized);
}

#[test]
fn members_share_partitions_at_once() {
    let mut bench = with_topic(1);
    let a = joined(&mut bench, "a");
    assert_eq!(numbers(a.assignment.as_ref()), Some(vec![0]));
    let b = joined(&mut bench, "b");
    assert_eq!(numbers(b.assignment.as_ref()), Some(vec![0]), "nobody has to give it up first");
    let about = bench.about_share();
    assert_eq!(
        (about.state, about.assignor.as_str(), about.members.len()),
        ("Stable", "simple", 2)
    );
    assert!(about.members.iter().all(|it| it.assigned[0].partitions == [0]));
    let told = bench.share_beat(beat("a", a.member_epoch));
    assert_eq!((told.member_epoch, told.assignment), (b.member_epoch, None), "it is as it was");
    // The answer was lost: it says its last epoch once more, and is told all that came with the next one.
    let again = bench.share_beat(beat("a", a.member_epoch));
    assert_eq!((again.error, again.member_epoch), (ErrorCode::NONE, b.member_epoch));
    assert_eq!(numbers(again.assignment.as_ref()), Some(vec![0]));
}

#[test]
fn a_request_is_checked() {
    let mut bench = with_topic(1);
    let refused = [
        ShareHeartbeat { group_id: " ".to_owned(), ..join("a") },
        ShareHeartbeat { member_id: String::new(), ..join("a") },
        ShareHeartbeat { member_id: "x".repeat(40_000), ..join("a") },
        ShareHeartbeat { topics: None, ..join("a") },
        ShareHeartbeat { topics: Some(Vec::new()), ..join("a") },
        ShareHeartbeat { rack_id: Some(" ".to_owned()), ..join("a") },
        beat("a", -2),
    ];
    for it in refused {
        let told = bench.share_beat(it.clone());
        assert_eq!(told.error, ErrorCode::INVALID_REQUEST, "{it:?}");
    }
    assert_eq!(bench.share_beat(beat("a", 1)).error, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(bench.share_beat(beat("a", -1)).error, ErrorCode::GROUP_ID_NOT_FOUND);
    let a = joined(&mut bench, "a");
    assert_eq!(bench.share_beat(beat("b", 1)).error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bench.share_beat(beat("b", -1)).error, ErrorCode::UNKNOWN_MEMBER_ID);
    for epoch in [a.member_epoch + 1, 0x7fff_ffff] {
        assert_eq!(bench.share_beat(beat("a", epoch)).error, ErrorCode::FENCED_MEMBER_EPOCH);
    }
}

#[test]
fn a_group_has_no_more_members_than_it_may() {
    let settings =
        CoordinatorSettings { share_group_max_size: 1, ..CoordinatorSettings::default() };
    let mut bench = Bench::new(settings);
    bench.set_topic("t", 1);
    let a = joined(&mut bench, "a");
    assert_eq!(bench.share_beat(join("b")).error, ErrorCode::GROUP_MAX_SIZE_REACHED);
    // It joins again.
    assert_eq!(bench.share_beat(join("a")).error, ErrorCode::NONE);
    assert_eq!(bench.share_beat(beat("a", -1)).member_epoch, -1);
    assert_eq!(bench.share_beat(beat("a", a.member_epoch)).error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bench.share_beat(join("b")).error, ErrorCode::NONE);
}

#[test]
fn silent_members_go_by_the_groups_own_time() {
    let mut bench = with_topic(1);
    let own = GroupConfig {
        share_session_timeout_ms: Some(50_000),
        share_heartbeat_interval_ms: Some(10_000),
        ..GroupConfig::default()
    };
    bench.topics.config = own;
    bench.set_topic("t", 1);
    let a = joined(&mut bench, "a");
    assert_eq!(a.heartbeat_interval_ms, 10_000);
    bench.pass_ms(49_999);
    assert_eq!(bench.about_share().members.len(), 1);
    bench.pass_ms(1);
    let about = bench.about_share();
    assert_eq!((about.members.len(), about.state), (0, "Empty"));
}

#[test]
fn the_log_has_all_of_it() {
    let mut bench = with_topic(3);
    let a = joined(&mut bench, "a");
    joined(&mut bench, "b");
    let (about, topics) = (bench.about_share(), bench.share_topics());
    bench.restart();
    assert_eq!((bench.about_share(), bench.share_topics()), (about, topics));
    let told = bench.share_beat(beat("a", a.member_epoch));
    assert_eq!(told.error, ErrorCode::NONE);
}

#[test]
fn share_groups_are_not_taken_for_others() {
    let mut bench = with_topic(1);
    joined(&mut bench, "a");
    let group_id = || GROUP.to_owned();
    let consumer = ConsumerHeartbeat {
        group_id: group_id(),
        member_id: "c".to_owned(),
        topics: Some(vec!["t".to_owned()]),
        rebalance_timeout_ms: 1_000,
        owned: Some(Partitions::new()),
        ..ConsumerHeartbeat::default()
    };
    for (request, expected) in [
        (GroupRequest::ConsumerHeartbeat(Box::new(consumer)), ErrorCode::GROUP_ID_NOT_FOUND),
        (
            GroupRequest::Commit(Commit { group_id: group_id(), ..Commit::default() }),
            ErrorCode::GROUP_ID_NOT_FOUND,
        ),
        (GroupRequest::Describe(Describe { group_id: group_id() }), ErrorCode::GROUP_ID_NOT_FOUND),
        (
            GroupRequest::DeleteGroup(DeleteGroup { group_id: group_id() }),
            ErrorCode::NON_EMPTY_GROUP,
        ),
    ] {
        let ticket = bench.ask(request);
        let error = match bench.answer(ticket) {
            Some(GroupResponse::ConsumerHeartbeat(it)) => it.error,
            Some(GroupResponse::Commit(it)) => it.error,
            Some(GroupResponse::Describe(it)) => it.error,
            Some(GroupResponse::DeleteGroup(it)) => it.error,
            other => panic!("{other:?}"),
        };
        assert_eq!(error, expected);
    }
    // To whom it is no classic group, it has no such member, and nothing is committed.
    let leaving = Leaving { member_id: "a".to_owned(), group_instance_id: None };
    let ticket =
        bench.ask(GroupRequest::Leave(Leave { group_id: group_id(), members: vec![leaving] }));
    let Some(GroupResponse::Leave(left)) = bench.answer(ticket) else { panic!("no answer") };
    let errors: Vec<ErrorCode> = left.members.iter().map(|it| it.error).collect();
    assert_eq!((left.error, errors), (ErrorCode::NONE, vec![ErrorCode::UNKNOWN_MEMBER_ID]));
    assert_eq!(bench.about_share().members.len(), 1);
    let wanted =
        FetchTopic { name: "t".to_owned(), topic_id: TopicId::default(), partitions: vec![0] };
    let ticket = bench.ask(GroupRequest::FetchOffsets(FetchOffsets {
        group_id: group_id(),
        topics: Some(vec![wanted]),
        ..FetchOffsets::default()
    }));
    let Some(GroupResponse::FetchOffsets(it)) = bench.answer(ticket) else { panic!("no answer") };
    assert_eq!((it.error, it.topics[0].partitions[0].offset), (ErrorCode::NONE, -1));
    let types = |it: &str| List { types: vec![it.to_owned()], ..List::default() };
    let listed = bench.list(types("Share"));
    assert_eq!((listed[0].protocol_type.as_str(), listed[0].group_type), ("share", "share"));
    assert!(bench.list(types("consumer")).is_empty());
    // Without members it goes, with all of its records.
    bench.share_beat(beat("a", -1));
    let ticket = bench.ask(GroupRequest::DeleteGroup(DeleteGroup { group_id: group_id() }));
    bench.answer(ticket);
    assert!(bench.coordinator.live_state().is_empty());
    bench.restart();
    assert_eq!(bench.share_topics().error, ErrorCode::GROUP_ID_NOT_FOUND);
}

#[test]
fn a_group_begins_with_the_offsets_that_an_administrator_sets() {
    let mut bench = with_topic(2);
    let gone = ListedShareTopics::refused(ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(bench.share_topics(), gone);
    assert_eq!((bench.listed(true).error, bench.listed(true).members), (ErrorCode::NONE, 0));
    assert_eq!(bench.share_initialized(false, ShareTopics::new()), gone);
    // Nothing came of it: there is no group.
    assert_eq!(bench.share_initialized(true, ShareTopics::new()).error, ErrorCode::NONE);
    assert_eq!(bench.share_topics(), gone);
    let topic = ShareTopic { name: "t".to_owned(), partitions: 2 };
    let topics = ShareTopics::from([(TopicId([1; 16]), topic)]);
    assert_eq!(bench.share_initialized(true, topics.clone()).error, ErrorCode::NONE);
    for _ in 0..2 {
        assert_eq!(*bench.share_topics().topics, topics);
        assert_eq!(bench.about_share().state, "Empty");
        bench.restart();
    }
}

#[test]
fn a_share_group_does_not_take_the_place_of_another() {
    let mut bench = with_topic(1);
    let request = ConsumerHeartbeat {
        group_id: GROUP.to_owned(),
        member_id: "c".to_owned(),
        topics: Some(vec!["t".to_owned()]),
        rebalance_timeout_ms: 1_000,
        owned: Some(Partitions::new()),
        ..ConsumerHeartbeat::default()
    };
    let ticket = bench.ask(GroupRequest::ConsumerHeartbeat(Box::new(request)));
    bench.answer(ticket);
    let refused = bench.share_beat(join("a"));
    assert_eq!(refused.error, ErrorCode::GROUP_ID_NOT_FOUND);
    let why = format!("Group {GROUP} is not a share group.");
    assert_eq!(refused.error_message, Some(why));
    assert_eq!(bench.listed(true).error, ErrorCode::GROUP_ID_NOT_FOUND);
    let told = bench.share_initialized(true, ShareTopics::new());
    assert_eq!(told.error, ErrorCode::GROUP_ID_NOT_FOUND);
}
