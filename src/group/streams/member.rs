//! What a member of a streams group says of itself, and which tasks it has.

use std::sync::Arc;

use super::tasks::{TaskIds, Tasks};
use crate::group::consumer::assigned_since::AssignedSince;
use crate::group::consumer::partitions;
use crate::group::entry::ENTRY;

/// Where others can ask an instance for its state (`application.server`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// What a member of a streams group says beside what all members say (`StreamsGroupMemberMetadataValue`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamsMetadata {
    /// The epoch of the topology that it runs.
    pub topology_epoch: i32,
    /// The instance of Kafka Streams that it is a thread of.
    pub process_id: String,
    /// Where others can ask for its state.
    pub endpoint: Option<Endpoint>,
    /// Names and values by which standby tasks are spread.
    pub client_tags: Vec<(String, String)>,
}

impl StreamsMetadata {
    /// Memory that it takes, bytes.
    pub fn bytes(&self) -> usize {
        let tags = self.client_tags.iter().map(|(name, value)| ENTRY + name.len() + value.len());
        size_of::<Self>()
            + self.process_id.len()
            + self.endpoint.as_ref().map_or(0, |it| it.host.len())
            + tags.sum::<usize>()
    }
}

/// What a member does with a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It processes it.
    Active,
    /// It keeps a copy of its state.
    Standby,
    /// It builds up its state.
    Warmup,
}

impl Role {
    /// All.
    pub const ALL: [Self; 3] = [Self::Active, Self::Standby, Self::Warmup];

    /// The tasks in this role.
    pub const fn of(self, tasks: &Tasks) -> &TaskIds {
        match self {
            Self::Active => &tasks.active,
            Self::Standby => &tasks.standby,
            Self::Warmup => &tasks.warmup,
        }
    }
}

/// How many tasks.
pub fn count(tasks: &Tasks) -> usize {
    Role::ALL.iter().map(|it| partitions::count(it.of(tasks))).sum()
}

/// Memory that tasks take, bytes.
pub fn bytes(tasks: &Tasks) -> usize {
    Role::ALL.iter().map(|it| partitions::bytes(it.of(tasks))).sum()
}

/// Whether the sets have a task in the same role in common.
pub fn meet(one: &Tasks, other: &Tasks) -> bool {
    Role::ALL.iter().any(|it| partitions::meet(it.of(one), it.of(other)))
}

/// Tasks that a member has, and those that it is to give up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedTasks {
    /// Tasks that it has, or was told to have.
    pub assigned: Tasks,
    /// Tasks that it is to give up, and may still have.
    pub revoking: Tasks,
    /// Since when it has each active task of both.
    pub since: AssignedSince<Arc<str>>,
}

impl OwnedTasks {
    /// Memory that it takes, bytes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + bytes(&self.assigned) + bytes(&self.revoking) + self.since.bytes()
    }
}
