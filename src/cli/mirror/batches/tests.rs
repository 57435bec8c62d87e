//! Batches of the source as batches for the target.

use super::*;
use crate::wire::kafka::fetch_response::AbortedTransaction;
use crate::wire::records::{empty_batch, seal, set_log_append_time};

/// A batch of records `at..at + count`, each with its offset as key and timestamp.
fn batch(at: i64, count: i64, compression: Compression, value: usize) -> Vec<u8> {
    let mut builder = BatchBuilder::new(compression).appended_at(at, 4);
    fill(&mut builder, at, count, value);
    builder.build()
}

fn fill(builder: &mut BatchBuilder, at: i64, count: i64, value: usize) {
    for n in at..at + count {
        let key = n.to_string();
        let value = vec![n as u8; value];
        let value = (n % 3 != 0).then_some(&value[..]);
        let headers: &[(&str, Option<&[u8]>)] = &[("h", Some(b"1")), ("h", None)];
        builder.push(1_000 + n, Some(key.as_bytes()), value, headers);
    }
}

fn take_all(bytes: &[&[u8]], position: i64, bytes_max: usize) -> Taken {
    let bytes = bytes.concat();
    let data = PartitionData { records: Some(&bytes), ..PartitionData::default() };
    take("t", &data, position, bytes_max).expect("sound batches")
}

/// Checks that the batches can be produced, and have just these records of the source, unchanged.
fn assert_records(taken: &Taken, offsets: &[i64], value: usize) {
    let mut found = Vec::new();
    for it in &taken.batches {
        let header = BatchHeader::parse(&it.bytes).expect("a batch");
        header.check_crc(&it.bytes).expect("a checksum that fits");
        assert_eq!((header.base_offset, header.last_offset_delta + 1), (0, header.record_count));
        assert!(!header.is_log_append_time() && header.delete_horizon_ms().is_none());
        let opened = records(&it.bytes, 1 << 30).expect("records");
        let mut offsets = it.pieces.iter().flat_map(|(from, len)| *from..*from + *len);
        for (n, record) in opened.iter().enumerate() {
            let record = record.expect("a record");
            let at = offsets.next().expect("an offset of each");
            assert_eq!(record.offset, n as i64, "dense");
            assert_eq!(record.timestamp, 1_000 + at);
            assert_eq!(record.key, Some(at.to_string().as_bytes()));
            assert_eq!(
                record.value.map(<[u8]>::to_vec),
                (at % 3 != 0).then(|| vec![at as u8; value])
            );
            let headers: Vec<_> = record.headers.clone().collect();
            assert_eq!(headers, [(&b"h"[..], Some(&b"1"[..])), (&b"h"[..], None)]);
            found.push(at);
        }
        assert_eq!(offsets.next(), None);
    }
    assert_eq!(found, offsets);
    assert_eq!(taken.records, offsets.len() as u64);
}

const MAX: usize = 1 << 20;

#[test]
fn a_large_batch_goes_as_it_came() {
    for compression in Compression::ALL {
        let source = batch(5, 200, compression, 100_000);
        let taken = take_all(&[&source], 5, MAX);
        assert_records(&taken, &(5..205).collect::<Vec<_>>(), 100_000);
        assert_eq!(taken.batches.len(), 1);
        // Its records were not touched.
        assert_eq!(taken.batches[0].bytes[BatchHeader::LEN..], source[BatchHeader::LEN..]);
        assert_eq!(taken.next, 205);
    }
}

#[test]
fn small_batches_are_put_together_in_order() {
    let sources: Vec<Vec<u8>> = (0..40).map(|n| batch(n * 5, 5, Compression::Zstd, 100)).collect();
    let sources: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
    let taken = take_all(&sources, 0, MAX);
    assert_records(&taken, &(0..200).collect::<Vec<_>>(), 100);
    assert_eq!((taken.batches.len(), taken.next), (1, 200));
    assert_eq!(taken.batches[0].pieces, [(0, 200)]);
    let header = BatchHeader::parse(&taken.batches[0].bytes).expect("a batch");
    assert_eq!(header.compression(), Ok(Compression::Zstd));
    // Never beyond what the target takes, however well they were compressed.
    let taken = take_all(&sources, 0, 2_000);
    assert_records(&taken, &(0..200).collect::<Vec<_>>(), 100);
    assert!(taken.batches.len() > 10);
    assert!(taken.batches.iter().all(|it| it.bytes.len() <= 2_000));
    // One that is larger alone goes all the same: the target has its say.
    let taken = take_all(&[&batch(1, 2, Compression::None, 3_000)], 2, 2_000);
    assert_records(&taken, &[2], 3_000);
}

#[test]
fn order_is_kept_between_large_and_small() {
    let sources = [
        batch(0, 2, Compression::None, 10),
        batch(2, 2, Compression::None, 80_000),
        batch(4, 2, Compression::Gzip, 10),
        batch(6, 2, Compression::None, 10),
    ];
    let sources: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
    let bytes: Vec<u8> = sources.concat();
    let data = PartitionData { records: Some(&bytes), ..PartitionData::default() };
    let taken = take("t", &data, 0, MAX).expect("sound");
    let pieces: Vec<_> = taken.batches.iter().flat_map(|it| it.pieces.clone()).collect();
    assert_eq!(pieces, [(0, 2), (2, 2), (4, 4)]);
}

#[test]
fn a_position_within_a_batch() {
    let taken = take_all(&[&batch(0, 10, Compression::Lz4, 10)], 7, MAX);
    assert_records(&taken, &[7, 8, 9], 10);
    let nothing = take_all(&[&batch(0, 10, Compression::Lz4, 10)], 10, MAX);
    assert_eq!(nothing, Taken { next: 10, ..Taken::default() });
}

/// What is left of a batch when compaction has taken some of its records.
fn compacted(at: i64, kept: std::ops::Range<i64>, last: i64, horizon: bool) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None).appended_at(at, 4);
    fill(&mut builder, kept.start, kept.end - kept.start, 10);
    let whole = builder.build();
    let header = BatchHeader::parse(&whole).expect("a batch");
    // Offsets of a batch count from its base.
    let base_offset = kept.start;
    let mut header =
        BatchHeader { base_offset, last_offset_delta: (last - base_offset) as i32, ..header };
    if horizon {
        header.attributes |= 1 << 6;
    }
    seal(&header, &whole[BatchHeader::LEN..])
}

#[test]
fn gaps_of_compaction_are_closed() {
    let sources = [compacted(0, 3..5, 9, false), compacted(10, 12..13, 19, false)];
    let taken = take_all(&[&sources[0], &sources[1]], 0, MAX);
    assert_records(&taken, &[3, 4, 12], 10);
    assert_eq!(taken.batches[0].pieces, [(3, 2), (12, 1)]);
    let runs: Vec<Run> = taken.batches[0].runs(100).collect();
    assert_eq!(runs, [Run { from: 3, to: 100, len: 2 }, Run { from: 12, to: 102, len: 1 }]);
    assert_eq!(taken.next, 20);
    // Alone as well.
    let taken = take_all(&[&sources[0]], 0, MAX);
    assert_records(&taken, &[3, 4], 10);
}

#[test]
fn an_empty_batch_is_passed_over() {
    let source = batch(0, 10, Compression::None, 10);
    let empty = empty_batch(&BatchHeader::parse(&source).expect("a batch"));
    let taken = take_all(&[&empty, &batch(10, 1, Compression::None, 10)], 0, MAX);
    assert_records(&taken, &[10], 10);
}

#[test]
fn times_of_the_sources_broker_become_those_of_the_records() {
    let mut source = batch(0, 3, Compression::Gzip, 10);
    set_log_append_time(&mut source, 77);
    let taken = take_all(&[&source], 0, MAX);
    let opened = records(&taken.batches[0].bytes, 1 << 20).expect("records");
    assert!(opened.iter().all(|it| it.expect("a record").timestamp == 77));
    assert!(!opened.header().is_log_append_time());
}

#[test]
fn only_what_was_committed_is_taken() {
    let of = |producer, at, count| {
        let mut builder = BatchBuilder::new(Compression::None).appended_at(at, 4);
        builder = builder.producer(producer, 0, 0).transactional();
        fill(&mut builder, at, count, 10);
        builder.build()
    };
    let marker = |producer, at, commit: bool| {
        let mut builder = BatchBuilder::new(Compression::None).appended_at(at, 4);
        builder = builder.producer(producer, 0, -1).transactional();
        builder.push(0, Some(&[0, 0, 0, u8::from(commit)]), Some(&[0, 0, 0, 0, 0, 1]), &[]);
        let bytes = builder.build();
        let header = BatchHeader::parse(&bytes).expect("a batch");
        let header = BatchHeader { attributes: header.attributes | 1 << 5, ..header };
        seal(&header, &bytes[BatchHeader::LEN..])
    };
    let bytes = [
        of(1, 0, 2),
        of(2, 2, 2),
        marker(1, 4, false),
        marker(2, 5, true),
        of(1, 6, 1),
        marker(1, 7, true),
    ]
    .concat();
    let aborted = vec![AbortedTransaction { producer_id: 1, first_offset: 0 }];
    let data = PartitionData {
        records: Some(&bytes),
        aborted_transactions: Some(aborted),
        ..PartitionData::default()
    };
    let taken = take("t", &data, 0, MAX).expect("sound");
    assert_records(&taken, &[2, 3, 6], 10);
    assert_eq!(taken.next, 8);
}

#[test]
fn damage_is_not_copied() {
    let mut source = batch(0, 3, Compression::None, 10);
    *source.last_mut().expect("a byte") ^= 1;
    let data = PartitionData { records: Some(&source), ..PartitionData::default() };
    assert!(matches!(take("t", &data, 0, MAX), Err(ClientError::Damaged { offset: 0, .. })));
    let half = PartitionData { records: Some(&source[..40]), ..PartitionData::default() };
    assert!(matches!(take("t", &half, 0, MAX), Err(ClientError::Damaged { .. })));
}
