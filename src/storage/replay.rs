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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::block::{COPIED, Place, append_entry, block_len, control_entry, seal};
    use crate::storage::buffer::{AlignedBuf, Budget};
    use crate::storage::frame::FrameFields;
    use crate::storage::io::Op;
    use crate::storage::sim_disk::SimDisk;
    use crate::types::TopicId;
    use zerocopy::IntoBytes;

    const LIFE: Journal = Journal { directory_id: [1; 16], life: 2, shard: 0 };
    const TP: TopicPartition = TopicPartition { topic: TopicId([4; 16]), partition: 0 };

    enum Say {
        Append(i64, i64, i32),
        Copy(i64, i64, i32),
        Control(Kind, i64),
    }

    /// A block of one entry for each of `says`, whose LSNs go on from `lsn`.
    fn block(which: Journal, place: Place, lsn: u64, says: &[Say]) -> (Vec<u8>, u32) {
        let (mut table, mut bodies) = (Vec::new(), Vec::new());
        for (i, say) in says.iter().enumerate() {
            let lsn = lsn + i as u64;
            match say {
                Say::Append(base, last, epoch) | Say::Copy(base, last, epoch) => {
                    let fields = FrameFields {
                        tp: TP,
                        leader_epoch: *epoch,
                        base_offset: *base,
                        last_offset: *last,
                        max_timestamp: 0,
                        append_time: 0,
                        batch_count: 1,
                        previous_checksum: 0,
                    };
                    let frame = FrameHeader::seal(&fields, b"batches");
                    let flags = if matches!(say, Say::Copy(..)) { COPIED } else { 0 };
                    table.extend(append_entry(lsn, &frame, flags).as_bytes());
                    bodies.extend([frame.as_bytes(), b"batches"].concat());
                }
                Say::Control(kind, offset) => {
                    let (line, body) = control_entry(lsn, *kind, TP, *offset);
                    table.extend(line.as_bytes());
                    bodies.extend(body.as_bytes());
                }
            }
        }
        let mut block = vec![0; block::HEADER];
        block.extend(&table);
        block.extend(&bodies);
        block.resize(block_len(says.len(), bodies.len()), 0);
        let checksum = seal(&mut block, which, place, says.len());
        (block, checksum)
    }

    fn place(sequence: u64, durable_through: u64, previous_checksum: u32) -> Place {
        Place { sequence, durable_through, previous_checksum }
    }

    fn disk_with(files: &[(u32, &[&[u8]])]) -> Disk {
        let disk = Disk::Sim(SimDisk::new(1));
        disk.run(Op::MakeDir { path: journal::DIR.into() }).expect("a directory");
        for (number, blocks) in files {
            let path = journal::path_of(LIFE.life, LIFE.shard, *number);
            let data = AlignedBuf::copy_of(&blocks.concat(), &Budget::new(usize::MAX)).freeze();
            disk.run(Op::Create { path: path.clone() }).expect("a file");
            disk.run(Op::Write { path, pos: 0, data }).expect("written");
        }
        disk
    }

    fn offsets(replayed: &Replayed) -> Vec<i64> {
        replayed.logs.get(&TP).map_or(Vec::new(), |log| log.frames.keys().copied().collect())
    }

    #[test]
    fn a_run_after_a_truncation_is_not_cut_by_it() {
        // 100–110 in epoch 4, Truncate(100), then 100–5000 in epoch 5, placed and checkpointed.
        let says = [
            Say::Append(100, 110, 4),
            Say::Control(Kind::Truncate, 100),
            Say::Append(100, 5000, 5),
        ];
        let (one, _) = block(LIFE, place(1, 0, 0), 10, &says);
        let disk = disk_with(&[(0, &[&one])]);
        let seen = replay(&disk, LIFE, 1, 12).expect("sound");
        let log = &seen.logs[&TP];
        assert_eq!(log.frames[&100].header.leader_epoch(), 5);
        assert_eq!(log.truncated, None, "the checkpoint has it: segments are not cut");
        let seen = replay(&disk, LIFE, 1, 10).expect("sound");
        assert_eq!(seen.logs[&TP].truncated, Some(100), "the checkpoint is older");
    }

    #[test]
    fn a_lost_block_takes_the_one_behind_it_along_unless_it_was_synced() {
        let (one, first) = block(LIFE, place(1, 0, 0), 1, &[Say::Append(0, 9, 1)]);
        // Block 2 never reached the disk; 3 was in flight with it.
        let (three, _) = block(LIFE, place(3, 1, 77), 3, &[Say::Append(20, 29, 1)]);
        let torn = vec![0; 4096];
        let disk = disk_with(&[(0, &[&one, &torn, &three])]);
        let seen = replay(&disk, LIFE, 1, 0).expect("neither was acknowledged");
        assert_eq!((seen.blocks, offsets(&seen)), (1, vec![0]));
        // Now 3 says that 2 was synced: then something ate it.
        let (three, _) = block(LIFE, place(3, 2, first), 3, &[Say::Append(20, 29, 1)]);
        let disk = disk_with(&[(0, &[&one, &torn, &three])]);
        let refused = replay(&disk, LIFE, 1, 0).expect_err("corruption");
        assert!(refused.to_string().contains("block 2"), "{refused}");
    }

    #[test]
    fn blocks_of_another_life_or_an_earlier_lap_do_not_chain() {
        let old = Journal { life: 1, ..LIFE };
        let (one, first) = block(LIFE, place(1, 0, 0), 1, &[Say::Append(0, 9, 1)]);
        let (stale_life, _) = block(old, place(2, 1, first), 2, &[Say::Append(10, 19, 1)]);
        let seen = replay(&disk_with(&[(0, &[&one, &stale_life])]), LIFE, 1, 0).expect("sound");
        assert_eq!(offsets(&seen), [0]);
        // A recycled file: behind the new block 7 stands the old block 3.
        let (six, sixth) = block(LIFE, place(6, 5, 0), 6, &[Say::Append(60, 69, 1)]);
        let (seven, _) = block(LIFE, place(7, 6, sixth), 7, &[Say::Append(70, 79, 1)]);
        let (three, _) = block(LIFE, place(3, 2, 5), 3, &[Say::Append(30, 39, 1)]);
        let disk = disk_with(&[(0, &[&six]), (1, &[&seven, &three])]);
        let seen = replay(&disk, LIFE, 6, 0).expect("sound");
        assert_eq!((seen.blocks, offsets(&seen)), (2, vec![60, 70]));
    }

    #[test]
    fn copies_and_drops_are_taken_in_their_order() {
        let says = [Say::Append(10, 19, 1), Say::Copy(0, 9, 1), Say::Control(Kind::LogStart, 5)];
        let (one, first) = block(LIFE, place(1, 0, 0), 1, &says);
        let disk = disk_with(&[(0, &[&one])]);
        let seen = replay(&disk, LIFE, 1, 0).expect("sound");
        assert_eq!((offsets(&seen), seen.logs[&TP].start, seen.last_lsn), (vec![0, 10], 5, 3));
        let (two, _) = block(LIFE, place(2, 1, first), 4, &[Say::Control(Kind::Drop, 0)]);
        let seen = replay(&disk_with(&[(0, &[&one, &two])]), LIFE, 1, 0).expect("sound");
        assert!(seen.logs[&TP].dropped && offsets(&seen).is_empty());
    }
}
