//! The engine over a real directory, one operation after the other.

use super::buffer::Budget;
use super::device::disk::{Disk, RealDisk};
use super::device::io::{Completion, Op};
use super::engine::{Append, Engine, EngineStats, Event, Slot};
use super::format::segment::Batch;
use super::log::{Compaction, LogConfig};
use super::read::{Read, ReadError, Ticket};
use super::recovery::identity::{Expected, Identity};
use super::recovery::{self, OpenOptions, Report, TopicState};
use crate::types::{TopicId, TopicPartition};
use crate::wire::records::{BatchBuilder, Compression};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

pub(super) struct Dir(PathBuf);

impl Dir {
    pub(super) fn new(name: &str) -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/engine-tests").join(name);
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(&root).expect("a test directory");
        Self(root)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) struct Broker {
    disk: Disk,
    identity: Identity,
    pub engines: Vec<Engine>,
    report: Report,
    pub events: Vec<Event>,
    pub now_ms: i64,
}

pub(super) const TOPIC: TopicId = TopicId([7; 16]);

pub(super) fn config() -> LogConfig {
    LogConfig { file_delete_delay_ms: 0, segment_bytes: 256 << 10, ..LogConfig::none() }
}

impl Broker {
    pub(super) fn open(dir: &Dir, shards: u16) -> Self {
        let budget = Budget::new(256 << 20);
        let disk = Disk::Real(RealDisk::new(&dir.0, budget.clone()).expect("a directory"));
        let expected = Expected { cluster_id: None, node_id: 1, random: [5; 32] };
        let identity = Identity::open(&disk, &expected).expect("its identity");
        let options = OpenOptions {
            small_bytes: 16 << 10,
            max_block: 256 << 10,
            direct_bytes: 64 << 10,
            recycle_bytes: 1 << 20,
            compaction_bytes: 256 << 10,
            ..OpenOptions::usual(shards, budget, 2 << 20)
        };
        let fold: recovery::Fold = &|state, _, _, batches| {
            let mut count = state.first().copied().unwrap_or(0);
            batches.for_each(|_| count = count.wrapping_add(1));
            Ok(vec![count])
        };
        let (engines, report) =
            recovery::open(&disk, &identity, &options, &|_| TopicState::Live, fold)
                .expect("the directory opens");
        let mut broker = Self { disk, identity, engines, report, events: Vec::new(), now_ms: 1000 };
        for engine in &mut broker.engines {
            for (slot, _) in engine.logs() {
                engine.configure(slot, &config());
            }
        }
        broker
    }

    pub(super) fn disk(&self) -> &Disk {
        &self.disk
    }

    pub(super) fn slot(&mut self, partition: i32) -> (usize, Slot) {
        let tp = TopicPartition { topic: TOPIC, partition };
        let shard = tp.shard(self.engines.len());
        let engine = &mut self.engines[shard];
        let slot = engine.find(tp).unwrap_or_else(|| engine.create(tp, &config(), 0));
        (shard, slot)
    }

    /// Carries out what the engines ask for until they ask for nothing.
    pub(super) fn settle(&mut self) {
        loop {
            let mut idle = true;
            for engine in &mut self.engines {
                engine.turn(self.now_ms, &mut |_: Slot| vec![1]);
                for submission in engine.take_submissions() {
                    idle = false;
                    let sync_id = match &submission.op {
                        Op::WriteSync { sync_id, .. } => Some(*sync_id),
                        _ => None,
                    };
                    let result = self.disk.run(submission.op);
                    let id = submission.id;
                    engine.complete(self.now_ms, Completion { id, result }, &mut self.events);
                    if let Some(id) = sync_id {
                        let result = Ok(Bytes::new());
                        engine.complete(self.now_ms, Completion { id, result }, &mut self.events);
                    }
                }
                engine.invariants();
            }
            if idle {
                break;
            }
        }
        let fatal = self.events.iter().find(|e| matches!(e, Event::Fatal { .. }));
        assert!(fatal.is_none(), "{fatal:?}");
    }

    /// Carries out what the engine asks for until that read has ended.
    pub(super) fn wait_for(&mut self, shard: usize, ticket: Ticket) -> Result<(), ReadError> {
        self.wait_with(shard, ticket, |_| None)
    }

    /// The same, with operations that fail.
    pub(super) fn wait_with(
        &mut self,
        shard: usize,
        ticket: Ticket,
        fails: impl Fn(&Op) -> Option<io::Error>,
    ) -> Result<(), ReadError> {
        let engine = &mut self.engines[shard];
        loop {
            let filled = self
                .events
                .iter()
                .position(|it| matches!(it, Event::Filled { ticket: of, .. } if *of == ticket));
            if let Some(at) = filled {
                let Event::Filled { result, .. } = self.events.swap_remove(at) else {
                    unreachable!("found as such")
                };
                return result;
            }
            let submissions = engine.take_submissions();
            assert!(!submissions.is_empty(), "a read that somebody waits for is under way");
            for submission in submissions {
                assert!(matches!(submission.op, Op::Read { .. }), "at rest, but for reads");
                let (id, error) = (submission.id, fails(&submission.op));
                let result = error.map_or_else(|| self.disk.run(submission.op), Err);
                engine.complete(self.now_ms, Completion { id, result }, &mut self.events);
            }
        }
    }

    pub(super) fn append(&mut self, partition: i32, value: &[u8], token: u64) -> i64 {
        let (shard, slot) = self.slot(partition);
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(5, None, Some(value), &[]);
        let batch = Bytes::from(builder.build());
        let base_offset = self.engines[shard].offsets(slot).end;
        let append = Append {
            base_offset,
            last_offset: base_offset,
            leader_epoch: 3,
            max_timestamp: 5,
            log_append_time: None,
            batch,
            token,
        };
        self.engines[shard].append(slot, append);
        base_offset
    }

    pub(super) fn read_all(&mut self, partition: i32) -> Vec<Vec<u8>> {
        let (shard, slot) = self.slot(partition);
        let offsets = self.engines[shard].offsets(slot);
        let (mut at, mut found) = (offsets.start, Vec::new());
        while at < offsets.durable_end {
            let engine = &mut self.engines[shard];
            match engine.read(slot, at, offsets.durable_end, 100_000, true).expect("readable") {
                Read::Wait(ticket) => self.wait_for(shard, ticket).expect("sound"),
                Read::Ready { slices, next, .. } => {
                    assert!(next > at, "a read makes progress");
                    for slice in slices {
                        let mut rest = &slice[..];
                        while let Some(batch) = Batch::at(rest) {
                            assert_eq!(batch.base, offsets.start + found.len() as i64);
                            let values = crate::wire::records::records(&rest[..batch.len], 1 << 20)
                                .expect("records");
                            for record in &values {
                                let record = record.expect("a record");
                                found.push(record.value.expect("a value").to_vec());
                            }
                            rest = &rest[batch.len..];
                        }
                    }
                    at = next;
                }
            }
        }
        found
    }
}

pub(super) fn value(partition: i32, i: usize, len: usize) -> Vec<u8> {
    let mut value = format!("{partition}/{i}/").into_bytes();
    value.resize(len.max(value.len()), b'.');
    value
}

#[test]
fn everything_is_there_after_rounds_a_kill_and_other_shards() {
    let dir = Dir::new("kill");
    let mut model: Vec<Vec<Vec<u8>>> = vec![Vec::new(); 5];
    let mut token = 0;
    for (life, shards) in [1, 1, 3, 2].into_iter().enumerate() {
        let mut broker = Broker::open(&dir, shards);
        assert_eq!(broker.report.clean, life == 0);
        for (partition, expected) in model.iter().enumerate() {
            assert!(broker.read_all(partition as i32) == *expected, "life {life}, {partition}");
        }
        for i in 0..900 {
            let partition = if i % 3 == 0 { i % 5 } else { 4 } as i32;
            let len = if i % 50 == 0 { 60_000 } else { 3000 };
            let value = value(partition, life * 1000 + i, len);
            token += 1;
            broker.append(partition, &value, token);
            model[partition as usize].push(value);
            if i % 7 == 0 {
                broker.settle();
                broker.now_ms += 10;
            }
        }
        broker.settle();
        let done = broker.events.iter().filter(|e| matches!(e, Event::Done { .. })).count();
        assert_eq!(done, 900);
        let rounds: u64 = broker.engines.iter().map(|e| e.stats().rounds).sum();
        assert!(rounds > 0, "the journal wrapped");
        for (partition, expected) in model.iter().enumerate() {
            assert!(broker.read_all(partition as i32) == *expected, "life {life}, {partition}");
        }
    }
}

#[test]
fn a_clean_stop_leaves_nothing_in_the_journal() {
    let dir = Dir::new("clean");
    let mut broker = Broker::open(&dir, 2);
    for i in 0..20 {
        broker.append(i % 4, &value(i % 4, i as usize, 100), i as u64);
    }
    broker.settle();
    for engine in &mut broker.engines {
        engine.begin_shutdown(2000);
    }
    broker.settle();
    assert!(broker.engines.iter().all(Engine::is_drained));
    recovery::mark_clean(&broker.disk, &broker.identity, false).expect("marked");
    let mut broker = Broker::open(&dir, 1);
    assert!(broker.report.clean);
    assert_eq!((broker.report.blocks, broker.report.frames), (0, 0));
    for partition in 0..4 {
        assert_eq!(broker.read_all(partition).len(), 5);
    }
}

#[test]
fn deleted_records_and_logs_give_their_space_back() {
    let dir = Dir::new("delete");
    let mut broker = Broker::open(&dir, 1);
    for i in 0..2000 {
        broker.append(0, &value(0, i, 1500), i as u64);
        broker.append(1, &value(1, i, 100), 10_000 + i as u64);
        if i % 10 == 0 {
            broker.settle();
        }
    }
    broker.settle();
    let (shard, slot) = broker.slot(0);
    let before = broker.engines[shard].offsets(slot).bytes;
    broker.engines[shard].set_log_start(slot, 1500, 77);
    broker.settle();
    broker.now_ms += 1;
    broker.engines[shard].tick(broker.now_ms);
    broker.settle();
    let after = broker.engines[shard].offsets(slot);
    assert!(after.start == 1500 && after.bytes < before / 2);
    assert_eq!(broker.read_all(0).len(), 500);
    let mut broker = Broker::open(&dir, 1);
    assert_eq!(broker.read_all(0).len(), 500);
    let (shard, slot) = broker.slot(0);
    broker.engines[shard].drop_log(slot, 78);
    broker.settle();
    assert!(broker.events.iter().any(|e| matches!(e, Event::Dropped { tp } if tp.partition == 0)));
    let left = broker.disk.list(&format!("topics/{}", TOPIC.hex())).expect("a listing");
    assert!(left.iter().all(|e| !e.name.starts_with("00000000-")), "{left:?}");
    let mut broker = Broker::open(&dir, 1);
    let (shard, slot) = broker.slot(0);
    assert_eq!(broker.engines[shard].offsets(slot).end, 0, "created anew, empty");
    assert_eq!(broker.read_all(1).len(), 2000);
}

#[test]
fn a_truncated_log_goes_on_from_there_after_a_kill() {
    let dir = Dir::new("truncate");
    let mut broker = Broker::open(&dir, 1);
    for i in 0..1000 {
        broker.append(0, &value(0, i, 2000), i as u64);
        broker.settle();
    }
    let (shard, slot) = broker.slot(0);
    assert!(broker.engines[shard].can_truncate(slot));
    while let Some(ticket) = broker.engines[shard].before_truncate(slot, 300).expect("readable") {
        broker.wait_for(shard, ticket).expect("sound");
    }
    broker.engines[shard].truncate(slot, 300, &[44], 5000);
    for i in 0..600 {
        broker.append(0, &value(9, i, 2000), i as u64);
        broker.settle();
    }
    let check = |broker: &mut Broker| {
        let all = broker.read_all(0);
        assert_eq!(all.len(), 900);
        assert!(all[..300].iter().enumerate().all(|(i, v)| *v == value(0, i, 2000)));
        assert!(all[300..].iter().enumerate().all(|(i, v)| *v == value(9, i, 2000)));
    };
    check(&mut broker);
    check(&mut Broker::open(&dir, 1));
}

#[test]
fn inspection_sees_what_is_there_and_finds_a_flipped_bit() {
    let dir = Dir::new("inspect");
    let mut broker = Broker::open(&dir, 2);
    for i in 0..400 {
        broker.append(i % 2, &value(i % 2, i as usize, 9000), i as u64);
        broker.settle();
    }
    let seen = super::recovery::inspect::overview(&broker.disk)
        .expect("an overview, of a running one too");
    let ends: Vec<_> = seen.logs.iter().map(|l| (l.tp.partition, l.start, l.end)).collect();
    assert_eq!(ends, [(0, 0, 200), (1, 0, 200)]);
    assert!(seen.logs.iter().all(|l| l.placed_end > 0 && l.placed_end < 200), "both places");
    let verified =
        super::recovery::inspect::verify(&broker.disk, &seen, &mut |_| {}).expect("verified");
    let placed: i64 = seen.logs.iter().map(|l| l.placed_end).sum();
    assert_eq!((verified.batches as i64, verified.findings.len()), (placed, 0));

    let path = dir.0.join(&seen.logs[0].segments[0].path);
    let mut bytes = std::fs::read(&path).expect("the segment");
    bytes[5000] ^= 0x40;
    std::fs::write(&path, bytes).expect("written");
    let verified =
        super::recovery::inspect::verify(&broker.disk, &seen, &mut |_| {}).expect("verified");
    assert_eq!(verified.findings.len(), 1);
    assert!(verified.findings[0].problem.contains("checksum"), "{:?}", verified.findings);
    // A reader hears of it, and of nothing false.
    let mut broker = Broker::open(&dir, 1);
    let (shard, slot) = broker.slot(0);
    let found = loop {
        let engine = &mut broker.engines[shard];
        let Ok(Read::Wait(ticket)) = engine.read(slot, 0, 1, 1000, true) else { panic!("cold") };
        if let Err(error) = broker.wait_for(shard, ticket) {
            break error;
        }
    };
    assert!(matches!(found, ReadError::Storage(why) if why.contains("checksum")));
}

#[test]
fn large_turns_go_once_into_files_that_were_written_before_and_come_back() {
    let dir = Dir::new("large-turns");
    let mut broker = Broker::open(&dir, 1);
    let (shard, slot) = broker.slot(0);
    let config = LogConfig { segment_bytes: 4 << 20, retention_bytes: 4 << 20, ..config() };
    broker.engines[shard].configure(slot, &config);
    // Twice as much as the log keeps, then some more; the clock ticks as in a broker.
    let mut before = EngineStats::default();
    for i in 0..120 {
        if i == 100 {
            before = broker.engines[shard].stats();
        }
        broker.append(0, &value(0, i, 200_000), i as u64);
        broker.settle();
        if i % 10 == 9 {
            broker.now_ms += 1000;
            let now_ms = broker.now_ms;
            broker.engines[shard].tick(now_ms);
            broker.settle();
        }
    }
    let stats = broker.engines[shard].stats();
    assert!(stats.direct_bytes - before.direct_bytes > 3 << 20, "{before:?} {stats:?}");
    let other = stats.journal_bytes + stats.segment_bytes;
    let other = other - before.journal_bytes - before.segment_bytes;
    assert!(other < 2 << 20, "written once: {before:?} {stats:?}");
    let start = broker.engines[shard].offsets(slot).start;
    assert!(start > 50, "{start}");
    let seen = super::recovery::inspect::overview(&broker.disk).expect("an overview");
    let log = &seen.logs[0];
    assert_eq!((log.start, log.end), (start, 120), "what went past the journal is seen");
    let verified =
        super::recovery::inspect::verify(&broker.disk, &seen, &mut |_| {}).expect("verified");
    assert_eq!(verified.findings, []);
    assert_eq!(verified.batches as i64, log.placed_end - log.segments[0].base);
    drop(broker);
    let mut broker = Broker::open(&dir, 1);
    let expected: Vec<_> = (start as usize..120).map(|i| value(0, i, 200_000)).collect();
    assert!(broker.read_all(0) == expected);
    let recycled = std::fs::read_dir(dir.0.join("recycled")).expect("the directory");
    assert_eq!(recycled.count(), 0, "a start takes none");
}

#[test]
fn retention_leaves_what_is_not_committed() {
    let dir = Dir::new("uncommitted");
    let mut broker = Broker::open(&dir, 1);
    let (shard, slot) = broker.slot(0);
    let config = LogConfig { segment_bytes: 1 << 20, retention_bytes: 1 << 20, ..config() };
    broker.engines[shard].configure(slot, &config);
    let start = |broker: &mut Broker, committed, from: usize| {
        broker.engines[shard].set_committed(slot, committed);
        for i in from..from + 40 {
            broker.append(0, &value(0, i, 200_000), i as u64);
            broker.settle();
        }
        broker.now_ms += 1000;
        let now_ms = broker.now_ms;
        broker.engines[shard].tick(now_ms);
        broker.settle();
        broker.engines[shard].offsets(slot).start
    };
    assert_eq!(start(&mut broker, 7, 0), 7, "of 40 batches it keeps about 5");
    assert!(start(&mut broker, i64::MAX, 40) > 60);
}

#[test]
fn the_cache_gives_way_in_the_turn_that_memory_is_short_in() {
    let dir = Dir::new("short");
    let mut broker = Broker::open(&dir, 1);
    for i in 0..80 {
        broker.append(0, &value(0, i, 100_000), i as u64);
        broker.settle();
    }
    let engine = &mut broker.engines[0];
    let (before, budget) = (engine.stats().cache_bytes, engine.options.budget.clone());
    assert!(before > 5 << 20, "{before} bytes of cache");
    let spare = budget.limit() / 8;
    let others = budget.left() - spare;
    budget.charge(others);
    engine.turn(broker.now_ms, &mut |_: Slot| vec![1]);
    assert_eq!(engine.stats().cache_bytes, before, "nobody is short of memory");
    budget.charge(2 << 20);
    engine.turn(broker.now_ms, &mut |_: Slot| vec![1]);
    assert!(budget.left() >= spare, "{} bytes are left", budget.left());
    // Only what was missing, to a chunk.
    assert!(engine.stats().cache_bytes > before - (4 << 20));
    budget.release(others + (2 << 20));
}

#[test]
fn reads_of_several_logs_begin_at_once_and_one_by_one_while_the_journal_is_written() {
    let dir = Dir::new("reads");
    let mut broker = Broker::open(&dir, 1);
    for i in 0..40 {
        for partition in 0..3 {
            broker.append(partition, &value(partition, i, 30_000), i as u64);
        }
        broker.settle();
    }
    broker.engines[0].begin_shutdown(broker.now_ms);
    broker.settle();
    let mut broker = Broker::open(&dir, 1);
    let ask = |broker: &mut Broker| {
        for partition in 0..3 {
            let (_, slot) = broker.slot(partition);
            let read = broker.engines[0].read(slot, 0, 40, 1 << 20, true);
            assert!(matches!(read, Ok(Read::Wait(_))), "{read:?}");
        }
        let submissions = broker.engines[0].take_submissions();
        assert!(submissions.iter().all(|it| matches!(it.op, Op::Read { .. })));
        submissions
    };
    assert_eq!(ask(&mut broker).len(), 3);
    // The same, asked for once more, are under way.
    assert_eq!(ask(&mut broker).len(), 0);

    let mut broker = Broker::open(&dir, 1);
    broker.append(3, b"a", 1);
    broker.settle();
    let mut under_way = ask(&mut broker);
    let mut done = 0;
    while let Some(submission) = under_way.pop() {
        assert!(under_way.is_empty(), "one at a time");
        let (id, result) = (submission.id, broker.disk.run(submission.op));
        broker.engines[0].complete(broker.now_ms, Completion { id, result }, &mut broker.events);
        under_way = broker.engines[0].take_submissions();
        done += 1;
    }
    let filled = broker.events.iter().filter(|it| matches!(it, Event::Filled { .. })).count();
    assert_eq!((done, filled), (3, 3));
}

/// What is written now and then, and too little for a pass, does not stay in the journal for longer than it may stay in
/// a segment: it would never be compacted.
#[test]
fn a_compacted_log_that_is_never_idle_is_compacted_by_time() {
    let dir = Dir::new("slow");
    let mut broker = Broker::open(&dir, 1);
    let (shard, slot) = broker.slot(0);
    let compaction = Compaction {
        min_cleanable_ratio: 0.5,
        min_lag_ms: 0,
        max_lag_ms: i64::MAX,
        delete_retention_ms: 0,
    };
    let config = LogConfig { compaction: Some(compaction), segment_ms: 60_000, ..config() };
    broker.engines[shard].configure(slot, &config);
    for offset in 0..40 {
        let mut builder = BatchBuilder::new(Compression::None);
        builder.push(broker.now_ms, Some(b"key"), Some(&[1; 100]), &[]);
        let append = Append {
            base_offset: offset,
            last_offset: offset,
            leader_epoch: 3,
            max_timestamp: broker.now_ms,
            log_append_time: None,
            batch: builder.build().into(),
            token: 1,
        };
        broker.engines[shard].append(slot, append);
        for _ in 0..10 {
            broker.now_ms += 1_000;
            broker.engines[shard].tick(broker.now_ms);
            broker.settle();
        }
    }
    let stats = broker.engines[shard].stats();
    assert!(stats.compaction_passes > 0, "{stats:?}");
    assert!(broker.engines[shard].cleaned_end(slot) > 0);
}

/// With room for the keys of a part only, it takes several passes, and what is left is the same.
#[test]
fn keys_that_do_not_fit_into_memory_take_several_passes() {
    let dir = Dir::new("keys");
    let mut broker = Broker::open(&dir, 1);
    let (shard, slot) = broker.slot(0);
    let compaction = Compaction {
        min_cleanable_ratio: 0.0,
        min_lag_ms: 0,
        max_lag_ms: i64::MAX,
        delete_retention_ms: 0,
    };
    let config = LogConfig { compaction: Some(compaction), ..config() };
    broker.engines[shard].configure(slot, &config);
    let (keys, mut end) = (40_000_i64, 0);
    for round in 0..2 {
        for first in (0..keys).step_by(500) {
            let mut builder = BatchBuilder::new(Compression::None);
            for key in first..first + 500 {
                builder.push(round, Some(&key.to_le_bytes()), Some(&[round as u8; 20]), &[]);
            }
            let append = Append {
                base_offset: end,
                last_offset: end + 499,
                leader_epoch: 3,
                max_timestamp: round,
                log_append_time: None,
                batch: builder.build().into(),
                token: 1,
            };
            end += 500;
            broker.engines[shard].append(slot, append);
            broker.settle();
        }
    }
    // The last segment has less than a fifth of it.
    for _ in 0..20_000 {
        broker.now_ms += 31_000;
        broker.engines[shard].tick(broker.now_ms);
        broker.settle();
        let stats = broker.engines[shard].stats();
        if stats.compaction_passes > stats.compaction_cut_short {
            break;
        }
    }
    let cleaned = broker.engines[shard].cleaned_end(slot);
    let stats = broker.engines[shard].stats();
    assert!(cleaned > end / 4 * 3, "{cleaned}");
    assert!(stats.compaction_cut_short >= 3, "{stats:?}");
    assert_eq!(stats.uncleanable, 0);
    let mut found: BTreeMap<i64, Vec<(i64, u8)>> = BTreeMap::new();
    let mut at = 0;
    while at < end {
        match broker.engines[shard].read(slot, at, end, 100_000, true).expect("readable") {
            Read::Wait(ticket) => broker.wait_for(shard, ticket).expect("sound"),
            Read::Ready { slices, next, .. } => {
                assert!(next > at, "a read makes progress");
                at = next;
                for (_, batch) in slices.iter().flat_map(|it| crate::wire::records::batches(it)) {
                    let records = crate::wire::records::records(batch, 1 << 20).expect("records");
                    for record in &records {
                        let it = record.expect("a record");
                        let key = i64::from_le_bytes(it.key.expect("a key").try_into().expect("8"));
                        let place = (it.offset, it.value.expect("a value")[0]);
                        found.entry(key).or_default().push(place);
                    }
                }
            }
        }
    }
    for key in 0..keys {
        let places = &found[&key];
        assert_eq!(places.last(), Some(&(keys + key, 1)));
        let compacted = places.iter().filter(|(offset, _)| *offset < cleaned).count();
        assert!(compacted <= 1, "key {key} is at {places:?}, compacted up to {cleaned}");
    }
    let once = found.values().filter(|places| places.len() == 1).count() as i64;
    assert_eq!(once, cleaned - keys, "of the rest nothing is known");
}
