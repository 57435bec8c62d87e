//! One client's connection: moves bytes between its socket and the broker, and decides nothing.
//!
//! The shard calls [`Connection::read`] when there may be something to read. Answers leave from
//! wherever the last one that was missing came from, with one vectored send; the ring tells when a
//! full socket takes more.

use super::state::Shard;
use super::transport::Transport;
use crate::broker::connection::Admitted;
use crate::broker::{ConnectionId, Input};
use crate::storage::device::uring::Interest;
use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

/// Slices in one send.
const SLICES_MAX: usize = 256;

/// Bytes in one send. A socket on a fast network takes MBs at once, which the kernel copies meanwhile: the
/// answers of others would wait for that.
const PIECE: usize = 512 << 10;

/// Who goes on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// The shard: there may be something.
    Now,
    /// The ring tells when there is something.
    Watched,
    /// The broker tells when it has room.
    Stopped,
    /// Nobody: the client has closed its side, or it has failed.
    Ended,
}

/// See the module.
pub struct Connection {
    /// Its name in the broker.
    pub id: ConnectionId,
    transport: Transport,
    reading: Cell<Reading>,
    closed: Cell<bool>,
    /// The ring tells when the socket takes more.
    writing: Cell<bool>,
    /// The shard is to flush it soon.
    pub listed: Cell<bool>,
    /// Goes after the socket.
    admitted: RefCell<Option<Admitted>>,
}

/// How an attempt to read ended.
enum Attempt {
    /// So many bytes came.
    Came(usize),
    /// Nothing is there now.
    Empty,
    /// The client has closed its side.
    End,
}

/// How far an attempt to send came.
enum Sent {
    /// Nothing is left.
    All,
    /// There is more.
    Piece,
    /// There is more, and the kernel takes nothing now.
    Full,
}

/// The first of the bytes, as one send takes them.
fn piece<'a>(parts: &mut dyn Iterator<Item = &'a [u8]>) -> Vec<IoSlice<'a>> {
    let mut slices = Vec::new();
    let mut room = PIECE;
    for part in parts.take(SLICES_MAX) {
        let part = &part[..part.len().min(room)];
        slices.push(IoSlice::new(part));
        room -= part.len();
        if room == 0 {
            break;
        }
    }
    slices
}

impl Connection {
    /// A connection that the broker has accepted. It is to be [`read`](Self::read).
    pub fn new(id: ConnectionId, transport: Transport) -> Rc<Self> {
        Rc::new(Self {
            id,
            transport,
            reading: Cell::new(Reading::Now),
            closed: Cell::new(false),
            writing: Cell::new(false),
            listed: Cell::new(false),
            admitted: RefCell::default(),
        })
    }

    /// The broker has room for more.
    pub fn resume(self: &Rc<Self>, shard: &Shard) {
        if self.reading.get() == Reading::Stopped {
            self.reading.set(Reading::Now);
            shard.read_later(self.clone());
        }
    }

    /// The broker has ended it.
    pub fn close(&self, admitted: Option<Admitted>) {
        self.closed.set(true);
        *self.admitted.borrow_mut() = admitted;
        self.transport.shutdown();
    }

    /// The socket is ready for what it was watched for.
    pub fn ready(self: &Rc<Self>, shard: &Rc<Shard>, interest: Interest) {
        match interest {
            Interest::Read => {
                self.transport.readable();
                self.reading.set(Reading::Now);
                shard.read_later(self.clone());
            }
            Interest::Write => {
                self.writing.set(false);
                self.flush(shard);
            }
        }
    }

    /// Sends a piece of what is outgoing; the rest soon, or when the kernel takes more.
    pub fn flush(self: &Rc<Self>, shard: &Rc<Shard>) {
        if self.writing.get() || self.closed.get() {
            return;
        }
        match self.send(shard) {
            Ok(Sent::All) => {}
            Ok(Sent::Piece) => shard.flush_rest(self.clone()),
            Ok(Sent::Full) => {
                self.writing.set(true);
                shard.watch(self, self.transport.event(), Interest::Write);
            }
            Err(_) => shard.input(Input::Failed(self.id)),
        }
    }

    fn send(&self, shard: &Rc<Shard>) -> io::Result<Sent> {
        let sent = shard.with_broker(|broker| {
            broker.outgoing(self.id, |parts| {
                let slices = piece(parts);
                if slices.is_empty() {
                    return Ok(None);
                }
                self.transport.send(&slices).map(|sent| Some(sent.unwrap_or(0)))
            })
        })?;
        let Some(sent) = sent else { return Ok(Sent::All) };
        let more = shard.sent(self.id, sent);
        Ok(match (more, sent) {
            (false, _) => Sent::All,
            (true, 0) => Sent::Full,
            (true, _) => Sent::Piece,
        })
    }

    /// Reads once. True where it is to be called again. A panic ends this connection and no other.
    pub fn read(self: &Rc<Self>, shard: &Rc<Shard>) -> bool {
        let read = || self.read_once(shard);
        catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
            shard.caught_panic();
            self.reading.set(Reading::Ended);
            shard.input(Input::Failed(self.id));
            false
        })
    }

    fn read_once(self: &Rc<Self>, shard: &Rc<Shard>) -> bool {
        if self.closed.get() {
            return false;
        }
        let attempt = shard.with_broker(|broker| {
            broker.buffer(self.id, |mut into| {
                let n = self.transport.recv(into.spare())?;
                Ok::<_, io::Error>(match n {
                    None => Attempt::Empty,
                    Some(0) => Attempt::End,
                    Some(n) => {
                        // SAFETY: the kernel has written `n` bytes of the spare room.
                        unsafe { into.filled(n) };
                        Attempt::Came(n)
                    }
                })
            })
        });
        match attempt {
            None => {
                self.reading.set(Reading::Stopped);
                // Looking may have let a request begin, and that may make room.
                shard.input(Input::Continue);
            }
            Some(Ok(Attempt::Came(bytes))) => {
                shard.input(Input::Received { connection: self.id, bytes });
                return !self.closed.get();
            }
            Some(Ok(Attempt::Empty)) => {
                shard.input(Input::Blocked(self.id));
                if !self.closed.get() {
                    self.reading.set(Reading::Watched);
                    shard.watch(self, self.transport.event(), Interest::Read);
                }
            }
            Some(Ok(Attempt::End)) => {
                self.reading.set(Reading::Ended);
                shard.input(Input::HungUp(self.id));
            }
            Some(Err(_)) => {
                self.reading.set(Reading::Ended);
                shard.input(Input::Failed(self.id));
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_the_first_of_the_bytes() {
        let large = vec![7; PIECE];
        let lens = |parts: &[&[u8]]| -> Vec<usize> {
            piece(&mut parts.iter().copied()).iter().map(|it| it.len()).collect()
        };
        assert_eq!(lens(&[]), [0; 0]);
        assert_eq!(lens(&[b"ab", b"cde"]), [2, 3]);
        assert_eq!(lens(&[b"ab", &large, b"c"]), [2, PIECE - 2]);
        assert_eq!(lens(&[&large, b"c"]), [PIECE]);
        assert_eq!(lens(&[b"a".as_slice(); 2 * SLICES_MAX]), [1; SLICES_MAX]);
    }
}
