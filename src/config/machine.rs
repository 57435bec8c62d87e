//! What the machine grants this process: CPUs and memory, by affinity and cgroup (v1 and v2).

use std::fs;
use std::path::Path;

/// The CPUs and the memory that this process may use.
#[derive(Clone, Debug, PartialEq)]
pub struct Machine {
    /// CPUs of the affinity mask, ascending; at least one.
    pub cpus: Vec<usize>,
    /// CPUs' worth of time that the cgroup grants, if it limits it.
    pub cpu_quota: Option<f64>,
    /// The smaller of RAM and the cgroup's limit, in bytes.
    pub memory: u64,
}

impl Machine {
    /// Reads affinity, `/proc` and `/sys/fs/cgroup`. What cannot be read does not limit.
    pub fn detect() -> Self {
        let mut cpus: Vec<usize> = core_affinity::get_core_ids()
            .unwrap_or_default()
            .into_iter()
            .map(|core| core.id)
            .collect();
        cpus.sort_unstable();
        if cpus.is_empty() {
            cpus.push(0);
        }
        Self::from_files(Path::new("/"), cpus)
    }

    /// The same with the files below `root`: for tests.
    fn from_files(root: &Path, cpus: Vec<usize>) -> Self {
        let read = |path: &str| fs::read_to_string(root.join(path.trim_start_matches('/'))).ok();
        let ram = read("/proc/meminfo").and_then(|text| mem_total(&text)).unwrap_or(1 << 30);
        let groups = read("/proc/self/cgroup").unwrap_or_default();
        let limits = Limits::read(&groups, &read);
        Self {
            cpus,
            cpu_quota: limits.cpu_quota,
            memory: limits.memory.map_or(ram, |limit| limit.min(ram)),
        }
    }

    /// How many CPUs can be kept busy: those of the mask, as far as the quota pays for them.
    pub fn granted_cpus(&self) -> usize {
        let paid = self.cpu_quota.map_or(usize::MAX, |q| (q.floor() as usize).max(1));
        self.cpus.len().min(paid)
    }
}

fn mem_total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[derive(Default)]
struct Limits {
    cpu_quota: Option<f64>,
    memory: Option<u64>,
}

impl Limits {
    /// A group is limited by each of its ancestors too. Inside a container the path of
    /// `/proc/self/cgroup` may not exist below the mount: its ancestors, up to the mount itself,
    /// which is then the container's group, still do.
    fn read(groups: &str, read: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut limits = Self::default();
        for line in groups.lines() {
            let mut parts = line.splitn(3, ':').skip(1);
            let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
            for group in ancestors(path) {
                if controllers.is_empty() {
                    for mount in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"] {
                        limits.cpu(read(&format!("{mount}{group}/cpu.max")).and_then(cpu_max));
                        limits.memory(read(&format!("{mount}{group}/memory.max")));
                    }
                }
                if controllers.split(',').any(|c| c == "cpu") {
                    for mount in [controllers, "cpu", "cpu,cpuacct"] {
                        let at = |f: &str| read(&format!("/sys/fs/cgroup/{mount}{group}/{f}"));
                        let quota = at("cpu.cfs_quota_us").and_then(|t| t.trim().parse().ok());
                        let period = at("cpu.cfs_period_us").and_then(|t| t.trim().parse().ok());
                        limits.cpu(quota.zip(period));
                    }
                }
                if controllers.split(',').any(|c| c == "memory") {
                    limits.memory(read(&format!(
                        "/sys/fs/cgroup/memory{group}/memory.limit_in_bytes"
                    )));
                }
            }
        }
        limits
    }

    fn cpu(&mut self, quota_and_period: Option<(f64, f64)>) {
        // -1 is version 1's "no limit".
        if let Some((quota, period)) = quota_and_period
            && quota > 0.0
            && period > 0.0
        {
            let cpus = quota / period;
            self.cpu_quota = Some(self.cpu_quota.map_or(cpus, |q| q.min(cpus)));
        }
    }

    fn memory(&mut self, text: Option<String>) {
        // "max", and version 1's 2^63 rounded to pages, limit nothing once RAM is the minimum.
        if let Some(bytes) = text.and_then(|t| t.trim().parse::<u64>().ok()) {
            self.memory = Some(self.memory.map_or(bytes, |m| m.min(bytes)));
        }
    }
}

fn cpu_max(text: String) -> Option<(f64, f64)> {
    let mut parts = text.split_whitespace();
    let quota = parts.next()?.parse().ok()?;
    Some((quota, parts.next().map_or(Some(100_000.0), |p| p.parse().ok())?))
}

/// `/a/b` gives `/a/b`, `/a` and the empty path.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    let mut next = Some(path.trim_end_matches('/'));
    std::iter::from_fn(move || {
        let this = next?;
        next = this.rfind('/').map(|slash| &this[..slash]);
        Some(this)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(files: &[(&str, &str)], groups: &str) -> Limits {
        Limits::read(groups, &|path| {
            files.iter().find(|(name, _)| *name == path).map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn version_2_takes_the_smallest_limit_on_the_way_up() {
        let files = [
            ("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"),
            ("/sys/fs/cgroup/a/cpu.max", "250000 100000\n"),
            ("/sys/fs/cgroup/a/b/memory.max", "1000000\n"),
            ("/sys/fs/cgroup/a/memory.max", "2000000\n"),
        ];
        let got = limits(&files, "0::/a/b\n");
        assert_eq!(got.cpu_quota, Some(2.5));
        assert_eq!(got.memory, Some(1_000_000));
    }

    #[test]
    fn version_1_reads_each_controller() {
        let files = [
            ("/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_quota_us", "150000\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/x/cpu.cfs_period_us", "100000\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
            ("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "536870912\n"),
        ];
        let got = limits(&files, "5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n");
        assert_eq!(got.cpu_quota, Some(1.5));
        assert_eq!(got.memory, Some(512 << 20));
    }

    #[test]
    fn a_container_without_its_own_path_uses_the_mount() {
        let files = [
            ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "1048576\n"),
            ("/sys/fs/cgroup/cpu.max", "50000 100000"),
        ];
        let got = limits(&files, "4:memory:/docker/abc\n0::/\n");
        assert_eq!(got.memory, Some(1 << 20));
        assert_eq!(got.cpu_quota, Some(0.5));
        let none = limits(&[], "garbage\n0::\n:::\n");
        assert_eq!((none.cpu_quota, none.memory), (None, None));
    }

    #[test]
    fn quota_grants_at_least_one_and_at_most_the_mask() {
        let machine = |cpus: usize, cpu_quota| Machine {
            cpus: (0..cpus).collect(),
            cpu_quota,
            memory: 1 << 30,
        };
        assert_eq!(machine(8, None).granted_cpus(), 8);
        assert_eq!(machine(8, Some(2.5)).granted_cpus(), 2);
        assert_eq!(machine(8, Some(0.2)).granted_cpus(), 1);
        assert_eq!(machine(2, Some(64.0)).granted_cpus(), 2);
    }

    #[test]
    fn reads_ram() {
        assert_eq!(mem_total("MemFree: 1 kB\n"), None);
        assert_eq!(mem_total("MemTotal:       16384 kB\nMemFree: 1 kB\n"), Some(16 << 20));
        assert!(Machine::detect().memory > 0);
    }
}
