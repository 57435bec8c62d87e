//! What a streams group has beside what every group has whose coordinator assigns.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;
use std::sync::Arc;

use super::member;
use super::owners::Owners;
use super::tasks::Tasks;
use super::topology::{Configured, Subtopology, TopicInfo, Topology};
use crate::group::consumer::change::Kept;
use crate::group::entry::ENTRY;

/// A topology with its topics, as they were at a version of the metadata.
#[derive(Clone, Debug)]
pub struct ConfiguredAt {
    /// What follows from them.
    pub configured: Rc<Configured>,
    /// The topics' version.
    pub topics_version: u64,
    /// A hash of the topics.
    pub metadata_hash: i64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct StreamsState {
    topology: Option<Kept<Arc<Topology>>>,
    targets: BTreeMap<String, Kept<Arc<Tasks>>>,
    /// Memory of both, bytes.
    bytes: usize,

    // What follows is derived from the topology and the members.
    /// Topics that are read, and the subtopologies that read them.
    sources: BTreeMap<Arc<str>, Arc<str>>,
    /// Who has which task.
    pub owners: Owners,

    // What follows is not in the log.
    /// The topology with its topics.
    pub configured: Option<ConfiguredAt>,
    /// Tasks are not assigned before: others may join (`streams.initial.rebalance.delay.ms`).
    pub delayed_until_ms: Option<i64>,
    /// A member wants all to shut down.
    pub shutdown_by: Option<String>,
    /// Another number whenever somebody with an endpoint has other tasks.
    pub endpoint_epoch: i32,
}

/// Memory of a topology, with what is derived from it, bytes.
pub fn topology_bytes(topology: &Topology) -> usize {
    let names = |it: &[Arc<str>]| it.iter().map(|it| 3 * ENTRY + it.len()).sum::<usize>();
    let topic = |it: &TopicInfo| {
        let configs = it.configs.iter().map(|(name, value)| ENTRY + name.len() + value.len());
        3 * ENTRY + it.name.len() + configs.sum::<usize>()
    };
    let topics = |it: &[TopicInfo]| it.iter().map(topic).sum::<usize>();
    let all = topology.subtopologies.iter().map(|it| {
        let groups = it.copartition_groups.iter().map(|it| {
            let places = it.source_topics.len() + it.source_topic_regex.len();
            ENTRY + 2 * (places + it.repartition_source_topics.len())
        });
        2 * ENTRY
            + it.id.len()
            + names(&it.source_topics)
            + names(&it.source_topic_regex)
            + names(&it.repartition_sink_topics)
            + topics(&it.repartition_source_topics)
            + topics(&it.state_changelog_topics)
            + groups.sum::<usize>()
    });
    all.sum()
}

fn target_bytes(id: &str, target: &Tasks) -> usize {
    ENTRY + id.len() + size_of::<Kept<Arc<Tasks>>>() + size_of::<Tasks>() + member::bytes(target)
}

impl StreamsState {
    /// What members run; `None` before the first has said so.
    pub fn topology(&self) -> Option<&Arc<Topology>> {
        self.topology.as_ref().map(|it| &it.value)
    }

    /// The same, with the bytes of its record.
    pub const fn kept_topology(&self) -> Option<&Kept<Arc<Topology>>> {
        self.topology.as_ref()
    }

    /// Members run this; what it was.
    pub fn set_topology(
        &mut self,
        new: Option<Kept<Arc<Topology>>>,
    ) -> Option<Kept<Arc<Topology>>> {
        let bytes = |it: &Option<Kept<Arc<Topology>>>| {
            it.as_ref().map_or(0, |it| topology_bytes(&it.value))
        };
        self.configured = None;
        let subtopologies = new.iter().flat_map(|it| &it.value.subtopologies);
        let sources = |it: &Subtopology| {
            let id = Arc::clone(&it.id);
            let names: Vec<_> = it.sources().cloned().collect();
            names.into_iter().map(move |name| (name, Arc::clone(&id)))
        };
        self.sources = subtopologies.flat_map(sources).collect();
        let old = std::mem::replace(&mut self.topology, new);
        self.bytes = self.bytes + bytes(&self.topology) - bytes(&old);
        old
    }

    /// The subtopology that reads a topic.
    pub fn reader_of(&self, topic: &str) -> Option<&Arc<str>> {
        self.sources.get(topic)
    }

    /// The target of a member.
    pub fn target(&self, id: &str) -> Option<&Arc<Tasks>> {
        self.targets.get(id).map(|it| &it.value)
    }

    /// Targets, from behind `after` on.
    pub fn targets_after(
        &self,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&String, &Kept<Arc<Tasks>>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.targets.range::<str, _>((from, Bound::Unbounded))
    }

    /// A member has this target; what it was.
    pub fn set_target(
        &mut self,
        id: &str,
        new: Option<Kept<Arc<Tasks>>>,
    ) -> Option<Kept<Arc<Tasks>>> {
        let old = match new {
            Some(new) => {
                self.bytes += target_bytes(id, &new.value);
                self.targets.insert(id.to_owned(), new)
            }
            None => self.targets.remove(id),
        };
        if let Some(old) = &old {
            self.bytes -= target_bytes(id, &old.value);
        }
        old
    }

    /// Memory that it takes, bytes.
    pub fn bytes(&self) -> usize {
        let configured = self
            .configured
            .as_ref()
            .map_or(0, |_| self.topology.as_ref().map_or(0, |it| 2 * topology_bytes(&it.value)));
        size_of::<Self>() + self.bytes + self.owners.bytes() + configured
    }

    /// The same, counted anew.
    #[cfg(test)]
    pub fn counted_bytes(&self) -> usize {
        let topology = self.topology.as_ref().map_or(0, |it| topology_bytes(&it.value));
        let targets: usize = self.targets.iter().map(|(id, it)| target_bytes(id, &it.value)).sum();
        self.bytes() - self.bytes + topology + targets
    }
}
