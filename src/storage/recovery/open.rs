//! Opening a data directory: engines from what the last life left. A *life* is from one start of a
//! broker to its end.
//!
//! It goes in two steps. [`LastLife::read`] reads and checks what is there. [`begin`] then changes
//! the directory. What else is in it, the metadata, is opened for writing between the two: nothing at
//! all is changed where the first step refuses the directory, and the second step removes only what
//! durable metadata says may go.
//!
//! Nothing that a crashed life may still need is overwritten. Recovery reads checkpoints and journals
//! of all shards of the last life, works out every log, deals the logs out to the shards of this
//! start, and writes a new life beside the old one: for each shard a journal file that holds the
//! frames in no segment yet, and a checkpoint. The manifest is replaced last, in one rename; before
//! it the old life counts, after it the new one. So recovery may be cut anywhere, and begun again,
//! and the number of shards may change, after a crash too. Only then the old life's files go.
//!
//! Segments are not touched: pending frames stay in the journal, so a start after a kill costs what
//! the journal holds, in sequential writes, and not one file for each partition.

use super::identity::{Identity, Manifest, read_file};
use super::open_error::OpenError;
use super::replay::{Found, Journaled, Replayed, Truncation, replay};
use super::runs;
use crate::storage::arena::Arena;
use crate::storage::buffer::{ALIGN, Budget, Filling};
use crate::storage::damage::{self, Mark};
use crate::storage::device::disk::Disk;
use crate::storage::device::io::{FilePath, Op};
use crate::storage::engine::{Engine, EngineOptions};
use crate::storage::format::block::{self, Journal, Place};
use crate::storage::format::block_writer::BlockWriter;
use crate::storage::format::checkpoint::{self, Checkpoint, Head, LogRecord};
use crate::storage::format::frame::{self, FrameHeader};
use crate::storage::format::segment;
use crate::storage::journal;
use crate::storage::log::{Log, LogConfig, Pending};
use crate::storage::placement::recycling;
use crate::types::{TopicId, TopicPartition};
use crate::wire::records::{BatchHeader, batches};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Where data without metadata is put.
pub const ORPHANS: &str = "orphans";

/// What the metadata says of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicState {
    /// It exists.
    Live,
    /// It was deleted; its data is to go.
    Deleting,
    /// The metadata does not know it: its data is moved aside, never deleted.
    Unknown,
}

/// Bytes that a shard's journal may use at first: bulk on few partitions is no faster with more.
const JOURNAL_START_PER_SHARD: u64 = 256 << 20;

/// How to open.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// Shards of this life.
    pub shards: u16,
    /// What buffers are charged to.
    pub budget: Arc<Budget>,
    /// Bytes of the disk for all journals at first, as far as these are not more than `journal_bytes`.
    pub journal_start: u64,
    /// Bytes of the disk for all journals at most.
    pub journal_bytes: u64,
    /// Bytes of verified chunks kept in memory before reads show that more are needed, all shards
    /// together.
    pub cache_start: usize,
    /// The most bytes of them.
    pub cache_bytes: usize,
    /// See [`EngineOptions::read_ahead`].
    pub read_ahead: usize,
    /// See [`EngineOptions::reads_at_once`].
    pub reads_at_once: usize,
    /// See [`EngineOptions::small_bytes`].
    pub small_bytes: usize,
    /// See [`EngineOptions::idle_ms`].
    pub idle_ms: i64,
    /// See [`EngineOptions::logs_a_step`].
    pub logs_a_step: usize,
    /// See [`EngineOptions::piece_bytes`].
    pub piece_bytes: usize,
    /// See [`EngineOptions::direct_bytes`].
    pub direct_bytes: usize,
    /// See [`EngineOptions::recycle_bytes`].
    pub recycle_bytes: u64,
    /// See [`EngineOptions::max_block`].
    pub max_block: usize,
    /// See [`EngineOptions::compaction_bytes`]; all shards together.
    pub compaction_bytes: usize,
}

impl OpenOptions {
    /// What a broker uses, given its memory and the space on its disk.
    pub fn usual(shards: u16, budget: Arc<Budget>, journal_bytes: u64) -> Self {
        // Pending frames stay in memory, so the journal must not outgrow its share of the budget.
        let memory = budget.limit();
        let journal_bytes = journal_bytes.min(memory as u64 / 4);
        let journal_start = JOURNAL_START_PER_SHARD * u64::from(shards);
        // What costs nothing more may be used at once.
        let touched = budget.arena().is_some_and(Arena::is_touched);
        Self {
            shards,
            journal_start: if touched { journal_bytes } else { journal_start },
            journal_bytes,
            cache_start: if touched { memory / 2 } else { memory / 32 },
            cache_bytes: memory / 2,
            read_ahead: 4 << 20,
            reads_at_once: 2 << 20,
            small_bytes: 64 << 10,
            idle_ms: 30_000,
            logs_a_step: 256,
            piece_bytes: 256 << 10,
            direct_bytes: 64 << 10,
            recycle_bytes: 1 << 20,
            max_block: 4 << 20,
            compaction_bytes: (memory / 16).min(128 << 20),
            budget,
        }
    }
}

/// What opening found.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The last life wrote everything back.
    pub clean: bool,
    /// Journal blocks replayed.
    pub blocks: u64,
    /// Frames that are in no segment yet.
    pub frames: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Directories of topics that the metadata does not know, moved aside.
    pub orphans: Vec<String>,
    /// Logs that are damaged.
    pub damaged: Vec<Damaged>,
}

/// A log whose bytes are not what was written.
#[derive(Clone, Debug)]
pub struct Damaged {
    /// Which log.
    pub tp: TopicPartition,
    /// Where, and what is wrong there.
    pub why: String,
    /// The state of its partition is not known by that: nobody may be led by it.
    pub state_lost: bool,
}

/// Why a partition's state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is not what was written.
    #[error("{0}")]
    Damaged(String),
    /// A newer version of Klamm wrote it.
    #[error("{0}")]
    Newer(String),
}

/// Folds recovered batches into a partition's state: (state, log start, log end before, batches) →
/// state. Called for every log that has a state or batches, before anything is changed.
pub type Fold<'a> = &'a dyn Fn(
    &[u8],
    i64,
    i64,
    &mut dyn Iterator<Item = BatchHeader>,
) -> Result<Vec<u8>, StateError>;

/// A log on its way from one life to the next.
struct Recovered {
    record: LogRecord,
    frames: Vec<Found>,
    /// What is wrong with its bytes, if anything is known to be.
    damage: Option<String>,
    /// By that its state is not known.
    state_lost: bool,
}

/// What the last life left, read and checked. Nothing is changed yet.
pub struct LastLife {
    manifest: Option<Manifest>,
    logs: BTreeMap<TopicPartition, Recovered>,
    marks: BTreeMap<TopicPartition, Mark>,
    /// Logs that may be damaged.
    repairable: BTreeSet<TopicPartition>,
    last_lsn: u64,
    report: Report,
}

/// Opens the data directory for a new life: both steps, where the metadata needs no opening.
pub fn open(
    disk: &Disk,
    identity: &Identity,
    options: &OpenOptions,
    topic_state: &dyn Fn(TopicId) -> TopicState,
    fold: Fold<'_>,
) -> Result<(Vec<Engine>, Report), OpenError> {
    begin(LastLife::read(disk, identity, fold)?, disk, identity, options, topic_state)
}

impl LastLife {
    /// Reads checkpoints and journals of the last life, if there was one.
    pub fn read(disk: &Disk, identity: &Identity, fold: Fold<'_>) -> Result<Self, OpenError> {
        let manifest = Manifest::read(disk, identity.directory_id)?;
        let topic_dirs = disk.list(segment::DIR).map_err(|e| OpenError::io(segment::DIR, &e))?;
        if manifest.is_none() && !topic_dirs.is_empty() {
            return Err(OpenError::Damaged("MANIFEST is missing, but there are topics".into()));
        }
        let clean = manifest.is_none_or(|m| m.clean);
        let mut report = Report { clean, ..Report::default() };
        let (mut logs, last_lsn) = match manifest {
            Some(old) => last_life(disk, identity, old, fold, &mut report)?,
            None => (BTreeMap::new(), 0),
        };
        let listed = disk.list(damage::DIR).map_err(|e| OpenError::io(damage::DIR, &e))?;
        let marks: BTreeMap<_, _> = listed.iter().filter_map(|it| Mark::parse(&it.name)).collect();
        for (tp, _) in marks.iter().filter(|it| *it.1 == Mark::Damaged) {
            if let Some(log) = logs.get_mut(tp) {
                log.damage.get_or_insert_with(|| "it was found before this start".to_owned());
                log.state_lost = true;
            }
        }
        Ok(Self { manifest, logs, marks, repairable: BTreeSet::new(), last_lsn, report })
    }

    /// Says which logs may be damaged, since other replicas are known to have all that was committed: they are opened as
    /// they are, and [`Report::damaged`] names them. Without this, a start is refused where one is.
    pub fn repairable(&mut self, is_elsewhere: impl Fn(TopicPartition) -> bool) {
        let elsewhere = self.logs.keys().copied().filter(|tp| is_elsewhere(*tp));
        self.repairable = elsewhere.collect();
    }
}

/// Begins a new life with what the last one left. Segments of what lives are looked for before
/// anything is changed.
pub fn begin(
    last: LastLife,
    disk: &Disk,
    identity: &Identity,
    options: &OpenOptions,
    topic_state: &dyn Fn(TopicId) -> TopicState,
) -> Result<(Vec<Engine>, Report), OpenError> {
    let run = |op: Op, path: &str| disk.run(op).map_err(|e| OpenError::io(path, &e));
    let LastLife { manifest: old, mut logs, mut marks, repairable, last_lsn, mut report } = last;
    let life = old.map_or(0, |m| m.life) + 1;
    let mut referenced = BTreeSet::new();
    for (tp, log) in logs.iter().filter(|(tp, _)| topic_state(tp.topic) == TopicState::Live) {
        for (meta, _) in &log.record.segments {
            referenced.insert((*tp, meta.base, meta.generation, meta.length));
        }
    }
    let (longer, short) =
        if report.clean { Checked::default() } else { check_segments(disk, &referenced)? };
    for (tp, why) in short {
        if let Some(log) = logs.get_mut(&tp) {
            log.damage.get_or_insert(why);
        }
    }
    for (tp, log) in logs.iter().filter(|(tp, _)| topic_state(tp.topic) == TopicState::Live) {
        let Some(why) = &log.damage else { continue };
        if !repairable.contains(tp) {
            let (partition, topic) = (tp.partition, tp.topic);
            return Err(OpenError::Damaged(format!(
                "partition {partition} of topic {topic}: {why}"
            )));
        }
        let (why, state_lost) = (why.clone(), log.state_lost);
        report.damaged.push(Damaged { tp: *tp, why, state_lost });
    }

    // All that was durable is there and can be understood: from here on things are changed.
    for dir in [journal::DIR, checkpoint::DIR, segment::DIR, recycling::DIR, damage::DIR] {
        run(Op::MakeDir { path: dir.into() }, dir)?;
    }
    run(Op::SyncDir { path: "".into() }, "the data directory")?;
    // Before the new life counts: what is not known of such a log is not to be seen from that.
    for Damaged { tp, .. } in report.damaged.iter().filter(|it| it.state_lost) {
        let before = marks.insert(*tp, Mark::Damaged);
        for op in Mark::set(before, Some(Mark::Damaged), *tp) {
            run(op, damage::DIR)?;
        }
    }
    let orphans: BTreeSet<_> = logs
        .keys()
        .map(|tp| tp.topic)
        .filter(|topic| topic_state(*topic) == TopicState::Unknown)
        .collect();
    for topic in orphans {
        set_aside(disk, topic, &mut logs)?;
    }
    logs.retain(|tp, _| topic_state(tp.topic) == TopicState::Live);
    let mut dealt: Vec<Vec<Recovered>> = (0..options.shards).map(|_| Vec::new()).collect();
    for (tp, log) in logs {
        report.frames += log.frames.len() as u64;
        report.bytes += log.frames.iter().map(|f| f.bytes.len() as u64).sum::<u64>();
        dealt[tp.shard(usize::from(options.shards))].push(log);
    }
    let mut engines = Vec::new();
    for (shard, logs) in dealt.into_iter().enumerate() {
        let journal = Journal { directory_id: identity.directory_id, life, shard: shard as u16 };
        engines.push(begin_life(disk, journal, options, logs, &longer, last_lsn)?);
    }
    run(Op::SyncDir { path: journal::DIR.into() }, journal::DIR)?;
    run(Op::SyncDir { path: checkpoint::DIR.into() }, checkpoint::DIR)?;
    let manifest = Manifest { life, shards: options.shards, clean: false, files_left: false };
    manifest.write(disk, identity.directory_id)?;

    let all = old.is_some_and(|old| !old.clean || old.files_left);
    if !report.clean {
        engines.iter_mut().for_each(Engine::files_may_come_back);
    }
    let shard_of = |tp: &TopicPartition| tp.shard(usize::from(options.shards));
    let is_gone = |tp: &TopicPartition| engines[shard_of(tp)].find(*tp).is_none();
    let over: Vec<_> = marks.extract_if(.., |tp, _| is_gone(tp)).collect();
    for (tp, mark) in over {
        for op in Mark::set(Some(mark), None, tp) {
            run(op, damage::DIR)?;
        }
    }
    let mut aside: Aside = marks.keys().map(|tp| (*tp, Vec::new())).collect();
    sweep(disk, life, &referenced, topic_state, all, &mut aside, &mut report)?;
    for (tp, files) in aside {
        let engine = &mut engines[shard_of(&tp)];
        engine.adopt_repair(tp, marks[&tp], files);
    }
    for Damaged { tp, .. } in &report.damaged {
        engines[shard_of(tp)].adopt_damage(*tp);
    }
    Ok((engines, report))
}

/// Files of logs with a mark that no checkpoint names.
type Aside = BTreeMap<TopicPartition, Vec<FilePath>>;

/// Says durably that every engine was drained, and whether one has [left files](Engine::left_files).
/// The last thing that a life writes.
pub fn mark_clean(disk: &Disk, identity: &Identity, files_left: bool) -> Result<(), OpenError> {
    match Manifest::read(disk, identity.directory_id)? {
        Some(manifest) => {
            Manifest { clean: true, files_left, ..manifest }.write(disk, identity.directory_id)
        }
        None => Err(OpenError::Damaged("MANIFEST is missing".into())),
    }
}

/// Every log as the last life left it, and the highest LSN.
fn last_life(
    disk: &Disk,
    identity: &Identity,
    old: Manifest,
    fold: Fold<'_>,
    report: &mut Report,
) -> Result<(BTreeMap<TopicPartition, Recovered>, u64), OpenError> {
    let mut all = BTreeMap::new();
    let mut last_lsn = 0;
    for shard in 0..old.shards {
        let path = checkpoint::path_of(old.life, shard);
        let file = read_file(disk, &path)?
            .ok_or_else(|| OpenError::Damaged(format!("{path} is missing")))?;
        let checkpoint =
            Checkpoint::decode(&file, identity.directory_id).map_err(|e| unusable(&path, &e))?;
        let journal = Journal { directory_id: identity.directory_id, life: old.life, shard };
        let mut replayed = if old.clean {
            Replayed { last_lsn: checkpoint.head.applied_lsn, ..Replayed::default() }
        } else {
            replay(disk, journal, &checkpoint)?
        };
        last_lsn = last_lsn.max(replayed.last_lsn);
        // The new life takes them for durable.
        for path in std::mem::take(&mut replayed.unsynced) {
            let failed = |e| OpenError::io(&path, &e);
            if disk.len(&path).map_err(failed)?.is_some() {
                disk.run(Op::Sync { path: path.clone() }).map_err(failed)?;
            }
        }
        report.blocks += replayed.blocks;
        for mut record in checkpoint.logs {
            // A segment that was made for what came: the runs that went there name it, after those
            // that went to the segment before. Where none did, nothing needs it.
            while !old.clean && record.segments.last().is_some_and(|(m, _)| m.length == 0) {
                record.segments.pop();
            }
            let journaled = replayed.logs.entry(record.tp).or_default();
            if !journaled.replaced {
                let journaled = std::mem::take(journaled);
                replayed.logs.remove(&record.tp);
                all.insert(record.tp, join(disk, record, journaled, fold)?);
            }
        }
        // Logs that were first written after the checkpoint.
        for (tp, journaled) in replayed.logs {
            if !journaled.dropped {
                all.insert(tp, join(disk, LogRecord::empty(tp), journaled, fold)?);
            }
        }
    }
    Ok((all, last_lsn))
}

/// Why a checkpoint is not used.
pub(in crate::storage) fn unusable(path: &str, error: &checkpoint::Invalid) -> OpenError {
    match error {
        checkpoint::Invalid::Damaged(_) => OpenError::Damaged(format!("{path}: {error}")),
        checkpoint::Invalid::Newer(_) => OpenError::Refused(format!("{path}: {error}")),
    }
}

/// Puts a log together from its checkpoint and its journal.
fn join(
    disk: &Disk,
    mut record: LogRecord,
    journaled: Journaled,
    fold: Fold<'_>,
) -> Result<Recovered, OpenError> {
    let tp = record.tp;
    record.start = record.start.max(journaled.start);
    for Truncation { offset, cut, state, restarts } in journaled.truncations {
        record.state_end = offset;
        record.state = state.to_vec();
        record.cleaned_end = record.cleaned_end.min(offset);
        if restarts {
            record.segments.clear();
            (record.placed_end, record.placed_checksum) = (offset, 0);
        } else if offset < record.placed_end {
            record.placed_end = offset;
            record.placed_checksum = 0;
            record.segments.retain(|(meta, _)| meta.base < offset);
            if let Some(last) = record.segments.last_mut() {
                let mut segment = checkpoint::segment_of(last);
                if let Some(cut) = cut.filter(|cut| cut.segment == segment.meta.base) {
                    record.placed_checksum = cut.checksum;
                }
                segment.truncate(offset, cut.as_ref());
                *last = checkpoint::describe(&segment);
            }
        }
    }
    let (placed, mut damage) = runs::place(disk, &mut record, journaled.runs.into_values())?;
    let mut end = record.placed_end;
    let mut checksum = record.placed_checksum;
    let mut frames: Vec<Found> = journaled.frames.into_values().collect();
    // Those before a run that is in its segment: written along with it, or below the log start.
    let before = frames.partition_point(|f| f.header.base_offset() < record.placed_end);
    for (at, Found { header, .. }) in frames[before..].iter().enumerate() {
        let chained = checksum == 0
            || header.previous_checksum() == 0
            || header.previous_checksum() == checksum;
        // Below the log start frames may be missing: they were not copied forward any more.
        let below_start = header.base_offset() <= record.start;
        let follows = header.base_offset() == end && chained;
        // Where a run ends that is damaged is not known better.
        let may_follow = at == 0 && damage.is_some();
        if !(follows || header.base_offset() != end && below_start || may_follow) {
            return Err(OpenError::Damaged(format!(
                "partition {} of topic {}: offset {end} should follow, the journal has {}",
                tp.partition,
                tp.topic,
                header.base_offset()
            )));
        }
        end = header.last_offset() + 1;
        checksum = header.chain_checksum();
    }
    // By batch, not by frame: a frame gathers what was handed in before and after the checkpoint's
    // state was taken.
    let journaled = frames.iter().flat_map(headers_of);
    let mut headers = in_order(placed.into_iter(), journaled)
        .filter(|header| header.next_offset() > record.state_end)
        .peekable();
    if damage.is_some() {
        // Of the batches that are missing nothing is known.
        record.state = Vec::new();
    } else if headers.peek().is_some() || !record.state.is_empty() {
        let folded = fold(&record.state, record.start, record.state_end, &mut headers);
        let of = format!("the state of partition {} of topic {}", tp.partition, tp.topic);
        match folded {
            Ok(state) => record.state = state,
            Err(StateError::Newer(why)) => {
                return Err(OpenError::Refused(format!("{of}: {why}")));
            }
            Err(StateError::Damaged(why)) => {
                damage.get_or_insert(format!("its state: {why}"));
                record.state = Vec::new();
            }
        }
    }
    drop(headers);
    frames.drain(..before);
    // What lies below the log start is given up here.
    let keep = frames.partition_point(|f| f.header.last_offset() < record.start);
    if let Some(last) = keep.checked_sub(1).and_then(|i| frames.get(i)) {
        record.placed_end = last.header.last_offset() + 1;
        record.placed_checksum = last.header.chain_checksum();
    }
    frames.drain(..keep);
    record.segments.retain(|(meta, _)| meta.next > record.start || meta.awaits_its_first());
    // All that was below the start may be gone from the journal, up to the last frame: the end was
    // never below the start, and what lay beyond it would be here.
    let first = frames.first().map_or(end.max(record.start), |f| f.header.base_offset());
    if first > record.placed_end {
        record.placed_end = first;
        record.placed_checksum = 0;
    }
    record.state_end = end.max(record.start);
    let state_lost = damage.is_some();
    Ok(Recovered { record, frames, damage, state_lost })
}

/// The headers of a frame's batches. What compaction has left out behind the last of them is a batch of
/// no records: the state goes as far as the frame does.
fn headers_of(found: &Found) -> impl Iterator<Item = BatchHeader> + '_ {
    let last_offset = found.header.last_offset();
    let mut rest = batches(&found.bytes[frame::HEADER..]).map(|(header, _)| header);
    let mut last: Option<BatchHeader> = None;
    std::iter::from_fn(move || {
        if let Some(header) = rest.next() {
            last = Some(header);
            return Some(header);
        }
        let before = last.filter(|it| it.last_offset() < last_offset)?;
        let base_offset = before.next_offset();
        let delta = (last_offset - base_offset).min(i64::from(i32::MAX));
        let empty = BatchHeader {
            base_offset,
            last_offset_delta: delta as i32,
            producer_id: -1,
            record_count: 0,
            marker: None,
            ..before
        };
        last = Some(empty);
        last
    })
}

/// Batches of both in the order of their offsets; one that is in both comes once.
fn in_order(
    a: impl Iterator<Item = BatchHeader>,
    b: impl Iterator<Item = BatchHeader>,
) -> impl Iterator<Item = BatchHeader> {
    let (mut a, mut b) = (a.peekable(), b.peekable());
    std::iter::from_fn(move || {
        let at = a.peek().map(|header| header.base_offset);
        if let (Some(at), Some(other)) = (at, b.peek().map(|header| header.base_offset)) {
            if other < at {
                return b.next();
            }
            if other == at {
                b.next();
            }
        }
        a.next().or_else(|| b.next())
    })
}

/// Writes a shard's new journal and checkpoint, and makes its engine.
fn begin_life(
    disk: &Disk,
    journal: Journal,
    options: &OpenOptions,
    recovered: Vec<Recovered>,
    longer: &Lengths,
    last_lsn: u64,
) -> Result<Engine, OpenError> {
    let shards = u64::from(options.shards);
    let of_shard = |bytes: u64| (bytes / shards / ALIGN as u64).max(1) * ALIGN as u64;
    let engine_options = EngineOptions {
        journal,
        journal_start: of_shard(options.journal_start.min(options.journal_bytes)),
        journal_limit: of_shard(options.journal_bytes),
        cache_start: options.cache_start / shards as usize,
        cache_limit: options.cache_bytes / shards as usize,
        read_ahead: options.read_ahead,
        reads_at_once: options.reads_at_once,
        budget: options.budget.on_shard(usize::from(journal.shard)),
        small_bytes: options.small_bytes,
        idle_ms: options.idle_ms,
        logs_a_step: options.logs_a_step,
        piece_bytes: options.piece_bytes,
        direct_bytes: options.direct_bytes,
        recycle_bytes: options.recycle_bytes,
        max_block: options.max_block,
        compaction_bytes: options.compaction_bytes / shards as usize,
    };
    let head = Head { applied_lsn: last_lsn, replay_from: 1, durable_through: 0, journal_files: 1 };
    let records = recovered.iter().map(|r| LogRecord { applied_lsn: last_lsn, ..r.record.clone() });
    let mut checkpoint = Checkpoint { head, logs: records.collect() };
    let mut logs: Vec<_> = recovered.into_iter().map(|log| log_of(log, longer)).collect();
    let mut last_lsn = last_lsn;
    let (blocks, checksum) = copy_frames(&mut logs, journal, options, &mut last_lsn);
    let position: u64 = blocks.iter().map(|b| b.len() as u64).sum();
    let size = journal::FIRST_FILE.min(engine_options.journal_start).max(position);
    let path = journal::path_of(journal.life, journal.shard, 0);
    let failed = |path: &FilePath| {
        let path = path.clone();
        move |e| OpenError::io(&path, &e)
    };
    let count = blocks.len() as u64;
    disk.run(Op::Create { path: path.clone() }).map_err(failed(&path))?;
    let mut pos = 0;
    let zeros = Filling::new(1 << 20, &options.budget).finish().freeze();
    for block in blocks {
        let len = block.len() as u64;
        disk.run(Op::Write { path: path.clone(), pos, data: block }).map_err(failed(&path))?;
        pos += len;
    }
    while pos < size {
        let data = zeros.slice(..zeros.len().min((size - pos) as usize));
        let len = data.len() as u64;
        disk.run(Op::Write { path: path.clone(), pos, data }).map_err(failed(&path))?;
        pos += len;
    }
    disk.run(Op::Sync { path: path.clone() }).map_err(failed(&path))?;
    checkpoint.head.durable_through = count;
    write_checkpoint(disk, journal, &checkpoint, &options.budget)?;
    let mut engine = Engine::new(engine_options, last_lsn, checksum);
    engine.adopt_file(path, size, (count > 0).then_some((1, count)), position);
    for log in logs {
        engine.insert(log);
    }
    Ok(engine)
}

fn write_checkpoint(
    disk: &Disk,
    journal: Journal,
    checkpoint: &Checkpoint,
    budget: &Arc<Budget>,
) -> Result<(), OpenError> {
    // Not renamed into place: the manifest does not name this life yet.
    let path = checkpoint::path_of(journal.life, journal.shard);
    let run = |op: Op| disk.run(op).map_err(|e| OpenError::io(&path, &e));
    run(Op::Create { path: path.clone() })?;
    for (pos, data) in checkpoint.encode(journal.directory_id, budget) {
        run(Op::Write { path: path.clone(), pos, data })?;
    }
    run(Op::Sync { path: path.clone() })?;
    Ok(())
}

/// Brings the frames of all logs into blocks; the logs read from those from now on. Returns the
/// blocks and the checksum of the last one.
fn copy_frames(
    logs: &mut [Log],
    journal: Journal,
    options: &OpenOptions,
    last_lsn: &mut u64,
) -> (Vec<Bytes>, u32) {
    let mut places: Vec<(usize, usize)> = Vec::new();
    for (i, log) in logs.iter().enumerate() {
        places.extend((0..log.pending.len()).map(|j| (i, j)));
    }
    let (mut blocks, mut checksum, mut at) = (Vec::new(), 0, 0);
    while at < places.len() {
        let frame = |(i, j): (usize, usize)| &logs[i].pending[j];
        let (mut n, mut bodies) = (0, 0);
        while let Some(place) = places.get(at + n) {
            let more = bodies + frame(*place).frame.len();
            if n > 0 && block::block_len(n + 1, more) > options.max_block {
                break;
            }
            bodies = more;
            n += 1;
        }
        let chosen = &places[at..at + n];
        let mut out = BlockWriter::new(n, block::block_len(n, bodies), &options.budget);
        let mut starts = Vec::with_capacity(n);
        for place in chosen {
            *last_lsn += 1;
            let pending = frame(*place);
            starts.push(out.frame(*last_lsn, &pending.header(), &pending.frame, block::COPIED));
        }
        let sequence = blocks.len() as u64 + 1;
        let place = Place { sequence, durable_through: sequence - 1, previous_checksum: checksum };
        let (bytes, sealed) = out.seal(journal, place);
        checksum = sealed;
        for ((i, j), start) in chosen.iter().zip(starts) {
            let pending = &mut logs[*i].pending[*j];
            pending.frame = bytes.slice(start..start + pending.frame.len());
            pending.sequence = sequence;
        }
        blocks.push(bytes);
        at += n;
    }
    (blocks, checksum)
}

fn log_of(recovered: Recovered, longer: &Lengths) -> Log {
    let Recovered { record, frames, .. } = recovered;
    // Replaced when the partition is opened with its topic's settings.
    let mut log = Log::new(record.tp, LogConfig::none());
    log.start = record.start;
    log.durable_start = record.start;
    log.end = record.state_end;
    log.acked = record.state_end;
    log.placed_end = record.placed_end;
    log.placed_checksum = record.placed_checksum;
    log.cleaned_end = record.cleaned_end;
    let last = frames.last().map(|found| &found.header);
    log.last_checksum = last.map_or(record.placed_checksum, FrameHeader::chain_checksum);
    log.last_epoch = last.map_or(-1, FrameHeader::leader_epoch);
    log.made_end = record.state_end;
    log.state = record.state;
    for described in &record.segments {
        let mut segment = checkpoint::segment_of(described);
        let named = (record.tp, segment.meta.base, segment.meta.generation);
        segment.left = longer.get(&named).copied().unwrap_or(0);
        log.segments.push(segment);
    }
    for found in frames {
        let (base, last) = (found.header.base_offset(), found.header.last_offset());
        log.last_append = found.header.append_time();
        log.pending_bytes += found.bytes.len();
        log.pending.push_back(Pending { frame: found.bytes, sequence: 0, base, last });
    }
    log
}

type Reference = (TopicPartition, i64, u64, u64);

/// Lengths of segment files that have something behind what counts.
type Lengths = BTreeMap<(TopicPartition, i64, u64), u64>;

/// Lengths of files that are longer than what counts of them, and logs of which one is missing or shorter.
type Checked = (Lengths, BTreeMap<TopicPartition, String>);

/// Whether every segment that a checkpoint names is there, and long enough.
fn check_segments(disk: &Disk, referenced: &BTreeSet<Reference>) -> Result<Checked, OpenError> {
    type Found = BTreeMap<(i32, i64, u64), u64>;
    let (mut longer, mut short) = Checked::default();
    let mut dir: Option<(TopicId, Found)> = None;
    for (tp, base, generation, length) in referenced {
        if dir.as_ref().is_none_or(|(topic, _)| *topic != tp.topic) {
            let path = segment::dir_of(*tp);
            let mut found = BTreeMap::new();
            for entry in disk.list(&path).map_err(|e| OpenError::io(&path, &e))? {
                if let Some((partition, base, generation, "log")) = segment::parse_name(&entry.name)
                {
                    found.insert((partition, base, generation), entry.len);
                }
            }
            dir = Some((tp.topic, found));
        }
        let found = dir.as_ref().and_then(|d| d.1.get(&(tp.partition, *base, *generation)));
        if found.is_none_or(|len| len < length) {
            let has = found.map_or("none".to_owned(), ToString::to_string);
            let why = format!(
                "segment {base} (directory {}) should have {length} bytes and has {has}",
                tp.topic.hex(),
            );
            short.entry(*tp).or_insert(why);
        }
        if let Some(len) = found.filter(|len| *len > length) {
            longer.insert((*tp, *base, *generation), *len);
        }
    }
    Ok((longer, short))
}

/// Moves a topic that the metadata does not know out of the way, with what the journal has of it.
fn set_aside(
    disk: &Disk,
    topic: TopicId,
    logs: &mut BTreeMap<TopicPartition, Recovered>,
) -> Result<(), OpenError> {
    let dir = format!("{ORPHANS}/{}", topic.hex());
    let run = |op: Op| disk.run(op).map_err(|e| OpenError::io(&dir, &e));
    let of_topic: Vec<_> = logs.keys().filter(|tp| tp.topic == topic).copied().collect();
    for tp in of_topic {
        let Some(log) = logs.remove(&tp).filter(|log| !log.frames.is_empty()) else { continue };
        run(Op::MakeDir { path: dir.as_str().into() })?;
        for parent in ["", ORPHANS] {
            run(Op::SyncDir { path: parent.into() })?;
        }
        let bytes: usize = log.frames.iter().map(|f| f.bytes.len()).sum();
        let mut data = Filling::new(bytes, &Budget::new(usize::MAX));
        for frame in &log.frames {
            data.push(&frame.bytes);
        }
        let base = log.frames[0].header.base_offset();
        let path: FilePath = format!("{dir}/{:08}-{base:020}-journal.log", tp.partition).into();
        run(Op::Create { path: path.clone() })?;
        run(Op::Write { path: path.clone(), pos: 0, data: data.finish().freeze() })?;
        run(Op::Sync { path })?;
        run(Op::SyncDir { path: dir.as_str().into() })?;
    }
    Ok(())
}

/// Removes what no life needs any more: files of other lives, files that no log names, topics that
/// were deleted. Topics that the metadata does not know go to `orphans`. Files that no log names are
/// looked for where there may be some (`all`): it means to list every topic. Those of logs with a mark stay: they go
/// into `aside`.
fn sweep(
    disk: &Disk,
    life: u64,
    referenced: &BTreeSet<Reference>,
    topic_state: &dyn Fn(TopicId) -> TopicState,
    all: bool,
    aside: &mut Aside,
    report: &mut Report,
) -> Result<(), OpenError> {
    let list = |dir: &str| disk.list(dir).map_err(|e| OpenError::io(dir, &e));
    let run = |op: Op, path: &str| disk.run(op).map_err(|e| OpenError::io(path, &e));
    let current = format!("{life:08x}-");
    for dir in [journal::DIR, checkpoint::DIR, recycling::DIR] {
        for entry in list(dir)?.iter().filter(|e| !e.name.starts_with(&current)) {
            let path = format!("{dir}/{}", entry.name);
            run(Op::Unlink { path: path.as_str().into() }, &path)?;
        }
    }
    let kept: BTreeSet<_> =
        referenced.iter().map(|(tp, base, generation, _)| (*tp, *base, *generation)).collect();
    for entry in list(segment::DIR)? {
        let dir = format!("{}/{}", segment::DIR, entry.name);
        let state = TopicId::from_hex(&entry.name).map(|topic| (topic, topic_state(topic)));
        let Some((topic, known)) = state.filter(|s| s.1 != TopicState::Unknown) else {
            if list(&dir)?.is_empty() {
                // What a deletion left behind.
                run(Op::RemoveDir { path: dir.as_str().into() }, &dir)?;
                continue;
            }
            run(Op::MakeDir { path: ORPHANS.into() }, ORPHANS)?;
            run(Op::SyncDir { path: "".into() }, "the data directory")?;
            let aside = format!("{ORPHANS}/{}", entry.name);
            // What the journal had of it may lie there already.
            let (parent, to) = if list(&aside)?.is_empty() {
                (ORPHANS, aside.clone())
            } else {
                (aside.as_str(), format!("{aside}/segments"))
            };
            run(Op::Rename { from: dir.as_str().into(), to: to.as_str().into() }, &dir)?;
            run(Op::SyncDir { path: parent.into() }, parent)?;
            run(Op::SyncDir { path: segment::DIR.into() }, segment::DIR)?;
            report.orphans.push(to);
            continue;
        };
        let deleting = known == TopicState::Deleting;
        let first = TopicPartition { topic, partition: 0 };
        let last = TopicPartition { topic, partition: i32::MAX };
        let has_marks = aside.range(first..=last).next().is_some();
        if !(all || deleting || has_marks) {
            continue;
        }
        let mut unlinked = false;
        for file in list(&dir)? {
            let named = segment::parse_name(&file.name);
            let needed = named.is_some_and(|(partition, base, generation, _)| {
                kept.contains(&(TopicPartition { topic, partition }, base, generation))
            });
            if !needed {
                let path = format!("{dir}/{}", file.name);
                let of = named.map(|it| TopicPartition { topic, partition: it.0 });
                if let Some(files) = of.and_then(|tp| aside.get_mut(&tp)) {
                    files.push(path.into());
                    continue;
                }
                run(Op::Unlink { path: path.as_str().into() }, &path)?;
                unlinked = true;
            }
        }
        if unlinked || deleting {
            // The start after the next clean stop looks for no such files: they must not come back. Nor may
            // those that the process before this one has unlinked of a topic that is deleted: once
            // the metadata forgets that topic, they would be data that nobody knows.
            run(Op::SyncDir { path: dir.as_str().into() }, &dir)?;
        }
        if deleting {
            run(Op::RemoveDir { path: dir.as_str().into() }, &dir)?;
        }
    }
    Ok(())
}
