//! Replay: what the journal of a shard holds that its checkpoint does not.
//!
//! Blocks are followed from the one that the checkpoint names, through the files of that life, until
//! one does not chain: a torn tail, which was never acknowledged. Unless a later sound block says
//! that it was synced (`durable_through`): then it is corruption, named and refused.

use super::block::{self, BlockHeader, Journal, Kind};
use super::buffer::ALIGN;
use super::disk::Disk;
use super::frame::FrameHeader;
use super::identity::read_file;
use super::io::FilePath;
use super::journal;
use super::recovery::OpenError;
use crate::types::TopicPartition;
use bytes::Bytes;
use std::collections::BTreeMap;

/// A frame that the journal holds.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its header.
    pub header: FrameHeader,
    /// Header and payload.
    pub bytes: Bytes,
}

/// What the journal says of one log.
#[derive(Debug, Default)]
pub struct Journaled {
    /// Live frames by base offset.
    pub frames: BTreeMap<i64, Found>,
    /// Largest `LogStart`.
    pub start: i64,
    /// Smallest `Truncate` that the checkpoint does not include.
    pub truncated: Option<i64>,
    /// A `Drop` stands in the journal.
    pub dropped: bool,
}

/// What replay found.
#[derive(Debug, Default)]
pub struct Replayed {
    /// By log.
    pub logs: BTreeMap<TopicPartition, Journaled>,
    /// Blocks that were followed.
    pub blocks: u64,
    /// Highest LSN in them.
    pub last_lsn: u64,
}

impl Replayed {
    /// Applies the entries of the next block. Entries come in LSN order, and the map from offsets
    /// to frames is kept in that order: `Truncate` removes what was there *then*, so a later run
    /// over the same offsets is not cut by it. `applied_lsn` is the last one whose effect on
    /// segments and log starts the checkpoint has.
    pub fn apply(&mut self, bytes: &Bytes, entries: &[block::Entry], applied_lsn: u64) {
        self.blocks += 1;
        for entry in entries {
            self.last_lsn = self.last_lsn.max(entry.lsn);
            let log = self.logs.entry(entry.tp).or_default();
            match (entry.kind, entry.frame) {
                (Kind::Append, Some(header)) => {
                    if !entry.copied {
                        // Nothing beyond it can be live: an append is at the log's end.
                        log.frames.split_off(&header.base_offset());
                    }
                    let bytes = bytes.slice(entry.at..entry.at + entry.len);
                    log.frames.insert(header.base_offset(), Found { header, bytes });
                }
                (Kind::Truncate, _) => {
                    log.frames.split_off(&entry.offset);
                    if entry.lsn > applied_lsn {
                        let least = log.truncated.map_or(entry.offset, |t| t.min(entry.offset));
                        log.truncated = Some(least);
                    }
                }
                (Kind::LogStart, _) => log.start = log.start.max(entry.offset),
                (Kind::Drop, _) => {
                    log.frames.clear();
                    log.dropped = true;
                }
                (Kind::Append, None) => unreachable!("a read entry has its frame"),
            }
        }
    }
}

struct JournalFile {
    path: FilePath,
    bytes: Bytes,
}

/// Follows the journal from block `replay_from` on.
pub fn replay(
    disk: &Disk,
    which: Journal,
    replay_from: u64,
    applied_lsn: u64,
) -> Result<Replayed, OpenError> {
    let mut files = Vec::new();
    for entry in disk.list(journal::DIR).map_err(|e| OpenError::io(journal::DIR, &e))? {
        let named = journal::parse_name(&entry.name);
        if named.is_some_and(|(life, shard, _)| life == which.life && shard == which.shard) {
            let path: FilePath = format!("{}/{}", journal::DIR, entry.name).into();
            if let Some(bytes) = read_file(disk, &path)? {
                files.push(JournalFile { path, bytes });
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut replayed = Replayed { last_lsn: applied_lsn, ..Replayed::default() };
    let mut expected = replay_from;
    let mut previous = None;
    let mut here: Option<(usize, usize)> = None;
    loop {
        let next = here.and_then(|(file, at)| {
            Some((file, at, chained(&files[file], at, which, expected, previous)?))
        });
        // Behind the last block of a file, the next one starts another file.
        let next = next.or_else(|| {
            (0..files.len()).find_map(|file| {
                Some((file, 0, chained(&files[file], 0, which, expected, previous)?))
            })
        });
        let Some((file, at, (header, entries))) = next else { break };
        let block = files[file].bytes.slice(at..at + header.len());
        replayed.apply(&block, &entries, applied_lsn);
        previous = Some(header.checksum());
        expected += 1;
        here = Some((file, at + header.len()));
    }
    for file in &files {
        for at in (0..file.bytes.len()).step_by(ALIGN) {
            let Some(header) = BlockHeader::peek(&file.bytes[at..], which) else { continue };
            // A block with a higher number was begun later, whatever became of it.
            if header.sequence() > expected
                && header.durable_through() >= expected
                && header.table_is_whole(&file.bytes[at..])
            {
                return Err(OpenError::Damaged(format!(
                    "block {expected} of shard {}'s journal was synced (block {} in {} says so) but \
                     is missing or does not match its checksum",
                    which.shard,
                    header.sequence(),
                    file.path
                )));
            }
        }
    }
    Ok(replayed)
}

fn chained(
    file: &JournalFile,
    at: usize,
    which: Journal,
    expected: u64,
    previous: Option<u32>,
) -> Option<(BlockHeader, Vec<block::Entry>)> {
    let bytes = file.bytes.get(at..)?;
    let header = BlockHeader::peek(bytes, which)?;
    let follows = previous.is_none_or(|p| p == header.previous_checksum());
    if header.sequence() != expected || !follows {
        return None;
    }
    block::read(bytes, which)
}
