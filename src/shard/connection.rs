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

/// Bytes in one send. A socket on a fast network takes MBs at once, which the kernel copies meanwhile: the
/// answers of others would wait for that.
const PIECE: usize = 512 << 10;

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
    /// The shard is to send its answers soon.
    pub listed: Cell<bool>,
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
    /// A connection that the broker has accepted. It is to be read from.
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

    /// Sends a piece of what the broker has outgoing: how many bytes the kernel took, 0 where it takes no
    /// more now; `None` where nothing is outgoing.
    pub fn send(&self, broker: &mut Broker) -> io::Result<Option<usize>> {
        broker.outgoing(self.id, |parts| {
            let slices = piece(parts);
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
