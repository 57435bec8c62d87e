//! File systems of their own for data directories, which lose power and become full. Needs root and ext4 on loop devices.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Bytes of a file system.
const BYTES: u64 = 1 << 30;
/// `FS_IOC_GOINGDOWN` (linux/fs.h: `_IOR('X', 125, __u32)`), and not to write its log before.
const GOINGDOWN: libc::Ioctl = 0x8004_587D;
const NO_LOG_FLUSH: u32 = 2;

/// A mounted file system; unmounted when it is dropped.
pub struct Volume {
    image: PathBuf,
    at: PathBuf,
}

fn run(program: &str, args: &[&str]) -> bool {
    let ran = Command::new(program).args(args).output();
    let Ok(ran) = ran else { return false };
    if !ran.status.success() {
        eprintln!("{program} {args:?}: {}", String::from_utf8_lossy(&ran.stderr).trim());
    }
    ran.status.success()
}

impl Volume {
    /// Makes one below a directory; `None` where that is not allowed.
    pub fn make(dir: &Path, name: &str) -> Option<Self> {
        let this = Self { image: dir.join(format!("{name}.img")), at: dir.join(name) };
        std::fs::create_dir(&this.at).ok()?;
        File::create(&this.image).ok()?.set_len(BYTES).ok()?;
        let image = this.image.to_str()?;
        (run("mkfs.ext4", &["-q", "-F", "-m", "0", image]) && this.mount()).then_some(this)
    }

    fn mount(&self) -> bool {
        let (image, at) = (self.image.to_string_lossy(), self.at.to_string_lossy());
        run("mount", &["-o", "loop", &image, &at])
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.at
    }

    /// Nothing more reaches the medium, and nobody can read or write any more.
    pub fn cut_power(&self) {
        let root = File::open(&self.at).expect("the file system");
        let flags = NO_LOG_FLUSH;
        // SAFETY: the request reads one number, which lives until it returns.
        let result = unsafe { libc::ioctl(root.as_raw_fd(), GOINGDOWN, &raw const flags) };
        assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    }

    /// As after a start of the machine: what has reached the medium is there. Nobody may have a file open.
    pub fn mount_again(&self) {
        let at = self.at.display();
        assert!(self.unmount() && self.mount(), "{at} is not mounted again");
    }

    fn unmount(&self) -> bool {
        // The kernel takes down the rings of a process that has ended a moment after it.
        let unmounted = support::wait_for(std::time::Duration::from_secs(20), || {
            let ran = Command::new("umount").arg(&self.at).output().ok()?;
            ran.status.success().then_some(())
        });
        unmounted.is_some()
    }

    /// Takes all of the space that is free, until [`release`](Self::release).
    pub fn fill(&self) {
        let path = self.at.join("filler");
        let mut size = BYTES;
        while size >= 4_096 {
            let text = size.to_string();
            let more = path.with_extension(&text);
            let command = ["-l", &text, more.to_str().expect("a name of ours")];
            let ran = Command::new("fallocate").args(command).output().expect("fallocate");
            if ran.status.success() {
                // Another of the same size would have the same name.
                let kept = self.at.join(format!("filler-{size}-{}", self.fillers().len()));
                std::fs::rename(&more, kept).expect("it was just made");
            } else {
                let _ = std::fs::remove_file(&more);
                size /= 2;
            }
        }
    }

    fn fillers(&self) -> Vec<PathBuf> {
        let all = std::fs::read_dir(&self.at).expect("the file system");
        let is_filler = |it: &PathBuf| {
            it.file_name().is_some_and(|name| name.to_string_lossy().starts_with("filler"))
        };
        all.filter_map(|it| Some(it.ok()?.path())).filter(is_filler).collect()
    }

    /// Gives the space back, for good: a power cut does not take it again.
    pub fn release(&self) {
        for filler in self.fillers() {
            std::fs::remove_file(filler).expect("a file of ours");
        }
        let directory = std::fs::File::open(&self.at).expect("the file system");
        directory.sync_all().expect("its names are durable");
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        self.unmount();
    }
}
