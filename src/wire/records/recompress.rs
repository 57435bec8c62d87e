//! Batches with another codec than their producer's (`LogValidator.buildRecordsAndAssignOffsets` of Kafka 4.3):
//! what a topic's `compression.type` asks for.
//!
//! The records stay what they are, byte by byte, and so do base timestamp, producer, sequence, offsets and the
//! attributes but for the codec. A large batch is decompressed again, after its records were checked, while it is
//! compressed: so no more of it lies in memory than what a decompressor and a compressor hold, and how long it is
//! without compression is known, by which Zstandard chooses its tables.

use super::compress::{Compressor, Cost, compress};
use super::decompress::decompress;
use super::walk::{Source, open};
use super::{BatchHeader, Compression, RecordError, crc};
use crate::types::Codec;
use std::borrow::Cow;

/// So many bytes are checksummed at the price of one that is decompressed.
const CHECKSUM: usize = 8;
/// What a compressor may have taken and not given out yet, when it is seen how much it has given out.
const SLACK: usize = 256 << 10;

/// A batch with more bytes keeps the room that was taken for it: to copy it would take long.
const COPIED_MAX: usize = 2 << 20;

/// Why there is no batch with another codec.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The records cannot be read.
    Records(RecordError),
    /// It has more bytes than it may have.
    TooLarge,
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        Self::Records(error)
    }
}

fn failed(codec: Codec, error: &std::io::Error) -> Failure {
    let codec = codec.compression.name();
    RecordError::Damaged { codec, what: error.to_string() }.into()
}

/// The records of `batch` as they are without compression, where they are no more than `limit` bytes.
///
/// # Errors
/// As [`decompress`].
pub(super) fn plain<'a>(
    header: &BatchHeader,
    batch: &'a [u8],
    limit: usize,
) -> Result<Cow<'a, [u8]>, RecordError> {
    let records = &batch[BatchHeader::LEN..header.total_len()];
    Ok(match header.compression()? {
        Compression::None => Cow::Borrowed(records),
        compression => Cow::Owned(decompress(compression, records, limit)?),
    })
}

/// The batch of this header and these records, which are not compressed, with this codec, where it has no more
/// than `bytes_max` bytes. The header gets codec, length and CRC.
///
/// # Errors
/// [`Failure::TooLarge`].
pub(super) fn recompress(
    header: &mut BatchHeader,
    records: &[u8],
    codec: Codec,
    bytes_max: usize,
) -> Result<Vec<u8>, Failure> {
    let out = vec![0; BatchHeader::LEN];
    let mut batch = compress(codec, records, out).map_err(|e| failed(codec, &e))?;
    set_codec(header, codec, batch.len(), bytes_max)?;
    let bytes = header.to_bytes();
    let crc = crc::crc32c(&bytes[BatchHeader::CRC_FROM..]);
    let crc = crc::append(crc, &batch[BatchHeader::LEN..]);
    seal(header, &mut batch, crc);
    Ok(batch)
}

fn set_codec(
    header: &mut BatchHeader,
    codec: Codec,
    len: usize,
    bytes_max: usize,
) -> Result<(), Failure> {
    let length = i32::try_from(len - BatchHeader::PREFIX_LEN).map_err(|_| Failure::TooLarge)?;
    if len > bytes_max {
        return Err(Failure::TooLarge);
    }
    header.attributes = header.attributes & !0b111 | codec.compression as i16;
    header.batch_length = length;
    Ok(())
}

fn seal(header: &mut BatchHeader, batch: &mut [u8], crc: u32) {
    header.crc = crc;
    batch[..BatchHeader::LEN].copy_from_slice(&header.to_bytes());
}

/// A batch that is compressed anew in steps.
pub(super) struct Recompression<'a> {
    header: BatchHeader,
    codec: Codec,
    cost: Cost,
    bytes_max: usize,
    doing: Doing<'a>,
}

enum Doing<'a> {
    /// What of the records was not compressed yet.
    Records { source: Source<'a>, out: Box<Compressor>, to_flush: usize },
    /// The checksum over the bytes before this place.
    Checksum { batch: Vec<u8>, crc: u32, at: usize },
}

impl<'a> Recompression<'a> {
    /// `batch`, of which `len` bytes come when it is decompressed, and which has the header `header` but for codec,
    /// length and CRC when it is compressed with `codec`, and at most `bytes_max` bytes.
    ///
    /// # Errors
    /// As [`recompress`]; [`Failure::Records`] where the compressed bytes are damaged.
    pub fn new(
        header: BatchHeader,
        batch: &'a [u8],
        len: usize,
        codec: Codec,
        bytes_max: usize,
    ) -> Result<Self, Failure> {
        if codec.compression == Compression::None && BatchHeader::LEN + len > bytes_max {
            return Err(Failure::TooLarge);
        }
        let source = open(&BatchHeader::parse(batch)?, batch, len)?;
        // It is not moved as it grows: that would take long, for a large one.
        let room = (len + len / 64 + 1024).min(bytes_max.saturating_add(SLACK));
        let mut out = Vec::with_capacity(room);
        out.resize(BatchHeader::LEN, 0);
        let out = Compressor::new(codec, Some(len), out).map_err(|e| failed(codec, &e))?;
        let cost = Cost::of(codec);
        let doing = Doing::Records { source, out: Box::new(out), to_flush: cost.piece };
        Ok(Self { header, codec, cost, bytes_max, doing })
    }

    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        match &self.doing {
            Doing::Records { out, .. } => out.room() + self.cost.memory,
            Doing::Checksum { batch, .. } => batch.capacity(),
        }
    }

    /// Goes on, for what it costs to decompress `budget` bytes, more than none; the batch and its header when it
    /// is whole.
    ///
    /// # Errors
    /// As [`Recompression::new`].
    pub fn step(&mut self, budget: usize) -> Result<Option<(BatchHeader, Vec<u8>)>, Failure> {
        let Self { header, codec, cost, bytes_max, doing } = self;
        let mut left = budget;
        loop {
            match doing {
                Doing::Records { source, out, to_flush } => {
                    if left == 0 {
                        return Ok(None);
                    }
                    let ready = source.ready();
                    if ready.is_empty() {
                        let refilled = source.refill()?;
                        left = left.saturating_sub(refilled);
                        if refilled > 0 {
                            continue;
                        }
                        *doing = finish(header, doing, *codec, *bytes_max)?;
                        // What was held back was compressed just now.
                        return Ok(None);
                    }
                    let now = ready.len().min(*to_flush).min((left / cost.weight).max(1));
                    out.write(&ready[..now]).map_err(|e| failed(*codec, &e))?;
                    source.pass(now);
                    left = left.saturating_sub(now * cost.weight);
                    *to_flush -= now;
                    if *to_flush == 0 {
                        *to_flush = cost.piece;
                        out.flush().map_err(|e| failed(*codec, &e))?;
                    }
                    if out.len() > *bytes_max {
                        return Err(Failure::TooLarge);
                    }
                }
                Doing::Checksum { batch, crc, at } => {
                    let end = at.saturating_add(left * CHECKSUM).min(batch.len());
                    *crc = crc::append(*crc, &batch[*at..end]);
                    *at = end;
                    if end < batch.len() {
                        return Ok(None);
                    }
                    seal(header, batch, *crc);
                    return Ok(Some((*header, std::mem::take(batch))));
                }
            }
        }
    }
}

/// All of the records were taken.
fn finish<'a>(
    header: &mut BatchHeader,
    doing: &mut Doing<'a>,
    codec: Codec,
    bytes_max: usize,
) -> Result<Doing<'a>, Failure> {
    let nothing = Doing::Checksum { batch: Vec::new(), crc: 0, at: 0 };
    let Doing::Records { out, .. } = std::mem::replace(doing, nothing) else {
        unreachable!("records are compressed once");
    };
    let mut batch = out.finish().map_err(|e| failed(codec, &e))?;
    set_codec(header, codec, batch.len(), bytes_max)?;
    if batch.len() <= COPIED_MAX {
        batch.shrink_to_fit();
    }
    let crc = crc::crc32c(&header.to_bytes()[BatchHeader::CRC_FROM..]);
    Ok(Doing::Checksum { batch, crc, at: BatchHeader::LEN })
}
