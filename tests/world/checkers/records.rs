//! Records: what was acknowledged or read is there, at its offset, once and in its producer's order,
//! after any crash, until it is deleted; nothing is read that was not written; ends and starts of logs
//! only go up. Of a compacted log, whoever reads it to its end has seen the last record of each key.

use super::topics::LogKey;
use std::collections::BTreeMap;
use std::ops::Range;

/// Who wrote a record, where, and its number among those of its source. A source is what keeps an
/// order: a producer id, or one connection of a producer without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uid {
    pub source: u32,
    pub topic: usize,
    pub partition: i32,
    pub number: u32,
}

impl Uid {
    pub fn encode(self) -> u64 {
        u64::from(self.source) << 40
            | (self.topic as u64) << 32
            | (self.partition as u64) << 24
            | u64::from(self.number)
    }

    /// Its key, where its topic is compacted: few, so that most records are replaced.
    pub fn key(self) -> u32 {
        self.number % 5
    }

    /// Whether it takes its key away, where its topic is compacted.
    pub fn is_tombstone(self) -> bool {
        self.number % 7 == 3
    }

    pub fn decode(bits: u64) -> Self {
        Self {
            source: (bits >> 40) as u32,
            topic: (bits >> 32 & 0xff) as usize,
            partition: (bits >> 24 & 0xff) as i32,
            number: (bits & 0xff_ffff) as u32,
        }
    }
}

/// How far a log reached at some moment: later answers say no less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floor {
    pub end: i64,
    pub start: i64,
}

impl Floor {
    pub fn raise(&mut self, other: Self) {
        self.end = self.end.max(other.end);
        self.start = self.start.max(other.start);
    }
}

/// What a reader of a compacted log has passed without seeing it: by key, the last offset that had a
/// record of it. A later one of that key is owed to the reader, before the end.
pub type Owed = BTreeMap<u32, i64>;

#[derive(Default)]
pub struct Log {
    /// What is known to be there, by offset, with its timestamp where that is known.
    known: BTreeMap<i64, (u64, Option<i64>)>,
    by_source: BTreeMap<u32, BTreeMap<u32, i64>>,
    floor: Floor,
    /// The highest start that was asked for, and those that may still take effect; -1 is the end.
    start_asked: i64,
    deletions: BTreeMap<u64, i64>,
    /// Largest timestamp that the broker has given, by offset.
    stamps: BTreeMap<i64, i64>,
    /// The leader's epoch of batches that were read, by offset.
    epochs: BTreeMap<i64, i32>,
    /// By end for readers: since when it is known, ms.
    reached: BTreeMap<i64, i64>,
}

#[derive(Default)]
pub struct Records {
    logs: BTreeMap<LogKey, Log>,
    /// Records ever sent, by topic and partition.
    sent: BTreeMap<(usize, i32), i64>,
    /// Numbers used, by source and partition.
    used: BTreeMap<(u32, usize, i32), u32>,
    next_source: u32,
    next_deletion: u64,
    /// The time, ms.
    pub now_ms: i64,
}

impl Records {
    pub fn new_source(&mut self) -> u32 {
        self.next_source += 1;
        self.next_source
    }

    /// Identities of records that are to be sent.
    pub fn make(&mut self, source: u32, topic: usize, partition: i32, count: u32) -> Vec<u64> {
        let next = self.used.entry((source, topic, partition)).or_default();
        let numbers = *next..*next + count;
        *next += count;
        *self.sent.entry((topic, partition)).or_default() += i64::from(count);
        numbers.map(|number| Uid { source, topic, partition, number }.encode()).collect()
    }

    fn sent(&self, key: LogKey) -> i64 {
        self.sent.get(&(key.topic, key.partition)).copied().unwrap_or(0)
    }

    pub fn log(&mut self, key: LogKey) -> &mut Log {
        self.logs.entry(key).or_default()
    }

    pub fn floor(&self, key: LogKey) -> Floor {
        self.logs.get(&key).map(|it| it.floor).unwrap_or_default()
    }

    /// The first offset that nobody has deleted for certain, and where readers get to.
    pub fn end(&self, key: LogKey) -> i64 {
        self.floor(key).end
    }

    /// A batch is acknowledged at this offset.
    pub fn acknowledged(&mut self, key: LogKey, base: i64, uids: &[u64]) {
        assert!(base >= 0, "{key:?}: acknowledged at offset {base}");
        for (offset, uid) in (base..).zip(uids) {
            self.log(key).learn(key, offset, *uid, None);
        }
        self.end_is(key, base + uids.len() as i64, Floor::default());
    }

    /// A record was read.
    pub fn read(&mut self, key: LogKey, offset: i64, uid: u64, timestamp: i64) {
        let Uid { source, topic, partition, number } = Uid::decode(uid);
        assert_eq!(
            (topic, partition),
            (key.topic, key.partition),
            "{key:?}: offset {offset} has a record of another partition: {:?}",
            Uid::decode(uid)
        );
        let used = self.used.get(&(source, topic, partition)).copied().unwrap_or(0);
        assert!(number < used, "{key:?}: offset {offset} has what nobody wrote: {uid:x}");
        self.log(key).learn(key, offset, uid, Some(timestamp));
    }

    /// A reader of a compacted log has found no records there; how many were known.
    pub fn passed(&self, key: LogKey, gone: Range<i64>, stay: bool, owed: &mut Owed) -> u64 {
        let Some(log) = self.logs.get(&key) else { return 0 };
        let mut count = 0;
        for (offset, (uid, _)) in log.known.range(gone) {
            let uid = Uid::decode(*uid);
            // With a tombstone that has gone in its time goes all that was before it.
            if uid.is_tombstone() && !stay {
                owed.remove(&uid.key());
            } else {
                owed.insert(uid.key(), *offset);
            }
            count += 1;
        }
        count
    }

    /// A reader has come to the end of a compacted log: what was owed to it, it has seen, or a tombstone of
    /// that key has come and gone of which nobody knows the offset.
    pub fn settled(&self, key: LogKey, stay: bool, owed: &Owed) {
        for (of, offset) in owed {
            let unknown = |source: &u32, used: u32| {
                let known = self.logs.get(&key).and_then(|it| it.by_source.get(source));
                (0..used).any(|number| {
                    let (topic, partition) = (key.topic, key.partition);
                    let uid = Uid { source: *source, topic, partition, number };
                    let is_known = known.is_some_and(|it| it.contains_key(&number));
                    uid.key() == *of && uid.is_tombstone() && !is_known
                })
            };
            let mut used =
                self.used.iter().filter(|(it, _)| (it.1, it.2) == (key.topic, key.partition));
            assert!(
                !stay && used.any(|((source, ..), used)| unknown(source, *used)),
                "{key:?}: the record of key {of} at {offset} is gone, and none came after it"
            );
        }
    }

    /// An answer says that the log ends there, for readers. It was asked when it reached `floor`.
    pub fn end_is(&mut self, key: LogKey, end: i64, floor: Floor) {
        let sent = self.sent(key);
        assert!(
            end >= floor.end,
            "{key:?}: ends at {end} for readers, and ended at {} before that was asked",
            floor.end
        );
        assert!(end <= sent, "{key:?}: ends at {end}, and only {sent} records were ever sent");
        let now_ms = self.now_ms;
        let log = self.log(key);
        log.floor.end = log.floor.end.max(end);
        log.reached.entry(end).or_insert(now_ms);
    }

    /// A batch of this epoch of the leader was read: epochs rise with offsets.
    pub fn has_epoch(&mut self, key: LogKey, offset: i64, epoch: i32) {
        let epochs = &mut self.log(key).epochs;
        let (before, after) =
            (epochs.range(..offset).next_back(), epochs.range(offset + 1..).next());
        assert!(
            before.is_none_or(|it| *it.1 <= epoch) && after.is_none_or(|it| *it.1 >= epoch),
            "{key:?}: offset {offset} is of epoch {epoch}, between {before:?} and {after:?}"
        );
        epochs.insert(offset, epoch);
    }

    /// An answer says where an epoch ends. It was asked when the log reached `floor`: what was appended
    /// while the answer was on its way may be of the same epoch.
    pub fn epoch_ends(&mut self, key: LogKey, epoch: i32, end: i64, floor: Floor) {
        let known = end..floor.end.max(end);
        let beyond = self.log(key).epochs.range(known).find(|(_, it)| **it <= epoch);
        assert!(beyond.is_none(), "{key:?}: epoch {epoch} ends at {end}, but {beyond:?}");
    }

    /// Since when a record at this offset was known to be there, ms.
    pub fn known_since(&self, key: LogKey, offset: i64) -> Option<i64> {
        let reached = &self.logs.get(&key)?.reached;
        reached.range(offset + 1..).map(|(_, since)| *since).min()
    }

    /// Where a log may start at most.
    pub fn start_max(&self, key: LogKey) -> i64 {
        let Some(log) = self.logs.get(&key) else { return 0 };
        let asked = |it: &i64| if *it < 0 { self.sent(key) } else { *it };
        log.deletions.values().map(asked).max().unwrap_or(0).max(log.start_asked)
    }

    /// An answer says that the log starts there. It was asked when it reached `floor`.
    pub fn start_is(&mut self, key: LogKey, start: i64, floor: Floor, retained: bool) {
        assert!(
            start >= floor.start,
            "{key:?}: starts at {start}, and started at {} before that was asked",
            floor.start
        );
        let max = self.start_max(key);
        assert!(
            !retained || start <= max,
            "{key:?}: starts at {start}, and {max} is the highest start that was asked for"
        );
    }

    /// A log starts here; what was not deleted by request has gone by age. No record before it is known
    /// to be younger than this, ms.
    pub fn aged(&mut self, key: LogKey, start: i64, youngest_ms: i64) {
        let deleted = self.start_max(key);
        let gone = self.log(key).known.range(deleted.min(start)..start);
        let young = gone.filter_map(|(offset, (_, time))| Some((offset, (*time)?)));
        let young = young.rev().find(|(_, time)| *time >= youngest_ms);
        assert!(
            young.is_none(),
            "{key:?}: starts at {start}, but offset and time {young:?} are not before {youngest_ms}"
        );
    }

    /// A deletion of records is sent; its number.
    pub fn deleting(&mut self, key: LogKey, offset: i64) -> u64 {
        self.next_deletion += 1;
        let number = self.next_deletion;
        self.log(key).deletions.insert(number, offset);
        number
    }

    /// It is done.
    pub fn deleted(&mut self, key: LogKey, number: u64, low_watermark: i64) {
        let log = self.log(key);
        let asked = log.deletions.remove(&number);
        if let Some(asked) = asked.filter(|it| *it >= 0) {
            assert!(low_watermark >= asked, "{key:?}: deleted up to {low_watermark}, not {asked}");
        }
        log.start_asked = log.start_asked.max(low_watermark);
        log.floor.start = log.floor.start.max(low_watermark);
    }

    /// It did nothing.
    pub fn not_deleted(&mut self, key: LogKey, number: u64) {
        self.log(key).deletions.remove(&number);
    }

    /// The broker has stamped the batch at this offset, by a clock that only goes forward.
    pub fn stamped(&mut self, key: LogKey, offset: i64, timestamp: i64) {
        let log = self.log(key);
        let before = log.stamps.range(..offset).next_back();
        let after = log.stamps.range(offset + 1..).next();
        assert!(
            before.is_none_or(|it| *it.1 <= timestamp) && after.is_none_or(|it| *it.1 >= timestamp),
            "{key:?}: offset {offset} is stamped {timestamp}, between {before:?} and {after:?}"
        );
        log.stamps.insert(offset, timestamp);
    }

    pub fn life_ended(&mut self) {
        let keys: Vec<LogKey> = self.logs.keys().copied().collect();
        for key in keys {
            let max = self.start_max(key);
            let log = self.log(key);
            log.start_asked = max;
            log.deletions.clear();
        }
    }
}

impl Log {
    fn learn(&mut self, key: LogKey, offset: i64, uid: u64, timestamp: Option<i64>) {
        let known = self.known.entry(offset).or_insert((uid, timestamp));
        assert_eq!(
            known.0,
            uid,
            "{key:?}: offset {offset} had {:?} and has {:?}",
            Uid::decode(known.0),
            Uid::decode(uid)
        );
        known.1 = known.1.or(timestamp);
        let Uid { source, number, .. } = Uid::decode(uid);
        let numbers = self.by_source.entry(source).or_default();
        let before = numbers.insert(number, offset);
        assert!(
            before.is_none_or(|it| it == offset),
            "{key:?}: record {number} of source {source} stands at {before:?} and at {offset}"
        );
        let earlier = numbers.range(..number).next_back();
        let later = numbers.range(number + 1..).next();
        assert!(
            earlier.is_none_or(|it| *it.1 < offset) && later.is_none_or(|it| *it.1 > offset),
            "{key:?}: record {number} of source {source} at {offset} is between {earlier:?} and \
             {later:?}"
        );
        self.floor.end = self.floor.end.max(offset + 1);
    }
}
