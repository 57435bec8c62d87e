//! The checkpoint of one shard: what is placed in segments, and each partition's state.
//!
//! Everything in it was durable before it was written. Replay starts from it: `replay_from` names
//! the first block of the journal that it does not cover, each log's `applied_lsn` the last control
//! entry (`LogStart`, `Truncate`, `Drop`) that its record includes: logs are captured one after the
//! other. It also says what the journal must still hold: the blocks up to `durable_through`, in at
//! least `journal_files` files. Where less is found, it is damage and no torn tail.

use super::index::Index;
use super::segment::{Meta, Segment};
use crate::storage::buffer::{Budget, Filling, align_up};
use crate::storage::device::io::FilePath;
use crate::types::{TopicId, TopicPartition};
use crate::wire::records::crc::combine;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Directory of all checkpoints.
pub const DIR: &str = "checkpoint";
const MAGIC: &[u8; 7] = b"KLCHKPT";
/// The version that is written, a digit behind the magic. Older ones are read: 3 does not say how far
/// logs were compacted; 2 also has one applied LSN for all logs; 1 also has no proof of the journal, a
/// number of 4 bytes for each generation, and the next one.
const VERSION: u8 = b'4';
/// The file is written in pieces of about this many bytes.
const PIECE: usize = 1 << 20;

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
    /// Last LSN whose control entries this record includes.
    pub applied_lsn: u64,
    /// First offset that can be read.
    pub start: i64,
    /// Offset after the last record that `state` includes.
    pub state_end: i64,
    /// Offset after the last record in segments.
    pub placed_end: i64,
    /// Offset after the last record that compaction has looked at.
    pub cleaned_end: i64,
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
            applied_lsn: 0,
            start: 0,
            state_end: 0,
            placed_end: 0,
            cleaned_end: 0,
            placed_checksum: 0,
            segments: Vec::new(),
            state: Vec::new(),
        }
    }
}

/// What it says besides its logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Last LSN that was given out when the last log was captured.
    pub applied_lsn: u64,
    /// First block of the journal that is not covered.
    pub replay_from: u64,
    /// Every block up to this one was synced when this was written.
    pub durable_through: u64,
    /// Files that the journal had then; their numbers begin at 0.
    pub journal_files: u32,
}

/// All of a shard.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// What it says besides its logs.
    pub head: Head,
    /// Its logs, each once.
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

/// Bytes of the body before the records of logs.
const FIELDS: usize = 8 + 8 + 8 + 4 + 8;

/// The file in the making, log by log, a log's state piece by piece. Nothing of it is moved or
/// checksummed twice, so a step costs what it adds.
pub struct Encoder {
    budget: Arc<Budget>,
    pieces: Vec<Filling>,
    /// The logs that are whole.
    logs: u64,
    /// Bytes of the records so far.
    len: usize,
    /// CRC-32C of the records that are whole.
    crc: u32,
    open: Option<OpenRecord>,
}

/// A log whose state is not whole yet.
struct OpenRecord {
    /// Bytes of the records before it.
    before: usize,
    /// CRC-32C of those and of what this has before the length of its state.
    crc: u32,
    /// Where the length of its state is to stand, among the bytes of all records.
    len_at: usize,
    /// CRC-32C of its state so far.
    state_crc: u32,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encoder({} logs, {} bytes)", self.logs, self.len)
    }
}

impl Encoder {
    /// A file without logs, in memory that is charged to `budget`.
    pub fn new(budget: &Arc<Budget>) -> Self {
        let mut first = Filling::new(PIECE, budget);
        first.push_zeros(HEAD + FIELDS);
        Self { budget: budget.clone(), pieces: vec![first], logs: 0, len: 0, crc: 0, open: None }
    }

    /// Bytes of the records so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no log was added.
    pub fn is_empty(&self) -> bool {
        self.logs == 0
    }

    /// Adds a log.
    pub fn push(&mut self, log: &LogRecord) {
        self.begin(log);
        self.end();
    }

    /// Begins a log, with the first bytes of its state.
    pub fn begin(&mut self, log: &LogRecord) {
        assert!(self.open.is_none(), "one log after the other");
        let mut out = Put(Vec::new());
        out.0.extend(log.tp.topic.0);
        out.u32(log.tp.partition as u32);
        out.u64(log.applied_lsn);
        out.i64(log.start);
        out.i64(log.state_end);
        out.i64(log.placed_end);
        out.i64(log.cleaned_end);
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
        let before = self.len;
        let crc = crc32c::crc32c_append(self.crc, &out.0);
        let len_at = before + out.0.len();
        out.u32(0);
        self.put(&out.0);
        self.open = Some(OpenRecord { before, crc, len_at, state_crc: 0 });
        self.state(&log.state);
    }

    /// Further bytes of the state of the log that was begun.
    pub fn state(&mut self, bytes: &[u8]) {
        let open = self.open.as_mut().expect("a log was begun");
        open.state_crc = crc32c::crc32c_append(open.state_crc, bytes);
        self.put(bytes);
    }

    /// The log that was begun is whole.
    pub fn end(&mut self) {
        let OpenRecord { crc, len_at, state_crc, .. } = self.open.take().expect("a log was begun");
        let state_len = self.len - len_at - 4;
        let field = (state_len as u32).to_le_bytes();
        for (i, byte) in field.into_iter().enumerate() {
            let at = HEAD + FIELDS + len_at + i;
            self.pieces[at / PIECE].filled()[at % PIECE] = byte;
        }
        self.crc = combine(crc32c::crc32c_append(crc, &field), state_crc, state_len);
        self.logs += 1;
    }

    /// The log that was begun is gone: the file does not have it.
    pub fn give_up(&mut self) {
        let open = self.open.take().expect("a log was begun");
        self.len = open.before;
        let end = HEAD + FIELDS + self.len;
        self.pieces.truncate(end.div_ceil(PIECE));
        let last = self.pieces.len() - 1;
        self.pieces[last].truncate(end - last * PIECE);
    }

    fn put(&mut self, mut rest: &[u8]) {
        self.len += rest.len();
        while !rest.is_empty() {
            let mut last = self.pieces.last_mut().expect("there is a piece");
            if last.len() == PIECE {
                self.pieces.push(Filling::new(PIECE, &self.budget));
                last = self.pieces.last_mut().expect("just pushed");
            }
            let (now, later) = rest.split_at(rest.len().min(PIECE - last.len()));
            last.push(now);
            rest = later;
        }
    }

    /// The file, padded for direct I/O: positions and bytes to write there.
    pub fn finish(mut self, head: Head, directory_id: [u8; 16]) -> Vec<(u64, Bytes)> {
        let mut fields = Put(Vec::new());
        fields.u64(head.applied_lsn);
        fields.u64(head.replay_from);
        fields.u64(head.durable_through);
        fields.u32(head.journal_files);
        fields.u64(self.logs);
        let crc = crc32c::crc32c_append(crc32c::crc32c(&directory_id), &fields.0);
        let crc = combine(crc, self.crc, self.len);
        let file = self.pieces[0].filled();
        file[..7].copy_from_slice(MAGIC);
        file[7] = VERSION;
        file[8..16].copy_from_slice(&((FIELDS + self.len) as u64).to_le_bytes());
        file[16..20].copy_from_slice(&crc.to_le_bytes());
        file[20..HEAD].copy_from_slice(&directory_id);
        file[HEAD..HEAD + FIELDS].copy_from_slice(&fields.0);
        let pieces = self.pieces.into_iter().enumerate();
        let piece = |(i, piece): (usize, Filling)| {
            let len = align_up(piece.len());
            ((i * PIECE) as u64, piece.finish().freeze().slice(..len))
        };
        pieces.map(piece).collect()
    }
}

impl Checkpoint {
    /// The file: positions and bytes to write there.
    pub fn encode(&self, directory_id: [u8; 16], budget: &Arc<Budget>) -> Vec<(u64, Bytes)> {
        let mut encoder = Encoder::new(budget);
        self.logs.iter().for_each(|log| encoder.push(log));
        encoder.finish(self.head, directory_id)
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
        let (first, one_lsn) = (version == b'1', version < b'3');
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
        let head = Head {
            applied_lsn: get.u64()?,
            replay_from: get.u64()?,
            durable_through: if first { 0 } else { get.u64()? },
            journal_files: if first { 0 } else { get.u32()? },
        };
        // A log that was dropped and came back during the capture has two records; the later counts.
        let mut logs = BTreeMap::new();
        for _ in 0..get.u64()? {
            let topic = TopicId(get.array()?);
            let tp = TopicPartition { topic, partition: get.u32()? as i32 };
            let applied_lsn = if one_lsn { head.applied_lsn } else { get.u64()? };
            let (start, state_end, placed_end) = (get.i64()?, get.i64()?, get.i64()?);
            let cleaned_end = if version < b'4' { 0 } else { get.i64()? };
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
            let record = LogRecord {
                tp,
                applied_lsn,
                start,
                state_end,
                placed_end,
                cleaned_end,
                placed_checksum,
                segments,
                state,
            };
            logs.insert(tp, record);
        }
        Ok(Self { head, logs: logs.into_values().collect() })
    }
}

/// Bytes of a checkpoint file that has this head; what to read.
pub fn file_len(head: &[u8]) -> Option<usize> {
    let body = u64::from_le_bytes(head.get(8..16)?.try_into().ok()?);
    Some(align_up(HEAD + usize::try_from(body).ok()?))
}

/// A segment as a checkpoint describes it.
pub fn describe(segment: &Segment) -> (Meta, Vec<u8>) {
    (segment.meta.clone(), encode_tail(&segment.tail))
}

/// Reads [`describe`] back.
pub fn segment_of((meta, tail): &(Meta, Vec<u8>)) -> Segment {
    Segment::known(meta.clone(), decode_tail(tail))
}

/// An index tail as it stands in a checkpoint.
fn encode_tail(tail: &Index) -> Vec<u8> {
    let mut out = Put(Vec::with_capacity(tail.entries().len() * 24));
    for entry in tail.entries() {
        out.i64(entry.base_offset);
        out.i64(entry.max_timestamp);
        out.u64(entry.position);
    }
    out.0
}

/// Reads [`encode_tail`] back.
fn decode_tail(bytes: &[u8]) -> Index {
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

    fn whole(checkpoint: &Checkpoint) -> Vec<u8> {
        let pieces = checkpoint.encode([1; 16], &Budget::new(usize::MAX));
        let mut file = Vec::new();
        for (position, bytes) in pieces {
            assert_eq!(position, file.len() as u64);
            file.extend_from_slice(&bytes);
        }
        file
    }

    #[test]
    fn pieces_make_one_file_and_the_later_of_two_records_counts() {
        let tp = |partition| TopicPartition { topic: TopicId([5; 16]), partition };
        let record = |partition, state: usize| LogRecord {
            state: vec![partition as u8; state],
            ..LogRecord::empty(tp(partition))
        };
        let logs = vec![record(1, 3 * PIECE), record(2, 10), record(1, 20), record(3, PIECE / 2)];
        let file = whole(&Checkpoint { head: Head::default(), logs });
        let back = Checkpoint::decode(&file, [1; 16]).expect("sound");
        let lens: Vec<_> = back.logs.iter().map(|l| (l.tp.partition, l.state.len())).collect();
        assert_eq!(lens, [(1, 20), (2, 10), (3, PIECE / 2)]);
    }

    /// The length of a state whose pieces come one by one, over the border of two pieces of the file;
    /// and one that is given up, there and back over several.
    #[test]
    fn states_come_in_pieces() {
        let tp = |partition| TopicPartition { topic: TopicId([5; 16]), partition };
        let state = |len: usize| (0..len).map(|i| (i % 251) as u8).collect::<Vec<_>>();
        let fixed = 16 + 4 + 8 + 4 * 8 + 4 + 4 + 4;
        // Where the length of the second log's state stands: in front of a border, on it, behind it.
        for cut in 0..=8 {
            let first = PIECE - (HEAD + FIELDS) - 2 * fixed - cut + 4;
            let states = [state(first), state(2 * PIECE + 77), state(5)];
            let mut encoder = Encoder::new(&Budget::new(usize::MAX));
            let mut logs = Vec::new();
            for (partition, state) in (1..).zip(&states) {
                encoder.begin(&LogRecord::empty(tp(9)));
                encoder.state(state);
                encoder.give_up();
                encoder.begin(&LogRecord::empty(tp(partition)));
                state.chunks(100_000).for_each(|piece| encoder.state(piece));
                encoder.end();
                logs.push(LogRecord { state: state.clone(), ..LogRecord::empty(tp(partition)) });
            }
            let whole_at_once = whole(&Checkpoint { head: Head::default(), logs });
            let pieces = encoder.finish(Head::default(), [1; 16]);
            let file: Vec<u8> = pieces.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
            assert!(file == whole_at_once, "cut {cut}");
            let back = Checkpoint::decode(&file, [1; 16]).expect("sound");
            assert!(back.logs.iter().map(|log| &log.state).eq(&states));
        }
    }

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
            applied_lsn: 5,
            start: 11,
            state_end: 120,
            placed_end: 99,
            cleaned_end: 44,
            placed_checksum: 0xdead,
            segments: vec![(meta.clone(), vec![1, 2, 3])],
            state: vec![9; 100],
        };
        let head = Head { applied_lsn: 7, replay_from: 8, durable_through: 12, journal_files: 3 };
        let checkpoint = Checkpoint { head, logs: vec![log] };
        let file = whole(&checkpoint);
        let back = Checkpoint::decode(&file, [1; 16]).unwrap();
        assert_eq!(back.head, head);
        assert_eq!((back.logs[0].applied_lsn, back.logs[0].cleaned_end), (5, 44));
        assert_eq!(back.logs[0].segments, vec![(meta, vec![1, 2, 3])]);
        assert_eq!((back.logs[0].state.len(), back.logs[0].state_end), (100, 120));
        assert!(Checkpoint::decode(&file, [2; 16]).is_err());
        let used = file_len(&file).unwrap();
        assert_eq!(used, file.len());
        for at in (0..300).filter(|at| *at < HEAD + 100) {
            let mut bad = file.clone();
            bad[at] ^= 0x10;
            assert!(Checkpoint::decode(&bad, [1; 16]).is_err(), "byte {at}");
        }
        assert!(Checkpoint::decode(&file[..100], [1; 16]).is_err());
        let mut newer = file.clone();
        newer[7] = b'5';
        assert_eq!(Checkpoint::decode(&newer, [1; 16]).err(), Some(Invalid::Newer('5')));
    }

    #[test]
    fn version_3_is_read() {
        let log = LogRecord {
            start: 11,
            placed_end: 99,
            state: vec![9; 10],
            ..LogRecord::empty(TopicPartition { topic: TopicId([5; 16]), partition: 6 })
        };
        let file = whole(&Checkpoint { head: Head::default(), logs: vec![log] });
        // Without the field that it does not have.
        let at = HEAD + FIELDS + 16 + 4 + 8 + 3 * 8;
        let len = u64::from_le_bytes(file[8..16].try_into().unwrap()) as usize;
        let body = [&file[HEAD..at], &file[at + 8..HEAD + len]].concat();
        let mut old = b"KLCHKPT3".to_vec();
        old.extend((body.len() as u64).to_le_bytes());
        old.extend(crc32c::crc32c_append(crc32c::crc32c(&[1; 16]), &body).to_le_bytes());
        old.extend([1; 16]);
        old.extend(body);
        let read = Checkpoint::decode(&old, [1; 16]).expect("version 3");
        let log = &read.logs[0];
        assert_eq!((log.start, log.placed_end, log.cleaned_end), (11, 99, 0));
        assert_eq!(log.state, [9; 10]);
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
        let head = read.head;
        assert_eq!((head.applied_lsn, head.replay_from, head.durable_through), (7, 8, 0));
        let log = &read.logs[0];
        assert_eq!((log.placed_checksum, log.state.len()), (0xdead, 10));
        assert_eq!(log.applied_lsn, 7, "one for all");
        assert_eq!((log.segments[0].0.generation, log.segments[0].0.length), (3, 8192));
    }
}
