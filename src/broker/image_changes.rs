//! What is to be done to come from one image of the metadata to a later one.

use crate::controller::{Image, Topic, TopicChange};
use crate::types::{TopicId, TopicPartition};
use std::sync::Arc;

/// One step of taking over metadata.
pub enum Change<'a> {
    /// This partition is there, and new or not as it was.
    There(&'a Arc<Topic>, i32),
    /// A topic was deleted: its partitions follow.
    Going(TopicId),
    /// A partition of it.
    Gone(TopicPartition),
    /// They were all.
    AllGone(TopicId),
    /// A topic was deleted, and this shard may hold nothing of it.
    Deleting(TopicId),
}

/// What is to be done to come from one image to a later one, partition by partition. The first image
/// that is taken over comes after one of index 0.
pub fn changes<'a>(before: &'a Image, image: &'a Image) -> impl Iterator<Item = Change<'a>> {
    let of_topic = |change: TopicChange<'a>| {
        let (there, gone) = match change {
            TopicChange::There(topic) => (Some(topic), None),
            TopicChange::Gone(topic) => (None, Some(topic)),
        };
        let numbers = |topic: &'a Arc<Topic>| 0..topic.partitions.len() as i32;
        let there = there.into_iter();
        let there = there.flat_map(move |it| numbers(it).map(move |n| Change::There(it, n)));
        let gone = gone.into_iter().flat_map(move |it| {
            let tp = |partition| TopicPartition { topic: it.id, partition };
            // While they go, some may be gone already: the topic is not before it had all its turn.
            let partitions = numbers(it).map(move |n| Change::Gone(tp(n)));
            let (first, last) = (Change::Going(it.id), Change::AllGone(it.id));
            std::iter::once(first).chain(partitions).chain(std::iter::once(last))
        });
        there.chain(gone)
    };
    // One that was there is among those that are gone.
    let known = move |id: &TopicId| before.topic_by_id(*id).is_some();
    let deleting = image.deleting_since(before).filter(move |id| !known(id));
    image.changes_since(before).flat_map(of_topic).chain(deleting.map(Change::Deleting))
}
