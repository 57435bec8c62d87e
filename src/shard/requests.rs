//! From a connection's frame to the broker.

use super::connection::{Close, Connection};
use super::state::Shard;
use super::sync::Charge;
use crate::broker::{Arrived, Begun, Input};
use crate::wire::api_keys::ApiKey;
use bytes::Bytes;
use std::rc::Rc;

/// Hands a request to the broker, where it begins.
pub fn begin(
    shard: &Rc<Shard>,
    connection: &Rc<Connection>,
    frame: Bytes,
    charges: Vec<Charge>,
) -> Result<(), Close> {
    let Some(key) = frame.first_chunk() else {
        return Err(Close::Refused("a request without an API key".to_owned()));
    };
    let number = connection.open(ApiKey(i16::from_be_bytes(*key)));
    shard.charges.borrow_mut().insert((connection.id, number), charges);
    let begun = Begun { connection: connection.id, number, received: connection.received() };
    let host = connection.host().into();
    shard.input(Input::Request(Arrived { begun, frame, host }));
    Ok(())
}
