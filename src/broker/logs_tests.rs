//! The partitions of a shard over a simulated disk.

use super::calls::{Append, AppendReply, ReplyTo};
use super::logs::{Logs, Outbox, Progress};
use crate::broker::api::data::{AppendRequest, Appended, ReadRequest, ReadResult};
use crate::broker::api::fetch;
use crate::broker::api::fetch_session::Sessions;
use crate::controller::{Image, NewPartition, Record};
use crate::storage::buffer::Budget;
use crate::storage::disk::Disk;
use crate::storage::engine::Engine;
use crate::storage::identity::{Expected, Identity};
use crate::storage::io::{Completion, Op, Submission};
use crate::storage::recovery::{self, OpenOptions, TopicState};
use crate::storage::sim_disk::SimDisk;
use crate::types::{TopicId, TopicPartition};
use crate::wire::Writer;
use crate::wire::kafka::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use crate::wire::records::{BatchBuilder, BatchHeader, Compression};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

const TOPIC: TopicId = TopicId([7; 16]);

fn tp(partition: i32) -> TopicPartition {
    TopicPartition { topic: TOPIC, partition }
}

fn image(partitions: usize, settings: &[(&str, &str)]) -> Image {
    let mut image = Image::new("c", 1, Arc::default());
    let replicas: Arc<[i32]> = [1].into();
    image.apply(&Record::TopicCreated {
        id: TOPIC,
        name: "t".into(),
        partitions: vec![NewPartition { replicas }; partitions],
        settings: settings.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
    });
    image
}

/// The engine of the only shard. `state` is what it gives each partition to begin with.
fn open_engine(disk: &Disk, state: &[u8]) -> Engine {
    let expected = Expected { cluster_id: None, node_id: 1, random: [5; 32] };
    let identity = Identity::open(disk, &expected).unwrap();
    let options = OpenOptions::usual(1, Budget::new(256 << 20), 4 << 20);
    let fold: recovery::Fold<'_> = &|_, _, _, _| state.to_vec();
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
        let mut logs = Logs::open(open_engine(&disk, &[]), &image, 0, 1).unwrap();
        let before = Image::new("c", 1, Arc::default());
        logs.apply(&before, &image, 1_000, &mut Outbox::default());
        Self { disk, logs, replies: Replies::default(), now_ms: 1_000 }
    }

    fn reply(&self) -> ReplyTo<Append> {
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
        let batch = bytes::Bytes::from(builder.build());
        let header = BatchHeader::parse(&batch).unwrap();
        let append =
            AppendRequest { index: 0, tp: tp(partition), batch, header, log_append_time: None };
        let call = Append { batches: vec![append], routed: 0 };
        let mut out = Outbox::default();
        let reply = self.reply();
        self.logs.append(call, 0, reply, self.now_ms, &mut out);
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
        self.begin(partition, builder);
        self.settle();
        self.replies.borrow_mut().remove(0).results.remove(0)
    }

    fn read(&mut self, offset: i64, max_bytes: usize, room: usize) -> ReadResult {
        let read = ReadRequest {
            index: 0,
            tp: tp(0),
            offset,
            max_bytes,
            current_leader_epoch: -1,
            committed: false,
        };
        match self.logs.read(&read, room, true) {
            Progress::Done(result) => result,
            Progress::Cold(_) => unreachable!("nothing has left the memory"),
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
    let opened = Logs::open(open_engine(&rig.disk, b"not a snapshot"), &image, 0, 1);
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
    let mut sessions = Sessions::new(10, 0, 1);
    fetch::plan(w.as_slice(), 12, &mut sessions, &image(1, &[]), 55 << 20, 0).unwrap()
}
