//! What replication does to the logs of a shard.

use crate::broker::api::data::Appended;
use crate::broker::calls::{AppendReply, Trace};
use crate::broker::figures::ReplicaLag;
use crate::broker::logs::{Logs, Outbox, Task};
use crate::broker::part::Awaiting;
use crate::replica::{FollowerEnd, IsrChange, Partition, Patience};
use crate::storage::engine::Slot;
use crate::storage::format::whole_frame::Frame;
use crate::storage::read::Ticket;
use crate::types::{ErrorCode, Now, TopicPartition};
use crate::wire::records::batches;
use std::collections::{BTreeMap, BTreeSet};

/// So many partitions are looked at in one go.
const LOOKS: usize = 512;

/// Where a log is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// To where this epoch ends at the leader, or the one before it here.
    To {
        /// Which epoch.
        epoch: i32,
        /// Where it ends.
        end: i64,
    },
    /// All of it: it begins anew there.
    Restart {
        /// The leader's log start.
        offset: i64,
    },
    /// All of it, since it is damaged: it begins anew there, however far it was committed.
    Anew {
        /// The leader's log start.
        offset: i64,
    },
}

/// How far cutting goes.
#[derive(Debug)]
pub enum CutStep {
    /// The engine tells when it may be.
    Waits,
    /// Something is to be read before.
    Reads(Ticket),
    /// It is under way: [`Outbox::cut`] says when it is durable.
    Begun {
        /// Where the log has ended.
        from: i64,
        /// Where it ends now.
        to: i64,
    },
    /// There is nothing to cut.
    Nothing,
    /// It cannot be cut, since it is damaged.
    Damaged,
    /// It must not be cut.
    Refused(String),
}

/// What a look at a partition's ISR gives.
#[derive(Debug, Default)]
pub struct IsrLook {
    /// What is to be proposed, and the ISR as it is.
    pub change: Option<(IsrChange, Vec<i32>)>,
    /// It is to be looked at again then, ms.
    pub again_ms: Option<i64>,
}

impl Logs {
    /// The core of a partition.
    pub fn core_mut(&mut self, tp: TopicPartition) -> Option<&mut Partition> {
        let slot = self.find(tp)?;
        self.parts.get_mut(slot.index()).map(|it| &mut it.core)
    }

    /// High watermark and start of a log that is led here.
    pub fn ends(&self, slot: Slot) -> Option<(i64, i64)> {
        let core = &self.parts.get(slot.index())?.core;
        core.leads().then(|| (core.high_watermark(), core.log_start()))
    }

    // ---- Of a leader ----

    /// A follower goes on from where its log is this one.
    pub fn follower_subscribed(
        &mut self,
        slot: Slot,
        told: &FollowerEnd,
        now_ms: i64,
        out: &mut Outbox,
    ) {
        let Some(part) = self.parts.get_mut(slot.index()) else { return };
        if part.core.subscribed(told, now_ms) {
            self.watermark_moved(slot, out);
        }
    }

    /// What is to be proposed of a partition now; see [`Partition::isr_change`].
    pub fn isr_change(
        &mut self,
        tp: TopicPartition,
        (now_ms, patience): (i64, Patience<'_>),
        may_join: impl Fn(i32) -> bool,
        out: &mut Outbox,
    ) -> IsrLook {
        let Some(slot) = self.find(tp) else { return IsrLook::default() };
        let core = &mut self.part(slot).core;
        let (change, moved) = core.isr_change(now_ms, patience, may_join);
        let change = change.map(|it| (it, core.isr().to_vec()));
        let again_ms = core.awaits_until_ms();
        if moved {
            self.watermark_moved(slot, out);
        }
        IsrLook { change, again_ms }
    }

    /// The controller refuses who was proposed to be in sync: the watermark does not wait for them any more, and who
    /// waits for the watermark is told.
    pub fn isr_refused(
        &mut self,
        tp: TopicPartition,
        change: &IsrChange,
        error: ErrorCode,
        now_ms: i64,
        out: &mut Outbox,
    ) {
        let Some(slot) = self.find(tp) else { return };
        if self.part(slot).core.isr_refused(change, error, now_ms) {
            self.watermark_moved(slot, out);
        }
    }

    /// A follower is durable up to there. Whether it may join those in sync by that.
    pub fn follower_durable(
        &mut self,
        slot: Slot,
        told: &FollowerEnd,
        now_ms: i64,
        out: &mut Outbox,
    ) -> bool {
        let Some(part) = self.parts.get_mut(slot.index()) else { return false };
        let moved = part.core.durable_at(told, now_ms);
        let joins = !part.core.isr().contains(&told.node);
        if moved {
            self.watermark_moved(slot, out);
        }
        joins
    }

    /// Adds to `due` what may have an ISR to propose, and to `lags` how far followers are behind, of some partitions
    /// from this place on. The place to go on from, if there are more, and the looks that it took.
    pub fn due_isr(
        &self,
        place: usize,
        now_ms: i64,
        patience: Patience<'_>,
        due: &mut BTreeSet<TopicPartition>,
        lags: &mut BTreeMap<i32, ReplicaLag>,
    ) -> (Option<usize>, u64) {
        let end = (place + LOOKS).min(self.parts.len());
        for at in place..end {
            let Some(part) = self.parts.get(at) else { continue };
            let deadline = part.core.isr_deadline_ms(patience);
            let slot = Slot::from_index(at as u32);
            if deadline.is_some_and(|it| it <= now_ms) {
                due.extend(self.engine.name(slot));
            }
            for (node, records, ms) in part.core.lag_of_each(now_ms) {
                let [records, ms] = [records, ms].map(|it| u64::try_from(it).unwrap_or(0));
                let all = (part.core.log_end() - part.core.log_start()).max(1) as u64;
                let log = if records > 0 { self.engine.offsets(slot).bytes } else { 0 };
                let bytes = (u128::from(log) * u128::from(records) / u128::from(all)) as u64;
                let lag = lags.entry(node).or_default();
                *lag = lag.or(ReplicaLag { records, bytes, ms });
            }
        }
        ((end < self.parts.len()).then_some(end), (end - place) as u64)
    }

    /// Refuses what waits to be committed for longer than its client wants.
    pub fn refuse_late(&mut self, now_ms: i64, out: &mut Outbox) {
        self.refuse_until(now_ms, ErrorCode::REQUEST_TIMED_OUT, out);
    }

    /// Refuses all that waits to be committed: there is no space for it. Its clients look for another leader. A request of which
    /// nothing is left to be told is answered, although what is staged of it may become durable yet.
    pub fn refuse_without_space(&mut self, out: &mut Outbox) {
        for key in self.refuse_until(i64::MAX - 1, ErrorCode::KAFKA_STORAGE_ERROR, out) {
            if let Some(Task::Append { results, reply, .. }) = self.tasks.get_mut(key)
                && results.iter().all(|it| it.error.is_err())
                && let Some(reply) = reply.take()
            {
                let (results, trace) = (results.clone(), Trace::default());
                out.appended.push((reply, AppendReply { results, trace }));
            }
        }
    }

    /// The tasks of which something was refused.
    fn refuse_until(&mut self, now_ms: i64, error: ErrorCode, out: &mut Outbox) -> Vec<usize> {
        let mut refused = Vec::new();
        while let Some(first) = self.deadlines.first_entry()
            && *first.key() <= now_ms
        {
            for slot in first.remove() {
                let Some(part) = self.parts.get_mut(slot.index()) else { continue };
                let all = std::mem::take(&mut part.awaiting);
                let (late, rest): (Vec<_>, Vec<_>) =
                    all.into_iter().partition(|it| it.until_ms <= now_ms);
                part.awaiting = rest.into();
                for it in &late {
                    self.refuse(it, error, out);
                    refused.push(it.key);
                }
            }
        }
        refused
    }

    /// What waits to be committed is refused: it may be committed all the same, or never.
    pub(in crate::broker) fn refuse_awaiting(
        &mut self,
        slot: Slot,
        error: ErrorCode,
        out: &mut Outbox,
    ) {
        let Some(part) = self.parts.get_mut(slot.index()) else { return };
        part.unacked.clear();
        if let Some(tp) = self.engine.name(slot) {
            for it in self.held.take_all(tp) {
                self.answer_held(&it, Appended::failed(it.append.index, error), out);
            }
        }
        let Some(part) = self.parts.get_mut(slot.index()) else { return };
        let awaiting = std::mem::take(&mut part.awaiting);
        let of = |it: &mut (i64, usize, bool)| it.2;
        let duplicates: Vec<usize> = part.duplicates.extract_if(.., of).map(|it| it.1).collect();
        for it in awaiting {
            self.refuse(&it, error, out);
        }
        // Their original may be lost: they are sent again.
        for key in duplicates {
            if let Some(Task::Append { results, .. }) = self.tasks.get_mut(key) {
                for result in results {
                    *result = Appended::failed(result.index, error);
                }
            }
            self.appended(key, out);
        }
    }

    pub(in crate::broker) fn refuse(&mut self, it: &Awaiting, error: ErrorCode, out: &mut Outbox) {
        if let Some(Task::Append { results, .. }) = self.tasks.get_mut(it.key)
            && let Some(result) = results.get_mut(it.at)
        {
            *result = Appended::failed(result.index, error);
        }
        self.appended(it.key, out);
    }

    /// All who wait for a partition are told: they ask again.
    pub(in crate::broker) fn fire_all(&mut self, slot: Slot, out: &mut Outbox) {
        for key in self.parts.get(slot.index()).map(|it| it.waiters.clone()).unwrap_or_default() {
            self.fire(key, out);
        }
    }

    // ---- Of a follower ----

    /// The leader of this epoch has the same log, and this watermark.
    pub fn joins(&mut self, tp: TopicPartition, epoch: i32, high_watermark: i64, out: &mut Outbox) {
        let Some(slot) = self.find(tp) else { return };
        let core = &mut self.part(slot).core;
        core.joins(epoch);
        if core.watermark(epoch, high_watermark) {
            self.watermark_moved(slot, out);
        }
    }

    /// The leader of this epoch has this high watermark and this log start.
    pub fn told(
        &mut self,
        tp: TopicPartition,
        epoch: i32,
        (high_watermark, log_start): (i64, i64),
        out: &mut Outbox,
    ) {
        let Some(slot) = self.find(tp) else { return };
        let core = &mut self.part(slot).core;
        if !core.has_joined(epoch) {
            return;
        }
        let moved = core.watermark(epoch, high_watermark);
        let start = core.follows_start(log_start);
        if moved {
            self.watermark_moved(slot, out);
        }
        if let Some(start) = start.filter(|it| *it > self.engine.offsets(slot).start) {
            let token = self.tasks.insert(Task::Start(slot, start)) as u64;
            self.engine.set_log_start(slot, start, token);
        }
    }

    /// Takes a frame of the leader of this epoch, with what it told of its watermark and its log start. An error
    /// says why it is not taken: nothing has changed then.
    pub fn take_frame(
        &mut self,
        tp: TopicPartition,
        epoch: i32,
        frame: Frame,
        marks: (i64, i64),
        now: Now,
        out: &mut Outbox,
    ) -> Result<(), String> {
        let slot = self.find(tp).ok_or("there is no such partition here")?;
        let core = &self.part(slot).core;
        if !core.has_joined(epoch) {
            return Err("it is of another epoch".to_owned());
        }
        core.check_frame_epoch(frame.header().leader_epoch()).map_err(|e| e.to_string())?;
        let (payload, next) = (frame.payload().clone(), frame.next_offset());
        // Nobody waits for it: how far the log is durable is told as it is.
        self.engine.append_frame(slot, frame, u64::MAX).map_err(|e| e.to_string())?;
        let Self { parts, producers, .. } = self;
        let part = parts.get_mut(slot.index()).expect("found");
        part.unacked.push_back((next, payload.len() as u32));
        let headers = batches(&payload).map(|(header, _)| header);
        part.core.take_frame(now.monotonic_ms, headers, next, producers);
        self.told(tp, epoch, marks, out);
        Ok(())
    }

    /// Cuts a log to what its leader has, as far as that may be done now.
    pub fn cut(&mut self, tp: TopicPartition, cut: Cut) -> CutStep {
        let Some(slot) = self.find(tp) else { return CutStep::Nothing };
        if !self.engine.await_truncation(slot) {
            return CutStep::Waits;
        }
        let Self { engine, parts, producers, tasks, .. } = self;
        let part = parts.get_mut(slot.index()).expect("found");
        // What readers wait for is counted anew.
        part.unacked.clear();
        let core = &mut part.core;
        let from = core.log_end();
        let to = match cut {
            Cut::Restart { offset } if offset < core.log_start() => return CutStep::Nothing,
            Cut::Restart { offset } => {
                if let Err(e) = core.restart_at(offset, producers) {
                    return CutStep::Refused(e.to_string());
                }
                let token = tasks.insert(Task::Cut(tp)) as u64;
                engine.restart_at(slot, offset, &core.snapshot(), token);
                return CutStep::Begun { from, to: offset };
            }
            Cut::Anew { .. } if core.leads() => return CutStep::Nothing,
            Cut::Anew { offset } => {
                let offset = offset.max(core.log_start()).max(engine.offsets(slot).start);
                core.begin_anew(offset, producers);
                engine.set_committed(slot, core.high_watermark());
                let token = tasks.insert(Task::Cut(tp)) as u64;
                engine.restart_at(slot, offset, &core.snapshot(), token);
                return CutStep::Begun { from, to: offset };
            }
            Cut::To { epoch, end } => match core.diverges(epoch, end) {
                Ok(to) => to,
                Err(e) => return CutStep::Refused(e.to_string()),
            },
        };
        if to == from {
            return CutStep::Nothing;
        }
        match engine.before_truncate(slot, to) {
            Ok(None) => {}
            Ok(Some(ticket)) => return CutStep::Reads(ticket),
            Err(e) => {
                engine.found_damage(slot, &e.to_string());
                return CutStep::Damaged;
            }
        }
        if let Err(e) = core.truncate(to, producers) {
            return CutStep::Refused(e.to_string());
        }
        engine.set_committed(slot, core.high_watermark());
        let token = tasks.insert(Task::Cut(tp)) as u64;
        engine.truncate(slot, to, &core.snapshot(), token);
        CutStep::Begun { from, to }
    }
}
