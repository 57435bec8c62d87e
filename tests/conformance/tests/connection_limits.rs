//! What a stranger may hold of the broker: memory by announced requests, connections, patience.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use conformance::raw::{self, Client, error, key};
use conformance::{Broker, DataDir, now_ms, wait_for};

const PATIENCE: Duration = Duration::from_mins(1);

fn start(name: &str, args: &[&str]) -> (DataDir, Broker, Client) {
    let dir = DataDir::new(name);
    let broker = Broker::start(&dir, args);
    let mut client = Client::connect(broker.addr()).expect("a connection");
    assert_eq!(client.create_topic("t", 1, &[]).expect("an answer"), error::NONE);
    (dir, broker, client)
}

fn is_served(client: &mut Client, bytes: usize) {
    let value = vec![b'v'; bytes];
    let batch = raw::batch(&[&value], now_ms(), crc32c::crc32c);
    assert_eq!(client.produce("t", 0, &batch).expect("an answer").0, error::NONE);
}

/// Fault 20: each announces as much as is accepted, brings a few bytes, and stays.
#[test]
fn announced_requests_hold_nothing() {
    let (_dir, mut broker, mut client) = start("announced", &["--memory", "256MiB"]);
    let before = broker.rss();
    let produce = (1_i32 << 20).to_be_bytes();
    let mut held: Vec<_> = (0..500)
        .map(|_| {
            let mut stream = TcpStream::connect(broker.addr()).expect("a connection");
            stream.write_all(&[&produce[..], &[0, 0, 0]].concat()).expect("seven bytes");
            stream
        })
        .collect();
    for _ in 0..10 {
        for stream in &mut held {
            let _ = stream.write_all(&[0]);
        }
        is_served(&mut client, 100);
        is_served(&mut client, 900_000);
    }
    broker.assert_alive();
    let grown = broker.rss().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more for 500 connections that sent 17 bytes each");
}

/// Fault 9.
#[test]
fn a_first_request_may_be_large() {
    let (_dir, broker, _client) = start("first", &[]);
    let mut fresh = Client::connect(broker.addr()).expect("a connection");
    is_served(&mut fresh, 900_000);
}

/// Fault 10, with a shorter patience than ten minutes.
#[test]
fn who_stalls_is_kept_as_long_as_who_is_idle() {
    let args = ["--override", "connections.max.idle.ms=4000"];
    let (_dir, broker, _client) = start("stalled", &args);
    let mut slow = Client::connect(broker.addr()).expect("a connection");
    let request = raw::request(key::API_VERSIONS, 0, 1, &[]);
    slow.send(&request[..7]).expect("sent");
    assert!(slow.is_closed(), "it is kept for ever");
    let told = wait_for(PATIENCE, || broker.log().contains("no progress").then_some(()));
    assert!(told.is_some(), "{}", broker.log());
}

/// Fault 21.
#[test]
fn connections_are_limited() {
    let args = [
        "--override",
        "max.connections.per.ip=5",
        "--override",
        "max.connections.per.ip.overrides=127.0.0.2:1",
    ];
    let (_dir, broker, mut first) = start("limited", &args);
    let connect = || -> Option<Client> {
        let mut it = Client::connect(broker.addr()).ok()?;
        it.call(key::API_VERSIONS, 0, &[]).ok()?;
        Some(it)
    };
    let held = wait_for(PATIENCE, || {
        let held: Vec<_> = (0..4).filter_map(|_| connect()).collect();
        (held.len() == 4).then_some(held)
    });
    let held = held.expect("four more");
    for _ in 0..20 {
        assert!(connect().is_none(), "a sixth connection");
    }
    is_served(&mut first, 10);
    let lines = broker.log().lines().filter(|it| it.contains("max.connections.per.ip)")).count();
    assert!((1..=4).contains(&lines), "{lines} lines for 20 refused connections of two shards");
    drop(held);
    assert!(wait_for(PATIENCE, connect).is_some(), "those that went count still");
}
