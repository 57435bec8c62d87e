//! Latencies, and the lines that show them.

use std::time::Duration;

/// Latencies in milliseconds, of all records or of those after the warm-up.
#[derive(Debug, Default)]
pub(super) struct Stats {
    /// Records by latency; what is longer than the last counts as the last.
    pub(super) by_latency: Vec<u64>,
    pub(super) count: u64,
    pub(super) bytes: u64,
    pub(super) total_ms: u64,
    pub(super) max_ms: u64,
}

const LATENCY_MAX_MS: usize = 600_000;

impl Stats {
    pub(super) fn record(&mut self, ms: u64, count: u64, bytes: u64) {
        let at = (ms as usize).min(LATENCY_MAX_MS);
        if self.by_latency.len() <= at {
            self.by_latency.resize(at + 1, 0);
        }
        self.by_latency[at] += count;
        self.count += count;
        self.bytes += bytes;
        self.total_ms += ms * count;
        self.max_ms = self.max_ms.max(ms);
    }

    pub(super) fn average(&self) -> f64 {
        self.total_ms as f64 / self.count as f64
    }

    pub(super) fn percentile(&self, share: f64) -> usize {
        let rank = (self.count as f64 * share) as u64;
        let mut seen = 0;
        self.by_latency
            .iter()
            .position(|n| {
                seen += n;
                seen > rank
            })
            .unwrap_or(self.max_ms as usize)
    }

    pub(super) fn line(&self, elapsed: Duration, what: &str) -> String {
        let seconds = elapsed.as_millis().max(1) as f64 / 1000.0;
        format!(
            "{} {what}records sent, {:.6} records/sec ({:.2} MB/sec), {:.2} ms avg latency, {:.2} ms max \
             latency, {} ms 50th, {} ms 95th, {} ms 99th, {} ms 99.9th.",
            self.count,
            self.count as f64 / seconds,
            self.bytes as f64 / seconds / 1_048_576.0,
            self.average(),
            self.max_ms as f64,
            self.percentile(0.5),
            self.percentile(0.95),
            self.percentile(0.99),
            self.percentile(0.999),
        )
    }

    pub(super) fn window(&self, elapsed: Duration) -> String {
        let seconds = elapsed.as_millis().max(1) as f64 / 1000.0;
        format!(
            "{} records sent, {:.1} records/sec ({:.2} MB/sec), {:.1} ms avg latency, {:.1} ms max \
             latency.",
            self.count,
            self.count as f64 / seconds,
            self.bytes as f64 / seconds / 1_048_576.0,
            self.average(),
            self.max_ms as f64,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_look_as_kafkas() {
        let mut s = Stats::default();
        for ms in 1..=100 {
            s.record(ms, 1, 1_048_576);
        }
        let line = s.line(Duration::from_secs(2), "");
        assert_eq!(
            line,
            "100 records sent, 50.000000 records/sec (50.00 MB/sec), 50.50 ms avg latency, 100.00 ms max \
             latency, 51 ms 50th, 96 ms 95th, 100 ms 99th, 100 ms 99.9th."
        );
        assert_eq!(
            s.window(Duration::from_secs(1)),
            "100 records sent, 100.0 records/sec (100.00 MB/sec), 50.5 ms avg latency, 100.0 ms max \
             latency."
        );
    }
}
