//! One replica of one partition: offsets, leader epochs, producers. Pure: no bytes of the log, no
//! clock, no I/O.
//!
//! The owner of a partition calls [`Partition::append`] with a validated header, hands the batch to
//! storage, and tells the partition through [`Partition::durable`] how far storage has come.
//! Replies leave by the offsets that this makes visible.
//!
//! With several replicas one leads (`leading`): its followers say how far they are durable, and the
//! high watermark follows the in-sync ones (`leader`). The others follow (`following`): they take the leader's
//! frames as they are, hear of its watermark, and cut what it does not have.
//!
//! # What must hold
//! - A follower's end counts when its leader has found that it has the same log up to there, in this
//!   epoch, and when it is durable there.
//! - A change of the ISR that makes it smaller counts when it is committed; one that may make it larger
//!   from when it is proposed until it is known that it will never be committed.
//! - What lies below a watermark is in the log of every leader to come, and is never cut.
//!
//! `epochs` are the leader epochs, `producers` the idempotent producers, of which `producer` is one, with
//! their `transactions`; `undo`
//! is what a truncation takes back of them. `snapshot` makes bytes of all; `capture` keeps the producers as
//! they were while that takes long.

mod capture;
mod epochs;
mod following;
mod leader;
mod leading;
#[cfg(test)]
mod model;
mod partition;
mod producer;
mod producers;
#[cfg(test)]
mod replicated_tests;
mod snapshot;
mod transactions;
#[cfg(test)]
mod transactions_tests;
mod undo;

pub use following::BelowWatermark;
pub use leader::{FollowerEnd, IsrChange, Leading, Patience};
pub use leading::Common;
pub use partition::{AppendOutcome, Partition, fold};
pub use producers::{ActiveProducer, ProducerMemory, Producers};
pub use snapshot::SnapshotError;
pub use transactions::AbortedTransaction;
