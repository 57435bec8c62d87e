//! Signals that end a command, and a reader that has closed the output's pipe.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;
use std::io::Stdout;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The signal that came, 0 for none.
static STOP: AtomicUsize = AtomicUsize::new(0);
/// A signal came; the next one ends the program.
static CAUGHT: AtomicBool = AtomicBool::new(false);

/// From now on the first SIGINT, SIGTERM or SIGHUP only makes [`stopped`] say so, and ends a wait; the
/// second ends the program.
pub fn catch() {
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // Actions run in this order, so the first signal finds the flag unset.
        flag::register_conditional_default(signal, &CAUGHT)
            .and_then(|_| flag::register(signal, &CAUGHT))
            .and_then(|_| flag::register_usize(signal, &STOP, signal as usize))
            .expect("these signals can be caught");
    }
}

/// The signal that asked the program to stop.
pub fn stopped() -> Option<i32> {
    match STOP.load(Ordering::Relaxed) {
        0 => None,
        signal => Some(signal as i32),
    }
}

/// The exit code of a program that a signal ended, as shells and Java have it: 130 for Ctrl-C.
pub fn exit_code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(1)
}

/// Whether the reader of a pipe has left: a follower with nothing to print would never notice.
pub fn reader_left(stdout: &Stdout) -> bool {
    let mut watched = [PollFd::new(stdout, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let ready = poll(&mut watched, Some(&now)).unwrap_or(0);
    ready > 0 && watched[0].revents().contains(PollFlags::ERR)
}
