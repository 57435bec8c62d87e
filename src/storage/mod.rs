//! What is on disk, and in which order.
//!
//! `engine` is the pure storage of one shard, put together from parts that know only the `logs`:
//! the [`journal`] makes blocks of what was staged, [`placement`] brings frames into segments and
//! gives up what is not needed any more, [`read`] serves. [`recovery`] makes engines from what the
//! last run left. [`format`](mod@format) is what stands on the disk, [`device`] carries operations on files out.
//! Why it is so, and what was tried: `DECISIONS.md`.
//!
//! ```text
//! meta.properties                     whose directory it is
//! MANIFEST                            life, shards, clean or not; replaced by one rename
//! meta/                               the Raft log of the metadata
//! journal/LIFE-SHARD-NUMBER.jnl       ring of pre-written files
//! checkpoint/LIFE-SHARD.ckpt          what is placed, and each partition's state
//! topics/TOPIC/PARTITION-BASE-GENERATION.log, .idx
//! recycled/LIFE-SHARD-NUMBER.old      files that wait to be segments; none outlives its run
//! orphans/                            data without metadata, moved aside
//! ```
//!
//! # What is durable when
//! An append is acknowledged when its block, and every block before it, was written and synced. A
//! journal file is used again only when a checkpoint that covers its blocks is durable, and that
//! checkpoint is written only when the segments that it names are synced (`placement`).
//!
//! What a turn has of one log is written once where that is much (`direct`): into the log's open
//! segment, if its file was written before, and the block only says where (`Placed`). The block
//! counts as synced when those runs are. Such files come from segments that are gone
//! (`placement/recycling.rs`).
//!
//! A checkpoint says how far the journal was synced when it was written. What is missing below that is
//! damage; an idle shard writes an empty block behind its last one, which says the same of it.
//!
//! # What a crash must find
//! - No block of a segment is written twice: a chunk is padded to 4 KiB.
//! - Until a checkpoint or a `Placed` says so nothing is placed, and a crash decides anew where
//!   frames go. A segment has no gaps: before the journal says of a run, it has said of all that stands
//!   before that in the segment and is in no checkpoint.
//! - A run is written only into bytes that were written before, in a file whose name is durable. So at a start one that
//!   is not there was never acknowledged, and ends the journal like a torn block; unless its file is
//!   gone: that goes only when the journal says so durably, and so this block was.
//! - The state of a log's producers comes from its checkpoint and the batches since. So files of runs
//!   that no checkpoint has stay until one has, wherever the log starts.
//! - Each run writes a new life (journal files and checkpoints with the life in their names) beside
//!   the old one and switches by renaming the manifest. A crash during recovery, or during the
//!   recovery of that, finds the old life whole. A stale block can not be taken for a new one: its
//!   header names its life.
//! - `applied_lsn`, of each log: replay applies a `Truncate` to the frames that stood before it, and to segments
//!   only where the checkpoint does not include it. So a run appended and placed after the
//!   truncation is not cut.
//! - Pending frames stay in memory (slices of journal blocks) until they are placed; the journal is
//!   therefore no larger than a quarter of the memory budget.

pub mod arena;
pub mod buffer;
pub mod device;
mod direct;
pub mod engine;
pub mod format;
mod interface;
pub mod journal;
pub mod log;
mod logs;
pub mod placement;
pub mod read;
pub mod recovery;
pub mod space;

#[cfg(test)]
mod engine_tests;
