//! What administrators see and remove: `DescribeGroups`, `ListGroups`, `DeleteGroups`.

use bytes::Bytes;

use super::context::Cx;
use super::effect::Ticket;
use super::members::Member;
use super::queue::Queued;
use super::request::{DeleteGroup, GroupRequest, List};
use super::response::{DeletedGroup, Described, DescribedMember, GroupResponse, Listed};
use super::state::{Group, State};
use super::walk::Task;
use super::writes::REMOVED_AT_ONCE;
use crate::types::ErrorCode;

/// The type of groups whose members assign partitions.
const CLASSIC: &str = "classic";

/// A member of a group whose assignments are those of `protocol`. They are shown while they are in force.
pub(super) fn described_member(
    id: &str,
    member: &Member,
    protocol: Option<&str>,
) -> DescribedMember {
    DescribedMember {
        member_id: id.to_owned(),
        group_instance_id: member.instance_id.clone(),
        client_id: member.client_id.clone(),
        client_host: member.client_host.clone(),
        metadata: protocol.map(|it| member.metadata(it)).unwrap_or_default(),
        assignment: protocol.map_or_else(Bytes::new, |_| member.assignment.clone()),
    }
}

impl Group {
    /// Answers with the group and its members.
    pub(super) fn describe(&mut self, cx: &mut Cx<'_>, ticket: Ticket) {
        if self.is_vacant() {
            let described = Described::not_found(&self.id);
            return cx.reply(ticket, GroupResponse::Describe(described));
        }
        if self.consumer.is_some() {
            return cx.reply(ticket, GroupResponse::Describe(self.not_classic()));
        }
        let mut described = self.without_members();
        described.members.reserve_exact(self.members.len());
        self.walk(cx, Task::Describe { ticket, described });
    }

    /// The group and its members.
    pub(super) fn described(&self) -> Described {
        if self.consumer.is_some() {
            return self.not_classic();
        }
        let protocol = self.protocol_in_force();
        let members = self.members.iter().map(|(id, it)| described_member(id, it, protocol));
        Described { members: members.collect(), ..self.without_members() }
    }

    fn not_classic(&self) -> Described {
        let why = format!("Group {} is not a classic group.", self.id);
        Described::refused(self.id.as_ref(), ErrorCode::GROUP_ID_NOT_FOUND, Some(why))
    }

    fn without_members(&self) -> Described {
        Described {
            error: ErrorCode::NONE,
            error_message: None,
            group_id: self.id.as_ref().to_owned(),
            state: self.state.name(),
            protocol_type: self.protocol_type.clone().unwrap_or_default(),
            protocol_data: self.protocol_in_force().unwrap_or_default().to_owned(),
            members: Vec::new(),
        }
    }

    /// The protocol of the generation whose assignments are in force.
    pub(super) fn protocol_in_force(&self) -> Option<&str> {
        self.protocol_name.as_deref().filter(|_| self.state == State::Stable)
    }

    /// The group, if the filters let it pass.
    pub(super) fn listed(&self, filter: &List) -> Option<Listed> {
        let passes = |names: &[String], name: &str| {
            names.is_empty() || names.iter().any(|it| it.eq_ignore_ascii_case(name))
        };
        let state = self.state_name();
        let shown = self.shown_consumer().and(self.consumer.as_deref());
        let group_type = shown.map_or(CLASSIC, |it| it.protocol().name());
        let shown =
            self.is_shown() && passes(&filter.states, state) && passes(&filter.types, group_type);
        shown.then(|| Listed {
            group_id: self.id.as_ref().to_owned(),
            protocol_type: self.protocol_type_name().to_owned(),
            state,
            group_type,
        })
    }

    /// Deletes the group with its offsets.
    pub(super) fn delete(&mut self, cx: &mut Cx<'_>, ticket: Ticket) {
        let error = if self.is_vacant() {
            ErrorCode::GROUP_ID_NOT_FOUND
        } else if self.state != State::Empty || self.member_count() > 0 {
            ErrorCode::NON_EMPTY_GROUP
        } else {
            ErrorCode::NONE
        };
        let deleted = GroupResponse::DeleteGroup(DeletedGroup { error });
        if error.is_err() {
            cx.reply(ticket, deleted);
            return;
        }
        // Ids that were given out die with the group.
        self.pending_joiners.clear();
        let more = self.offsets.len() > REMOVED_AT_ONCE;
        let offsets = self.offsets.iter().take(REMOVED_AT_ONCE);
        let offsets = offsets.map(|(topic, partition, _)| (topic, partition)).collect();
        if more {
            let again = DeleteGroup { group_id: self.id.to_string() };
            let again = Box::new(GroupRequest::DeleteGroup(again));
            return self.write_removal_part(cx, offsets, Queued::GroupRequest(ticket, again));
        }
        self.write_removal(cx, offsets, true, Some((ticket, deleted)));
    }
}
