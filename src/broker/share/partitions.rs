//! What drives share-partitions: they are loaded when somebody asks for them, written when something of them is to be kept,
//! and given up when another broker leads.

use super::placed::PlacedShare;
use crate::broker::api::data::OffsetQuery;
use crate::broker::api::list_offsets::{EARLIEST, LATEST};
use crate::broker::calls::{FindOffsets, ShardId, ShareAck, ShareRelease};
use crate::broker::reply_to::ReplyTo;
use crate::broker::state::State;
use crate::share::{AckBatch, Key, Request, Response, SharePartition, ShareState, Update};
use crate::types::{ErrorCode, ShareConfig, ShareReset, TopicPartition};
use std::rc::Rc;
use std::sync::Arc;

/// What a member is told of an error of the share coordinator: what makes it look for the leader again, and ask once more.
fn told(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::FENCED_LEADER_EPOCH | ErrorCode::FENCED_STATE_EPOCH => {
            ErrorCode::NOT_LEADER_OR_FOLLOWER
        }
        // There is no state: the group's coordinator has not begun it, or it was deleted.
        ErrorCode::INVALID_REQUEST
        | ErrorCode::GROUP_ID_NOT_FOUND
        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
        _ => ErrorCode::KAFKA_STORAGE_ERROR,
    }
}

impl State {
    /// The settings of a share group.
    pub(super) fn share_config(&self, group: &str) -> ShareConfig {
        self.image_now().share_config(group)
    }

    /// The epoch in which this partition is led here.
    fn led_in(&self, tp: TopicPartition) -> Result<i32, ErrorCode> {
        let logs = self.logs.borrow();
        let (_, core) = logs.core(tp).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        if !core.leads() {
            return Err(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        Ok(core.leader_epoch())
    }

    /// The share-partition of a group, loaded.
    pub(super) async fn share_partition(
        self: &Rc<Self>,
        group: &Arc<str>,
        tp: TopicPartition,
    ) -> Result<Rc<PlacedShare>, ErrorCode> {
        let leader_epoch = self.led_in(tp)?;
        let known = self.shares.get(group, tp);
        let placed = match known {
            Some(it) if it.ended.get().is_none() && it.leader_epoch == leader_epoch => it,
            other => {
                if let Some(old) = other {
                    self.end_share(&old, ErrorCode::NOT_LEADER_OR_FOLLOWER);
                }
                let new = Rc::new(PlacedShare::new(group.clone(), tp, leader_epoch));
                self.shares.insert(new.clone());
                let (state, loading) = (self.clone(), new.clone());
                self.start(async move {
                    if let Err(error) = state.load_share(&loading).await {
                        state.end_share(&loading, error);
                    }
                });
                new
            }
        };
        let is_ready = || placed.core.borrow().is_some() || placed.ended.get().is_some();
        placed.changed.until(is_ready).await;
        placed.ended.get().map_or(Ok(placed.clone()), Err)
    }

    async fn load_share(self: &Rc<Self>, placed: &Rc<PlacedShare>) -> Result<(), ErrorCode> {
        let key = key_of(placed);
        let request = Request::Read { leader_epoch: placed.leader_epoch };
        let kept = match self.ask_share_coordinator(&key, &request).await {
            Response::State(Some(kept)) => kept,
            Response::State(None) => return Err(told(ErrorCode::INVALID_REQUEST)),
            Response::Done(error) => return Err(told(error)),
        };
        let start = self.share_start(placed, &kept).await?;
        let core = SharePartition::load(&kept, start);
        placed.state_epoch.set(kept.state_epoch);
        self.shares.loads.set(self.shares.loads.get() + 1);
        *placed.core.borrow_mut() = Some(core);
        placed.changed.notify();
        self.keep_share(placed);
        Ok(())
    }

    /// Where a group begins that has read nothing yet.
    async fn share_start(
        self: &Rc<Self>,
        placed: &PlacedShare,
        kept: &ShareState,
    ) -> Result<i64, ErrorCode> {
        if kept.start_offset >= 0 {
            return Ok(kept.start_offset);
        }
        let timestamp = match self.share_config(&placed.group).reset {
            ShareReset::Latest => LATEST,
            ShareReset::Earliest => EARLIEST,
            ShareReset::ByDuration(ms) => self.wall_ms().saturating_sub(ms).max(0),
        };
        let offset = self.find_offset(placed.tp, timestamp).await?;
        if offset >= 0 {
            return Ok(offset);
        }
        // No record is so young.
        self.find_offset(placed.tp, LATEST).await
    }

    async fn find_offset(
        self: &Rc<Self>,
        tp: TopicPartition,
        timestamp: i64,
    ) -> Result<i64, ErrorCode> {
        let query = OffsetQuery {
            index: 0,
            tp,
            timestamp,
            current_leader_epoch: -1,
            committed: false,
            of_replica: false,
        };
        let answers = self.call(self.id, FindOffsets(vec![query])).await.unwrap_or_default();
        match answers.first() {
            Some(it) if !it.error.is_err() => Ok(it.offset),
            Some(it) => Err(it.error),
            None => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
        }
    }

    /// A share-partition is no more.
    pub(super) fn end_share(&self, placed: &Rc<PlacedShare>, error: ErrorCode) {
        placed.ended.set(Some(error));
        placed.changed.notify();
        self.shares.remove(placed);
        self.wake_share_waiters(placed);
    }

    /// Fetches that wait look again.
    pub(super) fn wake_share_waiters(&self, placed: &PlacedShare) {
        let waiters: Vec<u64> = placed.waiters.borrow().iter().copied().collect();
        waiters.into_iter().for_each(|it| self.waits.advanced(it));
    }

    /// Has what has changed written, as long as there is something: one write at a time, of all that was there when it
    /// began.
    pub(super) fn keep_share(self: &Rc<Self>, placed: &Rc<PlacedShare>) {
        if placed.is_kept() || placed.writing.replace(true) {
            return;
        }
        let (state, placed) = (self.clone(), placed.clone());
        self.start(async move {
            while let Some((changes, write)) =
                placed.with(|core| (core.changes(), core.take_write()))
            {
                if let Some(write) = write {
                    let update = Update {
                        leader_epoch: placed.leader_epoch,
                        start_offset: write.start_offset,
                        delivery_complete_count: write.delivery_complete_count,
                        batches: write.batches,
                    };
                    state.work.add(update.batches.len() as u64 / 8);
                    let state_epoch = placed.state_epoch.get();
                    let request = Request::Write { state_epoch, update };
                    match state.ask_share_coordinator(&key_of(&placed), &request).await {
                        Response::Done(ErrorCode::NONE) => {}
                        // Nobody knows what is kept now: that is read before anything else is delivered.
                        Response::Done(error) => state.end_share(&placed, told(error)),
                        Response::State(_) => unreachable!("a write is done or not"),
                    }
                }
                placed.written.set(changes);
                placed.changed.notify();
                if placed.is_kept() {
                    break;
                }
            }
            placed.writing.set(false);
        });
    }

    /// Waits until so many changes are kept.
    async fn share_kept(&self, placed: &PlacedShare, changes: u64) -> Result<(), ErrorCode> {
        let is_over = || placed.written.get() >= changes || placed.ended.get().is_some();
        placed.changed.until(is_over).await;
        placed.ended.get().map_or(Ok(()), Err)
    }

    /// Lets locks end, as long as there are any.
    pub(super) fn time_share(self: &Rc<Self>, placed: &Rc<PlacedShare>) {
        if placed.timing.replace(true) {
            return;
        }
        let (state, placed) = (self.clone(), placed.clone());
        self.start(async move {
            while let Some(until_ms) = placed.with(|core| core.next_deadline()).flatten() {
                state.timers.sleep_until(until_ms).await;
                let limit = state.share_config(&placed.group).delivery_limit;
                let now_ms = state.monotonic_ms();
                if placed.with(|core| core.expire(now_ms, limit)) == Some(true) {
                    state.keep_share(&placed);
                    state.wake_share_waiters(&placed);
                }
            }
            placed.timing.set(false);
        });
    }

    // ---- What members say ----

    pub(in crate::broker) fn serve_share_ack(
        self: &Rc<Self>,
        call: ShareAck,
        _: ShardId,
        to: ReplyTo<ShareAck>,
    ) {
        let state = self.clone();
        self.start(async move {
            let ShareAck { group, holder, partitions } = call;
            let config = state.share_config(&group);
            let (mut told, mut pending) = (Vec::with_capacity(partitions.len()), Vec::new());
            for (index, tp, batches) in partitions {
                if !config.renews && batches.iter().any(AckBatch::renews) {
                    told.push((index, ErrorCode::INVALID_RECORD_STATE));
                    continue;
                }
                let placed = match state.share_partition(&group, tp).await {
                    Ok(placed) => placed,
                    Err(error) => {
                        told.push((index, error));
                        continue;
                    }
                };
                let until_ms = state.monotonic_ms() + i64::from(config.lock_ms);
                let said = placed.with(|core| {
                    state.work.add(core.runs() as u64 / 64);
                    let said = core.acknowledge(&holder, &batches, config.delivery_limit, until_ms);
                    said.map(|()| core.changes())
                });
                match said {
                    Some(Ok(changes)) => {
                        state.keep_share(&placed);
                        state.wake_share_waiters(&placed);
                        pending.push((index, placed, changes));
                    }
                    Some(Err(error)) => told.push((index, error)),
                    None => told.push((index, ErrorCode::NOT_LEADER_OR_FOLLOWER)),
                }
                state.pause().await;
            }
            for (index, placed, changes) in pending {
                let kept = state.share_kept(&placed, changes).await;
                told.push((index, kept.err().unwrap_or(ErrorCode::NONE)));
            }
            to.reply(told);
        });
    }

    pub(in crate::broker) fn serve_share_release(
        self: &Rc<Self>,
        call: ShareRelease,
        _: ShardId,
        to: ReplyTo<ShareRelease>,
    ) {
        let state = self.clone();
        self.start(async move {
            let ShareRelease { group, holder, partitions } = call;
            for tp in partitions {
                if let Some(placed) = state.shares.get(&group, tp) {
                    state.release_share(&placed, &holder);
                }
                state.pause().await;
            }
            to.reply(());
        });
    }

    fn release_share(self: &Rc<Self>, placed: &Rc<PlacedShare>, holder: &Arc<str>) {
        placed.holders.borrow_mut().remove(holder);
        let limit = self.share_config(&placed.group).delivery_limit;
        if placed.with(|core| core.release(holder, limit)) == Some(true) {
            self.keep_share(placed);
            self.wake_share_waiters(placed);
        }
        if !placed.holders.borrow().is_empty() {
            return;
        }
        // Nobody reads it: it is forgotten, unless somebody comes while the last of it is written.
        let (state, placed) = (self.clone(), placed.clone());
        self.start(async move {
            placed.changed.until(|| placed.is_kept() || placed.ended.get().is_some()).await;
            if placed.holders.borrow().is_empty() && placed.is_kept() {
                state.end_share(&placed, ErrorCode::NOT_LEADER_OR_FOLLOWER);
            }
        });
    }

    /// Share-partitions go whose partitions are led here no more, or are gone.
    pub(in crate::broker) fn apply_shares(self: &Rc<Self>) {
        let partitions = self.shares.partitions();
        if partitions.is_empty() {
            return;
        }
        let state = self.clone();
        self.start(async move {
            for tp in partitions {
                let led = state.led_in(tp);
                for placed in state.shares.of(tp) {
                    match led {
                        Ok(epoch) if epoch == placed.leader_epoch => {}
                        Ok(_) => state.end_share(&placed, ErrorCode::NOT_LEADER_OR_FOLLOWER),
                        Err(error) => state.end_share(&placed, error),
                    }
                }
                state.pause().await;
            }
        });
    }
}

/// Whose state it is.
fn key_of(placed: &PlacedShare) -> Key {
    let group = placed.group.to_string();
    Key { group, topic: placed.tp.topic, partition: placed.tp.partition }
}
