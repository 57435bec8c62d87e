//! Walks over records without keeping them, for validation and searches by time.

use std::ops::ControlFlow;

use super::decompress::Decompressor;
use super::input::Input;
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

/// What one record costs of a step's budget, beside the bytes that are passed.
pub(super) const RECORD_COST: usize = 32;

pub(super) const CUT_OFF: RecordError =
    RecordError::Malformed("the records end before their count is reached");
pub(super) const LENGTH: RecordError = RecordError::Malformed("a length does not fit its record");
pub(super) const TRAILING: RecordError = RecordError::Malformed("bytes follow the last record");
const HEADER_COUNT: RecordError = RecordError::Malformed("a header count is negative");
const HEADER_KEY: RecordError = RecordError::Malformed("a header key is null");

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

impl<'a> Streamed<'a> {
    const BUFFER_LEN: usize = 16 << 10;

    /// What comes out of `source`, at most `limit` bytes.
    pub fn new(source: Decompressor<'a>, limit: usize) -> Self {
        let buffer = vec![0; Self::BUFFER_LEN].into_boxed_slice();
        Self { source, buffer, start: 0, end: 0, before: 0, limit }
    }

    /// What has come out and was not passed.
    pub fn ready(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// Bytes passed so far.
    pub fn position(&self) -> usize {
        self.before + self.start
    }

    /// Passes `n` bytes of what is ready.
    pub fn pass(&mut self, n: usize) {
        self.start += n;
    }

    /// Refills the empty buffer; false at the end.
    pub fn refill(&mut self) -> Result<bool, RecordError> {
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
        Streamed::position(self)
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
/// more than `limit` or `at_once` bytes come out of the decompressor, of which `at_once` keeps what
/// is left.
pub(super) fn walk(
    header: &BatchHeader,
    batch: &[u8],
    limit: usize,
    at_once: &mut usize,
    visit: impl FnMut(Walked) -> ControlFlow<()>,
) -> Result<(), RecordError> {
    match open(header, batch, limit)? {
        Source::Plain(mut source) => walk_source(&mut source, header.record_count, visit),
        Source::Streamed(mut source) => {
            source.limit = limit.min(*at_once);
            let result = walk_source(&mut source, header.record_count, visit);
            *at_once = at_once.saturating_sub(source.before + source.end);
            result
        }
    }
}

/// As [`walk`], of the records of a batch as they are when they are not compressed.
///
/// # Errors
/// As [`walk`].
pub(super) fn walk_plain(
    bytes: &[u8],
    record_count: i32,
    visit: impl FnMut(Walked) -> ControlFlow<()>,
) -> Result<(), RecordError> {
    walk_source(&mut Plain { bytes, position: 0 }, record_count, visit)
}

/// What of a record comes next.
#[derive(Clone, Copy, Debug)]
enum Part {
    Record,
    Value,
    Headers,
    /// So many headers, from a key on.
    Keys(i32),
    /// The value of one, and so many headers.
    HeaderValue(i32),
}

/// A [`walk`] that keeps its place, so that its owner can let others work between two steps.
pub(super) struct Steps<'a> {
    source: Source<'a>,
    records_left: i32,
    part: Part,
    record: Walked,
    /// Where the record ends.
    end: usize,
    /// Bytes up to the next part.
    skip: usize,
}

impl<'a> Steps<'a> {
    /// # Errors
    /// As [`walk`].
    pub fn new(header: &BatchHeader, batch: &'a [u8], limit: usize) -> Result<Self, RecordError> {
        Ok(Self {
            source: open(header, batch, limit)?,
            records_left: header.record_count,
            part: Part::Record,
            record: Walked { offset_delta: 0, timestamp_delta: 0, has_key: false },
            end: 0,
            skip: 0,
        })
    }

    /// Walks on until about `budget` bytes, more than none, are decompressed or passed; whether it is
    /// at its end.
    ///
    /// # Errors
    /// As [`walk`].
    pub fn step(
        &mut self,
        budget: usize,
        mut visit: impl FnMut(Walked) -> ControlFlow<()>,
    ) -> Result<bool, RecordError> {
        let from = self.source.position();
        let mut cost = 0;
        loop {
            if self.source.position() - from + cost >= budget {
                return Ok(false);
            }
            if self.skip > 0 {
                let passed = self.source.pass(self.skip);
                self.skip -= passed;
                if passed == 0 && self.source.refill()? == 0 {
                    return Err(CUT_OFF);
                }
                continue;
            }
            match self.part {
                Part::Record if self.records_left <= 0 => {
                    if self.source.pass(1) > 0 || self.source.refill()? > 0 {
                        return Err(TRAILING);
                    }
                    return Ok(true);
                }
                Part::Record => {
                    cost += RECORD_COST;
                    let len = varint::read_i32(|| self.source.byte())?;
                    let len = usize::try_from(len).map_err(|_| LENGTH)?;
                    self.end = self.source.position() + len;
                    self.source.byte()?; // attributes: none is defined
                    self.record.timestamp_delta = varint::read_i64(|| self.source.byte())?;
                    self.record.offset_delta = varint::read_i32(|| self.source.byte())?;
                    self.record.has_key = self.length()?;
                    self.part = Part::Value;
                }
                Part::Value => {
                    self.length()?;
                    self.part = Part::Headers;
                }
                Part::Headers => {
                    let headers = varint::read_i32(|| self.source.byte())?;
                    if headers < 0 {
                        return Err(HEADER_COUNT);
                    }
                    self.part = Part::Keys(headers);
                }
                Part::Keys(0) => {
                    if self.source.position() != self.end {
                        return Err(LENGTH);
                    }
                    self.records_left -= 1;
                    self.part = Part::Record;
                    if visit(self.record).is_break() {
                        return Ok(true);
                    }
                }
                Part::Keys(headers) => {
                    if !self.length()? {
                        return Err(HEADER_KEY);
                    }
                    self.part = Part::HeaderValue(headers - 1);
                }
                Part::HeaderValue(headers) => {
                    self.length()?;
                    self.part = Part::Keys(headers);
                }
            }
        }
    }

    /// Bytes of records that were passed, which are not compressed.
    pub fn position(&self) -> usize {
        self.source.position()
    }

    /// Reads a length, of bytes that are to be skipped; whether they are not null.
    fn length(&mut self) -> Result<bool, RecordError> {
        let len = varint::read_i32(|| self.source.byte())?;
        if len == -1 {
            return Ok(false);
        }
        self.skip = usize::try_from(len).map_err(|_| LENGTH)?;
        if self.source.position().saturating_add(self.skip) > self.end {
            return Err(LENGTH);
        }
        Ok(true)
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
#[inline]
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
            let source = Decompressor::new(compression, Input::Borrowed(bytes), limit)?;
            Source::Streamed(Streamed::new(source, limit))
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

    /// What comes next, as far as it is there without decompressing any.
    pub(super) fn ready(&self) -> &[u8] {
        match self {
            Self::Plain(it) => &it.bytes[it.position..],
            Self::Streamed(it) => it.ready(),
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
    source: &mut S,
    count: i32,
    mut visit: impl FnMut(Walked) -> ControlFlow<()>,
) -> Result<(), RecordError> {
    for _ in 0..count {
        let record = walk_record(source)?;
        if visit(record).is_break() {
            return Ok(());
        }
    }
    if source.at_end()? { Ok(()) } else { Err(TRAILING) }
}

#[expect(clippy::inline_always, reason = "most batches have one record")]
#[inline(always)]
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
        return Err(HEADER_COUNT);
    }
    // Every header takes at least two bytes, and none may pass the record's end, so a count that
    // lies costs no more than the bytes that are there.
    for _ in 0..headers {
        if !skip_bytes(source, end)? {
            return Err(HEADER_KEY);
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
