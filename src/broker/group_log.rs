//! One partition of `__consumer_offsets` with its coordinator: what its owner has to append, when,
//! and when the log is rewritten. Pure.
//!
//! Retention never bounds this log. When it holds more than [`Bounds`] allow, it is rewritten: the
//! coordinator hears no requests any more until its last write is durable, then its whole state is
//! appended, and when all of that is durable, the log's start moves to where the state begins. A
//! write under way when the state is taken would be older in the log and newer in meaning, and a
//! later load would lose it: hence the wait. Whatever stops in the middle, the log says the same:
//! before the start moves, the old records are all there, and the state that follows repeats them. What open
//! transactions have committed is part of the state, as part of the same transactions; markers wait like requests.

use crate::controller::Image;
use crate::group::{
    Cluster, Coordinator, CoordinatorSettings, Effect, GoneTopic, GroupRequest, GroupResponse,
    Heartbeaten, List, Listed, Memory, Record, RecordError, Start, StateCursor, Ticket,
    TransactionEnd, TransactionProducer,
};
use crate::types::{ErrorCode, Now, TopicId};
use std::collections::{BTreeSet, VecDeque};

/// How long a log may become.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// A log of fewer bytes is left alone.
    pub bytes_min: u64,
    /// A log of fewer bytes than this times its live state is left alone.
    pub live_times: u64,
    /// Records of the state that are appended at once, bytes.
    pub chunk_bytes: usize,
    /// After a rewrite that could not be finished, time until the next is tried.
    pub pause_ms: i64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { bytes_min: 64 << 20, live_times: 4, chunk_bytes: 128 << 10, pause_ms: 60_000 }
    }
}

/// What the owner has to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Answer.
    Reply {
        /// Which request.
        ticket: Ticket,
        /// The answer.
        response: GroupResponse,
    },
    /// Append these records at the end of the log, and call [`GroupLog::appended`]. In this order.
    Append {
        /// Number of the append.
        append: u64,
        /// At least one.
        records: Vec<Record>,
        /// They are part of a transaction of this producer.
        producer: Option<TransactionProducer>,
    },
    /// Append the marker of a transaction, and call [`GroupLog::appended`].
    AppendMarker {
        /// Number of the append.
        append: u64,
        /// The marker.
        end: TransactionEnd,
    },
    /// A marker is durable and has taken effect, or was refused.
    Ended {
        /// Whose: see [`TransactionEnd`].
        ticket: Ticket,
        /// How it went.
        error: ErrorCode,
    },
    /// Delete all records below this offset, and call [`GroupLog::trimmed`].
    Trim {
        /// The log's new start; -1 is its end.
        offset: i64,
    },
}

/// Where an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset of its first record.
    pub base_offset: i64,
    /// Bytes of its batches.
    pub bytes: u64,
}

/// Who waits for an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The coordinator, which knows it by this number.
    Write(u64),
    /// The rewrite.
    State,
}

#[derive(Debug)]
struct PendingAppend {
    number: u64,
    purpose: Purpose,
    result: Option<Result<Place, ErrorCode>>,
}

/// How far a rewrite is.
#[derive(Debug)]
enum Rewrite {
    /// None is under way.
    No,
    /// The coordinator's last writes are awaited.
    Settling,
    /// The state is appended.
    Writing {
        /// What is not appended yet.
        rest: StateCursor,
        /// The producer of whose open transaction what it has committed was appended last.
        staged: Option<i64>,
        /// Offset of the first record of the state.
        first: Option<i64>,
        /// Bytes of what is durable.
        bytes: u64,
        /// It cannot be finished: the log's start stays.
        failed: bool,
    },
    /// The log's start moves; so many bytes are left then.
    Trimming { bytes: u64 },
}

/// How far the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Loading,
    Serving,
    /// It cannot be loaded.
    Broken,
}

/// What was loaded starts, a part at a time.
#[derive(Debug)]
struct Starting {
    start: Start,
    /// Topics with offsets that went while nobody could note it.
    gone: BTreeSet<(String, TopicId)>,
    /// The one that groups hear of.
    going: Option<GoneTopic>,
}

/// What waits for the end of a rewrite.
#[derive(Debug)]
enum Held {
    Request(Ticket, GroupRequest),
    TopicDeleted(GoneTopic),
    End(TransactionEnd),
}

/// See the module.
#[derive(Debug)]
pub struct GroupLog {
    core: Coordinator,
    bounds: Bounds,
    phase: Phase,
    /// All records are loaded, and not all groups have started.
    starting: Option<Starting>,
    /// Bytes of the batches between the log's start and its end.
    bytes: u64,
    /// Appends under way, oldest first.
    appends: VecDeque<PendingAppend>,
    first_append: u64,
    next_append: u64,
    rewrite: Rewrite,
    held: VecDeque<Held>,
    /// No rewrite begins before.
    rewrite_from_ms: i64,
    effects: Vec<Effect>,
}

impl GroupLog {
    /// A log that is to be loaded. It numbers its appends from `first_append` on.
    pub fn new(
        settings: CoordinatorSettings,
        bounds: Bounds,
        memory: Memory,
        cluster: Cluster,
        first_append: u64,
    ) -> Self {
        Self {
            core: Coordinator::new(settings).with_memory(memory).with_cluster(cluster),
            bounds,
            phase: Phase::Loading,
            starting: None,
            bytes: 0,
            appends: VecDeque::new(),
            first_append,
            next_append: first_append,
            rewrite: Rewrite::No,
            held: VecDeque::new(),
            rewrite_from_ms: i64::MIN,
            effects: Vec::new(),
        }
    }

    /// The number of its first append: no two logs of a shard have the same.
    pub fn first_append(&self) -> u64 {
        self.first_append
    }

    // ---- Loading ----

    /// Takes one record of the log, oldest first. The members of a group are for
    /// [`go_on_loading`](Self::go_on_loading), before the next.
    pub fn load(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp_ms: i64,
    ) -> Result<(), RecordError> {
        self.core.begin_replay(key, value, timestamp_ms)
    }

    /// Takes one record of a batch that is part of a transaction of this producer.
    pub fn load_staged(
        &mut self,
        producer: (i64, i16),
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), RecordError> {
        self.core.replay_staged(producer, key, value)
    }

    /// Takes the marker of a transaction.
    pub fn load_end(&mut self, producer_id: i64, commits: bool) {
        self.core.replay_end(producer_id, commits);
    }

    /// Goes on with the record that was loaded last, about so many members; of how many, 0 at its end.
    pub fn go_on_loading(&mut self, steps: usize) -> Result<usize, RecordError> {
        self.core.go_on_replaying(steps)
    }

    /// All records of a batch of that size are loaded.
    pub fn loaded_batch(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// All of the log is loaded: what was found starts, about so many steps of it. To be called until
    /// it has taken none; requests are served then.
    pub fn loaded(
        &mut self,
        now: Now,
        image: &Image,
        steps: usize,
        out: &mut Vec<Action>,
    ) -> usize {
        let core = &mut self.core;
        let starting = self.starting.get_or_insert_with(|| Starting {
            start: core.begin_start(now),
            gone: BTreeSet::new(),
            going: None,
        });
        let gone = &mut starting.gone;
        // Offsets of one topic come one after the other. Nothing can be told of one without an id.
        let mut last = TopicId::ZERO;
        let mut see = |name: &str, id: TopicId| {
            let same = std::mem::replace(&mut last, id) == id || id == TopicId::ZERO;
            if !same && image.topic_by_id(id).is_none() {
                gone.insert((name.to_owned(), id));
            }
        };
        let mut taken =
            core.start_part(now, &mut starting.start, steps, &mut see, &mut self.effects);
        if taken == 0 {
            let next = || starting.gone.pop_first().map(|(name, id)| GoneTopic::new(&name, id));
            if let Some(mut going) = starting.going.take().or_else(next) {
                taken = core.topic_deleted_part(now, &mut going, steps, &mut self.effects);
                if taken > 0 {
                    starting.going = Some(going);
                }
                taken = taken.max(1);
            } else {
                self.starting = None;
                self.phase = Phase::Serving;
            }
        }
        self.advance(now, out);
        taken
    }

    /// The log cannot be loaded; requests are refused from now on.
    pub fn broken(&mut self) {
        self.phase = Phase::Broken;
    }

    /// The error of requests that come before the log is loaded.
    fn refusal(&self) -> Option<ErrorCode> {
        match self.phase {
            Phase::Loading => Some(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
            Phase::Serving => None,
            Phase::Broken => Some(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        }
    }

    // ---- Serving ----

    /// Takes a request.
    pub fn request(
        &mut self,
        now: Now,
        ticket: Ticket,
        request: GroupRequest,
        out: &mut Vec<Action>,
    ) {
        if let Some(error) = self.refusal() {
            let response = match &request {
                // Nobody knows yet whether the member is there: as Kafka, let it live.
                GroupRequest::Heartbeat(_) if self.phase == Phase::Loading => {
                    GroupResponse::Heartbeat(Heartbeaten { error: ErrorCode::NONE })
                }
                _ => GroupResponse::refused(&request, error),
            };
            out.push(Action::Reply { ticket, response });
            return;
        }
        if self.is_serving() || self.core.is_answered_at_once(&request) {
            self.core.request(now, ticket, request, &mut self.effects);
        } else if self.core.is_too_much(&request) {
            let error = ErrorCode::COORDINATOR_NOT_AVAILABLE;
            out.push(Action::Reply { ticket, response: GroupResponse::refused(&request, error) });
        } else {
            self.core.hold(&request, true);
            self.held.push_back(Held::Request(ticket, request));
        }
        self.advance(now, out);
    }

    /// A transaction ends that may have committed offsets here.
    pub fn end_transaction(&mut self, now: Now, end: TransactionEnd, out: &mut Vec<Action>) {
        if let Some(error) = self.refusal() {
            return out.push(Action::Ended { ticket: end.ticket, error });
        }
        if self.is_serving() {
            self.core.end_transaction(end, &mut self.effects);
        } else {
            self.held.push_back(Held::End(end));
        }
        self.advance(now, out);
    }

    /// Lists groups, about so many from the place `from` on; the steps that it took, 0 at the end.
    pub fn list(
        &self,
        filter: &List,
        from: &mut usize,
        steps: usize,
        listed: &mut Vec<Listed>,
    ) -> Result<usize, ErrorCode> {
        match self.refusal() {
            Some(error) => Err(error),
            None => Ok(self.core.list_part(filter, from, steps, listed)),
        }
    }

    /// A topic is gone: about so many of the groups concerned hear of it. To be called until none did.
    pub fn topic_deleted(
        &mut self,
        now: Now,
        gone: &mut GoneTopic,
        steps: usize,
        out: &mut Vec<Action>,
    ) -> usize {
        // What is loading looks itself, at the end.
        if self.phase != Phase::Serving && self.starting.is_none() {
            return 0;
        }
        let taken = if self.is_serving() {
            self.core.topic_deleted_part(now, gone, steps, &mut self.effects)
        } else {
            self.held.push_back(Held::TopicDeleted(std::mem::take(gone)));
            0
        };
        self.advance(now, out);
        taken
    }

    /// Does what is due, or a part of it; the steps that it took.
    pub fn tick(&mut self, now: Now, out: &mut Vec<Action>) -> usize {
        if self.next_deadline().is_none_or(|at| at > now.monotonic_ms) {
            return 0;
        }
        let taken = self.core.tick(now, &mut self.effects);
        self.advance(now, out);
        taken
    }

    /// Goes on with a commit of very many offsets, or with very many members, about so many steps; how many
    /// it took, 0 where there is nothing to go on with.
    pub fn go_on_with_long(&mut self, now: Now, steps: usize, out: &mut Vec<Action>) -> usize {
        let taken = self.core.go_on_with_long(now, steps, &mut self.effects);
        self.advance(now, out);
        taken
    }

    /// When [`tick`](Self::tick) has something to do, by the monotonic clock.
    pub fn next_deadline(&self) -> Option<i64> {
        let ticks = self.phase == Phase::Serving && self.is_serving();
        self.core.next_deadline().filter(|_| ticks)
    }

    /// The coordinator, for figures.
    pub fn coordinator(&self) -> &Coordinator {
        &self.core
    }

    /// An append is durable, or failed.
    pub fn appended(
        &mut self,
        now: Now,
        append: u64,
        result: Result<Place, ErrorCode>,
        out: &mut Vec<Action>,
    ) {
        if let Some(it) = self.appends.iter_mut().find(|it| it.number == append) {
            it.result = Some(result);
        }
        // One that is refused at once may overtake one that is on its way to the disk.
        while let Some(PendingAppend { purpose, result: Some(result), .. }) = self.appends.front() {
            let (purpose, result) = (*purpose, *result);
            self.appends.pop_front();
            if let Ok(place) = result {
                self.bytes += place.bytes;
            }
            match purpose {
                Purpose::Write(write) => {
                    let result = result.map(|_| ());
                    self.core.written(now, write, result, &mut self.effects);
                }
                Purpose::State => self.state_appended(result),
            }
        }
        self.advance(now, out);
    }

    /// The log's start moved, or could not.
    pub fn trimmed(&mut self, now: Now, result: Result<(), ErrorCode>, out: &mut Vec<Action>) {
        if let Rewrite::Trimming { bytes } = self.rewrite {
            match result {
                Ok(()) => self.bytes = bytes,
                Err(_) => self.rewrite_from_ms = now.monotonic_ms + self.bounds.pause_ms,
            }
            self.rewrite = Rewrite::No;
        }
        self.advance(now, out);
    }

    /// Gives up a rewrite that is under way, and begins no other: the broker is about to end.
    pub fn stop_rewriting(&mut self, now: Now, out: &mut Vec<Action>) {
        self.rewrite_from_ms = i64::MAX;
        match &mut self.rewrite {
            Rewrite::Settling => self.rewrite = Rewrite::No,
            Rewrite::Writing { failed, .. } => *failed = true,
            Rewrite::No | Rewrite::Trimming { .. } => {}
        }
        self.advance(now, out);
    }

    // ---- Rewriting ----

    /// The coordinator hears requests.
    fn is_serving(&self) -> bool {
        matches!(self.rewrite, Rewrite::No)
    }

    fn is_due(&self, now: Now) -> bool {
        self.phase == Phase::Serving
            && self.bytes > self.bounds.bytes_min
            && now.monotonic_ms >= self.rewrite_from_ms
            && self.bytes > self.bounds.live_times.saturating_mul(self.core.live_bytes())
    }

    fn state_appended(&mut self, result: Result<Place, ErrorCode>) {
        if let Rewrite::Writing { first, bytes, failed, .. } = &mut self.rewrite {
            match result {
                Ok(place) => {
                    // What is put together in parts may be overtaken by what comes behind it.
                    *first = Some(first.map_or(place.base_offset, |it| it.min(place.base_offset)));
                    *bytes += place.bytes;
                }
                Err(_) => *failed = true,
            }
        }
    }

    /// Turns what the coordinator wants into actions, and does the next step of a rewrite, until
    /// there is none.
    fn advance(&mut self, now: Now, out: &mut Vec<Action>) {
        loop {
            for effect in std::mem::take(&mut self.effects) {
                match effect {
                    Effect::Reply { ticket, response } => {
                        out.push(Action::Reply { ticket, response });
                    }
                    Effect::Append { write, records, producer } => {
                        self.append(Purpose::Write(write), records, producer, out);
                    }
                    Effect::End { write, end } => {
                        let append = self.begin_append(Purpose::Write(write));
                        out.push(Action::AppendMarker { append, end });
                    }
                    Effect::Ended { ticket, error } => out.push(Action::Ended { ticket, error }),
                }
            }
            match &mut self.rewrite {
                Rewrite::No => {
                    if self.is_due(now) {
                        self.rewrite = Rewrite::Settling;
                        continue;
                    }
                    match self.held.pop_front() {
                        Some(Held::Request(ticket, request)) => {
                            self.core.hold(&request, false);
                            self.core.request(now, ticket, request, &mut self.effects);
                        }
                        Some(Held::TopicDeleted(mut gone)) => {
                            let (all, effects) = (usize::MAX, &mut self.effects);
                            while self.core.topic_deleted_part(now, &mut gone, all, effects) > 0 {}
                        }
                        Some(Held::End(end)) => {
                            self.core.end_transaction(end, &mut self.effects);
                        }
                        None if self.effects.is_empty() => return,
                        None => {}
                    }
                }
                Rewrite::Settling => {
                    if self.core.has_pending_writes() {
                        return;
                    }
                    let rest = StateCursor::default();
                    self.rewrite = Rewrite::Writing {
                        rest,
                        staged: None,
                        first: None,
                        bytes: 0,
                        failed: false,
                    };
                }
                Rewrite::Writing { rest, staged, first, bytes, failed } => {
                    if *failed {
                        if self.appends.is_empty() {
                            self.rewrite_from_ms = self
                                .rewrite_from_ms
                                .max(now.monotonic_ms.saturating_add(self.bounds.pause_ms));
                            self.rewrite = Rewrite::No;
                            continue;
                        }
                        return;
                    }
                    // One on its way, one that waits behind it.
                    if self.appends.len() >= 2 {
                        return;
                    }
                    let records = self.core.live_records(rest, self.bounds.chunk_bytes);
                    if !records.is_empty() {
                        self.append(Purpose::State, records, None, out);
                    } else if let Some((producer, records)) = self.core.staged_records(*staged) {
                        *staged = Some(producer.id);
                        self.append(Purpose::State, records, Some(producer), out);
                    } else if self.appends.is_empty() {
                        // Without any state, nothing of the log is needed.
                        let (offset, bytes) = (first.unwrap_or(-1), *bytes);
                        self.rewrite = Rewrite::Trimming { bytes };
                        out.push(Action::Trim { offset });
                        return;
                    } else {
                        return;
                    }
                }
                Rewrite::Trimming { .. } => return,
            }
        }
    }

    fn begin_append(&mut self, purpose: Purpose) -> u64 {
        let number = self.next_append;
        self.next_append += 1;
        self.appends.push_back(PendingAppend { number, purpose, result: None });
        number
    }

    fn append(
        &mut self,
        purpose: Purpose,
        records: Vec<Record>,
        producer: Option<TransactionProducer>,
        out: &mut Vec<Action>,
    ) {
        let append = self.begin_append(purpose);
        out.push(Action::Append { append, records, producer });
    }
}
