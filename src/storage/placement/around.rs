//! What the jobs of placement work with, and what they want of the engine's other parts.

use super::pacing::Pace;
use crate::storage::device::outgoing::Outgoing;
use crate::storage::interface::{EngineOptions, Slot};
use crate::storage::journal::writer::JournalWriter;
use crate::storage::logs::Logs;
use crate::storage::read::cache::Chunk;

/// What a job works with.
pub(super) struct Around<'a> {
    pub logs: &'a mut Logs,
    /// What is durable in it, and what of it is in use; nothing is changed here.
    pub journal: &'a JournalWriter,
    pub out: &'a mut Outgoing,
    pub options: &'a EngineOptions,
    pub effects: &'a mut Vec<Effect>,
    pub written: &'a mut Written,
    pub pace: Pace,
}

/// Bytes written since the start, and what became of them.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::storage) struct Written {
    /// To segments and indexes.
    pub segment_bytes: u64,
    /// To checkpoints.
    pub checkpoint_bytes: u64,
    /// Checkpoints that are durable.
    pub checkpoints: u64,
}

/// What placement wants of the engine's other parts.
#[derive(Debug)]
pub(in crate::storage) enum Effect {
    /// A chunk is in a segment now, and is read from there. Offset of its first record.
    Chunk(Slot, i64, Chunk),
    /// A pending frame, by base offset, is to be copied to the journal's head.
    Copy(Slot, i64),
    /// No job holds on to this log any more.
    Released(Slot),
    /// The journal up to this block is covered by a durable checkpoint.
    Covered(u64),
}
