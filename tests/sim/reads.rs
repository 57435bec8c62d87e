//! Checks what engines serve.

use crate::compacted;
use crate::model::{Batch, Drop};
use crate::world::World;
use klamm::storage::format::whole_frame::Frame;
use klamm::storage::read::{Read, ReadError, ReadFrames};
use klamm::types::TopicPartition;
use klamm::wire::records::batches;
use std::rc::Rc;

/// Reads once, `from` up to `upto`; compares with what the model has. The batches, or `None` where
/// the power went or the disk failed.
pub fn read(
    world: &mut World,
    tp: TopicPartition,
    from: i64,
    upto: i64,
    max_bytes: usize,
    at_least_one: bool,
) -> Option<Vec<(i64, Vec<u8>)>> {
    let (shard, slot) = world.find(tp).expect("an open log");
    for _ in 0..40 {
        match world.engines[shard].read(slot, from, upto, max_bytes, at_least_one) {
            Ok(Read::Wait(ticket)) => {
                if let Err(error) = world.wait_for(shard, ticket)? {
                    assert!(world.faulty, "{tp:?} from {from}: {error}");
                    return None;
                }
            }
            Ok(Read::Ready { slices, bytes, next }) => {
                let whole: Vec<u8> = slices.concat();
                assert_eq!(whole.len(), bytes);
                let mut found = Vec::new();
                let mut rest = batches(&whole);
                for (header, bytes) in rest.by_ref() {
                    found.push((header.base_offset, bytes.to_vec()));
                    assert_eq!(next.max(header.next_offset()), next);
                }
                assert!(rest.rest().is_empty(), "{tp:?}: not whole batches");
                let first = found.first().map_or(0, |f| f.1.len());
                assert!(
                    bytes <= max_bytes || (at_least_one && bytes == first),
                    "{tp:?}: {bytes} bytes where {max_bytes} were asked for"
                );
                // Compaction may have left nothing up to there.
                let empty = world.model.logs[&tp].is_compacted() && next >= upto;
                assert!(
                    !found.is_empty() || !at_least_one || from >= upto || empty,
                    "{tp:?}: nothing at {from} below {upto}"
                );
                return Some(found);
            }
            Err(error) => {
                assert!(world.faulty && error != ReadError::OutOfRange, "{tp:?} {from}: {error}");
                return None;
            }
        }
    }
    panic!("{tp:?}: a read from {from} does not end");
}

/// Whether `found` is what must come next in `expected` from `from` on.
pub fn matches(found: &[(i64, Vec<u8>)], expected: &[Rc<Batch>], from: i64) -> Result<(), String> {
    let first = expected.partition_point(|b| b.last < from);
    for (i, (base, bytes)) in found.iter().enumerate() {
        let Some(batch) = expected.get(first + i) else {
            return Err(format!("a batch at {base} that was never there"));
        };
        if batch.base != *base {
            return Err(format!("a batch at {base} where {} should be", batch.base));
        }
        if batch.bytes != *bytes {
            return Err(format!("the batch at {base} has other bytes"));
        }
    }
    Ok(())
}

/// A random read of a random log, or one of a reader that goes on where it was.
pub fn some(world: &mut World) {
    let live = world.model.live();
    if live.is_empty() {
        return;
    }
    let tp = live[world.rng.index(live.len())];
    let Some((shard, slot)) = world.find(tp) else { return };
    let offsets = world.engines[shard].offsets(slot);
    let (start, upto) = (offsets.start, offsets.durable_end);
    if start > 0 {
        let below = world.engines[shard].read(slot, start - 1, upto, 1, true);
        assert_eq!(below.err(), Some(ReadError::OutOfRange), "{tp:?} below its start");
    }
    if start >= upto {
        return;
    }
    if world.model.logs[&tp].is_compacted() && world.rng.chance(50) {
        return compacted::some(world, tp);
    }
    let mut from = start + world.rng.below((upto - start) as u64) as i64;
    if let Some(at) = world.readers.get(&tp).filter(|at| (start..upto).contains(at))
        && world.rng.chance(60)
    {
        from = *at;
    }
    if world.rng.chance(15) {
        // Nobody comes back for it, but it must end.
        if let Ok(Read::Wait(ticket)) = world.engines[shard].read(slot, from, upto, 1 << 20, true) {
            world.late.insert((shard, ticket));
        }
        world.pump(shard);
        return;
    }
    if world.rng.chance(20) && !world.model.logs[&tp].is_compacted() {
        return by_time(world, tp);
    }
    let max_bytes = [1, 5000, 100_000, 4 << 20][world.rng.index(4)];
    if world.rng.chance(25) {
        return frames(world, tp, from, max_bytes);
    }
    let at_least_one = world.rng.chance(70);
    let Some(found) = read(world, tp, from, upto, max_bytes, at_least_one) else { return };
    // What is read ahead begins.
    world.pump(shard);
    let log = &world.model.logs[&tp];
    if log.is_compacted() {
        if let Err(why) = compacted::are_known(&found, &log.current) {
            panic!("{tp:?} read from {from}: {why}");
        }
        return;
    }
    if let Err(why) = matches(&found, &log.current, from) {
        panic!("{tp:?} read from {from}: {why}");
    }
    assert!(found.last().is_none_or(|(base, _)| *base < upto));
    if !found.is_empty() {
        let after = log.current.partition_point(|b| b.last < from) + found.len();
        let next = log.current.get(after).map_or(log.end(), |b| b.base);
        world.readers.insert(tp, next);
    }
}

/// Frames from there on, as a follower gets them: up to the end of what was made, durable or not.
fn frames(world: &mut World, tp: TopicPartition, from: i64, max_bytes: usize) {
    let (shard, slot) = world.find(tp).expect("an open log");
    for _ in 0..40 {
        let (frames, next) = match world.engines[shard].read_frames(slot, from, i64::MAX, max_bytes)
        {
            Ok(ReadFrames::Wait(ticket)) => {
                let Some(result) = world.wait_for(shard, ticket) else { return };
                if let Err(error) = result {
                    assert!(world.faulty, "{tp:?} from {from}: {error}");
                    return;
                }
                continue;
            }
            Ok(ReadFrames::Ready { frames, next }) => (frames, next),
            Err(error) => {
                assert!(world.faulty && error != ReadError::OutOfRange, "{tp:?}: {error}");
                return;
            }
        };
        let (mut at, mut found) = (from, Vec::new());
        for frame in &frames {
            assert_eq!((frame.tp(), frame.base_offset()), (tp, at), "they follow each other");
            at = frame.next_offset();
            let read = Frame::read(frame.header_bytes(), frame.payload().clone());
            read.unwrap_or_else(|why| panic!("{tp:?} from {from}: {why}"));
            for (header, batch) in batches(frame.payload()) {
                found.push((header.base_offset, batch.to_vec()));
            }
        }
        assert_eq!(at, next);
        assert!(!frames.is_empty() || from >= world.engines[shard].offsets(slot).durable_end);
        let bytes: usize = frames.iter().skip(1).map(Frame::len).sum();
        assert!(bytes <= max_bytes);
        let log = &world.model.logs[&tp];
        let checked = if log.is_compacted() {
            compacted::are_known(&found, &log.current)
        } else {
            matches(&found, &log.current, from)
        };
        checked.unwrap_or_else(|why| panic!("{tp:?} from {from}: {why}"));
        world.pump(shard);
        return;
    }
    panic!("{tp:?}: a read of frames from {from} does not end");
}

/// Looks for a time: reading on from the hint must find the first record.
fn by_time(world: &mut World, tp: TopicPartition) {
    let (shard, slot) = world.find(tp).expect("an open log");
    let timestamp = world.now_ms - world.rng.below(5000) as i64;
    if world.rng.chance(50)
        && let Some(ticket) = world.engines[shard].index_for_time(slot, timestamp)
    {
        let Some(result) = world.wait_for(shard, ticket) else { return };
        result.expect("an index is only advice");
    }
    let hint = world.engines[shard].offset_hint_for_time(slot, timestamp);
    let (start, end) = {
        let offsets = world.engines[shard].offsets(slot);
        (offsets.start, offsets.durable_end)
    };
    let log = &world.model.logs[&tp];
    assert_eq!(log.drop, Drop::No);
    let wanted = |b: &&Rc<Batch>| b.last >= start && b.base < end && b.max_timestamp >= timestamp;
    if let Some(batch) = log.current.iter().find(wanted) {
        assert!(
            hint <= batch.last && hint >= start,
            "{tp:?}: time {timestamp} stands at {}, but the hint is {hint} (start {start})",
            batch.base
        );
    }
    let newest = log.current.iter().filter(|b| b.last >= start && b.base < end);
    if let Some(newest) = newest.map(|b| b.max_timestamp).max() {
        let (most, at) =
            world.engines[shard].max_timestamp(slot, i64::MAX).expect("there are records");
        assert!(most >= newest && at >= start, "{tp:?}: newest {newest}, the engine says {most}");
        // Those below the log start may be gone; those that were cut off must be forgotten.
        let ever = log.current.iter().map(|b| b.max_timestamp).max().expect("there are records");
        assert!(most <= ever, "{tp:?}: {most} is of nothing that is left: at most {ever}");
    }
}
