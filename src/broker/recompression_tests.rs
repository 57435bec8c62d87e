//! Batches that are compressed anew: no step is long, memory is bounded, nothing changes its place.

use super::testing::{Rig, image_with_groups};
use super::{ConnectionId, Input, work};
use crate::controller::Record;
use crate::storage::device::disk::Disk;
use crate::storage::device::sim_disk::SimDisk;
use crate::types::{ErrorCode, TopicId};
use crate::wire::Reader;
use crate::wire::api_keys::ApiKey;
use crate::wire::header::decode_response;
use crate::wire::kafka::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use crate::wire::kafka::fetch_response::FetchResponse;
use crate::wire::kafka::produce_response::ProduceResponse;
use crate::wire::records::{BatchBuilder, Compression, batches, records};

const MEMORY: usize = 32 << 20;
/// A sixteenth of it: what may wait for the journal.
const WAITS_MAX: usize = MEMORY / 16;
const PARTITIONS: i32 = 40;

/// A broker whose topic `t` has these settings.
fn rig(settings: &[(&str, &str)]) -> Rig {
    let mut image = image_with_groups(PARTITIONS as usize);
    let set = |it: &(&str, &str)| (it.0.to_owned(), Some(it.1.to_owned()));
    let settings = settings.iter().map(set).collect();
    image.apply(&Record::TopicConfigSet { id: TopicId([7; 16]), settings });
    image.index = 2;
    Rig::with_room(&Disk::Sim(SimDisk::new(1)), &image, MEMORY, 64 << 20)
}

/// The answers that have come: error code and base offset of each partition.
fn answers(rig: &mut Rig, connection: ConnectionId) -> Vec<Vec<(i16, i64)>> {
    let received = rig.received(connection);
    let (mut rest, mut all) = (&received[..], Vec::new());
    while !rest.is_empty() {
        let (len, behind) = rest.split_first_chunk().unwrap();
        let (answer, behind) = behind.split_at(i32::from_be_bytes(*len) as usize);
        let mut r = Reader::new(answer);
        decode_response(ApiKey::PRODUCE, 9, &mut r).unwrap();
        let it = ProduceResponse::decode(&mut r, 9).unwrap();
        let parts = &it.responses[0].partition_responses;
        all.push(parts.iter().map(|it| (it.error_code, it.base_offset)).collect());
        rest = behind;
    }
    all
}

/// The batches of a partition.
fn stored(rig: &mut Rig, connection: ConnectionId, partition: i32) -> Vec<u8> {
    let partition = FetchPartition {
        partition,
        current_leader_epoch: -1,
        last_fetched_epoch: -1,
        log_start_offset: -1,
        partition_max_bytes: 50 << 20,
        ..FetchPartition::default()
    };
    let topic = FetchTopic { topic: "t", partitions: vec![partition], ..FetchTopic::default() };
    let request = FetchRequest {
        replica_id: -1,
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics: vec![topic],
        ..FetchRequest::default()
    };
    rig.ask(
        connection,
        (ApiKey::FETCH, 12),
        |w| request.encode(w, 12),
        |r| {
            let answer = FetchResponse::decode(r, 12)?;
            Ok(answer.responses[0].partitions[0].records.unwrap_or_default().to_vec())
        },
    )
}

/// Lets everything happen that can; the most memory that was charged.
fn settle(rig: &mut Rig) -> usize {
    let mut most = 0;
    loop {
        most = most.max(rig.budget.used());
        let busy = rig.disk_and_turn();
        if rig.broker.has_work() {
            rig.handle(Input::Continue);
        } else if !busy {
            return most;
        }
    }
}

fn built(compression: Compression, value: &[u8], count: i32) -> Vec<u8> {
    let mut builder = BatchBuilder::new(compression);
    for _ in 0..count {
        builder.push(7, Some(b"key"), Some(value), &[("h", None)]);
    }
    builder.build()
}

fn check(rig: &Rig, what: &str) {
    let most = rig.broker.steps_most();
    println!("{what}: {most} steps");
    assert!(most <= work::BOUND, "{what}: one input took {most} steps");
}

/// Requests that become a thousand times as large: they wait for each other, and for themselves.
#[test]
fn what_gets_large_waits_for_the_journal() {
    let large = 1 << 20;
    let mut rig = rig(&[("compression.type", "uncompressed"), ("max.message.bytes", "2000000")]);
    let before = rig.budget.used();
    let batch = built(Compression::Gzip, &vec![0; large], 1);
    let small = built(Compression::None, b"small", 1);
    let mut damaged = batch.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let connections: Vec<_> = (0..3).map(|_| rig.connect()).collect();
    for (number, connection) in connections.iter().enumerate() {
        let mut parts: Vec<(i32, &[u8])> = Vec::new();
        for at in 0..12 {
            let index = number as i32 * 12 + at;
            parts.push((index, &batch));
            // What needs nothing stands behind it in its partition.
            parts.push((index, &small));
        }
        parts.push((39, &damaged));
        rig.produce(*connection, &parts);
    }
    let most = settle(&mut rig) - before;
    for connection in &connections {
        let mut expected = [(0, 0), (0, 1)].repeat(12);
        expected.push((ErrorCode::CORRUPT_MESSAGE.0, -1));
        assert_eq!(answers(&mut rig, *connection), [expected]);
    }
    check(&rig, "batches that get large");
    // One that is made, and one that was made when there was room for a byte, beside the answers.
    println!("{most} bytes");
    assert!(most <= WAITS_MAX + 3 * large, "{most} bytes");
    let log = stored(&mut rig, connections[0], 30);
    // No more of it fits into one answer.
    let (header, batch) = batches(&log).next().expect("a batch");
    assert_eq!((header.base_offset, header.compression()), (0, Ok(Compression::None)));
    header.check_crc(batch).unwrap();
    assert!(batch.len() > large);
    assert!(stored(&mut rig, connections[0], 39).is_empty());
}

/// A large batch and an expensive codec: much work, a piece at a time.
#[test]
fn a_dear_codec_is_paid_for_in_parts() {
    for (name, key, level, compression) in [
        ("zstd", "compression.zstd.level", "22", Compression::Zstd),
        ("gzip", "compression.gzip.level", "9", Compression::Gzip),
        ("lz4", "compression.lz4.level", "17", Compression::Lz4),
        ("snappy", "compression.zstd.level", "3", Compression::Snappy),
    ] {
        let mut rig =
            rig(&[("compression.type", name), (key, level), ("max.message.bytes", "9000000")]);
        let connection = rig.connect();
        let value: Vec<u8> = (0..20_000_u32).map(|it| ((it * it) >> 7) as u8).collect();
        let batch = built(Compression::None, &value, 150);
        let small = built(Compression::None, b"small", 3);
        rig.produce(connection, &[(0, &batch)]);
        rig.produce(connection, &[(0, &small)]);
        rig.settle();
        assert_eq!(answers(&mut rig, connection), [[(0, 0)], [(0, 150)]]);
        check(&rig, name);
        let log = stored(&mut rig, connection, 0);
        let mut values = Vec::new();
        for (header, bytes) in batches(&log) {
            header.check_crc(bytes).unwrap();
            assert_eq!(header.compression(), Ok(compression), "{name}");
            let all = records(bytes, 8 << 20).unwrap();
            values.extend(all.iter().map(|it| it.unwrap().value.unwrap().to_vec()));
        }
        assert_eq!(values.len(), 153);
        assert!(values[..150].iter().all(|it| *it == value));
    }
}

/// A batch that is sent again is known by its producer, not by its bytes.
#[test]
fn a_batch_that_is_sent_again_is_appended_once() {
    let mut rig = rig(&[("compression.type", "lz4")]);
    let connection = rig.connect();
    let batch = |sequence| {
        let mut builder = BatchBuilder::new(Compression::Zstd).producer(5, 0, sequence);
        builder.push(7, None, Some(b"value"), &[]).push(8, None, None, &[]);
        builder.build()
    };
    let (first, second, gap) = (batch(0), batch(2), batch(9));
    for batch in [&first, &second, &first, &gap, &second] {
        rig.produce(connection, &[(3, batch)]);
    }
    rig.settle();
    let wrong = (ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER.0, -1);
    let expected = [[(0, 0)], [(0, 2)], [(0, 0)], [wrong], [(0, 2)]];
    assert_eq!(answers(&mut rig, connection), expected);
    let log = stored(&mut rig, connection, 3);
    let all: Vec<_> = batches(&log).map(|(it, _)| (it.base_offset, it.compression())).collect();
    assert_eq!(all, [(0, Ok(Compression::Lz4)), (2, Ok(Compression::Lz4))]);
}
