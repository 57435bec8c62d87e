//! A partition's state as bytes.
//!
//! Little-endian, no padding:
//! ```text
//! u8  version (1)
//! i64 log end
//! u32 epochs,    each: i32 epoch, i64 start offset
//! u32 producers, each:
//!     i64 id, i16 epoch, i64 last used ms, u8 batches (1 to 5), each, oldest first:
//!         i32 last sequence, i32 offset delta, i64 last offset, i64 timestamp
//! u32 CRC-32C of all before
//! ```
//!
//! When a producer was last used is told by a clock of the snapshot's own: 0 is when the one was that
//! was used last, and only the differences mean something (earlier builds wrote the wall's time, and
//! `i64::MIN` for one that was recovered). No clock lasts from one start to the next that nobody sets.

use super::capture::Capture;
use super::epochs::{EpochStart, Epochs};
use super::producer::{BATCHES_MAX, BatchMeta, Producer, RECOVERED_MS};
use super::producers::Producers;
use crate::wire::records::crc::{self, crc32c};
use std::collections::BTreeMap;

const VERSION: u8 = 1;
const EPOCH_LEN: usize = 12;
const PRODUCER_LEN_MIN: usize = 19 + BATCH_LEN;
const BATCH_LEN: usize = 24;
/// Longer than this, about a thousand years, nobody was silent.
const SILENT_MS_MAX: i64 = 1 << 45;

/// Why a snapshot cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It ends early, or goes on after its end.
    #[error("the partition snapshot has a wrong length")]
    Length,
    /// Written by another version of the broker.
    #[error("the partition snapshot has format {0}; this version reads format {VERSION}")]
    Version(u8),
    /// Bytes changed since it was written.
    #[error("the partition snapshot's checksum is {computed:#010x}, not {stored:#010x}")]
    Checksum {
        /// In the snapshot.
        stored: u32,
        /// Over its bytes.
        computed: u32,
    },
    /// The checksum fits, but the content contradicts itself.
    #[error("the partition snapshot is inconsistent: {0}")]
    Inconsistent(&'static str),
    /// The log goes on past the snapshot, and the batches in between are not in it.
    #[error("the partition snapshot ends at {snapshot_end}, the log at {log_end}")]
    Behind {
        /// Log end when the snapshot was taken.
        snapshot_end: i64,
        /// Log end to restore to.
        log_end: i64,
    },
}

/// The whole in one go.
pub(super) fn encode(log_end: i64, epochs: &Epochs, producers: &Producers) -> Vec<u8> {
    let batches_len = BATCHES_MAX * BATCH_LEN;
    let mut out = Vec::with_capacity(
        21 + epochs.entries().len() * EPOCH_LEN
            + producers.len() * (PRODUCER_LEN_MIN + batches_len),
    );
    put_head(log_end, epochs, producers, &mut out);
    for producer in producers.from(i64::MIN) {
        put_producer(producer, producers.newest_ms(), &mut out);
    }
    out.extend_from_slice(&crc32c(&out).to_le_bytes());
    out
}

/// Begins it anew, and appends its first bytes to `out`. Whether these are all, since there are no more
/// than `most` producers; if not, [`go_on`] gives more.
pub(super) fn begin(
    log_end: i64,
    epochs: &Epochs,
    producers: &mut Producers,
    most: usize,
    out: &mut Vec<u8>,
) -> bool {
    if producers.len() <= most {
        *producers.capture() = None;
        out.extend(encode(log_end, epochs, producers));
        return true;
    }
    let first = out.len();
    put_head(log_end, epochs, producers, out);
    let capture = Capture {
        next: Some(i64::MIN),
        newest_ms: producers.newest_ms(),
        crc: crc32c(&out[first..]),
        before: BTreeMap::new(),
    };
    *producers.capture() = Some(Box::new(capture));
    false
}

/// Appends the next bytes of what was begun to `out`, of at most so many producers; whether they are
/// the last.
pub(super) fn go_on(producers: &mut Producers, most: usize, out: &mut Vec<u8>) -> bool {
    let mut capture = producers.capture().take().expect("a snapshot was begun");
    let first = out.len();
    let mut now = capture.next.into_iter().flat_map(|next| producers.from(next)).peekable();
    let mut is_last = false;
    for _ in 0..most {
        let here = now.peek().map(|producer| producer.id);
        let before =
            capture.before.first_entry().filter(|it| here.is_none_or(|id| *it.key() <= id));
        let id = if let Some(before) = before {
            let (id, before) = before.remove_entry();
            now.next_if(|producer| producer.id == id);
            if let Some(producer) = before {
                put_producer(&producer, capture.newest_ms, out);
            }
            id
        } else if let Some(producer) = now.next() {
            put_producer(producer, capture.newest_ms, out);
            producer.id
        } else {
            is_last = true;
            break;
        };
        capture.next = id.checked_add(1);
    }
    drop(now);
    capture.crc = crc::append(capture.crc, &out[first..]);
    if is_last {
        out.extend_from_slice(&capture.crc.to_le_bytes());
    } else {
        *producers.capture() = Some(capture);
    }
    is_last
}

/// What comes before the producers.
fn put_head(log_end: i64, epochs: &Epochs, producers: &Producers, out: &mut Vec<u8>) {
    let epochs = epochs.entries();
    out.push(VERSION);
    out.extend_from_slice(&log_end.to_le_bytes());
    out.extend_from_slice(&(epochs.len() as u32).to_le_bytes());
    for entry in epochs {
        out.extend_from_slice(&entry.epoch.to_le_bytes());
        out.extend_from_slice(&entry.start.to_le_bytes());
    }
    out.extend_from_slice(&(producers.len() as u32).to_le_bytes());
}

fn put_producer(producer: &Producer, newest_ms: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&producer.id.to_le_bytes());
    out.extend_from_slice(&producer.epoch.to_le_bytes());
    // One that was recovered and not looked at since is as old as it was then, at least.
    let since_ms = if producer.last_used_ms > RECOVERED_MS { newest_ms } else { RECOVERED_MS };
    out.extend_from_slice(&producer.last_used_ms.saturating_sub(since_ms).to_le_bytes());
    out.push(producer.batches().len() as u8);
    for batch in producer.batches() {
        out.extend_from_slice(&batch.last_sequence.to_le_bytes());
        out.extend_from_slice(&batch.offset_delta.to_le_bytes());
        out.extend_from_slice(&batch.last_offset.to_le_bytes());
        out.extend_from_slice(&batch.timestamp.to_le_bytes());
    }
}

pub(super) fn decode(bytes: &[u8]) -> Result<(i64, Epochs, Producers), SnapshotError> {
    let (content, stored) = bytes.split_last_chunk().ok_or(SnapshotError::Length)?;
    // The version first: another one may keep its checksum elsewhere.
    let mut cursor = Cursor { bytes: content };
    let version = u8::from_le_bytes(cursor.take()?);
    if version != VERSION {
        return Err(SnapshotError::Version(version));
    }
    let (stored, computed) = (u32::from_le_bytes(*stored), crc32c(content));
    if stored != computed {
        return Err(SnapshotError::Checksum { stored, computed });
    }
    let log_end = i64::from_le_bytes(cursor.take()?);
    if log_end < 0 {
        return Err(SnapshotError::Inconsistent("the log end is negative"));
    }
    let count = cursor.count(EPOCH_LEN)?;
    let mut starts = Vec::with_capacity(count);
    for _ in 0..count {
        let epoch = i32::from_le_bytes(cursor.take()?);
        starts.push(EpochStart { epoch, start: i64::from_le_bytes(cursor.take()?) });
    }
    let epochs =
        Epochs::from_entries(starts).ok_or(SnapshotError::Inconsistent("epochs do not ascend"))?;
    let count = cursor.count(PRODUCER_LEN_MIN)?;
    let mut read: Vec<Producer> =
        (0..count).map(|_| cursor.producer(log_end)).collect::<Result<_, _>>()?;
    let newest_ms = read.iter().map(|it| it.last_used_ms).max().unwrap_or(0).max(0);
    for producer in &mut read {
        let silent_ms = match producer.last_used_ms {
            i64::MIN => 0,
            known => newest_ms.saturating_sub(known).min(SILENT_MS_MAX),
        };
        producer.last_used_ms = RECOVERED_MS - silent_ms;
    }
    let producers = Producers::restored(read)
        .ok_or(SnapshotError::Inconsistent("a producer is there twice"))?;
    if cursor.bytes.is_empty() {
        Ok((log_end, epochs, producers))
    } else {
        Err(SnapshotError::Length)
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
}

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or(SnapshotError::Length)?;
        self.bytes = rest;
        Ok(*taken)
    }

    /// A count of things of at least `len_min` bytes each, checked against the bytes that remain.
    fn count(&mut self, len_min: usize) -> Result<usize, SnapshotError> {
        let count = u32::from_le_bytes(self.take()?) as usize;
        if count > self.bytes.len() / len_min {
            return Err(SnapshotError::Length);
        }
        Ok(count)
    }

    fn producer(&mut self, log_end: i64) -> Result<Producer, SnapshotError> {
        let id = i64::from_le_bytes(self.take()?);
        let epoch = i16::from_le_bytes(self.take()?);
        let last_used_ms = i64::from_le_bytes(self.take()?);
        let mut producer = Producer::new(id, epoch, last_used_ms);
        let count = u8::from_le_bytes(self.take()?);
        if id < 0 || !(1..=BATCHES_MAX).contains(&usize::from(count)) {
            return Err(SnapshotError::Inconsistent("a producer has an impossible state"));
        }
        let mut end = 0;
        for _ in 0..count {
            let last_sequence = i32::from_le_bytes(self.take()?);
            let offset_delta = i32::from_le_bytes(self.take()?);
            let last_offset = i64::from_le_bytes(self.take()?);
            let timestamp = i64::from_le_bytes(self.take()?);
            let batch = BatchMeta { last_offset, timestamp, last_sequence, offset_delta };
            if offset_delta < 0
                || last_sequence < 0
                || last_offset >= log_end
                || batch.base_offset() < end
            {
                return Err(SnapshotError::Inconsistent("a producer's batches do not ascend"));
            }
            end = last_offset + 1;
            producer.push(batch);
        }
        Ok(producer)
    }
}
