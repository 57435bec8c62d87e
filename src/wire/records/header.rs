//! The header of a batch, and the batches of a run of bytes.

use zerocopy::byteorder::big_endian::{I16, I32, I64, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::RecordError;
use super::crc;
use super::marker::Marker;
use crate::types::Compression;

/// The header as it lies in memory, on disk and on the wire.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
pub(super) struct RawHeader {
    pub base_offset: I64,
    pub batch_length: I32,
    pub partition_leader_epoch: I32,
    pub magic: i8,
    pub crc: U32,
    pub attributes: I16,
    pub last_offset_delta: I32,
    pub base_timestamp: I64,
    pub max_timestamp: I64,
    pub producer_id: I64,
    pub producer_epoch: I16,
    pub base_sequence: I32,
    pub record_count: I32,
}

const _: () = assert!(size_of::<RawHeader>() == BatchHeader::LEN);
const _: () = assert!(std::mem::offset_of!(RawHeader, magic) == BatchHeader::MAGIC_AT);
const _: () = assert!(std::mem::offset_of!(RawHeader, crc) == BatchHeader::CRC_AT);
const _: () = assert!(std::mem::offset_of!(RawHeader, attributes) == BatchHeader::CRC_FROM);

pub(super) const LOG_APPEND_TIME: i16 = 1 << 3;
pub(super) const TRANSACTIONAL: i16 = 1 << 4;
pub(super) const CONTROL: i16 = 1 << 5;
pub(super) const DELETE_HORIZON: i16 = 1 << 6;

/// The header of a batch, as host integers. Units: offsets in records, times in milliseconds since
/// the epoch, lengths in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the first record; set by the broker, not under the CRC.
    pub base_offset: i64,
    /// Bytes that follow this field: [`BatchHeader::total_len`] - 12.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch; set by the broker, not under the CRC.
    pub partition_leader_epoch: i32,
    /// Format version: 2.
    pub magic: i8,
    /// CRC-32C of everything from the attributes on.
    pub crc: u32,
    /// Bits 0–2 compression, 3 `LogAppendTime`, 4 transactional, 5 control, 6 delete horizon.
    pub attributes: i16,
    /// Last offset - base offset.
    pub last_offset_delta: i32,
    /// What the records' timestamp deltas count from; with bit 6, the delete horizon (KIP-534).
    pub base_timestamp: i64,
    /// Largest timestamp; of every record where bit 3 is set. -1 is none.
    pub max_timestamp: i64,
    /// Producer id, -1 for none.
    pub producer_id: i64,
    /// Producer epoch, -1 for none.
    pub producer_epoch: i16,
    /// Sequence number of the first record, -1 for none.
    pub base_sequence: i32,
    /// Number of records.
    pub record_count: i32,
    /// Of a control batch that ends a transaction: how. Not in the header, but in the batch's only record.
    pub marker: Option<Marker>,
}

impl BatchHeader {
    /// Length of the header in bytes.
    pub const LEN: usize = 61;
    /// Bytes before those that `batch_length` counts.
    pub const PREFIX_LEN: usize = 12;
    /// Position of the magic byte.
    pub const MAGIC_AT: usize = 16;
    /// Position of the CRC.
    pub const CRC_AT: usize = 17;
    /// Position of the first byte under the CRC.
    pub const CRC_FROM: usize = 21;

    /// Reads the header of the batch that `bytes` begin with, and checks that the whole batch is
    /// there and is of format 2; more bytes may follow. The CRC is [`BatchHeader::check_crc`]'s.
    ///
    /// # Errors
    /// [`RecordError::Truncated`], [`RecordError::Length`], [`RecordError::Magic`].
    #[inline]
    pub fn parse(bytes: &[u8]) -> Result<Self, RecordError> {
        let short = |needed| RecordError::Truncated { needed, available: bytes.len() };
        // The length and the magic byte decide before the rest is there: a batch of an older
        // format can be shorter than this one's header.
        let prefix = bytes.get(..=Self::MAGIC_AT).ok_or(short(Self::LEN))?;
        let length = i32::from_be_bytes([prefix[8], prefix[9], prefix[10], prefix[11]]);
        let magic = prefix[Self::MAGIC_AT].cast_signed();
        if magic != 2 {
            return Err(RecordError::Magic(magic));
        }
        let total =
            usize::try_from(length).map_err(|_| RecordError::Length(length))? + Self::PREFIX_LEN;
        if total < Self::LEN {
            return Err(RecordError::Length(length));
        }
        if bytes.len() < total {
            return Err(short(total));
        }
        let (raw, _) = RawHeader::ref_from_prefix(bytes).map_err(|_| short(Self::LEN))?;
        Ok(Self {
            base_offset: raw.base_offset.get(),
            batch_length: length,
            partition_leader_epoch: raw.partition_leader_epoch.get(),
            magic,
            crc: raw.crc.get(),
            attributes: raw.attributes.get(),
            last_offset_delta: raw.last_offset_delta.get(),
            base_timestamp: raw.base_timestamp.get(),
            max_timestamp: raw.max_timestamp.get(),
            producer_id: raw.producer_id.get(),
            producer_epoch: raw.producer_epoch.get(),
            base_sequence: raw.base_sequence.get(),
            record_count: raw.record_count.get(),
            marker: if raw.attributes.get() & CONTROL == 0 {
                None
            } else {
                Marker::read(&bytes[Self::LEN..total])
            },
        })
    }

    /// The header as it is on the wire.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let raw = RawHeader {
            base_offset: self.base_offset.into(),
            batch_length: self.batch_length.into(),
            partition_leader_epoch: self.partition_leader_epoch.into(),
            magic: self.magic,
            crc: self.crc.into(),
            attributes: self.attributes.into(),
            last_offset_delta: self.last_offset_delta.into(),
            base_timestamp: self.base_timestamp.into(),
            max_timestamp: self.max_timestamp.into(),
            producer_id: self.producer_id.into(),
            producer_epoch: self.producer_epoch.into(),
            base_sequence: self.base_sequence.into(),
            record_count: self.record_count.into(),
        };
        zerocopy::transmute!(raw)
    }

    /// Checks the CRC of the batch that `bytes` begin with and this is the header of.
    ///
    /// # Errors
    /// [`RecordError::Crc`], or [`RecordError::Truncated`] where `bytes` are not that batch.
    #[inline]
    pub fn check_crc(&self, bytes: &[u8]) -> Result<(), RecordError> {
        let total = self.total_len();
        let covered = bytes
            .get(Self::CRC_FROM..total)
            .ok_or(RecordError::Truncated { needed: total, available: bytes.len() })?;
        let computed = crc::crc32c(covered);
        if computed == self.crc {
            Ok(())
        } else {
            Err(RecordError::Crc { stored: self.crc, computed })
        }
    }

    /// Length of the batch with its header, bytes. Never less than [`BatchHeader::LEN`] for a
    /// header that was parsed.
    pub fn total_len(&self) -> usize {
        usize::try_from(self.batch_length).unwrap_or(0) + Self::PREFIX_LEN
    }

    /// Offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.base_offset.wrapping_add(i64::from(self.last_offset_delta))
    }

    /// Offset after the last record.
    pub fn next_offset(&self) -> i64 {
        self.last_offset().wrapping_add(1)
    }

    /// How the records are compressed.
    ///
    /// # Errors
    /// [`RecordError::Compression`] for a type that does not exist.
    pub fn compression(&self) -> Result<Compression, RecordError> {
        let id = (self.attributes & 7) as u8;
        Compression::ALL.get(usize::from(id)).copied().ok_or(RecordError::Compression(id))
    }

    /// Whether all records have `max_timestamp`, which the broker set when it appended them.
    pub fn is_log_append_time(&self) -> bool {
        self.attributes & LOG_APPEND_TIME != 0
    }

    /// The same batch, to be stamped by the broker that appends it.
    #[must_use]
    pub const fn with_log_append_time(mut self) -> Self {
        self.attributes |= LOG_APPEND_TIME;
        self
    }

    /// Whether the batch is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether the batch holds a transaction marker or the like instead of a user's records.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// The time from which compaction may drop tombstones of this batch (KIP-534).
    pub fn delete_horizon_ms(&self) -> Option<i64> {
        (self.attributes & DELETE_HORIZON != 0).then_some(self.base_timestamp)
    }

    /// Whether the producer is idempotent or transactional.
    pub fn has_producer_id(&self) -> bool {
        self.producer_id > -1
    }

    /// Sequence number of the last record; sequences wrap from `i32::MAX` to 0.
    pub fn last_sequence(&self) -> i32 {
        if self.base_sequence < 0 {
            return -1;
        }
        // As an unsigned 31-bit counter.
        self.base_sequence.wrapping_add(self.last_offset_delta) & i32::MAX
    }
}

/// The whole batches that `bytes` begin with; see [`Batches::rest`] for what is left.
pub fn batches(bytes: &[u8]) -> Batches<'_> {
    Batches { bytes }
}

/// Iterates over batches back to back, each with its header, and ends before the first bytes that
/// are not a whole batch of format 2. CRCs are not checked.
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    bytes: &'a [u8],
}

impl<'a> Batches<'a> {
    /// The bytes not yet iterated over. After the end: what is not a whole batch, and empty if
    /// there is no such thing.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> Iterator for Batches<'a> {
    type Item = (BatchHeader, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let header = BatchHeader::parse(self.bytes).ok()?;
        let (batch, rest) = self.bytes.split_at(header.total_len());
        self.bytes = rest;
        Some((header, batch))
    }
}
