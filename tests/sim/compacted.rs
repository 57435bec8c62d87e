//! Logs that are compacted: what must be left of them.

use crate::model::{Batch, LogModel, end_of};
use crate::reads;
use crate::world::World;
use klamm::storage::device::sim_disk::Rng;
use klamm::types::TopicPartition;
use klamm::wire::records::{BatchBuilder, BatchHeader, Compression, records};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// More than any batch of a run decompresses to.
const LIMIT: usize = 16 << 20;

/// What is in a record, and is never to change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Content {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
}

/// A batch of records with keys, of which there are few, so that many are replaced by later ones.
pub fn batch(rng: &mut Rng, now_ms: i64, records: u64, each: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::ALL[rng.index(5)]);
    if rng.chance(40) {
        builder = builder.producer(rng.below(3) as i64, 0, rng.below(1000) as i32);
    }
    let keys = [3, 30][rng.index(2)];
    for _ in 0..records {
        let key = rng.below(keys).to_le_bytes();
        let value: Vec<u8> = (0..each.max(1)).map(|_| rng.bits() as u8).collect();
        let value = rng.chance(75).then_some(&value[..]);
        let timestamp = now_ms - rng.below(50) as i64;
        builder.push(timestamp, rng.chance(97).then_some(&key[..]), value, &[]);
    }
    builder.build()
}

/// The last batch of that producer.
pub fn last_of_producer(batches: &[Rc<Batch>], producer_id: i64) -> Option<&Rc<Batch>> {
    let of = |batch: &&Rc<Batch>| {
        BatchHeader::parse(&batch.bytes).is_ok_and(|header| header.producer_id == producer_id)
    };
    batches.iter().rev().find(of)
}

fn contents<'a>(batches: impl Iterator<Item = &'a [u8]>) -> BTreeMap<i64, Content> {
    let mut all = BTreeMap::new();
    for batch in batches {
        let header = BatchHeader::parse(batch).expect("a whole batch");
        header.check_crc(batch).expect("a sound batch");
        for record in &records(batch, LIMIT).expect("a batch that can be read") {
            let it = record.expect("a record that can be read");
            assert!((header.base_offset..=header.last_offset()).contains(&it.offset));
            let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
            let content =
                Content { timestamp: it.timestamp, key: own(it.key), value: own(it.value) };
            assert!(all.insert(it.offset, content).is_none(), "offset {} twice", it.offset);
        }
    }
    all
}

/// Whether each record is one that was appended at its offset.
pub fn are_known(found: &[(i64, Vec<u8>)], appended: &[Rc<Batch>]) -> Result<(), String> {
    let appended = contents(appended.iter().map(|batch| &batch.bytes[..]));
    let found = contents(found.iter().map(|(_, batch)| &batch[..]));
    match found.iter().find(|(offset, content)| appended.get(offset) != Some(content)) {
        Some((offset, content)) => Err(format!("at {offset} never was {content:?}")),
        None => Ok(()),
    }
}

/// All batches from `from` up to `upto`, or `None` where the power went or the disk failed.
pub fn scan(
    world: &mut World,
    tp: TopicPartition,
    from: i64,
    upto: i64,
) -> Option<Vec<(i64, Vec<u8>)>> {
    let (mut at, mut all) = (from, Vec::new());
    while at < upto {
        let max_bytes = [4096, 1 << 20][world.rng.index(2)];
        let more = reads::read(world, tp, at, upto, max_bytes, true)?;
        // Nothing follows up to the end.
        let Some((_, last)) = more.last() else { break };
        let header = BatchHeader::parse(last).expect("a whole batch");
        assert!(header.last_offset() >= at, "{tp:?}: no progress at {at}");
        at = header.next_offset();
        all.extend(more);
    }
    assert!(all.is_sorted_by_key(|(base, _)| *base));
    Some(all)
}

/// Checks all of a log of which `state` was appended.
pub fn check(
    log: &LogModel,
    state: &[Rc<Batch>],
    found: &[(i64, Vec<u8>)],
    (start, end): (i64, i64),
    cleaned: i64,
    now_ms: i64,
) -> Result<(), String> {
    are_known(found, state)?;
    let retention_ms = log.config.compaction.expect("it is compacted").delete_retention_ms;
    let appended = contents(state.iter().map(|batch| &batch.bytes[..]));
    let left = contents(found.iter().map(|(_, batch)| &batch[..]));
    let mut of_key: BTreeMap<&[u8], Vec<i64>> = BTreeMap::new();
    for (offset, content) in appended.range(..end) {
        if let Some(key) = &content.key {
            of_key.entry(key).or_default().push(*offset);
        } else if !left.contains_key(offset) && *offset >= start.max(log.stable) {
            return Err(format!("{offset} is gone, but is not stable"));
        }
    }
    let appended_ms = |offset: i64| {
        let at = state.partition_point(|batch| batch.last < offset);
        state[at].now_ms
    };
    for (key, offsets) in of_key {
        let last_stable = offsets.iter().rev().find(|offset| **offset < log.stable).copied();
        for offset in offsets.iter().copied().filter(|offset| *offset >= start) {
            if left.contains_key(&offset) {
                continue;
            }
            if offset >= log.stable {
                return Err(format!("{offset} is gone, but only {} is stable", log.stable));
            }
            if last_stable == Some(offset) {
                if appended[&offset].value.is_some() {
                    return Err(format!("{offset} is gone, the last of key {key:?}"));
                }
                let age_ms = now_ms - appended_ms(offset);
                if age_ms < retention_ms {
                    return Err(format!("the tombstone at {offset} is gone after {age_ms} ms"));
                }
            }
            // While it is gone, nothing that it hid may be there.
            let older = offsets.iter().rev().find(|it| **it < offset && left.contains_key(it));
            let newer = offsets.iter().any(|it| *it > offset && left.contains_key(it));
            if let Some(older) = older.filter(|_| !newer) {
                return Err(format!("{older} is back, which {offset} has replaced"));
            }
        }
        let seen = |it: &&i64| (start..cleaned).contains(*it) && left.contains_key(it);
        let twice: Vec<_> = offsets.iter().filter(seen).collect();
        if twice.len() > 1 {
            return Err(format!("below {cleaned} key {key:?} is at {twice:?}"));
        }
    }
    // Where none was cut off, none that was the last became one again.
    if !log.own_frames {
        let last: BTreeSet<i64> = found
            .iter()
            .filter_map(|(_, batch)| Some(BatchHeader::parse(batch).ok()?.last_offset()))
            .collect();
        for producer in 0..3 {
            let Some(batch) = last_of_producer(&log.current, producer) else { continue };
            if batch.last >= start && batch.last < end && !last.contains(&batch.last) {
                return Err(format!("the last batch of producer {producer}, at {}", batch.base));
            }
        }
    }
    Ok(())
}

/// Reads all of a log, and looks for a time.
pub fn some(world: &mut World, tp: TopicPartition) {
    let Some((shard, slot)) = world.find(tp) else { return };
    let offsets = world.engines[shard].offsets(slot);
    let (start, end) = (offsets.start, offsets.durable_end);
    let Some(found) = scan(world, tp, start, end) else { return };
    world.pump(shard);
    let cleaned = world.engines[shard].cleaned_end(slot);
    let log = &world.model.logs[&tp];
    assert!(log.stable <= end_of(&log.settled), "the model's own");
    if let Err(why) = check(log, &log.current, &found, (start, end), cleaned, world.now_ms) {
        panic!("{tp:?}: {why}");
    }
    let timestamp = world.now_ms - world.rng.below(5000) as i64;
    let hint = world.engines[shard].offset_hint_for_time(slot, timestamp);
    let left = contents(found.iter().map(|(_, batch)| &batch[..]));
    if let Some((offset, _)) = left.range(start..).find(|(_, it)| it.timestamp >= timestamp) {
        assert!(hint <= *offset, "{tp:?}: time {timestamp} is at {offset}, the hint is {hint}");
    }
}
