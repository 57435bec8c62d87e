//! A broker in memory that does wrong what it is told to: what a bench must find out.

use klamm::wire::api_keys::ApiKey;
use klamm::wire::header;
use klamm::wire::kafka as k;
use klamm::wire::records::set_offset_and_epoch;
use klamm::wire::{Reader, Writer};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What goes wrong, counted in batches over all partitions, the first one being 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// This batch is acknowledged and not stored.
    Drop(u64),
    /// This batch is stored twice.
    Duplicate(u64),
    /// This batch is stored after the one that follows it.
    Swap(u64),
    /// A bit of this batch flips.
    Flip(u64),
    /// Before this batch is answered, nothing happens for so long.
    Stall(u64, Duration),
    /// At this batch, all connections end, and no new one is answered.
    Vanish(u64),
    /// From this batch on, nothing is answered.
    Silent(u64),
    /// Nobody leads a partition until so many requests for offsets were refused.
    LateLeader(u64),
}

#[derive(Default)]
struct Partition {
    /// Base offset and bytes.
    log: Vec<(i64, Vec<u8>)>,
    end: i64,
    /// A batch that waits for the next one.
    held: Option<Vec<u8>>,
}

#[derive(Default)]
struct State {
    topics: BTreeMap<String, Vec<Partition>>,
    batches: u64,
    /// Requests for offsets.
    asked: u64,
    /// Topics that were deleted.
    deleted: Vec<String>,
    sockets: Vec<TcpStream>,
    gone: bool,
}

struct Broker {
    fault: Fault,
    port: u16,
    state: Mutex<State>,
    changed: Condvar,
}

/// A broker that runs until the test ends.
pub struct Fake(Arc<Broker>);

const APIS: [(ApiKey, i16, i16); 7] = [
    (ApiKey::PRODUCE, 3, 9),
    (ApiKey::FETCH, 4, 12),
    (ApiKey::LIST_OFFSETS, 1, 6),
    (ApiKey::METADATA, 4, 9),
    (ApiKey::API_VERSIONS, 0, 3),
    (ApiKey::CREATE_TOPICS, 2, 5),
    (ApiKey::DELETE_TOPICS, 1, 4),
];

impl Fake {
    /// Starts one on a port of its own.
    pub fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (state, changed) = (Mutex::default(), Condvar::new());
        let broker = Arc::new(Broker { fault, port, state, changed });
        let this = Self(Arc::clone(&broker));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                stream.set_nodelay(true).expect("a socket");
                let mut state = broker.state();
                if state.gone {
                    continue;
                }
                state.sockets.push(stream.try_clone().expect("a socket"));
                drop(state);
                let broker = Arc::clone(&broker);
                std::thread::spawn(move || broker.serve(stream));
            }
        });
        this
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.0.port)
    }

    /// Topics that were deleted.
    pub fn deleted(&self) -> Vec<String> {
        self.0.state().deleted.clone()
    }

    /// Records that a topic holds.
    pub fn records(&self, topic: &str) -> i64 {
        self.0.state().topics[topic].iter().map(|p| p.end).sum()
    }
}

impl Broker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: TcpStream) {
        loop {
            let mut prefix = [0; 4];
            if stream.read_exact(&mut prefix).is_err() {
                return;
            }
            let mut frame = vec![0; u32::from_be_bytes(prefix) as usize];
            if stream.read_exact(&mut frame).is_err() {
                return;
            }
            let mut r = Reader::new(&frame);
            let head = header::decode_request(&mut r).expect("a request");
            let mut w = Writer::new();
            w.i32(0);
            header::encode_response(head.api_key, head.version, head.correlation_id, &mut w);
            if self.answer(head.api_key, head.version, &mut r, &mut w) {
                w.set_i32(0, (w.len() - 4) as i32);
                if stream.write_all(w.as_slice()).is_err() {
                    return;
                }
            }
        }
    }

    /// Writes the answer; false if there is none.
    fn answer(&self, key: ApiKey, version: i16, r: &mut Reader<'_>, w: &mut Writer) -> bool {
        match key {
            ApiKey::API_VERSIONS => versions(w, version),
            ApiKey::METADATA => self.metadata(r, w, version),
            ApiKey::CREATE_TOPICS => self.create(r, w, version),
            ApiKey::DELETE_TOPICS => self.delete(r, w, version),
            ApiKey::LIST_OFFSETS => self.offsets(r, w, version),
            ApiKey::PRODUCE => return self.produce(r, w, version),
            ApiKey::FETCH => self.fetch(r, w, version),
            other => panic!("{other} was not offered"),
        }
        true
    }

    fn metadata(&self, r: &mut Reader<'_>, w: &mut Writer, version: i16) {
        use k::metadata_response as m;
        let request = k::metadata_request::MetadataRequest::decode(r, version).expect("Metadata");
        let state = self.state();
        let names: Vec<&str> = match &request.topics {
            Some(topics) => topics.iter().filter_map(|t| t.name).collect(),
            None => state.topics.keys().map(String::as_str).collect(),
        };
        let topics = names.into_iter().map(|name| {
            let count = state.topics.get(name).map(Vec::len);
            let partitions = (0..count.unwrap_or(0)).map(|i| m::MetadataResponsePartition {
                partition_index: i as i32,
                leader_id: 1,
                replica_nodes: vec![1],
                isr_nodes: vec![1],
                ..Default::default()
            });
            m::MetadataResponseTopic {
                name: Some(name),
                error_code: if count.is_some() { 0 } else { 3 },
                partitions: partitions.collect(),
                ..Default::default()
            }
        });
        let response = m::MetadataResponse {
            brokers: vec![m::MetadataResponseBroker {
                node_id: 1,
                host: "127.0.0.1",
                port: i32::from(self.port),
                ..Default::default()
            }],
            controller_id: 1,
            topics: topics.collect(),
            ..Default::default()
        };
        response.encode(w, version).expect("encodes");
    }

    fn create(&self, r: &mut Reader<'_>, w: &mut Writer, version: i16) {
        use k::create_topics_response as c;
        let request =
            k::create_topics_request::CreateTopicsRequest::decode(r, version).expect("a topic");
        let mut state = self.state();
        for topic in &request.topics {
            let partitions = (0..topic.num_partitions.max(1)).map(|_| Partition::default());
            state.topics.insert(topic.name.to_owned(), partitions.collect());
        }
        let results = request
            .topics
            .iter()
            .map(|t| c::CreatableTopicResult { name: t.name, ..Default::default() });
        let response = c::CreateTopicsResponse { topics: results.collect(), ..Default::default() };
        response.encode(w, version).expect("encodes");
    }

    fn delete(&self, r: &mut Reader<'_>, w: &mut Writer, version: i16) {
        use k::delete_topics_response as d;
        let request =
            k::delete_topics_request::DeleteTopicsRequest::decode(r, version).expect("a topic");
        let mut state = self.state();
        for name in &request.topic_names {
            state.topics.remove(*name);
            state.deleted.push((*name).to_owned());
        }
        let results = request
            .topic_names
            .iter()
            .map(|name| d::DeletableTopicResult { name: Some(name), ..Default::default() });
        let response =
            d::DeleteTopicsResponse { responses: results.collect(), ..Default::default() };
        response.encode(w, version).expect("encodes");
    }

    fn offsets(&self, r: &mut Reader<'_>, w: &mut Writer, version: i16) {
        use k::list_offsets_response as l;
        let request =
            k::list_offsets_request::ListOffsetsRequest::decode(r, version).expect("offsets");
        let mut state = self.state();
        state.asked += 1;
        let error_code = self.leader_error(&state);
        let topics = request.topics.iter().map(|t| {
            let partitions = t.partitions.iter().map(|p| l::ListOffsetsPartitionResponse {
                partition_index: p.partition_index,
                error_code,
                offset: match p.timestamp {
                    -2 => 0,
                    _ => state.topics[t.name][p.partition_index as usize].end,
                },
                ..Default::default()
            });
            l::ListOffsetsTopicResponse { name: t.name, partitions: partitions.collect() }
        });
        let response = l::ListOffsetsResponse { topics: topics.collect(), ..Default::default() };
        response.encode(w, version).expect("encodes");
    }

    /// Whether the broker knows that it leads.
    fn leader_error(&self, state: &State) -> i16 {
        let late = matches!(self.fault, Fault::LateLeader(n) if state.asked <= n);
        i16::from(late) * 6
    }

    fn produce(&self, r: &mut Reader<'_>, w: &mut Writer, version: i16) -> bool {
        use k::produce_response as p;
        let request =
            k::produce_request::ProduceRequest::decode(r, version).expect("a Produce request");
        let mut state = self.state();
        let error_code = self.leader_error(&state);
        let mut topics = Vec::new();
        for topic in &request.topic_data {
            let mut answers = Vec::new();
            for data in &topic.partition_data {
                let number = state.batches;
                state.batches += 1;
                match self.fault {
                    // A stall of the whole broker: nobody gets the lock.
                    Fault::Stall(n, time) if n == number => std::thread::sleep(time),
                    Fault::Vanish(n) if number >= n => {
                        state.gone = true;
                        for socket in state.sockets.drain(..) {
                            let _ = socket.shutdown(Shutdown::Both);
                        }
                        return false;
                    }
                    Fault::Silent(n) if number >= n => return false,
                    _ => {}
                }
                let partitions = state.topics.get_mut(topic.name).expect("a topic");
                let partition = &mut partitions[data.index as usize];
                let base_offset =
                    self.store(partition, number, data.records.expect("a batch").to_vec());
                answers.push(p::PartitionProduceResponse {
                    index: data.index,
                    error_code,
                    base_offset,
                    ..Default::default()
                });
            }
            topics.push(p::TopicProduceResponse {
                name: topic.name,
                partition_responses: answers,
                ..Default::default()
            });
        }
        drop(state);
        self.changed.notify_all();
        let response = p::ProduceResponse { responses: topics, ..Default::default() };
        response.encode(w, version).expect("encodes");
        request.acks != 0
    }

    /// Returns the offset that is acknowledged.
    fn store(&self, partition: &mut Partition, number: u64, mut batch: Vec<u8>) -> i64 {
        let acknowledged = partition.end;
        match self.fault {
            Fault::Drop(n) if n == number => return acknowledged,
            Fault::Swap(n) if n == number => {
                partition.held = Some(batch);
                return acknowledged;
            }
            Fault::Flip(n) if n == number => batch[70] ^= 1,
            _ => {}
        }
        append(partition, batch.clone());
        if self.fault == Fault::Duplicate(number) {
            append(partition, batch);
        }
        if let Some(held) = partition.held.take() {
            append(partition, held);
        }
        acknowledged
    }

    fn fetch(&self, r: &mut Reader<'_>, w: &mut Writer, version: i16) {
        use k::fetch_response as f;
        let request = k::fetch_request::FetchRequest::decode(r, version).expect("a Fetch");
        let deadline = Instant::now() + Duration::from_millis(request.max_wait_ms.max(0) as u64);
        let mut state = self.state();
        loop {
            let has_data = request.topics.iter().any(|t| {
                t.partitions.iter().any(|p| {
                    // A topic that is deleted meanwhile needs no waiting for.
                    let of = state.topics.get(t.topic).map(|t| &t[p.partition as usize]);
                    of.is_none_or(|partition| partition.end > p.fetch_offset)
                })
            });
            let left = deadline.saturating_duration_since(Instant::now());
            if has_data || left.is_zero() {
                break;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .map_or_else(|e| e.into_inner().0, |(state, _)| state);
        }
        let mut found: Vec<Vec<(i32, i64, Vec<u8>)>> = Vec::new();
        for t in &request.topics {
            let of = t.partitions.iter().filter_map(|p| {
                let partition = &state.topics.get(t.topic)?[p.partition as usize];
                let mut records = Vec::new();
                for (base, batch) in &partition.log {
                    if *base >= p.fetch_offset && records.len() < p.partition_max_bytes as usize {
                        records.extend_from_slice(batch);
                    }
                }
                Some((p.partition, partition.end, records))
            });
            found.push(of.collect());
        }
        let topics = request.topics.iter().zip(&found).map(|(t, found)| {
            let partitions = found.iter().map(|(index, end, records)| f::PartitionData {
                partition_index: *index,
                high_watermark: *end,
                records: Some(records),
                ..Default::default()
            });
            f::FetchableTopicResponse {
                topic: t.topic,
                partitions: partitions.collect(),
                ..Default::default()
            }
        });
        let response = f::FetchResponse { responses: topics.collect(), ..Default::default() };
        response.encode(w, version).expect("encodes");
    }
}

fn append(partition: &mut Partition, mut batch: Vec<u8>) {
    let count = i64::from(i32::from_be_bytes([batch[57], batch[58], batch[59], batch[60]]));
    set_offset_and_epoch(&mut batch, partition.end, 0);
    partition.log.push((partition.end, batch));
    partition.end += count;
}

fn versions(w: &mut Writer, version: i16) {
    use k::api_versions_response as a;
    let keys = APIS.iter().map(|(key, min, max)| a::ApiVersion {
        api_key: key.0,
        min_version: *min,
        max_version: *max,
    });
    let refused = version > 3;
    let response = a::ApiVersionsResponse {
        error_code: if refused { 35 } else { 0 },
        api_keys: keys.collect(),
        ..Default::default()
    };
    response.encode(w, if refused { 0 } else { version }).expect("encodes");
}
