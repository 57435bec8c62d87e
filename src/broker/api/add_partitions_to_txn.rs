//! AddPartitionsToTxn (KIP-98): partitions that transactions write to. From version 4 on it is for other
//! brokers, with several transactions at once (KIP-890).

use super::Response;
use super::decode_in_parts;
use super::offset_commit::has_partition;
use super::response::fenced_as_known;
use crate::controller::Image;
use crate::transaction::{self, AddPartitions, Producer};
use crate::types::ErrorCode;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use crate::wire::kafka::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
    AddPartitionsToTxnTopicResult,
};
use crate::wire::{WireError, Writer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The first version with several transactions.
const BATCHED_FROM: i16 = 4;

/// One transaction of a request.
#[derive(Debug)]
pub struct Asked {
    /// What the coordinator is to be asked; `None` where some partitions do not exist.
    pub add: Option<AddPartitions>,
    transactional_id: String,
    /// All partitions, and the errors of those that do not exist.
    partitions: Vec<(transaction::Partition, ErrorCode)>,
}

/// Reads a request. Where a partition does not exist, nothing is added to that transaction, as in Kafka.
///
/// Pauses after each partition.
pub async fn plan(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Vec<Asked>, WireError> {
    let request = decode_in_parts(body, async |r| {
        AddPartitionsToTxnRequest::decode_in_parts(r, version, pause).await
    })
    .await?;
    let mut all = Vec::new();
    if version < BATCHED_FROM {
        let single = AddPartitionsToTxnTransaction {
            transactional_id: request.v3_and_below_transactional_id,
            producer_id: request.v3_and_below_producer_id,
            producer_epoch: request.v3_and_below_producer_epoch,
            verify_only: false,
            topics: request.v3_and_below_topics,
        };
        all.push(asked(&single, 0, image, pause).await);
    } else {
        for it in &request.transactions {
            all.push(asked(it, 2, image, pause).await);
        }
    }
    Ok(all)
}

async fn asked(
    it: &AddPartitionsToTxnTransaction<'_>,
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Asked {
    let (mut partitions, mut all_there) = (Vec::new(), true);
    for topic in &it.topics {
        let name = Arc::<str>::from(topic.name);
        let known = image.topic(topic.name);
        for &number in &topic.partitions {
            let is_there = known.is_some_and(|it| has_partition(it, number));
            all_there &= is_there;
            let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            let error = if is_there { ErrorCode::NONE } else { unknown };
            partitions.push(((name.clone(), number), error));
            pause().await;
        }
    }
    let add = all_there.then(|| AddPartitions {
        transactional_id: it.transactional_id.to_owned(),
        producer: Producer { id: it.producer_id, epoch: it.producer_epoch },
        partitions: partitions.iter().map(|(it, _)| it.clone()).collect(),
        verify_only: it.verify_only,
        version,
    });
    Asked { add, transactional_id: it.transactional_id.to_owned(), partitions }
}

/// What the coordinator has said of one transaction: an error for all its partitions, or one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    /// All alike.
    All(ErrorCode),
    /// By partition, in the order of the request.
    Each(Vec<ErrorCode>),
}

impl Added {
    fn of(&self, at: usize) -> ErrorCode {
        match self {
            Self::All(error) => *error,
            Self::Each(errors) => errors.get(at).copied().unwrap_or(ErrorCode::NONE),
        }
    }
}

/// The answer, with what was said of each transaction. Pauses after each partition.
pub async fn response(
    header: &RequestHeader<'_>,
    asked: &[Asked],
    added: &[Added],
    pause: &impl AsyncFn(),
) -> Result<Response, WireError> {
    let version = header.version;
    let mut results = Vec::with_capacity(asked.len());
    for (asked, added) in asked.iter().zip(added) {
        let mut topics = BTreeMap::<&str, Vec<AddPartitionsToTxnPartitionResult>>::new();
        for (at, ((topic, partition), error)) in asked.partitions.iter().enumerate() {
            let error = match (&asked.add, *error) {
                (Some(_), _) => added.of(at),
                // Nothing was tried of those that do exist.
                (None, ErrorCode::NONE) => ErrorCode::OPERATION_NOT_ATTEMPTED,
                (None, error) => error,
            };
            let error = fenced_as_known(error, version >= 2);
            topics.entry(topic).or_default().push(AddPartitionsToTxnPartitionResult {
                partition_index: *partition,
                partition_error_code: error.0,
            });
            pause().await;
        }
        let topic = |(name, results_by_partition)| AddPartitionsToTxnTopicResult {
            name,
            results_by_partition,
        };
        results.push(AddPartitionsToTxnResult {
            transactional_id: &asked.transactional_id,
            topic_results: topics.into_iter().map(topic).collect(),
        });
    }
    let mut response = AddPartitionsToTxnResponse::default();
    if version < BATCHED_FROM {
        let single = results.pop().map(|it| it.topic_results);
        response.results_by_topic_v3_and_below = single.unwrap_or_default();
    } else {
        response.results_by_transaction = results;
    }
    Response::in_parts(header, async |w| response.encode_in_parts(w, version, pause).await).await
}

/// The version in which brokers ask each other.
pub const BETWEEN_BROKERS: i16 = 5;

/// The body of a request of this broker to another one's coordinator, about one partition.
pub fn request(
    transactional_id: &str,
    producer: Producer,
    (topic, partition): (&str, i32),
    verify_only: bool,
) -> Result<Vec<u8>, WireError> {
    let request = AddPartitionsToTxnRequest {
        transactions: vec![AddPartitionsToTxnTransaction {
            transactional_id,
            producer_id: producer.id,
            producer_epoch: producer.epoch,
            verify_only,
            topics: vec![AddPartitionsToTxnTopic { name: topic, partitions: vec![partition] }],
        }],
        ..AddPartitionsToTxnRequest::default()
    };
    let mut w = Writer::new();
    request.encode(&mut w, BETWEEN_BROKERS)?;
    Ok(w.into_vec())
}

/// What the answer to that says of the partition.
pub fn answered(body: &[u8]) -> Result<ErrorCode, WireError> {
    let response = super::decode(body, |r| AddPartitionsToTxnResponse::decode(r, BETWEEN_BROKERS))?;
    let each = response.results_by_transaction.first().and_then(|it| it.topic_results.first());
    let code = each.and_then(|it| it.results_by_partition.first());
    Ok(code.map_or(ErrorCode(response.error_code), |it| ErrorCode(it.partition_error_code)))
}
