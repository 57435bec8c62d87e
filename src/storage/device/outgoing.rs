//! What an engine asks of the disk, and why.

use super::io::{FilePath, Op, Submission, is_want_of_space};
use crate::storage::interface::{Slot, Ticket};
use std::collections::{BTreeMap, VecDeque};
use std::io;

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

impl Purpose {
    /// Whether it may be tried again where there was no space: nothing has come of it then, or only what it does once
    /// more. Of a sync nobody knows what it has left out.
    fn waits_for_space(&self, op: &Op) -> bool {
        matches!(self, Self::Placement(..) | Self::Prepare) && op.may_be_repeated()
    }
}

/// Submissions that were not taken yet, and purposes of all that were not answered.
#[derive(Debug, Default)]
pub(in crate::storage) struct Outgoing {
    submissions: Vec<Submission>,
    purposes: BTreeMap<u64, (Purpose, Option<Op>)>,
    last_id: u64,
    /// Those for which there was no space. For everybody else they are under way.
    held: VecDeque<(Purpose, Op)>,
}

impl Outgoing {
    /// A number for an operation.
    pub fn id(&mut self, purpose: Purpose) -> u64 {
        self.last_id += 1;
        self.purposes.insert(self.last_id, (purpose, None));
        self.last_id
    }

    /// Submits an operation that has its number.
    pub fn push(&mut self, submission: Submission) {
        self.submissions.push(submission);
    }

    /// Submits an operation.
    pub fn submit(&mut self, purpose: Purpose, op: Op) {
        let again = purpose.waits_for_space(&op).then(|| op.clone());
        self.last_id += 1;
        self.purposes.insert(self.last_id, (purpose, again));
        self.submissions.push(Submission { id: self.last_id, op });
    }

    /// Whether something was submitted since the last call of [`take`](Self::take).
    pub fn has_submissions(&self) -> bool {
        !self.submissions.is_empty()
    }

    /// What was submitted since the last call, in order.
    pub fn take(&mut self) -> Vec<Submission> {
        std::mem::take(&mut self.submissions)
    }

    /// Why the operation of that number was submitted. It has ended, as `result` says. `None` where it was held for want of
    /// space, if that may be (`may_wait`): it goes on being under way.
    pub fn answered<T>(
        &mut self,
        id: u64,
        result: &io::Result<T>,
        may_wait: bool,
    ) -> Option<Purpose> {
        let (purpose, again) = self.purposes.remove(&id).expect("completions answer submissions");
        let held = again.filter(|_| may_wait && result.as_ref().is_err_and(is_want_of_space));
        let Some(op) = held else { return Some(purpose) };
        self.held.push_back((purpose, op));
        None
    }

    /// Whether something is held for want of space.
    pub fn wants_space(&self) -> bool {
        !self.held.is_empty()
    }

    /// Submits once more what was held for want of space.
    pub fn try_again(&mut self) {
        for (purpose, op) in std::mem::take(&mut self.held) {
            self.submit(purpose, op);
        }
    }

    /// Whether every operation was answered.
    pub fn is_idle(&self) -> bool {
        self.purposes.is_empty() && self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an operation of that purpose has come to when it ends with this error (`ENOSPC`, say), and whether it is held.
    fn ends(purpose: Purpose, op: Op, error: i32, may_wait: bool) -> (bool, Outgoing) {
        let mut out = Outgoing::default();
        out.submit(purpose, op);
        let id = out.take().pop().expect("just submitted").id;
        let result: io::Result<()> = Err(io::Error::from_raw_os_error(error));
        let told = out.answered(id, &result, may_wait).is_some();
        assert_eq!(told, !out.wants_space());
        assert_eq!(told, out.is_idle());
        (told, out)
    }

    #[test]
    fn what_has_no_space_is_under_way_until_it_has_ended() {
        const EIO: i32 = 5;
        const ENOSPC: i32 = 28;
        const EDQUOT: i32 = 122;
        let path: FilePath = "topics/a".into();
        let of_placement = || Purpose::Placement(Some(7), path.clone());
        let create = || Op::Create { path: path.clone() };
        for error in [ENOSPC, EDQUOT] {
            let (told, mut out) = ends(of_placement(), create(), error, true);
            assert!(!told, "nobody hears of it");
            for _ in 0..3 {
                out.try_again();
                assert!(!out.wants_space() && !out.is_idle());
                let again = out.take().pop().expect("once more");
                assert!(matches!(&again.op, Op::Create { path: of } if *of == path));
                let result: io::Result<()> = Err(io::Error::from_raw_os_error(error));
                assert!(out.answered(again.id, &result, true).is_none());
            }
            out.try_again();
            let id = out.take().pop().expect("once more").id;
            let ended = out.answered(id, &Ok(()), true);
            assert!(matches!(ended, Some(Purpose::Placement(Some(7), _))));
            assert!(out.is_idle());
        }
        assert!(ends(of_placement(), create(), EIO, true).0, "what it has done is not known");
        assert!(ends(of_placement(), create(), ENOSPC, false).0, "a stop does not wait");
        let sync = Op::Sync { path: path.clone() };
        assert!(ends(of_placement(), sync, ENOSPC, true).0, "a sync is not repeated");
        let others = Purpose::Removal(1, path.clone());
        assert!(ends(others, create(), ENOSPC, true).0, "whoever can do without it");
    }
}
