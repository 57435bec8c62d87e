//! Files of segments that are gone, kept for segments to come.
//!
//! A write into space that was written before changes no extent of the file, so that a durable one
//! costs a flush of the device and nothing else; one into new space, reserved or not, costs a change
//! of the file system's own (`DECISIONS.md`). So a log with large frames gets a file that was written
//! before where there is one, and then writes straight into it.
//!
//! How a file comes and goes:
//! - Instead of being unlinked it is renamed into a directory of its own. It counts as one of these
//!   files when that is durable in both directories: its frames may be overwritten from then on, and
//!   under its old name a start would look for them.
//! - No more bytes are kept than segments took in the last half minute, none in a stop, and fewer when
//!   the disk is short of space. So what logs stop needing is given back within that time.
//! - It is renamed to be a segment, and joins its log when that is durable.
//! - One that is not kept is given back from here a part at a time (`removal.rs`).
//! - No start takes one that the life before has left: all are removed. It may have the name of a
//!   segment as well, which stays.
//!
//! Behind what its new segment holds stand frames as sound as ever, of another log or of earlier
//! offsets. Nobody may look there. Reads and `inspect` end at the segment's length, which counts what
//! is durable. A start reads runs where the journal says, each with its log, its offsets and the
//! checksum of its last frame, which no other frame has.

use crate::storage::device::io::FilePath;
use crate::storage::format::block::Journal;
use std::collections::VecDeque;

/// The directory of these files.
pub const DIR: &str = "recycled";
/// What was written longer ago counts no more, ms.
const WINDOW_MS: i64 = 30_000;
/// How often it is noted what was written, ms.
const NOTED_MS: i64 = 1000;

/// See the module.
#[derive(Debug)]
pub(in crate::storage) struct Recycled {
    journal: Journal,
    /// Smaller ones are not worth it.
    least_bytes: u64,
    files: VecDeque<(FilePath, u64)>,
    /// Bytes of files that are here or on their way.
    bytes: u64,
    /// They may be so many.
    limit: u64,
    /// Times, and bytes that segments had taken by then. The first is the last before the window.
    taken: VecDeque<(i64, u64)>,
    last_number: u64,
}

impl Recycled {
    /// None, for the files of this shard; those with less than `least_bytes` are not worth it.
    pub fn new(journal: Journal, least_bytes: u64) -> Self {
        Self {
            journal,
            least_bytes,
            files: VecDeque::new(),
            bytes: 0,
            limit: 0,
            taken: VecDeque::from([(i64::MIN / 2, 0)]),
            last_number: 0,
        }
    }

    /// Bytes of files that are here or on their way.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes in that all segments of this life together have taken so many bytes by now, and that the
    /// disk has `at_most` for these files.
    pub fn note(&mut self, now_ms: i64, taken: u64, at_most: u64) {
        if self.taken.back().is_none_or(|(at, _)| now_ms - at >= NOTED_MS) {
            self.taken.push_back((now_ms, taken));
        }
        while self.taken.get(1).is_some_and(|(at, _)| now_ms - at >= WINDOW_MS) {
            self.taken.pop_front();
        }
        let before = self.taken.front().map_or(taken, |(_, before)| *before);
        self.limit = (taken - before).min(at_most);
    }

    /// Whether a file with so many bytes is to be kept, and where.
    pub fn want(&mut self, bytes: u64) -> Option<FilePath> {
        let wanted = bytes >= self.least_bytes && self.bytes + bytes <= self.limit;
        wanted.then(|| {
            self.bytes += bytes;
            self.new_name()
        })
    }

    /// A name for a file that is to go, or to wait, here: none had it before.
    pub fn new_name(&mut self) -> FilePath {
        self.last_number += 1;
        let Journal { life, shard, .. } = self.journal;
        format!("{DIR}/{life:08x}-{shard:03}-{:05}.old", self.last_number).into()
    }

    /// A file that was wanted is here.
    pub fn came(&mut self, path: FilePath, bytes: u64) {
        self.files.push_back((path, bytes));
    }

    /// A file that was wanted does not come.
    pub fn lost(&mut self, bytes: u64) {
        self.bytes -= bytes;
    }

    /// Takes a file for a segment of `whole` bytes, and how many it has: the largest that is not
    /// larger, or else any.
    pub fn take(&mut self, whole: u64) -> Option<(FilePath, u64)> {
        let fit = |(_, bytes): &(FilePath, u64)| if *bytes <= whole { *bytes } else { 0 };
        let best = (0..self.files.len()).max_by_key(|&i| fit(&self.files[i]))?;
        let taken = self.files.remove(best)?;
        self.bytes -= taken.1;
        Some(taken)
    }

    /// The files that are too many by now, and their bytes; they are to be unlinked.
    pub fn surplus(&mut self) -> Vec<(FilePath, u64)> {
        let mut gone = Vec::new();
        while self.bytes > self.limit
            && let Some((path, bytes)) = self.files.pop_front()
        {
            self.bytes -= bytes;
            gone.push((path, bytes));
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recycled() -> Recycled {
        Recycled::new(Journal { directory_id: [1; 16], life: 3, shard: 2 }, 100)
    }

    #[test]
    fn keeps_no_more_than_segments_took_lately() {
        let mut files = recycled();
        assert_eq!(files.want(1000), None, "no segment took any");
        files.note(1000, 1000, u64::MAX);
        files.note(10_000, 2500, u64::MAX);
        assert_eq!(files.want(99), None, "too small");
        let first = files.want(1000).expect("wanted");
        assert_eq!(&*first, "recycled/00000003-002-00001.old");
        let second = files.want(1500).expect("wanted");
        assert_eq!(files.want(100), None, "those on their way count");
        files.came(first.clone(), 1000);
        files.came(second.clone(), 1500);
        files.note(30_999, 2500, u64::MAX);
        assert!(files.surplus().is_empty());
        files.note(31_000, 2500, u64::MAX);
        assert_eq!(files.surplus(), [(first, 1000)], "the oldest goes first");
        files.note(40_000, 2500, u64::MAX);
        assert_eq!((files.bytes(), files.surplus()), (1500, vec![(second, 1500)]));
        assert_eq!(files.bytes(), 0);
    }

    #[test]
    fn gives_the_largest_that_fits_and_all_when_the_disk_is_short() {
        let mut files = recycled();
        files.note(0, 10_000, u64::MAX);
        for bytes in [500, 2000, 900, 4000] {
            let path = files.want(bytes).expect("wanted");
            files.came(path, bytes);
        }
        assert_eq!(files.take(1000).map(|f| f.1), Some(900));
        assert_eq!(files.take(3000).map(|f| f.1), Some(2000));
        files.note(1, 10_000, 0);
        assert_eq!(files.want(500), None);
        assert_eq!((files.surplus().len(), files.bytes()), (2, 0));
        assert_eq!(files.take(1000), None);
    }
}
