//! When offsets expire, and groups that have nothing left.

use std::collections::BTreeSet;

use super::coordinator::Cx;
use super::offsets::{Offset, TopicIndex};
use super::state::{Group, State};
use crate::types::TopicId;

/// A write of tombstones has at most this many records; the rest comes with the next sweep.
const TOMBSTONES_PER_WRITE: usize = 65_536;

/// Which topics the members of a group want.
#[derive(Debug, PartialEq, Eq)]
pub enum Subscription {
    /// These.
    Topics(BTreeSet<String>),
    /// Unknown, and so perhaps any: a consumer's metadata cannot be read.
    Unknown,
    /// The members are no consumers, or there are none.
    None,
}

impl Subscription {
    /// Whether a member may want the topic.
    pub fn includes(&self, topic: &str) -> bool {
        match self {
            Self::Topics(topics) => topics.contains(topic),
            Self::Unknown => true,
            Self::None => false,
        }
    }
}

impl Group {
    /// What the members want.
    pub(super) fn subscription(&self) -> Subscription {
        if !self.is_consumer() {
            Subscription::None
        } else if let Some(topics) = self.subscribed_topics() {
            Subscription::Topics(topics)
        } else {
            Subscription::Unknown
        }
    }

    /// Removes what has expired: offsets, and the group when it has neither members nor offsets.
    pub(super) fn expire_offsets(&mut self, cx: &mut Cx<'_>) {
        let subscription = self.subscription();
        // An offset's time runs from this moment, if that is later than its commit; `None` while
        // offsets do not expire. While a group has members, only topics that nobody wants do, and
        // only when it is known what they want.
        let since_ms = match (&self.protocol_type, self.state) {
            (None, State::Empty) => Some(i64::MIN),
            (Some(_), State::Empty) => Some(self.state_timestamp_ms),
            (Some(_), State::Stable) if matches!(subscription, Subscription::Topics(_)) => {
                Some(i64::MIN)
            }
            _ => None,
        };
        let Some(since_ms) = since_ms else { return };
        let retention_ms = cx.settings.offsets_retention_ms;
        let expired = |offset: &Offset| {
            let value = offset.value();
            if value.expire_timestamp_ms >= 0 {
                cx.now_ms >= value.expire_timestamp_ms
            } else {
                let from_ms = value.commit_timestamp_ms.max(since_ms);
                cx.now_ms.saturating_sub(from_ms) >= retention_ms
            }
        };
        let gone: Vec<(TopicIndex, i32)> = self
            .offsets
            .iter()
            .filter(|(topic, _, offset)| {
                expired(offset) && !subscription.includes(cx.topics.name(*topic))
            })
            .map(|(topic, partition, _)| (topic, partition))
            .take(TOMBSTONES_PER_WRITE)
            .collect();
        let all = gone.len() == self.offsets.len();
        let group = all && self.state == State::Empty && self.pending_joiners.is_empty();
        if !gone.is_empty() || (group && !self.is_vacant()) {
            self.write_removal(cx, gone, group, None);
        }
    }

    /// Removes the offsets of a topic that was deleted.
    pub(super) fn topic_deleted(&mut self, cx: &mut Cx<'_>, topic: &str, topic_id: TopicId) {
        let Some(index) = cx.topics.find(topic) else { return };
        let gone: Vec<_> = self
            .offsets
            .of_topic(index)
            .filter(|(_, offset)| {
                let id = offset.value().topic_id;
                id == topic_id || id == TopicId::default() || topic_id == TopicId::default()
            })
            .map(|(partition, _)| (index, partition))
            .collect();
        if !gone.is_empty() {
            self.write_removal(cx, gone, false, None);
        }
    }
}
