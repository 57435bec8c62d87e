//! `OffsetCommit`, `OffsetFetch`, `OffsetDelete`.

use std::collections::BTreeSet;

use super::accepting::Accepting;
use super::context::Cx;
use super::effect::Ticket;
use super::offsets::{Offset, Topics};
use super::pending::Pending;
use super::queue::Queued;
use super::request::{Commit, DeleteOffsets, FetchOffsets, FetchTopic, GroupRequest, OffsetPlace};
use super::response::{
    Committed, CommittedTopic, DeletedOffsets, FetchedOffset, FetchedOffsets, FetchedTopic,
    GroupResponse, PartitionResult,
};
use super::state::{Group, State};
use super::subscription::Subscription;
use super::topic_index::TopicIndex;
use super::walk::{Asker, Task};
use crate::types::{ErrorCode, TopicId};

/// So many offsets are given in one go, where all are asked for.
const OFFSETS_A_STEP: usize = 512;

/// A write takes up commits that wait until it has this many records.
const RECORDS_PER_WRITE: usize = 4_096;

/// Accepts a commit now.
pub(super) fn accepting(cx: &Cx<'_>, ticket: Ticket, commit: Commit) -> Accepting {
    let at_ms = (cx.now.wall_ms, cx.clock_ms);
    Accepting::new(ticket, at_ms, cx.settings.offset_metadata_max_bytes, commit)
}

/// Partitions of a commit that are looked up at once, to see whether it takes more memory.
const REPLACED_AT_ONCE: usize = 4_096;

impl Group {
    /// Takes a commit, and with it those that wait in the queue right behind it: one write for all
    /// costs no more than one for each.
    pub(super) fn commit(&mut self, cx: &mut Cx<'_>, ticket: Ticket, commit: Commit) {
        let mut records = Vec::new();
        let mut commits = Vec::new();
        let mut next = Some((ticket, commit));
        while let Some((ticket, commit)) = next.take() {
            if commit.producer.is_some() {
                debug_assert!(commits.is_empty(), "it has a write of its own");
                return self.commit_staged(cx, ticket, commit);
            }
            match self.check_commit(&commit) {
                Ok(()) => {
                    // A commit is as good as a heartbeat.
                    if self.members.contains(&commit.member_id) {
                        self.renew(cx, &commit.member_id);
                    }
                    if commit.is_long() {
                        return self.accept_long(cx, ticket, commit);
                    }
                    let mut accepting = accepting(cx, ticket, commit);
                    accepting.go_on(&self.id, usize::MAX, &mut records, |_, _, _| true);
                    let pending = accepting.finish();
                    if pending.offsets.is_empty() {
                        cx.reply(pending.ticket, GroupResponse::Commit(pending.response));
                    } else {
                        commits.push(pending);
                    }
                }
                Err(error) => {
                    let refused = Committed::all(error);
                    cx.reply(ticket, GroupResponse::Commit(refused));
                }
            }
            if records.len() < RECORDS_PER_WRITE {
                next = self.next_queued_commit();
            }
        }
        if !commits.is_empty() {
            self.write(cx, Pending::Commits(commits), records);
        }
    }

    fn next_queued_commit(&mut self) -> Option<(Ticket, Commit)> {
        let item = self.queue.pop_front()?;
        match item {
            Queued::GroupRequest(ticket, request) => match *request {
                GroupRequest::Commit(commit) if !commit.is_long() && commit.producer.is_none() => {
                    return Some((ticket, commit));
                }
                other => self.queue.push_front(Queued::GroupRequest(ticket, Box::new(other))),
            },
            other @ Queued::TopicDeleted(..) => self.queue.push_front(other),
        }
        None
    }

    /// Whether a commit is of a member of this generation, or of nobody's who needs to be one. One that is part
    /// of a transaction may come while assignments are made: it is of offsets that were read before.
    pub(super) fn check_commit(&self, commit: &Commit) -> Result<(), ErrorCode> {
        if self.consumer.is_some() {
            return self.check_consumer_commit(commit);
        }
        let is_staged = commit.producer.is_some();
        if self.is_vacant() && commit.generation_id >= 0 {
            return Err(if commit.knows_group_id_not_found {
                ErrorCode::GROUP_ID_NOT_FOUND
            } else {
                ErrorCode::ILLEGAL_GENERATION
            });
        }
        if commit.generation_id < 0 && self.state == State::Empty {
            // An administrator, or a consumer that was told its partitions by its program.
            return Ok(());
        }
        let takes_part = commit.generation_id >= 0
            || !commit.member_id.is_empty()
            || commit.group_instance_id.is_some();
        if !takes_part {
            return if is_staged { Ok(()) } else { Err(ErrorCode::UNKNOWN_MEMBER_ID) };
        }
        self.members.check(&commit.member_id, commit.group_instance_id.as_deref())?;
        if commit.generation_id != self.generation_id {
            Err(ErrorCode::ILLEGAL_GENERATION)
        } else if self.state == State::CompletingRebalance && !is_staged {
            // It has joined, but does not know its assignment yet: the offset is of the last one.
            Err(ErrorCode::REBALANCE_IN_PROGRESS)
        } else {
            Ok(())
        }
    }

    /// Whether a commit only takes the place of what was committed before, and takes no more memory. One of
    /// very many partitions is not looked at: that would take too long.
    pub(super) fn only_replaces(&self, topics: &Topics, commit: &Commit) -> bool {
        let partitions: usize = commit.topics.iter().map(|it| it.partitions.len()).sum();
        partitions <= REPLACED_AT_ONCE
            && commit.topics.iter().all(|topic| {
                let index = topics.find(&topic.name);
                topic.partitions.iter().all(|it| {
                    let old = index.and_then(|index| self.offsets.get(index, it.partition));
                    let metadata = it.metadata.as_deref().unwrap_or_default();
                    old.is_some_and(|old| metadata.len() <= old.value().metadata.len())
                })
            })
    }

    /// The offsets asked for. A group that does not exist has none.
    pub(super) fn fetch_offsets(&self, topics: &Topics, request: FetchOffsets) -> FetchedOffsets {
        if let Err(error) = self.check_consumer_fetch(&request) {
            return FetchedOffsets::refused(error);
        }
        let (found, next) = match request.topics {
            Some(wanted) => {
                (wanted.into_iter().map(|it| self.fetch_topic(topics, it)).collect(), None)
            }
            None => self.fetch_some(topics, request.after),
        };
        let mut topics: Vec<FetchedTopic> = found;
        if request.require_stable && !self.staged.is_empty() {
            self.hide_unstable(&mut topics);
        }
        FetchedOffsets { error: ErrorCode::NONE, topics, next }
    }

    fn fetch_topic(&self, topics: &Topics, wanted: FetchTopic) -> FetchedTopic {
        let index = topics.find(&wanted.name);
        let same = |offset: &&Offset| {
            let id = offset.value().topic_id;
            let unknown = TopicId::default();
            id == wanted.topic_id || id == unknown || wanted.topic_id == unknown
        };
        let partitions = wanted
            .partitions
            .into_iter()
            .map(|partition| {
                let offset = index.and_then(|it| self.offsets.get(it, partition)).filter(same);
                fetched(partition, offset)
            })
            .collect();
        FetchedTopic { name: wanted.name, topic_id: wanted.topic_id, partitions }
    }

    fn fetch_some(
        &self,
        topics: &Topics,
        after: Option<OffsetPlace>,
    ) -> (Vec<FetchedTopic>, Option<OffsetPlace>) {
        let mut found = Vec::<(TopicIndex, FetchedTopic)>::new();
        let mut rest = self.offsets.after(after.map(|OffsetPlace(topic, it)| (topic, it)));
        let mut last = None;
        for (index, partition, offset) in rest.by_ref().take(OFFSETS_A_STEP) {
            last = Some(OffsetPlace(index, partition));
            let topic_id = offset.value().topic_id;
            // Topics come one after the other, partitions of a recreated one in a row.
            let known = found
                .iter_mut()
                .rev()
                .take_while(|(it, _)| *it == index)
                .find(|(_, it)| it.topic_id == topic_id);
            match known {
                Some((_, topic)) => topic.partitions.push(fetched(partition, Some(offset))),
                None => {
                    let name = topics.name(index).to_owned();
                    let partitions = vec![fetched(partition, Some(offset))];
                    found.push((index, FetchedTopic { name, topic_id, partitions }));
                }
            }
        }
        let mut found: Vec<_> = found.into_iter().map(|(_, topic)| topic).collect();
        found.sort_by(|a, b| (&a.name, a.topic_id).cmp(&(&b.name, b.topic_id)));
        (found, last.filter(|_| rest.next().is_some()))
    }

    /// Deletes offsets of topics that no member wants.
    pub(super) fn delete_offsets(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        request: DeleteOffsets,
    ) {
        let error = if self.is_vacant() {
            ErrorCode::GROUP_ID_NOT_FOUND
        } else if self.state != State::Empty && !self.is_consumer() {
            ErrorCode::NON_EMPTY_GROUP
        } else {
            ErrorCode::NONE
        };
        if error.is_err() {
            let refused = DeletedOffsets { error, topics: Vec::new() };
            cx.reply(ticket, GroupResponse::DeleteOffsets(refused));
            return;
        }
        if self.consumer.is_some() {
            self.delete_unwanted(cx, ticket, request, &Subscription::None);
        } else if self.is_consumer() {
            let (topics, asker) = (Some(BTreeSet::new()), Asker::Delete(ticket, request));
            self.walk(cx, Task::Subscribe { topics, asker });
        } else {
            self.delete_unwanted(cx, ticket, request, &Subscription::None);
        }
    }

    /// Deletes those offsets whose topics no member wants.
    pub(super) fn delete_unwanted(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        request: DeleteOffsets,
        subscription: &Subscription,
    ) {
        let mut offsets = Vec::new();
        let mut topics = Vec::with_capacity(request.topics.len());
        for topic in request.topics {
            let index = cx.topics.find(&topic.name);
            let error = if subscription.includes(&topic.name) || self.is_subscribed(&topic.name) {
                ErrorCode::GROUP_SUBSCRIBED_TO_TOPIC
            } else {
                let present = |it: &i32| index.is_some_and(|t| self.offsets.get(t, *it).is_some());
                let present = topic.partitions.iter().copied().filter(present);
                offsets.extend(present.filter_map(|it| Some((index?, it))));
                ErrorCode::NONE
            };
            let result = |partition| PartitionResult { partition, error };
            let partitions = topic.partitions.into_iter().map(result).collect();
            let topic_id = TopicId::default();
            topics.push(CommittedTopic { name: topic.name, topic_id, partitions });
        }
        let error = ErrorCode::NONE;
        let deleted = GroupResponse::DeleteOffsets(DeletedOffsets { error, topics });
        self.write_removal(cx, offsets, false, Some((ticket, deleted)));
    }
}

fn fetched(partition: i32, offset: Option<&Offset>) -> FetchedOffset {
    let value = offset.map(Offset::value);
    FetchedOffset {
        partition,
        offset: value.map_or(-1, |it| it.offset),
        leader_epoch: value.map_or(-1, |it| it.leader_epoch),
        metadata: value.map(|it| it.metadata.to_owned()).unwrap_or_default(),
        error: ErrorCode::NONE,
    }
}
