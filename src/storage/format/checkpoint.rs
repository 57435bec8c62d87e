//! The checkpoint of one shard: what is placed in segments, and each partition's state.
//!
//! Everything in it was durable before it was written. Replay starts from it: `replay_from` names
//! the first block of the journal that it does not cover, `applied_lsn` the last control entry
//! (`LogStart`, `Truncate`, `Drop`) that it includes. It also says what the journal must still hold:
//! the blocks up to `durable_through`, in at least `journal_files` files. Where less is found, it is
//! damage and no torn tail.

use super::index::Index;
use super::segment::Meta;
use crate::storage::buffer::{AlignedBuf, Budget, align_up};
use crate::storage::device::io::FilePath;
use crate::types::{TopicId, TopicPartition};
use std::sync::Arc;

/// Directory of all checkpoints.
pub const DIR: &str = "checkpoint";
const MAGIC: &[u8; 7] = b"KLCHKPT";
/// The version that is written, a digit behind the magic. Version 1 is read too: it has no proof of
/// the journal, a number of 4 bytes for each generation, and the next one.
const VERSION: u8 = b'2';

/// Name of a shard's checkpoint in a life.
pub fn path_of(life: u64, shard: u16) -> FilePath {
    format!("{DIR}/{life:08x}-{shard:03}.ckpt").into()
}

/// Name of the file that becomes it.
pub fn temporary_path_of(life: u64, shard: u16) -> FilePath {
    format!("{DIR}/{life:08x}-{shard:03}.tmp").into()
}

/// One log in a checkpoint.
#[derive(Clone, Debug)]
pub struct LogRecord {
    /// Whose.
    pub tp: TopicPartition,
    /// First offset that can be read.
    pub start: i64,
    /// Offset after the last record that `state` includes.
    pub state_end: i64,
    /// Offset after the last record in segments.
    pub placed_end: i64,
    /// Header checksum of the last frame in segments; 0 where the chain starts anew.
    pub placed_checksum: u32,
    /// Segments, and index entries that are in no index file.
    pub segments: Vec<(Meta, Vec<u8>)>,
    /// State of the partition's core, opaque here.
    pub state: Vec<u8>,
}

impl LogRecord {
    /// A log in which nothing ever was.
    pub fn empty(tp: TopicPartition) -> Self {
        Self {
            tp,
            start: 0,
            state_end: 0,
            placed_end: 0,
            placed_checksum: 0,
            segments: Vec::new(),
            state: Vec::new(),
        }
    }
}

/// All of a shard.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// Last LSN whose control entries are included.
    pub applied_lsn: u64,
    /// First block of the journal that is not covered.
    pub replay_from: u64,
    /// Every block up to this one was synced when this was written.
    pub durable_through: u64,
    /// Files that were in the journal's ring then; their numbers begin at 0.
    pub journal_files: u32,
    /// Its logs.
    pub logs: Vec<LogRecord>,
}

/// Why a file is no checkpoint.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Invalid {
    /// Its bytes are not what was written.
    #[error("{0}")]
    Damaged(&'static str),
    /// Written by a newer version of Klamm.
    #[error("checkpoint version {0}, which a newer version of Klamm wrote")]
    Newer(char),
}
use Invalid::Damaged;

struct Put(Vec<u8>);

impl Put {
    fn u32(&mut self, v: u32) {
        self.0.extend(v.to_le_bytes());
    }
    fn i64(&mut self, v: i64) {
        self.0.extend(v.to_le_bytes());
    }
    fn u64(&mut self, v: u64) {
        self.0.extend(v.to_le_bytes());
    }
    fn bytes(&mut self, v: &[u8]) {
        self.u32(v.len() as u32);
        self.0.extend(v);
    }
}

struct Get<'a>(&'a [u8]);

impl<'a> Get<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], Invalid> {
        let (head, tail) = self.0.split_at_checked(n).ok_or(Damaged("cut short"))?;
        self.0 = tail;
        Ok(head)
    }
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Invalid> {
        self.take(N)?.try_into().map_err(|_| Damaged("cut short"))
    }
    fn u32(&mut self) -> Result<u32, Invalid> {
        Ok(u32::from_le_bytes(self.array()?))
    }
    fn i64(&mut self) -> Result<i64, Invalid> {
        Ok(i64::from_le_bytes(self.array()?))
    }
    fn u64(&mut self) -> Result<u64, Invalid> {
        Ok(u64::from_le_bytes(self.array()?))
    }
    fn bytes(&mut self) -> Result<Vec<u8>, Invalid> {
        let n = self.u32()? as usize;
        Ok(self.take(n)?.to_vec())
    }
}

/// Bytes of the file before its body: magic, body length, CRC-32C of the body, directory UUID.
const HEAD: usize = 8 + 8 + 4 + 16;

impl Checkpoint {
    /// The file, padded for direct I/O.
    pub fn encode(&self, directory_id: [u8; 16], budget: &Arc<Budget>) -> AlignedBuf {
        let mut out = Put(vec![0; HEAD]);
        out.u64(self.applied_lsn);
        out.u64(self.replay_from);
        out.u64(self.durable_through);
        out.u32(self.journal_files);
        out.u64(self.logs.len() as u64);
        for log in &self.logs {
            out.0.extend(log.tp.topic.0);
            out.u32(log.tp.partition as u32);
            out.i64(log.start);
            out.i64(log.state_end);
            out.i64(log.placed_end);
            out.u32(log.placed_checksum);
            out.u32(log.segments.len() as u32);
            for (meta, tail) in &log.segments {
                out.i64(meta.base);
                out.u64(meta.generation);
                out.u64(meta.length);
                out.i64(meta.next);
                out.i64(meta.max_timestamp);
                out.i64(meta.max_timestamp_base);
                out.i64(meta.first_append);
                out.i64(meta.last_append);
                out.u32(u32::from(meta.sealed));
                out.u32(meta.index_blocks);
                out.bytes(tail);
            }
            out.bytes(&log.state);
        }
        let mut file = out.0;
        let body = file.len() - HEAD;
        file[..7].copy_from_slice(MAGIC);
        file[7] = VERSION;
        file[8..16].copy_from_slice(&(body as u64).to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&directory_id), &file[HEAD..]);
        file[16..20].copy_from_slice(&crc.to_le_bytes());
        file[20..HEAD].copy_from_slice(&directory_id);
        AlignedBuf::copy_of(&file, budget)
    }

    /// Reads a file back.
    pub fn decode(file: &[u8], directory_id: [u8; 16]) -> Result<Self, Invalid> {
        let mut head = Get(file);
        if head.take(7)? != MAGIC {
            return Err(Damaged("not a checkpoint"));
        }
        let version = head.take(1)?[0];
        if version > VERSION {
            return Err(Invalid::Newer(version as char));
        }
        if version < b'1' {
            return Err(Damaged("not a checkpoint"));
        }
        let first = version == b'1';
        let body = head.u64()? as usize;
        let crc = head.u32()?;
        if head.take(16)? != directory_id {
            return Err(Damaged("of another data directory"));
        }
        let body = head.take(body)?;
        if crc32c::crc32c_append(crc32c::crc32c(&directory_id), body) != crc {
            return Err(Damaged("does not match its checksum"));
        }
        let mut get = Get(body);
        let mut checkpoint = Self {
            applied_lsn: get.u64()?,
            replay_from: get.u64()?,
            durable_through: if first { 0 } else { get.u64()? },
            journal_files: if first { 0 } else { get.u32()? },
            logs: Vec::new(),
        };
        for _ in 0..get.u64()? {
            let topic = TopicId(get.array()?);
            let tp = TopicPartition { topic, partition: get.u32()? as i32 };
            let (start, state_end, placed_end) = (get.i64()?, get.i64()?, get.i64()?);
            let placed_checksum = get.u32()?;
            if first {
                get.u32()?;
            }
            let mut segments = Vec::new();
            for _ in 0..get.u32()? {
                let (base, generation) =
                    (get.i64()?, if first { get.u32()?.into() } else { get.u64()? });
                let (length, next) = (get.u64()?, get.i64()?);
                let (max_timestamp, max_timestamp_base) = (get.i64()?, get.i64()?);
                let first_append = get.i64()?;
                let meta = Meta {
                    base,
                    generation,
                    length,
                    next,
                    max_timestamp,
                    max_timestamp_base,
                    first_append,
                    last_append: if first { first_append } else { get.i64()? },
                    sealed: get.u32()? != 0,
                    index_blocks: get.u32()?,
                };
                segments.push((meta, get.bytes()?));
            }
            let state = get.bytes()?;
            checkpoint.logs.push(LogRecord {
                tp,
                start,
                state_end,
                placed_end,
                placed_checksum,
                segments,
                state,
            });
        }
        Ok(checkpoint)
    }
}

/// Bytes of a checkpoint file that has this head; what to read.
pub fn file_len(head: &[u8]) -> Option<usize> {
    let body = u64::from_le_bytes(head.get(8..16)?.try_into().ok()?);
    Some(align_up(HEAD + usize::try_from(body).ok()?))
}

/// An index tail as it stands in a checkpoint.
pub fn encode_tail(tail: &Index) -> Vec<u8> {
    let mut out = Put(Vec::with_capacity(tail.entries().len() * 24));
    for entry in tail.entries() {
        out.i64(entry.base_offset);
        out.i64(entry.max_timestamp);
        out.u64(entry.position);
    }
    out.0
}

/// Reads [`encode_tail`] back.
pub fn decode_tail(bytes: &[u8]) -> Index {
    let mut tail = Index::new(0);
    for entry in bytes.chunks_exact(24) {
        let mut get = Get(entry);
        if let (Ok(base), Ok(time), Ok(position)) = (get.i64(), get.i64(), get.u64()) {
            tail.push(base, time, position);
        }
    }
    tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comes_back_and_finds_flipped_bits() {
        let meta = Meta {
            base: 10,
            generation: 3 << 40,
            length: 8192,
            next: 99,
            max_timestamp: 1234,
            max_timestamp_base: 50,
            first_append: 77,
            last_append: 78,
            sealed: true,
            index_blocks: 2,
        };
        let log = LogRecord {
            tp: TopicPartition { topic: TopicId([5; 16]), partition: 6 },
            start: 11,
            state_end: 120,
            placed_end: 99,
            placed_checksum: 0xdead,
            segments: vec![(meta.clone(), vec![1, 2, 3])],
            state: vec![9; 100],
        };
        let checkpoint = Checkpoint {
            applied_lsn: 7,
            replay_from: 8,
            durable_through: 12,
            journal_files: 3,
            logs: vec![log],
        };
        let file = checkpoint.encode([1; 16], &Budget::new(1 << 20));
        let back = Checkpoint::decode(&file, [1; 16]).unwrap();
        assert_eq!((back.applied_lsn, back.replay_from), (7, 8));
        assert_eq!((back.durable_through, back.journal_files), (12, 3));
        assert_eq!(back.logs[0].segments, vec![(meta, vec![1, 2, 3])]);
        assert_eq!((back.logs[0].state.len(), back.logs[0].state_end), (100, 120));
        assert!(Checkpoint::decode(&file, [2; 16]).is_err());
        let used = file_len(&file).unwrap();
        assert_eq!(used, file.len());
        for at in (0..300).filter(|at| *at < HEAD + 100) {
            let mut bad = file.to_vec();
            bad[at] ^= 0x10;
            assert!(Checkpoint::decode(&bad, [1; 16]).is_err(), "byte {at}");
        }
        assert!(Checkpoint::decode(&file[..100], [1; 16]).is_err());
        let mut newer = file.to_vec();
        newer[7] = b'3';
        assert_eq!(Checkpoint::decode(&newer, [1; 16]).err(), Some(Invalid::Newer('3')));
    }

    #[test]
    fn version_1_is_read() {
        let mut body = Put(Vec::new());
        for v in [7, 8, 1] {
            body.u64(v);
        }
        body.0.extend([5; 16]);
        body.u32(6);
        for v in [11, 120, 99] {
            body.i64(v);
        }
        for v in [0xdead, 4, 1] {
            body.u32(v);
        }
        body.i64(10);
        body.u32(3);
        body.u64(8192);
        for v in [99, 1234, 50, 77] {
            body.i64(v);
        }
        body.u32(1);
        body.u32(2);
        body.bytes(&[]);
        body.bytes(&[9; 10]);
        let mut file = b"KLCHKPT1".to_vec();
        file.extend((body.0.len() as u64).to_le_bytes());
        let crc = crc32c::crc32c_append(crc32c::crc32c(&[1; 16]), &body.0);
        file.extend(crc.to_le_bytes());
        file.extend([1; 16]);
        file.extend(body.0);
        let read = Checkpoint::decode(&file, [1; 16]).expect("version 1");
        assert_eq!((read.applied_lsn, read.replay_from, read.durable_through), (7, 8, 0));
        let log = &read.logs[0];
        assert_eq!((log.placed_checksum, log.state.len()), (0xdead, 10));
        assert_eq!((log.segments[0].0.generation, log.segments[0].0.length), (3, 8192));
    }
}
