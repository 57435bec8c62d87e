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
use klamm::client::{ApiRequest, Reply};
use klamm::types::ErrorCode;
use klamm::wire::api_keys::ApiKey;
use klamm::wire::kafka::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use klamm::wire::kafka::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use klamm::wire::kafka::offset_for_leader_epoch_response::OffsetForLeaderEpochResponse;
use klamm::wire::{Reader, WireError, Writer};

/// The latest offset.
pub const LATEST: i64 = -1;
/// The earliest.
pub const EARLIEST: i64 = -2;
/// That of the record with the latest timestamp.
pub const MAX_TIMESTAMP: i64 = -3;

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
        // By time, or the record with the latest: one that is there, if any.
        _ => {
            cx.facts.counts.by_time += 1;
            cx.facts.records.end_is(key, answer.offset + 1, Floor::default());
            if time >= 0 && answer.offset >= 0 {
                assert!(answer.timestamp >= time, "{key:?}: {time} is at {}", answer.timestamp);
            }
            return None;
        }
    };
    link.raise(key, told);
    Some(answer.offset)
}

/// The tools have no use for it, so the client does not know it.
struct EpochRequest<'a>(OffsetForLeaderEpochRequest<'a>);

impl ApiRequest for EpochRequest<'_> {
    const KEY: ApiKey = OffsetForLeaderEpochRequest::KEY;
    const MIN: i16 = 2;
    const MAX: i16 = 4;
    type Response<'r> = OffsetForLeaderEpochResponse<'r>;

    fn encode(&self, w: &mut Writer, version: i16) -> Result<(), WireError> {
        self.0.encode(w, version)
    }

    fn decode<'r>(r: &mut Reader<'r>, version: i16) -> Result<Self::Response<'r>, WireError> {
        OffsetForLeaderEpochResponse::decode(r, version)
    }
}

/// Asks where the leader's epoch ends: where the log does, for the last one.
pub fn find_epoch_end(cx: &mut Cx<'_>, link: &mut Link, key: LogKey, epoch: i32) {
    let name = cx.facts.topics.0[key.topic].name.clone();
    let stamp = cx.facts.topics.stamp(key.topic);
    let request = OffsetForLeaderEpochRequest {
        replica_id: -1,
        topics: vec![OffsetForLeaderTopic {
            topic: &name,
            partitions: vec![OffsetForLeaderPartition {
                partition: key.partition,
                current_leader_epoch: -1,
                leader_epoch: epoch,
            }],
        }],
    };
    let floor = cx.facts.records.floor(key);
    link.send(cx, &EpochRequest(request), Asked::EpochEnd { key, stamp, epoch, floor });
}

/// Takes the answer.
pub fn epoch_end_found(cx: &mut Cx<'_>, link: &mut Link, asked: &Asked, reply: &Reply) {
    let Asked::EpochEnd { key, stamp, epoch, floor } = *asked else { return };
    let response = reply.read::<EpochRequest<'_>>().expect("an answer");
    let answer = &response.topics[0].partitions[0];
    if !cx.facts.topics.holds(stamp) {
        return;
    }
    assert_eq!(ErrorCode(answer.error_code), ErrorCode::NONE, "{key:?}: no end of epoch {epoch}");
    cx.facts.counts.epochs += 1;
    let floor = link.floor(key, floor);
    if answer.leader_epoch >= 0 {
        let sane = answer.leader_epoch <= epoch && answer.end_offset >= floor.start;
        assert!(sane, "{key:?}: epoch {epoch}: {answer:?}");
        // What was read or acknowledged under an epoch lies before its end.
        cx.facts.records.epoch_ends(key, answer.leader_epoch, answer.end_offset, floor);
    }
}

/// An answer says that the log starts there.
pub fn start_is(cx: &mut Cx<'_>, key: LogKey, start: i64, floor: Floor) {
    let topic = &cx.facts.topics.0[key.topic];
    let keeps_all = topic.retention_ms.is_none() && !topic.retention_bytes;
    cx.facts.records.start_is(key, start, floor, keeps_all);
    if let Some(retention_ms) = topic.retention_ms.filter(|_| !topic.retention_bytes) {
        // Whatever clock the broker has gone by: it has never shown more.
        cx.facts.records.aged(key, start, cx.facts.wall_ms_max - retention_ms);
    }
    if start > cx.facts.records.start_max(key) {
        cx.facts.counts.retained += 1;
    }
}
