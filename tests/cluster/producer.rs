//! Producers with idempotence and `acks=all`: a batch is sent again until it is acknowledged, and the next one of
//! its partition only then.

use crate::checkers::log::Value;
use crate::client::{Cx, Facts, Role, TOPIC, is_elsewhere};
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
    stamp_ms: i64,
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
}

impl Role for Producer {
    fn is_done(&self, _: &Facts) -> bool {
        self.partitions.values().all(|it| it.batch.is_none())
    }

    fn waits(&self) -> String {
        let open = self.partitions.iter().filter(|(_, it)| it.batch.is_some());
        let partitions: Vec<i32> = open.map(|it| *it.0).collect();
        format!("producer {} for {partitions:?}", self.number)
    }

    fn act(&mut self, cx: &mut Cx<'_>, node: i32, session: &mut Session) {
        let Some(id) = self.id else {
            if !self.asking && !cx.facts.calm {
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
        for (partition, (leader, _)) in cx.leaders {
            let partition = *partition;
            if *leader != node || session.asked.len() > 4 {
                continue;
            }
            let it = self.partitions.entry(partition).or_default();
            if it.batch.is_none() && !cx.facts.calm && cx.rng.chance(40) {
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
                    builder.push(cx.wall_ms, None, Some(&bytes), &[]);
                }
                it.next_sequence += count as i32;
                it.next_number += count;
                let (bytes, stamp_ms) = (builder.build(), cx.wall_ms);
                it.batch = Some(Batch { bytes, values, stamp_ms, in_flight: false, tries: 0 });
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
                cx.facts.counts.retries += 1;
            }
            let data = PartitionProduceData { index: partition, records: Some(&batch.bytes) };
            let request = ProduceRequest {
                transactional_id: None,
                acks: -1,
                timeout_ms: 5_000,
                topic_data: vec![TopicProduceData {
                    name: TOPIC,
                    partition_data: vec![data],
                    ..TopicProduceData::default()
                }],
            };
            session.send(&request, Asked::Produce(partition));
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, _: i32, asked: &Asked, reply: &Reply) {
        match asked {
            Asked::ProducerId => {
                self.asking = false;
                let response = reply.read::<InitProducerIdRequest<'_>>().expect("an answer");
                if response.error_code == 0 {
                    let id = response.producer_id;
                    let new = cx.facts.producer_ids.insert(id);
                    assert!(new, "producer id {id} is given out twice");
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
                    *cx.facts.acknowledged.entry(*partition).or_default() += 1;
                    let Facts { log, counts, .. } = cx.facts;
                    log.acknowledged(answer.base_offset, &batch.values, batch.stamp_ms, counts);
                    return;
                }
                let retriable = is_elsewhere(error)
                    || matches!(
                        error,
                        // A leader whose clock is wrong.
                        ErrorCode::INVALID_TIMESTAMP
                            | ErrorCode::NOT_ENOUGH_REPLICAS
                            | ErrorCode::NOT_ENOUGH_REPLICAS_AFTER_APPEND
                            | ErrorCode::REQUEST_TIMED_OUT
                    );
                assert!(retriable, "producer {} at {partition}: {error}", self.number);
                cx.facts.counts.refused += 1;
                it.batch.as_mut().expect("it was sent").in_flight = false;
                it.not_before_ms = cx.now_ms + 50;
                *cx.stale = true;
            }
            _ => {}
        }
    }

    fn lost(&mut self, _: i32, asked: &Asked, now_ms: i64) {
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
