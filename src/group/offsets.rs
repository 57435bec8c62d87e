//! Committed offsets, in little memory: topics by number, rare things beside.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, DefaultHasher, Hasher};
use std::ops::Bound;
use std::sync::Arc;

use super::memory::ENTRY;
use super::records::OffsetValue;
use super::topic_index::TopicIndex;
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

/// The topics that have offsets.
#[derive(Debug)]
pub struct Topics {
    by_name: HashMap<Arc<str>, TopicIndex, Seeded>,
    entries: Vec<Entry>,
    free: Vec<TopicIndex>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    /// The places of the groups that have offsets of it, and how many each.
    groups: BTreeMap<usize, usize>,
}

impl Entry {
    fn bytes(&self) -> usize {
        size_of::<Self>() + ENTRY + self.name.len() + self.groups.len() * ENTRY
    }
}

impl Topics {
    /// None.
    pub fn new(seed: u64) -> Self {
        Self {
            by_name: HashMap::with_hasher(Seeded(seed)),
            entries: Vec::new(),
            free: Vec::new(),
            bytes: 0,
        }
    }

    /// The topic's number, if it has offsets.
    pub fn find(&self, name: &str) -> Option<TopicIndex> {
        self.by_name.get(name).copied()
    }

    /// The topic's name.
    pub fn name(&self, index: TopicIndex) -> &str {
        &self.entries[index.0 as usize].name
    }

    /// The same, to keep.
    pub fn shared_name(&self, index: TopicIndex) -> &Arc<str> {
        &self.entries[index.0 as usize].name
    }

    /// The places, from this one on, of the groups that have offsets of the topic.
    pub fn groups_from(&self, index: TopicIndex, from: usize) -> impl Iterator<Item = usize> {
        self.entries[index.0 as usize].groups.range(from..).map(|(place, _)| *place)
    }

    /// Memory that they take, bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same, counted anew.
    #[cfg(test)]
    pub fn counted_bytes(&self) -> usize {
        self.by_name.values().map(|it| self.entries[it.0 as usize].bytes()).sum()
    }

    /// The topic's number, for an offset to come of the group at that place.
    fn take(&mut self, name: &str, group: usize) -> TopicIndex {
        let index = self.find(name).unwrap_or_else(|| self.add(name));
        let groups = &mut self.entries[index.0 as usize].groups;
        let before = groups.len();
        *groups.entry(group).or_default() += 1;
        self.bytes += (groups.len() - before) * ENTRY;
        index
    }

    fn add(&mut self, name: &str) -> TopicIndex {
        let entry = Entry { name: name.into(), groups: BTreeMap::new() };
        let index = match self.free.pop() {
            Some(index) => index,
            None => TopicIndex(u32::try_from(self.entries.len()).expect("fewer topics than that")),
        };
        self.bytes += entry.bytes();
        self.by_name.insert(Arc::clone(&entry.name), index);
        match self.entries.get_mut(index.0 as usize) {
            Some(free) => *free = entry,
            None => self.entries.push(entry),
        }
        index
    }

    /// An offset less of that group refers to the topic.
    fn give(&mut self, index: TopicIndex, group: usize) {
        let entry = &mut self.entries[index.0 as usize];
        let Some(uses) = entry.groups.get_mut(&group) else {
            debug_assert!(false, "a group gives back what it has not taken");
            return;
        };
        *uses -= 1;
        if *uses == 0 {
            entry.groups.remove(&group);
            self.bytes -= ENTRY;
        }
        if entry.groups.is_empty() {
            self.bytes -= entry.bytes();
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

    /// It was not committed later than this.
    pub fn not_after(&mut self, ms: i64) {
        self.since_ms = self.since_ms.min(ms);
    }

    /// Memory that it takes, bytes.
    fn bytes(&self) -> usize {
        let rare = self.rare.as_ref().map_or(0, |it| size_of::<Rare>() + it.metadata.len());
        size_of::<Self>() + ENTRY + rare
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

/// What changes with the offsets of a group.
pub struct Around<'a> {
    /// The topics of all groups.
    pub topics: &'a mut Topics,
    /// Bytes of all records.
    pub live_bytes: &'a mut u64,
    /// The group.
    pub group: &'a str,
    /// Its place.
    pub key: usize,
}

/// The offsets of one group.
#[derive(Debug, Default)]
pub struct Offsets {
    map: BTreeMap<(TopicIndex, i32), Offset>,
    bytes: usize,
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

    /// Those of one topic, by partition number.
    pub fn of_topic(&self, topic: TopicIndex) -> impl Iterator<Item = (i32, &Offset)> {
        self.map
            .range((topic, i32::MIN)..=(topic, i32::MAX))
            .map(|(&(_, partition), offset)| (partition, offset))
    }

    /// Memory that they take, bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same, counted anew.
    #[cfg(test)]
    pub fn counted_bytes(&self) -> usize {
        self.map.values().map(Offset::bytes).sum()
    }

    /// Those after this one, topic by topic, by partition number; all of them for `None`.
    pub fn after(
        &self,
        last: Option<(TopicIndex, i32)>,
    ) -> impl Iterator<Item = (TopicIndex, i32, &Offset)> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.map.range((from, Bound::Unbounded));
        rest.map(|(&(topic, partition), offset)| (topic, partition, offset))
    }

    /// The same, to be changed.
    pub fn after_mut(
        &mut self,
        last: Option<(TopicIndex, i32)>,
    ) -> impl Iterator<Item = (TopicIndex, i32, &mut Offset)> {
        let from = last.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.map.range_mut((from, Bound::Unbounded));
        rest.map(|(&(topic, partition), offset)| (topic, partition, offset))
    }

    /// Sets the offset of a partition.
    pub fn insert(&mut self, around: &mut Around<'_>, topic: &str, partition: i32, offset: Offset) {
        let index = around.topics.take(topic, around.key);
        *around.live_bytes += offset.value().record_bytes(around.group, topic);
        self.bytes += offset.bytes();
        if let Some(old) = self.map.insert((index, partition), offset) {
            around.topics.give(index, around.key);
            *around.live_bytes -= old.value().record_bytes(around.group, topic);
            self.bytes -= old.bytes();
        }
    }

    /// Removes the offset of a partition, if there is one.
    pub fn remove(&mut self, around: &mut Around<'_>, topic: TopicIndex, partition: i32) {
        if let Some(old) = self.map.remove(&(topic, partition)) {
            let name = around.topics.name(topic);
            *around.live_bytes -= old.value().record_bytes(around.group, name);
            around.topics.give(topic, around.key);
            self.bytes -= old.bytes();
        }
    }
}
