//! What drives the share coordinators of one shard: loads them, and carries out what they want.

use super::coordinators::PlacedCoordinator;
use crate::broker::api::find_coordinator::share_partition_of;
use crate::broker::api::{self, share_group_state, table};
use crate::broker::calls::{AskShareState, ShardId};
use crate::broker::coordinating::Phase;
use crate::broker::reply_to::ReplyTo;
use crate::broker::state::State;
use crate::controller::Image;
use crate::share::{Coordinator, Effect, Key, Record, Request, Response};
use crate::types::topic_name::SHARE_STATE;
use crate::types::{ErrorCode, TopicPartition};
use crate::wire::WireError;
use crate::wire::api_keys::ApiKey;
use crate::wire::header::RequestHeader;
use crate::wire::records::{self, BatchHeader};
use bytes::Bytes;
use std::rc::Rc;

/// Where the state of a share-partition is, of a partition that exists; what is kept of one that does not may be deleted.
fn share_state_place(
    key: &Key,
    request: &Request,
    image: &Image,
) -> Result<TopicPartition, ErrorCode> {
    if key.partition < 0 || key.group.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let exists =
        image.topic_by_id(key.topic).is_some_and(|it| it.partition(key.partition).is_some());
    if !exists && *request != Request::Delete {
        return Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
    share_partition_of(&key.group, key.topic, key.partition, image)
        .ok_or(ErrorCode::NOT_COORDINATOR)
}

impl State {
    /// Coordinators follow the partitions of their topic: there is one where such a partition is led, made anew
    /// from its log for each epoch.
    pub(in crate::broker) fn apply_share_topic(self: &Rc<Self>, image: &Image) {
        let topic = image.topic(SHARE_STATE);
        let (gone, new) = self.coordinators_moved(topic, &self.share_states.epochs);
        for tp in gone {
            self.share_states.all.borrow_mut().remove(&tp);
            self.refuse_share_states(tp);
        }
        for (tp, _) in new {
            self.open_share_states(tp);
        }
    }

    /// Does something with a coordinator, and what it wants then. One that panics is not trusted any
    /// more: it is made anew from its log.
    pub(super) fn step_share_states(
        self: &Rc<Self>,
        tp: TopicPartition,
        f: impl FnOnce(&mut Coordinator, &mut Vec<Effect>),
    ) {
        let mut out = Vec::new();
        let done = match self.share_states.all.borrow_mut().get_mut(&tp) {
            Some(it) => self.contain(|| f(&mut it.core, &mut out)).map(|()| it.made),
            None => return,
        };
        match done {
            Some(made) => self.act_for_share_states(tp, made, out),
            None => {
                tracing::error!(
                    partition = tp.partition,
                    "a bug in a share coordinator: loading it again"
                );
                self.open_share_states(tp);
                self.refuse_share_states(tp);
            }
        }
    }

    /// Whether the coordinator of this partition is still that one.
    fn is_share_states_of(&self, tp: TopicPartition, made: u64) -> bool {
        self.share_states.all.borrow().get(&tp).is_some_and(|it| it.made == made)
    }

    // ---- Loading ----

    /// Puts a new coordinator in its place, and loads it.
    fn open_share_states(self: &Rc<Self>, tp: TopicPartition) {
        let placed = self.share_states.make();
        let made = placed.made;
        self.share_states.all.borrow_mut().insert(tp, placed);
        if self.is_empty_log(tp) {
            self.set_share_phase(tp, made, Phase::Serving);
            return;
        }
        let state = self.clone();
        self.start(async move {
            let what = format!("the states of {SHARE_STATE}-{}", tp.partition);
            let load = async || state.load_share_states(tp, made).await;
            let broken = || state.set_share_phase(tp, made, Phase::Broken);
            let again = || {
                let mut all = state.share_states.all.borrow_mut();
                let placed = all.get_mut(&tp).filter(|it| it.made == made);
                let begin = |it: &mut PlacedCoordinator| {
                    (it.core, it.phase) = (state.share_states.core(), Phase::Loading);
                };
                placed.map(begin).is_some()
            };
            state.load_again_and_again(&what, load, broken, again).await;
        });
    }

    /// False where the coordinator is another one by now.
    fn set_share_phase(&self, tp: TopicPartition, made: u64, phase: Phase) -> bool {
        let mut all = self.share_states.all.borrow_mut();
        let placed = all.get_mut(&tp).filter(|it| it.made == made);
        placed.map(|it| it.phase = phase).is_some()
    }

    async fn load_share_states(
        self: &Rc<Self>,
        tp: TopicPartition,
        made: u64,
    ) -> Result<(), String> {
        let wanted = || self.is_share_states_of(tp, made);
        let each = async |header: &BatchHeader, batch: &[u8], start| {
            let replay = |record: &records::Record<'_>| {
                let mut all = self.share_states.all.borrow_mut();
                let Some(placed) = all.get_mut(&tp).filter(|it| it.made == made) else {
                    return Ok(());
                };
                let replayed = placed.core.replay(record.offset, record.key, record.value);
                replayed.map_err(|e| e.to_string())
            };
            self.replay_batch(header, batch, start, replay).await
        };
        let max_bytes = self.share_states.load_bytes;
        let records = self.read_whole_log(tp, max_bytes, wanted, each).await?;
        self.set_share_phase(tp, made, Phase::Serving);
        tracing::debug!(partition = tp.partition, records, "states of share groups loaded");
        Ok(())
    }

    // ---- Serving ----

    pub(in crate::broker) fn serve_ask_share_state(
        self: &Rc<Self>,
        call: AskShareState,
        _: ShardId,
        to: ReplyTo<AskShareState>,
    ) {
        let AskShareState { tp, key, request } = call;
        let refusal = match self.share_states.all.borrow().get(&tp) {
            Some(placed) => placed.phase.refusal(),
            None => Some(ErrorCode::NOT_COORDINATOR),
        };
        if let Some(error) = refusal {
            return to.reply(Response::Done(error));
        }
        let ticket = self.share_states.asked.take(tp, to);
        self.step_share_states(tp, |core, out| {
            core.request(self.now(), ticket, &key, request, out);
        });
    }

    /// Answers a request of whoever leads partitions, or of a group's coordinator, for states that are kept here.
    pub(in crate::broker) async fn share_states_asked(
        self: &Rc<Self>,
        api: table::ShareState,
        header: &RequestHeader<'_>,
        body: &[u8],
    ) -> Result<api::Response, WireError> {
        let asked = share_group_state::plan(api, body, header.version)?;
        let mut calls = Vec::with_capacity(asked.len());
        for (key, request) in asked {
            let place = share_state_place(&key, &request, &self.image_now());
            let call = place.map(|tp| {
                let key = key.clone();
                self.call(tp.shard(self.shards), AskShareState { tp, key, request })
            });
            calls.push((key, call));
            self.pause().await;
        }
        let mut answers = Vec::with_capacity(calls.len());
        for (key, call) in calls {
            let answer = match call {
                Ok(call) => call.await.unwrap_or(Response::Done(ErrorCode::NOT_COORDINATOR)),
                Err(error) => Response::Done(error),
            };
            answers.push((key, answer));
            self.pause().await;
        }
        share_group_state::response(api, header, &answers)
    }

    /// The same for another broker; nothing where it cannot be read.
    pub(in crate::broker) async fn share_states_for_peer(
        self: &Rc<Self>,
        api: table::ShareState,
        key: ApiKey,
        version: i16,
        body: &[u8],
    ) -> Option<Bytes> {
        let header = RequestHeader { api_key: key, version, correlation_id: 0, client_id: None };
        let answer = self.share_states_asked(api, &header, body).await.ok()?;
        Some(answer.into_body(&header))
    }

    /// Answers those that wait for a coordinator that is no more.
    fn refuse_share_states(&self, tp: TopicPartition) {
        self.share_states.asked.refuse(tp, || Response::Done(ErrorCode::NOT_COORDINATOR));
    }

    /// Carries out what a coordinator wants.
    fn act_for_share_states(self: &Rc<Self>, tp: TopicPartition, made: u64, effects: Vec<Effect>) {
        let of = &self.share_states;
        let effects = effects.into_iter().map(|it| (tp, made, it));
        of.effects.carry_out(effects, |(tp, made, effect)| match effect {
            Effect::Reply { ticket, response } => of.asked.answer(ticket, response),
            Effect::Append { write, record } => self.append_share_state(tp, made, write, &record),
        });
    }

    fn append_share_state(
        self: &Rc<Self>,
        tp: TopicPartition,
        made: u64,
        write: u64,
        record: &Record,
    ) {
        let bytes = (&*record.key, record.value.as_deref());
        self.append_record(tp, bytes, move |state, result| {
            state.share_state_written(tp, made, write, result);
        });
    }

    fn share_state_written(
        self: &Rc<Self>,
        tp: TopicPartition,
        made: u64,
        write: u64,
        result: Result<i64, ErrorCode>,
    ) {
        if self.is_share_states_of(tp, made) {
            self.step_share_states(tp, |core, out| core.written(self.now(), write, result, out));
        }
    }
}
