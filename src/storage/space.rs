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

/// Whoever refuses appends for so long lacks space, ms: a look at the disk, which is made once a second, or the removal of
/// what retention has given up may end it before.
const LACKS_MS: i64 = 1_000;
/// What is refused less than this after what was refused before is of the same time of want, ms: what had no space is tried
/// again meanwhile, and nobody knows yet.
const GAP_MS: i64 = 500;
/// Whoever lacked space has some when it has refused nothing for so long, ms. Leaders move by it, so it is not to go back and
/// forth.
const HAS_MS: i64 = 5_000;

/// Whether somebody who refuses appends, or does not, is to be taken for one that lacks space. Pure.
#[derive(Debug, Default)]
pub struct Shortage {
    /// Since when it refuses, but for short times, ms.
    since_ms: Option<i64>,
    /// When it refused last, ms.
    refused_ms: i64,
    lacks: bool,
}

impl Shortage {
    /// It refuses appends now, or it does not: whether it lacks space, where that is new.
    pub fn look(&mut self, now_ms: i64, refuses: bool) -> Option<bool> {
        let quiet_ms = now_ms - self.refused_ms;
        if quiet_ms > GAP_MS {
            self.since_ms = None;
        }
        let lacks = if refuses {
            let since_ms = *self.since_ms.get_or_insert(now_ms);
            self.refused_ms = now_ms;
            self.lacks || now_ms - since_ms >= LACKS_MS
        } else {
            self.lacks && quiet_ms < HAS_MS
        };
        (std::mem::replace(&mut self.lacks, lacks) != lacks).then_some(lacks)
    }

    /// Whether it is taken for one that lacks space.
    pub fn lacks(&self) -> bool {
        self.lacks
    }

    /// Whether it is to be looked at again.
    pub fn goes_on(&self) -> bool {
        self.lacks || self.since_ms.is_some()
    }
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

    #[test]
    fn who_refuses_for_a_while_lacks_space_and_has_some_when_it_has_refused_nothing_for_longer() {
        let mut shortage = Shortage::default();
        let mut told = Vec::new();
        // Now and then it is tried again, and refused again.
        for now_ms in (50_000..58_000).step_by(100) {
            let refuses = now_ms % 300 != 0 && (50_000..52_000).contains(&now_ms);
            told.extend(shortage.look(now_ms, refuses).map(|it| (now_ms, it)));
        }
        assert_eq!(told, [(51_100, true), (56_800, false)]);
        assert!(!shortage.goes_on());
        // For a moment, again and again.
        for now_ms in (60_000..70_000).step_by(100) {
            assert_eq!(shortage.look(now_ms, now_ms % 2_000 < 900), None);
        }
        assert!(!shortage.goes_on());
        // It comes back before anybody was told that it had gone.
        for now_ms in (80_000..90_000).step_by(100) {
            let told = shortage.look(now_ms, now_ms % 4_000 < 1_500);
            assert_eq!(told, (now_ms == 81_000).then_some(true), "{now_ms}");
        }
        assert!(shortage.goes_on());
    }
}
