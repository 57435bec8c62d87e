//! What each API of groups does with the shards that own the coordinators.
//!
//! A plan owns what it has read: a member may wait long for others, and must not hold up the
//! requests of others by the room that its own takes.

use super::begun::{Begun, Header, Outcome, Unanswered};
use super::calls::{AutoCreate, ListGroups};
use super::group_asks::{ask, ask_all};
use super::share::offsets;
use super::state::State;
use super::streams_groups;
use crate::broker::api::table::Groups;
use crate::broker::api::{
    Response, consumer_group_describe, consumer_group_heartbeat, delete_groups, describe_groups,
    find_coordinator, heartbeat, join_group, leave_group, list_groups, offset_commit,
    offset_delete, offset_fetch, share_group_describe, share_group_heartbeat, share_group_offsets,
    streams_group_describe, streams_group_heartbeat, sync_group,
};
use crate::group::{self, DeletedOffsets, FetchOffsets};
use crate::types::{ErrorCode, TopicId};
use crate::wire::WireError;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::future::Future;
use std::rc::Rc;

/// Begins a request. Its coordinator is asked before this returns; of several, the first ones: nothing
/// behind the request on its connection begins before it is answered.
pub fn begin(
    state: &Rc<State>,
    begun: Begun,
    header: Header,
    api: Groups,
    body: &Bytes,
    client_id: &str,
) -> Result<(), WireError> {
    let (version, image) = (header.version, state.image());
    let respond = Respond { state, begun };
    let state = state.clone();
    match api {
        Groups::FindCoordinator => {
            let (body, found) = (body.clone(), find_coordinator::handle(body, version, &image)?);
            respond.with(async move {
                let mut found = found;
                if let Some(topic) = found.create {
                    state.call(0, AutoCreate(vec![topic.to_owned()])).await;
                    found = find_coordinator::handle(&body, version, &state.image())?;
                }
                Ok(Response::from_body(&header, found.response))
            });
        }
        Groups::JoinGroup => {
            let uuid = state.new_uuid().to_string();
            let host = state.host(begun.connection);
            let (body, client_id) = (body.clone(), client_id.to_owned());
            state.clone().respond(begun, async move {
                let pause = &async || state.pause().await;
                let caller = join_group::Caller { client_id: &client_id, host: &host, uuid: &uuid };
                let turn = state.turn_of(&body).await;
                let join = join_group::plan(&body, version, caller, pause).await?;
                drop((turn, body));
                // A member may wait long for others.
                state.release(begun);
                let group::GroupResponse::Join(it) =
                    ask(&state, group::GroupRequest::Join(join)).await?
                else {
                    return mixed_up();
                };
                Ok(join_group::response(&header, &it, pause).await?)
            });
        }
        Groups::SyncGroup => {
            let body = body.clone();
            state.clone().respond(begun, async move {
                let pause = &async || state.pause().await;
                let turn = state.turn_of(&body).await;
                let plan = sync_group::plan(&body, version, pause).await?;
                drop((turn, body));
                state.release(begun);
                let request = match plan {
                    Ok(sync) => group::GroupRequest::Sync(sync),
                    Err(refused) => return Ok(sync_group::response(&header, &refused)?),
                };
                let group::GroupResponse::Sync(it) = ask(&state, request).await? else {
                    return mixed_up();
                };
                Ok(sync_group::response(&header, &it)?)
            });
        }
        Groups::Heartbeat => {
            let request = group::GroupRequest::Heartbeat(heartbeat::plan(body, version)?);
            respond.with(async move {
                let group::GroupResponse::Heartbeat(it) = ask(&state, request).await? else {
                    return mixed_up();
                };
                Ok(heartbeat::response(&header, it)?)
            });
        }
        Groups::LeaveGroup => {
            let body = body.clone();
            state.clone().respond(begun, async move {
                let pause = &async || state.pause().await;
                let turn = state.turn_of(&body).await;
                let leave = leave_group::plan(&body, version, pause).await?;
                drop((turn, body));
                state.release(begun);
                let group::GroupResponse::Leave(it) =
                    ask(&state, group::GroupRequest::Leave(leave)).await?
                else {
                    return mixed_up();
                };
                Ok(leave_group::response(&header, &it, pause).await?)
            });
        }
        Groups::OffsetCommit => {
            let body = body.clone();
            state.clone().respond(begun, async move {
                let pause = &async || state.pause().await;
                let turn = state.turn_of(&body).await;
                let mut plan = offset_commit::plan(&body, version, &image, pause).await?;
                drop((turn, body));
                state.release(begun);
                let Some(commit) = plan.commit.take() else {
                    return Ok(plan.response(&header, None, pause).await?);
                };
                let group::GroupResponse::Commit(it) =
                    ask(&state, group::GroupRequest::Commit(commit)).await?
                else {
                    return mixed_up();
                };
                Ok(plan.response(&header, Some(&it), pause).await?)
            });
        }
        Groups::OffsetDelete => {
            let body = body.clone();
            state.clone().respond(begun, async move {
                let pause = &async || state.pause().await;
                let turn = state.turn_of(&body).await;
                let mut plan = offset_delete::plan(&body, version, &image, pause).await?;
                drop((turn, body));
                state.release(begun);
                let mut deleted = Vec::new();
                for delete in std::mem::take(&mut plan.deletes) {
                    if let Some(error) = plan.refused {
                        deleted.push(DeletedOffsets::refused(&delete, error));
                        break;
                    }
                    let request = group::GroupRequest::DeleteOffsets(delete);
                    let group::GroupResponse::DeleteOffsets(it) = ask(&state, request).await?
                    else {
                        return mixed_up();
                    };
                    let refused = it.error.is_err();
                    deleted.push(it);
                    if refused {
                        break;
                    }
                    pause().await;
                }
                Ok(plan.response(&header, &deleted, pause).await?)
            });
        }
        Groups::OffsetFetch => {
            let body = body.clone();
            state.clone().respond(begun, async move {
                let pause = &async || state.pause().await;
                let turn = state.turn_of(&body).await;
                let plan = offset_fetch::plan(&body, version, &image, pause).await?;
                drop((turn, body));
                state.release(begun);
                let requests =
                    plan.fetches().map(|it| group::GroupRequest::FetchOffsets(it.clone()));
                let first = ask_all(&state, requests).await?;
                let mut fetched = Vec::with_capacity(first.len());
                for (fetch, it) in plan.fetches().zip(first) {
                    let group::GroupResponse::FetchOffsets(it) = it else { return mixed_up() };
                    let (mut next, mut parts) = (it.next, vec![it]);
                    while next.is_some() {
                        let more = FetchOffsets { after: next, ..fetch.clone() };
                        let it = ask(&state, group::GroupRequest::FetchOffsets(more)).await?;
                        let group::GroupResponse::FetchOffsets(it) = it else {
                            return mixed_up();
                        };
                        next = it.next;
                        parts.push(it);
                        state.pause().await;
                    }
                    fetched.push(parts);
                    state.pause().await;
                }
                let (image, pause) = (state.image(), async || state.pause().await);
                Ok(plan.response(&header, fetched, &image, pause).await?)
            });
        }
        Groups::ConsumerGroupHeartbeat => {
            let uuid = kafka_uuid(state.new_uuid());
            let host = state.host(begun.connection);
            let (body, client_id) = (body.clone(), client_id.to_owned());
            state.clone().respond(begun, async move {
                let pause = &async || state.pause().await;
                let caller = join_group::Caller { client_id: &client_id, host: &host, uuid: &uuid };
                let turn = state.turn_of(&body).await;
                let plan =
                    consumer_group_heartbeat::plan(&body, version, caller, &image, pause).await?;
                drop((turn, body));
                state.release(begun);
                let beat = match plan {
                    Ok(beat) => group::GroupRequest::ConsumerHeartbeat(Box::new(beat)),
                    Err(refused) => {
                        return Ok(consumer_group_heartbeat::response(&header, refused)?);
                    }
                };
                let group::GroupResponse::ConsumerHeartbeat(it) = ask(&state, beat).await? else {
                    return mixed_up();
                };
                Ok(consumer_group_heartbeat::response(&header, it)?)
            });
        }
        Groups::ConsumerGroupDescribe => {
            let plan = consumer_group_describe::plan(body, version, &image)?;
            respond.with(async move {
                let requests =
                    plan.groups.iter().cloned().map(group::GroupRequest::ConsumerDescribe);
                let described = describe(&state, requests, plan.refused, of_consumers).await?;
                Ok(plan.response(&header, described, async || state.pause().await).await?)
            });
        }
        Groups::ShareGroupHeartbeat => {
            let host = state.host(begun.connection);
            let (body, client_id) = (body.clone(), client_id.to_owned());
            state.clone().respond(begun, async move {
                let pause = &async || state.pause().await;
                let caller = join_group::Caller { client_id: &client_id, host: &host, uuid: "" };
                let turn = state.turn_of(&body).await;
                let plan =
                    share_group_heartbeat::plan(&body, version, caller, &image, pause).await?;
                drop((turn, body));
                state.release(begun);
                let answer = match plan {
                    Ok(beat) => offsets::heartbeat(&state, beat).await?,
                    Err(refused) => refused,
                };
                Ok(share_group_heartbeat::response(&header, answer)?)
            });
        }
        Groups::ShareGroupDescribe => {
            let plan = share_group_describe::plan(body, version, &image)?;
            respond.with(async move {
                let requests = plan.groups.iter().cloned().map(group::GroupRequest::ShareDescribe);
                let described = describe(&state, requests, plan.refused, of_consumers).await?;
                Ok(plan.response(&header, described, async || state.pause().await).await?)
            });
        }
        Groups::StreamsGroupHeartbeat => {
            let host = state.host(begun.connection);
            let (body, client_id) = (body.clone(), client_id.to_owned());
            state.clone().respond(begun, async move {
                let pause = &async || state.pause().await;
                let caller = join_group::Caller { client_id: &client_id, host: &host, uuid: "" };
                let turn = state.turn_of(&body).await;
                let plan =
                    streams_group_heartbeat::plan(&body, version, caller, &image, pause).await?;
                drop((turn, body));
                state.release(begun);
                let answer = match plan {
                    Ok(beat) => streams_groups::heartbeat(&state, beat).await?,
                    Err(refused) => *refused,
                };
                Ok(streams_group_heartbeat::response(&header, &answer, pause).await?)
            });
        }
        Groups::StreamsGroupDescribe => {
            let plan = streams_group_describe::plan(body, version, &image)?;
            respond.with(async move {
                let requests =
                    plan.groups.iter().cloned().map(group::GroupRequest::StreamsDescribe);
                let of_streams = |it| match it {
                    group::GroupResponse::StreamsDescribe(it) => *it,
                    _ => mixed_up(),
                };
                let described = describe(&state, requests, plan.refused, of_streams).await?;
                Ok(plan.response(&header, described, async || state.pause().await).await?)
            });
        }
        Groups::DescribeShareGroupOffsets => {
            let groups = share_group_offsets::plan_describe(body, version)?;
            respond.with(async move {
                let mut described = Vec::with_capacity(groups.len());
                for it in groups {
                    described.push(offsets::describe(&state, it).await?);
                    state.pause().await;
                }
                Ok(share_group_offsets::describe_response(&header, &described)?)
            });
        }
        Groups::AlterShareGroupOffsets => {
            let alter = share_group_offsets::plan_alter(body, version)?;
            respond.with(async move {
                let (error, topics) = offsets::alter(&state, alter).await?;
                Ok(share_group_offsets::alter_response(&header, error, &topics)?)
            });
        }
        Groups::DeleteShareGroupOffsets => {
            let (group, topics) = share_group_offsets::plan_delete(body, version)?;
            respond.with(async move {
                let (error, topics) = offsets::delete(&state, group, topics).await?;
                Ok(share_group_offsets::delete_response(&header, error, &topics)?)
            });
        }
        Groups::DescribeGroups => {
            let plan = describe_groups::plan(body, version)?;
            respond.with(async move {
                let requests =
                    plan.groups.iter().map(|it| group::GroupRequest::Describe(it.clone()));
                let mut described = Vec::new();
                for it in ask_all(&state, requests).await? {
                    let group::GroupResponse::Describe(it) = it else { return mixed_up() };
                    described.push(it);
                }
                let pause = async || state.pause().await;
                Ok(plan.response(&header, described, pause).await?)
            });
        }
        Groups::DeleteGroups => {
            let groups = delete_groups::plan(body, version)?;
            respond.with(async move {
                let ids: Vec<String> = groups.iter().map(|it| it.group_id.clone()).collect();
                for id in &ids {
                    offsets::forget(&state, id).await?;
                }
                let requests = groups.into_iter().map(group::GroupRequest::DeleteGroup);
                let mut deleted = Vec::new();
                for (id, it) in ids.into_iter().zip(ask_all(&state, requests).await?) {
                    let group::GroupResponse::DeleteGroup(it) = it else { return mixed_up() };
                    deleted.push((id, it));
                }
                Ok(delete_groups::response(&header, &deleted)?)
            });
        }
        Groups::ListGroups => {
            let list = list_groups::plan(body, version)?;
            respond.with(async move {
                let calls: Vec<_> =
                    (0..state.shards).map(|it| state.call(it, ListGroups(list.clone()))).collect();
                // Sorted by name as they come: to sort many at the end would take long.
                let mut listed = Ok(BTreeMap::new());
                for call in calls {
                    let Some(more) = call.await else { return Err(Unanswered::GivenUp) };
                    match (more, &mut listed) {
                        (Ok(more), Ok(groups)) => {
                            for group in more {
                                groups.insert(group.group_id.clone(), group);
                                state.pause().await;
                            }
                        }
                        (Err(error), Ok(_)) => listed = Err(error),
                        (_, Err(_)) => {}
                    }
                }
                let pause = async || state.pause().await;
                Ok(list_groups::response(&header, listed, pause).await?)
            });
        }
    }
    Ok(())
}

/// Asks for what there is to tell of groups; of each of them the refusal, where there is one.
async fn describe<T>(
    state: &Rc<State>,
    requests: impl Iterator<Item = group::GroupRequest>,
    refused: Option<ErrorCode>,
    read: fn(group::GroupResponse) -> T,
) -> Result<Vec<T>, Unanswered> {
    let (mut known, mut asked) = (Vec::new(), Vec::new());
    for it in requests {
        let unnamed = it.group_id().is_empty().then_some(ErrorCode::INVALID_GROUP_ID);
        let error = refused.or(unnamed);
        known.push(error.map(|error| group::GroupResponse::refused(&it, error)));
        asked.extend(error.is_none().then_some(it));
        state.pause().await;
    }
    let mut answers = ask_all(state, asked.into_iter()).await?.into_iter();
    let told = |it: Option<_>| it.or_else(|| answers.next()).unwrap_or_else(mixed_up);
    Ok(known.into_iter().map(told).map(read).collect())
}

fn of_consumers(answer: group::GroupResponse) -> group::ConsumerDescribed {
    match answer {
        group::GroupResponse::ConsumerDescribe(it) => it,
        _ => mixed_up(),
    }
}

/// A coordinator answers in kind: anything else is a bug, and closes the connection.
fn mixed_up<T>() -> T {
    unreachable!("the answer is of the request's kind")
}

/// As Kafka shows an id.
fn kafka_uuid(uuid: uuid::Uuid) -> String {
    TopicId(uuid.into_bytes()).to_string()
}

struct Respond<'a> {
    state: &'a Rc<State>,
    begun: Begun,
}

impl Respond<'_> {
    fn with(&self, run: impl Future<Output = Outcome> + 'static) {
        // A plan owns what it has read, and a member may wait long for others.
        self.state.release(self.begun);
        self.state.respond(self.begun, run);
    }
}
