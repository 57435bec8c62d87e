//! A group's record that is loaded, some members at a time.

use bytes::Bytes;

use super::records::MembersLeft;

/// A group's record that is loaded, as far as it is not yet.
#[derive(Debug)]
pub struct Loading {
    /// Members that were there before, and go.
    pub old: usize,
    /// The value, and where its members are that have not come; `None` for a tombstone.
    pub rest: Option<(Bytes, MembersLeft)>,
}
