//! A whole request, as a connection reads it.
#![no_main]

#[path = "../../codec/dispatch.rs"]
#[allow(dead_code)]
mod dispatch;

use klamm::wire::{Reader, header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut r = Reader::new(bytes);
    let Ok(header) = header::decode_request(&mut r) else { return };
    if header.api_key.api().is_some() {
        let _ = dispatch::decode(header.api_key.0, true, header.version, r.rest());
    }
});
