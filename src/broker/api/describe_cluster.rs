//! `DescribeCluster`: the brokers and the controller.

use super::Body;
use super::decode;
use super::metadata_change::{CLUSTER_OPERATIONS, OPERATIONS_OMITTED};
use crate::controller::Image;
use crate::types::ErrorCode;
use crate::wire::kafka::describe_cluster_request::DescribeClusterRequest;
use crate::wire::kafka::describe_cluster_response::{
    DescribeClusterBroker, DescribeClusterResponse,
};
use crate::wire::primitives::WireError;

const BROKERS: i8 = 1;
const CONTROLLERS: i8 = 2;

/// Answers a request, in any version.
pub fn handle(body: &[u8], version: i16, image: &Image) -> Result<Body, WireError> {
    let request = decode(body, |r| DescribeClusterRequest::decode(r, version))?;
    let unsupported = format!("Unsupported endpoint type {}", request.endpoint_type);
    let refuse = |code: ErrorCode, message| {
        let (error_code, error_message) = (code.0, Some(message));
        DescribeClusterResponse { error_code, error_message, ..DescribeClusterResponse::default() }
    };
    let response = match request.endpoint_type {
        BROKERS => describe(&request, image),
        CONTROLLERS => refuse(
            ErrorCode::MISMATCHED_ENDPOINT_TYPE,
            "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type \
             CONTROLLER",
        ),
        _ => refuse(ErrorCode::UNSUPPORTED_ENDPOINT_TYPE, &unsupported),
    };
    Body::new(|w| response.encode(w, version))
}

fn describe<'a>(request: &DescribeClusterRequest, image: &'a Image) -> DescribeClusterResponse<'a> {
    let shown = image.brokers().filter(|it| request.include_fenced_brokers || !it.fenced);
    let brokers = shown.map(|it| DescribeClusterBroker {
        broker_id: it.id,
        host: &it.host,
        port: it.port.into(),
        rack: it.rack.as_deref(),
        is_fenced: it.fenced,
    });
    let include = request.include_cluster_authorized_operations;
    DescribeClusterResponse {
        cluster_id: &image.cluster_id,
        controller_id: image.controller_id,
        brokers: brokers.collect(),
        cluster_authorized_operations: if include {
            CLUSTER_OPERATIONS
        } else {
            OPERATIONS_OMITTED
        },
        ..DescribeClusterResponse::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::api::testing::{cluster, decode, encode, image};
    use crate::controller::Record;

    #[test]
    fn fenced_brokers_are_shown_to_who_asks_for_them() {
        let mut image = cluster(3);
        image.apply(&Record::BrokerFenced { broker: 2 });
        for (version, include, expected) in [
            (0, false, vec![(1, false), (3, false)]),
            (2, false, vec![(1, false), (3, false)]),
            (2, true, vec![(1, false), (2, true), (3, false)]),
        ] {
            let request = DescribeClusterRequest {
                include_fenced_brokers: include,
                ..DescribeClusterRequest::default()
            };
            let body = encode(|w| request.encode(w, version));
            let body = handle(&body, version, &image).unwrap();
            let response = decode(&body, |r| DescribeClusterResponse::decode(r, version));
            let shown: Vec<_> =
                response.brokers.iter().map(|it| (it.broker_id, it.is_fenced)).collect();
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn describes_brokers_only() {
        for version in 0..=2 {
            for endpoint_type in 0..=if version == 0 { -1 } else { 3 } {
                let request = DescribeClusterRequest {
                    endpoint_type,
                    include_cluster_authorized_operations: true,
                    ..DescribeClusterRequest::default()
                };
                let body = encode(|w| request.encode(w, version));
                let body = handle(&body, version, &image()).unwrap();
                let response = decode(&body, |r| DescribeClusterResponse::decode(r, version));
                let expected = match endpoint_type {
                    1 => ErrorCode::NONE,
                    2 => ErrorCode::MISMATCHED_ENDPOINT_TYPE,
                    _ => ErrorCode::UNSUPPORTED_ENDPOINT_TYPE,
                };
                assert_eq!(ErrorCode(response.error_code), expected);
            }
            let body = encode(|w| DescribeClusterRequest::default().encode(w, version));
            let body = handle(&body, version, &image()).unwrap();
            let response = decode(&body, |r| DescribeClusterResponse::decode(r, version));
            assert_eq!((response.cluster_id, response.controller_id), ("cluster", 1));
            let broker = &response.brokers[0];
            assert_eq!((broker.broker_id, broker.host, broker.port), (1, "host", 9092));
            assert_eq!(response.cluster_authorized_operations, i32::MIN);
        }
    }
}
