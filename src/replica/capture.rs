//! The producers of one moment, for a snapshot that is written in several steps.

use super::producer::Producer;
use super::transactions::AbortedTransaction;
use std::collections::{BTreeMap, VecDeque};

/// A snapshot of many producers in the making, some of them at a time. It holds all of them as they
/// were when it was begun: what changes before its turn has come is noted here as it was.
#[derive(Clone, Debug)]
pub(super) struct Capture {
    /// Producers from this id on are not in it yet; `None`: all are.
    pub next: Option<i64>,
    /// When the one appended that did so last, as of the beginning, ms.
    pub newest_ms: i64,
    /// Of what was written so far.
    pub crc: u32,
    /// Producers that are not in it yet and have changed or gone since it was begun, by id, as they
    /// were; `None` for those that were not there.
    pub before: BTreeMap<i64, Option<Producer>>,
    /// It has what is to be known of transactions.
    pub transactional: bool,
    /// Aborted transactions that are not in it yet; they come behind the producers.
    pub aborted: VecDeque<AbortedTransaction>,
    /// Their number is written.
    pub counted: bool,
}

impl Capture {
    /// The producer of this id is about to change, or to come (`None`), or to go.
    pub fn changes(&mut self, id: i64, before: Option<&Producer>) {
        if self.next.is_some_and(|next| id >= next) {
            self.before.entry(id).or_insert_with(|| before.cloned());
        }
    }
}
