//! DescribeProducers (KIP-664): who writes to partitions, and which transactions are open there.

use super::Response;
use super::data::ProducersAnswer;
use super::decode_in_parts;
use super::partitions::{by_topic, led};
use crate::controller::Image;
use crate::types::{ErrorCode, TopicPartition};
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::describe_producers_request::DescribeProducersRequest;
use crate::wire::kafka::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};

async fn read<'a>(
    body: &'a [u8],
    version: i16,
    pause: &impl AsyncFn(),
) -> Result<DescribeProducersRequest<'a>, WireError> {
    decode_in_parts(body, async |r| {
        DescribeProducersRequest::decode_in_parts(r, version, pause).await
    })
    .await
}

/// Reads a request: an answer for each partition as far as there is one already, and which partitions the
/// owners are to be asked about, with their place. Pauses after each.
pub async fn plan(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<(Vec<ProducersAnswer>, Vec<(u32, TopicPartition)>), WireError> {
    let request = read(body, version, pause).await?;
    let (mut answers, mut asked) = (Vec::new(), Vec::new());
    for topic in &request.topics {
        let known = image.topic(topic.name);
        for &partition in &topic.partition_indexes {
            let index = answers.len() as u32;
            let found = led(image, known, partition);
            let error = found.err().unwrap_or(ErrorCode::NONE);
            answers.push(ProducersAnswer { index, error, producers: Vec::new() });
            asked.extend(found.ok().map(|tp| (index, tp)));
            pause().await;
        }
    }
    Ok((answers, asked))
}

/// The answer to the request in `body`. Pauses after each partition.
pub async fn response(
    header: &RequestHeader<'_>,
    body: &[u8],
    answers: &[ProducersAnswer],
    pause: &impl AsyncFn(),
) -> Result<Response, WireError> {
    let version = header.version;
    let request = read(body, version, pause).await?;
    let topics = by_topic(
        &request.topics,
        answers,
        |topic| &topic.partition_indexes,
        |&partition_index, answer| PartitionResponse {
            partition_index,
            error_code: answer.error.0,
            error_message: None,
            active_producers: answer
                .producers
                .iter()
                .map(|it| ProducerState {
                    producer_id: it.id,
                    producer_epoch: it.epoch.into(),
                    last_sequence: it.last_sequence,
                    last_timestamp: it.last_timestamp,
                    coordinator_epoch: it.coordinator_epoch,
                    current_txn_start_offset: it.transaction_start,
                })
                .collect(),
        },
        |topic, partitions| TopicResponse { name: topic.name, partitions },
        pause,
    );
    let response = DescribeProducersResponse { throttle_time_ms: 0, topics: topics.await };
    Response::in_parts(header, async |w| response.encode_in_parts(w, version, pause).await).await
}
