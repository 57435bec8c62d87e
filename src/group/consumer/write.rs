//! A consumer group's write that is pending.

use super::changes::Changes;
use crate::group::effect::Ticket;
use crate::group::response::GroupResponse;

/// What a write of a consumer group changes, and who is answered then.
#[derive(Debug)]
pub struct ConsumerWrite {
    /// What has changed.
    pub changes: Changes,
    /// The request, and its answer.
    pub reply: Option<(Ticket, GroupResponse)>,
    /// The group was a classic one, whose record goes.
    pub upgrades: bool,
    /// The group becomes a classic one.
    pub downgrades: Option<Box<Downgrade>>,
}

/// A classic group that takes the place of one of consumers.
#[derive(Debug)]
pub struct Downgrade {
    /// Its record.
    pub value: bytes::Bytes,
    /// It goes on where it is, since a member took the place of the last that was not classic: or else all
    /// join again.
    pub goes_on: bool,
}
