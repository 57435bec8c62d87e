//! `LeaveGroup`.

use super::context::Cx;
use super::effect::Ticket;
use super::memory::leave_bytes;
use super::pending::Pending;
use super::request::{Leave, Leaving};
use super::response::{GroupResponse, Left, LeftMember};
use super::state::Group;
use super::walk::Task;
use crate::types::ErrorCode;

impl Group {
    /// Answers a leave. That members left is not persisted, unless nobody is left: a restart finds
    /// them, and takes them for dead when their sessions are over.
    pub(super) fn leave(&mut self, cx: &mut Cx<'_>, ticket: Ticket, leave: Leave) {
        if leave.group_id.is_empty() {
            let refused = Left { error: ErrorCode::INVALID_GROUP_ID, members: Vec::new() };
            cx.reply(ticket, GroupResponse::Leave(refused));
            return;
        }
        let left = Vec::with_capacity(leave.members.len());
        let bytes = leave_bytes(&leave);
        let rest = leave.members.into_iter();
        self.walk(cx, Task::Leave { ticket, bytes, rest, left, any: false });
    }

    /// Those who leave are gone, if there were `any`.
    pub(super) fn end_leave(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        members: Vec<LeftMember>,
        any: bool,
    ) {
        let answer = Left { error: ErrorCode::NONE, members };
        if any {
            self.members_removed(cx, false);
        }
        match self.pending.as_deref_mut() {
            Some(Pending::Empty { left, .. }) => *left = Some((ticket, answer)),
            _ => cx.reply(ticket, GroupResponse::Leave(answer)),
        }
    }

    pub(super) fn leave_one(
        &mut self,
        cx: &mut Cx<'_>,
        leaving: &Leaving,
    ) -> Result<(), ErrorCode> {
        let instance_id = leaving.group_instance_id.as_deref();
        if leaving.member_id.is_empty() {
            // An administrator knows instances only.
            let id = instance_id.and_then(|it| self.members.of_instance(it)).map(str::to_owned);
            let id = id.ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
            self.remove_member(cx, &id);
        } else if !self.pending_joiners.remove(&leaving.member_id) {
            self.members.check(&leaving.member_id, instance_id)?;
            self.remove_member(cx, &leaving.member_id);
        }
        Ok(())
    }
}
