//! Frames, the journal, segments: an engine whose disk does at once what it is asked.

use crate::{Case, NOW_MS, batch};
use bytes::Bytes;
use klamm::storage::buffer::{Budget, align_up};
use klamm::storage::device::disk::Disk;
use klamm::storage::device::io::{Completion, FilePath, Op, Submission};
use klamm::storage::device::sim_disk::SimDisk;
use klamm::storage::engine::{Append, Engine, Event, Slot};
use klamm::storage::format::block::{self, Journal};
use klamm::storage::format::frame::{FrameFields, FrameHeader};
use klamm::storage::journal;
use klamm::storage::log::LogConfig;
use klamm::storage::read::Read;
use klamm::storage::recovery::identity::{Expected, Identity};
use klamm::storage::recovery::replay::{Applied, Replayed};
use klamm::storage::recovery::{self, OpenOptions, TopicState};
use klamm::types::{TopicId, TopicPartition};
use std::collections::HashMap;
use std::hint::black_box;
use std::io;
use std::sync::Arc;

const fn tp(partition: i32) -> TopicPartition {
    TopicPartition { topic: TopicId([7; 16]), partition }
}

struct Frame {
    fields: FrameFields,
    payload: Vec<u8>,
}

/// Seals a frame around a payload.
pub fn frame(bytes: usize) -> Box<dyn Case> {
    let fields = FrameFields {
        tp: tp(3),
        leader_epoch: 1,
        base_offset: 123_456,
        last_offset: 123_456,
        max_timestamp: NOW_MS,
        append_time: NOW_MS,
        batch_count: 1,
        previous_checksum: 77,
    };
    Box::new(Frame { fields, payload: (0..bytes).map(|at| at as u8).collect() })
}

impl Case for Frame {
    fn run(&mut self, runs: usize) {
        for _ in 0..runs {
            black_box(FrameHeader::seal(black_box(&self.fields), black_box(&self.payload)));
        }
    }
}

/// How large an engine's journal may become, and its cache.
#[derive(Clone, Copy)]
struct Sizes {
    journal: u64,
    cache: usize,
}

const LARGE: Sizes = Sizes { journal: 4 << 30, cache: 1 << 30 };
const BUDGET: usize = 1 << 40;
const IDLE_MS: i64 = 1_000;

/// What goes to each log in a turn.
#[derive(Clone)]
struct Load {
    logs: usize,
    records: i64,
    batch: Bytes,
}

impl Load {
    fn new(logs: usize, records: usize, bytes: usize) -> Self {
        Self { logs, records: records as i64, batch: batch(records, bytes) }
    }
}

/// An engine whose disk does at once what it is asked.
struct Bed {
    engine: Engine,
    journal: Journal,
    load: Load,
    slots: Vec<Slot>,
    /// The end of each log.
    end: i64,
    now_ms: i64,
    events: Vec<Event>,
    /// Where segments are kept, if anywhere; the journal is not.
    disk: Option<Disk>,
    budget: Arc<Budget>,
    /// The last journal block.
    block: Bytes,
}

impl Bed {
    fn new(load: &Load, sizes: Sizes) -> Self {
        Self { disk: None, ..Self::with_disk(load, sizes) }
    }

    fn with_disk(load: &Load, sizes: Sizes) -> Self {
        let disk = Disk::Sim(SimDisk::new(1));
        let expected = Expected { cluster_id: None, node_id: 1, random: [5; 32] };
        let identity = Identity::open(&disk, &expected).expect("an empty disk");
        let budget = Budget::new(BUDGET);
        let options = OpenOptions {
            journal_bytes: sizes.journal,
            cache_start: sizes.cache,
            cache_bytes: sizes.cache,
            idle_ms: IDLE_MS,
            ..OpenOptions::usual(1, budget.clone(), sizes.journal)
        };
        let fold: recovery::Fold<'_> = &|_, _, _, _| Ok(Vec::new());
        let opened = recovery::open(&disk, &identity, &options, &|_| TopicState::Live, fold);
        let mut engine = opened.expect("an empty disk opens").0.remove(0);
        let config = LogConfig::none();
        Self {
            slots: (0..load.logs as i32).map(|i| engine.create(tp(i), &config, NOW_MS)).collect(),
            engine,
            journal: Journal { directory_id: identity.directory_id, life: 1, shard: 0 },
            load: load.clone(),
            end: 0,
            now_ms: NOW_MS,
            events: Vec::new(),
            disk: Some(disk),
            budget,
            block: Bytes::new(),
        }
    }

    /// A turn, to its acknowledgements.
    fn turn(&mut self) {
        for (i, slot) in self.slots.iter().enumerate() {
            let append = Append {
                base_offset: self.end,
                last_offset: self.end + self.load.records - 1,
                leader_epoch: 1,
                max_timestamp: NOW_MS,
                log_append_time: None,
                batch: self.load.batch.clone(),
                token: i as u64,
            };
            self.engine.append(*slot, append);
        }
        self.end += self.load.records;
        self.settle();
        let done = self.events.iter().filter(|it| matches!(it, Event::Done { .. })).count();
        assert_eq!(done, self.slots.len());
        self.events.clear();
    }

    /// Carries out what the engine asks for until it asks for nothing.
    fn settle(&mut self) {
        while self.engine.wants_turn() {
            self.engine.turn(self.now_ms, &mut |_: Slot| Vec::new());
            for Submission { id, op } in self.engine.take_submissions() {
                let sync_id =
                    if let Op::WriteSync { sync_id, .. } = &op { Some(*sync_id) } else { None };
                let result = self.carry_out(op);
                self.complete(id, result);
                if let Some(id) = sync_id {
                    self.complete(id, Ok(Bytes::new()));
                }
            }
        }
    }

    /// All logs are idle: what is pending is placed, and a checkpoint says so.
    fn grow_idle(&mut self) {
        let before = self.engine.stats().checkpoint_bytes;
        while self.engine.stats().pending_bytes > 0 {
            self.now_ms += IDLE_MS;
            self.engine.tick(self.now_ms);
            self.settle();
        }
        assert!(self.engine.stats().checkpoint_bytes > before);
    }

    fn complete(&mut self, id: u64, result: io::Result<Bytes>) {
        self.engine.complete(self.now_ms, Completion { id, result }, &mut self.events);
        assert!(!matches!(self.events.last(), Some(Event::Fatal { .. })), "{:?}", self.events);
    }

    fn carry_out(&mut self, op: Op) -> io::Result<Bytes> {
        match (op, &self.disk) {
            (Op::WriteSync { data, .. }, _) => self.block = data,
            (Op::Create { path } | Op::Write { path, .. } | Op::Sync { path }, Some(_))
                if path.starts_with(journal::DIR) => {}
            (op, Some(disk)) => return disk.run(op),
            (_, None) => {}
        }
        Ok(Bytes::new())
    }
}

struct Appending {
    load: Load,
    bed: Option<Bed>,
}

/// A turn: a batch for each of that many logs, one journal block, its write and its sync, the
/// acknowledgements. No write-back.
pub fn append(logs: usize, records: usize, bytes: usize) -> Box<dyn Case> {
    Box::new(Appending { load: Load::new(logs, records, bytes), bed: None })
}

impl Case for Appending {
    fn prepare(&mut self, _runs: usize) {
        // Blocks stay in memory until they are placed: those of one round at most.
        self.bed = None;
        self.bed.insert(Bed::new(&self.load, LARGE)).turn();
    }

    fn run(&mut self, runs: usize) {
        let bed = self.bed.as_mut().expect("prepared");
        (0..runs).for_each(|_| bed.turn());
    }
}

struct Placing(Bed);

/// The same with a small journal: blocks are placed in segments and their files used again.
pub fn append_and_place(logs: usize, records: usize, bytes: usize) -> Box<dyn Case> {
    let sizes = Sizes { journal: 64 << 20, cache: 16 << 20 };
    Box::new(Placing(Bed::new(&Load::new(logs, records, bytes), sizes)))
}

impl Case for Placing {
    fn run(&mut self, runs: usize) {
        for _ in 0..runs {
            self.0.now_ms += 1;
            self.0.turn();
        }
    }
}

struct Checkpoint(Bed);

/// A batch of one of that many logs, which grows idle: it is placed, and a checkpoint taken of all.
pub fn checkpoint(logs: usize) -> Box<dyn Case> {
    let mut bed = Bed::with_disk(&Load::new(logs, 1, 512), LARGE);
    bed.turn();
    bed.grow_idle();
    bed.slots.truncate(1);
    Box::new(Checkpoint(bed))
}

impl Case for Checkpoint {
    fn run(&mut self, runs: usize) {
        for _ in 0..runs {
            self.0.turn();
            self.0.grow_idle();
        }
    }
}

struct Replaying {
    journal: Journal,
    blocks: Vec<Bytes>,
    replayed: Replayed,
}

/// Reads, verifies and applies one block of such turns.
pub fn replay(logs: usize, records: usize, bytes: usize) -> Box<dyn Case> {
    let mut bed = Bed::new(&Load::new(logs, records, bytes), LARGE);
    let mut blocks = Vec::new();
    for _ in 0..64 {
        bed.turn();
        blocks.push(bed.block.clone());
    }
    Box::new(Replaying { journal: bed.journal, blocks, replayed: Replayed::default() })
}

impl Case for Replaying {
    fn prepare(&mut self, _runs: usize) {
        self.replayed = Replayed::default();
    }

    fn run(&mut self, runs: usize) {
        for block in &self.blocks[..runs] {
            let (_, entries) = block::read(block, self.journal).expect("a sound block");
            self.replayed.apply(block, &entries, &Applied::default());
        }
    }
}

/// A placed log of one partition and where its reader is.
struct Reading {
    bed: Bed,
    files: HashMap<FilePath, Bytes>,
    at: i64,
    /// Reads of the disk.
    reads: usize,
}

/// Bytes that a reader asks for.
const MAX_BYTES: usize = 1 << 20;
/// Chunks read elsewhere until a cache without room has forgotten those before.
const FORGOTTEN: i64 = 12;

impl Reading {
    /// `log_bytes` of batches, one to a frame, are in a segment.
    fn new(load: &Load, log_bytes: usize, cache: usize) -> Self {
        let mut bed = Bed::with_disk(load, Sizes { cache, ..LARGE });
        for _ in 0..log_bytes / load.batch.len() {
            bed.turn();
        }
        bed.grow_idle();
        // Where memory is short, a read of the disk brings no more than a mebibyte.
        bed.budget.charge(BUDGET / 16 * 15);
        Self { bed, files: HashMap::new(), at: 0, reads: 0 }
    }

    /// Reads on from where the reader is.
    fn step(&mut self) {
        loop {
            let (engine, slot) = (&mut self.bed.engine, self.bed.slots[0]);
            match engine.read(slot, self.at, self.bed.end, MAX_BYTES, true).expect("sound") {
                Read::Ready { slices, next, .. } => {
                    black_box(slices);
                    self.at = next;
                    return;
                }
                Read::Wait(_) => self.serve(),
            }
        }
    }

    /// Gives the engine what it reads, which is in memory.
    fn serve(&mut self) {
        let bed = &mut self.bed;
        for Submission { id, op } in bed.engine.take_submissions() {
            let Op::Read { path, pos, len } = op else { panic!("at rest, but for reads: {op:?}") };
            self.reads += 1;
            let file = self.files.entry(path).or_insert_with_key(|path| {
                let disk = bed.disk.as_ref().expect("a disk");
                let len = disk.len(path).expect("a file").unwrap_or(0) as usize;
                let read = Op::Read { path: path.clone(), pos: 0, len: align_up(len) };
                disk.run(read).expect("a file")
            });
            let pos = pos as usize;
            let bytes = file.slice(pos..file.len().min(pos + len));
            bed.engine.complete(bed.now_ms, Completion { id, result: Ok(bytes) }, &mut bed.events);
        }
        for event in bed.events.drain(..) {
            let Event::Filled { result, .. } = event else { panic!("at rest, but for reads") };
            result.expect("sound");
        }
    }

    /// Goes back to the start, of which nothing is in memory any more.
    fn rewind(&mut self) {
        let half = self.bed.end / 2;
        for i in 0..FORGOTTEN {
            self.at = half + half * i / FORGOTTEN;
            self.step();
        }
        self.at = 0;
        // A reader that goes on where it was is given more at a time.
        self.step();
        self.reads = 0;
    }
}

struct Cached(Reading);

/// Reads a mebibyte that is in memory.
pub fn read_cached(records: usize, bytes: usize, log_bytes: usize) -> Box<dyn Case> {
    Box::new(Cached(Reading::new(&Load::new(1, records, bytes), log_bytes, LARGE.cache)))
}

impl Case for Cached {
    fn run(&mut self, runs: usize) {
        for _ in 0..runs {
            self.0.at = 0;
            self.0.step();
        }
        assert!(self.0.files.is_empty(), "all of it is in memory");
    }
}

struct Cold(Reading);

/// Reads the next mebibyte, which is not in memory, and verifies it.
pub fn read_cold(records: usize, bytes: usize, log_bytes: usize) -> Box<dyn Case> {
    Box::new(Cold(Reading::new(&Load::new(1, records, bytes), log_bytes, 0)))
}

impl Case for Cold {
    fn prepare(&mut self, _runs: usize) {
        self.0.rewind();
    }

    fn run(&mut self, runs: usize) {
        (0..runs).for_each(|_| self.0.step());
        assert!(self.0.reads > 0, "it was not all in memory");
    }
}
