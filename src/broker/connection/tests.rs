//! Through the public interface, as a driver sees it.

use super::*;
use crate::broker::api::Response;
use crate::storage::buffer::Budget;
use crate::wire::Tally;
use std::collections::VecDeque;

const FETCH: ApiKey = ApiKey::FETCH;
const PRODUCE: ApiKey = ApiKey::PRODUCE;
const IDLE_MS: i64 = 600_000;

fn settings(request_bytes: usize) -> ConnectionSettings {
    ConnectionSettings {
        request_bytes,
        answer_bytes: 1 << 20,
        request_max: 100 << 20,
        idle_ms: IDLE_MS,
        limits: Limits::default(),
    }
}

/// A frame of so many bytes in all.
fn frame(api: ApiKey, bytes: usize) -> Vec<u8> {
    let mut frame = ((bytes - 4) as i32).to_be_bytes().to_vec();
    frame.extend(api.0.to_be_bytes());
    frame.resize(bytes, 7);
    frame
}

fn response(bytes: usize) -> Response {
    Response::of(vec![1; bytes].into(), Vec::new(), Tally::default())
}

/// Sockets that hold what their clients have sent, and take what they are told to.
struct Driver {
    all: Connections,
    now_ms: i64,
    sockets: Vec<(ConnectionId, VecDeque<u8>)>,
    requests: Vec<Arrived>,
    closed: Vec<(ConnectionId, Option<String>)>,
    lines: Vec<String>,
    flushes: usize,
}

impl Driver {
    fn new(settings: ConnectionSettings) -> Self {
        Self {
            all: Connections::new(settings, Admission::default(), Budget::new(usize::MAX)),
            now_ms: 0,
            sockets: Vec::new(),
            requests: Vec::new(),
            closed: Vec::new(),
            lines: Vec::new(),
            flushes: 0,
        }
    }

    fn connect(&mut self) -> ConnectionId {
        let n = self.sockets.len() as u32;
        let ip: std::net::IpAddr = (0x0a00_0001 + n).to_be_bytes().into();
        let id = self.all.accepted(self.now_ms, (ip, 1000).into()).expect("a connection");
        self.sockets.push((id, VecDeque::new()));
        id
    }

    /// The client sends, and everything goes on until nothing happens.
    fn send(&mut self, id: ConnectionId, bytes: &[u8]) {
        let socket = self.sockets.iter_mut().find(|(it, _)| *it == id).expect("a socket");
        socket.1.extend(bytes);
        self.read(id);
        self.run();
    }

    fn read(&mut self, id: ConnectionId) {
        let socket = self.sockets.iter_mut().find(|(it, _)| *it == id).expect("a socket");
        while let Some(into) = self.all.buffer(id) {
            let n = into.put(socket.1.make_contiguous());
            if n == 0 {
                self.all.blocked(id);
                break;
            }
            socket.1.drain(..n);
            self.all.received(self.now_ms, 0, id, n);
            while let Some(it) = self.all.next_request() {
                self.requests.push(it);
            }
        }
    }

    fn run(&mut self) {
        loop {
            while let Some(it) = self.all.next_request() {
                self.requests.push(it);
            }
            match self.all.poll() {
                None => return,
                Some(ConnectionEvent::Resume(id)) => self.read(id),
                Some(ConnectionEvent::Flush(_)) => self.flushes += 1,
                Some(ConnectionEvent::Line(it)) => self.lines.push(it.text),
                Some(ConnectionEvent::Closed { connection, line, .. }) => {
                    self.closed.push((connection, line.map(|it| it.text)));
                }
            }
        }
    }

    fn take(&mut self) -> Vec<ApiKey> {
        self.requests.drain(..).map(|it| it.api).collect()
    }

    /// The request's effect is there.
    fn answer(&mut self, it: &Arrived, bytes: usize) {
        let response = Some(response(bytes));
        self.all.answered(self.now_ms, it.connection, it.number, response, None);
        self.run();
    }

    /// The client takes up to so many bytes.
    fn deliver(&mut self, id: ConnectionId, most: usize) -> usize {
        let n = self.all.outgoing(id).map(<[u8]>::len).sum::<usize>().min(most);
        self.all.sent(self.now_ms, id, n);
        while self.all.next_delivered(id).is_some() {}
        self.run();
        n
    }

    fn wait(&mut self, ms: i64) {
        self.now_ms += ms;
        self.all.timeout(self.now_ms);
        self.run();
    }

    /// What requests and buffers hold.
    fn used(&self) -> u64 {
        self.all.stats().request_bytes
    }
}

#[test]
fn a_request_begins_when_what_is_before_it_has_taken_effect() {
    let mut d = Driver::new(settings(1 << 20));
    let id = d.connect();
    // All in one piece, as clients send it.
    let apis = [PRODUCE, PRODUCE, ApiKey::LIST_OFFSETS, PRODUCE, FETCH, FETCH];
    let bytes: Vec<u8> = apis.iter().flat_map(|it| frame(*it, 40)).collect();
    d.send(id, &bytes);
    let first = std::mem::take(&mut d.requests);
    assert_eq!(first.iter().map(|it| it.api).collect::<Vec<_>>(), [PRODUCE, PRODUCE]);
    d.answer(&first[1], 10);
    assert_eq!(d.take(), [], "the first one has not taken effect");
    assert_eq!(d.deliver(id, 100), 0, "answers leave in order");
    // Without an answer (acks=0) it takes effect all the same.
    d.all.answered(0, id, first[0].number, None, None);
    d.run();
    for api in [ApiKey::LIST_OFFSETS, PRODUCE, FETCH, FETCH] {
        let [it] = &std::mem::take(&mut d.requests)[..] else { panic!("one at a time") };
        assert_eq!(it.api, api);
        d.answer(it, 10);
    }
    assert_eq!(d.deliver(id, 1000), 50);
    assert_eq!((d.used(), d.all.stats().unsent_bytes), (0, 0));
}

#[test]
fn other_connections_do_not_wait() {
    let mut d = Driver::new(settings(1 << 20));
    let (a, b) = (d.connect(), d.connect());
    d.send(a, &[frame(FETCH, 40), frame(FETCH, 40)].concat());
    d.send(b, &[frame(FETCH, 40), frame(FETCH, 40)].concat());
    let begun: Vec<_> = d.requests.iter().map(|it| it.connection).collect();
    assert_eq!(begun, [a, b]);
}

#[test]
fn requests_in_flight_are_limited_and_silent_ones_are_not_among_them() {
    let mut d = Driver::new(settings(1 << 20));
    let id = d.connect();
    let many: Vec<u8> = (0..IN_FLIGHT_MAX + 10).flat_map(|_| frame(PRODUCE, 40)).collect();
    d.send(id, &many);
    assert_eq!(d.requests.len(), IN_FLIGHT_MAX);
    let number = d.requests[3].number;
    d.all.silence(id, number);
    d.run();
    assert_eq!(d.requests.len(), IN_FLIGHT_MAX + 1);
    // An answer that its client has not taken: nothing more than before may begin.
    let first = d.requests[0].clone();
    d.answer(&first, UNSENT_MAX);
    assert_eq!(d.requests.len(), IN_FLIGHT_MAX + 1);
    d.deliver(id, usize::MAX);
    assert_eq!(d.requests.len(), IN_FLIGHT_MAX + 2);
}

#[test]
fn a_first_request_may_be_large() {
    let mut d = Driver::new(settings(64 << 20));
    let id = d.connect();
    d.send(id, &frame(PRODUCE, 900_000));
    let it = d.requests.pop().expect("the request");
    assert_eq!(it.frame.len(), 900_000 - 4);
    assert_eq!(it.principal.to_string(), "User:ANONYMOUS");
    assert!(d.used() >= 900_000);
    d.answer(&it, 10);
    assert_eq!(d.used(), 0);
}

#[test]
fn what_is_announced_costs_nothing() {
    let mut d = Driver::new(settings(8 << 20));
    let start = frame(PRODUCE, 50 << 20);
    // Before and after it is known of which kind the request is.
    for n in [5, 60] {
        for _ in 0..1_000 {
            let id = d.connect();
            d.send(id, &start[..4]);
            d.send(id, &start[4..n]);
        }
    }
    assert!(d.used() < 2_000 * 100, "{} bytes for 65,000", d.used());
    // Others are served, with large requests too.
    let other = d.connect();
    d.send(other, &frame(PRODUCE, 3 << 20));
    assert_eq!(d.take(), [PRODUCE]);
}

/// Frames of a shard whose clients all send half of them, and then the other half.
#[test]
fn half_received_frames_do_not_wait_for_each_other() {
    let mut d = Driver::new(settings(8 << 20));
    let ids: Vec<_> = (0..20).map(|_| d.connect()).collect();
    let whole = frame(PRODUCE, 3 << 20);
    let pieces: Vec<_> = whole.chunks(100_000).collect();
    for piece in &pieces {
        for id in &ids {
            d.send(*id, piece);
        }
        let used = d.used();
        assert!(used <= (4 << 20) + (3 << 20) + (1 << 20), "{used} bytes");
        // Done at once: who waits for memory gets it.
        for it in std::mem::take(&mut d.requests) {
            d.answer(&it, 10);
        }
    }
    for _ in 0..ids.len() {
        for it in std::mem::take(&mut d.requests) {
            d.answer(&it, 10);
        }
    }
    let left: usize = d.sockets.iter().map(|(_, it)| it.len()).sum();
    assert_eq!((left, d.used()), (0, 0));
    assert_eq!(d.closed, [], "they have all been sending");
}

#[test]
fn a_frame_that_could_not_begin_is_not_received() {
    let mut d = Driver::new(settings(64 << 20));
    let id = d.connect();
    d.send(id, &frame(FETCH, 60));
    let fetch = d.requests.pop().expect("the fetch");
    d.all.release(id, fetch.number);
    d.run();
    assert_eq!(d.used(), 0, "a waiting fetch holds nothing");
    d.send(id, &frame(PRODUCE, 10 << 20));
    assert!(d.used() < 20 << 10, "{} bytes behind a fetch that may wait for ever", d.used());
    d.answer(&fetch, 10);
    assert_eq!(d.take(), [PRODUCE]);
}

#[test]
fn a_byte_now_and_then_keeps_nothing() {
    let mut d = Driver::new(settings(1 << 20));
    let id = d.connect();
    d.send(id, &frame(PRODUCE, 5_000)[..10]);
    for _ in 0..19 {
        d.wait(30_000);
        assert!(d.all.is_open(id), "kept as long as an idle one");
        d.send(id, &[0]);
    }
    d.wait(30_001);
    assert!(!d.all.is_open(id));
    let (_, line) = d.closed.pop().expect("closed");
    assert!(line.is_some_and(|it| it.contains("no progress")));
    assert_eq!(d.used(), 0);
}

/// One whose requests never end where a read ends is not stuck in the middle of one.
#[test]
fn small_requests_are_progress() {
    let mut d = Driver::new(settings(1 << 20));
    let id = d.connect();
    let requests: Vec<u8> = (0..40).flat_map(|_| frame(FETCH, 50)).collect();
    for piece in requests.chunks(75) {
        d.send(id, piece);
        for it in std::mem::take(&mut d.requests) {
            d.answer(&it, 10);
        }
        d.deliver(id, 1000);
        d.wait(IDLE_MS / 2);
        assert_eq!(d.closed, []);
    }
}

#[test]
fn a_client_may_pause_in_the_middle() {
    let mut d = Driver::new(settings(1 << 20));
    let id = d.connect();
    let whole = frame(PRODUCE, 60_000);
    d.send(id, &whole[..30_000]);
    d.wait(IDLE_MS - 1);
    d.send(id, &whole[30_000..]);
    let it = d.requests.pop().expect("the request");
    d.answer(&it, 50_000);
    d.deliver(id, 20_000);
    d.wait(IDLE_MS - 1);
    assert_eq!(d.deliver(id, 50_000), 30_000);
    assert_eq!(d.closed, []);
    // Idle, and gone without a line.
    d.wait(IDLE_MS + 1);
    assert_eq!(d.closed, [(id, None)]);
}

#[test]
fn while_a_request_is_under_way_nobody_is_idle() {
    let mut d = Driver::new(settings(1 << 20));
    let id = d.connect();
    d.send(id, &[frame(FETCH, 60), frame(FETCH, 60)].concat());
    for _ in 0..10 {
        d.wait(IDLE_MS);
    }
    let it = d.requests.pop().expect("the fetch");
    d.answer(&it, 10);
    assert_eq!((d.closed.len(), d.take()), (0, vec![FETCH]));
}

#[test]
fn who_stalled_longest_goes_when_memory_is_short() {
    let mut d = Driver::new(settings(128 << 10));
    let whole = frame(PRODUCE, 16_000);
    // Each holds a part of the small lane, and stops.
    let mut stalled = Vec::new();
    while stalled.len() < 100 {
        let id = d.connect();
        d.send(id, &whole[..15_000]);
        stalled.push(id);
        d.wait(10);
    }
    assert!(d.used() <= 64 << 10, "{}", d.used());
    let id = d.connect();
    d.send(id, &frame(FETCH, 100));
    assert_eq!(d.take(), [], "there is no memory");
    let mut steps = 0;
    while d.take().is_empty() {
        d.wait(100);
        steps += 1;
        assert!(steps < 1_000, "it waits for ever");
    }
    let gone: Vec<_> = d.closed.iter().map(|(it, _)| *it).collect();
    assert_eq!(gone, stalled[..gone.len()], "not in the order in which they stalled");
    assert!(d.closed[0].1.as_ref().is_some_and(|it| it.contains("memory is short")));
    assert_eq!(d.all.stats().closed_for_memory, gone.len() as u64);
}

#[test]
fn large_frames_that_stall_make_room_for_others() {
    let mut d = Driver::new(settings(4 << 20));
    let whole = frame(PRODUCE, 10 << 20);
    for _ in 0..5 {
        let id = d.connect();
        d.send(id, &whole[..1 << 20]);
    }
    let good = d.connect();
    let request = frame(PRODUCE, 1 << 20);
    d.send(good, &request);
    for _ in 0..60 {
        d.wait(500);
    }
    assert_eq!(d.take(), [PRODUCE]);
    assert!(d.all.is_open(good));
    assert!(d.used() <= (2 << 20) + (4 << 20), "{}", d.used());
}

#[test]
fn answers_that_nobody_takes_are_bounded() {
    let mut d = Driver::new(settings(1 << 20));
    let mut deaf = Vec::new();
    for _ in 0..40 {
        let id = d.connect();
        d.send(id, &frame(ApiKey::METADATA, 60));
        let it = d.requests.pop().expect("a request");
        d.answer(&it, 200_000);
        d.deliver(id, 1_000);
        d.now_ms += 1;
        deaf.push(id);
        assert!(d.all.stats().unsent_bytes <= 2 * (1 << 20) + 200_000);
    }
    d.wait(EVICT_AFTER_MS);
    assert!(d.all.stats().unsent_bytes <= 1 << 20);
    assert!(!d.all.is_open(deaf[0]) && d.all.is_open(deaf[39]));
    // Records are storage's: those who hold them go when it says so.
    let id = d.connect();
    d.send(id, &frame(FETCH, 60));
    let it = d.requests.pop().expect("a request");
    d.answer(&it, 5 << 20);
    d.deliver(id, 1_000);
    assert!(d.all.relieve(d.now_ms, 100 << 20) < 4 << 20);
    assert!(d.all.is_open(id), "it has just begun");
    d.wait(EVICT_AFTER_MS);
    assert!(d.all.relieve(d.now_ms, 1) > 4 << 20);
    d.run();
    assert_eq!(d.all.stats().unsent_bytes, 0);
}

#[test]
fn a_closed_connection_is_charged_until_its_requests_end() {
    let mut d = Driver::new(settings(1 << 20));
    let id = d.connect();
    d.send(id, &frame(PRODUCE, 100_000));
    let it = d.requests.pop().expect("the request");
    d.all.close(id);
    d.run();
    assert!(d.used() >= 100_000 && d.all.peer(id).is_none());
    d.all.release(id, it.number);
    d.answer(&it, 10);
    assert_eq!(d.used(), 0);
    assert_eq!(d.closed, [(id, None)]);
    // Its place is another's; what comes late for it changes nothing.
    let next = d.connect();
    assert_eq!(next.index(), id.index());
    d.all.refuse(0, id, Why::Request, "late");
    d.answer(&it, 10);
    assert!(d.all.is_open(next));
}

#[test]
fn what_was_sent_before_the_end_is_served() {
    let mut d = Driver::new(settings(1 << 20));
    let id = d.connect();
    d.send(id, &[frame(FETCH, 60), frame(PRODUCE, 60)[..30].to_vec()].concat());
    d.all.hung_up(0, id);
    d.run();
    let it = d.requests.pop().expect("the fetch");
    d.answer(&it, 10);
    assert!(d.all.is_open(id), "the answer has not left");
    d.deliver(id, 100);
    assert_eq!(d.closed, [(id, None)]);
    // One that is never answered does not keep it for ever.
    let id = d.connect();
    d.send(id, &frame(FETCH, 60));
    d.all.hung_up(0, id);
    d.wait(LINGER_MS);
    assert!(!d.all.is_open(id));
}

#[test]
fn draining_takes_no_more_requests() {
    let mut d = Driver::new(settings(1 << 20));
    let (busy, idle) = (d.connect(), d.connect());
    d.send(busy, &[frame(FETCH, 60), frame(FETCH, 60)].concat());
    d.all.drain(0);
    d.run();
    assert!(d.all.is_open(busy) && !d.all.is_open(idle));
    let it = d.requests.pop().expect("the first");
    d.answer(&it, 10);
    assert_eq!(d.take(), []);
    d.deliver(busy, 100);
    assert!(d.all.are_quiet() && !d.all.is_open(busy));
}

#[test]
fn lines_are_limited() {
    let mut d = Driver::new(settings(1 << 20));
    let peer: Peer = "10.0.0.1:1".parse().expect("an address");
    for _ in 0..100 {
        let id = d.all.accepted(0, peer).expect("a connection");
        d.all.refuse(0, id, Why::Request, "Produce version 99 is not supported");
        d.run();
    }
    let told: Vec<_> = d.closed.iter().filter_map(|(_, line)| line.clone()).collect();
    assert_eq!(told, ["closed: Produce version 99 is not supported"]);
    assert_eq!(d.all.stats().lines_left_out, 99);
    d.wait(10_000);
    assert_eq!(d.lines, ["closed 99 more for the same reason (request)"]);
}

#[test]
fn too_many_connections_are_refused() {
    let limits = Limits { per_ip: 2, total: 3, ..Limits::default() };
    let mut d = Driver::new(ConnectionSettings { limits, ..settings(1 << 20) });
    let peer = |text: &str| -> Peer { text.parse().expect("an address") };
    let first = d.all.accepted(0, peer("10.0.0.1:1")).expect("the first");
    assert!(d.all.accepted(0, peer("10.0.0.1:2")).is_ok());
    let refused = d.all.accepted(0, peer("10.0.0.1:3")).unwrap_err();
    assert!(refused.line.is_some_and(|it| it.text.contains("max.connections.per.ip")));
    assert!(d.all.accepted(0, peer("10.0.0.2:1")).is_ok());
    assert!(d.all.accepted(0, peer("10.0.0.3:1")).is_err());
    d.all.close(first);
    assert!(d.all.accepted(0, peer("10.0.0.3:1")).is_err(), "its socket is not closed yet");
    d.run();
    assert!(d.all.accepted(0, peer("10.0.0.3:1")).is_ok());
    assert_eq!(d.all.stats().over_limit, 3);
}

#[test]
fn queues_do_not_grow_with_those_who_went() {
    let mut d = Driver::new(settings(1 << 20));
    for _ in 0..10_000 {
        let id = d.connect();
        d.sockets.truncate(1);
        d.sockets[0].0 = id;
        d.send(id, &[0, 0]);
        d.all.close(id);
        d.run();
        d.closed.clear();
    }
    assert!(d.all.queued() < 1_000, "{}", d.all.queued());
}
