//! `UnregisterBroker`: a broker will not come back.

use super::decode;
use super::metadata_change::{Failure, Handled, code_and_message};
use super::response::Body;
use crate::controller::{Image, on_unregister};
use crate::types::ErrorCode;
use crate::wire::kafka::unregister_broker_request::UnregisterBrokerRequest;
use crate::wire::kafka::unregister_broker_response::UnregisterBrokerResponse;
use crate::wire::primitives::WireError;

/// Answers a request, in any version. A broker that runs registers anew when it hears of it. Pauses after each
/// partition that the broker holds.
pub async fn handle(
    body: &[u8],
    version: i16,
    image: &Image,
    pause: &impl AsyncFn(),
) -> Result<Handled, WireError> {
    let request = decode(body, |r| UnregisterBrokerRequest::decode(r, version))?;
    let broker = request.broker_id;
    let result = match image.broker(broker) {
        Some(_) => Ok(on_unregister(image, broker, pause).await),
        None => Err(Failure::new(
            ErrorCode::BROKER_ID_NOT_REGISTERED,
            format!("Broker ID {broker} is not currently registered"),
        )),
    };
    let (error_code, error_message) = code_and_message(&result);
    let response = UnregisterBrokerResponse { throttle_time_ms: 0, error_code, error_message };
    let response = Body::new(|w| response.encode(w, version))?;
    Ok(Handled::new(response, result.map(|it| it.records).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{cluster, decode, encode};
    use futures_lite::future::block_on;

    #[test]
    fn others_lead_what_it_led() {
        let mut image = cluster(3);
        for (broker_id, expected) in
            [(1, ErrorCode::NONE), (1, ErrorCode::BROKER_ID_NOT_REGISTERED)]
        {
            let body = encode(|w| UnregisterBrokerRequest { broker_id }.encode(w, 0));
            let handled = block_on(handle(&body, 0, &image, &async || {})).unwrap();
            for it in &handled.records {
                image.apply(it);
                image.invariants();
            }
            let response = decode(&handled.response, |r| UnregisterBrokerResponse::decode(r, 0));
            assert_eq!(ErrorCode(response.error_code), expected);
        }
        let it = &image.topic("three").unwrap().partitions[0];
        assert_eq!((it.leader, &*it.isr, &*it.replicas), (2, &[2, 3][..], &[1, 2, 3][..]));
        assert!(image.broker(1).is_none());
    }
}
