//! Stages of a request are measured from what began them.

use super::calls::{AppendBatches, CallRequest, Message, Reply};
use super::logs_tests::append;
use super::testing::{Rig, image_with_groups, parts};
use super::{Clock, Input};
use crate::storage::buffer::Budget;
use crate::storage::device::disk::Disk;
use crate::storage::device::sim_disk::SimDisk;
use crate::types::{TopicId, TopicPartition};
use crate::wire::records::{BatchBuilder, Compression};
use std::cell::Cell;
use std::rc::Rc;

const T: TopicPartition = TopicPartition { topic: TopicId([7; 16]), partition: 0 };

#[test]
fn what_another_shard_asks_for_has_arrived_when_it_came() {
    let disk = Disk::Sim(SimDisk::new(1));
    let ns = Rc::new(Cell::new(0));
    let mut parts = parts(&disk, &image_with_groups(1), Budget::new(64 << 20));
    parts.clock = Clock::Virtual(ns.clone());
    let mut rig = Rig::of(&disk, parts);

    // The shard has slept until now.
    ns.set(1_000_000);
    let mut builder = BatchBuilder::new(Compression::None);
    builder.push(7, None, None, &[]);
    let batches = vec![append(T, builder.build())];
    let call = AppendBatches { batches, routed: 990_000, committed_by_ms: None };
    let request = CallRequest::AppendBatches(call);
    rig.handle(Input::Message { from: 0, message: Message::Request { number: 1, request } });
    rig.settle();

    let trace = rig.sent.iter().find_map(|(_, it)| match it {
        Message::Reply { number: 1, reply: Reply::AppendBatches(reply) } => Some(reply.trace),
        _ => None,
    });
    assert_eq!(trace.expect("an answer").arrived, 1_000_000);
}
