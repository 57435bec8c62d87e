//! The pulse of each shard, and a thread that feels it.
//!
//! A shard that does not come round within one look, 50 ms, is one of four things, and each has a
//! figure of its own:
//!
//! - *asleep with something to do*: it is parked in the runtime, and its ring is readable all the same.
//!   That must not happen; `runtime.rs` says why it does not. It is counted and the thread gets a signal,
//!   which ends `io_uring_enter(2)`, so that a fault costs 50 ms and not the shard;
//! - *held* by a task: its thread ran all the time;
//! - *blocked* in a system call that should not block. One may be the runtime's sleep, so it gets the
//!   signal as well: `rounds.rs` ends that sooner;
//! - *without a processor*: others of the machine had it (`/proc/PID/schedstat`), or the machine's
//!   host did (`steal` in `/proc/stat`).

use super::interrupt;
use std::fs;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often it is felt.
const LOOK: Duration = Duration::from_millis(50);

/// Of one shard.
#[derive(Debug)]
pub struct Pulse {
    /// The shard's thread, in the kernel's numbering; 0 before it runs and after.
    thread: AtomicI32,
    /// The ring that wakes it; -1 before there is one and after.
    ring: AtomicI32,
    /// Even while it is awake, odd while it is parked; grows with each turn.
    beats: AtomicU64,
    missed: AtomicU64,
    held: AtomicU64,
    blocked: AtomicU64,
    displaced: AtomicU64,
}

/// How often a shard did not come round, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stalls {
    /// It slept with something to do.
    pub missed: u64,
    /// A task took that long.
    pub held: u64,
    /// A system call did.
    pub blocked: u64,
    /// It had no processor.
    pub displaced: u64,
}

/// Where a thread's time has gone, ns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Times {
    /// On a processor, as the machine sees it.
    ran: u64,
    /// Ready, and waiting for one.
    waited: u64,
    /// Taken from all processors of the machine by its host, where that is known.
    stolen: Option<u64>,
}

/// What a look at a shard has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Look {
    beats: u64,
    /// Its ring was readable.
    readable: bool,
    times: Times,
}

/// Why a shard that is awake has not come round in `passed` ns.
#[derive(Debug, PartialEq, Eq)]
enum Cause {
    Held,
    Blocked,
    Displaced,
}

impl Cause {
    fn of(before: Times, after: Times, passed: u64) -> Self {
        let waited = after.waited.saturating_sub(before.waited);
        let stolen = after.stolen.zip(before.stolen).map_or(0, |(a, b)| a.saturating_sub(b));
        let ran = after.ran.saturating_sub(before.ran).saturating_sub(stolen);
        if ran > passed / 2 {
            Self::Held
        } else if waited + stolen > passed / 4 {
            Self::Displaced
        } else {
            Self::Blocked
        }
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            thread: AtomicI32::new(0),
            ring: AtomicI32::new(-1),
            beats: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            held: AtomicU64::new(0),
            blocked: AtomicU64::new(0),
            displaced: AtomicU64::new(0),
        }
    }
}

impl Pulse {
    /// The calling thread is the shard's from here on, and this is readable when it is to wake.
    pub fn begin(&self, ring: RawFd) {
        // SAFETY: a call without arguments that cannot fail.
        let thread = unsafe { libc::gettid() };
        self.ring.store(ring, Ordering::Relaxed);
        self.thread.store(thread, Ordering::Release);
    }

    /// The shard has come round.
    pub fn beat(&self) {
        self.step(2);
    }

    /// The shard is going to be parked until its ring is readable.
    pub fn park(&self) {
        self.step(1);
    }

    /// The shard is awake again.
    pub fn wake(&self) {
        self.step(1);
    }

    fn is_awake(&self) -> bool {
        self.beats.load(Ordering::Relaxed) % 2 == 0
    }

    fn step(&self, by: u64) {
        // The shard's thread alone writes it.
        self.beats.store(self.beats.load(Ordering::Relaxed) + by, Ordering::Relaxed);
    }

    /// The shard has ended; the ring is not closed before this.
    pub fn end(&self) {
        self.thread.store(0, Ordering::Release);
        self.ring.store(-1, Ordering::Relaxed);
    }

    /// How often it did not come round.
    pub fn stalls(&self) -> Stalls {
        let of = |it: &AtomicU64| it.load(Ordering::Relaxed);
        Stalls {
            missed: of(&self.missed),
            held: of(&self.held),
            blocked: of(&self.blocked),
            displaced: of(&self.displaced),
        }
    }

    /// Compares with what was seen `passed` ns before, counts what is wrong, and signals a shard that
    /// sleeps although it is to wake.
    fn feel(&self, before: Option<Look>, passed: u64, stolen: Option<u64>) -> Option<Look> {
        let thread = self.thread.load(Ordering::Acquire);
        if thread == 0 {
            return None;
        }
        let beats = self.beats.load(Ordering::Relaxed);
        let stuck = before.is_some_and(|it| it.beats == beats);
        if beats % 2 == 1 {
            let readable = stuck && is_readable(self.ring.load(Ordering::Relaxed));
            // Twice, since it may have become readable just now.
            if readable && before.is_some_and(|it| it.readable) {
                self.missed.fetch_add(1, Ordering::Relaxed);
                interrupt::send(thread);
            }
            return Some(Look { beats, readable, times: Times::default() });
        }
        let times = times_of(thread, stolen).unwrap_or_default();
        if let Some(before) = before.filter(|_| stuck) {
            let count = match Cause::of(before.times, times, passed) {
                Cause::Held => &self.held,
                Cause::Blocked => {
                    interrupt::send(thread);
                    &self.blocked
                }
                Cause::Displaced => &self.displaced,
            };
            count.fetch_add(1, Ordering::Relaxed);
        }
        Some(Look { beats, readable: false, times })
    }
}

fn is_readable(fd: RawFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    if fd < 0 {
        return false;
    }
    // SAFETY: the shard says before it closes the ring; one that it closes right now is another's
    // descriptor at worst, which is only looked at.
    let fd = unsafe { BorrowedFd::borrow_raw(fd) };
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&now)).is_ok_and(|n| n == 1)
}

fn times_of(thread: i32, stolen: Option<u64>) -> Option<Times> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).ok()?;
    let (ran, waited) = schedstat(&text)?;
    Some(Times { ran, waited, stolen })
}

/// `/proc/PID/schedstat`: on a processor, waiting for one, both in ns, and how often.
fn schedstat(text: &str) -> Option<(u64, u64)> {
    let mut numbers = text.split_ascii_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The eighth number of the first line of `/proc/stat`, ns; there it is in hundredths of a second.
fn stolen(text: &str) -> Option<u64> {
    let all = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: u64 = all.split_ascii_whitespace().nth(7)?.parse().ok()?;
    Some(ticks * 10_000_000)
}

/// Feels all pulses, from a thread of its own, until the process ends.
pub fn watch(pulses: Arc<[Pulse]>) -> io::Result<()> {
    interrupt::handle()?;
    let look = move || {
        let mut before: Vec<Option<Look>> = vec![None; pulses.len()];
        let mut last = Instant::now();
        loop {
            std::thread::sleep(LOOK);
            let passed = last.elapsed();
            last += passed;
            // Not on an idle machine of many processors: it is a long file there.
            let stolen =
                pulses.iter().any(Pulse::is_awake).then(|| fs::read_to_string("/proc/stat"));
            let stolen = stolen.and_then(Result::ok).and_then(|it| self::stolen(&it));
            for (pulse, before) in pulses.iter().zip(&mut before) {
                *before = pulse.feel(*before, passed.as_nanos() as u64, stolen);
            }
        }
    };
    std::thread::Builder::new().name("klamm-pulse".into()).spawn(look).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{EventfdFlags, eventfd};
    use std::os::fd::AsRawFd;

    #[test]
    fn only_a_shard_that_is_parked_beside_a_readable_ring_is_woken() {
        interrupt::handle().expect("a handler");
        let ring = eventfd(0, EventfdFlags::NONBLOCK).expect("an eventfd");
        let pulse = Pulse::default();
        let mut look = None;
        let mut feel = || {
            look = pulse.feel(look, 50_000_000, None);
            pulse.stalls().missed
        };
        assert_eq!(feel(), 0, "not begun: nobody to signal");
        pulse.begin(ring.as_raw_fd());
        assert_eq!((feel(), feel(), feel()), (0, 0, 0));
        pulse.park();
        assert_eq!((feel(), feel(), feel()), (0, 0, 0), "it has nothing to do");
        rustix::io::write(&ring, &1u64.to_ne_bytes()).expect("readable");
        assert_eq!(feel(), 0, "it may be waking");
        assert_eq!(feel(), 1);
        pulse.wake();
        pulse.beat();
        pulse.park();
        assert_eq!((feel(), feel()), (1, 1), "it was awake in between");
        assert_eq!(feel(), 2);
        pulse.wake();
        pulse.end();
        assert_eq!((feel(), feel()), (2, 2));
    }

    #[test]
    fn tells_why_a_shard_that_is_awake_has_not_come_round() {
        let ms = |ran: u64, waited: u64, stolen: u64| Times {
            ran: ran * 1_000_000,
            waited: waited * 1_000_000,
            stolen: Some(stolen * 1_000_000),
        };
        let cause = |after| Cause::of(ms(100, 10, 70), after, 50_000_000);
        assert_eq!(cause(ms(150, 10, 70)), Cause::Held);
        assert_eq!(cause(ms(101, 59, 70)), Cause::Displaced);
        // A guest's clock runs on while its host has the processor.
        assert_eq!(cause(ms(150, 10, 120)), Cause::Displaced);
        assert_eq!(cause(ms(101, 10, 70)), Cause::Blocked);
        let unknown = Times { stolen: None, ..ms(150, 10, 0) };
        assert_eq!(cause(unknown), Cause::Held);
    }

    #[test]
    fn reads_what_the_kernel_writes() {
        assert_eq!(schedstat("123 45 6\n"), Some((123, 45)));
        assert_eq!(schedstat(""), None);
        assert_eq!(stolen("cpu  1 2 3 4 5 6 7 8 9 10\ncpu0 1\n"), Some(80_000_000));
        assert_eq!(stolen("intr 1"), None);
        // SAFETY: a call without arguments that cannot fail.
        let thread = unsafe { libc::gettid() };
        assert!(times_of(thread, None).is_some());
    }
}
