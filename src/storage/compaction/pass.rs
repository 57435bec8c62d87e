//! One pass through a log: first the keys of what no pass has seen, then all segments from the first
//! on, some of them at a time into a new one.
//!
//! It holds on to nothing. Appends, write-back, retention and deletions go on beside it; where a
//! segment that it goes through is not there any more when the new one is to take its place, the pass
//! ends, and the new one is removed.

use super::cleaner::{Cleaned, Cleaning};
use super::offset_map::OffsetMap;
use super::output::Output;
use super::rules::Rules;
use super::source::{Next, Reader, Source};
use super::sweep::TransactionSweep;
use crate::storage::buffer::Budget;
use crate::storage::device::io::Op;
use crate::storage::format::segment::Segment;
use crate::storage::interface::{AbortedSpan, Slot, States};
use crate::storage::log::Log;
use crate::types::TopicPartition;
use crate::wire::records::{
    BatchHeader, DECOMPRESSED_BYTES_MAX, RecordError, RecordScan, Rewriting, empty_batch,
};
use bytes::Bytes;
use std::sync::Arc;

/// What a batch costs of a step's budget that is not looked into.
const PASSED_COST: usize = 512;

/// What a pass is about.
#[derive(Debug)]
pub(super) struct Task {
    pub slot: Slot,
    /// Its own number, by [`Log::id`].
    pub log: u64,
    pub tp: TopicPartition,
    /// The segments that it goes through.
    pub sources: Vec<Source>,
    /// Offset of the first record that no pass has seen.
    pub first_dirty: i64,
    /// The time, ms.
    pub now_ms: i64,
    /// `delete.retention.ms`.
    pub delete_retention_ms: i64,
    /// `segment.bytes`.
    pub segment_bytes: u64,
    /// `index.interval.bytes`.
    pub index_interval_bytes: u32,
    /// Bytes that the offsets of keys may take.
    pub map_bytes: usize,
    /// Its aborted transactions.
    pub aborted: Vec<AbortedSpan>,
}

/// What of a pass the disk is busy with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Flights {
    /// A read.
    pub reads: bool,
    /// Any other operation.
    pub writes: bool,
}

impl Flights {
    /// Whether there is one.
    pub fn any(self) -> bool {
        self.reads || self.writes
    }
}

/// What a pass wants.
#[derive(Debug)]
pub(super) enum Wants {
    /// Time: it has used up what it had.
    Time,
    /// That operation.
    Op(Op),
    /// That one of its operations ends.
    Completion,
    /// That a new segment takes the place of others: see [`Pass::replace`].
    Replace,
    /// Nothing more: all below this offset was looked at. Whether the keys of the rest had no room.
    Done(i64, bool),
    /// To be given up: what the disk has is not what was written, or its keys are too many.
    Fail(String),
}

struct KeysOf {
    header: BatchHeader,
    scan: RecordScan,
    full: bool,
}

impl std::fmt::Debug for KeysOf {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeysOf({})", self.header.base_offset)
    }
}

#[derive(Debug)]
enum Phase {
    /// The keys of what no pass has seen.
    Keys(Option<KeysOf>),
    /// What is left of all.
    Cleans(Option<Cleaning>),
    /// The new segment has all that it gets.
    Ends,
    Done,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Pass {
    task: Task,
    budget: Arc<Budget>,
    rules: Rules,
    phase: Phase,
    /// The transactions of what is gone through.
    sweep: TransactionSweep,
    /// Aborted transactions, by producer and marker, of which nothing is in the segments that were made since the
    /// last was put in its place.
    ended: Vec<(i64, i64)>,
    reader: Reader,
    /// The segment that is read.
    source: usize,
    /// The first of those whose place the new one takes.
    first: usize,
    output: Option<Output>,
    /// The last batch that was read of those, if nothing is left of it.
    last_gone: Option<BatchHeader>,
    /// Leader epoch of the batch before.
    epoch: Option<i32>,
    /// Keys of the rest had no room.
    cut_short: bool,
    /// Bytes that were read.
    read_bytes: u64,
}

impl Pass {
    /// Begins one.
    pub fn new(task: Task, budget: &Arc<Budget>) -> Self {
        let keys = (task.end() - task.first_dirty).max(0) as u64;
        let rules = Rules {
            map: OffsetMap::new(keys, task.map_bytes, budget),
            latest: task.first_dirty - 1,
            now_ms: task.now_ms,
            delete_retention_ms: task.delete_retention_ms,
        };
        Self {
            reader: Reader::new(task.tp),
            budget: budget.clone(),
            rules,
            phase: Phase::Keys(None),
            sweep: TransactionSweep::new(task.aborted.clone()),
            ended: Vec::new(),
            source: 0,
            first: 0,
            output: None,
            last_gone: None,
            epoch: None,
            cut_short: false,
            read_bytes: 0,
            task,
        }
    }

    /// What it is about.
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// Whether what it was given up for is that the disk has not what was written.
    pub fn found_damage(&self) -> bool {
        self.reader.found_damage()
    }

    /// Bytes that were read.
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// Bytes that were written into the present segment.
    pub fn written_bytes(&self) -> u64 {
        self.output.as_ref().map_or(0, Output::bytes)
    }

    /// A read has brought this.
    pub fn arrived(&mut self, bytes: Bytes) {
        self.read_bytes += bytes.len() as u64;
        self.reader.arrived(bytes);
    }

    /// Goes on for what is left of `budget`, beside at most one read and one other operation. `writing`: the journal is
    /// written to. `states` knows the log's producers; `generation` makes a number that no segment had before.
    pub fn step(
        &mut self,
        budget: &mut usize,
        flights: Flights,
        writing: bool,
        states: &mut dyn States,
        generation: &mut dyn FnMut() -> u64,
    ) -> Wants {
        loop {
            if !flights.reads
                && let Some(source) = self.task.sources.get(self.source)
                && let Some(op) = self.reader.read_ahead(source, writing)
            {
                return Wants::Op(op);
            }
            // Writes and syncs of the new segment come one after the other.
            if let Some(output) = self.output.as_mut().filter(|it| it.has_op()) {
                let op = if flights.writes { None } else { output.next_op() };
                return op.map_or(Wants::Completion, Wants::Op);
            }
            if *budget == 0 {
                return Wants::Time;
            }
            let result = match &self.phase {
                Phase::Keys(_) => self.step_keys(budget, writing),
                Phase::Cleans(_) => self.step_cleaning(budget, writing, states, generation),
                Phase::Ends if flights.writes => return Wants::Completion,
                Phase::Ends => return Wants::Replace,
                Phase::Done => return Wants::Done(self.rules.latest + 1, self.cut_short),
            };
            match result {
                Ok(None) => {}
                Ok(Some(wants)) => return wants,
                Err(why) => return Wants::Fail(why),
            }
        }
    }

    fn step_keys(&mut self, budget: &mut usize, writing: bool) -> Result<Option<Wants>, String> {
        let Phase::Keys(keys) = &mut self.phase else { unreachable!("it was looked at") };
        let (rules, first_dirty) = (&mut self.rules, self.task.first_dirty);
        if let Some(KeysOf { header, scan, full }) = keys {
            let seen = scan.step(budget, |seen| {
                let key = seen.key.filter(|_| seen.offset >= first_dirty && !*full);
                let taken = key.map_or(Some(0), |key| rules.map.put(key, seen.offset));
                *full |= taken.is_none();
                taken.unwrap_or(0)
            });
            let is_whole = seen.map_err(|e| unreadable(header, &e))?;
            if *full {
                // As far as the batch before.
                let latest = rules.latest;
                if latest < first_dirty {
                    let bytes = rules.map.bytes_max();
                    return Err(format!("the keys of one batch do not fit into {bytes} bytes"));
                }
                self.cut_short = true;
                self.task.sources.retain(|source| source.meta().base <= latest);
                self.begin_cleaning();
            } else if is_whole {
                rules.latest = header.last_offset();
                *keys = None;
            }
            return Ok(None);
        }
        let Some(source) = self.task.sources.get(self.source) else {
            rules.latest = self.task.end() - 1;
            self.begin_cleaning();
            return Ok(None);
        };
        if source.meta().next <= first_dirty {
            self.source += 1;
            return Ok(None);
        }
        match self.reader.next(source, first_dirty, writing)? {
            Next::Read(op) => return Ok(Some(Wants::Op(op))),
            Next::Waits => return Ok(Some(Wants::Completion)),
            Next::End => {
                self.source += 1;
                self.reader.rewind();
            }
            Next::Batch(header, batch) => {
                *budget = budget.saturating_sub(PASSED_COST);
                // What was aborted takes nobody's place, and no key is in a marker.
                let has_keys = !header.is_control() && !self.sweep.is_aborted(&header);
                if header.last_offset() >= first_dirty && !has_keys {
                    self.rules.latest = header.last_offset();
                } else if header.last_offset() >= first_dirty {
                    let scan = RecordScan::new(&batch, DECOMPRESSED_BYTES_MAX);
                    let scan = scan.map_err(|e| unreadable(&header, &e))?;
                    *keys = Some(KeysOf { header, scan, full: false });
                }
            }
        }
        Ok(None)
    }

    fn begin_cleaning(&mut self) {
        self.phase = Phase::Cleans(None);
        self.sweep = TransactionSweep::new(std::mem::take(&mut self.task.aborted));
        self.source = 0;
        self.reader.rewind();
    }

    fn step_cleaning(
        &mut self,
        budget: &mut usize,
        writing: bool,
        states: &mut dyn States,
        generation: &mut dyn FnMut() -> u64,
    ) -> Result<Option<Wants>, String> {
        let Phase::Cleans(cleaning) = &mut self.phase else { unreachable!("it was looked at") };
        if let Some(work) = cleaning {
            let header = *work.header();
            let cleaned = work.step(&self.rules, budget).map_err(|e| unreadable(&header, &e))?;
            if let Some(cleaned) = cleaned {
                *cleaning = None;
                match cleaned {
                    Cleaned::Left(batch) => self.keep(&batch, generation),
                    Cleaned::Emptied => self.emptied(&header, states, generation),
                }
                self.epoch = Some(header.partition_leader_epoch);
            }
            return Ok(None);
        }
        let source = &self.task.sources[self.source];
        match self.reader.next(source, i64::MIN, writing)? {
            Next::Read(op) => return Ok(Some(Wants::Op(op))),
            Next::Waits => return Ok(Some(Wants::Completion)),
            Next::End => self.end_of_source(generation),
            Next::Batch(header, batch) => {
                *budget = budget.saturating_sub(PASSED_COST);
                if self.rules.passes_over(&header) {
                    self.keep(&batch, generation);
                    self.epoch = Some(header.partition_leader_epoch);
                } else if header.is_control() {
                    self.clean_marker(&header, &batch, states, generation)?;
                    self.epoch = Some(header.partition_leader_epoch);
                } else if self.sweep.is_aborted(&header) {
                    self.emptied(&header, states, generation);
                    self.epoch = Some(header.partition_leader_epoch);
                } else {
                    let work = Cleaning::new(header, batch);
                    *cleaning = Some(work.map_err(|e| unreadable(&header, &e))?);
                }
            }
        }
        Ok(None)
    }

    /// A marker stays as long as something is left of what it ends, and `delete.retention.ms` longer: so whoever
    /// has read some of that gets to know how it ended. The last of a producer that is known by nothing else
    /// stays too: with it goes its epoch.
    fn clean_marker(
        &mut self,
        header: &BatchHeader,
        batch: &Bytes,
        states: &mut dyn States,
        generation: &mut dyn FnMut() -> u64,
    ) -> Result<(), String> {
        let (slot, id) = (self.task.slot, header.producer_id);
        let Some(marker) = header.marker.filter(|_| self.sweep.ends_nothing(header)) else {
            self.keep(batch, generation);
            return Ok(());
        };
        let Some(horizon_ms) = header.delete_horizon_ms() else {
            let at_ms = self.rules.now_ms.saturating_add(self.rules.delete_retention_ms);
            let limit = DECOMPRESSED_BYTES_MAX;
            let rewriting = Rewriting::new(batch, vec![true], Some(at_ms), limit);
            let whole = rewriting.and_then(|mut it| it.step(&mut { usize::MAX }));
            let whole = whole.map_err(|e| unreadable(header, &e))?;
            self.keep(whole.as_deref().unwrap_or(batch), generation);
            return Ok(());
        };
        let stays = states.is_known_by_marker(slot, id, header.producer_epoch);
        if stays || self.rules.now_ms < horizon_ms {
            self.keep(batch, generation);
            return Ok(());
        }
        if !marker.commits {
            self.ended.push((id, header.base_offset));
        }
        self.emptied(header, states, generation);
        Ok(())
    }

    /// Aborted transactions of which nothing is left now that a segment was replaced.
    pub fn take_ended(&mut self) -> Vec<(i64, i64)> {
        std::mem::take(&mut self.ended)
    }

    /// A batch stays, or this is left of one.
    fn keep(&mut self, batch: &[u8], generation: &mut dyn FnMut() -> u64) {
        self.last_gone = None;
        let header = BatchHeader::parse(batch).expect("a batch that was read, or made");
        let append_time = self.reader.append_time();
        let Self { task, output, budget, first, .. } = self;
        let output = output.get_or_insert_with(|| {
            let meta = task.sources[*first].meta();
            let interval = task.index_interval_bytes;
            let segment = Segment::new(meta.base, generation(), meta.first_append, interval);
            Output::new(task.tp, segment, budget)
        });
        output.push(&header, batch, append_time);
    }

    /// No record is left of a batch. The last one of a producer stays, and the first one of an epoch: it
    /// says where that begins to whoever has nothing but the log (KIP-101).
    fn emptied(
        &mut self,
        header: &BatchHeader,
        states: &mut dyn States,
        generation: &mut dyn FnMut() -> u64,
    ) {
        let (slot, id, last) = (self.task.slot, header.producer_id, header.last_offset());
        let begins = self.epoch != Some(header.partition_leader_epoch);
        if begins || header.has_producer_id() && states.is_last_of_producer(slot, id, last) {
            self.keep(&empty_batch(header), generation);
        } else {
            self.last_gone = Some(*header);
        }
    }

    fn end_of_source(&mut self, generation: &mut dyn FnMut() -> u64) {
        let is_last = self.source + 1 == self.task.sources.len();
        // The last batch of all stays.
        if is_last && let Some(header) = self.last_gone.take() {
            self.keep(&empty_batch(&header), generation);
        }
        self.reader.rewind();
        self.source += 1;
        // What nothing is left of goes with the next one.
        let Some(output) = &mut self.output else { return };
        let sources = &self.task.sources;
        let next = sources.get(self.source);
        let length = |source: &Source| source.meta().length;
        let bytes: u64 = sources[self.first..self.source].iter().chain(next).map(length).sum();
        if is_last || bytes > self.task.segment_bytes {
            let last = sources[self.source - 1].meta();
            output.end(last.next, last.last_append);
            self.phase = Phase::Ends;
        }
    }

    /// The new segment takes the place of those that it was made of: these. `None` where they are not
    /// all there any more, or not as they were.
    pub fn replace(&mut self, log: &mut Log) -> Option<Vec<Segment>> {
        let old = &self.task.sources[self.first..self.source];
        let at = log.segments.iter().position(|segment| old[0].is(segment))?;
        let there = log.segments.get(at..at + old.len())?;
        if !there.iter().zip(old).all(|(segment, old)| old.is(segment)) {
            return None;
        }
        let segment = self.output.take()?.into_segment();
        let gone = log.segments.splice(at..at + old.len(), [segment]).collect();
        self.first = self.source;
        let is_over = self.source == self.task.sources.len();
        self.phase = if is_over { Phase::Done } else { Phase::Cleans(None) };
        Some(gone)
    }

    /// Whether every segment that it still needs is there, and as it was.
    pub fn is_sound(&self, log: &Log) -> bool {
        let old = &self.task.sources[self.first..];
        let Some(first) = old.first() else { return true };
        let at = log.segments.iter().position(|segment| first.is(segment));
        at.is_some_and(|at| {
            let there = &log.segments[at..];
            there.len() >= old.len() && old.iter().zip(there).all(|(old, it)| old.is(it))
        })
    }

    /// It is given up: the segment that it was making.
    pub fn into_unfinished(self) -> Option<Segment> {
        self.output.map(Output::into_segment)
    }
}

impl Task {
    /// Offset after the last record of its segments.
    fn end(&self) -> i64 {
        self.sources.last().map_or(0, |source| source.meta().next)
    }
}

fn unreadable(header: &BatchHeader, error: &RecordError) -> String {
    format!("the batch at offset {} cannot be read: {error}", header.base_offset)
}
