//! The pulse of each shard, and a thread that feels it.
//!
//! The runtime parks a shard when a round of its loop ran no task. It also runs none when its
//! preemption timer fires before the first one: on a processor that others keep busy, half a
//! millisecond passes easily between the two. Such a shard sleeps although tasks are ready, until a
//! timer or a descriptor wakes it; if the tasks that are ready are those that set the timers, or the
//! very first one, nothing does. More timers make that rarer and not impossible. So every shard beats
//! whenever its root task runs, and a shard that has missed its beats gets a signal, which ends
//! `io_uring_enter(2)` with `EINTR`; its loop goes round once more, and finds its tasks.
//!
//! A shard that is merely busy gets the signal too, and notices nothing: the handler is empty, and
//! calls that can be restarted are.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Duration;

/// Ignored unless somebody handles it, and meant for nothing else in a process that does not use
/// out-of-band data.
const SIGNAL: libc::c_int = libc::SIGURG;
/// An idle shard beats twice in this time, a busy one more often.
const LOOK: Duration = Duration::from_millis(50);

/// Of one shard.
#[derive(Debug, Default)]
pub struct Pulse {
    /// The shard's thread, in the kernel's numbering; 0 before it runs and after.
    thread: AtomicI32,
    beats: AtomicU64,
    missed: AtomicU64,
}

impl Pulse {
    /// The calling thread is the shard's from here on.
    pub fn begin(&self) {
        // SAFETY: a call without arguments that cannot fail.
        let thread = unsafe { libc::gettid() };
        self.thread.store(thread, Ordering::Release);
    }

    /// The shard's root task runs.
    pub fn beat(&self) {
        self.beats.fetch_add(1, Ordering::Relaxed);
    }

    /// The shard has ended.
    pub fn end(&self) {
        self.thread.store(0, Ordering::Release);
    }

    /// How often it had not beaten for a whole look: it slept with work to do, or one task took that
    /// long.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Signals the shard where it has not beaten since `before`; its beats now.
    fn feel(&self, before: Option<u64>) -> u64 {
        let beats = self.beats.load(Ordering::Relaxed);
        let thread = self.thread.load(Ordering::Acquire);
        if before == Some(beats) && thread != 0 {
            self.missed.fetch_add(1, Ordering::Relaxed);
            // SAFETY: no pointers. A thread that has just ended is an error that nobody needs.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
        }
        beats
    }
}

/// Feels all pulses, from a thread of its own, until the process ends.
pub fn watch(pulses: Arc<[Pulse]>) -> io::Result<()> {
    handle()?;
    let look = move || {
        let mut before: Vec<Option<u64>> = vec![None; pulses.len()];
        loop {
            std::thread::sleep(LOOK);
            for (pulse, before) in pulses.iter().zip(&mut before) {
                *before = Some(pulse.feel(*before));
            }
        }
    };
    std::thread::Builder::new().name("klamm-pulse".into()).spawn(look).map(drop)
}

extern "C" fn nothing(_: libc::c_int) {}

fn handle() -> io::Result<()> {
    // SAFETY: all zeros is a valid `sigaction`; the handler does nothing, which is allowed anywhere.
    let result = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
        action.sa_flags = libc::SA_RESTART;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut())
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glommio::{LocalExecutorBuilder, Placement};

    #[test]
    fn only_a_shard_that_has_missed_its_beat_is_signalled() {
        handle().expect("a handler");
        let pulse = Pulse::default();
        assert_eq!(pulse.feel(None), 0);
        // Not begun: nobody to signal.
        pulse.feel(Some(0));
        assert_eq!(pulse.missed(), 0);
        pulse.begin();
        pulse.beat();
        assert_eq!(pulse.feel(Some(0)), 1);
        assert_eq!(pulse.missed(), 0);
        pulse.feel(Some(1));
        assert_eq!(pulse.missed(), 1);
        pulse.end();
        pulse.feel(Some(1));
        assert_eq!(pulse.missed(), 1);
    }

    /// A parked executor without any timer goes round its loop when it is signalled: a waker that
    /// was called behind its back is found then.
    #[test]
    fn a_signal_wakes_a_parked_executor() {
        handle().expect("a handler");
        let pulses: Arc<[Pulse]> = vec![Pulse::default()].into();
        let shard = pulses.clone();
        let thread = std::thread::spawn(move || {
            shard[0].begin();
            let executor = LocalExecutorBuilder::new(Placement::Unbound)
                .io_memory(64 << 10)
                .make()
                .expect("an executor");
            // Ready when the beats, which nobody announces, have come to five; looked at only when
            // the loop goes round.
            executor.run(std::future::poll_fn(|_| {
                if shard[0].missed() >= 5 {
                    std::task::Poll::Ready(())
                } else {
                    std::task::Poll::Pending
                }
            }));
            shard[0].end();
        });
        let mut before = None;
        while !thread.is_finished() {
            before = Some(pulses[0].feel(before));
            // At a pace, as the watcher: a shard that is signalled without a pause gets nowhere.
            std::thread::sleep(Duration::from_millis(1));
        }
        thread.join().expect("it ends");
        assert!(pulses[0].missed() >= 5);
    }
}
