//! Directories for what tests write.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::binary::profile_dir;

/// A folder below `target/` for what tests make and keep from run to run.
pub fn kept(name: &str) -> PathBuf {
    let dir = profile_dir().parent().expect("target").join(name);
    fs::create_dir_all(&dir).expect("a scratch folder");
    dir
}

/// An empty directory of one test's own, deleted at the end unless the test fails. It lies below the
/// build directory: a real file system, where `/tmp` may be memory without direct I/O.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new, empty directory whose name starts with `name`.
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = kept("scratch").join(format!("{name}-{}-{n}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory");
        Self { path }
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// A path inside it, as a command takes it.
    pub fn arg(&self, name: &str) -> String {
        self.join(name).to_str().expect("text").to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept: {}", self.path.display());
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
