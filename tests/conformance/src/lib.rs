//! Klamm against real clients and real faults: what the tests share.
//!
//! A test starts the real binary on a data directory of its own below `target/scratch/`, talks
//! to it over loopback, and ends it by process id. When a test fails, its directory with the
//! broker's log stays.

pub mod groups;
pub mod programs;
pub mod raw;

pub use groups::Member;
pub use raw::Client;
pub use support::{Broker, Scratch as DataDir, broker, free_port, now_ms, wait_for};
