//! What the kernel grants this process.

use super::ServeError;
use crate::types::exit;
use rustix::process::{Resource, Rlimit};

/// Descriptors that the process wants where the hard limit allows it.
const FILES_WANTED: u64 = 1 << 20;
/// Locked memory that a shard's executor needs.
const LOCKED_PER_SHARD: u64 = 512 << 10;

/// Raises soft limits as far as they go, and says which are too low. Returns the limit of open
/// files.
pub fn raise(shards: usize) -> Result<u64, ServeError> {
    let files = raise_one(Resource::Nofile, FILES_WANTED);
    if files < 4096 {
        tracing::warn!(
            "at most {files} open files: raise it with `ulimit -n 65536` (systemd: LimitNOFILE=65536)"
        );
    }
    let locked = raise_one(Resource::Memlock, u64::MAX);
    let needed = LOCKED_PER_SHARD * shards as u64;
    let root = rustix::process::geteuid().is_root();
    if locked < needed && !root {
        return Err(ServeError::new(
            exit::CONFIG,
            format!(
                "{shards} shards need {} KiB of locked memory and the limit is {}: raise it with \
                 `ulimit -l {}` (systemd: LimitMEMLOCK={}K), or use fewer with --shards",
                needed >> 10,
                locked >> 10,
                needed >> 10,
                needed >> 10
            ),
        ));
    }
    Ok(files)
}

/// Raises a soft limit to `wanted`, or to the hard limit; what it is then.
fn raise_one(which: Resource, wanted: u64) -> u64 {
    // None is infinity.
    let limit = rustix::process::getrlimit(which);
    let raised = wanted.min(limit.maximum.unwrap_or(u64::MAX));
    let now = limit.current.unwrap_or(u64::MAX);
    let to = Rlimit { current: Some(raised).filter(|it| *it < u64::MAX), ..limit };
    if raised > now && rustix::process::setrlimit(which, to).is_ok() { raised } else { now }
}

/// Whether the kernel lets this process use `io_uring`.
pub fn check_io_uring() -> Result<(), ServeError> {
    let Err(error) = io_uring::IoUring::new(8) else { return Ok(()) };
    let why = match error.raw_os_error() {
        Some(libc::ENOSYS) => {
            "the kernel has none, or a seccomp profile hides it (Docker's default does: run with \
             --security-opt seccomp=unconfined)"
                .to_owned()
        }
        Some(libc::EPERM) => {
            "not permitted: see sysctl kernel.io_uring_disabled, or a seccomp profile (Docker: run \
             with --security-opt seccomp=unconfined)"
                .to_owned()
        }
        _ => error.to_string(),
    };
    Err(ServeError::new(exit::CONFIG, format!("io_uring is not available: {why}")))
}
