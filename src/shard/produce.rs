//! Produce: from the frame to the owners of its partitions, and back to the answer.

use super::answers::Traced;
use super::connection::Connection;
use super::requests::by_owner;
use super::router::{Appends, Reply, Request};
use super::state::{Shard, now_ms};
use super::sync::Charge;
use crate::broker::api::data::AppendRequest;
use crate::broker::api::produce::{self, Plan, Settings};
use crate::metrics::{Stage, Stages};
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// A Produce request that waits for its owners.
struct Producing {
    plan: RefCell<Plan>,
    left: Cell<usize>,
    header: RequestHeader<'static>,
    number: u64,
    connection: Rc<Connection>,
    charges: Cell<Vec<Charge>>,
    stages: Cell<Stages>,
    /// When the last of its appends was synced, in ticks.
    synced: Cell<u64>,
}

/// Begins a request: its appends stand in this shard's order, or in the queues to the others, when
/// this returns.
pub fn begin(
    shard: &Rc<Shard>,
    connection: &Rc<Connection>,
    header: RequestHeader<'static>,
    body: &Bytes,
    number: u64,
    charges: Vec<Charge>,
) -> Result<(), WireError> {
    // What this shard did last is what this request waited for.
    let begun = connection.received().max(shard.mark());
    let settings = Settings { now_ms: now_ms(), strict: shard.common.strict };
    let (plan, appends) = produce::plan(body, header.version, &shard.image(), settings)?;
    let groups = by_owner(appends, shard.common.shards, |it: &AppendRequest| it.tp);
    let routed = shard.ticks();
    let mut stages = Stages::default();
    stages.set(Stage::Receive, shard.ns(connection.received(), begun));
    stages.set(Stage::Decode, shard.ns(begun, routed));
    let producing = Rc::new(Producing {
        plan: RefCell::new(plan),
        left: Cell::new(groups.len() + 1),
        header,
        number,
        connection: connection.clone(),
        charges: Cell::new(charges),
        stages: Cell::new(stages),
        synced: Cell::new(0),
    });
    if !producing.plan.borrow().wants_answer() {
        connection.answer(shard, number, None, None);
    }
    for (owner, appends) in groups {
        let (producing, shard_2) = (producing.clone(), shard.clone());
        let appends = Appends { appends, routed };
        shard.ask(owner, Request::Append(appends), move |reply| {
            producing.heard(&shard_2, reply);
            producing.one_less(&shard_2);
        });
    }
    producing.one_less(shard);
    Ok(())
}

impl Producing {
    /// One of the owners has answered.
    fn heard(&self, shard: &Shard, reply: Reply) {
        let Reply::Appended(results, trace) = reply else { return };
        let mut plan = self.plan.borrow_mut();
        for it in results {
            plan.enter(it);
        }
        // The slowest of several owners is the one that was waited for.
        if trace.moments.synced > self.synced.get() {
            self.synced.set(trace.moments.synced);
            let mut stages = self.stages.get();
            shard.trace(&trace, &mut stages);
            self.stages.set(stages);
        }
    }

    /// One of those that are waited for has answered.
    fn one_less(&self, shard: &Rc<Shard>) {
        self.left.set(self.left.get() - 1);
        if self.left.get() > 0 {
            return;
        }
        drop(self.charges.take());
        let plan = self.plan.borrow();
        if !plan.wants_answer() {
            if let Some(error) = plan.error() {
                self.connection.refuse(&format!("a record that wants no answer failed: {error}"));
            }
            return;
        }
        match plan.response(&self.header, &shard.image()) {
            Ok(response) => {
                let traced = (self.synced.get() > 0).then(|| {
                    let queued = shard.mark();
                    let mut stages = self.stages.get();
                    stages.set(Stage::Reply, shard.ns(self.synced.get(), queued));
                    Traced { stages, queued }
                });
                self.connection.answer(shard, self.number, Some(response), traced);
            }
            Err(e) => self.connection.refuse(&format!("cannot answer: {e}")),
        }
    }
}
