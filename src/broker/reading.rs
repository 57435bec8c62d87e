//! Reads of the partitions of one shard: all of one call at once, from memory or from the disk.

use super::calls::{Notice, Read, ReadEnough, ReadReply, ShardId, Waiter};
use super::fills::Filled;
use super::logs::{Logs, Progress};
use super::reply_to::ReplyTo;
use super::state::{Phase, State};
use super::wait::{Receiver, oneshot};
use super::waiting::Waiting;
use super::waits::Hears;
use crate::broker::api::data::{ReadRequest, ReadResult};
use crate::storage::read::{ReadError, Ticket};
use crate::types::ErrorCode;
use futures_lite::FutureExt;
use std::rc::Rc;

impl State {
    pub(super) fn serve_read(self: &Rc<Self>, call: Read, asker: ShardId, to: ReplyTo<Read>) {
        let Read { reads, max_bytes, waiter } = call;
        let state = self.clone();
        self.start(async move {
            let results = state.read_all(&reads, max_bytes).await;
            let noted = match waiter {
                Some(it) => state.subscribe(asker, it, &reads, &results).await,
                None => false,
            };
            to.reply(ReadReply { results, noted });
        });
    }

    pub(super) fn serve_read_enough(
        self: &Rc<Self>,
        call: ReadEnough,
        asker: ShardId,
        to: ReplyTo<ReadEnough>,
    ) {
        let hears = Hears::Call(asker, to.number().unwrap_or_default());
        let state = self.clone();
        self.start(async move { to.reply(state.read_enough(call, hears).await) });
    }

    async fn read_enough(self: &Rc<Self>, call: ReadEnough, hears: Hears) -> Vec<ReadResult> {
        let ReadEnough { reads, max_bytes, min_bytes } = call;
        let wait = Waiting::begin(self, hears);
        let waiter = Waiter { id: wait.id(), min_bytes, alone: true };
        loop {
            wait.more.lower();
            let results = self.read_all(&reads, max_bytes).await;
            let waits = self.phase.get() == Phase::Serving && !wait.over.is_raised();
            if !waits || !self.subscribe(self.id, waiter, &reads, &results).await {
                return results;
            }
            // What is in memory stays there for as long as somebody has it.
            drop(results);
            wait.noted(self.id);
            wait.more.raised().or(wait.over.raised()).await;
            wait.forget();
        }
    }

    /// Reads partitions of this shard, at most so many bytes together, unless the first batch is
    /// larger.
    async fn read_all(&self, reads: &[ReadRequest], max_bytes: usize) -> Vec<ReadResult> {
        let mut results = Vec::with_capacity(reads.len());
        let mut total = 0;
        let mut asked = Vec::new();
        for (at, it) in reads.iter().enumerate() {
            let room = max_bytes.saturating_sub(total);
            let result = match asked.get_mut(at).and_then(Option::take) {
                Some(filled) => self.read_filled(it, room, total == 0, filled).await,
                None => match self.look(it, room, total == 0) {
                    Progress::Done(result) => result,
                    Progress::Wait(ticket) => {
                        let filled = self.wait_for(ticket);
                        if asked.is_empty() {
                            let left = room.saturating_sub(it.max_bytes.max(1));
                            asked = self.ask_ahead(at + 1, reads, left).await;
                        }
                        self.read_filled(it, room, total == 0, filled).await
                    }
                },
            };
            total += result.bytes;
            results.push(result);
            self.pause().await;
        }
        results
    }

    /// Before the first of them waits for the disk, lets the disk read for the others too, as far as there
    /// is room for all. What each of them gives is known when those before it have what they get.
    async fn ask_ahead(
        &self,
        from: usize,
        reads: &[ReadRequest],
        mut room: usize,
    ) -> Vec<Option<Receiver<Filled>>> {
        let mut asked = Vec::with_capacity(reads.len());
        asked.resize_with(from, || None);
        for it in &reads[from..] {
            if room == 0 {
                break;
            }
            let (wanted, filled) = match self.look(it, room, false) {
                Progress::Done(result) => (result.bytes, None),
                Progress::Wait(ticket) => (it.max_bytes, Some(self.wait_for(ticket))),
            };
            room = room.saturating_sub(wanted);
            asked.push(filled);
            self.pause().await;
        }
        asked
    }

    async fn read_filled(
        &self,
        it: &ReadRequest,
        room: usize,
        first: bool,
        filled: Receiver<Filled>,
    ) -> ReadResult {
        match filled.await.unwrap_or(Ok(())) {
            Ok(()) => self.read_one(it, room, first).await,
            Err(error) => ReadResult::failed(it.index, error),
        }
    }

    /// Reads one partition of this shard, from the disk if need be.
    pub(super) async fn read_one(&self, it: &ReadRequest, room: usize, first: bool) -> ReadResult {
        loop {
            match self.look(it, room, first) {
                Progress::Done(result) => return result,
                Progress::Wait(ticket) => {
                    if let Err(error) = self.fill(ticket).await {
                        return ReadResult::failed(it.index, error);
                    }
                }
            }
        }
    }

    /// Reads as far as it goes without the disk. What the disk is to read, for this reader and ahead of
    /// it, begins with the next turn.
    fn look(&self, it: &ReadRequest, room: usize, first: bool) -> Progress {
        self.read_logs(|logs| {
            let progress = logs.read(it, room, first);
            if logs.engine.has_submissions() {
                self.kick();
            }
            progress
        })
    }

    /// Waits for a read of the engine.
    pub(super) async fn fill(&self, ticket: Ticket) -> Filled {
        self.kick();
        self.wait_for(ticket).await.unwrap_or(Ok(()))
    }

    fn wait_for(&self, ticket: Ticket) -> Receiver<Filled> {
        let (tx, rx) = oneshot();
        self.fills.borrow_mut().entry(ticket).or_default().push(tx);
        rx
    }

    /// A read of the engine has ended.
    pub(super) fn filled(&self, ticket: Ticket, result: Result<(), ReadError>) {
        let result = result.map_err(|e| {
            let line = e.to_string();
            let now_ms = self.now().monotonic_ms;
            if let Some(left_out) = self.read_errors.borrow_mut().tell(now_ms, &line) {
                match left_out {
                    0 => tracing::error!("cannot read: {line}"),
                    _ => tracing::error!("cannot read ({left_out} times more since): {line}"),
                }
            }
            ErrorCode::KAFKA_STORAGE_ERROR
        });
        let waiting = self.fills.borrow_mut().remove(&ticket);
        for sender in waiting.into_iter().flatten() {
            sender.send(result);
        }
    }

    /// Notes who waits for more than `results`, unless there is more already. An append to a partition
    /// comes before it is looked at here, and is seen, or after it, and is told.
    pub(super) async fn subscribe(
        self: &Rc<Self>,
        asker: ShardId,
        waiter: Waiter,
        reads: &[ReadRequest],
        results: &[ReadResult],
    ) -> bool {
        let Waiter { id, min_bytes, alone } = waiter;
        let total: usize = results.iter().map(|it| it.counted).sum();
        if total >= min_bytes || results.iter().any(ReadResult::is_final) {
            return false;
        }
        let need = if alone { min_bytes - total } else { 1 };
        let key = self.logs.borrow_mut().begin_wait(asker, id, need, reads.len());
        for (read, result) in reads.iter().zip(results) {
            let seen = if read.committed { result.last_stable } else { result.high_watermark };
            let wait_on = |logs: &mut Logs| logs.wait_on(key, (asker, id), read.tp, read.committed);
            match self.read_logs(wait_on) {
                // It was told of one of the others.
                None => break,
                Some(end) if end == Some(seen) => {}
                // The reads took time: what was appended meanwhile is not in the results.
                Some(_) => {
                    if self.logs.borrow_mut().forget(asker, id) {
                        self.kick();
                    }
                    self.tell(asker, Notice::Advanced(id));
                    break;
                }
            }
            self.pause().await;
        }
        true
    }
}
