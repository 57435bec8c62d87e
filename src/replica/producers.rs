//! Idempotent producers (KIP-98): what makes a retry a duplicate, and a gap an error.

use crate::types::ErrorCode;
use crate::wire::records::BatchHeader;

/// Batches remembered for each producer: `max.in.flight.requests.per.connection` of an idempotent
/// producer is at most 5, so nothing older can be a retry.
pub(super) const BATCHES_MAX: usize = 5;

/// Producers kept for one partition unless [`Partition::set_producers_max`] says otherwise. Kafka
/// has no bound but the expiration; here memory has one. A producer that was evicted is unknown,
/// and may go on with any sequence.
///
/// [`Partition::set_producers_max`]: super::Partition::set_producers_max
const PRODUCERS_MAX: u32 = 1024;

/// "Recovered, nobody knows when it last appended": such a producer's expiration counts from the
/// first expiry after the recovery. (Kafka counts from the producer's own timestamps, which forgets
/// at once whoever writes old records.)
pub(super) const UNKNOWN_TIME: i64 = i64::MIN;

/// One batch of a producer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BatchMeta {
    pub last_offset: i64,
    /// The batch's max timestamp, ms.
    pub timestamp: i64,
    pub last_sequence: i32,
    /// Last offset - base offset.
    pub offset_delta: i32,
}

impl BatchMeta {
    pub fn base_offset(&self) -> i64 {
        self.last_offset - i64::from(self.offset_delta)
    }

    /// Sequences count modulo 2^31.
    fn base_sequence(&self) -> i32 {
        self.last_sequence.wrapping_sub(self.offset_delta) & i32::MAX
    }
}

/// What is known of one producer. All batches are of its current epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Producer {
    pub id: i64,
    /// When it last appended, ms, or [`UNKNOWN_TIME`].
    pub last_used_ms: i64,
    pub epoch: i16,
    len: u8,
    batches: [BatchMeta; BATCHES_MAX],
}

impl Producer {
    pub fn new(id: i64, epoch: i16, last_used_ms: i64) -> Self {
        Self { id, last_used_ms, epoch, len: 0, batches: [BatchMeta::default(); BATCHES_MAX] }
    }

    /// The batches, oldest first.
    pub fn batches(&self) -> &[BatchMeta] {
        &self.batches[..usize::from(self.len)]
    }

    /// Adds the newest batch; the oldest goes when there are more than [`BATCHES_MAX`].
    pub fn push(&mut self, batch: BatchMeta) {
        if usize::from(self.len) == BATCHES_MAX {
            self.batches.copy_within(1.., 0);
            self.len -= 1;
        }
        self.batches[usize::from(self.len)] = batch;
        self.len += 1;
    }
}

/// A producer in the table.
#[derive(Clone, Debug)]
struct Slot {
    id: i64,
    /// Order of use: larger is later. Not a time, so that it is exact and needs no clock.
    used: u64,
    producer: Box<Producer>,
}

/// The idempotent producers of one partition, at most a fixed number of them.
#[derive(Clone, Debug)]
pub struct Producers {
    /// By id. A sorted vector, since most partitions have none or a few: a B-tree's first node alone
    /// would cost an idle partition more than it may have.
    slots: Vec<Slot>,
    uses: u64,
    evicted: u64,
    max: u32,
}

impl Default for Producers {
    fn default() -> Self {
        Self { slots: Vec::new(), uses: 0, evicted: 0, max: PRODUCERS_MAX }
    }
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

    /// The most that are kept.
    pub fn max(&self) -> u32 {
        self.max
    }

    /// How many were forgotten because there were too many, since the partition was opened.
    pub fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Memory behind this table, bytes.
    pub fn memory_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.slots.len() * size_of::<Producer>()
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

    /// Notes a batch that was appended at `base_offset`.
    pub(super) fn record(&mut self, now_ms: i64, batch: &BatchHeader, base_offset: i64) {
        self.uses += 1;
        let at = self.find(batch.producer_id).unwrap_or_else(|_| {
            self.make_room();
            self.insert(Producer::new(batch.producer_id, batch.producer_epoch, now_ms))
        });
        let slot = &mut self.slots[at];
        slot.used = self.uses;
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

    /// Puts a producer that is not there yet into its place, as the last used one.
    pub(super) fn insert(&mut self, producer: Producer) -> usize {
        self.uses += 1;
        let at = self.find(producer.id).unwrap_or_else(|at| at);
        self.slots
            .insert(at, Slot { id: producer.id, used: self.uses, producer: Box::new(producer) });
        at
    }

    /// Whether this producer is known.
    pub(super) fn contains(&self, id: i64) -> bool {
        self.find(id).is_ok()
    }

    /// Evicts least recently used producers until one more fits.
    fn make_room(&mut self) {
        while self.slots.len() >= self.max.max(1) as usize {
            let oldest = (0..self.slots.len()).min_by_key(|&i| self.slots[i].used);
            self.slots.remove(oldest.expect("the table is not empty"));
            self.evicted += 1;
        }
    }

    pub(super) fn set_max(&mut self, max: u32) {
        self.max = max.max(1);
        if self.slots.len() > self.max as usize {
            let excess = self.slots.len() - self.max as usize;
            let mut order: Vec<u64> = self.slots.iter().map(|slot| slot.used).collect();
            order.sort_unstable();
            let kept_from = order[excess];
            self.slots.retain(|slot| slot.used >= kept_from);
            self.slots.shrink_to_fit();
            self.evicted += excess as u64;
        }
    }

    pub(super) fn expire(&mut self, now_ms: i64, expiration_ms: i64) -> usize {
        let before = self.slots.len();
        self.slots.retain_mut(|slot| {
            if slot.producer.last_used_ms == UNKNOWN_TIME {
                slot.producer.last_used_ms = now_ms;
            }
            now_ms.saturating_sub(slot.producer.last_used_ms) < expiration_ms
        });
        if self.slots.is_empty() {
            self.slots = Vec::new();
        }
        before - self.slots.len()
    }

    /// The log ends at `end` now: batches past it, and producers with nothing left, go.
    pub(super) fn truncate_end(&mut self, end: i64) {
        self.slots.retain_mut(|slot| {
            let keep = slot.producer.batches().partition_point(|batch| batch.last_offset < end);
            slot.producer.len = keep as u8;
            keep > 0
        });
    }

    /// The producers, least recently used first.
    pub(super) fn by_use(&self) -> Vec<&Producer> {
        let mut slots: Vec<&Slot> = self.slots.iter().collect();
        slots.sort_unstable_by_key(|slot| slot.used);
        slots.into_iter().map(|slot| &*slot.producer).collect()
    }
}
