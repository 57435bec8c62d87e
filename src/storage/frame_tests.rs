//! A leader's frames on their way to a follower: two engines over real directories.

use super::engine::{Append, Event, FrameRefused, Slot};
use super::engine_tests::{Broker, Dir, TOPIC, config, value};
use super::format::frame::{FrameFields, FrameHeader};
use super::format::whole_frame::Frame;
use super::log::{Compaction, LogConfig};
use super::read::{ReadError, ReadFrames};
use crate::types::TopicPartition;
use crate::wire::records::{BatchBuilder, BatchHeader, Compression, set_offset_and_epoch};
use bytes::Bytes;
use zerocopy::IntoBytes;

/// The frame as it comes over the network.
fn sent(frame: &Frame) -> Frame {
    let payload = Bytes::copy_from_slice(frame.payload());
    Frame::read(frame.header_bytes(), payload).expect("it is as it was made")
}

fn take_over(follower: &mut Broker, slot: Slot, frame: &Frame) {
    let taken = follower.engines[0].append_frame(slot, sent(frame), 9);
    taken.unwrap_or_else(|why| panic!("{why}"));
}

/// Frames from `from` on, up to the end of what was made.
fn frames(broker: &mut Broker, slot: Slot, from: i64, max_bytes: usize) -> Vec<Frame> {
    let (mut at, mut all) = (from, Vec::new());
    loop {
        match broker.engines[0].read_frames(slot, at, i64::MAX, max_bytes).expect("readable") {
            ReadFrames::Wait(ticket) => broker.wait_for(0, ticket).expect("sound"),
            ReadFrames::Ready { frames, .. } if frames.is_empty() => return all,
            ReadFrames::Ready { frames, next } => {
                for frame in &frames {
                    assert_eq!(frame.base_offset(), at, "they follow each other");
                    at = frame.next_offset();
                }
                assert_eq!(at, next);
                all.extend(frames);
            }
        }
    }
}

fn bytes(frames: &[Frame]) -> Vec<(Vec<u8>, Bytes)> {
    frames.iter().map(|it| (it.header_bytes().to_vec(), it.payload().clone())).collect()
}

/// What the follower was given in the course of a run is byte for byte what the leader has, in memory,
/// after a kill, small and large, past the journal and by way of it.
#[test]
fn a_follower_has_its_leaders_frames_as_they_are() {
    let (leads, follows) = (Dir::new("leads"), Dir::new("follows"));
    let (mut leader, mut follower) = (Broker::open(&leads, 1), Broker::open(&follows, 1));
    let (_, from) = leader.slot(0);
    let (_, to) = follower.slot(0);
    let config = LogConfig { segment_bytes: 4 << 20, retention_bytes: 4 << 20, ..config() };
    for (broker, slot) in [(&mut leader, from), (&mut follower, to)] {
        broker.engines[0].configure(slot, &config);
    }
    leader.engines[0].set_replicated(from, true);
    leader.append(1, b"nobody else's", 0);
    let (mut given, mut early) = (Vec::new(), 0);
    let mut ship = |leader: &mut Broker, follower: &mut Broker| {
        for (slot, frame) in leader.engines[0].take_frames() {
            assert_eq!(slot, from);
            take_over(follower, to, &frame);
            given.push(frame);
        }
        given.len()
    };
    for i in 0..140 {
        let len = if i % 7 == 0 { 100 } else { 200_000 };
        leader.append(0, &value(0, i, len), i as u64);
        leader.append(0, &value(1, i, 100), i as u64);
        let before = ship(&mut leader, &mut follower);
        leader.engines[0].turn(leader.now_ms, &mut |_: Slot| vec![1]);
        // Nothing of it is written.
        early += ship(&mut leader, &mut follower) - before;
        if i % 3 == 0 {
            leader.settle();
            ship(&mut leader, &mut follower);
            follower.settle();
        }
        if i % 10 == 9 {
            for broker in [&mut leader, &mut follower] {
                broker.settle();
                broker.now_ms += 1000;
                broker.engines[0].tick(broker.now_ms);
                broker.settle();
            }
        }
    }
    leader.settle();
    ship(&mut leader, &mut follower);
    follower.settle();
    assert!(early > 10, "{early} frames before their write");
    for broker in [&leader, &follower] {
        assert!(broker.engines[0].stats().direct_bytes > 1 << 20, "some of it past the journal");
    }
    // Retention took from both, at different times.
    let starts = [leader.engines[0].offsets(from), follower.engines[0].offsets(to)];
    let start = starts[0].start.max(starts[1].start);
    leader.engines[0].set_log_start(from, start, 1);
    follower.engines[0].set_log_start(to, start, 1);
    leader.settle();
    follower.settle();
    assert_eq!(leader.engines[0].tail(from), follower.engines[0].tail(to));
    assert!(start > 0);
    let there = frames(&mut leader, from, start, 300_000);
    let first = there[0].base_offset();
    given.retain(|it| it.base_offset() >= first);
    assert!(bytes(&there) == bytes(&given), "given in the order of the log");
    assert!(bytes(&frames(&mut follower, to, start, 300_000)) == bytes(&there));
    let (records, tail) = (leader.read_all(0), leader.engines[0].tail(from));
    drop(follower);
    let mut follower = Broker::open(&follows, 1);
    let (_, to) = follower.slot(0);
    assert!(follower.read_all(0) == records);
    assert!(bytes(&frames(&mut follower, to, start, 1)) == bytes(&there));
    let after = follower.engines[0].tail(to);
    assert_eq!((after.end, after.checksum), (tail.end, tail.checksum));
    // It goes on.
    leader.append(0, b"more", 1);
    leader.settle();
    for (_, frame) in leader.engines[0].take_frames() {
        take_over(&mut follower, to, &frame);
    }
    follower.settle();
    assert_eq!(leader.engines[0].tail(from), follower.engines[0].tail(to));
}

#[test]
fn what_does_not_continue_the_log_is_refused() {
    let dir = Dir::new("refused");
    let mut broker = Broker::open(&dir, 1);
    let (_, slot) = broker.slot(0);
    let frame = |partition, base: i64, epoch, previous_checksum| {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(5, None, Some(b"value"), &[]);
        let mut batch = builder.build();
        set_offset_and_epoch(&mut batch, base, epoch);
        let fields = FrameFields {
            tp: TopicPartition { topic: TOPIC, partition },
            leader_epoch: epoch,
            base_offset: base,
            last_offset: base,
            max_timestamp: 5,
            append_time: 5,
            batch_count: 1,
            previous_checksum,
        };
        let header = FrameHeader::seal(&fields, &batch);
        let checksum = header.header_checksum();
        (Frame::read(header.as_bytes(), batch.into()).expect("sound"), checksum)
    };
    let (first, one) = frame(0, 0, 3, 77);
    broker.engines[0].append_frame(slot, first, 1).expect("nothing is known of the one before");
    let mut take = |frame: Frame| broker.engines[0].append_frame(slot, frame, 1);
    assert!(matches!(take(frame(1, 1, 3, one).0), Err(FrameRefused::OtherLog(_))));
    assert_eq!(take(frame(0, 0, 3, one).0), Err(FrameRefused::NotNext { base: 0, end: 1 }));
    assert_eq!(take(frame(0, 2, 3, one).0), Err(FrameRefused::NotNext { base: 2, end: 1 }));
    assert_eq!(take(frame(0, 1, 2, one).0), Err(FrameRefused::OlderEpoch { epoch: 2, last: 3 }));
    let (previous, tail) = (one ^ 1, one);
    assert_eq!(take(frame(0, 1, 3, previous).0), Err(FrameRefused::Chain { previous, tail }));
    let (second, _) = frame(0, 1, 4, one);
    assert_eq!(take(second), Ok(()), "staged in the same turn");
    assert_eq!(take(frame(0, 2, 4, 0).0), Ok(()), "not chained");
    broker.settle();
    // What it has appended itself is in no frame before the turn.
    broker.append(0, b"own", 2);
    let (next, _) = frame(0, 4, 4, 0);
    let refused = broker.engines[0].append_frame(slot, next.clone(), 1);
    assert_eq!(refused, Err(FrameRefused::Unsettled));
    assert_eq!(broker.engines[0].tail(slot).checksum, None);
    broker.settle();
    assert_eq!(broker.engines[0].append_frame(slot, next, 1), Ok(()));
    broker.settle();
    assert_eq!(broker.read_all(0).len(), 5);
    assert_eq!(Broker::open(&dir, 1).read_all(0).len(), 5);
}

/// A follower that has nothing gets what compaction has left, and its records are the leader's, after a
/// kill too; so does one whose end lies within a frame that compaction made.
#[test]
fn a_follower_catches_up_with_a_compacted_log() {
    let (leads, follows) = (Dir::new("compacted-leads"), Dir::new("compacted-follows"));
    let mut leader = Broker::open(&leads, 1);
    let (_, from) = leader.slot(0);
    let compaction = Compaction {
        min_cleanable_ratio: 0.0,
        min_lag_ms: 0,
        max_lag_ms: i64::MAX,
        delete_retention_ms: 0,
    };
    let config = LogConfig { compaction: Some(compaction), segment_bytes: 64 << 10, ..config() };
    leader.engines[0].configure(from, &config);
    let mut early = None;
    for i in 0..300_i64 {
        let mut builder = BatchBuilder::new(Compression::None);
        for key in [i % 10, 100 + i] {
            let key = key.to_le_bytes();
            let value = (i % 10 != 3 && (i < 200 || i % 3 == 0)).then_some(&[7; 900][..]);
            builder.push(i, Some(&key[..8]), value, &[]);
        }
        let append = Append {
            base_offset: 2 * i,
            last_offset: 2 * i + 1,
            leader_epoch: 3,
            max_timestamp: i,
            log_append_time: None,
            batch: builder.build().into(),
            token: 1,
        };
        leader.engines[0].append(from, append);
        leader.settle();
        if i == 150 {
            early = Some(frames(&mut leader, from, 0, 1 << 20));
        }
    }
    for _ in 0..100 {
        leader.now_ms += 31_000;
        leader.engines[0].tick(leader.now_ms);
        leader.settle();
    }
    assert!(leader.engines[0].cleaned_end(from) > 350, "the early one's end is below that");
    for early in [None, early] {
        let mut follower = Broker::open(&follows, 1);
        let (_, to) = follower.slot(i32::from(early.is_none()));
        let tp = TopicPartition { topic: TOPIC, partition: i32::from(early.is_none()) };
        let mut end = 0;
        for frame in early.iter().flatten() {
            take_over(&mut follower, to, frame);
            end = frame.next_offset();
        }
        let rest = frames(&mut leader, from, end, 10_000);
        assert!(rest[0].header().is_compacted() && rest[0].base_offset() == end);
        for frame in &rest {
            let fields = FrameFields {
                tp,
                leader_epoch: frame.header().leader_epoch(),
                base_offset: frame.base_offset(),
                last_offset: frame.next_offset() - 1,
                max_timestamp: frame.header().max_timestamp(),
                append_time: frame.header().append_time(),
                batch_count: frame.header().batch_count(),
                previous_checksum: frame.header().previous_checksum(),
            };
            if early.is_some() {
                take_over(&mut follower, to, frame);
            } else if frame.header().is_compacted() {
                // Under another partition's name.
                let header = FrameHeader::compacted(&fields, frame.payload());
                let frame = Frame::read(header.as_bytes(), frame.payload().clone());
                take_over(&mut follower, to, &frame.expect("sound"));
            } else {
                break;
            }
        }
        follower.settle();
        let there = |broker: &mut Broker, slot, from| -> Vec<BatchHeader> {
            let frames = frames(broker, slot, from, 1 << 20);
            frames.iter().flat_map(|it| it.batches().collect::<Vec<_>>()).collect()
        };
        let (of_leader, of_follower) =
            (there(&mut leader, from, end), there(&mut follower, to, end));
        assert!(!of_follower.is_empty() && of_leader[..of_follower.len()] == of_follower);
        if early.is_some() {
            assert_eq!(leader.engines[0].offsets(from).end, follower.engines[0].offsets(to).end);
            let mut follower = Broker::open(&follows, 1);
            let (_, to) = follower.slot(0);
            assert!(of_leader == there(&mut follower, to, end));
        }
    }
}

/// A follower knows of its leader's epochs by their batches: so the first of each is left, however little
/// there is in it.
#[test]
fn epochs_begin_where_they_did_after_compaction() {
    let dir = Dir::new("compacted-epochs");
    let mut broker = Broker::open(&dir, 1);
    let (_, slot) = broker.slot(0);
    let compaction = Compaction {
        min_cleanable_ratio: 0.0,
        min_lag_ms: 0,
        max_lag_ms: i64::MAX,
        delete_retention_ms: 0,
    };
    let config = LogConfig { compaction: Some(compaction), segment_bytes: 64 << 10, ..config() };
    broker.engines[0].configure(slot, &config);
    for round in 0..2 {
        let end = broker.engines[0].offsets(slot).end;
        for offset in end..end + 200 {
            let mut builder = BatchBuilder::new(Compression::None);
            builder.push(offset, Some(&[offset as u8 % 10]), Some(&[7; 1900]), &[]);
            let append = Append {
                base_offset: offset,
                last_offset: offset,
                leader_epoch: 3 + offset as i32 / 25,
                max_timestamp: offset,
                log_append_time: None,
                batch: builder.build().into(),
                token: 1,
            };
            broker.engines[0].append(slot, append);
            broker.settle();
        }
        for _ in 0..100 {
            broker.now_ms += 31_000;
            broker.engines[0].tick(broker.now_ms);
            broker.settle();
        }
        let cleaned = broker.engines[0].cleaned_end(slot);
        assert!(cleaned > end + 100, "round {round}: {cleaned}");
        let frames = frames(&mut broker, slot, 0, 1 << 20);
        let batches: Vec<BatchHeader> =
            frames.iter().flat_map(|frame| frame.batches().collect::<Vec<_>>()).collect();
        assert!((batches.len() as i64) < end + 200 - cleaned / 2, "{}", batches.len());
        for epoch in 0..(end + 200) / 25 {
            let of = |batch: &&BatchHeader| batch.partition_leader_epoch == 3 + epoch as i32;
            let first = batches.iter().find(of).expect("one at least");
            assert_eq!(first.base_offset, 25 * epoch, "round {round}");
        }
    }
}

#[test]
fn a_log_begins_anew_where_its_leaders_begins() {
    let (leads, follows) = (Dir::new("anew-leads"), Dir::new("anew-follows"));
    let (mut leader, mut follower) = (Broker::open(&leads, 1), Broker::open(&follows, 1));
    let (_, from) = leader.slot(0);
    // Batches of two records.
    for i in 0..400 {
        let mut builder = BatchBuilder::new(Compression::None);
        for value in [value(0, 2 * i, 1000), value(0, 2 * i + 1, 1000)] {
            builder.push(5, None, Some(&value), &[]);
        }
        let append = Append {
            base_offset: 2 * i as i64,
            last_offset: 2 * i as i64 + 1,
            leader_epoch: 4,
            max_timestamp: 5,
            log_append_time: None,
            batch: builder.build().into(),
            token: 1,
        };
        leader.engines[0].append(from, append);
        leader.settle();
    }
    // Within a batch.
    leader.engines[0].set_log_start(from, 501, 1);
    leader.settle();
    let (_, to) = follower.slot(0);
    for i in 0..300 {
        follower.append(0, &value(9, i, 1000), i as u64);
        follower.settle();
    }
    let read = leader.engines[0].read_frames(from, 300, i64::MAX, 1000);
    assert!(matches!(read, Err(ReadError::OutOfRange)), "{read:?}");
    assert!(follower.engines[0].can_truncate(to));
    follower.engines[0].restart_at(to, 501, &[70], 4711);
    let offsets = follower.engines[0].offsets(to);
    assert_eq!(
        (offsets.start, offsets.durable_end, offsets.end, offsets.bytes),
        (501, 501, 501, 0)
    );
    follower.engines[0].invariants();
    let rest = frames(&mut leader, from, 501, 10_000);
    for frame in &rest {
        take_over(&mut follower, to, frame);
    }
    follower.settle();
    assert!(follower.events.iter().any(|it| matches!(it, Event::Done { token: 4711, .. })));
    let all = |broker: &mut Broker, slot| bytes(&frames(broker, slot, 501, 1 << 20));
    assert!(all(&mut follower, to) == bytes(&rest));
    follower.append(0, b"own", 1);
    follower.settle();
    let there = all(&mut follower, to);
    let mut follower = Broker::open(&follows, 1);
    let (_, to) = follower.slot(0);
    let offsets = follower.engines[0].offsets(to);
    assert_eq!((offsets.start, offsets.end), (501, 801));
    assert!(all(&mut follower, to) == there);
    // What the test's state counts: 70, and every batch since, none before.
    let batches: usize = rest.iter().map(|it| it.batches().count()).sum();
    assert_eq!(follower.engines[0].recovered_state(to), [(70 + batches + 1) as u8]);
    // With nothing behind it.
    follower.engines[0].restart_at(to, 10_000, &[3], 5);
    follower.settle();
    let mut follower = Broker::open(&follows, 1);
    let (_, to) = follower.slot(0);
    let offsets = follower.engines[0].offsets(to);
    assert_eq!((offsets.start, offsets.end, offsets.bytes), (10_000, 10_000, 0));
    assert_eq!(follower.engines[0].recovered_state(to), [3]);
}

#[test]
fn who_waits_for_a_truncation_hears_when_it_may_be() {
    let dir = Dir::new("awaits");
    let mut broker = Broker::open(&dir, 1);
    let (_, slot) = broker.slot(0);
    let told = |broker: &mut Broker| {
        let events = std::mem::take(&mut broker.events);
        events.iter().filter(|it| matches!(it, Event::Truncatable { .. })).count()
    };
    assert!(broker.engines[0].await_truncation(slot));
    broker.append(0, b"a", 1);
    assert!(!broker.engines[0].await_truncation(slot), "it is not acknowledged");
    broker.settle();
    assert_eq!((told(&mut broker), broker.engines[0].can_truncate(slot)), (1, true));
    broker.append(0, b"b", 1);
    broker.settle();
    assert_eq!(told(&mut broker), 0, "once");
    // A job holds on to it.
    broker.engines[0].begin_shutdown(broker.now_ms);
    broker.engines[0].turn(broker.now_ms, &mut |_: Slot| vec![1]);
    assert!(!broker.engines[0].await_truncation(slot));
    broker.settle();
    assert_eq!((told(&mut broker), broker.engines[0].can_truncate(slot)), (1, true));
    let beyond = broker.engines[0].before_truncate(slot, 1);
    assert!(beyond.is_ok());
}

#[test]
fn a_cut_within_a_frame_is_refused() {
    let dir = Dir::new("within");
    let mut broker = Broker::open(&dir, 1);
    let (_, slot) = broker.slot(0);
    for i in 0..3 {
        broker.append(0, &value(0, i, 100), 1);
    }
    broker.settle();
    for offset in [1, 2] {
        let refused = broker.engines[0].before_truncate(slot, offset);
        assert!(matches!(refused, Err(ReadError::Storage(_))), "{refused:?}");
    }
    assert_eq!(broker.engines[0].before_truncate(slot, 0), Ok(None));
    assert_eq!(broker.engines[0].before_truncate(slot, 3), Ok(None));
}
