//! What a share group has in flight of one partition.

use std::sync::Arc;

use super::acknowledgement::{AckBatch, AckType};
use super::intervals::Intervals;
use super::state::{DeliveryState, ShareState, StateBatch};
use crate::types::ErrorCode;

/// What becomes of an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Available,
    /// By whom, and until when, ms.
    Acquired(Arc<str>, i64),
    Acknowledged,
    Archived,
}

impl Fate {
    fn is_of(&self, member: &str) -> bool {
        matches!(self, Self::Acquired(it, _) if **it == *member)
    }

    const fn is_complete(&self) -> bool {
        matches!(self, Self::Acknowledged | Self::Archived)
    }
}

/// Offsets in a row that have the same fate.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Run {
    fate: Fate,
    /// How often they were delivered, this time included.
    delivery_count: i16,
    /// That is not kept yet.
    is_dirty: bool,
}

impl Run {
    /// It is delivered no more, or once more unless it was so often already.
    fn give_back(&mut self, limit: i16) {
        self.fate = if self.delivery_count >= limit { Fate::Archived } else { Fate::Available };
        self.is_dirty = true;
    }
}

/// A batch of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBatch {
    /// Its first offset.
    pub first: i64,
    /// Its last one.
    pub last: i64,
    /// It has records for consumers: no control records, and none of an aborted transaction where only committed
    /// ones are wanted.
    pub is_wanted: bool,
}

/// How much a member may acquire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// About so many records: batches of the log are not cut, unless `is_strict`.
    pub records: usize,
    /// No more than that (KIP-1206).
    pub is_strict: bool,
    /// The client acknowledges about so many at a time.
    pub batch_size: usize,
    /// So many offsets may be in flight (`share.partition.max.record.locks`).
    pub locks: usize,
}

/// Offsets in a row that a member has acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acquired {
    /// The first offset.
    pub first: i64,
    /// The last one.
    pub last: i64,
    /// How often they were delivered, this time included.
    pub delivery_count: i16,
}

/// What is to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Nothing below is delivered any more.
    pub start_offset: i64,
    /// How many offsets from there on are acknowledged or archived.
    pub delivery_complete_count: i32,
    /// What has changed, in order.
    pub batches: Vec<StateBatch>,
}

/// See the module. The offsets in flight are those from [`start`](Self::start) to before [`end`](Self::end).
#[derive(Clone, Debug)]
pub struct SharePartition {
    start: i64,
    end: i64,
    runs: Intervals<Run>,
    /// The start is not kept yet.
    start_moved: bool,
    /// Counts what was to be kept.
    changes: u64,
}

impl SharePartition {
    /// As it was kept: what somebody had acquired is available. `start` is where the group begins whose start was
    /// never chosen.
    pub fn load(kept: &ShareState, start: i64) -> Self {
        let chosen = kept.start_offset < 0;
        let start = if chosen { start } else { kept.start_offset };
        let mut this = Self {
            start,
            end: start,
            runs: Intervals::default(),
            start_moved: chosen,
            changes: u64::from(chosen),
        };
        for it in kept.batches() {
            // What was never delivered lies in between.
            this.grow(it.first - 1, Fate::Available, 0, false);
            let fate = match it.state {
                DeliveryState::Available => Fate::Available,
                DeliveryState::Acknowledged => Fate::Acknowledged,
                DeliveryState::Archived => Fate::Archived,
            };
            this.grow(it.last, fate, it.delivery_count, false);
        }
        let never = |it: &Run| it.fate == Fate::Available && it.delivery_count == 0;
        if let Some((first, _, _)) = this.runs.last().filter(|it| never(it.2)) {
            this.runs.pop_last();
            this.end = first;
        }
        this.advance();
        this
    }

    /// Nothing below is delivered any more.
    pub const fn start(&self) -> i64 {
        self.start
    }

    /// Nothing from here on was delivered.
    pub const fn end(&self) -> i64 {
        self.end
    }

    /// How many runs of offsets with the same fate are in flight.
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Another number whenever there is more to be kept.
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// Where to read on for whoever wants records: at the first that can be delivered. `None` while so many are in flight
    /// that all have to wait.
    pub fn next_offset(&self, locks: usize) -> Option<i64> {
        let available = self.runs.iter().find(|(_, _, it)| it.fate == Fate::Available);
        available.map(|it| it.0).or_else(|| (self.free(locks) > 0).then_some(self.end))
    }

    /// So many more may be in flight.
    const fn free(&self, locks: usize) -> i64 {
        locks as i64 - (self.end - self.start)
    }

    /// A member takes records of what was read from the log at `from`: these batches, in order. What lies between
    /// `from` and their end and is in none of them does not exist.
    pub fn acquire(
        &mut self,
        member: &Arc<str>,
        from: i64,
        batches: &[LogBatch],
        room: Room,
        until_ms: i64,
    ) -> Vec<Acquired> {
        let mut taken = Taken { room, count: 0, list: Vec::new() };
        let mut at = from.max(self.start);
        for batch in batches {
            if taken.is_full() {
                break;
            }
            if batch.last < at {
                continue;
            }
            let first = batch.first.max(at);
            if first > at {
                // Those are gone from the log.
                self.pass(at, first - 1);
            }
            at = if batch.is_wanted {
                self.take(member, first, batch.last, until_ms, &mut taken)
            } else {
                self.pass(first, batch.last);
                batch.last + 1
            };
            if at <= batch.last {
                break;
            }
        }
        self.advance();
        taken.list
    }

    /// A member takes what it can of these; where it stopped.
    fn take(
        &mut self,
        member: &Arc<str>,
        first: i64,
        last: i64,
        until_ms: i64,
        taken: &mut Taken,
    ) -> i64 {
        let known = last.min(self.end - 1);
        let available: Vec<(i64, i64, i16)> = self
            .runs
            .within(first, known)
            .filter(|(_, _, it)| it.fate == Fate::Available)
            .map(|(first, last, it)| (first, last, it.delivery_count))
            .collect();
        for (first, end, before) in available {
            let last = taken.limit(first, end);
            if last < first {
                return first;
            }
            let fate = Fate::Acquired(member.clone(), until_ms);
            self.runs.update(first, last, |it| {
                it.fate = fate.clone();
                it.delivery_count = it.delivery_count.saturating_add(1);
            });
            taken.add(first, last, before.saturating_add(1));
            if last < end {
                return last + 1;
            }
        }
        let first = first.max(self.end);
        if first > last {
            return last + 1;
        }
        let last = taken.limit(first, last).min(self.end + self.free(taken.room.locks) - 1);
        if last < first {
            return first;
        }
        self.grow(last, Fate::Acquired(member.clone(), until_ms), 1, false);
        taken.add(first, last, 1);
        last + 1
    }

    /// There is nothing to be delivered of these.
    fn pass(&mut self, first: i64, last: i64) {
        let known = last.min(self.end - 1);
        let is_open = |it: &Run| it.fate == Fate::Available;
        if first <= known {
            let open = self.runs.within(first, known).any(|(_, _, it)| is_open(it));
            if open {
                self.runs.update(first, known, |it| {
                    if is_open(it) {
                        it.fate = Fate::Archived;
                        it.is_dirty = true;
                    }
                });
                self.changes += 1;
            }
        }
        if last >= self.end {
            self.grow(last, Fate::Archived, 0, true);
            self.changes += 1;
        }
    }

    /// What is in flight ends with this offset from now on.
    fn grow(&mut self, last: i64, fate: Fate, delivery_count: i16, is_dirty: bool) {
        if last >= self.end {
            self.runs.set(self.end, last, Run { fate, delivery_count, is_dirty });
            self.end = last + 1;
        }
    }

    /// A member says what is to become of records that it has acquired: of all, or, where that is an error, of none.
    /// Those that were delivered `limit` times are not delivered again; renewed locks end at `until_ms`.
    ///
    /// # Errors
    /// `INVALID_RECORD_STATE`: it has not acquired one of them, or not any more. `INVALID_REQUEST`: nobody could have.
    pub fn acknowledge(
        &mut self,
        member: &str,
        batches: &[AckBatch],
        limit: i16,
        until_ms: i64,
    ) -> Result<(), ErrorCode> {
        for it in batches {
            if it.last >= self.end {
                return Err(ErrorCode::INVALID_REQUEST);
            }
            // As Kafka does: of what is below the start nothing is said any more. Where that is all of it, it is not the
            // member's, and here it hears so: its lock has ended, and another has settled it, or the log has lost it.
            if it.last < self.start {
                return Err(ErrorCode::INVALID_RECORD_STATE);
            }
            let mut runs = self.runs.within(it.first.max(self.start), it.last);
            if runs.any(|(_, _, run)| !run.fate.is_of(member)) {
                return Err(ErrorCode::INVALID_RECORD_STATE);
            }
        }
        for it in batches {
            for (first, last, said) in it.runs(self.start) {
                self.runs.update(first, last, |run| {
                    match said {
                        AckType::Accept => run.fate = Fate::Acknowledged,
                        AckType::Gap | AckType::Reject => run.fate = Fate::Archived,
                        AckType::Release => return run.give_back(limit),
                        AckType::Renew => {
                            if let Fate::Acquired(_, until) = &mut run.fate {
                                *until = until_ms;
                            }
                            return;
                        }
                    }
                    run.is_dirty = true;
                });
                self.changes += u64::from(said != AckType::Renew);
            }
        }
        self.advance();
        Ok(())
    }

    /// A member is gone: what it has acquired is delivered again, unless it was so often already. Whether it had any.
    pub fn release(&mut self, member: &str, limit: i16) -> bool {
        if !self.runs.iter().any(|(_, _, it)| it.fate.is_of(member)) {
            return false;
        }
        self.runs.update_all(|it| {
            if it.fate.is_of(member) {
                it.give_back(limit);
            }
        });
        self.changes += 1;
        self.advance();
        true
    }

    /// Locks end that last until now or less. Whether any did.
    pub fn expire(&mut self, now_ms: i64, limit: i16) -> bool {
        if self.next_deadline().is_none_or(|it| it > now_ms) {
            return false;
        }
        self.runs.update_all(|it| {
            if matches!(it.fate, Fate::Acquired(_, until) if until <= now_ms) {
                it.give_back(limit);
            }
        });
        self.changes += 1;
        self.advance();
        true
    }

    /// When the first lock ends, ms.
    pub fn next_deadline(&self) -> Option<i64> {
        let ends = self.runs.iter().filter_map(|(_, _, it)| match it.fate {
            Fate::Acquired(_, until_ms) => Some(until_ms),
            _ => None,
        });
        ends.min()
    }

    /// The log begins here now: what is below cannot be delivered.
    pub fn advance_to(&mut self, log_start: i64) {
        if log_start <= self.start {
            return;
        }
        self.runs.cut_below(log_start);
        self.start = log_start;
        self.end = self.end.max(log_start);
        self.start_moved = true;
        self.changes += 1;
        self.advance();
    }

    /// The start moves over what is complete.
    fn advance(&mut self) {
        while let Some((_, last, run)) = self.runs.first() {
            if !run.fate.is_complete() {
                break;
            }
            self.start = last + 1;
            self.start_moved = true;
            self.runs.pop_first();
        }
    }

    /// What is to be kept of what has happened since this was asked last. What is acquired is kept as available: as
    /// often delivered as before.
    pub fn take_write(&mut self) -> Option<Write> {
        let dirty = self.runs.iter().filter(|(_, _, it)| it.is_dirty);
        let batches: Vec<StateBatch> = dirty
            .map(|(first, last, it)| {
                let (state, delivery_count) = match it.fate {
                    Fate::Available => (DeliveryState::Available, it.delivery_count),
                    Fate::Acquired(..) => (DeliveryState::Available, it.delivery_count - 1),
                    Fate::Acknowledged => (DeliveryState::Acknowledged, it.delivery_count),
                    Fate::Archived => (DeliveryState::Archived, it.delivery_count),
                };
                StateBatch { first, last, state, delivery_count }
            })
            .collect();
        if batches.is_empty() && !self.start_moved {
            return None;
        }
        self.start_moved = false;
        self.runs.update_all(|it| it.is_dirty = false);
        let complete = self.runs.iter().filter(|(_, _, it)| it.fate.is_complete());
        let complete: i64 = complete.map(|(first, last, _)| last - first + 1).sum();
        Some(Write {
            start_offset: self.start,
            delivery_complete_count: i32::try_from(complete).unwrap_or(i32::MAX),
            batches,
        })
    }

    /// What becomes of each offset in flight: a letter for the fate, and the delivery count.
    #[cfg(test)]
    pub(super) fn fates(&self) -> Vec<(i64, String, i16)> {
        let each = self.runs.iter().flat_map(|(first, last, it)| {
            let fate = match &it.fate {
                Fate::Available => "available".to_owned(),
                Fate::Acquired(member, until) => format!("{member} {until}"),
                Fate::Acknowledged => "acknowledged".to_owned(),
                Fate::Archived => "archived".to_owned(),
            };
            (first..=last).map(move |offset| (offset, fate.clone(), it.delivery_count))
        });
        each.collect()
    }
}

/// What a member has taken so far.
struct Taken {
    room: Room,
    count: usize,
    list: Vec<Acquired>,
}

impl Taken {
    const fn is_full(&self) -> bool {
        self.count >= self.room.records
    }

    /// The last of these that it may take.
    fn limit(&self, first: i64, last: i64) -> i64 {
        if !self.room.is_strict {
            return last;
        }
        last.min(first + self.room.records.saturating_sub(self.count) as i64 - 1)
    }

    /// It takes these. They are acknowledged together with those right before them, as far as that is not too many.
    fn add(&mut self, first: i64, last: i64, delivery_count: i16) {
        let count = (last - first + 1) as usize;
        self.count += count;
        let batch_size = self.room.batch_size;
        if let Some(it) = self.list.last_mut() {
            let size = (it.last - it.first + 1) as usize + count;
            let alike = it.delivery_count == delivery_count && it.last + 1 == first;
            if alike && (batch_size == 0 || size <= batch_size) {
                it.last = last;
                return;
            }
        }
        self.list.push(Acquired { first, last, delivery_count });
    }
}
