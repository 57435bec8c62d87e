//! Answers with records, laid out by hand so that those are not copied.

use super::Response;
use super::response::begin;
use crate::wire::header::RequestHeader;
use crate::wire::{WireError, Writer};
use bytes::Bytes;

/// Slices shorter than this are copied into the answer's head: an entry of a vectored send costs
/// more than the copy.
const SLICE_MIN: usize = 8 << 10;

/// Text around slices of records.
pub struct Layout {
    /// The text.
    pub w: Writer,
    /// At this position of `w`, these.
    cuts: Vec<(usize, Bytes)>,
}

impl Layout {
    /// Begins with the header of the answer.
    pub fn new(header: &RequestHeader<'_>) -> Self {
        Self { w: begin(header), cuts: Vec::new() }
    }

    /// Records of so many bytes.
    pub fn records(
        &mut self,
        slices: Vec<Bytes>,
        bytes: usize,
        flexible: bool,
    ) -> Result<(), WireError> {
        self.w.bytes_len(Some(bytes), flexible)?;
        for slice in slices {
            if slice.len() < SLICE_MIN {
                self.w.raw(&slice);
            } else {
                self.cuts.push((self.w.len(), slice));
            }
        }
        Ok(())
    }

    /// All of it.
    pub fn finish(mut self) -> Response {
        let sliced: usize = self.cuts.iter().map(|(_, slice)| slice.len()).sum();
        let len = self.w.len() - 4 + sliced;
        self.w.set_i32(0, len as i32);
        let (text, errors) = self.w.into_parts();
        let text = Bytes::from(text);
        let mut rest = Vec::with_capacity(self.cuts.len() * 2);
        let mut at = self.cuts.first().map_or(text.len(), |(position, _)| *position);
        let head = text.slice(..at);
        let mut cuts = self.cuts.into_iter().peekable();
        while let Some((position, slice)) = cuts.next() {
            debug_assert!(position == at);
            rest.push(slice);
            let next = cuts.peek().map_or(text.len(), |(position, _)| *position);
            if next > at {
                rest.push(text.slice(at..next));
            }
            at = next;
        }
        Response::of(head, rest, errors)
    }
}
