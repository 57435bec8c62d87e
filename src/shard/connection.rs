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

impl Connection {
    /// A connection that the broker has accepted. It is to be [`read`](Self::read).
    pub fn new(id: ConnectionId, transport: Transport) -> Rc<Self> {
        Rc::new(Self {
            id,
            transport,
            reading: Cell::new(Reading::Now),
            closed: Cell::new(false),
            writing: Cell::new(false),
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

    /// Sends what is outgoing, as far as the kernel takes it; the rest goes when it takes more.
    pub fn flush(self: &Rc<Self>, shard: &Rc<Shard>) {
        if self.writing.get() || self.closed.get() {
            return;
        }
        match self.send(shard) {
            Ok(true) => {}
            Ok(false) => {
                self.writing.set(true);
                shard.watch(self, self.transport.event(), Interest::Write);
            }
            Err(_) => shard.input(Input::Failed(self.id)),
        }
    }

    /// False where the kernel takes no more now.
    fn send(&self, shard: &Rc<Shard>) -> io::Result<bool> {
        loop {
            let sent = shard.with_broker(|broker| {
                broker.outgoing(self.id, |parts| {
                    let slices: Vec<IoSlice<'_>> =
                        parts.take(SLICES_MAX).map(IoSlice::new).collect();
                    if slices.is_empty() {
                        return Ok(None);
                    }
                    self.transport.send(&slices).map(|sent| Some(sent.unwrap_or(0)))
                })
            })?;
            let Some(sent) = sent else { return Ok(true) };
            let more = shard.sent(self.id, sent);
            if sent == 0 || !more {
                return Ok(!more);
            }
        }
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
