//! A commit that is accepted, on its way to records.

use std::vec::IntoIter;

use super::effect::Ticket;
use super::offsets::Offset;
use super::records::{OffsetValue, Record};
use super::request::{Commit, CommitOffset, CommitTopic};
use super::response::{Committed, CommittedTopic, PartitionResult};
use crate::types::{ErrorCode, TopicId};

/// Longest metadata that fits Kafka's strings, in bytes.
const METADATA_BYTES_MAX: usize = i16::MAX as usize;

/// One offset commit.
#[derive(Debug)]
pub struct PendingCommit {
    /// The request.
    pub ticket: Ticket,
    /// Its answer when it is durable.
    pub response: Committed,
    /// The offsets: topic, partition, offset.
    pub offsets: Vec<(String, i32, Offset)>,
}

/// A commit is of an earlier epoch than its member's (KIP-1251): it is refused as soon as it has a partition that the
/// member has not had since then.
#[derive(Debug)]
pub struct EarlierEpoch {
    /// The member.
    pub member_id: String,
    /// The commit's epoch.
    pub epoch: i32,
    /// How it is refused.
    pub error: ErrorCode,
}

/// A commit that is accepted, and how far its records are made.
#[derive(Debug)]
pub struct Accepting {
    ticket: Ticket,
    /// When it was accepted, by the wall's clock and by the one that offsets expire by.
    at_ms: (i64, i64),
    expire_timestamp_ms: i64,
    metadata_max: usize,
    /// What is still to be found out.
    since: Option<EarlierEpoch>,
    topics: IntoIter<CommitTopic>,
    /// What is left of the topic at hand.
    partitions: IntoIter<CommitOffset>,
    response: Committed,
    offsets: Vec<(String, i32, Offset)>,
}

impl Accepting {
    /// This one, accepted at `at_ms`, by the wall's clock and by the one that offsets expire by.
    pub fn new(ticket: Ticket, at_ms: (i64, i64), metadata_max: i32, commit: Commit) -> Self {
        let metadata_max = usize::try_from(metadata_max).unwrap_or(0);
        let expire_timestamp_ms = match commit.retention_ms {
            -1 => -1,
            retention_ms => at_ms.0.saturating_add(retention_ms).max(0),
        };
        let offsets = Vec::with_capacity(commit.offsets());
        let topics = Vec::with_capacity(commit.topics.len());
        Self {
            ticket,
            at_ms,
            expire_timestamp_ms,
            metadata_max: metadata_max.min(METADATA_BYTES_MAX),
            since: None,
            topics: commit.topics.into_iter(),
            partitions: Vec::new().into_iter(),
            response: Committed { error: ErrorCode::NONE, topics },
            offsets,
        }
    }

    /// The same commit, of an earlier epoch.
    pub fn with_earlier_epoch(self, since: Option<EarlierEpoch>) -> Self {
        Self { since, ..self }
    }

    /// Nothing of it is accepted.
    fn refuse(&mut self, error: ErrorCode, records: &mut Vec<Record>) {
        self.response = Committed::all(error);
        (self.topics, self.partitions) = Default::default();
        self.offsets.clear();
        records.clear();
    }

    /// Makes records of about so many offsets and topics; of how many, 0 at the end. `has_had` says whether a
    /// member has had a partition since an earlier epoch.
    pub fn go_on(
        &mut self,
        group: &str,
        steps: usize,
        records: &mut Vec<Record>,
        has_had: impl Fn(&EarlierEpoch, (&str, TopicId), i32) -> bool,
    ) -> usize {
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
            if let Some(since) = &self.since
                && !has_had(since, (&topic.name, topic.topic_id), it.partition)
            {
                self.refuse(since.error, records);
                return 0;
            }
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
