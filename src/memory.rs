//! What the general heap does with memory that is free for a moment.
//!
//! Buffers of records have memory of their own (module [`storage::arena`](crate::storage::arena)). What
//! is small comes and goes on the heap with each request: [`keep`] stops the allocator from giving its
//! pages back in between, since the kernel would clear them anew each time. What was measured, and what was
//! left out: `src/shard/DECISIONS.md`.

use std::ffi::c_long;

/// `mi_option_purge_delay` of the allocator; its bindings do not name it.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// How long the allocator keeps what is free before it gives it back, ms: longer than a busy broker
/// leaves anything free. Not for ever: sizes that are not asked for any more would stay on top of the
/// budget.
const KEEP_MS: c_long = 10_000;

/// From now on the allocator keeps what is freed for a while.
pub fn keep() {
    // SAFETY: sets a number that the allocator reads.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, KEEP_MS) }
}
