//! When the disk counts as full.
//!
//! Appends stop while there is still room for what was admitted: every pending byte of the journals
//! must find its place in segments, and checkpoints, metadata and deletions must go through. A file
//! of reserve space stands by for when others fill the disk nevertheless: it is given up so that the
//! space of deleted records and topics can be won back.

use super::buffer::align_up;

/// The file of reserve space in the data directory.
pub const RESERVE: &str = "RESERVE";

/// What is known of the space.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// Bytes free for us.
    pub free: u64,
    /// Bytes of the file system.
    pub total: u64,
    /// Bytes of frames in no segment yet, all shards together.
    pub pending: u64,
    /// Bytes that the journals' files may still grow by.
    pub journal_growth: u64,
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Appends are refused.
    pub full: bool,
    /// Bytes of batches that all shards together may append until the next verdict.
    pub allowance: u64,
    /// Bytes that the reserve file should have: none when it is needed, as many as usual otherwise.
    pub reserve: u64,
}

/// Bytes that the reserve file has on a file system of that size.
pub fn reserve_size(total: u64) -> u64 {
    align_up((total / 64).min(16 << 20) as usize) as u64
}

/// Whether the reserve is given up before a start, which needs some room itself: for the first journal
/// files, checkpoints and metadata. What a start frees, or an operator, brings it back.
pub fn reserve_goes_for_start(free: u64, total: u64) -> bool {
    free < 4 * reserve_size(total)
}

/// Decides; `was_full` gives a margin, so that the answer does not go back and forth.
pub fn judge(space: Space, was_full: bool) -> Verdict {
    let usual = reserve_size(space.total);
    // Padding of chunks and file-system metadata take a part of what is placed.
    let admitted = space.pending + space.pending / 8 + space.journal_growth;
    let margin = usual * if was_full { 3 } else { 2 };
    let full = space.free < admitted + margin;
    let reserve = if space.free < usual / 2 { 0 } else { usual };
    let slack = space.free.saturating_sub(admitted + usual);
    let allowance = if full { 0 } else { slack / 9 * 8 };
    Verdict { full, allowance, reserve }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_while_what_was_admitted_still_fits() {
        let space = Space { free: 10 << 30, total: 100 << 30, pending: 1 << 30, journal_growth: 0 };
        let verdict = judge(space, false);
        assert_eq!((verdict.full, verdict.reserve), (false, 16 << 20));
        let more = Space { pending: space.pending + verdict.allowance, ..space };
        assert!(
            more.pending + more.pending / 8 <= space.free,
            "all that it allows finds its place"
        );
        let tight = Space { free: (1 << 30) + (1 << 27), ..space };
        assert!(judge(tight, false).full, "pending, an eighth, and the margin");
        let at_margin = Space { free: (1 << 30) + (1 << 27) + (40 << 20), ..space };
        assert!(!judge(at_margin, false).full);
        assert!(judge(at_margin, true).full, "it opens again later than it closed");
        assert!(reserve_goes_for_start(1 << 20, 100 << 30));
        assert!(!reserve_goes_for_start(10 << 30, 100 << 30));
        let none = Space { free: 1 << 20, ..space };
        assert_eq!(judge(none, true), Verdict { full: true, allowance: 0, reserve: 0 });
    }
}
