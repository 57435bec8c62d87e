//! `klamm top`: running brokers, live, from their `/metrics` alone.

mod cluster;
mod scrape;
mod view;

use super::CliError;
use cluster::{BrokerScrapes, ClusterView};
use scrape::{Scrape, fetch};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};
use view::View;

const EXAMPLES: &str = "\
Examples:
  klamm serve --admin-listen 127.0.0.1:9392
  klamm top                            what it does, every second, until Ctrl-C
  klamm top --json --count 1           one line of JSON, over one second
  klamm top --admin host1:9392,host2:9392,host3:9392     a cluster, a line for each broker

Stages of a produce request: receive (waits for those that came with it), decode, route (to the
shard that owns the partition), turn (until a journal block takes it), write, sync, replicate
(until all replicas in sync have it), reply, send.";

/// Flags of `klamm top`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Top {
    /// The broker's --admin-listen; those of several brokers, with commas between them, are shown side by side
    #[arg(
        long,
        value_name = "HOST:PORT,…",
        default_value = "127.0.0.1:9392",
        value_delimiter = ','
    )]
    admin: Vec<String>,
    /// Seconds of an interval
    #[arg(long, value_name = "SECONDS", default_value_t = 1.0)]
    interval: f64,
    /// Stop after this many intervals
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// One JSON object for each interval, one a line
    #[arg(long)]
    json: bool,
}

/// Runs the command until Ctrl-C, or `--count` is reached.
pub fn run(command: &Top) -> Result<(), CliError> {
    if !(0.1..=3600.0).contains(&command.interval) {
        return Err(CliError::Usage("--interval: from 0.1 to 3600 seconds".into()));
    }
    let pause = Duration::from_secs_f64(command.interval);
    let screen = std::io::stdout().is_terminal() && !command.json;
    let [admin] = &command.admin[..] else { return several(command, pause, screen) };
    let mut out = std::io::stdout().lock();
    let mut before = look(admin)?;
    let mut left = command.count;
    while left != Some(0) {
        std::thread::sleep(pause.saturating_sub(before.1.elapsed()));
        let after = look(admin)?;
        let seconds = (after.1 - before.1).as_secs_f64();
        let view = View::new(&before.0, &after.0, seconds);
        if command.json {
            writeln!(out, "{}", view.json())?;
        } else if screen {
            // Home, then clear to the end: the screen does not flicker.
            write!(out, "\x1b[H\x1b[J{}", view.text(admin))?;
        } else {
            writeln!(out, "{}", view.text(admin))?;
        }
        out.flush()?;
        before = after;
        left = left.map(|it| it - 1);
    }
    Ok(())
}

/// The same for several brokers: those that cannot be reached say so, unless none can.
fn several(command: &Top, pause: Duration, screen: bool) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    let look_at_all = || -> Vec<_> { command.admin.iter().map(|it| look(it)).collect() };
    let first = look_at_all();
    if first.iter().all(Result::is_err) {
        return first.into_iter().find_map(Result::err).map_or(Ok(()), Err);
    }
    let mut before: Vec<_> = first.into_iter().map(|it| it.ok().map(|it| it.0)).collect();
    let mut since = Instant::now();
    let mut left = command.count;
    while left != Some(0) {
        std::thread::sleep(pause.saturating_sub(since.elapsed()));
        let after: Vec<_> = look_at_all().into_iter().map(|it| it.ok().map(|it| it.0)).collect();
        let seconds = since.elapsed().as_secs_f64();
        since = Instant::now();
        let both = before.into_iter().zip(&after).zip(&command.admin);
        let brokers: Vec<BrokerScrapes> = both
            .map(|((before, after), admin)| {
                let scrapes = before.zip(after.clone());
                BrokerScrapes { admin: admin.clone(), scrapes }
            })
            .collect();
        let view = ClusterView { brokers: &brokers, seconds };
        if command.json {
            writeln!(out, "{}", view.json())?;
        } else if screen {
            write!(out, "\x1b[H\x1b[J{}", view.text())?;
        } else {
            writeln!(out, "{}", view.text())?;
        }
        out.flush()?;
        before = after;
        left = left.map(|it| it - 1);
    }
    Ok(())
}

fn look(admin: &str) -> Result<(Scrape, Instant), CliError> {
    let text = fetch(admin, "/metrics").map_err(|e| {
        CliError::Io(format!(
            "cannot read http://{admin}/metrics: {e}; is it the broker's --admin-listen?"
        ))
    })?;
    Ok((Scrape::parse(&text), Instant::now()))
}
