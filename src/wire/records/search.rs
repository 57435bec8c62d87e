//! Finding a record by its time, a piece at a time.
//!
//! A batch may decompress to many times its size, which takes longer than a shard may be held up. A
//! search keeps its place, so that its owner can let others work between two steps.

use super::walk::{CUT_OFF, LENGTH, RECORD_COST, Source, open};
use super::{BatchHeader, RecordError, varint};

/// A record's place in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOffset {
    /// The record's offset.
    pub offset: i64,
    /// Its timestamp, milliseconds since the epoch.
    pub timestamp: i64,
}

/// Which record of a batch is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The first one at or after `offset` whose timestamp is `timestamp` or later: what
    /// `ListOffsets` by time answers with (KIP-79).
    NotBefore {
        /// See above.
        offset: i64,
        /// Milliseconds since the epoch.
        timestamp: i64,
    },
    /// The first one with the batch's max timestamp (KIP-734).
    Latest,
}

/// How far a search has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It goes on with the next step.
    More,
    /// It is at its end, with what it has found.
    Done(Option<TimedOffset>),
}

/// A search in one batch. Looks at lengths, offsets and timestamps only: what else is wrong with a
/// record it does not see.
pub struct TimeSearch<'a> {
    header: BatchHeader,
    wanted: Wanted,
    /// `None` where the header says already that there is nothing.
    source: Option<Source<'a>>,
    records_left: i32,
    /// Bytes up to the next record.
    skip: usize,
}

impl<'a> TimeSearch<'a> {
    /// A search in the batch that `batch` begins with, which may decompress to so many bytes.
    ///
    /// # Errors
    /// What [`BatchHeader::parse`] says; damaged compressed bytes.
    pub fn new(
        batch: &'a [u8],
        wanted: Wanted,
        max_decompressed: usize,
    ) -> Result<Self, RecordError> {
        let header = BatchHeader::parse(batch)?;
        let is_here = match wanted {
            // A batch has no record later than its max timestamp.
            Wanted::NotBefore { offset, timestamp } => {
                header.max_timestamp >= timestamp && header.last_offset() >= offset
            }
            Wanted::Latest => true,
        };
        let source = if is_here { Some(open(&header, batch, max_decompressed)?) } else { None };
        let records_left = header.record_count;
        Ok(Self { header, wanted, source, records_left, skip: 0 })
    }

    /// Searches on, until about `budget` bytes are decompressed or passed.
    ///
    /// # Errors
    /// Records that end early or are damaged; [`RecordError::TooLarge`].
    pub fn step(&mut self, budget: usize) -> Result<Progress, RecordError> {
        let Some(source) = &mut self.source else { return Ok(Progress::Done(None)) };
        let mut left = budget;
        loop {
            while self.skip > 0 {
                let passed = source.pass(self.skip);
                self.skip -= passed;
                if self.skip == 0 {
                    break;
                }
                if left == 0 {
                    return Ok(Progress::More);
                }
                let more = source.refill()?;
                if more == 0 {
                    return Err(CUT_OFF);
                }
                left = left.saturating_sub(more);
            }
            if self.records_left <= 0 {
                return Ok(Progress::Done(None));
            }
            if left == 0 {
                return Ok(Progress::More);
            }
            left = left.saturating_sub(RECORD_COST);
            let len = varint::read_i32(|| source.byte())?;
            let end = source.position() + usize::try_from(len).map_err(|_| LENGTH)?;
            source.byte()?; // attributes: none is defined
            let timestamp_delta = varint::read_i64(|| source.byte())?;
            let offset_delta = varint::read_i32(|| source.byte())?;
            self.skip = end.checked_sub(source.position()).ok_or(LENGTH)?;
            self.records_left -= 1;
            let header = &self.header;
            let timestamp = if header.is_log_append_time() {
                header.max_timestamp
            } else {
                header.base_timestamp.wrapping_add(timestamp_delta)
            };
            let offset = header.base_offset.wrapping_add(i64::from(offset_delta));
            let found = match self.wanted {
                Wanted::NotBefore { offset: from, timestamp: time } => {
                    offset >= from && timestamp >= time
                }
                Wanted::Latest => timestamp == header.max_timestamp,
            };
            if found {
                return Ok(Progress::Done(Some(TimedOffset { offset, timestamp })));
            }
        }
    }

    /// Searches to the end.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn finish(mut self) -> Result<Option<TimedOffset>, RecordError> {
        loop {
            if let Progress::Done(found) = self.step(usize::MAX)? {
                return Ok(found);
            }
        }
    }
}
