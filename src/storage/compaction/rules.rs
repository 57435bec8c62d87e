//! What stays of a log that is compacted: Kafka's rules (`Cleaner.shouldRetainRecord`,
//! `MemoryRecords.filterTo` of Kafka 4.3), for batches of format 2.
//!
//! - Of each key the last record stays, as far as the pass has looked; behind that everything does.
//! - A tombstone, a record without value, stays until its *delete horizon* (KIP-534): the pass after
//!   which no older record of the key is left sets it, to `delete.retention.ms` after its own time. So
//!   whoever has seen an older record has so much time to see the tombstone.
//! - Records without keys go: a topic that was not compacted before may have some.
//! - The last batch of a producer that is still known stays, without records if need be: with it goes
//!   the last sequence number. So does the last batch of all.
//!
//! Records of aborted transactions go, and markers of transactions as soon as nothing is left of these, at their
//! delete horizon: see `sweep`.

use super::offset_map::OffsetMap;
use crate::wire::records::{BatchHeader, Seen};

/// What one pass goes by.
#[derive(Debug)]
pub(super) struct Rules {
    /// The last offset of each key in the part that was looked at.
    pub map: OffsetMap,
    /// Offset of the last record that was looked at.
    pub latest: i64,
    /// The time, ms.
    pub now_ms: i64,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
}

/// What becomes of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays as it is.
    Stays,
    /// Those of its records stay that it says, and it gets this delete horizon.
    Shrinks(Vec<bool>, Option<i64>),
    /// None of its records stays.
    Empties,
}

/// What is known of a batch so far.
#[derive(Debug)]
pub(super) struct Verdict {
    horizon_ms: Option<i64>,
    kept: Vec<bool>,
    tombstones: bool,
}

impl Verdict {
    /// Of a batch with this header.
    pub fn new(header: &BatchHeader) -> Self {
        Self { horizon_ms: header.delete_horizon_ms(), kept: Vec::new(), tombstones: false }
    }

    /// Takes in the next record.
    pub fn see(&mut self, seen: Seen, rules: &Rules) {
        let stays = rules.keeps(&seen, self.horizon_ms);
        self.tombstones |= stays && !seen.has_value;
        self.kept.push(stays);
    }

    /// All records were seen.
    pub fn fate(self, rules: &Rules) -> Fate {
        let all = self.kept.iter().all(|kept| *kept);
        let new = self.tombstones && self.horizon_ms.is_none();
        let horizon_ms = new.then(|| rules.now_ms.saturating_add(rules.delete_retention_ms));
        if !self.kept.iter().any(|kept| *kept) {
            Fate::Empties
        } else if all && horizon_ms.is_none() {
            Fate::Stays
        } else {
            Fate::Shrinks(self.kept, horizon_ms)
        }
    }
}

impl Rules {
    /// Whether a batch stays as it is, whatever is in it: behind what was looked at nothing is known.
    pub fn passes_over(&self, header: &BatchHeader) -> bool {
        header.base_offset > self.latest
    }

    /// Whether a record stays that is in a batch with this delete horizon.
    fn keeps(&self, seen: &Seen, horizon_ms: Option<i64>) -> bool {
        let Some(key) = seen.key else { return false };
        let is_last = self.map.get(key).is_none_or(|last| seen.offset >= last);
        let is_due = horizon_ms.is_some_and(|horizon_ms| self.now_ms >= horizon_ms);
        is_last && (seen.has_value || !is_due)
    }
}
