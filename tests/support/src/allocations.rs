//! An allocator that counts what each thread allocates. A test target that counts installs it:
//! `#[global_allocator] static ALLOCATOR: Counting = Counting;`

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ops::Sub;

/// Allocations and reallocations of one thread, freed since or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allocated {
    /// How many.
    pub count: u64,
    /// Their bytes.
    pub bytes: usize,
}

impl Sub for Allocated {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { count: self.count - before.count, bytes: self.bytes - before.bytes }
    }
}

thread_local! {
    static ALLOCATED: Cell<Allocated> = const { Cell::new(Allocated { count: 0, bytes: 0 }) };
}

/// The system's allocator, counted.
#[derive(Debug)]
pub struct Counting;

fn count(bytes: usize) {
    // Threads allocate after their locals are gone, too.
    let _ = ALLOCATED.try_with(|allocated| {
        let Allocated { count, bytes: before } = allocated.get();
        allocated.set(Allocated { count: count + 1, bytes: before + bytes });
    });
}

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        // SAFETY: the caller keeps `realloc`'s contract.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

/// What `f` returns, and what this thread allocated in it.
///
/// # Panics
/// Where [`Counting`] is not installed.
pub fn allocated<T>(f: impl FnOnce() -> T) -> (T, Allocated) {
    let before = ALLOCATED.get();
    drop(std::hint::black_box(Box::new(0_u8)));
    assert_ne!(ALLOCATED.get(), before, "the test target does not install the counting allocator");
    let before = ALLOCATED.get();
    let value = f();
    (value, ALLOCATED.get() - before)
}
