//! When requests are due, at a fixed rate: an open loop.

use super::latency::Latency;

/// The measured part of a run, in the clock's nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Its beginning.
    pub from: u64,
    /// Its end; `u64::MAX` if a count ends it.
    pub to: u64,
}

impl Window {
    /// Whether `ns` lies in it.
    pub fn has(&self, ns: u64) -> bool {
        (self.from..self.to).contains(&ns)
    }
}

/// The intended send times of one thread's requests, nanoseconds.
///
/// Time `n` is computed from the start, not from time `n - 1`: no error adds up, and a thread that
/// wakes late, or has no room, owes every request that has come due meanwhile, each with the time
/// at which it should have left. That is what keeps a stall from hiding the requests that it held up
/// ("coordinated omission"). What is owed takes no memory: it is what was not taken yet.
#[derive(Clone, Debug)]
pub struct Schedule {
    start: u64,
    end: u64,
    gap: f64,
    first: u64,
    step: u64,
    taken: u64,
}

/// Steps in which requests that were never sent are charged: enough for any number of them.
const CHARGES: u64 = 10_000;

impl Schedule {
    /// Requests at `rate` a second from `start` on, before `end`; thread `thread` of `threads` takes
    /// every `threads`-th of them.
    pub fn new(rate: f64, thread: usize, threads: usize, start: u64, end: u64) -> Self {
        let (first, step) = (thread as u64, threads as u64);
        Self { start, end, gap: 1e9 / rate, first, step, taken: 0 }
    }

    fn time(&self, n: u64) -> u64 {
        self.start + (self.gap * (self.first + n * self.step) as f64) as u64
    }

    /// The intended time of the first request that is due at `now` and was not taken.
    pub fn due(&self, now: u64) -> Option<u64> {
        let at = self.time(self.taken);
        (at <= now && at < self.end).then_some(at)
    }

    /// Takes that request: it is being sent.
    pub fn take(&mut self) {
        self.taken += 1;
    }

    /// Nanoseconds from `now` until the next request is due; `None` after the last.
    pub fn wait(&self, now: u64) -> Option<u64> {
        let at = self.time(self.taken);
        (at < self.end).then(|| at.saturating_sub(now))
    }

    /// Number of requests that are due at `now` and were not taken.
    fn owed(&self, now: u64) -> u64 {
        let until = now.saturating_add(1).min(self.end);
        if until <= self.start {
            return 0;
        }
        // Times before `until`: first + n · step < (until - start) / gap, up to rounding.
        let all = ((until - self.start) as f64 / self.gap - self.first as f64) / self.step as f64;
        let mut count = all.max(0.0) as u64;
        while self.time(count) < until {
            count += 1;
        }
        while count > 0 && self.time(count - 1) >= until {
            count -= 1;
        }
        count.saturating_sub(self.taken)
    }

    /// Charges requests that are owed at `now`, and never will be sent, with the time that they have
    /// waited at least, `records` times each; those due before `from` do not count. Returns their
    /// number.
    pub fn charge(&mut self, now: u64, from: u64, records: u64, latency: &mut Latency) -> u64 {
        let owed = self.owed(now);
        let chunk = owed / CHARGES + 1;
        let mut charged = 0;
        let mut n = 0;
        while n < owed {
            let count = chunk.min(owed - n);
            let at = self.time(self.taken + n + count / 2);
            if at >= from {
                latency.record_n(now - at.min(now), count * records);
                charged += count;
            }
            n += count;
        }
        self.taken += owed;
        charged
    }
}

/// Why a thread stopped sending in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// No further request is due.
    Due,
    /// The connections are full, so the broker limits.
    Room,
    /// The thread has to look at its sockets first, so the bench limits.
    Work,
}

/// Requests that a thread sends before it looks at its sockets again.
const REQUESTS_A_TURN: u32 = 256;

/// Separates the bench's own delays from those of a broker that leaves no room.
#[derive(Clone, Debug)]
pub struct Pace {
    /// When the thread last looked, and why it stopped then.
    looked: u64,
    limit: Limit,
    sent: u32,
    /// From the time at which a request was due until the thread looked, where there was room.
    pub lag: Latency,
}

impl Pace {
    /// A pace that begins at `now`.
    pub fn new(now: u64) -> Self {
        Self { looked: now, limit: Limit::Due, sent: 0, lag: Latency::default() }
    }

    /// Whether this turn may send another request.
    pub fn may_send(&self) -> bool {
        self.sent < REQUESTS_A_TURN
    }

    /// A request that should have left at `intended` leaves at `now`; `counts` if it is measured.
    pub fn sends(&mut self, intended: u64, now: u64, counts: bool) {
        self.sent += 1;
        // What was due before the last look waited for room, unless the thread had no time for it.
        if counts && (intended > self.looked || self.limit == Limit::Work) {
            self.lag.record(now - intended);
        }
    }

    /// The turn at `now` ends.
    pub fn ends(&mut self, now: u64, limit: Limit) {
        (self.looked, self.limit, self.sent) = (now, limit, 0);
    }

    /// How long to wait for sockets, at most `longest`, nanoseconds.
    pub fn wait(&self, schedule: &Schedule, now: u64, longest: u64) -> u64 {
        match self.limit {
            Limit::Work => 0,
            Limit::Room => longest,
            Limit::Due => schedule.wait(now).unwrap_or(longest).min(longest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(s: &mut Schedule, now: u64) -> Option<u64> {
        let at = s.due(now)?;
        s.take();
        Some(at)
    }

    #[test]
    fn threads_share_the_rate() {
        let second = 1_000_000_000;
        let mut times = Vec::new();
        for thread in 0..3 {
            let mut s = Schedule::new(1000.0, thread, 3, 7, 7 + second);
            while let Some(at) = take(&mut s, u64::MAX) {
                times.push(at);
            }
            assert_eq!(s.wait(0), None);
        }
        times.sort_unstable();
        assert_eq!(times.len(), 1000);
        for (i, at) in times.iter().enumerate() {
            assert_eq!(*at, 7 + i as u64 * 1_000_000);
        }
    }

    #[test]
    fn a_late_wake_up_owes_every_request() {
        let mut s = Schedule::new(1e6, 0, 1, 0, u64::MAX);
        assert_eq!(take(&mut s, 0), Some(0));
        assert_eq!((s.due(999), s.wait(400)), (None, Some(600)));
        let owed: Vec<_> = std::iter::from_fn(|| take(&mut s, 5_000)).collect();
        assert_eq!(owed, [1000, 2000, 3000, 4000, 5000]);
    }

    #[test]
    fn what_is_never_sent_is_charged() {
        for (thread, threads) in [(0, 1), (1, 3)] {
            let mut s = Schedule::new(1000.0, thread, threads, 50, 2_000_000_050);
            for _ in 0..100 / threads {
                s.take();
            }
            let mut latency = Latency::default();
            let want = (2000 - 100) / threads as u64;
            let got = s.charge(3_000_000_000, 0, 1, &mut latency);
            assert!(got.abs_diff(want) <= 1, "{got}, not {want}");
            assert_eq!(latency.count(), got);
            // The first has waited 2.9 s, the last one second.
            assert!(latency.at(1.0) > 2_880_000_000 && latency.at(0.0) < 1_010_000_000);
            assert_eq!(s.charge(3_000_000_000, 0, 1, &mut latency), 0, "once");
        }
        // As many as one likes take no longer.
        let mut s = Schedule::new(1e9, 0, 1, 0, 10_000_000_000);
        let mut latency = Latency::default();
        assert_eq!(s.charge(u64::MAX / 2, 0, 2, &mut latency), 10_000_000_000);
        assert_eq!(latency.count(), 20_000_000_000);
    }

    #[test]
    fn only_the_benchs_own_delay_is_lag() {
        let mut pace = Pace::new(0);
        pace.sends(100, 150, true);
        pace.ends(150, Limit::Room);
        // Due before the last look: it waited for room.
        pace.sends(120, 1000, true);
        assert_eq!(pace.lag.count(), 1);
        pace.ends(1000, Limit::Work);
        pace.sends(130, 2000, true);
        pace.sends(1500, 2000, false);
        assert_eq!((pace.lag.count(), pace.lag.at(1.0)), (2, 1870));
    }
}
