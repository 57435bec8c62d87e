//! One broker process and its data directory.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crate::raw::{Client, key};
use crate::wait_for;

/// How long a start or a stop may take before a test fails. Generous: other tests share the cores.
const PATIENCE: Duration = Duration::from_mins(1);

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

/// A folder below `target/` for what tests make and keep.
pub fn scratch(name: &str) -> PathBuf {
    let dir = profile_dir().parent().expect("target").join(name);
    fs::create_dir_all(&dir).expect("a scratch folder");
    dir
}

/// The broker's binary. `cargo test --workspace` has built it; for `cargo test -p conformance`
/// alone it is built here, and again whenever a source is newer than it.
pub fn klamm() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = std::env::var_os("KLAMM_BIN") {
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

/// True when no source that cargo lists beside the binary is newer than it.
fn is_fresh(binary: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).ok();
    let Some(built) = modified(binary) else { return false };
    let Ok(list) = fs::read_to_string(binary.with_extension("d")) else { return false };
    let Some((_, sources)) = list.split_once(": ") else { return false };
    sources
        .replace("\\ ", "\0")
        .split_whitespace()
        .map(|s| PathBuf::from(s.replace('\0', " ")))
        .all(|source| modified(&source).unwrap_or(SystemTime::UNIX_EPOCH) <= built)
}

/// A folder for one broker's data, deleted at the end unless the test fails.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
}

impl DataDir {
    /// A new, empty folder whose name starts with `name`.
    pub fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let n = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = scratch("conformance").join(format!("{name}-{}-{n}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a data directory");
        Self { path }
    }

    /// The folder itself; the broker's data is in `data` below it, its logs beside that.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("kept: {}", self.path.display());
        } else {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

/// A loopback port that nobody listens on now. It lies below the range from which the kernel takes
/// the ports of clients: a client that tries a port of that range before the broker listens can
/// connect to itself.
pub fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let first = std::process::id().wrapping_mul(61);
    (0..10_000)
        .map(|_| {
            20_000 + (first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000) as u16
        })
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

/// A running broker. Dropping it ends it with SIGKILL.
#[derive(Debug)]
pub struct Broker {
    child: Child,
    addr: SocketAddr,
    log: PathBuf,
    data: PathBuf,
}

impl Broker {
    /// Starts a broker on `dir` with `--shards 2` and what `args` add, and waits until it answers.
    pub fn start(dir: &DataDir, args: &[&str]) -> Self {
        let port = free_port();
        Self::start_on(&dir.path.join("data"), &dir.path, port, args)
    }

    /// Starts a broker on the same port as before: clients reconnect by themselves.
    pub fn start_at(dir: &DataDir, port: u16, args: &[&str]) -> Self {
        Self::start_on(&dir.path.join("data"), &dir.path, port, args)
    }

    /// Starts a broker with its data in `data` and its log in `logs`, and waits until it answers.
    pub fn start_on(data: &Path, logs: &Path, port: u16, args: &[&str]) -> Self {
        let mut broker = Self::spawn(data, logs, port, args);
        let ready = wait_for(PATIENCE, || {
            if let Some(status) = broker.child.try_wait().expect("the state of the child") {
                return Some(Err(status));
            }
            // A connection alone proves nothing: a killed broker's socket may live a little longer.
            let answer =
                Client::connect(broker.addr).and_then(|mut c| c.call(key::API_VERSIONS, 0, &[]));
            answer.ok().map(Ok)
        });
        match ready {
            Some(Ok(_)) => broker,
            Some(Err(status)) => panic!("the broker ended with {status}:\n{}", broker.log_tail()),
            None => panic!("the broker does not serve:\n{}", broker.log_tail()),
        }
    }

    /// Starts a broker and returns at once.
    pub fn spawn(data: &Path, logs: &Path, port: u16, args: &[&str]) -> Self {
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let log = (0..10_000)
            .map(|n| logs.join(format!("broker-{n}.log")))
            .find(|path| !path.exists())
            .expect("a free log name");
        let out = File::create(&log).expect("a log file");
        let mut command = Command::new(klamm());
        command.arg("serve").arg("--data").arg(data).arg("--listen").arg(addr.to_string());
        if !args.contains(&"--shards") {
            command.args(["--shards", "2"]);
        }
        if !args.contains(&"--memory") {
            command.args(["--memory", "512MiB"]);
        }
        // Small, so that it wraps around and starts stay quick.
        if !args.contains(&"--journal") {
            command.args(["--journal", "128MiB"]);
        }
        command.args(args).stdin(Stdio::null());
        command.stdout(out.try_clone().expect("the log file")).stderr(out);
        // Settings of the developer's shell would change what is tested.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("KLAMM_") {
                command.env_remove(name);
            }
        }
        let child = command.spawn().expect("the broker's process");
        Self { child, addr, log, data: data.to_owned() }
    }

    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `HOST:PORT` as clients take it.
    pub fn bootstrap(&self) -> String {
        self.addr.to_string()
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Its data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Everything it has printed.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Bytes of memory that the process holds (resident set).
    pub fn rss(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(path).expect("the broker's status");
        let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("VmRSS");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("kibibytes");
        kib * 1024
    }

    /// Panics with the end of the log when the process has ended.
    pub fn assert_alive(&mut self) {
        if let Some(status) = self.child.try_wait().expect("the state of the child") {
            panic!("the broker ended with {status}:\n{}", self.log_tail());
        }
    }

    /// The exit status, when the process has ended.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of the child")
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: kill(2) with the id of our own child, which has not been reaped yet.
        let sent = unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
        assert_eq!(sent, 0, "kill: {}", std::io::Error::last_os_error());
    }

    /// Ends it with SIGKILL, at whatever it is doing.
    pub fn kill(mut self) {
        self.assert_alive();
        self.signal(libc::SIGKILL);
        let status = self.child.wait().expect("the end of the child");
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{}", self.log_tail());
    }

    /// Ends it with SIGTERM and waits until it has drained; panics unless it exits with 0.
    pub fn stop(mut self) {
        self.assert_alive();
        self.signal(libc::SIGTERM);
        let started = Instant::now();
        match wait_for(PATIENCE, || self.exited()) {
            Some(status) => {
                assert!(status.success(), "after SIGTERM: {status}\n{}", self.log_tail());
            }
            None => panic!("no exit {:?} after SIGTERM:\n{}", started.elapsed(), self.log_tail()),
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- end of {}\n{}", self.log.display(), self.log_tail());
        }
    }
}
