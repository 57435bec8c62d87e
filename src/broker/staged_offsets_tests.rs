//! Offsets that a transaction commits, while the transaction before it ends, or while its producer is fenced.

use super::calls::{AskTransaction, StageOffsets};
use super::testing::{GROUPS, Rig, image_with_groups};
use super::wait::Receiver;
use crate::broker::api::data::Understands;
use crate::controller::{NewPartition, Record};
use crate::group::{Commit, CommitOffset, CommitTopic, GroupResponse, TransactionProducer};
use crate::storage::device::disk::Disk;
use crate::storage::device::sim_disk::SimDisk;
use crate::transaction::{End, InitProducer, Producer, Request, Response};
use crate::types::topic_name::TRANSACTION_STATE;
use crate::types::{ErrorCode, Now, TopicId, TopicPartition};
use futures_lite::future::{block_on, poll_once};

const TRANSACTIONS: TopicPartition = TopicPartition { topic: TopicId([8; 16]), partition: 0 };
/// The topic `t` of the rig.
const TOPIC: TopicId = TopicId([7; 16]);
const FIRST: Producer = Producer { id: 7, epoch: 0 };
const SECOND: Producer = Producer { id: 7, epoch: 1 };

fn rig() -> Rig {
    let mut image = image_with_groups(1);
    image.apply(&Record::TopicCreated {
        id: TRANSACTIONS.topic,
        name: TRANSACTION_STATE.into(),
        partitions: vec![NewPartition::new([1])],
        settings: Vec::new(),
    });
    image.index = 2;
    let disk = Disk::Sim(SimDisk::new(1));
    Rig::new(&disk, &image, 64 << 20)
}

fn init(fresh_id: i64) -> AskTransaction {
    let transactional_id = "t".to_owned();
    let init = InitProducer {
        transactional_id,
        timeout_ms: 1_000,
        expected: None,
        fresh_id: Some(fresh_id),
    };
    AskTransaction(TRANSACTIONS, Request::Init(init))
}

fn commit(producer: Producer) -> AskTransaction {
    let transactional_id = "t".to_owned();
    let end = End { transactional_id, producer, commits: true, version: 2, fresh_id: None };
    AskTransaction(TRANSACTIONS, Request::End(end))
}

fn stage(producer: Producer) -> StageOffsets {
    let offset = CommitOffset { partition: 0, offset: 5, leader_epoch: -1, metadata: None };
    StageOffsets {
        tp: GROUPS,
        commit: Commit {
            group_id: "g".to_owned(),
            generation_id: -1,
            topics: vec![CommitTopic {
                name: "t".to_owned(),
                topic_id: TOPIC,
                partitions: vec![offset],
            }],
            producer: Some(TransactionProducer {
                id: producer.id,
                epoch: producer.epoch,
                markers: None,
            }),
            ..Commit::default()
        },
        transactional_id: "t".to_owned(),
        understands: Understands { abortable: true, own_epoch: true },
    }
}

fn error_of(reply: &mut Receiver<GroupResponse>) -> ErrorCode {
    let response = block_on(poll_once(reply)).flatten().expect("it is answered");
    let GroupResponse::Commit(committed) = response else { panic!("of another kind") };
    committed.error_of(0, 0)
}

/// EndTxn is answered before its markers are written: the next transaction's offsets may come before them, and
/// their coordinator waits for them.
#[test]
fn the_marker_of_the_transaction_before_does_not_refuse_them() {
    let mut rig = rig();
    assert_eq!(rig.call(init(FIRST.id)), Response::Producer(FIRST));
    let mut first = rig.broker.call(Now::at(0), 0, stage(FIRST));
    rig.settle();
    assert_eq!(error_of(&mut first), ErrorCode::NONE);
    let mut ended = rig.broker.call(Now::at(0), 0, commit(FIRST));
    let mut second = rig.broker.call(Now::at(0), 0, stage(SECOND));
    rig.settle();
    let ended = block_on(poll_once(&mut ended)).flatten();
    assert_eq!(ended, Some(Response::Producer(SECOND)));
    assert_eq!(error_of(&mut second), ErrorCode::NONE);
    // They are part of the second transaction, which ends like the first.
    let third = Producer { epoch: 2, ..SECOND };
    assert_eq!(rig.call(commit(SECOND)), Response::Producer(third));
}

/// Another instance of the producer comes in between: its predecessor's offsets are refused.
#[test]
fn those_of_a_producer_that_is_fenced_meanwhile_are_refused() {
    let mut rig = rig();
    assert_eq!(rig.call(init(FIRST.id)), Response::Producer(FIRST));
    let mut first = rig.broker.call(Now::at(0), 0, stage(FIRST));
    rig.settle();
    assert_eq!(error_of(&mut first), ErrorCode::NONE);
    let mut ended = rig.broker.call(Now::at(0), 0, commit(FIRST));
    let mut newer = rig.broker.call(Now::at(0), 0, init(9));
    let mut late = rig.broker.call(Now::at(0), 0, stage(SECOND));
    rig.settle();
    assert!(block_on(poll_once(&mut ended)).flatten().is_some());
    let told = block_on(poll_once(&mut newer)).flatten();
    assert_eq!(told, Some(Response::Producer(Producer { epoch: 2, ..SECOND })));
    assert_eq!(error_of(&mut late), ErrorCode::INVALID_PRODUCER_EPOCH);
}
