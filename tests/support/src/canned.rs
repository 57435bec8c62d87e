//! A server that is no broker.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

/// Listens, and answers the first bytes of each of its connections with the same bytes, then closes it.
#[derive(Debug)]
pub struct Canned {
    address: String,
    thread: JoinHandle<()>,
}

impl Canned {
    /// Serves `connections` connections.
    pub fn start(answer: &'static [u8], connections: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let thread = std::thread::spawn(move || {
            for _ in 0..connections {
                let (mut stream, _) = listener.accept().expect("a client");
                let read = stream.read(&mut [0; 64]).expect("a request");
                assert!(read > 4, "the client speaks first");
                stream.write_all(answer).expect("the client listens");
            }
        });
        Self { address, thread }
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until every connection was served.
    pub fn join(self) {
        self.thread.join().expect("each connection saw a request");
    }
}
