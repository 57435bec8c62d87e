//! What clients make a shard keep is charged to the memory budget, and what is new is refused where
//! that is short.

use super::Input;
use super::calls::{AppendBatches, CallRequest, Figures, Message, Notice, Read, Reply, Waiter};
use super::logs_tests::append;
use super::testing::{Rig, image_with_groups};
use crate::broker::api::data::ReadRequest;
use crate::replica::ProducerMemory;
use crate::storage::device::disk::Disk;
use crate::storage::device::sim_disk::SimDisk;
use crate::types::{ErrorCode, TopicId, TopicPartition};
use crate::wire::records::{BatchBuilder, Compression};

const MEMORY: usize = 64 << 20;
const T: TopicPartition = TopicPartition { topic: TopicId([7; 16]), partition: 0 };

fn rig() -> Rig {
    Rig::new(&Disk::Sim(SimDisk::new(1)), &image_with_groups(1), MEMORY)
}

impl Rig {
    fn append(&mut self, builder: BatchBuilder) -> ErrorCode {
        let append = append(T, builder.build());
        self.call(AppendBatches { batches: vec![append], routed: 0, committed_by_ms: None }).results
            [0]
        .error
    }
}

fn batch(bytes: usize) -> BatchBuilder {
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(7, None, Some(&vec![0; bytes]), &[]);
    builder
}

fn of_producer(id: i64, sequence: i32) -> BatchBuilder {
    let mut builder = BatchBuilder::new(Compression::None).producer(id, 0, sequence);
    builder.push(7, None, None, &[]);
    builder
}

#[test]
fn what_is_kept_is_charged_and_what_is_new_refused_where_the_budget_is_short() {
    let mut rig = rig();
    let before = rig.budget.used();
    for id in 0..100 {
        assert_eq!(rig.append(of_producer(id, 0)), ErrorCode::NONE);
    }
    let producers = rig.budget.used() - before;
    assert_eq!(producers, 100 * ProducerMemory::PRODUCER_BYTES);
    assert_eq!(rig.commit("g", ("t", T.topic), 0..500), ErrorCode::NONE);
    let figures = rig.call(Figures);
    assert!(figures.group_bytes > 500 * 50, "{}", figures.group_bytes);
    assert_eq!(rig.budget.used() - before, producers + figures.group_bytes as usize);

    // Others have taken the rest.
    let taken = rig.budget.left();
    rig.budget.charge(taken);
    rig.handle(Input::Continue);
    assert_eq!(rig.append(of_producer(7, 1)), ErrorCode::NONE, "one that lives goes on");
    assert_eq!(rig.commit("g", ("t", T.topic), 3..200), ErrorCode::NONE, "as before");
    assert_eq!(rig.commit("g", ("t", T.topic), 499..501), ErrorCode::COORDINATOR_NOT_AVAILABLE);
    assert_eq!(rig.commit("new", ("t", T.topic), 0..1), ErrorCode::COORDINATOR_NOT_AVAILABLE);
    let figures = rig.call(Figures);
    assert_eq!((figures.producers_refused, figures.group_requests_refused), (0, 2));

    rig.budget.release(taken);
    rig.handle(Input::Continue);
    assert_eq!(rig.append(of_producer(100, 0)), ErrorCode::NONE);
    assert_eq!(rig.commit("new", ("t", T.topic), 0..1), ErrorCode::NONE);
    let budget = rig.budget.clone();
    drop(rig);
    assert_eq!(budget.used(), before, "it is given back");
}

/// Whether a commit of very many partitions adds anything is not looked at: it is refused like a new one.
#[test]
fn a_commit_of_very_many_partitions_waits_until_there_is_memory() {
    let mut rig = rig();
    assert_eq!(rig.commit("g", ("t", T.topic), 0..4_097), ErrorCode::NONE);
    let taken = rig.budget.left();
    rig.budget.charge(taken);
    rig.handle(Input::Continue);
    assert_eq!(rig.commit("g", ("t", T.topic), 0..4_096), ErrorCode::NONE, "as before");
    let error = ErrorCode::COORDINATOR_NOT_AVAILABLE;
    assert_eq!(rig.commit("g", ("t", T.topic), 0..4_097), error);
    rig.budget.release(taken);
    rig.handle(Input::Continue);
    assert_eq!(rig.commit("g", ("t", T.topic), 0..4_097), ErrorCode::NONE);
}

/// A fetch over several shards: one that has something, and less than is wanted, tells of whatever
/// comes, since it cannot know when all of them together have enough.
#[test]
fn a_shard_that_has_something_notes_who_waits_for_more_of_several() {
    for (alone, notices) in [(false, 1), (true, 0)] {
        let mut rig = rig();
        assert_eq!(rig.append(batch(1_000)), ErrorCode::NONE);
        let read = ReadRequest::of_leader(T, 0, 1 << 20);
        let waiter = Some(Waiter { id: 7, min_bytes: 100_000, alone });
        let request = CallRequest::Read(Read { reads: vec![read], max_bytes: 1 << 20, waiter });
        let message = Message::Request { number: 4, request };
        rig.handle(Input::Message { from: 3, message });
        rig.settle();
        let Some((3, Message::Reply { number: 4, reply: Reply::Read(reply) })) = rig.sent.pop()
        else {
            panic!("it is answered");
        };
        assert!(reply.results[0].bytes > 1_000 && reply.noted);
        assert_eq!(rig.append(batch(10)), ErrorCode::NONE);
        let told = |(to, it): &(usize, Message)| {
            *to == 3 && matches!(it, Message::Notice(Notice::Advanced(7)))
        };
        assert_eq!(rig.sent.iter().filter(|it| told(it)).count(), notices, "alone: {alone}");
    }
}
