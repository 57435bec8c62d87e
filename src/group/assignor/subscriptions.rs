//! Who subscribes to what, by numbers: members with the same subscription are one class.

use super::spec::Topics;
use crate::types::TopicId;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// A topic that exists and has subscribers.
#[derive(Debug)]
pub struct Topic {
    /// Its id.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: usize,
    /// Which classes subscribe to it.
    pub classes: Vec<u32>,
    /// How many members do.
    pub subscribers: usize,
}

/// A subscription, and who has it.
#[derive(Debug)]
pub struct Class {
    /// By number, in the order of their ids.
    pub topics: Vec<u32>,
    /// Whether each topic knows of the class: so many do.
    told: usize,
    /// How many members have it.
    pub members: usize,
}

/// Topics and classes, each by a number from 0.
#[derive(Debug, Default)]
pub struct Subscriptions {
    /// The topics.
    pub topics: Vec<Topic>,
    /// The classes.
    pub classes: Vec<Class>,
    /// The class of each member.
    pub class_of: Vec<u32>,
    by_id: BTreeMap<TopicId, Option<u32>>,
    /// Classes by the address of a set that [`held`](Self::held) keeps alive.
    by_address: BTreeMap<usize, u32>,
    held: Vec<Arc<BTreeSet<TopicId>>>,
    /// Classes whose topics have this hash.
    by_hash: BTreeMap<u64, Vec<u32>>,
    reading: Option<Reading>,
    /// Classes whose topics know of them.
    counted: usize,
}

/// A subscription that was read so far.
#[derive(Debug, Default)]
struct Reading {
    last: Option<TopicId>,
    topics: Vec<u32>,
    hash: u64,
}

impl Subscriptions {
    /// The number of a topic, where it exists and somebody subscribes to it.
    pub fn topic(&self, id: TopicId) -> Option<u32> {
        self.by_id.get(&id).copied().flatten()
    }

    /// Reads what the next member subscribes to. `false` where there was not enough room for it: goes on then with
    /// the same member.
    pub fn read(
        &mut self,
        subscribed: &Arc<BTreeSet<TopicId>>,
        known: &impl Topics,
        room: &mut usize,
    ) -> bool {
        let address = Arc::as_ptr(subscribed) as usize;
        if let Some(class) = self.by_address.get(&address).copied() {
            self.enter(class, room);
            return true;
        }
        let mut reading = self.reading.take().unwrap_or_default();
        let from = reading.last.map_or(Bound::Unbounded, Bound::Excluded);
        for id in subscribed.range((from, Bound::Unbounded)) {
            if *room == 0 {
                self.reading = Some(reading);
                return false;
            }
            *room -= 1;
            reading.last = Some(*id);
            if let Some(topic) = self.number(*id, known) {
                reading.topics.push(topic);
                // FNV-1a by words: whoever finds an equal hash compares.
                reading.hash =
                    (reading.hash ^ u64::from(topic)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        let class = self.class(reading);
        self.by_address.insert(address, class);
        self.held.push(Arc::clone(subscribed));
        self.enter(class, room);
        true
    }

    /// Tells the topics of their classes. `false` where there was not enough room for it.
    pub fn count(&mut self, room: &mut usize) -> bool {
        while let Some(class) = self.classes.get_mut(self.counted) {
            while let Some(topic) = class.topics.get(class.told) {
                if *room == 0 {
                    return false;
                }
                *room -= 1;
                class.told += 1;
                let topic = &mut self.topics[*topic as usize];
                topic.classes.push(self.counted as u32);
                topic.subscribers += class.members;
            }
            self.counted += 1;
        }
        true
    }

    fn enter(&mut self, class: u32, room: &mut usize) {
        *room = room.saturating_sub(1);
        self.classes[class as usize].members += 1;
        self.class_of.push(class);
    }

    fn number(&mut self, id: TopicId, known: &impl Topics) -> Option<u32> {
        let topics = &mut self.topics;
        *self.by_id.entry(id).or_insert_with(|| {
            let partitions = usize::try_from(known.partitions(id)?).unwrap_or_default();
            topics.push(Topic { id, partitions, classes: Vec::new(), subscribers: 0 });
            Some(topics.len() as u32 - 1)
        })
    }

    fn class(&mut self, reading: Reading) -> u32 {
        let same = self.by_hash.entry(reading.hash).or_default();
        let found = same.iter().find(|it| self.classes[**it as usize].topics == reading.topics);
        if let Some(class) = found {
            return *class;
        }
        let class = self.classes.len() as u32;
        same.push(class);
        self.classes.push(Class { topics: reading.topics, told: 0, members: 0 });
        class
    }
}
