//! The transactions of one partition (KIP-98): which are open, which are decided and not committed here yet,
//! and which were aborted.
//!
//! The *last stable offset* is where the first transaction begins of which readers of committed records may
//! not know yet how it ends: one that is open, or one whose marker is above the high watermark. So it moves
//! with the watermark only, and never beyond it.

use std::collections::{BTreeMap, VecDeque};

/// A transaction that was aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbortedTransaction {
    /// Whose.
    pub producer_id: i64,
    /// Offset of its first record here.
    pub first: i64,
    /// Offset of its marker.
    pub last: i64,
    /// The last stable offset as of the marker, were all below committed: no reader of what lies below it needs
    /// to look at transactions that ended later.
    pub last_stable: i64,
}

/// A transaction whose marker is not committed yet, and its producer as it was before the marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub producer_id: i64,
    /// Offset of its first record here.
    pub first: i64,
    /// Offset of its marker.
    pub marker: i64,
    pub producer_epoch: i16,
    pub coordinator_epoch: i32,
}

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Transactions {
    /// First offset and producer of those that are open.
    open: BTreeMap<i64, i64>,
    /// By first offset.
    decided: BTreeMap<i64, Decided>,
    /// In the order of their markers.
    aborted: VecDeque<AbortedTransaction>,
}

impl Transactions {
    /// There is nothing to know.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.decided.is_empty() && self.aborted.is_empty()
    }

    /// Memory that they take, bytes.
    pub fn memory_bytes(&self) -> usize {
        let entries = self.open.len() * 16 + self.decided.len() * size_of::<Decided>();
        entries + self.aborted.capacity() * size_of::<AbortedTransaction>()
    }

    /// Where the first one begins that is open, or whose marker is not committed.
    pub fn first_unstable(&self) -> Option<i64> {
        let open = self.open.first_key_value().map(|(first, _)| *first);
        let decided = self.decided.first_key_value().map(|(first, _)| *first);
        open.into_iter().chain(decided).min()
    }

    pub fn decided(&self) -> impl ExactSizeIterator<Item = &Decided> {
        self.decided.values()
    }

    pub fn aborted(&self) -> &VecDeque<AbortedTransaction> {
        &self.aborted
    }

    /// A producer's transaction is open since `first`.
    pub fn begins(&mut self, first: i64, producer_id: i64) {
        self.open.insert(first, producer_id);
    }

    /// It is not open any more.
    pub fn is_not_open(&mut self, first: i64) {
        self.open.remove(&first);
    }

    /// An open one ends.
    pub fn ends(&mut self, decided: Decided, commits: bool) {
        self.open.remove(&decided.first);
        self.decided.insert(decided.first, decided);
        if !commits {
            let open = self.open.first_key_value().map_or(i64::MAX, |(first, _)| *first);
            self.aborted.push_back(AbortedTransaction {
                producer_id: decided.producer_id,
                first: decided.first,
                last: decided.marker,
                last_stable: open.min(decided.marker + 1),
            });
        }
    }

    /// Everything below `watermark` is committed, markers too.
    pub fn settle(&mut self, watermark: i64) {
        self.decided.retain(|_, it| it.marker >= watermark);
    }

    /// The log begins at `offset`: what has ended below that is of no interest.
    pub fn truncate_start(&mut self, offset: i64) {
        while self.aborted.front().is_some_and(|it| it.last < offset) {
            self.aborted.pop_front();
        }
    }

    /// The log ends at `end`. Gives those that are open again since their marker is gone.
    pub fn truncate_end(&mut self, end: i64) -> Vec<Decided> {
        while self.aborted.back().is_some_and(|it| it.last >= end) {
            self.aborted.pop_back();
        }
        let gone: Vec<Decided> =
            self.decided.values().filter(|it| it.marker >= end).copied().collect();
        for it in &gone {
            self.decided.remove(&it.first);
        }
        gone.into_iter().filter(|it| it.first < end).collect()
    }

    /// Those of which a reader of the offsets `from..upto` sees records, or their marker: by first offset, which
    /// is the order that clients want.
    pub fn aborted_in(&self, from: i64, upto: i64) -> Vec<AbortedTransaction> {
        let begin = self.aborted.partition_point(|it| it.last < from);
        let mut found = Vec::new();
        for it in self.aborted.range(begin..) {
            if it.first < upto {
                found.push(*it);
            }
            if it.last_stable >= upto {
                break;
            }
        }
        found.sort_unstable_by_key(|it| it.first);
        found
    }

    /// Of these, by producer and marker, neither records nor marker are left in the log. In the order of the markers,
    /// as a pass over the log finds them.
    pub fn forget(&mut self, gone: &[(i64, i64)]) {
        debug_assert!(gone.is_sorted_by_key(|it| it.1));
        self.aborted.retain(|it| {
            let found = gone.binary_search_by_key(&it.last, |gone| gone.1);
            !found.is_ok_and(|at| gone[at].0 == it.producer_id)
        });
    }

    /// As a snapshot has them.
    pub fn restored(decided: Vec<Decided>, aborted: VecDeque<AbortedTransaction>) -> Self {
        let decided = decided.into_iter().map(|it| (it.first, it)).collect();
        Self { open: BTreeMap::new(), decided, aborted }
    }
}
