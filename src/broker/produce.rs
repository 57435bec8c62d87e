//! Produce: from the frame to the owners of its partitions, and back to the answer.

use super::calls::{Append, AppendReply};
use super::connection::Traced;
use super::requests::{Begun, Header, by_owner};
use super::state::State;
use super::work;
use crate::broker::api::data::AppendRequest;
use crate::broker::api::produce::{self, Plan, Settings};
use crate::metrics::{Stage, Stages};
use crate::wire::WireError;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// A Produce request that waits for its owners.
struct Producing {
    plan: RefCell<Plan>,
    left: Cell<usize>,
    header: Header,
    begun: Begun,
    /// An owner has given up: there is no answer.
    given_up: Cell<bool>,
    stages: Cell<Stages>,
    /// When the last of its appends was synced, in ticks.
    synced: Cell<u64>,
}

/// Begins a request: its appends stand in this shard's order, or in the queues to the others, when
/// this returns.
pub fn begin(
    state: &Rc<State>,
    begun: Begun,
    header: Header,
    body: &Bytes,
) -> Result<(), WireError> {
    // What this shard did last is what this request waited for.
    let turn = begun.received.max(state.mark());
    let settings = Settings { now_ms: state.wall_ms(), strict: state.strict };
    let (plan, appends) = produce::plan(body, header.version, &state.image(), settings)?;
    state.work.add(appends.len() as u64 + work::bytes(body.len()));
    let groups = by_owner(appends, state.shards, |it: &AppendRequest| it.tp);
    let routed = state.ticks();
    let mut stages = Stages::default();
    stages.set(Stage::Receive, state.ns(begun.received, turn));
    stages.set(Stage::Decode, state.ns(turn, routed));
    let producing = Rc::new(Producing {
        plan: RefCell::new(plan),
        left: Cell::new(groups.len() + 1),
        header,
        begun,
        given_up: Cell::new(false),
        stages: Cell::new(stages),
        synced: Cell::new(0),
    });
    if !producing.plan.borrow().wants_answer() {
        state.silence(begun);
    }
    for (owner, batches) in groups {
        let (producing, state_2) = (producing.clone(), state.clone());
        state.ask(owner, Append { batches, routed }, move |reply| {
            producing.heard(&state_2, reply);
            producing.one_less(&state_2);
        });
    }
    producing.one_less(state);
    Ok(())
}

impl Producing {
    /// One of the owners has answered.
    fn heard(&self, state: &State, reply: Option<AppendReply>) {
        let Some(AppendReply { results, trace }) = reply else {
            self.given_up.set(true);
            return;
        };
        let mut plan = self.plan.borrow_mut();
        for it in results {
            plan.enter(it);
        }
        // The slowest of several owners is the one that was waited for.
        if trace.moments.synced > self.synced.get() {
            self.synced.set(trace.moments.synced);
            let mut stages = self.stages.get();
            state.trace(&trace, &mut stages);
            self.stages.set(stages);
        }
    }

    /// One of those that are waited for has answered.
    fn one_less(&self, state: &Rc<State>) {
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
        match plan.response(&self.header, &state.image()) {
            Ok(response) => {
                let traced = (self.synced.get() > 0).then(|| {
                    let queued = state.mark();
                    let mut stages = self.stages.get();
                    stages.set(Stage::Reply, state.ns(self.synced.get(), queued));
                    Traced { stages, queued }
                });
                state.answer(self.begun, Some(response), traced);
            }
            Err(e) => state.refuse(self.begun, &format!("cannot answer: {e}")),
        }
    }
}
