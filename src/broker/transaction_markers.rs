//! Markers of transactions, from their coordinator to the partitions: of this shard, of others, of other
//! brokers.

use super::calls::{AppendBatches, AskPeer, ShardId, WriteMarkers};
use super::owners::by_owner;
use super::reply_to::ReplyTo;
use super::state::State;
use super::wait::oneshot;
use crate::broker::api::data::{AppendRequest, EndMarker};
use crate::broker::api::write_txn_markers;
use crate::group::TransactionEnd;
use crate::transaction::{Markers, Partition};
use crate::types::topic_name::GROUP_STATE;
use crate::types::{ErrorCode, TopicPartition};
use crate::wire::api_keys::ApiKey;
use crate::wire::records::{BatchHeader, Marker};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What could not be written is sent again; the pause doubles from here, ms.
const AGAIN_MS: i64 = 10;
/// The longest pause, ms.
const AGAIN_MS_MAX: i64 = 1_000;

/// How it went with one marker.
enum Sent {
    /// It is committed, or of no interest any more.
    Done,
    /// It is to be sent again.
    Again,
    /// Another coordinator has taken over.
    Fenced,
}

/// As `TransactionMarkerRequestCompletionHandler` of Kafka 4.3.
fn outcome(error: ErrorCode) -> Sent {
    match error {
        // The producer has gone on in a later epoch, which begins when all is marked: it was here before.
        ErrorCode::NONE | ErrorCode::INVALID_PRODUCER_EPOCH => Sent::Done,
        ErrorCode::TRANSACTION_COORDINATOR_FENCED => Sent::Fenced,
        _ => Sent::Again,
    }
}

impl State {
    /// Sends the markers of a transaction until each is committed, or its topic is gone, or the coordinator.
    pub(super) fn send_markers(self: &Rc<Self>, tp: TopicPartition, made: u64, markers: Markers) {
        let Some(epoch) = self.transactions.all.borrow().get(&tp).map(|it| it.epoch) else {
            return;
        };
        let state = self.clone();
        self.start(async move {
            let mut left = markers.partitions.clone();
            let mut pause_ms = AGAIN_MS;
            while !left.is_empty() && state.is_transactions_of(tp, made) {
                let told = state.send_some_markers(epoch, &markers, &left).await;
                let mut again = Vec::new();
                for (partition, error) in told {
                    match outcome(error) {
                        Sent::Done => {
                            state.transaction_marked(tp, made, markers.number, &partition);
                        }
                        Sent::Again => again.push(partition),
                        Sent::Fenced => {
                            tracing::warn!(
                                producer = markers.producer_id,
                                topic = &*partition.0,
                                partition = partition.1,
                                "a later coordinator has ended this producer's transaction"
                            );
                            return;
                        }
                    }
                    state.pause().await;
                }
                left = again;
                if !left.is_empty() {
                    state.sleep(pause_ms).await;
                    pause_ms = (pause_ms * 2).min(AGAIN_MS_MAX);
                }
            }
        });
    }

    /// Sends markers to the leaders of these partitions, once. How it went with each.
    async fn send_some_markers(
        self: &Rc<Self>,
        epoch: i32,
        markers: &Markers,
        partitions: &[Partition],
    ) -> Vec<(Partition, ErrorCode)> {
        let image = self.image();
        let (mut told, mut own) = (BTreeMap::new(), Vec::new());
        let mut others = BTreeMap::<i32, Vec<Partition>>::new();
        let marker = Marker { commits: markers.commits, coordinator_epoch: epoch };
        for (at, partition) in partitions.iter().enumerate() {
            let topic = image.topic(&partition.0);
            let state = topic.and_then(|it| it.partition(partition.1));
            match (topic, state.map(|it| it.leader)) {
                // The topic is gone: nobody reads it.
                (None, _) | (_, None) => drop(told.insert(partition.clone(), ErrorCode::NONE)),
                (Some(topic), Some(leader)) if leader == image.node_id => own.push(EndMarker {
                    index: at as u32,
                    tp: TopicPartition { topic: topic.id, partition: partition.1 },
                    producer_id: markers.producer_id,
                    producer_epoch: markers.producer_epoch,
                    marker,
                    own_epoch: markers.version >= 2,
                }),
                (Some(_), Some(leader)) => {
                    others.entry(leader).or_default().push(partition.clone());
                }
            }
        }
        let groups = by_owner(own, self.shards, |it: &EndMarker| it.tp);
        let owners: Vec<_> =
            groups.into_iter().map(|(owner, it)| self.call(owner, WriteMarkers(it))).collect();
        let mut peers = Vec::new();
        for (node, all) in others {
            let Ok(body) = write_txn_markers::request(markers, epoch, &all) else { continue };
            let (api, version) = (ApiKey::WRITE_TXN_MARKERS, write_txn_markers::BETWEEN_BROKERS);
            let call = AskPeer { node, api, version, body: body.into() };
            peers.push(self.call(0, call));
        }
        for call in owners {
            for (index, error) in call.await.unwrap_or_default() {
                told.insert(partitions[index as usize].clone(), error);
            }
        }
        for call in peers {
            let body = call.await.flatten();
            let answered = body.and_then(|body| write_txn_markers::answered(&body).ok());
            told.extend(answered.into_iter().flatten());
        }
        // What nobody has answered is asked again.
        let mut of = |it: &Partition| told.remove(it).unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR);
        partitions.iter().map(|it| (it.clone(), of(it))).collect()
    }

    /// Writes markers to partitions of this shard.
    pub(super) fn serve_write_markers(
        self: &Rc<Self>,
        call: WriteMarkers,
        _: ShardId,
        to: ReplyTo<WriteMarkers>,
    ) {
        let groups = self.image_now().topic(GROUP_STATE).map(|it| it.id);
        let (mut batches, mut ends) = (Vec::new(), Vec::new());
        for it in call.0 {
            self.work.add(1);
            if Some(it.tp.topic) == groups {
                let (tx, rx) = oneshot();
                let end = TransactionEnd {
                    producer_id: it.producer_id,
                    producer_epoch: it.producer_epoch,
                    commits: it.marker.commits,
                    coordinator_epoch: it.marker.coordinator_epoch,
                    own_epoch: it.own_epoch,
                    ticket: 0,
                };
                self.end_in_groups(it.tp, end, move |error| tx.send(error));
                ends.push((it.index, rx));
                continue;
            }
            let batch = it.marker.batch(it.producer_id, it.producer_epoch, self.wall_ms());
            let Ok(header) = BatchHeader::parse(&batch) else { continue };
            batches.push(AppendRequest {
                own_epoch: it.own_epoch,
                ..AppendRequest::new(it.index, it.tp, Bytes::from(batch), header)
            });
        }
        let append = (!batches.is_empty()).then(|| {
            let committed_by_ms = Some(i64::MAX);
            self.call(self.id, AppendBatches { batches, routed: self.mark(), committed_by_ms })
        });
        self.start(async move {
            let mut told = Vec::new();
            if let Some(append) = append {
                let results = append.await.map(|it| it.results).unwrap_or_default();
                told.extend(results.into_iter().map(|it| (it.index, it.error)));
            }
            for (index, end) in ends {
                told.push((index, end.await.unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR)));
            }
            to.reply(told);
        });
    }
}
