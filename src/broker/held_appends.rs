//! Batches that begin a transaction in their partition: held until the coordinator has said that the
//! partition is part of the transaction, or has added it (KIP-890). So no batch that comes late begins one
//! that nobody will ever end.
//!
//! What the coordinator says may be over when it arrives: where a marker of the producer has come meanwhile, it
//! is asked again. Batches of one producer and partition stay in their order.

use super::api::data::{AppendRequest, InTransaction};
use crate::replica::Partition;
use crate::transaction::Producer;
use crate::types::TopicPartition;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// A batch that waits.
pub struct HeldAppend {
    /// What is to be appended.
    pub append: AppendRequest,
    /// The key in the logs' tasks, and the place in its results.
    pub key: usize,
    /// See `key`.
    pub at: usize,
    /// See [`AppendBatches`](super::calls::AppendBatches).
    pub committed_by_ms: Option<i64>,
}

/// What a coordinator is to be asked.
#[derive(Clone, Debug)]
pub struct Verification {
    /// The partition.
    pub tp: TopicPartition,
    /// Whose transaction.
    pub producer: Producer,
    /// Markers of the producer that had come by then.
    pub markers: u8,
    /// Which transaction.
    pub transaction: Arc<InTransaction>,
}

/// See the module.
#[derive(Default)]
pub struct HeldAppends {
    queues: BTreeMap<(TopicPartition, i64), VecDeque<HeldAppend>>,
}

impl HeldAppends {
    /// Whether a batch is to wait: it begins a transaction, or one of its producer waits already.
    pub fn holds(&self, core: &Partition, append: &AppendRequest) -> bool {
        let (id, epoch) = (append.header.producer_id, append.header.producer_epoch);
        let waits = !self.queues.is_empty() && self.queues.contains_key(&(append.tp, id));
        waits || !(core.is_in_transaction(id, epoch) || core.is_duplicate(&append.header))
    }

    /// Adds one; what is to be asked, where nothing is asked for that producer yet.
    pub fn push(&mut self, core: &Partition, held: HeldAppend) -> Option<Verification> {
        let verification = verification(core, &held.append);
        let place = (held.append.tp, held.append.header.producer_id);
        let queue = self.queues.entry(place).or_default();
        queue.push_back(held);
        verification.filter(|_| queue.len() == 1)
    }

    /// Those of one producer and partition.
    pub fn take(&mut self, tp: TopicPartition, producer_id: i64) -> VecDeque<HeldAppend> {
        self.queues.remove(&(tp, producer_id)).unwrap_or_default()
    }

    /// Those go on waiting.
    pub fn put_back(&mut self, tp: TopicPartition, producer_id: i64, queue: VecDeque<HeldAppend>) {
        self.queues.insert((tp, producer_id), queue);
    }

    /// Those of a partition, which go.
    pub fn take_all(&mut self, tp: TopicPartition) -> Vec<HeldAppend> {
        let of = self.queues.range((tp, i64::MIN)..=(tp, i64::MAX));
        let places: Vec<_> = of.map(|(place, _)| *place).collect();
        places.into_iter().flat_map(|(tp, id)| self.take(tp, id)).collect()
    }
}

/// What is to be asked for a batch.
pub fn verification(core: &Partition, append: &AppendRequest) -> Option<Verification> {
    let header = &append.header;
    Some(Verification {
        tp: append.tp,
        producer: Producer { id: header.producer_id, epoch: header.producer_epoch },
        markers: core.markers_of(header.producer_id),
        transaction: append.transaction.clone()?,
    })
}
