//! The property behind `tests/fuzz/targets/records.rs` and the bounded tests here: no bytes of a
//! stranger make the record code panic, and what strict validation lets pass can be read.
//!
//! Compiled into both, so it names nothing but what `super` has in scope.

use super::{
    Accepted, AtOnce, Checked, LargeBatch, Limits, batches, find_max_timestamp, find_timestamp,
    records, validate_at_once, validate_produce,
};

const DECOMPRESSED_MAX: usize = 64 << 10;

/// Calls everything that reads bytes of strangers. A panic is the failure.
pub(super) fn check(bytes: &[u8]) {
    let mut all = batches(bytes);
    let seen: usize = all.by_ref().map(|(_, batch)| batch.len()).sum();
    assert_eq!(seen + all.rest().len(), bytes.len());
    for (strict, log_append_time) in [(false, false), (true, false), (true, true)] {
        let limits = Limits {
            max_message_bytes: 1 << 20,
            produce_version: 9,
            log_append_time,
            timestamp_before_max_ms: i64::MAX,
            timestamp_after_max_ms: 3_600_000,
            now_ms: 1_700_000_000_000,
            strict,
            compacted: false,
            codec: None,
            decompressed_bytes_max: DECOMPRESSED_MAX,
        };
        let valid = validate_produce(bytes, &limits);
        for bytes_at_once in [0, usize::MAX] {
            let mut at_once = AtOnce { bytes: bytes_at_once, decompressed: 0, recompressed: 0 };
            let checked = validate_at_once(bytes, &limits, &mut at_once);
            let Ok(Checked::UpTo(rest)) = checked else { continue };
            let in_steps = LargeBatch::new(bytes, &limits, rest).and_then(|mut batch| {
                loop {
                    match batch.step(50)? {
                        Some(Accepted::AsItCame(valid)) => return Ok(valid),
                        Some(Accepted::Recompressed(_)) => panic!("nothing says so"),
                        None => {}
                    }
                }
            });
            assert_eq!(in_steps, valid, "a step at a time");
        }
        let Ok(valid) = valid else { continue };
        let mut batch = bytes.to_vec();
        valid.assign(&mut batch, 77, 3);
        let (header, _) = batches(&batch).next().expect("it was a batch before");
        header.check_crc(&batch).expect("the CRC follows the changes");
        assert_eq!(header.max_timestamp, valid.header.max_timestamp);
        assert_eq!(header.attributes, valid.header.attributes);
        if strict {
            let records = records(&batch, DECOMPRESSED_MAX).expect("validated, so it opens");
            let mut next = 77;
            for record in &records {
                let record = record.expect("validated, so it can be read");
                assert_eq!(record.offset, next);
                assert!(record.timestamp <= header.max_timestamp);
                next += 1;
            }
            assert_eq!(next, header.next_offset());
            let last = find_max_timestamp(&batch, DECOMPRESSED_MAX).expect("can be walked");
            // Times before 1970 count for nothing in a max timestamp; as in Kafka.
            let none_counts = header.max_timestamp < 0;
            assert!(none_counts || last.is_some_and(|it| it.timestamp == header.max_timestamp));
        }
    }
    if let Ok(records) = records(bytes, DECOMPRESSED_MAX) {
        for record in records.iter().flatten() {
            assert_eq!(record.headers.len(), record.headers.count());
        }
    }
    let _ = find_timestamp(bytes, 0, 1_700_000_000_000, DECOMPRESSED_MAX);
    let _ = find_max_timestamp(bytes, DECOMPRESSED_MAX);
}
