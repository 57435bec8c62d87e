//! Which log is to be compacted, and how far (`LogCleanerManager` of Kafka 4.3).

use crate::storage::format::segment::Segment;
use crate::storage::log::{Compaction, Log};

/// What of a log can be compacted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cleanable {
    /// The first segments, so many.
    pub segments: usize,
    /// Offset of the first record that no pass has seen.
    pub first_dirty: i64,
    /// The share that no pass has seen, of the bytes of those segments.
    pub dirty_ratio: f64,
    /// Some of it has waited for longer than it may.
    overdue: bool,
}

impl Cleanable {
    /// What can be compacted of a log, whose records at and above `stable` cannot; `None` where there is
    /// nothing new, or the log is not compacted.
    ///
    /// It is in segments to which nothing more comes, but not in the last one; and of them only
    /// those before the first with a record younger than `min.compaction.lag.ms`.
    pub fn of(log: &Log, stable: i64, now_ms: i64) -> Option<Self> {
        let config = log.config.compaction?;
        // While a job brings frames into segments, it is not known which of them are whole.
        if log.busy || log.dropped || log.uncleanable {
            return None;
        }
        let run = log.direct.first_generation();
        let young = |s: &Segment| now_ms.saturating_sub(newest(s)) < config.min_lag_ms;
        let ends = |s: &&Segment| {
            s.meta.sealed
                && s.meta.next <= stable.min(log.acked)
                && Some(s.meta.generation) != run
                && !young(s)
        };
        let whole = &log.segments[..log.segments.len().saturating_sub(1)];
        let segments = whole.iter().take_while(ends).count();
        let first_dirty = log.cleaned_end.max(log.start);
        let is_dirty = |s: &&Segment| s.meta.next > first_dirty;
        let bytes = |s: &Segment| s.meta.length;
        let all: u64 = whole[..segments].iter().map(bytes).sum();
        let dirty: u64 = whole[..segments].iter().filter(is_dirty).map(bytes).sum();
        if dirty == 0 {
            return None;
        }
        let waits = |s: &Segment| now_ms.saturating_sub(s.meta.first_append) > config.max_lag_ms;
        let overdue = whole[..segments].iter().filter(is_dirty).any(waits);
        Some(Self { segments, first_dirty, dirty_ratio: dirty as f64 / all as f64, overdue })
    }

    /// Whether it is to be compacted.
    pub fn is_due(&self, config: Compaction) -> bool {
        self.overdue || self.dirty_ratio > config.min_cleanable_ratio
    }

    /// Whether it comes before another one.
    pub fn precedes(&self, other: &Self) -> bool {
        (self.overdue, self.dirty_ratio) > (other.overdue, other.dirty_ratio)
    }
}

/// The largest timestamp of a segment; of its last append where it has none.
fn newest(segment: &Segment) -> i64 {
    let meta = &segment.meta;
    if meta.max_timestamp >= 0 { meta.max_timestamp } else { meta.last_append }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::log::LogConfig;
    use crate::types::{TopicId, TopicPartition};

    /// Segments of ten records each, the first appended at 1000, then one each second; the last is
    /// open.
    fn log(lengths: &[u64]) -> Log {
        let tp = TopicPartition { topic: TopicId([1; 16]), partition: 0 };
        let compaction = Compaction {
            min_cleanable_ratio: 0.5,
            min_lag_ms: 0,
            max_lag_ms: i64::MAX,
            delete_retention_ms: 0,
        };
        let config = LogConfig { compaction: Some(compaction), ..LogConfig::none() };
        let mut log = Log::new(tp, config);
        for (i, length) in (0..).zip(lengths) {
            let mut segment = Segment::new(i * 10, i as u64, 1000 + 1000 * i, 0);
            segment.meta.length = *length;
            segment.meta.next += 10;
            segment.meta.max_timestamp = 1500 + 1000 * i;
            segment.meta.sealed = i as usize + 1 < lengths.len();
            log.segments.push(segment);
        }
        log.end = 10 * lengths.len() as i64;
        (log.acked, log.placed_end) = (log.end, log.end);
        log
    }

    fn of(log: &Log, stable: i64, now_ms: i64) -> Option<(usize, i64, f64)> {
        Cleanable::of(log, stable, now_ms).map(|it| (it.segments, it.first_dirty, it.dirty_ratio))
    }

    #[test]
    fn what_may_change_is_left_alone() {
        let mut log = log(&[4096, 4096, 8192, 4096]);
        assert_eq!(of(&log, 40, 9000), Some((3, 0, 1.0)), "not the last");
        assert_eq!(of(&log, 29, 9000), Some((2, 0, 1.0)), "nothing above the high watermark");
        log.acked = 19;
        assert_eq!(of(&log, 40, 9000), Some((1, 0, 1.0)), "nothing that is not durable");
        log.acked = 40;
        log.cleaned_end = 20;
        assert_eq!(of(&log, 40, 9000), Some((3, 20, 0.5)));
        log.start = 25;
        assert_eq!(of(&log, 40, 9000), Some((3, 25, 0.5)));
        log.cleaned_end = 30;
        assert_eq!(of(&log, 40, 9000), None, "nothing new");
        log.cleaned_end = 0;
        for held in [|log: &mut Log| log.busy = true, |log: &mut Log| log.config.compaction = None]
        {
            let mut log = self::log(&[4096, 4096]);
            held(&mut log);
            assert_eq!(of(&log, 40, 9000), None);
        }
    }

    #[test]
    fn ratio_and_lags_say_when() {
        let mut log = log(&[4096, 4096, 8192, 4096]);
        let config = |log: &Log| log.config.compaction.expect("it is compacted");
        log.cleaned_end = 20;
        let half = Cleanable::of(&log, 40, 9000).expect("the third is dirty");
        assert!(!half.is_due(config(&log)), "more than the ratio");
        log.cleaned_end = 10;
        let more = Cleanable::of(&log, 40, 9000).expect("the second too");
        assert!(more.is_due(config(&log)) && more.precedes(&half) && !half.precedes(&more));
        log.cleaned_end = 20;
        log.config.compaction.as_mut().expect("it is").max_lag_ms = 5999;
        let late = Cleanable::of(&log, 40, 9000).expect("the third is dirty");
        assert!(late.is_due(config(&log)) && late.precedes(&more), "appended at 3000");
        assert!(!Cleanable::of(&log, 40, 8999).expect("dirty").is_due(config(&log)));
        log.cleaned_end = 0;
        log.config.compaction.as_mut().expect("it is").min_lag_ms = 1000;
        assert_eq!(of(&log, 40, 3500), Some((2, 0, 1.0)), "2500 is old enough, 3500 is not");
        assert_eq!(of(&log, 40, 3499), Some((1, 0, 1.0)));
    }
}
