//! `klamm bench consume`: from the beginning to the end.

use super::check::{PartitionReader, Seen, Verdict};
use super::conn::Conn;
use super::cost::{Meter, check_pids};
use super::latency::{Latency, round};
use super::live::{Live, LivePart};
use super::machine::{Clock, open_files};
use super::options::{Consume, TopicArgs};
use super::poll::{Poll, system};
use super::report::{Outcome, interrupted_run, verdict_json};
use super::threads::run_all;
use super::topics::{Place, Topics};
use crate::cli::{CliError, offsets, signal};
use crate::client::{ClientError, check_code};
use crate::wire::Reader;
use crate::wire::api_keys::ApiKey;
use crate::wire::kafka::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use crate::wire::kafka::fetch_response::FetchResponse;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};

/// Time between two looks at the broker's process.
const SAMPLE_NS: u64 = 20_000_000;

/// One partition that is read.
#[derive(Debug)]
pub struct Reading {
    /// The partition.
    pub place: Place,
    /// The end that it had when the run began.
    pub end: i64,
    /// The reader that checks its batches.
    pub reader: PartitionReader,
}

/// What a Fetch asks for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long the broker may wait for data, milliseconds.
    pub wait_ms: i32,
    /// Bytes in all.
    pub bytes: i32,
    /// Bytes of each partition.
    pub partition_bytes: i32,
}

/// Asks for what follows in these partitions, which are in order of topic; without a fetch session,
/// so that every answer is whole in itself.
pub fn fetch<'a, T>(
    conn: &mut Conn<T>,
    version: i16,
    names: &[String],
    limits: Limits,
    readings: impl Iterator<Item = &'a Reading>,
    context: T,
) -> Result<(), ClientError> {
    let mut topics: Vec<FetchTopic<'_>> = Vec::new();
    let mut last = None;
    for reading in readings {
        if last != Some(reading.place.topic) {
            last = Some(reading.place.topic);
            let topic = &names[reading.place.topic as usize];
            topics.push(FetchTopic { topic, ..FetchTopic::default() });
        }
        let partition = FetchPartition {
            partition: reading.place.partition,
            fetch_offset: reading.reader.position,
            partition_max_bytes: limits.partition_bytes,
            ..FetchPartition::default()
        };
        if let Some(topic) = topics.last_mut() {
            topic.partitions.push(partition);
        }
    }
    let request = FetchRequest {
        max_wait_ms: limits.wait_ms,
        min_bytes: 1,
        max_bytes: limits.bytes,
        topics,
        ..FetchRequest::default()
    };
    conn.request(ApiKey::FETCH, version, true, context, |body| request.encode(body.w, version))
}

/// Reads the answer to a Fetch; `each` gets every partition's bytes.
pub fn read_fetch(
    r: &mut Reader<'_>,
    version: i16,
    names: &[String],
    mut each: impl FnMut(Place, &[u8]) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let response = FetchResponse::decode(r, version)
        .map_err(|why| ClientError::BadResponse { api: "Fetch".to_owned(), why })?;
    check_code(response.error_code, || "a fetch".to_owned(), None)?;
    for topic in &response.responses {
        let index = names.iter().position(|name| name == topic.topic);
        let index = index.map_or(u32::MAX, |i| i as u32);
        for p in &topic.partitions {
            let name = || format!("partition {} of topic '{}'", p.partition_index, topic.topic);
            check_code(p.error_code, name, None)?;
            let place = Place { topic: index, partition: p.partition_index };
            each(place, p.records.unwrap_or_default())?;
        }
    }
    Ok(())
}

struct Lane {
    conn: Conn<u64>,
    version: i16,
    /// In order of place.
    readings: Vec<Reading>,
}

struct Shared<'a> {
    c: &'a Consume,
    names: &'a [String],
    clock: Clock,
    stop: AtomicBool,
}

#[derive(Debug, Default)]
struct Tally {
    latency: Latency,
    fetches: u64,
    seen: Seen,
    verdict: Verdict,
    last_answer: u64,
}

impl Lane {
    /// Sends a Fetch for the partitions that are not read to their end; false when there is none.
    fn fetch(&mut self, shared: &Shared<'_>) -> Result<bool, CliError> {
        let left = || self.readings.iter().filter(|r| r.reader.position < r.end);
        if left().next().is_none() {
            return Ok(false);
        }
        let limits = Limits {
            wait_ms: 500,
            bytes: shared.c.fetch_bytes as i32,
            partition_bytes: shared.c.partition_bytes as i32,
        };
        let now = shared.clock.now();
        fetch(&mut self.conn, self.version, shared.names, limits, left(), now)?;
        self.conn.flush(|_| ())?;
        Ok(true)
    }

    fn receive(
        &mut self,
        shared: &Shared<'_>,
        tally: &mut Tally,
        live: &mut LivePart<'_>,
    ) -> Result<(), CliError> {
        let Self { conn, readings, .. } = self;
        conn.receive(shared.clock, |now, version, begun, r| {
            let before = tally.seen.bytes;
            read_fetch(r, version, shared.names, |place, bytes| {
                let at = readings.binary_search_by_key(&place, |r| r.place).map_err(|_| {
                    CliError::Failed(
                        "an answer names a partition that was not asked for".to_owned(),
                    )
                })?;
                let seen = readings[at].reader.take(bytes, &mut tally.verdict, |_, _, _| ());
                let seen = seen.map_err(CliError::Failed)?;
                tally.seen.batches += seen.batches;
                tally.seen.records += seen.records;
                tally.seen.bytes += seen.bytes;
                Ok(())
            })?;
            tally.fetches += 1;
            tally.last_answer = now;
            tally.latency.record(now - begun);
            live.count(now, tally.seen.bytes - before, Some(now - begun));
            Ok(())
        })
    }
}

fn drive(
    shared: &Shared<'_>,
    mut lanes: Vec<Lane>,
    live: &Live,
    tally: &mut Tally,
) -> Result<(), CliError> {
    let timeout = shared.c.timeout.as_nanos() as u64;
    let mut live = live.part();
    let mut poll = Poll::new(lanes.iter().map(|l| l.conn.socket())).map_err(system)?;
    let mut open = 0;
    for lane in &mut lanes {
        open += usize::from(lane.fetch(shared)?);
    }
    let (mut answered_at, mut data_at) = (shared.clock.now(), shared.clock.now());
    while open > 0 {
        if signal::stopped().is_some() || shared.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        for i in 0..poll.wait(50_000_000).map_err(system)? {
            let lane = &mut lanes[poll.socket(i)];
            lane.conn.flush(|_| ())?;
            let waiting = lane.conn.in_flight() > 0;
            let before = tally.seen.bytes;
            lane.receive(shared, tally, &mut live)?;
            if waiting && lane.conn.in_flight() == 0 {
                answered_at = shared.clock.now();
                if tally.seen.bytes > before {
                    data_at = answered_at;
                }
                if !lane.fetch(shared)? {
                    open -= 1;
                }
            }
        }
        if shared.clock.now() - answered_at > timeout {
            let stuck = lanes.iter().find(|l| l.conn.in_flight() > 0);
            let address = stuck.map_or_else(String::new, |l| l.conn.address().to_owned());
            let seconds = shared.c.timeout.as_secs();
            return Err(ClientError::NoAnswer { address, seconds }.into());
        }
        if shared.clock.now() - data_at > timeout {
            let short = lanes.iter().flat_map(|l| &l.readings);
            let mut short = short.filter(|r| r.reader.position < r.end);
            return Err(CliError::Failed(short.next().map_or_else(String::new, |r| {
                let name = &shared.names[r.place.topic as usize];
                format!(
                    "the data is wrong: partition {} of topic '{name}' ends at offset {}, before {}",
                    r.place.partition, r.reader.position, r.end
                )
            })));
        }
    }
    Ok(())
}

/// Runs the load.
pub fn run(c: &Consume) -> Result<Outcome, CliError> {
    check_pids(&c.machine.broker_pid)?;
    open_files(u64::from(c.connections) + 64)?;
    c.machine.cpus().pin(0)?;
    signal::catch();
    let args = TopicArgs {
        topic: c.topic.clone(),
        topics: c.topics,
        partitions: None,
        replication_factor: None,
        topic_config: Vec::new(),
        keep: true,
    };
    let mut topics = Topics::prepare(&c.broker.bootstrap, &args, false)?;
    let starts = topics.offsets(offsets::EARLIEST)?;
    let ends = topics.offsets(offsets::LATEST)?;
    let expected: i64 = ends.iter().map(|(p, end)| end - starts.get(p).unwrap_or(&0)).sum();
    if expected <= 0 {
        return Err(CliError::Failed(format!("there is nothing to read in topic '{}'", c.topic)));
    }
    let lanes = connect(c, &topics, |place| {
        let (start, end) = (starts.get(&place).copied(), ends.get(&place).copied());
        (start.unwrap_or(0), end.unwrap_or(0))
    })?;
    let (connections, threads) = (lanes.len(), usize::from(c.threads).min(lanes.len()));
    let mut groups: Vec<Vec<Lane>> = (0..threads).map(|_| Vec::new()).collect();
    for (i, lane) in lanes.into_iter().enumerate() {
        groups[i % threads].push(lane);
    }
    let clock = Clock::start();
    let names = topics.names.clone();
    let shared = Shared { c, names: &names, clock, stop: AtomicBool::new(false) };
    let (shared, live) = (&shared, &Live::new(c.output.quiet));
    let mut meter = Meter::begin(&c.machine.broker_pid);
    let watch = |done: &dyn Fn() -> bool| {
        let (mut last, mut sampled) = (0, 0);
        while !done() {
            // A look at the broker's process takes time from the core of the load.
            if clock.now() - sampled >= SAMPLE_NS {
                sampled = clock.now();
                meter.sample();
            }
            live.show(clock.now(), &mut last, "consume");
            clock.sleep_until(clock.now() + 2_000_000);
        }
        meter.stop();
    };
    let work = |_, lanes, tally: &mut Tally| drive(shared, lanes, live, tally);
    let (results, ()) = run_all(groups, &c.machine.cpus(), &shared.stop, work, watch);
    live.end();
    let mut tally = Tally::default();
    let mut stop = None;
    for (one, result) in results {
        tally.latency.add(&one.latency);
        tally.fetches += one.fetches;
        tally.seen.batches += one.seen.batches;
        tally.seen.records += one.seen.records;
        tally.seen.bytes += one.seen.bytes;
        tally.verdict.add(one.verdict);
        tally.last_answer = tally.last_answer.max(one.last_answer);
        stop = stop.or(result.err());
    }
    if signal::stopped().is_some() && stop.is_none() {
        stop = Some(interrupted_run());
    }
    let complete = stop.is_none();
    let seconds = tally.last_answer as f64 / 1e9;
    let per_s = |n: f64| if seconds > 0.0 { round(n / seconds) } else { 0.0 };
    let bytes = tally.seen.bytes as f64;
    let mut out = meter.end(seconds, bytes, tally.fetches as f64);
    out.insert("workload".to_owned(), json!("consume"));
    out.insert(
        "settings".to_owned(),
        json!({
            "topics": c.topics, "partitions": topics.partitions(), "connections": connections,
            "threads": threads, "partition_bytes": c.partition_bytes, "fetch_bytes": c.fetch_bytes,
        }),
    );
    out.insert("seconds".to_owned(), json!(seconds));
    out.insert("requests".to_owned(), json!(tally.fetches));
    out.insert("batches".to_owned(), json!(tally.seen.batches));
    out.insert("records".to_owned(), json!(tally.seen.records));
    out.insert("bytes".to_owned(), json!(tally.seen.bytes));
    out.insert("requests_per_s".to_owned(), json!(per_s(tally.fetches as f64)));
    out.insert("records_per_s".to_owned(), json!(per_s(tally.seen.records as f64)));
    out.insert("mb_per_s".to_owned(), json!(per_s(bytes / 1e6)));
    let verdict = (!c.no_verify).then_some(&tally.verdict);
    out.insert("check".to_owned(), verdict_json(verdict));
    let mut outcome = Outcome::new(out, "fetch_us", tally.latency);
    outcome.complete = complete;
    outcome.stop = stop.or_else(|| tally.verdict.problem().map(CliError::Failed));
    Ok(outcome)
}

fn connect(
    c: &Consume,
    topics: &Topics,
    range: impl Fn(Place) -> (i64, i64),
) -> Result<Vec<Lane>, CliError> {
    let leaders = topics.leaders()?;
    let mut lanes = Vec::new();
    for leader in &leaders {
        let count = (c.connections as usize).div_ceil(leaders.len()).min(leader.places.len());
        for i in 0..count {
            let conn = Conn::open(&leader.host, leader.port, c.timeout)?;
            let mine = leader.places.iter().skip(i).step_by(count);
            let readings = mine.map(|&place| {
                let (start, end) = range(place);
                let name = topics.name_of(place);
                let reader = PartitionReader::new(name, start, start == 0, !c.no_verify);
                Reading { place, end, reader }
            });
            lanes.push(Lane {
                version: conn.version::<FetchRequest<'_>>()?,
                conn,
                readings: readings.collect(),
            });
        }
    }
    Ok(lanes)
}
