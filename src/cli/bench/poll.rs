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
        let timeout = Timespec {
            tv_sec: (timeout_ns / 1_000_000_000) as i64,
            tv_nsec: (timeout_ns % 1_000_000_000) as i64,
        };
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Err(Errno::INTR) => Ok(0),
            other => Ok(other?),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// A request of an open loop would leave late by what the wait is rounded up by, and be charged with it.
    #[test]
    fn a_wait_is_not_rounded_up_to_milliseconds() {
        let mut poll = Poll::new(std::iter::empty()).unwrap();
        let fastest = (0..200).map(|_| {
            let begun = Instant::now();
            assert_eq!(poll.wait(20_000).unwrap(), 0);
            begun.elapsed()
        });
        assert!(fastest.min() < Some(Duration::from_millis(1)));
    }
}
