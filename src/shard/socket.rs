//! A client's socket on the shard's reactor.
//!
//! glommio's `TcpStream` would do, but it reads into initialised memory only; this reads straight
//! into the spare room of the buffer that requests are cut from.

use glommio::io::PollableFd;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A connected, non-blocking TCP socket.
pub struct Socket {
    fd: PollableFd<OwnedFd>,
}

impl Socket {
    /// Takes over an accepted socket.
    pub fn new(fd: OwnedFd) -> io::Result<Self> {
        let on: libc::c_int = 1;
        // SAFETY: the option's value is one int. Where it fails, answers are only later.
        unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                libc::IPPROTO_TCP,
                libc::TCP_NODELAY,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            );
        }
        Ok(Self { fd: PollableFd::new(fd).map_err(io::Error::other)? })
    }

    /// Reads what is there: `None` where nothing is, 0 where the peer has closed.
    pub fn recv(&self, into: &mut [MaybeUninit<u8>]) -> io::Result<Option<usize>> {
        loop {
            // SAFETY: the kernel writes at most `into.len()` bytes to it.
            let n = unsafe {
                let at = into.as_mut_ptr().cast();
                libc::recv(self.fd.as_raw_fd(), at, into.len(), libc::MSG_DONTWAIT)
            };
            if let Some(done) = outcome(n) {
                return done;
            }
        }
    }

    /// Sends as much as the kernel takes now: `None` where that is nothing.
    pub fn send(&self, parts: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        loop {
            // SAFETY: all zeros is a valid `msghdr`.
            let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
            message.msg_iov = parts.as_ptr().cast_mut().cast();
            message.msg_iovlen = parts.len() as _;
            let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
            // SAFETY: `IoSlice` is an `iovec`; the kernel only reads what they name.
            let n = unsafe { libc::sendmsg(self.fd.as_raw_fd(), &raw const message, flags) };
            if let Some(done) = outcome(n) {
                return done;
            }
        }
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
        // SAFETY: a call without pointers. An error means that it is over already.
        unsafe { libc::shutdown(self.fd.as_raw_fd(), libc::SHUT_RDWR) };
    }
}

fn outcome(n: isize) -> Option<io::Result<Option<usize>>> {
    if n >= 0 {
        return Some(Ok(Some(n as usize)));
    }
    let error = io::Error::last_os_error();
    match error.kind() {
        io::ErrorKind::Interrupted => None,
        io::ErrorKind::WouldBlock => Some(Ok(None)),
        _ => Some(Err(error)),
    }
}

/// Accepts from a listening descriptor: `None` where nobody waits.
pub fn accept(listener: &impl AsRawFd) -> io::Result<Option<OwnedFd>> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: nothing is asked about the peer's address.
    let fd = unsafe {
        libc::accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), flags)
    };
    if fd >= 0 {
        // SAFETY: just made, and owned by nobody else.
        return Ok(Some(unsafe { OwnedFd::from_raw_fd(fd) }));
    }
    let error = io::Error::last_os_error();
    match error.kind() {
        io::ErrorKind::WouldBlock
        | io::ErrorKind::Interrupted
        | io::ErrorKind::ConnectionAborted => Ok(None),
        _ => Err(error),
    }
}
