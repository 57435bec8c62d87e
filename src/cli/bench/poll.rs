//! Waiting for sockets, in nanoseconds: epoll, edge-triggered.

use crate::cli::CliError;
use std::io::{self, ErrorKind};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// The sockets of one thread. After an event, a socket is to be written and read until both would
/// block.
#[derive(Debug)]
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poll {
    /// Watches `sockets`; each is known by its place in that order.
    pub fn new(sockets: impl Iterator<Item = RawFd>) -> io::Result<Self> {
        // SAFETY: a plain system call; nobody else owns the descriptor that it returns.
        let epoll = unsafe {
            let fd = libc::epoll_create1(libc::EPOLL_CLOEXEC);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            // Timers fire when they are due, not up to 50 µs later; without it, so be it.
            libc::prctl(libc::PR_SET_TIMERSLACK, 1);
            OwnedFd::from_raw_fd(fd)
        };
        let interest = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        for (i, socket) in sockets.enumerate() {
            let mut event = libc::epoll_event { events: interest as u32, u64: i as u64 };
            // SAFETY: both descriptors are open, and `event` outlives the call.
            let added = unsafe {
                libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, socket, &raw mut event)
            };
            if added < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(Self { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; 256] })
    }

    /// Waits at most `timeout_ns`; returns how many events there are.
    pub fn wait(&mut self, timeout_ns: u64) -> io::Result<usize> {
        let n = self.wait_ns(timeout_ns);
        if n >= 0 {
            return Ok(n as usize);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            // Linux before 5.11 knows milliseconds only.
            Some(libc::ENOSYS) => {
                let ms = i32::try_from(timeout_ns / 1_000_000).unwrap_or(i32::MAX);
                let max = self.events.len() as i32;
                let fd = self.epoll.as_raw_fd();
                // SAFETY: the buffer and its length belong together.
                let n = unsafe { libc::epoll_wait(fd, self.events.as_mut_ptr(), max, ms) };
                Ok(n.max(0) as usize)
            }
            _ if error.kind() == ErrorKind::Interrupted => Ok(0),
            _ => Err(error),
        }
    }

    fn wait_ns(&mut self, timeout_ns: u64) -> libc::c_int {
        let timeout = libc::timespec {
            tv_sec: (timeout_ns / 1_000_000_000) as i64,
            tv_nsec: (timeout_ns % 1_000_000_000) as i64,
        };
        let max = self.events.len() as i32;
        // SAFETY: the buffer and its length belong together, `timeout` outlives the call.
        unsafe {
            libc::epoll_pwait2(
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                max,
                &raw const timeout,
                std::ptr::null(),
            )
        }
    }

    /// The socket of the `i`th event of the last wait.
    pub fn socket(&self, i: usize) -> usize {
        self.events[i].u64 as usize
    }
}

/// A system call failed that should not.
pub fn system(e: std::io::Error) -> CliError {
    CliError::Io(format!("waiting for sockets: {e}"))
}
