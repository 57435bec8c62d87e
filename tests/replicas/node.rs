//! One broker with its replica: the core, and a log that is a list of frames.

use klamm::replica::{Partition, ProducerMemory, fold};
use klamm::wire::records::BatchHeader;
use std::rc::Rc;

/// A frame: batches of one epoch.
#[derive(Debug)]
pub struct Frame {
    /// Its own number: no two frames that were ever made have the same.
    pub number: u64,
    pub epoch: i32,
    pub batches: Vec<BatchHeader>,
}

impl Frame {
    pub fn base(&self) -> i64 {
        self.batches[0].base_offset
    }

    pub fn next(&self) -> i64 {
        self.batches.last().expect("it has some").next_offset()
    }
}

/// What a disk holds of a state: as of where the log ended then.
#[derive(Clone, Debug, Default)]
struct Checkpoint {
    state: Vec<u8>,
    end: i64,
}

pub struct Node {
    pub id: i32,
    pub incarnation: i64,
    pub is_up: bool,
    /// Its disk is new since it last ran.
    pub is_wiped: bool,
    pub log: Vec<Rc<Frame>>,
    /// Where the log starts on the disk.
    pub start: i64,
    /// Everything below survives.
    pub durable: i64,
    checkpoint: Checkpoint,
    /// One that counts as soon as the log is durable as far as it goes.
    next_checkpoint: Option<Checkpoint>,
    pub core: Partition,
    pub memory: ProducerMemory,
    /// The number of the first image that it has not heard of.
    pub image: usize,
    /// By follower: its connection, and where it is to go on.
    pub streams: Vec<(i32, u64, i64)>,
    /// The connection to the leader, and the epoch that it subscribed in.
    pub subscribed: Option<(u64, i32)>,
    /// The last watermark as a leader, and in which epoch.
    pub led: (i32, i64),
}

impl Node {
    pub fn new(id: i32) -> Self {
        Self {
            id,
            incarnation: -1,
            is_up: false,
            is_wiped: false,
            log: Vec::new(),
            start: 0,
            durable: 0,
            checkpoint: Checkpoint::default(),
            next_checkpoint: None,
            core: Partition::new(-1),
            memory: ProducerMemory::new(usize::MAX),
            image: 0,
            streams: Vec::new(),
            subscribed: None,
            led: (-1, 0),
        }
    }

    pub fn end(&self) -> i64 {
        self.log.last().map_or(self.start, |frame| frame.next())
    }

    pub fn append(&mut self, frame: Rc<Frame>) {
        self.log.push(frame);
    }

    /// Everything up to `end` is on the disk. Whether the watermark moved.
    pub fn becomes_durable(&mut self, end: i64) -> bool {
        self.durable = self.durable.max(end);
        if self.next_checkpoint.as_ref().is_some_and(|it| it.end <= self.durable) {
            self.checkpoint = self.next_checkpoint.take().expect("just looked at");
        }
        self.core.durable(self.durable)
    }

    /// A checkpoint of the state as it is now.
    pub fn take_checkpoint(&mut self) {
        let checkpoint = Checkpoint { state: self.core.snapshot(), end: self.end() };
        self.next_checkpoint = Some(checkpoint);
        self.becomes_durable(self.durable);
    }

    /// Cuts the log, all of which is durable.
    pub fn truncate(&mut self, to: i64) {
        let cut = self.core.truncate(to, &mut self.memory);
        cut.unwrap_or_else(|why| panic!("node {}: {why}", self.id));
        self.log.retain(|frame| frame.base() < to);
        assert!(self.end() <= to, "node {}: {to} is within a frame", self.id);
        self.durable = to;
        self.checkpoint = Checkpoint { state: self.core.snapshot(), end: to };
        self.next_checkpoint = None;
        self.check_state();
    }

    /// What lies below is given up. The batches that no checkpoint has count for the state all the same:
    /// storage keeps them until one has.
    pub fn set_start(&mut self, start: i64) {
        self.core.advance_log_start(start);
        let Checkpoint { state, end } = &self.checkpoint;
        if *end < start {
            let batches = self.log.iter().flat_map(|frame| frame.batches.iter().copied());
            let mut below = batches.filter(|it| it.base_offset >= *end && it.base_offset < start);
            let state = fold(state, self.start, *end, &mut below).expect("its own state");
            self.checkpoint = Checkpoint { state, end: start };
        }
        self.start = start;
        self.log.retain(|frame| frame.next() > start);
    }

    /// The log begins anew.
    pub fn restart_at(&mut self, offset: i64) {
        let anew = self.core.restart_at(offset, &mut self.memory);
        anew.unwrap_or_else(|why| panic!("node {}: {why}", self.id));
        self.log.clear();
        (self.start, self.durable) = (offset, offset);
        self.checkpoint = Checkpoint { state: self.core.snapshot(), end: offset };
        self.next_checkpoint = None;
    }

    /// The process ends, and what is not durable is lost.
    pub fn crash(&mut self) {
        self.is_up = false;
        let durable = self.durable;
        self.log.retain(|frame| frame.next() <= durable);
        self.next_checkpoint = None;
        (self.streams, self.subscribed, self.led) = (Vec::new(), None, (-1, 0));
    }

    /// The disk is replaced.
    pub fn wipe(&mut self) {
        (self.log, self.start, self.durable) = (Vec::new(), 0, 0);
        (self.checkpoint, self.is_wiped) = (Checkpoint::default(), true);
    }

    /// The process starts, with what the disk has.
    pub fn start(&mut self, incarnation: i64, image: usize) {
        (self.is_up, self.is_wiped) = (true, false);
        (self.incarnation, self.image) = (incarnation, image);
        let Checkpoint { state, end } = &self.checkpoint;
        let batches = self.log.iter().flat_map(|frame| frame.batches.iter().copied());
        let mut later = batches.filter(|batch| batch.next_offset() > *end);
        let state = fold(state, self.start, *end, &mut later).expect("its own state");
        let log_end = self.end();
        self.core = Partition::restore(&state, self.start, log_end, -1).expect("its own state");
        self.memory = ProducerMemory::new(usize::MAX);
        self.memory.hold(self.core.producers().charged_bytes());
        self.check_state();
    }

    /// Epochs and producers are what the batches of the log say, if it has all that there ever were.
    pub fn check_state(&self) {
        assert_eq!(self.core.log_end(), self.end(), "node {}", self.id);
        assert_eq!(self.memory.used(), self.core.producers().charged_bytes());
        if self.start > 0 {
            return;
        }
        let mut batches = self.log.iter().flat_map(|frame| frame.batches.iter().copied());
        let afresh = fold(&[], 0, 0, &mut batches).expect("nothing to restore");
        let plain = |state: &[u8]| {
            Partition::restore(state, 0, self.end(), 1_000).expect("a state").snapshot()
        };
        assert!(
            plain(&self.core.snapshot()) == plain(&afresh),
            "node {}: {:?} should be {:?}",
            self.id,
            self.core,
            Partition::restore(&afresh, 0, self.end(), 1_000)
        );
    }
}
