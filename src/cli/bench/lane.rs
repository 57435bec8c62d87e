//! One connection that produces.

use super::batch::Batches;
use super::conn::{Body, Conn};
use super::latency::Latency;
use super::live::LivePart;
use super::machine::Clock;
use super::options::Produce;
use super::schedule::Window;
use super::topics::Place;
use crate::cli::CliError;
use crate::client::{ClientError, check_code};
use crate::wire::api_keys::ApiKey;
use crate::wire::kafka::produce_response::ProduceResponse;
use crate::wire::{Reader, WireError};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// How long the broker may take for a request, milliseconds.
const REQUEST_TIMEOUT_MS: i32 = 30_000;

/// What the threads of a run share.
pub struct Shared<'a> {
    pub c: &'a Produce,
    pub names: &'a [String],
    pub clock: Clock,
    pub window: Window,
    pub inflight: usize,
    /// When the load begins.
    pub begin: u64,
    /// Requests that may still begin in the window.
    pub left: AtomicU64,
    /// A thread has ended early: so should the others.
    pub stop: AtomicBool,
}

/// A partition as one connection writes to it.
#[derive(Clone, Debug)]
pub struct Part {
    pub place: Place,
    /// Number of its next batch from this connection.
    pub number: u64,
    pub sequence: i32,
    pub last_offset: i64,
}

/// What travels with a request.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    pub intended: u64,
    pub batches: u32,
    pub records: u32,
}

/// One connection, with the partitions that its broker leads, in order.
pub struct Lane {
    pub conn: Conn<Sent>,
    pub version: i16,
    pub batches: Batches,
    pub idempotent: bool,
    pub parts: Vec<Part>,
    pub at: usize,
    /// Requests were added since the last [`Lane::flush`].
    pub unflushed: bool,
}

/// What one thread has counted.
#[derive(Debug, Default)]
pub struct Tally {
    pub latency: Latency,
    /// From the intended time until the thread looked at the request.
    pub lag: Latency,
    pub answered: u64,
    pub unsent: u64,
    pub last_answer: u64,
    /// Over the whole run, the first batches and the warm-up included.
    pub records_sent: u64,
    pub records_acknowledged: u64,
    pub cpu: f64,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
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
    pub fn send(&mut self, names: &[String], acks: i16, count: usize, sent: Sent, unix_ms: i64) {
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

    /// Reads the answers that have arrived.
    pub fn receive(
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

    /// Sends what waits; with acks=0, a request that was sent counts as answered.
    pub fn flush(
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

    /// Whether another request may be added.
    pub fn has_room(&self, inflight: usize) -> bool {
        self.conn.in_flight() < inflight && self.conn.has_room()
    }

    /// Adds the next request, which should have left at `intended`.
    pub fn add(&mut self, shared: &Shared<'_>, intended: u64, now: u64, tally: &mut Tally) {
        let c = shared.c;
        let count = c.partitions_per_request;
        let sent = Sent { intended, batches: count, records: c.records.batch };
        tally.records_sent += u64::from(c.records.batch) * u64::from(count);
        self.send(shared.names, c.records.acks, count as usize, sent, shared.clock.unix_ms(now));
    }

    /// Closed loop: adds requests up to the allowed number in flight, and sends them.
    pub fn pump(
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
    /// Closed loop: whether another request may begin.
    pub fn take_turn(&self, now: u64) -> bool {
        if now < self.window.from {
            return true;
        }
        if self.window.to != u64::MAX {
            return now < self.window.to;
        }
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
    }

    /// Whether no further request will begin.
    pub fn is_over(&self, now: u64) -> bool {
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
