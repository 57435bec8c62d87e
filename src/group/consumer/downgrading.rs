//! How far a consumer group is on its way to a classic one.

use std::collections::BTreeMap;

use super::classic_assignment::assignment;
use super::partitions::{self, Partitions};
use super::state::ConsumerGroup;
use super::write::ConsumerWrite;
use crate::group::cluster::ClusterView;
use crate::group::consumer_protocol::PROTOCOL_TYPE;
use crate::group::records::{GroupValue, MemberValue};
use crate::wire::primitives::{WireError, Writer};

/// About the bytes of a member in the record of a classic group, beyond what its members say.
const MEMBER_BYTES: usize = 150;

/// The classic group's record, as far as it is written.
#[derive(Debug)]
pub struct Draft {
    /// The protocol that they chose.
    protocol: String,
    /// What is written; the error where it does not fit into a record.
    pub value: Result<Writer, WireError>,
}

impl Draft {
    /// Begins with it.
    pub fn new(group: &ConsumerGroup, protocol: String, now_ms: i64) -> Self {
        let leader = group.members_after(None).next().map(|(id, _)| id);
        let head = GroupValue {
            protocol_type: PROTOCOL_TYPE,
            generation_id: group.epoch(),
            protocol: Some(&protocol),
            leader,
            state_timestamp_ms: now_ms,
            members: Vec::new(),
        };
        let value = head.begin(group.len(), group.len() * MEMBER_BYTES);
        Self { protocol, value }
    }

    /// Writes a member, with its target for what it is assigned; of how many partitions.
    pub fn push(&mut self, group: &ConsumerGroup, id: &str, view: &dyn ClusterView) -> usize {
        let Ok(w) = &mut self.value else { return 0 };
        let none = Partitions::new();
        let target = group.target(id).map_or(&none, |it| &**it);
        let member = group.member(id).and_then(|it| Some((it, it.metadata.classic.as_ref()?)));
        let written = member.ok_or(WireError::Null).and_then(|(member, classic)| {
            let metadata = &member.metadata;
            let said = classic.protocols.iter().find(|it| it.name == self.protocol);
            let value = MemberValue {
                member_id: id,
                group_instance_id: metadata.instance_id.as_deref(),
                client_id: &metadata.client_id,
                client_host: &metadata.client_host,
                rebalance_timeout_ms: metadata.rebalance_timeout_ms,
                session_timeout_ms: classic.session_timeout_ms,
                subscription: said.map_or(&[], |it| it.metadata.as_ref()),
                assignment: &assignment(metadata, target, view),
            };
            value.write(w)
        });
        if let Err(error) = written {
            self.value = Err(error);
        }
        partitions::count(target)
    }
}

/// What is done next, from behind a member or a target on.
#[derive(Debug)]
pub enum Stage {
    /// Each member votes for the protocol that it likes best, of those that all know.
    Vote(Option<String>, BTreeMap<String, usize>),
    /// Each is written.
    Write(Option<String>, Draft),
    /// What members were told is gone.
    Currents(Option<String>),
    /// Targets are gone.
    Targets,
    /// Members are gone.
    Members,
    /// Regular expressions are gone, and the group at last.
    Patterns,
    /// All is done.
    Done,
}

/// A consumer group on its way to a classic one: see [`downgrade`](super::downgrade).
#[derive(Debug)]
pub struct Downgrading {
    /// What is written; it has no downgrade if the group cannot become a classic one.
    pub write: ConsumerWrite,
    /// See [`goes_on`](super::write::Downgrade::goes_on).
    pub goes_on: bool,
    /// What is done next.
    pub stage: Stage,
}

impl Downgrading {
    /// Memory that it takes, bytes.
    pub fn bytes(&self) -> usize {
        let draft = match &self.stage {
            Stage::Write(_, Draft { value: Ok(w), .. }) => w.as_slice().len(),
            _ => self.write.downgrades.as_ref().map_or(0, |it| it.value.len()),
        };
        draft + self.write.changes.bytes()
    }
}
