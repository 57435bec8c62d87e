//! Memory for direct I/O, charged to a budget.
//!
//! [`AlignedBuf`] is what is written and shared, [`Filling`] what is being filled; both are whole pages
//! of the budget's arena (module [`arena`](super::arena)), or of the general heap where it has none:
//! simulators and tests make hundreds of brokers. What is charged is what is held, and it is charged
//! until the last slice is dropped.

mod aligned;
mod budget;
mod filling;

pub use aligned::AlignedBuf;
pub use budget::Budget;
pub use filling::Filling;

/// Direct I/O is aligned to this in memory, position and length. Also a page.
pub const ALIGN: usize = 4096;

/// Rounds up to [`ALIGN`].
pub const fn align_up(n: usize) -> usize {
    n.div_ceil(ALIGN) * ALIGN
}
