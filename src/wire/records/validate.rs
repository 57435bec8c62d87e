//! Checks of a batch that a client produces (`ProduceRequest.validateRecords`,
//! `UnifiedLog.analyzeAndValidateRecords` and `LogValidator` of Kafka 4.3).
//!
//! Differences from Kafka, all of them refusals of what no known client sends: bytes after the
//! batch (Kafka drops them unless they are a second batch); offset deltas other than 0, 1, 2, …
//! (Kafka rewrites a compressed batch and keeps an uncompressed one); the attribute for
//! `LogAppendTime` set by a client, always; a compression type that does not exist and compressed
//! bytes that are damaged (Kafka answers `UNKNOWN_SERVER_ERROR`); more decompressed bytes than
//! [`Limits::decompressed_bytes_max`].

use std::ops::ControlFlow;

use super::compress::Cost;
use super::recompress::{self, Failure, Recompression};
use super::walk::{Steps, Walked, walk, walk_plain};
use super::{
    BatchHeader, Compression, RecordError, crc, set_log_append_time, set_max_timestamp,
    set_offset_and_epoch,
};
use crate::types::{Codec, ErrorCode, TopicConfig};

/// The limits of the topic, the request and the clock.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `max.message.bytes`: largest batch with its header, as it comes, compressed or not, and as it is stored.
    pub max_message_bytes: usize,
    /// Version of the Produce request; zstd needs 7 (KIP-110).
    pub produce_version: i16,
    /// `message.timestamp.type` is `LogAppendTime`.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`: how far behind `now_ms` a timestamp may be.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`: how far ahead of `now_ms` a timestamp may be.
    pub timestamp_after_max_ms: i64,
    /// The broker's time.
    pub now_ms: i64,
    /// Decompress every compressed batch and check its records, as Kafka does. Otherwise only where
    /// the meaning of the batch needs it: no max timestamp, a limit for old timestamps, compaction.
    pub strict: bool,
    /// The topic is compacted: each record needs a key.
    pub compacted: bool,
    /// `compression.type` of the topic: a batch with another one is compressed anew. `None` keeps what comes.
    pub codec: Option<Codec>,
    /// Most bytes that a batch may decompress to, where it is decompressed.
    pub decompressed_bytes_max: usize,
}

/// A default for [`Limits::decompressed_bytes_max`]: bounds the time that a decompression bomb can
/// take. Kafka has no such limit.
pub const DECOMPRESSED_BYTES_MAX: usize = 128 << 20;

impl Limits {
    /// The limits that a topic's configuration sets; relaxed.
    pub fn new(config: &TopicConfig, produce_version: i16, now_ms: i64) -> Self {
        Self {
            max_message_bytes: config.max_message_bytes as usize,
            produce_version,
            log_append_time: config.log_append_time,
            timestamp_before_max_ms: config.timestamp_before_max_ms,
            timestamp_after_max_ms: config.timestamp_after_max_ms,
            now_ms,
            strict: false,
            compacted: config.compacted,
            codec: config.codec,
            decompressed_bytes_max: DECOMPRESSED_BYTES_MAX,
        }
    }

    /// The codec of the topic, where the batch has another one.
    #[inline]
    pub fn other_codec(&self, header: &BatchHeader) -> Option<Codec> {
        self.codec.filter(|it| header.compression() != Ok(it.compression))
    }
}

/// What may be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The batch that came.
    AsItCame(Validated),
    /// Another one in its place, with the codec of the topic.
    Recompressed(Box<Recompressed>),
}

impl Accepted {
    fn recompressed(header: BatchHeader, batch: Vec<u8>) -> Self {
        Self::Recompressed(Box::new(Recompressed { header, batch }))
    }

    /// The header, as in [`Validated::header`].
    pub fn header(&self) -> &BatchHeader {
        match self {
            Self::AsItCame(it) => &it.header,
            Self::Recompressed(it) => &it.header,
        }
    }
}

/// A batch with the records of one that came, and the codec of the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recompressed {
    /// Its header, with the timestamps that it is to be stored with.
    pub header: BatchHeader,
    /// The batch: all of it is as it is to be stored, but for offset, epoch and the time of the append.
    pub batch: Vec<u8>,
}

/// A batch that may be appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validated {
    /// The header, its timestamps as they will be after [`Validated::assign`]; base offset, epoch
    /// and CRC still as the client sent them.
    pub header: BatchHeader,
    /// What [`Validated::assign`] changes besides offset and epoch.
    pub rewrite: Rewrite,
}

/// Changes under the CRC that a batch needs before it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrite {
    /// None.
    None,
    /// The max timestamp was missing or wrong.
    MaxTimestamp,
    /// The topic wants the time of the append.
    LogAppendTime,
}

impl Validated {
    /// Makes of the client's batch the one to store: offset, epoch, and [`Validated::rewrite`].
    ///
    /// # Panics
    /// If `batch` is not the batch that was validated.
    pub fn assign(&self, batch: &mut [u8], base_offset: i64, epoch: i32) {
        assert_eq!(batch.len(), self.header.total_len(), "not the batch that was validated");
        set_offset_and_epoch(batch, base_offset, epoch);
        match self.rewrite {
            Rewrite::None => {}
            Rewrite::MaxTimestamp => set_max_timestamp(batch, self.header.max_timestamp),
            Rewrite::LogAppendTime => set_log_append_time(batch, self.header.max_timestamp),
        }
    }
}

/// Why a batch may not be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error code for the partition's response.
    pub error: ErrorCode,
    /// One sentence for its error message.
    pub message: String,
    /// Which of its records may not be appended (KIP-467), in their order, where the others may be; the
    /// first [`RECORDS_LISTED_MAX`] of them.
    pub records: Vec<RefusedRecord>,
}

/// A record because of which its batch is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedRecord {
    /// Its place in the batch.
    pub index: i32,
    /// One sentence.
    pub message: String,
}

/// So many records of a batch are listed: what is kept of a request, and its answer, stay small.
pub const RECORDS_LISTED_MAX: usize = 1_000;

impl Refusal {
    /// One that is not for some of its records.
    pub fn new(error: ErrorCode, message: impl Into<String>) -> Self {
        Self { error, message: message.into(), records: Vec::new() }
    }
}

fn refuse<T>(code: ErrorCode, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(code, message))
}

/// What a batch costs besides its bytes: as much as so many bytes more.
pub(super) const BATCH_COST: usize = 2 << 10;

/// How many bytes are checked in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AtOnce {
    /// Bytes of batches, as they come; a batch counts as 2 KiB more than it has.
    pub bytes: usize,
    /// Bytes that come out of a decompressor, or what costs as much.
    pub decompressed: usize,
    /// Bytes of batches that are compressed anew, before they are.
    pub recompressed: usize,
}

impl AtOnce {
    /// All there are.
    pub const ALL: Self =
        Self { bytes: usize::MAX, decompressed: usize::MAX, recompressed: usize::MAX };
}

/// How far a batch was checked in one go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// It may be appended, or what is in its place.
    Valid(Accepted),
    /// A [`LargeBatch`] goes on here.
    UpTo(Rest),
}

/// What is still to be checked of a large batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Its checksum, and all that follows.
    Checksum,
    /// Its records.
    Records,
}

/// Checks the records of one partition of a Produce request: exactly one batch.
///
/// # Errors
/// For the partition's response.
///
/// # Panics
/// Where the limits have a codec: [`validate_at_once`] is for them.
pub fn validate_produce(batch: &[u8], limits: &Limits) -> Result<Validated, Refusal> {
    assert!(limits.codec.is_none(), "the batch may have to be compressed anew");
    match validate_at_once(batch, limits, &mut { AtOnce::ALL })? {
        Checked::Valid(Accepted::AsItCame(validated)) => Ok(validated),
        other => unreachable!("all of it may be checked, and none was compressed: {other:?}"),
    }
}

/// As [`validate_produce`], but of at most about `at_once`, which keeps what is left. Where that is not
/// enough, a [`LargeBatch`] says whether the batch may be appended.
///
/// # Errors
/// As [`validate_produce`].
pub fn validate_at_once(
    batch: &[u8],
    limits: &Limits,
    at_once: &mut AtOnce,
) -> Result<Checked, Refusal> {
    let header = check_shape(batch, limits)?;
    let cost = batch.len() + BATCH_COST;
    if cost > at_once.bytes {
        return Ok(Checked::UpTo(Rest::Checksum));
    }
    at_once.bytes -= cost;
    header.check_crc(batch).map_err(|e| corrupt(&e))?;
    if !check_header(&header, limits)? {
        return accept_unread(header, limits).map(Checked::Valid);
    }
    if let Some(codec) = limits.other_codec(&header) {
        return recompress_at_once(header, batch, codec, limits, at_once);
    }
    let plain = matches!(header.compression(), Ok(Compression::None));
    let left = &mut at_once.decompressed;
    // What has more bytes than that before it is decompressed has seldom less after it.
    if !plain && batch.len() > *left {
        return Ok(Checked::UpTo(Rest::Records));
    }
    let all = *left >= limits.decompressed_bytes_max;
    let mut records = Records::new();
    let visit = |record| records.check(&header, limits, record);
    match walk(&header, batch, limits.decompressed_bytes_max, left, visit) {
        Err(RecordError::TooLarge { .. }) if !all => return Ok(Checked::UpTo(Rest::Records)),
        Err(e) => {
            // How much has come out is not known where the decompressor gave up at once.
            *left = left.saturating_sub(batch.len());
            return Err(unreadable(&e));
        }
        Ok(()) => {}
    }
    accept(header, Some(records.max_timestamp()?), limits).map(Checked::Valid)
}

/// As [`validate_at_once`], of a batch whose header and checksum are right and whose codec is not the topic's.
#[cold]
fn recompress_at_once(
    header: BatchHeader,
    batch: &[u8],
    codec: Codec,
    limits: &Limits,
    at_once: &mut AtOnce,
) -> Result<Checked, Refusal> {
    let price = 1 + Cost::of(codec).weight;
    let most = (at_once.decompressed / price).min(at_once.recompressed);
    // What has more bytes than that before it is decompressed has seldom less after it.
    if batch.len() > most {
        return Ok(Checked::UpTo(Rest::Records));
    }
    let plain = match recompress::plain(&header, batch, most) {
        Err(RecordError::TooLarge { .. }) => {
            at_once.decompressed -= most;
            return Ok(Checked::UpTo(Rest::Records));
        }
        plain => plain,
    };
    let spent = plain.as_ref().map_or(batch.len(), |it| it.len());
    at_once.decompressed -= (spent * price).min(at_once.decompressed);
    let plain = plain.map_err(|e| unreadable(&e))?;
    let mut records = Records::new();
    let visit = |record| records.check(&header, limits, record);
    walk_plain(&plain, header.record_count, visit).map_err(|e| unreadable(&e))?;
    let validated = valid(header, Some(records.max_timestamp()?), limits)?;
    at_once.recompressed -= plain.len().min(at_once.recompressed);
    let mut header = validated.header;
    let batch = recompress::recompress(&mut header, &plain, codec, limits.max_message_bytes)
        .map_err(|e| not_recompressed(&e, limits))?;
    Ok(Checked::Valid(Accepted::recompressed(header, batch)))
}

fn not_recompressed(failure: &Failure, limits: &Limits) -> Refusal {
    match failure {
        Failure::Records(error) => unreadable(error),
        Failure::TooLarge => {
            let most = limits.max_message_bytes;
            let message = format!(
                "With the compression of its topic the batch has more than {most} bytes, which \
                 is max.message.bytes."
            );
            Refusal::new(ErrorCode::MESSAGE_TOO_LARGE, message)
        }
    }
}

/// A batch that is so large, or decompresses to so much, that it is validated in steps, and compressed
/// anew where its topic has another codec.
pub struct LargeBatch<'a> {
    header: BatchHeader,
    batch: &'a [u8],
    limits: &'a Limits,
    doing: Doing<'a>,
}

enum Doing<'a> {
    /// The checksum over the bytes before this place.
    Checksum {
        crc: u32,
        at: usize,
    },
    Records(Box<(Steps<'a>, Records)>),
    Recompression(Box<Recompression<'a>>),
}

impl<'a> LargeBatch<'a> {
    /// So many bytes are checksummed at the price of one that is decompressed.
    const CHECKSUM: usize = 8;
    /// So many bytes are walked over at the price of one that is decompressed.
    const PLAIN: usize = 4;

    /// A batch of which [`validate_at_once`] has said that it is large, and what is still to be checked.
    ///
    /// # Errors
    /// As [`validate_produce`].
    pub fn new(batch: &'a [u8], limits: &'a Limits, rest: Rest) -> Result<Self, Refusal> {
        let header = BatchHeader::parse(batch).map_err(|e| unreadable(&e))?;
        let doing = match rest {
            Rest::Checksum => Doing::Checksum { crc: 0, at: BatchHeader::CRC_FROM },
            Rest::Records => read(&header, batch, limits)?,
        };
        Ok(Self { header, batch, limits, doing })
    }

    /// Validates on, for what it costs to decompress `budget` bytes, more than none. `None` where there
    /// is more to do.
    ///
    /// # Errors
    /// As [`validate_produce`].
    pub fn step(&mut self, budget: usize) -> Result<Option<Accepted>, Refusal> {
        let Self { header, batch, limits, doing } = self;
        match doing {
            Doing::Checksum { crc, at } => {
                let end = at.saturating_add(budget * Self::CHECKSUM).min(batch.len());
                *crc = crc::append(*crc, &batch[*at..end]);
                *at = end;
                if end < batch.len() {
                    return Ok(None);
                }
                if *crc != header.crc {
                    return Err(corrupt(&RecordError::Crc { stored: header.crc, computed: *crc }));
                }
                if !check_header(header, limits)? {
                    return accept_unread(*header, limits).map(Some);
                }
                *doing = read(header, batch, limits)?;
                Ok(None)
            }
            Doing::Records(walk) => {
                let (steps, records) = &mut **walk;
                let visit = |record| records.check(header, limits, record);
                let plain = matches!(header.compression(), Ok(Compression::None));
                let budget = if plain { budget * Self::PLAIN } else { budget };
                if !steps.step(budget, visit).map_err(|e| unreadable(&e))? {
                    return Ok(None);
                }
                let len = steps.position();
                let max_timestamp = Some(records.max_timestamp()?);
                let Some(codec) = limits.other_codec(header) else {
                    return accept(*header, max_timestamp, limits).map(Some);
                };
                let stored = valid(*header, max_timestamp, limits)?.header;
                let most = limits.max_message_bytes;
                let begun = Recompression::new(stored, batch, len, codec, most);
                let begun = begun.map_err(|e| not_recompressed(&e, limits))?;
                *doing = Doing::Recompression(Box::new(begun));
                Ok(None)
            }
            Doing::Recompression(it) => {
                let made = it.step(budget).map_err(|e| not_recompressed(&e, limits))?;
                Ok(made.map(|(header, batch)| Accepted::recompressed(header, batch)))
            }
        }
    }

    /// Bytes of memory that it takes to compress it anew; none before that begins.
    pub fn memory(&self) -> usize {
        match &self.doing {
            Doing::Checksum { .. } | Doing::Records(_) => 0,
            Doing::Recompression(it) => it.memory(),
        }
    }
}

fn read<'a>(header: &BatchHeader, batch: &'a [u8], limits: &Limits) -> Result<Doing<'a>, Refusal> {
    let steps = Steps::new(header, batch, limits.decompressed_bytes_max);
    let steps = steps.map_err(|e| unreadable(&e))?;
    Ok(Doing::Records(Box::new((steps, Records::new()))))
}

fn corrupt(error: &RecordError) -> Refusal {
    Refusal::new(ErrorCode::CORRUPT_MESSAGE, error.to_string())
}

/// As [`accept`], of a batch whose records need not be looked at.
fn accept_unread(header: BatchHeader, limits: &Limits) -> Result<Accepted, Refusal> {
    if !limits.log_append_time {
        check_timestamp(header.max_timestamp, limits)?;
    }
    accept(header, None, limits)
}

fn unreadable(error: &RecordError) -> Refusal {
    Refusal::new(error.code(), format!("{error}."))
}

/// The last of it, when the records are as they should be. `max_timestamp` is theirs, where it was
/// looked for.
#[expect(
    clippy::inline_always,
    reason = "otherwise each produced batch copies its header once more"
)]
#[inline(always)]
fn accept(
    header: BatchHeader,
    max_timestamp: Option<i64>,
    limits: &Limits,
) -> Result<Accepted, Refusal> {
    valid(header, max_timestamp, limits).map(Accepted::AsItCame)
}

#[expect(clippy::inline_always, reason = "as accept")]
#[inline(always)]
fn valid(
    mut header: BatchHeader,
    max_timestamp: Option<i64>,
    limits: &Limits,
) -> Result<Validated, Refusal> {
    let mut rewrite = if limits.log_append_time { Rewrite::LogAppendTime } else { Rewrite::None };
    if let Some(max_timestamp) = max_timestamp
        && max_timestamp != header.max_timestamp
        && rewrite == Rewrite::None
    {
        rewrite = Rewrite::MaxTimestamp;
        header.max_timestamp = max_timestamp;
    }
    if rewrite == Rewrite::LogAppendTime {
        header.attributes |= super::header::LOG_APPEND_TIME;
        header.max_timestamp = limits.now_ms;
    }
    if header.is_transactional() && !header.has_producer_id() {
        return refuse(
            ErrorCode::INVALID_RECORD,
            "A batch that is part of a transaction has a producer id.",
        );
    }
    Ok(Validated { header, rewrite })
}

/// One whole batch of format 2, of a permitted size and compression. Its checksum is not looked at.
#[inline]
fn check_shape(batch: &[u8], limits: &Limits) -> Result<BatchHeader, Refusal> {
    if batch.len() > BatchHeader::PREFIX_LEN {
        let length = i32::from_be_bytes([batch[8], batch[9], batch[10], batch[11]]);
        // The shortest message of format 0; as in ByteBufferLogInputStream.
        if length < 14 {
            return refuse(ErrorCode::CORRUPT_MESSAGE, RecordError::Length(length).to_string());
        }
    }
    let header = match BatchHeader::parse(batch) {
        Ok(header) => header,
        Err(error @ RecordError::Magic(magic)) => {
            let old = (0..2).contains(&magic);
            let code = if old { ErrorCode::INVALID_RECORD } else { ErrorCode::CORRUPT_MESSAGE };
            return refuse(code, error.to_string());
        }
        Err(error @ RecordError::Truncated { .. }) => {
            return refuse(
                ErrorCode::INVALID_RECORD,
                format!("A Produce request holds exactly one batch per partition: {error}."),
            );
        }
        Err(error) => return refuse(ErrorCode::CORRUPT_MESSAGE, error.to_string()),
    };
    if limits.produce_version < 7 && header.compression() == Ok(Compression::Zstd) {
        return refuse(
            ErrorCode::UNSUPPORTED_COMPRESSION_TYPE,
            format!("Produce version {} does not permit zstd.", limits.produce_version),
        );
    }
    if batch.len() != header.total_len() {
        return refuse(
            ErrorCode::INVALID_RECORD,
            "A Produce request holds exactly one batch per partition.",
        );
    }
    if header.base_offset != 0 {
        return refuse(
            ErrorCode::INVALID_RECORD,
            format!("The base offset of a produced batch is 0, not {}.", header.base_offset),
        );
    }
    if batch.len() > limits.max_message_bytes {
        return refuse(
            ErrorCode::MESSAGE_TOO_LARGE,
            format!(
                "The batch has {} bytes; max.message.bytes is {}.",
                batch.len(),
                limits.max_message_bytes
            ),
        );
    }
    Ok(header)
}

/// Checks the header by itself, of a batch whose checksum is right; whether its records are to be
/// looked at too.
fn check_header(header: &BatchHeader, limits: &Limits) -> Result<bool, Refusal> {
    let compression = header.compression().map_err(|e| Refusal::new(e.code(), e.to_string()))?;
    if header.last_offset_delta < 0 {
        return refuse(
            ErrorCode::INVALID_RECORD,
            format!("The last offset delta is {}.", header.last_offset_delta),
        );
    }
    if header.record_count <= 0
        || i64::from(header.last_offset_delta) + 1 != i64::from(header.record_count)
    {
        return refuse(
            ErrorCode::INVALID_RECORD,
            format!(
                "The batch claims {} records and a last offset delta of {}.",
                header.record_count, header.last_offset_delta
            ),
        );
    }
    if header.is_control() {
        return refuse(ErrorCode::INVALID_RECORD, "Clients may not write control batches.");
    }
    if header.has_producer_id() && header.base_sequence < 0 {
        return refuse(
            ErrorCode::INVALID_RECORD,
            format!(
                "Producer {} sends the base sequence {}.",
                header.producer_id, header.base_sequence
            ),
        );
    }
    if header.is_log_append_time() {
        return refuse(
            ErrorCode::INVALID_TIMESTAMP,
            "Only the broker may set the timestamp type LogAppendTime.",
        );
    }
    let times_need_walk = !limits.log_append_time
        && (header.max_timestamp < 0 || limits.timestamp_before_max_ms < i64::MAX);
    let plain = compression == Compression::None;
    let recompressed = limits.other_codec(header).is_some();
    Ok(plain || limits.strict || limits.compacted || times_need_walk || recompressed)
}

/// What a walk over the records has seen.
struct Records {
    seen: i32,
    /// -1 where none has one.
    max_timestamp: i64,
    refusal: Option<Box<Refusal>>,
}

impl Records {
    fn new() -> Self {
        Self { seen: 0, max_timestamp: -1, refusal: None }
    }

    /// Looks at the next record. What is wrong with one ends nothing: all of them are told.
    #[inline]
    fn check(&mut self, header: &BatchHeader, limits: &Limits, record: Walked) -> ControlFlow<()> {
        let timestamp = header.base_timestamp.wrapping_add(record.timestamp_delta);
        if record.offset_delta != self.seen
            || (limits.compacted && !record.has_key)
            || !(limits.log_append_time || is_timely(timestamp, limits))
        {
            self.refuse(limits, &record, timestamp);
        }
        self.seen += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        ControlFlow::Continue(())
    }

    #[cold]
    fn refuse(&mut self, limits: &Limits, record: &Walked, timestamp: i64) {
        let index = self.seen;
        let (error, message) = if record.offset_delta != index {
            let message = format!("Record {index} has the offset delta {}.", record.offset_delta);
            (ErrorCode::INVALID_RECORD, message)
        } else if limits.compacted && !record.has_key {
            let message = format!("Record {index} has no key, and the topic is compacted.");
            (ErrorCode::INVALID_RECORD, message)
        } else {
            (ErrorCode::INVALID_TIMESTAMP, untimely(timestamp, limits))
        };
        // A wrong timestamp is what the whole batch is refused for, as in Kafka; otherwise what came first.
        let first = || Box::new(Refusal::new(error, message.clone()));
        let refusal = self.refusal.get_or_insert_with(first);
        if error == ErrorCode::INVALID_TIMESTAMP && refusal.error != error {
            refusal.error = error;
            refusal.message.clone_from(&message);
        }
        if refusal.records.len() < RECORDS_LISTED_MAX {
            refusal.records.push(RefusedRecord { index, message });
        }
    }

    /// The largest timestamp, where the records may be appended.
    fn max_timestamp(&mut self) -> Result<i64, Refusal> {
        self.refusal.take().map_or(Ok(self.max_timestamp), |it| Err(*it))
    }
}

fn check_timestamp(timestamp: i64, limits: &Limits) -> Result<(), Refusal> {
    if is_timely(timestamp, limits) {
        return Ok(());
    }
    refuse(ErrorCode::INVALID_TIMESTAMP, untimely(timestamp, limits))
}

/// Whether it is as close to the broker's time as it must be, or none.
fn is_timely(timestamp: i64, limits: &Limits) -> bool {
    timestamp == -1
        || (limits.now_ms.saturating_sub(timestamp) <= limits.timestamp_before_max_ms
            && timestamp.saturating_sub(limits.now_ms) <= limits.timestamp_after_max_ms)
}

fn untimely(timestamp: i64, limits: &Limits) -> String {
    format!(
        "Timestamp {timestamp} is not within [{}, {}].",
        limits.now_ms.saturating_sub(limits.timestamp_before_max_ms),
        limits.now_ms.saturating_add(limits.timestamp_after_max_ms)
    )
}
