//! When offsets expire, and groups that have nothing left.

use std::collections::BTreeSet;

use super::context::Cx;
use super::offsets::Offset;
use super::queue::Queued;
use super::state::{Group, State};
use super::subscription::Subscription;
use super::topic_index::TopicIndex;
use super::walk::{Asker, Task};
use super::writes::REMOVED_AT_ONCE;
use crate::types::{Now, TopicId};

/// The time by which offsets grow old.
///
/// No clock lasts from one start to the next that nobody sets, and a wall's clock that is set forth
/// would let everything expire at once. So this one goes on, at the start, from the latest stamp in the
/// log, and then with the monotonic clock: the time when the broker did not run counts only as far as
/// stamps show it. Stamps that were set by a clock that went wrong, later than the wall's at the start,
/// count as stamps of the start.
#[derive(Clone, Copy, Debug)]
pub struct RetentionClock {
    /// The latest stamp until the start; then the time at the start.
    base_ms: i64,
    /// The start, by the monotonic clock.
    begun_ms: Option<i64>,
}

impl Default for RetentionClock {
    fn default() -> Self {
        Self { base_ms: i64::MIN, begun_ms: None }
    }
}

impl RetentionClock {
    /// A stamp of the log, before the start.
    pub fn saw(&mut self, timestamp_ms: i64) {
        self.base_ms = self.base_ms.max(timestamp_ms);
    }

    /// Starts. Gives the time where stamps are later.
    pub fn start(&mut self, now: Now) -> Option<i64> {
        let latest_ms = self.base_ms;
        self.begun_ms = Some(now.monotonic_ms);
        self.base_ms = if latest_ms == i64::MIN { now.wall_ms } else { latest_ms.min(now.wall_ms) };
        (latest_ms > self.base_ms).then_some(self.base_ms)
    }

    /// The time.
    pub fn now_ms(&self, now: Now) -> i64 {
        self.base_ms.saturating_add(self.begun_ms.map_or(0, |it| now.monotonic_ms - it))
    }
}

impl Group {
    /// Removes what has expired, of so many offsets behind `last`, and the group when it has neither
    /// members nor offsets. How many it looked at: where they are fewer than `room`, there are no more;
    /// `None` where the members are asked first what they want, and it is to be called again.
    pub(super) fn expire_offsets(
        &mut self,
        cx: &mut Cx<'_>,
        last: &mut Option<(TopicIndex, i32)>,
        room: usize,
    ) -> Option<usize> {
        // An offset's time runs from this moment, if that is later than its commit. While a group has
        // members, only topics that nobody wants expire, and only when it is known what they want.
        let since_ms = match (&self.protocol_type, self.state) {
            _ if self.consumer.is_some() => i64::MIN,
            (None, State::Empty) => i64::MIN,
            (Some(_), State::Empty) => self.since_ms,
            (Some(_), State::Stable) if self.is_consumer() => i64::MIN,
            _ => return Some(0),
        };
        if self.state == State::Stable && self.wanted.is_none() {
            let (topics, asker) = (Some(BTreeSet::new()), Asker::Sweep);
            self.walk(cx, Task::Subscribe { topics, asker });
        }
        if self.pending.is_some() {
            return None;
        }
        let subscription = self.wanted.take().unwrap_or(Subscription::None);
        if self.state == State::Stable && subscription == Subscription::Unknown {
            return Some(0);
        }
        let retention_ms = cx.settings.offsets_retention_ms;
        let expired = |offset: &Offset| {
            let value = offset.value();
            let (from_ms, lasts_ms) = if value.expire_timestamp_ms >= 0 {
                let lasts_ms = value.expire_timestamp_ms.saturating_sub(value.commit_timestamp_ms);
                (offset.since_ms(), lasts_ms)
            } else {
                (offset.since_ms().max(since_ms), retention_ms)
            };
            cx.clock_ms.saturating_sub(from_ms) >= lasts_ms
        };
        let mut looks = 0;
        let mut gone: Vec<(TopicIndex, i32)> = Vec::new();
        for (topic, partition, offset) in self.offsets.after(*last).take(room) {
            looks += 1;
            *last = Some((topic, partition));
            let name = cx.topics.name(topic);
            if expired(offset) && !subscription.includes(name) && !self.is_subscribed(name) {
                gone.push((topic, partition));
            }
        }
        if looks == room {
            self.wanted = Some(subscription);
        }
        let all = gone.len() == self.offsets.len();
        let no_members = self.state == State::Empty && self.member_count() == 0;
        let group = all && no_members && self.pending_joiners.is_empty();
        if !gone.is_empty() || (group && !self.is_vacant()) {
            self.write_removal(cx, gone, group, None);
        }
        Some(looks)
    }

    /// The group itself is of no later time than this.
    pub(super) fn not_after(&mut self, ms: i64) {
        self.since_ms = self.since_ms.min(ms);
    }

    /// Removes the offsets of a topic that was deleted; of many, some at first.
    pub(super) fn topic_deleted(&mut self, cx: &mut Cx<'_>, topic: &str, topic_id: TopicId) {
        let Some(index) = cx.topics.find(topic) else { return };
        let mut gone: Vec<_> = self
            .offsets
            .of_topic(index)
            .filter(|(_, offset)| {
                let id = offset.value().topic_id;
                id == topic_id || id == TopicId::default() || topic_id == TopicId::default()
            })
            .map(|(partition, _)| (index, partition))
            .take(REMOVED_AT_ONCE + 1)
            .collect();
        if gone.len() > REMOVED_AT_ONCE {
            gone.truncate(REMOVED_AT_ONCE);
            self.write_removal_part(cx, gone, Queued::TopicDeleted(topic.into(), topic_id));
        } else if !gone.is_empty() {
            self.write_removal(cx, gone, false, None);
        }
    }
}
