//! The way of a heartbeat from what a member says to what it is told, some steps at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::beat::{Asker, Beat, Joining, Stage, SubscriptionKey};
use super::change::Resolved;
use super::hashing::Hashing;
use super::member::{Current, Member, MemberMetadata};
use super::partitions::Partitions;
use super::reconcile::{self, Target};
use super::response::ConsumerHeartbeaten;
use super::state::ConsumerGroup;
use super::write::ConsumerWrite;
use crate::group::assignor::{Assigning, Assignor, MemberSpec};
use crate::group::cluster::{ClusterView, ViewRef};
use crate::group::context::Cx;
use crate::group::response::GroupResponse;
use crate::group::share::topics::Uninitialized;
use crate::group::state::Group;
use crate::group::topic_regex::{Resolving, TopicRegex};
use crate::types::{ErrorCode, TopicId};

/// Regular expressions are not resolved anew sooner after the last time, ms: as in Kafka.
const RESOLVE_INTERVAL_MS: i64 = 10_000;
/// So many of them are resolved anew with one heartbeat; others with the next ones.
const RESOLVED_AT_ONCE: usize = 16;

/// Whether another target may be computed: not sooner after the last one than the assignment interval (KIP-1263).
/// All by the wall's clock, which the log has, ms; where that was set back, at once.
pub fn may_assign(last_ms: i64, interval_ms: i32, now_ms: i64) -> bool {
    !(last_ms..last_ms.saturating_add(interval_ms.into())).contains(&now_ms)
}

impl Group {
    /// Goes on with a beat, about so many steps; how many. Fewer are the last.
    pub(in crate::group) fn go_on_with_beat(
        &mut self,
        cx: &mut Cx<'_>,
        beat: &mut Beat,
        room: usize,
    ) -> usize {
        let mut taken = 0;
        while taken < room {
            let left = room - taken;
            taken += match std::mem::replace(&mut beat.stage, Stage::Done) {
                Stage::Done => return taken,
                Stage::Upgrade(last, joining) => self.upgrade_some(cx, beat, last, joining, left),
                Stage::Join(joining) => self.take_in(cx, beat, *joining),
                Stage::Resolve(resolving) => self.resolve_some(cx, beat, resolving, left),
                Stage::Hash(hashing) => self.hash_some(cx, beat, hashing, left),
                Stage::Collect { ids, assigning, sets } => {
                    self.collect_some(beat, ids, assigning, sets, left)
                }
                Stage::Assign(ids, mut assigning) => {
                    let steps = assigning.step(&ViewRef(&*beat.view), left);
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
                        let old = editor.group.target(&id);
                        // The same set is the same memory, unless nothing was there.
                        if !old.is_some_and(|it| Arc::ptr_eq(it, &target) || *it == target) {
                            editor.set_target(&id, target);
                        }
                    }
                    beat.stage = if steps < left { Stage::Sweep(None) } else { Stage::Place(rest) };
                    1 + steps
                }
                Stage::Sweep(last) => {
                    let mut editor = self.edit(&mut beat.changes);
                    let ids = editor.group.targets_after(last.as_deref());
                    let ids: Vec<String> = ids.take(left).map(str::to_owned).collect();
                    let steps = ids.len();
                    for id in &ids {
                        if editor.group.member(id).is_none() {
                            editor.remove_target(id);
                        }
                    }
                    beat.stage = if steps < left {
                        let epoch = editor.group.epoch();
                        editor.set_target_epoch(epoch, cx.now.wall_ms);
                        Stage::Reconcile
                    } else {
                        Stage::Sweep(ids.into_iter().next_back())
                    };
                    1 + steps
                }
                Stage::Reconcile => self.reconcile(cx, beat),
            };
        }
        taken
    }

    /// A member is what it says from now on.
    fn take_in(&mut self, cx: &mut Cx<'_>, beat: &mut Beat, joining: Joining) -> usize {
        let Joining { id, replaces, metadata, regex } = joining;
        let is_new = {
            let mut editor = self.edit(&mut beat.changes);
            let known = replaces.as_deref().unwrap_or(&id);
            let old = editor.group.member(known).cloned();
            let said = old.as_ref().map(|it| &it.metadata);
            let topics = said.is_none_or(|it| it.topics != metadata.topics);
            let pattern = said.and_then(MemberMetadata::pattern) != metadata.pattern();
            beat.bumps |= topics || pattern;
            beat.before = old.as_ref().map(|it| it.current.assigned.clone()).unwrap_or_default();
            beat.replaced = replaces.is_some();
            if let Some(old_id) = &replaces {
                let target = editor.group.target(old_id).cloned();
                editor.remove_member(old_id);
                editor.set_metadata(&id, metadata);
                if let Some(target) = target {
                    editor.set_target(&id, target);
                }
                if let Some(old) = &old {
                    let begins = Current { epoch: 0, previous_epoch: 0, ..old.current.clone() };
                    editor.set_current(&id, begins);
                }
            } else if said != Some(&metadata) {
                editor.set_metadata(&id, metadata);
            }
            if pattern {
                editor.remove_unused_patterns();
            }
            old.is_none()
        };
        beat.member_id = id;
        self.renew_consumer(cx, &beat.member_id);
        beat.stage = self.next_resolving(cx, beat, regex);
        1 + usize::from(is_new)
    }

    /// The regular expressions that are to be resolved next, or else the topics that are to be hashed.
    fn next_resolving(&self, cx: &Cx<'_>, beat: &Beat, regex: Option<TopicRegex>) -> Stage {
        let Some(group) = &self.consumer else { return Stage::Done };
        let now_ms = cx.now.monotonic_ms;
        let stale = now_ms >= group.resolve_from_ms;
        let due = group.patterns().filter(|it| {
            let other = it.resolved_at != Some(beat.topics_version);
            it.resolved.is_none() || (stale && other) || now_ms >= group.resolve_by_ms
        });
        let mut compiled = Vec::new();
        for it in due.take(RESOLVED_AT_ONCE) {
            match &regex {
                Some(regex) if **regex.pattern() == *it.text => compiled.push(regex.clone()),
                // One that was accepted once is accepted again, unless limits have changed.
                _ => compiled.extend(TopicRegex::new(it.text).ok()),
            }
        }
        if compiled.is_empty() {
            return self.next_hashing(cx, beat);
        }
        Stage::Resolve(Resolving::new(compiled))
    }

    fn resolve_some(
        &mut self,
        cx: &Cx<'_>,
        beat: &mut Beat,
        mut resolving: Resolving,
        left: usize,
    ) -> usize {
        let steps = resolving.step(&ViewRef(&*beat.view), left);
        if steps >= left {
            beat.stage = Stage::Resolve(resolving);
            return steps;
        }
        let version = beat.topics_version;
        let mut editor = self.edit(&mut beat.changes);
        for (pattern, topics) in resolving.finish() {
            let old = editor.group.resolved(&pattern);
            if old.is_none_or(|it| it.topics != topics) {
                let timestamp_ms = cx.now.wall_ms;
                let version = i64::try_from(version).unwrap_or(i64::MAX);
                editor.set_resolved(&pattern, Resolved { topics, version, timestamp_ms });
                beat.bumps = true;
            }
            editor.group.note_resolved(&pattern, version);
        }
        let now_ms = cx.now.monotonic_ms;
        editor.group.resolve_from_ms = now_ms + RESOLVE_INTERVAL_MS;
        let refresh_ms = i64::from(cx.settings.consumer_regex_refresh_interval_ms);
        editor.group.resolve_by_ms = now_ms + refresh_ms.max(RESOLVE_INTERVAL_MS);
        beat.stage = self.next_hashing(cx, beat);
        1 + steps
    }

    /// The topics are hashed where something may have changed.
    fn next_hashing(&self, cx: &Cx<'_>, beat: &Beat) -> Stage {
        let Some(group) = &self.consumer else { return Stage::Done };
        if beat.bumps || group.hashed_at != Some(beat.topics_version) {
            return Stage::Hash(Hashing::default());
        }
        self.next_collecting(cx)
    }

    fn hash_some(
        &mut self,
        cx: &Cx<'_>,
        beat: &mut Beat,
        mut hashing: Hashing,
        left: usize,
    ) -> usize {
        let Some(group) = self.consumer.as_deref_mut() else { return 0 };
        let share = group.is_share().then(|| cx.cluster.view());
        let (view, uninitialized) = (&*beat.view, &mut beat.uninitialized);
        let steps = hashing.step(group, view, left, |name| {
            let from = view.topic(name).map_or(0, |it| it.partitions);
            let whole = share.as_ref().and_then(|it| it.topic(name));
            if let Some(it) = whole.filter(|it| it.partitions > from) {
                let (name, partitions) = (name.to_owned(), it.partitions);
                uninitialized.push(Uninitialized { id: it.id, name, from, partitions });
            }
        });
        if steps >= left {
            beat.stage = Stage::Hash(hashing);
            return steps;
        }
        // What is asked for is asked for with each heartbeat until it is there.
        group.hashed_at = beat.uninitialized.is_empty().then_some(beat.topics_version);
        let (epoch, old_hash) = (group.epoch(), group.metadata_hash());
        if beat.bumps || hashing.sum() != old_hash {
            // Of an epoch that nobody has a target of, the topics may still change.
            let pending = epoch > group.target_epoch() && !beat.bumps;
            let epoch = if pending { epoch } else { group.next_epoch() };
            self.edit(&mut beat.changes).set_epoch(epoch, hashing.sum());
        }
        beat.stage = self.next_collecting(cx);
        1 + steps
    }

    /// Whether the targets are not of the group's epoch, and others may be computed. No timer waits for that: a
    /// member hears of its target with a heartbeat, and the first one after the interval computes it, as in Kafka.
    pub(super) fn is_to_assign(&self, cx: &Cx<'_>) -> bool {
        let Some(group) = self.consumer.as_deref().filter(|it| it.epoch() > it.target_epoch())
        else {
            return false;
        };
        // Nobody has to give up anything for others: it costs little.
        if group.is_share() {
            return true;
        }
        let own = cx.cluster.view().group_config(&self.id).consumer_assignment_interval_ms;
        let interval_ms = own.unwrap_or(cx.settings.consumer_assignment_interval_ms);
        may_assign(group.target_timestamp_ms(), interval_ms, cx.now.wall_ms)
    }

    /// Members are collected where targets are to be computed.
    fn next_collecting(&self, cx: &Cx<'_>) -> Stage {
        if !self.is_to_assign(cx) {
            return Stage::Reconcile;
        }
        let assigning = Box::new(Assigning::new(self.assignor(cx)));
        Stage::Collect { ids: Vec::new(), assigning, sets: BTreeMap::new() }
    }

    /// The assignor that most members want.
    pub(super) fn assignor(&self, cx: &Cx<'_>) -> Assignor {
        if self.is_share() {
            return Assignor::Simple;
        }
        let known = &cx.settings.consumer_assignors;
        let wanted = self.consumer.as_deref().and_then(ConsumerGroup::preferred_assignor);
        let wanted = wanted.and_then(Assignor::by_name).filter(|it| known.contains(it));
        wanted.or_else(|| known.first().copied()).unwrap_or_default()
    }

    fn collect_some(
        &mut self,
        beat: &mut Beat,
        mut ids: Vec<String>,
        mut assigning: Box<Assigning>,
        mut sets: BTreeMap<SubscriptionKey, Arc<BTreeSet<TopicId>>>,
        left: usize,
    ) -> usize {
        let Some(group) = self.consumer.as_deref() else { return 0 };
        let (none, mut steps) = (Arc::default(), 0);
        let from = ids.last().cloned();
        for (id, member) in group.members_after(from.as_deref()) {
            if steps >= left {
                break;
            }
            let metadata = &member.metadata;
            let key = (Rc::as_ptr(&metadata.topics), metadata.pattern().map(str::to_owned));
            let topics = sets.entry(key).or_insert_with(|| {
                let topics = topics_of(group, metadata, &*beat.view);
                steps += topics.len();
                Arc::new(topics)
            });
            let assigned = group.target(id).unwrap_or(&none);
            let instance_id = metadata.instance_id.as_deref();
            assigning.add(&MemberSpec { id, instance_id, topics, assigned });
            ids.push(id.to_owned());
            steps += 1;
        }
        beat.stage = if steps < left {
            Stage::Assign(ids, assigning)
        } else {
            Stage::Collect { ids, assigning, sets }
        };
        1 + steps
    }

    /// The member is told what comes next.
    fn reconcile(&mut self, cx: &mut Cx<'_>, beat: &mut Beat) -> usize {
        let Some(group) = self.consumer.as_deref() else { return 0 };
        let Some(member) = group.member(&beat.member_id) else { return 0 };
        let none = Partitions::new();
        let target = Target {
            epoch: group.target_epoch(),
            partitions: group.target(&beat.member_id).map_or(&none, |it| it),
        };
        let is_owned = |topic, partition| group.is_owned(topic, partition);
        let next = if group.is_share() {
            Some(reconcile::shared(&member.current, target))
        } else {
            reconcile::next(&member.current, target, beat.owned.as_ref(), &is_owned)
        };
        let Some(next) = next else {
            let why = "The consumer group member is in a unknown state. The member must abandon all \
                       its partitions and rejoin.";
            beat.refused = Some((ErrorCode::FENCED_MEMBER_EPOCH, why.to_owned()));
            return 1;
        };
        let changed = next != member.current;
        let steps = super::partitions::count(&next.assigned);
        if changed {
            let id = beat.member_id.clone();
            self.edit(&mut beat.changes).set_current(&id, next);
            self.watch_revocation(cx, &id);
        }
        1 + steps
    }

    /// All is done: the answer leaves when what has changed is durable.
    pub(in crate::group) fn end_beat(&mut self, cx: &mut Cx<'_>, beat: Beat) {
        let Beat { ticket, member_id, asker, before, changes, upgrades, refused, replaced, .. } =
            beat;
        let uninitialized = beat.uninitialized;
        let too_long =
            || (ErrorCode::UNKNOWN_SERVER_ERROR, "It does not fit into records.".to_owned());
        if let Some(why) = refused.or_else(|| changes.too_long.then(too_long)) {
            return self.give_up(cx, ticket, &asker, changes, why);
        }
        let Some(member) = self.consumer.as_deref().and_then(|it| it.member(&member_id)) else {
            let why = super::heartbeat::unknown(&self.id, &member_id);
            return self.give_up(cx, ticket, &asker, changes, why);
        };
        let response = match &asker {
            Asker::Heartbeat { full } => {
                let told = *full || before != member.current.assigned;
                let heartbeaten = self.heartbeaten(cx, &member_id, member, told);
                GroupResponse::ConsumerHeartbeat(ConsumerHeartbeaten {
                    uninitialized,
                    ..heartbeaten
                })
            }
            Asker::Join => self.classic_joined(cx, &member_id),
        };
        let reply = Some((ticket, response));
        let write = ConsumerWrite { changes, reply, upgrades, downgrades: None };
        // A static member that was the last of the new protocol may have been replaced.
        if replaced {
            self.write_or_downgrade(cx, write, true);
        } else {
            self.write_consumer(cx, write);
        }
    }

    fn heartbeaten(
        &self,
        cx: &Cx<'_>,
        id: &str,
        member: &Member,
        told: bool,
    ) -> ConsumerHeartbeaten {
        let own = cx.cluster.view().group_config(&self.id);
        let (own, default) = if self.is_share() {
            (own.share_heartbeat_interval_ms, cx.settings.share_heartbeat_interval_ms)
        } else {
            (own.consumer_heartbeat_interval_ms, cx.settings.consumer_heartbeat_interval_ms)
        };
        ConsumerHeartbeaten {
            member_id: Some(id.to_owned()),
            member_epoch: member.current.epoch,
            heartbeat_interval_ms: own.unwrap_or(default),
            assignment: told.then(|| member.current.assigned.clone()),
            ..ConsumerHeartbeaten::refused(ErrorCode::NONE, None)
        }
    }
}

/// The topics that a member wants, as far as there are such.
fn topics_of(
    group: &ConsumerGroup,
    metadata: &MemberMetadata,
    view: &dyn ClusterView,
) -> BTreeSet<TopicId> {
    let resolved = metadata.pattern().and_then(|it| group.resolved(it));
    let matching = resolved.iter().flat_map(|it| it.topics.iter().map(|it| &**it));
    let names = metadata.topics.iter().map(String::as_str).chain(matching);
    names.filter_map(|it| view.topic(it)).map(|it| it.id).collect()
}
