//! `klamm bench produce`: closed and open loops.

use super::batch::{Batches, Shape};
use super::check::Verdict;
use super::conn::Conn;
use super::cost::Meter;
use super::lane::{Lane, Part, Shared, Tally};
use super::latency::round;
use super::live::Live;
use super::load::{drive, prime};
use super::machine::Clock;
use super::options::Produce;
use super::report::{Outcome, interrupted_run, verdict_json};
use super::saturation::{is_held, saturated, saturation_line};
use super::schedule::Window;
use super::setup::with_topics;
use super::threads::run_all;
use super::topics::Topics;
use super::writer::writer_id;
use crate::cli::{CliError, signal};
use crate::client::producer::producer_id;
use crate::wire::kafka::produce_request::ProduceRequest;
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

/// Runs the load.
pub fn run(c: &Produce) -> Result<Outcome, CliError> {
    let shape = c.records.shape()?;
    with_topics(&c.broker, &c.topics, &c.run, u64::from(c.connections), |topics| {
        measure(c, &shape, topics)
    })
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
    let cpus = c.run.machine.cpus();
    let work = |i, lanes, tally: &mut Tally| drive(shared, lanes, (i, threads), live_ref, tally);
    let (tallies, meter) =
        run_all(groups, &cpus, &shared.stop, work, |done| watch(shared, live_ref, done));
    live.end();
    let mut stop = None;
    for (one, result) in tallies {
        tally.add(&one);
        stop = stop.or(result.err());
    }
    if signal::stopped().is_some() && stop.is_none() {
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
        let saturated = saturated(held, &tally.lag, &tally.latency, tally.cpu, c.run.spin);
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

/// Samples the broker's process until the window ends, or all threads have. Returns when that was.
fn watch(shared: &Shared<'_>, live: &Live, over: impl Fn() -> bool) -> (Meter, u64) {
    let (clock, window) = (shared.clock, shared.window);
    let mut last = clock.now();
    let mut meter = None;
    let mut end = None;
    loop {
        let now = clock.now();
        if now >= window.from && meter.is_none() {
            meter = Some(Meter::begin(&shared.c.run.machine.broker_pid));
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
            let pids = &shared.c.run.machine.broker_pid;
            return (meter.unwrap_or_else(|| Meter::begin(pids)), end.unwrap_or(now));
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
        if found < want && unacknowledged && !waited && signal::stopped().is_none() {
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
