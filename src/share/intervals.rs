//! Values by offset, where many offsets in a row have the same.

use std::collections::BTreeMap;

/// Intervals of offsets that do not overlap, each with a value. Neighbours with equal values are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intervals<T> {
    /// By first offset: the last one, and the value.
    map: BTreeMap<i64, (i64, T)>,
}

impl<T> Default for Intervals<T> {
    fn default() -> Self {
        Self { map: BTreeMap::new() }
    }
}

impl<T: Clone + PartialEq> Intervals<T> {
    /// How many intervals.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// The first one.
    pub fn first(&self) -> Option<(i64, i64, &T)> {
        self.map.first_key_value().map(|(first, (last, value))| (*first, *last, value))
    }

    /// Takes the first one away.
    pub fn pop_first(&mut self) {
        self.map.pop_first();
    }

    /// The last one.
    pub fn last(&self) -> Option<(i64, i64, &T)> {
        self.map.last_key_value().map(|(first, (last, value))| (*first, *last, value))
    }

    /// Takes the last one away.
    pub fn pop_last(&mut self) {
        self.map.pop_last();
    }

    /// All, in order: first offset, last offset, value.
    pub fn iter(&self) -> impl Iterator<Item = (i64, i64, &T)> {
        self.map.iter().map(|(first, (last, value))| (*first, *last, value))
    }

    /// Those that have something of `first..=last`, in order, as far as they are in it.
    pub fn within(&self, first: i64, last: i64) -> impl Iterator<Item = (i64, i64, &T)> {
        let from = self.at_or_before(first);
        let found = self.map.range(from..).take_while(move |(it, _)| **it <= last);
        found
            .filter(move |(_, (end, _))| *end >= first)
            .map(move |(it, (end, value))| ((*it).max(first), (*end).min(last), value))
    }

    /// The offsets have this value, whatever they had.
    pub fn set(&mut self, first: i64, last: i64, value: T) {
        self.split(first);
        self.split(last + 1);
        let gone: Vec<i64> = self.map.range(first..=last).map(|(it, _)| *it).collect();
        gone.iter().for_each(|it| drop(self.map.remove(it)));
        self.map.insert(first, (last, value));
        self.join(first, last);
    }

    /// Changes the values of those of these offsets that have one.
    pub fn update(&mut self, first: i64, last: i64, mut change: impl FnMut(&mut T)) {
        self.split(first);
        self.split(last + 1);
        for (_, (_, value)) in self.map.range_mut(first..=last) {
            change(value);
        }
        self.join(first, last);
    }

    /// Changes all values.
    pub fn update_all(&mut self, mut change: impl FnMut(&mut T)) {
        for (_, value) in self.map.values_mut() {
            change(value);
        }
        self.join(i64::MIN, i64::MAX);
    }

    /// Offsets below this one have no value any more.
    pub fn cut_below(&mut self, offset: i64) {
        self.split(offset);
        self.map = self.map.split_off(&offset);
    }

    fn at_or_before(&self, offset: i64) -> i64 {
        self.map.range(..=offset).next_back().map_or(offset, |(it, _)| *it)
    }

    /// An interval begins here, if one has this offset.
    fn split(&mut self, at: i64) {
        let Some((first, (last, value))) = self.map.range_mut(..at).next_back() else { return };
        if *last < at {
            return;
        }
        debug_assert!(*first < at, "another interval begins here");
        let rest = (*last, value.clone());
        *last = at - 1;
        self.map.insert(at, rest);
    }

    /// Makes one of neighbours that are equal, within these offsets and at their edges.
    fn join(&mut self, first: i64, last: i64) {
        let from = self.map.range(..first).next_back().map_or(first, |(it, _)| *it);
        let mut at = from;
        loop {
            let mut behind = self.map.range(at..);
            let Some((here, (end, value))) = behind.next() else { return };
            let Some((next, (next_end, next_value))) = behind.next() else { return };
            if *here > last {
                return;
            }
            at = *next;
            if *end + 1 == *next && value == next_value {
                let (here, next, end) = (*here, *next, *next_end);
                self.map.remove(&next);
                if let Some(it) = self.map.get_mut(&here) {
                    it.0 = end;
                }
                at = here;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Rng;

    /// Against a value for each offset.
    #[test]
    fn intervals_say_what_was_said_of_each_offset() {
        const OFFSETS: i64 = 24;
        for seed in 0..300 {
            let mut rng = Rng::new(seed);
            let (mut all, mut naive) = (Intervals::default(), BTreeMap::new());
            for _ in 0..40 {
                let first = rng.below(OFFSETS as u64) as i64;
                let last = first + rng.below((OFFSETS - first) as u64) as i64;
                let value = rng.below(3);
                match rng.below(8) {
                    0 => {
                        all.cut_below(first);
                        naive.retain(|it, _| *it >= first);
                    }
                    1..4 => {
                        all.update(first, last, |it| *it = value);
                        naive.range_mut(first..=last).for_each(|(_, it)| *it = value);
                    }
                    4 => {
                        all.update_all(|it| *it = (*it + 1) % 3);
                        naive.values_mut().for_each(|it| *it = (*it + 1) % 3);
                    }
                    _ => {
                        all.set(first, last, value);
                        naive.extend((first..=last).map(|it| (it, value)));
                    }
                }
                let each = |it: &mut dyn Iterator<Item = (i64, i64, &u64)>| {
                    let each =
                        it.flat_map(|(first, last, value)| (first..=last).map(|it| (it, *value)));
                    each.collect::<Vec<_>>()
                };
                let expected: Vec<_> = naive.iter().map(|(it, value)| (*it, *value)).collect();
                assert_eq!(each(&mut all.iter()), expected, "seed {seed}");
                let expected: Vec<_> =
                    naive.range(first..=last).map(|(it, value)| (*it, *value)).collect();
                assert_eq!(each(&mut all.within(first, last)), expected, "seed {seed}");
                let list: Vec<_> = all.iter().collect();
                let one = list.windows(2).all(|it| it[0].1 + 1 < it[1].0 || it[0].2 != it[1].2);
                assert!(one, "seed {seed}: equal neighbours {list:?}");
            }
        }
    }
}
