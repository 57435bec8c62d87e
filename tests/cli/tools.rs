//! Klamm's programs beside a small broker of the test's own.

use std::process::Command;
use support::program::ended;
use support::{Broker, Scratch, klamm};

/// A small broker, and the tools beside it.
pub struct Tools {
    /// It.
    pub broker: Broker,
    /// Where the tools run, and the broker's data is.
    pub home: Scratch,
}

impl Tools {
    /// Starts a broker with these settings, in a directory of this name.
    pub fn start(name: &str, settings: &[&str]) -> Self {
        let home = Scratch::new(name);
        let mut args = vec!["--shards", "1", "--memory", "64MiB", "--journal", "16MiB"];
        args.extend(settings.iter().flat_map(|it| ["--override", *it]));
        let broker = Broker::start(&home, &args);
        Self { broker, home }
    }

    /// A tool with its arguments; `@` stands for the flag that names this broker.
    pub fn command(&self, line: &str) -> Command {
        let mut command = support::command(klamm());
        for word in line.split_whitespace() {
            match word {
                "@" => command.args(["--bootstrap-server", &self.broker.bootstrap()]),
                _ => command.arg(word),
            };
        }
        command.current_dir(self.home.path());
        command
    }

    /// Runs a tool to its end: exit code, standard output, standard error output.
    pub fn run(&self, line: &str) -> (i32, String, String) {
        ended(&mut self.command(line)).parts()
    }

    /// The tool succeeds; returns its standard output.
    #[track_caller]
    pub fn done(&self, line: &str) -> String {
        ended(&mut self.command(line)).done()
    }

    /// The tool succeeds and says nothing on the standard error output; returns what it prints.
    #[track_caller]
    pub fn quietly_done(&self, line: &str) -> String {
        ended(&mut self.command(line)).quietly_done()
    }
}
