//! The codec against the table, against the `kafka-protocol` crate, and against hostile bytes.

mod dispatch;

#[test]
fn short_messages_are_errors() {
    assert!(dispatch::decode(0, true, 9, &[0]).is_some_and(|decoded| decoded.is_err()));
    assert!(dispatch::round_trip(18, true, 0, &[]).is_some_and(|decoded| decoded.is_ok()));
}
