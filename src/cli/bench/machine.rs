//! What the bench asks of the machine: cores, open files, time.

use crate::cli::CliError;
use crate::client::clock::wall_ms;
use crate::types::exit;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::time::{Duration, Instant};

/// A clock of nanoseconds since the bench began, with the wall clock's time of that moment.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    start_unix_ms: i64,
}

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Self {
        Self { start: Instant::now(), start_unix_ms: wall_ms() }
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

/// CPUs that a `cpu_set_t` can name.
const CPUS_MAX: usize = rustix::thread::CpuSet::MAX_CPU;

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

/// Cores that the bench's threads are pinned to in turn; empty for no pinning.
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
    let mut limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_none_or(|soft| soft >= files) {
        return Ok(());
    }
    limit.current = Some(files);
    if files <= hard && setrlimit(Resource::Nofile, limit).is_ok() {
        return Ok(());
    }
    Err(CliError::Exit(
        exit::CONFIG,
        format!(
            "{files} open files are needed, {hard} are allowed: raise the limit with 'ulimit -Hn \
             {files}' as root, or LimitNOFILE= of a systemd unit"
        ),
    ))
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
