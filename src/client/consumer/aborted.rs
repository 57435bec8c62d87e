//! Which batches of a Fetch's answer belong to transactions that were aborted: the broker sends them all the same, with a
//! list of the producers (KIP-98).

use crate::wire::kafka::fetch_response::{AbortedTransaction, PartitionData};
use crate::wire::records::{BatchHeader, records};
use std::collections::BTreeSet;

/// See the module.
#[derive(Debug)]
pub struct Aborted {
    /// By first offset, the last one first.
    coming: Vec<AbortedTransaction>,
    producers: BTreeSet<i64>,
}

impl Aborted {
    /// Of an answer to a Fetch with `read_committed`; otherwise nothing is hidden.
    pub fn new(read_committed: bool, data: &PartitionData<'_>) -> Self {
        let listed = data.aborted_transactions.as_ref().filter(|_| read_committed);
        let mut coming = listed.cloned().unwrap_or_default();
        coming.sort_by_key(|t| std::cmp::Reverse(t.first_offset));
        Self { coming, producers: BTreeSet::new() }
    }

    /// Whether a batch is of a transaction that was aborted. Each batch of the answer is to be asked for, in order.
    pub fn hides(&mut self, header: &BatchHeader, batch: &[u8]) -> bool {
        while self.coming.last().is_some_and(|t| t.first_offset <= header.last_offset()) {
            self.producers.extend(self.coming.pop().map(|t| t.producer_id));
        }
        if !header.is_transactional() || self.producers.is_empty() {
            return false;
        }
        if header.is_control() && is_abort(batch) {
            self.producers.remove(&header.producer_id);
        }
        self.producers.contains(&header.producer_id)
    }
}

/// A control record's key is its version and its type; 0 is an abort.
fn is_abort(batch: &[u8]) -> bool {
    let Ok(opened) = records(batch, 1 << 16) else { return false };
    let first = opened.iter().next().and_then(Result::ok);
    first.and_then(|r| r.key).is_some_and(|key| key.get(2..4) == Some(&[0, 0]))
}
