//! Memory aligned for direct I/O.

use super::{Budget, align_up};
use bytes::Bytes;
use std::ptr::NonNull;
use std::sync::Arc;

/// Memory aligned for direct I/O, charged to a budget until the last slice of it is dropped.
pub struct AlignedBuf {
    start: NonNull<u8>,
    /// Bytes that it holds, the first of `room`.
    len: usize,
    /// Bytes that are charged.
    room: usize,
    budget: Arc<Budget>,
}

// SAFETY: the memory is owned, and shared only through `&self` for reading.
unsafe impl Send for AlignedBuf {}
// SAFETY: as above.
unsafe impl Sync for AlignedBuf {}

impl AlignedBuf {
    /// Room for `room` bytes, rounded up to [`ALIGN`](super::ALIGN); it holds none yet.
    pub(super) fn empty(room: usize, budget: &Arc<Budget>) -> Self {
        let room = align_up(room.max(1));
        Self { start: budget.take(room), len: 0, room, budget: budget.clone() }
    }

    /// Bytes of memory that it takes.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Where it starts; `room` bytes from there are this buffer's to write.
    pub(super) fn start(&mut self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// From now on it holds `len` bytes.
    ///
    /// # Safety
    ///
    /// The first `len` bytes were written, and there is room for them.
    pub(super) unsafe fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.room);
        self.len = len;
    }

    /// Shares the memory; it goes when the last slice goes.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        // SAFETY: taken from this budget, and dropped once.
        unsafe { self.budget.give(self.start, self.room) }
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
        // SAFETY: `len` bytes are there and were written.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl std::ops::DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ALIGN;
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
