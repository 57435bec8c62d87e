//! Walks over records without keeping them, for validation and searches by time.

use std::ops::ControlFlow;

use super::decompress::Decompressor;
use super::{BatchHeader, Compression, RecordError, varint};

/// One record, as a walk shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Walked {
    /// Offset - base offset of the batch.
    pub offset_delta: i32,
    /// Timestamp - base timestamp of the batch.
    pub timestamp_delta: i64,
    /// Whether the key is not null.
    pub has_key: bool,
}

/// Bytes in order: of memory, or as they come out of a decompressor.
trait Bytes {
    fn byte(&mut self) -> Result<u8, RecordError>;
    fn skip(&mut self, n: usize) -> Result<(), RecordError>;
    /// Bytes passed so far.
    fn position(&self) -> usize;
    fn at_end(&mut self) -> Result<bool, RecordError>;
}

pub(super) const CUT_OFF: RecordError =
    RecordError::Malformed("the records end before their count is reached");
pub(super) const LENGTH: RecordError = RecordError::Malformed("a length does not fit its record");

pub(super) struct Plain<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Bytes for Plain<'_> {
    #[inline]
    fn byte(&mut self) -> Result<u8, RecordError> {
        let b = *self.bytes.get(self.position).ok_or(CUT_OFF)?;
        self.position += 1;
        Ok(b)
    }

    #[inline]
    fn skip(&mut self, n: usize) -> Result<(), RecordError> {
        if n > self.bytes.len() - self.position {
            return Err(CUT_OFF);
        }
        self.position += n;
        Ok(())
    }

    fn position(&self) -> usize {
        self.position
    }

    fn at_end(&mut self) -> Result<bool, RecordError> {
        Ok(self.position == self.bytes.len())
    }
}

/// Bytes of a decompressor through a small buffer.
pub(super) struct Streamed<'a> {
    source: Decompressor<'a>,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes passed before the buffer's start.
    before: usize,
    limit: usize,
}

impl Streamed<'_> {
    const BUFFER_LEN: usize = 16 << 10;

    /// Refills the empty buffer; false at the end.
    fn refill(&mut self) -> Result<bool, RecordError> {
        self.before += self.end;
        (self.start, self.end) = (0, 0);
        if self.before > self.limit {
            return Err(RecordError::TooLarge { limit: self.limit });
        }
        self.end = self.source.fill(&mut self.buffer)?;
        Ok(self.end > 0)
    }
}

impl Bytes for Streamed<'_> {
    #[inline]
    fn byte(&mut self) -> Result<u8, RecordError> {
        if self.start == self.end && !self.refill()? {
            return Err(CUT_OFF);
        }
        let b = self.buffer[self.start];
        self.start += 1;
        Ok(b)
    }

    fn skip(&mut self, mut n: usize) -> Result<(), RecordError> {
        while n > self.end - self.start {
            n -= self.end - self.start;
            self.start = self.end;
            if !self.refill()? {
                return Err(CUT_OFF);
            }
        }
        self.start += n;
        Ok(())
    }

    fn position(&self) -> usize {
        self.before + self.start
    }

    fn at_end(&mut self) -> Result<bool, RecordError> {
        Ok(self.start == self.end && !self.refill()?)
    }
}

/// Calls `visit` for each record of `batch` in order, until it breaks. Checks every length, varint
/// and header count on the way, and after the last record that nothing follows. Allocates nothing
/// for uncompressed batches, a small buffer and the decompressor's state for compressed ones.
///
/// # Errors
/// Whatever is wrong with the records up to where the walk came; [`RecordError::TooLarge`] when
/// more than `limit` bytes come out of the decompressor.
pub(super) fn walk(
    header: &BatchHeader,
    batch: &[u8],
    limit: usize,
    visit: impl FnMut(Walked) -> ControlFlow<()>,
) -> Result<(), RecordError> {
    match open(header, batch, limit)? {
        Source::Plain(source) => walk_source(source, header.record_count, visit),
        Source::Streamed(source) => walk_source(source, header.record_count, visit),
    }
}

/// The records of a batch, as they come.
pub(super) enum Source<'a> {
    /// They are not compressed.
    Plain(Plain<'a>),
    /// They come out of a decompressor.
    Streamed(Streamed<'a>),
}

/// The records of `batch`, of which at most `limit` bytes may come out of a decompressor.
///
/// # Errors
/// The batch is cut off; its compression does not exist or its compressed bytes are damaged.
pub(super) fn open<'a>(
    header: &BatchHeader,
    batch: &'a [u8],
    limit: usize,
) -> Result<Source<'a>, RecordError> {
    let bytes = batch
        .get(BatchHeader::LEN..header.total_len())
        .ok_or(RecordError::Truncated { needed: header.total_len(), available: batch.len() })?;
    Ok(match header.compression()? {
        Compression::None => Source::Plain(Plain { bytes, position: 0 }),
        compression => {
            let source = Decompressor::new(compression, bytes, limit)?;
            let buffer = vec![0; Streamed::BUFFER_LEN].into_boxed_slice();
            Source::Streamed(Streamed { source, buffer, start: 0, end: 0, before: 0, limit })
        }
    })
}

impl Source<'_> {
    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, RecordError> {
        match self {
            Self::Plain(it) => it.byte(),
            Self::Streamed(it) => it.byte(),
        }
    }

    /// Bytes passed so far.
    pub(super) fn position(&self) -> usize {
        match self {
            Self::Plain(it) => it.position(),
            Self::Streamed(it) => it.position(),
        }
    }

    /// Passes up to `n` bytes, as many as there are without decompressing any; how many.
    pub(super) fn pass(&mut self, n: usize) -> usize {
        match self {
            Self::Plain(it) => {
                let passed = n.min(it.bytes.len() - it.position);
                it.position += passed;
                passed
            }
            Self::Streamed(it) => {
                let passed = n.min(it.end - it.start);
                it.start += passed;
                passed
            }
        }
    }

    /// Decompresses some more, where all of the last was passed; how many bytes. 0 at the end.
    pub(super) fn refill(&mut self) -> Result<usize, RecordError> {
        match self {
            Self::Plain(_) => Ok(0),
            Self::Streamed(it) => it.refill().map(|_| it.end),
        }
    }
}

fn walk_source<S: Bytes>(
    mut source: S,
    count: i32,
    mut visit: impl FnMut(Walked) -> ControlFlow<()>,
) -> Result<(), RecordError> {
    for _ in 0..count {
        let record = walk_record(&mut source)?;
        if visit(record).is_break() {
            return Ok(());
        }
    }
    if source.at_end()? {
        Ok(())
    } else {
        Err(RecordError::Malformed("bytes follow the last record"))
    }
}

fn walk_record<S: Bytes>(source: &mut S) -> Result<Walked, RecordError> {
    let len = varint::read_i32(|| source.byte())?;
    let end = source.position() + usize::try_from(len).map_err(|_| LENGTH)?;
    source.skip(1)?; // attributes: none is defined
    let timestamp_delta = varint::read_i64(|| source.byte())?;
    let offset_delta = varint::read_i32(|| source.byte())?;
    let has_key = skip_bytes(source, end)?;
    skip_bytes(source, end)?;
    let headers = varint::read_i32(|| source.byte())?;
    if headers < 0 {
        return Err(RecordError::Malformed("a header count is negative"));
    }
    // Every header takes at least two bytes, and none may pass the record's end, so a count that
    // lies costs no more than the bytes that are there.
    for _ in 0..headers {
        if !skip_bytes(source, end)? {
            return Err(RecordError::Malformed("a header key is null"));
        }
        skip_bytes(source, end)?;
    }
    if source.position() == end {
        Ok(Walked { offset_delta, timestamp_delta, has_key })
    } else {
        Err(LENGTH)
    }
}

/// Skips a length and as many bytes; whether they are not null.
fn skip_bytes<S: Bytes>(source: &mut S, end: usize) -> Result<bool, RecordError> {
    match varint::read_i32(|| source.byte())? {
        -1 => Ok(false),
        len => {
            let len = usize::try_from(len).map_err(|_| LENGTH)?;
            if source.position().saturating_add(len) > end {
                return Err(LENGTH);
            }
            source.skip(len)?;
            Ok(true)
        }
    }
}
