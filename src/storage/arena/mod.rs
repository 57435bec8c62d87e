//! The memory of all buffers of a broker: reserved once, touched as it is needed, never returned.
//!
//! A page is dear the first time: the kernel finds it and clears it, and on a virtual machine the
//! host does the same once more. So what was touched is used again before anything new is, and
//! nothing goes back to the kernel while the broker runs. What a buffer takes is whole pages, exactly
//! as many as it needs.
//!
//! One mapping for the process, with a *part* for each shard. A shard takes from its own part, and
//! from its neighbours' when there is no range that is long enough: all parts together are the memory
//! budget, and a shard with much to do may use what others do not. A part for each shard that only
//! this one may use would either waste what idle shards have, or overflow to the general heap while
//! parts that were touched lie idle, on top of the budget.
//!
//! A part is behind a lock. It is held for some dozen instructions, and by its own shard nearly
//! always: then it costs nothing that can be measured (`DECISIONS.md`). Who drops the last slice
//! of a buffer on another thread does not wait for it: when it is taken, the pages go onto a stack of
//! *strays*, which the next one that holds the lock collects.
//!
//! What finds no range comes from the general heap and is counted as *outside*.
//!
//! Without locked memory a thread of its own touches some MiB ahead of what was ever in use
//! (`ahead.rs`): a fault on a huge page takes a shard up to some ms.

mod ahead;
mod free_pages;
mod mapping;
mod spare;
#[cfg(test)]
mod tests;

use super::align::ALIGN;
use ahead::Ahead;
pub use ahead::Populated;
use free_pages::FreePages;
pub use mapping::HUGE;
use mapping::Mapping;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread::Thread;

/// Figures of an arena, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArenaFigures {
    /// Address space.
    pub reserved: u64,
    /// Up to the highest page that was ever in use or touched ahead, of all parts together: no more than
    /// this is memory.
    pub touched: u64,
    /// In buffers now.
    pub in_use: u64,
    /// In buffers that found no room, and are on the general heap.
    pub outside: u64,
    /// How many buffers found no room, ever.
    pub outside_total: u64,
}

/// Pages that were given back while their part was locked. Stands in the first of them.
struct Stray {
    next: *mut Stray,
    pages: u32,
}

/// The pages of one shard.
#[derive(Debug)]
struct Part {
    free: Mutex<FreePages>,
    strays: AtomicPtr<Stray>,
    /// Pages that were ever in use, for the helper: its thread may wait long for a processor, and then not with the lock.
    touched: AtomicU32,
    ahead: Ahead,
}

/// See the module.
#[derive(Debug)]
pub struct Arena {
    mapping: Mapping,
    parts: Box<[Part]>,
    /// Pages of each part but the last, which may have fewer.
    part_pages: usize,
    outside: AtomicUsize,
    outside_total: AtomicU64,
    /// Touches memory before it is needed, if anybody does.
    helper: OnceLock<Thread>,
    /// It is at work.
    helped: AtomicBool,
}

impl Arena {
    /// Reserves `bytes` bytes, rounded up to [`ALIGN`], in `parts` parts. Fails where the process may
    /// not have so much address space (`ulimit -v`, `vm.overcommit_memory=2`).
    pub fn reserve(bytes: usize, parts: usize) -> io::Result<Arc<Self>> {
        let pages = bytes.div_ceil(ALIGN).max(1);
        let mapping = Mapping::reserve(pages * ALIGN)?;
        let part_pages = pages.div_ceil(parts.max(1)).next_multiple_of(HUGE / ALIGN);
        let part = |at: usize| {
            let pages = u32::try_from(part_pages.min(pages - at))
                .map_err(|_| io::ErrorKind::OutOfMemory)?;
            let (free, strays) = (Mutex::new(FreePages::new(pages)), AtomicPtr::default());
            Ok(Part { free, strays, touched: AtomicU32::new(0), ahead: Ahead::new(pages) })
        };
        let parts = (0..pages).step_by(part_pages).map(part).collect::<io::Result<_>>()?;
        let (outside, outside_total) = (AtomicUsize::new(0), AtomicU64::new(0));
        let (helper, helped) = (OnceLock::new(), AtomicBool::new(false));
        Ok(Arc::new(Self { mapping, parts, part_pages, outside, outside_total, helper, helped }))
    }

    /// Whether the kernel takes the wish for huge pages.
    pub fn huge(&self) -> bool {
        self.mapping.huge()
    }

    /// Bytes of address space.
    pub fn reserved(&self) -> usize {
        self.mapping.len()
    }

    /// Touches all of it and locks it. The error is that of `mlock(2)`: `ENOMEM` or `EPERM` where
    /// `RLIMIT_MEMLOCK` is too small.
    pub fn lock(&self) -> io::Result<()> {
        self.mapping.lock(self.parts.len())?;
        for (i, part) in self.parts.iter().enumerate() {
            let pages = self.part_pages.min(self.reserved() / ALIGN - i * self.part_pages);
            self.locked(part).touch(pages as u32);
        }
        Ok(())
    }

    /// Whether all of it is memory already.
    pub fn is_touched(&self) -> bool {
        self.figures().touched == self.reserved() as u64
    }

    /// Whether shard `home` may keep `pages` pages that it could as well do without, as a cache does: memory is
    /// touched for as many that nobody else is likely to need soon. True where nobody touches memory ahead.
    pub fn spare(&self, home: usize, pages: usize) -> bool {
        let part = &self.parts[home % self.parts.len()];
        if !self.helped.load(Ordering::Relaxed) {
            return true;
        }
        let mut free = self.locked(part);
        let touched = free.touched();
        let (backed, reserve) = part.ahead.reserve(touched);
        let pages = u32::try_from(pages).unwrap_or(u32::MAX);
        let granted = !part.ahead.is_short(touched) && free.spare.grant(pages, backed, reserve);
        drop(free);
        if !granted && part.ahead.is_welcome(touched) {
            self.wake_helper();
        }
        granted
    }

    fn wake_helper(&self) {
        if let Some(helper) = self.helper.get() {
            helper.unpark();
        }
    }

    /// Takes `pages` pages for a buffer of shard `home`, of its own part if possible. They hold what
    /// somebody left there, or zeros. None where no part has a range of so many.
    pub(super) fn take(&self, home: usize, pages: usize) -> Option<NonNull<u8>> {
        let range = u32::try_from(pages).ok()?;
        let count = self.parts.len();
        (0..count).map(|i| (home + i) % count).find_map(|index| {
            let part = &self.parts[index];
            let mut free = self.locked(part);
            let first = free.take(range)?;
            let touched = free.touched();
            part.touched.store(touched, Ordering::Relaxed);
            drop(free);
            if part.ahead.is_wanted(touched) {
                self.wake_helper();
            }
            let page = index * self.part_pages + first as usize;
            // SAFETY: the page lies within the mapping.
            Some(unsafe { self.mapping.start().add(page * ALIGN) })
        })
    }

    /// Whether [`take`](Self::take) gave this.
    pub(super) fn holds(&self, at: NonNull<u8>) -> bool {
        let start = self.mapping.start();
        at >= start && (at.as_ptr() as usize) < start.as_ptr() as usize + self.mapping.len()
    }

    /// Gives pages back, on any thread.
    ///
    /// # Safety
    ///
    /// [`take`](Self::take) gave them, so many, and nobody uses them any more.
    pub(super) unsafe fn give(&self, at: NonNull<u8>, pages: usize) {
        let page = (at.as_ptr() as usize - self.mapping.start().as_ptr() as usize) / ALIGN;
        let (index, first) = (page / self.part_pages, (page % self.part_pages) as u32);
        let part = &self.parts[index];
        match part.free.try_lock() {
            Ok(mut free) => free.give(first, pages as u32),
            Err(TryLockError::Poisoned(e)) => e.into_inner().give(first, pages as u32),
            // SAFETY: the caller's promise.
            Err(TryLockError::WouldBlock) => unsafe { part.stray(at, pages as u32) },
        }
    }

    /// A part, with its strays back in it.
    fn locked<'a>(&self, part: &'a Part) -> MutexGuard<'a, FreePages> {
        let mut free = part.free.lock().unwrap_or_else(PoisonError::into_inner);
        if part.strays.load(Ordering::Relaxed).is_null() {
            return free;
        }
        let mut next = part.strays.swap(std::ptr::null_mut(), Ordering::Acquire);
        let start = self.mapping.start().as_ptr() as usize;
        while let Some(stray) = NonNull::new(next) {
            // SAFETY: `stray` wrote it there, and the swap has made it visible and ours alone.
            let Stray { next: after, pages } = unsafe { stray.cast::<Stray>().read() };
            let page = (stray.as_ptr() as usize - start) / ALIGN;
            free.give((page % self.part_pages) as u32, pages);
            next = after;
        }
        free
    }

    /// Counts a buffer that found no room.
    pub(super) fn count_outside(&self, bytes: usize) {
        self.outside.fetch_add(bytes, Ordering::Relaxed);
        self.outside_total.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts that such a buffer is gone.
    pub(super) fn uncount_outside(&self, bytes: usize) {
        self.outside.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Figures for `/metrics`.
    pub fn figures(&self) -> ArenaFigures {
        let mut figures = ArenaFigures {
            reserved: self.reserved() as u64,
            outside: self.outside.load(Ordering::Relaxed) as u64,
            outside_total: self.outside_total.load(Ordering::Relaxed),
            ..ArenaFigures::default()
        };
        for part in &self.parts {
            let free = self.locked(part);
            let touched = free.touched().max(part.ahead.populated());
            figures.touched += u64::from(touched) * ALIGN as u64;
            figures.in_use += u64::from(free.in_use()) * ALIGN as u64;
        }
        figures
    }
}

impl Part {
    /// Puts pages onto the stack of strays. Nobody but who holds the lock takes from it, and takes
    /// all, so an address that comes back between the look and the exchange does no harm.
    ///
    /// # Safety
    ///
    /// The pages are in use by nobody but the caller, who has no use for them any more.
    unsafe fn stray(&self, at: NonNull<u8>, pages: u32) {
        let stray = at.cast::<Stray>();
        let mut next = self.strays.load(Ordering::Relaxed);
        loop {
            // SAFETY: the page is the caller's to write, aligned, and longer than a `Stray`.
            unsafe { stray.write(Stray { next, pages }) };
            let put = self.strays.compare_exchange_weak(
                next,
                stray.as_ptr(),
                Ordering::Release,
                Ordering::Relaxed,
            );
            match put {
                Ok(_) => return,
                Err(now) => next = now,
            }
        }
    }
}
