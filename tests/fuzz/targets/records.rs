//! The records of one partition of a Produce request, or of a fetch: never a panic, and what strict
//! validation lets pass can be read.
#![no_main]

#[path = "../../../src/wire/records/exercise.rs"]
mod exercise;

use klamm::wire::records::{
    Accepted, AtOnce, BatchHeader, Checked, LargeBatch, Limits, batches, crc, find_max_timestamp,
    find_timestamp, records, validate_at_once, validate_produce,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    exercise::check(bytes);
    // Again with length, magic and CRC put right, or nothing behind them would be reached.
    if bytes.len() >= BatchHeader::LEN {
        let mut batch = bytes.to_vec();
        let length = (batch.len() - BatchHeader::PREFIX_LEN) as i32;
        batch[8..12].copy_from_slice(&length.to_be_bytes());
        batch[BatchHeader::MAGIC_AT] = 2;
        let crc = crc::crc32c(&batch[BatchHeader::CRC_FROM..]);
        batch[BatchHeader::CRC_AT..BatchHeader::CRC_FROM].copy_from_slice(&crc.to_be_bytes());
        exercise::check(&batch);
    }
});
