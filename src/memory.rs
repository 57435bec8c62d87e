//! What the general heap does with memory that is free for a moment, and in what pages it lies.
//!
//! Buffers of records have memory of their own (module [`storage::arena`](crate::storage::arena)). What
//! is small comes and goes on the heap with each request: [`keep`] stops the allocator from giving its
//! pages back in between, since the kernel would clear them anew each time. [`small_pages`] keeps it out of
//! huge pages: it is some MiB, of many sizes that each begin a page of their own, and would be several times
//! as large. What was measured, and what was left out: `src/shard/DECISIONS.md`.

use rustix::mm::{Advice, madvise};
use std::ffi::{c_long, c_void};
use std::fs;

/// `mi_option_purge_delay` of the allocator; its bindings do not name it.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// `mi_option_allow_thp`: whether what it maps from now on is to be backed by huge pages.
const ALLOW_THP: libmimalloc_sys::mi_option_t = 43;

/// How long the allocator keeps what is free before it gives it back, ms: longer than a busy broker
/// leaves anything free. Not for ever: sizes that are not asked for any more would stay on top of the
/// budget.
const KEEP_MS: c_long = 10_000;

/// From now on the allocator keeps what is freed for a while.
pub fn keep() {
    // SAFETY: sets a number that the allocator reads.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, KEEP_MS) }
}

/// Gives back to the kernel what this thread's heap holds and nobody uses: a start reads much that it does not keep.
pub fn give_back() {
    // SAFETY: the allocator may be asked to collect at any time.
    unsafe { libmimalloc_sys::mi_collect(true) }
}

/// Backs the heap by pages of the usual size, from now on: what it has mapped, and what it will map.
/// Where `/proc` is not there the first part is left as it was.
pub fn small_pages() {
    // SAFETY: sets a number that the allocator reads.
    unsafe { libmimalloc_sys::mi_option_set(ALLOW_THP, 0) };
    let block = Box::new(0_u64);
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let Some((start, len)) = mapping(&maps, (&raw const *block).addr()) else { return };
    let start: *mut c_void = std::ptr::with_exposed_provenance_mut(start);
    // SAFETY: advice about an anonymous mapping changes nothing of what is in it.
    let advised = unsafe { madvise(start, len, Advice::LinuxNoHugepage) };
    // A kernel without huge pages refuses the advice, and needs none.
    advised.unwrap_or_default();
}

/// Start and length of the mapping that `address` lies in, of the lines of `/proc/self/maps`.
fn mapping(maps: &str, address: usize) -> Option<(usize, usize)> {
    maps.lines().find_map(|line| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        (start..end).contains(&address).then_some((start, end - start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mapping_of_an_address_is_found() {
        let maps =
            "1000-3000 rw-p 00000000 00:00 0 \n7f00-8f00 r-xp 00000000 08:01 77  /lib/x\nbad\n";
        assert_eq!(mapping(maps, 0x2fff), Some((0x1000, 0x2000)));
        assert_eq!(mapping(maps, 0x7f00), Some((0x7f00, 0x1000)));
        assert_eq!(mapping(maps, 0x3000), None);
        let here = fs::read_to_string("/proc/self/maps").expect("Linux has /proc");
        assert!(mapping(&here, (&raw const maps).addr()).is_some(), "the stack is mapped");
    }
}
