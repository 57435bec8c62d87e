//! What each API of groups does with the shards that own the coordinators.
//!
//! A plan owns what it has read: a member may wait long for others, and must not hold up the
//! requests of others by the room that its own takes.

use super::connection::Connection;
use super::requests::{Answer, Header, respond};
use super::router::{Reply, Request};
use super::state::Shard;
use super::sync::{Receiver, oneshot};
use crate::broker::api::table::Groups;
use crate::broker::api::{
    Response, delete_groups, describe_groups, find_coordinator, heartbeat, join_group, leave_group,
    list_groups, offset_commit, offset_delete, offset_fetch, sync_group,
};
use crate::group::{self, DeletedOffsets};
use crate::types::ErrorCode;
use crate::wire::WireError;
use bytes::Bytes;
use std::future::Future;
use std::rc::Rc;

/// A request that begins.
pub struct Asked<'a> {
    /// Of which shard.
    pub shard: &'a Rc<Shard>,
    /// On which connection.
    pub connection: &'a Rc<Connection>,
    /// Its header.
    pub header: Header,
    /// Its number on the connection.
    pub number: u64,
    /// What follows the header.
    pub body: &'a Bytes,
}

/// Begins a request. The coordinators are asked before this
/// returns.
pub fn begin(asked: &Asked<'_>, api: Groups, client_id: &str) -> Result<(), WireError> {
    let Asked { shard, connection, header, body, .. } = *asked;
    let (shard, version, image) = (shard.clone(), header.version, shard.image());
    match api {
        Groups::FindCoordinator => {
            let (body, found) = (body.clone(), find_coordinator::handle(body, version, &image)?);
            asked.respond(async move {
                let mut found = found;
                if let Some(topic) = found.create {
                    shard.call(0, Request::AutoCreate(vec![topic.to_owned()])).await;
                    found = find_coordinator::handle(&body, version, &shard.image())?;
                }
                Ok(Response::from_body(&header, found.response))
            });
        }
        Groups::JoinGroup => {
            let uuid = uuid::Uuid::new_v4().to_string();
            let caller = join_group::Caller { client_id, host: connection.host(), uuid: &uuid };
            let request = group::Request::Join(join_group::plan(body, version, caller)?);
            asked.respond(async move {
                let group::Response::Join(it) = ask(&shard, request).await? else {
                    return mixed_up();
                };
                join_group::response(&header, &it)
            });
        }
        Groups::SyncGroup => {
            let plan = sync_group::plan(body, version)?;
            asked.respond(async move {
                let request = match plan {
                    Ok(sync) => group::Request::Sync(sync),
                    Err(refused) => return sync_group::response(&header, &refused),
                };
                let group::Response::Sync(it) = ask(&shard, request).await? else {
                    return mixed_up();
                };
                sync_group::response(&header, &it)
            });
        }
        Groups::Heartbeat => {
            let request = group::Request::Heartbeat(heartbeat::plan(body, version)?);
            asked.respond(async move {
                let group::Response::Heartbeat(it) = ask(&shard, request).await? else {
                    return mixed_up();
                };
                heartbeat::response(&header, it)
            });
        }
        Groups::LeaveGroup => {
            let request = group::Request::Leave(leave_group::plan(body, version)?);
            asked.respond(async move {
                let group::Response::Leave(it) = ask(&shard, request).await? else {
                    return mixed_up();
                };
                leave_group::response(&header, &it)
            });
        }
        Groups::OffsetCommit => {
            let mut plan = offset_commit::plan(body, version, &image)?;
            asked.respond(async move {
                let Some(commit) = plan.commit.take() else { return plan.response(&header, None) };
                let group::Response::Commit(it) =
                    ask(&shard, group::Request::Commit(commit)).await?
                else {
                    return mixed_up();
                };
                plan.response(&header, Some(&it))
            });
        }
        Groups::OffsetDelete => {
            let plan = offset_delete::plan(body, version, &image)?;
            asked.respond(async move {
                if let Some(error) = plan.refused {
                    return plan.response(&header, &DeletedOffsets::refused(&plan.delete, error));
                }
                let request = group::Request::DeleteOffsets(plan.delete.clone());
                let group::Response::DeleteOffsets(it) = ask(&shard, request).await? else {
                    return mixed_up();
                };
                plan.response(&header, &it)
            });
        }
        Groups::OffsetFetch => {
            let plan = offset_fetch::plan(body, version, &image)?;
            asked.respond(async move {
                let requests = plan.fetches().map(|it| group::Request::FetchOffsets(it.clone()));
                let mut fetched = Vec::new();
                for it in ask_all(&shard, requests).await? {
                    let group::Response::FetchOffsets(it) = it else { return mixed_up() };
                    fetched.push(it);
                }
                plan.response(&header, fetched, &shard.image())
            });
        }
        Groups::DescribeGroups => {
            let plan = describe_groups::plan(body, version)?;
            asked.respond(async move {
                let requests = plan.groups.iter().map(|it| group::Request::Describe(it.clone()));
                let mut described = Vec::new();
                for it in ask_all(&shard, requests).await? {
                    let group::Response::Describe(it) = it else { return mixed_up() };
                    described.push(it);
                }
                plan.response(&header, &described)
            });
        }
        Groups::DeleteGroups => {
            let groups = delete_groups::plan(body, version)?;
            asked.respond(async move {
                let ids: Vec<String> = groups.iter().map(|it| it.group_id.clone()).collect();
                let requests = groups.into_iter().map(group::Request::DeleteGroup);
                let mut deleted = Vec::new();
                for (id, it) in ids.into_iter().zip(ask_all(&shard, requests).await?) {
                    let group::Response::DeleteGroup(it) = it else { return mixed_up() };
                    deleted.push((id, it));
                }
                delete_groups::response(&header, &deleted)
            });
        }
        Groups::ListGroups => {
            let list = list_groups::plan(body, version)?;
            asked.respond(async move {
                let all = 0..shard.common.shards;
                let calls: Vec<_> =
                    all.map(|it| shard.call(it, Request::ListGroups(list.clone()))).collect();
                let mut listed = Ok(Vec::new());
                for call in calls {
                    let Some(Reply::Groups(more)) = call.await else { return Err(END) };
                    listed = listed.and_then(|mut groups: Vec<group::Listed>| {
                        groups.extend(more?);
                        Ok(groups)
                    });
                }
                list_groups::response(&header, listed)
            });
        }
    }
    Ok(())
}

/// A call ends without an answer only at the very end of the process, and the connection with it.
const END: WireError = WireError::TooShort;

/// A coordinator answers in kind: anything else is a bug, and closes the connection.
fn mixed_up() -> Answer {
    unreachable!("the answer is of the request's kind")
}

impl Asked<'_> {
    fn respond(&self, run: impl Future<Output = Answer> + 'static) {
        respond(self.shard, self.connection, self.number, Vec::new(), run);
    }
}

/// Asks the group's coordinator. As far as that is on this shard, it has begun when this returns.
fn start(shard: &Rc<Shard>, request: group::Request) -> Receiver<Reply> {
    let group_id = request.group_id().unwrap_or_default();
    if let Some(tp) = find_coordinator::partition_of(group_id, &shard.image()) {
        return shard.call(tp.shard(shard.common.shards), Request::Group(tp, request));
    }
    let (tx, rx) = oneshot();
    tx.send(Reply::Group(group::Response::refused(&request, ErrorCode::NOT_COORDINATOR)));
    rx
}

async fn ask(shard: &Rc<Shard>, request: group::Request) -> Result<group::Response, WireError> {
    match start(shard, request).await {
        Some(Reply::Group(response)) => Ok(response),
        _ => Err(END),
    }
}

/// Asks all at once; answers in the order of the requests.
async fn ask_all(
    shard: &Rc<Shard>,
    requests: impl Iterator<Item = group::Request>,
) -> Result<Vec<group::Response>, WireError> {
    let calls: Vec<_> = requests.map(|it| start(shard, it)).collect();
    let mut responses = Vec::with_capacity(calls.len());
    for call in calls {
        match call.await {
            Some(Reply::Group(response)) => responses.push(response),
            _ => return Err(END),
        }
    }
    Ok(responses)
}
