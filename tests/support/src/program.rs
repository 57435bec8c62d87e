//! Programs that run to their end, or until they are interrupted.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// How a program ended, and what it printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// The exit code; `None` for a signal.
    pub code: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error output.
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ended {
    /// Exit code, standard output, standard error output of a program that no signal has ended.
    #[track_caller]
    pub fn parts(self) -> (i32, String, String) {
        (self.code.expect("it exits"), self.out, self.err)
    }

    /// The exit code was 0; gives the standard output.
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// As [`Ended::done`], and nothing was said on the standard error output.
    #[track_caller]
    pub fn quietly_done(self) -> String {
        assert_eq!((self.code, self.err.as_str()), (Some(0), ""), "{}", self.out);
        self.out
    }

    /// The exit code was this one; gives what was said, one line, wherever it was written.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        let said = format!("{}{}", self.out, self.err);
        assert_eq!(said.trim_end().lines().count(), 1, "one line, not: {said}");
        said.trim_end().to_owned()
    }
}

/// Runs the program to its end, with an empty standard input.
pub fn run<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: &[S]) -> Ended {
    ended(crate::command(program).args(args))
}

/// Runs a command to its end, with an empty standard input.
pub fn ended(command: &mut Command) -> Ended {
    command.stdin(Stdio::null()).output().expect("the program starts").into()
}

/// Runs a command to its end with this standard input.
pub fn ended_with_input(command: &mut Command, input: &str) -> Ended {
    let mut child = piped(command);
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).expect("it reads");
    drop(stdin);
    child.wait_with_output().expect("it ends").into()
}

fn piped(command: &mut Command) -> Child {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().expect("the program starts")
}

/// A program that runs until it is told to stop. Dropping it ends it with SIGKILL.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
    /// Its standard input.
    pub stdin: Option<ChildStdin>,
}

impl Running {
    /// Starts it.
    pub fn start(mut command: Command) -> Self {
        let mut child = piped(&mut command);
        let lines = Some(BufReader::new(child.stdout.take().expect("piped")));
        let stdin = child.stdin.take();
        Self { child, lines, stdin }
    }

    /// The next line of its standard output.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.as_mut().expect("not closed").read_line(&mut line).expect("a line");
        line.trim_end_matches('\n').to_owned()
    }

    /// Closes the pipe that it prints to.
    pub fn close_output(&mut self) {
        self.lines = None;
    }

    /// Ctrl-C; returns the exit code and what it said on the standard error output.
    pub fn interrupt(self) -> (Option<i32>, String) {
        signal(&self.child, Signal::INT);
        self.end()
    }

    /// Waits for its end; returns the exit code and what it said on the standard error output.
    pub fn end(mut self) -> (Option<i32>, String) {
        let mut err = String::new();
        self.child.stderr.take().expect("piped").read_to_string(&mut err).expect("text");
        (self.child.wait().expect("it ends").code(), err)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Signals a child that has not been waited for: its id is still its own.
pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("a signal to a child");
}
