//! What members of a streams group are told, one story after the other.

use std::sync::Arc;

use super::member::{Endpoint, Role};
use super::request::{StreamsDescribe, StreamsHeartbeat};
use super::response::{DescribedTopology, Status, StreamsDescribed, StreamsHeartbeaten};
use super::tasks::{TaskIds, Tasks};
use super::topology::{self, Subtopology, TopicInfo, Topology};
use crate::group::consumer::partitions::{self, Partitions};
use crate::group::consumer::request::ConsumerHeartbeat;
use crate::group::context::CoordinatorSettings;
use crate::group::request::{Commit, GroupRequest, List};
use crate::group::response::GroupResponse;
use crate::group::testing::{Bench, GROUP, consumer, offset};
use crate::types::{ErrorCode, GroupConfig};

impl Bench {
    fn streams(delay_ms: i32) -> Self {
        Self::new(CoordinatorSettings {
            streams_initial_rebalance_delay_ms: delay_ms,
            streams_assignment_interval_ms: 0,
            ..CoordinatorSettings::default()
        })
    }

    pub(super) fn streams_beat(&mut self, beat: StreamsHeartbeat) -> StreamsHeartbeaten {
        let ticket = self.ask(GroupRequest::StreamsHeartbeat(Box::new(beat)));
        match self.answer(ticket) {
            Some(GroupResponse::StreamsHeartbeat(it)) => *it,
            other => panic!("{other:?}"),
        }
    }

    fn about_streams(&mut self) -> StreamsDescribed {
        let group_id = GROUP.to_owned();
        let ticket = self.ask(GroupRequest::StreamsDescribe(StreamsDescribe { group_id }));
        match self.answer(ticket) {
            Some(GroupResponse::StreamsDescribe(it)) => *it,
            other => panic!("{other:?}"),
        }
    }
}

/// Subtopology `0` reads `in`.
pub(super) fn stateless() -> Topology {
    let source_topics = vec!["in".into()];
    let subtopology = Subtopology { id: "0".into(), source_topics, ..Subtopology::default() };
    Topology { epoch: 0, subtopologies: vec![subtopology] }
}

/// Subtopology `0` reads `in` and writes `again`, which `1` reads, with a state.
fn stateful() -> Topology {
    let topic = |name: &str| TopicInfo { name: name.into(), ..TopicInfo::default() };
    let mut topology = stateless();
    topology.subtopologies[0].repartition_sink_topics = vec!["again".into()];
    topology.subtopologies.push(Subtopology {
        id: "1".into(),
        repartition_source_topics: vec![topic("again")],
        state_changelog_topics: vec![topic("changes")],
        ..Subtopology::default()
    });
    topology
}

pub(super) fn join(id: &str, topology: Topology) -> StreamsHeartbeat {
    StreamsHeartbeat {
        rebalance_timeout_ms: 30_000,
        topology: Some(Arc::new(topology)),
        owned: Some(Tasks::default()),
        process_id: Some(format!("p-{id}")),
        ..beat(id, 0)
    }
}

pub(super) fn beat(id: &str, member_epoch: i32) -> StreamsHeartbeat {
    StreamsHeartbeat {
        group_id: GROUP.to_owned(),
        member_id: id.to_owned(),
        member_epoch,
        client_id: "client".to_owned(),
        client_host: "/127.0.0.1".to_owned(),
        ..StreamsHeartbeat::default()
    }
}

fn owning(id: &str, epoch: i32, owned: &Tasks) -> StreamsHeartbeat {
    StreamsHeartbeat { owned: Some(owned.clone()), ..beat(id, epoch) }
}

fn ids(numbers: &[i32]) -> TaskIds {
    partitions::collect([(Arc::from("0"), numbers.to_vec())])
}

fn active(told: &StreamsHeartbeaten) -> Option<TaskIds> {
    assert_eq!(told.error, ErrorCode::NONE, "{:?}", told.error_message);
    told.tasks.as_ref().map(|it| it.active.clone())
}

fn codes(told: &StreamsHeartbeaten) -> Vec<i8> {
    told.statuses.iter().map(|it| it.0.code()).collect()
}

fn with_topic(partitions: i32) -> Bench {
    let mut bench = Bench::streams(0);
    bench.set_topic("in", partitions);
    bench
}

#[test]
fn the_first_assignment_waits_for_others() {
    let mut bench = Bench::streams(3_000);
    bench.set_topic("in", 2);
    let a = bench.streams_beat(join("a", stateless()));
    assert_eq!((a.member_epoch, active(&a)), (1, Some(TaskIds::new())));
    assert_eq!(codes(&a), [5]);
    assert_eq!(bench.about_streams().state, "Assigning");
    bench.pass_ms(2_999);
    let b = bench.streams_beat(join("b", stateless()));
    assert_eq!((b.member_epoch, codes(&b)), (1, vec![5]));
    assert_eq!(bench.streams_beat(beat("a", 1)).tasks, None);
    bench.pass_ms(1);
    let a = bench.streams_beat(beat("a", 1));
    let b = bench.streams_beat(beat("b", 1));
    assert_eq!((a.member_epoch, codes(&a)), (b.member_epoch, Vec::new()));
    let mut all: Vec<i32> = [active(&a), active(&b)]
        .into_iter()
        .flat_map(|it| it.expect("tasks").remove("0").expect("one"))
        .collect();
    all.sort_unstable();
    assert_eq!(all, [0, 1]);
    assert_eq!(bench.about_streams().state, "Stable");
}

#[test]
fn a_task_is_given_up_before_another_gets_it() {
    let mut bench = with_topic(2);
    let a = bench.streams_beat(join("a", stateless()));
    assert_eq!((a.member_epoch, active(&a)), (2, Some(ids(&[0, 1]))));
    let b = bench.streams_beat(join("b", stateless()));
    assert_eq!((b.member_epoch, active(&b)), (3, Some(TaskIds::new())), "it waits");
    assert_eq!(bench.about_streams().state, "Reconciling");
    let asked = bench.streams_beat(beat("a", 2));
    let kept = active(&asked).expect("fewer");
    assert_eq!((asked.member_epoch, partitions::count(&kept)), (2, 1));
    assert_eq!(bench.streams_beat(beat("b", 3)).tasks, None);
    // It still has both.
    let both = Tasks { active: ids(&[0, 1]), ..Tasks::default() };
    assert_eq!(bench.streams_beat(owning("a", 2, &both)).member_epoch, 2);
    let one = Tasks { active: kept, ..Tasks::default() };
    let done = bench.streams_beat(owning("a", 2, &one));
    assert_eq!((done.member_epoch, done.tasks), (3, None));
    let got = active(&bench.streams_beat(beat("b", 3))).expect("a task");
    assert!(!partitions::meet(&got, &one.active) && partitions::count(&got) == 1);
    assert_eq!(bench.about_streams().state, "Stable");
    // One leaves: the other gets all.
    let left = bench.streams_beat(beat("b", -1));
    assert_eq!(
        (left.error, left.member_epoch, left.member_id.as_str()),
        (ErrorCode::NONE, -1, "b")
    );
    let all = bench.streams_beat(beat("a", 3));
    assert_eq!(active(&all), Some(ids(&[0, 1])));
}

#[test]
fn a_member_that_does_not_give_up_its_tasks_is_removed() {
    let mut bench = with_topic(2);
    bench.streams_beat(join("a", stateless()));
    bench.streams_beat(join("b", stateless()));
    let asked = bench.streams_beat(beat("a", 2));
    assert!(asked.tasks.is_some());
    for _ in 0..6 {
        bench.pass_ms(4_999);
        bench.streams_beat(beat("a", 2));
        bench.streams_beat(beat("b", 3));
    }
    bench.pass_ms(6);
    let gone = bench.streams_beat(beat("a", 2));
    assert_eq!(gone.error, ErrorCode::UNKNOWN_MEMBER_ID);
    let why = format!("Member a is not a member of group {GROUP}.");
    assert_eq!(gone.error_message, Some(why));
    assert_eq!(active(&bench.streams_beat(beat("b", 3))), Some(ids(&[0, 1])));
}

#[test]
fn silent_members_go_by_the_groups_own_time() {
    let mut bench = Bench::streams(0);
    bench.topics.config = GroupConfig {
        streams_session_timeout_ms: Some(50_000),
        streams_heartbeat_interval_ms: Some(10_000),
        ..GroupConfig::default()
    };
    bench.set_topic("in", 1);
    let a = bench.streams_beat(join("a", stateless()));
    assert_eq!(a.heartbeat_interval_ms, 10_000);
    bench.pass_ms(49_999);
    assert_eq!(bench.about_streams().members.len(), 1);
    bench.pass_ms(1);
    let about = bench.about_streams();
    assert_eq!((about.members.len(), about.state), (0, "Empty"));
}

#[test]
fn source_topics_that_are_missing_are_told_and_found() {
    let mut bench = Bench::streams(0);
    let a = bench.streams_beat(join("a", stateless()));
    assert_eq!((a.member_epoch, active(&a), codes(&a)), (2, Some(TaskIds::new()), vec![1]));
    assert_eq!(a.statuses[0].1, "Source topics in are missing.");
    assert!(a.to_create.is_empty());
    assert_eq!(bench.about_streams().state, "NotReady");
    bench.set_topic("in", 1);
    let a = bench.streams_beat(beat("a", 2));
    assert_eq!((a.member_epoch, active(&a), codes(&a)), (3, Some(ids(&[0])), vec![]));
    assert_eq!(bench.about_streams().state, "Stable");
    // It grows, and goes.
    bench.set_topic("in", 2);
    let a = bench.streams_beat(beat("a", 3));
    assert_eq!((a.member_epoch, active(&a)), (4, Some(ids(&[0, 1]))));
    bench.set_topic("in", 0);
    let a = bench.streams_beat(beat("a", 4));
    assert_eq!((active(&a), codes(&a)), (Some(TaskIds::new()), vec![1]));
    assert_eq!(bench.about_streams().state, "NotReady");
}

#[test]
fn internal_topics_that_are_missing_are_named() {
    let mut bench = with_topic(3);
    let a = bench.streams_beat(join("a", stateful()));
    assert_eq!((active(&a), codes(&a)), (Some(TaskIds::new()), vec![3]));
    let wanted: Vec<_> = a.to_create.iter().map(|(name, it)| (&**name, it.partitions)).collect();
    assert_eq!(wanted, [("again", 3), ("changes", 3)]);
    bench.set_topic("again", 3);
    let a = bench.streams_beat(beat("a", a.member_epoch));
    assert_eq!((codes(&a), a.to_create.len()), (vec![3], 1));
    bench.set_topic("changes", 3);
    let a = bench.streams_beat(beat("a", a.member_epoch));
    assert_eq!(active(&a).map(|it| partitions::count(&it)), Some(6));
    let about = bench.about_streams();
    let Some(DescribedTopology::Configured(it)) = about.topology else { panic!("{about:?}") };
    assert_eq!(it.subtopologies.map(|it| it.len()), Some(2));
    // One with another number of partitions is wrong.
    bench.set_topic("changes", 2);
    let a = bench.streams_beat(beat("a", a.member_epoch));
    let wrong = Status::Topics(topology::Status::IncorrectlyPartitionedTopics);
    assert_eq!(a.statuses.iter().map(|it| it.0).collect::<Vec<_>>(), [wrong]);
    let about = bench.about_streams();
    assert!(matches!(about.topology, Some(DescribedTopology::Declared(_))));
}

#[test]
fn standbys_are_in_other_processes() {
    let mut bench = with_topic(2);
    for topic in ["again", "changes"] {
        bench.set_topic(topic, 2);
    }
    bench.streams_beat(join("a", stateful()));
    let process_id = Some("p-a".to_owned());
    bench.streams_beat(StreamsHeartbeat { process_id, ..join("b", stateful()) });
    bench.streams_beat(join("c", stateful()));
    // The setting changes: tasks are assigned anew.
    let before = bench.about_streams().epoch;
    bench.topics.config =
        GroupConfig { streams_standby_replicas: Some(1), ..GroupConfig::default() };
    bench.set_topic("other", 1);
    settle(&mut bench, &["a", "b", "c"]);
    let about = bench.about_streams();
    assert_eq!((about.epoch, about.state), (before + 1, "Stable"));
    let mut seen = Vec::new();
    for it in &about.members {
        assert_eq!(it.assigned, it.target);
        for (role, tasks) in
            [(Role::Active, &it.assigned.active), (Role::Standby, &it.assigned.standby)]
        {
            for (id, number) in partitions::iter(tasks) {
                seen.push((id, number, role, it.streams.process_id.clone()));
            }
        }
    }
    seen.sort();
    // Those of 0 have no state, and no standbys.
    assert_eq!(seen.len(), 2 + 2 * 2, "{seen:?}");
    for pair in seen[2..].chunks(2) {
        assert_eq!((pair[0].1, pair[0].2, pair[1].2), (pair[1].1, Role::Active, Role::Standby));
        assert_ne!(pair[0].3, pair[1].3, "another process");
    }
}

/// Members do as they are told until nothing changes any more.
fn settle(bench: &mut Bench, members: &[&str]) {
    for _ in 0..8 {
        for id in members {
            let about = bench.about_streams();
            let Some(it) = about.members.iter().find(|it| it.member_id == *id) else { continue };
            let told = bench.streams_beat(owning(id, it.member_epoch, &it.assigned));
            assert_eq!(told.error, ErrorCode::NONE, "{:?}", told.error_message);
        }
    }
}

#[test]
fn a_request_is_checked() {
    let mut bench = with_topic(1);
    let some = Tasks { active: ids(&[0]), ..Tasks::default() };
    let standby = Tasks { standby: ids(&[0]), ..Tasks::default() };
    let it = || join("a", stateless());
    let refused = [
        (StreamsHeartbeat { group_id: " ".to_owned(), ..it() }, "GroupId can't be empty."),
        (StreamsHeartbeat { member_id: String::new(), ..it() }, "MemberId can't be empty."),
        (StreamsHeartbeat { member_id: "x".repeat(40_000), ..it() }, "MemberId is too long."),
        (StreamsHeartbeat { rack_id: Some(" ".to_owned()), ..it() }, "RackId can't be empty."),
        (
            StreamsHeartbeat { instance_id: Some("i".to_owned()), ..it() },
            "Static membership is not yet supported.",
        ),
        (
            StreamsHeartbeat { rebalance_timeout_ms: -1, ..it() },
            "RebalanceTimeoutMs must be provided in first request.",
        ),
        (
            StreamsHeartbeat { topology: None, ..it() },
            "Topology must be non-null when (re-)joining.",
        ),
        (
            StreamsHeartbeat { owned: Some(some), ..it() },
            "ActiveTasks must be empty when (re-)joining.",
        ),
        (StreamsHeartbeat { owned: None, ..it() }, "ActiveTasks must be empty when (re-)joining."),
        (
            StreamsHeartbeat { owned: Some(standby), ..it() },
            "StandbyTasks must be empty when (re-)joining.",
        ),
        (beat("a", -2), "InstanceId can't be null."),
        (beat("a", -3), "MemberEpoch is -3, but must be greater than or equal to -2."),
        (
            StreamsHeartbeat { member_epoch: 1, ..it() },
            "Topology can only be provided when (re-)joining.",
        ),
    ];
    for (it, why) in refused {
        let told = bench.streams_beat(it.clone());
        assert_eq!(told.error, ErrorCode::INVALID_REQUEST, "{it:?}");
        assert_eq!(told.error_message.as_deref(), Some(why));
    }
    let unknown = bench.streams_beat(beat("a", 1));
    assert_eq!(unknown.error, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(unknown.error_message, Some(format!("Streams group {GROUP} not found.")));
    let unknown = bench.streams_beat(beat("a", -1));
    assert_eq!(unknown.error_message, Some(format!("Group {GROUP} not found.")));
    assert!(bench.coordinator.live_state().is_empty());
}

#[test]
fn epochs_fence_members_and_lost_answers_are_given_again() {
    let mut bench = with_topic(1);
    let a = bench.streams_beat(join("a", stateless()));
    assert_eq!(a.member_epoch, 2);
    for (id, epoch, error) in [
        ("b", 1, ErrorCode::UNKNOWN_MEMBER_ID),
        ("b", -1, ErrorCode::UNKNOWN_MEMBER_ID),
        ("a", 3, ErrorCode::FENCED_MEMBER_EPOCH),
        ("a", 1, ErrorCode::FENCED_MEMBER_EPOCH),
    ] {
        assert_eq!(bench.streams_beat(beat(id, epoch)).error, error, "{id} {epoch}");
    }
    let invalid = Tasks { active: ids(&[1]), ..Tasks::default() };
    let refused = bench.streams_beat(owning("a", 2, &invalid));
    assert_eq!(refused.error, ErrorCode::INVALID_REQUEST);
    let why = "Task 1 for subtopology 0 is invalid. Number of tasks for this subtopology: 1";
    assert_eq!(refused.error_message.as_deref(), Some(why));
    bench.set_topic("in", 2);
    let told = bench.streams_beat(beat("a", 2));
    assert_eq!((told.member_epoch, active(&told)), (3, Some(ids(&[0, 1]))));
    // The answer was lost: it says what it had then, and hears again.
    let had = Tasks { active: ids(&[0]), ..Tasks::default() };
    let again = bench.streams_beat(owning("a", 2, &had));
    assert_eq!((again.member_epoch, active(&again)), (3, Some(ids(&[0, 1]))));
    // It cannot have had others.
    let others = Tasks { active: ids(&[2]), ..Tasks::default() };
    assert_eq!(bench.streams_beat(owning("a", 2, &others)).error, ErrorCode::FENCED_MEMBER_EPOCH);
    // It joins again, whatever it was told.
    let again = bench.streams_beat(join("a", stateless()));
    assert_eq!((again.member_epoch, active(&again)), (3, Some(ids(&[0, 1]))));
}

#[test]
fn all_run_the_topology_of_the_first() {
    let mut bench = with_topic(1);
    let first = Topology { epoch: 3, ..stateless() };
    bench.streams_beat(join("a", first.clone()));
    let other = bench.streams_beat(join("b", Topology { epoch: 3, ..stateful() }));
    assert_eq!(other.error, ErrorCode::INVALID_REQUEST);
    assert_eq!(other.error_message.as_deref(), Some("Topology updates are not supported yet."));
    let newer = bench.streams_beat(join("b", Topology { epoch: 4, ..stateless() }));
    assert_eq!(newer.error, ErrorCode::INVALID_REQUEST);
    assert_eq!(bench.about_streams().members.len(), 1, "nothing came of it");
    let stale = bench.streams_beat(join("b", Topology { epoch: 2, ..stateful() }));
    assert_eq!((stale.error, codes(&stale)), (ErrorCode::NONE, vec![0]));
    let why = "The member's topology epoch 2 is behind the group's topology epoch 3.";
    assert_eq!(stale.statuses[0].1, why);
    let about = bench.about_streams();
    let epochs: Vec<i32> = about.members.iter().map(|it| it.streams.topology_epoch).collect();
    assert_eq!(epochs, [3, 2]);
}

#[test]
fn the_order_of_subtopologies_does_not_matter() {
    let mut bench = with_topic(1);
    bench.streams_beat(join("a", stateful()));
    let mut turned = stateful();
    turned.subtopologies.reverse();
    assert_eq!(bench.streams_beat(join("b", turned)).error, ErrorCode::NONE);
}

#[test]
fn one_member_has_all_shut_down() {
    let mut bench = with_topic(1);
    bench.streams_beat(join("a", stateless()));
    bench.streams_beat(join("b", stateless()));
    let asks = StreamsHeartbeat { shutdown: true, ..beat("a", -1) };
    assert_eq!(bench.streams_beat(asks).error, ErrorCode::NONE);
    let told = bench.streams_beat(beat("b", 3));
    assert_eq!(codes(&told), [4]);
    let why = "Streams group member a encountered a fatal error and requested a shutdown for the entire application.";
    assert_eq!(told.statuses[0].1, why);
    bench.streams_beat(beat("b", -1));
    let anew = bench.streams_beat(join("c", stateless()));
    assert!(codes(&anew).is_empty(), "it is over when all have gone");
}

#[test]
fn members_hear_where_states_can_be_asked_for() {
    let mut bench = with_topic(2);
    let endpoint = |port| Some(Endpoint { host: "h".to_owned(), port });
    let a =
        bench.streams_beat(StreamsHeartbeat { endpoint: endpoint(1), ..join("a", stateless()) });
    assert_eq!((a.endpoint_epoch, &a.endpoints), (0, &None));
    let b =
        bench.streams_beat(StreamsHeartbeat { endpoint: endpoint(2), ..join("b", stateless()) });
    assert_eq!(b.endpoint_epoch, 1);
    let shown = |it: &StreamsHeartbeaten| {
        let shown = it.endpoints.iter().flatten();
        let shown = shown.map(|(it, told)| (it.port, told.active.get("in").cloned()));
        shown.collect::<Vec<_>>()
    };
    assert_eq!(shown(&b), [(1, Some(vec![0, 1])), (2, None)]);
    settle(&mut bench, &["a", "b"]);
    let told = bench.streams_beat(beat("a", 3));
    let (epoch, all) = (told.endpoint_epoch, shown(&told));
    assert_eq!(all.iter().filter(|it| it.1.as_ref().is_some_and(|it| it.len() == 1)).count(), 2);
    let known = bench.streams_beat(StreamsHeartbeat { endpoint_epoch: epoch, ..beat("a", 3) });
    assert_eq!((known.endpoint_epoch, known.endpoints), (epoch, None));
}

#[test]
fn a_group_has_no_more_members_than_it_may() {
    let settings = CoordinatorSettings {
        streams_group_max_size: 1,
        streams_initial_rebalance_delay_ms: 0,
        ..CoordinatorSettings::default()
    };
    let mut bench = Bench::new(settings);
    bench.set_topic("in", 1);
    bench.streams_beat(join("a", stateless()));
    let refused = bench.streams_beat(join("b", stateless()));
    assert_eq!(refused.error, ErrorCode::GROUP_MAX_SIZE_REACHED);
    let why = "The streams group has reached its maximum capacity of 1 members.";
    assert_eq!(refused.error_message.as_deref(), Some(why));
    assert_eq!(bench.streams_beat(beat("a", 2)).error, ErrorCode::NONE);
}

#[test]
fn assignments_keep_their_interval() {
    let mut bench = Bench::streams(0);
    bench.topics.config =
        GroupConfig { streams_assignment_interval_ms: Some(5_000), ..GroupConfig::default() };
    bench.set_topic("in", 2);
    let a = bench.streams_beat(join("a", stateless()));
    assert_eq!(active(&a), Some(ids(&[0, 1])));
    let b = bench.streams_beat(join("b", stateless()));
    assert_eq!((b.member_epoch, active(&b), codes(&b)), (2, Some(TaskIds::new()), vec![5]));
    assert_eq!(bench.about_streams().state, "Assigning");
    bench.pass_ms(5_000);
    let b = bench.streams_beat(beat("b", 2));
    assert_eq!((b.member_epoch, codes(&b)), (3, Vec::new()));
}

#[test]
fn the_log_has_all_of_it() {
    let mut bench = with_topic(2);
    for topic in ["again", "changes"] {
        bench.set_topic(topic, 2);
    }
    let tags = Some(vec![("zone".to_owned(), "z".to_owned())]);
    let endpoint = Some(Endpoint { host: "h".to_owned(), port: 7 });
    let a = StreamsHeartbeat { client_tags: tags, endpoint, ..join("a", stateful()) };
    bench.streams_beat(a);
    bench.streams_beat(join("b", stateful()));
    settle(&mut bench, &["a"]);
    let same = |mut about: StreamsDescribed| {
        // Nothing is known of its topics before the first heartbeat.
        about.topology = None;
        about
    };
    let about = bench.about_streams();
    bench.restart();
    let after = bench.about_streams();
    assert!(matches!(after.topology, Some(DescribedTopology::Declared(_))));
    assert_eq!(same(after), same(about.clone()));
    // It goes on where it was.
    settle(&mut bench, &["a", "b"]);
    assert_eq!((bench.about_streams().state, bench.about_streams().epoch), ("Stable", about.epoch));
    // Each prefix of the log can be loaded.
    let log = std::mem::take(&mut bench.log);
    for len in 0..log.len() {
        bench.log = log[..len].to_vec();
        bench.restart();
    }
    bench.log = log;
    bench.restart();
    settle(&mut bench, &["a", "b"]);
    for id in ["a", "b"] {
        bench.streams_beat(beat(id, -1));
    }
    assert_eq!(bench.about_streams().state, "Empty");
    assert_eq!(bench.delete_group(), ErrorCode::NONE);
    assert!(bench.coordinator.live_state().is_empty());
    bench.restart();
    assert_eq!(bench.about_streams().error, ErrorCode::GROUP_ID_NOT_FOUND);
}

#[test]
fn a_write_that_fails_changes_nothing() {
    let mut bench = with_topic(2);
    bench.streams_beat(join("a", stateless()));
    let about = bench.about_streams();
    bench.slow = true;
    let ticket = bench.ask(GroupRequest::StreamsHeartbeat(Box::new(join("b", stateless()))));
    bench.written(Err(ErrorCode::NOT_ENOUGH_REPLICAS));
    let Some(GroupResponse::StreamsHeartbeat(it)) = bench.answer(ticket) else {
        panic!("{ticket}")
    };
    assert_eq!(it.error, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    bench.slow = false;
    assert_eq!(bench.about_streams(), about);
}

#[test]
fn streams_groups_are_not_taken_for_others() {
    let mut bench = with_topic(1);
    bench.streams_beat(join("a", stateless()));
    let heartbeat = || {
        GroupRequest::ConsumerHeartbeat(Box::new(ConsumerHeartbeat {
            group_id: GROUP.to_owned(),
            member_id: "c".to_owned(),
            topics: Some(vec!["in".to_owned()]),
            rebalance_timeout_ms: 1_000,
            owned: Some(Partitions::new()),
            ..ConsumerHeartbeat::default()
        }))
    };
    let ticket = bench.ask(heartbeat());
    let Some(GroupResponse::ConsumerHeartbeat(it)) = bench.answer(ticket) else { panic!() };
    assert_eq!(it.error, ErrorCode::GROUP_ID_NOT_FOUND);
    let ticket = bench.join(consumer("c"));
    let refused = bench.joined(ticket).expect("an answer");
    assert_eq!(refused.error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    assert_eq!(bench.heartbeat("a", 2), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bench.describe().error, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(bench.delete_group(), ErrorCode::NON_EMPTY_GROUP);
    let types = |it: &str| List { types: vec![it.to_owned()], ..List::default() };
    let listed = bench.list(types("Streams"));
    assert_eq!((listed[0].protocol_type.as_str(), listed[0].group_type), ("streams", "streams"));
    assert_eq!(listed[0].state, "Stable");
    assert!(bench.list(types("consumer")).is_empty());
    // Without members it makes room for a classic group, and not for one of consumers.
    bench.streams_beat(beat("a", -1));
    let ticket = bench.ask(heartbeat());
    let Some(GroupResponse::ConsumerHeartbeat(it)) = bench.answer(ticket) else { panic!() };
    assert_eq!(it.error, ErrorCode::GROUP_ID_NOT_FOUND);
    bench.join(consumer("c"));
    assert_eq!(bench.about_streams().error, ErrorCode::GROUP_ID_NOT_FOUND);
    let why = format!("Group {GROUP} is not a streams group.");
    assert_eq!(bench.about_streams().error_message, Some(why.clone()));
    assert_eq!(bench.streams_beat(join("a", stateless())).error_message, Some(why));
}

#[test]
fn a_classic_group_without_members_becomes_one_of_streams() {
    let mut bench = with_topic(1);
    assert_eq!(bench.commit_error(offset("in", 7)), ErrorCode::NONE);
    let joined = bench.stable(vec![consumer("c")]);
    bench.leave(&[(&joined[0].member_id, None)]);
    let a = bench.streams_beat(join("a", stateless()));
    assert_eq!(active(&a), Some(ids(&[0])));
    assert_eq!(bench.offset("in"), 7, "its offsets stay");
    bench.restart();
    assert_eq!((bench.about_streams().members.len(), bench.offset("in")), (1, 7));
}

#[test]
fn offsets_are_committed_by_members() {
    let mut bench = with_topic(2);
    bench.streams_beat(join("a", stateless()));
    let commit = |id: &str, epoch, next| Commit {
        member_id: id.to_owned(),
        generation_id: epoch,
        knows_group_id_not_found: true,
        ..offset("in", next)
    };
    assert_eq!(bench.commit_error(commit("a", 2, 5)), ErrorCode::NONE);
    assert_eq!(bench.commit_error(commit("b", 2, 6)), ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bench.commit_error(commit("a", 3, 6)), ErrorCode::STALE_MEMBER_EPOCH);
    assert_eq!(bench.commit_error(offset("in", 6)), ErrorCode::UNKNOWN_MEMBER_ID);
    let old = Commit { knows_group_id_not_found: false, ..commit("a", 2, 6) };
    assert_eq!(bench.commit_error(old), ErrorCode::UNSUPPORTED_VERSION);
    // It keeps a task at a later epoch: a commit that was under way counts.
    bench.set_topic("in", 3);
    assert_eq!(bench.streams_beat(beat("a", 2)).member_epoch, 3);
    assert_eq!(bench.commit_error(commit("a", 2, 8)), ErrorCode::NONE);
    assert_eq!(bench.commit_error(commit("a", 1, 9)), ErrorCode::STALE_MEMBER_EPOCH);
    let other = Commit { topics: offset("other", 9).topics, ..commit("a", 2, 9) };
    assert_eq!(bench.commit_error(other), ErrorCode::STALE_MEMBER_EPOCH, "no task reads it");
    assert_eq!(bench.offset("in"), 8);
    // What is read stays; what is not can go.
    assert_eq!(bench.delete_offset("in"), ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
    bench.streams_beat(beat("a", -1));
    assert_eq!(bench.commit_error(offset("in", 11)), ErrorCode::NONE, "an administrator's");
    assert_eq!(bench.delete_offset("in"), ErrorCode::NONE);
}
