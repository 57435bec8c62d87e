//! A classic group with members becomes one of consumers when the first member of the new protocol joins.

use std::rc::Rc;
use std::sync::Arc;

use super::assigned_since::AssignedSince;
use super::beat::{Beat, Joining, Stage};
use super::classic_assignment::by_id;
use super::member::{ClassicMetadata, Current, MemberMetadata, MemberState};
use super::partitions::Partitions;
use super::response::Refusal;
use crate::group::cluster::ClusterView;
use crate::group::consumer_protocol::{read_assignment, read_subscription};
use crate::group::context::Cx;
use crate::group::members::Member as ClassicMember;
use crate::group::response::{GroupResponse, Joined, Synced};
use crate::group::state::{Group, State};
use crate::types::ErrorCode;
use crate::wire::primitives::WireError;

/// A member of a classic group, as one of a consumer group, and what it is assigned.
fn taken_over(
    member: &ClassicMember,
    protocol: Option<&str>,
    view: &dyn ClusterView,
) -> Result<(MemberMetadata, Partitions), WireError> {
    let known = protocol.and_then(|name| member.protocols.iter().find(|it| it.name == name));
    let known = known.or_else(|| member.protocols.first()).ok_or(WireError::Null)?;
    let subscription = read_subscription(&known.metadata)?;
    let assigned = by_id(read_assignment(&member.assignment)?, view);
    let metadata = MemberMetadata {
        instance_id: member.instance_id.clone(),
        rack_id: subscription.rack_id.map(str::to_owned),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        topics: Rc::new(subscription.topics),
        regex: None,
        rebalance_timeout_ms: member.rebalance_timeout_ms,
        server_assignor: None,
        classic: Some(ClassicMetadata {
            session_timeout_ms: member.session_timeout_ms,
            protocols: member.protocols.clone(),
        }),
        streams: None,
    };
    Ok((metadata, assigned))
}

impl Group {
    /// Whether a classic group with members can become one of consumers.
    pub(super) fn check_upgrade(&self, cx: &Cx<'_>) -> Result<(), Refusal> {
        let max = usize::try_from(cx.settings.consumer_group_max_size).unwrap_or(0);
        let why = if !cx.settings.consumer_migration_policy.upgrades() {
            "the online upgrade is disabled"
        } else if !self.is_consumer() {
            "the group does not use the consumer embedded protocol"
        } else if self.members.len() > max {
            "the group size exceeds the consumer group maximum size"
        } else {
            return Ok(());
        };
        let why =
            format!("Cannot upgrade classic group {} to consumer group because {why}.", self.id);
        Err((ErrorCode::GROUP_ID_NOT_FOUND, why))
    }

    /// Takes over so many members at most from behind `last`; then the member joins for whom that is done.
    pub(super) fn upgrade_some(
        &mut self,
        cx: &mut Cx<'_>,
        beat: &mut Beat,
        mut last: Option<String>,
        mut joining: Box<Joining>,
        left: usize,
    ) -> usize {
        let (view, protocol) = (Rc::clone(&beat.view), self.protocol_name.clone());
        let mut members = Vec::new();
        let taken = self.members.visit(&mut last, left, |id, member| {
            members.push((id.to_owned(), taken_over(member, protocol.as_deref(), &*view)));
        });
        let epoch = self.generation_id;
        for (id, member) in members {
            let Ok((metadata, assigned)) = member else {
                beat.refused = Some((
                    ErrorCode::GROUP_ID_NOT_FOUND,
                    format!(
                        "Cannot upgrade the classic group {} to consumer group because the embedded \
                         consumer protocol is malformed.",
                        self.id
                    ),
                ));
                return taken;
            };
            let mut editor = self.edit(&mut beat.changes);
            editor.set_metadata(&id, metadata);
            editor.set_target(&id, Arc::new(assigned.clone()));
            let (state, revoking) = (MemberState::Stable, Partitions::new());
            let since = AssignedSince::new([&assigned, &revoking], |_, _| epoch);
            let previous_epoch = epoch;
            let tasks = None;
            let current =
                Current { epoch, previous_epoch, state, assigned, revoking, since, tasks };
            editor.set_current(&id, current);
            self.renew_consumer(cx, &id);
        }
        if taken == left {
            beat.stage = Stage::Upgrade(last, joining);
            return taken;
        }
        let mut editor = self.edit(&mut beat.changes);
        editor.set_epoch(epoch, 0);
        // Nobody has computed them: the next may be computed at once.
        editor.set_target_epoch(epoch, 0);
        // Its instance may have been here as a classic member.
        let instance_id = joining.metadata.instance_id.as_deref();
        let old = instance_id.and_then(|it| editor.group.of_instance(it));
        joining.replaces = old.filter(|it| **it != joining.id).map(str::to_owned);
        beat.stage = Stage::Join(joining);
        taken + 1
    }

    /// Nothing is left of the classic group: those who wait are called to join again.
    pub(super) fn forget_classic(&mut self, cx: &mut Cx<'_>) {
        let members = std::mem::take(&mut self.members);
        for (id, mut member) in members.into_members() {
            if let Some(ticket) = member.take_join() {
                let refused = Joined::refused(id, ErrorCode::REBALANCE_IN_PROGRESS);
                cx.reply(ticket, GroupResponse::Join(refused));
            }
            if let Some(ticket) = member.take_sync() {
                let refused = Synced::refused(ErrorCode::REBALANCE_IN_PROGRESS);
                cx.reply(ticket, GroupResponse::Sync(refused));
            }
        }
        self.pending_joiners.clear();
        self.state = State::Empty;
        self.initial = None;
        self.phase_deadline_ms = None;
        self.generation_id = 0;
        self.protocol_type = None;
        self.protocol_name = None;
        self.leader = None;
        self.wanted = None;
    }
}
