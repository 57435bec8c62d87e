//! A round of the runtime, for the tasks in it that are not the shard's.
//!
//! The shard waits for something that is there at all times, and the runtime says so when it has had a
//! round. Seldom, the runtime sleeps instead: a completion in one of its rings ends a round before any task
//! has run, what had made tasks ready is consumed by then, and it takes the round for an idle one (`runtime.rs`).
//! Nothing else may come for minutes: the shard's own ring does not end that sleep. So a signal comes a moment
//! later, again and again until the round has ended: a completion could be consumed in the same way, a system
//! call that was interrupted cannot.

use super::interrupt::Repeated;
use glommio::io::PollableFd;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::OwnedFd;

/// A round that takes longer is looked after, ns: many times what one takes.
const BACKSTOP: i64 = 1_000_000;

/// See the module.
pub struct Rounds {
    /// Readable at all times.
    always: PollableFd<OwnedFd>,
    interrupt: Repeated,
}

impl Rounds {
    /// Those of this thread's executor.
    pub fn new() -> io::Result<Self> {
        let always = PollableFd::new(eventfd(1, EventfdFlags::CLOEXEC)?)?;
        Ok(Self { always, interrupt: Repeated::new()? })
    }

    /// Ends when the runtime has had a round.
    pub async fn round(&self) -> io::Result<()> {
        self.interrupt.set(BACKSTOP)?;
        self.always.readable().await?;
        self.interrupt.set(0)
    }
}
