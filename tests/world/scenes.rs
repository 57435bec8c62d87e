//! Moments that a seed seldom meets, set up by hand: a disk that stops at the wrong time, a message
//! that is late, memory that is gone and comes back. What must not be seen then is looked for at once.

use crate::process::{self, At, Io, Process, Sizes, Volume, broker_settings};
use crate::roles::EARLIEST;
use bytes::Bytes;
use klamm::broker::{Broker, Input, Phase};
use klamm::client::{ApiRequest, Protocol, Reply};
use klamm::storage::device::sim_disk::{OpKind, Rng, SimDisk};
use klamm::types::{ErrorCode, Now};
use klamm::wire::kafka::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use klamm::wire::kafka::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use klamm::wire::kafka::delete_topics_request::DeleteTopicsRequest;
use klamm::wire::kafka::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use klamm::wire::kafka::find_coordinator_request::FindCoordinatorRequest;
use klamm::wire::kafka::heartbeat_request::HeartbeatRequest;
use klamm::wire::kafka::init_producer_id_request::InitProducerIdRequest;
use klamm::wire::kafka::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use klamm::wire::kafka::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use klamm::wire::kafka::metadata_request::{MetadataRequest, MetadataRequestTopic};
use klamm::wire::kafka::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use klamm::wire::kafka::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use klamm::wire::kafka::produce_request::{PartitionProduceData, ProduceRequest, TopicProduceData};
use klamm::wire::kafka::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use klamm::wire::records::{BatchBuilder, Compression, batches};
use std::cell::Cell;
use std::rc::Rc;

/// Nothing takes longer where nothing is in its way, ms.
const PATIENCE_MS: i64 = 60_000;

/// A broker whose disk and messages are held up at will. Whatever else can happen does, in an order
/// of its own.
struct Scene {
    disk: SimDisk,
    process: Process,
    sizes: Sizes,
    now: Now,
    rng: Rng,
    volume: Rc<Cell<Volume>>,
    /// What the disk does.
    disk_does: fn(OpKind) -> bool,
    /// A way that delivers nothing.
    late: Option<(usize, usize)>,
}

/// A client's connection.
struct Peer {
    at: At,
    protocol: Protocol,
}

fn everything(_: OpKind) -> bool {
    true
}

fn only_reads(kind: OpKind) -> bool {
    kind == OpKind::Read
}

fn no_reads(kind: OpKind) -> bool {
    kind != OpKind::Read
}

impl Scene {
    fn new(seed: u64, shards: usize) -> Self {
        let disk = SimDisk::new(seed);
        let total = 1 << 40;
        let volume = Rc::new(Cell::new(Volume { total, others: 0, reserve: 0 }));
        let sizes = Sizes {
            shards,
            journal_bytes: 1 << 20,
            cache_bytes: 1 << 20,
            read_ahead: 4 << 20,
            reads_at_once: 1 << 20,
            small_bytes: 4096,
            idle_ms: 100,
            logs_a_step: 256,
            max_block: 64 << 10,
            memory: 64 << 20,
            strict: false,
        };
        let now = Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 };
        let mut rng = Rng::new(seed);
        let process = open(&disk, &sizes, &volume, now, &mut rng);
        let (disk_does, late) = (everything as fn(OpKind) -> bool, None);
        Self { disk, process, sizes, now, rng, volume, disk_does, late }
    }

    /// One thing that can happen does; false where nothing can.
    fn step(&mut self) -> bool {
        let now = self.now;
        let may_go = |way: &(usize, usize)| Some(*way) != self.late;
        let way = self.process.ways.iter().find(|(way, queue)| may_go(way) && !queue.is_empty());
        if let Some((from, to)) = way.map(|it| *it.0) {
            self.process.deliver(now, from, to);
            return true;
        }
        let mut io = Vec::new();
        self.process.io(&mut io);
        if let Some(io) = io.into_iter().find(|it| !matches!(it, Io::Answer(_))) {
            self.process.run_io(now, io, &mut self.rng);
            return true;
        }
        for shard in 0..self.process.shards() {
            let broker = &self.process.brokers[shard];
            let input = if broker.has_work() {
                Input::Continue
            } else if broker.wants_turn() {
                Input::Turn
            } else if broker.phase() != Phase::Closed && broker.next_deadline() <= now.monotonic_ms
            {
                Input::Timeout
            } else {
                continue;
            };
            self.process.handle(shard, now, input);
            return true;
        }
        let may = self.disk_does;
        if self.disk.in_flight_of(may) > 0 {
            self.process.complete(now, &mut self.rng, may);
            return true;
        }
        false
    }

    /// All happens that can without time, and as much time passes as it takes, up to `ms`; what
    /// `until` finds.
    fn run<T>(&mut self, ms: i64, mut until: impl FnMut(&mut Self) -> Option<T>) -> Option<T> {
        let end = self.now.monotonic_ms + ms;
        loop {
            if let Some(found) = until(self) {
                return Some(found);
            }
            assert!(self.process.fatal.is_none(), "the broker gives up: {:?}", self.process.fatal);
            if self.step() {
                continue;
            }
            let open = self.process.brokers.iter().filter(|it| it.phase() != Phase::Closed);
            let next = open.map(Broker::next_deadline).min().unwrap_or(i64::MAX);
            let next = next.max(self.now.monotonic_ms + 1);
            if next > end {
                self.pass(end - self.now.monotonic_ms);
                return None;
            }
            self.pass(next - self.now.monotonic_ms);
        }
    }

    fn pass(&mut self, ms: i64) {
        self.now.monotonic_ms += ms;
        self.now.wall_ms += ms;
    }

    /// Lets all happen that can.
    fn rest(&mut self, ms: i64) {
        let nothing: Option<()> = self.run(ms, |_| None);
        assert!(nothing.is_none());
    }

    // ---- Clients ----

    fn connect(&mut self, shard: usize) -> Peer {
        let at = self.process.connect(self.now, 0, shard, false);
        let mut peer = Peer { at, protocol: Protocol::new("scene") };
        let hello = peer.protocol.hello().expect("a request");
        self.process.arrived(at, vec![Bytes::from(hello)]);
        let reply = self.answer(&mut peer, PATIENCE_MS).expect("an answer");
        assert!(peer.protocol.hello_answered(&reply).expect("versions").is_none());
        peer
    }

    fn send<R: ApiRequest>(&mut self, peer: &mut Peer, request: &R) {
        let frame = peer.protocol.request(request, true).expect("a request");
        self.process.arrived(peer.at, vec![Bytes::from(frame)]);
    }

    /// The next answer, if it comes within this time, ms.
    fn answer(&mut self, peer: &mut Peer, ms: i64) -> Option<Reply> {
        let frame = self.run(ms, |it| it.process.take_answer(peer.at))?.1;
        Some(peer.protocol.answered(frame[4..].to_vec()).expect("an answer, in order"))
    }

    fn ask<R: ApiRequest>(&mut self, peer: &mut Peer, request: &R) -> Reply {
        self.send(peer, request);
        self.answer(peer, PATIENCE_MS).expect("an answer")
    }

    // ---- Lives ----

    /// The power goes.
    fn cut_power(&mut self) {
        self.disk.power_cut();
        self.disk.restart();
        self.begin();
    }

    /// A clean end, and the next start.
    fn start_again(&mut self) {
        self.process.begin_end(self.now);
        // Each stage of the end is one call.
        let ends = |it: &mut Self| (0..3).any(|_| it.process.advance_end(it.now)).then_some(());
        self.run(PATIENCE_MS, ends).expect("an end");
        self.process.mark_clean().expect("a mark");
        self.begin();
    }

    fn begin(&mut self) {
        (self.disk_does, self.late) = (everything, None);
        self.process = open(&self.disk, &self.sizes, &self.volume, self.now, &mut self.rng);
    }
}

fn open(
    disk: &SimDisk,
    sizes: &Sizes,
    volume: &Rc<Cell<Volume>>,
    now: Now,
    rng: &mut Rng,
) -> Process {
    process::open(disk, sizes, &broker_settings(1), volume.clone(), now, rng).expect("it opens")
}

// ---- Requests ----

fn creation(name: &str) -> CreateTopicsRequest<'_> {
    CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name,
            num_partitions: 1,
            replication_factor: 1,
            assignments: Vec::new(),
            configs: Vec::new(),
        }],
        timeout_ms: 30_000,
        validate_only: false,
    }
}

fn create(scene: &mut Scene, peer: &mut Peer, name: &str) {
    let reply = scene.ask(peer, &creation(name));
    let response = reply.read::<CreateTopicsRequest<'_>>().expect("an answer");
    assert_eq!(response.topics[0].error_code, 0, "create {name}");
}

/// A record of so many bytes, of a producer at a sequence number, or of none.
fn batch(len: usize, producer: Option<(i64, i32)>) -> Vec<u8> {
    let mut builder = BatchBuilder::new(Compression::None);
    if let Some((id, sequence)) = producer {
        builder = builder.producer(id, 0, sequence);
    }
    builder.push(1_700_000_000_000, None, Some(&vec![7; len]), &[]);
    builder.build()
}

fn production<'a>(topic: &'a str, batch: &'a [u8]) -> ProduceRequest<'a> {
    ProduceRequest {
        transactional_id: None,
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: topic,
            partition_data: vec![PartitionProduceData { index: 0, records: Some(batch) }],
            ..TopicProduceData::default()
        }],
    }
}

/// The error of the answer, and the offset.
fn produced(reply: &Reply) -> (ErrorCode, i64) {
    let response = reply.read::<ProduceRequest<'_>>().expect("an answer");
    let answer = &response.responses[0].partition_responses[0];
    (ErrorCode(answer.error_code), answer.base_offset)
}

fn fetch<'a>(topics: &[(&'a str, i64)], min_bytes: usize, max_wait_ms: i32) -> FetchRequest<'a> {
    let topics = topics.iter().map(|(topic, fetch_offset)| FetchTopic {
        topic,
        partitions: vec![FetchPartition {
            partition: 0,
            current_leader_epoch: -1,
            fetch_offset: *fetch_offset,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            partition_max_bytes: 1 << 20,
            ..FetchPartition::default()
        }],
        ..FetchTopic::default()
    });
    FetchRequest {
        replica_id: -1,
        max_wait_ms,
        min_bytes: min_bytes as i32,
        max_bytes: 50 << 20,
        session_epoch: -1,
        topics: topics.collect(),
        ..FetchRequest::default()
    }
}

/// Bytes of each partition of the answer.
fn fetched(reply: &Reply) -> Vec<usize> {
    let response = reply.read::<FetchRequest<'_>>().expect("an answer");
    let parts = response.responses.iter().flat_map(|it| &it.partitions);
    parts.map(|it| it.records.unwrap_or_default().len()).collect()
}

fn offsets(topic: &str, time: i64) -> ListOffsetsRequest<'_> {
    ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: topic,
            partitions: vec![ListOffsetsPartition {
                timestamp: time,
                ..ListOffsetsPartition::default()
            }],
        }],
        ..ListOffsetsRequest::default()
    }
}

/// Asks for an end of a topic's log.
fn end_of(scene: &mut Scene, peer: &mut Peer, topic: &str, time: i64) -> i64 {
    let reply = scene.ask(peer, &offsets(topic, time));
    let response = reply.read::<ListOffsetsRequest<'_>>().expect("an answer");
    let answer = &response.topics[0].partitions[0];
    assert_eq!(answer.error_code, 0);
    answer.offset
}

fn producer_id() -> InitProducerIdRequest<'static> {
    InitProducerIdRequest {
        transactional_id: None,
        transaction_timeout_ms: i32::MAX,
        producer_id: -1,
        producer_epoch: -1,
        ..InitProducerIdRequest::default()
    }
}

fn id_given(reply: &Reply) -> i64 {
    let response = reply.read::<InitProducerIdRequest<'_>>().expect("an answer");
    assert_eq!(response.error_code, 0);
    response.producer_id
}

/// A member of group `g`.
struct Static {
    instance: &'static str,
    id: String,
    generation: i32,
    peer: Peer,
}

impl Static {
    fn new(scene: &mut Scene, instance: &'static str) -> Self {
        Self { instance, id: String::new(), generation: -1, peer: scene.connect(0) }
    }

    fn send_join(&mut self, scene: &mut Scene) {
        let request = JoinGroupRequest {
            group_id: "g",
            session_timeout_ms: 30_000,
            rebalance_timeout_ms: 30_000,
            member_id: &self.id,
            group_instance_id: Some(self.instance),
            protocol_type: "consumer",
            protocols: vec![JoinGroupRequestProtocol { name: "range", metadata: b"any" }],
            reason: None,
        };
        scene.send(&mut self.peer, &request);
    }

    /// Takes the answer: the members that it is to assign something, if it leads.
    fn joined(&mut self, scene: &mut Scene) -> Vec<String> {
        let reply = scene.answer(&mut self.peer, PATIENCE_MS).expect("an answer");
        let response = reply.read::<JoinGroupRequest<'_>>().expect("an answer");
        assert_eq!(response.error_code, 0, "{} joins", self.instance);
        response.member_id.clone_into(&mut self.id);
        self.generation = response.generation_id;
        if response.skip_assignment {
            return Vec::new();
        }
        response.members.iter().map(|it| it.member_id.to_owned()).collect()
    }

    fn send_sync(&mut self, scene: &mut Scene, members: &[String]) {
        let assignments = members.iter().map(|member_id| SyncGroupRequestAssignment {
            member_id,
            // Who it is without what makes the id its own.
            assignment: &member_id.as_bytes()[..1],
        });
        let request = SyncGroupRequest {
            group_id: "g",
            generation_id: self.generation,
            member_id: &self.id,
            group_instance_id: Some(self.instance),
            protocol_type: Some("consumer"),
            protocol_name: Some("range"),
            assignments: assignments.collect(),
        };
        scene.send(&mut self.peer, &request);
    }

    fn synced(&mut self, scene: &mut Scene) {
        let reply = scene.answer(&mut self.peer, PATIENCE_MS).expect("an answer");
        let response = reply.read::<SyncGroupRequest<'_>>().expect("an answer");
        assert_eq!(response.error_code, 0, "{} syncs", self.instance);
        assert_eq!(response.assignment, &self.instance.as_bytes()[..1]);
    }

    fn beat(&mut self, scene: &mut Scene) -> ErrorCode {
        let request = HeartbeatRequest {
            group_id: "g",
            generation_id: self.generation,
            member_id: &self.id,
            group_instance_id: Some(self.instance),
        };
        let reply = scene.ask(&mut self.peer, &request);
        ErrorCode(reply.read::<HeartbeatRequest<'_>>().expect("an answer").error_code)
    }

    /// What it was goes on, beside what takes its place.
    fn restarts(&mut self, scene: &mut Scene) -> Self {
        let new = Self::new(scene, self.instance);
        std::mem::replace(self, new)
    }
}

// ---- Scenes ----

/// A static member is restarted: nobody else notices, what it was is fenced, and a power cut changes
/// none of that.
#[test]
fn a_static_member_comes_back_without_a_rebalance() {
    let mut scene = Scene::new(7, 2);
    let mut client = scene.connect(1);
    find_group(&mut scene, &mut client);
    let mut members = ["a", "b"].map(|it| Static::new(&mut scene, it));
    members.iter_mut().for_each(|it| it.send_join(&mut scene));
    let told: Vec<_> = members.iter_mut().map(|it| it.joined(&mut scene)).collect();
    for (member, told) in members.iter_mut().zip(&told) {
        member.send_sync(&mut scene, told);
    }
    members.iter_mut().for_each(|it| it.synced(&mut scene));
    let generation = members[0].generation;
    for it in 0..2 {
        let mut former = members[it].restarts(&mut scene);
        members[it].send_join(&mut scene);
        assert!(members[it].joined(&mut scene).is_empty(), "all keep what they have");
        members[it].send_sync(&mut scene, &[]);
        members[it].synced(&mut scene);
        let beats = members.each_mut().map(|it| it.beat(&mut scene));
        assert_eq!(beats, [ErrorCode::NONE; 2], "there is no rebalance");
        assert_eq!(members.each_ref().map(|it| it.generation), [generation; 2]);
        assert_eq!(former.beat(&mut scene), ErrorCode::FENCED_INSTANCE_ID);
        scene.cut_power();
        let mut client = scene.connect(1);
        find_group(&mut scene, &mut client);
        for member in members.iter_mut().chain([&mut former]) {
            member.peer = scene.connect(0);
        }
        assert_eq!(members.each_mut().map(|it| it.beat(&mut scene)), [ErrorCode::NONE; 2]);
        assert_eq!(former.beat(&mut scene), ErrorCode::FENCED_INSTANCE_ID);
    }
}

/// A write of a segment goes to another place of its file, and the disk says that all is well.
#[test]
fn a_misdirected_write_is_told_and_others_are_served() {
    let mut told = 0;
    for seed in 0..40 {
        let mut scene = Scene::new(seed, 1);
        scene.sizes.cache_bytes = 0;
        let mut client = scene.connect(0);
        for topic in ["a", "b"] {
            create(&mut scene, &mut client, topic);
        }
        let batch = batch(10_000, None);
        for topic in ["a", "b"] {
            for offset in 0..5 {
                let reply = scene.ask(&mut client, &production(topic, &batch));
                assert_eq!(produced(&reply), (ErrorCode::NONE, offset));
            }
        }
        scene.disk.misdirect("topics/", seed % 4, 4096 * (1 + seed % 8));
        scene.start_again();
        let mut client = scene.connect(0);
        let mut errors = 0;
        for topic in ["a", "b"] {
            let mut offset = 0;
            while offset < 5 {
                let reply = scene.ask(&mut client, &fetch(&[(topic, offset)], 1, 1000));
                let response = reply.read::<FetchRequest<'_>>().expect("an answer");
                let data = &response.responses[0].partitions[0];
                match ErrorCode(data.error_code) {
                    ErrorCode::NONE => {}
                    ErrorCode::KAFKA_STORAGE_ERROR => {
                        errors += 1;
                        break;
                    }
                    error => panic!("seed {seed}: {error}"),
                }
                let found: Vec<_> = batches(data.records.unwrap_or_default()).collect();
                assert!(!found.is_empty(), "seed {seed}: an answer without records");
                for (header, bytes) in found {
                    assert_eq!(header.base_offset, offset, "seed {seed}");
                    // All but the offset, the epoch and what is not checked.
                    assert_eq!(bytes[17..], batch[17..], "seed {seed}: other bytes");
                    offset += 1;
                }
            }
        }
        assert!(errors < 2, "seed {seed}: one write went astray, and no log can be read");
        told += errors;
        let reply = scene.ask(&mut client, &production("b", &batch));
        assert_eq!(produced(&reply).0, ErrorCode::NONE);
    }
    assert!(told > 0, "no write has gone astray");
}

/// A broker that cannot open what is there, because it rotted or a later version wrote it, leaves the
/// directory to one that can: the metadata, too, stays byte for byte what it was.
#[test]
fn a_refused_start_changes_nothing() {
    let mut scene = Scene::new(3, 1);
    let mut client = scene.connect(0);
    create(&mut scene, &mut client, "t");
    // A later block says of an earlier one that it was durable.
    for offset in 0..5 {
        let reply = scene.ask(&mut client, &production("t", &batch(1_000, None)));
        assert_eq!(produced(&reply), (ErrorCode::NONE, offset));
    }
    scene.disk.process_crash();
    scene.disk.restart();
    for rotten in ["MANIFEST", "checkpoint/", "journal/"] {
        let sound = scene.disk.snapshot();
        let files = scene.disk.files();
        let (path, _) = files.iter().find(|(it, _)| it.starts_with(rotten)).expect("a file");
        assert!(scene.disk.flip(path, 20, 1));
        let disk = scene.disk.clone();
        let all = || disk.files().into_iter().map(|(it, _)| (disk.contents(&it), it));
        let before: Vec<_> = all().collect();
        let Scene { sizes, volume, now, rng, .. } = &mut scene;
        let opened = process::open(&disk, sizes, &broker_settings(1), volume.clone(), *now, rng);
        assert!(opened.is_err(), "{path} is rotten");
        let changed: Vec<_> = all().zip(&before).filter(|(a, b)| a != *b).collect();
        assert!(changed.is_empty() && all().count() == before.len(), "{path}: {changed:?}");
        scene.disk.restore(sound);
    }
    scene.begin();
    let mut client = scene.connect(0);
    assert_eq!(end_of(&mut scene, &mut client, "t", -1), 5);
}

/// While a Fetch reads one log from the disk, the other that it waits for grows, and then nobody
/// writes any more.
#[test]
fn what_is_appended_during_a_cold_read_is_heard_of() {
    let mut scene = Scene::new(1, 1);
    scene.sizes.cache_bytes = 0;
    let mut writer = scene.connect(0);
    let old = batch(20_000, None);
    for topic in ["a", "b"] {
        create(&mut scene, &mut writer, topic);
    }
    assert_eq!(produced(&scene.ask(&mut writer, &production("b", &old))), (ErrorCode::NONE, 0));
    scene.start_again();
    let (mut reader, mut writer) = (scene.connect(0), scene.connect(0));
    // What is on the disk is not enough; a little of the other log is.
    scene.disk_does = no_reads;
    let request = fetch(&[("a", 0), ("b", 0)], old.len() + 10, 30_000);
    scene.send(&mut reader, &request);
    assert!(scene.answer(&mut reader, 0).is_none(), "nothing is read yet");
    assert!(scene.disk.in_flight_of(only_reads) > 0, "the log is read from the disk");
    let new = batch(100, None);
    assert_eq!(produced(&scene.ask(&mut writer, &production("a", &new))), (ErrorCode::NONE, 0));
    assert!(scene.answer(&mut reader, 0).is_none(), "nothing is read yet");
    scene.disk_does = everything;
    let reply = scene.answer(&mut reader, 1000).expect("an answer long before the time is over");
    assert_eq!(fetched(&reply), [new.len(), old.len()]);
}

/// A Fetch whose first partition may take all the room, and the disk has only little of it.
#[test]
fn what_a_cold_partition_leaves_of_the_room_is_given_to_the_next() {
    let mut scene = Scene::new(13, 1);
    let mut client = scene.connect(0);
    let batches = [("a", batch(100, None)), ("b", batch(100_000, None))];
    for (topic, batch) in &batches {
        create(&mut scene, &mut client, topic);
        let reply = scene.ask(&mut client, &production(topic, batch));
        assert_eq!(produced(&reply), (ErrorCode::NONE, 0));
    }
    scene.start_again();
    let mut client = scene.connect(0);
    let request =
        FetchRequest { max_bytes: 1 << 20, ..fetch(&[("a", 0), ("b", 0)], 50_000, 30_000) };
    scene.disk_does = no_reads;
    scene.send(&mut client, &request);
    assert!(scene.answer(&mut client, 0).is_none(), "nothing is read yet");
    scene.disk_does = everything;
    let reply = scene.answer(&mut client, 1000).expect("it waits for what is there");
    assert_eq!(fetched(&reply), batches.map(|(_, batch)| batch.len()));
}

/// While a search by time reads from the disk, all that it looks through is deleted.
#[test]
fn a_search_by_time_outlives_what_it_looks_through() {
    let mut scene = Scene::new(8, 1);
    scene.sizes.cache_bytes = 0;
    let mut client = scene.connect(0);
    create(&mut scene, &mut client, "a");
    for offset in 0..3 {
        let reply = scene.ask(&mut client, &production("a", &batch(20_000, None)));
        assert_eq!(produced(&reply), (ErrorCode::NONE, offset));
    }
    scene.start_again();
    let (mut searcher, mut admin) = (scene.connect(0), scene.connect(0));
    scene.disk_does = no_reads;
    scene.send(&mut searcher, &offsets("a", 1_600_000_000_000));
    assert!(scene.answer(&mut searcher, 0).is_none(), "nothing is read yet");
    assert!(scene.disk.in_flight_of(only_reads) > 0, "the log is read from the disk");
    let delete = DeleteRecordsRequest {
        topics: vec![DeleteRecordsTopic {
            name: "a",
            partitions: vec![DeleteRecordsPartition { partition_index: 0, offset: -1 }],
        }],
        timeout_ms: 30_000,
    };
    let reply = scene.ask(&mut admin, &delete);
    let response = reply.read::<DeleteRecordsRequest<'_>>().expect("an answer");
    let answer = &response.topics[0].partitions[0];
    assert_eq!((answer.error_code, answer.low_watermark), (0, 3));
    scene.disk_does = everything;
    let reply = scene.answer(&mut searcher, PATIENCE_MS).expect("an answer");
    let response = reply.read::<ListOffsetsRequest<'_>>().expect("an answer");
    assert_eq!(response.topics[0].partitions[0].error_code, 0);
}

/// A message between shards is late while a topic is created.
#[test]
fn whoever_is_told_of_a_topic_finds_it_on_every_shard() {
    let mut scene = Scene::new(2, 2);
    let (mut admin, mut other) = (scene.connect(0), scene.connect(1));
    scene.late = Some((0, 1));
    scene.send(&mut admin, &creation("a"));
    let early = scene.answer(&mut admin, 1000);
    let question = MetadataRequest {
        topics: Some(vec![MetadataRequestTopic {
            name: Some("a"),
            ..MetadataRequestTopic::default()
        }]),
        allow_auto_topic_creation: false,
        ..MetadataRequest::default()
    };
    // What is known here needs no message of the other shard.
    scene.send(&mut other, &question);
    let known = scene.answer(&mut other, 1000);
    scene.late = None;
    let known = known.or_else(|| scene.answer(&mut other, PATIENCE_MS)).expect("an answer");
    let response = known.read::<MetadataRequest<'_>>().expect("an answer");
    let found = ErrorCode(response.topics[0].error_code);
    assert!(
        early.is_none() || found == ErrorCode::NONE,
        "a topic was created, and another shard says {found}"
    );
    let reply = early.or_else(|| scene.answer(&mut admin, PATIENCE_MS)).expect("an answer");
    let response = reply.read::<CreateTopicsRequest<'_>>().expect("an answer");
    assert_eq!(response.topics[0].error_code, 0);
}

/// The disk stops while producer ids are given out, and then the power goes.
#[test]
fn a_producer_id_is_not_given_out_again_after_a_power_cut() {
    for seed in 0..20 {
        let mut scene = Scene::new(seed, 1);
        let mut client = scene.connect(0);
        scene.disk_does = only_reads;
        scene.send(&mut client, &producer_id());
        let first = scene.answer(&mut client, 1000).map(|it| id_given(&it));
        scene.cut_power();
        let mut client = scene.connect(0);
        let second = id_given(&scene.ask(&mut client, &producer_id()));
        assert_ne!(first, Some(second), "seed {seed}");
    }
}

/// Memory is gone, and comes back between two batches of one producer.
#[test]
fn an_append_does_not_overtake_one_that_waits_for_room() {
    let mut scene = Scene::new(4, 1);
    let mut client = scene.connect(0);
    create(&mut scene, &mut client, "a");
    let id = id_given(&scene.ask(&mut client, &producer_id()));
    let batches = [0, 1, 2].map(|it| batch(100, Some((id, it))));
    // One is on its way to the disk: nobody is let in without memory then.
    scene.disk_does = only_reads;
    scene.send(&mut client, &production("a", &batches[0]));
    assert!(scene.answer(&mut client, 0).is_none(), "it is not durable");
    let budget = scene.process.budget.clone();
    let others = budget.left() - budget.limit() / 32;
    budget.charge(others);
    scene.send(&mut client, &production("a", &batches[1]));
    assert!(scene.answer(&mut client, 0).is_none(), "there is no memory for it");
    budget.release(others);
    // Nothing tells the shard of it but the next request.
    scene.send(&mut client, &production("a", &batches[2]));
    assert!(scene.answer(&mut client, 0).is_none(), "it is not durable");
    scene.disk_does = everything;
    for offset in 0..3 {
        let reply = scene.answer(&mut client, PATIENCE_MS).expect("an answer");
        assert_eq!(produced(&reply), (ErrorCode::NONE, offset));
    }
}

/// Others take the memory, the journal has room, and no log is idle for an hour: what is pending is written
/// back all the same.
#[test]
fn what_is_pending_makes_room_in_memory() {
    let mut scene = Scene::new(9, 1);
    scene.sizes = Sizes {
        journal_bytes: 256 << 20,
        cache_bytes: 0,
        small_bytes: 8 << 20,
        idle_ms: 3_600_000,
        memory: 4 << 20,
        ..scene.sizes
    };
    scene.start_again();
    let mut client = scene.connect(0);
    create(&mut scene, &mut client, "a");
    let batch = batch(20_000, None);
    for offset in 0..10 {
        let reply = scene.ask(&mut client, &production("a", &batch));
        assert_eq!(produced(&reply), (ErrorCode::NONE, offset));
    }
    scene.rest(5000);
    assert!(scene.process.brokers[0].pending() > 0, "nothing is pending");
    let budget = scene.process.budget.clone();
    let others = budget.left() - budget.limit() / 32;
    budget.charge(others);
    let made = scene.run(5000, |it| {
        let room = budget.left() >= budget.limit() / 16;
        (it.process.brokers[0].pending() == 0 && room).then_some(())
    });
    assert!(made.is_some(), "it waits for the log to be idle");
    let reply = scene.ask(&mut client, &fetch(&[("a", 0)], 1, 30_000));
    assert!(fetched(&reply)[0] > 0, "an answer without records");
    budget.release(others);
}

/// A few large batches stay in memory behind their readers, until there is none left: the next reader gets
/// what they have.
#[test]
fn what_was_read_makes_room_in_memory() {
    let mut scene = Scene::new(12, 1);
    scene.sizes = Sizes { journal_bytes: 64 << 20, memory: 3 << 20, ..scene.sizes };
    scene.start_again();
    let mut client = scene.connect(0);
    create(&mut scene, &mut client, "a");
    let batch = batch(1_000_000, None);
    for offset in 0..8 {
        let reply = scene.ask(&mut client, &production("a", &batch));
        assert_eq!(produced(&reply), (ErrorCode::NONE, offset));
    }
    scene.start_again();
    let mut client = scene.connect(0);
    for offset in 0..8 {
        scene.send(&mut client, &fetch(&[("a", offset)], 1, 30_000));
        let reply = scene.answer(&mut client, 2000).expect("it waits for memory");
        assert!(fetched(&reply)[0] > 0, "an answer without records");
    }
}

/// Batches that decompress to much are checked in steps: what comes behind on their connection waits for
/// them. That no input takes too many steps is asserted of each.
#[test]
fn nothing_overtakes_a_batch_that_takes_long_to_check() {
    let mut scene = Scene::new(11, 2);
    scene.sizes.strict = true;
    scene.start_again();
    let (mut client, mut other) = (scene.connect(0), scene.connect(0));
    create(&mut scene, &mut client, "a");
    create(&mut scene, &mut client, "b");
    let mut large = BatchBuilder::new(Compression::Zstd);
    large.push(1_700_000_000_000, None, Some(&vec![0; 16 << 20]), &[]);
    let large = large.build();
    let (small, mut bad) = (batch(100, None), large.clone());
    let last = bad.len() - 1;
    bad[last] ^= 1;
    for round in 0..2 {
        scene.send(&mut client, &production("a", &small));
        scene.send(&mut client, &production("a", &large));
        scene.send(&mut client, &production("a", &bad));
        scene.send(&mut client, &production("a", &small));
        scene.send(&mut client, &offsets("a", crate::roles::LATEST));
        scene.send(&mut other, &production("b", &small));
        let reply = scene.answer(&mut other, PATIENCE_MS).expect("an answer");
        assert_eq!(produced(&reply), (ErrorCode::NONE, round));
        let reply = scene.answer(&mut client, PATIENCE_MS).expect("an answer");
        assert_eq!(produced(&reply), (ErrorCode::NONE, 3 * round));
        let expected = [
            (ErrorCode::NONE, 3 * round + 1),
            (ErrorCode::CORRUPT_MESSAGE, -1),
            (ErrorCode::NONE, 3 * round + 2),
        ];
        for expected in expected {
            let reply = scene.answer(&mut client, PATIENCE_MS).expect("an answer");
            assert_eq!(produced(&reply), expected);
        }
        let reply = scene.answer(&mut client, PATIENCE_MS).expect("an answer");
        let response = reply.read::<ListOffsetsRequest<'_>>().expect("an answer");
        assert_eq!(response.topics[0].partitions[0].offset, 3 * round + 3);
    }
}

/// A batch is sent again on another connection while the disk has not written the first, and then
/// the power goes.
#[test]
fn a_batch_sent_again_is_acknowledged_no_sooner_than_the_first() {
    for seed in 0..20 {
        let mut scene = Scene::new(seed, 1);
        let mut client = scene.connect(0);
        create(&mut scene, &mut client, "a");
        let id = id_given(&scene.ask(&mut client, &producer_id()));
        let batch = batch(100, Some((id, 0)));
        let mut again = scene.connect(0);
        scene.disk_does = only_reads;
        scene.send(&mut client, &production("a", &batch));
        assert!(scene.answer(&mut client, 0).is_none(), "it is not durable");
        scene.send(&mut again, &production("a", &batch));
        let told = scene.answer(&mut again, 1000).map(|it| produced(&it));
        scene.cut_power();
        let mut client = scene.connect(0);
        let end = end_of(&mut scene, &mut client, "a", crate::roles::LATEST);
        assert!(told.is_none() || end == 1, "seed {seed}: {told:?}, and the log ends at {end}");
    }
}

/// A topic is deleted and made again under its name, with and without a start in between.
#[test]
fn a_new_topic_has_no_offsets_of_the_old_one() {
    for restarts in [false, true] {
        let mut scene = Scene::new(6, 2);
        let mut client = scene.connect(0);
        create(&mut scene, &mut client, "a");
        find_group(&mut scene, &mut client);
        let commit = OffsetCommitRequest {
            group_id: "g",
            generation_id_or_member_epoch: -1,
            topics: vec![OffsetCommitRequestTopic {
                name: "a",
                partitions: vec![OffsetCommitRequestPartition {
                    committed_offset: 7,
                    committed_leader_epoch: -1,
                    ..OffsetCommitRequestPartition::default()
                }],
                ..OffsetCommitRequestTopic::default()
            }],
            ..OffsetCommitRequest::default()
        };
        let reply = scene.ask(&mut client, &commit);
        let response = reply.read::<OffsetCommitRequest<'_>>().expect("an answer");
        assert_eq!(response.topics[0].partitions[0].error_code, 0);
        assert_eq!(committed(&mut scene, &mut client), 7);
        let delete = DeleteTopicsRequest {
            topic_names: vec!["a"],
            timeout_ms: 30_000,
            ..DeleteTopicsRequest::default()
        };
        let reply = scene.ask(&mut client, &delete);
        let response = reply.read::<DeleteTopicsRequest<'_>>().expect("an answer");
        assert_eq!(response.responses[0].error_code, 0);
        if restarts {
            scene.start_again();
            client = scene.connect(0);
        }
        create(&mut scene, &mut client, "a");
        assert_eq!(committed(&mut scene, &mut client), -1, "restarts: {restarts}");
        assert_eq!(end_of(&mut scene, &mut client, "a", EARLIEST), 0);
    }
}

/// Waits until group `g` has a coordinator that serves.
fn find_group(scene: &mut Scene, client: &mut Peer) {
    let find =
        FindCoordinatorRequest { coordinator_keys: vec!["g"], ..FindCoordinatorRequest::default() };
    for _ in 0..100 {
        let reply = scene.ask(client, &find);
        let response = reply.read::<FindCoordinatorRequest<'_>>().expect("an answer");
        if response.coordinators[0].error_code == 0 {
            return scene.rest(200);
        }
        scene.rest(100);
    }
    panic!("no coordinator");
}

/// What group `g` has committed of `a`.
fn committed(scene: &mut Scene, client: &mut Peer) -> i64 {
    let request = OffsetFetchRequest {
        groups: vec![OffsetFetchRequestGroup {
            group_id: "g",
            member_epoch: -1,
            topics: Some(vec![OffsetFetchRequestTopics {
                name: "a",
                partition_indexes: vec![0],
                ..OffsetFetchRequestTopics::default()
            }]),
            ..OffsetFetchRequestGroup::default()
        }],
        ..OffsetFetchRequest::default()
    };
    for _ in 0..100 {
        let reply = scene.ask(client, &request);
        let response = reply.read::<OffsetFetchRequest<'_>>().expect("an answer");
        let group = &response.groups[0];
        if group.error_code == 0 {
            return group.topics[0].partitions[0].committed_offset;
        }
        scene.rest(100);
    }
    panic!("the group's offsets are never told");
}
