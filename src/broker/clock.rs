//! The clock that stages of a request are measured by: figures only, nothing is decided by it.

use std::cell::Cell;
use std::rc::Rc;

/// Counts ticks that all shards of a process share. Only differences mean something.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The processor's: cheaper than to ask the kernel for the time.
    Processor(quanta::Clock),
    /// The simulator's, in ns.
    Virtual(Rc<Cell<u64>>),
}

impl Clock {
    /// Ticks so far.
    pub fn ticks(&self) -> u64 {
        match self {
            Self::Processor(clock) => clock.raw(),
            Self::Virtual(ns) => ns.get(),
        }
    }

    /// From one moment to a later one, ns; 0 where it is not later.
    pub fn ns(&self, from: u64, to: u64) -> u64 {
        match self {
            _ if to <= from => 0,
            Self::Processor(clock) => clock.delta_as_nanos(from, to),
            Self::Virtual(_) => to - from,
        }
    }
}
