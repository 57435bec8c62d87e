//! Requests that no client would send. Each gets an error code or a closed connection, and leaves
//! no trace in the log; others are served meanwhile.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::time::Duration;

use conformance::raw::{self, Bytes, Client, Fields, error, key};
use conformance::{Broker, DataDir, now_ms};

fn good() -> Vec<u8> {
    raw::batch(&[b"one", b"two", b"three"], now_ms(), crc32c::crc32c)
}

fn start(name: &str) -> (DataDir, Broker, Client) {
    let dir = DataDir::new(name);
    let broker = Broker::start(&dir, &[]);
    let mut client = Client::connect(broker.addr()).expect("a connection");
    assert_eq!(client.create_topic("t", 1, &[]).expect("an answer"), error::NONE);
    (dir, broker, client)
}

fn end(client: &mut Client) -> i64 {
    let (code, offset) = client.list_offset("t", 0, -1).expect("an answer");
    assert_eq!(code, error::NONE);
    offset
}

/// A fresh connection sends `bytes`, and must be told so by a close or an error: within the read
/// limit, without an answer that looks like success.
fn is_refused(broker: &Broker, what: &str, bytes: &[u8]) {
    let mut client = Client::connect(broker.addr()).expect("a connection");
    let _ = client.send(bytes);
    let _ = client.stream.shutdown(Shutdown::Write);
    assert!(client.is_closed(), "{what}: neither answered nor closed");
}

#[test]
fn batches_that_lie() {
    let (_dir, mut broker, mut client) = start("lying-batches");
    let sealed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good();
        change(&mut bytes);
        raw::reseal(&mut bytes, crc32c::crc32c);
        bytes
    };
    let unsealed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good();
        change(&mut bytes);
        bytes
    };
    let put = |bytes: &mut Vec<u8>, at: usize, value: &[u8]| {
        bytes[at..at + value.len()].copy_from_slice(value);
    };
    let corrupt = &[error::CORRUPT_MESSAGE, error::INVALID_RECORD][..];
    let cases: Vec<(&str, Vec<u8>, &[i16])> = vec![
        ("a wrong checksum", unsealed(&|b| b[20] ^= 1), corrupt),
        ("a flipped bit in a value", unsealed(&|b| *b.last_mut().expect("a byte") ^= 4), corrupt),
        ("magic 3", unsealed(&|b| b[16] = 3), &[error::CORRUPT_MESSAGE, error::INVALID_RECORD, 43]),
        ("magic 1", unsealed(&|b| b[16] = 1), &[error::CORRUPT_MESSAGE, error::INVALID_RECORD, 43]),
        ("a length of -1", unsealed(&|b| put(b, 8, &(-1_i32).to_be_bytes())), corrupt),
        ("a length of 0", unsealed(&|b| put(b, 8, &0_i32.to_be_bytes())), corrupt),
        ("a length of 2 GiB", unsealed(&|b| put(b, 8, &i32::MAX.to_be_bytes())), corrupt),
        ("half a batch", good()[..50].to_vec(), corrupt),
        ("a batch without its last byte", good()[..good().len() - 1].to_vec(), corrupt),
        (
            "two batches",
            [good(), good()].concat(),
            &[error::INVALID_RECORD, error::CORRUPT_MESSAGE],
        ),
        ("a batch and a half", [good(), good()[..30].to_vec()].concat(), corrupt),
        ("more records than there are", sealed(&|b| put(b, 57, &900_i32.to_be_bytes())), corrupt),
        ("fewer records than there are", sealed(&|b| put(b, 57, &1_i32.to_be_bytes())), corrupt),
        ("a negative count", sealed(&|b| put(b, 57, &(-3_i32).to_be_bytes())), corrupt),
        ("no records", sealed(&|b| put(b, 57, &0_i32.to_be_bytes())), corrupt),
        ("2^31-1 records", sealed(&|b| put(b, 57, &i32::MAX.to_be_bytes())), corrupt),
        ("a last offset delta that lies", sealed(&|b| put(b, 23, &7_i32.to_be_bytes())), corrupt),
        ("a negative last offset delta", sealed(&|b| put(b, 23, &(-1_i32).to_be_bytes())), corrupt),
        ("a control batch", sealed(&|b| put(b, 21, &0x20_i16.to_be_bytes())), corrupt),
        ("compression type 7", sealed(&|b| put(b, 21, &7_i16.to_be_bytes())), &[2, 87, 76]),
        ("a record of negative length", sealed(&|b| b[61] = 1), corrupt),
    ];
    for (what, bytes, codes) in cases {
        let (code, _) = client.produce("t", 0, &bytes).unwrap_or_else(|e| panic!("{what}: {e}"));
        assert!(codes.contains(&code), "{what}: error {code}, not of {codes:?}");
        assert_eq!(end(&mut client), 0, "{what}: something was appended");
        broker.assert_alive();
    }
    assert_eq!(client.produce("t", 0, &good()).expect("an answer"), (error::NONE, 0));
    assert_eq!(end(&mut client), 3);
}

#[test]
fn frames_that_lie() {
    let (_dir, mut broker, mut client) = start("lying-frames");
    let whole = raw::request(key::PRODUCE, 8, 1, &raw::produce_body(-1, "t", 0, &good()));
    is_refused(&broker, "a negative length", &(-5_i32).to_be_bytes());
    is_refused(&broker, "a length of 2 GiB", &[&i32::MAX.to_be_bytes()[..], &[0; 64]].concat());
    is_refused(
        &broker,
        "a length of 150 MiB",
        &[&(150_i32 << 20).to_be_bytes()[..], &[0; 64]].concat(),
    );
    is_refused(&broker, "a length of zero", &0_i32.to_be_bytes());
    is_refused(&broker, "an HTTP request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    is_refused(&broker, "a TLS greeting", &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0, 0, 0]);
    for cut in 1..whole.len() {
        // The whole frame never arrives.
        is_refused(&broker, "a request cut off", &whole[..cut]);
    }
    for cut in 12..whole.len() - 4 {
        // The frame is whole and its fields are not.
        let short = &whole[4..4 + cut];
        let frame = [&(cut as i32).to_be_bytes()[..], short].concat();
        is_refused(&broker, "a request with fields missing", &frame);
    }
    broker.assert_alive();
    assert_eq!(end(&mut client), 0, "a part of a request was appended");
}

#[test]
fn counts_that_lie() {
    let (_dir, mut broker, mut client) = start("count-bombs");
    let before = broker.rss();
    let bombs = [i32::MAX, 0x4000_0000, 100_000_000, -2];
    for n in bombs {
        // Topics, partitions, and both, of several APIs.
        let cases = [
            (key::METADATA, 8, Bytes::new().i32(n).0),
            (key::PRODUCE, 8, Bytes::new().i16(-1).i16(-1).i32(1000).i32(n).0),
            (key::PRODUCE, 8, Bytes::new().i16(-1).i16(-1).i32(1000).i32(1).string("t").i32(n).0),
            (
                key::FETCH,
                11,
                Bytes::new().i32(-1).i32(0).i32(1).i32(1).i8(0).i32(0).i32(-1).i32(n).0,
            ),
            (key::LIST_OFFSETS, 5, Bytes::new().i32(-1).i8(0).i32(n).0),
            (key::CREATE_TOPICS, 4, Bytes::new().i32(n).0),
            (key::DELETE_TOPICS, 3, Bytes::new().i32(n).0),
        ];
        for (api, version, body) in cases {
            let what = format!("API {api} with {n} elements");
            if n == -2 && api == key::METADATA {
                continue; // Some brokers read any negative count as "all topics".
            }
            is_refused(&broker, &what, &raw::request(api, version, 1, &body));
        }
    }
    // Tagged fields that claim more than there is: ApiVersions version 3, 2^31 tags.
    let tags = [0xff, 0xff, 0xff, 0xff, 0x07];
    let head = Bytes::new().i16(key::API_VERSIONS).i16(3).i32(1).string("x").raw(&tags);
    is_refused(&broker, "2^31 tagged fields", &Bytes::new().bytes(&head.0).0);
    let size =
        Bytes::new().i16(key::API_VERSIONS).i16(3).i32(1).string("x").raw(&[1, 9]).raw(&tags);
    is_refused(&broker, "a tagged field of 2 GiB", &Bytes::new().bytes(&size.0).0);
    broker.assert_alive();
    let grown = broker.rss().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more after requests of a few hundred bytes");
    assert_eq!(end(&mut client), 0);
}

#[test]
fn unknown_apis_and_versions() {
    let (_dir, mut broker, mut client) = start("unknown");
    for api in [-1, 4, 999, i16::MAX] {
        is_refused(&broker, "an unknown API", &raw::request(api, 0, 1, &[]));
    }
    is_refused(&broker, "Metadata 99", &raw::request(key::METADATA, 99, 1, &[]));
    is_refused(&broker, "Produce 2", &raw::request(key::PRODUCE, 2, 1, &[]));
    // An ApiVersions request that is too new is answered in version 0, with the list. Its header has
    // tagged fields, as every version has from 3 on.
    for version in [5, 99, i16::MAX] {
        let response = client.call(key::API_VERSIONS, version, &[0]).expect("an answer");
        let mut fields = Fields(&response);
        assert_eq!(fields.i16(), error::UNSUPPORTED_VERSION);
        let count = fields.i32();
        let listed: Vec<_> =
            (0..count).map(|_| (fields.i16(), fields.i16(), fields.i16())).collect();
        assert!(fields.0.is_empty(), "bytes after the list");
        assert!(listed.iter().any(|(api, min, _)| (*api, *min) == (key::PRODUCE, 0)), "{listed:?}");
    }
    broker.assert_alive();
    assert_eq!(end(&mut client), 0);
}

/// A small generator of numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

#[test]
fn random_bytes() {
    let (_dir, mut broker, mut client) = start("random");
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let before = broker.rss();
    for _ in 0..2_000 {
        let length = (numbers.next() % 200) as usize;
        let mut body: Vec<u8> = (0..length).map(|_| numbers.next() as u8).collect();
        if numbers.next().is_multiple_of(2) && body.len() >= 4 {
            // A known API and version in front, so that the decoder of its body sees the rest.
            let apis = [0_i16, 1, 2, 3, 18, 19, 20, 21, 22, 23, 32, 33, 35, 37, 44, 60, 74, 75];
            body[..2].copy_from_slice(&(apis[numbers.next() as usize % apis.len()]).to_be_bytes());
            body[2..4].copy_from_slice(&((numbers.next() % 14) as i16).to_be_bytes());
        }
        let frame = Bytes::new().bytes(&body).0;
        is_refused(&broker, "random bytes", &frame);
    }
    broker.assert_alive();
    let grown = broker.rss().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
    assert_eq!(client.produce("t", 0, &good()).expect("an answer"), (error::NONE, 0));
}

#[test]
fn flipped_bits_in_good_requests() {
    let (_dir, mut broker, mut client) = start("flips");
    // acks=1, so that a mutant that is still a good request is answered; none may be half applied.
    let whole = raw::request(key::PRODUCE, 8, 1, &raw::produce_body(1, "t", 0, &good()));
    for byte in 4..whole.len() {
        for bit in [0, 3, 7] {
            let mut mutant = whole.clone();
            mutant[byte] ^= 1 << bit;
            is_refused(&broker, "a flipped bit", &mutant);
        }
    }
    broker.assert_alive();
    assert_eq!(end(&mut client) % 3, 0, "a part of a batch was appended");
}

#[test]
fn requests_of_one_connection_keep_their_order() {
    let (_dir, _broker, mut client) = start("pipeline");
    assert_eq!(client.create_topic("many", 8, &[]).expect("an answer"), error::NONE);
    let mut frames = Vec::new();
    for i in 0..400 {
        let body = raw::produce_body(-1, "many", i % 8, &good());
        frames.extend(raw::request(key::PRODUCE, 8, i, &body));
        if i % 5 == 0 {
            frames.extend(raw::request(key::API_VERSIONS, 0, 1_000 + i, &[]));
        }
    }
    client.send(&frames).expect("room");
    for i in 0..400_i64 {
        let response = client.receive().expect("an answer");
        let mut fields = Fields(&response);
        assert_eq!(i64::from(fields.i32()), i);
        let (_topics, _name, _partitions, index) =
            (fields.i32(), fields.string().len(), fields.i32(), fields.i32());
        assert_eq!((i64::from(index), fields.i16(), fields.i64()), (i % 8, error::NONE, i / 8 * 3));
        if i % 5 == 0 {
            let response = client.receive().expect("an answer");
            assert_eq!(i64::from(Fields(&response).i32()), 1_000 + i);
        }
    }
    client.stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a limit");
    let extra = client.receive().expect_err("no answer is left");
    assert!(matches!(extra.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{extra}");
}
