//! One idempotent producer of a partition: its epoch, its last batches, and its transaction.

/// Batches remembered for each producer: `max.in.flight.requests.per.connection` of an idempotent
/// producer is at most 5, so nothing older can be a retry.
pub(super) const BATCHES_MAX: usize = 5;

/// When a producer last appended, where that was before a restart: this and less, by how much
/// longer it had been silent than the one that appended last. The time counts on from the first
/// expiry after the recovery. (Kafka counts from the producer's own timestamps, which forgets at once
/// whoever writes old records.)
pub(super) const RECOVERED_MS: i64 = i64::MIN / 2;

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
    pub fn base_sequence(&self) -> i32 {
        self.last_sequence.wrapping_sub(self.offset_delta) & i32::MAX
    }
}

/// What is known of one producer. All batches are of its current epoch; there are none where a marker has
/// begun the epoch, or nothing but markers came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Producer {
    pub id: i64,
    /// When it last appended, ms of the monotonic clock, or [`RECOVERED_MS`].
    pub last_used_ms: i64,
    pub epoch: i16,
    len: u8,
    /// Markers that have ended its transactions since this replica was opened, modulo 256: who has asked for
    /// something in between sees that one came.
    pub markers: u8,
    /// Of the coordinator that has ended its last transaction; -1 for none.
    pub coordinator_epoch: i32,
    /// Offset of the first record of its open transaction; [`NO_TRANSACTION`].
    pub transaction: i64,
    batches: [BatchMeta; BATCHES_MAX],
}

/// No transaction is open.
pub(super) const NO_TRANSACTION: i64 = -1;

impl Producer {
    pub fn new(id: i64, epoch: i16, last_used_ms: i64) -> Self {
        Self {
            id,
            last_used_ms,
            epoch,
            len: 0,
            markers: 0,
            coordinator_epoch: -1,
            transaction: NO_TRANSACTION,
            batches: [BatchMeta::default(); BATCHES_MAX],
        }
    }

    /// It goes on in another epoch: nothing that it has sent before can be a retry.
    pub fn begin_epoch(&mut self, epoch: i16) {
        if self.epoch != epoch {
            (self.epoch, self.len) = (epoch, 0);
        }
    }

    /// Whether a transaction is open.
    pub fn is_open(&self) -> bool {
        self.transaction != NO_TRANSACTION
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

    /// Takes the newest batch away; `oldest` is one that had to go for it.
    pub fn pop(&mut self, oldest: Option<BatchMeta>) {
        self.len = self.len.saturating_sub(1);
        if let Some(oldest) = oldest {
            self.batches.copy_within(..BATCHES_MAX - 1, 1);
            self.batches[0] = oldest;
            self.len += 1;
        }
    }

    /// The batch that goes when another one comes.
    pub fn goes_next(&self) -> Option<BatchMeta> {
        (usize::from(self.len) == BATCHES_MAX).then_some(self.batches[0])
    }

    /// Forgets the batches whose last record is not before `end`; whether anything is left.
    pub fn truncate(&mut self, end: i64) -> bool {
        if self.len == 0 {
            // Its epoch was begun by a marker, of which nobody knows where it is.
            return true;
        }
        let keep = self.batches().partition_point(|batch| batch.last_offset < end);
        self.len = keep as u8;
        keep > 0 || self.is_open()
    }
}
