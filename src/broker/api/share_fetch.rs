//! ShareFetch (KIP-932): a member of a share group acknowledges records, and gets others.

use super::endpoints::write_endpoints;
use super::layout::Layout;
use super::{Response, decode_in_parts};
use crate::controller::Image;
use crate::share::{AckBatch, Acquired, Room};
use crate::types::{ErrorCode, TopicId, TopicPartition};
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::share_acknowledge_request as acknowledge;
use crate::wire::kafka::share_fetch_request::{AcknowledgementBatch, ShareFetchRequest};
use bytes::Bytes;
use std::sync::Arc;

/// The epoch of a request that opens a session.
pub const OPEN: i32 = 0;
/// The epoch of a request that closes one.
pub const CLOSE: i32 = -1;

/// `ShareAcquireMode` of members that want no more than so many records (KIP-1206).
const RECORD_LIMIT: i8 = 1;

/// What a member says of records of a partition; the error where that is nonsense.
pub type Said = (TopicPartition, Result<Vec<AckBatch>, ErrorCode>);

/// The refusal of a cluster that does not have share groups: `share.version` is 0.
pub fn disabled(image: &Image) -> Option<ErrorCode> {
    (image.feature_level("share.version") < 1).then_some(ErrorCode::UNSUPPORTED_VERSION)
}

/// A request that is under way.
#[derive(Debug)]
pub struct Plan {
    /// An error for the whole answer.
    pub error: ErrorCode,
    /// The group.
    pub group: Arc<str>,
    /// The member.
    pub member: Arc<str>,
    /// The session's epoch.
    pub epoch: i32,
    /// Partitions that are part of the session from now on, or were before.
    pub added: Vec<TopicPartition>,
    /// Partitions that are no part of it any more.
    pub forgotten: Vec<TopicPartition>,
    /// What the member says of records.
    pub said: Vec<Said>,
    /// It asks for more time, and for no records.
    pub renews: bool,
    /// Wait no longer than this, ms.
    pub max_wait_ms: i64,
    /// Bytes of records, unless the first batch is larger.
    pub max_bytes: usize,
    /// How many records, and how. Nothing is said of locks.
    pub room: Room,
}

/// Reads batches of acknowledgements.
fn read_acks<'a>(
    batches: impl Iterator<Item = (i64, i64, &'a [i8])>,
    renews: bool,
) -> Result<Vec<AckBatch>, ErrorCode> {
    let (mut all, mut after) = (Vec::new(), None);
    for (first, last, types) in batches {
        all.push(AckBatch::read(first, last, types, after, renews)?);
        after = Some(last);
    }
    Ok(all)
}

/// Those of one partition of a `ShareFetch`.
fn fetch_acks(batches: &[AcknowledgementBatch], renews: bool) -> Result<Vec<AckBatch>, ErrorCode> {
    let each = batches.iter();
    read_acks(each.map(|it| (it.first_offset, it.last_offset, &*it.acknowledge_types)), renews)
}

/// Those of one partition of a `ShareAcknowledge`.
pub(super) fn acknowledge_acks(
    batches: &[acknowledge::AcknowledgementBatch],
    renews: bool,
) -> Result<Vec<AckBatch>, ErrorCode> {
    let each = batches.iter();
    read_acks(each.map(|it| (it.first_offset, it.last_offset, &*it.acknowledge_types)), renews)
}

/// Reads a request. Pauses after each partition.
pub async fn plan(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Plan, WireError> {
    let request = decode_in_parts(body, async |r| {
        ShareFetchRequest::decode_in_parts(r, version, pause).await
    })
    .await?;
    let named = |it: Option<&str>| Arc::<str>::from(it.unwrap_or_default());
    let (group, member) = (named(request.group_id), named(request.member_id));
    let (mut added, mut said) = (Vec::new(), Vec::new());
    for topic in &request.topics {
        for it in &topic.partitions {
            let tp = TopicPartition { topic: topic.topic_id, partition: it.partition_index };
            added.push(tp);
            if !it.acknowledgement_batches.is_empty() {
                said.push((tp, fetch_acks(&it.acknowledgement_batches, request.is_renew_ack)));
            }
            pause().await;
        }
    }
    let forgotten = request.forgotten_topics_data.iter().flat_map(|topic| {
        let topic_id = topic.topic_id;
        topic.partitions.iter().map(move |it| TopicPartition { topic: topic_id, partition: *it })
    });
    let is_nameless = group.is_empty() || member.is_empty();
    // Nobody has acquired anything in a session that is opened.
    let is_early = request.share_session_epoch == OPEN && !said.is_empty();
    // Whoever renews must not ask for records (KIP-1222).
    let limits = [request.max_wait_ms, request.min_bytes, request.max_bytes, request.max_records];
    let is_greedy = request.is_renew_ack && limits != [0; 4];
    let error = disabled(image).unwrap_or(if is_nameless || is_early || is_greedy {
        ErrorCode::INVALID_REQUEST
    } else {
        ErrorCode::NONE
    });
    let size = |it: i32| usize::try_from(it).unwrap_or(0);
    Ok(Plan {
        error,
        group,
        member,
        epoch: request.share_session_epoch,
        forgotten: forgotten.collect(),
        added,
        said,
        renews: request.is_renew_ack,
        max_wait_ms: request.max_wait_ms.max(0).into(),
        max_bytes: size(request.max_bytes),
        room: Room {
            records: size(request.max_records),
            is_strict: request.share_acquire_mode == RECORD_LIMIT,
            batch_size: size(request.batch_size),
            locks: 0,
        },
    })
}

/// The answer of one partition.
#[derive(Debug)]
pub struct PartitionAnswer {
    /// Which.
    pub tp: TopicPartition,
    /// Why there are no records.
    pub error: ErrorCode,
    /// Why what the member has said did not take effect.
    pub ack_error: ErrorCode,
    /// What is the member's own now.
    pub acquired: Vec<Acquired>,
    /// Whole batches.
    pub slices: Vec<Bytes>,
    /// Their bytes.
    pub bytes: usize,
}

impl PartitionAnswer {
    /// Nothing to say yet.
    pub const fn new(tp: TopicPartition) -> Self {
        Self {
            tp,
            error: ErrorCode::NONE,
            ack_error: ErrorCode::NONE,
            acquired: Vec::new(),
            slices: Vec::new(),
            bytes: 0,
        }
    }
}

/// A sentence about an error.
pub(super) fn message(error: ErrorCode) -> Option<&'static str> {
    error.is_err().then(|| error.message())
}

/// The leader that the client is told of, and its epoch: where another one leads.
pub(super) fn leader(image: &Image, tp: TopicPartition, error: ErrorCode) -> (i32, i32) {
    let moved = error == ErrorCode::NOT_LEADER_OR_FOLLOWER;
    let state = image.partition(tp).filter(|_| moved);
    state.map_or((0, 0), |it| (it.leader, it.leader_epoch))
}

/// The answer. Partitions of a topic in a row are one entry.
pub fn response(
    header: &RequestHeader<'_>,
    error: ErrorCode,
    lock_ms: i32,
    answers: Vec<PartitionAnswer>,
    image: &Image,
) -> Result<Response, WireError> {
    let mut layout = Layout::new(header);
    layout.w.i32(0);
    layout.w.error_code(error.0);
    layout.w.nullable_string(message(error), true)?;
    layout.w.i32(lock_ms);
    let runs: Vec<(TopicId, usize)> = answers
        .chunk_by(|a, b| a.tp.topic == b.tp.topic)
        .map(|run| (run[0].tp.topic, run.len()))
        .collect();
    layout.w.array_len(Some(runs.len()), true)?;
    let (mut answers, mut moved) = (answers.into_iter(), false);
    for (topic, count) in runs {
        layout.w.uuid(topic);
        layout.w.array_len(Some(count), true)?;
        for it in answers.by_ref().take(count) {
            let w = &mut layout.w;
            w.i32(it.tp.partition);
            w.error_code(it.error.0);
            w.nullable_string(message(it.error), true)?;
            w.error_code(it.ack_error.0);
            w.nullable_string(message(it.ack_error), true)?;
            let error = if it.error.is_err() { it.error } else { it.ack_error };
            let (leader, epoch) = leader(image, it.tp, error);
            moved |= error == ErrorCode::NOT_LEADER_OR_FOLLOWER;
            w.i32(leader);
            w.i32(epoch);
            w.varint(0);
            layout.records(it.slices, it.bytes, true)?;
            layout.w.array(&it.acquired, true, |w, it| {
                w.i64(it.first);
                w.i64(it.last);
                w.i16(it.delivery_count);
                w.varint(0);
                Ok(())
            })?;
            layout.w.varint(0);
        }
        layout.w.varint(0);
    }
    write_endpoints(&mut layout.w, image, moved)?;
    layout.w.varint(0);
    Ok(layout.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{NO_PAUSE, body_of, encode, header, image};
    use crate::controller::Record;
    use crate::wire::api_keys::ApiKey;
    use crate::wire::kafka::share_fetch_request::{FetchPartition, FetchTopic, ForgottenTopic};
    use crate::wire::kafka::share_fetch_response::ShareFetchResponse;
    use futures_lite::future::block_on;

    const TOPIC: TopicId = TopicId([7; 16]);

    fn with_share_groups() -> Image {
        let mut image = image();
        image.apply(&Record::FeatureLevelSet { name: "share.version".into(), level: 1 });
        image
    }

    fn request<'a>(epoch: i32, types: Vec<i8>) -> ShareFetchRequest<'a> {
        let batches = vec![AcknowledgementBatch {
            first_offset: 3,
            last_offset: 4,
            acknowledge_types: types,
        }];
        ShareFetchRequest {
            group_id: Some("g"),
            member_id: Some("m"),
            share_session_epoch: epoch,
            max_wait_ms: 500,
            max_bytes: 1_000,
            max_records: 10,
            batch_size: 5,
            topics: vec![FetchTopic {
                topic_id: TOPIC,
                partitions: vec![
                    FetchPartition { partition_index: 0, acknowledgement_batches: batches },
                    FetchPartition { partition_index: 2, acknowledgement_batches: Vec::new() },
                ],
            }],
            forgotten_topics_data: vec![ForgottenTopic { topic_id: TOPIC, partitions: vec![1] }],
            ..Default::default()
        }
    }

    fn planned(request: &ShareFetchRequest<'_>, image: &Image) -> Plan {
        let body = encode(|w| request.encode(w, 2));
        block_on(plan(&body, 2, image, &NO_PAUSE)).expect("a request")
    }

    #[test]
    fn every_version_is_read() {
        for version in 1..=2 {
            let body = encode(|w| request(3, vec![1]).encode(w, version));
            let image = with_share_groups();
            let plan = block_on(plan(&body, version, &image, &NO_PAUSE)).expect("a request");
            assert_eq!((plan.error, plan.epoch, plan.room.records), (ErrorCode::NONE, 3, 10));
            let tp = |partition| TopicPartition { topic: TOPIC, partition };
            assert_eq!((plan.added, plan.forgotten), (vec![tp(0), tp(2)], vec![tp(1)]));
            let acks = vec![AckBatch::read(3, 4, &[1], None, false).expect("a batch")];
            assert_eq!(plan.said, [(tp(0), Ok(acks))]);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let image_with = with_share_groups();
        let bad = planned(&request(3, vec![9]), &image_with);
        assert_eq!(bad.said[0].1, Err(ErrorCode::INVALID_REQUEST));
        let early = planned(&request(OPEN, vec![1]), &image_with);
        assert_eq!(early.error, ErrorCode::INVALID_REQUEST);
        let nameless = ShareFetchRequest { group_id: None, ..request(3, vec![1]) };
        assert_eq!(planned(&nameless, &image_with).error, ErrorCode::INVALID_REQUEST);
        let renewing = |max_wait_ms, max_bytes, max_records| ShareFetchRequest {
            is_renew_ack: true,
            max_wait_ms,
            max_bytes,
            max_records,
            ..request(3, vec![4])
        };
        assert_eq!(planned(&renewing(0, 0, 0), &image_with).error, ErrorCode::NONE);
        for greedy in [renewing(1, 0, 0), renewing(0, 1, 0), renewing(0, 0, 1)] {
            assert_eq!(planned(&greedy, &image_with).error, ErrorCode::INVALID_REQUEST);
        }
        let mut off = with_share_groups();
        off.apply(&Record::FeatureLevelSet { name: "share.version".into(), level: 0 });
        let off = planned(&request(3, vec![1]), &off);
        assert_eq!(off.error, ErrorCode::UNSUPPORTED_VERSION);
    }

    #[test]
    fn the_answer_is_laid_out_as_the_generated_code_reads_it() {
        for version in 1..=2 {
            let tp = |topic, partition| TopicPartition { topic, partition };
            let mut first = PartitionAnswer::new(tp(TOPIC, 0));
            first.acquired = vec![Acquired { first: 3, last: 9, delivery_count: 2 }];
            (first.slices, first.bytes) =
                (vec![Bytes::from_static(b"abc"), Bytes::from(vec![1; 9_000])], 9_003);
            let mut second = PartitionAnswer::new(tp(TOPIC, 1));
            second.ack_error = ErrorCode::INVALID_RECORD_STATE;
            let mut third = PartitionAnswer::new(tp(TopicId([8; 16]), 0));
            third.error = ErrorCode::NOT_LEADER_OR_FOLLOWER;
            let header = header(ApiKey::SHARE_FETCH, version);
            let answers = vec![first, second, third];
            let sent =
                response(&header, ErrorCode::NONE, 30_000, answers, &with_share_groups()).unwrap();
            body_of(&sent, ApiKey::SHARE_FETCH, version, |r| {
                let it = ShareFetchResponse::decode(r, version)?;
                assert_eq!((it.error_code, it.acquisition_lock_timeout_ms), (0, 30_000));
                let all = &it.responses;
                assert_eq!((all.len(), all[0].partitions.len()), (2, 2));
                let first = &all[0].partitions[0];
                assert_eq!(first.acquired_records[0].delivery_count, 2);
                let code = ErrorCode::INVALID_RECORD_STATE.0;
                assert_eq!(all[0].partitions[1].acknowledge_error_code, code);
                let code = ErrorCode::NOT_LEADER_OR_FOLLOWER.0;
                assert_eq!(all[1].partitions[0].error_code, code);
                assert_eq!(it.node_endpoints.len(), 1);
                Ok(())
            });
        }
    }
}
