//! Reading records: what consumers, tools and compaction see.

use std::borrow::Cow;

use super::decompress::decompress;
use super::search::{TimeSearch, TimedOffset, Wanted};
use super::{BatchHeader, Compression, RecordError, varint};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its offset in the partition.
    pub offset: i64,
    /// Milliseconds since the epoch: the producer's time, or the broker's where the batch has
    /// `LogAppendTime`. -1 is none.
    pub timestamp: i64,
    /// The key; empty is not the same as none.
    pub key: Option<&'a [u8]>,
    /// The value; none is a tombstone where the topic is compacted.
    pub value: Option<&'a [u8]>,
    /// The headers, in order; keys may repeat.
    pub headers: Headers<'a>,
}

/// One header of a record. The key is UTF-8 where the producer keeps to the protocol.
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// The headers of a record, checked when the record was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    left: usize,
}

impl Headers<'_> {
    /// No headers.
    pub const NONE: Self = Self { bytes: &[], left: 0 };
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.left = self.left.checked_sub(1)?;
        let mut cursor = Cursor { bytes: self.bytes };
        // Cannot fail: `Cursor::record` has read them once.
        let key = cursor.bytes().ok()??;
        let value = cursor.bytes().ok()?;
        self.bytes = cursor.bytes;
        Some((key, value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// The records of one batch, decompressed.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    header: BatchHeader,
    bytes: Cow<'a, [u8]>,
}

/// Opens the batch that `batch` begins with. Uncompressed records are borrowed; compressed ones
/// are decompressed, to at most `max_decompressed` bytes. The CRC is [`BatchHeader::check_crc`]'s.
///
/// # Errors
/// What [`BatchHeader::parse`] says; damaged or too many compressed bytes.
pub fn records(batch: &[u8], max_decompressed: usize) -> Result<Records<'_>, RecordError> {
    let header = BatchHeader::parse(batch)?;
    let bytes = &batch[BatchHeader::LEN..header.total_len()];
    let bytes = match header.compression()? {
        Compression::None => Cow::Borrowed(bytes),
        compression => Cow::Owned(decompress(compression, bytes, max_decompressed)?),
    };
    Ok(Records { header, bytes })
}

impl Records<'_> {
    /// The batch's header.
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The records in order. Ends after the first error; offsets need not be dense, since
    /// compaction takes records out.
    pub fn iter(&self) -> RecordIter<'_> {
        RecordIter {
            header: self.header,
            cursor: Cursor { bytes: &self.bytes },
            left: self.header.record_count,
        }
    }
}

impl<'r> IntoIterator for &'r Records<'_> {
    type Item = Result<Record<'r>, RecordError>;
    type IntoIter = RecordIter<'r>;

    fn into_iter(self) -> RecordIter<'r> {
        self.iter()
    }
}

/// Iterates over [`Records`].
#[derive(Clone, Debug)]
pub struct RecordIter<'a> {
    header: BatchHeader,
    cursor: Cursor<'a>,
    left: i32,
}

impl<'a> Iterator for RecordIter<'a> {
    type Item = Result<Record<'a>, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left <= 0 {
            return None;
        }
        let record = self.cursor.record(&self.header);
        self.left = if record.is_ok() { self.left - 1 } else { 0 };
        Some(record)
    }
}

const CUT_OFF: RecordError = RecordError::Malformed("a record ends early");

#[derive(Clone, Debug)]
struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn byte(&mut self) -> Result<u8, RecordError> {
        let (first, rest) = self.bytes.split_first().ok_or(CUT_OFF)?;
        self.bytes = rest;
        Ok(*first)
    }

    fn i32(&mut self) -> Result<i32, RecordError> {
        varint::read_i32(|| self.byte())
    }

    fn take(&mut self, len: i32) -> Result<&'a [u8], RecordError> {
        let len = usize::try_from(len).map_err(|_| CUT_OFF)?;
        let (taken, rest) = self.bytes.split_at_checked(len).ok_or(CUT_OFF)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn bytes(&mut self) -> Result<Option<&'a [u8]>, RecordError> {
        match self.i32()? {
            -1 => Ok(None),
            len => self.take(len).map(Some),
        }
    }

    fn record(&mut self, batch: &BatchHeader) -> Result<Record<'a>, RecordError> {
        let len = self.i32()?;
        let mut body = Cursor { bytes: self.take(len)? };
        body.byte()?; // attributes: none is defined
        let timestamp_delta = varint::read_i64(|| body.byte())?;
        let offset_delta = body.i32()?;
        let key = body.bytes()?;
        let value = body.bytes()?;
        let count = usize::try_from(body.i32()?)
            .map_err(|_| RecordError::Malformed("a header count is negative"))?;
        let headers = Headers { bytes: body.bytes, left: count };
        for _ in 0..count {
            if body.bytes()?.is_none() {
                return Err(RecordError::Malformed("a header key is null"));
            }
            body.bytes()?;
        }
        if !body.bytes.is_empty() {
            return Err(RecordError::Malformed("bytes follow a record's headers"));
        }
        let timestamp = if batch.is_log_append_time() {
            batch.max_timestamp
        } else {
            batch.base_timestamp.wrapping_add(timestamp_delta)
        };
        let offset = batch.base_offset.wrapping_add(i64::from(offset_delta));
        Ok(Record { offset, timestamp, key, value, headers })
    }
}

/// The first record of the batch, at or after `from_offset`, whose timestamp is `timestamp` or
/// later: [`TimeSearch`] in one go. Keeps nothing of the records in memory.
///
/// # Errors
/// As [`TimeSearch::step`].
pub fn find_timestamp(
    batch: &[u8],
    from_offset: i64,
    timestamp: i64,
    max_decompressed: usize,
) -> Result<Option<TimedOffset>, RecordError> {
    let wanted = Wanted::NotBefore { offset: from_offset, timestamp };
    TimeSearch::new(batch, wanted, max_decompressed)?.finish()
}

/// The first record of the batch with the batch's max timestamp: [`TimeSearch`] in one go.
///
/// # Errors
/// As [`TimeSearch::step`].
pub fn find_max_timestamp(
    batch: &[u8],
    max_decompressed: usize,
) -> Result<Option<TimedOffset>, RecordError> {
    TimeSearch::new(batch, Wanted::Latest, max_decompressed)?.finish()
}
