//! What a coordinator's owner has to do.

use super::records::Record;
use super::response::GroupResponse;

/// The owner's number for a request that waits for its answer.
pub type Ticket = u64;

/// What the owner has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer a request. Every ticket is answered exactly once.
    Reply {
        /// Which request.
        ticket: Ticket,
        /// The answer.
        response: GroupResponse,
    },
    /// Append records, in one batch if they fit, and call [`Coordinator::written`](super::Coordinator::written) when all of them
    /// are durable, or none will be. The order of appends is the order of these effects.
    Append {
        /// Number to name the write by.
        write: u64,
        /// What to append; at least one record.
        records: Vec<Record>,
    },
}
