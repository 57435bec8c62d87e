//! Asking group coordinators on this broker.

use super::begun::Unanswered;
use super::calls::AskGroup;
use super::state::State;
use super::wait::{Receiver, oneshot};
use crate::broker::api::find_coordinator;
use crate::group;
use crate::types::ErrorCode;
use std::rc::Rc;

/// Asks the group's coordinator. As far as that is on this shard, it has begun when this returns.
fn start(state: &Rc<State>, request: group::GroupRequest) -> Receiver<group::GroupResponse> {
    if let Some(tp) = find_coordinator::partition_of(request.group_id(), &state.image()) {
        return state.call(tp.shard(state.shards), AskGroup(tp, request));
    }
    let (tx, rx) = oneshot();
    tx.send(group::GroupResponse::refused(&request, ErrorCode::NOT_COORDINATOR));
    rx
}

/// As [`start`], and waits for the answer.
pub async fn ask(
    state: &Rc<State>,
    request: group::GroupRequest,
) -> Result<group::GroupResponse, Unanswered> {
    start(state, request).await.ok_or(Unanswered::GivenUp)
}

/// Asks all, some at a time, before the first answer is waited for; answers in the order of the requests.
pub async fn ask_all(
    state: &Rc<State>,
    requests: impl Iterator<Item = group::GroupRequest>,
) -> Result<Vec<group::GroupResponse>, Unanswered> {
    let mut calls = Vec::new();
    for request in requests {
        calls.push(start(state, request));
        state.pause().await;
    }
    let mut responses = Vec::with_capacity(calls.len());
    for call in calls {
        responses.push(call.await.ok_or(Unanswered::GivenUp)?);
        state.pause().await;
    }
    Ok(responses)
}
