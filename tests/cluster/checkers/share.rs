//! A record that a share group has settled is never delivered again, nobody gets a record while another holds it, and it is
//! delivered as often as is allowed, at most.
//!
//! Settled is what was accepted or rejected, and answered without an error. A leader that was deposed and does not know
//! may deliver what it had: that does nothing, since it can keep nothing of it, and is not judged.

use super::Counts;
use std::collections::BTreeMap;

/// What a member says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Accept,
    Release,
    Reject,
}

impl Said {
    /// As requests have it.
    pub const fn code(self) -> i8 {
        match self {
            Self::Accept => 1,
            Self::Release => 2,
            Self::Reject => 3,
        }
    }
}

/// What came of what a member has said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Kept,
    Refused,
    /// Nobody knows.
    Open,
}

/// A node that leads, the epoch, and how often it has read what is kept.
pub type Standing = (i32, i32, u64);

/// A record as a member has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub partition: i32,
    pub offset: i64,
    pub count: i16,
    /// No other has it.
    pub id: u64,
    /// When the member heard, ms.
    pub heard_ms: i64,
}

#[derive(Clone, Copy, Debug)]
struct Last {
    id: u64,
    /// It was acquired between these, ms.
    sent_ms: i64,
    heard_ms: i64,
    /// Of the leader all the while; nothing where it was not one.
    standing: Option<Standing>,
    /// It is the member's still, as far as that knows.
    held: bool,
}

#[derive(Debug, Default)]
struct Record {
    /// When that was known, ms.
    settled_ms: Option<i64>,
    /// Somebody has said something of it and was not answered.
    open: bool,
    /// It was given back after so many deliveries, as was known then, ms.
    given_back: (i16, i64),
    /// Most deliveries that were counted.
    most: i16,
    last: Option<Last>,
}

/// See the module.
pub struct Share {
    lock_ms: i64,
    deliveries: i16,
    records: BTreeMap<(i32, i64), Record>,
    /// By partition: when members did not hear what they had got, ms.
    unheard: BTreeMap<i32, Vec<i64>>,
    last: u64,
}

impl Share {
    pub fn new(lock_ms: i64, deliveries: i16) -> Self {
        let (records, unheard) = (BTreeMap::new(), BTreeMap::new());
        Self { lock_ms, deliveries, records, unheard, last: 0 }
    }

    /// A member has got a record for what it asked at `sent_ms`. `standing` is that of the leader, where it was the same then and
    /// is now.
    pub fn delivered(
        &mut self,
        (partition, offset, count): (i32, i64, i16),
        standing: Option<Standing>,
        (sent_ms, now_ms): (i64, i64),
        counts: &mut Counts,
    ) -> Delivery {
        let record = self.records.entry((partition, offset)).or_default();
        let what = format!("share group: {offset} of partition {partition}, delivery {count}");
        assert!((1..=self.deliveries).contains(&count), "{what}: of {} at most", self.deliveries);
        counts.delivered += 1;
        counts.redelivered += u64::from(count > 1);
        if let Some(standing) = standing {
            assert!(
                record.settled_ms.is_none_or(|it| it >= sent_ms),
                "{what}, asked at {sent_ms} by {standing:?}: it was settled before: {record:?}"
            );
            let (before, at_ms) = record.given_back;
            assert!(
                count > before || at_ms >= sent_ms,
                "{what}, asked at {sent_ms}: a delivery was not counted: {record:?}"
            );
            if let Some(last) = record.last.filter(|it| it.held && it.standing == Some(standing)) {
                let locked = last.heard_ms < sent_ms && now_ms < last.sent_ms + self.lock_ms;
                assert!(!locked, "{what}, asked at {sent_ms}: another has it: {record:?}");
            }
            record.open = false;
        } else {
            counts.deliveries_not_judged += 1;
        }
        self.last += 1;
        let (id, heard_ms) = (self.last, now_ms);
        record.most = record.most.max(count);
        record.last = Some(Last { id, sent_ms, heard_ms, standing, held: true });
        Delivery { partition, offset, count, id, heard_ms }
    }

    /// A member says something of what it has, or gives it up unsaid.
    pub fn lets_go(&mut self, it: &Delivery) {
        let record = self.records.get_mut(&(it.partition, it.offset)).expect("it was delivered");
        if let Some(last) = record.last.as_mut().filter(|last| last.id == it.id) {
            last.held = false;
        }
    }

    /// A member has heard what came of that, or will not. It was said at `sent_ms`.
    pub fn answered(
        &mut self,
        it: &Delivery,
        said: Said,
        outcome: Outcome,
        (sent_ms, now_ms): (i64, i64),
        counts: &mut Counts,
    ) {
        let record = self.records.get_mut(&(it.partition, it.offset)).expect("it was delivered");
        match outcome {
            Outcome::Refused => return,
            Outcome::Open => {
                record.open = true;
                return;
            }
            Outcome::Kept => {}
        }
        let what = format!("share group: {said:?} of {it:?}, said at {sent_ms}, was kept");
        let later = record.last.filter(|last| last.id > it.id && last.standing.is_some());
        if let Some(later) = later.filter(|later| later.sent_ms > it.heard_ms) {
            // What was released another may have got before this is known.
            let before = said != Said::Release || later.heard_ms < sent_ms;
            assert!(!before, "{what}: another has got it: {record:?}");
        }
        // What was released another may have settled before this is known.
        let settled = record.settled_ms.filter(|it| said != Said::Release || *it < sent_ms);
        assert!(settled.is_none(), "{what}: it was settled before: {record:?}");
        if said == Said::Release {
            counts.given_back += 1;
            let known = record.given_back.0;
            if it.count > known {
                record.given_back = (it.count, now_ms);
            }
        } else {
            counts.settled += 1;
            record.settled_ms = Some(now_ms);
        }
    }

    /// Nobody will hear what was delivered of this partition.
    pub fn unheard(&mut self, partition: i32, now_ms: i64) {
        self.unheard.entry(partition).or_default().push(now_ms);
    }

    /// Whether a record that is there since `since_ms` has to be delivered and settled yet.
    pub fn waits(&self, partition: i32, offset: i64, since_ms: i64) -> bool {
        let record = self.records.get(&(partition, offset));
        if record.is_some_and(|it| it.settled_ms.is_some() || it.open) {
            return false;
        }
        let unheard = self.unheard.get(&partition);
        let unheard = unheard.map_or(0, |it| it.iter().filter(|at| **at >= since_ms).count());
        let most = record.map_or(0, |it| usize::try_from(it.most).unwrap_or(0));
        most + unheard < usize::try_from(self.deliveries).unwrap_or(0)
    }

    /// How many records were given up since they were delivered as often as is allowed.
    pub fn used_up(&self) -> u64 {
        let is_used_up = |it: &&Record| it.settled_ms.is_none() && it.most == self.deliveries;
        self.records.values().filter(is_used_up).count() as u64
    }
}
