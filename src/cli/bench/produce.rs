//! `klamm bench produce`: closed and open loops.

use super::batch::{Batches, Shape};
use super::check::Verdict;
use super::conn::{Body, Conn};
use super::cost::{Meter, check_pid, thread_cpu_s};
use super::latency::{Latency, round};
use super::live::{Live, LivePart};
use super::machine::{Clock, catch_interrupts, interrupted, open_files};
use super::options::Produce;
use super::poll::Poll;
use super::report::{Outcome, interrupted_run, verdict_json};
use super::schedule::{Limit, Pace, Schedule};
use super::topics::{Place, Topics};
use crate::cli::CliError;
use crate::client::{ClientError, Cluster, To, check_code};
use crate::wire::api_keys::ApiKey;
use crate::wire::kafka::init_producer_id_request::InitProducerIdRequest;
use crate::wire::kafka::produce_request::ProduceRequest;
use crate::wire::kafka::produce_response::ProduceResponse;
use crate::wire::{Reader, WireError};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

/// Above this, a connection's requests wait in the schedule.
const UNSENT_BYTES_MAX: u64 = 4 << 20;
/// How long the broker may take for a request, milliseconds.
const REQUEST_TIMEOUT_MS: i32 = 30_000;
/// Requests on their way while every partition gets its first batch.
const PRIME_INFLIGHT: usize = 64;
/// An open loop is held if this fraction of its requests was answered in time.
const HELD: f64 = 0.98;
/// A thread that is this much behind its schedule, in the median, cannot follow it.
const BEHIND_NS: u64 = 1_000_000;
/// A thread that uses this much of a core has no more to give.
const BUSY: f64 = 0.97;

/// The measured part of a run, in the clock's nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Its beginning.
    pub from: u64,
    /// Its end; `u64::MAX` if a count ends it.
    pub to: u64,
}

impl Window {
    /// It holds `ns`.
    pub fn has(&self, ns: u64) -> bool {
        (self.from..self.to).contains(&ns)
    }
}

/// What the threads share.
struct Shared<'a> {
    c: &'a Produce,
    names: &'a [String],
    clock: Clock,
    window: Window,
    inflight: usize,
    /// When the load begins.
    begin: u64,
    /// Requests that may still begin in the window.
    left: AtomicU64,
    /// A thread has ended early: so should the others.
    stop: AtomicBool,
}

/// A partition as one connection writes to it.
#[derive(Clone, Debug)]
struct Part {
    place: Place,
    /// Number of its next batch from this connection.
    number: u64,
    sequence: i32,
    last_offset: i64,
}

/// What travels with a request.
#[derive(Clone, Copy, Debug)]
struct Sent {
    intended: u64,
    batches: u32,
    records: u32,
}

/// One connection, with the partitions that its broker leads, in order.
struct Lane {
    conn: Conn<Sent>,
    version: i16,
    batches: Batches,
    idempotent: bool,
    parts: Vec<Part>,
    at: usize,
    /// Requests were added that [`Lane::flush`] has not seen.
    unflushed: bool,
}

/// What one thread has counted.
#[derive(Debug, Default)]
struct Tally {
    latency: Latency,
    /// From the intended time until the thread looked at the request.
    lag: Latency,
    answered: u64,
    unsent: u64,
    last_answer: u64,
    /// Over the whole run, the first batches and the warm-up included.
    records_sent: u64,
    records_acknowledged: u64,
    cpu: f64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency);
        self.lag.add(&other.lag);
        self.answered += other.answered;
        self.unsent += other.unsent;
        self.last_answer = self.last_answer.max(other.last_answer);
        self.records_sent += other.records_sent;
        self.records_acknowledged += other.records_acknowledged;
        self.cpu = self.cpu.max(other.cpu);
    }
}

impl Lane {
    /// Adds a request with the next `count` partitions.
    fn send(&mut self, names: &[String], acks: i16, count: usize, sent: Sent, unix_ms: i64) {
        let Self { conn, version, batches, idempotent, parts, at, .. } = self;
        let all = parts.len();
        let end = *at + count;
        // In order of topic and partition, so that each topic stands in the request once.
        let wrapped = 0..end.saturating_sub(all);
        let straight = *at..end.min(all);
        *at = end % all;
        let flexible = ApiKey::PRODUCE.is_flexible(*version);
        conn.request(ApiKey::PRODUCE, *version, acks != 0, sent, |body| {
            body.w.nullable_string(None, flexible)?;
            body.w.i16(acks);
            body.w.i32(REQUEST_TIMEOUT_MS);
            let chosen = || wrapped.clone().chain(straight.clone());
            let mut topics = 0;
            let mut last = None;
            for i in chosen() {
                topics += usize::from(last != Some(parts[i].place.topic));
                last = Some(parts[i].place.topic);
            }
            body.w.array_len(Some(topics), flexible)?;
            let mut rest = chosen().peekable();
            while let Some(&first) = rest.peek() {
                let topic = parts[first].place.topic;
                let same = rest.clone().take_while(|i| parts[*i].place.topic == topic).count();
                body.w.string(&names[topic as usize], flexible)?;
                body.w.array_len(Some(same), flexible)?;
                for i in rest.by_ref().take(same) {
                    put_batch(body, &mut parts[i], batches, *idempotent, unix_ms, flexible)?;
                }
                no_tags(body, flexible);
            }
            no_tags(body, flexible);
            Ok(())
        })
        .expect("names and batches were checked before the run");
    }

    /// Reads what has come.
    fn receive(
        &mut self,
        shared: &Shared<'_>,
        tally: &mut Tally,
        live: &mut LivePart<'_>,
    ) -> Result<(), CliError> {
        let Self { conn, parts, .. } = self;
        conn.receive(shared.clock, |now, version, sent: Sent, r| {
            read_answer(r, version, sent, parts, shared)?;
            count(shared, now, sent, tally, live);
            tally.records_acknowledged += u64::from(sent.records) * u64::from(sent.batches);
            Ok(())
        })
    }

    /// Sends; with acks=0, what has left counts as answered.
    fn flush(
        &mut self,
        shared: &Shared<'_>,
        tally: &mut Tally,
        live: &mut LivePart<'_>,
    ) -> Result<(), CliError> {
        let clock = shared.clock;
        self.unflushed = false;
        self.conn.flush(|sent| count(shared, clock.now(), sent, tally, live))?;
        Ok(())
    }

    /// Another request has room: what lies in memory is what the socket does not take at once, no
    /// matter how many requests may be in flight.
    fn has_room(&self, inflight: usize) -> bool {
        self.conn.in_flight() < inflight && self.conn.bytes_unsent() < UNSENT_BYTES_MAX
    }

    /// Adds the next request, which should have left at `intended`.
    fn add(&mut self, shared: &Shared<'_>, intended: u64, now: u64, tally: &mut Tally) {
        let c = shared.c;
        let count = c.partitions_per_request;
        let sent = Sent { intended, batches: count, records: c.records.batch };
        tally.records_sent += u64::from(c.records.batch) * u64::from(count);
        self.send(shared.names, c.records.acks, count as usize, sent, shared.clock.unix_ms(now));
    }

    /// Closed loop: fills the places in flight, and sends.
    fn pump(
        &mut self,
        shared: &Shared<'_>,
        tally: &mut Tally,
        live: &mut LivePart<'_>,
    ) -> Result<(), CliError> {
        while shared.c.rate.is_none() && self.has_room(shared.inflight) {
            let now = shared.clock.now();
            if !shared.take_turn(now) {
                break;
            }
            self.add(shared, now, now, tally);
        }
        self.flush(shared, tally, live)
    }
}

impl Shared<'_> {
    /// Closed loop: another request may begin.
    fn take_turn(&self, now: u64) -> bool {
        if now < self.window.from {
            return true;
        }
        if self.window.to != u64::MAX {
            return now < self.window.to;
        }
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
    }

    /// No request will begin any more.
    fn is_over(&self, now: u64) -> bool {
        if self.window.to == u64::MAX {
            self.left.load(Ordering::Relaxed) == 0
        } else {
            now >= self.window.to
        }
    }
}

fn count(shared: &Shared<'_>, now: u64, sent: Sent, tally: &mut Tally, live: &mut LivePart<'_>) {
    let ns = now - sent.intended;
    if shared.window.has(now) {
        tally.answered += 1;
        tally.last_answer = now;
    }
    if shared.window.has(sent.intended) {
        tally.latency.record(ns);
    }
    let bytes = u64::from(sent.records) * u64::from(sent.batches);
    live.count(now, bytes * shared.c.records.record_size as u64, Some(ns));
}

fn put_batch(
    body: &mut Body<'_>,
    part: &mut Part,
    batches: &mut Batches,
    idempotent: bool,
    unix_ms: i64,
    flexible: bool,
) -> Result<(), WireError> {
    body.w.i32(part.place.partition);
    body.w.bytes_len(Some(batches.len(part.number)), flexible)?;
    let records = batches.records() as i32;
    let (front, rest) = batches.patch(part.number, idempotent.then_some(part.sequence), unix_ms);
    body.w.raw(front);
    if !rest.is_empty() {
        body.shared(rest);
    }
    part.number += 1;
    // Numbers wrap within the positive range, as in Kafka.
    part.sequence = part.sequence.wrapping_add(records) & i32::MAX;
    no_tags(body, flexible);
    Ok(())
}

/// The end of a struct that has no tagged fields.
pub fn no_tags(body: &mut Body<'_>, flexible: bool) {
    if flexible {
        body.w.varint(0);
    }
}

/// Reads the answer to a Produce: every partition was appended to, at offsets that grow.
fn read_answer(
    r: &mut Reader<'_>,
    version: i16,
    sent: Sent,
    parts: &mut [Part],
    shared: &Shared<'_>,
) -> Result<(), CliError> {
    let response = ProduceResponse::decode(r, version)
        .map_err(|why| ClientError::BadResponse { api: "Produce".to_owned(), why })?;
    let mut answered = 0;
    for topic in &response.responses {
        let index = shared.names.iter().position(|name| name == topic.name);
        let index = index.map_or(u32::MAX, |i| i as u32);
        for p in &topic.partition_responses {
            let name = || format!("partition {} of topic '{}'", p.index, topic.name);
            check_code(p.error_code, name, p.error_message)?;
            let place = Place { topic: index, partition: p.index };
            let Ok(at) = parts.binary_search_by_key(&place, |part| part.place) else {
                return Err(CliError::Failed(format!("an answer names {}, unasked", name())));
            };
            let part = &mut parts[at];
            if p.base_offset >= 0 {
                if p.base_offset <= part.last_offset && !shared.c.no_verify {
                    return Err(CliError::Failed(format!(
                        "the data is wrong: {} acknowledged offset {} after {}",
                        name(),
                        p.base_offset,
                        part.last_offset
                    )));
                }
                part.last_offset = p.base_offset + i64::from(sent.records) - 1;
            }
            answered += 1;
        }
    }
    if answered != sent.batches {
        return Err(CliError::Failed(format!(
            "an answer is about {answered} partitions, {} were asked about",
            sent.batches
        )));
    }
    Ok(())
}

/// The id and epoch of a new idempotent producer.
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

/// The number of a writer in what it writes: of which run, and which of its connections.
pub fn writer_id(clock: Clock, i: usize) -> u32 {
    let run = (clock.unix_ms(0) as u32).wrapping_mul(0x9e37_79b9) ^ std::process::id();
    (run << 12) | (i as u32 & 0xfff)
}

/// Runs the load.
pub fn run(c: &Produce) -> Result<Outcome, CliError> {
    let shape = c.records.shape()?;
    check_pid(c.run.machine.broker_pid)?;
    open_files(u64::from(c.connections) + 64)?;
    c.run.machine.cpus().pin(0)?;
    catch_interrupts();
    let mut topics = Topics::prepare(&c.broker.bootstrap, &c.topics, true)?;
    let result = measure(c, &shape, &mut topics);
    let deleted = topics.delete();
    let mut outcome = result?;
    if let Err(e) = deleted {
        outcome.warnings.push(format!("the topic could not be deleted: {e}"));
    }
    Ok(outcome)
}

fn connect(
    c: &Produce,
    shape: &Shape,
    topics: &mut Topics,
    clock: Clock,
) -> Result<Vec<Lane>, CliError> {
    let leaders = topics.leaders()?;
    let per_request = c.partitions_per_request as usize;
    if let Some(few) = leaders.iter().find(|l| l.places.len() < per_request) {
        return Err(CliError::Usage(format!(
            "--partitions-per-request {per_request}: the broker at {}:{} leads {} partitions",
            few.host,
            few.port,
            few.places.len()
        )));
    }
    let count = (c.connections as usize).max(leaders.len());
    (0..count)
        .map(|i| {
            let leader = &leaders[i % leaders.len()];
            let producer =
                c.records.idempotent.then(|| producer_id(&mut topics.cluster)).transpose()?;
            let conn = Conn::open(&leader.host, leader.port, c.run.timeout)?;
            let parts = leader.places.iter().map(|place| Part {
                place: *place,
                number: 0,
                sequence: 0,
                last_offset: -1,
            });
            Ok(Lane {
                version: conn.version::<ProduceRequest<'_>>()?,
                conn,
                batches: Batches::new(shape, writer_id(clock, i), producer),
                idempotent: c.records.idempotent,
                parts: parts.collect(),
                // Connections begin at different partitions, then each goes round all of them.
                at: i * leader.places.len() / count,
                unflushed: false,
            })
        })
        .collect()
}

/// Appends one batch to every partition, so that no broker pays for a partition's first append while
/// it is measured.
fn prime(
    shared: &Shared<'_>,
    lanes: &mut [Lane],
    shape: &Shape,
    tally: &mut Tally,
) -> Result<(), CliError> {
    let live = Live::new(true);
    let mut part = live.part();
    let acks = shared.c.records.acks;
    let mut poll = Poll::new(lanes.iter().map(|l| l.conn.socket())).map_err(system)?;
    let mut done = std::collections::BTreeSet::new();
    let mut todo: Vec<VecDeque<usize>> = Vec::new();
    for lane in lanes.iter() {
        let mine = lane.parts.iter().enumerate().filter(|(_, p)| done.insert(p.place));
        todo.push(mine.map(|(i, _)| i).collect());
    }
    let small = Shape { records: 1, ..*shape };
    // Lanes that have nothing to do keep their batches; the others have small ones meanwhile.
    let mut full = Vec::new();
    for (i, lane) in lanes.iter_mut().enumerate() {
        let producer = lane.batches.producer();
        let writer = writer_id(shared.clock, i);
        full.push(std::mem::replace(&mut lane.batches, Batches::new(&small, writer, producer)));
    }
    let mut since = shared.clock.now();
    loop {
        let now = shared.clock.now();
        for (lane, todo) in lanes.iter_mut().zip(&mut todo) {
            while lane.conn.in_flight() < PRIME_INFLIGHT {
                let Some(at) = todo.pop_front() else { break };
                let back = std::mem::replace(&mut lane.at, at);
                let sent = Sent { intended: now, batches: 1, records: 1 };
                lane.send(shared.names, acks, 1, sent, shared.clock.unix_ms(now));
                lane.at = back;
                tally.records_sent += 1;
            }
            lane.flush(shared, tally, &mut part)?;
        }
        let idle = |l: &Lane| l.conn.in_flight() == 0;
        if todo.iter().all(VecDeque::is_empty) && lanes.iter().all(idle) {
            break;
        }
        if interrupted() {
            return Err(interrupted_run());
        }
        if now - since > shared.c.run.timeout.as_nanos() as u64 {
            return Err(no_answer(lanes.iter().find(|l| !idle(l)).map(|l| &l.conn), shared));
        }
        for i in 0..poll.wait(100_000_000).map_err(system)? {
            lanes[poll.socket(i)].receive(shared, tally, &mut part)?;
            since = shared.clock.now();
        }
    }
    for (lane, full) in lanes.iter_mut().zip(full) {
        lane.batches = full;
    }
    Ok(())
}

/// A system call failed that should not.
pub fn system(e: std::io::Error) -> CliError {
    CliError::Io(format!("waiting for sockets: {e}"))
}

fn no_answer(conn: Option<&Conn<Sent>>, shared: &Shared<'_>) -> CliError {
    let address = conn.map_or_else(|| "the broker".to_owned(), |c| c.address().to_owned());
    ClientError::NoAnswer { address, seconds: shared.c.run.timeout.as_secs() }.into()
}

fn measure(c: &Produce, shape: &Shape, topics: &mut Topics) -> Result<Outcome, CliError> {
    let clock = Clock::start();
    let mut lanes = connect(c, shape, topics, clock)?;
    let names = topics.names.clone();
    let batch_bytes = lanes[0].batches.len(0);
    let before = topics.end_offsets(c.no_verify)?;
    let mut shared = Shared {
        c,
        names: &names,
        clock,
        window: Window { from: u64::MAX, to: u64::MAX },
        inflight: c.inflight.map_or(if c.rate.is_some() { usize::MAX } else { 5 }, |n| n as usize),
        begin: 0,
        left: AtomicU64::new(c.count.unwrap_or(0)),
        stop: AtomicBool::new(false),
    };
    let mut tally = Tally::default();
    let begun = clock.now();
    prime(&shared, &mut lanes, shape, &mut tally)?;
    let first_batches_s = (clock.now() - begun) as f64 / 1e9;
    let connections = lanes.len();

    let threads = usize::from(c.run.threads).min(connections);
    let mut groups: Vec<Vec<Lane>> = (0..threads).map(|_| Vec::new()).collect();
    for (i, lane) in lanes.into_iter().enumerate() {
        groups[i % threads].push(lane);
    }
    // Who counts wants all of them counted.
    let warmup = c.run.warmup.unwrap_or(Duration::from_secs(if c.count.is_some() { 0 } else { 2 }));
    shared.begin = clock.now();
    let from = shared.begin + warmup.as_nanos() as u64;
    let to = if c.count.is_some() { u64::MAX } else { from + c.run.duration.as_nanos() as u64 };
    shared.window = Window { from, to };
    let live = Live::new(c.output.quiet);
    let shared = &shared;
    let live_ref = &live;
    let (tallies, meter) = std::thread::scope(|scope| {
        let threads: Vec<_> = groups
            .into_iter()
            .enumerate()
            .map(|(i, lanes)| {
                scope.spawn(move || {
                    let mut tally = Tally::default();
                    let run = || drive(shared, lanes, (i, threads), live_ref, &mut tally);
                    let result = c.run.machine.cpus().pin(i).and_then(|()| run());
                    if result.is_err() {
                        shared.stop.store(true, Ordering::Relaxed);
                    }
                    (tally, result)
                })
            })
            .collect();
        let meter = watch(shared, live_ref, || threads.iter().all(ScopedJoinHandle::is_finished));
        let join = |t: ScopedJoinHandle<'_, (Tally, Result<(), CliError>)>| {
            t.join().expect("threads do not panic")
        };
        (threads.into_iter().map(join).collect::<Vec<_>>(), meter)
    });
    live.end();
    let mut stop = None;
    for (one, result) in tallies {
        tally.add(&one);
        stop = stop.or(result.err());
    }
    if interrupted() && stop.is_none() {
        stop = Some(interrupted_run());
    }

    let window = shared.window;
    let (meter, measured_to) = meter;
    let end = if window.to == u64::MAX || stop.is_some() {
        tally.last_answer.max(window.from).min(measured_to.max(window.from))
    } else {
        window.to
    };
    let seconds = (end.saturating_sub(window.from)) as f64 / 1e9;
    let mut verdict = Verdict::default();
    let complete = stop.is_none();
    let checked = !c.no_verify && complete;
    if checked {
        count_records(c, topics, before, &tally, &mut verdict)?;
    }
    let mut warnings = Vec::new();
    if !c.no_verify && !c.records.has_mark() {
        warnings
            .push("records under 16 bytes carry no number: only offsets are checked".to_owned());
    }

    // Without an acknowledgement, all that is known is when the socket had taken a request.
    let field = if c.records.acks == 0 { "sent_us" } else { "ack_us" };
    let per_request = u64::from(c.partitions_per_request);
    let records = tally.answered * per_request * u64::from(c.records.batch);
    let bytes = records as f64 * c.records.record_size as f64;
    let per_s = |n: f64| if seconds > 0.0 { round(n / seconds) } else { 0.0 };
    let mut out = meter.end(seconds, bytes, tally.answered as f64);
    out.insert("workload".to_owned(), json!("produce"));
    out.insert(
        "settings".to_owned(),
        json!({
            "topics": c.topics.topics, "partitions": topics.partitions(),
            "connections": connections, "inflight": c.inflight.or(c.rate.is_none().then_some(5)),
            "threads": threads, "rate": c.rate, "record_size": c.records.record_size,
            "batch": c.records.batch, "batch_bytes": batch_bytes,
            "partitions_per_request": per_request, "key_size": c.records.key_size,
            "compression": c.records.compression.name(), "acks": c.records.acks,
            "idempotent": c.records.idempotent, "spin": c.run.spin,
            "duration_s": c.count.is_none().then_some(c.run.duration.as_secs_f64()),
            "warmup_s": warmup.as_secs_f64(), "count": c.count,
        }),
    );
    out.insert("seconds".to_owned(), json!(seconds));
    out.insert("first_batches_s".to_owned(), json!(round(first_batches_s)));
    out.insert("requests".to_owned(), json!(tally.answered));
    out.insert("records".to_owned(), json!(records));
    out.insert("bytes".to_owned(), json!(bytes as u64));
    out.insert("requests_per_s".to_owned(), json!(per_s(tally.answered as f64)));
    out.insert("batches_per_s".to_owned(), json!(per_s((tally.answered * per_request) as f64)));
    out.insert("records_per_s".to_owned(), json!(per_s(records as f64)));
    out.insert("mb_per_s".to_owned(), json!(per_s(bytes / 1e6)));
    if let Some(rate) = c.rate {
        let held = is_held(tally.answered, rate * seconds) && tally.unsent == 0;
        let saturated = saturated(held, &tally.lag, tally.cpu, c.run.spin);
        out.insert("unsent".to_owned(), json!(tally.unsent));
        out.insert("send_lag_us".to_owned(), tally.lag.to_json());
        out.insert("saturated".to_owned(), json!(saturated));
        if complete {
            warnings.extend(saturation_line(saturated, rate, per_s(tally.answered as f64)));
        }
    }
    out.insert("check".to_owned(), verdict_json(checked.then_some(&verdict)));
    let mut outcome = Outcome::new(out, field, tally.latency);
    outcome.warnings = warnings;
    outcome.stop = stop.or_else(|| verdict.problem().map(CliError::Failed));
    outcome.complete = complete;
    Ok(outcome)
}

/// So many answers are what the schedule asked for; two may be beyond the edges of the window.
pub fn is_held(answered: u64, asked: f64) -> bool {
    (answered + 2) as f64 >= HELD * asked
}

/// Who could not follow the schedule, if anybody.
pub fn saturated(held: bool, lag: &Latency, cpu: f64, spin: bool) -> Option<&'static str> {
    if held {
        return None;
    }
    let behind = lag.count() > 0 && lag.at(0.5) > BEHIND_NS;
    Some(if behind || (!spin && cpu > BUSY) { "bench" } else { "broker" })
}

/// What to say about it.
pub fn saturation_line(who: Option<&str>, rate: f64, reached: f64) -> Option<String> {
    let (rate, reached) = (super::latency::group(rate), super::latency::group(reached));
    match who? {
        "bench" => Some(format!(
            "the bench was saturated, not the broker: {reached} of {rate} requests/s; add --threads, \
             or give it more cores"
        )),
        _ => Some(format!(
            "the broker was saturated: {reached} of {rate} requests/s; latencies depend on how long \
             the run was"
        )),
    }
}

/// Samples the broker's process until the window ends, or all threads have. Returns when that was.
fn watch(shared: &Shared<'_>, live: &Live, over: impl Fn() -> bool) -> (Meter, u64) {
    let (clock, window) = (shared.clock, shared.window);
    let mut last = clock.now();
    let mut meter = None;
    let mut end = None;
    loop {
        let now = clock.now();
        if now >= window.from && meter.is_none() {
            meter = Some(Meter::begin(shared.c.run.machine.broker_pid));
        }
        if now >= window.to && end.is_none() {
            end = Some(now);
        }
        let over = over();
        if let Some(meter) = &mut meter {
            meter.sample();
            if over || end.is_some() {
                meter.stop();
            }
        }
        if over {
            let pid = shared.c.run.machine.broker_pid;
            return (meter.unwrap_or_else(|| Meter::begin(pid)), end.unwrap_or(now));
        }
        live.show(now, &mut last, if now < window.from { "warm-up" } else { "produce" });
        let edge = if now < window.from { window.from } else { window.to };
        let next = now + 20_000_000;
        clock.sleep_until(if now < edge { next.min(edge) } else { next });
    }
}

/// Every record that was acknowledged is in the log, and no other.
fn count_records(
    c: &Produce,
    topics: &mut Topics,
    before: u64,
    tally: &Tally,
    verdict: &mut Verdict,
) -> Result<(), CliError> {
    let unacknowledged = c.records.acks == 0;
    let want = if unacknowledged { tally.records_sent } else { tally.records_acknowledged };
    let begun = topics.cluster.now_ms();
    loop {
        let found = topics.end_offsets(false)?.saturating_sub(before);
        // What nobody acknowledges may take a moment to arrive.
        let waited = (topics.cluster.now_ms() - begun) as u128 > c.run.timeout.as_millis();
        if found < want && unacknowledged && !waited && !interrupted() {
            std::thread::sleep(std::time::Duration::from_millis(20));
            continue;
        }
        verdict.records = found;
        let batch = u64::from(c.records.batch);
        verdict.batches = found.div_ceil(batch);
        verdict.lost = want.saturating_sub(found).div_ceil(batch);
        // Others may write to a topic that is not ours alone.
        let more = if topics.are_ours() { found.saturating_sub(want) } else { 0 };
        verdict.duplicates = more.div_ceil(batch);
        if found < want || more > 0 {
            let what = if unacknowledged { "sent" } else { "acknowledged" };
            verdict.note(|| format!("{want} records were {what}, {found} are in the log"));
        }
        return Ok(());
    }
}

/// One thread's load. Requests that have no answer when it ends early have waited at least until
/// then, and are charged for it.
fn drive(
    shared: &Shared<'_>,
    mut lanes: Vec<Lane>,
    place: (usize, usize),
    live: &Live,
    tally: &mut Tally,
) -> Result<(), CliError> {
    let (thread, threads) = place;
    let (begin, window) = (shared.begin, shared.window);
    let schedule = |rate| Schedule::new(rate, thread, threads, begin, window.to);
    let mut schedule = shared.c.rate.map(schedule);
    let result = turn(shared, &mut lanes, schedule.as_mut(), live, tally);
    let now = shared.clock.now();
    for lane in &lanes {
        let sent = lane.conn.unanswered().map(|sent| sent.intended);
        for intended in sent.filter(|t| window.has(*t)) {
            tally.latency.record(now - intended);
        }
    }
    if let Some(schedule) = &mut schedule {
        tally.unsent += schedule.charge(now, window.from, 1, &mut tally.latency);
    }
    result
}

fn turn(
    shared: &Shared<'_>,
    lanes: &mut [Lane],
    mut schedule: Option<&mut Schedule>,
    live: &Live,
    tally: &mut Tally,
) -> Result<(), CliError> {
    const WAIT_NS: u64 = 10_000_000;
    let c = shared.c;
    let clock = shared.clock;
    let window = shared.window;
    let timeout = c.run.timeout.as_nanos() as u64;
    let mut live = live.part();
    let mut poll = Poll::new(lanes.iter().map(|l| l.conn.socket())).map_err(system)?;
    let mut pace = Pace::new(clock.now());
    let mut next = 0;
    let mut answered_at = clock.now();
    let mut cpu = None;
    for lane in lanes.iter_mut() {
        lane.pump(shared, tally, &mut live)?;
    }
    let result = loop {
        let now = clock.now();
        if cpu.is_none() && now >= window.from {
            cpu = Some((now, thread_cpu_s()));
        }
        let mut wait = WAIT_NS;
        if let Some(schedule) = schedule.as_deref_mut() {
            dispatch(shared, lanes, schedule, &mut pace, &mut next, now, tally);
            for lane in lanes.iter_mut().filter(|l| l.unflushed) {
                lane.flush(shared, tally, &mut live)?;
            }
            wait = pace.wait(schedule, clock.now(), wait);
        }
        if interrupted() || shared.stop.load(Ordering::Relaxed) {
            break Ok(());
        }
        let waiting = lanes.iter().map(|l| l.conn.in_flight()).sum::<usize>();
        if shared.is_over(now) {
            if let Some((from, before)) = cpu.filter(|_| tally.cpu == 0.0) {
                let seconds = (now - from) as f64 / 1e9;
                tally.cpu = (thread_cpu_s() - before) / seconds.max(1e-9);
            }
            // Never sent: they have waited at least until now.
            if let Some(schedule) = schedule.as_deref_mut() {
                tally.unsent += schedule.charge(now, window.from, 1, &mut tally.latency);
            }
            if waiting == 0 {
                break Ok(());
            }
            wait = WAIT_NS;
        }
        if waiting == 0 {
            answered_at = now;
        } else if now.saturating_sub(answered_at) > timeout {
            let stuck = lanes.iter().find(|l| l.conn.in_flight() > 0).map(|l| &l.conn);
            break Err(no_answer(stuck, shared));
        }
        if c.records.acks == 0 && c.rate.is_none() {
            // A request that has left makes room for the next: the socket may never tell.
            for lane in lanes.iter_mut() {
                lane.pump(shared, tally, &mut live)?;
            }
            if lanes.iter().any(|l| l.has_room(shared.inflight)) {
                wait = 0;
            }
        }
        let events = poll.wait(if c.run.spin { 0 } else { wait }).map_err(system)?;
        for i in 0..events {
            let lane = &mut lanes[poll.socket(i)];
            let before = lane.conn.in_flight();
            lane.flush(shared, tally, &mut live)?;
            lane.receive(shared, tally, &mut live)?;
            if lane.conn.in_flight() < before {
                answered_at = clock.now();
            }
            lane.pump(shared, tally, &mut live)?;
        }
    };
    tally.lag.add(&pace.lag);
    result
}

/// Open loop: gives the requests that are due to connections with room, in turn.
fn dispatch(
    shared: &Shared<'_>,
    lanes: &mut [Lane],
    schedule: &mut Schedule,
    pace: &mut Pace,
    next: &mut usize,
    now: u64,
    tally: &mut Tally,
) {
    let limit = loop {
        let Some(intended) = schedule.due(now) else { break Limit::Due };
        if !pace.may_send() {
            break Limit::Work;
        }
        let mut turn = (0..lanes.len()).map(|i| (*next + i) % lanes.len());
        let Some(at) = turn.find(|i| lanes[*i].has_room(shared.inflight)) else {
            break Limit::Room;
        };
        *next = (at + 1) % lanes.len();
        schedule.take();
        pace.sends(intended, now, shared.window.has(intended));
        lanes[at].add(shared, intended, now, tally);
        lanes[at].unflushed = true;
    };
    pace.ends(now, limit);
}
