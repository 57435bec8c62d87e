//! Kafka's protocol by hand, in versions without tagged fields: for requests that no client library
//! would send.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Kafka's API keys.
pub mod key {
    #![allow(missing_docs)]
    pub const PRODUCE: i16 = 0;
    pub const FETCH: i16 = 1;
    pub const LIST_OFFSETS: i16 = 2;
    pub const METADATA: i16 = 3;
    pub const API_VERSIONS: i16 = 18;
    pub const CREATE_TOPICS: i16 = 19;
    pub const DELETE_TOPICS: i16 = 20;
}

/// Kafka's error codes.
pub mod error {
    #![allow(missing_docs)]
    pub const NONE: i16 = 0;
    pub const CORRUPT_MESSAGE: i16 = 2;
    pub const UNKNOWN_TOPIC_OR_PARTITION: i16 = 3;
    pub const MESSAGE_TOO_LARGE: i16 = 10;
    pub const UNSUPPORTED_VERSION: i16 = 35;
    pub const INVALID_REQUEST: i16 = 42;
    pub const UNSUPPORTED_FOR_MESSAGE_FORMAT: i16 = 43;
    pub const KAFKA_STORAGE_ERROR: i16 = 56;
    pub const UNSUPPORTED_COMPRESSION_TYPE: i16 = 76;
    pub const INVALID_RECORD: i16 = 87;
}

/// Bytes of a request or a batch, big-endian as Kafka has them.
#[derive(Debug, Default, Clone)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// Appends a byte.
    #[must_use]
    pub fn i8(mut self, v: i8) -> Self {
        self.0.push(v as u8);
        self
    }
    /// Appends two bytes.
    #[must_use]
    pub fn i16(mut self, v: i16) -> Self {
        self.0.extend(v.to_be_bytes());
        self
    }
    /// Appends four bytes.
    #[must_use]
    pub fn i32(mut self, v: i32) -> Self {
        self.0.extend(v.to_be_bytes());
        self
    }
    /// Appends eight bytes.
    #[must_use]
    pub fn i64(mut self, v: i64) -> Self {
        self.0.extend(v.to_be_bytes());
        self
    }
    /// Appends a string with its length in two bytes.
    #[must_use]
    pub fn string(self, v: &str) -> Self {
        self.i16(v.len() as i16).raw(v.as_bytes())
    }
    /// Appends bytes with their length in four bytes.
    #[must_use]
    pub fn bytes(self, v: &[u8]) -> Self {
        self.i32(v.len() as i32).raw(v)
    }
    /// Appends bytes as they are.
    #[must_use]
    pub fn raw(mut self, v: &[u8]) -> Self {
        self.0.extend(v);
        self
    }
    /// Appends a zigzag variable-length number, as records have them.
    #[must_use]
    pub fn varint(mut self, v: i64) -> Self {
        let mut rest = ((v << 1) ^ (v >> 63)) as u64;
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
        self
    }
}

/// Reads fields of a response, front to back. Panics past the end: the response is wrong then.
#[derive(Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, tail) = self.0.split_at(n);
        self.0 = tail;
        head
    }
    /// The next two bytes.
    pub fn i16(&mut self) -> i16 {
        i16::from_be_bytes(self.take(2).try_into().expect("two bytes"))
    }
    /// The next four bytes.
    pub fn i32(&mut self) -> i32 {
        i32::from_be_bytes(self.take(4).try_into().expect("four bytes"))
    }
    /// The next eight bytes.
    pub fn i64(&mut self) -> i64 {
        i64::from_be_bytes(self.take(8).try_into().expect("eight bytes"))
    }
    /// A string, empty when it is null.
    pub fn string(&mut self) -> &'a str {
        let n = self.i16().max(0);
        std::str::from_utf8(self.take(n as usize)).expect("UTF-8")
    }
    /// Bytes with a length of four bytes, empty when null.
    pub fn bytes(&mut self) -> &'a [u8] {
        let n = self.i32().max(0);
        self.take(n as usize)
    }
}

/// A request with its length, header version 1.
pub fn request(api_key: i16, version: i16, correlation: i32, body: &[u8]) -> Vec<u8> {
    let head = Bytes::new().i16(api_key).i16(version).i32(correlation).string("raw");
    let length = (head.0.len() + body.len()) as i32;
    Bytes::new().i32(length).raw(&head.0).raw(body).0
}

/// One record batch (format 2, not compressed) of `values`, its checksum by `crc`.
pub fn batch(values: &[&[u8]], now_ms: i64, crc: impl Fn(&[u8]) -> u32) -> Vec<u8> {
    let mut records = Bytes::new();
    for (i, value) in values.iter().enumerate() {
        let body = Bytes::new().i8(0).varint(0).varint(i as i64).varint(-1);
        let body = body.varint(value.len() as i64).raw(value).varint(0);
        records = records.varint(body.0.len() as i64).raw(&body.0);
    }
    let last = values.len() as i32 - 1;
    let covered = Bytes::new().i16(0).i32(last).i64(now_ms).i64(now_ms);
    let covered = covered.i64(-1).i16(-1).i32(-1).i32(values.len() as i32).raw(&records.0);
    let head = Bytes::new().i64(0).i32(9 + covered.0.len() as i32).i32(-1).i8(2);
    head.i32(crc(&covered.0) as i32).raw(&covered.0).0
}

/// Puts a new checksum into a batch whose covered bytes were changed.
pub fn reseal(batch: &mut [u8], crc: impl Fn(&[u8]) -> u32) {
    let sum = crc(&batch[21..]);
    batch[17..21].copy_from_slice(&sum.to_be_bytes());
}

/// A Produce request body, version 8: one partition.
pub fn produce_body(acks: i16, topic: &str, partition: i32, records: &[u8]) -> Vec<u8> {
    let body = Bytes::new().i16(-1).i16(acks).i32(30_000).i32(1).string(topic);
    body.i32(1).i32(partition).bytes(records).0
}

/// One connection.
#[derive(Debug)]
pub struct Client {
    /// The socket.
    pub stream: TcpStream,
    correlation: i32,
}

impl Client {
    /// Connects; reads and writes give up after a generous limit.
    pub fn connect(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_read_timeout(Some(Duration::from_mins(1)))?;
        stream.set_write_timeout(Some(Duration::from_mins(1)))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, correlation: 0 })
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next response with its correlation id first.
    pub fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let mut body = vec![0; u32::from_be_bytes(length) as usize];
        self.stream.read_exact(&mut body)?;
        Ok(body)
    }

    /// Sends a request and gives the body of its response, without the correlation id.
    pub fn call(&mut self, api_key: i16, version: i16, body: &[u8]) -> io::Result<Vec<u8>> {
        self.correlation += 1;
        self.send(&request(api_key, version, self.correlation, body))?;
        let mut response = self.receive()?;
        let id = i32::from_be_bytes(response[..4].try_into().expect("four bytes"));
        assert_eq!(id, self.correlation, "an answer to another request");
        response.drain(..4);
        Ok(response)
    }

    /// True when the peer has closed the connection, within the read limit. What arrives before
    /// that is dropped.
    pub fn is_closed(&mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) => return e.kind() != io::ErrorKind::WouldBlock,
            }
        }
    }

    /// Creates a topic (version 4) with configs; gives the error code.
    pub fn create_topic(
        &mut self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> io::Result<i16> {
        let mut body = Bytes::new().i32(1).string(name).i32(partitions).i16(1).i32(0);
        body = body.i32(configs.len() as i32);
        for (k, v) in configs {
            body = body.string(k).string(v);
        }
        let response = self.call(key::CREATE_TOPICS, 4, &body.i32(30_000).i8(0).0)?;
        let mut f = Fields(&response);
        let (_throttle, _count, _name) = (f.i32(), f.i32(), f.string());
        Ok(f.i16())
    }

    /// Deletes a topic (version 3); gives the error code.
    pub fn delete_topic(&mut self, name: &str) -> io::Result<i16> {
        let body = Bytes::new().i32(1).string(name).i32(30_000);
        let response = self.call(key::DELETE_TOPICS, 3, &body.0)?;
        let mut f = Fields(&response);
        let (_throttle, _count, _name) = (f.i32(), f.i32(), f.string());
        Ok(f.i16())
    }

    /// Produces one blob of records with acks=all (version 8): error code and base offset.
    pub fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        records: &[u8],
    ) -> io::Result<(i16, i64)> {
        let body = produce_body(-1, topic, partition, records);
        let response = self.call(key::PRODUCE, 8, &body)?;
        let mut f = Fields(&response);
        let (_topics, _name, _partitions, _index) = (f.i32(), f.string(), f.i32(), f.i32());
        Ok((f.i16(), f.i64()))
    }

    /// ListOffsets (version 5) of one partition: error code and offset. Timestamp -1 is the end,
    /// -2 the start.
    pub fn list_offset(&mut self, topic: &str, partition: i32, at: i64) -> io::Result<(i16, i64)> {
        let body = Bytes::new().i32(-1).i8(0).i32(1).string(topic);
        let body = body.i32(1).i32(partition).i32(-1).i64(at);
        let response = self.call(key::LIST_OFFSETS, 5, &body.0)?;
        let mut f = Fields(&response);
        let (_throttle, _topics, _name) = (f.i32(), f.i32(), f.string());
        let (_partitions, _index, error) = (f.i32(), f.i32(), f.i16());
        let _timestamp = f.i64();
        Ok((error, f.i64()))
    }

    /// A Fetch request body (version 11), no session.
    pub fn fetch_body(topic: &str, partition: i32, offset: i64, max_bytes: i32) -> Vec<u8> {
        let body = Bytes::new().i32(-1).i32(500).i32(1).i32(max_bytes).i8(0).i32(0).i32(-1);
        let body = body.i32(1).string(topic).i32(1).i32(partition).i32(-1).i64(offset).i64(-1);
        body.i32(max_bytes).i32(0).string("").0
    }

    /// Fetches from one partition: error code, high watermark and records.
    pub fn fetch(
        &mut self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> io::Result<(i16, i64, Vec<u8>)> {
        let body = Self::fetch_body(topic, partition, offset, 1 << 20);
        let response = self.call(key::FETCH, 11, &body)?;
        let mut f = Fields(&response);
        let (_throttle, _error, _session) = (f.i32(), f.i16(), f.i32());
        let (_topics, _name, _partitions, _index) = (f.i32(), f.string(), f.i32(), f.i32());
        let (error, high_watermark) = (f.i16(), f.i64());
        let (_stable, _start) = (f.i64(), f.i64());
        let aborted = f.i32();
        assert!(aborted <= 0, "aborted transactions");
        let _preferred = f.i32();
        Ok((error, high_watermark, f.bytes().to_vec()))
    }
}
