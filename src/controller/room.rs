//! Space that the metadata log has ahead: zeros behind its end, written while the disk has space.
//!
//! Where a disk is full, it is the metadata that help: they say that other brokers lead. The node itself must learn that,
//! or clients that ask it are sent to it again, and the controller must be able to decide it, which may be the
//! same node. So each log file is longer than what is written in it; what the reader finds behind the last write
//! does not check, as a torn write does not.

use super::log;
use crate::storage::buffer::{AlignedBuf, Budget};
use crate::storage::device::io::Op;
use std::sync::Arc;

/// So many bytes are to be ready: changes of leaders of some 10,000 partitions.
const AHEAD: u64 = 1 << 20;
/// It is made in pieces of so many bytes, since the next write waits for one.
const PIECE: u64 = 256 << 10;

/// See the module.
#[derive(Debug, Default)]
pub struct Room {
    /// The file has space up to here.
    until: u64,
    /// There was none for more.
    lacks: bool,
}

impl Room {
    /// Of a new file that was written up to `end`.
    pub fn new(end: u64) -> Self {
        Self { until: end, lacks: false }
    }

    /// The log was written up to `end`.
    pub fn written(&mut self, end: u64) {
        self.until = self.until.max(end);
    }

    /// What makes more in log file `file`, which ends at `end`, where there is too little. They are for [`made`](Self::made), or
    /// [`refused`](Self::refused) for want of space.
    pub fn wanted(&self, file: u64, end: u64, budget: &Arc<Budget>) -> Option<[Op; 2]> {
        if self.until >= end + AHEAD {
            return None;
        }
        let path = log::log_path(file);
        let data = AlignedBuf::zeroed(PIECE as usize, budget).freeze();
        Some([Op::Write { path: path.clone(), pos: self.until, data }, Op::Sync { path }])
    }

    /// What was wanted is there.
    pub fn made(&mut self) {
        *self = Self::new(self.until + PIECE);
    }

    /// There is no space for it. True where there was some the last time.
    pub fn refused(&mut self) -> bool {
        !std::mem::replace(&mut self.lacks, true)
    }

    /// Whether the disk had no space the last time: then it has none for a new file.
    pub fn lacks(&self) -> bool {
        self.lacks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(room: &Room, end: u64) -> Option<u64> {
        let [write, sync] = room.wanted(3, end, &Budget::new(usize::MAX))?;
        assert!(matches!(&sync, Op::Sync { path } if **path == *"meta/log-3"));
        let Op::Write { path, pos, data } = write else { panic!("{write:?}") };
        assert!(*path == *"meta/log-3" && data.iter().all(|it| *it == 0));
        assert_eq!(data.len() as u64, PIECE);
        Some(pos)
    }

    #[test]
    fn a_log_has_room_ahead_of_its_end() {
        let mut room = Room::new(4096);
        for piece in 0..AHEAD / PIECE {
            assert_eq!(wanted(&room, 4096), Some(4096 + piece * PIECE));
            room.made();
        }
        assert_eq!(wanted(&room, 4096), None);
        room.written(8192);
        assert_eq!(wanted(&room, 8192), Some(4096 + AHEAD), "behind what is there");
        // A write that is longer than all of it.
        let end = 3 * AHEAD;
        room.written(end);
        assert_eq!(wanted(&room, end), Some(end));
    }

    #[test]
    fn while_there_is_no_space_it_is_tried_again() {
        let mut room = Room::new(0);
        room.made();
        assert!(room.refused() && !room.refused() && room.lacks());
        assert_eq!(wanted(&room, 4096), Some(PIECE));
        room.made();
        assert!(!room.lacks() && room.refused());
    }
}
