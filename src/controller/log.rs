//! The metadata log on disk: numbered files of checksummed writes, and a snapshot.
//!
//! `meta/log-<n>` is append-only. Each write starts at a new 4 KiB block and is one [`Op::Write`],
//! so nothing that is durable is ever written again: a torn write cannot harm an older one. At most
//! one write is in flight, and the next begins when it is synced. So a write that does not check is
//! the torn tail if nothing valid follows it in its file, and rot of acknowledged data otherwise. What follows the last
//! write are zeros, [room](super::room) for the next ones.
//!
//! `meta/snapshot` is the image up to some index, and names the log file that goes on from there.
//! It is replaced by rename. The order is: new log file with the entries that the snapshot does not
//! hold, synced, its name synced; `snapshot.tmp` written and synced; renamed, the rename synced;
//! old log file removed. A power cut at any point leaves either the old pair or the new one, and
//! files that neither names are removed at the next start.
//!
//! A start never appends to what it found: it replaces log and snapshot before it promises
//! anything. What can be read after a failed sync need not be on the medium, and a later sync that
//! succeeds does not say that it is. So what a torn write left behind is never read again, either.
//!
//! Crash orders that this must survive (`crash_tests`): a torn write at the tail, followed by a
//! start; a cut between any two operations of a replacement; a sync that fails, a start that reads
//! what was not synced, and a power cut after it; a lost rename after the new log file was made.

use crate::storage::buffer::{ALIGN, AlignedBuf, Budget, align_up};
use crate::storage::device::io::{FilePath, Op};
use bytes::Bytes;
use std::sync::Arc;

/// Directory of the metadata.
pub const DIR: &str = "meta";
/// The snapshot.
pub const SNAPSHOT: &str = "meta/snapshot";
/// The next snapshot while it is written.
pub const SNAPSHOT_TMP: &str = "meta/snapshot.tmp";

/// Path of a log file.
pub fn log_path(number: u64) -> FilePath {
    format!("{DIR}/log-{number}").into()
}

/// The number in the name of a log file.
pub fn log_number(name: &str) -> Option<u64> {
    name.strip_prefix("log-")?.parse().ok()
}

/// Bytes before the payload of a block: magic, CRC-32C of all that follows it, length of the
/// payload, number of the file, position in it.
const HEADER: usize = 4 + 4 + 8 + 8 + 8;
const MAGIC: u32 = u32::from_le_bytes(*b"KMLG");

/// One write: header, payload, zeros up to the next multiple of 4 KiB. `file` and `pos` bind it to
/// its place, so that a block that was written elsewhere never checks.
pub fn frame(payload: &[u8], file: u64, pos: u64, budget: &Arc<Budget>) -> Bytes {
    let mut buf = AlignedBuf::zeroed(HEADER + payload.len(), budget);
    buf[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    buf[8..16].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    buf[16..24].copy_from_slice(&file.to_le_bytes());
    buf[24..32].copy_from_slice(&pos.to_le_bytes());
    buf[HEADER..HEADER + payload.len()].copy_from_slice(payload);
    let crc = crc32c::crc32c(&buf[8..HEADER + payload.len()]);
    buf[4..8].copy_from_slice(&crc.to_le_bytes());
    buf.freeze()
}

/// The payload of the write at `pos`, and where the next one begins; `None` if it does not check.
pub fn unframe(bytes: &[u8], file: u64, pos: u64) -> Option<(&[u8], u64)> {
    let block = bytes.get(usize::try_from(pos).ok()?..)?;
    let word = |at: usize| Some(u64::from_le_bytes(block.get(at..at + 8)?.try_into().ok()?));
    let half = |at: usize| Some(u32::from_le_bytes(block.get(at..at + 4)?.try_into().ok()?));
    if half(0)? != MAGIC || word(16)? != file || word(24)? != pos {
        return None;
    }
    let len = usize::try_from(word(8)?).ok()?;
    let end = HEADER.checked_add(len)?;
    if crc32c::crc32c(block.get(8..end)?) != half(4)? {
        return None;
    }
    Some((&block[HEADER..end], pos + align_up(end) as u64))
}

/// A log file, read.
#[derive(Debug)]
pub struct Scan<'a> {
    /// Payloads of the writes, in order.
    pub writes: Vec<&'a [u8]>,
    /// Where they end.
    pub end: u64,
    /// Where a valid write stands behind what does not check; the file is damaged.
    pub valid_after: Option<u64>,
}

/// Reads a log file up to its end or to its first write that does not check.
pub fn scan(bytes: &[u8], file: u64) -> Scan<'_> {
    let mut scan = Scan { writes: Vec::new(), end: 0, valid_after: None };
    while let Some((payload, next)) = unframe(bytes, file, scan.end) {
        scan.writes.push(payload);
        scan.end = next;
    }
    let blocks = (scan.end..bytes.len() as u64).step_by(ALIGN).skip(1);
    scan.valid_after = blocks.into_iter().find(|pos| unframe(bytes, file, *pos).is_some());
    scan
}

/// Creates an empty log file, durably.
pub fn create(number: u64) -> Vec<Op> {
    vec![Op::Create { path: log_path(number) }, Op::SyncDir { path: DIR.into() }]
}

/// Makes `snapshot` the snapshot, durably. The log file that it names must be durable.
pub fn replace_snapshot(snapshot: &[u8], budget: &Arc<Budget>) -> Vec<Op> {
    let tmp: FilePath = SNAPSHOT_TMP.into();
    vec![
        Op::Create { path: tmp.clone() },
        Op::Write { path: tmp.clone(), pos: 0, data: frame(snapshot, u64::MAX, 0, budget) },
        Op::Sync { path: tmp.clone() },
        Op::Rename { from: tmp, to: SNAPSHOT.into() },
        Op::SyncDir { path: DIR.into() },
    ]
}

/// Takes back what was begun with log file `number` and the snapshot that would name it, before that was renamed.
pub fn give_up(number: u64) -> [Op; 2] {
    [Op::Unlink { path: log_path(number) }, Op::Unlink { path: SNAPSHOT_TMP.into() }]
}

/// The snapshot's payload; `None` if it does not check.
pub fn snapshot_payload(bytes: &[u8]) -> Option<&[u8]> {
    unframe(bytes, u64::MAX, 0).map(|(payload, _)| payload)
}
