//! Recovery: what a start makes of the files that the last life left, and what the tools read of a
//! broker that does not run.
//!
//! `identity` says whose directory it is, `replay` follows the journal, `runs` finds what the journal
//! says to stand in segments, `open` makes engines of all that and begins a new life; `inspect` only
//! looks.

pub mod identity;
pub mod inspect;
mod open;
mod open_error;
pub mod replay;
mod runs;

pub use open::{
    Damaged, Fold, LastLife, OpenOptions, Report, StateError, TopicState, begin, mark_clean, open,
};
pub use open_error::OpenError;
