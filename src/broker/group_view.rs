//! The metadata, as group coordinators look at them.

use super::state::State;
use crate::controller::{Image, Topic, TopicChange};
use crate::group::{ClusterView, TopicView};
use crate::types::{GroupConfig, TopicId};
use std::rc::Rc;
use std::sync::Arc;

#[derive(Debug)]
struct View(Arc<Image>);

fn view(topic: &Arc<Topic>) -> TopicView<'_> {
    let partitions = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
    TopicView { name: &topic.name, id: topic.id, partitions }
}

impl ClusterView for View {
    fn topic(&self, name: &str) -> Option<TopicView<'_>> {
        self.0.topic(name).map(view)
    }

    fn topic_by_id(&self, id: TopicId) -> Option<TopicView<'_>> {
        self.0.topic_by_id(id).map(view)
    }

    fn names_after<'a>(&'a self, last: Option<&str>) -> Box<dyn Iterator<Item = &'a str> + 'a> {
        let names = self.0.topics_from(last.unwrap_or_default()).map(|it| &*it.name);
        // The first may be the last that was seen.
        let seen = last.and_then(|it| self.0.topic(it)).map(|it| &*it.name);
        Box::new(names.filter(move |it| seen != Some(*it)))
    }

    fn group_config(&self, group_id: &str) -> GroupConfig {
        self.0.group_config(group_id)
    }
}

/// Whether a topic came or went, or got partitions.
fn concerns_groups(change: &TopicChange<'_>, before: &Image) -> bool {
    match change {
        TopicChange::Gone(_) => true,
        TopicChange::There(topic) => {
            let old = before.topic_by_id(topic.id);
            old.is_none_or(|it| it.partitions.len() != topic.partitions.len())
        }
    }
}

impl State {
    /// Groups see these metadata from now on.
    pub(super) fn show_groups(&self, image: &Arc<Image>) {
        self.groups.cluster.show(Rc::new(View(image.clone())), false);
    }

    /// Groups look anew at their topics where some came or went, or got partitions.
    pub(super) async fn renew_group_topics(&self, before: &Image, image: &Arc<Image>) {
        for change in image.changes_since(before) {
            if concerns_groups(&change, before) {
                self.groups.cluster.show(Rc::new(View(image.clone())), true);
                return;
            }
            self.pause().await;
        }
    }
}
