//! Frames of a log, whole, for its followers.

use super::{ReadError, Reads, Ticket};
use crate::storage::align::align_up;
use crate::storage::format::frame::FrameHeader;
use crate::storage::format::whole_frame::Frame;
use crate::storage::interface::Slot;
use crate::storage::logs::Logs;
use bytes::Bytes;

/// What a read of frames gives.
#[derive(Debug)]
pub enum ReadFrames {
    /// Frames that follow each other without gaps; none where there are none below `upto`.
    ///
    /// The first one begins where it was asked for. Where that is within a frame, as after compaction, or
    /// where a log begins anew, it is what of it lies from there on, as a frame of kind compacted.
    Ready {
        /// The frames.
        frames: Vec<Frame>,
        /// Offset after the last record in them.
        next: i64,
    },
    /// The disk is read first: as in [`Read::Wait`](super::Read::Wait).
    Wait(Ticket),
}

/// Collects frames.
struct Taken {
    frames: Vec<Frame>,
    /// Where the next one begins.
    next: i64,
    upto: i64,
    left: usize,
    full: bool,
}

impl Taken {
    /// Takes what is wanted of the frames that `bytes` begin with; padding is skipped. `position` is theirs
    /// in their segment.
    fn take_all(&mut self, bytes: &Bytes, position: u64) {
        walk(bytes, position, |at, header| {
            self.take(&header, || bytes.slice(at..at + header.frame_len()));
            !self.full
        });
    }

    fn take(&mut self, header: &FrameHeader, bytes: impl FnOnce() -> Bytes) {
        if self.full || header.last_offset() < self.next {
            return;
        }
        let (len, is_first) = (header.frame_len(), self.frames.is_empty());
        if header.base_offset() >= self.upto || (len > self.left && !is_first) {
            self.full = true;
            return;
        }
        let frame = Frame::of(*header, &bytes());
        let Some(frame) = frame.cut_below(self.next) else { return };
        self.left = self.left.saturating_sub(len);
        self.next = frame.next_offset();
        self.frames.push(frame);
    }
}

/// Goes through verified frames, with padding between some of them, until `each` wants no more.
fn walk(bytes: &[u8], position: u64, mut each: impl FnMut(usize, FrameHeader) -> bool) {
    let skew = position as usize;
    let mut at = 0;
    while at < bytes.len() {
        match FrameHeader::view(&bytes[at..]) {
            Some(header) => {
                if !each(at, header) {
                    return;
                }
                at += header.frame_len();
            }
            None => at = align_up(skew + at + 1) - skew,
        }
    }
}

impl Reads {
    /// See [`Engine::read_frames`](crate::storage::engine::Engine::read_frames).
    pub fn read_frames(
        &mut self,
        logs: &Logs,
        slot: Slot,
        from: i64,
        upto: i64,
        max_bytes: usize,
    ) -> Result<ReadFrames, ReadError> {
        let log = logs.log(slot);
        if from < log.start || from > log.end {
            return Err(ReadError::OutOfRange);
        }
        let placed_end = log.placed_end;
        let mut out =
            Taken { frames: Vec::new(), next: from, upto, left: max_bytes, full: from >= upto };
        let mut at = from;
        while !out.full && at < placed_end {
            let Some(chunk) = self.chunk_with(slot, at) else {
                if !out.frames.is_empty() {
                    break;
                }
                return self.want(logs, slot, at, true).map(ReadFrames::Wait);
            };
            let (bytes, position, next) = (chunk.bytes.clone(), chunk.position, chunk.next);
            let before = out.next;
            out.take_all(&bytes, position);
            if out.next > before {
                self.cache.taken(slot, at, out.next, |bytes| self.budget.spare(bytes));
            }
            at = next;
        }
        if !out.full && at >= placed_end {
            // Runs in flight hold the frames that they cover, too.
            for data in log.direct.data() {
                out.take_all(data, 0);
            }
            let (covered, _) = log.direct.covered();
            for pending in log.pending.iter().skip(covered) {
                if out.full {
                    break;
                }
                out.take(&pending.header(), || pending.frame.clone());
            }
        }
        if from < placed_end && out.next > from {
            self.ahead.moved(slot, from, out.next);
        }
        Ok(ReadFrames::Ready { frames: out.frames, next: out.next })
    }
}
