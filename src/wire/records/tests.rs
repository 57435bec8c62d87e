//! Record batches against Kafka's own bytes, against the `kafka-protocol` crate, and against bytes
//! that nobody honest sends.

use super::exercise;
use super::validate::BATCH_COST;
use super::*;
use crate::types::ErrorCode;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const NOW: i64 = 1_700_000_000_000;
const ROOMY: usize = 1 << 20;

/// A lie that a header can tell.
type Change = fn(&mut BatchHeader);

pub(super) fn limits() -> Limits {
    Limits {
        max_message_bytes: ROOMY,
        produce_version: 9,
        log_append_time: false,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: 3_600_000,
        now_ms: NOW,
        strict: true,
        compacted: false,
        codec: None,
        decompressed_bytes_max: ROOMY,
    }
}

/// A record as a test makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Made {
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

fn made(records: &[Made], mut builder: BatchBuilder) -> Vec<u8> {
    for r in records {
        let headers: Vec<_> = r.headers.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
        builder.push(r.timestamp, r.key.as_deref(), r.value.as_deref(), &headers);
    }
    builder.build()
}

fn read(batch: &[u8]) -> Result<Vec<Made>, RecordError> {
    let records = records(batch, ROOMY)?;
    let mut out = Vec::new();
    for (offset, r) in (records.header().base_offset..).zip(&records) {
        let r = r?;
        assert_eq!(r.offset, offset);
        out.push(Made {
            timestamp: r.timestamp,
            key: r.key.map(<[u8]>::to_vec),
            value: r.value.map(<[u8]>::to_vec),
            headers: r
                .headers
                .map(|(k, v)| (String::from_utf8_lossy(k).into_owned(), v.map(<[u8]>::to_vec)))
                .collect(),
        });
    }
    Ok(out)
}

fn simple(compression: Compression, count: i32) -> Vec<u8> {
    let mut builder = BatchBuilder::new(compression);
    for i in 0..count {
        builder.push(NOW + i64::from(i), Some(b"key"), Some(b"a value, a value"), &[]);
    }
    builder.build()
}

/// The batch with a changed header and a CRC that fits.
fn with_header(batch: &[u8], change: impl FnOnce(&mut BatchHeader)) -> Vec<u8> {
    let mut header = BatchHeader::parse(batch).unwrap();
    change(&mut header);
    seal(&header, &batch[BatchHeader::LEN..])
}

fn code(batch: &[u8], limits: &Limits) -> ErrorCode {
    validate_produce(batch, limits).map_or_else(|refusal| refusal.error, |_| ErrorCode::NONE)
}

fn made_record() -> impl Strategy<Value = Made> {
    let bytes = || option::of(vec(any::<u8>(), 0..40));
    (0i64..3_600_000, bytes(), bytes(), vec(("[a-z]{0,5}", bytes()), 0..3)).prop_map(
        |(t, key, value, headers)| Made { timestamp: NOW - 1_800_000 + t, key, value, headers },
    )
}

fn compression() -> impl Strategy<Value = Compression> {
    (0usize..5).prop_map(|i| Compression::ALL[i])
}

#[test]
fn reads_what_java_wrote() {
    // `MemoryRecords.builder` of Kafka 4.3.1: ten records, producer 4711, epoch 3, and a base
    // sequence one below the wrap.
    let mut seen = Vec::new();
    for line in include_str!("testdata/java-4.3.1.txt").lines() {
        let (name, hex) = line.split_once(' ').unwrap();
        let batch: Vec<u8> = (0..hex.len() / 2)
            .map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap())
            .collect();
        let header = BatchHeader::parse(&batch).unwrap();
        assert_eq!(header.compression().unwrap().name(), name);
        assert_eq!((header.producer_id, header.producer_epoch), (4711, 3));
        assert_eq!((header.base_sequence, header.last_sequence()), (i32::MAX - 1, 7));
        assert_eq!(header.to_bytes(), batch[..BatchHeader::LEN]);
        let valid = validate_produce(&batch, &limits()).unwrap();
        assert_eq!(valid, Validated { header, rewrite: Rewrite::None });
        let expected: Vec<Made> = (0..10i64)
            .map(|i| Made {
                timestamp: 1_700_000_000_000 + (i * 37) % 101,
                key: (i % 3 != 0).then(|| format!("key-{i}").into_bytes()),
                value: (i % 4 != 3)
                    .then(|| format!("value number {i} of a batch that Java wrote").into_bytes()),
                headers: if i % 5 == 4 {
                    vec![
                        (format!("h{i}"), Some(format!("x{i}").into_bytes())),
                        ("none".into(), None),
                    ]
                } else {
                    Vec::new()
                },
            })
            .collect();
        assert_eq!(read(&batch).unwrap(), expected, "{name}");
        // What we write of the same records differs, if at all, in the compressed bytes.
        let ours = made(
            &expected,
            BatchBuilder::new(header.compression().unwrap()).producer(4711, 3, i32::MAX - 1),
        );
        assert_eq!(read(&ours).unwrap(), expected, "{name}");
        if name == "none" {
            assert_eq!(ours, batch);
        }
        seen.push(name.to_owned());
    }
    assert_eq!(seen, Compression::ALL.map(Compression::name));
}

#[test]
fn reads_a_bare_snappy_block() {
    // As librdkafka writes it.
    let framed = simple(Compression::Snappy, 9);
    let plain = simple(Compression::None, 9);
    let block = snap::raw::Encoder::new().compress_vec(&plain[BatchHeader::LEN..]).unwrap();
    let mut header = BatchHeader::parse(&framed).unwrap();
    header.batch_length = (BatchHeader::LEN - BatchHeader::PREFIX_LEN + block.len()) as i32;
    let bare = seal(&header, &block);
    assert_eq!(read(&bare).unwrap(), read(&plain).unwrap());
    assert_eq!(code(&bare, &limits()), ErrorCode::NONE);
}

#[test]
fn refuses_what_kafka_refuses() {
    use ErrorCode as E;
    let batch = simple(Compression::None, 3);
    let lz4 = simple(Compression::Lz4, 3);
    assert_eq!(code(&batch, &limits()), E::NONE);

    // Shape: exactly one batch, of format 2, as long as it says, not damaged.
    assert_eq!(code(&[], &limits()), E::INVALID_RECORD);
    assert_eq!(code(&batch[..batch.len() - 1], &limits()), E::INVALID_RECORD);
    assert_eq!(code(&[batch.clone(), batch.clone()].concat(), &limits()), E::INVALID_RECORD);
    assert_eq!(code(&[&batch[..], &[0]].concat(), &limits()), E::INVALID_RECORD);
    let short = with_header(&batch, |h| h.batch_length = 13);
    assert_eq!(code(&short, &limits()), E::CORRUPT_MESSAGE);
    assert_eq!(code(&with_header(&batch, |h| h.batch_length = 48), &limits()), E::CORRUPT_MESSAGE);
    assert_eq!(code(&with_header(&batch, |h| h.batch_length = -1), &limits()), E::CORRUPT_MESSAGE);
    for (magic, expected) in [
        (0, E::INVALID_RECORD),
        (1, E::INVALID_RECORD),
        (3, E::CORRUPT_MESSAGE),
        (-1, E::CORRUPT_MESSAGE),
    ] {
        assert_eq!(code(&with_header(&batch, |h| h.magic = magic), &limits()), expected);
    }
    for at in BatchHeader::CRC_AT..batch.len() {
        let mut flipped = batch.clone();
        flipped[at] ^= 4;
        assert_eq!(code(&flipped, &limits()), E::CORRUPT_MESSAGE, "byte {at}");
    }

    // Header.
    let cases: &[(&str, Change, E)] = &[
        ("base offset", |h| h.base_offset = 1, E::INVALID_RECORD),
        ("no records", |h| (h.record_count, h.last_offset_delta) = (0, -1), E::INVALID_RECORD),
        ("count too small", |h| h.record_count = 2, E::INVALID_RECORD),
        ("delta too small", |h| h.last_offset_delta = 1, E::INVALID_RECORD),
        ("negative", |h| (h.record_count, h.last_offset_delta) = (-2, -3), E::INVALID_RECORD),
        (
            "largest delta",
            |h| (h.record_count, h.last_offset_delta) = (i32::MIN, i32::MAX),
            E::INVALID_RECORD,
        ),
        ("both too large", |h| (h.record_count, h.last_offset_delta) = (4, 3), E::INVALID_RECORD),
        ("both too small", |h| (h.record_count, h.last_offset_delta) = (2, 1), E::INVALID_RECORD),
        ("control", |h| h.attributes |= 1 << 5, E::INVALID_RECORD),
        ("transactional of nobody", |h| h.attributes |= 1 << 4, E::INVALID_RECORD),
        ("log append time", |h| h.attributes |= 1 << 3, E::INVALID_TIMESTAMP),
        ("compression type 5", |h| h.attributes |= 5, E::UNSUPPORTED_COMPRESSION_TYPE),
        ("not gzip at all", |h| h.attributes |= 1, E::INVALID_RECORD),
        ("not zstd at all", |h| h.attributes |= 4, E::INVALID_RECORD),
        ("no sequence", |h| (h.producer_id, h.base_sequence) = (1, -1), E::INVALID_RECORD),
        ("sequence", |h| (h.producer_id, h.base_sequence) = (1, 0), E::NONE),
        ("epoch", |h| h.partition_leader_epoch = 9, E::NONE),
    ];
    for (what, change, expected) in cases {
        assert_eq!(code(&with_header(&batch, change), &limits()), *expected, "{what}");
    }
    let more = with_header(&lz4, |h| (h.record_count, h.last_offset_delta) = (4, 3));
    assert_eq!(code(&more, &limits()), E::INVALID_RECORD);

    // Limits of topic and request.
    let with = |change: fn(&mut Limits)| {
        let mut limits = limits();
        change(&mut limits);
        limits
    };
    let zstd = simple(Compression::Zstd, 3);
    assert_eq!(code(&zstd, &with(|l| l.produce_version = 6)), E::UNSUPPORTED_COMPRESSION_TYPE);
    assert_eq!(code(&zstd, &with(|l| l.produce_version = 7)), E::NONE);
    let size = Limits { max_message_bytes: batch.len(), ..limits() };
    assert_eq!(code(&batch, &size), E::NONE);
    let size = Limits { max_message_bytes: batch.len() - 1, ..limits() };
    assert_eq!(code(&batch, &size), E::MESSAGE_TOO_LARGE);
    // The records have timestamps NOW, NOW + 1 and NOW + 2.
    for batch in [&batch, &lz4] {
        assert_eq!(code(batch, &with(|l| l.timestamp_after_max_ms = 2)), E::NONE);
        assert_eq!(code(batch, &with(|l| l.timestamp_after_max_ms = 1)), E::INVALID_TIMESTAMP);
        let relaxed = with(|l| (l.strict, l.timestamp_after_max_ms) = (false, 1));
        assert_eq!(code(batch, &relaxed), E::INVALID_TIMESTAMP);
        let old = |before| Limits {
            now_ms: NOW + 10,
            timestamp_before_max_ms: before,
            strict: false,
            ..limits()
        };
        assert_eq!(code(batch, &old(10)), E::NONE);
        assert_eq!(code(batch, &old(9)), E::INVALID_TIMESTAMP);
        assert_eq!(code(batch, &Limits { log_append_time: true, ..old(9) }), E::NONE);
    }
    let mut keyless = BatchBuilder::new(Compression::Gzip);
    keyless.push(NOW, Some(b"k"), None, &[]).push(NOW, None, Some(b"v"), &[]);
    let keyless = keyless.build();
    assert_eq!(code(&keyless, &limits()), E::NONE);
    assert_eq!(
        code(&keyless, &with(|l| (l.compacted, l.strict) = (true, false))),
        E::INVALID_RECORD
    );
}

#[test]
fn offset_deltas_must_count_up() {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(NOW, None, None, &[]).push(NOW, None, None, &[]);
    let batch = builder.build();
    // A record without anything has 7 bytes: length, attributes, timestamp, offset, key, value, headers.
    let second_delta = BatchHeader::LEN + 7 + 3;
    assert_eq!(batch[second_delta], 2, "zigzag of 1");
    for wrong in [0, 1, 4] {
        let mut records = batch[BatchHeader::LEN..].to_vec();
        records[10] = wrong;
        let batch = seal(&BatchHeader::parse(&batch).unwrap(), &records);
        assert_eq!(code(&batch, &limits()), ErrorCode::INVALID_RECORD);
    }
}

#[test]
fn relaxed_trusts_compressed_records() {
    let lz4 = simple(Compression::Lz4, 3);
    let lying = with_header(&lz4, |h| (h.record_count, h.last_offset_delta) = (4, 3));
    let relaxed = Limits { strict: false, ..limits() };
    assert_eq!(code(&lying, &relaxed), ErrorCode::NONE);
    assert!(read(&lying).is_err());
    // Without a max timestamp the records are needed, so they are checked.
    let lying = with_header(&lying, |h| h.max_timestamp = -1);
    assert_eq!(code(&lying, &relaxed), ErrorCode::INVALID_RECORD);
}

#[test]
fn corrects_timestamps() {
    for compression in Compression::ALL {
        let right = simple(compression, 3);
        let wrong = with_header(&right, |h| h.max_timestamp = -1);
        let valid = validate_produce(&wrong, &Limits { strict: false, ..limits() }).unwrap();
        assert_eq!((valid.rewrite, valid.header.max_timestamp), (Rewrite::MaxTimestamp, NOW + 2));
        let mut batch = wrong.clone();
        valid.assign(&mut batch, 0, -1);
        assert_eq!(batch, right);

        let now = NOW + 500;
        let log_append = Limits { log_append_time: true, now_ms: now, ..limits() };
        let valid = validate_produce(&right, &log_append).unwrap();
        let mut batch = right.clone();
        valid.assign(&mut batch, 40, 6);
        let header = BatchHeader::parse(&batch).unwrap();
        header.check_crc(&batch).unwrap();
        assert_eq!((header.base_offset, header.partition_leader_epoch), (40, 6));
        assert!(header.is_log_append_time() && valid.header.is_log_append_time());
        assert_eq!((header.max_timestamp, valid.header.max_timestamp), (now, now));
        assert!(read(&batch).unwrap().iter().all(|r| r.timestamp == now));
        let first = Some(TimedOffset { offset: 40, timestamp: now });
        assert_eq!(find_max_timestamp(&batch, ROOMY), Ok(first));
    }
}

#[test]
fn decompression_bombs_stop() {
    // 64 MiB of zeros as one value, in a batch of at most a few hundred KiB.
    let value = vec![0; 64 << 20];
    for compression in [Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd]
    {
        let mut builder = BatchBuilder::new(compression);
        builder.push(NOW, None, Some(&value), &[]);
        let batch = builder.build();
        assert_eq!(records(&batch, ROOMY).unwrap_err(), RecordError::TooLarge { limit: ROOMY });
        let limits = Limits { max_message_bytes: usize::MAX, ..limits() };
        assert_eq!(code(&batch, &limits), ErrorCode::MESSAGE_TOO_LARGE, "{compression:?}");
        let roomy = Limits { decompressed_bytes_max: 65 << 20, ..limits };
        assert_eq!(code(&batch, &roomy), ErrorCode::NONE, "{compression:?}");
        let all = records(&batch, 65 << 20).unwrap();
        assert_eq!(all.iter().next().unwrap().unwrap().value.unwrap().len(), value.len());
    }
}

#[test]
fn snappy_claims_are_checked_before_they_are_allocated() {
    // A block of a few bytes that claims to decompress to 4 GiB - 1, bare and framed.
    let claim = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0];
    let framed = [
        &[0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 8][..],
        &claim,
    ]
    .concat();
    for bytes in [&claim[..], &framed] {
        let mut header = BatchHeader::parse(&simple(Compression::Snappy, 1)).unwrap();
        header.batch_length = 49 + bytes.len() as i32;
        let batch = seal(&header, bytes);
        for limit in [ROOMY, usize::MAX] {
            assert!(matches!(records(&batch, limit), Err(RecordError::Damaged { .. })));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn reads_what_it_built(made_records in vec(made_record(), 1..20), compression in compression()) {
        let batch = made(&made_records, BatchBuilder::new(compression).producer(5, 1, 77));
        prop_assert_eq!(read(&batch).unwrap(), made_records.clone());
        let valid = validate_produce(&batch, &limits()).unwrap();
        prop_assert_eq!(valid.rewrite, Rewrite::None);
        let mut placed = batch.clone();
        valid.assign(&mut placed, 1234, 9);
        let header = BatchHeader::parse(&placed).unwrap();
        header.check_crc(&placed).unwrap();
        prop_assert_eq!((header.base_offset, header.partition_leader_epoch), (1234, 9));
        prop_assert_eq!(header.next_offset(), 1234 + made_records.len() as i64);

        // Searches against the plain meaning of what they look for.
        for t in made_records.iter().map(|r| r.timestamp).chain([0, i64::MAX]) {
            let naive = |from: i64| (1234..)
                .zip(&made_records)
                .find(|(offset, r)| *offset >= from && r.timestamp >= t)
                .map(|(offset, r)| TimedOffset { offset, timestamp: r.timestamp });
            for from in [0, 1234, 1236, 1300] {
                prop_assert_eq!(find_timestamp(&placed, from, t, ROOMY).unwrap(), naive(from));
            }
        }
        let max = made_records.iter().map(|r| r.timestamp).max().unwrap();
        let first = made_records.iter().position(|r| r.timestamp == max).unwrap() as i64;
        prop_assert_eq!(
            find_max_timestamp(&placed, ROOMY).unwrap(),
            Some(TimedOffset { offset: 1234 + first, timestamp: max })
        );

        // The CRC of a run of batches from the batches' own.
        let run = crc::append_batch(crc::append_batch(0, &batch), &placed);
        prop_assert_eq!(run, crc::crc32c(&[batch, placed].concat()));
    }

    #[test]
    fn agrees_with_kafka_protocol(made_records in vec(made_record(), 1..20)) {
        use kafka_protocol::records as kp;
        // A map there holds each header key once.
        let mut made_records = made_records;
        for r in &mut made_records {
            r.headers.sort();
            r.headers.dedup_by(|a, b| a.0 == b.0);
        }
        let ours = made(&made_records, BatchBuilder::new(Compression::None).producer(5, 1, 77));
        let set = kp::RecordBatchDecoder::decode(&mut bytes::Bytes::from(ours)).unwrap();
        let theirs: Vec<Made> = set.records.iter().map(|r| Made {
            timestamp: r.timestamp,
            key: r.key.as_ref().map(|b| b.to_vec()),
            value: r.value.as_ref().map(|b| b.to_vec()),
            headers: r.headers.iter()
                .map(|(k, v)| (k.to_string(), v.as_ref().map(|b| b.to_vec())))
                .collect(),
        }).collect();
        prop_assert_eq!(&theirs, &made_records);
        prop_assert!(set.records.iter().enumerate().all(|(i, r)| r.offset == i as i64
            && (r.producer_id, r.producer_epoch) == (5, 1)));

        let mut encoded = bytes::BytesMut::new();
        let options = kp::RecordEncodeOptions { version: 2, compression: kp::Compression::None };
        kp::RecordBatchEncoder::encode(&mut encoded, &set.records, &options).unwrap();
        let again: Vec<Made> = batches(&encoded).flat_map(|(h, b)| {
            h.check_crc(b).unwrap();
            records(b, ROOMY).unwrap().iter().map(|r| r.unwrap().timestamp).collect::<Vec<_>>()
        }).zip(&made_records).map(|(timestamp, r)| Made { timestamp, ..r.clone() }).collect();
        prop_assert_eq!(again, made_records);
    }

    #[test]
    fn random_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        exercise::check(&bytes);
    }

    #[test]
    fn damaged_batches_never_panic(
        made_records in vec(made_record(), 1..8),
        compression in compression(),
        flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in option::weighted(0.2, any::<prop::sample::Index>()),
        seal_again: bool,
    ) {
        let mut batch = made(&made_records, BatchBuilder::new(compression));
        for (at, to) in flips {
            let at = at.index(batch.len());
            batch[at] = to;
        }
        if let Some(cut) = cut {
            batch.truncate(cut.index(batch.len()));
        }
        // Past the checksum, or nothing behind it would be reached.
        if seal_again && batch.len() >= BatchHeader::LEN {
            let length = batch.len() as i32 - 12;
            batch[8..12].copy_from_slice(&length.to_be_bytes());
            batch[BatchHeader::MAGIC_AT] = 2;
            let crc = crc::crc32c(&batch[BatchHeader::CRC_FROM..]);
            batch[BatchHeader::CRC_AT..BatchHeader::CRC_FROM].copy_from_slice(&crc.to_be_bytes());
        }
        exercise::check(&batch);
    }

    #[test]
    fn lies_in_a_header_never_panic(
        header in any::<([i64; 4], [i32; 4], i16, i16)>(),
        records in vec(any::<u8>(), 0..200),
    ) {
        let ([base, max, id, offset], [delta, sequence, count, epoch], attributes, producer_epoch) =
            header;
        let header = BatchHeader {
            base_offset: offset,
            batch_length: 49 + records.len() as i32,
            partition_leader_epoch: epoch,
            magic: 2,
            crc: 0,
            attributes,
            last_offset_delta: delta,
            base_timestamp: base,
            max_timestamp: max,
            producer_id: id,
            producer_epoch,
            base_sequence: sequence,
            record_count: count,
            marker: None,
        };
        exercise::check(&seal(&header, &records));
    }
}

/// A search goes on where a step ended, decompresses no more in a step than it may, and finds what one
/// in a single go finds.
#[test]
fn a_search_keeps_to_its_steps() {
    for compression in [
        Compression::None,
        Compression::Gzip,
        Compression::Snappy,
        Compression::Lz4,
        Compression::Zstd,
    ] {
        let mut builder = BatchBuilder::new(compression);
        for i in 0..400 {
            builder.push(i, None, Some(&vec![b'x'; 10_000]), &[]);
        }
        let batch = builder.build();
        for (wanted, expected) in [
            (Wanted::NotBefore { offset: 0, timestamp: 350 }, Some(350)),
            (Wanted::NotBefore { offset: 360, timestamp: 0 }, Some(360)),
            (Wanted::NotBefore { offset: 0, timestamp: 400 }, None),
            (Wanted::Latest, Some(399)),
        ] {
            let mut search = TimeSearch::new(&batch, wanted, 8 << 20).unwrap();
            let mut steps = 0;
            let found = loop {
                steps += 1;
                match search.step(64 << 10).unwrap() {
                    Progress::More => {}
                    Progress::Done(found) => break found,
                }
            };
            assert_eq!(found.map(|it| it.offset), expected, "{compression:?} {wanted:?}");
            let streams = compression != Compression::None && expected.is_some();
            // 3.5 MB and more, 64 KiB and a buffer at a time.
            assert!(!streams || (40..70).contains(&steps), "{compression:?}: {steps} steps");
        }
    }
}

#[test]
fn a_search_ends_at_the_limit() {
    let mut builder = BatchBuilder::new(Compression::Zstd);
    builder.push(1, None, Some(&vec![0; 4 << 20]), &[]);
    builder.push(2, None, None, &[]);
    let batch = builder.build();
    let mut search = TimeSearch::new(&batch, Wanted::Latest, 1 << 20).unwrap();
    let error = loop {
        match search.step(64 << 10) {
            Ok(Progress::More) => {}
            other => break other,
        }
    };
    assert_eq!(error, Err(RecordError::TooLarge { limit: 1 << 20 }));
}

/// What decompresses to much is validated in steps, with the same result, and what is decompressed in
/// one go is counted over batches.
#[test]
fn large_batches_are_validated_in_steps() {
    let large = |bad: bool| {
        let mut builder = BatchBuilder::new(Compression::Zstd);
        builder.push(NOW, Some(b"key"), Some(&vec![0; 1 << 20]), &[]);
        let value = vec![7; 300_000];
        builder.push(NOW + 5, None, None, &[("header", Some(&value)), ("other", None)]);
        builder.push(if bad { 0 } else { NOW + 1 }, None, Some(b""), &[]);
        builder.build()
    };
    let limits =
        Limits { timestamp_before_max_ms: 3_600_000, decompressed_bytes_max: 2 << 20, ..limits() };
    let small = simple(Compression::Zstd, 100);
    let mut at_once = AtOnce { decompressed: 64 << 10, ..AtOnce::ALL };
    let valid = validate_at_once(&small, &limits, &mut at_once).unwrap();
    assert!(matches!(valid, Checked::Valid(_)));
    let left = at_once.decompressed;
    assert!(left < 64 << 10 && left > 56 << 10, "{left}");
    for bad in [false, true] {
        let batch = large(bad);
        let mut at_once = AtOnce { decompressed: 64 << 10, ..AtOnce::ALL };
        assert!(batch.len() < 10_000);
        let records = Ok(Checked::UpTo(Rest::Records));
        assert_eq!(validate_at_once(&batch, &limits, &mut at_once), records);
        assert_eq!(at_once.decompressed, 0);
        assert_eq!(validate_at_once(&small, &limits, &mut at_once), records);
        let (result, steps) = in_steps(&batch, &limits, Rest::Records);
        assert!((17..=21).contains(&steps), "{steps} steps");
        assert_eq!(result.is_err(), bad);
        assert_eq!(result, validate_produce(&batch, &limits));
    }
}

/// Steps of 64 KiB, until it is known; how many.
fn in_steps(batch: &[u8], limits: &Limits, rest: Rest) -> (Result<Validated, Refusal>, usize) {
    let mut it = match LargeBatch::new(batch, limits, rest) {
        Ok(it) => it,
        Err(refusal) => return (Err(refusal), 0),
    };
    let mut steps = 1;
    loop {
        match it.step(64 << 10) {
            Ok(None) => steps += 1,
            Ok(Some(Accepted::AsItCame(valid))) => return (Ok(valid), steps),
            Ok(Some(Accepted::Recompressed(_))) => panic!("nothing says so"),
            Err(refusal) => return (Err(refusal), steps),
        }
    }
}

/// Bytes that are there need no decompressor, but many of them take long all the same.
#[test]
fn large_plain_batches_are_validated_in_steps() {
    let limits = Limits { max_message_bytes: 16 << 20, ..limits() };
    let mut builder = BatchBuilder::new(Compression::None);
    for i in 0..48_000 {
        builder.push(NOW + i % 7, Some(b"key"), Some(&[7; 60]), &[]);
    }
    let good = builder.build();
    assert!((3 << 20..4 << 20).contains(&good.len()));
    let small = simple(Compression::None, 100);
    let flipped = |at: usize, seal_it: bool| {
        let mut batch = good.clone();
        batch[at] ^= 0x40;
        if seal_it {
            batch = seal(&BatchHeader::parse(&batch).unwrap(), &batch[BatchHeader::LEN..]);
        }
        batch
    };
    let last = good.len() - 1;
    let lengthened = good.len() - 68;
    for (batch, steps_min) in [
        (good.clone(), 20),
        // In the last value, without and with the checksum of it.
        (flipped(last, false), 7),
        (flipped(last - 1, true), 20),
        // The length of the last record, and the offset delta of the first.
        (flipped(lengthened, true), 20),
        (flipped(BatchHeader::LEN + 3, true), 7),
    ] {
        let mut at_once = AtOnce { bytes: 3 << 20, decompressed: 0, recompressed: 0 };
        let large = validate_at_once(&batch, &limits, &mut at_once);
        assert_eq!(large, Ok(Checked::UpTo(Rest::Checksum)));
        let valid = validate_at_once(&small, &limits, &mut at_once);
        assert!(matches!(valid, Ok(Checked::Valid(_))), "a small one is checked at once");
        assert_eq!(at_once.bytes, (3 << 20) - small.len() - BATCH_COST);
        let (result, steps) = in_steps(&batch, &limits, Rest::Checksum);
        assert_eq!(result, validate_produce(&batch, &limits));
        assert!(steps >= steps_min, "{steps} steps");
    }
}

/// What is wrong with records is told of each of them, and ends nothing.
#[test]
fn records_that_may_not_be_appended_are_listed() {
    let limits = Limits { compacted: true, ..limits() };
    let late = NOW + limits.timestamp_after_max_ms + 1;
    let (key, none): (Option<&[u8]>, _) = (Some(b"key"), None);
    for compression in Compression::ALL {
        let refusal = |records: &[(Option<&[u8]>, i64)]| {
            let mut builder = BatchBuilder::new(compression);
            for (key, time) in records {
                builder.push(*time, *key, Some(b"v"), &[]);
            }
            let batch = builder.build();
            let refusal = validate_produce(&batch, &limits).unwrap_err();
            assert_eq!(in_steps(&batch, &limits, Rest::Checksum).0, Err(refusal.clone()));
            let listed: Vec<_> = refusal.records.iter().map(|it| it.index).collect();
            (refusal, listed)
        };
        let (keyless, listed) = refusal(&[(key, NOW), (none, NOW), (key, NOW), (none, -1)]);
        assert_eq!((keyless.error, &listed[..]), (ErrorCode::INVALID_RECORD, &[1, 3][..]));
        assert_eq!(keyless.message, keyless.records[0].message);
        assert!(keyless.records[1].message.starts_with("Record 3 has no key"));
        // A timestamp counts more.
        let (untimely, listed) = refusal(&[(none, NOW), (key, NOW), (key, late), (none, late)]);
        assert_eq!((untimely.error, &listed[..]), (ErrorCode::INVALID_TIMESTAMP, &[0, 2, 3][..]));
        assert!(untimely.records[0].message.starts_with("Record 0 has no key"));
        assert_eq!(untimely.message, untimely.records[1].message);
        assert!(untimely.message.starts_with(&format!("Timestamp {late} ")));
        let (_, listed) = refusal(&vec![(none, NOW); RECORDS_LISTED_MAX + 200]);
        assert!(listed.into_iter().eq(0..RECORDS_LISTED_MAX as i32));
    }
    let mut flipped = simple(Compression::None, 2);
    *flipped.last_mut().unwrap() ^= 1;
    let flipped = validate_produce(&flipped, &limits).unwrap_err();
    assert_eq!((flipped.error, flipped.records), (ErrorCode::CORRUPT_MESSAGE, vec![]));
}
