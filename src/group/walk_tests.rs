//! What is done with each member of a group, in parts: seen whole, and fair to those who wait.

use super::request::{Describe, GroupRequest};
use super::response::{GroupResponse, Joined};
use super::testing::{Bench, GROUP, consumer};
use crate::types::ErrorCode;

const MEMBERS: usize = 20;
/// Members that are visited in one go.
const PART: usize = 4;

fn name(number: usize) -> String {
    format!("m{number:02}")
}

impl Bench {
    /// Goes on until there is nothing to do but to wait; in how many parts.
    fn settle(&mut self) -> usize {
        let mut parts = 0;
        while self.go_on(PART) > 0 {
            parts += 1;
        }
        parts
    }

    fn ask_for_description(&mut self) -> u64 {
        let group_id = GROUP.to_owned();
        self.ask(GroupRequest::Describe(Describe { group_id }))
    }
}

/// Members who have joined a group that pauses, the leader first; and in how many parts they did.
fn joined() -> (Bench, Vec<Joined>, usize) {
    let mut bench = Bench::default();
    bench.coordinator.pause_after(PART);
    bench.pauses = true;
    let tickets: Vec<_> = (0..MEMBERS).map(|it| bench.join(consumer(&name(it)))).collect();
    let mut parts = 0;
    for _ in 0..4 {
        bench.pass_ms(3_000);
        parts += bench.settle();
    }
    let joined = tickets.iter().map(|it| bench.joined(*it).expect("the delay is over"));
    let joined = joined.collect();
    (bench, joined, parts)
}

fn stable() -> (Bench, Vec<Joined>) {
    let (mut bench, joined, _) = joined();
    let assignments: Vec<_> = joined.iter().map(|it| (it.member_id.as_str(), "x")).collect();
    for it in &joined[1..] {
        bench.sync(it, &[]);
    }
    bench.sync(&joined[0], &assignments);
    bench.settle();
    (bench, joined)
}

#[test]
fn a_generation_is_told_in_parts_and_its_assignments_are_seen_whole() {
    let (mut bench, joined, parts) = joined();
    assert_eq!(joined[0].members.len(), MEMBERS);
    assert!(parts >= MEMBERS / PART, "{parts} parts");
    let syncs: Vec<_> = joined[1..].iter().map(|it| bench.sync(it, &[])).collect();
    let assignments: Vec<_> = joined.iter().map(|it| (it.member_id.as_str(), "x")).collect();
    let leader = bench.sync(&joined[0], &assignments);
    let described = bench.ask_for_description();
    let mut parts = 0;
    let described = loop {
        match bench.answer(described) {
            Some(GroupResponse::Describe(described)) => break described,
            None => assert!(bench.go_on(PART) > 0, "nothing goes on"),
            other => panic!("{other:?}"),
        }
        parts += 1;
    };
    // They are taken in, written into the record, assigned; and described.
    assert!(parts >= 4 * MEMBERS / PART, "{parts} parts");
    assert_eq!((described.state, described.members.len()), ("Stable", MEMBERS));
    assert!(described.members.iter().all(|it| it.assignment == "x"));
    for ticket in syncs.into_iter().chain([leader]) {
        let synced = bench.synced(ticket).expect("an answer");
        assert_eq!((synced.error, &synced.assignment[..]), (ErrorCode::NONE, &b"x"[..]));
    }
    bench.pauses = false;
    let before = bench.describe();
    bench.restart();
    assert_eq!(bench.describe(), before);
}

/// Who was heard while others are taken for dead is heard before anybody looks again.
#[test]
fn a_heartbeat_that_waits_for_a_walk_keeps_its_member_alive() {
    let (mut bench, joined) = stable();
    let generation_id = joined[0].generation_id;
    bench.pass_ms(5_000);
    bench.settle();
    for it in &joined[..MEMBERS / 2] {
        let beat = bench.heartbeat_later(&it.member_id, generation_id);
        assert_eq!(bench.heartbeaten(beat), Some(ErrorCode::NONE));
    }
    // The second half is silent. The look for it stops at the first members.
    bench.pass_ms(5_000);
    assert!(bench.coordinator.has_long());
    bench.now_ms += 4_000;
    let beats: Vec<_> = joined[..MEMBERS / 2]
        .iter()
        .map(|it| bench.heartbeat_later(&it.member_id, generation_id))
        .collect();
    // It goes on when those of the first half would have been silent too, had nobody heard them.
    bench.now_ms += 2_000;
    bench.settle();
    for ticket in beats {
        assert_eq!(bench.heartbeaten(ticket), Some(ErrorCode::REBALANCE_IN_PROGRESS));
    }
    bench.pauses = false;
    bench.settle();
    assert_eq!(bench.describe().members.len(), MEMBERS / 2);
}

/// Many requests that have waited for a write do not hold everybody up when it is durable.
#[test]
fn requests_that_have_waited_are_served_in_parts() {
    let (mut bench, joined) = stable();
    bench.slow = true;
    let commit = super::testing::member_offset(&joined[0], "t", 5);
    let commit = bench.commit(commit);
    let beats: Vec<_> = joined
        .iter()
        .map(|it| bench.heartbeat_later(&it.member_id, joined[0].generation_id))
        .collect();
    bench.written(Ok(()));
    assert!(bench.committed(commit).is_some());
    let served = beats[..].iter().filter(|it| bench.heartbeaten(**it).is_some()).count();
    assert_eq!(served, PART);
    assert_eq!(bench.settle(), (MEMBERS - PART).div_ceil(PART));
    assert_eq!(bench.heartbeaten(beats[MEMBERS - 1]), Some(ErrorCode::NONE));
}
