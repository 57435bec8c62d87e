//! The metadata, as group coordinators look at them.

use super::state::State;
use crate::controller::{Image, Partition, Topic, TopicChange};
use crate::group::{ClusterView, TopicView};
use crate::types::{GroupConfig, TopicId};
use std::rc::Rc;
use std::sync::Arc;

/// So many partitions are compared in one go.
const PARTITIONS: usize = 1_024;

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

    fn has_racks(&self) -> bool {
        has_racks(&self.0)
    }

    fn racks(&self, topic: &str, partition: i32) -> Vec<&str> {
        let partition = self.0.topic(topic).and_then(|it| it.partitions.get(partition as usize));
        let replicas = partition.iter().flat_map(|it| it.replicas.iter());
        let mut racks: Vec<_> = replicas.filter_map(|it| rack(&self.0, *it)).collect();
        racks.sort_unstable();
        racks
    }

    fn group_config(&self, group_id: &str) -> GroupConfig {
        self.0.group_config(group_id)
    }
}

fn rack(image: &Image, broker: i32) -> Option<&str> {
    image.broker(broker)?.registration.rack.as_deref()
}

/// Whether any broker is in a rack.
fn has_racks(image: &Image) -> bool {
    image.brokers().any(|it| it.registration.rack.is_some())
}

/// Whether a broker is in another rack than before.
fn moved_racks(before: &Image, image: &Image) -> bool {
    let other = |a: &Image, b: &Image| {
        a.brokers().any(|it| {
            let id = it.registration.id;
            rack(a, id) != rack(b, id)
        })
    };
    !image.has_brokers_of(before) && (other(before, image) || other(image, before))
}

/// The topic as it was, where it has as many partitions now.
fn kept<'a>(change: &TopicChange<'_>, before: &'a Image) -> Option<&'a Arc<Topic>> {
    let TopicChange::There(topic) = change else { return None };
    let old = before.topic_by_id(topic.id)?;
    (old.partitions.len() == topic.partitions.len()).then_some(old)
}

/// How many partitions there are, and whether one has other replicas than before.
fn moved<'a>(both: impl Iterator<Item = (&'a Partition, &'a Partition)>) -> (usize, bool) {
    both.fold((0, false), |(looked, moved), (old, new)| {
        (looked + 1, moved || old.replicas != new.replicas)
    })
}

impl State {
    /// Groups see these metadata from now on.
    pub(super) fn show_groups(&self, image: &Arc<Image>) {
        self.groups.cluster.show(Rc::new(View(image.clone())), false);
    }

    /// Groups look anew at their topics where some came or went, got partitions, or have replicas in other racks.
    pub(super) async fn renew_group_topics(&self, before: &Image, image: &Arc<Image>) {
        let mut changed = moved_racks(before, image);
        let has_racks = has_racks(image);
        for change in image.changes_since(before) {
            let old = kept(&change, before);
            changed |= old.is_none();
            if let (Some(old), TopicChange::There(topic)) = (old, &change)
                && has_racks
            {
                changed |= self.has_moved(old, topic).await;
            }
            if changed {
                break;
            }
            self.pause().await;
        }
        if changed {
            self.groups.cluster.show(Rc::new(View(image.clone())), true);
        }
    }

    /// Whether replicas of a topic are on other brokers than before; some partitions at a time.
    async fn has_moved(&self, before: &Topic, topic: &Topic) -> bool {
        let mut both = before.partitions.iter().zip(topic.partitions.iter());
        loop {
            let (looked, moved) = moved(both.by_ref().take(PARTITIONS));
            self.work.add(looked as u64);
            if moved || looked < PARTITIONS {
                return moved;
            }
            self.pause().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::{NewPartition, PartitionChange, Record};

    const TOPIC: TopicId = TopicId([7; 16]);

    fn broker(id: i32, rack: Option<&str>) -> Record {
        let rack = rack.map(str::to_owned);
        Record::BrokerStarted { broker: id, host: "h".into(), port: 9092, rack }
    }

    fn replicas(of: &[i32], leader: i32) -> Record {
        let change = PartitionChange {
            leader: Some(leader),
            replicas: Some(of.into()),
            ..PartitionChange::default()
        };
        Record::PartitionsChanged { id: TOPIC, changes: vec![(1, change)] }
    }

    fn image() -> Image {
        let mut image = Image::new("c", 1, Arc::default());
        for (id, rack) in [(1, Some("b")), (2, Some("a")), (3, None), (4, Some("b"))] {
            image.apply(&broker(id, rack));
        }
        let everywhere: Arc<[i32]> = [1, 2, 3, 4].into();
        image.apply(&Record::TopicCreated {
            id: TOPIC,
            name: "t".into(),
            partitions: vec![NewPartition::new(everywhere); 2],
            settings: Vec::new(),
        });
        image
    }

    #[test]
    fn racks_of_replicas_are_sorted_and_without_those_that_have_none() {
        let mut image = image();
        image.apply(&replicas(&[3, 9], 3));
        let view = View(Arc::new(image));
        assert!(view.has_racks());
        assert_eq!(view.racks("t", 0), ["a", "b", "b"]);
        assert!(view.racks("t", 1).is_empty() && view.racks("t", 2).is_empty());
        assert!(view.racks("u", 0).is_empty());
        assert!(!View(Arc::new(Image::new("c", 1, Arc::default()))).has_racks());
    }

    #[test]
    fn replicas_and_brokers_that_move_are_seen_and_other_changes_are_not() {
        let before = image();
        let moved_to = |record: Record| {
            let mut after = before.clone();
            after.apply(&record);
            let topics = after.changes_since(&before);
            let others = topics.filter_map(|change| {
                let (old, TopicChange::There(new)) = (kept(&change, &before)?, &change) else {
                    return None;
                };
                Some(moved(old.partitions.iter().zip(new.partitions.iter())))
            });
            (moved_racks(&before, &after), others.collect::<Vec<_>>())
        };
        assert_eq!(moved_to(replicas(&[1, 2, 3, 4], 2)), (false, vec![(2, false)]), "a leader");
        assert_eq!(moved_to(replicas(&[1, 2, 3], 1)), (false, vec![(2, true)]));
        assert!(moved_to(broker(2, Some("c"))).0);
        assert!(moved_to(broker(3, Some("c"))).0);
        assert!(moved_to(broker(5, Some("a"))).0);
        assert!(!moved_to(broker(2, Some("a"))).0, "it started again");
    }
}
