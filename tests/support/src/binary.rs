//! The program under test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// The build profile's folder (`target/debug`), from the running test's own path.
pub fn profile_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of this test");
    let deps = exe.parent().expect("the folder of this test");
    deps.parent().expect("the profile's folder").to_owned()
}

/// The root of the workspace.
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

/// The program's binary. Cargo builds it before Klamm's own integration tests and for
/// `cargo test --workspace`; for `cargo test -p conformance` alone it is built here, and again when a
/// source is newer than it. `KLAMM_BIN` names another.
pub fn klamm() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // Cargo tells the tests of the binary's own package, from 1.94 on.
        let told = ["KLAMM_BIN", "CARGO_BIN_EXE_klamm"];
        if let Some(path) = told.into_iter().find_map(std::env::var_os) {
            return PathBuf::from(path);
        }
        let profile = profile_dir();
        let binary = profile.join("klamm");
        if !is_fresh(&binary) {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let mut build = Command::new(cargo);
            build.args(["build", "--package", "klamm", "--bin", "klamm"]);
            build.arg("--target-dir").arg(profile.parent().expect("target"));
            if profile.ends_with("release") {
                build.arg("--release");
            }
            let status = build.current_dir(workspace()).status().expect("cargo");
            assert!(status.success(), "the broker does not build: {status}");
        }
        binary
    })
}

/// True when nothing that the binary is made of is newer than it. Cargo's own list of sources, beside
/// the binary, is of no use: `cargo test` does not write it.
fn is_fresh(binary: &Path) -> bool {
    fn newest(path: &Path) -> Option<SystemTime> {
        let Ok(entries) = fs::read_dir(path) else {
            return fs::metadata(path).ok()?.modified().ok();
        };
        entries.filter_map(|entry| newest(&entry.ok()?.path())).max()
    }
    let sources = ["src", "Cargo.toml", "Cargo.lock"].map(|name| workspace().join(name));
    newest(binary) >= sources.iter().filter_map(|path| newest(path)).max()
}
