//! A partition's state as bytes.
//!
//! Little-endian, no padding:
//! ```text
//! u8  version (1; or 2 or 3, where all that says 2 or 3 is there)
//! i64 log end
//! 2+: i64 high watermark
//! 2+: u32 changes above it, each: i64 last offset, i64 producer, u8 kind (0 to 3), and by that:
//!         2, the batch that was forgotten; 3, the producer as it was
//! u32 epochs,    each: i32 epoch, i64 start offset
//! 3:  u32 transactions whose marker is not committed, each:
//!         i64 producer, i64 first offset, i64 marker, i16 producer epoch and i32 coordinator epoch before it
//! u32 producers, each:
//!     i64 id, i16 epoch, i64 last used ms,
//! 3:      i32 coordinator epoch, i64 first offset of its open transaction (-1 for none),
//!     u8 batches (1 to 5; from 3 on 0 too), each, oldest first:
//!         i32 last sequence, i32 offset delta, i64 last offset, i64 timestamp
//! 3:  u32 aborted transactions, each, by marker:
//!         i64 producer, i64 first offset, i64 marker, i64 last stable offset as of the marker
//! u32 CRC-32C of all before
//! ```
//!
//! Version 1 is that of a log all of which is committed, version 3 that of one in which there were
//! transactions: brokers that know of none read what they can.
//!
//! When a producer was last used is told by a clock of the snapshot's own: 0 is when the one was that
//! was used last, and only the differences mean something (earlier builds wrote the wall's time, and
//! `i64::MIN` for one that was recovered). No clock lasts from one start to the next that nobody sets.

use super::capture::Capture;
use super::epochs::{EpochStart, Epochs};
use super::producer::{BATCHES_MAX, BatchMeta, Producer, RECOVERED_MS};
use super::producers::Producers;
use super::transactions::{AbortedTransaction, Decided, Transactions};
use super::undo::{Before, Change, Undo};
use crate::wire::records::crc::{self, crc32c};
use std::collections::{BTreeMap, VecDeque};

const PLAIN: u8 = 1;
const ABOVE: u8 = 2;
const VERSION: u8 = 3;
const EPOCH_LEN: usize = 12;
const PRODUCER_LEN_MIN: usize = 19 + BATCH_LEN;
const BATCH_LEN: usize = 24;
const DECIDED_LEN: usize = 30;
const ABORTED_LEN: usize = 32;
/// So many aborted transactions take as long as one producer.
const ABORTED_A_PRODUCER: usize = 4;
const CHANGE_LEN_MIN: usize = 17;
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

/// What a snapshot says beside the producers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub log_end: i64,
    /// Where not all of the log is committed: how far it is, and what is above that.
    pub above: Option<(i64, &'a Undo)>,
    pub epochs: &'a Epochs,
}

/// What a snapshot gave.
#[derive(Debug)]
pub(super) struct Decoded {
    pub log_end: i64,
    pub high_watermark: i64,
    pub undo: Undo,
    pub epochs: Epochs,
    pub producers: Producers,
}

/// The whole in one go.
pub(super) fn encode(head: Head<'_>, producers: &Producers) -> Vec<u8> {
    let batches_len = BATCHES_MAX * BATCH_LEN;
    let mut out = Vec::with_capacity(
        21 + head.epochs.entries().len() * EPOCH_LEN
            + producers.len() * (PRODUCER_LEN_MIN + batches_len),
    );
    put_head(head, producers, &mut out);
    let transactional = producers.is_transactional();
    for producer in producers.from(i64::MIN) {
        put_producer(producer, transactional, producers.newest_ms(), &mut out);
    }
    if transactional {
        let aborted = producers.transactions().map(Transactions::aborted);
        out.extend_from_slice(&(aborted.map_or(0, VecDeque::len) as u32).to_le_bytes());
        aborted.into_iter().flatten().for_each(|it| put_aborted(it, &mut out));
    }
    out.extend_from_slice(&crc32c(&out).to_le_bytes());
    out
}

/// Begins it anew, and appends its first bytes to `out`. Whether these are all, since there are no more
/// than `most` producers; if not, [`go_on`] gives more.
pub(super) fn begin(
    head: Head<'_>,
    producers: &mut Producers,
    most: usize,
    out: &mut Vec<u8>,
) -> bool {
    let aborted = producers.transactions().map_or(0, |it| it.aborted().len());
    if producers.len() + aborted / ABORTED_A_PRODUCER <= most {
        *producers.capture() = None;
        out.extend(encode(head, producers));
        return true;
    }
    let first = out.len();
    put_head(head, producers, out);
    let capture = Capture {
        next: Some(i64::MIN),
        newest_ms: producers.newest_ms(),
        crc: crc32c(&out[first..]),
        before: BTreeMap::new(),
        transactional: producers.is_transactional(),
        aborted: producers.transactions().map(|it| it.aborted().clone()).unwrap_or_default(),
        counted: false,
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
                put_producer(&producer, capture.transactional, capture.newest_ms, out);
            }
            id
        } else if let Some(producer) = now.next() {
            put_producer(producer, capture.transactional, capture.newest_ms, out);
            producer.id
        } else if capture.transactional && !capture.counted {
            capture.counted = true;
            capture.next = None;
            out.extend_from_slice(&(capture.aborted.len() as u32).to_le_bytes());
            continue;
        } else if !capture.aborted.is_empty() {
            let some = capture.aborted.len().min(ABORTED_A_PRODUCER);
            capture.aborted.drain(..some).for_each(|it| put_aborted(&it, out));
            continue;
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
fn put_head(head: Head<'_>, producers: &Producers, out: &mut Vec<u8>) {
    let epochs = head.epochs.entries();
    let transactional = producers.is_transactional();
    out.push(match head.above {
        _ if transactional => VERSION,
        Some(_) => ABOVE,
        None => PLAIN,
    });
    out.extend_from_slice(&head.log_end.to_le_bytes());
    if let Some((high_watermark, undo)) = head.above {
        out.extend_from_slice(&high_watermark.to_le_bytes());
        out.extend_from_slice(&(undo.len() as u32).to_le_bytes());
        let newest_ms = producers.newest_ms();
        undo.iter().for_each(|change| put_change(change, transactional, newest_ms, out));
    } else if transactional {
        out.extend_from_slice(&head.log_end.to_le_bytes());
        out.extend_from_slice(&0u32.to_le_bytes());
    }
    out.extend_from_slice(&(epochs.len() as u32).to_le_bytes());
    for entry in epochs {
        out.extend_from_slice(&entry.epoch.to_le_bytes());
        out.extend_from_slice(&entry.start.to_le_bytes());
    }
    if transactional {
        let decided = producers.transactions().map(Transactions::decided);
        let count = decided.as_ref().map_or(0, ExactSizeIterator::len);
        out.extend_from_slice(&(count as u32).to_le_bytes());
        for it in decided.into_iter().flatten() {
            out.extend_from_slice(&it.producer_id.to_le_bytes());
            out.extend_from_slice(&it.first.to_le_bytes());
            out.extend_from_slice(&it.marker.to_le_bytes());
            out.extend_from_slice(&it.producer_epoch.to_le_bytes());
            out.extend_from_slice(&it.coordinator_epoch.to_le_bytes());
        }
    }
    out.extend_from_slice(&(producers.len() as u32).to_le_bytes());
}

fn put_aborted(it: &AbortedTransaction, out: &mut Vec<u8>) {
    for it in [it.producer_id, it.first, it.last, it.last_stable] {
        out.extend_from_slice(&it.to_le_bytes());
    }
}

fn put_change(change: &Change, transactional: bool, newest_ms: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&change.last_offset.to_le_bytes());
    out.extend_from_slice(&change.id.to_le_bytes());
    match &change.before {
        Before::Absent => out.push(0),
        Before::Known(None) => out.push(1),
        Before::Known(Some(batch)) => {
            out.push(2);
            put_batch(batch, out);
        }
        Before::Other(producer) => {
            out.push(3);
            put_producer(producer, transactional, newest_ms, out);
        }
    }
}

fn put_batch(batch: &BatchMeta, out: &mut Vec<u8>) {
    out.extend_from_slice(&batch.last_sequence.to_le_bytes());
    out.extend_from_slice(&batch.offset_delta.to_le_bytes());
    out.extend_from_slice(&batch.last_offset.to_le_bytes());
    out.extend_from_slice(&batch.timestamp.to_le_bytes());
}

fn put_producer(producer: &Producer, transactional: bool, newest_ms: i64, out: &mut Vec<u8>) {
    out.extend_from_slice(&producer.id.to_le_bytes());
    out.extend_from_slice(&producer.epoch.to_le_bytes());
    // One that was recovered and not looked at since is as old as it was then, at least.
    let since_ms = if producer.last_used_ms > RECOVERED_MS { newest_ms } else { RECOVERED_MS };
    out.extend_from_slice(&producer.last_used_ms.saturating_sub(since_ms).to_le_bytes());
    if transactional {
        out.extend_from_slice(&producer.coordinator_epoch.to_le_bytes());
        out.extend_from_slice(&producer.transaction.to_le_bytes());
    }
    out.push(producer.batches().len() as u8);
    producer.batches().iter().for_each(|batch| put_batch(batch, out));
}

pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, SnapshotError> {
    let (content, stored) = bytes.split_last_chunk().ok_or(SnapshotError::Length)?;
    // The version first: another one may keep its checksum elsewhere.
    let mut cursor = Cursor { bytes: content, transactional: false };
    let version = u8::from_le_bytes(cursor.take()?);
    if ![PLAIN, ABOVE, VERSION].contains(&version) {
        return Err(SnapshotError::Version(version));
    }
    cursor.transactional = version == VERSION;
    let (stored, computed) = (u32::from_le_bytes(*stored), crc32c(content));
    if stored != computed {
        return Err(SnapshotError::Checksum { stored, computed });
    }
    let log_end = i64::from_le_bytes(cursor.take()?);
    if log_end < 0 {
        return Err(SnapshotError::Inconsistent("the log end is negative"));
    }
    let (mut high_watermark, mut changes) = (log_end, VecDeque::new());
    if version >= ABOVE {
        high_watermark = i64::from_le_bytes(cursor.take()?);
        let count = cursor.count(CHANGE_LEN_MIN)?;
        let mut least = high_watermark;
        for _ in 0..count {
            let change = cursor.change(log_end)?;
            if change.last_offset < least || change.last_offset >= log_end {
                return Err(SnapshotError::Inconsistent("changes do not ascend"));
            }
            least = change.last_offset + 1;
            changes.push_back(change);
        }
        if !(0..=log_end).contains(&high_watermark) {
            return Err(SnapshotError::Inconsistent("the high watermark is not within the log"));
        }
    }
    let count = cursor.count(EPOCH_LEN)?;
    let mut starts = Vec::with_capacity(count);
    for _ in 0..count {
        let epoch = i32::from_le_bytes(cursor.take()?);
        starts.push(EpochStart { epoch, start: i64::from_le_bytes(cursor.take()?) });
    }
    let epochs =
        Epochs::from_entries(starts).ok_or(SnapshotError::Inconsistent("epochs do not ascend"))?;
    let mut decided = Vec::new();
    if cursor.transactional {
        let count = cursor.count(DECIDED_LEN)?;
        decided = (0..count).map(|_| cursor.decided(log_end)).collect::<Result<_, _>>()?;
    }
    let len_min =
        if cursor.transactional { PRODUCER_LEN_MIN - BATCH_LEN } else { PRODUCER_LEN_MIN };
    let count = cursor.count(len_min)?;
    let mut read: Vec<Producer> =
        (0..count).map(|_| cursor.producer(log_end)).collect::<Result<_, _>>()?;
    let newest_ms = read.iter().map(|it| it.last_used_ms).max().unwrap_or(0).max(0);
    let others = changes.iter_mut().filter_map(|change| match &mut change.before {
        Before::Other(producer) => Some(&mut **producer),
        _ => None,
    });
    for producer in read.iter_mut().chain(others) {
        let silent_ms = match producer.last_used_ms {
            i64::MIN => 0,
            known => newest_ms.saturating_sub(known).clamp(0, SILENT_MS_MAX),
        };
        producer.last_used_ms = RECOVERED_MS - silent_ms;
    }
    let mut aborted = VecDeque::new();
    if cursor.transactional {
        let count = cursor.count(ABORTED_LEN)?;
        aborted.reserve_exact(count);
        let mut least = 0;
        for _ in 0..count {
            let it = cursor.aborted()?;
            if it.last < least || it.last >= log_end || !(0..=it.last).contains(&it.first) {
                return Err(SnapshotError::Inconsistent("aborted transactions do not ascend"));
            }
            least = it.last + 1;
            aborted.push_back(it);
        }
    }
    let transactions = Transactions::restored(decided, aborted);
    let producers = Producers::restored(read, transactions, cursor.transactional)
        .ok_or(SnapshotError::Inconsistent("a producer is there twice"))?;
    if cursor.bytes.is_empty() {
        let undo = Undo::from_changes(changes);
        Ok(Decoded { log_end, high_watermark, undo, epochs, producers })
    } else {
        Err(SnapshotError::Length)
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    /// It knows of transactions.
    transactional: bool,
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

    fn change(&mut self, log_end: i64) -> Result<Change, SnapshotError> {
        let last_offset = i64::from_le_bytes(self.take()?);
        let id = i64::from_le_bytes(self.take()?);
        let before = match u8::from_le_bytes(self.take()?) {
            0 => Before::Absent,
            1 => Before::Known(None),
            2 => Before::Known(Some(self.batch()?)),
            3 => Before::Other(Box::new(self.producer(log_end)?)),
            _ => return Err(SnapshotError::Inconsistent("a change of an unknown kind")),
        };
        Ok(Change { last_offset, id, before })
    }

    fn batch(&mut self) -> Result<BatchMeta, SnapshotError> {
        let last_sequence = i32::from_le_bytes(self.take()?);
        let offset_delta = i32::from_le_bytes(self.take()?);
        let last_offset = i64::from_le_bytes(self.take()?);
        let timestamp = i64::from_le_bytes(self.take()?);
        Ok(BatchMeta { last_offset, timestamp, last_sequence, offset_delta })
    }

    fn decided(&mut self, log_end: i64) -> Result<Decided, SnapshotError> {
        let it = Decided {
            producer_id: i64::from_le_bytes(self.take()?),
            first: i64::from_le_bytes(self.take()?),
            marker: i64::from_le_bytes(self.take()?),
            producer_epoch: i16::from_le_bytes(self.take()?),
            coordinator_epoch: i32::from_le_bytes(self.take()?),
        };
        if !(0..=it.marker).contains(&it.first) || it.marker >= log_end {
            return Err(SnapshotError::Inconsistent("a transaction ends before it begins"));
        }
        Ok(it)
    }

    fn aborted(&mut self) -> Result<AbortedTransaction, SnapshotError> {
        Ok(AbortedTransaction {
            producer_id: i64::from_le_bytes(self.take()?),
            first: i64::from_le_bytes(self.take()?),
            last: i64::from_le_bytes(self.take()?),
            last_stable: i64::from_le_bytes(self.take()?),
        })
    }

    fn producer(&mut self, log_end: i64) -> Result<Producer, SnapshotError> {
        let id = i64::from_le_bytes(self.take()?);
        let epoch = i16::from_le_bytes(self.take()?);
        let last_used_ms = i64::from_le_bytes(self.take()?);
        let mut producer = Producer::new(id, epoch, last_used_ms);
        let mut count_min = 1;
        if self.transactional {
            producer.coordinator_epoch = i32::from_le_bytes(self.take()?);
            producer.transaction = i64::from_le_bytes(self.take()?);
            count_min = 0;
        }
        let count = u8::from_le_bytes(self.take()?);
        let known = (count_min..=BATCHES_MAX).contains(&usize::from(count));
        if id < 0 || !known || !(-1..log_end).contains(&producer.transaction) {
            return Err(SnapshotError::Inconsistent("a producer has an impossible state"));
        }
        let mut end = 0;
        for _ in 0..count {
            let batch = self.batch()?;
            if batch.offset_delta < 0
                || batch.last_sequence < 0
                || batch.last_offset >= log_end
                || batch.base_offset() < end
            {
                return Err(SnapshotError::Inconsistent("a producer's batches do not ascend"));
            }
            end = batch.last_offset + 1;
            producer.push(batch);
        }
        Ok(producer)
    }
}
