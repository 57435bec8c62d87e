//! Which offset of the target a source's offset has become.
//!
//! The two differ: the target has transaction markers of its own, and lacks what compaction, retention and aborted
//! transactions took from the source. So runs are kept: ranges of offsets that were copied one after the other. All of the
//! most recent ones are, and of the older ones fewer and fewer, the farther back they lie (as MirrorMaker 2 does with its
//! offset syncs). Where a run is not known any more, the translation is the end of the one before: a group reads records
//! again, and never misses one.

/// Runs that are known while the mirror runs.
pub const RUNS_MAX: usize = 128;
/// Of these, the latest are never thinned out.
const RECENT: usize = 8;

/// Source offsets `from..from + len` are target offsets `to..to + len`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// First offset in the source.
    pub from: i64,
    /// First offset in the target.
    pub to: i64,
    /// Number of offsets; 0 where copying began.
    pub len: i64,
}

/// See the module. The runs are in order, and the first is where copying began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    runs: Vec<Run>,
}

impl Translation {
    /// Copying begins at offset `from` of the source, and `to` is the end of the target.
    pub fn begin(from: i64, to: i64) -> Self {
        Self { runs: vec![Run { from, to, len: 0 }] }
    }

    /// Runs that were written down; `None` if there are none, or they are in no order.
    pub fn of(runs: Vec<Run>) -> Option<Self> {
        let ordered = runs
            .windows(2)
            .all(|it| it[0].from + it[0].len <= it[1].from && it[0].to + it[0].len <= it[1].to);
        let sound = runs.iter().all(|it| it.from >= 0 && it.to >= 0 && it.len >= 0);
        (!runs.is_empty() && ordered && sound).then_some(Self { runs })
    }

    /// The runs.
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// A run was copied, behind all others.
    pub fn copied(&mut self, run: Run) {
        let last = self.runs.last_mut().expect("one that copying began with");
        debug_assert!(run.from >= last.from + last.len && run.to >= last.to + last.len);
        if (last.from + last.len, last.to + last.len) == (run.from, run.to) {
            last.len += run.len;
            return;
        }
        self.runs.push(run);
        self.thin(RUNS_MAX);
    }

    /// The offset at which a group goes on that would go on at `source` there: every record of `source` and behind
    /// it is at this offset or behind it. What is not copied yet is behind all that is.
    pub fn translate(&self, source: i64) -> i64 {
        let behind = self.runs.partition_point(|it| it.from <= source);
        match behind.checked_sub(1).map(|at| self.runs[at]) {
            Some(run) => run.to + (source - run.from).min(run.len),
            // Nothing that comes before it was copied.
            None => self.runs[0].to,
        }
    }

    /// At most `most` of the runs: the first, the last, and those between them such that distances grow with age.
    pub fn thinned(&self, most: usize) -> Self {
        let mut thinned = self.clone();
        thinned.thin(most);
        thinned
    }

    fn thin(&mut self, most: usize) {
        while self.runs.len() > most.max(RECENT + 2) {
            let end = self.runs.last().map_or(0, |it| it.from + it.len);
            // The one whose loss is the smallest beside its age: what is between its neighbours then.
            let loss = |at: &usize| {
                let gap = self.runs[at + 1].from - self.runs[at - 1].from;
                let age = end - self.runs[*at].from + 1;
                i128::from(gap) * (1 << 20) / i128::from(age.max(1))
            };
            let at = (1..self.runs.len() - RECENT).min_by_key(loss).expect("more than the recent");
            self.runs.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::rng::Rng;

    fn run(from: i64, to: i64, len: i64) -> Run {
        Run { from, to, len }
    }

    #[test]
    fn neighbours_become_one_run() {
        let mut it = Translation::begin(100, 0);
        it.copied(run(100, 0, 10));
        it.copied(run(110, 10, 5));
        assert_eq!(it.runs(), [run(100, 0, 15)]);
        // A marker at the target.
        it.copied(run(115, 16, 5));
        // A gap at the source.
        it.copied(run(200, 22, 1));
        assert_eq!(it.runs().len(), 3);
        let translated = [(0, 0), (100, 0), (107, 7), (115, 16), (119, 20), (120, 21), (150, 21)];
        for (source, target) in translated {
            assert_eq!(it.translate(source), target, "{source}");
        }
        assert_eq!((it.translate(200), it.translate(201), it.translate(999)), (22, 23, 23));
    }

    #[test]
    fn nothing_copied_yet_is_where_copying_begins() {
        let it = Translation::begin(100, 7);
        assert_eq!((it.translate(3), it.translate(100), it.translate(500)), (7, 7, 7));
    }

    #[test]
    fn runs_that_were_written_down_are_checked() {
        assert!(Translation::of(vec![]).is_none());
        assert!(Translation::of(vec![run(5, 5, 5), run(9, 20, 1)]).is_none());
        assert!(Translation::of(vec![run(5, 5, 5), run(10, 9, 1)]).is_none());
        assert!(Translation::of(vec![run(5, -1, 5)]).is_none());
        assert!(Translation::of(vec![run(5, 5, 5), run(10, 11, 1)]).is_some());
    }

    /// Whatever is forgotten, no record that a group has yet to read is skipped, and what is recent is exact.
    #[test]
    fn thinning_never_skips_a_record() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed);
            let mut it = Translation::begin(0, 0);
            let (mut from, mut to) = (0, 0);
            // Of each source offset that was copied.
            let mut exact: Vec<(i64, i64)> = Vec::new();
            for _ in 0..600 {
                from += rng.below(4) as i64 * rng.below(50) as i64;
                to += 1 + rng.below(2) as i64;
                let len = 1 + rng.below(9) as i64;
                it.copied(run(from, to, len));
                exact.extend((0..len).map(|at| (from + at, to + at)));
                (from, to) = (from + len, to + len);
            }
            let few = it.thinned(32);
            assert!(it.runs().len() <= RUNS_MAX && few.runs().len() <= 32);
            assert!(Translation::of(few.runs().to_vec()).is_some());
            for it in [&it, &few] {
                let mut last = 0;
                for (source, target) in &exact {
                    let translated = it.translate(*source);
                    assert!(translated <= *target && translated >= last, "{source}");
                    last = translated;
                }
                let recent = &exact[exact.len() - 4..];
                assert!(recent.iter().all(|(source, target)| it.translate(*source) == *target));
                assert_eq!(it.translate(from), to);
            }
        }
    }
}
