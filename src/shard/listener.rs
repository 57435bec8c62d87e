//! Every shard listens on the same address; the kernel spreads new connections over them.

use super::socket::{Socket, accept};
use super::transport::Transport;
use rustix::net::Shutdown;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A listening socket. Dropping it refuses who comes later.
pub struct Listener(TcpListener);

impl Listener {
    /// Of a socket that listens.
    pub fn new(socket: TcpListener) -> Self {
        Self(socket)
    }

    /// What the ring watches.
    pub fn event(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Accepts one who waits, with the address unless that client has gone already; `None` where nobody
    /// waits.
    pub fn accept(&self) -> io::Result<Option<(Transport, Option<SocketAddr>)>> {
        let Some(fd) = accept(&self.0)? else { return Ok(None) };
        let peer = peer_of(&fd);
        Ok(Some((Transport::plain(Socket::new(fd)), peer)))
    }
}

impl Drop for Listener {
    /// The ring may hold the socket a while longer; it is not to listen any more.
    fn drop(&mut self) {
        // An error means that it does not.
        let _ = rustix::net::shutdown(&self.0, Shutdown::Both);
    }
}

/// The client's address; `None` where it has gone already.
fn peer_of(fd: &OwnedFd) -> Option<SocketAddr> {
    let address = rustix::net::getpeername(fd).ok()??;
    SocketAddr::try_from(address).ok()
}
