//! Programs of others: Python with pinned clients in a virtual environment, kcat.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::scratch::kept;

/// Exact versions, so that a run today and one next year test the same.
const PACKAGES: &[&str] = &[
    "kafka-python==3.0.12",
    "python-snappy==0.7.3",
    "cramjam==2.14.0",
    "lz4==4.4.5",
    "zstandard==0.25.0",
];

/// Python of a virtual environment below `target/` that has `PACKAGES`; made at the first call.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let dir = kept("python");
        let python = dir.join("bin/python");
        let (mark, wanted) = (dir.join("installed"), PACKAGES.join("\n"));
        if fs::read_to_string(&mark).is_ok_and(|have| have == wanted) {
            return python;
        }
        let run = |command: &mut Command| {
            let output = command.output().expect("Python 3 with venv");
            assert!(
                output.status.success(),
                "{command:?}: {}\n{}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        };
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&dir));
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        run(Command::new(&python).args(pip).args(PACKAGES));
        fs::write(&mark, wanted).expect("a mark in the environment");
        python
    })
}

/// A program on the path, if it is installed.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|p| p.is_file())
}
