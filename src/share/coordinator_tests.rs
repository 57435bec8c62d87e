//! The share coordinator: who may change what is kept, and that what is kept is what the log says.

use super::coordinator::{Coordinator, Effect, Request, Response};
use super::records::{Key, Record};
use super::settings::Settings;
use super::state::{DeliveryState, ShareState, StateBatch, Update};
use crate::types::{ErrorCode, Now, Rng, TopicId};

const NOW: Now = Now { wall_ms: 1_000, monotonic_ms: 0 };

fn key(partition: i32) -> Key {
    Key { group: "g".to_owned(), topic: TopicId([1; 16]), partition }
}

/// A coordinator with its log.
struct Bench {
    core: Coordinator,
    log: Vec<Record>,
    updates_per_snapshot: u32,
}

impl Bench {
    fn new(updates_per_snapshot: u32) -> Self {
        let core = Coordinator::new(Settings { updates_per_snapshot });
        Self { core, log: Vec::new(), updates_per_snapshot }
    }

    fn ask(&mut self, key: &Key, request: Request) -> Response {
        let mut out = Vec::new();
        self.core.request(NOW, 7, key, request, &mut out);
        self.end(out).expect("an answer")
    }

    /// Commits what is to be written.
    fn end(&mut self, mut out: Vec<Effect>) -> Option<Response> {
        let mut answer = None;
        while let Some(effect) = out.pop() {
            match effect {
                Effect::Reply { response, .. } => answer = Some(response),
                Effect::Append { write, record } => {
                    self.log.push(record);
                    let offset = self.log.len() as i64 - 1;
                    self.core.written(NOW, write, Ok(offset), &mut out);
                }
            }
        }
        answer
    }

    fn done(&mut self, key: &Key, request: Request) -> ErrorCode {
        match self.ask(key, request) {
            Response::Done(error) => error,
            other @ Response::State(_) => panic!("{other:?}"),
        }
    }

    fn state(&mut self, key: &Key) -> Option<ShareState> {
        match self.ask(key, Request::Summary) {
            Response::State(state) => state.map(|it| *it),
            other @ Response::Done(_) => panic!("{other:?}"),
        }
    }

    /// As another broker finds it, of what is left of the log from an offset on.
    fn reloaded(&self, from: i64) -> Self {
        let mut again = Self::new(self.updates_per_snapshot);
        for (offset, it) in self.log.iter().enumerate().skip(from as usize) {
            again.core.replay(offset as i64, Some(&it.key), it.value.as_deref()).expect("a record");
        }
        again.log.clone_from(&self.log);
        again
    }
}

fn initialize(state_epoch: i32, start_offset: i64) -> Request {
    Request::Initialize { state_epoch, start_offset }
}

fn write(state_epoch: i32, leader_epoch: i32, start_offset: i64, first: i64, last: i64) -> Request {
    let state = DeliveryState::Acknowledged;
    let batches = vec![StateBatch { first, last, state, delivery_count: 1 }];
    let update = Update { leader_epoch, start_offset, delivery_complete_count: 1, batches };
    Request::Write { state_epoch, update }
}

#[test]
fn what_was_never_begun_is_not_there() {
    let mut it = Bench::new(500);
    assert_eq!(it.state(&key(0)), None);
    for request in [Request::Read { leader_epoch: 0 }, write(0, 0, 0, 0, 0)] {
        assert_eq!(it.done(&key(0), request), ErrorCode::INVALID_REQUEST);
    }
    assert_eq!(it.done(&key(0), Request::Delete), ErrorCode::NONE);
    assert!(it.log.is_empty() && it.core.states() == 0 && it.core.bytes() == 0);
}

#[test]
fn who_leads_no_more_is_fenced() {
    let mut it = Bench::new(500);
    assert_eq!(it.done(&key(0), initialize(0, -1)), ErrorCode::NONE);
    assert!(matches!(it.ask(&key(0), Request::Read { leader_epoch: 4 }), Response::State(Some(_))));
    assert_eq!(it.done(&key(0), write(0, 4, 0, 3, 3)), ErrorCode::NONE);
    assert!(matches!(it.ask(&key(0), Request::Read { leader_epoch: 5 }), Response::State(Some(_))));
    for request in [write(0, 4, 0, 4, 4), Request::Read { leader_epoch: 4 }] {
        assert_eq!(it.done(&key(0), request), ErrorCode::FENCED_LEADER_EPOCH);
    }
    // So it is behind a restart.
    let mut again = it.reloaded(0);
    assert_eq!(again.done(&key(0), write(0, 4, 0, 4, 4)), ErrorCode::FENCED_LEADER_EPOCH);
    assert_eq!(again.state(&key(0)), it.state(&key(0)));
}

#[test]
fn a_start_that_was_moved_fences_who_has_not_heard_of_it() {
    let mut it = Bench::new(500);
    it.done(&key(0), initialize(0, -1));
    it.done(&key(0), write(0, 1, 5, 7, 9));
    // Asked once more, what is kept stays.
    assert_eq!(it.done(&key(0), initialize(0, -1)), ErrorCode::NONE);
    assert_eq!(it.state(&key(0)).map(|it| it.batch_count()), Some(1));
    assert_eq!(it.done(&key(0), initialize(1, 100)), ErrorCode::NONE);
    assert_eq!(it.done(&key(0), write(0, 1, 6, 7, 9)), ErrorCode::FENCED_STATE_EPOCH);
    assert_eq!(it.done(&key(0), initialize(0, -1)), ErrorCode::FENCED_STATE_EPOCH);
    let state = it.state(&key(0)).expect("a state");
    assert_eq!((state.start_offset, state.batch_count(), state.leader_epoch), (100, 0, 1));
    assert_eq!(it.reloaded(0).state(&key(0)), Some(state));
}

#[test]
fn what_was_not_committed_is_not_kept() {
    let mut it = Bench::new(500);
    it.done(&key(0), initialize(0, 0));
    let before = it.state(&key(0));
    let mut out = Vec::new();
    it.core.request(NOW, 1, &key(0), write(0, 0, 1, 3, 3), &mut out);
    it.core.request(NOW, 2, &key(0), Request::Summary, &mut out);
    let Some(Effect::Append { write, .. }) = out.pop() else { panic!("{out:?}") };
    assert!(out.is_empty(), "who asks later waits");
    it.core.written(NOW, write, Err(ErrorCode::NOT_LEADER_OR_FOLLOWER), &mut out);
    let replies: Vec<_> = out
        .into_iter()
        .map(|it| match it {
            Effect::Reply { ticket, response } => (ticket, response),
            other @ Effect::Append { .. } => panic!("{other:?}"),
        })
        .collect();
    let refused = Response::Done(ErrorCode::NOT_COORDINATOR);
    assert_eq!(replies, [(1, refused), (2, Response::State(before.map(Box::new)))]);
}

/// Whatever is written, another broker finds it in the log; and also in what is left of it when all that is redundant was
/// deleted.
#[test]
fn the_log_has_all_that_is_kept() {
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut it = Bench::new(rng.below(6) as u32);
        for _ in 0..60 {
            let key = key(rng.below(3) as i32);
            let first = rng.below(40) as i64;
            let last = first + rng.below(9) as i64;
            let start = if rng.chance(30) { -1 } else { first.saturating_sub(5) };
            let request = match rng.below(10) {
                0 => Request::Delete,
                1 | 2 => initialize(rng.below(3) as i32, start),
                3 => Request::Read { leader_epoch: rng.below(4) as i32 },
                _ => write(rng.below(3) as i32, rng.below(4) as i32, start, first, last),
            };
            it.ask(&key, request);
            if rng.one_in(20) {
                let (mut out, end) = (Vec::new(), it.log.len() as i64);
                it.core.tend_below(NOW, end, 2, |_| true, &mut out);
                it.end(out);
            }
            let kept = it.core.redundant_below(it.log.len() as i64);
            let mut again = it.reloaded(kept);
            for partition in 0..3 {
                let key = self::key(partition);
                assert_eq!(again.state(&key), it.state(&key), "seed {seed}");
            }
            let expected = again.core.bytes();
            assert_eq!(it.core.bytes(), expected, "seed {seed}: what is counted");
        }
        assert!(it.core.redundant_below(it.log.len() as i64) > 0, "seed {seed}");
    }
}

#[test]
fn states_of_topics_that_are_gone_go() {
    let mut it = Bench::new(500);
    it.done(&key(0), initialize(0, 3));
    it.done(&key(1), initialize(0, 4));
    let (mut out, end) = (Vec::new(), it.log.len() as i64);
    // Nothing is cold.
    assert_eq!(it.core.tend_below(NOW, 0, 10, |_| false, &mut out), 0);
    assert_eq!(it.core.tend_below(NOW, end, 10, |_| true, &mut out), 2);
    it.end(out);
    assert_eq!(it.state(&key(0)).map(|it| it.start_offset), Some(3));
    let (mut out, end) = (Vec::new(), it.log.len() as i64);
    assert_eq!(it.core.tend_below(NOW, end, 10, |_| false, &mut out), 2);
    it.end(out);
    assert_eq!((it.state(&key(0)), it.core.states(), it.core.bytes()), (None, 0, 0));
    assert_eq!(it.reloaded(0).state(&key(1)), None);
}
