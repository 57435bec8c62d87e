//! The partitions of a shard over a simulated disk.

use super::calls::{AppendBatches, AppendReply};
use super::image_changes::changes;
use super::logs::{Logs, Outbox, Progress};
use super::reply_to::ReplyTo;
use crate::broker::api::data::{AppendRequest, Appended, ReadRequest, ReadResult};
use crate::broker::api::fetch;
use crate::broker::api::fetch_session::Sessions;
use crate::controller::{Image, NewPartition, PartitionChange, Record};
use crate::replica::ProducerMemory;
use crate::storage::buffer::Budget;
use crate::storage::device::disk::Disk;
use crate::storage::device::io::{Completion, Op, Submission};
use crate::storage::device::sim_disk::SimDisk;
use crate::storage::engine::Engine;
use crate::storage::recovery::identity::{Expected, Identity};
use crate::storage::recovery::{self, OpenOptions, TopicState};
use crate::types::{ErrorCode, Now, TopicId, TopicPartition};
use crate::wire::Writer;
use crate::wire::kafka::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use crate::wire::records::{BatchBuilder, BatchHeader, Compression, Marker, batches, records};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

const TOPIC: TopicId = TopicId([7; 16]);

fn tp(partition: i32) -> TopicPartition {
    TopicPartition { topic: TOPIC, partition }
}

/// What appends a batch.
pub(super) fn append(tp: TopicPartition, batch: Vec<u8>) -> AppendRequest {
    let batch = bytes::Bytes::from(batch);
    let header = BatchHeader::parse(&batch).unwrap();
    AppendRequest::new(0, tp, batch, header)
}

pub(super) fn image(partitions: usize, settings: &[(&str, &str)]) -> Image {
    let mut image = Image::new("c", 1, Arc::default());
    let replicas: Arc<[i32]> = [1].into();
    image.apply(&Record::TopicCreated {
        id: TOPIC,
        name: "t".into(),
        partitions: vec![NewPartition::new(replicas); partitions],
        settings: settings.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
    });
    image
}

/// The engine of the only shard. `state` is what it gives each partition to begin with.
fn open_engine(disk: &Disk, state: &[u8]) -> Engine {
    open_engine_with(disk, &|_, _, _, _| Ok(state.to_vec()))
}

pub(super) fn open_engine_with(disk: &Disk, fold: recovery::Fold<'_>) -> Engine {
    let expected = Expected { cluster_id: None, node_id: 1, random: [5; 32] };
    let identity = Identity::open(disk, &expected).unwrap();
    let options = OpenOptions::usual(1, Budget::new(256 << 20), 4 << 20);
    let live = |_| TopicState::Live;
    recovery::open(disk, &identity, &options, &live, fold).unwrap().0.remove(0)
}

/// Replies that came, in order.
type Replies = Rc<RefCell<Vec<AppendReply>>>;

struct Rig {
    disk: Disk,
    logs: Logs,
    replies: Replies,
    now_ms: i64,
}

impl Rig {
    fn new(partitions: usize, settings: &[(&str, &str)]) -> Self {
        let disk = Disk::Sim(SimDisk::new(1));
        let image = image(partitions, settings);
        let mut logs = Logs::open(open_engine(&disk, &[]), &image, (0, 1), 1).unwrap();
        let before = Image::new("c", 1, Arc::default());
        let mut out = Outbox::default();
        for it in changes(&before, &image) {
            logs.change(&it, &image, Now::at(1_000), &mut out);
        }
        Self { disk, logs, replies: Replies::default(), now_ms: 1_000 }
    }

    fn reply(&self) -> ReplyTo<AppendBatches> {
        let replies = self.replies.clone();
        ReplyTo::function(move |reply| replies.borrow_mut().extend(reply))
    }

    fn tell(out: Outbox) {
        for (to, reply) in out.appended {
            to.reply(reply);
        }
    }

    /// Hands in a batch; it is not durable yet.
    fn begin(&mut self, partition: i32, builder: BatchBuilder) {
        self.begin_bytes(partition, builder.build());
    }

    fn begin_bytes(&mut self, partition: i32, batch: Vec<u8>) {
        let append = append(tp(partition), batch);
        let call = AppendBatches { batches: vec![append], routed: 0, committed_by_ms: None };
        let mut out = Outbox::default();
        let reply = self.reply();
        self.logs.append(call, 0, reply, Now::at(self.now_ms), &mut out);
        Self::tell(out);
    }

    /// Carries out what the engine wants, until it wants nothing.
    fn settle(&mut self) {
        let mut completed: Vec<Completion> = Vec::new();
        loop {
            let mut out = Outbox::default();
            let mut events = Vec::new();
            for completion in completed.drain(..) {
                self.logs.engine.complete(self.now_ms, completion, &mut events);
            }
            events.append(&mut self.logs.engine.take_events());
            events.into_iter().for_each(|it| self.logs.event(it, &mut out));
            if self.logs.engine.wants_turn() {
                self.logs.turn(self.now_ms);
            }
            for event in self.logs.engine.take_events() {
                self.logs.event(event, &mut out);
            }
            Self::tell(out);
            let submissions = self.logs.engine.take_submissions();
            if submissions.is_empty() {
                break;
            }
            for Submission { id, op } in submissions {
                let sync_id = match &op {
                    Op::WriteSync { sync_id, .. } => Some(*sync_id),
                    _ => None,
                };
                completed.push(Completion { id, result: self.disk.run(op) });
                completed
                    .extend(sync_id.map(|id| Completion { id, result: Ok(bytes::Bytes::new()) }));
            }
        }
    }

    /// Appends a batch; how that ended.
    fn append(&mut self, partition: i32, builder: BatchBuilder) -> Appended {
        self.append_bytes(partition, builder.build())
    }

    fn append_bytes(&mut self, partition: i32, batch: Vec<u8>) -> Appended {
        self.begin_bytes(partition, batch);
        self.settle();
        self.replies.borrow_mut().remove(0).results.remove(0)
    }

    fn read(&mut self, offset: i64, max_bytes: usize, room: usize) -> ReadResult {
        let read = ReadRequest::of_leader(tp(0), offset, max_bytes);
        match self.logs.read(&read, room, true) {
            Progress::Done(result) => result,
            Progress::Wait(_) => unreachable!("nothing has left the memory"),
        }
    }
}

fn batch(len: usize) -> BatchBuilder {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(7, None, Some(&vec![0; len]), &[]);
    builder
}

#[test]
fn a_partition_that_cannot_be_restored_is_damage() {
    let image = image(1, &[]);
    let mut rig = Rig::new(1, &[]);
    rig.append(0, batch(10));
    drop(rig.logs);
    let opened = Logs::open(open_engine(&rig.disk, b"not a snapshot"), &image, (0, 1), 1);
    let Err(message) = opened else { panic!("it was taken for a snapshot") };
    assert!(message.starts_with("t-0: "), "{message}");
}

/// A fetch of the only partition: its limits, and whether it is answered at once. The values are
/// Apache Kafka 4.3.1's.
#[test]
fn a_partition_that_a_limit_cuts_has_filled_it() {
    let mut rig = Rig::new(1, &[]);
    for _ in 0..20 {
        rig.append(0, batch(10_000));
    }
    for (min, max, partition_max, at_once) in [
        (50_000, 1 << 20, 50_000, true),
        (50_000, 50_000, 1 << 20, true),
        (45_000, 1 << 20, 50_000, true),
        (100_000, 20_000, 1 << 20, true),
        (100_000, 1 << 20, 20_000, false),
        // All of it is less than what is waited for, and nothing cut it.
        (300_000, 1 << 20, 1 << 20, false),
    ] {
        let read = rig.read(0, partition_max, max);
        assert!(read.bytes <= partition_max.min(max));
        let satisfied = plan(min, max, partition_max).is_satisfied(&[read]);
        assert_eq!(satisfied, at_once, "min {min}, max {max}, of a partition {partition_max}");
    }
    // The last part of the log, which nothing cuts, counts as what it is.
    let read = rig.read(17, 50_000, 50_000);
    assert_eq!((read.bytes, read.counted), (30_216, 30_216));
}

fn plan(min: usize, max: usize, partition_max: usize) -> fetch::Plan {
    let partition =
        FetchPartition { partition_max_bytes: partition_max as i32, ..FetchPartition::default() };
    let request = FetchRequest {
        max_wait_ms: 3_000,
        min_bytes: min as i32,
        max_bytes: max as i32,
        session_epoch: -1,
        topics: vec![FetchTopic { topic: "t", partitions: vec![partition], ..Default::default() }],
        ..FetchRequest::default()
    };
    let mut w = Writer::new();
    request.encode(&mut w, 12).unwrap();
    let mut sessions = Sessions::new(10, 0, 1, 5);
    let limits = fetch::Limits { max_bytes: 55 << 20, memory: 1 << 30 };
    fetch::plan(w.as_slice(), 12, &mut sessions, &image(1, &[]), limits, 0).unwrap()
}

/// The time is given with the offset: a request that another shard has read earlier gets no earlier
/// time, and the answer tells the time that the records have.
#[test]
fn log_append_time_is_the_owners() {
    let mut rig = Rig::new(1, &[("message.timestamp.type", "LogAppendTime")]);
    let timed = || batch(10).log_append_time();
    let mut told = Vec::new();
    for now_ms in [5_000, 4_000, 6_000] {
        rig.now_ms = now_ms;
        told.push(rig.append(0, timed()).log_append_time_ms);
    }
    assert_eq!(told, [5_000, 5_000, 6_000]);
    let read = rig.read(0, 1 << 20, 1 << 20);
    let stored = read.slices.iter().flat_map(|it| batches(it)).map(|(it, _)| it.max_timestamp);
    assert_eq!(stored.collect::<Vec<_>>(), told);
}

/// Coordinators write their batches without a look at the topic: the owner stamps them as Kafka 4.3.1 does, markers too.
#[test]
fn log_append_time_stamps_markers() {
    for (kind, stamped) in [("LogAppendTime", true), ("CreateTime", false)] {
        let mut rig = Rig::new(1, &[("message.timestamp.type", kind)]);
        rig.now_ms = 5_000;
        let mut data = batch(10).producer(1, 0, 0).transactional();
        if stamped {
            data = data.log_append_time();
        }
        rig.append(0, data);
        rig.now_ms = 6_000;
        let marker = Marker { commits: true, coordinator_epoch: 1 };
        rig.append_bytes(0, marker.batch(1, 0, 3_000));
        let read = rig.read(0, 1 << 20, 1 << 20);
        let stored: Vec<_> = read.slices.iter().flat_map(|it| batches(it)).collect();
        let (header, bytes) = stored[1];
        header.check_crc(bytes).expect("it was sealed anew");
        assert_eq!((header.is_control(), header.marker), (true, Some(marker)));
        assert_eq!(
            (header.is_log_append_time(), header.max_timestamp),
            if stamped { (true, 6_000) } else { (false, 3_000) }
        );
    }
}

/// What is on its way to the disk is not looked at for the largest timestamp: `ListOffsets` -3.
#[test]
fn the_largest_timestamp_is_below_the_watermark() {
    let mut rig = Rig::new(1, &[]);
    rig.append(0, batch(10));
    let mut later = BatchBuilder::new(Compression::None);
    later.push(9, None, None, &[]);
    rig.begin(0, later);
    assert!(rig.logs.engine.wants_turn());
    rig.logs.turn(rig.now_ms);
    let largest = |rig: &Rig| {
        let (slot, core) = rig.logs.core(tp(0)).unwrap();
        rig.logs.engine.max_timestamp(slot, core.high_watermark())
    };
    assert_eq!(largest(&rig), Some((7, 0)));
    rig.settle();
    assert_eq!(largest(&rig), Some((9, 1)));
}

#[test]
fn producers_are_charged_and_expire_a_part_at_a_time() {
    let mut rig = Rig::new(4, &[]);
    let one = ProducerMemory::PRODUCER_BYTES;
    rig.logs.limit_producers(10 * one);
    let sent = |id| batch(1).producer(id, 0, 0);
    for id in 0..10 {
        assert_eq!(rig.append(id % 3, sent(id.into())).error, ErrorCode::NONE);
    }
    assert_eq!(rig.append(3, sent(10)).error, ErrorCode::KAFKA_STORAGE_ERROR);
    assert_eq!(rig.append(2, sent(2)).error, ErrorCode::NONE, "a retry");
    assert_eq!((rig.logs.producers().used(), rig.logs.producers().refused()), (10 * one, 1));
    let mut left = Vec::new();
    for _ in 0..7 {
        rig.logs.expire_producers(rig.now_ms + 1_000, 1_000, 3);
        left.push(rig.logs.producers().used() / one);
    }
    assert!(left.is_sorted_by(|a, b| a >= b && a - b <= 3), "{left:?}");
    assert_eq!(left.last(), Some(&0));
    assert_eq!(rig.append(3, sent(10)).error, ErrorCode::NONE);
}

/// Somebody who writes more than can be written back does not hold up the others, and nobody overtakes
/// what is to go to the same partition before.
#[test]
fn a_small_append_does_not_wait_for_large_ones_of_others() {
    let mut rig = Rig::new(2, &[]);
    let end = |rig: &Rig, partition| {
        let (slot, _) = rig.logs.core(tp(partition)).unwrap();
        rig.logs.engine.offsets(slot).end
    };
    let mut large = 0;
    while end(&rig, 0) == large {
        rig.begin(0, batch(300_000));
        large += 1;
    }
    let taken = large - 1;
    rig.begin(1, batch(100));
    assert_eq!(end(&rig, 1), 1, "there is room for a small one");
    rig.begin(0, batch(100));
    rig.begin(1, batch(300_000));
    rig.begin(1, batch(100));
    assert_eq!((end(&rig, 0), end(&rig, 1)), (taken, 1), "what waits is not overtaken");
    rig.settle();
    while !rig.logs.is_quiet() {
        let mut out = Outbox::default();
        let _ = rig.logs.retry(Now::at(rig.now_ms), &mut out);
        Rig::tell(out);
        rig.settle();
    }
    assert_eq!((end(&rig, 0), end(&rig, 1)), (large + 1, 3));
    assert_eq!(rig.replies.borrow().len() as i64, large + 4);
}

/// When there is room again, all that waited is appended in its order, some at a time.
#[test]
fn very_many_appends_that_waited_follow_in_parts() {
    let mut rig = Rig::new(1, &[]);
    let end = |rig: &Rig| {
        let (slot, _) = rig.logs.core(tp(0)).unwrap();
        rig.logs.engine.offsets(slot).end
    };
    let mut before = 0;
    while end(&rig) == before {
        rig.begin(0, batch(300_000));
        before += 1;
    }
    for _ in 0..5_000 {
        rig.begin(0, batch(10));
    }
    rig.settle();
    let mut parts = Vec::new();
    while !rig.logs.is_quiet() {
        let mut out = Outbox::default();
        let (done, _) = rig.logs.retry(Now::at(rig.now_ms), &mut out);
        parts.push(done);
        Rig::tell(out);
        rig.settle();
    }
    assert_eq!(end(&rig), before + 5_000);
    assert_eq!(parts.iter().sum::<usize>(), 5_001);
    assert!(parts.len() > 4 && parts.iter().all(|it| *it <= 1_024), "{parts:?}");
}

/// The records of the only partition, from its start on: offset, key, first byte of the value.
fn records_of(rig: &mut Rig) -> Vec<(i64, u8, u8)> {
    let (_, core) = rig.logs.core(tp(0)).unwrap();
    let (mut at, end) = (core.log_start(), core.high_watermark());
    let mut all = Vec::new();
    while at < end {
        let read = ReadRequest::of_leader(tp(0), at, 1 << 20);
        let result = loop {
            match rig.logs.read(&read, 1 << 20, true) {
                Progress::Done(result) => break result,
                Progress::Wait(_) => rig.settle(),
            }
        };
        assert_eq!(result.error, ErrorCode::NONE);
        for (header, batch) in result.slices.iter().flat_map(|it| batches(it)) {
            at = header.next_offset();
            for record in &records(batch, 1 << 20).unwrap() {
                let it = record.unwrap();
                all.push((it.offset, it.key.unwrap()[0], it.value.unwrap()[0]));
            }
        }
    }
    all
}

#[test]
fn a_compacted_partition_keeps_the_last_record_of_each_key_and_its_producers() {
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.bytes", "1048576"),
        ("min.cleanable.dirty.ratio", "0.1"),
    ];
    let mut rig = Rig::new(1, &settings);
    let batch_of = |round: u8| {
        let mut builder =
            BatchBuilder::new(Compression::None).producer(5, 0, 10 * i32::from(round));
        for key in 0..10 {
            builder.push(i64::from(round), Some(&[key]), Some(&[round; 10_000]), &[]);
        }
        builder
    };
    // The last of another producer, whose records are all replaced.
    let mut first = BatchBuilder::new(Compression::Lz4).producer(6, 0, 70);
    first.push(0, Some(&[3]), Some(&[99]), &[]);
    assert_eq!(rig.append(0, first.clone()).error, ErrorCode::NONE);
    for round in 0..40 {
        assert_eq!(rig.append(0, batch_of(round)).error, ErrorCode::NONE);
    }
    let before = records_of(&mut rig);
    assert_eq!(before.len(), 401);
    for _ in 0..1_000 {
        rig.now_ms += 31_000;
        rig.logs.engine.tick(rig.now_ms);
        rig.settle();
        if rig.logs.engine.stats().compaction_passes > 0 {
            break;
        }
    }
    let stats = rig.logs.engine.stats();
    assert_eq!((stats.compaction_passes, stats.compaction_cut_short), (1, 0));
    let (slot, core) = rig.logs.core(tp(0)).unwrap();
    let cleaned = rig.logs.engine.cleaned_end(slot);
    assert!(
        cleaned > 200 && cleaned < core.high_watermark(),
        "{cleaned}: all but the last segment"
    );
    let after = records_of(&mut rig);
    let last = |key: u8| before.iter().rfind(|it| it.1 == key && it.0 < cleaned);
    let kept = |it: &&(i64, u8, u8)| it.0 >= cleaned || last(it.1) == Some(*it);
    let expected: Vec<_> = before.iter().filter(kept).copied().collect();
    assert_eq!(after, expected);
    // Its batch is still there, without records: a retry is told from something new.
    let again = rig.append(0, first);
    assert_eq!((again.error, again.base_offset), (ErrorCode::NONE, 0));
    let place = rig.read(0, 1, 1);
    let empty = batches(&place.slices[0]).next().unwrap().0;
    assert_eq!((empty.producer_id, empty.last_sequence(), empty.record_count), (6, 70, 0));
    assert_eq!(rig.append(0, batch_of(40)).error, ErrorCode::NONE);
    assert_eq!(records_of(&mut rig).len(), after.len() + 10);
}

/// A consumer reads from a follower what is known there to be committed; what a follower does not have yet it may wait
/// for.
#[test]
fn a_follower_gives_what_is_committed() {
    let mut rig = Rig::new(1, &[]);
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(7, None, Some(b"value"), &[]);
    assert_eq!(rig.append(0, builder).error, ErrorCode::NONE);
    let before = image(1, &[]);
    let change = PartitionChange {
        leader: Some(2),
        isr: Some([2].into()),
        replicas: Some([2, 1].into()),
        ..PartitionChange::default()
    };
    let mut after = before.clone();
    after.apply(&Record::PartitionsChanged { id: TOPIC, changes: vec![(0, change)] });
    let mut out = Outbox::default();
    for it in changes(&before, &after) {
        rig.logs.change(&it, &after, Now::at(1_000), &mut out);
    }
    let mut read = |offset, current_leader_epoch, from_followers| {
        let read = ReadRequest {
            current_leader_epoch,
            from_followers,
            ..ReadRequest::of_leader(tp(0), offset, 1 << 20)
        };
        match rig.logs.read(&read, 1 << 20, true) {
            Progress::Done(it) => (it.error, it.bytes > 0, it.is_ahead, it.high_watermark),
            Progress::Wait(_) => unreachable!("nothing has left the memory"),
        }
    };
    let refused = |error| (error, false, false, -1);
    assert_eq!(read(0, 1, false), refused(ErrorCode::NOT_LEADER_OR_FOLLOWER));
    assert_eq!(read(0, 1, true), (ErrorCode::NONE, true, false, 1));
    assert_eq!(read(0, -1, true), (ErrorCode::NONE, true, false, 1));
    assert_eq!(read(0, 0, true), refused(ErrorCode::FENCED_LEADER_EPOCH));
    assert_eq!(read(0, 2, true), refused(ErrorCode::UNKNOWN_LEADER_EPOCH));
    assert_eq!(read(1, 1, true), (ErrorCode::NONE, false, false, 1));
    assert_eq!(read(2, 1, true), (ErrorCode::NONE, false, true, 1));
    assert_eq!(read(-1, 1, true), refused(ErrorCode::OFFSET_OUT_OF_RANGE));
}
