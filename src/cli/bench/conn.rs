//! A connection that never blocks, with many requests in flight.

use crate::client::{ApiRequest, ClientError, Protocol, Transport};
use crate::wire::api_keys::ApiKey;
use crate::wire::header::{self, RequestHeader};
use crate::wire::{Reader, Writer};
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use super::machine::Clock;

/// The client id of the bench.
pub const CLIENT_ID: &str = "klamm-bench";
/// Initial size of the input buffer, and the least that one read asks for.
const READ_BYTES: usize = 64 << 10;
/// With this many unsent bytes a connection takes no further requests.
const UNSENT_BYTES_MAX: u64 = 4 << 20;
/// Slices of one vectored write.
const SLICES: usize = 64;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What is still to be sent, in order.
#[derive(Debug)]
enum Piece {
    /// So many bytes of the connection's own buffer.
    Own(usize),
    /// Bytes that many requests share: the unchanging part of large batches is never copied.
    Shared(Arc<[u8]>),
}

/// A request that is to be sent, or was.
#[derive(Debug)]
struct Waiting<T> {
    correlation_id: i32,
    key: ApiKey,
    version: i16,
    context: T,
}

/// A connection. `T` travels with each request until its answer comes.
#[derive(Debug)]
pub struct Conn<T> {
    stream: TcpStream,
    address: String,
    protocol: Protocol,
    /// The request that is being written, and where shared bytes belong in it.
    request: Writer,
    cuts: Vec<(usize, Arc<[u8]>)>,
    own: Vec<u8>,
    own_sent: usize,
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that are sent.
    piece_sent: usize,
    bytes_queued: u64,
    bytes_sent: u64,
    input: Vec<u8>,
    have: usize,
    correlation_id: i32,
    waiting: VecDeque<Waiting<T>>,
    /// Requests without an answer (acks=0): done when this many bytes are sent.
    unanswered: VecDeque<(u64, T)>,
}

/// The bytes of a request: write with `w`, name shared bytes with [`Body::shared`].
#[derive(Debug)]
pub struct Body<'a> {
    /// Writes at the end of the request.
    pub w: &'a mut Writer,
    cuts: &'a mut Vec<(usize, Arc<[u8]>)>,
}

impl Body<'_> {
    /// Appends these bytes without copying them.
    pub fn shared(&mut self, bytes: &Arc<[u8]>) {
        self.cuts.push((self.w.len(), Arc::clone(bytes)));
    }
}

impl<T> Conn<T> {
    /// Connects to `host:port` and agrees on versions; an answer may take `timeout`.
    pub fn open(host: &str, port: u16, timeout: Duration) -> Result<Self, ClientError> {
        let (stream, address, protocol) =
            Transport::connect(host, port, CLIENT_ID, CONNECT_TIMEOUT, timeout)?.into_parts();
        stream
            .set_nonblocking(true)
            .map_err(|e| ClientError::Broken { address: address.clone(), why: e.to_string() })?;
        Ok(Self::new(stream, address, protocol))
    }

    fn new(stream: TcpStream, address: String, protocol: Protocol) -> Self {
        Self {
            stream,
            address,
            protocol,
            request: Writer::with_capacity(4096),
            cuts: Vec::new(),
            own: Vec::with_capacity(64 << 10),
            own_sent: 0,
            pieces: VecDeque::new(),
            piece_sent: 0,
            bytes_queued: 0,
            bytes_sent: 0,
            input: vec![0; READ_BYTES],
            have: 0,
            correlation_id: 0,
            waiting: VecDeque::new(),
            unanswered: VecDeque::new(),
        }
    }

    /// The version that an `R` is to be sent in.
    pub fn version<R: ApiRequest>(&self) -> Result<i16, ClientError> {
        self.protocol.version::<R>()
    }

    /// The socket, to wait for.
    pub fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    /// `host:port` of the broker.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Number of requests without an answer; with acks=0, those not yet sent as a whole.
    pub fn in_flight(&self) -> usize {
        self.waiting.len() + self.unanswered.len()
    }

    /// Whether another request may be added: unsent bytes are bounded, whatever the number of requests
    /// in flight.
    pub fn has_room(&self) -> bool {
        self.bytes_queued - self.bytes_sent < UNSENT_BYTES_MAX
    }

    /// The contexts of requests without an answer, the oldest first.
    pub fn unanswered(&self) -> impl Iterator<Item = &T> {
        self.waiting.iter().map(|w| &w.context).chain(self.unanswered.iter().map(|(_, c)| c))
    }

    /// Adds a request to what [`Conn::flush`] sends. `answered` is false only for Produce with
    /// acks=0.
    pub fn request(
        &mut self,
        key: ApiKey,
        version: i16,
        answered: bool,
        context: T,
        put: impl FnOnce(&mut Body<'_>) -> Result<(), crate::wire::WireError>,
    ) -> Result<(), ClientError> {
        let correlation_id = self.correlation_id;
        self.correlation_id = correlation_id.wrapping_add(1) & i32::MAX;
        self.request.clear();
        self.request.i32(0);
        let header =
            RequestHeader { api_key: key, version, correlation_id, client_id: Some(CLIENT_ID) };
        header::encode_request(&header, &mut self.request)
            .and_then(|()| put(&mut Body { w: &mut self.request, cuts: &mut self.cuts }))
            .map_err(|why| ClientError::BadRequest { api: key.to_string(), why })?;
        let shared: usize = self.cuts.iter().map(|(_, bytes)| bytes.len()).sum();
        let len = self.request.len() + shared;
        self.request.set_i32(0, (len - 4) as i32);
        let mut from = 0;
        for (at, bytes) in self.cuts.drain(..) {
            push_own(&mut self.pieces, at - from);
            self.pieces.push_back(Piece::Shared(bytes));
            from = at;
        }
        push_own(&mut self.pieces, self.request.len() - from);
        self.own.extend_from_slice(self.request.as_slice());
        self.bytes_queued += len as u64;
        if answered {
            self.waiting.push_back(Waiting { correlation_id, key, version, context });
        } else {
            self.unanswered.push_back((self.bytes_queued, context));
        }
        Ok(())
    }

    /// Sends until all is sent or the socket is full. `sent` gets every request without an answer
    /// that has left as a whole.
    pub fn flush(&mut self, mut sent: impl FnMut(T)) -> Result<(), ClientError> {
        while !self.pieces.is_empty() {
            match self.write() {
                Ok(n) => self.advance(n),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(self.broken(&e)),
            }
        }
        while self.unanswered.front().is_some_and(|(end, _)| *end <= self.bytes_sent) {
            if let Some((_, context)) = self.unanswered.pop_front() {
                sent(context);
            }
        }
        Ok(())
    }

    fn write(&self) -> io::Result<usize> {
        if let (1, Some(Piece::Own(len))) = (self.pieces.len(), self.pieces.front()) {
            let rest = &self.own[self.own_sent..][..len - self.piece_sent];
            return (&self.stream).write(rest);
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let (mut own, mut skip) = (self.own_sent, self.piece_sent);
        let count = self.pieces.len().min(SLICES);
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = match piece {
                Piece::Own(len) => {
                    let rest = &self.own[own..][..len - skip];
                    own += rest.len();
                    IoSlice::new(rest)
                }
                Piece::Shared(bytes) => IoSlice::new(&bytes[skip..]),
            };
            skip = 0;
        }
        (&self.stream).write_vectored(&slices[..count])
    }

    fn advance(&mut self, mut n: usize) {
        self.bytes_sent += n as u64;
        while n > 0 {
            let Some(piece) = self.pieces.front() else { return };
            let (len, is_own) = match piece {
                Piece::Own(len) => (*len, true),
                Piece::Shared(bytes) => (bytes.len(), false),
            };
            let taken = n.min(len - self.piece_sent);
            n -= taken;
            self.piece_sent += taken;
            self.own_sent += if is_own { taken } else { 0 };
            if self.piece_sent == len {
                self.pieces.pop_front();
                self.piece_sent = 0;
            }
        }
        if self.pieces.is_empty() {
            self.own.clear();
            self.own_sent = 0;
        } else if self.own_sent > 1 << 20 {
            self.own.drain(..self.own_sent);
            self.own_sent = 0;
        }
    }

    /// Reads until the socket is empty. `each` gets, for every answer in order, the time at which it
    /// was read, its request's version and context, and its body.
    pub fn receive<E: From<ClientError>>(
        &mut self,
        clock: Clock,
        mut each: impl FnMut(u64, i16, T, &mut Reader<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        loop {
            let want = if self.have < 4 { 0 } else { 4 + self.frame_len(0)? };
            if self.input.len() < want.max(self.have + READ_BYTES / 2) {
                self.input.resize(want.max(self.have + READ_BYTES), 0);
            }
            // A large answer is read to its end and no further, so that no tail has to be moved.
            let end = if want > READ_BYTES { want } else { self.input.len() };
            let room = end - self.have;
            match self.stream.read(&mut self.input[self.have..end]) {
                Ok(0) => return Err(self.broken(&ErrorKind::UnexpectedEof.into()).into()),
                Ok(n) => {
                    self.have += n;
                    self.deliver(clock.now(), &mut each)?;
                    if n < room {
                        return Ok(());
                    }
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(self.broken(&e).into()),
            }
        }
    }

    fn frame_len(&self, at: usize) -> Result<usize, ClientError> {
        let i = &self.input[at..];
        crate::client::frame_len([i[0], i[1], i[2], i[3]])
            .map_err(|why| ClientError::NotKafka { address: self.address.clone(), why })
    }

    fn deliver<E: From<ClientError>>(
        &mut self,
        now: u64,
        each: &mut impl FnMut(u64, i16, T, &mut Reader<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut from = 0;
        while self.have - from >= 4 {
            let len = self.frame_len(from)?;
            if self.have - from - 4 < len {
                break;
            }
            let mut r = Reader::new(&self.input[from + 4..from + 4 + len]);
            let got = Reader::new(r.rest()).i32().unwrap_or(-1);
            let Some(request) = self.waiting.pop_front() else {
                return Err(ClientError::OutOfOrder { want: -1, got }.into());
            };
            if request.correlation_id != got {
                return Err(ClientError::OutOfOrder { want: request.correlation_id, got }.into());
            }
            header::decode_response(request.key, request.version, &mut r)
                .map_err(|why| ClientError::BadResponse { api: request.key.to_string(), why })?;
            each(now, request.version, request.context, &mut r)?;
            from += 4 + len;
        }
        if from > 0 {
            self.input.copy_within(from..self.have, 0);
            self.have -= from;
        }
        Ok(())
    }

    fn broken(&self, e: &io::Error) -> ClientError {
        let why = match e.kind() {
            ErrorKind::UnexpectedEof => "the broker closed it".to_owned(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => "the broker is gone".to_owned(),
            _ => e.to_string(),
        };
        ClientError::Broken { address: self.address.clone(), why }
    }
}

/// Adds bytes of the own buffer to the end of what is sent.
fn push_own(pieces: &mut VecDeque<Piece>, len: usize) {
    match pieces.back_mut() {
        Some(Piece::Own(last)) => *last += len,
        _ if len > 0 => pieces.push_back(Piece::Own(len)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// A connection to a peer that has answered the hello, without one.
    fn pair() -> (Conn<u32>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let stream = TcpStream::connect(listener.local_addr().expect("an address")).expect("open");
        stream.set_nonblocking(true).expect("a socket");
        let (peer, _) = listener.accept().expect("a client");
        (Conn::new(stream, "peer".to_owned(), Protocol::new("test")), peer)
    }

    /// Shared bytes arrive where they belong, in any mixture of sizes, over a socket that takes
    /// less than all at once.
    #[test]
    fn shared_bytes_are_sent_in_their_place() {
        let (mut conn, mut peer) = pair();
        let shared: Vec<Arc<[u8]>> =
            (0..5u8).map(|i| vec![i; 300_000 * usize::from(i) + 1].into()).collect();
        let mut sent = Vec::new();
        for i in 0..200u32 {
            conn.request(ApiKey::PRODUCE, 9, i % 2 == 0, i, |body| {
                body.w.raw(&[0xaa; 10]);
                if i % 3 > 0 {
                    body.shared(&shared[i as usize % 5]);
                }
                body.w.raw(&i.to_be_bytes());
                Ok(())
            })
            .expect("fits");
            if i % 7 == 0 {
                conn.flush(|n| sent.push(n)).expect("open");
            }
        }
        let reader = std::thread::spawn(move || {
            for i in 0..200u32 {
                let mut len = [0; 4];
                peer.read_exact(&mut len).expect("a length");
                let mut frame = vec![0; u32::from_be_bytes(len) as usize];
                peer.read_exact(&mut frame).expect("a frame");
                let body = &frame[frame.len() - 4..];
                assert_eq!(body, i.to_be_bytes(), "request {i} ends as it should");
                let extra = if i % 3 > 0 { 300_000 * (i as usize % 5) + 1 } else { 0 };
                assert_eq!(frame.len(), 2 + 2 + 4 + 2 + 11 + 1 + 10 + extra + 4);
                let middle = &frame[frame.len() - 4 - extra..frame.len() - 4];
                assert!(middle.iter().all(|b| u32::from(*b) == i % 5), "request {i}");
            }
        });
        while conn.in_flight() > 100 {
            conn.flush(|n| sent.push(n)).expect("open");
            std::thread::yield_now();
        }
        while !conn.pieces.is_empty() {
            conn.flush(|n| sent.push(n)).expect("open");
            std::thread::yield_now();
        }
        reader.join().expect("all arrived");
        assert_eq!(sent, (0..200).filter(|i| i % 2 == 1).collect::<Vec<_>>());
        assert_eq!(conn.in_flight(), 100);
    }

    #[test]
    fn answers_out_of_order_and_closed_connections_are_errors() {
        for (answer, want) in [
            (&b"\0\0\0\x05\0\0\0\x01\0"[..], "out of order"),
            (b"HTTP/1.1 400", "HTTP"),
            (b"", "closed"),
        ] {
            let (mut conn, mut peer) = pair();
            conn.request(ApiKey::PRODUCE, 9, true, 7, |_| Ok(())).expect("fits");
            conn.flush(|_| ()).expect("open");
            peer.write_all(answer).expect("open");
            drop(peer);
            let result = loop {
                let r = conn.receive(Clock::start(), |_, _, _, _| Ok::<_, ClientError>(()));
                if r.is_err() {
                    break r;
                }
                std::thread::yield_now();
            };
            let e = result.expect_err("no answer").to_string();
            assert!(e.contains(want) || e.contains("gone"), "{e}");
        }
    }
}
