//! Idempotent producers (KIP-98): what makes a retry a duplicate, and a gap an error.

use super::capture::Capture;
use super::producer::{BatchMeta, NO_TRANSACTION, Producer, RECOVERED_MS};
use super::transactions::{AbortedTransaction, Decided, Transactions};
use super::undo::{Before, Change, Undo};
use crate::types::ErrorCode;
use crate::wire::records::{BatchHeader, Marker};

/// What the producers of a shard's partitions take in memory.
///
/// Kafka forgets a producer by time only (`producer.id.expiration.ms`), and so does this: to forget
/// one that lives would append its next retry twice. What is bounded is how many there can be. A
/// producer that is new is refused when the memory is used up, until others expire, with
/// `KAFKA_STORAGE_ERROR`: nothing was appended, Java's clients and librdkafka take it for something
/// that passes, keep the batch's sequence and try again until `delivery.timeout.ms`, and no client
/// takes its id or its epoch for lost, as with the errors that speak of producers.
#[derive(Debug)]
pub struct ProducerMemory {
    used: usize,
    limit: usize,
    refused: u64,
}

impl ProducerMemory {
    /// Bytes that one producer is charged with: its state, and its place in a table that has grown
    /// to twice what it needs.
    pub const PRODUCER_BYTES: usize = size_of::<Producer>() + 2 * size_of::<Slot>();

    /// At most `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { used: 0, limit, refused: 0 }
    }

    /// Another limit from now on.
    pub const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Bytes in use.
    pub const fn used(&self) -> usize {
        self.used
    }

    /// How many batches of new producers were refused.
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// Charges one producer, unless that is too much.
    pub(super) fn take_one(&mut self) -> bool {
        let fits = self.used.saturating_add(Self::PRODUCER_BYTES) <= self.limit;
        if fits {
            self.used += Self::PRODUCER_BYTES;
        } else {
            self.refused += 1;
        }
        fits
    }

    /// Bytes that one aborted transaction is charged with: its place in a list that has grown to twice what it
    /// needs.
    pub const ABORTED_BYTES: usize = 2 * size_of::<AbortedTransaction>();

    /// Charges what is there already, such as that of a partition that was restored, bytes.
    pub const fn hold(&mut self, bytes: usize) {
        self.used += bytes;
    }

    /// So many bytes are gone, with their partition or by time.
    pub const fn give(&mut self, bytes: usize) {
        self.used -= bytes;
    }

    /// What took so many bytes takes others now. That a transaction was aborted is noted whatever the limit: it has
    /// happened. What is noted leaves less room for new producers.
    pub const fn change(&mut self, before: usize, after: usize) {
        self.used = self.used + after - before;
    }
}

/// A producer in the table.
#[derive(Clone, Debug)]
struct Slot {
    id: i64,
    producer: Box<Producer>,
}

/// The idempotent producers of one partition.
#[derive(Clone, Debug, Default)]
pub struct Producers {
    /// By id. A sorted vector, since most partitions have none or a few: a B-tree's first node alone
    /// would cost an idle partition more than it may have.
    slots: Vec<Slot>,
    /// When the one appended that did so last, ms of the monotonic clock.
    newest_ms: i64,
    /// A snapshot in the making, which is to know what changes.
    capture: Option<Box<Capture>>,
    /// Most partitions know of none.
    transactions: Option<Box<Transactions>>,
    /// Something transactional has come, of which producers may know.
    transactional: bool,
}

/// A producer, as `DescribeProducers` shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// Its id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
    /// Sequence number of its last record; -1 where it is not known.
    pub last_sequence: i32,
    /// Time of its last batch, ms; -1 where it is not known.
    pub last_timestamp: i64,
    /// Of the coordinator that has ended its last transaction; -1 for none.
    pub coordinator_epoch: i32,
    /// Offset of the first record of its open transaction; -1 for none.
    pub transaction_start: i64,
}

impl Producers {
    /// How many producers are known.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Memory behind this table, bytes.
    pub fn memory_bytes(&self) -> usize {
        let transactions = self.transactions.as_ref().map_or(0, |it| it.memory_bytes());
        self.slots.capacity() * size_of::<Slot>()
            + self.slots.len() * size_of::<Producer>()
            + transactions
    }

    /// What of it is charged to [`ProducerMemory`], bytes: producers, and transactions that were aborted. Those that are
    /// open or not committed are no more than there are producers.
    pub fn charged_bytes(&self) -> usize {
        let aborted = self.aborted() * ProducerMemory::ABORTED_BYTES;
        self.len() * ProducerMemory::PRODUCER_BYTES + aborted
    }

    /// How many aborted transactions are known.
    pub(super) fn aborted(&self) -> usize {
        self.transactions.as_ref().map_or(0, |it| it.aborted().len())
    }

    /// When the one appended that did so last, ms of the monotonic clock.
    pub(super) fn newest_ms(&self) -> i64 {
        self.newest_ms
    }

    /// The snapshot in the making.
    pub(super) fn capture(&mut self) -> &mut Option<Box<Capture>> {
        &mut self.capture
    }

    /// The producers from this id on.
    pub(super) fn from(&self, id: i64) -> impl Iterator<Item = &Producer> {
        let first = self.slots.partition_point(|slot| slot.id < id);
        self.slots[first..].iter().map(|slot| &*slot.producer)
    }

    fn find(&self, id: i64) -> Result<usize, usize> {
        self.slots.binary_search_by_key(&id, |slot| slot.id)
    }

    /// Checks a client's batch against what its producer sent before: `Some` for a duplicate, `None`
    /// for one to append. As `ProducerAppendInfo` and `ProducerStateEntry` of Kafka 4.3.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH`, `OUT_OF_ORDER_SEQUENCE_NUMBER`; `INVALID_TXN_STATE` for a batch without
    /// a transaction of a producer that has one open.
    pub(super) fn check(&self, batch: &BatchHeader) -> Result<Option<BatchMeta>, ErrorCode> {
        // An unknown producer may begin anywhere: its state may have expired.
        let Ok(at) = self.find(batch.producer_id) else { return Ok(None) };
        let producer = &self.slots[at].producer;
        if batch.base_sequence < 0 {
            // Of a coordinator of this broker, which counts none.
            let is_old = batch.producer_epoch < producer.epoch;
            return if is_old { Err(ErrorCode::INVALID_PRODUCER_EPOCH) } else { Ok(None) };
        }
        let original = Self::check_sequence(producer, batch)?;
        if original.is_none() && producer.is_open() && !batch.is_transactional() {
            return Err(ErrorCode::INVALID_TXN_STATE);
        }
        Ok(original)
    }

    fn check_sequence(
        producer: &Producer,
        batch: &BatchHeader,
    ) -> Result<Option<BatchMeta>, ErrorCode> {
        if batch.producer_epoch == producer.epoch {
            let original = producer.batches().iter().rev().find(|known| {
                known.base_sequence() == batch.base_sequence
                    && known.last_sequence == batch.last_sequence()
            });
            if original.is_some() {
                return Ok(original.copied());
            }
            let last = producer.batches().last().map_or(-1, |known| known.last_sequence);
            // After i32::MAX comes 0.
            let follows = batch.base_sequence == last.wrapping_add(1) & i32::MAX;
            if follows || producer.epoch < 0 {
                Ok(None)
            } else {
                Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
            }
        } else if batch.producer_epoch < producer.epoch {
            Err(ErrorCode::INVALID_PRODUCER_EPOCH)
        } else if batch.base_sequence != 0 && producer.epoch >= 0 {
            Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER)
        } else {
            Ok(None)
        }
    }

    /// Checks a marker against what is known of its producer; whether there is anything to append. As
    /// `ProducerAppendInfo.appendEndTxnMarker` of Kafka 4.3, but that a marker which has been here before, of a
    /// producer that has begun nothing since, is a success: its answer was lost. Where each transaction has an
    /// epoch of its own (`own_epoch`, transaction.version 2), that is seen by the epoch.
    ///
    /// # Errors
    /// `INVALID_PRODUCER_EPOCH`, `TRANSACTION_COORDINATOR_FENCED`.
    pub(super) fn check_marker(
        &self,
        batch: &BatchHeader,
        marker: Marker,
        own_epoch: bool,
    ) -> Result<bool, ErrorCode> {
        let Ok(at) = self.find(batch.producer_id) else { return Ok(true) };
        let producer = &self.slots[at].producer;
        if batch.producer_epoch < producer.epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        if marker.coordinator_epoch < producer.coordinator_epoch {
            return Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED);
        }
        if batch.producer_epoch > producer.epoch {
            return Ok(true);
        }
        if producer.is_open() {
            // With an epoch of its own, it would end a later transaction.
            return if own_epoch { Err(ErrorCode::INVALID_PRODUCER_EPOCH) } else { Ok(true) };
        }
        // A later coordinator is noted, so that an earlier one ends nothing any more.
        Ok(!own_epoch && marker.coordinator_epoch > producer.coordinator_epoch)
    }

    /// Notes a batch that was appended at `base_offset`, and in `undo` what that changes.
    pub(super) fn record(
        &mut self,
        now_ms: i64,
        batch: &BatchHeader,
        base_offset: i64,
        undo: Option<&mut Undo>,
    ) {
        let found = self.find(batch.producer_id);
        let last_offset = base_offset + i64::from(batch.last_offset_delta);
        let known = found.ok().map(|at| &self.slots[at].producer);
        let is_open = known.is_some_and(|it| it.is_open());
        let begins = batch.is_transactional() && !is_open && batch.marker.is_none();
        if let Some(undo) = undo {
            let same = !begins && batch.marker.is_none() && batch.base_sequence >= 0;
            let before = match known {
                None => Before::Absent,
                Some(known) if known.epoch == batch.producer_epoch && same => {
                    Before::Known(known.goes_next())
                }
                Some(known) => Before::Other(known.clone()),
            };
            undo.push(Change { last_offset, id: batch.producer_id, before });
        }
        if let Some(capture) = &mut self.capture {
            capture.changes(batch.producer_id, known.map(|it| &**it));
        }
        self.newest_ms = self.newest_ms.max(now_ms);
        let at = found.unwrap_or_else(|_| {
            self.insert(Producer::new(batch.producer_id, batch.producer_epoch, now_ms))
        });
        self.transactional |= batch.is_transactional();
        let Self { slots, transactions, .. } = self;
        let producer = &mut *slots[at].producer;
        producer.last_used_ms = now_ms;
        if let Some(marker) = batch.marker {
            if is_open {
                let decided = Decided {
                    producer_id: producer.id,
                    first: producer.transaction,
                    marker: last_offset,
                    producer_epoch: producer.epoch,
                    coordinator_epoch: producer.coordinator_epoch,
                };
                transactions.get_or_insert_default().ends(decided, marker.commits);
            }
            producer.begin_epoch(batch.producer_epoch);
            producer.coordinator_epoch = marker.coordinator_epoch;
            producer.transaction = NO_TRANSACTION;
            producer.markers = producer.markers.wrapping_add(1);
            return;
        }
        producer.begin_epoch(batch.producer_epoch);
        if begins {
            producer.transaction = base_offset;
            transactions.get_or_insert_default().begins(base_offset, producer.id);
        }
        if batch.base_sequence >= 0 {
            producer.push(BatchMeta {
                last_offset,
                timestamp: batch.max_timestamp,
                last_sequence: batch.last_sequence(),
                offset_delta: batch.last_offset_delta,
            });
        }
    }

    /// Whether this producer has a transaction open, in this epoch.
    pub(super) fn is_open(&self, id: i64, epoch: i16) -> bool {
        let producer = self.find(id).map(|at| &self.slots[at].producer);
        producer.is_ok_and(|it| it.is_open() && it.epoch == epoch)
    }

    /// Markers that have come for this producer, modulo 256.
    pub(super) fn markers(&self, id: i64) -> u8 {
        self.find(id).map_or(0, |at| self.slots[at].producer.markers)
    }

    /// Where the first transaction begins that is open, or whose marker is not committed.
    pub(super) fn first_unstable(&self) -> Option<i64> {
        self.transactions.as_ref()?.first_unstable()
    }

    /// Whether producers may know of transactions.
    pub(super) fn is_transactional(&self) -> bool {
        self.transactional
    }

    /// The transactions, where there is something to know.
    pub(super) fn transactions(&self) -> Option<&Transactions> {
        self.transactions.as_deref()
    }

    /// Everything below `watermark` is committed.
    pub(super) fn settle(&mut self, watermark: i64) {
        if let Some(it) = &mut self.transactions {
            it.settle(watermark);
            self.drop_empty();
        }
    }

    /// The log begins at `offset`.
    pub(super) fn truncate_start(&mut self, offset: i64) {
        if let Some(it) = &mut self.transactions {
            it.truncate_start(offset);
            self.drop_empty();
        }
    }

    /// Of these aborted transactions, by producer and marker, nothing is left in the log.
    pub(super) fn forget_aborted(&mut self, gone: &[(i64, i64)]) {
        if let Some(it) = &mut self.transactions {
            it.forget(gone);
            self.drop_empty();
        }
    }

    fn drop_empty(&mut self) {
        if self.transactions.as_ref().is_some_and(|it| it.is_empty()) {
            self.transactions = None;
        }
    }

    /// The producers behind this id, some of them.
    pub fn active(&self, after: Option<i64>, most: usize) -> Vec<ActiveProducer> {
        let from = after.map_or(i64::MIN, |id| id.saturating_add(1));
        let shown = |it: &Producer| {
            let last = it.batches().last();
            ActiveProducer {
                id: it.id,
                epoch: it.epoch,
                last_sequence: last.map_or(-1, |it| it.last_sequence),
                last_timestamp: last.map_or(-1, |it| it.timestamp),
                coordinator_epoch: it.coordinator_epoch,
                transaction_start: it.transaction,
            }
        };
        self.from(from).take(most).map(shown).collect()
    }

    /// Those aborted transactions of which a reader of `from..upto` sees something, by first offset.
    pub fn aborted_in(&self, from: i64, upto: i64) -> Vec<AbortedTransaction> {
        self.transactions.as_ref().map_or_else(Vec::new, |it| it.aborted_in(from, upto))
    }

    /// Puts a producer that is not there yet into its place.
    fn insert(&mut self, producer: Producer) -> usize {
        let at = self.find(producer.id).unwrap_or_else(|at| at);
        self.slots.insert(at, Slot { id: producer.id, producer: Box::new(producer) });
        at
    }

    /// Offset of the last record that this producer has appended, if it is known.
    pub fn last_offset(&self, id: i64) -> Option<i64> {
        let at = self.find(id).ok()?;
        self.slots[at].producer.batches().last().map(|batch| batch.last_offset)
    }

    /// Whether this producer is known, in this epoch, and none of its batches.
    pub fn is_known_by_marker(&self, id: i64, epoch: i16) -> bool {
        let producer = self.find(id).map(|at| &self.slots[at].producer);
        producer.is_ok_and(|it| it.batches().is_empty() && it.epoch == epoch)
    }

    /// Whether this producer is known.
    pub(super) fn contains(&self, id: i64) -> bool {
        self.find(id).is_ok()
    }

    /// Forgets producers that were silent for `expiration_ms`: of `looks` of them, from the id
    /// `from` on. Gives the id to go on from, `None` at the end.
    pub(super) fn expire(
        &mut self,
        now_ms: i64,
        expiration_ms: i64,
        from: i64,
        looks: usize,
    ) -> Option<i64> {
        let first = self.slots.partition_point(|slot| slot.id < from);
        let end = first.saturating_add(looks).min(self.slots.len());
        let next = self.slots.get(end).map(|slot| slot.id);
        let Self { newest_ms, capture, .. } = self;
        let expired = |slot: &mut Slot| {
            let was_ms = slot.producer.last_used_ms;
            let recovered = was_ms <= RECOVERED_MS;
            let since_ms =
                if recovered { now_ms.saturating_sub(RECOVERED_MS - was_ms) } else { was_ms };
            let expires =
                now_ms.saturating_sub(since_ms) >= expiration_ms && !slot.producer.is_open();
            if let Some(capture) = capture.as_mut().filter(|_| recovered || expires) {
                capture.changes(slot.id, Some(&slot.producer));
            }
            slot.producer.last_used_ms = since_ms;
            *newest_ms = since_ms.max(*newest_ms);
            expires
        };
        self.slots.extract_if(first..end, expired).for_each(drop);
        if self.slots.is_empty() {
            self.slots = Vec::new();
            self.transactional &= self.transactions.is_some();
        }
        next
    }

    /// Takes a change back, after all that came behind it.
    pub(super) fn take_back(&mut self, change: Change) {
        // One that was silent for so long that it was forgotten stays so.
        let Ok(at) = self.find(change.id) else { return };
        if let Some(capture) = &mut self.capture {
            capture.changes(change.id, Some(&self.slots[at].producer));
        }
        let was = self.slots[at].producer.transaction;
        let mut is = NO_TRANSACTION;
        match change.before {
            Before::Absent => drop(self.slots.remove(at)),
            Before::Known(oldest) => {
                self.slots[at].producer.pop(oldest);
                is = was;
            }
            Before::Other(producer) => {
                is = producer.transaction;
                self.slots[at].producer = producer;
            }
        }
        if was != is {
            let transactions = self.transactions.get_or_insert_default();
            if was != NO_TRANSACTION {
                transactions.is_not_open(was);
            }
            if is != NO_TRANSACTION {
                transactions.begins(is, change.id);
            }
        }
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        for slot in &self.slots {
            if let Some(capture) = &mut self.capture {
                capture.changes(slot.id, Some(&slot.producer));
            }
        }
        (self.slots, self.transactions, self.transactional) = (Vec::new(), None, false);
    }

    /// The log ends at `end` now: batches past it, and producers with nothing left, go; transactions
    /// whose marker is past it are open again.
    pub(super) fn truncate_end(&mut self, end: i64) {
        let Self { slots, capture, transactions, .. } = self;
        if let Some(transactions) = transactions {
            for it in transactions.truncate_end(end) {
                let at = slots.binary_search_by_key(&it.producer_id, |slot| slot.id);
                // One that was silent for so long that it was forgotten stays so, and its undo has done the rest
                // for one whose undo was known.
                let Some(slot) = at.ok().map(|at| &mut slots[at]) else { continue };
                if slot.producer.is_open() {
                    continue;
                }
                if let Some(capture) = capture {
                    capture.changes(slot.id, Some(&slot.producer));
                }
                slot.producer.begin_epoch(it.producer_epoch);
                slot.producer.coordinator_epoch = it.coordinator_epoch;
                slot.producer.transaction = it.first;
                transactions.begins(it.first, it.producer_id);
            }
        }
        slots.retain_mut(|slot| {
            if slot.producer.transaction >= end {
                if let Some(capture) = capture {
                    capture.changes(slot.id, Some(&slot.producer));
                }
                if let Some(transactions) = transactions {
                    transactions.is_not_open(slot.producer.transaction);
                }
                slot.producer.transaction = NO_TRANSACTION;
            }
            let newest = slot.producer.batches().last();
            if newest.is_some_and(|batch| batch.last_offset < end) {
                return true;
            }
            if let Some(capture) = capture {
                capture.changes(slot.id, Some(&slot.producer));
            }
            slot.producer.truncate(end)
        });
        self.drop_empty();
    }

    /// Frees so many of those of a partition that is gone; whether there are more.
    pub fn free_some(&mut self, most: usize) -> bool {
        self.slots.truncate(self.slots.len().saturating_sub(most));
        !self.slots.is_empty()
    }

    /// Those of a snapshot, by id; `None` where one is there twice. Which transactions are open the
    /// producers say.
    pub(super) fn restored(
        mut producers: Vec<Producer>,
        mut transactions: Transactions,
        transactional: bool,
    ) -> Option<Self> {
        producers.sort_unstable_by_key(|producer| producer.id);
        if producers.windows(2).any(|two| two[0].id == two[1].id) {
            return None;
        }
        for it in producers.iter().filter(|it| it.is_open()) {
            transactions.begins(it.transaction, it.id);
        }
        let slot = |producer: Producer| Slot { id: producer.id, producer: Box::new(producer) };
        let transactions = (!transactions.is_empty()).then(|| Box::new(transactions));
        let slots = producers.into_iter().map(slot).collect();
        Some(Self { slots, transactions, transactional, ..Self::default() })
    }
}
