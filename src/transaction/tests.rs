//! The coordinator, case by case; `histories` has what happens by chance.

use super::*;
use crate::types::{ErrorCode, Now};
use std::collections::VecDeque;

/// A coordinator, whose writes and markers end when the test says.
struct Rig {
    core: Coordinator,
    now_ms: i64,
    ticket: Ticket,
    writes: VecDeque<(u64, Record)>,
    markers: VecDeque<Markers>,
    replies: Vec<(Ticket, Response)>,
    log: Vec<Record>,
    next_id: i64,
}

const DONE: Response = Response::Done(ErrorCode::NONE);

fn done(error: ErrorCode) -> Response {
    Response::Done(error)
}

fn at(id: i64, epoch: i16) -> Producer {
    Producer { id, epoch }
}

impl Rig {
    fn new() -> Self {
        Self {
            core: Coordinator::new(Settings::default(), Memory::default()),
            now_ms: 1_000,
            ticket: 0,
            writes: VecDeque::new(),
            markers: VecDeque::new(),
            replies: Vec::new(),
            log: Vec::new(),
            next_id: 100,
        }
    }

    fn now(&self) -> Now {
        Now::at(self.now_ms)
    }

    fn take(&mut self, out: Vec<Effect>) {
        for effect in out {
            match effect {
                Effect::Reply { ticket, response } => self.replies.push((ticket, response)),
                Effect::Append { write, record } => self.writes.push_back((write, record)),
                Effect::Markers(markers) => self.markers.push_back(markers),
            }
        }
    }

    /// Hands in a request; its ticket.
    fn ask(&mut self, request: Request) -> Ticket {
        self.ticket += 1;
        let mut out = Vec::new();
        self.core.request(self.now(), self.ticket, request, &mut out);
        self.take(out);
        self.ticket
    }

    fn answer(&mut self, ticket: Ticket) -> Option<Response> {
        let at = self.replies.iter().position(|it| it.0 == ticket)?;
        Some(self.replies.remove(at).1)
    }

    fn write(&mut self, result: Result<(), ErrorCode>) {
        let (write, record) = self.writes.pop_front().expect("a write");
        if result.is_ok() {
            self.log.push(record);
        }
        let mut out = Vec::new();
        self.core.written(self.now(), write, result, &mut out);
        self.take(out);
    }

    fn write_all(&mut self) {
        while !self.writes.is_empty() {
            self.write(Ok(()));
        }
    }

    /// All markers on their way are committed.
    fn mark_all(&mut self) -> Vec<Markers> {
        let all: Vec<_> = self.markers.drain(..).collect();
        for markers in &all {
            for partition in &markers.partitions {
                let mut out = Vec::new();
                self.core.marked(self.now(), markers.number, partition, &mut out);
                self.take(out);
            }
        }
        all
    }

    /// Asks, and lets everything happen; the answer.
    fn run(&mut self, request: Request) -> Response {
        let ticket = self.ask(request);
        loop {
            self.write_all();
            if self.markers.is_empty() {
                break;
            }
            self.mark_all();
        }
        self.answer(ticket).expect("an answer")
    }

    fn tick(&mut self, ms: i64) {
        self.now_ms += ms;
        let mut out = Vec::new();
        while self.core.next_deadline().is_some_and(|at| at <= self.now_ms) {
            if self.core.tick(self.now(), &mut out) == 0 {
                break;
            }
            if !out.is_empty() {
                break;
            }
        }
        self.take(out);
    }

    fn init_as(&mut self, expected: Option<Producer>) -> Request {
        self.next_id += 1;
        let fresh_id = Some(self.next_id);
        let transactional_id = "t".to_owned();
        Request::Init(InitProducer { transactional_id, timeout_ms: 60_000, expected, fresh_id })
    }

    fn init(&mut self) -> Producer {
        let request = self.init_as(None);
        match self.run(request) {
            Response::Producer(producer) => producer,
            other => panic!("{other:?}"),
        }
    }

    fn state(&mut self) -> Described {
        let ticket = self.ask(Request::Describe("t".to_owned()));
        match self.answer(ticket) {
            Some(Response::Described(it)) => it,
            other => panic!("{other:?}"),
        }
    }

    /// What another broker makes of the log.
    fn reload(&mut self) {
        self.core = Coordinator::new(Settings::default(), Memory::default());
        for it in &self.log {
            self.core.replay(Some(&it.key), it.value.as_deref()).unwrap();
        }
        self.writes.clear();
        self.markers.clear();
        let mut out = Vec::new();
        while self.core.start_part(self.now(), 1, &mut out) > 0 {}
        self.take(out);
    }
}

fn add(producer: Producer, partitions: &[i32], version: i16) -> Request {
    let partitions = partitions.iter().map(|it| ("p".into(), *it)).collect();
    let (transactional_id, verify_only) = ("t".to_owned(), false);
    Request::Add(AddPartitions { transactional_id, producer, partitions, verify_only, version })
}

fn verify(producer: Producer, partitions: &[i32]) -> Request {
    match add(producer, partitions, 0) {
        Request::Add(it) => Request::Add(AddPartitions { verify_only: true, ..it }),
        other => other,
    }
}

fn end(producer: Producer, commits: bool, version: i16) -> Request {
    let transactional_id = "t".to_owned();
    Request::End(End { transactional_id, producer, commits, version, fresh_id: Some(900) })
}

#[test]
fn markers_are_sent_when_the_decision_is_committed_and_not_before() {
    let mut rig = Rig::new();
    let producer = rig.init();
    assert_eq!(producer, at(101, 0));
    assert_eq!(rig.run(add(producer, &[0, 1], 0)), DONE);
    assert_eq!(rig.state().state, State::Ongoing);
    let ticket = rig.ask(end(producer, true, 0));
    assert!(rig.markers.is_empty() && rig.answer(ticket).is_none(), "nobody may know yet");
    assert_eq!(rig.state().state, State::Ongoing);
    rig.write_all();
    assert_eq!(rig.answer(ticket), Some(Response::Producer(producer)));
    assert_eq!(rig.state().state, State::PrepareCommit);
    let markers = rig.markers[0].clone();
    assert!(markers.commits && markers.partitions.len() == 2);
    // One of two is not all.
    let mut out = Vec::new();
    rig.core.marked(rig.now(), markers.number, &markers.partitions[0], &mut out);
    rig.core.marked(rig.now(), markers.number, &markers.partitions[0], &mut out);
    assert!(out.is_empty());
    rig.mark_all();
    rig.write_all();
    assert_eq!(rig.state().state, State::CompleteCommit);
    assert!(rig.state().partitions.is_empty());
    // Again: it was committed.
    assert_eq!(rig.run(end(producer, true, 0)), DONE);
    assert_eq!(rig.run(end(producer, false, 0)), done(ErrorCode::INVALID_TXN_STATE));
}

#[test]
fn a_decision_that_could_not_be_written_is_none() {
    let mut rig = Rig::new();
    let producer = rig.init();
    rig.run(add(producer, &[0], 0));
    let ticket = rig.ask(end(producer, true, 0));
    rig.write(Err(ErrorCode::NOT_ENOUGH_REPLICAS));
    assert_eq!(rig.answer(ticket), Some(done(ErrorCode::COORDINATOR_NOT_AVAILABLE)));
    assert!(rig.markers.is_empty());
    assert_eq!(rig.run(end(producer, false, 0)), Response::Producer(producer));
    assert_eq!(rig.state().state, State::CompleteAbort);
}

#[test]
fn each_transaction_has_an_epoch_of_its_own() {
    let mut rig = Rig::new();
    let producer = rig.init();
    assert_eq!(rig.run(add(producer, &[0], 2)), DONE);
    assert_eq!(rig.run(end(producer, true, 2)), Response::Producer(at(101, 1)));
    // Its answer was lost.
    assert_eq!(rig.run(end(producer, true, 2)), Response::Producer(at(101, 1)));
    assert_eq!(rig.run(end(producer, false, 2)), done(ErrorCode::INVALID_TXN_STATE));
    // In the next transaction, a late EndTxn of the one before ends nothing.
    assert_eq!(rig.run(add(at(101, 1), &[0], 2)), DONE);
    assert_eq!(rig.run(end(producer, true, 2)), done(ErrorCode::PRODUCER_FENCED));
    assert_eq!(rig.run(end(producer, false, 2)), done(ErrorCode::PRODUCER_FENCED));
    assert_eq!(rig.state().state, State::Ongoing);
    // One without partitions may be aborted, not committed.
    assert_eq!(rig.run(end(at(101, 1), false, 2)), Response::Producer(at(101, 2)));
    assert_eq!(rig.run(end(at(101, 2), true, 2)), done(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(rig.run(end(at(101, 2), false, 2)), Response::Producer(at(101, 3)));
    assert_eq!(rig.run(end(at(101, 9), false, 2)), done(ErrorCode::PRODUCER_FENCED));
    assert_eq!(rig.run(end(at(7, 3), false, 2)), done(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
}

/// A producer aborts its next transaction, which has written nothing, while the markers of the one before are
/// on their way.
#[test]
fn an_end_waits_for_the_end_of_the_transaction_before() {
    let mut rig = Rig::new();
    let producer = rig.init();
    rig.run(add(producer, &[0], 2));
    let first = rig.ask(end(producer, true, 2));
    rig.write_all();
    assert_eq!(rig.answer(first), Some(Response::Producer(at(101, 1))));
    let next = rig.ask(end(at(101, 1), false, 2));
    assert!(rig.answer(next).is_none());
    rig.mark_all();
    rig.write_all();
    assert_eq!(rig.answer(next), Some(Response::Producer(at(101, 2))));
    assert_eq!(rig.state().state, State::CompleteAbort);
}

#[test]
fn a_new_instance_fences_the_old_one_and_aborts_what_it_has_begun() {
    for version in [0, 2] {
        let mut rig = Rig::new();
        let old = rig.init();
        rig.run(add(old, &[0, 4], version));
        let request = rig.init_as(None);
        let ticket = rig.ask(request);
        rig.write_all();
        assert!(rig.answer(ticket).is_none(), "it waits for the end of the transaction");
        let markers = rig.mark_all();
        assert_eq!((markers[0].producer_epoch, markers[0].commits), (1, false));
        rig.write_all();
        assert_eq!(rig.answer(ticket), Some(Response::Producer(at(101, 2))), "once for the fence");
        for request in [add(old, &[0], version), end(old, true, version), verify(old, &[0])] {
            assert_eq!(rig.run(request), done(ErrorCode::PRODUCER_FENCED));
        }
        let request = rig.init_as(Some(old));
        assert_eq!(rig.run(request), done(ErrorCode::PRODUCER_FENCED));
    }
}

#[test]
fn who_waits_too_long_for_the_end_of_a_transaction_is_told_so() {
    let mut rig = Rig::new();
    let producer = rig.init();
    rig.run(add(producer, &[0], 0));
    rig.ask(end(producer, true, 0));
    rig.write_all();
    let next = rig.ask(add(producer, &[1], 0));
    let retry = rig.ask(end(producer, true, 0));
    rig.tick(249);
    assert!(rig.answer(next).is_none());
    rig.tick(1);
    assert_eq!(rig.answer(next), Some(done(ErrorCode::CONCURRENT_TRANSACTIONS)));
    assert_eq!(rig.answer(retry), Some(done(ErrorCode::CONCURRENT_TRANSACTIONS)));
    // The same, in time.
    let next = rig.ask(add(producer, &[1], 0));
    rig.mark_all();
    rig.write_all();
    assert_eq!(rig.answer(next), Some(DONE));
}

#[test]
fn a_transaction_that_takes_too_long_is_aborted_and_its_producer_fenced() {
    let mut rig = Rig::new();
    let producer = rig.init();
    rig.run(add(producer, &[0], 2));
    rig.tick(59_999);
    assert!(rig.writes.is_empty());
    rig.tick(1);
    rig.write_all();
    let markers = rig.mark_all();
    assert_eq!((markers[0].producer_epoch, markers[0].commits), (1, false));
    rig.write_all();
    assert_eq!(rig.state().state, State::CompleteAbort);
    assert_eq!(rig.run(end(producer, true, 2)), done(ErrorCode::INVALID_TXN_STATE));
    assert_eq!(rig.run(add(producer, &[0], 2)), done(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn timeouts_beyond_the_broker_are_refused() {
    let mut rig = Rig::new();
    for timeout_ms in [0, -5, 900_001] {
        let request = rig.init_as(None);
        let Request::Init(it) = request else { unreachable!() };
        let answer = rig.run(Request::Init(InitProducer { timeout_ms, ..it }));
        assert_eq!(answer, done(ErrorCode::INVALID_TRANSACTION_TIMEOUT));
    }
}

/// KAFKA-18660, 19367, 20090: one bump for each end, none beyond the largest epoch.
#[test]
fn epochs_that_are_used_up_bring_a_new_producer_id() {
    for version in [0, 2] {
        let mut rig = Rig::new();
        rig.init();
        let mut producer = at(101, 0);
        while producer.epoch < i16::MAX - 1 {
            let request = rig.init_as(Some(producer));
            let Response::Producer(next) = rig.run(request) else { panic!("{producer:?}") };
            assert_eq!((next.id, next.epoch), (101, producer.epoch + 1));
            producer = next;
        }
        assert_eq!(producer.epoch, 32_766);
        rig.run(add(producer, &[0], version));
        if version == 2 {
            let ticket = rig.ask(end(producer, true, 2));
            rig.write_all();
            let markers = rig.mark_all();
            assert_eq!(markers[0].producer_epoch, i16::MAX, "one is left for the markers");
            assert_eq!(rig.answer(ticket), Some(Response::Producer(at(900, 0))));
            rig.write_all();
            assert_eq!(rig.state().producer, at(900, 0));
            // Its answer was lost.
            assert_eq!(rig.run(end(producer, true, 2)), Response::Producer(at(900, 0)));
            rig.reload();
            assert_eq!(rig.run(end(producer, true, 2)), Response::Producer(at(900, 0)));
            continue;
        }
        // The fence is one more, and the next producer has another id.
        let request = rig.init_as(None);
        let ticket = rig.ask(request);
        rig.write_all();
        let markers = rig.mark_all();
        assert_eq!((markers[0].producer_id, markers[0].producer_epoch), (101, i16::MAX));
        rig.write_all();
        let Some(Response::Producer(next)) = rig.answer(ticket) else { panic!() };
        assert!(next.id > 101 && next.epoch == 0, "{next:?}");
    }
}

/// KIP-360: a producer goes on after an error, and asks again where it has not heard the answer.
#[test]
fn a_producer_that_asks_again_is_not_fenced_by_itself() {
    let mut rig = Rig::new();
    let producer = rig.init();
    let request = rig.init_as(Some(producer));
    assert_eq!(rig.run(request), Response::Producer(at(101, 1)));
    let request = rig.init_as(Some(producer));
    assert_eq!(rig.run(request), Response::Producer(at(101, 1)), "the same, once more");
    let request = rig.init_as(None);
    assert_eq!(rig.run(request), Response::Producer(at(101, 2)), "another instance");
    let request = rig.init_as(Some(at(101, 1)));
    assert_eq!(rig.run(request), done(ErrorCode::PRODUCER_FENCED));
}

#[test]
fn only_partitions_that_were_added_are_part() {
    let mut rig = Rig::new();
    let producer = rig.init();
    let abortable = ErrorCode::TRANSACTION_ABORTABLE;
    assert_eq!(rig.run(verify(producer, &[0])), Response::Verified(vec![abortable]));
    rig.run(add(producer, &[0], 0));
    let verified = Response::Verified(vec![ErrorCode::NONE, abortable]);
    assert_eq!(rig.run(verify(producer, &[0, 1])), verified);
    let unknown = rig.run(verify(at(9, 0), &[0]));
    assert_eq!(unknown, done(ErrorCode::INVALID_PRODUCER_ID_MAPPING));
    // What is there already takes no write.
    let writes = rig.log.len();
    assert_eq!(rig.run(add(producer, &[0], 0)), DONE);
    assert_eq!(rig.log.len(), writes);
}

#[test]
fn partitions_that_come_while_one_is_written_take_one_write_together() {
    let mut rig = Rig::new();
    let producer = rig.init();
    let before = rig.log.len();
    let tickets: Vec<_> = (0..50).map(|it| rig.ask(add(producer, &[it], 2))).collect();
    rig.write_all();
    assert!(tickets.into_iter().all(|it| rig.answer(it) == Some(DONE)));
    assert_eq!((rig.log.len() - before, rig.state().partitions.len()), (2, 50));
}

#[test]
fn a_transaction_that_waits_for_the_end_of_another_takes_one_write_less() {
    let mut rig = Rig::new();
    let producer = rig.init();
    rig.run(add(producer, &[0], 0));
    let ending = rig.ask(end(producer, true, 0));
    rig.write(Ok(()));
    assert_eq!(rig.answer(ending), Some(Response::Producer(producer)));
    let next: Vec<_> = [1, 2].iter().map(|it| rig.ask(add(producer, &[*it], 0))).collect();
    assert!(rig.writes.is_empty(), "not before all markers are committed");
    rig.mark_all();
    assert_eq!(rig.state().state, State::PrepareCommit, "nothing is written yet");
    assert!(next.iter().all(|it| rig.answer(*it).is_none()));
    // It fails: then the old transaction ends by itself.
    rig.write(Err(ErrorCode::NOT_ENOUGH_REPLICAS));
    for it in next {
        assert_eq!(rig.answer(it), Some(done(ErrorCode::COORDINATOR_NOT_AVAILABLE)));
    }
    rig.tick(100);
    let again = rig.ask(add(producer, &[3], 0));
    rig.write_all();
    assert_eq!(rig.answer(again), Some(DONE));
    rig.ask(end(producer, true, 0));
    rig.write(Ok(()));
    let third = rig.ask(add(producer, &[1], 0));
    rig.mark_all();
    assert_eq!(rig.writes.len(), 1);
    rig.write(Ok(()));
    assert_eq!(rig.answer(third), Some(DONE));
    let begun = rig.state();
    assert_eq!((begun.state, begun.partitions), (State::Ongoing, vec![("p".into(), 1)]));
    rig.reload();
    assert_eq!(rig.state().state, State::Ongoing, "what a later coordinator makes of it");
    assert!(rig.markers.is_empty());
}

#[test]
fn a_later_coordinator_goes_on_at_every_step() {
    for version in [0, 2] {
        let mut rig = Rig::new();
        let producer = rig.init();
        rig.reload();
        assert_eq!(rig.run(add(producer, &[0, 1], version)), DONE);
        rig.reload();
        assert_eq!(rig.state().partitions.len(), 2);
        rig.ask(end(producer, true, version));
        // Not committed: the transaction is still open.
        rig.reload();
        assert_eq!(rig.state().state, State::Ongoing);
        rig.ask(end(producer, true, version));
        rig.write_all();
        let before = rig.markers[0].clone();
        rig.reload();
        let again = rig.markers[0].clone();
        assert_eq!((before.commits, &before.partitions), (again.commits, &again.partitions));
        assert_eq!((before.producer_epoch, before.version), (again.producer_epoch, version));
        rig.mark_all();
        rig.reload();
        assert_eq!(rig.markers.len(), 1, "whether they were all committed nobody knows");
        rig.mark_all();
        rig.write_all();
        rig.reload();
        assert_eq!(rig.state().state, State::CompleteCommit);
        // What is open keeps its time.
        let producer = rig.state().producer;
        rig.run(add(producer, &[0], version));
        rig.tick(30_000);
        rig.reload();
        rig.tick(29_999);
        assert!(rig.writes.is_empty());
        rig.tick(1);
        assert_eq!(rig.writes.len(), 1);
    }
}

#[test]
fn ids_of_which_nobody_hears_are_forgotten() {
    let mut rig = Rig::new();
    rig.init();
    rig.tick(7 * 24 * 3_600_000 - 1);
    assert!(rig.writes.is_empty());
    rig.tick(1);
    rig.write_all();
    assert_eq!(rig.log.last().unwrap().value, None);
    assert!(rig.core.is_empty());
    let described = rig.run(Request::Describe("t".to_owned()));
    assert_eq!(described, done(ErrorCode::TRANSACTIONAL_ID_NOT_FOUND));
    rig.reload();
    assert!(rig.core.is_empty());
}

#[test]
fn lists_what_is_asked_for() {
    let mut rig = Rig::new();
    let producer = rig.init();
    rig.run(add(producer, &[0], 0));
    rig.now_ms += 100;
    let listed = |filter: &List| {
        let (mut cursor, mut all) = (ListCursor::default(), Vec::new());
        while rig.core.list_part(rig.now(), filter, &mut cursor, 1, &mut all) > 0 {}
        all.len()
    };
    let all = List { duration_ms: -1, ..List::default() };
    assert_eq!(listed(&all), 1);
    for (states, producer_ids, duration_ms, count) in [
        (vec!["Ongoing"], vec![], -1, 1),
        (vec!["Empty", "CompleteAbort"], vec![], -1, 0),
        (vec![], vec![101, 5], -1, 1),
        (vec![], vec![5], -1, 0),
        (vec![], vec![], 99, 1),
        (vec![], vec![], 100, 0),
    ] {
        let states = states.into_iter().map(str::to_owned).collect();
        assert_eq!(listed(&List { states, producer_ids, duration_ms }), count);
    }
    assert!(State::is_known("PrepareEpochFence") && !State::is_known("ongoing"));
}
