//! What a group does when its write is durable, and when it is not.

use super::accepting::PendingCommit;
use super::context::Cx;
use super::effect::Ticket;
use super::pending::Pending;
use super::queue::Queued;
use super::records::{Record, group_record, offset_tombstone};
use super::replacement::Returning;
use super::request::LONG_COMMIT;
use super::response::{DeletedGroup, DeletedOffsets, GroupResponse, Joined};
use super::state::Group;
use super::topic_index::TopicIndex;
use super::walk::Task;
use crate::types::ErrorCode;

/// What clients are told of a write that failed.
pub fn write_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | ErrorCode::REQUEST_TIMED_OUT => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::KAFKA_STORAGE_ERROR => {
            ErrorCode::NOT_COORDINATOR
        }
        ErrorCode::MESSAGE_TOO_LARGE
        | ErrorCode::RECORD_LIST_TOO_LARGE
        | ErrorCode::INVALID_FETCH_SIZE => ErrorCode::UNKNOWN_SERVER_ERROR,
        other => other,
    }
}

/// What clients are told of a commit that failed: one that is too large will not become smaller.
pub(super) fn commit_error(error: ErrorCode) -> ErrorCode {
    match write_error(error) {
        ErrorCode::UNKNOWN_SERVER_ERROR if error != ErrorCode::UNKNOWN_SERVER_ERROR => {
            ErrorCode::INVALID_COMMIT_OFFSET_SIZE
        }
        other => other,
    }
}

/// So many offsets are removed by one write: a group, or a topic, of more goes in several.
pub const REMOVED_AT_ONCE: usize = 1_024;

impl Group {
    /// The pending write is durable, or none of its records ever will be.
    pub fn written(&mut self, cx: &mut Cx<'_>, result: Result<(), ErrorCode>) {
        self.pending_bytes = 0;
        match self.pending.take().map(|it| *it) {
            Some(Pending::Generation { value, assignments }) => match result {
                Ok(()) => {
                    self.set_durable(cx.live_bytes, Some(value));
                    self.walk(cx, Task::Assign(assignments));
                }
                Err(error) => self.call_members(cx, write_error(error)),
            },
            Some(Pending::Empty { left, value, timestamp_ms, since_ms }) => {
                if result.is_ok() {
                    self.set_durable(cx.live_bytes, Some(value));
                }
                self.is_empty_since(timestamp_ms, since_ms);
                if let Some((ticket, left)) = left {
                    cx.reply(ticket, GroupResponse::Leave(left));
                }
            }
            Some(Pending::Replacement { value, returning }) => match result {
                Ok(()) => {
                    self.set_durable(cx.live_bytes, Some(value));
                    self.tell_of_replacement(cx, *returning);
                }
                Err(error) => {
                    let refused = Joined::refused("", write_error(error));
                    cx.reply(returning.ticket, GroupResponse::Join(refused));
                }
            },
            Some(Pending::Commits(commits)) => self.commits_written(cx, commits, result),
            Some(Pending::Staged(producer, commit)) => {
                self.staged_written(cx, producer, commit, result);
            }
            Some(Pending::Consumer(write)) => self.consumer_written(cx, *write, result),
            Some(Pending::Removal { rest, offsets, group, reply }) => {
                match (rest, result) {
                    (Some(rest), Ok(())) => self.queue.push_front(rest),
                    (Some(Queued::GroupRequest(ticket, request)), Err(error)) => {
                        cx.reply(ticket, GroupResponse::refused(&request, write_error(error)));
                    }
                    _ => {}
                }
                if result.is_ok() {
                    self.remove_offsets(cx, &offsets);
                    if group {
                        self.set_durable(cx.live_bytes, None);
                        self.forget();
                    }
                }
                if let Some((ticket, response)) = reply {
                    cx.reply(ticket, removal_answer(response, result));
                }
            }
            Some(Pending::Accepting(..) | Pending::Entering { .. } | Pending::Walk(_)) | None => {
                debug_assert!(false, "an answer to a write that nobody asked for");
            }
        }
    }

    /// Answers a static member that came back while the group was stable. Before version 9,
    /// the leader must not take itself for the leader: it would make an assignment for a generation
    /// that has one. So it is told its old id.
    fn tell_of_replacement(&mut self, cx: &mut Cx<'_>, returning: Returning) {
        let Returning { replacement, ticket, skips_assignment } = returning;
        let old_leader = self.leader.clone();
        let new_id = replacement.new_id.clone();
        self.replace_member(cx, replacement);
        let leads = self.leader.as_deref() == Some(&new_id);
        let mut joined = self.joined(&new_id, skips_assignment && leads);
        if !skips_assignment {
            joined.leader = old_leader.unwrap_or_default();
        }
        self.tell(cx, ticket, joined, skips_assignment);
    }

    fn commits_written(
        &mut self,
        cx: &mut Cx<'_>,
        mut commits: Vec<PendingCommit>,
        result: Result<(), ErrorCode>,
    ) {
        if let Some(mut long) = commits.pop_if(|it| it.offsets.len() > LONG_COMMIT) {
            debug_assert!(commits.is_empty(), "it has a write of its own");
            if let Err(error) = result {
                long.response.fail(commit_error(error));
            }
            return self.enter_long(cx, long, result.is_ok());
        }
        for mut commit in commits {
            match result {
                Ok(()) => {
                    for (topic, partition, offset) in commit.offsets {
                        self.staged.supersede(&topic, partition);
                        self.offsets.insert(&mut cx.of(&self.id), &topic, partition, offset);
                    }
                }
                Err(error) => commit.response.fail(commit_error(error)),
            }
            cx.reply(commit.ticket, GroupResponse::Commit(commit.response));
        }
    }

    pub(super) fn remove_offsets(&mut self, cx: &mut Cx<'_>, offsets: &[(TopicIndex, i32)]) {
        for &(topic, partition) in offsets {
            self.offsets.remove(&mut cx.of(&self.id), topic, partition);
        }
    }

    /// Writes tombstones for offsets; `rest` follows when they are durable.
    pub(super) fn write_removal_part(
        &mut self,
        cx: &mut Cx<'_>,
        offsets: Vec<(TopicIndex, i32)>,
        rest: Queued,
    ) {
        let records = self.tombstones(cx, &offsets);
        let rest = Some(rest);
        self.write(cx, Pending::Removal { rest, offsets, group: false, reply: None }, records);
    }

    fn tombstones(&self, cx: &Cx<'_>, offsets: &[(TopicIndex, i32)]) -> Vec<Record> {
        let tombstone = |&(topic, partition): &(TopicIndex, i32)| {
            offset_tombstone(&self.id, cx.topics.name(topic), partition)
        };
        offsets.iter().map(tombstone).collect()
    }

    /// Writes tombstones for offsets, and for the group if `group` and it has a record.
    pub(super) fn write_removal(
        &mut self,
        cx: &mut Cx<'_>,
        offsets: Vec<(TopicIndex, i32)>,
        group: bool,
        reply: Option<(Ticket, GroupResponse)>,
    ) {
        let mut records = self.tombstones(cx, &offsets);
        if group && self.durable.is_some() {
            records.push(group_record(&self.id, None));
        }
        if group {
            records.extend(self.consumer_tombstones());
        }
        if records.is_empty() {
            // There is nothing in the log to take back.
            if group {
                self.forget();
            }
            if let Some((ticket, response)) = reply {
                cx.reply(ticket, response);
            }
            return;
        }
        self.write(cx, Pending::Removal { rest: None, offsets, group, reply }, records);
    }
}

/// The answer to a removal: as it was prepared, or the error.
fn removal_answer(response: GroupResponse, result: Result<(), ErrorCode>) -> GroupResponse {
    let Err(error) = result else { return response };
    let error = write_error(error);
    match response {
        GroupResponse::DeleteOffsets(_) => {
            GroupResponse::DeleteOffsets(DeletedOffsets { error, topics: Vec::new() })
        }
        GroupResponse::DeleteGroup(_) => GroupResponse::DeleteGroup(DeletedGroup { error }),
        other => other,
    }
}
