//! One partition's log as the storage sees it: pending frames, segments, offsets.

use super::damage::Repair;
use super::direct::Direct;
use super::format::frame::FrameHeader;
use super::format::segment::{Cut, Segment};
use super::format::whole_frame::Frame;
use super::interface::{FrameRefused, Tail};
use crate::types::{TopicConfig, TopicPartition};
use bytes::Bytes;
use std::collections::VecDeque;

/// How a log is compacted (`cleanup.policy=compact`); names and units are Kafka's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compaction {
    /// `min.cleanable.dirty.ratio`.
    pub min_cleanable_ratio: f64,
    /// `min.compaction.lag.ms`.
    pub min_lag_ms: i64,
    /// `max.compaction.lag.ms`.
    pub max_lag_ms: i64,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
}

/// The settings of a log that storage acts on; names and units are Kafka's.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`.
    pub segment_bytes: u64,
    /// `segment.ms`.
    pub segment_ms: i64,
    /// `segment.jitter.ms`.
    pub segment_jitter_ms: i64,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// `retention.ms`; -1 is for ever.
    pub retention_ms: i64,
    /// `retention.bytes`; -1 is no limit.
    pub retention_bytes: i64,
    /// `flush.messages`; 1 syncs before each acknowledgement.
    pub flush_messages: i64,
    /// `flush.ms`.
    pub flush_ms: i64,
    /// `file.delete.delay.ms`.
    pub file_delete_delay_ms: i64,
    /// Whether and how it is compacted.
    pub compaction: Option<Compaction>,
}

impl From<&TopicConfig> for LogConfig {
    fn from(topic: &TopicConfig) -> Self {
        Self {
            segment_bytes: topic.segment_bytes,
            // What is in the last segment waits for compaction no longer than it may.
            segment_ms: if topic.compacted {
                topic.segment_ms.min(topic.max_compaction_lag_ms)
            } else {
                topic.segment_ms
            },
            segment_jitter_ms: topic.segment_jitter_ms,
            index_interval_bytes: topic.index_interval_bytes,
            retention_ms: if topic.deletes { topic.retention_ms } else { -1 },
            retention_bytes: if topic.deletes { topic.retention_bytes } else { -1 },
            flush_messages: topic.flush_messages,
            flush_ms: topic.flush_ms,
            file_delete_delay_ms: topic.file_delete_delay_ms,
            compaction: topic.compacted.then_some(Compaction {
                min_cleanable_ratio: topic.min_cleanable_dirty_ratio,
                min_lag_ms: topic.min_compaction_lag_ms,
                max_lag_ms: topic.max_compaction_lag_ms,
                delete_retention_ms: topic.delete_retention_ms,
            }),
        }
    }
}

impl LogConfig {
    /// Keeps everything: what a log has between recovery and the first `configure`.
    pub fn none() -> Self {
        Self {
            segment_bytes: 1 << 30,
            segment_ms: i64::MAX,
            segment_jitter_ms: 0,
            index_interval_bytes: 4096,
            retention_ms: -1,
            retention_bytes: -1,
            flush_messages: 1,
            flush_ms: i64::MAX,
            file_delete_delay_ms: 60_000,
            compaction: None,
        }
    }

    /// Whether an append is acknowledged when it is written, before the sync that follows at once.
    /// Kafka's two settings say how long records may stay unsynced; here no longer than one turn.
    pub fn relaxed(&self) -> bool {
        self.flush_messages != 1 && self.flush_ms != 0
    }

    /// `segment.ms` less this log's share of `segment.jitter.ms`, so that segments made together do
    /// not roll together.
    pub fn roll_after_ms(&self, tp: TopicPartition) -> i64 {
        let spread = self.segment_jitter_ms.min(self.segment_ms).max(0);
        let seed = crc32c::crc32c_append(tp.partition as u32, &tp.topic.0);
        let jitter = if spread == 0 { 0 } else { i64::from(seed) % spread };
        self.segment_ms - jitter
    }
}

/// A frame that stands in the journal and in no segment yet.
#[derive(Debug)]
pub struct Pending {
    /// Header and payload; a slice of a journal block.
    pub frame: Bytes,
    /// Block that holds it.
    pub sequence: u64,
    /// Offset of the first record.
    pub base: i64,
    /// Offset of the last record.
    pub last: i64,
}

impl Pending {
    /// The frame's header.
    pub fn header(&self) -> FrameHeader {
        FrameHeader::view(&self.frame).expect("pending frames are whole")
    }
}

/// What is known so far of a cut that falls into a segment.
#[derive(Debug)]
pub(super) struct Cutting {
    /// Where the log is to be cut.
    pub offset: i64,
    /// Of the segment.
    pub generation: u64,
    /// Frames below this were looked at.
    pub at: i64,
    /// As far as it is known.
    pub cut: Cut,
}

/// What a write at the end of the open segment needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Space {
    /// Nothing: there is room at this position.
    There {
        /// In the segment.
        position: u64,
    },
    /// Space that was not written before: the write goes by way of the journal.
    Unwritten,
    /// A new segment.
    Segment,
}

/// What a truncation took away.
#[derive(Debug)]
pub(super) struct Truncated {
    /// Bytes of frames that were pending.
    pub freed: usize,
    /// Segments whose files are to go.
    pub gone: Vec<Segment>,
    /// How the segment that it fell into was shortened.
    pub cut: Option<Cut>,
}

/// Offsets of a log. `start ≤ acked ≤ end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOffsets {
    /// First offset that can be read.
    pub start: i64,
    /// Offset after the last acknowledged record.
    pub durable_end: i64,
    /// Offset after the last record, acknowledged or not.
    pub end: i64,
    /// Bytes in segments and of pending frames.
    pub bytes: u64,
}

/// One log.
#[derive(Debug)]
pub struct Log {
    /// Its own, in this life: another one under the same name has another.
    pub id: u64,
    /// Whose.
    pub tp: TopicPartition,
    /// Settings.
    pub config: LogConfig,
    /// First offset that can be read.
    pub start: i64,
    /// What of `start` is durable: nothing above it is given up.
    pub durable_start: i64,
    /// Offset after the last acknowledged record.
    pub acked: i64,
    /// Offset after the last record that was handed in.
    pub end: i64,
    /// Header checksum of the last frame that was made; 0 starts a new chain.
    pub last_checksum: u32,
    /// Offset after its last record.
    pub(super) made_end: i64,
    /// Offset after the last record of the last frame that a leader's was taken over from, and what is
    /// chained to that.
    pub(super) taken_over: (i64, u32),
    /// Epoch of the last record that was handed in; -1 where it is not known.
    pub last_epoch: i32,
    /// Its frames are given out, for followers.
    pub replicated: bool,
    /// Retention takes nothing from here on: not every replica may have it.
    pub committed: i64,
    /// Somebody waits until it may be truncated.
    pub(super) awaited: bool,
    /// Frames not yet in a segment, in offset order.
    pub pending: VecDeque<Pending>,
    /// Bytes of them.
    pub pending_bytes: usize,
    /// Clock at the last append, ms.
    pub last_append: i64,
    /// Offset after the last record in segments: where the next placed frame starts.
    pub placed_end: i64,
    /// Header checksum of the last placed frame.
    pub placed_checksum: u32,
    /// In offset order; the last one may be open.
    pub segments: Vec<Segment>,
    /// Offset after the last record that compaction has looked at.
    pub cleaned_end: i64,
    /// Compaction has failed: it is not tried again in this life.
    pub uncleanable: bool,
    /// Times that its pending frames were copied forward in the journal since the last placement.
    pub copies: u8,
    /// Truncations that are not durable.
    pub truncating: u32,
    /// What was found out for a truncation to come.
    pub(super) cutting: Option<Box<Cutting>>,
    /// A job of placement holds on to its segments and pending frames.
    pub busy: bool,
    /// Runs of frames on their way straight into the open segment.
    pub(super) direct: Direct,
    /// It stands in the list of logs that placement is to look at; see [`Logs`](super::logs::Logs).
    pub(super) listed: bool,
    /// It is damaged, or was.
    pub(super) repair: Option<Box<Repair>>,
    /// Deleted; kept until the job lets go.
    pub dropped: bool,
    /// The `Drop` entry is durable.
    pub drop_durable: bool,
    /// What the partition's core is restored from; only between recovery and opening.
    pub state: Vec<u8>,
    /// Index of the frame that this turn's block is gathering for it, plus one.
    pub(super) open_frame: u32,
}

impl Log {
    /// An empty log.
    pub fn new(tp: TopicPartition, config: LogConfig) -> Self {
        Self {
            id: 0,
            tp,
            config,
            start: 0,
            durable_start: 0,
            acked: 0,
            end: 0,
            last_checksum: 0,
            made_end: 0,
            taken_over: (-1, 0),
            last_epoch: -1,
            replicated: false,
            committed: i64::MAX,
            awaited: false,
            pending: VecDeque::new(),
            pending_bytes: 0,
            last_append: 0,
            placed_end: 0,
            placed_checksum: 0,
            segments: Vec::new(),
            cleaned_end: 0,
            uncleanable: false,
            copies: 0,
            truncating: 0,
            cutting: None,
            busy: false,
            direct: Direct::default(),
            listed: false,
            repair: None,
            dropped: false,
            drop_durable: false,
            state: Vec::new(),
            open_frame: 0,
        }
    }

    /// The pending frame with this base offset.
    pub fn pending_at(&self, base: i64) -> Option<&Pending> {
        let i = self.pending.binary_search_by_key(&base, |p| p.base).ok()?;
        self.pending.get(i)
    }

    /// The segment that ends behind `offset`, the first of them.
    pub fn segment_with(&self, offset: i64) -> Option<&Segment> {
        self.segments.get(self.segments.partition_point(|s| s.meta.next <= offset))
    }

    /// Bytes in segments and of pending frames.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|s| s.meta.length).sum::<u64>() + self.pending_bytes as u64
    }

    /// Its offsets.
    pub fn offsets(&self) -> LogOffsets {
        let bytes = self.bytes();
        LogOffsets { start: self.start, durable_end: self.acked, end: self.end, bytes }
    }

    /// Whether nothing was ever in it.
    pub fn is_untouched(&self) -> bool {
        self.end == 0 && self.start == 0
    }

    /// Gives up what lies wholly below the log start, and returns segments whose files can go.
    /// Nothing happens while a job holds on to the log; this is called again when it lets go.
    pub fn trim(&mut self) -> Vec<Segment> {
        if self.busy {
            return Vec::new();
        }
        // Segments that runs in flight go to stay, and one that was just made for what comes.
        let start = self.durable_start;
        let needed = |s: &Segment| {
            Some(s.meta.generation) == self.direct.first_generation()
                || (s.awaits_its_first() && s.meta.base >= start)
        };
        let last = self.segments.iter().position(needed).unwrap_or(self.segments.len());
        let covered = self.direct.covered().0;
        while covered == 0 && self.pending.front().is_some_and(|p| p.last < self.durable_start) {
            let gone = self.pending.pop_front().expect("there is a front");
            self.pending_bytes -= gone.frame.len();
            self.placed_checksum = gone.header().chain_checksum();
            self.placed_end = gone.last + 1;
        }
        // A segment reaches up to the next one's base, so that one below a gap goes too.
        let keep = self.segments.iter().position(|s| s.meta.next > self.durable_start);
        let keep = keep.unwrap_or(self.segments.len()).min(last);
        self.segments.drain(..keep).collect()
    }

    /// How far retention lets the log start move, if at all. Kafka's rules: by time, a segment goes
    /// when its largest timestamp is out of date; by size, while what is left is not below the limit.
    pub fn retention(&self, now_ms: i64) -> Option<i64> {
        let mut start = self.start;
        let mut over = match self.config.retention_bytes {
            limit if limit >= 0 => self.bytes().saturating_sub(limit as u64),
            _ => 0,
        };
        // A job brings frames into segments one after the other: what the last that has some will hold in
        // the end is not known yet, nor anything of those behind it.
        let grown = self.segments.iter().rposition(|s| s.meta.length > 0).unwrap_or(0);
        let known = if self.busy { grown } else { self.segments.len() };
        for (i, segment) in self.segments[..known].iter().enumerate() {
            let meta = &segment.meta;
            let last = i + 1 == self.segments.len();
            // Records without timestamps are as old as their append, as Kafka takes the file's time.
            let newest =
                if meta.max_timestamp >= 0 { meta.max_timestamp } else { meta.last_append };
            let expired = self.config.retention_ms >= 0
                && now_ms.saturating_sub(newest) > self.config.retention_ms;
            // By size the open segment stays, as in Kafka.
            let too_much = over >= meta.length && over > 0 && !last;
            // With frames pending, the last segment is still the one that they go to.
            let ends = self.pending.is_empty() && self.direct.is_empty();
            if !(expired && (!last || ends) || too_much) {
                break;
            }
            over = over.saturating_sub(meta.length);
            start = meta.next;
        }
        let start = start.min(self.acked).min(self.committed);
        (start > self.start).then_some(start)
    }

    /// An offset from which reading on finds the first record with a timestamp (ms) at or above
    /// this one; the log end where there is none.
    pub fn offset_hint_for_time(&self, timestamp: i64) -> i64 {
        let placed = self.segments.iter().find(|s| s.meta.max_timestamp >= timestamp);
        let hint = if let Some(segment) = placed {
            segment.offset_before_time(timestamp)
        } else {
            let found = self.pending.iter().find(|p| p.header().max_timestamp() >= timestamp);
            found.map_or(self.end, |p| p.base)
        };
        hint.max(self.start)
    }

    /// The largest timestamp (ms) at or above the log start and below `upto`, and an offset from
    /// which reading on finds it. After a deletion of records the timestamp may be one of a record
    /// that is gone.
    pub fn max_timestamp(&self, upto: i64) -> Option<(i64, i64)> {
        let placed = self.segments.iter().filter(|s| s.meta.max_timestamp >= 0);
        let placed = placed.map(|s| (s.meta.max_timestamp, s.meta.max_timestamp_base));
        let pending = self
            .pending
            .iter()
            .take_while(|p| p.base < upto)
            .map(|p| (p.header().max_timestamp(), p.base));
        // The first one of equals, as Kafka has it.
        let best = placed.chain(pending).reduce(|a, b| if b.0 > a.0 { b } else { a })?;
        Some((best.0, best.1.max(self.start)))
    }

    /// Whether it may be truncated now. Not while a job holds on to it, nor before all of it is
    /// acknowledged: the acknowledgement of what was cut off could otherwise come after it, and pass
    /// for one of what was appended in its place.
    pub fn can_truncate(&self) -> bool {
        !self.is_held() && !self.dropped && self.acked == self.end
    }

    /// Whether a job of placement, or a run in flight, holds on to its segments.
    pub fn is_held(&self) -> bool {
        self.busy || !self.direct.is_empty()
    }

    /// A frame was made for the next block.
    pub(super) fn made(&mut self, header: &FrameHeader) {
        self.last_checksum = header.chain_checksum();
        self.made_end = header.last_offset() + 1;
    }

    /// How it ends.
    pub fn tail(&self) -> Tail {
        let (end, epoch) = (self.end, self.last_epoch);
        let checksum = match self.taken_over {
            _ if self.made_end == end => Some(self.last_checksum),
            (taken_over, checksum) if taken_over == end => Some(checksum),
            _ => None,
        };
        Tail { end, epoch, checksum }
    }

    /// Takes in a leader's frame, if that continues it.
    pub(super) fn take_over(&mut self, frame: &Frame) -> Result<(), FrameRefused> {
        let header = frame.header();
        if frame.tp() != self.tp {
            return Err(FrameRefused::OtherLog(frame.tp()));
        }
        // A batch that reaches back is left of one whose beginning lies below the log start.
        let first = frame.batches().next().map_or(0, |batch| batch.base_offset);
        let reaches_back = first < self.end && self.start < self.end;
        if header.base_offset() != self.end || reaches_back {
            let base = header.base_offset().min(first);
            return Err(FrameRefused::NotNext { base, end: self.end });
        }
        if header.leader_epoch() < self.last_epoch {
            let (epoch, last) = (header.leader_epoch(), self.last_epoch);
            return Err(FrameRefused::OlderEpoch { epoch, last });
        }
        let Some(tail) = self.tail().checksum else { return Err(FrameRefused::Unsettled) };
        let previous = header.previous_checksum();
        if previous != 0 && tail != 0 && previous != tail {
            return Err(FrameRefused::Chain { previous, tail });
        }
        self.end = frame.next_offset();
        self.last_epoch = header.leader_epoch();
        self.taken_over = (self.end, header.chain_checksum());
        Ok(())
    }

    /// Offset after the last record that is in a segment or on its way there past the journal.
    pub fn planned_end(&self) -> i64 {
        self.direct.end().map_or(self.placed_end, |(next, ..)| next)
    }

    /// The first of the last segments whose index or space may not be looked after yet.
    pub(super) fn unfinished_segments(&self) -> usize {
        let done = |s: &Segment| s.meta.sealed && !s.is_unfinished(true);
        self.segments.iter().rposition(done).map_or(0, |at| at + 1)
    }

    /// Whether the index or the space of a segment is to be looked after.
    pub(super) fn has_unfinished(&self, stopping: bool) -> bool {
        let unfinished = |s: &Segment| s.is_unfinished(stopping);
        self.segments[self.unfinished_segments()..].iter().any(unfinished)
    }

    /// The open segment and where in it the next chunk goes.
    pub fn open_end(&self) -> Option<(&Segment, u64)> {
        let segment = self.segments.last().filter(|s| !s.meta.sealed)?;
        match self.direct.end() {
            Some((_, generation, position)) => {
                (generation == segment.meta.generation).then_some((segment, position))
            }
            None => {
                (segment.meta.next == self.placed_end).then_some((segment, segment.meta.length))
            }
        }
    }

    /// What it takes to write `bytes` at the end of the open segment.
    pub(super) fn space_for(&self, bytes: u64, now_ms: i64) -> Space {
        let Some((segment, position)) = self.open_end() else { return Space::Segment };
        let end = position + bytes;
        let old = now_ms - segment.meta.first_append >= self.config.roll_after_ms(self.tp);
        if position > 0 && (old || end > self.config.segment_bytes) {
            Space::Segment
        } else if end > segment.prewritten {
            Space::Unwritten
        } else {
            Space::There { position }
        }
    }

    /// Removes everything from `offset` on, a frame boundary at or above the log start. What is
    /// appended next starts there, in a new segment file. All that had to be read first must be known.
    pub(super) fn truncate(&mut self, offset: i64) -> Truncated {
        assert!(self.can_truncate());
        assert!(offset >= self.start && offset <= self.end);
        self.direct.truncated(offset);
        self.truncating += 1;
        let cutting = self.cutting.take().filter(|c| c.offset == offset && c.at >= offset);
        let mut freed = 0;
        while self.pending.back().is_some_and(|p| p.base >= offset) {
            let gone = self.pending.pop_back().expect("there is a back");
            freed += gone.frame.len();
        }
        self.pending_bytes -= freed;
        assert!(self.pending.back().is_none_or(|p| p.last < offset), "not a frame boundary");
        let mut gone = Vec::new();
        while self.segments.last().is_some_and(|s| s.meta.base >= offset) {
            gone.extend(self.segments.pop());
        }
        let mut cut = None;
        if offset < self.placed_end {
            // Where a whole segment went, the frame before is on disk: the chain starts anew.
            self.placed_checksum = 0;
            self.placed_end = offset;
            if let Some(last) = self.segments.last_mut() {
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
                    self.placed_checksum = known.checksum;
                    cut = Some(known);
                }
                last.truncate(offset, cut.as_ref());
            }
        }
        self.last_checksum =
            self.pending.back().map_or(self.placed_checksum, |p| p.header().chain_checksum());
        self.last_epoch = self.pending.back().map_or(-1, |p| p.header().leader_epoch());
        self.made_end = offset;
        self.cleaned_end = self.cleaned_end.min(offset);
        self.end = offset;
        self.acked = self.acked.min(offset);
        Truncated { freed, gone, cut }
    }

    /// Gives up all that it has: it begins anew at `offset`, at or above its start.
    pub(super) fn restart(&mut self, offset: i64) -> Truncated {
        assert!(self.can_truncate() && offset >= self.start);
        self.direct.truncated(i64::MIN);
        self.truncating += 1;
        self.cutting = None;
        let freed = self.pending_bytes;
        self.pending = VecDeque::new();
        self.pending_bytes = 0;
        let gone = std::mem::take(&mut self.segments);
        (self.start, self.acked, self.end) = (offset, offset, offset);
        (self.placed_end, self.placed_checksum) = (offset, 0);
        (self.made_end, self.last_checksum, self.last_epoch) = (offset, 0, -1);
        self.cleaned_end = self.cleaned_end.min(offset);
        self.uncleanable = false;
        Truncated { freed, gone, cut: None }
    }

    /// Takes in that a truncation is durable.
    pub(super) fn truncated_durably(&mut self) {
        self.truncating -= 1;
        if self.truncating == 0 {
            self.segments.iter_mut().for_each(Segment::truncated_durably);
        }
    }

    /// Asserts what must always hold.
    pub fn invariants(&self) {
        assert!(self.acked <= self.end && self.start <= self.end);
        let mut at = self.segments.first().map_or(self.placed_end, |s| s.meta.base);
        for segment in &self.segments {
            assert!(segment.meta.base >= at && segment.meta.next >= segment.meta.base);
            at = segment.meta.next;
        }
        assert!(at <= self.planned_end().max(self.start) || self.busy);
        if let Some(first) = self.pending.front() {
            assert!(self.busy || first.base >= self.placed_end, "placed twice");
        }
        // Between those that runs in flight cover and the others stands what the runs bring.
        let (covered, _) = self.direct.covered();
        let behind = self.pending.iter().skip(covered);
        for (a, b) in behind.clone().zip(behind.skip(1)) {
            assert_eq!(a.last + 1, b.base, "a gap between frames");
        }
        if let (Some((end, ..)), Some(first)) = (self.direct.end(), self.pending.get(covered)) {
            assert_eq!(end, first.base, "a gap behind a run");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::TopicId;

    #[test]
    fn records_without_timestamps_are_as_old_as_their_append() {
        let tp = TopicPartition { topic: TopicId([1; 16]), partition: 0 };
        let mut log = Log::new(tp, LogConfig { retention_ms: 1000, ..LogConfig::none() });
        for (i, (newest, appended)) in [(-1, 5000), (7000, 7000), (-1, 7100)].iter().enumerate() {
            let mut segment = Segment::new(i as i64 * 10, i as u64, 4000, 4096);
            segment.meta.next = i as i64 * 10 + 10;
            segment.meta.max_timestamp = *newest;
            segment.meta.last_append = *appended;
            log.segments.push(segment);
        }
        (log.end, log.acked, log.placed_end) = (30, 30, 30);
        assert_eq!(log.retention(6000), None, "appended a second ago, no more");
        assert_eq!(log.retention(6001), Some(10));
        assert_eq!(log.retention(8050), Some(20), "it does not end at one without timestamps");
        assert_eq!(log.retention(8101), Some(30));
    }

    #[test]
    fn a_segment_that_is_not_whole_is_not_old() {
        let tp = TopicPartition { topic: TopicId([1; 16]), partition: 0 };
        let mut log = Log::new(tp, LogConfig { retention_ms: 1000, ..LogConfig::none() });
        for (i, length) in [8192, 4096, 0].into_iter().enumerate() {
            let mut segment = Segment::new(i as i64 * 10, i as u64, 4000, 4096);
            segment.meta.length = length;
            segment.meta.next += if length > 0 { 10 } else { 0 };
            segment.meta.sealed = i < 2;
            log.segments.push(segment);
        }
        (log.end, log.acked, log.placed_end, log.busy) = (30, 30, 20, true);
        assert_eq!(log.retention(9000), Some(10), "more comes to the second, and all to the third");
        log.segments[0].meta.length = 0;
        log.segments[1].meta.length = 0;
        assert_eq!(log.retention(9000), None, "nothing of them is there yet");
    }
}
