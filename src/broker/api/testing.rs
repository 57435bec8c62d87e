//! What the tests of the handlers share.

use super::Response;
use crate::controller::{Image, NewPartition, Record, Registration};
use crate::types::TopicId;
use crate::wire::api_keys::ApiKey;
use crate::wire::header::{RequestHeader, decode_response};
use crate::wire::primitives::{Reader, WireError, Writer};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

/// The id of the nth topic of [`image`].
pub fn id(number: u8) -> TopicId {
    TopicId([number; 16])
}

/// Node 1 with `num.partitions=3`, and the topics `exists` (id 1, two partitions,
/// `retention.ms=5000`) and `dotted.name` (id 2, five partitions).
pub fn image() -> Image {
    let fixed = BTreeMap::from([("num.partitions".to_owned(), "3".to_owned())]);
    let mut image = Image::new("cluster", 1, Arc::new(fixed));
    image.controller_id = 1;
    let partitions = |count| vec![NewPartition::new([1]); count];
    for record in [
        Record::BrokerStarted { broker: 1, host: "host".into(), port: 9092, rack: None },
        Record::TopicCreated {
            id: id(1),
            name: "exists".into(),
            partitions: partitions(2),
            settings: vec![("retention.ms".into(), "5000".into())],
        },
        Record::TopicCreated {
            id: id(2),
            name: "dotted.name".into(),
            partitions: partitions(5),
            settings: Vec::new(),
        },
    ] {
        image.apply(&record);
    }
    image
}

/// As [`image`], with nodes 1 to `count`, of incarnation 1 and all alive, and the topic `three` (id 3), whose two
/// partitions nodes 1, 2 and 3 hold.
pub fn cluster(count: i32) -> Image {
    let mut image = image();
    for id in 1..=count {
        let (host, peer_host) = (format!("host-{id}"), format!("peer-{id}"));
        let (incarnation, port) = (1, 9092);
        image.apply(&Record::BrokerRegistered(Registration {
            id,
            incarnation,
            host,
            port,
            peer_host,
            ..Registration::default()
        }));
        image.apply(&Record::BrokerUnfenced { broker: id });
    }
    image.apply(&Record::TopicCreated {
        id: id(3),
        name: "three".into(),
        partitions: vec![NewPartition::new([1, 2, 3]); 2],
        settings: Vec::new(),
    });
    image
}

/// Ids that differ.
pub fn ids() -> impl FnMut() -> TopicId {
    let mut next = 100;
    move || {
        next += 1;
        id(next)
    }
}

/// What `write` writes.
pub fn encode(write: impl FnOnce(&mut Writer) -> Result<(), WireError>) -> Vec<u8> {
    let mut writer = Writer::new();
    write(&mut writer).unwrap();
    writer.into_vec()
}

/// What `read` reads; all bytes must be read.
pub fn decode<'a, T: Debug>(
    bytes: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, WireError>,
) -> T {
    let mut reader = Reader::new(bytes);
    let value = read(&mut reader).unwrap();
    assert_eq!(reader.remaining(), 0, "nothing is left over: {value:?}");
    value
}

/// The header of a request.
pub fn header(api_key: ApiKey, version: i16) -> RequestHeader<'static> {
    RequestHeader { api_key, version, correlation_id: 3, client_id: None }
}

/// Reads the body of an answer; all bytes must be read.
pub fn body_of(
    response: &Response,
    api_key: ApiKey,
    version: i16,
    read: impl FnOnce(&mut Reader<'_>) -> Result<(), WireError>,
) {
    let bytes = [&[&response.head], &response.rest[..].iter().collect::<Vec<_>>()[..]].concat();
    let bytes: Vec<u8> = bytes.into_iter().flatten().copied().collect();
    let mut reader = Reader::new(&bytes[4..]);
    assert_eq!(decode_response(api_key, version, &mut reader).unwrap(), 3);
    read(&mut reader).unwrap();
    assert_eq!(reader.remaining(), 0, "nothing is left over");
}

/// Lets nobody else work.
pub(super) const NO_PAUSE: fn() -> std::future::Ready<()> = || std::future::ready(());
