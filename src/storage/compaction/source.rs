//! The segments that a pass goes through, read one after the other, with reads of its own: what
//! compaction reads once is of no use to readers, and must not push out what is.

use crate::storage::buffer::{ALIGN, align_up};
use crate::storage::device::io::Op;
use crate::storage::format::frame::{self, FrameError, FrameHeader, HEADER, Step};
use crate::storage::format::segment::{self, Meta, Segment};
use crate::types::TopicPartition;
use crate::wire::records::BatchHeader;
use bytes::Bytes;

/// A read brings so much, more where a frame is longer.
const READ: usize = 256 << 10;

/// A segment as it was when the pass began.
#[derive(Clone, Debug)]
pub(super) struct Source(Meta);

impl Source {
    /// That segment.
    pub fn of(segment: &Segment) -> Self {
        Self(segment.meta.clone())
    }

    /// What was known of it.
    pub fn meta(&self) -> &Meta {
        &self.0
    }

    /// Whether this is still that segment, and as it was.
    pub fn is(&self, segment: &Segment) -> bool {
        let (old, new) = (&self.0, &segment.meta);
        (old.generation, old.length, old.next) == (new.generation, new.length, new.next)
    }
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    /// A batch.
    Batch(BatchHeader, Bytes),
    /// The segment is at its end.
    End,
    /// The disk is to be read first.
    Read(Op),
}

#[derive(Debug)]
struct OpenFrame {
    header: FrameHeader,
    payload: Bytes,
    at: usize,
}

/// A place in one of the segments.
#[derive(Debug)]
pub(super) struct Reader {
    tp: TopicPartition,
    /// Where the next frame begins.
    position: u64,
    /// Bytes of the file from here on.
    from: u64,
    bytes: Bytes,
    frame: Option<OpenFrame>,
    /// Bytes that the next read brings.
    len: usize,
    /// What it was given is not what was written.
    damaged: bool,
}

impl Reader {
    /// At the beginning of a segment of that log.
    pub fn new(tp: TopicPartition) -> Self {
        Self {
            tp,
            position: 0,
            from: 0,
            bytes: Bytes::new(),
            frame: None,
            len: READ,
            damaged: false,
        }
    }

    /// Whether [`next`](Self::next) has failed since the disk has not what was written.
    pub fn found_damage(&self) -> bool {
        self.damaged
    }

    /// At the beginning of the next segment.
    pub fn rewind(&mut self) {
        *self = Self { len: self.len, ..Self::new(self.tp) };
    }

    /// The leader's clock at the append of the batch that came last, ms.
    pub fn append_time(&self) -> i64 {
        self.frame.as_ref().map_or(0, |frame| frame.header.append_time())
    }

    /// Takes in what a read brought.
    pub fn arrived(&mut self, bytes: Bytes) {
        self.bytes = bytes;
    }

    /// The next batch of that segment. Frames that end before `from` are passed over.
    ///
    /// # Errors
    /// What is on the disk is not what was written.
    pub fn next(&mut self, source: &Source, from: i64) -> Result<Next, String> {
        let meta = source.meta();
        loop {
            if let Some(frame) = &mut self.frame {
                let rest = &frame.payload[frame.at..];
                if !rest.is_empty() {
                    let header = match BatchHeader::parse(rest) {
                        Ok(header) => header,
                        // Its frame is what was written.
                        Err(error) => return Err(self.bad(meta, &error, false)),
                    };
                    let end = frame.at + header.total_len();
                    let batch = frame.payload.slice(frame.at..end);
                    frame.at = end;
                    return Ok(Next::Batch(header, batch));
                }
            }
            if self.position >= meta.length {
                return Ok(Next::End);
            }
            let at = self.position.wrapping_sub(self.from) as usize;
            if self.position < self.from || at >= self.bytes.len() {
                return Ok(Next::Read(self.read(meta)));
            }
            let step = frame::walk(&self.bytes, self.from, at).next();
            match step {
                Some(Step::Frame { at, header }) => {
                    let end = at + header.frame_len();
                    self.position = self.from + end as u64;
                    if header.tp() != self.tp {
                        return Err(self.bad(meta, &"a frame of another log", true));
                    }
                    // What a truncation has left behind the last is void, and may be cut.
                    if header.last_offset() + 1 >= meta.next {
                        self.position = meta.length;
                    }
                    if header.base_offset() >= meta.next {
                        continue;
                    }
                    let payload = self.bytes.slice(at + HEADER..end);
                    let skipped = if header.last_offset() < from { payload.len() } else { 0 };
                    self.frame = Some(OpenFrame { header, payload, at: skipped });
                }
                Some(Step::Cut { at, needed }) => {
                    self.position = self.from + at as u64;
                    // Twice as long: otherwise every frame of this size is read twice.
                    self.len = self.len.max(align_up(2 * needed + ALIGN));
                    if self.from + self.bytes.len() as u64 >= meta.length {
                        return Err(self.bad(meta, &"a frame is cut", true));
                    }
                    return Ok(Next::Read(self.read(meta)));
                }
                Some(Step::Bad { at, error }) => {
                    self.position = self.from + at as u64;
                    let damaged = !matches!(error, FrameError::Version(_));
                    return Err(self.bad(meta, &error, damaged));
                }
                // Padding up to the end of what was read.
                None => self.position = self.from + self.bytes.len() as u64,
            }
        }
    }

    fn read(&mut self, meta: &Meta) -> Op {
        self.from = self.position / ALIGN as u64 * ALIGN as u64;
        self.bytes = Bytes::new();
        let len = (self.len as u64).min(meta.length - self.from) as usize;
        let path = segment::path_of(self.tp, meta.base, meta.generation);
        Op::Read { path, pos: self.from, len }
    }

    fn bad(&mut self, meta: &Meta, why: &dyn std::fmt::Display, damaged: bool) -> String {
        self.damaged = damaged;
        let path = segment::path_of(self.tp, meta.base, meta.generation);
        format!("{path} before byte {}: {why}", self.position)
    }
}
