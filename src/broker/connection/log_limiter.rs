//! Lines that a stranger can cause, limited and counted.

use crate::broker::line_pause::LinePause;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Kinds and peers that are told apart; further ones share a line of their kind.
const KNOWN_MAX: usize = 256;

/// A line that may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Lines like it that were left out since the last one.
    pub left_out: u64,
}

/// What was left out of a kind, and nobody has asked since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Of what kind.
    pub kind: &'static str,
    /// Whose; none where there were too many to tell them apart.
    pub peer: Option<IpAddr>,
    /// How many.
    pub lines: u64,
}

/// Lets one line through for each kind and peer in ten seconds. The others are counted, and the count
/// is told with the next line, or by [`timeout`](Self::timeout) where none comes.
///
/// A peer is an IPv4 address, or the first 64 bits of an IPv6 one: whoever has one of those has all
/// that begin with it.
#[derive(Debug, Default)]
pub struct LogLimiter {
    known: BTreeMap<(&'static str, Option<IpAddr>), LinePause>,
    /// No pause ends before this.
    next_ms: i64,
    left_out: u64,
}

fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(it) => {
            let [a, b, c, d, ..] = it.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl LogLimiter {
    /// Whether a line may be written.
    pub fn tell(&mut self, now_ms: i64, kind: &'static str, peer: IpAddr) -> Option<Allowed> {
        let mut key = (kind, Some(network(peer)));
        if self.known.len() >= KNOWN_MAX && !self.known.contains_key(&key) {
            key = (kind, None);
        }
        if let Some(pause) = self.known.get_mut(&key) {
            let left_out = pause.tell(now_ms);
            self.left_out += u64::from(left_out.is_none());
            return left_out.map(|left_out| Allowed { left_out });
        }
        let pause = LinePause::begin(now_ms);
        if self.known.is_empty() {
            self.next_ms = pause.until_ms();
        }
        self.known.insert(key, pause);
        Some(Allowed { left_out: 0 })
    }

    /// Lines that were left out so far.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// When [`timeout`](Self::timeout) is due, if it is at all; it may find nothing to do then.
    pub fn next_deadline(&self) -> Option<i64> {
        (!self.known.is_empty()).then_some(self.next_ms)
    }

    /// Forgets those whose pause is over. What was left out of them is told once more.
    pub fn timeout(&mut self, now_ms: i64) -> Vec<LeftOut> {
        let mut told = Vec::new();
        if self.next_ms > now_ms {
            return told;
        }
        self.known.retain(|(kind, peer), pause| {
            let (over, lines) = (pause.is_over(now_ms), pause.left_out());
            if over && lines > 0 {
                told.push(LeftOut { kind, peer: *peer, lines });
            }
            !over
        });
        self.next_ms = self.known.values().map(LinePause::until_ms).min().unwrap_or(i64::MAX);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u32) -> IpAddr {
        IpAddr::from((0x0a00_0000 | n).to_be_bytes())
    }

    #[test]
    fn one_line_for_each_kind_and_peer_in_ten_seconds() {
        let mut lines = LogLimiter::default();
        assert_eq!(lines.tell(0, "a", peer(1)), Some(Allowed { left_out: 0 }));
        for now in 1..20 {
            assert_eq!(lines.tell(now, "a", peer(1)), None);
        }
        assert!(lines.tell(20, "b", peer(1)).is_some() && lines.tell(20, "a", peer(2)).is_some());
        assert_eq!(lines.tell(10_000, "a", peer(1)), Some(Allowed { left_out: 19 }));
        assert_eq!(lines.left_out(), 19);
    }

    #[test]
    fn what_was_left_out_is_told_where_no_other_line_comes() {
        let mut lines = LogLimiter::default();
        lines.tell(0, "a", peer(1));
        lines.tell(5, "a", peer(1));
        assert_eq!(lines.next_deadline(), Some(10_000));
        assert!(lines.timeout(9_999).is_empty());
        let told = lines.timeout(10_000);
        assert_eq!(told, [LeftOut { kind: "a", peer: Some(peer(1)), lines: 1 }]);
        assert_eq!(lines.next_deadline(), None);
    }

    #[test]
    fn many_peers_share_a_line() {
        let mut lines = LogLimiter::default();
        let told = (0..10_000).filter(|n| lines.tell(0, "a", peer(*n)).is_some()).count();
        assert_eq!(told, KNOWN_MAX + 1);
        // All addresses of one IPv6 network are one peer.
        let mut lines = LogLimiter::default();
        let six = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        assert!(lines.tell(0, "a", six(1)).is_some() && lines.tell(0, "a", six(2)).is_none());
        let mapped = "::ffff:10.0.0.1".parse().expect("an address");
        assert!(lines.tell(0, "a", mapped).is_some() && lines.tell(0, "a", peer(1)).is_none());
    }
}
