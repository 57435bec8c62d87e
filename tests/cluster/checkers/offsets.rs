//! What a group has committed is never lost, and never goes back: members commit numbers that rise.

use std::collections::BTreeMap;

/// Of one partition.
#[derive(Default)]
struct Committed {
    sent: i64,
    acknowledged: i64,
}

/// See the module.
#[derive(Default)]
pub struct Offsets {
    partitions: BTreeMap<i32, Committed>,
}

impl Offsets {
    /// The next number for a commit of this partition, which is on its way from now on.
    pub fn next(&mut self, partition: i32) -> i64 {
        let it = self.partitions.entry(partition).or_default();
        it.sent += 1;
        it.sent
    }

    /// A commit is acknowledged.
    pub fn acknowledged(&mut self, partition: i32, number: i64) {
        let it = self.partitions.entry(partition).or_default();
        it.acknowledged = it.acknowledged.max(number);
    }

    /// What was acknowledged so far.
    pub fn floor(&self, partition: i32) -> i64 {
        self.partitions.get(&partition).map_or(0, |it| it.acknowledged)
    }

    /// A coordinator says what is committed; nothing is -1. `floor` is what it must have: one that was deposed and does
    /// not know may lack what another has acknowledged.
    pub fn fetched(&mut self, partition: i32, number: i64, floor: i64) {
        let it = self.partitions.entry(partition).or_default();
        assert!(number <= it.sent, "partition {partition}: {number} was never committed");
        assert!(
            number.max(0) >= floor,
            "partition {partition}: {number} is committed, and {floor} was acknowledged"
        );
    }
}
