//! Every shard listens on the same address; the kernel spreads new connections over them.

use super::socket::{Socket, accept};
use super::state::Shard;
use super::transport::Transport;
use crate::broker::Phase;
use rustix::net::Shutdown;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;
use std::sync::atomic::Ordering;

/// Connections accepted in one go.
const AT_ONCE: usize = 16;
/// After an error that is not one connection's, it is tried again after this, ms.
const PAUSE_MS: i64 = 100;

/// What is to follow on an attempt to accept.
pub enum Accepted {
    /// There may be more at once.
    More,
    /// The ring tells when somebody comes.
    All,
    /// It is tried again at this time, ms.
    Later(i64),
}

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

    /// Accepts those who wait, some at a time.
    pub fn accept(&self, shard: &Rc<Shard>) -> Accepted {
        for _ in 0..AT_ONCE {
            if shard.phase() != Phase::Serving {
                return Accepted::All;
            }
            match accept(&self.0) {
                Ok(Some(fd)) => {
                    shard.common.counters.accepted.fetch_add(1, Ordering::Relaxed);
                    let Some(peer) = peer_of(&fd) else { continue };
                    shard.accept(peer, Transport::plain(Socket::new(fd)));
                }
                Ok(None) => return Accepted::All,
                Err(e) => {
                    // Out of descriptors, most likely: some will be free later.
                    tracing::warn!("cannot accept: {e}");
                    return Accepted::Later(shard.common.now().monotonic_ms + PAUSE_MS);
                }
            }
        }
        Accepted::More
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
