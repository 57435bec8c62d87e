//! The share coordinator: what is kept of all share-partitions of one partition of `__share_group_state`.

use std::collections::{BTreeMap, VecDeque};

use super::records::{self, Key, Record, RecordError, Said};
use super::settings::Settings;
use super::state::{ShareState, Update};
use crate::types::{ErrorCode, Now, TopicId};

/// The owner's number for a request that waits for its answer.
pub type Ticket = u64;

/// About what an entry takes besides its parts, bytes.
const ENTRY: usize = 160;
/// About what a batch of a state takes, bytes.
const BATCH: usize = 48;

/// What is asked about one share-partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `InitializeShareGroupState`: the state begins, or begins anew with a later epoch.
    Initialize {
        /// The epoch.
        state_epoch: i32,
        /// Where delivery begins; -1 where the leader is to choose.
        start_offset: i64,
    },
    /// `ReadShareGroupState`: for a leader, which is known from now on.
    Read {
        /// Its epoch.
        leader_epoch: i32,
    },
    /// `WriteShareGroupState`.
    Write {
        /// The epoch that the leader has read.
        state_epoch: i32,
        /// What has changed.
        update: Update,
    },
    /// `DeleteShareGroupState`.
    Delete,
    /// `ReadShareGroupStateSummary`: for whoever wants to know.
    Summary,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// It is done, or why not.
    Done(ErrorCode),
    /// The state; `None` where there is none.
    State(Option<Box<ShareState>>),
}

/// What the owner has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer a request. Every ticket is answered exactly once.
    Reply {
        /// Which request.
        ticket: Ticket,
        /// The answer.
        response: Response,
    },
    /// Append a record, and call [`Coordinator::written`] when it is committed, or never will be. The order of appends is
    /// the order of these effects.
    Append {
        /// Number to name the write by.
        write: u64,
        /// What to append.
        record: Record,
    },
}

/// One share-partition.
#[derive(Debug, Default)]
struct Slot {
    state: Option<Box<ShareState>>,
    /// Records since the last snapshot.
    updates: u32,
    /// Where the last snapshot is in the log; `None` before one is committed.
    snapshot_offset: Option<i64>,
    /// What it is when the write under way is committed, and who is answered then.
    pending: Option<Pending>,
    queue: VecDeque<(Ticket, Request)>,
    /// Bytes that are counted.
    bytes: usize,
}

#[derive(Debug)]
struct Pending {
    next: Option<Box<ShareState>>,
    updates: u32,
    is_snapshot: bool,
    reply: Option<(Ticket, Response)>,
}

/// See the module.
#[derive(Debug)]
pub struct Coordinator {
    settings: Settings,
    slots: BTreeMap<Key, Slot>,
    writes: BTreeMap<u64, Key>,
    last_write: u64,
    bytes: usize,
}

impl Coordinator {
    /// Nothing yet.
    pub const fn new(settings: Settings) -> Self {
        Self { settings, slots: BTreeMap::new(), writes: BTreeMap::new(), last_write: 0, bytes: 0 }
    }

    /// How many share-partitions there are.
    #[cfg(test)]
    pub(super) fn states(&self) -> usize {
        self.slots.len()
    }

    /// Memory that they take, bytes.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Nothing below this offset of the log is needed; `None` where nothing is known to be. As Kafka's: everything since
    /// the oldest of the newest snapshots.
    pub fn redundant_below(&self, log_end: i64) -> i64 {
        let oldest = self.slots.values().map(|it| it.snapshot_offset.unwrap_or(0)).min();
        oldest.unwrap_or(log_end)
    }

    /// Applies one record of the log, which stands at this offset.
    ///
    /// # Errors
    /// It does not follow its format.
    pub fn replay(
        &mut self,
        offset: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), RecordError> {
        match records::read(key, value)? {
            Said::Snapshot(key, Some(state)) => {
                let slot = self.slots.entry(key.clone()).or_default();
                (slot.state, slot.updates, slot.snapshot_offset) = (Some(state), 0, Some(offset));
                self.recount(&key);
            }
            Said::Snapshot(key, None) => self.remove(&key),
            Said::Update(key, Some((snapshot_epoch, update))) => {
                // One of a snapshot that is gone is of a state that was begun anew since.
                if let Some(slot) = self.slots.get_mut(&key)
                    && let Some(state) = &mut slot.state
                    && state.snapshot_epoch == snapshot_epoch
                {
                    state.apply(&update);
                    slot.updates += 1;
                    self.recount(&key);
                }
            }
            Said::Update(_, None) | Said::Other => {}
        }
        Ok(())
    }

    /// Takes a request.
    pub fn request(
        &mut self,
        now: Now,
        ticket: Ticket,
        key: &Key,
        request: Request,
        out: &mut Vec<Effect>,
    ) {
        if !self.slots.contains_key(key) {
            self.slots.insert(key.clone(), Slot::default());
        }
        if let Some(slot) = self.slots.get_mut(key) {
            slot.queue.push_back((ticket, request));
        }
        self.go_on(now, key, out);
    }

    /// An [`Effect::Append`] is committed, at this offset, or never will be: the error is that of the append.
    pub fn written(
        &mut self,
        now: Now,
        write: u64,
        result: Result<i64, ErrorCode>,
        out: &mut Vec<Effect>,
    ) {
        let Some(key) = self.writes.remove(&write) else { return };
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let Some(Pending { next, updates, is_snapshot, reply }) = slot.pending.take() else {
            return;
        };
        match result {
            Ok(offset) => {
                if is_snapshot || next.is_none() {
                    slot.snapshot_offset = Some(offset);
                }
                (slot.state, slot.updates) = (next, updates);
                if let Some((ticket, response)) = reply {
                    out.push(Effect::Reply { ticket, response });
                }
            }
            Err(error) => {
                if let Some((ticket, _)) = reply {
                    let response = Response::Done(failed(error));
                    out.push(Effect::Reply { ticket, response });
                }
            }
        }
        self.go_on(now, &key, out);
    }

    /// Looks after states whose last snapshot is below this offset of the log: each is written once more, so that what is
    /// below becomes redundant, or goes where its topic does not exist any more. Of about so many states at most; how many
    /// there were.
    pub fn tend_below(
        &mut self,
        now: Now,
        offset: i64,
        most: usize,
        exists: impl Fn(TopicId) -> bool,
        out: &mut Vec<Effect>,
    ) -> usize {
        let is_cold = |it: &Slot| {
            it.pending.is_none()
                && it.state.is_some()
                && it.snapshot_offset.is_none_or(|it| it < offset)
        };
        let keys = self.slots.iter().filter(|(_, it)| is_cold(it)).take(most);
        let keys: Vec<Key> = keys.map(|(key, _)| key.clone()).collect();
        for key in &keys {
            let Some(state) = self.slots.get(key).and_then(|it| it.state.clone()) else { continue };
            if exists(key.topic) {
                self.write(now, key, state, None, true, None, out);
            } else {
                let pending = Pending { next: None, updates: 0, is_snapshot: false, reply: None };
                // A key that was written once can be written again.
                let _ = self.append(key, records::snapshot(key, None), pending, out);
            }
        }
        keys.len()
    }

    /// Does what waits of a share-partition, until a write is pending.
    fn go_on(&mut self, now: Now, key: &Key, out: &mut Vec<Effect>) {
        while let Some(slot) = self.slots.get_mut(key).filter(|it| it.pending.is_none()) {
            let Some((ticket, request)) = slot.queue.pop_front() else { break };
            if let Err(response) = self.handle(now, key, ticket, request, out) {
                out.push(Effect::Reply { ticket, response });
            }
        }
        let is_gone = |it: &Slot| it.state.is_none() && it.pending.is_none() && it.queue.is_empty();
        if self.slots.get(key).is_some_and(is_gone) {
            self.remove(key);
        } else {
            self.recount(key);
        }
    }

    /// Carries a request out: `Err` is its answer, where nothing is to be written.
    fn handle(
        &mut self,
        now: Now,
        key: &Key,
        ticket: Ticket,
        request: Request,
        out: &mut Vec<Effect>,
    ) -> Result<(), Response> {
        let state = self.slots.get(key).and_then(|it| it.state.clone());
        let done = |error| Err(Response::Done(error));
        let success = Response::Done(ErrorCode::NONE);
        match request {
            Request::Summary => Err(Response::State(state)),
            Request::Initialize { state_epoch, start_offset } => {
                let mut snapshot_epoch = 0;
                if let Some(state) = &state {
                    if state.state_epoch > state_epoch {
                        return done(ErrorCode::FENCED_STATE_EPOCH);
                    }
                    // Asked once more: what has been kept since then stays.
                    if state.state_epoch == state_epoch && start_offset < 0 {
                        return Err(success);
                    }
                    snapshot_epoch = state.snapshot_epoch.wrapping_add(1);
                }
                let leader_epoch = state.map_or(0, |it| it.leader_epoch);
                let mut begun =
                    ShareState::new(snapshot_epoch, state_epoch, start_offset, now.wall_ms);
                begun.leader_epoch = leader_epoch;
                self.write_snapshot(key, Box::new(begun), Some((ticket, success)), out)
            }
            Request::Delete => {
                let Some(_) = state else { return Err(success) };
                let tombstone = records::snapshot(key, None);
                let reply = Some((ticket, success));
                let pending = Pending { next: None, updates: 0, is_snapshot: false, reply };
                self.append(key, tombstone, pending, out)
            }
            Request::Read { leader_epoch } => {
                let Some(state) = state else { return done(ErrorCode::INVALID_REQUEST) };
                if state.leader_epoch > leader_epoch {
                    return done(ErrorCode::FENCED_LEADER_EPOCH);
                }
                if state.leader_epoch == leader_epoch {
                    return Err(Response::State(Some(state)));
                }
                let update = Update {
                    leader_epoch,
                    start_offset: -1,
                    delivery_complete_count: state.delivery_complete_count,
                    batches: Vec::new(),
                };
                let mut known = state.clone();
                known.leader_epoch = leader_epoch;
                let reply = (ticket, Response::State(Some(known)));
                self.write(now, key, state, Some(update), false, Some(reply), out);
                Ok(())
            }
            Request::Write { state_epoch, update } => {
                let Some(state) = state else { return done(ErrorCode::INVALID_REQUEST) };
                if state.leader_epoch > update.leader_epoch {
                    return done(ErrorCode::FENCED_LEADER_EPOCH);
                }
                if state.state_epoch > state_epoch {
                    return done(ErrorCode::FENCED_STATE_EPOCH);
                }
                self.write(now, key, state, Some(update), false, Some((ticket, success)), out);
                Ok(())
            }
        }
    }

    /// Writes what a state is to become: the change, or where there were many or it is `whole`, all of it.
    #[allow(clippy::too_many_arguments)]
    fn write(
        &mut self,
        now: Now,
        key: &Key,
        mut next: Box<ShareState>,
        update: Option<Update>,
        whole: bool,
        reply: Option<(Ticket, Response)>,
        out: &mut Vec<Effect>,
    ) {
        let updates = self.slots.get(key).map_or(0, |it| it.updates) + 1;
        if let Some(update) = &update {
            next.apply(update);
        }
        next.written_ms = now.wall_ms;
        let ticket = reply.as_ref().map(|it| it.0);
        let result =
            match update.filter(|_| !whole && updates <= self.settings.updates_per_snapshot) {
                Some(update) => {
                    let record = records::update(key, Some((next.snapshot_epoch, &update)));
                    let pending = Pending { next: Some(next), updates, is_snapshot: false, reply };
                    self.append(key, record, pending, out)
                }
                None => {
                    next.snapshot_epoch = next.snapshot_epoch.wrapping_add(1);
                    self.write_snapshot(key, next, reply, out)
                }
            };
        if let (Err(response), Some(ticket)) = (result, ticket) {
            out.push(Effect::Reply { ticket, response });
        }
    }

    fn write_snapshot(
        &mut self,
        key: &Key,
        next: Box<ShareState>,
        reply: Option<(Ticket, Response)>,
        out: &mut Vec<Effect>,
    ) -> Result<(), Response> {
        let record = records::snapshot(key, Some(&next));
        let pending = Pending { next: Some(next), updates: 0, is_snapshot: true, reply };
        self.append(key, record, pending, out)
    }

    fn append(
        &mut self,
        key: &Key,
        record: Result<Record, crate::wire::primitives::WireError>,
        pending: Pending,
        out: &mut Vec<Effect>,
    ) -> Result<(), Response> {
        // A name that is too long for a record.
        let Ok(record) = record else { return Err(Response::Done(ErrorCode::INVALID_REQUEST)) };
        if let Some(slot) = self.slots.get_mut(key) {
            slot.pending = Some(pending);
        }
        self.last_write += 1;
        self.writes.insert(self.last_write, key.clone());
        out.push(Effect::Append { write: self.last_write, record });
        Ok(())
    }

    fn remove(&mut self, key: &Key) {
        if let Some(slot) = self.slots.remove(key) {
            self.bytes -= slot.bytes;
        }
    }

    fn recount(&mut self, key: &Key) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        let batches = slot.state.as_ref().map_or(0, |it| it.batch_count());
        let bytes = ENTRY + key.group.len() + BATCH * batches;
        self.bytes = self.bytes + bytes - slot.bytes;
        slot.bytes = bytes;
    }
}

/// What a leader is told of a write that failed.
fn failed(error: ErrorCode) -> ErrorCode {
    match error {
        ErrorCode::NOT_LEADER_OR_FOLLOWER | ErrorCode::KAFKA_STORAGE_ERROR => {
            ErrorCode::NOT_COORDINATOR
        }
        ErrorCode::MESSAGE_TOO_LARGE => ErrorCode::INVALID_REQUEST,
        _ => ErrorCode::COORDINATOR_NOT_AVAILABLE,
    }
}
