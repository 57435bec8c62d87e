//! The executor of a shard's thread, and why it does not sleep with tasks that are ready.
//!
//! glommio runs rounds: it looks at its rings, arms a timer in one of them, and runs tasks until none is
//! ready or that ring has a completion. A round that ran no task is the last before it sleeps. But the timer
//! may fire before the first task, where the thread was without a processor for so long between the
//! two; such a round has run nothing either, the completions that had made tasks ready are
//! consumed, and the thread sleeps until something else happens. (`LocalExecutor::run` and
//! `run_task_queues` of glommio-ng 0.12; `tests` below makes it happen.) More timers, and signals
//! from outside, only end such a sleep.
//!
//! What fills that ring is its timer, a timer of ours that ends a sleep, sockets of its own, and a
//! wake-up from another thread. After the last it does not sleep: it sleeps only while it can be
//! woken that way again. So its timer is set for later than the process lives, and a shard sets
//! no timers and opens no sockets in it: its own ring has those (`state.rs`), and it pauses for
//! others by itself (`pace.rs`). The HTTP port's timers are set only while it has clients.

use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use std::time::Duration;

/// The runtime looks for something to run for this long before it sleeps: not at all. A shard that may
/// be woken soon does not sleep in it.
const SPIN: Duration = Duration::ZERO;
/// The timer of a round. See the module.
const NEVER: Duration = Duration::from_hours(10 * 365 * 24);

/// An executor for a shard.
pub fn executor(place: Placement, name: &str) -> Result<LocalExecutor, glommio::GlommioError<()>> {
    with_timer(place, name, NEVER)
}

fn with_timer(
    place: Placement,
    name: &str,
    timer: Duration,
) -> Result<LocalExecutor, glommio::GlommioError<()>> {
    LocalExecutorBuilder::new(place)
        .name(name)
        .spin_before_park(SPIN)
        .preempt_timer(timer)
        // Files and sockets go through our own ring: it needs no buffers for them.
        .io_memory(64 << 10)
        .make()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::rounds::Rounds;
    use glommio::io::PollableFd;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

    const SIGNAL: libc::c_int = libc::SIGUSR2;
    /// Longer than the timer that a shard once had.
    const OLD: Duration = Duration::from_micros(500);

    /// The thread is without a processor for longer than [`OLD`].
    extern "C" fn away(_: libc::c_int) {
        let time = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        // SAFETY: reads one `timespec`; allowed in a handler.
        unsafe { libc::nanosleep(&raw const time, std::ptr::null_mut()) };
    }

    fn handle() {
        // SAFETY: all zeros is a valid `sigaction`; the handler calls what handlers may.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = away as extern "C" fn(libc::c_int) as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(SIGNAL, &raw const action, std::ptr::null_mut());
        }
    }

    /// Runs an executor whose only task is ready again in each round, takes its processor away
    /// `times` times, and says after how many it was found asleep; `None` where it never was. `guarded`: as
    /// a shard waits for a round.
    fn found_asleep(timer: Duration, times: u64, guarded: bool) -> Option<u64> {
        handle();
        let (thread, rounds) = (Arc::new(AtomicI32::new(0)), Arc::new(AtomicU64::new(0)));
        let end = Arc::new(AtomicBool::new(false));
        let (its_thread, its_rounds, its_end) = (thread.clone(), rounds.clone(), end.clone());
        let running = std::thread::spawn(move || {
            let executor = with_timer(Placement::Unbound, "rounds", timer).unwrap();
            executor.run(async move {
                let event = rustix::event::eventfd(1, rustix::event::EventfdFlags::CLOEXEC);
                let always = PollableFd::new(event.unwrap()).unwrap();
                let rounds = Rounds::new().unwrap();
                // SAFETY: a call without arguments that cannot fail.
                its_thread.store(unsafe { libc::gettid() }, Ordering::Release);
                while !its_end.load(Ordering::Relaxed) {
                    if guarded {
                        rounds.round().await.unwrap();
                    } else {
                        always.readable().await.unwrap();
                    }
                    its_rounds.fetch_add(1, Ordering::Relaxed);
                }
            });
        });
        while thread.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        let signal = || {
            let thread = thread.load(Ordering::Relaxed);
            // SAFETY: no pointers.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) };
        };
        let mut asleep = None;
        for nth in 0..times {
            let before = rounds.load(Ordering::Relaxed);
            signal();
            // Naps and not a time: this process may be without a processor as well.
            let comes_round = |naps: u32| {
                (0..naps).any(|_| {
                    std::thread::sleep(Duration::from_millis(1));
                    rounds.load(Ordering::Relaxed) > before + 2
                })
            };
            if !comes_round(2_000) {
                asleep = Some(nth);
                break;
            }
        }
        end.store(true, Ordering::Relaxed);
        // One that sleeps goes round once more after a signal.
        while !running.is_finished() {
            signal();
            std::thread::sleep(Duration::from_millis(20));
        }
        running.join().unwrap();
        asleep
    }

    #[test]
    fn a_shard_that_loses_its_processor_comes_round_again() {
        assert_eq!(found_asleep(NEVER, 1_000, false), None);
    }

    /// However the runtime loses it: with this timer it does so soon.
    #[test]
    fn a_round_that_is_lost_ends_all_the_same() {
        assert_eq!(found_asleep(OLD, 1_000, true), None);
    }

    /// Where this fails, the runtime has mended it, and [`NEVER`] may go.
    #[test]
    fn with_a_timer_the_runtime_sleeps_with_a_task_that_is_ready() {
        assert!(found_asleep(OLD, 100_000, false).is_some());
    }
}
