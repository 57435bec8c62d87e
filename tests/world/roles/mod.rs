//! What clients do, one kind a file.

pub mod admin;
pub mod committer;
pub mod consumer;
pub mod group;
pub mod member;
pub mod producer;

use crate::checkers::records::Floor;
use crate::checkers::topics::LogKey;
use crate::client::{Asked, Cx, Link};
use klamm::client::Reply;
use klamm::types::ErrorCode;
use klamm::wire::kafka::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};

/// The latest offset.
pub const LATEST: i64 = -1;
/// The earliest.
pub const EARLIEST: i64 = -2;

/// One of the logs that are certainly there, or none.
pub fn some_log(cx: &mut Cx<'_>) -> Option<LogKey> {
    let logs = cx.facts.topics.logs();
    if logs.is_empty() { None } else { Some(logs[cx.rng.index(logs.len())]) }
}

/// Asks for an offset of one log.
pub fn list_offsets(cx: &mut Cx<'_>, link: &mut Link, key: LogKey, time: i64) {
    let name = cx.facts.topics.0[key.topic].name.clone();
    let stamp = cx.facts.topics.stamp(key.topic);
    let request = ListOffsetsRequest {
        replica_id: -1,
        topics: vec![ListOffsetsTopic {
            name: &name,
            partitions: vec![ListOffsetsPartition {
                partition_index: key.partition,
                timestamp: time,
                ..ListOffsetsPartition::default()
            }],
        }],
        ..ListOffsetsRequest::default()
    };
    let floor = cx.facts.records.floor(key);
    link.send(cx, &request, Asked::ListOffsets { key, stamp, time, floor });
}

/// Takes the answer: the offset, if there is one for certain.
pub fn offset_listed(
    cx: &mut Cx<'_>,
    link: &mut Link,
    asked: &Asked,
    reply: &Reply,
) -> Option<i64> {
    let Asked::ListOffsets { key, stamp, time, floor } = *asked else { return None };
    let response = reply.read::<ListOffsetsRequest<'_>>().expect("an answer");
    let answer = &response.topics[0].partitions[0];
    let error = ErrorCode(answer.error_code);
    if !cx.facts.topics.holds(stamp) {
        return None;
    }
    if error == ErrorCode::KAFKA_STORAGE_ERROR {
        cx.facts.counts.storage_errors += 1;
        return None;
    }
    assert_eq!(error, ErrorCode::NONE, "{key:?}: cannot list offsets");
    let floor = link.floor(key, floor);
    let told = match time {
        LATEST => {
            cx.facts.records.end_is(key, answer.offset, floor);
            Floor { end: answer.offset, start: 0 }
        }
        EARLIEST => {
            start_is(cx, key, answer.offset, floor);
            return Some(answer.offset);
        }
        _ => {
            cx.facts.counts.by_time += 1;
            return None;
        }
    };
    link.raise(key, told);
    Some(answer.offset)
}

/// An answer says that the log starts there.
pub fn start_is(cx: &mut Cx<'_>, key: LogKey, start: i64, floor: Floor) {
    let topic = &cx.facts.topics.0[key.topic];
    let (age, size) = (topic.retention_ms, topic.retention_bytes);
    cx.facts.records.start_is(key, start, floor, age.is_none() && !size);
    if start > cx.facts.records.start_max(key) {
        cx.facts.counts.retained += 1;
        let _ = age;
    }
}
