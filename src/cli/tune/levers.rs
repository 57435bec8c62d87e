//! The levers, and a verdict on each. Pure. Each has a page and, where it can be moved
//! on a running machine, a script in `tuning/`.

use super::machine::Facts;

/// The verdict on a lever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// It should be changed.
    Change,
    /// This machine has no such thing, or does not show it.
    Unknown,
}

impl Verdict {
    /// The verdict as one word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Change => "change",
            Self::Unknown => "unknown",
        }
    }
}

/// One lever, and how it stands on this machine.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Name of the lever, and of its page.
    pub lever: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// The present value.
    pub is: String,
    /// The recommended value.
    pub should_be: &'static str,
    /// The reason.
    pub why: &'static str,
    /// The script that changes it, for `sh`, called with [`arguments`](Self::arguments).
    pub script: Option<&'static str>,
    /// Arguments of the script.
    pub arguments: Vec<String>,
}

/// Every lever of this machine.
pub fn findings(machine: &Facts) -> Vec<Finding> {
    [
        limits,
        governor,
        isolation,
        irq,
        scheduler,
        write_cache,
        huge_pages,
        busy_poll,
        file_system,
        backlog,
        swap,
        io_uring,
        clock,
    ]
    .iter()
    .map(|lever| lever(machine))
    .collect()
}

fn judge(value: Option<&str>, good: impl Fn(&str) -> bool) -> (Verdict, String) {
    match value {
        Some(value) if good(value) => (Verdict::Good, value.to_owned()),
        Some(value) => (Verdict::Change, value.to_owned()),
        None => (Verdict::Unknown, "not to be seen".to_owned()),
    }
}

fn limits(machine: &Facts) -> Finding {
    const LOCKED: u64 = 64 << 20;
    const FILES: u64 = 65_536;
    let (locked, files) = machine.limits;
    let shown = |it: u64| if it == u64::MAX { "unlimited".to_owned() } else { it.to_string() };
    let enough = locked >= LOCKED && files >= FILES;
    Finding {
        lever: "limits",
        verdict: if enough { Verdict::Good } else { Verdict::Change },
        is: format!("memlock {} bytes, {} open files", shown(locked), shown(files)),
        should_be: "memlock unlimited (at least 64 MiB), at least 65536 open files: LimitMEMLOCK= \
                    and LimitNOFILE= of the systemd unit, or limits.conf",
        why: "each shard's rings are locked memory; each connection and each open segment is a file",
        script: None,
        arguments: Vec::new(),
    }
}

fn governor(machine: &Facts) -> Finding {
    let all_fast = |it: &str| it.split(' ').all(|governor| governor == "performance");
    let (verdict, is) = judge(machine.get("governors"), all_fast);
    Finding {
        lever: "governor",
        verdict,
        is,
        should_be: "performance",
        why: "a core that has slowed down while it waited answers the next request late",
        script: Some(include_str!("../../../tuning/governor.sh")),
        arguments: Vec::new(),
    }
}

fn isolation(machine: &Facts) -> Finding {
    let isolated = machine.get("/sys/devices/system/cpu/isolated");
    let (verdict, is) = match isolated {
        _ if machine.cpus < 4 => {
            (Verdict::Unknown, format!("{} processors: too few to set some apart", machine.cpus))
        }
        Some("") => (Verdict::Change, "no processor is isolated".to_owned()),
        other => judge(other, |_| true),
    };
    Finding {
        lever: "isolation",
        verdict,
        is,
        should_be: "isolcpus= and nohz_full= on the kernel's command line for the shards' \
                    processors; some left for everything else (needs a reboot)",
        why: "each shard's thread is pinned: whatever else runs there stops all its partitions",
        script: None,
        arguments: Vec::new(),
    }
}

fn irq(machine: &Facts) -> Finding {
    let last = machine.cpus.saturating_sub(1);
    let all = [format!("0-{last}"), "0".to_owned()];
    let spread = |it: &str| it.split(' ').all(|cpus| !all.contains(&cpus.to_owned()));
    let (verdict, is) = judge(machine.get("irqs").filter(|_| machine.cpus > 1), spread);
    Finding {
        lever: "irq",
        verdict,
        is,
        should_be: "each queue of disk and network on a processor of its own, irqbalance off",
        why: "interrupts that all go to one processor slow down the shard that lives there",
        script: Some(include_str!("../../../tuning/irq.sh")),
        arguments: vec![machine.cpus.to_string()],
    }
}

fn scheduler(machine: &Facts) -> Finding {
    let (verdict, is) = judge(machine.get("scheduler"), |it| it.contains("[none]") || it == "none");
    Finding {
        lever: "scheduler",
        verdict,
        is,
        should_be: "none",
        why: "an NVMe disk has queues of its own; a scheduler in front of them only adds time",
        script: machine.device.as_ref().map(|_| include_str!("../../../tuning/scheduler.sh")),
        arguments: machine.device.iter().cloned().collect(),
    }
}

fn write_cache(machine: &Facts) -> Finding {
    let (_, is) = judge(machine.get("write_cache"), |_| true);
    let through = is == "write through";
    Finding {
        lever: "write-cache",
        // What cannot be seen is whether the disk keeps its cache when the power goes.
        verdict: if through { Verdict::Good } else { Verdict::Unknown },
        is,
        should_be: "write through where the disk protects its cache against a power cut (then no \
                    sync has to flush it); otherwise write back, whatever it costs",
        why: "each acknowledgement waits for a flush; without protection, leaving it out loses data",
        script: None,
        arguments: Vec::new(),
    }
}

fn huge_pages(machine: &Facts) -> Finding {
    let value = machine.get("/sys/kernel/mm/transparent_hugepage/enabled");
    let (verdict, is) = judge(value, |it| !it.contains("[always]"));
    Finding {
        lever: "huge-pages",
        verdict,
        is,
        should_be: "madvise",
        why: "with always, the kernel stops threads to gather huge pages, and memory grows",
        script: Some(include_str!("../../../tuning/huge-pages.sh")),
        arguments: Vec::new(),
    }
}

fn busy_poll(machine: &Facts) -> Finding {
    let set = |it: &str| it.parse::<u32>().is_ok_and(|us| us > 0);
    let (verdict, is) = judge(machine.get("/proc/sys/net/core/busy_poll"), set);
    Finding {
        lever: "busy-poll",
        verdict,
        is,
        should_be: "50 µs (net.core.busy_poll and net.core.busy_read)",
        why: "the network's queue is looked at before the thread sleeps: no interrupt in between",
        script: Some(include_str!("../../../tuning/busy-poll.sh")),
        arguments: Vec::new(),
    }
}

fn file_system(machine: &Facts) -> Finding {
    let (verdict, is) = match &machine.mount {
        None => (Verdict::Unknown, "not to be seen".to_owned()),
        Some((kind, options)) => {
            let has = |name: &str| options.split(',').any(|it| it == name);
            let fits = matches!(kind.as_str(), "ext4" | "xfs");
            // Without barriers a sync keeps no promise.
            let bad = ["nobarrier", "barrier=0", "discard", "sync"].iter().any(|it| has(it));
            let good = fits && has("noatime") && !bad;
            let verdict = if good { Verdict::Good } else { Verdict::Change };
            (verdict, format!("{kind} {options}"))
        }
    };
    Finding {
        lever: "file-system",
        verdict,
        is,
        should_be: "ext4 or XFS with noatime, without discard (fstrim.timer does it), and never \
                    with nobarrier: in /etc/fstab",
        why: "discard puts trims between writes; without barriers an acknowledged record is lost \
              with the power",
        script: None,
        arguments: Vec::new(),
    }
}

fn backlog(machine: &Facts) -> Finding {
    let enough = |it: &str| it.parse::<u32>().is_ok_and(|n| n >= 1024);
    let (verdict, is) = judge(machine.get("/proc/sys/net/core/somaxconn"), enough);
    Finding {
        lever: "backlog",
        verdict,
        is,
        should_be: "at least 1024 (net.core.somaxconn)",
        why: "clients that all come back at once after a restart wait in this queue, or are refused",
        script: Some(include_str!("../../../tuning/backlog.sh")),
        arguments: Vec::new(),
    }
}

fn swap(machine: &Facts) -> Finding {
    let swaps = machine.get("/proc/swaps").map(|it| it.lines().count().saturating_sub(1));
    let (verdict, is) = match (swaps, machine.get("/proc/sys/vm/swappiness")) {
        (Some(0), _) => (Verdict::Good, "no swap".to_owned()),
        (_, value) => judge(value, |it| it.parse::<u32>().is_ok_and(|n| n <= 1)),
    };
    Finding {
        lever: "swap",
        verdict,
        is,
        should_be: "no swap, or vm.swappiness=1; or klamm serve --lock-memory",
        why: "a page of the broker that was swapped out comes back in milliseconds",
        script: Some(include_str!("../../../tuning/swap.sh")),
        arguments: Vec::new(),
    }
}

fn io_uring(machine: &Facts) -> Finding {
    let value = machine.get("/proc/sys/kernel/io_uring_disabled");
    // Kernels before 6.6 have no such switch, and no way to say no.
    let (verdict, is) = judge(Some(value.unwrap_or("0")), |it| it == "0");
    Finding {
        lever: "io-uring",
        verdict,
        is,
        should_be: "0 (kernel.io_uring_disabled)",
        why: "the broker does all its I/O with io_uring, and does not start without it",
        script: Some(include_str!("../../../tuning/io-uring.sh")),
        arguments: Vec::new(),
    }
}

fn clock(machine: &Facts) -> Finding {
    let value = machine.get("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let (verdict, is) = judge(value, |it| ["tsc", "arch_sys_counter"].contains(&it));
    Finding {
        lever: "clock",
        verdict,
        is,
        should_be: "tsc",
        why: "other clocks need a system call for each look at the time",
        script: None,
        arguments: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(machine: &Facts, lever: &str) -> Verdict {
        let all = findings(machine);
        all.iter().find(|it| it.lever == lever).expect("a lever of that name").verdict
    }

    #[test]
    fn what_is_not_to_be_seen_is_not_judged() {
        let machine = Facts { cpus: 8, ..Facts::default() };
        for lever in ["governor", "scheduler", "irq", "file-system", "busy-poll", "clock"] {
            assert_eq!(verdict(&machine, lever), Verdict::Unknown, "{lever}");
        }
        assert_eq!(verdict(&machine, "limits"), Verdict::Change);
    }

    #[test]
    fn values_are_judged() {
        let machine = Facts { cpus: 8, limits: (u64::MAX, 1 << 20), ..Facts::default() };
        let bad = machine
            .clone()
            .with("governors", "performance powersave")
            .with("scheduler", "none [mq-deadline] kyber")
            .with("/sys/kernel/mm/transparent_hugepage/enabled", "[always] madvise never")
            .with("irqs", "0-7 3");
        let good = machine
            .with("governors", "performance performance")
            .with("scheduler", "[none] mq-deadline kyber")
            .with("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never")
            .with("irqs", "1 3");
        for lever in ["governor", "scheduler", "huge-pages", "irq"] {
            assert_eq!(verdict(&bad, lever), Verdict::Change, "{lever}");
            assert_eq!(verdict(&good, lever), Verdict::Good, "{lever}");
        }
        assert_eq!(verdict(&good, "limits"), Verdict::Good);
    }

    #[test]
    fn a_file_system_without_barriers_is_not_good() {
        let on = |kind: &str, options: &str| {
            let mount = Some((kind.to_owned(), options.to_owned()));
            verdict(&Facts { mount, ..Facts::default() }, "file-system")
        };
        assert_eq!(on("xfs", "rw,noatime"), Verdict::Good);
        for (kind, options) in
            [("ext4", "rw,noatime,nobarrier"), ("ext4", "rw,relatime"), ("btrfs", "rw,noatime")]
        {
            assert_eq!(on(kind, options), Verdict::Change, "{kind} {options}");
        }
    }

    #[test]
    fn every_lever_has_its_page() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tuning");
        for it in findings(&Facts::default()) {
            assert!(root.join(format!("{}.md", it.lever)).exists(), "{}", it.lever);
        }
    }
}
