//! Topics: every name has one owner, who alone creates, changes and deletes it. So the owner's
//! connection knows exactly what it must be told, and everybody else knows when a name certainly
//! means one incarnation of the topic.

use klamm::types::{Compression, TopicId};
use std::collections::BTreeMap;

/// A partition of one incarnation of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogKey {
    pub topic: usize,
    pub incarnation: u32,
    pub partition: i32,
}

/// What a topic was when a request was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    topic: usize,
    incarnation: u32,
    changes: u64,
    asked: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    Absent,
    Present,
    /// A change is under way, or its answer was lost.
    Unsure,
}

pub struct Topic {
    pub name: String,
    /// It may be deleted and created again.
    pub volatile: bool,
    pub presence: Presence,
    pub incarnation: u32,
    pub id: TopicId,
    changes: u64,
    /// Creations and deletions that were sent.
    asked: u64,
    /// As many as are acknowledged.
    pub partitions: i32,
    /// As many as were ever asked for.
    pub partitions_asked: i32,
    /// Settings as the owner was told they are; none where that is not known.
    pub settings: BTreeMap<&'static str, Option<String>>,
    /// Records younger than this are not removed by time; none where time removes nothing.
    pub retention_ms: Option<i64>,
    /// Size may remove anything.
    pub retention_bytes: bool,
    /// Of each key the last record stays; records have keys.
    pub compacted: bool,
    /// Tombstones stay for longer than any run lasts.
    pub tombstones_stay: bool,
    /// The broker stamps its records, by a clock that is never set.
    pub stamps_rise: bool,
    /// How its batches are stored; none where they are as they came.
    pub compression: Option<Compression>,
    /// Ids of incarnations that are gone.
    pub gone: Vec<TopicId>,
}

#[derive(Default)]
pub struct Topics(pub Vec<Topic>);

impl Topics {
    pub fn add(&mut self, name: &str, volatile: bool) -> usize {
        self.0.push(Topic {
            name: name.to_owned(),
            volatile,
            presence: Presence::Absent,
            incarnation: 0,
            id: TopicId::ZERO,
            changes: 0,
            asked: 0,
            partitions: 0,
            partitions_asked: 0,
            settings: BTreeMap::new(),
            retention_ms: None,
            retention_bytes: false,
            compacted: false,
            tombstones_stay: false,
            stamps_rise: false,
            compression: None,
            gone: Vec::new(),
        });
        self.0.len() - 1
    }

    /// Topics that are certainly there.
    pub fn present(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().filter(|(_, it)| it.presence == Presence::Present).map(|it| it.0)
    }

    /// All partitions that are certainly there.
    pub fn logs(&self) -> Vec<LogKey> {
        let of = |topic: usize| {
            let it = &self.0[topic];
            let incarnation = it.incarnation;
            (0..it.partitions).map(move |partition| LogKey { topic, incarnation, partition })
        };
        self.present().flat_map(of).collect()
    }

    pub fn stamp(&self, topic: usize) -> Stamp {
        let it = &self.0[topic];
        Stamp { topic, incarnation: it.incarnation, changes: it.changes, asked: it.asked }
    }

    /// Whether the topic was certainly there, and the same, from the stamp until now.
    pub fn holds(&self, stamp: Stamp) -> bool {
        let it = &self.0[stamp.topic];
        it.presence == Presence::Present && it.changes == stamp.changes
    }

    /// Whether the owner has sent no creation or deletion since the stamp.
    pub fn is_last_word(&self, stamp: Stamp) -> bool {
        self.0[stamp.topic].asked == stamp.asked
    }

    pub fn retains_all(&self, topic: usize) -> bool {
        let it = &self.0[topic];
        it.retention_ms.is_none() && !it.retention_bytes
    }

    // ---- What the owner does ----

    /// A creation or a deletion is sent.
    pub fn changing(&mut self, topic: usize) {
        let it = &mut self.0[topic];
        it.presence = Presence::Unsure;
        it.changes += 1;
        it.asked += 1;
    }

    /// It is there, under this id.
    pub fn is_there(&mut self, topic: usize, id: TopicId, partitions: i32) {
        let it = &mut self.0[topic];
        assert!(!it.gone.contains(&id), "{} came back as {id} after it was deleted", it.name);
        if it.id != id || it.presence != Presence::Present {
            it.changes += 1;
        }
        if it.id != id {
            if it.id != TopicId::ZERO {
                it.gone.push(it.id);
            }
            it.id = id;
            it.incarnation += 1;
            it.partitions = 0;
        }
        it.presence = Presence::Present;
        it.partitions = it.partitions.max(partitions);
    }

    /// It is not there.
    pub fn is_gone(&mut self, topic: usize) {
        let it = &mut self.0[topic];
        if it.presence != Presence::Absent {
            it.changes += 1;
        }
        it.presence = Presence::Absent;
        it.partitions = 0;
        if it.id != TopicId::ZERO {
            it.gone.push(it.id);
            it.id = TopicId::ZERO;
            it.incarnation += 1;
        }
    }
}
