//! Committed offsets, in little memory: topics by number, rare things beside.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, DefaultHasher, Hasher};
use std::sync::Arc;

use super::records::OffsetValue;
use crate::types::TopicId;

/// Hashes names with a number that clients do not know, so that they cannot choose names that
/// collide. The same number gives the same order, always.
#[derive(Clone, Copy, Debug)]
pub struct Seeded(pub u64);

impl BuildHasher for Seeded {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

/// The number of a topic's name, as long as there are offsets of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicIndex(u32);

/// The topics that have offsets.
#[derive(Debug)]
pub struct Topics {
    by_name: HashMap<Arc<str>, TopicIndex, Seeded>,
    entries: Vec<Entry>,
    free: Vec<TopicIndex>,
}

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    /// Offsets that refer to it.
    uses: usize,
}

impl Topics {
    /// None.
    pub fn new(seed: u64) -> Self {
        Self { by_name: HashMap::with_hasher(Seeded(seed)), entries: Vec::new(), free: Vec::new() }
    }

    /// The topic's number, if it has offsets.
    pub fn find(&self, name: &str) -> Option<TopicIndex> {
        self.by_name.get(name).copied()
    }

    /// The topic's name.
    pub fn name(&self, index: TopicIndex) -> &str {
        &self.entries[index.0 as usize].name
    }

    /// The topic's number, for an offset to come.
    fn take(&mut self, name: &str) -> TopicIndex {
        if let Some(index) = self.find(name) {
            self.entries[index.0 as usize].uses += 1;
            return index;
        }
        let entry = Entry { name: name.into(), uses: 1 };
        let index = match self.free.pop() {
            Some(index) => index,
            None => TopicIndex(u32::try_from(self.entries.len()).expect("fewer topics than that")),
        };
        self.by_name.insert(Arc::clone(&entry.name), index);
        match self.entries.get_mut(index.0 as usize) {
            Some(free) => *free = entry,
            None => self.entries.push(entry),
        }
        index
    }

    /// An offset less refers to the topic.
    fn give(&mut self, index: TopicIndex) {
        let entry = &mut self.entries[index.0 as usize];
        entry.uses -= 1;
        if entry.uses == 0 {
            self.by_name.remove(&entry.name);
            entry.name = Arc::default();
            self.free.push(index);
        }
    }
}

/// One committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offset {
    next: i64,
    commit_timestamp_ms: i64,
    /// When it was committed, by the clock that offsets expire by.
    since_ms: i64,
    topic_id: TopicId,
    leader_epoch: i32,
    /// Most offsets have neither metadata nor an expiry of their own.
    rare: Option<Box<Rare>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rare {
    metadata: Box<str>,
    expire_timestamp_ms: i64,
}

impl Offset {
    /// The offset that a record holds, and when it was committed by the clock that offsets expire by.
    pub fn new(value: OffsetValue<'_>, since_ms: i64) -> Self {
        let rare = !value.metadata.is_empty() || value.expire_timestamp_ms >= 0;
        Self {
            next: value.offset,
            commit_timestamp_ms: value.commit_timestamp_ms,
            since_ms,
            topic_id: value.topic_id,
            leader_epoch: value.leader_epoch,
            rare: rare.then(|| {
                Box::new(Rare {
                    metadata: value.metadata.into(),
                    expire_timestamp_ms: value.expire_timestamp_ms,
                })
            }),
        }
    }

    /// When it was committed, by the clock that offsets expire by.
    pub const fn since_ms(&self) -> i64 {
        self.since_ms
    }

    /// As a record holds it.
    pub fn value(&self) -> OffsetValue<'_> {
        OffsetValue {
            offset: self.next,
            leader_epoch: self.leader_epoch,
            metadata: self.rare.as_ref().map_or("", |it| &it.metadata),
            commit_timestamp_ms: self.commit_timestamp_ms,
            expire_timestamp_ms: self.rare.as_ref().map_or(-1, |it| it.expire_timestamp_ms),
            topic_id: self.topic_id,
        }
    }
}

/// The offsets of one group.
#[derive(Debug, Default)]
pub struct Offsets {
    map: BTreeMap<(TopicIndex, i32), Offset>,
}

impl Offsets {
    /// How many.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The offset of a partition.
    pub fn get(&self, topic: TopicIndex, partition: i32) -> Option<&Offset> {
        self.map.get(&(topic, partition))
    }

    /// All, topic by topic, by partition number.
    pub fn iter(&self) -> impl Iterator<Item = (TopicIndex, i32, &Offset)> {
        self.map.iter().map(|(&(topic, partition), offset)| (topic, partition, offset))
    }

    /// None of them was committed later than this.
    pub fn not_after(&mut self, ms: i64) {
        self.map.values_mut().for_each(|it| it.since_ms = it.since_ms.min(ms));
    }

    /// Those of one topic, by partition number.
    pub fn of_topic(&self, topic: TopicIndex) -> impl Iterator<Item = (i32, &Offset)> {
        self.map
            .range((topic, i32::MIN)..=(topic, i32::MAX))
            .map(|(&(_, partition), offset)| (partition, offset))
    }

    /// Sets the offset of a partition. `live_bytes` is corrected by the difference.
    pub fn insert(
        &mut self,
        topics: &mut Topics,
        live_bytes: &mut u64,
        group: &str,
        topic: &str,
        partition: i32,
        offset: Offset,
    ) {
        let index = topics.take(topic);
        *live_bytes += offset.value().record_bytes(group, topic);
        if let Some(old) = self.map.insert((index, partition), offset) {
            topics.give(index);
            *live_bytes -= old.value().record_bytes(group, topic);
        }
    }

    /// Removes the offset of a partition, if there is one.
    pub fn remove(
        &mut self,
        topics: &mut Topics,
        live_bytes: &mut u64,
        group: &str,
        topic: TopicIndex,
        partition: i32,
    ) {
        if let Some(old) = self.map.remove(&(topic, partition)) {
            *live_bytes -= old.value().record_bytes(group, topics.name(topic));
            topics.give(topic);
        }
    }
}
