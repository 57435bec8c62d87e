//! `JoinGroup`.

use super::context::{CoordinatorSettings, Cx};
use super::draft::Purpose;
use super::effect::Ticket;
use super::members::{Member, winner};
use super::replacement::{Replacement, Returning};
use super::request::Join;
use super::response::{GroupResponse, Joined};
use super::state::{Group, State};
use super::walk::{Choice, Task};
use crate::types::ErrorCode;

/// A new member whose join waits is taken for dead after this time, in milliseconds: it has no id
/// to send heartbeats with, and nobody notices when its connection ends.
const NEW_MEMBER_JOIN_TIMEOUT_MS: i64 = 5 * 60 * 1_000;

/// Longest id that fits Kafka's strings, in bytes.
pub(super) const ID_BYTES_MAX: usize = i16::MAX as usize;

/// What can be seen of a join without its group.
pub(super) fn check(join: &Join, settings: &CoordinatorSettings) -> Result<(), ErrorCode> {
    let session_ms = join.session_timeout_ms;
    if join.group_id.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    if session_ms < settings.group_min_session_timeout_ms
        || session_ms > settings.group_max_session_timeout_ms
    {
        return Err(ErrorCode::INVALID_SESSION_TIMEOUT);
    }
    if join.fresh_member_id.len() > ID_BYTES_MAX {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    Ok(())
}

impl Group {
    /// Answers a join, now or when the rebalance that it calls for has come so far.
    pub(super) fn join(&mut self, cx: &mut Cx<'_>, ticket: Ticket, join: Join) {
        if let Err((member_id, error)) = self.try_join(cx, ticket, &join) {
            cx.reply(ticket, GroupResponse::Join(Joined::refused(member_id, error)));
        }
    }

    fn try_join(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        join: &Join,
    ) -> Result<(), (String, ErrorCode)> {
        let is_new = join.member_id.is_empty();
        let refuse = |error| Err((join.member_id.clone(), error));
        check(join, cx.settings).or_else(refuse)?;
        if self.is_vacant() && !is_new {
            return refuse(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        if !self.has_room_for(cx, &join.member_id) {
            self.pending_joiners.remove(&join.member_id);
            self.remove_member(cx, &join.member_id);
            self.maybe_complete_join(cx);
            return Err((String::new(), ErrorCode::GROUP_MAX_SIZE_REACHED));
        }
        if !self.supports(join) {
            return refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if is_new { self.join_new(cx, ticket, join) } else { self.join_known(cx, ticket, join) }
    }

    /// Members that wait count while a group rebalances, so that those who come last are turned
    /// away, whoever they are; `group.max.size` may have become smaller.
    fn has_room_for(&self, cx: &Cx<'_>, member_id: &str) -> bool {
        let max = usize::try_from(cx.settings.group_max_size).unwrap_or(0);
        let member = self.members.get(member_id);
        match self.state {
            State::Empty => true,
            State::PreparingRebalance => {
                member.is_some_and(Member::is_joining) || self.members.joining() < max
            }
            State::CompletingRebalance | State::Stable => {
                member.is_some() || self.members.len() < max
            }
        }
    }

    /// Whether the member can work with the others.
    fn supports(&self, join: &Join) -> bool {
        if self.state == State::Empty {
            !join.protocol_type.is_empty() && !join.protocols.is_empty()
        } else {
            self.protocol_type.as_deref() == Some(&join.protocol_type)
                && self.members.share(&join.protocols)
        }
    }

    fn join_new(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        join: &Join,
    ) -> Result<(), (String, ErrorCode)> {
        let new_id = join.fresh_member_id.clone();
        if let Some(instance_id) = &join.group_instance_id {
            match self.members.of_instance(instance_id) {
                Some(old_id) => self.rejoin_static(cx, ticket, join, old_id.to_owned()),
                None => self.add_member(cx, ticket, join, new_id),
            }
        } else if join.requires_known_member_id {
            let until_ms = cx.now.monotonic_ms + i64::from(join.session_timeout_ms).max(1);
            self.pending_joiners.insert(new_id.clone(), until_ms);
            self.wake_by(until_ms);
            return Err((new_id, ErrorCode::MEMBER_ID_REQUIRED));
        } else {
            self.add_member(cx, ticket, join, new_id);
        }
        Ok(())
    }

    fn join_known(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        join: &Join,
    ) -> Result<(), (String, ErrorCode)> {
        let id = join.member_id.as_str();
        // Ids are given out to dynamic members only.
        if join.group_instance_id.is_none() && self.pending_joiners.contains(id) {
            self.add_member(cx, ticket, join, id.to_owned());
            return Ok(());
        }
        self.members
            .check(id, join.group_instance_id.as_deref())
            .map_err(|error| (id.to_owned(), error))?;
        let Some(member) = self.members.get(id) else { return Ok(()) };
        let leads = self.leader.as_deref() == Some(id);
        let unchanged = member.matches(join);
        match self.state {
            // It did not get its answer; or it follows, and has nothing new to say. A leader that
            // joins again wants another assignment.
            State::CompletingRebalance if unchanged => self.tell_again(cx, ticket, id),
            State::Stable if unchanged && !leads => self.tell_again(cx, ticket, id),
            _ => {
                if let Some(old) = self.members.rejoin(id, join, ticket) {
                    Self::supersede_join(cx, old, id);
                }
                self.rebalance(cx);
            }
        }
        Ok(())
    }

    fn tell_again(&mut self, cx: &mut Cx<'_>, ticket: Ticket, id: &str) {
        self.renew(cx, id);
        let joined = self.joined(id, false);
        self.tell(cx, ticket, joined, true);
    }

    /// A join that waits is repeated: the client has given up on the first.
    fn supersede_join(cx: &mut Cx<'_>, ticket: Ticket, id: &str) {
        let refused = Joined::refused(id, ErrorCode::REBALANCE_IN_PROGRESS);
        cx.reply(ticket, GroupResponse::Join(refused));
    }

    fn add_member(&mut self, cx: &mut Cx<'_>, ticket: Ticket, join: &Join, id: String) {
        self.note_newcomer();
        self.pending_joiners.remove(&id);
        if self.members.is_empty() {
            self.protocol_type = Some(join.protocol_type.clone());
        }
        self.members.add(id.clone(), Member::joining(join));
        self.members.wait_for_join(&id, ticket);
        if self.leader.is_none() {
            self.leader = Some(id.clone());
        }
        let until_ms = cx.now.monotonic_ms + NEW_MEMBER_JOIN_TIMEOUT_MS;
        self.members.set_session_deadline(&id, until_ms);
        self.wake_by(until_ms);
        self.rebalance(cx);
    }

    /// A static member that has lost its id comes back, and takes the place of its former self.
    fn rejoin_static(&mut self, cx: &mut Cx<'_>, ticket: Ticket, join: &Join, old_id: String) {
        let Some(old) = self.members.get(&old_id) else { return };
        let new_id = join.fresh_member_id.clone();
        let member = old.replaced_by(join);
        // The members would choose the same protocol again, unless this one has changed its mind.
        let same = member.protocols == old.protocols && self.protocol_name.is_some();
        let votes = self.members.candidates(Some((old, &member)));
        let replacement = Replacement { old_id, new_id, member };
        let skips_assignment = join.supports_skip_assignment;
        let returning = Returning { replacement, ticket, skips_assignment };
        if self.state != State::Stable {
            // In CompletingRebalance, the leader may have been told the old id already.
            self.rebalance_with(cx, returning);
        } else if same {
            self.write_replacement(cx, returning);
        } else if votes.len() > 1 {
            let choice = Choice::Replacement(Box::new(returning));
            self.walk(cx, Task::Vote { votes, choice });
        } else if winner(votes) == self.protocol_name {
            self.write_replacement(cx, returning);
        } else {
            self.rebalance_with(cx, returning);
        }
    }

    /// The generation goes on with a member in the place of another.
    pub(super) fn write_replacement(&mut self, cx: &mut Cx<'_>, returning: Returning) {
        let draft = self.draft(Purpose::Replacement(Box::new(returning)));
        self.walk(cx, Task::Write(draft));
    }

    /// A member takes another's place in a new generation.
    pub(super) fn rebalance_with(&mut self, cx: &mut Cx<'_>, returning: Returning) {
        let Returning { replacement, ticket, .. } = returning;
        let new_id = replacement.new_id.clone();
        self.replace_member(cx, replacement);
        self.members.wait_for_join(&new_id, ticket);
        self.rebalance(cx);
    }

    /// One member takes another's place. Requests of the other that wait are fenced.
    pub(super) fn replace_member(&mut self, cx: &mut Cx<'_>, replacement: Replacement) {
        let Replacement { old_id, new_id, member } = replacement;
        self.wanted = None;
        if let Some(removed) = self.members.remove(&old_id) {
            if let Some(ticket) = removed.join {
                let refused = Joined::refused(&*old_id, ErrorCode::FENCED_INSTANCE_ID);
                cx.reply(ticket, GroupResponse::Join(refused));
            }
            if let Some(ticket) = removed.sync {
                let refused = super::response::Synced::refused(ErrorCode::FENCED_INSTANCE_ID);
                cx.reply(ticket, GroupResponse::Sync(refused));
            }
        }
        if self.leader.as_deref() == Some(&old_id) {
            self.leader = Some(new_id.clone());
        }
        self.members.add(new_id.clone(), member);
        self.renew(cx, &new_id);
    }
}
