//! A transactional producer that writes whole batches and commits a group's offsets with them (KIP-98, KIP-447), one
//! transaction at a time.
//!
//! Call order: [`TransactionalProducer::init`]; then [`send`](TransactionalProducer::send) and
//! [`commit_offsets`](TransactionalProducer::commit_offsets) any number of times, and
//! [`commit`](TransactionalProducer::commit). After any error it is not known what the brokers have done: `init` aborts
//! what is open, and what the group has committed says how far things are. Nothing is sent twice, so a batch is never
//! there twice.
//!
//! Where the cluster has agreed on `transaction.version` 2 (KIP-890), partitions and offsets become part of a transaction
//! as they are written, and each transaction has an epoch of its own; elsewhere the coordinator is told first.

use super::coordinator::{self, Coordinated};
use super::transactions::NamedPartition;
use super::variants::{
    AddOffsets, AddPartitions, EndTxn, OldEndTxn, OldProduce, OldTxnOffsets, TxnOffsets,
};
use super::{ClientError, Cluster, Reply, To, check_code};
use crate::types::ErrorCode;
use crate::wire::kafka::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use crate::wire::kafka::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic,
};
use crate::wire::kafka::end_txn_request::EndTxnRequest;
use crate::wire::kafka::end_txn_response::EndTxnResponse;
use crate::wire::kafka::init_producer_id_request::InitProducerIdRequest;
use crate::wire::kafka::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use crate::wire::kafka::produce_response::ProduceResponse;
use crate::wire::kafka::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use crate::wire::kafka::txn_offset_commit_response::TxnOffsetCommitResponse;
use crate::wire::records::{BatchHeader, set_producer};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Time that a broker has to replicate what was written, ms.
const PRODUCE_MS: i32 = 30_000;
/// Between two attempts while the transaction before is still being ended, and how often at most: for a minute.
const ENDING: Duration = Duration::from_millis(5);
const ENDING_TIMES: u32 = 12_000;

/// Who writes: a producer id and its epoch, and the sequence numbers of that epoch. Pure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    id: i64,
    epoch: i16,
    sequences: BTreeMap<NamedPartition, i32>,
}

impl Identity {
    /// Sequences begin with 0 in each epoch.
    pub fn new(id: i64, epoch: i16) -> Self {
        Self { id, epoch, sequences: BTreeMap::new() }
    }

    /// Makes `batch` the next one of a partition: it gets the identity, and is part of a transaction. Sequences count
    /// records and wrap from `i32::MAX` to 0.
    ///
    /// # Panics
    /// If it is not one whole batch.
    pub fn stamp(&mut self, partition: &NamedPartition, batch: &mut [u8]) {
        let header = BatchHeader::parse(batch).expect("a whole batch");
        let next = match self.sequences.get_mut(partition) {
            Some(next) => next,
            None => self.sequences.entry(partition.clone()).or_insert(0),
        };
        set_producer(batch, self.id, self.epoch, *next);
        *next = next.wrapping_add(header.last_offset_delta).wrapping_add(1) & i32::MAX;
    }

    /// A transaction has ended with this answer. A coordinator that has given another epoch, or another producer id
    /// when epochs were used up, is to be obeyed.
    pub fn ended(&mut self, id: i64, epoch: i16) {
        if id >= 0 && (id, epoch) != (self.id, self.epoch) {
            *self = Self::new(id, epoch);
        }
    }
}

/// An offset to commit within a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxnOffset {
    /// The next offset to read.
    pub offset: i64,
    /// What is stored with it; brokers take 4,096 bytes by default.
    pub metadata: String,
}

/// Why a batch was not written, and which partition's, where it is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct SendError {
    /// The partition that refused it.
    pub partition: Option<NamedPartition>,
    /// Why.
    pub error: ClientError,
}

impl From<ClientError> for SendError {
    fn from(error: ClientError) -> Self {
        Self { partition: None, error }
    }
}

/// See the module.
#[derive(Debug)]
pub struct TransactionalProducer {
    transactional_id: String,
    timeout_ms: i32,
    identity: Option<Identity>,
    /// The cluster has agreed on transactions with an epoch each.
    own_epochs: bool,
    coordinator: i32,
    /// The node that coordinates a group.
    group_coordinator: Option<(String, i32)>,
    /// What the coordinator was told of in this transaction.
    added: BTreeSet<NamedPartition>,
    offsets_added: bool,
}

impl TransactionalProducer {
    /// A producer that is not known to any broker yet. `timeout_ms` is how long one of its transactions may take.
    pub fn new(transactional_id: &str, timeout_ms: i32) -> Self {
        Self {
            transactional_id: transactional_id.to_owned(),
            timeout_ms,
            identity: None,
            own_epochs: false,
            coordinator: -1,
            group_coordinator: None,
            added: BTreeSet::new(),
            offsets_added: false,
        }
    }

    /// Gets an identity. Fences whoever had the transactional id, and ends what was open: aborts it, or commits it where
    /// that had been decided. Tries again while errors may pass, as long as `cluster` is patient.
    pub fn init(&mut self, cluster: &mut Cluster) -> Result<(), ClientError> {
        self.identity = None;
        self.group_coordinator = None;
        self.begin();
        let features = cluster.features(To::Any)?.features;
        let version = features.get("transaction.version").map_or(0, |it| it.finalized);
        self.own_epochs = version >= 2;
        let id = &self.transactional_id;
        let timeout_ms = self.timeout_ms;
        let (node, identity) =
            coordinator::at(cluster, Coordinated::Transaction, id, |cluster, node| {
                let request = InitProducerIdRequest {
                    transactional_id: Some(id),
                    transaction_timeout_ms: timeout_ms,
                    producer_id: -1,
                    producer_epoch: -1,
                    ..InitProducerIdRequest::default()
                };
                let reply = cluster.try_call(To::Node(node), &request)?;
                let response = reply.read::<InitProducerIdRequest<'_>>()?;
                check_code(response.error_code, || shown(id), None)?;
                Ok((node, Identity::new(response.producer_id, response.producer_epoch)))
            })?;
        self.coordinator = node;
        self.identity = Some(identity);
        Ok(())
    }

    fn begin(&mut self) {
        self.added.clear();
        self.offsets_added = false;
    }

    fn identity(&self) -> Result<(i64, i16), ClientError> {
        let known = self.identity.as_ref().map(|it| (it.id, it.epoch));
        known.ok_or_else(|| ClientError::Refused {
            what: shown(&self.transactional_id),
            code: ErrorCode::INVALID_PRODUCER_EPOCH,
            message: None,
        })
    }

    /// Writes batches, several of a partition in their order, and waits until they are replicated. Gives back the offset of
    /// the first record of each. The batches get the identity of the producer.
    ///
    /// # Panics
    /// If something is not one whole batch.
    pub fn send(
        &mut self,
        cluster: &mut Cluster,
        batches: &mut BTreeMap<NamedPartition, Vec<Vec<u8>>>,
    ) -> Result<BTreeMap<NamedPartition, Vec<i64>>, SendError> {
        self.identity()?;
        if !self.own_epochs {
            self.add_partitions(cluster, batches.keys())?;
        }
        let identity = self.identity.as_mut().expect("just seen");
        for (partition, batches) in &mut *batches {
            for batch in batches {
                identity.stamp(partition, batch);
            }
        }
        let mut found = BTreeMap::new();
        // The first of each partition makes it part of the transaction, which the coordinator may be too busy for with the
        // end of the one before.
        let mut first: Vec<&NamedPartition> = batches.keys().collect();
        for _ in 0..ENDING_TIMES {
            first = self.send_rounds(cluster, &first, batches, 0..1, &mut found)?;
            if first.is_empty() {
                break;
            }
            std::thread::sleep(ENDING);
        }
        let more = || batches.iter().filter(|(_, batches)| batches.len() > 1).map(|it| it.0);
        if first.is_empty() {
            first = more().collect();
            first = self.send_rounds(cluster, &first, batches, 1..usize::MAX, &mut found)?;
        }
        match first.first() {
            None => Ok(found),
            Some(partition) => Err(SendError {
                partition: None,
                error: ClientError::Refused {
                    what: format!("writing to partition {} of '{}'", partition.1, partition.0),
                    code: ErrorCode::CONCURRENT_TRANSACTIONS,
                    message: None,
                },
            }),
        }
    }

    /// Sends these batches of partitions. A request has one batch of a partition; all are on their way before the first
    /// answer is waited for, and what is on one connection is written in order. Gives back the partitions that are to be
    /// asked again, since the transaction before is still being ended.
    fn send_rounds<'b>(
        &self,
        cluster: &mut Cluster,
        partitions: &[&'b NamedPartition],
        batches: &'b BTreeMap<NamedPartition, Vec<Vec<u8>>>,
        numbers: std::ops::Range<usize>,
        found: &mut BTreeMap<NamedPartition, Vec<i64>>,
    ) -> Result<Vec<&'b NamedPartition>, SendError> {
        let mut by_leader: BTreeMap<i32, Vec<&'b NamedPartition>> = BTreeMap::new();
        for partition in partitions {
            let leader = cluster.metadata().leader(&partition.0, partition.1)?;
            by_leader.entry(leader).or_default().push(partition);
        }
        let mut asked = Vec::new();
        for (leader, partitions) in &by_leader {
            let rounds = partitions.iter().map(|it| batches[*it].len()).max().unwrap_or(0);
            for round in numbers.start..rounds.min(numbers.end) {
                let round =
                    partitions.iter().filter_map(|it| Some((*it, batches[*it].get(round)?)));
                if let Err(e) = self.ask_produce(cluster, *leader, round) {
                    Self::forget(cluster, by_leader.keys());
                    return Err(e.into());
                }
                asked.push(*leader);
            }
        }
        let mut again = Vec::new();
        let mut refused = None;
        for leader in asked {
            let reply = cluster.node(leader).and_then(super::Transport::receive);
            let reply = match reply {
                Ok(reply) => reply,
                Err(e) => {
                    // Answers that come later would be taken for others'.
                    Self::forget(cluster, by_leader.keys());
                    return Err(e.into());
                }
            };
            let read = self.produced(&reply, found, &mut again);
            refused = refused.or(read.err());
        }
        match refused {
            Some(e) => Err(e),
            None => Ok(again.iter().filter_map(|it| Some(batches.get_key_value(it)?.0)).collect()),
        }
    }

    fn forget<'a>(cluster: &mut Cluster, nodes: impl Iterator<Item = &'a i32>) {
        nodes.for_each(|node| cluster.forget(*node));
    }

    fn ask_produce<'a>(
        &self,
        cluster: &mut Cluster,
        leader: i32,
        round: impl Iterator<Item = (&'a NamedPartition, &'a Vec<u8>)>,
    ) -> Result<(), ClientError> {
        let mut topics: Vec<TopicProduceData<'_>> = Vec::new();
        for ((name, index), batch) in round {
            if topics.last().is_none_or(|it| it.name != name) {
                topics.push(TopicProduceData { name, ..TopicProduceData::default() });
            }
            let data = PartitionProduceData { index: *index, records: Some(batch) };
            topics.last_mut().expect("just put there").partition_data.push(data);
        }
        let request = ProduceRequest {
            transactional_id: Some(&self.transactional_id),
            acks: -1,
            timeout_ms: PRODUCE_MS,
            topic_data: topics,
        };
        let connection = cluster.node(leader)?;
        if self.own_epochs {
            connection.send(&request)
        } else {
            connection.send(&OldProduce(request))
        }
    }

    fn produced(
        &self,
        reply: &Reply,
        found: &mut BTreeMap<NamedPartition, Vec<i64>>,
        again: &mut Vec<NamedPartition>,
    ) -> Result<(), SendError> {
        let response: ProduceResponse<'_> = if self.own_epochs {
            reply.read::<ProduceRequest<'_>>()?
        } else {
            reply.read::<OldProduce<'_>>()?
        };
        for topic in &response.responses {
            for it in &topic.partition_responses {
                let what = || format!("writing to partition {} of '{}'", it.index, topic.name);
                let partition = (topic.name.to_owned(), it.index);
                if it.error_code == ErrorCode::CONCURRENT_TRANSACTIONS.0 {
                    again.push(partition);
                    continue;
                }
                if let Err(error) = check_code(it.error_code, what, it.error_message) {
                    return Err(SendError { partition: Some(partition), error });
                }
                found.entry(partition).or_default().push(it.base_offset);
            }
        }
        Ok(())
    }

    /// Asks again while the transaction before is still being ended, which is answered with `CONCURRENT_TRANSACTIONS`.
    fn when_ended<T>(mut ask: impl FnMut() -> Result<T, ClientError>) -> Result<T, ClientError> {
        for _ in 0..ENDING_TIMES {
            match ask() {
                Err(e) if e.code() == Some(ErrorCode::CONCURRENT_TRANSACTIONS) => {
                    std::thread::sleep(ENDING);
                }
                other => return other,
            }
        }
        ask()
    }

    fn add_partitions<'a>(
        &mut self,
        cluster: &mut Cluster,
        partitions: impl Iterator<Item = &'a NamedPartition>,
    ) -> Result<(), ClientError> {
        let (producer_id, producer_epoch) = self.identity()?;
        let new: Vec<&NamedPartition> = partitions.filter(|it| !self.added.contains(*it)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let mut topics: Vec<AddPartitionsToTxnTopic<'_>> = Vec::new();
        for (name, partition) in &new {
            if topics.last().is_none_or(|it| it.name != name) {
                topics.push(AddPartitionsToTxnTopic { name, partitions: Vec::new() });
            }
            topics.last_mut().expect("just put there").partitions.push(*partition);
        }
        let request = AddPartitions(AddPartitionsToTxnRequest {
            v3_and_below_transactional_id: &self.transactional_id,
            v3_and_below_producer_id: producer_id,
            v3_and_below_producer_epoch: producer_epoch,
            v3_and_below_topics: topics,
            ..AddPartitionsToTxnRequest::default()
        });
        Self::when_ended(|| {
            let reply = cluster.try_call(To::Node(self.coordinator), &request)?;
            let response = reply.read::<AddPartitions<'_>>()?;
            for topic in &response.results_by_topic_v3_and_below {
                for it in &topic.results_by_partition {
                    // The partition whose fault it is says so; the others say that they were not tried.
                    if it.partition_error_code != ErrorCode::OPERATION_NOT_ATTEMPTED.0 {
                        let what =
                            || format!("partition {} of '{}'", it.partition_index, topic.name);
                        check_code(it.partition_error_code, what, None)?;
                    }
                }
            }
            Ok(())
        })?;
        self.added.extend(new.into_iter().cloned());
        Ok(())
    }

    /// Commits offsets of `group`, which has no members, as part of the transaction.
    pub fn commit_offsets(
        &mut self,
        cluster: &mut Cluster,
        group: &str,
        offsets: &BTreeMap<NamedPartition, TxnOffset>,
    ) -> Result<(), ClientError> {
        let (producer_id, producer_epoch) = self.identity()?;
        if !self.own_epochs && !self.offsets_added {
            let request = AddOffsets(AddOffsetsToTxnRequest {
                transactional_id: &self.transactional_id,
                producer_id,
                producer_epoch,
                group_id: group,
            });
            Self::when_ended(|| {
                let reply = cluster.try_call(To::Node(self.coordinator), &request)?;
                let response = reply.read::<AddOffsets<'_>>()?;
                check_code(response.error_code, || format!("offsets of group '{group}'"), None)
            })?;
            self.offsets_added = true;
        }
        let node = match &self.group_coordinator {
            Some((known, node)) if known == group => *node,
            _ => coordinator::find_once(cluster, Coordinated::Group, group)?,
        };
        self.group_coordinator = None;
        let mut topics: Vec<TxnOffsetCommitRequestTopic<'_>> = Vec::new();
        for ((name, partition_index), offset) in offsets {
            if topics.last().is_none_or(|it| it.name != name) {
                topics.push(TxnOffsetCommitRequestTopic { name, partitions: Vec::new() });
            }
            topics.last_mut().expect("just put there").partitions.push(
                TxnOffsetCommitRequestPartition {
                    partition_index: *partition_index,
                    committed_offset: offset.offset,
                    committed_leader_epoch: -1,
                    committed_metadata: Some(&offset.metadata),
                },
            );
        }
        let request = TxnOffsetCommitRequest {
            transactional_id: &self.transactional_id,
            group_id: group,
            producer_id,
            producer_epoch,
            generation_id: -1,
            member_id: "",
            group_instance_id: None,
            topics,
        };
        let own_epochs = self.own_epochs;
        let check = |response: &TxnOffsetCommitResponse<'_>| {
            response.topics.iter().try_for_each(|topic| {
                topic.partitions.iter().try_for_each(|it| {
                    let partition = it.partition_index;
                    let what =
                        || format!("the offset of partition {partition} of '{}'", topic.name);
                    check_code(it.error_code, what, None)
                })
            })
        };
        let old = OldTxnOffsets(request.clone());
        let new = TxnOffsets(request);
        Self::when_ended(|| {
            if own_epochs {
                let reply = cluster.try_call(To::Node(node), &new)?;
                check(&reply.read::<TxnOffsets<'_>>()?)
            } else {
                let reply = cluster.try_call(To::Node(node), &old)?;
                check(&reply.read::<OldTxnOffsets<'_>>()?)
            }
        })?;
        self.group_coordinator = Some((group.to_owned(), node));
        Ok(())
    }

    /// Commits the transaction: everything that was written since the last one becomes visible together. Something must have
    /// been: the coordinator knows no empty transactions.
    pub fn commit(&mut self, cluster: &mut Cluster) -> Result<(), ClientError> {
        let (producer_id, producer_epoch) = self.identity()?;
        let request = EndTxnRequest {
            transactional_id: &self.transactional_id,
            producer_id,
            producer_epoch,
            committed: true,
        };
        let node = To::Node(self.coordinator);
        let response: EndTxnResponse = Self::when_ended(|| {
            let response: EndTxnResponse = if self.own_epochs {
                let reply = cluster.try_call(node, &EndTxn(request.clone()))?;
                reply.read::<EndTxn<'_>>()?
            } else {
                let reply = cluster.try_call(node, &OldEndTxn(request.clone()))?;
                reply.read::<OldEndTxn<'_>>()?
            };
            check_code(response.error_code, || shown(&self.transactional_id), None)?;
            Ok(response)
        })?;
        if self.own_epochs {
            let identity = self.identity.as_mut().expect("just seen");
            identity.ended(response.producer_id, response.producer_epoch);
        }
        self.begin();
        Ok(())
    }
}

fn shown(transactional_id: &str) -> String {
    format!("transactional id '{transactional_id}'")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::records::{BatchBuilder, Compression};

    fn batch(records: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new(Compression::None);
        for _ in 0..records {
            builder.push(7, None, Some(b"v"), &[]);
        }
        builder.build()
    }

    fn stamped(identity: &mut Identity, partition: i32, records: usize) -> BatchHeader {
        let mut bytes = batch(records);
        identity.stamp(&("t".to_owned(), partition), &mut bytes);
        let header = BatchHeader::parse(&bytes).expect("a batch");
        header.check_crc(&bytes).expect("a checksum that fits");
        header
    }

    #[test]
    fn sequences_count_records_of_each_partition_in_each_epoch() {
        let mut identity = Identity::new(9, 3);
        let first = stamped(&mut identity, 0, 3);
        assert_eq!((first.producer_id, first.producer_epoch, first.base_sequence), (9, 3, 0));
        assert!(first.is_transactional());
        assert_eq!(stamped(&mut identity, 0, 2).base_sequence, 3);
        assert_eq!(stamped(&mut identity, 1, 1).base_sequence, 0);
        identity.ended(-1, -1);
        assert_eq!(stamped(&mut identity, 0, 1).base_sequence, 5, "the same epoch goes on");
        identity.ended(9, 4);
        let next = stamped(&mut identity, 0, 1);
        assert_eq!((next.producer_epoch, next.base_sequence), (4, 0));
        identity.ended(10, 0);
        assert_eq!(stamped(&mut identity, 0, 1).producer_id, 10);
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let mut identity = Identity::new(9, 3);
        identity.sequences.insert(("t".to_owned(), 0), i32::MAX);
        assert_eq!(stamped(&mut identity, 0, 2).base_sequence, i32::MAX);
        assert_eq!(stamped(&mut identity, 0, 1).base_sequence, 1);
    }
}
