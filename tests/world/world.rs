//! Brokers, clients, a disk and clocks: what happens next is chosen by the seed.

use crate::checkers::Facts;
use crate::client::{Client, Cx};
use crate::plan::Plan;
use crate::process::{self, At, Io, Process, Sizes, Volume};
use klamm::broker::{Input, Phase};
use klamm::storage::device::sim_disk::{OpKind, Rng, SimDisk};
use klamm::types::Now;
use std::cell::Cell;
use std::rc::Rc;

/// When nothing fails any more, every request is answered and every consumer has read everything
/// after so much time at most, ms.
const PATIENCE_MS: i64 = 120_000;
/// Steps of one seed, at most: whoever goes on for ever shows up here. An honest run takes a
/// small part of them: `steps_max` in what the test prints.
const STEPS_MAX: u64 = 100_000;
/// In a hundred thousand steps, how often all who write fall silent, and for how long, ms: what a
/// fetch waits for is not made up for by what comes next.
const SILENCES: u64 = 160;
const SILENCE_MS: i64 = 7000;

/// In a hundred thousand steps, how often the disk stops writing; of those with a read in flight, how
/// often it stops reading; and for how many steps at most.
const WRITE_STALLS: u64 = 40;
const READ_STALLS: u64 = 3000;
const STALL_STEPS: u64 = 200;

/// A disk that does nothing for a while, as disks do.
#[derive(Clone, Copy, Debug)]
struct Stall {
    /// Reads wait, or all others do.
    reads: bool,
    steps: u64,
}

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Event {
    Deliver(usize, usize),
    Complete,
    Turn(usize),
    Continue(usize),
    Timeout(usize),
    Io(Io),
    Act(usize),
    Connect(usize),
}

pub struct World {
    pub rng: Rng,
    pub disk: SimDisk,
    pub facts: Facts,
    pub clients: Vec<Client>,
    pub process: Option<Process>,
    pub plan: Plan,
    pub life: u64,
    /// Operations are made to fail.
    pub faulty: bool,
    now: Now,
    volume: Rc<Cell<Volume>>,
    trace: u64,
    told: bool,
    calm: bool,
    /// Bytes of memory that others of the process hold.
    held: usize,
    /// Connections of this life that were closed to make room in memory.
    made_room: u64,
    steps: u64,
    stall: Option<Stall>,
}

impl World {
    pub fn new(seed: u64, told: bool) -> Self {
        let mut rng = Rng::new(seed);
        let disk = SimDisk::new(rng.bits());
        if told {
            disk.keep_log();
        }
        let mut facts = Facts::default();
        let plan = Plan::new(seed, &mut rng);
        facts.disk_fills_up = plan.fills_up;
        let clients = plan.clients(&mut rng, &mut facts);
        let total = plan.capacity;
        Self {
            rng,
            disk,
            facts,
            clients,
            process: None,
            plan,
            life: 0,
            faulty: false,
            now: Now { wall_ms: 1_700_000_000_000, monotonic_ms: 0 },
            volume: Rc::new(Cell::new(Volume { total, others: 0, reserve: 0 })),
            trace: 0,
            told,
            calm: false,
            held: 0,
            made_room: 0,
            steps: 0,
            stall: None,
        }
    }

    /// Adds to the trace.
    fn note(&mut self, hash: u64, line: impl FnOnce() -> String) {
        self.trace = (self.trace.rotate_left(5) ^ hash).wrapping_mul(0x2545_f491_4f6c_dd1d) ^ 1;
        if self.told {
            for line in self.disk.take_log() {
                println!("    {line}");
            }
            println!("{} {}", self.now.monotonic_ms, line());
        }
    }

    /// A hash of all that happened.
    pub fn trace(&self) -> u64 {
        self.trace ^ self.disk.trace_hash()
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a life")
    }

    // ---- Lives ----

    /// Opens, whatever it takes: up to `cuts` attempts lose power on the way.
    pub fn open(&mut self, mut cuts: u64) {
        // Whoever has filled the disk makes room before the next start.
        self.set_others(0);
        self.life += 1;
        self.facts.life = self.life;
        self.facts.counts.lives += 1;
        for attempt in 0.. {
            assert!(attempt < 50, "does not open");
            let sizes = Sizes::random(&mut self.rng);
            if cuts > 0 {
                cuts -= 1;
                let most = [8, 40, 200][self.rng.index(3)];
                self.disk.set_fuel(Some(self.rng.below(most)));
            }
            let life = self.life;
            self.note(1, || format!("---- life {life}: {sizes:?}"));
            let (disk, settings) = (self.disk.clone(), self.plan.settings.clone());
            let volume = self.volume.clone();
            match process::open(&disk, &sizes, &settings, volume, self.now, &mut self.rng) {
                Ok(process) => {
                    self.process = Some(process);
                    break;
                }
                Err(_) if self.disk.is_off() => {
                    self.facts.counts.power_cuts += 1;
                    self.disk.restart();
                }
                // Whoever starts it again has mended the disk.
                Err(_) if self.faulty && self.disk.faults_hit() > 0 => {
                    self.disk.set_fault(None);
                    self.disk.process_crash();
                }
                Err(e) => panic!("does not open: {e}"),
            }
        }
        self.disk.set_fuel(None);
        (self.calm, self.held, self.made_room) = (false, 0, 0);
        // What a life promises first is not made up for by what it did before.
        if self.rng.chance(20) {
            self.begin_stall(false);
        }
    }

    /// The power is off, or the process has ended itself.
    pub fn over(&self) -> bool {
        self.disk.is_off() || self.process.as_ref().is_none_or(|it| it.fatal.is_some())
    }

    /// Ends the life in the middle of whatever goes on.
    pub fn crash(&mut self, power: bool) {
        self.note(2, || format!("---- crash, power: {power}"));
        self.end_stall();
        let process = self.process.take();
        if let Some(process) = &process {
            let outputs = process.outputs_max as u64;
            self.facts.counts.outputs_max = self.facts.counts.outputs_max.max(outputs);
            if let Some((_, why)) = &process.fatal {
                let expected = self.faulty || self.plan.fills_up && why.contains("No space left");
                assert!(expected, "the broker gives up: {why}");
                self.facts.counts.fatal += 1;
            }
        }
        drop(process);
        for client in 0..self.clients.len() {
            self.disconnect(client);
        }
        if power || self.disk.is_off() {
            self.facts.counts.power_cuts += 1;
            self.disk.power_cut();
        } else {
            self.facts.counts.crashes += 1;
            self.disk.process_crash();
        }
        self.disk.restart();
        self.facts.life_ended();
    }

    /// Ends the life as a signal does. False where the disk did not let it.
    pub fn stop(&mut self) -> bool {
        self.note(3, || "---- a clean stop".to_owned());
        self.end_stall();
        let now = self.now;
        self.process().begin_end(now);
        let until = now.monotonic_ms + PATIENCE_MS;
        while !self.over() {
            let now = self.now;
            if self.process().advance_end(now) {
                break;
            }
            assert!(self.now.monotonic_ms < until, "the stop does not end");
            self.step();
        }
        if self.over() {
            return false;
        }
        let now = self.now;
        let panics = self.process().panics(now);
        assert_eq!(panics, 0, "panics were caught");
        self.facts.counts.compactions += self.process().compactions(now);
        let marked = self.process().mark_clean();
        self.note(4, || format!("---- ended: {marked:?}"));
        if marked.is_err() {
            return false;
        }
        self.facts.counts.clean_ends += 1;
        let outputs = self.process().outputs_max as u64;
        self.facts.counts.outputs_max = self.facts.counts.outputs_max.max(outputs);
        self.process = None;
        for client in 0..self.clients.len() {
            self.disconnect(client);
        }
        self.facts.life_ended();
        true
    }

    /// Lets everything end that was begun, and consumers read to the end; everything must be answered
    /// in time.
    pub fn settle(&mut self) {
        self.note(5, || "---- calm".to_owned());
        self.disk.set_fault(None);
        self.disk.set_fuel(None);
        self.set_others(0);
        self.end_stall();
        if self.held > 0 {
            self.hold_memory(false);
        }
        self.calm = true;
        let until = self.now.monotonic_ms + PATIENCE_MS;
        while !self.over() && !self.is_settled() {
            let patient = self.now.monotonic_ms < until;
            assert!(patient, "never at rest: {:#?}", self.waiting());
            self.step();
        }
        self.calm = false;
    }

    /// Lets so much time pass that all that it is to take is gone, whatever clocks have said before, and
    /// everything looked at.
    pub fn grow_old(&mut self, ms: i64) {
        let wanted = self.facts.wall_ms_max + ms - self.now.wall_ms;
        self.pass(wanted.max(ms));
        self.facts.all_is_old = true;
        self.settle();
    }

    /// Lets time pass in calm.
    pub fn pass(&mut self, ms: i64) {
        self.calm = true;
        let until = self.now.monotonic_ms + ms;
        while !self.over() && self.now.monotonic_ms < until {
            self.step();
        }
        self.calm = false;
    }

    /// What clients wait for.
    fn waiting(&self) -> Vec<String> {
        self.clients.iter().filter_map(|it| it.waits(&self.facts)).collect()
    }

    fn is_settled(&self) -> bool {
        self.clients.iter().all(|it| {
            it.role.is_done(&self.facts)
                && it.link.as_ref().is_none_or(|link| link.sent.iter().all(|sent| !sent.answered))
        })
    }

    // ---- Steps ----

    /// Runs a number of steps, as long as the life lasts.
    pub fn run(&mut self, steps: u64) {
        for _ in 0..steps {
            if self.over() {
                return;
            }
            self.meddle();
            self.step();
        }
    }

    /// What the world does to clients and clocks, now and then.
    fn meddle(&mut self) {
        if self.plan.fills_up && self.rng.below(200) == 0 {
            let Volume { total, reserve, others } = self.volume.get();
            let room = total.saturating_sub(self.disk.used() + reserve);
            // Nearly all that is left, most of the time.
            let most = 1 << self.rng.between(18, 23);
            let spared = self.rng.below(most);
            let all =
                if others > 0 && self.rng.chance(70) { 0 } else { room.saturating_sub(spared) };
            self.set_others(all);
        }
        if self.rng.below(100_000) < SILENCES {
            self.fall_silent();
        }
        self.meddle_with_disk();
        match self.rng.below(4000) {
            0..=9 => {
                let client = self.rng.index(self.clients.len());
                self.disconnect(client);
            }
            10..=15 if !self.plan.steady_clock => {
                let ms = self.rng.between(1, 30_000) as i64;
                let back = self.rng.chance(50);
                self.now.wall_ms += if back { -ms } else { ms };
                self.facts.counts.clock_jumps += 1;
                self.note(ms as u64, || format!("the clock jumps by {ms} ms, back: {back}"));
            }
            20..=27 if self.plan.short_memory => {
                let give = self.rng.chance(50) || self.held > 0;
                self.hold_memory(!give);
            }
            _ => {}
        }
    }

    fn fall_silent(&mut self) {
        self.facts.silent_until_ms = self.now.monotonic_ms + SILENCE_MS;
        self.note(5, || "those who write fall silent".to_owned());
    }

    /// The disk stalls now and then, and while nothing is written clients lose patience.
    fn meddle_with_disk(&mut self) {
        let Some(stall) = &mut self.stall else {
            let reads = self.disk.in_flight_of(|it| it == OpKind::Read) > 0;
            let often = if reads { READ_STALLS } else { WRITE_STALLS };
            if self.rng.below(100_000) < often {
                self.begin_stall(reads);
            }
            return;
        };
        let reads = stall.reads;
        stall.steps = stall.steps.saturating_sub(1);
        if stall.steps == 0 {
            self.end_stall();
            if reads && self.rng.chance(50) {
                self.fall_silent();
            } else if !reads && self.rng.chance(30) {
                let fuel = self.rng.below(4);
                self.disk.set_fuel(Some(fuel));
            }
        } else if !reads && self.rng.chance(2) {
            let client = self.rng.index(self.clients.len());
            self.disconnect(client);
        }
    }

    fn begin_stall(&mut self, reads: bool) {
        let stall = Stall { reads, steps: self.rng.between(20, STALL_STEPS) };
        self.facts.counts.stalls += 1;
        self.note(stall.steps, || format!("the disk stalls: {stall:?}"));
        self.stall = Some(stall);
    }

    fn end_stall(&mut self) {
        if self.stall.take().is_some() {
            self.note(6, || "the disk stalls no more".to_owned());
        }
    }

    /// What the disk does now.
    fn disk_does(&self) -> impl Fn(OpKind) -> bool + use<> {
        let stall = self.stall;
        move |kind| stall.is_none_or(|it| it.reads != (kind == OpKind::Read))
    }

    /// Others of the process hold most of its memory, or give it back.
    fn hold_memory(&mut self, hold: bool) {
        let budget = self.process().budget.clone();
        budget.release(std::mem::take(&mut self.held));
        if hold {
            self.held = self.rng.below(budget.limit() as u64) as usize;
            budget.charge(self.held);
        }
        let held = self.held;
        self.note(held as u64, || format!("others hold {held} bytes of memory"));
    }

    fn set_others(&mut self, others: u64) {
        let mut volume = self.volume.get();
        volume.others = others;
        self.volume.set(volume);
        self.disk.set_capacity(volume.total.saturating_sub(others + volume.reserve));
        self.note(others, || format!("others have {others} bytes of the disk"));
    }

    fn enabled(&self) -> Vec<Event> {
        let process = self.process.as_ref().expect("a life");
        let mut events = Vec::with_capacity(32);
        for ((from, to), way) in &process.ways {
            if !way.is_empty() {
                events.extend([Event::Deliver(*from, *to); 3]);
            }
        }
        let flights = self.disk.in_flight_of(self.disk_does());
        events.extend(std::iter::repeat_n(Event::Complete, flights.min(4)));
        for (shard, broker) in process.brokers.iter().enumerate() {
            if broker.has_work() {
                events.extend([Event::Continue(shard); 3]);
            }
            if broker.wants_turn() {
                events.extend([Event::Turn(shard); 2]);
            }
            if broker.next_deadline() <= self.now.monotonic_ms && broker.phase() != Phase::Closed {
                events.push(Event::Timeout(shard));
            }
        }
        let mut io = Vec::new();
        process.io(&mut io);
        events.extend(io.into_iter().flat_map(|it| [Event::Io(it); 2]));
        let serving = self.is_serving();
        for (number, client) in self.clients.iter().enumerate() {
            match &client.link {
                None if serving && self.may_connect(number) => events.push(Event::Connect(number)),
                Some(link)
                    if serving
                        && link.ready
                        && link.sent.len() < 10
                        && client.role.wake_ms() <= self.now.monotonic_ms
                        && (!self.calm || !link.sent.iter().any(|it| it.answered)) =>
                {
                    let wants = !self.calm || !client.role.is_done(&self.facts);
                    events.extend(wants.then_some(Event::Act(number)));
                }
                _ => {}
            }
        }
        events
    }

    /// Whatever an earlier connection of this client has begun has ended.
    fn may_connect(&self, client: usize) -> bool {
        let waits = self.clients[client].role.waits_for_itself();
        !waits || !self.process.as_ref().expect("a life").knows(client)
    }

    /// One thing happens, or time passes.
    pub fn step(&mut self) {
        self.steps += 1;
        self.facts.wall_ms_max = self.facts.wall_ms_max.max(self.now.wall_ms);
        self.facts.counts.steps_max = self.steps;
        assert!(self.steps < STEPS_MAX, "goes on for ever: {:#?}", self.waiting());
        let mut events = self.enabled();
        if events.is_empty() && self.stall.is_some() {
            self.end_stall();
            events = self.enabled();
        }
        // A stall is short: not even a client that waits for something lets much time pass.
        let stalled = self.stall.is_some();
        let acts = |it: &Event| matches!(it, Event::Act(_));
        // Clients do not act all the time: now and then, or when nothing else goes on.
        let patient = events.iter().all(acts) && !stalled && self.rng.chance(60);
        let (percent, most) = if self.calm || stalled { (4, 5) } else { self.plan.pace };
        if events.is_empty() || patient || self.rng.chance(percent) {
            self.pass_time(events.iter().all(acts) && !stalled, most);
            return;
        }
        let event = events[self.rng.index(events.len())];
        let now = self.now;
        self.note(event.hash(), || format!("{event:?}"));
        match event {
            Event::Deliver(from, to) => self.process().deliver(now, from, to),
            Event::Complete => {
                let mut rng = self.rng.clone();
                let may = self.disk_does();
                self.process().complete(now, &mut rng, may);
                self.rng = rng;
            }
            Event::Turn(shard) => self.process().handle(shard, now, Input::Turn),
            Event::Continue(shard) => self.process().handle(shard, now, Input::Continue),
            Event::Timeout(shard) => self.process().handle(shard, now, Input::Timeout),
            Event::Io(Io::Answer(at)) => self.answer(at),
            Event::Io(io) => {
                let mut rng = self.rng.clone();
                self.process().run_io(now, io, &mut rng);
                self.rng = rng;
            }
            Event::Act(client) => self.act(client),
            Event::Connect(client) => {
                let shards = self.process().shards();
                let shard = self.rng.index(shards);
                let orderly = self.clients[client].role.waits_for_itself();
                let at = self.process().connect(now, client, shard, orderly);
                self.clients[client].connect(at, now.monotonic_ms);
                self.flush(client);
            }
        }
        self.take_refused();
        if self.rng.chance(2) && self.process.as_ref().is_some_and(|it| it.fatal.is_none()) {
            self.process().brokers.iter().for_each(klamm::broker::Broker::invariants);
        }
    }

    /// Time passes: up to the next moment that somebody waits for where nothing else can happen, a
    /// little otherwise.
    fn pass_time(&mut self, idle: bool, most: u64) {
        let process = self.process.as_ref().expect("a life");
        let mut next = i64::MAX;
        for broker in process.brokers.iter().filter(|it| it.phase() != Phase::Closed) {
            next = next.min(broker.next_deadline());
        }
        for client in self.clients.iter().filter(|it| it.link.is_some()) {
            let wake = client.role.wake_ms();
            if wake > self.now.monotonic_ms {
                next = next.min(wake);
            }
        }
        let left = next.saturating_sub(self.now.monotonic_ms).max(1);
        let ms = if idle && !self.rng.chance(30) {
            left.min(20_000)
        } else {
            left.min(self.rng.between(1, most) as i64)
        };
        self.now.monotonic_ms += ms;
        self.now.wall_ms += ms;
        self.note(ms as u64, || format!("{ms} ms pass"));
    }

    // ---- Clients ----

    fn with_client<T>(
        &mut self,
        number: usize,
        f: impl FnOnce(&mut Client, &mut Cx<'_>) -> T,
    ) -> T {
        let mut cx = Cx {
            rng: &mut self.rng,
            now: self.now,
            facts: &mut self.facts,
            calm: self.calm,
            life: self.life,
            unhurried: !self.plan.short_memory && self.plan.pace.1 < 100,
            told: self.told,
        };
        cx.facts.records.now_ms = self.now.monotonic_ms;
        f(&mut self.clients[number], &mut cx)
    }

    /// What a client has sent arrives.
    fn flush(&mut self, number: usize) {
        let Some(link) = &mut self.clients[number].link else { return };
        let (at, frames) = (link.at, std::mem::take(&mut link.out));
        self.facts.counts.requests += frames.len() as u64;
        if let Some(process) = &mut self.process {
            process.arrived(at, frames);
        }
    }

    fn act(&mut self, number: usize) {
        self.with_client(number, Client::act);
        self.flush(number);
    }

    fn answer(&mut self, at: At) {
        if let Some((client, frame)) = self.process().take_answer(at) {
            self.note(u64::from(crc32c::crc32c(&frame)), || format!("to client {client}"));
            self.with_client(client, |client, cx| client.receive(cx, &frame));
            self.flush(client);
        }
    }

    /// A client leaves: what it has sent may still begin.
    fn disconnect(&mut self, number: usize) {
        let Some(link) = &self.clients[number].link else { return };
        let at = link.at;
        self.note(number as u64, || format!("client {number} leaves"));
        let drops = self.rng.chance(50);
        if let Some(process) = &mut self.process {
            process.leave(at, drops);
        }
        self.with_client(number, Client::disconnect);
    }

    /// Connections that the broker has closed.
    fn take_refused(&mut self) {
        let Some(process) = &mut self.process else { return };
        for at in std::mem::take(&mut process.refused) {
            let of = |it: &Client| it.link.as_ref().is_some_and(|link| link.at == at);
            let Some(client) = self.clients.iter().position(of) else { continue };
            self.note(client as u64, || format!("client {client} is refused"));
            let link = self.clients[client].link.as_ref().expect("it was just found");
            // Kafka has no other way to say that what wants no answer has failed.
            let silent = link.sent.iter().any(|it| !it.answered);
            let expected =
                silent || self.plan.short_memory || !self.is_serving() || self.made_room();
            assert!(expected, "client {client} is refused");
            self.facts.counts.refused += 1;
            self.with_client(client, Client::disconnect);
        }
    }

    /// Whether the broker says that it has closed another connection because memory was short, whose
    /// client had not taken its answers for long.
    fn made_room(&mut self) -> bool {
        let now = self.now;
        let closed = self.process().closed_for_memory(now);
        let more = closed > self.made_room;
        self.made_room += u64::from(more);
        more
    }

    fn is_serving(&self) -> bool {
        let serves = |it: &klamm::broker::Broker| it.phase() == Phase::Serving;
        self.process.as_ref().is_some_and(|it| it.brokers.iter().all(serves))
    }
}

impl Event {
    fn hash(self) -> u64 {
        match self {
            Self::Deliver(from, to) => 16 + (from as u64) * 4 + to as u64,
            Self::Complete => 2,
            Self::Turn(shard) => 64 + shard as u64,
            Self::Continue(shard) => 80 + shard as u64,
            Self::Timeout(shard) => 96 + shard as u64,
            Self::Io(io) => match io {
                Io::In(at) => 1 << 32 | at.1 << 4 | at.0 as u64,
                Io::Out(at) => 2 << 32 | at.1 << 4 | at.0 as u64,
                Io::Gone(at) => 3 << 32 | at.1 << 4 | at.0 as u64,
                Io::Answer(at) => 6 << 32 | at.1 << 4 | at.0 as u64,
            },
            Self::Act(client) => 4 << 32 | client as u64,
            Self::Connect(client) => 5 << 32 | client as u64,
        }
    }
}
