//! Checks that what was read is what was written: nothing lost, nothing twice, nothing out of order.
//! Pure.

use super::batch::{Mark, VARIANTS};
use crate::wire::records::{BatchHeader, Compression, records};
use std::collections::BTreeMap;

/// Follows the numbers of one writer in one partition.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    next: u64,
    /// Gaps: ranges of numbers that have not come, as the first number and the one after the last.
    missing: BTreeMap<u64, u64>,
}

/// How a batch's number compares with those that came before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The next one.
    InOrder,
    /// This many numbers before it have not come yet.
    AfterGap(u64),
    /// One that was missing: it comes out of order.
    Late,
    /// It came before.
    Again,
}

impl Sequence {
    /// Whether a number has come.
    fn begun(&self) -> bool {
        self.next > 0
    }

    /// Takes the next number. With `modulo`, only the remainder of the number is known, and the number
    /// that fits best is worked out. Returns the number and how it compares.
    pub fn take(&mut self, number: u64, modulo: Option<u64>) -> (u64, Place) {
        let number = match modulo {
            None => number,
            Some(m) => {
                // The nearest one, ahead if in doubt.
                let ahead = (number + m - self.next % m) % m;
                let behind = m - ahead;
                if behind < ahead && behind <= self.next {
                    self.next - behind
                } else {
                    self.next + ahead
                }
            }
        };
        if number >= self.next {
            let gap = number - self.next;
            if gap > 0 {
                self.missing.insert(self.next, number);
            }
            self.next = number + 1;
            return (number, if gap > 0 { Place::AfterGap(gap) } else { Place::InOrder });
        }
        let gap = self.missing.range(..=number).next_back().map(|(from, to)| (*from, *to));
        match gap {
            Some((from, to)) if number < to => {
                self.missing.remove(&from);
                if from < number {
                    self.missing.insert(from, number);
                }
                if number + 1 < to {
                    self.missing.insert(number + 1, to);
                }
                (number, Place::Late)
            }
            _ => (number, Place::Again),
        }
    }

    /// The number after the largest that came.
    pub fn next(&self) -> u64 {
        self.next
    }
}

/// What was found wrong. Counts are numbers of batches unless a field says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Batches that were looked at.
    pub batches: u64,
    /// Records in them.
    pub records: u64,
    /// Missing: a later one of the same writer was there, or it was acknowledged.
    pub lost: u64,
    /// More than once.
    pub duplicates: u64,
    /// After a later one of the same writer.
    pub reordered: u64,
    /// Unreadable, or with a wrong CRC.
    pub corrupt: u64,
    /// Offsets that were skipped.
    pub offset_gaps: u64,
    /// The first of these, in words.
    pub first: Option<String>,
}

impl Verdict {
    /// Nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.lost + self.duplicates + self.reordered + self.corrupt + self.offset_gaps == 0
    }

    /// Keeps the description of the first problem.
    pub fn note(&mut self, what: impl FnOnce() -> String) {
        self.first.get_or_insert_with(what);
    }

    /// Adds another verdict.
    pub fn add(&mut self, other: Self) {
        self.batches += other.batches;
        self.records += other.records;
        self.lost += other.lost;
        self.duplicates += other.duplicates;
        self.reordered += other.reordered;
        self.corrupt += other.corrupt;
        self.offset_gaps += other.offset_gaps;
        self.first = self.first.take().or(other.first);
    }

    /// What is wrong, in one line; `None` if nothing is.
    pub fn problem(&self) -> Option<String> {
        if self.is_good() {
            return None;
        }
        let parts: Vec<_> = [
            (self.lost, "batches lost"),
            (self.duplicates, "batches twice"),
            (self.reordered, "batches out of order"),
            (self.corrupt, "batches corrupt"),
            (self.offset_gaps, "offsets skipped"),
        ]
        .iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}"))
        .collect();
        let first = self.first.as_ref().map_or(String::new(), |f| format!("; first: {f}"));
        Some(format!("the data is wrong: {}{first}", parts.join(", ")))
    }
}

/// What a fetched piece of a partition held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Batches.
    pub batches: u64,
    /// Records.
    pub records: u64,
    /// Bytes of the batches.
    pub bytes: u64,
}

/// Reads one partition's batches in the order of their offsets.
#[derive(Clone, Debug)]
pub struct PartitionReader {
    name: String,
    /// The offset to fetch next.
    pub position: i64,
    /// Reading began where the partition began, so every writer begins with its first batch.
    from_start: bool,
    check: bool,
    sequences: Vec<(u32, Sequence)>,
}

impl PartitionReader {
    /// Reads the partition `name` from `position` on; `check` looks at CRCs and numbers.
    pub fn new(name: String, position: i64, from_start: bool, check: bool) -> Self {
        Self { name, position, from_start, check, sequences: Vec::new() }
    }

    /// The number after the largest that `writer` has written.
    pub fn next_number(&self, writer: u32) -> u64 {
        self.sequences.iter().find(|(w, _)| *w == writer).map_or(0, |(_, s)| s.next())
    }

    /// Takes what a fetch returned: whole batches, and perhaps the beginning of one that was cut.
    /// `each` gets every batch with a mark: writer, whole number, count of records.
    pub fn take(
        &mut self,
        mut bytes: &[u8],
        verdict: &mut Verdict,
        mut each: impl FnMut(u32, u64, u64),
    ) -> Result<Seen, String> {
        let mut seen = Seen::default();
        let all = bytes.len();
        while !bytes.is_empty() {
            let header = match BatchHeader::parse(bytes) {
                Ok(header) => header,
                Err(crate::wire::records::RecordError::Truncated { .. }) => break,
                Err(e) => return Err(format!("{} at offset {}: {e}", self.name, self.position)),
            };
            let (batch, rest) = bytes.split_at(header.total_len());
            bytes = rest;
            let count = i64::from(header.last_offset_delta) + 1;
            seen.batches += 1;
            seen.records += count.max(0) as u64;
            seen.bytes += batch.len() as u64;
            if self.check {
                self.check(&header, batch, verdict, &mut each);
            }
            self.position = self.position.max(header.next_offset());
        }
        if all > 0 && bytes.len() == all {
            return Err(format!(
                "{} at offset {}: no whole batch in {all} bytes; raise --partition-bytes",
                self.name, self.position
            ));
        }
        Ok(seen)
    }

    fn check(
        &mut self,
        header: &BatchHeader,
        batch: &[u8],
        verdict: &mut Verdict,
        each: &mut impl FnMut(u32, u64, u64),
    ) {
        let Self { name, position, .. } = self;
        let base = header.base_offset;
        verdict.batches += 1;
        verdict.records += header.record_count.max(0) as u64;
        if header.next_offset() <= *position {
            verdict.duplicates += 1;
            verdict.note(|| format!("{name}: offset {base} came again at {position}"));
            return;
        }
        if base > *position {
            verdict.offset_gaps += (base - *position) as u64;
            verdict.note(|| format!("{name}: offset {position} is missing, {base} came"));
        }
        if let Err(e) = header.check_crc(batch) {
            verdict.corrupt += 1;
            verdict.note(|| format!("{name}: batch at offset {base}: {e}"));
            return;
        }
        if header.is_control() {
            return;
        }
        let opened = match records(batch, 1 << 30) {
            Ok(opened) => opened,
            Err(e) => {
                verdict.corrupt += 1;
                verdict.note(|| format!("{name}: batch at offset {base}: {e}"));
                return;
            }
        };
        let Some(mark) = opened
            .iter()
            .next()
            .and_then(Result::ok)
            .and_then(|record| record.value)
            .and_then(Mark::read)
        else {
            return;
        };
        let modulo = match header.compression() {
            Ok(Compression::None) => None,
            _ => Some(VARIANTS),
        };
        let at = match self.sequences.iter().position(|(w, _)| *w == mark.writer) {
            Some(at) => at,
            None => {
                self.sequences.push((mark.writer, Sequence::default()));
                self.sequences.len() - 1
            }
        };
        let sequence = &mut self.sequences[at].1;
        if !sequence.begun() && !self.from_start {
            // Its first batches may be before what is read.
            sequence.next = mark.number;
        }
        let (number, place) = sequence.take(mark.number, modulo);
        let name = &self.name;
        match place {
            Place::InOrder => {}
            Place::AfterGap(n) => {
                verdict.lost += n;
                verdict.note(|| {
                    format!("{name}: batch {} is missing before offset {base}", number - n)
                });
            }
            Place::Late => {
                verdict.lost = verdict.lost.saturating_sub(1);
                verdict.reordered += 1;
                verdict.note(|| format!("{name}: batch {number} comes late, at offset {base}"));
            }
            Place::Again => {
                verdict.duplicates += 1;
                verdict.note(|| format!("{name}: batch {number} is there twice, at offset {base}"));
            }
        }
        each(mark.writer, number, header.record_count.max(0) as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::{Batches, Shape};
    use super::*;
    use crate::wire::records::set_offset_and_epoch;

    #[test]
    fn numbers_find_their_place() {
        let mut s = Sequence::default();
        assert_eq!(s.take(0, None), (0, Place::InOrder));
        assert_eq!(s.take(4, None), (4, Place::AfterGap(3)));
        assert_eq!(s.take(2, None), (2, Place::Late));
        assert_eq!(s.take(2, None), (2, Place::Again));
        assert_eq!(s.take(1, None), (1, Place::Late));
        assert_eq!(s.take(3, None), (3, Place::Late));
        assert_eq!(s.take(3, None), (3, Place::Again));
        assert_eq!(s.take(5, None), (5, Place::InOrder));
        assert!(s.missing.is_empty() && s.next() == 6);
    }

    #[test]
    fn remainders_find_the_nearest_number() {
        let mut s = Sequence::default();
        for n in 0..100 {
            assert_eq!(s.take(n % 32, Some(32)), (n, Place::InOrder));
        }
        assert_eq!(s.take(102 % 32, Some(32)), (102, Place::AfterGap(2)));
        assert_eq!(s.take(101 % 32, Some(32)), (101, Place::Late));
        assert_eq!(s.take(99 % 32, Some(32)), (99, Place::Again));
    }

    /// Batches of a writer in this order, at offsets that follow each other.
    fn log(numbers: &[u64], compression: Compression) -> Vec<u8> {
        let shape = Shape { records: 2, value_bytes: 40, keys: None, compression };
        let mut batches = Batches::new(&shape, 5, None);
        let mut log = Vec::new();
        for (i, number) in numbers.iter().enumerate() {
            let (front, rest) = batches.patch(*number, None, 1);
            let mut batch = [front, rest].concat();
            set_offset_and_epoch(&mut batch, i as i64 * 2, 0);
            log.extend_from_slice(&batch);
        }
        log
    }

    fn read(log: &[u8]) -> (Verdict, Vec<u64>, i64) {
        let mut reader = PartitionReader::new("t-0".to_owned(), 0, true, true);
        let mut verdict = Verdict::default();
        let mut numbers = Vec::new();
        reader.take(log, &mut verdict, |_, n, _| numbers.push(n)).expect("readable");
        (verdict, numbers, reader.position)
    }

    #[test]
    fn finds_loss_duplicates_and_order() {
        for compression in [Compression::None, Compression::Lz4] {
            let (v, numbers, position) = read(&log(&[0, 1, 2, 3], compression));
            assert!(v.is_good() && v.problem().is_none(), "{v:?}");
            assert_eq!((numbers, position, v.records), (vec![0, 1, 2, 3], 8, 8));
            let (v, ..) = read(&log(&[0, 2, 3], compression));
            assert_eq!((v.lost, v.duplicates, v.reordered), (1, 0, 0));
            let (v, ..) = read(&log(&[0, 1, 1, 2], compression));
            assert_eq!((v.lost, v.duplicates, v.reordered), (0, 1, 0));
            let (v, ..) = read(&log(&[0, 2, 1, 3], compression));
            assert_eq!((v.lost, v.duplicates, v.reordered), (0, 0, 1));
            assert!(v.problem().expect("a problem").contains("1 batches out of order"));
            // Nobody's first batch may be missing where the log begins.
            let (v, ..) = read(&log(&[1, 2], compression));
            assert_eq!(v.lost, 1);
        }
    }

    #[test]
    fn finds_damage_gaps_and_repeats() {
        let whole = log(&[0, 1, 2], Compression::None);
        let size = whole.len() / 3;
        let mut damaged = whole.clone();
        damaged[size + 100] ^= 1;
        let (v, ..) = read(&damaged);
        assert_eq!((v.corrupt, v.lost), (1, 1));
        let (v, ..) = read(&[&whole[..size], &whole[2 * size..]].concat());
        assert_eq!((v.offset_gaps, v.lost), (2, 1));
        let (v, ..) = read(&[&whole[..size], &whole].concat());
        assert_eq!((v.duplicates, v.lost), (1, 0));
    }

    #[test]
    fn a_cut_batch_is_left_for_the_next_fetch() {
        let whole = log(&[0, 1], Compression::None);
        let mut reader = PartitionReader::new("t-0".to_owned(), 0, true, true);
        let mut v = Verdict::default();
        let seen = reader.take(&whole[..whole.len() - 1], &mut v, |_, _, _| ()).expect("one");
        assert_eq!((seen.batches, reader.position), (1, 2));
        assert!(reader.take(&whole[..50], &mut v, |_, _, _| ()).is_err());
        assert!(v.is_good());
    }
}
