//! A group's way from one generation to the next.

use super::context::Cx;
use super::effect::Ticket;
use super::members::{Member, winner};
use super::pending::Pending;
use super::records::group_record;
use super::response::{GroupResponse, Joined, Synced};
use super::state::{Group, InitialDelay, State};
use super::walk::{Choice, Task};
use crate::types::ErrorCode;

impl Group {
    /// Removes a member. A join of its that waits is told to begin anew.
    pub(super) fn remove_member(&mut self, cx: &mut Cx<'_>, id: &str) {
        let Some(removed) = self.members.remove(id) else { return };
        if let Some(ticket) = removed.join {
            let refused = Joined::refused("", ErrorCode::UNKNOWN_MEMBER_ID);
            cx.reply(ticket, GroupResponse::Join(refused));
        }
        if let Some(ticket) = removed.sync {
            let refused = Synced::refused(ErrorCode::UNKNOWN_MEMBER_ID);
            cx.reply(ticket, GroupResponse::Sync(refused));
        }
        if self.leader.as_deref() == Some(id) {
            self.leader = self.members.first().map(|(id, _)| id.to_owned());
        }
    }

    /// Goes on after members, or ids given out, were removed. A group that begins waits out its
    /// delay, unless `at_once`.
    pub(super) fn members_removed(&mut self, cx: &mut Cx<'_>, at_once: bool) {
        match self.state {
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(cx),
            State::PreparingRebalance if at_once && self.all_joined() => self.complete_join(cx),
            State::PreparingRebalance => self.maybe_complete_join(cx),
            State::Empty => {}
        }
    }

    fn all_joined(&self) -> bool {
        self.members.joining() == self.members.len() && self.pending_joiners.is_empty()
    }

    /// A member joined: begins a rebalance, or goes on with the one that has begun.
    pub(super) fn rebalance(&mut self, cx: &mut Cx<'_>) {
        if self.state == State::PreparingRebalance {
            self.maybe_complete_join(cx);
        } else {
            self.prepare_rebalance(cx);
        }
    }

    pub(super) fn maybe_complete_join(&mut self, cx: &mut Cx<'_>) {
        if self.state == State::PreparingRebalance && self.initial.is_none() && self.all_joined() {
            self.complete_join(cx);
        }
    }

    /// Lets a group that begins wait longer, since somebody came.
    pub(super) fn note_newcomer(&mut self) {
        if let Some(initial) = &mut self.initial {
            initial.newcomers = true;
        }
    }

    /// Calls all members to join again.
    pub(super) fn prepare_rebalance(&mut self, cx: &mut Cx<'_>) {
        self.call_members(cx, ErrorCode::REBALANCE_IN_PROGRESS);
    }

    /// Answers the syncs that wait with an error, and calls all members to join again.
    pub(super) fn call_members(&mut self, cx: &mut Cx<'_>, error: ErrorCode) {
        if self.members.syncing() + self.members.owing_sync() > 0 {
            self.walk(cx, Task::Call(error));
        } else {
            self.begin_rebalance(cx);
        }
    }

    /// No member waits for its assignment, and none owes a `SyncGroup`: the join phase begins.
    pub(super) fn begin_rebalance(&mut self, cx: &mut Cx<'_>) {
        self.wanted = None;
        let rebalance_ms = self.members.rebalance_timeout_ms();
        if self.state == State::Empty {
            let delay_ms = i64::from(cx.settings.group_initial_rebalance_delay_ms).max(0);
            let remaining_ms = (rebalance_ms - delay_ms).max(0);
            self.initial = Some(InitialDelay { delay_ms, remaining_ms, newcomers: false });
            self.enter(cx, State::PreparingRebalance);
            self.set_phase_deadline(cx.now.monotonic_ms + delay_ms);
        } else {
            self.enter(cx, State::PreparingRebalance);
            if self.all_joined() {
                self.complete_join(cx);
            } else {
                self.set_phase_deadline(cx.now.monotonic_ms + rebalance_ms);
            }
        }
    }

    /// Ends the join phase: a new generation, of those who have joined.
    pub(super) fn complete_join(&mut self, cx: &mut Cx<'_>) {
        self.phase_deadline_ms = None;
        if self.members.joining() < self.members.len() {
            // Static members may be restarting: they keep their place until their session ends.
            self.walk(cx, Task::RemoveUnjoined { first: None });
        } else {
            let first = self.members.first().map(|(id, _)| id.to_owned());
            self.end_join_phase(cx, first);
        }
    }

    /// Those who have not joined are gone; `first` is the first of the others, by id.
    pub(super) fn end_join_phase(&mut self, cx: &mut Cx<'_>, first: Option<String>) {
        if self.members.is_empty() {
            self.become_empty(cx);
        } else if self.elect_leader(first) {
            self.choose_protocol(cx);
        } else {
            // Nobody joined, and all that are left are static: their sessions decide.
            self.set_phase_deadline(cx.now.monotonic_ms + self.members.rebalance_timeout_ms());
        }
    }

    /// A leader that did not join loses its place to the first who did; false if nobody did.
    fn elect_leader(&mut self, first: Option<String>) -> bool {
        let leads = |id: &str| self.members.get(id).is_some_and(Member::is_joining);
        if !self.leader.as_deref().is_some_and(leads) {
            if first.is_none() {
                return false;
            }
            self.leader = first;
        }
        true
    }

    /// The protocol that most members like best, of those that all of them know.
    fn choose_protocol(&mut self, cx: &mut Cx<'_>) {
        let votes = self.members.candidates(None);
        if votes.len() > 1 {
            self.walk(cx, Task::Vote { votes, choice: Choice::Generation });
        } else {
            self.begin_generation(cx, winner(votes));
        }
    }

    fn become_empty(&mut self, cx: &mut Cx<'_>) {
        let timestamp_ms = cx.now.wall_ms;
        let value = self.empty_value(next_generation(self.generation_id), timestamp_ms);
        let record = group_record(&self.id, Some(&value));
        let pending = Pending::Empty { left: None, value, timestamp_ms, since_ms: cx.clock_ms };
        self.write(cx, pending, vec![record]);
    }

    /// The group has no members any more. If the record that says so could not be written, a
    /// restart finds the last generation, whose members are gone, and comes to the same end when
    /// their sessions are over.
    pub(super) fn is_empty_since(&mut self, timestamp_ms: i64, since_ms: i64) {
        self.generation_id = next_generation(self.generation_id);
        self.initial = None;
        self.state = State::Empty;
        self.state_timestamp_ms = timestamp_ms;
        self.since_ms = since_ms;
        self.protocol_name = None;
        self.leader = None;
    }

    pub(super) fn begin_generation(&mut self, cx: &mut Cx<'_>, protocol: Option<String>) {
        self.protocol_name = protocol;
        self.generation_id = next_generation(self.generation_id);
        self.initial = None;
        self.enter(cx, State::CompletingRebalance);
        let members = Vec::with_capacity(self.members.len());
        self.walk(cx, Task::Tell { members, leader: None });
    }

    /// What a member is told of the current generation, without the members.
    pub(super) fn joined(&self, id: &str, skip_assignment: bool) -> Joined {
        Joined {
            error: ErrorCode::NONE,
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment,
            member_id: id.to_owned(),
            members: Vec::new(),
        }
    }

    /// Tells a member of the current generation once more; the leader of all members, where it is to make
    /// an assignment.
    pub(super) fn tell(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        joined: Joined,
        with_members: bool,
    ) {
        if with_members && self.leader.as_deref() == Some(&joined.member_id) {
            let members = Vec::with_capacity(self.members.len());
            self.walk(cx, Task::Show { members, ticket, joined });
        } else {
            cx.reply(ticket, GroupResponse::Join(joined));
        }
    }

    /// What a member is told of its assignment.
    pub(super) fn synced(&self, id: &str) -> Synced {
        Synced {
            error: ErrorCode::NONE,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            assignment: self.members.get(id).map(|it| it.assignment.clone()).unwrap_or_default(),
        }
    }

    /// The wait for `SyncGroup` is over when nobody owes one.
    pub(super) fn note_sync(&mut self, id: &str) {
        self.members.synced(id);
        if self.members.owing_sync() == 0 {
            self.phase_deadline_ms = None;
        }
    }
}

/// Generations count from 1, and never become negative: -1 means "none".
const fn next_generation(generation_id: i32) -> i32 {
    if generation_id == i32::MAX { 1 } else { generation_id + 1 }
}
