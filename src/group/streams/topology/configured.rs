//! A topology, with the partitions of its topics.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use super::declared::TopicConfigs;

/// The topics that exist.
pub trait PartitionCounts {
    /// How many partitions the topic of this name has; `None` where it does not exist.
    fn partitions(&self, topic: &str) -> Option<i32>;
}

/// What follows from a topology and the topics that exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// Of the topology.
    pub epoch: i32,
    /// By id; `None` where source topics are missing or topics have wrong numbers of partitions.
    pub subtopologies: Option<Arc<BTreeMap<Arc<str>, ConfiguredSubtopology>>>,
    /// Internal topics that do not exist, by name.
    pub to_create: BTreeMap<Arc<str>, InternalTopic>,
    /// Why nobody can be assigned anything yet.
    pub problem: Option<Problem>,
}

impl Configured {
    /// The subtopologies, when everything that they need is there: tasks can be assigned.
    pub fn ready(&self) -> Option<&Arc<BTreeMap<Arc<str>, ConfiguredSubtopology>>> {
        self.subtopologies.as_ref().filter(|_| self.problem.is_none())
    }
}

/// A subtopology with as many tasks as the largest of its sources has partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfiguredSubtopology {
    /// How many tasks it has: one for each partition from 0 on.
    pub tasks: i32,
    /// Topics of the user that it reads.
    pub source_topics: BTreeSet<Arc<str>>,
    /// Repartition topics that it reads.
    pub repartition_source_topics: BTreeMap<Arc<str>, InternalTopic>,
    /// Repartition topics that it writes to.
    pub repartition_sink_topics: BTreeSet<Arc<str>>,
    /// Topics that hold its state.
    pub state_changelog_topics: BTreeMap<Arc<str>, InternalTopic>,
}

impl ConfiguredSubtopology {
    /// Whether its tasks have state, and so may have standbys.
    pub fn is_stateful(&self) -> bool {
        !self.state_changelog_topics.is_empty()
    }
}

/// An internal topic: what it is created with, and has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InternalTopic {
    /// How many partitions.
    pub partitions: i32,
    /// Of how many replicas each; 0 for the broker's default.
    pub replication_factor: i16,
    /// Its settings.
    pub configs: TopicConfigs,
}

/// Why a topology cannot run yet. Members are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub status: Status,
    /// Kafka's words for it.
    pub detail: String,
}

/// What may be wrong with topics; statuses of `StreamsGroupHeartbeat`'s answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Source topics of the user do not exist.
    MissingSourceTopics,
    /// Topics that exist have other numbers of partitions than they have to have.
    IncorrectlyPartitionedTopics,
    /// Internal topics do not exist yet.
    MissingInternalTopics,
}
