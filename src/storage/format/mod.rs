//! What stands on the disk, byte for byte: frames, journal blocks, segments with their indexes,
//! checkpoints. Nothing here knows when something is written, or why.

pub mod block;
pub(super) mod block_writer;
pub mod checkpoint;
pub mod frame;
pub mod index;
pub mod segment;
pub mod whole_frame;

#[cfg(test)]
mod layout_tests;
