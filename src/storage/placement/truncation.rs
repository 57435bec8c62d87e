//! Cutting a log off at a frame boundary.
//!
//! What is left must look as if what went had never been: length, largest timestamp and index of the
//! segment that the cut falls into are those of its frames below the cut. The index knows them by the
//! chunk, so the frames of one chunk have to be looked at, and they may be on the disk only:
//! [`Engine::before_truncate`] says what to read, [`Engine::truncate`] then needs nothing more. All of
//! it is journaled with the truncation, so replay reads no segment.

use super::removal::When;
use crate::storage::buffer::align_up;
use crate::storage::engine::Engine;
use crate::storage::format::block::{self, Kind};
use crate::storage::format::frame::FrameHeader;
use crate::storage::format::segment::Cut;
use crate::storage::interface::Slot;
use crate::storage::journal::writer::Waits;
use crate::storage::log::Cutting;
use crate::storage::read::{ColdRead, ReadError};

impl Engine {
    /// Whether [`Engine::truncate`] may be called now. Not while a round holds on to the log, nor
    /// before all of it is acknowledged: the acknowledgement of what was cut off could otherwise
    /// come after it, and pass for one of what was appended in its place.
    pub fn can_truncate(&self, slot: Slot) -> bool {
        let log = self.logs.log(slot);
        !log.busy && !log.dropped && log.acked == log.end
    }

    /// A read that a truncation at `offset` needs first; to be handed to [`Engine::filled`], and
    /// asked for again until nothing is missing.
    ///
    /// # Errors
    /// [`ReadError::Storage`] where the frames before the cut cannot be found: nothing was changed.
    pub fn before_truncate(
        &mut self,
        slot: Slot,
        offset: i64,
    ) -> Result<Option<ColdRead>, ReadError> {
        let log = self.logs.log(slot);
        let within = |s: &crate::storage::format::segment::Segment| {
            s.meta.base < offset && offset < s.meta.next
        };
        let Some(found) = log.segments.iter().position(within) else { return Ok(None) };
        let segment = &log.segments[found];
        let generation = segment.meta.generation;
        let known = log.cutting.as_ref();
        if known.is_none_or(|c| (c.offset, c.generation) != (offset, generation)) {
            if let Some(read) = self.whole_index(slot, found) {
                return Ok(Some(read));
            }
            let log = self.logs.log_mut(slot);
            let segment = &log.segments[found];
            let meta = &segment.meta;
            let start = segment.entry_before(offset);
            let (at, before) = start.map_or((meta.base, -1), |(e, time)| (e.base_offset, time));
            let cut = Cut {
                segment: meta.base,
                length: 0,
                max_timestamp: before,
                max_timestamp_base: meta.base,
                last_append: meta.first_append,
                checksum: 0,
            };
            log.cutting = Some(Box::new(Cutting { offset, generation, at, cut }));
        }
        loop {
            let log = self.logs.log_mut(slot);
            let cutting = log.cutting.as_mut().expect("just made");
            if cutting.at >= offset {
                return Ok(None);
            }
            let (at, base) = (cutting.at, cutting.cut.segment);
            let chunk = self.reads.chunk_with(slot, at).filter(|c| c.segment == base);
            let Some(chunk) = chunk else { return self.cold(slot, at).map(Some) };
            // Chunks in memory were verified when they were made.
            let (skew, mut next) = (chunk.position as usize, at);
            let mut from = 0;
            while from < chunk.bytes.len() {
                let Some(header) = FrameHeader::view(&chunk.bytes[from..]) else {
                    from = align_up(skew + from + 1) - skew;
                    continue;
                };
                if header.base_offset() >= offset {
                    next = offset;
                    break;
                }
                next = header.last_offset() + 1;
                from += header.frame_len();
                if header.base_offset() < at {
                    continue;
                }
                let cut = &mut cutting.cut;
                if header.max_timestamp() > cut.max_timestamp {
                    cut.max_timestamp = header.max_timestamp();
                    cut.max_timestamp_base = header.base_offset();
                }
                cut.length = align_up(skew + from) as u64;
                cut.last_append = header.append_time();
                cut.checksum = header.header_checksum();
            }
            if next <= at || next > offset {
                let why = format!("no frame ends before offset {offset}");
                return Err(ReadError::Storage(why));
            }
            cutting.at = next;
        }
    }

    /// Removes everything from `offset` on, a frame boundary at or above the log start. What is
    /// appended next starts there, in a new segment file. `state` is the partition core's as it is
    /// after the truncation: a start gives it back. [`Engine::before_truncate`] must have said that
    /// nothing is missing.
    pub fn truncate(&mut self, slot: Slot, offset: i64, state: &[u8], token: u64) {
        assert!(self.can_truncate(slot));
        let log = self.logs.log_mut(slot);
        assert!(offset >= log.start && offset <= log.end);
        let cutting = log.cutting.take().filter(|c| c.offset == offset && c.at >= offset);
        let mut freed = 0;
        while log.pending.back().is_some_and(|p| p.base >= offset) {
            let gone = log.pending.pop_back().expect("there is a back");
            freed += gone.frame.len();
        }
        log.pending_bytes -= freed;
        assert!(log.pending.back().is_none_or(|p| p.last < offset), "not a frame boundary");
        let mut gone = Vec::new();
        while log.segments.last().is_some_and(|s| s.meta.base >= offset) {
            gone.extend(log.segments.pop());
        }
        let mut cut = None;
        if offset < log.placed_end {
            // Where a whole segment went, the frame before is on disk: the chain starts anew.
            log.placed_checksum = 0;
            log.placed_end = offset;
            if let Some(last) = log.segments.last_mut() {
                if offset < last.meta.next {
                    let known = cutting.filter(|c| c.generation == last.meta.generation);
                    let mut known = known.expect("before_truncate comes first").cut;
                    // The earliest of equals is the segment's, unless that is gone.
                    if last.meta.max_timestamp_base < offset {
                        known.max_timestamp = last.meta.max_timestamp;
                        known.max_timestamp_base = last.meta.max_timestamp_base;
                    } else if known.max_timestamp_base == last.meta.base {
                        let time = known.max_timestamp;
                        known.max_timestamp_base = last.offset_before_time(time);
                    }
                    log.placed_checksum = known.checksum;
                    cut = Some(known);
                }
                last.truncate(offset, cut.as_ref());
            }
        }
        log.last_checksum =
            log.pending.back().map_or(log.placed_checksum, |p| p.header().header_checksum());
        log.end = offset;
        log.acked = log.acked.min(offset);
        let (tp, log_id) = (log.tp, log.id);
        self.logs.uncount_pending(freed);
        self.reads.forget_from(slot, offset);
        // They go when a checkpoint that was begun after this is durable.
        let rounds = self.stats.rounds + 1 + u64::from(self.round.is_some());
        self.removals.add(log_id, tp, &gone, When::AfterRounds(rounds));
        let body = block::truncate_body(tp, offset, cut.as_ref(), state);
        self.stage_control(slot, Kind::Truncate, offset, body, Waits::Token(token));
    }
}
