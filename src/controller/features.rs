//! Features of the cluster (KIP-584, KIP-778, KIP-1022) as this version knows them: which levels it supports.
//!
//! A level that was never set is the one that the cluster began with. That is a constant of the metadata's format: all
//! brokers must see the same, whatever their version.

use crate::types::{FeatureRange, FeatureRanges};

/// What Kafka's metadata can say. Clients and tools take it for the version of the cluster.
pub const METADATA_VERSION: &str = "metadata.version";

/// A feature that this version knows.
pub(super) struct Feature {
    pub name: &'static str,
    pub supported: FeatureRange,
    /// The level that a cluster begins with, as far as nothing was set. Never to be changed.
    pub initial: i16,
}

const fn feature(name: &'static str, min: i16, max: i16, initial: i16) -> Feature {
    Feature { name, supported: FeatureRange { min, max }, initial }
}

/// By name. What is not there to be used has level 0 and no other; what cannot be switched off has no level 0.
pub(super) const FEATURES: [Feature; 7] = [
    feature("eligible.leader.replicas.version", 1, 1, 1),
    // 1: the group protocol of KIP-848.
    feature("group.version", 0, 1, 1),
    // 1: voters are added and removed while it runs (KIP-853).
    feature("kraft.version", 1, 1, 1),
    // 3.3-IV3 to 4.3-IV0.
    feature(METADATA_VERSION, 7, 30, 30),
    // 1: share groups (KIP-932).
    feature("share.version", 0, 1, 1),
    // 1: streams groups (KIP-1071).
    feature("streams.version", 0, 1, 1),
    // 2: an epoch of the producer for each transaction (KIP-890).
    feature("transaction.version", 0, 2, 2),
];

/// What this version supports.
pub fn supported() -> FeatureRanges {
    FEATURES.iter().map(|it| (it.name.to_owned(), it.supported)).collect()
}

/// What a version supports that says nothing of features: a constant of the metadata's format.
pub fn unsaid() -> FeatureRanges {
    let known = [
        ("eligible.leader.replicas.version", 1, 1),
        ("kraft.version", 1, 1),
        (METADATA_VERSION, 7, 30),
    ];
    known.map(|(name, min, max)| (name.to_owned(), FeatureRange { min, max })).into()
}
