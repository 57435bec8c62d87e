//! No walk over what clients can make many is done in one piece: counted in steps of work.

use super::calls::{AppendBatches, ApplyImage, CountGroups, Figures};
use super::testing::{Rig, image_with_groups};
use super::{GroupFigures, Input, work};
use crate::broker::api::data::AppendRequest;
use crate::controller::{Image, NewPartition, Record};
use crate::storage::device::disk::Disk;
use crate::storage::device::sim_disk::SimDisk;
use crate::types::{ErrorCode, TopicId, TopicPartition};
use crate::wire::api_keys::ApiKey;
use crate::wire::header::decode_response;
use crate::wire::kafka::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use crate::wire::kafka::produce_response::ProduceResponse;
use crate::wire::records::{BatchBuilder, BatchHeader, Compression};
use crate::wire::Reader;
use bytes::Bytes;
use std::sync::Arc;

const PARTITIONS: usize = 5_000;
const T: TopicPartition = TopicPartition { topic: TopicId([7; 16]), partition: 0 };
const GONE: TopicId = TopicId([8; 16]);
const MEMORY: usize = 256 << 20;

impl Rig {
    fn groups(&mut self) -> Vec<GroupFigures> {
        let mut groups = self.call(CountGroups);
        groups.sort_by(|a, b| a.group_id.cmp(&b.group_id));
        groups
    }

    fn check(&self, what: &str) {
        let most = self.broker.steps_most();
        println!("{what}: {most} steps");
        assert!(most <= work::BOUND, "{what}: one input took {most} steps");
    }
}

fn images() -> (Image, Image) {
    let mut with = image_with_groups(PARTITIONS);
    with.apply(&Record::TopicCreated {
        id: GONE,
        name: "gone".into(),
        partitions: vec![NewPartition { replicas: [1].into() }],
        settings: Vec::new(),
    });
    let mut without = with.clone();
    without.apply(&Record::TopicDeleted { id: GONE });
    without.index = 2;
    (with, without)
}

/// One group of 10,000 offsets, 10,000 groups of one: as they are committed, counted, loaded and
/// checked for topics that have gone.
#[test]
fn walks_over_groups_and_offsets_pause() {
    let (image, without) = images();
    let topic = image.topic("t").unwrap().id;
    let disk = Disk::Sim(SimDisk::new(1));
    let mut rig = Rig::new(&disk, &image, MEMORY);
    for part in 0..20 {
        for of in [("t", topic), ("u", TopicId([1; 16]))] {
            assert_eq!(rig.commit("a", of, part * 250..(part + 1) * 250), ErrorCode::NONE);
        }
    }
    for group in 0..10_000 {
        assert_eq!(rig.commit(&format!("b-{group}"), ("gone", GONE), 0..1), ErrorCode::NONE);
    }
    rig.check("commits");
    let groups = rig.groups();
    rig.check("figures");
    assert_eq!(groups.len(), 10_001);
    let lags = |group: &GroupFigures| group.offsets.iter().filter(|it| it.lag == Some(0)).count();
    assert_eq!((groups[0].offsets.len(), lags(&groups[0])), (10_000, 5_000));
    assert_eq!(groups[1..].iter().map(lags).sum::<usize>(), 10_000);
    drop(rig);

    let mut rig = Rig::new(&disk, &without, MEMORY);
    rig.check("loading");
    let groups = rig.groups();
    rig.check("figures after loading");
    // The topic `u` was never there: its offsets have gone with those of the deleted one.
    assert_eq!(groups.iter().map(|it| it.offsets.len()).sum::<usize>(), 5_000);
}

/// A setting of the broker changes each partition of each topic.
#[test]
fn metadata_is_taken_over_in_parts() {
    let (image, _) = images();
    let mut rig = Rig::new(&Disk::Sim(SimDisk::new(1)), &image, MEMORY);
    let mut changed = image.clone();
    let settings = vec![("log.retention.ms".to_owned(), Some("1000".to_owned()))];
    changed.apply(&Record::BrokerConfigSet { broker: None, settings });
    changed.index = 2;
    rig.call(ApplyImage(Arc::new(changed.clone())));
    rig.check("settings");
    assert_eq!(*rig.broker.image(), changed);

    let topic = image.topic("t").unwrap().id;
    changed.apply(&Record::TopicDeleted { id: topic });
    changed.index = 3;
    rig.call(ApplyImage(Arc::new(changed)));
    rig.check("a deleted topic");
    assert!(rig.broker.image().topic("t").is_none());
}

/// One log with many idempotent producers is captured for a checkpoint in parts.
#[test]
fn many_producers_of_one_log_are_captured_in_parts() {
    const PRODUCERS: i64 = 30_000;
    let image = image_with_groups(1);
    let disk = Disk::Sim(SimDisk::new(1));
    let mut rig = Rig::new(&disk, &image, MEMORY);
    let append = |rig: &mut Rig, ids: std::ops::Range<i64>| {
        let batches = ids.map(|id| {
            let mut builder = BatchBuilder::new(Compression::None).producer(id, 0, 0);
            builder.push(7, None, None, &[]);
            let batch = Bytes::from(builder.build());
            let header = BatchHeader::parse(&batch).unwrap();
            AppendRequest { index: 0, tp: T, batch, header }
        });
        rig.call(AppendBatches { batches: batches.collect(), routed: 0 })
    };
    for part in 0..PRODUCERS / 500 {
        append(&mut rig, part * 500..(part + 1) * 500);
    }
    // The log is idle, so it is written back, and a checkpoint is written.
    let before = rig.call(Figures).engine.rounds;
    for now_ms in (0..60_000).step_by(1_000) {
        rig.now_ms = now_ms;
        rig.handle(Input::Timeout);
        rig.settle();
    }
    assert!(rig.call(Figures).engine.rounds > before);
    rig.check("a checkpoint of many producers");
    drop(rig);

    let mut rig = Rig::new(&disk, &image, MEMORY);
    let replies = append(&mut rig, PRODUCERS - 500..PRODUCERS).results;
    assert_eq!(replies.iter().map(|it| it.base_offset).min(), Some(PRODUCERS - 500), "duplicates");
}

/// A plain batch of many MiB is checked in parts, and what is behind it on its connection waits.
#[test]
fn a_large_plain_batch_is_checked_in_parts() {
    let mut image = image_with_groups(1);
    let setting = ("max.message.bytes".to_owned(), Some((64 << 20).to_string()));
    image.apply(&Record::TopicConfigSet { id: T.topic, settings: vec![setting] });
    image.index = 2;
    let mut rig = Rig::with_room(&Disk::Sim(SimDisk::new(1)), &image, MEMORY, 64 << 20);
    let mut builder = BatchBuilder::new(Compression::None);
    for _ in 0..24 << 10 {
        builder.push(7, None, Some(&[0; 1_000]), &[]);
    }
    let large = builder.build();
    let mut damaged = large.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(7, None, None, &[]);
    let small = builder.build();
    let connection = rig.connect();
    for records in [&large, &damaged, &small] {
        let partition_data = vec![PartitionProduceData { index: 0, records: Some(records) }];
        let topic = TopicProduceData { name: "t", topic_id: TopicId::ZERO, partition_data };
        let request = ProduceRequest {
            transactional_id: None,
            acks: -1,
            timeout_ms: 1_000,
            topic_data: vec![topic],
        };
        rig.send(connection, (ApiKey::PRODUCE, 9), |w| request.encode(w, 9));
    }
    rig.settle();
    let received = rig.received(connection);
    let mut rest = &received[..];
    let mut answers = Vec::new();
    while !rest.is_empty() {
        let (len, behind) = rest.split_first_chunk().unwrap();
        let (answer, behind) = behind.split_at(i32::from_be_bytes(*len) as usize);
        let mut r = Reader::new(answer);
        decode_response(ApiKey::PRODUCE, 9, &mut r).unwrap();
        let it = ProduceResponse::decode(&mut r, 9).unwrap();
        let it = &it.responses[0].partition_responses[0];
        answers.push((it.error_code, it.base_offset));
        rest = behind;
    }
    assert_eq!(answers, [(0, 0), (ErrorCode::CORRUPT_MESSAGE.0, -1), (0, 24 << 10)]);
    rig.check("a large plain batch");
}
