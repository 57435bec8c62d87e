//! Which batches of a log are of aborted transactions, and which markers end nothing that is left: as a pass
//! goes through the log from its start (`CleanedTransactionMetadata` of Kafka 4.3).

use crate::storage::interface::AbortedSpan;
use crate::wire::records::BatchHeader;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct TransactionSweep {
    /// Aborted transactions that begin further on.
    coming: VecDeque<AbortedSpan>,
    /// By producer, where the marker stands of the aborted transaction that it is in.
    within: BTreeMap<i64, i64>,
    /// Producers of whose transaction a batch came since their last marker.
    seen: BTreeSet<i64>,
}

impl TransactionSweep {
    /// Of a log with these aborted transactions.
    pub fn new(mut aborted: Vec<AbortedSpan>) -> Self {
        aborted.sort_unstable_by_key(|it| it.first);
        Self { coming: aborted.into(), ..Self::default() }
    }

    fn advance(&mut self, offset: i64) {
        while self.coming.front().is_some_and(|it| it.first <= offset)
            && let Some(it) = self.coming.pop_front()
        {
            self.within.insert(it.producer_id, it.last);
        }
    }

    /// The next batch, which is no control batch: whether it is of an aborted transaction.
    pub fn is_aborted(&mut self, header: &BatchHeader) -> bool {
        if !header.is_transactional() {
            return false;
        }
        self.advance(header.base_offset);
        self.seen.insert(header.producer_id);
        let marker = self.within.get(&header.producer_id);
        marker.is_some_and(|marker| header.base_offset < *marker)
    }

    /// The next batch, which is a marker: whether nothing is left of what it ends.
    pub fn ends_nothing(&mut self, header: &BatchHeader) -> bool {
        self.advance(header.base_offset);
        let id = header.producer_id;
        if self.within.get(&id).is_some_and(|marker| *marker <= header.base_offset) {
            self.within.remove(&id);
        }
        !self.seen.remove(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::records::{BatchBuilder, Compression, Marker};

    fn data(at: i64, producer: i64) -> BatchHeader {
        let builder = BatchBuilder::new(Compression::None).producer(producer, 0, 0);
        let mut builder = builder.transactional().appended_at(at, 0);
        builder.push(0, Some(b"k"), None, &[]);
        BatchHeader::parse(&builder.build()).unwrap()
    }

    fn marker(at: i64, producer: i64, commits: bool) -> BatchHeader {
        let batch = Marker { commits, coordinator_epoch: 0 }.batch(producer, 0, 0);
        BatchHeader { base_offset: at, ..BatchHeader::parse(&batch).unwrap() }
    }

    #[test]
    fn follows_each_producer_through_the_log() {
        let span = |producer_id, first, last| AbortedSpan { producer_id, first, last };
        let mut sweep = TransactionSweep::new(vec![span(2, 3, 5), span(1, 0, 4)]);
        assert!(sweep.is_aborted(&data(0, 1)));
        assert!(!sweep.is_aborted(&data(1, 2)), "of the transaction before");
        assert!(!sweep.ends_nothing(&marker(2, 2, true)));
        assert!(sweep.is_aborted(&data(3, 2)));
        assert!(!sweep.ends_nothing(&marker(4, 1, false)), "some of it was there");
        assert!(!sweep.ends_nothing(&marker(5, 2, false)));
        assert!(!sweep.is_aborted(&data(6, 1)), "of the next transaction");
        assert!(!sweep.ends_nothing(&marker(7, 1, true)));
        assert!(sweep.ends_nothing(&marker(8, 1, true)), "nothing is left");
        assert!(!sweep.is_aborted(&BatchHeader { attributes: 0, ..data(9, 1) }));
    }
}
