//! A line of the log that may come again and again: written once in ten seconds, and counted meanwhile.

/// For so long after a line, those like it are left out, ms.
pub const PAUSE_MS: i64 = 10_000;

/// From a line that was written on.
#[derive(Debug)]
pub struct LinePause {
    until_ms: i64,
    left_out: u64,
}

impl LinePause {
    /// A line was written now.
    pub fn begin(now_ms: i64) -> Self {
        Self { until_ms: now_ms + PAUSE_MS, left_out: 0 }
    }

    /// Another line like it: where it is to be written, how many were left out since the last one was.
    pub fn tell(&mut self, now_ms: i64) -> Option<u64> {
        if !self.is_over(now_ms) {
            self.left_out += 1;
            return None;
        }
        let left_out = self.left_out;
        *self = Self::begin(now_ms);
        Some(left_out)
    }

    /// Whether the next line like it is to be written.
    pub fn is_over(&self, now_ms: i64) -> bool {
        self.until_ms <= now_ms
    }

    /// When the next line like it may be written, ms.
    pub fn until_ms(&self) -> i64 {
        self.until_ms
    }

    /// Lines that were left out since the last one was written.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}
