//! Address space of the arena: reserved once, backed by memory as it is touched.

use super::super::align::ALIGN;
use rustix::mm::{Advice, MapFlags, MlockFlags, ProtFlags};
use std::io;
use std::ptr::NonNull;

/// Size and alignment of a huge page.
pub const HUGE: usize = 2 << 20;

/// Private memory of the process, aligned to [`HUGE`], unmapped when this goes.
#[derive(Debug)]
pub(super) struct Mapping {
    /// What was mapped: the start is aligned by leaving out some of it.
    whole: (NonNull<u8>, usize),
    start: NonNull<u8>,
    len: usize,
    huge: bool,
}

// SAFETY: memory without an owning thread. This type hands out its address and no reference.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Reserves `len` bytes, which are zero. Nothing of it takes memory before it is touched.
    pub fn reserve(len: usize) -> io::Result<Self> {
        let size = len.checked_add(HUGE).ok_or(io::ErrorKind::OutOfMemory)?;
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses where: nothing that exists is replaced.
        let address =
            unsafe { rustix::mm::mmap_anonymous(std::ptr::null_mut(), size, access, flags)? };
        let whole = NonNull::new(address.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let skip = whole.as_ptr().align_offset(HUGE);
        // SAFETY: less than `HUGE`, by which the mapping is longer than `len`.
        let start = unsafe { whole.add(skip) };
        // SAFETY: advice for memory that is ours, and that changes no content.
        let huge = unsafe {
            rustix::mm::madvise(start.as_ptr().cast(), len, Advice::LinuxHugepage).is_ok()
        };
        Ok(Self { whole: (whole, size), start, len, huge })
    }

    pub fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the kernel takes the wish for huge pages.
    pub fn huge(&self) -> bool {
        self.huge
    }

    /// Backs `len` bytes from `from` on with memory, as a write to each page does. Fails before Linux 5.14.
    pub fn populate(&self, from: usize, len: usize) -> io::Result<()> {
        assert!(from <= self.len && len <= self.len - from, "within the mapping");
        // SAFETY: the memory is ours and that long, and populating changes no content: others may use
        // it meanwhile.
        unsafe {
            let at = self.start.as_ptr().add(from);
            rustix::mm::madvise(at.cast(), len, Advice::LinuxPopulateWrite)?;
        }
        Ok(())
    }

    /// Locks all of it, and touches it, on so many threads: a second or less for each GiB and thread.
    /// `ENOMEM` and `EPERM` mean that `RLIMIT_MEMLOCK` is too small (`mlock(2)`); nothing was touched then.
    pub fn lock(&self, threads: usize) -> io::Result<()> {
        let start = self.start.as_ptr();
        // SAFETY: the memory is ours and that long, and locking changes no content.
        unsafe { rustix::mm::mlock_with(start.cast(), self.len, MlockFlags::ONFAULT)? };
        let piece = (self.len / threads.max(1)).next_multiple_of(HUGE).max(HUGE);
        std::thread::scope(|scope| {
            for from in (0..self.len).step_by(piece) {
                // What cannot be populated, `mlock` touches below, or gives the error.
                scope.spawn(move || self.populate(from, piece.min(self.len - from)));
            }
        });
        // SAFETY: as above.
        unsafe { rustix::mm::mlock(start.cast(), self.len)? };
        Ok(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let (start, len) = self.whole;
        // SAFETY: mapped by `reserve` with this length; who has an address into it keeps the arena.
        let _ = unsafe { rustix::mm::munmap(start.as_ptr().cast(), len) };
    }
}

const _: () = assert!(HUGE.is_multiple_of(ALIGN));
