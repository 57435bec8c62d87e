//! How many connections the broker has: `max.connections` and its kin, for all shards together.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Kafka's limits. The defaults are Kafka's: none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `max.connections`, and no more than descriptors allow.
    pub total: usize,
    /// `max.connections.per.ip`.
    pub per_ip: usize,
    /// `max.connections.per.ip.overrides`, read with [`ip_limits::parse`](crate::types::ip_limits::parse).
    pub overrides: Arc<BTreeMap<IpAddr, usize>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { total: usize::MAX, per_ip: usize::MAX, overrides: Arc::default() }
    }
}

impl Limits {
    fn of(&self, ip: IpAddr) -> usize {
        self.overrides.get(&ip).copied().unwrap_or(self.per_ip)
    }
}

/// Why a connection is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverLimit {
    /// `max.connections`, or the descriptors.
    Total(usize),
    /// `max.connections.per.ip` or its overrides.
    PerIp(usize),
}

impl fmt::Display for OverLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Total(limit) => {
                write!(
                    f,
                    "there are {limit} connections, the most of this broker (max.connections, \
                           and the limit of open files)"
                )
            }
            Self::PerIp(limit) => {
                write!(
                    f,
                    "its address has {limit} connections, the most that it may have \
                           (max.connections.per.ip)"
                )
            }
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    by_ip: BTreeMap<IpAddr, usize>,
}

/// Counts the connections of all shards. Shared by them: a lock that is taken when a connection comes
/// and when it goes.
#[derive(Clone, Debug, Default)]
pub struct Admission(Arc<Mutex<Counts>>);

impl Admission {
    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connection from `ip`, unless there are too many.
    pub fn admit(&self, limits: &Limits, ip: IpAddr) -> Result<Admitted, OverLimit> {
        let ip = ip.to_canonical();
        let mut counts = self.counts();
        if counts.total >= limits.total {
            return Err(OverLimit::Total(limits.total));
        }
        let limit = limits.of(ip);
        let of_ip = counts.by_ip.get(&ip).copied().unwrap_or(0);
        if of_ip >= limit {
            return Err(OverLimit::PerIp(limit));
        }
        counts.total += 1;
        counts.by_ip.insert(ip, of_ip + 1);
        Ok(Admitted { ip, counted_by: self.clone() })
    }

    /// Connections of the whole broker.
    pub fn total(&self) -> usize {
        self.counts().total
    }
}

/// A connection that counts until this is dropped: after its descriptor is closed.
#[derive(Debug)]
pub struct Admitted {
    ip: IpAddr,
    counted_by: Admission,
}

impl Drop for Admitted {
    fn drop(&mut self) {
        let mut counts = self.counted_by.counts();
        counts.total -= 1;
        if let Some(left) = counts.by_ip.get_mut(&self.ip) {
            *left -= 1;
            if *left == 0 {
                counts.by_ip.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::ip_limits;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn connections_count_until_they_are_closed() {
        let admission = Admission::default();
        let limits = Limits { total: 3, per_ip: 2, ..Limits::default() };
        let (a, b) = (ip("10.0.0.1"), ip("10.0.0.2"));
        let first = admission.admit(&limits, a).expect("the first");
        let _second = admission.admit(&limits, ip("::ffff:10.0.0.1")).expect("the second");
        assert_eq!(admission.admit(&limits, a).unwrap_err(), OverLimit::PerIp(2));
        let _third = admission.admit(&limits, b).expect("another address");
        assert_eq!(admission.admit(&limits, b).unwrap_err(), OverLimit::Total(3));
        drop(first);
        assert_eq!(admission.total(), 2);
        assert!(admission.admit(&limits, a).is_ok());
        assert_eq!(admission.counts().by_ip.get(&a), Some(&1));
    }

    #[test]
    fn an_override_beats_the_limit_of_all_addresses() {
        let overrides = ip_limits::parse("127.0.0.1:1, [2001:db8::1]:0").expect("sound");
        let limits = Limits { per_ip: 0, overrides: Arc::new(overrides), ..Limits::default() };
        let admission = Admission::default();
        let _one = admission.admit(&limits, ip("127.0.0.1")).expect("the first");
        assert_eq!(admission.admit(&limits, ip("127.0.0.1")).unwrap_err(), OverLimit::PerIp(1));
        for none in ["2001:db8::1", "10.9.9.9"] {
            assert_eq!(admission.admit(&limits, ip(none)).unwrap_err(), OverLimit::PerIp(0));
        }
    }
}
