//! What a coordinator's owner has to do.

use super::records::Record;
use super::response::GroupResponse;
use super::transaction::{TransactionEnd, TransactionProducer};
use crate::types::ErrorCode;

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
        /// They are part of a transaction of this producer.
        producer: Option<TransactionProducer>,
    },
    /// Append the marker of a transaction, and call [`Coordinator::written`](super::Coordinator::written).
    End {
        /// Number to name the write by.
        write: u64,
        /// The marker.
        end: TransactionEnd,
    },
    /// A marker is durable and has taken effect, or was refused.
    Ended {
        /// Whose: see [`TransactionEnd`].
        ticket: Ticket,
        /// How it went.
        error: ErrorCode,
    },
}
