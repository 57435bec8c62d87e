//! Klamm against real clients and real faults: what the tests share.
//!
//! A test starts the real binary on a data directory of its own below `target/conformance/`, talks
//! to it over loopback, and ends it by process id. When a test fails, its directory with the
//! broker's log stays.

pub mod broker;
pub mod groups;
pub mod programs;
pub mod raw;

pub use broker::{Broker, DataDir};
pub use groups::Member;
pub use raw::Client;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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
