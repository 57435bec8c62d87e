//! Ctrl-C, and a reader of the output who has left.

use std::io::Stdout;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, Ordering};

static STOP: AtomicI32 = AtomicI32::new(0);

/// From now on the first SIGINT, SIGTERM or SIGHUP only makes [`stopped`] say so, and ends a wait; the
/// second ends the program.
pub fn catch() {
    extern "C" fn stop(signal: libc::c_int) {
        STOP.store(signal, Ordering::Relaxed);
    }
    // SAFETY: the handler only stores to an atomic; the structure is plain data.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = stop as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_RESETHAND;
        for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

/// The signal that asked the program to stop.
pub fn stopped() -> Option<i32> {
    match STOP.load(Ordering::Relaxed) {
        0 => None,
        signal => Some(signal),
    }
}

/// The exit code of a program that a signal ended, as shells and Java have it: 130 for Ctrl-C.
pub fn exit_code(signal: i32) -> u8 {
    u8::try_from(128 + signal).unwrap_or(1)
}

/// Whether the reader of a pipe has left: a follower with nothing to print would never notice.
pub fn reader_left(stdout: &Stdout) -> bool {
    let mut poll = libc::pollfd { fd: stdout.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one valid entry.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready > 0 && poll.revents & libc::POLLERR != 0
}
