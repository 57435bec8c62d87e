//! What a leader knows of its followers, and the in-sync replicas (ISR).
//!
//! The high watermark is the least durable end of every replica that may be in the ISR: of the one that is
//! committed and of every one that was proposed and may be committed yet. It moves only while the
//! *committed* one is as large as `min.insync.replicas` demands. So whoever the controller takes for
//! in sync, whatever it has decided and the leader has not heard of, has everything below the watermark.
//!
//! A proposal whose outcome is not known stays one that may be committed, until the partition's epoch is
//! newer: then no older proposal can be committed any more.

use crate::types::ErrorCode;
use std::collections::BTreeMap;

/// For the answer to a proposal is waited so long, ms.
const ANSWER_MS: i64 = 1_000;
/// After one that was refused the next one waits for so long, ms.
const PAUSE_MS: i64 = 200;
/// The watermark waits for a follower that was at the log's end so little time ago, ms.
const NEAR_MS: i64 = 100;
/// It waits for one so long, ms: as long as the follower is behind, and a way there and back.
const AWAIT_MS: i64 = 2 * NEAR_MS;
/// Whom it has waited for in vain it does not wait for again before this time, ms.
const AWAIT_PAUSE_MS: i64 = 5_000;

/// How long followers may be behind.
#[derive(Clone, Copy, Debug)]
pub struct Patience<'a> {
    /// `replica.lag.time.max.ms`.
    pub lag_max_ms: i64,
    /// Nodes whose disk has no space, and for how long each of them may be behind, ms.
    pub without_space: &'a BTreeMap<i32, i64>,
}

impl Patience<'_> {
    /// With this one, ms.
    fn with(&self, node: i32) -> i64 {
        self.without_space.get(&node).map_or(self.lag_max_ms, |most| self.lag_max_ms.min(*most))
    }
}

/// That a replica leads, as the metadata say it.
#[derive(Clone, Copy, Debug)]
pub struct Leading<'a> {
    /// This node.
    pub node: i32,
    /// The leader epoch.
    pub epoch: i32,
    /// The partition epoch: it is raised by every change of leader and ISR.
    pub partition_epoch: i32,
    /// All replicas.
    pub replicas: &'a [i32],
    /// Those in sync.
    pub isr: &'a [i32],
    /// `min.insync.replicas`.
    pub min_insync: usize,
    /// The time, ms of the monotonic clock.
    pub now_ms: i64,
}

/// How far a follower says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerEnd {
    /// Which node.
    pub node: i32,
    /// Of its process: each start registers a larger one.
    pub incarnation: i64,
    /// The leader epoch in which it follows.
    pub leader_epoch: i32,
    /// Offset after its last record that survives a power cut.
    pub end: i64,
}

/// A change of the ISR, to be proposed to the controller (`AlterPartition`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrChange {
    /// The partition epoch that it is to follow: the controller refuses it where there is a newer one.
    pub partition_epoch: i32,
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// The new ISR: nodes with their incarnations, -1 where a member was not heard in this epoch, and
    /// of the leader itself. The controller refuses one that is not registered. It is to raise the
    /// partition epoch even where it has this ISR already: that says that no older proposal comes.
    pub isr: Vec<(i32, i64)>,
}

/// Another replica.
#[derive(Clone, Debug)]
struct Follower {
    node: i32,
    /// -1 before it was heard in this epoch.
    incarnation: i64,
    end: i64,
    /// When it was at the log's end for the last time, ms.
    caught_up_ms: i64,
    /// The log's end when it was last heard, and when that was: it was at the log's end then, once it
    /// reaches that.
    mark: (i64, i64),
    /// When this process of it was at the log's end for the last time, ms, as far as it was heard.
    at_end_ms: i64,
    /// The watermark waits for it until then, ms.
    awaited_until_ms: Option<i64>,
    /// The watermark does not wait for it before this time, ms.
    not_awaited_before_ms: i64,
    /// It is not to join before this time, ms: the controller would not have it.
    not_before_ms: i64,
}

impl Follower {
    fn new(node: i32, now_ms: i64) -> Self {
        Self {
            node,
            incarnation: -1,
            end: -1,
            caught_up_ms: now_ms,
            mark: (i64::MAX, now_ms),
            at_end_ms: i64::MIN,
            awaited_until_ms: None,
            not_awaited_before_ms: i64::MIN,
            not_before_ms: i64::MIN,
        }
    }

    fn is_heard(&self) -> bool {
        self.incarnation >= 0
    }

    fn was_at_end(&mut self, at_ms: i64) {
        self.caught_up_ms = self.caught_up_ms.max(at_ms);
        self.at_end_ms = self.at_end_ms.max(at_ms);
    }

    /// Whether it may join this ISR, once it is far enough: it was heard, and the controller would have it.
    fn may_join(&self, isr: &[i32], now_ms: i64, may_join: &dyn Fn(i32) -> bool) -> bool {
        let is_new = self.is_heard() && !isr.contains(&self.node);
        is_new && now_ms >= self.not_before_ms && may_join(self.node)
    }

    /// Has the watermark wait for it, where it may join, is close, and is not there.
    fn await_it(&mut self, now_ms: i64) {
        match self.awaited_until_ms {
            Some(until) if now_ms >= until => {
                self.awaited_until_ms = None;
                self.not_awaited_before_ms = now_ms.saturating_add(AWAIT_PAUSE_MS);
            }
            Some(_) => {}
            None => {
                let is_near = now_ms.saturating_sub(self.at_end_ms) <= NEAR_MS;
                if is_near && now_ms >= self.not_awaited_before_ms {
                    self.awaited_until_ms = Some(now_ms.saturating_add(AWAIT_MS));
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Proposal {
    /// Nodes with their incarnations: who joined the proposal is not who has started anew since.
    isr: Vec<(i32, i64)>,
    sent_ms: i64,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Leader {
    node: i32,
    partition_epoch: i32,
    min_insync: usize,
    followers: Vec<Follower>,
    isr: Vec<i32>,
    proposal: Option<Proposal>,
    /// Nodes of earlier proposals of this partition epoch that may be committed yet.
    perhaps: Vec<i32>,
    /// Nothing is proposed before this time, ms.
    not_before_ms: i64,
}

impl Leader {
    pub fn new(to: &Leading<'_>) -> Self {
        let others = to.replicas.iter().filter(|node| **node != to.node);
        Self {
            node: to.node,
            partition_epoch: to.partition_epoch,
            min_insync: to.min_insync,
            followers: others.map(|node| Follower::new(*node, to.now_ms)).collect(),
            isr: to.isr.to_vec(),
            proposal: None,
            perhaps: Vec::new(),
            not_before_ms: i64::MIN,
        }
    }

    /// Takes over what the metadata say of the same leader epoch.
    pub fn update(&mut self, to: &Leading<'_>) {
        self.min_insync = to.min_insync;
        self.followers.retain(|it| to.replicas.contains(&it.node));
        for node in to.replicas.iter().filter(|node| **node != self.node) {
            if self.follower(*node).is_none() {
                self.followers.push(Follower::new(*node, to.now_ms));
            }
        }
        self.committed(to.partition_epoch, to.isr);
    }

    /// The controller has committed this ISR.
    pub fn committed(&mut self, partition_epoch: i32, isr: &[i32]) {
        if partition_epoch > self.partition_epoch {
            self.partition_epoch = partition_epoch;
            self.isr = isr.to_vec();
            (self.proposal, self.perhaps) = (None, Vec::new());
        }
    }

    fn follower(&self, node: i32) -> Option<&Follower> {
        self.followers.iter().find(|it| it.node == node)
    }

    /// Whether this node is a replica besides the leader, as far as the metadata have come here.
    pub fn has_follower(&self, node: i32) -> bool {
        self.follower(node).is_some()
    }

    /// A follower has what the leader has, from where it was up to `told.end`: it subscribes. False where
    /// that is of no use: it is not a replica, or this was said before it started anew.
    pub fn subscribed(&mut self, told: &FollowerEnd, log_end: i64, now_ms: i64) -> bool {
        let Some(it) = self.followers.iter_mut().find(|it| it.node == told.node) else {
            return false;
        };
        if told.incarnation < it.incarnation || told.end > log_end {
            return false;
        }
        if told.incarnation > it.incarnation {
            (it.incarnation, it.end) = (told.incarnation, told.end);
            (it.mark, it.not_before_ms) = ((i64::MAX, now_ms), i64::MIN);
            (it.at_end_ms, it.awaited_until_ms) = (i64::MIN, None);
        }
        self.durable(told, log_end, now_ms)
    }

    /// A follower that has subscribed is durable up to there.
    pub fn durable(&mut self, told: &FollowerEnd, log_end: i64, now_ms: i64) -> bool {
        let of = |it: &&mut Follower| it.node == told.node && it.incarnation == told.incarnation;
        let Some(it) = self.followers.iter_mut().find(of) else { return false };
        if told.end > log_end {
            return false;
        }
        it.end = it.end.max(told.end);
        if it.end >= log_end {
            it.was_at_end(now_ms);
        } else if it.end >= it.mark.0 {
            it.was_at_end(it.mark.1);
        }
        if it.end >= it.mark.0 || it.mark.0 == i64::MAX {
            it.mark = (log_end, now_ms);
        }
        true
    }

    /// The log goes on behind `end`: who is there is caught up until now.
    pub fn appends(&mut self, end: i64, now_ms: i64) {
        for it in self.followers.iter_mut().filter(|it| it.end == end) {
            it.was_at_end(now_ms);
        }
    }

    /// How far every replica is that may be in sync, or is about to be; `None` while too few are.
    pub fn committed_end(&self, durable_end: i64) -> Option<i64> {
        if self.lacks_replicas() {
            return None;
        }
        let proposed = self.proposal.iter().flat_map(|it| it.isr.iter().map(|it| &it.0));
        let is_awaited = |it: &&Follower| it.awaited_until_ms.is_some();
        let awaited = self.followers.iter().filter(is_awaited).map(|it| &it.node);
        let all = self.isr.iter().chain(&self.perhaps).chain(proposed).chain(awaited);
        let end_of = |node: &i32| match *node {
            node if node == self.node => durable_end,
            node => self.follower(node).map_or(-1, |it| it.end),
        };
        Some(all.map(end_of).fold(durable_end, i64::min))
    }

    /// Of each follower: its node, the records that it lacks, and for how long it was not at the log's end, ms.
    pub fn lag_of_each(
        &self,
        (log_start, log_end): (i64, i64),
        now_ms: i64,
    ) -> impl Iterator<Item = (i32, i64, i64)> {
        self.followers.iter().map(move |it| {
            let records = log_end - it.end.max(log_start);
            let ms = if records > 0 { now_ms.saturating_sub(it.caught_up_ms).max(0) } else { 0 };
            (it.node, records, ms)
        })
    }

    /// Whether fewer are in sync than `min.insync.replicas` demands.
    pub fn lacks_replicas(&self) -> bool {
        self.are_too_few(self.isr.len())
    }

    fn are_too_few(&self, in_sync: usize) -> bool {
        in_sync < self.min_insync.min(self.followers.len() + 1)
    }

    /// Whether a node that has everything is to join so many in sync. One without space is, where they are too few, or this one
    /// alone, which may be lost: everybody would wait for it to take what comes next.
    fn is_wanted(&self, node: i32, in_sync: usize, patience: Patience<'_>) -> bool {
        let has_space = !patience.without_space.contains_key(&node);
        has_space || in_sync == 1 || self.are_too_few(in_sync)
    }

    /// The committed ISR.
    pub fn isr(&self) -> &[i32] {
        &self.isr
    }

    /// Of these followers, that are in sync and have all below `offset`, the one that is furthest; of several the one that
    /// was caught up last.
    pub fn furthest(&self, among: &[i32], offset: i64) -> Option<i32> {
        let may = |it: &&Follower| {
            among.contains(&it.node) && self.isr.contains(&it.node) && it.end >= offset
        };
        let found = self.followers.iter().filter(may);
        found.max_by_key(|it| (it.end, it.caught_up_ms, it.node)).map(|it| it.node)
    }

    fn lags(&self, node: i32, log_end: i64, now_ms: i64, patience: Patience<'_>) -> bool {
        let lags = |it: &Follower| {
            (!it.is_heard() || it.end < log_end)
                && now_ms.saturating_sub(it.caught_up_ms) >= patience.with(node)
        };
        node != self.node && self.follower(node).is_none_or(lags)
    }

    /// The change of the ISR to be proposed now, if any. `joins` is how far a replica must be to join, and
    /// `may_join` says whether the controller would have it.
    pub fn isr_change(
        &mut self,
        (log_end, joins): (i64, i64),
        leader_epoch: i32,
        (now_ms, patience): (i64, Patience<'_>),
        may_join: &dyn Fn(i32) -> bool,
    ) -> Option<IsrChange> {
        let awaits = |node| may_join(node) && !patience.without_space.contains_key(&node);
        self.look_who_is_awaited(joins, now_ms, &awaits);
        if now_ms < self.not_before_ms {
            return None;
        }
        let waits = |it: &Proposal| now_ms.saturating_sub(it.sent_ms) < ANSWER_MS;
        if self.proposal.as_ref().is_some_and(waits) {
            return None;
        }
        if let Some(unanswered) = self.proposal.take() {
            self.may_be_committed(&unanswered);
        }
        let mut isr = self.isr.clone();
        isr.retain(|node| !self.lags(*node, log_end, now_ms, patience));
        let in_sync = isr.len();
        let comes = |node| may_join(node) && self.is_wanted(node, in_sync, patience);
        let joining = |it: &&Follower| it.end >= joins && it.may_join(&self.isr, now_ms, &comes);
        isr.extend(self.followers.iter().filter(joining).map(|it| it.node));
        if isr == self.isr && self.perhaps.is_empty() {
            return None;
        }
        let incarnation = |node| self.follower(node).map_or(-1, |it| it.incarnation);
        let isr: Vec<_> = isr.into_iter().map(|node| (node, incarnation(node))).collect();
        self.proposal = Some(Proposal { isr: isr.clone(), sent_ms: now_ms });
        Some(IsrChange { partition_epoch: self.partition_epoch, leader_epoch, isr })
    }

    /// Where more is always committed than a follower has just said to have, it is never at the watermark when that is
    /// looked at, and would never join: so the watermark waits for one that is close, for a moment (Kafka's
    /// `shouldWaitForReplicaToJoinIsr`).
    fn look_who_is_awaited(&mut self, joins: i64, now_ms: i64, may_join: &dyn Fn(i32) -> bool) {
        for it in &mut self.followers {
            if it.end < joins && it.may_join(&self.isr, now_ms, may_join) {
                it.await_it(now_ms);
            } else {
                it.awaited_until_ms = None;
            }
        }
    }

    /// Until when the watermark waits for a follower at most, ms: then [`Leader::isr_change`] is to be asked.
    pub fn awaits_until_ms(&self) -> Option<i64> {
        self.followers.iter().filter_map(|it| it.awaited_until_ms).min()
    }

    /// The controller does not commit this.
    pub fn refused(&mut self, change: &IsrChange, error: ErrorCode, now_ms: i64) {
        let is_it = |it: &mut Proposal| it.isr == change.isr;
        if change.partition_epoch != self.partition_epoch {
            return;
        }
        let Some(proposal) = self.proposal.take_if(is_it) else { return };
        self.not_before_ms = now_ms + PAUSE_MS;
        let joins = |node| proposal.isr.iter().any(|it| it.0 == node);
        for it in &mut self.followers {
            if joins(it.node) && !self.isr.contains(&it.node) {
                it.not_before_ms = now_ms + ANSWER_MS;
            }
        }
        // Every other error may come of its having been committed, by another way.
        if error != ErrorCode::INELIGIBLE_REPLICA {
            self.may_be_committed(&proposal);
        }
    }

    /// What became of a proposal is not known: who joins by it may be in sync, until the partition's epoch is
    /// newer.
    fn may_be_committed(&mut self, proposal: &Proposal) {
        for (node, _) in &proposal.isr {
            if !self.isr.contains(node) && !self.perhaps.contains(node) {
                self.perhaps.push(*node);
            }
        }
    }

    /// When [`Leader::isr_change`] may have something to propose, if nothing else happens, ms.
    pub fn deadline_ms(&self, log_end: i64, joins: i64, patience: Patience<'_>) -> Option<i64> {
        let proposes = self.proposes_ms(log_end, joins, patience);
        proposes.into_iter().chain(self.awaits_until_ms()).min()
    }

    fn proposes_ms(&self, log_end: i64, joins: i64, patience: Patience<'_>) -> Option<i64> {
        if let Some(proposal) = &self.proposal {
            return Some(self.not_before_ms.max(proposal.sent_ms + ANSWER_MS));
        }
        let lag = |it: &Follower| {
            if !self.isr.contains(&it.node) {
                let wanted = self.is_wanted(it.node, self.isr.len(), patience);
                let joins = it.is_heard() && it.end >= joins && wanted;
                return joins.then_some(it.not_before_ms);
            }
            let behind = !it.is_heard() || it.end < log_end;
            behind.then(|| it.caught_up_ms.saturating_add(patience.with(it.node)))
        };
        let first = self.followers.iter().filter_map(lag).min();
        let first = if self.perhaps.is_empty() { first } else { Some(i64::MIN) };
        first.map(|at| at.max(self.not_before_ms))
    }
}
