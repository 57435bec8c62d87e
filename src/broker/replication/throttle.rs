//! Limits for replication that catches up (KIP-73), such as that of a reassignment.

use crate::types::BrokerConfigs;
use std::sync::{Mutex, PoisonError};

/// A token bucket for all shards of a broker. What was taken is a debt, which a rate pays off; nothing is to be taken
/// while there is one. So the rate holds over time, however large the pieces are that come in one.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<Debt>);

#[derive(Debug, Default)]
struct Debt {
    /// Bytes times 1,000: what a rate of bytes a second pays in a millisecond is whole.
    owed: i128,
    /// As of this time, ms.
    at_ms: i64,
}

impl Debt {
    fn pay(&mut self, rate: i64, now_ms: i64) {
        let elapsed = i128::from(now_ms.saturating_sub(self.at_ms).max(0));
        self.owed = (self.owed - elapsed * i128::from(rate)).max(0);
        self.at_ms = self.at_ms.max(now_ms);
    }
}

impl Throttle {
    /// How long to wait until more may be taken, ms; `None`: it may be now. `rate` is in bytes a second.
    pub fn wait_ms(&self, rate: i64, now_ms: i64) -> Option<i64> {
        let mut debt = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        debt.pay(rate, now_ms);
        let wait = debt.owed.div_euclid(i128::from(rate.max(1))) + 1;
        (debt.owed > 0).then(|| i64::try_from(wait).unwrap_or(i64::MAX))
    }

    /// So many bytes were taken.
    pub fn take(&self, bytes: usize, rate: i64, now_ms: i64) {
        let mut debt = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        debt.pay(rate, now_ms);
        debt.owed += 1_000 * bytes as i128;
    }
}

/// Those of a broker.
#[derive(Debug, Default)]
pub struct Throttles {
    /// Of what it sends to those who are not in sync.
    pub leader: Throttle,
    /// Of what it takes while it is not in sync.
    pub follower: Throttle,
}

/// `leader.replication.throttled.rate`, bytes a second; `None` where there is no limit.
pub fn leader_rate(configs: &BrokerConfigs) -> Option<i64> {
    configs.number("leader.replication.throttled.rate").filter(|it| *it < i64::MAX)
}

/// `follower.replication.throttled.rate`, in the same way.
pub fn follower_rate(configs: &BrokerConfigs) -> Option<i64> {
    configs.number("follower.replication.throttled.rate").filter(|it| *it < i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_holds_over_time_whatever_comes_in_one_piece() {
        let (throttle, rate) = (Throttle::default(), 1_000);
        assert_eq!(throttle.wait_ms(rate, 5), None);
        throttle.take(500, rate, 5);
        assert_eq!(throttle.wait_ms(rate, 5), Some(501));
        assert_eq!(throttle.wait_ms(rate, 504), Some(2));
        assert_eq!(throttle.wait_ms(rate, 505), None);
        // Time in which nothing was taken saves nothing up.
        throttle.take(10_000, rate, 100_000);
        assert_eq!(throttle.wait_ms(rate, 100_000), Some(10_001));
        // Another rate holds from now on for what is owed.
        assert_eq!(throttle.wait_ms(10 * rate, 100_000), Some(1_001));
        assert_eq!(throttle.wait_ms(10 * rate, 101_000), None);
        throttle.take(1, 0, 101_000);
        assert!(throttle.wait_ms(0, 200_000).is_some(), "nothing passes at a rate of 0");
    }

    #[test]
    fn every_byte_is_paid_for() {
        let (throttle, rate, mut now_ms, mut taken) = (Throttle::default(), 4_321, 0, 0);
        let mut rng = crate::types::Rng::new(3);
        while taken < 1 << 20 {
            match throttle.wait_ms(rate, now_ms) {
                Some(wait) => now_ms += wait,
                None => {
                    let bytes = rng.index(20_000);
                    throttle.take(bytes, rate, now_ms);
                    taken += bytes as i64;
                }
            }
        }
        let owed = throttle.wait_ms(rate, now_ms).unwrap_or(0);
        let needed = taken * 1_000 / rate;
        assert!((now_ms + owed - needed).abs() <= 300, "{now_ms} + {owed} for {needed}");
    }
}
