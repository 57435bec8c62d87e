//! A connection to one broker over a blocking socket.

use super::ClientError;
use super::protocol::{ApiRequest, Protocol, Reply, frame_len};
use crate::wire::api_keys::ApiKey;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A connection that has agreed on versions. After an error it is of no use: drop it.
#[derive(Debug)]
pub struct Transport {
    stream: TcpStream,
    address: String,
    timeout: Duration,
    protocol: Protocol,
}

impl Transport {
    /// Connects to `host:port` as `client_id`. `connect` is the time for the connection, `timeout`
    /// for each answer and each write.
    pub fn connect(
        host: &str,
        port: u16,
        client_id: &str,
        connect: Duration,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        Self::connect_to_broker(host, port, client_id, connect, timeout).map_err(|e| match e {
            // A peer that hangs up at the first Kafka request speaks something else, as does one
            // that waits for more.
            ClientError::Broken { address, .. } => ClientError::NotKafka {
                address,
                why: "it closed the connection at the first request",
            },
            ClientError::NoAnswer { address, .. } => {
                ClientError::NotKafka { address, why: "it does not answer" }
            }
            ClientError::OutOfOrder { .. } | ClientError::BadResponse { .. } => {
                let address = address_of(host, port);
                ClientError::NotKafka { address, why: "its answer makes no sense" }
            }
            other => other,
        })
    }

    /// As [`Transport::connect`], where a broker is known to be: one that does not answer, or hangs up, is
    /// on its way down.
    pub fn connect_to_broker(
        host: &str,
        port: u16,
        client_id: &str,
        connect: Duration,
        timeout: Duration,
    ) -> Result<Self, ClientError> {
        let address = address_of(host, port);
        let stream = open(host, port, connect)
            .map_err(|e| ClientError::Unreachable { address: address.clone(), why: plain(&e) })?;
        let mut this = Self { stream, address, timeout, protocol: Protocol::new(client_id) };
        this.say_hello(connect)?;
        Ok(this)
    }

    fn say_hello(&mut self, patience: Duration) -> Result<(), ClientError> {
        let timeout = self.timeout;
        self.timeout = timeout.min(patience);
        self.set_timeouts()?;
        let mut frame = Some(self.protocol.hello()?);
        while let Some(bytes) = frame.take() {
            self.write(&bytes)?;
            let reply = self.receive()?;
            frame = self.protocol.hello_answered(&reply)?;
        }
        self.timeout = timeout;
        self.set_timeouts()
    }

    fn set_timeouts(&mut self) -> Result<(), ClientError> {
        let read = self.stream.set_read_timeout(Some(self.timeout));
        read.and_then(|()| self.stream.set_write_timeout(Some(self.timeout)))
            .map_err(|e| self.broken(&e))
    }

    /// Sends a request and waits for its answer.
    pub fn call<R: ApiRequest>(&mut self, request: &R) -> Result<Reply, ClientError> {
        self.send(request)?;
        self.receive()
    }

    /// As [`Transport::call`], but that the answer has less time.
    pub fn call_within<R: ApiRequest>(
        &mut self,
        request: &R,
        patience: Duration,
    ) -> Result<Reply, ClientError> {
        let timeout = self.timeout;
        self.timeout = patience.min(timeout);
        self.set_timeouts()?;
        let reply = self.call(request);
        self.timeout = timeout;
        self.set_timeouts()?;
        reply
    }

    /// Sends a request; [`Transport::receive`] gets its answer.
    pub fn send<R: ApiRequest>(&mut self, request: &R) -> Result<(), ClientError> {
        let frame = self.protocol.request(request, true)?;
        self.write(&frame)
    }

    /// Sends a request that has no answer: Produce with acks=0.
    pub fn send_only<R: ApiRequest>(&mut self, request: &R) -> Result<(), ClientError> {
        let frame = self.protocol.request(request, false)?;
        self.write(&frame)
    }

    /// Waits for the answer to the oldest request that has none.
    pub fn receive(&mut self) -> Result<Reply, ClientError> {
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix).map_err(|e| self.broken(&e))?;
        let len = frame_len(prefix)
            .map_err(|why| ClientError::NotKafka { address: self.address.clone(), why })?;
        // Grows as bytes arrive: a length alone costs nothing.
        let mut frame = Vec::with_capacity(len.min(64 << 10));
        let read = (&mut self.stream).take(len as u64).read_to_end(&mut frame);
        match read {
            Ok(n) if n == len => self.protocol.answered(frame),
            Ok(_) => Err(self.broken(&ErrorKind::UnexpectedEof.into())),
            Err(e) => Err(self.broken(&e)),
        }
    }

    /// The version that an `R` is sent in.
    pub fn version<R: ApiRequest>(&self) -> Result<i16, ClientError> {
        self.protocol.version::<R>()
    }

    /// What the broker offers: each API with its first and last version.
    pub fn offered(&self) -> &[(ApiKey, i16, i16)] {
        self.protocol.offered()
    }

    /// The socket, the broker's `host:port` and the state of the protocol.
    pub fn into_parts(self) -> (TcpStream, String, Protocol) {
        (self.stream, self.address, self.protocol)
    }

    /// `host:port` of the broker.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn write(&mut self, frame: &[u8]) -> Result<(), ClientError> {
        self.stream.write_all(frame).map_err(|e| self.broken(&e))
    }

    fn broken(&self, e: &io::Error) -> ClientError {
        let address = self.address.clone();
        match e.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                ClientError::NoAnswer { address, seconds: self.timeout.as_secs() }
            }
            _ => ClientError::Broken { address, why: plain(e) },
        }
    }
}

fn address_of(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn open(host: &str, port: u16, timeout: Duration) -> io::Result<TcpStream> {
    let mut last = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, timeout) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// The system's message without its error number.
fn plain(e: &io::Error) -> String {
    match e.kind() {
        ErrorKind::UnexpectedEof => "the broker closed it".to_owned(),
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        ErrorKind::ConnectionReset => "connection reset".to_owned(),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => "timed out".to_owned(),
        _ => {
            let text = e.to_string();
            text.split(" (os error").next().unwrap_or(&text).replace('\n', " ")
        }
    }
}
