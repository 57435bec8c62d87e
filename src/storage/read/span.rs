//! What one read of the disk brings: whole chunks of one segment, as the index knows them.
//!
//! Chunks begin at positions that are aligned, so a read from one of them to another one takes in
//! nothing twice, and the last frame is whole. Where the index does not say where the next chunk
//! begins, a read ends anywhere, and its last frame is read again with the next one.

use crate::storage::buffer::align_up;
use crate::storage::format::segment::Segment;

/// A chunk that is longer is read in pieces: more than one of the usual size, which write-back makes,
/// and less than what a reader would mind to wait for.
const LONGEST: u64 = 4 << 20;

/// A part of a segment that begins at a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Position of the frame that it begins with.
    pub start: u64,
    /// Where it ends.
    pub end: u64,
    /// Offset of its first record, or one further on that is in it or not far behind.
    pub first: i64,
    /// Offset of its first record.
    pub base: i64,
    /// Offset after its last record, where the index knows it.
    pub next: Option<i64>,
}

impl Span {
    /// The chunk with `at`, and as many behind it as come to about `want` bytes with it. Begins at
    /// `from` where that is nearer: the end of a frame before `at`, and the offset after its last record.
    pub fn of(segment: &Segment, at: i64, want: usize, from: Option<(u64, i64)>) -> Self {
        let meta = &segment.meta;
        let (start, first) =
            segment.entry_at(at).map_or((0, meta.base), |it| (it.position, it.base_offset));
        let from = from.filter(|it| it.0 > start);
        let (start, base) = from.unwrap_or((start, first));
        let first = if from.is_some() { at } else { first };
        let to_the_end = Self { start, end: meta.length, first, base, next: Some(meta.next) };
        let goal = start + want as u64;
        if goal >= meta.length {
            return to_the_end;
        }
        let within = segment.last_entry(goal).filter(|it| it.position > start);
        let known = match within.or_else(|| segment.next_entry(start)) {
            Some(it) => Self { end: it.position, next: Some(it.base_offset), ..to_the_end },
            None => to_the_end,
        };
        if known.end - start <= LONGEST.max(want as u64) {
            return known;
        }
        let end = align_up(goal as usize) as u64;
        Self { end: end.min(meta.length), next: None, ..to_the_end }
    }

    /// Bytes from its beginning to its end.
    pub fn len(&self) -> usize {
        self.end.saturating_sub(self.start) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::format::segment::Grown;

    /// A segment whose chunks have these lengths in blocks, ten records each.
    fn segment(chunks: &[u64], interval: u32) -> Segment {
        let mut segment = Segment::new(100, 1, 0, interval);
        for blocks in chunks {
            let base = segment.meta.next;
            segment.grow(&Grown {
                base,
                next: base + 10,
                bytes: blocks * 4096,
                max_timestamp: 1,
                max_timestamp_base: base,
                last_append: 1,
            });
        }
        segment
    }

    fn blocks(span: Span) -> (u64, u64, i64, Option<i64>) {
        (span.start / 4096, span.end / 4096, span.first, span.next)
    }

    #[test]
    fn whole_chunks_up_to_what_is_wanted() {
        let segment = segment(&[2, 3, 4, 5], 4096);
        let of = |at, want: usize| blocks(Span::of(&segment, at, want * 4096, None));
        assert_eq!(of(100, 1), (0, 2, 100, Some(110)), "one at least");
        assert_eq!(of(109, 5), (0, 5, 100, Some(120)));
        assert_eq!(of(110, 6), (2, 5, 110, Some(120)));
        assert_eq!(of(110, 7), (2, 9, 110, Some(130)));
        assert_eq!(of(115, 12), (2, 14, 110, Some(140)), "to the end");
        assert_eq!(of(139, 1), (9, 14, 130, Some(140)));
    }

    #[test]
    fn one_span_begins_where_the_other_ends_whatever_the_index_left_out() {
        for interval in [0, 4096, 20_000, 1 << 20] {
            let segment = segment(&[1, 2, 3, 1, 1, 7, 2, 2, 9, 1], interval);
            for want in [1, 3, 5, 100] {
                let (mut at, mut end) = (100, 0);
                while at < segment.meta.next {
                    let span = Span::of(&segment, at, want * 4096, None);
                    assert_eq!(span.start, end, "nothing is read twice");
                    assert_eq!(span.first, at);
                    (at, end) = (span.next.unwrap(), span.end);
                }
                assert_eq!(end, segment.meta.length);
            }
        }
    }

    #[test]
    fn where_the_index_ends_a_read_is_cut_anywhere() {
        let chunks: Vec<u64> = vec![256; 20];
        let mut whole = segment(&chunks, 4096);
        // Entries of chunks beyond the second are lost, as where a block of the index is bad.
        let mut short = segment(&chunks[..2], 4096);
        whole.tail = std::mem::take(&mut short.tail);
        let span = Span::of(&whole, 200, 64 << 10, None);
        assert_eq!(blocks(span), (256, 256 + 16, 110, None));
        // From the end of a frame that is in memory.
        let span = Span::of(&whole, 200, 64 << 10, Some((900 * 4096 + 100, 190)));
        assert_eq!((span.start, span.end), (900 * 4096 + 100, 917 * 4096));
        assert_eq!((span.first, span.base, span.next), (200, 190, None));
        let last = Span::of(&whole, 299, 64 << 10, Some((5119 * 4096, 290)));
        assert_eq!((last.end, last.next), (5120 * 4096, Some(300)));
    }
}
