//! Connections that are waited for together: what a consumer and a producer send on.
//!
//! A [`Lane`] is one connection to one broker. Requests go out in order and their answers come back
//! in order; several may be under way. [`Channels::poll`] moves bytes for all lanes in one `poll(2)`
//! and gives back what has happened. Frames come out of a pool: [`Channels::recycle`] returns them.

use super::protocol::{ApiRequest, Protocol, Reply, frame_len};
use super::{ClientError, Transport};
use rustix::event::{PollFd, PollFlags, Timespec};
use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

/// Which connection: a broker has one for data and, if it coordinates the group, another, since a
/// broker answers the requests of a connection in order and a JoinGroup may take minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Produce and Fetch, by the broker's node id.
    Data(i32),
    /// The group's coordinator, by its node id.
    Group(i32),
}

/// What has happened on a lane.
#[derive(Debug)]
pub enum LaneEvent {
    /// The answer to the request that was sent with this tag.
    Reply {
        /// The lane.
        lane: Lane,
        /// What [`Channels::send`] was given.
        tag: u64,
        /// The answer.
        reply: Reply,
    },
    /// The connection is gone, and with it the answers to these requests.
    Lost {
        /// The lane.
        lane: Lane,
        /// Tags of the requests that have no answer, in the order of their sending.
        tags: Vec<u64>,
        /// Why.
        error: ClientError,
    },
}

/// Several connections. Buffers grow to what they are used for, and stay.
#[derive(Debug, Default)]
pub struct Channels {
    lanes: BTreeMap<Lane, Channel>,
    /// Frames that were read and are free again.
    spare: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Channel {
    stream: TcpStream,
    address: String,
    protocol: Protocol,
    /// What is to be written, from `out_at` on.
    out: Vec<u8>,
    out_at: usize,
    prefix: [u8; 4],
    /// Bytes of the current frame that were read, its prefix of four included.
    got: usize,
    frame: Vec<u8>,
    waiting: VecDeque<(u64, Instant, Duration)>,
}

/// Frames kept for the next answers; two for each of a few brokers.
const SPARE_FRAMES: usize = 8;
/// Bytes read from one socket before the others have their turn.
const TURN_BYTES: usize = 8 << 20;

impl Channels {
    /// Whether there is such a connection.
    pub fn has(&self, lane: Lane) -> bool {
        self.lanes.contains_key(&lane)
    }

    /// Takes over a connection that has agreed on versions.
    pub fn add(&mut self, lane: Lane, transport: Transport) -> Result<(), ClientError> {
        let (stream, address, protocol) = transport.into_parts();
        stream
            .set_nonblocking(true)
            .map_err(|e| ClientError::Broken { address: address.clone(), why: e.to_string() })?;
        let channel = Channel {
            stream,
            address,
            protocol,
            out: Vec::new(),
            out_at: 0,
            prefix: [0; 4],
            got: 0,
            frame: Vec::new(),
            waiting: VecDeque::new(),
        };
        self.lanes.insert(lane, channel);
        Ok(())
    }

    /// Closes a connection; its requests get no answer and no event.
    pub fn close(&mut self, lane: Lane) {
        self.lanes.remove(&lane);
    }

    /// How long the oldest request of each lane is without an answer.
    pub fn silence(&self) -> impl Iterator<Item = (Lane, Duration)> {
        let now = Instant::now();
        self.lanes.iter().filter_map(move |(lane, channel)| {
            let (_, sent, _) = channel.waiting.front()?;
            Some((*lane, now.saturating_duration_since(*sent)))
        })
    }

    /// Gives a connection up: its requests get no answer, which is an event.
    pub fn give_up(&mut self, lane: Lane, events: &mut Vec<LaneEvent>) {
        let Some(channel) = self.lanes.remove(&lane) else { return };
        let error = channel.broken("another broker does its work now");
        let tags = channel.waiting.into_iter().map(|(tag, ..)| tag).collect();
        events.push(LaneEvent::Lost { lane, tags, error });
    }

    /// The version that an `R` is sent in.
    ///
    /// # Errors
    /// The broker and this client have none in common, or there is no such lane.
    pub fn version<R: ApiRequest>(&self, lane: Lane) -> Result<i16, ClientError> {
        self.lanes.get(&lane).ok_or_else(gone)?.protocol.version::<R>()
    }

    /// Number of requests that have no answer yet.
    pub fn in_flight(&self, lane: Lane) -> usize {
        self.lanes.get(&lane).map_or(0, |c| c.waiting.len())
    }

    /// Puts a request into the lane's buffer; [`Channels::poll`] writes it. Without an answer within
    /// `timeout` the lane is lost.
    pub fn send<R: ApiRequest>(
        &mut self,
        lane: Lane,
        tag: u64,
        request: &R,
        timeout: Duration,
    ) -> Result<(), ClientError> {
        let channel = self.lanes.get_mut(&lane).ok_or_else(gone)?;
        channel.protocol.request_into(request, true, &mut channel.out)?;
        channel.waiting.push_back((tag, Instant::now(), timeout));
        Ok(())
    }

    /// As [`Channels::send`] for a request that has no answer: Produce with acks=0.
    pub fn send_only<R: ApiRequest>(&mut self, lane: Lane, request: &R) -> Result<(), ClientError> {
        let channel = self.lanes.get_mut(&lane).ok_or_else(gone)?;
        channel.protocol.request_into(request, false, &mut channel.out)
    }

    /// Bytes that wait to be written to the lane.
    pub fn unsent(&self, lane: Lane) -> usize {
        self.lanes.get(&lane).map_or(0, |c| c.out.len() - c.out_at)
    }

    /// Returns the memory of an answer to the pool.
    pub fn recycle(&mut self, reply: Reply) {
        if self.spare.len() < SPARE_FRAMES {
            self.spare.push(reply.into_frame());
        }
    }

    /// Waits up to `timeout` for something to happen, at `also` (readable) or on a lane, and moves
    /// what can be moved. Returns whether `also` is readable. A signal ends the wait early.
    pub fn poll(
        &mut self,
        timeout: Duration,
        also: Option<BorrowedFd<'_>>,
        events: &mut Vec<LaneEvent>,
    ) -> bool {
        let now = Instant::now();
        let mut wait = timeout;
        let mut polled = Vec::with_capacity(self.lanes.len() + 1);
        for channel in self.lanes.values() {
            let mut wanted = PollFlags::IN;
            wanted.set(PollFlags::OUT, channel.out_at < channel.out.len());
            polled.push(PollFd::new(&channel.stream, wanted));
            if let Some((_, sent, limit)) = channel.waiting.front() {
                wait = wait.min(limit.saturating_sub(now.saturating_duration_since(*sent)));
            }
        }
        if let Some(fd) = also {
            polled.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
        // Rounded up: a wait of 0.4 ms must not become a loop.
        let ms = i32::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(i32::MAX);
        let wait =
            Timespec { tv_sec: i64::from(ms / 1000), tv_nsec: i64::from(ms % 1000) * 1_000_000 };
        if rustix::event::poll(&mut polled, Some(&wait)).is_err() {
            return false;
        }
        let also_ready = also.is_some() && polled.last().is_some_and(|p| !p.revents().is_empty());
        let happened: Vec<PollFlags> = polled.iter().map(PollFd::revents).collect();
        let mut lost = Vec::new();
        for ((lane, channel), happened) in self.lanes.iter_mut().zip(happened) {
            let mut result = Ok(());
            if happened.contains(PollFlags::OUT) {
                result = channel.write();
            }
            if result.is_ok() && !happened.difference(PollFlags::OUT).is_empty() {
                result = channel.read(*lane, &mut self.spare, events);
            }
            let late = channel.waiting.front().is_some_and(|(_, sent, limit)| {
                Instant::now().saturating_duration_since(*sent) >= *limit
            });
            if result.is_ok() && late {
                let seconds = channel.waiting.front().map_or(0, |(.., limit)| limit.as_secs());
                let address = channel.address.clone();
                result = Err(ClientError::NoAnswer { address, seconds });
            }
            if let Err(error) = result {
                lost.push((*lane, error));
            }
        }
        for (lane, error) in lost {
            let channel = self.lanes.remove(&lane);
            let tags = channel
                .map_or_else(Vec::new, |c| c.waiting.into_iter().map(|(tag, ..)| tag).collect());
            events.push(LaneEvent::Lost { lane, tags, error });
        }
        also_ready
    }
}

fn gone() -> ClientError {
    ClientError::Broken { address: "the broker".to_owned(), why: "it is closed".to_owned() }
}

impl Channel {
    fn write(&mut self) -> Result<(), ClientError> {
        while self.out_at < self.out.len() {
            match self.stream.write(&self.out[self.out_at..]) {
                Ok(0) => return Err(self.broken("the broker closed it")),
                Ok(n) => self.out_at += n,
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(self.broken(&plain(&e))),
            }
        }
        self.out.clear();
        self.out_at = 0;
        Ok(())
    }

    fn read(
        &mut self,
        lane: Lane,
        spare: &mut Vec<Vec<u8>>,
        events: &mut Vec<LaneEvent>,
    ) -> Result<(), ClientError> {
        let mut turn = 0;
        while turn < TURN_BYTES {
            let into = if self.got < 4 {
                &mut self.prefix[self.got..]
            } else {
                &mut self.frame[self.got - 4..]
            };
            match self.stream.read(into) {
                Ok(0) => return Err(self.broken("the broker closed it")),
                Ok(n) => {
                    self.got += n;
                    turn += n;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => return Err(self.broken(&plain(&e))),
            }
            if self.got == 4 {
                let len = frame_len(self.prefix)
                    .map_err(|why| ClientError::NotKafka { address: self.address.clone(), why })?;
                self.frame = spare.pop().unwrap_or_default();
                // What a frame of the pool has already is not cleared again.
                self.frame.resize(len, 0);
            }
            if self.got > 4 && self.got - 4 == self.frame.len() {
                self.got = 0;
                let reply = self.protocol.answered(std::mem::take(&mut self.frame))?;
                let (tag, ..) = self.waiting.pop_front().ok_or_else(gone)?;
                // The next answer's time runs from now: the broker was busy with this one.
                if let Some((_, sent, _)) = self.waiting.front_mut() {
                    *sent = Instant::now();
                }
                events.push(LaneEvent::Reply { lane, tag, reply });
            }
        }
        Ok(())
    }

    fn broken(&self, why: &str) -> ClientError {
        ClientError::Broken { address: self.address.clone(), why: why.to_owned() }
    }
}

fn plain(e: &std::io::Error) -> String {
    let text = e.to_string();
    text.split(" (os error").next().unwrap_or(&text).replace('\n', " ")
}
