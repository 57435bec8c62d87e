//! The codec against the table, against the `kafka-protocol` crate, and against hostile bytes.

mod dispatch;
mod headers;
mod kafka_jar;
mod sample;
mod tree;

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{ApiKey, RequestKind, ResponseKind};
use klamm::types::Rng;
use klamm::wire::WireError;
use klamm::wire::primitives::{ALLOCATION_BASE, ALLOCATION_FACTOR};
use sample::Sampler;
use std::collections::BTreeSet;
use support::allocations::{Counting, allocated};
use support::schema::{self, Api, Message};
use tree::Tree;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Random values for each version of each message.
const SAMPLES: u64 = 60;

/// Messages and versions that came after Kafka 4.1, whose definitions the oracle has.
const LATER: [&str; 25] = [
    "AddRaftVoterRequest 1",
    "AddRaftVoterResponse 1",
    "DescribeLogDirsRequest 5",
    "DescribeLogDirsResponse 5",
    "DescribeShareGroupOffsetsRequest 1",
    "DescribeShareGroupOffsetsResponse 1",
    "InitProducerIdRequest 6",
    "ListOffsetsRequest 11",
    "ListOffsetsResponse 11",
    "OffsetCommitRequest 10",
    "OffsetFetchRequest 10",
    "ReadShareGroupStateSummaryRequest 1",
    "ReadShareGroupStateSummaryResponse 1",
    "ShareAcknowledgeRequest 2",
    "ShareAcknowledgeResponse 2",
    "ShareFetchRequest 2",
    "ShareFetchResponse 2",
    "StreamsGroupDescribeRequest 0",
    "StreamsGroupDescribeResponse 0",
    "StreamsGroupHeartbeatRequest 0",
    "StreamsGroupHeartbeatResponse 0",
    "WriteShareGroupStateRequest 1",
    "WriteShareGroupStateResponse 1",
    "WriteTxnMarkersRequest 2",
    "WriteTxnMarkersResponse 2",
];

/// Calls `check` with samples of every version of every message.
fn each_sample(salt: u64, count: u64, mut check: impl FnMut(&Api, &Message, i16, Sampler<'_>)) {
    for api in &schema::load() {
        for message in &api.messages {
            for version in api.versions.min..=api.versions.max {
                for n in 0..count {
                    let key = api.key as u64 * 2 + u64::from(message.is_request);
                    let mut rng = Rng::new(salt << 48 | key << 32 | (version as u64) << 24 | n);
                    check(api, message, version, Sampler::new(api, version, &mut rng));
                }
            }
        }
    }
}

#[test]
fn decodes_what_the_table_says_and_encodes_it_to_the_same_bytes() {
    each_sample(1, SAMPLES, |api, message, version, mut sampler| {
        let (value, bytes) = sampler.message(message);
        let what = || format!("{} v{version} {bytes:?}", message.name);
        let (shown, again) =
            dispatch::round_trip(api.key, message.is_request, version, version, &bytes)
                .unwrap_or_else(|e| panic!("{e}: {}", what()));
        let ours = Tree::parse(&shown);
        // Fields that this version does not have are at their defaults.
        assert_eq!(ours, tree::with_defaults(&value, &message.fields, version), "{}", what());
        assert_eq!(again.as_ref(), Ok(&bytes), "{}", what());
    });
}

#[test]
fn what_is_read_or_written_in_parts_is_the_same_and_pauses_at_each_element() {
    let mut pauses = 0;
    each_sample(7, SAMPLES, |api, message, version, mut sampler| {
        let (_, bytes) = sampler.message(message);
        let done = dispatch::in_parts(api.key, message.is_request, version, &bytes);
        if let Some((again, paused)) = done.unwrap_or_else(|e| panic!("{e}: {bytes:?}")) {
            assert_eq!(again, bytes, "{} v{version}", message.name);
            pauses += paused;
        }
        // What is cut short cannot be read.
        let Some((_, short)) = bytes.split_last() else { return };
        let cut = dispatch::in_parts(api.key, message.is_request, version, short);
        assert!(matches!(cut, Err(_) | Ok(None)), "{} v{version}", message.name);
    });
    assert!(pauses > 10_000, "{pauses} pauses");
}

/// The versions of a message that the oracle knows; `None` when it does not know the API.
///
/// For three requests it offers the version of its response, but knows one less: Kafka 4.1 had the
/// last version marked as unstable.
fn oracle_versions(api: &Api, message: &Message) -> Option<(ApiKey, i16, i16)> {
    let key = ApiKey::try_from(api.key).ok()?;
    let versions = key.valid_versions();
    let unstable = message.is_request
        && matches!(key, ApiKey::OffsetCommit | ApiKey::OffsetFetch | ApiKey::InitProducerId);
    Some((key, versions.min, versions.max - i16::from(unstable)))
}

#[test]
fn agrees_with_kafka_protocol_on_every_message_and_version_that_it_knows() {
    let mut unknown = BTreeSet::new();
    each_sample(2, SAMPLES, |api, message, version, mut sampler| {
        let known =
            oracle_versions(api, message).filter(|(_, min, max)| (*min..=*max).contains(&version));
        let Some((key, _, max)) = known else {
            unknown.insert(format!("{} {version}", message.name));
            return;
        };
        let (_, bytes) = sampler.message(message);
        let what = || format!("{} v{version} {bytes:?}", message.name);
        let mut input = Bytes::copy_from_slice(&bytes);
        let mut encoded = BytesMut::new();
        let shown = if message.is_request {
            let value = RequestKind::decode(key, &mut input, version)
                .unwrap_or_else(|e| panic!("{e}: {}", what()));
            value.encode(&mut encoded, version).unwrap_or_else(|e| panic!("{e}: {}", what()));
            format!("{value:?}")
        } else {
            let value = ResponseKind::decode(key, &mut input, version)
                .unwrap_or_else(|e| panic!("{e}: {}", what()));
            value.encode(&mut encoded, version).unwrap_or_else(|e| panic!("{e}: {}", what()));
            format!("{value:?}")
        };
        assert!(input.is_empty(), "{}", what());
        // What it encodes is decoded here to what it decoded, so both directions agree.
        let (ours, again) =
            dispatch::round_trip(api.key, message.is_request, version, version, &encoded)
                .unwrap_or_else(|e| panic!("{e}: {}", what()));
        assert_eq!(again.as_deref(), Ok(&encoded[..]), "{}", what());
        assert_eq!(encoded, bytes, "{}", what());
        tree::assert_same(&Tree::parse(&ours), &Tree::parse(&shown), &message.fields, max)
            .unwrap_or_else(|e| panic!("{e}: {}", what()));
    });
    assert_eq!(unknown, LATER.map(String::from).into(), "versions that the oracle does not know");
}

#[test]
fn skips_unknown_tagged_fields() {
    let mut skipped = 0;
    each_sample(3, 10, |api, message, version, mut sampler| {
        sampler.unknown_tags = true;
        let (value, bytes) = sampler.message(message);
        let (shown, again) =
            dispatch::round_trip(api.key, message.is_request, version, version, &bytes).unwrap();
        let expected = tree::with_defaults(&value, &message.fields, version);
        assert_eq!(Tree::parse(&shown), expected, "{} v{version}", message.name);
        skipped += u32::from(again.unwrap().len() < bytes.len());
    });
    assert!(skipped > 1000, "{skipped}");
}

#[test]
fn refuses_to_drop_what_another_version_does_not_have() {
    let (mut refused, mut dropped) = (0, 0);
    each_sample(4, 10, |api, message, version, mut sampler| {
        let (value, bytes) = sampler.message(message);
        let value = tree::with_defaults(&value, &message.fields, version);
        for to in api.versions.min..=api.versions.max {
            let (_, encoded) =
                dispatch::round_trip(api.key, message.is_request, version, to, &bytes).unwrap();
            let what = || format!("{} v{version} to v{to}: {value:?}", message.name);
            if let Ok(fitted) = tree::fit(&value, &message.fields, to) {
                let encoded = encoded.unwrap_or_else(|e| panic!("{e}: {}", what()));
                let (shown, _) =
                    dispatch::round_trip(api.key, message.is_request, to, to, &encoded).unwrap();
                assert_eq!(Tree::parse(&shown), fitted, "{}", what());
                dropped += u32::from(fitted != value);
            } else {
                let error = encoded.expect_err(&what());
                let expected = matches!(error, WireError::NotInVersion(_) | WireError::Null);
                assert!(expected, "{error}: {}", what());
                refused += 1;
            }
        }
    });
    assert!(refused > 1000 && dropped > 1000, "{refused} {dropped}");
}

#[test]
fn versions_outside_the_table_are_refused() {
    for api in &schema::load() {
        for message in &api.messages {
            for version in [i16::MIN, -1, api.versions.min - 1, api.versions.max + 1, i16::MAX] {
                assert_eq!(
                    dispatch::decode(api.key, message.is_request, version, &[0; 64]),
                    Err(WireError::UnsupportedVersion(version)),
                    "{}",
                    message.name
                );
            }
        }
    }
}

/// Decodes; returns what it allocated.
fn hostile(api: &Api, message: &Message, version: i16, bytes: &[u8]) -> usize {
    let (_, allocated) =
        allocated(|| dispatch::decode(api.key, message.is_request, version, bytes));
    let allocated = allocated.bytes;
    // In all, freed or not.
    assert!(
        allocated <= ALLOCATION_FACTOR * bytes.len() + ALLOCATION_BASE,
        "{} v{version}: {allocated} bytes for {}: {bytes:?}",
        message.name,
        bytes.len()
    );
    allocated
}

#[test]
fn truncated_messages_are_errors() {
    each_sample(5, 3, |api, message, version, mut sampler| {
        let (_, bytes) = sampler.message(message);
        for len in 0..bytes.len() {
            let cut = &bytes[..len];
            let decoded = dispatch::decode(api.key, message.is_request, version, cut);
            assert!(decoded.is_err(), "{} v{version}: {len} of {bytes:?}", message.name);
            hostile(api, message, version, cut);
        }
        let mut longer = bytes;
        longer.push(0);
        let trailing = dispatch::round_trip(api.key, message.is_request, version, version, &longer);
        assert_eq!(trailing, Err(WireError::TrailingBytes), "{} v{version}", message.name);
    });
}

/// Counts that are too large by far, or just fit into the bytes that remain, in both forms, at
/// every position: every array's count is among them, nested and tagged ones too.
#[test]
fn counts_that_lie_allocate_little() {
    let mut most = 0;
    each_sample(6, 2, |api, message, version, mut sampler| {
        let (_, bytes) = sampler.message(message);
        // What follows the lie is plausible: empty strings and arrays, zeros.
        let bytes = [bytes.as_slice(), &[0; 100], &[1; 200]].concat();
        for at in 0..bytes.len() - 300 {
            let rest = (bytes.len() - at) as u32;
            for count in [u32::MAX, i32::MAX as u32, 1 << 20, rest, rest / 3, rest / 4, rest / 8] {
                let varint = [
                    count as u8 | 0x80,
                    (count >> 7) as u8 | 0x80,
                    (count >> 14) as u8 | 0x80,
                    (count >> 21) as u8 | 0x80,
                    (count >> 28) as u8,
                ];
                for lie in [&count.to_be_bytes()[..], &varint] {
                    // Over what is there, and in between.
                    for end in [at + lie.len(), at + 1, at] {
                        let bytes = [&bytes[..at], lie, &bytes[end..]].concat();
                        most = most.max(hostile(api, message, version, &bytes));
                    }
                }
            }
        }
    });
    // It does come near: the lies are not refused for some other reason.
    assert!(most > 300 * ALLOCATION_FACTOR / 2, "at most {most} bytes");
}

#[test]
fn random_bytes_never_panic_and_allocate_little() {
    let mut rng = Rng::new(7);
    each_sample(7, 30, |api, message, version, mut sampler| {
        // A few flipped bytes in a message, one repeated byte, and noise.
        let (_, mut bytes) = sampler.message(message);
        for _ in 0..=rng.index(4) {
            if !bytes.is_empty() {
                let at = rng.index(bytes.len());
                bytes[at] = rng.bits() as u8;
            }
        }
        let fill = rng.index(256) as u8;
        let same = vec![fill; rng.index(3000)];
        let noise: Vec<u8> =
            (0..rng.index(300)).map(|_| rng.bits() as u8 >> rng.index(8)).collect();
        for bytes in [bytes, same, noise] {
            hostile(api, message, version, &bytes);
        }
    });
}
