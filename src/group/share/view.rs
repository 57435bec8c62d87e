//! The cluster's metadata as a share group looks at them: partitions without a state are not there yet.

use std::rc::Rc;
use std::sync::Arc;

use super::topics::ShareTopics;
use crate::group::cluster::{ClusterView, TopicView};
use crate::types::{GroupConfig, TopicId};

/// See the module.
#[derive(Debug)]
pub struct ShareView {
    /// All of it.
    pub whole: Rc<dyn ClusterView>,
    /// What has states.
    pub topics: Arc<ShareTopics>,
}

impl ShareView {
    fn known<'a>(&self, topic: TopicView<'a>) -> Option<TopicView<'a>> {
        let known = self.topics.get(&topic.id).map_or(0, |it| it.partitions);
        let partitions = topic.partitions.min(known);
        (partitions > 0).then_some(TopicView { partitions, ..topic })
    }
}

impl ClusterView for ShareView {
    fn topic(&self, name: &str) -> Option<TopicView<'_>> {
        self.whole.topic(name).and_then(|it| self.known(it))
    }

    fn topic_by_id(&self, id: TopicId) -> Option<TopicView<'_>> {
        self.whole.topic_by_id(id).and_then(|it| self.known(it))
    }

    fn names_after<'a>(&'a self, last: Option<&str>) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        self.whole.names_after(last)
    }

    fn has_racks(&self) -> bool {
        self.whole.has_racks()
    }

    fn racks(&self, topic: &str, partition: i32) -> Vec<&str> {
        self.whole.racks(topic, partition)
    }

    fn group_config(&self, group_id: &str) -> GroupConfig {
        self.whole.group_config(group_id)
    }
}
