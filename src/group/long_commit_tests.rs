//! Commits of very many offsets, and removals of as many: in parts, and whole all the same.

use super::request::LONG_COMMIT;
use super::request::{Commit, CommitOffset, DeleteGroup, FetchOffsets, FetchTopic, GroupRequest};
use super::response::GroupResponse;
use super::testing::{Bench, GROUP, offset};
use super::writes::REMOVED_AT_ONCE;
use crate::types::{ErrorCode, TopicId};

const OFFSETS: i32 = 3_000;

fn all_at(at: i64) -> Commit {
    let mut commit = offset("t", at);
    let first = commit.topics[0].partitions[0].clone();
    let partitions = (0..OFFSETS).map(|partition| CommitOffset { partition, ..first.clone() });
    commit.topics[0].partitions = partitions.collect();
    commit
}

fn first_and_last() -> GroupRequest {
    let partitions = vec![0, OFFSETS - 1];
    let topic = FetchTopic { name: "t".into(), topic_id: TopicId::default(), partitions };
    GroupRequest::FetchOffsets(FetchOffsets {
        group_id: GROUP.to_owned(),
        member_id: None,
        member_epoch: -1,
        topics: Some(vec![topic]),
        after: None,
        require_stable: false,
    })
}

impl Bench {
    fn offsets(&mut self, ticket: u64) -> Option<Vec<i64>> {
        match self.answer(ticket)? {
            GroupResponse::FetchOffsets(it) => {
                Some(it.topics[0].partitions.iter().map(|it| it.offset).collect())
            }
            other => panic!("{other:?}"),
        }
    }

    /// Goes on with what is long until there is nothing to do but to wait; in how many parts.
    fn go_on_in_parts(&mut self) -> usize {
        let mut parts = 0;
        while self.go_on(100) > 0 {
            parts += 1;
        }
        parts
    }
}

#[test]
fn a_long_commit_is_one_write_and_is_seen_whole() {
    for (result, error, seen) in [
        (Ok(()), ErrorCode::NONE, 7),
        (Err(ErrorCode::KAFKA_STORAGE_ERROR), ErrorCode::NOT_COORDINATOR, 6),
    ] {
        let mut bench = Bench::default();
        bench.commit_error(all_at(6));
        (bench.pauses, bench.slow) = (true, true);
        let commit = bench.commit(all_at(7));
        let fetch = bench.ask(first_and_last());
        let parts = OFFSETS as usize / 100;
        assert!(bench.go_on_in_parts() > parts);
        assert_eq!(
            bench.writes.iter().map(|it| it.1.len()).collect::<Vec<_>>(),
            [OFFSETS as usize]
        );
        assert_eq!((bench.committed(commit), bench.offsets(fetch)), (None, None));
        bench.written(result);
        bench.go_on(100);
        assert_eq!((bench.committed(commit), bench.offsets(fetch)), (None, None), "half of it");
        assert!(bench.go_on_in_parts() > parts - 1);
        let committed = bench.committed(commit).expect("an answer");
        assert_eq!((committed.error_of(0, 0), committed.error_of(0, 2_999)), (error, error));
        assert_eq!(bench.offsets(fetch), Some(vec![seen; 2]));
        bench.restart();
        bench.pauses = false;
        let fetch = bench.ask(first_and_last());
        assert_eq!(bench.offsets(fetch), Some(vec![seen; 2]));
    }
}

/// A commit behind a long one is not taken up into its write, and a long one behind others waits for its
/// own.
#[test]
fn long_and_short_commits_keep_their_order() {
    let mut bench = Bench::default();
    bench.slow = true;
    let commits = [offset("t", 1), offset("t", 2), all_at(3), offset("t", 4)];
    let tickets = commits.map(|it| bench.commit(it));
    let mut writes = Vec::new();
    while let Some((_, records)) = bench.writes.front() {
        writes.push(records.len());
        bench.written(Ok(()));
    }
    assert_eq!(writes, [1, 1, OFFSETS as usize, 1]);
    for ticket in tickets {
        assert_eq!(bench.committed(ticket).expect("an answer").error_of(0, 0), ErrorCode::NONE);
    }
    let fetch = bench.ask(first_and_last());
    assert_eq!(bench.offsets(fetch), Some(vec![4, 3]));
}

/// What is wrong with some offsets is told of these alone, whatever the others' write comes to.
#[test]
fn errors_of_single_offsets_of_a_long_commit() {
    let mut bench = Bench::default();
    let mut commit = all_at(6);
    let large = "x".repeat(4_097);
    commit.topics[0].partitions[2_000].metadata = Some(large.clone());
    let ticket = bench.commit(commit.clone());
    let committed = bench.committed(ticket).expect("an answer");
    let told = [1_999, 2_000].map(|it| committed.error_of(0, it));
    assert_eq!(told, [ErrorCode::NONE, ErrorCode::OFFSET_METADATA_TOO_LARGE]);
    // With nothing to write, it is answered without a write.
    for it in &mut commit.topics[0].partitions {
        it.metadata = Some(large.clone());
    }
    bench.slow = true;
    let ticket = bench.commit(commit);
    assert!(bench.writes.is_empty());
    let committed = bench.committed(ticket).expect("an answer");
    assert_eq!(committed.error_of(0, 0), ErrorCode::OFFSET_METADATA_TOO_LARGE);
}

#[test]
fn a_topic_that_goes_during_a_long_commit_takes_all_of_it_along_in_parts() {
    let mut bench = Bench::default();
    (bench.pauses, bench.slow) = (true, true);
    let ticket = bench.commit(all_at(6));
    bench.go_on(100);
    let mut out = Vec::new();
    let now = bench.now();
    bench.coordinator.topic_deleted(now, "t", TopicId::default(), &mut out);
    assert!(out.is_empty(), "the commit comes first");
    bench.go_on_in_parts();
    bench.written(Ok(()));
    bench.go_on_in_parts();
    assert!(bench.committed(ticket).is_some());
    let mut removed = 0;
    while let Some((_, records)) = bench.writes.front() {
        assert!(records.len() <= REMOVED_AT_ONCE);
        removed += records.len();
        bench.written(Ok(()));
    }
    assert_eq!(removed, OFFSETS as usize);
    assert_eq!(bench.describe().error, ErrorCode::GROUP_ID_NOT_FOUND);
}

#[test]
fn a_group_with_many_offsets_is_deleted_in_parts() {
    let mut bench = Bench::default();
    bench.commit_error(all_at(6));
    bench.slow = true;
    let delete = || GroupRequest::DeleteGroup(DeleteGroup { group_id: GROUP.to_owned() });
    // A part that fails is told, and nothing goes on.
    let ticket = bench.ask(delete());
    bench.written(Ok(()));
    assert_eq!(bench.answer(ticket), None);
    bench.written(Err(ErrorCode::KAFKA_STORAGE_ERROR));
    let Some(GroupResponse::DeleteGroup(it)) = bench.answer(ticket) else { panic!() };
    assert_eq!((it.error, bench.writes.len()), (ErrorCode::NOT_COORDINATOR, 0));
    let ticket = bench.ask(delete());
    let later = bench.commit(offset("u", 1));
    let mut removed = 0;
    while bench.committed(later).is_none() {
        let records = &bench.writes.front().expect("a write").1;
        assert!(records.len() <= REMOVED_AT_ONCE + 1);
        removed += records.len();
        bench.written(Ok(()));
    }
    assert_eq!(removed, OFFSETS as usize - REMOVED_AT_ONCE + 1, "and the commit behind it");
    let Some(GroupResponse::DeleteGroup(it)) = bench.answer(ticket) else { panic!() };
    assert_eq!(it.error, ErrorCode::NONE);
    let left = bench.fetch(None);
    assert_eq!(left.topics.iter().map(|it| &*it.name).collect::<Vec<_>>(), ["u"]);
    assert!(LONG_COMMIT < OFFSETS as usize);
}
