//! The state of one replica of one partition, and what holds whether it leads or follows.

use super::epochs::Epochs;
use super::leader::Leader;
use super::producer;
use super::producers::{ProducerMemory, Producers};
use super::snapshot::{self, Decoded, Head, SnapshotError};
use super::transactions::AbortedTransaction;
use super::undo::Undo;
use crate::types::{ErrorCode, Now};
use crate::wire::records::{BatchHeader, Marker};

/// A start that folds batches into a state knows of so many of them how to take them back.
const UNDO_MAX: usize = 1_024;

/// So many producers of a snapshot are written in one go: some 70 KiB at most.
const SNAPSHOT_STEP: usize = 512;

/// What became of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendOutcome {
    /// It has these offsets now; it is not durable yet.
    Accept {
        /// Offset of its first record.
        base_offset: i64,
        /// Offset of its last record.
        last_offset: i64,
        /// The time that its records get where the batch has `LogAppendTime`, ms since 1970: never
        /// earlier than that of the batch before.
        log_append_time_ms: Option<i64>,
    },
    /// The producer sent it before; nothing was appended. The answer is the original's, and leaves
    /// when the original is durable (`last_offset` below [`Partition::high_watermark`]).
    Duplicate {
        /// Offset of the original's first record.
        base_offset: i64,
        /// Offset of the original's last record.
        last_offset: i64,
        /// The original's max timestamp: the time of its append where the topic has
        /// `LogAppendTime`. Kafka answers a duplicate with it in either case.
        log_append_time_ms: i64,
    },
}

/// What a replica is to its partition.
#[derive(Clone, Debug)]
pub(super) enum Role {
    /// Nobody has said.
    None,
    /// It leads, and there is no other.
    Alone,
    /// It leads.
    Leads(Box<Leader>),
    /// It follows.
    Follows(Following),
}

/// A leader that is followed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Following {
    /// Which node.
    pub leader: i32,
    /// Its watermark, as it was told last.
    pub told: i64,
    /// It has said that the log is its own up to here.
    pub is_joined: bool,
    /// The last epoch whose leader was elected without having all that was committed.
    pub unclean_epoch: i32,
}

/// The state of one replica. `log_start ≤ last_stable ≤ high_watermark ≤ durable_end ≤ log_end`,
/// always.
#[derive(Clone, Debug)]
pub struct Partition {
    /// First offset that can be read.
    pub(super) log_start: i64,
    /// Offset after the last one given out.
    pub(super) log_end: i64,
    /// Offset after the last record that survives a power cut here.
    pub(super) durable_end: i64,
    /// Offset after the last record that is known to be durable on enough replicas.
    pub(super) high_watermark: i64,
    /// Epoch of the leader; -1 while nobody was named leader.
    pub(super) leader_epoch: i32,
    /// Where the log ended when this replica began to lead.
    pub(super) epoch_start: i64,
    /// The latest time that records got here, ms since 1970.
    log_append_time_ms: i64,
    pub(super) epochs: Epochs,
    pub(super) producers: Producers,
    pub(super) undo: Undo,
    pub(super) role: Role,
}

impl Partition {
    /// An empty partition, the only replica, that leads in `leader_epoch` (-1: does not lead).
    pub fn new(leader_epoch: i32) -> Self {
        let mut partition = Self {
            log_start: 0,
            log_end: 0,
            durable_end: 0,
            high_watermark: 0,
            leader_epoch: -1,
            epoch_start: 0,
            log_append_time_ms: i64::MIN,
            epochs: Epochs::default(),
            producers: Producers::default(),
            undo: Undo::default(),
            role: Role::None,
        };
        partition.lead_alone(leader_epoch);
        partition
    }

    /// The partition as of [`Partition::snapshot`], over a log from `log_start` to `log_end`, all of
    /// it durable. What the snapshot knows of records at or past `log_end` is forgotten: they
    /// were never durable. Empty bytes are no snapshot. With a `leader_epoch` other than -1 it is the
    /// only replica, and leads from `log_end` on; otherwise its high watermark is what the snapshot knows,
    /// until [`Partition::lead`] or [`Partition::follow`] says what it is.
    ///
    /// # Errors
    /// [`SnapshotError`] where the bytes are not a snapshot, or are one of a shorter log than this:
    /// the batches in between would be missing from the producers' state.
    pub fn restore(
        snapshot: &[u8],
        log_start: i64,
        log_end: i64,
        leader_epoch: i32,
    ) -> Result<Self, SnapshotError> {
        let mut partition = Self::new(-1);
        (partition.log_start, partition.log_end) = (log_start, log_end);
        (partition.durable_end, partition.high_watermark) = (log_end, log_start);
        if !snapshot.is_empty() {
            let decoded = snapshot::decode(snapshot)?;
            let Decoded { log_end: snapshot_end, high_watermark, undo, epochs, producers } =
                decoded;
            if snapshot_end < log_end {
                return Err(SnapshotError::Behind { snapshot_end, log_end });
            }
            partition.high_watermark = high_watermark.max(log_start).min(log_end);
            (partition.epochs, partition.producers, partition.undo) = (epochs, producers, undo);
            partition.epochs.truncate_end(log_end);
            partition.epochs.truncate_start(log_start);
            partition.take_back_from(log_end);
            partition.producers.truncate_end(log_end);
            partition.producers.truncate_start(log_start);
            partition.undo.settle(partition.high_watermark);
            partition.producers.settle(partition.high_watermark);
        }
        partition.lead_alone(leader_epoch);
        Ok(partition)
    }

    /// Takes in a batch that recovery found at the end of the log: durable, and checked when it was
    /// first appended. A batch below the log end was taken in before, and is skipped.
    pub fn replay(&mut self, batch: &BatchHeader) {
        self.take_in(producer::RECOVERED_MS, batch);
        self.undo.limit(UNDO_MAX);
        self.durable_end = self.log_end;
        if matches!(self.role, Role::Alone) {
            self.high_watermark = self.log_end;
            self.producers.settle(self.high_watermark);
        }
        self.invariants();
    }

    /// Takes in a batch that another one gave its offsets. One that was taken in before is skipped.
    pub(super) fn take_in(&mut self, now_ms: i64, batch: &BatchHeader) {
        if batch.next_offset() <= self.log_end {
            return;
        }
        // What begins below the log's end is left of one that reaches beyond its start.
        let base_offset = batch.base_offset.max(self.log_end);
        self.epochs.assign(batch.partition_leader_epoch, base_offset);
        // What a control batch says that is of no transaction concerns nobody here.
        if batch.has_producer_id() && (!batch.is_control() || batch.marker.is_some()) {
            let undo = undo_of(&self.role, &mut self.undo);
            self.producers.record(now_ms, batch, batch.base_offset, undo);
        }
        self.log_end = batch.next_offset();
    }

    /// Takes back what batches that reach `end` or beyond have changed among the producers.
    pub(super) fn take_back_from(&mut self, end: i64) {
        while let Some(change) = self.undo.pop_from(end) {
            self.producers.take_back(change);
        }
    }

    /// Everything but the log's offsets, as bytes for [`Partition::restore`]: leader epochs and
    /// producers, with format version and checksum. About 35 bytes where there are no producers.
    /// In one go, however many producers there are; see [`Partition::begin_snapshot`].
    pub fn snapshot(&self) -> Vec<u8> {
        snapshot::encode(self.head(), &self.producers)
    }

    fn head(&self) -> Head<'_> {
        head_of(self.log_end, self.high_watermark, &self.role, &self.undo, &self.epochs)
    }

    /// Begins a snapshot of the partition as it is now, and appends its first bytes to `out`. Whether
    /// these are all; if not, [`Partition::go_on_with_snapshot`] gives the rest, whatever becomes of
    /// the partition meanwhile. One that was begun before is given up.
    pub fn begin_snapshot(&mut self, out: &mut Vec<u8>) -> bool {
        self.begin_snapshot_of(SNAPSHOT_STEP, out)
    }

    /// The same, with so many producers at a time.
    pub(super) fn begin_snapshot_of(&mut self, step: usize, out: &mut Vec<u8>) -> bool {
        let Self { log_end, high_watermark, role, undo, epochs, producers, .. } = self;
        snapshot::begin(
            head_of(*log_end, *high_watermark, role, undo, epochs),
            producers,
            step,
            out,
        )
    }

    /// Appends the next bytes of the snapshot that was begun to `out`; whether they are the last.
    ///
    /// # Panics
    /// If none was begun, or it was given to its end.
    pub fn go_on_with_snapshot(&mut self, out: &mut Vec<u8>) -> bool {
        snapshot::go_on(&mut self.producers, SNAPSHOT_STEP, out)
    }

    /// Names this replica, the only one, leader from the log end on. An epoch that is not newer changes
    /// nothing.
    pub fn lead_alone(&mut self, leader_epoch: i32) {
        if self.begin_epoch(leader_epoch) {
            self.be_alone();
        }
        self.invariants();
    }

    /// It leads from the log end on, if this is a newer epoch.
    pub(super) fn begin_epoch(&mut self, leader_epoch: i32) -> bool {
        let is_newer = leader_epoch > self.leader_epoch;
        if is_newer {
            (self.leader_epoch, self.epoch_start) = (leader_epoch, self.log_end);
            self.epochs.assign(leader_epoch, self.log_end);
        }
        is_newer
    }

    /// It leads, and there is no other replica; whether the watermark moved.
    pub(super) fn be_alone(&mut self) -> bool {
        self.role = Role::Alone;
        self.undo = Undo::default();
        self.raise_watermark(self.durable_end)
    }

    /// Gives a validated batch its offsets and, with `LogAppendTime`, its time, or says that it is a
    /// duplicate. A producer that is new here is charged to `memory`.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` for an epoch older than the producer's last;
    /// `OUT_OF_ORDER_SEQUENCE_NUMBER` for a sequence that does not follow the last one, or is not
    /// 0 in a new epoch; `KAFKA_STORAGE_ERROR` for a new producer for which there is no memory (see
    /// [`ProducerMemory`]). Nothing has changed then.
    pub fn append(
        &mut self,
        now: Now,
        batch: &BatchHeader,
        memory: &mut ProducerMemory,
    ) -> Result<AppendOutcome, ErrorCode> {
        let base_offset = self.log_end;
        let log_append_time_ms = self.log_append_time(now, batch);
        if batch.has_producer_id() {
            if let Some(original) = self.producers.check(batch)? {
                return Ok(AppendOutcome::Duplicate {
                    base_offset: original.base_offset(),
                    last_offset: original.last_offset,
                    log_append_time_ms: original.timestamp,
                });
            }
            if !self.producers.contains(batch.producer_id) && !memory.take_one() {
                return Err(ErrorCode::KAFKA_STORAGE_ERROR);
            }
            let max_timestamp = log_append_time_ms.unwrap_or(batch.max_timestamp);
            let batch = BatchHeader { max_timestamp, ..*batch };
            let undo = undo_of(&self.role, &mut self.undo);
            self.producers.record(now.monotonic_ms, &batch, base_offset, undo);
        }
        if let Role::Leads(leader) = &mut self.role {
            leader.appends(base_offset, now.monotonic_ms);
        }
        self.log_append_time_ms = log_append_time_ms.unwrap_or(self.log_append_time_ms);
        let last_offset = base_offset + i64::from(batch.last_offset_delta);
        self.log_end = last_offset + 1;
        self.invariants();
        Ok(AppendOutcome::Accept { base_offset, last_offset, log_append_time_ms })
    }

    /// The time of a batch with `LogAppendTime`, if it is appended now: never before the last one's.
    fn log_append_time(&self, now: Now, batch: &BatchHeader) -> Option<i64> {
        batch.is_log_append_time().then(|| self.log_append_time_ms.max(now.wall_ms))
    }

    /// Appends a marker that a coordinator sends; with `LogAppendTime` it has its time, like others. One that was here before is answered as a duplicate of what
    /// the log ends with. `own_epoch`: each transaction of the producer has an epoch of its own, and its
    /// marker a newer one (transaction.version 2).
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH` for an epoch older than the producer's, `TRANSACTION_COORDINATOR_FENCED` where
    /// a later coordinator has ended a transaction of it, `KAFKA_STORAGE_ERROR` as in
    /// [`Partition::append`]. Nothing has changed then. What was aborted is charged to `memory`, whatever the limit.
    pub fn append_marker(
        &mut self,
        now: Now,
        batch: &BatchHeader,
        marker: Marker,
        own_epoch: bool,
        memory: &mut ProducerMemory,
    ) -> Result<AppendOutcome, ErrorCode> {
        if !self.producers.check_marker(batch, marker, own_epoch)? {
            let last_offset = self.log_end - 1;
            return Ok(AppendOutcome::Duplicate {
                base_offset: last_offset,
                last_offset,
                log_append_time_ms: batch.max_timestamp,
            });
        }
        if !self.producers.contains(batch.producer_id) {
            // Where there is no memory, the coordinator tries again.
            if !memory.take_one() {
                return Err(ErrorCode::KAFKA_STORAGE_ERROR);
            }
        }
        let base_offset = self.log_end;
        let log_append_time_ms = self.log_append_time(now, batch);
        let max_timestamp = log_append_time_ms.unwrap_or(batch.max_timestamp);
        let batch = BatchHeader { max_timestamp, ..*batch };
        let undo = undo_of(&self.role, &mut self.undo);
        let before = self.producers.aborted();
        self.producers.record(now.monotonic_ms, &batch, base_offset, undo);
        memory.hold((self.producers.aborted() - before) * ProducerMemory::ABORTED_BYTES);
        if let Role::Leads(leader) = &mut self.role {
            leader.appends(base_offset, now.monotonic_ms);
        }
        self.log_append_time_ms = log_append_time_ms.unwrap_or(self.log_append_time_ms);
        self.log_end = base_offset + 1;
        self.invariants();
        Ok(AppendOutcome::Accept { base_offset, last_offset: base_offset, log_append_time_ms })
    }

    /// Storage says that everything below `end` is durable. Whether the high watermark moved.
    ///
    /// # Panics
    /// If `end` is past the log end.
    pub fn durable(&mut self, end: i64) -> bool {
        assert!(end <= self.log_end, "durable to {end}, but the log ends at {}", self.log_end);
        self.durable_end = self.durable_end.max(end);
        let committed_end = match &self.role {
            Role::Alone => self.durable_end,
            Role::Leads(leader) => leader.committed_end(self.durable_end).unwrap_or(-1),
            Role::Follows(following) => following.told.min(self.durable_end),
            Role::None => -1,
        };
        self.raise_watermark(committed_end)
    }

    /// Everything below `end` is committed, too; whether that is new.
    pub(super) fn raise_watermark(&mut self, end: i64) -> bool {
        let moved = end > self.high_watermark;
        if moved {
            self.high_watermark = end;
            self.undo.settle(end);
            self.producers.settle(end);
        }
        self.invariants();
        moved
    }

    /// Moves the log start up to `offset` (retention, `DeleteRecords`); never back.
    ///
    /// # Panics
    /// If `offset` is past the high watermark.
    pub fn advance_log_start(&mut self, offset: i64) {
        assert!(
            offset <= self.high_watermark,
            "log start {offset} past the high watermark {}",
            self.high_watermark
        );
        if offset > self.log_start {
            self.log_start = offset;
            self.epochs.truncate_start(offset);
            self.producers.truncate_start(offset);
        }
        self.invariants();
    }

    /// First offset that can be read.
    pub fn log_start(&self) -> i64 {
        self.log_start
    }

    /// Offset that the next record gets.
    pub fn log_end(&self) -> i64 {
        self.log_end
    }

    /// Offset after the last durable record.
    pub fn durable_end(&self) -> i64 {
        self.durable_end
    }

    /// Offset after the last committed record: where readers stop.
    pub fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// Where `read_committed` stops: offset of the first record of the oldest transaction that is open, or
    /// whose marker is not committed; the high watermark where there is none below it. Of a transaction
    /// whose records are deleted, the log's start.
    pub fn last_stable(&self) -> i64 {
        let unstable = self.producers.first_unstable();
        unstable.map_or(self.high_watermark, |it| it.max(self.log_start).min(self.high_watermark))
    }

    /// Whether anything is known of transactions: some may end, or have ended not long ago.
    pub fn has_transactions(&self) -> bool {
        self.producers.is_transactional()
    }

    /// Whether a producer has a transaction open here, in this epoch.
    pub fn is_in_transaction(&self, producer_id: i64, epoch: i16) -> bool {
        self.producers.is_open(producer_id, epoch)
    }

    /// Whether the producer has sent this batch before.
    pub fn is_duplicate(&self, batch: &BatchHeader) -> bool {
        matches!(self.producers.check(batch), Ok(Some(_)))
    }

    /// How many markers have come for a producer, modulo 256: none came in between where it is the same.
    pub fn markers_of(&self, producer_id: i64) -> u8 {
        self.producers.markers(producer_id)
    }

    /// The aborted transactions of which a reader of committed records sees something in `from..upto`, by
    /// first offset.
    pub fn aborted_in(&self, from: i64, upto: i64) -> Vec<AbortedTransaction> {
        self.producers.aborted_in(from, upto)
    }

    /// Compaction has left nothing of these aborted transactions, by producer and marker.
    pub fn forget_aborted(&mut self, gone: &[(i64, i64)]) {
        self.producers.forget_aborted(gone);
    }

    /// Whether it leads.
    pub fn leads(&self) -> bool {
        matches!(self.role, Role::Alone | Role::Leads(_))
    }

    /// Epoch of the leader, -1 for none.
    pub fn leader_epoch(&self) -> i32 {
        self.leader_epoch
    }

    /// The largest epoch ≤ `epoch` and the offset at which it ends (KIP-101, KIP-279), as
    /// `OffsetForLeaderEpoch` answers it. (-1, -1) for a future epoch; an epoch older than all known
    /// ones is echoed, with the start of the first one.
    pub fn end_offset_for_epoch(&self, epoch: i32) -> (i32, i64) {
        self.epochs.end_offset(epoch, self.log_end)
    }

    /// The epoch that the record at `offset` was appended in; none below the first known epoch.
    pub fn epoch_for_offset(&self, offset: i64) -> Option<i32> {
        self.epochs.epoch_at(offset)
    }

    /// Checks the leader epoch that a client believes in (KIP-320); -1 is none.
    ///
    /// # Errors
    /// `FENCED_LEADER_EPOCH` for an older, `UNKNOWN_LEADER_EPOCH` for a newer one.
    pub fn check_fetch_epoch(&self, current_leader_epoch: i32) -> Result<(), ErrorCode> {
        match current_leader_epoch {
            -1 => Ok(()),
            epoch if epoch < self.leader_epoch => Err(ErrorCode::FENCED_LEADER_EPOCH),
            epoch if epoch > self.leader_epoch => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
            _ => Ok(()),
        }
    }

    /// Forgets producers that appended nothing for `expiration_ms` (`producer.id.expiration.ms`),
    /// by the monotonic clock, and gives back their memory. Looks at no more than `looks` of them,
    /// from the id `from` on; gives the id at which to go on, or `None` at the end.
    ///
    /// How long a producer was silent before a restart is told by the snapshot, by how much longer
    /// than the one that appended last; the time in between counts from the first call.
    pub fn expire_producers(
        &mut self,
        now_ms: i64,
        expiration_ms: i64,
        from: i64,
        looks: usize,
        memory: &mut ProducerMemory,
    ) -> Option<i64> {
        let before = self.producers.charged_bytes();
        let next = self.producers.expire(now_ms, expiration_ms, from, looks);
        memory.change(before, self.producers.charged_bytes());
        next
    }

    /// What is left of a partition that is gone. Many of them take long to free:
    /// [`Producers::free_some`].
    pub fn into_producers(self) -> Producers {
        self.producers
    }

    /// The idempotent producers of this partition.
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// Asserts, in debug and simulation builds, what always holds.
    pub(super) fn invariants(&self) {
        debug_assert!(0 <= self.log_start, "{self:?}");
        debug_assert!(self.log_start <= self.last_stable(), "{self:?}");
        debug_assert!(self.last_stable() <= self.high_watermark, "{self:?}");
        debug_assert!(self.high_watermark <= self.durable_end, "{self:?}");
        debug_assert!(self.durable_end <= self.log_end, "{self:?}");
        self.epochs.invariants(self.log_end);
    }
}

/// What stands before the producers in a snapshot.
fn head_of<'a>(
    log_end: i64,
    high_watermark: i64,
    role: &Role,
    undo: &'a Undo,
    epochs: &'a Epochs,
) -> Head<'a> {
    let is_committed = matches!(role, Role::Alone) || high_watermark == log_end;
    Head { log_end, above: (!is_committed).then_some((high_watermark, undo)), epochs }
}

/// Where what a batch changes is noted: with one replica nowhere.
fn undo_of<'a>(role: &Role, undo: &'a mut Undo) -> Option<&'a mut Undo> {
    (!matches!(role, Role::Alone)).then_some(undo)
}

/// Folds recovered batches into a snapshot: what storage does between a checkpoint and the end of
/// the journal. `log_end` is where the snapshot's log ends and the batches begin; the log's start
/// may have moved beyond it since.
///
/// # Errors
/// As [`Partition::restore`].
pub fn fold(
    snapshot: &[u8],
    log_start: i64,
    log_end: i64,
    batches: &mut dyn Iterator<Item = BatchHeader>,
) -> Result<Vec<u8>, SnapshotError> {
    let mut partition = Partition::restore(snapshot, log_start.min(log_end), log_end, -1)?;
    for batch in batches {
        partition.replay(&batch);
    }
    let log_start = log_start.min(partition.log_end);
    // Only what is committed is deleted.
    partition.raise_watermark(log_start);
    partition.advance_log_start(log_start);
    Ok(partition.snapshot())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::records::{BatchBuilder, Compression};

    fn batch(count: i32, id: i64, epoch: i16, sequence: i32) -> BatchHeader {
        let mut builder = BatchBuilder::new(Compression::None).producer(id, epoch, sequence);
        for _ in 0..count {
            builder.push(7, None, None, &[]);
        }
        BatchHeader::parse(&builder.build()).unwrap()
    }

    #[expect(clippy::unnecessary_wraps, reason = "compared with what append returns")]
    fn accept(base_offset: i64, last_offset: i64) -> Result<AppendOutcome, ErrorCode> {
        Ok(AppendOutcome::Accept { base_offset, last_offset, log_append_time_ms: None })
    }

    impl Partition {
        /// Appends with all the memory that there is.
        fn add(&mut self, now_ms: i64, batch: &BatchHeader) -> Result<AppendOutcome, ErrorCode> {
            self.append(Now::at(now_ms), batch, &mut ProducerMemory::new(usize::MAX))
        }

        /// Forgets producers; how many.
        fn expire_all(&mut self, now_ms: i64, expiration_ms: i64) -> usize {
            let before = self.producers.len();
            let mut memory = ProducerMemory::new(usize::MAX);
            memory.hold(self.producers.charged_bytes());
            assert_eq!(self.expire_producers(now_ms, expiration_ms, 0, 1_000, &mut memory), None);
            before - self.producers.len()
        }
    }

    #[test]
    fn idle_partition_is_small() {
        let size = size_of::<Partition>();
        println!("size_of::<Partition>() = {size}");
        assert!(size <= 256, "{size}");
        assert!(Partition::new(3).snapshot().len() <= 40);
    }

    #[test]
    fn readers_stop_at_what_is_durable() {
        let mut p = Partition::new(0);
        assert_eq!(p.add(0, &batch(3, -1, -1, -1)), accept(0, 2));
        assert_eq!(p.add(0, &batch(2, -1, -1, -1)), accept(3, 4));
        assert_eq!((p.log_end(), p.high_watermark(), p.last_stable()), (5, 0, 0));
        assert!(p.durable(3));
        assert!(!p.durable(3));
        assert_eq!((p.durable_end(), p.high_watermark(), p.last_stable()), (3, 3, 3));
        p.advance_log_start(2);
        p.advance_log_start(1);
        assert_eq!(p.log_start(), 2);
    }

    #[test]
    #[should_panic(expected = "past the high watermark")]
    fn log_start_stays_below_the_high_watermark() {
        let mut p = Partition::new(0);
        p.add(0, &batch(3, -1, -1, -1)).unwrap();
        p.advance_log_start(1);
    }

    #[test]
    fn leader_epochs_as_in_kafka() {
        let mut p = Partition::new(2);
        assert_eq!(p.end_offset_for_epoch(2), (2, 0));
        p.add(0, &batch(10, -1, -1, -1)).unwrap();
        p.lead_alone(5);
        p.add(0, &batch(5, -1, -1, -1)).unwrap();
        p.durable(15);
        // The current epoch ends where the log ends; a past one where the next began; one that
        // was skipped echoes the largest below it; a future one is unknown; an older one than
        // any is echoed with the start of the first.
        assert_eq!(p.end_offset_for_epoch(5), (5, 15));
        assert_eq!(p.end_offset_for_epoch(2), (2, 10));
        assert_eq!(p.end_offset_for_epoch(4), (2, 10));
        assert_eq!(p.end_offset_for_epoch(6), (-1, -1));
        assert_eq!(p.end_offset_for_epoch(1), (1, 0));
        assert_eq!(p.end_offset_for_epoch(-1), (-1, -1));
        assert_eq!(p.epoch_for_offset(9), Some(2));
        assert_eq!(p.epoch_for_offset(10), Some(5));

        // An epoch without records leaves no trace.
        p.lead_alone(6);
        p.lead_alone(7);
        assert_eq!(p.end_offset_for_epoch(6), (5, 15));
        assert_eq!(p.end_offset_for_epoch(7), (7, 15));

        // Epochs below the log start go, but for the one that covers it.
        p.advance_log_start(12);
        assert_eq!(p.end_offset_for_epoch(2), (2, 12));
        assert_eq!(p.end_offset_for_epoch(5), (5, 15));
    }

    #[test]
    fn fetch_epochs() {
        let p = Partition::new(4);
        assert_eq!(p.check_fetch_epoch(-1), Ok(()));
        assert_eq!(p.check_fetch_epoch(4), Ok(()));
        assert_eq!(p.check_fetch_epoch(3), Err(ErrorCode::FENCED_LEADER_EPOCH));
        assert_eq!(p.check_fetch_epoch(5), Err(ErrorCode::UNKNOWN_LEADER_EPOCH));
    }

    #[test]
    fn duplicates_get_the_originals_offsets() {
        let mut p = Partition::new(0);
        for i in 0..6 {
            assert_eq!(
                p.add(0, &batch(2, 1, 0, 2 * i)),
                accept(i64::from(2 * i), i64::from(2 * i + 1))
            );
        }
        // The last five are remembered; the sixth last is out of order.
        for i in 1..6 {
            assert_eq!(
                p.add(0, &batch(2, 1, 0, 2 * i)),
                Ok(AppendOutcome::Duplicate {
                    base_offset: i64::from(2 * i),
                    last_offset: i64::from(2 * i + 1),
                    log_append_time_ms: 7
                })
            );
        }
        let out_of_order = Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
        assert_eq!(p.add(0, &batch(2, 1, 0, 0)), out_of_order);
        assert_eq!(p.add(0, &batch(1, 1, 0, 13)), out_of_order);
        // The same start with another length is no duplicate.
        assert_eq!(p.add(0, &batch(1, 1, 0, 10)), out_of_order);
        assert_eq!(p.add(0, &batch(1, 1, 0, 12)), accept(12, 12));
    }

    #[test]
    fn producer_epochs() {
        let mut p = Partition::new(0);
        p.add(0, &batch(1, 1, 3, 0)).unwrap();
        assert_eq!(p.add(0, &batch(1, 1, 2, 1)), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
        assert_eq!(p.add(0, &batch(1, 1, 4, 1)), Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER));
        assert_eq!(p.add(0, &batch(1, 1, 4, 0)), accept(1, 1));
        // The old epoch's batches are no longer duplicates.
        assert_eq!(p.add(0, &batch(1, 1, 3, 0)), Err(ErrorCode::INVALID_PRODUCER_EPOCH));
    }

    #[test]
    fn sequences_wrap() {
        let mut p = Partition::new(0);
        assert_eq!(p.add(0, &batch(1, 1, 0, i32::MAX - 1)), accept(0, 0));
        assert_eq!(p.add(0, &batch(3, 1, 0, i32::MAX)), accept(1, 3));
        assert_eq!(p.add(0, &batch(1, 1, 0, 2)), accept(4, 4));
        assert!(matches!(
            p.add(0, &batch(3, 1, 0, i32::MAX)),
            Ok(AppendOutcome::Duplicate { base_offset: 1, last_offset: 3, .. })
        ));
    }

    #[test]
    fn expired_producers_start_anywhere() {
        let mut p = Partition::new(0);
        p.add(1_000, &batch(1, 1, 5, 0)).unwrap();
        p.add(1_500, &batch(1, 2, 0, 0)).unwrap();
        assert_eq!(p.expire_all(1_999, 1_000), 0);
        assert_eq!(p.expire_all(2_000, 1_000), 1);
        assert_eq!(p.producers().len(), 1);
        assert_eq!(p.add(2_000, &batch(1, 1, 4, 17)), accept(2, 2));
    }

    #[test]
    fn recovered_producers_expire_later() {
        let mut p = Partition::new(0);
        p.replay(&batch(1, 1, 5, 0));
        assert_eq!(p.expire_all(1_000_000, 1_000), 0);
        assert_eq!(p.expire_all(1_000_999, 1_000), 0);
        assert_eq!(p.expire_all(1_001_000, 1_000), 1);
    }

    /// A producer that goes on is never refused, and never forgotten for another.
    #[test]
    fn new_producers_are_refused_when_the_memory_is_used_up() {
        let mut p = Partition::new(0);
        let mut memory = ProducerMemory::new(2 * ProducerMemory::PRODUCER_BYTES);
        let mut add = |p: &mut Partition, now_ms, id, sequence| {
            p.append(Now::at(now_ms), &batch(1, id, 0, sequence), &mut memory)
        };
        assert_eq!(add(&mut p, 0, 1, 0), accept(0, 0));
        assert_eq!(add(&mut p, 5, 2, 0), accept(1, 1));
        assert_eq!(add(&mut p, 5, 3, 0), Err(ErrorCode::KAFKA_STORAGE_ERROR));
        assert!(matches!(
            add(&mut p, 5, 1, 0),
            Ok(AppendOutcome::Duplicate { base_offset: 0, .. })
        ));
        assert_eq!(add(&mut p, 5, 2, 1), accept(2, 2));
        assert_eq!(memory.refused(), 1);
        assert_eq!(p.expire_producers(1_000, 1_000, 0, 10, &mut memory), None);
        assert_eq!(memory.used(), ProducerMemory::PRODUCER_BYTES);
        let mut add =
            |id, sequence| p.append(Now::at(1_000), &batch(1, id, 0, sequence), &mut memory);
        assert_eq!(add(3, 0), accept(3, 3));
        assert!(matches!(add(2, 1), Ok(AppendOutcome::Duplicate { .. })));
    }

    /// As many producers as write to one partition come back from a snapshot, all of them.
    #[test]
    fn ten_thousand_producers_are_remembered() {
        let mut p = Partition::new(0);
        for id in 0..10_000 {
            assert_eq!(p.add(0, &batch(1, id, 0, 0)), accept(id, id));
        }
        p.durable(10_000);
        let mut p = Partition::restore(&p.snapshot(), 0, 10_000, 1).unwrap();
        for id in 0..10_000 {
            let retry = p.add(0, &batch(1, id, 0, 0));
            assert!(
                matches!(retry, Ok(AppendOutcome::Duplicate { base_offset, .. }) if base_offset == id)
            );
        }
    }

    #[test]
    fn what_is_left_of_a_partition_is_freed_in_parts() {
        let mut p = Partition::new(0);
        for id in 0..10 {
            p.add(0, &batch(1, id, 0, 0)).unwrap();
        }
        let mut left = p.into_producers();
        assert!(left.free_some(4) && left.free_some(4));
        assert_eq!(left.len(), 2);
        assert!(!left.free_some(4) && !left.free_some(4));
    }

    #[test]
    fn expiry_goes_on_where_it_stopped() {
        let mut p = Partition::new(0);
        let mut memory = ProducerMemory::new(usize::MAX);
        for id in 0..10 {
            let now = Now::at(if id % 3 == 0 { 0 } else { 500 });
            p.append(now, &batch(1, id, 0, 0), &mut memory).unwrap();
        }
        assert_eq!(p.expire_producers(1_000, 1_000, 0, 4, &mut memory), Some(4));
        assert_eq!(p.producers().len(), 8, "0 and 3 are gone");
        assert_eq!(p.expire_producers(1_000, 1_000, 4, 4, &mut memory), Some(8));
        assert_eq!(p.expire_producers(1_000, 1_000, 8, 4, &mut memory), None);
        assert_eq!(p.producers().len(), 6);
        assert_eq!(memory.used(), 6 * ProducerMemory::PRODUCER_BYTES);
    }

    /// The wall's clock is set forth by a month: nobody has been silent for so long.
    #[test]
    fn a_clock_that_is_set_expires_no_producer() {
        const MONTH_MS: i64 = 30 * 86_400_000;
        let mut p = Partition::new(0);
        let mut memory = ProducerMemory::new(usize::MAX);
        let now = |wall_ms, monotonic_ms| Now { wall_ms, monotonic_ms };
        p.append(now(0, 10), &batch(1, 1, 0, 0), &mut memory).unwrap();
        p.append(now(MONTH_MS, 600), &batch(1, 2, 0, 0), &mut memory).unwrap();
        assert_eq!(p.expire_producers(900, 1_000, 0, 10, &mut memory), None);
        assert_eq!(p.producers().len(), 2);
        p.durable(2);
        // After a restart: the one was silent for 590 ms more than the other.
        let mut p = Partition::restore(&p.snapshot(), 0, 2, 1).unwrap();
        for (now_ms, left) in [(5, 2), (400, 2), (415, 1), (1_004, 1), (1_005, 0)] {
            p.expire_producers(now_ms, 1_000, 0, 10, &mut memory);
            assert_eq!(p.producers().len(), left, "at {now_ms}");
        }
    }

    #[test]
    fn log_append_time_never_goes_back() {
        let mut p = Partition::new(0);
        let mut builder = BatchBuilder::new(Compression::None).log_append_time();
        builder.push(7, None, None, &[]);
        let batch = BatchHeader::parse(&builder.build()).unwrap();
        let mut times = Vec::new();
        for now_ms in [1_000, 1_500, 900, 1_400, 1_600] {
            match p.add(now_ms, &batch) {
                Ok(AppendOutcome::Accept { log_append_time_ms, .. }) => {
                    times.extend(log_append_time_ms);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(times, [1_000, 1_500, 1_500, 1_500, 1_600]);
    }

    /// Records deleted after the checkpoint, up to one that was appended after it.
    #[test]
    fn folds_up_to_a_start_beyond_the_snapshot() {
        let mut p = Partition::new(3);
        p.add(0, &batch(10, -1, -1, -1)).unwrap();
        p.durable(10);
        let snapshot = p.snapshot();
        let later: Vec<BatchHeader> = [10, 15, 20]
            .map(|base_offset| {
                let epoch = if base_offset < 20 { 3 } else { 4 };
                BatchHeader { base_offset, partition_leader_epoch: epoch, ..batch(5, -1, -1, -1) }
            })
            .to_vec();
        for start in [0, 10, 12, 20, 25] {
            let folded = fold(&snapshot, start, 10, &mut later.iter().copied()).unwrap();
            let restored = Partition::restore(&folded, start, 25, 5).unwrap();
            assert_eq!((restored.log_start(), restored.log_end()), (start, 25));
            assert_eq!(restored.end_offset_for_epoch(4), (4, 25), "from {start}");
        }
    }

    #[test]
    fn restores_and_forgets_what_was_not_durable() {
        let mut p = Partition::new(1);
        for i in 0..4 {
            p.add(5, &batch(1, 9, 0, i)).unwrap();
        }
        p.durable(4);
        p.lead_alone(2);
        p.add(5, &batch(1, 9, 0, 4)).unwrap();
        p.add(5, &batch(1, 8, 0, 0)).unwrap();
        let snapshot = p.snapshot();

        let mut same = Partition::restore(&snapshot, 1, 6, 3).unwrap();
        assert_eq!((same.log_start(), same.high_watermark(), same.log_end()), (1, 6, 6));
        assert_eq!(same.end_offset_for_epoch(1), (1, 4));
        assert_eq!(same.end_offset_for_epoch(3), (3, 6));
        assert!(matches!(same.add(6, &batch(1, 8, 0, 0)), Ok(AppendOutcome::Duplicate { .. })));

        let mut shorter = Partition::restore(&snapshot, 0, 4, 3).unwrap();
        assert_eq!(shorter.end_offset_for_epoch(2), (1, 4));
        assert_eq!(shorter.producers().len(), 1);
        assert_eq!(shorter.add(6, &batch(1, 9, 0, 4)), accept(4, 4));
        assert_eq!(shorter.add(6, &batch(1, 8, 0, 0)), accept(5, 5));

        assert_eq!(
            Partition::restore(&snapshot, 0, 7, 3).unwrap_err(),
            SnapshotError::Behind { snapshot_end: 6, log_end: 7 }
        );
        assert_eq!(Partition::restore(&[], 2, 7, 3).unwrap().end_offset_for_epoch(3), (3, 7));
    }
}
