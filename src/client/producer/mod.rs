//! A producer: batches, several requests in flight, and once-only delivery where it is wanted.
//!
//! Pure: `accumulator` (batches and their order), `partitioner` and `sticky` (where records go).
//! [`Producer`] moves them over [`Channels`].

mod accumulator;
pub mod partitioner;
mod settings;
mod sticky;

pub use accumulator::{Accumulator, Batch, Delivery, NewRecord, Tags};
pub use settings::ProducerSettings;
pub use sticky::Sticky;

use super::channels::{Channels, Lane, LaneEvent};
use super::{ClientError, Cluster, To, check_code};
use crate::wire::kafka::init_producer_id_request::InitProducerIdRequest;
use crate::wire::kafka::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::BorrowedFd;
use std::time::Duration;

/// A producer.
pub struct Producer {
    cluster: Cluster,
    channels: Channels,
    settings: ProducerSettings,
    accumulator: Accumulator,
    /// By index of the topic.
    sticky: Vec<(i32, Sticky)>,
    /// By tag of the request.
    requests: BTreeMap<u64, Vec<Batch>>,
    next_tag: u64,
    deliveries: VecDeque<Delivery>,
    events: Vec<LaneEvent>,
    next_metadata_ms: i64,
    not_before_ms: i64,
}

/// Time between two requests for metadata while something is missing, ms.
const SOON_MS: i64 = 100;
/// Batches that are full before `send` writes by itself.
const CLOSED_MAX: usize = 8;
/// Unsent bytes on a lane above which no further batch is added.
const UNSENT_MAX: usize = 4 << 20;

impl Producer {
    /// A producer without records.
    pub fn new(cluster: Cluster, settings: ProducerSettings) -> Self {
        Self {
            cluster,
            channels: Channels::default(),
            accumulator: Accumulator::new(settings.clone()),
            settings,
            sticky: Vec::new(),
            requests: BTreeMap::new(),
            next_tag: 0,
            deliveries: VecDeque::new(),
            events: Vec::new(),
            next_metadata_ms: i64::MAX,
            not_before_ms: 0,
        }
    }

    /// The cluster.
    pub fn cluster(&mut self) -> &mut Cluster {
        &mut self.cluster
    }

    /// Index of a topic for [`Producer::send`]; waits until its partitions are known, up to
    /// `max.block.ms`. The broker may create it.
    pub fn topic(&mut self, name: &str) -> Result<usize, ClientError> {
        let end = self.cluster.now_ms() + self.settings.max_block_ms;
        loop {
            match self.cluster.find_topic(name, true) {
                Ok(()) => break,
                Err(e) => {
                    if !e.is_retriable() || self.cluster.now_ms() >= end {
                        return Err(e);
                    }
                }
            }
        }
        if self.settings.idempotent && !self.accumulator.has_producer() {
            let (id, epoch) = producer_id(&mut self.cluster)?;
            self.accumulator.set_producer(id, epoch);
        }
        self.next_metadata_ms = self.cluster.now_ms() + self.settings.metadata_max_age_ms;
        let partitions = self.cluster.metadata().topic(name)?.partitions.len();
        let index = self.accumulator.topic(name, partitions);
        if index == self.sticky.len() {
            // Producers that start together should not crowd one partition.
            let seed = uuid::Uuid::new_v4().as_u64_pair().0;
            self.sticky.push((partitions as i32, Sticky::new(seed)));
        }
        self.sticky[index].0 = partitions as i32;
        Ok(index)
    }

    /// Takes a record for a partition, or for the one that its key, or else the sticky partitioner,
    /// chooses. Waits while `buffer.memory` is full, at most `max.block.ms`.
    pub fn send(
        &mut self,
        topic: usize,
        partition: Option<i32>,
        record: &NewRecord<'_>,
    ) -> Result<(), ClientError> {
        let batch_bytes = self.settings.batch_bytes;
        let (count, sticky) = &mut self.sticky[topic];
        let keyed = partition.or_else(|| record.key.map(|k| partitioner::partition(k, *count)));
        let chosen = match keyed {
            Some(p) if p >= 0 && p < *count => p,
            Some(partition) => {
                let topic = self.accumulator.topic_name(topic).to_owned();
                return Err(ClientError::UnknownPartition { topic, partition, last: *count - 1 });
            }
            None => {
                let metadata = self.cluster.metadata();
                let name = self.accumulator.topic_name(topic);
                sticky.partition(*count, |p| metadata.leader(name, p).is_ok())
            }
        };
        let now = self.cluster.now_ms();
        let added = self.accumulator.append(now, topic, chosen, record)?;
        if keyed.is_none() {
            sticky.used(added, batch_bytes);
        }
        if self.accumulator.closed() >= CLOSED_MAX {
            self.poll(Duration::ZERO, None);
        }
        if self.accumulator.buffered() >= self.settings.buffer_bytes {
            let end = now + self.settings.max_block_ms;
            while self.accumulator.buffered() >= self.settings.buffer_bytes {
                if self.cluster.now_ms() >= end {
                    let (what, message) = ("waiting for room in the buffer".to_owned(), None);
                    let code = crate::types::ErrorCode::REQUEST_TIMED_OUT;
                    return Err(ClientError::Refused { what, code, message });
                }
                self.poll(Duration::from_millis(100), None);
            }
        }
        Ok(())
    }

    /// Outcomes of batches since the last call, the oldest first.
    pub fn delivered(&mut self) -> Option<Delivery> {
        self.deliveries.pop_front()
    }

    /// Name of a topic, from its index.
    pub fn topic_name(&self, topic: usize) -> &str {
        self.accumulator.topic_name(topic)
    }

    /// Nothing is left to be sent or confirmed.
    pub fn is_idle(&self) -> bool {
        self.accumulator.is_empty()
    }

    /// When something will be due without another record, in milliseconds of the cluster's clock.
    pub fn next_ready_ms(&self) -> i64 {
        self.accumulator.next_ready_ms()
    }

    /// Sends what is ready and takes what has been answered; waits for that up to `timeout`, until
    /// `also` is readable (then the answer is true) or a signal comes.
    pub fn poll(&mut self, timeout: Duration, also: Option<BorrowedFd<'_>>) -> bool {
        let now = self.cluster.now_ms();
        let expired = self.accumulator.expire(now);
        self.deliveries.extend(expired);
        if now >= self.next_metadata_ms {
            self.refresh();
        }
        self.send_ready();
        let now = self.cluster.now_ms();
        let next = self.accumulator.next_ready_ms().max(self.not_before_ms);
        let limit = timeout.as_millis().min(1 << 40) as i64;
        // What is ready already waits for room on its lane, so for an answer.
        let wait = if next > now { (next - now).min(limit) } else { limit };
        let wait = Duration::from_millis(
            wait.min(self.next_metadata_ms.saturating_sub(now)).max(0) as u64,
        );
        let also_ready = self.channels.poll(wait, also, &mut self.events);
        self.take_events();
        self.send_ready();
        also_ready
    }

    /// Sends everything and waits for all answers: at most `delivery.timeout.ms`, since then every
    /// record has been delivered or given up. Ends early when `stop` says so.
    pub fn flush(&mut self, stop: impl Fn() -> bool) {
        self.accumulator.set_flushing(true);
        while !self.accumulator.is_empty() && !stop() {
            self.poll(Duration::from_millis(200), None);
        }
        // With acks=0 nobody says that the bytes have left.
        let lanes: Vec<Lane> =
            self.cluster.metadata().brokers.keys().map(|id| Lane::Data(*id)).collect();
        while lanes.iter().any(|lane| self.channels.unsent(*lane) > 0) && !stop() {
            self.channels.poll(Duration::from_millis(200), None, &mut self.events);
            self.take_events();
        }
        self.accumulator.set_flushing(false);
    }

    fn refresh(&mut self) {
        let names: Vec<&str> =
            (0..self.sticky.len()).map(|t| self.accumulator.topic_name(t)).collect();
        let result = self.cluster.refresh_once(Some(&names), false);
        let age = if result.is_ok() { self.settings.metadata_max_age_ms } else { SOON_MS.max(1) };
        self.next_metadata_ms = self.cluster.now_ms() + age;
        for topic in 0..self.sticky.len() {
            let name = self.accumulator.topic_name(topic).to_owned();
            if let Ok(meta) = self.cluster.metadata().topic(&name) {
                let partitions = meta.partitions.len();
                self.accumulator.topic(&name, partitions);
                self.sticky[topic].0 = partitions as i32;
            }
        }
    }

    fn send_ready(&mut self) {
        let now = self.cluster.now_ms();
        if now < self.not_before_ms || self.accumulator.next_ready_ms() > now {
            return;
        }
        let mut leaders = BTreeSet::new();
        for topic in 0..self.sticky.len() {
            if let Ok(meta) = self.cluster.metadata().topic(self.accumulator.topic_name(topic)) {
                leaders.extend(meta.partitions.values().map(|p| p.leader).filter(|l| *l >= 0));
            }
        }
        if leaders.is_empty() {
            self.next_metadata_ms = self.next_metadata_ms.min(now + SOON_MS);
        }
        for leader in leaders {
            let lane = Lane::Data(leader);
            while self.channels.in_flight(lane) < self.settings.in_flight
                && self.channels.unsent(lane) < UNSENT_MAX
            {
                let metadata = self.cluster.metadata();
                let batches = self.accumulator.drain(now, |topic, partition| {
                    metadata.leader(topic, partition).ok() == Some(leader)
                });
                if batches.is_empty() {
                    break;
                }
                if !self.send_batches(lane, batches) {
                    break;
                }
            }
        }
    }

    fn send_batches(&mut self, lane: Lane, batches: Vec<Batch>) -> bool {
        let Lane::Data(node) = lane else { return false };
        let opened = if self.channels.has(lane) {
            Ok(())
        } else {
            self.cluster.open(node).and_then(|transport| self.channels.add(lane, transport))
        };
        let tag = self.next_tag;
        self.next_tag += 1;
        let sent = opened.and_then(|()| {
            let mut topics: BTreeMap<usize, Vec<PartitionProduceData<'_>>> = BTreeMap::new();
            for batch in &batches {
                let data =
                    PartitionProduceData { index: batch.partition, records: Some(batch.bytes()) };
                topics.entry(batch.topic).or_default().push(data);
            }
            let request = ProduceRequest {
                acks: self.settings.acks,
                timeout_ms: self.settings.request_timeout_ms as i32,
                topic_data: topics
                    .into_iter()
                    .map(|(topic, partition_data)| TopicProduceData {
                        name: self.accumulator.topic_name(topic),
                        partition_data,
                        ..TopicProduceData::default()
                    })
                    .collect(),
                ..ProduceRequest::default()
            };
            if self.settings.acks == 0 {
                return self.channels.send_only(lane, &request);
            }
            let patience = Duration::from_millis(self.settings.request_timeout_ms.max(0) as u64);
            self.channels.send(lane, tag, &request, patience)
        });
        match sent {
            Ok(()) if self.settings.acks == 0 => {
                self.complete(batches, |_| Ok(-1));
                true
            }
            Ok(()) => {
                self.requests.insert(tag, batches);
                true
            }
            Err(e) => {
                self.complete(batches, |_| Err(e.clone()));
                self.trouble();
                false
            }
        }
    }

    /// Asks for new metadata soon, and does not send before that.
    fn trouble(&mut self) {
        let now = self.cluster.now_ms();
        self.not_before_ms = now + self.settings.retry_backoff_ms;
        self.next_metadata_ms =
            self.next_metadata_ms.min(now + SOON_MS.min(self.settings.retry_backoff_ms));
    }

    fn complete(
        &mut self,
        batches: Vec<Batch>,
        result: impl Fn(&Batch) -> Result<i64, ClientError>,
    ) {
        let now = self.cluster.now_ms();
        for batch in batches {
            let result = result(&batch);
            let delivery = self.accumulator.completed(now, batch, result);
            self.deliveries.extend(delivery);
        }
    }

    fn take_events(&mut self) {
        for event in std::mem::take(&mut self.events) {
            match event {
                LaneEvent::Lost { lane, tags, error } => {
                    let Lane::Data(node) = lane else { continue };
                    self.cluster.forget(node);
                    for tag in tags {
                        let batches = self.requests.remove(&tag).unwrap_or_default();
                        self.complete(batches, |_| Err(error.clone()));
                    }
                    self.trouble();
                }
                LaneEvent::Reply { tag, reply, .. } => {
                    let batches = self.requests.remove(&tag).unwrap_or_default();
                    match reply.read::<ProduceRequest<'_>>() {
                        Err(e) => self.complete(batches, |_| Err(e.clone())),
                        Ok(response) => self.produced(batches, &response),
                    }
                    self.channels.recycle(reply);
                }
            }
        }
    }

    fn produced(
        &mut self,
        batches: Vec<Batch>,
        response: &crate::wire::kafka::produce_response::ProduceResponse<'_>,
    ) {
        let mut results: BTreeMap<(&str, i32), Result<i64, ClientError>> = BTreeMap::new();
        let mut stale = false;
        for topic in &response.responses {
            for p in &topic.partition_responses {
                let what = || format!("partition {} of topic '{}'", p.index, topic.name);
                let result =
                    check_code(p.error_code, what, p.error_message).map(|()| p.base_offset);
                stale |= result.as_ref().is_err_and(ClientError::is_retriable);
                results.insert((topic.name, p.index), result);
            }
        }
        let named: Vec<String> =
            (0..self.sticky.len()).map(|t| self.accumulator.topic_name(t).to_owned()).collect();
        self.complete(batches, |batch| {
            let name = named[batch.topic].as_str();
            results.get(&(name, batch.partition)).cloned().unwrap_or_else(|| {
                let (topic, partition) = (name.to_owned(), batch.partition);
                Err(ClientError::NoLeader { topic, partition })
            })
        });
        if stale {
            let soon = self.cluster.now_ms() + SOON_MS.min(self.settings.retry_backoff_ms);
            self.next_metadata_ms = self.next_metadata_ms.min(soon);
        }
    }
}

/// A producer id and its epoch, for idempotence.
pub fn producer_id(cluster: &mut Cluster) -> Result<(i64, i16), ClientError> {
    type Init<'a> = InitProducerIdRequest<'a>;
    let request = Init {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        producer_id: -1,
        producer_epoch: -1,
        ..Init::default()
    };
    cluster.call(To::Any, &request, |reply| {
        let response = reply.read::<Init<'_>>()?;
        check_code(response.error_code, || "a producer id".to_owned(), None)?;
        Ok((response.producer_id, response.producer_epoch))
    })
}
