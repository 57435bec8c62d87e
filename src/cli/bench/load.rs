//! The loop of one thread that produces, closed or open.

use super::batch::{Batches, Shape};
use super::conn::Conn;
use super::cost::thread_cpu_s;
use super::lane::{Lane, Sent, Shared, Tally};
use super::live::Live;
use super::poll::{Poll, system};
use super::report::interrupted_run;
use super::schedule::{Limit, Pace, Schedule};
use super::writer::writer_id;
use crate::cli::{CliError, signal};
use crate::client::ClientError;
use std::collections::VecDeque;
use std::sync::atomic::Ordering;

/// Requests on their way while every partition gets its first batch.
const PRIME_INFLIGHT: usize = 64;

/// Appends one batch to every partition, so that no broker pays for a partition's first append while
/// it is measured.
pub fn prime(
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
        if signal::stopped().is_some() {
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

fn no_answer(conn: Option<&Conn<Sent>>, shared: &Shared<'_>) -> CliError {
    let address = conn.map_or_else(|| "the broker".to_owned(), |c| c.address().to_owned());
    ClientError::NoAnswer { address, seconds: shared.c.run.timeout.as_secs() }.into()
}

/// One thread's load. Requests that have no answer when it ends early have waited at least until
/// then, and are charged for it.
pub fn drive(
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
        if signal::stopped().is_some() || shared.stop.load(Ordering::Relaxed) {
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
