//! Leaders and followers, case by case; `tests/replicas` has their histories.

use super::*;
use crate::types::{ErrorCode, Now};
use crate::wire::records::BatchHeader;
use std::collections::BTreeMap;

const LAG_MS: i64 = 100;

fn batch(records: i32, producer_id: i64, base_sequence: i32) -> BatchHeader {
    BatchHeader {
        base_offset: 0,
        batch_length: 100,
        partition_leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: 0,
        last_offset_delta: records - 1,
        base_timestamp: 0,
        max_timestamp: 7,
        producer_id,
        producer_epoch: 0,
        base_sequence,
        record_count: records,
        marker: None,
    }
}

fn memory() -> ProducerMemory {
    ProducerMemory::new(usize::MAX)
}

/// Appends to a leader; the batch as it is in the log.
fn append(p: &mut Partition, now_ms: i64, batch: BatchHeader) -> BatchHeader {
    match p.append(Now::at(now_ms), &batch, &mut memory()) {
        Ok(AppendOutcome::Accept { base_offset, .. }) => {
            BatchHeader { base_offset, partition_leader_epoch: p.leader_epoch(), ..batch }
        }
        other => panic!("{other:?}"),
    }
}

fn leading(epoch: i32, partition_epoch: i32, isr: &[i32]) -> Leading<'_> {
    let replicas = &[1, 2, 3];
    Leading { node: 1, epoch, partition_epoch, replicas, isr, min_insync: 2, now_ms: 0 }
}

fn leader(isr: &[i32]) -> Partition {
    let mut p = Partition::new(-1);
    assert!(!p.lead(&leading(5, 10, isr)));
    p
}

fn at(node: i32, incarnation: i64, end: i64) -> FollowerEnd {
    FollowerEnd { node, incarnation, leader_epoch: 5, end }
}

fn change(partition_epoch: i32, isr: &[(i32, i64)]) -> IsrChange {
    IsrChange { partition_epoch, leader_epoch: 5, isr: isr.to_vec() }
}

/// Every follower may be behind for so long, ms.
fn lag(lag_max_ms: i64) -> Patience<'static> {
    static NOBODY: BTreeMap<i32, i64> = BTreeMap::new();
    Patience { lag_max_ms, without_space: &NOBODY }
}

/// What is to be proposed where every broker is alive.
fn wish(p: &mut Partition, now_ms: i64, lag_max_ms: i64) -> Option<IsrChange> {
    p.isr_change(now_ms, lag(lag_max_ms), |_| true).0
}

#[test]
fn the_watermark_is_the_least_durable_end_of_those_in_sync() {
    let mut p = leader(&[1, 2, 3]);
    append(&mut p, 0, batch(10, -1, -1));
    assert!(!p.durable(10), "nobody else has it");
    assert!(!p.subscribed(&at(2, 7, 0), 1) && !p.durable_at(&at(2, 7, 8), 1));
    assert!(!p.subscribed(&at(3, 9, 4), 1) || p.high_watermark() == 4);
    assert_eq!(p.high_watermark(), 4);
    assert!(p.durable_at(&at(3, 9, 10), 1));
    assert_eq!((p.high_watermark(), p.latest_is_known()), (8, true));
    // What is of another time counts for nothing.
    assert!(!p.durable_at(&at(2, 6, 10), 1), "an earlier process");
    assert!(!p.durable_at(&FollowerEnd { leader_epoch: 4, ..at(2, 7, 10) }, 1));
    assert!(!p.durable_at(&at(4, 1, 10), 1), "no replica");
    assert!(!p.durable_at(&at(2, 7, 11), 1), "more than there is");
    assert!(!p.durable_at(&at(2, 7, 5), 1), "late");
    assert_eq!(p.high_watermark(), 8);
    // It comes back with an empty disk: the watermark stays, and does not move on.
    assert!(!p.subscribed(&at(2, 8, 0), 1));
    append(&mut p, 1, batch(1, -1, -1));
    assert!(!p.durable(11) && !p.durable_at(&at(3, 9, 11), 1) && !p.durable_at(&at(2, 7, 11), 1));
    assert_eq!(p.high_watermark(), 8);
}

#[test]
fn a_node_is_known_as_a_replica_when_the_metadata_say_so() {
    let mut p = leader(&[1, 2, 3]);
    assert!(p.is_followed_by(2) && !p.is_followed_by(1) && !p.is_followed_by(4));
    // What it says before would be forgotten.
    p.subscribed(&at(4, 1, 0), 1);
    p.lead(&Leading { replicas: &[1, 2, 3, 4], ..leading(5, 11, &[1, 2, 3]) });
    assert!(p.is_followed_by(4));
    assert_eq!(wish(&mut p, 2, LAG_MS), None, "it was not heard since");
    p.subscribed(&at(4, 1, 0), 3);
    assert_eq!(wish(&mut p, 4, LAG_MS).map(|it| it.isr.len()), Some(4));
}

#[test]
fn a_replica_that_lags_leaves_when_that_is_committed() {
    let mut p = leader(&[1, 2, 3]);
    p.subscribed(&at(2, 7, 0), 0);
    p.subscribed(&at(3, 9, 0), 0);
    append(&mut p, 50, batch(1, -1, -1));
    p.durable(1);
    assert_eq!(p.isr_deadline_ms(lag(LAG_MS)), Some(150), "they were there until it was appended");
    assert_eq!(wish(&mut p, 149, LAG_MS), None);
    p.durable_at(&at(3, 9, 1), 149);
    let proposed = wish(&mut p, 150, LAG_MS).expect("2 lags");
    assert_eq!(proposed, change(10, &[(1, -1), (3, 9)]));
    assert_eq!((wish(&mut p, 151, LAG_MS), p.high_watermark()), (None, 0), "not committed");
    assert_eq!(wish(&mut p, 1_150, LAG_MS), Some(proposed), "nobody has answered");
    assert!(!p.lead(&leading(5, 10, &[1])), "an image that it has");
    assert!(p.lead(&leading(5, 11, &[1, 3])));
    assert_eq!((p.high_watermark(), p.not_enough_replicas()), (1, false));
    // Too few: nothing is committed any more.
    append(&mut p, 1_200, batch(1, -1, -1));
    p.durable(2);
    assert_eq!(wish(&mut p, 1_300, LAG_MS), Some(change(11, &[(1, -1)])));
    p.lead(&leading(5, 12, &[1]));
    assert_eq!((p.high_watermark(), p.not_enough_replicas()), (1, true));
}

#[test]
fn a_replica_that_is_always_a_little_behind_stays() {
    let mut p = leader(&[1, 2]);
    p.subscribed(&at(2, 7, 0), 0);
    for i in 0..100 {
        append(&mut p, 10 * i, batch(1, -1, -1));
        p.durable(i + 1);
        // What was appended before the last.
        p.durable_at(&at(2, 7, i), 10 * i + 5);
        assert_eq!(wish(&mut p, 10 * i + 9, LAG_MS), None, "{i}");
    }
}

#[test]
fn a_replica_joins_when_it_has_what_is_committed_and_what_was_there_before_the_epoch() {
    let mut p = Partition::new(-1);
    p.lead(&leading(4, 9, &[1, 2]));
    append(&mut p, 0, batch(10, -1, -1));
    p.durable(10);
    p.lead(&leading(5, 10, &[1, 2]));
    assert!(!p.latest_is_known());
    p.subscribed(&at(3, 9, 9), 0);
    assert_eq!(wish(&mut p, 1, LAG_MS), None, "9 is above the watermark, and of an epoch before");
    p.durable_at(&at(3, 9, 10), 1);
    assert_eq!(p.isr_deadline_ms(lag(LAG_MS)).map(|at| at <= 1), Some(true));
    let proposed = wish(&mut p, 1, LAG_MS).expect("it has all");
    assert_eq!(proposed, change(10, &[(1, -1), (2, -1), (3, 9)]));
    // From now on it may be in sync.
    append(&mut p, 1, batch(5, -1, -1));
    p.durable(15);
    p.subscribed(&at(2, 7, 15), 1);
    assert_eq!(p.high_watermark(), 10);
    // It starts anew, with nothing: the proposal is of what it was.
    p.subscribed(&at(3, 11, 0), 2);
    let void = change(10, &[(1, -1), (2, 7)]);
    assert_eq!(wish(&mut p, 1_001, i64::MAX), Some(void.clone()), "the epoch is to be raised");
    // What became of the first is not known, and it holds up the watermark until it will never be.
    p.isr_refused(&proposed, ErrorCode::INELIGIBLE_REPLICA, 1_002);
    p.isr_refused(&void, ErrorCode::INELIGIBLE_REPLICA, 1_002);
    p.durable_at(&at(2, 7, 15), 1_002);
    assert_eq!((p.high_watermark(), wish(&mut p, 1_003, i64::MAX)), (10, None));
    // Whatever else is to be proposed goes before.
    assert_eq!(wish(&mut p, 1_300, LAG_MS), Some(void.clone()));
    append(&mut p, 1_400, batch(1, -1, -1));
    let shrunk = wish(&mut p, 2_400, LAG_MS).expect("2 lags");
    assert_eq!(shrunk, change(10, &[(1, -1)]));
    p.isr_refused(&shrunk, ErrorCode::INVALID_UPDATE_VERSION, 2_401);
    assert!(p.lead(&leading(5, 11, &[1, 2])));
    assert_eq!(p.high_watermark(), 15);
}

#[test]
fn who_has_no_space_leaves_soon_where_it_is_behind_and_holds_up_nothing() {
    let mut p = leader(&[1, 2, 3]);
    let most = BTreeMap::from([(3, 500)]);
    let full = Patience { lag_max_ms: 30_000, without_space: &most };
    p.subscribed(&at(2, 7, 0), 0);
    p.subscribed(&at(3, 9, 0), 0);
    assert_eq!(p.isr_deadline_ms(full), None);
    assert_eq!(p.isr_change(10_000, full, |_| true).0, None, "it has everything");
    append(&mut p, 20_000, batch(1, -1, -1));
    p.durable(1);
    p.durable_at(&at(2, 7, 1), 20_001);
    assert_eq!(p.isr_deadline_ms(full), Some(20_500));
    assert_eq!(p.isr_change(20_499, full, |_| true).0, None);
    let (proposed, _) = p.isr_change(20_500, full, |_| true);
    assert_eq!(proposed, Some(change(10, &[(1, -1), (2, 7)])));
    assert!(p.lead(&leading(5, 11, &[1, 2])));
    // It comes again, and goes on to have less than all: nobody waits for it.
    p.subscribed(&at(3, 9, 0), 20_510);
    assert_eq!((p.isr_change(20_520, full, |_| true), p.awaits_until_ms()), ((None, false), None));
    // Nor is it among those that are waited for once it has everything, as long as they are enough.
    p.durable_at(&at(3, 9, 1), 20_530);
    assert_eq!((p.isr_change(20_540, full, |_| true).0, p.isr_deadline_ms(full)), (None, None));
    assert!(p.isr_change(20_550, lag(30_000), |_| true).0.is_some(), "it has space");
}

#[test]
fn who_has_no_space_and_has_everything_joins_who_are_too_few() {
    let most = BTreeMap::from([(3, 500)]);
    let full = Patience { lag_max_ms: 30_000, without_space: &most };
    for (isr, min_insync, joins) in [(&[1][..], 1, true), (&[1, 2], 2, false), (&[1, 2], 3, true)] {
        let mut p = Partition::new(-1);
        p.lead(&Leading { min_insync, ..leading(5, 10, isr) });
        p.subscribed(&at(2, 7, 0), 0);
        p.subscribed(&at(3, 9, 0), 0);
        assert_eq!(
            p.isr_deadline_ms(full).is_some_and(|it| it <= 1),
            joins,
            "{isr:?} {min_insync}"
        );
        let (proposed, _) = p.isr_change(1, full, |it| it == 3);
        assert_eq!(proposed.is_some(), joins, "{isr:?} {min_insync}");
    }
}

#[test]
fn who_is_fenced_is_not_proposed() {
    let mut p = leader(&[1, 2]);
    p.subscribed(&at(3, 9, 0), 0);
    assert_eq!(p.isr_change(1, lag(LAG_MS), |node| node != 3), (None, false));
    assert_eq!(
        p.isr_deadline_ms(lag(LAG_MS)).map(|it| it <= 1),
        Some(true),
        "it is looked at again"
    );
    assert!(wish(&mut p, 2, LAG_MS).is_some(), "as soon as it is let in");
}

/// Something is committed every millisecond, and 3 says a millisecond later what it has.
#[test]
fn who_is_always_a_little_behind_the_watermark_joins() {
    let mut p = leader(&[1, 2]);
    p.subscribed(&at(2, 7, 0), 0);
    p.subscribed(&at(3, 9, 0), 0);
    let mut joined = None;
    for i in 0..500 {
        append(&mut p, i, batch(1, -1, -1));
        p.durable(i + 1);
        p.durable_at(&at(2, 7, i + 1), i);
        p.durable_at(&at(3, 9, i), i);
        // It is fenced in the first half, and holds up nothing.
        let alive = i >= 250;
        let (change, _) = p.isr_change(i, lag(LAG_MS), |node| node != 3 || alive);
        assert!(alive || change.is_none() && p.high_watermark() == i + 1, "{i}");
        joined = joined.or(change.map(|it| (i, it)));
        assert!(p.high_watermark() >= i, "{i}");
    }
    let (at_ms, change) = joined.expect("it never joins");
    assert_eq!((at_ms, change.isr), (251, vec![(1, -1), (2, 7), (3, 9)]));
}

#[test]
fn the_watermark_does_not_wait_long_for_one_that_does_not_come() {
    let mut p = leader(&[1, 2]);
    let committed = |p: &mut Partition, now_ms, end| {
        append(p, now_ms, batch(1, -1, -1));
        p.durable(end);
        p.durable_at(&at(2, 7, end), now_ms)
    };
    p.subscribed(&at(2, 7, 0), 0);
    assert!(committed(&mut p, 0, 1));
    p.subscribed(&at(3, 9, 0), 1);
    assert_eq!((p.isr_change(1, lag(1_000), |_| true), p.awaits_until_ms()), ((None, false), None));
    // It has what was there a moment ago.
    assert!(committed(&mut p, 5, 2));
    p.durable_at(&at(3, 9, 1), 6);
    assert_eq!(
        (p.isr_change(6, lag(1_000), |_| true), p.awaits_until_ms()),
        ((None, false), Some(206))
    );
    assert!(!committed(&mut p, 10, 3));
    assert_eq!((p.isr_change(205, lag(1_000), |_| true), p.high_watermark()), ((None, false), 2));
    assert_eq!(p.isr_deadline_ms(lag(1_000)), Some(206));
    assert_eq!(p.isr_change(206, lag(1_000), |_| true), (None, true), "it does not come");
    assert_eq!((p.high_watermark(), p.awaits_until_ms()), (3, None));
    // It is near again, and is not waited for again so soon.
    p.durable_at(&at(3, 9, 2), 207);
    assert!(committed(&mut p, 208, 4));
    p.durable_at(&at(3, 9, 3), 209);
    assert_eq!(
        (p.isr_change(210, lag(1_000), |_| true), p.awaits_until_ms()),
        ((None, false), None)
    );
    p.durable_at(&at(3, 9, 4), 211);
    assert!(wish(&mut p, 212, 1_000).is_some());
}

#[test]
fn a_refusal_of_the_only_attempt_is_the_end_of_it() {
    let mut p = leader(&[1, 2]);
    p.subscribed(&at(2, 7, 0), 0);
    p.subscribed(&at(3, 9, 0), 0);
    let proposed = wish(&mut p, 0, LAG_MS).expect("3 joins");
    append(&mut p, 0, batch(1, -1, -1));
    p.durable(1);
    p.durable_at(&at(2, 7, 1), 0);
    assert_eq!(p.high_watermark(), 0);
    p.isr_refused(&change(9, &[]), ErrorCode::INELIGIBLE_REPLICA, 1);
    assert_eq!(p.high_watermark(), 0, "that was another one");
    p.isr_refused(&proposed, ErrorCode::INELIGIBLE_REPLICA, 1);
    assert_eq!(p.high_watermark(), 1);
    p.durable_at(&at(3, 9, 1), 1);
    assert_eq!(wish(&mut p, 500, LAG_MS), None, "the controller would not have it");
    assert!(wish(&mut p, 1_001, LAG_MS).is_some());
}

/// Two logs that went different ways in many epochs come together, with as many questions as there
/// are epochs.
#[test]
fn a_follower_cuts_what_its_leader_does_not_have() {
    let mut leader = Partition::new(-1);
    let mut follower = Partition::new(-1);
    let mut common = Vec::new();
    for epoch in 1..20 {
        // Every third epoch is of both, and then each has some of its own.
        let leads = |p: &mut Partition, epoch| p.lead(&Leading { epoch, ..leading(0, 0, &[1]) });
        match epoch % 3 {
            0 if epoch < 6 => {
                leads(&mut leader, epoch);
                let next = batch(2, 8, leader.log_end() as i32);
                let batch = append(&mut leader, 0, next);
                common.push(batch);
                follower.follow(epoch, 1, 0);
                follower.take_frame(0, [batch].into_iter(), leader.log_end(), &mut memory());
            }
            1 if epoch > 6 => {
                leads(&mut leader, epoch);
                let next = batch(3, 9, leader.log_end() as i32);
                append(&mut leader, 0, next);
            }
            2 if epoch > 6 => {
                leads(&mut follower, epoch);
                let next = batch(4, 9, follower.log_end() as i32);
                append(&mut follower, 0, next);
            }
            _ => {}
        }
    }
    let end = common.last().expect("some").next_offset();
    leader.lead(&Leading { epoch: 30, ..leading(0, 0, &[1]) });
    follower.follow(30, 1, 0);
    assert!(follower.log_end() > end && leader.log_end() > end);
    let mut asked = 0;
    loop {
        asked += 1;
        assert!(asked < 20, "it comes to no end");
        follower.durable(follower.log_end());
        let (end, last_epoch) = follower.subscription().expect("all is durable");
        match leader.find_common(last_epoch, end) {
            Common::GoOn => break,
            Common::BehindLogStart(_) => unreachable!("nothing was deleted"),
            Common::TruncateTo { epoch, end } => {
                let to = follower.diverges(epoch, end).expect("nothing is committed");
                assert!(to < follower.log_end());
                let mut memory = memory();
                memory.hold(follower.producers().charged_bytes());
                follower.truncate(to, &mut memory).expect("nothing is committed");
            }
        }
    }
    assert_eq!(follower.log_end(), end);
    assert_eq!(follower.producers().last_offset(9), None, "it never was");
    assert_eq!(follower.producers().last_offset(8), Some(end - 1));
    assert_eq!(follower.last_epoch(), 3);
}

/// A leader counts the end that a subscription says for the high watermark: what a power cut may still take is none of it.
#[test]
fn a_follower_subscribes_with_what_is_durable_and_with_nothing_else() {
    let mut p = Partition::new(-1);
    p.follow(3, 2, 0);
    assert_eq!(p.subscription(), Some((0, -1)));
    p.joins(3);
    let of =
        |base_offset| BatchHeader { base_offset, partition_leader_epoch: 3, ..batch(10, -1, -1) };
    p.take_frame(0, [of(0), of(10)].into_iter(), 20, &mut memory());
    assert_eq!(p.subscription(), None);
    // Its stream ends, and another one leads, while the write is under way.
    p.follow(4, 1, 0);
    assert_eq!(p.subscription(), None);
    assert!(!p.durable(10));
    assert_eq!(p.subscription(), None, "half of it");
    assert!(!p.durable(20), "a follower's watermark is what its leader says");
    assert_eq!(p.subscription(), Some((20, 3)));
    // What was cut off is waited for no longer.
    p.take_frame(0, [of(20)].into_iter(), 30, &mut memory());
    p.truncate(20, &mut memory()).expect("nothing is committed");
    assert_eq!(p.subscription(), Some((20, 3)));
}

#[test]
fn what_is_committed_is_never_cut() {
    let mut p = Partition::new(-1);
    p.follow(3, 2, 0);
    let of =
        |base_offset| BatchHeader { base_offset, partition_leader_epoch: 3, ..batch(10, -1, -1) };
    assert!(!p.watermark(3, 10), "it has not joined");
    p.joins(3);
    p.take_frame(0, [of(0), of(10)].into_iter(), 20, &mut memory());
    assert!(!p.watermark(3, 15), "nothing is durable");
    assert!(!p.watermark(2, 20), "of an earlier leader");
    assert!(p.durable(20) && p.high_watermark() == 15);
    p.follow(4, 3, 0);
    assert!(!p.watermark(4, 20) && !p.watermark(3, 20) && p.high_watermark() == 15);
    assert_eq!(p.diverges(3, 18), Ok(18));
    let refused = BelowWatermark { to: 14, high_watermark: 15 };
    assert_eq!((p.diverges(3, 14), p.truncate(14, &mut memory())), (Err(refused), Err(refused)));
    let to = 14;
    assert_eq!(p.restart_at(to, &mut memory()), Err(refused));
    assert_eq!((p.log_end(), p.follows_start(40), p.follows_start(0)), (20, Some(15), None));
    // Unless the metadata say that it is lost: in some epoch since, one led that did not have all.
    p.follow(5, 3, 5);
    assert_eq!(p.diverges(3, 10), Ok(10));
    p.truncate(10, &mut memory()).expect("an unclean election");
    assert_eq!((p.log_end(), p.high_watermark(), p.last_epoch()), (10, 10, 3));
    p.follow(7, 3, 5);
    assert_eq!(p.diverges(3, 9), Ok(9), "it was away when that one led");
    // What is committed since then stays.
    p.joins(7);
    let of_7 = BatchHeader { base_offset: 10, partition_leader_epoch: 7, ..batch(10, -1, -1) };
    p.take_frame(0, std::iter::once(of_7), 20, &mut memory());
    p.durable(20);
    assert!(p.watermark(7, 20));
    p.follow(8, 2, 5);
    assert_eq!(p.diverges(7, 15), Err(BelowWatermark { to: 15, high_watermark: 20 }));
    p.follow(9, 2, i32::MAX);
    assert_eq!(p.diverges(7, 15), Ok(15), "the topic allows it at any time");
}

/// What a producer's last batches were is known after a truncation, though more of them were cut than are
/// remembered, in several of its epochs; after a restart too.
#[test]
fn a_truncation_gives_the_producers_back_as_they_were() {
    let mut p = leader(&[1, 2]);
    let mut memory = memory();
    let mut before = None;
    for i in 0..30_i32 {
        if i == 12 {
            before = Some((p.log_end(), Partition::restore(&p.snapshot(), 0, p.log_end(), 99)));
        }
        let epoch = (i / 10) as i16;
        let batch = BatchHeader { producer_epoch: epoch, ..batch(1, i64::from(i % 2), i % 10 / 2) };
        p.append(Now::at(0), &batch, &mut memory).unwrap_or_else(|why| panic!("{i}: {why:?}"));
    }
    p.append(Now::at(0), &batch(1, 77, 0), &mut memory).expect("a new producer");
    let (to, expected) = before.expect("it was noted");
    let expected = expected.expect("its own").snapshot();
    p.durable(p.log_end());
    let end = p.log_end();
    for (mut p, mut memory) in [
        (p.clone(), memory),
        (Partition::restore(&p.snapshot(), 0, end, -1).expect("its own"), {
            let mut memory = ProducerMemory::new(usize::MAX);
            memory.hold(3 * ProducerMemory::PRODUCER_BYTES);
            memory
        }),
    ] {
        assert_eq!((p.high_watermark(), p.producers().len()), (0, 3));
        p.follow(6, 2, 0);
        p.truncate(to, &mut memory).expect("nothing is committed");
        assert_eq!(memory.used(), 2 * ProducerMemory::PRODUCER_BYTES);
        let now = Partition::restore(&p.snapshot(), 0, to, 99).expect("its own").snapshot();
        assert_eq!(now, expected);
    }
}

#[test]
fn what_a_snapshot_knows_of_the_watermark_is_kept() {
    let mut p = leader(&[1, 2]);
    let first = append(&mut p, 0, batch(10, 5, 0));
    p.durable(10);
    p.subscribed(&at(2, 7, 6), 0);
    assert_eq!(p.high_watermark(), 6);
    let snapshot = p.snapshot();
    let next = BatchHeader { base_offset: 10, ..first };
    let folded = fold(&snapshot, 0, 10, &mut [next].into_iter()).expect("its own");
    let mut restored = Partition::restore(&folded, 0, 20, -1).expect("its own");
    assert_eq!((restored.high_watermark(), restored.durable_end()), (6, 20));
    assert!(!restored.lead(&leading(6, 11, &[1, 2])) && restored.high_watermark() == 6);
    assert!(!restored.latest_is_known());
    // With no other replica all of it is committed.
    let alone = Leading { replicas: &[1], ..leading(7, 12, &[1]) };
    assert!(restored.lead(&alone) && restored.high_watermark() == 20);
    assert!(restored.latest_is_known() && restored.isr().is_empty());
    for cut in 0..folded.len() {
        let damaged = Partition::restore(&folded[..cut], 0, 0, -1);
        assert!(cut == 0 || damaged.is_err(), "{cut} bytes");
    }
}

/// A consumer is sent to who is in sync and has what it asks for, the furthest of them.
#[test]
fn a_leader_names_the_replica_to_read_from() {
    let mut p = leader(&[1, 2, 3]);
    append(&mut p, 0, batch(10, -1, -1));
    p.durable(10);
    p.subscribed(&at(2, 7, 4), 1);
    p.subscribed(&at(3, 9, 8), 1);
    assert_eq!(p.read_replica(&[2, 3], 0), Some(3));
    assert_eq!((p.read_replica(&[2], 4), p.read_replica(&[2], 5)), (Some(2), None));
    assert_eq!((p.read_replica(&[], 0), p.read_replica(&[1, 4], 0)), (None, None));
    p.lead(&leading(5, 11, &[1, 2]));
    assert_eq!(p.read_replica(&[2, 3], 0), Some(2), "the other is not in sync");
    p.follow(6, 2, 0);
    assert_eq!(p.read_replica(&[2, 3], 0), None);
}
