//! All connections of a shard, put together.

use super::admission::{Admission, Limits};
use super::answers::{Asked, Traced};
use super::incoming::{FrameLimits, Front, ReadInto, SMALL_FRAME};
use super::log_limiter::LogLimiter;
use super::outgoing::Delivered;
use super::queue::Queue;
use super::room::{Charge, Lane, Room};
use super::single::{Connection, Due, Reading};
use super::{
    Arrived, ConnectionEvent, ConnectionId, EVICT_AFTER_MS, Line, OTHER_REQUEST_MAX, Peer, Refused,
    Why,
};
use crate::broker::api::Response;
use crate::storage::buffer::Budget;
use crate::types::Principal;
use crate::wire::api_keys::ApiKey;
use crate::wire::peer;
use futures_lite::future::block_on;
use slab::Slab;
use std::collections::VecDeque;
use std::sync::Arc;

/// Connections that one call looks at or closes for their time: further ones at the next.
const LOOKS_MAX: usize = 1_000;
/// Where connections are kept for ever, they are looked at so often, ms: the setting may change.
const LOOK_MS: i64 = 60_000;

/// What a broker's settings say. They may change while it runs, but for `request_bytes`.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// Bytes of requests that the shard may hold, in both lanes together.
    pub request_bytes: usize,
    /// Bytes of answers that the shard may hold besides those of Fetch, which the budget of storage
    /// knows. Beyond it, clients that do not take theirs are closed.
    pub answer_bytes: usize,
    /// `socket.request.max.bytes`.
    pub request_max: usize,
    /// `connections.max.idle.ms`; 0 or less: for ever.
    pub idle_ms: i64,
    /// How many connections the whole broker takes.
    pub limits: Limits,
}

/// Figures of a shard's connections. What is not a number of now only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Open now.
    pub open: u64,
    /// Bytes of requests in memory now, with the buffers that they are read into.
    pub request_bytes: u64,
    /// Bytes of answers that the kernel has not taken, now.
    pub unsent_bytes: u64,
    /// Not taken, for there were too many.
    pub over_limit: u64,
    /// Closed since their client made no progress for `connections.max.idle.ms` in the middle of a
    /// request or an answer.
    pub closed_stalled: u64,
    /// Closed since their client made no progress while memory was short.
    pub closed_for_memory: u64,
    /// Closed for what the client sent.
    pub refused: u64,
    /// Lines that were left out of the log.
    pub lines_left_out: u64,
}

/// See [the module](super).
pub struct Connections {
    settings: ConnectionSettings,
    /// Where large frames are received, and large answers wait to be sent.
    memory: Arc<Budget>,
    all: Slab<Connection>,
    lives: u32,
    open: usize,
    room: Room,
    ready: VecDeque<ConnectionId>,
    events: VecDeque<ConnectionEvent>,
    timers: Queue,
    /// Who may hold bytes of a lane and make no progress, and who may not take answers.
    small: Queue,
    large: Queue,
    sending: Queue,
    /// Number of the next large frame.
    next_large: u64,
    unsent: usize,
    /// Part of `unsent` that no other budget knows.
    owned: usize,
    admission: Admission,
    limiter: LogLimiter,
    draining: bool,
    stats: Stats,
}

/// Bytes of an answer that only the connection accounts for: records of a Fetch are charged to the
/// budget of storage for as long as anybody holds them.
fn owned(api: ApiKey, bytes: usize) -> usize {
    if api == ApiKey::FETCH { 0 } else { bytes }
}

impl Connections {
    /// No connections. `admission` is that of all shards; large frames and answers take `memory`.
    pub fn new(settings: ConnectionSettings, admission: Admission, memory: Arc<Budget>) -> Self {
        Self {
            memory,
            room: Room::new(settings.request_bytes / 2),
            settings,
            all: Slab::new(),
            lives: 0,
            open: 0,
            ready: VecDeque::new(),
            events: VecDeque::new(),
            timers: Queue::default(),
            small: Queue::default(),
            large: Queue::default(),
            sending: Queue::default(),
            next_large: 0,
            unsent: 0,
            owned: 0,
            admission,
            limiter: LogLimiter::default(),
            draining: false,
            stats: Stats::default(),
        }
    }

    /// Takes over settings. Those who wait for their time already notice a shorter one when the old
    /// one is over.
    pub fn configure(&mut self, settings: ConnectionSettings) {
        self.settings = settings;
    }

    fn frame_limits(&self) -> FrameLimits {
        let most = self.settings.request_max;
        FrameLimits { most, other: most.min(OTHER_REQUEST_MAX) }
    }

    fn get(&self, id: ConnectionId) -> Option<&Connection> {
        self.all.get(id.index()).filter(|it| it.id == id)
    }

    /// One that is open.
    fn open_one(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.all.get_mut(id.index()).filter(|it| it.id == id && it.is_open())
    }

    // ---- Accessors ----

    /// Whether it is open.
    pub fn is_open(&self, id: ConnectionId) -> bool {
        self.get(id).is_some_and(Connection::is_open)
    }

    /// The client's address, while it is open.
    pub fn peer(&self, id: ConnectionId) -> Option<Peer> {
        self.get(id).filter(|it| it.is_open()).map(|it| it.peer)
    }

    /// Nothing is under way on any connection, and nothing is to be sent.
    pub fn are_quiet(&self) -> bool {
        self.all.iter().all(|(_, it)| it.is_quiet())
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        Stats {
            open: self.open as u64,
            request_bytes: self.room.used() as u64,
            unsent_bytes: self.unsent as u64,
            lines_left_out: self.limiter.left_out(),
            ..self.stats
        }
    }

    // ---- What happens ----

    /// Somebody has connected.
    pub fn accepted(&mut self, now_ms: i64, peer: Peer) -> Result<ConnectionId, Refused> {
        let admitted = match self.admission.admit(&self.settings.limits, peer.ip()) {
            Ok(admitted) => admitted,
            Err(limit) => {
                self.stats.over_limit += 1;
                let line = self.line(now_ms, Why::Limit, peer, &limit.to_string());
                return Err(Refused { limit, line });
            }
        };
        self.lives = self.lives.wrapping_add(1);
        let entry = self.all.vacant_entry();
        let id = ConnectionId { index: entry.key() as u32, life: self.lives };
        entry.insert(Connection::new(id, peer, admitted, now_ms));
        self.open += 1;
        self.set_timer(now_ms, id);
        Ok(id)
    }

    /// Who asks on this connection from now on.
    pub fn set_principal(&mut self, id: ConnectionId, principal: Principal) {
        if let Some(it) = self.open_one(id) {
            it.principal = principal;
        }
    }

    /// Room for the next bytes; none where nothing is to be read now.
    pub fn buffer(&mut self, id: ConnectionId) -> Option<ReadInto<'_>> {
        let limits = self.frame_limits();
        let one = self.all.get_mut(id.index()).filter(|it| it.id == id && it.is_open())?;
        let front = one.incoming.front(limits);
        let whole = matches!(front, Front::Whole { .. });
        if whole || one.ended_ms.is_some() || self.draining || !one.may_go_on(front) {
            one.reading = Reading::Paused;
            self.list_receiving(id);
            self.settle(id);
            return None;
        }
        let granted = std::mem::replace(&mut one.granted, Charge::NONE);
        let found = match front {
            Front::Large { bytes, .. } => self.room_for_large(id, bytes, granted),
            _ => self.room_for_small(id, granted),
        };
        if !found {
            self.all[id.index()].reading = Reading::Short;
            return None;
        }
        let one = &mut self.all[id.index()];
        one.reading = Reading::Open;
        Some(one.incoming.read_into())
    }

    fn room_for_small(&mut self, id: ConnectionId, granted: Charge) -> bool {
        let one = &mut self.all[id.index()];
        self.room.give(granted);
        if !one.incoming.needs_room() {
            return true;
        }
        let wanted = SMALL_FRAME + one.incoming.len();
        if granted.bytes == 0 && !self.room.admits_small(wanted) {
            self.room.wait_small(id, wanted);
            return false;
        }
        one.incoming.make_room();
        self.recharge(id);
        true
    }

    fn room_for_large(&mut self, id: ConnectionId, bytes: usize, granted: Charge) -> bool {
        let one = &mut self.all[id.index()];
        self.room.give(granted);
        let Some((best, least)) = one.incoming.next_capacity(bytes) else { return true };
        let order = one.incoming.large().unwrap_or_else(|| {
            // A frame that waits for its first room keeps its turn.
            one.waiting_large.take().unwrap_or_else(|| {
                self.next_large += 1;
                self.room.begin_large(self.next_large, id);
                self.next_large
            })
        });
        let have = if one.incoming.large().is_some() { one.held.bytes } else { 0 };
        let capacity = [best, least]
            .into_iter()
            .find(|it| self.room.admits_large(order, it.saturating_sub(have)))
            .or_else(|| (granted.bytes > 0).then_some(least));
        let Some(capacity) = capacity else {
            self.room.wait_large(order, least.saturating_sub(have));
            if one.incoming.large().is_none() {
                one.waiting_large = Some(order);
            }
            return false;
        };
        one.incoming.grow(order, bytes, capacity, &self.memory);
        self.recharge(id);
        self.grant();
        true
    }

    /// Charges what the buffer holds now.
    fn recharge(&mut self, id: ConnectionId) {
        let one = &mut self.all[id.index()];
        let now = Charge { lane: one.lane(), bytes: one.incoming.capacity() };
        if now != one.held {
            self.room.give(one.held);
            self.room.take(now);
            one.held = now;
        }
    }

    /// Bytes were put where [`buffer`](Self::buffer) said.
    pub fn received(&mut self, now_ms: i64, ticks: u64, id: ConnectionId, n: usize) {
        let limits = self.frame_limits();
        let Some(one) = self.open_one(id) else { return };
        let before = one.incoming.len().saturating_sub(n);
        one.received = ticks;
        match one.incoming.front(limits) {
            Front::Bad { len, most } => {
                let why = if peer::is_preamble(len) {
                    "a broker, which means a port for brokers: this is the one for clients"
                        .to_owned()
                } else {
                    format!("a request of {len} bytes; at most {most} are accepted")
                };
                return self.refuse(now_ms, id, Why::Length, &why);
            }
            Front::Whole { .. } => {
                one.active_ms = now_ms;
                one.receiving.begin(now_ms);
            }
            _ if before == 0 => one.receiving.begin(now_ms),
            _ => {}
        }
        one.receiving.add(now_ms, n, one.held.bytes);
        self.settle(id);
    }

    /// The socket is empty: what is there of a request waits for the rest.
    pub fn blocked(&mut self, id: ConnectionId) {
        let Some(one) = self.open_one(id) else { return };
        let before = one.held.bytes;
        one.incoming.shrink();
        if one.incoming.len() > 0 {
            self.list_receiving(id);
        }
        self.recharge(id);
        if self.all[id.index()].held.bytes < before {
            self.grant();
        }
    }

    /// The client has closed its side. Requests that are there are served yet.
    pub fn hung_up(&mut self, now_ms: i64, id: ConnectionId) {
        let Some(one) = self.open_one(id) else { return };
        one.ended_ms = Some(now_ms);
        self.set_timer(now_ms, id);
        self.settle(id);
    }

    /// The connection is broken.
    pub fn failed(&mut self, id: ConnectionId) {
        self.end(id, None);
    }

    /// Whether [`next_request`](Self::next_request) may have something.
    pub fn has_requests(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next request that is to begin, of any connection. They take turns.
    pub fn next_request(&mut self) -> Option<Arrived> {
        while let Some(id) = self.ready.pop_front() {
            let limits = self.frame_limits();
            let draining = self.draining;
            let Some(one) = self.open_one(id) else { continue };
            one.ready = false;
            let Front::Whole { bytes, api } = one.incoming.front(limits) else { continue };
            if draining || !one.may_begin(api) {
                continue;
            }
            let charge = Charge { lane: one.held.lane, bytes: one.held.bytes };
            let order = one.incoming.large();
            let frame = one.incoming.cut(bytes);
            // What the frame holds was the buffer's, and stays charged.
            let left = Charge { bytes: one.incoming.capacity(), ..charge };
            let charge = Charge { bytes: charge.bytes - left.bytes.min(charge.bytes), ..charge };
            one.held = left;
            let asked = Asked { api, received: one.received };
            let number = one.answers.begin(asked, charge);
            let arrived = Arrived {
                connection: id,
                number,
                api,
                frame,
                received: one.received,
                principal: one.principal.clone(),
            };
            if let Some(order) = order {
                self.room.end_large(order);
                self.room.begun(charge.bytes);
                self.large_is_over(id);
            }
            self.settle(id);
            return Some(arrived);
        }
        None
    }

    /// A large frame was cut: its buffer is empty, and the next bytes go to a common one.
    fn large_is_over(&mut self, id: ConnectionId) {
        let one = &mut self.all[id.index()];
        one.incoming.shrink();
        self.room.give(one.held);
        one.held = Charge { lane: Lane::Small, bytes: one.incoming.capacity() };
        self.room.take(one.held);
        self.grant();
    }

    /// The request will get no answer (`acks=0`), and does not count as in flight from now on. What
    /// comes behind it begins when it is [`answered`](Self::answered) all the same.
    pub fn silence(&mut self, id: ConnectionId, number: u64) {
        let Some(one) = self.open_one(id) else { return };
        one.answers.silence(number);
        self.settle(id);
    }

    /// Whether requests may begin beside this one, a Produce: none may while its batches are checked.
    pub fn set_alone(&mut self, id: ConnectionId, number: u64, alone: bool) {
        let Some(one) = self.open_one(id) else { return };
        one.answers.set_alone(number, alone);
        self.settle(id);
    }

    /// The request needs its frame no more, as far as it is large: it waits for something that may
    /// take long, and what it needs was taken out.
    pub fn release(&mut self, id: ConnectionId, number: u64) {
        let Some(one) = self.all.get_mut(id.index()).filter(|it| it.id == id) else { return };
        let charge = one.answers.release(number);
        self.give_back(charge);
        self.forget_if_over(id);
    }

    fn give_back(&mut self, charge: Charge) {
        if charge.bytes == 0 {
            return;
        }
        if charge.lane == Lane::Large {
            self.room.ended(charge.bytes);
        }
        self.room.give(charge);
        self.grant();
    }

    /// The request has taken effect. `None` sends nothing.
    pub fn answered(
        &mut self,
        now_ms: i64,
        id: ConnectionId,
        number: u64,
        response: Option<Response>,
        traced: Option<Traced>,
    ) {
        let Some(one) = self.all.get_mut(id.index()).filter(|it| it.id == id) else { return };
        let charge = one.answers.release(number);
        if one.is_open() {
            one.active_ms = now_ms;
            let before = one.unsent();
            one.answers.answer(number, response, traced);
            self.unsent += one.unsent() - before;
            let was_empty = one.outgoing.unsent() == 0;
            while let Some(mut answer) = one.answers.next() {
                let own = owned(answer.asked.api, answer.response.len());
                if own > 0 {
                    answer.response =
                        block_on(answer.response.into_pages(&self.memory, &async |_| {}));
                }
                self.owned += own;
                one.outgoing.push(answer);
            }
            if one.outgoing.unsent() > 0 {
                if was_empty {
                    one.sending.begin(now_ms);
                }
                if !one.flushing {
                    one.flushing = true;
                    self.events.push_back(ConnectionEvent::Flush(id));
                }
            }
        }
        self.give_back(charge);
        self.forget_if_over(id);
        self.settle(id);
        if self.owned > self.settings.answer_bytes {
            self.shed_answers(now_ms);
        }
    }

    /// What is to be sent, in order.
    pub fn outgoing(&mut self, id: ConnectionId) -> impl Iterator<Item = &[u8]> {
        let one = self.all.get_mut(id.index()).filter(|it| it.id == id && it.is_open());
        if let Some(it) = one {
            it.flushing = false;
            return Some(it.outgoing.parts()).into_iter().flatten();
        }
        None.into_iter().flatten()
    }

    /// The kernel has taken so many bytes of what is [`outgoing`](Self::outgoing); 0 where it takes
    /// none now. True where more is to be sent.
    pub fn sent(&mut self, now_ms: i64, id: ConnectionId, n: usize) -> bool {
        let Some(one) = self.open_one(id) else { return false };
        one.outgoing.sent(n);
        let left = one.outgoing.unsent();
        if left == 0 {
            one.active_ms = now_ms;
        } else {
            one.sending.add(now_ms, n, left);
            if !std::mem::replace(&mut one.listed.sending, true) {
                let at = one.sending.at_ms;
                self.sending.push(at, id);
            }
        }
        self.unsent -= n;
        self.settle(id);
        left > 0
    }

    /// The next answer of the connection that the kernel has taken in full.
    pub fn next_delivered(&mut self, id: ConnectionId) -> Option<Delivered> {
        let Some(it) = self.open_one(id)?.outgoing.next_delivered() else {
            // A client that has closed its side has waited for these only.
            self.settle(id);
            return None;
        };
        self.owned -= owned(it.asked.api, it.bytes);
        Some(it)
    }

    /// Ends the connection, and says why in the log.
    pub fn refuse(&mut self, now_ms: i64, id: ConnectionId, why: Why, text: &str) {
        let Some(peer) = self.peer(id) else { return };
        match why {
            Why::Stalled => self.stats.closed_stalled += 1,
            Why::Memory => self.stats.closed_for_memory += 1,
            Why::Length | Why::Request => self.stats.refused += 1,
            Why::Limit | Why::Bug => {}
        }
        let line = self.line(now_ms, why, peer, text);
        self.end(id, line);
    }

    /// Ends the connection without a word.
    pub fn close(&mut self, id: ConnectionId) {
        self.end(id, None);
    }

    fn line(&mut self, now_ms: i64, why: Why, peer: Peer, text: &str) -> Option<Line> {
        let allowed = self.limiter.tell(now_ms, why.name(), peer.ip())?;
        let more = match allowed.left_out {
            0 => String::new(),
            n => format!(" (and {n} more like it before)"),
        };
        Some(Line { peer: peer.to_string(), text: format!("closed: {text}{more}") })
    }

    fn end(&mut self, id: ConnectionId, line: Option<Line>) {
        let Some(one) = self.open_one(id) else { return };
        let Some(admitted) = one.admitted.take() else { return };
        let (order, waited) = (one.incoming.large(), one.waiting_large.take());
        let unsent = one.unsent();
        let mut own = 0;
        let mut outgoing = std::mem::take(&mut one.outgoing);
        one.incoming.clear();
        one.answers.abandon();
        let freed = [
            std::mem::replace(&mut one.held, Charge::NONE),
            std::mem::replace(&mut one.granted, Charge::NONE),
        ];
        outgoing.sent(outgoing.unsent());
        while let Some(it) = outgoing.next_delivered() {
            own += owned(it.asked.api, it.bytes);
        }
        self.unsent -= unsent;
        self.owned -= own;
        self.open -= 1;
        for order in [order, waited].into_iter().flatten() {
            self.room.end_large(order);
        }
        for charge in freed {
            self.room.give(charge);
        }
        self.events.push_back(ConnectionEvent::Closed { connection: id, line, admitted });
        self.forget_if_over(id);
        self.prune();
        self.grant();
    }

    /// Forgets a closed connection of whose requests none holds anything.
    fn forget_if_over(&mut self, id: ConnectionId) {
        if self.get(id).is_some_and(|it| !it.is_open() && it.answers.held() == 0) {
            self.all.remove(id.index());
        }
    }

    /// Entries in all queues.
    #[cfg(test)]
    pub(super) fn queued(&self) -> usize {
        self.timers.len() + self.small.len() + self.large.len() + self.sending.len()
    }

    fn prune(&mut self) {
        let Self { all, open, timers, small, large, sending, .. } = self;
        let lives = |id: ConnectionId| all.get(id.index()).is_some_and(|it| it.id == id);
        for queue in [timers, small, large, sending] {
            queue.prune(*open, lives);
        }
    }

    /// Takes no more requests. What is under way is answered; connections end when nothing is.
    pub fn drain(&mut self, now_ms: i64) {
        self.draining = true;
        let ids: Vec<_> = self.all.iter().map(|(_, it)| it.id).collect();
        for id in ids {
            self.hung_up(now_ms, id);
        }
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<ConnectionEvent> {
        self.events.pop_front()
    }

    /// Sees what has become possible for a connection.
    fn settle(&mut self, id: ConnectionId) {
        let limits = self.frame_limits();
        let draining = self.draining;
        let Some(one) = self.all.get_mut(id.index()).filter(|it| it.id == id && it.is_open())
        else {
            return;
        };
        let front = one.incoming.front(limits);
        let go_on = one.may_go_on(front);
        if matches!(front, Front::Whole { .. }) && !draining {
            if go_on && !one.ready {
                one.ready = true;
                self.ready.push_back(id);
            }
        } else if one.ended_ms.is_some() {
            if one.is_quiet() {
                self.end(id, None);
            }
            return;
        }
        if go_on && one.reading == Reading::Paused && one.ended_ms.is_none() {
            one.reading = Reading::Open;
            self.events.push_back(ConnectionEvent::Resume(id));
        }
    }

    /// Lets those on who waited for memory, as far as there is some.
    fn grant(&mut self) {
        if !self.room.is_short(Lane::Small) && !self.room.is_short(Lane::Large) {
            return;
        }
        let Self { room, all, events, .. } = self;
        loop {
            let lives = |id: ConnectionId| {
                all.get(id.index()).is_some_and(|it| it.id == id && it.is_open())
            };
            let Some(grant) = room.next_grant(lives) else { break };
            let one = &mut all[grant.connection.index()];
            one.granted = grant.charge;
            one.reading = Reading::Open;
            events.push_back(ConnectionEvent::Resume(grant.connection));
        }
    }

    // ---- Time ----

    /// When [`timeout`](Self::timeout) is due; it may find nothing to do then.
    pub fn next_deadline(&self) -> Option<i64> {
        let short = |lane, queue: &Queue| {
            let first = queue.first().filter(|_| self.room.is_short(lane));
            first.map(|it| it.saturating_add(EVICT_AFTER_MS))
        };
        let over = self.sending.first().filter(|_| self.owned > self.settings.answer_bytes);
        [
            self.timers.first(),
            short(Lane::Small, &self.small),
            short(Lane::Large, &self.large),
            over.map(|it| it.saturating_add(EVICT_AFTER_MS)),
            self.limiter.next_deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Closes what has been silent or stuck for too long, and tells what was left out of the log.
    pub fn timeout(&mut self, now_ms: i64) {
        for _ in 0..LOOKS_MAX {
            let Some((at, id)) = self.timers.pop(now_ms) else { break };
            if self.get(id).is_some_and(|it| it.is_open() && it.timer_ms == at) {
                self.look(now_ms, id);
            }
        }
        for lane in [Lane::Small, Lane::Large] {
            self.shed_requests(now_ms, lane);
        }
        self.shed_answers(now_ms);
        for it in self.limiter.timeout(now_ms) {
            let peer = it.peer.map_or_else(|| "several".to_owned(), |it| it.to_string());
            let text = format!("closed {} more for the same reason ({})", it.lines, it.kind);
            self.events.push_back(ConnectionEvent::Line(Line { peer, text }));
        }
    }

    /// Others need so many bytes of memory that is not the connections': closes clients that have not
    /// taken their answers for longest, until as much is free. How much is.
    pub fn relieve(&mut self, now_ms: i64, bytes: usize) -> usize {
        let mut freed = 0;
        for _ in 0..LOOKS_MAX {
            if freed >= bytes {
                break;
            }
            let Some(id) = self.longest_unsent(now_ms - EVICT_AFTER_MS) else { break };
            freed += self.all[id.index()].unsent();
            self.evict(now_ms, id);
        }
        freed
    }

    fn set_timer(&mut self, now_ms: i64, id: ConnectionId) {
        let idle_ms = self.settings.idle_ms;
        let limits = self.frame_limits();
        let Some(one) = self.open_one(id) else { return };
        let at = match one.due(idle_ms, limits) {
            Due::Idle(at) | Due::Stalled(at) | Due::Lingered(at) => at,
            Due::Busy if idle_ms <= 0 => now_ms + LOOK_MS,
            Due::Busy => now_ms + idle_ms,
        };
        one.timer_ms = at;
        self.timers.push(at, id);
    }

    /// Looks at a connection whose time may be over.
    fn look(&mut self, now_ms: i64, id: ConnectionId) {
        let (idle_ms, limits) = (self.settings.idle_ms, self.frame_limits());
        let Some(one) = self.open_one(id) else { return };
        match one.due(idle_ms, limits) {
            Due::Idle(at) | Due::Lingered(at) if at <= now_ms => self.end(id, None),
            Due::Stalled(at) if at <= now_ms => {
                let text = format!(
                    "no progress in the middle of a request or an answer for {} s",
                    idle_ms / 1_000
                );
                self.refuse(now_ms, id, Why::Stalled, &text);
            }
            _ => self.set_timer(now_ms, id),
        }
    }

    /// Notes that bytes of the connection wait in memory for the client.
    fn list_receiving(&mut self, id: ConnectionId) {
        let one = &mut self.all[id.index()];
        if one.incoming.len() == 0 {
            return;
        }
        let at = one.receiving.at_ms;
        match one.lane() {
            Lane::Small if !std::mem::replace(&mut one.listed.small, true) => {
                self.small.push(at, id);
            }
            Lane::Large if !std::mem::replace(&mut one.listed.large, true) => {
                self.large.push(at, id);
            }
            _ => {}
        }
    }

    /// Closes clients that hold bytes of a lane and make no progress, while others wait for it.
    fn shed_requests(&mut self, now_ms: i64, lane: Lane) {
        for _ in 0..LOOKS_MAX {
            if !self.room.is_short(lane) {
                return;
            }
            let queue = match lane {
                Lane::Small => &mut self.small,
                Lane::Large => &mut self.large,
            };
            let Some((at, id)) = queue.pop(now_ms - EVICT_AFTER_MS) else { return };
            let Some(one) = self.all.get_mut(id.index()).filter(|it| it.id == id && it.is_open())
            else {
                continue;
            };
            let since = one.receiving.at_ms;
            if one.lane() != lane || !one.holds_bytes() {
                match lane {
                    Lane::Small => one.listed.small = false,
                    Lane::Large => one.listed.large = false,
                }
            } else if since > at {
                queue.push(since, id);
            } else {
                self.evict(now_ms, id);
            }
        }
    }

    /// The client that has not taken its answers for longest, where that is since `before_ms`. It is
    /// taken out of the queue.
    fn longest_unsent(&mut self, before_ms: i64) -> Option<ConnectionId> {
        for _ in 0..LOOKS_MAX {
            let (at, id) = self.sending.pop(before_ms)?;
            let Some(one) = self.all.get_mut(id.index()).filter(|it| it.id == id && it.is_open())
            else {
                continue;
            };
            if one.outgoing.unsent() == 0 {
                one.listed.sending = false;
            } else if one.sending.at_ms > at {
                let at = one.sending.at_ms;
                self.sending.push(at, id);
            } else {
                return Some(id);
            }
        }
        None
    }

    /// Closes clients that do not take their answers while these hold more than they may: those who
    /// have taken none for a while; where there is twice as much, whoever has taken none for longest.
    fn shed_answers(&mut self, now_ms: i64) {
        for _ in 0..LOOKS_MAX {
            let most = self.settings.answer_bytes;
            if self.owned <= most {
                return;
            }
            let patience = if self.owned > 2 * most { 0 } else { EVICT_AFTER_MS };
            let Some(id) = self.longest_unsent(now_ms - patience) else { return };
            self.evict(now_ms, id);
        }
    }

    fn evict(&mut self, now_ms: i64, id: ConnectionId) {
        let text = "memory is short, and it stopped in the middle of a request or an answer";
        self.refuse(now_ms, id, Why::Memory, text);
    }
}
