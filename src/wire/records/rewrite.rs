//! Changes of a batch's header in place.

use zerocopy::{FromBytes, IntoBytes};

use super::header::{LOG_APPEND_TIME, RawHeader, TRANSACTIONAL};
use super::{BatchHeader, crc};

/// Sets base offset and leader epoch of the batch that `batch` begins with. The CRC does not cover
/// them.
///
/// # Panics
/// If `batch` is shorter than a batch header.
pub fn set_offset_and_epoch(batch: &mut [u8], base_offset: i64, epoch: i32) {
    let raw = raw(batch);
    raw.base_offset = base_offset.into();
    raw.partition_leader_epoch = epoch.into();
}

/// Makes every record's timestamp the time of the append (`message.timestamp.type=LogAppendTime`):
/// sets the attribute and the max timestamp, and corrects the CRC.
///
/// # Panics
/// If `batch` is not one whole batch.
pub fn set_log_append_time(batch: &mut [u8], now_ms: i64) {
    patch(batch, |raw| {
        raw.attributes = (raw.attributes.get() | LOG_APPEND_TIME).into();
        raw.max_timestamp = now_ms.into();
    });
}

/// Sets the max timestamp of a batch with the producer's own times (`CreateTime`), and corrects the
/// CRC. For batches that came without one, or with a wrong one.
///
/// # Panics
/// If `batch` is not one whole batch.
pub fn set_max_timestamp(batch: &mut [u8], max_timestamp_ms: i64) {
    patch(batch, |raw| {
        raw.attributes = (raw.attributes.get() & !LOG_APPEND_TIME).into();
        raw.max_timestamp = max_timestamp_ms.into();
    });
}

/// Makes the batch one of a transaction of this producer, and corrects the CRC. Whatever wrote it before is forgotten.
///
/// # Panics
/// If `batch` is not one whole batch.
pub fn set_producer(batch: &mut [u8], id: i64, epoch: i16, base_sequence: i32) {
    patch(batch, |raw| {
        raw.attributes = (raw.attributes.get() | TRANSACTIONAL).into();
        raw.producer_id = id.into();
        raw.producer_epoch = epoch.into();
        raw.base_sequence = base_sequence.into();
    });
}

fn raw(batch: &mut [u8]) -> &mut RawHeader {
    let (raw, _) = RawHeader::mut_from_prefix(batch).expect("a batch begins with its header");
    raw
}

/// Changes header fields under the CRC and carries the difference over to the CRC, without a pass
/// over the records. A CRC that was wrong before stays wrong.
fn patch(batch: &mut [u8], change: impl FnOnce(&mut RawHeader)) {
    let records_len = batch.len() - BatchHeader::LEN;
    let raw = raw(batch);
    let before = crc::crc32c(&raw.as_bytes()[BatchHeader::CRC_FROM..]);
    change(raw);
    let after = crc::crc32c(&raw.as_bytes()[BatchHeader::CRC_FROM..]);
    raw.crc = crc::combine(before ^ after, raw.crc.get(), records_len).into();
}
