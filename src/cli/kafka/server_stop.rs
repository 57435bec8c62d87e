//! `kafka-server-stop`: ends brokers.

use super::options::{self, Options, text};
use super::{Tool, ToolError, server_start};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

static OPTIONS: Options = Options {
    all: &[
        options::HELP,
        text("node-id", "", "Only the broker with this node id."),
        text("process-role", "", "Only processes of this role; brokers are broker,controller."),
        options::VERSION,
    ],
};

const ABOUT: &str = "This tool ends the Klamm brokers that this user has started: all, or one.";
const NONE: &str = "No kafka server to stop";

/// Runs the tool.
pub fn run(args: &[String]) -> Result<(), ToolError> {
    let o = OPTIONS.parse(args)?;
    if o.has("help") {
        return Err(o.usage(ABOUT));
    }
    if o.has("version") {
        return Err(ToolError::Version);
    }
    let node_id: Option<i32> = o.number("node-id")?;
    // As Kafka says it: the id is the stronger wish.
    let role = o.value("process-role")?.filter(|_| node_id.is_none());
    if role.is_some_and(|role| !["broker", "broker,controller"].contains(&role)) {
        return Err(ToolError::FailedOnOutput(NONE.to_owned()));
    }
    let brokers = brokers(Path::new("/proc"))
        .map_err(|e| ToolError::Failed(format!("the list of processes: {e}")))?;
    let wanted = |broker: &Broker| node_id.is_none() || broker.node_id() == node_id;
    let mut any = false;
    for broker in brokers.iter().filter(|b| wanted(b)) {
        any = true;
        kill_process(broker.pid, Signal::TERM).map_err(|e| {
            let (pid, e) = (broker.pid.as_raw_nonzero(), std::io::Error::from(e));
            ToolError::Failed(format!("broker with pid {pid}: {e}"))
        })?;
    }
    if any { Ok(()) } else { Err(ToolError::FailedOnOutput(NONE.to_owned())) }
}

/// A process that is a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Broker {
    pid: Pid,
    /// Its working directory.
    directory: PathBuf,
    /// Its command line, the program first.
    args: Vec<OsString>,
}

/// The brokers that the owner of this process has started, from a directory such as `/proc`.
fn brokers(proc: &Path) -> std::io::Result<Vec<Broker>> {
    let me = geteuid().as_raw();
    let own = std::env::current_exe().ok();
    let own = own.as_deref().and_then(Path::file_name);
    let mut found = Vec::new();
    for entry in fs::read_dir(proc)?.flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = number.and_then(Pid::from_raw) else { continue };
        let path = entry.path();
        // A process may end at any moment: what cannot be read is no broker.
        let (Ok(status), Ok(line)) = (entry.metadata(), fs::read(path.join("cmdline"))) else {
            continue;
        };
        let program = fs::read_link(path.join("exe")).unwrap_or_default();
        // After an upgrade the kernel says so behind the name.
        let program = program.as_os_str().as_bytes();
        let program = program.strip_suffix(b" (deleted)").unwrap_or(program);
        let program = Path::new(std::ffi::OsStr::from_bytes(program)).file_name();
        let args: Vec<OsString> =
            line.split(|b| *b == 0).map(|arg| OsString::from_vec(arg.to_vec())).collect();
        if status.uid() == me && program.is_some() && program == own && is_broker(&args) {
            let directory = fs::read_link(path.join("cwd")).unwrap_or_default();
            found.push(Broker { pid, directory, args });
        }
    }
    found.sort_by_key(|broker| broker.pid.as_raw_nonzero());
    Ok(found)
}

/// `klamm serve`, `klamm kafka-server-start`, or `kafka-server-start` by name.
fn is_broker(args: &[OsString]) -> bool {
    let start = |name: &OsString| Tool::named(name).is_some_and(|t| t.name == "kafka-server-start");
    args.first().is_some_and(start)
        || args.get(1).is_some_and(|first| first == "serve" || start(first))
}

impl Broker {
    /// The node id that the command line, or the property file that it names, gives it.
    fn node_id(&self) -> Option<i32> {
        let args: Vec<String> =
            self.args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
        let args: Vec<String> = args.into_iter().filter(|arg| !arg.is_empty()).collect();
        if args.get(1).is_some_and(|first| first == "serve") {
            let mut flags = args.iter().skip(2);
            while let Some(flag) = flags.next() {
                if let Some(id) = flag.strip_prefix("--node-id=") {
                    return id.parse().ok();
                }
                if flag == "--node-id" {
                    return flags.next()?.parse().ok();
                }
            }
            // Named in a file or in the environment, perhaps: then this is not known.
            return args.iter().all(|arg| !arg.starts_with("--config")).then_some(1);
        }
        let started = args.iter().position(|arg| {
            Tool::named(arg.as_ref()).is_some_and(|t| t.name == "kafka-server-start")
        })?;
        let mut rest = &args[started + 1..];
        if rest.first().is_some_and(|first| first.trim_start_matches('-') == "daemon") {
            rest = &rest[1..];
        }
        let (file, rest) = rest.split_first()?;
        let file = self.directory.join(file);
        let properties = server_start::with_overrides(file.to_str()?, rest).ok()?;
        let id = properties.get("node.id").or_else(|| properties.get("broker.id"));
        id.map_or(Some(1), |id| id.trim().parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// A process in a directory that looks like `/proc`.
    fn process(proc: &Path, pid: i32, exe: &Path, args: &[&str], cwd: &Path) {
        let dir = proc.join(pid.to_string());
        fs::create_dir_all(&dir).expect("a directory");
        fs::write(dir.join("cmdline"), args.join("\0") + "\0").expect("a file");
        symlink(exe, dir.join("exe")).expect("a link");
        symlink(cwd, dir.join("cwd")).expect("a link");
    }

    #[test]
    fn finds_brokers_and_their_ids() {
        let root = std::env::temp_dir().join(format!("klamm-stop-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let (proc, cwd) = (root.join("proc"), root.join("cwd"));
        fs::create_dir_all(&cwd).expect("a directory");
        fs::write(cwd.join("s.properties"), "broker.id = 7\n").expect("a file");
        let own = std::env::current_exe().expect("this program");
        let klamm = own.with_file_name(format!(
            "{} (deleted)",
            own.file_name().expect("a name").to_string_lossy()
        ));
        process(&proc, 1, &klamm, &["klamm", "serve", "--node-id", "5"], &cwd);
        process(&proc, 2, &own, &["bin/kafka-server-start.sh", "s.properties"], &cwd);
        let args = ["klamm", "kafka-server-start", "s.properties", "--override", "node.id=8"];
        process(&proc, 3, &own, &args, &cwd);
        process(&proc, 4, &own, &["klamm", "topic", "list"], &cwd);
        process(&proc, 5, Path::new("/usr/bin/java"), &["java", "serve"], &cwd);
        process(&proc, 6, &own, &["klamm", "serve", "--config", "x"], &cwd);
        process(&proc, 7, &own, &["kafka-server-stop"], &cwd);
        fs::create_dir_all(proc.join("self")).expect("a directory");
        let found = brokers(&proc).expect("a directory");
        fs::remove_dir_all(&root).ok();
        // The directory is gone with the file, so ids are read first where one is needed.
        let pids: Vec<i32> = found.iter().map(|b| b.pid.as_raw_nonzero().get()).collect();
        assert_eq!(pids, [1, 2, 3, 6]);
        assert_eq!(found[0].node_id(), Some(5));
        assert_eq!(found[3].node_id(), None, "a file may say");
    }

    #[test]
    fn reads_the_id_from_the_property_file() {
        let cwd = std::env::temp_dir().join(format!("klamm-stop-id-{}", std::process::id()));
        fs::create_dir_all(&cwd).expect("a directory");
        fs::write(cwd.join("s.properties"), "broker.id = 7\n").expect("a file");
        let id = |args: &[&str]| {
            let args = args.iter().map(OsString::from).collect();
            Broker { pid: Pid::INIT, directory: cwd.clone(), args }.node_id()
        };
        assert_eq!(id(&["kafka-server-start.sh", "s.properties"]), Some(7));
        let over = ["klamm", "kafka-server-start", "-daemon", "s.properties", "--override"];
        assert_eq!(id(&[&over[..], &["node.id=8"]].concat()), Some(8));
        assert_eq!(id(&["kafka-server-start.sh", "none"]), None);
        fs::remove_dir_all(&cwd).ok();
    }
}
