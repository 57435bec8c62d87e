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
use super::{BrokerInfo, ClientError, Cluster, To, check_code};
use crate::types::ErrorCode;
use crate::wire::kafka::init_producer_id_request::InitProducerIdRequest;
use crate::wire::kafka::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use crate::wire::kafka::produce_response::{PartitionProduceResponse, ProduceResponse};
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
    /// When the cluster was asked last.
    asked_ms: i64,
    /// Partitions whose leader has not heard that it leads, and how often it was asked in spite of it.
    behind: BTreeMap<(String, i32), u32>,
    /// Brokers that could not be reached, and when they are tried again.
    unreachable: BTreeMap<i32, i64>,
}

/// Time between two requests for metadata while something is missing, ms.
const SOON_MS: i64 = 100;
/// A broker that has not answered for so long may not lead any more, ms: the cluster is asked.
const SILENCE_MS: i64 = 1_000;
/// A leader that has not heard yet that it leads is asked again after this time, ms; then after twice as long, so many
/// times.
const BEHIND_MS: i64 = 5;
const BEHIND_TIMES: u32 = 5;
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
            asked_ms: 0,
            behind: BTreeMap::new(),
            unreachable: BTreeMap::new(),
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
        self.doubt_the_silent();
        if now >= self.next_metadata_ms {
            self.refresh();
        }
        self.renew_id();
        self.send_ready();
        let now = self.cluster.now_ms();
        let next = self.accumulator.next_ready_ms();
        let limit = timeout.as_millis().min(1 << 40) as i64;
        // What is ready already waits for room on its lane, so for an answer.
        let mut wait = if next > now { (next - now).min(limit) } else { limit };
        wait = wait.min(self.next_metadata_ms.saturating_sub(now));
        // Whoever was not there is tried again, whoever is silent is doubted.
        let again = self.unreachable.values().filter(|at| **at > now).min();
        wait = wait.min(again.map_or(i64::MAX, |at| at - now));
        if self.channels.silence().next().is_some() {
            wait = wait.min(SILENCE_MS);
        }
        let wait = Duration::from_millis(wait.max(0) as u64);
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
        // Who is silent may say that it still leads, cut off from all others.
        let silent = self.channels.silence().filter(|(_, it)| it.as_millis() as i64 >= SILENCE_MS);
        let silent: BTreeSet<i32> = silent
            .filter_map(|(lane, _)| if let Lane::Data(node) = lane { Some(node) } else { None })
            .collect();
        if !silent.is_empty() {
            self.cluster.ask_others_than(&silent);
        }
        let result = self.cluster.refresh_once(Some(&names), false);
        let age = if result.is_ok() { self.settings.metadata_max_age_ms } else { SOON_MS.max(1) };
        self.asked_ms = self.cluster.now_ms();
        self.next_metadata_ms = self.asked_ms + age;
        if result.is_ok() {
            self.give_up_the_silent();
        }
        for topic in 0..self.sticky.len() {
            let name = self.accumulator.topic_name(topic).to_owned();
            if let Ok(meta) = self.cluster.metadata().topic(&name) {
                let partitions = meta.partitions.len();
                self.accumulator.topic(&name, partitions);
                self.sticky[topic].0 = partitions as i32;
            }
        }
    }

    /// Asks for metadata where a broker is silent.
    fn doubt_the_silent(&mut self) {
        if self.channels.silence().any(|(_, it)| it.as_millis() as i64 >= SILENCE_MS) {
            self.next_metadata_ms = self.next_metadata_ms.min(self.asked_ms + SILENCE_MS / 2);
        }
    }

    /// Does not wait for the answers of a silent broker that leads nothing any more: what it was sent goes to
    /// those that lead now.
    fn give_up_the_silent(&mut self) {
        let leaders = self.leaders();
        let over: Vec<Lane> = self
            .channels
            .silence()
            .filter(|(_, it)| it.as_millis() as i64 >= SILENCE_MS)
            .map(|(lane, _)| lane)
            .filter(|lane| !matches!(lane, Lane::Data(node) if leaders.contains(node)))
            .collect();
        for lane in over {
            self.channels.give_up(lane, &mut self.events);
        }
        self.take_events();
    }

    /// An idempotent producer whose epochs are used up gets another id.
    fn renew_id(&mut self) {
        if !self.sticky.is_empty() && !self.accumulator.has_producer() {
            // Without one, what waits expires in its time.
            if let Ok((id, epoch)) = producer_id(&mut self.cluster) {
                self.accumulator.set_producer(id, epoch);
            }
        }
    }

    /// Node ids of those that lead partitions of the topics.
    fn leaders(&self) -> BTreeSet<i32> {
        let mut leaders = BTreeSet::new();
        for topic in 0..self.sticky.len() {
            if let Ok(meta) = self.cluster.metadata().topic(self.accumulator.topic_name(topic)) {
                leaders.extend(meta.partitions.values().map(|p| p.leader).filter(|l| *l >= 0));
            }
        }
        leaders
    }

    fn send_ready(&mut self) {
        let now = self.cluster.now_ms();
        if self.accumulator.next_ready_ms() > now {
            return;
        }
        let leaders = self.leaders();
        if leaders.is_empty() {
            self.next_metadata_ms = self.next_metadata_ms.min(now + SOON_MS);
        }
        for leader in leaders {
            let lane = Lane::Data(leader);
            while self.channels.in_flight(lane) < self.settings.in_flight
                && self.channels.unsent(lane) < UNSENT_MAX
            {
                let metadata = self.cluster.metadata();
                let leads =
                    |topic: &str, partition| metadata.leader(topic, partition).ok() == Some(leader);
                if !self.accumulator.is_ready(now, leads) {
                    break;
                }
                // A broker that is not there costs no attempt.
                let opened = self.open(now, leader);
                if opened.as_ref().is_err_and(ClientError::is_retriable) {
                    break;
                }
                let metadata = self.cluster.metadata();
                let batches = self.accumulator.drain(now, |topic, partition| {
                    metadata.leader(topic, partition).ok() == Some(leader)
                });
                if let Err(e) = opened {
                    self.complete(batches, |_| Err(e.clone()));
                    break;
                }
                if batches.is_empty() || !self.send_batches(lane, batches) {
                    break;
                }
            }
        }
    }

    /// Makes sure that there is a connection to a leader.
    fn open(&mut self, now: i64, leader: i32) -> Result<(), ClientError> {
        let lane = Lane::Data(leader);
        if self.channels.has(lane) {
            return Ok(());
        }
        if self.unreachable.get(&leader).is_some_and(|until| now < *until) {
            let (address, why) = (format!("broker {leader}"), "it was tried just now".to_owned());
            return Err(ClientError::Unreachable { address, why });
        }
        let opened =
            self.cluster.open(leader).and_then(|transport| self.channels.add(lane, transport));
        match &opened {
            Ok(()) => drop(self.unreachable.remove(&leader)),
            Err(_) => self.trouble(leader),
        }
        opened
    }

    fn send_batches(&mut self, lane: Lane, batches: Vec<Batch>) -> bool {
        let tag = self.next_tag;
        self.next_tag += 1;
        let mut send = || {
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
        };
        let sent = send();
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
                if let Lane::Data(node) = lane {
                    self.trouble(node);
                }
                false
            }
        }
    }

    /// A broker is not there, or not any more: asks for new metadata soon, and leaves it alone for a while.
    fn trouble(&mut self, node: i32) {
        let now = self.cluster.now_ms();
        let backoff = self.settings.retry_backoff_ms;
        self.unreachable.insert(node, now + backoff);
        self.next_metadata_ms = self.next_metadata_ms.min(now + SOON_MS.min(backoff));
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
                    self.trouble(node);
                }
                LaneEvent::Reply { lane, tag, reply } => {
                    let batches = self.requests.remove(&tag).unwrap_or_default();
                    match reply.read::<ProduceRequest<'_>>() {
                        Err(e) => self.complete(batches, |_| Err(e.clone())),
                        Ok(response) => self.produced(lane, batches, &response),
                    }
                    self.channels.recycle(reply);
                }
            }
        }
    }

    fn produced(&mut self, from: Lane, batches: Vec<Batch>, response: &ProduceResponse<'_>) {
        let mut results: BTreeMap<(&str, i32), Result<i64, ClientError>> = BTreeMap::new();
        let (mut stale, mut moved) = (false, BTreeMap::new());
        for topic in &response.responses {
            for p in &topic.partition_responses {
                let what = || format!("partition {} of topic '{}'", p.index, topic.name);
                let result =
                    check_code(p.error_code, what, p.error_message).map(|()| p.base_offset);
                if self.leader_moved(from, topic.name, p, response) {
                    moved.insert((topic.name, p.index), 0);
                } else if let Some(wait_ms) = self.leader_is_behind(topic.name, p) {
                    moved.insert((topic.name, p.index), wait_ms);
                } else {
                    stale |= result.as_ref().is_err_and(ClientError::is_retriable);
                }
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
        // The next attempt goes to another broker: there is nothing to wait for, but for that to know that it leads.
        let now = self.cluster.now_ms();
        for ((name, partition), wait_ms) in moved {
            self.accumulator.hurry(name, partition, now + wait_ms);
        }
        if stale {
            let soon = self.cluster.now_ms() + SOON_MS.min(self.settings.retry_backoff_ms);
            self.next_metadata_ms = self.next_metadata_ms.min(soon);
        }
    }
}

impl Producer {
    /// Whether an answer says that its partition is led elsewhere, and it is known where: by this answer, or by one before
    /// to what was sent together.
    fn leader_moved(
        &mut self,
        from: Lane,
        topic: &str,
        p: &PartitionProduceResponse<'_>,
        response: &ProduceResponse<'_>,
    ) -> bool {
        if p.error_code != ErrorCode::NOT_LEADER_OR_FOLLOWER.0 {
            return false;
        }
        let endpoints = response
            .node_endpoints
            .iter()
            .map(|it| (it.node_id, BrokerInfo { host: it.host.to_owned(), port: it.port }));
        let leader = (p.current_leader.leader_id, p.current_leader.leader_epoch);
        if self.cluster.metadata_mut().leader_is(topic, p.index, leader, endpoints) {
            self.behind.remove(&(topic.to_owned(), p.index));
            return true;
        }
        let known = self.cluster.metadata().leader(topic, p.index);
        known.is_ok_and(|leader| from != Lane::Data(leader))
    }

    /// Whoever leads by what is known may not have heard of it yet: it names an older epoch. How long to wait for that,
    /// ms; `None` where it is not so, or has not helped.
    fn leader_is_behind(&mut self, topic: &str, p: &PartitionProduceResponse<'_>) -> Option<i64> {
        let code = ErrorCode::NOT_LEADER_OR_FOLLOWER.0;
        if self.behind.is_empty() && p.error_code != code {
            return None;
        }
        let told = p.current_leader.leader_epoch;
        let known = self.cluster.metadata().topic(topic).ok()?.partitions.get(&p.index)?;
        let key = (topic.to_owned(), p.index);
        if p.error_code != code || told < 0 || told >= known.leader_epoch {
            self.behind.remove(&key);
            return None;
        }
        let times = self.behind.entry(key).or_default();
        *times += 1;
        (*times <= BEHIND_TIMES).then(|| BEHIND_MS << (*times - 1))
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
