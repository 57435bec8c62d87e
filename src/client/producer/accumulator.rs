//! Records on their way into batches, and batches until they are confirmed; no connections.
//!
//! Order in a partition: batches leave in the order of their records, and one that has to be sent
//! again leaves before any later one. With an idempotent producer each has its sequence number from
//! the first attempt on, so the broker recognizes what it has already; several may be in flight. After
//! a failure the partition goes on one batch at a time until what failed is confirmed.
//!
//! A batch that was given up may leave a gap in the numbers: nothing new follows it under the same epoch. The
//! producer takes the next epoch, and the partition's numbers begin anew, as soon as what was sent has been
//! answered (KIP-360). What was sent before keeps its number until the broker says that it does not follow:
//! it may have arrived.

use super::settings::ProducerSettings;
use crate::client::ClientError;
use crate::types::ErrorCode;
use crate::wire::records::{BatchBuilder, BatchHeader, Compression};
use std::collections::VecDeque;

/// Records of one batch that were sent with the same tag: the tag, and how many.
pub type Tags = Vec<(u64, u32)>;

/// The outcome of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Index of the topic.
    pub topic: usize,
    /// The partition.
    pub partition: i32,
    /// Offset of the first record, -1 if nobody says; or why it was not delivered.
    pub result: Result<i64, ClientError>,
    /// Number of records.
    pub records: u32,
    /// Bytes of keys, values and headers with their framing, before compression.
    pub bytes: usize,
    /// The records' tags, in order.
    pub tags: Tags,
}

/// A batch.
#[derive(Debug)]
pub struct Batch {
    /// Index of the topic.
    pub topic: usize,
    /// The partition.
    pub partition: i32,
    builder: BatchBuilder,
    /// As it is sent; empty until it is sent first.
    encoded: Vec<u8>,
    sequence: i32,
    created_ms: i64,
    attempts: u32,
    tags: Tags,
    closed: bool,
}

impl Batch {
    /// The bytes to send.
    pub fn bytes(&self) -> &[u8] {
        &self.encoded
    }
}

#[derive(Debug, Default)]
struct Queue {
    /// What was not sent, or is to be sent again, the oldest first; only the last is open.
    waiting: VecDeque<Batch>,
    in_flight: u32,
    next_sequence: i32,
    /// The producer id and epoch that the numbers belong to.
    numbered_as: Option<(i64, i16)>,
    /// A batch was given up that may have a number: no new batch follows under this epoch.
    has_gap: bool,
    /// The broker says that the first batch does not follow what it has: it gets another number.
    renumbers: bool,
    /// First sequence numbers of what is in flight, ascending.
    sequences: VecDeque<i32>,
    /// A batch failed: batches go one at a time until one is confirmed.
    careful: bool,
    not_before_ms: i64,
}

#[derive(Debug, Default)]
struct TopicQueues {
    name: String,
    queues: Vec<Queue>,
}

/// Records and batches of all partitions.
#[derive(Debug)]
pub struct Accumulator {
    settings: ProducerSettings,
    topics: Vec<TopicQueues>,
    /// Producer id and epoch.
    producer: Option<(i64, i16)>,
    buffered: usize,
    in_flight: usize,
    closed: usize,
    turn: usize,
    flushing: bool,
}

/// A record to be sent.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// The value.
    pub value: Option<&'a [u8]>,
    /// The headers.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// Comes back with the [`Delivery`].
    pub tag: u64,
}

/// The most that one record takes besides its parts: lengths, deltas, attributes.
const RECORD_OVERHEAD: usize = 26;

impl NewRecord<'_> {
    /// The most bytes that a batch with only this record takes.
    pub fn size_max(&self) -> usize {
        let len = |bytes: Option<&[u8]>| bytes.map_or(0, <[u8]>::len);
        let headers: usize = self.headers.iter().map(|(k, v)| k.len() + len(*v) + 10).sum();
        BatchHeader::LEN + RECORD_OVERHEAD + len(self.key) + len(self.value) + headers
    }
}

impl Accumulator {
    /// Nothing yet.
    pub fn new(settings: ProducerSettings) -> Self {
        Self {
            settings,
            topics: Vec::new(),
            producer: None,
            buffered: 0,
            in_flight: 0,
            closed: 0,
            turn: 0,
            flushing: false,
        }
    }

    /// The producer id and epoch of an idempotent producer, before its first batch is drained.
    pub fn set_producer(&mut self, id: i64, epoch: i16) {
        self.producer = Some((id, epoch));
    }

    /// Whether something is ready for a leader.
    pub fn is_ready(&self, now_ms: i64, leads: impl Fn(&str, i32) -> bool) -> bool {
        self.topics.iter().any(|topic| {
            (0..).zip(&topic.queues).any(|(partition, queue)| {
                self.may_leave(now_ms, queue).is_some() && leads(&topic.name, partition)
            })
        })
    }

    /// The first batch of a partition, where it may be sent now.
    fn may_leave<'a>(&self, now_ms: i64, queue: &'a Queue) -> Option<&'a Batch> {
        let blocked = queue.careful && queue.in_flight > 0;
        let first = queue.waiting.front().filter(|_| !blocked)?;
        (self.ready_at(queue, first) <= now_ms).then_some(first)
    }

    /// Whether batches can be drained as far as a producer id is needed.
    pub fn has_producer(&self) -> bool {
        self.producer.is_some() || !self.settings.idempotent
    }

    /// Index of a topic, which has so many partitions now.
    pub fn topic(&mut self, name: &str, partitions: usize) -> usize {
        let index = self.topics.iter().position(|t| t.name == name).unwrap_or_else(|| {
            self.topics.push(TopicQueues { name: name.to_owned(), queues: Vec::new() });
            self.topics.len() - 1
        });
        let queues = &mut self.topics[index].queues;
        if queues.len() < partitions {
            queues.resize_with(partitions, Queue::default);
        }
        index
    }

    /// Name of a topic.
    pub fn topic_name(&self, index: usize) -> &str {
        &self.topics[index].name
    }

    /// Bytes that wait, those in flight included.
    pub fn buffered(&self) -> usize {
        self.buffered
    }

    /// Nothing waits and nothing is in flight.
    pub fn is_empty(&self) -> bool {
        self.in_flight == 0
            && self.topics.iter().all(|t| t.queues.iter().all(|q| q.waiting.is_empty()))
    }

    /// Batches that are full and wait to be sent.
    pub fn closed(&self) -> usize {
        self.closed
    }

    /// Whether batches are sent without waiting for further records.
    pub fn set_flushing(&mut self, flushing: bool) {
        self.flushing = flushing;
    }

    /// Adds a record to the partition's open batch, or to a new one.
    ///
    /// # Errors
    /// It is larger than a request may be.
    pub fn append(
        &mut self,
        now_ms: i64,
        topic: usize,
        partition: i32,
        record: &NewRecord<'_>,
    ) -> Result<usize, ClientError> {
        let bytes = record.size_max();
        let limit = self.settings.request_bytes;
        if bytes > limit {
            return Err(ClientError::RecordTooLarge { bytes, limit });
        }
        let queue = &mut self.topics[topic].queues[partition as usize];
        let batch_bytes = self.settings.batch_bytes;
        let fits = queue.waiting.back().is_some_and(|b| {
            !b.closed && b.builder.len() + bytes - BatchHeader::LEN <= batch_bytes
        });
        if !fits {
            if let Some(last) = queue.waiting.back_mut().filter(|b| !b.closed) {
                last.closed = true;
                self.closed += 1;
            }
            let mut builder = BatchBuilder::new(self.settings.compression);
            builder.reserve(batch_bytes.min(64 << 10).max(bytes));
            queue.waiting.push_back(Batch {
                topic,
                partition,
                builder,
                encoded: Vec::new(),
                sequence: -1,
                created_ms: now_ms,
                attempts: 0,
                tags: Vec::new(),
                closed: false,
            });
        }
        let batch = queue.waiting.back_mut().expect("one was just made");
        let before = batch.builder.len();
        batch.builder.push(record.timestamp, record.key, record.value, record.headers);
        let added = batch.builder.len() - before;
        self.buffered += added;
        match batch.tags.last_mut() {
            Some((tag, count)) if *tag == record.tag => *count += 1,
            _ => batch.tags.push((record.tag, 1)),
        }
        if batch.builder.len() >= batch_bytes {
            batch.closed = true;
            self.closed += 1;
        }
        Ok(added)
    }

    /// When the next batch becomes ready by itself, in milliseconds; `i64::MAX` for never.
    pub fn next_ready_ms(&self) -> i64 {
        let mut next = i64::MAX;
        for queue in self.topics.iter().flat_map(|t| &t.queues) {
            if let Some(first) = queue.waiting.front() {
                let expires = first.created_ms + self.settings.delivery_timeout_ms;
                next = next.min(expires);
                // What is in flight will say when a careful partition goes on.
                if !(queue.careful && queue.in_flight > 0) {
                    next = next.min(self.ready_at(queue, first));
                }
            }
        }
        next
    }

    fn ready_at(&self, queue: &Queue, first: &Batch) -> i64 {
        let now = self.flushing || first.closed || first.attempts > 0 || queue.waiting.len() > 1;
        let at = if now { first.created_ms } else { first.created_ms + self.settings.linger_ms };
        at.max(queue.not_before_ms)
    }

    /// Takes what is ready for a leader: of each partition of `leads` at most one batch, and no more
    /// than a request may have. Its deliveries come with [`Accumulator::completed`].
    pub fn drain(&mut self, now_ms: i64, leads: impl Fn(&str, i32) -> bool) -> Vec<Batch> {
        let mut drained = Vec::new();
        if !self.has_producer() {
            return drained;
        }
        let mut bytes = 0;
        self.turn = self.turn.wrapping_add(1);
        let count = self.topics.len();
        for t in 0..count {
            let t = (t + self.turn) % count;
            let partitions = self.topics[t].queues.len();
            for p in 0..partitions {
                let p = (p + self.turn) % partitions;
                let queue = &self.topics[t].queues[p];
                let Some(first) = self.may_leave(now_ms, queue) else { continue };
                let len = first.builder.len();
                if (bytes > 0 && bytes + len > self.settings.request_bytes)
                    || !leads(&self.topics[t].name, p as i32)
                    || !self.number(t, p)
                {
                    continue;
                }
                bytes += len;
                drained.extend(self.take(t, p));
            }
        }
        drained
    }

    /// Makes sure that the first batch of a partition has, or gets, a number that the broker takes. Not while
    /// that depends on answers.
    fn number(&mut self, t: usize, p: usize) -> bool {
        let Some((id, epoch)) = self.producer else { return !self.settings.idempotent };
        let queue = &mut self.topics[t].queues[p];
        let is_new = queue.waiting.front().is_some_and(|first| first.attempts == 0);
        let is_broken = queue.renumbers || (queue.has_gap && is_new);
        let is_stale = queue.numbered_as != Some((id, epoch));
        if !(is_broken || is_stale && is_new) {
            return true;
        }
        if queue.in_flight > 0 {
            return false;
        }
        if is_broken && !is_stale {
            let Some(next) = epoch.checked_add(1) else {
                // Another id is needed.
                self.producer = None;
                return false;
            };
            self.producer = Some((id, next));
        }
        queue.begin_anew(self.producer);
        true
    }

    fn take(&mut self, t: usize, p: usize) -> Option<Batch> {
        let queue = &mut self.topics[t].queues[p];
        let mut batch = queue.waiting.pop_front()?;
        if batch.attempts == 0 {
            if batch.closed {
                self.closed -= 1;
            }
            batch.closed = true;
            queue.give_number(&mut batch);
        }
        batch.attempts += 1;
        queue.in_flight += 1;
        queue.sequences.push_back(batch.sequence);
        self.in_flight += 1;
        Some(batch)
    }

    /// Takes the outcome of an attempt. A batch that is to be sent again stays; the answer then is `None`.
    pub fn completed(
        &mut self,
        now_ms: i64,
        batch: Batch,
        result: Result<i64, ClientError>,
    ) -> Option<Delivery> {
        let queue = &mut self.topics[batch.topic].queues[batch.partition as usize];
        queue.in_flight -= 1;
        self.in_flight -= 1;
        let at = queue.sequences.iter().position(|s| *s == batch.sequence);
        let is_first = at == Some(0)
            && queue.waiting.front().is_none_or(|b| b.attempts == 0 || is_after(b, &batch));
        if let Some(at) = at {
            queue.sequences.remove(at);
        }
        let error = match result {
            Ok(offset) => {
                queue.careful = false;
                return Some(self.deliver(batch, Ok(offset)));
            }
            Err(e) => e,
        };
        let passes = match error.code() {
            // The broker has it: an attempt whose answer was lost had arrived.
            Some(ErrorCode::DUPLICATE_SEQUENCE_NUMBER) => {
                return Some(self.deliver(batch, Ok(-1)));
            }
            // An earlier batch failed, this one was refused because of it; or what was before it is not there,
            // and will not be.
            Some(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER | ErrorCode::UNKNOWN_PRODUCER_ID)
                if batch.sequence >= 0 =>
            {
                queue.renumbers |= is_first;
                true
            }
            _ => error.is_retriable(),
        };
        let in_time = now_ms < batch.created_ms + self.settings.delivery_timeout_ms;
        if !passes || batch.attempts > self.settings.retries || !in_time {
            queue.has_gap |= batch.sequence >= 0;
            return Some(self.deliver(batch, Err(error)));
        }
        queue.careful = true;
        queue.not_before_ms = now_ms + self.settings.retry_backoff_ms;
        let place = queue
            .waiting
            .iter()
            .position(|b| b.attempts == 0 || is_after(b, &batch))
            .unwrap_or(queue.waiting.len());
        queue.waiting.insert(place, batch);
        None
    }

    /// What a partition sends again goes at this time, ms, and not after `retry.backoff.ms`: it goes to another broker
    /// than before.
    pub fn hurry(&mut self, topic: &str, partition: i32, at_ms: i64) {
        let topic = self.topics.iter_mut().find(|it| it.name == topic);
        let queue = usize::try_from(partition).ok().zip(topic);
        if let Some(queue) = queue.and_then(|(at, topic)| topic.queues.get_mut(at)) {
            queue.not_before_ms = queue.not_before_ms.min(at_ms);
        }
    }

    fn deliver(&mut self, batch: Batch, result: Result<i64, ClientError>) -> Delivery {
        let bytes = batch.builder.len() - BatchHeader::LEN;
        self.buffered -= bytes;
        Delivery {
            topic: batch.topic,
            partition: batch.partition,
            result,
            records: batch.builder.count() as u32,
            bytes,
            tags: batch.tags,
        }
    }

    /// Gives up batches that waited longer than `delivery.timeout.ms`. One that was sent already may
    /// have arrived, so its sequence number cannot be given to another: it stays until it is answered.
    pub fn expire(&mut self, now_ms: i64) -> Vec<Delivery> {
        let mut expired = Vec::new();
        let timeout = self.settings.delivery_timeout_ms;
        for queue in self.topics.iter_mut().flat_map(|t| &mut t.queues) {
            while queue.in_flight == 0
                && queue.waiting.front().is_some_and(|b| now_ms >= b.created_ms + timeout)
            {
                let batch = queue.waiting.pop_front();
                queue.has_gap |= batch.as_ref().is_some_and(|b| b.sequence >= 0);
                expired.extend(batch);
            }
        }
        let mut deliveries = Vec::new();
        for batch in expired {
            if batch.closed && batch.attempts == 0 {
                self.closed -= 1;
            }
            let e = ClientError::Expired {
                topic: self.topics[batch.topic].name.clone(),
                partition: batch.partition,
                count: batch.builder.count() as u32,
                ms: now_ms - batch.created_ms,
            };
            deliveries.push(self.deliver(batch, Err(e)));
        }
        deliveries
    }
}

impl Queue {
    /// Nothing is in flight: numbers begin with 0 under another epoch, for what was sent before, too.
    fn begin_anew(&mut self, producer: Option<(i64, i16)>) {
        self.numbered_as = producer;
        self.next_sequence = 0;
        self.has_gap = false;
        self.renumbers = false;
        let mut waiting = std::mem::take(&mut self.waiting);
        for batch in waiting.iter_mut().filter(|b| b.attempts > 0) {
            self.give_number(batch);
        }
        self.waiting = waiting;
    }

    /// The next number, where batches have any.
    fn give_number(&mut self, batch: &mut Batch) {
        if let Some((id, epoch)) = self.numbered_as {
            batch.sequence = self.next_sequence;
            let next = i64::from(batch.sequence) + i64::from(batch.builder.count());
            // Numbers wrap within the positive range.
            self.next_sequence = (next & i64::from(i32::MAX)) as i32;
            let empty = BatchBuilder::new(Compression::None);
            let builder = std::mem::replace(&mut batch.builder, empty);
            batch.builder = builder.producer(id, epoch, batch.sequence);
        }
        batch.encoded = batch.builder.build();
    }
}

/// `a` comes after `b` in sequence numbers that wrap; without numbers, in the order of creation.
fn is_after(a: &Batch, b: &Batch) -> bool {
    if a.sequence < 0 || b.sequence < 0 {
        return a.created_ms > b.created_ms;
    }
    // Within half of the range: what is under way at a time is far less.
    let ahead = a.sequence.wrapping_sub(b.sequence) & i32::MAX;
    ahead != 0 && ahead < i32::MAX / 2
}

#[cfg(test)]
mod tests;
