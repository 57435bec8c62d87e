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

use super::walk::{Steps, Walked, walk};
use super::{
    BatchHeader, Compression, RecordError, set_log_append_time, set_max_timestamp,
    set_offset_and_epoch,
};
use crate::types::{ErrorCode, TopicConfig};

/// The limits of the topic, the request and the clock.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `max.message.bytes`: largest batch with its header, as it comes, compressed or not.
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
    /// Most bytes that a batch may decompress to, where it is decompressed.
    pub decompressed_bytes_max: usize,
}

/// A default for [`Limits::decompressed_bytes_max`]: bounds the time that a decompression bomb can
/// take. Kafka has no such limit.
pub const DECOMPRESSED_BYTES_MAX: usize = 128 << 20;

impl Limits {
    /// The limits that a topic's configuration sets; relaxed, not compacted.
    pub fn new(config: &TopicConfig, produce_version: i16, now_ms: i64) -> Self {
        Self {
            max_message_bytes: config.max_message_bytes as usize,
            produce_version,
            log_append_time: config.log_append_time,
            timestamp_before_max_ms: config.timestamp_before_max_ms,
            timestamp_after_max_ms: config.timestamp_after_max_ms,
            now_ms,
            strict: false,
            compacted: false,
            decompressed_bytes_max: DECOMPRESSED_BYTES_MAX,
        }
    }
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

type Refusal = (ErrorCode, String);

fn refuse<T>(code: ErrorCode, message: impl Into<String>) -> Result<T, Refusal> {
    Err((code, message.into()))
}

/// Checks the records of one partition of a Produce request: exactly one batch.
///
/// # Errors
/// The error code for the partition's response, and one sentence for its error message.
pub fn validate_produce(batch: &[u8], limits: &Limits) -> Result<Validated, Refusal> {
    let validated = validate_at_once(batch, limits, &mut { usize::MAX })?;
    Ok(validated.expect("all of it may be decompressed"))
}

/// As [`validate_produce`], but at most about `at_once` bytes are decompressed, of which it keeps what
/// is left. `None` where that is not enough: then a [`LargeBatch`] says whether the batch may be
/// appended.
///
/// # Errors
/// As [`validate_produce`].
pub fn validate_at_once(
    batch: &[u8],
    limits: &Limits,
    at_once: &mut usize,
) -> Result<Option<Validated>, Refusal> {
    let header = check_shape(batch, limits)?;
    check_header(&header)?;
    if header.is_log_append_time() {
        return refuse(
            ErrorCode::INVALID_TIMESTAMP,
            "Only the broker may set the timestamp type LogAppendTime.",
        );
    }
    let plain = matches!(header.compression(), Ok(Compression::None));
    let times_need_walk = !limits.log_append_time
        && (header.max_timestamp < 0 || limits.timestamp_before_max_ms < i64::MAX);
    if plain || limits.strict || limits.compacted || times_need_walk {
        // What has more bytes than that before it is decompressed has seldom less after it.
        if !plain && batch.len() > *at_once {
            return Ok(None);
        }
        let all = *at_once >= limits.decompressed_bytes_max;
        let mut records = Records::new();
        let visit = |record| records.check(&header, limits, record);
        match walk(&header, batch, limits.decompressed_bytes_max, at_once, visit) {
            Err(RecordError::TooLarge { .. }) if !all => return Ok(None),
            Err(e) => {
                // How much has come out is not known where the decompressor gave up at once.
                *at_once = at_once.saturating_sub(batch.len());
                return Err(unreadable(&e));
            }
            Ok(()) => {}
        }
        return accept(header, Some(records.max_timestamp()?), limits).map(Some);
    }
    if !limits.log_append_time {
        check_timestamp(header.max_timestamp, limits)?;
    }
    accept(header, None, limits).map(Some)
}

/// A batch that decompresses to so much that it is validated in steps.
pub struct LargeBatch<'a> {
    header: BatchHeader,
    limits: &'a Limits,
    steps: Steps<'a>,
    records: Records,
}

impl<'a> LargeBatch<'a> {
    /// A batch of which [`validate_at_once`] has said that it is large.
    ///
    /// # Errors
    /// As [`validate_produce`].
    pub fn new(batch: &'a [u8], limits: &'a Limits) -> Result<Self, Refusal> {
        let header = BatchHeader::parse(batch).map_err(|e| unreadable(&e))?;
        let steps = Steps::new(&header, batch, limits.decompressed_bytes_max);
        let steps = steps.map_err(|e| unreadable(&e))?;
        Ok(Self { header, limits, steps, records: Records::new() })
    }

    /// Validates on, until about `budget` bytes, more than none, are decompressed. `None` where there
    /// is more to do.
    ///
    /// # Errors
    /// As [`validate_produce`].
    pub fn step(&mut self, budget: usize) -> Result<Option<Validated>, Refusal> {
        let Self { header, limits, steps, records } = self;
        let visit = |record| records.check(header, limits, record);
        if !steps.step(budget, visit).map_err(|e| unreadable(&e))? {
            return Ok(None);
        }
        accept(*header, Some(records.max_timestamp()?), limits).map(Some)
    }
}

fn unreadable(error: &RecordError) -> Refusal {
    (error.code(), format!("{error}."))
}

/// The last of it, when the records are as they should be. `max_timestamp` is theirs, where it was
/// looked for.
fn accept(
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
    if header.is_transactional() {
        return refuse(
            ErrorCode::INVALID_TXN_STATE,
            "The producer has no transaction that this partition is part of.",
        );
    }
    Ok(Validated { header, rewrite })
}

/// One whole batch of format 2 with the right CRC, of a permitted size and compression.
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
    header.check_crc(batch).map_err(|e| (ErrorCode::CORRUPT_MESSAGE, e.to_string()))?;
    Ok(header)
}

/// Checks the header by itself.
fn check_header(header: &BatchHeader) -> Result<(), Refusal> {
    header.compression().map_err(|e| (e.code(), e.to_string()))?;
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
    Ok(())
}

/// What a walk over the records has seen.
struct Records {
    expected: i32,
    /// -1 where none has one.
    max_timestamp: i64,
    refusal: Option<Refusal>,
}

impl Records {
    fn new() -> Self {
        Self { expected: 0, max_timestamp: -1, refusal: None }
    }

    /// Looks at the next record; breaks where it may not be.
    #[inline]
    fn check(&mut self, header: &BatchHeader, limits: &Limits, record: Walked) -> ControlFlow<()> {
        let expected = self.expected;
        let timestamp = header.base_timestamp.wrapping_add(record.timestamp_delta);
        let result = if record.offset_delta != expected {
            refuse(
                ErrorCode::INVALID_RECORD,
                format!("Record {expected} has the offset delta {}.", record.offset_delta),
            )
        } else if limits.compacted && !record.has_key {
            refuse(
                ErrorCode::INVALID_RECORD,
                format!("Record {expected} has no key, and the topic is compacted."),
            )
        } else if limits.log_append_time {
            Ok(())
        } else {
            check_timestamp(timestamp, limits)
        };
        self.expected += 1;
        self.max_timestamp = self.max_timestamp.max(timestamp);
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(e) => {
                self.refusal = Some(e);
                ControlFlow::Break(())
            }
        }
    }

    /// The largest timestamp, where the records may be appended.
    fn max_timestamp(&mut self) -> Result<i64, Refusal> {
        self.refusal.take().map_or(Ok(self.max_timestamp), Err)
    }
}

fn check_timestamp(timestamp: i64, limits: &Limits) -> Result<(), Refusal> {
    if timestamp == -1 {
        return Ok(());
    }
    let age = limits.now_ms.saturating_sub(timestamp);
    if age > limits.timestamp_before_max_ms
        || timestamp.saturating_sub(limits.now_ms) > limits.timestamp_after_max_ms
    {
        return refuse(
            ErrorCode::INVALID_TIMESTAMP,
            format!(
                "Timestamp {timestamp} is not within [{}, {}].",
                limits.now_ms.saturating_sub(limits.timestamp_before_max_ms),
                limits.now_ms.saturating_add(limits.timestamp_after_max_ms)
            ),
        );
    }
    Ok(())
}
