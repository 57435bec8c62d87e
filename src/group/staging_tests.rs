//! Offsets that are part of transactions.

use super::testing::offset;
use super::*;
use crate::types::{ErrorCode, Now};

struct Rig {
    core: Coordinator,
    ticket: Ticket,
    /// What was appended and is not durable yet.
    writes: Vec<(u64, Logged)>,
    log: Vec<Logged>,
    replies: Vec<GroupResponse>,
    ended: Vec<(Ticket, ErrorCode)>,
}

#[derive(Clone, Debug)]
enum Logged {
    Records(Vec<Record>, Option<TransactionProducer>),
    End(TransactionEnd),
}

fn producer(id: i64) -> TransactionProducer {
    TransactionProducer { id, epoch: 0, markers: None }
}

fn end(producer_id: i64, commits: bool) -> TransactionEnd {
    TransactionEnd {
        producer_id,
        producer_epoch: 0,
        commits,
        coordinator_epoch: 1,
        own_epoch: false,
        ticket: 7,
    }
}

fn loaded(log: &[Logged]) -> Coordinator {
    let mut core = Coordinator::new(CoordinatorSettings::default());
    for it in log {
        match it {
            Logged::Records(records, None) => {
                for it in records {
                    core.replay(Some(&it.key), it.value.as_deref(), 0).unwrap();
                }
            }
            Logged::Records(records, Some(of)) => {
                for it in records {
                    core.replay_staged((of.id, of.epoch), Some(&it.key), it.value.as_deref())
                        .unwrap();
                }
            }
            Logged::End(end) => core.replay_end(end.producer_id, end.commits),
        }
    }
    core.start(Now::at(0), &mut Vec::new());
    core
}

impl Rig {
    fn new() -> Self {
        Self {
            core: loaded(&[]),
            ticket: 0,
            writes: Vec::new(),
            log: Vec::new(),
            replies: Vec::new(),
            ended: Vec::new(),
        }
    }

    fn take(&mut self, out: Vec<Effect>) {
        for effect in out {
            match effect {
                Effect::Reply { response, .. } => self.replies.push(response),
                Effect::Append { write, records, producer } => {
                    self.writes.push((write, Logged::Records(records, producer)));
                }
                Effect::End { write, end } => self.writes.push((write, Logged::End(end))),
                Effect::Ended { ticket, error } => self.ended.push((ticket, error)),
            }
        }
        assert_eq!(self.core.memory_bytes(), self.core.counted_bytes());
    }

    fn ask(&mut self, request: GroupRequest) {
        self.ticket += 1;
        let mut out = Vec::new();
        self.core.request(Now::at(0), self.ticket, request, &mut out);
        self.take(out);
    }

    fn commit(&mut self, topic: &str, next: i64, of: Option<TransactionProducer>) {
        self.ask(GroupRequest::Commit(Commit { producer: of, ..offset(topic, next) }));
    }

    fn end(&mut self, producer_id: i64, commits: bool) {
        let mut out = Vec::new();
        self.core.end_transaction(end(producer_id, commits), &mut out);
        self.take(out);
    }

    fn write(&mut self, result: Result<(), ErrorCode>) {
        for (write, logged) in std::mem::take(&mut self.writes) {
            if result.is_ok() {
                self.log.push(logged);
            }
            let mut out = Vec::new();
            self.core.written(Now::at(0), write, result, &mut out);
            self.take(out);
        }
    }

    /// What is committed of a topic's first partition, and the error of who wants it stable.
    fn fetched(core: &mut Coordinator, topic: &str) -> (i64, ErrorCode) {
        let mut found = [(0, ErrorCode::NONE); 2];
        for (at, require_stable) in [false, true].into_iter().enumerate() {
            let commit = offset(topic, 0);
            let partitions = vec![commit.topics[0].partitions[0].partition];
            let fetch = FetchOffsets {
                group_id: commit.group_id,
                topics: Some(vec![FetchTopic {
                    name: topic.to_owned(),
                    partitions,
                    ..Default::default()
                }]),
                require_stable,
                ..FetchOffsets::default()
            };
            let mut out = Vec::new();
            core.request(Now::at(0), 999, GroupRequest::FetchOffsets(fetch), &mut out);
            let Some(Effect::Reply { response: GroupResponse::FetchOffsets(it), .. }) = out.pop()
            else {
                panic!("{out:?}")
            };
            found[at] = (it.topics[0].partitions[0].offset, it.topics[0].partitions[0].error);
        }
        (found[0].0, found[1].1)
    }

    /// The same of this coordinator and of one that has nothing but the log.
    fn check(&mut self, topic: &str, expected: (i64, ErrorCode)) {
        assert_eq!(Self::fetched(&mut self.core, topic), expected, "here");
        assert_eq!(Self::fetched(&mut loaded(&self.log), topic), expected, "from the log");
    }
}

const STABLE: ErrorCode = ErrorCode::NONE;
const UNSTABLE: ErrorCode = ErrorCode::UNSTABLE_OFFSET_COMMIT;

#[test]
fn offsets_of_a_transaction_count_when_it_commits() {
    let mut rig = Rig::new();
    rig.commit("t", 5, None);
    rig.write(Ok(()));
    rig.commit("t", 8, Some(producer(1)));
    assert!(matches!(rig.writes[0].1, Logged::Records(_, Some(_))));
    rig.write(Ok(()));
    rig.check("t", (5, UNSTABLE));
    rig.end(1, true);
    // The marker is not durable: nobody may know.
    rig.check("t", (5, UNSTABLE));
    assert!(rig.core.has_pending_writes() && rig.ended.is_empty());
    rig.write(Ok(()));
    rig.check("t", (8, STABLE));
    assert_eq!(rig.ended, [(7, ErrorCode::NONE)]);
    // The same marker once more.
    rig.end(1, false);
    rig.write(Ok(()));
    rig.check("t", (8, STABLE));
}

#[test]
fn offsets_of_a_transaction_that_aborts_are_forgotten() {
    let mut rig = Rig::new();
    rig.commit("t", 8, Some(producer(1)));
    rig.commit("u", 3, Some(producer(2)));
    rig.write(Ok(()));
    rig.write(Ok(()));
    rig.check("t", (-1, UNSTABLE));
    rig.end(1, false);
    rig.write(Err(ErrorCode::NOT_ENOUGH_REPLICAS));
    rig.check("t", (-1, UNSTABLE));
    rig.end(1, false);
    rig.write(Ok(()));
    rig.check("t", (-1, STABLE));
    rig.check("u", (-1, UNSTABLE));
    rig.end(2, true);
    rig.write(Ok(()));
    rig.check("u", (3, STABLE));
    let said: Vec<_> = rig.ended.iter().map(|it| it.1).collect();
    assert_eq!(said, [ErrorCode::NOT_ENOUGH_REPLICAS, ErrorCode::NONE, ErrorCode::NONE]);
}

#[test]
fn what_is_committed_without_a_transaction_meanwhile_stays() {
    let mut rig = Rig::new();
    rig.commit("t", 8, Some(producer(1)));
    rig.write(Ok(()));
    rig.commit("t", 20, None);
    rig.write(Ok(()));
    rig.check("t", (20, UNSTABLE));
    rig.end(1, true);
    rig.write(Ok(()));
    rig.check("t", (20, STABLE));
}

#[test]
fn members_of_another_generation_are_fenced() {
    let mut rig = Rig::new();
    let of = Some(producer(1));
    let commit =
        Commit { producer: of, generation_id: 3, member_id: "m".to_owned(), ..offset("t", 1) };
    rig.ask(GroupRequest::Commit(commit));
    assert!(rig.writes.is_empty());
    let Some(GroupResponse::Commit(it)) = rig.replies.pop() else { panic!() };
    assert_eq!(it.error, ErrorCode::ILLEGAL_GENERATION);
}

/// The state that a log is rewritten with is the whole state.
#[test]
fn what_is_staged_is_part_of_the_state() {
    let mut rig = Rig::new();
    rig.commit("t", 5, None);
    rig.write(Ok(()));
    rig.commit("t", 8, Some(producer(1)));
    rig.write(Ok(()));
    rig.commit("u", 9, Some(producer(4)));
    rig.write(Ok(()));
    let mut log = vec![Logged::Records(rig.core.live_state(), None)];
    let mut after = None;
    while let Some((of, records)) = rig.core.staged_records(after) {
        after = Some(of.id);
        log.push(Logged::Records(records, Some(of)));
    }
    assert_eq!(log.len(), 3);
    rig.log = log;
    rig.check("t", (5, UNSTABLE));
    rig.check("u", (-1, UNSTABLE));
    rig.end(1, true);
    rig.end(4, true);
    rig.write(Ok(()));
    rig.check("t", (8, STABLE));
    rig.check("u", (9, STABLE));
}
