//! The journal of one shard: what of an append is durable first.
//!
//! `plan` says which staged items share a block, `runs` which of them go past it, `writer` stages them
//! and makes the blocks, `files` says where a block goes and which blocks are durable.

mod files;
mod plan;
mod runs;
pub(super) mod writer;

pub(super) use files::{BlockSpace, InFlight, JournalFiles};
pub use files::{DIR, FIRST_FILE, MAX_FILE, parse_name, path_of};
