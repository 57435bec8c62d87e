//! Which leader epoch each part of the log was appended in (KIP-101).

/// Where one epoch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EpochStart {
    pub epoch: i32,
    pub start: i64,
}

/// The epochs of a log. Both epochs and start offsets ascend strictly, so an epoch without records
/// survives only while it is the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Epochs {
    starts: Vec<EpochStart>,
}

impl Epochs {
    /// From entries in order; `None` where they do not ascend.
    pub fn from_entries(starts: Vec<EpochStart>) -> Option<Self> {
        let ascending =
            starts.windows(2).all(|w| w[0].epoch < w[1].epoch && w[0].start < w[1].start);
        ascending.then_some(Self { starts })
    }

    pub fn entries(&self) -> &[EpochStart] {
        &self.starts
    }

    /// From `start` on the log is in `epoch`. An epoch that is not newer than the last one changes
    /// nothing; entries at `start`, which have no records, are replaced.
    pub fn assign(&mut self, epoch: i32, start: i64) {
        if epoch < 0 || self.starts.last().is_some_and(|last| last.epoch >= epoch) {
            return;
        }
        self.truncate_end(start);
        // Most partitions only ever have one.
        self.starts.reserve_exact(1);
        self.starts.push(EpochStart { epoch, start });
    }

    /// The log ends at `end` now: epochs that begin there or later go.
    pub fn truncate_end(&mut self, end: i64) {
        let keep = self.starts.partition_point(|e| e.start < end);
        self.starts.truncate(keep);
    }

    /// The log begins at `offset` now: epochs that end there or earlier go, and the one that covers
    /// it begins there.
    pub fn truncate_start(&mut self, offset: i64) {
        let begun = self.starts.partition_point(|e| e.start <= offset);
        if begun > 0 {
            self.starts.drain(..begun - 1);
            self.starts[0].start = offset;
        }
    }

    /// The largest epoch ≤ `epoch` and where it ends; see
    /// [`Partition::end_offset_for_epoch`](super::Partition::end_offset_for_epoch).
    pub fn end_offset(&self, epoch: i32, log_end: i64) -> (i32, i64) {
        let Some(last) = self.starts.last() else { return (-1, -1) };
        if epoch < 0 || epoch > last.epoch {
            return (-1, -1);
        }
        if epoch == last.epoch {
            return (epoch, log_end);
        }
        let above = self.starts.partition_point(|e| e.epoch <= epoch);
        let floor = above.checked_sub(1).map_or(epoch, |i| self.starts[i].epoch);
        (floor, self.starts[above].start)
    }

    /// The largest epoch ≤ `epoch` here, and where it ends; without one, where the first begins.
    pub fn floor(&self, epoch: i32, log_end: i64) -> (Option<i32>, i64) {
        let above = self.starts.partition_point(|e| e.epoch <= epoch);
        let end = self.starts.get(above).map_or(log_end, |next| next.start);
        (above.checked_sub(1).map(|i| self.starts[i].epoch), end)
    }

    /// The epoch that covers `offset`.
    pub fn epoch_at(&self, offset: i64) -> Option<i32> {
        let begun = self.starts.partition_point(|e| e.start <= offset);
        begun.checked_sub(1).map(|i| self.starts[i].epoch)
    }

    pub fn invariants(&self, log_end: i64) {
        debug_assert!(
            self.starts.windows(2).all(|w| w[0].epoch < w[1].epoch && w[0].start < w[1].start),
            "{self:?}"
        );
        debug_assert!(self.starts.last().is_none_or(|e| e.start <= log_end), "{self:?}");
    }
}
