//! What the kernel grants this process.

use super::ServeError;
use std::io;

/// Descriptors that the process wants where the hard limit allows it.
const FILES_WANTED: u64 = 1 << 20;
/// Locked memory that a shard's executor needs.
const LOCKED_PER_SHARD: u64 = 512 << 10;

/// Raises soft limits as far as they go, and says which are too low. Returns the limit of open
/// files.
pub fn raise(shards: usize) -> Result<u64, ServeError> {
    let files = raise_one(libc::RLIMIT_NOFILE, FILES_WANTED)
        .map_err(|e| ServeError::new(71, format!("cannot read the limit of open files: {e}")))?;
    if files < 4096 {
        tracing::warn!(
            "at most {files} open files: raise it with `ulimit -n 65536` (systemd: LimitNOFILE=65536)"
        );
    }
    let locked = raise_one(libc::RLIMIT_MEMLOCK, u64::MAX)
        .map_err(|e| ServeError::new(71, format!("cannot read the limit of locked memory: {e}")))?;
    let needed = LOCKED_PER_SHARD * shards as u64;
    // SAFETY: a call without pointers.
    let root = unsafe { libc::geteuid() } == 0;
    if locked < needed && !root {
        return Err(ServeError::new(
            78,
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
fn raise_one(which: libc::__rlimit_resource_t, wanted: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: room for one `rlimit`.
    if unsafe { libc::getrlimit(which, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let raised = libc::rlimit { rlim_cur: wanted.min(limit.rlim_max), ..limit };
    if raised.rlim_cur > limit.rlim_cur {
        // SAFETY: reads one `rlimit`.
        if unsafe { libc::setrlimit(which, &raw const raised) } == 0 {
            return Ok(raised.rlim_cur);
        }
    }
    Ok(limit.rlim_cur)
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
    Err(ServeError::new(78, format!("io_uring is not available: {why}")))
}
