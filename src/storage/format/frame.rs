//! The frame: what one group commit of one partition appends.
//!
//! The same bytes stand in memory, in the journal and in segments. The layout is fixed by
//! `schemas/frame.fbs`; here it is viewed in place. The header checksum covers the payload checksum
//! and is checked before any field is used, so a frame whose payload is rotten still says where the
//! next one starts.

use crate::types::{TopicId, TopicPartition};
use zerocopy::little_endian::{I32, I64, U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// "KLFR" in the order of the bytes.
pub const MAGIC: u32 = u32::from_le_bytes(*b"KLFR");
/// The only version there is.
pub const VERSION: u16 = 1;
/// A frame takes no further batch once it is this long; a single larger batch makes a larger frame.
pub const MAX_FRAME: usize = 1 << 20;

/// Fixed header of a frame; see `schemas/frame.fbs` for each field.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct FrameHeader {
    magic: U32,
    version: U16,
    kind: u8,
    flags: u8,
    topic_id: [u8; 16],
    partition: I32,
    leader_epoch: I32,
    base_offset: I64,
    last_offset: I64,
    max_timestamp: I64,
    append_time: I64,
    batch_count: U32,
    payload_length: U32,
    previous_checksum: U32,
    payload_checksum: U32,
    reserved: U32,
    header_checksum: U32,
}

/// What a frame of kind `data` has there, and one that compaction made.
const DATA: u8 = 0;
const COMPACTED: u8 = 1;

/// Bytes of a frame's header.
pub const HEADER: usize = size_of::<FrameHeader>();
const _: () = assert!(HEADER == 88);
/// The header checksum covers all that stands before it.
const COVERED: usize = HEADER - 4;

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Fewer bytes than the header, or than the header says.
    #[error("the frame is cut short: {needed} bytes are needed")]
    Short {
        /// Bytes of the whole frame, or of the header.
        needed: usize,
    },
    /// Not the magic of a frame.
    #[error("no frame starts here")]
    Magic,
    /// The header's own checksum does not hold.
    #[error("the frame's header does not match its checksum")]
    Header,
    /// The payload's checksum does not hold.
    #[error("the frame's payload does not match its checksum")]
    Payload,
    /// The payload is not as long as the header says.
    #[error("the frame's payload has {payload} bytes, its header says otherwise")]
    Length {
        /// Bytes that came.
        payload: usize,
    },
    /// The checksums hold, but the content contradicts itself.
    #[error("the frame contradicts itself: {0}")]
    Batches(&'static str),
    /// Written by a newer version of Klamm.
    #[error("frame version {0} is newer than this program")]
    Version(u16),
}

/// What a frame is made of, before it is sealed.
#[derive(Clone, Copy, Debug)]
pub struct FrameFields {
    /// Whose frame.
    pub tp: TopicPartition,
    /// All its batches lie in this epoch.
    pub leader_epoch: i32,
    /// Offset of the first record.
    pub base_offset: i64,
    /// Offset of the last record.
    pub last_offset: i64,
    /// Largest timestamp of its records, ms.
    pub max_timestamp: i64,
    /// The leader's clock, ms.
    pub append_time: i64,
    /// Record batches in it.
    pub batch_count: u32,
    /// Header checksum of this partition's frame before; 0 where there is none.
    pub previous_checksum: u32,
}

impl FrameHeader {
    /// The header of a frame around `payload`.
    pub fn seal(fields: &FrameFields, payload: &[u8]) -> Self {
        Self::around(fields, payload.len(), crc32c::crc32c(payload))
    }

    /// The header of a frame around what compaction has left. Its offsets are those that it covers,
    /// whatever is gone of them.
    pub fn compacted(fields: &FrameFields, payload: &[u8]) -> Self {
        Self::of_kind(COMPACTED, fields, payload.len(), crc32c::crc32c(payload))
    }

    /// The header of a frame around so many bytes with this checksum.
    #[inline]
    pub fn around(fields: &FrameFields, payload_len: usize, payload_checksum: u32) -> Self {
        Self::of_kind(DATA, fields, payload_len, payload_checksum)
    }

    // Its bytes are written where they are to stand, and not copied there: a twentieth of a small append.
    #[inline]
    fn of_kind(kind: u8, fields: &FrameFields, payload_len: usize, payload_checksum: u32) -> Self {
        let mut header = Self {
            magic: MAGIC.into(),
            version: VERSION.into(),
            kind,
            flags: 0,
            topic_id: fields.tp.topic.0,
            partition: fields.tp.partition.into(),
            leader_epoch: fields.leader_epoch.into(),
            base_offset: fields.base_offset.into(),
            last_offset: fields.last_offset.into(),
            max_timestamp: fields.max_timestamp.into(),
            append_time: fields.append_time.into(),
            batch_count: fields.batch_count.into(),
            payload_length: (payload_len as u32).into(),
            previous_checksum: fields.previous_checksum.into(),
            payload_checksum: payload_checksum.into(),
            reserved: 0.into(),
            header_checksum: 0.into(),
        };
        header.header_checksum = crc32c::crc32c(&header.as_bytes()[..COVERED]).into();
        header
    }

    /// The verified header at the start of `bytes`; the payload is not looked at.
    pub fn read(bytes: &[u8]) -> Result<Self, FrameError> {
        let Ok((header, _)) = Self::read_from_prefix(bytes) else {
            return Err(FrameError::Short { needed: HEADER });
        };
        if header.magic.get() != MAGIC {
            return Err(FrameError::Magic);
        }
        if crc32c::crc32c(&bytes[..COVERED]) != header.header_checksum.get() {
            return Err(FrameError::Header);
        }
        if header.version.get() != VERSION {
            return Err(FrameError::Version(header.version.get()));
        }
        Ok(header)
    }

    /// The verified frame at the start of `bytes`: its header and its payload.
    pub fn read_whole(bytes: &[u8]) -> Result<(Self, &[u8]), FrameError> {
        let header = Self::read(bytes)?;
        let needed = header.frame_len();
        let payload = bytes.get(HEADER..needed).ok_or(FrameError::Short { needed })?;
        if !header.covers(payload) {
            return Err(FrameError::Payload);
        }
        Ok((header, payload))
    }

    /// The header at the start of bytes that were verified before; `None` on padding.
    pub fn view(bytes: &[u8]) -> Option<Self> {
        let (header, _) = Self::read_from_prefix(bytes).ok()?;
        (header.magic.get() == MAGIC && header.frame_len() <= bytes.len()).then_some(header)
    }

    /// Bytes of header and payload.
    pub fn frame_len(&self) -> usize {
        HEADER + self.payload_length.get() as usize
    }
    /// Whose frame.
    pub fn tp(&self) -> TopicPartition {
        TopicPartition { topic: TopicId(self.topic_id), partition: self.partition.get() }
    }
    /// Offset of the first record.
    pub fn base_offset(&self) -> i64 {
        self.base_offset.get()
    }
    /// Offset of the last record.
    pub fn last_offset(&self) -> i64 {
        self.last_offset.get()
    }
    /// Epoch of all its batches.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch.get()
    }
    /// Largest timestamp, ms.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp.get()
    }
    /// The leader's clock at the append, ms.
    pub fn append_time(&self) -> i64 {
        self.append_time.get()
    }
    /// Header checksum of this partition's frame before, or 0.
    pub fn previous_checksum(&self) -> u32 {
        self.previous_checksum.get()
    }
    /// Names this frame in the chain.
    pub fn header_checksum(&self) -> u32 {
        self.header_checksum.get()
    }
    /// What the next frame names as the one before it. Nothing is chained to a frame that compaction
    /// made, since what comes behind it is as old as what it was made of.
    pub fn chain_checksum(&self) -> u32 {
        if self.is_compacted() { 0 } else { self.header_checksum() }
    }
    /// Whether this is its payload, by the checksum.
    pub fn covers(&self, payload: &[u8]) -> bool {
        crc32c::crc32c(payload) == self.payload_checksum.get()
    }
    /// Whether compaction made it.
    pub fn is_compacted(&self) -> bool {
        self.kind == COMPACTED
    }
    /// Record batches in it.
    pub fn batch_count(&self) -> u32 {
        self.batch_count.get()
    }
}

/// One step of a walk over bytes of a segment.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// A verified frame at this position.
    Frame {
        /// Position of the header.
        at: usize,
        /// The header.
        header: FrameHeader,
    },
    /// Bytes end inside a frame that starts at this position and has that length (or more than is
    /// known, where not even the header is there).
    Cut {
        /// Position of the header.
        at: usize,
        /// Bytes of the frame, at least.
        needed: usize,
    },
    /// Something else stands at this position.
    Bad {
        /// Position.
        at: usize,
        /// What is wrong.
        error: FrameError,
    },
}

/// Walks the frames in `bytes` of a segment from `from` on, a frame boundary. Padding after a frame
/// (zeros up to the next multiple of 4096 *of the file*) is skipped; `base` is the file position of
/// `bytes[0]`. Ends after a `Cut` or `Bad`.
pub fn walk(bytes: &[u8], base: u64, from: usize) -> impl Iterator<Item = Step> + '_ {
    let mut at = from;
    let mut ended = false;
    std::iter::from_fn(move || {
        while !ended && at < bytes.len() {
            match FrameHeader::read_whole(&bytes[at..]) {
                Ok((header, _)) => {
                    let here = at;
                    at += header.frame_len();
                    return Some(Step::Frame { at: here, header });
                }
                Err(FrameError::Short { needed }) if !is_padding(&bytes[at..]) => {
                    ended = true;
                    return Some(Step::Cut { at, needed });
                }
                Err(error) => {
                    let position = base + at as u64;
                    let next = (position.div_ceil(4096) * 4096 - base) as usize;
                    if next > at && is_padding(&bytes[at..next.min(bytes.len())]) {
                        at = next;
                    } else {
                        ended = true;
                        return Some(Step::Bad { at, error });
                    }
                }
            }
        }
        None
    })
}

fn is_padding(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| *b == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(base: i64, payload: &[u8]) -> Vec<u8> {
        let fields = FrameFields {
            tp: TopicPartition { topic: TopicId([3; 16]), partition: 7 },
            leader_epoch: 4,
            base_offset: base,
            last_offset: base + 9,
            max_timestamp: 1000,
            append_time: 2000,
            batch_count: 1,
            previous_checksum: 5,
        };
        [FrameHeader::seal(&fields, payload).as_bytes(), payload].concat()
    }

    #[test]
    fn a_flipped_bit_anywhere_is_found() {
        let good = frame(100, b"payload of a frame");
        assert_eq!(FrameHeader::read_whole(&good).unwrap().0.base_offset(), 100);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(FrameHeader::read_whole(&bad).is_err(), "bit {bit}");
        }
        for cut in 0..good.len() {
            assert!(FrameHeader::read_whole(&good[..cut]).is_err());
        }
    }

    #[test]
    fn walks_over_padding_and_stops_at_a_cut() {
        let mut bytes = frame(0, &[1; 500]);
        bytes.resize(4096, 0);
        bytes.extend(frame(10, &[2; 700]));
        let second_end = bytes.len();
        bytes.extend(frame(20, &[3; 100]));
        let found: Vec<_> = walk(&bytes, 0, 0)
            .map(|s| match s {
                Step::Frame { header, .. } => header.base_offset(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(found, [0, 10, 20]);
        let last = walk(&bytes[..second_end + 100], 0, 0).last();
        assert!(matches!(last, Some(Step::Cut { at, needed: 188 }) if at == second_end));
        bytes[second_end + 90] ^= 1;
        assert!(
            matches!(walk(&bytes, 0, 0).last(), Some(Step::Bad { at, .. }) if at == second_end)
        );
    }
}
