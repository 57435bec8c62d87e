//! A request that has begun, and how it may end.

use super::calls::Unchanged;
use super::connection::ConnectionId;
use crate::broker::api::Response;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;

/// The header of a request, without what it borrows.
pub(super) type Header = RequestHeader<'static>;
/// How a request ends.
pub(super) type Outcome = Result<Response, Unanswered>;

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// It cannot be read.
    Malformed(WireError),
    /// A shard that was asked has given up, by a bug.
    GivenUp,
    /// Nobody leads the metadata quorum.
    NoController,
}

impl From<Unchanged> for Unanswered {
    fn from(why: Unchanged) -> Self {
        match why {
            Unchanged::Malformed(e) => Self::Malformed(e),
            Unchanged::NoController => Self::NoController,
        }
    }
}

impl From<WireError> for Unanswered {
    fn from(e: WireError) -> Self {
        Self::Malformed(e)
    }
}

/// A request that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// On which connection.
    pub connection: ConnectionId,
    /// Its number there.
    pub number: u64,
    /// When the kernel handed over the last of it, in ticks.
    pub received: u64,
}
