//! Engines over a simulated disk, and what they are told and asked.

use crate::model::{Asked, Batch, Change, Drop, LogModel, Model, State, digest, end_of};
use crate::{acks, compacted, recovered};
use bytes::Bytes;
use klamm::storage::arena::Arena;
use klamm::storage::buffer::Budget;
use klamm::storage::device::disk::Disk;
use klamm::storage::device::io::{Completion, Op, Submission};
use klamm::storage::device::sim_disk::{OpKind, Rng, SimDisk};
use klamm::storage::engine::{Append, Engine, Event, Slot, States};
use klamm::storage::format::frame::{FrameFields, FrameHeader};
use klamm::storage::format::whole_frame::Frame;
use klamm::storage::log::LogConfig;
use klamm::storage::read::{ReadError, Ticket};
use klamm::storage::recovery::identity::{Expected, Identity};
use klamm::storage::recovery::{self, LastLife, OpenOptions, Report, StateError, TopicState};
use klamm::types::{TopicId, TopicPartition};
use klamm::wire::records::{
    BatchBuilder, BatchHeader, Compression, set_log_append_time, set_offset_and_epoch,
};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, LazyLock};
use zerocopy::IntoBytes;

/// The memory of all runs: what one leaves in it, the next one finds there.
static ARENA: LazyLock<Arc<Arena>> =
    LazyLock::new(|| Arena::reserve(1 << 30, 3).expect("address space"));

/// Bits of a submission's id that are the engine's own; above them is the shard.
const ID_BITS: u32 = 48;

/// Sizes that a run is made with.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub journal_bytes: u64,
    pub journal_start: u64,
    pub small_bytes: usize,
    pub idle_ms: i64,
    pub logs_a_step: usize,
    pub direct_bytes: usize,
    pub recycle_bytes: u64,
    pub max_block: usize,
    pub cache_bytes: usize,
    pub read_ahead: usize,
    pub reads_at_once: usize,
    pub memory: usize,
}

impl Sizes {
    pub fn random(rng: &mut Rng) -> Self {
        let journal_bytes = (16 << 10) << rng.below(6);
        Self {
            journal_bytes,
            journal_start: journal_bytes >> rng.below(4),
            small_bytes: 512 << rng.below(7),
            idle_ms: 10 << rng.below(8),
            logs_a_step: 1 << rng.below(9),
            direct_bytes: 512 << rng.below(8),
            recycle_bytes: 4096 << (2 * rng.below(3)),
            max_block: (8 << 10) << rng.below(7),
            cache_bytes: [0, 16 << 10, 1 << 20, 16 << 20][rng.index(4)],
            read_ahead: [0, 20 << 10, 4 << 20][rng.index(3)],
            reads_at_once: (4 << 10) << rng.below(9),
            memory: if rng.chance(25) { 1 << 20 } else { 1 << 30 },
        }
    }
}

/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    Power,
    Process,
}

pub struct World {
    pub rng: Rng,
    pub disk: SimDisk,
    pub engines: Vec<Engine>,
    pub model: Model,
    pub by_slot: BTreeMap<(usize, Slot), TopicPartition>,
    pub deleting: BTreeSet<TopicId>,
    pub now_ms: i64,
    pub sizes: Sizes,
    pub report: Report,
    pub budget: Arc<Budget>,
    /// An engine said `Fatal`.
    pub failed: bool,
    /// What it said then.
    pub last_fatal: String,
    /// Operations are made to fail, so failing is no surprise.
    pub faulty: bool,
    /// Every state that a start finds is refused.
    pub bad_states: bool,
    /// What is left of the state of a log that a checkpoint takes in pieces, by shard.
    rests: BTreeMap<usize, (Slot, Vec<u8>)>,
    /// Reads that have ended: of which shard, and how.
    pub filled: BTreeMap<(usize, Ticket), Result<(), ReadError>>,
    /// Reads that were asked for and nobody waits for any more.
    pub late: BTreeSet<(usize, Ticket)>,
    /// Where readers go on.
    pub readers: BTreeMap<TopicPartition, i64>,
    /// Topics that the metadata does not know.
    pub unknown: BTreeSet<TopicId>,
    /// Damaged logs may be opened: others have what they should have.
    pub repairs: bool,
    next_topic: u8,
    identity: Option<Identity>,
}

/// The states of a shard's logs for a checkpoint. Every other one comes in three pieces.
struct Pieces<'a> {
    shard: usize,
    model: &'a Model,
    by_slot: &'a BTreeMap<(usize, Slot), TopicPartition>,
    rests: &'a mut BTreeMap<usize, (Slot, Vec<u8>)>,
}

impl States for Pieces<'_> {
    fn begin(&mut self, slot: Slot, out: &mut Vec<u8>) -> bool {
        let log = self.by_slot.get(&(self.shard, slot)).and_then(|tp| self.model.logs.get(tp));
        let Some(log) = log.filter(|log| log.state.count > 0) else { return true };
        let mut state = log.state.encode();
        let rest = state.split_off(if log.state.count % 2 == 0 { state.len() } else { 5 });
        out.extend(state);
        let is_last = rest.is_empty();
        self.rests.insert(self.shard, (slot, rest));
        is_last
    }

    fn go_on(&mut self, slot: Slot, out: &mut Vec<u8>) -> bool {
        let (of, rest) = self.rests.get_mut(&self.shard).expect("its first piece was given");
        assert_eq!(*of, slot, "one log after the other");
        let later = rest.split_off(rest.len().min(6));
        out.append(rest);
        *rest = later;
        rest.is_empty()
    }

    fn stable(&mut self, slot: Slot) -> i64 {
        let log = self.by_slot.get(&(self.shard, slot)).and_then(|tp| self.model.logs.get(tp));
        log.map_or(0, |log| log.stable)
    }

    fn is_last_of_producer(&mut self, slot: Slot, producer_id: i64, last_offset: i64) -> bool {
        let log = self.by_slot.get(&(self.shard, slot)).and_then(|tp| self.model.logs.get(tp));
        log.is_some_and(|log| {
            let last = compacted::last_of_producer(&log.current, producer_id);
            last.is_some_and(|batch| batch.last == last_offset)
        })
    }
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let disk = SimDisk::new(rng.bits());
        let sizes = Sizes::random(&mut rng);
        Self {
            rng,
            disk,
            engines: Vec::new(),
            model: Model::default(),
            by_slot: BTreeMap::new(),
            deleting: BTreeSet::new(),
            now_ms: 1_000_000,
            sizes,
            report: Report::default(),
            budget: Budget::of_arena(1 << 30, ARENA.clone()),
            failed: false,
            last_fatal: String::new(),
            faulty: false,
            bad_states: false,
            rests: BTreeMap::new(),
            filled: BTreeMap::new(),
            late: BTreeSet::new(),
            readers: BTreeMap::new(),
            unknown: BTreeSet::new(),
            repairs: false,
            next_topic: 0,
            identity: None,
        }
    }

    /// One attempt to open the directory.
    pub fn try_open(&mut self, shards: u16) -> Result<(), String> {
        self.disk.note(&format!("open with {shards} shards"));
        self.forget_engines();
        self.budget = Budget::of_arena(self.sizes.memory, ARENA.clone());
        self.disk.charge_reads_to(self.budget.clone());
        let disk = Disk::Sim(self.disk.clone());
        let expected = Expected { cluster_id: None, node_id: 1, random: [7; 32] };
        let identity = Identity::open(&disk, &expected).map_err(|e| e.to_string())?;
        let options = OpenOptions {
            journal_start: self.sizes.journal_start * u64::from(shards),
            cache_start: self.sizes.cache_bytes / 4,
            cache_bytes: self.sizes.cache_bytes,
            small_bytes: self.sizes.small_bytes,
            idle_ms: self.sizes.idle_ms,
            logs_a_step: self.sizes.logs_a_step,
            piece_bytes: self.sizes.max_block,
            direct_bytes: self.sizes.direct_bytes,
            read_ahead: self.sizes.read_ahead,
            reads_at_once: self.sizes.reads_at_once,
            recycle_bytes: self.sizes.recycle_bytes,
            max_block: self.sizes.max_block,
            ..OpenOptions::usual(
                shards,
                self.budget.clone(),
                self.sizes.journal_bytes * u64::from(shards),
            )
        };
        let (deleting, unknown) = (self.deleting.clone(), self.unknown.clone());
        let topic_state = move |topic: TopicId| match topic {
            topic if deleting.contains(&topic) => TopicState::Deleting,
            topic if unknown.contains(&topic) => TopicState::Unknown,
            _ => TopicState::Live,
        };
        let bad_states = self.bad_states;
        let fold: recovery::Fold<'_> = &|state, _, _, batches| {
            if bad_states {
                return Err(StateError::Damaged("refused by the test".into()));
            }
            let mut state = State::decode(state);
            batches.for_each(|header| state.add(digest(&header)));
            Ok(state.encode())
        };
        let last = LastLife::read(&disk, &identity, fold);
        let opened = last.and_then(|mut last| {
            last.repairable(|_| self.repairs);
            recovery::begin(last, &disk, &identity, &options, &topic_state)
        });
        let (engines, report) = opened.map_err(|e| e.to_string())?;
        self.engines = engines;
        self.report = report;
        self.identity = Some(identity);
        Ok(())
    }

    /// Opens, whatever it takes: up to `cuts` attempts lose power somewhere on the way. Then
    /// everything is compared with the model.
    pub fn open(&mut self, shards: u16, cuts: u64) {
        self.failed = false;
        let mut cuts = cuts;
        let mut attempts = 0;
        loop {
            attempts += 1;
            assert!(attempts < 50, "does not open");
            if cuts > 0 {
                cuts -= 1;
                let most = [8, 40, 200][self.rng.index(3)];
                self.disk.set_fuel(Some(self.rng.below(most)));
            }
            match self.try_open(shards) {
                Ok(()) => break,
                Err(_) if self.disk.is_off() => self.disk.restart(),
                Err(_) if self.faulty && self.disk.faults_hit() > 0 => self.disk.process_crash(),
                Err(error) => panic!("does not open: {error}"),
            }
        }
        self.disk.set_fuel(None);
        self.compare();
    }

    /// Compares what was opened with the model.
    pub fn compare(&mut self) {
        self.by_slot.clear();
        for (shard, engine) in self.engines.iter_mut().enumerate() {
            for (slot, tp) in engine.logs() {
                self.by_slot.insert((shard, slot), tp);
                if let Some(log) = self.model.logs.get(&tp) {
                    engine.configure(slot, &log.config);
                }
            }
        }
        recovered::check(self);
    }

    /// Ends the life without a stop.
    pub fn crash(&mut self, how: Crash) {
        for tp in self.model.live() {
            if let Some((shard, slot)) = self.find(tp) {
                let start = self.engines[shard].offsets(slot).start;
                let log = self.model.logs.get_mut(&tp).expect("a live log");
                log.start_asked = log.start_asked.max(start);
            }
        }
        match how {
            Crash::Power => self.disk.power_cut(),
            Crash::Process => self.disk.process_crash(),
        }
        self.disk.restart();
        self.forget_engines();
        self.model.tokens.clear();
    }

    fn forget_engines(&mut self) {
        self.engines.clear();
        self.filled.clear();
        self.late.clear();
    }

    /// Writes everything back and says so durably. False where the power went or the disk failed.
    pub fn stop(&mut self) -> bool {
        for engine in &mut self.engines {
            engine.begin_shutdown(self.now_ms);
        }
        let mut steps = 0;
        while !self.engines.iter().all(Engine::is_drained) {
            steps += 1;
            assert!(steps < 100_000, "the stop does not end");
            self.turn_all();
            self.complete_one();
            if self.over() {
                return false;
            }
            if steps % 50 == 0 {
                self.pass_time(1000);
            }
        }
        for log in self.model.logs.values().filter(|l| !l.config.relaxed()) {
            assert!(log.later.is_empty(), "stopped, but {:?} waits", log.tp);
            assert!(log.drop != Drop::Asked);
        }
        let identity = self.identity.clone().expect("it was opened");
        let left = self.engines.iter().any(Engine::left_files);
        let marked = recovery::mark_clean(&Disk::Sim(self.disk.clone()), &identity, left);
        self.forget_engines();
        self.model.tokens.clear();
        marked.is_ok()
    }

    /// The power is off, or the process would have ended.
    pub fn over(&self) -> bool {
        self.failed || self.disk.is_off()
    }

    pub fn find(&self, tp: TopicPartition) -> Option<(usize, Slot)> {
        if self.engines.is_empty() {
            return None;
        }
        let shard = tp.shard(self.engines.len());
        Some((shard, self.engines[shard].find(tp)?))
    }

    pub fn new_topic(&mut self) -> TopicId {
        self.next_topic += 1;
        TopicId([self.next_topic; 16])
    }

    pub fn create(&mut self, tp: TopicPartition, config: LogConfig, own_frames: bool) {
        self.model.logs.insert(tp, LogModel::new(tp, config, own_frames));
        self.ensure(tp);
    }

    /// Opens a log that was dropped once more, empty, under the same id: a partition that was moved
    /// away and back. Only where the metadata does not say that its topic is deleted.
    pub fn create_again(&mut self, tp: TopicPartition) {
        let old = &self.model.logs[&tp];
        assert!(old.drop == Drop::Done && !self.deleting.contains(&tp.topic));
        let mut log = LogModel::new(tp, old.config.clone(), old.own_frames);
        log.epoch = old.epoch + 1;
        log.again = true;
        self.model.logs.insert(tp, log);
        self.ensure(tp);
    }

    /// Opens a log that the storage does not know yet, as a broker does for each of its topics.
    pub fn ensure(&mut self, tp: TopicPartition) {
        if self.find(tp).is_none() {
            let shard = tp.shard(self.engines.len());
            let config = &self.model.logs[&tp].config;
            let slot = self.engines[shard].create(tp, config, self.now_ms);
            self.by_slot.insert((shard, slot), tp);
        }
    }

    /// Appends a batch of `records` records with about `bytes` bytes.
    pub fn append(&mut self, tp: TopicPartition, records: u64, bytes: usize) {
        let log = self.model.logs.get_mut(&tp).expect("a live log");
        log.epoch += i32::from(log.own_frames);
        let base = log.end();
        let each = bytes / records as usize;
        if log.is_compacted() {
            let batch = compacted::batch(&mut self.rng, self.now_ms, records, each);
            return self.append_batch(tp, batch, records);
        }
        let mut builder = BatchBuilder::new(Compression::None);
        for i in 0..records {
            let timestamp = self.now_ms - self.rng.below(50) as i64;
            let mut value = self.rng.bits().to_le_bytes().to_vec();
            value.resize(each.max(8), (base as u8).wrapping_add(i as u8) | 1);
            builder.push(timestamp, None, Some(&value), &[]);
        }
        self.append_batch(tp, builder.build(), records);
    }

    /// Appends a frame as a leader has made it, of so many batches.
    pub fn append_frame(&mut self, tp: TopicPartition, count: u64, bytes: usize) {
        let (shard, slot) = self.find(tp).expect("an open log");
        let Some(previous_checksum) = self.engines[shard].tail(slot).checksum else {
            // The end of the log is in no frame yet.
            return self.append(tp, 1, bytes);
        };
        let log = self.model.logs.get_mut(&tp).expect("a live log");
        log.epoch += i32::from(log.own_frames);
        let (epoch, first, is_compacted) = (log.epoch, log.end(), log.is_compacted());
        let (mut end, mut payload, mut batches) = (first, Vec::new(), Vec::new());
        for _ in 0..count {
            let records = self.rng.between(1, 4);
            let each = bytes / (records * count) as usize;
            let mut batch = if is_compacted {
                compacted::batch(&mut self.rng, self.now_ms, records, each)
            } else {
                let mut builder = BatchBuilder::new(Compression::None);
                for _ in 0..records {
                    let mut value = self.rng.bits().to_le_bytes().to_vec();
                    value.resize(each.max(8), end as u8 | 1);
                    builder.push(self.now_ms, None, Some(&value), &[]);
                }
                builder.build()
            };
            set_offset_and_epoch(&mut batch, end, epoch);
            let header = BatchHeader::parse(&batch).expect("a batch of our own");
            payload.extend_from_slice(&batch);
            batches.push(Rc::new(Batch {
                base: end,
                last: header.last_offset(),
                max_timestamp: header.max_timestamp,
                bytes: batch.into(),
                digest: digest(&header),
                now_ms: self.now_ms,
            }));
            end = header.next_offset();
        }
        let fields = FrameFields {
            tp,
            leader_epoch: epoch,
            base_offset: first,
            last_offset: end - 1,
            max_timestamp: batches.iter().map(|b| b.max_timestamp).max().expect("one at least"),
            append_time: self.now_ms,
            batch_count: count as u32,
            previous_checksum,
        };
        let header = FrameHeader::seal(&fields, &payload);
        let frame = Frame::read(header.as_bytes(), payload.into()).expect("it is sound");
        let token = self.model.token(Asked::Change(tp));
        let log = self.model.logs.get_mut(&tp).expect("a live log");
        log.ask(token, Change::Frame(batches));
        let taken = self.engines[shard].append_frame(slot, frame, token);
        taken.unwrap_or_else(|why| panic!("{tp:?}: {why}"));
    }

    /// Lets a log begin anew, if the engine would take it now.
    pub fn restart_at(&mut self, tp: TopicPartition, offset: i64) -> bool {
        let (shard, slot) = self.find(tp).expect("an open log");
        if !self.engines[shard].can_truncate(slot) {
            return false;
        }
        let token = self.model.token(Asked::Change(tp));
        let log = self.model.logs.get_mut(&tp).expect("a live log");
        log.ask(token, Change::Restart(offset));
        log.start_asked = log.start_asked.max(offset);
        log.epoch += 1;
        let state = log.state.encode();
        self.engines[shard].restart_at(slot, offset, &state, token);
        true
    }

    fn append_batch(&mut self, tp: TopicPartition, batch: Vec<u8>, records: u64) {
        let (shard, slot) = self.find(tp).expect("an open log");
        let log = self.model.logs.get_mut(&tp).expect("a live log");
        let base = log.end();
        let log_append_time = self.rng.chance(10).then_some(self.now_ms);
        let mut expected = batch.clone();
        set_offset_and_epoch(&mut expected, base, log.epoch);
        if let Some(now) = log_append_time {
            set_log_append_time(&mut expected, now);
        }
        let header = BatchHeader::parse(&expected).expect("a batch of our own");
        let last = base + records as i64 - 1;
        let model = Batch {
            base,
            last,
            max_timestamp: header.max_timestamp,
            bytes: Bytes::from(expected),
            digest: digest(&header),
            now_ms: self.now_ms,
        };
        let leader_epoch = log.epoch;
        let max_timestamp = header.max_timestamp;
        let token = self.model.token(Asked::Change(tp));
        let log = self.model.logs.get_mut(&tp).expect("a live log");
        log.ask(token, Change::Append(Rc::new(model)));
        let append = Append {
            base_offset: base,
            last_offset: last,
            leader_epoch,
            max_timestamp,
            log_append_time,
            batch: Bytes::from(batch),
            token,
        };
        self.engines[shard].append(slot, append);
    }

    pub fn set_log_start(&mut self, tp: TopicPartition, offset: i64) {
        let (shard, slot) = self.find(tp).expect("an open log");
        let token = self.model.token(Asked::LogStart(tp, offset));
        let log = self.model.logs.get_mut(&tp).expect("a live log");
        log.start_asked = log.start_asked.max(offset);
        self.engines[shard].set_log_start(slot, offset, token);
    }

    /// Cuts a log at a batch, if the engine would take it now.
    pub fn truncate(&mut self, tp: TopicPartition, offset: i64) -> bool {
        let (shard, slot) = self.find(tp).expect("an open log");
        if !self.engines[shard].can_truncate(slot) {
            return false;
        }
        loop {
            let ticket = match self.engines[shard].before_truncate(slot, offset) {
                Ok(None) => break,
                Ok(Some(ticket)) => ticket,
                Err(error) => {
                    assert!(self.faulty, "{tp:?}: cannot cut at {offset}: {error}");
                    return false;
                }
            };
            match self.wait_for(shard, ticket) {
                None => return false,
                Some(Ok(())) => {}
                Some(Err(error)) => {
                    assert!(self.faulty, "{tp:?}: cannot cut at {offset}: {error}");
                    return false;
                }
            }
        }
        let token = self.model.token(Asked::Change(tp));
        let log = self.model.logs.get_mut(&tp).expect("a live log");
        log.ask(token, Change::Truncate(offset));
        log.epoch += 1;
        let state = log.state.encode();
        self.engines[shard].truncate(slot, offset, &state, token);
        true
    }

    /// Deletes a log. With `metadata` a start knows of it even where the storage does not.
    pub fn drop_log(&mut self, tp: TopicPartition, metadata: bool) {
        let (shard, slot) = self.find(tp).expect("an open log");
        let token = self.model.token(Asked::Drop(tp));
        let log = self.model.logs.get_mut(&tp).expect("a live log");
        log.drop = Drop::Asked;
        log.start_asked = log.start_asked.max(self.engines[shard].offsets(slot).start);
        if metadata && self.model.logs.keys().filter(|other| other.topic == tp.topic).count() == 1 {
            self.deleting.insert(tp.topic);
        }
        self.engines[shard].drop_log(slot, token);
    }

    pub fn turn(&mut self, shard: usize) {
        let Self { model, by_slot, rests, .. } = self;
        let mut states = Pieces { shard, model, by_slot, rests };
        self.engines[shard].turn(self.now_ms, &mut states);
        self.pump(shard);
    }

    pub fn turn_all(&mut self) {
        for shard in 0..self.engines.len() {
            self.turn(shard);
        }
    }

    pub fn pass_time(&mut self, ms: i64) {
        self.now_ms += ms;
        for log in self.model.logs.values_mut().filter(|log| log.is_compacted()) {
            let cuts = |change: &Change| matches!(change, Change::Truncate(_) | Change::Restart(_));
            let cut = log.later.iter().any(|(_, change)| cuts(change));
            if self.rng.chance(60) && !cut {
                log.stable = log.stable.max(end_of(&log.settled));
            }
        }
        for shard in 0..self.engines.len() {
            self.engines[shard].tick(self.now_ms);
            self.pump(shard);
        }
    }

    /// Hands what an engine asks for to the disk, and takes in what it says.
    pub fn pump(&mut self, shard: usize) {
        let tag = |id: u64| (shard as u64) << ID_BITS | id;
        for Submission { id, op } in self.engines[shard].take_submissions() {
            let op = match op {
                Op::WriteSync { path, pos, data, sync_id, apart } => {
                    Op::WriteSync { path, pos, data, sync_id: tag(sync_id), apart }
                }
                other => other,
            };
            self.disk.submit(Submission { id: tag(id), op });
        }
        let events = self.engines[shard].take_events();
        acks::take(self, shard, events);
    }

    /// Completes one operation, if there is one in flight.
    pub fn complete_one(&mut self) -> bool {
        let Some(done) = self.disk.complete_next(&mut self.rng) else { return false };
        self.completed(done);
        true
    }

    /// Lets everything end that can end while operations below `prefix` do not.
    pub fn settle_elsewhere(&mut self, prefix: &str) {
        loop {
            self.turn_all();
            let done = self.disk.complete_elsewhere(&mut self.rng, prefix);
            let goes_on = self.engines.iter().any(Engine::wants_turn);
            let some = done.is_some();
            if let Some(done) = done {
                self.completed(done);
            }
            if !(some || goes_on) {
                break;
            }
        }
    }

    /// Lets reads of the disk end until that one has. `None` where the power went.
    pub fn wait_for(&mut self, shard: usize, ticket: Ticket) -> Option<Result<(), ReadError>> {
        loop {
            self.pump(shard);
            if let Some(result) = self.filled.remove(&(shard, ticket)) {
                // It may be one that others have left.
                self.late.remove(&(shard, ticket));
                return Some(result);
            }
            let done = self.disk.complete_one(&mut self.rng, |kind| kind == OpKind::Read);
            if self.disk.is_off() {
                return None;
            }
            self.completed(done.expect("a read that somebody waits for is under way"));
        }
    }

    fn completed(&mut self, done: Completion) {
        let shard = (done.id >> ID_BITS) as usize;
        let id = done.id & ((1 << ID_BITS) - 1);
        let mut events: Vec<Event> = Vec::new();
        let completion = Completion { id, result: done.result };
        self.engines[shard].complete(self.now_ms, completion, &mut events);
        acks::take(self, shard, events);
        self.pump(shard);
    }

    /// Lets everything end that can end. Whatever was asked for must have been answered then.
    pub fn settle(&mut self) {
        let mut steps = 0;
        loop {
            self.turn_all();
            let busy = self.complete_one();
            if self.over() {
                return;
            }
            if !busy {
                self.turn_all();
                let goes_on = self.engines.iter().any(Engine::wants_turn);
                if self.disk.in_flight() == 0 && !goes_on {
                    break;
                }
            }
            steps += 1;
            assert!(steps < 100_000, "never at rest");
        }
        for late in std::mem::take(&mut self.late) {
            let ended = self.filled.remove(&late);
            let ended = ended.unwrap_or_else(|| panic!("at rest, but {late:?} did not end"));
            assert!(ended.is_ok() || self.faulty, "{late:?}: {ended:?}");
        }
        for log in self.model.logs.values().filter(|l| !l.config.relaxed()) {
            assert!(log.later.is_empty(), "at rest, but {:?} waits", log.tp);
            assert!(log.drop != Drop::Asked, "at rest, but {:?} is not dropped", log.tp);
        }
    }

    pub fn invariants(&self) {
        if !self.failed {
            self.engines.iter().for_each(Engine::invariants);
        }
    }
}
