//! `klamm bench e2e`: from the intended time of sending to the moment of receipt.
//!
//! Each thread produces and fetches its own partitions, so a batch's intended time waits in memory
//! for its number to come back: nothing is shared, and no clock of another process is involved.

use super::batch::{Batches, Shape};
use super::check::PartitionReader;
use super::conn::Conn;
use super::consume::Reading;
use super::cost::Meter;
use super::latency::round;
use super::live::Live;
use super::machine::Clock;
use super::options::E2e;
use super::report::{Outcome, interrupted_run, verdict_json};
use super::roundtrip::{Consumer, Part, Producer, Shared, Tally, Thread, drive};
use super::saturation::{is_held, saturated, saturation_line};
use super::schedule::Window;
use super::setup::with_topics;
use super::threads::run_all;
use super::topics::{Leader, Topics};
use super::writer::writer_id;
use crate::cli::{CliError, offsets, signal};
use crate::client::producer::producer_id;
use crate::wire::kafka::fetch_request::FetchRequest;
use crate::wire::kafka::produce_request::ProduceRequest;
use serde_json::json;
use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

/// Runs the load.
pub fn run(c: &E2e) -> Result<Outcome, CliError> {
    let shape = c.records.shape()?;
    if !c.records.has_mark() {
        let hint = "--record-size: e2e needs at least 16 bytes to tell its records apart";
        return Err(CliError::Usage(hint.to_owned()));
    }
    with_topics(&c.broker, &c.topics, &c.run, u64::from(c.connections + c.consumers), |topics| {
        measure(c, &shape, topics)
    })
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
    let cpus = c.run.machine.cpus();
    let work = |i, thread, tally: &mut Tally| drive(shared, thread, (i, count), live, tally);
    let (results, meter) =
        run_all(threads, &cpus, &shared.stop, work, |done| watch(shared, live, done));
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
    if signal::stopped().is_some() && stop.is_none() {
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
    let who = saturated(held, &tally.lag, &tally.end, tally.cpu, c.run.spin);
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
    let (clock, window, pids) = (shared.clock, shared.window, &shared.c.run.machine.broker_pid);
    let mut last = clock.now();
    let mut meter: Option<Meter> = None;
    loop {
        let now = clock.now();
        let over = over();
        if now >= window.from {
            let meter = meter.get_or_insert_with(|| Meter::begin(pids));
            meter.sample();
            if now >= window.to {
                meter.stop();
            }
        }
        if over {
            return meter.unwrap_or_else(|| Meter::begin(pids));
        }
        live.show(now, &mut last, if now < window.from { "warm-up" } else { "e2e" });
        let edge = if now < window.from { window.from } else { window.to };
        let next = now + 20_000_000;
        clock.sleep_until(if now < edge { next.min(edge) } else { next });
    }
}
