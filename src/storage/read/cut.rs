//! What a truncation must know of the segment that it falls into.
//!
//! What is left must look as if what went had never been: length, largest timestamp and index of the
//! segment are those of its frames below the cut. The index knows them by the chunk, so the frames of
//! one chunk have to be looked at, and they may be on the disk only: [`Reads::before_truncate`] says
//! what to read; a truncation then needs nothing more. All of it is journaled with the truncation, so
//! replay reads no segment.

use super::{ReadError, Reads, Ticket};
use crate::storage::buffer::align_up;
use crate::storage::format::frame::FrameHeader;
use crate::storage::format::segment::Cut;
use crate::storage::interface::Slot;
use crate::storage::log::Cutting;
use crate::storage::logs::Logs;

impl Reads {
    /// A read that a truncation at `offset` needs first; to be asked for again when it has ended, until
    /// nothing is missing.
    ///
    /// # Errors
    /// [`ReadError::Storage`] where the frames before the cut cannot be found: nothing was changed.
    pub fn before_truncate(
        &mut self,
        logs: &mut Logs,
        slot: Slot,
        offset: i64,
    ) -> Result<Option<Ticket>, ReadError> {
        let log = logs.log(slot);
        let at = log.pending.partition_point(|p| p.last < offset);
        if log.pending.get(at).is_some_and(|p| p.base < offset) {
            return Err(ReadError::Storage(format!("no frame ends before offset {offset}")));
        }
        let within = |s: &crate::storage::format::segment::Segment| {
            s.meta.base < offset && offset < s.meta.next
        };
        let Some(found) = log.segments.iter().position(within) else { return Ok(None) };
        let segment = &log.segments[found];
        let generation = segment.meta.generation;
        let known = log.cutting.as_ref();
        if known.is_none_or(|c| (c.offset, c.generation) != (offset, generation)) {
            if let Some(read) = self.whole_index(log, slot, found) {
                return Ok(Some(read));
            }
            let log = logs.log_mut(slot);
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
            let log = logs.log_mut(slot);
            let cutting = log.cutting.as_mut().expect("just made");
            if cutting.at >= offset {
                return Ok(None);
            }
            let (at, base) = (cutting.at, cutting.cut.segment);
            let chunk = self.chunk_with(slot, at).filter(|c| c.segment == base);
            let Some(chunk) = chunk else { return self.want(logs, slot, at, false).map(Some) };
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
                cut.checksum = header.chain_checksum();
            }
            if next <= at || next > offset {
                let why = format!("no frame ends before offset {offset}");
                return Err(ReadError::Storage(why));
            }
            cutting.at = next;
        }
    }
}
