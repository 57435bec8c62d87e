//! EndTxn (KIP-98): a transaction commits or aborts. From version 5 on the producer goes on in another epoch
//! (KIP-890).

use super::Response;
use super::decode;
use super::response::fenced_as_known;
use crate::transaction::{End, Producer};
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::end_txn_request::EndTxnRequest;
use crate::wire::kafka::end_txn_response::EndTxnResponse;

/// The first version in which each transaction has an epoch of its own.
const OWN_EPOCH_FROM: i16 = 5;

/// Reads a request.
pub fn plan(body: &[u8], version: i16) -> Result<End, WireError> {
    let request = decode(body, |r| EndTxnRequest::decode(r, version))?;
    Ok(End {
        transactional_id: request.transactional_id.to_owned(),
        producer: Producer { id: request.producer_id, epoch: request.producer_epoch },
        commits: request.committed,
        version: if version >= OWN_EPOCH_FROM { 2 } else { 0 },
        fresh_id: None,
    })
}

/// The answer: the producer from now on, or why the transaction does not end.
pub fn response(
    header: &RequestHeader<'_>,
    result: Result<Producer, ErrorCode>,
) -> Result<Response, WireError> {
    let mut response = EndTxnResponse::default();
    match result {
        Ok(producer) if header.version >= OWN_EPOCH_FROM => {
            (response.producer_id, response.producer_epoch) = (producer.id, producer.epoch);
        }
        Ok(_) => {}
        Err(error) => response.error_code = fenced_as_known(error, header.version >= 2).0,
    }
    Response::new(header, |w| response.encode(w, header.version))
}
