//! What drives the transaction coordinators of one shard: loads them, carries out what they want, and lets
//! their time pass.

use super::calls::{AskTransaction, ListTransactions, ShardId};
use super::coordinating::Phase;
use super::reply_to::ReplyTo;
use super::state::{Phase as BrokerPhase, State};
use super::transaction_coordinators::Placed;
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
            self.set_phase(tp, made, Phase::Serving);
            return;
        }
        let state = self.clone();
        self.start(async move {
            let what = format!("the transactions of {TRANSACTION_STATE}-{}", tp.partition);
            let load = async || state.load_transactions(tp, made).await;
            let broken = || state.set_phase(tp, made, Phase::Broken);
            let again = || {
                let mut all = state.transactions.all.borrow_mut();
                let placed = all.get_mut(&tp).filter(|it| it.made == made);
                let begin = |it: &mut Placed| {
                    (it.core, it.phase) = (state.transactions.core(), Phase::Loading);
                };
                placed.map(begin).is_some()
            };
            state.load_again_and_again(&what, load, broken, again).await;
        });
    }

    /// False where the coordinator is another one by now.
    fn set_phase(&self, tp: TopicPartition, made: u64, phase: Phase) -> bool {
        let mut all = self.transactions.all.borrow_mut();
        let placed = all.get_mut(&tp).filter(|it| it.made == made);
        placed.map(|it| it.phase = phase).is_some()
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
            Some(placed) => placed.phase.refusal(),
            None => Some(ErrorCode::NOT_COORDINATOR),
        };
        if let Some(error) = refusal {
            return to.reply(Response::Done(error));
        }
        let ticket = self.transactions.asked.take(tp, to);
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
        self.transactions.asked.refuse(tp, || Response::Done(ErrorCode::NOT_COORDINATOR));
    }

    /// Carries out what a coordinator wants.
    fn act_for_transactions(self: &Rc<Self>, tp: TopicPartition, made: u64, effects: Vec<Effect>) {
        let of = &self.transactions;
        let effects = effects.into_iter().map(|it| (tp, made, it));
        let done = of.effects.carry_out(effects, |(tp, made, effect)| match effect {
            Effect::Reply { ticket, response } => of.asked.answer(ticket, response),
            Effect::Append { write, record } => self.append_transaction(tp, made, write, &record),
            Effect::Markers(markers) => self.send_markers(tp, made, markers),
        });
        if done {
            self.rearm_transactions(tp);
        }
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
