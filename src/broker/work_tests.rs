//! No walk over what clients can make many is done in one piece: counted in steps of work.

use super::calls::{AppendBatches, ApplyImage, CountGroups, Figures};
use super::logs_tests;
use super::testing::{Rig, image_with_groups};
use super::{GroupFigures, Input, work};
use crate::controller::{Image, NewPartition, Record};
use crate::storage::device::disk::Disk;
use crate::storage::device::sim_disk::SimDisk;
use crate::types::{ErrorCode, TopicId, TopicPartition};
use crate::wire::api_keys::ApiKey;
use crate::wire::header::decode_response;
use crate::wire::kafka::describe_groups_request::DescribeGroupsRequest;
use crate::wire::kafka::describe_groups_response::DescribeGroupsResponse;
use crate::wire::kafka::list_groups_request::ListGroupsRequest;
use crate::wire::kafka::list_groups_response::ListGroupsResponse;
use crate::wire::kafka::metadata_request::MetadataRequest;
use crate::wire::kafka::metadata_response::MetadataResponse;
use crate::wire::kafka::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use crate::wire::kafka::offset_fetch_response::OffsetFetchResponse;
use crate::wire::kafka::produce_response::ProduceResponse;
use crate::wire::records::{BatchBuilder, Compression};
use crate::wire::{Reader, Writer};
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
        partitions: vec![NewPartition::new([1])],
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
            logs_tests::append(T, builder.build())
        });
        rig.call(AppendBatches { batches: batches.collect(), routed: 0, committed_by_ms: None })
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

/// What has many entries is looked up, written and given back in parts, and is whole all the same.
#[test]
fn answers_with_many_entries_are_made_in_parts() {
    const GROUPS: usize = 6_000;
    let (mut image, _) = images();
    for topic in 0..3_000_u16 {
        let [high, low] = topic.to_be_bytes();
        let mut id = [3; 16];
        (id[0], id[1]) = (high, low);
        image.apply(&Record::TopicCreated {
            id: TopicId(id),
            name: format!("many-{topic}"),
            partitions: vec![NewPartition::new([1])],
            settings: Vec::new(),
        });
    }
    image.index = 2;
    let mut rig = Rig::new(&Disk::Sim(SimDisk::new(1)), &image, MEMORY);
    for part in 0..20 {
        let partitions = part * 250..(part + 1) * 250;
        assert_eq!(rig.commit("all", ("t", T.topic), partitions), ErrorCode::NONE);
    }
    let ids: Vec<String> = (0..GROUPS).map(|group| format!("g-{group}")).collect();
    for id in &ids {
        assert_eq!(rig.commit(id, ("gone", GONE), 0..1), ErrorCode::NONE);
    }
    let connection = rig.connect();
    let parts = |rig: &Rig, what: &str, before: usize, entries: usize| {
        rig.check(what);
        let (inputs, at_least) = (rig.inputs - before, entries / work::BOUND as usize);
        assert!(inputs > at_least, "{what}: {inputs} inputs");
    };

    let before = rig.inputs;
    let request = ListGroupsRequest::default();
    let ask = |w: &mut Writer| request.encode(w, 5);
    let listed = rig.ask(connection, (ApiKey::LIST_GROUPS, 5), ask, |r| {
        ListGroupsResponse::decode(r, 5).map(|it| it.groups.len())
    });
    assert_eq!(listed, GROUPS + 1);
    parts(&rig, "ListGroups", before, GROUPS);

    let named = OffsetFetchRequestTopics {
        name: "t",
        topic_id: TopicId::ZERO,
        // The last ones have no offset.
        partition_indexes: (0..PARTITIONS as i32 + 500).collect(),
    };
    for (topics, count) in [(None, PARTITIONS), (Some(vec![named]), PARTITIONS + 500)] {
        let before = rig.inputs;
        let group = OffsetFetchRequestGroup { group_id: "all", topics, ..Default::default() };
        let request = OffsetFetchRequest { groups: vec![group], ..Default::default() };
        let ask = |w: &mut Writer| request.encode(w, 8);
        let found = rig.ask(connection, (ApiKey::OFFSET_FETCH, 8), ask, |r| {
            let answer = OffsetFetchResponse::decode(r, 8)?;
            let partitions = &answer.groups[0].topics[0].partitions;
            let found =
                |at: usize| (partitions[at].partition_index, partitions[at].committed_offset);
            Ok((0..partitions.len()).map(found).collect::<Vec<_>>())
        });
        let expected = |partition| (partition, if partition < PARTITIONS as i32 { 5 } else { -1 });
        assert!(found.into_iter().eq((0..count as i32).map(expected)));
        parts(&rig, "OffsetFetch of one group", before, count);
    }

    let before = rig.inputs;
    let group = |id| OffsetFetchRequestGroup { group_id: id, topics: None, ..Default::default() };
    let groups = ids.iter().map(|id| group(id)).collect();
    let request = OffsetFetchRequest { groups, ..Default::default() };
    let ask = |w: &mut Writer| request.encode(w, 8);
    let found = rig.ask(connection, (ApiKey::OFFSET_FETCH, 8), ask, |r| {
        let answer = OffsetFetchResponse::decode(r, 8)?;
        let found = answer.groups.iter().map(|it| it.topics[0].partitions[0].committed_offset);
        Ok(found.sum::<i64>())
    });
    assert_eq!(found, 5 * GROUPS as i64);
    parts(&rig, "OffsetFetch of many groups", before, GROUPS);

    let before = rig.inputs;
    let groups = ids.iter().map(String::as_str).collect();
    let request = DescribeGroupsRequest { groups, include_authorized_operations: false };
    let ask = |w: &mut Writer| request.encode(w, 5);
    let described = rig.ask(connection, (ApiKey::DESCRIBE_GROUPS, 5), ask, |r| {
        let answer = DescribeGroupsResponse::decode(r, 5)?;
        Ok(answer.groups.iter().map(|it| it.group_id.to_owned()).collect::<Vec<_>>())
    });
    assert_eq!(described, ids);
    parts(&rig, "DescribeGroups", before, GROUPS);

    let before = rig.inputs;
    let request = MetadataRequest { topics: None, ..MetadataRequest::default() };
    let ask = |w: &mut Writer| request.encode(w, 12);
    let (topics, partitions) = rig.ask(connection, (ApiKey::METADATA, 12), ask, |r| {
        let answer = MetadataResponse::decode(r, 12)?;
        let partitions: usize = answer.topics.iter().map(|it| it.partitions.len()).sum();
        Ok((answer.topics.len(), partitions))
    });
    assert_eq!((topics, partitions), (3_003, 3_000 + PARTITIONS + 2));
    parts(&rig, "Metadata", before, topics + partitions);
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
        rig.produce(connection, &[(0, records)]);
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
