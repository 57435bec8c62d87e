//! Nothing acknowledged is lost, nothing is there twice or out of order, and nobody reads two things at one offset. Values
//! are unique.

use super::Counts;
use std::collections::{BTreeMap, HashMap};

/// A value: its partition, its producer, and its place among the producer's values there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    pub partition: i32,
    pub producer: u32,
    pub number: u32,
}

impl Value {
    pub fn encode(self) -> Vec<u8> {
        [self.partition.to_be_bytes(), self.producer.to_be_bytes(), self.number.to_be_bytes()]
            .concat()
    }

    pub fn decode(bytes: &[u8]) -> Self {
        let word = |at: usize| u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four"));
        Self { partition: word(0) as i32, producer: word(4), number: word(8) }
    }
}

/// What is known to be at an offset.
#[derive(Clone, Copy, Debug)]
struct There {
    value: Value,
    /// Its timestamp, as the wall clock has it.
    stamp_ms: i64,
}

/// See the module.
#[derive(Default)]
pub struct Log {
    /// By partition, what is at each offset, as far as anybody was told.
    at: BTreeMap<i32, BTreeMap<i64, There>>,
    offsets: HashMap<Value, i64>,
    /// By partition: somebody has asked that what is below goes.
    deleted: BTreeMap<i32, i64>,
    /// Records go when they are so old, ms.
    retention_ms: Option<i64>,
}

impl Log {
    pub fn new(retention_ms: Option<i64>) -> Self {
        Self { retention_ms, ..Self::default() }
    }

    /// Somebody was told that this value is there.
    fn is_at(&mut self, offset: i64, value: Value, stamp_ms: i64, who: &str) {
        let there = There { value, stamp_ms };
        let before = self.at.entry(value.partition).or_default().insert(offset, there);
        assert!(
            before.is_none_or(|it| it.value == value),
            "{who}: two values at one offset: {before:?} and {value:?} at {offset}"
        );
        let before = self.offsets.insert(value, offset);
        assert!(
            before.is_none_or(|it| it == offset),
            "{who}: a value twice: {value:?} at {before:?} and {offset}"
        );
    }

    /// A producer was told that its values are there, from this offset on.
    pub fn acknowledged(
        &mut self,
        base: i64,
        values: &[Value],
        stamp_ms: i64,
        counts: &mut Counts,
    ) {
        counts.acknowledged += 1;
        for (offset, value) in (base..).zip(values) {
            self.is_at(offset, *value, stamp_ms, "acknowledged");
        }
    }

    /// A reader has read this.
    pub fn read(&mut self, partition: i32, offset: i64, value: Value, stamp_ms: i64) {
        assert_eq!(value.partition, partition, "a value of another partition");
        self.is_at(offset, value, stamp_ms, "read");
    }

    /// What is below this offset may go from now on.
    pub fn deleting(&mut self, partition: i32, below: i64) {
        let known = self.deleted.entry(partition).or_insert(0);
        *known = below.max(*known);
    }

    /// The end of what anybody was told of.
    pub fn end(&self, partition: i32) -> i64 {
        let last = self.at.get(&partition).and_then(|it| it.last_key_value());
        last.map_or(0, |it| it.0 + 1)
    }

    /// Whether something that was told to be there may be gone.
    fn may_be_gone(&self, partition: i32, offset: i64, there: &There, wall_ms: i64) -> bool {
        let old = self.retention_ms.is_some_and(|it| there.stamp_ms + it <= wall_ms);
        old || self.deleted.get(&partition).is_some_and(|below| offset < *below)
    }

    /// The first offset from here on at which something is known to be, that has to be there still, and its timestamp, ms.
    pub fn next(&self, partition: i32, from: i64, wall_ms: i64) -> Option<(i64, i64)> {
        let mut all = self.at.get(&partition)?.range(from..);
        let found = all.find(|(offset, it)| !self.may_be_gone(partition, **offset, it, wall_ms));
        found.map(|(offset, it)| (*offset, it.stamp_ms))
    }

    /// A leader says that its log starts there.
    pub fn starts(&self, partition: i32, start: i64, wall_ms: i64) {
        let below = self.at.get(&partition).into_iter().flat_map(|it| it.range(..start));
        for (offset, there) in below {
            assert!(
                self.may_be_gone(partition, *offset, there, wall_ms),
                "partition {partition} starts at {start}: what was told to be at {offset} is lost"
            );
        }
    }

    /// A reader has read a partition from its start to its end, when nothing failed any more.
    pub fn read_whole(&self, partition: i32, all: &BTreeMap<i64, Value>, wall_ms: i64) {
        for (offset, there) in self.at.get(&partition).into_iter().flatten() {
            let found = all.get(offset);
            assert!(
                found == Some(&there.value)
                    || found.is_none() && self.may_be_gone(partition, *offset, there, wall_ms),
                "partition {partition}: what was told to be at {offset} is lost: {found:?}, not {there:?}"
            );
        }
        let mut last: HashMap<u32, u32> = HashMap::new();
        for (offset, value) in all {
            let before = last.insert(value.producer, value.number);
            assert!(
                before.is_none_or(|it| it < value.number),
                "partition {partition}: {value:?} at {offset} comes after number {before:?}"
            );
        }
    }
}
