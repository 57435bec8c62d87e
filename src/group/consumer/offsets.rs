//! Who may commit and read offsets of a consumer group, and which of them are wanted.

use super::member::Member;
use crate::group::records::Record;
use crate::group::request::{Commit, FetchOffsets};
use crate::group::state::Group;
use crate::types::ErrorCode;

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

impl Group {
    /// Whether a commit is of a member at its epoch, or of nobody's while there are no members. One that is part
    /// of a transaction is told what clients of transactions know.
    pub(in crate::group) fn check_consumer_commit(&self, commit: &Commit) -> Result<(), ErrorCode> {
        let Some(group) = self.consumer.as_deref() else { return Ok(()) };
        if commit.generation_id < 0 && group.is_empty() {
            return Ok(());
        }
        let member = group.member(&commit.member_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let is_staged = commit.producer.is_some();
        // The versions that know what a member of the new protocol may be told.
        if !is_staged && !member.is_classic() && !commit.knows_group_id_not_found {
            return Err(ErrorCode::UNSUPPORTED_VERSION);
        }
        check_epoch(member, commit.generation_id).map_err(|error| match error {
            ErrorCode::STALE_MEMBER_EPOCH if is_staged => ErrorCode::ILLEGAL_GENERATION,
            other => other,
        })
    }

    /// Whether offsets are asked for by a member at its epoch, or by nobody in particular.
    pub(in crate::group) fn check_consumer_fetch(
        &self,
        fetch: &FetchOffsets,
    ) -> Result<(), ErrorCode> {
        let Some(group) = self.consumer.as_deref() else { return Ok(()) };
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
