//! Sockets of other brokers, as far as they have come.

use super::socket::Socket;
use super::transport::Transport;
use crate::broker::LinkId;
use crate::wire::peer::PREAMBLE;
use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

/// One connection to or from another broker.
pub struct PeerSocket {
    /// What the broker calls it.
    pub link: LinkId,
    /// Its bytes.
    pub transport: Transport,
    /// The ring tells when the socket takes more.
    pub writing: Cell<bool>,
    /// The broker has ended it.
    pub closed: Cell<bool>,
}

/// A socket on its way to be connected.
pub struct Dialled {
    /// What the broker calls it.
    pub link: LinkId,
    /// The socket.
    pub fd: OwnedFd,
}

/// Somebody has connected, and has not said yet which shard is meant.
pub struct Pending {
    /// The socket.
    pub socket: Socket,
    /// Who it is.
    pub peer: SocketAddr,
    /// So many bytes of what it says first have come, and these.
    pub preamble: RefCell<(usize, [u8; PREAMBLE])>,
    /// When it came.
    pub since: Instant,
}

impl PeerSocket {
    /// What the ring watches.
    pub fn event(&self) -> BorrowedFd<'_> {
        self.transport.event()
    }
}

impl Dialled {
    /// What the ring watches.
    pub fn event(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Pending {
    /// What the ring watches.
    pub fn event(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// An address that a name stands for, or none.
pub struct Resolved {
    /// What the broker calls it.
    pub link: LinkId,
    /// The address.
    pub address: Option<SocketAddr>,
}
