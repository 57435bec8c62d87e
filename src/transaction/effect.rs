//! What a coordinator's owner has to do.

use super::record::Record;
use super::request::{Partition, Response};

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
        response: Response,
    },
    /// Append a record, and call [`Coordinator::written`](super::Coordinator::written) when it is committed, or
    /// never will be. The order of appends is the order of these effects.
    Append {
        /// Number to name the write by.
        write: u64,
        /// What to append.
        record: Record,
    },
    /// Send markers to the leaders of partitions, again and again until each is committed or its partition is
    /// gone, and call [`Coordinator::marked`](super::Coordinator::marked) for each.
    Markers(Markers),
}

/// The end of one transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markers {
    /// Number to name it by.
    pub number: u64,
    /// Whose transaction.
    pub producer_id: i64,
    /// The epoch that the markers have.
    pub producer_epoch: i16,
    /// It commits, or aborts.
    pub commits: bool,
    /// The protocol of the transaction: `transaction.version`.
    pub version: i16,
    /// Where.
    pub partitions: Vec<Partition>,
}
