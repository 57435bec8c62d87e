//! How many partitions topics have, or are to have.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::configured::PartitionCounts;

/// The counts that are known so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Of each topic that was asked for: how many it has, if it exists.
    existing: BTreeMap<Arc<str>, Option<i32>>,
    /// Of internal topics: how many they are to have.
    decided: BTreeMap<Arc<str>, i32>,
}

impl Counts {
    /// How many a topic has; each is asked for once, so it is one answer for all that follows.
    pub fn look(&mut self, topic: &Arc<str>, topics: &impl PartitionCounts) -> Option<i32> {
        match self.existing.get(topic) {
            Some(known) => *known,
            None => {
                let found = topics.partitions(topic);
                self.existing.insert(Arc::clone(topic), found);
                found
            }
        }
    }

    /// How many a topic has that was asked for before.
    pub fn existing(&self, topic: &str) -> Option<i32> {
        self.existing.get(topic).copied().flatten()
    }

    /// How many it has; where it does not exist, how many it is to have.
    pub fn count(&self, topic: &str) -> Option<i32> {
        self.existing(topic).or_else(|| self.decided(topic))
    }

    /// How many it is to have.
    pub fn decided(&self, topic: &str) -> Option<i32> {
        self.decided.get(topic).copied()
    }

    /// It is to have so many.
    pub fn decide(&mut self, topic: &Arc<str>, count: i32) {
        self.decided.insert(Arc::clone(topic), count);
    }
}
