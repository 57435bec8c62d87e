//! Producers with idempotence and `acks=all`: a batch is sent again until it is acknowledged, and the next one of
//! its partition only then.

use crate::cluster::Cx;
use crate::history::Value;
use crate::session::{Asked, Session};
use klamm::client::Reply;
use klamm::types::ErrorCode;
use klamm::wire::kafka::init_producer_id_request::InitProducerIdRequest;
use klamm::wire::kafka::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use klamm::wire::records::{BatchBuilder, Compression};
use std::collections::BTreeMap;

struct Batch {
    bytes: Vec<u8>,
    values: Vec<Value>,
    in_flight: bool,
    tries: u32,
}

#[derive(Default)]
struct Partition {
    next_sequence: i32,
    next_number: u32,
    batch: Option<Batch>,
    not_before_ms: i64,
}

/// See the module.
pub struct Producer {
    number: u32,
    id: Option<i64>,
    asking: bool,
    partitions: BTreeMap<i32, Partition>,
}

impl Producer {
    pub fn new(number: u32) -> Self {
        Self { number, id: None, asking: false, partitions: BTreeMap::new() }
    }

    /// Nothing of it is under way.
    pub fn is_done(&self) -> bool {
        self.partitions.values().all(|it| it.batch.is_none())
    }

    /// Sends what it wants to send on this session with `node`.
    pub fn act(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session) {
        let Some(id) = self.id else {
            if !self.asking {
                self.asking = true;
                let request = InitProducerIdRequest {
                    transactional_id: None,
                    transaction_timeout_ms: i32::MAX,
                    producer_id: -1,
                    producer_epoch: -1,
                    ..InitProducerIdRequest::default()
                };
                session.send(&request, Asked::ProducerId);
            }
            return;
        };
        for partition in 0..cx.partitions {
            if cx.leaders.get(&partition).map(|it| it.0) != Some(node) || session.asked.len() > 4 {
                continue;
            }
            let it = self.partitions.entry(partition).or_default();
            if it.batch.is_none() && !cx.calm && cx.rng.chance(40) {
                let count = cx.rng.between(1, 5) as u32;
                let values: Vec<Value> = (0..count)
                    .map(|n| Value { partition, producer: self.number, number: it.next_number + n })
                    .collect();
                let mut builder =
                    BatchBuilder::new(Compression::None).producer(id, 0, it.next_sequence);
                let padding = if cx.rng.chance(4) { 70_000 } else { cx.rng.below(300) as usize };
                for value in &values {
                    let mut bytes = value.encode();
                    bytes.resize(bytes.len() + padding, 7);
                    builder.push(1_700_000_000_000, None, Some(&bytes), &[]);
                }
                it.next_sequence += count as i32;
                it.next_number += count;
                let bytes = builder.build();
                it.batch = Some(Batch { bytes, values, in_flight: false, tries: 0 });
            }
            let due = it.not_before_ms <= cx.now_ms;
            let Some(batch) = it.batch.as_mut().filter(|it| !it.in_flight && due) else { continue };
            batch.in_flight = true;
            let first = batch.values[0].number;
            tracing::debug!(
                now = cx.now_ms,
                partition,
                producer = self.number,
                first,
                node,
                "produces"
            );
            batch.tries += 1;
            if batch.tries > 1 {
                cx.history.counts.retries += 1;
            }
            let data = PartitionProduceData { index: partition, records: Some(&batch.bytes) };
            let request = ProduceRequest {
                transactional_id: None,
                acks: -1,
                timeout_ms: 5_000,
                topic_data: vec![TopicProduceData {
                    name: cx.topic,
                    partition_data: vec![data],
                    ..TopicProduceData::default()
                }],
            };
            session.send(&request, Asked::Produce(partition));
        }
    }

    /// An answer has come.
    pub fn answered(&mut self, cx: &mut Cx<'_>, asked: &Asked, reply: &Reply) {
        match asked {
            Asked::ProducerId => {
                self.asking = false;
                let response = reply.read::<InitProducerIdRequest<'_>>().expect("an answer");
                if response.error_code == 0 {
                    let id = response.producer_id;
                    assert!(cx.producer_ids.insert(id), "producer id {id} is given out twice");
                    self.id = Some(id);
                }
            }
            Asked::Produce(partition) => {
                let response = reply.read::<ProduceRequest<'_>>().expect("an answer");
                let answer = &response.responses[0].partition_responses[0];
                let it = self.partitions.get_mut(partition).expect("it was sent");
                let error = ErrorCode(answer.error_code);
                let first = it.batch.as_ref().map(|it| it.values[0].number);
                tracing::debug!(now = cx.now_ms, partition, producer = self.number, ?first, %error, at = answer.base_offset, "produced");
                if error == ErrorCode::NONE {
                    let batch = it.batch.take().expect("it was sent");
                    cx.history.acknowledged(answer.base_offset, &batch.values);
                    return;
                }
                let retriable = matches!(
                    error,
                    ErrorCode::NOT_LEADER_OR_FOLLOWER
                        | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
                        | ErrorCode::NOT_ENOUGH_REPLICAS
                        | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
                        | ErrorCode::REQUEST_TIMED_OUT
                        | ErrorCode::KAFKA_STORAGE_ERROR
                );
                assert!(retriable, "producer {} at {partition}: {error}", self.number);
                cx.history.counts.refused += 1;
                it.batch.as_mut().expect("it was sent").in_flight = false;
                it.not_before_ms = cx.now_ms + 50;
                *cx.stale = true;
            }
            _ => {}
        }
    }

    /// The answer will not come.
    pub fn lost(&mut self, asked: &Asked, now_ms: i64) {
        match asked {
            Asked::ProducerId => self.asking = false,
            Asked::Produce(partition) => {
                if let Some(it) = self.partitions.get_mut(partition) {
                    it.not_before_ms = now_ms + 50;
                    if let Some(batch) = &mut it.batch {
                        batch.in_flight = false;
                    }
                }
            }
            _ => {}
        }
    }
}
