//! One broker process and its data directory.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use rustix::process::Signal;

use crate::clock::PATIENCE;
use crate::{Scratch, free_port, klamm, program, wait_for};

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
    pub fn start(dir: &Scratch, args: &[&str]) -> Self {
        let port = free_port();
        Self::start_on(&dir.join("data"), dir.path(), port, args)
    }

    /// Starts a broker on the same port as before: clients reconnect by themselves.
    pub fn start_at(dir: &Scratch, port: u16, args: &[&str]) -> Self {
        Self::start_on(&dir.join("data"), dir.path(), port, args)
    }

    /// Starts a broker with its data in `data` and its log in `logs`, and waits until it answers.
    pub fn start_on(data: &Path, logs: &Path, port: u16, args: &[&str]) -> Self {
        Self::spawn(data, logs, port, args).ready()
    }

    /// Waits until it answers.
    #[must_use]
    pub fn ready(mut self) -> Self {
        let ready = wait_for(PATIENCE, || {
            if let Some(status) = self.exited() {
                return Some(Err(status));
            }
            // A connection alone proves nothing: a killed broker's socket may live a little longer.
            answers(self.addr).ok().map(Ok)
        });
        match ready {
            Some(Ok(())) => self,
            Some(Err(status)) => panic!("the broker ended with {status}:\n{}", self.log_tail()),
            None => panic!("the broker does not serve:\n{}", self.log_tail()),
        }
    }

    /// Starts a broker and returns at once.
    pub fn spawn(data: &Path, logs: &Path, port: u16, args: &[&str]) -> Self {
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = crate::command(klamm());
        command.arg("serve").arg("--data").arg(data).arg("--listen").arg(addr.to_string());
        // The journal is small, so that it wraps around and starts stay quick.
        for (flag, value) in [("--shards", "2"), ("--memory", "512MiB"), ("--journal", "128MiB")] {
            if !args.contains(&flag) {
                command.args([flag, value]);
            }
        }
        // One that is alone is not to be joined: its port for brokers could be another test's for clients.
        let of_clusters = ["--node-id", "--voters", "--join", "--peer-listen"];
        if !args.iter().any(|it| of_clusters.contains(it)) {
            command.args(["--peer-listen", "none"]);
        }
        command.args(args);
        Self::spawn_command(command, data, logs, port)
    }

    /// Starts a broker by a command that makes it listen on `port`, and returns at once.
    pub fn spawn_command(mut command: Command, data: &Path, logs: &Path, port: u16) -> Self {
        let addr = SocketAddr::from(([127, 0, 0, 1], port));
        let log = (0..10_000)
            .map(|n| logs.join(format!("broker-{n}.log")))
            .find(|path| !path.exists())
            .expect("a free log name");
        let out = File::create(&log).expect("a log file");
        command.stdin(Stdio::null());
        command.stdout(out.try_clone().expect("the log file")).stderr(out);
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

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end.
    pub fn end(&mut self) -> ExitStatus {
        let ended = wait_for(PATIENCE, || self.exited());
        ended.unwrap_or_else(|| panic!("the broker does not end:\n{}", self.log_tail()))
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

    /// Ends it with SIGKILL, at whatever it is doing.
    pub fn kill(mut self) {
        self.assert_alive();
        program::signal(&self.child, Signal::KILL);
        let status = self.child.wait().expect("the end of the child");
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()), "{}", self.log_tail());
    }

    /// Ends it with SIGTERM and waits until it has drained; panics unless it exits with 0.
    pub fn stop(mut self) {
        self.assert_alive();
        program::signal(&self.child, Signal::TERM);
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

/// Asks for the versions of its APIs, as every client does first.
fn answers(addr: SocketAddr) -> io::Result<()> {
    // ApiVersions 0, correlation id 1, no client id; its length before it.
    const REQUEST: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&REQUEST)?;
    stream.read_exact(&mut [0; 8])
}
