//! Produce: from the frame to the owners of its partitions, and back to the answer.

use super::begun::{Begun, Header};
use super::calls::{AppendBatches, AppendReply, ShardId};
use super::connection::Traced;
use super::owners::{ByOwner, by_owner};
use super::state::State;
use super::work;
use crate::broker::api::Response;
use crate::broker::api::data::AppendRequest;
use crate::broker::api::produce::{self, Batches, Plan, ProduceSettings, Unchecked};
use crate::metrics::{RequestStage, Stages};
use crate::wire::WireError;
use crate::wire::records::{Accepted, AtOnce, LargeBatch, Refusal};
use bytes::Bytes;
use futures_lite::FutureExt;
use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

/// What is checked of one request's batches before it becomes a task: what a shard can do in one go.
const AT_ONCE: AtOnce = AtOnce { bytes: 2 << 20, decompressed: 256 << 10, recompressed: 0 };
/// Appends that are handed to an owner in one go; those of a request with more take several steps.
const APPENDS_AT_ONCE: usize = work::PIECE as usize;
/// A request that names more topics and partitions is read and answered in parts.
const ENTRIES_AT_ONCE: usize = work::INPUT as usize;
/// Bytes that are decompressed in one step of that task, or what costs as much.
const CHECK_STEP: usize = 64 << 10;

/// A Produce request that waits for its owners.
struct Producing {
    plan: RefCell<Plan>,
    left: Cell<usize>,
    header: Header,
    begun: Begun,
    /// An owner has given up: there is no answer.
    given_up: Cell<bool>,
    stages: Cell<Stages>,
    /// When the last of its appends was as durable as it was to be, in ticks.
    durable: Cell<u64>,
}

/// Begins a request: its appends stand in this shard's order, or in the queues to the others, when
/// this returns. Where batches are large, decompress to much or are compressed anew, that takes several steps, and
/// nothing behind it on its connection begins before.
pub fn begin(
    state: &Rc<State>,
    begun: Begun,
    header: Header,
    body: &Bytes,
) -> Result<(), WireError> {
    // What this shard did last is what this request waited for.
    let turn = begun.received.max(state.mark());
    let (now_ms, strict) = (state.wall_ms(), state.strict);
    let mut settings = ProduceSettings { now_ms, strict, at_once: AT_ONCE };
    if produce::names_more_than(ENTRIES_AT_ONCE, body, header.version) {
        begin_in_parts(state, begun, header, body.clone(), turn, settings);
        return Ok(());
    }
    settings.at_once.recompressed = state.recompressed.room();
    let (plan, mut batches) = produce::plan(body, header.version, &state.image(), settings)?;
    for at in std::mem::take(&mut batches.recompressed) {
        let batch = &mut batches.appends[at].batch;
        *batch = state.recompressed.keep(std::mem::take(batch).into());
    }
    // Of one that is not checked yet, only the header was looked at.
    let count = (batches.appends.len() + batches.unchecked.len() / 4) as u64;
    let bytes = work::bytes(batches.checked) + work::decompressed(batches.decompressed);
    state.work.add(count + bytes);
    if !plan.wants_answer() {
        state.silence(begun);
    }
    if batches.unchecked.is_empty() && batches.appends.len() <= APPENDS_AT_ONCE {
        hand_over(state, (begun, header), turn, plan, batches.appends);
        return Ok(());
    }
    state.set_alone(begun, true);
    let state_2 = state.clone();
    let checked = async move {
        let handed = Handed::new(&state_2, (begun, header), turn, plan);
        let appends = check(&state_2, &handed, batches).await;
        handed.last_in_parts(&state_2, appends).await;
        state_2.set_alone(begun, false);
    };
    let state_2 = state.clone();
    state.start(async move {
        if AssertUnwindSafe(checked).catch_unwind().await.is_err() {
            state_2.panicked();
            state_2.give_up(begun, "a bug in checking its batches");
        }
    });
    Ok(())
}

/// Begins a request of very many topics or partitions: it is read and its batches are checked in parts, and nothing
/// behind it on its connection begins before its appends are handed over.
fn begin_in_parts(
    state: &Rc<State>,
    begun: Begun,
    header: Header,
    body: Bytes,
    turn: u64,
    settings: ProduceSettings,
) {
    state.set_alone(begun, true);
    let state_2 = state.clone();
    let run = async move {
        let state = state_2;
        let pass = state.turn_of(&body).await;
        let pause = &async |checked: AtOnce| {
            let decompressed = work::decompressed(checked.decompressed);
            state.work.add(work::bytes(checked.bytes) + decompressed);
            state.pause().await;
        };
        let image = state.image();
        let planned = produce::plan_in_parts(&body, header.version, &image, settings, pause).await;
        let (plan, batches) = match planned {
            Ok(planned) => planned,
            Err(e) => {
                let line = format!("a request that cannot be read: {e}");
                return state.refuse(begun, &line);
            }
        };
        drop((pass, body));
        if !plan.wants_answer() {
            state.silence(begun);
        }
        let handed = Handed::new(&state, (begun, header), turn, plan);
        let appends = check(&state, &handed, batches).await;
        handed.last_in_parts(&state, appends).await;
        state.set_alone(begun, false);
    };
    let state_2 = state.clone();
    state.start(async move {
        if AssertUnwindSafe(run).catch_unwind().await.is_err() {
            state_2.panicked();
            state_2.give_up(begun, "a bug in checking its batches");
        }
    });
}

/// Checks batches that are large or decompress to much, and compresses anew what its topic wants otherwise; lets
/// others work between two steps. All that may be appended and was not handed over, in the order of the request.
async fn check(state: &Rc<State>, handed: &Handed, batches: Batches) -> Vec<AppendRequest> {
    let Batches { appends, unchecked, .. } = batches;
    if unchecked.is_empty() {
        return appends;
    }
    let (mut appends, mut checked) = (appends.into_iter().peekable(), Vec::new());
    for batch in unchecked {
        let recompressed = batch.is_recompressed();
        if recompressed && state.recompressed.is_full() {
            // What this request has made goes first, or it would wait for itself; and with it what stands before
            // this batch, since a partition takes its batches in their order.
            while let Some(append) = appends.next_if(|it| it.index < batch.index()) {
                checked.push(append);
                state.pause().await;
            }
            checked.sort_by_key(|it| it.index);
            handed.in_parts(state, std::mem::take(&mut checked)).await;
        }
        // Batch by batch: a request of many does not keep the others out. What needs no decompressor and no
        // compressor does not wait for those that do.
        let pass = loop {
            if recompressed {
                state.recompressed.until_there_is_room().await;
            } else if !batch.is_compressed() {
                break None;
            }
            let pass = state.checks.enter().await;
            if !(recompressed && state.recompressed.is_full()) {
                break Some(pass);
            }
        };
        let found = check_one(state, &batch).await;
        drop(pass);
        match found {
            Ok(accepted) => {
                checked.push(batch.accept(accepted, |it| state.recompressed.keep(it)));
            }
            Err(refusal) => handed.producing.plan.borrow_mut().refuse(&batch, refusal),
        }
        state.pause().await;
    }
    checked.extend(appends);
    checked.sort_by_key(|it| it.index);
    checked
}

async fn check_one(state: &State, batch: &Unchecked) -> Result<Accepted, Refusal> {
    let mut large = LargeBatch::new(&batch.batch, &batch.limits, batch.rest)?;
    let memory = state.recompressed.making();
    loop {
        let checked = large.step(CHECK_STEP)?;
        state.work.add(work::decompressed(CHECK_STEP));
        if let Some(accepted) = checked {
            return Ok(accepted);
        }
        memory.set(large.memory());
        state.pause().await;
    }
}

/// Sends the appends to their owners.
fn hand_over(
    state: &Rc<State>,
    (begun, header): (Begun, Header),
    turn: u64,
    plan: Plan,
    appends: Vec<AppendRequest>,
) {
    Handed::new(state, (begun, header), turn, plan).at_once(state, appends);
}

/// A request whose appends are handed to their owners, in parts of at most [`APPENDS_AT_ONCE`].
struct Handed {
    producing: Rc<Producing>,
    turn: u64,
}

impl Handed {
    fn new(state: &State, (begun, header): (Begun, Header), turn: u64, plan: Plan) -> Self {
        let mut stages = Stages::default();
        stages.set(RequestStage::Receive, state.ns(begun.received, turn));
        let producing = Rc::new(Producing {
            plan: RefCell::new(plan),
            // That all were handed over is waited for, too.
            left: Cell::new(1),
            header,
            begun,
            given_up: Cell::new(false),
            stages: Cell::new(stages),
            durable: Cell::new(0),
        });
        Self { producing, turn }
    }

    /// They are sent on their way now: when that is, in ticks, and [until when](AppendBatches) they may be
    /// committed.
    fn routed(&self, state: &State) -> (u64, Option<i64>) {
        let (producing, routed) = (&self.producing, state.ticks());
        let within_ms = producing.plan.borrow().commit_within_ms();
        let mut stages = producing.stages.get();
        stages.set(RequestStage::Decode, state.ns(self.turn, routed));
        producing.stages.set(stages);
        (routed, within_ms.map(|it| state.monotonic_ms() + it))
    }

    fn at_once(self, state: &Rc<State>, appends: Vec<AppendRequest>) {
        let groups = by_owner(appends, state.shards, |it: &AppendRequest| it.tp);
        let routed = self.routed(state);
        for (owner, batches) in groups {
            debug_assert!(batches.len() <= APPENDS_AT_ONCE, "these are for several steps");
            self.hand_over(state, owner, batches, routed);
        }
        self.producing.one_less(state);
    }

    /// Hands over all that are left.
    async fn last_in_parts(self, state: &Rc<State>, appends: Vec<AppendRequest>) {
        self.in_parts(state, appends).await;
        self.producing.one_less(state);
    }

    async fn in_parts(&self, state: &Rc<State>, appends: Vec<AppendRequest>) {
        let mut owners = ByOwner::new(state.shards, appends.len());
        for append in appends {
            owners.push(append.tp, append);
            state.pause().await;
        }
        let routed = self.routed(state);
        for (owner, batches) in owners.groups {
            if batches.len() <= APPENDS_AT_ONCE {
                self.hand_over(state, owner, batches, routed);
                state.pause().await;
                continue;
            }
            let mut rest = batches.into_iter();
            while rest.len() > 0 {
                let part = rest.by_ref().take(APPENDS_AT_ONCE).collect();
                self.hand_over(state, owner, part, routed);
                state.pause().await;
            }
        }
    }

    fn hand_over(
        &self,
        state: &Rc<State>,
        owner: ShardId,
        batches: Vec<AppendRequest>,
        (routed, committed_by_ms): (u64, Option<i64>),
    ) {
        let (producing, state_2) = (self.producing.clone(), state.clone());
        producing.left.set(producing.left.get() + 1);
        let call = AppendBatches { batches, routed, committed_by_ms };
        state.ask(owner, call, move |reply| {
            producing.heard(&state_2, reply);
            producing.one_less(&state_2);
        });
    }
}

impl Producing {
    /// One of the owners has answered.
    fn heard(&self, state: &State, reply: Option<AppendReply>) {
        state.recompressed.look();
        let Some(AppendReply { results, trace }) = reply else {
            self.given_up.set(true);
            return;
        };
        let mut plan = self.plan.borrow_mut();
        for it in results {
            plan.enter(it);
        }
        // The slowest of several owners is the one that was waited for.
        if trace.durable() > self.durable.get() {
            self.durable.set(trace.durable());
            let mut stages = self.stages.get();
            state.trace(&trace, &mut stages);
            self.stages.set(stages);
        }
    }

    /// One of those that are waited for has answered.
    fn one_less(self: &Rc<Self>, state: &Rc<State>) {
        self.left.set(self.left.get() - 1);
        if self.left.get() > 0 {
            return;
        }
        let plan = self.plan.borrow();
        if self.given_up.get() {
            state.give_up(self.begun, "a bug on the shard that owns the partition");
            return;
        }
        if !plan.wants_answer() {
            // It has taken effect, which is what requests behind it wait for.
            match plan.error() {
                None => state.answer(self.begun, None, None),
                Some(error) => state
                    .refuse(self.begun, &format!("a record that wants no answer failed: {error}")),
            }
            return;
        }
        if plan.entries() <= ENTRIES_AT_ONCE {
            return self.answer(state, plan.response(&self.header, &state.newest_image()));
        }
        drop(plan);
        let (producing, state_2) = (self.clone(), state.clone());
        let write = async move {
            let (image, pause) = (state_2.newest_image(), &async || state_2.pause().await);
            // Nobody else enters anything any more.
            let plan = producing.plan.take();
            let response = plan.response_in_parts(&producing.header, &image, pause).await;
            producing.answer(&state_2, response);
        };
        let (state_2, begun) = (state.clone(), self.begun);
        state.start(async move {
            if AssertUnwindSafe(write).catch_unwind().await.is_err() {
                state_2.panicked();
                state_2.give_up(begun, "a bug in answering its request");
            }
        });
    }

    fn answer(&self, state: &State, response: Result<Response, WireError>) {
        match response {
            Ok(response) => {
                let traced = (self.durable.get() > 0).then(|| {
                    let queued = state.mark();
                    let mut stages = self.stages.get();
                    stages.set(RequestStage::Reply, state.ns(self.durable.get(), queued));
                    Traced { stages, queued }
                });
                state.answer(self.begun, Some(response), traced);
            }
            Err(e) => state.refuse(self.begun, &format!("cannot answer: {e}")),
        }
    }
}
