//! Lays out a journal block: the one writer of its format. See [`block`].

use super::block::{self, Journal, Kind, Place};
use super::frame::{self, FrameFields, FrameHeader};
use crate::storage::buffer::{Budget, Filling};
use crate::wire::records::crc;
use bytes::Bytes;
use std::sync::Arc;
use zerocopy::IntoBytes;

/// Makes one frame in a buffer: room for its header, batches, then the header.
///
/// The payload's checksum comes from those of the batches, which were checked when they arrived: large
/// ones are not read again. What memory corrupted in between is found by whoever reads the frame.
pub(in crate::storage) struct FrameWriter<'a> {
    out: &'a mut Filling,
    at: usize,
    /// Of the batches before the last one.
    checksum: u32,
    /// Where the last batch starts. It may be changed until the next one is added.
    last: usize,
}

impl<'a> FrameWriter<'a> {
    /// Begins a frame behind what is in `out`.
    #[inline]
    pub fn new(out: &'a mut Filling) -> Self {
        let at = out.len();
        out.push_zeros(frame::HEADER);
        let last = out.len();
        Self { out, at, checksum: 0, last }
    }

    /// Where it starts in the buffer.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Adds a batch whose checksum holds, and gives the copy to be changed in place; its checksum is to
    /// hold afterwards, too.
    #[inline]
    pub fn batch(&mut self, batch: &[u8]) -> &mut [u8] {
        self.sum_up();
        self.out.push(batch);
        &mut self.out.filled()[self.last..]
    }

    #[inline]
    fn sum_up(&mut self) {
        let filled = self.out.filled();
        if filled.len() > self.last {
            self.checksum = crc::append_batch(self.checksum, &filled[self.last..]);
            self.last = filled.len();
        }
    }

    /// Ends the frame.
    #[inline]
    pub fn end(mut self, fields: &FrameFields) -> FrameHeader {
        self.sum_up();
        let filled = self.out.filled();
        let payload = &filled[self.at + frame::HEADER..];
        debug_assert_eq!(self.checksum, crc32c::crc32c(payload), "the batches' checksums hold");
        let header = FrameHeader::around(fields, payload.len(), self.checksum);
        filled[self.at..self.at + frame::HEADER].copy_from_slice(header.as_bytes());
        header
    }
}

/// A block that is being laid out, entry by entry.
pub(in crate::storage) struct BlockWriter {
    out: Filling,
    table: Vec<u8>,
    entries: usize,
}

impl BlockWriter {
    /// A block for that many entries, of `len` bytes by [`block::block_len`].
    pub fn new(entries: usize, len: usize, budget: &Arc<Budget>) -> Self {
        let mut out = Filling::new(len, budget);
        out.push_zeros(block::HEADER + entries * block::ENTRY);
        Self { out, table: Vec::with_capacity(entries * block::ENTRY), entries }
    }

    /// Adds a frame that is made already; where it starts in the block.
    pub fn frame(&mut self, lsn: u64, header: &FrameHeader, frame: &[u8], flags: u8) -> usize {
        let at = self.out.len();
        self.out.push(frame);
        self.table.extend_from_slice(block::append_entry(lsn, header, flags).as_bytes());
        at
    }

    /// Where the next frame is to be made, by a [`FrameWriter`].
    pub fn bodies(&mut self) -> &mut Filling {
        &mut self.out
    }

    /// Adds the line of a frame that was made there.
    pub fn frame_made(&mut self, lsn: u64, header: &FrameHeader) {
        self.table.extend_from_slice(block::append_entry(lsn, header, 0).as_bytes());
    }

    /// Adds a control entry.
    pub fn control(&mut self, lsn: u64, kind: Kind, body: &[u8]) {
        self.table.extend_from_slice(block::control_line(lsn, kind, body).as_bytes());
        self.out.push(body);
    }

    /// The block, and its checksum, which the next one names.
    pub fn seal(mut self, journal: Journal, place: Place) -> (Bytes, u32) {
        assert_eq!(self.table.len(), self.entries * block::ENTRY, "as many as were planned");
        let table = block::HEADER..block::HEADER + self.table.len();
        self.out.filled()[table].copy_from_slice(&self.table);
        let mut whole = self.out.finish();
        let checksum = block::seal(&mut whole, journal, place, self.entries);
        (whole.freeze(), checksum)
    }
}
