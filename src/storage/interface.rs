//! What goes into an engine, and what comes out of it.

use super::buffer::Budget;
use super::format::block::Journal;
use crate::types::TopicPartition;
use bytes::Bytes;
use std::sync::Arc;

/// An open log in its shard's engine. Void after `Done` of its `drop_log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(u32);

impl Slot {
    /// The slot of that index.
    pub const fn from_index(index: u32) -> Self {
        Self(index)
    }
    /// Its index: small, dense, used again after a drop.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A read of the disk that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

impl Ticket {
    /// The ticket of that number: each is given once.
    pub(in crate::storage) const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// Why nothing can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Below the log start or beyond the log end.
    #[error("the offset is out of range")]
    OutOfRange,
    /// The disk failed, or what it gave does not match its checksums. Others are not affected.
    #[error("{0}")]
    Storage(String),
}

/// How a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Offset after the last record that was handed in.
    pub end: i64,
    /// Epoch of that record; -1 where that is not known, as after a start.
    pub epoch: i32,
    /// Header checksum of the last frame; 0 where nothing is chained to it. `None` while what was appended
    /// last is in no frame yet.
    pub checksum: Option<u32>,
}

/// Why a leader's frame was not taken over. Nothing has changed then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameRefused {
    /// It is of another partition.
    #[error("a frame of {0:?}")]
    OtherLog(TopicPartition),
    /// It does not begin where the log ends.
    #[error("the frame begins at offset {base}, the log ends at {end}")]
    NotNext {
        /// Offset of its first record.
        base: i64,
        /// The log's end.
        end: i64,
    },
    /// It does not follow the frame that the log ends with.
    #[error(
        "the frame follows one with checksum {previous:#010x}, the log's last has {tail:#010x}"
    )]
    Chain {
        /// The checksum that it names.
        previous: u32,
        /// That of the log's last frame.
        tail: u32,
    },
    /// It is older than what the log ends with.
    #[error("the frame is of epoch {epoch}, the log ends in epoch {last}")]
    OlderEpoch {
        /// Its epoch.
        epoch: i32,
        /// That of the log's last record.
        last: i32,
    },
    /// What the log has appended itself is in no frame yet: after the next turn it is.
    #[error("the end of the log is in no frame yet")]
    Unsettled,
}

/// Whoever knows the states of logs: their partitions' cores. A checkpoint holds each log's state of
/// one moment, which may be written over many.
///
/// A function from a slot to bytes is one that has every state in one piece, no producers, and calls
/// everything stable.
pub trait States {
    /// Begins the state of that log as it is now, up to its end, and appends the first of its bytes to
    /// `out`. Whether these are all; if not, the rest is asked for before the next log's.
    fn begin(&mut self, slot: Slot, out: &mut Vec<u8>) -> bool;

    /// Appends the next bytes to `out` of the state that was begun last, as it was then; whether they
    /// are the last. Not asked for when the log was dropped meanwhile.
    fn go_on(&mut self, slot: Slot, out: &mut Vec<u8>) -> bool;

    /// The last stable offset of that log: what is at or above it is not compacted.
    fn stable(&mut self, slot: Slot) -> i64;

    /// Whether a producer is known in that log, and its last batch ends at this offset.
    fn is_last_of_producer(&mut self, slot: Slot, producer_id: i64, last_offset: i64) -> bool;

    /// Whether a producer is known in that log by nothing but a marker of this epoch.
    fn is_known_by_marker(&mut self, slot: Slot, producer_id: i64, epoch: i16) -> bool {
        let _ = (slot, producer_id, epoch);
        false
    }

    /// The transactions that were aborted in that log.
    fn aborted(&mut self, slot: Slot) -> Vec<AbortedSpan> {
        let _ = slot;
        Vec::new()
    }

    /// Of these aborted transactions, by producer and marker, nothing is left in that log.
    fn forget_aborted(&mut self, slot: Slot, gone: &[(i64, i64)]) {
        let _ = (slot, gone);
    }
}

/// A transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedSpan {
    /// Whose.
    pub producer_id: i64,
    /// Offset of its first record.
    pub first: i64,
    /// Offset of its marker.
    pub last: i64,
}

impl<F: FnMut(Slot) -> Vec<u8>> States for F {
    fn begin(&mut self, slot: Slot, out: &mut Vec<u8>) -> bool {
        out.extend(self(slot));
        true
    }

    fn go_on(&mut self, _: Slot, _: &mut Vec<u8>) -> bool {
        unreachable!("it came in one piece")
    }

    fn stable(&mut self, _: Slot) -> i64 {
        i64::MAX
    }

    fn is_last_of_producer(&mut self, _: Slot, _: i64, _: i64) -> bool {
        false
    }
}

/// One record batch to append.
#[derive(Clone, Debug)]
pub struct Append {
    /// Offset of its first record: the log's end.
    pub base_offset: i64,
    /// Offset of its last record.
    pub last_offset: i64,
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// Largest timestamp, ms.
    pub max_timestamp: i64,
    /// Set where the broker's clock (ms) replaces the records' timestamps.
    pub log_append_time: Option<i64>,
    /// The batch as it came; base offset and epoch are set in the copy.
    pub batch: Bytes,
    /// Comes back in [`Event::Done`].
    pub token: u64,
}

/// What the engine tells its shard.
#[derive(Debug)]
pub enum Event {
    /// The acknowledged end of a log moved here.
    Durable {
        /// The log.
        slot: Slot,
        /// Offset after the last acknowledged record.
        end: i64,
    },
    /// What was asked for under this token is durable. Follows the `Durable` of its log.
    Done {
        /// The asker's.
        token: u64,
        /// When its block was made, written and synced.
        moments: Moments,
    },
    /// Retention moved the start of a log, durably.
    LogStart {
        /// The log.
        slot: Slot,
        /// The first offset that can be read.
        offset: i64,
    },
    /// A log that somebody waits for may be truncated now: see
    /// [`Engine::await_truncation`](super::engine::Engine::await_truncation).
    Truncatable {
        /// The log.
        slot: Slot,
    },
    /// A log cannot be compacted until the next start.
    Uncleanable {
        /// Whose.
        tp: TopicPartition,
        /// Why.
        message: Box<str>,
    },
    /// The bytes of a log on the disk are not what was written. Told once, until it has begun anew.
    Damaged {
        /// The log.
        slot: Slot,
        /// Where, and what is wrong there.
        message: Box<str>,
    },
    /// The mending of a damaged log has come a step further: see
    /// [`Engine::damage`](super::engine::Engine::damage).
    Mended {
        /// The log.
        slot: Slot,
    },
    /// A dropped log's files are gone.
    Dropped {
        /// Whose files.
        tp: TopicPartition,
    },
    /// A read that was asked for has ended: ask again, or give up with this error.
    Filled {
        /// Of [`Read::Wait`](super::read::Read::Wait).
        ticket: Ticket,
        /// Of this read alone.
        result: Result<(), ReadError>,
    },
    /// A write or sync failed: the process must end, and not try again.
    Fatal {
        /// One line.
        message: String,
    },
}

/// Figures about an engine.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineStats {
    /// Open logs.
    pub logs: usize,
    /// Bytes of the journal that no checkpoint covers.
    pub journal_used: u64,
    /// Bytes that the journal may use at most.
    pub journal_limit: u64,
    /// Bytes of the journal's files, those that wait to be used again included.
    pub journal_size: u64,
    /// Bytes of frames in no segment yet.
    pub pending_bytes: u64,
    /// Bytes handed in and not yet in a block.
    pub staged_bytes: u64,
    /// Bytes of verified chunks in memory.
    pub cache_bytes: u64,
    /// Bytes of segments and indexes that the disk was asked for.
    pub read_bytes: u64,
    /// Part of them: what no reader had asked for yet.
    pub ahead_bytes: u64,
    /// Blocks written.
    pub blocks: u64,
    /// Bytes of record batches appended.
    pub appended_bytes: u64,
    /// Bytes written to the journal, copies included.
    pub journal_bytes: u64,
    /// Bytes of frames copied forward in the journal.
    pub copied_bytes: u64,
    /// Bytes written straight into segments, past the journal's blocks.
    pub direct_bytes: u64,
    /// Bytes written to segments and indexes by write-back.
    pub segment_bytes: u64,
    /// Bytes of checkpoints written.
    pub checkpoint_bytes: u64,
    /// Bytes of files that wait to be segments again.
    pub recycled_bytes: u64,
    /// Checkpoints that are durable, each with the write-back before it.
    pub rounds: u64,
    /// Files that could not be removed, at each attempt.
    pub failed_removals: u64,
    /// Passes of compaction that came to their end.
    pub compaction_passes: u64,
    /// Those of them for which not all keys had room: the next one goes on.
    pub compaction_cut_short: u64,
    /// Bytes that compaction has read.
    pub compaction_read_bytes: u64,
    /// Bytes that compaction has written.
    pub compaction_written_bytes: u64,
    /// Logs that cannot be compacted until the next start.
    pub uncleanable: u64,
    /// The largest share of a log that could be compacted and was not yet, 0 to 1.
    pub max_dirty_ratio: f64,
}

/// What an engine is made with.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Whose journal.
    pub journal: Journal,
    /// Bytes of the disk that the journal may use at first.
    pub journal_start: u64,
    /// Bytes of the disk that the journal may use at most.
    pub journal_limit: u64,
    /// Bytes of verified chunks to keep in memory at first.
    pub cache_start: usize,
    /// Bytes of verified chunks to keep in memory at most.
    pub cache_limit: usize,
    /// Bytes that are read ahead of one reader at most; 0 reads nothing ahead.
    pub read_ahead: usize,
    /// Bytes that are read at once at most, while nothing is written to the journal. Meanwhile, and
    /// where one read is larger, it is one read.
    pub reads_at_once: usize,
    /// What buffers are charged to.
    pub budget: Arc<Budget>,
    /// A partition with less than this pending is copied forward rather than placed.
    pub small_bytes: usize,
    /// A log without appends for this long is placed, whatever it has pending, ms.
    pub idle_ms: i64,
    /// Logs that one step of placement takes: how long it may hold the shard.
    pub logs_a_step: usize,
    /// Bytes that write-back writes at once while the journal has room enough: a block waits for no more.
    pub piece_bytes: usize,
    /// A frame of so many bytes goes straight into a segment where that was written before, with all
    /// that its turn has of the log.
    pub direct_bytes: usize,
    /// Segments of fewer bytes are not kept for others to use their files.
    pub recycle_bytes: u64,
    /// No block is larger, unless a single batch is; copies forward add an eighth at most.
    pub max_block: usize,
    /// Bytes that the keys of a pass of compaction may take (`log.cleaner.dedupe.buffer.size`).
    pub compaction_bytes: usize,
}

/// Moments of a journal block, in the units of [`Engine::at`](super::engine::Engine::at). The engine only hands them back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moments {
    /// The turn that made it.
    pub built: u64,
    /// The disk has said that it is written.
    pub written: u64,
    /// The disk has said that it is synced.
    pub synced: u64,
}
