//! What each API of transactions does with the shards that own the coordinators and the partitions.

use super::begun::{Begun, Header, Outcome, Unanswered};
use super::calls::{
    AskGroup, AskTransaction, AutoCreate, DescribeProducers, ListTransactions, ShardId,
    StageOffsets, WriteMarkers,
};
use super::reply_to::ReplyTo;
use super::state::State;
use super::work;
use crate::broker::api::add_partitions_to_txn::{self, Added, Asked};
use crate::broker::api::data::{ProducersAnswer, Understands};
use crate::broker::api::find_coordinator::{partition_of, transaction_partition_of};
use crate::broker::api::table::{Api, Handler, Transactions};
use crate::broker::api::{
    add_offsets_to_txn, describe_producers, describe_transactions, end_txn, init_producer_id,
    list_transactions, txn_offset_commit, write_txn_markers,
};
use crate::group::{GroupRequest, GroupResponse, TransactionProducer};
use crate::transaction::{self, Producer, Request};
use crate::types::topic_name::GROUP_STATE;
use crate::types::{ErrorCode, TopicPartition};
use crate::wire::WireError;
use crate::wire::api_keys::ApiKey;
use crate::wire::header::RequestHeader;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Begins a request.
pub fn begin(
    state: &Rc<State>,
    begun: Begun,
    header: Header,
    api: Transactions,
    body: Bytes,
) -> Result<(), WireError> {
    let (version, image) = (header.version, state.image());
    let state_2 = state.clone();
    let state = state.clone();
    match api {
        Transactions::InitProducerId => {
            let plan = init_producer_id::plan(&body, version)?;
            state_2.release(begun);
            state_2.respond(begun, async move {
                let result = match plan {
                    init_producer_id::Plan::Refused(error) => Err(error),
                    init_producer_id::Plan::Idempotent => {
                        state.producer_id().await.map(|id| Producer { id, epoch: 0 })
                    }
                    init_producer_id::Plan::Transactional(init) => {
                        producer(&state, Request::Init(init)).await?
                    }
                };
                Ok(init_producer_id::response(&header, result)?)
            });
        }
        Transactions::EndTxn => {
            let end = end_txn::plan(&body, version)?;
            state_2.release(begun);
            state_2.respond(begun, async move {
                let result = if end.transactional_id.is_empty() {
                    Err(ErrorCode::INVALID_REQUEST)
                } else {
                    producer(&state, Request::End(end)).await?
                };
                Ok(end_txn::response(&header, result)?)
            });
        }
        Transactions::AddPartitionsToTxn => state_2.respond(begun, async move {
            let pause = &async || state.pause().await;
            let turn = state.turn_of(&body).await;
            let asked = add_partitions_to_txn::plan(&body, version, &image, pause).await?;
            drop((turn, body));
            state.release(begun);
            let added = add_partitions(&state, &asked).await?;
            Ok(add_partitions_to_txn::response(&header, &asked, &added, pause).await?)
        }),
        Transactions::AddOffsetsToTxn => state_2.respond(begun, async move {
            let mut add = add_offsets_to_txn::plan(&body, version, &image)?;
            if add.is_none() {
                state.call(0, AutoCreate(vec![GROUP_STATE.to_owned()])).await;
                add = add_offsets_to_txn::plan(&body, version, &state.image())?;
            }
            let error = match add {
                Some(add) if add.transactional_id.is_empty() => ErrorCode::INVALID_REQUEST,
                Some(add) => match ask(&state, Request::Add(add)).await? {
                    transaction::Response::Done(error) => error,
                    _ => return mixed_up(),
                },
                None => ErrorCode::COORDINATOR_NOT_AVAILABLE,
            };
            Ok(add_offsets_to_txn::response(&header, error)?)
        }),
        Transactions::WriteTxnMarkers => {
            state_2.respond(begun, async move { write_markers(&state, &header, &body).await });
        }
        Transactions::TxnOffsetCommit => state_2.respond(begun, async move {
            let pause = &async || state.pause().await;
            let turn = state.turn_of(&body).await;
            let mut plan = txn_offset_commit::plan(&body, version, &image, pause).await?;
            drop((turn, body));
            state.release(begun);
            let Some(commit) = plan.commit.take() else {
                return Ok(plan.response(&header, None, pause).await?);
            };
            let understands = Understands { abortable: plan.abortable, own_epoch: plan.adds };
            let request = GroupRequest::Commit(commit.clone());
            let response = match partition_of(&commit.group_id, &state.image()) {
                Some(tp) => {
                    let transactional_id = plan.transactional_id.clone();
                    let call = StageOffsets { tp, commit, transactional_id, understands };
                    state.call(tp.shard(state.shards), call).await.ok_or(Unanswered::GivenUp)?
                }
                None => GroupResponse::refused(&request, ErrorCode::NOT_COORDINATOR),
            };
            let GroupResponse::Commit(committed) = response else { return mixed_up() };
            Ok(plan.response(&header, Some(&committed), pause).await?)
        }),
        Transactions::DescribeProducers => state_2.respond(begun, async move {
            let pause = &async || state.pause().await;
            let turn = state.turn_of(&body).await;
            let (mut answers, asked) =
                describe_producers::plan(&body, version, &image, pause).await?;
            drop(turn);
            for it in state.ask_owners(asked, |it| it.1, DescribeProducers).await {
                let at = it.index as usize;
                answers[at] = it;
                pause().await;
            }
            let _turn = state.turn_of(&body).await;
            Ok(describe_producers::response(&header, &body, &answers, pause).await?)
        }),
        Transactions::DescribeTransactions => {
            let ids = describe_transactions::plan(&body, version)?;
            state_2.release(begun);
            state_2.respond(begun, async move {
                let mut all = Vec::with_capacity(ids.len());
                for id in ids {
                    let described = if id.is_empty() {
                        Err(ErrorCode::INVALID_REQUEST)
                    } else {
                        match ask(&state, Request::Describe(id.clone())).await? {
                            transaction::Response::Described(it) => Ok(it),
                            transaction::Response::Done(error) => Err(error),
                            _ => return mixed_up(),
                        }
                    };
                    all.push((id, described));
                    state.pause().await;
                }
                let pause = &async || state.pause().await;
                Ok(describe_transactions::response(&header, &all, pause).await?)
            });
        }
        Transactions::ListTransactions => {
            let plan = list_transactions::plan(&body, version)?;
            state_2.release(begun);
            state_2.respond(begun, async move {
                let calls: Vec<_> = (0..state.shards)
                    .map(|it| state.call(it, ListTransactions(plan.list.clone())))
                    .collect();
                // Sorted by id as they come: to sort many at the end would take long.
                let mut listed = Ok(BTreeMap::new());
                for call in calls {
                    match (call.await.ok_or(Unanswered::GivenUp)?, &mut listed) {
                        (Ok(more), Ok(all)) => {
                            for it in more {
                                all.insert(it.transactional_id.clone(), it);
                                state.pause().await;
                            }
                        }
                        (Err(error), Ok(_)) => listed = Err(error),
                        (_, Err(_)) => {}
                    }
                }
                let pause = &async || state.pause().await;
                let listed = listed.map(|it| it.into_values().collect());
                Ok(plan.response(&header, listed, pause).await?)
            });
        }
    }
    Ok(())
}

/// A coordinator answers in kind: anything else is a bug, and closes the connection.
fn mixed_up() -> Outcome {
    unreachable!("the answer is of the request's kind")
}

/// Asks the coordinator of the transactional id, if that is here.
async fn ask(state: &Rc<State>, request: Request) -> Result<transaction::Response, Unanswered> {
    let tp = transaction_partition_of(request.transactional_id(), &state.image());
    let Some(tp) = tp else {
        return Ok(transaction::Response::Done(ErrorCode::NOT_COORDINATOR));
    };
    let call = AskTransaction(tp, request);
    state.call(tp.shard(state.shards), call).await.ok_or(Unanswered::GivenUp)
}

/// The same, for a request that is answered with a producer; it is given an id that nobody has where it
/// needs one.
async fn producer(
    state: &Rc<State>,
    mut request: Request,
) -> Result<Result<Producer, ErrorCode>, Unanswered> {
    loop {
        match ask(state, request.clone()).await? {
            transaction::Response::Producer(producer) => return Ok(Ok(producer)),
            // What was done before is done.
            transaction::Response::Done(ErrorCode::NONE) => {
                return Ok(Ok(Producer { id: -1, epoch: -1 }));
            }
            transaction::Response::Done(error) => return Ok(Err(error)),
            transaction::Response::NeedsProducerId => match state.producer_id().await {
                Ok(id) => match &mut request {
                    Request::Init(it) => it.fresh_id = Some(id),
                    Request::End(it) => it.fresh_id = Some(id),
                    Request::Add(_) | Request::Describe(_) => {}
                },
                Err(error) => return Ok(Err(error)),
            },
            _ => return Ok(Err(ErrorCode::UNKNOWN_SERVER_ERROR)),
        }
    }
}

async fn add_partitions(state: &Rc<State>, asked: &[Asked]) -> Result<Vec<Added>, Unanswered> {
    let mut added = Vec::with_capacity(asked.len());
    for it in asked {
        let add = match &it.add {
            Some(add) if add.transactional_id.is_empty() => Err(ErrorCode::INVALID_REQUEST),
            Some(add) => Ok(add.clone()),
            None => Err(ErrorCode::OPERATION_NOT_ATTEMPTED),
        };
        added.push(match add {
            Ok(add) => match ask(state, Request::Add(add)).await? {
                transaction::Response::Done(error) => Added::All(error),
                transaction::Response::Verified(errors) => Added::Each(errors),
                _ => Added::All(ErrorCode::UNKNOWN_SERVER_ERROR),
            },
            Err(error) => Added::All(error),
        });
        state.pause().await;
    }
    Ok(added)
}

async fn write_markers(state: &Rc<State>, header: &RequestHeader<'_>, body: &Bytes) -> Outcome {
    let pause = &async || state.pause().await;
    let turn = state.turn_of(body).await;
    let planned = write_txn_markers::plan(body, header.version, &state.image(), pause).await?;
    drop(turn);
    let (mut errors, markers) = planned;
    // Nothing was written of what nobody has answered.
    for it in &markers {
        errors[it.index as usize] = ErrorCode::NOT_LEADER_OR_FOLLOWER;
    }
    for (index, error) in state.ask_owners(markers, |it| it.tp, WriteMarkers).await {
        errors[index as usize] = error;
        pause().await;
    }
    let _turn = state.turn_of(body).await;
    Ok(write_txn_markers::response(header, body, &errors, pause).await?)
}

impl State {
    /// What other brokers ask of transactions, in Kafka's messages: the body of the answer, or nothing where
    /// it cannot be read.
    pub(super) async fn transactions_for_peer(
        self: &Rc<Self>,
        api: ApiKey,
        version: i16,
        body: Bytes,
    ) -> Option<Bytes> {
        let header = RequestHeader { api_key: api, version, correlation_id: 0, client_id: None };
        let pause = &async || self.pause().await;
        let served = Api::find(api).filter(|it| it.serves(version))?;
        let answer = match served.handler {
            Handler::Transactions(Transactions::WriteTxnMarkers) => {
                write_markers(self, &header, &body).await.ok()?
            }
            Handler::Transactions(Transactions::AddPartitionsToTxn) => {
                let image = self.image();
                let asked =
                    add_partitions_to_txn::plan(&body, version, &image, pause).await.ok()?;
                let added = add_partitions(self, &asked).await.ok()?;
                add_partitions_to_txn::response(&header, &asked, &added, pause).await.ok()?
            }
            _ => return None,
        };
        Some(answer.into_body(&header))
    }

    /// Takes a commit of offsets that is part of a transaction, when the transaction is known to have the
    /// partition of the group's state.
    pub(super) fn serve_stage_offsets(
        self: &Rc<Self>,
        call: StageOffsets,
        _: ShardId,
        to: ReplyTo<StageOffsets>,
    ) {
        let StageOffsets { tp, mut commit, transactional_id, understands } = call;
        let Some(of) = &mut commit.producer else { return };
        let producer = Producer { id: of.id, epoch: of.epoch };
        if let Some((true, markers)) = self.transaction_in(tp, producer) {
            of.markers = Some(markers);
            return self.ask_group_here(tp, GroupRequest::Commit(commit), to);
        }
        let state = self.clone();
        self.start(async move {
            match state.verify_offsets(tp, producer, &transactional_id, understands).await {
                Ok(markers) => {
                    commit.producer = commit
                        .producer
                        .map(|of| TransactionProducer { markers: Some(markers), ..of });
                    state.ask_group_here(tp, GroupRequest::Commit(commit), to);
                }
                Err(error) => {
                    let request = GroupRequest::Commit(commit);
                    to.reply(GroupResponse::refused(&request, error));
                }
            }
        });
    }

    /// Whether this transaction is open in a partition of the groups' topic, and how many markers of its producer
    /// have come there; nothing where that is not here.
    fn transaction_in(&self, tp: TopicPartition, producer: Producer) -> Option<(bool, u8)> {
        self.read_logs(|logs| {
            let core = logs.core(tp)?.1;
            let is_open = core.is_in_transaction(producer.id, producer.epoch);
            Some((is_open, core.markers_of(producer.id)))
        })
    }

    /// Asks the coordinator of a transaction whether it has this partition of the groups' topic: how many
    /// markers had come there when it was so. That may be over when the answer arrives, and the marker that came
    /// meanwhile may be that of the transaction before this one, for which the coordinator has waited: then it is asked
    /// again.
    async fn verify_offsets(
        self: &Rc<Self>,
        tp: TopicPartition,
        producer: Producer,
        transactional_id: &str,
        understands: Understands,
    ) -> Result<u8, ErrorCode> {
        let mut asked_at = None;
        loop {
            let known = self.transaction_in(tp, producer);
            let (is_open, markers) = known.ok_or(ErrorCode::NOT_COORDINATOR)?;
            if is_open || asked_at == Some(markers) {
                return Ok(markers);
            }
            let partition = (GROUP_STATE.into(), tp.partition);
            match self.verify_one(transactional_id, producer, partition, understands).await {
                ErrorCode::NONE => asked_at = Some(markers),
                // What the group's coordinator would say of a write that failed so.
                ErrorCode::NOT_ENOUGH_REPLICAS => return Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
                error => return Err(error),
            }
        }
    }

    /// Asks a group's coordinator of this shard, for who asks otherwise.
    fn ask_group_here(
        self: &Rc<Self>,
        tp: TopicPartition,
        request: GroupRequest,
        to: ReplyTo<StageOffsets>,
    ) {
        self.ask(self.id, AskGroup(tp, request), move |response| {
            if let Some(response) = response {
                to.reply(response);
            }
        });
    }

    pub(super) fn serve_describe_producers(
        self: &Rc<Self>,
        call: DescribeProducers,
        _: ShardId,
        to: ReplyTo<DescribeProducers>,
    ) {
        let state = self.clone();
        self.start(async move {
            let mut answers = Vec::with_capacity(call.0.len());
            for (index, tp) in call.0 {
                answers.push(state.producers_of(index, tp).await);
                state.pause().await;
            }
            to.reply(answers);
        });
    }

    /// The producers of one partition, some at a time.
    async fn producers_of(&self, index: u32, tp: TopicPartition) -> ProducersAnswer {
        let (mut producers, mut after) = (Vec::new(), None);
        loop {
            let some = self.read_logs(|logs| {
                let (_, core) = logs.core(tp)?;
                Some(core.producers().active(after, work::PIECE as usize))
            });
            let Some(some) = some else {
                let error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
                return ProducersAnswer { index, error, producers: Vec::new() };
            };
            let Some(last) = some.last() else {
                return ProducersAnswer { index, error: ErrorCode::NONE, producers };
            };
            after = Some(last.id);
            self.work.add(some.len() as u64);
            producers.extend(some);
            self.pause().await;
        }
    }
}
