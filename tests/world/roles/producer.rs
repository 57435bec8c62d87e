//! Producers: with sequence numbers, which send again what was not answered, and without.

use super::{LATEST, list_offsets, offset_listed, some_log};
use crate::checkers::Facts;
use crate::checkers::records::{Floor, Uid};
use crate::checkers::topics::{LogKey, Stamp};
use crate::client::{Asked, Cx, Link, Role, Sending};
use klamm::client::Reply;
use klamm::types::ErrorCode;
use klamm::wire::kafka::init_producer_id_request::InitProducerIdRequest;
use klamm::wire::kafka::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use klamm::wire::records::{BatchBuilder, Compression};
use std::collections::{BTreeMap, VecDeque};

/// Batches of a partition that are not acknowledged, at most: Kafka's
/// `max.in.flight.requests.per.connection`.
const IN_FLIGHT_MAX: usize = 5;

/// A batch that is not acknowledged.
struct Batch {
    sequence: i32,
    uids: Vec<u64>,
    bytes: Vec<u8>,
    in_flight: bool,
    sent_before: bool,
}

struct Partition {
    stamp: Stamp,
    next_sequence: i32,
    batches: VecDeque<Batch>,
    /// One was refused, or lost: all are sent again, one after the other.
    again: bool,
    /// One was refused because the disk is full.
    refused: bool,
}

pub struct Producer {
    number: usize,
    idempotent: bool,
    acks: i16,
    id: Option<i64>,
    asking: bool,
    source: u32,
    partitions: BTreeMap<LogKey, Partition>,
    next_ms: i64,
}

/// The value of a record: its identity, and what follows from it.
pub fn value_of(uid: u64, len: usize) -> Vec<u8> {
    let mut value = uid.to_be_bytes().to_vec();
    value.resize(8 + len, uid as u8 ^ (uid >> 40) as u8);
    value
}

/// The key of a record of a compacted topic.
pub fn key_of(uid: u64) -> [u8; 4] {
    Uid::decode(uid).key().to_be_bytes()
}

impl Producer {
    pub fn new(number: usize, idempotent: bool, acks: i16) -> Self {
        Self {
            number,
            idempotent,
            acks,
            id: None,
            asking: false,
            source: 0,
            partitions: BTreeMap::new(),
            next_ms: 0,
        }
    }

    fn build(&self, cx: &mut Cx<'_>, topic: usize, uids: &[u64], sequence: i32) -> Vec<u8> {
        let kinds = [Compression::None, Compression::Lz4, Compression::Zstd];
        let kind = if cx.rng.chance(70) { Compression::None } else { kinds[cx.rng.index(3)] };
        let mut builder = BatchBuilder::new(kind);
        if let Some(id) = self.id {
            builder = builder.producer(id, 0, sequence);
        }
        let len = match cx.rng.below(100) {
            0..=2 => cx.rng.between(10_000, 60_000),
            3..=20 => cx.rng.between(500, 5000),
            _ => cx.rng.between(0, 200),
        };
        let timed = !cx.rng.chance(3);
        for uid in uids {
            let time = if timed { cx.now.wall_ms - cx.rng.below(50) as i64 } else { -1 };
            let value = value_of(*uid, len as usize);
            if cx.facts.topics.0[topic].compacted {
                let value = (!Uid::decode(*uid).is_tombstone()).then_some(&value[..]);
                let identity = uid.to_be_bytes();
                builder.push(time, Some(&key_of(*uid)), value, &[("uid", Some(&identity))]);
            } else {
                builder.push(time, None, Some(&value), &[]);
            }
        }
        builder.build()
    }

    /// Forgets what it knows of partitions whose topics have changed.
    fn forget_changed(&mut self, facts: &Facts) {
        let before = self.partitions.len();
        self.partitions.retain(|_, it| facts.topics.holds(it.stamp));
        if self.partitions.len() < before && self.idempotent {
            self.begin_anew();
        }
    }

    /// A new producer id: nothing of the old one is sent any more.
    fn begin_anew(&mut self) {
        self.id = None;
        self.partitions.clear();
    }

    /// One batch for each of some partitions.
    fn choose(&mut self, cx: &mut Cx<'_>) -> Vec<(Sending, Vec<u8>)> {
        let mut chosen: Vec<(Sending, Vec<u8>)> = Vec::new();
        let again: Vec<LogKey> = self
            .partitions
            .iter()
            .filter(|(_, it)| it.again && !it.batches.iter().any(|batch| batch.in_flight))
            .map(|(key, _)| *key)
            .collect();
        for key in again {
            let floor = cx.facts.records.floor(key);
            let it = self.partitions.get_mut(&key).expect("it was just found");
            match it.batches.front_mut() {
                None => it.again = false,
                Some(batch) => {
                    batch.in_flight = true;
                    if batch.sent_before {
                        cx.facts.counts.retries += 1;
                    }
                    let (stamp, sequence, uids) = (it.stamp, batch.sequence, batch.uids.clone());
                    chosen
                        .push((Sending { key, stamp, sequence, uids, floor }, batch.bytes.clone()));
                }
            }
        }
        if !chosen.is_empty() || cx.calm {
            return chosen;
        }
        for _ in 0..cx.rng.between(1, 3) {
            let Some(key) = some_log(cx) else { break };
            if chosen.iter().any(|(it, _)| it.key == key) {
                continue;
            }
            let stamp = cx.facts.topics.stamp(key.topic);
            let fresh = Partition {
                stamp,
                next_sequence: 0,
                batches: VecDeque::new(),
                again: false,
                refused: false,
            };
            let it = self.partitions.entry(key).or_insert(fresh);
            if it.again || it.batches.len() >= IN_FLIGHT_MAX {
                continue;
            }
            let sequence = it.next_sequence;
            let count = cx.rng.between(1, 6) as u32;
            let uids = cx.facts.records.make(self.source, key.topic, key.partition, count);
            let bytes = self.build(cx, key.topic, &uids, sequence);
            let floor = cx.facts.records.floor(key);
            let it = self.partitions.get_mut(&key).expect("it was just made");
            it.next_sequence += count as i32;
            let batch = Batch {
                sequence,
                uids: uids.clone(),
                bytes: bytes.clone(),
                in_flight: true,
                sent_before: true,
            };
            it.batches.push_back(batch);
            chosen.push((Sending { key, stamp, sequence, uids, floor }, bytes));
        }
        chosen
    }

    fn produce(&mut self, cx: &mut Cx<'_>, link: &mut Link) -> bool {
        let chosen = self.choose(cx);
        if chosen.is_empty() {
            return false;
        }
        let mut by_topic: BTreeMap<usize, Vec<PartitionProduceData<'_>>> = BTreeMap::new();
        for (it, bytes) in &chosen {
            let data = PartitionProduceData { index: it.key.partition, records: Some(bytes) };
            by_topic.entry(it.key.topic).or_default().push(data);
        }
        let topics = &cx.facts.topics.0;
        let topic_data = by_topic.into_iter().map(|(topic, partition_data)| TopicProduceData {
            name: &topics[topic].name,
            partition_data,
            ..TopicProduceData::default()
        });
        let request = ProduceRequest {
            transactional_id: None,
            acks: self.acks,
            timeout_ms: 30_000,
            topic_data: topic_data.collect(),
        };
        let batches: Vec<Sending> = chosen.iter().map(|(it, _)| it.clone()).collect();
        link.send(cx, &request, Asked::Produce { acks: self.acks, batches });
        true
    }

    /// One batch was answered.
    fn settle(&mut self, cx: &mut Cx<'_>, link: &mut Link, sending: &Sending, answer: (i16, i64)) {
        let (error, base) = (ErrorCode(answer.0), answer.1);
        let sure = cx.facts.topics.holds(sending.stamp);
        if sure && error == ErrorCode::NONE {
            let n = sending.uids.len() as i64;
            cx.facts.counts.acknowledged += 1;
            cx.facts.records.acknowledged(sending.key, base, &sending.uids);
            link.raise(sending.key, Floor { end: base + n, start: 0 });
        }
        let Some(it) = self.partitions.get_mut(&sending.key) else { return };
        let at = it.batches.iter().position(|batch| batch.uids == sending.uids);
        let Some(at) = at else { return };
        it.batches[at].in_flight = false;
        if !sure {
            return;
        }
        match error {
            ErrorCode::NONE => {
                it.batches.remove(at);
            }
            // The disk is full, or was; those behind it cannot stand without it.
            ErrorCode::KAFKA_STORAGE_ERROR => {
                cx.facts.counts.full += 1;
                (it.again, it.refused) = (true, true);
            }
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER if at > 0 => it.again = true,
            // Its first batch was refused, and one behind it was taken, since a producer that is not
            // known may begin anywhere. As with Kafka, it must begin anew.
            ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER if it.refused => {
                cx.facts.counts.begun_anew += 1;
                return self.begin_anew();
            }
            _ => panic!(
                "{:?}: {error} to batch {} of {}",
                sending.key, sending.sequence, self.number
            ),
        }
        if !self.idempotent {
            it.batches.retain(|batch| batch.in_flight);
            it.again = false;
        }
    }
}

impl Role for Producer {
    fn act(&mut self, cx: &mut Cx<'_>, link: &mut Link) {
        if let Some(until) = cx.silence() {
            self.next_ms = until;
            return;
        }
        self.forget_changed(cx.facts);
        if self.idempotent && self.id.is_none() {
            if !(self.asking || cx.calm && self.partitions.is_empty()) {
                self.asking = true;
                let request = InitProducerIdRequest {
                    transactional_id: None,
                    transaction_timeout_ms: i32::MAX,
                    producer_id: -1,
                    producer_epoch: -1,
                    ..InitProducerIdRequest::default()
                };
                link.send(cx, &request, Asked::ProducerId);
            }
            return;
        }
        if self.source == 0 {
            self.source = cx.facts.records.new_source();
        }
        let mut last = None;
        for _ in 0..cx.rng.between(1, 3) {
            if link.sent.len() >= 8 || !self.produce(cx, link) {
                break;
            }
            let Some(Asked::Produce { batches, .. }) = link.sent.back().map(|it| &it.asked) else {
                break;
            };
            last = batches.first().map(|it| it.key);
        }
        // Without answers nobody would know that what was sent has taken effect.
        let silent = self.acks == 0 && !link.sent.is_empty();
        let unheard = silent && !link.sent.iter().any(|it| it.answered);
        let last = last.or(self.partitions.keys().next().copied().filter(|_| unheard));
        // What is sent again is acknowledged no sooner than it can be read.
        let again = self.partitions.values().any(|it| it.again);
        let percent = if silent || again { 70 } else { 25 };
        if let Some(key) = last.filter(|_| cx.rng.chance(percent)) {
            list_offsets(cx, link, key, LATEST);
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, link: &mut Link, asked: Asked, reply: Option<&Reply>) {
        match (asked, reply) {
            (Asked::ProducerId, Some(reply)) => {
                self.asking = false;
                let response = reply.read::<InitProducerIdRequest<'_>>().expect("an answer");
                assert_eq!(response.error_code, 0, "no producer id");
                cx.facts.producer_id(response.producer_id);
                self.id = Some(response.producer_id);
                self.source = cx.facts.records.new_source();
            }
            (Asked::Produce { batches, .. }, Some(reply)) => {
                let response = reply.read::<ProduceRequest<'_>>().expect("an answer");
                for sending in &batches {
                    let name = &cx.facts.topics.0[sending.key.topic].name;
                    let answer = response
                        .responses
                        .iter()
                        .filter(|topic| topic.name == name)
                        .flat_map(|topic| &topic.partition_responses)
                        .find(|it| it.index == sending.key.partition)
                        .expect("an answer for each batch");
                    let answer = (answer.error_code, answer.base_offset);
                    self.settle(cx, link, sending, answer);
                }
            }
            (Asked::Produce { batches, .. }, None) => {
                for sending in &batches {
                    // It is there, wherever: behind all that was there when it was sent.
                    if cx.facts.topics.holds(sending.stamp) {
                        let floor = link.floor(sending.key, sending.floor);
                        let end = floor.end + sending.uids.len() as i64;
                        link.raise(sending.key, Floor { end, start: 0 });
                    }
                    if let Some(it) = self.partitions.get_mut(&sending.key) {
                        it.batches.retain(|batch| batch.uids != sending.uids);
                    }
                }
            }
            (asked, Some(reply)) => {
                offset_listed(cx, link, &asked, reply);
            }
            _ => unreachable!("only acks=0 has no answer"),
        }
    }

    fn lost(&mut self, cx: &mut Cx<'_>, asked: Asked) {
        match asked {
            Asked::ProducerId => self.asking = false,
            Asked::Produce { batches, .. } => {
                for sending in batches {
                    let Some(it) = self.partitions.get_mut(&sending.key) else { continue };
                    if self.idempotent {
                        it.again = true;
                        // The answer may have said that it was refused.
                        it.refused |= cx.facts.disk_fills_up;
                        let same = |batch: &&mut Batch| batch.uids == sending.uids;
                        if let Some(batch) = it.batches.iter_mut().find(same) {
                            batch.in_flight = false;
                        }
                    } else {
                        it.batches.retain(|batch| batch.uids != sending.uids);
                    }
                }
            }
            _ => {}
        }
    }

    fn disconnected(&mut self, cx: &mut Cx<'_>) {
        if self.idempotent {
            // The client may have ended: what comes after it is another one.
            if cx.rng.chance(15) {
                self.begin_anew();
            }
        } else {
            // What the old connection still brings may come after what the new one does.
            self.source = cx.facts.records.new_source();
            self.partitions.clear();
        }
    }

    fn is_done(&self, facts: &Facts) -> bool {
        let waits = |it: &Partition| facts.topics.holds(it.stamp) && !it.batches.is_empty();
        !self.partitions.values().any(waits)
    }

    fn wake_ms(&self) -> i64 {
        self.next_ms
    }

    fn name(&self) -> String {
        format!("producer-{}", self.number)
    }
}
