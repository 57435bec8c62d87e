//! Topics of which a share group has states.

use std::collections::BTreeMap;

use crate::group::entry::ENTRY;
use crate::types::TopicId;

/// A topic of which the share coordinator has states for this group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShareTopic {
    /// Its name.
    pub name: String,
    /// So many partitions have one: the first ones.
    pub partitions: i32,
}

/// Those topics, by id (`ShareGroupStatePartitionMetadataValue`).
pub type ShareTopics = BTreeMap<TopicId, ShareTopic>;

/// Memory that they take, bytes.
pub fn bytes(topics: &ShareTopics) -> usize {
    topics.values().map(|it| ENTRY + size_of::<ShareTopic>() + it.name.len()).sum()
}

/// A topic that members want, and of which partitions have no states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uninitialized {
    /// Its id.
    pub id: TopicId,
    /// Its name.
    pub name: String,
    /// The first partition without a state.
    pub from: i32,
    /// How many partitions the topic has.
    pub partitions: i32,
}
