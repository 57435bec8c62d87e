//! A Fetch that reads from one other shard alone is held there: one message to the owner, one back.

use super::calls::{CallRequest, Message, Notice, Read, ReadEnough, Reply};
use super::logs_tests;
use super::testing::{Rig, image_with_groups, parts};
use super::{ConnectionId, Input, ShardId};
use crate::broker::api::data::{ReadRequest, ReadResult};
use crate::storage::buffer::Budget;
use crate::storage::device::disk::Disk;
use crate::storage::device::sim_disk::SimDisk;
use crate::types::{ErrorCode, TopicId, TopicPartition};
use crate::wire::Reader;
use crate::wire::api_keys::ApiKey;
use crate::wire::header::decode_response;
use crate::wire::kafka::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use crate::wire::kafka::fetch_response::FetchResponse;
use crate::wire::records::{BatchBuilder, Compression};

const TOPIC: TopicId = TopicId([7; 16]);
const T: TopicPartition = TopicPartition { topic: TOPIC, partition: 0 };
const ASKER: ShardId = 3;
const WAIT_MS: i32 = 5_000;

fn read_enough(min_bytes: usize) -> CallRequest {
    let read = ReadRequest::of_leader(T, 0, 1 << 20);
    CallRequest::ReadEnough(ReadEnough { reads: vec![read], max_bytes: 1 << 20, min_bytes })
}

fn batch(bytes: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(7, None, Some(&vec![0; bytes]), &[]);
    builder.build()
}

fn append(rig: &mut Rig, bytes: usize) {
    let reply = rig.call(super::calls::AppendBatches {
        batches: vec![logs_tests::append(T, batch(bytes))],
        routed: 0,
        committed_by_ms: None,
    });
    assert_eq!(reply.results[0].error, ErrorCode::NONE);
}

/// What the shard has answered to [`ASKER`] since the last look: by call, the bytes of its only partition.
fn answers(rig: &mut Rig) -> Vec<(u64, usize)> {
    let sent = std::mem::take(&mut rig.sent);
    let answer = |(to, message)| match (to, message) {
        (ASKER, Message::Reply { number, reply: Reply::ReadEnough(results) }) => {
            assert_eq!(results.len(), 1);
            (number, results[0].bytes)
        }
        _ => panic!("only answers leave, and to nobody else"),
    };
    sent.into_iter().map(answer).collect()
}

#[test]
fn the_owner_answers_once_there_is_enough_or_nobody_waits() {
    let mut rig = Rig::new(&Disk::Sim(SimDisk::new(1)), &image_with_groups(1), 64 << 20);
    for number in 0..3 {
        let message = Message::Request { number, request: read_enough(1_000) };
        rig.handle(Input::Message { from: ASKER, message });
    }
    rig.settle();
    append(&mut rig, 400);
    assert_eq!(answers(&mut rig), [], "not enough yet");
    let one = batch(400).len();

    let message = Message::Notice(Notice::HungUp(1));
    rig.handle(Input::Message { from: ASKER, message });
    rig.settle();
    assert_eq!(answers(&mut rig), [(1, one)], "with what there is");

    append(&mut rig, 400);
    assert_eq!(answers(&mut rig), [], "{} bytes are less than 1,000", 2 * one);
    append(&mut rig, 400);
    assert_eq!(answers(&mut rig), [(0, 3 * one), (2, 3 * one)]);

    let message = Message::Request { number: 9, request: read_enough(1_000_000) };
    rig.handle(Input::Message { from: ASKER, message });
    rig.settle();
    assert_eq!(answers(&mut rig), []);
    rig.call(super::Drain);
    assert_eq!(answers(&mut rig), [(9, 3 * one)], "a shard that drains holds nobody");
}

/// Shard 0 of two, a client, and a partition of the other shard.
fn asker() -> (Rig, ConnectionId, i32) {
    let disk = Disk::Sim(SimDisk::new(1));
    let mut parts = parts(&disk, &image_with_groups(2), Budget::new(64 << 20));
    parts.shards = 2;
    let mut rig = Rig::of(&disk, parts);
    let connection = rig.connect();
    let others = (0..2).find(|&it| TopicPartition { topic: TOPIC, partition: it }.shard(2) == 1);
    (rig, connection, others.expect("partitions go round the shards"))
}

fn fetch(rig: &mut Rig, connection: ConnectionId, partition: i32) {
    let partition =
        FetchPartition { partition, partition_max_bytes: 1 << 20, ..FetchPartition::default() };
    let topic = FetchTopic { topic: "t", partitions: vec![partition], ..FetchTopic::default() };
    let request = FetchRequest {
        max_wait_ms: WAIT_MS,
        min_bytes: 1,
        max_bytes: 1 << 20,
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    };
    rig.send(connection, (ApiKey::FETCH, 12), |w| request.encode(w, 12));
    rig.settle();
}

/// Error and number of bytes of the only partition of the answer, if there is one.
fn fetched(rig: &mut Rig, connection: ConnectionId) -> Option<(i16, usize)> {
    let answer = rig.received(connection);
    if answer.is_empty() {
        return None;
    }
    let mut r = Reader::new(&answer[4..]);
    decode_response(ApiKey::FETCH, 12, &mut r).unwrap();
    let answer = FetchResponse::decode(&mut r, 12).unwrap();
    let partition = &answer.responses[0].partitions[0];
    Some((partition.error_code, partition.records.map_or(0, <[u8]>::len)))
}

/// The number of the only message that has left, a held read.
fn held(rig: &mut Rig) -> u64 {
    match rig.sent.pop() {
        Some((1, Message::Request { number, request: CallRequest::ReadEnough(_) })) => {
            assert!(rig.sent.is_empty(), "one message");
            number
        }
        _ => panic!("the owner is asked, and may hold it"),
    }
}

fn answer(rig: &mut Rig, number: u64, results: Vec<ReadResult>) {
    let message = Message::Reply { number, reply: Reply::ReadEnough(results) };
    rig.handle(Input::Message { from: 1, message });
    rig.settle();
}

fn nothing() -> ReadResult {
    ReadResult { high_watermark: 0, log_start: 0, ..ReadResult::failed(0, ErrorCode::NONE) }
}

#[test]
fn a_fetch_that_is_held_costs_two_messages() {
    let (mut rig, connection, partition) = asker();
    fetch(&mut rig, connection, partition);
    let number = held(&mut rig);
    let batch = batch(100);
    let bytes = batch.len();
    let slices = vec![batch.into()];
    answer(&mut rig, number, vec![ReadResult { slices, bytes, counted: bytes, ..nothing() }]);
    assert_eq!(fetched(&mut rig, connection), Some((0, bytes)));
    assert!(rig.sent.is_empty(), "nothing more is to be said to the owner");
}

#[test]
fn a_held_fetch_whose_time_is_over_asks_for_what_there_is() {
    let (mut rig, connection, partition) = asker();
    fetch(&mut rig, connection, partition);
    let number = held(&mut rig);
    rig.now_ms += i64::from(WAIT_MS);
    rig.handle(Input::Timeout);
    rig.settle();
    let told = rig.sent.pop();
    assert!(
        matches!(told, Some((1, Message::Notice(Notice::HungUp(it)))) if it == number),
        "the owner is told"
    );
    assert_eq!(fetched(&mut rig, connection), None, "its answer comes from the owner");
    answer(&mut rig, number, vec![nothing()]);
    assert_eq!(fetched(&mut rig, connection), Some((0, 0)));
}

/// The topic may have been deleted while the owner held it: then the metadata say what the error is.
#[test]
fn a_held_fetch_that_fails_is_asked_once_more() {
    let (mut rig, connection, partition) = asker();
    fetch(&mut rig, connection, partition);
    let number = held(&mut rig);
    let failed = || vec![ReadResult::failed(0, ErrorCode::NOT_LEADER_OR_FOLLOWER)];
    answer(&mut rig, number, failed());
    assert_eq!(fetched(&mut rig, connection), None);
    let Some((1, Message::Request { number, request: CallRequest::Read(read) })) = rig.sent.pop()
    else {
        panic!("it is asked again");
    };
    let Read { reads, waiter, .. } = read;
    assert_eq!((reads.len(), waiter.is_none()), (1, true), "and does not wait");
    let reply = super::calls::ReadReply { results: failed(), noted: false };
    let message = Message::Reply { number, reply: Reply::Read(reply) };
    rig.handle(Input::Message { from: 1, message });
    rig.settle();
    let error = fetched(&mut rig, connection).map(|(error, _)| error);
    assert_eq!(error, Some(ErrorCode::NOT_LEADER_OR_FOLLOWER.0));
}
