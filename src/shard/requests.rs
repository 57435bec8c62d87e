//! From a frame to its answer: what each API does with the shards.

use super::connection::{Close, Connection};
use super::group_requests;
use super::router::{Notice, Reply, Request};
use super::state::{Phase, Shard, now_ms};
use super::sync::Charge;
use crate::broker::api::data::{
    EpochAnswer, EpochQuery, OffsetAnswer, OffsetQuery, ReadRequest, ReadResult, TrimRequest,
    Trimmed,
};
use crate::broker::api::table::{Api, Handler, Local, Owners};
use crate::broker::api::{
    Body, Response, api_versions, delete_records, describe_cluster, describe_configs,
    describe_log_dirs, describe_topic_partitions, fetch, init_producer_id, list_config_resources,
    list_offsets, metadata, offset_for_leader_epoch,
};
use crate::types::{ErrorCode, TopicPartition};
use crate::wire::header::{RequestHeader, decode_request};
use crate::wire::{Reader, WireError};
use bytes::Bytes;
use futures_lite::FutureExt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The header of a request, without what it borrows.
pub(super) type Header = RequestHeader<'static>;
/// How a request ends.
pub(super) type Answer = Result<Response, WireError>;

/// Begins a request. What it does to partitions of this shard, and the messages to others, happen
/// before this returns: so requests of one connection start in their order.
pub fn begin(
    shard: &Rc<Shard>,
    connection: &Rc<Connection>,
    frame: Bytes,
    charges: Vec<Charge>,
) -> Result<(), Close> {
    shard.active.set(true);
    let mut reader = Reader::new(&frame);
    let malformed = |e: WireError| Close::Refused(format!("a request that cannot be read: {e}"));
    let decoded = decode_request(&mut reader).map_err(malformed)?;
    let header = RequestHeader { client_id: None, ..decoded };
    let at = frame.len() - reader.remaining();
    let (api, version) = (header.api_key, header.version);
    let Some(served) = Api::find(api).filter(|it| it.serves(version)) else {
        return Err(Close::Refused(format!("{api} version {version} is not supported")));
    };
    let body = frame.slice(at..);
    let malformed =
        |e: WireError| Close::Refused(format!("{api} version {version} that cannot be read: {e}"));
    let number = connection.open(api);
    shard.traffic.borrow_mut().request(api, frame.len());
    let answer = |response| connection.answer(shard, number, Some(response), None);
    let with_body = |result: Result<Body, WireError>| {
        result.map(|body| Response::from_body(&header, body)).map_err(malformed)
    };
    let image = shard.image();
    match served.handler {
        Handler::Local(Local::ApiVersions) => {
            answer(api_versions::handle(&header, &body).map_err(malformed)?);
        }
        Handler::Produce => {
            super::produce::begin(shard, connection, header, &body, number, charges)
                .map_err(malformed)?;
        }
        Handler::Fetch => {
            let max_bytes = image.broker_configs.number("fetch.max.bytes").unwrap_or(55 << 20);
            let limits = fetch::Limits {
                max_bytes: usize::try_from(max_bytes).unwrap_or(0),
                memory: shard.common.disk.budget().left() / 4,
            };
            let mut sessions = shard.sessions.borrow_mut();
            let plan = fetch::plan(&body, version, &mut sessions, &image, limits, now_ms());
            drop(sessions);
            let plan = plan.map_err(malformed)?;
            let run = fetch_all(shard.clone(), connection.clone(), header, plan);
            respond(shard, connection, number, charges, run);
        }
        Handler::Metadata => {
            let found = metadata::handle(&body, version, &image).map_err(malformed)?;
            if found.create.is_empty() {
                answer(Response::from_body(&header, found.response));
            } else {
                let shard_2 = shard.clone();
                let run = async move {
                    shard_2.call(0, Request::AutoCreate(found.create)).await;
                    let found = metadata::handle(&body, version, &shard_2.image())?;
                    Ok(Response::from_body(&header, found.response))
                };
                respond(shard, connection, number, charges, run);
            }
        }
        Handler::Owners(Owners::ListOffsets) => {
            let plan = list_offsets::plan(&body, version, &image).map_err(malformed)?;
            respond(shard, connection, number, charges, offsets(shard.clone(), header, body, plan));
        }
        Handler::Owners(Owners::OffsetForLeaderEpoch) => {
            let plan = offset_for_leader_epoch::plan(&body, version, &image).map_err(malformed)?;
            respond(shard, connection, number, charges, epochs(shard.clone(), header, body, plan));
        }
        Handler::Owners(Owners::DeleteRecords) => {
            let plan = delete_records::plan(&body, version, &image).map_err(malformed)?;
            respond(shard, connection, number, charges, trim(shard.clone(), header, body, plan));
        }
        Handler::InitProducerId => {
            let error = init_producer_id::plan(&body, version).map_err(malformed)?;
            let shard_2 = shard.clone();
            let run = async move {
                let id = if error.is_err() { Err(error) } else { producer_id(&shard_2).await };
                init_producer_id::response(&header, id)
            };
            respond(shard, connection, number, charges, run);
        }
        Handler::DescribeLogDirs => {
            let shard_2 = shard.clone();
            let run = async move {
                let calls: Vec<_> = (0..shard_2.common.shards)
                    .map(|owner| shard_2.call(owner, Request::Sizes))
                    .collect();
                let mut sizes = Vec::new();
                for call in calls {
                    if let Some(Reply::Sizes(more)) = call.await {
                        sizes.extend(more);
                    }
                }
                let (image, volume) = (shard_2.image(), shard_2.volume());
                describe_log_dirs::handle(&header, &body, &image, &volume, &sizes)
            };
            respond(shard, connection, number, charges, run);
        }
        Handler::Local(Local::DescribeCluster) => {
            answer(with_body(describe_cluster::handle(&body, version, &image))?);
        }
        Handler::Local(Local::DescribeConfigs) => {
            answer(with_body(describe_configs::handle(&body, version, &image))?);
        }
        Handler::Local(Local::DescribeTopicPartitions) => {
            answer(with_body(describe_topic_partitions::handle(&body, version, &image))?);
        }
        Handler::Local(Local::ListConfigResources) => {
            answer(with_body(list_config_resources::handle(&body, version, &image))?);
        }
        Handler::Groups(api) => {
            let client_id = decoded.client_id.unwrap_or_default();
            let asked = group_requests::Asked { shard, connection, header, number, body: &body };
            group_requests::begin(&asked, api, client_id).map_err(malformed)?;
        }
        Handler::Controller(api) => {
            let call = shard.call(0, Request::Admin { api, version, body });
            let run = async move {
                match call.await {
                    Some(Reply::Admin(Ok(body))) => Ok(Response::from_body(&header, body)),
                    Some(Reply::Admin(Err(e))) => Err(e),
                    // Only at the very end of the process.
                    _ => Err(WireError::TooShort),
                }
            };
            respond(shard, connection, number, charges, run);
        }
    }
    Ok(())
}

/// Runs a request to its answer. A panic, or a request that cannot be read, closes the connection.
pub(super) fn respond(
    shard: &Rc<Shard>,
    connection: &Rc<Connection>,
    number: u64,
    charges: Vec<Charge>,
    run: impl Future<Output = Answer> + 'static,
) {
    let (shard_2, connection) = (shard.clone(), connection.clone());
    shard.start(async move {
        match AssertUnwindSafe(run).catch_unwind().await {
            Ok(Ok(response)) => connection.answer(&shard_2, number, Some(response), None),
            Ok(Err(e)) => connection.refuse(&format!("a request that cannot be read: {e}")),
            Err(_) => {
                shard_2.count_panic();
                connection.refuse("a panic while answering its request");
            }
        }
        drop(charges);
    });
}

/// Groups requests by the shard that owns their partition.
pub fn by_owner<T>(
    items: Vec<T>,
    shards: usize,
    tp: impl Fn(&T) -> TopicPartition,
) -> Vec<(usize, Vec<T>)> {
    if shards == 1 {
        return if items.is_empty() { Vec::new() } else { vec![(0, items)] };
    }
    let mut groups: Vec<(usize, Vec<T>)> = Vec::new();
    for item in items {
        let owner = tp(&item).shard(shards);
        match groups.iter_mut().find(|(it, _)| *it == owner) {
            Some((_, group)) => group.push(item),
            None => groups.push((owner, vec![item])),
        }
    }
    groups
}

// ---- Fetch ----

async fn fetch_all(
    shard: Rc<Shard>,
    connection: Rc<Connection>,
    header: Header,
    plan: fetch::Plan,
) -> Answer {
    let deadline = Instant::now() + Duration::from_millis(plan.max_wait_ms);
    let (id, wait) = shard.new_wait();
    let results = loop {
        wait.fired.set(false);
        let image = shard.image();
        let reads = plan.reads(&image);
        let groups = by_owner(reads, shard.common.shards, |it: &ReadRequest| it.tp);
        let may_wait = Instant::now() < deadline
            && shard.phase.get() == Phase::Serving
            && !connection.is_closed();
        // No single shard can tell when several together have enough: the first step of any tells.
        let need = if groups.len() == 1 { plan.min_bytes.max(1) } else { 1 };
        let waiter = (may_wait && plan.min_bytes > 0).then_some((id, need));
        let mut asked = Vec::with_capacity(groups.len());
        for (owner, reads) in groups {
            let max_bytes = plan.max_bytes;
            asked.push((owner, shard.call(owner, Request::Read { reads, max_bytes, waiter })));
        }
        let (mut results, mut noted): (Vec<ReadResult>, Vec<usize>) = Default::default();
        for (owner, call) in asked {
            if let Some(Reply::Read(more, waits)) = call.await {
                results.extend(more);
                noted.extend(waits.then_some(owner));
            }
        }
        results.sort_by_key(|it| it.index);
        let enough = waiter.is_none() || plan.is_satisfied(&results);
        if !enough {
            let left = deadline.saturating_duration_since(Instant::now());
            let more = async {
                wait.event.until(|| wait.fired.get()).await;
            };
            more.or(connection.until_closed()).or(glommio::timer::sleep(left)).await;
        }
        for owner in noted {
            shard.tell(owner, Notice::Forget(id));
        }
        if enough {
            break results;
        }
    };
    shard.end_wait(id);
    let mut sessions = shard.sessions.borrow_mut();
    plan.response(&header, results, &mut sessions, &shard.image(), now_ms())
}

// ---- The others ----

/// Asks the owners of what is asked for, all at once; `enter` takes what each answers.
async fn ask_owners<Q>(
    shard: &Rc<Shard>,
    queries: Vec<Q>,
    tp: impl Fn(&Q) -> TopicPartition,
    request: impl Fn(Vec<Q>) -> Request,
    mut enter: impl FnMut(Reply),
) {
    let groups = by_owner(queries, shard.common.shards, tp);
    let calls: Vec<_> =
        groups.into_iter().map(|(owner, group)| shard.call(owner, request(group))).collect();
    for call in calls {
        if let Some(reply) = call.await {
            enter(reply);
        }
    }
}

async fn offsets(
    shard: Rc<Shard>,
    header: Header,
    body: Bytes,
    (mut answers, queries): (Vec<OffsetAnswer>, Vec<OffsetQuery>),
) -> Answer {
    let enter = |reply| {
        if let Reply::Offsets(found) = reply {
            found.into_iter().for_each(|it| put(&mut answers, it.index, it));
        }
    };
    ask_owners(&shard, queries, |it| it.tp, Request::Offsets, enter).await;
    list_offsets::response(&header, &body, &answers)
}

async fn epochs(
    shard: Rc<Shard>,
    header: Header,
    body: Bytes,
    (mut answers, queries): (Vec<EpochAnswer>, Vec<EpochQuery>),
) -> Answer {
    let enter = |reply| {
        if let Reply::EpochEnds(found) = reply {
            found.into_iter().for_each(|it| put(&mut answers, it.index, it));
        }
    };
    ask_owners(&shard, queries, |it| it.tp, Request::EpochEnds, enter).await;
    offset_for_leader_epoch::response(&header, &body, &answers)
}

async fn trim(
    shard: Rc<Shard>,
    header: Header,
    body: Bytes,
    (mut answers, trims): (Vec<Trimmed>, Vec<TrimRequest>),
) -> Answer {
    let enter = |reply| {
        if let Reply::Trimmed(done) = reply {
            done.into_iter().for_each(|it| put(&mut answers, it.index, it));
        }
    };
    ask_owners(&shard, trims, |it| it.tp, Request::Trim, enter).await;
    delete_records::response(&header, &body, &answers)
}

/// Replaces the answer that stands at this index of the request.
fn put<A>(answers: &mut [A], index: u32, answer: A) {
    answers[index as usize] = answer;
}

async fn producer_id(shard: &Rc<Shard>) -> Result<i64, ErrorCode> {
    loop {
        let (next, left) = shard.producer_ids.get();
        if left > 0 {
            shard.producer_ids.set((next + 1, left - 1));
            return Ok(next);
        }
        match shard.call(0, Request::ProducerIds).await {
            // Another request may have brought a block meanwhile: what is left of it is given up.
            Some(Reply::ProducerIds(first, count)) => shard.producer_ids.set((first, count)),
            _ => return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TopicId;

    #[test]
    fn groups_keep_the_order_of_each_owner() {
        let tp = |partition| TopicPartition { topic: TopicId([3; 16]), partition };
        let items: Vec<i32> = (0..10).collect();
        let groups = by_owner(items, 3, |i| tp(*i));
        assert_eq!(groups.iter().map(|(_, group)| group.len()).sum::<usize>(), 10);
        for (owner, group) in &groups {
            assert!(group.is_sorted() && group.iter().all(|i| tp(*i).shard(3) == *owner));
        }
        assert_eq!(by_owner(vec![1, 2], 1, |i| tp(*i)), [(0, vec![1, 2])]);
        assert!(by_owner(Vec::<i32>::new(), 1, |i| tp(*i)).is_empty());
    }
}
