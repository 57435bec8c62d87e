//! Of a transaction all records are read or none: none before its end was asked for, none when it was aborted or its producer
//! was fenced, all when its commit was acknowledged. What was read once is read again, at its offset and nowhere else.
//! Offsets that a transaction commits are there when its records are.

use super::log::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What is known of how a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// Nobody has asked for its commit: it is aborted, sooner or later.
    None,
    /// A commit was asked for, and nobody knows yet.
    CommitAsked,
    Committed,
    Aborted,
}

#[derive(Debug)]
struct Transaction {
    producer: u32,
    ending: Ending,
    /// Values that were acknowledged.
    acknowledged: Vec<Value>,
    /// It commits offsets: that was asked for, and acknowledged.
    offsets: (bool, bool),
}

impl Transaction {
    fn may_be_read(&self) -> bool {
        matches!(self.ending, Ending::CommitAsked | Ending::Committed)
    }
}

/// See the module.
#[derive(Default)]
pub struct Transactions {
    all: Vec<Transaction>,
    /// By value: its transaction.
    of: HashMap<Value, usize>,
    /// By partition: what was acknowledged or read.
    at: BTreeMap<i32, BTreeMap<i64, Value>>,
    offsets: HashMap<Value, i64>,
    read: BTreeSet<Value>,
    /// By producer: the transaction whose offsets are committed, -1 for none.
    committed: BTreeMap<u32, i64>,
}

impl Transactions {
    /// A producer begins one; its number, which is larger than that of all before it.
    pub fn begins(&mut self, producer: u32) -> usize {
        let (acknowledged, offsets) = (Vec::new(), (false, false));
        let it = Transaction { producer, ending: Ending::None, acknowledged, offsets };
        self.all.push(it);
        self.all.len() - 1
    }

    /// These are about to be written as a part of it.
    pub fn writes(&mut self, number: usize, values: &[Value]) {
        self.of.extend(values.iter().map(|it| (*it, number)));
    }

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

    /// They are there, from this offset on.
    pub fn acknowledged(&mut self, number: usize, base: i64, values: &[Value]) {
        for (offset, value) in (base..).zip(values) {
            self.is_at(offset, *value, "acknowledged");
        }
        self.all[number].acknowledged.extend(values);
    }

    /// It is about to commit offsets, too, or that is acknowledged.
    pub fn commits_offsets(&mut self, number: usize, acknowledged: bool) {
        let known = &mut self.all[number].offsets;
        *known = (true, known.1 || acknowledged);
    }

    /// Its end is about to be asked for.
    pub fn ends(&mut self, number: usize, commits: bool) {
        let ending = &mut self.all[number].ending;
        if commits && *ending == Ending::None {
            *ending = Ending::CommitAsked;
        }
    }

    /// The only attempt to end it was refused.
    pub fn not_ended(&mut self, number: usize) {
        let ending = &mut self.all[number].ending;
        if *ending == Ending::CommitAsked {
            *ending = Ending::None;
        }
    }

    /// Its end is acknowledged.
    pub fn ended(&mut self, number: usize, commits: bool) {
        let ending = &mut self.all[number].ending;
        let now = if commits { Ending::Committed } else { Ending::Aborted };
        let other = if commits { Ending::Aborted } else { Ending::Committed };
        assert_ne!(*ending, other, "transaction {number} ends twice, with {now:?}");
        *ending = now;
    }

    /// A reader of what is committed has read this.
    pub fn read(&mut self, partition: i32, offset: i64, value: Value) {
        assert_eq!(value.partition, partition, "a value of another partition");
        let number = *self.of.get(&value).expect("what was written");
        let it = &self.all[number];
        assert!(it.may_be_read(), "{value:?} at {offset} is read, of transaction {number}: {it:?}");
        self.is_at(offset, value, "read");
        self.read.insert(value);
    }

    /// A group says whose offsets are committed, when nothing failed any more.
    pub fn committed(&mut self, producer: u32, number: i64) {
        self.committed.insert(producer, number);
    }

    /// All of a partition was read from its start, when nothing failed any more.
    pub fn read_whole(&self, partition: i32, all: &BTreeMap<i64, Value>) {
        for value in self.read.iter().filter(|it| it.partition == partition) {
            let offset = self.offsets[value];
            let found = all.get(&offset);
            assert_eq!(found, Some(value), "partition {partition}: {offset} was read before");
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

    /// Everything was read, and everything was said.
    pub fn whole(&self) {
        let is_read = |it: &Value| self.read.contains(it);
        let shown: BTreeSet<usize> = self.read.iter().map(|it| self.of[it]).collect();
        for (number, it) in self.all.iter().enumerate() {
            let read = shown.contains(&number);
            let whole = it.acknowledged.iter().all(is_read);
            assert!(whole || !read, "of transaction {number} a part is read: {it:?}");
            assert!(whole || it.ending != Ending::Committed, "{number} is lost: {it:?}");
        }
        for (producer, committed) in &self.committed {
            let behind = self.all.iter().enumerate().filter(|it| it.1.producer == *producer);
            for (number, it) in behind {
                let is_later = number as i64 > *committed;
                let is_in = shown.contains(&number) || it.ending == Ending::Committed;
                assert!(
                    !(is_later && is_in && it.offsets.1),
                    "producer {producer}: offsets are of {committed}, and {number} is there: {it:?}"
                );
                if number as i64 == *committed {
                    let whole = it.acknowledged.iter().all(is_read);
                    assert!(
                        it.offsets.0 && it.may_be_read() && whole,
                        "producer {producer}: offsets of {number}, which is not there: {it:?}"
                    );
                }
            }
        }
    }
}
