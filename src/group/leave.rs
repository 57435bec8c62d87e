//! `LeaveGroup`.

use super::context::Cx;
use super::effect::Ticket;
use super::pending::Pending;
use super::request::{Leave, Leaving};
use super::response::{GroupResponse, Left, LeftMember};
use super::state::Group;
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
        let mut left_any = false;
        let mut members = Vec::with_capacity(leave.members.len());
        for leaving in leave.members {
            let error = match self.leave_one(cx, &leaving) {
                Ok(()) => ErrorCode::NONE,
                Err(error) => error,
            };
            left_any |= !error.is_err();
            members.push(LeftMember {
                member_id: leaving.member_id,
                group_instance_id: leaving.group_instance_id,
                error,
            });
        }
        let answer = Left { error: ErrorCode::NONE, members };
        if left_any {
            self.members_removed(cx, false);
        }
        match self.pending.as_deref_mut() {
            Some(Pending::Empty { left, .. }) => *left = Some((ticket, answer)),
            _ => cx.reply(ticket, GroupResponse::Leave(answer)),
        }
    }

    fn leave_one(&mut self, cx: &mut Cx<'_>, leaving: &Leaving) -> Result<(), ErrorCode> {
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
