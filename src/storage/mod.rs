//! What is on disk, and in which order.
//!
//! `engine` is the pure storage of one shard, put together from parts that know only the `logs`:
//! the [`journal`] makes blocks of what was staged, [`placement`] brings frames into segments and
//! gives up what is not needed any more, `compaction` takes out of segments what later records replace, [`read`] serves. [`recovery`] makes engines from what the
//! last life left. [`format`](mod@format) is what stands on the disk, [`device`] carries operations on files out.
//! Why it is so, and what was tried: `DECISIONS.md`.
//!
//! ```text
//! meta.properties                     whose directory it is
//! MANIFEST                            life, shards, clean or not; replaced by one rename
//! meta/                               the Raft log of the metadata
//! journal/LIFE-SHARD-NUMBER.jnl       pre-written files, used again in turn
//! checkpoint/LIFE-SHARD.ckpt          what is placed, and each partition's state
//! topics/TOPIC/PARTITION-BASE-GENERATION.log, .idx
//! recycled/LIFE-SHARD-NUMBER.old      files that wait to be segments; none outlives its life
//! orphans/                            data without metadata, moved aside
//! damaged/TOPIC-PARTITION.damaged     that log is damaged (`damage`); .aside: it was, and its files wait to go
//! ```
//!
//! # What is durable when
//! An append is acknowledged when its block, and every block before it, was written and synced. A
//! journal file is used again only when a checkpoint that covers its blocks is durable, and that
//! checkpoint is written only when the segments that it names are synced (`placement`).
//!
//! Where a turn has much of one log, those frames are not written to the journal, but once, straight
//! into the log's open segment (`direct`): they are a *run*, and the journal block only says where it
//! stands (`Placed`). The block counts as synced when its runs are synced too. A run goes only into a
//! file all of whose bytes were written before; such files come from segments that are gone
//! (`placement/recycling.rs`).
//!
//! A checkpoint says how far the journal was synced when it was written. What is missing below that is
//! damage; an idle shard writes an empty block behind its last one, which says the same of it.
//!
//! # What a crash must find
//! - No block of a segment is written twice: a chunk is padded to 4 KiB.
//! - A frame is placed when a checkpoint or a `Placed` names its place. Where neither does, a start
//!   chooses a place anew.
//! - A segment has no gaps: everything in front of a run in its segment is named by the checkpoint or
//!   by an earlier `Placed`.
//! - A run is written only into bytes that were written before, in a file whose name is durable. So a
//!   run that a start does not find was never acknowledged, and the journal ends there, as it does at
//!   a torn block. There is one exception: the whole file is gone. A file is removed only after the
//!   journal has said so durably, and the block of the run is in front of that.
//! - The state of a log's producers comes from its checkpoint and the batches since. So files of runs
//!   that no checkpoint has stay until one has, wherever the log starts.
//! - Each start writes a new life (journal files and checkpoints with the life in their names) beside
//!   the old one and switches by renaming the manifest. A crash during recovery, or during the
//!   recovery of that, finds the old life whole. A stale block cannot be taken for a new one: its
//!   header names its life.
//! - A checkpoint has an `applied_lsn` for each log: replay applies a `Truncate` to the frames in front
//!   of it in the journal, and to segments only where its LSN is higher than that. So what was appended
//!   and placed after the truncation is not cut.
//! - Pending frames stay in memory (slices of journal blocks) until they are placed; the journal is
//!   therefore no larger than a quarter of the memory budget.

mod align;
pub mod arena;
pub mod buffer;
mod compaction;
pub mod damage;
pub mod device;
mod direct;
pub mod engine;
pub mod format;
mod interface;
pub mod journal;
pub mod log;
mod logs;
mod mending;
pub mod placement;
pub mod read;
pub mod recovery;
pub mod space;

#[cfg(test)]
mod damaged_tests;
#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod frame_tests;
