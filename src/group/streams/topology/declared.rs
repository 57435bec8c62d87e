//! A topology, as members declare it.

use std::sync::Arc;

/// Settings of a topic: names and values.
pub type TopicConfigs = Arc<[(Arc<str>, Arc<str>)]>;

/// What all members of a group run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// Which one: a greater one replaces those before.
    pub epoch: i32,
    /// Its parts, in the order in which they were declared; no id twice.
    pub subtopologies: Vec<Subtopology>,
}

/// Processors that share tasks: a task runs all of them over one partition of each of their sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subtopology {
    /// Its id, which no other of the topology has.
    pub id: Arc<str>,
    /// Topics of the user that it reads.
    pub source_topics: Vec<Arc<str>>,
    /// Regular expressions of such topics. Kafka 4.3 refuses them.
    pub source_topic_regex: Vec<Arc<str>>,
    /// Repartition topics that it writes to.
    pub repartition_sink_topics: Vec<Arc<str>>,
    /// Repartition topics that it reads.
    pub repartition_source_topics: Vec<TopicInfo>,
    /// Topics that hold its state.
    pub state_changelog_topics: Vec<TopicInfo>,
    /// Which of its sources have to have the same number of partitions.
    pub copartition_groups: Vec<CopartitionGroup>,
}

impl Subtopology {
    /// The topics that it reads; a name may come twice.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<str>> {
        self.source_topics.iter().chain(self.repartition_source_topics.iter().map(|it| &it.name))
    }

    /// The topics that have to exist for it to run; a name may come twice. Repartition topics that it writes to are
    /// among those of whoever reads them.
    pub fn required_topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.sources().chain(self.state_changelog_topics.iter().map(|it| &it.name))
    }
}

/// An internal topic, as it is to be created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: Arc<str>,
    /// How many partitions it has to have; 0 where that follows from other topics.
    pub partitions: i32,
    /// Of how many replicas each; 0 for the broker's default.
    pub replication_factor: i16,
    /// Its settings.
    pub configs: TopicConfigs,
}

/// Sources of a subtopology that have to have the same number of partitions, by their places in its lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CopartitionGroup {
    /// Places in [`Subtopology::source_topics`].
    pub source_topics: Vec<i16>,
    /// Places in [`Subtopology::source_topic_regex`].
    pub source_topic_regex: Vec<i16>,
    /// Places in [`Subtopology::repartition_source_topics`].
    pub repartition_source_topics: Vec<i16>,
}
