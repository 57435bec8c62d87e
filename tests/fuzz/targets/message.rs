//! Any message of the table: what decodes also encodes, and comes back the same.
#![no_main]

#[path = "../../codec/dispatch.rs"]
#[allow(dead_code)]
mod dispatch;

use klamm::wire::WireError;
use klamm::wire::api_keys::APIS;
use klamm::wire::primitives::{ALLOCATION_BASE, ALLOCATION_FACTOR};
use libfuzzer_sys::fuzz_target;
use support::allocations::{Counting, allocated};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|bytes: &[u8]| {
    let [api, request, version, body @ ..] = bytes else { return };
    let key = APIS[usize::from(*api) % APIS.len()].key.0;
    let (request, version) = (request % 2 == 0, i16::from(*version as i8));

    let (decoded, allocated) = allocated(|| dispatch::decode(key, request, version, body));
    let bound = ALLOCATION_FACTOR * body.len() + ALLOCATION_BASE;
    assert!(allocated.bytes <= bound, "{allocated:?}");
    if decoded.is_err() {
        return;
    }
    let Ok((value, encoded)) = dispatch::round_trip(key, request, version, version, body) else {
        return;
    };
    let encoded = encoded.expect("what was decoded is encodable");
    match dispatch::round_trip(key, request, version, version, &encoded) {
        Ok((again, _)) => assert_eq!(value, again),
        // Without its unknown fields the message is shorter, and allows fewer elements.
        Err(error) => assert_eq!(error, WireError::TooManyElements),
    }
});
