//! Fetch: asks the owners of the partitions, and waits until there is enough.
//!
//! A session belongs to one shard, which its id names. A request in a session of another shard is
//! answered there, whole, and its answer comes back.

use super::begun::{Begun, Header, Unanswered};
use super::calls::{FetchInSession, Read, ReadEnough, ReadReply, ShardId, Waiter};
use super::owners::{ByOwner, by_owner};
use super::reply_to::ReplyTo;
use super::state::{Phase, State};
use super::waiting::Waiting;
use super::waits::Hears;
use super::work;
use crate::broker::api::Response;
use crate::broker::api::data::{ReadRequest, ReadResult};
use crate::broker::api::fetch::{self, Plan};
use crate::broker::api::fetch_session;
use crate::wire::WireError;
use bytes::Bytes;
use futures_lite::FutureExt;
use std::rc::Rc;

/// While it waits for memory, a fetch looks again after so long, ms: the budget is shared by all
/// threads of the process, and tells nobody when it grows.
const BUDGET_LOOK_MS: i64 = 10;

/// A request with a body of so many bytes, or in a session of more than so many partitions, is taken in
/// parts.
const LONG: usize = 32 << 10;
const MANY: usize = work::INPUT as usize;

/// Begins a request of a client.
pub fn begin(
    state: &Rc<State>,
    begun: Begun,
    header: Header,
    body: Bytes,
) -> Result<(), WireError> {
    let session = fetch::session_id(&body, header.version);
    let owner = session.and_then(|id| fetch_session::owner_of(id, state.shards));
    let owner = owner.unwrap_or(state.id);
    let hears = Hears::Connection(begun.connection);
    if owner == state.id && is_long(state, session, &body) {
        let state_2 = state.clone();
        state.respond_with_records(begun, async move {
            let plan = plan_in_parts(&state_2, header, &body).await?;
            drop(body);
            state_2.release(begun);
            Ok(run(state_2, header, plan, hears).await?)
        });
        return Ok(());
    }
    if owner == state.id {
        let plan = plan(state, header, &body)?;
        // The plan owns what it has read, and may wait long.
        state.release(begun);
        let run = run(state.clone(), header, plan, hears);
        state.respond_with_records(begun, async move { Ok(run.await?) });
        return Ok(());
    }
    let state_2 = state.clone();
    let call = FetchInSession { header, body };
    let waiting = Waiting::begin(state, hears);
    state.release(begun);
    state.respond_with_records(begun, async move {
        let answer = state_2.call_until(owner, call, waiting.over.raised()).await;
        Ok(answer.ok_or(Unanswered::GivenUp)??)
    });
    Ok(())
}

/// Whether it fetches so many partitions that it is read, planned and answered in parts.
fn is_long(state: &State, session: Option<i32>, body: &Bytes) -> bool {
    let of_session = |id| state.sessions.borrow().partitions(id);
    body.len() >= LONG || session.is_some_and(|id| of_session(id) > MANY)
}

fn limits(state: &State) -> fetch::Limits {
    let max = state.image().broker_configs.number("fetch.max.bytes").unwrap_or(55 << 20);
    fetch::Limits { max_bytes: usize::try_from(max).unwrap_or(0), memory: memory(state) }
}

async fn plan_in_parts(state: &State, header: Header, body: &Bytes) -> Result<Plan, WireError> {
    let _turn = state.turn_of(body).await;
    let (image, limits, now_ms) = (state.image(), limits(state), state.monotonic_ms());
    let (sessions, pause) = (&state.sessions, &async || state.pause().await);
    fetch::plan_in_parts(body, header.version, sessions, &image, limits, now_ms, pause).await
}

fn plan(state: &State, header: Header, body: &Bytes) -> Result<Plan, WireError> {
    let (image, limits) = (state.image(), limits(state));
    let mut sessions = state.sessions.borrow_mut();
    fetch::plan(body, header.version, &mut sessions, &image, limits, state.monotonic_ms())
}

/// What the memory budget has for one answer: what is sent stays in memory until the client has taken
/// it.
fn memory(state: &State) -> usize {
    state.budget.left() / 4
}

/// Reads until there is enough, or no time left.
async fn run(
    state: Rc<State>,
    header: Header,
    plan: Plan,
    hears: Hears,
) -> Result<Response, WireError> {
    let wait_ms = i64::try_from(plan.max_wait_ms).unwrap_or(i64::MAX);
    let deadline = state.monotonic_ms().saturating_add(wait_ms);
    let wait = Waiting::begin(&state, hears);
    let in_time = || {
        state.monotonic_ms() < deadline
            && state.phase.get() == Phase::Serving
            && !wait.over.is_raised()
    };
    let mut plan = plan;
    while plan.starved && in_time() {
        wait.over.raised().or(state.sleep(BUDGET_LOOK_MS)).await;
        plan.grant(memory(&state));
    }
    let (max_bytes, min_bytes) = (plan.max_bytes, plan.min_bytes);
    let mut was_held = false;
    let results = loop {
        wait.more.lower();
        let image = state.image();
        let mut groups = if plan.partitions() > MANY {
            let mut owners = ByOwner::new(state.shards, plan.partitions());
            for read in (0..plan.partitions()).filter_map(|i| plan.read(i, &image)) {
                owners.push(read.tp, read);
                state.pause().await;
            }
            owners.groups
        } else {
            by_owner(plan.reads(&image), state.shards, |it: &ReadRequest| it.tp)
        };
        let waits = min_bytes > 0 && in_time() && !was_held;
        // No single shard can tell when several together have enough.
        let alone = groups.len() == 1;
        if let Some((owner, reads)) = groups.pop_if(|it| waits && alone && it.0 != state.id) {
            let call = ReadEnough { reads, max_bytes, min_bytes };
            let over = wait.over.raised().or(state.timers.sleep_until(deadline));
            let results = state.call_until(owner, call, over).await.unwrap_or_default();
            if results.iter().all(|it| !it.error.is_err()) {
                break results;
            }
            // Asked once more, as the metadata are now: a topic may be gone since.
            was_held = true;
            continue;
        }
        let waiter = waits.then_some(Waiter { id: wait.id(), min_bytes, alone });
        let mut asked = Vec::with_capacity(groups.len());
        for (owner, reads) in groups {
            asked.push((owner, state.call(owner, Read { reads, max_bytes, waiter })));
        }
        let mut results: Vec<ReadResult> = Vec::new();
        for (owner, call) in asked {
            if let Some(ReadReply { results: more, noted }) = call.await {
                if results.is_empty() {
                    results = more;
                } else {
                    results.extend(more);
                }
                if noted {
                    wait.noted(owner);
                }
            }
        }
        results.sort_by_key(|it| it.index);
        let enough = waiter.is_none() || plan.is_satisfied(&results);
        if !enough {
            let over = wait.over.raised().or(state.timers.sleep_until(deadline));
            wait.more.raised().or(over).await;
        }
        wait.forget();
        if enough {
            break results;
        }
    };
    drop(wait);
    let (image, now_ms) = (state.newest_image(), state.monotonic_ms());
    if plan.partitions() > MANY {
        let (sessions, pause) = (&state.sessions, &async || state.pause().await);
        return plan.response_in_parts(&header, results, sessions, &image, now_ms, pause).await;
    }
    plan.response(&header, results, &mut state.sessions.borrow_mut(), &image, now_ms)
}

impl State {
    pub(super) fn serve_fetch_in_session(
        self: &Rc<Self>,
        call: FetchInSession,
        asker: ShardId,
        to: ReplyTo<FetchInSession>,
    ) {
        let FetchInSession { header, body } = call;
        if is_long(self, fetch::session_id(&body, header.version), &body) {
            let hears = Hears::Call(asker, to.number().unwrap_or_default());
            let state = self.clone();
            return self.start(async move {
                let plan = plan_in_parts(&state, header, &body).await;
                drop(body);
                to.reply(match plan {
                    Ok(plan) => run(state, header, plan, hears).await,
                    Err(e) => Err(e),
                });
            });
        }
        let Some(plan) = self.contain(|| plan(self, header, &body)) else { return };
        let plan = match plan {
            Ok(plan) => plan,
            Err(e) => return to.reply(Err(e)),
        };
        let hears = Hears::Call(asker, to.number().unwrap_or_default());
        let state = self.clone();
        self.start(async move { to.reply(run(state, header, plan, hears).await) });
    }
}
