//! Transactions of a partition: cases, and random histories against a naive look at the whole log.

use super::*;
use crate::types::{ErrorCode, Now, Rng};
use crate::wire::records::{BatchBuilder, BatchHeader, Compression, Marker};

fn memory() -> ProducerMemory {
    ProducerMemory::new(usize::MAX)
}

fn data(producer: i64, epoch: i16, sequence: i32, count: i32) -> BatchHeader {
    let builder = BatchBuilder::new(Compression::None).producer(producer, epoch, sequence);
    let mut builder = builder.transactional();
    (0..count).for_each(|_| _ = builder.push(7, None, None, &[]));
    BatchHeader::parse(&builder.build()).unwrap()
}

fn plain(producer: i64, epoch: i16, sequence: i32) -> BatchHeader {
    let mut builder = BatchBuilder::new(Compression::None).producer(producer, epoch, sequence);
    builder.push(7, None, None, &[]);
    BatchHeader::parse(&builder.build()).unwrap()
}

fn marker(producer: i64, epoch: i16, commits: bool, coordinator_epoch: i32) -> BatchHeader {
    let batch = Marker { commits, coordinator_epoch }.batch(producer, epoch, 9);
    BatchHeader::parse(&batch).unwrap()
}

fn add(p: &mut Partition, batch: &BatchHeader) -> Result<(), ErrorCode> {
    p.append(Now::at(0), batch, &mut memory()).map(drop)
}

/// Ends a transaction; whether that was appended.
fn end(p: &mut Partition, batch: &BatchHeader, own_epoch: bool) -> Result<bool, ErrorCode> {
    let before = p.log_end();
    p.append_marker(Now::at(0), batch, batch.marker.unwrap(), own_epoch, &mut memory())?;
    Ok(p.log_end() > before)
}

fn durable(p: &mut Partition) {
    p.durable(p.log_end());
}

#[test]
fn readers_of_committed_records_stop_at_the_first_open_transaction() {
    let mut p = Partition::new(0);
    add(&mut p, &plain(9, 0, 0)).unwrap();
    add(&mut p, &data(1, 0, 0, 2)).unwrap();
    add(&mut p, &data(2, 0, 0, 1)).unwrap();
    add(&mut p, &data(1, 0, 2, 1)).unwrap();
    durable(&mut p);
    assert_eq!((p.high_watermark(), p.last_stable()), (5, 1));
    assert!(p.is_in_transaction(1, 0) && !p.is_in_transaction(1, 1));
    assert!(end(&mut p, &marker(1, 0, true, 3), false).unwrap());
    // The marker is not committed: nobody may know yet how it ends.
    assert_eq!((p.high_watermark(), p.last_stable()), (5, 1));
    durable(&mut p);
    assert_eq!(
        (p.high_watermark(), p.last_stable()),
        (6, 3),
        "the record after the last stable one"
    );
    assert!(end(&mut p, &marker(2, 0, false, 3), false).unwrap());
    durable(&mut p);
    assert_eq!((p.high_watermark(), p.last_stable()), (7, 7));
    let aborted = p.aborted_in(0, 7);
    assert_eq!(
        aborted.iter().map(|it| (it.producer_id, it.first, it.last)).collect::<Vec<_>>(),
        [(2, 3, 6)]
    );
    assert!(p.aborted_in(0, 3).is_empty() && p.aborted_in(7, 9).is_empty());
    assert_eq!(p.aborted_in(6, 7), aborted);
}

#[test]
fn aborted_transactions_come_by_their_first_offset() {
    let mut p = Partition::new(0);
    add(&mut p, &data(1, 0, 0, 1)).unwrap();
    add(&mut p, &data(2, 0, 0, 1)).unwrap();
    add(&mut p, &data(3, 0, 0, 1)).unwrap();
    for (producer, commits) in [(3, false), (2, true), (1, false)] {
        end(&mut p, &marker(producer, 0, commits, 0), false).unwrap();
    }
    durable(&mut p);
    let firsts =
        |from, upto| p.aborted_in(from, upto).iter().map(|it| it.first).collect::<Vec<_>>();
    assert_eq!(firsts(0, 6), [0, 2]);
    assert_eq!(firsts(4, 6), [0]);
    // The one that ends later began before: whoever reads so far has to know of both.
    assert_eq!(firsts(2, 3), [0, 2]);
}

/// However little memory there is: it has happened. What is new has less room by that.
#[test]
fn what_was_aborted_is_charged_as_long_as_it_is_known() {
    let mut p = Partition::new(0);
    let mut held = ProducerMemory::new(2 * ProducerMemory::PRODUCER_BYTES);
    for round in 0..10 {
        p.append(Now::at(0), &data(1, 0, round, 1), &mut held).unwrap();
        let it = marker(1, 0, round % 2 == 1, 0);
        p.append_marker(Now::at(0), &it, it.marker.unwrap(), false, &mut held).unwrap();
    }
    durable(&mut p);
    let one = ProducerMemory::PRODUCER_BYTES;
    assert_eq!(held.used(), one + 5 * ProducerMemory::ABORTED_BYTES);
    assert_eq!(held.used(), p.producers().charged_bytes());
    let new = p.append(Now::at(0), &plain(2, 0, 0), &mut held);
    assert_eq!(new, Err(ErrorCode::KAFKA_STORAGE_ERROR));
    p.advance_log_start(6);
    assert_eq!(p.producers().charged_bytes(), one + 3 * ProducerMemory::ABORTED_BYTES);
}

#[test]
fn markers_of_a_zombie_are_refused() {
    let mut p = Partition::new(0);
    add(&mut p, &data(1, 5, 0, 1)).unwrap();
    assert_eq!(end(&mut p, &marker(1, 4, true, 0), false), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!(end(&mut p, &marker(1, 6, true, 2), true), Ok(true));
    let old = end(&mut p, &marker(1, 6, false, 1), false);
    assert_eq!(old, Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED));
    // What it was told before, again: nothing is appended.
    assert_eq!(end(&mut p, &marker(1, 6, true, 2), true), Ok(false));
    assert_eq!(end(&mut p, &marker(1, 6, true, 2), false), Ok(false));
    // A later transaction in that epoch is not ended by it.
    add(&mut p, &data(1, 6, 0, 1)).unwrap();
    assert_eq!(end(&mut p, &marker(1, 6, true, 2), true), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert!(p.is_in_transaction(1, 6));
    assert_eq!(add(&mut p, &data(1, 5, 1, 1)), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!(add(&mut p, &plain(1, 6, 1)), Err(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(add(&mut p, &data(1, 6, 1, 1)), Ok(()));
}

#[test]
fn a_marker_of_nobody_moves_nothing() {
    let mut p = Partition::new(0);
    assert_eq!(end(&mut p, &marker(4, 2, false, 0), true), Ok(true));
    durable(&mut p);
    assert_eq!((p.last_stable(), p.aborted_in(0, 9)), (1, Vec::new()));
    // Its epoch is known from now on.
    assert_eq!(add(&mut p, &data(4, 1, 0, 1)), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    assert_eq!(add(&mut p, &data(4, 2, 0, 1)), Ok(()));
}

#[test]
fn a_producer_with_an_open_transaction_is_not_forgotten() {
    let mut p = Partition::new(0);
    add(&mut p, &data(1, 0, 0, 1)).unwrap();
    add(&mut p, &plain(2, 0, 0)).unwrap();
    let mut known = memory();
    known.hold(p.producers().charged_bytes());
    p.expire_producers(1_000, 100, 0, 10, &mut known);
    assert_eq!(p.producers().active(None, 9).iter().map(|it| it.id).collect::<Vec<_>>(), [1]);
    end(&mut p, &marker(1, 0, true, 0), false).unwrap();
    p.expire_producers(10_000, 100, 0, 10, &mut known);
    assert!(p.producers().is_empty());
}

#[test]
fn deleted_records_hold_up_nobody() {
    let mut p = Partition::new(0);
    add(&mut p, &data(1, 0, 0, 3)).unwrap();
    durable(&mut p);
    assert_eq!(p.last_stable(), 0);
    p.advance_log_start(2);
    assert_eq!((p.log_start(), p.last_stable()), (2, 2));
    p.advance_log_start(3);
    assert_eq!(p.last_stable(), 3);
}

/// What was aborted, and which transactions are open, by a look at the whole log.
struct Naive {
    last_stable: i64,
    /// Producer, first, last.
    aborted: Vec<(i64, i64, i64)>,
    /// Producer, epoch, first.
    open: Vec<(i64, i16, i64)>,
}

fn naive(log: &[BatchHeader], log_start: i64, watermark: i64) -> Naive {
    let (mut open, mut aborted) = (Vec::<(i64, i16, i64)>::new(), Vec::new());
    let mut unstable = i64::MAX;
    for it in log {
        let known = open.iter().position(|(id, ..)| *id == it.producer_id);
        match (it.marker, known) {
            (Some(marker), Some(at)) => {
                let (id, _, first) = open.remove(at);
                if !marker.commits && it.base_offset >= log_start {
                    aborted.push((id, first, it.base_offset));
                }
                if it.base_offset >= watermark {
                    unstable = unstable.min(first);
                }
            }
            (None, Some(at)) => open[at].1 = it.producer_epoch,
            (None, None) if it.is_transactional() => {
                open.push((it.producer_id, it.producer_epoch, it.base_offset));
            }
            _ => {}
        }
    }
    let unstable = open.iter().map(|it| it.2).fold(unstable, i64::min);
    aborted.sort_by_key(|it| it.1);
    open.sort_unstable();
    Naive { last_stable: unstable.max(log_start).min(watermark), aborted, open }
}

fn check(p: &Partition, log: &[BatchHeader], seed: u64, what: &str) {
    let expected = naive(log, p.log_start(), p.high_watermark());
    assert_eq!(p.last_stable(), expected.last_stable, "seed {seed} after {what}: {p:?}");
    let end = p.log_end();
    let aborted: Vec<_> =
        p.aborted_in(0, end).iter().map(|it| (it.producer_id, it.first, it.last)).collect();
    assert_eq!(aborted, expected.aborted, "seed {seed} after {what}");
    let active = p.producers().active(None, usize::MAX);
    let open: Vec<_> = active
        .iter()
        .filter(|it| it.transaction_start >= 0)
        .map(|it| (it.id, it.epoch, it.transaction_start))
        .collect();
    assert_eq!(open, expected.open, "seed {seed} after {what}");
    for (from, upto) in [(p.log_start(), p.last_stable()), (end / 3, end / 2), (end / 2, end)] {
        let told = p.aborted_in(from, upto);
        for (id, first, last) in &expected.aborted {
            if *first < upto && *last >= from {
                assert!(
                    told.iter().any(|it| (it.producer_id, it.first) == (*id, *first)),
                    "seed {seed}: {id} at {first} is hidden from {from}..{upto}"
                );
            }
        }
    }
}

/// A follower that takes frames, is cut above its watermark, starts anew from a snapshot with and without
/// the batches behind it, and leads in the end: it always knows what its log says.
#[test]
fn a_replica_knows_of_transactions_what_its_log_says() {
    for seed in 0..400 {
        let rng = &mut Rng::new(seed);
        let mut log: Vec<BatchHeader> = Vec::new();
        let mut p = Partition::new(-1);
        let mut epoch = 1;
        p.follow(epoch, 2, 0);
        p.joins(epoch);
        let mut held = memory();
        // By producer: its epoch, and its next sequence.
        let mut producers = [(0i16, 0i32); 4];
        // What is in the snapshot that a start begins with, and the log as of then.
        let mut saved = (p.snapshot(), 0, 0);
        for _ in 0..rng.between(5, 60) {
            match rng.below(20) {
                0..=8 => {
                    let id = rng.index(4);
                    let (of, next) = &mut producers[id];
                    let count = rng.between(1, 3) as i32;
                    let begun = naive(&log, 0, 0).open.iter().any(|it| it.0 == id as i64);
                    let mut batch = data(id as i64, *of, *next, count);
                    if !begun && rng.chance(20) {
                        batch = plain(id as i64, *of, *next);
                    }
                    *next += batch.record_count;
                    let base_offset = p.log_end();
                    let batch = BatchHeader { base_offset, partition_leader_epoch: epoch, ..batch };
                    p.take_frame(0, [batch].into_iter(), batch.next_offset(), &mut held);
                    log.push(batch);
                    check(&p, &log, seed, "data");
                }
                9..=12 => {
                    let id = rng.index(4);
                    if rng.chance(50) {
                        producers[id] = (producers[id].0 + 1, 0);
                    }
                    let batch = marker(id as i64, producers[id].0, rng.chance(50), epoch);
                    let base_offset = p.log_end();
                    let batch = BatchHeader { base_offset, partition_leader_epoch: epoch, ..batch };
                    p.take_frame(0, [batch].into_iter(), base_offset + 1, &mut held);
                    log.push(batch);
                    check(&p, &log, seed, "a marker");
                }
                13..=15 => {
                    durable(&mut p);
                    let at = rng.index(log.len() + 1);
                    let told = log.get(at).map_or(p.log_end(), |it| it.base_offset);
                    p.watermark(epoch, told);
                    check(&p, &log, seed, "a watermark");
                }
                16 => {
                    let above: Vec<i64> = log
                        .iter()
                        .map(|it| it.base_offset)
                        .filter(|it| *it >= p.high_watermark())
                        .collect();
                    if let Some(&to) = above.get(rng.index(above.len().max(1))) {
                        epoch += 1;
                        p.follow(epoch, 2, 0);
                        p.joins(epoch);
                        p.truncate(to, &mut held).unwrap();
                        log.retain(|it| it.base_offset < to);
                        if saved.1 > log.len() {
                            saved = (p.snapshot(), log.len(), p.log_start());
                        }
                        check(&p, &log, seed, "a truncation");
                        // Clients go on in a new epoch.
                        producers.iter_mut().for_each(|it| *it = (it.0 + 1, 0));
                    }
                }
                17 => saved = (p.snapshot(), log.len(), p.log_start()),
                18 => {
                    let start = rng.between(0, p.high_watermark().max(0) as u64 + 1) as i64;
                    let start = log.iter().map(|it| it.base_offset).rfind(|it| *it <= start);
                    let start = start.unwrap_or(0).min(p.high_watermark());
                    let before = p.producers().charged_bytes();
                    p.advance_log_start(start);
                    held.change(before, p.producers().charged_bytes());
                    check(&p, &log, seed, "a deletion");
                }
                _ => {
                    let watermark = p.high_watermark();
                    let (bytes, batches, _) = &saved;
                    let end = log.get(*batches).map_or(p.log_end(), |it| it.base_offset);
                    let start = p.log_start().min(end);
                    let mut rest = log[*batches..].iter().copied();
                    let folded = fold(bytes, start, end, &mut rest).unwrap();
                    let start = p.log_start();
                    held.give(p.producers().charged_bytes());
                    p = Partition::restore(&folded, start, p.log_end(), -1).unwrap();
                    held.hold(p.producers().charged_bytes());
                    epoch += 1;
                    p.follow(epoch, 2, 0);
                    p.joins(epoch);
                    check(&p, &log, seed, "a restart");
                    p.watermark(epoch, watermark);
                    check(&p, &log, seed, "a restart and its watermark");
                }
            }
            assert_eq!(held.used(), p.producers().charged_bytes(), "seed {seed}");
        }
        // In one piece and in many, a snapshot says the same.
        let whole = p.snapshot();
        let mut parts = Vec::new();
        if !p.begin_snapshot_of(1, &mut parts) {
            while !p.go_on_with_snapshot(&mut parts) {}
        }
        assert_eq!(parts, whole, "seed {seed}");
        let (start, log_end) = (p.log_start(), p.log_end());
        let mut p = Partition::restore(&whole, start, log_end, epoch + 1).unwrap();
        assert_eq!(p.high_watermark(), log_end);
        check(&p, &log, seed, "an election");
        for (id, of, _) in naive(&log, 0, 0).open {
            end(&mut p, &marker(id, of, true, epoch + 1), false).unwrap();
        }
        durable(&mut p);
        assert_eq!(p.last_stable(), p.log_end(), "seed {seed}: nothing is left that is open");
    }
}
