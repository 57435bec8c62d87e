//! OffsetForLeaderEpoch (KIP-101, KIP-320).

use super::Response;
use super::data::{EpochAnswer, EpochQuery};
use super::decode_in_parts;
use super::partitions::{by_topic, led};
use crate::controller::Image;
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
use crate::wire::kafka::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

async fn read<'a>(
    body: &'a [u8],
    version: i16,
    pause: &impl AsyncFn(),
) -> Result<OffsetForLeaderEpochRequest<'a>, WireError> {
    decode_in_parts(body, async |r| {
        OffsetForLeaderEpochRequest::decode_in_parts(r, version, pause).await
    })
    .await
}

/// Reads a request: an answer for each partition as far as there is one already, and what the
/// owners of the others are to be asked.
///
/// Pauses after each partition.
pub async fn plan(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<(Vec<EpochAnswer>, Vec<EpochQuery>), WireError> {
    let request = read(body, version, pause).await?;
    let count = request.topics.iter().map(|it| it.partitions.len()).sum();
    let mut answers = Vec::with_capacity(count);
    let mut queries = Vec::with_capacity(count);
    for topic in &request.topics {
        let known = image.topic(topic.topic);
        for it in &topic.partitions {
            let index = answers.len() as u32;
            let error = match led(image, known, it.partition) {
                Ok(tp) => {
                    queries.push(EpochQuery {
                        index,
                        tp,
                        current_leader_epoch: it.current_leader_epoch,
                        epoch: it.leader_epoch,
                    });
                    ErrorCode::NONE
                }
                Err(error) => error,
            };
            answers.push(EpochAnswer { index, error, epoch: -1, end_offset: -1 });
            pause().await;
        }
    }
    Ok((answers, queries))
}

/// The answer to the request in `body`.
///
/// Pauses after each partition.
pub async fn response(
    header: &RequestHeader<'_>,
    body: &[u8],
    answers: &[EpochAnswer],
    pause: &impl AsyncFn(),
) -> Result<Response, WireError> {
    let version = header.version;
    let request = read(body, version, pause).await?;
    let topics = by_topic(
        &request.topics,
        answers,
        |topic| &topic.partitions,
        |asked, answer| EpochEndOffset {
            error_code: answer.error.0,
            partition: asked.partition,
            leader_epoch: answer.epoch,
            end_offset: answer.end_offset,
        },
        |topic, partitions| OffsetForLeaderTopicResult { topic: topic.topic, partitions },
        pause,
    );
    let topics = topics.await;
    let response = OffsetForLeaderEpochResponse { throttle_time_ms: 0, topics };
    Response::in_parts(header, async |w| response.encode_in_parts(w, version, pause).await).await
}
