//! How much work one input costs, counted in steps rather than in time: the same inputs cost the same
//! on every machine, so that tests and the simulator can hold the bound.
//!
//! A step is one partition, group or offset that is looked at, or some bytes ([`bytes()`],
//! [`decompressed`]): a quarter of a microsecond, or a few. Loops over what clients can make many
//! count what they do, and pause; a loop that does not pause goes over [`BOUND`].

use std::cell::Cell;

/// A task lets others run after so many steps.
pub const PIECE: u64 = 256;
/// An input begins nothing more after so many steps; the rest follows with
/// [`Input::Continue`](super::Input::Continue).
pub const INPUT: u64 = 1_024;
/// No input costs more: what had begun below [`INPUT`] is the largest thing that is done in one go.
pub const BOUND: u64 = 4_096;

/// Bytes that are copied or checked, in steps.
pub const fn bytes(bytes: usize) -> u64 {
    (bytes / 4_096) as u64
}

/// Partitions of a topic that are copied with it, in steps: a few words each.
pub const fn copied(partitions: usize) -> u64 {
    (partitions / 32) as u64
}

/// Bytes that come out of a decompressor, in steps.
pub const fn decompressed(bytes: usize) -> u64 {
    (bytes / 512) as u64
}

/// Bytes that a checkpoint takes of partitions' cores, in steps: about one for each idempotent producer.
pub const fn captured(bytes: usize) -> u64 {
    (bytes / 128) as u64
}

/// See the module.
#[derive(Debug, Default)]
pub struct Work {
    input: Cell<u64>,
    piece: Cell<u64>,
    total: Cell<u64>,
    most: Cell<u64>,
}

impl Work {
    /// An input begins.
    pub fn begin(&self) {
        self.end();
        self.input.set(0);
    }

    /// What was done so far belongs to no input: nobody was served yet.
    pub fn forget(&self) {
        self.input.set(0);
    }

    /// So many steps were done.
    pub fn add(&self, steps: u64) {
        self.input.set(self.input.get() + steps);
        self.piece.set(self.piece.get() + steps);
        self.total.set(self.total.get() + steps);
    }

    /// What is at hand has ended.
    pub fn end(&self) {
        self.most.set(self.most.get().max(self.input.get()));
    }

    /// Nothing more begins with this input.
    pub fn is_enough(&self) -> bool {
        self.input.get() >= INPUT
    }

    /// A task that has come this far lets others run.
    pub fn is_piece(&self) -> bool {
        self.piece.get() >= PIECE
    }

    /// The steps that a task has done since it was resumed, which are `steps` from now on.
    pub fn resume(&self, steps: u64) -> u64 {
        self.piece.replace(steps)
    }

    /// Steps of all inputs.
    pub fn total(&self) -> u64 {
        self.total.get()
    }

    /// Steps of the input that cost most.
    pub fn most(&self) -> u64 {
        self.most.get().max(self.input.get())
    }
}
