//! How direct I/O is aligned.

/// Direct I/O is aligned to this in memory, position and length. Also a page.
pub const ALIGN: usize = 4096;

/// Rounds up to [`ALIGN`].
pub const fn align_up(n: usize) -> usize {
    n.div_ceil(ALIGN) * ALIGN
}
