//! What the bench asks of the machine: cores, open files, time, and to be told of an interrupt.

use crate::cli::CliError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds since the bench began, and what the wall clock said then.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_unix_ms: i64,
}

impl Clock {
    /// Begins now.
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        Self { start: Instant::now(), start_unix_ms: unix.map_or(0, |d| d.as_millis() as i64) }
    }

    /// Nanoseconds since the start.
    pub fn now(&self) -> u64 {
        self.start.elapsed().as_nanos() as u64
    }

    /// Milliseconds since the Unix epoch at `ns`; never goes back.
    pub fn unix_ms(&self, ns: u64) -> i64 {
        self.start_unix_ms + (ns / 1_000_000) as i64
    }

    /// Sleeps until `ns`.
    pub fn sleep_until(&self, ns: u64) {
        std::thread::sleep(Duration::from_nanos(ns.saturating_sub(self.now())));
    }
}

/// What a `cpu_set_t` holds.
const CPUS_MAX: usize = libc::CPU_SETSIZE as usize;

/// Reads a list of cores, such as `1` or `0,2-3`.
pub fn parse_cpus(text: &str) -> Result<Cpus, String> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let number = |t: &str| t.trim().parse::<usize>();
        match (number(from), number(to)) {
            (Ok(from), Ok(to)) if from <= to && to < CPUS_MAX => cpus.extend(from..=to),
            _ => return Err("write cores as 1 or 0,2-3".to_owned()),
        }
    }
    Ok(Cpus(cpus))
}

/// Cores that the bench's threads take in turn; none is any.
#[derive(Clone, Debug, Default)]
pub struct Cpus(pub Vec<usize>);

impl Cpus {
    /// Ties the calling thread, the `i`th, to its core.
    pub fn pin(&self, i: usize) -> Result<(), CliError> {
        let Some(&id) = self.0.get(i % self.0.len().max(1)) else { return Ok(()) };
        if core_affinity::set_for_current(core_affinity::CoreId { id }) {
            return Ok(());
        }
        Err(CliError::Usage(format!("--cpu: this process may not run on core {id}")))
    }
}

/// Makes sure that `files` descriptors can be open, raising the soft limit as far as the hard one.
pub fn open_files(files: u64) -> Result<(), CliError> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls read or fill a struct that outlives them.
    let raised = unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0
            && (limit.rlim_cur >= files || {
                limit.rlim_cur = files.min(limit.rlim_max);
                libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) == 0
            })
    };
    if raised && limit.rlim_cur >= files {
        return Ok(());
    }
    Err(CliError::Exit(
        78,
        format!(
            "{files} open files are needed, {} are allowed: raise the limit with 'ulimit -Hn {files}' \
             as root, or LimitNOFILE= of a systemd unit",
            limit.rlim_max
        ),
    ))
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Catches the first SIGINT or SIGTERM, so that what was measured until then is shown; the second
/// one ends the process.
pub fn catch_interrupts() {
    extern "C" fn caught(signal: libc::c_int) {
        INTERRUPTED.store(true, Ordering::Relaxed);
        // SAFETY: `signal` is safe to call in a handler.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    let handler: extern "C" fn(libc::c_int) = caught;
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler touches an atomic only.
        unsafe { libc::signal(signal, handler as *const () as libc::sighandler_t) };
    }
}

/// A signal came.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_of_cores() {
        assert_eq!(parse_cpus("1").expect("one").0, [1]);
        assert_eq!(parse_cpus("0,2-4").expect("four").0, [0, 2, 3, 4]);
        for bad in ["", "a", "3-1", "0,", "99999"] {
            assert!(parse_cpus(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn says_how_to_raise_the_limit_of_open_files() {
        assert!(open_files(8).is_ok());
        let e = open_files(u64::MAX - 1).expect_err("too many").to_string();
        assert!(e.contains("ulimit -Hn"), "{e}");
    }
}
