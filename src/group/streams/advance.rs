//! The way of a streams group's heartbeat from what a member says to what it is told, some steps at a time.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::assignor::{Assigning, MemberSpec};
use super::beat::{Stage, StreamsBeat};
use super::hashing::Hashing;
use super::member::{self, OwnedTasks, Role, StreamsMetadata};
use super::reconcile::{self, Target};
use super::response::{Status, StreamsHeartbeaten};
use super::state::{ConfiguredAt, StreamsState};
use super::tasks::Tasks;
use super::topology::{ConfiguredSubtopology, Configuring, Topology, partitions_of};
use crate::group::cluster::ViewRef;
use crate::group::consumer::advance::may_assign;
use crate::group::consumer::change::AssignedBy;
use crate::group::consumer::member::MemberMetadata;
use crate::group::consumer::partitions;
use crate::group::consumer::state::ConsumerGroup;
use crate::group::consumer::write::ConsumerWrite;
use crate::group::context::Cx;
use crate::group::response::GroupResponse;
use crate::group::state::Group;
use crate::types::{ErrorCode, GroupConfig};

/// The setting of the assignor, as records name it.
const STANDBYS: &str = "num.standby.replicas";

/// What is wrong with tasks that a member says it has.
fn wrong_task(
    owned: &Tasks,
    subtopologies: &BTreeMap<Arc<str>, ConfiguredSubtopology>,
) -> Option<String> {
    for role in Role::ALL {
        for (id, numbers) in role.of(owned) {
            let Some(subtopology) = subtopologies.get(id) else {
                return Some(format!("Subtopology {id} does not exist in the topology."));
            };
            let count = subtopology.tasks;
            if let Some(it) = numbers.iter().find(|it| !(0..count).contains(*it)) {
                return Some(format!(
                    "Task {it} for subtopology {id} is invalid. Number of tasks for this subtopology: {count}"
                ));
            }
        }
    }
    None
}

impl Group {
    /// Goes on with a beat, about so many steps; how many. Fewer are the last.
    pub(in crate::group) fn go_on_with_streams_beat(
        &mut self,
        cx: &mut Cx<'_>,
        beat: &mut StreamsBeat,
        room: usize,
    ) -> usize {
        let mut taken = 0;
        while taken < room {
            let left = room - taken;
            taken += match std::mem::replace(&mut beat.stage, Stage::Done) {
                Stage::Done => return taken,
                Stage::Compare(mut comparing) => {
                    let mut rest = left;
                    beat.stage = match comparing.step(&mut rest) {
                        None => Stage::Compare(comparing),
                        Some(same) => {
                            beat.differs = !same;
                            Stage::Join
                        }
                    };
                    (left - rest).max(1)
                }
                Stage::Join => self.streams_take_in(cx, beat),
                Stage::Hash(hashing) => self.hash_topology(beat, hashing, left),
                Stage::Configure(configuring) => self.configure_topology(beat, configuring, left),
                Stage::Assess => self.assess(cx, beat),
                Stage::Collect(ids, assigning) => self.collect_members(beat, ids, assigning, left),
                Stage::Assign(ids, mut assigning) => {
                    let steps = assigning.step(left);
                    beat.stage = if steps < left {
                        let targets: Vec<_> = ids.into_iter().zip(assigning.finish()).collect();
                        Stage::Place(targets.into_iter())
                    } else {
                        Stage::Assign(ids, assigning)
                    };
                    1 + steps.min(left)
                }
                Stage::Place(mut rest) => {
                    let mut editor = self.edit(&mut beat.changes);
                    let mut steps = 0;
                    for (id, target) in rest.by_ref().take(left) {
                        steps += 1;
                        let streams = editor.group.streams();
                        let old = streams.and_then(|it| it.target(&id));
                        // The same tasks are the same memory, unless nothing was there.
                        if !old.is_some_and(|it| Arc::ptr_eq(it, &target) || *it == target) {
                            editor.set_tasks(&id, target);
                        }
                    }
                    beat.stage = if steps < left { Stage::Sweep(None) } else { Stage::Place(rest) };
                    1 + steps
                }
                Stage::Sweep(last) => self.sweep_targets(cx, beat, last, left),
                Stage::Reconcile => self.reconcile_tasks(cx, beat),
                Stage::Endpoints(last) => self.tell_endpoints(beat, last, left),
            };
            if beat.refused.is_some() {
                beat.stage = Stage::Done;
            }
        }
        taken
    }

    /// A member is what it says from now on, and its topology is the group's where that had none.
    fn streams_take_in(&mut self, cx: &mut Cx<'_>, beat: &mut StreamsBeat) -> usize {
        let request = &mut beat.request;
        let id = request.member_id.clone();
        let topology = request.topology.take();
        let mut declared = 0;
        let mut editor = self.edit(&mut beat.changes);
        beat.delayed = editor.group.is_empty();
        let old = editor.group.member(&id);
        if let Some(tasks) = old.and_then(|it| it.current.tasks.as_deref()) {
            beat.before = tasks.assigned.clone();
        }
        let epoch = old.map_or(0, |it| it.current.epoch);
        beat.behind = request.member_epoch != epoch
            || request.owned.as_ref().is_some_and(|it| *it != beat.before);
        let said = old.map(|it| it.metadata.clone());
        let before = said.clone().unwrap_or_default();
        let streams = before.streams.map(|it| *it).unwrap_or_default();
        let metadata = MemberMetadata {
            rack_id: request.rack_id.take().or(before.rack_id),
            client_id: std::mem::take(&mut request.client_id),
            client_host: std::mem::take(&mut request.client_host),
            rebalance_timeout_ms: match request.rebalance_timeout_ms {
                -1 => before.rebalance_timeout_ms,
                other => other,
            },
            streams: Some(Box::new(StreamsMetadata {
                topology_epoch: topology.as_ref().map_or(streams.topology_epoch, |it| it.epoch),
                process_id: request.process_id.take().unwrap_or(streams.process_id),
                endpoint: request.endpoint.take().or(streams.endpoint),
                client_tags: request.client_tags.take().unwrap_or(streams.client_tags),
            })),
            ..MemberMetadata::default()
        };
        let topology_epoch = metadata.streams.as_ref().map_or(0, |it| it.topology_epoch);
        if said.as_ref() != Some(&metadata) {
            beat.bumps = true;
            editor.set_metadata(&id, metadata);
        }
        let known = editor.group.streams().and_then(StreamsState::topology).cloned();
        match (known, topology) {
            (None, Some(it)) => {
                // What is written is one record: it is gone through at once.
                let all = it.subtopologies.iter();
                declared = all.map(|it| 1 + it.required_topics().count()).sum::<usize>();
                editor.set_topology(it);
            }
            (Some(known), Some(it)) if known.epoch <= it.epoch && beat.differs => {
                let why = "Topology updates are not supported yet.".to_owned();
                beat.refused = Some((ErrorCode::INVALID_REQUEST, why));
                return 1;
            }
            (Some(known), _) if topology_epoch < known.epoch => {
                let why = format!(
                    "The member's topology epoch {topology_epoch} is behind the group's topology epoch {}.",
                    known.epoch
                );
                beat.statuses.push((Status::StaleTopology, why));
            }
            (Some(_), _) => {}
            // Only a log that was damaged has members without a topology.
            (None, None) => {
                let why = "The topology is null and the group topology is also null.".to_owned();
                beat.refused = Some((ErrorCode::UNKNOWN_SERVER_ERROR, why));
                return 1;
            }
        }
        let streams = editor.group.streams();
        let known = streams.and_then(|it| it.configured.as_ref());
        beat.stage = match known.filter(|it| it.topics_version == beat.topics_version) {
            Some(at) => {
                beat.configured = Some(Rc::clone(&at.configured));
                beat.metadata_hash = at.metadata_hash;
                Stage::Assess
            }
            None => Stage::Hash(Hashing::default()),
        };
        self.renew_consumer(cx, &id);
        2 + declared
    }

    fn topology(&self) -> Option<&Arc<Topology>> {
        self.consumer.as_deref()?.streams()?.topology()
    }

    fn hash_topology(&self, beat: &mut StreamsBeat, mut hashing: Hashing, left: usize) -> usize {
        let Some(topology) = self.topology() else { return 1 };
        let steps = hashing.step(topology, &*beat.view, left);
        beat.stage = if steps < left {
            beat.metadata_hash = hashing.sum();
            Stage::Configure(Box::new(Configuring::new(Arc::clone(topology))))
        } else {
            Stage::Hash(hashing)
        };
        1 + steps
    }

    fn configure_topology(
        &mut self,
        beat: &mut StreamsBeat,
        mut configuring: Box<Configuring>,
        left: usize,
    ) -> usize {
        let mut room = left;
        let done = configuring.step(&ViewRef(&*beat.view), &mut room);
        match done {
            None => beat.stage = Stage::Configure(configuring),
            Some(Err(error)) => {
                beat.refused = Some((error.code(), error.message().to_owned()));
            }
            Some(Ok(configured)) => {
                let configured = Rc::new(configured);
                beat.configured = Some(Rc::clone(&configured));
                let (topics_version, metadata_hash) = (beat.topics_version, beat.metadata_hash);
                if let Some(it) = self.consumer.as_deref_mut().and_then(ConsumerGroup::streams_mut)
                {
                    it.configured =
                        Some(ConfiguredAt { configured, topics_version, metadata_hash });
                }
                beat.stage = Stage::Assess;
            }
        }
        (left - room).max(1)
    }

    /// The group gets another epoch where something has changed, and targets where it may have others.
    fn assess(&mut self, cx: &Cx<'_>, beat: &mut StreamsBeat) -> usize {
        let own = cx.cluster.view().group_config(&self.id);
        let standbys = own.streams_standby_replicas.unwrap_or(cx.settings.streams_standby_replicas);
        let Some(configured) = beat.configured.clone() else { return 1 };
        let ready = configured.ready();
        let owned = beat.request.owned.as_ref();
        let steps = 1 + owned.map_or(0, member::count);
        if let (Some(owned), Some(subtopologies)) = (owned, ready)
            && let Some(why) = wrong_task(owned, subtopologies)
        {
            beat.refused = Some((ErrorCode::INVALID_REQUEST, why));
            return steps;
        }
        let by = AssignedBy {
            validated_topology_epoch: if ready.is_some() { configured.epoch } else { -1 },
            configs: Some(vec![(STANDBYS.to_owned(), standbys.to_string())]),
        };
        let mut editor = self.edit(&mut beat.changes);
        let other = editor.group.metadata_hash() != beat.metadata_hash
            || editor.group.assigned_by().is_none_or(|it| **it != by);
        if beat.bumps || other {
            let epoch = editor.group.next_epoch();
            editor.set_streams_epoch(epoch, beat.metadata_hash, by);
        }
        beat.stage = self.next_assigning(cx, beat, &own, standbys);
        steps
    }

    /// Tasks are assigned, now or later. No timer waits for that: a member hears of its tasks with a heartbeat, and the
    /// first one after the time has come assigns them.
    fn next_assigning(
        &mut self,
        cx: &Cx<'_>,
        beat: &mut StreamsBeat,
        own: &GroupConfig,
        standbys: i32,
    ) -> Stage {
        let now_ms = cx.now.monotonic_ms;
        let delay_ms = own.streams_initial_rebalance_delay_ms;
        let delay_ms = delay_ms.unwrap_or(cx.settings.streams_initial_rebalance_delay_ms);
        let Some(group) = self.consumer.as_deref_mut() else { return Stage::Done };
        if let Some(streams) = group.streams_mut() {
            streams.delayed_until_ms = streams.delayed_until_ms.filter(|it| *it > now_ms);
            if beat.delayed && delay_ms > 0 {
                streams.delayed_until_ms.get_or_insert(now_ms + i64::from(delay_ms));
            }
            beat.delayed = streams.delayed_until_ms.is_some();
        }
        let delayed = |why: &str| (Status::AssignmentDelayed, why.to_owned());
        if beat.delayed {
            beat.statuses
                .push(delayed("Assignment delayed due to the configured initial rebalance delay."));
            return Stage::Reconcile;
        }
        if group.epoch() <= group.target_epoch() {
            return Stage::Reconcile;
        }
        let interval_ms = own.streams_assignment_interval_ms;
        let interval_ms = interval_ms.unwrap_or(cx.settings.streams_assignment_interval_ms);
        if !may_assign(group.target_timestamp_ms(), interval_ms, cx.now.wall_ms) {
            beat.statuses
                .push(delayed("Assignment delayed due to the configured assignment interval."));
            return Stage::Reconcile;
        }
        let ready = beat.configured.as_ref().and_then(|it| it.ready());
        let standbys = usize::try_from(standbys).unwrap_or(0);
        let assigning = ready.map(|it| Box::new(Assigning::new(Arc::clone(it), standbys)));
        Stage::Collect(Vec::new(), assigning)
    }

    fn collect_members(
        &self,
        beat: &mut StreamsBeat,
        mut ids: Vec<String>,
        mut assigning: Option<Box<Assigning>>,
        left: usize,
    ) -> usize {
        let Some(group) = self.consumer.as_deref() else { return 1 };
        let Some(streams) = group.streams() else { return 1 };
        let (none, mut steps) = (Arc::default(), 0);
        let from = ids.last().cloned();
        for (id, member) in group.members_after(from.as_deref()).take(left) {
            if let Some(it) = &mut assigning {
                let process_id = member.metadata.streams.as_ref().map_or("", |it| &it.process_id);
                let assigned = streams.target(id).unwrap_or(&none);
                it.add(&MemberSpec { id, process_id, assigned });
            }
            ids.push(id.to_owned());
            steps += 1;
        }
        beat.stage = match assigning {
            _ if steps >= left => Stage::Collect(ids, assigning),
            Some(it) => Stage::Assign(ids, it),
            None => {
                let nothing: Vec<_> = ids.into_iter().map(|id| (id, Arc::clone(&none))).collect();
                Stage::Place(nothing.into_iter())
            }
        };
        1 + steps
    }

    fn sweep_targets(
        &mut self,
        cx: &Cx<'_>,
        beat: &mut StreamsBeat,
        last: Option<String>,
        left: usize,
    ) -> usize {
        let mut editor = self.edit(&mut beat.changes);
        let streams = editor.group.streams().into_iter();
        let ids = streams.flat_map(|it| it.targets_after(last.as_deref()));
        let ids: Vec<String> = ids.take(left).map(|(id, _)| id.clone()).collect();
        for id in &ids {
            if editor.group.member(id).is_none() {
                editor.remove_target(id);
            }
        }
        let steps = ids.len();
        beat.stage = if steps < left {
            let epoch = editor.group.epoch();
            editor.set_target_epoch(epoch, cx.now.wall_ms);
            Stage::Reconcile
        } else {
            Stage::Sweep(ids.into_iter().next_back())
        };
        1 + steps
    }

    /// The member is told what comes next.
    fn reconcile_tasks(&mut self, cx: &Cx<'_>, beat: &mut StreamsBeat) -> usize {
        let id = beat.request.member_id.clone();
        let Some(group) = self.consumer.as_deref() else { return 1 };
        let (Some(member), Some(streams)) = (group.member(&id), group.streams()) else { return 1 };
        let none = Tasks::default();
        let target = streams.target(&id).filter(|_| !beat.delayed);
        let target = Target { epoch: group.target_epoch(), tasks: target.map_or(&none, |it| it) };
        let process_id = |id: &str| {
            let streams = group.member(id).and_then(|it| it.metadata.streams.as_deref());
            streams.map(|it| it.process_id.as_str())
        };
        let own = process_id(&id).unwrap_or_default();
        let has = |role, task: &Arc<str>, number| {
            streams.owners.of(role, task, number).any(|it| process_id(it) == Some(own))
        };
        let is_unreleased = |role: Role, task: &Arc<str>, number: i32| {
            let taken = role == Role::Active
                && streams.owners.of(Role::Active, task, number).next().is_some();
            taken || Role::ALL.iter().any(|it| has(*it, task, number))
        };
        let owned = beat.request.owned.as_ref();
        let Some(next) = reconcile::next(&member.current, target, owned, &is_unreleased) else {
            let why = "The streams group member is in a unknown state. The member must abandon all \
                       its tasks and rejoin.";
            beat.refused = Some((ErrorCode::FENCED_MEMBER_EPOCH, why.to_owned()));
            return 1;
        };
        let steps = 1 + next.tasks.as_deref().map_or(0, |it| member::count(&it.assigned));
        if next != member.current {
            self.edit(&mut beat.changes).set_current(&id, next);
            self.watch_revocation(cx, &id);
        }
        self.end_reconciling(beat);
        steps
    }

    /// Whether states are to be asked for elsewhere than before.
    fn end_reconciling(&mut self, beat: &mut StreamsBeat) {
        let told = self.is_told(beat);
        let Some(group) = self.consumer.as_deref_mut() else { return };
        let member = group.member(&beat.request.member_id);
        let has_endpoint = member
            .is_some_and(|it| it.metadata.streams.as_ref().is_some_and(|it| it.endpoint.is_some()));
        let Some(streams) = group.streams_mut() else { return };
        if told && has_endpoint && !beat.founds {
            streams.endpoint_epoch = streams.endpoint_epoch.wrapping_add(1);
        }
        if streams.endpoint_epoch != beat.request.endpoint_epoch {
            beat.endpoints = Some(BTreeMap::new());
            beat.stage = Stage::Endpoints(None);
        }
    }

    /// Whether the member is told what it has: it joins, it gets other tasks, or it may not have heard of those that it
    /// has. Kafka 4.3 does not tell it in the last case, so that an answer that is lost leaves tasks to nobody until
    /// the next rebalance.
    fn is_told(&self, beat: &StreamsBeat) -> bool {
        let member = self.consumer.as_deref().and_then(|it| it.member(&beat.request.member_id));
        let tasks = member.and_then(|it| it.current.tasks.as_deref());
        beat.request.member_epoch == 0
            || beat.behind
            || tasks.map_or(!beat.before.is_empty(), |it| it.assigned != beat.before)
    }

    fn tell_endpoints(
        &self,
        beat: &mut StreamsBeat,
        mut last: Option<String>,
        left: usize,
    ) -> usize {
        let Some(group) = self.consumer.as_deref() else { return 1 };
        let none = Arc::default();
        let subtopologies = beat.configured.as_ref().and_then(|it| it.subtopologies.as_ref());
        let subtopologies = subtopologies.unwrap_or(&none);
        let topics = ViewRef(&*beat.view);
        let (mut steps, mut ended) = (0, true);
        let nothing = OwnedTasks::default();
        for (id, member) in group.members_after(last.clone().as_deref()) {
            if steps >= left {
                ended = false;
                break;
            }
            steps += 1;
            last = Some(id.to_owned());
            let endpoint = member.metadata.streams.as_ref().and_then(|it| it.endpoint.as_ref());
            let Some(endpoint) = endpoint else { continue };
            let assigned = &member.current.tasks.as_deref().unwrap_or(&nothing).assigned;
            steps += member::count(assigned);
            let all = beat.endpoints.get_or_insert_default();
            let told = all.entry(endpoint.clone()).or_default();
            partitions::add(
                &mut told.active,
                partitions_of(&assigned.active, subtopologies, &topics),
            );
            partitions::add(
                &mut told.standby,
                partitions_of(&assigned.standby, subtopologies, &topics),
            );
        }
        if !ended {
            beat.stage = Stage::Endpoints(last);
        }
        1 + steps
    }

    /// All is done: the answer leaves when what has changed is durable.
    pub(in crate::group) fn end_streams_beat(&mut self, cx: &mut Cx<'_>, beat: StreamsBeat) {
        let told = self.is_told(&beat);
        let StreamsBeat { ticket, request, configured, mut statuses, endpoints, .. } = beat;
        let (changes, founds, refused) = (beat.changes, beat.founds, beat.refused);
        let too_long =
            || (ErrorCode::UNKNOWN_SERVER_ERROR, "It does not fit into records.".to_owned());
        if let Some((error, why)) = refused.or_else(|| changes.too_long.then(too_long)) {
            self.take_back(cx, changes);
            let refused = StreamsHeartbeaten::refused(error, Some(why));
            return cx.reply(ticket, GroupResponse::StreamsHeartbeat(Box::new(refused)));
        }
        let own = cx.cluster.view().group_config(&self.id).streams_heartbeat_interval_ms;
        let heartbeat_interval_ms = own.unwrap_or(cx.settings.streams_heartbeat_interval_ms);
        let Some(group) = self.consumer.as_deref_mut() else { return };
        let member = group.member(&request.member_id);
        let (member_epoch, tasks) = member.map_or((0, None), |member| {
            let assigned = member.current.tasks.as_deref().map(|it| it.assigned.clone());
            (member.current.epoch, told.then(|| assigned.unwrap_or_default()))
        });
        let mut to_create = BTreeMap::new();
        if let Some(configured) = &configured
            && let Some(problem) = &configured.problem
        {
            statuses.push((Status::Topics(problem.status), problem.detail.clone()));
            to_create.clone_from(&configured.to_create);
        }
        let mut endpoint_epoch = 0;
        if let Some(streams) = group.streams_mut() {
            if request.shutdown {
                streams.shutdown_by = Some(request.member_id.clone());
            }
            endpoint_epoch = streams.endpoint_epoch;
            if let Some(id) = &streams.shutdown_by {
                let why = format!(
                    "Streams group member {id} encountered a fatal error and requested a shutdown for the entire application."
                );
                statuses.push((Status::ShutdownApplication, why));
            }
        }
        let response = StreamsHeartbeaten {
            member_id: request.member_id,
            member_epoch,
            heartbeat_interval_ms,
            statuses,
            tasks,
            endpoint_epoch,
            endpoints,
            to_create,
            ..StreamsHeartbeaten::refused(ErrorCode::NONE, None)
        };
        let reply = Some((ticket, GroupResponse::StreamsHeartbeat(Box::new(response))));
        let write = ConsumerWrite { changes, reply, upgrades: founds, downgrades: None };
        self.write_consumer(cx, write);
    }
}
