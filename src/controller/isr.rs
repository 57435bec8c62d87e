//! A leader's wish for another ISR, as Kafka's `AlterPartition` has it (KIP-497, KIP-841, KIP-903).
//!
//! A replica that wishes for an ISR without itself, and otherwise the present one, says that its log is damaged. It gives
//! up being in sync and eligible, so that it may have the log from another one; nobody else can say that of it. It is
//! refused where nobody else would be left who has everything: then its log may be the only one.

use super::changes::{Changes, Decision};
use super::image::{Image, Topic};
use super::partition::Partition;
use super::partition_change::{Builder, Change};
use crate::types::{ErrorCode, TopicId};
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a leader asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IsrRequest {
    /// The broker that asks.
    pub broker: i32,
    /// Its process.
    pub incarnation: u64,
    /// One for each partition.
    pub partitions: Vec<IsrChange>,
}

/// For one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IsrChange {
    /// Which topic.
    pub topic: TopicId,
    /// Which partition of it.
    pub partition: i32,
    /// The epoch in which it leads.
    pub leader_epoch: i32,
    /// The partition epoch that the change is based on.
    pub partition_epoch: i32,
    /// Node ids of those who are to be in sync, each with the incarnation that has been heard. Without the one that asks:
    /// see the module.
    pub isr: Vec<(i32, u64)>,
}

/// A partition when a change has taken effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsrState {
    /// The leader.
    pub leader: i32,
    /// Its epoch.
    pub leader_epoch: i32,
    /// Those in sync.
    pub isr: Arc<[i32]>,
    /// The epoch of the partition.
    pub partition_epoch: i32,
}

/// The changes, and for each partition that is asked for what it is when they have taken effect. Ends reassignments
/// whose replicas are in sync; where another leads by that, the one that asks is told
/// [`ErrorCode::NEW_LEADER_ELECTED`]. Pauses after each partition.
pub async fn alter_isr(
    image: &Image,
    request: &IsrRequest,
    pause: &impl AsyncFn(),
) -> (Decision, Vec<Result<IsrState, ErrorCode>>) {
    let (mut changes, mut results) = (Changes::default(), Vec::new());
    let sender = match image.broker(request.broker) {
        None => Err(ErrorCode::BROKER_ID_NOT_REGISTERED),
        Some(it) if it.incarnation != request.incarnation => Err(ErrorCode::STALE_BROKER_EPOCH),
        Some(_) => Ok(()),
    };
    let mut seen = BTreeSet::new();
    for it in &request.partitions {
        pause().await;
        let result = sender.and_then(|()| {
            if !seen.insert((it.topic, it.partition)) {
                return Err(ErrorCode::INVALID_REQUEST);
            }
            let topic = image.topic_by_id(it.topic).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?;
            let partition =
                topic.partition(it.partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
            let change = if it.isr.iter().any(|(node, _)| *node == request.broker) {
                check(image, request.broker, it, partition)?;
                plan(image, topic, partition, &it.isr)
            } else {
                Some(give_up(image, request.broker, it, topic, partition)?)
            };
            let mut after = partition.clone();
            if let Some(change) = change {
                after.apply(&change.fields);
                changes.add(topic, it.partition, change);
            }
            if after.leader != partition.leader {
                return Err(ErrorCode::NEW_LEADER_ELECTED);
            }
            Ok(IsrState {
                leader: after.leader,
                leader_epoch: after.leader_epoch,
                isr: after.isr,
                partition_epoch: after.partition_epoch,
            })
        });
        results.push(result);
    }
    (changes.finish(), results)
}

/// A replica's log is damaged, as it says itself: what becomes of the partition.
fn give_up(
    image: &Image,
    broker: i32,
    it: &IsrChange,
    topic: &Topic,
    partition: &Partition,
) -> Result<Change, ErrorCode> {
    check_leader_epoch(it, partition)?;
    check_partition_epoch(it, partition)?;
    let nodes: BTreeSet<i32> = it.isr.iter().map(|(node, _)| *node).collect();
    let others = partition.isr.iter().copied().filter(|node| *node != broker);
    let is_the_present_one = nodes == others.collect() && nodes.len() == it.isr.len();
    if !is_the_present_one || !partition.replicas.contains(&broker) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    let change = Builder::new(image, topic, partition).give_up(broker).build();
    let change = change.ok_or(ErrorCode::INVALID_REQUEST)?;
    let mut after = partition.clone();
    after.apply(&change.fields);
    let others_have_all = if partition.leader == broker {
        after.leader != -1
    } else {
        after.leader != -1 || !(after.isr.is_empty() && after.elr.is_empty())
    };
    if change.unclean || after.leader == broker || !others_have_all {
        return Err(ErrorCode::INELIGIBLE_REPLICA);
    }
    Ok(change)
}

/// The checks of Kafka's `ReplicationControlManager.validateAlterPartitionData`, in its order.
fn check(
    image: &Image,
    broker: i32,
    it: &IsrChange,
    partition: &Partition,
) -> Result<(), ErrorCode> {
    check_leader_epoch(it, partition)?;
    if broker != partition.leader {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    check_partition_epoch(it, partition)?;
    let nodes: BTreeSet<i32> = it.isr.iter().map(|(node, _)| *node).collect();
    let replicas = nodes.iter().all(|node| partition.replicas.contains(node));
    if nodes.len() != it.isr.len() || !replicas || !nodes.contains(&broker) {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    // One that was fenced, or started anew, since it was heard may have lost what it was heard to have. The leader
    // itself may be about to stop, and lead what nobody else can.
    let may_join = |(node, incarnation): &(i32, u64)| {
        image.broker(*node).is_some_and(|found| {
            let there = if *node == broker { !found.fenced } else { found.is_alive() };
            there && found.incarnation == *incarnation
        })
    };
    if !it.isr.iter().all(may_join) {
        return Err(ErrorCode::INELIGIBLE_REPLICA);
    }
    Ok(())
}

fn check_leader_epoch(it: &IsrChange, partition: &Partition) -> Result<(), ErrorCode> {
    // Then it is this controller that is behind, and does not lead any more.
    if it.leader_epoch > partition.leader_epoch || it.partition_epoch > partition.partition_epoch {
        return Err(ErrorCode::NOT_CONTROLLER);
    }
    if it.leader_epoch < partition.leader_epoch {
        return Err(ErrorCode::FENCED_LEADER_EPOCH);
    }
    Ok(())
}

fn check_partition_epoch(it: &IsrChange, partition: &Partition) -> Result<(), ErrorCode> {
    if it.partition_epoch < partition.partition_epoch {
        return Err(ErrorCode::INVALID_UPDATE_VERSION);
    }
    Ok(())
}

fn plan(image: &Image, topic: &Topic, partition: &Partition, isr: &[(i32, u64)]) -> Option<Change> {
    let isr = isr.iter().map(|(node, _)| *node).collect();
    Builder::new(image, topic, partition).set_isr(isr).build()
}
