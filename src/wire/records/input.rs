//! Bytes of a batch that are read from their start on: somebody else's, or held.

use bytes::{Buf, Bytes};
use std::io::{self, BufRead, Read};

/// What is left of them. What is held outlives the step that began to read it.
pub(super) enum Input<'a> {
    Borrowed(&'a [u8]),
    Held(Bytes),
}

impl Input<'_> {
    /// All that is left.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Held(bytes) => bytes,
        }
    }

    /// Passes `n` bytes, of which there are as many.
    pub fn pass(&mut self, n: usize) {
        match self {
            Self::Borrowed(bytes) => *bytes = &bytes[n..],
            Self::Held(bytes) => bytes.advance(n),
        }
    }

    /// Takes the first `n` bytes, of which there are as many.
    pub fn split_to(&mut self, n: usize) -> Self {
        match self {
            Self::Borrowed(bytes) => {
                let (taken, rest) = bytes.split_at(n);
                *bytes = rest;
                Self::Borrowed(taken)
            }
            Self::Held(bytes) => Self::Held(bytes.split_to(n)),
        }
    }
}

impl Read for Input<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = out.len().min(self.as_slice().len());
        out[..n].copy_from_slice(&self.as_slice()[..n]);
        self.pass(n);
        Ok(n)
    }
}

impl BufRead for Input<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        Ok(self.as_slice())
    }

    fn consume(&mut self, n: usize) {
        self.pass(n);
    }
}
