//! How long a shard looks out for the end of a durable write before it sleeps.
//!
//! A small durable write takes about as long as putting a thread to sleep and waking it again, and the
//! answer waits for both. So while one is under way, and there is nothing else to do, the shard looks at
//! the queue of its ring instead; not for longer than such a write lately took, and a half. On a
//! disk that takes its time a sleep costs little beside the write, and there is no looking out.
//! Figures: `src/shard/DECISIONS.md`.

/// Larger writes take longer, and their senders are not after microseconds.
const SMALL: usize = 64 << 10;
/// A disk that takes longer than this is not looked out for, ns: about twice what sleeping costs.
const WORTH: u64 = 60_000;
/// One write counts for so much of what such writes take.
const WEIGHT: u64 = 8;
/// A write that took longer than so many times the usual counts as that long: it was the machine's or
/// the disk's hiccup, and is no reason not to look out for the next thousand.
const OUTLIER: u64 = 4;

/// See the module.
#[derive(Debug, Default)]
pub struct Writes {
    /// Small ones under way: the number of what says that they are durable, and when they began, ns.
    under_way: Vec<(u64, u64)>,
    /// What such a write takes, ns; 0 before the first.
    usual_ns: u64,
}

impl Writes {
    /// A durable write of so many bytes begins; `number` comes back when it has ended.
    pub fn begins(&mut self, number: u64, bytes: usize, now_ns: u64) {
        if bytes <= SMALL {
            self.under_way.push((number, now_ns));
        }
    }

    /// The operation of this number, a write or not, has ended, and was taken from the queue.
    pub fn ends(&mut self, number: u64, now_ns: u64) {
        let Some(at) = self.under_way.iter().position(|(it, _)| *it == number) else { return };
        let (_, begun) = self.under_way.swap_remove(at);
        let took = now_ns.saturating_sub(begun);
        self.usual_ns = match self.usual_ns {
            0 => took,
            usual => (usual * (WEIGHT - 1) + took.min(usual * OUTLIER)).div_ceil(WEIGHT),
        };
    }

    /// Until when to look out for what is under way, ns; `None` where there is nothing, or it is not
    /// worth it.
    pub fn look_out_until(&self) -> Option<u64> {
        if self.usual_ns == 0 || self.usual_ns > WORTH {
            return None;
        }
        let (_, begun) = self.under_way.iter().max_by_key(|(_, begun)| *begun)?;
        Some(begun + self.usual_ns + self.usual_ns / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes of these durations, one after the other.
    fn after(durations: &[u64]) -> Writes {
        let mut writes = Writes::default();
        for (number, took) in durations.iter().enumerate() {
            writes.begins(number as u64, 4096, 1_000);
            writes.ends(number as u64, 1_000 + took);
        }
        writes
    }

    #[test]
    fn an_idle_shard_and_an_unknown_disk_are_not_looked_out_for() {
        assert_eq!(Writes::default().look_out_until(), None);
        assert_eq!(after(&[40_000]).look_out_until(), None);
        let mut writes = Writes::default();
        writes.begins(1, 4096, 0);
        assert_eq!(writes.look_out_until(), None);
    }

    #[test]
    fn looks_out_for_as_long_as_such_a_write_took_and_a_half() {
        let mut writes = after(&[40_000; 3]);
        writes.begins(9, 4096, 5_000_000);
        assert_eq!(writes.look_out_until(), Some(5_060_000));
        // What else ends is none of its business.
        writes.ends(8, 5_010_000);
        assert_eq!(writes.look_out_until(), Some(5_060_000));
        writes.ends(9, 5_040_000);
        assert_eq!(writes.look_out_until(), None);
    }

    #[test]
    fn follows_the_disk_and_forgives_a_hiccup() {
        let mut writes = after(&[40_000, 40_000, 50_000_000]);
        writes.begins(9, 4096, 0);
        let until = writes.look_out_until().unwrap();
        assert!((60_000..=90_000).contains(&until), "{until}");
        let mut slower = vec![40_000];
        slower.extend([2_000_000; 40]);
        let mut writes = after(&slower);
        writes.begins(99, 4096, 0);
        assert_eq!(writes.look_out_until(), None, "it is slow now");
        slower.extend([30_000; 60]);
        let mut writes = after(&slower);
        writes.begins(999, 4096, 0);
        assert!(writes.look_out_until().is_some(), "and fast again");
    }

    #[test]
    fn large_writes_do_not_count() {
        let mut writes = after(&[40_000]);
        writes.begins(9, 1 << 20, 0);
        assert_eq!(writes.look_out_until(), None);
        writes.ends(9, 900_000);
        assert_eq!(writes.usual_ns, 40_000);
    }
}
