//! Memory for direct I/O, charged to a budget.
//!
//! [`AlignedBuf`] is what is written and shared, [`Filling`] what is being filled; both are whole pages
//! of the budget's arena (module [`arena`](super::arena)), or of the general heap where it has none:
//! simulators and tests make hundreds of brokers. What is charged is what is held, and it is charged
//! until the last slice is dropped.

mod aligned;
mod budget;
mod filling;

pub use super::align::{ALIGN, align_up};
pub use aligned::AlignedBuf;
pub use budget::Budget;
pub use filling::Filling;
