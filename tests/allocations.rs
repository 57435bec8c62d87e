//! Allocations of the hot path in steady state, counted. Each one is a few dozen instructions; what
//! matters is that their number depends neither on the bytes nor on how much is in the log.

use bytes::Bytes;
use klamm::broker::api::data::Appended;
use klamm::broker::api::produce::{self, ProduceSettings};
use klamm::controller::{Image, NewPartition, Record};
use klamm::storage::buffer::Budget;
use klamm::storage::device::disk::Disk;
use klamm::storage::device::io::{Completion, Op};
use klamm::storage::device::sim_disk::SimDisk;
use klamm::storage::engine::{Append, Engine, Slot};
use klamm::storage::log::LogConfig;
use klamm::storage::recovery::identity::{Expected, Identity};
use klamm::storage::recovery::{self, OpenOptions, TopicState};
use klamm::types::{ErrorCode, TopicId, TopicPartition};
use klamm::wire::Writer;
use klamm::wire::api_keys::ApiKey;
use klamm::wire::header::RequestHeader;
use klamm::wire::kafka::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use klamm::wire::records::{AtOnce, BatchBuilder, Compression};
use std::sync::Arc;
use support::allocations::{Counting, allocated};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn counted(f: impl FnOnce()) -> u64 {
    allocated(f).1.count
}

fn batch(bytes: usize) -> Bytes {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(1, None, Some(&vec![7; bytes]), &[]);
    builder.build().into()
}

fn engine() -> Engine {
    let disk = Disk::Sim(SimDisk::new(1));
    let expected = Expected { cluster_id: None, node_id: 1, random: [5; 32] };
    let identity = Identity::open(&disk, &expected).expect("its identity");
    let options = OpenOptions::usual(1, Budget::new(1 << 30), 256 << 20);
    let fold: recovery::Fold = &|_, _, _, _| Ok(Vec::new());
    let opened = recovery::open(&disk, &identity, &options, &|_| TopicState::Live, fold);
    opened.expect("an empty directory").0.remove(0)
}

/// Appends `count` batches to each log, and completes whatever the engine asks for.
fn turn(engine: &mut Engine, logs: &mut [(Slot, i64)], count: usize, batch: &Bytes) {
    for _ in 0..count {
        for (slot, end) in logs.iter_mut() {
            engine.append(
                *slot,
                Append {
                    base_offset: *end,
                    last_offset: *end,
                    leader_epoch: 0,
                    max_timestamp: 1,
                    log_append_time: None,
                    batch: batch.clone(),
                    token: 0,
                },
            );
            *end += 1;
        }
    }
    let mut events = Vec::new();
    loop {
        engine.turn(1, &mut |_: Slot| Vec::new());
        let submissions = engine.take_submissions();
        if submissions.is_empty() {
            break;
        }
        for submission in submissions {
            let done = |id| Completion { id, result: Ok(Bytes::new()) };
            engine.complete(1, done(submission.id), &mut events);
            if let Op::WriteSync { sync_id, .. } = submission.op {
                engine.complete(1, done(sync_id), &mut events);
            }
        }
    }
}

#[test]
fn a_journal_block_takes_the_same_few_allocations_whatever_is_in_it() {
    let mut engine = engine();
    let mut logs: Vec<(Slot, i64)> = (0..64)
        .map(|partition| {
            let tp = TopicPartition { topic: TopicId([7; 16]), partition };
            (engine.create(tp, &LogConfig::none(), 0), 0)
        })
        .collect();
    let (small, large) = (batch(100), batch(10_000));
    for _ in 0..20 {
        turn(&mut engine, &mut logs, 4, &small);
    }
    let mut of = |count, batch: &Bytes| {
        let before = engine.stats().blocks;
        let made = counted(|| (0..10).for_each(|_| turn(&mut engine, &mut logs, count, batch)));
        assert_eq!(engine.stats().blocks - before, 10, "a block for each turn");
        made / 10
    };
    let (few, many, long) = (of(1, &small), of(4, &small), of(1, &large));
    println!(
        "allocations of a block: {few} for 64 batches, {many} for 256, {long} for 64 long ones"
    );
    // Lists that grow by doubling, and now and then a log's list of pending frames.
    assert!(few <= 64 && many <= few + 24 && long <= few + 24, "{few}, {many}, {long}");
}

#[test]
fn a_request_takes_the_same_few_allocations_whatever_its_size() {
    let mut image = Image::new("c", 1, Arc::default());
    let replicas: Arc<[i32]> = [1].into();
    image.apply(&Record::TopicCreated {
        id: TopicId([7; 16]),
        name: "t".into(),
        partitions: vec![NewPartition::new(replicas)],
        settings: Vec::new(),
    });
    let of = |bytes: usize| {
        let batch = batch(bytes);
        let data = PartitionProduceData { index: 0, records: Some(&batch) };
        let topic =
            TopicProduceData { name: "t", topic_id: TopicId::ZERO, partition_data: vec![data] };
        let request = ProduceRequest {
            transactional_id: None,
            acks: -1,
            timeout_ms: 1000,
            topic_data: vec![topic],
        };
        let mut w = Writer::new();
        request.encode(&mut w, 9).expect("a request that fits");
        let body: Bytes = w.into_vec().into();
        let header = RequestHeader {
            api_key: ApiKey::PRODUCE,
            version: 9,
            correlation_id: 3,
            client_id: None,
        };
        let once = || {
            let settings = ProduceSettings { now_ms: 5, strict: false, at_once: AtOnce::ALL };
            let (mut plan, batches) = produce::plan(&body, 9, &image, settings).expect("it reads");
            assert_eq!(batches.appends.len(), 1);
            plan.enter(Appended {
                index: 0,
                error: ErrorCode::NONE,
                base_offset: 5,
                log_append_time_ms: -1,
                log_start_offset: 0,
            });
            plan.response(&header, &image).expect("an answer");
        };
        once();
        counted(once)
    };
    let (small, large) = (of(100), of(900_000));
    println!("allocations of a request: {small}, of a large one {large}");
    assert_eq!(small, large);
    assert!(small <= 12, "{small}");
}
