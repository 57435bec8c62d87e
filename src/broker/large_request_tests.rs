//! Requests that name very many partitions are read, carried out and answered in parts: counted in steps of
//! work.

use super::testing::{Rig, image_with_groups};
use super::{ConnectionId, Input, work};
use crate::storage::device::disk::Disk;
use crate::storage::device::sim_disk::SimDisk;
use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::header::decode_response;
use crate::wire::kafka::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use crate::wire::kafka::delete_records_response::DeleteRecordsResponse;
use crate::wire::kafka::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use crate::wire::kafka::fetch_response::FetchResponse;
use crate::wire::kafka::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use crate::wire::kafka::list_offsets_response::ListOffsetsResponse;
use crate::wire::kafka::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use crate::wire::kafka::offset_commit_response::OffsetCommitResponse;
use crate::wire::kafka::offset_delete_request::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use crate::wire::kafka::offset_delete_response::OffsetDeleteResponse;
use crate::wire::kafka::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use crate::wire::kafka::offset_fetch_response::OffsetFetchResponse;
use crate::wire::kafka::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use crate::wire::kafka::offset_for_leader_epoch_response::OffsetForLeaderEpochResponse;
use crate::wire::kafka::produce_request::{ProduceRequest, TopicProduceData};
use crate::wire::kafka::produce_response::ProduceResponse;
use crate::wire::records::{BatchBuilder, Compression};
use crate::wire::{Reader, WireError, Writer};

/// Partitions of the topic `t`.
const PARTITIONS: i32 = 20_000;
const MEMORY: usize = 1 << 30;

fn rig() -> Rig {
    let image = image_with_groups(PARTITIONS as usize);
    Rig::with_room(&Disk::Sim(SimDisk::new(1)), &image, MEMORY, 64 << 20)
}

impl Rig {
    /// Asks something about every partition, which takes so many steps for each of them at least; the
    /// error codes of the answer.
    fn ask_of_all(
        &mut self,
        connection: ConnectionId,
        api: (ApiKey, i16),
        steps: usize,
        body: impl FnOnce(&mut Writer) -> Result<(), WireError>,
        codes: impl FnOnce(&mut Reader<'_>) -> Result<Vec<i16>, WireError>,
    ) {
        let before = self.inputs;
        let codes = self.ask(connection, api, body, codes);
        assert_eq!(codes, vec![0; PARTITIONS as usize], "{}", api.0);
        let (most, inputs) = (self.broker.steps_most(), self.inputs - before);
        println!("{}: {most} steps of {inputs} inputs", api.0);
        assert!(most <= work::BOUND, "{}: one input took {most} steps", api.0);
        let parts = steps * PARTITIONS as usize / (work::INPUT + work::PIECE) as usize;
        assert!(inputs >= parts, "{}: {inputs} inputs", api.0);
    }
}

fn commit(group: &str, offset: i64) -> OffsetCommitRequest<'_> {
    let partition = |partition_index| OffsetCommitRequestPartition {
        partition_index,
        committed_offset: offset,
        ..OffsetCommitRequestPartition::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: "t",
        partitions: (0..PARTITIONS).map(partition).collect(),
        ..OffsetCommitRequestTopic::default()
    };
    OffsetCommitRequest { group_id: group, topics: vec![topic], ..OffsetCommitRequest::default() }
}

fn fetch(group: &str, partitions: Vec<i32>) -> OffsetFetchRequest<'_> {
    let topic = OffsetFetchRequestTopics {
        name: "t",
        topic_id: TopicId::ZERO,
        partition_indexes: partitions,
    };
    let group = OffsetFetchRequestGroup {
        group_id: group,
        topics: Some(vec![topic]),
        ..OffsetFetchRequestGroup::default()
    };
    OffsetFetchRequest { groups: vec![group], ..OffsetFetchRequest::default() }
}

#[test]
fn offsets_of_very_many_partitions_are_committed_fetched_and_deleted_in_parts() {
    let mut rig = rig();
    let connection = rig.connect();
    for offset in [5, 6] {
        let request = commit("g", offset);
        // Read, looked up, made into records, into batches, entered; the answer made and written.
        rig.ask_of_all(
            connection,
            (ApiKey::OFFSET_COMMIT, 8),
            7,
            |w| request.encode(w, 8),
            |r| {
                let answer = OffsetCommitResponse::decode(r, 8)?;
                Ok(answer.topics[0].partitions.iter().map(|it| it.error_code).collect())
            },
        );
    }
    let request = fetch("g", (0..PARTITIONS).collect());
    let mut offsets = Vec::new();
    rig.ask_of_all(
        connection,
        (ApiKey::OFFSET_FETCH, 8),
        3,
        |w| request.encode(w, 8),
        |r| {
            let answer = OffsetFetchResponse::decode(r, 8)?;
            let partitions = &answer.groups[0].topics[0].partitions;
            offsets = partitions.iter().map(|it| it.committed_offset).collect();
            Ok(partitions.iter().map(|it| it.error_code).collect())
        },
    );
    assert_eq!(offsets, vec![6; PARTITIONS as usize]);
    let partition = |partition_index| OffsetDeleteRequestPartition { partition_index };
    let partitions = (0..PARTITIONS).map(partition).collect();
    let topics = vec![OffsetDeleteRequestTopic { name: "t", partitions }];
    let request = OffsetDeleteRequest { group_id: "g", topics };
    rig.ask_of_all(
        connection,
        (ApiKey::OFFSET_DELETE, 0),
        4,
        |w| request.encode(w, 0),
        |r| {
            let answer = OffsetDeleteResponse::decode(r, 0)?;
            assert_eq!(answer.error_code, 0);
            Ok(answer.topics[0].partitions.iter().map(|it| it.error_code).collect())
        },
    );
    let left = fetch("g", vec![0, PARTITIONS - 1]);
    let left = rig.ask(connection, (ApiKey::OFFSET_FETCH, 8), |w| left.encode(w, 8), offsets_of);
    assert_eq!(left, [-1, -1]);
}

fn offsets_of(r: &mut Reader<'_>) -> Result<Vec<i64>, WireError> {
    let answer = OffsetFetchResponse::decode(r, 8)?;
    let partitions = &answer.groups[0].topics[0].partitions;
    Ok(partitions.iter().map(|it| it.committed_offset).collect())
}

/// While a long commit goes on, others see all of it or nothing, and other groups are served.
#[test]
fn a_long_commit_is_seen_whole_and_holds_up_its_group_alone() {
    let mut rig = rig();
    let [long, same, other] = [(); 3].map(|()| rig.connect());
    rig.send(long, (ApiKey::OFFSET_COMMIT, 8), |w| commit("g", 5).encode(w, 8));
    rig.settle();
    rig.received(long);
    rig.send(long, (ApiKey::OFFSET_COMMIT, 8), |w| commit("g", 6).encode(w, 8));
    let mut small = commit("h", 1);
    small.topics[0].partitions.truncate(1);
    let (mut asked, mut answered_others, mut committed) = (0, 0, false);
    let mut answers = Vec::new();
    for step in 0.. {
        if step % 3 == 0 && asked < 40 {
            asked += 1;
            let ends = fetch("g", vec![0, PARTITIONS - 1]);
            rig.send(same, (ApiKey::OFFSET_FETCH, 8), |w| ends.encode(w, 8));
            rig.send(other, (ApiKey::OFFSET_COMMIT, 8), |w| small.encode(w, 8));
        }
        rig.disk_and_turn();
        if !rig.broker.has_work() {
            break;
        }
        rig.handle(Input::Continue);
        answers.extend(rig.outgoing(same));
        // Commits of another group are answered meanwhile.
        committed |= !rig.outgoing(long).is_empty();
        let other = !rig.outgoing(other).is_empty();
        answered_others += usize::from(other && !committed);
    }
    rig.settle();
    committed |= !rig.received(long).is_empty();
    answers.extend(rig.received(same));
    let mut rest = &answers[..];
    let mut seen = Vec::new();
    while let Some((len, behind)) = rest.split_first_chunk() {
        let (answer, behind) = behind.split_at(i32::from_be_bytes(*len) as usize);
        let mut r = Reader::new(answer);
        decode_response(ApiKey::OFFSET_FETCH, 8, &mut r).unwrap();
        seen.push(offsets_of(&mut r).unwrap());
        rest = behind;
    }
    assert_eq!(seen.len(), asked);
    assert!(seen.iter().all(|it| it == &[5, 5] || it == &[6, 6]), "{seen:?}");
    assert_eq!(seen.last().unwrap(), &[6, 6]);
    assert!(committed && answered_others > 1, "{answered_others} answers meanwhile");
}

#[test]
fn very_many_partitions_are_looked_up_and_trimmed_in_parts() {
    let mut rig = rig();
    let connection = rig.connect();
    let partition = |partition_index| ListOffsetsPartition {
        partition_index,
        timestamp: -1,
        ..ListOffsetsPartition::default()
    };
    let partitions = (0..PARTITIONS).map(partition).collect();
    let topics = vec![ListOffsetsTopic { name: "t", partitions }];
    let request = ListOffsetsRequest { topics, ..ListOffsetsRequest::default() };
    // Read, looked up; found; entered; read again, the answer made and written.
    rig.ask_of_all(
        connection,
        (ApiKey::LIST_OFFSETS, 7),
        7,
        |w| request.encode(w, 7),
        |r| {
            let answer = ListOffsetsResponse::decode(r, 7)?;
            Ok(answer.topics[0].partitions.iter().map(|it| it.error_code).collect())
        },
    );
    let partition = |partition| OffsetForLeaderPartition {
        partition,
        leader_epoch: 0,
        ..OffsetForLeaderPartition::default()
    };
    let partitions = (0..PARTITIONS).map(partition).collect();
    let topics = vec![OffsetForLeaderTopic { topic: "t", partitions }];
    let request = OffsetForLeaderEpochRequest { topics, ..OffsetForLeaderEpochRequest::default() };
    rig.ask_of_all(
        connection,
        (ApiKey::OFFSET_FOR_LEADER_EPOCH, 4),
        7,
        |w| request.encode(w, 4),
        |r| {
            let answer = OffsetForLeaderEpochResponse::decode(r, 4)?;
            Ok(answer.topics[0].partitions.iter().map(|it| it.error_code).collect())
        },
    );
    let partition = |partition_index| DeleteRecordsPartition { partition_index, offset: -1 };
    let partitions = (0..PARTITIONS).map(partition).collect();
    let topics = vec![DeleteRecordsTopic { name: "t", partitions }];
    let request = DeleteRecordsRequest { topics, timeout_ms: 1_000 };
    rig.ask_of_all(
        connection,
        (ApiKey::DELETE_RECORDS, 2),
        7,
        |w| request.encode(w, 2),
        |r| {
            let answer = DeleteRecordsResponse::decode(r, 2)?;
            Ok(answer.topics[0].partitions.iter().map(|it| it.error_code).collect())
        },
    );
}

fn batch() -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(7, None, Some(&[0; 20]), &[]);
    builder.build()
}

#[test]
fn very_many_small_batches_are_appended_in_parts() {
    let mut rig = rig();
    let connection = rig.connect();
    let batch = batch();
    let parts: Vec<(i32, &[u8])> = (0..8_000).map(|index| (index, &batch[..])).collect();
    let before = rig.inputs;
    // One that waits behind it on the connection comes behind it in each log.
    rig.produce(connection, &parts);
    rig.produce(connection, &parts);
    rig.settle();
    let most = rig.broker.steps_most();
    let inputs = rig.inputs - before;
    println!("{most} steps of {inputs} inputs");
    assert!(most <= work::BOUND, "one input took {most} steps");
    // Both are read, looked up, handed over and appended; their answers are made and written.
    let parts = 2 * 6 * 8_000 / (work::INPUT + work::PIECE) as usize;
    assert!(inputs >= parts, "{inputs} inputs");
    let received = rig.received(connection);
    let mut rest = &received[..];
    let mut offsets = Vec::new();
    while let Some((len, behind)) = rest.split_first_chunk() {
        let (answer, behind) = behind.split_at(i32::from_be_bytes(*len) as usize);
        let mut r = Reader::new(answer);
        decode_response(ApiKey::PRODUCE, 9, &mut r).unwrap();
        let answer = ProduceResponse::decode(&mut r, 9).unwrap();
        let partitions = &answer.responses[0].partition_responses;
        assert_eq!(partitions.len(), 8_000);
        assert!(partitions.iter().all(|it| it.error_code == 0));
        offsets.push(partitions[0].base_offset);
        assert!(partitions.iter().all(|it| it.base_offset == partitions[0].base_offset));
        rest = behind;
    }
    assert_eq!(offsets, [0, 1]);
}

#[test]
fn very_many_topics_without_partitions_are_read_and_answered_in_parts() {
    let mut rig = rig();
    let connection = rig.connect();
    let topics = PARTITIONS as usize;
    let topic = TopicProduceData { name: "t", ..TopicProduceData::default() };
    let request = ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 1_000,
        topic_data: vec![topic; topics],
    };
    let before = rig.inputs;
    let answered = rig.ask(
        connection,
        (ApiKey::PRODUCE, 9),
        |w| request.encode(w, 9),
        |r| Ok(ProduceResponse::decode(r, 9)?.responses.len()),
    );
    assert_eq!(answered, topics);
    let inputs = rig.inputs - before;
    assert!(rig.broker.steps_most() <= work::BOUND);
    // They are read and looked up, their answers made and written.
    let parts = 4 * topics / (work::INPUT + work::PIECE) as usize;
    assert!(inputs >= parts, "{inputs} inputs");
}

/// A fetch notes that it waits for many partitions in parts: what is appended between two of them wakes
/// it, whatever the partition.
#[test]
fn a_fetch_waits_for_very_many_partitions_in_parts_and_misses_nothing() {
    let mut rig = rig();
    let [reader, writer] = [(); 2].map(|()| rig.connect());
    let partition = |partition| FetchPartition {
        partition,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let topic = FetchTopic {
        topic: "t",
        partitions: (0..PARTITIONS).map(partition).collect(),
        ..FetchTopic::default()
    };
    let first = FetchRequest { topics: vec![topic], session_epoch: 0, ..FetchRequest::default() };
    let session = rig.ask(
        reader,
        (ApiKey::FETCH, 12),
        |w| first.encode(w, 12),
        |r| {
            let answer = FetchResponse::decode(r, 12)?;
            assert_eq!(answer.responses[0].partitions.len(), PARTITIONS as usize);
            Ok(answer.session_id)
        },
    );
    let batch = batch();
    let mut missed = 0;
    for (epoch, inputs) in (1..).zip((0..64).step_by(3)) {
        let index = [0, PARTITIONS / 2, PARTITIONS - 1][inputs / 3 % 3];
        let waits = FetchRequest {
            max_wait_ms: 5_000,
            min_bytes: 1,
            session_id: session,
            session_epoch: epoch,
            ..FetchRequest::default()
        };
        rig.send(reader, (ApiKey::FETCH, 12), |w| waits.encode(w, 12));
        for _ in 0..inputs {
            rig.handle(Input::Continue);
        }
        rig.produce(writer, &[(index, &batch)]);
        rig.settle();
        rig.received(writer);
        let answer = rig.received(reader);
        if answer.is_empty() {
            missed += 1;
            rig.now_ms += 5_000;
            rig.handle(Input::Timeout);
            rig.settle();
            rig.received(reader);
            continue;
        }
        let mut r = Reader::new(&answer[4..]);
        decode_response(ApiKey::FETCH, 12, &mut r).unwrap();
        let answer = FetchResponse::decode(&mut r, 12).unwrap();
        let partitions: Vec<i32> = answer
            .responses
            .iter()
            .flat_map(|it| &it.partitions)
            .map(|it| it.partition_index)
            .collect();
        assert!(partitions.contains(&index), "{partitions:?} of {index}");
    }
    assert_eq!(missed, 0, "appends that woke nobody");
    let most = rig.broker.steps_most();
    println!("{most} steps of {} inputs", rig.inputs);
    assert!(most <= work::BOUND, "one input took {most} steps");
}
