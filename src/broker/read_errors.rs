//! Lines about what cannot be read, limited: a client asks for a damaged place again and again.

use super::line_pause::LinePause;
use std::collections::BTreeMap;

/// Lines that are told apart at a time; others wait until one of these is over.
const KNOWN_MAX: usize = 64;

/// What was told lately.
#[derive(Debug, Default)]
pub struct ReadErrors {
    told: BTreeMap<String, LinePause>,
}

impl ReadErrors {
    /// Whether a line, which names the place and what is wrong there, is to be written, and how often
    /// it was left out since it was written last. `now_ms` is of a clock that does not go backwards.
    pub fn tell(&mut self, now_ms: i64, line: &str) -> Option<u64> {
        if let Some(pause) = self.told.get_mut(line) {
            return pause.tell(now_ms);
        }
        if self.told.len() >= KNOWN_MAX {
            self.told.retain(|_, pause| !pause.is_over(now_ms));
        }
        if self.told.len() >= KNOWN_MAX {
            return None;
        }
        self.told.insert(line.to_owned(), LinePause::begin(now_ms));
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::line_pause::PAUSE_MS;

    #[test]
    fn a_place_is_told_once_in_ten_seconds_with_what_was_left_out() {
        let mut errors = ReadErrors::default();
        assert_eq!(errors.tell(0, "a at byte 0"), Some(0));
        assert_eq!(errors.tell(1, "b at byte 0"), Some(0), "another place");
        for now_ms in 2..5 {
            assert_eq!(errors.tell(now_ms, "a at byte 0"), None);
        }
        assert_eq!(errors.tell(PAUSE_MS, "a at byte 0"), Some(3));
        assert_eq!(errors.tell(PAUSE_MS + 1, "a at byte 0"), None);
        assert_eq!(errors.tell(3 * PAUSE_MS, "a at byte 0"), Some(1));
    }

    #[test]
    fn a_disk_that_fails_everywhere_fills_neither_memory_nor_the_log() {
        let mut errors = ReadErrors::default();
        let told = (0..1_000).filter(|n| errors.tell(5, &n.to_string()).is_some()).count();
        assert_eq!((told, errors.told.len()), (KNOWN_MAX, KNOWN_MAX));
        assert_eq!(errors.tell(5 + PAUSE_MS, "later"), Some(0));
        assert_eq!(errors.told.len(), 1);
    }
}
