//! AddOffsetsToTxn (KIP-98): a transaction is to commit offsets of a group.

use super::Response;
use super::decode;
use super::find_coordinator::partition_of;
use super::response::fenced_as_known;
use crate::controller::Image;
use crate::transaction::{AddPartitions, Producer};
use crate::types::ErrorCode;
use crate::types::topic_name::GROUP_STATE;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use crate::wire::kafka::add_offsets_to_txn_response::AddOffsetsToTxnResponse;

/// Reads a request: what the coordinator is asked is to add the partition in which the group's state is;
/// `None` as long as that topic is not there.
pub fn plan(body: &[u8], version: i16, image: &Image) -> Result<Option<AddPartitions>, WireError> {
    let request = decode(body, |r| AddOffsetsToTxnRequest::decode(r, version))?;
    Ok(partition_of(request.group_id, image).map(|tp| AddPartitions {
        transactional_id: request.transactional_id.to_owned(),
        producer: Producer { id: request.producer_id, epoch: request.producer_epoch },
        partitions: vec![(GROUP_STATE.into(), tp.partition)],
        verify_only: false,
        version: 0,
    }))
}

/// The answer.
pub fn response(header: &RequestHeader<'_>, error: ErrorCode) -> Result<Response, WireError> {
    let error = fenced_as_known(error, header.version >= 2);
    let response = AddOffsetsToTxnResponse { throttle_time_ms: 0, error_code: error.0 };
    Response::new(header, |w| response.encode(w, header.version))
}
