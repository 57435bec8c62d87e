//! Many connections that do nothing, write slowly, or never read, while another client is served.

use std::io::{ErrorKind, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use conformance::raw::{self, Client, error, key};
use conformance::{Broker, DataDir, now_ms};

const MEMORY: u64 = 256 << 20;

/// Raises the limit of open files as far as it may be, and gives it.
fn open_files() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read or write the struct behind a valid reference.
    unsafe {
        assert_eq!(libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit), 0);
        limit.rlim_cur = limit.rlim_max;
        let _ = libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
    }
    limit.rlim_cur
}

fn start(name: &str) -> (DataDir, Broker, Client) {
    let dir = DataDir::new(name);
    let broker = Broker::start(&dir, &["--memory", "256MiB"]);
    let mut client = Client::connect(broker.addr()).expect("a connection");
    assert_eq!(client.create_topic("t", 1, &[]).expect("an answer"), error::NONE);
    (dir, broker, client)
}

/// The client's next `n` produce requests are answered.
fn is_served(client: &mut Client, n: usize) {
    let batch = raw::batch(&[b"still here"], now_ms(), crc32c::crc32c);
    for _ in 0..n {
        let (code, _) = client.produce("t", 0, &batch).expect("an answer");
        assert_eq!(code, error::NONE);
    }
}

#[test]
fn ten_thousand_idle_connections() {
    let limit = open_files();
    let wanted = 10_000.min(limit.saturating_sub(1_000)) as usize;
    if wanted < 10_000 {
        eprintln!("only {wanted} connections: the limit of open files is {limit}");
    }
    let (_dir, mut broker, mut client) = start("idle");
    let before = broker.rss();
    let mut idle = Vec::with_capacity(wanted);
    for n in 0..wanted {
        let stream = TcpStream::connect(broker.addr());
        idle.push(stream.unwrap_or_else(|e| panic!("connection {n}: {e}")));
        if n % 1_000 == 0 {
            is_served(&mut client, 5);
        }
    }
    is_served(&mut client, 100);
    let fresh = Client::connect(broker.addr()).and_then(|mut c| c.call(key::API_VERSIONS, 0, &[]));
    assert!(fresh.is_ok(), "a new client beside {wanted} idle ones: {fresh:?}");
    broker.assert_alive();
    let each = broker.rss().saturating_sub(before) / wanted as u64;
    assert!(each < 20 << 10, "{each} bytes for each idle connection");
    // Each of them still works.
    let stream = idle.swap_remove(wanted / 2);
    stream.set_read_timeout(Some(Duration::from_mins(1))).expect("a limit");
}

#[test]
fn a_thousand_that_write_a_byte_now_and_then() {
    open_files();
    let (_dir, mut broker, mut client) = start("slow");
    let before = broker.rss();
    // Each claims a large request, and brings a little of it.
    let claim = (50_i32 << 20).to_be_bytes();
    let mut slow: Vec<_> = (0..1_000)
        .map(|_| {
            let mut stream = TcpStream::connect(broker.addr()).expect("a connection");
            stream.write_all(&claim).expect("four bytes");
            stream
        })
        .collect();
    for byte in [0, 0, 0, 8, 0, 0, 0, 1, 0, 0] {
        for stream in &mut slow {
            let _ = stream.write_all(&[byte]);
        }
        is_served(&mut client, 10);
    }
    broker.assert_alive();
    let grown = broker.rss().saturating_sub(before);
    assert!(grown < MEMORY / 2, "{grown} bytes for 1,000 connections that sent 14 bytes each");
}

#[test]
fn clients_that_never_read() {
    let (_dir, mut broker, mut client) = start("deaf");
    let value = vec![b'v'; 512 << 10];
    let batch = raw::batch(&[&value], now_ms(), crc32c::crc32c);
    for _ in 0..40 {
        assert_eq!(client.produce("t", 0, &batch).expect("an answer").0, error::NONE);
    }
    let before = broker.rss();
    let fetch = Client::fetch_body("t", 0, 0, 50 << 20);
    let mut deaf: Vec<_> =
        (0..20).map(|_| TcpStream::connect(broker.addr()).expect("a connection")).collect();
    let started = Instant::now();
    for (n, stream) in deaf.iter_mut().enumerate() {
        stream.set_nonblocking(true).expect("a socket");
        // As many requests as the sockets take: the broker must stop reading them.
        for i in 0..2_000 {
            match stream.write(&raw::request(key::FETCH, 11, i, &fetch)) {
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) => panic!("deaf connection {n}: {e}"),
            }
        }
        is_served(&mut client, 5);
    }
    is_served(&mut client, 50);
    broker.assert_alive();
    let grown = broker.rss().saturating_sub(before);
    assert!(grown < 2 * MEMORY, "{grown} bytes for 20 connections that do not read");
    eprintln!("served for {:?} beside 20 deaf clients, {grown} bytes more", started.elapsed());
}
