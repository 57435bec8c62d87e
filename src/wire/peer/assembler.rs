//! From bytes as they come to messages.

use super::codec::decode;
use super::error::PeerError;
use super::framing::{HEADER, Header};
use super::message::PeerMessage;
use bytes::{Buf, Bytes, BytesMut};
use std::mem::MaybeUninit;

/// Room that is made at once. What is announced is no reason to make more: what has arrived is.
const ROOM: usize = 256 << 10;

/// Puts together the messages of what has come.
#[derive(Debug, Default)]
pub struct Assembler {
    bytes: BytesMut,
}

impl Assembler {
    /// Room for the next bytes.
    pub fn spare(&mut self) -> &mut [MaybeUninit<u8>] {
        if self.bytes.capacity() - self.bytes.len() < ROOM / 4 {
            let missing = match Header::read(&self.bytes) {
                Ok(Some(header)) => header.len().saturating_sub(self.bytes.len()),
                _ => 0,
            };
            // A long message makes room as it comes: twice what is there, and no more than is missing.
            self.bytes.reserve(ROOM.max(missing.min(self.bytes.len())));
        }
        self.bytes.spare_capacity_mut()
    }

    /// So many bytes were put there.
    ///
    /// # Safety
    /// The first `n` bytes of [`spare`](Self::spare) were written since it was asked.
    pub unsafe fn filled(&mut self, n: usize) {
        // SAFETY: the caller says so.
        unsafe { self.bytes.set_len(self.bytes.len() + n) };
    }

    /// These bytes came.
    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Bytes that have come and are in no message yet.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The next message, if it is there whole. After an error nothing that follows can be read.
    pub fn take(&mut self) -> Result<Option<PeerMessage>, PeerError> {
        let Some(header) = Header::read(&self.bytes)? else { return Ok(None) };
        if self.bytes.len() < header.len() {
            return Ok(None);
        }
        let mut whole: Bytes = self.bytes.split_to(header.len()).freeze();
        whole.advance(HEADER);
        let table = whole.split_to(header.table);
        if crc32c::crc32c(&table) != header.checksum {
            return Err(PeerError::Checksum);
        }
        decode(&table, whole).map(Some)
    }
}
