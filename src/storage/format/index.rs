//! The sparse index of one segment: where chunks start, by offset and by time.
//!
//! In memory entries are pushed as chunks are written. Whole blocks of entries go to the `.idx`
//! file beside the segment; the rest stands in the checkpoint. The file is advisory: each block has
//! its checksum, a bad or missing one ends what is usable, and readers then read on from the last
//! entry that they have.

use crate::storage::buffer::ALIGN;

const MAGIC: u32 = u32::from_le_bytes(*b"KLIX");
const HEAD: usize = 16;
const ENTRY: usize = 24;
/// Entries of one block of the index file.
pub const ENTRIES_PER_BLOCK: usize = (ALIGN - HEAD) / ENTRY;

/// A frame boundary that a reader can start at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Offset of the first record there.
    pub base_offset: i64,
    /// Largest timestamp (ms) from the segment's start up to the end of the chunk that starts here.
    pub max_timestamp: i64,
    /// Byte in the segment.
    pub position: u64,
}

/// Entries in order; offsets and positions grow, timestamps do not fall.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    entries: Vec<Entry>,
    interval: u32,
    /// Blocks of the file that its entries came from, or went to.
    blocks: u32,
}

impl Index {
    /// An empty index whose entries are at least `interval` bytes apart (`index.interval.bytes`).
    pub fn new(interval: u32) -> Self {
        Self { entries: Vec::new(), interval, blocks: 0 }
    }

    /// The entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds a chunk that starts at `position`. One too near to the last entry is left out; its
    /// timestamp counts for that entry.
    pub fn push(&mut self, base_offset: i64, max_timestamp: i64, position: u64) {
        if let Some(last) = self.entries.last_mut() {
            debug_assert!(base_offset > last.base_offset && position > last.position);
            if position - last.position < u64::from(self.interval) {
                last.max_timestamp = last.max_timestamp.max(max_timestamp);
                return;
            }
        }
        let before = self.entries.last().map_or(i64::MIN, |e| e.max_timestamp);
        let max_timestamp = max_timestamp.max(before);
        self.entries.push(Entry { base_offset, max_timestamp, position });
    }

    /// Offset of the first entry.
    pub fn first_base(&self) -> Option<i64> {
        self.entries.first().map(|e| e.base_offset)
    }

    /// The last of the first entries that are all `within`.
    pub fn before(&self, within: impl Fn(&Entry) -> bool) -> Option<Entry> {
        let after = self.entries.partition_point(within);
        self.entries.get(after.checked_sub(1)?).copied()
    }

    /// The first entry that is not `within`, where all those before it are.
    pub fn after(&self, within: impl Fn(&Entry) -> bool) -> Option<Entry> {
        self.entries.get(self.entries.partition_point(within)).copied()
    }

    /// Offset of the first entry whose chunk, or one before it, reaches this timestamp (ms).
    pub fn find_time(&self, timestamp: i64) -> Option<i64> {
        let at = self.entries.partition_point(|e| e.max_timestamp < timestamp);
        Some(self.entries.get(at)?.base_offset)
    }

    /// Blocks of the file whose entries are among these.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Drops the entries at or beyond `end`. Below it no timestamp is larger than `max_timestamp`,
    /// so larger ones are of what is gone.
    pub fn cut(&mut self, end: i64, max_timestamp: i64) {
        self.entries.retain(|e| e.base_offset < end);
        for entry in self.entries.iter_mut().rev() {
            if entry.max_timestamp <= max_timestamp {
                break;
            }
            entry.max_timestamp = max_timestamp;
        }
    }

    /// Whether [`Index::take_block`] has one.
    pub fn has_block(&self, all: bool) -> bool {
        // The last entry still gathers timestamps of chunks that are too near to it.
        self.entries.len() > ENTRIES_PER_BLOCK || (all && !self.entries.is_empty())
    }

    /// Takes a whole block's worth of entries from the front, encoded for the file. `None` while
    /// there are not enough; `all` takes what there is.
    pub fn take_block(&mut self, all: bool) -> Option<(Vec<Entry>, Vec<u8>)> {
        if !self.has_block(all) {
            return None;
        }
        let n = self.entries.len().min(ENTRIES_PER_BLOCK);
        let taken: Vec<_> = self.entries.drain(..n).collect();
        let mut block = vec![0; ALIGN];
        for (entry, to) in taken.iter().zip(block[HEAD..].chunks_exact_mut(ENTRY)) {
            to[..8].copy_from_slice(&entry.base_offset.to_le_bytes());
            to[8..16].copy_from_slice(&entry.max_timestamp.to_le_bytes());
            to[16..].copy_from_slice(&entry.position.to_le_bytes());
        }
        block[..4].copy_from_slice(&MAGIC.to_le_bytes());
        block[4..8].copy_from_slice(&(n as u32).to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&block[..8]), &block[HEAD..]);
        block[8..12].copy_from_slice(&crc.to_le_bytes());
        Some((taken, block))
    }

    /// Takes the entries of the block that follows, in order.
    pub fn extend(&mut self, entries: Vec<Entry>) {
        self.entries.extend(entries);
        self.blocks += 1;
    }

    /// Reads an index file, up to the first block that is not sound.
    pub fn decode(file: &[u8], interval: u32) -> Self {
        let mut index = Self::new(interval);
        for block in file.chunks_exact(ALIGN) {
            let word = |at: usize| {
                u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
            };
            let n = word(4) as usize;
            let crc = crc32c::crc32c_append(crc32c::crc32c(&block[..8]), &block[HEAD..]);
            if word(0) != MAGIC || word(8) != crc || n > ENTRIES_PER_BLOCK {
                break;
            }
            index.blocks += 1;
            for entry in block[HEAD..].chunks_exact(ENTRY).take(n) {
                let long = |at: usize| {
                    let mut bytes = [0; 8];
                    bytes.copy_from_slice(&entry[at..at + 8]);
                    i64::from_le_bytes(bytes)
                };
                let (base_offset, max_timestamp) = (long(0), long(8));
                let position = long(16) as u64;
                index.entries.push(Entry { base_offset, max_timestamp, position });
            }
        }
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_by_offset_and_time() {
        let mut index = Index::new(4096);
        index.push(0, 10, 0);
        index.push(5, 50, 1000);
        index.push(10, 30, 8192);
        index.push(20, 90, 16384);
        assert_eq!(index.entries().len(), 3, "one was too near");
        let position = |offset| Some(index.before(|e| e.base_offset <= offset)?.position);
        assert_eq!(position(9), Some(0));
        assert_eq!(position(10), Some(8192));
        assert_eq!(position(-1), None);
        let after = |position| Some(index.after(|e| e.position <= position)?.base_offset);
        assert_eq!((after(0), after(8191), after(16384)), (Some(10), Some(10), None));
        assert_eq!(index.find_time(50), Some(0));
        assert_eq!(index.find_time(51), Some(20));
        assert_eq!(index.find_time(91), None);
    }

    #[test]
    fn a_cut_leaves_nothing_of_what_is_gone() {
        let mut index = Index::new(0);
        for (base, time) in [(0, 10), (5, 50), (10, 90), (15, 95)] {
            index.push(base, time, base as u64 * 4096);
        }
        // What went from 12 on held the 90: the largest left is 60, of the frame at 11.
        index.cut(12, 60);
        let left: Vec<_> =
            index.entries().iter().map(|e| (e.base_offset, e.max_timestamp)).collect();
        assert_eq!(left, [(0, 10), (5, 50), (10, 60)]);
        assert_eq!(index.find_time(61), None);
    }

    #[test]
    fn blocks_come_back_and_a_bad_one_ends_the_index() {
        let mut index = Index::new(0);
        for i in 0..400_u64 {
            index.push(i as i64 * 10, i as i64, i * 4096);
        }
        let whole = index.clone();
        let mut file = Vec::new();
        while let Some((_, block)) = index.take_block(true) {
            file.extend(block);
        }
        assert_eq!(Index::decode(&file, 0).entries(), whole.entries());
        file[ALIGN + 100] ^= 1;
        assert_eq!(Index::decode(&file, 0).entries().len(), ENTRIES_PER_BLOCK);
    }
}
