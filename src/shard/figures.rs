//! What the process says of itself, for the HTTP port.

use crate::storage::arena::ArenaFigures;

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
    /// Where buffers come from; nothing where it could not be reserved.
    pub arena: ArenaFigures,
    /// Topics.
    pub topics: u64,
    /// Partitions.
    pub partitions: u64,
    /// Those that this broker leads.
    pub led: u64,
    /// Of those that it leads, with a replica that is not in sync.
    pub under_replicated: u64,
    /// Of those that it leads, with fewer in sync than `min.insync.replicas`.
    pub under_min_isr: u64,
    /// Partitions that nobody leads.
    pub offline: u64,
    /// This broker leads the metadata quorum.
    pub is_controller: bool,
}
