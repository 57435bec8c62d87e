//! What placement does in the background, one job at a time.

use super::around::Around;
use super::checkpointing::Checkpointing;
use super::write_back::WriteBack;

/// A job: it begins, goes on as its operations end, and is done. Each of its steps is bounded work,
/// however many logs there are.
#[derive(Debug)]
pub(super) enum Job {
    /// Brings pending frames of some logs into segments.
    WriteBack(WriteBack),
    /// Writes a checkpoint.
    Checkpoint(Checkpointing),
}

impl Job {
    /// Takes in that an operation ended: the chunk of that number, or one of the other operations.
    pub fn ended(&mut self, chunk: Option<u32>, around: &mut Around<'_>) {
        match self {
            Self::WriteBack(job) => job.ended(chunk, around),
            Self::Checkpoint(job) => job.ended(),
        }
    }

    /// Goes on as far as it can; whether it is done.
    pub fn advance(&mut self, around: &mut Around<'_>) -> bool {
        match self {
            Self::WriteBack(job) => job.advance(around),
            Self::Checkpoint(job) => job.advance(around),
        }
    }
}
