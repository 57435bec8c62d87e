//! What is kept of one share-partition.

use super::intervals::Intervals;

/// What becomes of a record, as it is kept. A record that is acquired is available to whoever leads next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It can be delivered.
    Available,
    /// It was processed.
    Acknowledged,
    /// It is not delivered any more.
    Archived,
}

impl DeliveryState {
    /// As records and messages have it.
    pub const fn code(self) -> i8 {
        match self {
            Self::Available => 0,
            Self::Acknowledged => 2,
            Self::Archived => 4,
        }
    }

    /// As records and messages have it.
    pub const fn of_code(code: i8) -> Option<Self> {
        Some(match code {
            0 => Self::Available,
            2 => Self::Acknowledged,
            4 => Self::Archived,
            _ => return None,
        })
    }
}

/// Offsets in a row of which the same is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateBatch {
    /// The first offset.
    pub first: i64,
    /// The last one.
    pub last: i64,
    /// What became of them.
    pub state: DeliveryState,
    /// How often they were delivered.
    pub delivery_count: i16,
}

/// A change of what is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The leader's epoch.
    pub leader_epoch: i32,
    /// Nothing below is delivered any more; -1 where that has not changed.
    pub start_offset: i64,
    /// How many offsets from the start on are acknowledged or archived; -1 where that is not known.
    pub delivery_complete_count: i32,
    /// What has changed, in order.
    pub batches: Vec<StateBatch>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShareState {
    /// Counts snapshots.
    pub snapshot_epoch: i32,
    /// Counts how often the state was begun anew.
    pub state_epoch: i32,
    /// The epoch of the last leader that is known.
    pub leader_epoch: i32,
    /// Nothing below is delivered any more; -1 before the first leader has chosen a start.
    pub start_offset: i64,
    /// How many offsets from the start on are acknowledged or archived; -1 where that is not known.
    pub delivery_complete_count: i32,
    /// When the state began, by the wall's clock, ms.
    pub created_ms: i64,
    /// When it was written last, ms.
    pub written_ms: i64,
    batches: Intervals<(DeliveryState, i16)>,
}

impl ShareState {
    /// A state that begins.
    pub fn new(snapshot_epoch: i32, state_epoch: i32, start_offset: i64, now_ms: i64) -> Self {
        Self {
            snapshot_epoch,
            state_epoch,
            leader_epoch: 0,
            start_offset,
            delivery_complete_count: if start_offset < 0 { -1 } else { 0 },
            created_ms: now_ms,
            written_ms: now_ms,
            batches: Intervals::default(),
        }
    }

    /// The same, with these batches.
    #[must_use]
    pub fn with_batches(mut self, batches: &[StateBatch]) -> Self {
        self.put(batches);
        self
    }

    /// What is kept of offsets from the start on, in order. Those in between were not delivered.
    pub fn batches(&self) -> impl Iterator<Item = StateBatch> {
        self.batches.iter().map(|(first, last, (state, count))| StateBatch {
            first,
            last,
            state: *state,
            delivery_count: *count,
        })
    }

    /// How many batches.
    pub fn batch_count(&self) -> usize {
        self.batches.len()
    }

    /// Takes a change in.
    pub fn apply(&mut self, update: &Update) {
        self.leader_epoch = self.leader_epoch.max(update.leader_epoch);
        // One that is behind was sent before another that is known already.
        if update.start_offset >= self.start_offset {
            self.start_offset = update.start_offset;
            self.delivery_complete_count = update.delivery_complete_count;
        }
        self.put(&update.batches);
    }

    /// What is complete stays so, and no delivery is taken back: a write whose answer was lost is sent again, and where the
    /// first one comes late, others that were sent since may have come before it.
    fn put(&mut self, batches: &[StateBatch]) {
        let stays = |(state, count): (DeliveryState, i16), it: &StateBatch| {
            it.state == DeliveryState::Available
                && (state != DeliveryState::Available || count > it.delivery_count)
        };
        for it in batches.iter().filter(|it| it.first <= it.last) {
            let known = self.batches.within(it.first, it.last);
            let kept: Vec<_> = known
                .filter(|known| stays(*known.2, it))
                .map(|known| (known.0, known.1, *known.2))
                .collect();
            self.batches.set(it.first, it.last, (it.state, it.delivery_count));
            kept.into_iter().for_each(|(first, last, value)| self.batches.set(first, last, value));
        }
        if self.start_offset >= 0 {
            self.batches.cut_below(self.start_offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::DeliveryState::{Acknowledged, Archived, Available};
    use super::*;

    #[test]
    fn the_newest_word_on_an_offset_holds() {
        let batch =
            |first, last, state, delivery_count| StateBatch { first, last, state, delivery_count };
        let mut state = ShareState::new(0, 0, 10, 5).with_batches(&[batch(8, 19, Available, 1)]);
        state.apply(&Update {
            leader_epoch: 3,
            start_offset: -1,
            delivery_complete_count: 3,
            batches: vec![batch(12, 13, Acknowledged, 1), batch(16, 16, Archived, 2)],
        });
        let all: Vec<_> = state.batches().collect();
        assert_eq!(
            all,
            [
                batch(10, 11, Available, 1),
                batch(12, 13, Acknowledged, 1),
                batch(14, 15, Available, 1),
                batch(16, 16, Archived, 2),
                batch(17, 19, Available, 1),
            ]
        );
        assert_eq!((state.start_offset, state.leader_epoch), (10, 3));
        state.apply(&Update {
            leader_epoch: 3,
            start_offset: 17,
            delivery_complete_count: 0,
            batches: Vec::new(),
        });
        assert_eq!(state.batches().collect::<Vec<_>>(), [batch(17, 19, Available, 1)]);
    }

    #[test]
    fn a_change_that_comes_late_takes_nothing_back() {
        let batch =
            |first, last, state, delivery_count| StateBatch { first, last, state, delivery_count };
        let update = |start_offset, batches| Update {
            leader_epoch: 3,
            start_offset,
            delivery_complete_count: 0,
            batches,
        };
        let released = update(10, vec![batch(10, 19, Available, 1)]);
        let mut state = ShareState::new(0, 0, 10, 5);
        state.apply(&released);
        state.apply(&update(12, vec![batch(10, 13, Acknowledged, 2), batch(16, 16, Archived, 2)]));
        state.apply(&update(12, vec![batch(18, 18, Available, 2)]));
        let known = state.clone();
        // It was sent twice.
        state.apply(&released);
        assert_eq!(state, known);
        // It was delivered again.
        state.apply(&update(12, vec![batch(14, 18, Available, 2)]));
        let all: Vec<_> = state.batches().collect();
        assert_eq!(
            all,
            [
                batch(12, 13, Acknowledged, 2),
                batch(14, 15, Available, 2),
                batch(16, 16, Archived, 2),
                batch(17, 18, Available, 2),
                batch(19, 19, Available, 1),
            ]
        );
    }
}
