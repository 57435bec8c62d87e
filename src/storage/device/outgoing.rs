//! What an engine asks of the disk, and why.

use super::io::{FilePath, Op, Submission};
use crate::storage::interface::{Slot, Ticket};
use std::collections::BTreeMap;

/// Why an operation was submitted.
#[derive(Debug)]
pub(in crate::storage) enum Purpose {
    /// A journal block's write.
    BlockWrite(u64),
    /// A journal block's sync.
    BlockSync(u64),
    /// The write of a run past the journal; its sync says that it is done.
    RunWrite(FilePath),
    /// The sync of a run: the block that it belongs to, its log, the offset of its first record.
    RunSync(u64, Slot, i64, FilePath),
    /// A step of the segment of that number that is made of a recycled file, and the file.
    Renewal(usize, FilePath),
    /// A step of the journal file that is being prepared.
    Prepare,
    /// A step of a job of placement: the number of the chunk if it writes one, and the file.
    Placement(Option<u32>, FilePath),
    /// An operation of compaction: whether it is a read, and the file.
    Compaction(bool, FilePath),
    /// A read of a segment or its index, for whoever has that ticket.
    Read(Ticket),
    /// A step of a change of the mark of a damaged log, and the file.
    Mark(FilePath),
    /// A step of the removal of that number, and the file.
    Removal(usize, FilePath),
}

/// Submissions that were not taken yet, and purposes of all that were not answered.
#[derive(Debug, Default)]
pub(in crate::storage) struct Outgoing {
    submissions: Vec<Submission>,
    purposes: BTreeMap<u64, Purpose>,
    last_id: u64,
}

impl Outgoing {
    /// A number for an operation.
    pub fn id(&mut self, purpose: Purpose) -> u64 {
        self.last_id += 1;
        self.purposes.insert(self.last_id, purpose);
        self.last_id
    }

    /// Submits an operation that has its number.
    pub fn push(&mut self, submission: Submission) {
        self.submissions.push(submission);
    }

    /// Submits an operation.
    pub fn submit(&mut self, purpose: Purpose, op: Op) {
        let id = self.id(purpose);
        self.submissions.push(Submission { id, op });
    }

    /// Whether something was submitted since the last call of [`take`](Self::take).
    pub fn has_submissions(&self) -> bool {
        !self.submissions.is_empty()
    }

    /// What was submitted since the last call, in order.
    pub fn take(&mut self) -> Vec<Submission> {
        std::mem::take(&mut self.submissions)
    }

    /// Why the operation of that number was submitted. It has ended.
    pub fn answered(&mut self, id: u64) -> Purpose {
        self.purposes.remove(&id).expect("completions answer submissions")
    }

    /// Whether every operation was answered.
    pub fn is_idle(&self) -> bool {
        self.purposes.is_empty()
    }
}
