//! Compression of a batch's records: for clients and tools whole, for compaction and recompression a piece at
//! a time.

use std::io::{self, Write};

use super::Compression;
use super::decompress::XERIAL_MAGIC;
use crate::types::Codec;

/// Bytes of input in each block, as in Java's `SnappyOutputStream`.
const SNAPPY_BLOCK_LEN: usize = 32 << 10;
/// Bytes of input in each LZ4 frame's block, as in Kafka's `Lz4BlockOutputStream`.
const LZ4_BLOCK_LEN: usize = 64 << 10;
/// Bytes of input in each Zstandard block at most (RFC 8878).
const ZSTD_BLOCK_LEN: usize = 128 << 10;
/// Levels of Zstandard from this one on have tables that grow with the window: with this one they are made
/// and emptied in well under a millisecond.
const ZSTD_TABLES_FROM: i32 = 5;
/// The logarithm of that window.
const ZSTD_WINDOW_LOG: u32 = 18;
/// The level of Kafka for which it takes LZ4's fast mode.
const LZ4_FAST: i32 = 9;
/// LZ4's levels of high compression that are taken, for those of Kafka below and above too. Below is the library's
/// fast mode. Above, blocks would have to be so short that more comes out.
const LZ4_HIGH: (i32, i32) = (2, 10);

/// What it costs to compress with a codec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cost {
    /// Bytes that could be decompressed in the time in which one is compressed.
    pub weight: usize,
    /// So many bytes of input are compressed in one go at most: whoever compresses in steps flushes behind them.
    /// A block is as long where it is not shorter by itself.
    pub piece: usize,
    /// Bytes of memory, beside input and output.
    pub memory: usize,
}

impl Cost {
    /// As measured (`src/wire/DECISIONS.md`).
    pub const fn of(codec: Codec) -> Self {
        let (weight, piece, memory) = match (codec.compression, codec.level) {
            (Compression::None, _) => (1, usize::MAX, 0),
            (Compression::Snappy, _) => (2, SNAPPY_BLOCK_LEN, 128 << 10),
            (Compression::Gzip, ..=6) => (16, usize::MAX, 512 << 10),
            (Compression::Gzip, _) => (128, usize::MAX, 512 << 10),
            (Compression::Lz4, LZ4_FAST) => (2, LZ4_BLOCK_LEN, 256 << 10),
            (Compression::Lz4, ..=5) => (8, LZ4_BLOCK_LEN, 512 << 10),
            (Compression::Lz4, ..=8) => (32, LZ4_BLOCK_LEN / 2, 512 << 10),
            (Compression::Lz4, _) => (64, LZ4_BLOCK_LEN / 2, 512 << 10),
            (Compression::Zstd, ..=2) => (3, ZSTD_BLOCK_LEN, 2 << 20),
            (Compression::Zstd, ..=4) => (4, ZSTD_BLOCK_LEN, 3 << 20),
            (Compression::Zstd, ..=6) => (8, 64 << 10, 6 << 20),
            (Compression::Zstd, ..=12) => (24, 32 << 10, 6 << 20),
            (Compression::Zstd, ..=15) => (64, 8 << 10, 6 << 20),
            (Compression::Zstd, ..=17) => (128, 8 << 10, 8 << 20),
            (Compression::Zstd, _) => (256, 4 << 10, 8 << 20),
        };
        Self { weight, piece, memory }
    }
}

/// Compresses in the forms that Java's clients write, which every client reads. What comes out stands behind
/// what the buffer held before.
pub(super) enum Compressor {
    None(Vec<u8>),
    Gzip(Box<flate2::write::GzEncoder<Vec<u8>>>),
    Snappy {
        out: Vec<u8>,
        /// Input of the next block.
        block: Vec<u8>,
        encoder: Box<snap::raw::Encoder>,
    },
    Lz4(Box<lz4::Encoder<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Compressor {
    /// `len`: of all that will be written, where that is known. It makes what Zstandard needs, and what comes
    /// out, smaller.
    ///
    /// # Errors
    /// What the compressor says; none can happen writing to memory short of a bug there, here and
    /// below.
    pub fn new(codec: Codec, len: Option<usize>, mut out: Vec<u8>) -> io::Result<Self> {
        Ok(match codec.compression {
            Compression::None => Self::None(out),
            Compression::Gzip => {
                let level = match codec.level {
                    level @ 1..=9 => flate2::Compression::new(level.cast_unsigned()),
                    _ => flate2::Compression::default(),
                };
                Self::Gzip(Box::new(flate2::write::GzEncoder::new(out, level)))
            }
            Compression::Snappy => {
                out.extend_from_slice(&XERIAL_MAGIC);
                // Version and lowest compatible version.
                out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
                let block = Vec::with_capacity(len.unwrap_or(usize::MAX).min(SNAPPY_BLOCK_LEN));
                Self::Snappy { out, block, encoder: Box::new(snap::raw::Encoder::new()) }
            }
            Compression::Lz4 => {
                let level = match codec.level {
                    LZ4_FAST => 0,
                    high => high.clamp(LZ4_HIGH.0, LZ4_HIGH.1).cast_unsigned(),
                };
                // Java's reader takes independent blocks only.
                let encoder = lz4::EncoderBuilder::new()
                    .block_mode(lz4::BlockMode::Independent)
                    .block_size(lz4::BlockSize::Max64KB)
                    .checksum(lz4::ContentChecksum::NoChecksum)
                    .level(level)
                    .build(out)?;
                Self::Lz4(Box::new(encoder))
            }
            Compression::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(out, codec.level)?;
                if let Some(len) = len {
                    encoder.set_pledged_src_size(Some(len as u64))?;
                    if codec.level >= ZSTD_TABLES_FROM && len > 1 << ZSTD_WINDOW_LOG {
                        encoder.window_log(ZSTD_WINDOW_LOG)?;
                    }
                }
                Self::Zstd(encoder)
            }
        })
    }

    /// Bytes that have come out so far, with those that the buffer held before.
    pub fn len(&self) -> usize {
        match self {
            Self::None(out) | Self::Snappy { out, .. } => out.len(),
            Self::Gzip(encoder) => encoder.get_ref().len(),
            Self::Lz4(encoder) => encoder.writer().len(),
            Self::Zstd(encoder) => encoder.get_ref().len(),
        }
    }

    /// Bytes of memory that are taken for what comes out.
    pub fn room(&self) -> usize {
        match self {
            Self::None(out) | Self::Snappy { out, .. } => out.capacity(),
            Self::Gzip(encoder) => encoder.get_ref().capacity(),
            Self::Lz4(encoder) => encoder.writer().capacity(),
            Self::Zstd(encoder) => encoder.get_ref().capacity(),
        }
    }

    /// Compresses what was written and waits for more.
    pub fn flush(&mut self) -> io::Result<()> {
        match self {
            // Its blocks are short, and what gzip holds back is, too.
            Self::None(_) | Self::Snappy { .. } | Self::Gzip(_) => Ok(()),
            Self::Lz4(encoder) => encoder.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }

    /// Takes the next bytes.
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::None(out) => out.extend_from_slice(bytes),
            Self::Gzip(encoder) => encoder.write_all(bytes)?,
            Self::Lz4(encoder) => encoder.write_all(bytes)?,
            Self::Zstd(encoder) => encoder.write_all(bytes)?,
            Self::Snappy { out, block, encoder } => {
                while !bytes.is_empty() {
                    let room = SNAPPY_BLOCK_LEN - block.len();
                    let (now, later) = bytes.split_at(room.min(bytes.len()));
                    block.extend_from_slice(now);
                    bytes = later;
                    if block.len() == SNAPPY_BLOCK_LEN {
                        put_block(out, block, encoder)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// All that came out.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::None(out) => Ok(out),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Lz4(encoder) => {
                let (out, result) = encoder.finish();
                result.map(|()| out)
            }
            Self::Zstd(encoder) => encoder.finish(),
            Self::Snappy { mut out, mut block, mut encoder } => {
                if !block.is_empty() {
                    put_block(&mut out, &mut block, &mut encoder)?;
                }
                Ok(out)
            }
        }
    }
}

fn put_block(
    out: &mut Vec<u8>,
    block: &mut Vec<u8>,
    encoder: &mut snap::raw::Encoder,
) -> io::Result<()> {
    let compressed = encoder.compress_vec(block)?;
    out.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
    out.extend_from_slice(&compressed);
    block.clear();
    Ok(())
}

/// Compresses `bytes` in one go, behind what `out` holds.
///
/// # Errors
/// As [`Compressor`].
pub(super) fn compress(codec: Codec, bytes: &[u8], out: Vec<u8>) -> io::Result<Vec<u8>> {
    if codec.compression == Compression::Zstd {
        // Without a copy of the input.
        let compressed = zstd::bulk::compress(bytes, codec.level)?;
        return Ok(if out.is_empty() { compressed } else { [out, compressed].concat() });
    }
    let mut compressor = Compressor::new(codec, Some(bytes.len()), out)?;
    compressor.write(bytes)?;
    compressor.finish()
}
