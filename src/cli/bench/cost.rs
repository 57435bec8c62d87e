//! What a run costs: CPU time, memory and disk writes of the brokers' processes, CPU time of our own.

use super::latency::round;
use crate::cli::CliError;
use rustix::param::{clock_ticks_per_second, page_size};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};
use std::fs;

/// Counters of a process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counters {
    cpu_s: f64,
    rss_bytes: u64,
    /// Bytes that it caused to be written to disks; `None` where that may not be read.
    written_bytes: Option<u64>,
}

/// Reads `/proc/PID`.
fn counters(pid: u32) -> std::io::Result<Counters> {
    let bad = |what| std::io::Error::new(std::io::ErrorKind::InvalidData, what);
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything.
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace().collect())
        .ok_or_else(|| bad("/proc/PID/stat"))?;
    let number = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok());
    let (ticks, page) = (clock_ticks_per_second(), page_size());
    // Fields 14, 15 and 24 of proc(5), where the name is 2.
    let (user, system) = (number(11), number(12));
    let cpu_s = user.zip(system).map(|(u, s)| (u + s) / ticks as f64);
    let rss = number(21).map(|pages| (pages * page as f64) as u64);
    let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
    let written =
        io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).and_then(|n| n.parse().ok());
    Ok(Counters {
        cpu_s: cpu_s.ok_or_else(|| bad("/proc/PID/stat"))?,
        rss_bytes: rss.ok_or_else(|| bad("/proc/PID/stat"))?,
        written_bytes: written,
    })
}

/// CPU seconds of this process.
fn own_cpu_s() -> f64 {
    clock_s(ClockId::ProcessCPUTime)
}

/// CPU seconds of the calling thread.
pub fn thread_cpu_s() -> f64 {
    clock_s(ClockId::ThreadCPUTime)
}

fn clock_s(clock: ClockId) -> f64 {
    let t = clock_gettime(clock);
    t.tv_sec as f64 + t.tv_nsec as f64 / 1e9
}

impl Counters {
    fn plus(self, other: Self) -> Self {
        Self {
            cpu_s: self.cpu_s + other.cpu_s,
            rss_bytes: self.rss_bytes + other.rss_bytes,
            written_bytes: self.written_bytes.zip(other.written_bytes).map(|(a, b)| a + b),
        }
    }
}

/// A broker's process.
#[derive(Clone, Copy, Debug)]
struct Process {
    pid: u32,
    begin: Counters,
    last: Counters,
}

/// Measures the costs between its creation and [`Meter::end`].
#[derive(Clone, Debug)]
pub struct Meter {
    brokers: Vec<Process>,
    rss_bytes_max: u64,
    own_cpu_s: f64,
    /// Own CPU seconds when it was stopped.
    stopped: Option<f64>,
}

/// An error where one is no process, before the run begins.
pub fn check_pids(pids: &[u32]) -> Result<(), CliError> {
    match pids.iter().find(|pid| counters(**pid).is_err()) {
        Some(pid) => Err(CliError::Usage(format!(
            "--broker-pid {pid}: no process of that number can be seen here"
        ))),
        None => Ok(()),
    }
}

impl Meter {
    /// Begins; `pids` are the brokers'.
    pub fn begin(pids: &[u32]) -> Self {
        let process = |pid: &u32| {
            let begin = counters(*pid).ok()?;
            Some(Process { pid: *pid, begin, last: begin })
        };
        let brokers: Vec<Process> = pids.iter().filter_map(process).collect();
        let rss_bytes_max = brokers.iter().map(|it| it.begin.rss_bytes).sum();
        Self { brokers, rss_bytes_max, own_cpu_s: own_cpu_s(), stopped: None }
    }

    /// Reads the counters; a process that has ended keeps its last ones.
    pub fn sample(&mut self) {
        if self.stopped.is_some() {
            return;
        }
        for process in &mut self.brokers {
            process.last = counters(process.pid).unwrap_or(process.last);
        }
        let rss_bytes = self.brokers.iter().map(|it| it.last.rss_bytes).sum();
        self.rss_bytes_max = self.rss_bytes_max.max(rss_bytes);
    }

    /// Reads the counters for the last time.
    pub fn stop(&mut self) {
        self.sample();
        self.stopped.get_or_insert_with(own_cpu_s);
    }

    /// The counters of all brokers at the beginning and now; `None` where none is watched.
    fn counted(&self) -> Option<(Counters, Counters)> {
        let each = self.brokers.iter().map(|it| (it.begin, it.last));
        each.reduce(|(a, b), (c, d)| (a.plus(c), b.plus(d)))
    }

    /// RSS of the brokers at the beginning and now, bytes.
    pub fn rss_bytes(&self) -> Option<(u64, u64)> {
        self.counted().map(|(a, b)| (a.rss_bytes, b.rss_bytes))
    }

    /// Ends: costs over `seconds`, in which `bytes` and `requests` were done. Gives the fields
    /// `bench` and, with process ids, `broker`: the sum over all of them.
    pub fn end(mut self, seconds: f64, bytes: f64, requests: f64) -> Map<String, Value> {
        self.stop();
        let own = self.stopped.unwrap_or_default() - self.own_cpu_s;
        let mut out = Map::new();
        let cores = if seconds > 0.0 { own / seconds } else { 0.0 };
        out.insert("bench".to_owned(), json!({ "cpu_s": round(own), "cores": round(cores) }));
        let Some((a, b)) = self.counted() else { return out };
        let cpu_s = b.cpu_s - a.cpu_s;
        let per = |n: f64| if n > 0.0 { json!(round(cpu_s / n)) } else { Value::Null };
        let written = b.written_bytes.zip(a.written_bytes).map(|(b, a)| b.saturating_sub(a));
        let broker = json!({
            "pids": self.brokers.iter().map(|it| it.pid).collect::<Vec<_>>(),
            "cpu_s": round(cpu_s),
            "cores": if seconds > 0.0 { round(cpu_s / seconds) } else { 0.0 },
            "cpu_s_per_gb": per(bytes / 1e9),
            "cpu_s_per_million_requests": per(requests / 1e6),
            "rss_bytes": b.rss_bytes,
            "rss_bytes_max": self.rss_bytes_max,
            "written_bytes": written,
        });
        out.insert("broker".to_owned(), broker);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_a_process() {
        let own = std::process::id();
        let (meter, twice) = (Meter::begin(&[own]), Meter::begin(&[own, own]));
        let before = thread_cpu_s();
        let mut work = 1u64;
        // Until the clock tick by which the kernel counts has passed.
        while thread_cpu_s() - before < 0.05 {
            work = std::hint::black_box(work.wrapping_mul(3));
        }
        let rss = |it: &Meter| it.rss_bytes().expect("it is watched").0;
        assert!(rss(&twice) > rss(&meter) * 3 / 2, "several are added up");
        let out = meter.end(1.0, 1e9, 1e6);
        let broker = &out["broker"];
        assert!(broker["cpu_s"].as_f64().expect("seconds") > 0.0, "{broker}");
        assert!(broker["rss_bytes_max"].as_u64().expect("bytes") > 1 << 20, "{broker}");
        assert!(out["bench"]["cores"].as_f64().expect("cores") > 0.0);
        assert_eq!(broker["pids"], json!([own]));
        assert!(check_pids(&[own, u32::MAX]).is_err() && check_pids(&[]).is_ok());
    }
}
