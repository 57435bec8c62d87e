//! What handlers ask of the shard that owns a partition, and what it answers. All of it is `Send`.

use crate::replica::{AbortedTransaction, ActiveProducer};
use crate::types::{ErrorCode, TopicPartition};
use crate::wire::records::{BatchHeader, Marker};
use bytes::Bytes;
use std::sync::Arc;

/// A validated batch to append.
#[derive(Clone, Debug)]
pub struct AppendRequest {
    /// Where it stands in the Produce request.
    pub index: u32,
    /// To which partition.
    pub tp: TopicPartition,
    /// The batch.
    pub batch: Bytes,
    /// Its header, with the timestamps that it is to be stored with. Where it has `LogAppendTime`,
    /// its owner gives it the time, with the offset.
    pub header: BatchHeader,
    /// Of a client's batch that is part of a transaction: which. The owner asks the coordinator whether its
    /// partition is part of it too, before it begins there.
    pub transaction: Option<Arc<InTransaction>>,
    /// Of a marker: each transaction of the producer has an epoch of its own.
    pub own_epoch: bool,
    /// Of a coordinator's batch that is part of a transaction: so many markers of its producer had come when it
    /// was seen that the transaction is open; with another number, nothing is appended.
    pub markers: Option<u8>,
}

impl AppendRequest {
    /// A batch that is part of no transaction.
    pub fn new(index: u32, tp: TopicPartition, batch: Bytes, header: BatchHeader) -> Self {
        Self { index, tp, batch, header, transaction: None, own_epoch: false, markers: None }
    }
}

/// The transaction that batches of a Produce request are part of.
#[derive(Debug, PartialEq, Eq)]
pub struct InTransaction {
    /// The transactional id.
    pub id: Box<str>,
    /// Version of the Produce request: what the client understands, and whether the broker adds partitions for
    /// it (KIP-890).
    pub version: i16,
}

/// The end of a producer's transaction in one partition.
#[derive(Clone, Copy, Debug)]
pub struct EndMarker {
    /// Where it stands in the request.
    pub index: u32,
    /// In which partition.
    pub tp: TopicPartition,
    /// Whose.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// How it ends.
    pub marker: Marker,
    /// Each transaction of the producer has an epoch of its own.
    pub own_epoch: bool,
}

/// Producers of one partition.
#[derive(Clone, Debug)]
pub struct ProducersAnswer {
    /// Where the partition stands in the request.
    pub index: u32,
    /// `NONE`, or why it is not told.
    pub error: ErrorCode,
    /// The producers.
    pub producers: Vec<ActiveProducer>,
}

/// How an append ended. Given when it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where it stands in the Produce request.
    pub index: u32,
    /// `NONE`, or why nothing was appended.
    pub error: ErrorCode,
    /// Offset of the first record, or -1.
    pub base_offset: i64,
    /// Time that the broker gave the records, ms, or -1.
    pub log_append_time_ms: i64,
    /// Log start offset, or -1.
    pub log_start_offset: i64,
}

impl Appended {
    /// Nothing was appended.
    pub fn failed(index: u32, error: ErrorCode) -> Self {
        Self { index, error, base_offset: -1, log_append_time_ms: -1, log_start_offset: -1 }
    }
}

/// What to read of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRequest {
    /// Where it stands in the Fetch request or session.
    pub index: u32,
    /// Of which partition.
    pub tp: TopicPartition,
    /// From which offset.
    pub offset: i64,
    /// At most so many bytes of this partition, unless the first batch is larger.
    pub max_bytes: usize,
    /// The client's idea of the leader's epoch, -1 for none.
    pub current_leader_epoch: i32,
    /// Only what is stable (`read_committed`).
    pub committed: bool,
    /// A replica that does not lead may answer, too (KIP-392).
    pub from_followers: bool,
    /// Nodes that the reader is nearer to than to the leader: where one of them is in sync and has what is wanted, the
    /// leader names it and reads nothing.
    pub nearer: Vec<i32>,
}

impl ReadRequest {
    /// Reads from the leader, whatever its epoch, up to the high watermark.
    pub fn of_leader(tp: TopicPartition, offset: i64, max_bytes: usize) -> Self {
        Self {
            index: 0,
            tp,
            offset,
            max_bytes,
            current_leader_epoch: -1,
            committed: false,
            from_followers: false,
            nearer: Vec::new(),
        }
    }
}

/// What was read of one partition.
#[derive(Clone, Debug)]
pub struct ReadResult {
    /// Where it stands in the Fetch request or session.
    pub index: u32,
    /// `NONE`, or why nothing was read.
    pub error: ErrorCode,
    /// High watermark, or -1.
    pub high_watermark: i64,
    /// Last stable offset, or -1.
    pub last_stable: i64,
    /// Log start offset, or -1.
    pub log_start: i64,
    /// The leader and its epoch, where the client's idea of them is wrong.
    pub leader_epoch: i32,
    /// The node to read from instead, -1 for none.
    pub preferred: i32,
    /// The log of a follower ends before the offset: it may come.
    pub is_ahead: bool,
    /// Whole batches.
    pub slices: Vec<Bytes>,
    /// Their bytes.
    pub bytes: usize,
    /// The bytes that count towards `min.bytes`: theirs, or as many as the limit where that left out
    /// something that can be read.
    pub counted: usize,
    /// For readers of committed records: the aborted transactions of which there is something in it, by first
    /// offset.
    pub aborted: Vec<AbortedTransaction>,
}

impl ReadResult {
    /// Nothing was read.
    pub fn failed(index: u32, error: ErrorCode) -> Self {
        Self {
            index,
            error,
            high_watermark: -1,
            last_stable: -1,
            log_start: -1,
            leader_epoch: -1,
            preferred: -1,
            is_ahead: false,
            slices: Vec::new(),
            bytes: 0,
            counted: 0,
            aborted: Vec::new(),
        }
    }

    /// Whether the client is to be told of it at once, although there are no records: of an error, or of another node
    /// to read from.
    pub fn is_final(&self) -> bool {
        self.error.is_err() || self.preferred >= 0
    }
}

/// Which offset is looked for (`ListOffsetsRequest`).
#[derive(Clone, Debug)]
pub struct OffsetQuery {
    /// Where it stands in the request.
    pub index: u32,
    /// Of which partition.
    pub tp: TopicPartition,
    /// A time in ms, or one of [`list_offsets`](super::list_offsets)' special values.
    pub timestamp: i64,
    /// The client's idea of the leader's epoch, -1 for none.
    pub current_leader_epoch: i32,
    /// Nothing beyond the last stable offset (`read_committed`).
    pub committed: bool,
    /// Of a debugging consumer (replica id -2): any replica answers, and its latest offset is the end of its log.
    pub of_replica: bool,
}

/// An offset that was looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetAnswer {
    /// Where it stands in the request.
    pub index: u32,
    /// `NONE`, or why nothing was found.
    pub error: ErrorCode,
    /// Time of the record, or -1.
    pub timestamp: i64,
    /// The offset, or -1.
    pub offset: i64,
    /// The leader's epoch, or -1.
    pub leader_epoch: i32,
}

impl OffsetAnswer {
    /// Nothing was found.
    pub fn failed(index: u32, error: ErrorCode) -> Self {
        Self { index, error, timestamp: -1, offset: -1, leader_epoch: -1 }
    }
}

/// Where does an epoch end?
#[derive(Clone, Debug)]
pub struct EpochQuery {
    /// Where it stands in the request.
    pub index: u32,
    /// Of which partition.
    pub tp: TopicPartition,
    /// The client's idea of the leader's epoch, -1 for none.
    pub current_leader_epoch: i32,
    /// The epoch.
    pub epoch: i32,
}

/// Where an epoch ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochAnswer {
    /// Where it stands in the request.
    pub index: u32,
    /// `NONE`, or why there is no answer.
    pub error: ErrorCode,
    /// The largest epoch that is not beyond the one asked for, or -1.
    pub epoch: i32,
    /// Where it ends, or -1.
    pub end_offset: i64,
}

/// Records to delete.
#[derive(Clone, Debug)]
pub struct TrimRequest {
    /// Where it stands in the request.
    pub index: u32,
    /// Of which partition.
    pub tp: TopicPartition,
    /// Everything below; -1 is the high watermark.
    pub offset: i64,
}

/// How a deletion ended. Given when it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// Where it stands in the request.
    pub index: u32,
    /// `NONE`, or why nothing was deleted.
    pub error: ErrorCode,
    /// The log start offset, or -1.
    pub low_watermark: i64,
}

/// Size of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSize {
    /// Whose.
    pub tp: TopicPartition,
    /// Bytes.
    pub bytes: u64,
}

/// What a client understands of transactions.
#[derive(Clone, Copy, Debug)]
pub struct Understands {
    /// The error `TRANSACTION_ABORTABLE`.
    pub abortable: bool,
    /// That the broker adds partitions to its transactions, which each have an epoch of their own.
    pub own_epoch: bool,
}
