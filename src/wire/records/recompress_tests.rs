//! Recompression: what stays of a batch, what is refused, and that no step is long.

use super::*;
use crate::types::{Codec, ErrorCode, Rng};

const NOW: i64 = 1_700_000_000_000;
const ROOMY: usize = 4 << 20;

fn limits(codec: Codec) -> Limits {
    Limits {
        max_message_bytes: ROOMY,
        strict: false,
        codec: Some(codec),
        decompressed_bytes_max: ROOMY,
        ..super::tests::limits()
    }
}

/// Every codec, with levels at both ends.
fn codecs() -> Vec<Codec> {
    let levels: [&[i32]; 5] = [&[0], &[-1, 1, 6, 9], &[0], &[1, 9, 12, 17], &[-7, 1, 3, 9, 15, 22]];
    let of = |(compression, levels): (Compression, &[i32])| {
        levels.iter().map(|level| Codec { compression, level: *level }).collect::<Vec<_>>()
    };
    Compression::ALL.into_iter().zip(levels).flat_map(of).collect()
}

/// In one go where `step` is `None`, otherwise in steps of so much.
fn validated(
    batch: &[u8],
    limits: &Limits,
    step: Option<usize>,
) -> Result<(Accepted, usize), Refusal> {
    let mut at_once = AtOnce::ALL;
    if step.is_some() {
        at_once = AtOnce { bytes: 0, ..AtOnce::ALL };
    }
    let rest = match validate_at_once(batch, limits, &mut at_once)? {
        Checked::Valid(accepted) => return Ok((accepted, 1)),
        Checked::UpTo(rest) => rest,
    };
    let mut large = LargeBatch::new(batch, limits, rest)?;
    let mut steps = 1;
    loop {
        if let Some(accepted) = large.step(step.expect("all at once"))? {
            return Ok((accepted, steps));
        }
        steps += 1;
    }
}

fn recompressed(batch: &[u8], limits: &Limits, step: Option<usize>) -> Recompressed {
    match validated(batch, limits, step) {
        Ok((Accepted::Recompressed(it), _)) => *it,
        other => panic!("{other:?}"),
    }
}

fn random(rng: &mut Rng, compression: Compression, bytes_max: u64) -> Vec<u8> {
    let mut builder = BatchBuilder::new(compression);
    if rng.below(2) > 0 {
        builder = builder.producer(4711, 3, i32::MAX - 1);
        if rng.below(2) > 0 {
            builder = builder.transactional();
        }
    }
    for _ in 0..=rng.below(20) {
        let bytes = |rng: &mut Rng| -> Option<Vec<u8>> {
            let kinds = 1 + rng.below(255);
            let len = rng.below(bytes_max);
            (rng.below(4) > 0).then(|| (0..len).map(|_| rng.below(kinds) as u8).collect())
        };
        let (key, value, header) = (bytes(rng), bytes(rng), bytes(rng));
        let headers = [("h", header.as_deref()), ("", None)];
        let headers = &headers[..rng.below(3) as usize];
        let time = if rng.below(9) > 0 { NOW - rng.below(1000) as i64 } else { -1 };
        builder.push(time, key.as_deref(), value.as_deref(), headers);
    }
    builder.build()
}

#[test]
fn each_codec_into_each_other_keeps_all_but_the_codec() {
    let mut rng = Rng::new(17);
    for codec in codecs() {
        for from in Compression::ALL {
            for step in [None, Some(64 << 10), Some(1 + rng.below(3000) as usize)] {
                let large = if rng.below(4) > 0 { 200 } else { 20_000 };
                let batch = random(&mut rng, from, large);
                let before = BatchHeader::parse(&batch).unwrap();
                let limits = limits(codec);
                if from == codec.compression {
                    let kept = validated(&batch, &limits, step).unwrap().0;
                    assert!(matches!(kept, Accepted::AsItCame(it) if it.header == before));
                    continue;
                }
                let made = recompressed(&batch, &limits, step);
                let header = BatchHeader::parse(&made.batch).unwrap();
                assert_eq!(made.header, header);
                header.check_crc(&made.batch).unwrap();
                let expected = BatchHeader {
                    batch_length: header.batch_length,
                    crc: header.crc,
                    attributes: before.attributes & !7 | codec.compression as i16,
                    ..before
                };
                assert_eq!(header, expected);
                assert_eq!(header.total_len(), made.batch.len());
                let (old, new) = (records(&batch, ROOMY), records(&made.batch, ROOMY));
                let (old, new) = (old.unwrap(), new.unwrap());
                let (old, new) = (old.iter(), new.iter());
                assert!(old.map(Result::unwrap).eq(new.map(Result::unwrap)), "{from:?} {codec:?}");
                // Another level is no reason to do it again.
                let again = validated(&made.batch, &limits, None).unwrap().0;
                assert!(matches!(again, Accepted::AsItCame(it) if it.header == header));
            }
        }
    }
}

#[test]
fn timestamps_are_those_of_the_topic() {
    let codec = Codec::of(Compression::Zstd);
    let mut builder = BatchBuilder::new(Compression::Gzip);
    builder.push(NOW - 5, None, Some(b"a"), &[]).push(NOW - 2, None, Some(b"b"), &[]);
    let right = builder.build();
    // One that is missing or wrong is put right.
    let mut header = BatchHeader::parse(&right).unwrap();
    header.max_timestamp = -1;
    let wrong = seal(&header, &right[BatchHeader::LEN..]);
    for step in [None, Some(5)] {
        for batch in [&right, &wrong] {
            let made = recompressed(batch, &limits(codec), step);
            assert_eq!(made.header.max_timestamp, NOW - 2);
            assert_eq!(BatchHeader::parse(&made.batch), Ok(made.header));
        }
        let log_append = Limits { log_append_time: true, ..limits(codec) };
        let mut made = recompressed(&right, &log_append, step);
        assert!(made.header.is_log_append_time());
        // The time is given when it is appended, which is later.
        set_log_append_time(&mut made.batch, NOW + 7);
        let header = BatchHeader::parse(&made.batch).unwrap();
        header.check_crc(&made.batch).unwrap();
        assert!(header.is_log_append_time());
        let records = records(&made.batch, ROOMY).unwrap();
        assert!(records.iter().all(|it| it.unwrap().timestamp == NOW + 7));
    }
}

#[test]
fn what_no_topic_takes_is_refused_before_it_is_compressed() {
    let mut rng = Rng::new(23);
    for codec in codecs() {
        let from = if codec.compression == Compression::Lz4 { 4 } else { 3 };
        let good = random(&mut rng, Compression::ALL[from], 500);
        let header = BatchHeader::parse(&good).unwrap();
        let with = |change: fn(&mut BatchHeader)| {
            let mut header = header;
            change(&mut header);
            seal(&header, &good[BatchHeader::LEN..])
        };
        let mut flipped = good.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let mut cut = good[..good.len() - 20].to_vec();
        let length = (cut.len() - BatchHeader::PREFIX_LEN) as i32;
        cut[8..12].copy_from_slice(&length.to_be_bytes());
        let cut = seal(&BatchHeader::parse(&cut).unwrap(), &cut[BatchHeader::LEN..]);
        let mut builder = BatchBuilder::new(Compression::ALL[from]);
        builder.push(NOW, None, Some(b"no key"), &[]);
        let keyless = builder.build();
        let invalid = ErrorCode::INVALID_RECORD;
        for step in [None, Some(700)] {
            let refused = |batch: &[u8], limits: &Limits| {
                validated(batch, limits, step).expect_err("it is refused").error
            };
            let limits = limits(codec);
            assert_eq!(refused(&flipped, &limits), ErrorCode::CORRUPT_MESSAGE);
            assert_eq!(refused(&cut, &limits), invalid);
            assert_eq!(refused(&with(|it| it.attributes |= 1 << 5), &limits), invalid);
            let more = with(|it| {
                it.record_count += 1;
                it.last_offset_delta += 1;
            });
            assert_eq!(refused(&more, &limits), invalid);
            let compacted = Limits { compacted: true, ..limits };
            let refusal = validated(&keyless, &compacted, step).unwrap_err();
            assert_eq!((refusal.error, refusal.records.len()), (invalid, 1));
        }
    }
}

#[test]
fn a_batch_is_not_larger_than_it_may_be_before_or_after() {
    // What does not get smaller, and what gets large.
    let mut rng = Rng::new(29);
    let noise: Vec<u8> = (0..50_000).map(|_| rng.below(256) as u8).collect();
    let same = vec![7; 50_000];
    let built = |compression, value: &[u8]| {
        let mut builder = BatchBuilder::new(compression);
        builder.push(NOW, None, Some(value), &[]);
        builder.build()
    };
    for step in [None, Some(5000)] {
        for codec in codecs() {
            let from = if codec.compression == Compression::None { 3 } else { 0 };
            let from = Compression::ALL[from];
            let large = built(from, if from == Compression::None { &noise } else { &same });
            let after = recompressed(&large, &limits(codec), step).batch.len();
            let at_most = |bytes| {
                let limits = Limits { max_message_bytes: bytes, ..limits(codec) };
                validated(&large, &limits, step).map(|_| ()).map_err(|it| it.error)
            };
            let most = large.len().max(after);
            assert_eq!(at_most(most), Ok(()));
            assert_eq!(at_most(most - 1), Err(ErrorCode::MESSAGE_TOO_LARGE), "{codec:?}");
        }
    }
    // As it comes it is too large, although it would be small enough.
    let large = built(Compression::None, &same);
    let small = Limits { max_message_bytes: 40_000, ..limits(Codec::of(Compression::Zstd)) };
    let refusal = validated(&large, &small, None).unwrap_err();
    assert_eq!(refusal.error, ErrorCode::MESSAGE_TOO_LARGE);
}

/// What is large is compressed in steps, of which none does more than its budget and a piece, whatever comes.
#[test]
fn no_step_does_much() {
    let mut rng = Rng::new(31);
    let value: Vec<u8> = (0..1 << 20).map(|at| (rng.below(6) + at / 9000) as u8).collect();
    for codec in codecs() {
        for from in [Compression::None, Compression::Zstd, Compression::Lz4] {
            if from == codec.compression {
                continue;
            }
            let mut builder = BatchBuilder::new(from);
            builder.push(NOW, Some(b"key"), Some(&value), &[]);
            let batch = builder.build();
            let limits = limits(codec);
            let (accepted, steps) = validated(&batch, &limits, Some(64 << 10)).unwrap();
            let Accepted::Recompressed(made) = accepted else { panic!("another codec") };
            let weight = super::compress::Cost::of(codec).weight;
            assert!(steps >= 16 * weight, "{codec:?}: {steps} steps");
            assert!(steps <= 16 * weight + 64, "{codec:?}: {steps} steps");
            assert_eq!(recompressed(&batch, &limits, None).header.record_count, 1);
            let records = records(&made.batch, ROOMY).unwrap();
            assert_eq!(records.iter().next().unwrap().unwrap().value, Some(&value[..]));
        }
    }
}

/// What may be compressed in one go counts for all batches of a request.
#[test]
fn little_is_compressed_in_one_go() {
    let codec = Codec::of(Compression::Gzip);
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(NOW, None, Some(&[7; 1000]), &[]);
    let batch = builder.build();
    let mut at_once = AtOnce { decompressed: 64 << 10, ..AtOnce::ALL };
    let mut valid = 0;
    while let Checked::Valid(Accepted::Recompressed(_)) =
        validate_at_once(&batch, &limits(codec), &mut at_once).unwrap()
    {
        valid += 1;
    }
    assert!((2..10).contains(&valid), "{valid}");
    let mut none = AtOnce { recompressed: 900, ..AtOnce::ALL };
    let checked = validate_at_once(&batch, &limits(codec), &mut none);
    assert_eq!(checked, Ok(Checked::UpTo(Rest::Records)));
}

#[test]
fn what_is_damaged_is_an_error_and_never_a_panic() {
    let mut rng = Rng::new(37);
    let codecs = codecs();
    for round in 0..600 {
        let mut bytes = random(&mut rng, Compression::ALL[round % 5], 300);
        let records = BatchHeader::LEN as u64;
        for _ in 0..=rng.below(3) {
            let at = records + rng.below(bytes.len() as u64 - records);
            bytes[at as usize] ^= 1 << rng.below(8);
        }
        let batch = seal(&BatchHeader::parse(&bytes).unwrap(), &bytes[BatchHeader::LEN..]);
        let limits = limits(codecs[rng.index(codecs.len())]);
        let at_once = validated(&batch, &limits, None).map(|it| it.0);
        let in_steps = validated(&batch, &limits, Some(900)).map(|it| it.0);
        match (at_once, in_steps) {
            (Ok(Accepted::Recompressed(a)), Ok(Accepted::Recompressed(b))) => {
                let open = |it: &Recompressed| -> Vec<Vec<u8>> {
                    let all = super::records(&it.batch, ROOMY).unwrap();
                    let value =
                        |it: Result<Record<'_>, _>| it.unwrap().value.unwrap_or(b"").to_vec();
                    all.iter().map(value).collect()
                };
                assert_eq!(open(&a), open(&b));
            }
            (a, b) => assert_eq!(a.is_ok(), b.is_ok(), "{a:?} {b:?}"),
        }
    }
}

/// One block of Snappy, as librdkafka and kafka-python write it: it says how much comes out of it before any does.
#[test]
fn a_block_that_is_too_large_for_one_go_is_not_damaged() {
    let limits = limits(Codec::of(Compression::Gzip));
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(NOW, None, Some(&vec![7; 10_000]), &[]);
    let plain = builder.build();
    let mut header = BatchHeader::parse(&plain).unwrap();
    let block = snap::raw::Encoder::new().compress_vec(&plain[BatchHeader::LEN..]).unwrap();
    header.attributes |= Compression::Snappy as i16;
    header.batch_length = (block.len() + BatchHeader::LEN - BatchHeader::PREFIX_LEN) as i32;
    let batch = seal(&header, &block);
    let mut at_once = AtOnce { decompressed: 64 << 10, ..AtOnce::ALL };
    let checked = validate_at_once(&batch, &limits, &mut at_once);
    assert_eq!(checked, Ok(Checked::UpTo(Rest::Records)));
    for step in [None, Some(500)] {
        let made = recompressed(&batch, &limits, step);
        let records = records(&made.batch, ROOMY).unwrap();
        assert_eq!(records.iter().next().unwrap().unwrap().value, Some(&vec![7; 10_000][..]));
    }
    let little = Limits { decompressed_bytes_max: 9_000, ..limits };
    let refusal = validated(&batch, &little, Some(500)).unwrap_err();
    assert_eq!(refusal.error, ErrorCode::MESSAGE_TOO_LARGE);
}
