//! A share-partition as it is told: one offset at a time, slowly.

use std::collections::BTreeMap;

/// What becomes of an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    Available,
    Acquired(String, i64),
    Acknowledged,
    Archived,
}

/// Offsets in flight, each with its fate and how often it was delivered.
#[derive(Clone, Debug, Default)]
pub struct Naive {
    pub start: i64,
    pub flight: BTreeMap<i64, (Fate, i16)>,
}

impl Naive {
    pub fn new(start: i64) -> Self {
        Self { start, flight: BTreeMap::new() }
    }

    pub fn end(&self) -> i64 {
        self.flight.last_key_value().map_or(self.start, |(offset, _)| offset + 1)
    }

    fn advance(&mut self) {
        while let Some((offset, (fate, _))) = self.flight.first_key_value() {
            if !matches!(fate, Fate::Acknowledged | Fate::Archived) {
                break;
            }
            self.start = offset + 1;
            self.flight.pop_first();
        }
    }

    /// Offsets that are neither records nor will be: they are archived where nobody has them.
    fn pass(&mut self, offset: i64) {
        let entry = self.flight.entry(offset).or_insert((Fate::Available, 0));
        if entry.0 == Fate::Available {
            entry.0 = Fate::Archived;
        }
    }

    /// Acquires of batches `(first, last, wanted)`; what was acquired, by offset, with delivery counts.
    pub fn acquire(
        &mut self,
        member: &str,
        from: i64,
        batches: &[(i64, i64, bool)],
        (records, is_strict, locks): (usize, bool, usize),
        until_ms: i64,
    ) -> Vec<(i64, i16)> {
        let mut taken = Vec::new();
        let mut at = from.max(self.start);
        for &(first, last, wanted) in batches {
            if taken.len() >= records {
                break;
            }
            if last < at {
                continue;
            }
            (at..first).for_each(|it| self.pass(it));
            let first = first.max(at);
            at = last + 1;
            for offset in first..=last {
                if !wanted {
                    self.pass(offset);
                    continue;
                }
                let is_new = !self.flight.contains_key(&offset);
                let full = is_strict && taken.len() >= records;
                if full || (is_new && self.end() - self.start >= locks as i64) {
                    at = offset;
                    break;
                }
                let entry = self.flight.entry(offset).or_insert((Fate::Available, 0));
                if entry.0 == Fate::Available {
                    *entry = (Fate::Acquired(member.to_owned(), until_ms), entry.1 + 1);
                    taken.push((offset, entry.1));
                }
            }
            if at <= last {
                break;
            }
        }
        self.advance();
        taken
    }

    /// Whether the member has all of these from the start on, and there are any.
    pub fn has_all(&self, member: &str, first: i64, last: i64) -> bool {
        let has =
            |it| matches!(self.flight.get(&it), Some((Fate::Acquired(of, _), _)) if of == member);
        last >= self.start && (first.max(self.start)..=last).all(has)
    }

    /// What the member says of one offset: 0 to 4, as requests have it.
    pub fn acknowledge(&mut self, offset: i64, said: i8, limit: i16, until: i64) {
        let Some((fate, count)) = self.flight.get_mut(&offset) else { return };
        match said {
            1 => *fate = Fate::Acknowledged,
            2 if *count < limit => *fate = Fate::Available,
            4 => {
                if let Fate::Acquired(_, it) = fate {
                    *it = until;
                }
            }
            _ => *fate = Fate::Archived,
        }
    }

    pub fn acknowledged(&mut self) {
        self.advance();
    }

    pub fn release(&mut self, member: &str, limit: i16) {
        for (fate, count) in self.flight.values_mut() {
            if matches!(fate, Fate::Acquired(of, _) if of == member) {
                *fate = if *count >= limit { Fate::Archived } else { Fate::Available };
            }
        }
        self.advance();
    }

    pub fn expire(&mut self, now_ms: i64, limit: i16) {
        for (fate, count) in self.flight.values_mut() {
            if matches!(fate, Fate::Acquired(_, until) if *until <= now_ms) {
                *fate = if *count >= limit { Fate::Archived } else { Fate::Available };
            }
        }
        self.advance();
    }

    pub fn advance_to(&mut self, log_start: i64) {
        if log_start > self.start {
            self.flight.retain(|it, _| *it >= log_start);
            self.start = log_start;
            self.advance();
        }
    }

    /// As another leader finds it: nobody has anything.
    pub fn restart(&mut self) {
        for (fate, count) in self.flight.values_mut() {
            if let Fate::Acquired(..) = fate {
                (*fate, *count) = (Fate::Available, *count - 1);
            }
        }
        // What was never delivered at the end is not known any more.
        while self.flight.last_key_value().is_some_and(|(_, it)| *it == (Fate::Available, 0)) {
            self.flight.pop_last();
        }
    }

    pub fn fates(&self) -> Vec<(i64, String, i16)> {
        let each = self.flight.iter().map(|(offset, (fate, count))| {
            let fate = match fate {
                Fate::Available => "available".to_owned(),
                Fate::Acquired(member, until) => format!("{member} {until}"),
                Fate::Acknowledged => "acknowledged".to_owned(),
                Fate::Archived => "archived".to_owned(),
            };
            (*offset, fate, *count)
        });
        each.collect()
    }
}
