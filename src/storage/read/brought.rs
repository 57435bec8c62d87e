//! What a read of a segment has brought: the frames that are as they were written, and what is missing between them.
//!
//! A frame that does not verify says nothing of those around it. Where it is known where the next one begins, they are
//! given, and only who asks for what is missing hears of it. That is known in three ways:
//!
//! - by the length in a header whose checksum holds, where the payload's does not;
//! - by the chain: a frame behind it names the checksum of the header that is not what it was. No client can know that, so
//!   none can have bytes of its own taken for a frame;
//! - by what the index says of where chunks begin.
//!
//! Frames of a segment follow each other without gaps. One that is whole, and not the one that has to come, is no better
//! than one that is not: a block of zeros looks like padding, and a write that was lost leaves what the file held before.

use super::span::Span;
use crate::storage::format::frame::{self, FrameError, FrameHeader, HEADER, MAGIC, Step};
use crate::storage::format::segment::Segment;
use crate::types::TopicPartition;
use std::ops::Range;

/// Parts with frames that one read gives. Each becomes a chunk that keeps the memory of the whole read, so there are
/// few; whoever wants what is behind them asks again from there.
const RUNS_MAX: usize = 2;

/// Frames that follow each other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Offset of the first record.
    pub first: i64,
    /// Offset after the last one.
    pub next: i64,
    /// Where they are in what was read.
    pub bytes: Range<usize>,
}

/// Offsets that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hole {
    /// Those.
    pub offsets: Range<i64>,
    /// One line, with the file and the byte.
    pub why: String,
    /// What was written is not there any more.
    pub damaged: bool,
}

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Brought {
    pub runs: Vec<Run>,
    pub holes: Vec<Hole>,
    /// So many bytes from the same place have to be read to get on: this read has no whole frame.
    pub longer: Option<usize>,
}

/// Where something else stands than what has to come.
struct Wrong {
    at: usize,
    why: String,
    error: Option<FrameError>,
}

/// A walk through what was read.
struct Look<'a> {
    tp: TopicPartition,
    segment: &'a Segment,
    span: &'a Span,
    bytes: &'a [u8],
    /// Position of the bytes in the segment.
    pos: u64,
    /// Where the next frame is to begin, or the padding before it.
    at: usize,
    /// Offset of its first record.
    next: i64,
    /// The one before.
    before: Option<FrameHeader>,
    out: Brought,
}

impl Brought {
    /// What `bytes` have of the span, which begin at `pos` of the segment, at or before it. They are fewer than they should be
    /// where the file ends.
    pub fn of(tp: TopicPartition, segment: &Segment, span: &Span, bytes: &[u8], pos: u64) -> Self {
        let (at, next) = ((span.start - pos) as usize, span.base);
        let mut look =
            Look { tp, segment, span, bytes, pos, at, next, before: None, out: Self::default() };
        while look.next < segment.meta.next
            && let Some(wrong) = look.walk()
        {
            look.pass(wrong);
        }
        look.out
    }
}

impl Look<'_> {
    /// Takes the frames that follow, up to where something is wrong.
    fn walk(&mut self) -> Option<Wrong> {
        let (skip, mut begun) = (self.skip(), false);
        for step in frame::walk(self.bytes, self.pos, self.at) {
            let (at, why, error) = match step {
                Step::Frame { at, header } if self.is_next(&header) => {
                    if !begun && self.out.runs.len() == RUNS_MAX {
                        return None;
                    }
                    self.take(at, header, begun);
                    begun = true;
                    // What a truncation has left behind the last is void, and may be cut.
                    if self.next >= self.segment.meta.next {
                        return None;
                    }
                    continue;
                }
                Step::Frame { at, header } => {
                    let found = (header.tp(), header.base_offset());
                    (at, format!("offset {} is to follow, not {found:?}", self.next), None)
                }
                Step::Cut { at, needed } if self.goes_on() => {
                    self.read_longer(at - skip + needed);
                    return None;
                }
                Step::Cut { at, .. } => (at, "a frame is cut".to_owned(), None),
                Step::Bad { at, error } => (at, error.to_string(), Some(error)),
            };
            return Some(Wrong { at, why, error });
        }
        if self.at < self.bytes.len() && self.goes_on() {
            self.read_longer(2 * (self.bytes.len() - skip));
        }
        let there = self.at < self.bytes.len() || self.is_short();
        let missing = there && !self.goes_on();
        let why = if self.is_short() { "the file ends before" } else { "a frame is missing" };
        missing.then(|| Wrong { at: self.at, why: why.to_owned(), error: None })
    }

    fn take(&mut self, at: usize, header: FrameHeader, goes_on: bool) {
        let (first, next) = (header.base_offset(), header.last_offset() + 1);
        let end = at + header.frame_len();
        match self.out.runs.last_mut().filter(|_| goes_on) {
            Some(run) => (run.next, run.bytes.end) = (next, end),
            None => self.out.runs.push(Run { first, next, bytes: at..end }),
        }
        (self.at, self.next, self.before) = (end, next, Some(header));
    }

    /// Goes on behind what is wrong.
    fn pass(&mut self, wrong: Wrong) {
        let (at, next) = self.behind(&wrong);
        if next > self.next {
            let path = self.segment.path(self.tp);
            let why = format!("{path} at byte {}: {}", self.pos + wrong.at as u64, wrong.why);
            let damaged = !matches!(wrong.error, Some(FrameError::Version(_)));
            self.out.holes.push(Hole { offsets: self.next..next, why, damaged });
        }
        // Who wants what is there comes back to the same place, unless the index knows of one that is nearer.
        let nearer = self.boundary(self.span.start).is_some_and(|it| it.0 <= self.pos + at as u64);
        if at >= self.bytes.len() && next < self.segment.meta.next && !nearer {
            self.read_longer(at - self.skip() + HEADER);
        }
        (self.at, self.next, self.before) = (at, next, None);
    }

    /// Where the frame behind what is wrong begins, and its first offset. It may be beyond what was read.
    fn behind(&self, wrong: &Wrong) -> (usize, i64) {
        let meta = &self.segment.meta;
        // What is wrong may stand behind where the frame should be: zeros look like padding.
        let place = self.pos + self.at as u64;
        let all = (meta.length, meta.next);
        // Of a file that is short there is nothing behind.
        let known = self.boundary(place).filter(|_| !self.is_short()).unwrap_or(all);
        let known = ((known.0 - self.pos) as usize, known.1);
        match wrong.error {
            Some(FrameError::Payload) => {
                let header = FrameHeader::read(&self.bytes[wrong.at..]);
                let header = header.ok().filter(|it| self.is_next(it));
                header.map_or(known, |it| (wrong.at + it.frame_len(), it.last_offset() + 1))
            }
            Some(FrameError::Magic | FrameError::Header) => {
                self.by_the_chain(wrong.at, known).unwrap_or(known)
            }
            _ => known,
        }
    }

    /// The first place behind a position at which a chunk begins, as the index knows it, or where the span ends.
    fn boundary(&self, position: u64) -> Option<(u64, i64)> {
        let end = self.span.next.map(|next| (self.span.end, next));
        let entry = self.segment.next_entry(position).map(|it| (it.position, it.base_offset));
        let places = [end.filter(|it| it.0 > position), entry];
        places.into_iter().flatten().filter(|it| it.1 >= self.next).min()
    }

    /// The frame that names the header that should be at this place, or the one before it, before `end`.
    fn by_the_chain(&self, wrong: usize, end: (usize, i64)) -> Option<(usize, i64)> {
        let bytes = &self.bytes[..end.0.min(self.bytes.len())];
        let header = bytes.get(wrong..wrong + HEADER)?;
        let (covered, stored) = header.split_at(HEADER - 4);
        let stored = u32::from_le_bytes(stored.try_into().ok()?);
        let gone = [stored, crc32c::crc32c(covered)];
        let before = self.before.map_or(0, |it| it.chain_checksum());
        let magic = MAGIC.to_le_bytes();
        let mut from = wrong + 1;
        while let Some(found) = bytes.get(from..)?.windows(4).position(|it| it == magic) {
            let at = from + found;
            from = at + 1;
            // A client may have written any number of these.
            let Some(header) = FrameHeader::view(&bytes[at..]) else { continue };
            let (named, base) = (header.previous_checksum(), header.base_offset());
            let follows = if gone.contains(&named) {
                base > self.next
            } else {
                named == before && base == self.next
            };
            if named != 0
                && follows
                && base <= end.1
                && FrameHeader::read(&bytes[at..]).is_ok_and(|it| it.tp() == self.tp)
            {
                return Some((at, base));
            }
        }
        None
    }

    fn is_next(&self, header: &FrameHeader) -> bool {
        let (base, last) = (header.base_offset(), header.last_offset());
        header.tp() == self.tp && base == self.next && last >= base
    }

    fn skip(&self) -> usize {
        (self.span.start - self.pos) as usize
    }

    /// Whether the file ends before the span does.
    fn is_short(&self) -> bool {
        self.pos + (self.bytes.len() as u64) < self.span.end
    }

    /// Whether what was read may end within a frame.
    fn goes_on(&self) -> bool {
        let inside = self.span.next.is_none() && self.span.end < self.segment.meta.length;
        inside && !self.is_short()
    }

    fn read_longer(&mut self, needed: usize) {
        if self.out.runs.is_empty() {
            self.out.longer = Some(needed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::format::frame::FrameFields;
    use crate::storage::format::segment::Grown;
    use crate::types::TopicId;
    use zerocopy::IntoBytes;

    const TP: TopicPartition = TopicPartition { topic: TopicId([7; 16]), partition: 3 };
    /// Offset of the first record.
    const BASE: i64 = 100;
    /// Records of a frame.
    const RECORDS: i64 = 10;

    /// A frame of ten records, chained to the one before, or as compaction makes it.
    fn frame(base: i64, payload: &[u8], previous: u32, compacted: bool) -> (FrameHeader, Vec<u8>) {
        let fields = FrameFields {
            tp: TP,
            leader_epoch: 4,
            base_offset: base,
            last_offset: base + RECORDS - 1,
            max_timestamp: 1000,
            append_time: 2000,
            batch_count: 1,
            previous_checksum: previous,
        };
        let make = if compacted { FrameHeader::compacted } else { FrameHeader::seal };
        let header = make(&fields, payload);
        (header, [header.as_bytes(), payload].concat())
    }

    /// A segment's file: chunks of frames with these payloads; and where each frame is in it.
    fn file(chunks: &[&[Vec<u8>]], compacted: bool) -> (Segment, Vec<u8>, Vec<Range<usize>>) {
        let mut segment = Segment::new(BASE, 1, 0, 4096);
        let (mut file, mut places, mut previous) = (Vec::new(), Vec::new(), 0);
        for chunk in chunks {
            let (begun, mut headers) = (file.len(), Vec::new());
            for payload in *chunk {
                let base = BASE + RECORDS * places.len() as i64;
                let (header, bytes) = frame(base, payload, previous, compacted);
                places.push(file.len()..file.len() + bytes.len());
                file.extend(bytes);
                previous = header.chain_checksum();
                headers.push(header);
            }
            file.resize(file.len().next_multiple_of(4096), 0);
            segment.grow(&Grown::of(headers.into_iter(), (file.len() - begun) as u64));
        }
        (segment, file, places)
    }

    /// Whether a reader that wants this offset gets it, or an error; it asks again from where it was as long as it gets on.
    fn ask(segment: &Segment, file: &[u8], offset: i64, want: usize) -> Result<(), String> {
        let (mut from, mut longer): (_, Option<(u64, usize)>) = (None, None);
        for _ in 0..10 {
            let mut span = Span::of(segment, offset, want, from);
            if let Some((start, needed)) = longer
                && start == span.start
            {
                let end = (start + needed as u64).next_multiple_of(4096).min(segment.meta.length);
                span = Span { end: end.max(span.end), next: None, ..span };
            }
            let pos = span.start / 4096 * 4096;
            let end = (span.end as usize).min(file.len());
            let bytes = &file[(pos as usize).min(end)..end];
            let brought = Brought::of(TP, segment, &span, bytes, pos);
            let mut next = span.base;
            for run in &brought.runs {
                assert!(run.first >= next && run.next > run.first, "{brought:?}");
                next = run.next;
            }
            if let Some(hole) = brought.holes.iter().find(|it| it.offsets.contains(&offset)) {
                return Err(hole.why.clone());
            }
            if brought.runs.iter().any(|it| it.first <= offset && offset < it.next) {
                return Ok(());
            }
            let before = brought.runs.iter().rfind(|it| it.next <= offset);
            from = before.map(|it| (pos + it.bytes.end as u64, it.next)).or(from);
            longer = brought.longer.map(|it| (span.start, it));
        }
        panic!("it is told neither that {offset} is there nor that it is not");
    }

    fn payloads(lens: &[usize]) -> Vec<Vec<u8>> {
        lens.iter().enumerate().map(|(at, len)| vec![at as u8 + 1; *len]).collect()
    }

    #[test]
    fn whatever_bit_flips_only_the_frame_that_it_is_in_is_missing() {
        let chunks = [payloads(&[30, 50, 20]), payloads(&[40]), payloads(&[25, 4100, 30, 10])];
        let chunks: Vec<&[Vec<u8>]> = chunks.iter().map(Vec::as_slice).collect();
        let (segment, mut file, places) = file(&chunks, false);
        for want in [1, 1 << 20] {
            // Of headers all, of what is long some.
            let begins =
                |at: usize| places.iter().any(|it| (it.start..it.start + 100).contains(&at));
            for at in (0..file.len()).filter(|at| at % 61 == 0 || begins(*at)) {
                file[at] ^= 1 << (at % 8);
                for (number, place) in places.iter().enumerate() {
                    for offset in [0, RECORDS - 1] {
                        let offset = BASE + number as i64 * RECORDS + offset;
                        let told = ask(&segment, &file, offset, want);
                        assert_eq!(told.is_err(), place.contains(&at), "{at} {offset} {told:?}");
                    }
                }
                file[at] ^= 1 << (at % 8);
            }
        }
    }

    #[test]
    fn behind_a_header_that_nothing_names_the_next_chunk_is_found() {
        let chunks = [payloads(&[30, 50, 20]), payloads(&[40, 40])];
        let chunks: Vec<&[Vec<u8>]> = chunks.iter().map(Vec::as_slice).collect();
        let (segment, mut file, places) = file(&chunks, true);
        let there = |file: &[u8]| {
            let offsets = (0..5).map(|it| BASE + it * RECORDS);
            offsets.map(|it| ask(&segment, file, it, 1 << 20).is_ok()).collect::<Vec<_>>()
        };
        file[places[1].start + 20] ^= 1;
        assert_eq!(there(&file), [true, false, false, true, true]);
        file[places[1].start + 20] ^= 1;
        file[places[1].start + HEADER] ^= 1;
        assert_eq!(there(&file), [true, false, true, true, true], "its length holds");
    }

    #[test]
    fn a_frame_within_a_record_is_not_taken_for_one() {
        // Whoever wrote it knows all but what no client can.
        let (_, inner) = frame(BASE + 2 * RECORDS, &[9; 30], 77, false);
        let own = [vec![1; 50], inner.clone(), inner, vec![2; 10]].concat();
        let chunks = [vec![vec![5; 20], own, vec![6; 20]], payloads(&[20])];
        let chunks: Vec<&[Vec<u8>]> = chunks.iter().map(Vec::as_slice).collect();
        let (segment, mut file, places) = file(&chunks, false);
        for at in places[1].start..places[1].start + HEADER {
            file[at] ^= 0x10;
            let span = Span::of(&segment, BASE, 1 << 20, None);
            let brought = Brought::of(TP, &segment, &span, &file, 0);
            let bytes: Vec<_> = brought.runs.iter().map(|it| it.bytes.clone()).collect();
            assert_eq!(bytes, [places[0].clone(), places[2].start..places[3].end]);
            file[at] ^= 0x10;
        }
    }

    #[test]
    fn zeros_and_what_the_file_held_before_are_no_frames_of_it() {
        let chunks = [payloads(&[9000, 50]), payloads(&[40]), payloads(&[40])];
        let chunks: Vec<&[Vec<u8>]> = chunks.iter().map(Vec::as_slice).collect();
        let (segment, mut file, places) = file(&chunks, false);
        let holes = |file: &[u8]| {
            let span = Span::of(&segment, BASE, 1 << 20, None);
            let brought = Brought::of(TP, &segment, &span, file, 0);
            brought.holes.iter().map(|it| (it.offsets.start, it.offsets.end)).collect::<Vec<_>>()
        };
        assert_eq!(holes(&file), []);
        // A chunk that is all zeros, as if nothing had been there.
        let whole = file.clone();
        file[places[2].clone()].fill(0);
        assert_eq!(holes(&file), [(BASE + 20, BASE + 30)]);
        // The last one.
        file[places[3].clone()].fill(0);
        assert_eq!(holes(&file), [(BASE + 20, BASE + 30), (BASE + 30, BASE + 40)]);
        // A block of the first chunk, with the header of its second frame not in it.
        file.clone_from(&whole);
        file[4096..8192].fill(0);
        assert_eq!(holes(&file), [(BASE, BASE + 10)]);
        // What stood there before, from a branch of the log that was cut off.
        file.clone_from(&whole);
        for base in [BASE, BASE + 30] {
            let (_, old) = frame(base, &[3; 40], 99, false);
            file[places[2].clone()].copy_from_slice(&old);
            assert_eq!(holes(&file), [(BASE + 20, BASE + 30)]);
        }
    }

    #[test]
    fn of_a_file_that_is_short_what_is_there_is_given() {
        let chunks = [payloads(&[30, 50]), payloads(&[40]), payloads(&[4000, 5000, 10])];
        let chunks: Vec<&[Vec<u8>]> = chunks.iter().map(Vec::as_slice).collect();
        let (segment, file, places) = file(&chunks, false);
        for blocks in 0..file.len() / 4096 {
            let short = &file[..blocks * 4096];
            for (number, place) in places.iter().enumerate() {
                let told = ask(&segment, short, BASE + number as i64 * RECORDS, 1 << 20);
                assert_eq!(told.is_ok(), place.end <= short.len(), "{blocks} {number} {told:?}");
            }
        }
    }

    #[test]
    fn where_a_read_ends_anywhere_more_is_read() {
        let chunks = [payloads(&[9000, 50, 5000, 70])];
        let chunks: Vec<&[Vec<u8>]> = chunks.iter().map(Vec::as_slice).collect();
        let (segment, mut file, places) = file(&chunks, false);
        let of = |file: &[u8], blocks: u64| {
            let span = Span { start: 0, end: blocks * 4096, first: BASE, base: BASE, next: None };
            Brought::of(TP, &segment, &span, &file[..blocks as usize * 4096], 0)
        };
        let brought = of(&file, 1);
        assert_eq!((brought.runs.len(), brought.holes.len()), (0, 0));
        assert_eq!(brought.longer, Some(places[0].end));
        let brought = of(&file, 3);
        assert_eq!(brought.runs, [Run { first: BASE, next: BASE + 20, bytes: 0..places[1].end }]);
        assert_eq!((brought.holes.len(), brought.longer), (0, None));
        // Nothing is whole, and what is behind it is beyond.
        file[HEADER] ^= 1;
        let brought = of(&file, 3);
        assert_eq!(brought.holes[0].offsets, BASE..BASE + 10);
        assert_eq!(brought.runs.len(), 1, "the second one");
        let brought = of(&file, 4);
        assert_eq!(brought.runs[0].bytes, places[1].start..places[3].end);
    }
}
