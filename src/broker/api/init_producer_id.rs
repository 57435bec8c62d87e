//! InitProducerId (KIP-98, KIP-360) for producers without transactions.

use super::Response;
use super::decode;
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::init_producer_id_request::InitProducerIdRequest;
use crate::wire::kafka::init_producer_id_response::InitProducerIdResponse;

/// Reads a request: `NONE` where the producer is to get an id, or why it gets none.
pub fn plan(body: &[u8], version: i16) -> Result<ErrorCode, WireError> {
    let request = decode(body, |r| InitProducerIdRequest::decode(r, version))?;
    Ok(match request.transactional_id {
        Some("") => ErrorCode::INVALID_REQUEST,
        // There is no transaction coordinator yet, and waiting would not help: an error that no
        // client retries.
        Some(_) => ErrorCode::UNSUPPORTED_VERSION,
        None if (request.producer_id == -1) != (request.producer_epoch == -1) => {
            ErrorCode::INVALID_REQUEST
        }
        // A producer without transactions gets a new id each time, also when it names its old one.
        None => ErrorCode::NONE,
    })
}

/// The answer: the id, with epoch 0, or the error.
pub fn response(
    header: &RequestHeader<'_>,
    result: Result<i64, ErrorCode>,
) -> Result<Response, WireError> {
    let (error, producer_id) = match result {
        Ok(id) => (ErrorCode::NONE, id),
        Err(error) => (error, -1),
    };
    let response = InitProducerIdResponse {
        error_code: error.0,
        producer_id,
        producer_epoch: if error.is_err() { -1 } else { 0 },
        ..InitProducerIdResponse::default()
    };
    Response::new(header, |w| response.encode(w, header.version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Writer;

    #[test]
    fn transactions_are_refused() {
        let plan_of = |transactional_id, producer_id| {
            let request = InitProducerIdRequest {
                transactional_id,
                producer_id,
                ..InitProducerIdRequest::default()
            };
            let mut w = Writer::new();
            request.encode(&mut w, 4).unwrap();
            plan(w.as_slice(), 4).unwrap()
        };
        assert_eq!(plan_of(None, -1), ErrorCode::NONE);
        assert_eq!(plan_of(None, 5), ErrorCode::INVALID_REQUEST);
        assert_eq!(plan_of(Some(""), -1), ErrorCode::INVALID_REQUEST);
        assert_eq!(plan_of(Some("t"), -1), ErrorCode::UNSUPPORTED_VERSION);
    }
}
