//! `klamm bench e2e`: from the intended time of sending to the moment of receipt.
//!
//! Each thread produces and fetches its own partitions, so a batch's intended time waits in memory
//! for its number to come back: nothing is shared, and no clock of another process is involved.

use super::batch::{Batches, Shape};
use super::check::PartitionReader;
use super::check::Verdict;
use super::conn::Conn;
use super::consume::{Limits, Reading, fetch, read_fetch};
use super::cost::{Meter, check_pid, thread_cpu_s};
use super::latency::{Latency, round};
use super::live::{Live, LivePart};
use super::machine::{Clock, catch_interrupts, interrupted, open_files};
use super::options::E2e;
use super::poll::Poll;
use super::produce::{
    Window, is_held, no_tags, producer_id, saturated, saturation_line, system, writer_id,
};
use super::report::{Outcome, interrupted_run, verdict_json};
use super::schedule::{Limit, Pace, Schedule};
use super::topics::{Leader, Topics};
use crate::cli::{CliError, offsets};
use crate::client::{ClientError, check_code};
use crate::wire::Reader;
use crate::wire::api_keys::ApiKey;
use crate::wire::kafka::fetch_request::FetchRequest;
use crate::wire::kafka::produce_request::ProduceRequest;
use crate::wire::kafka::produce_response::ProduceResponse;
use serde_json::json;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;
use std::time::Duration;

const REQUEST_TIMEOUT_MS: i32 = 30_000;
/// Above this, a connection's batches wait in the schedule.
const UNSENT_BYTES_MAX: u64 = 4 << 20;
const FETCH_BYTES: i32 = 50 << 20;
const PARTITION_BYTES: i32 = 8 << 20;

/// What travels with a request.
#[derive(Clone, Copy, Debug)]
enum Sent {
    /// A batch of the partition at this place.
    Produce { part: usize, intended: u64 },
    /// A fetch.
    Fetch,
}

/// One partition: its reader stands in [`Thread::readings`] at the same place.
#[derive(Debug)]
struct Part {
    producer: usize,
    number: u64,
    sequence: i32,
    /// Numbers that have not come back, with their intended times.
    out: VecDeque<(u64, u64)>,
    /// Offset after the last acknowledged record.
    acknowledged: i64,
}

struct Producer {
    conn: usize,
    version: i16,
    batches: Batches,
    writer: u32,
}

struct Consumer {
    conn: usize,
    version: i16,
    parts: Vec<usize>,
}

/// What one thread works with.
struct Thread {
    conns: Vec<Conn<Sent>>,
    producers: Vec<Producer>,
    consumers: Vec<Consumer>,
    parts: Vec<Part>,
    /// In order of place.
    readings: Vec<Reading>,
}

struct Shared<'a> {
    c: &'a E2e,
    names: &'a [String],
    clock: Clock,
    begin: u64,
    window: Window,
    stop: AtomicBool,
}

#[derive(Debug, Default)]
struct Tally {
    ack: Latency,
    end: Latency,
    lag: Latency,
    records: u64,
    batches: u64,
    unsent: u64,
    verdict: Verdict,
    last_seen: u64,
    cpu: f64,
}

impl Thread {
    fn produce(&mut self, shared: &Shared<'_>, at: usize, intended: u64) -> Result<(), CliError> {
        let Self { conns, producers, parts, readings, .. } = self;
        let part = &mut parts[at];
        let producer = &mut producers[part.producer];
        let place = readings[at].place;
        let acks = shared.c.records.acks;
        let flexible = ApiKey::PRODUCE.is_flexible(producer.version);
        let sequence = producer.batches.producer().map(|_| part.sequence);
        let len = producer.batches.len(part.number);
        let unix_ms = shared.clock.unix_ms(intended);
        let (front, rest) = producer.batches.patch(part.number, sequence, unix_ms);
        let conn = &mut conns[producer.conn];
        let sent = Sent::Produce { part: at, intended };
        conn.request(ApiKey::PRODUCE, producer.version, acks != 0, sent, |body| {
            body.w.nullable_string(None, flexible)?;
            body.w.i16(acks);
            body.w.i32(REQUEST_TIMEOUT_MS);
            body.w.array_len(Some(1), flexible)?;
            body.w.string(&shared.names[place.topic as usize], flexible)?;
            body.w.array_len(Some(1), flexible)?;
            body.w.i32(place.partition);
            body.w.bytes_len(Some(len), flexible)?;
            body.w.raw(front);
            if !rest.is_empty() {
                body.shared(rest);
            }
            // Of the partition, the topic and the request.
            for _ in 0..3 {
                no_tags(body, flexible);
            }
            Ok(())
        })?;
        part.out.push_back((part.number, intended));
        part.number += 1;
        part.sequence = part.sequence.wrapping_add(shared.c.records.batch as i32) & i32::MAX;
        conn.flush(|_| ())?;
        Ok(())
    }

    /// The next batch of this partition has room on its connection.
    fn has_room(&self, part: usize) -> bool {
        let producer = &self.producers[self.parts[part].producer];
        self.conns[producer.conn].bytes_unsent() < UNSENT_BYTES_MAX
    }

    fn fetch(&mut self, shared: &Shared<'_>, consumer: usize) -> Result<(), CliError> {
        let Self { conns, consumers, readings, .. } = self;
        let consumer = &consumers[consumer];
        let conn = &mut conns[consumer.conn];
        let limits = Limits {
            wait_ms: shared.c.max_wait.as_millis() as i32,
            bytes: FETCH_BYTES,
            partition_bytes: PARTITION_BYTES,
        };
        let mine = consumer.parts.iter().map(|i| &readings[*i]);
        fetch(conn, consumer.version, shared.names, limits, mine, Sent::Fetch)?;
        conn.flush(|_| ())?;
        Ok(())
    }

    fn receive(
        &mut self,
        conn: usize,
        shared: &Shared<'_>,
        tally: &mut Tally,
        live: &mut LivePart<'_>,
    ) -> Result<(), CliError> {
        let Self { conns, producers, parts, readings, .. } = self;
        conns[conn].receive(shared.clock, |now, version, sent, r| match sent {
            Sent::Produce { part, intended } => {
                let acknowledged = read_ack(r, version, shared.names, &readings[part])?;
                let count = i64::from(shared.c.records.batch);
                parts[part].acknowledged = parts[part].acknowledged.max(acknowledged + count);
                if shared.window.has(intended) {
                    tally.ack.record(now - intended);
                }
                Ok(())
            }
            Sent::Fetch => read_fetch(r, version, shared.names, |place, bytes| {
                let at = readings.binary_search_by_key(&place, |r| r.place).map_err(|_| {
                    CliError::Failed(
                        "an answer names a partition that was not asked for".to_owned(),
                    )
                })?;
                let part = &mut parts[at];
                let own = producers[part.producer].writer;
                let Tally { verdict, end, records, batches, last_seen, .. } = tally;
                let value_bytes = shared.c.records.record_size as u64;
                let taken = readings[at].reader.take(bytes, verdict, |writer, number, count| {
                    if writer != own {
                        return;
                    }
                    *last_seen = now;
                    // What was passed over is lost, or comes late: neither has a time of its own.
                    while part.out.front().is_some_and(|(n, _)| *n < number) {
                        part.out.pop_front();
                    }
                    if part.out.front().is_none_or(|(n, _)| *n != number) {
                        return;
                    }
                    let Some((_, intended)) = part.out.pop_front() else { return };
                    if shared.window.has(now) {
                        *records += count;
                        *batches += 1;
                    }
                    if shared.window.has(intended) {
                        end.record_n(now - intended, count);
                    }
                    live.count(now, count * value_bytes, Some(now - intended));
                });
                taken.map(drop).map_err(CliError::Failed)
            }),
        })
    }

    /// Everything that was sent has come back.
    fn is_done(&self, acks: i16) -> bool {
        let mut parts = self.parts.iter().zip(&self.readings);
        let quiet = self.producers.iter().all(|p| self.conns[p.conn].in_flight() == 0);
        quiet
            && parts.all(|(part, reading)| match acks {
                0 => part.out.is_empty(),
                _ => reading.reader.position >= part.acknowledged,
            })
    }
}

/// The base offset that a Produce was acknowledged with.
fn read_ack(
    r: &mut Reader<'_>,
    version: i16,
    names: &[String],
    reading: &Reading,
) -> Result<i64, CliError> {
    let response = ProduceResponse::decode(r, version)
        .map_err(|why| ClientError::BadResponse { api: "Produce".to_owned(), why })?;
    let place = reading.place;
    let answers: Vec<_> = response
        .responses
        .iter()
        .flat_map(|t| t.partition_responses.iter().map(|p| (t.name, p)))
        .collect();
    let [(topic, p)] = answers[..] else {
        let count = answers.len();
        return Err(CliError::Failed(format!("an answer is about {count} partitions, not one")));
    };
    let name = || format!("partition {} of topic '{topic}'", p.index);
    check_code(p.error_code, name, p.error_message)?;
    if topic != names[place.topic as usize] || p.index != place.partition {
        return Err(CliError::Failed(format!("an answer names {}, unasked", name())));
    }
    Ok(p.base_offset)
}

/// Runs the load.
pub fn run(c: &E2e) -> Result<Outcome, CliError> {
    let shape = c.records.shape()?;
    if !c.records.has_mark() {
        let hint = "--record-size: e2e needs at least 16 bytes to tell its records apart";
        return Err(CliError::Usage(hint.to_owned()));
    }
    check_pid(c.run.machine.broker_pid)?;
    open_files(u64::from(c.connections + c.consumers) + 64)?;
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
    c: &E2e,
    shape: &Shape,
    topics: &mut Topics,
    clock: Clock,
) -> Result<Vec<Thread>, CliError> {
    let ends = topics.offsets(offsets::LATEST)?;
    let leaders = topics.leaders()?;
    let threads = usize::from(c.run.threads).min(topics.partitions());
    let mut writers = 0;
    let mut out = Vec::new();
    for thread in 0..threads {
        let mut this = Thread {
            conns: Vec::new(),
            producers: Vec::new(),
            consumers: Vec::new(),
            parts: Vec::new(),
            readings: Vec::new(),
        };
        let places = |leader: &Leader| {
            let mine = leader.places.iter().copied().enumerate();
            mine.filter(|(i, _)| i % threads == thread).map(|(_, p)| p).collect::<Vec<_>>()
        };
        // Parts in order of place, whatever leader they have.
        let mut all: Vec<_> = leaders
            .iter()
            .enumerate()
            .flat_map(|(l, leader)| places(leader).into_iter().map(move |p| (p, l)))
            .collect();
        all.sort_unstable();
        for (place, _) in &all {
            let position = ends.get(place).copied().unwrap_or(0);
            let name = topics.name_of(*place);
            let reader = PartitionReader::new(name, position, true, true);
            this.readings.push(Reading { place: *place, end: i64::MAX, reader });
            this.parts.push(Part {
                producer: 0,
                number: 0,
                sequence: 0,
                out: VecDeque::new(),
                acknowledged: position,
            });
        }
        for (l, leader) in leaders.iter().enumerate() {
            let mine: Vec<usize> = (0..all.len()).filter(|i| all[*i].1 == l).collect();
            if mine.is_empty() {
                continue;
            }
            let share = |n: u32| (n as usize).div_ceil(threads * leaders.len()).min(mine.len());
            let mut open = || -> Result<usize, CliError> {
                this.conns.push(Conn::open(&leader.host, leader.port, c.run.timeout)?);
                Ok(this.conns.len() - 1)
            };
            let mut producers = Vec::new();
            for _ in 0..share(c.connections) {
                producers.push(open()?);
            }
            let mut consumers = Vec::new();
            for _ in 0..share(c.consumers) {
                consumers.push(open()?);
            }
            let count = producers.len();
            for (i, conn) in producers.into_iter().enumerate() {
                let producer =
                    c.records.idempotent.then(|| producer_id(&mut topics.cluster)).transpose()?;
                let writer = writer_id(clock, writers);
                writers += 1;
                for at in mine.iter().skip(i).step_by(count) {
                    this.parts[*at].producer = this.producers.len();
                }
                this.producers.push(Producer {
                    conn,
                    version: this.conns[conn].version::<ProduceRequest<'_>>()?,
                    batches: Batches::new(shape, writer, producer),
                    writer,
                });
            }
            let count = consumers.len();
            for (i, conn) in consumers.into_iter().enumerate() {
                this.consumers.push(Consumer {
                    conn,
                    version: this.conns[conn].version::<FetchRequest<'_>>()?,
                    parts: mine.iter().skip(i).step_by(count).copied().collect(),
                });
            }
        }
        out.push(this);
    }
    Ok(out)
}

fn measure(c: &E2e, shape: &Shape, topics: &mut Topics) -> Result<Outcome, CliError> {
    let clock = Clock::start();
    let threads = connect(c, shape, topics, clock)?;
    let names = topics.names.clone();
    let connections: usize = threads.iter().map(|t| t.conns.len()).sum();
    let batch_bytes = threads[0].producers[0].batches.len(0);
    let warmup = c.run.warmup.unwrap_or(Duration::from_secs(2));
    let begin = clock.now();
    let from = begin + warmup.as_nanos() as u64;
    let window = Window { from, to: from + c.run.duration.as_nanos() as u64 };
    let stop = AtomicBool::new(false);
    let shared = &Shared { c, names: &names, clock, begin, window, stop };
    let live = &Live::new(c.output.quiet);
    let count = threads.len();
    let (results, meter) = std::thread::scope(|scope| {
        let threads: Vec<_> = threads
            .into_iter()
            .enumerate()
            .map(|(i, thread)| {
                scope.spawn(move || {
                    let mut tally = Tally::default();
                    let run = || drive(shared, thread, (i, count), live, &mut tally);
                    let result = c.run.machine.cpus().pin(i).and_then(|()| run());
                    if result.is_err() {
                        shared.stop.store(true, Ordering::Relaxed);
                    }
                    (tally, result)
                })
            })
            .collect();
        let meter = watch(shared, live, || threads.iter().all(ScopedJoinHandle::is_finished));
        let join = |t: ScopedJoinHandle<'_, (Tally, Result<(), CliError>)>| {
            t.join().expect("threads do not panic")
        };
        (threads.into_iter().map(join).collect::<Vec<_>>(), meter)
    });
    live.end();
    let mut tally = Tally::default();
    let mut stop = None;
    for (one, result) in results {
        tally.ack.add(&one.ack);
        tally.end.add(&one.end);
        tally.lag.add(&one.lag);
        tally.records += one.records;
        tally.batches += one.batches;
        tally.unsent += one.unsent;
        tally.verdict.add(one.verdict);
        tally.last_seen = tally.last_seen.max(one.last_seen);
        tally.cpu = tally.cpu.max(one.cpu);
        stop = stop.or(result.err());
    }
    if interrupted() && stop.is_none() {
        stop = Some(interrupted_run());
    }
    let complete = stop.is_none();
    let end = if complete { window.to } else { tally.last_seen.clamp(window.from, window.to) };
    let seconds = (end - window.from) as f64 / 1e9;
    let bytes = tally.records as f64 * c.records.record_size as f64;
    let per_s = |n: f64| if seconds > 0.0 { round(n / seconds) } else { 0.0 };
    let mut out = meter.end(seconds, bytes, tally.batches as f64);
    out.insert("workload".to_owned(), json!("e2e"));
    out.insert(
        "settings".to_owned(),
        json!({
            "topics": c.topics.topics, "partitions": topics.partitions(),
            "connections": connections, "threads": count, "rate": c.rate,
            "record_size": c.records.record_size, "batch": c.records.batch,
            "batch_bytes": batch_bytes, "key_size": c.records.key_size,
            "compression": c.records.compression.name(), "acks": c.records.acks,
            "idempotent": c.records.idempotent, "spin": c.run.spin,
            "duration_s": c.run.duration.as_secs_f64(), "warmup_s": warmup.as_secs_f64(),
        }),
    );
    out.insert("seconds".to_owned(), json!(seconds));
    out.insert("requests".to_owned(), json!(tally.batches));
    out.insert("records".to_owned(), json!(tally.records));
    out.insert("bytes".to_owned(), json!(bytes as u64));
    out.insert("requests_per_s".to_owned(), json!(per_s(tally.batches as f64)));
    out.insert("records_per_s".to_owned(), json!(per_s(tally.records as f64)));
    out.insert("mb_per_s".to_owned(), json!(per_s(bytes / 1e6)));
    out.insert("ack_us".to_owned(), tally.ack.to_json());
    let held = is_held(tally.batches, c.rate * seconds) && tally.unsent == 0;
    let who = saturated(held, &tally.lag, tally.cpu, c.run.spin);
    out.insert("unsent".to_owned(), json!(tally.unsent));
    out.insert("send_lag_us".to_owned(), tally.lag.to_json());
    out.insert("saturated".to_owned(), json!(who));
    out.insert("check".to_owned(), verdict_json(Some(&tally.verdict)));
    let problem = tally.verdict.problem();
    let mut outcome = Outcome::new(out, "e2e_us", tally.end);
    if complete && problem.is_none() {
        outcome.warnings.extend(saturation_line(who, c.rate, per_s(tally.batches as f64)));
    }
    outcome.complete = complete;
    outcome.stop = problem.map(CliError::Failed).or(stop);
    Ok(outcome)
}

/// Samples the broker's process until the window ends, or all threads have.
fn watch(shared: &Shared<'_>, live: &Live, over: impl Fn() -> bool) -> Meter {
    let (clock, window, pid) = (shared.clock, shared.window, shared.c.run.machine.broker_pid);
    let mut last = clock.now();
    let mut meter: Option<Meter> = None;
    loop {
        let now = clock.now();
        let over = over();
        if now >= window.from {
            let meter = meter.get_or_insert_with(|| Meter::begin(pid));
            meter.sample();
            if now >= window.to {
                meter.stop();
            }
        }
        if over {
            return meter.unwrap_or_else(|| Meter::begin(pid));
        }
        live.show(now, &mut last, if now < window.from { "warm-up" } else { "e2e" });
        let edge = if now < window.from { window.from } else { window.to };
        let next = now + 20_000_000;
        clock.sleep_until(if now < edge { next.min(edge) } else { next });
    }
}

/// One thread's load. What has not come back when it ends early has waited at least until then, and
/// is charged for it.
fn drive(
    shared: &Shared<'_>,
    mut thread: Thread,
    place: (usize, usize),
    live: &Live,
    tally: &mut Tally,
) -> Result<(), CliError> {
    let (i, threads) = place;
    let (c, window) = (shared.c, shared.window);
    let mut schedule = Schedule::new(c.rate, i, threads, shared.begin, window.to);
    let result = turn(shared, &mut thread, &mut schedule, live, tally);
    let now = shared.clock.now();
    let count = u64::from(c.records.batch);
    tally.unsent += schedule.charge(now, window.from, count, &mut tally.end);
    for (part, reading) in thread.parts.iter().zip(&thread.readings) {
        for (_, intended) in part.out.iter().filter(|(_, t)| shared.window.has(*t)) {
            tally.end.record_n(now - intended, count);
            tally.unsent += 1;
        }
        // Acknowledged, and yet not to be had.
        let missing = part.acknowledged - reading.reader.position;
        if missing > 0 && result.is_ok() && !shared.stop.load(Ordering::Relaxed) && !interrupted() {
            let writer = thread.producers[part.producer].writer;
            let sent = part.number;
            let seen = reading.reader.next_number(writer);
            tally.verdict.lost += sent.saturating_sub(seen);
            let name = &shared.names[reading.place.topic as usize];
            tally.verdict.note(|| {
                format!(
                    "{name}-{}: acknowledged up to offset {}, but served only up to {}",
                    reading.place.partition, part.acknowledged, reading.reader.position
                )
            });
        }
    }
    result
}

fn turn(
    shared: &Shared<'_>,
    this: &mut Thread,
    schedule: &mut Schedule,
    live: &Live,
    tally: &mut Tally,
) -> Result<(), CliError> {
    const WAIT_NS: u64 = 10_000_000;
    let c = shared.c;
    let (clock, window) = (shared.clock, shared.window);
    let timeout = c.run.timeout.as_nanos() as u64;
    let mut live = live.part();
    let mut poll = Poll::new(this.conns.iter().map(Conn::socket)).map_err(system)?;
    let mut pace = Pace::new(clock.now());
    let mut next = 0;
    let mut cpu = None;
    let (mut answered_at, mut seen_at) = (clock.now(), clock.now());
    let mut seen_before = 0;
    for consumer in 0..this.consumers.len() {
        this.fetch(shared, consumer)?;
    }
    let result = loop {
        let now = clock.now();
        if cpu.is_none() && now >= window.from {
            cpu = Some((now, thread_cpu_s()));
        }
        let limit = loop {
            let Some(intended) = schedule.due(now) else { break Limit::Due };
            if !pace.may_send() {
                break Limit::Work;
            }
            if !this.has_room(next) {
                break Limit::Room;
            }
            schedule.take();
            pace.sends(intended, now, window.has(intended));
            this.produce(shared, next, intended)?;
            next = (next + 1) % this.parts.len();
        };
        pace.ends(now, limit);
        if interrupted() || shared.stop.load(Ordering::Relaxed) {
            break Ok(());
        }
        let mut wait = pace.wait(schedule, clock.now(), WAIT_NS);
        if now >= window.to {
            if let Some((from, before)) = cpu.filter(|_| tally.cpu == 0.0) {
                let seconds = (now - from) as f64 / 1e9;
                tally.cpu = (thread_cpu_s() - before) / seconds.max(1e-9);
            }
            let count = u64::from(c.records.batch);
            tally.unsent += schedule.charge(now, window.from, count, &mut tally.end);
            if this.is_done(c.records.acks) {
                break Ok(());
            }
            wait = WAIT_NS;
        }
        // Fetches are always answered, so only silence of all connections is none at all; records
        // that are acknowledged and do not come are lost.
        let quiet = this.producers.iter().all(|p| this.conns[p.conn].in_flight() == 0);
        if now.saturating_sub(answered_at) > timeout {
            let address = this.conns[0].address().to_owned();
            break Err(ClientError::NoAnswer { address, seconds: c.run.timeout.as_secs() }.into());
        }
        if now >= window.to && quiet && now.saturating_sub(seen_at) > timeout {
            break Ok(());
        }
        for i in 0..poll.wait(if c.run.spin { 0 } else { wait }).map_err(system)? {
            let at = poll.socket(i);
            let conn = &mut this.conns[at];
            conn.flush(|_| ())?;
            let before = conn.in_flight();
            this.receive(at, shared, tally, &mut live)?;
            if this.conns[at].in_flight() < before {
                answered_at = clock.now();
            }
            if tally.last_seen > seen_before {
                seen_before = tally.last_seen;
                seen_at = clock.now();
            }
            let consumer = this.consumers.iter().position(|c| c.conn == at);
            if let Some(consumer) = consumer.filter(|_| this.conns[at].in_flight() == 0) {
                this.fetch(shared, consumer)?;
            }
        }
    };
    tally.lag.add(&pace.lag);
    result
}
