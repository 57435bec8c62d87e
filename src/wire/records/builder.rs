//! Building batches.

use super::compress::compress;
use super::header::{LOG_APPEND_TIME, TRANSACTIONAL};
use super::{BatchHeader, Compression, Header, Record, crc, varint};
use crate::types::Codec;

/// Builds one batch, for clients, tools and tests.
///
/// ```
/// use klamm::wire::records::{BatchBuilder, Compression, records};
/// let mut builder = BatchBuilder::new(Compression::Zstd);
/// builder.push(1_700_000_000_000, Some(b"key"), Some(b"value"), &[("trace", Some(b"1"))]);
/// let batch = builder.build();
/// let records = records(&batch, 1 << 20).unwrap();
/// assert_eq!(records.iter().next().unwrap().unwrap().value, Some(&b"value"[..]));
/// ```
#[derive(Clone, Debug)]
pub struct BatchBuilder {
    compression: Compression,
    attributes: i16,
    base_offset: i64,
    leader_epoch: i32,
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    count: i32,
    records: Vec<u8>,
    body: Vec<u8>,
}

impl BatchBuilder {
    /// An empty batch without a producer id, at offset 0.
    pub fn new(compression: Compression) -> Self {
        Self {
            compression,
            attributes: 0,
            base_offset: 0,
            leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            base_timestamp: -1,
            max_timestamp: -1,
            count: 0,
            records: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Makes it a batch of an idempotent producer.
    #[must_use]
    pub fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        (self.producer_id, self.producer_epoch, self.base_sequence) = (id, epoch, base_sequence);
        self
    }

    /// Makes it part of a transaction.
    #[must_use]
    pub fn transactional(mut self) -> Self {
        self.attributes |= TRANSACTIONAL;
        self
    }

    /// Marks it as stamped by a broker, with the last record's max timestamp.
    #[must_use]
    pub fn log_append_time(mut self) -> Self {
        self.attributes |= LOG_APPEND_TIME;
        self
    }

    /// Sets what the broker sets when it appends.
    #[must_use]
    pub fn appended_at(mut self, base_offset: i64, leader_epoch: i32) -> Self {
        (self.base_offset, self.leader_epoch) = (base_offset, leader_epoch);
        self
    }

    /// Adds a record. `timestamp` in milliseconds since the epoch, -1 for none.
    ///
    /// # Panics
    /// If one record or all of them pass 2 GiB, which no batch can hold.
    pub fn push(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, Option<&[u8]>)],
    ) -> &mut Self {
        self.put(timestamp, key, value, headers.iter().map(|(key, value)| (key.as_bytes(), *value)))
    }

    fn put<'h>(
        &mut self,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl ExactSizeIterator<Item = Header<'h>>,
    ) -> &mut Self {
        if self.count == 0 {
            self.base_timestamp = timestamp;
        }
        self.max_timestamp = self.max_timestamp.max(timestamp);
        let body = &mut self.body;
        body.clear();
        body.push(0);
        varint::put_i64(body, timestamp.wrapping_sub(self.base_timestamp));
        varint::put_i32(body, self.count);
        put_bytes(body, key);
        put_bytes(body, value);
        varint::put_i32(body, length(headers.len()));
        for (key, value) in headers {
            put_bytes(body, Some(key));
            put_bytes(body, value);
        }
        varint::put_i32(&mut self.records, length(body.len()));
        self.records.extend_from_slice(body);
        self.count += 1;
        self
    }

    /// Adds a record that was read, as it is; its offset becomes the next of this batch.
    ///
    /// # Panics
    /// If one record or all of them pass 2 GiB, which no batch can hold.
    pub fn push_record(&mut self, record: &Record<'_>) -> &mut Self {
        self.put(record.timestamp, record.key, record.value, record.headers.clone())
    }

    /// Makes room for so many bytes of records.
    pub fn reserve(&mut self, bytes: usize) {
        self.records.reserve(bytes);
    }

    /// Number of records so far.
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of the batch if it were not compressed.
    pub fn len(&self) -> usize {
        BatchHeader::LEN + self.records.len()
    }

    /// The batch.
    ///
    /// # Panics
    /// If it passes 2 GiB.
    pub fn build(&self) -> Vec<u8> {
        let records = compress(Codec::of(self.compression), &self.records, Vec::new())
            .expect("compressing from memory to memory cannot fail");
        let header = BatchHeader {
            base_offset: self.base_offset,
            batch_length: length(BatchHeader::LEN - BatchHeader::PREFIX_LEN + records.len()),
            partition_leader_epoch: self.leader_epoch,
            magic: 2,
            crc: 0,
            attributes: self.attributes | self.compression as i16,
            last_offset_delta: self.count - 1,
            base_timestamp: self.base_timestamp,
            max_timestamp: self.max_timestamp,
            producer_id: self.producer_id,
            producer_epoch: self.producer_epoch,
            base_sequence: self.base_sequence,
            record_count: self.count,
            marker: None,
        };
        seal(&header, &records)
    }
}

/// A batch of this header and these bytes of records, with the CRC that fits. Everything else stays
/// as the header says, right or wrong.
pub fn seal(header: &BatchHeader, records: &[u8]) -> Vec<u8> {
    let mut batch = Vec::with_capacity(BatchHeader::LEN + records.len());
    batch.extend_from_slice(&header.to_bytes());
    batch.extend_from_slice(records);
    let crc = crc::crc32c(&batch[BatchHeader::CRC_FROM..]);
    batch[BatchHeader::CRC_AT..BatchHeader::CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    batch
}

fn length(len: usize) -> i32 {
    i32::try_from(len).expect("a batch is smaller than 2 GiB")
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => varint::put_i32(out, -1),
        Some(bytes) => {
            varint::put_i32(out, length(bytes.len()));
            out.extend_from_slice(bytes);
        }
    }
}
