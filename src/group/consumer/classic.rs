//! Members of a consumer group that speak the classic protocol: each call of theirs is carried out by the
//! consumer group. They are called to join again whenever a heartbeat would tell others what comes next.

use std::rc::Rc;

use super::beat::{Asker, Joining, Stage};
use super::changes::Changes;
use super::classic_assignment::{assignment, by_id};
use super::fence::FENCED_AT_ONCE;
use super::heartbeat::{check_size, check_static, speaker};
use super::member::{ClassicMetadata, Member, MemberMetadata, MemberState};
use super::partitions;
use super::response::Refusal;
use super::write::ConsumerWrite;
use crate::group::consumer_protocol::{PROTOCOL_TYPE, read_subscription};
use crate::group::context::Cx;
use crate::group::effect::Ticket;
use crate::group::join::check;
use crate::group::members::rebalance_timeout_ms;
use crate::group::queue::Queued;
use crate::group::request::{GroupRequest, Heartbeat, Join, Leave, Leaving, Sync};
use crate::group::response::{GroupResponse, Heartbeaten, Joined, Left, LeftMember, Synced};
use crate::group::state::Group;
use crate::types::ErrorCode;

/// The protocol of a member of the classic protocol; the error for others.
fn protocol(member: &Member, id: &str) -> Result<String, Refusal> {
    let classic = member.metadata.classic.as_ref();
    let first = classic.and_then(|it| it.protocols.first());
    first.map(|it| it.name.clone()).ok_or_else(|| {
        let why = format!("Member {id} does not use the classic protocol.");
        (ErrorCode::UNKNOWN_MEMBER_ID, why)
    })
}

impl Group {
    /// Answers a `JoinGroup`.
    pub(in crate::group) fn classic_join(&mut self, cx: &mut Cx<'_>, ticket: Ticket, join: Join) {
        let id = join.member_id.clone();
        if let Err((id, error)) = self
            .begin_join(cx, ticket, join)
            .map_err(|(other, error)| (if other.is_empty() { id } else { other }, error))
        {
            cx.reply(ticket, GroupResponse::Join(Joined::refused(id, error)));
        }
    }

    fn begin_join(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        join: Join,
    ) -> Result<(), (String, ErrorCode)> {
        let refuse = |error| Err((String::new(), error));
        let Some(group) = self.consumer.as_deref() else {
            return refuse(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        check(&join, cx.settings).or_else(refuse)?;
        let is_new = join.member_id.is_empty();
        if group.is_empty() {
            if !is_new {
                return refuse(ErrorCode::UNKNOWN_MEMBER_ID);
            }
            // Nobody is left who speaks the new protocol: it is a classic group from now on.
            let again = GroupRequest::Join(join);
            self.queue.push_front(Queued::GroupRequest(ticket, Box::new(again)));
            let mut changes = Changes::default();
            self.edit(&mut changes).remove_all();
            let write = ConsumerWrite { changes, reply: None, upgrades: false, downgrades: None };
            self.write_consumer(cx, write);
            return Ok(());
        }
        let id = if is_new { join.fresh_member_id.clone() } else { join.member_id.clone() };
        check_size(group, cx.settings, &id).map_err(|(error, _)| (String::new(), error))?;
        let known = |it: &crate::group::request::Protocol| group.is_known_to_classic(&it.name);
        if join.protocol_type != PROTOCOL_TYPE || !join.protocols.iter().any(known) {
            return refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        if is_new && join.requires_known_member_id && join.group_instance_id.is_none() {
            return Err((id, ErrorCode::MEMBER_ID_REQUIRED));
        }
        let view = cx.cluster.view();
        let first = join.protocols.first().map(|it| it.metadata.clone()).unwrap_or_default();
        let Ok(subscription) = read_subscription(&first) else {
            return refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        };
        let replaces = match join.group_instance_id.as_deref() {
            Some(instance_id) if is_new => group.of_instance(instance_id).map(str::to_owned),
            Some(instance_id) => {
                check_static(group, instance_id, &id).map_err(|(e, _)| (String::new(), e))?;
                None
            }
            None => None,
        };
        let old = group.member(replaces.as_deref().unwrap_or(&id)).map(|it| &it.metadata);
        let rebalance_timeout_ms = rebalance_timeout_ms(&join);
        let rack_id = subscription.rack_id.map(str::to_owned);
        let owned = by_id(subscription.owned, &*view);
        let metadata = MemberMetadata {
            instance_id: join.group_instance_id,
            rack_id: rack_id.or_else(|| old.and_then(|it| it.rack_id.clone())),
            client_id: join.client_id,
            client_host: join.client_host,
            topics: Rc::new(subscription.topics),
            // A consumer of the classic protocol resolves patterns itself.
            regex: None,
            rebalance_timeout_ms,
            server_assignor: None,
            classic: Some(ClassicMetadata {
                session_timeout_ms: join.session_timeout_ms,
                protocols: join.protocols,
            }),
            streams: None,
        };
        let stage = Stage::Join(Box::new(Joining { id, replaces, metadata, regex: None }));
        self.begin_beat(cx, ticket, Asker::Join, Some(owned), false, stage);
        Ok(())
    }

    /// What a member is told that has joined. It has its time to fetch its assignment.
    pub(super) fn classic_joined(&mut self, cx: &Cx<'_>, id: &str) -> GroupResponse {
        let Some(member) = self.consumer.as_deref_mut().and_then(|it| it.member_mut(id)) else {
            return GroupResponse::Join(Joined::refused(id, ErrorCode::UNKNOWN_MEMBER_ID));
        };
        let until_ms = member.rebalance_until_ms(cx.now.monotonic_ms);
        member.deadlines.rejoin = None;
        member.deadlines.sync = Some(until_ms);
        let joined = Joined {
            generation_id: member.current.epoch,
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol_name: protocol(member, id).ok(),
            ..Joined::refused(id, ErrorCode::NONE)
        };
        self.wake_by(until_ms);
        GroupResponse::Join(joined)
    }

    /// Answers a `SyncGroup`.
    pub(in crate::group) fn classic_sync(&mut self, cx: &mut Cx<'_>, ticket: Ticket, sync: &Sync) {
        let synced = self.try_classic_sync(cx, sync).unwrap_or_else(Synced::refused);
        cx.reply(ticket, GroupResponse::Sync(synced));
    }

    fn try_classic_sync(&mut self, cx: &Cx<'_>, sync: &Sync) -> Result<Synced, ErrorCode> {
        let id = sync.member_id.as_str();
        let group = self.consumer.as_deref().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let member =
            speaker(&self.id, group, id, sync.group_instance_id.as_deref()).map_err(|it| it.0)?;
        let protocol = protocol(member, id).map_err(|it| it.0)?;
        if member.current.epoch != sync.generation_id {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let other = |theirs: &Option<String>, ours: &str| {
            theirs.as_deref().is_some_and(|theirs| theirs != ours)
        };
        if other(&sync.protocol_type, PROTOCOL_TYPE) || other(&sync.protocol_name, &protocol) {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        let behind = self.is_behind(cx, member.current.epoch);
        if behind && member.current.state != MemberState::UnrevokedPartitions {
            self.call_to_join(cx, id);
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        let view = cx.cluster.view();
        let assignment = assignment(&member.metadata, &member.current.assigned, &*view);
        if let Some(member) = self.consumer.as_deref_mut().and_then(|it| it.member_mut(id)) {
            member.deadlines.sync = None;
        }
        self.renew_consumer(cx, id);
        Ok(Synced {
            error: ErrorCode::NONE,
            protocol_type: Some(PROTOCOL_TYPE.to_owned()),
            protocol_name: Some(protocol),
            assignment,
        })
    }

    /// Whether a member of that epoch would be told another one. While the targets must not be computed yet, it
    /// would not.
    fn is_behind(&self, cx: &Cx<'_>, epoch: i32) -> bool {
        self.consumer.as_deref().is_some_and(|it| {
            epoch < it.target_epoch() || (epoch < it.epoch() && self.is_to_assign(cx))
        })
    }

    /// A member is called to join again, and has its time for that.
    fn call_to_join(&mut self, cx: &Cx<'_>, id: &str) {
        let member = self.consumer.as_deref_mut().and_then(|it| it.member_mut(id));
        if let Some(member) = member.filter(|it| it.deadlines.rejoin.is_none()) {
            let until_ms = member.rebalance_until_ms(cx.now.monotonic_ms);
            member.deadlines.rejoin = Some(until_ms);
            self.wake_by(until_ms);
        }
    }

    /// Answers a `Heartbeat`.
    pub(in crate::group) fn classic_heartbeat(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        heartbeat: &Heartbeat,
    ) {
        let error = self.try_classic_heartbeat(cx, heartbeat).err().unwrap_or(ErrorCode::NONE);
        cx.reply(ticket, GroupResponse::Heartbeat(Heartbeaten { error }));
    }

    fn try_classic_heartbeat(&mut self, cx: &Cx<'_>, it: &Heartbeat) -> Result<(), ErrorCode> {
        let id = it.member_id.as_str();
        let group = self.consumer.as_deref().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let member =
            speaker(&self.id, group, id, it.group_instance_id.as_deref()).map_err(|it| it.0)?;
        protocol(member, id).map_err(|it| it.0)?;
        let current = &member.current;
        if current.epoch != it.generation_id {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let can_go_on = match current.state {
            MemberState::UnrevokedPartitions => true,
            MemberState::UnreleasedPartitions => group.target(id).is_none_or(|target| {
                // What it waits for has been given up.
                partitions::iter(target).all(|(topic, number)| {
                    partitions::contains(&current.assigned, &topic, number)
                        || !group.is_owned(topic, number)
                })
            }),
            _ => false,
        };
        let joins = self.is_behind(cx, current.epoch) || can_go_on;
        self.renew_consumer(cx, id);
        if joins {
            self.call_to_join(cx, id);
            return Err(ErrorCode::REBALANCE_IN_PROGRESS);
        }
        Ok(())
    }

    /// Answers a `LeaveGroup`, of so many members that go with one write; those behind them are for the next.
    pub(in crate::group) fn classic_leave(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        leave: Leave,
    ) {
        let mut left = Vec::with_capacity(leave.members.len());
        let mut gone = Vec::new();
        for leaving in leave.members {
            let found = if gone.len() < FENCED_AT_ONCE {
                self.leaving(&leaving)
            } else {
                // They are asked to come again: nothing that long is done at once.
                Err(ErrorCode::COORDINATOR_NOT_AVAILABLE)
            };
            let error = match found {
                Ok(id) if gone.contains(&id) => ErrorCode::UNKNOWN_MEMBER_ID,
                Ok(id) => {
                    gone.push(id);
                    ErrorCode::NONE
                }
                Err(error) => error,
            };
            let Leaving { member_id, group_instance_id } = leaving;
            left.push(LeftMember { member_id, group_instance_id, error });
        }
        let answer = GroupResponse::Leave(Left { error: ErrorCode::NONE, members: left });
        if gone.is_empty() {
            cx.reply(ticket, answer);
        } else {
            self.fence(cx, gone, Some((ticket, answer)));
        }
    }

    /// Which member of the classic protocol is meant.
    fn leaving(&self, leaving: &Leaving) -> Result<String, ErrorCode> {
        let group = self.consumer.as_deref().ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        let instance_id = leaving.group_instance_id.as_deref();
        let id = match instance_id {
            // An administrator knows instances only.
            Some(instance_id) if leaving.member_id.is_empty() => {
                group.of_instance(instance_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?
            }
            _ => &leaving.member_id,
        };
        let member = speaker(&self.id, group, id, instance_id).map_err(|it| it.0)?;
        protocol(member, id).map_err(|it| it.0)?;
        Ok(id.to_owned())
    }
}
