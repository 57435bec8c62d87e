//! Bytes in use against a limit, and where they come from.

use super::super::arena::Arena;
use super::ALIGN;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug)]
struct Counts {
    used: AtomicUsize,
    limit: usize,
}

/// Bytes in use against a limit, counted across threads; and the memory that buffers take.
///
/// Charging never fails: what must be admitted asks [`Budget::left`] first and waits. So a reply or
/// a recovery that is already under way is never refused half-way.
#[derive(Debug)]
pub struct Budget {
    counts: Arc<Counts>,
    arena: Option<Arc<Arena>>,
    /// The shard whose part of the arena is asked first.
    home: usize,
}

impl Budget {
    /// A budget of `limit` bytes whose buffers come from the general heap.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { counts: Self::counts(limit), arena: None, home: 0 })
    }

    /// A budget of `limit` bytes whose buffers come from `arena`.
    pub fn of_arena(limit: usize, arena: Arc<Arena>) -> Arc<Self> {
        Arc::new(Self { counts: Self::counts(limit), arena: Some(arena), home: 0 })
    }

    fn counts(limit: usize) -> Arc<Counts> {
        Arc::new(Counts { used: AtomicUsize::new(0), limit })
    }

    /// The same budget as a shard sees it: its buffers come from its own part of the arena.
    pub fn on_shard(&self, shard: usize) -> Arc<Self> {
        Arc::new(Self { counts: self.counts.clone(), arena: self.arena.clone(), home: shard })
    }

    /// Another budget, of `limit` bytes, whose buffers come from the same memory.
    pub fn beside(&self, limit: usize) -> Arc<Self> {
        let (arena, home) = (self.arena.clone(), self.home);
        Arc::new(Self { counts: Self::counts(limit), arena, home })
    }

    /// Where buffers come from, unless it is the general heap.
    pub fn arena(&self) -> Option<&Arena> {
        self.arena.as_deref()
    }

    /// Whether `bytes` bytes of buffers may stay that nobody needs; see [`Arena::spare`].
    pub fn spare(&self, bytes: usize) -> bool {
        self.arena.as_ref().is_none_or(|arena| arena.spare(self.home, bytes.div_ceil(ALIGN)))
    }

    /// Bytes charged now.
    pub fn used(&self) -> usize {
        self.counts.used.load(Ordering::Relaxed)
    }

    /// Bytes in all.
    pub fn limit(&self) -> usize {
        self.counts.limit
    }

    /// Bytes that can still be charged.
    pub fn left(&self) -> usize {
        self.limit().saturating_sub(self.used())
    }

    /// Counts `bytes` as used.
    pub fn charge(&self, bytes: usize) {
        self.counts.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives `bytes` back.
    pub fn release(&self, bytes: usize) {
        let before = self.counts.used.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "released more than was charged");
    }

    fn layout(bytes: usize) -> Layout {
        Layout::from_size_align(bytes, ALIGN).expect("a length that fits in isize")
    }

    /// Memory of `bytes` bytes, a multiple of [`ALIGN`] and not zero of them, charged. It may never
    /// have been written.
    pub(super) fn take(&self, bytes: usize) -> NonNull<u8> {
        debug_assert!(bytes > 0 && bytes.is_multiple_of(ALIGN));
        self.charge(bytes);
        if let Some(arena) = &self.arena {
            if let Some(pages) = arena.take(self.home, bytes / ALIGN) {
                return pages;
            }
            arena.count_outside(bytes);
        }
        let layout = Self::layout(bytes);
        // SAFETY: the layout is not empty.
        NonNull::new(unsafe { alloc(layout) }).unwrap_or_else(|| handle_alloc_error(layout))
    }

    /// Gives memory back, on any thread.
    ///
    /// # Safety
    ///
    /// [`take`](Self::take) of this budget gave it, so many bytes, and nobody uses it any more.
    pub(super) unsafe fn give(&self, memory: NonNull<u8>, bytes: usize) {
        self.release(bytes);
        if let Some(arena) = &self.arena {
            if arena.holds(memory) {
                // SAFETY: the arena gave it, and the rest is the caller's promise.
                return unsafe { arena.give(memory, bytes / ALIGN) };
            }
            arena.uncount_outside(bytes);
        }
        // SAFETY: allocated with this layout, and given back once.
        unsafe { dealloc(memory.as_ptr(), Self::layout(bytes)) }
    }
}
