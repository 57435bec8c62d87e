//! `StreamsGroupHeartbeat`: who may say what.

use std::sync::Arc;

use super::beat::{Stage, StreamsBeat};
use super::comparing::Comparing;
use super::member::Role;
use super::request::StreamsHeartbeat;
use super::response::StreamsHeartbeaten;
use super::state::StreamsState;
use super::tasks::Tasks;
use crate::group::consumer::changes::Changes;
use crate::group::consumer::heartbeat::unknown;
use crate::group::consumer::member::{LEAVE_EPOCH, LEFT_STATIC_EPOCH, Member};
use crate::group::consumer::partitions;
use crate::group::consumer::protocol::Protocol;
use crate::group::consumer::response::Refusal;
use crate::group::consumer::state::ConsumerGroup;
use crate::group::context::Cx;
use crate::group::effect::Ticket;
use crate::group::join::ID_BYTES_MAX;
use crate::group::response::GroupResponse;
use crate::group::state::{Group, State};
use crate::group::walk::Task;
use crate::types::ErrorCode;

/// What can be seen of a request without its group, in Kafka's order.
fn check(request: &mut StreamsHeartbeat) -> Result<(), Refusal> {
    let refuse = |why: &str| Err((ErrorCode::INVALID_REQUEST, why.to_owned()));
    let blank = |it: &str| it.trim().is_empty();
    if let Some(refusal) = request.refused.take() {
        return Err(refusal);
    }
    if request.instance_id.is_some() {
        return refuse("Static membership is not yet supported.");
    }
    if blank(&request.member_id) {
        return refuse("MemberId can't be empty.");
    }
    if request.member_id.len() > ID_BYTES_MAX {
        return refuse("MemberId is too long.");
    }
    if blank(&request.group_id) {
        return refuse("GroupId can't be empty.");
    }
    if request.rack_id.as_deref().is_some_and(blank) {
        return refuse("RackId can't be empty.");
    }
    match request.member_epoch {
        0 => {
            if request.rebalance_timeout_ms == -1 {
                return refuse("RebalanceTimeoutMs must be provided in first request.");
            }
            let owned =
                |role: Role| request.owned.as_ref().is_none_or(|it| !role.of(it).is_empty());
            if owned(Role::Active) {
                return refuse("ActiveTasks must be empty when (re-)joining.");
            }
            if owned(Role::Standby) {
                return refuse("StandbyTasks must be empty when (re-)joining.");
            }
            if request.topology.is_none() {
                return refuse("Topology must be non-null when (re-)joining.");
            }
            return Ok(());
        }
        LEFT_STATIC_EPOCH => return refuse("InstanceId can't be null."),
        epoch if epoch < LEFT_STATIC_EPOCH => {
            let why = format!("MemberEpoch is {epoch}, but must be greater than or equal to -2.");
            return refuse(&why);
        }
        _ => {}
    }
    if request.topology.is_some() {
        return refuse("Topology can only be provided when (re-)joining.");
    }
    Ok(())
}

/// Whether all of `part` are in `whole`, each in its role.
fn is_subset(part: &Tasks, whole: &Tasks) -> bool {
    Role::ALL.iter().all(|it| partitions::is_subset(it.of(part), it.of(whole)))
}

/// A member's epoch is the one that it was told last, or the one before where that answer may have been lost.
fn check_epoch(member: &Member, epoch: i32, owned: Option<&Tasks>) -> Result<(), Refusal> {
    let current = &member.current;
    let of_lost_answer = || {
        let assigned = current.tasks.as_deref().map(|it| &it.assigned);
        let fits = owned.is_some_and(|it| assigned.is_some_and(|all| is_subset(it, all)));
        epoch == current.previous_epoch && fits
    };
    // One that joins again has given up everything, whatever it was told before.
    if epoch == 0 || epoch == current.epoch || (epoch < current.epoch && of_lost_answer()) {
        return Ok(());
    }
    let relation = if epoch > current.epoch { "greater" } else { "smaller" };
    let why = format!(
        "The streams group member has a {relation} member epoch ({epoch}) than the one known by the \
         group coordinator ({}). The member must abandon all its partitions and rejoin.",
        current.epoch
    );
    Err((ErrorCode::FENCED_MEMBER_EPOCH, why))
}

impl Group {
    /// Whether its members have tasks of a topology.
    pub(in crate::group) fn is_streams(&self) -> bool {
        self.consumer.as_deref().is_some_and(ConsumerGroup::is_streams)
    }

    /// Why there is no streams group.
    pub(in crate::group) fn no_streams_group(&self, missing: &str) -> Refusal {
        let why = if self.is_vacant() {
            format!("{missing} {} not found.", self.id)
        } else {
            format!("Group {} is not a streams group.", self.id)
        };
        (ErrorCode::GROUP_ID_NOT_FOUND, why)
    }

    /// Answers a heartbeat, now or when what it changes is durable.
    pub(in crate::group) fn streams_heartbeat(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        mut request: Box<StreamsHeartbeat>,
    ) {
        let done = check(&mut request).and_then(|()| match request.member_epoch {
            LEAVE_EPOCH => self.streams_leave(cx, ticket, &request),
            _ => self.begin_streams_heartbeat(cx, ticket, request),
        });
        if let Err((error, why)) = done {
            self.drop_vacant_consumer();
            let refused = StreamsHeartbeaten::refused(error, Some(why));
            cx.reply(ticket, GroupResponse::StreamsHeartbeat(Box::new(refused)));
        }
    }

    fn streams_leave(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        request: &StreamsHeartbeat,
    ) -> Result<(), Refusal> {
        let why = self.no_streams_group("Group");
        let Some(group) = self.consumer.as_deref_mut().filter(|it| it.is_streams()) else {
            return Err(why);
        };
        let id = &request.member_id;
        let is_member = group.member(id).is_some();
        if request.shutdown
            && let Some(streams) = group.streams_mut()
        {
            streams.shutdown_by = Some(id.clone());
        }
        if !is_member {
            return Err(unknown(&self.id, id));
        }
        let left = StreamsHeartbeaten {
            member_id: id.clone(),
            member_epoch: LEAVE_EPOCH,
            ..StreamsHeartbeaten::refused(ErrorCode::NONE, None)
        };
        let reply = Some((ticket, GroupResponse::StreamsHeartbeat(Box::new(left))));
        self.fence(cx, vec![id.clone()], reply);
        Ok(())
    }

    fn begin_streams_heartbeat(
        &mut self,
        cx: &mut Cx<'_>,
        ticket: Ticket,
        request: Box<StreamsHeartbeat>,
    ) -> Result<(), Refusal> {
        let joins = request.member_epoch == 0;
        // A classic group without members makes room.
        let may_begin = joins
            && self.consumer.is_none()
            && self.state == State::Empty
            && self.members.is_empty();
        if !self.is_streams() && !may_begin {
            return Err(self.no_streams_group("Streams group"));
        }
        let founds = self.consumer.is_none();
        let new = || Box::new(ConsumerGroup::of(Protocol::Streams));
        let group = self.consumer.get_or_insert_with(new);
        let max = usize::try_from(cx.settings.streams_group_max_size).unwrap_or(0);
        if joins && group.len() >= max {
            let why =
                format!("The streams group has reached its maximum capacity of {max} members.");
            return Err((ErrorCode::GROUP_MAX_SIZE_REACHED, why));
        }
        let id = &request.member_id;
        match group.member(id) {
            Some(member) => check_epoch(member, request.member_epoch, request.owned.as_ref())?,
            None if !joins => return Err(unknown(&self.id, id)),
            None => {}
        }
        let known = group.streams().and_then(StreamsState::topology);
        let stage = match (known, &request.topology) {
            (Some(known), Some(said)) => {
                let comparing = Comparing::new(Arc::clone(known), Arc::clone(said));
                Stage::Compare(Box::new(comparing))
            }
            _ => Stage::Join,
        };
        let beat = StreamsBeat {
            ticket,
            request,
            before: Tasks::default(),
            behind: false,
            differs: false,
            view: cx.cluster.view(),
            topics_version: cx.cluster.topics_version(),
            metadata_hash: 0,
            configured: None,
            bumps: false,
            delayed: false,
            statuses: Vec::new(),
            endpoints: None,
            changes: Changes::default(),
            founds,
            refused: None,
            stage,
        };
        self.walk(cx, Task::StreamsBeat(Box::new(beat)));
        Ok(())
    }
}
