//! One transactional id, and what each request makes of it: `TransactionMetadata` and `TransactionCoordinator`
//! of Kafka 4.3.

use super::effect::Ticket;
use super::record::Value;
use super::request::{AddPartitions, End, InitProducer, Partition, Producer, Request, Response};
use super::settings::Settings;
use super::state::State;
use crate::types::{ErrorCode, Now};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// No epoch.
pub(super) const NO_EPOCH: i16 = -1;

/// The last epoch that a producer may write with: the one behind it is for the markers that fence it.
const EPOCH_MAX: i16 = i16::MAX - 1;

const fn is_exhausted(epoch: i16) -> bool {
    epoch >= EPOCH_MAX
}

/// A request that waits.
#[derive(Debug)]
pub(super) struct Queued {
    pub ticket: Ticket,
    pub request: Request,
    /// It is answered with `CONCURRENT_TRANSACTIONS` at this time, by the monotonic clock.
    pub until_ms: i64,
}

/// A write that is not committed yet.
#[derive(Debug)]
pub(super) struct Pending {
    /// `None`: the id is forgotten.
    pub next: Option<Value>,
    pub last_epoch: i16,
    /// Who is answered what when it is committed.
    pub replies: Vec<(Ticket, Response)>,
    /// Who goes on when it is committed.
    pub cause: Option<Queued>,
    /// When it was begun, by the monotonic clock.
    pub begun_ms: i64,
}

impl Pending {
    /// Nobody waits for it yet.
    pub fn new(next: Option<Value>, last_epoch: i16, begun_ms: i64) -> Self {
        Self { next, last_epoch, replies: Vec::new(), cause: None, begun_ms }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Transaction {
    pub id: Arc<str>,
    /// As the log has it; `None` for one that is new.
    pub value: Option<Value>,
    /// The epoch before this one, where the producer has asked for the next itself: its request may come
    /// again.
    pub last_epoch: i16,
    pub pending: Option<Pending>,
    pub queue: VecDeque<Queued>,
    /// Number of the markers that are on their way, and where they are not committed yet.
    pub markers: Option<(u64, BTreeSet<Partition>)>,
    /// When its state began, by the monotonic clock.
    pub since_ms: i64,
    /// It does nothing of itself before, by the monotonic clock.
    pub not_before_ms: i64,
    /// The entry in the coordinator's schedule.
    pub scheduled_ms: Option<i64>,
    /// Bytes that were charged for it.
    pub charged: usize,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Next {
    Reply(Response),
    /// A transaction is about to end.
    Wait,
    /// This is to be written, and the reply leaves then; without a reply, the request is looked at again.
    Write(Box<Value>, i16, Option<Response>),
}

fn refuse(error: ErrorCode) -> Next {
    Next::Reply(Response::Done(error))
}

impl Transaction {
    pub fn new(id: Arc<str>) -> Self {
        Self {
            id,
            value: None,
            last_epoch: NO_EPOCH,
            pending: None,
            queue: VecDeque::new(),
            markers: None,
            since_ms: 0,
            not_before_ms: i64::MIN,
            scheduled_ms: None,
            charged: 0,
        }
    }

    /// Memory that it takes, about, bytes.
    pub fn bytes(&self) -> usize {
        let partitions = self.value.as_ref().map_or(0, Value::bytes);
        let pending = self.pending.as_ref().and_then(|it| it.next.as_ref()).map_or(0, Value::bytes);
        let queue = self.queue.len() * size_of::<Queued>();
        size_of::<Self>() + 3 * self.id.len() + 2 * partitions + pending + queue + 96
    }

    /// Looks at a request when it is its turn.
    pub fn handle(&self, request: &Request, now: Now) -> Next {
        self.handle_at(self.value.as_ref(), request, now)
    }

    /// What becomes of a request where the id is as `value` says.
    pub fn handle_at(&self, value: Option<&Value>, request: &Request, now: Now) -> Next {
        match (request, value) {
            (Request::Init(it), None) => Self::create(it, now),
            (Request::Init(it), Some(value)) => self.init(it, value, now),
            (_, None) => refuse(ErrorCode::INVALID_PRODUCER_ID_MAPPING),
            (Request::Add(it), Some(value)) => self.add(it, value, now),
            (Request::End(it), Some(value)) => self.end(it, value, now),
            (Request::Describe(_), Some(_)) => unreachable!("answered at once"),
        }
    }

    // ---- InitProducerId ----

    fn create(init: &InitProducer, now: Now) -> Next {
        let Some(producer_id) = init.fresh_id else {
            return Next::Reply(Response::NeedsProducerId);
        };
        let value = Value {
            producer_id,
            previous_id: -1,
            next_id: -1,
            epoch: 0,
            timeout_ms: init.timeout_ms,
            state: State::Empty,
            partitions: BTreeSet::new(),
            last_update_ms: now.wall_ms,
            start_ms: -1,
            version: 0,
        };
        let producer = Producer { id: producer_id, epoch: 0 };
        Next::Write(Box::new(value), NO_EPOCH, Some(Response::Producer(producer)))
    }

    fn init(&self, init: &InitProducer, value: &Value, now: Now) -> Next {
        if let Some(expected) = init.expected {
            // Its epochs were used up, and it has not heard of its new id.
            let rotated = expected.id == value.previous_id && is_exhausted(expected.epoch);
            if expected.id != value.producer_id && !rotated {
                return refuse(ErrorCode::PRODUCER_FENCED);
            }
        }
        match value.state {
            State::PrepareCommit | State::PrepareAbort => Next::Wait,
            State::Ongoing => {
                // A newer instance of the producer, or the same after an error: what it has begun is aborted
                // first, in an epoch that nobody is told.
                Next::Write(Box::new(Self::fenced(value, now)), NO_EPOCH, None)
            }
            State::Empty | State::CompleteCommit | State::CompleteAbort => {
                let is_current = init.expected.is_none_or(|it| it.epoch == value.epoch);
                if is_exhausted(value.epoch) && is_current {
                    Self::rotate(init, value, now)
                } else {
                    self.increment(init, value, now)
                }
            }
        }
    }

    fn begun(value: &Value, producer: Producer, timeout_ms: i32, now: Now) -> Value {
        Value {
            producer_id: producer.id,
            epoch: producer.epoch,
            next_id: -1,
            timeout_ms,
            state: State::Empty,
            partitions: BTreeSet::new(),
            last_update_ms: now.wall_ms,
            start_ms: -1,
            ..*value
        }
    }

    fn rotate(init: &InitProducer, value: &Value, now: Now) -> Next {
        let Some(id) = init.fresh_id else { return Next::Reply(Response::NeedsProducerId) };
        let producer = Producer { id, epoch: 0 };
        let last_epoch = if init.expected.is_some() { value.epoch } else { NO_EPOCH };
        let next = Value {
            previous_id: value.producer_id,
            ..Self::begun(value, producer, init.timeout_ms, now)
        };
        Next::Write(Box::new(next), last_epoch, Some(Response::Producer(producer)))
    }

    fn increment(&self, init: &InitProducer, value: &Value, now: Now) -> Next {
        let id = value.producer_id;
        let (epoch, last_epoch) = match init.expected {
            None => (value.epoch + 1, NO_EPOCH),
            Some(it) if it.epoch == value.epoch => (value.epoch + 1, value.epoch),
            // It was not told: nobody has come since, or there would be no last epoch.
            Some(it) if it.epoch == self.last_epoch => (value.epoch, self.last_epoch),
            Some(_) => return refuse(ErrorCode::PRODUCER_FENCED),
        };
        let producer = Producer { id, epoch };
        let next = Self::begun(value, producer, init.timeout_ms, now);
        Next::Write(Box::new(next), last_epoch, Some(Response::Producer(producer)))
    }

    // ---- AddPartitionsToTxn ----

    fn add(&self, add: &AddPartitions, value: &Value, now: Now) -> Next {
        if add.producer.id != value.producer_id {
            return refuse(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if add.producer.epoch != value.epoch {
            return refuse(ErrorCode::PRODUCER_FENCED);
        }
        if value.state.is_prepared() {
            return Next::Wait;
        }
        let is_in = |it: &Partition| value.partitions.contains(it);
        if add.verify_only {
            let verified = |it: &Partition| {
                if is_in(it) { ErrorCode::NONE } else { ErrorCode::TRANSACTION_ABORTABLE }
            };
            return Next::Reply(Response::Verified(add.partitions.iter().map(verified).collect()));
        }
        if value.state == State::Ongoing && add.partitions.iter().all(is_in) {
            return refuse(ErrorCode::NONE);
        }
        let mut next = value.clone();
        if value.state != State::Ongoing {
            next.start_ms = now.wall_ms;
        }
        next.state = State::Ongoing;
        next.partitions.extend(add.partitions.iter().cloned());
        next.last_update_ms = now.wall_ms;
        next.version = add.version;
        let done = Response::Done(ErrorCode::NONE);
        Next::Write(Box::new(next), self.last_epoch, Some(done))
    }

    // ---- EndTxn ----

    fn end(&self, end: &End, value: &Value, now: Now) -> Next {
        if end.version >= 2 {
            Self::end_own_epoch(end, value, now)
        } else {
            self.end_old(end, value, now)
        }
    }

    /// Each transaction has an epoch of its own (KIP-890): who asks again is known by that.
    fn end_own_epoch(end: &End, value: &Value, now: Now) -> Next {
        let Producer { id, epoch } = end.producer;
        let has_rotated = id == value.previous_id && epoch == EPOCH_MAX && value.epoch == 0;
        let is_bumped = id == value.producer_id && Some(value.epoch) == epoch.checked_add(1);
        let is_retry = has_rotated || (is_bumped && value.version >= 2);
        if id != value.producer_id && !has_rotated {
            return refuse(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if !is_retry && epoch != value.epoch {
            return refuse(ErrorCode::PRODUCER_FENCED);
        }
        let invalid = refuse(ErrorCode::INVALID_TXN_STATE);
        let current = Producer { id: value.producer_id, epoch: value.epoch };
        match (value.state, end.commits) {
            (State::Ongoing, _) if is_retry => refuse(ErrorCode::PRODUCER_FENCED),
            (State::Ongoing, _)
            | (State::Empty | State::CompleteCommit | State::CompleteAbort, false)
                if !is_retry =>
            {
                Self::prepare_own_epoch(end, value, now)
            }
            (State::CompleteCommit, true) | (State::CompleteAbort, false) if is_retry => {
                Next::Reply(Response::Producer(current))
            }
            // How it goes on is seen when this one has ended.
            (State::PrepareCommit | State::PrepareAbort, _) => Next::Wait,
            _ => invalid,
        }
    }

    fn prepare_own_epoch(end: &End, value: &Value, now: Now) -> Next {
        let mut next = Self::prepared(end.commits, value, now);
        if is_exhausted(value.epoch) {
            match end.fresh_id {
                Some(id) => next.next_id = id,
                None => return Next::Reply(Response::NeedsProducerId),
            }
        }
        next.epoch = value.epoch.saturating_add(1);
        next.version = end.version;
        if next.start_ms < 0 || value.state != State::Ongoing {
            next.start_ms = now.wall_ms;
        }
        let producer = match next.next_id {
            -1 => Producer { id: next.producer_id, epoch: next.epoch },
            id => Producer { id, epoch: 0 },
        };
        // Without partitions there is nobody to be told.
        if next.partitions.is_empty() {
            next = completed(&next, now);
        }
        Next::Write(Box::new(next), value.epoch, Some(Response::Producer(producer)))
    }

    fn end_old(&self, end: &End, value: &Value, now: Now) -> Next {
        if end.producer.id != value.producer_id {
            return refuse(ErrorCode::INVALID_PRODUCER_ID_MAPPING);
        }
        if end.producer.epoch != value.epoch {
            return refuse(ErrorCode::PRODUCER_FENCED);
        }
        match (value.state, end.commits) {
            (State::Ongoing, commits) => {
                let next = Self::prepared(commits, value, now);
                let current = Producer { id: value.producer_id, epoch: value.epoch };
                let reply = Response::Producer(current);
                Next::Write(Box::new(next), self.last_epoch, Some(reply))
            }
            (State::CompleteCommit, true) | (State::CompleteAbort, false) => {
                refuse(ErrorCode::NONE)
            }
            // How it goes on is seen when this one has ended.
            (State::PrepareCommit | State::PrepareAbort, _) => Next::Wait,
            _ => refuse(ErrorCode::INVALID_TXN_STATE),
        }
    }

    fn prepared(commits: bool, value: &Value, now: Now) -> Value {
        let state = if commits { State::PrepareCommit } else { State::PrepareAbort };
        Value { state, last_update_ms: now.wall_ms, ..value.clone() }
    }

    /// Its transaction is aborted, and whoever has begun it is fenced: by time, or by another instance.
    pub fn fenced(value: &Value, now: Now) -> Value {
        let mut next = Self::prepared(false, value, now);
        // One more than a producer may have is left for this.
        next.epoch = value.epoch.saturating_add(1);
        next
    }

    /// When something is to be done by time.
    pub fn deadline_ms(&self, settings: &Settings) -> Option<i64> {
        let waiting = self.queue.iter().map(|it| it.until_ms).min();
        let cause = self.pending.as_ref().and_then(|it| it.cause.as_ref()).map(|it| it.until_ms);
        let own = self.own_deadline_ms(settings);
        waiting.into_iter().chain(cause).chain(own).min()
    }

    /// When it does something of itself: the transaction is aborted, or the id forgotten, or what could
    /// not be written is written again.
    pub fn own_deadline_ms(&self, settings: &Settings) -> Option<i64> {
        if self.pending.is_some() {
            return None;
        }
        let value = self.value.as_ref()?;
        let at_ms = match value.state {
            State::Ongoing => self.since_ms.saturating_add(i64::from(value.timeout_ms)),
            State::PrepareCommit | State::PrepareAbort => {
                let is_marked = self.markers.as_ref().is_none_or(|(_, left)| left.is_empty());
                return is_marked.then_some(self.not_before_ms);
            }
            State::Empty | State::CompleteCommit | State::CompleteAbort => {
                self.since_ms.saturating_add(settings.expiration_ms)
            }
        };
        Some(at_ms.max(self.not_before_ms))
    }
}

/// All markers are committed.
pub(super) fn completed(value: &Value, now: Now) -> Value {
    let mut next = value.clone();
    let commits = value.state == State::PrepareCommit;
    next.state = if commits { State::CompleteCommit } else { State::CompleteAbort };
    next.partitions = BTreeSet::new();
    next.last_update_ms = now.wall_ms;
    if value.next_id != -1 {
        (next.previous_id, next.producer_id) = (value.producer_id, value.next_id);
        (next.next_id, next.epoch) = (-1, 0);
    }
    next
}
