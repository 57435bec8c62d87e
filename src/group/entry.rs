//! What a place takes, for counts of memory.

/// A place in a map or a queue: its links, and what an allocation costs, bytes.
pub const ENTRY: usize = 48;
