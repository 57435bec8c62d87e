//! Compression of a batch's records: for clients and tools whole, for compaction a piece at a time.

use std::io::{self, Write};

use super::Compression;
use super::decompress::XERIAL_MAGIC;

/// Bytes of input in each block, as in Java's `SnappyOutputStream`.
const SNAPPY_BLOCK_LEN: usize = 32 << 10;

/// Compresses with Kafka's default levels (gzip 6, Zstandard 3), in the forms that Java's clients
/// write, which every client reads. What comes out stands behind what the buffer held before.
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
    /// # Errors
    /// What the compressor says; none can happen writing to memory short of a bug there, here and
    /// below.
    pub fn new(compression: Compression, mut out: Vec<u8>) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::None(out),
            Compression::Gzip => {
                let level = flate2::Compression::default();
                Self::Gzip(Box::new(flate2::write::GzEncoder::new(out, level)))
            }
            Compression::Snappy => {
                out.extend_from_slice(&XERIAL_MAGIC);
                // Version and lowest compatible version.
                out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
                let block = Vec::with_capacity(SNAPPY_BLOCK_LEN);
                Self::Snappy { out, block, encoder: Box::new(snap::raw::Encoder::new()) }
            }
            Compression::Lz4 => {
                // Java's reader takes independent blocks only.
                let encoder = lz4::EncoderBuilder::new()
                    .block_mode(lz4::BlockMode::Independent)
                    .block_size(lz4::BlockSize::Max64KB)
                    .checksum(lz4::ContentChecksum::NoChecksum)
                    .build(out)?;
                Self::Lz4(Box::new(encoder))
            }
            Compression::Zstd => {
                let level = zstd::DEFAULT_COMPRESSION_LEVEL;
                Self::Zstd(zstd::stream::write::Encoder::new(out, level)?)
            }
        })
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

/// Compresses `bytes` in one go.
///
/// # Errors
/// As [`Compressor`].
pub(super) fn compress(compression: Compression, bytes: &[u8]) -> io::Result<Vec<u8>> {
    if compression == Compression::Zstd {
        // With the length of the content in front.
        return zstd::bulk::compress(bytes, zstd::DEFAULT_COMPRESSION_LEVEL);
    }
    let mut compressor = Compressor::new(compression, Vec::new())?;
    compressor.write(bytes)?;
    compressor.finish()
}
