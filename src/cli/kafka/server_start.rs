//! `kafka-server-start`: a broker from a Kafka `server.properties`.

use super::options::{self, Options, text};
use super::server_properties::{self, Hosts};
use super::{ToolError, properties};
use crate::cli::serve;
use crate::config::{self, Machine, Sources};
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::net::{IpAddr, ToSocketAddrs};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

static OPTIONS: Options = Options {
    all: &[
        options::HELP,
        text("override", "", "A property that beats the one in the file; can be repeated."),
        options::VERSION,
    ],
};

const USAGE: &str =
    "USAGE: kafka-server-start.sh [-daemon] server.properties [--override property=value]*";

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    let (daemon, args) = match args.split_first() {
        None => return Err(ToolError::FailedOnOutput(USAGE.to_owned())),
        Some((first, rest)) if first == "-daemon" || first == "--daemon" => (true, rest),
        Some(_) => (false, args),
    };
    if args.is_empty() || args.iter().any(|arg| arg == "--help") {
        return Err(OPTIONS.usage(USAGE));
    }
    if args.iter().any(|arg| arg == "--version") {
        return Err(ToolError::Version);
    }
    let (file, rest) = args.split_first().expect("not empty");
    let properties = with_overrides(file, rest)?;
    let meaning = server_properties::read(&properties, &Machines)
        .map_err(|e| ToolError::Failed(format!("{file}: {e}")))?;
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let machine = Machine::detect();
    let sources = Sources { flags: &meaning.flags, env: &env, file: None, machine: &machine };
    let (settings, mut warnings) = config::resolve(&sources)
        .map_err(|e| ToolError::Failed(in_kafkas_names(file, &e.message)))?;
    if daemon {
        return start_daemon(args);
    }
    let notices = meaning.notices.into_iter().map(|notice| format!("{file}: {notice}"));
    warnings.extend(notices);
    serve::serve(settings, warnings)
        .map_err(|e| ToolError::Failed(in_kafkas_names(file, &e.to_string())))
}

/// The properties of a file, and those of `--override`, which beat them.
pub fn with_overrides(file: &str, args: &[String]) -> Result<properties::Properties, ToolError> {
    let mut properties = properties::load(file)?;
    let o = OPTIONS.parse(args)?;
    if !o.words.is_empty() {
        let words = o.words.join(",");
        return Err(o.usage(&format!("Found non argument parameters: {words}")));
    }
    properties.extend(properties::pairs(o.values("override")));
    Ok(properties)
}

/// An error of `klamm serve` with the names of properties in place of flags.
fn in_kafkas_names(file: &str, message: &str) -> String {
    let mut text = message.to_owned();
    for (flag, property) in [
        ("--listen ", "listeners "),
        ("--advertise ", "advertised.listeners "),
        ("--node-id ", "node.id "),
        ("--data DIR", "log.dirs"),
        ("with --data", "with log.dirs"),
        ("--data ", "log.dirs "),
        ("--override ", ""),
    ] {
        text = text.replace(flag, property);
    }
    format!("{file}: {text}")
}

struct Machines;

impl Hosts for Machines {
    fn resolve(&self, host: &str) -> Option<IpAddr> {
        let mut all: Vec<_> = (host, 0).to_socket_addrs().ok()?.map(|a| a.ip()).collect();
        // Clients that have only one of both have IPv4.
        all.sort_by_key(IpAddr::is_ipv6);
        all.first().copied()
    }

    fn own_name(&self) -> String {
        let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        name.trim().to_owned()
    }
}

/// Starts the broker in the background, in a session of its own, so that it outlives the terminal.
/// Its log goes to `$LOG_DIR/kafkaServer.out`, or below `logs` beside the tools' directory.
fn start_daemon(args: &[String]) -> Result<(), ToolError> {
    let failed = |what: &str, e: std::io::Error| ToolError::Failed(format!("{what}: {e}"));
    let directory = std::env::var_os("LOG_DIR").map_or_else(log_directory, PathBuf::from);
    let name = directory.display().to_string();
    fs::create_dir_all(&directory).map_err(|e| failed(&name, e))?;
    let path = directory.join("kafkaServer.out");
    let name = path.display().to_string();
    let log = OpenOptions::new().create(true).append(true).open(&path);
    let log = log.map_err(|e| failed(&name, e))?;
    let errors = log.try_clone().map_err(|e| failed(&name, e))?;
    let program = std::env::current_exe().map_err(|e| failed("this program's path", e))?;
    let mut command = Command::new(program);
    command.arg("kafka-server-start").args(args);
    command.stdin(Stdio::null()).stdout(log).stderr(errors);
    // SAFETY: between fork and exec only `setsid` runs, which is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            rustix::process::setsid()?;
            Ok(())
        });
    }
    command.spawn().map(drop).map_err(|e| failed("the broker", e))
}

/// `logs` beside `bin`, where the program was started as `…/bin/NAME`, otherwise below the working
/// directory.
fn log_directory() -> PathBuf {
    let started = std::env::args_os().next().unwrap_or_default();
    let bin = Path::new(&started).parent().filter(|dir| dir.ends_with("bin"));
    bin.and_then(Path::parent).unwrap_or(Path::new(".")).join("logs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_name_properties() {
        let e = in_kafkas_names("f", "--listen x:1: listening needs an IP address");
        assert_eq!(e, "f: listeners x:1: listening needs an IP address");
        let e = in_kafkas_names("f", "directory d is in use; name another with --data DIR");
        assert_eq!(e, "f: directory d is in use; name another with log.dirs");
    }
}
