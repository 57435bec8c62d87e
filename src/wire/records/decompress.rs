//! Decompression of a batch's records, streaming or whole, never past a limit.

use std::io::{self, Read};

use super::input::Input;
use super::snappy::Block;
use super::{Compression, RecordError};

/// What the compressed bytes of one batch decompress to, as a reader.
///
/// Memory: gzip and LZ4 need well under 1 MiB; Zstandard up to the window that its header asks
/// for, at most 128 MiB of address space (level 22 uses it), of which only what is decompressed is
/// touched; Snappy one of its blocks, of which large ones come out in pieces.
pub(super) enum Decompressor<'a> {
    Gzip(Box<flate2::bufread::MultiGzDecoder<Input<'a>>>),
    Snappy(SnappyReader<'a>),
    Lz4(Box<lz4::Decoder<Input<'a>>>),
    Zstd(zstd::stream::read::Decoder<'static, Input<'a>>),
}

impl<'a> Decompressor<'a> {
    /// `limit`: no single allocation by a length that the bytes claim is larger than this.
    ///
    /// # Errors
    /// [`RecordError::Damaged`]; [`RecordError::Malformed`] for [`Compression::None`].
    pub(super) fn new(
        compression: Compression,
        bytes: Input<'a>,
        limit: usize,
    ) -> Result<Self, RecordError> {
        let damaged = |e: io::Error| damaged(compression, &e);
        Ok(match compression {
            Compression::None => return Err(RecordError::Malformed("records are not compressed")),
            Compression::Gzip => Self::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(bytes))),
            Compression::Snappy => Self::Snappy(SnappyReader::new(bytes, limit)),
            Compression::Lz4 => Self::Lz4(Box::new(lz4::Decoder::new(bytes).map_err(damaged)?)),
            Compression::Zstd => {
                Self::Zstd(zstd::stream::read::Decoder::with_buffer(bytes).map_err(damaged)?)
            }
        })
    }

    fn compression(&self) -> Compression {
        match self {
            Self::Gzip(_) => Compression::Gzip,
            Self::Snappy(_) => Compression::Snappy,
            Self::Lz4(_) => Compression::Lz4,
            Self::Zstd(_) => Compression::Zstd,
        }
    }

    /// Reads some bytes; 0 is the end.
    pub(super) fn fill(&mut self, out: &mut [u8]) -> Result<usize, RecordError> {
        let result = loop {
            let result = match self {
                Self::Gzip(r) => r.read(out),
                Self::Snappy(r) => r.read(out),
                Self::Lz4(r) => r.read(out),
                Self::Zstd(r) => r.read(out),
            };
            if !matches!(&result, Err(e) if e.kind() == io::ErrorKind::Interrupted) {
                break result;
            }
        };
        result.map_err(|e| match self {
            Self::Snappy(r) if e.kind() == TOO_LARGE => RecordError::TooLarge { limit: r.limit },
            _ => damaged(self.compression(), &e),
        })
    }
}

/// A block claims more bytes than may come out.
const TOO_LARGE: io::ErrorKind = io::ErrorKind::FileTooLarge;

fn damaged(compression: Compression, error: &io::Error) -> RecordError {
    RecordError::Damaged { codec: compression.name(), what: error.to_string() }
}

/// All that `bytes` decompress to.
///
/// # Errors
/// [`RecordError::Damaged`]; [`RecordError::TooLarge`] as soon as more than `limit` bytes came out.
pub(super) fn decompress(
    compression: Compression,
    bytes: &[u8],
    limit: usize,
) -> Result<Vec<u8>, RecordError> {
    let mut reader = Decompressor::new(compression, Input::Borrowed(bytes), limit)?;
    // Grows by what came out, not by what a header claims.
    let mut out = vec![0; (4 * bytes.len()).clamp(512, 64 << 10).min(limit.saturating_add(1))];
    let mut filled = 0;
    loop {
        let n = reader.fill(&mut out[filled..])?;
        if n == 0 {
            break;
        }
        filled += n;
        if filled > limit {
            return Err(RecordError::TooLarge { limit });
        }
        if filled == out.len() {
            out.resize(out.len().saturating_mul(2).min(limit.saturating_add(1)), 0);
        }
    }
    out.truncate(filled);
    Ok(out)
}

/// First bytes of a stream of xerial's `SnappyOutputStream`, which Java's clients write.
pub(super) const XERIAL_MAGIC: [u8; 8] = [0x82, b'S', b'N', b'A', b'P', b'P', b'Y', 0];
/// Magic, version and lowest compatible version.
const XERIAL_HEADER_LEN: usize = 16;

/// A Snappy block of more bytes than this is decoded in pieces.
const BLOCK_AT_ONCE: usize = 256 << 10;

/// Snappy blocks in xerial's framing, or one bare block, as librdkafka writes it.
pub(super) struct SnappyReader<'a> {
    rest: Input<'a>,
    framed: bool,
    /// What has come out of the block.
    block: Vec<u8>,
    /// What is to come out of it yet.
    pieces: Option<Block<'a>>,
    position: usize,
    /// What a block may claim.
    limit: usize,
}

impl<'a> SnappyReader<'a> {
    fn new(bytes: Input<'a>, limit: usize) -> Self {
        let framed = bytes.as_slice().starts_with(&XERIAL_MAGIC);
        Self { rest: bytes, framed, block: Vec::new(), pieces: None, position: 0, limit }
    }

    /// Decompresses the next block; false at the end.
    fn next_block(&mut self) -> io::Result<bool> {
        let bad = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        if self.framed {
            // Concatenated streams repeat the header.
            while self.rest.as_slice().starts_with(&XERIAL_MAGIC) {
                if self.rest.as_slice().len() < XERIAL_HEADER_LEN {
                    return Err(bad("header cut off"));
                }
                self.rest.pass(XERIAL_HEADER_LEN);
            }
        }
        if self.rest.as_slice().is_empty() {
            return Ok(false);
        }
        let mut len = self.rest.as_slice().len();
        if self.framed {
            let rest = self.rest.as_slice();
            let (framed, rest) = rest.split_first_chunk().ok_or(bad("block length cut off"))?;
            len = u32::from_be_bytes(*framed) as usize;
            if len > rest.len() {
                return Err(bad("block cut off"));
            }
            self.rest.pass(size_of::<u32>());
        }
        let block = self.rest.split_to(len);
        let claimed = snap::raw::decompress_len(block.as_slice())?;
        // A copy element makes at most 64 bytes of 3, so nothing honest grows more than that.
        if claimed / 22 > len {
            return Err(bad("the block claims more bytes than it may"));
        }
        if claimed > self.limit {
            return Err(TOO_LARGE.into());
        }
        self.position = 0;
        if claimed > BLOCK_AT_ONCE {
            self.block.clear();
            self.pieces = Some(Block::new(block, claimed)?);
            return Ok(true);
        }
        self.block.resize(claimed, 0);
        snap::raw::Decoder::new().decompress(block.as_slice(), &mut self.block)?;
        Ok(true)
    }
}

impl Read for SnappyReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        // Blocks can be empty.
        while self.position == self.block.len() {
            if let Some(pieces) = &mut self.pieces {
                if !pieces.more(&mut self.block, out.len())? {
                    self.pieces = None;
                }
            } else if !self.next_block()? {
                return Ok(0);
            }
        }
        let n = out.len().min(self.block.len() - self.position);
        out[..n].copy_from_slice(&self.block[self.position..self.position + n]);
        self.position += n;
        Ok(n)
    }
}
