//! Replay: what the journal of a shard holds that its checkpoint does not.
//!
//! Blocks are followed from the one that the checkpoint names, through the files of that life, until
//! one does not chain: a torn tail, which was never acknowledged. Unless a later sound block, or the
//! checkpoint, says that it was synced (`durable_through`): then it is corruption, named and refused.
//! So is a file that is missing, and what a newer version of Klamm wrote.

use super::identity::read_file;
use super::open_error::OpenError;
use super::runs::{self, LiveRun};
use crate::storage::buffer::ALIGN;
use crate::storage::device::disk::Disk;
use crate::storage::device::io::FilePath;
use crate::storage::format::block::{self, BlockError, BlockHeader, Journal, Kind, Run};
use crate::storage::format::checkpoint::{self, Checkpoint};
use crate::storage::format::frame::FrameHeader;
use crate::storage::format::segment::{self, Cut};
use crate::storage::journal;
use crate::types::TopicPartition;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A frame that the journal holds.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its header.
    pub header: FrameHeader,
    /// Header and payload.
    pub bytes: Bytes,
}

/// A truncation that the checkpoint does not include.
#[derive(Clone, Debug)]
pub struct Truncation {
    /// Everything from here on went.
    pub offset: i64,
    /// What is left of the segment that it fell into.
    pub cut: Option<Cut>,
    /// State of the partition's core after it.
    pub state: Bytes,
    /// Everything below went, too: the log begins anew there.
    pub restarts: bool,
}

/// What the journal says of one log.
#[derive(Debug, Default)]
pub struct Journaled {
    /// Live frames by base offset.
    pub frames: BTreeMap<i64, Found>,
    /// Live runs by the offset of their first record.
    pub runs: BTreeMap<i64, LiveRun>,
    /// Largest `LogStart` or `Restart`.
    pub start: i64,
    /// Those that the checkpoint does not include, in their order.
    pub truncations: Vec<Truncation>,
    /// A `Drop` that the checkpoint does not include: what it says of this log is of an earlier one
    /// under the same name.
    pub replaced: bool,
    /// Nothing follows the last `Drop`.
    pub dropped: bool,
}

/// For each log the last LSN whose effect on its segments, state and start the checkpoint has.
#[derive(Debug, Default)]
pub struct Applied(BTreeMap<TopicPartition, u64>);

impl Applied {
    pub(super) fn of(checkpoint: &Checkpoint) -> Self {
        Self(checkpoint.logs.iter().map(|log| (log.tp, log.applied_lsn)).collect())
    }

    /// Of a log that has no record nothing is included.
    pub(super) fn to(&self, tp: TopicPartition) -> u64 {
        self.0.get(&tp).copied().unwrap_or(0)
    }
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
    /// Segments with runs of blocks that nothing says to be durable: what was found may still be lost.
    pub unsynced: BTreeSet<FilePath>,
}

impl Replayed {
    /// Applies the entries of the next block. Entries come in LSN order, and the map from offsets
    /// to frames is kept in that order: `Truncate` removes what was there *then*, so a later run
    /// over the same offsets is not cut by it; `Drop` ends all that came before, and what follows it
    /// is of a new log.
    pub fn apply(&mut self, bytes: &Bytes, entries: &[block::Entry], applied: &Applied) {
        self.blocks += 1;
        for entry in entries {
            self.last_lsn = self.last_lsn.max(entry.lsn);
            let log = self.logs.entry(entry.tp).or_default();
            log.dropped = entry.kind == Kind::Drop;
            match (entry.kind, entry.frame) {
                (Kind::Append, Some(header)) => {
                    if !entry.copied {
                        // Nothing beyond it can be live: an append is at the log's end.
                        log.frames.split_off(&header.base_offset());
                        log.runs.split_off(&header.base_offset());
                    }
                    let bytes = bytes.slice(entry.at..entry.at + entry.len);
                    log.frames.insert(header.base_offset(), Found { header, bytes });
                }
                (Kind::Placed, _) => {
                    // Frames that the journal has, too, are not brought anywhere any more: joining
                    // begins behind what is placed. Those behind it may be live.
                    let run = block::placed(&bytes[entry.at..entry.at + entry.len]);
                    let run = run.expect("a read entry is whole");
                    log.runs.split_off(&run.first);
                    log.runs.insert(run.first, LiveRun { run, upto: run.next });
                }
                (Kind::Truncate, _) => {
                    log.frames.split_off(&entry.offset);
                    log.runs.split_off(&entry.offset);
                    if let Some(mut last) = log.runs.last_entry() {
                        let last = last.get_mut();
                        last.upto = last.upto.min(entry.offset);
                    }
                    if entry.lsn > applied.to(entry.tp) {
                        let body = bytes.slice(entry.at..entry.at + entry.len);
                        let (cut, state) = block::truncation(&body);
                        let state = body.slice(body.len() - state..);
                        let offset = entry.offset;
                        log.truncations.push(Truncation { offset, cut, state, restarts: false });
                    }
                }
                (Kind::Restart, _) => {
                    log.frames.clear();
                    log.runs.clear();
                    log.start = log.start.max(entry.offset);
                    if entry.lsn > applied.to(entry.tp) {
                        let body = bytes.slice(entry.at..entry.at + entry.len);
                        let (_, state) = block::truncation(&body);
                        let state = body.slice(body.len() - state..);
                        let offset = entry.offset;
                        log.truncations.push(Truncation {
                            offset,
                            cut: None,
                            state,
                            restarts: true,
                        });
                    }
                }
                (Kind::LogStart, _) => log.start = log.start.max(entry.offset),
                (Kind::Drop, _) => {
                    let replaced = log.replaced || entry.lsn > applied.to(entry.tp);
                    *log = Journaled { replaced, dropped: true, ..Journaled::default() };
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

/// The files of a journal, by number. None may be missing: they are numbered without gaps, and the
/// checkpoint knows how many there were at least.
fn files_of(disk: &Disk, which: Journal, known: u32) -> Result<Vec<JournalFile>, OpenError> {
    let mut numbers = BTreeSet::new();
    for entry in disk.list(journal::DIR).map_err(|e| OpenError::io(journal::DIR, &e))? {
        if let Some((life, shard, number)) = journal::parse_name(&entry.name)
            && (life, shard) == (which.life, which.shard)
        {
            numbers.insert(number);
        }
    }
    let count = numbers.last().map_or(0, |last| last + 1).max(known);
    (0..count)
        .map(|number| {
            let path = journal::path_of(which.life, which.shard, number);
            match read_file(disk, &path)? {
                Some(bytes) => Ok(JournalFile { path, bytes }),
                None => Err(OpenError::Damaged(format!("{path} is missing"))),
            }
        })
        .collect()
}

/// Follows the journal of `which` from where its checkpoint says.
pub fn replay(disk: &Disk, which: Journal, checkpoint: &Checkpoint) -> Result<Replayed, OpenError> {
    let files = files_of(disk, which, checkpoint.head.journal_files)?;
    let applied = Applied::of(checkpoint);
    let head = checkpoint.head;
    let mut replayed = Replayed { last_lsn: head.applied_lsn, ..Replayed::default() };
    let mut expected = head.replay_from;
    let mut previous = None;
    let mut here: Option<(usize, usize)> = None;
    let mut durable_through = head.durable_through;
    // Blocks that nothing said yet to be durable. Each is applied when a later one says so, or when
    // the runs that it names are found where it says.
    let mut waiting = VecDeque::new();
    loop {
        // Behind the last block of a file, the next one starts another file.
        let places = here.into_iter().chain((0..files.len()).map(|file| (file, 0)));
        let mut found = None;
        for (file, at) in places {
            if let Some((header, entries)) = chained(&files[file], at, which, expected, previous)? {
                let block = files[file].bytes.slice(at..at + header.len());
                previous = Some(header.checksum());
                here = Some((file, at + header.len()));
                durable_through = durable_through.max(header.durable_through());
                waiting.push_back((header.sequence(), block, entries));
                found = Some(());
                break;
            }
        }
        while let Some((sequence, block, entries)) = waiting.front()
            && *sequence <= durable_through
        {
            replayed.apply(block, entries, &applied);
            waiting.pop_front();
        }
        if found.is_none() {
            break;
        }
        expected += 1;
    }
    // Behind that a block counts as far as its runs are there: it was acknowledged with them.
    for (sequence, block, entries) in waiting {
        if !runs_are_there(disk, &block, &entries)? {
            expected = sequence;
            break;
        }
        for (entry, run) in runs_of(&block, &entries) {
            let path = segment::path_of(entry.tp, run.segment, run.generation);
            replayed.unsynced.insert(path);
        }
        replayed.apply(&block, &entries, &applied);
    }
    let missing = |says: String| {
        OpenError::Damaged(format!(
            "block {expected} of shard {}'s journal was synced ({says}) but is missing or does not \
             match its checksum",
            which.shard
        ))
    };
    if expected <= head.durable_through {
        let path = checkpoint::path_of(which.life, which.shard);
        return Err(missing(format!("{path} says so of block {}", head.durable_through)));
    }
    for file in &files {
        for at in (0..file.bytes.len()).step_by(ALIGN) {
            let Ok(header) = BlockHeader::peek(&file.bytes[at..], which) else { continue };
            // A block with a higher number was begun later, whatever became of it.
            if header.sequence() > expected
                && header.durable_through() >= expected
                && header.table_is_whole(&file.bytes[at..])
            {
                let path = &file.path;
                return Err(missing(format!("block {} in {path} says so", header.sequence())));
            }
        }
    }
    Ok(replayed)
}

/// The runs that a block names.
fn runs_of<'a>(
    block: &'a Bytes,
    entries: &'a [block::Entry],
) -> impl Iterator<Item = (&'a block::Entry, Run)> {
    entries.iter().filter(|entry| entry.kind == Kind::Placed).map(|entry| {
        let run = block::placed(&block[entry.at..entry.at + entry.len]);
        (entry, run.expect("a read entry is whole"))
    })
}

/// Whether every run that a block names stands where it says. One whose file is missing, or ends
/// before, does: a file goes only when the journal says so durably, which makes this block durable.
pub(super) fn runs_are_there(
    disk: &Disk,
    block: &Bytes,
    entries: &[block::Entry],
) -> Result<bool, OpenError> {
    for (entry, run) in runs_of(block, entries) {
        if matches!(runs::read(disk, entry.tp, &run)?, runs::Stored::Other(_)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The block at this position if it is the one that is expected. A newer version's is refused.
fn chained(
    file: &JournalFile,
    at: usize,
    which: Journal,
    expected: u64,
    previous: Option<u32>,
) -> Result<Option<(BlockHeader, Vec<block::Entry>)>, OpenError> {
    let refuse = |error: BlockError| match error {
        BlockError::Broken => Ok(None),
        newer @ BlockError::Newer { .. } => {
            Err(OpenError::Refused(format!("{} at byte {at}: {newer}", file.path)))
        }
    };
    let Some(bytes) = file.bytes.get(at..) else { return Ok(None) };
    let header = match BlockHeader::peek(bytes, which) {
        Ok(header) => header,
        Err(error) => return refuse(error),
    };
    let follows = previous.is_none_or(|p| p == header.previous_checksum());
    if header.sequence() != expected || !follows {
        return Ok(None);
    }
    block::read(bytes, which).map(Some).or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::buffer::{AlignedBuf, Budget};
    use crate::storage::device::io::Op;
    use crate::storage::device::sim_disk::SimDisk;
    use crate::storage::format::block::{COPIED, Place, block_len, control_body};
    use crate::storage::format::block_writer::BlockWriter;
    use crate::storage::format::checkpoint::{Head, LogRecord};
    use crate::storage::format::frame::FrameFields;
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
        let bodies = says.len() * (crate::storage::format::frame::HEADER + 100);
        let len = block_len(says.len(), bodies);
        let mut block = BlockWriter::new(says.len(), len, &Budget::new(usize::MAX));
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
                    block.frame(lsn, &frame, &[frame.as_bytes(), b"batches"].concat(), flags);
                }
                Say::Control(kind, offset) => {
                    block.control(lsn, *kind, control_body(TP, *offset).as_bytes());
                }
            }
        }
        let (bytes, checksum) = block.seal(which, place);
        (bytes.to_vec(), checksum)
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

    fn replay(disk: &Disk, which: Journal, from: u64, applied: u64) -> Result<Replayed, OpenError> {
        let head = Head { replay_from: from, applied_lsn: applied, ..Head::default() };
        let log = LogRecord { applied_lsn: applied, ..LogRecord::empty(TP) };
        let checkpoint = Checkpoint { head, logs: vec![log] };
        super::replay(disk, which, &checkpoint)
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
        assert!(log.truncations.is_empty(), "the checkpoint has it: segments are not cut");
        let seen = replay(&disk, LIFE, 1, 10).expect("sound");
        let cuts: Vec<_> = seen.logs[&TP].truncations.iter().map(|t| t.offset).collect();
        assert_eq!(cuts, [100], "the checkpoint is older");
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

    #[test]
    fn what_the_checkpoint_covers_must_be_there() {
        let (one, first) = block(LIFE, place(1, 0, 0), 1, &[Say::Append(0, 9, 1)]);
        let (two, second) = block(LIFE, place(2, 1, first), 2, &[Say::Append(10, 19, 1)]);
        let says = |durable_through, journal_files| {
            let head = Head { replay_from: 1, durable_through, journal_files, ..Head::default() };
            Checkpoint { head, logs: Vec::new() }
        };
        // Block 2 was under the checkpoint, and is gone: no torn tail.
        let disk = disk_with(&[(0, &[&one])]);
        assert_eq!(super::replay(&disk, LIFE, &says(1, 1)).expect("sound").blocks, 1);
        let refused = super::replay(&disk, LIFE, &says(2, 1)).expect_err("block 2 is gone");
        assert!(matches!(&refused, OpenError::Damaged(why) if why.contains("block 2")));
        // A marker says so too: a block without entries.
        let (marker, _) = block(LIFE, place(3, 2, second), 3, &[]);
        let seen = replay(&disk_with(&[(0, &[&one, &two, &marker])]), LIFE, 1, 0).expect("sound");
        assert_eq!((seen.blocks, seen.last_lsn), (3, 2));
        let mut rotten = two.clone();
        rotten[150] ^= 1;
        let refused = replay(&disk_with(&[(0, &[&one, &rotten, &marker])]), LIFE, 1, 0);
        assert!(matches!(refused, Err(OpenError::Damaged(why)) if why.contains("block 2")));
    }

    #[test]
    fn a_missing_file_and_a_newer_version_are_named() {
        let (one, first) = block(LIFE, place(1, 0, 0), 1, &[Say::Append(0, 9, 1)]);
        let refused = replay(&disk_with(&[(0, &[&one]), (2, &[])]), LIFE, 1, 0);
        let name = journal::path_of(LIFE.life, 0, 1);
        assert!(matches!(refused, Err(OpenError::Damaged(why)) if why.contains(&*name)));
        let head = Head { replay_from: 2, journal_files: 2, ..Head::default() };
        let checkpoint = Checkpoint { head, logs: Vec::new() };
        let refused = super::replay(&disk_with(&[(0, &[&one])]), LIFE, &checkpoint);
        assert!(matches!(refused, Err(OpenError::Damaged(why)) if why.contains(&*name)));
        for file in [0, 1] {
            let (mut two, _) = block(LIFE, place(2, 1, first), 2, &[Say::Append(10, 19, 1)]);
            two[4] = 2;
            let (zero, other): (&[&[u8]], &[&[u8]]) =
                if file == 0 { (&[&one, &two], &[]) } else { (&[&one], &[&two]) };
            let refused = replay(&disk_with(&[(0, zero), (1, other)]), LIFE, 1, 0);
            let named = journal::path_of(LIFE.life, 0, file);
            assert!(
                matches!(&refused, Err(OpenError::Refused(why))
                    if why.contains(&*named) && why.contains("block version 2")),
                "{refused:?}"
            );
        }
    }

    #[test]
    fn what_follows_a_drop_is_of_a_new_log() {
        let says = [
            Say::Append(0, 99, 1),
            Say::Control(Kind::LogStart, 50),
            Say::Control(Kind::Drop, 0),
            Say::Append(0, 9, 2),
        ];
        let (one, _) = block(LIFE, place(1, 0, 0), 1, &says);
        let disk = disk_with(&[(0, &[&one])]);
        let seen = replay(&disk, LIFE, 1, 0).expect("sound");
        let log = &seen.logs[&TP];
        assert!(log.replaced && !log.dropped, "what a checkpoint has is of the old one");
        assert_eq!((offsets(&seen), log.start), (vec![0], 0));
        assert_eq!(log.frames[&0].header.last_offset(), 9);
        let seen = replay(&disk, LIFE, 1, 3).expect("sound");
        assert!(!seen.logs[&TP].replaced, "the checkpoint is of the new one");
    }
}
