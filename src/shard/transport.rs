//! What a connection's bytes travel over: a plain socket now, TLS later.

use super::socket::Socket;
use std::cell::Cell;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

/// See the module. An enum and not a trait: there are exactly these.
pub enum Transport {
    /// The socket's bytes are the client's.
    Plain {
        /// The socket.
        socket: Socket,
        /// It has handed over less than there was room for: there is no more. That is true of a plain
        /// socket alone; a record of TLS ends wherever it ends.
        drained: Cell<bool>,
    },
}

impl Transport {
    /// Over a plain socket.
    pub fn plain(socket: Socket) -> Self {
        Self::Plain { socket, drained: Cell::new(false) }
    }

    /// Reads what is there: `None` where nothing is, 0 where the peer has closed its side.
    pub fn recv(&self, into: &mut [MaybeUninit<u8>]) -> io::Result<Option<usize>> {
        match self {
            Self::Plain { socket, drained } => {
                if drained.take() {
                    return Ok(None);
                }
                let n = socket.recv(into)?;
                drained.set(n.is_some_and(|n| n > 0 && n < into.len()));
                Ok(n)
            }
        }
    }

    /// Sends as much as is taken now: `None` where that is nothing.
    pub fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        match self {
            Self::Plain { socket, .. } => socket.send(parts),
        }
    }

    /// What the ring watches.
    pub fn event(&self) -> BorrowedFd<'_> {
        match self {
            Self::Plain { socket, .. } => socket.as_fd(),
        }
    }

    /// There may be more to read than was known.
    pub fn readable(&self) {
        match self {
            Self::Plain { drained, .. } => drained.set(false),
        }
    }

    /// Ends both directions; it is ready from then on.
    pub fn shutdown(&self) {
        match self {
            Self::Plain { socket, .. } => socket.shutdown(),
        }
    }
}
