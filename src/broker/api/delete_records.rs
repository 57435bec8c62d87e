//! DeleteRecords (KIP-107).

use super::Response;
use super::data::{TrimRequest, Trimmed};
use super::decode_in_parts;
use super::partitions::{by_topic, led};
use crate::controller::Image;
use crate::types::ErrorCode;
use crate::types::topic_name::is_internal;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::delete_records_request::DeleteRecordsRequest;
use crate::wire::kafka::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};

/// "Up to the high watermark."
pub const HIGH_WATERMARK: i64 = -1;

async fn read<'a>(
    body: &'a [u8],
    version: i16,
    pause: &impl AsyncFn(),
) -> Result<DeleteRecordsRequest<'a>, WireError> {
    decode_in_parts(body, async |r| DeleteRecordsRequest::decode_in_parts(r, version, pause).await)
        .await
}

/// The log start that a client asks for, given where the log starts and what is committed.
pub fn new_start(offset: i64, log_start: i64, high_watermark: i64) -> Result<i64, ErrorCode> {
    let offset = if offset == HIGH_WATERMARK { high_watermark } else { offset };
    if offset < 0 || offset > high_watermark {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    // What is deleted stays deleted.
    Ok(offset.max(log_start))
}

/// Reads a request: an answer for each partition as far as there is one already, and what the
/// owners of the others are to do.
///
/// Pauses after each partition.
pub async fn plan(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<(Vec<Trimmed>, Vec<TrimRequest>), WireError> {
    let request = read(body, version, pause).await?;
    let count = request.topics.iter().map(|it| it.partitions.len()).sum();
    let mut answers = Vec::with_capacity(count);
    let mut trims = Vec::with_capacity(count);
    for topic in &request.topics {
        let known = image.topic(topic.name);
        for it in &topic.partitions {
            let index = answers.len() as u32;
            let error = match led(image, known, it.partition_index) {
                Ok(_) | Err(ErrorCode::NOT_LEADER_OR_FOLLOWER) if is_internal(topic.name) => {
                    ErrorCode::INVALID_TOPIC_EXCEPTION
                }
                // Its records go when later ones replace them.
                Ok(_) if known.is_some_and(|topic| !topic.config.deletes) => {
                    ErrorCode::POLICY_VIOLATION
                }
                Ok(tp) => {
                    trims.push(TrimRequest { index, tp, offset: it.offset });
                    ErrorCode::NONE
                }
                Err(error) => error,
            };
            answers.push(Trimmed { index, error, low_watermark: -1 });
            pause().await;
        }
    }
    Ok((answers, trims))
}

/// The answer to the request in `body`.
///
/// Pauses after each partition.
pub async fn response(
    header: &RequestHeader<'_>,
    body: &[u8],
    answers: &[Trimmed],
    pause: &impl AsyncFn(),
) -> Result<Response, WireError> {
    let version = header.version;
    let request = read(body, version, pause).await?;
    let topics = by_topic(
        &request.topics,
        answers,
        |topic| &topic.partitions,
        |asked, answer| DeleteRecordsPartitionResult {
            partition_index: asked.partition_index,
            low_watermark: answer.low_watermark,
            error_code: answer.error.0,
        },
        |topic, partitions| DeleteRecordsTopicResult { name: topic.name, partitions },
        pause,
    );
    let topics = topics.await;
    let response = DeleteRecordsResponse { throttle_time_ms: 0, topics };
    Response::in_parts(header, async |w| response.encode_in_parts(w, version, pause).await).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_moves_forward_and_not_beyond_what_is_committed() {
        assert_eq!(new_start(HIGH_WATERMARK, 3, 10), Ok(10));
        assert_eq!(new_start(10, 3, 10), Ok(10));
        assert_eq!(new_start(2, 3, 10), Ok(3));
        assert_eq!(new_start(11, 3, 10), Err(ErrorCode::OFFSET_OUT_OF_RANGE));
        assert_eq!(new_start(-2, 3, 10), Err(ErrorCode::OFFSET_OUT_OF_RANGE));
    }
}
