//! Aligned memory on its way to be written or shared.

use super::{AlignedBuf, Budget};
use std::fmt;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// Aligned memory that is being filled from its start. Nothing is zeroed that is written anyway.
pub struct Filling(AlignedBuf);

impl fmt::Debug for Filling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filling({} of {} bytes)", self.len(), self.room())
    }
}

impl Filling {
    /// Room for `capacity` bytes, rounded up to [`ALIGN`](super::ALIGN).
    pub fn new(capacity: usize, budget: &Arc<Budget>) -> Self {
        Self(AlignedBuf::empty(capacity, budget))
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was put in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of memory that it takes, which is all that can be put in.
    pub fn room(&self) -> usize {
        self.0.room()
    }

    /// Appends `data`. Panics where it does not fit: capacity is computed beforehand.
    pub fn push(&mut self, data: &[u8]) {
        let len = self.len();
        assert!(data.len() <= self.room() - len, "the buffer was made too small");
        // SAFETY: there is room for that many bytes behind what is filled, and `data` cannot overlap
        // them, since `&mut self` is exclusive.
        unsafe {
            self.0.start().add(len).copy_from_nonoverlapping(data.as_ptr(), data.len());
            self.0.set_len(len + data.len());
        }
    }

    /// Appends `n` zeros.
    pub fn push_zeros(&mut self, n: usize) {
        let len = self.len();
        assert!(n <= self.room() - len, "the buffer was made too small");
        // SAFETY: there is room for that many bytes behind what is filled.
        unsafe {
            self.0.start().add(len).write_bytes(0, n);
            self.0.set_len(len + n);
        }
    }

    /// Takes back all but the first `len` bytes, if there are more.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            // SAFETY: so many bytes were filled, and more.
            unsafe { self.0.set_len(len) }
        }
    }

    /// The room behind what is filled, for somebody who writes there: the kernel.
    pub fn spare(&mut self) -> &mut [MaybeUninit<u8>] {
        let (len, room) = (self.len(), self.room());
        // SAFETY: these bytes are this buffer's, and need not have been written.
        unsafe { std::slice::from_raw_parts_mut(self.0.start().add(len).cast(), room - len) }
    }

    /// The first `n` bytes of [`spare`](Self::spare) are filled.
    ///
    /// # Safety
    ///
    /// Somebody has written them.
    pub unsafe fn advance(&mut self, n: usize) {
        let len = self.len();
        assert!(n <= self.room() - len, "more was written than there was room for");
        // SAFETY: the caller's promise.
        unsafe { self.0.set_len(len + n) }
    }

    /// What was filled so far.
    pub fn filled(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// What was filled so far, to read.
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The memory as far as it is filled.
    pub fn into_filled(self) -> AlignedBuf {
        self.0
    }

    /// The memory, zeros behind what was filled.
    pub fn finish(mut self) -> AlignedBuf {
        self.push_zeros(self.room() - self.len());
        self.0
    }
}

impl AlignedBuf {
    /// Zeroed memory of `len` bytes, rounded up to [`ALIGN`](super::ALIGN).
    pub fn zeroed(len: usize, budget: &Arc<Budget>) -> Self {
        Filling::new(len, budget).finish()
    }

    /// Memory of at least `data.len()` bytes that starts with `data`; the rest, up to the next
    /// multiple of [`ALIGN`](super::ALIGN), is zero.
    pub fn copy_of(data: &[u8], budget: &Arc<Budget>) -> Self {
        let mut filling = Filling::new(data.len(), budget);
        filling.push(data);
        filling.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_filled_is_seen() {
        let budget = Budget::new(1 << 20);
        let mut filling = Filling::new(5000, &budget);
        assert_eq!((filling.len(), filling.room(), filling.spare().len()), (0, 8192, 8192));
        filling.push(b"ab");
        filling.spare()[0].write(b'c');
        // SAFETY: written above.
        unsafe { filling.advance(1) };
        filling.filled()[0] = b'A';
        assert_eq!(filling.as_slice(), b"Abc");
        filling.push(b"de");
        filling.truncate(4);
        assert_eq!(filling.as_slice(), b"Abcd");
        filling.truncate(3);
        filling.truncate(9);
        let whole = filling.into_filled().freeze();
        assert_eq!((&whole[..], budget.used()), (&b"Abc"[..], 8192));
    }

    #[test]
    #[should_panic(expected = "too small")]
    fn nothing_is_put_behind_the_end() {
        Filling::new(1, &Budget::new(0)).push(&[0; 4097]);
    }
}
