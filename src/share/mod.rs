//! Share groups (KIP-932): what is delivered of a partition to whom, and how that is kept. Pure: no clock, no
//! randomness, no I/O.
//!
//! Whoever leads a partition has a [`SharePartition`] for each share group that reads it: a window of offsets in flight,
//! each of them available, acquired by a member until its lock ends, acknowledged, or archived.
//!
//! ```text
//!               acquire (delivery count + 1)            accept
//!   Available ────────────────────────────► Acquired ─────────► Acknowledged
//!       ▲                                      │ │
//!       └────── release, lock ends ────────────┘ └────────────► Archived
//!                                                 reject; gap; released too often
//! ```
//!
//! What becomes of records is kept by the share coordinator: a [`Coordinator`] holds what the records of one partition of
//! `__share_group_state` say, which are snapshots of share-partitions and updates of them. Its owner calls
//!
//! 1. [`Coordinator::replay`] with every record of that partition, oldest first;
//! 2. [`Coordinator::request`] for each request, and [`Coordinator::written`] when an [`Effect::Append`] is committed or
//!    has failed.
//!
//! **A change takes effect, and its reply leaves, when its record is committed.** A leader acknowledges to a member
//! what the coordinator has said is kept, so what was acknowledged is not delivered again, whoever leads. Leader epochs and
//! state epochs fence those that lead no more, and those that have not heard that an administrator has moved the start.

mod acknowledgement;
mod coordinator;
#[cfg(test)]
mod coordinator_tests;
mod intervals;
#[cfg(test)]
mod naive;
mod partition;
#[cfg(test)]
mod partition_tests;
mod records;
mod settings;
mod state;

pub use acknowledgement::{AckBatch, AckType};
pub use coordinator::{Coordinator, Effect, Request, Response, Ticket};
pub use partition::{Acquired, LogBatch, Room, SharePartition, Write};
pub use records::{Key, Record, RecordError};
pub use settings::Settings;
pub use state::{DeliveryState, ShareState, StateBatch, Update};
