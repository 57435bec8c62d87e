//! The transaction coordinator (KIP-98, KIP-360, KIP-890): transactional ids, their producers, and how their
//! transactions end. Pure: no clock, no randomness, no I/O.
//!
//! A [`Coordinator`] holds the transactional ids of one partition of `__transaction_state`. Its owner calls
//!
//! 1. [`Coordinator::replay`] with every record of that partition, oldest first, then
//!    [`Coordinator::start_part`] until it has taken no step;
//! 2. [`Coordinator::request`] for each request, [`Coordinator::written`] when an [`Effect::Append`] is
//!    committed or has failed, [`Coordinator::marked`] when a marker of [`Effect::Markers`] is committed,
//!    [`Coordinator::tick`] at [`Coordinator::next_deadline`].
//!
//! **A change takes effect, and its reply leaves, when its record is committed.** While an id has a write
//! pending, later requests of that id wait in its queue; other ids go on. So markers are sent only of a
//! decision that every later coordinator knows. Where a request waits for the end of a transaction, both are one
//! record: of the two states the later one.
//!
//! ```text
//!            add         end                     all markers are committed
//!   Empty ─────► Ongoing ───► PrepareCommit, ─────────────────────────► CompleteCommit,
//!     ▲                       PrepareAbort                              CompleteAbort
//!     └──────────────── a producer begins with the id ◄──────────────────────┘
//! ```
//!
//! Where Kafka answers `CONCURRENT_TRANSACTIONS` because a transaction is about to end, the request waits for
//! that a little, and gets this answer when it takes longer.

mod coordinator;
mod effect;
#[cfg(test)]
mod histories;
mod memory;
mod record;
mod request;
mod settings;
mod state;
#[cfg(test)]
mod tests;
mod transactional_id;

pub use coordinator::{Coordinator, ListCursor};
pub use effect::{Effect, Markers, Ticket};
pub use memory::Memory;
pub use record::{Record, RecordError};
pub use request::{
    AddPartitions, Described, End, InitProducer, List, Listed, Partition, Producer, Request,
    Response,
};
pub use settings::Settings;
pub use state::State;
