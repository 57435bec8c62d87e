//! Suites of others, and the commands of tutorials, by the scripts that also run by hand.
//!
//! A script judges each test by its committed list in `expected/`; here it must find nothing new, and
//! nothing on a list that has come to pass.

use std::process::{Command, Stdio};

use support::binary::{klamm, profile_dir};

/// Runs a script of this folder on the binary under test; it must exit with 0.
fn script(name: &str, args: &[&str]) {
    let path = format!("{}/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(path);
    command.args(args).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("KLAMM_") {
            command.env_remove(name);
        }
    }
    command.env("KLAMM_BIN", klamm());
    command.env("CARGO_TARGET_DIR", profile_dir().parent().expect("target"));
    let output = command.output().expect("Python 3");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{name}: {}\n{text}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    // The counts.
    print!("{text}");
}

#[test]
fn kafka_python() {
    script("suites/kafka-python", &[]);
}

#[test]
fn rdkafka() {
    script("suites/rdkafka", &[]);
}

#[test]
fn tutorials() {
    script("tutorials", &[]);
}

/// Where somebody names a folder of tutorials, each command in them is run above, or is on the list
/// of those that are not.
#[test]
fn tutorials_are_complete() {
    if let Ok(documents) = std::env::var("KLAMM_SEEDS") {
        script("tutorials", &["--check", &documents]);
    }
}
