//! Ids of the bench's writers.

use super::machine::Clock;

/// The id that a writer puts into its batches: made of the run and the number of the connection.
pub fn writer_id(clock: Clock, i: usize) -> u32 {
    let run = (clock.unix_ms(0) as u32).wrapping_mul(0x9e37_79b9) ^ std::process::id();
    (run << 12) | (i as u32 & 0xfff)
}
