//! A client's socket: non-blocking reads and writes, straight into and out of the broker's buffers. The
//! shard's ring says when it is ready.

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A connected, non-blocking TCP socket.
pub struct Socket {
    fd: OwnedFd,
}

impl Socket {
    /// Takes over an accepted socket.
    pub fn new(fd: OwnedFd) -> Self {
        // Where it fails, answers are only later.
        let _ = rustix::net::sockopt::set_tcp_nodelay(&fd, true);
        Self { fd }
    }

    /// Reads what is there: `None` where nothing is, 0 where the peer has closed.
    pub fn recv(&self, into: &mut [MaybeUninit<u8>]) -> io::Result<Option<usize>> {
        let flags = RecvFlags::DONTWAIT;
        outcome(|| rustix::net::recv(&self.fd, &mut *into, flags).map(|(_, n)| n))
    }

    /// Sends as much as the kernel takes now: `None` where that is nothing.
    pub fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        outcome(|| {
            rustix::net::sendmsg(&self.fd, parts, &mut SendAncillaryBuffer::default(), flags)
        })
    }

    /// The descriptor, for another shard.
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Ends both directions; it is ready from then on.
    pub fn shutdown(&self) {
        // An error means that it is over already.
        let _ = rustix::net::shutdown(&self.fd, Shutdown::Both);
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
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
