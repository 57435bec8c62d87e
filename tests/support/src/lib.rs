//! What Klamm's tests share: the binary, directories, ports, a broker's process, programs that run to
//! their end or until they are interrupted, waiting with a deadline, counted allocations, seeds of simulators, and the table of
//! Kafka's messages.
//!
//! It knows nothing of the crate `klamm`: what it starts is the program.

pub mod allocations;
pub mod binary;
pub mod broker;
pub mod canned;
pub mod clock;
pub mod port;
pub mod program;
pub mod schema;
pub mod scratch;
pub mod seeds;

pub use binary::klamm;
pub use broker::Broker;
pub use clock::{now_ms, wait_for};
pub use port::free_port;
pub use program::{Ended, Running, run};
pub use scratch::Scratch;
pub use seeds::Seeds;

use std::fs;
use std::process::Command;

/// Whether io_uring is there: without it no broker runs, and nothing is to be tested with one.
pub fn broker_can_run() -> bool {
    let setting = fs::read_to_string("/proc/sys/kernel/io_uring_disabled");
    let ok = setting.map_or(true, |text| text.trim() != "2");
    if !ok {
        eprintln!("io_uring is disabled here: not tested");
    }
    ok
}

/// A command that settings of the developer's shell do not reach: they would change what is tested.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KLAMM_") || name == "RUST_LOG" || name == "LOG_DIR" {
            command.env_remove(name);
        }
    }
    command
}
