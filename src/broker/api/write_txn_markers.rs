//! WriteTxnMarkers (KIP-98): a coordinator has the leaders of partitions end transactions; so does an
//! administrator who ends one that hangs (KIP-664).

use super::Response;
use super::data::EndMarker;
use super::decode_in_parts;
use super::partitions::led;
use crate::controller::Image;
use crate::transaction::{self, Markers};
use crate::types::ErrorCode;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use crate::wire::kafka::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
    WriteTxnMarkersResponse,
};
use crate::wire::records::Marker;
use crate::wire::{WireError, Writer};
use std::collections::BTreeMap;

/// Reads a request: an error for each marker and partition, in their order, `NONE` where the owner of the
/// partition is to be asked; and what it is to be asked. Pauses after each partition.
pub async fn plan(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<(Vec<ErrorCode>, Vec<EndMarker>), WireError> {
    let request = read(body, version, pause).await?;
    let (mut errors, mut markers) = (Vec::new(), Vec::new());
    for it in &request.markers {
        for topic in &it.topics {
            let known = image.topic(topic.name);
            for &partition in &topic.partition_indexes {
                let index = errors.len() as u32;
                let found = led(image, known, partition);
                errors.push(found.err().unwrap_or(ErrorCode::NONE));
                if let Ok(tp) = found {
                    markers.push(EndMarker {
                        index,
                        tp,
                        producer_id: it.producer_id,
                        producer_epoch: it.producer_epoch,
                        marker: Marker {
                            commits: it.transaction_result,
                            coordinator_epoch: it.coordinator_epoch,
                        },
                        own_epoch: it.transaction_version >= 2,
                    });
                }
                pause().await;
            }
        }
    }
    Ok((errors, markers))
}

async fn read<'a>(
    body: &'a [u8],
    version: i16,
    pause: &impl AsyncFn(),
) -> Result<WriteTxnMarkersRequest<'a>, WireError> {
    decode_in_parts(body, async |r| {
        WriteTxnMarkersRequest::decode_in_parts(r, version, pause).await
    })
    .await
}

/// The answer to the request in `body`. Pauses after each partition.
pub async fn response(
    header: &RequestHeader<'_>,
    body: &[u8],
    errors: &[ErrorCode],
    pause: &impl AsyncFn(),
) -> Result<Response, WireError> {
    let version = header.version;
    let request = read(body, version, pause).await?;
    let mut errors = errors.iter();
    let mut markers = Vec::with_capacity(request.markers.len());
    for it in &request.markers {
        let mut topics = Vec::with_capacity(it.topics.len());
        for topic in &it.topics {
            let mut partitions = Vec::with_capacity(topic.partition_indexes.len());
            for (&partition_index, error) in topic.partition_indexes.iter().zip(&mut errors) {
                let error_code = error.0;
                partitions.push(WritableTxnMarkerPartitionResult { partition_index, error_code });
                pause().await;
            }
            topics.push(WritableTxnMarkerTopicResult { name: topic.name, partitions });
        }
        markers.push(WritableTxnMarkerResult { producer_id: it.producer_id, topics });
    }
    let response = WriteTxnMarkersResponse { markers };
    Response::in_parts(header, async |w| response.encode_in_parts(w, version, pause).await).await
}

/// The version in which brokers ask each other.
pub const BETWEEN_BROKERS: i16 = 2;

/// The body of a request of this broker to another one: the end of a transaction in these partitions.
pub fn request(
    markers: &Markers,
    coordinator_epoch: i32,
    partitions: &[transaction::Partition],
) -> Result<Vec<u8>, WireError> {
    let mut topics = BTreeMap::<&str, Vec<i32>>::new();
    for (topic, partition) in partitions {
        topics.entry(topic).or_default().push(*partition);
    }
    let topic = |(name, partition_indexes)| WritableTxnMarkerTopic { name, partition_indexes };
    let request = WriteTxnMarkersRequest {
        markers: vec![WritableTxnMarker {
            producer_id: markers.producer_id,
            producer_epoch: markers.producer_epoch,
            transaction_result: markers.commits,
            topics: topics.into_iter().map(topic).collect(),
            coordinator_epoch,
            transaction_version: markers.version as i8,
        }],
    };
    let mut w = Writer::new();
    request.encode(&mut w, BETWEEN_BROKERS)?;
    Ok(w.into_vec())
}

/// What the answer to that says.
pub fn answered(body: &[u8]) -> Result<Vec<(transaction::Partition, ErrorCode)>, WireError> {
    let response = super::decode(body, |r| WriteTxnMarkersResponse::decode(r, BETWEEN_BROKERS))?;
    let mut all = Vec::new();
    for topic in response.markers.iter().flat_map(|it| &it.topics) {
        for it in &topic.partitions {
            all.push(((topic.name.into(), it.partition_index), ErrorCode(it.error_code)));
        }
    }
    Ok(all)
}
