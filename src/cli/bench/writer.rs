//! Who writes: the bench's own numbers of its writers.

use super::machine::Clock;

/// The number of a writer in what it writes: of which run, and which of its connections.
pub fn writer_id(clock: Clock, i: usize) -> u32 {
    let run = (clock.unix_ms(0) as u32).wrapping_mul(0x9e37_79b9) ^ std::process::id();
    (run << 12) | (i as u32 & 0xfff)
}
