//! What clients were told: where each value is. Values are unique.

use std::collections::{BTreeMap, HashMap};

/// What happened, so that coverage can be seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub acknowledged: u64,
    pub read: u64,
    pub retries: u64,
    pub refused: u64,
    pub kills: u64,
    pub power_cuts: u64,
    pub freezes: u64,
    pub cuts: u64,
    pub leaders: u64,
    pub controllers: u64,
    pub steps_max: u64,
    pub settle_ms_max: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        macro_rules! sum {
            ($($name:ident)*) => { $(self.$name += other.$name;)* };
        }
        sum!(acknowledged read retries refused kills power_cuts freezes cuts leaders controllers);
        self.steps_max = self.steps_max.max(other.steps_max);
        self.settle_ms_max = self.settle_ms_max.max(other.settle_ms_max);
    }

    /// What should happen did happen, over all runs.
    pub fn check(&self) {
        let all = [
            ("acknowledged batches", self.acknowledged),
            ("records read", self.read),
            ("batches that were sent again", self.retries),
            ("batches that were refused", self.refused),
            ("killed processes", self.kills),
            ("power cuts", self.power_cuts),
            ("nodes that stood still", self.freezes),
            ("cuts of the network", self.cuts),
            ("changes of leaders", self.leaders),
            ("changes of the controller", self.controllers),
        ];
        for (what, count) in all {
            assert!(count > 0, "there were no {what}");
        }
    }
}

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

/// See the module.
#[derive(Default)]
pub struct History {
    pub counts: Counts,
    /// By partition, what is at each offset, as far as anybody was told.
    at: BTreeMap<i32, BTreeMap<i64, Value>>,
    offsets: HashMap<Value, i64>,
    acknowledged: Vec<(Value, i64)>,
}

impl History {
    /// Somebody was told that this value is there.
    fn is_at(&mut self, offset: i64, value: Value, who: &str) {
        let before = self.at.entry(value.partition).or_default().insert(offset, value);
        assert!(
            before.is_none_or(|it| it == value),
            "{who}: two values at one offset: {before:?} and {value:?} at {offset}"
        );
        let before = self.offsets.insert(value, offset);
        assert!(
            before.is_none_or(|it| it == offset),
            "{who}: a value twice: {value:?} at {before:?} and {offset}"
        );
    }

    /// A producer was told that its values are there, from this offset on.
    pub fn acknowledged(&mut self, base: i64, values: &[Value]) {
        self.counts.acknowledged += 1;
        for (offset, value) in (base..).zip(values) {
            self.is_at(offset, *value, "acknowledged");
            self.acknowledged.push((*value, offset));
        }
    }

    /// A reader has read this.
    pub fn read(&mut self, partition: i32, offset: i64, value: Value) {
        self.counts.read += 1;
        assert_eq!(value.partition, partition, "a value of another partition");
        self.is_at(offset, value, "read");
    }

    /// A reader has read a partition from its start to its end, when nothing failed any more.
    pub fn read_whole(&self, partition: i32, all: &BTreeMap<i64, Value>) {
        for (offset, value) in self.at.get(&partition).into_iter().flatten() {
            assert_eq!(
                all.get(offset),
                Some(value),
                "partition {partition}: what was told to be at {offset} is lost"
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
        let acknowledged = self.acknowledged.iter().filter(|(it, _)| it.partition == partition);
        for (value, offset) in acknowledged {
            assert_eq!(all.get(offset), Some(value), "an acknowledged value is lost");
        }
    }
}
