//! What is on disk, and in which order.
//!
//! `engine` is the pure storage of one shard: `journal`, `block` and `frame` are what a turn writes;
//! `round` brings it into `segment`s and writes the `checkpoint`; `reads`, `cache` and `index` serve
//! it; `recovery` makes engines from what the last run left. `io` has the operations on files,
//! `disk` and `ring` carry them out.

pub mod block;
pub mod buffer;
pub mod cache;
pub mod checkpoint;
pub mod disk;
pub mod engine;
pub mod frame;
pub mod identity;
pub mod index;
pub mod inspect;
pub mod io;
pub mod journal;
pub mod log;
pub mod plan;
pub mod reads;
pub mod recovery;
pub mod replay;
pub mod ring;
mod round;
pub mod segment;
pub mod space;
pub mod sim_disk;

#[cfg(test)]
mod engine_tests;
#[cfg(test)]
mod layout_tests;
