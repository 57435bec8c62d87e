//! The error codes of a response, counted while it is written.

/// How often each error code was written. `NONE` is not counted, so a response without errors, the
/// usual one, costs no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(Vec<(i16, u32)>);

impl Tally {
    /// Counts `code`, unless it is 0 (`NONE`).
    #[inline]
    pub fn add(&mut self, code: i16) {
        if code != 0 {
            self.add_times(code, 1);
        }
    }

    #[cold]
    fn add_times(&mut self, code: i16, times: u32) {
        match self.0.iter_mut().find(|(it, _)| *it == code) {
            Some((_, count)) => *count += times,
            None => self.0.push((code, times)),
        }
    }

    /// Each code that was written, and how often.
    pub fn iter(&self) -> impl Iterator<Item = (i16, u32)> {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_and_success_is_not() {
        let mut tally = Tally::default();
        for code in [0, 3, 0, -1, 3] {
            tally.add(code);
        }
        assert_eq!(tally.iter().collect::<Vec<_>>(), [(3, 2), (-1, 1)]);
        assert!(Tally::default().iter().next().is_none());
    }
}
