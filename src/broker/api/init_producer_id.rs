//! InitProducerId (KIP-98, KIP-360).

use super::Response;
use super::decode;
use super::response::fenced_as_known;
use crate::transaction::{InitProducer, Producer};
use crate::types::ErrorCode;
use crate::wire::WireError;
use crate::wire::header::RequestHeader;
use crate::wire::kafka::init_producer_id_request::InitProducerIdRequest;
use crate::wire::kafka::init_producer_id_response::InitProducerIdResponse;

/// Who is to get an id.
#[derive(Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nobody: why.
    Refused(ErrorCode),
    /// A producer without transactions, a new id each time, also when it names its old one.
    Idempotent,
    /// The producer of a transactional id.
    Transactional(InitProducer),
}

/// Reads a request.
pub fn plan(body: &[u8], version: i16) -> Result<Plan, WireError> {
    let request = decode(body, |r| InitProducerIdRequest::decode(r, version))?;
    let (id, epoch) = (request.producer_id, request.producer_epoch);
    Ok(match request.transactional_id {
        Some("") => Plan::Refused(ErrorCode::INVALID_REQUEST),
        _ if (id == -1) != (epoch == -1) => Plan::Refused(ErrorCode::INVALID_REQUEST),
        Some(transactional_id) => Plan::Transactional(InitProducer {
            transactional_id: transactional_id.to_owned(),
            timeout_ms: request.transaction_timeout_ms,
            expected: (id != -1).then_some(Producer { id, epoch }),
            fresh_id: None,
        }),
        None => Plan::Idempotent,
    })
}

/// The answer: the producer, or the error.
pub fn response(
    header: &RequestHeader<'_>,
    result: Result<Producer, ErrorCode>,
) -> Result<Response, WireError> {
    let (error, producer) = match result {
        Ok(producer) => (ErrorCode::NONE, producer),
        Err(error) => (fenced_as_known(error, header.version >= 4), Producer { id: -1, epoch: -1 }),
    };
    let response = InitProducerIdResponse {
        error_code: error.0,
        producer_id: producer.id,
        producer_epoch: producer.epoch,
        ..InitProducerIdResponse::default()
    };
    Response::new(header, |w| response.encode(w, header.version))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Writer;

    #[test]
    fn tells_producers_with_transactions_from_others() {
        let plan_of = |transactional_id, producer_id, producer_epoch| {
            let request = InitProducerIdRequest {
                transactional_id,
                transaction_timeout_ms: 5,
                producer_id,
                producer_epoch,
                ..InitProducerIdRequest::default()
            };
            let mut w = Writer::new();
            request.encode(&mut w, 4).unwrap();
            plan(w.as_slice(), 4).unwrap()
        };
        let refused = Plan::Refused(ErrorCode::INVALID_REQUEST);
        assert_eq!(plan_of(None, -1, -1), Plan::Idempotent);
        assert_eq!(plan_of(None, 5, -1), refused);
        assert_eq!(plan_of(Some("t"), -1, 5), refused);
        assert_eq!(plan_of(Some(""), -1, -1), refused);
        for (epoch, expected) in [(-1, None), (3, Some(Producer { id: 7, epoch: 3 }))] {
            let id = if epoch < 0 { -1 } else { 7 };
            let transactional_id = "t".to_owned();
            let init = InitProducer { transactional_id, timeout_ms: 5, expected, fresh_id: None };
            assert_eq!(plan_of(Some("t"), id, epoch), Plan::Transactional(init));
        }
    }
}
