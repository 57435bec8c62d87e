//! `ConsumerGroupHeartbeat`: who may say what, and what a member is to be from now on.

use std::rc::Rc;

use super::beat::{Asker, Beat, Joining, Stage};
use super::changes::{Changes, Editor};
use super::member::{LEAVE_EPOCH, LEFT_STATIC_EPOCH, Member, MemberMetadata};
use super::partitions::{self, Partitions};
use super::request::ConsumerHeartbeat;
use super::response::{ConsumerHeartbeaten, Refusal};
use super::state::ConsumerGroup;
use crate::group::assignor::Assignor;
use crate::group::cluster::ClusterView;
use crate::group::context::{CoordinatorSettings, Cx};
use crate::group::effect::Ticket;
use crate::group::join::ID_BYTES_MAX;
use crate::group::response::GroupResponse;
use crate::group::share::view::ShareView;
use crate::group::state::{Group, State};
use crate::group::topic_regex::TopicRegex;
use crate::group::walk::Task;
use crate::types::ErrorCode;

/// What can be seen of a request without its group.
fn check(request: &ConsumerHeartbeat, settings: &CoordinatorSettings) -> Result<(), Refusal> {
    let refuse = |why: &str| Err((ErrorCode::INVALID_REQUEST, why.to_owned()));
    let blank = |it: &str| it.trim().is_empty();
    if blank(&request.group_id) {
        return refuse("GroupId can't be empty.");
    }
    if request.instance_id.as_deref().is_some_and(blank) {
        return refuse("InstanceId can't be empty.");
    }
    if request.rack_id.as_deref().is_some_and(blank) {
        return refuse("RackId can't be empty.");
    }
    if request.fresh_member_id.len() > ID_BYTES_MAX {
        return refuse("MemberId is too long.");
    }
    let named = request.member_epoch != 0 || request.requires_member_id;
    if named && blank(&request.member_id) && request.member_epoch >= LEFT_STATIC_EPOCH {
        return refuse("MemberId can't be empty.");
    }
    match request.member_epoch {
        0 => {
            if request.rebalance_timeout_ms == -1 {
                return refuse("RebalanceTimeoutMs must be provided in first request.");
            }
            if request.owned.as_ref().is_none_or(|it| !it.is_empty()) {
                return refuse("TopicPartitions must be empty when (re-)joining.");
            }
            if request.topics.is_none() && request.regex.is_none() {
                return refuse(
                    "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when \
                     (re-)joining.",
                );
            }
        }
        1.. | LEAVE_EPOCH => {}
        LEFT_STATIC_EPOCH if request.instance_id.is_none() => {
            return refuse("InstanceId can't be null.");
        }
        LEFT_STATIC_EPOCH => {}
        _ => return refuse("MemberEpoch is invalid."),
    }
    if let Some(name) = &request.server_assignor {
        let known = &settings.consumer_assignors;
        if !Assignor::by_name(name).is_some_and(|it| known.contains(&it)) {
            let names: Vec<_> = known.iter().map(|it| it.name()).collect();
            let why = format!(
                "ServerAssignor {name} is not supported. Supported assignors: {}.",
                names.join(", ")
            );
            return Err((ErrorCode::UNSUPPORTED_ASSIGNOR, why));
        }
    }
    Ok(())
}

/// There is no such member.
pub fn unknown(group_id: &str, member_id: &str) -> Refusal {
    let why = format!("Member {member_id} is not a member of group {group_id}.");
    (ErrorCode::UNKNOWN_MEMBER_ID, why)
}

/// A member's epoch is the one that it was told last, or the one before where that answer may have been lost.
pub fn check_epoch(member: &Member, epoch: i32, owned: Option<&Partitions>) -> Result<(), Refusal> {
    let current = &member.current;
    let of_lost_answer = || {
        epoch == current.previous_epoch
            && owned.is_some_and(|it| partitions::is_subset(it, &current.assigned))
    };
    // One that joins again has given up everything, whatever it was told before.
    if epoch == 0 || epoch == current.epoch || (epoch < current.epoch && of_lost_answer()) {
        return Ok(());
    }
    let relation = if epoch > current.epoch { "greater" } else { "smaller" };
    let why = format!(
        "The consumer group member has a {relation} member epoch ({epoch}) than the one known by the \
         group coordinator ({}). The member must abandon all its partitions and rejoin.",
        current.epoch
    );
    Err((ErrorCode::FENCED_MEMBER_EPOCH, why))
}

/// The id of the member that speaks, where it is known under its instance's name.
pub(super) fn check_static<'a>(
    group: &'a ConsumerGroup,
    instance_id: &str,
    member_id: &str,
) -> Result<&'a Member, Refusal> {
    let Some(current) = group.of_instance(instance_id) else {
        let why = format!("Instance id {instance_id} is unknown.");
        return Err((ErrorCode::UNKNOWN_MEMBER_ID, why));
    };
    if current != member_id {
        let why = format!(
            "Static member {member_id} with instance id {instance_id} was fenced by member {current}."
        );
        return Err((ErrorCode::FENCED_INSTANCE_ID, why));
    }
    group.member(current).ok_or_else(|| unknown("", member_id))
}

/// The member that speaks: under its instance's name where it says one.
pub(super) fn speaker<'a>(
    group_id: &str,
    group: &'a ConsumerGroup,
    id: &str,
    instance_id: Option<&str>,
) -> Result<&'a Member, Refusal> {
    match instance_id {
        Some(instance_id) => check_static(group, instance_id, id),
        None => group.member(id).ok_or_else(|| unknown(group_id, id)),
    }
}

/// Whether there is room for this member.
pub(super) fn check_size(
    group: &ConsumerGroup,
    settings: &CoordinatorSettings,
    member_id: &str,
) -> Result<(), Refusal> {
    let max = usize::try_from(settings.consumer_group_max_size).unwrap_or(0);
    if group.len() < max || group.member(member_id).is_some() {
        return Ok(());
    }
    let why = format!("The consumer group has reached its maximum capacity of {max} members.");
    Err((ErrorCode::GROUP_MAX_SIZE_REACHED, why))
}

impl Group {
    /// Answers a heartbeat, now or when what it changes is durable.
    pub(in crate::group) fn consumer_heartbeat(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        request: ConsumerHeartbeat,
    ) {
        let done = check(&request, cx.settings).and_then(|()| match request.member_epoch {
            LEAVE_EPOCH | LEFT_STATIC_EPOCH => self.consumer_leave(cx, ticket, &request),
            _ => self.begin_heartbeat(cx, ticket, request),
        });
        if let Err((error, why)) = done {
            self.drop_vacant_consumer();
            let refused = ConsumerHeartbeaten::refused(error, Some(why));
            cx.reply(ticket, GroupResponse::ConsumerHeartbeat(refused));
        }
    }

    /// A consumer group of which nothing is known is none.
    pub(in crate::group) fn drop_vacant_consumer(&mut self) {
        if self.consumer.as_ref().is_some_and(|it| it.is_vacant()) {
            self.consumer = None;
        }
    }

    /// Why there is no consumer group.
    pub(in crate::group) fn no_consumer_group(&self) -> Refusal {
        let what = if self.is_vacant() { "not found" } else { "is not a consumer group" };
        (ErrorCode::GROUP_ID_NOT_FOUND, format!("Group {} {what}.", self.id))
    }

    /// The group and its changes.
    pub(in crate::group) fn edit<'a>(&'a mut self, changes: &'a mut Changes) -> Editor<'a> {
        let group = self.consumer.get_or_insert_default();
        Editor { group_id: &self.id, group, changes }
    }

    fn begin_heartbeat(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        request: ConsumerHeartbeat,
    ) -> Result<(), Refusal> {
        let joins = request.member_epoch == 0;
        let mut upgrades = false;
        let mut members = false;
        if self.consumer.is_none() {
            if !joins {
                return Err(self.no_consumer_group());
            }
            upgrades = true;
            members = self.state != State::Empty;
            if members {
                self.check_upgrade(cx)?;
            }
        }
        let group = self.consumer.get_or_insert_default();
        check_size(group, cx.settings, &request.member_id)?;
        let full = joins
            || (request.rebalance_timeout_ms != -1
                && (request.topics.is_some() || request.regex.is_some())
                && request.owned.is_some());
        let owned = request.owned.clone();
        let joining = joining(&self.id, group, request)?;
        let stage = if members {
            Stage::Upgrade(None, Box::new(joining))
        } else {
            Stage::Join(Box::new(joining))
        };
        self.begin_beat(cx, ticket, Asker::Heartbeat { full }, owned, upgrades, stage);
        Ok(())
    }

    /// Begins with a beat.
    pub(in crate::group) fn begin_beat(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        asker: Asker,
        owned: Option<Partitions>,
        upgrades: bool,
        stage: Stage,
    ) {
        let beat = Beat {
            ticket,
            member_id: String::new(),
            asker,
            owned,
            before: Partitions::new(),
            view: self.view(cx),
            topics_version: cx.cluster.topics_version(),
            uninitialized: Vec::new(),
            bumps: false,
            changes: Changes::default(),
            upgrades,
            replaced: false,
            refused: None,
            stage,
        };
        self.walk(cx, Task::Beat(Box::new(beat)));
    }
}

impl Group {
    /// The metadata, as far as they concern its members.
    fn view(&self, cx: &Cx<'_>) -> Rc<dyn ClusterView> {
        let whole = cx.cluster.view();
        match self.consumer.as_deref().filter(|it| it.is_share()) {
            Some(group) => Rc::new(ShareView { whole, topics: group.share_topics() }),
            None => whole,
        }
    }
}

/// What the member of a heartbeat is to be.
fn joining(
    group_id: &str,
    group: &ConsumerGroup,
    request: ConsumerHeartbeat,
) -> Result<Joining, Refusal> {
    let joins = request.member_epoch == 0;
    let id = if request.member_id.is_empty() {
        request.fresh_member_id.clone()
    } else {
        request.member_id.clone()
    };
    let mut replaces = None;
    let known = match &request.instance_id {
        Some(instance_id) if joins => match group.of_instance(instance_id) {
            Some(old_id) if old_id != id => {
                let old = group.member(old_id);
                let away =
                    old.is_none_or(|it| it.is_classic() || it.current.epoch == LEFT_STATIC_EPOCH);
                if !away {
                    let why = format!(
                        "Static member {id} with instance id {instance_id} cannot join the group \
                         because the instance id is owned by {old_id} member."
                    );
                    return Err((ErrorCode::UNRELEASED_INSTANCE_ID, why));
                }
                replaces = Some(old_id.to_owned());
                old
            }
            _ => group.member(&id),
        },
        Some(instance_id) => Some(check_static(group, instance_id, &id)?),
        None => group.member(&id),
    };
    match known {
        Some(member) if !joins || replaces.is_none() => {
            check_epoch(member, request.member_epoch, request.owned.as_ref())?;
        }
        None if !joins => return Err(unknown(group_id, &id)),
        _ => {}
    }
    let known = known.map(|it| &it.metadata);
    let mut regex = None;
    if let Some(pattern) = request.regex.as_deref().filter(|it| !it.is_empty())
        && known.and_then(MemberMetadata::pattern) != Some(pattern)
    {
        let compiled = TopicRegex::new(pattern);
        regex = Some(compiled.map_err(|why| (ErrorCode::INVALID_REGULAR_EXPRESSION, why))?);
    }
    let old = known.cloned().unwrap_or_default();
    let metadata = MemberMetadata {
        instance_id: request.instance_id.or(old.instance_id),
        rack_id: request.rack_id.or(old.rack_id),
        client_id: request.client_id,
        client_host: request.client_host,
        topics: request.topics.map_or(old.topics, |it| Rc::new(it.into_iter().collect())),
        regex: request.regex.or(old.regex),
        rebalance_timeout_ms: match request.rebalance_timeout_ms {
            -1 => old.rebalance_timeout_ms,
            other => other,
        },
        server_assignor: request.server_assignor.or(old.server_assignor),
        classic: None,
        streams: None,
    };
    Ok(Joining { id, replaces, metadata, regex })
}
