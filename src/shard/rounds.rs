//! A round of the runtime, for the tasks in it that are not the shard's.
//!
//! The shard waits for something that is there at all times, and the runtime says so when it has had a
//! round. Seldom, the runtime sleeps instead: a completion in one of its rings ends a round before any task
//! has run, what had made tasks ready is consumed by then, and it takes the round for an idle one (`runtime.rs`).
//! Nothing else may come for minutes: the shard's own ring does not end that sleep. So a timer goes off a moment
//! later, which the shard stops when the round has ended. It is no timer of the runtime's, since those
//! make such sleeps.

use glommio::io::PollableFd;
use rustix::event::{EventfdFlags, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

/// A round that takes longer is looked after, ns: many times what one takes.
const BACKSTOP: i64 = 1_000_000;

/// See the module.
pub struct Rounds {
    /// Readable at all times.
    always: PollableFd<OwnedFd>,
    timer: Rc<OwnedFd>,
}

impl Rounds {
    /// Those of this thread's executor.
    pub fn new() -> io::Result<Self> {
        let always = PollableFd::new(eventfd(1, EventfdFlags::CLOEXEC)?)?;
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = Rc::new(timerfd_create(TimerfdClockId::Monotonic, flags)?);
        let (goes_off, its_timer) = (PollableFd::new(timer.clone())?, timer.clone());
        glommio::spawn_local(async move {
            // That it runs is all that is wanted of it: the others that are ready run as well.
            while goes_off.readable().await.is_ok() {
                let _ = rustix::io::read(&*its_timer, &mut [0; 8]);
            }
        })
        .detach();
        Ok(Self { always, timer })
    }

    /// Ends when the runtime has had a round.
    pub async fn round(&self) -> io::Result<()> {
        self.set(BACKSTOP)?;
        self.always.readable().await?;
        self.set(0)
    }

    /// Has the timer go off again and again, each time after so long, ns; 0 stops it.
    fn set(&self, after: i64) -> io::Result<()> {
        let after = Timespec { tv_sec: 0, tv_nsec: after };
        let times = Itimerspec { it_interval: after, it_value: after };
        timerfd_settime(&*self.timer, TimerfdTimerFlags::empty(), &times)?;
        Ok(())
    }
}
