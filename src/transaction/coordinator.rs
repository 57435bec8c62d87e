//! All transactional ids of one partition of `__transaction_state`.

use super::effect::{Effect, Markers, Ticket};
use super::memory::Memory;
use super::record::{RecordError, Value, read_key, record};
use super::request::{Described, List, Listed, Partition, Producer, Request, Response};
use super::settings::Settings;
use super::state::State;
use super::transactional_id::{NO_EPOCH, Next, Pending, Queued, Transaction, completed};
use crate::types::{ErrorCode, Now};
use slab::Slab;
use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, DefaultHasher, Hasher};
use std::sync::Arc;

/// A part of a tick ends after so many ids.
const TICK_PART: usize = 256;
/// So many requests of one id wait at most.
const QUEUE_MAX: usize = 1_024;
/// What could not be written is written again after this time, ms.
const AGAIN_MS: i64 = 100;

/// Hashes ids with a number that clients do not know.
#[derive(Clone, Copy, Debug)]
struct Seeded(u64);

impl BuildHasher for Seeded {
    type Hasher = DefaultHasher;

    fn build_hasher(&self) -> DefaultHasher {
        let mut hasher = DefaultHasher::new();
        hasher.write_u64(self.0);
        hasher
    }
}

/// How far a list has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListCursor(usize);

/// See the module.
#[derive(Debug)]
pub struct Coordinator {
    settings: Settings,
    transactions: Slab<Box<Transaction>>,
    by_id: HashMap<Arc<str>, usize, Seeded>,
    /// When each has something to do by time.
    schedule: BTreeSet<(i64, usize)>,
    /// By number of a write, or of markers.
    waiting: HashMap<u64, usize>,
    last_number: u64,
    memory: Memory,
    bytes: usize,
    steps: u64,
    /// The place of the next that starts.
    starting: usize,
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.memory.change(self.bytes, 0);
    }
}

/// What clients are told of a write that failed (`TransactionStateManager.appendTransactionToLog`).
fn write_error(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::NOT_ENOUGH_REPLICAS
        | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
        | ErrorCode::REQUEST_TIMED_OUT => ErrorCode::COORDINATOR_NOT_AVAILABLE,
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::KAFKA_STORAGE_ERROR => {
            ErrorCode::NOT_COORDINATOR
        }
        ErrorCode::MESSAGE_TOO_LARGE | ErrorCode::RECORD_LIST_TOO_LARGE => {
            ErrorCode::UNKNOWN_SERVER_ERROR
        }
        other => other,
    }
}

impl Coordinator {
    /// No ids. What they take is charged to `memory`.
    pub fn new(settings: Settings, memory: Memory) -> Self {
        Self {
            by_id: HashMap::with_hasher(Seeded(settings.hash_seed)),
            transactions: Slab::new(),
            schedule: BTreeSet::new(),
            waiting: HashMap::new(),
            last_number: 0,
            memory,
            bytes: 0,
            steps: 0,
            starting: 0,
            settings,
        }
    }

    /// Steps of all that was done here: ids and partitions that were looked at.
    pub const fn steps(&self) -> u64 {
        self.steps
    }

    /// Whether there are no ids.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }

    // ---- Loading ----

    /// Applies one record of the log, oldest first, before [`Coordinator::start_part`].
    ///
    /// # Errors
    /// It cannot be read.
    pub fn replay(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<(), RecordError> {
        let Some(id) = read_key(key.ok_or(RecordError::NoKey)?)? else { return Ok(()) };
        match value {
            Some(value) => {
                let value = Value::read(value)?;
                let key = self.place(id);
                self.transactions[key].value = Some(value);
                self.recharge(key);
            }
            None => {
                if let Some(&key) = self.by_id.get(id) {
                    self.remove(key);
                }
            }
        }
        Ok(())
    }

    /// Loading is over: about so many ids start. Markers of those that were about to end are sent again. How
    /// many it were; 0 when all have started. Until then no request may be handed in.
    pub fn start_part(&mut self, now: Now, ids: usize, out: &mut Vec<Effect>) -> usize {
        let end = self.transactions.capacity().min(self.starting.saturating_add(ids));
        let places = self.starting..end;
        self.starting = end;
        let taken = places.len();
        for key in places {
            if let Some(it) = self.transactions.get_mut(key) {
                // How long it was in its state the wall's clock alone can tell, which may be wrong.
                let value = it.value.as_ref().expect("one that was loaded");
                let (from_ms, longest_ms) = match value.state {
                    State::Ongoing => (value.start_ms, i64::from(value.timeout_ms)),
                    _ => (value.last_update_ms, self.settings.expiration_ms),
                };
                let passed_ms = now.wall_ms.saturating_sub(from_ms).clamp(0, longest_ms.max(0));
                it.since_ms = now.monotonic_ms.saturating_sub(passed_ms);
                self.entered(key, out);
                self.reschedule(key);
            }
        }
        self.steps += taken as u64;
        taken
    }

    // ---- Requests ----

    /// Takes a request. Its answer is in `out` now or after a later call.
    pub fn request(&mut self, now: Now, ticket: Ticket, request: Request, out: &mut Vec<Effect>) {
        self.steps += 1;
        let reply = |response| Effect::Reply { ticket, response };
        let known = self.by_id.get(request.transactional_id()).copied();
        let key = match (&request, known) {
            (Request::Describe(_), _) => {
                let described = known.and_then(|key| self.describe(key));
                let missing = Response::Done(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND);
                return out.push(reply(described.map_or(missing, Response::Described)));
            }
            (Request::Init(it), _)
                if !(1..=self.settings.max_timeout_ms).contains(&it.timeout_ms) =>
            {
                return out.push(reply(Response::Done(ErrorCode::INVALID_TRANSACTION_TIMEOUT)));
            }
            (_, Some(key)) => key,
            (Request::Init(it), None) if it.fresh_id.is_none() => {
                return out.push(reply(Response::NeedsProducerId));
            }
            (Request::Init(_), None) if self.memory.is_used_up() => {
                return out.push(reply(Response::Done(ErrorCode::COORDINATOR_NOT_AVAILABLE)));
            }
            (Request::Init(it), None) => self.place(&it.transactional_id),
            (_, None) => {
                return out.push(reply(Response::Done(ErrorCode::INVALID_PRODUCER_ID_MAPPING)));
            }
        };
        let until_ms = now.monotonic_ms.saturating_add(self.settings.wait_ms);
        let queue = &mut self.transactions[key].queue;
        if queue.len() >= QUEUE_MAX {
            return out.push(reply(Response::Done(ErrorCode::CONCURRENT_TRANSACTIONS)));
        }
        queue.push_back(Queued { ticket, request, until_ms });
        self.go_on(now, key, out);
    }

    fn describe(&self, key: usize) -> Option<Described> {
        let value = self.transactions[key].value.as_ref()?;
        Some(Described {
            state: value.state,
            timeout_ms: value.timeout_ms,
            start_ms: value.start_ms,
            producer: Producer { id: value.producer_id, epoch: value.epoch },
            partitions: value.partitions.iter().cloned().collect(),
        })
    }

    /// Lists ids, about so many from where `cursor` stands; the steps that it took, 0 at the end.
    pub fn list_part(
        &self,
        now: Now,
        filter: &List,
        cursor: &mut ListCursor,
        steps: usize,
        listed: &mut Vec<Listed>,
    ) -> usize {
        let end = self.transactions.capacity().min(cursor.0.saturating_add(steps));
        let places = cursor.0.min(end)..end;
        let taken = places.len();
        cursor.0 = end;
        for it in places.filter_map(|key| self.transactions.get(key)) {
            let Some(value) = &it.value else { continue };
            let state = filter.states.is_empty()
                || filter.states.iter().any(|name| name == value.state.name());
            let producer =
                filter.producer_ids.is_empty() || filter.producer_ids.contains(&value.producer_id);
            // Of one that is complete it is known when it began, and it does not last any more.
            let lasts = filter.duration_ms < 0
                || (value.start_ms >= 0
                    && now.wall_ms.saturating_sub(value.start_ms) > filter.duration_ms);
            if state && producer && lasts {
                listed.push(Listed {
                    transactional_id: it.id.clone(),
                    producer_id: value.producer_id,
                    state: value.state,
                });
            }
        }
        taken
    }

    /// Does what waits of an id, until a write is pending or a transaction is about to end.
    fn go_on(&mut self, now: Now, key: usize, out: &mut Vec<Effect>) {
        loop {
            self.steps += 1;
            let Some(it) = self.transactions.get_mut(key) else { return };
            if it.pending.is_some() {
                break;
            }
            let Some(first) = it.queue.pop_front() else { break };
            match it.handle(&first.request, now) {
                Next::Reply(response) => {
                    out.push(Effect::Reply { ticket: first.ticket, response });
                }
                Next::Wait => {
                    it.queue.push_front(first);
                    break;
                }
                Next::Write(next, last_epoch, reply) => {
                    let mut pending = Pending::new(Some(*next), last_epoch, now.monotonic_ms);
                    match reply {
                        Some(reply) => {
                            pending.replies.push((first.ticket, reply));
                            Self::join_adds(it, &first.request, &mut pending);
                        }
                        None => pending.cause = Some(first),
                    }
                    self.write(key, pending, out);
                }
            }
        }
        let it = &self.transactions[key];
        if it.value.is_none() && it.pending.is_none() && it.queue.is_empty() {
            self.remove(key);
        } else {
            self.recharge(key);
            self.reschedule(key);
        }
    }

    /// Requests right behind one that adds partitions, which add some too, are part of its write.
    fn join_adds(it: &mut Transaction, first: &Request, pending: &mut Pending) {
        let (Request::Add(first), Some(next)) = (first, &mut pending.next) else { return };
        let joins = |queued: &Queued| match &queued.request {
            Request::Add(add) => {
                add.producer == first.producer && add.version == first.version && !add.verify_only
            }
            _ => false,
        };
        while it.queue.front().is_some_and(joins) {
            let Some(Queued { ticket, request: Request::Add(add), .. }) = it.queue.pop_front()
            else {
                break;
            };
            next.partitions.extend(add.partitions);
            pending.replies.push((ticket, Response::Done(ErrorCode::NONE)));
        }
    }

    /// Writes what an id is to become.
    fn write(&mut self, key: usize, pending: Pending, out: &mut Vec<Effect>) {
        let it = &mut self.transactions[key];
        let Ok(record) = record(&it.id, pending.next.as_ref()) else {
            // A name that is too long for a record.
            for (ticket, _) in pending.replies {
                let response = Response::Done(ErrorCode::INVALID_REQUEST);
                out.push(Effect::Reply { ticket, response });
            }
            return;
        };
        self.steps += pending.next.as_ref().map_or(0, |it| it.partitions.len() as u64 / 16);
        it.pending = Some(pending);
        self.last_number += 1;
        self.waiting.insert(self.last_number, key);
        out.push(Effect::Append { write: self.last_number, record });
    }

    /// An [`Effect::Append`] is committed, or never will be: the error is that of the append.
    pub fn written(
        &mut self,
        now: Now,
        write: u64,
        result: Result<(), ErrorCode>,
        out: &mut Vec<Effect>,
    ) {
        let Some(key) = self.waiting.remove(&write) else {
            debug_assert!(false, "write {write} is answered, but was not asked for");
            return;
        };
        let it = &mut self.transactions[key];
        let Some(pending) = it.pending.take() else { return };
        let Pending { next, last_epoch, replies, cause, begun_ms } = pending;
        match result {
            Ok(()) => {
                let before = it.value.as_ref().map(|it| it.state);
                if let Some(queued) = cause {
                    it.queue.push_front(queued);
                }
                (it.value, it.last_epoch) = (next, last_epoch);
                // A transaction has begun with the first of its partitions.
                let state = it.value.as_ref().map(|it| it.state);
                if state != Some(State::Ongoing) || before != state {
                    it.since_ms = begun_ms;
                }
                it.not_before_ms = i64::MIN;
                for (ticket, response) in replies {
                    out.push(Effect::Reply { ticket, response });
                }
                self.entered(key, out);
            }
            Err(error) => {
                it.not_before_ms = now.monotonic_ms.saturating_add(AGAIN_MS);
                let response = Response::Done(write_error(error));
                let waited = cause.into_iter().map(|it| it.ticket);
                let refused = replies.into_iter().map(|it| it.0).chain(waited);
                out.extend(
                    refused.map(|ticket| Effect::Reply { ticket, response: response.clone() }),
                );
            }
        }
        self.go_on(now, key, out);
    }

    /// It has come into its state: where that is the end of a transaction, markers are sent.
    fn entered(&mut self, key: usize, out: &mut Vec<Effect>) {
        let it = &mut self.transactions[key];
        it.markers = None;
        let Some(value) = it.value.as_ref().filter(|it| it.state.is_prepared()) else { return };
        self.last_number += 1;
        self.steps += value.partitions.len() as u64 / 16;
        it.markers = Some((self.last_number, value.partitions.clone()));
        if value.partitions.is_empty() {
            // It completes with the next tick.
            return;
        }
        self.waiting.insert(self.last_number, key);
        out.push(Effect::Markers(Markers {
            number: self.last_number,
            producer_id: value.producer_id,
            producer_epoch: value.epoch,
            commits: value.state == State::PrepareCommit,
            version: value.version,
            partitions: value.partitions.iter().cloned().collect(),
        }));
    }

    /// A marker of [`Effect::Markers`] is committed, or its partition is gone.
    pub fn marked(&mut self, now: Now, number: u64, partition: &Partition, out: &mut Vec<Effect>) {
        self.steps += 1;
        let Some(&key) = self.waiting.get(&number) else { return };
        let it = &mut self.transactions[key];
        let Some((_, left)) = it.markers.as_mut().filter(|(it, _)| *it == number) else { return };
        left.remove(partition);
        if left.is_empty() {
            self.waiting.remove(&number);
            self.complete(now, key, out);
        }
    }

    /// All markers are committed: that is written, and the next transaction may begin. Where that waits already,
    /// its beginning is what is written: whoever reads it knows that the one before has ended.
    fn complete(&mut self, now: Now, key: usize, out: &mut Vec<Effect>) {
        let it = &mut self.transactions[key];
        let Some(value) = it.value.as_ref().filter(|_| it.pending.is_none()) else { return };
        let ended = completed(value, now);
        let first = it.queue.front();
        let wanted = first.map(|first| it.handle_at(Some(&ended), &first.request, now));
        let mut pending = Pending::new(Some(ended), it.last_epoch, now.monotonic_ms);
        if let Some(Next::Write(next, last_epoch, Some(reply))) = wanted
            && let Some(first) = it.queue.pop_front()
        {
            (pending.next, pending.last_epoch) = (Some(*next), last_epoch);
            pending.replies.push((first.ticket, reply));
            Self::join_adds(it, &first.request, &mut pending);
        }
        self.write(key, pending, out);
        self.reschedule(key);
    }

    // ---- Time ----

    /// Does what is due, or a part of it; the steps that it took. There is more where
    /// [`next_deadline`](Self::next_deadline) is not later than now.
    pub fn tick(&mut self, now: Now, out: &mut Vec<Effect>) -> usize {
        let mut taken = 0;
        while let Some(&(at_ms, key)) = self.schedule.first()
            && at_ms <= now.monotonic_ms
            && taken < TICK_PART
        {
            taken += 1;
            self.due(now, key, out);
        }
        taken
    }

    fn due(&mut self, now: Now, key: usize, out: &mut Vec<Effect>) {
        let now_ms = now.monotonic_ms;
        let concurrent = Response::Done(ErrorCode::CONCURRENT_TRANSACTIONS);
        let it = &mut self.transactions[key];
        let mut late: Vec<Ticket> = Vec::new();
        it.queue.retain(|queued| {
            let waits = queued.until_ms > now_ms;
            if !waits {
                late.push(queued.ticket);
            }
            waits
        });
        if let Some(pending) = &mut it.pending
            && let Some(cause) = pending.cause.take_if(|it| it.until_ms <= now_ms)
        {
            late.push(cause.ticket);
        }
        for ticket in late {
            out.push(Effect::Reply { ticket, response: concurrent.clone() });
        }
        let is_due = it.own_deadline_ms(&self.settings).is_some_and(|at_ms| at_ms <= now_ms);
        if let Some(value) = it.value.as_ref().filter(|_| is_due) {
            // Whoever waits for an id that is forgotten begins anew.
            let write = |next| Pending::new(next, NO_EPOCH, now_ms);
            match value.state {
                State::Ongoing => {
                    let pending = write(Some(Transaction::fenced(value, now)));
                    self.write(key, pending, out);
                }
                State::PrepareCommit | State::PrepareAbort => self.complete(now, key, out),
                State::Empty | State::CompleteCommit | State::CompleteAbort => {
                    self.write(key, write(None), out);
                }
            }
        }
        self.go_on(now, key, out);
    }

    /// When [`Coordinator::tick`] has something to do; `None` while nothing is to be done by time.
    pub fn next_deadline(&self) -> Option<i64> {
        self.schedule.first().map(|(at_ms, _)| *at_ms)
    }

    // ---- Places ----

    /// The place of an id, new or not.
    fn place(&mut self, id: &str) -> usize {
        if let Some(&key) = self.by_id.get(id) {
            return key;
        }
        let id = Arc::<str>::from(id);
        let key = self.transactions.insert(Box::new(Transaction::new(id.clone())));
        self.by_id.insert(id, key);
        self.recharge(key);
        key
    }

    fn remove(&mut self, key: usize) {
        let it = self.transactions.remove(key);
        self.by_id.remove(&it.id);
        if let Some(at_ms) = it.scheduled_ms {
            self.schedule.remove(&(at_ms, key));
        }
        if let Some((number, _)) = &it.markers {
            self.waiting.remove(number);
        }
        self.memory.change(it.charged, 0);
        self.bytes -= it.charged;
    }

    /// Charges what an id takes now.
    fn recharge(&mut self, key: usize) {
        let it = &mut self.transactions[key];
        let (before, now) = (it.charged, it.bytes());
        it.charged = now;
        self.memory.change(before, now);
        self.bytes = self.bytes + now - before;
    }

    fn reschedule(&mut self, key: usize) {
        let it = &mut self.transactions[key];
        let at_ms = it.deadline_ms(&self.settings);
        if it.scheduled_ms != at_ms {
            if let Some(before) = it.scheduled_ms {
                self.schedule.remove(&(before, key));
            }
            if let Some(at_ms) = at_ms {
                self.schedule.insert((at_ms, key));
            }
            it.scheduled_ms = at_ms;
        }
    }
}
