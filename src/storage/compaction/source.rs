//! The segments that a pass goes through, read one after the other, with reads of its own: what
//! compaction reads once is of no use to readers, and must not push out what is.

use crate::storage::buffer::{ALIGN, align_up};
use crate::storage::device::io::Op;
use crate::storage::format::frame::{self, FrameError, FrameHeader, HEADER, Step};
use crate::storage::format::segment::{self, Meta, Segment};
use crate::types::TopicPartition;
use crate::wire::records::BatchHeader;
use bytes::Bytes;

/// A read brings so much while the journal is written to, since small writes wait behind it; more where a frame is
/// longer.
const READ: usize = 256 << 10;
/// A read brings so much otherwise.
const READ_ALONE: usize = 512 << 10;

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
    /// What the disk was asked for has not come yet.
    Waits,
}

#[derive(Debug)]
struct OpenFrame {
    header: FrameHeader,
    payload: Bytes,
    at: usize,
}

/// What follows the bytes that are gone through.
#[derive(Debug)]
enum Ahead {
    /// The disk was not asked for it.
    Nothing,
    /// It was, for so many bytes.
    Asked(usize),
    /// It was, and they are of no use any more.
    Stale,
    /// It is there; whether the file ends behind it.
    Here(Bytes, bool),
}

/// A place in one of the segments. What follows is read while the bytes before are gone through.
#[derive(Debug)]
pub(super) struct Reader {
    tp: TopicPartition,
    /// Where the next frame begins.
    position: u64,
    /// Bytes of the file from here on.
    from: u64,
    bytes: Bytes,
    /// The file has no more than those.
    ended: bool,
    ahead: Ahead,
    frame: Option<OpenFrame>,
    /// Bytes that the next read brings at least.
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
            ended: false,
            ahead: Ahead::Nothing,
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
        let asked = matches!(self.ahead, Ahead::Asked(_) | Ahead::Stale);
        let ahead = if asked { Ahead::Stale } else { Ahead::Nothing };
        *self = Self { len: self.len, ahead, ..Self::new(self.tp) };
    }

    /// The leader's clock at the append of the batch that came last, ms.
    pub fn append_time(&self) -> i64 {
        self.frame.as_ref().map_or(0, |frame| frame.header.append_time())
    }

    /// Takes in what a read brought.
    pub fn arrived(&mut self, bytes: Bytes) {
        self.ahead = match self.ahead {
            Ahead::Asked(len) => {
                let ends = bytes.len() < len;
                Ahead::Here(bytes, ends)
            }
            _ => Ahead::Nothing,
        };
    }

    /// A read of what follows, if that is worth while already. `writing`: the journal is written to.
    pub fn read_ahead(&mut self, source: &Source, writing: bool) -> Option<Op> {
        let meta = source.meta();
        let more = self.position < meta.length && self.upto() < meta.length && !self.ended;
        let useful = more && !self.bytes.is_empty() && matches!(self.ahead, Ahead::Nothing);
        useful.then(|| self.ask(meta, writing))
    }

    /// The next batch of that segment. Frames that end before `from` are passed over. `writing`: the journal is
    /// written to.
    ///
    /// # Errors
    /// What is on the disk is not what was written.
    pub fn next(&mut self, source: &Source, from: i64, writing: bool) -> Result<Next, String> {
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
            let at = (self.position - self.from) as usize;
            if at >= self.bytes.len() {
                match self.ahead {
                    Ahead::Here(..) => self.advance(),
                    Ahead::Nothing if self.ended => {
                        return Err(self.bad(meta, &"the file is shorter than it was", true));
                    }
                    Ahead::Nothing => return Ok(Next::Read(self.ask(meta, writing))),
                    Ahead::Asked(_) | Ahead::Stale => return Ok(Next::Waits),
                }
                continue;
            }
            let step = frame::walk(&self.bytes, self.from, at).next();
            match step {
                Some(Step::Frame { at, header }) => {
                    let end = at + header.frame_len();
                    self.position = self.from + end as u64;
                    self.open(meta, header, self.bytes.slice(at + HEADER..end), from)?;
                }
                Some(Step::Cut { at, needed }) => {
                    self.position = self.from + at as u64;
                    match self.ahead {
                        _ if self.ended || self.upto() >= meta.length => {
                            return Err(self.bad(meta, &"a frame is cut", true));
                        }
                        Ahead::Here(..) => match self.join(meta, at, needed)? {
                            Some((header, payload)) => self.open(meta, header, payload, from)?,
                            None => return Ok(Next::Read(self.ask(meta, writing))),
                        },
                        Ahead::Nothing => return Ok(Next::Read(self.ask(meta, writing))),
                        Ahead::Asked(_) | Ahead::Stale => return Ok(Next::Waits),
                    }
                }
                Some(Step::Bad { at, error }) => {
                    self.position = self.from + at as u64;
                    return Err(self.no_frame(meta, &error));
                }
                // Padding up to the end of what was read.
                None => self.position = self.upto(),
            }
        }
    }

    /// Where the bytes end that are gone through.
    fn upto(&self) -> u64 {
        self.from + self.bytes.len() as u64
    }

    /// Goes over to what follows.
    fn advance(&mut self) {
        let from = self.upto();
        if let Ahead::Here(bytes, ended) = std::mem::replace(&mut self.ahead, Ahead::Nothing) {
            (self.from, self.bytes, self.ended) = (from, bytes, ended);
        }
    }

    /// Puts the frame together that begins at `at` of the bytes, takes `needed` bytes or more, and ends in what follows;
    /// goes over to that. `None` where it is longer: it is to be read in one piece.
    fn join(
        &mut self,
        meta: &Meta,
        at: usize,
        mut needed: usize,
    ) -> Result<Option<(FrameHeader, Bytes)>, String> {
        let mut whole = self.bytes[at..].to_vec();
        let before = whole.len();
        let Ahead::Here(ahead, ended) = &self.ahead else { return Ok(None) };
        let header = loop {
            let Some(rest) = ahead.get(whole.len() - before..needed - before) else {
                if *ended || self.upto() + ahead.len() as u64 >= meta.length {
                    return Err(self.bad(meta, &"a frame is cut", true));
                }
                // Twice as long: otherwise every frame of this size is read twice.
                self.len = self.len.max(align_up(2 * needed + ALIGN));
                (self.from, self.bytes) =
                    (self.position / ALIGN as u64 * ALIGN as u64, Bytes::new());
                self.ahead = Ahead::Nothing;
                return Ok(None);
            };
            whole.extend_from_slice(rest);
            match FrameHeader::read_whole(&whole) {
                Ok((header, _)) => break header,
                Err(FrameError::Short { needed: more }) if more > whole.len() => needed = more,
                Err(error) => return Err(self.no_frame(meta, &error)),
            }
        };
        self.advance();
        self.position = self.from + (whole.len() - before) as u64;
        Ok(Some((header, Bytes::from(whole).slice(HEADER..))))
    }

    /// Begins with the batches of a frame, behind which the next one begins.
    fn open(
        &mut self,
        meta: &Meta,
        header: FrameHeader,
        payload: Bytes,
        from: i64,
    ) -> Result<(), String> {
        if header.tp() != self.tp {
            return Err(self.bad(meta, &"a frame of another log", true));
        }
        // What a truncation has left behind the last is void, and may be cut.
        if header.last_offset() + 1 >= meta.next {
            self.position = meta.length;
        }
        if header.base_offset() < meta.next {
            let skipped = if header.last_offset() < from { payload.len() } else { 0 };
            self.frame = Some(OpenFrame { header, payload, at: skipped });
        }
        Ok(())
    }

    /// Asks for what follows.
    fn ask(&mut self, meta: &Meta, writing: bool) -> Op {
        let len = self.len.max(if writing { READ } else { READ_ALONE }) as u64;
        let pos = self.upto();
        let len = len.min(meta.length - pos) as usize;
        self.ahead = Ahead::Asked(len);
        Op::Read { path: segment::path_of(self.tp, meta.base, meta.generation), pos, len }
    }

    fn no_frame(&mut self, meta: &Meta, error: &FrameError) -> String {
        let damaged = !matches!(error, FrameError::Version(_));
        self.bad(meta, error, damaged)
    }

    fn bad(&mut self, meta: &Meta, why: &dyn std::fmt::Display, damaged: bool) -> String {
        self.damaged = damaged;
        let path = segment::path_of(self.tp, meta.base, meta.generation);
        format!("{path} before byte {}: {why}", self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::format::frame::FrameFields;
    use crate::types::{Rng, TopicId};
    use crate::wire::records::{BatchBuilder, Compression};
    use zerocopy::IntoBytes;

    const TP: TopicPartition = TopicPartition { topic: TopicId([3; 16]), partition: 0 };

    /// A segment of frames with one batch of one record each, of so many bytes, some behind padding; its bytes.
    fn segment(rng: &mut Rng, lengths: &[usize]) -> (Source, Vec<u8>) {
        let mut file = Vec::new();
        for (offset, length) in (0..).zip(lengths) {
            let mut builder = BatchBuilder::new(Compression::None).appended_at(offset, 1);
            builder.push(0, Some(b"k"), Some(&vec![rng.bits() as u8; *length]), &[]);
            let payload = builder.build();
            let fields = FrameFields {
                tp: TP,
                leader_epoch: 1,
                base_offset: offset,
                last_offset: offset,
                max_timestamp: 0,
                append_time: 1000 + offset,
                batch_count: 1,
                previous_checksum: 0,
            };
            file.extend_from_slice(FrameHeader::seal(&fields, &payload).as_bytes());
            file.extend_from_slice(&payload);
            if rng.chance(20) {
                file.resize(align_up(file.len()), 0);
            }
        }
        file.resize(align_up(file.len()), 0);
        let mut segment = Segment::new(0, 1, 0, 0);
        segment.meta.length = file.len() as u64;
        segment.meta.next = lengths.len() as i64;
        (Source::of(&segment), file)
    }

    /// Reads all of a file of which the disk has this; offset and length of each batch, and bytes read.
    fn read(
        rng: &mut Rng,
        reader: &mut Reader,
        source: &Source,
        disk: &[u8],
    ) -> Result<(Vec<(i64, usize)>, usize), String> {
        let (mut found, mut bytes, mut flight) = (Vec::new(), 0, None);
        loop {
            let writing = rng.chance(50);
            if flight.is_none() && rng.chance(70) {
                flight = reader.read_ahead(source, writing);
            }
            match reader.next(source, i64::MIN, writing)? {
                Next::Batch(header, batch) => {
                    assert_eq!(reader.append_time(), 1000 + header.base_offset);
                    header.check_crc(&batch).unwrap();
                    found.push((header.base_offset, batch.len()));
                }
                Next::End => return Ok((found, bytes)),
                Next::Read(op) => assert!(flight.replace(op).is_none(), "one at a time"),
                Next::Waits => {
                    let Some(Op::Read { pos, len, .. }) = flight.take() else {
                        panic!("nothing is under way")
                    };
                    assert!(pos.is_multiple_of(ALIGN as u64) && len.is_multiple_of(ALIGN));
                    let rest = disk.get(pos as usize..).unwrap_or_default();
                    let some = Bytes::copy_from_slice(&rest[..len.min(rest.len())]);
                    bytes += some.len();
                    reader.arrived(some);
                }
            }
        }
    }

    #[test]
    fn frames_come_whole_wherever_reads_end() {
        for seed in 0..40 {
            let rng = &mut Rng::new(seed);
            let most = [2_000, 90_000, 700_000][seed as usize % 3];
            let lengths: Vec<usize> = (0..40).map(|_| 1 + rng.index(most)).collect();
            let (source, file) = segment(rng, &lengths);
            let mut reader = Reader::new(TP);
            let (found, bytes) = read(rng, &mut reader, &source, &file).unwrap();
            let expected = (0..).zip(&lengths);
            assert_eq!(found.len(), lengths.len(), "seed {seed}");
            assert!(found.iter().zip(expected).all(|(it, (at, len))| it.0 == at && it.1 > *len));
            if most < READ {
                assert_eq!(bytes, file.len(), "seed {seed}: nothing is read twice");
            }
        }
    }

    #[test]
    fn what_was_asked_for_of_another_segment_is_dropped() {
        let rng = &mut Rng::new(5);
        let (source, file) = segment(rng, &[200_000; 9]);
        let mut reader = Reader::new(TP);
        let Next::Read(Op::Read { len, .. }) = reader.next(&source, 0, true).unwrap() else {
            panic!("nothing is there yet")
        };
        reader.arrived(Bytes::copy_from_slice(&file[..len]));
        assert!(matches!(reader.next(&source, 0, true), Ok(Next::Batch(..))));
        let stale = reader.read_ahead(&source, true).expect("there is more");
        reader.rewind();
        assert!(matches!(reader.next(&source, 0, true), Ok(Next::Waits)));
        assert!(reader.read_ahead(&source, true).is_none(), "one at a time");
        let Op::Read { pos, len, .. } = stale else { panic!("a read") };
        reader.arrived(Bytes::copy_from_slice(&file[pos as usize..][..len]));
        let (found, _) = read(rng, &mut reader, &source, &file).unwrap();
        assert_eq!(found.len(), 9, "from the beginning");
    }

    #[test]
    fn a_file_that_is_too_short_is_damaged_and_ends_it() {
        for cut in [0, 4096, 300_000, 1 << 20] {
            let rng = &mut Rng::new(6);
            let (source, file) = segment(rng, &[90_000; 20]);
            let mut reader = Reader::new(TP);
            assert!(read(rng, &mut reader, &source, &file[..cut]).is_err(), "{cut}");
            assert!(reader.found_damage());
        }
    }
}
