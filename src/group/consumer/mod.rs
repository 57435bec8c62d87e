//! Consumer groups of KIP-848: the coordinator assigns partitions, and brings each member to its
//! assignment by itself, heartbeat by heartbeat.
//!
//! ```text
//!   subscriptions, topics ──► group epoch ──► target assignment, of that epoch
//!                                                  │  each member for itself, with its heartbeats
//!                                                  ▼
//!   Stable ──► UnrevokedPartitions ──► UnreleasedPartitions ──► Stable, at the target's epoch
//!              gives up partitions     waits for what others
//!              that are not its own    have not given up
//! ```
//!
//! [`ConsumerGroup`](state::ConsumerGroup) is what the records of a group make: each
//! [`Change`](change::Change) is a record, and applying it gives the change that takes it back. A request
//! changes the group at once and writes what it changed; nobody sees the group before that is durable, and
//! when it cannot be, it is taken back.

pub mod advance;
pub mod assigned_since;
#[cfg(test)]
mod assignment_tests;
pub mod beat;
pub mod change;
pub mod changes;
mod classic;
mod classic_assignment;
mod conversion;
pub mod describe;
mod downgrade;
pub mod downgrading;
pub mod encoding;
mod fence;
pub mod hashing;
pub mod heartbeat;
#[cfg(test)]
mod histories;
pub mod member;
#[cfg(test)]
mod naive_member;
mod offsets;
pub mod partitions;
#[cfg(test)]
mod pending_tests;
pub mod protocol;
pub mod reconcile;
#[cfg(test)]
pub mod record_testing;
pub mod records;
pub mod request;
pub mod response;
pub mod state;
#[cfg(test)]
mod tests;
pub mod write;
mod writing;
