//! What changes in a consumer group: one change is one record.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::member::{Current, MemberMetadata};
use super::partitions::Partitions;
use crate::group::share::topics::ShareTopics;
use crate::group::streams::tasks::Tasks;
use crate::group::streams::topology::Topology;

/// The group's epoch (`ConsumerGroupMetadataValue`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Epoch {
    /// The epoch; 0 for a group that has none yet.
    pub number: i32,
    /// A hash of the topics that are subscribed to, as they were then; 0 for none.
    pub metadata_hash: i64,
    /// Of a streams group: what else its tasks are assigned by.
    pub streams: Option<Arc<AssignedBy>>,
}

/// What tasks are assigned by, beside members and topics (`StreamsGroupMetadataValue`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignedBy {
    /// The epoch of the topology whose topics were all there; -1 for none.
    pub validated_topology_epoch: i32,
    /// Settings of the assignor; `None` where a version before wrote none.
    pub configs: Option<Vec<(String, String)>>,
}

/// The epoch of the targets (`ConsumerGroupTargetAssignmentMetadataValue`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetEpoch {
    /// The epoch.
    pub epoch: i32,
    /// When they were computed, by the wall's clock, ms (KIP-1263); 0 where that is not known.
    pub timestamp_ms: i64,
}

/// Topics that a regular expression stands for (`ConsumerGroupRegularExpressionValue`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Names of topics.
    pub topics: BTreeSet<Arc<str>>,
    /// Of which version of the metadata.
    pub version: i64,
    /// When, by the wall's clock, ms.
    pub timestamp_ms: i64,
}

/// A value as it is kept, and the bytes of its record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept<T> {
    /// The value.
    pub value: T,
    /// Bytes of its record's key and value.
    pub record_bytes: u64,
}

/// A change; `None` takes away what was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The group's epoch.
    Epoch(Option<Kept<Epoch>>),
    /// What a member says of itself.
    Metadata(String, Option<Kept<Box<MemberMetadata>>>),
    /// The epoch of the targets.
    TargetEpoch(Option<Kept<TargetEpoch>>),
    /// The target of a member.
    Target(String, Option<Kept<Arc<Partitions>>>),
    /// What a member was told.
    Current(String, Option<Kept<Current>>),
    /// What a regular expression stands for.
    Regex(String, Option<Kept<Resolved>>),
    /// The topics that the share coordinator has states of.
    ShareTopics(Option<Kept<Arc<ShareTopics>>>),
    /// What the members of a streams group run.
    Topology(Option<Kept<Arc<Topology>>>),
    /// The target of a member of a streams group.
    Tasks(String, Option<Kept<Arc<Tasks>>>),
}
