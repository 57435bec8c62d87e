//! A client's socket on the shard's reactor.
//!
//! glommio's `TcpStream` would do, but it reads into initialised memory only; this reads straight
//! into the spare room of the buffer that requests are cut from.

use glommio::io::PollableFd;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

/// A connected, non-blocking TCP socket.
pub struct Socket {
    fd: PollableFd<OwnedFd>,
}

impl Socket {
    /// Takes over an accepted socket.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        // Where it fails, answers are only later.
        let _ = rustix::net::sockopt::set_tcp_nodelay(&fd, true);
        Ok(Self { fd: PollableFd::new(fd).map_err(io::Error::other)? })
    }

    /// Reads what is there: `None` where nothing is, 0 where the peer has closed.
    pub fn recv(&self, into: &mut [MaybeUninit<u8>]) -> io::Result<Option<usize>> {
        let flags = RecvFlags::DONTWAIT;
        outcome(|| rustix::net::recv(self.fd.get_ref(), &mut *into, flags).map(|(_, n)| n))
    }

    /// Sends as much as the kernel takes now: `None` where that is nothing.
    pub fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        outcome(|| {
            rustix::net::sendmsg(
                self.fd.get_ref(),
                parts,
                &mut SendAncillaryBuffer::default(),
                flags,
            )
        })
    }

    /// Waits until there is something to read, or the connection has failed.
    pub async fn readable(&self) -> io::Result<()> {
        self.fd.readable().await.map_err(io::Error::other)
    }

    /// Waits until the kernel takes more, or the connection has failed.
    pub async fn writable(&self) -> io::Result<()> {
        self.fd.writable().await.map_err(io::Error::other)
    }

    /// Ends both directions; whoever waits here wakes up.
    pub fn shutdown(&self) {
        // An error means that it is over already.
        let _ = rustix::net::shutdown(self.fd.get_ref(), Shutdown::Both);
    }
}

fn outcome(mut call: impl FnMut() -> rustix::io::Result<usize>) -> io::Result<Option<usize>> {
    loop {
        match call() {
            Ok(n) => return Ok(Some(n)),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
    }
}

/// Accepts from a listening descriptor: `None` where nobody waits.
pub fn accept(listener: &impl AsFd) -> io::Result<Option<OwnedFd>> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    match rustix::net::accept_with(listener, flags) {
        Ok(fd) => Ok(Some(fd)),
        Err(Errno::WOULDBLOCK | Errno::INTR | Errno::CONNABORTED) => Ok(None),
        Err(e) => Err(e.into()),
    }
}
