//! A group's way from one generation to the next.

use super::context::Cx;
use super::members::{Member, choose_protocol};
use super::pending::Pending;
use super::records::group_record;
use super::response::{GroupResponse, JoinMember, Joined, Synced};
use super::state::{Group, InitialDelay, State};
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
            self.leader = self.members.iter().next().map(|(id, _)| id.to_owned());
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
        self.answer_syncs(cx, ErrorCode::REBALANCE_IN_PROGRESS);
        self.members.forgive_syncs();
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
        // Static members may be restarting: they keep their place until their session ends.
        for id in self.members.ids(|it| !it.is_joining() && it.instance_id.is_none()) {
            self.remove_member(cx, &id);
        }
        if self.members.is_empty() {
            self.become_empty(cx);
        } else if self.elect_leader() {
            self.begin_generation(cx);
        } else {
            // Nobody joined, and all that are left are static: their sessions decide.
            self.set_phase_deadline(cx.now.monotonic_ms + self.members.rebalance_timeout_ms());
        }
    }

    /// A leader that did not join loses its place to one who did; false if nobody did.
    fn elect_leader(&mut self) -> bool {
        let leads = |id: &str| self.members.get(id).is_some_and(Member::is_joining);
        if !self.leader.as_deref().is_some_and(leads) {
            let joined = self.members.iter().find(|(_, it)| it.is_joining());
            let Some((id, _)) = joined else { return false };
            self.leader = Some(id.to_owned());
        }
        true
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

    fn begin_generation(&mut self, cx: &mut Cx<'_>) {
        let chosen = choose_protocol(self.members.iter().map(|(_, member)| member));
        self.protocol_name = chosen.map(str::to_owned);
        self.generation_id = next_generation(self.generation_id);
        self.initial = None;
        self.enter(cx, State::CompletingRebalance);
        for id in self.members.ids(|_| true) {
            if let Some(ticket) = self.members.take_join(&id) {
                let joined = self.joined(&id, true, false);
                cx.reply(ticket, GroupResponse::Join(joined));
            }
            self.renew(cx, &id);
            self.members.told(&id);
        }
        self.set_phase_deadline(cx.now.monotonic_ms + self.members.rebalance_timeout_ms());
    }

    /// What a member is told of the current generation.
    pub(super) fn joined(&self, id: &str, with_members: bool, skip_assignment: bool) -> Joined {
        let leads = self.leader.as_deref() == Some(id);
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        let members = if leads && with_members {
            let described = |(id, member): (&str, &Member)| JoinMember {
                member_id: id.to_owned(),
                group_instance_id: member.instance_id.clone(),
                metadata: member.metadata(protocol),
            };
            self.members.iter().map(described).collect()
        } else {
            Vec::new()
        };
        Joined {
            error: ErrorCode::NONE,
            generation_id: self.generation_id,
            protocol_type: self.protocol_type.clone(),
            protocol_name: self.protocol_name.clone(),
            leader: self.leader.clone().unwrap_or_default(),
            skip_assignment,
            member_id: id.to_owned(),
            members,
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

    /// Answers all syncs that wait, and starts the sessions of those members.
    pub(super) fn answer_syncs(&mut self, cx: &mut Cx<'_>, error: ErrorCode) {
        for id in self.members.ids(|_| true) {
            if let Some(ticket) = self.members.take_sync(&id) {
                let synced = if error.is_err() { Synced::refused(error) } else { self.synced(&id) };
                cx.reply(ticket, GroupResponse::Sync(synced));
                self.renew(cx, &id);
            }
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
