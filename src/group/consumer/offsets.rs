//! Who may commit and read offsets of a consumer group, and which of them are wanted.

use super::member::Member;
use super::state::ConsumerGroup;
use crate::group::accepting::EarlierEpoch;
use crate::group::records::Record;
use crate::group::request::{Commit, FetchOffsets};
use crate::group::state::Group;
use crate::types::{ErrorCode, TopicId};

/// A member speaks with the epoch that it was told last.
fn check_epoch(member: &Member, epoch: i32) -> Result<(), ErrorCode> {
    if epoch == member.current.epoch {
        Ok(())
    } else if member.is_classic() {
        Err(ErrorCode::ILLEGAL_GENERATION)
    } else {
        Err(ErrorCode::STALE_MEMBER_EPOCH)
    }
}

/// Since when a member has a partition, or the active task that reads it.
fn since(
    group: &ConsumerGroup,
    member: &Member,
    (name, id): (&str, TopicId),
    partition: i32,
) -> Option<i32> {
    let Some(streams) = group.streams() else {
        return member.current.since.get(&id, partition);
    };
    member.current.tasks.as_deref()?.since.get(streams.reader_of(name)?, partition)
}

/// Whether the member has had all partitions of this commit since its epoch.
fn has_had_all(group: &ConsumerGroup, member: &Member, commit: &Commit) -> bool {
    let has_had = |topic, partition| {
        since(group, member, topic, partition).is_some_and(|it| it <= commit.generation_id)
    };
    commit.topics.iter().all(|topic| {
        topic.partitions.iter().all(|it| has_had((&topic.name, topic.topic_id), it.partition))
    })
}

impl Group {
    /// Whether a commit is of a member at its epoch, or of nobody's while there are no members. One that is part
    /// of a transaction is told what clients of transactions know, and may be of nobody's.
    ///
    /// An earlier epoch is as good for partitions that the member has had since then (KIP-1251): a commit that was under way
    /// when it was told of the next epoch. Of a commit that is taken in parts, that is found out meanwhile: see
    /// [`earlier_epoch`](Self::earlier_epoch).
    pub(in crate::group) fn check_consumer_commit(&self, commit: &Commit) -> Result<(), ErrorCode> {
        let Some(group) = self.consumer.as_deref() else { return Ok(()) };
        if commit.generation_id < 0 && group.is_empty() {
            return Ok(());
        }
        let is_staged = commit.producer.is_some();
        let of_nobody = commit.member_id.is_empty() && commit.group_instance_id.is_none();
        if is_staged && commit.generation_id == -1 && of_nobody {
            return Ok(());
        }
        let member = group.member(&commit.member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        // The versions that know what a member of the new protocol may be told.
        if !is_staged && !member.is_classic() && !commit.knows_group_id_not_found {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        let earlier = commit.generation_id < member.current.epoch;
        if earlier && (commit.is_taken_in_parts() || has_had_all(group, member, commit)) {
            return Ok(());
        }
        check_epoch(member, commit.generation_id).map_err(|error| match error {
            ErrorCode::STALE_MEMBER_EPOCH if is_staged => ErrorCode::ILLEGAL_GENERATION,
            other => other,
        })
    }

    /// What is to be found out of a commit that is taken in parts, where it is of an earlier epoch than its member's.
    pub(in crate::group) fn earlier_epoch(&self, commit: &Commit) -> Option<EarlierEpoch> {
        let member = self.consumer.as_deref()?.member(&commit.member_id)?;
        let error = check_epoch(member, commit.generation_id).err()?;
        let (member_id, epoch) = (commit.member_id.clone(), commit.generation_id);
        Some(EarlierEpoch { member_id, epoch, error })
    }

    /// Whether the member has had a partition since that epoch.
    pub(in crate::group) fn has_had(
        &self,
        since: &EarlierEpoch,
        topic: (&str, TopicId),
        partition: i32,
    ) -> bool {
        let told = self.consumer.as_deref().and_then(|group| {
            self::since(group, group.member(&since.member_id)?, topic, partition)
        });
        told.is_some_and(|it| it <= since.epoch)
    }

    /// Whether offsets are asked for by a member at its epoch, or by nobody in particular.
    pub(in crate::group) fn check_consumer_fetch(
        &self,
        fetch: &FetchOffsets,
    ) -> Result<(), ErrorCode> {
        // Kafka takes a share group here for one that is not there: nothing is committed.
        let Some(group) = self.consumer.as_deref().filter(|it| !it.is_share()) else {
            return Ok(());
        };
        if fetch.member_id.is_none() && fetch.member_epoch < 0 {
            return Ok(());
        }
        let id = fetch.member_id.as_deref().unwrap_or_default();
        let member = group.member(id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        check_epoch(member, fetch.member_epoch)
    }

    /// Whether a member of a consumer group wants the topic.
    pub(in crate::group) fn is_subscribed(&self, topic: &str) -> bool {
        self.consumer.as_deref().is_some_and(|it| it.is_subscribed(topic))
    }

    /// Tombstones of all records of a consumer group without members.
    pub(in crate::group) fn consumer_tombstones(&self) -> Vec<Record> {
        let Some(group) = self.consumer.as_deref() else { return Vec::new() };
        group.tombstones(&self.id)
    }
}
