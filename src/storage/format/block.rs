//! The journal block: what one turn of a shard appends, over all its partitions.
//!
//! Header, a table of entry headers, the entries' bodies, zeros up to a multiple of 4096. The
//! block's checksum covers its header and the table; every body is covered by a checksum in the
//! table. So a torn block is known from what it says of itself, whichever of its sectors is missing.

use super::frame::{self, FrameError, FrameHeader};
use super::segment::Cut;
use crate::storage::buffer::{ALIGN, align_up};
use crate::types::{TopicId, TopicPartition};
use zerocopy::little_endian::{I32, I64, U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const MAGIC: u32 = u32::from_le_bytes(*b"KLJB");
/// The only version there is.
pub const VERSION: u16 = 1;
/// Entry flag: copied forward from an older block.
pub const COPIED: u8 = 1;

/// Fixed header of a block; see `schemas/frame.fbs`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct BlockHeader {
    magic: U32,
    version: U16,
    shard: U16,
    directory_id: [u8; 16],
    life: U64,
    sequence: U64,
    durable_through: U64,
    length: U32,
    entries: U32,
    previous_checksum: U32,
    checksum: U32,
}

/// Bytes of a block's header.
pub const HEADER: usize = size_of::<BlockHeader>();
const _: () = assert!(HEADER == 64);

/// One line of the table of entries.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct EntryHeader {
    lsn: U64,
    length: U32,
    body_checksum: U32,
    kind: u8,
    flags: u8,
    reserved: U16,
    padding: U32,
}

/// Bytes of one line of the table.
pub const ENTRY: usize = size_of::<EntryHeader>();
const _: () = assert!(ENTRY == 24);

/// Body of `Placed`, `Truncate`, `LogStart`, `Drop` and `Restart`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ControlBody {
    topic_id: [u8; 16],
    partition: I32,
    reserved: U32,
    offset: I64,
}

/// What follows the [`ControlBody`] of a `Placed`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct PlacedBody {
    next: I64,
    segment: I64,
    generation: U64,
    position: U64,
    length: U64,
    checksum: U32,
    reserved: U32,
}

/// Bytes of the body of a `Placed`.
pub const PLACED: usize = CONTROL + size_of::<PlacedBody>();
const _: () = assert!(PLACED == 80);

/// What follows the [`ControlBody`] of a `Truncate` or a `Restart`; the state of the partition's core comes behind
/// it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct TruncateBody {
    segment: I64,
    length: U64,
    max_timestamp: I64,
    max_timestamp_base: I64,
    last_append: I64,
    checksum: U32,
    reserved: U32,
}

/// Bytes of it.
const TRUNCATE: usize = size_of::<TruncateBody>();
const _: () = assert!(TRUNCATE == 48);

/// Bytes of a control entry's body.
pub const CONTROL: usize = size_of::<ControlBody>();
const _: () = assert!(CONTROL == 32);

/// Why bytes are no block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// Torn, rotten, or not of this journal.
    #[error("no whole block of this journal")]
    Broken,
    /// Sound, as far as this program can tell, and written by a newer one.
    #[error("{what} {number}, which a newer version of Klamm wrote")]
    Newer {
        /// Of what.
        what: &'static str,
        /// The version or kind that is not known here.
        number: u16,
    },
}

/// What an entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A frame.
    Append,
    /// Frames that stand in a segment.
    Placed,
    /// Everything from this offset on is gone.
    Truncate,
    /// Everything below this offset is gone.
    LogStart,
    /// The whole log is gone.
    Drop,
    /// All that the log had is gone, and it begins anew at this offset.
    Restart,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Self::Append => 1,
            Self::Placed => 2,
            Self::Truncate => 3,
            Self::LogStart => 4,
            Self::Drop => 6,
            Self::Restart => 7,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        let all =
            [Self::Append, Self::Placed, Self::Truncate, Self::LogStart, Self::Drop, Self::Restart];
        all.into_iter().find(|k| k.code() == code)
    }
}

/// Which journal a block belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Journal {
    /// UUID of the data directory.
    pub directory_id: [u8; 16],
    /// Raised durably at each open.
    pub life: u64,
    /// The shard that writes it.
    pub shard: u16,
}

/// Where a block stands in its journal.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// From 1 in each life.
    pub sequence: u64,
    /// Highest sequence known to be synced.
    pub durable_through: u64,
    /// Checksum of the block before.
    pub previous_checksum: u32,
}

/// A run of frames that stands in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// Offset of its first record.
    pub first: i64,
    /// Offset after its last record.
    pub next: i64,
    /// Base offset of the segment.
    pub segment: i64,
    /// Generation of the segment.
    pub generation: u64,
    /// Where it begins in the segment, a multiple of [`ALIGN`].
    pub position: u64,
    /// Bytes of its frames.
    pub length: usize,
    /// Header checksum of its last frame. That names the one before, so it tells these frames from
    /// all others that may have stood there.
    pub checksum: u32,
}

/// The body of a `Placed`.
pub fn placed_body(tp: TopicPartition, run: &Run) -> Vec<u8> {
    let fields = PlacedBody {
        next: run.next.into(),
        segment: run.segment.into(),
        generation: run.generation.into(),
        position: run.position.into(),
        length: (run.length as u64).into(),
        checksum: run.checksum.into(),
        reserved: 0.into(),
    };
    [control_body(tp, run.first).as_bytes(), fields.as_bytes()].concat()
}

/// Reads [`placed_body`] back.
pub fn placed(body: &[u8]) -> Option<Run> {
    let (control, rest) = ControlBody::read_from_prefix(body).ok()?;
    let fields = PlacedBody::read_from_bytes(rest).ok()?;
    Some(Run {
        first: control.offset.get(),
        next: fields.next.get(),
        segment: fields.segment.get(),
        generation: fields.generation.get(),
        position: fields.position.get(),
        length: usize::try_from(fields.length.get()).ok()?,
        checksum: fields.checksum.get(),
    })
}

/// The body of a `Truncate`: how it shortens the segment that it falls into, and the state of the
/// partition's core after it. So replay needs nothing of what was cut off, nor of what is left.
pub fn truncate_body(tp: TopicPartition, offset: i64, cut: Option<&Cut>, state: &[u8]) -> Vec<u8> {
    let fields = match cut {
        Some(cut) => TruncateBody {
            segment: cut.segment.into(),
            length: cut.length.into(),
            max_timestamp: cut.max_timestamp.into(),
            max_timestamp_base: cut.max_timestamp_base.into(),
            last_append: cut.last_append.into(),
            checksum: cut.checksum.into(),
            reserved: 0.into(),
        },
        None => TruncateBody {
            segment: (-1).into(),
            length: 0.into(),
            max_timestamp: 0.into(),
            max_timestamp_base: 0.into(),
            last_append: 0.into(),
            checksum: 0.into(),
            reserved: 0.into(),
        },
    };
    let control = control_body(tp, offset);
    [control.as_bytes(), fields.as_bytes(), state].concat()
}

/// Reads [`truncate_body`] back: the cut, and how many bytes of state end the body.
pub fn truncation(body: &[u8]) -> (Option<Cut>, usize) {
    let rest = body.get(CONTROL..).unwrap_or_default();
    let Ok((fields, state)) = TruncateBody::read_from_prefix(rest) else { return (None, 0) };
    let cut = Cut {
        segment: fields.segment.get(),
        length: fields.length.get(),
        max_timestamp: fields.max_timestamp.get(),
        max_timestamp_base: fields.max_timestamp_base.get(),
        last_append: fields.last_append.get(),
        checksum: fields.checksum.get(),
    };
    ((cut.segment >= 0).then_some(cut), state.len())
}

/// The line of a frame in the table.
pub fn append_entry(lsn: u64, frame: &FrameHeader, flags: u8) -> EntryHeader {
    entry(lsn, Kind::Append, frame.frame_len(), frame.header_checksum(), flags)
}

/// The line and the body of a control entry.
pub fn control_entry(
    lsn: u64,
    kind: Kind,
    tp: TopicPartition,
    offset: i64,
) -> (EntryHeader, ControlBody) {
    debug_assert!(kind != Kind::Append);
    let body = control_body(tp, offset);
    (control_line(lsn, kind, body.as_bytes()), body)
}

/// The line of a control entry with this body.
pub fn control_line(lsn: u64, kind: Kind, body: &[u8]) -> EntryHeader {
    entry(lsn, kind, body.len(), crc32c::crc32c(body), 0)
}

/// The body of a control entry.
pub fn control_body(tp: TopicPartition, offset: i64) -> ControlBody {
    ControlBody {
        topic_id: tp.topic.0,
        partition: tp.partition.into(),
        reserved: 0.into(),
        offset: offset.into(),
    }
}

fn entry(lsn: u64, kind: Kind, length: usize, body_checksum: u32, flags: u8) -> EntryHeader {
    EntryHeader {
        lsn: lsn.into(),
        length: (length as u32).into(),
        body_checksum: body_checksum.into(),
        kind: kind.code(),
        flags,
        reserved: 0.into(),
        padding: 0.into(),
    }
}

/// Bytes of a block with that many entries and bytes of bodies.
pub fn block_len(entries: usize, bodies: usize) -> usize {
    align_up(HEADER + entries * ENTRY + bodies)
}

/// Writes the header over the first bytes of `block`, in which the table and the bodies stand
/// already. Returns the block's checksum, which the next one names.
pub fn seal(block: &mut [u8], journal: Journal, place: Place, entries: usize) -> u32 {
    debug_assert_eq!(block.len() % ALIGN, 0);
    let mut header = BlockHeader {
        magic: MAGIC.into(),
        version: VERSION.into(),
        shard: journal.shard.into(),
        directory_id: journal.directory_id,
        life: journal.life.into(),
        sequence: place.sequence.into(),
        durable_through: place.durable_through.into(),
        length: (block.len() as u32).into(),
        entries: (entries as u32).into(),
        previous_checksum: place.previous_checksum.into(),
        checksum: 0.into(),
    };
    let checksum = checksum_of(&header, &block[HEADER..HEADER + entries * ENTRY]);
    header.checksum = checksum.into();
    block[..HEADER].copy_from_slice(header.as_bytes());
    checksum
}

fn checksum_of(header: &BlockHeader, table: &[u8]) -> u32 {
    let mut blank = *header;
    blank.checksum = 0.into();
    crc32c::crc32c_append(crc32c::crc32c(blank.as_bytes()), table)
}

impl BlockHeader {
    /// The header at the start of `bytes`, if one of this journal stands there. Its checksum is not
    /// verified: that takes the whole table. Magic, version and the names of the journal stand where
    /// they do in every version, so that a newer block is known as one.
    pub fn peek(bytes: &[u8], journal: Journal) -> Result<Self, BlockError> {
        let (header, _) = Self::read_from_prefix(bytes).map_err(|_| BlockError::Broken)?;
        let ours = header.magic.get() == MAGIC
            && header.shard.get() == journal.shard
            && header.directory_id == journal.directory_id
            && header.life.get() == journal.life;
        let version = header.version.get();
        if ours && version > VERSION {
            return Err(BlockError::Newer { what: "block version", number: version });
        }
        let length = header.length.get() as usize;
        let fits = HEADER + header.entries.get() as usize * ENTRY <= length;
        if ours && version == VERSION && length.is_multiple_of(ALIGN) && fits {
            Ok(header)
        } else {
            Err(BlockError::Broken)
        }
    }

    /// Bytes of the block.
    pub fn len(&self) -> usize {
        self.length.get() as usize
    }
    /// Never: a block has at least its header.
    pub fn is_empty(&self) -> bool {
        false
    }
    /// Bytes of header and table.
    pub fn table_end(&self) -> usize {
        HEADER + self.entries.get() as usize * ENTRY
    }
    /// Position in the journal's order.
    pub fn sequence(&self) -> u64 {
        self.sequence.get()
    }
    /// Highest sequence known to be synced when this was written.
    pub fn durable_through(&self) -> u64 {
        self.durable_through.get()
    }
    /// Checksum of the block before.
    pub fn previous_checksum(&self) -> u32 {
        self.previous_checksum.get()
    }
    /// The block's checksum.
    pub fn checksum(&self) -> u32 {
        self.checksum.get()
    }
    /// Whether header and table are whole; `bytes` starts with them.
    pub fn table_is_whole(&self, bytes: &[u8]) -> bool {
        bytes
            .get(HEADER..self.table_end())
            .is_some_and(|table| checksum_of(self, table) == self.checksum.get())
    }
}

/// An entry of a verified block.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Never reused.
    pub lsn: u64,
    /// What it says.
    pub kind: Kind,
    /// Whether it repeats one of an older block.
    pub copied: bool,
    /// Of which log.
    pub tp: TopicPartition,
    /// Of `Truncate`, `LogStart` and `Restart`; offset of the first record of `Append` and `Placed`.
    pub offset: i64,
    /// Where the body starts in the block.
    pub at: usize,
    /// Bytes of the body.
    pub len: usize,
    /// Header of the frame of an `Append`.
    pub frame: Option<FrameHeader>,
}

/// The entries of `block`, if the whole block is sound: header, table and every body.
pub fn read(block: &[u8], journal: Journal) -> Result<(BlockHeader, Vec<Entry>), BlockError> {
    use BlockError::Broken;
    let header = BlockHeader::peek(block, journal)?;
    let block = block.get(..header.len()).ok_or(Broken)?;
    if !header.table_is_whole(block) {
        return Err(Broken);
    }
    let mut at = header.table_end();
    let mut entries = Vec::with_capacity(header.entries.get() as usize);
    for line in block[HEADER..header.table_end()].chunks_exact(ENTRY) {
        let line = EntryHeader::read_from_bytes(line).map_err(|_| Broken)?;
        let len = line.length.get() as usize;
        let body = block.get(at..at + len).ok_or(Broken)?;
        let unknown = BlockError::Newer { what: "entry kind", number: line.kind.into() };
        let kind = Kind::from_code(line.kind).ok_or(unknown)?;
        let (tp, offset, frame) = if kind == Kind::Append {
            let frame = match FrameHeader::read_whole(body) {
                Ok((frame, _)) => frame,
                Err(FrameError::Version(number)) => {
                    return Err(BlockError::Newer { what: "frame version", number });
                }
                Err(_) => return Err(Broken),
            };
            if frame.header_checksum() != line.body_checksum.get() || frame.frame_len() != len {
                return Err(Broken);
            }
            (frame.tp(), frame.base_offset(), Some(frame))
        } else {
            let whole = kind != Kind::Placed || placed(body).is_some();
            if crc32c::crc32c(body) != line.body_checksum.get() || !whole {
                return Err(Broken);
            }
            let (body, _) = ControlBody::read_from_prefix(body).map_err(|_| Broken)?;
            let tp =
                TopicPartition { topic: TopicId(body.topic_id), partition: body.partition.get() };
            (tp, body.offset.get(), None)
        };
        let copied = line.flags & COPIED != 0;
        entries.push(Entry { lsn: line.lsn.get(), kind, copied, tp, offset, at, len, frame });
        at += len;
    }
    Ok((header, entries))
}

const _: () = assert!(frame::HEADER > CONTROL);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::format::frame::FrameFields;

    const JOURNAL: Journal = Journal { directory_id: [9; 16], life: 3, shard: 1 };

    fn sample() -> Vec<u8> {
        let tp = TopicPartition { topic: TopicId([4; 16]), partition: 2 };
        let fields = FrameFields {
            tp,
            leader_epoch: 1,
            base_offset: 50,
            last_offset: 59,
            max_timestamp: 5,
            append_time: 6,
            batch_count: 1,
            previous_checksum: 0,
        };
        let payload = [8; 300];
        let frame = FrameHeader::seal(&fields, &payload);
        let (line, body) = control_entry(12, Kind::LogStart, tp, 40);
        let mut block = vec![0; HEADER];
        block.extend(append_entry(11, &frame, COPIED).as_bytes());
        block.extend(line.as_bytes());
        block.extend(frame.as_bytes());
        block.extend(payload);
        block.extend(body.as_bytes());
        block.resize(block_len(2, frame.frame_len() + CONTROL), 0);
        let place = Place { sequence: 7, durable_through: 6, previous_checksum: 99 };
        seal(&mut block, JOURNAL, place, 2);
        block
    }

    #[test]
    fn entries_come_back() {
        let block = sample();
        let (header, entries) = read(&block, JOURNAL).expect("a sound block");
        assert_eq!((header.sequence(), header.durable_through(), header.len()), (7, 6, 4096));
        assert_eq!(
            (entries[0].kind, entries[0].copied, entries[0].offset),
            (Kind::Append, true, 50)
        );
        assert_eq!((entries[1].kind, entries[1].lsn, entries[1].offset), (Kind::LogStart, 12, 40));
        for other in [
            Journal { life: 2, ..JOURNAL },
            Journal { shard: 0, ..JOURNAL },
            Journal { directory_id: [8; 16], ..JOURNAL },
        ] {
            assert_eq!(read(&block, other).err(), Some(BlockError::Broken));
        }
    }

    #[test]
    fn a_flipped_bit_in_what_it_holds_is_found() {
        let block = sample();
        let used = HEADER + 2 * ENTRY + frame::HEADER + 300 + CONTROL;
        for bit in 0..used * 8 {
            let mut bad = block.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&bad, JOURNAL).is_err(), "bit {bit}");
        }
    }
}
