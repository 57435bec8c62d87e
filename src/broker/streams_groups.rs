//! Heartbeats of streams groups (KIP-1071): what their topologies need is created on the way.

use super::api::internal_topics;
use super::api::table::Controller;
use super::begun::Unanswered;
use super::calls::ChangeMetadata;
use super::creating;
use super::group_asks::ask;
use super::state::State;
use crate::group::streams::topology::{self, InternalTopic};
use crate::group::{GroupRequest, GroupResponse, Status, StreamsHeartbeat, StreamsHeartbeaten};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

async fn beat(
    state: &Rc<State>,
    request: StreamsHeartbeat,
) -> Result<StreamsHeartbeaten, Unanswered> {
    match ask(state, GroupRequest::StreamsHeartbeat(Box::new(request))).await? {
        GroupResponse::StreamsHeartbeat(it) => Ok(*it),
        _ => unreachable!("the answer is of the request's kind"),
    }
}

/// Creates topics; what was not created, and why.
async fn create(
    state: &Rc<State>,
    topics: &BTreeMap<Arc<str>, InternalTopic>,
) -> Vec<(String, String)> {
    let all = |why: &str| topics.keys().map(|it| (it.to_string(), why.to_owned())).collect();
    let body = match internal_topics::request(topics) {
        Ok(body) => body.into(),
        Err(error) => return all(&error.to_string()),
    };
    let api = Controller::CreateTopics;
    let call = ChangeMetadata { api, version: internal_topics::VERSION, body };
    let Some(Ok(body)) = state.call(0, call).await else {
        return all("No controller has answered.");
    };
    internal_topics::failures(&body).unwrap_or_else(|error| all(&error.to_string()))
}

/// A heartbeat; where its group's internal topics are missing, they are created in the broker's name, and the member hears of
/// its tasks at once if that does not take long. What could not be created is told with what is missing.
pub async fn heartbeat(
    state: &Rc<State>,
    request: StreamsHeartbeat,
) -> Result<StreamsHeartbeaten, Unanswered> {
    let again = StreamsHeartbeat {
        group_id: request.group_id.clone(),
        member_id: request.member_id.clone(),
        client_id: request.client_id.clone(),
        client_host: request.client_host.clone(),
        ..StreamsHeartbeat::default()
    };
    let mut first = beat(state, request).await?;
    if first.to_create.is_empty() {
        return Ok(first);
    }
    let (state_2, topics) = (state.clone(), std::mem::take(&mut first.to_create));
    let creates = async move { create(&state_2, &topics).await };
    match creating::create(state, &again.group_id, creates).await {
        None => Ok(first),
        Some(failed) if failed.is_empty() => {
            let again = StreamsHeartbeat {
                member_epoch: first.member_epoch,
                endpoint_epoch: first.endpoint_epoch,
                ..again
            };
            let second = beat(state, again).await?;
            // Whatever has happened meanwhile, it hears of with its next heartbeat.
            if second.error.is_err() {
                return Ok(first);
            }
            let (tasks, endpoints) =
                (second.tasks.or(first.tasks), second.endpoints.or(first.endpoints));
            Ok(StreamsHeartbeaten { tasks, endpoints, ..second })
        }
        Some(failed) => {
            let missing = Status::Topics(topology::Status::MissingInternalTopics);
            let failed: Vec<_> = failed.iter().map(|(it, why)| format!("{it} ({why})")).collect();
            for (_, detail) in first.statuses.iter_mut().filter(|it| it.0 == missing) {
                *detail = format!("{detail}; Creation failed: {}.", failed.join(", "));
            }
            Ok(first)
        }
    }
}
