//! What the process says of itself, for the admin port.

/// What the process says of itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessFigures {
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Connections closed by a panic.
    pub panics: u64,
    /// Bytes charged to the memory budget.
    pub memory_used: u64,
    /// The memory budget, bytes.
    pub memory_limit: u64,
    /// Topics.
    pub topics: u64,
    /// Partitions.
    pub partitions: u64,
}
