//! What becomes of a commit: the records of its offsets, and its answer. Of very many offsets, some at a
//! time.
//!
//! While a long commit is taken apart, and again when its write is durable and its offsets are entered, the
//! group does nothing else, as while a write is pending: whoever waits in its queue sees all of the commit
//! or nothing of it. Its records are one write.

use std::vec::IntoIter;

use super::context::Cx;
use super::effect::{Effect, Ticket};
use super::memory::{ENTRY, request_bytes};
use super::offsets::Offset;
use super::pending::{Pending, PendingCommit};
use super::records::{OffsetValue, Record};
use super::request::{Commit, CommitOffset, CommitTopic, GroupRequest};
use super::response::{Committed, CommittedTopic, GroupResponse, PartitionResult};
use super::state::Group;
use crate::types::{ErrorCode, TopicId};

/// A commit of more offsets is taken some at a time.
pub const LONG_COMMIT: usize = 512;

/// Longest metadata that fits Kafka's strings, in bytes.
const METADATA_BYTES_MAX: usize = i16::MAX as usize;

/// How many offsets a commit has.
pub(super) fn offsets_of(commit: &Commit) -> usize {
    commit.topics.iter().map(|it| it.partitions.len()).sum()
}

/// A commit that is accepted, and how far its records are made.
#[derive(Debug)]
pub struct Accepting {
    ticket: Ticket,
    /// When it was accepted, by the wall's clock and by the one that offsets expire by.
    at_ms: (i64, i64),
    expire_timestamp_ms: i64,
    metadata_max: usize,
    topics: IntoIter<CommitTopic>,
    /// What is left of the topic at hand.
    partitions: IntoIter<CommitOffset>,
    response: Committed,
    offsets: Vec<(String, i32, Offset)>,
}

impl Accepting {
    /// This one.
    pub fn new(cx: &Cx<'_>, ticket: Ticket, commit: Commit) -> Self {
        let metadata_max = usize::try_from(cx.settings.offset_metadata_max_bytes).unwrap_or(0);
        let expire_timestamp_ms = match commit.retention_ms {
            -1 => -1,
            retention_ms => cx.now.wall_ms.saturating_add(retention_ms).max(0),
        };
        let offsets = Vec::with_capacity(offsets_of(&commit));
        let topics = Vec::with_capacity(commit.topics.len());
        Self {
            ticket,
            at_ms: (cx.now.wall_ms, cx.clock_ms),
            expire_timestamp_ms,
            metadata_max: metadata_max.min(METADATA_BYTES_MAX),
            topics: commit.topics.into_iter(),
            partitions: Vec::new().into_iter(),
            response: Committed { error: ErrorCode::NONE, topics },
            offsets,
        }
    }

    /// Makes records of about so many offsets and topics; of how many, 0 at the end.
    pub fn go_on(&mut self, group: &str, steps: usize, records: &mut Vec<Record>) -> usize {
        let mut taken = 0;
        while taken < steps {
            let Some(it) = self.partitions.next() else {
                let Some(topic) = self.topics.next() else { break };
                self.partitions = topic.partitions.into_iter();
                let partitions = Vec::with_capacity(self.partitions.len());
                let (name, topic_id) = (topic.name, topic.topic_id);
                self.response.topics.push(CommittedTopic { name, topic_id, partitions });
                taken += 1;
                continue;
            };
            taken += 1;
            let Some(topic) = self.response.topics.last_mut() else { break };
            let metadata = it.metadata.as_deref().unwrap_or_default();
            let error = if metadata.len() > self.metadata_max {
                ErrorCode::OFFSET_METADATA_TOO_LARGE
            } else {
                let mut value = OffsetValue {
                    offset: it.offset,
                    leader_epoch: it.leader_epoch.max(-1),
                    metadata,
                    commit_timestamp_ms: self.at_ms.0,
                    expire_timestamp_ms: self.expire_timestamp_ms,
                    topic_id: topic.topic_id,
                };
                if self.expire_timestamp_ms >= 0 {
                    // Its record has no room for these; what is told now, a restart must tell.
                    value.leader_epoch = -1;
                    value.topic_id = TopicId::default();
                }
                records.push(value.record(group, &topic.name, it.partition));
                let offset = Offset::new(value, self.at_ms.1);
                self.offsets.push((topic.name.clone(), it.partition, offset));
                ErrorCode::NONE
            };
            topic.partitions.push(PartitionResult { partition: it.partition, error });
        }
        taken
    }

    /// What is to be done when its records are durable.
    pub fn finish(self) -> PendingCommit {
        let Self { ticket, response, offsets, .. } = self;
        PendingCommit { ticket, response, offsets }
    }
}

impl Group {
    /// Begins with a long commit: to be gone on with by [`go_on_with_long`](Self::go_on_with_long).
    pub(super) fn accept_long(&mut self, cx: &mut Cx<'_>, ticket: Ticket, commit: Commit) {
        let request = GroupRequest::Commit(commit);
        self.pending_bytes = request_bytes(&request);
        let GroupRequest::Commit(commit) = request else { unreachable!("just made") };
        let accepting = Accepting::new(cx, ticket, commit);
        self.pending = Some(Box::new(Pending::Accepting(accepting, Vec::new())));
        cx.writes.begin_long(cx.key);
    }

    /// A long commit is durable, or failed: its offsets are entered, or forgotten, by
    /// [`go_on_with_long`](Self::go_on_with_long).
    pub(super) fn enter_long(&mut self, cx: &mut Cx<'_>, commit: PendingCommit, durable: bool) {
        let PendingCommit { ticket, response, offsets } = commit;
        self.pending_bytes = ENTRY * offsets.len();
        let offsets = offsets.into_iter();
        self.pending = Some(Box::new(Pending::Entering { ticket, response, offsets, durable }));
        cx.writes.begin_long(cx.key);
    }

    /// Goes on with a long commit, about so many steps; how many it took. `write` is the number that stands
    /// for it.
    pub(super) fn go_on_with_long(&mut self, cx: &mut Cx<'_>, write: u64, steps: usize) -> usize {
        let mut pending = self.pending.take();
        let taken = match pending.as_deref_mut() {
            Some(Pending::Accepting(accepting, records)) => {
                accepting.go_on(&self.id, steps, records)
            }
            Some(Pending::Entering { offsets, durable, .. }) => {
                let mut taken = 0;
                for (topic, partition, offset) in offsets.by_ref().take(steps) {
                    taken += 1;
                    if *durable {
                        self.offsets.insert(&mut cx.of(&self.id), &topic, partition, offset);
                    }
                }
                taken
            }
            _ => {
                debug_assert!(false, "nothing long is under way");
                0
            }
        };
        if taken > 0 {
            self.pending = pending;
            cx.writes.go_on_later(write);
            return taken;
        }
        match pending.map(|it| *it) {
            Some(Pending::Accepting(accepting, records)) => {
                let commit = accepting.finish();
                if records.is_empty() {
                    self.pending_bytes = 0;
                    cx.writes.end(write);
                    cx.reply(commit.ticket, GroupResponse::Commit(commit.response));
                } else {
                    self.pending = Some(Box::new(Pending::Commits(vec![commit])));
                    cx.out.push(Effect::Append { write, records });
                }
            }
            Some(Pending::Entering { ticket, response, .. }) => {
                self.pending_bytes = 0;
                cx.writes.end(write);
                cx.reply(ticket, GroupResponse::Commit(response));
            }
            other => self.pending = other.map(Box::new),
        }
        0
    }
}
