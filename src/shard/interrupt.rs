//! A signal that does nothing but end a system call in which a thread sleeps. Calls that can be restarted are.

use super::errno::check;
use std::io;
use std::ptr::null_mut;

/// Ignored unless somebody handles it, and meant for nothing else in a process that does not use
/// out-of-band data.
const SIGNAL: libc::c_int = libc::SIGURG;

extern "C" fn nothing(_: libc::c_int) {}

/// Has the signal handled, in the whole process: one that is ignored ends no sleep.
pub fn handle() -> io::Result<()> {
    // SAFETY: all zeros is a valid `sigaction`; the handler does nothing, which is allowed anywhere.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(SIGNAL, &raw const action, null_mut())
    };
    check(result)
}

/// Ends a sleep of this thread.
pub fn send(thread: i32) {
    // SAFETY: no pointers. A thread that has just ended is an error that nobody needs.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
}

/// Ends sleeps of the thread that has made it, while it is set.
pub struct Repeated(libc::timer_t);

impl Repeated {
    /// For this thread; not set.
    pub fn new() -> io::Result<Self> {
        handle()?;
        let mut timer = null_mut();
        // SAFETY: all zeros is a valid `sigevent`; both pointers are to what lives for as long as the call.
        let result = unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = SIGNAL;
            event.sigev_notify_thread_id = libc::gettid();
            libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer)
        };
        check(result)?;
        Ok(Self(timer))
    }

    /// Has it go off again and again, each time after so long, ns; 0 stops it.
    pub fn set(&self, after: i64) -> io::Result<()> {
        let after = libc::timespec { tv_sec: 0, tv_nsec: after };
        let times = libc::itimerspec { it_interval: after, it_value: after };
        // SAFETY: the timer is there until this is dropped.
        check(unsafe { libc::timer_settime(self.0, 0, &raw const times, null_mut()) })
    }
}

impl Drop for Repeated {
    fn drop(&mut self) {
        // SAFETY: nobody else has it.
        unsafe { libc::timer_delete(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A signal that is lost between two looks is followed by another.
    #[test]
    fn it_ends_one_sleep_after_the_other_until_it_is_stopped() {
        let timer = Repeated::new().unwrap();
        timer.set(1_000_000).unwrap();
        let forever = || {
            // SAFETY: no descriptors are looked at.
            let result = unsafe { libc::poll(null_mut(), 0, -1) };
            (result, io::Error::last_os_error().kind())
        };
        for _ in 0..3 {
            assert_eq!(forever(), (-1, io::ErrorKind::Interrupted));
        }
        timer.set(0).unwrap();
        // SAFETY: no descriptors are looked at.
        assert_eq!(unsafe { libc::poll(null_mut(), 0, 20) }, 0, "nothing goes off any more");
    }
}
