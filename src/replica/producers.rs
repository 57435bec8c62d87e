//! Idempotent producers (KIP-98): what makes a retry a duplicate, and a gap an error.

use super::capture::Capture;
use super::producer::{BatchMeta, Producer, RECOVERED_MS};
use super::undo::{Before, Change, Undo};
use crate::types::ErrorCode;
use crate::wire::records::BatchHeader;

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

    /// Charges producers that are there already, such as those of a partition that was restored.
    pub const fn hold(&mut self, producers: usize) {
        self.used += producers * Self::PRODUCER_BYTES;
    }

    /// These are gone, with their partition or by time.
    pub const fn give(&mut self, producers: usize) {
        self.used -= producers * Self::PRODUCER_BYTES;
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
        self.slots.capacity() * size_of::<Slot>() + self.slots.len() * size_of::<Producer>()
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
    /// `INVALID_PRODUCER_EPOCH`, `OUT_OF_ORDER_SEQUENCE_NUMBER`.
    pub(super) fn check(&self, batch: &BatchHeader) -> Result<Option<BatchMeta>, ErrorCode> {
        // An unknown producer may begin anywhere: its state may have expired.
        let Ok(at) = self.find(batch.producer_id) else { return Ok(None) };
        let producer = &self.slots[at].producer;
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

    /// Notes a batch that was appended at `base_offset`, and in `undo` what that changes.
    pub(super) fn record(
        &mut self,
        now_ms: i64,
        batch: &BatchHeader,
        base_offset: i64,
        undo: Option<&mut Undo>,
    ) {
        let found = self.find(batch.producer_id);
        if let Some(undo) = undo {
            let before = match found.ok().map(|at| &self.slots[at].producer) {
                None => Before::Absent,
                Some(known) if known.epoch == batch.producer_epoch => {
                    Before::Known(known.goes_next())
                }
                Some(known) => Before::Other(known.clone()),
            };
            let last_offset = base_offset + i64::from(batch.last_offset_delta);
            undo.push(Change { last_offset, id: batch.producer_id, before });
        }
        if let Some(capture) = &mut self.capture {
            let before = found.ok().map(|at| &*self.slots[at].producer);
            capture.changes(batch.producer_id, before);
        }
        self.newest_ms = self.newest_ms.max(now_ms);
        let at = found.unwrap_or_else(|_| {
            self.insert(Producer::new(batch.producer_id, batch.producer_epoch, now_ms))
        });
        let slot = &mut self.slots[at];
        if slot.producer.epoch != batch.producer_epoch {
            *slot.producer = Producer::new(batch.producer_id, batch.producer_epoch, now_ms);
        }
        slot.producer.last_used_ms = now_ms;
        slot.producer.push(BatchMeta {
            last_offset: base_offset + i64::from(batch.last_offset_delta),
            timestamp: batch.max_timestamp,
            last_sequence: batch.last_sequence(),
            offset_delta: batch.last_offset_delta,
        });
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
            let expires = now_ms.saturating_sub(since_ms) >= expiration_ms;
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
        match change.before {
            Before::Absent => drop(self.slots.remove(at)),
            Before::Known(oldest) => self.slots[at].producer.pop(oldest),
            Before::Other(producer) => self.slots[at].producer = producer,
        }
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        for slot in &self.slots {
            if let Some(capture) = &mut self.capture {
                capture.changes(slot.id, Some(&slot.producer));
            }
        }
        self.slots = Vec::new();
    }

    /// The log ends at `end` now: batches past it, and producers with nothing left, go.
    pub(super) fn truncate_end(&mut self, end: i64) {
        let capture = &mut self.capture;
        self.slots.retain_mut(|slot| {
            let newest = slot.producer.batches().last();
            if newest.is_some_and(|batch| batch.last_offset < end) {
                return true;
            }
            if let Some(capture) = capture {
                capture.changes(slot.id, Some(&slot.producer));
            }
            slot.producer.truncate(end)
        });
    }

    /// Frees so many of those of a partition that is gone; whether there are more.
    pub fn free_some(&mut self, most: usize) -> bool {
        self.slots.truncate(self.slots.len().saturating_sub(most));
        !self.slots.is_empty()
    }

    /// Those of a snapshot, by id; `None` where one is there twice.
    pub(super) fn restored(mut producers: Vec<Producer>) -> Option<Self> {
        producers.sort_unstable_by_key(|producer| producer.id);
        if producers.windows(2).any(|two| two[0].id == two[1].id) {
            return None;
        }
        let slot = |producer: Producer| Slot { id: producer.id, producer: Box::new(producer) };
        Some(Self { slots: producers.into_iter().map(slot).collect(), ..Self::default() })
    }
}
