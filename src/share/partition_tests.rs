//! Random histories of a share-partition against one that is kept offset by offset, and what is kept of it.

use std::sync::Arc;

use super::acknowledgement::AckBatch;
use super::naive::Naive;
use super::partition::{Acquired, LogBatch, Room, SharePartition};
use super::state::{ShareState, Update};
use crate::types::{ErrorCode, Rng};

const ROOM: Room = Room { records: 100, is_strict: false, batch_size: 0, locks: 1_000 };
const LIMIT: i16 = 3;

fn member(name: &str) -> Arc<str> {
    name.into()
}

fn wanted(first: i64, last: i64) -> LogBatch {
    LogBatch { first, last, is_wanted: true }
}

fn fresh(start: i64) -> SharePartition {
    SharePartition::load(&ShareState::new(0, 0, start, 0), 0)
}

fn acks(first: i64, last: i64, types: &[i8]) -> Vec<AckBatch> {
    vec![AckBatch::read(first, last, types, None, true).expect("a batch")]
}

fn acquired(first: i64, last: i64, delivery_count: i16) -> Acquired {
    Acquired { first, last, delivery_count }
}

#[test]
fn a_record_is_delivered_until_somebody_has_done_with_it() {
    let (m, n) = (member("m"), member("n"));
    let mut it = fresh(10);
    assert_eq!(it.next_offset(1_000), Some(10));
    let batches = [wanted(10, 14), wanted(15, 19)];
    assert_eq!(it.acquire(&m, 10, &batches, ROOM, 100), [acquired(10, 19, 1)]);
    // They are locked.
    assert_eq!(it.next_offset(1_000), Some(20));
    assert_eq!(it.acquire(&n, 10, &batches, ROOM, 100), []);
    // One of another member, one that nobody has.
    let others = it.acknowledge("n", &acks(10, 10, &[1]), LIMIT, 0);
    assert_eq!(others, Err(ErrorCode::INVALID_RECORD_STATE));
    let unread = it.acknowledge("m", &acks(19, 20, &[1]), LIMIT, 0);
    assert_eq!(unread, Err(ErrorCode::INVALID_REQUEST));
    it.acknowledge("m", &acks(10, 14, &[1, 1, 2, 3, 1]), LIMIT, 0).unwrap();
    assert_eq!((it.start(), it.next_offset(1_000)), (12, Some(12)));
    let twice = it.acknowledge("m", &acks(11, 13, &[1]), LIMIT, 0);
    assert_eq!(twice, Err(ErrorCode::INVALID_RECORD_STATE));
    assert_eq!(it.acquire(&n, 12, &batches, ROOM, 200), [acquired(12, 12, 2)]);
    it.acknowledge("n", &acks(12, 12, &[1]), LIMIT, 0).unwrap();
    assert_eq!(it.start(), 15);
}

#[test]
fn a_lock_ends_and_a_record_is_delivered_no_more_than_so_often() {
    let m = member("m");
    let mut it = fresh(0);
    for round in 1..=3 {
        let until_ms = 10 * i64::from(round);
        assert_eq!(it.acquire(&m, 0, &[wanted(0, 0)], ROOM, until_ms), [acquired(0, 0, round)]);
        assert!(!it.expire(until_ms - 1, LIMIT));
        assert_eq!(it.next_deadline(), Some(until_ms));
        assert!(it.expire(until_ms, LIMIT));
        let late = it.acknowledge("m", &acks(0, 0, &[1]), LIMIT, 0);
        assert_eq!(late, Err(ErrorCode::INVALID_RECORD_STATE));
    }
    assert_eq!((it.start(), it.next_offset(10)), (1, Some(1)));
}

#[test]
fn a_lock_is_renewed_without_being_kept() {
    let m = member("m");
    let mut it = fresh(0);
    it.acquire(&m, 0, &[wanted(0, 4)], ROOM, 10);
    it.acknowledge("m", &acks(0, 4, &[4]), LIMIT, 30).unwrap();
    assert_eq!((it.next_deadline(), it.take_write()), (Some(30), None));
}

#[test]
fn what_a_closed_session_had_is_delivered_again() {
    let (m, n) = (member("m"), member("n"));
    let mut it = fresh(0);
    it.acquire(&m, 0, &[wanted(0, 1)], ROOM, 10);
    it.acquire(&n, 2, &[wanted(2, 3)], ROOM, 10);
    assert!(it.release("m", LIMIT) && !it.release("m", LIMIT));
    assert_eq!(it.acquire(&n, 0, &[wanted(0, 3)], ROOM, 10), [acquired(0, 1, 2)]);
}

#[test]
fn the_log_may_lose_records_that_are_in_flight() {
    let m = member("m");
    let mut it = fresh(0);
    it.acquire(&m, 0, &[wanted(0, 9)], ROOM, 10);
    it.advance_to(5);
    it.acknowledge("m", &acks(0, 9, &[1]), LIMIT, 0).unwrap();
    assert_eq!((it.start(), it.end()), (10, 10));
    it.advance_to(40);
    assert_eq!((it.start(), it.end(), it.next_offset(10)), (40, 40, Some(40)));
}

#[test]
fn batches_are_cut_only_where_that_is_wanted() {
    let m = member("m");
    let batches = [wanted(0, 9), wanted(10, 19), wanted(20, 29)];
    let room = Room { records: 12, batch_size: 10, ..ROOM };
    let taken = fresh(0).acquire(&m, 0, &batches, room, 10);
    assert_eq!(taken, [acquired(0, 9, 1), acquired(10, 19, 1)]);
    let mut strict = fresh(0);
    let taken = strict.acquire(&m, 0, &batches, Room { is_strict: true, ..room }, 10);
    assert_eq!(taken, [acquired(0, 9, 1), acquired(10, 11, 1)]);
    // Locks bound what is in flight, whatever batches there are.
    let mut few = fresh(0);
    let taken = few.acquire(&m, 0, &batches, Room { records: 100, locks: 15, ..ROOM }, 10);
    assert_eq!(taken, [acquired(0, 14, 1)]);
    assert_eq!(few.next_offset(15), None);
    few.acknowledge("m", &acks(0, 0, &[1]), LIMIT, 0).unwrap();
    assert_eq!(few.next_offset(15), Some(15));
}

/// A log with holes and batches that nobody wants.
fn log(rng: &mut Rng) -> Vec<LogBatch> {
    let (mut all, mut at) = (Vec::new(), 0);
    while at < 60 {
        at += if rng.chance(25) { rng.below(4) as i64 } else { 0 };
        let last = at + rng.below(7) as i64;
        all.push(LogBatch { first: at, last, is_wanted: !rng.chance(15) });
        at = last + 1;
    }
    all
}

/// Each step, offset by offset, is what the naive one says; what is kept at any time makes the same partition, but that
/// nobody has anything of it.
#[test]
fn histories_are_those_of_single_offsets() {
    let names = ["a", "b", "c"];
    let (mut accepted, mut refused) = (0, 0);
    for seed in 0..2_000 {
        let mut rng = Rng::new(seed);
        let log = log(&mut rng);
        let mut it = fresh(0);
        let mut naive = Naive::new(0);
        let mut kept = ShareState::new(0, 0, 0, 0);
        let mut now_ms = 0;
        for step in 0..60 {
            let who = names[rng.index(names.len())];
            let context = format!("seed {seed}, step {step}");
            match rng.below(12) {
                0..5 => {
                    let records = 1 + rng.index(12);
                    let is_strict = rng.chance(30);
                    let locks = 5 + rng.index(25);
                    let Some(from) = it.next_offset(locks) else { continue };
                    let read: Vec<LogBatch> = log
                        .iter()
                        .filter(|batch| batch.last >= from)
                        .take(1 + rng.index(4))
                        .copied()
                        .collect();
                    let until_ms = now_ms + 5 + rng.below(10) as i64;
                    let room = Room { records, is_strict, batch_size: rng.index(5), locks };
                    let taken = it.acquire(&member(who), from, &read, room, until_ms);
                    let read: Vec<_> =
                        read.iter().map(|it| (it.first, it.last, it.is_wanted)).collect();
                    let expected =
                        naive.acquire(who, from, &read, (records, is_strict, locks), until_ms);
                    let each = taken.iter().flat_map(|it| {
                        (it.first..=it.last).map(|offset| (offset, it.delivery_count))
                    });
                    assert_eq!(each.collect::<Vec<_>>(), expected, "{context}");
                }
                5..9 => {
                    // Mostly what it has.
                    let has: Vec<i64> = (naive.start..naive.end())
                        .filter(|offset| naive.has_all(who, *offset, *offset))
                        .collect();
                    let first = if has.is_empty() || rng.chance(30) {
                        rng.below(60) as i64
                    } else {
                        has[rng.index(has.len())]
                    };
                    let last = first + rng.below(6) as i64;
                    let count = if rng.chance(50) { 1 } else { (last - first + 1) as usize };
                    let types: Vec<i8> = (0..count).map(|_| rng.below(5) as i8).collect();
                    let until_ms = now_ms + 20;
                    let said = it.acknowledge(who, &acks(first, last, &types), LIMIT, until_ms);
                    let may = last < naive.end() && naive.has_all(who, first, last);
                    assert_eq!(said.is_ok(), may, "{context}: {said:?}");
                    if may {
                        accepted += 1;
                        let start = naive.start;
                        for offset in first.max(start)..=last {
                            let at = if count == 1 { 0 } else { (offset - first) as usize };
                            naive.acknowledge(offset, types[at], LIMIT, until_ms);
                        }
                        naive.acknowledged();
                    } else {
                        refused += 1;
                    }
                }
                9 => {
                    now_ms += rng.below(8) as i64;
                    it.expire(now_ms, LIMIT);
                    naive.expire(now_ms, LIMIT);
                }
                10 if rng.chance(30) => {
                    let to = rng.below(50) as i64;
                    it.advance_to(to);
                    naive.advance_to(to);
                }
                _ => {
                    it.release(who, LIMIT);
                    naive.release(who, LIMIT);
                }
            }
            assert_eq!((it.start(), it.end()), (naive.start, naive.end()), "{context}");
            assert_eq!(it.fates(), naive.fates(), "{context}");
            if rng.chance(40) {
                if let Some(write) = it.take_write() {
                    kept.apply(&Update {
                        leader_epoch: 0,
                        start_offset: write.start_offset,
                        delivery_complete_count: write.delivery_complete_count,
                        batches: write.batches,
                    });
                }
                assert_eq!(it.take_write(), None, "{context}");
                let mut restarted = naive.clone();
                restarted.restart();
                let loaded = SharePartition::load(&kept, 0);
                assert_eq!(loaded.start(), restarted.start, "{context}");
                assert_eq!(loaded.fates(), restarted.fates(), "{context}");
                if rng.chance(10) {
                    (it, naive) = (loaded, restarted);
                }
            }
        }
    }
    assert!(accepted > 5_000 && refused > 5_000, "{accepted} {refused}: both happen");
}
