//! What drives the transaction coordinators of one shard: loads them, carries out what they want, and lets
//! their time pass.

use super::calls::{AskTransaction, ListTransactions, ShardId};
use super::log_loading::{RELOAD_MS, RELOAD_MS_MAX};
use super::reply_to::ReplyTo;
use super::state::{Phase as BrokerPhase, State};
use super::transaction_coordinators::{Phase, Placed};
use super::work;
use crate::controller::Image;
use crate::transaction::{Coordinator, Effect, ListCursor, Record, Response};
use crate::types::topic_name::TRANSACTION_STATE;
use crate::types::{ErrorCode, TopicPartition};
use crate::wire::records::{self, BatchHeader};
use futures_lite::FutureExt;
use std::rc::Rc;

impl State {
    /// Coordinators follow the partitions of their topic: there is one where such a partition is led, made anew
    /// from its log for each epoch.
    pub(super) fn apply_transaction_topic(self: &Rc<Self>, image: &Image) {
        let topic = image.topic(TRANSACTION_STATE);
        let (gone, new) = self.coordinators_moved(topic, &self.transactions.epochs);
        for tp in gone {
            self.transactions.all.borrow_mut().remove(&tp);
            self.refuse_transactions(tp);
        }
        for (tp, epoch) in new {
            self.open_transactions(tp, epoch);
        }
    }

    /// Does something with a coordinator, and what it wants then. One that panics is not trusted any
    /// more: it is made anew from its log.
    fn step_transactions(
        self: &Rc<Self>,
        tp: TopicPartition,
        f: impl FnOnce(&mut Coordinator, &mut Vec<Effect>),
    ) {
        let mut out = Vec::new();
        let done = match self.transactions.all.borrow_mut().get_mut(&tp) {
            Some(Placed { core, made, epoch, .. }) => {
                let done = self.contain(|| {
                    let before = core.steps();
                    f(core, &mut out);
                    self.work.add(core.steps() - before);
                });
                done.map(|()| *made).ok_or(*epoch)
            }
            None => return,
        };
        match done {
            Ok(made) => self.act_for_transactions(tp, made, out),
            Err(epoch) => {
                tracing::error!(
                    partition = tp.partition,
                    "a bug in a transaction coordinator: loading it again"
                );
                self.open_transactions(tp, epoch);
                self.refuse_transactions(tp);
            }
        }
    }

    /// As [`step_transactions`](Self::step_transactions), where the coordinator is still that one.
    fn step_transactions_of(
        self: &Rc<Self>,
        tp: TopicPartition,
        made: u64,
        f: impl FnOnce(&mut Coordinator, &mut Vec<Effect>),
    ) {
        if self.is_transactions_of(tp, made) {
            self.step_transactions(tp, f);
        }
    }

    /// Whether the coordinator of this partition is still that one.
    pub(super) fn is_transactions_of(&self, tp: TopicPartition, made: u64) -> bool {
        self.transactions.all.borrow().get(&tp).is_some_and(|it| it.made == made)
    }

    // ---- Loading ----

    /// Puts a new coordinator in its place, and loads it.
    fn open_transactions(self: &Rc<Self>, tp: TopicPartition, epoch: i32) {
        let placed = self.transactions.make(epoch);
        let made = placed.made;
        self.transactions.all.borrow_mut().insert(tp, placed);
        if self.is_empty_log(tp) {
            return self.set_phase(tp, made, Phase::Serving);
        }
        let state = self.clone();
        self.start(async move {
            let mut pause_ms = RELOAD_MS;
            while let Err(why) = state.load_transactions(tp, made).await {
                tracing::error!(
                    "the transactions of {TRANSACTION_STATE}-{} cannot be loaded, next try in {} s: {why}",
                    tp.partition,
                    pause_ms / 1000
                );
                state.set_phase(tp, made, Phase::Broken);
                state.sleep(pause_ms).await;
                pause_ms = (pause_ms * 2).min(RELOAD_MS_MAX);
                let mut all = state.transactions.all.borrow_mut();
                let Some(placed) = all.get_mut(&tp).filter(|it| it.made == made) else { return };
                // What was loaded before the error is not loaded twice.
                (placed.core, placed.phase) = (state.transactions.core(), Phase::Loading);
            }
        });
    }

    fn set_phase(&self, tp: TopicPartition, made: u64, phase: Phase) {
        if let Some(it) = self.transactions.all.borrow_mut().get_mut(&tp)
            && it.made == made
        {
            it.phase = phase;
        }
    }

    async fn load_transactions(
        self: &Rc<Self>,
        tp: TopicPartition,
        made: u64,
    ) -> Result<(), String> {
        let begun = self.ticks();
        let wanted = || self.is_transactions_of(tp, made);
        let each = async |header: &BatchHeader, batch: &[u8], start| {
            let replay = |record: &records::Record<'_>| {
                let mut all = self.transactions.all.borrow_mut();
                let Some(placed) = all.get_mut(&tp).filter(|it| it.made == made) else {
                    return Ok(());
                };
                placed.core.replay(record.key, record.value).map_err(|e| e.to_string())
            };
            self.replay_batch(header, batch, start, replay).await
        };
        let max_bytes = self.transactions.load_bytes;
        let records = self.read_whole_log(tp, max_bytes, wanted, each).await?;
        loop {
            let mut taken = 0;
            self.step_transactions_of(tp, made, |core, out| {
                taken = core.start_part(self.now(), work::PIECE as usize, out);
            });
            if taken == 0 {
                break;
            }
            self.pause().await;
        }
        self.set_phase(tp, made, Phase::Serving);
        self.rearm_transactions(tp);
        let ms = self.ns(begun, self.ticks()) / 1_000_000;
        tracing::debug!(partition = tp.partition, records, ms, "transactions loaded");
        Ok(())
    }

    // ---- Serving ----

    pub(super) fn serve_ask_transaction(
        self: &Rc<Self>,
        call: AskTransaction,
        _: ShardId,
        to: ReplyTo<AskTransaction>,
    ) {
        let AskTransaction(tp, request) = call;
        let refusal = match self.transactions.all.borrow().get(&tp) {
            Some(placed) => placed.refusal(),
            None => Some(ErrorCode::NOT_COORDINATOR),
        };
        if let Some(error) = refusal {
            return to.reply(Response::Done(error));
        }
        let ticket = self.transactions.next_ticket.get();
        self.transactions.next_ticket.set(ticket + 1);
        self.transactions.waiting.borrow_mut().insert(ticket, (tp, to));
        self.step_transactions(tp, |core, out| core.request(self.now(), ticket, request, out));
    }

    pub(super) fn serve_list_transactions(
        self: &Rc<Self>,
        call: ListTransactions,
        _: ShardId,
        to: ReplyTo<ListTransactions>,
    ) {
        let state = self.clone();
        self.start(async move {
            let mut listed = Vec::new();
            let all: Vec<_> = state.transactions.all.borrow().keys().copied().collect();
            for tp in all {
                let mut cursor = ListCursor::default();
                loop {
                    let taken = match state.transactions.all.borrow().get(&tp) {
                        Some(it) if it.phase == Phase::Loading => {
                            return to.reply(Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS));
                        }
                        Some(it) => {
                            let (now, steps) = (state.now(), work::PIECE as usize);
                            it.core.list_part(now, &call.0, &mut cursor, steps, &mut listed)
                        }
                        None => 0,
                    };
                    if taken == 0 {
                        break;
                    }
                    state.work.add(taken as u64);
                    state.pause().await;
                }
            }
            to.reply(Ok(listed));
        });
    }

    /// Answers those that wait for a coordinator that is no more.
    fn refuse_transactions(&self, tp: TopicPartition) {
        let mut waiting = self.transactions.waiting.borrow_mut();
        let mut refused: Vec<_> = waiting.extract_if(|_, it| it.0 == tp).collect();
        drop(waiting);
        refused.sort_unstable_by_key(|(ticket, _)| *ticket);
        for (_, (_, to)) in refused {
            to.reply(Response::Done(ErrorCode::NOT_COORDINATOR));
        }
    }

    /// Carries out what a coordinator wants, in order. What that leads to at once comes after it.
    fn act_for_transactions(self: &Rc<Self>, tp: TopicPartition, made: u64, effects: Vec<Effect>) {
        let of = &self.transactions;
        of.effects.borrow_mut().extend(effects.into_iter().map(|it| (tp, made, it)));
        if of.acting.replace(true) {
            return;
        }
        loop {
            let next = of.effects.borrow_mut().pop_front();
            let Some((tp, made, effect)) = next else { break };
            match effect {
                Effect::Reply { ticket, response } => {
                    let waiting = of.waiting.borrow_mut().remove(&ticket);
                    if let Some((_, to)) = waiting {
                        to.reply(response);
                    }
                }
                Effect::Append { write, record } => {
                    self.append_transaction(tp, made, write, &record);
                }
                Effect::Markers(markers) => self.send_markers(tp, made, markers),
            }
        }
        of.acting.set(false);
        self.rearm_transactions(tp);
    }

    fn rearm_transactions(&self, tp: TopicPartition) {
        let of = &self.transactions;
        let deadline = of.all.borrow().get(&tp).and_then(|it| it.core.next_deadline());
        if deadline.is_some_and(|at| at < of.armed_ms.get()) {
            of.armed_ms.set(i64::MIN);
            of.rearm.notify();
        }
    }

    fn append_transaction(
        self: &Rc<Self>,
        tp: TopicPartition,
        made: u64,
        write: u64,
        record: &Record,
    ) {
        let bytes = (&*record.key, record.value.as_deref());
        self.append_record(tp, bytes, move |state, result| {
            state.transaction_written(tp, made, write, result.map(|_| ()));
        });
    }

    fn transaction_written(
        self: &Rc<Self>,
        tp: TopicPartition,
        made: u64,
        write: u64,
        result: Result<(), ErrorCode>,
    ) {
        self.step_transactions_of(tp, made, |core, out| {
            core.written(self.now(), write, result, out);
        });
    }

    /// A marker is committed, or its partition is gone.
    pub(super) fn transaction_marked(
        self: &Rc<Self>,
        tp: TopicPartition,
        made: u64,
        number: u64,
        partition: &crate::transaction::Partition,
    ) {
        self.step_transactions_of(tp, made, |core, out| {
            core.marked(self.now(), number, partition, out);
        });
    }

    // ---- Time ----

    /// Lets the time of transactions pass, for ever.
    pub(super) async fn run_transactions(self: Rc<Self>) {
        let of = &self.transactions;
        loop {
            let next = of.next_deadline().unwrap_or(i64::MAX);
            of.armed_ms.set(next);
            let left = next.saturating_sub(self.monotonic_ms());
            if left > 0 {
                let earlier = of.rearm.until(|| of.armed_ms.get() == i64::MIN);
                earlier.or(self.sleep(left)).await;
                continue;
            }
            let all: Vec<_> = of.all.borrow().keys().copied().collect();
            for tp in all {
                // Producers that cannot be heard any more have not gone silent.
                if self.phase.get() != BrokerPhase::Serving {
                    return;
                }
                let serves = of.all.borrow().get(&tp).is_some_and(|it| it.phase == Phase::Serving);
                if serves {
                    self.step_transactions(tp, |core, out| {
                        core.tick(self.now(), out);
                    });
                }
                self.pause().await;
            }
        }
    }
}
