//! `SyncGroup` and `Heartbeat`.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::context::Cx;
use super::draft::Purpose;
use super::effect::Ticket;
use super::memory::sync_bytes;
use super::request::{Heartbeat, Sync};
use super::response::{GroupResponse, Heartbeaten, Synced};
use super::state::{Group, State};
use super::walk::Task;
use crate::types::ErrorCode;

impl Group {
    /// Answers a sync, now or when the leader's assignment is durable.
    pub(super) fn sync(&mut self, cx: &mut Cx<'_>, ticket: Ticket, sync: Sync) {
        if let Err(error) = self.check_sync(&sync) {
            cx.reply(ticket, GroupResponse::Sync(Synced::refused(error)));
            return;
        }
        let id = sync.member_id.as_str();
        match self.state {
            State::CompletingRebalance => {
                if let Some(old) = self.members.wait_for_sync(id, ticket) {
                    // The client has given up on the first.
                    let refused = Synced::refused(ErrorCode::REBALANCE_IN_PROGRESS);
                    cx.reply(old, GroupResponse::Sync(refused));
                }
                self.note_sync(id);
                if self.leader.as_deref() == Some(id) {
                    // Members that the leader forgot have nothing to do; assignments to strangers are
                    // dropped.
                    let (bytes, assignments) = (sync_bytes(&sync), BTreeMap::new());
                    let rest = sync.assignments.into_iter();
                    self.walk(cx, Task::Gather { bytes, rest, assignments });
                }
            }
            State::Stable => {
                self.note_sync(id);
                self.renew(cx, id);
                let synced = self.synced(id);
                cx.reply(ticket, GroupResponse::Sync(synced));
            }
            State::Empty | State::PreparingRebalance => {
                let refused = Synced::refused(ErrorCode::REBALANCE_IN_PROGRESS);
                cx.reply(ticket, GroupResponse::Sync(refused));
            }
        }
    }

    fn check_sync(&self, sync: &Sync) -> Result<(), ErrorCode> {
        let differs = |theirs: &Option<String>, ours: &Option<String>| {
            theirs.is_some() && ours.is_some() && theirs != ours
        };
        if sync.group_id.is_empty() {
            return Err(ErrorCode::INVALID_GROUP_ID);
        }
        self.members.check(&sync.member_id, sync.group_instance_id.as_deref())?;
        if sync.generation_id != self.generation_id {
            Err(ErrorCode::ILLEGAL_GENERATION)
        } else if differs(&sync.protocol_type, &self.protocol_type)
            || differs(&sync.protocol_name, &self.protocol_name)
        {
            Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL)
        } else {
            Ok(())
        }
    }

    /// Writes the generation with the leader's assignments.
    pub(super) fn write_generation(
        &mut self,
        cx: &mut Cx<'_>,
        assignments: BTreeMap<String, Bytes>,
    ) {
        let draft = self.draft(Purpose::Generation(assignments));
        self.walk(cx, Task::Write(draft));
    }

    /// Answers a heartbeat.
    pub(super) fn heartbeat(&mut self, cx: &mut Cx<'_>, ticket: Ticket, heartbeat: &Heartbeat) {
        let error = match self.check_heartbeat(heartbeat) {
            Err(error) => error,
            Ok(()) => {
                self.renew(cx, &heartbeat.member_id);
                match self.state {
                    State::PreparingRebalance => ErrorCode::REBALANCE_IN_PROGRESS,
                    _ => ErrorCode::NONE,
                }
            }
        };
        cx.reply(ticket, GroupResponse::Heartbeat(Heartbeaten { error }));
    }

    fn check_heartbeat(&self, heartbeat: &Heartbeat) -> Result<(), ErrorCode> {
        if heartbeat.group_id.is_empty() {
            return Err(ErrorCode::INVALID_GROUP_ID);
        }
        self.members.check(&heartbeat.member_id, heartbeat.group_instance_id.as_deref())?;
        if heartbeat.generation_id == self.generation_id {
            Ok(())
        } else {
            Err(ErrorCode::ILLEGAL_GENERATION)
        }
    }
}
