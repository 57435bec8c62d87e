//! Memory for direct I/O, charged to one budget.

use bytes::Bytes;
use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Direct I/O is aligned to this in memory, position and length.
pub const ALIGN: usize = 4096;

/// Rounds up to [`ALIGN`].
pub const fn align_up(n: usize) -> usize {
    n.div_ceil(ALIGN) * ALIGN
}

/// Bytes in use against a limit, counted across threads.
///
/// Charging never fails: what must be admitted asks [`Budget::left`] first and waits. So a reply or
/// a recovery that is already under way is never refused half-way.
#[derive(Debug)]
pub struct Budget {
    used: AtomicUsize,
    limit: usize,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit })
    }

    /// Bytes charged now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes in all.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Bytes that can still be charged.
    pub fn left(&self) -> usize {
        self.limit.saturating_sub(self.used())
    }

    /// Counts `bytes` as used.
    pub fn charge(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives `bytes` back.
    pub fn release(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "released more than was charged");
    }
}

/// Memory aligned for direct I/O, charged to a budget until the last slice of it is dropped.
pub struct AlignedBuf {
    ptr: NonNull<u8>,
    len: usize,
    budget: Arc<Budget>,
}

// SAFETY: the memory is owned, and shared only through `&self` for reading.
unsafe impl Send for AlignedBuf {}
// SAFETY: as above.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// Zeroed memory of `len` bytes, rounded up to [`ALIGN`].
    pub fn zeroed(len: usize, budget: &Arc<Budget>) -> Self {
        Self::with(len, budget, alloc_zeroed)
    }

    fn with(len: usize, budget: &Arc<Budget>, make: unsafe fn(Layout) -> *mut u8) -> Self {
        let len = align_up(len.max(1));
        let layout = Self::layout(len);
        // SAFETY: the layout is not empty.
        let ptr =
            NonNull::new(unsafe { make(layout) }).unwrap_or_else(|| handle_alloc_error(layout));
        budget.charge(len);
        Self { ptr, len, budget: budget.clone() }
    }

    /// Memory of at least `data.len()` bytes that starts with `data`; the rest, up to the next
    /// multiple of [`ALIGN`], is zero.
    pub fn copy_of(data: &[u8], budget: &Arc<Budget>) -> Self {
        let mut buf = Self::with(data.len(), budget, alloc);
        // SAFETY: `len` bytes were allocated, and every one of them is written here.
        unsafe {
            buf.ptr.as_ptr().add(data.len()).write_bytes(0, buf.len - data.len());
        }
        buf[..data.len()].copy_from_slice(data);
        buf
    }

    fn layout(len: usize) -> Layout {
        Layout::from_size_align(len, ALIGN).expect("a length that fits in isize")
    }

    /// Shares the memory; it goes when the last slice goes.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

/// Aligned memory that is being filled from its start. Nothing is zeroed that is written anyway.
pub struct Filling {
    buf: AlignedBuf,
    filled: usize,
}

impl Filling {
    /// Room for `capacity` bytes, rounded up to [`ALIGN`].
    pub fn new(capacity: usize, budget: &Arc<Budget>) -> Self {
        Self { buf: AlignedBuf::with(capacity, budget, alloc), filled: 0 }
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.filled
    }

    /// Whether nothing was put in.
    pub fn is_empty(&self) -> bool {
        self.filled == 0
    }

    /// Appends `data`. Panics where it does not fit: capacity is computed beforehand.
    pub fn push(&mut self, data: &[u8]) {
        assert!(data.len() <= self.buf.len - self.filled, "the buffer was made too small");
        // SAFETY: that many bytes are allocated behind `filled`, and `data` cannot overlap them,
        // since `&mut self` is exclusive.
        unsafe {
            let to = self.buf.ptr.as_ptr().add(self.filled);
            to.copy_from_nonoverlapping(data.as_ptr(), data.len());
        }
        self.filled += data.len();
    }

    /// Appends `n` zeros.
    pub fn push_zeros(&mut self, n: usize) {
        assert!(n <= self.buf.len - self.filled, "the buffer was made too small");
        // SAFETY: that many bytes are allocated behind `filled`.
        unsafe { self.buf.ptr.as_ptr().add(self.filled).write_bytes(0, n) }
        self.filled += n;
    }

    /// What was filled so far.
    pub fn filled(&mut self) -> &mut [u8] {
        // SAFETY: the first `filled` bytes are initialised.
        unsafe { std::slice::from_raw_parts_mut(self.buf.ptr.as_ptr(), self.filled) }
    }

    /// The memory, zeros behind what was filled.
    pub fn finish(mut self) -> AlignedBuf {
        let rest = self.buf.len - self.filled;
        self.push_zeros(rest);
        self.buf
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        self.budget.release(self.len);
        // SAFETY: allocated with this layout, and dropped once.
        unsafe { dealloc(self.ptr.as_ptr(), Self::layout(self.len)) }
    }
}

impl AsRef<[u8]> for AlignedBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl std::ops::Deref for AlignedBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `len` bytes are allocated and initialised.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }
}

impl std::ops::DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_charged_until_the_last_slice_goes() {
        let budget = Budget::new(1 << 20);
        let buf = AlignedBuf::copy_of(&[7; 5000], &budget);
        assert_eq!((buf.len(), buf[4999], buf[5000]), (8192, 7, 0));
        assert_eq!(buf.as_ptr() as usize % ALIGN, 0);
        let slice = buf.freeze().slice(10..20);
        assert_eq!(budget.used(), 8192);
        drop(slice);
        assert_eq!((budget.used(), budget.left()), (0, 1 << 20));
    }
}
