//! The time, and waiting for something.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a start, a stop or an answer may take before a test fails. Generous: other tests share the
/// cores.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Milliseconds since 1970: records of long ago fall to the retention at once.
pub fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("a clock after 1970").as_millis() as i64
}

/// Calls `probe` until it gives a value, at most for `limit`.
///
/// The pause between two calls is short and bounds nothing: only `limit` decides.
pub fn wait_for<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
