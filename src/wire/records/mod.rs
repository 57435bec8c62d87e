//! Record batches of Kafka's format v2 (magic 2, KIP-98): header, validation, records.
//!
//! A batch is a header of 61 bytes and `record_count` records, compressed as a whole or not. The
//! broker stores batches as they came; it sets base offset and leader epoch, which the batch's
//! CRC does not cover, and only where a topic asks for it ([`set_log_append_time`],
//! [`set_max_timestamp`], [`Limits::codec`]) bytes that it does cover.

mod builder;
mod compress;
mod control;
pub mod crc;
mod decompress;
mod error;
#[cfg(test)]
mod exercise;
mod filter;
mod header;
mod input;
mod key_hash;
mod marker;
mod read;
mod recompress;
#[cfg(test)]
mod recompress_tests;
mod rewrite;
mod search;
mod snappy;
#[cfg(test)]
mod tests;
mod validate;
mod varint;
mod walk;

pub use crate::types::Compression;
pub use builder::{BatchBuilder, seal};
pub use error::RecordError;
pub use filter::{RecordScan, Rewriting, Seen, empty_batch};
pub use header::{BatchHeader, Batches, batches};
pub use key_hash::KeyHasher;
pub use marker::Marker;
pub use read::{
    Header, Headers, Record, RecordIter, Records, find_max_timestamp, find_timestamp, records,
};
pub use rewrite::{set_log_append_time, set_max_timestamp, set_offset_and_epoch, set_producer};
pub use search::{Progress, TimeSearch, TimedOffset, Wanted};
pub use validate::{
    Accepted, AtOnce, Checked, DECOMPRESSED_BYTES_MAX, LargeBatch, Limits, RECORDS_LISTED_MAX,
    Recompressed, Refusal, RefusedRecord, Rest, Rewrite, Validated, validate_at_once,
    validate_produce,
};
