//! How fast write-back goes: by how much of the journal is in use, and by how much is appended.
//!
//! What is acknowledged waits for the journal's blocks, and a block for what the disk does before it.
//! So while the journal has room enough, a piece of a chunk is written when no block is under way, and
//! beside blocks only one at a time, where less was written back than twice what was appended meanwhile:
//! a block meets one piece at most, and a pass comes to its end. With less and less room, more
//! and more of them go at once. Appends wait where that is not enough
//! ([`JournalWriter::admits`]): for as many bytes as are written back, and not for the end of a pass.
//!
//! [`JournalWriter::admits`]: crate::storage::journal::writer::JournalWriter::admits

use crate::storage::journal::writer::JournalWriter;

/// Pieces in flight where there is no time to lose: enough to keep a disk busy.
const MOST: usize = 16;
/// Writes that they are.
const AT_ONCE: usize = 4;
/// Bytes that are written back for each byte that goes to the journal meanwhile, at least.
const FOR_EACH: u64 = 2;

/// What the pace of a pass is measured by.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// Somebody waits for its end, and not for blocks.
    pub pressed: bool,
    /// Bytes that the journal had got when it began, and segments.
    journal_bytes: u64,
    segment_bytes: u64,
}

impl Pace {
    /// A pass begins.
    pub fn begin(&mut self, journal: &JournalWriter, segment_bytes: u64) {
        self.journal_bytes = journal.counters().journal_bytes;
        self.segment_bytes = segment_bytes;
    }

    /// Pieces that may be in flight now; segments have got so many bytes in all.
    pub fn in_flight(&self, journal: &JournalWriter, segment_bytes: u64) -> usize {
        let (used, limit) = journal.usage();
        let journaled = journal.counters().journal_bytes - self.journal_bytes;
        let behind = segment_bytes - self.segment_bytes < FOR_EACH * journaled;
        let due = behind || journal.blocks_in_flight() == 0;
        if self.pressed { MOST } else { in_flight(used, limit, due) }
    }
}

/// The same of figures; `due`: one may go. From nine sixteenths of the limit on one goes in any
/// case, at eleven as many as keep the disk busy.
fn in_flight(used: u64, limit: u64, due: bool) -> usize {
    let over = used.saturating_sub(limit / 16 * 9);
    let pressure = (over * MOST as u64).div_ceil((limit / 8).max(1)).min(MOST as u64);
    usize::from(due).max(pressure as usize)
}

/// Pieces that go as one write, where so many may be in flight: a few large writes rather than many
/// small ones.
pub(super) fn together(in_flight: usize) -> usize {
    (in_flight / AT_ONCE).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_meets_one_piece_at_most_while_there_is_room() {
        assert_eq!((in_flight(0, 800, true), in_flight(450, 800, true)), (1, 1));
        assert_eq!((in_flight(0, 800, false), in_flight(450, 800, false)), (0, 0));
        assert_eq!(together(1), 1);
    }

    #[test]
    fn the_less_room_the_more_goes_at_once() {
        let by_use: Vec<_> =
            [451, 456, 500, 550, 800, 1000].map(|used| in_flight(used, 800, false)).into();
        assert_eq!(by_use, [1, 1, 8, 16, 16, 16]);
        assert_eq!((together(8), together(MOST)), (2, 4));
    }

    #[test]
    fn a_journal_without_room_is_no_reason_to_stop() {
        assert_eq!((in_flight(0, 0, true), in_flight(4096, 0, false)), (1, MOST));
    }
}
