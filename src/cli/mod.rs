//! The command line: subcommands, and how they end.
//!
//! Exit codes: 0 done, 1 the broker or the data said no, 2 wrong usage, 74 (`EX_IOERR`) a broker, a
//! file or a pipe that cannot be reached or breaks, 75 another has taken over (`klamm mirror`), 78 (`EX_CONFIG`) wrong configuration or
//! environment. Errors are one line on the standard error output, results go to the standard output.

mod balance;
mod bench;
mod cluster;
mod config;
mod consume;
mod error;
mod group;
mod group_offsets;
mod install;
mod kafka;
mod log;
mod manual;
mod mirror;
mod names;
mod offsets;
mod output;
mod produce;
mod recover_quorum;
mod serve;
mod signal;
mod throttle;
mod top;
mod topic;
mod tune;

pub use error::CliError;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  klamm serve                          a broker on 127.0.0.1:9092, data in ./klamm-data
  klamm topic create events            a topic
  echo hello | klamm produce events    a message
  klamm consume events --from-beginning";

/// A Kafka-compatible broker, and its tools.
#[derive(Parser, Debug)]
#[command(name = "klamm", version, after_help = EXAMPLES, subcommand_required = true)]
struct Klamm {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one in a process")]
enum Command {
    /// Run a broker
    Serve(serve::Serve),
    /// Create, list, describe, change and delete topics
    Topic(topic::Topic),
    /// List, describe, delete and reset consumer groups
    Group(group::Group),
    /// Send lines of the standard input as messages
    Produce(produce::Produce),
    /// Print the messages of a topic
    Consume(consume::Consume),
    /// Brokers and the quorum: how they are, and moving partitions between them
    Cluster(cluster::Command),
    /// Show, set and unset settings of topics and brokers
    Config(config::Config),
    /// Copy topics, offsets of groups and configurations from one cluster to another
    Mirror(mirror::Mirror),
    /// Put load on a broker and measure it: Klamm, Apache Kafka, or any other
    Bench(bench::Bench),
    /// Look into a data directory, of a broker that runs or does not
    Log(log::Log),
    /// Make a cluster work again whose metadata quorum is lost for good, from one node that is left
    RecoverQuorum(recover_quorum::RecoverQuorum),
    /// Watch a running broker: rates, latency by stage, shards
    Top(top::Top),
    /// Make links named after Kafka's tools: kafka-topics, kafka-topics.sh, …
    InstallTools(install::Install),
    /// Print the completion script of a shell
    Completions(manual::Completions),
    /// Print the manual page, or write the pages of all subcommands
    Man(manual::Man),
    /// What this machine could do better for a broker
    Tune(tune::Tune),
}

/// Which broker the tools talk to.
#[derive(clap::Args, Clone, Debug)]
struct Broker {
    /// Brokers to ask first, separated by commas [default: 127.0.0.1:9092]
    #[arg(
        short,
        long,
        alias = "bootstrap-server",
        env = "KLAMM_BOOTSTRAP",
        hide_env_values = true
    )]
    #[arg(value_name = "HOST:PORT", default_value = "127.0.0.1:9092", hide_default_value = true)]
    bootstrap: String,
}

/// The definition of the whole command line, for completions and manual pages.
fn command_line() -> clap::Command {
    Klamm::command()
}

/// Runs the command that `args` name, the program's name first; returns the process's exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    if let Some((tool, rest)) = kafka::asked_for(&args) {
        return tool.run(rest);
    }
    let parsed = Klamm::command()
        .try_get_matches_from(&args)
        .and_then(|matches| Klamm::from_arg_matches(&matches));
    let result = match parsed {
        Ok(klamm) => match klamm.command {
            Command::Serve(command) => serve::run(&command),
            Command::Topic(command) => topic::run(&command),
            Command::Group(command) => group::run(&command),
            Command::Produce(command) => produce::run(&command),
            Command::Consume(command) => consume::run(&command),
            Command::Mirror(command) => mirror::run(&command),
            Command::Bench(command) => bench::run(&command),
            Command::Log(command) => log::run(&command),
            Command::RecoverQuorum(command) => recover_quorum::run(&command),
            Command::Top(command) => top::run(&command),
            Command::Cluster(command) => cluster::run(&command),
            Command::Config(command) => config::run(&command),
            Command::InstallTools(command) => install::run(&command),
            Command::Completions(command) => manual::completions(&command),
            Command::Man(command) => manual::man(&command),
            Command::Tune(command) => tune::run(&command),
        },
        Err(e) => return wrong_usage(&e, &args),
    };
    match result {
        Ok(()) | Err(CliError::ClosedPipe) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("klamm: {e}");
            ExitCode::from(e.exit_code())
        }
    }
}

/// Help and version as they are; of an error only what is wrong, and where help is.
fn wrong_usage(error: &clap::Error, args: &[OsString]) -> ExitCode {
    let plain = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            use std::io::Write;
            // A reader that leaves early, as `klamm --help | head -1` does, is no error.
            let _ = write!(std::io::stdout(), "{plain}");
            ExitCode::SUCCESS
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            eprint!("{plain}");
            ExitCode::from(2)
        }
        _ => {
            eprintln!("klamm: {}", one_line(&plain, &subcommand(args)));
            ExitCode::from(2)
        }
    }
}

/// The subcommands that a command line begins with: `klamm topic create` of `klamm topic create x -f`.
fn subcommand(args: &[OsString]) -> String {
    let root = Klamm::command();
    let mut at = &root;
    let mut path = root.get_name().to_owned();
    for arg in args.iter().skip(1) {
        let Some(next) = arg.to_str().and_then(|name| at.find_subcommand(name)) else { break };
        path = format!("{path} {}", next.get_name());
        at = next;
    }
    path
}

/// The first paragraph and the tips of clap's message, in one line, and whose help says more.
fn one_line(message: &str, command: &str) -> String {
    let mut what = Vec::new();
    let mut tips = String::new();
    let mut head = true;
    for line in message.lines().map(str::trim) {
        if line.is_empty() {
            head = false;
        } else if let Some(tip) = line.strip_prefix("tip: ") {
            // A flag is never meant as a value here.
            if !tip.contains("as a value, use") {
                tips = format!("{tips}; {tip}");
            }
        } else if head {
            what.push(line);
        }
    }
    let what = what.join(" ");
    let what = what.strip_prefix("error: ").unwrap_or(&what);
    format!("{what}{tips}; see '{command} --help'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Klamm::command().debug_assert();
    }

    #[test]
    fn errors_take_one_line() {
        let error = |args: &[&str]| {
            let e = Klamm::try_parse_from(args).expect_err("wrong usage");
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            one_line(&e.render().to_string(), &subcommand(&args))
        };
        let e = error(&["klamm", "serve", "--lisen", "x"]);
        assert!(e.contains("'--lisen'") && e.contains("'--listen'"), "{e}");
        assert!(e.ends_with("see 'klamm serve --help'"), "{e}");
        let e = error(&["klamm", "topic", "create"]);
        assert!(e.ends_with("see 'klamm topic create --help'"), "{e}");
        let e = error(&["klamm", "topic", "create", "x", "--partitions", "0"]);
        assert!(e.ends_with("see 'klamm topic create --help'"), "{e}");
        let e = error(&["klamm", "srve"]);
        assert!(e.contains("serve") && !e.contains('\n'), "{e}");
    }
}
