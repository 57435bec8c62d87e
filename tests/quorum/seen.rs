//! What was seen of all members together, and what must hold of it.

use crate::brokers::Histories;
use crate::node::{Node, Proposed};
use klamm::controller::{Image, NewPartition, Record};
use klamm::types::TopicId;
use std::collections::BTreeMap;

/// What an image shows that is the same for every member: topics, by name, and the next producer id.
type Shown = (Vec<(String, TopicId)>, i64);

/// A topic that a client was told of.
#[derive(Debug, PartialEq)]
pub struct Acknowledged {
    /// By the leader of this term.
    term: u64,
    /// The image in which it was.
    index: u64,
    number: u32,
}

/// See the module.
#[derive(Debug, Default, PartialEq)]
pub struct Seen {
    /// Who led, by term.
    pub leaders: BTreeMap<u64, i32>,
    /// Images, by index.
    images: BTreeMap<u64, Shown>,
    pub acknowledged: Vec<Acknowledged>,
    /// Snapshots that were sent.
    pub snapshots: usize,
    /// Changes of the members that were begun.
    pub changes: usize,
    /// Messages that were lost.
    pub lost: usize,
    /// What became of partitions.
    pub brokers: Histories,
}

fn topic_id(number: u32) -> TopicId {
    let mut id = [0; 16];
    id[12..].copy_from_slice(&number.to_be_bytes());
    TopicId(id)
}

/// The change that makes this topic.
pub fn topic(number: u32, long: bool) -> Record {
    let value = "x".repeat(if long { 4_000 } else { 10 });
    Record::TopicCreated {
        id: topic_id(number),
        name: format!("topic-{number}"),
        partitions: vec![NewPartition::new([1])],
        settings: vec![("nonsense".to_owned(), value)],
    }
}

/// Whether this topic is there.
pub fn has(image: &Image, number: u32) -> bool {
    image.topic_by_id(topic_id(number)).is_some()
}

fn shown(image: &Image) -> Shown {
    let topics = image.topics().map(|it| (it.name.to_string(), it.id)).collect();
    (topics, image.next_producer_id)
}

impl Seen {
    /// Whether this topic was acknowledged.
    pub fn is_acknowledged(&self, number: u32) -> bool {
        self.acknowledged.iter().any(|it| it.number == number)
    }

    /// Looks at a member after it has done something.
    pub fn look(&mut self, node: &mut Node) {
        let Some(controller) = &mut node.controller else { return };
        let term = controller.leads().then(|| controller.term());
        if let Some(term) = term {
            let leader = *self.leaders.entry(term).or_insert(node.id);
            assert_eq!(leader, node.id, "two leaders in term {term}");
        }
        node.proposed.retain(|it| Some(it.term) == term);
        let Some(image) = controller.take_image() else { return };
        assert!(image.index >= node.image_index, "an image of the past");
        node.image_index = image.index;
        let shown = shown(&image);
        let same = self.images.entry(image.index).or_insert_with(|| shown.clone());
        assert_eq!(*same, shown, "two images of index {}", image.index);
        for it in self.acknowledged.iter().filter(|it| it.index <= image.index) {
            assert!(has(&image, it.number), "topic {} is lost", it.number);
        }
        for done in node.proposed.extract_if(.., |it| it.index <= image.index) {
            assert!(has(&image, done.number), "topic {} was not made", done.number);
            let Proposed { term, number, .. } = done;
            self.acknowledged.push(Acknowledged { term, index: image.index, number });
        }
    }

    /// What a leader checks requests against has all that leaders before it have acknowledged. One that does
    /// not know yet that it was followed by another may miss what that one has.
    pub fn look_at_draft(&self, term: u64, draft: &Image) {
        for it in self.acknowledged.iter().filter(|it| it.term <= term) {
            assert!(has(draft, it.number), "a leader does not know of topic {}", it.number);
        }
    }
}
