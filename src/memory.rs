//! The memory budget: kept once it was touched, and on demand touched before it is needed.
//!
//! A page is cheapest when the process has had it before: for a new one the kernel finds it, clears
//! it, and on a virtual machine the hypervisor may do the same once more. The first time that each
//! byte of the tail cache is used costs more processor time than everything else that a record
//! needs (module [`storage::read::cache`](crate::storage::read::cache) keeps what fits in the budget, so a young
//! broker under load touches new pages all the time). [`lock`] takes the whole budget at start,
//! on a thread of its own, and locks it.
//!
//! For the same reason [`keep`] stops the allocator from giving back what is free for a moment:
//! blocks and chunks of megabytes come and go with each turn, and their pages would be cleared anew
//! each time. What was measured, and what was left out: `src/shard/DECISIONS.md`.

use rustix::process::{Resource, getrlimit, setrlimit};
use std::alloc::{Layout, alloc, dealloc};
use std::ffi::c_long;
use std::io;
use std::ptr::NonNull;

/// The allocator hands out pieces of this size as they are, and takes them back for any use.
const PIECE: usize = 32 << 20;

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

/// Takes `bytes` bytes from the allocator, rounded down to 32 MiB, locks them, and gives them back to
/// it; the kernel does not take locked pages back, so it holds them for good. Returns how many. Takes about a
/// second for each GiB; allocations go on meanwhile. The error is that of the first piece that cannot be
/// locked: `ENOMEM` or `EPERM` of `mlock(2)` mean that `RLIMIT_MEMLOCK` is too small.
pub fn lock(bytes: usize) -> io::Result<usize> {
    raise_limit();
    let mut pieces = Vec::with_capacity(bytes / PIECE);
    for _ in 0..bytes / PIECE {
        pieces.push(Piece::locked()?);
    }
    Ok(pieces.len() * PIECE)
}

/// Up to the hard limit; what does not work shows when memory is locked.
fn raise_limit() {
    let mut limit = getrlimit(Resource::Memlock);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Memlock, limit);
}

/// Memory of the allocator's, taken from others for as long as this lives.
struct Piece(NonNull<u8>);

impl Piece {
    const LAYOUT: Layout = match Layout::from_size_align(PIECE, 4096) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    };

    fn locked() -> io::Result<Self> {
        // SAFETY: the layout is not empty.
        let start = NonNull::new(unsafe { alloc(Self::LAYOUT) });
        let piece = Self(start.ok_or(io::ErrorKind::OutOfMemory)?);
        // SAFETY: the piece is ours and that long. The kernel only maps its pages.
        unsafe { rustix::mm::mlock(piece.0.as_ptr().cast(), PIECE)? };
        Ok(piece)
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and dropped once.
        unsafe { dealloc(self.0.as_ptr(), Self::LAYOUT) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    #[test]
    fn whole_pieces_are_locked_as_far_as_the_limit_goes() {
        assert_eq!(lock(PIECE - 1).expect("nothing to lock"), 0);
        // Where the limit is too small for one piece, that is the error; never a panic.
        match lock(2 * PIECE + 5) {
            Ok(bytes) => assert_eq!(bytes, 2 * PIECE),
            Err(e) => {
                let known = [Errno::NOMEM, Errno::PERM, Errno::AGAIN];
                assert!(known.iter().any(|k| e.raw_os_error() == Some(k.raw_os_error())), "{e}");
            }
        }
    }
}
