//! Batches without some of their records: what compaction looks at, and what it makes
//! (`MemoryRecords.filterTo` of Kafka 4.3, KIP-534).
//!
//! A batch may decompress to many times its size, so both keep their place between two steps, and hold
//! no more of it than a decompressor and a compressor do.

use super::compress::{Compressor, Cost};
use super::decompress::Decompressor;
use super::header::{DELETE_HORIZON, LOG_APPEND_TIME, TRANSACTIONAL};
use super::input::Input;
use super::key_hash::KeyHasher;
use super::walk::{CUT_OFF, LENGTH, RECORD_COST, Streamed, TRAILING};
use super::{BatchHeader, Compression, RecordError, crc, varint};
use crate::types::Codec;
use bytes::Bytes;

/// One record, as far as compaction is concerned with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its offset.
    pub offset: i64,
    /// The hash of its key, if it has one; see [`KeyHasher`].
    pub key: Option<u128>,
    /// Whether it has a value: otherwise it is a tombstone.
    pub has_value: bool,
}

/// The records of a batch as bytes.
enum Stream {
    Plain { bytes: Bytes, at: usize },
    Streamed(Box<Streamed<'static>>),
}

impl Stream {
    fn open(header: &BatchHeader, batch: &Bytes, limit: usize) -> Result<Self, RecordError> {
        let cut = RecordError::Truncated { needed: header.total_len(), available: batch.len() };
        if batch.len() < header.total_len() {
            return Err(cut);
        }
        let bytes = batch.slice(BatchHeader::LEN..header.total_len());
        Ok(match header.compression()? {
            Compression::None => Self::Plain { bytes, at: 0 },
            compression => {
                let source = Decompressor::new(compression, Input::Held(bytes), limit)?;
                Self::Streamed(Box::new(Streamed::new(source, limit)))
            }
        })
    }

    /// Bytes passed so far.
    fn position(&self) -> usize {
        match self {
            Self::Plain { at, .. } => *at,
            Self::Streamed(it) => it.position(),
        }
    }

    /// The bytes that come next, some of them; none at the end.
    fn ready(&mut self) -> Result<&[u8], RecordError> {
        match self {
            Self::Plain { bytes, at } => Ok(&bytes[*at..]),
            Self::Streamed(it) => {
                if it.ready().is_empty() {
                    it.refill()?;
                }
                Ok(it.ready())
            }
        }
    }

    fn pass(&mut self, n: usize) {
        match self {
            Self::Plain { at, .. } => *at += n,
            Self::Streamed(it) => it.pass(n),
        }
    }

    fn byte(&mut self) -> Result<u8, RecordError> {
        let byte = *self.ready()?.first().ok_or(CUT_OFF)?;
        self.pass(1);
        Ok(byte)
    }

    /// What every record begins with.
    fn prefix(&mut self) -> Result<Prefix, RecordError> {
        let len = varint::read_i32(|| self.byte())?;
        let end = self.position() + usize::try_from(len).map_err(|_| LENGTH)?;
        let attributes = self.byte()?;
        let timestamp_delta = varint::read_i64(|| self.byte())?;
        let offset_delta = varint::read_i32(|| self.byte())?;
        let rest = end.checked_sub(self.position()).ok_or(LENGTH)?;
        Ok(Prefix { end, attributes, timestamp_delta, offset_delta, rest })
    }

    /// Hands some of the next `n` bytes to `take`, at most `most`; how many.
    fn some(
        &mut self,
        n: usize,
        most: usize,
        take: impl FnOnce(&[u8]) -> Result<(), RecordError>,
    ) -> Result<usize, RecordError> {
        let ready = self.ready()?;
        let taken = ready.len().min(n).min(most.max(1));
        if taken == 0 {
            return Err(CUT_OFF);
        }
        take(&ready[..taken])?;
        self.pass(taken);
        Ok(taken)
    }

    /// The last record was passed: nothing follows.
    fn end(&mut self) -> Result<(), RecordError> {
        if self.ready()?.is_empty() { Ok(()) } else { Err(TRAILING) }
    }
}

struct Prefix {
    /// Where the record ends.
    end: usize,
    attributes: u8,
    timestamp_delta: i64,
    offset_delta: i32,
    /// Bytes of key, value and headers.
    rest: usize,
}

enum Part {
    Record,
    /// So many bytes of the key, and what of it was read.
    Key(usize, KeyHasher),
    Value,
    /// What follows the value's length.
    Rest,
}

/// A look at the records of a batch, one after the other.
pub struct RecordScan {
    header: BatchHeader,
    stream: Stream,
    left: i32,
    part: Part,
    end: usize,
    seen: Seen,
}

impl RecordScan {
    /// The records of the batch `batch`, which may decompress to `limit` bytes.
    ///
    /// # Errors
    /// What [`BatchHeader::parse`] says; damaged compressed bytes.
    pub fn new(batch: &Bytes, limit: usize) -> Result<Self, RecordError> {
        let header = BatchHeader::parse(batch)?;
        Ok(Self {
            header,
            stream: Stream::open(&header, batch, limit)?,
            left: header.record_count,
            part: Part::Record,
            end: 0,
            seen: Seen { offset: 0, key: None, has_value: false },
        })
    }

    /// Looks on, until about `budget` bytes, more than none, are decompressed or passed; what it has
    /// used is taken from it, and what `visit` says that it has cost. Whether it is at its end.
    ///
    /// # Errors
    /// Records that end early or are damaged; [`RecordError::TooLarge`].
    pub fn step(
        &mut self,
        budget: &mut usize,
        mut visit: impl FnMut(Seen) -> usize,
    ) -> Result<bool, RecordError> {
        let Self { header, stream, left, part, end, seen } = self;
        while *budget > 0 {
            let before = stream.position();
            let mut cost = 0;
            match part {
                Part::Record if *left <= 0 => {
                    stream.end()?;
                    return Ok(true);
                }
                Part::Record => {
                    cost = RECORD_COST;
                    let prefix = stream.prefix()?;
                    *end = prefix.end;
                    seen.offset = header.base_offset.wrapping_add(prefix.offset_delta.into());
                    seen.key = None;
                    *part = match varint::read_i32(|| stream.byte())? {
                        -1 => Part::Value,
                        len => {
                            let len = usize::try_from(len).map_err(|_| LENGTH)?;
                            Part::Key(len, KeyHasher::default())
                        }
                    };
                }
                Part::Key(0, hasher) => {
                    seen.key = Some(hasher.finish());
                    *part = Part::Value;
                }
                Part::Key(len, hasher) => {
                    *len -= stream.some(*len, *budget, |bytes| {
                        hasher.write(bytes);
                        Ok(())
                    })?;
                }
                Part::Value => {
                    seen.has_value = varint::read_i32(|| stream.byte())? >= 0;
                    if stream.position() > *end {
                        return Err(LENGTH);
                    }
                    *part = Part::Rest;
                }
                Part::Rest if stream.position() == *end => {
                    cost = visit(*seen);
                    *left -= 1;
                    *part = Part::Record;
                }
                Part::Rest => {
                    stream.some(*end - stream.position(), usize::MAX, |_| Ok(()))?;
                }
            }
            let passed = stream.position() - before;
            *budget = budget.saturating_sub(passed.saturating_add(cost));
        }
        Ok(false)
    }
}

/// A batch in the making that has some of the records of another one. Offsets, sequence numbers,
/// producer and compression stay; the last offset does too, where its record is gone.
pub struct Rewriting {
    header: BatchHeader,
    stream: Stream,
    /// Those of the records that stay, in their order.
    kept: Vec<bool>,
    next: usize,
    /// Bytes of the record that is being taken over, or passed.
    rest: usize,
    takes: bool,
    /// The delete horizon that it gets.
    horizon_ms: Option<i64>,
    max_timestamp: i64,
    out: Option<Compressor>,
    /// Bytes that the compression of a byte costs.
    weight: usize,
    /// The beginning of a record, and what stands before that: its length.
    head: Vec<u8>,
    length: Vec<u8>,
}

impl Rewriting {
    /// `kept` says of each record of `batch` whether it stays; a horizon is one that it gets, without
    /// one it keeps what it has.
    ///
    /// # Errors
    /// As [`RecordScan::new`].
    pub fn new(
        batch: &Bytes,
        kept: Vec<bool>,
        horizon_ms: Option<i64>,
        limit: usize,
    ) -> Result<Self, RecordError> {
        let header = BatchHeader::parse(batch)?;
        let stream = Stream::open(&header, batch, limit)?;
        let compression = header.compression()?;
        // With the level that Kafka's cleaner takes, whatever the topic's is.
        let codec = Codec::of(compression);
        let weight = Cost::of(codec).weight;
        let most = if compression == Compression::None { header.total_len() } else { 0 };
        let mut begun = Vec::with_capacity(most);
        begun.resize(BatchHeader::LEN, 0);
        let out = Compressor::new(codec, None, begun);
        let out = Some(out.map_err(|e| failed(compression, &e))?);
        Ok(Self {
            header,
            stream,
            kept,
            next: 0,
            rest: 0,
            takes: false,
            horizon_ms,
            max_timestamp: -1,
            out,
            weight,
            head: Vec::new(),
            length: Vec::new(),
        })
    }

    /// Goes on, as [`RecordScan::step`]; the batch, when it is whole.
    ///
    /// # Errors
    /// As [`RecordScan::step`].
    pub fn step(&mut self, budget: &mut usize) -> Result<Option<Vec<u8>>, RecordError> {
        let compression = self.header.compression()?;
        let base = self.horizon_ms.unwrap_or(self.header.base_timestamp);
        while *budget > 0 {
            let before = self.stream.position();
            let cost;
            let out = self.out.as_mut().expect("it is not finished");
            if self.rest > 0 {
                let takes = self.takes;
                let most = if takes { *budget / self.weight } else { usize::MAX };
                let taken = self.stream.some(self.rest, most, |bytes| {
                    if takes {
                        out.write(bytes).map_err(|e| failed(compression, &e))
                    } else {
                        Ok(())
                    }
                })?;
                cost = if takes { taken * (self.weight - 1) } else { 0 };
                self.rest -= taken;
            } else if let Some(kept) = self.kept.get(self.next) {
                cost = RECORD_COST;
                let prefix = self.stream.prefix()?;
                (self.takes, self.rest) = (*kept, prefix.rest);
                self.next += 1;
                if self.takes {
                    let time = self.header.base_timestamp.wrapping_add(prefix.timestamp_delta);
                    self.max_timestamp = self.max_timestamp.max(time);
                    let Self { head, length, .. } = self;
                    head.clear();
                    head.push(prefix.attributes);
                    varint::put_i64(head, time.wrapping_sub(base));
                    varint::put_i32(head, prefix.offset_delta);
                    let len = i32::try_from(head.len() + prefix.rest).map_err(|_| LENGTH)?;
                    length.clear();
                    varint::put_i32(length, len);
                    out.write(length).map_err(|e| failed(compression, &e))?;
                    out.write(head).map_err(|e| failed(compression, &e))?;
                }
            } else {
                self.stream.end()?;
                return self.finish(base).map(Some);
            }
            *budget = budget.saturating_sub(self.stream.position() - before + cost);
        }
        Ok(None)
    }

    fn finish(&mut self, base_timestamp: i64) -> Result<Vec<u8>, RecordError> {
        let compression = self.header.compression()?;
        let out = self.out.take().expect("it is not finished");
        let mut batch = out.finish().map_err(|e| failed(compression, &e))?;
        let mut header = self.header;
        header.base_timestamp = base_timestamp;
        if self.horizon_ms.is_some() {
            header.attributes |= DELETE_HORIZON;
        }
        if !header.is_log_append_time() {
            header.max_timestamp = self.max_timestamp;
        }
        header.record_count = self.kept.iter().filter(|kept| **kept).count() as i32;
        put_header(&mut batch, header)?;
        Ok(batch)
    }
}

/// The batch without records that is left of one: it keeps the place of its offsets, and the last
/// sequence number of its producer (`DefaultRecordBatch.writeEmptyHeader`).
pub fn empty_batch(header: &BatchHeader) -> Vec<u8> {
    let mut batch = vec![0; BatchHeader::LEN];
    let mut header = *header;
    header.attributes &= LOG_APPEND_TIME | TRANSACTIONAL;
    header.base_timestamp = -1;
    header.record_count = 0;
    put_header(&mut batch, header).expect("a header is shorter than 2 GiB");
    batch
}

/// Puts the header in front of what it is of, with the length and the CRC that fit.
fn put_header(batch: &mut [u8], mut header: BatchHeader) -> Result<(), RecordError> {
    let length = batch.len() - BatchHeader::PREFIX_LEN;
    header.batch_length = i32::try_from(length).map_err(|_| LENGTH)?;
    batch[..BatchHeader::LEN].copy_from_slice(&header.to_bytes());
    let crc = crc::crc32c(&batch[BatchHeader::CRC_FROM..]);
    batch[BatchHeader::CRC_AT..BatchHeader::CRC_FROM].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}

fn failed(compression: Compression, error: &std::io::Error) -> RecordError {
    RecordError::Damaged { codec: compression.name(), what: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::super::{BatchBuilder, records};
    use super::*;
    use crate::types::Rng;

    const LIMIT: usize = 1 << 24;

    fn scan(batch: &Bytes, step: usize) -> Result<Vec<Seen>, RecordError> {
        let (mut scan, mut seen) = (RecordScan::new(batch, LIMIT)?, Vec::new());
        let mut visit = |it| {
            seen.push(it);
            0
        };
        while !scan.step(&mut { step }, &mut visit)? {}
        Ok(seen)
    }

    #[test]
    fn what_a_visit_costs_ends_the_step() {
        let mut builder = BatchBuilder::new(super::super::Compression::None);
        for _ in 0..3 {
            builder.push(7, Some(b"k"), Some(b"v"), &[]);
        }
        let mut scan = RecordScan::new(&builder.build().into(), LIMIT).unwrap();
        let mut visits = Vec::new();
        loop {
            let mut visited = 0;
            let visit = |_| {
                visited += 1;
                usize::MAX
            };
            let ended = scan.step(&mut { 1 << 20 }, visit).unwrap();
            if ended {
                break;
            }
            visits.push(visited);
        }
        assert_eq!(visits, [1, 1, 1]);
    }

    fn rewrite(
        batch: &Bytes,
        kept: &[bool],
        horizon_ms: Option<i64>,
        step: usize,
    ) -> Result<Vec<u8>, RecordError> {
        let mut rewriting = Rewriting::new(batch, kept.to_vec(), horizon_ms, LIMIT)?;
        loop {
            if let Some(batch) = rewriting.step(&mut { step })? {
                return Ok(batch);
            }
        }
    }

    fn random(rng: &mut Rng, compression: Compression) -> Bytes {
        let mut builder = BatchBuilder::new(compression).producer(7, 3, 40).appended_at(1000, 5);
        for _ in 0..=rng.below(30) {
            let key: Vec<u8> = (0..rng.below(200)).map(|_| rng.below(3) as u8).collect();
            let value = vec![rng.below(250) as u8; rng.below(40_000) as usize];
            let time = 1_700_000_000_000 + rng.below(100_000) as i64;
            let key = (rng.below(8) > 0).then_some(&key[..]);
            let value = (rng.below(4) > 0).then_some(&value[..]);
            builder.push(time, key, value, &[("h", Some(b"x")), ("i", None)]);
        }
        builder.build().into()
    }

    #[test]
    fn records_that_stay_are_what_they_were_in_steps_of_any_size() {
        let mut rng = Rng::new(3);
        for round in 0..120 {
            let compression = Compression::ALL[round % 5];
            let batch = random(&mut rng, compression);
            let step = 1 + rng.below(100_000) as usize;
            let all = records(&batch, LIMIT).unwrap();
            let all: Vec<_> = all.iter().map(Result::unwrap).collect();
            let seen = scan(&batch, step).unwrap();
            let expected: Vec<_> = all
                .iter()
                .map(|it| Seen {
                    offset: it.offset,
                    key: it.key.map(KeyHasher::of),
                    has_value: it.value.is_some(),
                })
                .collect();
            assert_eq!(seen, expected);
            let mut kept: Vec<bool> = seen.iter().map(|_| rng.below(2) > 0).collect();
            kept[0] = true;
            let horizon = (rng.below(2) > 0).then(|| 1_700_000_000_000 + rng.below(1 << 40) as i64);
            let made = Bytes::from(rewrite(&batch, &kept, horizon, step).unwrap());
            let before = BatchHeader::parse(&batch).unwrap();
            let header = BatchHeader::parse(&made).unwrap();
            header.check_crc(&made).unwrap();
            assert_eq!(header.total_len(), made.len());
            assert_eq!(header.delete_horizon_ms(), horizon);
            assert_eq!(header.compression(), before.compression());
            assert_eq!((header.base_offset, header.last_offset()), (1000, before.last_offset()));
            assert_eq!(header.last_sequence(), before.last_sequence());
            assert_eq!((header.producer_id, header.producer_epoch), (7, 3));
            assert_eq!(header.partition_leader_epoch, 5);
            let left = records(&made, LIMIT).unwrap();
            let left: Vec<_> = left.iter().map(Result::unwrap).collect();
            let stays = all.iter().zip(&kept).filter(|(_, kept)| **kept).map(|(it, _)| it);
            assert!(left.iter().eq(stays), "round {round}");
            assert_eq!(Some(header.max_timestamp), left.iter().map(|it| it.timestamp).max());
            // Of that one again: a horizon that is there stays.
            let again = rewrite(&made, &vec![true; left.len()], None, step).unwrap();
            let header = BatchHeader::parse(&again).unwrap();
            assert_eq!(header.delete_horizon_ms(), horizon);
            let same = records(&again, LIMIT).unwrap();
            assert!(same.iter().map(Result::unwrap).eq(left.iter().cloned()));
        }
    }

    #[test]
    fn a_batch_without_records_keeps_its_place() {
        let batch = random(&mut Rng::new(9), Compression::Lz4);
        let before = BatchHeader::parse(&batch).unwrap();
        let empty = empty_batch(&before);
        let header = BatchHeader::parse(&empty).unwrap();
        header.check_crc(&empty).unwrap();
        assert_eq!((empty.len(), header.record_count), (BatchHeader::LEN, 0));
        assert_eq!(header.last_offset(), before.last_offset());
        assert_eq!(header.last_sequence(), before.last_sequence());
        assert_eq!(header.max_timestamp, before.max_timestamp);
        assert_eq!(records(&empty, 0).unwrap().iter().count(), 0);
    }

    #[test]
    fn what_is_damaged_is_an_error_and_never_a_panic() {
        let mut rng = Rng::new(11);
        for round in 0..400 {
            let mut bytes = random(&mut rng, Compression::ALL[round % 5]).to_vec();
            for _ in 0..=rng.below(3) {
                let at = 61 + rng.below(bytes.len() as u64 - 61) as usize;
                bytes[at] ^= 1 << rng.below(8);
            }
            let batch = Bytes::from(bytes);
            if let Ok(seen) = scan(&batch, 5000) {
                let kept = vec![true; seen.len()];
                if let Ok(made) = rewrite(&batch, &kept, None, 5000) {
                    assert_eq!(scan(&made.into(), 700).unwrap(), seen);
                }
            }
        }
    }
}
