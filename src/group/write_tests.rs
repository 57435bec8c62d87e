//! Groups on slow and broken disks, in rebalances that do not go as planned, and after damage.

use super::context::CoordinatorSettings;
use super::coordinator::{Coordinator, Seen, StateCursor};
use super::request::{Commit, GroupRequest, Join, Protocol};
use super::response::GroupResponse;
use super::testing::{Bench, GROUP, consumer, member_offset, offset, protocol, static_consumer};
use crate::types::{ErrorCode, Now, TopicId};

const DAY_MS: i64 = 24 * 3_600_000;

fn again(join: Join, member_id: &str) -> Join {
    Join { member_id: member_id.to_owned(), ..join }
}

#[test]
fn answers_wait_for_the_disk_and_later_requests_for_them() {
    let mut bench = Bench::default();
    bench.slow = true;
    let first = bench.commit(offset("t", 1));
    let second = bench.commit(offset("t", 2));
    let third = bench.commit(offset("u", 3));
    let fetch = bench.ask(GroupRequest::FetchOffsets(super::request::FetchOffsets {
        group_id: GROUP.to_owned(),
        ..Default::default()
    }));
    assert_eq!(bench.committed(first), None);
    // Not there yet, for anybody.
    assert_eq!(bench.describe().error, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(bench.writes.len(), 1);
    bench.written(Ok(()));
    assert!(bench.committed(first).is_some());
    // What has come meanwhile is one write.
    assert_eq!(bench.writes.len(), 1);
    assert_eq!(bench.writes[0].1.len(), 2);
    assert_eq!(bench.committed(second), None);
    assert_eq!(bench.answer(fetch), None);
    bench.written(Ok(()));
    let Some(GroupResponse::FetchOffsets(fetched)) = bench.answer(fetch) else {
        panic!("no answer")
    };
    let offsets: Vec<i64> = fetched.topics.iter().map(|it| it.partitions[0].offset).collect();
    assert_eq!(offsets, [2, 3]);
    assert!(bench.committed(second).is_some() && bench.committed(third).is_some());
}

#[test]
fn groups_do_not_wait_for_each_other() {
    let mut bench = Bench::default();
    bench.slow = true;
    let first = bench.commit(offset("t", 1));
    let other = Commit { group_id: "other".to_owned(), ..offset("t", 1) };
    let second = bench.commit(other);
    assert_eq!(bench.writes.len(), 2);
    bench.written(Ok(()));
    assert!(bench.committed(first).is_some());
    assert!(bench.committed(second).is_none());
}

#[test]
fn a_commit_that_fails_changes_nothing() {
    for (disk, told) in [
        (ErrorCode::NOT_ENOUGH_REPLICAS, ErrorCode::COORDINATOR_NOT_AVAILABLE),
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, ErrorCode::COORDINATOR_NOT_AVAILABLE),
        (ErrorCode::REQUEST_TIMED_OUT, ErrorCode::COORDINATOR_NOT_AVAILABLE),
        (ErrorCode::KAFKA_STORAGE_ERROR, ErrorCode::NOT_COORDINATOR),
        (ErrorCode::NOT_LEADER_OR_FOLLOWER, ErrorCode::NOT_COORDINATOR),
        (ErrorCode::MESSAGE_TOO_LARGE, ErrorCode::INVALID_COMMIT_OFFSET_SIZE),
        (ErrorCode::UNKNOWN_SERVER_ERROR, ErrorCode::UNKNOWN_SERVER_ERROR),
    ] {
        let mut bench = Bench::default();
        bench.commit_error(offset("t", 1));
        bench.slow = true;
        let ticket = bench.commit(offset("t", 2));
        bench.written(Err(disk));
        let committed = bench.committed(ticket).unwrap();
        assert_eq!(committed.error_of(0, 0), told, "{disk:?}");
        assert_eq!(bench.offset("t"), 1);
    }
}

#[test]
fn an_assignment_that_cannot_be_written_is_not_given_out() {
    let mut bench = Bench::default();
    let joined = bench.stable(vec![consumer("a")]);
    let ticket = bench.join(again(consumer("a"), "a-1"));
    let joined_again = bench.joined(ticket).unwrap();
    assert_eq!(joined_again.generation_id, joined[0].generation_id + 1);
    bench.slow = true;
    let sync = bench.sync(&joined_again, &[("a-1", "new")]);
    let late = bench.join(consumer("b"));
    assert_eq!((bench.synced(sync), bench.state()), (None, "CompletingRebalance"));
    bench.written(Err(ErrorCode::KAFKA_STORAGE_ERROR));
    assert_eq!(bench.synced(sync).unwrap().error, ErrorCode::NOT_COORDINATOR);
    // Everybody joins again.
    assert_eq!(bench.state(), "PreparingRebalance");
    let ticket = bench.join(again(consumer("a"), "a-1"));
    assert_eq!(bench.joined(ticket).unwrap().members.len(), 2);
    assert!(bench.joined(late).is_some());
    // And a restart knows the last generation that was written.
    bench.restart();
    assert_eq!(bench.describe().members[0].assignment, "0");
    assert_eq!(bench.heartbeat("a-1", joined[0].generation_id), ErrorCode::NONE);
}

#[test]
fn members_live_on_while_the_disk_is_slow() {
    let mut bench = Bench::default();
    let joined = bench.stable(vec![consumer("a")]);
    bench.slow = true;
    bench.commit(member_offset(&joined[0], "t", 1));
    for _ in 0..5 {
        bench.pass_ms(6_000);
        bench.heartbeat_later("a-1", 1);
    }
    bench.pass_ms(6_000);
    bench.written(Ok(()));
    bench.slow = false;
    assert_eq!((bench.state(), bench.heartbeat("a-1", 1)), ("Stable", ErrorCode::NONE));
    // One that was silent is dead as soon as the disk answers.
    bench.slow = true;
    bench.commit(member_offset(&joined[0], "t", 1));
    bench.pass_ms(12_000);
    assert_eq!(bench.state(), "Stable");
    bench.written(Ok(()));
    bench.slow = false;
    bench.written(Ok(()));
    assert_eq!(bench.state(), "Empty");
}

#[test]
fn a_replacement_that_cannot_be_written_leaves_the_former_member() {
    let mut bench = Bench::default();
    bench.stable(vec![static_consumer("i", "i-1")]);
    bench.slow = true;
    let ticket = bench.join(static_consumer("i", "i-2"));
    assert_eq!(bench.joined(ticket), None);
    bench.written(Err(ErrorCode::NOT_ENOUGH_REPLICAS));
    let refused = bench.joined(ticket).unwrap();
    assert_eq!(refused.error, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    assert_eq!(bench.heartbeat("i-1", 1), ErrorCode::NONE);
    assert_eq!(bench.heartbeat("i-2", 1), ErrorCode::UNKNOWN_MEMBER_ID);
}

#[test]
fn a_static_member_replaced_in_a_rebalance_is_fenced_at_once() {
    let mut bench = Bench::default();
    let first = bench.join(static_consumer("i", "i-1"));
    let second = bench.join(static_consumer("i", "i-2"));
    assert_eq!(bench.joined(first).unwrap().error, ErrorCode::FENCED_INSTANCE_ID);
    bench.pass_ms(3_000);
    let joined = bench.joined(second).unwrap();
    assert_eq!((joined.members.len(), joined.leader.as_str()), (1, "i-2"));
    // The leader has been told of i-2: a rebalance.
    let sync = bench.sync(&joined, &[]);
    assert!(bench.synced(sync).is_some());
    let ticket = bench.join(again(static_consumer("i", ""), "i-2"));
    assert!(bench.joined(ticket).is_some());
    let third = bench.join(static_consumer("i", "i-3"));
    assert_eq!(bench.joined(third).unwrap().generation_id, 3);
}

#[test]
fn static_members_keep_their_place_until_their_session_ends() {
    let mut bench = Bench::default();
    let quick = |join: Join| Join { rebalance_timeout_ms: 2_000, ..join };
    bench.stable(vec![quick(static_consumer("i", "i-1")), quick(static_consumer("j", "j-1"))]);
    let changed = Join { protocols: vec![protocol("range", &["u"])], ..static_consumer("j", "") };
    let ticket = bench.join(again(quick(changed), "j-1"));
    bench.pass_ms(2_000);
    // The other did not join, and is still there, but leads no longer.
    let joined = bench.joined(ticket).unwrap();
    assert_eq!((joined.members.len(), joined.leader.as_str()), (2, "j-1"));

    let mut bench = Bench::default();
    bench.stable(vec![quick(consumer("a")), quick(consumer("b"))]);
    let ticket = bench.join(again(quick(consumer("a")), "a-1"));
    bench.pass_ms(2_000);
    assert_eq!(bench.joined(ticket).unwrap().members.len(), 1);
}

#[test]
fn a_rebalance_takes_as_long_as_its_slowest_member_may() {
    let mut bench = Bench::default();
    let slow = |name: &str, ms| Join { rebalance_timeout_ms: ms, ..consumer(name) };
    let lasting = Join { session_timeout_ms: 100_000, ..slow("b", 40_000) };
    bench.stable(vec![slow("a", 20_000), lasting]);
    let ticket = bench.join(again(slow("a", 20_000), "a-1"));
    bench.pass_ms(39_999);
    assert_eq!(bench.joined(ticket), None);
    bench.pass_ms(1);
    assert_eq!(bench.joined(ticket).unwrap().members.len(), 1);
}

#[test]
fn members_that_never_sync_are_removed() {
    let mut bench = Bench::default();
    let quick = |name: &str| Join { rebalance_timeout_ms: 5_000, ..consumer(name) };
    let tickets = [bench.join(quick("a")), bench.join(quick("b"))];
    bench.pass_ms(5_000);
    let joined = tickets.map(|it| bench.joined(it).unwrap());
    // The follower is first; the leader never comes.
    let sync = bench.sync(&joined[1], &[]);
    bench.pass_ms(4_999);
    assert_eq!(bench.synced(sync), None);
    bench.pass_ms(1);
    assert_eq!(bench.synced(sync).unwrap().error, ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(bench.heartbeat("a-1", 1), ErrorCode::UNKNOWN_MEMBER_ID);
    let ticket = bench.join(again(quick("b"), "b-1"));
    let joined = bench.joined(ticket).unwrap();
    assert_eq!((joined.leader.as_str(), joined.members.len()), ("b-1", 1));
}

#[test]
fn leaders_and_new_metadata_call_for_a_rebalance() {
    let mut bench = Bench::default();
    bench.stable(vec![consumer("a"), consumer("b")]);
    let ticket = bench.join(again(consumer("b"), "b-1"));
    assert_eq!(bench.joined(ticket).unwrap().generation_id, 1);
    assert_eq!(bench.state(), "Stable");
    let other = Join { protocols: vec![protocol("range", &["u"])], ..consumer("b") };
    let b = bench.join(again(other, "b-1"));
    assert_eq!((bench.joined(b), bench.state()), (None, "PreparingRebalance"));
    let a = bench.join(again(consumer("a"), "a-1"));
    assert_eq!(bench.joined(a).unwrap().generation_id, 2);
    let joined = bench.joined(b).unwrap();
    // Commits of the last generation are over, those of the new one too early.
    let mut late = member_offset(&joined, "t", 1);
    late.generation_id = 1;
    assert_eq!(bench.commit_error(late), ErrorCode::ILLEGAL_GENERATION);
    let early = member_offset(&joined, "t", 1);
    assert_eq!(bench.commit_error(early), ErrorCode::REBALANCE_IN_PROGRESS);
    // The same again tells the same again.
    let a = bench.join(again(consumer("a"), "a-1"));
    assert_eq!(bench.joined(a).unwrap().members.len(), 2);
}

#[test]
fn members_may_commit_what_they_have_until_they_join_again() {
    let mut bench = Bench::default();
    let joined = bench.stable(vec![consumer("a")]);
    bench.join(consumer("b"));
    assert_eq!(bench.state(), "PreparingRebalance");
    assert_eq!(bench.commit_error(member_offset(&joined[0], "t", 4)), ErrorCode::NONE);
    assert_eq!(bench.offset("t"), 4);
}

#[test]
fn a_join_that_is_repeated_is_answered_once_for_each() {
    let mut bench = Bench::default();
    bench.stable(vec![consumer("a"), consumer("b")]);
    let first = bench.join(again(consumer("a"), "a-1"));
    let second = bench.join(again(consumer("a"), "a-1"));
    assert_eq!(bench.joined(first).unwrap().error, ErrorCode::REBALANCE_IN_PROGRESS);
    bench.join(again(consumer("b"), "b-1"));
    assert_eq!(bench.joined(second).unwrap().error, ErrorCode::NONE);
}

#[test]
fn what_is_wrong_is_told_apart() {
    let mut bench = Bench::default();
    let mut refused = |join: Join| {
        let ticket = bench.join(join);
        bench.joined(ticket).unwrap().error
    };
    let of_group = |group_id: &str| Join { group_id: group_id.to_owned(), ..consumer("a") };
    let of_session = |ms| Join { session_timeout_ms: ms, ..consumer("a") };
    assert_eq!(refused(of_group("")), ErrorCode::INVALID_GROUP_ID);
    assert_eq!(refused(of_session(5_999)), ErrorCode::INVALID_SESSION_TIMEOUT);
    assert_eq!(refused(of_session(1_800_001)), ErrorCode::INVALID_SESSION_TIMEOUT);
    assert_eq!(refused(again(consumer("a"), "x")), ErrorCode::UNKNOWN_MEMBER_ID);
    let of_nothing = Join { protocols: Vec::new(), ..consumer("a") };
    assert_eq!(refused(of_nothing), ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let left = bench.leave(&[("x", None)]);
    assert_eq!(left.members[0].error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bench.list(super::request::List::default()), []);

    let joined = bench.stable(vec![consumer("a")]);
    let other = Join { protocol_type: "connect".to_owned(), ..consumer("b") };
    let ticket = bench.join(other);
    let refused = bench.joined(ticket).unwrap();
    assert_eq!(refused.error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    let mut unknown = member_offset(&joined[0], "t", 1);
    unknown.group_id = "unknown".to_owned();
    assert_eq!(bench.commit_error(unknown.clone()), ErrorCode::ILLEGAL_GENERATION);
    unknown.knows_group_id_not_found = true;
    assert_eq!(bench.commit_error(unknown), ErrorCode::GROUP_ID_NOT_FOUND);
    let sync = bench.ask(GroupRequest::Sync(super::request::Sync {
        group_id: GROUP.to_owned(),
        generation_id: 1,
        member_id: "a-1".to_owned(),
        protocol_name: Some("sticky".to_owned()),
        ..Default::default()
    }));
    let refused = bench.synced(sync).unwrap();
    assert_eq!(refused.error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
}

#[test]
fn offsets_go_with_their_topic() {
    let (old, new) = (TopicId([1; 16]), TopicId([2; 16]));
    let with_id = |topic: &str, next, id| {
        let mut commit = offset(topic, next);
        commit.topics[0].topic_id = id;
        commit
    };
    let mut bench = Bench::default();
    bench.slow = true;
    bench.commit(with_id("t", 1, old));
    // The commit is not durable yet, and goes all the same.
    bench.coordinator.topic_deleted(bench.now(), "t", old, &mut Vec::new());
    bench.slow = false;
    bench.written(Ok(()));
    assert_eq!(bench.offset("t"), -1);
    bench.commit(with_id("t", 2, new));
    bench.commit(offset("t", 3));
    bench.commit(with_id("u", 4, old));
    let mut out = Vec::new();
    bench.coordinator.topic_deleted(bench.now(), "u", new, &mut out);
    assert_eq!((out.len(), bench.offset("u")), (0, 4));

    // An offset of a topic that is another one now is not found.
    let mut wanted =
        super::request::FetchTopic { name: "u".to_owned(), topic_id: new, partitions: vec![0] };
    let mut found = |wanted: super::request::FetchTopic| {
        let request = super::request::FetchOffsets {
            group_id: GROUP.to_owned(),
            topics: Some(vec![wanted]),
            ..Default::default()
        };
        let ticket = bench.ask(GroupRequest::FetchOffsets(request));
        match bench.answer(ticket) {
            Some(GroupResponse::FetchOffsets(it)) => it.topics[0].partitions[0].offset,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(found(wanted.clone()), -1);
    wanted.topic_id = old;
    assert_eq!(found(wanted), 4);
    let mut topics = Vec::new();
    let mut see = |seen: Seen<'_>| {
        if let Seen::Offset(it) = seen {
            topics.push((it.topic.to_string(), it.topic_id));
        }
    };
    let mut cursor = StateCursor::default();
    while bench.coordinator.look(&mut cursor, 1, &mut see) > 0 {}
    assert_eq!(topics, [("t".to_owned(), TopicId::default()), ("u".to_owned(), old)]);
}

#[test]
fn offsets_that_nobody_wants_expire_under_a_living_group() {
    let settings = CoordinatorSettings {
        offsets_retention_ms: 600_000,
        offsets_retention_check_interval_ms: 60_000,
        ..CoordinatorSettings::default()
    };
    let live_on = |bench: &mut Bench| {
        for _ in 0..80 {
            bench.pass_ms(9_000);
            bench.heartbeat("a-1", 1);
        }
    };
    let mut bench = Bench::new(settings.clone());
    let joined = bench.stable(vec![consumer("a")]);
    bench.commit_error(member_offset(&joined[0], "t", 1));
    bench.commit_error(member_offset(&joined[0], "u", 1));
    live_on(&mut bench);
    assert_eq!((bench.offset("t"), bench.offset("u")), (1, -1));
    // Who knows what they want?
    let mut bench = Bench::new(settings);
    let unreadable = Protocol { name: "range".to_owned(), metadata: vec![0, 0, 9, 9].into() };
    let joined = bench.stable(vec![Join { protocols: vec![unreadable], ..consumer("a") }]);
    bench.commit_error(member_offset(&joined[0], "u", 1));
    assert_eq!(bench.delete_offset("u"), ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
    live_on(&mut bench);
    assert_eq!(bench.offset("u"), 1);
}

#[test]
fn an_offset_committed_to_an_empty_group_lives_as_long_as_any() {
    let mut bench = Bench::default();
    bench.stable(vec![consumer("a")]);
    bench.leave(&[("a-1", None)]);
    bench.commit_error(offset("t", 1));
    bench.pass_ms(6 * DAY_MS);
    bench.commit_error(offset("t", 2));
    bench.pass_ms(6 * DAY_MS);
    assert_eq!(bench.offset("t"), 2);
}

#[test]
fn a_group_that_has_become_too_large_is_made_smaller() {
    let mut bench = Bench::default();
    bench.stable(vec![consumer("a"), consumer("b")]);
    bench.settings = CoordinatorSettings { group_max_size: 1, ..CoordinatorSettings::default() };
    bench.restart();
    assert_eq!(bench.state(), "PreparingRebalance");
    let a = bench.join(again(consumer("a"), "a-1"));
    let b = bench.join(again(consumer("b"), "b-1"));
    assert_eq!(bench.joined(b).unwrap().error, ErrorCode::GROUP_MAX_SIZE_REACHED);
    assert_eq!(bench.joined(a).unwrap().members.len(), 1);
}

#[test]
fn damaged_records_do_not_harm_a_coordinator() {
    let mut bench = Bench::default();
    let joined = bench.stable(vec![static_consumer("i", "i-1"), consumer("b")]);
    bench.commit_error(member_offset(&joined[0], "t", 1));
    for record in bench.log.clone() {
        let (key, value) = (record.key, record.value.unwrap_or_default());
        for at in 0..key.len() + value.len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let (mut key, mut value) = (key.clone(), value.clone());
                match at.checked_sub(key.len()) {
                    Some(at) => value[at] = byte,
                    None => key[at] = byte,
                }
                let mut coordinator = Coordinator::new(CoordinatorSettings::default());
                let mut out = Vec::new();
                let _ = coordinator.replay(Some(&key), Some(&value), 0);
                coordinator.start(Now::at(0), &mut out);
                // All its members die.
                while let Some(at_ms) = coordinator.next_deadline().filter(|it| *it < 600_000) {
                    coordinator.tick(Now::at(at_ms), &mut out);
                    let next = coordinator.next_deadline();
                    assert!(next.is_none_or(|it| it > at_ms));
                }
            }
        }
    }
    let mut coordinator = Coordinator::new(CoordinatorSettings::default());
    assert!(coordinator.replay(None, Some(&[0, 1]), 0).is_err());
    assert!(coordinator.replay(Some(&[0, 9, 1]), Some(&[7]), 0).is_ok());
}
