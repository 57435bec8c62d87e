//! What batches above the watermark have changed among the producers, so that a truncation can take it
//! back: what a producer's table forgets with each new batch is known nowhere else but in the log.
//!
//! Only of a partition with several replicas: what is durable on the only one is never cut.

use super::producer::{BatchMeta, Producer};
use std::collections::VecDeque;

/// How it was before a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// The producer was not known.
    Absent,
    /// It was in the same epoch; the batch that had no more room.
    Known(Option<BatchMeta>),
    /// It was in another epoch.
    Other(Box<Producer>),
}

/// One batch's change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Offset of the batch's last record.
    pub last_offset: i64,
    /// The producer.
    pub id: i64,
    pub before: Before,
}

/// Changes in the order of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Undo {
    changes: VecDeque<Change>,
}

impl Undo {
    pub fn from_changes(changes: VecDeque<Change>) -> Self {
        Self { changes }
    }

    pub fn len(&self) -> usize {
        self.changes.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter()
    }

    pub fn push(&mut self, change: Change) {
        self.changes.push_back(change);
    }

    /// Forgets the oldest, so that no more are left than `most`.
    pub fn limit(&mut self, most: usize) {
        self.changes.drain(..self.changes.len().saturating_sub(most));
    }

    /// What lies below `offset` stays as it is.
    pub fn settle(&mut self, offset: i64) {
        while self.changes.front().is_some_and(|change| change.last_offset < offset) {
            self.changes.pop_front();
        }
        if self.changes.is_empty() {
            // Most partitions have none most of the time.
            self.changes = VecDeque::new();
        }
    }

    /// The newest change, if it is of a batch that reaches `end` or beyond.
    pub fn pop_from(&mut self, end: i64) -> Option<Change> {
        self.changes.back().filter(|change| change.last_offset >= end)?;
        self.changes.pop_back()
    }
}
