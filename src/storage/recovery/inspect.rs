//! What a data directory holds, read without changing it: for `klamm log inspect|verify`, beside a
//! running broker too. Beside one, files that come and go between listing and reading are passed
//! over, and what is being written at that moment may be missing.

use super::identity::{Identity, Manifest, read_file};
use super::open;
use super::open_error::OpenError;
use super::replay::{Applied, runs_are_there};
use crate::storage::buffer::ALIGN;
use crate::storage::device::disk::Disk;
use crate::storage::device::io::Op;
use crate::storage::format::block::{self, BlockHeader, Journal, Run};
use crate::storage::format::checkpoint::{self, Checkpoint};
use crate::storage::format::frame::{self, Step};
use crate::storage::format::segment;
use crate::storage::journal;
use crate::types::{TopicId, TopicPartition};
use crate::wire::records::{BatchHeader, batches};
use bytes::Bytes;
use std::collections::BTreeMap;

/// One segment.
#[derive(Clone, Debug)]
pub struct SegmentInfo {
    /// Path below the data directory.
    pub path: String,
    /// Offset of its first record.
    pub base: i64,
    /// Offset after its last record, as the checkpoint has it.
    pub next: i64,
    /// Bytes in use, as the checkpoint has it.
    pub length: u64,
    /// Largest timestamp as the checkpoint has it, ms; -1 where there is none.
    pub max_timestamp: i64,
    /// Nothing is appended any more.
    pub sealed: bool,
}

/// One log.
#[derive(Clone, Debug)]
pub struct LogInfo {
    /// Whose.
    pub tp: TopicPartition,
    /// Shard that owns it.
    pub shard: u16,
    /// First offset that can be read.
    pub start: i64,
    /// Offset after the last record in segments.
    pub placed_end: i64,
    /// Offset after the last record, those in the journal included.
    pub end: i64,
    /// Frames that stand in the journal alone.
    pub journaled_frames: usize,
    /// Bytes of them.
    pub journaled_bytes: u64,
    /// Its segments.
    pub segments: Vec<SegmentInfo>,
}

/// One journal file.
#[derive(Clone, Debug)]
pub struct JournalInfo {
    /// Path below the data directory.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// First and last sound block of the present life in it.
    pub blocks: Option<(u64, u64)>,
}

/// A data directory.
#[derive(Clone, Debug)]
pub struct Overview {
    /// Whose it is.
    pub identity: Identity,
    /// The last life.
    pub manifest: Option<Manifest>,
    /// Every log.
    pub logs: Vec<LogInfo>,
    /// Every journal file.
    pub journals: Vec<JournalInfo>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Path below the data directory.
    pub path: String,
    /// What is wrong, with the byte.
    pub problem: String,
}

/// What a verification counted.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    /// Frames whose checksums hold.
    pub frames: u64,
    /// Record batches whose CRCs hold.
    pub batches: u64,
    /// Bytes of segments and journals that were read.
    pub bytes: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// Reads identity, manifest, checkpoints and journals.
pub fn overview(disk: &Disk) -> Result<Overview, OpenError> {
    let identity = Identity::read(disk)?
        .ok_or_else(|| OpenError::Refused("no meta.properties: not a data directory".into()))?;
    let manifest = Manifest::read(disk, identity.directory_id)?;
    let mut overview = Overview { identity, manifest, logs: Vec::new(), journals: Vec::new() };
    let Some(manifest) = manifest else { return Ok(overview) };
    for shard in 0..manifest.shards {
        let which =
            Journal { directory_id: overview.identity.directory_id, life: manifest.life, shard };
        shard_overview(disk, which, &mut overview)?;
    }
    overview.logs.sort_by_key(|log| log.tp);
    Ok(overview)
}

fn shard_overview(disk: &Disk, which: Journal, to: &mut Overview) -> Result<(), OpenError> {
    let path = checkpoint::path_of(which.life, which.shard);
    let file =
        read_file(disk, &path)?.ok_or_else(|| OpenError::Damaged(format!("{path} is missing")))?;
    let checkpoint =
        Checkpoint::decode(&file, which.directory_id).map_err(|e| open::unusable(&path, &e))?;
    let mut logs: BTreeMap<TopicPartition, LogInfo> = BTreeMap::new();
    for record in &checkpoint.logs {
        let segments = record.segments.iter().map(|(meta, _)| SegmentInfo {
            path: segment::path_of(record.tp, meta.base, meta.generation).to_string(),
            base: meta.base,
            next: meta.next,
            length: meta.length,
            max_timestamp: meta.max_timestamp,
            sealed: meta.sealed,
        });
        let info = LogInfo {
            start: record.start,
            placed_end: record.placed_end,
            end: record.placed_end,
            segments: segments.collect(),
            ..empty(record.tp, which.shard)
        };
        logs.insert(record.tp, info);
    }
    let mut found = BTreeMap::new();
    let mut durable_through = checkpoint.head.durable_through;
    for (name, bytes) in journal_files(disk, which)? {
        let mut blocks: Option<(u64, u64)> = None;
        for (at, header, entries) in sound_blocks(&bytes, which) {
            let sequence = header.sequence();
            blocks = Some((blocks.map_or(sequence, |b| b.0.min(sequence)), sequence));
            durable_through = durable_through.max(header.durable_through());
            if sequence >= checkpoint.head.replay_from {
                found.insert(sequence, (bytes.slice(at..at + header.len()), entries));
            }
        }
        to.journals.push(JournalInfo { path: name, size: bytes.len() as u64, blocks });
    }
    let applied = Applied::of(&checkpoint);
    // Frames that stand in the journal alone, by base offset.
    let mut journaled: BTreeMap<TopicPartition, BTreeMap<i64, u64>> = BTreeMap::new();
    for (sequence, (bytes, entries)) in found {
        // As a start takes it: see `replay`.
        if sequence > durable_through && !runs_are_there(disk, &bytes, &entries)? {
            break;
        }
        for entry in entries {
            let log = logs.entry(entry.tp).or_insert_with(|| empty(entry.tp, which.shard));
            let frames = journaled.entry(entry.tp).or_default();
            let is_new = entry.lsn > applied.to(entry.tp);
            match (entry.kind, entry.frame) {
                (block::Kind::Append, Some(frame)) if frame.base_offset() >= log.placed_end => {
                    log.end = log.end.max(frame.last_offset() + 1);
                    frames.insert(frame.base_offset(), frame.frame_len() as u64);
                }
                (block::Kind::Placed, _) => {
                    let run = block::placed(&bytes[entry.at..entry.at + entry.len]);
                    let run = run.expect("a read entry is whole");
                    if run.first >= log.placed_end {
                        add_run(log, &run);
                        *frames = frames.split_off(&run.next);
                    }
                }
                (block::Kind::LogStart, _) => log.start = log.start.max(entry.offset),
                (block::Kind::Truncate, _) if is_new => {
                    log.end = log.end.min(entry.offset);
                    log.placed_end = log.placed_end.min(entry.offset);
                    frames.split_off(&entry.offset);
                    log.segments.retain(|segment| segment.base < entry.offset);
                    if let Some(last) = log.segments.last_mut() {
                        last.next = last.next.min(entry.offset);
                        last.sealed = true;
                    }
                }
                (block::Kind::Restart, _) => {
                    log.start = log.start.max(entry.offset);
                    frames.clear();
                    if is_new {
                        log.segments.clear();
                        (log.placed_end, log.end) = (entry.offset, entry.offset);
                    }
                }
                (block::Kind::Drop, _) if is_new => {
                    *log = empty(entry.tp, which.shard);
                    frames.clear();
                }
                _ => {}
            }
        }
    }
    for (tp, frames) in journaled {
        let log = logs.get_mut(&tp).expect("each has its log");
        log.journaled_frames = frames.len();
        log.journaled_bytes = frames.values().sum();
    }
    // Those below the log start may be gone.
    for log in logs.values_mut() {
        let start = log.start;
        log.segments.retain(|segment| segment.next > start || segment.length == 0);
    }
    to.logs.extend(logs.into_values());
    Ok(())
}

/// Adds frames that the journal says to stand in a segment.
fn add_run(log: &mut LogInfo, run: &Run) {
    let path = segment::path_of(log.tp, run.segment, run.generation);
    let length = run.position + segment::padded(run.length) as u64;
    log.placed_end = run.next;
    log.end = log.end.max(run.next);
    if let Some(last) = log.segments.last_mut().filter(|last| *last.path == *path) {
        (last.next, last.length) = (run.next, length);
        return;
    }
    if let Some(last) = log.segments.last_mut() {
        last.sealed = true;
    }
    log.segments.push(SegmentInfo {
        path: path.to_string(),
        base: run.segment,
        next: run.next,
        length,
        max_timestamp: -1,
        sealed: false,
    });
}

fn empty(tp: TopicPartition, shard: u16) -> LogInfo {
    LogInfo {
        tp,
        shard,
        start: 0,
        placed_end: 0,
        end: 0,
        journaled_frames: 0,
        journaled_bytes: 0,
        segments: Vec::new(),
    }
}

fn journal_files(disk: &Disk, which: Journal) -> Result<Vec<(String, Bytes)>, OpenError> {
    let mut names: Vec<_> = disk
        .list(journal::DIR)
        .map_err(|e| OpenError::io(journal::DIR, &e))?
        .into_iter()
        .map(|entry| entry.name)
        .filter(|name| {
            let parsed = journal::parse_name(name);
            parsed.is_some_and(|(life, shard, _)| life == which.life && shard == which.shard)
        })
        .collect();
    names.sort();
    let mut files = Vec::new();
    for name in names {
        let path = format!("{}/{name}", journal::DIR);
        if let Some(bytes) = read_file(disk, &path)? {
            files.push((path, bytes));
        }
    }
    Ok(files)
}

/// The sound blocks of a journal file: position, header, entries. Those of earlier laps included.
pub fn sound_blocks(
    bytes: &Bytes,
    which: Journal,
) -> impl Iterator<Item = (usize, BlockHeader, Vec<block::Entry>)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let here = at;
            if let Ok((header, entries)) = block::read(&bytes[at..], which) {
                at += header.len();
                return Some((here, header, entries));
            }
            at += ALIGN;
        }
        None
    })
}

/// Reads every segment up to the length that its checkpoint says, and verifies every frame and
/// every batch. `each` hears of the bytes as they are read.
pub fn verify(
    disk: &Disk,
    overview: &Overview,
    each: &mut dyn FnMut(u64),
) -> Result<Verified, OpenError> {
    let mut verified = Verified::default();
    for log in &overview.logs {
        let mut expected = None;
        for segment in &log.segments {
            verify_segment(disk, log, segment, &mut expected, &mut verified, each);
        }
    }
    Ok(verified)
}

fn verify_segment(
    disk: &Disk,
    log: &LogInfo,
    segment: &SegmentInfo,
    expected: &mut Option<i64>,
    verified: &mut Verified,
    each: &mut dyn FnMut(u64),
) {
    const READ: usize = 4 << 20;
    let mut problem = |problem: String| {
        verified.findings.push(Finding { path: segment.path.clone(), problem });
    };
    let (mut start, mut read) = (0_u64, READ);
    while start < segment.length {
        let pos = start / ALIGN as u64 * ALIGN as u64;
        let len = read.min((segment.length - pos) as usize);
        let op = Op::Read { path: segment.path.as_str().into(), pos, len };
        let bytes = match disk.run(op) {
            Ok(bytes) if bytes.len() == len => bytes,
            Ok(bytes) => return problem(format!("ends at byte {}", pos + bytes.len() as u64)),
            Err(e) => return problem(e.to_string()),
        };
        each(bytes.len() as u64);
        verified.bytes += bytes.len() as u64;
        let mut next = segment.length.min(pos + len as u64);
        for step in frame::walk(&bytes, pos, (start - pos) as usize) {
            match step {
                Step::Frame { at, header } => {
                    if header.base_offset() >= segment.next {
                        return;
                    }
                    let place = pos + at as u64;
                    if header.tp() != log.tp {
                        return problem(format!("byte {place}: a frame of {:?}", header.tp()));
                    }
                    if expected.is_some_and(|e| e != header.base_offset()) {
                        return problem(format!(
                            "byte {place}: offset {} follows {}",
                            header.base_offset(),
                            expected.unwrap_or(0)
                        ));
                    }
                    let end = at + header.frame_len();
                    match verify_batches(&bytes[at + frame::HEADER..end]) {
                        Ok(n) => verified.batches += n,
                        Err(why) => return problem(format!("byte {place}: {why}")),
                    }
                    verified.frames += 1;
                    *expected = Some(header.last_offset() + 1);
                    next = pos + end as u64;
                }
                Step::Cut { at, needed } => {
                    next = pos + at as u64;
                    if next + needed as u64 > segment.length {
                        return problem(format!("byte {next}: the last frame is cut"));
                    }
                    // A frame longer than a read: the next one starts at it and holds it.
                    read = READ.max(needed + 2 * ALIGN);
                    break;
                }
                Step::Bad { at, error } => {
                    return problem(format!("byte {}: {error}", pos + at as u64));
                }
            }
        }
        if next <= start {
            return problem(format!("byte {start}: no frame"));
        }
        start = next;
    }
}

fn verify_batches(payload: &[u8]) -> Result<u64, String> {
    let mut count = 0;
    let mut rest = batches(payload);
    for (header, batch) in rest.by_ref() {
        BatchHeader::check_crc(&header, batch).map_err(|e| e.to_string())?;
        count += 1;
    }
    if rest.rest().is_empty() { Ok(count) } else { Err("bytes behind the last batch".into()) }
}

/// Topic directories below `topics`, by id.
pub fn topic_dirs(disk: &Disk) -> Result<Vec<TopicId>, OpenError> {
    let entries = disk.list(segment::DIR).map_err(|e| OpenError::io(segment::DIR, &e))?;
    Ok(entries.iter().filter_map(|e| TopicId::from_hex(&e.name)).collect())
}
