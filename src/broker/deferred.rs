//! Appends that wait for room, in memory or in the journal: each partition's in their order.

use super::calls::AppendBatches;
use super::reply_to::ReplyTo;
use crate::types::TopicPartition;
use std::collections::{HashMap, VecDeque};

/// A call with fewer bytes than this does not wait for those that want to write more than can be
/// written back: nobody's records but its own partitions' come before it.
const SMALL: usize = 64 << 10;

/// An append that waits: the call, when it arrived, in ticks, and who waits for it.
pub type Deferred = (AppendBatches, u64, ReplyTo<AppendBatches>);

/// Whether a call is a small one.
pub fn is_small(call: &AppendBatches) -> bool {
    call.batches.iter().map(|it| it.batch.len()).sum::<usize>() < SMALL
}

/// See the module.
#[derive(Default)]
pub struct DeferredAppends {
    queue: VecDeque<Deferred>,
    /// How many of them have batches for a partition.
    of: HashMap<TopicPartition, u32>,
}

impl DeferredAppends {
    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether a call would overtake one of the same partition.
    pub fn hold_back(&self, call: &AppendBatches) -> bool {
        !self.of.is_empty() && call.batches.iter().any(|it| self.of.contains_key(&it.tp))
    }

    /// Adds one behind all others.
    pub fn push(&mut self, deferred: Deferred) {
        for batch in &deferred.0.batches {
            *self.of.entry(batch.tp).or_default() += 1;
        }
        self.queue.push_back(deferred);
    }

    /// The one that has waited longest.
    pub fn first(&self) -> Option<&AppendBatches> {
        self.queue.front().map(|(call, ..)| call)
    }

    /// Takes the one that has waited longest.
    pub fn pop(&mut self) -> Option<Deferred> {
        let deferred = self.queue.pop_front()?;
        for batch in &deferred.0.batches {
            if let Some(left) = self.of.get_mut(&batch.tp) {
                *left -= 1;
                if *left == 0 {
                    self.of.remove(&batch.tp);
                }
            }
        }
        Some(deferred)
    }
}
