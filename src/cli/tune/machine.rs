//! What `klamm tune` reads of the machine: small files of `/proc` and `/sys`, and two limits.

use rustix::process::{Resource, getrlimit};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What was read, as text. A file that does not exist here has no entry.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub(super) files: BTreeMap<String, String>,
    /// Block device below the data directory, such as `nvme0n1`.
    pub device: Option<String>,
    /// Type and options of the file system that holds the data directory.
    pub mount: Option<(String, String)>,
    /// `RLIMIT_MEMLOCK` and `RLIMIT_NOFILE`, hard.
    pub limits: (u64, u64),
    /// Number of processors.
    pub cpus: usize,
}

/// Files that are read as they are.
const FILES: &[&str] = &[
    "/sys/devices/system/cpu/isolated",
    "/sys/devices/system/cpu/nohz_full",
    "/sys/devices/system/clocksource/clocksource0/current_clocksource",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/proc/sys/kernel/io_uring_disabled",
    "/proc/sys/net/core/busy_poll",
    "/proc/sys/net/core/somaxconn",
    "/proc/sys/vm/swappiness",
    "/proc/swaps",
];

impl Facts {
    /// Reads this machine. `data` need not exist: its nearest parent that does counts.
    pub fn read(data: &Path) -> Self {
        let text = |path: &str| std::fs::read_to_string(path).ok().map(|it| it.trim().to_owned());
        let mut files: BTreeMap<String, String> =
            FILES.iter().filter_map(|path| Some(((*path).to_owned(), text(path)?))).collect();
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let governors: Vec<String> = (0..cpus)
            .filter_map(|cpu| {
                text(&format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_governor"))
            })
            .collect();
        if !governors.is_empty() {
            files.insert("governors".into(), governors.join(" "));
        }
        let irqs: Vec<String> = text("/proc/interrupts")
            .unwrap_or_default()
            .lines()
            .filter(|line| line.contains("nvme") || line.contains("eth") || line.contains("mlx"))
            .filter_map(|line| line.split(':').next()?.trim().parse::<u32>().ok())
            .filter_map(|irq| text(&format!("/proc/irq/{irq}/smp_affinity_list")))
            .collect();
        if !irqs.is_empty() {
            files.insert("irqs".into(), irqs.join(" "));
        }
        let place = data.ancestors().find(|it| it.exists()).unwrap_or(Path::new("."));
        let place = place.canonicalize().unwrap_or_else(|_| PathBuf::from("/"));
        let device = std::fs::metadata(&place).ok().and_then(|it| device_of(it.dev()));
        if let Some(device) = &device {
            for name in ["scheduler", "write_cache"] {
                if let Some(value) = text(&format!("/sys/block/{device}/queue/{name}")) {
                    files.insert(name.to_owned(), value);
                }
            }
        }
        let mounts = text("/proc/self/mounts").unwrap_or_default();
        let limits = (hard_limit(Resource::Memlock), hard_limit(Resource::Nofile));
        Self { files, device, mount: mount_of(&mounts, &place), limits, cpus }
    }

    /// A file's text, or a fact by its name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(String::as_str)
    }

    /// For tests: this fact is so.
    #[cfg(test)]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.files.insert(name.to_owned(), value.to_owned());
        self
    }
}

/// Without a limit: the largest number.
fn hard_limit(which: Resource) -> u64 {
    getrlimit(which).maximum.unwrap_or(u64::MAX)
}

/// The whole disk that a file system's device is on.
fn device_of(dev: u64) -> Option<String> {
    let path = format!("/sys/dev/block/{}:{}", libc::major(dev), libc::minor(dev));
    let path = std::fs::canonicalize(path).ok()?;
    let disk = if path.join("partition").exists() { path.parent()? } else { &path };
    Some(disk.file_name()?.to_str()?.to_owned())
}

/// Type and options of the last mount whose directory is `place` or above it.
fn mount_of(mounts: &str, place: &Path) -> Option<(String, String)> {
    let mut best: Option<(usize, &str, &str)> = None;
    for line in mounts.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [_, dir, kind, options, ..] = words[..] else { continue };
        // A later mount hides an earlier one of the same place.
        if place.starts_with(dir) && best.is_none_or(|it| it.0 <= dir.len()) {
            best = Some((dir.len(), kind, options));
        }
    }
    best.map(|(_, kind, options)| (kind.to_owned(), options.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_mount_counts() {
        let mounts = "/dev/a / ext4 rw,relatime 0 0\n/dev/b /srv xfs rw,noatime 0 0\n\
                      tmpfs /srvx tmpfs rw 0 0\n";
        let at = |place: &str| mount_of(mounts, Path::new(place)).expect("a mount");
        assert_eq!(at("/srv/klamm"), ("xfs".into(), "rw,noatime".into()));
        assert_eq!(at("/home"), ("ext4".into(), "rw,relatime".into()));
    }
}
