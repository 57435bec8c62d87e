//! Progress on a terminal: the current rate and p99.

use super::latency::{Latency, group, show_us, us};
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

/// Time after which a thread hands its counts over, nanoseconds.
const HAND_OVER_NS: u64 = 200_000_000;
/// Time between two lines on the terminal.
const SHOW_NS: u64 = 500_000_000;

/// Counts since the last line.
#[derive(Clone, Debug, Default)]
struct Interval {
    requests: u64,
    bytes: u64,
    latency: Latency,
}

/// The progress line, shared by the threads of a run; shows nothing where no terminal is.
#[derive(Debug)]
pub struct Live {
    shared: Option<Mutex<Interval>>,
}

/// One thread's part.
#[derive(Debug)]
pub struct LivePart<'a> {
    live: &'a Live,
    mine: Interval,
    handed_over: u64,
}

impl Live {
    /// Shows progress if the standard error output is a terminal.
    pub fn new(quiet: bool) -> Self {
        let shown = !quiet && std::io::stderr().is_terminal();
        Self { shared: shown.then(|| Mutex::new(Interval::default())) }
    }

    /// A thread's part.
    pub fn part(&self) -> LivePart<'_> {
        LivePart { live: self, mine: Interval::default(), handed_over: 0 }
    }

    /// Shows what happened since `last`, if that is long enough ago; `phase` says what goes on.
    pub fn show(&self, now: u64, last: &mut u64, phase: &str) {
        let Some(shared) = &self.shared else { return };
        if now - *last < SHOW_NS {
            return;
        }
        let taken = std::mem::take(&mut *shared.lock().unwrap_or_else(PoisonError::into_inner));
        let seconds = (now - *last) as f64 / 1e9;
        *last = now;
        let rate = group(taken.requests as f64 / seconds);
        let mb = group(taken.bytes as f64 / 1e6 / seconds);
        let p99 = match taken.latency.count() {
            0 => "-".to_owned(),
            _ => show_us(us(taken.latency.at(0.99))),
        };
        // Nobody is told if the terminal is gone.
        let _ = write!(
            std::io::stderr(),
            "\r\x1b[K{phase}: {rate} requests/s  {mb} MB/s  p99 {p99} µs"
        );
    }

    /// Clears the line.
    pub fn end(&self) {
        if self.shared.is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl LivePart<'_> {
    /// A request of `bytes` was answered at `now`, `ns` after it was to be sent.
    pub fn count(&mut self, now: u64, bytes: u64, ns: Option<u64>) {
        let Some(shared) = &self.live.shared else { return };
        self.mine.requests += 1;
        self.mine.bytes += bytes;
        if let Some(ns) = ns {
            self.mine.latency.record(ns);
        }
        if now - self.handed_over > HAND_OVER_NS {
            self.handed_over = now;
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            shared.requests += self.mine.requests;
            shared.bytes += self.mine.bytes;
            shared.latency.add(&self.mine.latency);
            drop(shared);
            (self.mine.requests, self.mine.bytes) = (0, 0);
            self.mine.latency.clear();
        }
    }
}
