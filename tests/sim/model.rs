//! What the storage must hold: every log as a naive list of batches.

use bytes::Bytes;
use klamm::storage::log::LogConfig;
use klamm::types::TopicPartition;
use klamm::wire::records::BatchHeader;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

/// A batch as it must be served, offsets and epoch set.
#[derive(Debug)]
pub struct Batch {
    pub base: i64,
    pub last: i64,
    pub max_timestamp: i64,
    pub bytes: Bytes,
    pub digest: u64,
    /// When it was appended.
    pub now_ms: i64,
}

impl Batch {
    /// What stands for all that was before a log began anew.
    fn before(offset: i64) -> Self {
        let (base, last, bytes) = (offset - 1, offset - 1, Bytes::new());
        Self { base, last, max_timestamp: -1, bytes, digest: 0, now_ms: i64::MIN }
    }
}

/// What was asked of a log, in order.
#[derive(Clone, Debug)]
pub enum Change {
    Append(Rc<Batch>),
    /// A leader's frame, all of it or nothing.
    Frame(Vec<Rc<Batch>>),
    Truncate(i64),
    /// All that it had is gone, and it begins anew there.
    Restart(i64),
}

impl Change {
    fn apply(&self, batches: &mut Vec<Rc<Batch>>) {
        match self {
            Self::Append(batch) => batches.push(batch.clone()),
            Self::Frame(more) => batches.extend(more.iter().cloned()),
            Self::Restart(offset) => *batches = vec![Rc::new(Batch::before(*offset))],
            Self::Truncate(offset) => batches.retain(|b| b.base < *offset),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    No,
    Asked,
    Done,
}

/// A partition's state as the simulator keeps it: how many batches, and a hash over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub count: u64,
    pub hash: u64,
}

impl State {
    pub fn add(&mut self, digest: u64) {
        self.count += 1;
        self.hash = (self.hash.rotate_left(9) ^ digest).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    pub fn encode(self) -> Vec<u8> {
        [self.count.to_le_bytes(), self.hash.to_le_bytes()].concat()
    }

    pub fn decode(bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return Self::default();
        }
        let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        Self { count: word(0), hash: word(8) }
    }

    fn of(batches: &[Rc<Batch>]) -> Self {
        let mut state = Self::default();
        let there = batches.iter().filter(|b| !b.bytes.is_empty());
        there.for_each(|b| state.add(b.digest));
        state
    }
}

/// What of a batch goes into the state.
pub fn digest(header: &BatchHeader) -> u64 {
    (header.base_offset as u64).rotate_left(32)
        ^ u64::from(header.crc)
        ^ (header.partition_leader_epoch as u64).rotate_left(50)
}

#[derive(Debug)]
pub struct LogModel {
    pub tp: TopicPartition,
    pub config: LogConfig,
    pub epoch: i32,
    /// Some of what it has comes as frames of a leader.
    pub follows: bool,
    /// Each batch has an epoch of its own, so each has its own frame, and any may be cut off.
    pub own_frames: bool,
    /// What is acknowledged, and durable unless the log is relaxed.
    pub settled: Vec<Rc<Batch>>,
    /// What was asked for since, with its token.
    pub later: VecDeque<(u64, Change)>,
    /// All of it.
    pub current: Vec<Rc<Batch>>,
    /// Acknowledged log start.
    pub start: i64,
    /// Highest log start that was ever asked for.
    pub start_asked: i64,
    pub state: State,
    /// Its settings changed, so what retention does may still be by the old ones.
    pub reconfigured: bool,
    pub drop: Drop,
    /// Another log had its name before.
    pub again: bool,
    /// Where it is compacted: what lies at or above this may not be.
    pub stable: i64,
}

pub fn end_of(batches: &[Rc<Batch>]) -> i64 {
    batches.last().map_or(0, |b| b.last + 1)
}

impl LogModel {
    pub fn new(tp: TopicPartition, config: LogConfig, own_frames: bool) -> Self {
        Self {
            tp,
            config,
            epoch: 1,
            own_frames,
            follows: false,
            settled: Vec::new(),
            later: VecDeque::new(),
            current: Vec::new(),
            start: 0,
            start_asked: 0,
            state: State::default(),
            reconfigured: false,
            drop: Drop::No,
            again: false,
            stable: 0,
        }
    }

    pub fn end(&self) -> i64 {
        end_of(&self.current)
    }

    pub fn is_compacted(&self) -> bool {
        self.config.compaction.is_some()
    }

    pub fn ask(&mut self, token: u64, change: Change) {
        change.apply(&mut self.current);
        match &change {
            Change::Append(batch) => self.state.add(batch.digest),
            Change::Frame(batches) => batches.iter().for_each(|b| self.state.add(b.digest)),
            Change::Truncate(_) | Change::Restart(_) => self.state = State::of(&self.current),
        }
        self.later.push_back((token, change));
    }

    /// A token came back: in the order of asking, unless the log is relaxed.
    pub fn done(&mut self, token: u64) {
        if self.config.relaxed() {
            assert!(self.later.iter().any(|l| l.0 == token), "told twice: {token}");
            return;
        }
        let (first, change) = self.later.pop_front().expect("a token that nobody waits for");
        assert_eq!(first, token, "{:?}: acknowledged out of order", self.tp);
        if let Change::Restart(offset) = &change {
            self.start = self.start.max(*offset);
        }
        change.apply(&mut self.settled);
    }

    /// The states that a crash may leave: any number of the changes since the last acknowledged one.
    pub fn candidates(&self) -> impl Iterator<Item = Vec<Rc<Batch>>> + '_ {
        let mut state = self.settled.clone();
        let mut later = self.later.iter();
        let first = std::iter::once(state.clone());
        first.chain(std::iter::from_fn(move || {
            later.next()?.1.apply(&mut state);
            Some(state.clone())
        }))
    }

    /// Goes on from what recovery left.
    pub fn adopt(&mut self, batches: Vec<Rc<Batch>>, start: i64) {
        self.state = State::of(&batches);
        self.current.clone_from(&batches);
        self.settled = batches;
        self.later.clear();
        self.start = start;
        self.start_asked = start;
        // A new leader epoch at each start, as the broker has it.
        self.epoch += 1;
    }
}

/// What a token stands for.
#[derive(Clone, Copy, Debug)]
pub enum Asked {
    Change(TopicPartition),
    LogStart(TopicPartition, i64),
    Drop(TopicPartition),
}

#[derive(Debug, Default)]
pub struct Model {
    pub logs: BTreeMap<TopicPartition, LogModel>,
    pub tokens: BTreeMap<u64, Asked>,
    pub next_token: u64,
}

impl Model {
    pub fn token(&mut self, asked: Asked) -> u64 {
        self.next_token += 1;
        self.tokens.insert(self.next_token, asked);
        self.next_token
    }

    pub fn live(&self) -> Vec<TopicPartition> {
        self.logs.values().filter(|l| l.drop == Drop::No).map(|l| l.tp).collect()
    }
}
