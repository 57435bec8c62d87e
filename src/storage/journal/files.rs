//! The files of one shard's journal, used again in turn, and the blocks in flight.
//!
//! Pure: says where a block goes and what is durable; the engine submits the operations.
//!
//! - Files are written with zeros and synced, with their directory, before they join the others: a
//!   write to them changes no metadata, so its sync is a flush of the device and nothing else.
//! - A block lies in one file. Where it does not fit behind the last one, the next free file is
//!   taken; a larger block than any file makes a larger file.
//! - Blocks are acknowledged in order: block k only when every block up to k is synced. A later one
//!   may be on disk before; replay cuts it off, since it does not chain.
//! - A file becomes free when a durable checkpoint covers all its blocks, and is used again.
//! - Its limit begins low, since what the journal holds stands in memory, and both are slow when they are used for the
//!   first time. It grows at once for logs that share it: the more there are, the less of each is placed at a time. And it
//!   grows bit by bit while it is pressed for room: the longer it is, the longer a burst that goes at the speed of the journal.
//! - Files belong to one life (from a start of the broker to its end) and carry it in their names, so nothing of an
//!   earlier life can be taken for a block of this one. Rejected: reusing the files of the life
//!   before, which a crash during recovery still needs.

use crate::storage::buffer::ALIGN;
use crate::storage::device::io::FilePath;
use std::collections::VecDeque;

/// Directory of all journals.
pub const DIR: &str = "journal";
/// The first file of a journal, small so that a start is quick.
pub const FIRST_FILE: u64 = 4 << 20;
/// Later files are not larger than this unless a block needs it.
pub const MAX_FILE: u64 = 64 << 20;
/// A log whose frames it holds lets the limit grow to so many of these: the start is enough for 64 of them.
const LOGS_A_START: u64 = 64;
/// While it is pressed for room, its limit grows by this part of the start each second.
const GROWTH_SHARE: u64 = 16;

/// Name of a journal file.
pub fn path_of(life: u64, shard: u16, number: u32) -> FilePath {
    format!("{DIR}/{life:08x}-{shard:03}-{number:05}.jnl").into()
}

/// Reads [`path_of`]'s file name back: life, shard, number.
pub fn parse_name(name: &str) -> Option<(u64, u16, u32)> {
    let mut parts = name.strip_suffix(".jnl")?.split('-');
    let life = u64::from_str_radix(parts.next()?, 16).ok()?;
    let shard = parts.next()?.parse().ok()?;
    let number = parts.next()?.parse().ok()?;
    parts.next().is_none().then_some((life, shard, number))
}

#[derive(Debug)]
struct JournalFile {
    path: FilePath,
    size: u64,
    /// First and last block in it; `None` while it is free.
    blocks: Option<(u64, u64)>,
}

/// A block on its way to the disk.
#[derive(Debug)]
pub struct InFlight<T> {
    /// Its sequence.
    pub sequence: u64,
    /// Its write completed.
    pub written: bool,
    /// Its sync completed.
    pub synced: bool,
    /// Runs past the journal that it names and that are not durable yet.
    pub runs: usize,
    /// What is acknowledged with it.
    pub acks: T,
}

/// Where the next block goes.
#[derive(Debug)]
pub struct BlockSpace {
    /// The file.
    pub path: FilePath,
    /// Position in it.
    pub position: u64,
}

/// The files and their order. `T` is what a block acknowledges.
#[derive(Debug)]
pub struct JournalFiles<T> {
    files: Vec<JournalFile>,
    active: Option<usize>,
    position: u64,
    next_number: u32,
    /// Sequence of the next block.
    next_sequence: u64,
    /// Every block up to here is synced.
    durable_through: u64,
    in_flight: VecDeque<InFlight<T>>,
    /// Bytes that the files may take now, at first, and at most.
    limit: u64,
    start: u64,
    most: u64,
    /// Size of a file that is being written with zeros.
    preparing: Option<u64>,
    used: u64,
}

impl<T> JournalFiles<T> {
    /// No files yet. They may take `start` bytes of the disk, and up to `most` later, which is not less.
    pub fn new(start: u64, most: u64) -> Self {
        debug_assert!(start <= most, "{start} of {most}");
        Self {
            files: Vec::new(),
            active: None,
            position: 0,
            next_number: 0,
            next_sequence: 1,
            durable_through: 0,
            in_flight: VecDeque::new(),
            limit: start,
            start,
            most,
            preparing: None,
            used: 0,
        }
    }

    /// Takes a file that recovery wrote: `blocks` with the sequences from `first` to `last` end at
    /// `position`, all durable.
    pub fn adopt(&mut self, path: FilePath, size: u64, blocks: Option<(u64, u64)>, position: u64) {
        self.files.push(JournalFile { path, size, blocks });
        self.next_number += 1;
        self.active = Some(self.files.len() - 1);
        self.position = position;
        self.used += position;
        self.grow_to(2 * self.used);
        if let Some((_, last)) = blocks {
            self.next_sequence = last + 1;
            self.durable_through = last;
        }
    }

    /// A place for a block of `len` bytes, if a prepared file has one.
    pub fn room(&mut self, len: u64) -> Option<BlockSpace> {
        let fits = self.active.is_some_and(|a| self.files[a].size - self.position >= len);
        if !fits {
            let free = |f: &JournalFile| f.blocks.is_none() && f.size >= len;
            let next = (0..self.files.len())
                .find(|i| Some(*i) != self.active && free(&self.files[*i]))
                .or_else(|| self.active.filter(|a| free(&self.files[*a])))?;
            self.active = Some(next);
            self.position = 0;
        }
        let file = &self.files[self.active?];
        Some(BlockSpace { path: file.path.clone(), position: self.position })
    }

    /// The sequence of the block that was just given its room, of `len` bytes.
    pub fn push(&mut self, len: u64, runs: usize, acks: T) -> u64 {
        let file = &mut self.files[self.active.expect("a block has its room first")];
        let sequence = self.next_sequence;
        file.blocks = Some((file.blocks.map_or(sequence, |b| b.0), sequence));
        self.position += len;
        self.used += len;
        debug_assert!(self.position <= file.size);
        self.next_sequence += 1;
        self.in_flight.push_back(InFlight { sequence, written: false, synced: false, runs, acks });
        sequence
    }

    /// Marks a block as written.
    pub fn written(&mut self, sequence: u64) -> Option<&mut T> {
        let block = self.in_flight.iter_mut().find(|b| b.sequence == sequence)?;
        block.written = true;
        Some(&mut block.acks)
    }

    /// Marks a block as synced, and returns every block that is durable now, in order.
    pub fn synced(&mut self, sequence: u64) -> Vec<InFlight<T>> {
        for block in self.in_flight.iter_mut().filter(|b| b.sequence == sequence) {
            block.synced = true;
        }
        self.take_durable()
    }

    /// Takes in that a run that a block names is durable; returns as [`JournalFiles::synced`] does.
    pub fn run_synced(&mut self, sequence: u64) -> Vec<InFlight<T>> {
        for block in self.in_flight.iter_mut().filter(|b| b.sequence == sequence) {
            block.runs -= 1;
        }
        self.take_durable()
    }

    fn take_durable(&mut self) -> Vec<InFlight<T>> {
        let mut durable = Vec::new();
        while self.in_flight.front().is_some_and(|b| b.synced && b.runs == 0) {
            let block = self.in_flight.pop_front().expect("there is a front");
            debug_assert_eq!(block.sequence, self.durable_through + 1);
            self.durable_through = block.sequence;
            durable.push(block);
        }
        durable
    }

    /// Blocks that are written, and all before them too, in order.
    pub fn written_prefix(&mut self) -> impl Iterator<Item = &mut InFlight<T>> {
        self.in_flight.iter_mut().take_while(|b| b.written && b.runs == 0)
    }

    /// Blocks in flight.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Sequence that the next block gets.
    pub fn next_sequence(&self) -> u64 {
        self.next_sequence
    }

    /// Every block up to this sequence is synced.
    pub fn durable_through(&self) -> u64 {
        self.durable_through
    }

    /// Bytes of blocks that no checkpoint covers yet, with the rests of files behind the last block.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// The file that holds this block.
    pub fn file_of(&self, sequence: u64) -> Option<FilePath> {
        let holds = |f: &&JournalFile| f.blocks.is_some_and(|b| b.0 <= sequence && sequence <= b.1);
        self.files.iter().find(holds).map(|f| f.path.clone())
    }

    /// Files made so far; their numbers begin at 0.
    pub fn files(&self) -> u32 {
        self.next_number
    }

    /// Bytes that the files may take now.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    fn grow_to(&mut self, bytes: u64) {
        self.limit = self.limit.max(bytes.min(self.most));
    }

    /// Grows where so many logs share the journal.
    pub fn grow_for(&mut self, logs: usize) {
        self.grow_to(self.start.div_ceil(LOGS_A_START).saturating_mul(logs as u64));
    }

    /// A second has passed: grows where more than half of the limit is in use.
    pub fn tick(&mut self) {
        if self.used > self.limit / 2 {
            self.grow_to(self.limit + self.start.div_ceil(GROWTH_SHARE));
        }
    }

    /// Bytes of all its files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|f| f.size).sum::<u64>() + self.preparing.unwrap_or(0)
    }

    /// Whether a file should be prepared now, and how large; `needed` is a block that found no room.
    pub fn prepare(&mut self, needed: Option<u64>) -> Option<(FilePath, u64, u32)> {
        if self.preparing.is_some() {
            return None;
        }
        let usual = (self.limit / 16).clamp(FIRST_FILE.min(self.limit), MAX_FILE).max(ALIGN as u64);
        let usual = usual / ALIGN as u64 * ALIGN as u64;
        let size = if let Some(needed) = needed {
            // Whatever the limit says: a block that fits nowhere else must get its file.
            if self.files.iter().any(|f| f.blocks.is_none() && f.size >= needed) {
                return None;
            }
            usual.max(needed)
        } else {
            let active = self.active.map(|a| self.files[a].size);
            let half_full = active.is_none_or(|size| self.position * 2 >= size);
            let free = self.files.iter().filter(|f| f.blocks.is_none()).count();
            if !half_full || free > 0 || self.size() + usual > self.limit {
                return None;
            }
            usual
        };
        self.preparing = Some(size);
        Some((self.path_for_next(), size, self.next_number))
    }

    fn path_for_next(&self) -> FilePath {
        // The life and shard are in the first file's name.
        let first = self.files.first().map_or("", |f| &f.path);
        let stem = first.rsplit_once('-').map_or(first, |(stem, _)| stem);
        format!("{stem}-{:05}.jnl", self.next_number).into()
    }

    /// A prepared file joins the others.
    pub fn prepared(&mut self, path: FilePath) {
        let size = self.preparing.take().expect("one file was being prepared");
        self.files.push(JournalFile { path, size, blocks: None });
        self.next_number += 1;
    }

    /// The oldest files, so many that they have `bytes` together, but not the active one: the last block
    /// in them, and their bytes. `None` where only the active file holds blocks.
    pub fn reclaimable(&self, bytes: u64) -> Option<(u64, u64)> {
        let full = (0..self.files.len()).filter(|i| Some(*i) != self.active);
        let mut full: Vec<_> =
            full.filter_map(|i| Some((self.files[i].blocks?.1, self.files[i].size))).collect();
        full.sort_unstable();
        let add = |sum: &mut u64, (last, size)| {
            let wanted = *sum < bytes;
            *sum += size;
            wanted.then_some((last, *sum))
        };
        full.into_iter().scan(0, add).last()
    }

    /// Frees the files whose blocks are all at or below `sequence`. Called when a checkpoint that
    /// covers them is durable, never before.
    pub fn reclaim(&mut self, sequence: u64) {
        debug_assert!(sequence <= self.durable_through);
        let in_use = |b: (u64, u64)| b.1 > sequence;
        for (i, file) in self.files.iter_mut().enumerate() {
            if file.blocks.is_some_and(|b| !in_use(b)) {
                file.blocks = None;
                // The active file goes on where it is: its earlier blocks must not be overwritten
                // before newer ones, or replay would find a gap at the start of the file.
                if Some(i) == self.active {
                    self.active = None;
                    self.position = 0;
                }
            }
        }
        let active = self.active;
        let used = self.files.iter().enumerate().filter(|(_, f)| f.blocks.is_some());
        self.used = used.map(|(i, f)| if Some(i) == active { self.position } else { f.size }).sum();
    }

    /// The first block that replay needs when everything up to `sequence` is reclaimed: the oldest that
    /// no checkpoint covers.
    pub fn replay_from_after(&self, sequence: u64) -> u64 {
        let kept = self.files.iter().filter_map(|f| f.blocks).filter(|b| b.1 > sequence);
        kept.map(|b| b.0).min().unwrap_or(self.next_sequence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_file() -> JournalFiles<()> {
        let mut files = JournalFiles::new(4 << 20, 4 << 20);
        files.adopt(path_of(1, 0, 0), 16 << 10, None, 0);
        files
    }

    #[test]
    fn names_come_back() {
        let name = path_of(0x1f, 12, 345);
        assert_eq!(parse_name(name.strip_prefix("journal/").unwrap()), Some((0x1f, 12, 345)));
        assert_eq!(parse_name("x.jnl"), None);
    }

    #[test]
    fn grows_at_once_for_logs_that_share_it_and_by_and_by_where_it_is_pressed() {
        const MIB: u64 = 1 << 20;
        let mut files = JournalFiles::<()>::new(64 * MIB, 256 * MIB);
        files.adopt(path_of(1, 0, 0), 64 * MIB, None, 0);
        files.grow_for(64);
        files.tick();
        assert_eq!(files.limit(), 64 * MIB, "nothing asks for more");
        files.grow_for(100);
        assert_eq!(files.limit(), 100 * MIB);
        files.grow_for(3);
        assert_eq!(files.limit(), 100 * MIB, "it does not shrink");
        files.room(51 * MIB).unwrap();
        files.push(51 * MIB, 0, ());
        files.tick();
        assert_eq!(files.limit(), 104 * MIB, "more than half is in use");
        files.tick();
        assert_eq!(files.limit(), 104 * MIB, "and now less");
        files.grow_for(usize::MAX);
        assert_eq!((files.limit(), files.most), (256 * MIB, 256 * MIB));
    }

    #[test]
    fn a_start_that_found_much_is_not_pressed_for_room() {
        for (found, limit) in [(1 << 20, 8 << 20), (6 << 20, 12 << 20), (40 << 20, 64 << 20)] {
            let mut files = JournalFiles::<()>::new(8 << 20, 64 << 20);
            files.adopt(path_of(1, 0, 0), found, Some((1, 1)), found);
            assert_eq!(files.limit(), limit);
        }
    }

    #[test]
    fn acknowledges_in_order_whatever_the_disk_does() {
        let mut files = one_file();
        for _ in 0..2 {
            files.room(4096).unwrap();
            files.push(4096, 0, ());
        }
        assert!(files.synced(2).is_empty());
        let durable: Vec<_> = files.synced(1).iter().map(|b| b.sequence).collect();
        assert_eq!((durable, files.durable_through()), (vec![1, 2], 2));
    }

    #[test]
    fn a_file_is_used_again_only_after_its_blocks_are_covered() {
        let mut files = one_file();
        for sequence in 1..=4 {
            files.room(4096).unwrap();
            assert_eq!(files.push(4096, 0, ()), sequence);
            files.synced(sequence);
        }
        assert!(files.room(4096).is_none());
        let (path, size, _) = files.prepare(Some(4096)).unwrap();
        assert_eq!((&*path, size), ("journal/00000001-000-00001.jnl", 4 << 20));
        assert!(files.prepare(Some(4096)).is_none(), "one at a time");
        files.prepared(path.clone());
        assert_eq!(files.room(4096).unwrap().path, path);
        files.push(4096, 0, ());
        files.synced(5);
        assert_eq!(files.reclaimable(u64::MAX), Some((4, 16 << 10)));
        assert_eq!(files.replay_from_after(0), 1);
        files.reclaim(3);
        assert_eq!(files.replay_from_after(0), 1, "block 4 is still needed");
        assert_eq!(files.replay_from_after(4), 5);
        files.reclaim(4);
        assert_eq!((files.replay_from_after(0), files.used()), (5, 4096));
    }
}
