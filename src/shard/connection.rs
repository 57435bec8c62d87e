//! One client's connection: moves bytes between its socket and the broker's buffers, and knows what is
//! waited for. `clients` says when.

use super::transport::Transport;
use crate::broker::connection::Admitted;
use crate::broker::{Broker, ConnectionId};
use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::rc::Rc;

/// Slices in one send.
const SLICES_MAX: usize = 256;

/// Who goes on reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
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
    /// Who goes on reading.
    pub reading: Cell<Reading>,
    closed: Cell<bool>,
    /// The ring tells when the socket takes more.
    pub writing: Cell<bool>,
    /// Goes after the socket.
    admitted: RefCell<Option<Admitted>>,
}

/// How an attempt to read ended.
pub enum Attempt {
    /// So many bytes came.
    Came(usize),
    /// Nothing is there now.
    Empty,
    /// The client has closed its side.
    End,
}

impl Connection {
    /// A connection that the broker has accepted. It is to be read from.
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

    /// The broker has ended it.
    pub fn close(&self, admitted: Option<Admitted>) {
        self.closed.set(true);
        *self.admitted.borrow_mut() = admitted;
        self.transport.shutdown();
    }

    /// Whether the broker has ended it.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// What the ring watches.
    pub fn event(&self) -> BorrowedFd<'_> {
        self.transport.event()
    }

    /// The socket has something to read.
    pub fn readable(&self) {
        self.transport.readable();
        self.reading.set(Reading::Now);
    }

    /// Sends some of what the broker has outgoing: how many bytes the kernel took, 0 where it takes no
    /// more now; `None` where nothing is outgoing.
    pub fn send(&self, broker: &mut Broker) -> io::Result<Option<usize>> {
        broker.outgoing(self.id, |parts| {
            let slices: Vec<IoSlice<'_>> = parts.take(SLICES_MAX).map(IoSlice::new).collect();
            if slices.is_empty() {
                return Ok(None);
            }
            self.transport.send(&slices).map(|sent| Some(sent.unwrap_or(0)))
        })
    }

    /// Reads once into the broker's room; `None` where it has none now.
    pub fn receive(&self, broker: &mut Broker) -> Option<io::Result<Attempt>> {
        broker.buffer(self.id, |mut into| {
            let n = self.transport.recv(into.spare())?;
            Ok(match n {
                None => Attempt::Empty,
                Some(0) => Attempt::End,
                Some(n) => {
                    // SAFETY: the kernel has written `n` bytes of the spare room.
                    unsafe { into.filled(n) };
                    Attempt::Came(n)
                }
            })
        })
    }
}
