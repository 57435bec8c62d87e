//! A static member that comes back under a new id (KIP-345).

use super::effect::Ticket;
use super::members::Member;

/// A member that takes another's place.
#[derive(Debug)]
pub struct Replacement {
    /// Whose place.
    pub old_id: String,
    /// The new member's id.
    pub new_id: String,
    /// The new member.
    pub member: Member,
}

/// A static member that comes back while the group is stable.
#[derive(Debug)]
pub struct Returning {
    /// Who, and in whose place.
    pub replacement: Replacement,
    /// The join to answer.
    pub ticket: Ticket,
    /// The leader can be told to keep the assignment.
    pub skips_assignment: bool,
}
