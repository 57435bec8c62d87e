//! Waits between attempts.

/// The waits between attempts of one operation: 50 ms, then twice as long each time up to 1 s, until
/// the operation's time is over. There is no jitter: a tool is one client, not a herd.
#[derive(Clone, Debug)]
pub struct Retry {
    next_ms: i64,
    give_up_at_ms: i64,
}

impl Retry {
    const FIRST_MS: i64 = 50;
    const LONGEST_MS: i64 = 1000;

    /// An operation that begins at `now_ms` and may take `timeout_ms`.
    pub fn new(now_ms: i64, timeout_ms: i64) -> Self {
        Self { next_ms: Self::FIRST_MS, give_up_at_ms: now_ms.saturating_add(timeout_ms) }
    }

    /// An attempt failed at `now_ms` with an error that may pass: how long to wait before the next,
    /// in milliseconds, or `None` to give up.
    pub fn after_failure(&mut self, now_ms: i64) -> Option<i64> {
        let left = self.give_up_at_ms - now_ms;
        if left <= 0 {
            return None;
        }
        let wait = self.next_ms.min(left);
        self.next_ms = (self.next_ms * 2).min(Self::LONGEST_MS);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_end_with_the_time() {
        let mut now = 7;
        let mut retry = Retry::new(now, 5000);
        let mut waits = Vec::new();
        while let Some(wait) = retry.after_failure(now) {
            waits.push(wait);
            now += wait;
        }
        assert_eq!(waits, [50, 100, 200, 400, 800, 1000, 1000, 1000, 450]);
        assert_eq!(now, 5007);
        assert_eq!(Retry::new(0, 0).after_failure(0), None);
    }
}
