//! A group's record, on its way: written member by member.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::members::Member;
use super::records::{GroupValue, MemberValue};
use super::replacement::{Replacement, Returning};
use crate::wire::primitives::{WireError, Writer};

/// What a record is written for.
#[derive(Debug)]
pub enum Purpose {
    /// The leader's assignments, by member.
    Generation(BTreeMap<String, Bytes>),
    /// A member takes another's place, and its assignment.
    Replacement(Box<Returning>),
}

/// The value of a group's record, as far as it is written.
#[derive(Debug)]
pub struct Draft {
    value: Result<Writer, WireError>,
    /// Bytes that it is to take, about.
    bytes: usize,
    purpose: Purpose,
}

impl Draft {
    /// The beginning of a record of so many members, who follow by [`push`](Self::push), in about so many
    /// bytes.
    pub fn new(head: &GroupValue<'_>, members: usize, bytes: usize, purpose: Purpose) -> Self {
        Self { value: head.begin(members, bytes), bytes, purpose }
    }

    /// Memory that it takes, bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The next member, with its metadata for `protocol`.
    pub fn push(&mut self, id: &str, member: &Member, protocol: &str) {
        let Ok(w) = &mut self.value else { return };
        let (member_id, written, assignment) = match &self.purpose {
            Purpose::Generation(all) => (id, member, all.get(id).map_or(&[][..], |it| it)),
            Purpose::Replacement(it) if it.replacement.old_id == id => {
                let Replacement { new_id, member: new, .. } = &it.replacement;
                (new_id.as_str(), new, &member.assignment[..])
            }
            Purpose::Replacement(_) => (id, member, &member.assignment[..]),
        };
        let known = written.protocols.iter().find(|it| it.name == protocol);
        let value = MemberValue {
            member_id,
            group_instance_id: written.instance_id.as_deref(),
            client_id: &written.client_id,
            client_host: &written.client_host,
            rebalance_timeout_ms: written.rebalance_timeout_ms,
            session_timeout_ms: written.session_timeout_ms,
            subscription: known.map_or(&[], |it| it.metadata.as_ref()),
            assignment,
        };
        if let Err(error) = value.write(w) {
            self.value = Err(error);
        }
    }

    /// The value, when all members are in it, and what it is for.
    pub fn finish(self) -> (Result<Bytes, WireError>, Purpose) {
        (self.value.map(|it| it.into_vec().into()), self.purpose)
    }
}
