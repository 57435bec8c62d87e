//! The structs that are viewed in place are those of `schemas/frame.fbs`.

#[expect(warnings, clippy::all, clippy::pedantic, reason = "generated")]
#[rustfmt::skip]
#[path = "generated/frame.rs"]
mod generated;

use super::block::{self, BlockHeader, ControlBody, EntryHeader, Journal, Kind, Place, Run};
use super::frame::{FrameFields, FrameHeader};
use super::segment::Cut;
use crate::types::{TopicId, TopicPartition};
use generated::klamm::frame as fb;
use zerocopy::IntoBytes;

const TP: TopicPartition = TopicPartition { topic: TopicId(*b"0123456789abcdef"), partition: -77 };

#[test]
fn the_generated_code_is_fresh() {
    let schema = include_bytes!("../../../schemas/frame.fbs");
    let expected = format!("// CRC-32C of schemas/frame.fbs: {:08x}", crc32c::crc32c(schema));
    assert_eq!(
        include_str!("generated/frame.rs").lines().next(),
        Some(expected.as_str()),
        "schemas/frame.fbs changed: run the `flatc` of crate flatc-fork 0.6.0+25.12.19 as \
         `flatc --rust -o src/storage/format/generated schemas/frame.fbs`, rename the output to frame.rs \
         and put the expected line above it"
    );
}

#[test]
fn a_frame_header_is_the_schemas() {
    let fields = FrameFields {
        tp: TP,
        leader_epoch: 0x0102_0304,
        base_offset: 0x1112_1314_1516_1718,
        last_offset: 0x2122_2324_2526_2728,
        max_timestamp: 0x3132_3334_3536_3738,
        append_time: 0x4142_4344_4546_4748,
        batch_count: 0x5152_5354,
        previous_checksum: 0x6162_6364,
    };
    let header = FrameHeader::seal(&fields, b"payload");
    let seen = fb::FrameHeader(header.as_bytes().try_into().expect("the same size"));
    assert_eq!(seen.magic().to_le_bytes(), *b"KLFR");
    assert_eq!((seen.version(), seen.kind(), seen.flags()), (1, 0, 0));
    assert_eq!(seen.topic_id().iter().collect::<Vec<_>>(), TP.topic.0);
    assert_eq!((seen.partition(), seen.leader_epoch()), (-77, fields.leader_epoch));
    assert_eq!((seen.base_offset(), seen.last_offset()), (fields.base_offset, fields.last_offset));
    assert_eq!(seen.max_timestamp(), fields.max_timestamp);
    assert_eq!(seen.append_time(), fields.append_time);
    assert_eq!((seen.batch_count(), seen.payload_length()), (fields.batch_count, 7));
    assert_eq!(seen.previous_checksum(), fields.previous_checksum);
    assert_eq!(seen.payload_checksum(), crc32c::crc32c(b"payload"));
    assert_eq!(seen.header_checksum(), header.header_checksum());
}

#[test]
fn block_and_entry_headers_are_the_schemas() {
    let (line, body) = block::control_entry(0x0102_0304_0506_0708, Kind::LogStart, TP, 99);
    let seen = fb::EntryHeader(line.as_bytes().try_into().expect("the same size"));
    assert_eq!((seen.lsn(), seen.length(), seen.kind()), (0x0102_0304_0506_0708, 32, 4));
    assert_eq!((seen.flags(), seen.body_checksum()), (0, crc32c::crc32c(body.as_bytes())));
    let seen = fb::ControlBody(body.as_bytes().try_into().expect("the same size"));
    assert_eq!((seen.partition(), seen.offset()), (-77, 99));
    assert_eq!(size_of::<EntryHeader>() + size_of::<ControlBody>(), 56);

    let cut = Cut {
        segment: 0x11,
        length: 0x2000,
        max_timestamp: 0x33,
        max_timestamp_base: 0x44,
        last_append: 0x55,
        checksum: 0x66,
    };
    let body = block::truncate_body(TP, 99, Some(&cut), b"state");
    assert_eq!(block::truncation(&body), (Some(cut), 5));
    let (control, rest) = body.split_at(32);
    assert_eq!(fb::ControlBody(control.try_into().expect("32 bytes")).offset(), 99);
    let seen = fb::TruncateBody(rest[..48].try_into().expect("48 bytes"));
    assert_eq!((seen.segment(), seen.length(), seen.checksum()), (0x11, 0x2000, 0x66));
    assert_eq!((seen.max_timestamp(), seen.max_timestamp_base()), (0x33, 0x44));
    assert_eq!(seen.last_append(), 0x55);
    let run = Run {
        first: 99,
        next: 0x111,
        segment: 0x22,
        generation: 0x33_0000_0001,
        position: 0x4000,
        length: 0x5555,
        checksum: 0x66,
    };
    let body = block::placed_body(TP, &run);
    assert_eq!(block::placed(&body), Some(run));
    assert_eq!(block::placed(&body[..79]), None);
    let (control, rest) = body.split_at(32);
    assert_eq!(fb::ControlBody(control.try_into().expect("32 bytes")).offset(), 99);
    let seen = fb::PlacedBody(rest.try_into().expect("48 bytes"));
    assert_eq!((seen.next(), seen.segment(), seen.checksum()), (0x111, 0x22, 0x66));
    assert_eq!((seen.generation(), seen.position()), (0x33_0000_0001, 0x4000));
    assert_eq!(seen.length(), 0x5555);

    let body = block::truncate_body(TP, 99, None, b"");
    assert_eq!(block::truncation(&body), (None, 0));

    let journal = Journal { directory_id: *b"fedcba9876543210", life: 0x1111_2222, shard: 0x33 };
    let place = Place { sequence: 0x4444, durable_through: 0x5555, previous_checksum: 0x6666 };
    let mut block = vec![0; 4096];
    let checksum = block::seal(&mut block, journal, place, 1);
    let bytes: [u8; size_of::<BlockHeader>()] =
        block[..block::HEADER].try_into().expect("a header");
    let seen = fb::BlockHeader(bytes);
    assert_eq!(seen.magic().to_le_bytes(), *b"KLJB");
    assert_eq!((seen.version(), seen.shard(), seen.life()), (1, 0x33, 0x1111_2222));
    assert_eq!(seen.directory_id().iter().collect::<Vec<_>>(), journal.directory_id);
    assert_eq!((seen.sequence(), seen.durable_through()), (0x4444, 0x5555));
    assert_eq!((seen.length(), seen.entries()), (4096, 1));
    assert_eq!((seen.previous_checksum(), seen.checksum()), (0x6666, checksum));
}
