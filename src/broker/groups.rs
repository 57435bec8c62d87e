//! What drives the group coordinators of one shard: loads them, carries out what they want, and lets
//! their time pass.

use super::calls::{AppendBatches, AskGroup, ListGroups, ShardId, Trim};
use super::coordinators::PendingRequest;
use super::group_log::{Action, GroupLog, Place};
use super::reply_to::ReplyTo;
use super::state::{Phase, State};
use super::work;
use crate::broker::api::data::{AppendRequest, TrimRequest};
use crate::controller::Image;
use crate::group::{
    self, GoneTopic, GroupResponse, Record, RecordError, Ticket, TransactionEnd,
    TransactionProducer,
};
use crate::types::topic_name::GROUP_STATE;
use crate::types::{ErrorCode, TopicPartition};
use crate::wire::records::{
    BatchBuilder, BatchHeader, Compression, DECOMPRESSED_BYTES_MAX, Marker, records,
};
use bytes::Bytes;
use futures_lite::FutureExt;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

/// The most that a record needs beside its key and its value: lengths, deltas, counts.
const RECORD_OVERHEAD: usize = 32;
/// Of more records, the batches are made in parts.
const RECORDS_AT_ONCE: usize = 2_048;

/// A coordinator counts no sequence numbers: its batches are not sent again.
fn builder(producer: Option<TransactionProducer>) -> BatchBuilder {
    let builder = BatchBuilder::new(Compression::None);
    match producer {
        Some(it) => builder.producer(it.id, it.epoch, -1).transactional(),
        None => builder,
    }
}

/// Batches of records, none larger than `max_bytes`.
struct Batches {
    max_bytes: usize,
    now_ms: i64,
    /// They are part of a transaction.
    producer: Option<TransactionProducer>,
    builder: BatchBuilder,
    whole: Vec<(Bytes, BatchHeader)>,
}

impl Batches {
    fn new(max_bytes: usize, now_ms: i64, producer: Option<TransactionProducer>) -> Self {
        let builder = builder(producer);
        Self { max_bytes, now_ms, producer, builder, whole: Vec::new() }
    }

    /// Adds a record; the bytes of the batch that is whole then, if one is.
    fn push(&mut self, record: &Record) -> Result<usize, ErrorCode> {
        let value = record.value.as_deref();
        let len = record.key.len() + value.map_or(0, <[u8]>::len) + RECORD_OVERHEAD;
        let full = self.builder.len() + len > self.max_bytes;
        let bytes = if full { self.end_batch()? } else { 0 };
        self.builder.push(self.now_ms, Some(&record.key), value, &[]);
        Ok(bytes)
    }

    fn end_batch(&mut self) -> Result<usize, ErrorCode> {
        let whole = std::mem::replace(&mut self.builder, builder(self.producer));
        if whole.is_empty() {
            return Ok(0);
        }
        if whole.len() > self.max_bytes {
            return Err(ErrorCode::MESSAGE_TOO_LARGE);
        }
        let batch = Bytes::from(whole.build());
        let header = BatchHeader::parse(&batch).map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?;
        let bytes = batch.len();
        self.whole.push((batch, header));
        Ok(bytes)
    }

    fn finish(mut self) -> Result<Vec<(Bytes, BatchHeader)>, ErrorCode> {
        self.end_batch()?;
        Ok(self.whole)
    }
}

impl State {
    /// Takes over metadata: offsets of deleted topics go.
    pub(super) async fn apply_groups(self: &Rc<Self>, before: &Image, image: &Image) {
        for id in image.deleting_since(before) {
            let Some(topic) = before.topic_by_id(id) else { continue };
            for tp in self.group_logs() {
                let mut gone = GoneTopic::new(&topic.name, id);
                loop {
                    let mut taken = 0;
                    self.step(tp, |log, out| {
                        let steps = work::PIECE as usize;
                        taken = log.topic_deleted(self.now(), &mut gone, steps, out);
                    });
                    self.pause().await;
                    if taken == 0 {
                        break;
                    }
                }
            }
        }
    }

    /// Coordinators follow the partitions of their topic: there is one where such a partition is led, made anew
    /// from its log for each epoch.
    pub(super) fn apply_group_topic(self: &Rc<Self>, image: &Image) {
        let (gone, new) = self.coordinators_moved(image.topic(GROUP_STATE), &self.groups.epochs);
        for tp in gone {
            self.groups.logs.borrow_mut().remove(&tp);
            self.refuse_groups(|it| it.tp == tp);
            self.refuse_ends(tp);
        }
        for (tp, _) in new {
            self.open_group_log(tp);
        }
    }

    pub(super) fn group_logs(&self) -> Vec<TopicPartition> {
        self.groups.logs.borrow().keys().copied().collect()
    }

    /// Does something with a coordinator, and what it wants then. One that panics is not trusted any
    /// more: it is made anew from its log.
    fn step(self: &Rc<Self>, tp: TopicPartition, f: impl FnOnce(&mut GroupLog, &mut Vec<Action>)) {
        let mut out = Vec::new();
        let done = match self.groups.logs.borrow_mut().get_mut(&tp) {
            Some(log) => self.contain(|| {
                let before = log.coordinator().steps();
                f(log, &mut out);
                self.work.add(log.coordinator().steps() - before);
            }),
            None => return,
        };
        if done.is_some() {
            self.act(tp, out);
            return;
        }
        tracing::error!(partition = tp.partition, "a bug in a group coordinator: loading it again");
        self.open_group_log(tp);
        self.refuse_groups(|it| it.tp == tp);
        self.refuse_ends(tp);
    }

    // ---- Loading ----

    /// Puts a new coordinator in its place, and loads it.
    fn open_group_log(self: &Rc<Self>, tp: TopicPartition) {
        let log = self.groups.make_log();
        let made = log.first_append();
        self.groups.logs.borrow_mut().insert(tp, log);
        if self.is_empty_log(tp) {
            while self.start_groups(tp, made) > 0 {}
            return;
        }
        let state = self.clone();
        self.start(async move {
            let what = format!("the groups of {GROUP_STATE}-{}", tp.partition);
            let load = async || state.load(tp, made).await;
            let change = |f: &dyn Fn(&mut GroupLog)| {
                let mut logs = state.groups.logs.borrow_mut();
                logs.get_mut(&tp).filter(|it| it.first_append() == made).map(f).is_some()
            };
            let broken = || change(&|log| log.broken());
            let again = || change(&|log| *log = state.groups.new_log(made));
            state.load_again_and_again(&what, load, broken, again).await;
        });
    }

    /// Starts some of the groups of a log that is loaded; the steps that it took, 0 when all have
    /// started.
    fn start_groups(self: &Rc<Self>, tp: TopicPartition, made: u64) -> usize {
        let (image, mut taken) = (self.image(), 0);
        self.step(tp, |log, out| {
            // One that panicked was put in the place of this one, and is loaded by another task.
            if log.first_append() == made {
                taken = log.loaded(self.now(), &image, work::PIECE as usize, out);
            }
        });
        taken
    }

    /// Reads a log from its start to its end.
    async fn load(self: &Rc<Self>, tp: TopicPartition, made: u64) -> Result<(), String> {
        let begun = self.ticks();
        let is_current = |log: &GroupLog| log.first_append() == made;
        let wanted = || self.groups.logs.borrow().get(&tp).is_some_and(is_current);
        let each = async |header: &BatchHeader, batch: &[u8], start| {
            self.load_batch(tp, made, header, batch, start).await
        };
        let records = self.read_whole_log(tp, self.groups.load_bytes, wanted, each).await?;
        while self.start_groups(tp, made) > 0 {
            self.pause().await;
        }
        let ms = self.ns(begun, self.ticks()) / 1_000_000;
        tracing::debug!(partition = tp.partition, records, ms, "groups loaded");
        Ok(())
    }

    /// Loads the records of one batch from `start` on; how many.
    async fn load_batch(
        &self,
        tp: TopicPartition,
        made: u64,
        header: &BatchHeader,
        batch: &[u8],
        start: i64,
    ) -> Result<u64, String> {
        let load = |f: &mut dyn FnMut(&mut GroupLog) -> Result<(), RecordError>| {
            let mut logs = self.groups.logs.borrow_mut();
            logs.get_mut(&tp).filter(|it| it.first_append() == made).map_or(Ok(()), f)
        };
        load(&mut |log| {
            log.loaded_batch(batch.len() as u64);
            Ok(())
        })
        .map_err(|e| e.to_string())?;
        if header.is_control() {
            // One below the start ends what is not read here.
            load(&mut |log| {
                if let Some(marker) = header.marker {
                    log.load_end(header.producer_id, marker.commits);
                }
                Ok(())
            })
            .map_err(|e| e.to_string())?;
            return Ok(0);
        }
        let staged = (header.producer_id, header.producer_epoch);
        let mut count = 0;
        let all = records(batch, DECOMPRESSED_BYTES_MAX).map_err(|e| e.to_string())?;
        for record in &all {
            let record = record.map_err(|e| format!("a batch at {}: {e}", header.base_offset))?;
            if record.offset >= start {
                let damaged = |e| format!("the record at offset {}: {e}", record.offset);
                load(&mut |log| {
                    if header.is_transactional() {
                        log.load_staged(staged, record.key, record.value)
                    } else {
                        log.load(record.key, record.value, record.timestamp)
                    }
                })
                .map_err(damaged)?;
                self.work.add(work::bytes(record.value.map_or(0, <[u8]>::len)));
                self.pause().await;
                loop {
                    let mut taken = 0;
                    load(&mut |log| {
                        taken = log.go_on_loading(work::PIECE as usize)?;
                        Ok(())
                    })
                    .map_err(damaged)?;
                    if taken == 0 {
                        break;
                    }
                    self.work.add(taken as u64);
                    self.pause().await;
                }
                count += 1;
            }
            self.pause().await;
        }
        Ok(count)
    }

    // ---- Serving ----

    pub(super) fn serve_ask_group(
        self: &Rc<Self>,
        call: AskGroup,
        _: ShardId,
        to: ReplyTo<AskGroup>,
    ) {
        let AskGroup(tp, request) = call;
        let on_others =
            matches!(request, group::GroupRequest::Join(_) | group::GroupRequest::Sync(_));
        let refused = GroupResponse::refused(&request, ErrorCode::NOT_COORDINATOR);
        // Whoever waits for others holds up the end.
        let ends = on_others && self.phase.get() != Phase::Serving;
        if ends || !self.groups.logs.borrow().contains_key(&tp) {
            to.reply(refused);
            return;
        }
        let ticket = self.groups.next_ticket.get();
        self.groups.next_ticket.set(ticket + 1);
        let waiting = PendingRequest { to, tp, on_others, refused };
        self.groups.waiting.borrow_mut().insert(ticket, waiting);
        self.step(tp, |log, out| log.request(self.now(), ticket, request, out));
    }

    pub(super) fn serve_list_groups(
        self: &Rc<Self>,
        call: ListGroups,
        _: ShardId,
        to: ReplyTo<ListGroups>,
    ) {
        let ListGroups(list) = call;
        let state = self.clone();
        self.start(async move {
            let mut all = Vec::new();
            for tp in state.group_logs() {
                let mut from = 0;
                loop {
                    let listed = match state.groups.logs.borrow().get(&tp) {
                        Some(log) => log.list(&list, &mut from, work::PIECE as usize, &mut all),
                        None => Ok(0),
                    };
                    match listed {
                        Ok(0) => break,
                        Ok(taken) => state.work.add(taken as u64),
                        Err(error) => return to.reply(Err(error)),
                    }
                    state.pause().await;
                }
            }
            to.reply(Ok(all));
        });
    }

    /// Answers those that wait and are such that there is no coordinator.
    fn refuse_groups(&self, which: impl Fn(&PendingRequest) -> bool) {
        let mut waiting = self.groups.waiting.borrow_mut();
        let mut refused: Vec<(Ticket, PendingRequest)> =
            waiting.extract_if(|_, it| which(it)).collect();
        drop(waiting);
        refused.sort_unstable_by_key(|(ticket, _)| *ticket);
        for (_, it) in refused {
            it.to.reply(it.refused);
        }
    }

    /// There is no coordinator any more that would take in the ends of transactions: they are told again.
    fn refuse_ends(&self, tp: TopicPartition) {
        let mut ends = self.groups.ends.borrow_mut();
        let refused: Vec<_> = ends.extract_if(.., |_, it| it.0 == tp).map(|it| it.1.1).collect();
        drop(ends);
        for then in refused {
            then(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
    }

    /// Carries out actions.
    fn act(self: &Rc<Self>, tp: TopicPartition, actions: Vec<Action>) {
        let groups = &self.groups;
        let actions = actions.into_iter().map(|it| (tp, it));
        let done = groups.actions.carry_out(actions, |(tp, action)| match action {
            Action::Reply { ticket, response } => {
                let waiting = groups.waiting.borrow_mut().remove(&ticket);
                if let Some(it) = waiting {
                    self.work.add(1 + response.len() as u64);
                    it.to.reply(response);
                }
            }
            Action::Append { append, records, producer } => {
                self.append_group(tp, append, records, producer);
            }
            Action::AppendMarker { append, end } => self.append_end(tp, append, &end),
            Action::Ended { ticket, error } => {
                let waiting = groups.ends.borrow_mut().remove(&ticket);
                if let Some((_, then)) = waiting {
                    then(error);
                }
            }
            Action::Trim { offset } => self.trim_group(tp, offset),
        });
        if !done {
            return;
        }
        self.go_on_with_long(tp);
        let deadline = groups.logs.borrow().get(&tp).and_then(GroupLog::next_deadline);
        if deadline.is_some_and(|at| at < groups.armed_ms.get()) {
            groups.armed_ms.set(i64::MIN);
            groups.rearm.notify();
        }
    }

    /// Goes on with commits of very many offsets, and with groups of very many members, until they wait for
    /// something.
    fn go_on_with_long(self: &Rc<Self>, tp: TopicPartition) {
        let has_long = |log: &GroupLog| log.coordinator().has_long();
        let begins = self.groups.logs.borrow().get(&tp).is_some_and(has_long)
            && self.groups.going_on.borrow_mut().insert(tp);
        if !begins {
            return;
        }
        let state = self.clone();
        self.start(async move {
            loop {
                state.pause().await;
                let mut taken = 0;
                state.step(tp, |log, out| {
                    taken = log.go_on_with_long(state.now(), work::PIECE as usize, out);
                });
                if taken == 0 {
                    break;
                }
            }
            state.groups.going_on.borrow_mut().remove(&tp);
            // Something may have begun with the last step.
            state.go_on_with_long(tp);
        });
    }

    /// Appends records: of very many, the batches are made some records at a time.
    fn append_group(
        self: &Rc<Self>,
        tp: TopicPartition,
        append: u64,
        records: Vec<Record>,
        producer: Option<TransactionProducer>,
    ) {
        let image = self.image();
        let Some(topic) = image.topic_by_id(tp.topic) else {
            let error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            return self.group_appended(tp, append, Err(error));
        };
        let max_bytes = topic.config.max_message_bytes as usize;
        let mut batches = Batches::new(max_bytes, self.wall_ms(), producer);
        let markers = producer.and_then(|it| it.markers);
        if records.len() <= RECORDS_AT_ONCE {
            let value = |it: &Record| it.value.as_ref().map_or(0, Vec::len);
            self.work.add(work::bytes(records.iter().map(value).sum()));
            let pushed = records.iter().try_for_each(|it| batches.push(it).map(drop));
            let batches = pushed.and_then(|()| batches.finish());
            return self.append_batches(tp, append, batches, (markers, false));
        }
        let state = self.clone();
        let made = async move {
            for record in records {
                state.work.add(work::bytes(batches.push(&record)?));
                state.pause().await;
            }
            batches.finish()
        };
        let state = self.clone();
        self.start(async move {
            let made = AssertUnwindSafe(made).catch_unwind().await.unwrap_or_else(|_| {
                state.panicked();
                Err(ErrorCode::UNKNOWN_SERVER_ERROR)
            });
            state.append_batches(tp, append, made, (markers, false));
        });
    }

    /// Appends the marker of a transaction.
    fn append_end(self: &Rc<Self>, tp: TopicPartition, append: u64, end: &TransactionEnd) {
        let TransactionEnd { commits, coordinator_epoch, own_epoch, .. } = *end;
        let marker = Marker { commits, coordinator_epoch };
        let batch = marker.batch(end.producer_id, end.producer_epoch, self.wall_ms());
        let header = BatchHeader::parse(&batch).map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR);
        let batches = header.map(|header| vec![(Bytes::from(batch), header)]);
        self.append_batches(tp, append, batches, (None, own_epoch));
    }

    /// The coordinator of groups of this partition takes in that a transaction has ended; `then` hears how that
    /// went.
    pub(super) fn end_in_groups(
        self: &Rc<Self>,
        tp: TopicPartition,
        end: TransactionEnd,
        then: impl FnOnce(ErrorCode) + 'static,
    ) {
        if !self.groups.logs.borrow().contains_key(&tp) {
            return then(ErrorCode::NOT_LEADER_OR_FOLLOWER);
        }
        let ticket = self.groups.next_ticket.get();
        self.groups.next_ticket.set(ticket + 1);
        self.groups.ends.borrow_mut().insert(ticket, (tp, Box::new(then)));
        let end = TransactionEnd { ticket, ..end };
        self.step(tp, |log, out| log.end_transaction(self.now(), end, out));
    }

    fn append_batches(
        self: &Rc<Self>,
        tp: TopicPartition,
        append: u64,
        batches: Result<Vec<(Bytes, BatchHeader)>, ErrorCode>,
        (markers, own_epoch): (Option<u8>, bool),
    ) {
        let batches = match batches {
            Ok(batches) => batches,
            Err(error) => return self.group_appended(tp, append, Err(error)),
        };
        let bytes = batches.iter().map(|(batch, _)| batch.len() as u64).sum();
        let batches = (0..).zip(batches).map(|(index, (batch, header))| AppendRequest {
            own_epoch,
            markers,
            ..AppendRequest::new(index, tp, batch, header)
        });
        // It takes effect when it is committed, however long that takes.
        let call = AppendBatches {
            batches: batches.collect(),
            routed: self.mark(),
            committed_by_ms: Some(i64::MAX),
        };
        let state = self.clone();
        self.ask(self.id, call, move |reply| {
            let Some(reply) = reply else { return };
            let failed = reply.results.iter().map(|it| it.error).find(|it| it.is_err());
            let base_offset = reply.results.first().map_or(-1, |it| it.base_offset);
            let result = failed.map_or(Ok(Place { base_offset, bytes }), Err);
            state.group_appended(tp, append, result);
        });
    }

    fn group_appended(
        self: &Rc<Self>,
        tp: TopicPartition,
        append: u64,
        result: Result<Place, ErrorCode>,
    ) {
        self.step(tp, |log, out| log.appended(self.now(), append, result, out));
    }

    fn trim_group(self: &Rc<Self>, tp: TopicPartition, offset: i64) {
        let state = self.clone();
        let trim = TrimRequest { index: 0, tp, offset };
        self.ask(self.id, Trim(vec![trim]), move |reply| {
            let Some(results) = reply else { return };
            let error = results.first().map_or(ErrorCode::UNKNOWN_SERVER_ERROR, |it| it.error);
            let result = if error.is_err() { Err(error) } else { Ok(()) };
            tracing::debug!(partition = tp.partition, ?result, "groups rewritten");
            state.step(tp, |log, out| log.trimmed(state.now(), result, out));
        });
    }

    // ---- Time ----

    /// Lets the time of groups pass, for ever.
    pub(super) async fn run_groups(self: Rc<Self>) {
        let groups = &self.groups;
        loop {
            let next = groups.next_deadline().unwrap_or(i64::MAX);
            groups.armed_ms.set(next);
            let left = next.saturating_sub(self.monotonic_ms());
            if left > 0 {
                let earlier = groups.rearm.until(|| groups.armed_ms.get() == i64::MIN);
                earlier.or(self.sleep(left)).await;
                continue;
            }
            for tp in self.group_logs() {
                // Members that cannot be heard any more have not gone silent.
                if self.phase.get() != Phase::Serving {
                    return;
                }
                self.step(tp, |log, out| {
                    log.tick(self.now(), out);
                });
                self.pause().await;
            }
        }
    }

    /// The end is near: those who wait for others are answered, and no rewrite goes on.
    pub(super) fn drain_groups(self: &Rc<Self>) {
        self.refuse_groups(|it| it.on_others);
        for tp in self.group_logs() {
            self.step(tp, |log, out| log.stop_rewriting(self.now(), out));
        }
    }
}
