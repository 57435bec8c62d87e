//! Wakes a shard's thread from another one.
//!
//! A shard that is going to sleep says so, and *then* looks at its messages once more; whoever sends
//! puts the message there, and *then* looks whether the shard sleeps. Each has a full fence in between,
//! so at least one of the two sees the other, and no message is slept over. A shard that is awake costs
//! its senders no system call.

use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// See the module.
#[derive(Debug)]
pub struct Bell {
    event: OwnedFd,
    asleep: AtomicBool,
}

impl Bell {
    /// A bell that nobody has rung.
    pub fn new() -> io::Result<Arc<Self>> {
        let event = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Arc::new(Self { event, asleep: AtomicBool::new(false) }))
    }

    /// Wakes the shard if it sleeps, or is going to. Called after what it is to find is there.
    pub fn ring(&self) {
        fence(Ordering::SeqCst);
        if self.asleep.load(Ordering::Relaxed) && self.asleep.swap(false, Ordering::Relaxed) {
            // It fails where the counter is full: then it is readable all the same.
            let _ = rustix::io::write(&self.event, &1u64.to_ne_bytes());
        }
    }

    /// The shard is going to sleep. It looks at its messages after this call, and before it sleeps.
    pub fn lie_down(&self) {
        self.asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The shard is awake.
    pub fn get_up(&self) {
        self.asleep.store(false, Ordering::Relaxed);
    }

    /// Readable once somebody has rung, until [`still`](Self::still).
    pub fn event(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    /// Makes it not readable again.
    pub fn still(&self) {
        // It fails where nobody has rung.
        let _ = rustix::io::read(&self.event, &mut [0u8; 8]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    fn rings(bell: &Bell) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&bell.event, PollFlags::IN)], Some(&now)).unwrap() == 1
    }

    #[test]
    fn only_a_shard_that_lies_down_is_woken_and_once() {
        let bell = Bell::new().unwrap();
        bell.ring();
        assert!(!rings(&bell));
        bell.lie_down();
        bell.ring();
        assert!(rings(&bell));
        bell.still();
        bell.ring();
        assert!(!rings(&bell), "once for each time");
        bell.lie_down();
        bell.get_up();
        bell.ring();
        assert!(!rings(&bell));
    }

    /// Two threads, one message at a time: whoever lies down has seen the message, or is woken.
    #[test]
    fn no_message_is_slept_over() {
        let bell = Bell::new().unwrap();
        let (tx, rx) = std::sync::mpsc::channel();
        let sleeper = bell.clone();
        let thread = std::thread::spawn(move || {
            let mut next = 0u32;
            while next < 20_000 {
                sleeper.lie_down();
                let mut got = rx.try_recv();
                if got.is_err() {
                    let long = Timespec { tv_sec: 60, tv_nsec: 0 };
                    let woken =
                        poll(&mut [PollFd::new(&sleeper.event, PollFlags::IN)], Some(&long));
                    assert_eq!(woken.unwrap(), 1, "slept over message {next}");
                    sleeper.still();
                    got = rx.try_recv();
                }
                sleeper.get_up();
                if let Ok(number) = got {
                    assert_eq!(number, next);
                    next += 1;
                }
            }
        });
        for number in 0..20_000 {
            tx.send(number).unwrap();
            bell.ring();
            if number % 7 == 0 {
                std::thread::yield_now();
            }
        }
        thread.join().unwrap();
    }
}
