//! One shard of a broker over a simulated disk, for tests.

use super::calls::AskGroup;
use super::dispatch::Serve;
use super::logs_tests::{image, open_engine_with};
use super::wait::Receiver;
use super::{
    Admission, Bounds, Broker, Clock, ConnectionId, Input, Logs, Message, Output, Parts, ShardId,
};
use crate::controller::{Controller, Image, LOG_BYTES_MAX, NewPartition, OpenOptions, Record};
use crate::group::{Commit, CommitOffset, CommitTopic, GroupRequest, GroupResponse};
use crate::replica;
use crate::storage::buffer::Budget;
use crate::storage::device::disk::Disk;
use crate::storage::device::io::{Completion, Op};
use crate::storage::recovery::identity::{Expected, Identity};
use crate::storage::recovery::{self, StateError};
use crate::types::topic_name::GROUP_STATE;
use crate::types::{ErrorCode, Now, TopicId, TopicPartition};
use crate::wire::api_keys::ApiKey;
use crate::wire::header::{RequestHeader, decode_response, encode_request};
use crate::wire::kafka::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use crate::wire::{Reader, WireError, Writer};
use futures_lite::future::{block_on, poll_once};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

/// The only partition of the groups' topic.
pub(super) const GROUPS: TopicPartition = TopicPartition { topic: TopicId([9; 16]), partition: 0 };

/// A topic `t` of so many partitions, and the groups' topic.
pub(super) fn image_with_groups(partitions: usize) -> Image {
    let mut image = image(partitions, &[]);
    image.apply(&Record::TopicCreated {
        id: GROUPS.topic,
        name: GROUP_STATE.into(),
        partitions: vec![NewPartition::new([1])],
        settings: Vec::new(),
    });
    image.index = 1;
    image
}

/// What a shard is made of that is the only one.
pub(super) fn parts(disk: &Disk, image: &Image, budget: Arc<Budget>) -> Parts {
    let image = Arc::new(image.clone());
    let fold: recovery::Fold<'_> = &|state, start, end, batches| {
        let folded = replica::fold(state, start, end, batches);
        folded.map_err(|e| StateError::Damaged(e.to_string()))
    };
    let engine = open_engine_with(disk, fold);
    let logs = Logs::open(engine, &image, (0, 1), 1).expect("what it has written");
    Parts {
        id: 0,
        shards: 1,
        strict: false,
        data: "/sim".to_owned(),
        image,
        logs,
        budget,
        controller: None,
        seed: 1,
        clock: Clock::Virtual(Rc::new(Cell::new(0))),
        admission: Admission::default(),
        bounds: Bounds { request_bytes: 1 << 20, connections: 10 },
        slow_ns: u64::MAX,
        node: Arc::default(),
    }
}

/// See the module.
pub(super) struct Rig {
    pub broker: Broker,
    pub budget: Arc<Budget>,
    disk: Disk,
    pub now_ms: i64,
    /// Inputs that were handed in.
    pub inputs: usize,
    /// What was sent to other shards.
    pub sent: Vec<(ShardId, Message)>,
}

impl Rig {
    pub fn new(disk: &Disk, image: &Image, memory: usize) -> Self {
        Self::with_room(disk, image, memory, 1 << 20)
    }

    /// One with so many bytes of room for requests.
    pub fn with_room(disk: &Disk, image: &Image, memory: usize, request_bytes: usize) -> Self {
        // The engine has another: what is charged here is what clients make the shard keep.
        let mut parts = parts(disk, image, Budget::new(memory));
        parts.bounds.request_bytes = request_bytes;
        Self::of(disk, parts)
    }

    /// As [`with_room`](Self::with_room), with the controller, and what it has on the disk.
    pub fn with_controller(disk: &Disk, memory: usize, request_bytes: usize) -> Self {
        let expected = Expected { cluster_id: None, node_id: 1, random: [5; 32] };
        let identity = Identity::open(disk, &expected).expect("it is ours");
        let options = OpenOptions {
            cluster_id: identity.cluster_id,
            node_id: 1,
            host: "localhost".to_owned(),
            port: 9092,
            peer_host: String::new(),
            peer_port: 0,
            rack: None,
            incarnation: 1,
            directory: 0,
            fixed: Arc::default(),
            shards: 1,
            voters: BTreeSet::new(),
            joins: false,
            log_bytes_max: LOG_BYTES_MAX,
            seed: 1,
        };
        let (controller, image) = Controller::open(disk, &options).expect("what it has written");
        let mut parts = parts(disk, &image, Budget::new(memory));
        parts.bounds.request_bytes = request_bytes;
        parts.controller = Some(controller);
        Self::of(disk, parts)
    }

    /// One that is made of these.
    pub fn of(disk: &Disk, parts: Parts) -> Self {
        let budget = parts.budget.clone();
        let broker = Broker::new(parts, Now::at(0));
        let mut rig =
            Self { broker, budget, disk: disk.clone(), now_ms: 0, inputs: 0, sent: Vec::new() };
        rig.settle();
        rig
    }

    pub fn handle(&mut self, input: Input) {
        self.inputs += 1;
        self.broker.handle(Now::at(self.now_ms), input);
    }

    /// Lets everything happen that can.
    pub fn settle(&mut self) {
        while self.disk_and_turn() || self.broker.has_work() {
            if self.broker.has_work() {
                self.handle(Input::Continue);
            }
        }
    }

    /// Lets the disk do what is to be done, and the broker have its turns; whether anything was to be
    /// done.
    pub fn disk_and_turn(&mut self) -> bool {
        let mut busy = false;
        loop {
            let mut idle = true;
            while let Some(output) = self.broker.poll() {
                match output {
                    Output::Message { to, message } => self.sent.push((to, message)),
                    Output::Disk(submission) => {
                        idle = false;
                        let sync_id = match &submission.op {
                            Op::WriteSync { sync_id, .. } => Some(*sync_id),
                            _ => None,
                        };
                        let result = self.disk.run(submission.op);
                        self.handle(Input::Completed(Completion { id: submission.id, result }));
                        if let Some(id) = sync_id {
                            let result = Ok(bytes::Bytes::new());
                            self.handle(Input::Completed(Completion { id, result }));
                        }
                    }
                    _ => {}
                }
            }
            if self.broker.wants_turn() {
                self.handle(Input::Turn);
            } else if idle {
                return busy;
            }
            busy = true;
        }
    }

    /// Asks the shard.
    pub fn call<C: Serve>(&mut self, call: C) -> C::Reply {
        let mut reply: Receiver<C::Reply> = self.broker.call(Now::at(self.now_ms), 0, call);
        self.settle();
        block_on(poll_once(&mut reply)).flatten().expect("it is answered")
    }

    /// Connects a client.
    pub fn connect(&mut self) -> ConnectionId {
        let peer = ([127, 0, 0, 1], 1024).into();
        self.broker.accept(Now::at(self.now_ms), peer).expect("there is room for one")
    }

    /// Sends a request.
    pub fn send(
        &mut self,
        connection: ConnectionId,
        (api_key, version): (ApiKey, i16),
        body: impl FnOnce(&mut Writer) -> Result<(), WireError>,
    ) {
        let mut w = Writer::new();
        let header = RequestHeader { api_key, version, correlation_id: 1, client_id: None };
        w.i32(0);
        encode_request(&header, &mut w).unwrap();
        body(&mut w).unwrap();
        w.set_i32(0, w.len() as i32 - 4);
        let frame = w.into_vec();
        let mut rest = &frame[..];
        while !rest.is_empty() {
            let Some(bytes) = self.broker.buffer(connection, |into| into.put(rest)) else {
                // There is none before what was sent earlier is done.
                let before = self.inputs;
                self.handle(Input::Continue);
                self.settle();
                assert!(self.inputs > before + 1, "there is room for its request");
                continue;
            };
            rest = &rest[bytes..];
            self.handle(Input::Received { connection, bytes });
        }
        self.handle(Input::Blocked(connection));
    }

    /// Sends batches for partitions of `t`; their answer is one of version 9.
    pub fn produce(&mut self, connection: ConnectionId, parts: &[(i32, &[u8])]) {
        let partition_data = parts
            .iter()
            .map(|(index, batch)| PartitionProduceData { index: *index, records: Some(batch) })
            .collect();
        let topic = TopicProduceData { name: "t", topic_id: TopicId::ZERO, partition_data };
        let request = ProduceRequest {
            transactional_id: None,
            acks: -1,
            timeout_ms: 1_000,
            topic_data: vec![topic],
        };
        self.send(connection, (ApiKey::PRODUCE, 9), |w| request.encode(w, 9));
    }

    /// What goes out now, and no more.
    pub fn outgoing(&mut self, connection: ConnectionId) -> Vec<u8> {
        let mut all = Vec::new();
        self.broker.outgoing(connection, |parts| parts.for_each(|it| all.extend(it)));
        self.broker.sent(Now::at(self.now_ms), connection, all.len());
        all
    }

    /// What has come back by now: the bytes of all answers.
    pub fn received(&mut self, connection: ConnectionId) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            let before = all.len();
            self.broker.outgoing(connection, |parts| parts.for_each(|it| all.extend(it)));
            if all.len() == before {
                return all;
            }
            self.broker.sent(Now::at(self.now_ms), connection, all.len() - before);
            self.settle();
        }
    }

    /// Sends a request and gives the body of its answer to `read`.
    pub fn ask<T>(
        &mut self,
        connection: ConnectionId,
        (api_key, version): (ApiKey, i16),
        body: impl FnOnce(&mut Writer) -> Result<(), WireError>,
        read: impl FnOnce(&mut Reader<'_>) -> Result<T, WireError>,
    ) -> T {
        self.send(connection, (api_key, version), body);
        self.settle();
        let answer = self.received(connection);
        let mut r = Reader::new(&answer[4..]);
        decode_response(api_key, version, &mut r).unwrap();
        let answer = read(&mut r).unwrap();
        assert_eq!(r.remaining(), 0);
        answer
    }

    /// Commits offsets of a group without members; the first error.
    pub fn commit(
        &mut self,
        group: &str,
        topic: (&str, TopicId),
        partitions: std::ops::Range<i32>,
    ) -> ErrorCode {
        let offset =
            |partition| CommitOffset { partition, offset: 5, leader_epoch: -1, metadata: None };
        let count = partitions.len();
        let request = GroupRequest::Commit(Commit {
            group_id: group.to_owned(),
            generation_id: -1,
            member_id: String::new(),
            group_instance_id: None,
            retention_ms: -1,
            knows_group_id_not_found: true,
            topics: vec![CommitTopic {
                name: topic.0.to_owned(),
                topic_id: topic.1,
                partitions: partitions.map(offset).collect(),
            }],
            producer: None,
        });
        let GroupResponse::Commit(reply) = self.call(AskGroup(GROUPS, request)) else { panic!() };
        let errors = (0..count).map(|it| reply.error_of(0, it));
        errors.into_iter().find(|it| it.is_err()).unwrap_or(ErrorCode::NONE)
    }
}
