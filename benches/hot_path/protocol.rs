//! Requests and answers: Produce and Fetch.

use crate::{Case, NOW_MS, batch};
use bytes::Bytes;
use klamm::broker::api::data::{Appended, ReadResult};
use klamm::broker::api::fetch;
use klamm::broker::api::fetch_session::Sessions;
use klamm::broker::api::produce::{self, ProduceSettings};
use klamm::controller::{Image, NewPartition, Record};
use klamm::types::{ErrorCode, TopicId};
use klamm::wire::api_keys::ApiKey;
use klamm::wire::header::{RequestHeader, decode_response};
use klamm::wire::kafka::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use klamm::wire::kafka::fetch_response::FetchResponse;
use klamm::wire::kafka::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use klamm::wire::records::AtOnce;
use klamm::wire::{Reader, Writer};
use std::hint::black_box;
use std::sync::Arc;

/// The last one with topics by name.
const VERSION: i16 = 12;
const TOPIC: &str = "orders";
const SETTINGS: ProduceSettings =
    ProduceSettings { now_ms: NOW_MS, strict: false, at_once: AtOnce::ALL };

fn header(api_key: ApiKey) -> RequestHeader<'static> {
    RequestHeader { api_key, version: VERSION, correlation_id: 5, client_id: None }
}

fn image(partitions: usize) -> Image {
    let mut image = Image::new("cluster", 1, Arc::default());
    let replicas: Arc<[i32]> = [1].into();
    image.apply(&Record::TopicCreated {
        id: TopicId([7; 16]),
        name: TOPIC.into(),
        partitions: vec![NewPartition::new(replicas); partitions],
        settings: Vec::new(),
    });
    image
}

fn produce_body(partitions: usize, records: usize, bytes: usize) -> Bytes {
    let batch = batch(records, bytes);
    let part = |index| PartitionProduceData { index, records: Some(&batch) };
    let topic = TopicProduceData {
        name: TOPIC,
        partition_data: (0..partitions as i32).map(part).collect(),
        ..TopicProduceData::default()
    };
    let request = ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![topic],
    };
    let mut w = Writer::new();
    request.encode(&mut w, VERSION).expect("a request of this version");
    w.into_vec().into()
}

struct Produce {
    body: Bytes,
    image: Image,
    partitions: usize,
}

/// Reads a request for that many partitions and validates their batches.
pub fn produce(partitions: usize, records: usize, bytes: usize) -> Box<dyn Case> {
    let body = produce_body(partitions, records, bytes);
    Box::new(Produce { body, image: image(partitions), partitions })
}

impl Case for Produce {
    fn run(&mut self, runs: usize) {
        for _ in 0..runs {
            let planned = produce::plan(black_box(&self.body), VERSION, &self.image, SETTINGS);
            let (plan, batches) = planned.expect("a sound request");
            assert_eq!(batches.appends.len(), self.partitions);
            black_box((plan, batches));
        }
    }
}

struct ProduceAnswer {
    body: Bytes,
    image: Image,
    partitions: u32,
    plans: Vec<produce::Plan>,
}

/// Enters what the owners of that many partitions said, and lays out the answer.
pub fn produce_answer(partitions: usize) -> Box<dyn Case> {
    let (body, image) = (produce_body(partitions, 1, 512), image(partitions));
    Box::new(ProduceAnswer { body, image, partitions: partitions as u32, plans: Vec::new() })
}

impl Case for ProduceAnswer {
    fn prepare(&mut self, runs: usize) {
        self.plans.clear();
        self.plans.extend((0..runs).map(|_| {
            produce::plan(&self.body, VERSION, &self.image, SETTINGS).expect("a sound request").0
        }));
    }

    fn run(&mut self, runs: usize) {
        for mut plan in self.plans.drain(..runs) {
            for index in 0..self.partitions {
                let none = Appended::failed(index, ErrorCode::NONE);
                plan.enter(Appended { base_offset: 123_456, log_start_offset: 0, ..none });
            }
            let response = plan.response(&header(ApiKey::PRODUCE), &self.image);
            black_box(response.expect("an answer of this version"));
        }
    }
}

fn fetch_body(partitions: usize, session_id: i32, session_epoch: i32) -> Vec<u8> {
    let part = |partition| FetchPartition {
        partition,
        fetch_offset: 123_456,
        partition_max_bytes: 1 << 20,
        ..FetchPartition::default()
    };
    let partitions: Vec<_> = (0..partitions as i32).map(part).collect();
    let topic = FetchTopic { topic: TOPIC, partitions, ..FetchTopic::default() };
    let request = FetchRequest {
        max_wait_ms: 500,
        min_bytes: 1,
        max_bytes: 50 << 20,
        session_id,
        session_epoch,
        topics: if topic.partitions.is_empty() { Vec::new() } else { vec![topic] },
        ..FetchRequest::default()
    };
    let mut w = Writer::new();
    request.encode(&mut w, VERSION).expect("a request of this version");
    w.into_vec()
}

fn read(index: u32, slice: &Bytes) -> ReadResult {
    ReadResult {
        high_watermark: 234_567,
        last_stable: 234_567,
        log_start: 0,
        slices: vec![slice.clone()],
        bytes: slice.len(),
        ..ReadResult::failed(index, ErrorCode::NONE)
    }
}

const FETCH_LIMITS: fetch::Limits = fetch::Limits { max_bytes: 55 << 20, memory: 1 << 30 };

struct FetchLayout {
    body: Vec<u8>,
    image: Image,
    sessions: Sessions,
    slice: Bytes,
    partitions: u32,
    ready: Vec<(fetch::Plan, Vec<ReadResult>)>,
}

/// Lays out the answer of that many partitions, with a slice of `bytes` of each.
pub fn fetch_layout(partitions: usize, bytes: usize) -> Box<dyn Case> {
    Box::new(FetchLayout {
        body: fetch_body(partitions, 0, -1),
        image: image(partitions),
        sessions: Sessions::new(1_000, 0, 1, 5),
        slice: batch(1, bytes),
        partitions: partitions as u32,
        ready: Vec::new(),
    })
}

impl Case for FetchLayout {
    fn prepare(&mut self, runs: usize) {
        self.ready.clear();
        for _ in 0..runs {
            let (sessions, image) = (&mut self.sessions, &self.image);
            let plan = fetch::plan(&self.body, VERSION, sessions, image, FETCH_LIMITS, NOW_MS);
            let results = (0..self.partitions).map(|index| read(index, &self.slice)).collect();
            self.ready.push((plan.expect("a sound request"), results));
        }
    }

    fn run(&mut self, runs: usize) {
        let header = header(ApiKey::FETCH);
        for (plan, results) in self.ready.drain(..runs) {
            let (sessions, image) = (&mut self.sessions, &self.image);
            let response = plan.response(&header, results, sessions, image, NOW_MS);
            black_box(response.expect("an answer of this version"));
        }
    }
}

struct FetchSession {
    bodies: Vec<Vec<u8>>,
    image: Image,
    sessions: Sessions,
    id: i32,
    next_epoch: i32,
    slice: Bytes,
    partitions: usize,
}

impl FetchSession {
    fn fetch(&mut self, body: &[u8]) -> klamm::broker::api::Response {
        let (sessions, image) = (&mut self.sessions, &self.image);
        let plan = fetch::plan(body, VERSION, sessions, image, FETCH_LIMITS, NOW_MS);
        let plan = plan.expect("a sound request");
        let reads = plan.reads(image);
        assert_eq!(reads.len(), self.partitions);
        let results = reads.iter().map(|it| read(it.index, &self.slice)).collect();
        let response = plan.response(&header(ApiKey::FETCH), results, sessions, image, NOW_MS);
        response.expect("an answer of this version")
    }
}

/// Decodes the next request of a session of that many partitions, takes it into the session, and
/// lays out its answer, with a slice of `bytes` of each.
pub fn fetch_session(partitions: usize, bytes: usize) -> Box<dyn Case> {
    let mut case = FetchSession {
        bodies: Vec::new(),
        image: image(partitions),
        sessions: Sessions::new(1_000, 0, 1, 5),
        id: 0,
        next_epoch: 1,
        slice: batch(1, bytes),
        partitions,
    };
    let answer = case.fetch(&fetch_body(partitions, 0, 0));
    let mut r = Reader::new(&answer.head[4..]);
    decode_response(ApiKey::FETCH, VERSION, &mut r).expect("a header");
    case.id = FetchResponse::decode(&mut r, VERSION).expect("an answer").session_id;
    Box::new(case)
}

impl Case for FetchSession {
    fn prepare(&mut self, runs: usize) {
        self.bodies.clear();
        for _ in 0..runs {
            self.bodies.push(fetch_body(0, self.id, self.next_epoch));
            self.next_epoch += 1;
        }
    }

    fn run(&mut self, runs: usize) {
        for i in 0..runs {
            let body = std::mem::take(&mut self.bodies[i]);
            black_box(self.fetch(&body));
        }
    }
}
