//! Waiting for sockets, in nanoseconds: epoll, edge-triggered.

use crate::cli::CliError;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use rustix::io::Errno;
use std::io;
use std::num::NonZeroU64;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The sockets of one thread. After an event, a socket is to be written and read until both would
/// block.
pub struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

/// Events that one wait takes.
const EVENTS_MAX: usize = 256;

impl Poll {
    /// Watches `sockets`; each is known by its place in that order.
    pub fn new<'a>(sockets: impl Iterator<Item = BorrowedFd<'a>>) -> io::Result<Self> {
        // Timers fire when they are due, not up to 50 µs later; without it, so be it.
        let _ = rustix::thread::set_current_timer_slack(NonZeroU64::new(1));
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let interest = epoll::EventFlags::IN
            | epoll::EventFlags::OUT
            | epoll::EventFlags::RDHUP
            | epoll::EventFlags::ET;
        for (i, socket) in sockets.enumerate() {
            epoll::add(&epoll, socket, epoll::EventData::new_u64(i as u64), interest)?;
        }
        Ok(Self { epoll, events: Vec::with_capacity(EVENTS_MAX) })
    }

    /// Waits at most `timeout_ns`; returns how many events there are.
    pub fn wait(&mut self, timeout_ns: u64) -> io::Result<usize> {
        match self.wait_for(timeout_ns) {
            // Linux before 5.11 knows milliseconds only.
            Err(Errno::NOSYS) => Ok(self.wait_for(timeout_ns / 1_000_000 * 1_000_000)?),
            Err(Errno::INTR) => Ok(0),
            other => Ok(other?),
        }
    }

    fn wait_for(&mut self, timeout_ns: u64) -> rustix::io::Result<usize> {
        let timeout = Timespec {
            tv_sec: (timeout_ns / 1_000_000_000) as i64,
            tv_nsec: (timeout_ns % 1_000_000_000) as i64,
        };
        self.events.clear();
        epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout))
    }

    /// The socket of the `i`th event of the last wait.
    pub fn socket(&self, i: usize) -> usize {
        self.events[i].data.u64() as usize
    }
}

/// The error for a system call on sockets that should not fail.
pub fn system(e: io::Error) -> CliError {
    CliError::Io(format!("waiting for sockets: {e}"))
}
