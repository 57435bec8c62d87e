//! One client's connection: frames in, answers out.
//!
//! One task reads. Answers leave from wherever the last one that was missing came from, with one
//! vectored send; a task waits for the socket only while the kernel's buffer is full. Timeouts are
//! looked at once a second for all connections together, so that an idle one costs no timer.

use super::answers::{Answer, Answers, Asked};
use super::requests;
use super::socket::Socket;
use super::state::{Shard, now_ms};
use super::sync::Charge;
use crate::broker::api::Response;
use crate::broker::wait::Event;
use crate::broker::{Broker, ConnectionId, Input, Phase, Traced};
use crate::metrics::{SAMPLED, Stage};
use crate::wire::Tally;
use crate::wire::api_keys::ApiKey;
use bytes::{Buf, Bytes, BytesMut};
use futures_lite::FutureExt;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

/// Requests of one connection that may be under way.
const IN_FLIGHT_MAX: usize = 64;
/// Bytes of answers that may wait for the client before no more requests are read.
const UNSENT_MAX: usize = 1 << 20;
/// Largest request before the first one that was understood: nobody has said yet who they are.
const FIRST_FRAME_MAX: usize = 512 << 10;
/// Frames up to this come through the common buffer; larger ones have their own.
const SMALL_FRAME: usize = 16 << 10;
/// A large frame gets room for so much at first, and for all of it when that has arrived: claiming
/// much costs the client as much.
const FIRST_PIECE: usize = 1 << 20;
/// A client that takes nothing of an answer, or sends nothing of a request that it has begun, for
/// so long is closed.
const STALL_MS: i64 = 30_000;
/// Slices in one send.
const SLICES_MAX: usize = 256;

/// Why a connection is closed.
#[derive(Debug)]
pub enum Close {
    /// The client did, or the network.
    Gone,
    /// The client sent what cannot be answered; one line is logged.
    Refused(String),
}

impl From<io::Error> for Close {
    fn from(_: io::Error) -> Self {
        Self::Gone
    }
}

/// Length of the frame at the start of `buf`, without the four bytes that say it; `None` where they
/// are not there yet.
fn frame_len(buf: &[u8], max: usize) -> Result<Option<usize>, Close> {
    let Some(prefix) = buf.first_chunk::<4>() else { return Ok(None) };
    let len = i32::from_be_bytes(*prefix);
    match usize::try_from(len) {
        Ok(len) if len <= max => Ok(Some(len)),
        _ => Err(Close::Refused(format!("a request of {len} bytes; at most {max} are accepted"))),
    }
}

/// An answer on its way to the kernel.
struct Leaving {
    asked: Asked,
    traced: Option<Traced>,
    bytes: usize,
    errors: Tally,
}

/// See the module.
pub struct Connection {
    /// Its name.
    pub id: ConnectionId,
    socket: Socket,
    peer: String,
    answers: RefCell<Answers>,
    out: RefCell<VecDeque<Bytes>>,
    unsent: Cell<usize>,
    /// Bytes of all answers that were ever queued.
    queued: Cell<u64>,
    /// Answers in `out`, in order, and up to which of those bytes each goes.
    leaving: RefCell<VecDeque<(u64, Leaving)>>,
    /// When the kernel handed something over last, in ticks of the shard's clock.
    received: Cell<u64>,
    /// It handed over less than there was room for: there is no more.
    drained: Cell<bool>,
    /// A task waits for the socket to take more.
    writing: Cell<bool>,
    flush_due: Cell<bool>,
    closed: Cell<bool>,
    understood: Cell<bool>,
    /// When something was read or sent last.
    active_ms: Cell<i64>,
    /// Since when a request is incomplete, or an answer stuck.
    stalled_ms: Cell<Option<i64>>,
    /// Room in the queues, or the end.
    room: Event,
}

impl Connection {
    fn new(id: ConnectionId, socket: Socket, peer: String) -> Rc<Self> {
        Rc::new(Self {
            id,
            socket,
            peer,
            answers: RefCell::default(),
            out: RefCell::default(),
            unsent: Cell::new(0),
            queued: Cell::new(0),
            leaving: RefCell::default(),
            received: Cell::new(0),
            drained: Cell::new(false),
            writing: Cell::new(false),
            flush_due: Cell::new(false),
            closed: Cell::new(false),
            understood: Cell::new(false),
            active_ms: Cell::new(now_ms()),
            stalled_ms: Cell::new(None),
            room: Event::default(),
        })
    }

    /// A request of this API begins; its number.
    pub fn open(&self, api: ApiKey) -> u64 {
        self.understood.set(true);
        self.answers.borrow_mut().open(Asked { api, received: self.received.get() })
    }

    /// When the kernel handed over the end of what was read last, in ticks of the shard's clock.
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// A request is answered; `None` sends nothing.
    pub fn answer(
        self: &Rc<Self>,
        shard: &Shard,
        number: u64,
        response: Option<Response>,
        traced: Option<Traced>,
    ) {
        let ready = self.answers.borrow_mut().answer(number, response, traced);
        if ready && !self.flush_due.replace(true) {
            shard.flush_later(self);
        }
    }

    /// Ends the connection; what is under way for it ends unheard.
    pub fn close(&self) {
        if !self.closed.replace(true) {
            self.socket.shutdown();
            self.out.borrow_mut().clear();
            self.leaving.borrow_mut().clear();
            self.unsent.set(0);
        }
        self.room.notify();
    }

    /// Ends the connection with one line in the log.
    pub fn refuse(&self, why: &str) {
        if !self.closed.get() {
            tracing::warn!(peer = %self.peer, "closed: {why}");
        }
        self.close();
    }

    /// The client's address without its port.
    pub fn host(&self) -> &str {
        self.peer.rsplit_once(':').map_or(&self.peer, |(host, _)| host)
    }

    /// Lets the reader see that the phase has changed.
    pub fn wake_reader(&self) {
        self.room.notify();
    }

    /// Nothing is under way, and nothing is to be sent.
    pub fn is_quiet(&self) -> bool {
        self.closed.get() || (self.answers.borrow().is_empty() && self.unsent.get() == 0)
    }

    /// Closes what has been silent or stuck for too long.
    pub fn check_timeouts(&self, now_ms: i64, idle_ms: i64) {
        let busy = self.answers.borrow().pending() > 0;
        let stalled = self.stalled_ms.get().is_some_and(|since| now_ms - since > STALL_MS);
        if stalled {
            self.refuse("the client stopped in the middle of a request or an answer");
        } else if idle_ms > 0 && !busy && now_ms - self.active_ms.get() > idle_ms {
            tracing::debug!(peer = %self.peer, "closed: idle");
            self.close();
        }
    }

    /// Sends what is ready, as far as the kernel takes it; the rest goes when it takes more.
    pub fn flush(self: &Rc<Self>, shard: &Rc<Shard>) {
        self.flush_due.set(false);
        {
            let (mut answers, mut out) = (self.answers.borrow_mut(), self.out.borrow_mut());
            let mut leaving = self.leaving.borrow_mut();
            while let Some(answer) = answers.next() {
                if !self.closed.get() {
                    let Answer { asked, response, traced } = answer;
                    let bytes = response.len();
                    self.unsent.set(self.unsent.get() + bytes);
                    self.queued.set(self.queued.get() + bytes as u64);
                    out.push_back(response.head);
                    out.extend(response.rest.into_iter().filter(|it| !it.is_empty()));
                    let errors = response.errors;
                    leaving
                        .push_back((self.queued.get(), Leaving { asked, traced, bytes, errors }));
                }
            }
        }
        if !self.writing.get() {
            match self.send_some(shard) {
                Ok(true) => {}
                Ok(false) => self.write_later(shard),
                Err(_) => self.close(),
            }
        }
        self.room.notify();
        if shard.phase() != Phase::Serving {
            shard.changed.notify();
        }
    }

    /// False where the kernel takes no more now.
    fn send_some(&self, shard: &Shard) -> io::Result<bool> {
        let all = self.send_what_fits();
        self.count_sent(shard);
        all
    }

    fn send_what_fits(&self) -> io::Result<bool> {
        let mut out = self.out.borrow_mut();
        while !out.is_empty() {
            let slices: Vec<IoSlice<'_>> =
                out.iter().take(SLICES_MAX).map(|it| IoSlice::new(it)).collect();
            let Some(mut sent) = self.socket.send(&slices)? else {
                if self.stalled_ms.get().is_none() {
                    self.stalled_ms.set(Some(now_ms()));
                }
                return Ok(false);
            };
            self.stalled_ms.set(None);
            self.unsent.set(self.unsent.get() - sent);
            while sent > 0 {
                let first = out.front_mut().expect("no more was sent than there was");
                if first.len() <= sent {
                    sent -= first.len();
                    out.pop_front();
                } else {
                    first.advance(sent);
                    sent = 0;
                }
            }
        }
        self.active_ms.set(now_ms());
        if out.capacity() > 64 {
            *out = VecDeque::new();
        }
        Ok(true)
    }

    /// Counts the answers that the kernel has taken.
    fn count_sent(&self, shard: &Shard) {
        let mut leaving = self.leaving.borrow_mut();
        let sent = self.queued.get() - self.unsent.get() as u64;
        if leaving.front().is_none_or(|(end, _)| *end > sent) {
            return;
        }
        let now = shard.ticks();
        shard.with_traffic(|traffic| {
            let mut number = 0;
            while leaving.front().is_some_and(|(end, _)| *end <= sent) {
                let Some((_, it)) = leaving.pop_front() else { break };
                let ns = shard.ns(it.asked.received, now);
                traffic.response(it.asked.api, it.bytes, ns, &it.errors);
                let Some(Traced { mut stages, queued }) = it.traced else { continue };
                stages.set(Stage::Send, shard.ns(queued, now));
                if usize::is_multiple_of(number, SAMPLED) {
                    traffic.stages(
                        &[Stage::Receive, Stage::Decode, Stage::Route, Stage::Reply, Stage::Send],
                        &stages,
                    );
                }
                number += 1;
                if ns >= shard.common.slow_ns {
                    traffic.slow += 1;
                    shard.tell_slow(&self.peer, it.asked.api, ns, &stages);
                }
            }
        });
        if leaving.capacity() > 64 && leaving.is_empty() {
            *leaving = VecDeque::new();
        }
    }

    fn write_later(self: &Rc<Self>, shard: &Rc<Shard>) {
        self.writing.set(true);
        let (connection, shard) = (self.clone(), shard.clone());
        glommio::spawn_local(async move {
            while !connection.closed.get() {
                let more = match connection.socket.writable().await {
                    Ok(()) => connection.send_some(&shard),
                    Err(e) => Err(e),
                };
                match more {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(_) => connection.close(),
                }
            }
            connection.writing.set(false);
            connection.room.notify();
            if shard.phase() != Phase::Serving {
                shard.changed.notify();
            }
        })
        .detach();
    }

    /// Waits until one more request may begin.
    async fn wait_for_room(&self) -> Result<(), Close> {
        self.room
            .until(|| {
                self.closed.get()
                    || (self.answers.borrow().len() < IN_FLIGHT_MAX
                        && self.unsent.get() < UNSENT_MAX)
            })
            .await;
        if self.closed.get() { Err(Close::Gone) } else { Ok(()) }
    }

    /// Reads into the room that `buf` has left: false where the client has closed.
    async fn fill(&self, shard: &Shard, buf: &mut BytesMut, limit: usize) -> Result<bool, Close> {
        loop {
            let spare = buf.spare_capacity_mut();
            let room = spare.len().min(limit);
            let read =
                if self.drained.take() { None } else { self.socket.recv(&mut spare[..room])? };
            match read {
                Some(0) => return Ok(false),
                Some(n) => {
                    // SAFETY: the kernel has written `n` bytes of the spare room.
                    unsafe { buf.set_len(buf.len() + n) };
                    self.active_ms.set(now_ms());
                    self.received.set(shard.ticks());
                    self.drained.set(n < room);
                    if self.stalled_ms.get().is_some() && self.unsent.get() == 0 {
                        self.stalled_ms.set(None);
                    }
                    return Ok(true);
                }
                None if self.closed.get() => return Err(Close::Gone),
                None => {
                    if buf.is_empty() {
                        // An idle connection holds no buffer.
                        *buf = BytesMut::new();
                        self.socket.readable().await?;
                        buf.reserve(SMALL_FRAME);
                    } else {
                        if self.stalled_ms.get().is_none() {
                            self.stalled_ms.set(Some(now_ms()));
                        }
                        if limit == usize::MAX && buf.capacity() > 4 * buf.len() + 1024 {
                            // The little that is there waits in a little buffer: many clients may
                            // stop in the middle of a request.
                            *buf = BytesMut::from(&buf[..]);
                        }
                        self.socket.readable().await?;
                        if limit == usize::MAX {
                            buf.reserve(SMALL_FRAME);
                        }
                    }
                }
            }
        }
    }

    async fn read(self: &Rc<Self>, shard: &Rc<Shard>) -> Result<(), Close> {
        let max = shard.look(Broker::image).broker_configs.number("socket.request.max.bytes");
        let max = usize::try_from(max.unwrap_or(100 << 20)).unwrap_or(0);
        let mut buf = BytesMut::new();
        loop {
            let limit = if self.understood.get() { max } else { max.min(FIRST_FRAME_MAX) };
            let whole = match frame_len(&buf, limit)? {
                Some(len) if buf.len() >= 4 + len => Some(len),
                Some(len) if len > SMALL_FRAME => {
                    self.wait_for_room().await?;
                    let Some((frame, charges)) =
                        self.read_large(shard, std::mem::take(&mut buf), len).await?
                    else {
                        return Err(Close::Gone);
                    };
                    requests::begin(shard, self, frame, charges)?;
                    glommio::yield_if_needed().await;
                    continue;
                }
                _ => None,
            };
            if let Some(len) = whole {
                self.wait_for_room().await?;
                self.stalled_ms.set(if self.unsent.get() > 0 {
                    self.stalled_ms.get()
                } else {
                    None
                });
                let charge = shard.room.take(len).await;
                if shard.phase() != Phase::Serving {
                    return Err(Close::Gone);
                }
                let frame = buf.split_to(4 + len).freeze().slice(4..);
                requests::begin(shard, self, frame, vec![charge])?;
                glommio::yield_if_needed().await;
                continue;
            }
            if buf.capacity() - buf.len() < 1024 {
                buf.reserve(SMALL_FRAME);
            }
            if !self.fill(shard, &mut buf, usize::MAX).await? {
                return Err(Close::Gone);
            }
        }
    }

    /// Reads the rest of a large frame into a buffer of its own; `None` where the client closes in
    /// the middle.
    async fn read_large(
        &self,
        shard: &Rc<Shard>,
        begun: BytesMut,
        len: usize,
    ) -> Result<Option<(Bytes, Vec<Charge>)>, Close> {
        let whole = 4 + len;
        let piece = whole.min(FIRST_PIECE);
        let mut charges = vec![shard.room.take(piece).await];
        let mut frame = BytesMut::with_capacity(piece);
        frame.extend_from_slice(&begun);
        drop(begun);
        while frame.len() < whole {
            if frame.len() >= piece && charges.len() == 1 {
                // From a room of its own: those who wait here hold some of the first one, and must
                // not wait for each other.
                charges.push(shard.large_room.take(whole - piece).await);
                let mut all = BytesMut::with_capacity(whole);
                all.extend_from_slice(&frame);
                frame = all;
            }
            let end = if charges.len() == 1 { piece } else { whole };
            let missing = end - frame.len();
            if !self.fill(shard, &mut frame, missing).await? {
                return Ok(None);
            }
        }
        self.stalled_ms.set(None);
        if shard.phase() != Phase::Serving {
            return Err(Close::Gone);
        }
        Ok(Some((frame.freeze().slice(4..), charges)))
    }
}

/// Serves one client until it goes. A panic ends this connection and no other.
pub async fn serve(shard: Rc<Shard>, socket: Socket, peer: String) {
    let connection = Connection::new(shard.new_connection(), socket, peer);
    shard.connections.borrow_mut().insert(connection.id, connection.clone());
    let reading = AssertUnwindSafe(connection.read(&shard)).catch_unwind();
    match reading.await {
        Ok(Err(Close::Refused(why))) => connection.refuse(&why),
        Ok(_) => {
            // Answers under way still leave, unless the client is gone altogether.
            if !connection.is_quiet() {
                let done = connection.room.until(|| connection.is_quiet());
                let patience = glommio::timer::sleep(std::time::Duration::from_secs(30));
                done.or(patience).await;
            }
            connection.close();
        }
        Err(_) => {
            shard.count_panic();
            connection.refuse("a panic while reading its request");
        }
    }
    shard.connections.borrow_mut().remove(&connection.id);
    shard.input(Input::Closed(connection.id));
    shard.changed.notify();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_checked_before_anything_is_read() {
        assert!(matches!(frame_len(&[0, 0, 0], 10), Ok(None)));
        assert!(matches!(frame_len(&[0, 0, 0, 10, 1], 10), Ok(Some(10))));
        assert!(matches!(frame_len(&[0, 0, 0, 11], 10), Err(Close::Refused(_))));
        assert!(matches!(frame_len(&[255, 255, 255, 255], 10), Err(Close::Refused(_))));
        assert!(matches!(frame_len(b"GET ", 100 << 20), Err(Close::Refused(_))));
    }
}
