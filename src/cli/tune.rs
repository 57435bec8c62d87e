//! `klamm tune`: what the machine could do better for a broker. It only reads, until `apply`.

mod levers;
mod machine;

use super::CliError;
use clap::Subcommand;
use levers::{Finding, Verdict, findings};
use machine::Facts;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

const EXAMPLES: &str = "\
Examples:
  klamm tune check --data /srv/klamm             what is, what it should be, and why
  klamm tune apply --data /srv/klamm --dry-run   the commands that would be run
  sudo klamm tune apply --data /srv/klamm        runs them; they last until the next boot

Exit code: 0 all is as it should be, 1 something should change or a change failed.";

/// Flags of `klamm tune`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Tune {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Read the machine, and say for each lever what it is, what it should be, and why
    Check(Check),
    /// Change what can be changed on the running machine
    Apply(Apply),
}

#[derive(clap::Args, Debug)]
struct Check {
    /// The broker's data directory, or where it will be
    #[arg(long, value_name = "DIR", default_value = "klamm-data")]
    data: PathBuf,
    /// One JSON object for each lever
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
struct Apply {
    /// The broker's data directory, or where it will be
    #[arg(long, value_name = "DIR", default_value = "klamm-data")]
    data: PathBuf,
    /// Print the commands and run none
    #[arg(long)]
    dry_run: bool,
    /// Only these levers
    #[arg(value_name = "LEVER")]
    levers: Vec<String>,
}

/// Runs the command.
pub fn run(command: &Tune) -> Result<(), CliError> {
    match &command.command {
        Command::Check(check) => self::check(check),
        Command::Apply(apply) => self::apply(apply),
    }
}

fn check(command: &Check) -> Result<(), CliError> {
    let all = findings(&Facts::read(&command.data));
    let mut out = std::io::stdout().lock();
    for it in &all {
        if command.json {
            let line = json!({
                "lever": it.lever, "verdict": it.verdict.name(), "is": it.is,
                "should_be": it.should_be, "why": it.why, "can_apply": it.script.is_some(),
            });
            writeln!(out, "{line}")?;
        } else {
            writeln!(out, "{:<8} {}", it.verdict.name(), it.lever)?;
            writeln!(out, "         is         {}", it.is)?;
            writeln!(out, "         should be  {}", it.should_be)?;
            writeln!(out, "         because    {}\n", it.why)?;
        }
    }
    let open = all.iter().filter(|it| it.verdict == Verdict::Change).count();
    if open == 0 {
        return Ok(());
    }
    Err(CliError::Failed(format!(
        "{open} of {} could be better; 'klamm tune apply --dry-run' shows how",
        all.len()
    )))
}

fn apply(command: &Apply) -> Result<(), CliError> {
    let all = findings(&Facts::read(&command.data));
    if let Some(unknown) = command.levers.iter().find(|it| all.iter().all(|f| f.lever != **it)) {
        let known: Vec<&str> = all.iter().map(|it| it.lever).collect();
        return Err(CliError::Usage(format!("no lever '{unknown}': use {}", known.join(", "))));
    }
    let wanted = |it: &&Finding| {
        it.verdict == Verdict::Change
            && (command.levers.is_empty() || command.levers.iter().any(|name| name == it.lever))
    };
    let mut out = std::io::stdout().lock();
    let mut failed = Vec::new();
    for it in all.iter().filter(wanted) {
        let Some(script) = it.script else {
            writeln!(out, "# {}: by hand: {}", it.lever, it.should_be)?;
            continue;
        };
        writeln!(out, "# {}: {} -> {}", it.lever, it.is, it.should_be)?;
        if command.dry_run {
            if !it.arguments.is_empty() {
                writeln!(out, "set -- {}", it.arguments.join(" "))?;
            }
            let commands = script.lines().filter(|it| !it.starts_with('#') && !it.is_empty());
            for line in commands {
                writeln!(out, "{line}")?;
            }
            continue;
        }
        out.flush()?;
        if let Err(why) = run_script(script, &it.arguments) {
            failed.push(format!("{}: {why}", it.lever));
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(CliError::Failed(failed.join("; "))) }
}

fn run_script(script: &str, arguments: &[String]) -> Result<(), String> {
    let mut child = Process::new("sh")
        .arg("-s")
        .arg("--")
        .args(arguments)
        .stdin(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cannot run sh: {e}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(script.as_bytes()).map_err(|e| e.to_string())?;
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    if status.success() { Ok(()) } else { Err(format!("{status}; it needs root")) }
}
