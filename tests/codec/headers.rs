//! Headers against the oracle.

use super::oracle_versions;
use bytes::BytesMut;
use kafka_protocol::messages::{RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Encodable, StrBytes};
use klamm::types::Rng;
use klamm::wire::api_keys::ApiKey;
use klamm::wire::header::{self, decode_request, decode_response};
use klamm::wire::{Reader, Writer};
use support::schema;

#[test]
fn headers_are_those_of_the_oracle_for_every_api_and_version() {
    let mut rng = Rng::new(1);
    let mut unknown = Vec::new();
    for api in &schema::load() {
        let Some((oracle_key, min, max)) = oracle_versions(api, &api.messages[1]) else {
            unknown.push(api.key);
            continue;
        };
        let key = ApiKey(api.key);
        for version in min..=max {
            let correlation_id = rng.bits() as i32;
            for client_id in [None, Some(""), Some("klamm-é")] {
                let ours =
                    header::RequestHeader { api_key: key, version, correlation_id, client_id };
                let mut w = Writer::new();
                header::encode_request(&ours, &mut w).expect("encodable");
                let mut theirs = BytesMut::new();
                RequestHeader::default()
                    .with_request_api_key(api.key)
                    .with_request_api_version(version)
                    .with_correlation_id(correlation_id)
                    .with_client_id(client_id.map(StrBytes::from_static_str))
                    .encode(&mut theirs, oracle_key.request_header_version(version))
                    .expect("encodable");
                assert_eq!(w.as_slice(), theirs, "{key} v{version}");
                let mut r = Reader::new(&theirs);
                assert_eq!(decode_request(&mut r), Ok(ours));
                assert_eq!(r.finish(), Ok(()));
            }
            let mut w = Writer::new();
            header::encode_response(key, version, correlation_id, &mut w);
            let mut theirs = BytesMut::new();
            ResponseHeader::default()
                .with_correlation_id(correlation_id)
                .encode(&mut theirs, oracle_key.response_header_version(version))
                .expect("encodable");
            assert_eq!(w.as_slice(), theirs, "{key} v{version}");
            assert_eq!(
                decode_response(key, version, &mut Reader::new(&theirs)),
                Ok(correlation_id)
            );
        }
    }
    // The streams groups' APIs came later.
    assert_eq!(unknown, [88, 89]);
}
