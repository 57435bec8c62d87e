//! Compression of a batch's records, for clients and tools. The broker never recompresses.

use std::io::{self, Write};

use super::Compression;
use super::decompress::XERIAL_MAGIC;

/// Bytes of input in each block, as in Java's `SnappyOutputStream`.
const SNAPPY_BLOCK_LEN: usize = 32 << 10;

/// Compresses `bytes` with Kafka's default levels (gzip 6, Zstandard 3), in the forms that Java's
/// clients write, which every client reads.
///
/// # Errors
/// What the compressor says; none can happen writing to memory short of a bug there.
pub(super) fn compress(compression: Compression, bytes: &[u8]) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(bytes.to_vec()),
        Compression::Gzip => {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            out.write_all(bytes)?;
            out.finish()
        }
        Compression::Snappy => {
            let mut out = Vec::from(XERIAL_MAGIC);
            // Version and lowest compatible version.
            out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
            let mut encoder = snap::raw::Encoder::new();
            for block in bytes.chunks(SNAPPY_BLOCK_LEN) {
                let block = encoder.compress_vec(block)?;
                out.extend_from_slice(&(block.len() as u32).to_be_bytes());
                out.extend_from_slice(&block);
            }
            Ok(out)
        }
        Compression::Lz4 => {
            // Java's reader takes independent blocks only.
            let mut encoder = lz4::EncoderBuilder::new()
                .block_mode(lz4::BlockMode::Independent)
                .block_size(lz4::BlockSize::Max64KB)
                .checksum(lz4::ContentChecksum::NoChecksum)
                .build(Vec::new())?;
            encoder.write_all(bytes)?;
            let (out, result) = encoder.finish();
            result.map(|()| out)
        }
        Compression::Zstd => zstd::bulk::compress(bytes, zstd::DEFAULT_COMPRESSION_LEVEL),
    }
}
