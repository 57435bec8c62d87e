//! The segment that takes the place of others.
//!
//! It is written as every segment is: chunks of whole frames, padded, then its index; then both are
//! synced, and the directory. Only then it may join the log, since a checkpoint names every segment
//! that a log has.
//!
//! Its frames are of kind `compacted`. They follow each other without gaps, whatever is gone between
//! the batches in them: each reaches up to where the next one begins, and the last to where the
//! segments ended whose place this one takes. So who looks for an offset finds the frame that would
//! have it, and reads on from there.

use crate::storage::buffer::{AlignedBuf, Budget, Filling, align_up};
use crate::storage::device::io::Op;
use crate::storage::format::frame::{FrameFields, FrameHeader, HEADER};
use crate::storage::format::segment::{self, Grown, Segment};
use crate::types::TopicPartition;
use crate::wire::records::BatchHeader;
use std::collections::VecDeque;
use std::sync::Arc;
use zerocopy::IntoBytes;

/// A chunk takes so many bytes, more where a batch is longer.
const CHUNK: usize = 512 << 10;
/// A frame takes no further batch once it has so many bytes.
const FRAME: usize = 64 << 10;

#[derive(Debug)]
struct OpenFrame {
    /// Where it begins in the chunk.
    at: usize,
    fields: FrameFields,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Output {
    tp: TopicPartition,
    segment: Segment,
    budget: Arc<Budget>,
    chunk: Option<Filling>,
    /// Frames of the chunk that are whole.
    headers: Vec<FrameHeader>,
    frame: Option<OpenFrame>,
    /// Operations, each to be carried out when the one before has ended.
    ops: VecDeque<Op>,
    /// Bytes of all that is written.
    bytes: u64,
}

impl Output {
    /// Takes the place of segments that begin at the offset `segment` does.
    pub fn new(tp: TopicPartition, segment: Segment, budget: &Arc<Budget>) -> Self {
        let ops = VecDeque::from([Op::Create { path: segment.path(tp) }]);
        Self {
            tp,
            segment,
            budget: budget.clone(),
            chunk: None,
            headers: Vec::new(),
            frame: None,
            ops,
            bytes: 0,
        }
    }

    /// Whether an operation is to be carried out.
    pub fn has_op(&self) -> bool {
        !self.ops.is_empty()
    }

    /// The next operation; the one before has ended.
    pub fn next_op(&mut self) -> Option<Op> {
        self.ops.pop_front()
    }

    /// Bytes that were written, or are to be.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds a batch, of the leader's clock at that time.
    pub fn push(&mut self, header: &BatchHeader, batch: &[u8], append_time: i64) {
        let epoch = header.partition_leader_epoch;
        let (len, base) = (self.chunk.as_ref().map_or(0, Filling::len), header.base_offset);
        let full = |it: &OpenFrame| it.fields.leader_epoch != epoch || len - it.at >= FRAME;
        if self.frame.as_ref().is_some_and(full) {
            self.seal(base);
        }
        let room = self.chunk.as_ref().map_or(0, |chunk| chunk.room() - chunk.len());
        if HEADER + batch.len() > room {
            self.seal(base);
            self.write();
            let room = (HEADER + batch.len()).max(CHUNK);
            self.chunk = Some(Filling::new(room, &self.budget));
        }
        let chunk = self.chunk.as_mut().expect("there is room");
        let frame = self.frame.get_or_insert_with(|| {
            let at = chunk.len();
            chunk.push_zeros(HEADER);
            let fields = FrameFields {
                tp: self.tp,
                leader_epoch: epoch,
                base_offset: self
                    .headers
                    .last()
                    .map_or(self.segment.meta.next, |h| h.last_offset() + 1),
                last_offset: 0,
                max_timestamp: -1,
                append_time,
                batch_count: 0,
                // Not chained to what stands before it: that may be compacted anew.
                previous_checksum: 0,
            };
            OpenFrame { at, fields }
        });
        if header.record_count > 0 {
            frame.fields.max_timestamp = frame.fields.max_timestamp.max(header.max_timestamp);
        }
        frame.fields.append_time = append_time;
        frame.fields.batch_count += 1;
        chunk.push(batch);
    }

    /// The open frame is whole, and reaches up to the offset `next`.
    fn seal(&mut self, next: i64) {
        let Some(OpenFrame { at, mut fields }) = self.frame.take() else { return };
        fields.last_offset = next - 1;
        let chunk = self.chunk.as_mut().expect("a frame is in a chunk").filled();
        let header = FrameHeader::compacted(&fields, &chunk[at + HEADER..]);
        chunk[at..at + HEADER].copy_from_slice(header.as_bytes());
        self.headers.push(header);
    }

    /// Writes the chunk, whose frames are whole.
    fn write(&mut self) {
        let Some(mut chunk) = self.chunk.take() else { return };
        chunk.push_zeros(align_up(chunk.len()) - chunk.len());
        let data = chunk.into_filled().freeze();
        let (path, pos) = (self.segment.path(self.tp), self.segment.meta.length);
        self.bytes += data.len() as u64;
        self.segment.grow(&Grown::of(self.headers.drain(..), data.len() as u64));
        self.ops.push_back(Op::Write { path, pos, data });
    }

    /// No batch follows, and it reaches up to the offset `next`: the rest is written, and all of it
    /// made durable.
    pub fn end(&mut self, next: i64, last_append: i64) {
        self.seal(next);
        self.write();
        self.segment.meta.last_append = last_append;
        self.segment.meta.sealed = true;
        let (log, index) = (self.segment.path(self.tp), self.segment.index_path(self.tp));
        self.ops.push_back(Op::Create { path: index.clone() });
        while let Some((pos, block)) = self.segment.index_block(true) {
            let data = AlignedBuf::copy_of(&block, &self.budget).freeze();
            self.bytes += data.len() as u64;
            self.ops.push_back(Op::Write { path: index.clone(), pos, data });
        }
        self.ops.push_back(Op::Sync { path: index });
        self.ops.push_back(Op::Sync { path: log });
        self.ops.push_back(Op::SyncDir { path: segment::dir_of(self.tp) });
    }

    /// The segment, when all of its operations have ended.
    pub fn into_segment(self) -> Segment {
        self.segment
    }
}
