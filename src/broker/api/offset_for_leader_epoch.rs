//! OffsetForLeaderEpoch (KIP-101, KIP-320).

use super::Response;
use super::data::{EpochAnswer, EpochQuery};
use super::decode;
use super::partitions::{by_topic, led};
use crate::controller::Image;
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
use crate::wire::kafka::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

fn read(body: &[u8], version: i16) -> Result<OffsetForLeaderEpochRequest<'_>, WireError> {
    let request = decode(body, |r| OffsetForLeaderEpochRequest::decode(r, version))?;
    Ok(request)
}

/// Reads a request: an answer for each partition as far as there is one already, and what the
/// owners of the others are to be asked.
pub fn plan(
    body: &[u8],
    version: i16,
    image: &Image,
) -> Result<(Vec<EpochAnswer>, Vec<EpochQuery>), WireError> {
    let request = read(body, version)?;
    let (mut answers, mut queries) = (Vec::new(), Vec::new());
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
        }
    }
    Ok((answers, queries))
}

/// The answer to the request in `body`.
pub fn response(
    header: &RequestHeader<'_>,
    body: &[u8],
    answers: &[EpochAnswer],
) -> Result<Response, WireError> {
    let version = header.version;
    let request = read(body, version)?;
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
    );
    let response = OffsetForLeaderEpochResponse { throttle_time_ms: 0, topics };
    Response::new(header, |w| response.encode(w, version))
}
