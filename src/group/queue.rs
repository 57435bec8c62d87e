//! What of a group has to wait, and how much memory that takes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::effect::Ticket;
use super::memory::{ENTRY, request_bytes};
use super::request::GroupRequest;
use crate::types::TopicId;

/// What waits while a write of the group is pending.
#[derive(Debug)]
pub enum Queued {
    /// A request.
    GroupRequest(Ticket, Box<GroupRequest>),
    /// A topic was deleted: its name and id.
    TopicDeleted(Arc<str>, TopicId),
}

/// Requests that wait while a write of the group is pending.
#[derive(Debug, Default)]
pub struct Queue {
    items: VecDeque<Queued>,
    bytes: usize,
}

fn bytes_of(item: &Queued) -> usize {
    match item {
        Queued::GroupRequest(_, request) => request_bytes(request),
        Queued::TopicDeleted(topic, _) => ENTRY + topic.len(),
    }
}

impl Queue {
    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Memory that it takes, bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same, counted anew.
    #[cfg(test)]
    pub fn counted_bytes(&self) -> usize {
        self.items.iter().map(bytes_of).sum()
    }

    /// Waits behind the others.
    pub fn push_back(&mut self, item: Queued) {
        self.bytes += bytes_of(&item);
        self.items.push_back(item);
    }

    /// Waits before the others.
    pub fn push_front(&mut self, item: Queued) {
        self.bytes += bytes_of(&item);
        self.items.push_front(item);
    }

    /// The next.
    pub fn pop_front(&mut self) -> Option<Queued> {
        let item = self.items.pop_front()?;
        self.bytes -= bytes_of(&item);
        if self.items.is_empty() {
            self.items = VecDeque::new();
        }
        Some(item)
    }
}

/// Ids given out with `MEMBER_ID_REQUIRED`, and until when they can be used.
#[derive(Debug, Default)]
pub struct PendingJoiners {
    until_ms: BTreeMap<String, i64>,
    bytes: usize,
}

impl PendingJoiners {
    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.until_ms.is_empty()
    }

    /// Whether this id was given out.
    pub fn contains(&self, id: &str) -> bool {
        self.until_ms.contains_key(id)
    }

    /// Memory that they take, bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The same, counted anew.
    #[cfg(test)]
    pub fn counted_bytes(&self) -> usize {
        self.until_ms.keys().map(|it| ENTRY + it.len()).sum()
    }

    /// An id that nobody has is given out.
    pub fn insert(&mut self, id: String, until_ms: i64) {
        let bytes = ENTRY + id.len();
        if self.until_ms.insert(id, until_ms).is_none() {
            self.bytes += bytes;
        }
    }

    /// An id is used, or not wanted any more; whether it was given out.
    pub fn remove(&mut self, id: &str) -> bool {
        let removed = self.until_ms.remove(id).is_some();
        if removed {
            self.bytes -= ENTRY + id.len();
        }
        removed
    }

    /// All are forgotten.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Those whose time is over are forgotten; whether there were any.
    pub fn expire(&mut self, now_ms: i64) -> bool {
        let bytes = &mut self.bytes;
        let before = self.until_ms.len();
        self.until_ms.retain(|id, until_ms| {
            let stays = *until_ms > now_ms;
            *bytes -= if stays { 0 } else { ENTRY + id.len() };
            stays
        });
        self.until_ms.len() < before
    }

    /// When the first of them is forgotten.
    pub fn next_deadline_ms(&self) -> i64 {
        self.until_ms.values().min().copied().unwrap_or(i64::MAX)
    }
}
