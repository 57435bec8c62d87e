//! Asking coordinators whether partitions are part of transactions (KIP-890).

use super::calls::{AskPeer, AskTransaction};
use super::held_appends::Verification;
use super::logs::Outbox;
use super::state::State;
use crate::broker::api::add_partitions_to_txn;
use crate::broker::api::data::Understands;
use crate::broker::api::find_coordinator::transaction_partition_of;
use crate::transaction::{AddPartitions, Partition, Producer, Request, Response};
use crate::types::ErrorCode;
use crate::wire::api_keys::ApiKey;
use futures_lite::FutureExt;
use std::rc::Rc;

/// Versions of Produce: the first whose clients know `TRANSACTION_ABORTABLE`, and the first for which the
/// broker adds partitions to transactions.
const ABORTABLE_FROM: i16 = 11;
const ADDS_FROM: i16 = 12;
/// A coordinator that does not answer is waited for so long, ms.
const PATIENCE_MS: i64 = 10_000;

impl State {
    /// Asks for what batches wait that begin transactions in partitions of this shard.
    pub(super) fn verify(self: &Rc<Self>, verification: Verification) {
        let state = self.clone();
        self.start(async move {
            let Verification { tp, producer, transaction, .. } = &verification;
            let name = state.image_now().topic_by_id(tp.topic).map(|it| it.name.clone());
            let understands = Understands {
                abortable: transaction.version >= ABORTABLE_FROM,
                own_epoch: transaction.version >= ADDS_FROM,
            };
            let error = match name {
                Some(name) => {
                    let partition = (name, tp.partition);
                    state.verify_one(&transaction.id, *producer, partition, understands).await
                }
                None => ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            };
            let (now, mut out) = (state.now(), Outbox::default());
            state.change_logs(|logs| logs.verified(&verification, error, now, &mut out));
            state.send_out(out);
            state.kick();
        });
    }

    /// Whether a partition is part of a transaction; where the client's protocol has the broker add it, it is
    /// added. The error that the client is told.
    pub(super) async fn verify_one(
        self: &Rc<Self>,
        transactional_id: &str,
        producer: Producer,
        partition: Partition,
        understands: Understands,
    ) -> ErrorCode {
        let asked = self.ask_whether_part(transactional_id, producer, partition, understands);
        let over = async {
            self.sleep(PATIENCE_MS).await;
            ErrorCode::REQUEST_TIMED_OUT
        };
        match asked.or(over).await {
            ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
            ErrorCode::TRANSACTION_ABORTABLE if !understands.abortable => {
                ErrorCode::INVALID_TXN_STATE
            }
            // Clients send it again.
            ErrorCode::CONCURRENT_TRANSACTIONS if !understands.own_epoch => {
                ErrorCode::NOT_ENOUGH_REPLICAS
            }
            ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::NOT_COORDINATOR
            | ErrorCode::REQUEST_TIMED_OUT
            | ErrorCode::NETWORK_EXCEPTION => ErrorCode::NOT_ENOUGH_REPLICAS,
            other => other,
        }
    }

    async fn ask_whether_part(
        self: &Rc<Self>,
        transactional_id: &str,
        producer: Producer,
        partition: Partition,
        understands: Understands,
    ) -> ErrorCode {
        let image = self.image();
        let Some(tp) = transaction_partition_of(transactional_id, &image) else {
            return ErrorCode::COORDINATOR_NOT_AVAILABLE;
        };
        let state = image.topic_by_id(tp.topic);
        let leader =
            state.and_then(|it| it.partitions.get(tp.partition as usize)).map(|it| it.leader);
        let verify_only = !understands.own_epoch;
        match leader {
            Some(leader) if leader == image.node_id => {
                let add = AddPartitions {
                    transactional_id: transactional_id.to_owned(),
                    producer,
                    partitions: vec![partition],
                    verify_only,
                    version: if understands.own_epoch { 2 } else { 0 },
                };
                let call = AskTransaction(tp, Request::Add(add));
                match self.call(tp.shard(self.shards), call).await {
                    Some(Response::Done(error)) => error,
                    Some(Response::Verified(errors)) => {
                        errors.first().copied().unwrap_or(ErrorCode::NONE)
                    }
                    _ => ErrorCode::UNKNOWN_SERVER_ERROR,
                }
            }
            Some(node) if node >= 0 => {
                let (topic, number) = (&*partition.0, partition.1);
                let request = add_partitions_to_txn::request(
                    transactional_id,
                    producer,
                    (topic, number),
                    verify_only,
                );
                let Ok(body) = request else { return ErrorCode::INVALID_REQUEST };
                let (api, version) =
                    (ApiKey::ADD_PARTITIONS_TO_TXN, add_partitions_to_txn::BETWEEN_BROKERS);
                let call = AskPeer { node, api, version, body: body.into() };
                let body = self.call(0, call).await.flatten();
                let answered = body.map(|body| add_partitions_to_txn::answered(&body));
                match answered {
                    Some(Ok(error)) => error,
                    _ => ErrorCode::NETWORK_EXCEPTION,
                }
            }
            _ => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        }
    }
}
