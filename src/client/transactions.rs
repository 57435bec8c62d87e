//! Transactions from outside (KIP-664): which there are, what they do, and how one that hangs is aborted.

use super::coordinator::{self, Coordinated};
use super::{ClientError, Cluster, To, check_code, first_of};
use crate::types::ErrorCode;
use crate::wire::kafka::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use crate::wire::kafka::describe_transactions_request::DescribeTransactionsRequest;
use crate::wire::kafka::init_producer_id_request::InitProducerIdRequest;
use crate::wire::kafka::list_transactions_request::ListTransactionsRequest;
use crate::wire::kafka::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use std::collections::{BTreeMap, BTreeSet};

/// The timeout of the transactions of whoever ends those of another: it begins none. As that of Kafka's client.
const TIMEOUT_MS: i32 = 30_000;

/// A partition, by its topic's name.
pub type NamedPartition = (String, i32);

/// Which transactions are listed; all by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of these producers, of all where there are none.
    pub producer_ids: Vec<i64>,
    /// Those that last longer than this, ms.
    pub duration_ms: Option<i64>,
    /// Those whose transactional id matches this as a whole.
    pub pattern: Option<String>,
}

/// A transactional id in a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listing {
    /// It.
    pub transactional_id: String,
    /// The producer that has it.
    pub producer_id: i64,
    /// The state of its transaction, by Kafka's name.
    pub state: String,
}

/// What is known of a transactional id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Node id of its coordinator.
    pub coordinator: i32,
    /// The producer that has it.
    pub producer_id: i64,
    /// The epoch of that producer.
    pub producer_epoch: i16,
    /// The state of its transaction, by Kafka's name.
    pub state: String,
    /// How long a transaction may take.
    pub timeout_ms: i32,
    /// When the transaction began, by the wall clock.
    pub started_ms: Option<i64>,
    /// The partitions that are part of it.
    pub partitions: BTreeSet<NamedPartition>,
}

/// What a partition knows of a producer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i32,
    /// The sequence number of its last record.
    pub last_sequence: i32,
    /// The timestamp of its last record.
    pub last_timestamp_ms: i64,
    /// The epoch of the coordinator that ended its last transaction.
    pub coordinator_epoch: Option<i32>,
    /// Where its open transaction begins.
    pub transaction_start: Option<i64>,
}

/// A transaction that is to be aborted in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abort {
    /// The partition.
    pub partition: NamedPartition,
    /// Whose.
    pub producer_id: i64,
    /// In which epoch.
    pub producer_epoch: i16,
    /// No coordinator of a later epoch has written to the partition.
    pub coordinator_epoch: i32,
}

/// The transactional ids that a broker coordinates.
pub fn list(
    cluster: &mut Cluster,
    node: i32,
    filter: &Filter,
) -> Result<Vec<Listing>, ClientError> {
    let request = ListTransactionsRequest {
        producer_id_filters: filter.producer_ids.clone(),
        duration_filter: filter.duration_ms.unwrap_or(-1),
        transactional_id_pattern: filter.pattern.as_deref(),
        ..ListTransactionsRequest::default()
    };
    cluster.call(To::Node(node), &request, |reply| {
        let response = reply.read::<ListTransactionsRequest<'_>>()?;
        check_code(response.error_code, || format!("transactions of broker {node}"), None)?;
        let listed = response.transaction_states.iter().map(|it| Listing {
            transactional_id: it.transactional_id.to_owned(),
            producer_id: it.producer_id,
            state: it.transaction_state.to_owned(),
        });
        Ok(listed.collect())
    })
}

/// What is known of a transactional id.
pub fn describe(cluster: &mut Cluster, transactional_id: &str) -> Result<Description, ClientError> {
    coordinator::at(cluster, Coordinated::Transaction, transactional_id, |cluster, node| {
        let request = DescribeTransactionsRequest { transactional_ids: vec![transactional_id] };
        let reply = cluster.try_call(To::Node(node), &request)?;
        let response = reply.read::<DescribeTransactionsRequest<'_>>()?;
        let what = || format!("transactional id '{transactional_id}'");
        let it = first_of(&response.transaction_states, what)?;
        check_code(it.error_code, what, None)?;
        let partitions = it.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(|partition| (topic.topic.to_owned(), *partition))
        });
        Ok(Description {
            coordinator: node,
            producer_id: it.producer_id,
            producer_epoch: it.producer_epoch,
            state: it.transaction_state.to_owned(),
            timeout_ms: it.transaction_timeout_ms,
            started_ms: Some(it.transaction_start_time_ms).filter(|ms| *ms >= 0),
            partitions: partitions.collect(),
        })
    })
}

/// The producers that partitions know: at their leaders, or at `broker`.
pub fn producers(
    cluster: &mut Cluster,
    broker: Option<i32>,
    partitions: &[NamedPartition],
) -> Result<BTreeMap<NamedPartition, Vec<ActiveProducer>>, ClientError> {
    let topics: BTreeSet<&str> = partitions.iter().map(|it| it.0.as_str()).collect();
    let topics: Vec<&str> = topics.into_iter().collect();
    let mut retry = cluster.retry();
    loop {
        let found = cluster
            .refresh(Some(&topics), false)
            .and_then(|()| producers_once(cluster, broker, partitions));
        match found {
            // Who names the broker is told that it does not lead.
            Err(e) if broker.is_some() && e.code() == Some(ErrorCode::NOT_LEADER_OR_FOLLOWER) => {
                return Err(e);
            }
            Err(e) => cluster.wait_or(&mut retry, e)?,
            found => return found,
        }
    }
}

fn producers_once(
    cluster: &mut Cluster,
    broker: Option<i32>,
    partitions: &[NamedPartition],
) -> Result<BTreeMap<NamedPartition, Vec<ActiveProducer>>, ClientError> {
    let mut by_node: BTreeMap<i32, BTreeMap<&str, Vec<i32>>> = BTreeMap::new();
    for (topic, partition) in partitions {
        let node = match broker {
            Some(id) => id,
            None => cluster.metadata().leader(topic, *partition)?,
        };
        by_node.entry(node).or_default().entry(topic).or_default().push(*partition);
    }
    let mut found = BTreeMap::new();
    for (node, topics) in by_node {
        let topics = topics.into_iter();
        let topics =
            topics.map(|(name, partition_indexes)| TopicRequest { name, partition_indexes });
        let request = DescribeProducersRequest { topics: topics.collect() };
        let reply = cluster.try_call(To::Node(node), &request)?;
        let response = reply.read::<DescribeProducersRequest<'_>>()?;
        for topic in &response.topics {
            for it in &topic.partitions {
                let what = || format!("partition {} of '{}'", it.partition_index, topic.name);
                check_code(it.error_code, what, it.error_message)?;
                let active = it.active_producers.iter().map(|it| ActiveProducer {
                    id: it.producer_id,
                    epoch: it.producer_epoch,
                    last_sequence: it.last_sequence,
                    last_timestamp_ms: it.last_timestamp,
                    coordinator_epoch: Some(it.coordinator_epoch).filter(|epoch| *epoch >= 0),
                    transaction_start: Some(it.current_txn_start_offset).filter(|at| *at >= 0),
                });
                found.insert((topic.name.to_owned(), it.partition_index), active.collect());
            }
        }
    }
    Ok(found)
}

/// Has the coordinator abort what a transactional id has under way, and fence whoever uses the id.
pub fn terminate(cluster: &mut Cluster, transactional_id: &str) -> Result<(), ClientError> {
    coordinator::at(cluster, Coordinated::Transaction, transactional_id, |cluster, node| {
        let request = InitProducerIdRequest {
            transactional_id: Some(transactional_id),
            transaction_timeout_ms: TIMEOUT_MS,
            producer_id: -1,
            producer_epoch: -1,
            ..InitProducerIdRequest::default()
        };
        let reply = cluster.try_call(To::Node(node), &request)?;
        let response = reply.read::<InitProducerIdRequest<'_>>()?;
        let what = || format!("transactional id '{transactional_id}'");
        check_code(response.error_code, what, None)
    })
}

/// Aborts a transaction in one partition, at its leader.
pub fn abort(cluster: &mut Cluster, abort: &Abort) -> Result<(), ClientError> {
    let (topic, partition) = &abort.partition;
    let request = WriteTxnMarkersRequest {
        markers: vec![WritableTxnMarker {
            producer_id: abort.producer_id,
            producer_epoch: abort.producer_epoch,
            transaction_result: false,
            topics: vec![WritableTxnMarkerTopic {
                name: topic,
                partition_indexes: vec![*partition],
            }],
            coordinator_epoch: abort.coordinator_epoch,
            ..WritableTxnMarker::default()
        }],
    };
    let mut retry = cluster.retry();
    loop {
        let done = cluster.refresh(Some(&[topic]), false).and_then(|()| {
            let node = cluster.metadata().leader(topic, *partition)?;
            let reply = cluster.try_call(To::Node(node), &request)?;
            let response = reply.read::<WriteTxnMarkersRequest<'_>>()?;
            let topics = response.markers.iter().flat_map(|it| &it.topics);
            let code = topics.flat_map(|it| &it.partitions).next().map(|it| it.error_code);
            let what = || format!("partition {partition} of '{topic}'");
            check_code(code.unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR.0), what, None)
        });
        match done {
            Err(e) => cluster.wait_or(&mut retry, e)?,
            done => return done,
        }
    }
}
