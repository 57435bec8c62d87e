//! The memory budget: kept once it was touched, and on demand touched before it is needed.
//!
//! A page is cheapest when the process has had it before: for a new one the kernel finds it, clears
//! it, and on a virtual machine the hypervisor may do the same once more. The first time that each
//! byte of the tail cache is used costs more processor time than everything else that a record
//! needs (module [`storage::cache`](crate::storage::cache) keeps what fits in the budget, so a young
//! broker under load touches new pages all the time). [`lock`] takes the whole budget at start,
//! maps and locks it on a thread of its own, and hands it to the allocator piece by piece.
//!
//! For the same reason [`keep`] stops the allocator from giving back what is free for the moment:
//! blocks and chunks of megabytes come and go with each turn, and their pages were cleared anew each
//! time. With it, the bulk workload of `benches/` went from 380 to 750 MB/s on one core, from 2.3 to
//! 1.0 processor seconds per GB, and its longest stalls from 600 to 60 ms.
//!
//! Huge pages in place of this do not help: they save faults, not the clearing.

use std::ffi::c_void;
use std::io;
use std::ptr;

/// Pieces are multiples of this: the allocator's bitmaps count in it.
const UNIT: usize = 32 << 20;
/// At most so many pieces: the allocator can take a hundred or so.
const PIECES: usize = 64;

/// Sizes of the pieces of `bytes`: whole units, equal but for the last.
fn pieces(bytes: usize) -> impl Iterator<Item = usize> {
    let bytes = bytes / UNIT * UNIT;
    let piece = bytes.div_ceil(PIECES).next_multiple_of(UNIT);
    (0..bytes).step_by(piece.max(UNIT)).map(move |at| piece.min(bytes - at))
}

/// `mi_option_purge_delay` of the allocator; its bindings do not name it.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// From now on the allocator keeps what is freed. The process holds as much as it once needed, which
/// the budget bounds.
pub fn keep() {
    // SAFETY: sets a number that the allocator reads.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}

/// Maps and locks `bytes` bytes, rounded down to 32 MiB, and gives them to the allocator, which
/// keeps them for good. Returns how many. Takes about a second for each GiB; memory that is asked
/// for meanwhile comes as ever. An error is the first piece's that cannot be had: `ENOMEM` or
/// `EPERM` of `mmap(2)` with `MAP_LOCKED` mean that `RLIMIT_MEMLOCK` is too small.
pub fn lock(bytes: usize) -> io::Result<usize> {
    raise_limit();
    let mut done = 0;
    for len in pieces(bytes) {
        take(len)?;
        done += len;
    }
    Ok(done)
}

/// Up to the hard limit; what does not work shows when memory is locked.
fn raise_limit() {
    // SAFETY: both calls get a valid `rlimit`.
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        if libc::getrlimit(libc::RLIMIT_MEMLOCK, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_MEMLOCK, &raw const limit);
        }
    }
}

fn take(len: usize) -> io::Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE | libc::MAP_LOCKED;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping, which overlaps nothing.
    let start = unsafe { libc::mmap(ptr::null_mut(), len, access, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let (committed, pinned, zero, any_node, exclusive) = (true, true, true, -1, false);
    // SAFETY: the mapping is `len` bytes, readable, writable, zero, and nobody else's from here on.
    let taken = unsafe {
        libmimalloc_sys::mi_manage_os_memory_ex(
            start.cast_const(),
            len,
            committed,
            pinned,
            zero,
            any_node,
            exclusive,
            ptr::null_mut::<libmimalloc_sys::mi_arena_id_t>(),
        )
    };
    if taken {
        return Ok(());
    }
    // SAFETY: made above, and the allocator did not take it.
    unsafe { libc::munmap(start.cast::<c_void>(), len) };
    Err(io::Error::other("the allocator does not take it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_few_and_whole() {
        let all = |bytes| pieces(bytes).collect::<Vec<_>>();
        assert!(all(UNIT - 1).is_empty());
        assert_eq!(all(3 * UNIT + 5), [UNIT; 3]);
        for gib in [1, 7, 300] {
            let all = all(gib << 30);
            assert!(all.len() <= PIECES && all.iter().all(|it| it % UNIT == 0));
            assert_eq!(all.iter().sum::<usize>(), gib << 30);
        }
    }
}
