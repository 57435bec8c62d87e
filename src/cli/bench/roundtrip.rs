//! One thread's batches, from producing connections to fetching ones and back.

use super::batch::Batches;
use super::check::Verdict;
use super::conn::Conn;
use super::consume::{Limits, Reading, fetch, read_fetch};
use super::cost::thread_cpu_s;
use super::lane::no_tags;
use super::latency::Latency;
use super::live::{Live, LivePart};
use super::machine::Clock;
use super::options::E2e;
use super::poll::{Poll, system};
use super::schedule::{Limit, Pace, Schedule, Window};
use crate::cli::{CliError, signal};
use crate::client::{ClientError, check_code};
use crate::wire::Reader;
use crate::wire::api_keys::ApiKey;
use crate::wire::kafka::produce_response::ProduceResponse;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

const REQUEST_TIMEOUT_MS: i32 = 30_000;

const FETCH_BYTES: i32 = 50 << 20;

const PARTITION_BYTES: i32 = 8 << 20;

/// What travels with a request.
#[derive(Clone, Copy, Debug)]
pub enum Sent {
    /// A batch of the partition at this place.
    Produce { part: usize, intended: u64 },
    /// A fetch.
    Fetch,
}

/// One partition: its reader stands in [`Thread::readings`] at the same place.
#[derive(Debug)]
pub struct Part {
    pub producer: usize,
    pub number: u64,
    pub sequence: i32,
    /// Batches that have not come back: their numbers and intended times.
    pub out: VecDeque<(u64, u64)>,
    /// Offset after the last acknowledged record.
    pub acknowledged: i64,
}

pub struct Producer {
    pub conn: usize,
    pub version: i16,
    pub batches: Batches,
    pub writer: u32,
}

pub struct Consumer {
    pub conn: usize,
    pub version: i16,
    pub parts: Vec<usize>,
}

/// The connections and partitions of one thread.
pub struct Thread {
    pub conns: Vec<Conn<Sent>>,
    pub producers: Vec<Producer>,
    pub consumers: Vec<Consumer>,
    pub parts: Vec<Part>,
    /// In order of place.
    pub readings: Vec<Reading>,
}

pub struct Shared<'a> {
    pub c: &'a E2e,
    pub names: &'a [String],
    pub clock: Clock,
    pub begin: u64,
    pub window: Window,
    pub stop: AtomicBool,
}

#[derive(Debug, Default)]
pub struct Tally {
    pub ack: Latency,
    pub end: Latency,
    pub lag: Latency,
    pub records: u64,
    pub batches: u64,
    pub unsent: u64,
    pub verdict: Verdict,
    pub last_seen: u64,
    pub cpu: f64,
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

    /// Whether the connection of this partition has room for its next batch.
    fn has_room(&self, part: usize) -> bool {
        let producer = &self.producers[self.parts[part].producer];
        self.conns[producer.conn].has_room()
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

    /// Whether everything that was sent has come back.
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

/// One thread's load. What has not come back when it ends early has waited at least until then, and
/// is charged for it.
pub fn drive(
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
        if missing > 0
            && result.is_ok()
            && !shared.stop.load(Ordering::Relaxed)
            && signal::stopped().is_none()
        {
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
        if signal::stopped().is_some() || shared.stop.load(Ordering::Relaxed) {
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
