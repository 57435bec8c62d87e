//! From a request's frame to its answer: what each API does with the shards.

use super::begun::{Begun, Header, Outcome, Unanswered};
use super::calls::{
    AutoCreate, ChangeMetadata, FindEpochEnds, FindOffsets, Sizes, TakeProducerIds, Trim,
};
use super::connection::Arrived;
use super::dispatch::Serve;
use super::owners::ByOwner;
use super::share::{acknowledge as share_acknowledge, fetch as share_fetch};
use super::state::State;
use super::wait::Pass;
use super::{fetch, group_requests, produce, transaction_requests, work};
use crate::broker::api::table::{Api, Handler, Local, Owners, Share};
use crate::broker::api::{
    Body, Response, acls, api_versions, delete_records, describe_cluster, describe_configs,
    describe_log_dirs, describe_topic_partitions, list_config_resources, list_offsets, metadata,
    offset_for_leader_epoch,
};
use crate::types::{ErrorCode, TopicPartition};
use crate::wire::header::{RequestHeader, decode_request};
use crate::wire::{Reader, WireError};
use bytes::Bytes;
use futures_lite::FutureExt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

/// Requests with a body of so many bytes take turns: see [`State::turn_of`].
const LARGE: usize = 64 << 10;

impl State {
    /// Begins a request. What it does to partitions of this shard, and the messages to others, happen
    /// before this returns.
    pub(super) fn request(self: &Rc<Self>, arrived: &Arrived) {
        self.open_requests.set(self.open_requests.get() + 1);
        let Arrived { connection, number, received, .. } = *arrived;
        let begun = Begun { connection, number, received };
        match self.contain(|| self.begin(begun, &arrived.frame)) {
            Some(Ok(())) => {}
            Some(Err(why)) => self.refuse(begun, &why),
            None => self.give_up(begun, "a bug in reading its request"),
        }
    }

    fn begin(self: &Rc<Self>, begun: Begun, frame: &Bytes) -> Result<(), String> {
        let mut reader = Reader::new(frame);
        let malformed = |e: WireError| format!("a request that cannot be read: {e}");
        let decoded = decode_request(&mut reader).map_err(malformed)?;
        let header = RequestHeader { client_id: None, ..decoded };
        let at = frame.len() - reader.remaining();
        let (api, version) = (header.api_key, header.version);
        let Some(served) = Api::find(api).filter(|it| it.serves(version)) else {
            return Err(format!("{api} version {version} is not supported"));
        };
        let body = frame.slice(at..);
        self.traffic.borrow_mut().request(api, frame.len());
        self.dispatch(begun, served.handler, header, body, decoded.client_id.unwrap_or_default())
            .map_err(|e| format!("{api} version {version} that cannot be read: {e}"))
    }

    fn dispatch(
        self: &Rc<Self>,
        begun: Begun,
        handler: Handler,
        header: Header,
        body: Bytes,
        client_id: &str,
    ) -> Result<(), WireError> {
        let version = header.version;
        let answer = |response| {
            self.answer(begun, Some(response), None);
            Ok(())
        };
        let with_body = |body: Body| answer(Response::from_body(&header, body));
        let image = self.image();
        let state = self.clone();
        match handler {
            Handler::Local(Local::ApiVersions) => {
                answer(api_versions::handle(&header, &body, &image)?)
            }
            Handler::Produce => produce::begin(self, begun, header, &body),
            Handler::Fetch => fetch::begin(self, begun, header, body),
            Handler::Share(Share::Fetch) => {
                share_fetch::begin(self, begun, header, body);
                Ok(())
            }
            Handler::Share(Share::Acknowledge) => {
                share_acknowledge::begin(self, begun, header, body);
                Ok(())
            }
            Handler::ShareState(api) => {
                self.release(begun);
                self.respond(begun, async move {
                    Ok(state.share_states_asked(api, &header, &body).await?)
                });
                Ok(())
            }
            Handler::Metadata => {
                self.respond(begun, async move {
                    let pause = &async || state.pause().await;
                    let mut found = metadata::handle(&body, version, &image, pause).await?;
                    if !found.create.is_empty() {
                        state.call(0, AutoCreate(found.create)).await;
                        let image = state.image();
                        found = metadata::handle(&body, version, &image, pause).await?;
                    }
                    Ok(Response::from_body(&header, found.response))
                });
                Ok(())
            }
            Handler::Owners(Owners::ListOffsets) => {
                self.respond(begun, async move { Ok(state.list_offsets(&header, &body).await?) });
                Ok(())
            }
            Handler::Owners(Owners::OffsetForLeaderEpoch) => {
                self.respond(begun, async move {
                    let pause = &async || state.pause().await;
                    let turn = state.turn_of(&body).await;
                    let (mut answers, queries) =
                        offset_for_leader_epoch::plan(&body, version, &image, pause).await?;
                    drop(turn);
                    for it in state.ask_owners(queries, |it| it.tp, FindEpochEnds).await {
                        put(&mut answers, it.index, it);
                        pause().await;
                    }
                    let _turn = state.turn_of(&body).await;
                    Ok(offset_for_leader_epoch::response(&header, &body, &answers, pause).await?)
                });
                Ok(())
            }
            Handler::Owners(Owners::DeleteRecords) => {
                self.respond(begun, async move {
                    let pause = &async || state.pause().await;
                    let turn = state.turn_of(&body).await;
                    let (mut answers, trims) =
                        delete_records::plan(&body, version, &image, pause).await?;
                    drop(turn);
                    for it in state.ask_owners(trims, |it| it.tp, Trim).await {
                        put(&mut answers, it.index, it);
                        pause().await;
                    }
                    let _turn = state.turn_of(&body).await;
                    Ok(delete_records::response(&header, &body, &answers, pause).await?)
                });
                Ok(())
            }
            Handler::Transactions(api) => {
                transaction_requests::begin(self, begun, header, api, body)
            }
            Handler::DescribeLogDirs => {
                self.respond(begun, async move {
                    let calls: Vec<_> =
                        (0..state.shards).map(|owner| state.call(owner, Sizes)).collect();
                    let mut sizes = Vec::new();
                    for call in calls {
                        sizes.append(&mut call.await.ok_or(Unanswered::GivenUp)?);
                    }
                    let (image, volume) = (state.image(), state.volume());
                    let pause = async || state.pause().await;
                    let answer =
                        describe_log_dirs::handle(&header, &body, &image, &volume, sizes, pause);
                    Ok(answer.await?)
                });
                Ok(())
            }
            Handler::Local(Local::Acls(api)) => {
                self.respond(begun, async move {
                    let pause = &async || state.pause().await;
                    let answer = acls::handle(api, &body, version, pause).await?;
                    Ok(Response::from_body(&header, answer))
                });
                Ok(())
            }
            Handler::Local(Local::DescribeCluster) => {
                with_body(describe_cluster::handle(&body, version, &image)?)
            }
            Handler::Local(Local::DescribeConfigs) => {
                self.respond(begun, async move {
                    let pause = &async || state.pause().await;
                    let body = describe_configs::handle(&body, version, &image, pause).await?;
                    Ok(Response::from_body(&header, body))
                });
                Ok(())
            }
            Handler::Local(Local::DescribeTopicPartitions) => {
                self.respond(begun, async move {
                    let pause = &async || state.pause().await;
                    let answer = describe_topic_partitions::handle(&body, version, &image, pause);
                    Ok(Response::from_body(&header, answer.await?))
                });
                Ok(())
            }
            Handler::Local(Local::ListConfigResources) => {
                self.respond(begun, async move {
                    let pause = &async || state.pause().await;
                    let answer = list_config_resources::handle(&body, version, &image, pause);
                    Ok(Response::from_body(&header, answer.await?))
                });
                Ok(())
            }
            Handler::Groups(api) => {
                group_requests::begin(self, begun, header, api, &body, client_id)
            }
            Handler::Controller(api) => {
                let call = self.call(0, ChangeMetadata { api, version, body });
                self.respond(begun, async move {
                    let body = call.await.ok_or(Unanswered::GivenUp)??;
                    Ok(Response::from_body(&header, body))
                });
                Ok(())
            }
        }
    }

    /// Answers a `ListOffsets`, of a client or of another broker.
    pub(super) async fn list_offsets(
        self: &Rc<Self>,
        header: &Header,
        body: &[u8],
    ) -> Result<Response, WireError> {
        let image = self.image();
        let pause = &async || self.pause().await;
        let turn = self.turn_of(body).await;
        let (mut answers, queries) =
            list_offsets::plan(body, header.version, &image, pause).await?;
        drop(turn);
        for it in self.ask_owners(queries, |it| it.tp, FindOffsets).await {
            put(&mut answers, it.index, it);
            pause().await;
        }
        let _turn = self.turn_of(body).await;
        list_offsets::response(header, body, &answers, pause).await
    }

    /// Runs a request to its answer. A panic, or a request that cannot be read, closes the connection.
    pub(super) fn respond(
        self: &Rc<Self>,
        begun: Begun,
        run: impl Future<Output = Outcome> + 'static,
    ) {
        let state = self.clone();
        self.respond_with_records(begun, async move {
            let pause = &async |bytes| {
                state.work.add(work::bytes(bytes));
                state.pause().await;
            };
            Ok(run.await?.into_pages(&state.budget, pause).await)
        });
    }

    /// As [`respond`](Self::respond), with an answer whose large parts have their place already.
    pub(super) fn respond_with_records(
        self: &Rc<Self>,
        begun: Begun,
        run: impl Future<Output = Outcome> + 'static,
    ) {
        let state = self.clone();
        self.start(async move {
            match AssertUnwindSafe(run).catch_unwind().await {
                Ok(Ok(response)) => state.answer(begun, Some(response), None),
                Ok(Err(Unanswered::GivenUp)) => {
                    state.give_up(begun, "a bug in answering its request");
                }
                Ok(Err(Unanswered::NoController)) => {
                    state.refuse(begun, "no controller leads the cluster");
                }
                Ok(Err(Unanswered::Malformed(e))) => {
                    state.refuse(begun, &format!("a request that cannot be read: {e}"));
                }
                Err(_) => {
                    state.panicked();
                    state.give_up(begun, "a bug in answering its request");
                }
            }
        });
    }

    /// The turn of a request with so large a body: its arrays may take many times as much, which is charged
    /// to nobody, so one after the other is read or answered.
    pub(super) async fn turn_of(&self, body: &[u8]) -> Option<Pass<'_>> {
        if body.len() < LARGE { None } else { Some(self.large.enter().await) }
    }

    /// Asks the owners of what is asked for, all at once; what they have answered, in no particular
    /// order. Nothing of an owner that has given up.
    pub(super) async fn ask_owners<Q, A, C: Serve<Reply = Vec<A>>>(
        self: &Rc<Self>,
        queries: Vec<Q>,
        tp: impl Fn(&Q) -> TopicPartition,
        call: impl Fn(Vec<Q>) -> C,
    ) -> Vec<A> {
        let mut groups = ByOwner::new(self.shards, queries.len());
        for query in queries {
            groups.push(tp(&query), query);
            self.pause().await;
        }
        let groups = groups.groups.into_iter();
        let calls: Vec<_> = groups.map(|(owner, group)| self.call(owner, call(group))).collect();
        let mut answers = Vec::new();
        for call in calls {
            answers.extend(call.await.into_iter().flatten());
        }
        answers
    }

    pub(super) async fn producer_id(self: &Rc<Self>) -> Result<i64, ErrorCode> {
        loop {
            let (next, left) = self.producer_ids.get();
            if left > 0 {
                self.producer_ids.set((next + 1, left - 1));
                return Ok(next);
            }
            match self.call(0, TakeProducerIds).await {
                // Another request may have brought a block meanwhile: what is left of it is given up.
                Some(Some((first, count))) => self.producer_ids.set((first, count)),
                Some(None) | None => return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
            }
        }
    }

    /// A random (version 4) UUID, which nobody else has.
    pub(super) fn new_uuid(&self) -> uuid::Uuid {
        let mut random = self.random.borrow_mut();
        let bits = u128::from(random.bits()) << 64 | u128::from(random.bits());
        uuid::Builder::from_random_bytes(bits.to_le_bytes()).into_uuid()
    }
}

/// Replaces the answer that stands at this index of the request.
fn put<A>(answers: &mut [A], index: u32, answer: A) {
    answers[index as usize] = answer;
}
