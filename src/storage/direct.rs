//! Runs of frames on their way straight into a segment.
//!
//! What a turn has of one log is written once where that is much: into the log's open segment, where
//! its file was written before (`placement/recycling.rs`), while the journal block says where (`Placed`). The block counts as
//! durable when its runs are, too. Frames that only the journal has and that come before are written
//! along, since a segment has no gaps; where they are many, some with each block, until what is new
//! can follow them.

use super::format::block::Run;
use super::format::segment::{Grown, padded};
use bytes::Bytes;
use std::collections::VecDeque;

/// A run in flight.
#[derive(Debug)]
pub(super) struct DirectRun {
    /// Where it goes.
    pub run: Run,
    /// What the segment grows by.
    pub grown: Grown,
    /// Its frames, padded.
    pub data: Bytes,
    /// Pending frames among them.
    pub covers: usize,
    /// Bytes of those.
    pub covers_bytes: usize,
    /// What the frame behind it names as the one before it.
    pub chain: u32,
    written: bool,
}

/// A log's runs in flight, in offset order, and what is known of the space for further ones.
#[derive(Debug, Default)]
pub(super) struct Direct {
    runs: VecDeque<DirectRun>,
    /// What write-back placed since the last checkpoint, and the journal does not say: it must, before
    /// it says what stands behind that in a segment.
    unsaid: Vec<Run>,
    /// Some of that was cut by a truncation: nothing goes past the journal until a checkpoint is
    /// durable.
    cut: bool,
    /// When so many checkpoints are durable, one of them has all that was written so far.
    pub checkpoints: u64,
}

impl Direct {
    /// Takes in that write-back placed a run.
    pub fn placed(&mut self, run: Run) {
        self.unsaid.push(run);
    }

    /// Runs that the journal is to name before further ones; `None` where it cannot.
    pub fn unsaid(&self) -> Option<&[Run]> {
        (!self.cut).then_some(&self.unsaid)
    }

    /// The journal says of them now.
    pub fn take_unsaid(&mut self) -> Vec<Run> {
        std::mem::take(&mut self.unsaid)
    }

    /// A truncation took all from this offset on.
    pub fn truncated(&mut self, offset: i64) {
        self.cut |= self.unsaid.iter().any(|run| run.next > offset);
    }

    /// A durable checkpoint has all that was placed.
    pub fn checkpointed(&mut self) {
        (self.unsaid, self.cut) = (Vec::new(), false);
    }

    /// Whether none is in flight.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Pending frames that runs in flight bring into the segment, and their bytes.
    pub fn covered(&self) -> (usize, usize) {
        let add = |(n, bytes), run: &DirectRun| (n + run.covers, bytes + run.covers_bytes);
        self.runs.iter().fold((0, 0), add)
    }

    /// Offset after the last record in flight, the segment's generation, and the position behind it.
    pub fn end(&self) -> Option<(i64, u64, u64)> {
        let last = &self.runs.back()?.run;
        Some((last.next, last.generation, last.position + padded(last.length) as u64))
    }

    /// Generation of the segment that the first run in flight goes to.
    pub fn first_generation(&self) -> Option<u64> {
        self.runs.front().map(|run| run.run.generation)
    }

    /// Adds a run behind those in flight.
    pub fn push(
        &mut self,
        (run, chain): (Run, u32),
        grown: Grown,
        data: Bytes,
        (covers, covers_bytes): (usize, usize),
    ) {
        let written = false;
        self.runs.push_back(DirectRun { run, grown, data, covers, covers_bytes, chain, written });
    }

    /// Takes in that the run that begins at this offset is durable.
    pub fn written(&mut self, first: i64) {
        let run = self.runs.iter_mut().find(|run| run.run.first == first);
        run.expect("it is in flight").written = true;
    }

    /// The frames of those in flight, padded, in their order.
    pub fn data(&self) -> impl Iterator<Item = &Bytes> {
        self.runs.iter().map(|run| &run.data)
    }

    /// The next run, if it is durable and all before it were taken.
    pub fn pop_written(&mut self) -> Option<DirectRun> {
        self.runs.front().filter(|run| run.written)?;
        self.runs.pop_front()
    }
}
