//! What is on disk, and in which order.

pub mod buffer;
pub mod disk;
pub mod io;
pub mod ring;
