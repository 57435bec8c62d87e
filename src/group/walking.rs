//! Walks over the members of a group: what becomes of each, and of the group at the end.

use super::consumer::describe::describe_some;
use super::consumer_protocol::subscribed_topics;
use super::context::Cx;
use super::look::described_member;
use super::members::{Member, winner};
use super::pending::Pending;
use super::response::{GroupResponse, JoinMember, Joined, LeftMember, Synced};
use super::state::{Group, State};
use super::streams::describe::describe_some as describe_streams;
use super::subscription::Subscription;
use super::walk::{Asker, Choice, Task, Walk};
use crate::types::ErrorCode;

/// A member, as its leader sees it.
fn shown(id: &str, member: &Member, protocol: &str) -> JoinMember {
    JoinMember {
        member_id: id.to_owned(),
        group_instance_id: member.instance_id.clone(),
        metadata: member.metadata(protocol),
    }
}

impl Group {
    /// Does something with each member: now, as far as the steps at hand allow, and the rest later.
    pub(super) fn walk(&mut self, cx: &mut Cx<'_>, task: Task) {
        self.go_on_walking(cx, Walk { last: None, task });
    }

    /// Goes on with a walk.
    pub(super) fn go_on_walking(&mut self, cx: &mut Cx<'_>, mut walk: Walk) {
        debug_assert!(self.pending.is_none(), "one thing at a time");
        let room = cx.left;
        let taken = self.visit(cx, &mut walk, room);
        cx.take(taken);
        if taken < room {
            return self.end_walk(cx, walk.task);
        }
        // An answer that is put together is about as large as the members are.
        let consumer = self.consumer.as_ref().map_or(0, |it| it.bytes());
        self.pending_bytes = self.members.bytes() + consumer + walk.task.bytes();
        self.pending = Some(Box::new(Pending::Walk(walk)));
        cx.writes.begin_long(cx.key);
    }

    /// Visits so many at most; how many. Fewer are the last.
    fn visit(&mut self, cx: &mut Cx<'_>, walk: &mut Walk, room: usize) -> usize {
        let Walk { last, task } = walk;
        let now_ms = cx.now.monotonic_ms;
        let protocol = self.protocol_name.as_deref().unwrap_or_default();
        match task {
            Task::Queue => 0,
            Task::Start { .. } => {
                let mut first_ms = i64::MAX;
                let taken = self.members.visit(last, room, |_, member| {
                    member.renew(now_ms);
                    first_ms = first_ms.min(member.session_deadline_ms);
                });
                self.wake_by(first_ms);
                taken
            }
            Task::Expire { at_ms, next_ms, removed } => {
                let mut silent = Vec::new();
                let taken = self.members.visit(last, room, |id, member| {
                    if member.is_silent(*at_ms) {
                        silent.push(id.to_owned());
                    } else if !member.is_excused() {
                        *next_ms = (*next_ms).min(member.session_deadline_ms);
                    }
                });
                *removed |= !silent.is_empty();
                silent.iter().for_each(|id| self.remove_member(cx, id));
                taken
            }
            Task::RemoveOwing => {
                let mut owing = Vec::new();
                let taken = self.members.visit(last, room, |id, member| {
                    if member.owes_sync() {
                        owing.push(id.to_owned());
                    }
                });
                owing.iter().for_each(|id| self.remove_member(cx, id));
                taken
            }
            Task::Call(error) => {
                let mut first_ms = i64::MAX;
                let taken = self.members.visit(last, room, |_, member| {
                    member.forgive_sync();
                    if let Some(ticket) = member.take_sync() {
                        cx.reply(ticket, GroupResponse::Sync(Synced::refused(*error)));
                        member.renew(now_ms);
                        first_ms = first_ms.min(member.session_deadline_ms);
                    }
                });
                self.wake_by(first_ms);
                taken
            }
            Task::RemoveUnjoined { first } => {
                let mut absent = Vec::new();
                let taken = self.members.visit(last, room, |id, member| {
                    if member.is_joining() {
                        first.get_or_insert_with(|| id.to_owned());
                    } else if member.instance_id.is_none() {
                        absent.push(id.to_owned());
                    }
                });
                absent.iter().for_each(|id| self.remove_member(cx, id));
                taken
            }
            Task::Vote { votes, choice } => self.members.visit(last, room, |id, member| {
                let voter = match choice {
                    Choice::Replacement(it) if it.replacement.old_id == id => {
                        &it.replacement.member
                    }
                    _ => member,
                };
                for liked in &voter.protocols {
                    if let Some(votes) = votes.get_mut(&liked.name) {
                        *votes += 1;
                        break;
                    }
                }
            }),
            Task::Tell { members, leader } => {
                let mut first_ms = i64::MAX;
                let joined = self.joined("", false);
                let taken = self.members.visit(last, room, |id, member| {
                    members.push(shown(id, member, protocol));
                    if let Some(ticket) = member.take_join() {
                        if joined.leader == id {
                            *leader = Some(ticket);
                        } else {
                            let joined = Joined { member_id: id.to_owned(), ..joined.clone() };
                            cx.reply(ticket, GroupResponse::Join(joined));
                        }
                    }
                    member.renew(now_ms);
                    member.told();
                    first_ms = first_ms.min(member.session_deadline_ms);
                });
                self.wake_by(first_ms);
                taken
            }
            Task::Show { members, .. } => self.members.visit(last, room, |id, member| {
                members.push(shown(id, member, protocol));
            }),
            Task::Gather { rest, assignments, .. } => {
                let mut taken = 0;
                for it in rest.take(room) {
                    taken += 1;
                    if self.members.contains(&it.member_id) {
                        assignments.insert(it.member_id, it.assignment);
                    }
                }
                taken
            }
            Task::Write(draft) => {
                self.members.visit(last, room, |id, member| draft.push(id, member, protocol))
            }
            Task::Assign(assignments) => {
                let mut first_ms = i64::MAX;
                let synced = self.synced("");
                let taken = self.members.visit(last, room, |id, member| {
                    member.assignment = assignments.remove(id).unwrap_or_default();
                    if let Some(ticket) = member.take_sync() {
                        let assignment = member.assignment.clone();
                        let synced = Synced { assignment, ..synced.clone() };
                        cx.reply(ticket, GroupResponse::Sync(synced));
                        member.renew(now_ms);
                        first_ms = first_ms.min(member.session_deadline_ms);
                    }
                });
                self.wake_by(first_ms);
                taken
            }
            Task::Leave { rest, left, any, .. } => {
                let mut taken = 0;
                for leaving in rest.take(room) {
                    taken += 1;
                    let result = self.leave_one(cx, &leaving);
                    *any |= result.is_ok();
                    left.push(LeftMember {
                        member_id: leaving.member_id,
                        group_instance_id: leaving.group_instance_id,
                        error: result.err().unwrap_or(ErrorCode::NONE),
                    });
                }
                taken
            }
            Task::Describe { described, .. } => {
                let in_force = self.state == State::Stable && self.protocol_name.is_some();
                let protocol = in_force.then_some(protocol);
                self.members.visit(last, room, |id, member| {
                    described.members.push(described_member(id, member, protocol));
                })
            }
            Task::Beat(beat) => self.go_on_with_beat(cx, beat, room),
            Task::StreamsBeat(beat) => self.go_on_with_streams_beat(cx, beat, room),
            Task::Downgrade(it) => self.downgrade_some(cx, it, room),
            Task::LoadClassic { loading, .. } => self.load_classic(loading, room),
            Task::ConsumerStart => {
                let Some(group) = self.consumer.as_deref() else { return 0 };
                let mut ids = Vec::new();
                let taken = group.visit(last, room, |id, _| ids.push(id.to_owned()));
                self.start_consumer(cx, &ids);
                taken
            }
            Task::ConsumerExpire { at_ms, next_ms, gone } => {
                let Some(group) = self.consumer.as_deref() else { return 0 };
                group.visit(last, room, |id, member| {
                    let first_ms = member.deadlines.first_ms();
                    if first_ms <= *at_ms {
                        gone.push(id.to_owned());
                    } else {
                        *next_ms = (*next_ms).min(first_ms);
                    }
                })
            }
            Task::ConsumerDescribe { described, .. } => {
                let Some(group) = self.consumer.as_deref() else { return 0 };
                describe_some(group, &*cx.cluster.view(), last, room, &mut described.members)
            }
            Task::StreamsDescribe { described, .. } => {
                let Some(group) = self.consumer.as_deref() else { return 0 };
                describe_streams(group, last, room, &mut described.members)
            }
            Task::Subscribe { topics, .. } => self.members.visit(last, room, |_, member| {
                let understood = topics.as_mut().is_some_and(|topics| {
                    subscribed_topics(&member.metadata(protocol), topics).is_ok()
                });
                if !understood {
                    *topics = None;
                }
            }),
        }
    }

    /// All have been visited.
    fn end_walk(&mut self, cx: &mut Cx<'_>, task: Task) {
        match task {
            Task::Queue => {}
            Task::Start { rebalances } => self.started(cx, rebalances),
            Task::Expire { at_ms, next_ms, removed } => self.expired(cx, at_ms, next_ms, removed),
            Task::RemoveOwing => self.prepare_rebalance(cx),
            Task::Call(_) => self.begin_rebalance(cx),
            Task::RemoveUnjoined { first } => self.end_join_phase(cx, first),
            Task::Vote { votes, choice } => {
                let chosen = winner(votes);
                match choice {
                    Choice::Generation => self.begin_generation(cx, chosen),
                    Choice::Replacement(it) if chosen == self.protocol_name => {
                        self.write_replacement(cx, *it);
                    }
                    Choice::Replacement(it) => self.rebalance_with(cx, *it),
                }
            }
            Task::Tell { members, leader } => {
                if let Some(ticket) = leader {
                    let id = self.leader.clone().unwrap_or_default();
                    let joined = Joined { members, ..self.joined(&id, false) };
                    cx.reply(ticket, GroupResponse::Join(joined));
                }
                let timeout_ms = self.members.rebalance_timeout_ms();
                self.set_phase_deadline(cx.now.monotonic_ms + timeout_ms);
            }
            Task::Show { members, ticket, joined } => {
                cx.reply(ticket, GroupResponse::Join(Joined { members, ..joined }));
            }
            Task::Gather { assignments, .. } => self.write_generation(cx, assignments),
            Task::Write(draft) => self.write_draft(cx, draft),
            Task::Assign(_) => self.enter(cx, State::Stable),
            Task::Leave { ticket, left, any, .. } => self.end_leave(cx, ticket, left, any),
            Task::Describe { ticket, described } => {
                cx.reply(ticket, GroupResponse::Describe(described));
            }
            Task::Beat(beat) => self.end_beat(cx, *beat),
            Task::StreamsBeat(beat) => self.end_streams_beat(cx, *beat),
            Task::Downgrade(it) => self.end_downgrade(cx, *it),
            Task::LoadClassic { goes_on, .. } => self.classic_loaded(cx, goes_on),
            Task::ConsumerStart => self.consumer_started(),
            Task::ConsumerExpire { at_ms, next_ms, gone } => {
                self.consumers_expired(cx, at_ms, next_ms, gone);
            }
            Task::ConsumerDescribe { ticket, described } => {
                cx.reply(ticket, GroupResponse::ConsumerDescribe(described));
            }
            Task::StreamsDescribe { ticket, described } => {
                cx.reply(ticket, GroupResponse::StreamsDescribe(described));
            }
            Task::Subscribe { topics, asker } => {
                let subscription = topics.map_or(Subscription::Unknown, Subscription::Topics);
                match asker {
                    Asker::Delete(ticket, request) => {
                        self.delete_unwanted(cx, ticket, request, &subscription);
                    }
                    Asker::Sweep => self.wanted = Some(subscription),
                }
            }
        }
    }
}
