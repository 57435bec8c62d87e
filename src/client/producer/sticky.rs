//! The partition of records without a key: one for a while, then another (KIP-480, KIP-794), so that
//! batches are full.

use crate::types::Rng;

/// State of one topic.
#[derive(Clone, Debug)]
pub struct Sticky {
    rng: Rng,
    current: i32,
    bytes: usize,
}

impl Sticky {
    /// `seed` decides the order of the partitions.
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed), current: -1, bytes: 0 }
    }

    /// The partition for the next record, of those that are `available` out of `partitions`; of all
    /// if none is.
    pub fn partition(&mut self, partitions: i32, available: impl Fn(i32) -> bool) -> i32 {
        if self.current >= 0 && self.current < partitions {
            return self.current;
        }
        let count = partitions.max(1);
        let mut at = self.rng.index(count as usize) as i32;
        for _ in 0..count {
            if available(at) {
                break;
            }
            at = (at + 1) % count;
        }
        self.current = at;
        at
    }

    /// The record took so many bytes; after `batch_bytes` another partition follows.
    pub fn used(&mut self, bytes: usize, batch_bytes: usize) {
        self.bytes += bytes;
        if self.bytes >= batch_bytes {
            self.bytes = 0;
            self.current = -1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_for_a_batch_and_visits_all() {
        let mut sticky = Sticky::new(7);
        let mut seen = [0; 4];
        for _ in 0..4000 {
            let first = sticky.partition(4, |_| true);
            sticky.used(50, 100);
            assert_eq!(sticky.partition(4, |_| true), first, "until 100 bytes are full");
            sticky.used(50, 100);
            seen[first as usize] += 1;
        }
        assert!(seen.iter().all(|n| (800..1200).contains(n)), "evenly: {seen:?}");
    }

    #[test]
    fn avoids_partitions_without_a_leader() {
        let mut sticky = Sticky::new(1);
        for _ in 0..100 {
            assert_eq!(sticky.partition(3, |p| p == 2), 2);
            sticky.used(1, 1);
        }
        assert!((0..3).contains(&sticky.partition(3, |_| false)), "nobody leads: any");
    }
}
