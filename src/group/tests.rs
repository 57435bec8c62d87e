//! Groups by behaviour.

use super::context::CoordinatorSettings;
use super::coordinator::{Coordinator, StateCursor};
use super::memory::Memory;
use super::request::{CommitOffset, GroupRequest, Join, Leave, Leaving, List};
use super::response::GroupResponse;
use super::testing::{
    Bench, GROUP, consumer, member_offset, offset, protocol, static_consumer, subscription,
};
use crate::types::ErrorCode;

const DAY_MS: i64 = 24 * 3_600_000;

/// The same member again, with the id it was given.
fn again(join: Join, member_id: &str) -> Join {
    Join { member_id: member_id.to_owned(), ..join }
}

#[test]
fn members_join_sync_and_become_stable() {
    let mut bench = Bench::default();
    let joined = bench.stable(vec![consumer("a"), consumer("b")]);
    assert_eq!(joined[0].generation_id, 1);
    assert_eq!(joined[0].members.len(), 2);
    assert_eq!(joined[0].members[1].metadata, subscription(&["t"]));
    assert_eq!(joined[1].members.len(), 0);
    assert_eq!(bench.heartbeat(&joined[0].member_id, 1), ErrorCode::NONE);
    assert_eq!(bench.heartbeat(&joined[0].member_id, 2), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(bench.heartbeat("nobody", 1), ErrorCode::UNKNOWN_MEMBER_ID);
    let described = bench.describe();
    assert_eq!(described.protocol_data, "range");
    assert_eq!(described.members[1].assignment, "1");
    assert_eq!(described.members[1].client_host, "/127.0.0.1");
    bench.restart();
    assert_eq!(bench.describe(), described);
}

#[test]
fn a_group_that_begins_waits_for_more_members() {
    let mut bench = Bench::default();
    let a = bench.join(consumer("a"));
    bench.pass_ms(2_999);
    let b = bench.join(consumer("b"));
    // Somebody came: three seconds more, and nobody comes.
    bench.pass_ms(3_000);
    assert_eq!(bench.joined(a), None);
    bench.pass_ms(1);
    assert_eq!(bench.joined(a).unwrap().members.len(), 2);
    assert_eq!(bench.joined(b).unwrap().generation_id, 1);
}

#[test]
fn the_wait_for_more_members_ends_with_the_rebalance_timeout() {
    let mut bench = Bench::default();
    let first = bench.join(Join { rebalance_timeout_ms: 7_000, ..consumer("0") });
    for n in 1..8 {
        bench.pass_ms(999);
        let name = n.to_string();
        bench.join(Join { rebalance_timeout_ms: 7_000, ..consumer(&name) });
    }
    assert_eq!(bench.joined(first), None);
    bench.pass_ms(7);
    assert_eq!(bench.joined(first).unwrap().members.len(), 8);
}

#[test]
fn a_new_member_has_to_come_back_with_its_id() {
    let mut bench = Bench::default();
    let join = Join { requires_known_member_id: true, ..consumer("a") };
    let ticket = bench.join(join.clone());
    let told = bench.joined(ticket).unwrap();
    assert_eq!((told.error, told.member_id.as_str()), (ErrorCode::MEMBER_ID_REQUIRED, "a-1"));
    assert_eq!(bench.state(), "Empty");
    // It does in time; others, who do not, are forgotten with their group.
    bench.pass_ms(9_999);
    let ticket = bench.join(again(join.clone(), "a-1"));
    bench.pass_ms(3_000);
    assert_eq!(bench.joined(ticket).unwrap().member_id, "a-1");

    let mut bench = Bench::default();
    bench.join(join.clone());
    bench.pass_ms(10_000);
    assert_eq!(bench.describe().error, ErrorCode::GROUP_ID_NOT_FOUND);
    let ticket = bench.join(again(join, "a-1"));
    assert_eq!(bench.joined(ticket).unwrap().error, ErrorCode::UNKNOWN_MEMBER_ID);
    assert_eq!(bench.log, []);
}

/// A client that has left its group may delete the group at once.
#[test]
fn the_last_to_leave_is_answered_when_the_group_is_empty() {
    let mut bench = Bench::default();
    bench.stable(vec![consumer("a")]);
    bench.slow = true;
    let leaving = Leaving { member_id: "a-1".to_owned(), group_instance_id: None };
    let leave = Leave { group_id: GROUP.to_owned(), members: vec![leaving] };
    let ticket = bench.ask(GroupRequest::Leave(leave));
    assert!(bench.answer(ticket).is_none());
    bench.written(Ok(()));
    let answer = bench.answer(ticket);
    assert!(matches!(answer, Some(GroupResponse::Leave(_))), "{answer:?}");
    assert_eq!(bench.state(), "Empty");
}

#[test]
fn a_silent_member_is_taken_for_dead() {
    let mut bench = Bench::default();
    let joined = bench.stable(vec![consumer("a"), consumer("b")]);
    bench.pass_ms(9_999);
    assert_eq!(bench.heartbeat("a-1", 1), ErrorCode::NONE);
    assert_eq!(bench.state(), "Stable");
    bench.pass_ms(1);
    assert_eq!(bench.state(), "PreparingRebalance");
    assert_eq!(bench.heartbeat("a-1", 1), ErrorCode::REBALANCE_IN_PROGRESS);
    assert_eq!(bench.heartbeat("b-1", 1), ErrorCode::UNKNOWN_MEMBER_ID);
    let ticket = bench.join(again(consumer("a"), "a-1"));
    let joined_again = bench.joined(ticket).unwrap();
    assert_eq!(joined_again.generation_id, joined[0].generation_id + 1);
    assert_eq!(joined_again.members.len(), 1);
    bench.pass_ms(60_000);
    assert_eq!(bench.state(), "Empty");
}

#[test]
fn an_empty_group_is_persisted() {
    let mut bench = Bench::default();
    let joined = bench.stable(vec![consumer("a")]);
    let left = bench.leave(&[("a-1", None), ("x", None)]);
    let errors: Vec<_> = left.members.iter().map(|it| it.error).collect();
    assert_eq!(errors, [ErrorCode::NONE, ErrorCode::UNKNOWN_MEMBER_ID]);
    bench.restart();
    let described = bench.describe();
    assert_eq!((described.state, described.protocol_type.as_str()), ("Empty", "consumer"));
    // The next generation is later than the one that ended.
    let ticket = bench.join(consumer("a"));
    bench.pass_ms(3_000);
    assert!(bench.joined(ticket).unwrap().generation_id > joined[0].generation_id);
}

#[test]
fn static_members_come_back_without_a_rebalance() {
    let mut bench = Bench::default();
    bench.stable(vec![static_consumer("i", "i-1"), static_consumer("j", "j-1")]);
    let ticket = bench.join(static_consumer("j", "j-2"));
    let joined = bench.joined(ticket).unwrap();
    assert_eq!((joined.error, joined.generation_id), (ErrorCode::NONE, 1));
    assert_eq!(bench.state(), "Stable");
    let ticket = bench.sync(&joined, &[]);
    assert_eq!(bench.synced(ticket).unwrap().assignment, "1");
    // The former one is fenced, after a restart as well.
    bench.restart();
    let late = Join { group_instance_id: Some("j".to_owned()), ..again(consumer("x"), "j-1") };
    let ticket = bench.join(late);
    assert_eq!(bench.joined(ticket).unwrap().error, ErrorCode::FENCED_INSTANCE_ID);
    // An administrator makes it leave by its instance.
    let left = bench.leave(&[("j-1", Some("j")), ("", Some("j")), ("", Some("k"))]);
    let errors: Vec<_> = left.members.iter().map(|it| it.error).collect();
    let expected = [ErrorCode::FENCED_INSTANCE_ID, ErrorCode::NONE, ErrorCode::UNKNOWN_MEMBER_ID];
    assert_eq!(errors, expected);
    assert_eq!(bench.state(), "PreparingRebalance");
}

#[test]
fn a_static_leader_that_comes_back_keeps_its_assignment() {
    let mut bench = Bench::default();
    bench.stable(vec![static_consumer("i", "i-1"), static_consumer("j", "j-1")]);
    // Told to skip the assignment where it understands that (KIP-814), and else that it does not
    // lead.
    let skips = Join { supports_skip_assignment: true, ..static_consumer("i", "i-2") };
    let ticket = bench.join(skips);
    let joined = bench.joined(ticket).unwrap();
    assert_eq!((joined.leader.as_str(), joined.skip_assignment), ("i-2", true));
    assert_eq!(joined.members.len(), 2);
    let ticket = bench.join(static_consumer("i", "i-3"));
    let joined = bench.joined(ticket).unwrap();
    assert_eq!((joined.leader.as_str(), joined.skip_assignment), ("i-2", false));
    assert_eq!(joined.members.len(), 0);
    let ticket = bench.sync(&joined, &[]);
    assert_eq!(bench.synced(ticket).unwrap().assignment, "0");
}

#[test]
fn commits_are_of_members_or_of_nobody() {
    let mut bench = Bench::default();
    assert_eq!(bench.commit_error(offset("t", 5)), ErrorCode::NONE);
    let joined = bench.stable(vec![consumer("a")]);
    assert_eq!(bench.commit_error(offset("t", 6)), ErrorCode::UNKNOWN_MEMBER_ID);
    let mut late = member_offset(&joined[0], "t", 6);
    late.generation_id = 0;
    assert_eq!(bench.commit_error(late), ErrorCode::ILLEGAL_GENERATION);
    assert_eq!(bench.offset("t"), 5);
    assert_eq!(bench.commit_error(member_offset(&joined[0], "t", 6)), ErrorCode::NONE);
    assert_eq!(bench.offset("t"), 6);
    assert_eq!(bench.offset("u"), -1);
    bench.restart();
    assert_eq!(bench.offset("t"), 6);
    assert_eq!(bench.fetch(None).topics[0].partitions[0].offset, 6);
}

#[test]
fn metadata_may_be_too_large() {
    let mut bench = Bench::default();
    let mut commit = offset("t", 5);
    commit.topics[0].partitions[0].metadata = Some("x".repeat(4_097));
    assert_eq!(bench.commit_error(commit.clone()), ErrorCode::OFFSET_METADATA_TOO_LARGE);
    assert_eq!(bench.describe().error, ErrorCode::GROUP_ID_NOT_FOUND);
    commit.topics[0].partitions[0].metadata = Some("x".repeat(4_096));
    assert_eq!(bench.commit_error(commit), ErrorCode::NONE);
    bench.restart();
    assert_eq!(bench.fetch(None).topics[0].partitions[0].metadata.len(), 4_096);
}

#[test]
fn groups_are_listed_by_state_and_type() {
    let mut bench = Bench::default();
    assert_eq!(bench.list(List::default()), []);
    bench.commit_error(offset("t", 5));
    let listed = bench.list(List::default());
    assert_eq!((listed[0].state, listed[0].protocol_type.as_str()), ("Empty", ""));
    let filter = |states: &[&str], types: &[&str]| List {
        states: states.iter().map(|it| (*it).to_owned()).collect(),
        types: types.iter().map(|it| (*it).to_owned()).collect(),
    };
    assert_eq!(bench.list(filter(&["stable", "empty"], &["Classic"])).len(), 1);
    assert_eq!(bench.list(filter(&["Stable"], &[])).len(), 0);
    assert_eq!(bench.list(filter(&[], &["consumer"])).len(), 0);
}

#[test]
fn groups_without_members_can_be_deleted() {
    let mut bench = Bench::default();
    assert_eq!(bench.delete_group(), ErrorCode::GROUP_ID_NOT_FOUND);
    let joined = bench.stable(vec![consumer("a")]);
    bench.commit_error(member_offset(&joined[0], "t", 6));
    assert_eq!(bench.delete_group(), ErrorCode::NON_EMPTY_GROUP);
    bench.leave(&[("a-1", None)]);
    assert_eq!(bench.delete_group(), ErrorCode::NONE);
    assert_eq!(bench.delete_group(), ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(bench.coordinator.live_bytes(), 0);
    bench.restart();
    assert_eq!(bench.describe().error, ErrorCode::GROUP_ID_NOT_FOUND);
    assert_eq!(bench.offset("t"), -1);
}

#[test]
fn offsets_that_members_want_cannot_be_deleted() {
    let mut bench = Bench::default();
    assert_eq!(bench.delete_offset("t"), ErrorCode::GROUP_ID_NOT_FOUND);
    let joined = bench.stable(vec![consumer("a")]);
    bench.commit_error(member_offset(&joined[0], "t", 6));
    bench.commit_error(member_offset(&joined[0], "u", 6));
    assert_eq!(bench.delete_offset("t"), ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC);
    assert_eq!(bench.delete_offset("u"), ErrorCode::NONE);
    assert_eq!((bench.offset("t"), bench.offset("u")), (6, -1));
    bench.leave(&[("a-1", None)]);
    assert_eq!(bench.delete_offset("t"), ErrorCode::NONE);
    bench.restart();
    assert_eq!(bench.fetch(None).topics, []);
    let mut bench = Bench::default();
    let connect = Join { protocol_type: "connect".to_owned(), ..consumer("a") };
    bench.stable(vec![connect]);
    assert_eq!(bench.delete_offset("t"), ErrorCode::NON_EMPTY_GROUP);
}

#[test]
fn offsets_of_a_group_expire_when_it_has_been_empty_long_enough() {
    let mut bench = Bench::default();
    let joined = bench.stable(vec![consumer("a")]);
    bench.commit_error(member_offset(&joined[0], "t", 6));
    bench.leave(&[("a-1", None)]);
    bench.pass_ms(7 * DAY_MS - 1);
    assert_eq!(bench.offset("t"), 6);
    bench.pass_ms(600_000);
    assert_eq!(bench.offset("t"), -1);
    assert_eq!(bench.describe().error, ErrorCode::GROUP_ID_NOT_FOUND);
    bench.restart();
    assert_eq!(bench.list(List::default()), []);
    assert_eq!(bench.coordinator.live_state(), []);
}

#[test]
fn offsets_of_a_simple_consumer_expire_after_their_commit() {
    let mut bench = Bench::default();
    let retention = |retention_ms| super::request::Commit { retention_ms, ..offset("u", 1) };
    bench.commit_error(offset("t", 6));
    bench.commit_error(retention(DAY_MS));
    bench.restart();
    bench.pass_ms(DAY_MS + 600_000);
    assert_eq!((bench.offset("t"), bench.offset("u")), (6, -1));
    bench.commit_error(offset("t", 7));
    bench.pass_ms(6 * DAY_MS);
    assert_eq!(bench.offset("t"), 7);
    bench.pass_ms(DAY_MS + 600_000);
    assert_eq!(bench.offset("t"), -1);
}

/// Many offsets of one group expire in parts, each of a bounded number of steps, and all of them in one
/// sweep, whatever its writes take.
#[test]
fn many_offsets_of_one_group_expire_in_parts() {
    const OFFSETS: i32 = 5_000;
    let all = || {
        let mut commit = offset("t", 6);
        let first = commit.topics[0].partitions[0].clone();
        let partitions = (0..OFFSETS).map(|partition| CommitOffset { partition, ..first.clone() });
        commit.topics[0].partitions = partitions.collect();
        commit
    };
    let until_a_write = |bench: &mut Bench| {
        while bench.writes.is_empty() {
            let next_ms = bench.coordinator.next_deadline().expect("a sweep");
            bench.pass_ms(next_ms - bench.now().monotonic_ms);
        }
    };
    let settings = CoordinatorSettings::default();
    let interval_ms = settings.offsets_retention_check_interval_ms;
    let mut bench = Bench::default();
    bench.commit_error(all());
    bench.pass_ms(7 * DAY_MS - interval_ms);
    assert_eq!(bench.fetch(None).topics[0].partitions.len(), OFFSETS as usize);
    bench.slow = true;
    // Up to the first part, and then as long as all of them take.
    until_a_write(&mut bench);
    for _ in 0..100 {
        let upto = bench.writes.len();
        (0..upto).for_each(|_| bench.written(Ok(())));
        bench.pass_ms(10);
    }
    assert_eq!(bench.describe().error, ErrorCode::GROUP_ID_NOT_FOUND);
    assert!(bench.tick_steps_max <= 1_100, "{} steps in one tick", bench.tick_steps_max);
    // The write of a part fails: the rest goes on, and what failed goes with the next sweep.
    bench.slow = false;
    bench.commit_error(all());
    bench.slow = true;
    until_a_write(&mut bench);
    bench.written(Err(ErrorCode::KAFKA_STORAGE_ERROR));
    bench.slow = false;
    bench.pass_ms(100);
    let left = bench.fetch(None).topics[0].partitions.len();
    assert!((1..2_000).contains(&left), "{left} are left");
    bench.pass_ms(interval_ms);
    assert_eq!(bench.describe().error, ErrorCode::GROUP_ID_NOT_FOUND);
}

#[test]
fn members_choose_the_protocol_that_most_like_best() {
    let mut bench = Bench::default();
    let knows = |name: &str, protocols: &[&str]| Join {
        protocols: protocols.iter().map(|it| protocol(it, &["t"])).collect(),
        ..consumer(name)
    };
    let a = bench.join(knows("a", &["range", "sticky"]));
    bench.join(knows("b", &["sticky", "range", "other"]));
    bench.join(knows("c", &["other", "sticky", "range"]));
    let refused = bench.join(knows("d", &["other"]));
    let refused = bench.joined(refused).unwrap();
    assert_eq!(refused.error, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    bench.pass_ms(6_000);
    assert_eq!(bench.joined(a).unwrap().protocol_name.as_deref(), Some("sticky"));
}

#[test]
fn a_group_has_a_greatest_size() {
    let mut bench =
        Bench::new(CoordinatorSettings { group_max_size: 1, ..CoordinatorSettings::default() });
    let a = bench.join(consumer("a"));
    let b = bench.join(consumer("b"));
    assert_eq!(bench.joined(b).unwrap().error, ErrorCode::GROUP_MAX_SIZE_REACHED);
    bench.pass_ms(3_000);
    assert_eq!(bench.joined(a).unwrap().members.len(), 1);
    let b = bench.join(consumer("b"));
    assert_eq!(bench.joined(b).unwrap().error, ErrorCode::GROUP_MAX_SIZE_REACHED);
}

/// The wall's clock is set a month forth: nothing of an idle group expires, and what does not fall
/// silent stays.
#[test]
fn a_clock_that_is_set_expires_nothing() {
    const MONTH_MS: i64 = 30 * 86_400_000;
    let retention_ms = CoordinatorSettings::default().offsets_retention_ms;
    for at_start in [false, true] {
        let mut bench = Bench::default();
        assert!(!bench.commit_error(offset("t", 5)).is_err());
        bench.pass_ms(60_000);
        bench.ahead_ms = MONTH_MS;
        if at_start {
            bench.restart();
        }
        bench.pass_ms(retention_ms - 120_000);
        assert_eq!(bench.offset("t"), 5);
        // A commit is stamped with what the wall shows, and lives as long as any other.
        assert!(!bench.commit_error(offset("u", 6)).is_err());
        bench.ahead_ms = 0;
        bench.pass_ms(retention_ms - 120_000);
        assert_eq!(bench.offset("u"), 6);
        // Time that passes counts.
        assert_eq!(bench.offset("t"), -1, "at_start: {at_start}");
        bench.pass_ms(MONTH_MS);
        assert_eq!(bench.offset("u"), -1);
    }
}

/// Stamps of a clock that was a month ahead, when it is right again.
#[test]
fn stamps_of_the_future_expire_nothing() {
    const MONTH_MS: i64 = 30 * 86_400_000;
    let mut bench = Bench::default();
    assert!(!bench.commit_error(offset("t", 5)).is_err());
    bench.ahead_ms = MONTH_MS;
    assert!(!bench.commit_error(offset("u", 6)).is_err());
    bench.ahead_ms = 0;
    bench.pass_ms(1_000);
    bench.restart();
    let retention_ms = CoordinatorSettings::default().offsets_retention_ms;
    bench.pass_ms(retention_ms - 120_000);
    assert_eq!((bench.offset("t"), bench.offset("u")), (5, 6));
    bench.pass_ms(1_000_000);
    assert_eq!((bench.offset("t"), bench.offset("u")), (-1, -1));
}

/// What was before a restart counts as far as stamps in the log show that it took time.
#[test]
fn a_restart_does_not_begin_the_time_anew() {
    let mut bench = Bench::default();
    bench.commit_error(offset("t", 5));
    bench.pass_ms(6 * DAY_MS);
    let other = super::request::Commit { group_id: "other".to_owned(), ..offset("t", 5) };
    bench.commit_error(other);
    bench.restart();
    bench.pass_ms(DAY_MS - 600_000);
    assert_eq!(bench.offset("t"), 5);
    bench.pass_ms(2 * 600_000);
    assert_eq!(bench.offset("t"), -1);
    assert_eq!(bench.list(List::default()).len(), 1);
}

fn bounded(bytes: usize) -> (Bench, Memory) {
    let memory = Memory::new(bytes);
    let mut bench = Bench::default();
    bench.coordinator =
        Coordinator::new(CoordinatorSettings::default()).with_memory(memory.clone());
    bench.coordinator.start(bench.now(), &mut Vec::new());
    (bench, memory)
}

fn of_group(group_id: String) -> super::request::Commit {
    super::request::Commit { group_id, ..offset("t", 5) }
}

/// Metadata of a member is memory of the broker: a join that brings too much is refused, and a member
/// that is there goes on.
#[test]
fn a_join_that_does_not_fit_is_refused() {
    let (mut bench, memory) = bounded(100_000);
    let joined = bench.stable(vec![consumer("a")]);
    let used = memory.used();
    assert_eq!(used, bench.coordinator.memory_bytes());
    let large = |name: &str| {
        let mut join = consumer(name);
        join.protocols[0].metadata = vec![7; 200_000].into();
        join
    };
    let ticket = bench.join(large("b"));
    let refused = bench.joined(ticket).expect("it is refused at once");
    assert_eq!(refused.error, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    let ticket = bench.join(again(large("a"), &joined[0].member_id));
    let refused = bench.joined(ticket).expect("it is refused at once");
    assert_eq!(refused.error, ErrorCode::COORDINATOR_NOT_AVAILABLE);
    assert_eq!(memory.used(), used, "nothing is kept of them");
    assert_eq!(bench.heartbeat(&joined[0].member_id, 1), ErrorCode::NONE);
    // A member that has joined joins again, even where nothing is left.
    let (mut bench, memory) = bounded(used);
    let joined = bench.stable(vec![consumer("a")]);
    assert_eq!(memory.used(), used);
    let ticket = bench.join(again(consumer("a"), &joined[0].member_id));
    assert_eq!(bench.joined(ticket).expect("alone").error, ErrorCode::NONE);
}

/// Ids of groups by the thousand.
#[test]
fn groups_are_counted_and_refused_over_the_limit() {
    let (mut bench, memory) = bounded(200_000);
    let mut made = 0;
    while bench.commit_error(of_group(format!("g{made}"))) == ErrorCode::NONE {
        made += 1;
    }
    assert_eq!(bench.commit_error(of_group("more".into())), ErrorCode::COORDINATOR_NOT_AVAILABLE);
    assert!((50..500).contains(&made), "{made}");
    assert_eq!(memory.used(), bench.coordinator.memory_bytes());
    // Time frees it.
    bench.pass_ms(8 * DAY_MS);
    assert_eq!((memory.used(), bench.coordinator.memory_bytes()), (0, 0));
    assert_eq!(bench.commit_error(of_group("more".into())), ErrorCode::NONE);
    // A coordinator that goes, or is loaded again, charges what is its own.
    let used = memory.used();
    bench.restart();
    assert_eq!(memory.used(), 0);
    assert_eq!(bench.coordinator.memory_bytes(), used);
}

#[test]
fn the_state_comes_in_pieces() {
    let mut bench = Bench::default();
    let joined = bench.stable(vec![consumer("a")]);
    for topic in ["t", "u", "v"] {
        bench.commit_error(member_offset(&joined[0], topic, 6));
        bench.commit_error(of_group(format!("of {topic}")));
    }
    let all = bench.coordinator.live_state();
    assert_eq!(all.len(), 7);
    for bytes in [1, 60, 100, 1_000] {
        let mut cursor = StateCursor::default();
        let mut pieces = Vec::new();
        loop {
            let piece = bench.coordinator.live_records(&mut cursor, bytes);
            if piece.is_empty() {
                break;
            }
            assert!(bytes > 1 || piece.len() == 1);
            pieces.extend(piece);
        }
        assert_eq!(pieces, all, "pieces of {bytes}");
    }
}
