//! What a group, and the coordinator, do with offsets that are part of transactions.

use super::accepting::PendingCommit;
use super::commits::accepting;
use super::context::Cx;
use super::coordinator::Coordinator;
use super::effect::{Effect, Ticket};
use super::offsets::{Around, Offset};
use super::pending::Pending;
use super::records::{Key, OffsetValue, Record, RecordError};
use super::request::Commit;
use super::response::{Committed, FetchedTopic, GroupResponse};
use super::state::Group;
use super::transaction::{TransactionEnd, TransactionProducer};
use super::writes::commit_error;
use crate::types::ErrorCode;

impl Group {
    /// Takes a commit that is part of a transaction.
    pub(super) fn commit_staged(&mut self, cx: &mut Cx<'_>, ticket: Ticket, commit: Commit) {
        let Some(producer) = commit.producer else { return };
        if let Err(error) = self.check_commit(&commit) {
            let refused = Committed::all(error);
            return cx.reply(ticket, GroupResponse::Commit(refused));
        }
        if self.members.contains(&commit.member_id) {
            self.renew(cx, &commit.member_id);
        }
        let mut records = Vec::new();
        let mut accepting = accepting(cx, ticket, commit);
        accepting.go_on(&self.id, usize::MAX, &mut records, |_, _, _| true);
        let pending = accepting.finish();
        if pending.offsets.is_empty() {
            return cx.reply(pending.ticket, GroupResponse::Commit(pending.response));
        }
        let pending = Pending::Staged((producer.id, producer.epoch), pending);
        self.write_as(cx, pending, records, Some(producer));
    }

    /// It is durable, or never will be.
    pub(super) fn staged_written(
        &mut self,
        cx: &mut Cx<'_>,
        producer: (i64, i16),
        mut commit: PendingCommit,
        result: Result<(), ErrorCode>,
    ) {
        match result {
            Ok(()) => {
                for (topic, partition, offset) in commit.offsets {
                    self.staged.insert(producer, &topic, partition, offset);
                }
                cx.staging.entry(producer.0).or_default().insert(cx.key);
            }
            Err(error) => commit.response.fail(commit_error(error)),
        }
        cx.reply(commit.ticket, GroupResponse::Commit(commit.response));
    }

    /// Whoever wants stable offsets is not told those that a transaction may still change.
    pub(super) fn hide_unstable(&self, topics: &mut [FetchedTopic]) {
        for topic in topics {
            for it in &mut topic.partitions {
                if self.staged.is_unstable(&topic.name, it.partition) {
                    it.error = ErrorCode::UNSTABLE_OFFSET_COMMIT;
                    (it.offset, it.leader_epoch) = (-1, -1);
                    it.metadata = String::new();
                }
            }
        }
    }
}

impl Coordinator {
    /// A transaction of a producer ends: its marker is to be appended, and takes effect when it is durable.
    pub fn end_transaction(&mut self, end: TransactionEnd, out: &mut Vec<Effect>) {
        let write = self.writes.begin_end(end);
        out.push(Effect::End { write, end });
    }

    /// A marker is durable, or never will be.
    pub(super) fn end_written(
        &mut self,
        end: TransactionEnd,
        result: Result<(), ErrorCode>,
        out: &mut Vec<Effect>,
    ) {
        if result.is_ok() {
            self.apply_end(end.producer_id, end.commits);
        }
        let error = result.err().unwrap_or(ErrorCode::NONE);
        out.push(Effect::Ended { ticket: end.ticket, error });
    }

    /// What the transaction of this producer has committed counts from now on, or is forgotten.
    fn apply_end(&mut self, producer_id: i64, commits: bool) {
        for key in self.staging.remove(&producer_id).unwrap_or_default() {
            let Some(group) = self.groups.get_mut(key) else { continue };
            let before = group.bytes();
            let (topics, live_bytes) = (&mut self.topics, &mut self.live_bytes);
            let mut around = Around { topics, live_bytes, group: &group.id, key };
            for (topic, partition, offset) in group.staged.end(producer_id) {
                self.steps += 1;
                if commits {
                    group.offsets.insert(&mut around, &topic, partition, offset);
                }
            }
            self.groups_bytes = self.groups_bytes + group.bytes() - before;
            self.drop_if_gone(key);
        }
        self.charge();
    }

    // ---- Loading ----

    /// As [`begin_replay`](Self::begin_replay), of a record that is part of a transaction.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn replay_staged(
        &mut self,
        producer: (i64, i16),
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<(), RecordError> {
        let Key::Offset { group, topic, partition } = Key::read(key.ok_or(RecordError::NoKey)?)?
        else {
            return Ok(());
        };
        let Some(value) = value.map(OffsetValue::read).transpose()? else { return Ok(()) };
        self.clock.saw(value.commit_timestamp_ms);
        let key = self.place(group);
        let group = &mut self.groups[key];
        let before = group.bytes();
        let offset = Offset::new(value, value.commit_timestamp_ms);
        group.staged.insert(producer, topic, partition, offset);
        self.groups_bytes = self.groups_bytes + group.bytes() - before;
        self.staging.entry(producer.0).or_default().insert(key);
        self.charge();
        Ok(())
    }

    /// The marker of a producer's transaction, where it stands in the log.
    pub fn replay_end(&mut self, producer_id: i64, commits: bool) {
        self.apply_end(producer_id, commits);
    }

    // ---- Rewriting ----

    /// What open transactions have committed, of the first producer behind this one: its records.
    /// `None` at the end. As [`live_records`](Self::live_records), when those were given.
    pub fn staged_records(&self, after: Option<i64>) -> Option<(TransactionProducer, Vec<Record>)> {
        let from = after.map_or(i64::MIN, |id| id.saturating_add(1));
        for (&id, keys) in self.staging.range(from..) {
            let (mut records, mut of) = (Vec::new(), None);
            for &key in keys {
                let Some(group) = self.groups.get(key) else { continue };
                let Some((epoch, offsets)) = group.staged.of(id) else { continue };
                of = Some(epoch);
                for (topic, partition, offset) in offsets {
                    records.push(offset.value().record(&group.id, topic, partition));
                }
            }
            if let Some(epoch) = of.filter(|_| !records.is_empty()) {
                return Some((TransactionProducer { id, epoch, markers: None }, records));
            }
        }
        None
    }
}
