//! What groups look at of the cluster's metadata: topics by name and id, and settings of groups.

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::rc::Rc;

use super::assignor::Topics;
use super::streams::topology::PartitionCounts;
use super::topic_regex::TopicNames;
use crate::types::{GroupConfig, TopicId};

/// A topic, as groups see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicView<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its id.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: i32,
}

/// The cluster's metadata at one moment.
pub trait ClusterView: Debug {
    /// The topic of this name.
    fn topic(&self, name: &str) -> Option<TopicView<'_>>;
    /// The topic with this id.
    fn topic_by_id(&self, id: TopicId) -> Option<TopicView<'_>>;
    /// The names of all topics, in order; those behind `last`, where it is given.
    fn names_after<'a>(&'a self, last: Option<&str>) -> Box<dyn Iterator<Item = &'a str> + 'a>;
    /// Whether any broker is in a rack: else [`racks`](Self::racks) gives none.
    fn has_racks(&self) -> bool;
    /// The racks of a partition's replicas, sorted; each as often as there are replicas in it.
    fn racks(&self, topic: &str, partition: i32) -> Vec<&str>;
    /// The settings of a group.
    fn group_config(&self, group_id: &str) -> GroupConfig;
}

/// The same, for what takes any such metadata.
#[derive(Clone, Copy, Debug)]
pub struct ViewRef<'a>(pub &'a dyn ClusterView);

impl Topics for ViewRef<'_> {
    fn partitions(&self, topic: TopicId) -> Option<i32> {
        self.0.topic_by_id(topic).map(|it| it.partitions)
    }
}

impl PartitionCounts for ViewRef<'_> {
    fn partitions(&self, topic: &str) -> Option<i32> {
        self.0.topic(topic).map(|it| it.partitions)
    }
}

impl TopicNames for ViewRef<'_> {
    fn names_after<'a>(&'a self, last: Option<&str>) -> impl Iterator<Item = &'a str> {
        self.0.names_after(last)
    }
}

/// A cluster without topics.
#[derive(Debug)]
struct Nothing;

impl ClusterView for Nothing {
    fn topic(&self, _: &str) -> Option<TopicView<'_>> {
        None
    }

    fn topic_by_id(&self, _: TopicId) -> Option<TopicView<'_>> {
        None
    }

    fn names_after<'a>(&'a self, _: Option<&str>) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        Box::new(std::iter::empty())
    }

    fn has_racks(&self) -> bool {
        false
    }

    fn racks(&self, _: &str, _: i32) -> Vec<&str> {
        Vec::new()
    }

    fn group_config(&self, _: &str) -> GroupConfig {
        GroupConfig::default()
    }
}

/// The metadata as it is now, shared by the coordinators of a shard.
#[derive(Clone, Debug)]
pub struct Cluster {
    view: Rc<RefCell<Rc<dyn ClusterView>>>,
    topics_version: Rc<Cell<u64>>,
}

impl Default for Cluster {
    /// Without topics.
    fn default() -> Self {
        let view: Rc<dyn ClusterView> = Rc::new(Nothing);
        Self { view: Rc::new(RefCell::new(view)), topics_version: Rc::default() }
    }
}

impl Cluster {
    /// Other metadata from now on; whether topics came or went, got partitions, or have replicas in other racks.
    pub fn show(&self, view: Rc<dyn ClusterView>, topics_changed: bool) {
        *self.view.borrow_mut() = view;
        self.topics_version.set(self.topics_version.get() + u64::from(topics_changed));
    }

    /// The metadata now.
    pub fn view(&self) -> Rc<dyn ClusterView> {
        Rc::clone(&self.view.borrow())
    }

    /// Another number whenever topics came or went, got partitions, or have replicas in other racks.
    pub fn topics_version(&self) -> u64 {
        self.topics_version.get()
    }
}
